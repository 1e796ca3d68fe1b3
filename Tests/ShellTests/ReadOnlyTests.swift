// A store that may only be read: on a file system mounted so, of another user, or opened with -readonly. It is read as
// any other and left as it is, and all that writes is refused in one sentence.
import Foundation
import SluiceSystem
import SluiceTesting
import Testing

/// Whether `sluice` can be run in a file system of its own.
private let canMount = succeeds("unshare", ["-rm", "true"])

private func succeeds(_ program: String, _ arguments: [String]) -> Bool {
  do { return try runProcess(program, arguments).status == 0 } catch { return false }
}

@Suite struct ReadOnlyTests {
  private let shell = ShellUnderTest()
  private let isRoot = getuid() == 0

  /// All files of the store with what they hold, and their times.
  private func trace() throws -> String {
    let find = "find \"$0\" -printf '%p %m %s %T@ %C@\\n' | sort; find \"$0\" -type f -exec cksum {} + | sort"
    return try runProcess("sh", ["-c", find, shell.store]).text
  }

  private func fill() throws {
    let made = try shell.run(
      """
      CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);
      CREATE VIEW w AS SELECT id FROM t;
      CREATE PROJECTION p AS SELECT v, count(*) AS n FROM t GROUP BY v;
      INSERT INTO t VALUES(1,'a'),(2,'a'),(3,'b');
      """)
    try #require(made.status == 0, "\(made.errorText)")
  }

  /// Runs the shell as somebody who may read the store and change nothing.
  private func asReader(_ script: String, _ arguments: [String] = []) throws -> ProcessResult {
    _ = try runProcess("chmod", ["755", shell.folder.path])
    _ = try runProcess("chmod", ["-R", "a-w,a+rX", shell.store])
    defer { do { _ = try runProcess("chmod", ["-R", "u+w", shell.store]) } catch { Issue.record("\(error)") } }
    let command = [builtProduct("sluice")] + arguments + [shell.store]
    let others = isRoot ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : []
    let all = others + command
    return try runProcess("/usr/bin/env", all, input: Array(script.utf8), timeoutSeconds: 60)
  }

  private let questions = """
    SELECT count(*), max(v) FROM t;
    SELECT * FROM p ORDER BY v;
    SELECT count(*) FROM w;
    SELECT count(*) FROM projections.t;
    EXPLAIN SELECT v FROM t WHERE id = 2;
    SELECT kind, accepted FROM sluice_events WHERE position = 6;
    SELECT count(*) FROM t AS OF 6;
    SELECT state FROM sluice_projections ORDER BY name;
    CREATE TEMP VIEW own AS SELECT id + 1 AS next FROM t; SELECT max(next) FROM own; DROP VIEW own;
    WAIT FOR p;
    .tables
    .schema w

    """
  private let answers = """
    3|b
    a|2
    b|1
    3
    3
    t|live|1 of 4|one row by its key: id = ?|0
    insert|1
    3
    current
    current
    4
    p  t  w
    CREATE VIEW w AS SELECT id FROM t;

    """

  @Test func anotherUsersStoreIsRead() throws {
    try fill()
    let result = try asReader(questions)
    #expect(result.text == answers)
    #expect(result.errorText == "" && result.status == 0)
  }

  @Test func whatWritesIsRefusedInASentence() throws {
    try fill()
    let before = try trace()
    let changes = [
      "INSERT INTO t VALUES(9,'x')", "REPLACE INTO t VALUES(1,'x')", "INSERT INTO t DEFAULT VALUES",
      "INSERT INTO t SELECT 9, 'x'", "UPDATE t SET v = 'x'", "DELETE FROM t", "DELETE FROM t WHERE id = 1",
      "CREATE TABLE u(a)", "CREATE INDEX i ON t(v)", "CREATE VIEW x AS SELECT 1", "DROP TABLE t", "DROP VIEW w",
      "DROP TABLE IF EXISTS nosuch", "ALTER TABLE t ADD COLUMN z", "CREATE PROJECTION q AS SELECT v FROM t",
      "DROP PROJECTION p", "REBUILD PROJECTION p", "PAUSE PROJECTION p", "REDRIVE",
      "ALTER STORE SET retain = '1 MB'", "INSERT INTO sqlite_sequence VALUES('t', 9)",
    ]
    let script = changes.map { $0 + ";\n" }.joined()
    let result = try shell.run(
      script + "PRAGMA query_only = 0;\nDELETE FROM t;\nBEGIN; INSERT INTO t VALUES(9,'x'); COMMIT;\n"
        + "SELECT count(*) FROM t;\n", ["-readonly"])
    let lines = Array(1...changes.count) + [changes.count + 2, changes.count + 3]
    let expected = lines.map {
      "Runtime error near line \($0): this store is read only: it was opened with -readonly (8)\n"
    }.joined()
    #expect(result.errorText == expected)
    #expect(result.text == "3\n" && result.status == 1)
    let rows = shell.folder.file("rows.csv")
    try "9,x\n".write(toFile: rows, atomically: true, encoding: .utf8)
    let imported = try shell.run(sql: [".import --csv \(rows) t"], ["-readonly"])
    #expect(imported.errorText == "Error: this store is read only: it was opened with -readonly\n")
    #expect(imported.status == 1)
    #expect(try trace() == before)
    // Of somebody else's store the sentence says why.
    let refused = try asReader("INSERT INTO t VALUES(9,'x');")
    #expect(
      refused.errorText
        == "Runtime error near line 1: this store is read only: permission is denied: open \(shell.store)/LOCK: "
        + "Permission denied (8)\n")
  }

  @Test func aStoreThatIsHeldOrNotThereIsNotRead() throws {
    let missing = try shell.run("SELECT 1;", ["-readonly"])
    let sentence = "Error: unable to open store \"\(shell.store)\": there is no store at \(shell.store)\n"
    #expect(missing.errorText == sentence)
    #expect(!FileManager.default.fileExists(atPath: shell.store))
    try fill()
    let holder = try Terminal(builtProduct("sluice"), ["-batch", shell.store])
    holder.send("SELECT 'it is ' || 'open';\n")
    _ = try holder.expect("it is open\n", timeoutSeconds: 60)
    let held = try shell.run("SELECT 1;", ["-readonly"])
    #expect(held.errorText.contains("\(shell.store) is in use by process \(holder.id)"), "\(held.errorText)")
    #expect(try asReader("SELECT 1;").errorText == held.errorText)
    holder.send(".exit\n")
    #expect(try holder.finish() == 0)
  }

  /// Killed: rows that only the log has, and a projections.db that lacks them.
  @Test func whatOnlyTheLogHasIsThere() throws {
    try fill()
    _ = try shell.run("INSERT INTO t VALUES(4,'c'),(5,'c'); INSERT INTO t VALUES(1,'d');", ["-no-drain"])
    // Where the projector was fast, it has them.
    _ = try runProcess("rm", ["-f", shell.store + "/projections.db", shell.store + "/projections.db-wal"])
    let before = try trace()
    let result = try shell.run("SELECT count(*) FROM t; SELECT count(*) FROM w;\nSELECT * FROM p;\n", ["-readonly"])
    #expect(result.text == "5\n5\n")
    #expect(
      result.errorText == """
        Notice: projections.db is not used: it is missing, and a store that is read only cannot change that; all \
        tables are there
        Runtime error near line 2: projections.db cannot be brought up to date, for this store is read only: it is \
        missing (8)

        """)
    #expect(try trace() == before)
    #expect(try shell.run("SELECT count(*) FROM t; SELECT * FROM p WHERE v = 'c';").text == "5\nc|2\n")
  }

  @Test func aProjectionsFileThatIsDamagedOrBehindIsNamed() throws {
    try fill()
    let path = shell.store + "/projections.db"
    let file = try #require(FileManager.default.contents(atPath: path))
    let more = try shell.run("INSERT INTO t VALUES(4,'c');")
    try #require(more.status == 0)
    try file.write(to: URL(fileURLWithPath: path))
    let behind = try shell.run("SELECT count(*) FROM t;", ["-readonly"])
    #expect(behind.text == "4\n" && behind.status == 0)
    #expect(
      behind.errorText.contains("projections.db is not used: it holds position 6, where the log ends at 7"),
      "\(behind.errorText)")
    try Data("no database at all, of any kind".utf8).write(to: URL(fileURLWithPath: path))
    let damaged = try shell.run("SELECT count(*) FROM t;", ["-readonly"])
    #expect(damaged.text == "4\n" && damaged.status == 0)
    #expect(damaged.errorText.contains("projections.db is not used: file is not a database"), "\(damaged.errorText)")
  }

  /// All that reads, on a file system that was mounted so.
  @Test(.enabled(if: canMount, "needs a mount namespace")) func aReadOnlyMountIsRead() throws {
    try fill()
    let script = """
      mount -t tmpfs tmpfs "$2" && cp -r "$1" "$2/s" && mount -o remount,ro "$2" || exit 9
      "$0" "$2/s" < "$3"
      for i in "store $2/s" "store --check $2/s"; do "$0" inspect $i | tail -1 | cut -d' ' -f 1-2; done
      "$0" tail --no-follow "$2/s" | wc -l
      "$0" "$2/s" "INSERT INTO t VALUES(9,'x')"; "$0" tail --no-follow --group g "$2/s"; "$0" "$2/n" "SELECT 1"
      """
    let place = shell.folder.file("m")
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
    try questions.write(toFile: shell.folder.file("q"), atomically: true, encoding: .utf8)
    let result = try runProcess(
      "unshare", ["-rm", "sh", "-c", script, builtProduct("sluice"), shell.store, place, shell.folder.file("q")])
    #expect(result.text == answers + "verdict state=sound\nverdict state=sound\n6\n")
    #expect(
      result.errorText == """
        Error: stepping, this store is read only: the file system is read-only: open \(place)/s/LOCK: Read-only file \
        system (8)
        Error: the file system is read-only: mkdir \(place)/s/groups: Read-only file system
        Error: unable to open store "\(place)/n": the file system is read-only: mkdir \(place)/n: Read-only file system

        """)
  }
}
