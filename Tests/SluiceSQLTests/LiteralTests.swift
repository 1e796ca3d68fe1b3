// Literals of the row path, read many bytes at a time: against the same read byte by byte, wherever the text ends.
import SluiceSystem
import Testing

@testable import SluiceSQL

/// Texts with what decides about a number: signs, runs of digits of any size, points, exponents, and what may follow.
private func numberTexts() -> [String] {
  var random = SeededGenerator(seed: 11)
  func digits(_ count: Int) -> String { String((0..<count).map { _ in random.pick(Array("0123456789")) }) }
  var texts = [
    "", "-", "+", "-.", ".5", "5.", "-0", "-0.0", "-0.00", "00", "007", "0x1f", "1e", "1e5", "1.5e-3", "1E5", "1.000",
    "12.250",
  ]
  for whole in 0...20 {
    for fraction in 0...6 {
      for _ in 0..<8 {
        let sign = random.pick(["", "", "-", "+"])
        texts.append(sign + digits(whole) + (fraction == 0 ? "" : "." + digits(fraction)))
      }
    }
  }
  return texts
}

/// What follows a number, each of them at least 48 bytes.
private let followers = [",", ")", " ", "e5,", "e,", "E,", ".5,", ".", "-1,", "/* */,", "a", "_", "é", "'", "\u{0}"].map
{
  $0 + String(repeating: " ", count: 60)
}

@Suite struct LiteralTests {
  @Test func numbersAreTheSameWithRoomBehindThemAndWithout() {
    for text in numberTexts() {
      for follower in followers {
        let bytes = Array((text + follower).utf8)
        bytes.withUnsafeBufferPointer { all in
          let start = all.baseAddress!
          var fast = start
          var slow = start
          let a = readNumber(&fast, start + all.count)
          let b = readAnyNumber(&slow, start + all.count)
          #expect(isSame(a, b), "\(text)\(follower.prefix(4)): \(a), not \(b)")
          // Where it is no number, nobody looks at the place.
          if b != .other { #expect(fast == slow, "\(text)\(follower.prefix(4))") }
        }
      }
    }
  }

  private func isSame(_ a: NumberLiteral, _ b: NumberLiteral) -> Bool {
    if case .real(let x) = a, case .real(let y) = b { return x.bitPattern == y.bitPattern }
    return a == b
  }

  @Test func textsEndWhereTheirBytesSayAndComeBackWhole() {
    var random = SeededGenerator(seed: 12)
    let alphabet: [[UInt8]] = [
      Array("a".utf8), Array("B".utf8), Array(" ".utf8), Array("''".utf8), Array("é".utf8), Array("🎈".utf8),
      Array(",".utf8),
    ]
    for size in 0..<140 {
      for rarity in [1, 4, 60] {
        var text: [UInt8] = []
        while text.count < size { text += random.below(rarity) == 0 ? random.pick(alphabet) : [UInt8(ascii: "x")] }
        for tail in [0, 1, 20, 31, 32, 33, 64] {
          check(text, [UInt8(ascii: "'")] + [UInt8](repeating: UInt8(ascii: ")"), count: tail))
          check(text, [0] + [UInt8](repeating: UInt8(ascii: "'"), count: tail))
          check(text, [])
        }
      }
    }
  }

  /// Scans and copies `text`, behind which `tail` follows: its quote, a NUL, or nothing.
  private func check(_ text: [UInt8], _ tail: [UInt8]) {
    let bytes = text + tail
    let quote = UInt8(ascii: "'")
    bytes.withUnsafeBufferPointer { all in
      guard let start = all.baseAddress else { return }
      let end = start + all.count
      let scan = scanText(start, end)
      let quotes = text.count { $0 == quote } / 2
      #expect(scan.hasNUL == (tail.first == 0))
      guard tail.first == quote else {
        #expect(scan.close == nil)
        return
      }
      #expect(scan.close == start + text.count, "\(bytes)")
      #expect(scan.quotes == quotes && scan.isASCII == text.allSatisfy { $0 < 0x80 }, "\(bytes)")
      let target = UnsafeMutableRawPointer.allocate(byteCount: text.count + 64, alignment: 16)
      defer { target.deallocate() }
      let size = copyUnquoted(start, start + text.count, to: target, end)
      let copy = String(decoding: UnsafeRawBufferPointer(start: target, count: size), as: UTF8.self)
      #expect(copy == String(decoding: text, as: UTF8.self).replacing("''", with: "'"))
    }
  }
}
