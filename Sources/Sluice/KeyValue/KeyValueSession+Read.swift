// Reading: one key, several at one position, a range in order. What the session itself has written comes first, then
// the shards at the visible position. Unsafe by nature: named in the tidy test.
import SluiceLSM
import SluiceLog
import SluiceSystem

extension KeyValueSession {
  /// Calls `body` with the value of a key and returns its result; nil when the key is not there. The bytes are valid
  /// during the call, which must not use the session. Sees all that this session wrote, and of others what is applied.
  /// Throws `invalid` (size of the key), `corrupt` and `unavailable` (what the disk gives back). Cost: a probe for each
  /// of the session's batches on its way, then a memtable, filters, and a block.
  @inline(__always)
  public func get<R>(
    _ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> R
  ) throws(StoreError) -> R? {
    let whole = try engineKey(key)
    let hash = router.hash(key)
    // Before the position is loaded: what leaves here is visible there.
    forgetApplied()
    if !pending.isEmpty, let command = pending.find(whole, hash: hash, filling: builder.body) {
      return command.kind == .delete ? nil : body(command.value)
    }
    return try find(whole, shard: router.shard(slot: router.slot(hash: hash)), body)
  }

  /// Calls `body` for each of `keys`, in order, with its index and its value, or nil when it is not there: all as of
  /// one moment. Limits, errors and cost as for `get`.
  public func multiGet(
    _ keys: [UnsafeRawBufferPointer], _ body: (_ index: Int, _ value: UnsafeRawBufferPointer?) -> Void
  ) throws(StoreError) {
    for key in keys { try checkKey(key) }
    forgetApplied()
    let view = pipeline.view()
    for (index, key) in keys.enumerated() {
      let whole = try engineKey(key)
      let hash = router.hash(key)
      if !pending.isEmpty, let command = pending.find(whole, hash: hash, filling: builder.body) {
        body(index, command.kind == .delete ? nil : command.value)
        continue
      }
      let found: Void?
      do {
        found = try view[router.shard(slot: router.slot(hash: hash))].find(whole) { body(index, $0.value) }
      } catch { throw StoreError(error) }
      if found == nil { body(index, nil) }
    }
  }

  /// Calls `body` with key and value of up to `limit` rows in key order, from the first key that is `start` or above
  /// (nil: from the first key), until it returns false. Returns the number of rows given. The bytes are valid during
  /// the call, which must not use the session. Sees what `get` sees, as of one moment; waits until batches that were
  /// handed over are applied.
  @discardableResult
  public func scan(
    from start: UnsafeRawBufferPointer? = nil, limit: Int = .max,
    _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool
  ) throws(StoreError) -> Int {
    let lower = try start.map { key throws(StoreError) in try engineKey(key) }
    try open(scanner, lower: lower, upper: nil, .ascending, copies: false)
    defer { scanner.close() }
    var count = 0
    do {
      while count < limit, try scanner.next() {
        count += 1
        let row = scanner.current
        if !body(userKey(row.key), row.value) { break }
      }
    } catch { throw StoreError(error) }
    return count
  }

  /// An iterator over the keys of a range, all shards in one order, as of now: it sees what this session wrote and, of
  /// others, what is applied, and nothing that is written later. Waits until batches that were handed over are
  /// applied. Cost: 1 to 20 µs; keeps memory and tables until it is released. It may be used by another thread than the
  /// session's.
  public func makeIterator(
    _ range: KeyRange = .all, _ order: KeyOrder = .ascending
  ) throws(StoreError) -> KeyValueIterator {
    let rows = MergeIterator()
    let lower = range.engineLower(tableID)
    let upper = range.engineUpper(tableID)
    let result = lower.withUnsafeBytes { lower in
      upper.withUnsafeBytes { upper in
        Result { () throws(StoreError) in
          try open(rows, lower: lower, upper: upper, order, copies: true)
        }
      }
    }
    try result.get()
    return KeyValueIterator(rows)
  }

  // MARK: Inside

  /// The engine key of `key`, in memory that the next call uses again.
  @inline(__always)
  private func engineKey(_ key: UnsafeRawBufferPointer) throws(StoreError) -> UnsafeRawBufferPointer {
    try checkKey(key)
    (scratch.baseAddress.unsafelyUnwrapped + KeySpace.prefixSize).copyMemory(
      from: key.baseAddress.unsafelyUnwrapped, byteCount: key.count)
    return UnsafeRawBufferPointer(start: scratch.baseAddress, count: KeySpace.prefixSize &+ key.count)
  }

  @inline(__always)
  private func checkKey(_ key: UnsafeRawBufferPointer) throws(StoreError) {
    guard key.count > 0, key.count <= Self.keyLimitBytes else { throw refusal(key.count, 0) }
  }

  /// A key of one shard at the visible position. The one place where a single key is asked for.
  @inline(__always)
  private func find<R>(
    _ key: UnsafeRawBufferPointer, shard: Int, _ body: (UnsafeRawBufferPointer) -> R
  ) throws(StoreError) -> R? {
    while true {
      let position = pipeline.positions.visible
      let view = pipeline.engines[shard].view()
      guard pipeline.positions.isWhole(at: position) else { continue }
      do { return try view.find(key, at: position, &lookup) { body($0.value) } } catch { throw StoreError(error) }
    }
  }

  /// Opens `rows` over a range of engine keys (nil: the ends of the space), the shards' rows and the session's own:
  /// those as they stand in the builder, or copies.
  private func open(
    _ rows: MergeIterator, lower: UnsafeRawBufferPointer?, upper: UnsafeRawBufferPointer?, _ order: KeyOrder,
    copies: Bool
  ) throws(StoreError) {
    // What was handed over is on its way and soon there; what is being filled goes into the merge.
    try waitApplied()
    // The ends of the space, as keys: its table id, and the one behind it.
    var ends = (tableID.bigEndian, (tableID + 1).bigEndian)
    withUnsafeBytes(of: &ends) { ends in
      let lower = lower ?? UnsafeRawBufferPointer(rebasing: ends[..<4])
      let upper = upper ?? UnsafeRawBufferPointer(rebasing: ends[4...])
      var own: EntryOverlay?
      if !builder.isEmpty {
        ordered.update(from: builder.body)
        own = copies ? ordered.entries.copy(lower: lower, upper: upper) : ordered.entries
      }
      rows.open(pipeline.view(), lower: lower, upper: upper, isForward: order == .ascending, overlay: own)
    }
  }
}

@inline(__always)
func userKey(_ key: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
  UnsafeRawBufferPointer(rebasing: key[KeySpace.prefixSize...])
}
