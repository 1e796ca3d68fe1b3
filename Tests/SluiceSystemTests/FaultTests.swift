// Each fault does what its line says, and only where its pattern matches; the traps of the contract.
import Glibc
import SluiceSystem
@testable import SluiceTesting
import Testing

@Suite struct FaultTests {
  private func code(_ body: () throws -> Void) -> Int32? {
    do { try body() } catch { return (error as? SystemError)?.code }
    return nil
  }

  @Test func patterns() {
    #expect(matchesPath("log/*", "shop.sluice/log/1.log"))
    #expect(matchesPath("log/*", "log/1"))
    #expect(matchesPath("*.table", "s/shards/000/7.table"))
    #expect(matchesPath("*", "x"))
    #expect(matchesPath("shards/*/MANIFEST-*", "shards/001/MANIFEST-000001"))
    #expect(!matchesPath("log/*", "catalog/1"))
    #expect(!matchesPath("log", "log/1"))
    #expect(!matchesPath("a*b", "acbd"))
  }

  @Test func linesThatAreNoFaults() {
    let lines = [
      " ", "fail", "fail sync", "fail read", "fail nothing log/*", "short write", "full after x", "flip bit a",
      "flip bit a offset=-1", "flip bit a offset=1 bit=8", "crash", "crash at", "crash at 0", "fail sync a at x",
      "fail sync a b",
    ]
    for line in lines {
      #expect(throws: FaultSyntaxError.self, "\(line)") { try SimulatedFileSystem().inject(line + " \n") }
    }
  }

  @Test func failsTheCallOfThatNumber() throws {
    let disk = SimulatedFileSystem()
    try disk.createDirectory("log")
    let file = try disk.open("log/a", .create)
    let other = try disk.open("b", .create)
    try disk.inject("fail sync log/* at 2\nfail write b")
    try other.sync()
    try file.sync()
    #expect(code { try file.sync() } == EIO)
    try file.sync()
    #expect(code { try other.put([1]) } == EIO)
    #expect(code { try other.put([1]) } == EIO)
    #expect(disk.content("b") == [])
    disk.clearFaults()
    try other.put([1])
  }

  @Test(arguments: FileCall.allCases) func failsEachCall(_ call: FileCall) throws {
    let disk = SimulatedFileSystem()
    let file = try disk.open("a", .create)
    try disk.inject("fail \(call.rawValue) *")
    let failed: [FileCall: () throws -> Void] = [
      .open: { _ = try disk.open("a", .read) }, .create: { _ = try disk.open("b", .create) },
      .read: { _ = try file.get(size: 1) }, .write: { try file.put([1]) }, .sync: { try file.sync() },
      .truncate: { try file.truncate(to: 9) }, .rename: { try disk.rename("a", to: "c") },
      .remove: { try disk.remove("a") }, .createDirectory: { try disk.createDirectory("d") },
      .syncDirectory: { try disk.syncDirectory("/") }, .lock: { _ = try disk.lock("LOCK", holder: "") },
    ]
    let body = try #require(failed[call])
    #expect(throws: SystemError.self) { try body() }
    #expect(try disk.list("/") == ["a"] && file.size() == 0)
    disk.clearFaults()
    try body()
  }

  @Test func shortWriteLeavesHalf() throws {
    let disk = SimulatedFileSystem()
    let file = try disk.open("7.table", .create)
    try disk.inject("short write *.table at 2")
    try file.put([1, 2])
    #expect(code { try file.put([3, 4, 5, 6], at: 2) } == EIO)
    #expect(disk.content("7.table") == [1, 2, 3, 4])
    try file.put([9], at: 4)
  }

  @Test func afterAFailedSyncNothingIsKept() throws {
    let disk = SimulatedFileSystem()
    let file = try disk.open("a", .create)
    try disk.syncDirectory("/")
    try file.put(fill(1, 1024))
    try disk.inject("fail sync a at 1")
    #expect(code { try file.sync() } == EIO)
    #expect(disk.content("a") == fill(1, 1024), "the page cache still shows it")
    #expect(disk.crashImage(.keepNothing).content("a") == [])
    try file.put(fill(2, 512), at: 1024)
    try file.sync()
    for seed in 0..<20 as Range<UInt64> {
      #expect(disk.crashImage(seed: seed).content("a") == fill(0, 1024) + fill(2, 512), "a later sync says nothing")
    }
  }

  @Test func flippedBitsAreSeenByReadersOnly() throws {
    let disk = SimulatedFileSystem()
    try disk.setContent("a", [0, 1, 2, 3])
    try disk.inject("flip bit a offset=2 bit=7")
    let file = try disk.open("a", .read)
    #expect(try file.get(size: 4) == [0, 1, 130, 3])
    #expect(try file.get(at: 2, size: 1) == [130])
    #expect(try file.get(at: 3, size: 1) == [3])
    #expect(disk.content("a") == [0, 1, 2, 3])
  }

  @Test func aFullDiskLeavesWhatFits() throws {
    let disk = SimulatedFileSystem()
    let file = try disk.open("a", .create)
    try file.put(fill(1, 100))
    try disk.inject("full after 50")
    try file.put(fill(1, 10), at: 90)
    try file.put(fill(2, 20), at: 100)
    #expect(code { try file.put(fill(3, 40), at: 120) } == ENOSPC)
    #expect(try file.size() == 150)
    #expect(code { try file.put([1], at: 150) } == ENOSPC)
    #expect(code { try file.truncate(to: 151) } == ENOSPC)
    try file.truncate(to: 140)
    try file.put(fill(4, 10), at: 140)
    #expect(code { try disk.open("b", .create).put([1]) } == ENOSPC)
    try disk.remove("a")
    try disk.open("b", .write).put(fill(1, 150))
  }

  @Test func crashAsAFault() throws {
    let disk = SimulatedFileSystem()
    try disk.inject("crash at 2")
    try disk.createDirectory("a")
    #expect(code { try disk.createDirectory("b") } == EIO)
    #expect(disk.isCrashed)
  }

  @Test func headersAndPreallocatedZerosMayBeWritten() throws {
    let disk = SimulatedFileSystem()
    let file = try disk.open("a", .create)
    try file.put(fill(1, 512) + fill(0, 4096))
    try file.sync()
    try file.put(fill(2, 512))
    try file.put(fill(3, 100), at: 600)
    try file.sync()
    try file.put(fill(3, 100) + [4], at: 600)
    try file.truncate(to: 600)
    try file.put(fill(5, 100), at: 600)
  }

  /// Whether the process ended with this text in its last words.
  private func said(_ text: String, _ result: ExitTest.Result?) -> Bool {
    String(decoding: result?.standardErrorContent ?? [], as: UTF8.self).contains(text)
  }

  @Test func rewritingDurableBytesTraps() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let file = try SimulatedFileSystem().open("a", .create)
      try file.put(fill(1, 1024))
      try file.put(fill(2, 1024))
      try file.sync()
      try file.put([3], at: 1023)
    }
    #expect(said("a: write at 1023 size 1 rewrites the durable byte at 1023", result))
  }

  @Test func aHoleTraps() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let file = try SimulatedFileSystem().open("a", .create)
      try file.put([1], at: 1)
    }
    #expect(said("write at 1 leaves a hole behind the end at 0", result))
  }

  @Test func useAfterCloseTraps() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let file = try SimulatedFileSystem().open("a", .create)
      file.close()
      try file.sync()
    }
    #expect(said("a is used after close()", result))
  }
}
