// When what stands in the log was written. A batch carries the wall clock of the moment it was sealed, and a clock may
// be wrong for a while: ahead until it is set right, or far behind until it is set at all. Positions are never wrong.
// So of the times, in the order of positions, the longest sequence that never runs backwards is believed; of two of one
// length the one that was written last. A time behind now is not believed at all. What lies between two times that are
// believed was written between them.
//
// So times never run backwards, a clock that was ahead once moves nothing but the time of what was written then, and
// one that is wrong for good is right by itself.

/// Indexes of the times that are believed, rising. `times` are in the order of positions. n log n.
public func believedTimes(_ times: [Int64], now: Int64) -> [Int] {
  // Of the sequences of each length the one with the lowest end: its last index; and what stands before each index.
  var ends: [Int] = []
  var before = [Int](repeating: -1, count: times.count)
  for (index, time) in times.enumerated() where time <= now {
    var (low, high) = (0, ends.count)
    while low < high {
      let middle = (low + high) / 2
      if times[ends[middle]] <= time { low = middle + 1 } else { high = middle }
    }
    if low > 0 { before[index] = ends[low - 1] }
    if low == ends.count { ends.append(index) } else { ends[low] = index }
  }
  var believed: [Int] = []
  var index = ends.last ?? -1
  while index >= 0 {
    believed.append(index)
    index = before[index]
  }
  return believed.reversed()
}

extension Log {
  /// The last position up to `last` that was written at `time` or before, `now` being the present: 0 when none was, or
  /// when its beginning is not known any more. What becomes visible together is one. Cost: a pass over the headers of
  /// batches; memory for the seconds in which something was written, 24 bytes each.
  public func position(at time: Int64, upTo last: UInt64, now: Int64) throws(LogError) -> UInt64 {
    if time >= now { return last }
    func second(_ time: Int64) -> Int64 { time >= 0 ? time / 1_000_000 : (time - 999_999) / 1_000_000 }
    var seconds: [Int64] = []
    // The last position of each second that is not behind `time`; 0: there is none.
    var ends: [UInt64] = []
    let reader = try headers(upTo: last)
    while case .sealed(let sealed, let position)? = try reader.next() {
      if seconds.last != second(sealed) {
        seconds.append(second(sealed))
        ends.append(0)
      }
      if second(sealed) != second(time) || sealed <= time { ends[ends.count - 1] = position }
    }
    let believed = believedTimes(seconds, now: second(now))
    return believed.last { seconds[$0] <= second(time) && ends[$0] > 0 }.map { ends[$0] } ?? 0
  }
}
