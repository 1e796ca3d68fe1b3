// A view of one engine at one position, and the iterator over it.
// `@unchecked Sendable` (Snapshot): it holds an immutable state and a number.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// What an engine held at a position. Keeps the memory and the tables it needs until it is released. May be used from
/// any thread.
public final class Snapshot: @unchecked Sendable {
  private let state: ReadState
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
    if state.isDropped(key, at: position) { return nil }
    let order = keyOrder(key)
    let ceiling = ceilingTrailer(at: position)
    if let entry = state.findInMemory(key, order: order, trailer: ceiling) {
      let trailer = entry.pointee.trailer
      if isTombstone(trailer) { return nil }
      return body(Entry(key: key, position: trailer >> 8, kind: .put, value: entry.pointee.valueBytes))
    }
    guard let found = try state.open.find(key, order: order, trailer: ceiling), !isTombstone(found.trailer) else {
      return nil
    }
    return withExtendedLifetime(found.block) {
      body(Entry(key: key, position: found.trailer >> 8, kind: .put, value: found.value))
    }
  }

  /// The live entries with `lower` <= key < `upper`, in key order; nil stands for no bound.
  public func iterator(lower: [UInt8]? = nil, upper: [UInt8]? = nil) -> MergeIterator {
    MergeIterator(state, position: position, lower: lower, upper: upper)
  }
}

/// Walks live entries in key order: the newest visible version of each key, tombstones hidden. Used by one thread.
public final class MergeIterator {
  private let state: ReadState
  private let merger: Merger
  private let position: UInt64
  private let ceiling: UInt64
  private let lower: [UInt8]?
  private let upper: [UInt8]?
  private let upperOrder: UInt128
  private let hasDrops: Bool
  private var seen = KeyMemory()
  private var started = false
  private var ended = false

  init(_ state: ReadState, position: UInt64, lower: [UInt8]?, upper: [UInt8]?) {
    self.state = state
    self.position = position
    self.lower = lower
    self.upper = upper
    ceiling = ceilingTrailer(at: position)
    upperOrder = upper.map { bytes in bytes.withUnsafeBytes { keyOrder($0) } } ?? .max
    hasDrops = !state.dropped.isEmpty
    merger = Merger(runs: state.memoryRuns, tableRuns: state.open.runs, usesCache: true)
  }

  /// The entry that `next` went to. Valid until the next step.
  @inline(__always)
  public var current: Entry {
    let head = merger.head
    return Entry(key: head.key, position: head.trailer >> 8, kind: .put, value: head.value)
  }

  /// Goes to the next live entry; false at the end. After an error the iterator is at its end.
  public func next() throws(EngineError) -> Bool {
    if ended { return false }
    do {
      if try advance() { return true }
      ended = true
      return false
    } catch {
      ended = true
      throw error
    }
  }

  private func advance() throws(EngineError) -> Bool {
    var more = started ? try merger.next() : try begin()
    while more {
      let head = merger.head
      if head.order >= upperOrder, isAtOrBehindUpper(head.key) { return false }
      if head.trailer <= ceiling, !seen.matches(head) {
        seen.remember(head)
        let hidden = isTombstone(head.trailer) || (hasDrops && state.isDropped(head.key, at: position))
        if !hidden { return true }
      }
      more = try merger.next()
    }
    return false
  }

  private func begin() throws(EngineError) -> Bool {
    started = true
    guard let lower else { return try merger.start(at: nil) }
    let result = lower.withUnsafeBytes { bytes in
      Result { () throws(EngineError) in try merger.start(at: bytes) }
    }
    return try result.get()
  }

  private func isAtOrBehindUpper(_ key: UnsafeRawBufferPointer) -> Bool {
    guard let upper else { return false }
    return upper.withUnsafeBytes { compareBytes(key, $0) >= 0 }
  }
}
