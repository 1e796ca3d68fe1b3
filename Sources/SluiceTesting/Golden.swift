// Golden files: what a command answers, as text that is read in review and rewritten by SLUICE_REWRITE=1.
//
//     # A comment stands at the border between cases.
//     parse mode=strict name="two words"
//     SELECT 1;
//     ----
//     select
//       integer 1
//
//     parse
//     ----
//     ----
//     output with
//
//     a blank line
//     ----
//     ----
//
// A case: the command's line, input up to `----`, output up to a blank line. Output with blank lines stands between
// doubled `----`; no line of an output is `----`. The format is that of https://github.com/cockroachdb/datadriven.
// In a test:
//
//     @Test(arguments: goldenFiles("Golden/Parser"))
//     func parser(_ file: GoldenFile) throws {
//       try file.run { command in describe(try parse(command.input)) }
//     }
import Foundation

/// One golden file.
public struct GoldenFile: Sendable, CustomStringConvertible {
  public let path: String

  public init(path: String) { self.path = path }

  public var description: String { (path as NSString).lastPathComponent }

  /// Runs each case through `body` and compares; throws `GoldenMismatch` with all differences at the end.
  /// What `body` throws becomes the output `error: …`. With SLUICE_REWRITE=1 the file is rewritten instead.
  public func run(_ body: (GoldenCase) throws -> String) throws {
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let cases = try parseGolden(text, path: path)
    var differences: [String] = []
    var outputs: [String] = []
    for golden in cases {
      let output: String
      do { output = try body(golden) } catch { output = "error: \(error)" }
      outputs.append(trimmed(output))
      if outputs.last != golden.output {
        let line = "\(path):\(golden.line): \(golden.command)"
        differences.append("\(line)\n--- expected\n\(golden.output)\n--- got\n\(outputs[outputs.count - 1])")
      }
    }
    if differences.isEmpty { return }
    if ProcessInfo.processInfo.environment["SLUICE_REWRITE"] == "1" {
      try rewrittenGolden(text, cases, outputs).write(toFile: path, atomically: true, encoding: .utf8)
    } else {
      throw GoldenMismatch(differences: differences)
    }
  }
}

/// One case of a golden file.
public struct GoldenCase: Sendable {
  /// The first word of the command's line.
  public let command: String
  /// `key=value` pairs; a bare word has the value "".
  public let arguments: [String: String]
  /// The lines before `----`, each with its line feed.
  public let input: String
  /// The lines after it, without the last line feed.
  public let output: String
  /// The line of the command, from 1.
  public let line: Int
  /// Where the output stands: line indexes from the first `----` to behind the output.
  let outputLines: Range<Int>

  /// The integer value of `key`, or `otherwise`.
  public func integer(_ key: String, _ otherwise: Int) -> Int { arguments[key].flatMap { Int($0) } ?? otherwise }
}

/// The differences between a golden file and what came out.
public struct GoldenMismatch: Error, CustomStringConvertible {
  public let differences: [String]
  public var description: String {
    "\(differences.count) cases differ (SLUICE_REWRITE=1 rewrites them)\n" + differences.joined(separator: "\n")
  }
}

/// A golden file that is not in the form at the head of this file.
public struct GoldenSyntaxError: Error, CustomStringConvertible {
  public let description: String
}

/// The files of `folder`, a path beside the calling test file, sorted by name. None is a test that does not test:
/// it traps.
public func goldenFiles(_ folder: String, filePath: String = #filePath) -> [GoldenFile] {
  files((filePath as NSString).deletingLastPathComponent + "/" + folder).map { GoldenFile(path: $0) }
}

/// The paths of the files of `folder`, a path from the package's folder such as `sql/statements`, sorted by name;
/// hidden ones and folders are left out. None traps. The tidy test takes a file of sql/ or examples/ as run when a test
/// names it, or reads its folder by this.
public func packageFiles(_ folder: String) -> [String] { files(packageFolder() + "/" + folder) }

private func files(_ folder: String) -> [String] {
  var names: [String] = []
  do { names = try FileManager.default.contentsOfDirectory(atPath: folder) } catch { print("\(folder): \(error)") }
  let paths = names.filter { !$0.hasPrefix(".") }.sorted().map { folder + "/" + $0 }.filter { path in
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && !isFolder.boolValue
  }
  if paths.isEmpty { fatalError("no files in \(folder)") }
  return paths
}

/// The package's folder, from the place of this source file.
public func packageFolder(filePath: String = #filePath) -> String {
  var url = URL(fileURLWithPath: filePath)
  while url.path != "/" {
    url.deleteLastPathComponent()
    if FileManager.default.fileExists(atPath: url.path + "/Package.swift") { return url.path }
  }
  fatalError("no Package.swift above \(filePath)")
}

/// Parses the text of a golden file.
func parseGolden(_ text: String, path: String) throws(GoldenSyntaxError) -> [GoldenCase] {
  let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  var cases: [GoldenCase] = []
  var index = 0
  while index < lines.count {
    if lines[index].isEmpty || lines[index].hasPrefix("#") {
      index += 1
      continue
    }
    let first = index
    guard let border = lines[first...].firstIndex(of: "----"), border > first else {
      throw GoldenSyntaxError(description: "\(path):\(first + 1): not a command with its ----")
    }
    var start = border + 1
    var end = start
    if start < lines.count, lines[start] == "----" {
      start += 1
      end = start
      while end + 1 < lines.count, lines[end] != "----" || lines[end + 1] != "----" { end += 1 }
      guard end + 1 < lines.count else {
        throw GoldenSyntaxError(description: "\(path):\(border + 1): the doubled ---- does not end")
      }
      index = end + 2
    } else {
      while end < lines.count, !lines[end].isEmpty { end += 1 }
      index = end
    }
    let (command, arguments) = goldenArguments(lines[first])
    cases.append(
      GoldenCase(
        command: command, arguments: arguments, input: lines[(first + 1)..<border].map { $0 + "\n" }.joined(),
        output: lines[start..<end].joined(separator: "\n"), line: first + 1, outputLines: border..<index))
  }
  return cases
}

/// Splits `command key=value key="two words" word`.
private func goldenArguments(_ line: String) -> (String, [String: String]) {
  var words: [String] = [""]
  var quoted = false
  for character in line {
    if character == "\"" {
      quoted.toggle()
    } else if character == " ", !quoted {
      words.append("")
    } else {
      words[words.count - 1].append(character)
    }
  }
  var arguments: [String: String] = [:]
  for word in words.dropFirst() where !word.isEmpty {
    let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    arguments[String(parts[0])] = parts.count > 1 ? String(parts[1]) : ""
  }
  return (words[0], arguments)
}

/// The text with each case's output replaced.
func rewrittenGolden(
  _ text: String, _ cases: [GoldenCase], _ outputs: [String]
) throws(GoldenSyntaxError) -> String {
  let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  var result: [String] = []
  var index = 0
  for (golden, output) in zip(cases, outputs) {
    result += lines[index..<golden.outputLines.lowerBound]
    let body = output.isEmpty ? [] : output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    if body.contains("----") {
      throw GoldenSyntaxError(description: "line \(golden.line): the output holds a line ----")
    }
    result += body.contains("") ? ["----", "----"] + body + ["----", "----"] : ["----"] + body
    index = golden.outputLines.upperBound
  }
  result += lines[index...]
  if result.last != "" { result.append("") }
  return result.joined(separator: "\n")
}

private func trimmed(_ text: String) -> String { text.hasSuffix("\n") ? String(text.dropLast()) : text }
