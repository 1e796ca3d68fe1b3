// Leaving: drained, undrained, and killed. Through the real binary on a real disk.
import Foundation
import SluiceTesting
import Testing

@Suite struct LeavingTests {
  /// `count` INSERTs of ids 1, 2, 3 …, in transactions of `transactionRows` when that is not 0.
  private func script(_ count: Int, transactionRows: Int) -> String {
    var text = "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);\n"
    for id in 1...count {
      if transactionRows > 0, id % transactionRows == 1 { text += "BEGIN;\n" }
      text += "INSERT INTO t VALUES(\(id),'value of row \(id)');\n"
      if transactionRows > 0, id % transactionRows == 0 { text += "COMMIT;\n" }
    }
    return text
  }

  private func mirrorCount(_ store: String) throws -> String {
    try stockSQLite("SELECT count(*), coalesce(max(id), 0) FROM t", database: store + "/projections.db").text
  }

  @Test func leavingProjectsEverythingFirst() throws {
    let store = TemporaryFolder()
    let path = store.file("a.sluice")
    let load = try runProcess(builtProduct("sluice"), [path], input: Array(script(20_000, transactionRows: 0).utf8))
    #expect(load.status == 0)
    #expect(try mirrorCount(path) == "20000|20000\n")
    // Nothing is left beside the file.
    let names = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
    #expect(names == ["LOCK", "log", "projections.db", "shards", "store"])
  }

  @Test(arguments: [0, 20_000]) func leavingUndrainedLeavesTheRestToTheNext(transactionRows: Int) throws {
    let store = TemporaryFolder()
    let path = store.file("a.sluice")
    let load = try runProcess(
      builtProduct("sluice"), ["--no-drain", path],
      input: Array(script(20_000, transactionRows: transactionRows).utf8))
    #expect(load.status == 0)
    let next = try runProcess(builtProduct("sluice"), [path, "SELECT count(*), max(id) FROM t"])
    #expect(next.text == "20000|20000\n")
    #expect(try mirrorCount(path) == "20000|20000\n")
  }

  /// Killed at any time: what is there is a prefix of the statements, transactions are whole, mirror and shards agree,
  /// and loading goes on.
  @Test(arguments: [0, 1_000]) func killed(transactionRows: Int) throws {
    let seed = testSeed()
    var random = SeededRandom(seed: seed)
    let folder = TemporaryFolder()
    let input = folder.file("in.sql")
    try Data(script(100_000, transactionRows: transactionRows).utf8).write(to: URL(fileURLWithPath: input))
    for round in 0..<8 {
      let path = folder.file("\(round).sluice")
      let milliseconds = 20 + random.below(900)
      _ = try runProcess(
        "/bin/bash",
        [
          "-c",
          "'\(builtProduct("sluice"))' '\(path)' < '\(input)' & child=$!; sleep \(Double(milliseconds) / 1000); "
            + "kill -9 $child; wait $child",
        ])
      guard FileManager.default.fileExists(atPath: path) else { continue }
      let after = try runProcess(
        builtProduct("sluice"),
        [
          path, "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v TEXT)",
          "SELECT count(*), coalesce(max(id), 0) FROM t",
        ])
      let repeated = "seed \(seed), round \(round), \(milliseconds) ms"
      #expect(after.status == 0, "\(repeated): \(after.errorText)")
      let numbers = after.text.split(whereSeparator: { $0 == "|" || $0 == "\n" }).compactMap { Int($0) }
      try #require(numbers.count == 2, "\(repeated): \(after.text)")
      #expect(numbers[0] == numbers[1], "\(repeated): not a prefix of the statements")
      if transactionRows > 0 { #expect(numbers[0] % transactionRows == 0, "\(repeated): half a transaction") }
      #expect(try mirrorCount(path) == after.text, "\(repeated)")
      let id = numbers[1] + 1
      let more = try runProcess(
        builtProduct("sluice"), [path, "INSERT INTO t VALUES(\(id),'next')", "SELECT count(*) FROM t"])
      #expect(more.text == "\(id)\n", "\(repeated): \(more.errorText)")
    }
  }

  /// A disk that takes no more (here: a limit on the size of files) is said, and what was acknowledged stays.
  @Test func aFullDiskIsSaid() throws {
    let folder = TemporaryFolder()
    let path = folder.file("a.sluice")
    let input = folder.file("in.sql")
    try Data(script(60_000, transactionRows: 0).utf8).write(to: URL(fileURLWithPath: input))
    let load = try runProcess(
      "/bin/bash", ["-c", "ulimit -f 2000; '\(builtProduct("sluice"))' '\(path)' < '\(input)'"])
    #expect(load.status == 1)
    #expect(load.errorText.contains("cannot write"))
    let after = try runProcess(builtProduct("sluice"), [path, "SELECT count(*), max(id) FROM t"])
    let numbers = after.text.split(whereSeparator: { $0 == "|" || $0 == "\n" }).compactMap { Int($0) }
    try #require(numbers.count == 2, "\(after.errorText)")
    #expect(numbers[0] == numbers[1])
    #expect(numbers[0] > 1_000)
    #expect(try mirrorCount(path) == after.text)
  }

  @Test func aHeldStoreSaysByWhom() throws {
    let folder = TemporaryFolder()
    let path = folder.file("a.sluice")
    let result = try runProcess(
      "/bin/bash",
      [
        "-c",
        """
        sleep 5 | '\(builtProduct("sluice"))' '\(path)' & holder=$!
        for i in $(seq 50); do [ -s '\(path)/LOCK' ] && break; sleep 0.1; done
        '\(builtProduct("sluice"))' '\(path)' 'SELECT 1'; echo "status $? holder $(cat '\(path)/LOCK')"
        kill $holder
        """,
      ])
    let holder = try #require(result.text.split(separator: " holder ").last?.split(separator: "\n").first)
    #expect(holder.hasPrefix("process "))
    #expect(result.text.hasPrefix("status 1"))
    #expect(result.errorText.contains("is in use by \(holder)"))
  }

  /// Anybody may read the mirror while it is written, and is never told that it is locked. The timeout is for the
  /// moment in which the last one to close removes the files beside it.
  @Test func readersAreNeverLockedOut() throws {
    let folder = TemporaryFolder()
    let path = folder.file("a.sluice")
    let input = folder.file("in.sql")
    try Data(script(60_000, transactionRows: 0).utf8).write(to: URL(fileURLWithPath: input))
    let result = try runProcess(
      "/bin/bash",
      [
        "-c",
        """
        '\(builtProduct("sluice"))' '\(path)' "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)"
        sed -i '/CREATE TABLE/d' '\(input)'
        '\(builtProduct("sluice"))' '\(path)' < '\(input)' & child=$!
        while kill -0 $child 2>/dev/null; do
          sqlite3 -cmd '.timeout 1000' '\(path)/projections.db' 'SELECT count(*) FROM t' 2>&1
        done
        wait $child; echo "status $?"
        """,
      ], timeoutSeconds: 120)
    let lines = result.text.split(separator: "\n")
    #expect(lines.last == "status 0")
    let counts = lines.dropLast().map { Int($0) }
    #expect(counts.count > 5)
    #expect(!counts.contains(nil), "\(lines.filter { Int($0) == nil })")
    let known = counts.compactMap { $0 }
    #expect(zip(known, known.dropFirst()).allSatisfy(<=), "a count went back")
  }
}
