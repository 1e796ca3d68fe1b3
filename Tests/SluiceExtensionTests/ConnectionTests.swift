// Several connections, threads and processes over one store: what each sees, who loses a conflict, what a killed host
// leaves, when a store is closed.
import Foundation
import SluiceTesting
import Testing

@Suite(.enabled(if: isUsable, "libsluice0.so is not built, or built for a sanitizer"))
struct ConnectionTests {
  private let host = Host()

  private let two = """
    a, b = connect(), connect()
    ask(a, "SELECT sluice_attach('s.sluice', '', 'create')")
    execute(a, 'CREATE TABLE t(id INTEGER PRIMARY KEY, v)')
    ask(b, "SELECT sluice_attach('s.sluice')")
    ask(a, 'INSERT INTO t VALUES(1, 10), (2, 20)')

    """

  @Test func theSlowerOfTwoTransactionsIsUndone() throws {
    let answer = try host.python(
      two + """
        a.execute('BEGIN')
        a.execute('UPDATE t SET v = v + 1 WHERE id = 1')
        a.execute('INSERT INTO t VALUES(3, 30)')
        ask(b, 'UPDATE t SET v = v + 5 WHERE id = 1')
        print(ask(a, 'SELECT v FROM t WHERE id = 1'), ask(b, 'SELECT count(*) FROM t'))
        print(fails(a, 'COMMIT'), a.in_transaction)
        print(ask(a, 'SELECT * FROM t'))
        a.execute('BEGIN')
        a.execute('UPDATE t SET v = v + 1 WHERE id = 1')
        ask(b, 'UPDATE t SET v = v + 5 WHERE id = 2')
        print(fails(a, 'COMMIT'), ask(b, 'SELECT * FROM t'))
        """)
    let sentence =
      "the row changed meanwhile: another session was faster, and nothing of the transaction is written"
    #expect(
      answer == """
        [(11,)] [(2,)]
        (517, '\(sentence)') False
        [(1, 15), (2, 20)]
        ('no error', []) [(1, 16), (2, 25)]

        """)
  }

  /// A query that is still being read when its transaction commits goes on over the rows it began with, whatever is
  /// written into the memory of the next transactions; one whose rows are taken back ends.
  @Test func aQueryOutlivesItsTransaction() throws {
    let answer = try host.python(
      two + """
        ask(a, 'DELETE FROM t')
        for round in range(3):
            a.execute('BEGIN')
            a.executemany('INSERT INTO t VALUES(?, ?)', ((i, 'row %d of %d' % (i, round)) for i in range(3000)))
            rows = a.execute('SELECT id, v FROM t ORDER BY id')
            seen = [rows.fetchone() for _ in range(5)]
            a.execute('COMMIT')
            for i in range(50):
                a.execute('INSERT INTO t VALUES(?, ?)', (10000 + i, 'y' * 2000))
            a.execute('BEGIN')
            a.executemany('INSERT INTO t VALUES(?, ?)', ((20000 + i, 'x' * (i % 70)) for i in range(3000)))
            seen += rows.fetchall()
            print(seen == [(i, 'row %d of %d' % (i, round)) for i in range(3000)])
            a.execute('ROLLBACK')
            ask(a, 'DELETE FROM t')
        a.execute('BEGIN')
        ask(a, "INSERT INTO t VALUES(1, 'kept')")
        a.execute('SAVEPOINT s')
        a.executemany('INSERT INTO t VALUES(?, ?)', ((i, 'gone') for i in range(2, 1000)))
        rows = a.execute('SELECT id, v FROM t ORDER BY id')
        rows.fetchone()
        a.execute('ROLLBACK TO s')
        ask(a, "INSERT INTO t VALUES(5, 'other')")
        try: print(len(rows.fetchall()))
        except sqlite3.Error as error: print(error)
        print(ask(a, 'SELECT * FROM t'))
        a.execute('COMMIT')
        """)
    #expect(
      answer == """
        True
        True
        True
        abort due to ROLLBACK
        [(1, 'kept'), (5, 'other')]

        """)
  }

  @Test func aStatementSeesOneMoment() throws {
    let answer = try host.python(
      two + """
        rows = b.execute('SELECT id FROM t')
        first = rows.fetchone()
        ask(a, 'INSERT INTO t VALUES(3, 30)')
        ask(b, 'INSERT INTO t VALUES(4, 40)')
        print(first, ask(b, 'SELECT count(*) FROM t'), rows.fetchall())
        for (id,) in b.execute('SELECT id FROM t'):
            b.execute('INSERT INTO t VALUES(?, 0)', (id + 100,))
        print(ask(b, 'SELECT id FROM t'))
        ask(b, 'INSERT INTO t SELECT id + 1000, v FROM t WHERE id < 3')
        print(ask(b, 'SELECT count(*) FROM t'))
        b.execute('BEGIN')
        rows = b.execute('SELECT id FROM t')
        rows.fetchone()
        for id in [5000, 5001, 5002]:
            b.execute('INSERT INTO t VALUES(?, 0)', (id,))
            print(ask(b, 'SELECT count(*) FROM t WHERE id >= 5000'))
        """)
    #expect(
      answer == """
        (1,) [(4,)] [(2,)]
        [(1,), (2,), (3,), (4,), (101,), (102,), (103,), (104,)]
        [(10,)]
        [(1,)]
        [(2,)]
        [(3,)]

        """)
  }

  @Test func threadsShareAStore() throws {
    let answer = try host.python(
      two + """
        errors = []
        def work(number):
            try:
                db = connect()
                ask(db, "SELECT sluice_attach('s.sluice')")
                for start in range(0, 200, 20):
                    db.execute('BEGIN')
                    rows = [(number * 1000 + start + n, number) for n in range(20)]
                    db.executemany('INSERT INTO t VALUES(?, ?)', rows)
                    db.execute('ROLLBACK' if start % 100 == 80 else 'COMMIT')
                    if ask(db, 'SELECT count(*) FROM t WHERE v = ?', number)[0][0] % 20:
                        errors.append('part of a transaction')
                db.close()
            except Exception as error:
                errors.append(repr(error))
        threads = [threading.Thread(target=work, args=(n,)) for n in range(1000, 1004)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(errors, ask(a, 'SELECT v, count(*) FROM t WHERE v >= 1000 GROUP BY v'))
        """)
    #expect(answer == "[] [(1000, 160), (1001, 160), (1002, 160), (1003, 160)]\n")
  }

  @Test func aStoreIsClosedWithItsLastTable() throws {
    let answer = try host.python(
      two + """
        def elsewhere():
            other = subprocess.run([sys.executable, '-c', sys.argv[3], library], capture_output=True, text=True)
            return (other.stdout + other.stderr).strip()
        print(elsewhere())
        a.close()
        print(elsewhere())
        b.execute('BEGIN')
        b.execute('INSERT INTO t VALUES(99, 0)')
        print(fails(b, 'DROP TABLE t')[0])
        b.execute('ROLLBACK')
        b.execute('DROP TABLE sluice_tables')
        print(elsewhere())
        print(sqlite3.connect('s.sluice/projections.db').execute('SELECT count(*) FROM t').fetchall())
        ask(b, "SELECT sluice_attach('s.sluice')")
        b.execute('BEGIN')
        b.execute('INSERT INTO t VALUES(99, 0)')
        b.close()
        a = connect()
        ask(a, "SELECT sluice_attach('s.sluice')")
        print(ask(a, 'SELECT id FROM t'))
        """,
      [
        """
        import sqlite3, sys
        db = sqlite3.connect(':memory:', isolation_level=None)
        db.enable_load_extension(True)
        db.load_extension(sys.argv[1])
        db.execute("SELECT sluice_attach('s.sluice')")
        try:
            db.execute('INSERT INTO t(v) VALUES(0)')
            print('no error')
        except sqlite3.Error as error:
            print(error.sqlite_errorcode)
        """
      ])
    #expect(answer == "8\n8\n6\nno error\n[(3,)]\n[(1,), (2,), (3,)]\n")
  }

  /// A host that leaves without closing anything has its store drained; one that is killed has lost nothing that was
  /// committed, and left nothing that was not.
  @Test(arguments: ["os.kill(os.getpid(), 9)", "os._exit(0)", "sys.exit(0)", "ctypes.CDLL(None).exit(0)"])
  func whatLeavingHostsLeave(end: String) throws {
    let left = try host.python(
      "import ctypes\n" + two + """
        a.execute('BEGIN')
        a.executemany('INSERT INTO t VALUES(?, 1)', [(n,) for n in range(100, 1100)])
        a.execute('COMMIT')
        ask(b, 'DELETE FROM t WHERE id = 1')
        a.execute('BEGIN')
        a.executemany('INSERT INTO t VALUES(?, 1)', [(n,) for n in range(500000, 500100)])
        b.execute('BEGIN')
        b.executemany('INSERT INTO t VALUES(?, 2)', [(n,) for n in range(200000, 260000)])
        b.execute('COMMIT')
        print('leaving', flush=True)
        keep = [a, b]
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(a)); ctypes.pythonapi.Py_IncRef(ctypes.py_object(b))
        \(end)
        """)
    #expect(left == "leaving\n" + (end.contains("kill") ? "status 137\n" : ""))
    if end.contains("exit(0)"), !end.contains("_exit") {
      let mirror = try stockSQLite("SELECT count(*) FROM t;", database: host.folder.file("s.sluice/projections.db"))
      #expect(mirror.text == "61001\n", "\(mirror.errorText)")
    }
    let answer = try host.shell(
      "SELECT sluice_attach('s.sluice'); SELECT count(*), min(id), max(id) FROM t; SELECT sluice_wait('projected') > 0;"
    )
    #expect(answer == "1\n61001|2|259999\n1\n")
  }

  /// Killed at some moment of a series of transactions: what is there is whole transactions, all that were confirmed.
  @Test func aKilledHostLosesNothing() throws {
    _ = try host.python(two)
    for round in 0..<5 {
      let answer = try host.python(
        """
        script = '''
        import sqlite3, sys
        db = sqlite3.connect(':memory:', isolation_level=None)
        db.enable_load_extension(True)
        db.load_extension(sys.argv[1])
        db.execute("SELECT sluice_attach('s.sluice')")
        for n in range(100000):
            db.execute('BEGIN')
            db.executemany('INSERT INTO t(v) VALUES(?)', [(-n - 1,)] * 7)
            db.execute('COMMIT')
            print(n + 1, flush=True)
        '''
        import signal
        child = subprocess.Popen([sys.executable, '-c', script, library], stdout=subprocess.PIPE, text=True)
        for _ in range(\(round * 7 + 3)): confirmed = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split()
        if rest: confirmed = int(rest[-1])
        child.wait()
        db = connect()
        ask(db, "SELECT sluice_attach('s.sluice')")
        counts = dict(ask(db, 'SELECT -v, count(*) FROM t WHERE v < 0 GROUP BY v'))
        print(set(counts.values()) == {7}, len(counts) - confirmed in (0, 1), max(counts) == len(counts))
        ask(db, 'DELETE FROM t WHERE v < 0')
        """)
      #expect(answer == "True True True\n")
    }
  }

  @Test func positionsRiseAndLevelsAreReached() throws {
    let answer = try host.python(
      two + """
        before = ask(a, 'SELECT sluice_position()')[0][0]
        ask(b, 'INSERT INTO t VALUES(7, 7)')
        after = ask(a, 'SELECT sluice_position()')[0][0]
        levels = ['durable', 'applied', 'projected']
        print(after - before, [ask(b, f"SELECT sluice_wait('{level}')")[0][0] - after for level in levels])
        print(sqlite3.connect('s.sluice/projections.db').execute('SELECT v FROM t WHERE id = 7').fetchall())
        ask(a, "SELECT sluice_attach('other.sluice', 'o_', 'create')")
        print(fails(a, 'SELECT sluice_position()')[1])
        print(ask(a, "SELECT sluice_position('other.sluice')"))
        print(ask(a, "SELECT sluice_wait('durable', './s.sluice')")[0][0] - after)
        """)
    #expect(
      answer == """
        1 [0, 0, 0]
        [(7,)]
        sluice_position: several stores are attached; the last argument says which, by its path
        [(0,)]
        0

        """)
  }
}
