// A file system that calls back before each call that changes something: there a test may take what a power cut would
// leave just then. One run of a workload so shows all of its crashes.
import SluiceSystem

/// Wraps a file system. The hook runs on the thread of the call, with the call in words.
final class HookedFileSystem: FileSystem {
  private let base: any FileSystem
  private let hook: @Sendable (String) -> Void
  private let looking: Looking
  /// Called with the number of bytes of each read.
  private let reading: @Sendable (Int) -> Void
  /// What is told to be free, in place of the truth.
  private let free: (@Sendable () -> UInt64)?

  /// Called before a file is opened for reading, before each read, and before a directory is listed; what it throws is
  /// thrown.
  typealias Looking = @Sendable (String) throws(SystemError) -> Void

  init(
    _ base: any FileSystem, looking: @escaping Looking = { (_) throws(SystemError) in },
    reading: @escaping @Sendable (Int) -> Void = { _ in }, free: (@Sendable () -> UInt64)? = nil,
    hook: @escaping @Sendable (String) -> Void
  ) {
    self.base = base
    self.free = free
    self.reading = reading
    self.hook = hook
    self.looking = looking
  }

  func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any File {
    if mode == .create { hook("create \(path)") }
    if mode == .read { try looking("open \(path)") }
    return HookedFile(try base.open(path, mode), looking, reading, hook)
  }

  func createDirectory(_ path: String) throws(SystemError) {
    hook("create directory \(path)")
    try base.createDirectory(path)
  }

  func list(_ path: String) throws(SystemError) -> [String] {
    try looking("list \(path)")
    return try base.list(path)
  }

  func exists(_ path: String) throws(SystemError) -> Bool { try base.exists(path) }

  func rename(_ source: String, to target: String) throws(SystemError) {
    hook("rename \(source) -> \(target)")
    try base.rename(source, to: target)
  }

  func remove(_ path: String) throws(SystemError) {
    hook("remove \(path)")
    try base.remove(path)
  }

  func syncDirectory(_ path: String) throws(SystemError) {
    hook("sync directory \(path)")
    try base.syncDirectory(path)
  }

  func lock(_ path: String, holder: String) throws(SystemError) -> any FileLock {
    hook("lock \(path)")
    return try base.lock(path, holder: holder)
  }

  func freeBytes(_ path: String) throws(SystemError) -> UInt64 {
    if let free { return free() }
    return try base.freeBytes(path)
  }

  func sizeBytes(_ path: String) throws(SystemError) -> UInt64 { try base.sizeBytes(path) }

  func isLocked(_ path: String) throws(SystemError) -> Bool? { try base.isLocked(path) }
}

private final class HookedFile: File {
  private let base: any File
  private let looking: HookedFileSystem.Looking
  private let reading: @Sendable (Int) -> Void
  private let hook: @Sendable (String) -> Void

  init(
    _ base: any File, _ looking: @escaping HookedFileSystem.Looking, _ reading: @escaping @Sendable (Int) -> Void,
    _ hook: @escaping @Sendable (String) -> Void
  ) {
    self.base = base
    self.looking = looking
    self.reading = reading
    self.hook = hook
  }

  var path: String { base.path }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
    try looking("read \(path)")
    let count = try base.read(at: offset, into: buffer)
    reading(count)
    return count
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(SystemError) {
    hook("write \(path) \(offset)+\(bytes.count)")
    try base.write(bytes, at: offset)
  }

  func sync() throws(SystemError) {
    hook("sync \(path)")
    try base.sync()
  }

  func startWriteback(at offset: UInt64, size: UInt64) { base.startWriteback(at: offset, size: size) }

  func truncate(to size: UInt64) throws(SystemError) {
    hook("truncate \(path) \(size)")
    try base.truncate(to: size)
  }

  func size() throws(SystemError) -> UInt64 { try base.size() }

  func close() { base.close() }
}
