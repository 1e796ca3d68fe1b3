// Values of parameters, given and told as SQL.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension Session {
  /// Executes one statement with `values` for its parameters by number, as many as it has: `?` and names take theirs in
  /// the order in which they first stand there. Those at the end may be missing that `parameters` has by their name.
  /// Throws `invalid` with sqliteCode 25 when there are too many or too few, and what `execute` throws.
  public func execute(_ text: String, values: [Value], line: Int = 1) throws(StoreError) -> Outcome {
    positional = values
    defer { positional = nil }
    return try execute(text, line: line)
  }

  /// Throws unless `values` and `parameters` are what a statement asks for.
  func check(_ values: [Value], for list: ParameterList) throws(StoreError) {
    let missing = list.names.dropFirst(values.count).first { name in name.map { parameters[$0] == nil } ?? false }
    guard values.count > list.names.count || missing != nil else { return }
    throw StoreError(
      .invalid,
      "\(values.count) values for \(list.names.count) parameters"
        + ((missing ?? nil).map { $0 == "?" ? "" : ": \($0) has none" } ?? ""), sqliteCode: 25)
  }

  /// Binds the values given by number, and the session's parameters by name; a statement's others are NULL.
  func bindParameters(of statement: SluiceSQLite.Statement) throws(SQLiteError) {
    guard statement.parameterCount > 0, !(parameters.isEmpty && positional?.isEmpty ?? true) else { return }
    for index in 1...statement.parameterCount {
      let name = statement.parameterName(index)
      // The statement may be a part of the one that was given, where names have other numbers.
      let number = name.flatMap { $0.hasPrefix("?") ? index : parameterList.number(of: $0) } ?? index
      if let positional, number <= positional.count {
        try statement.bind(index, positional[number - 1])
      } else if let value = parameters[name ?? "?\(index)"] {
        try statement.bind(index, value)
      }
    }
  }

  /// Gives the parameter `name` the value of an SQL expression, such as `1 + 1` or `(SELECT max(id) FROM t)`. A text
  /// that is no expression stands for itself.
  public func setParameter(_ name: String, to expression: String) {
    do { parameters[name] = try value(of: expression) } catch { parameters[name] = .text(Array(expression.utf8)) }
  }

  /// The parameters that have a value, by name, with it as an SQL literal.
  public func parameterLiterals() -> [(name: String, literal: String)] {
    let sorted = parameters.sorted { Array($0.key.utf8).lexicographicallyPrecedes(Array($1.key.utf8)) }
    return sorted.map { ($0.key, evaluator.literal($0.value)) }
  }

  private func value(of expression: String) throws(StoreError) -> Value {
    var text = "(" + expression + ")"
    let result: Result<Value, SQLError> = text.withUTF8 { bytes in
      do throws(SQLError) {
        return .success(try evaluator.evaluate(UnsafeRawBufferPointer(bytes), affinity: .blob))
      } catch { return .failure(error) }
    }
    do { return try result.get() } catch {
      guard error.kind == .evaluated else { throw StoreError(error) }
    }
    // It reads tables, or other parameters.
    guard case .rows(let rows) = try execute("VALUES" + text), rows.columnCount == 1, try rows.next() else {
      throw StoreError(.invalid, "not one value: \(expression)", sqliteCode: 1)
    }
    return rows.value(0)
  }
}
