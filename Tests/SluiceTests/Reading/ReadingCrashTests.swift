// What a reader sees of a store that a crash left is what opening it for writing finds then, at every file call of a
// workload; and a reader that looked before goes on behind the opening. A store that is only opened for reading is the
// same, and no file is another one behind that.
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// Takes what a power cut would leave before each file call.
///
/// `@unchecked Sendable`: all is on the thread of the test.
private final class CutWatch: @unchecked Sendable {
  private let seed: UInt64
  private let disk: SimulatedFileSystem
  private let part: Int
  private let parts: Int
  var isWatching = true
  private(set) var callCount = 0
  private(set) var readCount = 0
  private(set) var unfinishedCount = 0
  /// Images whose log ends with a transaction that still lies under its old name.
  private(set) var stagedCount = 0

  init(seed: UInt64, disk: SimulatedFileSystem, part: Int, of parts: Int) {
    self.seed = seed
    self.disk = disk
    self.part = part
    self.parts = parts
  }

  func willCall(_ call: String) {
    guard isWatching else { return }
    callCount += 1
    guard callCount % parts == part else { return }
    let modes: [CrashMode] = [.keepAll, .keepNothing, .seeded(seed &+ UInt64(callCount))]
    let isCritical = call.hasPrefix("sync") || call.hasPrefix("rename")
    for (index, mode) in modes.enumerated() where isCritical || callCount / parts % 3 == index {
      let comment: Comment =
        "call \(callCount), before \(call), \(mode), part \(part): \(repeatCommand(seed, "ReadingCrashTests"))"
      do { try compare(Bench(disk: disk.crashImage(mode)), call, comment) } catch {
        Issue.record("\(error); \(comment)")
      }
    }
  }

  private func compare(_ image: Bench, _ call: String, _ comment: Comment) throws {
    let reader: SimulatedReader
    do { reader = try SimulatedReader(image.disk) } catch let error as StoreError {
      #expect(error.kind == .invalid && error.message.hasPrefix("there is no store at shop"), "\(error); \(comment)")
      unfinishedCount += 1
      let store = try image.open()
      #expect(store.lastPosition == 0, comment)
      return try store.close()
    }
    let before = reader.reader.view
    let beforeNames = try image.disk.list("shop/log")
    try readOnly(image, before, comment)
    let store = try image.open()
    readCount += 1
    try expectEqual(before, store, comment)
    try reader.refresh()
    #expect(reader.reader.position == store.lastPosition, comment)
    if Set(try image.disk.list("shop/log")).subtracting(beforeNames).contains(where: { $0.hasSuffix(".adopted.log") }) {
      stagedCount += 1
    }
    // A row more, and the reader has it.
    let session = try store.makeSession()
    try session.run("CREATE TABLE later(n INTEGER PRIMARY KEY)")
    try session.run("INSERT INTO later VALUES(7)")
    try session.settle()
    try reader.refresh()
    try expectEqual(reader.reader.view, store, comment)
    #expect(reader.reader.view.catalog.table("later") != nil, comment)
    try store.close()
  }
}

extension CutWatch {
  private func readOnly(_ image: Bench, _ expected: StoreView, _ comment: Comment) throws {
    let before = try files(image.disk)
    let store = try image.open { $0.isReadOnly = true }
    try expectEqual(expected, store, comment)
    var session: Session? = try store.makeSession()
    for table in expected.catalog.tables.values {
      let count = try session?.run("SELECT count(*) FROM \"\(table.name)\" WHERE 1").first?.first
      #expect(count == .integer(Int64(try expected.contents()[table.name]?.count ?? -1)), comment)
    }
    let error = storeError { try session?.run("CREATE TABLE later(n INTEGER PRIMARY KEY)") }
    #expect(error?.sqliteCode == 8 && error?.message.hasPrefix("this store is read only: ") == true, comment)
    session = nil
    try store.close()
    #expect(try files(image.disk) == before, comment)
  }

  /// All files with what they hold.
  private func files(_ disk: SimulatedFileSystem) throws -> [String: [UInt8]?] {
    var found: [String: [UInt8]?] = [:]
    var folders = ["shop"]
    while let folder = folders.popLast() {
      for name in try disk.list(folder) {
        let path = folder + "/" + name
        found[path] = disk.content(path)
        if disk.content(path) == nil { folders.append(path) }
      }
    }
    return found
  }
}

@Suite struct ReadingCrashTests {
  private static let parts = 4

  /// In parts, which run beside one another: each takes every fourth call.
  @Test(arguments: 0..<parts)
  func aReaderSeesWhatOpeningFinds(_ part: Int) throws {
    let seed = testSeed()
    let bench = Bench()
    let watch = CutWatch(seed: seed, disk: bench.disk, part: part, of: Self.parts)
    let hooked = HookedFileSystem(bench.disk) { watch.willCall($0) }
    let comment: Comment = "\(repeatCommand(seed, "ReadingCrashTests"))"
    // A store without its directory is none.
    watch.isWatching = false
    try hooked.createDirectory("shop")
    watch.isWatching = true
    let run = try WorkloadRun(
      Workload(seed: seed, count: 90), options: simulatedOptions(hooked, projections: bench.projections), least: 0,
      comment: comment)
    try run.run(to: run.workload.steps.count)
    watch.isWatching = false
    try run.closeAndCompareFile()
    #expect(watch.readCount > 50, "the workload is too small; \(comment)")
    #expect(watch.unfinishedCount > 0, "no store was unfinished; \(comment)")
  }

  /// A large transaction is in the log from the moment its adoption is: also where its file has its old name still.
  @Test func aTransactionUnderItsOldNameIsRead() throws {
    let bench = Bench()
    let watch = CutWatch(seed: 1, disk: bench.disk, part: 0, of: 1)
    let hooked = HookedFileSystem(bench.disk) { watch.willCall($0) }
    watch.isWatching = false
    let store = try Store.open(path: "shop", options: simulatedOptions(hooked, projections: bench.projections))
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.settle()
    watch.isWatching = true
    try session.run("BEGIN")
    for id in 0..<100 { try session.run("INSERT INTO t VALUES(\(id), 'a value of some length')") }
    #expect(session.transaction?.staged != nil)
    try session.run("COMMIT")
    try session.settle()
    watch.isWatching = false
    try store.close()
    #expect(watch.stagedCount > 0, "no transaction was found under its old name")
  }
}
