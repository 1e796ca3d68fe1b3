// The table that `.import` creates: its columns take the names of the first record, all of them TEXT. Names that are
// one to SQLite get their number behind them, as sqlite3 does it.

/// The columns of a new table.
struct ImportedColumns {
  /// What stands behind CREATE TABLE and the name.
  let definition: String
  /// Each change of a name, as it is told; empty when there is none.
  let renames: String

  /// `given`: the names in the text; an empty one becomes a question mark.
  init(_ given: [String]) {
    let names = given.map { $0.isEmpty ? "?" : $0 }
    let unique = ImportedColumns.unique(names)
    var text = "(\n"
    for (index, name) in unique.enumerated() {
      if index > 0 { text += index % 4 == 0 ? ",\n " : ", " }
      text += quoted(name) + " TEXT"
    }
    definition = text + ")"
    renames = zip(names, unique).filter { $0 != $1 }.map { "\(quoted($0)) to \(quoted($1))" }.joined(separator: ",\n")
  }

  /// Appends `_` and their number to names that are there more than once, with as many zeros in front of it as it
  /// takes.
  private static func unique(_ names: [String]) -> [String] {
    var counts: [String: Int] = [:]
    for name in names { counts[caseless(name), default: 0] += 1 }
    guard counts.count < names.count else { return names }
    var zeros = ""
    while true {
      let numbered = names.enumerated().map { index, name in
        counts[caseless(name)] == 1 ? name : "\(name)_\(zeros)\(index + 1)"
      }
      if Set(numbered.map(caseless)).count == names.count { return numbered }
      zeros += "0"
    }
  }

  /// The form in which names are equal that differ in the case of ASCII letters only.
  private static func caseless(_ name: String) -> String {
    String(decoding: name.utf8.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
  }
}

/// A name in double quotes.
func quoted(_ name: String) -> String {
  "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
}
