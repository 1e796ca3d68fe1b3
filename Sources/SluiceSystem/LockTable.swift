// Who holds which lock on a file, asked without opening it: to close a file is to lose all POSIX locks that this
// process has on it, also those of SQLite. Unsafe by nature: named in the tidy test.
import Glibc

/// A lock that a process holds on a file.
public struct HeldLock: Sendable, Equatable {
  /// The two families of locks; they do not see each other.
  public enum Kind: Sendable {
    /// `flock`: the whole file.
    case whole
    /// `fcntl` with F_SETLK: some bytes, for all of a process.
    case bytes
  }

  public let kind: Kind
  /// The holder's id.
  public let process: Int32
  /// First and last byte; to the end of what a file can have where it says so.
  public let range: ClosedRange<UInt64>

  public init(kind: Kind, process: Int32, range: ClosedRange<UInt64>) {
    self.kind = kind
    self.process = process
    self.range = range
  }
}

extension RealFileSystem {
  /// The locks on the file at `path`; none when there is no such file, nil where the system does not tell. Reads
  /// /proc/locks: `1: POSIX  ADVISORY  READ 1234 fd:01:5678 124 EOF`, where 5678 is the inode, and `->` before the kind
  /// marks who waits. Its device numbers are not those of `stat` on every file system, so the inode decides. Cost: tens
  /// of microseconds.
  public func locks(on path: String) throws(SystemError) -> [HeldLock]? {
    guard let status = try status(path, "stat") else { return [] }
    let text = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 1)
    defer { text.deallocate() }
    let size: Int
    do {
      let table = try open("/proc/locks", .read)
      defer { table.close() }
      size = try table.read(at: 0, into: text)
    } catch { return nil }
    let found = heldLocks(String(decoding: text[..<size], as: UTF8.self), inode: UInt64(status.st_ino))
    return found.isEmpty && size == text.count ? nil : found
  }

  /// Size of the file at `path` in bytes, asked without opening it; nil when there is none.
  public func fileSize(_ path: String) throws(SystemError) -> UInt64? {
    try status(path, "stat").map { UInt64($0.st_size) }
  }
}

/// The lines of /proc/locks that are about one inode.
func heldLocks(_ table: String, inode: UInt64) -> [HeldLock] {
  table.split(separator: "\n").compactMap { line in
    let words = line.split(separator: " ")
    guard words.count == 8, words[5].hasSuffix(":\(inode)"), let process = Int32(words[4]),
      let first = UInt64(words[6])
    else { return nil }
    let last = UInt64(words[7]) ?? UInt64.max
    guard first <= last else { return nil }
    switch words[1] {
    case "FLOCK": return HeldLock(kind: .whole, process: process, range: first...last)
    case "POSIX": return HeldLock(kind: .bytes, process: process, range: first...last)
    default: return nil
    }
  }
}

/// The name of a process's program, at most 15 bytes of it; nil when there is no such process.
public func commandName(_ process: Int32) -> String? {
  let text = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 1)
  defer { text.deallocate() }
  do throws(SystemError) {
    let file = try RealFileSystem().open("/proc/\(process)/comm", .read)
    defer { file.close() }
    let size = try file.read(at: 0, into: text)
    let name = String(decoding: text[..<size], as: UTF8.self)
    return name.last == "\n" ? String(name.dropLast()) : name
  } catch { return nil }
}
