// Where a statement that grows block by block ends, by the library's splitter.
import Sluice

/// The scan for the end of one statement, whose text is handed over again each time with more bytes behind it.
struct StatementScan {
  private var splitter = StatementSplitter()

  /// The size of the statement at the start of `text` with its semicolon, or nil while it is not whole.
  /// Cost: only what was not seen before is looked at.
  mutating func end(of text: UnsafeRawBufferPointer) -> Int? {
    guard case .statement(let range, _, _, true) = splitter.next(in: text, atEnd: false) else { return nil }
    return range.upperBound
  }
}
