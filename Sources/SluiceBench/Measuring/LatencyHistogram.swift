// How long single calls took, in a fixed table: 32 classes for each power of two, so at most 3 % off.

/// Counts of latencies in nanoseconds.
struct LatencyHistogram {
  private var classes = [UInt64](repeating: 0, count: 64 * 32)
  private(set) var count: UInt64 = 0
  /// The longest one, exactly.
  private(set) var longestNanoseconds: UInt64 = 0

  @inline(__always)
  mutating func add(_ nanoseconds: UInt64) {
    classes[Self.index(nanoseconds)] &+= 1
    count &+= 1
    if nanoseconds > longestNanoseconds { longestNanoseconds = nanoseconds }
  }

  mutating func merge(_ other: LatencyHistogram) {
    for index in classes.indices { classes[index] += other.classes[index] }
    count += other.count
    longestNanoseconds = max(longestNanoseconds, other.longestNanoseconds)
  }

  /// The lower end of the class that holds the share `quantile` (0 to 1) of the latencies, in microseconds.
  func microseconds(quantile: Double) -> Double {
    let wanted = UInt64((Double(count) * quantile).rounded(.up))
    var seen: UInt64 = 0
    for index in classes.indices {
      seen += classes[index]
      if seen >= wanted, seen > 0 { return Self.lowerBound(index) / 1000 }
    }
    return 0
  }

  @inline(__always)
  private static func index(_ nanoseconds: UInt64) -> Int {
    if nanoseconds < 32 { return Int(nanoseconds) }
    let exponent = 63 &- nanoseconds.leadingZeroBitCount
    return (exponent &- 4) &* 32 &+ Int((nanoseconds >> UInt64(exponent &- 5)) & 31)
  }

  private static func lowerBound(_ index: Int) -> Double {
    if index < 32 { return Double(index) }
    return Double(UInt64(32 + index & 31) << UInt64(index / 32 - 1))
  }
}
