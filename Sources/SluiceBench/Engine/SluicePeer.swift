// Sluice as a key-value store: one key space of a store, a session for each thread. Keys and values take the path of
// rows: batch, log, memtable.
// Unsafe by nature (rows are borrowed bytes): named in the tidy test.
import Sluice
import SluiceSystem

final class SluicePeer: KeyValuePeer {
  private static let space = 0

  private let store: Store
  private let valueSize: Int
  private let isSynchronous: Bool

  init(_ options: EngineOptions) throws {
    isSynchronous = options.sync.isOn
    var settings = StoreOptions()
    settings.memtableBudgetBytes = options.memtableMegabytes << 20
    settings.synchronous = isSynchronous
    settings.cacheBytes = options.cacheMegabytes << 20
    settings.compression = options.comp == .lz4 ? .lz4 : .none
    valueSize = options.value
    store = try Store.open(path: options.dir, options: settings)
  }

  func makeSession() throws -> any KeyValuePeerSession {
    Session(
      try store.makeKeyValueSession(space: Self.space), valueSize: valueSize, isSynchronous: isSynchronous)
  }

  func flush() throws { try store.flush() }

  func statistics() -> String {
    store.engineStatistics.enumerated().map { "shard \($0): \($1)" }.joined(separator: "\n")
  }

  func close() throws { try store.close() }

  private final class Session: KeyValuePeerSession {
    private let session: KeyValueSession
    private let valueSize: Int
    private let isSynchronous: Bool

    init(_ session: KeyValueSession, valueSize: Int, isSynchronous: Bool) {
      self.session = session
      self.valueSize = valueSize
      self.isSynchronous = isSynchronous
    }

    func put(keys: UnsafeRawBufferPointer, values: UnsafeRawBufferPointer, count: Int) throws {
      if count == 1 {
        try session.put(keys, values)
      } else {
        try session.beginBatch()
        var key = keys.baseAddress!
        var value = values.baseAddress!
        for _ in 0..<count {
          try session.put(
            UnsafeRawBufferPointer(start: key, count: keySizeBytes),
            UnsafeRawBufferPointer(start: value, count: valueSize))
          key += keySizeBytes
          value += valueSize
        }
        try session.endBatch()
      }
      if isSynchronous { try session.commit() }
    }

    func get(_ key: UnsafeRawBufferPointer, into value: inout ByteBuffer) throws -> Bool {
      value.removeAll()
      let found: Void? = try session.get(key) { value.append($0) }
      return found != nil
    }

    func scan(from start: UnsafeRawBufferPointer?, limit: Int) throws -> (rows: Int, bytes: Int) {
      var bytes = 0
      let rows = try session.scan(from: start, limit: limit) {
        bytes += $0.count + $1.count
        return true
      }
      return (rows, bytes)
    }

    /// Also a fill without sync pays for its whole pipeline: the disk has it, and readers see it.
    func finish() throws { try session.settle() }
  }
}
