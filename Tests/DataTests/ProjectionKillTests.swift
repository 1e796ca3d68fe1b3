// Projections and SIGKILL: the real binary loads real rows, updates and deletes among them, into a store with
// projections of every kind, and is killed at a random time, again and again. After each reopening every projection has
// the rows of its SELECT, over the shards as over the mirror: what was missing or counted twice would show in sums and
// counts.
//
// SLUICE_KILLS=200 swift test --filter ProjectionKillTests
import Foundation
import SluiceTesting
import Testing

@Suite(.serialized) struct ProjectionKillTests {
  private static let kills = ProcessInfo.processInfo.environment["SLUICE_KILLS"].flatMap { Int($0) } ?? 10

  /// The last one becomes another one from time to time, see `changing`.
  private static let projections = [
    (
      "by_way",
      "SELECT carrier, dest, count(*) AS c, sum(distance) AS m, sum(dep_delay) AS late FROM $ GROUP BY carrier, dest"
    ),
    (
      "by_tail",
      "SELECT tailnum, count(*) AS c, min(dep_time) AS first, max(arr_delay) AS worst FROM $ GROUP BY tailnum"
    ),
    (
      "spread",
      "SELECT origin, count(DISTINCT tailnum) AS p, count(DISTINCT dest) AS d, sum(air_time) AS t FROM $ GROUP BY 1"
    ),
    ("late", "SELECT event_id, carrier, arr_delay FROM $ WHERE arr_delay > 20"),
    ("whole", "SELECT count(*) AS c, sum(event_id) AS ids, sum(arr_delay) AS late, max(distance) AS far FROM $"),
    ("changing", changing[0]),
  ]

  private static let changing = [
    "SELECT dest, count(*) AS c, sum(flight) AS f FROM $ GROUP BY dest",
    "SELECT arr_delay % 10 AS d, max(event_id) AS last, count(DISTINCT origin) AS o FROM $ GROUP BY arr_delay % 10",
    "SELECT tailnum, flight, event_id FROM $ WHERE dep_time IS NOT NULL",
  ]

  /// CREATE TABLE, and an INSERT of some rows in each line behind it.
  private func script() throws -> [String] {
    if hasData {
      let shape = Shape(
        dataSet: "flights", key: "event_id", shardKey: "", rowsPerStatement: 20, transactionRows: 0)
      let command = shape.script(dataFolder, hasShardKey: false) + " --limit 6000"
      return try runProcess("/bin/bash", ["-c", command]).text.split(separator: "\n").map(String.init)
    }
    let columns = [
      "event_id INTEGER PRIMARY KEY", "month INTEGER", "day INTEGER", "sched_dep_time INTEGER", "dep_time INTEGER",
      "dep_delay INTEGER", "arr_time INTEGER", "arr_delay INTEGER", "carrier TEXT", "flight INTEGER", "tailnum TEXT",
      "origin TEXT", "dest TEXT", "air_time INTEGER", "distance INTEGER",
    ]
    func row(_ id: Int) -> String {
      let delay = id % 41 == 0 ? "NULL" : "\(id * 7 % 90 - 20)"
      let tail = id % 53 == 0 ? "NULL" : "'N\(id * 31 % 900)'"
      let left = id % 60 == 0 ? "NULL" : "\(500 + id % 900)"
      return "(\(id), 1, 1, 500, \(left), \(delay), 900, \(delay), 'C\(id % 11)', "
        + "\(id % 400), \(tail), 'O\(id % 3)', 'D\(id * 13 % 70)', \(id % 300), \(id * 17 % 2500))"
    }
    let inserts = (0..<300).map { line in
      "INSERT INTO flights VALUES " + (0..<20).map { row(line * 20 + $0 + 1) }.joined(separator: ", ") + ";"
    }
    return ["CREATE TABLE flights (\(columns.joined(separator: ", ")));"] + inserts
  }

  @Test func everyProjectionIsWhatItsSelectIs() throws {
    let seed = testSeed()
    var random = SeededRandom(seed: seed)
    let lines = try script()
    #expect(lines.count > 250 && lines[0].hasPrefix("CREATE TABLE"))
    let folder = TemporaryFolder()
    let store = folder.file("killed.sluice"), input = folder.file("in.sql")
    let head = [lines[0]] + Self.projections.map { "CREATE PROJECTION \($0) AS \($1.replacing("$", with: "flights"));" }
    let made = try runProcess(builtProduct("sluice"), [store], input: Array(head.joined(separator: "\n").utf8))
    #expect(made.status == 0, "\(made.errorText)")
    var killed = 0
    for round in 1...Self.kills {
      try Data(load(lines, &random).utf8).write(to: URL(fileURLWithPath: input))
      let milliseconds = 30 + random.below(700)
      let run = try runProcess(
        "/bin/bash",
        [
          "-c",
          "'\(builtProduct("sluice"))' '\(store)' < '\(input)' & child=$!; sleep \(Double(milliseconds) / 1000); "
            + "kill -9 $child; wait $child; echo status $?",
        ])
      if run.text.contains("status 137") { killed += 1 }
      // Now and then it is killed again before anybody has looked.
      if random.below(4) > 0 || round == Self.kills {
        try check(store, "seed \(seed), kill \(round) after \(milliseconds) ms")
      }
    }
    #expect(killed * 2 > Self.kills, "\(killed) of \(Self.kills) were killed before they had ended; seed \(seed)")
    let rows = try stockSQLite("SELECT count(*) > 300 FROM flights", database: store + "/projections.db")
    #expect(rows.text == "1\n", "hardly anything was loaded; seed \(seed)")
    print("\(killed) of \(Self.kills) processes were killed at work; seed \(seed)")
  }

  /// Statements for about a second.
  private func load(_ lines: [String], _ random: inout SeededRandom) -> String {
    var text = ""
    for step in 0..<400 {
      let first = 1 + random.below(6_000)
      let few = "event_id BETWEEN \(first) AND \(first + random.below(120))"
      switch random.below(16) {
      case 0: text += "DELETE FROM flights WHERE \(few);\n"
      case 1: text += "UPDATE flights SET arr_delay = arr_delay + 3, tailnum = NULL WHERE \(few);\n"
      case 2: text += "UPDATE flights SET dest = 'D' || (event_id % 9), dep_delay = NULL WHERE \(few);\n"
      case 3: text += "UPDATE flights SET carrier = CASE carrier WHEN 'UA' THEN 'AA' ELSE 'UA' END WHERE \(few);\n"
      case 4:
        text += "BEGIN;\n"
        for _ in 0..<5 { text += insert(lines, &random) }
        text += "DELETE FROM flights WHERE \(few);\n" + (random.below(5) == 0 ? "ROLLBACK;\n" : "COMMIT;\n")
      case 5 where step % 3 == 0:
        let (name, _) = Self.projections[random.below(Self.projections.count)]
        text += "REBUILD PROJECTION \(name);\n"
      case 6 where step % 3 == 0:
        let select = Self.changing[random.below(Self.changing.count)].replacing("$", with: "flights")
        text += "DROP PROJECTION changing;\nCREATE PROJECTION changing AS \(select);\n"
      default: text += insert(lines, &random)
      }
    }
    return text
  }

  private func insert(_ lines: [String], _ random: inout SeededRandom) -> String {
    let line = lines[1 + random.below(lines.count - 1)]
    return "INSERT OR REPLACE" + line.dropFirst("INSERT".count) + "\n"
  }

  /// Opens the store, and compares each projection with its SELECT over the live table; then, with the store closed and
  /// by stock sqlite3, with its SELECT over the mirror, and the checkpoint with the last position.
  private func check(_ store: String, _ story: String) throws {
    let file = store + "/projections.db"
    var arguments = [store, "SELECT sluice_position()"]
    let changing = try definition(store)
    // Killed between DROP and CREATE.
    if changing == nil {
      arguments.append("CREATE PROJECTION changing AS \(Self.changing[0].replacing("$", with: "flights"))")
    }
    let all = Self.projections.dropLast() + [("changing", changing ?? Self.changing[0].replacing("$", with: "flights"))]
    for (name, select) in all {
      arguments += [
        "WAIT FOR \(name) AT LAST", "SELECT '-- found \(name)'", "SELECT * FROM \(name) ORDER BY 1, 2, 3",
        "SELECT '-- expected \(name)'", "\(select.replacing("$", with: "flights")) ORDER BY 1, 2, 3",
      ]
    }
    arguments += ["SELECT '-- position'", "SELECT sluice_position()"]
    let run = try runProcess(builtProduct("sluice"), arguments)
    #expect(run.status == 0, "\(story): \(run.errorText)")
    let parts = run.text.split(separator: "-- ").map { $0.split(separator: "\n", maxSplits: 1) }
    let answers = Dictionary(parts.map { (String($0[0]), $0.count > 1 ? String($0[1]) : "") }) { $1 }
    for (name, _) in all {
      let found = answers["found \(name)"], expected = answers["expected \(name)"]
      let contents = "\(found ?? "nothing"), not \(expected ?? "that")"
      #expect(found != nil && found == expected, "\(story): \(name) has \(contents)")
    }
    for (name, select) in all {
      let mirrored = select.replacing("$", with: "flights")
      let difference = try stockSQLite(
        "SELECT * FROM \(name) EXCEPT \(mirrored); \(mirrored) EXCEPT SELECT * FROM \(name);", database: file)
      #expect(
        difference.text == "" && difference.errorText == "", "\(story): \(name) and the mirror: \(difference.text)")
    }
    let position = try stockSQLite("SELECT position FROM sluice_checkpoint", database: file)
    #expect(position.text == answers["position"], "\(story): \(position.text)")
    let rejected = try stockSQLite(
      "SELECT count(*) FROM sluice_rejected; SELECT count(*) FROM sluice_copies WHERE state <> 'current';",
      database: file)
    #expect(rejected.text == "0\n0\n", "\(story): \(rejected.text)")
  }

  /// What `changing` is now, once the store is open and at rest; nil: there is none.
  private func definition(_ store: String) throws -> String? {
    let opened = try runProcess(builtProduct("sluice"), [store, "WAIT FOR flights AT LAST"])
    #expect(opened.status == 0, "\(opened.errorText)")
    let text = try stockSQLite(
      "SELECT definition FROM sluice_copies WHERE projection = 'changing' ORDER BY serial DESC LIMIT 1",
      database: store + "/projections.db"
    ).text
    guard let select = text.split(separator: " AS ", maxSplits: 1).dropFirst().first else { return nil }
    return select.trimmingCharacters(in: .newlines)
  }
}
