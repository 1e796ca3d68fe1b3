// The formats byte by byte: the worked examples of the format files.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLSM

private func fullHex(_ bytes: some Collection<UInt8>) -> String {
  bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
}

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

@Test func blockBytes() {
  var output = ByteBuffer()
  var block = BlockBuilder(restartInterval: 16)
  for (key, trailer, value) in [("ab", packTrailer(7, .put), "x"), ("ac", packTrailer(9, .tombstone), "")] {
    bytes(key).withUnsafeBytes { key in
      bytes(value).withUnsafeBytes { block.add(key, trailer: trailer, value: $0, to: &output) }
    }
  }
  let size = block.finish(in: &output)
  let text = fullHex(output.bytes)
  #expect(size == 28)
  #expect(text == "070000000000000000020101616278010100126308000000010000000014c40417")
  #expect(blockDamage(output.bytes) == nil)
}

@Test func tableBytes() throws {
  let disk = SimulatedFileSystem()
  let writer = try TableWriter(fileSystem: disk, directory: "", number: 1, shard: 0)
  try [UInt8]("k".utf8).withUnsafeBytes { key in
    try [UInt8]("v".utf8).withUnsafeBytes { value in
      try writer.add(key, trailer: packTrailer(1, .put), value: value)
    }
  }
  let info = try writer.finish()
  let content = try #require(disk.content("000001.table"))
  #expect(info.size == UInt64(content.count))
  let text = fullHex(content)
  let expected = """
    534c5549434554420100010070ac84ca0100000000000000000101016b7608000000010000000077d2c92101000000060000
    0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000100
    80000020000010000008000002000000d003dd810000000000000000000102016b10160800000001000000003ffac7100101
    6b02016b030101040101050101060100070101080101008c7aed932b00000000000000480000007800000000000000170000
    009400000000000000180000009c1166da5442534c55494345
    """
  #expect(text == expected.filter { $0 != "\n" })
  #expect(
    describeTable(fileSystem: disk, path: "000001.table") == [
      "table file=000001.table bytes=\(content.count) version=1 reader=1", "part name=properties offset=148 bytes=24",
      "properties keys=6b..6b positions=1..1 entries=1 tombstones=0 key_bytes=1 value_bytes=1",
      "part name=filter offset=43 bytes=72", "part name=index offset=120 bytes=23",
      "block number=0 offset=16 bytes=22 type=plain entries=1 last=6b",
      "verdict state=sound damages=0 tables=1 blocks=1 entries=1 table_bytes=\(content.count)",
    ])
}

@Test func manifestBytes() {
  var output = ByteBuffer()
  appendManifestHeader(number: 1, shard: 0, to: &output)
  appendRecord(VersionEdit(flushedPosition: 5), at: 28, to: &output)
  let expected = "534c554943454d46010001000000000001000000000000002cd72808" + "060000008df8a9bd54a901c90301050f010a"
  #expect(fullHex(output.bytes) == expected)
  guard case .edit(let edit, let end) = readRecord(output.bytes, at: 28) else {
    Issue.record("the record does not read back")
    return
  }
  #expect(edit == VersionEdit(flushedPosition: 5))
  #expect(end == output.count)
}

@Test func editsReadBack() {
  let table = TableInfo(
    number: 300, size: 12345, smallest: [0, 0, 0, 1], largest: [0, 0, 0, 2, 0xff], lowestPosition: 1,
    highestPosition: 1 << 40, entries: 1000, tombstones: 3)
  let edit = VersionEdit(
    removed: [1, 200], added: [.init(level: 2, run: 299, table: table)], flushedPosition: 77,
    dropped: [DroppedPrefix(prefix: .max, position: 5)], nextNumber: 301)
  var output = ByteBuffer()
  appendRecord(edit, at: 0, to: &output)
  guard case .edit(let read, _) = readRecord(output.bytes, at: 0) else {
    Issue.record("the record does not read back")
    return
  }
  #expect(read == edit)
}

@Test func filtersFindAllAndFewOthers() {
  var random = SeededRandom(seed: 9)
  let hashes = (0..<10_000).map { _ in random.next() }
  var output = ByteBuffer()
  appendFilter(hashes, to: &output)
  appendBlockTrailer(to: &output, from: 0)
  let memory = BlockMemory(size: output.count)
  memory.bytes.copyMemory(from: output.bytes)
  guard let filter = Filter(memory) else {
    Issue.record("the filter does not read back")
    return
  }
  #expect(hashes.allSatisfy { filter.mayContain($0) })
  let wrong = (0..<100_000).count { _ in filter.mayContain(random.next()) }
  #expect(wrong < 2500, "\(wrong) of 100,000 false answers")
  #expect(wrong > 0)
}

@Test func manifestsDescribeThemselves() throws {
  let disk = SimulatedFileSystem()
  let engine = try openEngine(disk)
  engine.apply([put(1, makeKey(1, [0x61]), [1]), delete(2, makeKey(1, [0x62]))])
  try engine.dropPrefix(9, position: 2)
  engine.freeze(at: 2)
  try engine.flushAll()
  engine.close()
  let lines = describeManifest(fileSystem: disk, path: "engine/MANIFEST-000001")
  let expected = [
    "manifest file=engine/MANIFEST-000001 bytes=", "edit offset=28 ", "  flushed position=0", "  next number=1",
    "edit offset=", "  add level=0 run=3 table=2 bytes=", "  flushed position=2", "  dropped sql_table=9 position=2",
    "  next number=4", "version edits=2 flushed_position=2 next_number=4 levels=1 runs=1 tables=1 entries=1 ",
    "  level number=0 runs=1 tables=1 ", "    run number=3 tables=1 ", "      table=2 bytes=",
    "  dropped sql_table=9 position=2", "verdict state=sound damages=0",
  ]
  #expect(lines.count == expected.count)
  for (line, start) in zip(lines, expected) { #expect(line.hasPrefix(start), "\(line)") }
}
