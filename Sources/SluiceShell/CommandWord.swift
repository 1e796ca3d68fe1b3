// Words that are meant as a command where a store is expected: they make no store.
import Glibc

enum CommandWord {
  /// What is meant by each word.
  private static let meanings = [
    "help": "sluice --help", "version": "sluice --version", "check": "sluice inspect store --check STORE",
    "inspect": "sluice inspect …", "tail": "sluice tail STORE",
  ]

  /// Why no store of that name is made, with what to type; nil: it is no command, or a store is there.
  static func objection(to path: String) -> String? {
    guard !path.contains("/"), access(path, F_OK) != 0 else { return nil }
    let word = path.lowercased()
    let near = meanings.keys.sorted().first { isNear(Array(word.utf8), Array($0.utf8)) }
    guard let meant = meanings[word] ?? near.flatMap({ meanings[$0] }) else { return nil }
    return "there is no store \"\(path)\": for the command type `\(meant)`, for a store of that name `sluice ./\(path)`"
  }

  /// Whether two words are one letter apart: one more, one less, another, or two that changed places.
  private static func isNear(_ word: [UInt8], _ other: [UInt8]) -> Bool {
    let start = zip(word, other).prefix { $0 == $1 }.count
    let (a, b) = (word[start...], other[start...])
    if a.count == b.count {
      if a.dropFirst().elementsEqual(b.dropFirst()) { return true }
      return a.count > 1 && a.prefix(2).elementsEqual(b.prefix(2).reversed())
        && a.dropFirst(2).elementsEqual(b.dropFirst(2))
    }
    return a.count == b.count + 1
      ? a.dropFirst().elementsEqual(b) : b.count == a.count + 1 && b.dropFirst().elementsEqual(a)
  }
}
