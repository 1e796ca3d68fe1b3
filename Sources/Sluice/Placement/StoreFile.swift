// The file `store`: identity of a store. Written once at creation, replaced by rename, read at each opening.
//
//   offset size
//        0    8  magic "SLUICEST"
//        8    2  format version, 1
//       10    2  lowest reader version: a reader older than this refuses the store
//       12    4  shard count, 1 to 256
//       16    8  store id, random: log segments and projections carry it, so that files of two stores never mix
//       24    8  hash seed of the slot function, random: nobody can choose keys that all fall on one shard
//       32 4096  shard of each slot, one byte each, so that slots can move to other shards later
//     4128    4  CRC32C of bytes 0 ..< 4128
//
// A reader refuses another magic ("not a store"), a wrong checksum ("corrupt") and a higher lowest reader version
// ("newer format").
//
// Worked example, 2 shards, id 0x1122334455667788, seed 1:
//   53 4c 55 49 43 45 53 54  01 00  01 00  02 00 00 00  88 77 66 55 44 33 22 11  01 00 00 00 00 00 00 00  00 01 00 01 …
import SluiceSystem

/// What never changes about a store.
struct StoreIdentity: Equatable, Sendable {
  static let magic = Array("SLUICEST".utf8)
  static let version: UInt16 = 1
  static let slotCount = 4096
  static let size = 32 + slotCount + 4
  static let shardLimit = 256

  let shardCount: Int
  let storeID: UInt64
  let hashSeed: UInt64
  /// Shard of each slot.
  let shardOfSlot: [UInt8]

  /// A new identity: slots dealt out to the shards in turn.
  init(shardCount: Int, clock: any Clock) {
    self.init(
      shardCount: shardCount, storeID: clock.random(), hashSeed: clock.random(),
      shardOfSlot: (0..<Self.slotCount).map { UInt8($0 % shardCount) })
  }

  init(shardCount: Int, storeID: UInt64, hashSeed: UInt64, shardOfSlot: [UInt8]) {
    self.shardCount = shardCount
    self.storeID = storeID
    self.hashSeed = hashSeed
    self.shardOfSlot = shardOfSlot
  }

  func encoded() -> [UInt8] {
    var bytes = Self.magic
    func append<T: FixedWidthInteger>(_ value: T) {
      for shift in stride(from: 0, to: T.bitWidth, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> T(shift))) }
    }
    append(Self.version)
    append(Self.version)
    append(UInt32(shardCount))
    append(storeID)
    append(hashSeed)
    bytes += shardOfSlot
    append(bytes.withUnsafeBytes { checksum($0) })
    return bytes
  }

  static func decode(_ bytes: [UInt8], path: String) throws(StoreError) -> StoreIdentity {
    guard bytes.count >= 12, Array(bytes[..<8]) == magic else {
      throw StoreError(.invalid, "\(path) is not a Sluice store: the file does not begin with SLUICEST")
    }
    switch SmallFileFlaw.find(in: bytes, size: size, version: version) {
    case .newer(let lowest):
      throw StoreError(
        .unsupported, "\(path) is a store of a newer format (it needs reader version \(lowest), this is \(version))")
    case .wrongSize: throw StoreError(.corrupt, "\(path) has \(bytes.count) bytes where a store file has \(size)")
    case .wrongChecksum: throw StoreError(.corrupt, "\(path) is damaged: its checksum does not match")
    case nil: break
    }
    func number(_ range: Range<Int>) -> UInt64 { bytes[range].reversed().reduce(0) { $0 << 8 | UInt64($1) } }
    let shardCount = Int(number(12..<16))
    let slots = Array(bytes[32..<(32 + slotCount)])
    guard (1...shardLimit).contains(shardCount), slots.allSatisfy({ Int($0) < shardCount }) else {
      throw StoreError(.corrupt, "\(path) names a shard that does not exist (\(shardCount) shards)")
    }
    return StoreIdentity(
      shardCount: shardCount, storeID: number(16..<24), hashSeed: number(24..<32), shardOfSlot: slots)
  }
}

/// Why a file that is read as a whole cannot be. Such a file has its lowest reader version in bytes 10 and 11, behind
/// the magic and the format version, and in its last four the CRC32C of all before.
enum SmallFileFlaw {
  case wrongSize
  case wrongChecksum
  /// Of a newer format, with its lowest reader version.
  case newer(UInt16)

  /// The flaw of a file of at least 12 bytes that in format `version` has `size` bytes. A newer one may have another
  /// size; one of this size has its checksum where this format's is, so a damaged version is not taken for a new one.
  static func find(in bytes: [UInt8], size: Int, version: UInt16) -> SmallFileFlaw? {
    let lowest = UInt16(bytes[10]) | UInt16(bytes[11]) << 8
    if bytes.count != size { return lowest > version ? .newer(lowest) : .wrongSize }
    let isIntact = bytes.withUnsafeBytes { bytes in
      let sum = checksum(UnsafeRawBufferPointer(rebasing: bytes[..<(size - 4)]))
      return UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: size - 4, as: UInt32.self)) == sum
    }
    if !isIntact { return .wrongChecksum }
    return lowest > version ? .newer(lowest) : nil
  }
}

extension FileSystem {
  /// The whole of a small file.
  func contents(_ path: String) throws(SystemError) -> [UInt8] {
    let file = try open(path, .read)
    defer { file.close() }
    return try file.beginning(Int(try file.size()))
  }

  /// The first `size` bytes of a file, or fewer when it has not as many.
  func beginning(_ path: String, _ size: Int) throws(SystemError) -> [UInt8] {
    let file = try open(path, .read)
    defer { file.close() }
    return try file.beginning(size)
  }

  /// Puts a small file in place durably: written beside it, synced, renamed, directory synced. `before` runs just
  /// before it gets its name.
  func replace(
    _ path: String, in directory: String, with bytes: [UInt8],
    before: () throws(SystemError) -> Void = {}
  ) throws(SystemError) {
    let temporary = path + ".new"
    if try exists(temporary) { try remove(temporary) }
    let file = try open(temporary, .create)
    defer { file.close() }
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { memory.deallocate() }
    memory.copyBytes(from: bytes)
    try file.write(UnsafeRawBufferPointer(memory), at: 0)
    try file.sync()
    try before()
    try rename(temporary, to: path)
    try syncDirectory(directory)
  }
}

extension File {
  fileprivate func beginning(_ size: Int) throws(SystemError) -> [UInt8] {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 1)
    defer { memory.deallocate() }
    let count = try read(at: 0, into: memory)
    return Array(memory[..<count])
  }
}

/// The name of a shard's directory in `shards`: three digits.
func shardName(_ shard: Int) -> String {
  let digits = String(shard)
  return String(repeating: "0", count: 3 - digits.utf8.count) + digits
}

/// The directory that holds `path`.
func parent(_ path: String) -> String {
  guard let slash = path.lastIndex(of: "/") else { return "." }
  return slash == path.startIndex ? "/" : String(path[..<slash])
}
