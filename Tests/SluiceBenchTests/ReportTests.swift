// The page of results: complete, with parts missing, readable by itself, and without a label on another.
import Foundation
import FoundationXML
import SluiceTesting
import Testing

@testable import SluiceBench

@Suite struct ReportTests {
  /// Of each kind one or more, with names that need care.
  private static let all: [BenchMeasurement] = [
    BenchMeasurement(
      bench: "ingest", name: "one INSERT a line, until durable", unit: .rowsPerSecond, parameters: [("rows", 1e6)],
      values: [1.1e6, 1.2e6, 1.3e6], peer: "sqlite3", peerValues: [1e5, 1e5, 1e5], goal: .ratio(12),
      counters: [MeasuredCounter(name: "CPU µs/row", ours: 0.5, peer: 5, limit: 0.7)]),
    BenchMeasurement(
      bench: "ingest", name: "a <name> & \"another\"", unit: .rowsPerSecond, values: [10], peer: "p<q>",
      peerValues: [20], goal: .ratio(0.3)),
    BenchMeasurement(
      bench: "growth", name: "until durable", unit: .rowsPerSecond,
      parameters: [("rows", 1e7), ("rows of the peer", 1e6)], values: [9e5], peer: "sluice, a tenth",
      peerValues: [1e6], goal: .ratio(0.8)),
    BenchMeasurement(
      bench: "recover", name: "reopened after closing", unit: .milliseconds, values: [40, 60], peer: "sqlite3",
      peerValues: [4, 5], goal: .atMost(50)),
    latency(25, 1000), latency(50, 2000), latency(90, 3600),
    BenchMeasurement(
      bench: "open-loop", name: "one at a time, closed loop", unit: .operationsPerSecond, values: [4000],
      series: MeasuredSeries(stepMilliseconds: 100, ours: [390, 410, 405, 3])),
    BenchMeasurement(bench: "memtable", name: "a tree", unit: .nanoseconds, values: [120]),
    BenchMeasurement(bench: "unheard of", name: "something", unit: .seconds, values: [1]),
  ]

  private static func latency(_ share: Double, _ rate: Double) -> BenchMeasurement {
    BenchMeasurement(
      bench: "open-loop", name: "one at a time, p99.9 at \(plain(share)) %", unit: .microseconds,
      parameters: [("rate", rate), ("% of closed loop", share)], values: [share * 20],
      peer: share < 60 ? "sqlite" : nil,
      peerValues: share < 60 ? [share * 40] : [],
      counters: ["p50 µs", "p99 µs", "p99.9 µs", "max µs"].enumerated().map {
        MeasuredCounter(
          name: $1, ours: share * Double($0 + 1), peer: share < 60 ? share * 2 * Double($0 + 1) : nil)
      }, series: MeasuredSeries(stepMilliseconds: 100, ours: [1, 2, 3], peer: []))
  }

  private func drawings(_ page: String) -> [String] {
    page.components(separatedBy: "<svg ").dropFirst().map {
      "<svg xmlns=\"http://www.w3.org/2000/svg\" " + $0.components(separatedBy: "</svg>")[0] + "</svg>"
    }
  }

  @Test func thePageHoldsAllAndNeedsNothing() {
    let page = ReportPage(Self.all).html
    for title in [
      "Loading", "Growth", "Opening", "Latency at fixed rates", "Shapes of a memtable", "unheard of",
      "10 measurements: 3 goals met, 1 missed",
    ] {
      #expect(page.contains(title), "\(title)")
    }
    #expect(page.components(separatedBy: "<tr><td>").count == Self.all.count + 1)
    #expect(page.contains("a &lt;name&gt; &amp; &quot;another&quot;"))
    for word in ["<script", "http:", "https:", "src=", "@import", "url("] { #expect(!page.contains(word), "\(word)") }
    #expect(page.contains("prefers-color-scheme: dark"))
    // Ratios of three commands, values with goals, latencies, growth, four series.
    #expect(drawings(page).count == 4 + 1 + 1 + 1 + 4)
  }

  @Test func rowsOfOneNameAreToldApart() throws {
    var fewer = Self.all[0]
    fewer.parameters = [("rows", 1000)]
    let plot = try #require(ratioPlot([Self.all[0], fewer, Self.all[1]], title: "t"))
    let shown = labelBoxes(plot).map(\.text)
    for label in ["until durable, rows 1.00M – sqlite3", "until durable, rows 1000 – sqlite3"] {
      #expect(shown.contains("one INSERT a line, " + label), "\(shown)")
    }
    #expect(shown.contains("a <name> & \"another\" – p<q>"))
  }

  @Test func partsMayBeMissing() {
    #expect(drawings(ReportPage([]).html).isEmpty)
    #expect(ReportPage([]).html.contains("0 measurements"))
    for measurement in Self.all {
      let page = ReportPage([measurement]).html
      #expect(page.components(separatedBy: "<h2>").count == 2)
      #expect(page.contains(escaped(measurement.name)))
    }
  }

  @Test func drawingsAreWellFormed() {
    for drawing in drawings(ReportPage(Self.all).html) {
      let parser = XMLParser(data: Data(drawing.utf8))
      #expect(parser.parse(), "\(String(describing: parser.parserError)): \(drawing)")
      #expect(!drawing.contains("nan") && !drawing.contains("inf"))
    }
  }

  /// The box of each label, by the widest letters that the style may have.
  private func labelBoxes(_ drawing: String) -> [(text: String, x: ClosedRange<Double>, y: ClosedRange<Double>)] {
    drawing.matches(of: /<text x="([-0-9.]+)" y="([-0-9.]+)" text-anchor="([a-z]+)" class="([a-z]+)">(.*)<\/text>/).map
    {
      let text = String($0.5).replacing("&lt;", with: "<").replacing("&gt;", with: ">").replacing("&amp;", with: "&")
        .replacing("&quot;", with: "\"")
      let width = Double(text.count) * ($0.4 == "mark" ? 6.7 : 7.3)
      let x = Double($0.1) ?? .nan, y = Double($0.2) ?? .nan
      let left = $0.3 == "start" ? x : $0.3 == "end" ? x - width : x - width / 2
      return (text, left...(left + width), (y - 9)...(y + 2))
    }
  }

  @Test func noLabelIsOnAnotherOrOutside() throws {
    for drawing in drawings(ReportPage(Self.all).html) {
      let boxes = labelBoxes(drawing)
      #expect(boxes.count > 3)
      let size = try #require(drawing.firstMatch(of: /viewBox="0 0 ([0-9.]+) ([0-9.]+)"/))
      let (width, height) = (try #require(Double(size.1)), try #require(Double(size.2)))
      for (index, box) in boxes.enumerated() {
        #expect(box.x.lowerBound >= 0 && box.x.upperBound <= width, "\(box.text)")
        #expect(box.y.lowerBound >= 0 && box.y.upperBound <= height, "\(box.text)")
        for other in boxes[(index + 1)...] where box.x.overlaps(other.x) && box.y.overlaps(other.y) {
          Issue.record("'\(box.text)' on '\(other.text)'")
        }
      }
    }
  }

  @Test func scalesEndAtRoundNumbers() {
    for (values, low, high) in [
      ([0.3, 7], 0.2, 10), ([12, 100], 10, 100), ([1, 1], 1, 10), ([3_600], 2_000, 5_000), ([], 1, 10),
    ] as [([Double], Double, Double)] {
      let scale = Scale(values, logarithmic: true, from: 0, to: 100)
      #expect(abs(scale.low - low) < 1e-9 && abs(scale.high - high) < 1e-9, "\(values): \(scale)")
    }
    for (values, high) in [([7], 8), ([100], 120), ([0.9], 1), ([0], 1e-9), ([2000], 2000)] as [([Double], Double)] {
      let scale = Scale(values, logarithmic: false, from: 50, to: 0)
      #expect(scale.low == 0 && scale.high >= (values.max() ?? 0) && scale.high <= high * 1.26, "\(values): \(scale)")
      #expect(scale.place(0) == 50 && abs(scale.place(scale.high)) < 1e-9)
    }
    let scale = Scale([1, 1000], logarithmic: true, from: 0, to: 90)
    #expect(abs(scale.place(10) - 30) < 1e-9)
    #expect(scale.marks(distance: 25).map { $0.rounded() } == [1, 10, 100, 1000])
    #expect(scale.marks(distance: 9).count == 10)
  }

  @Test func theLastOfACaseCounts() throws {
    let folder = TemporaryFolder()
    var again = Self.all[0]
    again.goal = .ratio(5)
    try (Self.all[0].json + "\n" + Self.all[1].json + "\n").write(
      toFile: folder.file("a"), atomically: true, encoding: .utf8)
    try (again.json + "\n" + Self.latency(25, 1100).json + "\n" + Self.latency(25, 1200).json + "\n").write(
      toFile: folder.file("b"), atomically: true, encoding: .utf8)
    let read = try ReportCommand.read([folder.file("a"), folder.file("b")])
    #expect(read.map(\.json) == [again.json, Self.all[1].json, Self.latency(25, 1200).json])
  }

  @Test func theProgramWritesThePage() throws {
    let folder = TemporaryFolder()
    try (Self.all.map(\.json).joined(separator: "\n") + "\n").write(
      toFile: folder.file("results"), atomically: true, encoding: .utf8)
    func report(_ arguments: [String]) throws -> ProcessResult {
      try runProcess(builtProduct("sluice-bench"), ["report"] + arguments)
    }
    #expect(try report([folder.file("results"), "-o", folder.file("page.html")]).status == 0)
    #expect(try String(contentsOfFile: folder.file("page.html"), encoding: .utf8) == ReportPage(Self.all).html)
    try "{\"bench\":1}\n".write(toFile: folder.file("bad"), atomically: true, encoding: .utf8)
    let bad = try report([folder.file("results"), folder.file("bad"), "-o", folder.file("other.html")])
    #expect(bad.status == 1)
    #expect(bad.errorText.contains("bad, line 1: "), "\(bad.errorText)")
    #expect(!FileManager.default.fileExists(atPath: folder.file("other.html")))
    #expect(try report([]).status == 64)
  }
}
