// Asking, while a statement runs, whether it is to go on (https://sqlite.org/c3ref/progress_handler.html). Unlike an
// interrupt, which SQLite forgets when it comes before the first step, the answer is never missed.
// Unsafe by nature: named in the tidy test.
import CSQLite

/// Whom a connection asks.
final class ProgressWatch {
  let goesOn: () -> Bool
  init(_ goesOn: @escaping () -> Bool) { self.goesOn = goesOn }
}

extension Connection {
  /// Steps of SQLite's machine between two questions: a few microseconds to a millisecond.
  private static let stepsBetween: Int32 = 1_000

  /// Has `goesOn` asked every thousand steps of a running statement, which ends with SQLITE_INTERRUPT when it answers
  /// false. On the connection's thread; it must not use the connection. Cost: not measurable.
  public func watchProgress(_ goesOn: @escaping () -> Bool) throws(SQLiteError) {
    let db = try opened()
    let watch = ProgressWatch(goesOn)
    progressWatch = watch
    sx_progress_handler(
      db, Self.stepsBetween,
      { argument in
        guard let argument else { return 0 }
        return Unmanaged<ProgressWatch>.fromOpaque(argument).takeUnretainedValue().goesOn() ? 0 : 1
      }, Unmanaged.passUnretained(watch).toOpaque())
  }
}
