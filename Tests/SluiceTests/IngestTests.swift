// Which line a statement stands on, however the text of INSERTs is laid out.
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct IngestTests {
  @Test func linesAreCountedWhereverTheyEnd() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, b TEXT)")
    try session.run("INSERT INTO t VALUES (1, 'first')")
    var random = SeededRandom(seed: 21)
    func pick(_ list: [String]) -> String { list[random.below(list.count)] }
    let blanks = ["", " ", "\n", "\n\n", "\r\n", " \n\t\n\n", "\n -- a comment\n", "/* two\nlines */"]
    let heads = ["INSERT INTO t VALUES", "INSERT INTO t VALUES\n", "insert into t\nvalues ", "INSERT INTO t VALUES"]
    let rows = [
      "(1, 'a')", "(1,\n'b')", "(1, 'of\n\ntwo')", "(2, 'c'),\n(1, 'd')", "(1, 'e') -- end\n", "(\n1, 1 +\n1)",
    ]
    var text = ""
    var expected: [Int] = []
    for _ in 0..<600 {
      text += pick(blanks.filter { !$0.contains("-") && !$0.contains("*") })
      expected.append(1 + text.count { $0.isNewline })
      text += pick(heads) + pick(rows) + pick(blanks) + ";"
    }
    var line = 1
    let bytes = Array(text.utf8)
    var size = 0
    // It stops where another statement follows on a line.
    bytes.withUnsafeBytes { bytes in
      while case let used = session.ingest(UnsafeRawBufferPointer(rebasing: bytes[size...]), line: &line), used > 0 {
        size += used
      }
    }
    #expect(size == bytes.count)
    #expect(line == 1 + text.count { $0.isNewline })
    try session.settle()
    // Each has a key that is taken.
    #expect(session.takeRejections().map(\.line) == expected)
    try store.close()
  }
}
