// Random scripts through the shell and through stock sqlite3: every answer and every error must be the same.
import SluiceTesting
import Testing

@Suite struct GeneratorTests {
  /// Statements of one script, and scripts of one run.
  private static let statements = 120, scripts = 12

  @Test func randomScripts() throws {
    // Where stock sqlite3 has oddities of its own a random script can differ for no fault of ours: so the same scripts
    // each time, and others by the variable.
    var seeds = SeededRandom(seed: testSeed(otherwise: 76))
    let again = repeatCommand(seeds.seed, "GeneratorTests")
    for _ in 0..<Self.scripts {
      var generator = ScriptGenerator(seed: seeds.next())
      let records = generator.script(Self.statements)
      let ours = try run(records, on: .sluice)
      let stock = try run(records, on: .stock)
      guard let place = records.indices.first(where: { !isSame(records[$0], ours[$0], stock[$0]) }) else { continue }
      let script = records[...place].filter { $0.isFor(LogicEngine.sluice.names) }.map { $0.sql + ";" }
      Issue.record(
        """
        \(again)
        \(script.joined(separator: "\n"))
        -- sluice: \(shown(records[place], ours[place]))
        -- stock:  \(shown(records[place], stock[place]))
        """)
      return
    }
  }

  private func isSame(_ record: LogicRecord, _ ours: LogicOutcome, _ stock: LogicOutcome) -> Bool {
    // Of a table's two definitions each engine has one.
    guard record.isFor(LogicEngine.sluice.names), record.isFor(LogicEngine.stock.names) else { return true }
    // Of several errors in several rows each engine meets another one first.
    if record.sql.contains("VALUES"), ours.error != nil, stock.error != nil { return true }
    return shown(record, ours) == shown(record, stock)
  }

  private func shown(_ record: LogicRecord, _ outcome: LogicOutcome) -> String {
    if let error = outcome.error { return "error: " + error }
    guard case .query(_, let sort, _) = record.kind else { return "done" }
    let rows = outcome.rows.map { row in row.map(shown).joined(separator: "|") }
    return (sort == .nosort ? rows : rows.sorted()).joined(separator: "; ")
  }

  private func shown(_ value: LogicValue) -> String {
    switch value {
    case .null: "NULL"
    case .text(let text): text
    }
  }
}
