// EXPLAIN in words: which rows a statement reads, from where, of how many shards, and where its changes go. SQLite's
// own EXPLAIN QUERY PLAN says which plan was chosen; the plans are ours to name. Unsafe by nature: named in the tidy
// test.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension Session {
  private static let columns = ["table", "source", "shards", "access", "lag"]

  /// One line of the answer.
  private struct Line {
    var table: String
    var source: String
    var shards: String
    var access: String
    var lag: String

    var values: [Value] { [table, source, shards, access, lag].map { .text(Array($0.utf8)) } }
  }

  private func answer(_ lines: [Line]) -> Outcome {
    .rows(Rows(columns: Self.columns, values: lines.map(\.values)))
  }

  /// EXPLAIN SELECT: a line for each table that is read, and for each thing that SQLite does besides.
  func explainQuery(_ sql: String) throws(StoreError) -> Outcome {
    if let (_, table) = countQuery(sql), !isTemporaryView(table), catalog.table(table) != nil {
      return answer([
        Line(
          table: table, source: "live", shards: allShards, access: "counted, no row is decoded", lag: "0")
      ])
    }
    let chosen = try prepareQuery(sql)
    let isMirror = chosen.connection !== liveConnection?.connection
    return answer(try lines(of: "EXPLAIN QUERY PLAN " + sql, on: chosen.connection, isMirror: isMirror))
  }

  private func countQuery(_ sql: String) -> (column: String, table: String)? {
    var sql = sql
    return sql.withUTF8 { parseCountQuery(UnsafeRawBufferPointer($0)) }
  }

  /// EXPLAIN of a change that SQLite evaluates: what it reads, and where its rows go.
  func explainChange(_ change: ChangeStatement, _ text: UnsafeRawBufferPointer) throws(StoreError) -> Outcome {
    guard let table = catalog.table(change.table) else {
      throw StoreError(
        .invalid, "no such table: \(change.table)", offset: change.tableOffset, isParse: true, sqliteCode: 1)
    }
    if isCleared(by: change) {
      return answer([
        Line(
          table: table.name, source: "log", shards: allShards,
          access: "DELETE: one record takes all rows away, which are counted before", lag: "0")
      ])
    }
    if transaction == nil { try waitApplied() } else { try openTransaction() }
    let live = try live()
    var result: [Line] = []
    let isInsert = change.verb == .insert
    let range =
      isInsert ? change.source : (change.with.isEmpty ? change.verbOffset : change.with.lowerBound)..<change.bodyEnd
    if !range.isEmpty {
      let prefix = isInsert && !change.with.isEmpty ? String(decoding: text[change.with], as: UTF8.self) + " " : ""
      let sql = "EXPLAIN QUERY PLAN " + prefix + String(decoding: text[range], as: UTF8.self)
      do { try live.declare(namedBy: sql) } catch { throw StoreError(error) }
      result = try lines(of: sql, on: live.connection, isMirror: false)
    }
    let placing = table.placingColumns.map { table.definition.columns[$0].name }.joined(separator: ", ")
    let place = placing.isEmpty ? (table.isStream ? "its position" : "its rowid") : placing
    let verb = isInsert ? "INSERT" : change.verb == .update ? "UPDATE" : "DELETE"
    result.append(
      Line(
        table: table.name, source: "log", shards: allShards,
        access: "\(verb): each row to the shard of \(place), "
          + (isInsert ? "if its key is free" : "if no other session changes it"), lag: "0"))
    return answer(result)
  }

  private var allShards: String { "\(store.identity.shardCount) of \(store.identity.shardCount)" }

  /// SQLite's plan of a statement, line by line, in our words where they are ours.
  private func lines(
    of sql: String, on connection: Connection, isMirror: Bool
  ) throws(StoreError) -> [Line] {
    do {
      let plan = try connection.prepare(sql)
      try bindParameters(of: plan)
      let details = try plan.rows().compactMap { row -> String? in
        guard case .text(let bytes)? = row.last else { return nil }
        return String(decoding: bytes, as: UTF8.self)
      }
      return details.map { line($0, isMirror: isMirror) }
    } catch {
      var failure = StoreError(converting: error)
      failure.isParse = true
      failure.offset = nil
      throw failure
    }
  }

  private func line(_ detail: String, isMirror: Bool) -> Line {
    let words = detail.split(separator: " ").map(String.init)
    let isAccess = words.count >= 2 && (words[0] == "SCAN" || words[0] == "SEARCH") && words[1] != "CONSTANT"
    guard isAccess else { return Line(table: "", source: "SQLite", shards: "", access: detail, lag: "") }
    if let place = words.firstIndex(of: "INDEX"), place >= 2, words[place - 1] == "TABLE",
      words.count > place + 1, let number = Int32(words[place + 1].prefix { $0 != ":" }),
      let (plan, table) = liveConnection?.scope.planOfTable(number), !isMirror
    {
      let alias = words[1] == table.name ? table.name : "\(table.name) AS \(words[1])"
      let isOneShard = (plan.isPoint && !plan.hasList) || !plan.shardArguments.isEmpty
      let shards = isOneShard ? "1 of \(store.identity.shardCount)" : allShards
      return Line(table: alias, source: "live", shards: shards, access: plan.words(table), lag: "0")
    }
    let projection = projection(ofCopy: words[1])
    let isProjection = isMirror || projection != nil || words[1].hasPrefix("projections.")
    let progress = store.pipeline.progress.withLock { $0 }
    let lag = progress.applied - min(progress.projected, progress.applied)
    return Line(
      table: projection ?? words[1], source: isProjection ? "projections.db" : "SQLite", shards: "",
      access: projection.map { detail.replacing(words[1], with: $0) } ?? detail, lag: isProjection ? String(lag) : "")
  }

  /// The projection that a table in projections.db is a copy of.
  private func projection(ofCopy table: String) -> String? {
    catalog.objects.values.first { object in
      let head = "sluice_\(object.name)_"
      return object.kind == .projection && table.hasPrefix(head) && Int64(table.dropFirst(head.count)) != nil
    }?.name
  }
}

extension KeyPlan {
  /// What the plan reads, in words.
  func words(_ table: SQLTable) -> String {
    let names = table.isKeyless ? ["rowid"] : table.definition.primaryKey.map { table.definition.columns[$0].name }
    var parts = names.prefix(equalCount).map { "\($0) = ?" }
    if equalCount < names.count {
      if hasList { parts.append("\(names[equalCount]) IN (…)") }
      if lower != .none { parts.append("\(names[equalCount]) \(lower == .inclusive ? ">=" : ">") ?") }
      if upper != .none { parts.append("\(names[equalCount]) \(upper == .inclusive ? "<=" : "<") ?") }
    }
    if !shardArguments.isEmpty, !isPoint {
      let placing = table.placingColumns.map { table.definition.columns[$0].name }
      parts += placing.filter { name in !parts.contains("\(name) = ?") }.map { "\($0) = ?" }
    }
    var rows = "a range of keys: "
    if isPoint { rows = hasList ? "rows by their keys: " : "one row by its key: " }
    if isFullScan { rows = parts.isEmpty ? "all rows" : "all rows of the shard of " }
    return rows + parts.joined(separator: " AND ") + (isPoint ? "" : ", in \(isDescending ? "falling" : "key") order")
  }
}
