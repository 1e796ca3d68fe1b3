// `sluice_events`: the log as a table. A query reads the part of it that its conditions on position and time leave:
// positions are found by the names of segments, marks and headers, times by headers. Rows come in the order of their
// positions, as they are read; one batch is in memory at a time.
//
// It shows what is applied when the query begins. Outcomes are those recorded in the log, so a query waits until what
// the applier has found by then is written down.
//
// Unsafe by nature: named in the tidy test.
import SluiceLog
import SluiceSQLite
import SluiceSystem

/// The events of one store, for one connection.
final class EventTable: VirtualTable {
  enum Column: Int, CaseIterable {
    case position, time, session, shard, table, kind, key, row, accepted, reason

    var definition: String {
      switch self {
      case .position: "position INTEGER"
      case .time: "time TEXT"
      case .session: "session INTEGER"
      case .shard: "shard INTEGER"
      case .table: "\"table\" TEXT"
      case .kind: "kind TEXT"
      case .key: "key TEXT"
      case .row: "row TEXT"
      case .accepted: "accepted INTEGER"
      case .reason: "reason TEXT"
      }
    }
  }

  private let store: StoreCore

  init(_ store: StoreCore) {
    self.store = store
    super.init(columns: Column.allCases.map(\.definition))
  }

  override func plan(_ plan: inout AccessPlan) throws(SQLiteError) {
    var taken = TakenConstraints()
    var isBounded = false
    for index in 0..<plan.constraintCount where taken.hasRoom {
      let constraint = plan.constraint(index)
      guard constraint.isUsable, let relation = constraint.relation else { continue }
      let isPosition = constraint.column == Column.position.rawValue || constraint.column == -1
      guard isPosition || constraint.column == Column.time.rawValue && plan.collation(of: index) == "BINARY" else {
        continue
      }
      plan.take(index, argument: taken.add(relation, isTime: !isPosition))
      isBounded = isBounded || relation == .equal || relation == .greater || relation == .greaterOrEqual
    }
    plan.number = taken.number
    plan.isOrdered =
      plan.orderCount == 1 && !plan.order(0).isDescending && plan.order(0).column == Column.position.rawValue
    plan.estimatedRows = isBounded ? 1_000 : 1_000_000
    plan.estimatedCost = isBounded ? 10_000 : 10_000_000
  }

  override func makeCursor() throws(SQLiteError) -> VirtualCursor { EventCursor(store) }
}

/// The constraints that a plan has taken, as its number: four bits for each, in the order of the arguments.
struct TakenConstraints {
  private static let relations: [AccessPlan.Relation] = [.equal, .greater, .greaterOrEqual, .less, .lessOrEqual]
  private(set) var number: Int32 = 0
  private var count: Int32 = 0

  init() {}
  init(number: Int32) { self.number = number }

  var hasRoom: Bool { count < 7 }

  /// Adds one; returns the number of its argument.
  mutating func add(_ relation: AccessPlan.Relation, isTime: Bool) -> Int {
    let place = Int32(Self.relations.firstIndex(of: relation) ?? 0)
    number |= (1 + place + (isTime ? 5 : 0)) << (4 * count)
    count += 1
    return Int(count) - 1
  }

  /// The range that values for the arguments leave.
  func range(_ value: (Int) -> Value) -> EventRange {
    var range = EventRange()
    var rest = number
    var argument = 0
    while rest != 0 {
      let code = Int(rest & 15) - 1
      let relation = Self.relations[code % 5]
      if code >= 5 {
        range.narrowTime(relation, value(argument))
      } else {
        range.narrowPosition(relation, value(argument))
      }
      rest >>= 4
      argument += 1
    }
    return range
  }
}

private final class EventCursor: VirtualCursor {
  private let store: StoreCore
  private var range = EventRange()
  private var needed: UInt64 = 0
  private var reader: RecordedReader?
  private var fields: EventFields
  private var batch: Batch?
  private var commands: CommandReader?
  private var noEffect: ArraySlice<(index: UInt32, reason: UInt8)> = []
  private var position: UInt64 = 0
  /// Texts of the row: where each column's begins, and its end.
  private var texts = ByteBuffer()
  private var places: [(column: EventTable.Column, offset: Int)] = []

  init(_ store: StoreCore) {
    self.store = store
    fields = EventFields(EventNames(Catalog()), router: store.router)
    super.init(columnCount: EventTable.Column.allCases.count)
  }

  override var rowid: Int64? { Int64(clamping: position) }

  override func start(_ scan: Scan) throws(SQLiteError) -> Bool {
    range = TakenConstraints(number: scan.plan).range { scan.arguments.value($0) }
    needed = scan.neededColumns
    batch = nil
    commands = nil
    reader = nil
    do throws(StoreError) { try open() } catch { throw SQLiteError(error) }
    return try next()
  }

  private func open() throws(StoreError) {
    let pipeline = store.pipeline
    let applied = pipeline.positions.visible
    try pipeline.waitRecorded()
    fields = EventFields(EventNames(pipeline.catalog.withLock { $0 }), router: store.router)
    let first = max(UInt64(clamping: range.first), pipeline.log.firstPosition, 1)
    let last = min(UInt64(clamping: range.last), applied)
    guard !range.isEmpty, first <= last else { return }
    do { reader = try pipeline.log.recordedReader(after: first - 1, upTo: last, times: range.times) } catch {
      throw StoreError(error)
    }
    range.first = Int64(clamping: first)
    range.last = Int64(clamping: last)
  }

  override func next() throws(SQLiteError) -> Bool {
    do throws(StoreError) {
      while true {
        guard let batch, let command = commands?.next() else {
          if try !nextBatch() { return false }
          continue
        }
        position = batch.firstPosition + UInt64(command.index)
        var reason: UInt8?
        if let first = noEffect.first, Int(first.index) == command.index {
          reason = first.reason
          noEffect.removeFirst()
        }
        try fields.note(command, reason: reason)
        if position < UInt64(clamping: range.first) { continue }
        if position > UInt64(clamping: range.last) { return false }
        try show(command, of: batch, reason)
        return true
      }
    } catch { throw SQLiteError(error) }
  }

  private func nextBatch() throws(StoreError) -> Bool {
    do {
      guard let next = try reader?.next() else {
        reader = nil
        batch = nil
        commands = nil
        return false
      }
      batch = next.batch
      commands = next.batch.commands()
      noEffect = next.noEffect[...]
      return true
    } catch { throw StoreError(error) }
  }

  private func needs(_ column: EventTable.Column) -> Bool { needed & (1 << UInt64(column.rawValue)) != 0 }

  private func show(_ command: Command, of batch: Batch, _ reason: UInt8?) throws(StoreError) {
    cells.update(repeating: .null, count: columnCount)
    texts.removeAll()
    places.removeAll(keepingCapacity: true)
    set(.position, Int64(clamping: position))
    set(.session, Int64(bitPattern: batch.session))
    set(.accepted, reason == nil ? 1 : 0)
    if let shard = fields.shard(command) { set(.shard, Int64(shard)) }
    set(.kind, EventFields.kind(command))
    if needs(.time) { set(.time, EventTime.text(batch.timeMicroseconds)) }
    if needs(.table), let name = fields.tableName(command) { set(.table, name) }
    if needs(.reason), let reason { set(.reason, fields.words(reason, command)) }
    if needs(.key) {
      places.append((.key, texts.count))
      if try !fields.appendKey(command, to: &texts) { places.removeLast() }
    }
    if needs(.row) {
      places.append((.row, texts.count))
      if try !fields.appendRow(command, position: position, to: &texts) { places.removeLast() }
    }
    for (index, place) in places.enumerated() {
      let end = index + 1 < places.count ? places[index + 1].offset : texts.count
      cells[place.column.rawValue] = .text(UnsafeRawBufferPointer(rebasing: texts.bytes[place.offset..<end]))
    }
  }

  private func set(_ column: EventTable.Column, _ number: Int64) { cells[column.rawValue] = .integer(number) }

  private func set(_ column: EventTable.Column, _ text: String) {
    places.append((column, texts.count))
    texts.append(Array(text.utf8))
  }
}
