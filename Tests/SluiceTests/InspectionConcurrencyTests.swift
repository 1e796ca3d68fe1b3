// Looking into a store while a process writes to it: whatever is half done just then, nothing of it is damage.
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct InspectionConcurrencyTests {
  @Test func aStoreThatIsWrittenIsSound() throws {
    let scratch = Scratch()
    var options = StoreOptions()
    options.shardCount = 2
    options.memtableBudgetBytes = 16 << 10
    options.stageBytes = 4 << 10
    let store = try Store.open(path: scratch.file("shop"), options: options)
    let isDone = Monitor(false)
    let failures = Monitor<[String]>([])
    let writer = try Thread(name: "writer") {
      do throws(StoreError) {
        let session = try store.makeSession()
        _ = try session.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
        // Large transactions are adopted as segments; small groups are synced one by one.
        for group in 0..<2_000 {
          let isLarge = group % 7 == 0
          if isLarge { _ = try session.execute("BEGIN") }
          for row in 0..<(isLarge ? 80 : 10) {
            let text = String(repeating: "v", count: 90)
            _ = try session.execute("INSERT INTO t VALUES(\(group * 100 + row), '\(text)')")
          }
          if isLarge { _ = try session.execute("COMMIT") }
          try session.settle()
        }
      } catch { failures.update { $0.append("\(error)") } }
      isDone.update { $0 = true }
    }
    var rounds = 0
    while rounds < 10 || !isDone.withLock({ $0 }) {
      let lines = try look(.store(check: rounds % 2 == 1), scratch.file("shop"))
      if rounds % 2 == 0 { #expect(lines[1].hasPrefix("lock held=yes holder=\"process "), "\(lines[1])") }
      _ = try look(.log(commands: rounds % 5 == 0), scratch.file("shop/log"))
      _ = try look(.manifest, scratch.file("shop/shards/001"))
      rounds += 1
    }
    writer.join()
    #expect(failures.withLock { $0 } == [])
    try store.close()
    _ = try look(.store(check: true), scratch.file("shop"))
  }

  /// A store on a simulated disk whose files another process changes just as they are looked at: before the call number
  /// `at` on `path`, of those that `HookedFileSystem` shows, `content` takes the place of what is there.
  private func look(
    _ subject: StoreInspection.Subject, _ bench: InspectionBench, at: Int, of path: String, becomes content: [UInt8]
  ) throws -> String {
    let disk = bench.disk
    let calls = Monitor(0)
    let change: HookedFileSystem.Looking = { (call) throws(SystemError) in
      guard call.hasSuffix(" shop/" + path) else { return }
      let number = calls.withLock { count in
        count += 1
        return count
      }
      if number == at { try disk.setContent("shop/" + path, content) }
    }
    var lines: [String] = []
    let files = HookedFileSystem(disk, looking: change) { _ in }
    let target = subject == .manifest ? "/" + path.split(separator: "/").dropLast().joined(separator: "/") : ""
    let outcome = try StoreInspection.run(
      subject, path: "shop" + target, fileSystem: files, projectionsPath: bench.projections
    ) { lines.append($0) }
    #expect(calls.withLock { $0 } >= at, "\(path) was looked at less often")
    #expect(outcome == .sound, "\(lines)")
    return lines.joined(separator: "\n")
  }

  private func smallStore() throws -> InspectionBench {
    let bench = InspectionBench()
    try bench.open(shards: 1, budget: 3_000)
    _ = try bench.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try bench.rows("t", 1...40, size: 100)
    try bench.close()
    return bench
  }

  /// The last record is being written: half of it is there at the first look, and the next one says it was durable.
  @Test func aRecordThatIsBeingWritten() throws {
    let bench = try smallStore()
    let path = "log/00000000000000000001.log"
    let whole = try #require(bench.disk.content("shop/" + path))
    var ends: [Int] = []
    _ = try bench.look(.log(commands: false), path) { line in
      if line.hasPrefix("commands "), let offset = number("offset", line), let size = number("bytes", line) {
        ends.append(offset + size)
      }
    }
    let last = ends[ends.count - 2]..<ends[ends.count - 1]
    var half = whole
    for index in (last.lowerBound + 70)..<last.upperBound { half[index] = 0 }
    try bench.replace(path, half)
    // Opened and measured, the header, the records; then opened once more.
    let text = try look(.store(check: false), bench, at: 4, of: path, becomes: whole)
    #expect(text.contains(" last_position=41 "), "\(text)")
    // The same in the middle, where the records behind prove that it was durable.
    var middle = whole
    for index in ends[20]..<(ends[20] + 70) { middle[index] = 0 }
    try bench.replace(path, middle)
    #expect(try look(.store(check: true), bench, at: 4, of: path, becomes: whole).hasPrefix("verdict state=sound"))
  }

  /// The segment is sealed, its zeros are cut off, between the question for its size and the reading.
  @Test func aSegmentThatIsBeingSealed() throws {
    let bench = try smallStore()
    let path = "log/00000000000000000001.log"
    let whole = try #require(bench.disk.content("shop/" + path))
    let end = try #require(whole.lastIndex { $0 != 0 }) + 1
    let text = try look(.store(check: false), bench, at: 3, of: path, becomes: Array(whole[..<((end + 7) & ~7)]))
    #expect(text.contains(" last_position=41 "), "\(text)")
  }

  /// An edit is being appended to the manifest.
  @Test func aManifestThatIsBeingWritten() throws {
    let bench = try smallStore()
    let path = "shards/000/MANIFEST-000001"
    let whole = try #require(bench.disk.content("shop/" + path))
    try bench.replace(path, Array(whole.dropLast(9)))
    // Measured, opened, read; then measured again.
    let text = try look(.manifest, bench, at: 4, of: path, becomes: whole)
    #expect(text.contains("\nversion edits=") && !text.contains("torn"), "\(text)")
  }

  private func look(_ subject: StoreInspection.Subject, _ path: String) throws -> [String] {
    var lines: [String] = []
    let outcome = try StoreInspection.run(subject, path: path) { lines.append($0) }
    let problems = lines.filter { $0.hasPrefix("damage") || $0.hasPrefix("unread") || $0.contains("torn") }
    #expect(outcome == .sound && problems.isEmpty, "\(subject): \(problems.joined(separator: "\n"))")
    return lines
  }
}
