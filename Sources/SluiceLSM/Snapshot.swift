// A view of one engine at one position, and cheap point reads for a thread that makes many.
// `@unchecked Sendable` (Snapshot): it holds an immutable state and a number.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// What an engine held at a position. Keeps the memory and the tables it needs until it is released. May be used from
/// any thread.
public final class Snapshot: @unchecked Sendable {
  let state: ReadState
  /// Entries above it are invisible.
  public let position: UInt64

  init(_ state: ReadState, position: UInt64) {
    self.state = state
    self.position = position
  }

  /// Everything at or below it was in tables when the snapshot was taken.
  public var flushedPosition: UInt64 { state.open.version.flushedPosition }

  /// The value of `key`, or nil. Copies the value.
  public func get(_ key: [UInt8]) throws(EngineError) -> [UInt8]? {
    let result = key.withUnsafeBytes { bytes in
      Result { () throws(EngineError) in try find(bytes) { [UInt8]($0.value) } }
    }
    return try result.get()
  }

  /// Calls `body` with the newest visible version of `key`, if it is alive, and returns its result; nil when there is
  /// none. The entry is valid during the call.
  public func find<R>(_ key: UnsafeRawBufferPointer, _ body: (Entry) -> R) throws(EngineError) -> R? {
    var scratch = LookupScratch()
    return try find(key, &scratch, body)
  }

  private func find<R>(
    _ key: UnsafeRawBufferPointer, _ scratch: inout LookupScratch, _ body: (Entry) -> R
  ) throws(EngineError) -> R? {
    try state.find(key, at: position, &scratch, body)
  }

  /// Looks up many keys at once: `body` gets each key's place in `keys` and its entry, or nil, in the order of `keys`.
  /// Throws at the first key that cannot be read.
  public func find(_ keys: [[UInt8]], _ body: (Int, Entry?) -> Void) throws(EngineError) {
    var scratch = LookupScratch()
    for (place, key) in keys.enumerated() {
      let result = key.withUnsafeBytes { bytes in
        Result { () throws(EngineError) in try find(bytes, &scratch) { body(place, $0) } }
      }
      if try result.get() == nil { body(place, nil) }
    }
  }

  /// The live entries with `lower` <= key < `upper`, in key order or backwards; nil stands for no bound.
  public func iterator(
    lower: [UInt8]? = nil, upper: [UInt8]? = nil, isForward: Bool = true
  ) -> MergeIterator {
    MergeIterator([self], lower: lower, upper: upper, isForward: isForward)
  }

  /// The live entries whose keys begin with `prefix`, in key order or backwards.
  public func iterator(prefix: [UInt8], isForward: Bool = true) -> MergeIterator {
    MergeIterator([self], prefix: prefix, isForward: isForward)
  }
}

/// Point reads by one thread, one after the other: keeps what it can from read to read, so a read allocates nothing.
public struct EngineReader: ~Copyable {
  private let engine: Engine
  private var state: ReadState
  private var stateNumber: UInt64
  private var scratch = LookupScratch()

  public init(_ engine: Engine) {
    self.engine = engine
    (state, stateNumber) = engine.numberedState
  }

  /// Takes the engine's newest state. A later `find` at a position that was visible before this call is exact.
  @inline(__always)
  public mutating func refresh() {
    if engine.stateNumber != stateNumber { (state, stateNumber) = engine.numberedState }
  }

  /// Forgets the state, and with it the memory that it keeps.
  public mutating func release() {
    stateNumber = .max
    state = engine.emptyState
  }

  /// Everything at or below it is in tables: a position below it may miss versions that are gone.
  public var flushedPosition: UInt64 { state.open.version.flushedPosition }

  /// Calls `body` with the version of `key` that a reader at `position` sees, if it is alive; nil when there is none. The
  /// entry is valid during the call. Reads the state that `refresh` took. About 1 µs from tables of the block cache.
  @inline(__always)
  public mutating func find<R>(
    _ key: UnsafeRawBufferPointer, at position: UInt64, _ body: (Entry) -> R
  ) throws(EngineError) -> R? {
    try state.find(key, at: position, &scratch, body)
  }
}
