// One scan of a live table: a point read, or a walk over a range of keys in either direction, all shards in one order.
// Unsafe by nature: named in the tidy test.
import SluiceLSM
import SluiceSQL
import SluiceSQLite
import SluiceSystem

final class LiveCursor: VirtualCursor {
  private let table: LiveTable
  /// Made by the first walk: a point read needs none.
  private lazy var rows = MergeIterator()
  private var hasWalked = false
  /// What the cursor's statement sees, from its first scan on: others may commit before the next one, and so may the
  /// connection itself.
  @exclusivity(unchecked) private var seen: LiveView?
  /// What the walk goes over: kept until it ends.
  @exclusivity(unchecked) private var walked: LiveView?
  @exclusivity(unchecked) private var needed: UInt64 = 0
  /// The row of a point read, in memory of its own.
  private var pointRow = ByteBuffer(capacity: 256)
  private var pointPosition: UInt64 = 0
  private var isPoint = false
  /// Keys, or their beginnings, that a list still asks for: the last is the next. Whether they are whole keys.
  private var listed: [[UInt8]] = []
  private var listedAreWhole = false
  /// What a list is read from, in pages.
  private var lookup: Lookup?
  /// The value that is looked up, and the last key of the page before; whether another page may come.
  private var lookedUp = ByteBuffer(capacity: 64)
  private var lastListed: [UInt8]?
  private var isDescending = false
  /// Encoded bounds of the scan.
  private var lower = ByteBuffer(capacity: 64)
  private var upper = ByteBuffer(capacity: 64)
  private var shardKey = ByteBuffer(capacity: 64)
  private var scratch = LookupScratch()

  init(_ table: LiveTable) {
    self.table = table
    super.init(columnCount: table.columnCount)
    table.scope.cursorOpened()
  }

  deinit { table.scope.cursorClosed() }

  // MARK: Running

  override func start(_ scan: Scan) throws(SQLiteError) -> Bool {
    let plan = table.scope.plan(scan.plan)
    needed = scan.neededColumns
    if hasWalked { rows.close() }
    walked = nil
    isPoint = false
    listed = []
    lookup = nil
    let view = try view()
    lower.removeAll()
    lower.append(bigEndian: table.table.id)
    var fixed = 0
    while fixed < plan.equalCount {
      switch append(scan.arguments, fixed, column: keyColumn(fixed), to: &lower) {
      case .encoded: fixed += 1
      case .none: return false
      case .unknown: return try walk(plan, view, scan.arguments, fixed: fixed)
      }
    }
    if plan.hasList {
      guard try readList(plan, scan.arguments) else { return try walk(plan, view, scan.arguments, fixed: fixed) }
      return try startListed()
    }
    if plan.isPoint { return try point(view) }
    if !plan.lookupColumns.isEmpty, let found = try lookUp(plan, view, scan.arguments) { return found }
    return try walk(plan, view, scan.arguments, fixed: fixed)
  }

  @inline(__always)
  private func view() throws(SQLiteError) -> LiveView {
    if let seen {
      if seen.isGone { throw Self.aborted }
      return seen
    }
    do {
      let view = try table.scope.currentView()
      seen = view
      return view
    } catch { throw SQLiteError(error) }
  }

  /// Rows that it shows were taken back.
  private static var aborted: SQLiteError { SQLiteError(code: 4 | 2 << 8, message: "abort due to ROLLBACK") }

  override func next() throws(SQLiteError) -> Bool {
    if isPoint || !listed.isEmpty {
      if !isPoint, try advance() { return true }
      return try startListed()
    }
    return try advance()
  }

  @inline(__always)
  private func advance() throws(SQLiteError) -> Bool {
    if table.scope.handles.isFull { throw RowHandles.tooMany }
    if walked?.isGone == true { throw Self.aborted }
    do {
      guard try rows.next() else {
        rows.close()
        walked = nil
        return false
      }
    } catch { throw SQLiteError(StoreError(error)) }
    table.scope.walkedCount &+= 1
    if needed != 0 {
      let row = rows.current
      try decode(row.value, position: row.position)
    }
    return true
  }

  @inline(__always)
  private func decode(_ row: UnsafeRawBufferPointer, position: UInt64) throws(SQLiteError) {
    if !table.decoder.decode(row, into: cells, needed: needed) { throw table.damaged(position) }
  }

  override var rowid: Int64? {
    let key = isPoint ? lower.bytes : rows.current.key
    if table.table.hasRowid { return table.table.rowid(ofKey: key) }
    return table.scope.handle(of: key, position: isPoint ? pointPosition : rows.current.position)
  }

  // MARK: Lists

  /// Puts the keys of a list's values into `listed`; false when one of them stands for keys that only a walk finds.
  private func readList(_ plan: KeyPlan, _ arguments: Arguments) throws(SQLiteError) -> Bool {
    var values = arguments.list(plan.listArgument)
    let affinity = table.table.definition.columns[keyColumn(plan.equalCount)].affinity
    let size = lower.count
    defer { lower.truncate(to: size) }
    while let value = try values.next() {
      switch append(value, affinity, to: &lower) {
      case .encoded: listed.append([UInt8](lower.bytes))
      case .none: break
      case .unknown:
        listed = []
        return false
      }
      lower.truncate(to: size)
    }
    listed.sort { $1.lexicographicallyPrecedes($0) }
    listedAreWhole = plan.isPoint
    return true
  }

  /// Begins with the next key of the list that has a row.
  private func startListed() throws(SQLiteError) -> Bool {
    isPoint = listedAreWhole
    while let key = try nextListed() {
      let view = try view()
      lower.removeAll()
      lower.append(key)
      if listedAreWhole {
        if try point(view) { return true }
      } else {
        upper.removeAll()
        upper.append(key)
        upper.advanceToSuccessor()
        hasWalked = true
        walked = view
        rows.open(view.snapshots, lower: lower.bytes, upper: upper.bytes, isForward: true, overlay: view.overlay)
        if try advance() { return true }
      }
    }
    return false
  }

  // MARK: Lookups

  /// Begins with the first row whose columns have the values asked for; nil when a walk has to look for it.
  private func lookUp(
    _ plan: KeyPlan, _ view: LiveView, _ arguments: Arguments
  ) throws(SQLiteError) -> Bool? {
    lookedUp.removeAll()
    for (place, column) in plan.lookupColumns.enumerated() {
      switch append(arguments, plan.lookupArgument + place, column: column, to: &lookedUp) {
      case .encoded: break
      case .none: return false
      case .unknown: return nil
      }
    }
    guard let lookup = try table.scope.lookup(table, by: plan.lookupColumns, in: view) else { return nil }
    self.lookup = lookup
    isDescending = plan.isDescending
    lastListed = nil
    listedAreWhole = true
    return try startListed()
  }

  /// The next key of the list.
  private func nextListed() throws(SQLiteError) -> [UInt8]? {
    if listed.isEmpty, let lookup {
      listed = try lookup.keys(of: lookedUp.bytes, behind: lastListed, isDescending: isDescending)
      if listed.count < Lookup.pageSize { self.lookup = nil }
      lastListed = listed.last
      listed.reverse()
    }
    return listed.popLast()
  }

  // MARK: Keys

  private func keyColumn(_ index: Int) -> Int { table.table.isKeyless ? -1 : table.table.definition.primaryKey[index] }

  private enum Encoding {
    case encoded
    /// NULL: nothing equals it.
    case none
    /// Which keys the value stands for depends on what SQLite knows and this place does not.
    case unknown
  }

  /// Appends the key encoding of an argument, as a column of the table would store it.
  ///
  /// SQLite converts before it compares: a text that looks like a number becomes one beside a numeric column, and a
  /// number beside a TEXT column may become a text, or the column's texts numbers, and a text beside an untyped column
  /// may make texts of the column's numbers. The second kind is `unknown` here.
  private func append(
    _ arguments: Arguments, _ index: Int, column: Int, to key: inout ByteBuffer
  ) -> Encoding {
    if column < 0, table.table.isStream { return appendPosition(arguments, index, to: &key) }
    let affinity = column < 0 ? .integer : table.table.definition.columns[column].affinity
    if affinity == .text || affinity == .blob { return append(arguments.cell(index), affinity, to: &key) }
    switch arguments.numericType(index) {
    case .null: return .none
    case .integer: KeyFormat.append(integer: arguments.int64(index), to: &key)
    case .real: KeyFormat.append(real: arguments.double(index), to: &key)
    case .text: KeyFormat.append(text: arguments.text(index), to: &key)
    case .blob: KeyFormat.append(blob: arguments.blob(index), to: &key)
    }
    return .encoded
  }

  private static let numberBeginnings = Array("-0123456789I".utf8)

  /// Whether rows before the key of a lower bound may be above it: an untyped column's numbers, as texts.
  private func mayStandBefore(_ arguments: Arguments, _ index: Int, column: Int) -> Bool {
    guard column >= 0, table.table.definition.columns[column].affinity == .blob, arguments.type(index) == .text else {
      return false
    }
    return arguments.text(index).first.map { $0 <= UInt8(ascii: "I") } ?? true
  }

  /// Whether rows behind the key of an upper bound may be below it: texts that look like numbers become numbers beside
  /// a text that comes from a numeric column. They begin with a digit or less.
  private func mayStandBehind(_ plan: KeyPlan, _ arguments: Arguments, column: Int) -> Bool {
    guard column >= 0, !plan.upperIsLiteral, arguments.type(plan.upperArgument) == .text else { return false }
    let affinity = table.table.definition.columns[column].affinity
    guard affinity == .text || affinity == .blob else { return false }
    return arguments.text(plan.upperArgument).first.map { $0 <= UInt8(ascii: "9") } ?? true
  }

  /// The same for a TEXT or an untyped column.
  private func append(_ value: SluiceSQLite.Cell, _ affinity: Affinity, to key: inout ByteBuffer) -> Encoding {
    switch value.type {
    case .null: return .none
    case .integer, .real: return .unknown
    case .text:
      // Numbers as texts begin with a digit, a minus or `Inf`.
      if affinity == .blob, let first = value.bytes.first, Self.numberBeginnings.contains(first) { return .unknown }
      KeyFormat.append(text: value.bytes, to: &key)
    case .blob: KeyFormat.append(blob: value.bytes, to: &key)
    }
    return .encoded
  }

  /// A position as a key: 8 bytes, big-endian.
  private func appendPosition(_ arguments: Arguments, _ index: Int, to key: inout ByteBuffer) -> Encoding {
    switch arguments.numericType(index) {
    case .null: return .none
    case .integer:
      let number = arguments.int64(index)
      guard number >= 0 else { return .unknown }
      key.append(bigEndian: UInt64(number))
      return .encoded
    case .real:
      guard let number = UInt64(exactly: arguments.double(index)) else { return .unknown }
      key.append(bigEndian: number)
      return .encoded
    default: return .unknown
    }
  }

  // MARK: Scans

  private func walk(
    _ plan: KeyPlan, _ view: LiveView, _ arguments: Arguments, fixed: Int
  ) throws(SQLiteError) -> Bool {
    upper.removeAll()
    upper.append(lower.bytes)
    var hasUpper = false
    if fixed == plan.equalCount, !plan.isPoint {
      let column = keyColumn(fixed)
      if plan.upper != .none, !mayStandBehind(plan, arguments, column: column) {
        switch append(arguments, plan.upperArgument, column: column, to: &upper) {
        case .encoded: hasUpper = true
        case .none: return false
        case .unknown: break
        }
      }
      if plan.lower != .none, !mayStandBefore(arguments, plan.lowerArgument, column: column) {
        let size = lower.count
        switch append(arguments, plan.lowerArgument, column: column, to: &lower) {
        case .encoded: if plan.lower == .exclusive { lower.advanceToSuccessor() }
        case .none: return false
        case .unknown: lower.truncate(to: size)
        }
      }
    }
    // Everything that begins with the bytes so far, or up to a bound that is left out.
    if !hasUpper || plan.upper == .inclusive { upper.advanceToSuccessor() }
    let snapshots = try shard(plan, arguments).map { [view.snapshots[$0]] } ?? view.snapshots
    hasWalked = true
    walked = view
    rows.open(
      snapshots, lower: lower.bytes, upper: upper.bytes, isForward: !plan.isDescending, overlay: view.overlay)
    return try advance()
  }

  /// The one shard that holds the rows of a fixed shard key, or nil.
  private func shard(_ plan: KeyPlan, _ arguments: Arguments) throws(SQLiteError) -> Int? {
    guard !plan.shardArguments.isEmpty else { return nil }
    shardKey.removeAll()
    for (index, column) in table.table.placingColumns.enumerated() {
      guard case .encoded = append(arguments, plan.shardArguments[index], column: column, to: &shardKey) else {
        return nil
      }
    }
    let router = table.scope.source.router
    return router.shard(slot: router.slot(shardKey: shardKey.bytes))
  }

  // MARK: Points

  /// Reads the row of the whole key in `lower`.
  private func point(_ view: LiveView) throws(SQLiteError) -> Bool {
    isPoint = true
    let key = lower.bytes
    if let own = view.own(key) {
      if own.kind.removes { return false }
      keep(own.row, position: EntryOverlay.firstPosition + UInt64(own.offset))
    } else if try !findStored(key, view) {
      return false
    }
    if needed != 0 { try decode(pointRow.bytes, position: pointPosition) }
    return true
  }

  /// Takes a copy of a row.
  private func keep(_ row: UnsafeRawBufferPointer, position: UInt64) {
    pointRow.removeAll()
    pointRow.append(row)
    pointPosition = position
  }

  /// The same with a stored one; false when it is deleted.
  private func keep(_ entry: Entry) -> Bool {
    if entry.kind == .tombstone { return false }
    keep(entry.value, position: entry.position)
    return true
  }

  private func findStored(_ key: UnsafeRawBufferPointer, _ view: LiveView) throws(SQLiteError) -> Bool {
    do {
      if let shard = table.shard(ofKey: key, scratch: &shardKey) {
        return try view.snapshots[shard].find(key, &scratch) { keep($0) } ?? false
      }
      // Placed by columns that the key does not hold.
      for snapshot in view.snapshots {
        if let found = try snapshot.find(key, &scratch, { keep($0) }) { return found }
      }
      return false
    } catch { throw SQLiteError(StoreError(error)) }
  }
}
