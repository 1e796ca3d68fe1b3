// Statements about projections say what is written; durations, sizes, and AS OF at a query's end.
@testable import SluiceSQL
import Testing

@Test func projectionsSayWhatIsWritten() throws {
  #expect(
    try parseStatement("CREATE PROJECTION p AS SELECT a FROM t")
      == .createProjection(CreateProjection(name: "p", select: "SELECT a FROM t")))
  let full = """
    create projection if not exists main."my p" paused primary key (a, [b c]) as -- why
      select a,   b AS "b c" from /* all of */ t /* end */ refresh every '2 min' ; -- end
    """
  let projection = CreateProjection(
    name: "my p", ifNotExists: true, isPaused: true, primaryKey: ["a", "b c"],
    select: "select a, b AS \"b c\" from t", refreshMicroseconds: 120_000_000)
  #expect(try parseStatement(full) == .createProjection(projection))
  // Comments make single spaces of all gaps; without any, the text stays.
  guard case .createProjection(let other) = try parseStatement("CREATE PROJECTION p AS SELECT  a/* x */,b\n FROM t\n;")
  else { throw SQLError(.invalid, "no projection") }
  #expect(other.select == "SELECT a ,b FROM t")
  guard case .createProjection(let plain) = try parseStatement("CREATE PROJECTION p AS SELECT  a,b\n FROM t -- x\n;")
  else { throw SQLError(.invalid, "no projection") }
  #expect(plain.select == "SELECT  a,b\n FROM t")
  #expect(
    print(projection) == """
      CREATE PROJECTION IF NOT EXISTS "my p" PAUSED PRIMARY KEY (a, "b c") AS select a, b AS "b c" from t \
      REFRESH EVERY '2min'
      """)
  #expect(
    printAlteration(CreateProjection(name: "p", select: "VALUES (1)", refreshMicroseconds: 1_500_001))
      == "ALTER PROJECTION p AS VALUES (1) REFRESH EVERY '1500001us'")
}

@Test func refreshCountsAtTheEndOnly() throws {
  func parts(_ query: String) throws -> (String, Int64?) {
    guard case .createProjection(let p) = try parseStatement("CREATE PROJECTION p AS " + query) else {
      throw SQLError(.invalid, "no projection")
    }
    return (p.select, p.refreshMicroseconds)
  }
  #expect(try parts("SELECT 1 REFRESH EVERY '5s'") == ("SELECT 1", 5_000_000))
  #expect(try parts("VALUES (1) refresh every '1d'") == ("VALUES (1)", 86_400_000_000))
  #expect(try parts("SELECT * FROM refresh every") == ("SELECT * FROM refresh every", nil))
  #expect(try parts("SELECT 'REFRESH EVERY' '5s'") == ("SELECT 'REFRESH EVERY' '5s'", nil))
  #expect(try parts("SELECT (SELECT 1 FROM refresh every)") == ("SELECT (SELECT 1 FROM refresh every)", nil))
  #expect(try parts("SELECT \"refresh\" every '5s'").1 == nil)
  #expect(try parts("SELECT 1 -- REFRESH EVERY '5s'") == ("SELECT 1", nil))
}

@Test func commandsSayWhatIsWritten() throws {
  #expect(
    try parseStatement("ALTER PROJECTION p PRIMARY KEY (a) AS SELECT a FROM t REFRESH EVERY '1h'")
      == .alterProjection(
        CreateProjection(
          name: "p", primaryKey: ["a"], select: "SELECT a FROM t", refreshMicroseconds: 3_600_000_000)))
  #expect(
    try parseStatement("DROP PROJECTION IF EXISTS main.p;") == .dropProjection(Drop(name: "p", ifExists: true)))
  #expect(try parseStatement("rebuild projection [p q]") == .rebuildProjection("p q"))
  #expect(try parseStatement("PAUSE PROJECTION p") == .pauseProjection("p"))
  #expect(try parseStatement("RESUME PROJECTION p;") == .resumeProjection("p"))
  #expect(try parseStatement("REDRIVE") == .redrive(projection: nil))
  #expect(try parseStatement("REDRIVE PROJECTION p") == .redrive(projection: "p"))
  func wait(_ target: WaitFor.Target, _ timeout: Int64? = nil) -> Statement {
    .waitFor(WaitFor(projection: "p", target: target, timeoutMicroseconds: timeout))
  }
  #expect(try parseStatement("WAIT FOR p") == wait(.own))
  #expect(try parseStatement("WAIT FOR p AT 123;") == wait(.position(123)))
  #expect(try parseStatement("WAIT FOR p AT 18446744073709551615") == wait(.position(.max)))
  #expect(try parseStatement("wait for main.p at last timeout '2s'") == wait(.last, 2_000_000))
  #expect(try parseStatement("WAIT FOR p TIMEOUT '250ms'") == wait(.own, 250_000))
}

@Test func aStoreKeepsItsEventsForATime() throws {
  func retention(_ text: String) throws -> Retention {
    guard case .alterStore("retain", let value) = try parseStatement("ALTER STORE SET retain " + text) else {
      throw SQLError(.invalid, "not retain")
    }
    return try Retention(value)
  }
  #expect(try parseStatement("ALTER STORE SET retain TO '1 GB' ;") == .alterStore(name: "retain", value: .text("1 GB")))
  #expect(
    try parseStatement("alter store set RETAIN = Forever") == .alterStore(name: "retain", value: .word("forever")))
  #expect(try retention("= '30 days'") == .microseconds(2_592_000_000_000))
  #expect(try retention("TO '10 GB'") == .bytes(10_000_000_000))
  #expect(try retention("= '1GiB'") == .bytes(1 << 30))
  #expect(try retention("= 'FOREVER'") == .forever)
}

@Test(
  arguments: [
    ("250ms", 250_000), ("5s", 5_000_000), ("5 sec", 5_000_000), ("1 second", 1_000_000), ("2 seconds", 2_000_000),
    ("2m", 120_000_000), ("2 min", 120_000_000), ("1 minute", 60_000_000), ("3 MINUTES", 180_000_000),
    ("1h", 3_600_000_000), ("1 hour", 3_600_000_000), ("2 hours", 7_200_000_000), ("1d", 86_400_000_000),
    ("1 day", 86_400_000_000), (" 30 \t days ", 2_592_000_000_000), ("7us", 7),
    ("106751991 days", 9_223_372_022_400_000_000),
    ("106751992 days", nil), ("0s", nil), ("-1s", nil), ("- 1s", nil), ("+1s", nil), ("5", nil), ("", nil), ("s", nil),
    ("1.5s", nil), ("5 s 3", nil), ("5 weeks", nil), ("5 GB", nil), ("99999999999999999999us", nil), ("٣s", nil),
  ] as [(String, Int64?)])
func durationsAreRead(_ text: String, _ microseconds: Int64?) throws {
  #expect(parseDuration(text) == microseconds)
  if let microseconds { #expect(parseDuration(printDuration(microseconds)) == microseconds) }
}

@Test(
  arguments: [
    ("1b", 1), ("10 bytes", 10), ("2kB", 2000), ("512 MB", 512_000_000), ("10 GB", 10_000_000_000),
    ("1 TB", 1_000_000_000_000), ("1KiB", 1024), ("3 mib", 3 << 20), ("1GiB", 1 << 30), ("1 TiB", 1 << 40),
    ("8388607 TiB", 8_388_607 << 40), ("8388608 TiB", nil), ("0 GB", nil), ("-1 GB", nil), ("10", nil), ("GB", nil),
    ("1.5 GB", nil), ("5s", nil), ("", nil),
  ] as [(String, Int64?)])
func sizesAreRead(_ text: String, _ bytes: Int64?) { #expect(parseSize(text) == bytes) }

/// The query in front of AS OF and the point, or nil.
private func split(_ text: String) throws -> (String, AsOfPoint)? {
  let bytes = Array(text.utf8)
  let result = bytes.withUnsafeBytes { text in Result { () throws(SQLError) in try splitAsOf(text) } }
  return try result.get().map { (String(decoding: bytes[..<$0.queryEnd], as: UTF8.self), $0.point) }
}

@Test(arguments: [
  ("SELECT 1 AS OF 1234", "SELECT 1", AsOfPoint.position(1234)),
  ("select a from t as of 0;", "select a from t", .position(0)),
  ("SELECT a FROM t AS OF 18446744073709551615 ;\n", "SELECT a FROM t", .position(.max)),
  ("SELECT a FROM t AS OF 'it''s 5'", "SELECT a FROM t", .time("it's 5")),
  ("SELECT a FROM t AS OF '2026-01-02' -- then\n;", "SELECT a FROM t", .time("2026-01-02")),
  ("SELECT a FROM t AS OF 5 -- of", "SELECT a FROM t", .position(5)),
  ("SELECT a FROM t -- x\n AS/**/OF -- y\n 5 /* z */ ; -- of", "SELECT a FROM t", .position(5)),
  ("SELECT 'AS OF 1' AS of AS OF 2", "SELECT 'AS OF 1' AS of", .position(2)),
  ("SELECT x AS OF\t5", "SELECT x", .position(5)),
])
func asOfEndsAQuery(_ text: String, _ query: String, _ point: AsOfPoint) throws {
  let answer = try #require(try split(text))
  #expect(answer.0 == query && answer.1 == point)
}

@Test(arguments: [
  "SELECT 1", "SELECT 1 AS of", "SELECT 1 AS of;", "SELECT 1 of", "SELECT of FROM t",
  "SELECT a AS of FROM t WHERE b = 5",
  "SELECT 'AS OF 5'", "SELECT 1 -- AS OF 5", "SELECT 1 /* AS OF 5 */", "SELECT 1 AS \"OF\" 5", "AS OF 5", "OF 5", "of",
  "",
  "SELECT 1 AS OF 1.5", "SELECT 1 AS OF -5", "SELECT 1 AS OF 5 LIMIT 1", "SELECT 1 AS OF ?",
  "SELECT 1 AS OF 5; SELECT 2",
  "SELECT profile FROM t", "SELECT a LIMIT 1 OFFSET 5", "SELECT (1 AS OF 5)", "SELECT 'AS OF 5", "SELECT 1 AS OF x'00'",
])
func otherQueriesHaveNoAsOf(_ text: String) throws { #expect(try split(text) == nil) }

@Test func aPositionThatIsTooLargeIsNamed() {
  let error = sqlError { () throws(SQLError) in
    try Array("SELECT 1 AS OF 18446744073709551616".utf8).withUnsafeBytes { text in
      Result { () throws(SQLError) in try splitAsOf(text) }
    }.get()
  }
  #expect(error == SQLError(.invalid, "position 18446744073709551616 is too large", offset: 15))
}
