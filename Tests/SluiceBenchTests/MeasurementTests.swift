// A measurement says the same as a line of JSON, as a line of the table, and after it was read back.
import SluiceTesting
import Testing

@testable import SluiceBench

/// Foundation has a type of that name, too.
typealias BenchMeasurement = Measurement

@Suite struct MeasurementTests {
  private let whole = Measurement(
    bench: "ingest", name: "a \"name\", µ", unit: .rowsPerSecond, parameters: [("rows", 1000), ("share", 0.25)],
    values: [300, 100, 200], peer: "sqlite3", peerValues: [100, 50, 40], goal: .ratio(3),
    counters: [
      MeasuredCounter(name: "CPU µs/row", ours: 0.5, peer: 2, limit: 0.7), MeasuredCounter(name: "syncs", ours: 3),
    ],
    series: MeasuredSeries(stepMilliseconds: 100, ours: [1, 2.5], peer: [3]), loads: 0.5...1.25)

  @Test func theLineHasTheShapeThatIsWritten() {
    #expect(
      whole.json == """
        {"bench":"ingest","name":"a \\"name\\", µ","unit":"rows/s","parameters":{"rows":1000,"share":0.25},\
        "ours":"sluice","value":200,"values":[300,100,200],"peer":"sqlite3","peer_value":50,"peer_values":[100,50,40],\
        "ratio":3,"ratio_min":2,"ratio_max":5,"goal":{"kind":"ratio","value":3,"met":true},\
        "counters":{"CPU µs/row":{"ours":0.5,"peer":2,"at_most":0.7},"syncs":{"ours":3}},\
        "series":{"step_ms":100,"ours":[1,2.5],"peer":[3]},"load":[0.5,1.25]}
        """)
    let least = Measurement(bench: "b", name: "n", unit: .seconds, values: [0.123456789])
    #expect(
      least.json
        == #"{"bench":"b","name":"n","unit":"s","ours":"sluice","value":0.123457,"values":[0.123457],"load":[0,0]}"#)
  }

  @Test func whatIsReadBackIsTheSame() throws {
    var alone = Measurement(bench: "b", name: "n", unit: .milliseconds, values: [2])
    for goal in [nil, .ratio(1.5), .atLeast(2), .atMost(1)] as [Goal?] {
      alone.goal = goal
      for measurement in [whole, alone] {
        let again = try Measurement(line: measurement.json)
        #expect(again.json == measurement.json)
        #expect(again.goal == measurement.goal)
        #expect(again.counters == measurement.counters)
        #expect(again.series == measurement.series)
      }
    }
  }

  @Test(arguments: [
    "", "{}", "[1]", #"{"bench":"b","name":"n","unit":"s","ours":"o","values":[]}"#,
    #"{"bench":"b","name":"n","unit":"miles","ours":"o","values":[1]}"#,
    #"{"bench":"b","name":"n","unit":"s","ours":"o","values":[1],"peer":"p"}"#,
    #"{"bench":"b","name":"n","unit":"s","ours":"o","values":[1],"goal":{"kind":"most","value":1}}"#,
    #"{"bench":"b","name":"n","unit":"s","ours":"o","values":[1],"counters":{"c":{"peer":1}}}"#,
  ])
  func otherLinesAreRefused(line: String) {
    #expect(throws: BenchError.self) { try Measurement(line: line) }
  }

  @Test func aRatioAboveOneIsTheBetterOne() {
    let slow = Measurement(
      bench: "b", name: "n", unit: .milliseconds, values: [10, 20, 40], peer: "p", peerValues: [20, 20, 20])
    #expect(slow.ratios == [0.5, 1, 2])
    let fast = Measurement(
      bench: "b", name: "n", unit: .operationsPerSecond, values: [10, 20, 40], peer: "p", peerValues: [20, 20, 20])
    #expect(fast.ratios == [0.5, 1, 2])
    #expect(fast.ratioText == "1.00 [0.50-2.00]")
  }

  @Test func goalsAreMetOrMissed() {
    func met(_ goal: Goal?, _ values: [Double], peer: [Double] = []) -> Bool? {
      Measurement(
        bench: "b", name: "n", unit: .seconds, values: values, peer: peer.isEmpty ? nil : "p", peerValues: peer,
        goal: goal
      ).isGoalMet
    }
    #expect(met(nil, [1]) == nil)
    #expect(met(.ratio(2), [1]) == nil)
    #expect(met(.ratio(2), [1], peer: [2]) == true)
    #expect(met(.ratio(2), [1], peer: [1.9]) == false)
    #expect(met(.atMost(1), [1]) == true)
    #expect(met(.atMost(1), [1.1]) == false)
    #expect(met(.atLeast(1), [1]) == true)
    #expect(met(.atLeast(1), [0.9]) == false)
  }

  @Test func theTableHasAllOfIt() {
    #expect(
      whole.text == """
        a "name", µ                                         200/s  50/s sqlite3           3.00 [2.00-5.00]    3 met
            rows 1000, share 0.250, CPU µs/row 0.500 / 2 (at most 0.700), syncs 3, load 0.5-1.3
        """)
  }

  /// Who goes first alternates.
  @Test func turnsAlternate() throws {
    var order = ""
    let turns = try Turns(3) {
      order += "o"
      return order.count
    } peer: {
      order += "p"
      return order.count
    }
    #expect(order == "oppoop")
    #expect(turns.ours == [1, 4, 5])
    #expect(turns.peer == [2, 3, 6])
    #expect(turns.counter("c") { Double($0) } == MeasuredCounter(name: "c", ours: 4, peer: 3))
  }
}

@Suite struct ChildProcessTests {
  /// A child begins with the size of its parent in the kernel's figure.
  @Test func theSizeOfASmallChildIsItsOwn() throws {
    let own = Int(ProcessUsage.now().peakKiB)
    let cost = try ChildProcess("sleep", ["0.3"]).measure()
    #expect(cost.status == 0)
    #expect(cost.peakKiB > 0 && cost.peakKiB < 8_192 && own > 8_192, "\(cost.peakKiB) of \(own)")
    #expect(cost.wallSeconds >= 0.3)
  }

  @Test func whatFailedSaysWhy() throws {
    let folder = TemporaryFolder()
    func failure(_ script: String) -> String? {
      do {
        _ = try runChecked("sh", ["-c", script], errors: folder.file("errors"))
        return nil
      } catch { return "\(error)" }
    }
    #expect(failure("echo fine >&2") == nil)
    #expect(failure("exit 3") == "sh ended with status 3")
    #expect(failure("echo one >&2; echo two >&2; exit 4") == "sh ended with status 4: two")
    #expect(failure("echo Error: one >&2; echo two >&2; exit 4") == "sh ended with status 4: Error: one")
    #expect(failure("kill -9 $$") == "sh ended with status 137")
    #expect(throws: BenchError.self) { try ChildProcess("no-such-program", []) }
  }
}

@Suite struct JSONValueTests {
  @Test func values() throws {
    #expect(
      try JSONValue(#" {"a" : [1, -2.5e3, true,false,null], "b":{}, "a":"x"} "#)
        == .object([
          .init(name: "a", value: .array([.number(1), .number(-2500), .bool(true), .bool(false), .null])),
          .init(name: "b", value: .object([])), .init(name: "a", value: .text("x")),
        ]))
    #expect(try JSONValue(#""\"\\\/\n\t\r\b\f\u00b5\ud83d\ude00 é""#).text == "\"\\/\n\t\r\u{8}\u{c}µ😀 é")
    #expect(try JSONValue("[]").numbers == [])
    #expect(try JSONValue(#"[1,"a"]"#).numbers == nil)
    #expect(try JSONValue(quoted("a\"\\\n\u{1}µ")).text == "a\"\\\n\u{1}µ")
  }

  @Test(arguments: [
    "", "{", "[1", "[1,]", "{\"a\"}", "{a:1}", "{\"a\":}", "1 2", "tru", "nan", "0x10", "1e999", "\"", "\"\\x\"",
    "\"\\u12\"", "\"\n\"", String(repeating: "[", count: 1000),
  ])
  func otherTextsAreRefused(text: String) {
    #expect(throws: BenchError.self) { try JSONValue(text) }
  }
}
