// What a segment holds, as text: for `inspect`, golden tests, and people with a damaged disk. Reads only, and goes on
// behind damage at the next record that verifies.
import SluiceSystem

/// One line for the header and one for each record, damaged place, and run of zeros of the segment at `path`. Throws
/// only when the file cannot be read at all.
public func describeSegment(fileSystem: any FileSystem, path: String) throws(LogError) -> [String] {
  let scanner: SegmentScanner
  do throws(LogError) { scanner = try SegmentScanner.open(fileSystem, path: path, limit: nil) } catch {
    if error.kind == .corrupt || error.kind == .unsupported { return ["0 bad \(error.message)"] }
    throw error
  }
  defer { scanner.close() }
  let header = scanner.header
  var lines = [
    "0 segment kind=\(header.kind) serial=\(String(header.serial, radix: 16)) first=\(header.firstPosition) "
      + "store=\(String(header.storeID, radix: 16)) bytes=\(scanner.limit)"
  ]
  while scanner.offset < scanner.limit {
    switch try scanner.look() {
    case .record(let record):
      lines.append(try describe(record, scanner))
      scanner.advance(past: record)
    case .senseless(let reason):
      lines.append("\(scanner.offset) bad \(reason)")
      try scanner.skipToNextHeader()
    case .unverified:
      lines.append("\(scanner.offset) bad header does not verify")
      try scanner.skipToNextHeader()
    case .end:
      let start = scanner.offset
      try scanner.skipToNextHeader()
      let zeros = try scanner.isZero(from: start)
      lines.append("\(start) \(zeros ? "zeros" : "bad zeros and other bytes") up to \(scanner.offset)")
    }
  }
  return lines
}

private func describe(_ record: RecordHeader, _ scanner: SegmentScanner) throws(LogError) -> String {
  let place = "\(scanner.offset) "
  let sizes = " body=\(record.bodySize) durable=\(record.durableOffset)"
  guard let body = try scanner.body(of: record) else {
    return place + "bad kind=\(record.kind) first=\(record.firstPosition)\(sizes) body does not verify"
  }
  switch record.kind {
  case RecordKind.commands:
    let flaw = CommandReader.flaw(in: body, record).map { " bad " + $0 } ?? " ok"
    return place + "commands positions=\(record.firstPosition)+\(record.commandCount) line=\(record.firstLine) "
      + "flags=\(record.flags) session=\(record.session)\(sizes)\(flaw)"
  case RecordKind.resolution:
    guard let resolution = Resolution.decode(body) else { return place + "bad resolution\(sizes)" }
    return place + "resolution batch=\(resolution.batchFirstPosition) rejected=\(resolution.rejected.count)\(sizes) ok"
  default:
    guard let adoption = Adoption.decode(body) else { return place + "bad adoption\(sizes)" }
    return place + "adoption serial=\(String(adoption.serial, radix: 16)) "
      + "positions=\(adoption.firstPosition)+\(adoption.commandCount) bytes=\(adoption.size)\(sizes) ok"
  }
}
