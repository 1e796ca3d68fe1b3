// SQL functions written in Swift: for rare calls such as sluice_version(), not for a value of every row.
// Unsafe by nature: named in the tidy test.
import CSQLite
import SluiceSystem

extension Connection {
  /// Makes `body` callable in SQL as `name` with `argumentCount` arguments (-1: any number). `deterministic`: equal
  /// arguments give equal results, so that SQLite may call it once. `directOnly`: not from views, triggers and the
  /// rest of a schema, which may be somebody else's. An error it throws is the statement's. It may run statements on
  /// this connection, but not the one that calls it.
  public func register(
    function name: String, argumentCount: Int32, deterministic: Bool, directOnly: Bool = false,
    _ body: @escaping (Arguments) throws(SQLiteError) -> Value
  ) throws(SQLiteError) {
    let db = try opened()
    let flags = SQLITE_UTF8 | (deterministic ? SQLITE_DETERMINISTIC : 0) | (directOnly ? SQLITE_DIRECTONLY : 0)
    let reference = Unmanaged.passRetained(ScalarFunction(body)).toOpaque()
    let code = sx_create_function(db, name, argumentCount, flags, reference, callScalarFunction) { reference in
      // SQLite calls this when the registration ends, and also when it fails.
      if let reference { Unmanaged<ScalarFunction>.fromOpaque(reference).release() }
    }
    if code != SQLITE_OK { throw .last(db, sql: nil) }
  }
}

private final class ScalarFunction {
  let body: (Arguments) throws(SQLiteError) -> Value
  init(_ body: @escaping (Arguments) throws(SQLiteError) -> Value) { self.body = body }
}

private func callScalarFunction(
  _ context: OpaquePointer?, _ count: Int32, _ values: UnsafeMutablePointer<OpaquePointer?>?
) {
  guard let reference = sx_user_data(context) else { return }
  let function = Unmanaged<ScalarFunction>.fromOpaque(reference).takeUnretainedValue()
  do throws(SQLiteError) {
    switch try function.body(Arguments(count, values)) {
    case .null: sx_result_null(context)
    case .integer(let number): sx_result_int64(context, number)
    case .real(let number): sx_result_double(context, number)
    case .text(let bytes): bytes.withUnsafeBytes { Cell.text($0).give(to: context, copies: 1) }
    case .blob(let bytes): bytes.withUnsafeBytes { Cell.blob($0).give(to: context, copies: 1) }
    }
  } catch {
    let message = Array(error.message.utf8.prefix(65_536)).map { CChar(bitPattern: $0) }
    sx_result_error(context, message, Int32(message.count), resultCode(error))
  }
}
