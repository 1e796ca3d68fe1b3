// `sluice_events`: what it says about each kind of command, and that conditions on position and time change what is
// read and never what is found.
import Foundation
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

private func line(_ row: [Value]) -> String {
  row.map { if case .text(let bytes) = $0 { String(decoding: bytes, as: UTF8.self) } else { literal($0) } }
    .joined(separator: "|")
}

private let shown = "SELECT \"table\", kind, key, row, accepted, reason FROM sluice_events"

@Suite struct EventTableTests {
  @Test func eachKindIsShown() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v, w TEXT)")
    try session.run("CREATE TABLE s(kind TEXT)")
    try session.run("INSERT INTO t VALUES(1, 0.1, 'say \"a\\b\"' || char(10) || char(1) || 'ü')")
    try session.run("INSERT INTO t VALUES(2, X'00FF', NULL), (1, 1, 'twice')")
    try session.run("INSERT OR IGNORE INTO t VALUES(1, 1, 'thrice')")
    try session.run("INSERT OR REPLACE INTO t VALUES(3, 9e999, NULL)")
    try session.run("UPDATE t SET v = -9e999 WHERE id = 3")
    try session.run("DELETE FROM t WHERE id = 3")
    try session.run("INSERT INTO s VALUES('made')")
    try session.run("DELETE FROM s")
    try session.run("ALTER TABLE t RENAME COLUMN w TO words")
    let taken = session.takeRejections().count
    #expect(taken == 1)
    let lines = try session.run(shown).map(line)
    #expect(lines.count == 12)
    #expect(
      lines[0].hasPrefix("t|catalog|[\"t\"]|{\"operation\":\"create\",\"object\":\"table\",\"id\":1,\"definition\":"))
    #expect(
      lines[2...].prefix(8).map { $0 } == [
        "t|insert|[1]|{\"id\":1,\"v\":0.1,\"words\":\"say \\\"a\\\\b\\\"\\n\\u0001ü\"}|1|NULL",
        "t|insert|[2]|{\"id\":2,\"v\":{\"blob\":\"00ff\"},\"words\":null}|0|"
          + "another command of its statement was rejected",
        "t|insert|[1]|{\"id\":1,\"v\":1,\"words\":\"twice\"}|0|UNIQUE constraint failed: t.id",
        "t|ignore|[1]|{\"id\":1,\"v\":1,\"words\":\"thrice\"}|0|ignored, as its statement asks",
        "t|put|[3]|{\"id\":3,\"v\":9e999,\"words\":null}|1|NULL",
        "t|putIf|[3]|{\"id\":3,\"v\":-9e999,\"words\":null}|1|NULL",
        "t|deleteIf|[3]|NULL|1|NULL",
        "s|insert|[1]|{\"kind\":\"made\"}|1|NULL",
      ])
    #expect(lines[10] == "s|clear|NULL|NULL|1|NULL")
    // What SQLite makes of it.
    #expect(
      try session.run("SELECT json_extract(row, '$.words') FROM sluice_events WHERE position = 3")
        == [[text("say \"a\\b\"\n\u{1}ü")]])
    try store.close()
  }

  @Test func aDroppedTableKeepsTheNamesThatTheRangeTells() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE gone(id INTEGER PRIMARY KEY, v)")
    try session.run("INSERT INTO gone VALUES(7, 'x')")
    try session.run("DROP TABLE gone")
    #expect(
      try session.run(shown + " WHERE kind = 'insert'").map(line) == ["gone|insert|[7]|{\"id\":7,\"v\":\"x\"}|1|NULL"])
    #expect(try session.run(shown + " WHERE position = 2").map(line) == ["NULL|insert|[7]|[7,\"x\"]|1|NULL"])
    try store.close()
  }

  /// The outcome of a batch is asked for as soon as it is applied; its resolution may not be written yet.
  @Test func outcomesAreRightAtOnce() throws {
    let scratch = Scratch()
    let store = try Store.open(path: scratch.file("shop"))
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    for id in 1...300 {
      try session.run("INSERT INTO t VALUES(\(id))")
      try session.run("INSERT INTO t VALUES(\(id))")
      let position = 1 + 2 * id
      let found = try session.run("SELECT accepted FROM sluice_events WHERE position >= \(position - 1)")
      #expect(found == [[.integer(1)], [.integer(0)]], "id \(id)")
      guard found.count == 2 else { break }
    }
    _ = session.takeRejections()
    try store.close()
  }

  @Test(arguments: 1...4) func conditionsFindWhatAFullScanFinds(_ seed: UInt64) throws {
    let bench = Bench()
    let clock = SteppingClock(seed: seed)
    let store = try bench.open { $0.clock = clock }
    let session = try store.makeSession()
    var random = SeededRandom(seed: seed)
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    for id in 1...120 {
      if random.below(6) == 0 {
        try session.run("BEGIN")
        for row in 0..<40 {
          try session.run("INSERT INTO t VALUES(\(id * 100 + row), '\(String(repeating: "y", count: 40))')")
        }
        try session.run("COMMIT")
      } else {
        try session.run("INSERT INTO t VALUES(\(id * 100 + random.below(3)), 'x')")
      }
      if random.below(20) == 0 { try session.settle() }
    }
    try session.settle()
    _ = session.takeRejections()
    // Without push-down: a unary plus keeps SQLite from offering the condition.
    let positions = try session.run("SELECT position, time FROM sluice_events")
    #expect(positions.count == Int(store.lastPosition))
    for _ in 0..<60 {
      let operators = ["=", "<", "<=", ">", ">="]
      var terms: [(String, String, String)] = []
      for _ in 0...random.below(2) {
        let sample = positions[random.below(positions.count)]
        let isTime = random.below(2) == 0
        var value = literal(sample[isTime ? 1 : 0])
        if isTime, random.below(3) == 0 { value = String(value.prefix(1 + 10 + random.below(17))) + "'" }
        if value.hasSuffix("''") { value.removeLast() }
        if !isTime, random.below(4) == 0 { value += ".5" }
        terms.append((isTime ? "time" : "position", operators[random.below(5)], value))
      }
      let pushed = terms.map { "\($0.0) \($0.1) \($0.2)" }.joined(separator: " AND ")
      let plain = terms.map { "+\($0.0) \($0.1) \($0.2)" }.joined(separator: " AND ")
      let query = "SELECT position, accepted, reason FROM sluice_events WHERE "
      #expect(try session.run(query + pushed) == session.run(query + plain), "\(pushed), seed \(seed)")
    }
    try store.close()
  }

  /// A condition on the end of the log is answered without reading its beginning.
  @Test func theEndIsFoundWithoutReadingTheRest() throws {
    let scratch = Scratch()
    var options = StoreOptions()
    let bytes = Monitor(0)
    options.fileSystem = HookedFileSystem(
      RealFileSystem(), reading: { count in bytes.withLock { $0 += count } }, hook: { _ in })
    let store = try Store.open(path: scratch.file("shop"), options: options)
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    for part in 0..<6 {
      try session.run("BEGIN")
      for id in 0..<4_000 {
        try session.run("INSERT INTO t VALUES(\(part * 4_000 + id), '\(String(repeating: "z", count: 600))')")
      }
      try session.run("COMMIT")
    }
    try session.settle()
    func cost(_ sql: String) throws -> Int {
      let before = bytes.withLock { $0 }
      _ = try session.run(sql)
      return bytes.withLock { $0 } - before
    }
    let all = try cost("SELECT count(row) FROM sluice_events")
    #expect(all > 14 << 20)
    let end = try cost("SELECT count(row) FROM sluice_events WHERE position > 23900")
    #expect(end < all / 3, "\(end) of \(all)")
    let last = try #require(try session.run("SELECT max(time) FROM sluice_events").first?.first)
    let time = try cost("SELECT count(row) FROM sluice_events WHERE time >= \(literal(last))")
    #expect(time < all / 3, "\(time) of \(all)")
    try store.close()
  }
}

/// A wall clock that goes on by uneven steps, and now and then back.
final class SteppingClock: Clock {
  private let state: Monitor<(random: SeededRandom, time: Int64)>
  init(seed: UInt64) { state = Monitor((SeededRandom(seed: seed), 1_700_000_000_000_000)) }

  func wallMicroseconds() -> Int64 {
    state.withLock { state in
      state.time += Int64(state.random.below(3_000_000)) - 200_000
      return state.time
    }
  }
  func monotonicNanoseconds() -> UInt64 { UInt64(clamping: state.withLock { $0.time }) * 1_000 }
  func random() -> UInt64 { state.withLock { UInt64($0.random.below(1 << 30)) + 1 } }
}

@Suite struct EventTimeTests {
  @Test func timesAreTextAndBack() {
    for (time, text) in [
      (0, "1970-01-01 00:00:00.000000"), (-1, "1969-12-31 23:59:59.999999"),
      (1_795_514_400_000_001, "2026-11-24 10:00:00.000001"), (951_782_400_000_000, "2000-02-29 00:00:00.000000"),
      (EventTime.lowest, "0001-01-01 00:00:00.000000"), (EventTime.highest, "9999-12-31 23:59:59.999999"),
    ] as [(Int64, String)] {
      #expect(EventTime.text(time) == text)
      #expect(EventTime.parse(text) == time)
    }
    #expect(EventTime.parse("2026-11-24T10:00:00.5Z", isLenient: true) == 1_795_514_400_500_000)
    #expect(EventTime.parse("2026-11-24 10:00") == 1_795_514_400_000_000)
    for text in ["2026-02-29", "2026-11-24T10:00", "2026-13-01", "x", "2026-11-24 24:00", "2026-11-24 10:00:00."] {
      #expect(EventTime.parse(text) == nil, "\(text)")
    }
  }

  @Test func valuesAreJSON() {
    func json(_ value: Value) -> String {
      var buffer = ByteBuffer()
      buffer.append(json: value)
      return String(decoding: buffer.bytes, as: UTF8.self)
    }
    #expect(json(.real(1e20)) == "1e+20" && json(.real(-0.0)) == "-0.0")
    #expect(json(.real(.leastNonzeroMagnitude)) == "5e-324")
    #expect(json(.integer(.min)) == "-9223372036854775808")
    #expect(json(.text([0x61, 0xff, 0x0d, 0x09, 0x1f])) == "\"a\u{fffd}\\r\\t\\u001f\"")
    #expect(json(.blob([])) == "{\"blob\":\"\"}" && json(.null) == "null")
  }
}
