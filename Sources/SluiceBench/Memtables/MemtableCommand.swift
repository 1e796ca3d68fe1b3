// `sluice-bench memtable`: what the shapes a memtable could have cost, on rising and on random keys. The ground on
// which the engine's own memtable is chosen.
// Unsafe by nature (batches in raw memory): named in the tidy test.
import ArgumentParser

struct MemtableCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "memtable",
    abstract: "Compares structures for a memtable: insert, point read, ordered walk, memory.",
    discussion: """
      20-byte keys in batches of 500. Measured is the insert of an entry, sorting included; beside it a point read, an
      ordered walk and the memory. 'append, one sort' answers no read before its sort.
      """)

  @Option(help: "Sizes of the memtable, separated by commas.", transform: MemtableCommand.sizes)
  var entries = [1 << 16, 1 << 18, 1 << 20]
  @Option(help: "Entries of a batch.") var batch = 500
  @OptionGroup var measuring: MeasuringOptions

  private static func sizes(_ text: String) throws -> [Int] {
    try text.split(separator: ",").map {
      guard let size = Int($0), (1...100_000_000).contains(size) else {
        throw ValidationError("'\($0)' is no size from 1 to 100,000,000")
      }
      return size
    }
  }

  func validate() throws {
    guard batch > 0, !entries.isEmpty else { throw ValidationError("--batch is at least 1") }
  }

  func run() throws {
    measuring.printHeading("a memtable alone, in memory")
    for size in entries {
      for isRandom in [false, true] { try compare(MemtableInput(count: size, isRandom: isRandom), batch) }
    }
  }

  private func compare(_ input: MemtableInput, _ batch: Int) throws {
    let measures = [
      measure(CountedRuns.self), measure(IndexedRuns.self), measure(LateSort.self), measure(SkipList.self),
      measure(BTree.self),
    ]
    let titles = [CountedRuns.title, IndexedRuns.title, LateSort.title, SkipList.title, BTree.title]
    var samples = [[MemtableSample]](repeating: [], count: measures.count)
    var loads: [Double] = []
    for _ in 0..<measuring.runs {
      loads.append(loadAverage())
      for (place, measure) in measures.enumerated() { samples[place].append(try measure(input, batch)) }
    }
    for (title, samples) in zip(titles, samples) {
      let turns = Turns(ours: samples, peer: [], loads: (loads.min() ?? 0)...(loads.max() ?? 0))
      try report(title, input, turns)
    }
  }

  private func measure<S: MemtableStructure>(_ type: S.Type) -> (MemtableInput, Int) throws -> MemtableSample {
    { try MemtableSample(type, $0, batch: $1) }
  }

  private func report(_ title: String, _ input: MemtableInput, _ turns: Turns<MemtableSample>) throws {
    let keys = input.isRandom ? "random" : "rising"
    let hasReads = turns.ours[0].read != nil
    try measuring.show(
      Measurement(
        bench: "memtable", name: "\(title), \(keys) keys", unit: .nanoseconds,
        parameters: [("entries", Double(input.count))], ours: title, values: turns.ours.map(\.insert),
        counters: (hasReads ? [turns.counter("read ns") { $0.read ?? 0 }] : []) + [
          turns.counter("walk ns", \.walk), turns.counter("bytes", \.bytes),
        ], loads: turns.loads))
  }
}

/// The entries of a memtable in the order of their arrival, and the order in which they are read.
final class MemtableInput {
  /// Point reads at most.
  private static let readLimit = 200_000

  let count: Int
  let isRandom: Bool
  let entries: UnsafeMutablePointer<MemtableEntry>
  /// Copies of the entries that are read, side by side: to fetch what to look for costs no miss.
  let reads: UnsafeMutablePointer<MemtableEntry>
  let readCount: Int

  init(count: Int, isRandom: Bool) {
    self.count = count
    self.isRandom = isRandom
    entries = .allocate(capacity: count)
    let permutation = Permutation(count: UInt64(count), seed: 1)
    let key = UnsafeMutableRawPointer.allocate(byteCount: 24, alignment: 16)
    defer { key.deallocate() }
    for place in 0..<count {
      key.storeBytes(of: UInt32(1).bigEndian, as: UInt32.self)
      makeKey(key + 4, isRandom ? permutation(UInt64(place)) : UInt64(place))
      let high = UInt64(bigEndian: key.load(as: UInt64.self))
      let low = UInt64(bigEndian: key.load(fromByteOffset: 8, as: UInt64.self))
      let tail = UInt32(bigEndian: key.load(fromByteOffset: 16, as: UInt32.self))
      (entries + place).initialize(
        to: MemtableEntry(
          order: UInt128(high) << 64 | UInt128(low), tail: tail, valueSize: 100, record: Self.record(place)))
    }
    var random = XorshiftStream(seed: 3)
    readCount = min(count, Self.readLimit)
    reads = .allocate(capacity: readCount)
    for place in 0..<readCount { (reads + place).initialize(to: entries[Int(random.below(UInt64(count)))]) }
  }

  deinit {
    entries.deallocate()
    reads.deallocate()
  }

  /// A number in the shape of an address: no structure looks at what a record holds.
  static func record(_ place: Int) -> UnsafeRawPointer { UnsafeRawPointer(bitPattern: (place + 1) * 8)! }
}

/// What one run of one structure took, in nanoseconds for an entry.
struct MemtableSample {
  let insert: Double
  let read: Double?
  let walk: Double
  /// Bytes of memory for an entry.
  let bytes: Double

  /// Fills, reads, walks, and holds what was read against what was written.
  init<S: MemtableStructure>(_ type: S.Type, _ input: MemtableInput, batch: Int) throws {
    let table = type.init()
    var last = nowNanoseconds()
    func lap(_ count: Int) -> Double {
      let begin = last
      last = nowNanoseconds()
      return Double(last - begin) / Double(count)
    }
    var place = 0
    while place < input.count {
      let size = min(batch, input.count - place)
      table.insert(UnsafeBufferPointer(start: input.entries + place, count: size))
      place += size
    }
    if !S.hasPointReads { table.seal() }
    insert = lap(input.count)
    var wrong = 0
    if S.hasPointReads {
      for place in 0..<input.readCount {
        let entry = input.reads + place
        if table.find(entry.pointee.order, entry.pointee.tail) != entry.pointee.record { wrong += 1 }
      }
      read = lap(input.readCount)
      table.seal()
      _ = lap(1)
    } else {
      read = nil
    }
    var count = 0
    var before: (order: UInt128, tail: UInt32) = (0, 0)
    table.walk { order, tail, _ in
      if !keyPrecedes(before.order, before.tail, order, tail) { wrong += 1 }
      before = (order, tail)
      count += 1
    }
    walk = lap(input.count)
    bytes = Double(table.byteCount) / Double(input.count)
    guard wrong == 0, count == input.count else {
      throw BenchError(description: "\(S.title): \(wrong) wrong answers, \(count) of \(input.count) entries walked")
    }
  }
}
