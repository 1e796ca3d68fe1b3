// The repository as the rules see it.
import Foundation
import SluiceTesting

/// One text file.
struct SourceFile {
  /// The path from the package's folder, such as `Sources/SluiceLog/Log.swift`.
  let path: String
  let text: String
  /// Its lines without comments and texts of strings; for Swift only.
  let code: [Substring]
  let functions: [FunctionSpan]

  init(path: String, text: String) {
    self.path = path
    self.text = text
    guard path.hasSuffix(".swift") else {
      code = []
      functions = []
      return
    }
    let bytes = codeOnly(Array(text.utf8))
    functions = functionSpans(bytes)
    code = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
  }

  var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
  var isSwift: Bool { path.hasSuffix(".swift") }
  var isSource: Bool { path.hasPrefix("Sources/") }

  /// The target: the folder below Sources or Tests.
  var target: String {
    let parts = path.split(separator: "/")
    return parts.count > 2 ? String(parts[1]) : ""
  }
}

/// All text files of the repository.
struct SourceTree {
  let files: [SourceFile]
  /// The names beside Package.swift, hidden ones left out.
  let topLevel: [String]

  /// The files as they stand in the package's folder.
  static let shared = SourceTree(folder: packageFolder())

  init(files: [SourceFile], topLevel: [String] = []) {
    self.files = files
    self.topLevel = topLevel
  }

  init(folder: String) {
    let manager = FileManager.default
    let names = ((try? manager.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    // The package manager's own note of versions is not kept in git.
    topLevel = names.filter { !$0.hasPrefix(".") && $0 != "Package.resolved" }
    var paths = [".ci/run", "README.md", "Package.swift"]
    for top in ["Sources", "Tests", "sql", "examples"] {
      paths += (manager.enumerator(atPath: folder + "/" + top)?.compactMap { $0 as? String } ?? []).map {
        top + "/" + $0
      }
    }
    files = paths.sorted().compactMap { path in
      guard let data = manager.contents(atPath: folder + "/" + path) else { return nil }
      return SourceFile(path: path, text: String(decoding: data, as: UTF8.self))
    }
  }

  /// The lines of a list of exceptions: `path  reason`, with `#` for comments.
  func list(_ path: String) -> String { files.first { $0.path == path }?.text ?? "" }
}
