// The files of sql/ that hold one kind of statement each, run as scripts: what Sluice prints for every accepted form is
// what stock sqlite3 prints, and its tables end up the same.
import Foundation
import SluiceTesting
import Testing

@Suite struct StatementKindTests {
  private func script(_ name: String) throws -> String {
    try String(contentsOfFile: packageFolder() + "/sql/" + name, encoding: .utf8)
  }

  /// The script as SQLite has it: what Sluice adds to a table's definition is left out.
  private func plain(_ script: String) -> String {
    script.replacing(/, SHARD KEY \(\w+\)/, with: "").replacing(" UNIQUE NOT ENFORCED", with: "")
  }

  @Test(arguments: ["insert.sql", "update.sql", "delete.sql", "select.sql", "transaction.sql"])
  func everyFormDoesWhatStockDoes(_ name: String) throws {
    var script = try script(name)
    let tables = Set(script.matches(of: /CREATE TABLE ("[^"]+"|\w+)/).map { String($0.output.1) }).sorted()
    #expect(!tables.isEmpty)
    script += ".mode quote\n" + tables.map { "SELECT * FROM \($0) ORDER BY 1, 2;\n" }.joined()
    let ours = try ShellUnderTest().run(script)
    let stock = try stockSQLite(plain(script))
    #expect(stock.errorText == "")
    #expect(ours.text == stock.text)
    #expect(ours.errorText == "")
    #expect(ours.status == 0)
  }

  /// The answers are Sluice's own words; each names where its rows come from or go to.
  @Test func everyExplanationIsGiven() throws {
    let script = try script("explain.sql")
    let ours = try ShellUnderTest().run(script)
    #expect(ours.errorText == "" && ours.status == 0)
    let count = script.matches(of: /(?m)^EXPLAIN/).count
    #expect(count > 10 && ours.text.split(separator: "\n").count >= count)
    for words in [
      "|one row by its key: user_id = ? AND id = ?|", "|a range of keys: user_id = ?, in key order|",
      "|counted, no row is decoded|", "DELETE: one record takes all rows away", "|orders|user_id|",
      "|position (256 in a row to a slot)|", "SCAN orders VIRTUAL TABLE",
    ] {
      #expect(ours.text.contains(words), "\(words)")
    }
  }
}
