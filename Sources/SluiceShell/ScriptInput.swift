// A script being read: blocks from a descriptor into one growing buffer, cut at dot commands and statements.
// Linear in the size of the input: a byte is moved only with the statement that it belongs to, and looked at once for
// the statement's end. Memory: one block, or the largest statement.
// Unsafe by nature: named in the tidy test.
import CReadline
import Glibc
import Sluice

/// The unread part of a script. The pointers it hands out hold until the next call that may read.
final class ScriptInput {
  /// What stands at the cursor once blanks and comments are behind.
  enum Element {
    case end
    /// A line that begins with a dot, without its line feed.
    case dotCommand([UInt8])
    case statement
  }

  private static let blockSize = 1 << 20

  private var memory: UnsafeMutableRawPointer
  private var capacity: Int
  private var start = 0
  private var end = 0
  private var descriptor: Int32
  private var isAtEnd: Bool
  private var isLineStart = true
  /// Bytes at the end of the statement that was measured last which are a line `go` or `/`, and no part of it.
  private var terminatorSize = 0
  /// 1 when a carriage return stands behind the end that may belong to a line end, else 0.
  private var heldCount = 0
  /// Line of the cursor, from 1.
  private(set) var line = 1
  /// The `errno` of a read that failed; it ends the input.
  private(set) var failure: Int32 = 0
  /// Called before a read that would wait for whoever writes the other end.
  var willWait: () -> Void = {}

  /// Reads a descriptor, which stays its owner's to close.
  init(descriptor: Int32) {
    self.descriptor = descriptor
    capacity = ScriptInput.blockSize
    memory = .allocate(byteCount: capacity, alignment: 16)
    isAtEnd = false
  }

  /// Reads a text that is all there.
  init(text: [UInt8]) {
    descriptor = -1
    capacity = max(text.count, 1)
    memory = .allocate(byteCount: capacity, alignment: 16)
    end = text.count
    isAtEnd = true
    text.withUnsafeBytes { bytes in
      if let source = bytes.baseAddress { memory.copyMemory(from: source, byteCount: bytes.count) }
    }
  }

  deinit { memory.deallocate() }

  /// What is in the buffer from the cursor on.
  var unread: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory + start, count: end - start) }

  /// Moves the cursor over `count` bytes that end on `newLine`.
  func consume(_ count: Int, line newLine: Int) {
    terminatorSize = 0
    guard count > 0 else { return }
    line = newLine
    isLineStart = byte(start + count - 1) == UInt8(ascii: "\n")
    start += count
  }

  /// Skips blanks, comments, lone semicolons and lines that begin with `#`.
  func next() -> Element {
    while start < end || fill() {
      let first = byte(start)
      if first == UInt8(ascii: "\n") {
        advance(1)
        line += 1
        isLineStart = true
      } else if isSpace(first) || first == UInt8(ascii: ";") {
        advance(1)
      } else if startsWith("--") {
        skipLine()
      } else if startsWith("/*") {
        guard skipComment() else { return .end }
      } else if startsWith("\u{FEFF}") {
        start += 3
      } else if isLineStart, first == UInt8(ascii: "#") || isTerminator(at: 0) != nil {
        skipLine()
      } else if isLineStart, first == UInt8(ascii: ".") {
        return .dotCommand(takeLine())
      } else {
        return .statement
      }
    }
    return .end
  }

  /// The size of the statement at the cursor, or nil when the text ends inside it. Reads nothing.
  func wholeStatementSize() -> Int? {
    var scan = StatementScan()
    let size = scan.end(of: unread)
    var place = 0
    return endByTerminator(within: size ?? unread.count, from: &place) ?? size
  }

  /// Reads until the statement at the cursor is whole and returns its size with its semicolon; at the end of the
  /// input, all that is left.
  func statementSize() -> (size: Int, hasRead: Bool) {
    var scan = StatementScan()
    var hasRead = false
    var place = 0
    while true {
      let size = scan.end(of: unread)
      if let size = endByTerminator(within: size ?? unread.count, from: &place) ?? size { return (size, hasRead) }
      guard fill() else { return (endByTerminator(within: unread.count, from: &place) ?? unread.count, hasRead) }
      hasRead = true
    }
  }

  /// The size of the statement at the cursor with the line behind it that ends it in place of a semicolon, as in
  /// sqlite3: `go` or `/` alone, outside texts and comments. Nil: there is none in the next `limit` bytes; lines in
  /// front of `offset`, which moves on, are known to be none.
  private func endByTerminator(within limit: Int, from offset: inout Int) -> Int? {
    terminatorSize = 0
    while offset < limit, let feed = memchr(memory + start + offset, 10, limit - offset) {
      let end = UnsafeRawPointer(feed) - UnsafeRawPointer(memory + start)
      let place = end + 1
      guard isAtEnd || memchr(memory + start + place, 10, limit - place) != nil else {
        offset = end
        return nil
      }
      offset = place
      guard let size = isTerminator(at: place) else { continue }
      var scan = StatementScan()
      let text = Array(unread[..<place]) + [UInt8(ascii: ";")]
      guard text.withUnsafeBytes({ scan.end(of: $0) }) == text.count else { continue }
      terminatorSize = size
      return place + size
    }
    return nil
  }

  /// The size of the line at `offset` from the cursor, up to its line feed, when it is `go` or `/` alone; what follows
  /// must have been read.
  private func isTerminator(at offset: Int) -> Int? {
    let line = unread.dropFirst(offset).prefix(64)
    guard let first = line.first(where: { !isSpace($0) || $0 == 10 }),
      first == UInt8(ascii: "/") || first | 0x20 == UInt8(ascii: "g")
    else { return nil }
    let end = line.firstIndex(of: 10)
    guard end != nil || (isAtEnd && line.count < 64) else { return nil }
    let words = line[..<(end ?? line.endIndex)].filter { !isSpace($0) }.map { $0 | 0x20 }
    guard words == Array("go".utf8) || words == [UInt8(ascii: "/") | 0x20] else { return nil }
    return (end ?? line.endIndex) - line.startIndex
  }

  // MARK: - Lines

  /// Whether another statement begins on the line at `size` bytes behind the cursor. Reads nothing.
  func goesOnInLine(behind size: Int = 0) -> Bool {
    var rest = unread.dropFirst(size)
    while let first = rest.first, first != 10 {
      if isSpace(first) || first == UInt8(ascii: ";") {
        rest = rest.dropFirst()
      } else if rest.starts(with: "--".utf8) {
        return false
      } else if rest.starts(with: "/*".utf8) {
        guard let end = rest.indices.dropFirst(3).first(where: { rest[$0] == 0x2f && rest[$0 - 1] == 0x2a }) else {
          return false
        }
        rest = rest[(end + 1)...]
      } else {
        return true
      }
    }
    return false
  }

  /// Drops what stands behind the cursor on its line, and goes on with each statement that begins there: sqlite3 reads
  /// lines until all statements in them are whole, and an error ends what it has read.
  func dropLine() {
    while goesOnInLine() {
      let size = statementSize().size
      let feeds = unread.prefix(size).reduce(0) { $0 + ($1 == 10 ? 1 : 0) }
      consume(size, line: line + feeds)
    }
  }

  /// The `size` bytes at the cursor; the line feed that ends the input is no part of a statement without semicolon.
  func statement(size: Int) -> UnsafeRawBufferPointer {
    let size = size - terminatorSize
    let isFeedLast =
      size > 0 && (terminatorSize > 0 || size == unread.count) && unread[size - 1] == UInt8(ascii: "\n")
    return UnsafeRawBufferPointer(rebasing: unread[..<(isFeedLast ? size - 1 : size)])
  }

  /// A copy of the statement at the cursor around `offset`, up to the end of the line on which the statement ends,
  /// with the offset of the same byte in that copy.
  func surroundings(of offset: Int, statementSize size: Int) -> (text: [UInt8], offset: Int) {
    var limit = offset + ErrorReport.fragmentReach
    while unread.count < limit, !unread.dropFirst(size).contains(UInt8(ascii: "\n")) {
      guard fill() else { break }
    }
    let lineEnd = unread.dropFirst(statement(size: size).count).firstIndex(of: UInt8(ascii: "\n")) ?? unread.count
    limit = min(limit, lineEnd)
    let from = max(0, offset - ErrorReport.fragmentReach)
    return from < limit ? (Array(unread[from..<limit]), offset - from) : ([], 0)
  }

  // MARK: - Bytes

  private func byte(_ index: Int) -> UInt8 { memory.load(fromByteOffset: index, as: UInt8.self) }

  private func advance(_ count: Int) {
    start += count
    isLineStart = false
  }

  private func startsWith(_ text: StaticString) -> Bool {
    while end - start < text.utf8CodeUnitCount {
      guard byte(start) == text.utf8Start[0], fill() else { return false }
    }
    return memcmp(memory + start, text.utf8Start, text.utf8CodeUnitCount) == 0
  }

  /// Moves to the line feed that ends this line, or to the end of the input.
  private func skipLine() {
    repeat {
      if let feed = memchr(memory + start, 10, end - start) {
        start = UnsafeRawPointer(feed) - UnsafeRawPointer(memory)
        return
      }
      start = end
    } while fill()
  }

  /// False when the text ends inside the comment; a text that is all there then keeps it unread, for more to follow.
  private func skipComment() -> Bool {
    let (opening, openingLine) = (start, line)
    advance(2)
    var previous: UInt8 = 0
    while start < end || fill() {
      let current = byte(start)
      start += 1
      if current == UInt8(ascii: "\n") { line += 1 }
      if current == UInt8(ascii: "/"), previous == UInt8(ascii: "*") { return true }
      previous = current
    }
    if descriptor < 0 { (start, line) = (opening, openingLine) }
    return false
  }

  private func takeLine() -> [UInt8] {
    var scanned = 0
    while true {
      if let feed = unread.dropFirst(scanned).firstIndex(of: UInt8(ascii: "\n")) {
        let text = Array(unread[..<feed])
        start += feed
        return text
      }
      scanned = unread.count
      guard fill() else {
        let text = Array(unread)
        start = end
        return text
      }
    }
  }

  /// Reads one more block behind what is unread. False at the end of the input.
  private func fill() -> Bool {
    guard !isAtEnd else { return false }
    makeRoom()
    if !hasInput(timeoutMilliseconds: 0) { willWait() }
    while true {
      let count = read(descriptor, memory + end + heldCount, capacity - end - heldCount)
      if count > 0 {
        if takeBlock(heldCount + count) { return true }
        continue
      }
      if count < 0, errno == EINTR, creadline_interrupted() == 0 { continue }
      if count < 0, errno == EAGAIN {
        _ = hasInput(timeoutMilliseconds: -1)
        continue
      }
      failure = count < 0 && errno != EINTR ? errno : 0
      isAtEnd = true
      end += heldCount
      return heldCount > 0
    }
  }

  /// Adds the `count` bytes behind the buffer's end to it, without the carriage returns of CRLF line ends: sqlite3's
  /// shell drops those too, so a text over several lines is the same from either kind of file. A carriage return
  /// that ends the block waits for the byte behind it. False when nothing was added.
  private func takeBlock(_ count: Int) -> Bool {
    var (source, target) = (end, end)
    let limit = end + count
    while let found = memchr(memory + source, 13, limit - source) {
      let mark = UnsafeRawPointer(found) - UnsafeRawPointer(memory)
      let isLast = mark + 1 == limit
      let isDropped = isLast || byte(mark + 1) == UInt8(ascii: "\n")
      let size = mark - source + (isDropped ? 0 : 1)
      if target != source { memmove(memory + target, memory + source, size) }
      target += size
      source = mark + 1
      if isLast { break }
    }
    if target != source { memmove(memory + target, memory + source, limit - source) }
    let hadText = target + limit - source > end
    heldCount = byte(limit - 1) == UInt8(ascii: "\r") && source == limit ? 1 : 0
    end = target + limit - source
    if heldCount == 1 { memory.storeBytes(of: UInt8(ascii: "\r"), toByteOffset: end, as: UInt8.self) }
    return hadText
  }

  /// Whether a read would return at once, waiting so long for it.
  func hasInput(timeoutMilliseconds: Int32) -> Bool {
    var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&waiting, 1, timeoutMilliseconds) != 0
  }

  private func makeRoom() {
    if start > 0 {
      memmove(memory, memory + start, end - start + heldCount)
      end -= start
      start = 0
    }
    guard capacity - end < ScriptInput.blockSize / 2 else { return }
    capacity *= 2
    let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
    larger.copyMemory(from: memory, byteCount: end + heldCount)
    memory.deallocate()
    memory = larger
  }
}
