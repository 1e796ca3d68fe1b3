// Results printed exactly as stock sqlite3 prints them.
import SluiceTesting
import Testing

@Suite struct OutputModeTests {
  static let modes = [
    "ascii", "box", "column", "csv", "json", "line", "list", "markdown", "quote", "table", "tabs",
  ]

  static let awkward = """
    SELECT 1 AS a, 'xé' AS "long é name", NULL AS n, 0.1 AS r, 1e300*10 AS big, X'41ff' AS b, \
    'l1'||char(10)||'l2'||char(9)||'t' AS ml;
    SELECT 1 AS zero WHERE 0;
    SELECT 1 AS u UNION ALL SELECT 2;
    SELECT 0.1 AS r, 1/3.0, 1e999, -1e999, 1e15, 123456789012345680.0, 2.0, 5e-324, -0.0;
    SELECT X'410042' AS blob, char(65,0,66) AS text, '' AS empty, X'' AS none;
    SELECT 'a,b', 'a|b', 'q"q', 'it''s', ' ', char(127), char(1), 'a\\b';
    SELECT replace(hex(zeroblob(50)), '0', 'x') AS wide, 1 AS narrow;

    """

  @Test(arguments: modes) func modeByCommand(mode: String) throws {
    try ShellUnderTest().expectLikeStock(".mode \(mode)\n" + Self.awkward + ".headers on\n" + Self.awkward)
  }

  @Test(arguments: modes) func modeByOption(mode: String) throws {
    try ShellUnderTest().expectLikeStock(Self.awkward, ["-\(mode)"])
    try ShellUnderTest().expectLikeStock(Self.awkward, ["-header", "-\(mode)", "-nullvalue", "NIL"])
  }

  @Test func separatorsAndNull() throws {
    try ShellUnderTest().expectLikeStock(Self.awkward, ["-separator", "<>", "-newline", "END\n"])
    try ShellUnderTest().expectLikeStock(".separator \"\\t\" '\\n'\n.nullvalue 'a b'\n" + Self.awkward)
  }

  @Test func digitsOfReals() throws {
    var random = SeededRandom(seed: testSeed())
    var script = ".mode json\n"
    for _ in 0..<400 {
      let any = Double(bitPattern: random.next())
      let money = Double(random.below(20_000_000) - 10_000_000) / 100
      script += "SELECT \(any.isFinite ? any : 0) AS a, \(money) AS b, 1e\(random.below(60) - 30) AS c;\n"
    }
    let ours = try ShellUnderTest().run(script)
    let again = repeatCommand(random.seed, "digitsOfReals")
    #expect(try ours.text == stockSQLite(script).text, "\(again)")
  }

  @Test func randomTables() throws {
    var random = SeededRandom(seed: testSeed())
    var script = ""
    for _ in 0..<150 { script += Self.randomResult(&random) }
    let ours = try ShellUnderTest().run(script)
    let again = repeatCommand(random.seed, "randomTables")
    #expect(try ours.text == stockSQLite(script).text, "\(again)")
  }

  /// A mode with random switches and a SELECT of a few awkward values.
  private static func randomResult(_ random: inout SeededRandom) -> String {
    let mode = modes[random.below(modes.count)]
    let wraps = ["", "", " --wrap 5", " --wrap 7 --wordwrap on", " --ww"]
    let isColumnar = ["box", "column", "markdown", "table"].contains(mode)
    var text = ".mode \(mode)\(isColumnar ? wraps[random.below(wraps.count)] : "")\n"
    if random.chance(1, of: 5) { text += ".width \(random.below(19) - 9) \(random.below(19) - 9)\n" }
    if random.chance(1, of: 9) { text += ".headers \(random.chance(1, of: 2) ? "on" : "off")\n" }
    let columns = 1 + random.below(3)
    var rows: [String] = []
    for _ in 0...random.below(4) {
      rows.append("(" + (0..<columns).map { _ in randomValue(&random) }.joined(separator: ",") + ")")
    }
    return text + "SELECT * FROM (VALUES \(rows.joined(separator: ",")));\n"
  }

  private static func randomValue(_ random: inout SeededRandom) -> String {
    let letters = Array("éabc d,ef\tg\n\"' |")
    switch random.below(6) {
    case 0: return "NULL"
    case 1: return "\(random.below(199) - 99)"
    case 2: return ["X'610062'", "X'61ff0a'", "X''"][random.below(3)]
    default:
      let text = (0..<random.below(26)).map { _ in String(letters[random.below(letters.count)]) }.joined()
      return "'" + text.replacing("'", with: "''") + "'"
    }
  }
}
