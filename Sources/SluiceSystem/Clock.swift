import Glibc

/// Time and randomness: the two sources of nondeterminism beside files and threads. A simulator replaces both.
public protocol Clock: AnyObject, Sendable {
  /// Microseconds since 1970-01-01 UTC; may jump.
  func wallMicroseconds() -> Int64
  /// Nanoseconds since some fixed moment; never goes back.
  func monotonicNanoseconds() -> UInt64
  /// A random number (store identity, segment serials), unpredictable in production.
  func random() -> UInt64
}

/// The machine's own clock and randomness.
public final class SystemClock: Clock {
  public init() {}

  public func wallMicroseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
  }

  public func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  public func random() -> UInt64 { UInt64.random(in: 1...UInt64.max) }
}
