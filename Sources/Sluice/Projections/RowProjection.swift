// A projection whose SELECT gives a row for a row: columns and rows of its table, under another key and with indexes of
// its own.
//
//   CREATE TABLE sluice_p_1(key columns of the table, columns of the SELECT, PRIMARY KEY(key columns))
//
// A key column that the SELECT has as it is stands there once. A row that changes is removed by its key and inserted
// anew, so the images before a change need not be known.
import SluiceSQL

struct RowProjection {
  struct StoredColumn {
    /// As the SELECT names it.
    let name: String
    /// As the copy names it.
    let stored: String
    let expression: String
    /// Type and collation.
    let declaration: String
  }

  let base: ProjectionBase
  let columns: [StoredColumn]
  /// The copy's names of the table's key columns.
  private let keys: [String]
  /// PRIMARY KEY, as the copy names the columns.
  private let uniqueNames: [String]?

  init(_ query: ProjectionQuery, _ base: ProjectionBase, primaryKey: [String]?) throws(SQLError) {
    self.base = base
    var names = StoredNames()
    var columns: [StoredColumn] = []
    for (index, column) in query.columns.enumerated() {
      let expression = base.expressions[index]
      columns.append(
        StoredColumn(
          name: column.name, stored: names.take(column.name), expression: expression,
          declaration: try base.declaration(expression)))
    }
    self.columns = columns
    keys = base.keyNames.enumerated().map { index, name in
      let own = columns.first { column in
        ExpressionText(column.expression).loneName.map { quoted(folded($0)) == folded(name) } == true
      }
      return own?.stored ?? names.take("sluice_key\(index)")
    }
    var unique: [String] = []
    for name in primaryKey ?? [] {
      guard let column = columns.first(where: { sameName($0.name, name) }) else {
        throw SQLError(.invalid, "the projection has no column named \(name)")
      }
      unique.append(quoted(column.stored))
    }
    uniqueNames = primaryKey == nil ? nil : unique
  }

  /// Key columns that are not columns of the SELECT too.
  private var ownKeys: [(name: String, expression: String)] {
    zip(keys, base.keyNames).filter { key, _ in !columns.contains { $0.stored == key } }.map { ($0, $1) }
  }

  func creation(_ copy: String) -> [String] {
    let isInteger = base.hasIntegerKey
    func declared(_ name: String, _ declaration: String) -> String {
      if isInteger, name == keys[0] { return quoted(name) + " INTEGER PRIMARY KEY" }
      return quoted(name) + declaration + (keys.contains(name) ? " NOT NULL" : "")
    }
    var parts = columns.map { declared($0.stored, $0.declaration) }
    for key in ownKeys {
      let type = base.column(key.expression)?.typeName ?? ""
      parts.append(declared(key.name, type.isEmpty ? "" : " " + type))
    }
    if let uniqueNames { parts.append("UNIQUE (\(uniqueNames.joined(separator: ", ")))") }
    if !isInteger { parts.append("PRIMARY KEY (\(keys.map(quoted).joined(separator: ", ")))") }
    return ["CREATE TABLE main.\(quoted(copy))(\(parts.joined(separator: ", ")))" + (isInteger ? "" : " WITHOUT ROWID")]
  }

  func view(_ name: String, _ copy: String) -> String {
    let list = columns.map { "\(quoted($0.stored)) AS \(quoted($0.name))" }.joined(separator: ", ")
    return "CREATE VIEW main.\(quoted(name)) AS SELECT \(list) FROM \(quoted(copy))"
  }

  func insertion(_ copy: String, _ source: ProjectionSource, isBounded: Bool, excluding: Int64?) -> String {
    let all = columns.map { (name: $0.stored, expression: $0.expression) } + ownKeys
    return "INSERT INTO main.\(quoted(copy))(\(all.map { quoted($0.name) }.joined(separator: ", "))) SELECT "
      + all.map(\.expression).joined(separator: ", ")
      + base.from(source, isBounded: isBounded, excluding: excluding)
  }

  func removal(_ copy: String) -> String {
    let names = keys.map(quoted).joined(separator: ", ")
    let values = keys.indices.map { "k\($0)" }.joined(separator: ", ")
    return "DELETE FROM main.\(quoted(copy)) WHERE (\(names)) IN "
      + "(SELECT \(values) FROM \(ProjectionBase.keysName(base.table)))"
  }

  /// The copy's name of a column of the SELECT, for an index.
  func storedName(_ name: String) -> String? { columns.first { sameName($0.name, name) }?.stored }
}
