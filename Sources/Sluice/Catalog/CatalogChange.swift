// A change of the catalog, as it stands in the log (a command of kind `catalog`) and in shard 0 (under reserved keys).
//
// Key in the log and in shard 0:  4 bytes 0 (table id 0 is reserved), 1 byte: 0 object, 1 sequence, 2 setting; then the
// object's name in ASCII lower case, UTF-8.
// Value:
//   offset size
//        0    1  operation: 1 create, 2 drop, 3 set sequence, 4 alter: replaces the definition of an object
//        1    1  kind of object: 1 table, 2 index, 3 view, 4 projection, 5 setting of the store, whose value is the
//                definition (always an alter)
//        2    1  flags: bit 0 lenient (IF NOT EXISTS, IF EXISTS: an object in the way, or a missing one, is no error;
//                of a sequence: it is this number, and not merely at least this); bit 1 of a table without a primary
//                key: its rows have numbers of their own (early stores: their positions)
//        3    1  zero
//        4    4  table id of a created or altered table, and of the one that a sequence belongs to (0 in early
//                stores); for a drop the highest id given out so far, so that none is ever used again; else 0
//        8    8  sequence: highest key ever given out, for operation 3; for operation 4 the mark of the catalog that
//                the change was made for (Catalog.swift), 0: of any
//       16    -  name as written: varint size, UTF-8
//        -    -  owner: name of the SQL table or projection that an index belongs to, and of the SQL table that a
//                projection follows row by row; the new name of an altered table, empty when it keeps its name: varint
//                size, UTF-8
//        -    -  definition: canonical SQL: varint size, UTF-8
// A table gets another name by two changes in one statement: an alter under the old name, whose owner is the new one,
// and an alter under the new name. So under each name shard 0 keeps what last became of it, as for a drop.
// A projection is rebuilt by an alter to the definition that it has.
// Limits: those of a command (Batch.swift): key 16 KiB, so a name has 16,379 bytes at most; value 64 MiB, so a
// definition has a little less. A reader takes an unknown operation or kind for corruption.
//
// Worked example, DROP TABLE IF EXISTS t when ids up to 3 are given out:
//   02 01 01 00  03 00 00 00  00 00 00 00 00 00 00 00  01 74  00  00
// ALTER TABLE t RENAME TO u, the first of its two changes, for a table with the id 3 of the one column a:
//   04 01 00 00  03 00 00 00  00 00 00 00 00 00 00 00  01 74  01 75  16
//   43 52 45 41 54 45 20 54 41 42 4c 45 20 75 20 28 0a 20 20 61 0a 29
import SluiceSQL
import SluiceSystem

/// One CREATE, DROP, ALTER or sequence change.
struct CatalogChange: Equatable, Sendable {
  enum Operation: UInt8 { case create = 1, drop, setSequence, alter }
  enum ObjectKind: UInt8, Sendable {
    case table = 1, index, view, projection, setting

    /// Its word in SQL.
    var noun: String {
      switch self {
      case .table: "TABLE"
      case .index: "INDEX"
      case .view: "VIEW"
      case .projection: "PROJECTION"
      case .setting: "SETTING"
      }
    }
  }

  var operation: Operation
  var object: ObjectKind
  var lenient = false
  /// Of a table without a primary key: whether its rows have numbers of their own.
  var isNumbered = false
  var tableID: UInt32 = 0
  var sequence: Int64 = 0
  var name: String
  var owner = ""
  var definition = ""

  /// The reserved key under which shard 0 keeps what the change says.
  var key: [UInt8] {
    let kind: UInt8 = object == .setting ? 2 : operation == .setSequence ? 1 : 0
    return [0, 0, 0, 0, kind] + Array(folded(name).utf8)
  }

  /// Whether it takes something away, or says what the store may.
  var makesRoom: Bool { operation == .drop || operation == .setSequence || object == .setting }

  /// A change that creates what this one creates or makes of it.
  var asCreation: CatalogChange {
    CatalogChange(
      operation: .create, object: object, isNumbered: isNumbered, tableID: tableID, name: name,
      owner: object == .table ? "" : owner, definition: definition)
  }

  func encoded() -> [UInt8] {
    var buffer = ByteBuffer(capacity: 64 + definition.utf8.count)
    buffer.append([operation.rawValue, object.rawValue, (lenient ? 1 : 0) | (isNumbered ? 2 : 0), 0])
    buffer.append(littleEndian: tableID)
    buffer.append(littleEndian: sequence)
    for text in [name, owner, definition] {
      buffer.append(varint: UInt64(text.utf8.count))
      buffer.append(Array(text.utf8))
    }
    return Array(buffer.bytes)
  }

  /// Nil when the bytes are not what `encoded` writes.
  static func decode(_ bytes: UnsafeRawBufferPointer) -> CatalogChange? {
    var reader = ByteReader(bytes)
    let operation = Operation(rawValue: reader.readByte())
    let object = ObjectKind(rawValue: reader.readByte())
    let flags = reader.readByte()
    _ = reader.readByte()
    let tableID = reader.readLittleEndian(UInt32.self)
    let sequence = reader.readLittleEndian(Int64.self)
    let texts = (0..<3).map { _ in String(decoding: reader.readSized(), as: UTF8.self) }
    guard !reader.failed, reader.remaining == 0, let operation, let object, flags < 4 else { return nil }
    return CatalogChange(
      operation: operation, object: object, lenient: flags & 1 != 0, isNumbered: flags & 2 != 0, tableID: tableID,
      sequence: sequence, name: texts[0], owner: texts[1], definition: texts[2])
  }
}

/// The definition of a projection as the catalog keeps it, or nil when it is something else.
func projectionDefinition(_ text: String) -> CreateProjection? {
  do {
    if case .createProjection(let definition) = try parseStatement(text) { return definition }
  } catch {}
  return nil
}
