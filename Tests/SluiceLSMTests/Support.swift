// What the engine's tests share: batch memory that is spoiled when it is given up, a model, and an engine driven
// beside it.
import SluiceSystem
import SluiceTesting

@testable import SluiceLSM

/// Batch memory. What is freed is overwritten first, so that a reader who keeps a pointer too long reads nonsense.
final class TestBatch {
  private var blocks: [UnsafeMutableRawBufferPointer] = []

  func add(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    block.copyBytes(from: bytes)
    blocks.append(block)
    return UnsafeRawBufferPointer(block)
  }

  deinit {
    for block in blocks {
      for index in block.indices { block[index] = 0xdd }
      block.deallocate()
    }
  }
}

/// A key of an SQL table: its id, then `rest`.
func makeKey(_ table: UInt32, _ rest: [UInt8]) -> [UInt8] {
  (0..<4).map { UInt8(truncatingIfNeeded: table >> (24 - UInt32($0) * 8)) } + rest
}

func makeKey(_ table: UInt32, _ number: UInt64) -> [UInt8] {
  makeKey(table, (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - UInt64($0) * 8)) })
}

struct Row: Equatable, CustomStringConvertible {
  var key: [UInt8]
  var position: UInt64
  var value: [UInt8]
  var description: String { "\(hex(key))@\(position)=\(value.count)" }
}

/// A sorted dictionary with versions: what the engine must equal.
struct Model {
  struct Command {
    var position: UInt64
    var key: [UInt8]
    var value: [UInt8]?
  }

  var commands: [Command] = []
  var drops: [(prefix: UInt32, position: UInt64)] = []
  private var versions: [[UInt8]: [Command]] = [:]

  mutating func apply(_ command: Command) {
    commands.append(command)
    versions[command.key, default: []].append(command)
  }

  func get(_ key: [UInt8], at position: UInt64) -> Row? {
    guard let command = versions[key]?.last(where: { $0.position <= position }), let value = command.value else {
      return nil
    }
    let table = key.withUnsafeBytes { tableId($0) }
    if drops.contains(where: { $0.prefix == table && $0.position <= position && $0.position >= command.position }) {
      return nil
    }
    return Row(key: key, position: command.position, value: value)
  }

  func scan(at position: UInt64, lower: [UInt8]? = nil, upper: [UInt8]? = nil) -> [Row] {
    let keys = versions.keys.filter { key in
      (lower.map { compareKeys(key, $0) >= 0 } ?? true) && (upper.map { compareKeys(key, $0) < 0 } ?? true)
    }
    return keys.sorted { compareKeys($0, $1) < 0 }.compactMap { get($0, at: position) }
  }
}

extension Snapshot {
  func rows(lower: [UInt8]? = nil, upper: [UInt8]? = nil, isForward: Bool = true) throws -> [Row] {
    try iterator(lower: lower, upper: upper, isForward: isForward).rows()
  }

  func row(_ key: [UInt8]) throws -> Row? {
    let result = key.withUnsafeBytes { bytes in
      Result {
        try find(bytes) { Row(key: [UInt8]($0.key), position: $0.position, value: [UInt8]($0.value)) }
      }
    }
    return try result.get()
  }
}

extension MergeIterator {
  func rows() throws -> [Row] {
    var rows: [Row] = []
    while try next() {
      rows.append(Row(key: [UInt8](current.key), position: current.position, value: [UInt8](current.value)))
    }
    return rows
  }
}

extension Engine {
  func contains(key: [UInt8]) throws -> Bool {
    let result = key.withUnsafeBytes { bytes in Result { try contains(bytes) } }
    return try result.get()
  }

  func append(_ command: Model.Command, in batch: TestBatch) {
    let bytes = batch.add(command.key + (command.value ?? []))
    append(
      key: UnsafeRawBufferPointer(rebasing: bytes[..<command.key.count]), position: command.position,
      kind: command.value == nil ? .tombstone : .put,
      value: UnsafeRawBufferPointer(rebasing: bytes[command.key.count...]))
  }

  /// Applies commands as one batch.
  func apply(_ commands: [Model.Command]) {
    guard let last = commands.last else { return }
    let batch = TestBatch()
    for command in commands { append(command, in: batch) }
    publish(upTo: last.position, owner: batch)
  }

  /// Replays from a model what is not in tables.
  func replay(_ model: Model) throws {
    let flushed = flushedPosition
    for drop in model.drops where drop.position > flushed { deletePrefix(drop.prefix, position: drop.position) }
    apply(model.commands.filter { $0.position > flushed })
  }

  func flushAll() throws {
    while try flush() {}
  }

  func compactAll(isIdle: Bool = false) throws {
    while try compact(isIdle: isIdle) {}
  }
}

func openEngine(
  _ fileSystem: any FileSystem, directory: String = "engine", cacheBytes: Int = 1 << 20, small: Bool = true,
  compression: Compression = .none
) throws -> Engine {
  let engine = try Engine.open(
    fileSystem: fileSystem, directory: directory, shard: 0,
    resources: EngineResources(cacheBytes: cacheBytes, openFileLimit: 3, compression: compression))
  if small { engine.sizes = TableSizes(target: 4 << 10, small: 1 << 10) }
  return engine
}

func put(_ position: UInt64, _ key: [UInt8], _ value: [UInt8]) -> Model.Command {
  Model.Command(position: position, key: key, value: value)
}

func delete(_ position: UInt64, _ key: [UInt8]) -> Model.Command {
  Model.Command(position: position, key: key, value: nil)
}
