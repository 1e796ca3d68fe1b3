// Reads a staged segment behind its session, batch by batch, while that still writes it: who does so may prepare what
// follows from the rows before COMMIT says that they count. What is read has no position yet; the reader numbers it
// from where the transaction would begin.
import SluiceSystem

/// A place in a staged segment. One thread; the session may write on, commit or discard meanwhile.
public final class StagedReader {
  private let staged: StagedSegment
  private let scanner: SegmentScanner

  /// Opens the file of `staged`. Throws when it cannot be opened, as when it was discarded or adopted just now.
  public init(_ staged: StagedSegment) throws(LogError) {
    self.staged = staged
    scanner = try SegmentScanner.open(staged.fileSystem, path: staged.path, limit: staged.writtenSize)
  }

  deinit { scanner.close() }

  /// The next batch that the session has written, numbered as if the segment's first command had position `base`; nil
  /// when there is none so far. Throws `corrupt` when the file does not hold what was written. Cost: as `LogReader`'s.
  public func next(base: UInt64) throws(LogError) -> Batch? {
    if scanner.offset == scanner.limit { scanner.extend(to: staged.writtenSize) }
    let finding = try scanner.look()
    guard case .record(let header) = finding else {
      if case .end = finding { return nil }
      throw .corrupt(scanner.path, scanner.offset, "the record does not verify")
    }
    guard let body = try scanner.body(of: header) else {
      throw .corrupt(scanner.path, scanner.offset, "the record's body does not verify")
    }
    let batch = try Batch.parse(header, body, path: scanner.path, offset: scanner.offset)
    batch.assignPositions(first: base + header.firstPosition)
    scanner.advance(past: header)
    return batch
  }
}
