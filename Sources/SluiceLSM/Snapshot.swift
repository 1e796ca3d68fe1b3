// A view of one engine at one position, and point reads without one.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// What an engine held at a position. Keeps the memory and the tables it needs until it is released. May be used from
/// any thread.
public struct Snapshot: Sendable {
  let state: ReadState
  /// Entries above it are invisible.
  public let position: UInt64

  init(_ state: ReadState, position: UInt64) {
    self.state = state
    self.position = position
  }

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

  /// The same with the thread's own `scratch`, which saves allocations.
  public func find<R>(
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

/// What an engine holds at one moment, for a point read: cheaper than a snapshot, and like it keeps memory and tables.
public struct EngineView: Sendable {
  let state: ReadState

  /// Calls `body` with the version of `key` that a reader at `position` sees, if it is alive; nil when there is none.
  /// The entry is valid during the call. `scratch` is the thread's own and saves allocations. About 0.7 µs when the key
  /// is in a table, 0.1 µs when filters answer. Any thread.
  @inline(__always)
  public func find<R>(
    _ key: UnsafeRawBufferPointer, at position: UInt64, _ scratch: inout LookupScratch, _ body: (Entry) -> R
  ) throws(EngineError) -> R? {
    try state.find(key, at: position, &scratch, body)
  }
}

extension Engine {
  /// The newest state. About 40 ns. Any thread.
  public func view() -> EngineView { EngineView(state: current) }
}
