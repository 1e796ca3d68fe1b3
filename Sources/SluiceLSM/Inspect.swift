// Reads a table or a manifest without an engine and says what is in it. Read-only; goes on past damage.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// Lines that describe a table file: header, properties, parts, each data block. Damage is a line, not an error.
public func describeTable(fileSystem: any FileSystem, path: String) -> [String] {
  do {
    let file = try openForReading(fileSystem, path)
    defer { file.close() }
    let parts = try TableParts(file, shard: 0, keyRange: nil)
    defer { withExtendedLifetime(parts) {} }
    var lines = describe(parts.properties)
    lines.insert("table size=\(parts.size) version=\(TableFormat.version)", at: 0)
    for (name, place) in [
      ("filter", parts.footer.filter), ("index", parts.footer.index), ("properties", parts.footer.properties),
    ] { lines.append("\(name) offset=\(place.offset) size=\(place.size)") }
    guard let index = parts.readIndex() else { return lines + ["damaged: index"] }
    for ordinal in 0..<index.count { lines.append(describeBlock(file, index[ordinal])) }
    return lines
  } catch { return ["damaged: \(error)"] }
}

private func openForReading(_ fileSystem: any FileSystem, _ path: String) throws(EngineError) -> any File {
  do { return try fileSystem.open(path, .read) } catch {
    throw EngineError(error, doing: "opening a file", shard: 0)
  }
}

private func describe(_ properties: TableProperties) -> [String] {
  [
    "keys \(hex(properties.smallest))..\(hex(properties.largest))",
    "positions \(properties.lowestPosition)..\(properties.highestPosition)",
    "entries=\(properties.entries) tombstones=\(properties.tombstones) key bytes=\(properties.keyBytes)"
      + " value bytes=\(properties.valueBytes)",
  ]
}

private func describeBlock(_ file: any File, _ entry: IndexEntry) -> String {
  let place = entry.place
  let name = "block offset=\(place.offset) size=\(place.size) last=\(hex([UInt8](entry.keyBytes)))"
  let memory = BlockMemory(size: Int(place.size), trailerSize: BlockFormat.trailerSize)
  var content = memory
  defer { withExtendedLifetime((memory, content)) {} }
  do { try readFully(file, into: memory.bytes, at: place.offset, shard: 0, keyRange: nil) } catch {
    return name + " damaged: \(error)"
  }
  switch StoredBlock(UnsafeRawBufferPointer(memory.bytes)) {
  case .plain: break
  case .damaged(let damage): return name + " damaged: " + damage
  case .lz4(let packed, let size):
    content = BlockMemory(size: size)
    guard decompress(packed, into: content.bytes) else { return name + " damaged: does not decompress" }
  }
  var cursor = BlockCursor()
  guard cursor.open(content.content) else { return name + " damaged: restarts" }
  var count = 0
  while true {
    switch cursor.step() {
    case .entry: count += 1
    case .end: return name + " entries=\(count)"
    case .corrupt: return name + " damaged: entry \(count)"
    }
  }
}

/// Lines that describe a manifest: one for the header, one for each change. Damage is a line, not an error.
public func describeManifest(fileSystem: any FileSystem, path: String) -> [String] {
  do {
    let file = try readWholeFile(path, fileSystem: fileSystem, shard: 0)
    defer { withExtendedLifetime(file) {} }
    return describeManifest(file.bytes)
  } catch { return ["damaged: \(error)"] }
}

private func describeManifest(_ bytes: UnsafeRawBufferPointer) -> [String] {
  guard bytes.count >= ManifestFormat.headerSize else { return ["damaged: \(bytes.count) bytes"] }
  let header = UnsafeRawBufferPointer(rebasing: bytes[..<ManifestFormat.headerSize])
  var reader = ByteReader(header, offset: 12)
  let shard = reader.readLittleEndian(UInt32.self)
  var lines = ["manifest \(reader.readLittleEndian(UInt64.self)) shard=\(shard) size=\(bytes.count)"]
  if let damage = headerDamage(header, magic: ManifestFormat.magic, version: ManifestFormat.version) {
    return ["damaged: header: " + damage.message]
  }
  var offset = header.count
  while true {
    switch readRecord(bytes, at: offset) {
    case .end: return lines
    case .torn: return lines + ["torn record at \(offset)"]
    case .damaged(let message): return lines + ["damaged at \(offset): " + message]
    case .edit(let edit, let end):
      lines.append("edit at \(offset)")
      lines += describe(edit)
      offset = end
    }
  }
}

private func describe(_ edit: VersionEdit) -> [String] {
  var lines: [String] = []
  for number in edit.removed { lines.append("  remove table \(number)") }
  for addition in edit.added {
    let table = addition.table
    lines.append(
      "  add table \(table.number) level=\(addition.level) run=\(addition.run) size=\(table.size)"
        + " keys=\(table.keyRange) positions=\(table.lowestPosition)..\(table.highestPosition)"
        + " entries=\(table.entries) tombstones=\(table.tombstones)")
  }
  if let position = edit.flushedPosition { lines.append("  flushed position \(position)") }
  for deletion in edit.deleted { lines.append("  deleted prefix \(deletion.prefix) at \(deletion.position)") }
  if let number = edit.nextNumber { lines.append("  next number \(number)") }
  return lines
}
