// Attaching and letting go: names, prefixes, single tables, views, definitions, what is refused, who holds a store.
import Foundation
import SluiceTesting
import Testing

@Suite(.enabled(if: isUsable, "libsluice0.so is not built, or built for a sanitizer"))
struct AttachingTests {
  private let host = Host()

  private let schema = """
    SELECT sluice_attach('shop.sluice', '', 'create');
    SELECT sluice_execute('CREATE TABLE orders(id INTEGER PRIMARY KEY, note TEXT)');
    SELECT sluice_execute('CREATE TABLE events(user, what, SHARD KEY(user))');
    SELECT sluice_execute('CREATE VIEW notes AS SELECT note FROM orders');
    INSERT INTO orders(note) VALUES('a'), ('b');

    """

  /// Of another user, who lets others read it.
  @Test func aStoreThatMayNotBeWrittenIsRead() throws {
    let answer = try host.python(
      """
      a = connect()
      ask(a, "SELECT sluice_attach('s.sluice', '', 'create')")
      execute(a, 'CREATE TABLE t(id INTEGER PRIMARY KEY, v)')
      ask(a, "INSERT INTO t VALUES(1, 'a'), (2, 'b')")
      a.close()
      os.chmod('.', 0o755)
      subprocess.run(['chmod', '-R', 'a-w,a+rX', 's.sluice'])
      if os.getuid() == 0:
          os.setgroups([]); os.setgid(65534); os.setuid(65534)
      b = connect()
      ask(b, "SELECT sluice_attach('s.sluice')")
      print(ask(b, 'SELECT * FROM t'))
      here = os.path.realpath('s.sluice')
      sentence = here + ' is read only: permission is denied: open ' + here + '/LOCK: Permission denied'
      for change in ["INSERT INTO t VALUES(3, 'c')", 'DELETE FROM t', "SELECT sluice_execute('CREATE TABLE u(x)')"]:
          print(fails(b, change) == (8, sentence) or fails(b, change))
      print(ask(b, 'SELECT count(*) FROM t'))
      """)
    _ = try runProcess("chmod", ["-R", "u+w", host.folder.path])
    #expect(answer == "[(1, 'a'), (2, 'b')]\nTrue\nTrue\nTrue\n[(2,)]\n")
  }

  @Test func aWholeStoreComesAndGoes() throws {
    let answer = try host.shell(
      schema + """
        SELECT name, columns FROM sluice_tables;
        SELECT sql FROM sluice_tables WHERE name = 'events';
        SELECT * FROM notes;
        CREATE VIRTUAL TABLE temp.s USING sluice('shop.sluice', 'x_');
        SELECT name FROM temp.sqlite_schema ORDER BY name;
        SELECT count(*) FROM x_orders;
        DROP TABLE s;
        SELECT name FROM temp.sqlite_schema ORDER BY name;
        DROP TABLE orders;
        SELECT name FROM temp.sqlite_schema ORDER BY name;
        SELECT sluice_attach('shop.sluice');
        SELECT count(*) FROM orders;
        DROP TABLE sluice_tables;
        SELECT count(*) FROM temp.sqlite_schema;
        CREATE VIRTUAL TABLE temp.single USING sluice_table('shop.sluice', 'orders');
        SELECT * FROM single;
        """)
    #expect(
      answer == """
        0



        events|user, what
        orders|id, note
        CREATE TABLE events (
          user,
          what,
          SHARD KEY (user)
        )
        a
        b
        events
        notes
        orders
        s
        sluice_tables
        x_events
        x_orders
        2
        events
        notes
        orders
        sluice_tables
        events
        notes
        sluice_tables
        2
        2
        0
        1|a
        2|b

        """)
  }

  @Test func aTakenNameRefusesAllOfIt() throws {
    let answer = try host.shell(
      schema + """
        DROP TABLE sluice_tables;
        CREATE TABLE ORDERS(mine);
        SELECT sluice_attach('shop.sluice');
        SELECT count(*) FROM temp.sqlite_schema;
        CREATE VIRTUAL TABLE temp.events USING sluice('shop.sluice', 'p_');
        DROP TABLE temp.events;
        CREATE VIRTUAL TABLE temp.p_events USING sluice('shop.sluice', 'p_');
        SELECT count(*) FROM temp.sqlite_schema;
        """)
    let lines = answer.split(separator: "\n").map(String.init)
    #expect(lines.count == 5, "\(answer)")
    #expect(
      lines[1].contains("the store's orders cannot be attached as orders: the name is taken by the table main.ord"))
    #expect(lines[2] == "0")
    #expect(lines[3].contains("cannot be attached as p_events: the name is taken by the list itself"))
    #expect(lines[4] == "0")
  }

  @Test func whatIsRefusedSaysWhy() throws {
    try FileManager.default.createDirectory(atPath: host.folder.file("empty"), withIntermediateDirectories: false)
    try FileManager.default.createDirectory(atPath: host.folder.file("other"), withIntermediateDirectories: false)
    try Data("x".utf8).write(to: URL(fileURLWithPath: host.folder.file("other/file")))
    try Data("x".utf8).write(to: URL(fileURLWithPath: host.folder.file("plain")))
    let answer = try host.shell(
      schema + """
        SELECT sluice_attach('typo.sluice', 'n_');
        SELECT sluice_attach('empty', 'n_');
        SELECT sluice_attach('other', 'n_');
        SELECT sluice_attach('plain', 'n_');
        SELECT sluice_attach('nowhere/new.sluice', 'n_', 'create');
        SELECT sluice_attach('new.sluice', '', 'yes');
        CREATE VIRTUAL TABLE s USING sluice('shop.sluice');
        CREATE VIRTUAL TABLE temp.s USING sluice();
        CREATE VIRTUAL TABLE temp.s USING sluice_table('shop.sluice', 'nothing');
        ALTER TABLE orders RENAME TO bills;
        SELECT sluice_execute('INSERT INTO orders VALUES(9, 9)');
        SELECT sluice_execute('CREATE TABLE orders(a)');
        SELECT sluice_wait('soon');
        BEGIN; SELECT sluice_execute('DROP TABLE orders'); COMMIT;
        CREATE VIEW v AS SELECT sluice_position(); SELECT * FROM v;
        SELECT count(*) FROM orders;
        """)
    let lines = answer.split(separator: "\n").map(String.init)
    let sentences = [
      "there is no store at", "the directory holds no file `store`", "the directory holds no file `store`",
      "it is a file, and a store is a directory", "nowhere/new.sluice", "the third argument is 'create' or not given",
      "a store is attached to temp, not to main", "sluice takes the path of a store", "no such table in",
      "cannot rename to bills: the table belongs to", "sluice_execute takes CREATE, ALTER and DROP",
      "table orders already exists", "the level is durable, applied or projected, not soon",
      "sluice_execute cannot run within a transaction", "unsafe use of sluice_position()",
    ]
    #expect(lines.count == sentences.count + 2, "\(answer)")
    for (line, sentence) in zip(lines.dropFirst(), sentences) { #expect(line.contains(sentence), "\(line)") }
    #expect(lines.last == "2")
    let names = try FileManager.default.contentsOfDirectory(atPath: host.folder.path).sorted()
    #expect(names == ["empty", "other", "plain", "shop.sluice"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: host.folder.file("empty")).isEmpty)
    #expect(try FileManager.default.contentsOfDirectory(atPath: host.folder.file("other")) == ["file"])
  }

  /// Names by which SQLite means no file of that name are refused, also where they would be created, and leave nothing.
  @Test func namesThatAreNoPathsAreRefused() throws {
    let answer = try host.python(
      """
      db = connect()
      for name in [':memory:', 'file:x', 'FILE:x?mode=memory', 'file:///tmp/x']:
          for how in [(), ('n_', 'create')]:
              code, sentence = fails(db, 'SELECT sluice_attach(?' + ', ?' * len(how) + ')', name, *how)
              print(code, sentence)
      print(os.listdir('.'), ask(db, 'SELECT count(*) FROM temp.sqlite_schema'))
      ask(db, "SELECT sluice_attach('./:memory:', '', 'create')")
      execute(db, 'CREATE TABLE t(a)')
      print(os.listdir('.'))
      """)
    func refusal(_ what: String, _ name: String) -> String {
      let line = "1 \(name) is \(what); ./\(name) is a store of that name\n"
      return line + line
    }
    let uri = "a URI of SQLite, and a store is given by its path"
    #expect(
      answer == refusal("a database in memory to SQLite, and a store is a directory", ":memory:")
        + refusal(uri, "file:x") + refusal(uri, "FILE:x?mode=memory") + refusal(uri, "file:///tmp/x")
        + "[] [(0,)]\n[':memory:']\n")
  }

  @Test func aDamagedStoreIsNamed() throws {
    _ = try host.shell(schema)
    let identity = host.folder.file("shop.sluice/store")
    try Data("not a store's identity".utf8).write(to: URL(fileURLWithPath: identity))
    let answer = try host.shell("SELECT sluice_attach('shop.sluice');\nSELECT count(*) FROM temp.sqlite_schema;")
    #expect(answer.contains("shop.sluice/store is not a Sluice store"), "\(answer)")
    #expect(answer.hasSuffix("\n0\n"), "\(answer)")
  }

  @Test func tablesFollowTheCatalog() throws {
    let answer = try host.python(
      """
      a = connect(); b = connect()
      ask(a, "SELECT sluice_attach('s.sluice', '', 'create')")
      execute(a, 'CREATE TABLE t(a INTEGER PRIMARY KEY)')
      execute(a, 'CREATE VIEW v AS SELECT a FROM t')
      ask(b, "SELECT sluice_attach('s.sluice')")
      ask(b, 'INSERT INTO t VALUES(1)')
      execute(a, 'ALTER TABLE t ADD COLUMN b DEFAULT 7')
      print(ask(a, 'SELECT * FROM t'))
      print(fails(b, 'SELECT * FROM t')[1].split(' in the store')[0])
      print(fails(b, 'INSERT INTO t VALUES(2)')[1].split(' in the store')[0])
      print(ask(b, "SELECT sluice_attach('s.sluice')"), ask(b, 'SELECT * FROM t'))
      execute(a, 'ALTER TABLE t RENAME TO u')
      print(ask(a, 'SELECT name FROM temp.sqlite_schema ORDER BY name'), ask(a, 'SELECT * FROM v'))
      execute(a, 'DROP VIEW v')
      execute(a, 'DROP TABLE u')
      execute(a, 'CREATE TABLE t(x)')
      print(ask(a, 'SELECT name FROM temp.sqlite_schema ORDER BY name'))
      print(fails(b, 'SELECT * FROM t')[1].split(' in the store')[0])
      ask(a, 'CREATE  virtual table temp.[my list]  Using Sluice ( "s.sluice" , [p "q" ] )')
      execute(a, 'CREATE TABLE u(x)')
      print(ask(a, 'SELECT name FROM temp.sqlite_schema ORDER BY name'))
      os.mkdir('sub'); os.chdir('sub')
      a.execute('BEGIN'); a.execute('CREATE TEMP TABLE own(a)'); a.execute('ROLLBACK')
      print(ask(a, 'SELECT sluice_position() > 0'), fails(a, 'SELECT * FROM "p ""q"" u"'))
      """)
    #expect(
      answer == """
        [(1, 7)]
        table t was altered
        table t was altered
        [(1,)] [(1, 7)]
        [('sluice_tables',), ('u',), ('v',)] [(1,)]
        [('sluice_tables',), ('t',)]
        table t was dropped
        [('my list',), ('p "q" t',), ('p "q" u',), ('sluice_tables',), ('t',), ('u',)]
        [(1,)] ('no error', [])

        """)
  }

  @Test func anotherProcessReadsAndIsToldWhoHoldsIt() throws {
    let answer = try host.python(
      """
      a = connect()
      ask(a, "SELECT sluice_attach('s.sluice', '', 'create')")
      execute(a, 'CREATE TABLE t(a INTEGER PRIMARY KEY, b)')
      ask(a, "INSERT INTO t VALUES(1, 'one')")
      script = sys.argv[3]
      reader = subprocess.Popen(
          [sys.executable, '-c', script, library], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
      def there(sql):
          reader.stdin.write(sql + '\\n')
          reader.stdin.flush()
          return reader.stdout.readline().strip().replace(f'process {os.getpid()} ', 'process N ')
      print(there('SELECT * FROM t'))
      ask(a, "INSERT INTO t VALUES(2, 'two')")
      print(there('SELECT * FROM t WHERE a = 2'))
      print(there('SELECT count(*), max(a) FROM t'))
      for sql in ["INSERT INTO t VALUES(3, 3)", "UPDATE t SET b = 0", "DELETE FROM t",
              "SELECT sluice_execute('DROP TABLE t')"]:
          print(there(sql).split('is read-only')[0][:2], there(sql).split(' is ')[1])
      print(there("SELECT sluice_wait('durable') > 0"))
      execute(a, 'ALTER TABLE t ADD COLUMN c')
      print(there('SELECT * FROM t').split(' in the store')[0])
      print(there("SELECT sluice_attach('s.sluice')"), there('SELECT * FROM t WHERE a = 1'))
      print(there('DROP TABLE sluice_tables'), there('SELECT count(*) FROM temp.sqlite_schema'))
      a.close()
      print(there("SELECT sluice_attach('s.sluice')"), there("INSERT INTO t(a) VALUES(3) RETURNING a"))
      reader.stdin.close()
      print(reader.wait())
      """,
      [
        """
        import sqlite3, sys
        db = sqlite3.connect(':memory:', isolation_level=None)
        db.enable_load_extension(True)
        db.load_extension(sys.argv[1])
        db.execute("SELECT sluice_attach('s.sluice')")
        for line in sys.stdin:
            try:
                print(db.execute(line).fetchall(), flush=True)
            except sqlite3.Error as error:
                print(error.sqlite_errorcode, str(error), flush=True)
        """
      ])
    #expect(
      answer == """
        [(1, 'one')]
        [(2, 'two')]
        [(2, 2)]
        8  read-only here: process N holds it
        8  read-only here: process N holds it
        8  read-only here: process N holds it
        8  read-only here: process N holds it
        [(1,)]
        1 table t was altered
        [(1,)] [(1, 'one', None)]
        [] [(0,)]
        [(1,)] [(3,)]
        0

        """)
  }

  /// A host that becomes a daemon: what it prints afterwards must not land in a file that the store opens then.
  @Test func aHostThatClosesItsStandardDescriptors() throws {
    let answer = try host.python(
      """
      keep = os.dup(1)
      a = connect()
      ask(a, "SELECT sluice_attach('s.sluice', '', 'create')")
      execute(a, 'CREATE TABLE t(a INTEGER PRIMARY KEY, b)')
      for end in (0, 1, 2):
          os.close(end)
      for part in range(4):
          a.execute('BEGIN')
          a.executemany('INSERT INTO t(b) VALUES(?)', [('x' * 100,)] * 40000)
          a.execute('COMMIT')
          for end in (0, 1, 2):
              try:
                  os.write(end, b'WARNING: a line of the host')
                  os.write(keep, b'descriptor %d is open' % end)
              except OSError:
                  pass
      ask(a, 'DROP TABLE sluice_tables')
      a.close()
      b = connect()
      ask(b, "SELECT sluice_attach('s.sluice')")
      os.write(keep, b'%d' % ask(b, 'SELECT count(*) FROM t')[0])
      """)
    #expect(answer == "160000")
  }

  /// The threads that write the store use the host's SQLite, and a fork may come while they are in it.
  @Test func aChildForkedWhileTheStoreWorksDoesNotHang() throws {
    let answer = try host.python(
      """
      import signal, time
      a = connect()
      ask(a, "SELECT sluice_attach('s.sluice', '', 'create')")
      execute(a, 'CREATE TABLE t(a INTEGER PRIMARY KEY, b)')
      ends = []
      for round in range(1, 61):
          a.execute('BEGIN')
          a.executemany('INSERT INTO t(b) VALUES(?)', [('x' * 50,)] * 300)
          a.execute('COMMIT')
          time.sleep(0.0005 * (round % 7))
          child = os.fork()
          if child == 0:
              signal.alarm(20)
              b = connect()
              ask(b, "SELECT sluice_attach('s.sluice')")
              os._exit(0 if ask(b, 'SELECT count(*) FROM t') == [(round * 300,)] else 3)
          ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
      print(set(ends))
      """)
    #expect(answer == "{0}\n")
  }

  @Test func aForkedChildIsRefused() throws {
    let answer = try host.python(
      """
      a = connect()
      ask(a, "SELECT sluice_attach('s.sluice', '', 'create')")
      execute(a, 'CREATE TABLE t(a INTEGER PRIMARY KEY)')
      ask(a, 'INSERT INTO t VALUES(1)')
      a.execute('BEGIN')
      a.execute('INSERT INTO t VALUES(2)')
      child = os.fork()
      if child == 0:
          for sql in ['SELECT * FROM t', 'INSERT INTO t VALUES(3)', 'COMMIT', "SELECT sluice_position()"]:
              print(fails(a, sql)[1].split('s.sluice ')[1].split(' and ')[0], flush=True)
          a.close()
          b = connect()
          print(ask(b, "SELECT sluice_attach('s.sluice')"), ask(b, 'SELECT * FROM t'), flush=True)
          print(fails(b, 'INSERT INTO t VALUES(3)')[0], flush=True)
          sys.exit(7)
      print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
      a.execute('COMMIT')
      print(ask(a, 'SELECT * FROM t'))
      """)
    let refused = "was attached before this process was forked\n"
    #expect(answer == refused + refused + refused + refused + "[(1,)] [(1,)]\n8\n7\n[(1,), (2,)]\n")
  }
}
