// A stand-in for key-value sessions, until the store has them. Not to be merged.
import SluiceSystem

private let stub = Monitor<[[UInt8]: [UInt8]]>([:])

public final class KeyValueSession {
  public func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(StoreError) {
    stub.withLock { $0[Array(key)] = Array(value) }
  }
  public func beginBatch() throws(StoreError) {}
  public func endBatch() throws(StoreError) {}
  public func commit() throws(StoreError) {}
  public func settle() throws(StoreError) {}
  public func get<R>(_ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> R) throws(StoreError) -> R? {
    guard let value = stub.withLock({ $0[Array(key)] }) else { return nil }
    return value.withUnsafeBytes(body)
  }
  public func scan(
    from start: UnsafeRawBufferPointer?, limit: Int,
    _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
  ) throws(StoreError) -> Int {
    let first = start.map(Array.init) ?? []
    let rows = stub.withLock { rows in rows.filter { !$0.key.lexicographicallyPrecedes(first) } }
    let some = rows.sorted { $0.key.lexicographicallyPrecedes($1.key) }.prefix(limit)
    for row in some { row.key.withUnsafeBytes { key in row.value.withUnsafeBytes { body(key, $0) } } }
    return some.count
  }
}

extension Store {
  public func makeKeyValueSession(space: Int) throws(StoreError) -> KeyValueSession { KeyValueSession() }
  public func flush() throws(StoreError) {}
  public var engineStatistics: [Int] { [] }
}

extension StoreOptions {
  package enum Compression: Sendable { case none, lz4 }
  package var cacheBytes: Int {
    get { 0 }
    set {}
  }
  package var compression: Compression {
    get { .none }
    set {}
  }
}
