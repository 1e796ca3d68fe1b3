// What `.timer on` prints after each statement.
import Glibc

/// Started when it is made.
struct Stopwatch {
  private let started = Stopwatch.now()
  private let usage = Stopwatch.processorTimes()

  /// The line sqlite3 prints, with the times until now.
  var text: String {
    let times = Stopwatch.processorTimes()
    let real = Stopwatch.fixed(Stopwatch.now() - started, decimals: 3)
    let user = Stopwatch.fixed(times.user - usage.user, decimals: 6)
    let system = Stopwatch.fixed(times.system - usage.system, decimals: 6)
    return "Run Time: real \(real) user \(user) sys \(system)\n"
  }

  private static func now() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1_000_000 + time.tv_nsec / 1000
  }

  private static func processorTimes() -> (user: Int, system: Int) {
    var usage = rusage()
    getrusage(Int32(RUSAGE_SELF.rawValue), &usage)
    return (
      usage.ru_utime.tv_sec * 1_000_000 + Int(usage.ru_utime.tv_usec),
      usage.ru_stime.tv_sec * 1_000_000 + Int(usage.ru_stime.tv_usec)
    )
  }

  /// Microseconds as seconds with 3 or 6 decimals.
  private static func fixed(_ microseconds: Int, decimals: Int) -> String {
    let unit = decimals == 3 ? 1000 : 1_000_000
    let value = decimals == 3 ? (microseconds + 500) / 1000 : microseconds
    let fraction = String(value % unit)
    return "\(value / unit)." + String(repeating: "0", count: decimals - fraction.utf8.count) + fraction
  }
}
