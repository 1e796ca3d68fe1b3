// What a host's transactions promise: one snapshot from the first read on, no update lost, one writer at a time for who
// asks for that. Stock SQLite runs the same and must end the same.
import Foundation
import SluiceTesting
import Testing

@Suite(.enabled(if: isUsable, "libsluice0.so is not built, or built for a sanitizer"))
struct TransactionTests {
  private let host = Host()

  /// `make(timeout)` gives connections to accounts 1 and 2, of a store or of a file of SQLite's: `both` runs a scenario
  /// over each and prints whether they end alike, and how.
  private let accounts = """
    import random, time
    def store(timeout=0.1):
        db = sqlite3.connect(':memory:', isolation_level=None, check_same_thread=False, timeout=timeout)
        db.enable_load_extension(True)
        db.load_extension(library)
        ask(db, "SELECT sluice_attach('s.sluice', '', 'create')")
        return db
    def stock(timeout=0.1):
        db = sqlite3.connect('s.db', isolation_level=None, check_same_thread=False, timeout=timeout)
        db.execute('PRAGMA journal_mode = WAL')
        db.execute('PRAGMA synchronous = OFF')
        return db
    first = store()
    execute(first, 'CREATE TABLE acct(id INTEGER PRIMARY KEY, bal INTEGER)')
    stock().execute('CREATE TABLE acct(id INTEGER PRIMARY KEY, bal INTEGER)')
    def code(db, sql, *values):
        outcome = fails(db, sql, *values)[0]
        return 'ok' if outcome == 'no error' else outcome
    def both(scenario):
        ends = []
        for make in (store, stock):
            db = make()
            ask(db, 'DELETE FROM acct')
            ask(db, 'INSERT INTO acct VALUES(1, 100), (2, 100)')
            db.close()
            ends.append(scenario(make))
        print(*(['alike', ends[0]] if ends[0] == ends[1] else ['store', ends[0], 'stock', ends[1]]))
    move = 'UPDATE acct SET bal = bal + CASE id WHEN 1 THEN -70 ELSE 70 END'

    """

  /// BEGIN says nothing to a virtual table, and a SELECT neither: the snapshot is there all the same, for every way to
  /// read, and ends with the transaction.
  @Test func aTransactionThatReadsHasOneSnapshot() throws {
    let answer = try host.python(
      accounts + """
        begins = ['BEGIN', 'BEGIN IMMEDIATE', 'SAVEPOINT s']
        reads = ['SELECT bal FROM acct WHERE id = 2', 'SELECT sum(bal) FROM acct', 'SELECT bal FROM acct WHERE id > 1',
            'SELECT bal FROM acct WHERE id IN (1, 2)', 'SELECT a.bal, b.bal FROM acct a JOIN acct b ON b.id = a.id + 1',
            'SELECT count(*) FROM acct WHERE bal = 100']
        def scenario(make):
            outcomes = []
            for begin in begins:
                a, b = make(), make()
                a.execute(begin)
                before = [ask(a, read) for read in reads]
                other = code(b, move)
                middle = [ask(a, read) for read in reads]
                if begin == 'SAVEPOINT s': a.execute('ROLLBACK TO s')
                again = [ask(a, read) for read in reads]
                ends = code(a, 'RELEASE s' if begin == 'SAVEPOINT s' else 'COMMIT')
                outcomes.append((other, before == middle == again, ends, ask(a, reads[0]), ask(a, reads[1])))
            return outcomes
        both(scenario)
        """)
    #expect(
      answer == """
        alike [('ok', True, 'ok', [(170,)], [(200,)]), (5, True, 'ok', [(170,)], [(200,)]), \
        ('ok', True, 'ok', [(240,)], [(200,)])]

        """)
  }

  /// What is written over a row that others have changed since it was read fails at once, as in SQLite, and can only be
  /// rolled back; with BEGIN IMMEDIATE it is the others that wait and are refused.
  @Test func noUpdateIsLost() throws {
    let answer = try host.python(
      accounts + """
        changes = ['UPDATE acct SET bal = 90 WHERE id = 1', 'DELETE FROM acct WHERE id = 1',
            'REPLACE INTO acct VALUES(1, 90)', 'UPDATE acct SET id = 5 WHERE id = 1', 'UPDATE acct SET bal = bal - 10']
        others = [move, 'DELETE FROM acct WHERE id = 1', 'REPLACE INTO acct VALUES(1, 30)']
        def scenario(make):
            outcomes = {}
            for begin in ['BEGIN', 'BEGIN IMMEDIATE']:
                for change in changes:
                    for other in others:
                        a, b = make(), make()
                        ask(b, 'REPLACE INTO acct VALUES(1, 100), (2, 100)')
                        ask(b, 'DELETE FROM acct WHERE id > 2')
                        a.execute(begin)
                        ask(a, 'SELECT bal FROM acct WHERE id = 1')
                        told = [code(b, other), code(a, change), a.in_transaction, ask(a, 'SELECT count(*) FROM acct')]
                        if told[1] != 'ok': a.execute('ROLLBACK')
                        told += [code(a, 'COMMIT') if a.in_transaction else 'gone', ask(b, 'SELECT * FROM acct')]
                        outcomes.setdefault(begin, []).append(told)
            return outcomes
        both(scenario)
        """)
    #expect(answer.hasPrefix("alike {'BEGIN': [['ok', 517, True, [(2,)], 'gone', [(1, 30), (2, 170)]]"), "\(answer)")
    #expect(answer.contains("'BEGIN IMMEDIATE': [[5, 'ok', True, [(2,)], 'ok', [(1, 90), (2, 100)]]"), "\(answer)")
  }

  /// Who holds the right to write keeps all other writers of the process out, for as long as each of them waits.
  @Test func anImmediateTransactionExcludesOthers() throws {
    let answer = try host.python(
      accounts + """
        def scenario(make):
            outcomes = []
            for begin in ['BEGIN IMMEDIATE', 'BEGIN EXCLUSIVE']:
                a, b, c = make(), make(0.3), make(0)
                a.execute(begin)
                ask(a, 'SELECT * FROM acct')
                for sql in ['UPDATE acct SET bal = 0', 'INSERT INTO acct VALUES(9, 9)', 'DELETE FROM acct',
                        'REPLACE INTO acct VALUES(1, 1)', 'INSERT OR IGNORE INTO acct VALUES(9, 9)']:
                    outcomes += [code(b, sql), code(c, sql), b.in_transaction]
                begun = time.monotonic(); code(b, 'DELETE FROM acct'); waited = time.monotonic() - begun
                begun = time.monotonic(); code(c, 'DELETE FROM acct'); at_once = time.monotonic() - begun
                outcomes += [waited >= 0.29, at_once < 0.2, ask(c, 'SELECT sum(bal) FROM acct')]
                a.execute('UPDATE acct SET bal = bal + 1')
                timer = threading.Timer(0.1, lambda: a.execute('COMMIT'))
                timer.start()
                outcomes.append(code(make(5), 'UPDATE acct SET bal = bal + 10'))
                timer.join()
                outcomes.append(ask(c, 'SELECT bal FROM acct'))
                a.execute(begin)
                ask(a, 'SELECT * FROM acct')
                a.close()
                outcomes.append(code(c, 'UPDATE acct SET bal = 100'))
            return outcomes
        both(scenario)
        a, b = store(), store()
        b.execute('BEGIN')
        ask(b, 'UPDATE acct SET bal = 50 WHERE id = 2')
        a.execute('BEGIN IMMEDIATE')
        ask(a, 'SELECT * FROM acct')
        print(fails(a, "SELECT sluice_execute('CREATE TABLE late(a)')")[1].split(':')[0])
        print(fails(b, 'COMMIT')[1].split(' writes ')[0], b.in_transaction, fails(b, "SELECT sluice_execute('x')")[0])
        print(fails(store(), "SELECT sluice_execute('CREATE TABLE late(a)')")[0])
        a.execute('COMMIT')
        print(code(b, 'COMMIT'), ask(a, 'SELECT * FROM acct'))
        """)
    #expect(
      answer == """
        alike [\(Array(repeating: "5, 5, False, 5, 5, False, 5, 5, False, 5, 5, False, 5, 5, False, True, True, "
          + "[(200,)], 'ok', [(111,), (111,)], 'ok'", count: 2).joined(separator: ", "))]
        sluice_execute cannot run within a transaction
        database is locked: another connection of this process True 1
        5
        ok [(1, 100), (2, 50)]

        """)
  }

  /// Statements without BEGIN, from four threads at once: each is done once and none is refused.
  @Test func statementsAloneLoseNothingAndNeverFail() throws {
    let answer = try host.python(
      accounts + """
        def scenario(make):
            errors = []
            ask(make(), 'INSERT OR REPLACE INTO acct VALUES(3, 0), (4, 0)')
            def work(number):
                db = make(5)
                for step in range(200):
                    try:
                        ask(db, 'UPDATE acct SET bal = bal + 1 WHERE id = 3')
                        if step % 4: continue
                        ask(db, 'INSERT INTO acct(bal) VALUES(-1)')
                        ask(db, 'INSERT OR IGNORE INTO acct VALUES(?, -2)', -1 - step)
                        ask(db, 'REPLACE INTO acct SELECT id, bal + 1 FROM acct WHERE id = 4')
                        ask(db, 'INSERT INTO acct VALUES((SELECT max(id) + 1 FROM acct), -3)')
                        ask(db, 'DELETE FROM acct WHERE id = (SELECT max(id) FROM acct WHERE bal = -1)')
                    except sqlite3.Error as error: errors.append((error.sqlite_errorcode, str(error)))
                db.close()
            threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            return (errors, ask(make(), 'SELECT bal, count(*) FROM acct GROUP BY bal ORDER BY 1'))
        both(scenario)
        """)
    #expect(answer == "alike ([], [(-3, 200), (-2, 50), (100, 2), (200, 1), (800, 1)])\n")
  }

  /// Two that insert one key at once: one of them is told so in SQLite's own words, and nobody is told to try again.
  @Test func aKeyThatIsTakenMeanwhileIsTheStatementsError() throws {
    let answer = try host.python(
      accounts + """
        def scenario(make):
            told = {}
            lock = threading.Lock()
            def work():
                db = make(5)
                for key in range(1000, 1300):
                    outcome = fails(db, 'INSERT INTO acct VALUES(?, 0)', key)
                    with lock: told[outcome[0], str(outcome[1])] = told.get((outcome[0], str(outcome[1])), 0) + 1
                db.close()
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            return sorted(told.items(), key=str)
        both(scenario)
        """)
    #expect(
      answer == """
        alike [(('no error', '[]'), 300), ((1555, 'UNIQUE constraint failed: acct.id'), 900)]

        """)
  }

  /// Each transfer reads two balances and writes both; whoever is refused does it again. The sum is the same in every
  /// snapshot of everybody, and every transfer counts once.
  @Test func transfersKeepTheirSum() throws {
    let answer = try host.python(
      accounts + """
        ask(first, 'INSERT INTO acct SELECT value, 1000 FROM json_each(?)', str(list(range(10))))
        wrong, done, refused = [], [], set()
        def check(db, *values):
            if ask(db, 'SELECT sum(bal) FROM acct') != [(10000,)]: wrong.append(values)
        def transfer(db, begin, random):
            x, y = random.sample(range(10), 2)
            amount = random.randrange(1, 50)
            while True:
                try:
                    db.execute(begin)
                    read = {key: ask(db, 'SELECT bal FROM acct WHERE id = ?', key)[0][0] for key in (x, y)}
                    if random.random() < 0.3: time.sleep(0.001)
                    check(db, begin, 'reading')
                    db.execute('UPDATE acct SET bal = ? WHERE id = ?', (read[x] - amount, x))
                    db.execute('UPDATE acct SET bal = ? WHERE id = ?', (read[y] + amount, y))
                    check(db, begin, 'written')
                    db.execute('COMMIT')
                    return done.append((x, y, amount))
                except sqlite3.OperationalError as error:
                    refused.add(error.sqlite_errorcode)
                    if db.in_transaction: db.execute('ROLLBACK')
        def work(number):
            db = store(0.5)
            for _ in range(40): transfer(db, ['BEGIN', 'BEGIN IMMEDIATE'][number % 2], random.Random(number))
        stopped = threading.Event()
        def look():
            db = store()
            while not stopped.is_set():
                check(db, 'alone')
                db.execute('BEGIN')
                if sum(ask(db, 'SELECT bal FROM acct WHERE id = ?', key)[0][0] for key in range(10)) != 10000:
                    wrong.append('row by row')
                db.execute('COMMIT')
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        looker = threading.Thread(target=look)
        for thread in threads + [looker]: thread.start()
        for thread in threads: thread.join()
        stopped.set()
        looker.join()
        expected = [1000] * 10
        for x, y, amount in done:
            expected[x] -= amount
            expected[y] += amount
        print(wrong, len(done), refused <= {5, 517}, ask(first, 'SELECT bal FROM acct') == [(n,) for n in expected])
        """)
    #expect(answer == "[] 160 True True\n")
  }

  /// A query that is being read when others commit, or its own connection, goes on over the rows it began with: also
  /// the tables it opens late and comes back to.
  @Test func aRunningQueryKeepsItsSnapshot() throws {
    let answer = try host.python(
      accounts + """
        ask(first, 'DELETE FROM acct')
        ask(first, 'INSERT INTO acct SELECT value, 1 FROM json_each(?)', str(list(range(300))))
        a, b = store(), store()
        # What a subquery sees of its own connection's later changes is nobody's promise, in SQLite neither.
        queries = [([b, a], 'SELECT a.bal, b.bal FROM acct a JOIN acct b ON b.id = a.id + 1'),
            ([b], 'SELECT a.bal, (SELECT max(bal) FROM acct b WHERE b.id IN (a.id, a.id + 1)) FROM acct a'),
            ([b, a], 'SELECT a.bal, b.bal FROM acct a JOIN acct b WHERE a.id < 3 AND b.id > 200')]
        for others, query in queries:
            for other in others:
                for begin in [False, True]:
                    if begin: a.execute('BEGIN')
                    rows = a.execute(query)
                    seen = {rows.fetchone() for _ in range(5)}
                    ask(other, 'UPDATE acct SET bal = bal + 1')
                    if begin: a.execute('COMMIT')
                    ask(a, 'SELECT count(*) FROM acct')
                    print(len(seen | set(rows.fetchall())), end=' ')
            print()
        """)
    #expect(answer == "1 1 1 1 \n1 1 \n1 1 1 1 \n")
  }

  /// A transaction that has only read ends without a trace, whatever others did and however it ends.
  @Test func readingLeavesNothing() throws {
    let answer = try host.python(
      accounts + """
        a, b = store(), store()
        ask(a, 'INSERT INTO acct(bal) VALUES(1), (2)')
        a.execute('CREATE TABLE own(x)')
        before = ask(b, 'SELECT sluice_position()')
        for end in ['COMMIT', 'ROLLBACK']:
            a.execute('BEGIN')
            a.execute('INSERT INTO own VALUES(?), (?)', (1, 2))
            counts = (a.total_changes, ask(a, 'SELECT last_insert_rowid()'))
            print(ask(a, 'SELECT count(DISTINCT id), max(own.x) FROM acct JOIN own'), end=' ')
            print((a.total_changes, ask(a, 'SELECT last_insert_rowid()')) == counts, code(a, end))
        print(ask(b, 'SELECT sluice_position()') == before)
        a.execute('BEGIN')
        ask(a, 'SELECT * FROM acct')
        position = ask(a, 'SELECT sluice_position()')
        ask(b, 'INSERT INTO acct(bal) VALUES(3)')
        print(ask(a, 'SELECT sluice_position()') == position, ask(b, 'SELECT sluice_position()') > position)
        a.execute('ROLLBACK')
        ask(a, 'INSERT INTO acct(bal) VALUES(4)')
        print(ask(a, 'SELECT * FROM acct'))
        """)
    #expect(
      answer == """
        [(2, 2)] True ok
        [(2, 2)] True ok
        True
        True True
        [(1, 1), (2, 2), (3, 3), (4, 4)]

        """)
  }

  /// What stands in a host's way of beginning a transaction on a store: `query_only` does not, an authorizer may.
  @Test func hostsThatForbidWritingRead() throws {
    let answer = try host.python(
      accounts + """
        a, b = store(), store()
        ask(b, 'INSERT INTO acct VALUES(1, 10), (2, 20)')
        a.execute('CREATE TABLE own AS SELECT 1 AS x')
        a.execute('PRAGMA query_only = 1')
        a.execute('BEGIN')
        print(ask(a, 'SELECT bal, x FROM acct JOIN own ON x = id'), ask(a, 'PRAGMA query_only'))
        ask(b, 'UPDATE acct SET bal = bal + 1')
        print(ask(a, 'SELECT x, bal FROM own JOIN acct ON x = id'), fails(a, 'DELETE FROM acct')[0], code(a, 'COMMIT'))
        print(ask(a, 'SELECT bal FROM acct'), fails(a, 'DELETE FROM acct')[0])
        a.execute('PRAGMA query_only = 0')
        a.set_authorizer(lambda action, *_: sqlite3.SQLITE_DENY if action == 9 else sqlite3.SQLITE_OK)  # DELETE
        print(ask(a, 'SELECT bal FROM acct'))
        a.execute('BEGIN')
        print(fails(a, 'SELECT bal FROM acct'))
        """)
    #expect(
      answer == """
        [(10, 1)] [(1,)]
        [(1, 10)] 8 ok
        [(11,), (21,)] 8
        [(11,), (21,)]
        (23, 'not authorized: a transaction that reads acct begins with DELETE FROM temp.acct WHERE 0, which the \
        connection does not allow')

        """)
  }

  /// A whole attachment may stand in the transaction that uses it.
  @Test func aStoreIsAttachedWithinATransaction() throws {
    let answer = try host.python(
      accounts + """
        ask(first, 'INSERT INTO acct VALUES(1, 10)')
        a = connect()
        a.execute('BEGIN')
        ask(a, "SELECT sluice_attach('s.sluice')")
        print(ask(a, 'SELECT bal FROM acct'))
        ask(first, 'UPDATE acct SET bal = 11')
        print(ask(a, 'SELECT bal FROM acct'), code(a, 'UPDATE acct SET bal = 12'), code(a, 'COMMIT'))
        b = connect()
        b.execute('BEGIN IMMEDIATE')
        ask(b, "SELECT sluice_attach('s.sluice')")
        print(code(b, 'INSERT INTO acct VALUES(2, 20)'), code(a, 'INSERT INTO acct VALUES(3, 30)'), code(b, 'COMMIT'))
        print(ask(first, 'SELECT * FROM acct'))
        """)
    #expect(answer == "[(10,)]\n[(10,)] 517 ok\nok 5 ok\n[(1, 11), (2, 20)]\n")
  }

  /// What another process writes shows between transactions, not within one.
  @Test func aStoreOfAnotherProcessIsReadFromOneSnapshotToo() throws {
    let answer = try host.python(
      accounts + """
        ask(first, 'INSERT INTO acct VALUES(1, 10)')
        child = subprocess.Popen([sys.executable, '-c', sys.argv[3], library], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        def there(sql):
            child.stdin.write(sql + '\\n')
            child.stdin.flush()
            return child.stdout.readline().strip()
        for end in ['COMMIT', 'ROLLBACK']:
            print(there('BEGIN'), there('SELECT bal FROM acct'), end=' ')
            ask(first, 'UPDATE acct SET bal = bal + 1')
            print(there('SELECT bal FROM acct'), there('SELECT sum(bal) FROM acct WHERE id > 0'), there(end), end=' ')
            print(there('SELECT bal FROM acct'))
        """,
      [
        """
        import sqlite3, sys
        db = sqlite3.connect(':memory:', isolation_level=None)
        db.enable_load_extension(True)
        db.load_extension(sys.argv[1])
        db.execute("SELECT sluice_attach('s.sluice')")
        for line in sys.stdin: print(db.execute(line).fetchall(), flush=True)
        """
      ])
    #expect(
      answer == """
        [] [(10,)] [(10,)] [(10,)] [] [(11,)]
        [] [(11,)] [(11,)] [(11,)] [] [(12,)]

        """)
  }
}
