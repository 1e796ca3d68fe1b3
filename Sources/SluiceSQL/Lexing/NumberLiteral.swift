// Decimal numbers as literals spell them, where the result is certainly SQLite's; all others are left to SQLite.
// Unsafe by nature: named in the tidy test. Reads stop at `end`.

/// A number read from text.
enum NumberLiteral: Equatable {
  case integer(Int64)
  case real(Double)
  /// Not a plain number, or one whose last bit only SQLite can tell.
  case other
}

/// Reads an optionally signed number from `p` and leaves `p` behind it. At most 18 digits, an exponent of at most
/// three. Cost: about 3 ns for an integer of up to 15 digits and for a real with up to three decimals. The caller looks
/// at the byte that follows: a number may go on there.
@inline(__always)
func readNumber(_ p: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> NumberLiteral {
  guard end - p >= 48 else { return readAnyNumber(&p, end) }
  let isNegative = p.pointee == UInt8(ascii: "-")
  let digits = p + (isNegative || p.pointee == UInt8(ascii: "+") ? 1 : 0)
  let whole = readDigits(digits)
  guard whole.count > 0, whole.count < 16 else { return readAnyNumber(&p, end) }
  let next = digits + whole.count
  if next.pointee != UInt8(ascii: ".") {
    guard next.pointee | 0x20 != UInt8(ascii: "e") else { return readAnyNumber(&p, end) }
    p = next
    return .integer(isNegative ? 0 &- Int64(whole.value) : Int64(whole.value))
  }
  let fraction = readDigits(next + 1)
  let scale: UInt64 = fraction.count == 2 ? 100 : fraction.count == 1 ? 10 : 1000
  let last = next + 1 + fraction.count
  let mantissa = whole.value &* scale &+ fraction.value
  guard fraction.count > 0, fraction.count <= 3, last.pointee | 0x20 != UInt8(ascii: "e"), whole.count <= 12,
    mantissa != 0 || !isNegative, let value = exactReal(mantissa, exponent10: 0 &- fraction.count)
  else { return readAnyNumber(&p, end) }
  p = last
  return .real(isNegative ? -value : value)
}

/// The digits at `p`, up to 16 of them: their value and their count. 16 bytes can be read there. How many digits
/// there are decides no branch, which would be mispredicted, but whether there are more than eight.
@inline(__always)
private func readDigits(_ p: UnsafePointer<UInt8>) -> (value: UInt64, count: Int) {
  let first = eightDigits(UnsafeRawPointer(p))
  if first.count < 8 { return first }
  let second = eightDigits(UnsafeRawPointer(p + 8))
  var scale: UInt64 = 1
  for _ in 0..<second.count { scale &*= 10 }
  return (first.value &* scale &+ second.value, 8 &+ second.count)
}

/// Up to eight digits as one word: all but the digits are moved out at its lower end, where they count as leading
/// zeros; then neighbours are added up in pairs, fours and eights.
@inline(__always)
private func eightDigits(_ p: UnsafeRawPointer) -> (value: UInt64, count: Int) {
  let word = UInt64(littleEndian: p.loadUnaligned(as: UInt64.self)) ^ 0x3030_3030_3030_3030
  // The high bit of each byte above 9; a carry disturbs only what stands behind the first of them.
  let others = ((word &+ 0x7676_7676_7676_7676) | word) & 0x8080_8080_8080_8080
  let count = others.trailingZeroBitCount / 8
  if count == 0 { return (0, 0) }
  let digits = word << UInt64(64 &- count &* 8)
  let pairs = digits &* 10 &+ digits >> 8
  let low = (pairs & 0x0000_00ff_0000_00ff) &* 0x000f_4240_0000_0064
  let high = ((pairs >> 16) & 0x0000_00ff_0000_00ff) &* 0x0000_2710_0000_0001
  return ((low &+ high) >> 32, count)
}

/// The same for every form of a number, and near the end of the text. About 1 ns a digit.
@inline(never)
func readAnyNumber(_ p: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> NumberLiteral {
  guard p < end else { return .other }
  let sign = p.pointee
  let isNegative = sign == UInt8(ascii: "-")
  if isNegative || sign == UInt8(ascii: "+") { p += 1 }
  var mantissa: UInt64 = 0
  let start = p
  while p < end, isDigit(p.pointee) {
    mantissa = mantissa &* 10 &+ UInt64(p.pointee &- 0x30)
    p += 1
  }
  let wholeDigits = p - start
  guard p < end, p.pointee == UInt8(ascii: ".") || p.pointee | 0x20 == UInt8(ascii: "e") else {
    guard wholeDigits > 0, wholeDigits <= 18 else { return .other }
    return .integer(isNegative ? 0 &- Int64(mantissa) : Int64(mantissa))
  }
  var fractionDigits = 0
  if p.pointee == UInt8(ascii: ".") {
    p += 1
    let fraction = p
    while p < end, isDigit(p.pointee) {
      mantissa = mantissa &* 10 &+ UInt64(p.pointee &- 0x30)
      p += 1
    }
    fractionDigits = p - fraction
    guard fractionDigits > 0 else { return .other }
  }
  guard wholeDigits > 0, wholeDigits &+ fractionDigits <= 18 else { return .other }
  var exponent = 0
  if p < end, p.pointee | 0x20 == UInt8(ascii: "e") {
    guard let value = readExponent(&p, end) else { return .other }
    exponent = value
  }
  guard let value = exactReal(mantissa, exponent10: exponent &- fractionDigits) else { return .other }
  // SQLite keeps a negative zero in some columns and not in others.
  if isNegative, mantissa == 0 { return .other }
  return .real(isNegative ? -value : value)
}

@inline(never)
private func readExponent(_ p: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> Int? {
  p += 1
  guard p < end else { return nil }
  let isNegative = p.pointee == UInt8(ascii: "-")
  if isNegative || p.pointee == UInt8(ascii: "+") { p += 1 }
  let start = p
  var value = 0
  while p < end, isDigit(p.pointee), p - start < 3 {
    value = value * 10 + Int(p.pointee - 0x30)
    p += 1
  }
  guard p > start else { return nil }
  return isNegative ? -value : value
}

private let powersOfTen: [Double] = [
  1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
  1e21, 1e22,
]

/// mantissa * 10^exponent10 where one rounding gives both the nearest double and SQLite's, else nil.
///
/// SQLite before 3.43 divides in x87's 64-bit significand and then rounds to 53 bits; later ones round once. The two
/// differ only where the first result lies just in the middle of two doubles, about once in 4,000 numbers with four
/// decimals or more. Up to three decimals it cannot: |mantissa / 10^k - middle| is at least 2^-54 / 10^k of the
/// number, more than the first rounding moves it.
@inline(__always)
func exactReal(_ mantissa: UInt64, exponent10: Int) -> Double? {
  guard mantissa < 1_000_000_000_000_000 else { return nil }
  if exponent10 == 0 || mantissa == 0 { return Double(mantissa) }
  if exponent10 < 0, exponent10 >= -3 {
    let scale = exponent10 == -2 ? 100.0 : exponent10 == -1 ? 10.0 : 1000.0
    return Double(mantissa) / scale
  }
  return exactRealSlow(mantissa, exponent10)
}

@inline(never)
private func exactRealSlow(_ mantissa: UInt64, _ exponent10: Int) -> Double? {
  guard exponent10 >= -22, exponent10 <= 18 else { return nil }
  if exponent10 > 0 {
    let (product, overflow) = mantissa.multipliedReportingOverflow(by: UInt64(powersOfTen[exponent10]))
    return overflow || product >= 1 << 63 ? nil : Double(product)
  }
  #if arch(x86_64)
    let quotient = Float80(mantissa) / Float80(powersOfTen[-exponent10])
    return quotient.significandBitPattern & 0x7ff == 0x400 ? nil : Double(quotient)
  #else
    return Double(mantissa) / powersOfTen[-exponent10]
  #endif
}
