// Values of parameters, given and told as SQL.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension Session {
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
