// The iterator that a program gets. Unsafe by nature: named in the tidy test.
import SluiceLSM
import SluiceSystem

/// Walks the rows of a range in key order, as of the moment it was made. Used by one thread at a time.
public final class KeyValueIterator {
  private let rows: MergeIterator

  init(_ rows: MergeIterator) { self.rows = rows }

  /// Goes to the next row, of a descending iterator the one before; false at the end. Throws `corrupt` and
  /// `unavailable`: what the disk gives back. About 0.1 µs a row.
  public func next() throws(StoreError) -> Bool {
    do { return try rows.next() } catch { throw StoreError(error) }
  }

  /// The key of the row that `next` went to. Valid until the next step.
  public var key: UnsafeRawBufferPointer { userKey(rows.current.key) }

  /// Its value. Valid until the next step.
  public var value: UnsafeRawBufferPointer { rows.current.value }
}
