/// Stops the process when a statement that the program guarantees does not hold. Always on, in release builds too:
/// a store that goes on with a broken invariant loses data later and elsewhere.
@inlinable @inline(__always)
public func invariant(
  _ condition: Bool, _ message: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line
) {
  if !condition { invariantFailed(message(), file: file, line: line) }
}

@usableFromInline @inline(never)
func invariantFailed(_ message: String, file: StaticString, line: UInt) -> Never {
  fatalError("invariant: " + message, file: file, line: line)
}
