// Rows through the extension beside the same rows in a table of SQLite's own, in the same host: every answer, every
// error and its code are the same. What a virtual table cannot have (an upsert, triggers) is not asked for.
import Foundation
import SluiceTesting
import Testing

@Suite(.enabled(if: isUsable, "libsluice0.so is not built, or built for a sanitizer"))
struct RowTests {
  private let host = Host()

  /// Runs statements on stock tables in one connection and on the store's in another, and prints where they differ.
  private let beside = """
    stock = sqlite3.connect(':memory:', isolation_level=None)
    store = connect()
    ask(store, "SELECT sluice_attach('s.sluice', '', 'create')")
    def define(sql):
        stock.execute(sql)
        execute(store, sql)
    def outcome(db, sql, values):
        try:
            rows = db.execute(sql, values).fetchall()
            return ('rows', sorted(rows, key=repr) if 'ORDER BY' not in sql else rows)
        except sqlite3.Error as error:
            return ('error', error.sqlite_errorcode, str(error))
    differences = 0
    def both(sql, *values, rowid=True):
        global differences
        left, right = outcome(stock, sql, values), outcome(store, sql, values)
        # Where a transaction reads the store for the first time, changes() becomes 0: it is compared behind changes.
        state = 'SELECT total_changes()' + (', last_insert_rowid()' if rowid else '')
        if sql.split()[0] in ('INSERT', 'REPLACE', 'UPDATE', 'DELETE'): state += ', changes()'
        if left == right and left[0] == 'rows':
            left, right = left + tuple(ask(stock, state)), right + tuple(ask(store, state))
        if left != right or stock.in_transaction != store.in_transaction:
            differences += 1
            print(sql, values, left, right, stock.in_transaction, store.in_transaction, sep='\\n  ')
        return left

    """

  @Test func constraintsAreSQLites() throws {
    let answer = try host.python(
      beside + """
        define('CREATE TABLE t(id INTEGER PRIMARY KEY, a INT NOT NULL, b TEXT, CHECK(a < 100))')
        define('CREATE TABLE k(a TEXT, b INT, c, PRIMARY KEY(a, b))')
        seen = []
        for sql in ["INSERT INTO t VALUES(1, 1, 'x'), (2, 2, 'y')", "INSERT INTO t VALUES(3, 3, 'z'), (1, 1, 'x')",
            "INSERT INTO t VALUES(4, NULL, 'z')", "INSERT INTO t VALUES(4, 100, 'z')",
            "INSERT INTO t VALUES('w', 1, 'z')",
            "INSERT OR IGNORE INTO t VALUES(1, 9, 'i'), (5, 5, 'i'), (6, NULL, 'i'), (7, 700, 'i')",
            "INSERT OR REPLACE INTO t VALUES(1, 9, 'r'), (8, 8, 'r')", "REPLACE INTO t VALUES(1, 10, 'r')",
            "INSERT OR FAIL INTO t VALUES(20, 1, 'f'), (1, 1, 'f'), (21, 1, 'f')",
            "BEGIN", "INSERT INTO t VALUES(30, 1, 'r')", "INSERT OR ROLLBACK INTO t VALUES(1, 1, 'r')",
            "INSERT INTO t(a) VALUES(1)", "INSERT INTO t(id, a) VALUES(NULL, 2)",
            "INSERT INTO t(rowid, a) VALUES(50, 2)",
            "UPDATE t SET a = a + 95", "UPDATE t SET id = id + 1 WHERE id = 1", "UPDATE t SET id = 100 WHERE id = 5",
            "UPDATE OR IGNORE t SET id = 100", "UPDATE OR REPLACE t SET id = 8 WHERE id = 100", "UPDATE t SET a = NULL",
            "DELETE FROM t WHERE b = 'r'", "DELETE FROM t WHERE id BETWEEN 10 AND 30",
            "INSERT INTO t SELECT id + 1000, a, b FROM t", "UPDATE t SET b = (SELECT count(*) FROM t)",
            "DELETE FROM t WHERE id IN (SELECT id - 1000 FROM t)"]:
            seen.append(both(sql)[1])
            both('SELECT * FROM t ORDER BY id')
        for sql in ["INSERT INTO k VALUES('a', 1, 1), ('a', 2, 2), ('b', 1, 3)", "INSERT INTO k VALUES('a', 1, 4)",
            "INSERT INTO k VALUES(NULL, 1, 4)", "UPDATE k SET c = 9 WHERE a = 'a'", "UPDATE k SET b = 7 WHERE a = 'b'",
            "UPDATE k SET b = 1", "INSERT OR REPLACE INTO k VALUES('a', 1, 5)", "DELETE FROM k WHERE b = 2"]:
            if 'NULL, 1' not in sql: seen.append(both(sql, rowid=False)[1])
            both('SELECT * FROM k ORDER BY a, b', rowid=False)
        print(differences, sorted({code for code in seen if isinstance(code, int)}))
        """)
    #expect(answer == "0 [20, 275, 1299, 1555]\n")
  }

  @Test func columnsThatAreLeftOutGetTheirDefaults() throws {
    let answer = try host.python(
      beside + """
        define('''CREATE TABLE t(id INTEGER PRIMARY KEY, a INT DEFAULT 5, b TEXT DEFAULT 'none' NOT NULL,
                  c DEFAULT (1 + 1))''')
        define("CREATE TABLE src(x, y)")
        for sql in ["INSERT INTO t DEFAULT VALUES", "INSERT INTO t(a) VALUES(1)", "INSERT INTO t(a) VALUES(NULL)",
            "INSERT INTO t(c, a) VALUES(NULL, NULL)", "INSERT INTO t VALUES(NULL, NULL, 'b', NULL)",
            "INSERT INTO t VALUES(NULL, 1, NULL, 1)", "INSERT OR REPLACE INTO t VALUES(NULL, NULL, NULL, NULL)",
            "insert or ignore into \\"t\\" (`b`) values('q')", "REPLACE INTO t(id, b) VALUES(1, 'r')",
            "WITH n(v) AS (VALUES(1), (NULL)) INSERT INTO t(a) SELECT v FROM n", "INSERT INTO src VALUES(7, NULL)",
            "INSERT INTO t(a, c) SELECT x, y FROM src", "/* c */ INSERT -- d\\n INTO t AS u (a, b) VALUES(8, '(')"]:
            both(sql, rowid='src VALUES' not in sql)
        for value in [1, None, 2]:
            both('INSERT INTO t(a) VALUES(?)', value)
            both('INSERT INTO t(c) VALUES(?)', value)
            both('INSERT INTO t(a, b) VALUES(?, ?)', value, value)
        both('SELECT * FROM t ORDER BY id')
        print(differences, ask(store, 'SELECT count(*) FROM t'))
        ask(store, "INSERT INTO temp.t(a) VALUES(99)")
        print(ask(store, 'SELECT a, b, c FROM t WHERE a = 99'))
        # Two under way with different columns, and one that a trigger would run.
        first = store.execute("INSERT INTO t(a) VALUES(1), (2) RETURNING id")
        first.fetchone()
        print(fails(store, "INSERT INTO t(b) VALUES('x')")[1].split(':')[0])
        first.close()
        store.execute('CREATE TABLE log(v)')
        store.execute('CREATE TEMP TRIGGER tr AFTER INSERT ON log BEGIN INSERT INTO t(a, b) VALUES(new.v, 1); END')
        print(fails(store, 'INSERT INTO log VALUES(77)'))
        """)
    #expect(
      answer == """
        0 [(19,)]
        [(99, 'none', 2)]
        two INSERTs into t are under way with different columns
        (1, 'unsafe use of virtual table "t"')

        """)
  }

  /// Numbers of AUTOINCREMENT are not given again: not when a transaction removes its own rows, nor when the store was
  /// closed meanwhile.
  @Test func numbersAreNeverGivenAgain() throws {
    let answer = try host.python(
      beside + """
        define('CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v)')
        add = "INSERT INTO t(v) VALUES('v')"
        def transaction(*statements, ends='COMMIT'):
            for sql in ('BEGIN',) + statements + (ends,): both(sql)
            both('SELECT * FROM t ORDER BY id')
        def reopen():
            global store
            store.close()
            store = connect()
            ask(store, "SELECT sluice_attach('s.sluice')")
            # What a connection counts begins anew.
            stock.execute('SELECT 1')
        transaction(add, add, add, 'DELETE FROM t WHERE id > 1')
        transaction(add, 'SELECT max(id) FROM t', 'DELETE FROM t', ends='ROLLBACK')
        transaction('INSERT INTO t VALUES(100, 1)', 'DELETE FROM t WHERE id = 100', add, 'SAVEPOINT s', add,
            'ROLLBACK TO s', 'DELETE FROM t WHERE id > 100')
        both(add)
        transaction(add, add, 'DELETE FROM t')
        ids = []
        for _ in range(2):
            reopen()
            for db in (stock, store): ask(db, 'BEGIN'); ask(db, add); ids.append(ask(db, 'SELECT max(id) FROM t'))
            for db in (stock, store): ask(db, 'DELETE FROM t'); ask(db, 'COMMIT')
        print(differences, ids)
        """)
    #expect(answer == "0 [[(105,)], [(105,)], [(106,)], [(106,)]]\n")
  }

  /// Seeded statements in transactions and savepoints; `python` prints the seed's first difference.
  @Test(arguments: 1...12) func randomTransactions(seed: Int) throws {
    let answer = try host.python(
      beside + """
        import random
        pick = random.Random(int(sys.argv[3]))
        define("CREATE TABLE i(id INTEGER PRIMARY KEY, a INT, b TEXT DEFAULT 'd', CHECK(a < 90))")
        define("CREATE TABLE j(id INTEGER PRIMARY KEY AUTOINCREMENT, a INT)")
        define("CREATE TABLE k(a TEXT, b INT, c INT NOT NULL, PRIMARY KEY(a, b)) WITHOUT ROWID")
        define("CREATE TABLE s(a INT, b TEXT)")
        def statement():
            n, m = pick.randrange(40), pick.randrange(100)
            # An UPDATE OR REPLACE that moves rows onto each other reads them anew in a table of SQLite's own.
            moving = pick.choice(['', '', ' OR IGNORE', ' OR FAIL', ' OR ABORT'])
            way = pick.choice([moving, ' OR REPLACE'])
            key = pick.choice('abc')
            return pick.choice([
                f'INSERT{way} INTO i VALUES({n}, {m}, {n})', f'INSERT{way} INTO i(id, a) VALUES({n}, {m})',
                f'INSERT{way} INTO i(id, a) VALUES({n}, {m}), ({n + 1}, {m}), ({n + 3}, 1)',
                f'UPDATE{moving} i SET id = id + {n % 5} WHERE id > {n}',
                f'UPDATE{way} i SET a = a + {n} WHERE id < {n}',
                f'DELETE FROM i WHERE id = {n}', f'DELETE FROM i WHERE a > {m}',
                f'INSERT INTO j(a) VALUES({m})', f'INSERT INTO j(a) SELECT a FROM i', f'DELETE FROM j WHERE id > {n}',
                f"INSERT{way} INTO k VALUES('{key}', {n % 6}, {m})",
                f"INSERT{way} INTO k SELECT '{key}', b, c FROM k WHERE b < {n % 6}",
                f"UPDATE{moving} k SET b = b + 1 WHERE a = '{key}'", f"UPDATE{way} k SET c = c + 1",
                f"DELETE FROM k WHERE b = {n % 6}",
                f'INSERT INTO s SELECT id, b FROM i WHERE id < {n}', f'UPDATE s SET b = {m} WHERE a = {n}',
                f'DELETE FROM s WHERE a < {n}',
                'SELECT count(*), sum(a), max(id) FROM i', f'SELECT * FROM i WHERE id > {n} ORDER BY id DESC LIMIT 3',
                f'SELECT k.*, i.a FROM k JOIN i ON i.id = k.b ORDER BY 1, 2', 'BEGIN', 'COMMIT', 'COMMIT', 'ROLLBACK',
                'SAVEPOINT one', 'SAVEPOINT two', 'RELEASE one', 'RELEASE two', 'ROLLBACK TO one', 'ROLLBACK TO two'])
        for step in range(400):
            sql = statement()
            both(sql, rowid=False)
            for check in ['SELECT * FROM i ORDER BY id', 'SELECT * FROM j ORDER BY id',
                    'SELECT * FROM k ORDER BY a, b', 'SELECT a, b FROM s']:
                if not differences: both(check, rowid=False)
            if differences: print('behind', sql)
            if differences: break
        print(differences)
        """, ["\(seed)"])
    #expect(answer == "0\n", "seed \(seed)")
  }
}
