// A projection whose SELECT has GROUP BY or aggregates. A row of its copy is a group:
//
//   CREATE TABLE sluice_p_1(keys, sluice_null, rows, aggregates, spelled, PRIMARY KEY(keys, sluice_null)) WITHOUT ROWID
//
// keys          the GROUP BY expressions; 0 in place of NULL, which is no key to SQLite. Without GROUP BY one group, 0
// sluice_null   which keys are NULL, as bits; only where some can be
// rows          count(*): a group whose last row went is removed
// aggregates    for sum, total and avg the sum and the number of values that are not NULL; for min and max the value;
//               for count(DISTINCT) the count, and the values with how often each is there in a table beside
//
// spelled       how many rows have the keys exactly as they stand there: 'Bob' is 'BOB' to NOCASE, 1 is 1.0. When none
//               is left, another row's keys stand there. Only where keys that are equal can differ
//
// New rows: the SELECT runs over the delta, and its groups are merged in by INSERT … ON CONFLICT DO UPDATE. Rows that
// are replaced or removed: before the mirror changes, the SELECT runs over their images in it into a temporary table,
// and its groups are subtracted. What cannot be subtracted is computed anew from the mirror, for the groups concerned
// only: a minimum or maximum that has gone, and a sum with reals in it, whose rounding subtracting would leave behind.
//
// A sum of reals therefore differs from that of a SELECT over the table by no more than the order of the additions
// makes, as two SELECTs over it do. A sum of integers is an integer; beyond 64 bits, where SELECT is an error, a real.
import SluiceSQL

struct GroupedProjection {
  /// A GROUP BY expression.
  private struct Key {
    let expression: String
    let name: String
    let declaration: String
    let isNullable: Bool
    /// Whether values that are equal to it can differ.
    let isSpelled: Bool
  }

  /// A stored aggregate.
  private struct Slot: Equatable {
    enum Kind: Equatable { case count, sum, minimum, maximum, distinct }
    let kind: Kind
    /// nil: count(*).
    let argument: String?
    let filter: String?
    var name = ""
    /// Collation of values that are stored as they are.
    var declaration = ""
    /// The count that goes with a sum.
    var count = 0
    /// Whether a sum of integers may pass 64 bits on its way.
    var isWide = false

    static func == (a: Slot, b: Slot) -> Bool {
      a.kind == b.kind && a.argument == b.argument && a.filter == b.filter
    }

    /// The aggregate over a source.
    var expression: String {
      let suffix = filter.map { " FILTER (WHERE \($0))" } ?? ""
      switch kind {
      case .count: return "count(\(argument ?? "*"))" + suffix
      case .sum where isWide: return wideSum(argument ?? "NULL", suffix)
      case .sum: return "sum(\(argument ?? ""))" + suffix
      case .minimum: return "min(\(argument ?? ""))" + suffix
      case .maximum: return "max(\(argument ?? ""))" + suffix
      case .distinct: return "0"
      }
    }

    /// A sum without SQLite's "integer overflow": integers are added in halves of 32 bits, which together are a real
    /// where an integer has no room for them.
    private func wideSum(_ value: String, _ suffix: String) -> String {
      let isOther = "typeof(\(value)) <> 'integer'" + (filter.map { " AND (\($0))" } ?? "")
      let high = "sum((\(value)) >> 32)\(suffix)", low = "sum((\(value)) & 4294967295)\(suffix)"
      return "CASE WHEN count(\(value))\(suffix) = 0 THEN NULL "
        + "WHEN count(\(value)) FILTER (WHERE \(isOther)) > 0 THEN total(\(value))\(suffix) "
        + "ELSE (\(high) + (\(low) >> 32)) * 4294967296 + (\(low) & 4294967295) END"
    }
  }

  let query: ProjectionQuery
  let base: ProjectionBase
  private let keys: [Key]
  /// The first one counts rows.
  private var slots: [Slot]
  /// Which slot an aggregate of the query reads.
  private var slotOfAggregate: [Int] = []
  private let nullName: String?
  /// Counts the rows whose keys are spelled as the group's; nil: there is one spelling.
  private let spelledName: String?

  init(_ query: ProjectionQuery, _ base: ProjectionBase) throws(SQLError) {
    self.query = query
    self.base = base
    slots = [Slot(kind: .count, argument: nil, filter: nil)]
    func text(_ text: String?) -> String? { text.map { ExpressionText($0).unqualified(query.alias) } }
    for aggregate in query.aggregates {
      let (argument, filter) = (text(aggregate.argument), text(aggregate.filter))
      let kind: Slot.Kind
      switch aggregate.function {
      case .count: kind = aggregate.isDistinct ? .distinct : .count
      case .sum, .total, .avg: kind = .sum
      case .min: kind = .minimum
      case .max: kind = .maximum
      }
      slotOfAggregate.append(Self.add(Slot(kind: kind, argument: argument, filter: filter), to: &slots))
      if kind == .sum {
        let count = Self.add(Slot(kind: .count, argument: argument, filter: filter), to: &slots)
        slots[slotOfAggregate[slotOfAggregate.count - 1]].count = count
      }
    }
    var names = StoredNames()
    var groupNames: [Int: String] = [:]
    for column in query.columns {
      if let index = column.expression.groupIndex, groupNames[index] == nil {
        groupNames[index] = names.take(column.name)
      }
      if let index = column.expression.aggregateIndex, query.aggregates[index].isStoredAsIs,
        slots[slotOfAggregate[index]].name.isEmpty
      {
        slots[slotOfAggregate[index]].name = names.take(column.name)
      }
    }
    var keys: [Key] = []
    for (index, group) in query.groups.enumerated() {
      let expression = ExpressionText(group).unqualified(query.alias)
      keys.append(
        Key(
          expression: expression, name: groupNames[index] ?? names.take("sluice_key\(index)"),
          declaration: try base.declaration(expression), isNullable: !base.isNeverNull(expression),
          isSpelled: try base.hasSpellings(expression)))
    }
    if keys.count > 62 { throw SQLError(.unsupported, "more than 62 GROUP BY expressions") }
    self.keys = keys
    nullName = keys.contains(where: \.isNullable) ? names.take("sluice_null") : nil
    spelledName = keys.contains(where: \.isSpelled) ? names.take("sluice_spelled") : nil
    for index in slots.indices {
      if slots[index].name.isEmpty { slots[index].name = names.take("sluice_value\(index)") }
      switch slots[index].kind {
      case .minimum, .maximum, .distinct:
        if let argument = slots[index].argument, let collation = try base.collation(argument) {
          slots[index].declaration = " COLLATE " + quoted(collation)
        }
      default: break
      }
    }
  }

  private static func add(_ slot: Slot, to slots: inout [Slot]) -> Int {
    if let index = slots.firstIndex(of: slot) { return index }
    slots.append(slot)
    return slots.count - 1
  }

  /// The same for sums that pass 64 bits, at several times the cost.
  var widened: GroupedProjection {
    var result = self
    for index in slots.indices { result.slots[index].isWide = true }
    return result
  }

  // MARK: Pieces of text

  /// Stored key columns with what is stored in them; without GROUP BY a constant.
  private var keyColumns: [(name: String, expression: String)] {
    if !query.hasGroupBy { return [("sluice_key0", "0")] }
    var result = keys.map { ($0.name, $0.isNullable ? "ifnull(\($0.expression), 0)" : $0.expression) }
    if let nullName {
      let bits = keys.enumerated().filter { $0.element.isNullable }.map { index, key in
        "((\(key.expression)) IS NULL)" + (index == 0 ? "" : " << \(index)")
      }
      result.append((nullName, bits.map { "(\($0))" }.joined(separator: " | ")))
    }
    return result
  }

  private var keyList: String { keyColumns.map { quoted($0.name) }.joined(separator: ", ") }
  private var groupBy: String {
    query.hasGroupBy ? " GROUP BY " + keys.map(\.expression).joined(separator: ", ") : ""
  }

  private func equal(_ a: String, _ b: String) -> String {
    keyColumns.map { "\(a).\(quoted($0.name)) = \(b).\(quoted($0.name))" }.joined(separator: " AND ")
  }

  private var spelledColumns: [String] { spelledName.map { [quoted($0)] } ?? [] }

  /// Groups in which all rows spell their keys alike, those of the first rows first.
  private var groupBySpelling: String {
    let exact = keys.filter(\.isSpelled).flatMap { ["typeof(\($0.expression))", "(\($0.expression)) COLLATE BINARY"] }
    let order = base.keyNames.map { "min(\(base.alias).\($0))" }
    return groupBy + ", " + exact.joined(separator: ", ") + " ORDER BY " + order.joined(separator: ", ")
  }

  /// Whether the keys of two groups that are equal are spelled alike.
  private func isSpelledAlike(_ a: String, _ b: String) -> String {
    keys.filter(\.isSpelled).map { key in
      let (x, y) = (a + quoted(key.name), b + quoted(key.name))
      return "typeof(\(x)) = typeof(\(y)) AND \(x) = \(y) COLLATE BINARY"
    }.joined(separator: " AND ")
  }

  /// What merging a group does to keys and their count: the ones that come are taken when no row has the others.
  private var mergedSpelling: [String] {
    guard let spelledName else { return [] }
    let name = quoted(spelledName)
    return keys.filter(\.isSpelled).map { key in
      "\(quoted(key.name)) = CASE WHEN \(name) > 0 THEN \(quoted(key.name)) ELSE excluded.\(quoted(key.name)) END"
    } + [
      "\(name) = CASE WHEN \(name) <= 0 THEN excluded.\(name) "
        + "WHEN \(isSpelledAlike("", "excluded.")) THEN \(name) + excluded.\(name) ELSE \(name) END"
    ]
  }

  private func removed(_ serial: Int64) -> String { "temp.sluice_removed_\(serial)" }
  private func touched(_ serial: Int64) -> String { "temp.sluice_touched_\(serial)" }
  private func changed(_ serial: Int64) -> String { "temp.sluice_values_\(serial)" }
  /// Names of all tables that changes go through.
  func temporaryTables(_ serial: Int64) -> [String] {
    [removed(serial), touched(serial), changed(serial), spelled(serial)]
  }
  private func spelled(_ serial: Int64) -> String { "temp.sluice_spelled_\(serial)" }
  /// With a colon: behind an underscore stands the name of a user's index.
  private func values(_ copy: String, _ index: Int) -> String { "\(copy):values\(index)" }

  private var distinctSlots: [(index: Int, slot: Slot)] {
    slots.enumerated().filter { $0.element.kind == .distinct }.map { ($0.offset, $0.element) }
  }
  /// Those that cannot always be subtracted.
  private var fragileSlots: [Slot] { slots.filter { [.sum, .minimum, .maximum].contains($0.kind) } }

  // MARK: The copy

  func creation(_ copy: String) -> [String] {
    let isSingle = !query.hasGroupBy
    var parts =
      isSingle ? ["sluice_key0 INTEGER PRIMARY KEY"] : keys.map { quoted($0.name) + $0.declaration + " NOT NULL" }
    if let nullName { parts.append(quoted(nullName) + " INTEGER NOT NULL") }
    parts += slots.map { quoted($0.name) + $0.declaration }
    if let spelledName { parts.append(quoted(spelledName) + " INTEGER NOT NULL") }
    if !isSingle { parts.append("PRIMARY KEY (\(keyList))") }
    var result = [
      "CREATE TABLE main.\(quoted(copy))(\(parts.joined(separator: ", ")))" + (isSingle ? "" : " WITHOUT ROWID")
    ]
    if let nullName {
      let name = quoted(nullName)
      result.append("CREATE INDEX main.\(quoted(copy + ":null")) ON \(quoted(copy))(\(name)) WHERE \(name) <> 0")
    }
    for (index, slot) in distinctSlots {
      var columns =
        isSingle ? ["sluice_key0 INTEGER NOT NULL"] : keys.map { quoted($0.name) + $0.declaration + " NOT NULL" }
      if let nullName { columns.append(quoted(nullName) + " INTEGER NOT NULL") }
      result.append(
        "CREATE TABLE main.\(quoted(values(copy, index)))(\(columns.joined(separator: ", ")), "
          + "sluice_value\(slot.declaration) NOT NULL, sluice_count INTEGER NOT NULL, "
          + "PRIMARY KEY (\(keyList), sluice_value)) WITHOUT ROWID")
    }
    return result + seed(copy)
  }

  /// Names of all tables of a copy.
  func tables(_ copy: String) -> [String] { [copy] + distinctSlots.map { values(copy, $0.index) } }

  /// Without GROUP BY there is always one group.
  private func seed(_ copy: String) -> [String] {
    if query.hasGroupBy { return [] }
    let source = base.from(.range(hasLower: false, hasUpper: false), isBounded: false, excluding: nil, also: "false")
    return ["INSERT INTO main.\(quoted(copy)) SELECT 0, " + slots.map(\.expression).joined(separator: ", ") + source]
  }

  /// Takes all groups away.
  func clearing(_ copy: String) -> [String] {
    tables(copy).map { "DELETE FROM main.\(quoted($0))" } + seed(copy)
  }

  func view(_ name: String, _ copy: String) -> String {
    let head = "CREATE VIEW main.\(quoted(name)) AS "
    guard let nullName else { return head + select(copy, nil, withNulls: false) }
    return head + select(copy, "\(quoted(nullName)) = 0", withNulls: false) + " UNION ALL "
      + select(copy, "\(quoted(nullName)) <> 0", withNulls: true)
  }

  private func select(_ copy: String, _ condition: String?, withNulls: Bool) -> String {
    let columns = query.columns.map { column in
      column.expression.rendered { hole($0, withNulls: withNulls) } + " AS " + quoted(column.name)
    }
    let having = query.having.map { "(" + $0.rendered { hole($0, withNulls: withNulls) } + ")" }
    let conditions = [condition, having].compactMap { $0 }
    return "SELECT \(columns.joined(separator: ", ")) FROM \(quoted(copy))"
      + (conditions.isEmpty ? "" : " WHERE " + conditions.joined(separator: " AND "))
  }

  /// What stands in the place of a group's expression or of an aggregate.
  private func hole(_ piece: SluiceSQL.Expression.Piece, withNulls: Bool) -> String {
    switch piece {
    case .text(let text): return text
    case .group(let index):
      let name = quoted(keys[index].name)
      guard withNulls, keys[index].isNullable, let nullName else { return name }
      return "CASE WHEN \(quoted(nullName)) & \(1 << index) THEN NULL ELSE \(name) END"
    case .aggregate(let index):
      let slot = slots[slotOfAggregate[index]]
      let name = quoted(slot.name)
      switch query.aggregates[index].function {
      // Where infinities meet there is no sum, though there are values.
      case .total: return "CASE \(quoted(slots[slot.count].name)) WHEN 0 THEN 0.0 ELSE CAST(\(name) AS REAL) END"
      case .avg: return "(CAST(\(name) AS REAL) / \(quoted(slots[slot.count].name)))"
      default: return name
      }
    }
  }

  /// The copy's name of a column of the SELECT that is stored as it is, for an index.
  func storedName(_ name: String) -> String? {
    guard let column = query.columns.first(where: { sameName($0.name, name) }) else { return nil }
    if let index = column.expression.groupIndex { return keys[index].name }
    guard let index = column.expression.aggregateIndex, query.aggregates[index].isStoredAsIs else { return nil }
    return slots[slotOfAggregate[index]].name
  }
}

// MARK: Changes

extension GroupedProjection {
  /// Merges rows of a source in.
  func insertion(_ copy: String, _ serial: Int64, _ source: ProjectionSource, isBounded: Bool, excluding: Int64?)
    -> [String]
  {
    let from = base.from(source, isBounded: isBounded, excluding: excluding)
    let names = keyColumns.map { quoted($0.name) } + slots.map { quoted($0.name) } + spelledColumns
    let merged = slots.filter { $0.kind != .distinct }.map { "\(quoted($0.name)) = " + merge($0) } + mergedSpelling
    let selected = keyColumns.map(\.expression) + slots.map(\.expression) + spelledColumns.map { _ in "count(*)" }
    var result = [
      "INSERT INTO main.\(quoted(copy))(\(names.joined(separator: ", "))) SELECT "
        + selected.joined(separator: ", ") + from + (spelledName == nil ? groupBy : groupBySpelling)
        + " ON CONFLICT(\(keyList)) DO UPDATE SET \(merged.joined(separator: ", "))"
    ]
    for (index, slot) in distinctSlots {
      let table = "main.\(quoted(values(copy, index)))"
      result += collect(slot, serial, source, isBounded: isBounded, excluding: excluding)
      let isNew =
        "NOT EXISTS (SELECT 1 FROM \(table) AS H WHERE \(equal("H", "V")) AND H.sluice_value = V.sluice_value)"
      result.append(addition(copy, slot, sign: "+", from: "\(changed(serial)) AS V WHERE \(isNew)", of: "V"))
      result.append(
        "INSERT INTO \(table) SELECT * FROM \(changed(serial)) WHERE true "
          + "ON CONFLICT(\(keyList), sluice_value) DO UPDATE SET sluice_count = sluice_count + excluded.sluice_count")
      result.append("DELETE FROM \(changed(serial))")
    }
    return result
  }

  private func merge(_ slot: Slot) -> String {
    let name = quoted(slot.name)
    switch slot.kind {
    case .count: return "\(name) + excluded.\(name)"
    case .sum:
      let count = quoted(slots[slot.count].name)
      return "CASE WHEN \(count) = 0 THEN excluded.\(name) WHEN excluded.\(count) = 0 THEN \(name) "
        + "ELSE \(name) + excluded.\(name) END"
    case .minimum:
      return "CASE WHEN \(name) IS NULL OR excluded.\(name) < \(name) THEN excluded.\(name) ELSE \(name) END"
    case .maximum:
      return "CASE WHEN \(name) IS NULL OR excluded.\(name) > \(name) THEN excluded.\(name) ELSE \(name) END"
    case .distinct: return name
    }
  }

  /// The values of a count(DISTINCT) in a source, with how often each is there.
  private func collect(
    _ slot: Slot, _ serial: Int64, _ source: ProjectionSource, isBounded: Bool, excluding: Int64?
  ) -> [String] {
    let argument = slot.argument ?? "NULL"
    let condition = "(\(argument)) IS NOT NULL" + (slot.filter.map { " AND (\($0))" } ?? "")
    let groups = (keys.map(\.expression) + [argument]).joined(separator: ", ")
    let columns = keyColumns.map { "\($0.expression) AS \(quoted($0.name))" }
    return [
      "CREATE TEMP TABLE IF NOT EXISTS sluice_values_\(serial)(\(temporaryKeys), sluice_value, sluice_count)",
      "INSERT INTO \(changed(serial)) SELECT \(columns.joined(separator: ", ")), \(argument), count(*)"
        + base.from(source, isBounded: isBounded, excluding: excluding, also: condition) + " GROUP BY \(groups)",
    ]
  }

  private var temporaryKeys: String {
    guard query.hasGroupBy else { return "sluice_key0" }
    return (keys.map { quoted($0.name) + $0.declaration } + (nullName.map { [quoted($0)] } ?? [])).joined(
      separator: ", ")
  }

  /// Adds to, or takes from, a count the number of rows that each group has in `source`.
  private func addition(_ copy: String, _ slot: Slot, sign: String, from source: String, of alias: String) -> String {
    let names = keyColumns.map { "\(alias).\(quoted($0.name)) AS \(quoted($0.name))" }.joined(separator: ", ")
    let groups = keyColumns.map { "\(alias).\(quoted($0.name))" }.joined(separator: ", ")
    let name = quoted(slot.name)
    return "UPDATE main.\(quoted(copy)) AS t SET \(name) = t.\(name) \(sign) d.sluice_count "
      + "FROM (SELECT \(names), count(*) AS sluice_count FROM \(source) GROUP BY \(groups)) AS d "
      + "WHERE \(equal("t", "d"))"
  }

  /// Subtracts the rows that are about to be replaced or removed.
  func removal(_ copy: String, _ serial: Int64, isBounded: Bool, excluding: Int64?) -> [String] {
    let from = base.from(.replaced, isBounded: isBounded, excluding: excluding)
    let declared = slots.map { quoted($0.name) + $0.declaration }.joined(separator: ", ")
    let columns = (keyColumns.map(\.expression) + slots.map(\.expression)).joined(separator: ", ")
    var result = [
      "CREATE TEMP TABLE IF NOT EXISTS sluice_removed_\(serial)(\(temporaryKeys), \(declared))",
      "INSERT INTO \(removed(serial)) SELECT \(columns)\(from)\(groupBy)",
    ]
    for (index, slot) in distinctSlots {
      let table = "main.\(quoted(values(copy, index)))"
      let same = "\(equal("H", "V")) AND H.sluice_value = V.sluice_value"
      result += collect(slot, serial, .replaced, isBounded: isBounded, excluding: excluding)
      result.append(
        "UPDATE \(table) AS H SET sluice_count = H.sluice_count - V.sluice_count "
          + "FROM \(changed(serial)) AS V WHERE \(same)"
      )
      let gone = "\(changed(serial)) AS V CROSS JOIN \(table) AS H ON \(same) WHERE H.sluice_count = 0"
      result.append(addition(copy, slot, sign: "-", from: gone, of: "V"))
      let list = keyList + ", sluice_value"
      result.append(
        "DELETE FROM \(table) WHERE (\(list)) IN (SELECT \(list) FROM \(changed(serial))) AND sluice_count = 0")
      result.append("DELETE FROM \(changed(serial))")
    }
    if !fragileSlots.isEmpty {
      result.append("CREATE TEMP TABLE IF NOT EXISTS sluice_touched_\(serial)(\(temporaryKeys))")
      let names = keyColumns.map { "d.\(quoted($0.name))" }.joined(separator: ", ")
      result.append(
        "INSERT INTO \(touched(serial)) SELECT \(names) FROM \(removed(serial)) AS d "
          + "CROSS JOIN main.\(quoted(copy)) AS t ON \(equal("t", "d")) "
          + "WHERE " + fragileSlots.map(isLost).joined(separator: " OR "))
    }
    let subtracted = slots.filter { $0.kind != .distinct }.map { "\(quoted($0.name)) = " + subtract($0) }
    result.append(
      "UPDATE main.\(quoted(copy)) AS t SET \(subtracted.joined(separator: ", ")) FROM \(removed(serial)) AS d "
        + "WHERE \(equal("t", "d"))")
    if let spelledName {
      let name = quoted(spelledName)
      let counted = (keyColumns.map(\.expression) + ["count(*)"]).joined(separator: ", ")
      result += [
        "CREATE TEMP TABLE IF NOT EXISTS sluice_spelled_\(serial)(\(temporaryKeys), sluice_count)",
        "INSERT INTO \(spelled(serial)) SELECT \(counted)\(from)\(groupBySpelling)",
        "UPDATE main.\(quoted(copy)) AS t SET \(name) = t.\(name) - d.sluice_count FROM \(spelled(serial)) AS d "
          + "WHERE \(equal("t", "d")) AND \(isSpelledAlike("t.", "d."))",
        "DELETE FROM \(spelled(serial))",
      ]
    }
    return result
  }

  /// Whether a group's value has to be computed anew without what is removed.
  private func isLost(_ slot: Slot) -> String {
    let name = quoted(slot.name)
    let rest = "t.\(quoted(slots[0].name)) > d.\(quoted(slots[0].name))"
    switch slot.kind {
    case .sum:
      let count = quoted(slots[slot.count].name)
      return "(d.\(count) > 0 AND t.\(count) > d.\(count) "
        + "AND (typeof(t.\(name)) <> 'integer' OR typeof(d.\(name)) <> 'integer'))"
    case .minimum: return "(\(rest) AND d.\(name) <= t.\(name))"
    case .maximum: return "(\(rest) AND d.\(name) >= t.\(name))"
    case .count, .distinct: return "false"
    }
  }

  private func subtract(_ slot: Slot) -> String {
    let name = quoted(slot.name)
    switch slot.kind {
    case .count, .distinct: return "t.\(name) - d.\(name)"
    case .sum:
      let count = quoted(slots[slot.count].name)
      return "CASE WHEN t.\(count) = d.\(count) THEN NULL WHEN d.\(count) = 0 THEN t.\(name) "
        + "ELSE t.\(name) - d.\(name) END"
    case .minimum, .maximum:
      let rows = quoted(slots[0].name)
      return "CASE WHEN t.\(rows) = d.\(rows) THEN NULL ELSE t.\(name) END"
    }
  }

  /// Whether a row of the mirror is of a group that has to be computed anew. A lone key is asked for as it is, so that
  /// an index of the mirror can answer.
  private func isTouched(_ serial: Int64) -> String {
    let all = "SELECT \(keyList) FROM \(touched(serial))"
    if !query.hasGroupBy { return "EXISTS (SELECT 1 FROM \(touched(serial)))" }
    guard keys.count == 1, let nullName else {
      return "(\(keyColumns.map(\.expression).joined(separator: ", "))) IN (\(all))"
    }
    let (key, null) = (keys[0], quoted(nullName))
    return "((\(key.expression)) IN (SELECT \(quoted(key.name)) FROM \(touched(serial)) WHERE \(null) = 0) "
      + "OR ((\(key.expression)) IS NULL AND EXISTS (SELECT 1 FROM \(touched(serial)) WHERE \(null) <> 0)))"
  }

  /// After the mirror has changed: computes anew what was lost, and removes groups without rows.
  func settlement(_ copy: String, _ serial: Int64, isBounded: Bool, excluding: Int64?) -> [String] {
    var result: [String] = []
    if !fragileSlots.isEmpty {
      let columns =
        keyColumns.map { "\($0.expression) AS \(quoted($0.name))" }
        + fragileSlots.map { "\($0.expression) AS \(quoted($0.name))" }
      let assigned = fragileSlots.map { "\(quoted($0.name)) = d.\(quoted($0.name))" }.joined(separator: ", ")
      result.append(
        "UPDATE main.\(quoted(copy)) AS t SET \(assigned) FROM (SELECT \(columns.joined(separator: ", "))"
          + base.from(
            .range(hasLower: false, hasUpper: isBounded), isBounded: false, excluding: excluding,
            also: isTouched(serial))
          + groupBy + ") AS d WHERE \(equal("t", "d"))"
          + (query.hasGroupBy ? "" : " AND EXISTS (SELECT 1 FROM \(touched(serial)))"))
      result.append("DELETE FROM \(touched(serial))")
    }
    if query.hasGroupBy {
      result.append(
        "DELETE FROM main.\(quoted(copy)) WHERE (\(keyList)) IN (SELECT \(keyList) FROM \(removed(serial))) "
          + "AND \(quoted(slots[0].name)) = 0")
    }
    result += respelling(copy, serial, excluding: excluding, isBounded: isBounded)
    result.append("DELETE FROM \(removed(serial))")
    return result
  }

  /// Groups whose spelling no row has any more take that of their first row.
  private func respelling(_ copy: String, _ serial: Int64, excluding: Int64?, isBounded: Bool) -> [String] {
    guard let spelledName else { return [] }
    let name = quoted(spelledName)
    let source = base.from(
      .range(hasLower: false, hasUpper: isBounded), isBounded: false, excluding: excluding, also: isTouched(serial))
    let columns = keyColumns.map { quoted($0.name) } + [name] + slots.map { quoted($0.name) }
    let values = keyColumns.map(\.expression) + ["count(*)"] + slots.map { _ in "0" }
    return [
      "CREATE TEMP TABLE IF NOT EXISTS sluice_touched_\(serial)(\(temporaryKeys))",
      "INSERT INTO \(touched(serial)) SELECT \(keyColumns.map { "t." + quoted($0.name) }.joined(separator: ", ")) "
        + "FROM \(removed(serial)) AS d CROSS JOIN main.\(quoted(copy)) AS t ON \(equal("t", "d")) "
        + "WHERE t.\(name) <= 0",
      "INSERT INTO main.\(quoted(copy))(\(columns.joined(separator: ", "))) SELECT \(values.joined(separator: ", "))"
        + source + groupBySpelling
        + " ON CONFLICT(\(keyList)) DO UPDATE SET \(mergedSpelling.joined(separator: ", "))",
      "DELETE FROM \(touched(serial))",
    ]
  }
}

extension SluiceSQL.Aggregate {
  /// Whether its value is what is stored, and not computed from it.
  fileprivate var isStoredAsIs: Bool { function != .total && function != .avg }
}
