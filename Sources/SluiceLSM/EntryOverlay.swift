// Entries that a writer has not handed over yet, laid over what engines hold: so that it reads its own writes.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// Entries in rising key order, one for each key, in memory of their own. Built by one thread, then constant.
public final class EntryOverlay {
  private var bytes = ByteBuffer(capacity: 256)
  private var rows: [(offset: Int, keySize: Int, valueSize: Int, kind: EntryKind)] = []

  public init() {}

  public var isEmpty: Bool { rows.isEmpty }

  /// Adds an entry behind the others, whose keys are all lower. Copies key and value.
  public func append(key: UnsafeRawBufferPointer, kind: EntryKind, value: UnsafeRawBufferPointer) {
    rows.append((bytes.count, key.count, value.count, kind))
    bytes.append(key)
    bytes.append(value)
  }

  /// The entries as a run that is newer than anything at or below `position`. The run points into this object.
  func run(at position: UInt64) -> Run? {
    if rows.isEmpty { return nil }
    let storage = RunStorage(capacity: rows.count)
    for (index, row) in rows.enumerated() {
      let key = SearchKey(UnsafeRawBufferPointer(start: bytes.base + row.offset, count: row.keySize))
      (storage.base + index).initialize(
        to: MemoryEntry(
          order: key.order, key: UnsafeRawPointer(bytes.base + row.offset),
          trailer: packTrailer(position, row.kind) | overlayBits, table: key.table, keySize: UInt32(row.keySize),
          valueSize: UInt32(row.valueSize)))
    }
    invariant(isSorted(MemoryEntries(storage.base), count: rows.count), "an overlay out of order")
    return Run(storage: storage, base: MemoryEntries(storage.base), count: rows.count)
  }
}
