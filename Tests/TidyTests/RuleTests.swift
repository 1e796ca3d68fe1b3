// The rules held to small sources: each finds what it is for, and passes what is right.
import Testing

@Suite struct RuleTests {
  private func file(_ path: String, _ text: String) -> SourceFile { SourceFile(path: path, text: text) }

  private func source(_ text: String, target: String = "SluiceLog") -> [SourceFile] {
    [file("Sources/\(target)/A.swift", text)]
  }

  @Test func commentsAndStringsAreNoCode() {
    func code(_ text: String) -> String { String(decoding: codeOnly(Array(text.utf8)), as: UTF8.self) }
    #expect(code("a // b {\nc") == "a       \nc")
    #expect(code("a /* b /* { */ \n */ c") == "a              \n    c")
    #expect(code(#"f("}") + g"#) == "f(   ) + g")
    #expect(code(#""a\"b{" x"#) == "        x")
    #expect(code(#""a\(f("}") { 1 })b" x"#) == "   (f(   ) { 1 })   x")
    #expect(code("\"\"\"\n { \" \\(a) \n\"\"\" x") == "   \n      (a) \n    x")
    #expect(code("#\"a\\(b\"{\"# x #if") == "           x #if")
    #expect(code("let é = \"unfinished\nnext {") == "let é =            \nnext {")
  }

  @Test func functionsAreFoundWithTheirLines() {
    let text = """
      protocol P {
        func none() throws(E) -> Int
        init(a: Int)
      }
      struct S {
        init?(_ a: Int) { self.init(b: a) }
        func one(
          _ body: () -> Void = {}
        ) -> Int
        where T: P
        {
          func inner() { "}" }
          return 1 // }
        }
        static func < (a: S, b: S) -> Bool { true }
        deinit {
        }
        subscript(i: Int) -> Int { 1 }
      }
      """
    let found = functionSpans(codeOnly(Array(text.utf8)))
    let expected = [
      ("init", 6, 6), ("one", 7, 14), ("inner", 12, 12), ("<", 15, 15), ("deinit", 16, 17), ("subscript", 18, 18),
    ]
    #expect(found == expected.map { FunctionSpan(name: $0, first: $1, last: $2) })
  }

  @Test func arrows() {
    for line in ["import SluiceSystem", "import Synchronization", "// import Sluice", "let s = \"import Sluice\""] {
      #expect(arrowFindings(source(line)) == [], "\(line)")
    }
    let refused = [
      "import SluiceLSM", "import Foundation", "public import Sluice", "@preconcurrency import SluiceSQL",
      "import struct SluiceSQL.Token", "  @_exported import Sluice",
    ]
    for line in refused { #expect(arrowFindings(source(line)).count == 1, "\(line)") }
    #expect(
      arrowFindings(source("\nimport SluiceLSM")) == [
        "Sources/SluiceLog/A.swift:2: SluiceLog may not import SluiceLSM: only SluiceSystem"
      ])
    #expect(arrowFindings(source("import Sluice", target: "New")).first?.contains("add it to `arrows`") == true)
    #expect(arrowFindings(source("import Foundation", target: "SluiceShell")) == [])
  }

  /// A file names what is declared for the whole module in its own folder, and below; not above.
  @Test func floorsOfATarget() {
    let low = "struct Low {\n  enum Kind {}\n}\nprivate struct Own {}\nfunc help() {}"
    func check(_ folder: String, _ text: String) -> [String] {
      floorFindings([
        file("Sources/SluiceSQL/Lexing/Low.swift", low),
        file("Sources/SluiceSQL/Rows/High.swift", "public final class High {}\nfunc lift() {}\nextension Low {}"),
        file("Sources/SluiceSQL/\(folder)/A.swift", text),
      ])
    }
    #expect(check("Rows", "let a = Low()\nlet b = High()\nhelp()") == [])
    #expect(check("Lexing", "let a = Low()\n// High\nlet b = \"High\"\nlet c = Other.High()") == [])
    #expect(check("Lexing", "enum A {\n  struct High {}\n  let a: High\n}") == [])
    #expect(
      check("Lexing", "let a = 1\nlet b: [High] = []").map { String($0.prefix(40)) } == [
        "Sources/SluiceSQL/Lexing/A.swift:2: name"
      ])
    #expect(check("Statements", "lift()").count == 1)
    #expect(check("Other", "let a = 1").first?.contains("has no floor") == true)
  }

  @Test func sizes() {
    #expect(sizeFindings(source(String(repeating: "a\n", count: 600))) == [])
    #expect(sizeFindings(source(String(repeating: "a\n", count: 601))).count == 1)
    let body = { (count: Int) in "func f() {\n" + String(repeating: "  a\n", count: count) + "}\n" }
    #expect(sizeFindings(source(body(68))) == [])
    #expect(sizeFindings(source("\n" + body(69))) == ["Sources/SluiceLog/A.swift:2: f has 71 lines, at most 70"])
    #expect(sizeFindings(source(String(repeating: "é", count: 120))) == [])
    #expect(sizeFindings(source(String(repeating: "a", count: 121))).count == 1)
    #expect(sizeFindings([file("Sources/C/a.c", String(repeating: "a", count: 121))]).count == 1)
    #expect(sizeFindings([file("Tests/T/Golden/a.txt", String(repeating: "a", count: 121))]) == [])
  }

  @Test func heads() {
    for text in ["// A\nlet a", "/// A\nlet a", "import Glibc\n\n/// A\nlet a", "#if Kafka\n// A\n"] {
      #expect(headFindings(source(text)) == [], "\(text)")
    }
    for text in ["", "let a = 1", "import Glibc\nlet a = 1 // late"] {
      #expect(headFindings(source(text)).count == 1, "\(text)")
    }
  }

  @Test func droppedErrors() {
    #expect(errorFindings(source("let a = try? f()")).count == 1)
    #expect(errorFindings(source("let a = try! f()")).count == 1)
    #expect(errorFindings(source("g((try? f()) ?? 1)")).count == 1)
    #expect(errorFindings(source("func f() -> Entry? { let retry: Retry! }")) == [])
    #expect(errorFindings(source("// try? f()\nlet s = \"try!\"; try f()")) == [])
    #expect(errorFindings([file("Tests/T/A.swift", "try? f()")]) == [])
  }

  @Test func leftovers() {
    #expect(leftoverFindings([file("sql/a.sql", "-- TO" + "DO: more")]).count == 1)
    #expect(leftoverFindings([file("README.md", "see /ho" + "me/me/x")]).count == 1)
    #expect(leftoverFindings(source("let template = \"XXXX" + "XX\"; let todo = 1")) == [])
  }

  @Test func unsafeCodeAndItsList() {
    func check(_ text: String, _ list: String) -> [String] {
      listedFindings(source(text), list: list, listPath: "list", what: "unsafe code", holdsUnsafe)
    }
    let unsafe = [
      "var p: UnsafePointer<Int>", "UnsafeMutableRawBufferPointer(x)", "a.withUnsafeBytes { }", "p.pointee = 1",
      "unsafeBitCast(a, to: B.self)", "Unmanaged.passRetained(a)",
    ]
    for line in unsafe {
      #expect(check(line, "").count == 1, "\(line)")
      #expect(check(line, "# head\n\nSources/SluiceLog/A.swift  rows\n") == [], "\(line)")
    }
    #expect(check("let a = 1 // UnsafePointer", "") == [])
    #expect(check(unsafe[0], "Sources/SluiceLog/A.swift").first?.contains("no reason") == true)
    #expect(check(unsafe[0], "Sources/SluiceLog/A.swift x\nSources/SluiceLog/A.swift x").count == 1)
    #expect(check("let a = 1", "Sources/SluiceLog/A.swift x").first?.contains("remove the line") == true)
    #expect(check("let a = 1", "Sources/SluiceLog/Gone.swift x").count == 1)
    #expect(check(unsafe[0], "").first?.contains("add to list:\n    Sources/SluiceLog/A.swift  <") == true)
    #expect(holdsUnchecked("final class A: @unchecked Sendable {") && holdsUnchecked("nonisolated(unsafe) var a"))
    #expect(!holdsUnchecked("final class A: Sendable {"))
  }

  @Test func deadGoldenFiles() {
    let golden = file("Tests/T/Golden/Parser/a.txt", "")
    #expect(deadGoldenFindings([golden]).count == 1)
    #expect(deadGoldenFindings([golden, file("Tests/T/A.swift", "goldenFiles(\"Golden/Parser\")")]) == [])
    #expect(deadGoldenFindings([golden, file("Tests/T/A.swift", "read(\"Golden/Parser/a.txt\")")]) == [])
    #expect(deadGoldenFindings([golden, file("Tests/Other/A.swift", "goldenFiles(\"Golden/Parser\")")]).count == 1)
    #expect(deadGoldenFindings([golden, file("Tests/T/A.swift", "goldenFiles(\"Golden\")")]).count == 1)
    let kept = file("Tests/T/Fixtures/v1/log/1.log", "")
    #expect(deadGoldenFindings([kept, file("Tests/T/A.swift", "[\"v1\"]")]) == [])
    #expect(deadGoldenFindings([kept, file("Tests/T/A.swift", "[\"v2\"]")]).count == 1)
  }

  @Test func unusedExamples() {
    let example = file("examples/quick.sql", "")
    #expect(unusedExampleFindings([example]).count == 1)
    #expect(unusedExampleFindings([example, file("Tests/T/A.swift", "run(\"examples/quick.sql\")")]) == [])
    #expect(unusedExampleFindings([example, file("Tests/T/A.swift", "packageFiles(\"examples\")")]) == [])
    #expect(unusedExampleFindings([example, file(".ci/run", "sluice < examples/quick.sql")]) == [])
    #expect(unusedExampleFindings([example, file("Sources/T/A.swift", "quick.sql")]).count == 1)
  }

  @Test func topLevel() {
    let right = ["Package.swift", "README.md", "Sources", "Tests", "examples", "sql"]
    #expect(topLevelFindings(right) == [])
    #expect(topLevelFindings(right + ["notes.txt"]).count == 1)
    #expect(topLevelFindings(Array(right.dropLast())) == ["sql: is missing at the top level"])
  }
}
