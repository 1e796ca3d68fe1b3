// What the tests of the store share: scratch folders, stores on a simulated disk, and contents read from three places
// (the shards, the session's SELECT, projections.db opened by SQLite itself) in one form, so that they can be compared.
import Foundation
import SluiceLSM
import SluiceSQL
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// A folder of its own, in memory where the machine has such a place, removed with the last reference.
final class Scratch: Sendable {
  let path: String

  init() {
    let base = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm/" : NSTemporaryDirectory()
    path = base + "sluice-store-\(UUID().uuidString)"
    do { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) } catch {
      fatalError("no scratch folder at \(path): \(error)")
    }
  }

  deinit { do { try FileManager.default.removeItem(atPath: path) } catch {} }

  func file(_ name: String) -> String { path + "/" + name }
}

/// Copies a SQLite file with its write-ahead log, as they lie; what stood at the target is replaced.
func copyDatabase(_ source: String, to target: String) {
  removeDatabase(target)
  for suffix in ["", "-wal"] where FileManager.default.fileExists(atPath: source + suffix) {
    do { try FileManager.default.copyItem(atPath: source + suffix, toPath: target + suffix) } catch {
      Issue.record("\(error)")
    }
  }
}

func removeDatabase(_ path: String) {
  for suffix in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: path + suffix) {
    do { try FileManager.default.removeItem(atPath: path + suffix) } catch { Issue.record("\(error)") }
  }
}

/// Options of a store on a simulated disk, without threads: who waits drives the roles, step by step.
func simulatedOptions(_ disk: any FileSystem, projections: String, seed: UInt64 = 1) -> StoreOptions {
  var options = StoreOptions()
  options.fileSystem = disk
  options.clock = SimulatedClock(seed: seed)
  options.threaded = false
  options.projectionsPath = projections
  options.shardCount = 3
  options.memtableBudgetBytes = 4 << 10
  options.stageBytes = 1 << 10
  // Disks of a few kilobytes are of interest: they fill up under the store's feet, not below a watermark.
  options.diskReserveBytes = 0
  return options
}

/// A disk in memory with a folder for projections.db beside it.
struct Bench {
  var disk = SimulatedFileSystem()
  let scratch = Scratch()
  var projections: String { scratch.file("projections.db") }
  var options: StoreOptions { simulatedOptions(disk, projections: projections) }

  func open(_ change: (inout StoreOptions) -> Void = { _ in }) throws(StoreError) -> Store {
    var options = options
    change(&options)
    return try Store.open(path: "shop", options: options)
  }
}

/// The error that `body` throws, which must be a StoreError.
func storeError(_ body: () throws -> Void) -> StoreError? {
  do {
    try body()
    return nil
  } catch let error as StoreError {
    return error
  } catch {
    Issue.record("not a StoreError: \(error)")
    return nil
  }
}

func text(_ string: String) -> Value { .text(Array(string.utf8)) }

/// A value as an SQL literal.
func literal(_ value: Value) -> String {
  switch value {
  case .null: return "NULL"
  case .integer(let number): return String(number)
  case .real(let number): return "\(number)"
  case .text(let bytes): return "'" + String(decoding: bytes, as: UTF8.self).replacing("'", with: "''") + "'"
  case .blob(let bytes):
    let digits = Array("0123456789abcdef")
    return "X'" + String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }) + "'"
  }
}

extension Session {
  /// Executes a statement and takes all of its rows.
  @discardableResult
  func run(_ sql: String) throws(StoreError) -> [[Value]] {
    guard case .rows(let rows) = try execute(sql) else { return [] }
    var result: [[Value]] = []
    while try rows.next() { result.append((0..<rows.columnCount).map { rows.value($0) }) }
    return result
  }
}

extension Session {
  /// Creates a table without a primary key as early versions did: its rows are keyed by their positions.
  func createEarly(_ sql: String) throws(StoreError) {
    let definition: CreateTable
    do {
      guard case .createTable(let parsed) = try parseStatement(sql) else { preconditionFailure(sql) }
      definition = parsed
    } catch { throw StoreError(converting: error) }
    invariant(definition.primaryKey.isEmpty, "a table that early versions made no other way")
    try change(
      CatalogChange(
        operation: .create, object: .table, tableID: try store.newTableID(), name: definition.name,
        definition: SluiceSQL.print(definition, shardKey: true)), line: 1)
  }
}

extension Store {
  var lastPosition: UInt64 { core.pipeline.log.lastPosition }
  var progress: Sluice.Progress { core.pipeline.progress.withLock { $0 } }

  /// Rows of all SQL tables as the shards hold them, by table and key. A key on two shards is recorded as an issue.
  func liveContents(_ comment: Comment? = nil) throws -> Contents {
    let catalog = core.pipeline.catalog.withLock { $0 }
    let snapshots = core.pipeline.engines.map { $0.snapshot(at: EngineLimits.position) }
    return try SluiceTests.contents(catalog, snapshots, comment)
  }
}

extension StoreView {
  /// Rows of all SQL tables, by table and key.
  func contents(_ comment: Comment? = nil) throws -> Contents {
    try SluiceTests.contents(catalog, snapshots, comment)
  }
}

private func contents(_ catalog: Catalog, _ snapshots: [Snapshot], _ comment: Comment?) throws -> Contents {
  var contents = Contents()
  for table in catalog.tables.values {
    var rows: [String: ContentRow] = [:]
    let lower = keyPrefix(ofTable: table.id), upper = keyPrefix(ofTable: table.id + 1)
    for snapshot in snapshots {
      let iterator = snapshot.iterator(lower: lower, upper: upper)
      while try iterator.next() {
        let entry = iterator.current
        let stored = try #require(RowReader(entry.value).values(), comment)
        let values = stored + table.definition.columns.dropFirst(stored.count).map(\.valueOfEarlierRows)
        let first = table.isKeyless ? UInt64(bitPattern: try #require(table.rowid(ofKey: entry.key))) : 0
        let row = ContentRow(position: entry.position, values: values, firstPosition: first)
        let key = contentKey(table.definition.primaryKey, row)
        let story = comment.map { "\($0)" } ?? ""
        #expect(rows[key] == nil, "\(table.name): \(key) lies on two shards; \(story)")
        rows[key] = row
      }
    }
    contents[table.name] = rows
  }
  return contents
}

/// A row with the position that wrote it, and, of a table without a key, the number or position that it is keyed by.
struct ContentRow: Equatable {
  let position: UInt64
  let values: [Value]
  var firstPosition: UInt64 = 0
}

/// SQL table, key, row.
typealias Contents = [String: [String: ContentRow]]

/// The primary key as text, or the number or position of a row without one.
func contentKey(_ primaryKey: [Int], _ row: ContentRow) -> String {
  primaryKey.isEmpty ? "#\(row.firstPosition)" : primaryKey.map { literal(row.values[$0]) }.joined(separator: ",")
}

/// The first difference in words, or nil.
func difference(_ found: Contents, _ expected: Contents) -> String? {
  if Set(found.keys) != Set(expected.keys) { return "tables \(found.keys.sorted()), not \(expected.keys.sorted())" }
  for (table, rows) in expected.sorted(by: { $0.key < $1.key }) {
    for (key, row) in rows where found[table]?[key] != row {
      return "\(table) \(key): \(found[table]?[key].map { "\($0)" } ?? "missing"), not \(row)"
    }
    if let extra = found[table]?.keys.first(where: { rows[$0] == nil }) { return "\(table) \(extra): should not be" }
  }
  return nil
}
