// A reader in this process beside a writer in another: the built shell, fed slowly through a pipe with single rows and
// with large transactions, which it stages, adopts, flushes and merges.
import SluiceLSM
import SluiceSQL
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// Rows of each group: those of a transaction have the same first column.
private func groups(_ view: StoreView) throws -> [Int64: Int] {
  guard let table = view.catalog.table("t") else { return [:] }
  var groups: [Int64: Int] = [:]
  let prefix = (0..<4).map { UInt8(truncatingIfNeeded: table.id >> (24 - 8 * UInt32($0))) }
  for snapshot in view.snapshots {
    let iterator = snapshot.iterator(prefix: prefix)
    while try iterator.next() {
      guard case .integer(let group)? = RowReader(iterator.current.value).values()?.first else { continue }
      groups[group, default: 0] += 1
    }
  }
  return groups
}

@Suite struct ReadingProcessTests {
  private static let groupCount: Int64 = 60
  /// Every fifth group is a transaction of that many rows of 1 KB, more than is kept in memory; the others are one row.
  private static let largeCount = 4_000

  private static func rows(_ group: Int64) -> Int { group % 5 == 0 ? largeCount : 1 }

  /// Writes the script as it goes, with pauses; from group 12 on when the file `$2` is there.
  private static let feed = """
    awk -v go="$2" 'BEGIN {
      while (length(v) < 1000) v = v "v"
      print "CREATE TABLE t(g INTEGER, n INTEGER, v TEXT, PRIMARY KEY(g, n), SHARD KEY(n));"
      for (g = 1; g <= \(groupCount); g++) {
        if (g == 12) { fflush(); system("while [ ! -e " go " ]; do sleep 0.01; done") }
        large = g % 5 == 0
        if (large) print "BEGIN;"
        for (n = 1; n <= (large ? \(largeCount) : 1); n++) print "INSERT INTO t VALUES(" g "," n ",\\047" v "\\047);"
        if (large) print "COMMIT;"
        fflush(); system("sleep 0.03")
      }
    }' | "$0" "$1"
    """

  @Test func aReaderBesideAnotherProcess() throws {
    let folder = TemporaryFolder()
    let path = folder.file("s.sluice")
    let result = Monitor<ProcessResult?>(nil)
    let writer = try Thread(name: "writer") {
      do {
        let ended = try runProcess(
          "sh", ["-c", Self.feed, builtProduct("sluice"), path, folder.file("go")],
          environment: ["XDG_STATE_HOME": folder.path],
          timeoutSeconds: 120)
        result.update { $0 = ended }
      } catch { Issue.record("\(error)") }
    }
    let files = RealFileSystem()
    var reader: StoreReader?
    var lengths: Set<Int> = []
    var holders: Set<String> = []
    while result.withLock({ $0 == nil }) {
      guard let reader else {
        do { reader = try StoreReader.open(path: path) } catch {
          // It is only just being made.
          #expect(error.kind == .invalid && error.message.contains("there is no store"), "\(error)")
          Thread.sleep(nanoseconds: 1_000_000)
        }
        continue
      }
      try reader.refresh()
      if let holder = try reader.holder { holders.insert(holder) }
      let found = try groups(reader.view)
      lengths.insert(found.count)
      if found.count >= 5, try !files.exists(folder.file("go")) { try files.open(folder.file("go"), .create).close() }
      #expect(found.keys.sorted() == (0..<found.count).map { Int64($0 + 1) }, "in order")
      for (group, count) in found { #expect(count == Self.rows(group), "group \(group) is not whole") }
    }
    writer.join()
    let ended = try #require(result.withLock { $0 })
    #expect(ended.status == 0 && ended.errorText == "", "\(ended.errorText)")
    let last = try #require(reader)
    try last.refresh()
    #expect(
      try groups(last.view) == Dictionary(uniqueKeysWithValues: (1...Self.groupCount).map { ($0, Self.rows($0)) }))
    #expect(lengths.contains { 5..<12 ~= $0 }, "\(lengths.sorted())")
    #expect(holders.count == 1 && holders.first?.hasPrefix("process ") == true, "\(holders)")
    #expect(!holders.contains("process \(processIdentifier())"))
    #expect(try last.holder == nil)
    // And opening for writing finds the same.
    let store = try Store.open(path: path)
    try expectEqual(last.view, store)
    #expect(store.engineStatistics.contains { $0.tables > 0 })
    try store.close()
  }
}
