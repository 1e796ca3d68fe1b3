// CRC32C, the hash and UTF-8: their results are in files, so they are fixed here.
import SluiceSystem
import SluiceTesting
import Testing

@Suite struct ChecksumTests {
  @Test(
    arguments: [
      (fill(0, 32), 0x8a91_36aa), (fill(0xff, 32), 0x62a8_ab43), ((0..<32).map { UInt8($0) }, 0x46dd_794e),
      ((0..<32).map { UInt8(31 - $0) }, 0x113f_db5c), (Array("123456789".utf8), 0xe306_9283), ([], 0),
    ] as [([UInt8], UInt32)])
  func vectorsOfRFC3720(_ bytes: [UInt8], _ expected: UInt32) {
    #expect(bytes.withUnsafeBytes { checksum($0) } == expected)
    #expect(bytes.withUnsafeBytes { portableChecksum($0) } == expected)
  }

  @Test func hardwareEqualsPortableAtEachSizeAlignmentAndCut() {
    var random = SeededRandom(seed: 1)
    let bytes = random.bytes(300)
    bytes.withUnsafeBytes { all in
      for start in 0..<9 {
        for size in 0..<(300 - start) {
          let part = UnsafeRawBufferPointer(rebasing: all[start..<(start + size)])
          let whole = checksum(part)
          #expect(whole == portableChecksum(part))
          let cut = random.below(size + 1)
          let head = checksum(UnsafeRawBufferPointer(rebasing: part[..<cut]))
          #expect(checksum(UnsafeRawBufferPointer(rebasing: part[cut...]), seed: head) == whole)
        }
      }
    }
  }

  @Test func textIsWhatSwiftTakesAsUTF8ButForNUL() {
    var random = SeededRandom(seed: 2)
    let crafted: [[UInt8]] = [
      [], [0], [0x41, 0], [0x7f], [0x80], [0xc0, 0x80], [0xc1, 0xbf], [0xc2, 0x80], [0xdf, 0xbf], [0xc2],
      [0xe0, 0x9f, 0xbf], [0xe0, 0xa0, 0x80], [0xed, 0x9f, 0xbf], [0xed, 0xa0, 0x80], [0xef, 0xbf, 0xbf], [0xe2, 0x82],
      [0xf0, 0x8f, 0xbf, 0xbf], [0xf0, 0x90, 0x80, 0x80], [0xf4, 0x8f, 0xbf, 0xbf], [0xf4, 0x90, 0x80, 0x80],
      [0xf5, 0x80, 0x80, 0x80], [0xff], [0xf0, 0x90, 0x80],
    ]
    // Before, within and behind the eight-byte steps of the fast path.
    var inputs = crafted.flatMap { bytes in (0..<10).map { fill(0x61, $0) + bytes + fill(0x62, 9 - $0) } } + crafted
    let pieces = Array("aé€😀\u{7ff}\u{800}\u{ffff}\u{10000}".unicodeScalars).map { Array(String($0).utf8) }
    for _ in 0..<20_000 {
      var bytes = (0..<random.below(12)).flatMap { _ in pieces[random.below(pieces.count)] }
      if !bytes.isEmpty, random.chance(1, of: 2) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
      inputs.append(bytes)
    }
    for bytes in inputs {
      let expected = String(validating: bytes, as: UTF8.self) != nil && !bytes.contains(0)
      #expect(bytes.withUnsafeBytes { isText($0) } == expected, "\(bytes)")
    }
  }

  // Computed from the formula at the head of Hash.swift by an independent program.
  @Test(
    arguments: [
      ([], 0, 0xe28f_2b20_61a2_b984),
      (Array("a".utf8), 0, 0x2151_c7c1_6c11_6283),
      (Array("sluice".utf8), 0, 0x89eb_cd86_f7f7_90af),
      (Array("12345678".utf8), 0, 0x9a7a_308a_3841_a015),
      (Array("123456789".utf8), 0, 0x89d5_d724_3a79_c918),
      (Array("123456789".utf8), 1, 0x20fb_8c7e_c6d0_cf67),
      ([0], 0, 0x52ef_f4e4_4dae_66ff),
      ([0, 0], 0, 0xc02b_59d7_d2d5_59d2),
      (Array("the quick brown fox".utf8), 0xffff_ffff_ffff_ffff, 0xc954_6963_dd95_ec33),
    ] as [([UInt8], UInt64, UInt64)]) func hashIsFormat(_ bytes: [UInt8], _ seed: UInt64, _ expected: UInt64)
  {
    #expect(bytes.withUnsafeBytes { hash($0, seed: seed) } == expected)
  }

  @Test func hashReadsEverySizeAsItsHeadSays() {
    func slowly(_ bytes: [UInt8]) -> UInt64 {
      func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.low ^ product.high
      }
      var state: UInt64 = 0xa076_1d64_78bd_642f
      for start in stride(from: 0, to: bytes.count, by: 8) {
        let word = bytes[start..<min(start + 8, bytes.count)].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        state = fold(state ^ word, 0xe703_7ed1_a0b4_28db)
      }
      return fold(state ^ UInt64(bytes.count), 0x8ebc_6af0_9c88_c6e3)
    }
    for size in 0...40 {
      let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 129) }
      #expect(bytes.withUnsafeBytes { hash($0) } == slowly(bytes), "\(size) bytes")
    }
  }

  @Test func hashSpreadsKeysOverSlots() {
    // 40,960 rising keys over 4,096 slots: ten each, and by chance (Poisson) hardly ever none or above 30.
    var slots = [Int](repeating: 0, count: 4096)
    for key in 0..<40_960 as Range<UInt64> {
      let value = withUnsafeBytes(of: key.bigEndian) { hash($0) }
      slots[Int(value % 4096)] += 1
    }
    #expect(slots.filter { $0 == 0 }.count < 5 && slots.allSatisfy { $0 < 35 })
  }
}
