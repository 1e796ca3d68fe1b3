// The door to SQLite for values that are no plain literals.
import SluiceSystem

/// Evaluates one expression of a VALUES list. Called on the slow branch only, so that the row path needs no evaluator.
public protocol ValueEvaluator: AnyObject {
  /// The value of the expression whose SQL text is `expression`, with `affinity` applied as for a stored column.
  /// Throws what SQLite says about it; the error's offset counts from the expression's start. The bytes are valid
  /// for the call only. A text must be UTF-8.
  func evaluate(_ expression: UnsafeRawBufferPointer, affinity: Affinity) throws(SQLError) -> Value
}
