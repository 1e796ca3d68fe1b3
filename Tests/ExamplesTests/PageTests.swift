// What README and the pages of the documentation show is so: sessions are run, statements are taken, and the files,
// tests and pages that they name exist.
import Foundation
import SluiceTesting
import Testing

/// A page in Markdown.
struct Page: CustomStringConvertible {
  /// From the package's folder.
  let path: String
  let text: String

  var description: String { path }

  init(_ path: String) {
    self.path = path
    text = String(
      decoding: FileManager.default.contents(atPath: packageFolder() + "/" + path) ?? Data(), as: UTF8.self)
  }

  static let catalogue = "Sources/Sluice/Documentation.docc"
  static let readme = Page("README.md")
  /// All pages, README first.
  static var all: [Page] {
    let manager = FileManager.default
    let names = ((try? manager.contentsOfDirectory(atPath: packageFolder() + "/" + catalogue)) ?? []).sorted()
    return [readme] + names.map { Page(catalogue + "/" + $0) }
  }

  static func named(_ name: String) -> Page { Page("\(catalogue)/\(name).md") }

  /// The blocks that are marked as of a language.
  func blocks(_ language: String) -> [String] {
    text.components(separatedBy: "```\(language)\n").dropFirst().map { $0.components(separatedBy: "```")[0] }
  }

  /// What stands between backticks, outside of blocks.
  var spans: [String] {
    let prose = text.components(separatedBy: "```").enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
    return prose.flatMap { part in
      part.components(separatedBy: "`").enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
    }
  }

  /// Lines `$ command` of a console block, and what follows each until the next.
  static func session(_ block: String) -> [(command: String, output: String)] {
    var steps: [(command: String, output: String)] = []
    for line in block.split(separator: "\n") {
      if line.hasPrefix("$ ") {
        steps.append((String(line.dropFirst(2)), ""))
      } else if !steps.isEmpty {
        steps[steps.count - 1].output += line + "\n"
      }
    }
    return steps
  }
}

@Suite struct PageTests {
  @Test func thePagesAreThere() {
    #expect(Page.all.count > 8)
    #expect(Page.all.allSatisfy { $0.text.hasPrefix("# ") })
    #expect(Page.readme.blocks("console").count == 1)
  }

  @Test func sessionsHappenAsShown() throws {
    let programs = (builtProduct("sluice") as NSString).deletingLastPathComponent
    for page in Page.all {
      for block in page.blocks("console") {
        let folder = TemporaryFolder()
        try FileManager.default.copyItem(atPath: packageFolder() + "/sql/tour.sql", toPath: folder.file("tour.sql"))
        for step in Page.session(block) {
          let result = try runProcess(
            "/bin/bash", ["-c", "cd '\(folder.path)' && PATH='\(programs)':\"$PATH\" && { \(step.command)\n } 2>&1"])
          #expect(withoutLeaving(result.text) == step.output, "\(page): \(step.command)")
        }
      }
    }
  }

  /// The SQL of the pages, in a store with the table that they speak of.
  @Test(arguments: ["Projections", "Events"]) func statementsAreTaken(_ name: String) throws {
    let page = Page.named(name)
    let block = try #require(page.blocks("sql").first)
    let folder = TemporaryFolder()
    let table = """
      CREATE TABLE orders(user_id INTEGER, id INTEGER, amount REAL, note TEXT, PRIMARY KEY(user_id, id));
      INSERT INTO orders VALUES(7, 1, 200.5, 'a'), (7, 2, 9.5, 'b');

      """
    let result = try runProcess(
      builtProduct("sluice"), [folder.file("s.sluice")], input: Array((table + block).utf8))
    #expect(result.errorText == "")
    #expect(result.status == 0)
    let ask = try runProcess(builtProduct("sluice"), [folder.file("s.sluice"), "SELECT count(*) FROM orders"])
    #expect(ask.text == "2\n")
  }

  /// The statements about a projection p that stand in its page.
  @Test func theStatementsAboutAProjectionAreTaken() throws {
    let statements = Page.named("Projections").spans.filter {
      $0.wholeMatch(of: /(REBUILD|REDRIVE|PAUSE|RESUME|DROP|WAIT FOR) [A-Za-z ]+( '2s')?/) != nil
    }
    #expect(statements.count == 7)
    let folder = TemporaryFolder()
    // It is dropped last.
    let ordered = statements.filter { !$0.hasPrefix("DROP") } + statements.filter { $0.hasPrefix("DROP") }
    let result = try runProcess(
      builtProduct("sluice"),
      [folder.file("s.sluice"), "CREATE TABLE t(id)", "CREATE PROJECTION p AS SELECT id FROM t"] + ordered)
    #expect(result.errorText == "" && result.status == 0, "\(ordered)")
  }

  /// Links of README, references between pages, and paths of sources.
  @Test func whatIsNamedExists() {
    let manager = FileManager.default
    func exists(_ path: String) -> Bool { manager.fileExists(atPath: packageFolder() + "/" + path) }
    for page in Page.all {
      for match in page.text.matches(of: /\]\(([^)]+)\)/) { #expect(exists(String(match.1)), "\(page): \(match.1)") }
      for match in page.text.matches(of: /<doc:([A-Za-z]+)>/) {
        #expect(exists("\(Page.catalogue)/\(match.1).md"), "\(page): \(match.1)")
      }
      for span in page.spans {
        if span.wholeMatch(of: /(C|Sluice)[A-Za-z]*\/[A-Za-z0-9\/+.]+/) != nil {
          #expect(exists("Sources/" + span), "\(page): \(span)")
        } else if span.wholeMatch(of: /(examples|sql|Tests)\/[A-Za-z\/.]+/) != nil {
          #expect(exists(span), "\(page): \(span)")
        }
      }
    }
  }

  /// Each test that a promise rests on.
  @Test func testsThatAreNamedExist() throws {
    let folder = packageFolder() + "/Tests"
    let paths = try #require(FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String })
    let files = paths.filter { $0.hasSuffix(".swift") }.map { (path: $0, text: Page("Tests/" + $0).text) }
    let names = Page.named("Durability").spans.filter { $0.contains("Tests") }
    #expect(names.count > 8)
    for name in names {
      let parts = name.split(separator: ".")
      let isThere = files.contains { file in
        file.path.hasSuffix("/\(parts[0]).swift") && (parts.count == 1 || file.text.contains("func \(parts[1])("))
      }
      #expect(isThere, "\(name)")
    }
  }
}
