// The generators hold to numbers that the C++ of peerbench gives: else two stores would not get the same rows.
import Testing

@testable import SluiceBench

@Suite struct GeneratorTests {
  @Test func numbers() {
    var random = XorshiftStream(seed: 42)
    #expect(random.next() == 6_091_109_455_508_650_701)
    #expect(random.next() == 10_075_365_250_905_900_972)
    #expect(random.next() == 16_670_618_149_906_463_371)
    #expect(random.unit() == 0.93801906007152447)
    #expect(random.below(100) == 63)
    #expect(random.below(1000) == 315)
  }

  @Test func permutations() {
    let small = Permutation(count: 1000, seed: 1)
    let large = Permutation(count: 1_000_000, seed: 2)
    #expect((0..<5).map { small($0) } == [718, 998, 350, 569, 278])
    #expect((0..<5).map { large($0) } == [542_202, 33_091, 781_753, 551_515, 222_992])
    let whole = Permutation(count: 10_007, seed: 3)
    #expect((0..<10_007).reduce(0) { mix64($0 ^ whole($1)) } == 2_179_851_682_334_332_105)
    #expect(Set((0..<10_007).map { whole($0) }).count == 10_007)
  }

  @Test func ranks() {
    var random = XorshiftStream(seed: 119)
    let few = ZipfDistribution(count: 2000)
    #expect((0..<12).map { _ in few.rank(&random) } == [0, 26, 28, 2, 4, 1, 227, 0, 7, 450, 522, 1])
    random = XorshiftStream(seed: 119)
    let many = ZipfDistribution(count: 10_000)
    #expect((0..<20_000).reduce(0) { hash, _ in mix64(hash ^ many.rank(&random)) } == 18_346_283_789_191_135_297)
  }

  @Test func keys() {
    func key(_ id: UInt64, mark: UInt8 = storedMark) -> String {
      String(
        decoding: [UInt8](unsafeUninitializedCapacity: keySizeBytes) {
          makeKey(UnsafeMutableRawPointer($0.baseAddress!), id, mark: mark)
          $1 = keySizeBytes
        }, as: UTF8.self)
    }
    #expect(key(123_456_789, mark: absentMark) == "0000001234567895")
    #expect(key(0) == "0000000000000000")
    #expect(key(100_000_000) == "0000001000000000")
    #expect(key(999_999_999_999_999) == "9999999999999990")
  }

  @Test func values() {
    func value(_ generator: ValueGenerator, _ id: UInt64) -> [UInt8] {
      [UInt8](unsafeUninitializedCapacity: generator.sizeBytes) {
        generator.fill(UnsafeMutableRawPointer($0.baseAddress!), id)
        $1 = generator.sizeBytes
      }
    }
    let hundred = ValueGenerator(sizeBytes: 100)
    #expect(value(hundred, 7).prefix(8) == [7, 0, 0, 0, 0, 0, 0, 0])
    #expect(
      String(decoding: value(hundred, 7).dropFirst(8), as: UTF8.self)
        == ##"v9-%y61N}iFm,QKLh"jOuR!:eOa)lJ_Pi,V&-;{I@>_"cdCG"Hv9-%y61N}iFm,QKLh"jOuR!:eOa)luMCsu#~DXM\(Z"##)
    var hash: UInt64 = 0
    for id in 0..<1000 as Range<UInt64> {
      value(hundred, id).withUnsafeBytes { bytes in
        for offset in stride(from: 0, to: 96, by: 8) {
          hash = mix64(hash ^ bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
      }
    }
    #expect(hash == 16_137_686_533_093_450_837)
    let odd = value(ValueGenerator(sizeBytes: 33), 5)
    #expect(String(decoding: odd.dropFirst(8), as: UTF8.self) == "-89Sf7C:,X?/ aB=`zgSf7C:,")
  }

  @Test func latencies() {
    var histogram = LatencyHistogram()
    var random = XorshiftStream(seed: 9)
    for index in 0..<10_000 as Range<UInt64> { histogram.add(random.next() >> (30 + index % 30)) }
    #expect(fixed(histogram.microseconds(quantile: 0.01), 3) == "0.005")
    #expect(fixed(histogram.microseconds(quantile: 0.5), 3) == "262.144")
    #expect(fixed(histogram.microseconds(quantile: 0.99), 3) == "12348030.976")
    #expect(fixed(histogram.microseconds(quantile: 0.999), 3) == "16642998.272")
  }
}
