// What `sqlite3 .dump` writes from a nasty database loads as it is, and holds the same.
import Foundation
import SluiceTesting
import Testing

@Suite struct DumpTests {
  private static let nasty = """
    CREATE TABLE "order lines"(id INTEGER PRIMARY KEY AUTOINCREMENT, "a ""quoted"" name" TEXT, [bracketed] BLOB,
      `ticked` NUMERIC(10,2) DEFAULT 1.5, note NVARCHAR(160) NOT NULL DEFAULT 'x', CHECK (id > 0));
    INSERT INTO "order lines" VALUES(1, 'it''s', X'00ff10', 3.25, 'line one' || char(10) || 'line two');
    INSERT INTO "order lines" VALUES(2, '', X'', NULL, 'tab' || char(9) || 'return' || char(13) || char(10) || 'end');
    INSERT INTO "order lines" VALUES(7, 'größer – 木 😀', zeroblob(24000), 1e300, hex(zeroblob(12000)));
    INSERT INTO "order lines" VALUES(8, NULL, X'27', -0.0, 'semicolon; -- no comment /* here */');
    CREATE TABLE parent(code TEXT PRIMARY KEY, v) WITHOUT ROWID;
    CREATE TABLE child(code TEXT REFERENCES parent(code), n INT, PRIMARY KEY(code, n));
    INSERT INTO parent VALUES('b', 9223372036854775807), ('a', -9223372036854775808), ('c', 1.0), ('d', '1.0');
    INSERT INTO child VALUES('a', 1), ('a', 2), ('b', 1);
    CREATE TABLE plain(a, b);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
      INSERT INTO plain SELECT i, 'row ' || i FROM n;
    CREATE INDEX plain_b ON plain(b);
    CREATE VIEW both AS SELECT code, v, n FROM parent JOIN child USING (code);
    """

  private static let queries = [
    "SELECT * FROM \"order lines\" ORDER BY id",
    "SELECT hex(bracketed), typeof(ticked) FROM \"order lines\" ORDER BY id",
    "SELECT *, typeof(v) FROM parent ORDER BY code", "SELECT * FROM child ORDER BY code, n",
    "SELECT * FROM plain ORDER BY a", "SELECT * FROM both ORDER BY code, n",
    "SELECT name FROM sqlite_schema WHERE type IN ('index', 'view') AND sql NOT NULL ORDER BY name",
    "SELECT * FROM sqlite_sequence",
  ]

  private func check(_ script: String, against stock: String, _ folder: TemporaryFolder) throws {
    let store = folder.file("dump.sluice")
    let load = try runProcess(builtProduct("sluice"), [store], input: Array(script.utf8))
    #expect(load.errorText == "")
    #expect(load.status == 0)
    for query in Self.queries {
      let expected = try stockSQLite(query, database: stock)
      let found = try stockSQLite(query, database: store + "/projections.db")
      #expect(found.text == expected.text, "\(query)")
      #expect(found.errorText == expected.errorText)
    }
    let next = try runProcess(
      builtProduct("sluice"),
      [store, "INSERT INTO \"order lines\"(note) VALUES('next')", "SELECT max(id) FROM \"order lines\""])
    #expect(next.text == "9\n")
  }

  @Test(arguments: ["\n", "\r\n"]) func loadsAsItIs(lineEnd: String) throws {
    let folder = TemporaryFolder()
    let stock = folder.file("stock.db")
    _ = try stockSQLite(Self.nasty, database: stock)
    let dump = try stockSQLite(".dump", database: stock).text
    #expect(dump.contains("replace("))
    try check(dump.replacing("\n", with: lineEnd), against: stock, folder)
  }

  /// The same rows as a few INSERTs of thousands of rows, with comments between.
  @Test func largeStatements() throws {
    let folder = TemporaryFolder()
    let stock = folder.file("stock.db")
    let rows = (1...6_000).map { "(\($0), 'row \($0)' /* \($0) */)" }.joined(separator: ",\n")
    let script = "-- a comment\nCREATE TABLE plain(a, b); /* another\n one */ INSERT INTO plain VALUES \(rows);\n"
    _ = try stockSQLite(script, database: stock)
    let store = folder.file("large.sluice")
    let load = try runProcess(builtProduct("sluice"), [store], input: Array(script.utf8))
    #expect(load.errorText == "")
    let query = "SELECT * FROM plain ORDER BY a"
    #expect(
      try stockSQLite(query, database: store + "/projections.db").text == stockSQLite(query, database: stock).text)
  }
}
