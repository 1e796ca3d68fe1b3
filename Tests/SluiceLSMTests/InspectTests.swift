// What an inspection of a table finds beyond checksums: parts that verify, each for itself, and do not agree.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLSM

/// Writes a table of these keys and positions as they come.
private func write(
  _ entries: [(key: String, position: UInt64)], to disk: SimulatedFileSystem, _ compression: Compression = .none
) throws {
  let writer = try TableWriter(fileSystem: disk, directory: "", number: 1, shard: 0, compression: compression)
  for entry in entries {
    try [UInt8](entry.key.utf8).withUnsafeBytes { key in
      try [UInt8]("value".utf8).withUnsafeBytes { value in
        try writer.add(key, trailer: packTrailer(entry.position, .put), value: value)
      }
    }
  }
  _ = try writer.finish()
}

/// The damage that is told of the table.
private func damage(_ disk: SimulatedFileSystem) -> [String] {
  let lines = describeTable(fileSystem: disk, path: "000001.table")
  let found = lines.filter { $0.hasPrefix("damage ") }
  #expect(lines.last?.hasPrefix("verdict state=\(found.isEmpty ? "sound" : "damaged") ") == true, "\(lines)")
  return found
}

/// Changes the stored bytes that the line with this beginning speaks of, and makes their checksum right again.
private func change(
  _ beginning: String, of disk: SimulatedFileSystem, type: UInt8 = BlockFormat.plain, _ change: (inout [UInt8]) -> Void
) throws {
  var file = try #require(disk.content("000001.table"))
  let lines = describeTable(fileSystem: disk, path: "000001.table")
  let line = try #require(lines.first { $0.hasPrefix(beginning) }, "\(lines)")
  func number(_ key: String) -> Int? {
    line.split(separator: " ").first { $0.hasPrefix(key + "=") }.flatMap { Int($0.dropFirst(key.count + 1)) }
  }
  let (offset, size) = (try #require(number("offset")), try #require(number("bytes")))
  var content = Array(file[offset..<(offset + size)])
  change(&content)
  #expect(content.count == size)
  var block = ByteBuffer()
  block.append(content)
  appendBlockTrailer(to: &block, from: 0, type: type)
  file.replaceSubrange(offset..<(offset + block.count), with: block.bytes)
  try disk.setContent("000001.table", file)
}

@Test func entriesThatDoNotRiseAreDamage() throws {
  for entries in [[("b", 1), ("a", 2)], [("a", 1), ("a", 2)], [("a", 2), ("a", 2)]] as [[(String, UInt64)]] {
    let disk = SimulatedFileSystem()
    try write(entries.map { (key: $0.0, position: $0.1) }, to: disk)
    let found = damage(disk)
    #expect(found.count == 1 && found[0].contains("stands behind a greater entry"), "\(found)")
  }
  let disk = SimulatedFileSystem()
  try write([("a", 2), ("a", 1), ("ab", 3)], to: disk)
  #expect(damage(disk) == [])
}

@Test func aFilterThatMissesAKeyIsDamage() throws {
  let disk = SimulatedFileSystem()
  try write((0..<9).map { ("key \($0)", 1) }, to: disk)
  #expect(damage(disk) == [])
  try change("part name=filter ", of: disk) { for index in 0..<($0.count - FilterFormat.tailSize) { $0[index] = 0 } }
  let found = damage(disk)
  #expect(found.count == 1 && found[0].contains("the filter does not know key 6b65792030"), "\(found)")
}

@Test func propertiesThatAreNotThoseOfTheBlocksAreDamage() throws {
  let disk = SimulatedFileSystem()
  try write((0..<9).map { ("key \($0)", UInt64(20 + $0)) }, to: disk)
  var properties = ByteBuffer()
  try change("part name=properties ", of: disk) { content in
    var read = content.withUnsafeBytes { TableProperties($0) }
    read?.valueBytes += 1
    read?.append(to: &properties)
    content = Array(properties.bytes)
  }
  #expect(damage(disk).map { $0.contains("the blocks hold 9 entries of 45 and 45 bytes") } == [true])
  try change("part name=properties ", of: disk) { content in
    var read = content.withUnsafeBytes { TableProperties($0) }
    read?.highestPosition = 22
    properties.removeAll()
    read?.append(to: &properties)
    content = Array(properties.bytes)
  }
  #expect(damage(disk).map { $0.contains("has position 23, outside those of the properties") } == [true])
}

@Test func aCompressedBlockThatIsNoneIsDamage() throws {
  let disk = SimulatedFileSystem()
  try write((0..<50).map { ("a long key that all of them share \($0 + 10)", 1) }, to: disk, .lz4)
  #expect(damage(disk) == [])
  let lines = describeTable(fileSystem: disk, path: "000001.table")
  #expect(lines.contains { $0.hasPrefix("block number=0 ") && $0.contains(" type=lz4 content_bytes=") }, "\(lines)")
  try change("block number=0 ", of: disk, type: BlockFormat.lz4) { $0[0] ^= 1 }
  #expect(damage(disk).map { $0.contains("the block does not decompress") } == [true])
  try change("block number=0 ", of: disk, type: 7) { $0[0] ^= 1 }
  #expect(damage(disk).map { $0.contains("unknown block type 7") } == [true])
  try change("part name=filter ", of: disk, type: BlockFormat.lz4) { _ in }
  #expect(damage(disk).count == 2)
}

@Test func anIndexThatDoesNotFitTheBlocksIsDamage() throws {
  let disk = SimulatedFileSystem()
  let entries = (0..<400).map { (key: "a key \($0 + 1000)", position: UInt64(1)) }
  try write(entries, to: disk)
  #expect(damage(disk) == [])
  let whole = try #require(disk.content("000001.table"))
  // One block fewer; a last key that is another one.
  try change("part name=index ", of: disk) { $0[0] -= 1 }
  #expect(damage(disk).first?.contains(" bytes too many") == true, "\(damage(disk))")
  try disk.setContent("000001.table", whole)
  try change("part name=index ", of: disk) { $0[$0.count - 1] += 1 }
  #expect(damage(disk).first?.contains("the index has another last key of this block") == true, "\(damage(disk))")
}
