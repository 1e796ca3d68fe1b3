// The simulated disk against its contract: what is synced stays, what is not may go, and only that.
import Glibc
import SluiceSystem
import SluiceTesting
import Testing

@Suite struct SimulatedFileSystemTests {
  /// A disk with the durable file log/a of one sector of 1s, and the same file open.
  private func diskWithFile() throws -> (disk: SimulatedFileSystem, file: any File) {
    let disk = SimulatedFileSystem()
    try disk.createDirectory("log")
    try disk.syncDirectory("/")
    let file = try disk.open("log/a", .create)
    try file.put(fill(1, 512))
    try file.sync()
    try disk.syncDirectory("log")
    return (disk, file)
  }

  @Test func behavesAsAFileSystem() throws {
    let (disk, file) = try diskWithFile()
    #expect(try file.get(size: 1000) == fill(1, 512))
    #expect(try file.get(at: 510, size: 10) == [1, 1])
    #expect(try file.get(at: 5000, size: 10) == [])
    try file.truncate(to: 600)
    #expect(try file.get(at: 510, size: 100) == [1, 1] + fill(0, 88))
    try disk.rename("log/a", to: "log/b")
    #expect(try disk.list("log") == ["b"])
    #expect(try disk.exists("/log/b") && !disk.exists("log/a") && !disk.exists("nowhere/a"))
    try disk.remove("log/b")
    #expect(try file.size() == 600)
    file.close()
    #expect(disk.content("log/b") == nil)
  }

  @Test func refusesWhatTheSystemRefuses() throws {
    let (disk, file) = try diskWithFile()
    func code(_ body: () throws -> Void) -> Int32? {
      do { try body() } catch { return (error as? SystemError)?.code }
      return nil
    }
    #expect(code { _ = try disk.open("log/a", .create) } == EEXIST)
    #expect(code { _ = try disk.open("log/none", .write) } == ENOENT)
    #expect(code { _ = try disk.open("log", .read) } == EISDIR)
    #expect(code { _ = try disk.open("log/a/b", .create) } == ENOTDIR)
    #expect(code { try disk.createDirectory("log") } == EEXIST)
    #expect(code { try disk.createDirectory("x/y") } == ENOENT)
    #expect(code { _ = try disk.list("log/a") } == ENOTDIR)
    #expect(code { try disk.remove("log/none") } == ENOENT)
    #expect(code { try disk.remove("log") } == EISDIR)
    #expect(code { try disk.rename("log/none", to: "log/b") } == ENOENT)
    #expect(code { try disk.rename("log/a", to: "a") } == EXDEV)
    #expect(code { try disk.syncDirectory("log/a") } == ENOTDIR)
    #expect(code { try disk.open("log/a", .read).put([1], at: 512) } == EBADF)
    #expect(code { try file.put([1], at: 1 << 62) } == EFBIG)
    #expect(code { _ = try file.get(at: .max, size: 1) } == EINVAL)
  }

  @Test func keepNothingKeepsWhatWasSynced() throws {
    let (disk, file) = try diskWithFile()
    try file.put(fill(2, 700), at: 512)
    try disk.open("log/b", .create).put([3])
    let image = disk.crashImage(.keepNothing)
    #expect(try image.list("log") == ["a"])
    #expect(image.content("log/a") == fill(1, 512))
    try file.sync()
    #expect(disk.crashImage(.keepNothing).content("log/a") == fill(1, 512) + fill(2, 700))
    #expect(image.content("log/a") == fill(1, 512), "an image is apart from its disk")
  }

  @Test func keepAllKeepsEverything() throws {
    let (disk, file) = try diskWithFile()
    try file.put(fill(2, 700), at: 512)
    try disk.rename("log/a", to: "log/z")
    try disk.open("log/b", .create).put([3])
    let image = disk.crashImage(.keepAll)
    #expect(try image.list("log") == ["b", "z"])
    #expect(image.content("log/z") == fill(1, 512) + fill(2, 700))
    #expect(disk.crashImage(.keepAll).content("log/b") == [3])
  }

  @Test func sectorsAndSizesAreKeptOrLostApart() throws {
    let (disk, file) = try diskWithFile()
    try file.put(fill(2, 512 * 3 + 100), at: 512)
    var shapes: Set<[UInt8]> = []
    for seed in 0..<400 as Range<UInt64> {
      let content = try #require(disk.crashImage(seed: seed).content("log/a"))
      #expect(content == disk.crashImage(seed: seed).content("log/a"))
      #expect(content.prefix(512) == fill(1, 512)[...])
      #expect(content.count == 2148 || content.count % 512 == 0)
      var shape = [UInt8(truncatingIfNeeded: (content.count + 511) / 512)]
      for start in stride(from: 512, to: content.count, by: 512) {
        let sector = Set(content[start..<min(start + 512, content.count)])
        #expect(sector == [2] || sector == [0], "a sector is whole or not there")
        shape += Array(sector)
      }
      shapes.insert(shape)
    }
    // Size 1 to 5 sectors, each behind the first written or zero: 1 + 2 + 4 + 8 + 16, where a shape that ends with a
    // zero sector needs a size that went ahead of its data.
    #expect(shapes.count > 24, "\(shapes.count) of 31 shapes")
  }

  @Test func aTruncationIsKeptOrLost() throws {
    let (disk, file) = try diskWithFile()
    try file.put(fill(2, 1024), at: 512)
    try file.sync()
    try file.truncate(to: 700)
    try file.put(fill(3, 900), at: 700)
    var sizes: Set<Int> = []
    for seed in 0..<300 as Range<UInt64> {
      let content = try #require(disk.crashImage(seed: seed).content("log/a"))
      sizes.insert(content.count)
      #expect(content.prefix(512) == fill(1, 512)[...])
      let tail = Set(content.dropFirst(700))
      #expect(tail == [2] && content.count == 1536 || tail.isSubset(of: [0, 3]), "\(seed)")
    }
    #expect(sizes.isSuperset(of: [700, 1024, 1536, 1600]), "\(sizes)")
    try file.sync()
    #expect(disk.crashImage(.keepNothing).content("log/a")?.count == 1600)
    try file.truncate(to: 100)
    try file.sync()
    #expect(disk.crashImage(.keepNothing).content("log/a") == fill(1, 100))
  }

  @Test func namesAreKeptOrLostAndARenameIsWhole() throws {
    let (disk, _) = try diskWithFile()
    let fresh = try disk.open("log/new", .create)
    try fresh.put([9])
    try fresh.sync()
    try disk.rename("log/new", to: "log/a")
    try disk.open("log/c", .create).sync()
    var seen: Set<[String]> = []
    for seed in 0..<300 as Range<UInt64> {
      let image = disk.crashImage(seed: seed)
      var names = try image.list("log")
      let isNew = image.content("log/a") == [9]
      #expect(isNew || image.content("log/a") == fill(1, 512))
      #expect(!isNew || !names.contains("new"), "a renamed file is at one place")
      names.append(isNew ? "renamed" : "old")
      seen.insert(names)
    }
    #expect(
      seen == [
        ["a", "old"], ["a", "c", "old"], ["a", "new", "old"], ["a", "c", "new", "old"], ["a", "renamed"],
        ["a", "c", "renamed"],
      ])
    try disk.syncDirectory("log")
    #expect(try disk.crashImage(.keepNothing).list("log") == ["a", "c"])
    #expect(disk.crashImage(.keepNothing).content("log/a") == [9])
  }

  @Test func aRemovedNameMayComeBack() throws {
    let (disk, file) = try diskWithFile()
    file.close()
    try disk.remove("log/a")
    let found = Set(try (0..<50 as Range<UInt64>).map { try disk.crashImage(seed: $0).exists("log/a") })
    #expect(found == [true, false])
    #expect(try disk.crashImage(.keepNothing).exists("log/a"))
    try disk.syncDirectory("log")
    #expect(try !disk.crashImage(seed: 1).exists("log/a"))
  }

  @Test func aLostDirectoryTakesItsFilesAlong() throws {
    let disk = SimulatedFileSystem()
    try disk.createDirectory("d")
    try disk.open("d/f", .create).sync()
    try disk.syncDirectory("d")
    #expect(try disk.crashImage(.keepNothing).list("/") == [])
    let kept = (0..<50 as Range<UInt64>).map { disk.crashImage(seed: $0).content("d/f") }
    #expect(kept.contains([]) && kept.contains(nil))
  }

  @Test func everyCallMayBeTheLast() throws {
    func workload(_ disk: SimulatedFileSystem) throws {
      try disk.createDirectory("d")
      let lock = try disk.lock("d/LOCK", holder: "me")
      let file = try disk.open("d/a", .create)
      try file.put([1, 2, 3, 4])
      try file.sync()
      try file.truncate(to: 3)
      try disk.rename("d/a", to: "d/b")
      try disk.syncDirectory("d")
      try disk.remove("d/b")
      lock.release()
    }
    let whole = SimulatedFileSystem()
    try workload(whole)
    #expect(whole.callCount == 9)
    for call in 1...9 {
      var callsMade: Set<Bool> = []
      for seed in 0..<20 as Range<UInt64> {
        let disk = SimulatedFileSystem()
        disk.crash(at: call, seed: seed)
        let error = #expect(throws: SystemError.self) { try workload(disk) }
        #expect(error?.detail == "crashed" && error?.code == EIO && disk.callCount == call)
        #expect(throws: SystemError.self) { try disk.list("/") }
        #expect(throws: SystemError.self) { try disk.exists("/") }
        #expect(throws: SystemError.self) { try disk.open("d/a", .read) }
        let killed = disk.crashImage(.keepAll)
        switch call {
        case 1: callsMade.insert(try killed.exists("d"))
        case 4: #expect([[], [1, 2], [1, 2, 3, 4]].contains(killed.content("d/a")))
        case 9: callsMade.insert(killed.content("d/b") == nil)
        default: break
        }
      }
      if call == 1 || call == 9 { #expect(callsMade == [true, false]) }
    }
  }

  @Test func locksNameTheirHolderAndDoNotOutliveTheProcess() throws {
    let disk = SimulatedFileSystem()
    #expect(try disk.isLocked("LOCK") == false)
    let lock = try disk.lock("LOCK", holder: "process 7")
    #expect(try disk.isLocked("/LOCK") == true)
    #expect(try disk.crashImage(.keepAll).isLocked("LOCK") == false)
    let error = #expect(throws: SystemError.self) { try disk.lock("/LOCK", holder: "process 8") }
    #expect(error?.code == EWOULDBLOCK && error?.detail == "process 7")
    _ = try disk.crashImage(.keepAll).lock("LOCK", holder: "process 8")
    lock.release()
    _ = try disk.lock("LOCK", holder: "process 9")
    #expect(disk.content("LOCK") == Array("process 9".utf8))
  }

  @Test func recorderWritesDownTheOrder() throws {
    let disk = RecordingFileSystem(SimulatedFileSystem())
    let lock = try disk.lock("LOCK", holder: "x")
    try disk.createDirectory("log")
    let file = try disk.open("log/a", .create)
    try file.put(fill(1, 512))
    try file.sync()
    disk.note("acknowledged 1")
    try file.truncate(to: 100)
    #expect(try file.get(size: 200).count == 100)
    try disk.rename("log/a", to: "log/b")
    try disk.syncDirectory("log")
    try disk.remove("log/b")
    #expect(throws: SystemError.self) { try disk.remove("log/b") }
    lock.release()
    let lines = [
      "lock LOCK", "create directory log", "create log/a", "write log/a 0+512", "sync log/a", "acknowledged 1",
      "truncate log/a 100", "rename log/a -> log/b", "sync directory log", "remove log/b",
      "remove log/b: No such file or directory",
    ]
    #expect(disk.take() == lines)
    #expect(disk.lines == [])
  }
}
