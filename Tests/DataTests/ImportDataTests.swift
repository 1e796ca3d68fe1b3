// Real data in full by `.import`: the three data sets of ../shared/data as CSV, into tables that the header makes and
// into tables with types and keys, against stock sqlite3's import of the same file.
import Foundation
import SluiceTesting
import Testing

@Suite(.serialized, .enabled(if: hasData, "the data sets are not beside the repository")) struct ImportDataTests {
  /// A data set and the table that it goes into; empty: one that its header makes.
  struct Target: Sendable, CustomStringConvertible {
    let dataSet: String
    let id: String
    let rows: Int
    let definition: String

    var description: String { dataSet + (definition.isEmpty ? "" : "(\(definition))") }
  }

  static let targets = [
    Target(
      dataSet: "flights", id: "event_id", rows: 336_776,
      definition: "event_id INTEGER PRIMARY KEY, month INT, day INT, sched_dep_time INT, dep_time INT, dep_delay REAL, "
        + "arr_time NUMERIC, arr_delay INT, carrier TEXT, flight INT, tailnum TEXT, origin TEXT, dest TEXT, "
        + "air_time INT, distance REAL"),
    Target(
      dataSet: "online_retail", id: "line_id", rows: 525_461,
      definition: "line_id INTEGER PRIMARY KEY, invoice TEXT, stock_code NUMERIC, description TEXT, quantity INT, "
        + "invoice_date TEXT, price REAL, customer_id INT, country TEXT"),
    Target(dataSet: "git_touches", id: "touch_id", rows: 210_321, definition: ""),
    Target(
      dataSet: "git_touches", id: "touch_id", rows: 210_321,
      definition: "touch_id INT, ts INT, repo, commit_id NUMERIC, author_id INT, status TEXT, path TEXT, "
        + "PRIMARY KEY (path, touch_id)"),
  ]

  private func shell(_ command: String) throws -> ProcessResult {
    try runProcess("/bin/bash", ["-c", "set -o pipefail; \(command)"], timeoutSeconds: 300)
  }

  @Test(arguments: targets) func equalsStockSQLite(target: Target) throws {
    let folder = TemporaryFolder()
    let store = folder.file("data.sluice"), stock = folder.file("stock.db"), file = folder.file("data.csv")
    #expect(try shell("zstd -dcq '\(dataFolder)/\(target.dataSet).csv.zst' > '\(file)'").status == 0)
    var script = ".import -v --csv \(file) data\n"
    // The header is no row of a table that is there.
    if !target.definition.isEmpty {
      script = "CREATE TABLE data(\(target.definition));\n.import -v --csv --skip 1 \(file) data\n"
    }
    let ours = try runProcess(builtProduct("sluice"), [store], input: Array(script.utf8), timeoutSeconds: 300)
    let peer = try stockSQLite(script, database: stock, timeoutSeconds: 300)
    #expect(ours.text == peer.text)
    #expect(ours.text.hasSuffix("Added \(target.rows) rows with 0 errors using \(target.rows + 1) lines of input\n"))
    #expect(ours.errorText == "")
    #expect(ours.status == 0)
    let dump = "SELECT * FROM data ORDER BY CAST(\(target.id) AS INT)"
    let compared = try shell(
      "cmp <('\(builtProduct("sluice"))' -quote '\(store)' '\(dump)') <(sqlite3 -quote '\(stock)' '\(dump)')")
    #expect(compared.status == 0, "\(compared.text)")
  }
}
