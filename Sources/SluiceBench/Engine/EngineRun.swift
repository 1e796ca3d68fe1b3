// One process, one store, a list of workloads in order: makes the threads, measures, verifies, prints a line for each.
import Glibc
import SluiceSystem
import Synchronization

final class EngineRun {
  /// Where all random numbers of reads and mixes begin.
  static let seed: UInt64 = 42

  private let options: EngineOptions
  private let peer: any KeyValuePeer
  private let values: ValueGenerator
  private let shared = EngineShared()
  /// Rows that a fill of this run has written; 0 when the store holds what an earlier call left.
  private var filledRows: UInt64 = 0
  /// Rows that openloop has written beside them.
  private var openLoopRows: UInt64 = 0
  private var openLoopCount = 0

  init(_ options: EngineOptions) throws {
    self.options = options
    values = ValueGenerator(sizeBytes: options.value)
    mkdir(options.dir, 0o755)
    peer = try openPeer(options)
  }

  func close() throws { try peer.close() }

  /// Runs one workload and prints its line. Throws when the store fails or has not what it should.
  func run(_ workload: EngineWorkload) throws {
    if workload == .stats {
      printError(peer.statistics())
      return
    }
    let plan = try plan(workload)
    let workers = try makeWorkers(workload)
    shared.isStopped.store(false, ordering: .relaxed)
    ProcessUsage.resetPeak()
    let before = ProcessUsage.now()
    let begin = nowNanoseconds()
    for worker in workers { worker.job.begin = begin }
    switch plan {
    case .settle: try settle()
    case .work(let body): try Self.perform(workers, body)
    }
    let seconds = Double(nowNanoseconds() - begin) / 1e9
    var line = EngineLine(options, workload, seconds: seconds, before: before, after: .now())
    line.threads = workers.count
    try finish(&line, workers)
  }

  // MARK: What is done

  private enum Plan {
    case settle
    case work(@Sendable (EngineWorker) throws -> Void)
  }

  private func plan(_ workload: EngineWorkload) throws -> Plan {
    let operations = operationCount
    if let mix = YCSBMix(workload) {
      let ranks = ZipfDistribution(count: options.n)
      if shared.nextKey.load(ordering: .relaxed) == 0 { shared.nextKey.store(options.n, ordering: .relaxed) }
      return .work { try $0.mix(mix, ranks) }
    }
    switch workload {
    case .fillseq: return .work { try $0.fill(.rising) }
    case .fillrandom: return .work { try $0.fill(.random(seed: 1)) }
    case .overwrite: return .work { try $0.fill(.random(seed: 2)) }
    case .readrandom: return .work { try $0.read(mark: storedMark, operations: operations / $0.job.threadCount) }
    case .readmissing: return .work { try $0.read(mark: absentMark, operations: operations / $0.job.threadCount) }
    case .readwhilewriting:
      return .work {
        if $0.index == 0 {
          try $0.read(mark: storedMark, operations: operations, stopsOthers: true)
        } else {
          try $0.fill(.random(seed: 3), isEndless: true)
        }
      }
    case .scan: return .work { try $0.scan() }
    case .openloop:
      let rate = options.rate ?? 0
      let seconds = options.seconds > 0 ? options.seconds : openLoopSeconds
      let mark = openLoopMarks[openLoopCount]
      openLoopCount += 1
      return .work { try $0.openLoop(rate: rate, seconds: seconds, mark: mark) }
    default: return .settle
    }
  }

  private var operationCount: UInt64 { options.ops > 0 ? options.ops : options.n }

  private func makeWorkers(_ workload: EngineWorkload) throws -> [EngineWorker] {
    let count =
      switch workload {
      case .readwhilewriting: 2
      case .scan: 1
      default: options.threads
      }
    let job = EngineJob(
      rowCount: options.n, operationCount: operationCount, threadCount: UInt64(count), batch: UInt64(options.batch),
      values: values, limitNanoseconds: options.seconds > 0 ? options.seconds * 1e9 : nil)
    return try (0..<count).map {
      EngineWorker(index: UInt64($0), job: job, shared: shared, session: try peer.makeSession())
    }
  }

  /// One worker runs here, several on threads of their own.
  private static func perform(
    _ workers: [EngineWorker], _ body: @escaping @Sendable (EngineWorker) throws -> Void
  ) throws {
    if workers.count == 1 {
      workers[0].perform(body)
    } else {
      let threads = try workers.map { worker in
        try SluiceSystem.Thread(name: "worker-\(worker.index)") { worker.perform(body) }
      }
      for thread in threads { thread.join() }
    }
    for worker in workers { if let failure = worker.failure { throw failure } }
  }

  /// Flushes, then waits until the process is idle for 0.3 s, so that background work is over; at most a minute.
  private func settle() throws {
    try peer.flush()
    var quiet = 0
    for _ in 0..<600 where quiet < 3 {
      let before = ProcessUsage.now()
      usleep(100_000)
      quiet = ProcessUsage.now().processorSeconds - before.processorSeconds < 0.01 ? quiet + 1 : 0
    }
  }

  // MARK: What it came to

  private func finish(_ line: inout EngineLine, _ workers: [EngineWorker]) throws {
    for worker in workers {
      if line.workload == .readwhilewriting, worker.index == 1 {
        line.addWriter(worker.tally)
      } else {
        line.tally.merge(worker.tally)
      }
    }
    if line.workload == .openloop {
      openLoopRows += line.tally.operations
      line.addOpenLoop(rate: options.rate ?? 0)
    }
    if line.workload == .fillseq || line.workload == .fillrandom { filledRows = line.tally.operations }
    let finding = finding(line)
    line.isRight = finding == nil
    printNow(line.json)
    if let finding {
      throw BenchError(description: "verification failed in \(line.workload.rawValue): \(finding)")
    }
  }

  /// What is wrong with what was read, or nil.
  private func finding(_ line: EngineLine) -> String? {
    let tally = line.tally
    if tally.bad > 0 { return "\(tally.bad) reads gave no value or a wrong one" }
    switch line.workload {
    case .readrandom where tally.found != tally.operations, .readwhilewriting where tally.found != tally.operations:
      let isCut = filledRows > 0 && filledRows < options.n
      return "\(tally.operations - tally.found) of \(tally.operations) keys were not found"
        + (isCut ? "; --seconds has ended the fill after \(filledRows) of \(options.n) rows" : "")
    case .readmissing where tally.found > 0:
      return "\(tally.found) keys were found that nobody has written"
    case .scan where filledRows > 0:
      let least = filledRows + openLoopRows
      let most = max(filledRows, shared.nextKey.load(ordering: .relaxed)) + openLoopRows
      if tally.scanned >= least, tally.scanned <= most { return nil }
      return "\(tally.scanned) rows instead of \(least)" + (most > least ? " to \(most)" : "")
    default: return nil
    }
  }
}
