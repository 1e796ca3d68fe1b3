// The splitter: where statements end, whole and in pieces.
@testable import SluiceSQL
import SluiceSystem
import Testing

private struct Piece: Equatable {
  let text: String
  let line: Int
  let lineFeeds: Int
  let isTerminated: Bool
}

/// All statements of a text that arrives in pieces of the sizes that `size` gives, and the line of each.
private func split(_ text: [UInt8], _ size: () -> Int) -> [Piece] {
  var pieces: [Piece] = []
  var splitter = StatementSplitter()
  var start = 0
  var arrived = 0
  var line = 1
  text.withUnsafeBytes { bytes in
    while true {
      let atEnd = arrived == bytes.count
      let window = UnsafeRawBufferPointer(rebasing: bytes[start..<arrived])
      switch splitter.next(in: window, atEnd: atEnd) {
      case .statement(let range, let leading, let feeds, let isTerminated):
        let text = String(decoding: window[range], as: UTF8.self)
        pieces.append(Piece(text: text, line: line + leading, lineFeeds: feeds, isTerminated: isTerminated))
        line += leading + feeds
        start += range.upperBound
      case .blank(let skip, let feeds):
        start += skip
        line += feeds
        if atEnd { return }
        if skip == 0 || start == arrived { arrived = min(arrived + max(size(), 1), bytes.count) }
      case .incomplete:
        #expect(!atEnd)
        arrived = min(arrived + max(size(), 1), bytes.count)
      }
    }
  }
  return pieces
}

private func whole(_ text: [UInt8]) -> [Piece] { split(text) { text.count } }

private func pieces(_ text: String) -> [String] { whole(Array(text.utf8)).map(\.text) }

@Test func statementsEndAtTheirSemicolon() {
  #expect(pieces("a;b;") == ["a;", "b;"])
  #expect(pieces(" ;; a ;\n; b") == ["a ;", "b"])
  #expect(pieces("'a;''b';\"c;\";`d;`;[e;];") == ["'a;''b';", "\"c;\";", "`d;`;", "[e;];"])
  #expect(pieces("a -- ;\n b /* ; */ c;d") == ["a -- ;\n b /* ; */ c;", "d"])
  #expect(pieces("/* ; */ -- ;\n x;") == ["x;"])
  #expect(pieces("/*/ ; */ x;") == ["x;"])
  #expect(pieces("a-b/c;-1;/2;") == ["a-b/c;", "-1;", "/2;"])
  #expect(pieces("'open; ") == ["'open; "])
  #expect(pieces("") == [])
  #expect(pieces("-- only a comment") == [])
  #expect(pieces("/* open; ") == [])
}

@Test func aTriggerEndsAtItsEnd() {
  let trigger = "CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 'END;'; END;"
  #expect(pieces(trigger + "x;") == [trigger, "x;"])
  let explained = "explain create /* c */ trigger t BEGIN INSERT INTO x VALUES(1); end ;"
  #expect(pieces(explained + " y") == [explained, "y"])
  #expect(pieces("CREATE TABLE trigger (a); END;") == ["CREATE TABLE trigger (a);", "END;"])
  #expect(pieces("EXPLAIN QUERY PLAN SELECT 1; a;") == ["EXPLAIN QUERY PLAN SELECT 1;", "a;"])
}

@Test func linesAreCounted() {
  let all = whole(Array("\r\n-- c\r\n a\r\n'\n';\n\n b; c\n;".utf8))
  #expect(all.map(\.line) == [3, 7, 7])
  #expect(all.map(\.lineFeeds) == [2, 0, 1])
  #expect(all.map(\.isTerminated) == [true, true, true])
  #expect(whole(Array("\nx".utf8)) == [Piece(text: "x", line: 2, lineFeeds: 0, isTerminated: false)])
}

@Test(arguments: scriptNames)
func filesSplitTheSameInAnyPieces(_ name: String) throws {
  let text = try sqlFile(name)
  let expected = whole(text)
  #expect(expected.count > 0 && expected.allSatisfy(\.isTerminated))
  #expect(split(text) { 1 } == expected)
  var random = SeededGenerator(seed: 7)
  #expect(split(text) { random.below(40) } == expected)
}

@Test func garbageSplitsTheSameInAnyPieces() {
  let alphabet = Array("';\"`[]-/*\n a;;E CREATE TRIGGER END ".utf8)
  for seed in 0..<3000 as Range<UInt64> {
    var random = SeededGenerator(seed: seed)
    var text: [UInt8] = random.below(3) == 0 ? Array("CREATE TRIGGER ".utf8) : []
    for _ in 0..<random.below(60) {
      text +=
        random.below(6) == 0 ? Array(random.pick(["END;", "--", "/*", "*/", "CREATE "]).utf8) : [random.pick(alphabet)]
    }
    let expected = whole(text)
    #expect(split(text) { 1 } == expected, "seed \(seed): \(String(decoding: text, as: UTF8.self))")
    #expect(split(text) { 1 + random.below(9) } == expected, "seed \(seed)")
  }
}

@Test func aLongStatementIsScannedOnce() {
  // 8 MB that arrive in 4 KB pieces: a scan that began anew each time would read 8 GB.
  let text = Array("INSERT INTO t VALUES ('".utf8) + [UInt8](repeating: 0x78, count: 8 << 20) + Array("');".utf8)
  var calls = 0
  let all = split(text) {
    calls += 1
    return 4096
  }
  #expect(all.count == 1 && all[0].text.utf8.count == text.count)
  #expect(calls == (text.count + 4095) / 4096)
}
