// SELECT … AS OF position | 'time': the query runs over tables that are replayed for it alone.
// Unsafe by nature: named in the tidy test.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension Session {
  /// The answer of a query that ends with AS OF; nil for any other.
  func queryPast(_ text: UnsafeRawBufferPointer) throws(StoreError) -> Outcome? {
    let parts: (queryEnd: Int, point: AsOfPoint)?
    do { parts = try splitAsOf(text) } catch { throw StoreError(error) }
    guard let parts else { return nil }
    guard transaction == nil else {
      throw StoreError(
        .unsupported, "AS OF cannot be used within a transaction", isParse: true, sqliteCode: 1)
    }
    try waitApplied()
    let pipeline = store.pipeline
    try pipeline.waitRecorded()
    let last = pipeline.progress.withLock { $0.visible }
    let query = String(decoding: UnsafeRawBufferPointer(rebasing: text[..<parts.queryEnd]), as: UTF8.self)
    let interrupter = interrupter
    let past = PastTables(pipeline: pipeline, last: last, point: try point(parts.point, last)) {
      () throws(StoreError) in try interrupter.check()
    }
    let connection = try past.open(for: query)
    do {
      try interrupter.watch(connection)
      try registerFunctions(connection)
      try connection.execute("PRAGMA query_only = 1")
      let statement = try connection.prepare(query)
      try bindParameters(of: statement)
      return .rows(Rows(statement))
    } catch {
      var failure = StoreError(converting: error)
      failure.isParse = true
      throw failure
    }
  }

  /// Whether a query ends with AS OF.
  func isPast(_ text: UnsafeRawBufferPointer) throws(StoreError) -> Bool {
    do { return try splitAsOf(text) != nil } catch { throw StoreError(error) }
  }

  private func point(_ point: AsOfPoint, _ last: UInt64) throws(StoreError) -> PastTables.Point {
    switch point {
    case .position(let position):
      guard position <= last else {
        throw StoreError(
          .invalid, "AS OF \(position): the last position is \(last)", isParse: true, sqliteCode: 1)
      }
      return .position(position)
    case .time(let text):
      guard let microseconds = EventTime.parse(text, isLenient: true) else {
        throw StoreError(
          .invalid, "AS OF '\(text)': not a time such as '2026-01-31 12:00:00' (UTC)", isParse: true, sqliteCode: 1)
      }
      return .time(microseconds)
    }
  }
}
