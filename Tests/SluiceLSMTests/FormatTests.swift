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
  var block = BlockBuilder()
  for (key, trailer, value) in [("ab", packTrailer(7, .put), "x"), ("ac", packTrailer(9, .tombstone), "")] {
    bytes(key).withUnsafeBytes { key in
      bytes(value).withUnsafeBytes { block.add(key, trailer: trailer, value: $0, to: &output) }
    }
  }
  let size = block.finish(in: &output)
  let text = fullHex(output.bytes)
  #expect(size == 32)
  #expect(text == "070000000000000000020101616201010012637808000000130000000100000000792c0ca2")
  guard case .plain = StoredBlock(output.bytes) else {
    Issue.record("the block does not read back")
    return
  }
}

@Test func tableBytes() throws {
  let disk = SimulatedFileSystem()
  let writer = try TableWriter(fileSystem: disk, directory: "", number: 1, shard: 0)
  try [UInt8]("tabl".utf8).withUnsafeBytes { key in
    try [UInt8]("v".utf8).withUnsafeBytes { value in
      try writer.add(key, trailer: packTrailer(1, .put), value: value)
    }
  }
  let info = try writer.finish()
  let content = try #require(disk.content("000001.table"))
  #expect(info.size == UInt64(content.count))
  let text = fullHex(content)
  let expected = """
    534c55494345544202000200d08d419c0100000000000000000401017461626c7608000000100000000100000000d6efd766
    0000800000000000000040000000000000000000002000000000000000100000000000000000000008000000000000000200
    00000000000000000000000000000100000006000000001ffb13b1010000001d047461626c004ed7d44801047461626c0204
    7461626c030101040101050101060100070104080101006ed2b8a13200000000000000480000007f000000000000000a0000
    008e000000000000001e000000a6e421f35442534c55494345
    """
  #expect(text == expected.filter { $0 != "\n" })
  #expect(
    describeTable(fileSystem: disk, path: "000001.table") == [
      "table file=000001.table bytes=\(content.count) version=2 reader=2",
      "part name=properties offset=142 bytes=30",
      "properties keys=7461626c..7461626c positions=1..1 entries=1 tombstones=0 key_bytes=4 value_bytes=1",
      "part name=filter offset=50 bytes=72", "part name=index offset=127 bytes=10",
      "block number=0 offset=16 bytes=29 type=plain entries=1 last=7461626c",
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
    deleted: [DeletedPrefix(prefix: .max, position: 5)], nextNumber: 301)
  var output = ByteBuffer()
  appendRecord(edit, at: 0, to: &output)
  guard case .edit(let read, _) = readRecord(output.bytes, at: 0) else {
    Issue.record("the record does not read back")
    return
  }
  #expect(read == edit)
}

@Test(arguments: [(FilterStrength.bottom, 2500), (.above, 800)])
func filtersFindAllAndFewOthers(_ strength: FilterStrength, limit: Int) {
  var random = SeededRandom(seed: 9)
  let hashes = (0..<10_000).map { _ in random.next() }
  var output = ByteBuffer()
  hashes.withUnsafeBufferPointer { appendFilter($0, strength, to: &output) }
  guard let filter = Filter(output.bytes) else {
    Issue.record("the filter does not read back")
    return
  }
  #expect(hashes.allSatisfy { filter.mayContain($0) })
  let wrong = (0..<100_000).count { _ in filter.mayContain(random.next()) }
  #expect(wrong < limit, "\(wrong) of 100,000 false answers")
  #expect(wrong > 0)
}

@Test func manifestsDescribeThemselves() throws {
  let disk = SimulatedFileSystem()
  let engine = try openEngine(disk)
  engine.apply([put(1, makeKey(1, [0x61]), [1]), delete(2, makeKey(1, [0x62]))])
  engine.deletePrefix(9, position: 2)
  engine.freeze(at: 2)
  try engine.flushAll()
  engine.close()
  let lines = describeManifest(fileSystem: disk, path: "engine/MANIFEST-000001")
  let expected = [
    "manifest file=engine/MANIFEST-000001 bytes=", "edit offset=28 ", "  flushed position=0", "  next number=1",
    "edit offset=", "  add level=0 run=3 table=2 bytes=", "  flushed position=2", "  deleted sql_table=9 position=2",
    "  next number=4", "version edits=2 flushed_position=2 next_number=4 levels=1 runs=1 tables=1 entries=1 ",
    "  level number=0 runs=1 tables=1 ", "    run number=3 tables=1 ", "      table=2 bytes=",
    "  deleted sql_table=9 position=2", "verdict state=sound damages=0",
  ]
  #expect(lines.count == expected.count)
  for (line, start) in zip(lines, expected) { #expect(line.hasPrefix(start), "\(line)") }
}
