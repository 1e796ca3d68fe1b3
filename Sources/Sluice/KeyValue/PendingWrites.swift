// What a session has written and the shards do not show yet: the batch that is being filled, and those that were
// handed over and are not applied. Reads ask here first, newest batch first, so a session reads its own writes without
// waiting. A batch leaves when it has been applied; its index serves the next one. Unsafe by nature: named in the tidy
// test.
import SluiceLog
import SluiceSystem

/// The batches of one session on their way, each with an index. One thread.
struct PendingWrites: ~Copyable {
  /// Batches that may be on their way. Small commits reach the bound in bytes late; each batch costs a read a probe.
  static let batchLimit = 64
  /// Size of the largest index that is kept to be used again: that of a batch of the usual size with tiny rows.
  private static let spareLimitBytes = 512 << 10

  private struct Place {
    var batch: Unmanaged<Batch>
    var body: UnsafeRawBufferPointer
    var index: WriteIndex
    var size: Int
  }

  /// A ring; `first` is the oldest.
  private let places: UnsafeMutablePointer<Place>
  private var first = 0
  private(set) var count = 0
  /// Bytes of the batches handed over and not applied.
  private(set) var sizeBytes = 0
  /// How many of the session's batches have left.
  private(set) var forgotten = 0
  /// Index of the batch that is being filled.
  private var index = WriteIndex()
  /// Indexes to use again.
  private var spare: [WriteIndex] = []

  init() { places = .allocate(capacity: Self.batchLimit) }

  deinit {
    index.free()
    for index in spare { index.free() }
    for offset in 0..<count {
      let place = places[(first + offset) % Self.batchLimit]
      place.index.free()
      place.batch.release()
    }
    places.deallocate()
  }

  var isFull: Bool { count == Self.batchLimit }

  /// Whether neither a batch on its way nor the one being filled holds anything.
  @inline(__always)
  var isEmpty: Bool { count == 0 && index.count == 0 }

  /// Notes a command of the batch that is being filled, whose body is `body`.
  @inline(__always)
  mutating func note(hash: UInt64, offset: Int, in body: UnsafeRawBufferPointer) {
    index.set(hash: hash, offset: offset, in: body)
  }

  /// Begins the index of the batch being filled again, from the commands of `body`: some were taken back.
  mutating func renew(from body: UnsafeRawBufferPointer, hash: (UnsafeRawBufferPointer) -> UInt64) {
    index.clear(expecting: 0)
    var reader = CommandReader(body: body)
    while true {
      let offset = reader.offset
      guard let command = reader.next() else { return }
      index.set(hash: hash(command.key), offset: offset, in: body)
    }
  }

  /// The batch that was being filled is on its way, as `batch`; an empty one begins.
  mutating func handOver(_ batch: Batch) {
    invariant(!isFull, "more than \(Self.batchLimit) batches on their way")
    let place = Place(batch: .passRetained(batch), body: batch.body, index: index, size: batch.size)
    (places + (first + count) % Self.batchLimit).initialize(to: place)
    count += 1
    sizeBytes += batch.size
    // The next batch is likely to hold as many commands.
    let expected = index.count
    index = spare.popLast() ?? WriteIndex()
    index.clear(expecting: expected)
  }

  /// Lets go of the batches that were applied: the first `resolved` of all the session handed over.
  @inline(__always)
  mutating func forget(resolved: Int) {
    while forgotten < resolved, count > 0 { forgetOldest() }
  }

  private mutating func forgetOldest() {
    let place = places[first]
    place.batch.release()
    // One of a huge batch is not kept for small ones.
    if place.index.sizeBytes > Self.spareLimitBytes { place.index.free() } else { spare.append(place.index) }
    sizeBytes -= place.size
    first = (first + 1) % Self.batchLimit
    count -= 1
    forgotten += 1
  }

  /// The newest write of `key`, a whole engine key with this hash, or nil. `filling` is the body of the batch being
  /// filled. What it points to is valid until the next write.
  @inline(__always)
  func find(_ key: UnsafeRawBufferPointer, hash: UInt64, filling: UnsafeRawBufferPointer) -> Command? {
    if index.count > 0 {
      let offset = index.find(key, hash: hash, in: filling)
      if offset >= 0 { return command(filling, offset) }
    }
    var behind = count
    while behind > 0 {
      behind &-= 1
      let place = places + (first &+ behind) % Self.batchLimit
      let offset = place.pointee.index.find(key, hash: hash, in: place.pointee.body)
      if offset >= 0 { return command(place.pointee.body, offset) }
    }
    return nil
  }

  private func command(_ body: UnsafeRawBufferPointer, _ offset: Int) -> Command? {
    var reader = CommandReader(body: body, offset: offset)
    return reader.next()
  }
}
