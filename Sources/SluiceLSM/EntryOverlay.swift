// Entries that a writer has not handed over yet, laid over what engines hold: so that it reads its own writes.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// Entries in rising key order, one for each key. Built by one thread, then constant.
public final class EntryOverlay {
  private var storage: RunStorage
  private var count = 0
  /// Copies of keys and values, when whoever gave them may change them.
  private var blocks: [UnsafeMutableRawBufferPointer] = []
  private let copies: Bool

  /// `copies: false`: keys and values stay where they are for as long as the overlay is used.
  public init(copies: Bool) {
    self.copies = copies
    storage = RunStorage(capacity: 16)
  }

  deinit { for block in blocks { block.deallocate() } }

  public var isEmpty: Bool { count == 0 }

  /// Adds an entry behind the others, whose keys are all lower. The value stands behind its key in memory.
  public func append(key: UnsafeRawBufferPointer, kind: EntryKind, value: UnsafeRawBufferPointer) {
    if count == storage.capacity { grow() }
    let base = key.baseAddress.unsafelyUnwrapped
    invariant(value.count == 0 || value.baseAddress == base + key.count, "a value apart from its key")
    let search = SearchKey(key)
    // The position is that of the reader: see `run`.
    (storage.base + count).initialize(
      to: MemoryEntry(
        order: search.order, key: copies ? copy(base, key.count + value.count) : base,
        trailer: UInt64(kind.rawValue) | overlayBits, table: search.table,
        keySize: UInt32(truncatingIfNeeded: key.count), valueSize: UInt32(truncatingIfNeeded: value.count)))
    count += 1
  }

  private func grow() {
    let larger = RunStorage(capacity: storage.capacity * 4)
    larger.base.initialize(from: storage.base, count: count)
    storage = larger
  }

  private func copy(_ bytes: UnsafeRawPointer, _ size: Int) -> UnsafeRawPointer {
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 1)
    block.copyMemory(from: UnsafeRawBufferPointer(start: bytes, count: size))
    blocks.append(block)
    return UnsafeRawPointer(block.baseAddress.unsafelyUnwrapped)
  }

  /// The entries as a run that is newer than anything at or below `position`. The run lives no longer than this object.
  func run(at position: UInt64) -> Run? {
    if count == 0 { return nil }
    for index in 0..<count { storage.base[index].trailer |= position << 8 }
    invariant(isSorted(MemoryEntries(storage.base), count: count), "an overlay out of order")
    return Run(storage: storage, base: MemoryEntries(storage.base), count: count)
  }
}
