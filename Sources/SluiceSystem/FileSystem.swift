// The door to files. Everything Sluice keeps on disk (but for what SQLite keeps itself) passes through here, so
// that a simulated file system can count, delay, damage and forget.
//
// What a caller may rely on, and no more:
//
//   1. Files are written front to back: each write starts at or before the end of what was written, and never
//      rewrites what an earlier `sync` made durable, but for a segment header (one 512-byte sector).
//   2. Until `sync` returns, written bytes may be lost, kept, or cut at any 512-byte border, sector by sector.
//   3. After `sync` returns, the bytes and the size of the file survive a power cut.
//   4. A created, renamed or removed name may be lost (or come back) until its directory was synced.
//   5. After a failed `sync` nothing is known about what was written since the last good one. Never retry.
//   6. `rename` replaces its target atomically.
//
// A name can lead to another directory from one moment to the next: somebody renames it, or switches a symbolic link.
// So whoever uses a store holds its directory open (`holding`) and reaches all of its files from there: a store that
// was moved is read and written where it is, and what stands at its old name is never touched.

/// Where the directory that a file system holds open has gone.
public enum Whereabouts: Sendable, Equatable {
  /// Its name still leads to it.
  case inPlace
  /// It has this name now; nil where the system does not tell.
  case moved(to: String?)
  /// It was removed.
  case removed
}

/// How a file is opened.
public enum OpenMode: Sendable {
  /// For reading; the file must exist.
  case read
  /// For reading and writing; the file must exist.
  case write
  /// For reading and writing; the file must not exist.
  case create
}

/// An open file. Closed by `close()`; using it afterwards is a programmer error.
/// Reads may come from any thread; writes from one thread at a time.
public protocol File: AnyObject, Sendable {
  /// The path it was opened with.
  var path: String { get }
  /// Reads up to `buffer.count` bytes at `offset`; fewer only at the end of the file. Returns the count read.
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int
  /// Writes all of `bytes` at `offset`.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(SystemError)
  /// Makes everything written so far durable (`fdatasync`).
  func sync() throws(SystemError)
  /// A hint: begin writing back `size` bytes at `offset` without waiting. Never fails.
  func startWriteback(at offset: UInt64, size: UInt64)
  /// The first `size` bytes as memory, or nil where that is not possible: then `read` is the way.
  func map(size: UInt64) -> FileMapping?
  /// Cuts the file (or extends it with zeros) to `size` bytes.
  func truncate(to size: UInt64) throws(SystemError)
  /// Size in bytes.
  func size() throws(SystemError) -> UInt64
  /// Closes the file. Does not sync.
  func close()
}

extension File {
  public func map(size: UInt64) -> FileMapping? { nil }
}

/// A lock on a path held by one process until `release()`.
public protocol FileLock: AnyObject, Sendable {
  func release()
}

/// Files by path, separated by `/`. All methods may be called from any thread.
public protocol FileSystem: AnyObject, Sendable {
  func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any File
  /// Creates one directory; the parent must exist. An existing one is an error (`EEXIST`).
  func createDirectory(_ path: String) throws(SystemError)
  /// Names (not paths) in a directory, sorted, without `.` and `..`.
  func list(_ path: String) throws(SystemError) -> [String]
  /// Whether a file or directory of that name exists.
  func exists(_ path: String) throws(SystemError) -> Bool
  /// Renames, replacing the target.
  func rename(_ source: String, to target: String) throws(SystemError)
  /// Removes a file.
  func remove(_ path: String) throws(SystemError)
  /// Makes created, renamed and removed names in this directory durable.
  func syncDirectory(_ path: String) throws(SystemError)
  /// Takes the lock file at `path` for this process, writing `holder` into it; throws `SystemError` with code
  /// `EWOULDBLOCK` and the current holder's text as `detail` when another process holds it.
  func lock(_ path: String, holder: String) throws(SystemError) -> any FileLock
  /// Bytes that this user may still write to the file system which holds `path`.
  func freeBytes(_ path: String) throws(SystemError) -> UInt64
  /// Size of the file system which holds `path`, in bytes.
  func sizeBytes(_ path: String) throws(SystemError) -> UInt64
  /// Whether some process holds the lock at `path`, asked without taking it; nil where the system does not tell.
  func isLocked(_ path: String) throws(SystemError) -> Bool?
  /// The same files, with the directory at `path` held open: what its paths name is reached from the open directory,
  /// wherever `path` leads later. It is let go with the result.
  func holding(_ path: String) throws(SystemError) -> any FileSystem
  /// Where the directory went that is held; `inPlace` when none is.
  var whereabouts: Whereabouts { get }
}

extension FileSystem {
  /// For files whose names nobody else can change.
  public func holding(_ path: String) throws(SystemError) -> any FileSystem { self }
  public var whereabouts: Whereabouts { .inPlace }
}
