// What all measuring commands share: their options, the turns, the folder they work in, and where results go.
import ArgumentParser
import Glibc

struct MeasuringOptions: ParsableArguments {
  @Option(help: "Counted turns of ours and of the peer; medians are shown.") var runs = 5
  @Option(help: "An existing folder for what is written, on the disk to be measured.") var directory = "."
  @Flag(help: "One JSON object a line instead of a table.") var json = false
  @Option(help: "A file to which the JSON lines are added besides, for `report`.") var save: String?

  init() {}

  init(runs: Int, directory: String, json: Bool, save: String?) {
    self.runs = runs
    self.directory = directory
    self.json = json
    self.save = save
  }

  func validate() throws {
    guard (1...1_000).contains(runs) else { throw ValidationError("--runs is 1 to 1,000") }
  }

  /// Prints what stands above the table.
  func printHeading(_ about: String) {
    if json { return }
    printNow(
      "\(about); \(runs) alternating turns, medians; load \(fixed(loadAverage(), 1))\n"
        + "ratio: how many times ours is as good as the peer\n\n" + Measurement.heading)
  }

  /// Prints a result, and saves it.
  func show(_ measurement: Measurement) throws {
    printNow(json ? measurement.json : measurement.text)
    guard let save else { return }
    guard let file = fopen(save, "ae") else { throw BenchError(description: "cannot write \(save)") }
    fputs(measurement.json + "\n", file)
    guard fclose(file) == 0 else { throw BenchError(description: "cannot write \(save)") }
  }

  /// Says why something is not measured: where it cannot be taken for a result.
  func skip(_ name: String, _ reason: String) { printError("sluice-bench: \(name) is skipped: \(reason)") }

  /// Runs `body` with a new folder, which is removed afterwards.
  func inFolder<R>(_ body: (String) throws -> R) throws -> R {
    let folder = "\(directory)/sluice-bench-\(getpid())"
    guard mkdir(folder, 0o755) == 0 else { throw BenchError(description: "cannot create \(folder)") }
    defer { remove(folder) }
    return try body(folder)
  }
}

/// What both sides gave, turn by turn.
struct Turns<Sample> {
  var ours: [Sample] = []
  var peer: [Sample] = []
  /// The least and the largest load average before a run.
  var loads: ClosedRange<Double> = 0...0

  init(ours: [Sample], peer: [Sample], loads: ClosedRange<Double>) {
    self.ours = ours
    self.peer = peer
    self.loads = loads
  }

  /// Runs both sides so many times, one after the other; who goes first alternates, so that what else the machine does
  /// meets both alike.
  init(_ count: Int, ours: () throws -> Sample, peer: (() throws -> Sample)? = nil) throws {
    var loads: [Double] = []
    for turn in 0..<count {
      for place in 0..<2 {
        let isOurs = (turn + place) % 2 == 0
        if !isOurs, peer == nil { continue }
        loads.append(loadAverage())
        if isOurs { self.ours.append(try ours()) } else if let peer { self.peer.append(try peer()) }
      }
    }
    self.loads = (loads.min() ?? 0)...(loads.max() ?? 0)
  }
}

extension Turns {
  /// The same turns with a part of each sample.
  func map<Part>(_ part: (Sample) -> Part) -> Turns<Part> {
    Turns<Part>(ours: ours.map(part), peer: peer.map(part), loads: loads)
  }

  /// The medians of one figure of both sides.
  func counter(_ name: String, atMost limit: Double? = nil, _ figure: (Sample) -> Double) -> MeasuredCounter {
    MeasuredCounter(
      name: name, ours: median(ours.map(figure)), peer: peer.isEmpty ? nil : median(peer.map(figure)), limit: limit)
  }
}
