// A seeded workload with everything a store can be told, and the model of what must come of it: dictionaries that
// change statement by statement, with the position of every row. The model knows no log, no shard and no SQLite.
import SluiceLog
import SluiceSQL
import SluiceSystem
import SluiceTesting

@testable import Sluice

/// What one SQL table is made of.
struct TableShape {
  let name: String
  let sql: String
  /// Key columns; empty: rows are keyed by their position, as early versions keyed those of a table without a key.
  let key: [Int]

  static let all = [
    TableShape(
      name: "pair", sql: "CREATE TABLE pair(a INTEGER, b TEXT, v TEXT, PRIMARY KEY(a, b), SHARD KEY(a))", key: [0, 1]),
    TableShape(name: "number", sql: "CREATE TABLE number(id INTEGER PRIMARY KEY, n INTEGER, v TEXT)", key: [0]),
    TableShape(name: "stream", sql: "CREATE TABLE stream(n INTEGER, m INTEGER, v TEXT)", key: []),
    TableShape(name: "placed", sql: "CREATE TABLE placed(n INTEGER, m INTEGER, v TEXT, SHARD KEY(n))", key: []),
    TableShape(name: "fleeting", sql: "CREATE TABLE fleeting(k TEXT PRIMARY KEY, n INTEGER, v TEXT)", key: [0]),
  ]

  static func named(_ name: String) -> TableShape { all.first { $0.name == name }! }
}

/// One command of a statement that is written by its key.
struct Change {
  let kind: CommandKind
  /// The key's columns and, for a put, the others.
  let row: ContentRow
  let expected: UInt64?
}

extension Session {
  func perform(_ operation: Operation) throws(StoreError) {
    if case .create(let table) = operation, TableShape.named(table).key.isEmpty {
      return try createEarly(operation.sql)
    }
    guard case .change(let table, let changes) = operation else {
      try run(operation.sql)
      return
    }
    for (index, change) in changes.enumerated() { append(change, to: table, startsStatement: index == 0) }
    try statementEnded()
  }

  /// Appends a change as UPDATE and DELETE would: the row's own key, and the slot that it was placed by.
  private func append(_ change: Change, to name: String, startsStatement: Bool) {
    refreshCatalog()
    let table = catalog.table(name)!
    let key = change.key(of: table)
    var place = ByteBuffer()
    for column in table.placingColumns { KeyFormat.append(change.row.values[column], to: &place) }
    let slot =
      table.placingColumns.isEmpty
      ? SluiceLog.slot(ofPosition: change.row.firstPosition) : store.router.slot(shardKey: place.bytes)
    var row = RowBuilder()
    var value = change.kind.removes ? [] : Array(row.encode(change.row.values))
    if let expected = change.expected { withUnsafeBytes(of: expected.littleEndian) { value += $0 } }
    key.withUnsafeBytes { key in
      value.withUnsafeBytes { value in
        builder.append(
          kind: change.kind, startsStatement: startsStatement, slot: slot, line: 1, key: key, value: value)
      }
    }
  }
}

extension Change {
  func key(of table: SQLTable) -> [UInt8] {
    var key = ByteBuffer()
    key.append(bigEndian: table.id)
    if table.isStream { key.append(bigEndian: row.firstPosition) }
    for column in table.definition.primaryKey { KeyFormat.append(row.values[column], to: &key) }
    return Array(key.bytes)
  }
}

enum Operation {
  enum Action: String { case abort = "INSERT", ignore = "INSERT OR IGNORE", replace = "INSERT OR REPLACE" }
  case create(String)
  case drop(String)
  case index(String)
  /// DELETE without WHERE.
  case clear(String)
  case insert(String, Action, [[Value]])
  /// Commands as no SQL statement makes them: removals and conditions.
  case change(String, [Change])

  /// Whether it is on its way when `perform` returns, to be acknowledged later.
  var isPipelined: Bool {
    switch self {
    case .insert, .change: true
    default: false
    }
  }

  var sql: String {
    switch self {
    case .change: return "\(self)"

    case .create(let table): return TableShape.named(table).sql
    case .drop(let table): return "DROP TABLE \(table)"
    case .clear(let table): return "DELETE FROM \(table)"
    case .index(let table): return "CREATE INDEX by_\(table) ON \(table)(v)"
    case .insert(let table, let action, let rows):
      let list = rows.map { "(" + $0.map(literal).joined(separator: ",") + ")" }.joined(separator: ",")
      return "\(action.rawValue) INTO \(table) VALUES\(list)"
    }
  }
}

/// One step of a workload: what is there after a crash is there by whole steps.
enum Step {
  case statement(Operation)
  case transaction([Operation], commits: Bool)
  /// Hands what is pending to the queue, without waiting.
  case send
  case settle
  /// Settles, and reads a table back.
  case select(String)
  /// Leaves the store and opens it again.
  case reopen(drain: Bool)
}

struct Model {
  var contents = Contents()
  /// Position of the last command.
  var position: UInt64 = 0
  /// Sentences of the statements rejected so far.
  var rejections: [String] = []

  mutating func apply(_ step: Step) {
    switch step {
    case .statement(let operation): apply(operation)
    case .transaction(let operations, commits: true): for operation in operations { apply(operation) }
    default: break
    }
  }

  mutating func apply(_ operation: Operation) {
    switch operation {
    case .create(let table):
      position += 1
      contents[table] = [:]
    case .drop(let table):
      position += 1
      contents[table] = nil
    case .index: position += 1
    case .clear(let table):
      // One record, or none for an empty table.
      if contents[table]?.isEmpty == false { position += 1 }
      contents[table] = [:]
    case .insert(let table, let action, let rows): insert(TableShape.named(table), action, rows)
    case .change(let table, let changes): change(TableShape.named(table), changes)
    }
  }

  private mutating func change(_ shape: TableShape, _ changes: [Change]) {
    var table = contents[shape.name]!
    var isRejected = false
    for change in changes {
      position += 1
      if isRejected { continue }
      let key = contentKey(shape.key, change.row)
      if let expected = change.expected, expected != table[key]?.position ?? 0 {
        isRejected = true
      } else if change.kind.removes {
        table[key] = nil
      } else {
        table[key] = ContentRow(
          position: position, values: change.row.values, firstPosition: change.row.firstPosition)
      }
    }
    if isRejected { rejections.append("the row changed meanwhile") } else { contents[shape.name] = table }
  }

  private mutating func insert(_ shape: TableShape, _ action: Operation.Action, _ rows: [[Value]]) {
    var table = contents[shape.name]!
    var isRejected = false
    for values in rows {
      position += 1
      let row = ContentRow(position: position, values: values, firstPosition: shape.key.isEmpty ? position : 0)
      let key = contentKey(shape.key, row)
      if table[key] != nil, action == .abort { isRejected = true }
      if table[key] == nil || action == .replace { table[key] = row }
    }
    if isRejected {
      let columns = shape.name == "pair" ? ["a", "b"] : shape.name == "number" ? ["id"] : ["k"]
      rejections.append(
        "UNIQUE constraint failed: " + columns.map { "\(shape.name).\($0)" }.joined(separator: ", "))
    } else {
      contents[shape.name] = table
    }
  }
}

/// The steps of one seed, and the model after each.
struct Workload {
  let steps: [Step]
  /// `models[i]`: after `i` steps.
  let models: [Model]

  init(seed: UInt64, count: Int) {
    var maker = StepMaker(random: SeededRandom(seed: seed))
    var steps: [Step] = TableShape.all.dropLast().map { .statement(.create($0.name)) }
    steps.append(.statement(.index("pair")))
    for step in steps { maker.model.apply(step) }
    // Whatever the seed: a large transaction that comes to nothing, and one that does not.
    for commits in [false, true] { steps.append(maker.largeTransaction(commits: commits)) }
    while steps.count < count { steps.append(maker.next()) }
    steps.append(.settle)
    var model = Model()
    var models = [model]
    for step in steps {
      model.apply(step)
      models.append(model)
    }
    self.steps = steps
    self.models = models
  }

  /// The model of the store whose log ends at `position`; nil when that is within a statement or a transaction.
  func model(at position: UInt64) -> Int? { models.firstIndex { $0.position == position } }
}

private struct StepMaker {
  var random: SeededRandom
  private var hasFleeting = false
  /// After the steps made so far, and inside a transaction after its statements so far.
  var model = Model()

  init(random: SeededRandom) { self.random = random }

  mutating func next() -> Step {
    switch random.below(42) {
    case 0...7: return .statement(insert())
    case 8...12: return .statement(change())
    case 13...14: return .statement(fleeting())
    case 15...17:
      return .transaction(
        (0..<(1 + random.below(4))).map { _ in random.chance(1, of: 3) ? change() : insert() }, commits: true)
    case 18...19: return .transaction((0..<8).map { _ in insert(rows: 4) }, commits: true)
    case 20:
      let before = model
      defer { model = before }
      return .transaction((0..<(1 + random.below(8))).map { _ in insert(rows: 4) }, commits: false)
    case 21: return .transaction([fleeting(), insert(), fleeting()], commits: true)
    case 22...26: return .send
    case 27...34: return .settle
    case 35...37: return .select(TableShape.all[random.below(4)].name)
    case 38: return .reopen(drain: true)
    case 39: return .reopen(drain: false)
    default: return .statement(made(.clear(TableShape.all[random.below(4)].name)))
    }
  }

  /// More than `simulatedOptions` keeps in memory: it is staged.
  mutating func largeTransaction(commits: Bool) -> Step {
    let before = model
    defer { if !commits { model = before } }
    return .transaction((0..<16).map { $0 % 4 == 3 ? change() : insert(rows: 4) }, commits: commits)
  }

  /// Takes note of what was made.
  private mutating func made(_ operation: Operation) -> Operation {
    model.apply(operation)
    return operation
  }

  /// One to three keys, most of them taken, are given rows or taken away, most on a condition, and most of those hold.
  private mutating func change() -> Operation {
    let shape = TableShape.all[random.below(4)]
    let rows = model.contents[shape.name]!.sorted { $0.key < $1.key }.map(\.value)
    var changes: [Change] = []
    var seen: Set<String> = []
    for _ in 0...random.below(3) {
      let known = rows.isEmpty || random.chance(1, of: 5) ? nil : rows[random.below(rows.count)]
      var row = known ?? ContentRow(position: 0, values: self.row(shape.name))
      // A new image keeps the key and what places it.
      if known != nil { row = withNewText(row) }
      // A table without a key has no row that did not get its key from its position.
      if shape.key.isEmpty, known == nil { row.firstPosition = 1 }
      if known == nil, shape.name == "placed" { continue }
      guard seen.insert(contentKey(shape.key, row)).inserted else { continue }
      let kind: CommandKind = [.putIf, .putIf, .putIf, .deleteIf, .deleteIf, .delete, .put][random.below(7)]
      let newest = model.contents[shape.name]![contentKey(shape.key, row)]?.position ?? 0
      let wrong = newest == 0 ? 1 : random.chance(1, of: 2) ? 0 : newest - 1
      let expected = kind == .put || kind == .delete ? nil : random.chance(1, of: 6) ? wrong : newest
      changes.append(Change(kind: kind, row: row, expected: expected))
    }
    if changes.isEmpty { return insert() }
    return made(.change(shape.name, changes))
  }

  private mutating func withNewText(_ row: ContentRow) -> ContentRow {
    let values = row.values.dropLast() + [text("changed \(random.below(1000))")]
    return ContentRow(position: 0, values: Array(values), firstPosition: row.firstPosition)
  }

  /// A table that comes and goes.
  private mutating func fleeting() -> Operation {
    guard hasFleeting else {
      hasFleeting = true
      return made(.create("fleeting"))
    }
    switch random.below(3) {
    case 0:
      hasFleeting = false
      return made(.drop("fleeting"))
    default: return insert("fleeting", rows: 1 + random.below(3))
    }
  }

  private mutating func insert(rows: Int? = nil) -> Operation {
    insert(TableShape.all[random.below(4)].name, rows: rows ?? [1, 1, 1, 2, 5][random.below(5)])
  }

  private mutating func insert(_ table: String, rows: Int) -> Operation {
    let isStream = table == "stream" || table == "placed"
    let action: Operation.Action =
      switch isStream ? 0 : random.below(6) {
      case 4: .ignore
      case 5: .replace
      default: .abort
      }
    return made(.insert(table, action, (0..<rows).map { _ in row(table) }))
  }

  /// Few enough keys that one row in four or so meets another.
  private mutating func row(_ table: String) -> [Value] {
    let value = text(String(repeating: "v", count: random.below(90)) + "\(random.below(1000))")
    let number = Value.integer(Int64(random.below(400)) - 200)
    switch table {
    case "pair": return [.integer(Int64(random.below(20))), text("b'\(random.below(12))"), value]
    case "fleeting": return [text("k\(random.below(9))"), number, value]
    default: return [number, random.chance(1, of: 9) ? .null : number, value]
    }
  }
}
