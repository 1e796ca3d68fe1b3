// The peak of a child that is smaller than this program. The kernel's figure at a child's end begins with what this
// program held when it started the child, so below that it says nothing; what the child itself has held is looked up
// while it runs.
import SluiceSystem
import Synchronization

/// Looks at the peak resident set of a process every few milliseconds.
final class PeakSampler: Sendable {
  private static let intervalNanoseconds: UInt64 = 5_000_000

  private let process: Int32
  private let peak = Atomic<Int>(0)
  private let isStopped = Atomic<Bool>(false)

  private init(_ process: Int32) { self.process = process }

  /// The peak of `process` in KiB, as far as it was seen while `body` ran: what it reached in its last milliseconds may
  /// be missing.
  static func peakKiB(of process: Int32, while body: () -> Void) throws -> Int {
    let sampler = PeakSampler(process)
    let thread = try SluiceSystem.Thread(name: "peak") { sampler.run() }
    body()
    sampler.isStopped.store(true, ordering: .relaxed)
    thread.join()
    return sampler.peak.load(ordering: .relaxed)
  }

  private func run() {
    while !isStopped.load(ordering: .relaxed) {
      // 0 when it has ended.
      let seen = residentPeakKiB(of: process)
      if seen > peak.load(ordering: .relaxed) { peak.store(seen, ordering: .relaxed) }
      SluiceSystem.Thread.sleep(nanoseconds: Self.intervalNanoseconds)
    }
  }
}
