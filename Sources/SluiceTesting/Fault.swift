// Faults as data: one per line, so that a test (or a failing seed) can be read and pasted.
//
//   fail CALL PATTERN [at N]       the N-th matching call (each, without `at`) throws EIO and does nothing
//   short write PATTERN [at N]     the write leaves its first half, then throws EIO
//   flip bit PATTERN offset=N [bit=B]   readers see bit B (0 unless given) of byte N of the file inverted
//   full after SIZE                files may grow by SIZE bytes more in all; then ENOSPC, with what fits written
//   crash at N                     the N-th call from the beginning is the last (see SimulatedFileSystem.crash)
//
// CALL: open, create, read, write, sync, truncate, rename, remove, createDirectory, syncDirectory, lock.
// PATTERN: a path in which `*` stands for any characters; it may begin at any component of the path, so `log/*`
// matches `shop.sluice/log/7.log`. Of a rename, the source or the target may match.

/// A call of `FileSystem` or `File`, by the word faults name it by.
public enum FileCall: String, Sendable, CaseIterable {
  case open, create, read, write, sync, truncate, rename, remove, createDirectory, syncDirectory, lock

  /// Whether it changes something: such calls are counted, and a crash happens at one of them.
  var changes: Bool { self != .open && self != .read }

  /// The system call that RealFileSystem names in its errors.
  var systemName: String {
    switch self {
    case .open, .create: "open"
    case .read: "pread"
    case .write: "pwrite"
    case .sync: "fdatasync"
    case .truncate: "ftruncate"
    case .rename: "rename"
    case .remove: "unlink"
    case .createDirectory: "mkdir"
    case .syncDirectory: "fsync"
    case .lock: "flock"
    }
  }
}

/// A line that is no fault.
public struct FaultSyntaxError: Error, CustomStringConvertible {
  public let line: String
  public var description: String { "not a fault: \(line)" }
}

/// One fault, parsed.
struct Fault {
  enum Effect: Equatable {
    case fail(FileCall)
    case shortWrite
    case flipBit(offset: Int, bit: Int)
    case full(after: Int)
    case crash(at: Int)
  }

  let effect: Effect
  let pattern: String
  /// Only the match of this number, from 1.
  let at: Int?
  /// Matching calls so far.
  var matches = 0

  /// Parses one line; the grammar is at the head of this file.
  init(_ line: String) throws(FaultSyntaxError) {
    var words = line.split(separator: " ").map(String.init)
    var occurrence: Int?
    if words.count >= 2, words[words.count - 2] == "at" {
      occurrence = Int(words[words.count - 1])
      guard let occurrence, occurrence > 0 else { throw FaultSyntaxError(line: line) }
      words.removeLast(2)
    }
    guard let effect = Fault.effect(words, occurrence) else { throw FaultSyntaxError(line: line) }
    self.effect = effect
    pattern = words.count > 2 ? words[2] : "*"
    at = occurrence
  }

  private static func effect(_ words: [String], _ occurrence: Int?) -> Effect? {
    guard let first = words.first else { return nil }
    if words.count == 1 { return first == "crash" ? occurrence.map { .crash(at: $0) } : nil }
    switch (first, words[1], words.count) {
    case ("fail", let call, 3): return FileCall(rawValue: call).map { .fail($0) }
    case ("short", "write", 3): return .shortWrite
    case ("full", "after", 3) where occurrence == nil: return Int(words[2]).map { .full(after: max(0, $0)) }
    case ("flip", "bit", 4...5) where occurrence == nil:
      guard let offset = number(words[3], "offset="), offset >= 0 else { return nil }
      guard let bit = words.count == 4 ? 0 : number(words[4], "bit="), 0..<8 ~= bit else { return nil }
      return .flipBit(offset: offset, bit: bit)
    default: return nil
    }
  }

  private static func number(_ word: String, _ prefix: String) -> Int? {
    word.hasPrefix(prefix) ? Int(word.dropFirst(prefix.count)) : nil
  }

  /// Whether it strikes this call; counts the match.
  mutating func strikes(_ call: FileCall, _ paths: [String]) -> Bool {
    switch effect {
    case .fail(let failing): guard failing == call else { return false }
    case .shortWrite: guard call == .write else { return false }
    case .flipBit, .full, .crash: return false
    }
    guard paths.contains(where: { matchesPath(pattern, $0) }) else { return false }
    matches += 1
    return at == nil || at == matches
  }
}

/// Whether `pattern` (with `*` for any characters) equals `path` from one of its components to its end.
func matchesPath(_ pattern: String, _ path: String) -> Bool {
  let pattern = Array(pattern.utf8)
  let path = Array(path.utf8)
  for start in path.indices where start == 0 || path[start - 1] == UInt8(ascii: "/") {
    if matchesGlob(pattern[...], path[start...]) { return true }
  }
  return false
}

private func matchesGlob(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
  guard let first = pattern.first else { return text.isEmpty }
  if first == UInt8(ascii: "*") {
    return (text.startIndex...text.endIndex).contains { matchesGlob(pattern.dropFirst(), text[$0...]) }
  }
  return text.first == first && matchesGlob(pattern.dropFirst(), text.dropFirst())
}
