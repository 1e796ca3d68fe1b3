// The row path: text of plain INSERTs to encoded, checked and placed commands in the session's batch. No allocation, no
// String and no syntax tree per row; about 0.2 µs a row. Unsafe by nature: named in the tidy test.
import SluiceLog
import SluiceSQL
import SluiceSystem

extension Session {
  /// Consumes whole plain INSERT statements from the start of `bytes`, as many as it can, and returns how many bytes
  /// that were; `line` moves on by the lines consumed. It stops in front of anything else: another kind of statement,
  /// one that is not complete, one with an error. Give that to `execute`. Outside a transaction it also stops behind a
  /// statement that another one follows on a line of common length: whoever drops that after an error, as a shell does,
  /// settles first.
  public func ingest(_ bytes: UnsafeRawBufferPointer, line: inout Int) -> Int {
    guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
    // What cannot be written is for `execute` to say.
    guard canWrite else { return 0 }
    endRows()
    refreshCatalog()
    let end = base + bytes.count
    var cursor = base
    var lines = LineCounter(base, end, line: line)
    while true {
      let start = skipBlanks(cursor, end)
      guard start < end, start.pointee | 0x20 == UInt8(ascii: "i") || start.pointee | 0x20 == UInt8(ascii: "r")
      else { return cursor - base }
      do {
        guard let plan = try planFor(start, end), try ingest(plan, start, end, &cursor, &lines, &line)
        else {
          return cursor - base
        }
      } catch {
        // An error of the statement: it was not consumed. One of writing stays, for `execute` to say.
        return cursor - base
      }
    }
  }

  /// The statement at `start`, and those behind it that begin alike; `cursor` and `line` move behind each that was
  /// consumed.
  /// False when another call would get no further. Plan and evaluator are taken once for all of them: no reference is
  /// counted per statement.
  private func ingest(
    _ plan: InsertPlan, _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>,
    _ cursor: inout UnsafePointer<UInt8>, _ lines: inout LineCounter, _ line: inout Int
  ) throws(StoreError) -> Bool {
    let evaluator: any ValueEvaluator = evaluator
    var start = start
    repeat {
      guard let next = try insert(plan, evaluator, start, end, line: lines.line(at: start)) else { return false }
      cursor = next
      line = lines.line(at: next)
      try statementEnded()
      // It waited until the statement was applied, and the catalog may be another.
      if stopAtFirstError { return rejectionCount == 0 }
      start = skipBlanks(cursor, end)
      // After an error the rest of its line is not run, so on a line of several statements each is known first.
      if transaction == nil, lines.goesOn(at: start) { return false }
    } while plan.matches(start, end)
    return true
  }

  /// The completed row as a part of the transaction that reads.
  @inline(never)
  private func addOpen(_ plan: InsertPlan, _ value: UnsafeRawBufferPointer, line: Int) throws(StoreError) -> Bool {
    guard let writes else { return false }
    let slot = buildKey(plan)
    return try addOpen(plan, writes, value, slot: slot, line: line)
  }

  /// Puts the engine key of the row being built into `key`, and returns its slot; nil, and no key, where both follow
  /// from the position to come.
  func buildKey(_ plan: InsertPlan) -> UInt16? {
    key.removeAll()
    if plan.isStream {
      if plan.placing.isEmpty { return nil }
      defer { key.removeAll() }
      return placingSlot(plan)
    }
    key.append(bigEndian: plan.tableID)
    appendKey(plan)
    let size = key.count
    defer { key.truncate(to: size) }
    return rowSlot(plan)
  }

  /// Whether neither the store nor the open transaction has failed, and the disk has room.
  private var canWrite: Bool {
    if settings.isQueryOnly { return false }
    return !store.pipeline.room.isLow && transaction.map { $0.failure == nil } ?? !store.pipeline.hasFailed
  }

  @inline(__always)
  private func skipBlanks(_ cursor: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> {
    var cursor = cursor
    while cursor < end, isSpace(cursor.pointee) { cursor += 1 }
    return cursor
  }

  @inline(__always)
  private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0a || byte &- 0x09 < 5 && byte != 0x0b }

  /// One INSERT that begins at `start`: all of its rows, or none. Returns where it ends, behind its `;`; nil when the
  /// text ends first. `isWhole`: the text is one whole statement, and its end is the statement's end.
  func insert(
    _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, line: Int, isWhole: Bool = false
  ) throws(StoreError) -> UnsafePointer<UInt8>? {
    let plan: InsertPlan
    guard let known = try planFor(start, end) else { return nil }
    plan = known
    return try insert(plan, evaluator, start, end, line: line, isWhole: isWhole)
  }

  @inline(__always)
  private func insert(
    _ plan: InsertPlan, _ evaluator: any ValueEvaluator, _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>,
    line: Int, isWhole: Bool = false
  ) throws(StoreError) -> UnsafePointer<UInt8>? {
    let mark = statementMark()
    let highestKey = plan.highestKey.current
    let given = counts.given
    var cursor = start + plan.prefixSize
    var count: Int64 = 0
    do {
      while true {
        guard
          try InsertParser.parseRow(cursor: &cursor, end: end, shape: plan.shape, into: &row, evaluator: evaluator)
            == .row
        else { break }
        if addPlain(plan, &row, isFirst: count == 0, line: line) {
          count &+= 1
        } else if try add(plan, isFirst: count == 0, line: line) {
          count &+= 1
        }
        switch try InsertParser.nextDelimiter(cursor: &cursor, end: end, atEnd: isWhole) {
        case .row: continue
        case .statementEnd:
          if isWhole, cursor < end {
            try checkNothingFollows(in: UnsafeRawBufferPointer(start: cursor, count: end - cursor))
          }
          changeCount = count
          totalChangeCount &+= count
          if count > 1 { noteRaised(plan, from: highestKey, given: counts.given - given, of: count) }
          return cursor
        case .needMore: break
        }
        break
      }
    } catch {
      undo(plan, mark, highestKey)
      let failure: StoreError =
        if let error = error as? SQLError { StoreError(error.moved(by: start.distance(to: cursor))) } else {
          StoreError(converting: error)
        }
      if count > 0, failure.isParse { forgetLastRow(since: mark) }
      noteFailure(failure)
      throw failure
    }
    undo(plan, mark, highestKey)
    if count > 0 { forgetLastRow(since: mark) }
    return nil
  }

  /// Rows that were taken for the session's last one since `mark` were never inserted.
  private func forgetLastRow(since mark: StatementMark) {
    if let before = mark.lastRowid {
      (lastRowid.value, lastRowid.isOpen, lastRowid.provisional) = before
    } else {
      lastRowid.isOpen = true
    }
  }

  /// A statement that failed while it ran has changed nothing; one that was refused before leaves what changes() says.
  func noteFailure(_ failure: StoreError) {
    if !failure.isParse { changeCount = 0 }
  }

  /// Adds a row that was built elsewhere, as a statement of its own. The caller keeps the plan, so no reference is
  /// counted, and has it be one for the catalog as it is.
  func add(_ other: inout RowBuilder, _ unretained: Unmanaged<InsertPlan>) throws(StoreError) {
    if settings.isQueryOnly { try checkWritable() }
    if transaction != nil { try checkTransaction() }
    if builder.isEmpty { try store.pipeline.room.admit() }
    let isAdded = unretained._withUnsafeGuaranteedRef { addPlain($0, &other, isFirst: true, line: currentLine) }
    if isAdded {
      changeCount = 1
      totalChangeCount &+= 1
      return try statementEnded()
    }
    try addSlowly(&other, unretained.takeUnretainedValue())
  }

  private func addSlowly(_ other: inout RowBuilder, _ plan: InsertPlan) throws(StoreError) {
    if !counts.raised.isEmpty, transaction == nil { try waitApplied() }
    let mark = statementMark()
    let highestKey = plan.highestKey.current
    swap(&row, &other)
    defer { swap(&row, &other) }
    do throws(StoreError) {
      let isAdded = try interrupter.beside { () throws(StoreError) in
        try add(plan, isFirst: true, line: currentLine)
      }
      changeCount = isAdded ? 1 : 0
    } catch {
      undo(plan, mark, highestKey)
      noteFailure(error)
      throw error
    }
    totalChangeCount &+= changeCount
    try statementEnded()
  }

  /// Where a statement begins, in the batch that is being filled or in the open transaction's.
  struct StatementMark {
    fileprivate let builder: BatchBuilder.Mark
    fileprivate let writes: OpenWrites.Mark?
    /// What the session's last row was, where it is not found out from what was sent.
    fileprivate let lastRowid: (value: Int64, isOpen: Bool, provisional: UInt64?)?
  }

  @inline(__always)
  func statementMark() -> StatementMark {
    guard let writes else { return StatementMark(builder: builder.mark(), writes: nil, lastRowid: nil) }
    return StatementMark(
      builder: builder.mark(), writes: writes.mark(),
      lastRowid: (lastRowid.value, lastRowid.isOpen, lastRowid.provisional))
  }

  func rollback(to mark: StatementMark) {
    builder.rollback(to: mark.builder)
    if let open = mark.writes { writes?.rollback(to: open) }
  }

  /// Takes back the rows of a statement that is not complete or has an error.
  @inline(never)
  func undo(_ plan: InsertPlan, _ mark: StatementMark, _ highestKey: Int64) {
    rollback(to: mark)
    if plan.hasNumberKey { takeBack(plan.highestKey, to: highestKey) }
  }

  /// The plan of the statement at `start`: that of the statement before when it begins with the same bytes.
  @inline(__always)
  private func planFor(
    _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
  ) throws(StoreError) -> InsertPlan? {
    if let plan, plan.matches(start, end) { return plan }
    do { return try makePlan(UnsafeRawBufferPointer(start: start, count: end - start)) } catch {
      throw StoreError(error)
    }
  }

  @inline(never)
  private func makePlan(_ bytes: UnsafeRawBufferPointer) throws(SQLError) -> InsertPlan? {
    let header: InsertHeader
    do { header = try InsertParser.parseHeader(bytes) } catch {
      if error.kind == .incomplete { return nil }
      throw error
    }
    guard header.form == .values else { return nil }
    let made = try InsertPlan(
      orAction: header.orAction, columns: header.columns, prefix: Array(bytes[..<header.valuesOffset]),
      table: try table(of: header))
    plan = made
    return made
  }

  /// The SQL table that an INSERT names.
  func table(of header: InsertHeader) throws(SQLError) -> SQLTable {
    guard let table = catalog.table(header.table), !isTemporaryView(header.table) else {
      if let reason = reasonNotToModify(header.table) {
        throw SQLError(.invalid, reason, offset: header.tableOffset)
      }
      if folded(header.table).hasPrefix("sqlite_stat") {
        throw SQLError(
          .unsupported, "\(header.table) holds statistics of SQLite's planner, and a store keeps none",
          offset: header.tableOffset)
      }
      throw SQLError(.invalid, "no such table: \(header.table)", offset: header.tableOffset)
    }
    for (name, offset) in zip(header.columns ?? [], header.columnOffsets) {
      if let objection = table.objection(toColumn: name) { throw SQLError(.invalid, objection, offset: offset) }
    }
    return table
  }

  /// Adds a built row to the batch that is being filled when nothing about it needs a look: it has its keys, and no
  /// NULL where there must be none. False, and nothing done, when it takes `add`, which is the same for every row.
  @inline(__always)
  private func addPlain(_ plan: InsertPlan, _ row: inout RowBuilder, isFirst: Bool, line: Int) -> Bool {
    guard plan.isPlain, writes == nil else { return false }
    for place in 0..<plan.notNullCount where row.isNull(column: plan.notNull[place]) { return false }
    if plan.primaryKey.isEmpty { return addCounted(plan, &row, isFirst: isFirst, line: line) }
    key.removeAll()
    key.append(bigEndian: plan.tableID)
    var rowid: Int64 = 0
    if plan.rowidColumn >= 0 {
      guard let integer = row.integer(column: plan.rowidColumn) else { return false }
      rowid = integer
      KeyFormat.append(integer: rowid, to: &key)
    } else {
      row.appendKey(columns: plan.primaryKey, to: &key)
    }
    let value = row.finish(plan.shape)
    guard builder.fits(keySize: key.count, valueSize: value.count) else { return false }
    if plan.rowidColumn >= 0 {
      lastRowid.value = rowid
      lastRowid.isOpen = false
      plan.highestKey.raise(to: rowid)
    }
    builder.append(
      kind: plan.kind, startsStatement: isFirst,
      slot: store.router.slot(shardKey: UnsafeRawBufferPointer(rebasing: key.bytes[4...])), line: line,
      key: key.bytes, value: value)
    return true
  }

  /// The same in a table without a primary key, where the row gets the next number.
  @inline(__always)
  private func addCounted(_ plan: InsertPlan, _ row: inout RowBuilder, isFirst: Bool, line: Int) -> Bool {
    let value = row.finish(plan.shape)
    guard plan.isCounted, counts.raised.isEmpty, builder.fits(keySize: 12, valueSize: value.count),
      let number = plan.highestKey.following(upTo: KeyFormat.wordLimit)
    else { return false }
    let key = KeyFormat.word(of: number)
    let router = store.router
    lastRowid.value = number
    lastRowid.isOpen = false
    builder.append(
      kind: plan.kind, startsStatement: isFirst,
      slot: router.slot(hash: hash(word: key.bytes, size: key.size, seed: router.hashSeed)), line: line,
      keyPrefix: plan.tableID, keyWord: key.bytes, keySize: key.size, value: value)
    return true
  }

  /// Adds the session's row, of a statement of its own. False when OR IGNORE leaves it out.
  @inline(__always)
  func addAlone(_ plan: InsertPlan, line: Int) throws(StoreError) -> Bool {
    if addPlain(plan, &row, isFirst: true, line: line) { return true }
    return try add(plan, isFirst: true, line: line)
  }

  /// Adds the row just parsed as a command. False when OR IGNORE leaves it out.
  @inline(__always)
  func add(_ plan: InsertPlan, isFirst: Bool, line: Int) throws(StoreError) -> Bool {
    guard let value = try complete(plan) else { return false }
    if writes != nil { return try addOpen(plan, value, line: line) }
    return try append(plan, value, isFirst: isFirst, line: line)
  }

  /// The row just parsed, with its defaults and its number, when it keeps the table's constraints; nil when OR IGNORE
  /// leaves it out.
  @inline(__always)
  func complete(_ plan: InsertPlan) throws(StoreError) -> UnsafeRawBufferPointer? {
    for column in plan.computedDefaults { try setDefault(plan, column) }
    let needsRowid = plan.hasNumberKey ? try needsRowid(plan) : false
    for column in plan.notNull where row.cell(column: column).isNull {
      if try !replaceNull(plan, column) { return nil }
    }
    // Not before: a row that is left out takes no number.
    if needsRowid { try giveRowid(plan) }
    let value = row.finish(plan.shape)
    if plan.needsCheck, try !passesChecks(plan, value, isNew: true) {
      if needsRowid { takeBackLast(plan) }
      return nil
    }
    if plan.hasNumberKey { plan.highestKey.raise(to: rowid(plan)) }
    return value
  }

  /// Appends the completed row to the batch that is being filled.
  @inline(__always)
  private func append(
    _ plan: InsertPlan, _ value: UnsafeRawBufferPointer, isFirst: Bool, line: Int
  ) throws(StoreError) -> Bool {
    key.removeAll()
    if plan.isStream {
      guard builder.fits(keySize: 12, valueSize: value.count) else { throw tooBig(12, value.count) }
      builder.appendPositionKeyed(
        tableID: plan.tableID, kind: plan.kind, slot: plan.placing.isEmpty ? nil : placingSlot(plan),
        startsStatement: isFirst, line: line, value: value)
      lastRowid.isOpen = true
      return true
    }
    key.append(bigEndian: plan.tableID)
    appendKey(plan)
    let keySize = key.count
    let slot =
      plan.placesByKey
      ? store.router.slot(shardKey: UnsafeRawBufferPointer(rebasing: key.bytes[4...])) : placingSlot(plan)
    guard builder.fits(keySize: keySize, valueSize: value.count) else { throw tooBig(keySize, value.count) }
    builder.append(
      kind: plan.kind, startsStatement: isFirst, slot: slot, line: line,
      key: UnsafeRawBufferPointer(start: key.base, count: keySize), value: value)
    if plan.hasNumberKey { setLastRowid(rowid(plan)) }
    return true
  }

  /// Slot of a shard key that is not the whole primary key; its encoding stands behind the key in the buffer for a
  /// moment.
  @inline(__always)
  func placingSlot(_ plan: InsertPlan) -> UInt16 {
    let start = key.count
    row.appendKey(columns: plan.placing, to: &key)
    return store.router.slot(shardKey: UnsafeRawBufferPointer(rebasing: key.bytes[start...]))
  }

  @inline(never)
  private func tooBig(_ keySize: Int, _ valueSize: Int) -> StoreError {
    .tooBig(
      keySize: keySize, rowSize: valueSize,
      otherwise: "statement too big: its rows encode to more than \(BatchLimits.bodySizeBytes) bytes")
  }
}

/// Tells the lines of places in a text, asked for front to back. The next line feed is known, so that a place in front
/// of it costs a comparison; one search finds the one behind.
private struct LineCounter {
  private let end: UnsafePointer<UInt8>
  /// The first line feed at or behind the last place, or `end`.
  private var next: UnsafePointer<UInt8>
  /// The line of everything from the last place up to `next`.
  private var line: Int

  init(_ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, line: Int) {
    self.end = end
    self.line = line
    next = start + findByte(0x0a, UnsafeRawBufferPointer(start: start, count: end - start))
  }

  @inline(__always)
  mutating func line(at place: UnsafePointer<UInt8>) -> Int {
    if place > next { advance(to: place) }
    return line
  }

  /// Whether `place`, behind the last one, is on its line, which ends soon: a line of many kilobytes is the work of a
  /// program, and to wait for each of its statements would take a hundred times as long.
  @inline(__always)
  func goesOn(at place: UnsafePointer<UInt8>) -> Bool { place < next && next - place <= Self.lineBytes }

  private static let lineBytes = 4096

  @inline(never)
  private mutating func advance(to place: UnsafePointer<UInt8>) {
    line += place - next == 1 ? 1 : countByte(0x0a, UnsafeRawBufferPointer(start: next, count: place - next))
    next = place + findByte(0x0a, UnsafeRawBufferPointer(start: place, count: end - place))
  }
}

extension StoreError {
  /// A row that a batch cannot take: for its key, for itself, or else for what is in the batch already.
  static func tooBig(keySize: Int, rowSize: Int, otherwise sentence: String) -> StoreError {
    var message = sentence
    if keySize > BatchLimits.keySizeBytes {
      message = "key too big: \(keySize) bytes encoded, at most \(BatchLimits.keySizeBytes)"
    } else if rowSize > BatchLimits.valueSizeBytes {
      message = "row too big: \(rowSize) bytes encoded, at most \(BatchLimits.valueSizeBytes)"
    }
    return StoreError(.invalid, message, sqliteCode: 18)
  }
}
