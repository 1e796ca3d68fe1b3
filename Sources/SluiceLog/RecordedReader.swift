// Batches with what the log records about them. A resolution stands anywhere behind its batch, and a batch whose
// commands all had an effect has none; but resolutions stand in the order of their batches, for the applier makes them
// in that order and the appender keeps it. So a second reader goes ahead, reading headers and resolutions only, and
// stops at the first resolution that is not about an earlier batch: there is one in memory at a time.
//
// Where nothing was rejected it goes to the end of the log, once a reader: headers only, one short read for each batch.
import SluiceSystem

/// Reads a range of the log once. One thread.
public final class RecordedReader {
  private let batches: LogReader
  private let resolutions: LogReader
  /// The next resolution that was read and not yet handed out.
  private var ahead: Resolution?
  private var isAtEnd = false

  init(batches: LogReader, resolutions: LogReader) {
    self.batches = batches
    self.resolutions = resolutions
  }

  /// A batch, its commands without effect, and whether what becomes visible with it is complete.
  public typealias Recorded = (batch: Batch, noEffect: [(index: UInt32, reason: UInt8)], transactionEnd: Bool)

  /// The next batch and its commands without effect; nil at the end. Throws as `LogReader.next` does, and `corrupt`
  /// when a resolution names a command that its batch does not have.
  public func next() throws(LogError) -> Recorded? {
    while let record = try batches.next() {
      guard case .commands(let batch, let transactionEnd) = record else { continue }
      return (batch, try resolution(of: batch), transactionEnd)
    }
    return nil
  }

  private func resolution(of batch: Batch) throws(LogError) -> [(index: UInt32, reason: UInt8)] {
    while !isAtEnd {
      if ahead == nil {
        guard case .resolution(let resolution)? = try resolutions.next() else {
          isAtEnd = true
          break
        }
        ahead = resolution
      }
      guard let resolution = ahead, resolution.batchFirstPosition <= batch.firstPosition else { break }
      ahead = nil
      if resolution.batchFirstPosition < batch.firstPosition { continue }
      if let last = resolution.rejected.last, Int(last.index) >= batch.commandCount {
        throw LogError(
          kind: .corrupt,
          message:
            "positions \(batch.firstPosition) to \(batch.lastPosition): the resolution names command \(last.index)")
      }
      return resolution.rejected
    }
    return []
  }
}
