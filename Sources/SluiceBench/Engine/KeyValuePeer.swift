// What the engine workloads need of a store. One call a batch and one a read go through these protocols, nothing else.
// Unsafe by nature (rows are borrowed bytes): named in the tidy test.
import SluiceSystem

/// A store under measurement.
protocol KeyValuePeer: AnyObject {
  /// A session for one thread.
  func makeSession() throws -> any KeyValuePeerSession
  /// Writes what is in memory to tables and waits for it.
  func flush() throws
  /// What the store says about itself.
  func statistics() -> String
  func close() throws
}

/// One thread's door to a store.
protocol KeyValuePeerSession: AnyObject {
  /// Writes `count` rows as one atomic unit: `keys` holds 16 bytes a row, `values` an equal part for each row.
  func put(keys: UnsafeRawBufferPointer, values: UnsafeRawBufferPointer, count: Int) throws
  /// The value of `key` as the whole content of `value`; false when there is none.
  func get(_ key: UnsafeRawBufferPointer, into value: inout ByteBuffer) throws -> Bool
  /// Walks at most `limit` rows in key order, from `start` or from the first.
  func scan(from start: UnsafeRawBufferPointer?, limit: Int) throws -> (rows: Int, bytes: Int)
  /// Waits until all this session wrote is done with, as far as the store promises it: called at the end of every
  /// workload, within the measured time.
  func finish() throws
}

/// Opens the store that the options name.
func openPeer(_ options: EngineOptions) throws -> any KeyValuePeer {
  switch options.peer {
  case .sluice: return try SluicePeer(options)
  case .null: return NullPeer()
  case .rocksdb:
    #if RocksDB
      return try RocksDBPeer(options)
    #else
      throw BenchError(description: rocksDBIsMissing)
    #endif
  }
}

/// Whether this program can measure RocksDB itself.
var hasRocksDB: Bool {
  #if RocksDB
    true
  #else
    false
  #endif
}

let rocksDBIsMissing =
  "this sluice-bench is built without RocksDB: install librocksdb-dev, then `swift build -c release --traits RocksDB "
  + "--product sluice-bench`"

/// Takes every row and keeps none: what the measuring itself costs.
final class NullPeer: KeyValuePeer, KeyValuePeerSession {
  func makeSession() -> any KeyValuePeerSession { NullPeer() }
  func flush() {}
  func statistics() -> String { "" }
  func close() {}
  func put(keys: UnsafeRawBufferPointer, values: UnsafeRawBufferPointer, count: Int) {}
  func get(_ key: UnsafeRawBufferPointer, into value: inout ByteBuffer) -> Bool { false }
  func scan(from start: UnsafeRawBufferPointer?, limit: Int) -> (rows: Int, bytes: Int) { (0, 0) }
  func finish() {}
}
