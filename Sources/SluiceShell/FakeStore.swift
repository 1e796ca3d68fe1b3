// Stands in for the library while it is written. Deleted when that lands.
import Glibc

@_silgen_name("sqlite3_open") func c_open(_ path: UnsafePointer<CChar>, _ db: UnsafeMutablePointer<OpaquePointer?>)
  -> Int32
@_silgen_name("sqlite3_close") func c_close(_ db: OpaquePointer?) -> Int32
@_silgen_name("sqlite3_prepare_v2") func c_prepare(
  _ db: OpaquePointer?, _ sql: UnsafePointer<CChar>, _ n: Int32, _ st: UnsafeMutablePointer<OpaquePointer?>,
  _ tail: UnsafeMutablePointer<UnsafePointer<CChar>?>?
) -> Int32
@_silgen_name("sqlite3_step") func c_step(_ s: OpaquePointer?) -> Int32
@_silgen_name("sqlite3_finalize") func c_finalize(_ s: OpaquePointer?) -> Int32
@_silgen_name("sqlite3_errmsg") func c_errmsg(_ s: OpaquePointer?) -> UnsafePointer<CChar>
@_silgen_name("sqlite3_error_offset") func c_erroff(_ s: OpaquePointer?) -> Int32
@_silgen_name("sqlite3_column_count") func c_count(_ s: OpaquePointer?) -> Int32
@_silgen_name("sqlite3_column_name") func c_name(_ s: OpaquePointer?, _ i: Int32) -> UnsafePointer<CChar>
@_silgen_name("sqlite3_column_text") func c_text(_ s: OpaquePointer?, _ i: Int32) -> UnsafePointer<UInt8>?
@_silgen_name("sqlite3_column_blob") func c_blob(_ s: OpaquePointer?, _ i: Int32) -> UnsafeRawPointer?
@_silgen_name("sqlite3_column_double") func c_double(_ s: OpaquePointer?, _ i: Int32) -> Double
@_silgen_name("sqlite3_column_bytes") func c_bytes(_ s: OpaquePointer?, _ i: Int32) -> Int32
@_silgen_name("sqlite3_column_type") func c_type(_ s: OpaquePointer?, _ i: Int32) -> Int32
@_silgen_name("sqlite3_get_autocommit") func c_auto(_ s: OpaquePointer?) -> Int32

struct StoreError: Error {
  enum Kind: String { case invalid, conflict, overloaded, unavailable, corrupt, unsupported, `internal` }
  var kind: Kind
  var message: String
  var line: Int?
  var offset: Int?
  var isParse = false
  var sqliteCode: Int32?
}
enum AcknowledgementLevel: String, CaseIterable { case queued, durable, applied, projected }
struct StoreOptions {
  var shardCount = 4
  var createIfMissing = true
  var acknowledgement = AcknowledgementLevel.durable
}
final class Store {
  var db: OpaquePointer?
  static func open(path: String, options: StoreOptions) throws(StoreError) -> Store {
    let s = Store()
    if c_open(path, &s.db) != 0 { throw StoreError(kind: .unavailable, message: String(cString: c_errmsg(s.db))) }
    return s
  }
  func makeSession() throws(StoreError) -> Session { Session(db) }
  func close(drain: Bool) throws(StoreError) { _ = c_close(db) }
}
enum Outcome { case done, rows(Rows) }
enum ColumnType { case null, integer, real, text, blob }
final class Rows {
  var st: OpaquePointer?, db: OpaquePointer?
  var columnNames: [String] = []
  var first = true
  var firstRC: Int32 = 0
  var columnCount: Int { columnNames.count }
  deinit { _ = c_finalize(st) }
  func next() throws(StoreError) -> Bool {
    let rc = first ? firstRC : c_step(st)
    first = false
    if rc == 100 { return true }
    if rc == 101 { return false }
    throw StoreError(kind: .conflict, message: String(cString: c_errmsg(db)), sqliteCode: rc)
  }
  func isNull(_ i: Int) -> Bool { c_type(st, Int32(i)) == 5 }
  func type(_ i: Int) -> ColumnType { [.integer, .real, .text, .blob, .null][Int(c_type(st, Int32(i))) - 1] }
  func text(_ i: Int) -> UnsafeRawBufferPointer {
    if c_type(st, Int32(i)) == 4 {
      let b = c_blob(st, Int32(i))
      return .init(start: b, count: Int(c_bytes(st, Int32(i))))
    }
    let p = c_text(st, Int32(i))
    return UnsafeRawBufferPointer(start: p, count: Int(c_bytes(st, Int32(i))))
  }
  func real(_ i: Int) -> Double { c_double(st, Int32(i)) }
}
final class Session {
  let db: OpaquePointer?
  var pending: [StoreError] = []
  var stopAtFirstError = false
  init(_ db: OpaquePointer?) { self.db = db }
  var inTransaction: Bool { c_auto(db) == 0 }
  func settle() throws(StoreError) {}
  func takeRejections() -> [StoreError] {
    defer { pending = [] }
    return pending
  }
  // Takes INSERT lines that end in ");\n" (like the real one: whole plain statements only).
  func ingest(_ bytes: UnsafeRawBufferPointer, line: inout Int) -> Int {
    var used = 0
    while used < bytes.count, let lf = bytes[used...].firstIndex(of: 10) {
      let text = bytes[used..<lf]
      guard text.starts(with: Array("INSERT INTO".utf8)), text.last == UInt8(ascii: ";") else { break }
      if text.contains(0) { break }
      switch step(UnsafeRawBufferPointer(rebasing: text), line) {
      case .failure(let e):
        if e.isParse { return used }
        pending.append(e)
      case .success: break
      }
      line += 1
      used = lf + 1
    }
    return used
  }
  func step(_ s: UnsafeRawBufferPointer, _ line: Int) -> Result<Outcome, StoreError> {
    if let z = s.firstIndex(of: 0) {
      return .failure(
        StoreError(kind: .invalid, message: "unrecognized token: \"\"", line: line, offset: z, isParse: true))
    }
    let p = s.bindMemory(to: CChar.self)
    var st: OpaquePointer?
    let rc = c_prepare(db, p.baseAddress!, Int32(s.count), &st, nil)
    if rc != 0 {
      return .failure(
        StoreError(
          kind: .invalid, message: String(cString: c_errmsg(db)), line: line,
          offset: c_erroff(db) < 0 ? nil : Int(c_erroff(db)), isParse: true, sqliteCode: rc))
    }
    let rows = Rows()
    rows.st = st
    rows.db = db
    rows.firstRC = c_step(st)
    for i in 0..<c_count(st) { rows.columnNames.append(String(cString: c_name(st, i))) }
    if rows.firstRC != 100 && rows.firstRC != 101 {
      return .failure(
        StoreError(kind: .conflict, message: String(cString: c_errmsg(db)), line: line, sqliteCode: rows.firstRC))
    }
    return .success(c_count(st) == 0 ? .done : .rows(rows))
  }
  func execute(_ s: UnsafeRawBufferPointer, line: Int) throws(StoreError) -> Outcome {
    if s.starts(with: Array("INSERT INTO".utf8)) {
      switch step(s, line) {
      case .failure(let e):
        if e.isParse { throw e }
        pending.append(e)
        return .done
      case .success(let o): return o
      }
    }
    return try step(s, line).get()
  }
  func strings(_ sql: String) -> [String] {
    var out: [String] = []
    var sql = sql
    _ = sql.withUTF8 { b in
      if case .success(.rows(let r)) = step(UnsafeRawBufferPointer(b), 1) {
        while (try? r.next()) == true { out.append(String(decoding: r.text(0), as: UTF8.self)) }
      }
    }
    return out
  }
  func tableNames() -> [String] { strings("select name from sqlite_schema where type='table' order by 1") }
  func columnNames(_ t: String) -> [String]? {
    let c = strings("select name from pragma_table_info('\(t)')")
    return c.isEmpty ? nil : c
  }
  func createStatement(_ t: String) -> String? {
    strings("select sql from sqlite_schema where name='\(t)' collate nocase").first
  }
}
struct StatementSplitter {
  private var at = 0
  private var quote: UInt8 = 0
  private var comment: UInt8 = 0
  mutating func end(in b: UnsafeRawBufferPointer) -> Int? {
    while at < b.count {
      let c = b[at]
      let n: UInt8 = at + 1 < b.count ? b[at + 1] : 0
      if comment == 1 {
        if c == 10 { comment = 0 }
      } else if comment == 2 {
        if at + 1 == b.count { return nil }
        if c == 42 && n == 47 {
          comment = 0
          at += 1
        }
      } else if quote != 0 {
        if c == quote { quote = 0 }
      } else {
        switch c {
        case 59: return at + 1
        case 39, 34, 96: quote = c
        case 91: quote = 93
        case 45, 47:
          if at + 1 == b.count { return nil }
          if c == 45 && n == 45 { comment = 1 }
          if c == 47 && n == 42 {
            comment = 2
            at += 1
          }
        default: break
        }
      }
      at += 1
    }
    return nil
  }
}
extension StoreError {
  init(_ kind: Kind, _ message: String, sqliteCode: Int32? = nil) {
    self.kind = kind
    self.message = message
    self.sqliteCode = sqliteCode
  }
}
