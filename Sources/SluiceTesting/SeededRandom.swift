// The one source of chance in tests. A run that fails prints its seed; the same seed repeats the run.
import SluiceSystem

/// A small random generator (SplitMix64): the same numbers for the same seed, on every machine.
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
public struct SeededRandom: RandomNumberGenerator, Sendable {
  /// What it was made from.
  public let seed: UInt64
  private var state: UInt64

  public init(seed: UInt64) {
    self.seed = seed
    state = seed
  }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// A number from 0 to `bound` - 1. The bias is below `bound` / 2^64.
  public mutating func below(_ bound: Int) -> Int {
    invariant(bound > 0, "no number below \(bound)")
    return Int(next().multipliedFullWidth(by: UInt64(bound)).high)
  }

  /// True `numerator` times out of `denominator`.
  public mutating func chance(_ numerator: Int, of denominator: Int) -> Bool { below(denominator) < numerator }

  /// `count` random bytes.
  public mutating func bytes(_ count: Int) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(count)
    while result.count < count {
      var word = next()
      for _ in 0..<min(8, count - result.count) {
        result.append(UInt8(truncatingIfNeeded: word))
        word >>= 8
      }
    }
    return result
  }

  /// A generator of its own for a part of the run, so that one part's use of chance does not shift another's.
  public mutating func split() -> SeededRandom { SeededRandom(seed: next()) }
}

/// The seed of a random test: SLUICE_SEED (decimal or 0x…) when it is set, else a new one.
/// Tests that must always do the same pass their own numbers instead.
public func testSeed() -> UInt64 { testSeed(otherwise: SystemClock().random()) }

/// The seed of SLUICE_SEED, or `seed`.
public func testSeed(otherwise seed: UInt64) -> UInt64 {
  guard let text = environmentVariable("SLUICE_SEED") else { return seed }
  let parsed = text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
  guard let seed = parsed else { fatalError("SLUICE_SEED=\(text) is not a number") }
  return seed
}

/// What to put into the message of a random test's expectations: the command that repeats the run.
///
///     #expect(store == model, "\(repeatCommand(seed, "SluiceLSMTests"))")
public func repeatCommand(_ seed: UInt64, _ filter: String) -> String {
  "repeat: SLUICE_SEED=\(seed) swift test --filter \(filter)"
}
