// RocksDB through its C interface, with the settings of peerbench's RocksDB: memtable, background jobs, compression,
// LRU cache and Bloom filter as the options say, the rest as RocksDB has it. Built with the package trait RocksDB only.
// Unsafe by nature: named in the tidy test.
#if RocksDB
  import CRocksDB
  import Glibc
  import SluiceSystem

  final class RocksDBPeer: KeyValuePeer {
    private let database: OpaquePointer
    private let valueSize: Int
    private let isSynchronous: Bool
    private let isWithoutLog: Bool

    init(_ options: EngineOptions) throws {
      valueSize = options.value
      isSynchronous = options.sync.isOn
      isWithoutLog = options.nowal?.isOn ?? false
      let settings = rocksdb_options_create()
      defer { rocksdb_options_destroy(settings) }
      rocksdb_options_set_create_if_missing(settings, 1)
      rocksdb_options_set_write_buffer_size(settings, options.memtableMegabytes << 20)
      rocksdb_options_set_max_background_jobs(settings, Int32(options.bgjobs ?? 2))
      rocksdb_options_set_compression(settings, Int32(Self.compression(options.comp)))
      let table = rocksdb_block_based_options_create()
      defer { rocksdb_block_based_options_destroy(table) }
      let cache = rocksdb_cache_create_lru(options.cacheMegabytes << 20)
      defer { rocksdb_cache_destroy(cache) }
      rocksdb_block_based_options_set_block_cache(table, cache)
      let bits = options.bloom ?? 10
      if bits > 0 {
        rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(Double(bits)))
      }
      rocksdb_options_set_block_based_table_factory(settings, table)
      database = try Self.checked { rocksdb_open(settings, options.dir, &$0) }!
    }

    private static func compression(_ name: BlockCompression) -> Int {
      switch name {
      case .none: rocksdb_no_compression
      case .lz4: rocksdb_lz4_compression
      case .snappy: rocksdb_snappy_compression
      }
    }

    func makeSession() -> any KeyValuePeerSession {
      Session(database, valueSize: valueSize, isSynchronous: isSynchronous, isWithoutLog: isWithoutLog)
    }

    func flush() throws {
      let settings = rocksdb_flushoptions_create()
      defer { rocksdb_flushoptions_destroy(settings) }
      try Self.checked { rocksdb_flush(database, settings, &$0) }
    }

    func statistics() -> String {
      guard let text = rocksdb_property_value(database, "rocksdb.cfstats-no-file-histogram") else { return "" }
      defer { rocksdb_free(text) }
      return String(cString: text)
    }

    func close() { rocksdb_close(database) }

    /// Runs a call that leaves its error as a string.
    @inline(__always)
    static func checked<R>(_ call: (inout UnsafeMutablePointer<CChar>?) -> R) throws -> R {
      var message: UnsafeMutablePointer<CChar>?
      let result = call(&message)
      if let message { throw failure(message) }
      return result
    }

    @inline(never)
    private static func failure(_ message: UnsafeMutablePointer<CChar>) -> BenchError {
      defer { rocksdb_free(message) }
      return BenchError(description: "rocksdb: \(String(cString: message))")
    }

    /// One thread's batch and options, used again for every call.
    private final class Session: KeyValuePeerSession {
      private let database: OpaquePointer
      private let valueSize: Int
      private let batch = rocksdb_writebatch_create()
      private let writing = rocksdb_writeoptions_create()
      private let reading = rocksdb_readoptions_create()

      init(_ database: OpaquePointer, valueSize: Int, isSynchronous: Bool, isWithoutLog: Bool) {
        self.database = database
        self.valueSize = valueSize
        rocksdb_writeoptions_set_sync(writing, isSynchronous ? 1 : 0)
        rocksdb_writeoptions_disable_WAL(writing, isWithoutLog ? 1 : 0)
      }

      deinit {
        rocksdb_writebatch_destroy(batch)
        rocksdb_writeoptions_destroy(writing)
        rocksdb_readoptions_destroy(reading)
      }

      func put(keys: UnsafeRawBufferPointer, values: UnsafeRawBufferPointer, count: Int) throws {
        rocksdb_writebatch_clear(batch)
        var key = keys.baseAddress!.assumingMemoryBound(to: CChar.self)
        var value = values.baseAddress!.assumingMemoryBound(to: CChar.self)
        for _ in 0..<count {
          rocksdb_writebatch_put(batch, key, keySizeBytes, value, valueSize)
          key += keySizeBytes
          value += valueSize
        }
        try checked { rocksdb_write(database, writing, batch, &$0) }
      }

      /// The value stays pinned in the block cache until it is copied; the handle of the pin is the C interface's one
      /// allocation a read, which its C++ interface has on the stack.
      func get(_ key: UnsafeRawBufferPointer, into value: inout ByteBuffer) throws -> Bool {
        let name = key.baseAddress!.assumingMemoryBound(to: CChar.self)
        guard let pin = try checked({ rocksdb_get_pinned(database, reading, name, key.count, &$0) }) else {
          return false
        }
        defer { rocksdb_pinnableslice_destroy(pin) }
        var size = 0
        let bytes = rocksdb_pinnableslice_value(pin, &size)
        value.removeAll()
        value.append(UnsafeRawBufferPointer(start: bytes, count: size))
        return true
      }

      func scan(from start: UnsafeRawBufferPointer?, limit: Int) throws -> (rows: Int, bytes: Int) {
        let iterator = rocksdb_create_iterator(database, reading)
        defer { rocksdb_iter_destroy(iterator) }
        if let start {
          rocksdb_iter_seek(iterator, start.baseAddress!.assumingMemoryBound(to: CChar.self), start.count)
        } else {
          rocksdb_iter_seek_to_first(iterator)
        }
        var rows = 0
        var bytes = 0
        while rows < limit, rocksdb_iter_valid(iterator) != 0 {
          var keySize = 0
          var valueSize = 0
          _ = rocksdb_iter_key(iterator, &keySize)
          _ = rocksdb_iter_value(iterator, &valueSize)
          bytes += keySize + valueSize
          rows += 1
          rocksdb_iter_next(iterator)
        }
        try checked { rocksdb_iter_get_error(iterator, &$0) }
        return (rows, bytes)
      }

      /// Nothing to wait for: a write that has returned is in the memtable and, if asked for, on the disk.
      func finish() {}

      @inline(__always)
      private func checked<R>(_ call: (inout UnsafeMutablePointer<CChar>?) -> R) throws -> R {
        try RocksDBPeer.checked(call)
      }
    }
  }
#endif
