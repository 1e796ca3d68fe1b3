// The delta table against bind-and-step: same rows, same content.
import CSQLite
import SluiceSQLite
import SluiceSystem
import Testing

/// Rows as a projector has them: encoded one behind the other in one memory (tag, then 8 bytes or size and bytes).
private final class EncodedRows: DeltaTable {
  @exclusivity(unchecked) var bytes = ByteBuffer()
  @exclusivity(unchecked) var offsets: [Int] = []
  var decoded = 0

  func append(_ row: [Value]) {
    offsets.append(bytes.count)
    for value in row {
      switch value {
      case .null: bytes.append(byte: 0)
      case .integer(let number):
        bytes.append(byte: 1)
        bytes.append(littleEndian: number)
      case .real(let number):
        bytes.append(byte: 2)
        bytes.append(littleEndian: number.bitPattern)
      case .text(let content): appendSized(3, content)
      case .blob(let content): appendSized(4, content)
      }
    }
    rowCount = offsets.count
  }

  private func appendSized(_ tag: UInt8, _ content: [UInt8]) {
    bytes.append(byte: tag)
    bytes.append(varint: UInt64(content.count))
    bytes.append(content)
  }

  func clear() {
    bytes.removeAll()
    offsets.removeAll()
    rowCount = 0
  }

  override func decode(
    _ index: Int, into cells: UnsafeMutablePointer<Cell>, needed: UInt64
  ) throws(SQLiteError) {
    decoded += 1
    var reader = ByteReader(bytes.bytes, offset: offsets[index])
    for column in 0..<columnCount {
      switch reader.readByte() {
      case 0: cells[column] = .null
      case 1: cells[column] = .integer(reader.readLittleEndian(Int64.self))
      case 2: cells[column] = .real(Double(bitPattern: reader.readLittleEndian(UInt64.self)))
      case 3: cells[column] = .text(reader.readSized())
      case 4: cells[column] = .blob(reader.readSized())
      default: throw SQLiteError(code: SQLITE_CORRUPT, message: "row \(index) is damaged")
      }
    }
    if reader.failed { throw SQLiteError(code: SQLITE_CORRUPT, message: "row \(index) is cut") }
  }
}

@Suite struct DeltaTableTests {
  private static let columns = ["a", "b", "c", "d"]

  @Test(arguments: [UInt64(11), 12, 13]) func equalsBindAndStep(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let connection = try Connection.memory()
    try connection.execute("CREATE TABLE bound(a,b,c,d); CREATE TABLE mirrored(a,b,c,d)")
    let delta = EncodedRows(columns: Self.columns)
    try connection.register(table: "delta", delta)
    let bind = try connection.prepare("INSERT INTO bound VALUES(?,?,?,?)", persistent: true)
    let mirror = try connection.prepare("INSERT INTO mirrored SELECT * FROM delta", persistent: true)
    for _ in 0..<20 {
      delta.clear()
      let rows = (0..<Int.random(in: 0...40, using: &random)).map { _ in (0..<4).map { _ in randomValue(&random) } }
      for row in rows {
        try bind.bind(row)
        try bind.run()
        delta.append(row)
      }
      try mirror.run()
      #expect(connection.changes == rows.count || rows.isEmpty, "seed \(seed)")
    }
    let all = "ORDER BY rowid"
    #expect(
      try connection.rows("SELECT * FROM bound \(all)") == connection.rows("SELECT * FROM mirrored \(all)"),
      "seed \(seed)")
  }

  @Test func projectionsUpsertFromIt() throws {
    let connection = try Connection.memory()
    try connection.execute("CREATE TABLE revenue(user INTEGER PRIMARY KEY, n, total, last)")
    let delta = EncodedRows(columns: ["user INTEGER", "amount REAL", "note TEXT"])
    try connection.register(table: "delta", delta)
    let project = try connection.prepare(
      """
      INSERT INTO revenue SELECT user, count(*), sum(amount), max(note) FROM delta WHERE true GROUP BY 1
      ON CONFLICT(user) DO UPDATE SET n = n + excluded.n, total = total + excluded.total,
        last = max(last, excluded.last)
      """, persistent: true)
    for batch in 0..<3 {
      delta.clear()
      for row in 0..<10 {
        delta.append([.integer(Int64(row % 3)), .real(Double(batch)), text("note \(batch) \(row)")])
      }
      try project.run()
    }
    #expect(
      try connection.rows("SELECT * FROM revenue") == [
        [.integer(0), .integer(12), .real(12), text("note 2 9")],
        [.integer(1), .integer(9), .real(9), text("note 2 7")],
        [.integer(2), .integer(9), .real(9), text("note 2 8")],
      ])
  }

  @Test func damagedRowsAreErrors() throws {
    let connection = try Connection.memory()
    try connection.execute("CREATE TABLE t(a,b)")
    let delta = EncodedRows(columns: ["a", "b"])
    try connection.register(table: "delta", delta)
    let copy = try connection.prepare("INSERT INTO t SELECT * FROM delta")
    delta.append([.integer(1), text("x")])
    delta.append([.integer(2)])
    #expect(sqliteError { try copy.run() }?.message == "row 1 is cut")
    delta.clear()
    delta.append([.integer(1), .null])
    delta.bytes.append(byte: 77)
    delta.offsets.append(delta.bytes.count - 1)
    delta.rowCount = 2
    #expect(sqliteError { try copy.run() }?.kind == .corrupt)
    #expect(try connection.rows("SELECT count(*) FROM t") == [[.integer(0)]])
    delta.clear()
    try copy.run()
    delta.append([text("é"), .blob([0])])
    try copy.run()
    #expect(try connection.rows("SELECT rowid, a, b FROM t") == [[.integer(1), text("é"), .blob([0])]])
  }

  @Test func eachRowIsDecodedOnce() throws {
    let connection = try Connection.memory()
    let delta = EncodedRows(columns: Self.columns)
    try connection.register(table: "delta", delta)
    for index in 0..<50 { delta.append([.integer(Int64(index)), .null, .null, text("t")]) }
    #expect(
      try connection.rows("SELECT sum(a), count(b), max(d), min(rowid), max(rowid) FROM delta") == [
        [.integer(1225), .integer(0), text("t"), .integer(1), .integer(50)]
      ])
    #expect(delta.decoded == 50)
  }
}
