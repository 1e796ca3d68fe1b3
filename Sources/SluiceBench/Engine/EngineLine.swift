// The line that a workload prints: one JSON object with the fields of peerbench's, in its order.

struct EngineLine {
  private let options: EngineOptions
  let workload: EngineWorkload
  var threads = 1
  var tally = EngineTally()
  var isRight = true
  private let seconds: Double
  private let before: ProcessUsage
  private let after: ProcessUsage
  /// Rows that a writer beside the measured reader wrote.
  private var otherWrites: UInt64 = 0
  /// Fields of this workload only.
  private var extra = ""

  init(
    _ options: EngineOptions, _ workload: EngineWorkload, seconds: Double, before: ProcessUsage, after: ProcessUsage
  ) {
    self.options = options
    self.workload = workload
    self.seconds = seconds
    self.before = before
    self.after = after
  }

  mutating func addWriter(_ writer: EngineTally) {
    otherWrites = writer.writes
    extra +=
      ",\"writer_ops_per_s\":\(fixed(Double(writer.operations) / seconds, 0))"
      + ",\"writer_p50_us\":\(fixed(writer.latencies.microseconds(quantile: 0.5), 1))"
      + ",\"writer_p99_us\":\(fixed(writer.latencies.microseconds(quantile: 0.99), 1))"
  }

  mutating func addOpenLoop(rate: Double) {
    extra +=
      ",\"rate\":\(fixed(rate, 0)),\"max_us\":\(fixed(Double(tally.latencies.longestNanoseconds) / 1000, 2))"
  }

  var json: String {
    func microseconds(_ quantile: Double) -> String { fixed(tally.latencies.microseconds(quantile: quantile), 2) }
    let written = Double(after.writtenBytes - before.writtenBytes)
    let userBytes = Double(tally.writes + otherWrites) * Double(keySizeBytes + options.value)
    return """
      {"peer":"\(options.peer.rawValue)","tag":\(quoted(options.tag)),"workload":"\(workload.rawValue)",\
      "n":\(options.n),"ops":\(tally.operations),"batch":\(options.batch),"sync":\(options.sync.isOn ? 1 : 0),\
      "threads":\(threads),"comp":"\(options.comp.rawValue)",\
      "ops_per_s":\(fixed(Double(tally.operations) / seconds, 0)),\
      "p50_us":\(microseconds(0.5)),"p99_us":\(microseconds(0.99)),"p999_us":\(microseconds(0.999)),\
      "wall_s":\(fixed(seconds, 3)),"user_s":\(fixed(after.userSeconds - before.userSeconds, 2)),\
      "sys_s":\(fixed(after.systemSeconds - before.systemSeconds, 2)),\
      "peak_rss_mb":\(fixed(Double(after.peakKiB) / 1024, 0)),\
      "disk_mb":\(fixed(Double(diskBytes(below: options.dir)) / 1e6, 1)),\
      "written_mb":\(fixed(written / 1e6, 1)),\
      "write_amp":\(fixed(userBytes > 0 ? written / userBytes : 0, 2)),\
      "found":\(tally.found),"scanned":\(tally.scanned),"ok":\(isRight)\(extra)}
      """
  }
}
