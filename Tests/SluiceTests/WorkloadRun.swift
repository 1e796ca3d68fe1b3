// Runs a workload on a store and compares what the store holds with the model.
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// Where a run stands; read by who looks on from inside a file call.
final class WorkloadRun {
  let workload: Workload
  private let options: StoreOptions
  private(set) var store: Store
  private var session: Session
  /// Steps begun.
  private(set) var begun: Int
  /// Steps whose effect was acknowledged.
  private(set) var acknowledged: Int
  private let rejectionsBefore: Int
  private var rejections: [String] = []
  private let comment: Comment

  /// Opens the store, which must hold a whole number of steps, and no fewer than `least`.
  init(_ workload: Workload, options: StoreOptions, least: Int, comment: Comment) throws {
    self.workload = workload
    self.options = options
    self.comment = comment
    store = try Store.open(path: "shop", options: options)
    let position = store.lastPosition
    begun = try #require(workload.model(at: position), "position \(position) is within a statement; \(comment)")
    #expect(
      position >= workload.models[least].position,
      "step \(least) was acknowledged, and only \(begun) are there; \(comment)")
    acknowledged = begun
    rejectionsBefore = workload.models[begun].rejections.count
    session = try store.makeSession()
  }

  /// Runs steps up to `end` (not included).
  func run(to end: Int) throws {
    while begun < end {
      let step = workload.steps[begun]
      begun += 1
      try run(step)
    }
  }

  private func run(_ step: Step) throws {
    switch step {
    case .statement(let operation):
      try session.perform(operation)
      if operation.isPipelined { return }
      acknowledged = begun
    case .transaction(let operations, let commits):
      try session.run("BEGIN")
      for operation in operations { try session.perform(operation) }
      try session.run(commits ? "COMMIT" : "ROLLBACK")
    case .send:
      session.acknowledgement = .queued
      try session.acknowledge()
      session.acknowledgement = .durable
    case .settle: try settle()
    case .select(let table):
      try settle()
      try compareSelect(table)
    case .reopen(let drain):
      try settle()
      try store.close(drain: drain)
      store = try Store.open(path: "shop", options: options)
      session = try store.makeSession()
    }
  }

  func settle() throws {
    try session.settle()
    acknowledged = begun
    rejections += session.takeRejections().map(\.message)
  }

  /// Compares shards, SELECT and rejections with the model.
  func compare() throws {
    try settle()
    let model = workload.models[begun]
    #expect(store.lastPosition == model.position, comment)
    if let difference = difference(try store.liveContents(comment), model.contents) {
      Issue.record("shards: \(difference); \(comment)")
    }
    #expect(rejections == Array(model.rejections[rejectionsBefore...]), comment)
    for table in model.contents.keys.sorted() { try compareSelect(table) }
  }

  private func compareSelect(_ table: String) throws {
    let model = workload.models[begun]
    let shape = TableShape.named(table)
    let found = try session.run("SELECT \(shape.key.isEmpty ? "rowid" : "0"), * FROM \(table)")
    compareRows(found, model, shape)
  }

  private func compareRows(_ found: [[Value]], _ model: Model, _ shape: TableShape) {
    let expected = model.contents[shape.name]!.values.map {
      [shape.key.isEmpty ? .integer(Int64($0.firstPosition)) : .integer(0)] + $0.values
    }
    #expect(
      Set(found.map { $0.map(literal).joined(separator: "|") })
        == Set(expected.map { $0.map(literal).joined(separator: "|") }), "SELECT from \(shape.name); \(comment)")
    #expect(found.count == expected.count, "SELECT from \(shape.name); \(comment)")
  }

  /// Leaves, then reads projections.db as any program would.
  func closeAndCompareFile() throws {
    try store.close()
    let model = workload.models[begun]
    let connection = try Connection(path: options.projectionsPath!, mode: .readOnly)
    #expect(
      try connection.prepare("SELECT position FROM sluice_checkpoint").rows() == [[.integer(Int64(model.position))]],
      comment)
    let names = try connection.prepare(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sluice_%' ORDER BY 1"
    ).rows()
    #expect(names == model.contents.keys.sorted().map { [text($0)] }, comment)
    for table in model.contents.keys {
      let shape = TableShape.named(table)
      compareRows(
        try connection.prepare("SELECT \(shape.key.isEmpty ? "rowid" : "0"), * FROM \(table)").rows(), model, shape)
    }
    #expect(try connection.prepare("PRAGMA integrity_check").rows() == [[text("ok")]], comment)
  }
}
