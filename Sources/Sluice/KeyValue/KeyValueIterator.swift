// The iterator that a program gets, and how it goes backward. Unsafe by nature: named in the tidy test.
import SluiceSystem

/// Walks the rows of a range in key order, as of the moment it was made. Used by one thread at a time.
public final class KeyValueIterator {
  private enum Rows {
    case forward(MergedRows)
    case backward(BackwardRows)
  }
  private let rows: Rows

  init(_ rows: MergedRows) { self.rows = .forward(rows) }

  init(backward rows: BackwardRows) { self.rows = .backward(rows) }

  /// Goes to the next row, of a descending iterator the one before; false at the end. Throws `corrupt` and
  /// `unavailable`: what the disk gives back. About 0.1 µs a row.
  public func next() throws(StoreError) -> Bool {
    switch rows {
    case .forward(let rows): try rows.next()
    case .backward(let rows): try rows.next()
    }
  }

  /// The key of the row that `next` went to. Valid until the next step.
  public var key: UnsafeRawBufferPointer {
    switch rows {
    case .forward(let rows): userKey(rows.key)
    case .backward(let rows): userKey(rows.key)
    }
  }

  /// Its value. Valid until the next step.
  public var value: UnsafeRawBufferPointer {
    switch rows {
    case .forward(let rows): rows.value
    case .backward(let rows): rows.value
    }
  }
}

/// Rows from the last to the first. Engines walk forward, so the range is cut into stretches by one walk over its keys;
/// then each stretch, from the last on, is walked once more and given out from its end.
final class BackwardRows {
  /// Rows of a stretch: copied, so few; each stretch costs a search in every shard, so not too few.
  private static let stretchRows = 256

  private let rows: MergedRows
  /// First key of each stretch that is still to come.
  private var starts: [[UInt8]] = []
  private var stretch = CopiedRows()
  private var index = 0

  /// Walks the whole range once.
  init(_ rows: MergedRows) throws(StoreError) {
    self.rows = rows
    var count = 0
    while try rows.next() {
      if count % Self.stretchRows == 0 { starts.append([UInt8](rows.key)) }
      count += 1
    }
  }

  var key: UnsafeRawBufferPointer { stretch.key(index) }
  var value: UnsafeRawBufferPointer { stretch.value(index) }

  /// Goes to the row before; false at the first.
  func next() throws(StoreError) -> Bool {
    if index > 0 {
      index -= 1
      return true
    }
    guard let start = starts.popLast() else {
      stretch.removeAll()
      return false
    }
    stretch.removeAll()
    var more = try rows.seek(start)
    while more, stretch.count < Self.stretchRows {
      stretch.add(key: rows.key, value: rows.value, isDeleted: false)
      more = try rows.next()
    }
    index = stretch.count - 1
    return true
  }
}
