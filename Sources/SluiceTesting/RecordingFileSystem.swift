// Writes down each call that changes something, one line each, so that the order of durability can be reviewed as a
// golden text:
//
//     create directory log
//     create log/1.log
//     write log/1.log 0+512
//     sync log/1.log
//     sync directory log
//     truncate log/1.log 4096
//     rename a -> b
//     remove b
//     lock LOCK
//
// A call that failed ends with `: ` and the system's reason. Reads, hints and closing leave no line.
import SluiceSystem

/// Wraps a file system and records its calls. Safe to use from any thread.
public final class RecordingFileSystem: FileSystem {
  private let base: any FileSystem
  private let log = Monitor<[String]>([])

  public init(_ base: any FileSystem) { self.base = base }

  /// The calls since the beginning or the last `take`.
  public var lines: [String] { log.withLock { $0 } }

  /// The calls so far; recording begins anew.
  public func take() -> [String] {
    log.withLock { lines in
      defer { lines = [] }
      return lines
    }
  }

  /// Adds a line of one's own, such as `acknowledged 7`, to show where it stands among the calls.
  public func note(_ line: String) { log.withLock { $0.append(line) } }

  fileprivate func record<T>(
    _ line: String, _ body: () throws(SystemError) -> T
  ) throws(SystemError) -> T {
    do {
      let result = try body()
      note(line)
      return result
    } catch {
      note("\(line): \(systemMessage(error.code))")
      throw error
    }
  }

  public func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any File {
    let file: any File
    if mode == .create {
      file = try record("create \(path)") { () throws(SystemError) in try base.open(path, mode) }
    } else {
      file = try base.open(path, mode)
    }
    return RecordingFile(file, self)
  }

  public func createDirectory(_ path: String) throws(SystemError) {
    try record("create directory \(path)") { () throws(SystemError) in try base.createDirectory(path) }
  }

  public func list(_ path: String) throws(SystemError) -> [String] { try base.list(path) }

  public func exists(_ path: String) throws(SystemError) -> Bool { try base.exists(path) }

  public func rename(_ source: String, to target: String) throws(SystemError) {
    try record("rename \(source) -> \(target)") { () throws(SystemError) in try base.rename(source, to: target) }
  }

  public func remove(_ path: String) throws(SystemError) {
    try record("remove \(path)") { () throws(SystemError) in try base.remove(path) }
  }

  public func syncDirectory(_ path: String) throws(SystemError) {
    try record("sync directory \(path)") { () throws(SystemError) in try base.syncDirectory(path) }
  }

  public func lock(_ path: String, holder: String) throws(SystemError) -> any FileLock {
    try record("lock \(path)") { () throws(SystemError) in try base.lock(path, holder: holder) }
  }

  public func freeBytes(_ path: String) throws(SystemError) -> UInt64 { try base.freeBytes(path) }

  public func sizeBytes(_ path: String) throws(SystemError) -> UInt64 { try base.sizeBytes(path) }

  public func isLocked(_ path: String) throws(SystemError) -> Bool? { try base.isLocked(path) }
}

private final class RecordingFile: File {
  private let base: any File
  private let recorder: RecordingFileSystem

  init(_ base: any File, _ recorder: RecordingFileSystem) {
    self.base = base
    self.recorder = recorder
  }

  var path: String { base.path }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
    try base.read(at: offset, into: buffer)
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(SystemError) {
    try recorder.record("write \(path) \(offset)+\(bytes.count)") { () throws(SystemError) in
      try base.write(bytes, at: offset)
    }
  }

  func sync() throws(SystemError) {
    try recorder.record("sync \(path)") { () throws(SystemError) in try base.sync() }
  }

  func startWriteback(at offset: UInt64, size: UInt64) { base.startWriteback(at: offset, size: size) }

  func truncate(to size: UInt64) throws(SystemError) {
    try recorder.record("truncate \(path) \(size)") { () throws(SystemError) in try base.truncate(to: size) }
  }

  func size() throws(SystemError) -> UInt64 { try base.size() }

  func close() { base.close() }
}
