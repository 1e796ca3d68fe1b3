// The machine's own files. One method per system call; the call's name goes into the error.
import CSystem
import Glibc

/// Files of the operating system (POSIX). Their descriptors are above 2.
public final class RealFileSystem: FileSystem {
  /// The directory that is held open, if any.
  private let held: HeldDirectory?

  public init() { held = nil }

  private init(held: HeldDirectory) { self.held = held }

  public func holding(_ path: String) throws(SystemError) -> any FileSystem {
    let place = place(path)
    let descriptor = csystem_open_at(place.directory, place.path, O_RDONLY | O_DIRECTORY, 0)
    if descriptor < 0 { throw SystemError(call: "open", path: path, code: errno) }
    return RealFileSystem(held: HeldDirectory(path: path, descriptor: descriptor))
  }

  public var whereabouts: Whereabouts { held?.whereabouts ?? .inPlace }

  /// What a call of the `…at` family takes for `path`.
  private func place(_ path: String) -> (directory: Int32, path: String) {
    guard let held, let rest = held.rest(of: path) else { return (AT_FDCWD, path) }
    return (held.descriptor, rest)
  }

  public func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any File {
    switch mode {
    case .read: try openFile(path, O_RDONLY)
    case .write: try openFile(path, O_RDWR)
    case .create: try openFile(path, O_RDWR | O_CREAT | O_EXCL)
    }
  }

  private func openFile(_ path: String, _ flags: Int32) throws(SystemError) -> RealFile {
    let place = place(path)
    let descriptor = csystem_open_at(place.directory, place.path, flags, 0o644)
    var status = stat()
    if descriptor < 0 {
      let code = errno
      // A socket, or a device that is not there.
      guard code == ENXIO, fstatat(place.directory, place.path, &status, 0) == 0 else {
        throw SystemError(call: "open", path: path, code: code)
      }
      throw SystemError(path: path, isNoFile: status)
    }
    let file = RealFile(path: path, descriptor: descriptor)
    do throws(SystemError) {
      let status = try file.status()
      if status.st_mode & S_IFMT != S_IFREG { throw SystemError(path: path, isNoFile: status) }
      return file
    } catch {
      file.close()
      throw error
    }
  }

  public func createDirectory(_ path: String) throws(SystemError) {
    let place = place(path)
    if mkdirat(place.directory, place.path, 0o755) != 0 { throw SystemError(call: "mkdir", path: path, code: errno) }
  }

  public func list(_ path: String) throws(SystemError) -> [String] {
    let place = place(path)
    let descriptor = csystem_open_at(place.directory, place.path, O_RDONLY | O_DIRECTORY, 0)
    guard descriptor >= 0, let directory = fdopendir(descriptor) else {
      let code = errno
      if descriptor >= 0 { csystem_close(descriptor) }
      throw SystemError(call: "opendir", path: path, code: code)
    }
    // The descriptor is the directory's from here on.
    defer {
      closedir(directory)
      csystem_refill_spares()
    }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  public func exists(_ path: String) throws(SystemError) -> Bool { try status(path, "access") != nil }

  public func rename(_ source: String, to target: String) throws(SystemError) {
    let (from, to) = (place(source), place(target))
    if renameat(from.directory, from.path, to.directory, to.path) != 0 {
      throw SystemError(call: "rename", path: source, code: errno)
    }
  }

  public func remove(_ path: String) throws(SystemError) {
    let place = place(path)
    if unlinkat(place.directory, place.path, 0) != 0 { throw SystemError(call: "unlink", path: path, code: errno) }
  }

  public func syncDirectory(_ path: String) throws(SystemError) {
    let place = place(path)
    let descriptor = csystem_open_at(place.directory, place.path, O_RDONLY | O_DIRECTORY, 0)
    if descriptor < 0 { throw SystemError(call: "open", path: path, code: errno) }
    defer { csystem_close(descriptor) }
    if fsync(descriptor) != 0 { throw SystemError(call: "fsync", path: path, code: errno) }
  }

  public func lock(_ path: String, holder: String) throws(SystemError) -> any FileLock {
    csystem_keep_spares()
    let file = try openFile(path, O_RDWR | O_CREAT)
    do throws(SystemError) { try file.lock() } catch {
      file.close()
      throw error
    }
    do throws(SystemError) {
      // In this order, so that it takes no room on a disk that is full.
      let bytes = Array(holder.utf8)
      if let error = bytes.withUnsafeBytes({ file.attemptWrite($0) }) { throw error }
      try file.truncate(to: UInt64(bytes.count))
      return RealLock(file)
    } catch {
      file.unlock()
      throw error
    }
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
    // All of a held directory counts as one file system.
    let descriptor = held.flatMap { $0.rest(of: path) == nil ? nil : $0.descriptor }
    var status = statvfs()
    while (descriptor.map { fstatvfs($0, &status) } ?? statvfs(path, &status)) != 0 {
      if errno != EINTR { throw SystemError(call: "statvfs", path: path, code: errno) }
    }
    return status
  }

  public func isLocked(_ path: String) throws(SystemError) -> Bool? {
    try locks(on: path).map { $0.contains { $0.kind == .whole } }
  }

  /// What the system says about `path`, asked without opening it; nil when there is nothing. `call`: for the error.
  func status(_ path: String, _ call: String) throws(SystemError) -> stat? {
    let place = place(path)
    var status = stat()
    if fstatat(place.directory, place.path, &status, 0) == 0 { return status }
    if errno == ENOENT || errno == ENOTDIR { return nil }
    throw SystemError(call: call, path: path, code: errno)
  }

  /// What tells the file at `path` from others of its directory, whatever they are called; nil when there is none.
  public func identity(_ path: String) throws(SystemError) -> UInt64? {
    try status(path, "stat").map { UInt64($0.st_ino) }
  }

  /// A name under which a library that opens files by name (SQLite) reaches the file at `path`: that of the system for
  /// a directory that is held, which leads to it wherever it went. Throws when what stands there is no file.
  public func nameForLibraries(_ path: String) throws(SystemError) -> String {
    if let status = try status(path, "stat"), status.st_mode & S_IFMT != S_IFREG {
      throw SystemError(path: path, isNoFile: status)
    }
    guard let held, let rest = held.rest(of: path) else { return path }
    if let name = held.systemName { return name + "/" + rest }
    // Without /proc the name has to do while it leads there.
    if held.whereabouts == .inPlace { return path }
    throw SystemError(call: "stat", path: held.path, code: ENOENT, detail: "the directory was moved or removed")
  }
}

/// A directory that stays open as long as something refers to it.
private final class HeldDirectory: Sendable {
  /// As it was opened.
  let path: String
  let descriptor: Int32
  /// `path` and a slash.
  private let prefix: String

  init(path: String, descriptor: Int32) {
    self.path = path
    self.descriptor = descriptor
    prefix = path.hasSuffix("/") ? path : path + "/"
  }

  deinit { csystem_close(descriptor) }

  /// What names a file of the directory from within it; nil when `path` does not lie in it.
  func rest(of path: String) -> String? {
    if path == self.path { return "." }
    guard path.hasPrefix(prefix) else { return nil }
    let rest = path.utf8.dropFirst(prefix.utf8.count).drop { $0 == UInt8(ascii: "/") }
    return rest.isEmpty ? "." : String(Substring(rest))
  }

  private var link: String { "/proc/self/fd/\(descriptor)" }

  /// The system's name for the open directory; nil where it has none.
  var systemName: String? { leads(link) ? link : nil }

  /// Whether this is the directory that `path` leads to.
  private func leads(_ path: String) -> Bool {
    var own = stat()
    var other = stat()
    guard fstat(descriptor, &own) == 0, stat(path, &other) == 0 else { return false }
    return own.st_dev == other.st_dev && own.st_ino == other.st_ino
  }

  var whereabouts: Whereabouts {
    if leads(path) { return .inPlace }
    var name = [CChar](repeating: 0, count: Int(PATH_MAX))
    let size = readlink(link, &name, name.count)
    if size <= 0 {
      var status = stat()
      return fstat(descriptor, &status) == 0 && status.st_nlink == 0 ? .removed : .moved(to: nil)
    }
    let present = String(decoding: name.prefix(size).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return present.hasSuffix(" (deleted)") && !leads(present) ? .removed : .moved(to: present)
  }
}

/// An advisory lock: it goes with the descriptor, so also with a killed process, and is not inherited by a fork.
private final class RealLock: FileLock {
  private let file: RealFile

  init(_ file: RealFile) { self.file = file }

  func release() { file.unlock() }
}

/// A file descriptor. The fields never change after `init`; the operating system serialises the calls.
private final class RealFile: File {
  let path: String
  private let descriptor: Int32

  init(path: String, descriptor: Int32) {
    self.path = path
    self.descriptor = descriptor
  }

  /// Takes the lock on the whole file; when another one has it, the error's detail is what stands in the file.
  func lock() throws(SystemError) {
    let code = csystem_lock_exclusive(descriptor)
    if code == 0 { return }
    let text = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 1)
    defer { text.deallocate() }
    let size = try read(at: 0, into: text)
    throw SystemError(call: "flock", path: path, code: code, detail: String(decoding: text[..<size], as: UTF8.self))
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

  func size() throws(SystemError) -> UInt64 { UInt64(try status().st_size) }

  func status() throws(SystemError) -> stat {
    var status = stat()
    if fstat(descriptor, &status) != 0 { throw failure("fstat") }
    return status
  }

  func close() { csystem_close(descriptor) }

  /// Gives a lock back, and closes. The lock is gone whoever has copies of the descriptor; in a process that was forked
  /// since it was taken, nothing happens.
  func unlock() { csystem_unlock(descriptor) }
}
