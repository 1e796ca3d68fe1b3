// The manifest file of an open engine: appending edits, beginning a new file, finding the right one at open.
// The format is in ManifestFormat.swift.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// A manifest that is appended to; its file is open when that is done, and as long as there are not too many. Used by
/// one thread.
final class Manifest {
  /// A manifest this long, and four times as long as when it began, is written anew.
  private static let rewriteSize: UInt64 = 1 << 20

  let number: UInt64
  private let file: EngineFile
  private let files: OpenFiles
  private let shard: Int
  /// Whether a write or sync failed: what the file holds is not known.
  private(set) var isUncertain = false
  private var size: UInt64
  private let firstSize: UInt64

  /// Goes on with a file whose `size` bytes are durable.
  init(number: UInt64, size: UInt64, directory: String, fileSystem: any FileSystem, files: OpenFiles, shard: Int) {
    self.number = number
    self.files = files
    self.shard = shard
    self.size = size
    firstSize = size
    let path = directory + "/" + ManifestFormat.fileName(number)
    file = EngineFile(path: path, fileSystem: fileSystem, mode: .write)
  }

  deinit { close() }

  /// Begins manifest `number` with `version` and makes it durable, name included.
  static func create(
    fileSystem: any FileSystem, files: OpenFiles, directory: String, number: UInt64, shard: Int, version: Version
  ) throws(EngineError) -> Manifest {
    var output = ByteBuffer(capacity: 4096)
    appendManifestHeader(number: number, shard: shard, to: &output)
    appendRecord(version.asEdit, at: UInt64(output.count), to: &output)
    do {
      let file = try fileSystem.open(directory + "/" + ManifestFormat.fileName(number), .create)
      defer { file.close() }
      try file.write(output.bytes, at: 0)
      try file.sync()
      try fileSystem.syncDirectory(directory)
      return Manifest(
        number: number, size: UInt64(output.count), directory: directory, fileSystem: fileSystem, files: files,
        shard: shard)
    } catch { throw EngineError(error, doing: "beginning a manifest", shard: shard) }
  }

  var isLong: Bool { size > Self.rewriteSize && size > 4 * firstSize }

  /// Appends an edit and syncs it. After an error the file's state is unknown: no further use.
  func append(_ edit: VersionEdit) throws(EngineError) {
    var output = ByteBuffer(capacity: 512)
    appendRecord(edit, at: size, to: &output)
    do {
      try files.use(file) { (file) throws(SystemError) in
        isUncertain = true
        try file.write(output.bytes, at: size)
        try file.sync()
        isUncertain = false
      }
    } catch { throw EngineError(error, doing: "writing a manifest", shard: shard) }
    size += UInt64(output.count)
  }

  func close() { files.close(file) }
}

/// A manifest as read from disk.
struct FoundManifest {
  var number: UInt64
  var version: Version
  /// Bytes that hold; what is behind them is a torn record.
  var size: Int
  var hasTornTail: Bool
}

/// Reads a manifest; nil when it was not written to the end of its first record. Throws on damage.
func readManifest(
  _ path: String, number: UInt64, fileSystem: any FileSystem, shard: Int
) throws(EngineError) -> FoundManifest? {
  let memory = try readWholeFile(path, fileSystem: fileSystem, shard: shard)
  defer { withExtendedLifetime(memory) {} }
  let bytes = memory.bytes
  func corrupt(_ message: String, _ offset: Int, _ kind: EngineError.Kind = .corrupt) -> EngineError {
    EngineError(kind, message, shard: shard, file: path, offset: UInt64(offset))
  }
  guard bytes.count >= ManifestFormat.headerSize else { return nil }
  let header = UnsafeRawBufferPointer(rebasing: bytes[..<ManifestFormat.headerSize])
  if let damage = headerDamage(header, magic: ManifestFormat.magic, version: ManifestFormat.version) {
    // The first sector of a manifest that a crash kept from being written.
    if bytes.prefix(512).allSatisfy({ $0 == 0 }) { return nil }
    throw corrupt(damage.message, 0, damage.kind)
  }
  var reader = ByteReader(header, offset: 12)
  let storedShard = reader.readLittleEndian(UInt32.self)
  let storedNumber = reader.readLittleEndian(UInt64.self)
  guard storedNumber == number, storedShard == UInt32(truncatingIfNeeded: shard) else {
    throw corrupt("this is manifest \(storedNumber) of shard \(storedShard)", 12)
  }
  var found = FoundManifest(number: number, version: Version(), size: header.count, hasTornTail: false)
  while true {
    switch readRecord(bytes, at: found.size) {
    case .end: return found.size == header.count ? nil : found
    case .torn:
      found.hasTornTail = true
      return found.size == header.count ? nil : found
    case .damaged(let message): throw corrupt(message, found.size)
    case .edit(let edit, let end):
      switch found.version.applying(edit) {
      case .failure(let error): throw corrupt("edit " + error.message, found.size)
      case .success(let version): found.version = version
      }
      found.size = end
    }
  }
}

/// A file's bytes.
final class FileBytes {
  private let memory: UnsafeMutableRawBufferPointer
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }

  init(size: Int) { memory = .allocate(byteCount: size, alignment: 16) }
  deinit { memory.deallocate() }

  fileprivate func fill(from file: any File, shard: Int) throws(EngineError) {
    try readFully(file, into: memory, at: 0, shard: shard, keyRange: nil)
  }
}

/// Reads a whole file.
func readWholeFile(_ path: String, fileSystem: any FileSystem, shard: Int) throws(EngineError) -> FileBytes {
  let file: any File
  let size: UInt64
  do {
    file = try fileSystem.open(path, .read)
    size = try file.size()
  } catch { throw EngineError(error, doing: "opening a file", shard: shard) }
  defer { file.close() }
  let bytes = FileBytes(size: Int(size))
  try bytes.fill(from: file, shard: shard)
  return bytes
}
