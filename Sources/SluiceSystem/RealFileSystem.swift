// The machine's own files. One method per system call; the call's name goes into the error.
import CSystem
import Glibc

/// Files of the operating system (POSIX).
public final class RealFileSystem: FileSystem {
  public init() {}

  public func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any File {
    let flags: Int32
    switch mode {
    case .read: flags = O_RDONLY | O_CLOEXEC
    case .write: flags = O_RDWR | O_CLOEXEC
    case .create: flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC
    }
    let descriptor = Glibc.open(path, flags, 0o644)
    if descriptor < 0 { throw SystemError(call: "open", path: path, code: errno) }
    return RealFile(path: path, descriptor: descriptor)
  }

  public func createDirectory(_ path: String) throws(SystemError) {
    if mkdir(path, 0o755) != 0 { throw SystemError(call: "mkdir", path: path, code: errno) }
  }

  public func list(_ path: String) throws(SystemError) -> [String] {
    guard let directory = opendir(path) else { throw SystemError(call: "opendir", path: path, code: errno) }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  public func exists(_ path: String) throws(SystemError) -> Bool {
    if access(path, F_OK) == 0 { return true }
    if errno == ENOENT || errno == ENOTDIR { return false }
    throw SystemError(call: "access", path: path, code: errno)
  }

  public func rename(_ source: String, to target: String) throws(SystemError) {
    if Glibc.rename(source, target) != 0 { throw SystemError(call: "rename", path: source, code: errno) }
  }

  public func remove(_ path: String) throws(SystemError) {
    if unlink(path) != 0 { throw SystemError(call: "unlink", path: path, code: errno) }
  }

  public func syncDirectory(_ path: String) throws(SystemError) {
    let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if descriptor < 0 { throw SystemError(call: "open", path: path, code: errno) }
    defer { Glibc.close(descriptor) }
    if fsync(descriptor) != 0 { throw SystemError(call: "fsync", path: path, code: errno) }
  }

  public func lock(_ path: String, holder: String) throws(SystemError) -> any FileLock {
    let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    if descriptor < 0 { throw SystemError(call: "open", path: path, code: errno) }
    let file = RealFile(path: path, descriptor: descriptor)
    let code = csystem_lock_exclusive(descriptor)
    if code != 0 {
      let text = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 1)
      defer { text.deallocate() }
      let size = try file.read(at: 0, into: text)
      file.close()
      throw SystemError(
        call: "flock", path: path, code: code, detail: String(decoding: text[..<size], as: UTF8.self))
    }
    try file.truncate(to: 0)
    let bytes = Array(holder.utf8)
    if let error = bytes.withUnsafeBytes({ file.attemptWrite($0) }) { throw error }
    return RealLock(file)
  }

  public func freeBytes(_ path: String) throws(SystemError) -> UInt64 {
    let status = try fileSystemStatus(path)
    return UInt64(status.f_bavail) * UInt64(status.f_frsize)
  }

  public func sizeBytes(_ path: String) throws(SystemError) -> UInt64 {
    let status = try fileSystemStatus(path)
    return UInt64(status.f_blocks) * UInt64(status.f_frsize)
  }

  private func fileSystemStatus(_ path: String) throws(SystemError) -> statvfs {
    var status = statvfs()
    while statvfs(path, &status) != 0 {
      if errno != EINTR { throw SystemError(call: "statvfs", path: path, code: errno) }
    }
    return status
  }

  public func isLocked(_ path: String) throws(SystemError) -> Bool? {
    try locks(on: path).map { $0.contains { $0.kind == .whole } }
  }
}

/// An advisory lock: it goes with the descriptor, so also with a killed process.
private final class RealLock: FileLock {
  private let file: RealFile
  init(_ file: RealFile) { self.file = file }
  func release() { file.close() }
}

/// A file descriptor. The fields never change after `init`; the operating system serialises the calls.
private final class RealFile: File {
  let path: String
  private let descriptor: Int32

  init(path: String, descriptor: Int32) {
    self.path = path
    self.descriptor = descriptor
  }

  private func failure(_ call: String) -> SystemError { SystemError(call: call, path: path, code: errno) }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
    var done = 0
    while done < buffer.count {
      let count = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + off_t(done))
      if count < 0 {
        if errno == EINTR { continue }
        throw failure("pread")
      }
      if count == 0 { break }
      done += count
    }
    return done
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(SystemError) {
    var done = 0
    while done < bytes.count {
      let count = pwrite(descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(offset) + off_t(done))
      if count < 0 {
        if errno == EINTR { continue }
        throw failure("pwrite")
      }
      done += count
    }
  }

  func attemptWrite(_ bytes: UnsafeRawBufferPointer) -> SystemError? {
    do {
      try write(bytes, at: 0)
      return nil
    } catch { return error }
  }

  func sync() throws(SystemError) {
    if fdatasync(descriptor) != 0 { throw failure("fdatasync") }
  }

  func startWriteback(at offset: UInt64, size: UInt64) {
    // A hint: what it could not begin, `sync` does.
    _ = csystem_start_writeback(descriptor, offset, size)
  }

  func map(size: UInt64) -> FileMapping? {
    size > 0 ? FileMapping(descriptor: descriptor, size: Int(size)) : nil
  }

  func truncate(to size: UInt64) throws(SystemError) {
    if ftruncate(descriptor, off_t(size)) != 0 { throw failure("ftruncate") }
  }

  func size() throws(SystemError) -> UInt64 {
    var status = stat()
    if fstat(descriptor, &status) != 0 { throw failure("fstat") }
    return UInt64(status.st_size)
  }

  func close() { Glibc.close(descriptor) }
}
