// Opening: who may, what is refused and in which words, and what replay must find.
import Foundation
import SluiceLog
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct OpeningTests {
  @Test func heldStoreIsRefusedNamingTheHolder() throws {
    let scratch = Scratch()
    let store = try Store.open(path: scratch.file("shop"))
    let error = storeError { _ = try Store.open(path: scratch.file("shop")) }
    #expect(error?.kind == .unavailable)
    #expect(error?.message.contains("in use by process \(processIdentifier())") == true, "\(error!)")
    try store.close()
    try Store.open(path: scratch.file("shop")).close()
  }

  /// One that is larger, or of the same size with its checksum.
  @Test(arguments: [0, 100]) func newerFormatIsRefused(_ more: Int) throws {
    let bench = Bench()
    try bench.open().close()
    var bytes = try #require(bench.disk.content("shop/store"))
    bytes[10] = 2
    let sum = bytes.dropLast(4).withUnsafeBytes { checksum($0) }
    bytes.replaceSubrange((bytes.count - 4)..., with: (0..<4).map { UInt8(truncatingIfNeeded: sum >> (8 * $0)) })
    bytes += Array(repeating: 7, count: more)
    try bench.disk.setContent("shop/store", bytes)
    let error = storeError { _ = try bench.open() }
    #expect(error?.kind == .unsupported)
    #expect(error?.message.contains("newer format") == true, "\(error.map { "\($0)" } ?? "opened")")
  }

  @Test func damagedVersionIsDamage() throws {
    let bench = Bench()
    try bench.open().close()
    for place in 8..<12 {
      var bytes = try #require(bench.disk.content("shop/store"))
      bytes[place] ^= 2
      try bench.disk.setContent("shop/store", bytes)
      let error = storeError { _ = try bench.open() }
      #expect(error?.kind == .corrupt, "\(error.map { "\($0)" } ?? "opened")")
      bytes[place] ^= 2
      try bench.disk.setContent("shop/store", bytes)
    }
    try bench.open().close()
  }

  @Test func whatIsNoStoreIsRefused() throws {
    let bench = Bench()
    try bench.disk.createDirectory("shop")
    try bench.disk.setContent("shop/letter.txt", [1, 2, 3])
    let folder = storeError { _ = try bench.open() }
    #expect(folder?.kind == .invalid)
    #expect(folder?.message.contains("not a Sluice store") == true)
    #expect(try bench.disk.list("shop") == ["letter.txt"], "nothing was put into a foreign folder")
    let scratch = Scratch()
    try RealFileSystem().open(scratch.file("file"), .create).close()
    let file = storeError { _ = try Store.open(path: scratch.file("file")) }
    #expect(file?.kind == .invalid && file?.message.contains("it is a file") == true)
    var options = StoreOptions()
    options.createIfMissing = false
    #expect(storeError { _ = try Store.open(path: scratch.file("none"), options: options) }?.kind == .invalid)
  }

  /// Who opened a FIFO would wait for ever.
  @Test(arguments: ["store", "LOCK", "log/00000000000000000001.log", "shards/000/MANIFEST-000001", "groups/g"])
  func aPipeInThePlaceOfAFileIsNamed(_ name: String) throws {
    let scratch = Scratch()
    let path = scratch.file("shop")
    let store = try Store.open(path: path)
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    try session.settle()
    let lock = try store.core.groups.take("g")
    try store.core.groups.write("g", position: 1, timeMicroseconds: 1)
    lock.release()
    try store.close()
    try FileManager.default.removeItem(atPath: path + "/" + name)
    #expect(mkfifo(path + "/" + name, 0o644) == 0)
    let isNamed = { (text: String) in text.contains("open \(path)/\(name): it is a named pipe, not a file") }
    if name.hasPrefix("groups") {
      #expect(isNamed(storeError { _ = try store.core.groups.read("g") }?.message ?? "read"))
    } else {
      #expect(isNamed(storeError { try Store.open(path: path).close() }?.message ?? "opened"))
    }
    var lines: [String] = []
    let outcome = try StoreInspection.run(.store(check: true), path: path) { lines.append($0) }
    #expect(outcome != .sound && lines.contains(where: isNamed), "\(lines)")
  }

  /// A store that is made, and one that was killed behind a large transaction and torn at its end: whatever call is
  /// refused, the error has the file and what the system said.
  @Test(arguments: [false, true]) func eachRefusalNamesItsFile(isNew: Bool) throws {
    let bench = Bench()
    if !isNew {
      let store = try bench.open { $0.memtableBudgetBytes = 1 << 20 }
      let session = try store.makeSession()
      try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
      for round in 0..<3 {
        try session.run("BEGIN")
        for id in 0..<20 { try session.run("INSERT INTO t VALUES(\(round * 20 + id), 'a value of some length')") }
        try session.run("COMMIT")
        try session.settle()
      }
      try session.run("INSERT INTO t VALUES(-1, 'torn')")
      try session.settle()
      try store.close(drain: false)
      let path = try "shop/log/" + #require(try bench.disk.list("shop/log").last { $0.hasSuffix(".log") })
      let bytes = try #require(bench.disk.content(path))
      try bench.disk.setContent(path, Array(bytes[...(try #require(bytes.lastIndex { $0 != 0 }) - 3)]))
      removeDatabase(bench.projections)
    }
    var refusals = 0
    for call in FileCall.allCases {
      for number in 1...1_000 {
        let image = Bench(disk: bench.disk.crashImage(.keepAll))
        try image.disk.inject("fail \(call.rawValue) * at \(number)")
        let error = storeError { try image.open().close(drain: false) }
        guard let error else { break }
        refusals += 1
        // The store's name is durable once the folder around it is synced.
        let isNamed = error.message.contains("shop") || error.message.contains("fsync .: ")
        #expect(
          error.kind == .unavailable && isNamed && error.message.contains("Input/output error"),
          "\(call) \(number): \(error)")
      }
    }
    #expect(refusals > 10, "\(refusals)")
    for size in 0..<(isNew ? 80 : 20) {
      let image = Bench(disk: bench.disk.crashImage(.keepAll))
      try image.disk.inject("full after \(size * 256)")
      guard let error = storeError({ try image.open().close(drain: false) }) else { continue }
      #expect(
        error.sqliteCode == 13 && error.message.contains("shop") && error.message.contains("the disk is full"),
        "\(error)")
    }
  }

  /// Replay computes each outcome again and compares: a resolution that says otherwise is corruption.
  @Test func replayComparesResolutions() throws {
    let bench = Bench()
    let store = try bench.open { $0.memtableBudgetBytes = 1 << 20 }
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    for id in [1, 2, 2, 3] {
      try session.run("INSERT INTO t VALUES(\(id))")
      try session.settle()
    }
    #expect(session.takeRejections().count == 1)
    let identity = store.core.identity
    try store.close(drain: false)
    func tampered(_ rejected: [(index: UInt32, reason: UInt8)], at position: UInt64) throws -> StoreError? {
      let image = Bench(disk: bench.disk.crashImage(.keepAll))
      let log = try Log.open(
        fileSystem: image.disk, directory: "shop/log", storeID: identity.storeID, clock: SimulatedClock(seed: 9))
      try log.append([], [Resolution(batchFirstPosition: position, rejected: rejected)])
      try log.sync()
      log.close()
      return storeError { try image.open().close() }
    }
    #expect(try tampered([(0, 1)], at: 4) == nil, "the same outcome again")
    for (rejected, position) in [([(index: UInt32(0), reason: UInt8(1))], UInt64(2)), ([], 4), ([(0, 2)], 4)] {
      let error = try tampered(rejected, at: position)
      #expect(error?.kind == .corrupt)
      #expect(error?.message.contains("positions \(position) to \(position)") == true)
    }
  }

  /// The log behind what the shards hold is gone: no prefix of it may pass for the whole.
  @Test func missingLogIsCorruption() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    try session.run("INSERT INTO t VALUES(1)")
    try store.core.pipeline.wait { $0.durable == $0.applied ? () : nil }
    try session.settle()
    try store.close()
    for name in try bench.disk.list("shop/log") { try bench.disk.remove("shop/log/" + name) }
    let error = storeError { _ = try bench.open() }
    #expect(error?.kind == .corrupt && error?.message.contains("shop/log is damaged at offset 0: ") == true)
    #expect(error?.message.contains("holds position") == true)
  }

  /// A power cut between the flushes of two shards, then an opening with a smaller budget: generations of the replay
  /// end elsewhere than those before.
  @Test func smallerBudgetAfterAFlushThatEndedHalfWay() throws {
    let bench = Bench()
    let images = Monitor<[SimulatedFileSystem]>([])
    let hooked = HookedFileSystem(bench.disk) { call in
      if call.hasPrefix("create shop/shards/001"), call.hasSuffix(".table") {
        images.update { $0.append(bench.disk.crashImage(.keepNothing)) }
      }
    }
    let store = try Store.open(path: "shop", options: simulatedOptions(hooked, projections: bench.projections))
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.run("CREATE TABLE gone(id INTEGER PRIMARY KEY)")
    try session.run("INSERT INTO gone VALUES(1), (2), (3), (4), (5), (6), (7), (8)")
    try session.run("DROP TABLE gone")
    for id in 0..<60 {
      try session.run("INSERT INTO t VALUES(\(id), '\(String(repeating: "v", count: 150))')")
      try session.settle()
    }
    try store.close()
    let taken = images.withLock { $0 }
    #expect(taken.count > 1)
    for image in taken {
      let after = Bench(disk: image)
      let store = try after.open { $0.memtableBudgetBytes = 700 }
      let rows = try #require(try store.liveContents()["t"])
      #expect(rows.count > 3)
      #expect(try store.makeSession().run("SELECT count(*) FROM t") == [[.integer(Int64(rows.count))]])
      try store.close()
    }
  }
}
