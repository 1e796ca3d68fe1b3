// What `sluice_events` and `sluice tail` say about a command: names in place of numbers, keys and rows as JSON.
//
// Names are those of the SQL table now. Of a table that is gone they are those of its last definition among the events
// read so far; where its CREATE TABLE lies before them, the table is NULL and the row an array.
//
// Unsafe by nature: named in the tidy test.
import SluiceLog
import SluiceSQL
import SluiceSystem

/// Tables by number, as the reader of events knows them.
struct EventNames {
  /// The tables that there are now.
  var catalog: Catalog
  /// Those that events have told of.
  private var seen: [UInt32: SQLTable] = [:]

  init(_ catalog: Catalog) { self.catalog = catalog }

  func table(_ id: UInt32) -> SQLTable? { catalog.tablesByID[id] ?? seen[id] }

  /// Takes note of what a catalog change that took effect says about a table.
  mutating func note(_ change: CatalogChange) throws(StoreError) {
    guard change.object == .table, change.operation == .create || change.operation == .alter else { return }
    guard catalog.tablesByID[change.tableID] == nil else { return }
    do {
      guard case .createTable(let definition) = try parseStatement(change.definition) else { return }
      seen[change.tableID] = SQLTable(
        id: change.tableID, definition: definition, isNumbered: change.isNumbered)
    } catch { throw StoreError(error) }
  }
}

/// The fields of one event after the other. Belongs to one thread.
final class EventFields {
  var names: EventNames
  private let router: Router

  init(_ names: EventNames, router: Router) {
    self.names = names
    self.router = router
  }

  private static let kinds = ["insert", "ignore", "put", "delete", "putIf", "deleteIf", "clear", "catalog"]

  static func kind(_ command: Command) -> String { kinds[Int(command.kind.rawValue) - 1] }

  /// The command's shard; nil when it concerns all.
  func shard(_ command: Command) -> Int? {
    command.kind == .clear ? nil : command.kind == .catalog ? 0 : router.shard(slot: command.slot)
  }

  /// The table's number; 0 for a change of the catalog.
  func tableID(_ command: Command) -> UInt32 {
    command.key.count >= KeySpace.prefixSize ? command.key.loadUnaligned(as: UInt32.self).bigEndian : 0
  }

  /// The name of the command's table, or of what a catalog change is about; nil when it is not known, or a key space.
  func tableName(_ command: Command) -> String? {
    if command.kind == .catalog { return CatalogChange.decode(command.value)?.name }
    return names.table(tableID(command))?.name
  }

  /// To be called for each command in order: catalog changes that took effect tell of tables.
  func note(_ command: Command, reason: UInt8?) throws(StoreError) {
    guard command.kind == .catalog, reason == nil, let change = CatalogChange.decode(command.value) else { return }
    try names.note(change)
  }

  /// Appends the key as an array of its values; false when there is none: a clear.
  func appendKey(_ command: Command, to target: inout ByteBuffer) throws(StoreError) -> Bool {
    if command.kind == .clear { return false }
    target.append(byte: UInt8(ascii: "["))
    defer { target.append(byte: UInt8(ascii: "]")) }
    if command.kind == .catalog {
      if let change = CatalogChange.decode(command.value) { target.append(json: change.name) }
      return true
    }
    let bytes = UnsafeRawBufferPointer(rebasing: command.key[min(KeySpace.prefixSize, command.key.count)...])
    let id = tableID(command)
    if KeySpace.contains(id) {
      target.append(jsonBlob: bytes)
    } else if isStream(id, command), bytes.count == 8 {
      target.append(json: .integer(Int64(bigEndian: bytes.loadUnaligned(as: Int64.self))))
    } else {
      var decoder = KeyDecoder(bytes)
      var isFirst = true
      while let value = decoder.next() {
        if !isFirst { target.append(byte: UInt8(ascii: ",")) }
        isFirst = false
        target.append(json: value)
      }
      // Of a table whose definition is not known: its rows may be keyed by their position.
      if decoder.failed, isFirst { target.append(jsonBlob: bytes) }
    }
    return true
  }

  private func isStream(_ id: UInt32, _ command: Command) -> Bool {
    names.table(id)?.isStream ?? command.isPositionKeyed
  }

  /// Appends the row; false when there is none: a removal.
  func appendRow(_ command: Command, position: UInt64, to target: inout ByteBuffer) throws(StoreError) -> Bool {
    if command.kind == .clear || command.kind.removes { return false }
    if command.kind == .catalog {
      appendChange(command, to: &target)
      return true
    }
    let id = tableID(command)
    if KeySpace.contains(id) {
      target.append(jsonBlob: command.row)
      return true
    }
    guard var values = RowReader(command.row).values() else {
      throw StoreError(.corrupt, "position \(position): the row cannot be read", sqliteCode: 11)
    }
    let columns = names.table(id)?.definition.columns ?? []
    let isNamed = !columns.isEmpty && values.count <= columns.count
    if isNamed { values += columns.dropFirst(values.count).map(\.valueOfEarlierRows) }
    target.append(byte: UInt8(ascii: isNamed ? "{" : "["))
    for (index, value) in values.enumerated() {
      if index > 0 { target.append(byte: UInt8(ascii: ",")) }
      if isNamed {
        target.append(json: columns[index].name)
        target.append(byte: UInt8(ascii: ":"))
      }
      target.append(json: value)
    }
    target.append(byte: UInt8(ascii: isNamed ? "}" : "]"))
    return true
  }

  private func appendChange(_ command: Command, to target: inout ByteBuffer) {
    guard let change = CatalogChange.decode(command.value) else { return target.append(Array("{}".utf8)) }
    var fields: [(String, Value)] = [
      ("operation", text("\(change.operation)")), ("object", text("\(change.object)")),
    ]
    if change.tableID != 0, change.operation != .drop { fields.append(("id", .integer(Int64(change.tableID)))) }
    if change.operation == .setSequence { fields.append(("sequence", .integer(change.sequence))) }
    if !change.owner.isEmpty {
      fields.append((change.object == .table ? "renamed" : "owner", text(change.owner)))
    }
    if !change.definition.isEmpty { fields.append(("definition", text(change.definition))) }
    for (index, field) in fields.enumerated() {
      target.append(byte: UInt8(ascii: index == 0 ? "{" : ","))
      target.append(json: field.0)
      target.append(byte: UInt8(ascii: ":"))
      target.append(json: field.1)
    }
    target.append(byte: UInt8(ascii: "}"))
  }

  private func text(_ string: String) -> Value { .text(Array(string.utf8)) }

  /// Why a command had no effect, in the words its sender was told.
  func words(_ reason: UInt8, _ command: Command) -> String {
    let id = tableID(command)
    switch NoEffect(rawValue: reason) {
    case .duplicateKey:
      return KeySpace.contains(id)
        ? KeySpace.duplicateMessage(id) : names.table(id)?.duplicateMessage ?? "UNIQUE constraint failed"
    case .noSuchTable: return "no such table"
    case .catalogConflict: return "it contradicts the catalog"
    case .withAnother: return "another command of its statement was rejected"
    case .ignored: return "ignored, as its statement asks"
    case .changedMeanwhile: return "the row changed meanwhile"
    case nil: return "reason \(reason)"
    }
  }
}
