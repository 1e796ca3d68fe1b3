// Which times of batches are believed.
import SluiceTesting
import Testing

@testable import SluiceLog

@Suite struct LogTimesTests {
  private func believed(_ times: [Int64], now: Int64 = 1_000) -> [Int64] {
    believedTimes(times, now: now).map { times[$0] }
  }

  @Test func theLongestSequenceThatNeverRunsBackwards() {
    #expect(believed([]) == [])
    #expect(believed([1, 2, 2, 3]) == [1, 2, 2, 3])
    // Ahead once, and for a while.
    #expect(believed([0, 300, 1, 2, 3]) == [0, 1, 2, 3])
    #expect(believed([0, 300, 301, 302, 1, 2, 3, 4]) == [0, 1, 2, 3, 4])
    // Behind once.
    #expect(believed([7, 8, 0, 9]) == [7, 8, 9])
    // Nothing is known of the future, and of two of one length the one written last is right.
    #expect(believed([0, 300, 1], now: 60) == [0, 1])
    #expect(believed([0, 300], now: 60) == [0])
    #expect(believed([0, 300, 60], now: 301) == [0, 60])
    #expect(believed([9, 8], now: 5) == [])
  }

  /// Compared with all sequences there are.
  @Test func itIsTheLongest() {
    var random = SeededRandom(seed: 11)
    for _ in 0..<400 {
      let times = (0..<(1 + random.below(9))).map { _ in Int64(random.below(8)) }
      let found = believedTimes(times, now: 6)
      #expect(zip(found, found.dropFirst()).allSatisfy { $0 < $1 && times[$0] <= times[$1] })
      #expect(found.allSatisfy { times[$0] <= 6 })
      var longest = 0
      for choice in 0..<(1 << times.count) {
        let chosen = times.indices.filter { choice >> $0 & 1 == 1 }.map { times[$0] }
        guard chosen.allSatisfy({ $0 <= 6 }), zip(chosen, chosen.dropFirst()).allSatisfy({ $0 <= $1 }) else { continue }
        longest = max(longest, chosen.count)
      }
      #expect(found.count == longest, "\(times)")
    }
  }
}
