// The folders of a target as floors: a file names only types and functions of its own folder and of those below.

/// For each target with folders, these from the lowest to the highest; "" are the files in none.
let floors: [String: [String]] = [
  "Sluice": [
    "Values", "Placement", "Catalog", "Encoding", "Pipeline", "Transactions", "Database", "Tables", "Projections",
    "Projecting", "Opening", "Events", "Following", "Sessions", "KeyValue", "Client", "Hosting", "Inspecting", "",
  ],
  "SluiceLSM": ["Entries", "Memtable", "Table", "Manifest", "Merging", "", "Compaction", "Inspect"],
  "SluiceSQL": ["Lexing", "Statements", "Expressions", "Rows"],
]

/// Each name that a file takes from a folder above its own. What an extension adds to a type is not seen, nor what is
/// named behind a dot.
func floorFindings(_ files: [SourceFile]) -> [String] {
  var result: [String] = []
  for (target, order) in floors {
    let own = files.filter { $0.isSource && $0.isSwift && $0.target == target }
    var rooms: [String: Set<String>] = [:]
    for file in own {
      if !order.contains(file.folder) {
        result.append("\(file.path):1: folder \(file.folder) has no floor: add it to `floors` in Tests/TidyTests")
      }
      for name in file.declarations(isWhole: true) { rooms[name, default: []].insert(file.folder) }
    }
    for file in own {
      guard let floor = order.firstIndex(of: file.folder) else { continue }
      let local = Set(file.declarations(isWhole: false))
      var seen: Set<String> = []
      for (index, line) in file.code.enumerated() {
        for name in freeWords(line) where !local.contains(name) && seen.insert(name).inserted {
          guard let folders = rooms[name], folders.count == 1, let room = folders.first, room != file.folder,
            let above = order.firstIndex(of: room), above > floor
          else { continue }
          result.append(
            "\(file.path):\(index + 1): names \(name) of \(room.isEmpty ? "the target's own files" : room), "
              + "which is above: move one of them, or hand it in")
        }
      }
    }
  }
  return result.sorted()
}

extension SourceFile {
  /// The folder within its target; "" for none.
  fileprivate var folder: String {
    let parts = path.split(separator: "/")
    return parts.count > 3 ? String(parts[2]) : ""
  }

  /// Names of types and functions that it declares: those of the whole module, or also those within others and
  /// private ones.
  fileprivate func declarations(isWhole: Bool) -> [String] {
    let kinds: Set<String> = ["class", "struct", "enum", "protocol", "actor", "typealias", "func"]
    let hidden: Set<String> = ["private", "fileprivate", "extension"]
    return code.compactMap { line in
      if isWhole, line.first == " " { return nil }
      let all = words(line).map { String($0)! }
      guard let kind = all.firstIndex(where: kinds.contains), kind + 1 < all.count else { return nil }
      if isWhole, all[..<kind].contains(where: hidden.contains) { return nil }
      return all[kind + 1]
    }
  }
}

/// The words of a line that do not follow a dot.
private func freeWords(_ line: Substring) -> [String] {
  var result: [String] = []
  for word in words(line) {
    let text = Substring(word)
    if text.startIndex > line.startIndex, line.utf8[line.utf8.index(before: text.startIndex)] == UInt8(ascii: ".") {
      continue
    }
    result.append(String(text))
  }
  return result
}
