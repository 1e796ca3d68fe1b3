// Crash everywhere: a workload with everything in it is run on a simulated disk and stopped at each of its file
// calls; what the disk may then hold is opened again. Everything acknowledged must be there, nothing half, in order;
// the shards, the session's SELECT and projections.db must agree; and writing goes on.
//
// The model is SQLite: the contents after each unit (a statement or a whole transaction) are what SQLite holds after
// it. What is found after a crash must equal the contents after some unit, not before the last acknowledged one.
import Foundation
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// What is done in one breath: it is wholly there after a crash, or not at all.
private struct Unit {
  var statements: [String]
  /// Whether the session settles behind it: then it is acknowledged.
  var settles = false
}

/// Column names and rows of each table as literals, rows of a table without a key in order of arrival, else sorted;
/// and the names of all indexes and views.
private typealias Tables = [String: [String]]

private func row(_ values: [Value]) -> String { values.map(literal).joined(separator: ", ") }

/// The statements of the workload, from a seed.
private func makeUnits(_ seed: UInt64) -> [Unit] {
  var random = SeededRandom(seed: seed)
  func number(_ limit: Int) -> Int { random.below(limit) }
  func note() -> String { "note \(number(1_000)) " + String(repeating: "x", count: number(60)) }
  var units = [
    Unit(
      statements: [
        "CREATE TABLE orders(user_id INTEGER, id INTEGER, note TEXT, PRIMARY KEY (user_id, id), SHARD KEY (user_id))"
      ], settles: true),
    Unit(statements: ["CREATE TABLE events(kind TEXT, amount REAL, SHARD KEY (kind))"]),
    Unit(statements: ["CREATE TABLE counted(id INTEGER PRIMARY KEY, note TEXT NOT NULL)"]),
    Unit(statements: ["CREATE INDEX by_note ON counted(note)"]),
    Unit(statements: ["CREATE VIEW noted AS SELECT note FROM counted"]),
  ]
  // The names as ALTER TABLE has left them.
  var counted = "counted", column = "note"
  func insert() -> String {
    let verb = ["INSERT", "INSERT", "INSERT", "INSERT OR REPLACE", "INSERT OR IGNORE"][number(5)]
    switch number(4) {
    case 0: return "INSERT INTO events(kind, amount) VALUES('k\(number(9))', \(number(1_000)).25)"
    case 1: return "\(verb) INTO \(counted)(\(column)) VALUES('\(note())')"
    case 2:
      // Several shards, and now and then a key that is taken: all rows or none.
      let rows = (0..<(2 + number(4))).map { _ in "(\(number(12)), \(number(12)), '\(note())')" }
      return "\(verb) INTO orders(user_id, id, note) VALUES " + rows.joined(separator: ", ")
    default: return "\(verb) INTO orders(user_id, id, note) VALUES(\(number(12)), \(number(12)), '\(note())')"
    }
  }
  for index in 0..<46 {
    switch index {
    case 12: units.append(Unit(statements: ["BEGIN", insert(), insert(), insert(), "ROLLBACK"]))
    case 5: units.append(Unit(statements: ["ALTER TABLE orders ADD COLUMN extra TEXT NOT NULL DEFAULT 'old'"]))
    case 17:
      units.append(Unit(statements: ["ALTER TABLE counted RENAME COLUMN note TO remark"]))
      column = "remark"
    case 11, 32: units.append(Unit(statements: ["DELETE FROM orders"]))
    case 18, 25: units.append(Unit(statements: ["DELETE FROM events"]))
    case 20: units.append(Unit(statements: ["DROP TABLE events"]))
    case 28:
      units.append(Unit(statements: ["ALTER TABLE counted RENAME TO numbered"]))
      counted = "numbered"
    case 33:
      units.append(Unit(statements: ["CREATE TABLE counted(id INTEGER PRIMARY KEY, note TEXT)"]))
      units.append(Unit(statements: ["INSERT INTO counted VALUES(1, 'of another')"]))
    case 35:
      units.append(
        Unit(statements: [
          "BEGIN", insert(), "ALTER TABLE orders ADD weight DEFAULT 1.5", insert(),
          "ALTER TABLE orders RENAME weight TO kilograms",
          "ALTER TABLE events ADD seen INTEGER REFERENCES numbered(id)",
          "COMMIT",
        ]))
    case 22:
      units.append(Unit(statements: ["CREATE TABLE events(kind TEXT, amount REAL, SHARD KEY (kind))"]))
    case 15, 30:
      // More than `stageBytes`: written to a segment of its own and adopted at COMMIT.
      units.append(Unit(statements: ["BEGIN"] + (0..<40).map { _ in insert() } + ["COMMIT"]))
    case 8, 26, 38: units.append(Unit(statements: ["BEGIN", insert(), insert(), insert(), "COMMIT"]))
    default: units.append(Unit(statements: [insert()]))
    }
    units[units.count - 1].settles = number(4) == 0
  }
  return units
}

/// Contents after 0, 1, 2 … units, by SQLite. A statement that it rejects changes nothing.
private func modelStates(_ units: [Unit]) throws -> [Tables] {
  let connection = try Connection(path: ":memory:", mode: .readWriteCreate)
  var states: [Tables] = [[objectsKey: []]]
  for unit in units {
    for statement in unit.statements {
      let plain = statement.replacing(/, SHARD KEY \(\w+\)/, with: "")
      do { try connection.execute(plain) } catch {
        #expect(error.kind == .constraint || error.message.hasPrefix("no such table"), "\(error)")
      }
    }
    states.append(try tables(connection))
  }
  return states
}

private func tables(_ connection: Connection) throws -> Tables {
  let names = try connection.prepare(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' AND name NOT GLOB 'sluice_*'"
  ).rows()
  var result: Tables = [:]
  for case .text(let bytes) in names.compactMap(\.first) {
    let name = String(decoding: bytes, as: UTF8.self)
    let order = name == "events" ? " ORDER BY rowid" : ""
    let rows = try connection.prepare("SELECT * FROM \(name)\(order)").rows().map(row)
    let columns = try connection.prepare("SELECT name FROM pragma_table_info('\(name)')").rows().map(row)
    result[name] = [columns.joined(separator: ", ")] + (order.isEmpty ? rows.sorted() : rows)
  }
  let objects = try connection.prepare(
    "SELECT name FROM sqlite_schema WHERE type IN ('index', 'view') AND sql IS NOT NULL ORDER BY name"
  ).rows()
  result[objectsKey] = objects.map(row)
  return result
}

private let objectsKey = "indexes and views"

/// What is in one and not in the other.
private func difference(_ found: Tables, _ expected: Tables) -> String {
  Set(found.keys).union(expected.keys).sorted().compactMap { name in
    let found = found[name] ?? ["no table"], expected = expected[name] ?? ["no table"]
    if found == expected { return nil }
    return "\(name): has \(found.filter { !expected.contains($0) }), lacks \(expected.filter { !found.contains($0) })"
  }.joined(separator: "; ")
}

/// What the shards hold.
private func liveTables(_ store: Store) throws -> Tables {
  let catalog = store.core.pipeline.catalog.withLock { $0 }
  var result: Tables = [objectsKey: catalog.objects.keys.sorted().map { literal(text($0)) }]
  for (name, contents) in try store.liveContents() {
    let rows = contents.values.sorted { $0.position < $1.position }.map { row($0.values) }
    let columns = catalog.table(name)?.definition.columns.map { literal(text($0.name)) } ?? []
    result[name] = [columns.joined(separator: ", ")] + (name == "events" ? rows : rows.sorted())
  }
  return result
}

/// How far a run came.
private struct Run {
  var submitted = 0
  var acknowledged = 0
}

/// Runs units from `first` on until the end or the first failure of the disk. `atSettled` is called when all is
/// projected.
private func execute(
  _ units: ArraySlice<Unit>, on store: Store, _ run: inout Run, atSettled: (Int) -> Void = { _ in }
) {
  do throws(StoreError) {
    let session = try store.makeSession()
    for unit in units {
      run.submitted += 1
      for statement in unit.statements {
        do throws(StoreError) { _ = try session.execute(statement) } catch {
          guard error.kind == .conflict || error.kind == .invalid else { throw error }
        }
      }
      if unit.settles {
        try session.settle()
        run.acknowledged = run.submitted
        atSettled(run.submitted)
      }
    }
    try session.settle()
    run.acknowledged = run.submitted
  } catch {
    #expect(error.kind == .unavailable, "\(error)")
  }
}

private func close(_ store: Store, drain: Bool) -> StoreError? {
  do {
    try store.close(drain: drain)
    return nil
  } catch { return error }
}

@Suite struct CrashEverywhereTests {
  /// What becomes of projections.db at the crash.
  private enum ProjectionsFate: Int { case kept, deleted, older }

  private func fileCalls(_ units: [Unit]) throws -> Int {
    let bench = Bench()
    let store = try bench.open()
    var run = Run()
    execute(units[...], on: store, &run)
    #expect(run.acknowledged == units.count)
    #expect(close(store, drain: true) == nil)
    let states = try modelStates(units)
    let again = try bench.open()
    #expect(try liveTables(again) == states[units.count])
    #expect(close(again, drain: false) == nil)
    return bench.disk.callCount
  }

  @Test func everythingAcknowledgedIsThereAndNothingHalf() throws {
    let seed = testSeed()
    let units = makeUnits(seed)
    let states = try modelStates(units)
    let callCount = try fileCalls(units)
    #expect(callCount > 150, "the workload has become too small: \(callCount) file calls")
    for k in 1...callCount {
      try crash(at: k, units, states, root: seed)
    }
  }

  private func crash(at k: Int, _ units: [Unit], _ states: [Tables], root: UInt64) throws {
    let seed = root &+ UInt64(k)
    var bench = Bench()
    let story = "crash at file call \(k); \(repeatCommand(root, "everythingAcknowledged"))"
    let fate = ProjectionsFate(rawValue: k % 3)!
    let older = bench.scratch.file("older.db")
    bench.disk.crash(at: k, seed: seed)
    var run = Run()
    do {
      let store = try bench.open()
      execute(units[...], on: store, &run) { unit in
        if unit % 7 == 0 { copyDatabase(bench.projections, to: older) }
      }
      _ = close(store, drain: k % 2 == 0)
    } catch { #expect(error.kind == .unavailable, "\(error); \(story)") }

    switch fate {
    case .kept: break
    case .deleted: removeDatabase(bench.projections)
    case .older:
      removeDatabase(bench.projections)
      if FileManager.default.fileExists(atPath: older) { copyDatabase(older, to: bench.projections) }
    }
    switch k / 3 % 4 {
    case 0: bench.disk = bench.disk.crashImage(.keepNothing)
    case 1: bench.disk = bench.disk.crashImage(.keepAll)
    default: bench.disk = bench.disk.crashImage(.seeded(seed))
    }
    try check(bench, run, units, states, story)
  }

  /// Opens what the crash left, compares it with the model, and goes on from there.
  private func check(
    _ bench: Bench, _ run: Run, _ units: [Unit], _ states: [Tables], _ story: String
  ) throws {
    let store: Store
    do { store = try bench.open() } catch {
      Issue.record("reopening fails: \(error); \(story)")
      return
    }
    let live = try liveTables(store)
    let possible = (run.acknowledged...run.submitted).filter { states[$0] == live }
    guard let reached = possible.last else {
      Issue.record(
        """
        \(story): found \(live), which is no state from unit \(run.acknowledged) to \(run.submitted); \
        acknowledged: \(states[run.acknowledged])
        """)
      return
    }
    var goingOn = Run(submitted: reached, acknowledged: reached)
    execute(units[reached...], on: store, &goingOn)
    #expect(goingOn.acknowledged == units.count, "\(story): writing does not go on")
    let after = try liveTables(store)
    #expect(
      after == states[units.count],
      "\(story): after going on from \(reached): \(difference(after, states[units.count]))")
    #expect(close(store, drain: true) == nil, "\(story)")
    let mirror = try Connection(path: bench.projections, mode: .readOnly)
    #expect(try tables(mirror) == states[units.count], "\(story): projections.db")
  }
}
