// Walks the commands of a batch. Format: Batch.swift.
// Unsafe by nature: named in the tidy test. `flaw` checks every bound once, where a body comes from a file; `next`
// relies on it and checks none.
import SluiceSystem

/// One command of a batch. Key and value point into the batch: valid while it lives.
public struct Command {
  /// Counted from 0 in the batch: the command's position is the batch's first plus this.
  public let index: Int
  let tag: UInt8
  public let kind: CommandKind
  /// Whether its key ends with its own position, which it gets when the batch does.
  public var isPositionKeyed: Bool { tag & CommandTag.positionKey != 0 }
  /// Whether its slot follows from its position.
  public var isPositionSlotted: Bool { tag & CommandTag.positionSlot != 0 }
  /// Whether it is the first of its statement.
  public var startsStatement: Bool { tag & CommandTag.startsStatement != 0 }
  public let slot: UInt16
  /// Line of the script its statement begins on.
  public let line: Int
  public let key: UnsafeRawBufferPointer
  /// The row, with the condition behind it where the kind has one.
  public let value: UnsafeRawBufferPointer
  /// Where the command begins in the body, in bytes.
  public let offset: Int
  /// Where its slot stands in the body.
  let slotOffset: Int

  /// The value without its condition: what is stored.
  @inlinable @inline(__always)
  public var row: UnsafeRawBufferPointer {
    guard kind.isConditional else { return value }
    return UnsafeRawBufferPointer(rebasing: value[..<(value.count - BatchLimits.conditionSizeBytes)])
  }

  /// The position that the key's newest version must have, 0 for no such key; nil: no condition.
  @inlinable
  public var expectedPosition: UInt64? {
    guard kind.isConditional else { return nil }
    let offset = value.count - BatchLimits.conditionSizeBytes
    return UInt64(littleEndian: value.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
}

/// Hands out the commands of a batch front to back, a few ns each, without allocation.
public struct CommandReader {
  /// Keeps the body; nil when the caller does.
  private let batch: Batch?
  private let base: UnsafeRawPointer
  private let end: Int
  /// Where the next command begins in the body, in bytes.
  public private(set) var offset = 0
  private var index = 0
  private var line: Int

  init(_ batch: Batch) {
    self.batch = batch
    base = batch.body.baseAddress.unsafelyUnwrapped
    end = batch.body.count
    line = batch.firstLine
  }

  /// Reads a body that a builder or a batch holds, from the command at `offset` on; the caller keeps it alive. Indexes
  /// and lines count from there.
  @inline(__always)
  public init(body: UnsafeRawBufferPointer, offset: Int = 0) {
    batch = nil
    base = body.baseAddress.unsafelyUnwrapped
    end = body.count
    self.offset = offset
    line = 0
  }

  /// The next command; nil behind the last.
  @inline(__always)
  public mutating func next() -> Command? {
    guard offset < end else { return nil }
    let start = offset
    let size = Int(truncatingIfNeeded: loadVarint())
    let commandEnd = offset &+ size
    let tag = base.load(fromByteOffset: offset, as: UInt8.self)
    let slotOffset = offset &+ 1
    let slot = UInt16(littleEndian: base.loadUnaligned(fromByteOffset: slotOffset, as: UInt16.self))
    offset &+= 3
    if tag & CommandTag.startsStatement != 0 { line &+= unzigzag(loadVarint()) }
    let keySize = Int(truncatingIfNeeded: loadVarint())
    let keyOffset = offset
    offset = commandEnd
    guard let kind = CommandKind(rawValue: tag & CommandTag.kindMask) else {
      invariantBroken(tag)
    }
    defer { index &+= 1 }
    return Command(
      index: index, tag: tag, kind: kind, slot: slot, line: line,
      key: UnsafeRawBufferPointer(start: base + keyOffset, count: keySize),
      value: UnsafeRawBufferPointer(
        start: base + keyOffset + keySize, count: commandEnd &- keyOffset &- keySize),
      offset: start, slotOffset: slotOffset)
  }

  @inline(__always)
  private mutating func loadVarint() -> UInt64 {
    var byte = base.load(fromByteOffset: offset, as: UInt8.self)
    offset &+= 1
    if byte < 0x80 { return UInt64(byte) }
    var value = UInt64(byte & 0x7f)
    var shift: UInt64 = 7
    while byte >= 0x80 {
      byte = base.load(fromByteOffset: offset, as: UInt8.self)
      offset &+= 1
      value |= UInt64(byte & 0x7f) << shift
      shift &+= 7
    }
    return value
  }

  @inline(never)
  private func invariantBroken(_ tag: UInt8) -> Never {
    fatalError("invariant: command \(index) has tag \(tag) in a body that was checked")
  }

  /// Why `body` is not what `header` says, or nil when every command of it can be read. One walk.
  static func flaw(in body: UnsafeRawBufferPointer, _ header: RecordHeader) -> String? {
    var reader = ByteReader(body)
    var count: UInt32 = 0
    var positions = false
    while reader.remaining > 0 {
      let offset = reader.offset
      if let (tag, end) = plainCommand(body, offset) {
        reader.offset = end
        if tag & (CommandTag.positionKey | CommandTag.positionSlot) != 0 { positions = true }
        count &+= 1
        if count > header.commandCount { break }
        continue
      }
      let command = reader.readSized()
      guard !reader.failed, let tag = tagOfSoundCommand(command) else {
        return "command \(count) at offset \(offset) of the body is malformed"
      }
      if tag & (CommandTag.positionKey | CommandTag.positionSlot) != 0 { positions = true }
      if tag & CommandTag.kindMask == CommandKind.clear.rawValue, header.commandCount > 1 {
        return "command \(count) at offset \(offset) of the body clears a table and is not alone"
      }
      count &+= 1
      if count > header.commandCount { break }
    }
    if count != header.commandCount { return "header says \(header.commandCount) commands, the body has others" }
    if positions != BatchFlags(rawValue: header.flags).contains(.hasPositionKeys) {
      return "header and body disagree about keys by position"
    }
    return nil
  }

  /// Tag and end of the command at `offset` if it is of the common kind: an insert or a put of less than 16 KiB whose
  /// key and line are short. Nil says nothing: the long way decides. A third of the long way's time.
  @inline(__always)
  private static func plainCommand(_ body: UnsafeRawBufferPointer, _ offset: Int) -> (tag: UInt8, end: Int)? {
    let leastSize = 8
    guard body.count &- offset >= leastSize + 2 else { return nil }
    let base = body.baseAddress.unsafelyUnwrapped + offset
    func byte(_ index: Int) -> UInt8 { base.load(fromByteOffset: index, as: UInt8.self) }
    var place = 1
    var size = Int(byte(0))
    if size >= 0x80 {
      let second = Int(byte(1))
      if second >= 0x80 { return nil }
      size = size & 0x7f | second << 7
      place = 2
    }
    let end = offset &+ place &+ size
    guard size >= leastSize, end <= body.count else { return nil }
    let tag = byte(place)
    let kind = tag & CommandTag.kindMask
    guard tag & (CommandTag.unknown | CommandTag.positionKey) == 0,
      kind == CommandKind.insert.rawValue || kind == CommandKind.put.rawValue
    else { return nil }
    let slot = UInt16(littleEndian: base.loadUnaligned(fromByteOffset: place &+ 1, as: UInt16.self))
    place &+= 3
    if tag & CommandTag.startsStatement != 0 {
      if byte(place) >= 0x80 { return nil }
      place &+= 1
    }
    let keySize = Int(byte(place))
    place &+= 1
    guard keySize < 0x80, slot < slotCount, offset &+ place &+ keySize <= end else { return nil }
    return (tag, end)
  }

  private static func tagOfSoundCommand(_ command: UnsafeRawBufferPointer) -> UInt8? {
    var reader = ByteReader(command)
    let tag = reader.readByte()
    let slot = reader.readLittleEndian(UInt16.self)
    if tag & CommandTag.startsStatement != 0 { _ = reader.readVarint() }
    let keySize = reader.readVarint()
    guard !reader.failed, tag & CommandTag.unknown == 0,
      let kind = CommandKind(rawValue: tag & CommandTag.kindMask), slot < slotCount,
      keySize <= UInt64(BatchLimits.keySizeBytes), keySize <= UInt64(reader.remaining),
      tag & CommandTag.positionKey == 0 || keySize >= 8,
      reader.remaining - Int(keySize) <= BatchLimits.valueSizeBytes
    else { return nil }
    let valueSize = reader.remaining - Int(keySize)
    switch kind {
    case .putIf: return valueSize >= BatchLimits.conditionSizeBytes ? tag : nil
    case .deleteIf: return valueSize == BatchLimits.conditionSizeBytes ? tag : nil
    case .clear:
      let isSound = tag & (CommandTag.positionKey | CommandTag.positionSlot) == 0 && slot == 0
      return isSound && keySize == UInt64(BatchLimits.clearKeySizeBytes) && valueSize == 0 ? tag : nil
    default: return tag
    }
  }
}
