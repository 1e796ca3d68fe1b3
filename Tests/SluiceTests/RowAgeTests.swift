// Removals and conditions on rows of every age: written before and after columns came, replaced by images that are
// older than the last column; with flushes, restarts and rebuilds in between. SQLite, told the same, is the model.
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

private final class RowAgeRun {
  private let bench = Bench()
  private let oracle: Connection
  private var store: Store
  private var session: Session
  private var random: SeededRandom
  private let comment: Comment
  /// Columns added to each table, with their defaults.
  private var added: [String: [Value]] = ["pair": [], "stream": []]
  private(set) var refusals = 0
  private(set) var removals = 0
  private(set) var shortImages = 0

  init(seed: UInt64) throws {
    random = SeededRandom(seed: seed)
    comment = "\(repeatCommand(seed, "RowAgeTests"))"
    oracle = try Connection(path: ":memory:", mode: .readWriteCreate)
    store = try bench.open()
    session = try store.makeSession()
    try session.run("CREATE TABLE pair(a INTEGER, b TEXT, v TEXT, PRIMARY KEY(a, b), SHARD KEY(a))")
    try oracle.execute("CREATE TABLE pair(a INTEGER, b TEXT, v TEXT, PRIMARY KEY(a, b)) WITHOUT ROWID")
    let stream = "CREATE TABLE stream(n INTEGER, w TEXT, v TEXT)"
    try session.createEarly(stream)
    try session.run("CREATE INDEX by_v ON pair(v)")
    for sql in [stream, "CREATE INDEX by_v ON pair(v)"] { try oracle.execute(sql) }
  }

  func step() throws {
    switch random.below(20) {
    case 0...4: try insertPair()
    case 5...7: try insertStream()
    case 8...11: try change("pair")
    case 12...15: try change("stream")
    case 16: try alter(random.chance(1, of: 2) ? "pair" : "stream")
    case 17: try store.flush()
    case 18: try reopen(drain: random.chance(1, of: 2), rebuilds: false)
    default: try reopen(drain: true, rebuilds: random.chance(1, of: 2))
    }
  }

  private func insertPair() throws {
    let key = "\(random.below(6)), 'b\(random.below(5))'"
    let sql = "INSERT OR REPLACE INTO pair(a, b, v) VALUES(\(key), 'v\(random.below(1000))')"
    try session.run(sql)
    try oracle.execute(sql)
  }

  private func insertStream() throws {
    let values = "\(random.below(100)), NULL, 'v\(random.below(1000))'"
    try session.run("INSERT INTO stream(n, w, v) VALUES(\(values))")
    try session.settle()
    try oracle.execute("INSERT INTO stream(rowid, n, w, v) VALUES(\(store.lastPosition), \(values))")
  }

  /// One row gets a new image or goes, if it is the one that is expected.
  private func change(_ table: String) throws {
    try session.settle()
    let rows = try store.liveContents(comment)[table]!.sorted { $0.key < $1.key }.map(\.value)
    guard !rows.isEmpty else { return }
    let row = rows[random.below(rows.count)]
    let count = 3 + random.below(row.values.count - 2)
    var values = Array(row.values[..<count])
    values[2] = text("changed \(random.below(1000))")
    if count < row.values.count { shortImages += 1 }
    let isRemoval = random.chance(1, of: 3)
    let isRight = random.chance(4, of: 5)
    let image = ContentRow(position: 0, values: values, firstPosition: row.firstPosition)
    try session.perform(
      .change(
        table,
        [
          Change(
            kind: isRemoval ? .deleteIf : .putIf, row: image, expected: isRight ? row.position : row.position - 1)
        ]))
    try session.settle()
    #expect(session.takeRejections().map(\.message) == (isRight ? [] : ["the row changed meanwhile"]), comment)
    guard isRight else {
      refusals += 1
      return
    }
    let isStream = table == "stream"
    let key = isStream ? "rowid = \(row.firstPosition)" : "a = \(literal(values[0])) AND b = \(literal(values[1]))"
    try oracle.execute("DELETE FROM \(table) WHERE \(key)")
    if isRemoval {
      removals += 1
      return
    }
    let whole = (values + added[table]!.dropFirst(count - 3)).map(literal).joined(separator: ", ")
    let names = try oracle.prepare("SELECT name FROM pragma_table_info('\(table)')").rows().map {
      if case .text(let name)? = $0.first { String(decoding: name, as: UTF8.self) } else { "" }
    }
    let columns = names.joined(separator: ", ")
    try oracle.execute(
      isStream
        ? "INSERT INTO stream(rowid, \(columns)) VALUES(\(row.firstPosition), \(whole))"
        : "INSERT INTO pair VALUES(\(whole))")
  }

  private func alter(_ table: String) throws {
    let number = added[table]!.count
    guard number < 6 else { return }
    let value: Value = [.integer(Int64(number)), text("d\(number)"), .null, .real(1.5)][random.below(4)]
    for sql in [
      "ALTER TABLE \(table) ADD COLUMN c\(number) DEFAULT \(literal(value))",
      "ALTER TABLE \(table) RENAME COLUMN c\(number) TO d\(number)",
    ] {
      try session.run(sql)
      try oracle.execute(sql)
    }
    added[table]!.append(value)
  }

  private func reopen(drain: Bool, rebuilds: Bool) throws {
    try session.settle()
    try store.close(drain: drain)
    if rebuilds { removeDatabase(bench.projections) }
    store = try bench.open()
    session = try store.makeSession()
  }

  func compare() throws {
    for sql in ["SELECT * FROM pair ORDER BY a, b", "SELECT rowid, * FROM stream ORDER BY rowid"] {
      let found = try session.run(sql).map { $0.map(literal).joined(separator: "|") }
      let expected = try oracle.prepare(sql).rows().map { $0.map(literal).joined(separator: "|") }
      #expect(found == expected, "\(sql): \(found) \(expected) \(comment)")
    }
    let live = try store.liveContents(comment)
    for table in ["pair", "stream"] {
      let found = live[table]!.values.map { $0.values.map(literal).joined(separator: "|") }.sorted()
      let expected = try oracle.prepare("SELECT * FROM \(table)").rows()
      #expect(found == expected.map { $0.map(literal).joined(separator: "|") }.sorted(), comment)
    }
  }

  func end() throws {
    try compare()
    try reopen(drain: true, rebuilds: true)
    try compare()
    try store.close()
    let file = try Connection(path: bench.projections, mode: .readOnly)
    #expect(try file.prepare("PRAGMA integrity_check").rows() == [[text("ok")]], comment)
  }
}

@Suite struct RowAgeTests {
  @Test func changesOfRowsOfEveryAge() throws {
    var seeds = SeededRandom(seed: testSeed())
    var refusals = 0, removals = 0, shortImages = 0
    for _ in 0..<4 {
      let run = try RowAgeRun(seed: seeds.next())
      for step in 0..<150 {
        try run.step()
        if step % 10 == 0 { try run.compare() }
      }
      try run.end()
      refusals += run.refusals
      removals += run.removals
      shortImages += run.shortImages
    }
    #expect(refusals > 5 && removals > 20 && shortImages > 20, "\(refusals) \(removals) \(shortImages)")
  }
}
