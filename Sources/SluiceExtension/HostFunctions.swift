// The SQL functions of the extension. Those that touch a store can be called by statements alone, not by a schema:
//
//   sluice_version()               of the extension
//   sluice_attach(path [, prefix [, 'create']])
//                                  attaches a whole store to temp, or brings it up to date; the list of its tables is
//                                  temp.<prefix>sluice_tables. Returns how many it has. A store is made only with
//                                  'create'
//   sluice_execute(sql [, path])   CREATE, ALTER or DROP in the store, SHARD KEY included; the tables in temp follow
//   sluice_wait(level [, path])    waits until what this connection has committed is 'durable', 'applied' or
//                                  'projected'; returns the store's position
//   sluice_position([path])        the last position that a statement sees
//
// `path` names one of several attached stores.
import Sluice
import SluiceSQLite
import SluiceSystem

/// What sluice_version() answers.
let version = "0.1.0"

extension Host {
  func registerFunctions() throws(SQLiteError) {
    try connection.register(function: "sluice_version", argumentCount: 0, deterministic: true) { _ in
      .text(Array(version.utf8))
    }
    try register("sluice_attach", 1...3) { (arguments) throws(SQLiteError) in
      try self.attach(arguments)
    }
    try register("sluice_execute", 1...2) { (arguments) throws(SQLiteError) in
      let store = try self.attached(self.text(arguments, 1), function: "sluice_execute")
      do throws(StoreError) { try store.define(self.text(arguments, 0) ?? "") } catch {
        throw SQLiteError(converting: error)
      }
      try self.followAll(store)
      return .null
    }
    try register("sluice_wait", 1...2) { (arguments) throws(SQLiteError) in
      let store = try self.attached(self.text(arguments, 1), function: "sluice_wait")
      let word = self.text(arguments, 0) ?? "NULL"
      guard let level = AcknowledgementLevel(rawValue: word), level != .queued else {
        throw SQLiteError(message: "sluice_wait: the level is durable, applied or projected, not \(word)")
      }
      do throws(StoreError) {
        try store.wait(for: level)
        return .integer(Int64(try store.position))
      } catch { throw SQLiteError(converting: error) }
    }
    try register("sluice_position", 0...1) { (arguments) throws(SQLiteError) in
      let store = try self.attached(self.text(arguments, 0), function: "sluice_position")
      do throws(StoreError) { return .integer(Int64(try store.position)) } catch {
        throw SQLiteError(converting: error)
      }
    }
  }

  /// One registration for each number of arguments: SQLite refuses others.
  private func register(
    _ name: String, _ counts: ClosedRange<Int32>, _ body: @escaping (Arguments) throws(SQLiteError) -> Value
  ) throws(SQLiteError) {
    for count in counts {
      try connection.register(function: name, argumentCount: count, deterministic: false, directOnly: true, body)
    }
  }

  /// Argument `index` as text; nil when it is NULL or not given.
  private func text(_ arguments: Arguments, _ index: Int) -> String? {
    guard index < arguments.count, arguments.type(index) != .null else { return nil }
    return String(decoding: arguments.text(index), as: UTF8.self)
  }

  private func attach(_ arguments: Arguments) throws(SQLiteError) -> Value {
    guard let path = text(arguments, 0), !path.isEmpty else {
      throw SQLiteError(message: "sluice_attach: the path of a store is missing")
    }
    do throws(StoreError) { try Store.checkName(path) } catch { throw SQLiteError(converting: error) }
    if arguments.count == 3 {
      guard text(arguments, 2) == "create" else {
        throw SQLiteError(message: "sluice_attach: the third argument is 'create' or not given")
      }
      try create(path)
    }
    defer { created = nil }
    return .integer(Int64(try attach(path, prefix: text(arguments, 1) ?? "")))
  }
}

extension SQLiteError {
  /// An error of the store, as its host hears it.
  init(converting error: StoreError) {
    self.init(code: error.sqliteCode ?? 1, message: error.message)
  }
}
