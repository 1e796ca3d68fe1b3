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
  /// Has `goesOn` asked every so many steps of a running statement, which ends with SQLITE_INTERRUPT when it answers
  /// false. A thousand steps of SQLite's machine take a few microseconds to a millisecond, but for functions that take
  /// long. On the connection's thread; it must not use the connection. Cost: not measurable with a thousand.
  public func watchProgress(every steps: Int32 = 1_000, _ goesOn: @escaping () -> Bool) throws(SQLiteError) {
    let db = try opened()
    let watch = ProgressWatch(goesOn)
    progressWatch = watch
    sx_progress_handler(
      db, steps,
      { argument in
        guard let argument else { return 0 }
        return Unmanaged<ProgressWatch>.fromOpaque(argument).takeUnretainedValue().goesOn() ? 0 : 1
      }, Unmanaged.passUnretained(watch).toOpaque())
  }
}
