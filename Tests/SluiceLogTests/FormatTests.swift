// The small formats, as their files describe them.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLog

private func encoded(_ write: (inout ByteBuffer) -> Void) -> [UInt8] {
  var buffer = ByteBuffer()
  write(&buffer)
  return Array(buffer.bytes)
}

@Test func resolutionHasTheBytesOfItsFormatFile() {
  let resolution = Resolution(batchFirstPosition: 258, rejected: [(3, 1), (200, 2)])
  let body = encoded { resolution.encode(into: &$0) }
  #expect(hex(body) == "02 01 00 00 00 00 00 00 02 03 01 c5 01 02")
  #expect(body.withUnsafeBytes { Resolution.decode($0) } == resolution)
}

@Test func adoptionHasTheBytesOfItsFormatFile() {
  let adoption = Adoption(
    serial: 0x1122_3344_5566_7788, firstPosition: 10, commandCount: 3, size: 1024, checksum: 0xaabb_ccdd)
  let body = encoded { adoption.encode(into: &$0) }
  #expect(
    hex(body) == "88 77 66 55 44 33 22 11 0a 00 00 00 00 00 00 00 03 00 00 00 00 00 00 00 00 04 00 00 00 00 00 00 "
      + "dd cc bb aa")
  #expect(body.withUnsafeBytes { Adoption.decode($0) } == adoption)
}

@Test func segmentHeaderHasTheBytesOfItsFormatFile() throws {
  let header = SegmentHeader(kind: .normal, serial: 0x1122_3344_5566_7788, firstPosition: 10, storeID: 0x99)
  let sector = encoded { header.encode(into: &$0) }
  #expect(sector.count == 512 && sector[44...].allSatisfy { $0 == 0 })
  #expect(
    hex(sector[..<44]) == "53 4c 55 49 43 45 4c 47 02 00 02 00 00 00 00 00 88 77 66 55 44 33 22 11 0a 00 00 00 "
      + "00 00 00 00 99 00 00 00 00 00 00 00 d9 c5 15 fe")
  #expect(try sector.withUnsafeBytes { try SegmentHeader.decode($0, path: "x") } == header)
}

@Test func newerFormatIsUnsupportedNotDamaged() throws {
  var sector = encoded {
    SegmentHeader(kind: .normal, serial: 1, firstPosition: 1, storeID: 2).encode(into: &$0)
  }
  sector[8] = 4
  sector[10] = 3
  let sum = sector[..<40].withUnsafeBytes { checksum($0) }
  withUnsafeBytes(of: sum.littleEndian) { sector.replaceSubrange(40..<44, with: $0) }
  let error = #expect(throws: LogError.self) {
    try sector.withUnsafeBytes { try SegmentHeader.decode($0, path: "log/7.log") }
  }
  #expect(error?.kind == .unsupported)
  #expect(error?.message == "log/7.log has log format 4 and needs a reader of 3; this one reads 2")
}

@Test func segmentNamesComeBack() {
  let names: [SegmentName] = [
    .normal(first: 1), .adopted(first: .max), .new(first: 77), .staged(serial: 0xff), .staged(serial: .max),
  ]
  for name in names { #expect(SegmentName(name.text) == name) }
  #expect(SegmentName.normal(first: 7).text == "00000000000000000007.log")
  #expect(SegmentName.staged(serial: 255).text == "staged-00000000000000ff.stage")
  for other in [
    "", "7.log", "00000000000000000007.txt", "99999999999999999999.log", "staged-xyz.stage", "+0000000000000000007.log",
  ] {
    #expect(SegmentName(other) == nil, "\(other)")
  }
}

@Test func largeResolutionsComeBack() {
  var random = SeededRandom(seed: testSeed())
  var rejected: [(index: UInt32, reason: UInt8)] = []
  var index: UInt32 = 0
  for _ in 0..<100_000 {
    rejected.append((index, UInt8(random.below(256))))
    index += 1 + UInt32(random.below(300))
  }
  rejected.append((.max, 9))
  let resolution = Resolution(batchFirstPosition: 1, rejected: rejected)
  let body = encoded { resolution.encode(into: &$0) }
  #expect(body.count <= resolution.sizeBound)
  #expect(
    body.withUnsafeBytes { Resolution.decode($0) } == resolution, "\(repeatCommand(random.seed, "SluiceLogTests"))")
  for cut in [0, 7, 8, 9, body.count / 2, body.count - 1] {
    #expect(body[..<cut].withUnsafeBytes { Resolution.decode($0) } == nil, "cut at \(cut)")
  }
  #expect((body + [0]).withUnsafeBytes { Resolution.decode($0) } == nil)
}

@Test func indicesThatDoNotRiseAreRefused() {
  let repeated = bytes("01 00 00 00 00 00 00 00 02 03 01 00 02")
  #expect(repeated.withUnsafeBytes { Resolution.decode($0) } == nil)
  let beyond = bytes("01 00 00 00 00 00 00 00 02 03 01 ff ff ff ff 0f 02")
  #expect(beyond.withUnsafeBytes { Resolution.decode($0) } == nil)
}
