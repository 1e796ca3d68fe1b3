// The rules. Each takes files and gives one line per finding: where, what, what to do about it.

/// Which modules each target may import. Arrows go down only: Shell, Extension, Bench -> Sluice -> {SQL, LSM, Log,
/// SQLite} -> System -> C shims.
let arrows: [String: Set<String>] = [
  "SluiceSystem": ["CSystem", "CLZ4", "Glibc"],
  "SluiceLog": ["SluiceSystem"],
  "SluiceLSM": ["SluiceSystem"],
  "SluiceSQL": ["SluiceSystem"],
  "SluiceSQLite": ["SluiceSystem", "CSQLite"],
  "Sluice": ["SluiceSQL", "SluiceLSM", "SluiceLog", "SluiceSQLite", "SluiceSystem"],
  "SluiceShell": ["Sluice", "CReadline", "ArgumentParser", "Glibc", "Foundation"],
  "SluiceExtension": ["Sluice", "SluiceSQLite", "SluiceSystem", "CSQLite", "Glibc"],
  "SluiceBench": ["Sluice", "SluiceSQLite", "SluiceSystem", "CBareLine", "CRocksDB", "ArgumentParser", "Glibc"],
  "SluiceTesting": ["Sluice", "SluiceSystem", "Glibc", "Foundation"],
]

/// Modules of the Swift toolchain that any target may import.
let commonModules: Set<String> = ["Swift", "Synchronization", "Builtin"]

func arrowFindings(_ files: [SourceFile]) -> [String] {
  findings(files) { file, line in
    guard file.isSource, let module = importedModule(line) else { return nil }
    guard let allowed = arrows[file.target] else {
      return "target \(file.target) has no arrows: add it to `arrows` in Tests/TidyTests/Rules.swift"
    }
    if allowed.contains(module) || commonModules.contains(module) { return nil }
    return "\(file.target) may not import \(module): only \(allowed.sorted().joined(separator: ", "))"
  }
}

/// The module of an import declaration, or nil.
func importedModule(_ line: Substring) -> String? {
  let kinds: Set = ["struct", "class", "enum", "func", "protocol", "typealias", "var", "let"]
  let all = words(line).map { String($0)! }
  guard let keyword = all.firstIndex(of: "import"), keyword + 1 < all.count else { return nil }
  // Only attributes and access words may stand before it.
  let before: Set = [
    "testable", "preconcurrency", "_exported", "_implementationOnly", "_spi", "public", "package", "internal",
    "fileprivate", "private",
  ]
  guard all[..<keyword].allSatisfy(before.contains) else { return nil }
  let next = all[keyword + 1]
  return kinds.contains(next) && keyword + 2 < all.count ? all[keyword + 2] : next
}

func sizeFindings(_ files: [SourceFile]) -> [String] {
  var result: [String] = []
  for file in files where isProgram(file) {
    let lines = file.lines
    let count = lines.last == "" ? lines.count - 1 : lines.count
    if count > 600 { result.append("\(file.path):601: \(count) lines, at most 600: split it by concept") }
    for function in file.functions where function.lineCount > 70 {
      result.append("\(file.path):\(function.first): \(function.name) has \(function.lineCount) lines, at most 70")
    }
    for (index, line) in lines.enumerated() where line.utf8.count > 120 && line.count > 120 {
      result.append("\(file.path):\(index + 1): \(line.count) columns, at most 120")
    }
  }
  return result
}

private func isProgram(_ file: SourceFile) -> Bool {
  file.isSwift || file.path.hasSuffix(".c") || file.path.hasSuffix(".h")
}

/// A file opens with what it is for. Imports and conditions may stand before.
func headFindings(_ files: [SourceFile]) -> [String] {
  files.filter { $0.isSwift && $0.path != "Package.swift" }.compactMap { file in
    let first = file.lines.first { line in
      let text = line.drop { $0 == " " }
      return !text.isEmpty && importedModule(line) == nil && !text.hasPrefix("#if")
    }
    if let first, first.hasPrefix("//") || first.hasPrefix("/*") { return nil }
    return "\(file.path):1: no head: open the file with a comment that says what it is for"
  }
}

func errorFindings(_ files: [SourceFile]) -> [String] {
  findings(files) { file, line in
    guard file.isSource else { return nil }
    let hits = line.ranges(of: "try?") + line.ranges(of: "try!")
    let isWhole = hits.contains { hit in
      guard let before = line[..<hit.lowerBound].last else { return true }
      return !before.isLetter && !before.isNumber && before != "_"
    }
    return isWhole ? "`try?` or `try!` in Sources: handle the error or pass it on" : nil
  }
}

/// Words of unfinished work and of one person's machine. In pieces here, so that this file holds none of them.
func leftoverFindings(_ files: [SourceFile]) -> [String] {
  let notes: Set = ["FIX" + "ME", "TO" + "DO", "XX" + "X"]
  let homes = ["/ho" + "me/", "/ro" + "ot/", "/Us" + "ers/"]
  var result: [String] = []
  for file in files {
    let bytes = file.text.utf8
    guard
      notes.contains(where: { bytes.firstRange(of: $0.utf8) != nil })
        || homes.contains(where: { bytes.firstRange(of: $0.utf8) != nil })
    else { continue }
    for (index, line) in file.lines.enumerated() {
      if let word = words(line).map({ String($0)! }).first(where: notes.contains) {
        result.append("\(file.path):\(index + 1): \(word): do it, or file it where work is planned")
      }
      if let home = homes.first(where: { line.contains($0) }) {
        result.append("\(file.path):\(index + 1): a path below \(home) is one machine's: make it relative")
      }
    }
  }
  return result
}

func topLevelFindings(_ names: [String]) -> [String] {
  let wanted = ["Package.swift", "README.md", "Sources", "Tests", "examples", "sql"]
  return names.filter { !wanted.contains($0) }.map { "\($0): does not belong at the top level" }
    + wanted.filter { !names.contains($0) }.map { "\($0): is missing at the top level" }
}

// MARK: Lists of exceptions

/// Holds a rule of the form "only in the files of this list": findings outside, stale and bare entries of the list.
func listedFindings(
  _ files: [SourceFile], list: String, listPath: String, what: String, _ holds: (Substring) -> Bool
) -> [String] {
  var result: [String] = []
  var listed: Set<String> = []
  for (index, line) in list.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
    guard let path = line.split(separator: " ").first, !path.hasPrefix("#") else { continue }
    if !listed.insert(String(path)).inserted {
      result.append("\(listPath):\(index + 1): \(path) is listed twice")
    } else if line.split(separator: " ").count < 2 {
      result.append("\(listPath):\(index + 1): \(path) has no reason: write it behind the path")
    } else if !files.contains(where: { $0.path == path && $0.isSwift && $0.code.contains(where: holds) }) {
      result.append("\(listPath):\(index + 1): \(path) holds no \(what) any more: remove the line")
    }
  }
  for file in files where file.isSource && file.isSwift && !listed.contains(file.path) {
    guard let line = file.code.firstIndex(where: holds) else { continue }
    result.append(
      "\(file.path):\(line + 1): \(what) outside the listed files: rewrite it, or add to \(listPath):"
        + "\n    \(file.path)  <why it must be>")
  }
  return result
}

func holdsUnsafe(_ line: Substring) -> Bool {
  guard line.utf8.count > 6 else { return false }
  return words(line).contains { word in
    let text = Substring(word)
    return text.hasPrefix("Unsafe") && text.hasSuffix("Pointer") || text.hasPrefix("withUnsafe")
      || ["unsafeBitCast", "pointee", "unsafelyUnwrapped", "Unmanaged"].contains(text)
  }
}

func holdsUnchecked(_ line: Substring) -> Bool {
  line.contains("@unchecked Sendable") || line.contains("nonisolated(unsafe)")
}

// MARK: Files that no test reads

/// Golden files and lists: below Tests, each file that is not Swift is named by a Swift file of its target, or its
/// folder is read whole by `goldenFiles("…")`.
func deadGoldenFindings(_ files: [SourceFile]) -> [String] {
  files.filter { $0.path.hasPrefix("Tests/") && !$0.isSwift }.compactMap { file in
    let parts = file.path.split(separator: "/")
    let name = String(parts.last!)
    let folder = parts.dropFirst(2).dropLast().joined(separator: "/")
    let isRead = files.contains { test in
      guard test.isSwift, test.target == file.target, test.path.hasPrefix("Tests/") else { return false }
      return test.text.contains("\"\(name)\"") || test.text.contains("/\(name)\"")
        || test.text.contains("goldenFiles(\"\(folder)\")")
        // A store is kept whole, under its name.
        || (parts.count > 4 && parts[2] == "Fixtures" && test.text.contains("\"\(parts[3])\""))
    }
    return isRead ? nil : "\(file.path):1: no test of \(file.target) reads it: remove it, or name it in a test"
  }
}

/// Files of sql/ and examples/: each is named by a test or by `.ci/run`, or its folder is read whole by
/// `packageFiles("…")`.
func unusedExampleFindings(_ files: [SourceFile]) -> [String] {
  let readers = files.filter { ($0.path.hasPrefix("Tests/") && $0.target != "TidyTests") || $0.path == ".ci/run" }
  return files.filter { $0.path.hasPrefix("sql/") || $0.path.hasPrefix("examples/") }.compactMap { file in
    let parts = file.path.split(separator: "/")
    let folder = parts.dropLast().joined(separator: "/")
    let isRead = readers.contains {
      $0.text.contains(String(parts.last!)) || $0.text.contains("packageFiles(\"\(folder)\")")
    }
    return isRead ? nil : "\(file.path):1: no test names it: run it in one, or remove it"
  }
}

/// Runs `check` on each line of code of each Swift file.
private func findings(_ files: [SourceFile], _ check: (SourceFile, Substring) -> String?) -> [String] {
  var result: [String] = []
  for file in files {
    for (index, line) in file.code.enumerated() {
      if let finding = check(file, line) { result.append("\(file.path):\(index + 1): \(finding)") }
    }
  }
  return result
}
