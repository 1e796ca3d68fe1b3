// What the log's tests share: small batches that say which they are, and whole logs read back as text.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLog

let storeID: UInt64 = 0x99

/// Serials that count from 1; time stands still.
final class CountingClock: Clock {
  private let count = Monitor<UInt64>(0)
  func wallMicroseconds() -> Int64 { 1 }
  func monotonicNanoseconds() -> UInt64 { 0 }
  func random() -> UInt64 {
    count.withLock {
      $0 += 1
      return $0
    }
  }
}

func bytes(_ hex: String) -> [UInt8] {
  hex.split(whereSeparator: \.isWhitespace).map { UInt8($0, radix: 16)! }
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
}

extension BatchBuilder {
  mutating func append(
    _ kind: CommandKind = .insert, startsStatement: Bool = true, slot: UInt16 = 0, line: Int = 1, key: [UInt8],
    value: [UInt8]
  ) {
    key.withUnsafeBytes { key in
      value.withUnsafeBytes { value in
        append(kind: kind, startsStatement: startsStatement, slot: slot, line: line, key: key, value: value)
      }
    }
  }
}

/// A batch of one session with `count` commands whose values are `label`, padded to `valueSize`.
func makeBatch(_ label: String, count: Int = 1, valueSize: Int = 0) -> Batch {
  var builder = BatchBuilder(capacity: 256)
  var value = Array(label.utf8)
  value += Array(repeating: UInt8(ascii: "."), count: max(0, valueSize - value.count))
  for index in 0..<count { builder.append(key: [UInt8(truncatingIfNeeded: index)], value: value) }
  return builder.seal(timeMicroseconds: 1, session: 7)
}

/// The label `makeBatch` gave.
func label(of batch: Batch) -> String {
  var reader = batch.commands()
  guard let value = reader.next()?.value else { return "?" }
  return withExtendedLifetime(batch) {
    String(decoding: value.prefix(10).prefix { $0 != UInt8(ascii: ".") }, as: UTF8.self)
  }
}

func openLog(_ disk: any FileSystem, _ clock: any Clock = CountingClock()) throws(LogError) -> Log {
  try Log.open(fileSystem: disk, directory: "log", storeID: storeID, clock: clock)
}

/// One word for each record: `a@1-3` for a batch (`+` behind it when its transaction goes on), `!1:0,4` for a
/// resolution.
func words(_ log: Log, after: UInt64 = 0, upTo last: UInt64? = nil) throws(LogError) -> [String] {
  let reader = try log.reader(after: after, upTo: last ?? log.lastPosition)
  var result: [String] = []
  while let record = try reader.next() {
    switch record {
    case .commands(let batch, let transactionEnd):
      result.append("\(label(of: batch))@\(batch.firstPosition)-\(batch.lastPosition)\(transactionEnd ? "" : "+")")
    case .resolution(let resolution):
      let indices = resolution.rejected.map { String($0.index) }.joined(separator: ",")
      result.append("!\(resolution.batchFirstPosition):\(indices)")
    case .sealed(_, let position): result.append("sealed@\(position)")
    }
  }
  return result
}

/// Opens the log on `disk` and reads all of it.
func reopenedWords(_ disk: any FileSystem) throws(LogError) -> [String] {
  let log = try openLog(disk)
  defer { log.close() }
  return try words(log)
}

extension Log {
  /// Appends and syncs batches of one command each.
  func commit(_ labels: String...) throws(LogError) {
    try append(labels.map { makeBatch($0) }, [])
    try sync()
  }
}

let firstSegment = "log/00000000000000000001.log"

/// Makes a segment one of an earlier version, which has that version in its header.
func setVersion(_ version: UInt16, of path: String, _ disk: SimulatedFileSystem) throws {
  var content = try #require(disk.content(path))
  var header = try content[..<512].withUnsafeBytes { try SegmentHeader.decode($0, path: path) }
  header.version = version
  var sector = ByteBuffer()
  header.encode(into: &sector)
  content.replaceSubrange(..<512, with: Array(sector.bytes))
  try disk.setContent(path, content)
}
