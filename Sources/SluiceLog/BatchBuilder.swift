// Builds a batch, command by command, in memory that becomes the batch. Format: Batch.swift.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// The bits of a command's tag besides its kind.
enum CommandTag {
  static let kindMask: UInt8 = 0x0f
  static let startsStatement: UInt8 = 0x10
  static let positionKey: UInt8 = 0x20
  static let positionSlot: UInt8 = 0x40
  static let unknown: UInt8 = 0x80
}

/// Encodes commands into a batch. One thread.
public struct BatchBuilder: ~Copyable {
  private var buffer: ByteBuffer
  private let freshCapacity: Int
  private let isReserved: Bool
  private var count: UInt32 = 0
  private var firstLine = 0
  private var line = 0
  private var hasPositionKeys = false
  private var hasFirstLine = false
  private var hasClear = false

  /// Bytes from which on a batch takes a reserved builder's memory along: copying them costs more than a new one.
  private static let reservedShare = 1 << 20

  /// `capacity`: bytes to hold in fresh memory; it grows by doubling when a batch needs more. `isReserved`: that is
  /// address space, of which the system backs only what is written.
  public init(capacity: Int = 1 << 20, isReserved: Bool = false) {
    self.isReserved = isReserved
    freshCapacity = max(capacity, 256)
    buffer = ByteBuffer(capacity: freshCapacity)
    buffer.advance(RecordHeader.size)
  }

  public var isEmpty: Bool { count == 0 }
  public var commandCount: Int { Int(count) }
  /// Bytes of header and body so far.
  public var size: Int { buffer.count }

  /// Whether a command of these sizes keeps the limits of `BatchLimits` and the batch below its own.
  @inline(__always)
  public func fits(keySize: Int, valueSize: Int) -> Bool {
    keySize <= BatchLimits.keySizeBytes && valueSize <= BatchLimits.valueSizeBytes
      && buffer.count &+ keySize &+ valueSize &+ commandOverhead <= BatchLimits.bodySizeBytes
  }

  /// Says on which line the batch begins. Only while empty; without it the first command's line is taken.
  public mutating func begin(firstLine: Int) {
    invariant(isEmpty, "begin in a batch of \(count) commands")
    setFirstLine(firstLine)
  }

  /// Appends one command (about 10 ns). The sizes must fit (`fits`) and `slot` be below 4,096: else it traps.
  public mutating func append(
    kind: CommandKind, startsStatement: Bool, slot: UInt16, line: Int, key: UnsafeRawBufferPointer,
    value: UnsafeRawBufferPointer
  ) {
    let tag = kind.rawValue | (startsStatement ? CommandTag.startsStatement : 0)
    let target = open(tag, slot, line, keySize: key.count, valueSize: value.count)
    if let source = key.baseAddress { target.copyMemory(from: source, byteCount: key.count) }
    if let source = value.baseAddress { (target + key.count).copyMemory(from: source, byteCount: value.count) }
  }

  /// As above, for a command on a condition: `expectedPosition` stands behind the row in the value.
  public mutating func append(
    kind: CommandKind, startsStatement: Bool, slot: UInt16, line: Int, key: UnsafeRawBufferPointer,
    row: UnsafeRawBufferPointer, expectedPosition: UInt64
  ) {
    let tag = kind.rawValue | (startsStatement ? CommandTag.startsStatement : 0)
    let target = open(tag, slot, line, keySize: key.count, valueSize: row.count &+ 8)
    if let source = key.baseAddress { target.copyMemory(from: source, byteCount: key.count) }
    if let source = row.baseAddress { (target + key.count).copyMemory(from: source, byteCount: row.count) }
    target.storeBytes(of: expectedPosition.littleEndian, toByteOffset: key.count &+ row.count, as: UInt64.self)
  }

  /// As above, for a key that begins with `keyPrefix`, big-endian, and goes on with `key`. Returns where the command
  /// begins in the body.
  @inline(__always)
  public mutating func append(
    kind: CommandKind, startsStatement: Bool, slot: UInt16, line: Int, keyPrefix: UInt32, key: UnsafeRawBufferPointer,
    value: UnsafeRawBufferPointer
  ) -> Int {
    let tag = kind.rawValue | (startsStatement ? CommandTag.startsStatement : 0)
    let start = buffer.count &- RecordHeader.size
    let target = open(tag, slot, line, keySize: 4 &+ key.count, valueSize: value.count)
    target.storeBytes(of: keyPrefix.bigEndian, as: UInt32.self)
    if let source = key.baseAddress { (target + 4).copyMemory(from: source, byteCount: key.count) }
    if let source = value.baseAddress { (target + 4 + key.count).copyMemory(from: source, byteCount: value.count) }
    return start
  }

  /// As above, for a key of `keyPrefix` and the lowest `keySize` bytes of `keyWord`.
  @inline(__always)
  public mutating func append(
    kind: CommandKind, startsStatement: Bool, slot: UInt16, line: Int, keyPrefix: UInt32, keyWord: UInt64, keySize: Int,
    value: UnsafeRawBufferPointer
  ) {
    let tag = kind.rawValue | (startsStatement ? CommandTag.startsStatement : 0)
    let target = open(tag, slot, line, keySize: 4 &+ keySize, valueSize: value.count)
    target.storeBytes(of: keyPrefix.bigEndian, as: UInt32.self)
    // What it stores too much lies within the command's overhead, or the value takes its place.
    target.storeBytes(of: keyWord.littleEndian, toByteOffset: 4, as: UInt64.self)
    if let source = value.baseAddress {
      (target + 4 + keySize).copyMemory(from: source, byteCount: value.count)
    }
  }

  /// The commands so far, encoded. Valid until the next change of the builder.
  public var body: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer.bytes[RecordHeader.size...]) }

  /// Appends a command whose key is `tableID` and the command's own position, and whose slot is `slot` or, when nil,
  /// follows from the position. Both are filled in when the batch gets its positions; until then the key holds
  /// `provisional` in their place.
  public mutating func appendPositionKeyed(
    tableID: UInt32, kind: CommandKind, slot: UInt16?, startsStatement: Bool, line: Int,
    value: UnsafeRawBufferPointer, provisional: UInt64 = 0
  ) {
    var tag = kind.rawValue | CommandTag.positionKey
    if startsStatement { tag |= CommandTag.startsStatement }
    if slot == nil { tag |= CommandTag.positionSlot }
    let target = open(tag, slot ?? 0, line, keySize: 12, valueSize: value.count)
    hasPositionKeys = true
    target.storeBytes(of: tableID.bigEndian, as: UInt32.self)
    target.storeBytes(of: provisional.bigEndian, toByteOffset: 4, as: UInt64.self)
    if let source = value.baseAddress { (target + 12).copyMemory(from: source, byteCount: value.count) }
  }

  /// A point to roll back to.
  public struct Mark: Sendable {
    let size: Int
    let count: UInt32
    let firstLine, line: Int
    let hasPositionKeys, hasFirstLine: Bool
  }

  /// Where the batch stands now.
  public func mark() -> Mark {
    Mark(
      size: buffer.count, count: count, firstLine: firstLine, line: line, hasPositionKeys: hasPositionKeys,
      hasFirstLine: hasFirstLine)
  }

  /// Forgets what was appended since `mark`, which must come from this batch: a statement that failed half-way.
  public mutating func rollback(to mark: Mark) {
    buffer.truncate(to: mark.size)
    count = mark.count
    firstLine = mark.firstLine
    line = mark.line
    hasPositionKeys = mark.hasPositionKeys
    hasFirstLine = mark.hasFirstLine
    hasClear = hasClear && count > 0
  }

  /// Ends the batch and begins an empty one. The batch must not be empty. Hands the memory over when at least half
  /// of it is used, else copies: small batches that a memtable keeps for long hold no more than they need.
  public mutating func seal(
    timeMicroseconds: Int64, flags: BatchFlags = [], session: UInt64 = 0, sourceOffset: UInt64 = 0
  ) -> Batch {
    invariant(count > 0, "seal of an empty batch")
    var header = RecordHeader(kind: RecordKind.commands)
    header.bodySize = UInt32(buffer.count - RecordHeader.size)
    header.flags = flags.subtracting(.hasPositionKeys).union(hasPositionKeys ? .hasPositionKeys : []).rawValue
    header.commandCount = count
    header.firstLine = UInt32(firstLine)
    header.timeMicroseconds = timeMicroseconds
    header.sourceOffset = sourceOffset
    header.session = session
    if !hasPositionKeys {
      header.bodyChecksum = checksum(UnsafeRawBufferPointer(rebasing: buffer.bytes[RecordHeader.size...]))
    }
    let batch = Batch(takeMemory(header.recordSize), header)
    _ = batch.stamp(seed: 0, durableOffset: 0)
    count = 0
    firstLine = 0
    line = 0
    hasPositionKeys = false
    hasFirstLine = false
    hasClear = false
    return batch
  }

  private mutating func takeMemory(_ recordSize: Int) -> ByteBuffer {
    buffer.appendPadding()
    var taken: ByteBuffer
    if recordSize * 2 >= buffer.capacity || (isReserved && recordSize >= Self.reservedShare) {
      // A reserved builder is not used again after that.
      taken = ByteBuffer(capacity: isReserved ? 256 : freshCapacity)
      swap(&taken, &buffer)
      // The next batch will be as large as this one.
      if !isReserved { buffer.populate(recordSize) }
    } else {
      taken = ByteBuffer(capacity: recordSize)
      taken.append(buffer.bytes)
      buffer.removeAll()
    }
    buffer.advance(RecordHeader.size)
    return taken
  }

  private mutating func setFirstLine(_ first: Int) {
    firstLine = Int(UInt32(clamping: first))
    line = firstLine
    hasFirstLine = true
  }

  /// Writes a command up to its key; returns where key and value go, whose bytes are counted already.
  @inline(__always)
  private mutating func open(
    _ tag: UInt8, _ slot: UInt16, _ line: Int, keySize: Int, valueSize: Int
  ) -> UnsafeMutableRawPointer {
    invariant(
      fits(keySize: keySize, valueSize: valueSize) && slot < slotCount && count < .max,
      "command with slot \(slot), key of \(keySize) and value of \(valueSize) bytes in a batch of \(buffer.count)")
    invariant(
      isWhole(tag, keySize, valueSize), "command with tag \(tag), key of \(keySize) and value of \(valueSize) bytes")
    invariant(!hasClear, "a command behind one that clears a table")
    if tag & CommandTag.kindMask == CommandKind.clear.rawValue {
      invariant(isEmpty, "a command that clears a table behind \(count) others")
      hasClear = true
    }
    if !hasFirstLine { setFirstLine(line) }
    var step: UInt64 = 0
    var stepSize = 0
    if tag & CommandTag.startsStatement != 0 {
      step = zigzag(line &- self.line)
      stepSize = varintSize(step)
      self.line = line
    }
    let contentSize = keySize &+ valueSize
    let size = 3 &+ stepSize &+ varintSize(UInt64(keySize)) &+ contentSize
    let start = buffer.reserve(size &+ commandOverhead)
    var target = start + storeVarint(UInt64(size), to: start)
    target.storeBytes(of: tag, as: UInt8.self)
    target.storeBytes(of: slot.littleEndian, toByteOffset: 1, as: UInt16.self)
    target += 3
    if stepSize > 0 { target += storeVarint(step, to: target) }
    target += storeVarint(UInt64(keySize), to: target)
    buffer.advance(target - start &+ contentSize)
    count &+= 1
    return target
  }
}

/// What a command takes besides key and value, at most: size, tag, slot, line, size of the key.
private let commandOverhead = 10 + 1 + 2 + 10 + 10

/// Whether a command has what its kind asks for: the condition in its value, or the key that names a table.
@inline(__always)
private func isWhole(_ tag: UInt8, _ keySize: Int, _ valueSize: Int) -> Bool {
  switch tag & CommandTag.kindMask {
  case CommandKind.clear.rawValue: keySize == BatchLimits.clearKeySizeBytes && valueSize == 0
  case CommandKind.putIf.rawValue: valueSize >= BatchLimits.conditionSizeBytes
  case CommandKind.deleteIf.rawValue: valueSize == BatchLimits.conditionSizeBytes
  default: true
  }
}

/// Signed numbers near zero become small unsigned ones: 0, -1, 1, -2 … -> 0, 1, 2, 3 …
@inline(__always)
func zigzag(_ value: Int) -> UInt64 { UInt64(bitPattern: Int64((value << 1) ^ (value >> 63))) }

/// The number `zigzag` made.
@inline(__always)
func unzigzag(_ code: UInt64) -> Int { Int(bitPattern: UInt(code >> 1)) ^ -Int(bitPattern: UInt(code & 1)) }
