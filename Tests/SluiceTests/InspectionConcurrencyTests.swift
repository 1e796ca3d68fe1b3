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
        for group in 0..<400 {
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

  private func look(_ subject: StoreInspection.Subject, _ path: String) throws -> [String] {
    var lines: [String] = []
    let outcome = try StoreInspection.run(subject, path: path) { lines.append($0) }
    let problems = lines.filter { $0.hasPrefix("damage") || $0.hasPrefix("unread") || $0.contains("torn") }
    #expect(outcome == .sound && problems.isEmpty, "\(subject): \(problems.joined(separator: "\n"))")
    return lines
  }
}
