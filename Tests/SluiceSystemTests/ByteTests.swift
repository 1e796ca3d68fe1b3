// Byte coding: what is written is read back, and a reader never goes past the end.
import SluiceSystem
import SluiceTesting
import Testing

@Suite struct ByteTests {
  /// The numbers around each power of two, and random ones of each size.
  private var numbers: [UInt64] {
    var random = SeededRandom(seed: 3)
    var result: [UInt64] = [.max]
    for bit in 0..<64 as Range<UInt64> { result += [(1 << bit) - 1, 1 << bit, (1 << bit) + 1] }
    for _ in 0..<1000 { result.append(random.next() >> UInt64(random.below(64))) }
    return result
  }

  @Test(
    arguments: [
      (0, [0]), (1, [1]), (127, [0x7f]), (128, [0x80, 1]), (300, [0xac, 2]), (16_384, [0x80, 0x80, 1]),
      (.max, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
    ] as [(UInt64, [UInt8])])
  func varintsAreLEB128(_ value: UInt64, _ expected: [UInt8]) {
    var buffer = ByteBuffer()
    buffer.append(varint: value)
    #expect([UInt8](buffer.bytes) == expected && varintSize(value) == expected.count)
  }

  @Test func varintsComeBack() {
    var buffer = ByteBuffer(capacity: 1)
    let all = numbers
    for number in all {
      let before = buffer.count
      buffer.append(varint: number)
      #expect(buffer.count - before == varintSize(number))
    }
    var reader = ByteReader(buffer.bytes)
    for number in all { #expect(reader.readVarint() == number) }
    #expect(reader.remaining == 0 && !reader.failed)
    #expect(reader.readVarint() == 0 && reader.failed)
  }

  @Test func unfinishedVarintsFail() {
    for bytes in [[0x80], fill(0xff, 9), fill(0x80, 10), fill(0xff, 20)] as [[UInt8]] {
      bytes.withUnsafeBytes {
        var reader = ByteReader($0)
        #expect(reader.readVarint() == 0 && reader.failed)
      }
    }
  }

  @Test func integersHaveTheirOrderOfBytes() {
    var buffer = ByteBuffer(capacity: 16)
    buffer.append(littleEndian: 0x0102_0304 as UInt32)
    buffer.append(bigEndian: 0x0102_0304 as UInt32)
    buffer.append(byte: 9)
    buffer.append(littleEndian: -2 as Int16)
    #expect([UInt8](buffer.bytes) == [4, 3, 2, 1, 1, 2, 3, 4, 9, 0xfe, 0xff])
    buffer.overwrite(littleEndian: 7, at: 1)
    #expect([UInt8](buffer.bytes.prefix(6)) == [4, 7, 0, 0, 0, 2])
    var reader = ByteReader(buffer.bytes, offset: 8)
    #expect(reader.readByte() == 9 && reader.readLittleEndian(Int16.self) == -2 && !reader.failed)
    #expect(reader.readLittleEndian(UInt64.self) == 0 && reader.failed)
  }

  @Test func buffersGrowAndKeepTheirContent() {
    var random = SeededRandom(seed: 4)
    var buffer = ByteBuffer(capacity: 0)
    var model: [UInt8] = []
    for _ in 0..<500 {
      let bytes = random.bytes(random.below(100))
      if random.chance(1, of: 2) {
        buffer.append(bytes)
      } else {
        bytes.withUnsafeBytes { buffer.append($0) }
      }
      model += bytes
      if random.chance(1, of: 20) {
        model.removeLast(random.below(model.count + 1))
        buffer.truncate(to: model.count)
      }
      #expect([UInt8](buffer.bytes) == model && buffer.capacity >= buffer.count)
    }
    let room = buffer.capacity
    buffer.removeAll()
    #expect(buffer.count == 0 && buffer.capacity == room)
  }

  @Test func readersNeverGoPastTheEnd() {
    var random = SeededRandom(seed: 5)
    for _ in 0..<2_000 {
      let bytes = random.bytes(random.below(24))
      bytes.withUnsafeBytes { all in
        var reader = ByteReader(all)
        while !reader.failed {
          switch random.below(5) {
          case 0: _ = reader.readByte()
          case 1: _ = reader.readVarint()
          case 2: _ = reader.readSized()
          case 3: _ = reader.readLittleEndian(UInt32.self)
          default: _ = reader.read(random.below(9) - 1)
          }
          #expect(reader.offset <= all.count)
        }
      }
    }
  }

  @Test func sizedRunsComeBack() {
    let bytes: [UInt8] = [3, 1, 2, 3, 0, 5, 1]
    bytes.withUnsafeBytes {
      var reader = ByteReader($0)
      #expect(Array(reader.readSized()) == [1, 2, 3])
      #expect(reader.readSized().count == 0 && !reader.failed)
      #expect(reader.readSized().count == 0 && reader.failed)
    }
    var huge = ByteBuffer()
    huge.append(varint: .max)
    var reader = ByteReader(huge.bytes)
    #expect(reader.readSized().count == 0 && reader.failed)
  }

  @Test func bytesCompareAsMemcmpThenBySize() {
    var random = SeededRandom(seed: 6)
    for _ in 0..<5_000 {
      let a = random.bytes(random.below(4)).map { $0 & 0x81 }
      let b = random.bytes(random.below(4)).map { $0 & 0x81 }
      let order = a.withUnsafeBytes { a in b.withUnsafeBytes { compareBytes(a, $0) } }
      #expect(order.signum() == (a == b ? 0 : a.lexicographicallyPrecedes(b) ? -1 : 1), "\(a) \(b)")
    }
  }

  @Test func equalBytesAreTheSameOnes() {
    for size in 0...40 {
      let a = (0..<size).map { UInt8($0 + 1) }
      #expect(a.withUnsafeBytes { a in equal(a, Array(a)) })
      for place in 0..<size {
        var b = a
        b[place] ^= 0x80
        #expect(!a.withUnsafeBytes { a in equal(a, b) }, "\(size) bytes, another at \(place)")
      }
    }
    func equal(_ a: UnsafeRawBufferPointer, _ b: [UInt8]) -> Bool {
      // A byte of its own in front keeps the empty run from having no address.
      let (x, y) = ([0] + Array(a), [0] + b)
      return x.withUnsafeBytes { x in
        y.withUnsafeBytes { y in equalBytes(x.baseAddress! + 1, y.baseAddress! + 1, count: a.count) }
      }
    }
  }

  @Test func bytesAreFoundAndCounted() {
    var random = SeededRandom(seed: 7)
    for size in Array(0...70) + [255 * 16 - 1, 255 * 16, 255 * 16 + 1, 100_000] {
      let bytes = random.bytes(size).map { $0 & 3 }
      let same = [UInt8](repeating: 2, count: size)
      bytes.withUnsafeBytes { all in
        #expect(countByte(2, all) == bytes.count { $0 == 2 }, "\(size) bytes")
        #expect(findByte(2, all) == bytes.firstIndex(of: 2) ?? size, "\(size) bytes")
        #expect(findByte(9, all) == size)
      }
      #expect(same.withUnsafeBytes { countByte(2, $0) } == size)
    }
  }

  @Test func textMarksStandForTheirBytes() {
    for value in 0...255 as ClosedRange<UInt8> {
      for place in 0..<32 {
        var bytes = [UInt8](repeating: UInt8(ascii: "a"), count: 32)
        bytes[place] = value
        let marks = bytes.withUnsafeBufferPointer { markText($0.baseAddress!) }
        #expect(marks.stops == (value == 0 || value == UInt8(ascii: "'") ? 1 << UInt32(place) : 0))
        #expect(marks.high == (value >= 0x80 ? 1 << UInt32(place) : 0))
      }
    }
  }
}
