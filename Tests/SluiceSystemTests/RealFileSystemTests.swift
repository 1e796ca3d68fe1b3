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

@Suite struct DoorTests {
  private let folder = TemporaryFolder()
  private let disk = RealFileSystem()

  private func error(_ body: () throws -> Void) -> SystemError? {
    do { try body() } catch { return error as? SystemError }
    return nil
  }

  /// They may be free, and whoever prints next would print into a store.
  @Test func noFileGetsAStandardDescriptor() async {
    await #expect(processExitsWith: .success) {
      let folder = TemporaryFolder()
      for descriptor: Int32 in 0...2 { close(descriptor) }
      let disk = try RealFileSystem().holding(folder.path)
      let file = try disk.open(folder.file("a"), .create)
      let lock = try disk.lock(folder.file("b"), holder: "me")
      try disk.syncDirectory(folder.path)
      guard try disk.list(folder.path) == ["a", "b"] else { exit(1) }
      // Others in this process may open something, but none of these.
      for descriptor in 0...2 {
        var name = [CChar](repeating: 0, count: 4_096)
        let size = readlink("/proc/self/fd/\(descriptor)", &name, name.count)
        let text = String(decoding: name.prefix(max(size, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if text.contains("sluice-") { exit(2) }
      }
      // The lock went with the descriptor.
      guard try disk.isLocked(folder.file("b")) == true else { exit(3) }
      lock.release()
      file.close()
    }
  }

  /// A FIFO would make its reader wait for ever.
  @Test func whatIsNoFileIsNamed() throws {
    let pipe = folder.file("pipe")
    let socket = folder.file("socket")
    try disk.createDirectory(folder.file("directory"))
    #expect(mkfifo(pipe, 0o644) == 0)
    #expect(mknod(socket, S_IFSOCK | 0o644, 0) == 0)
    for mode in [OpenMode.read, .write] {
      #expect(error { _ = try disk.open(pipe, mode) }?.description == "open \(pipe): it is a named pipe, not a file")
      #expect(error { _ = try disk.open(socket, mode) }?.description == "open \(socket): it is a socket, not a file")
      #expect(
        error { _ = try disk.open("/dev/null", mode) }?.description == "open /dev/null: it is a device, not a file")
      #expect(error { _ = try disk.open(folder.file("directory"), mode) }?.code == EISDIR)
    }
    #expect(error { _ = try disk.lock(pipe, holder: "me") }?.detail == "it is a named pipe, not a file")
    #expect(error { _ = try disk.nameForLibraries(pipe) }?.path == pipe)
    #expect(error { _ = try disk.holding(pipe) }?.reason == .notDirectory)
    #expect(try disk.nameForLibraries(folder.file("none")) == folder.file("none"))
  }
}

/// A directory that is held is reached wherever its name leads.
@Suite struct HeldDirectoryTests {
  private let folder = TemporaryFolder()
  private let disk = RealFileSystem()
  private var path: String { folder.file("store") }

  private func text(_ files: any FileSystem, _ path: String) throws -> String {
    let file = try files.open(path, .read)
    defer { file.close() }
    return String(decoding: try file.get(size: 100), as: UTF8.self)
  }

  private func put(_ text: String, _ files: any FileSystem, _ path: String) throws {
    let file = try files.open(path, .create)
    try file.put(Array(text.utf8))
    file.close()
  }

  @Test(arguments: [false, true]) func aMovedDirectoryIsFollowed(isLink: Bool) throws {
    let first = isLink ? folder.file("v1") : path
    try disk.createDirectory(first)
    if isLink { #expect(symlink("v1", path) == 0) }
    let held = try disk.holding(path)
    try put("old", held, path + "//a")
    #expect(held.whereabouts == .inPlace)
    // Another one takes its name.
    if isLink {
      try disk.createDirectory(folder.file("v2"))
      try disk.remove(path)
      #expect(symlink("v2", path) == 0)
    } else {
      try disk.rename(path, to: folder.file("v1"))
      try disk.createDirectory(path)
    }
    let place = try #require(realpath(folder.file("v1"), nil))
    #expect(held.whereabouts == .moved(to: String(cString: place)))
    free(place)
    try put("new", disk, path + "/a")
    #expect(try text(held, path + "/a") == "old" && text(disk, path + "/a") == "new")
    try held.createDirectory(path + "/log")
    try put("segment", held, path + "/log/b")
    try held.rename(path + "/log/b", to: path + "/log/c")
    try held.syncDirectory(path + "/log")
    try held.remove(path + "/a")
    let lock = try held.lock(path + "/LOCK", holder: "me")
    #expect(try held.isLocked(path + "/LOCK") == true && held.freeBytes(path) > 0 && held.sizeBytes(path) > 0)
    lock.release()
    #expect(try disk.list(path) == ["a"] && text(disk, path + "/a") == "new")
    #expect(try disk.list(folder.file("v1")) == ["LOCK", "log"] && held.list(path) == ["LOCK", "log"])
    #expect(try held.exists(path + "/log/c") && !held.exists(path + "/log/b") && !disk.exists(path + "/log"))
    let name = try (held as? RealFileSystem)?.nameForLibraries(path + "/log/c")
    #expect(try text(disk, #require(name)) == "segment")
    // What lies outside is reached by its name.
    #expect(try held.exists(folder.file("v1")) && !held.exists(path + ".none"))
  }

  @Test func aRemovedDirectoryIsKnown() throws {
    try disk.createDirectory(path)
    let held = try disk.holding(path + "/")
    #expect(rmdir(path) == 0)
    #expect(held.whereabouts == .removed)
    try disk.createDirectory(path)
    #expect(held.whereabouts == .removed)
    #expect(throws: SystemError.self) { try held.open(path + "/a", .create) }
    #expect(try disk.list(path).isEmpty)
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
