// What an inspection of a table finds beyond checksums: parts that verify, each for itself, and do not agree.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLSM

/// Writes a table of these keys and positions as they come.
private func write(_ entries: [(key: String, position: UInt64)], to disk: SimulatedFileSystem) throws {
  let writer = try TableWriter(fileSystem: disk, directory: "", number: 1, shard: 0)
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

/// Replaces the content of a part and makes its checksum right again.
private func replacePart(_ name: String, of disk: SimulatedFileSystem, _ change: (inout [UInt8]) -> Void) throws {
  var file = try #require(disk.content("000001.table"))
  let line = try #require(
    describeTable(fileSystem: disk, path: "000001.table").first { $0.hasPrefix("part name=\(name) ") })
  let numbers = line.split(separator: " ").compactMap { Int($0.drop { $0 != "=" }.dropFirst()) }
  let (offset, size) = (numbers[0], numbers[1])
  var content = Array(file[offset..<(offset + size)])
  change(&content)
  #expect(content.count == size)
  var block = ByteBuffer()
  block.append(content)
  appendBlockTrailer(to: &block, from: 0)
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
  try replacePart("filter", of: disk) { for index in FilterFormat.headSize..<$0.count { $0[index] = 0 } }
  let found = damage(disk)
  #expect(found.count == 1 && found[0].contains("the filter does not know key 6b65792030"), "\(found)")
}

@Test func propertiesThatAreNotThoseOfTheBlocksAreDamage() throws {
  let disk = SimulatedFileSystem()
  try write((0..<9).map { ("key \($0)", UInt64(20 + $0)) }, to: disk)
  var properties = ByteBuffer()
  try replacePart("properties", of: disk) { content in
    var read = content.withUnsafeBytes { TableProperties($0) }
    read?.valueBytes += 1
    read?.append(to: &properties)
    content = Array(properties.bytes)
  }
  #expect(damage(disk).map { $0.contains("the blocks hold 9 entries of 45 and 45 bytes") } == [true])
  try replacePart("properties", of: disk) { content in
    var read = content.withUnsafeBytes { TableProperties($0) }
    read?.highestPosition = 22
    properties.removeAll()
    read?.append(to: &properties)
    content = Array(properties.bytes)
  }
  #expect(damage(disk).map { $0.contains("has position 23, outside those of the properties") } == [true])
}
