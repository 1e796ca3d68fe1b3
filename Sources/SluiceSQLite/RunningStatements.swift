// Which statements of a connection are under way: a table is told values alone, and may have to know what was asked.
// Unsafe by nature: named in the tidy test.
import CSQLite
import SluiceSystem

extension Connection {
  /// Calls `body` with the text of each statement that was begun, may write and has not come to its end; none for one
  /// that a trigger runs. The text is valid during the call. Cost: a look at every statement of the connection.
  public func forEachRunningWrite(_ body: (UnsafeRawBufferPointer) -> Void) {
    guard let handle else { return }
    var statement = sx_next_stmt(handle, nil)
    while let current = statement {
      if sx_stmt_busy(current) != 0, sx_stmt_readonly(current) == 0, let text = sx_sql(current) {
        body(UnsafeRawBufferPointer(start: text, count: byteCount(text)))
      }
      statement = sx_next_stmt(handle, current)
    }
  }
}

/// Bytes of a C string before its NUL.
private func byteCount(_ text: UnsafePointer<CChar>) -> Int {
  var count = 0
  while text[count] != 0 { count += 1 }
  return count
}
