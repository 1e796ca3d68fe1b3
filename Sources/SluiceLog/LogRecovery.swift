// Brings the log's directory to order when it is opened.
//
// Only the last segment may be unfinished: a segment is sealed durably before the next one is created. In it the first
// record that does not verify ends the log, and all behind it is cut off, durably, before anything is written again.
// That is right for a torn tail: a group of records that was written when the power went, of which any sectors may be
// there and others not. It would be wrong for damage to records that were durable. The two are told apart by
// the records behind the bad one: each says up to which offset the segment was durable when it was written (header
// field durableOffset). One that verifies and says that the bad place was durable proves damage, and opening stops. A
// valid record that does not say so may belong to the same torn group. Damage to the last group of all cannot be told
// from a torn tail by the log alone: nothing was written to it after that. But when an adopted segment follows, its
// name is proof: it was given after the adoption record was durable, so a segment that does not end with that record is
// damaged, and nothing of it is cut. And the witnesses (LogWitness.swift) are asked before anything is cut, sealed,
// renamed or removed: where one knows of a position behind the end, opening stops.
//
// The steps, each of which may be cut short and run again:
//   1. Remove `.new` files: segments whose creation was not finished.
//   2. Find the end of the last normal segment, cut the torn tail, sync: what a killed process left in the page
//      cache becomes durable before it counts.
//   3. When it ends with an adoption record: seal it, rename the staged file if that was not done.
//   4. Remove staged files without an adoption record: transactions that were never committed.
//
// For who may only read, nothing of that is done: the torn tail is passed over, a staged file that was adopted is read
// under its old name, and all else is left for the next opening that writes.
import SluiceSystem

/// One run over the directory, and what it found.
struct LogRecovery {
  let fileSystem: any FileSystem
  let directory: String
  let storeID: UInt64
  let witnesses: [LogWitness]
  /// Whether the log is brought to order; else it is only read.
  let writes: Bool
  private(set) var segments: [Segment] = []
  private(set) var lastPosition: UInt64 = 0
  /// Where it begins at the latest, by what retention noted; nil: nothing was noted.
  private(set) var notedBegin: UInt64?
  /// The segment to go on writing; nil when the next append creates one.
  private(set) var current: SegmentWriter?
  private var staged: [UInt64] = []
  /// Whether the directory holds nothing that could come back.
  private var isEmpty = true

  init(
    fileSystem: any FileSystem, directory: String, storeID: UInt64, witnesses: [LogWitness], writes: Bool = true
  ) {
    self.witnesses = witnesses
    self.writes = writes
    self.fileSystem = fileSystem
    self.directory = directory
    self.storeID = storeID
  }

  mutating func run() throws(LogError) {
    do {
      if writes, try !fileSystem.exists(directory) { try fileSystem.createDirectory(directory) }
      try listFiles()
      if writes, segments.isEmpty {
        // Also when it was there: who created it may have been killed before its name was durable. Where there are
        // segments it is: the first one comes behind this.
        let slash = directory.lastIndex(of: "/")
        try fileSystem.syncDirectory(slash.map { $0 == directory.startIndex ? "/" : String(directory[..<$0]) } ?? ".")
      }
    } catch { throw LogError("open the log in \(directory)", error) }
    segments.sort(by: Segment.precedes)
    guard let index = segments.lastIndex(where: { !$0.adopted }) else {
      if let orphan = segments.first { throw .corrupt(orphan.path, 0, "the segment that adopted it is missing") }
      try LogEnd(position: 0, path: directory, offset: 0).check(witnesses)
      return isEmpty ? () : try removeStaged(but: nil)
    }
    let tail = try scanTail(index)
    lastPosition = tail.nextPosition - 1
    if let adoption = tail.adoption {
      try complete(adoption, tail, after: index)
    } else {
      segments[index].limit = tail.end
      if writes { current = tail.writer } else { tail.writer.file.close() }
      try removeStaged(but: nil)
    }
  }

  private func scanTail(_ index: Int) throws(LogError) -> Tail {
    let segment = segments[index]
    let file: any File
    do { file = try fileSystem.open(segment.path, writes ? .write : .read) } catch {
      throw LogError("open the segment \(segment.path)", error)
    }
    do throws(LogError) {
      var scan = try TailScan(file, segment, storeID: storeID)
      try scan.takeRecords()
      if index + 1 < segments.count { try scan.checkAdoption(of: segments[index + 1].path) }
      if let damage = try scan.damageBehind() { throw damage }
      try scan.logEnd.check(witnesses)
      return try cut(scan, file)
    } catch {
      file.close()
      throw error
    }
  }

  /// Cuts off what stands behind the records, and makes the rest durable.
  private func cut(_ scan: TailScan, _ file: any File) throws(LogError) -> Tail {
    let end = scan.end
    let isClean = try scan.scanner.isZero(from: end)
    if writes {
      do {
        if !isClean { try file.truncate(to: end) }
        try file.sync()
      } catch { throw LogError("cut the torn tail of \(file.path) at \(end)", error) }
    }
    return Tail(
      writer: SegmentWriter(
        file: file, path: file.path, header: scan.scanner.header, end: end,
        size: isClean ? scan.scanner.limit : end),
      end: end, nextPosition: scan.nextPosition, adoption: scan.adoption)
  }

  private mutating func listFiles() throws(SystemError) {
    for name in try fileSystem.list(directory) {
      isEmpty = false
      let path = directory + "/" + name
      switch SegmentName(name) {
      case .normal(let first): segments.append(Segment(path: path, firstPosition: first, adopted: false, limit: nil))
      case .adopted(let first): segments.append(Segment(path: path, firstPosition: first, adopted: true, limit: nil))
      case .staged(let serial): staged.append(serial)
      case .new: if writes { try fileSystem.remove(path) }
      case .begin(let first): notedBegin = max(notedBegin ?? 0, first)
      case nil: continue
      }
    }
  }

  /// The last normal segment ends with `adoption`: its file must be there, under the one name or the other.
  private mutating func complete(_ adoption: Adoption, _ tail: Tail, after index: Int) throws(LogError) {
    if writes {
      try tail.writer.seal()
    } else {
      tail.writer.file.close()
      segments[index].limit = tail.end
    }
    let path = directory + "/" + SegmentName.adopted(first: adoption.firstPosition).text
    let stagedPath = directory + "/" + SegmentName.staged(serial: adoption.serial).text
    let known = index + 1 < segments.count
    if known {
      guard segments[index + 1].path == path, index + 2 == segments.count else {
        throw .corrupt(segments[segments.count - 1].path, 0, "no adoption record leads to it")
      }
    } else if !staged.contains(adoption.serial) {
      throw .corrupt(path, 0, "the segment adopted at position \(adoption.firstPosition) is missing")
    }
    try AdoptedCheck(fileSystem, path: known ? path : stagedPath, storeID: storeID).run(adoption, whole: !known)
    if !known {
      if writes { try Log.rename(fileSystem, stagedPath, to: path, in: directory) }
      let present = writes ? path : stagedPath
      segments.append(Segment(path: present, firstPosition: adoption.firstPosition, adopted: true, limit: nil))
    }
    lastPosition = adoption.firstPosition + adoption.commandCount - 1
    try removeStaged(but: adoption.serial)
  }

  /// Also makes the directory durable as it stands: what a killed process renamed must not come back.
  private func removeStaged(but adopted: UInt64?) throws(LogError) {
    guard writes else { return }
    do {
      for serial in staged where serial != adopted {
        try fileSystem.remove(directory + "/" + SegmentName.staged(serial: serial).text)
      }
      try fileSystem.syncDirectory(directory)
    } catch { throw LogError("remove staged segments in \(directory)", error) }
  }
}

/// The end of the last normal segment, durable and cut.
private struct Tail {
  let writer: SegmentWriter
  let end: UInt64
  let nextPosition: UInt64
  let adoption: Adoption?
}
