// The machine's own files, by the same statements the simulated disk is held to.
import Glibc
@testable import SluiceSystem
import SluiceTesting
import Testing

@Suite struct RealFileSystemTests {
  private let folder = TemporaryFolder()
  private let disk = RealFileSystem()

  private func error(_ body: () throws -> Void) -> SystemError? {
    do { try body() } catch { return error as? SystemError }
    return nil
  }

  @Test func filesAreWrittenReadCutAndClosed() throws {
    let path = folder.file("a")
    let file = try disk.open(path, .create)
    #expect(file.path == path)
    try file.put([1, 2, 3])
    try file.put([4], at: 3)
    file.startWriteback(at: 0, size: 4)
    try file.sync()
    #expect(try file.get(at: 2, size: 10) == [3, 4])
    #expect(try file.get(at: 4, size: 10) == [])
    try file.truncate(to: 6)
    #expect(try file.get(size: 10) == [1, 2, 3, 4, 0, 0] && file.size() == 6)
    file.close()
    let again = try disk.open(path, .write)
    try again.put([9], at: 0)
    again.close()
    let reader = try disk.open(path, .read)
    #expect(try reader.get(size: 1) == [9])
    reader.close()
  }

  @Test func largeWritesArriveWhole() throws {
    var random = SeededRandom(seed: 7)
    let bytes = random.bytes(3_000_001)
    let file = try disk.open(folder.file("large"), .create)
    try file.put(bytes)
    #expect(try file.get(size: bytes.count + 1) == bytes)
    file.close()
  }

  @Test func namesAreMadeMovedAndRemoved() throws {
    try disk.createDirectory(folder.file("d"))
    for name in ["d/c", "d/a", "d/b"] { try disk.open(folder.file(name), .create).close() }
    #expect(try disk.list(folder.file("d")) == ["a", "b", "c"])
    try disk.rename(folder.file("d/a"), to: folder.file("d/b"))
    try disk.remove(folder.file("d/c"))
    try disk.syncDirectory(folder.file("d"))
    #expect(try disk.list(folder.file("d")) == ["b"])
    #expect(try disk.exists(folder.file("d/b")) && disk.exists(folder.file("d")))
    #expect(try !disk.exists(folder.file("d/a")) && !disk.exists(folder.file("d/b/x")))
  }

  @Test func errorsNameCallPathAndReason() throws {
    let none = folder.file("none/x")
    let there = folder.file("there")
    try disk.open(there, .create).close()
    let cases: [(SystemError?, String, String, Int32)] = [
      (error { _ = try disk.open(none, .read) }, "open", none, ENOENT),
      (error { _ = try disk.open(none, .write) }, "open", none, ENOENT),
      (error { _ = try disk.open(there, .create) }, "open", there, EEXIST),
      (error { try disk.createDirectory(there) }, "mkdir", there, EEXIST),
      (error { _ = try disk.list(there) }, "opendir", there, ENOTDIR),
      (error { try disk.rename(none, to: there) }, "rename", none, ENOENT),
      (error { try disk.remove(none) }, "unlink", none, ENOENT),
      (error { try disk.syncDirectory(none) }, "open", none, ENOENT),
      (error { _ = try disk.lock(none, holder: "") }, "open", none, ENOENT),
    ]
    for (error, call, path, code) in cases {
      #expect(error == SystemError(call: call, path: path, code: code))
    }
    #expect(cases[0].0.map(String.init(describing:)) == "open \(none): No such file or directory")
    let reader = try disk.open(there, .read)
    #expect(error { try reader.put([1]) } == SystemError(call: "pwrite", path: there, code: EBADF))
    #expect(error { try reader.truncate(to: 1) }?.call == "ftruncate")
    reader.close()
  }

  @Test func aLockNamesItsHolder() throws {
    let path = folder.file("LOCK")
    let lock = try disk.lock(path, holder: "a process with a long name")
    let held = error { _ = try disk.lock(path, holder: "other") }
    #expect(held?.code == EWOULDBLOCK && held?.detail == "a process with a long name" && held?.path == path)
    lock.release()
    let next = try disk.lock(path, holder: "short")
    #expect(error { _ = try disk.lock(path, holder: "other") }?.detail == "short")
    next.release()
  }

  @Test func aLockIsSeenWithoutTakingIt() throws {
    let path = folder.file("LOCK")
    #expect(try disk.isLocked(path) == false)
    let lock = try disk.lock(path, holder: "me")
    #expect(try disk.isLocked(path) == true)
    #expect(try disk.isLocked(folder.path) == false)
    lock.release()
    #expect(try disk.isLocked(path) == false)
    #expect(try disk.isLocked(path + "/none") == false)
  }
}

@Suite struct LockTableTests {
  @Test func linesAreRead() {
    let table = """
      1: POSIX  ADVISORY  READ  4711 fe:00:5678 123 124
      1: -> POSIX  ADVISORY  WRITE 4712 fe:00:5678 123 124
      2: FLOCK  ADVISORY  WRITE 4713 00:1b:5678 0 EOF
      3: POSIX  ADVISORY  READ  4714 fe:00:15678 123 124
      4: OFDLCK ADVISORY  READ  -1 fe:00:5678 0 EOF
      5: POSIX  ADVISORY  WRITE 4715 fe:00:5678 7
      """
    #expect(
      heldLocks(table, inode: 5_678) == [
        HeldLock(kind: .bytes, process: 4711, range: 123...124),
        HeldLock(kind: .whole, process: 4713, range: 0...UInt64.max),
      ])
  }

  @Test func processesHaveNames() {
    #expect(commandName(processIdentifier())?.isEmpty == false)
    #expect(commandName(Int32.max) == nil)
  }

  @Test func momentsAreWrittenAsSQLiteDoes() {
    #expect(utcText(microseconds: 0) == "1970-01-01 00:00:00.000")
    #expect(utcText(microseconds: 951_782_399_999_999) == "2000-02-28 23:59:59.999")
    #expect(utcText(microseconds: 951_782_400_001_000) == "2000-02-29 00:00:00.001")
  }
}
