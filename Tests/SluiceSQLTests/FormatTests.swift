// Rows and keys as bytes: the worked examples of the heads, round trips, order, damage.
@testable import SluiceSQL
import SluiceSystem
import Testing

private func encodedKey(_ values: [Value]) -> [UInt8] {
  var key = ByteBuffer()
  for value in values { KeyFormat.append(value, to: &key) }
  return Array(key.bytes)
}

private func encodedRow(_ values: [Value]) -> [UInt8] {
  var builder = RowBuilder()
  return Array(builder.encode(values))
}

private func decodedRow(_ bytes: [UInt8]) -> [Value]? {
  bytes.withUnsafeBytes { RowReader($0).values() }
}

private func decodedKey(_ bytes: [UInt8]) -> [Value]? {
  bytes.withUnsafeBytes { bytes in
    var decoder = KeyDecoder(bytes)
    var values: [Value] = []
    while let value = decoder.next() { values.append(value) }
    return decoder.failed ? nil : values
  }
}

// MARK: Rows

@Test func theRowOfTheHeadIsWrittenAsShown() {
  let row = encodedRow([
    .integer(1), .integer(-2), .integer(300), .integer(0), .null, .real(1.5), text("ab"), .blob([0, 0xff]),
  ])
  #expect(hex(row) == "08" + "01010209000a4282" + "01" + "fe" + "2c01" + "000000000000f83f" + "6162" + "00ff")
}

private func randomValue(_ random: inout SeededGenerator) -> Value {
  switch random.below(6) {
  case 0: return .null
  case 1: return .integer(Int64.random(in: .min ... .max, using: &random) >> Int64(random.below(64)))
  case 2: return .real(Double(random.below(100_000)) / 100)
  case 3: return .text((0..<random.pick([0, 1, 7, 63, 64, 65, 300])).map { _ in 0x61 + UInt8(random.below(26)) })
  case 4: return .blob(random.bytes(random.pick([0, 1, 63, 64, 1000])))
  default: return .integer(random.pick([0, 1, -1, 127, 128, -128, -129, .max, .min]))
  }
}

@Test func rowsComeBackAsWritten() {
  for seed in 0..<2000 as Range<UInt64> {
    var random = SeededGenerator(seed: seed)
    let values = (0..<random.pick([1, 2, 5, 127, 128, 129, 1024].dropLast(seed % 50 == 0 ? 0 : 4)))
      .map { _ in randomValue(&random) }
    let row = encodedRow(values)
    let back = decodedRow(row)
    #expect(back?.count == values.count, "seed \(seed)")
    #expect(zip(values, back ?? []).allSatisfy(isSame), "seed \(seed)")
  }
}

@Test func columnsSetOutOfOrderComeBackInOrder() {
  for seed in 0..<500 as Range<UInt64> {
    var random = SeededGenerator(seed: seed)
    var values = (0..<(1 + random.below(8))).map { _ in randomValue(&random) }
    var builder = RowBuilder()
    _ = builder.encode(values)
    for _ in 0..<random.below(4) {
      let column = random.below(values.count)
      values[column] = randomValue(&random)
      builder.set(column: column, values[column])
    }
    let row = Array(builder.finish())
    #expect(row == encodedRow(values), "seed \(seed)")
  }
}

@Test func damagedRowsAreRefused() {
  let row = encodedRow([.integer(300), text(String(repeating: "x", count: 70)), .blob([1, 2]), .real(2)])
  for size in 0..<row.count { #expect(decodedRow(Array(row[..<size])) == nil, "cut at \(size)") }
  #expect(decodedRow(row + [0]) == nil)
  for code in [0x0d, 0x3f, 0xc0, 0xff] as [UInt8] {
    var damaged = row
    damaged[1] = code
    #expect(decodedRow(damaged) == nil, "code \(code)")
  }
  #expect(decodedRow([0]) == nil)
  #expect(decodedRow([0x81, 0x08] + [UInt8](repeating: 0, count: 1025)) == nil, "1,025 columns")
}

// MARK: Keys

@Test func theKeyOfTheHeadIsWrittenAsShown() {
  let key = encodedKey([.null, .integer(1), .integer(-2), .real(0.5), text("a"), .blob([0, 0x61])])
  #expect(hex(key) == "05" + "210100" + "1efdff" + "20013fe0000000000000" + "30610000" + "4000ff610000")
}

/// SQLite's order of two values: by storage class, then exactly by number or bytes.
private func compare(_ a: Value, _ b: Value) -> Int {
  func rank(_ value: Value) -> Int {
    switch value {
    case .null: 0
    case .integer, .real: 1
    case .text: 2
    case .blob: 3
    }
  }
  if rank(a) != rank(b) { return rank(a) - rank(b) }
  switch (a, b) {
  case (.integer(let x), .integer(let y)): return x < y ? -1 : x > y ? 1 : 0
  case (.real(let x), .real(let y)): return x < y ? -1 : x > y ? 1 : 0
  case (.integer(let x), .real(let y)): return compareExactly(x, y)
  case (.real(let x), .integer(let y)): return -compareExactly(y, x)
  case (.text(let x), .text(let y)), (.blob(let x), .blob(let y)):
    return x.lexicographicallyPrecedes(y) ? -1 : y.lexicographicallyPrecedes(x) ? 1 : 0
  default: return 0
  }
}

/// An integer against a real, without rounding: sqlite3IntFloatCompare.
private func compareExactly(_ x: Int64, _ y: Double) -> Int {
  if y < -0x1p63 { return 1 }
  if y >= 0x1p63 { return -1 }
  let whole = Int64(y)
  if x != whole { return x < whole ? -1 : 1 }
  let rest = y - Double(whole)
  return rest > 0 ? -1 : rest < 0 ? 1 : 0
}

private func randomKeyValue(_ random: inout SeededGenerator) -> Value {
  let edges: [Double] = [
    0, -0.0, 1, 0.5, 0x1p52, 0x1p53, 0x1p62, 0x1p63, 0x1p64, 1e300, .infinity, .leastNonzeroMagnitude,
    .leastNormalMagnitude, .greatestFiniteMagnitude, 255, 256, 65535.5, 1e15 + 0.5,
  ]
  switch random.below(8) {
  case 0: return .null
  case 1: return .integer(Int64.random(in: .min ... .max, using: &random) >> Int64(random.below(64)))
  case 2: return .integer(random.pick([0, 1, -1, 255, 256, -255, -256, 1 << 53, (1 << 53) + 1, .max, .min, .min + 1]))
  case 3, 4:
    var real = random.pick(edges)
    if random.below(2) == 0 { real = -real }
    return .real(random.below(3) == 0 ? real.nextUp : random.below(3) == 0 ? real.nextDown : real)
  case 5:
    let real = Double(bitPattern: UInt64.random(in: 0 ... .max, using: &random))
    return real.isNaN ? .null : .real(real)
  case 6: return .text((0..<random.below(4)).map { _ in random.pick([1, 2, 0x61, 0xff]) })
  default: return .blob((0..<random.below(5)).map { _ in random.pick([0, 0, 1, 0xfe, 0xff]) })
  }
}

@Test func keysAreInSQLitesOrder() {
  for seed in 0..<60_000 as Range<UInt64> {
    var random = SeededGenerator(seed: seed)
    let count = 1 + random.below(3)
    let a = (0..<count).map { _ in randomKeyValue(&random) }
    let b = (0..<count).map { random.below(2) == 0 ? a[$0] : randomKeyValue(&random) }
    let expected = zip(a, b).lazy.map(compare).first { $0 != 0 } ?? 0
    let (x, y) = (encodedKey(a), encodedKey(b))
    let order = x.withUnsafeBytes { x in y.withUnsafeBytes { y in compareBytes(x, y) } }
    #expect(order.signum() == expected.signum(), "seed \(seed): \(a) \(b)")
    if order != 0 { #expect(!y.starts(with: x) && !x.starts(with: y), "seed \(seed): a prefix") }
  }
}

@Test func keysComeBackAsEqualValues() {
  for seed in 0..<20_000 as Range<UInt64> {
    var random = SeededGenerator(seed: seed)
    let values = (0..<(1 + random.below(4))).map { _ in randomKeyValue(&random) }
    let back = decodedKey(encodedKey(values))
    #expect(back?.count == values.count && zip(values, back ?? []).allSatisfy { compare($0, $1) == 0 }, "seed \(seed)")
  }
}

@Test func integralRealsAndIntegersAreOneKey() {
  for number in [0, 1, -1, 255, 256, 1 << 53, -(1 << 53), 1 << 62, .min] as [Int64] {
    #expect(encodedKey([.integer(number)]) == encodedKey([.real(Double(number))]))
  }
  #expect(encodedKey([.real(-0.0)]) == encodedKey([.integer(0)]))
  #expect(encodedKey([.real(.nan)]) == encodedKey([.null]))
}

@Test func aCutKeyIsNoKey() {
  let key = encodedKey([.real(-1234.5)])
  for size in 1..<key.count { #expect(decodedKey(Array(key[..<size])) == nil) }
  #expect(decodedKey([0x30, 0x61]) == nil && decodedKey([0x30, 0x61, 0, 1]) == nil && decodedKey([0x29]) == nil)
}

@Test func aCellMakesTheSameKeyAsItsValue() {
  for seed in 0..<5000 as Range<UInt64> {
    var random = SeededGenerator(seed: seed)
    let values = (0..<3).map { _ in randomKeyValue(&random) }
    var builder = RowBuilder()
    _ = builder.encode(values)
    var key = ByteBuffer()
    builder.appendKey(columns: [0, 1, 2], to: &key)
    #expect(Array(key.bytes) == encodedKey(values), "seed \(seed): \(values)")
  }
}
