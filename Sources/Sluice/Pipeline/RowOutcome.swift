// What a batch came to for the session that sent it, beyond its rejections: how many of its rows had no effect, and
// which row was its last one. A batch without exceptions costs nothing here; one with exceptions is walked once more.
import SluiceLog
import SluiceSQL
import SluiceSystem

/// What is left to know of a session's item once it is applied.
struct RowOutcome: Sendable {
  /// Rows that were left out, or rejected with their statement.
  var withoutEffect: Int64 = 0
  /// Those of the last statement of rows; nil: there is none.
  var lastWithoutEffect: Int64?
  /// Where the number of its last row stands.
  var lastRow = LastRow.none

  /// The row that last_insert_rowid() is about.
  enum LastRow: Sendable {
    /// The item has none.
    case none
    /// The last one that the session gave a number, or that brought one.
    case offered
    /// A row with this number.
    case known(Int64)
  }

  /// The outcome of two parts of an item, one behind the other.
  mutating func add(_ next: RowOutcome) {
    withoutEffect += next.withoutEffect
    if let last = next.lastWithoutEffect { lastWithoutEffect = last }
    if case .none = next.lastRow { return }
    lastRow = next.lastRow
  }
}

extension RowOutcome {
  /// The outcome of a batch of which the commands in `noEffect`, by rising index, had none.
  init(_ batch: Batch, _ noEffect: [(index: UInt32, reason: UInt8)], _ catalog: Catalog) {
    var commands = batch.commands()
    var index: UInt32 = 0
    var next = 0
    var ofStatement: Int64?
    // Rows in front of the one that failed were inserted, and taken back.
    var isFailed = false
    while let command = commands.next() {
      defer { index += 1 }
      let isRow = command.kind != .catalog && command.kind != .clear
      if command.startsStatement {
        if !batch.flags.contains(.allOrNothing) { isFailed = false }
        if isRow { ofStatement = 0 }
      }
      var reason: NoEffect?
      if next < noEffect.count, noEffect[next].index == index {
        reason = NoEffect(rawValue: noEffect[next].reason)
        next += 1
      }
      guard isRow else { continue }
      if let reason {
        withoutEffect += 1
        ofStatement = (ofStatement ?? 0) + 1
        if reason != .withAnother, reason != .ignored { isFailed = true }
        guard reason == .withAnother, !isFailed else { continue }
      }
      let tableID = command.key.loadUnaligned(as: UInt32.self).bigEndian
      guard !command.kind.removes, let table = catalog.tablesByID[tableID], table.hasRowid else { continue }
      if table.isStream {
        lastRow = .known(Int64(bitPattern: batch.firstPosition + UInt64(index)))
      } else if let number = storedRowid(ofKey: command.key) {
        lastRow = .known(number)
      }
    }
    lastWithoutEffect = ofStatement
  }
}
