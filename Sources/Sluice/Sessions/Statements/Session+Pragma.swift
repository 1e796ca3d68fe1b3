// PRAGMA. Each of SQLite's is one of four: it reports, it is obeyed, it is a setting of a SQLite file that changes
// nothing about what a statement means, or it is refused. None that changes an answer is taken and forgotten.
import SluiceSQL
import SluiceSQLite

/// What a session's pragmas have set: how SQLite evaluates and names what it is asked.
struct PragmaSettings {
  /// PRAGMA query_only: nothing is written.
  var isQueryOnly = false
  /// Those that SQLite obeys itself, with their values, on each connection of the session.
  var onConnections: [String: Bool] = [:]
}

extension Session {
  /// Settings of a SQLite file that change nothing about what a statement means; Sluice has its own in their place.
  private static let withoutEffect: Set<String> = [
    "analysis_limit", "auto_vacuum", "automatic_index", "busy_timeout", "cache_size", "cache_spill", "cell_size_check",
    "checkpoint_fullfsync", "default_cache_size", "defer_foreign_keys", "empty_result_callbacks", "fullfsync",
    "hard_heap_limit", "incremental_vacuum", "journal_size_limit", "legacy_file_format", "locking_mode",
    "max_page_count", "mmap_size", "optimize", "page_size", "read_uncommitted", "recursive_triggers", "secure_delete",
    "shrink_memory", "soft_heap_limit", "synchronous", "temp_store", "threads", "trusted_schema", "wal_autocheckpoint",
    "wal_checkpoint",
  ]

  /// Pragmas that only report.
  private static let reporting: Set<String> = [
    "collation_list", "compile_options", "database_list", "foreign_key_check", "foreign_key_list", "freelist_count",
    "function_list", "index_info", "index_list", "index_xinfo", "integrity_check", "module_list", "page_count",
    "pragma_list", "quick_check", "table_info", "table_list", "table_xinfo", "data_version",
  ]

  /// Settings that SQLite obeys, and their values at first.
  private static let obeyed: [String: Bool] = [
    "case_sensitive_like": false, "full_column_names": false, "short_column_names": true,
  ]

  /// Settings that cannot be turned on, with the reason.
  private static let refusedOn: [String: String] = [
    "count_changes": "an INSERT, UPDATE or DELETE returns no rows: SELECT changes() tells how many it changed",
    "foreign_keys": "foreign keys are kept in the definition of a table but not enforced",
    "ignore_check_constraints": "PRAGMA ignore_check_constraints cannot be turned on",
    "legacy_alter_table": "PRAGMA legacy_alter_table cannot be turned on: views follow a table that is renamed",
    "reverse_unordered_selects":
      "PRAGMA reverse_unordered_selects cannot be turned on: say the order of rows with ORDER BY",
    "writable_schema": "PRAGMA writable_schema cannot be turned on",
  ]

  func execute(_ pragma: Pragma, _ text: UnsafeRawBufferPointer) throws(StoreError) -> Outcome {
    let name = folded(pragma.name)
    let argument = pragma.argument.map(folded)
    if Self.reporting.contains(name) { return try queryProjections(text) }
    if Self.obeyed[name] != nil { return try obey(name, argument.map(isOn)) }
    if let sentence = Self.refusedOn[name] {
      guard let argument else { return report(name, 0) }
      guard !isOn(argument) else { throw refusedPragma(sentence) }
      return .done
    }
    switch name {
    case "query_only":
      guard let argument else { return report(name, settings.isQueryOnly ? 1 : 0) }
      settings.isQueryOnly = isOn(argument) || store.options.isReadOnly
      return .done
    case "journal_mode": return .rows(Rows(columns: ["journal_mode"], values: [[.text(Array("wal".utf8))]]))
    case "user_version", "application_id", "schema_version":
      guard argument == nil else { throw refusedPragma("PRAGMA \(name) cannot be set: a store keeps none") }
      return report(name, 0)
    case "encoding":
      if let argument, argument != "utf-8", argument != "utf8" { throw refusedPragma("a store's encoding is UTF-8") }
      return argument == nil ? try queryProjections(text) : .done
    default:
      // A setting without effect reports its value as SQLite does; an unknown pragma is nothing, as in SQLite.
      if Self.withoutEffect.contains(name), argument == nil { return try queryProjections(text) }
      return .done
    }
  }

  private func report(_ name: String, _ value: Int64) -> Outcome {
    .rows(Rows(columns: [name], values: [[.integer(value)]]))
  }

  private func refusedPragma(_ sentence: String) -> StoreError {
    StoreError(.unsupported, sentence, isParse: true, sqliteCode: 1)
  }

  /// Whether a pragma's argument means on, as SQLite reads it.
  private func isOn(_ argument: String) -> Bool {
    if let first = argument.utf8.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) {
      return (Int(argument.prefix { $0.isNumber }) ?? 1) & 0xff != 0
    }
    return ["on", "yes", "true", "extra", "full"].contains(argument)
  }

  /// Sets what SQLite obeys itself, on all connections of the session; nil: tells what is set, where SQLite does.
  private func obey(_ name: String, _ isOn: Bool?) throws(StoreError) -> Outcome {
    guard let isOn else {
      if name == "case_sensitive_like" { return .done }
      return report(name, settings.onConnections[name] ?? Self.obeyed[name] == true ? 1 : 0)
    }
    settings.onConnections[name] = isOn
    do {
      for connection in connections { try apply(to: connection) }
    } catch { throw StoreError(error) }
    return .done
  }

  /// Gives a connection of the session what its pragmas have set.
  func apply(to connection: Connection) throws(SQLiteError) {
    for (name, isOn) in settings.onConnections.sorted(by: { $0.key < $1.key }) {
      try connection.execute("PRAGMA \(name) = \(isOn ? 1 : 0)")
    }
  }

  /// Whether a statement makes or drops a view of the session's own, which a store that is only read does not forbid.
  func isOwnView(_ statement: SluiceSQL.Statement?) -> Bool {
    guard store.options.isReadOnly else { return false }
    return switch statement {
    case .createView(let view): view.isTemporary
    case .dropView(let drop): isTemporaryView(drop.name)
    default: false
    }
  }

  /// Throws SQLite's error of a statement that writes, under PRAGMA query_only, or in a store that is only read.
  func checkWritable() throws(StoreError) {
    guard settings.isQueryOnly else { return }
    throw store.pipeline.readOnlyRefusal
      ?? StoreError(.invalid, "attempt to write a readonly database", sqliteCode: 8)
  }
}

extension SluiceSQL.Statement {
  /// Whether the statement does nothing but read, or open and close transactions.
  var isReading: Bool {
    switch self {
    case .select, .begin, .savepoint, .release, .rollbackTo, .commit, .rollback, .pragma, .show, .set, .explain,
      .waitFor, .refused:
      true
    default: false
    }
  }
}
