// Numbers, keys and values of the key-value workloads: bit for bit those of the C++ program peerbench, which runs the
// same workloads on other stores, so that every store gets the same rows in the same order.
// Unsafe by nature: named in the tidy test.
import Glibc

/// Bytes of a key: 15 decimal digits and a mark.
let keySizeBytes = 16

/// The finalizer of MurmurHash3 (Appleby, public domain): a bijection in which every bit depends on every bit.
@inline(__always)
func mix64(_ value: UInt64) -> UInt64 {
  var mixed = value
  mixed ^= mixed >> 33
  mixed = mixed &* 0xff51_afd7_ed55_8ccd
  mixed ^= mixed >> 33
  mixed = mixed &* 0xc4ce_b9fe_1a85_ec53
  return mixed ^ (mixed >> 33)
}

/// xorshift64* (Vigna: An experimental exploration of Marsaglia's xorshift generators, 2016), seeded through `mix64`.
struct XorshiftStream {
  private var state: UInt64

  init(seed: UInt64) { state = mix64(seed &+ 0x9e37_79b9_7f4a_7c15) | 1 }

  @inline(__always)
  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 2_685_821_657_736_338_717
  }

  /// A number of 0..<bound.
  @inline(__always)
  mutating func below(_ bound: UInt64) -> UInt64 { next().multipliedFullWidth(by: bound).high }

  /// A number of 0..<1.
  @inline(__always)
  mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
}

/// A seeded bijection on 0..<count: four Feistel rounds over the next even number of bits, walked until the result is
/// in range. So a fill in random order writes each key exactly once.
struct Permutation: Sendable {
  private let count: UInt64
  private let half: UInt64
  private let mask: UInt64
  private let seed: UInt64

  init(count: UInt64, seed: UInt64) {
    self.count = count
    self.seed = seed
    var bits: UInt64 = 2
    while 1 << bits < count { bits += 2 }
    half = bits / 2
    mask = 1 << half - 1
  }

  @inline(__always)
  func callAsFunction(_ index: UInt64) -> UInt64 {
    var place = index
    repeat {
      var left = place >> half
      var right = place & mask
      for round in 0..<4 as Range<UInt64> {
        let mixed = left ^ (mix64(right &+ seed &+ round &* 0x9e37) & mask)
        left = right
        right = mixed
      }
      place = left << half | right
    } while place >= count
    return place
  }
}

/// Ranks of 0..<count by Zipf's law with exponent 0.99, rank 0 the most frequent.
/// Source: Gray et al., Quickly generating billion-record synthetic databases, SIGMOD 1994. Making one sums `count`
/// terms.
struct ZipfDistribution: Sendable {
  private static let theta = 0.99
  private let count: UInt64
  private let alpha: Double
  private let zeta: Double
  private let eta: Double

  init(count: UInt64) {
    self.count = count
    var sum = 0.0
    var firstTwo = 0.0
    for rank in 1...max(count, 1) {
      sum += 1.0 / pow(Double(rank), Self.theta)
      if rank == 2 { firstTwo = sum }
    }
    zeta = sum
    alpha = 1 / (1 - Self.theta)
    eta = (1 - pow(2.0 / Double(count), 1 - Self.theta)) / (1 - firstTwo / sum)
  }

  func rank(_ random: inout XorshiftStream) -> UInt64 {
    let unit = random.unit()
    let scaled = unit * zeta
    if scaled < 1 { return 0 }
    if scaled < 1 + pow(0.5, Self.theta) { return 1 }
    let rank = UInt64(Double(count) * pow(eta * unit - eta + 1, alpha))
    return min(rank, count - 1)
  }
}

/// Mark of a key that fills store.
let storedMark = UInt8(ascii: "0")
/// Mark of a key that no workload stores.
let absentMark = UInt8(ascii: "5")

/// Writes the 16 bytes of key `id`: 15 decimal digits and `mark`. Two runs of digits, so that the processor divides for
/// both at the same time.
@inline(__always)
func makeKey(_ target: UnsafeMutableRawPointer, _ id: UInt64, mark: UInt8 = storedMark) {
  let (high, low) = id.quotientAndRemainder(dividingBy: 100_000_000)
  var first = UInt32(truncatingIfNeeded: high)
  var second = UInt32(truncatingIfNeeded: low)
  var place = 7
  while place > 0 {
    place &-= 1
    storeDigit(target, place, &first)
    storeDigit(target, place &+ 8, &second)
  }
  storeDigit(target, 7, &second)
  target.storeBytes(of: mark, toByteOffset: 15, as: UInt8.self)
}

@inline(__always)
private func storeDigit(_ target: UnsafeMutableRawPointer, _ place: Int, _ rest: inout UInt32) {
  let quotient = rest / 10
  let digit = UInt8(truncatingIfNeeded: rest &- quotient &* 10)
  target.storeBytes(of: UInt8(ascii: "0") &+ digit, toByteOffset: place, as: UInt8.self)
  rest = quotient
}

/// Values half random, half repeated: about 2:1 compressible. A value is a slice of a fixed pool, chosen by its key's
/// number, with that number as its first eight bytes.
struct ValueGenerator: Sendable {
  private static let poolSizeBytes = 1 << 20
  private let pool: [UInt8]
  let sizeBytes: Int

  /// `sizeBytes` is at least 8: the number must fit, for that is what readers verify.
  init(sizeBytes: Int) {
    self.sizeBytes = sizeBytes
    var random = XorshiftStream(seed: 7)
    var pool: [UInt8] = []
    pool.reserveCapacity(Self.poolSizeBytes + sizeBytes)
    let half = sizeBytes / 2
    for index in 0..<Self.poolSizeBytes + sizeBytes {
      let repeats = (index / half) & 1 == 1
      pool.append(repeats ? pool[index - half] : UInt8(ascii: " ") + UInt8(random.below(95)))
    }
    self.pool = pool
  }

  @inline(__always)
  func fill(_ target: UnsafeMutableRawPointer, _ id: UInt64) {
    pool.withUnsafeBytes {
      let start = $0.baseAddress.unsafelyUnwrapped + Int(mix64(id) & UInt64(Self.poolSizeBytes &- 1))
      target.copyMemory(from: start, byteCount: sizeBytes)
    }
    target.storeBytes(of: id.littleEndian, as: UInt64.self)
  }
}
