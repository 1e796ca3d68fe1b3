// Real data in full: the three data sets of ../shared/data, through the real binary from a pipe, against stock sqlite3
// given the same script without the SHARD KEY clause. Counts, sums and an ordered dump of the mirror must be equal.
// A covering set of shapes runs always; SLUICE_DATA=all runs the whole cross product.
import Foundation
import SluiceTesting
import Testing

/// One way to write a data set as a script.
struct Shape: Sendable, CustomStringConvertible {
  let dataSet: String
  let key: String
  let shardKey: String
  let rowsPerStatement: Int
  /// Rows of a transaction; 0: none.
  let transactionRows: Int

  var description: String {
    "\(dataSet) key=\(key) shard=\(shardKey) rows=\(rowsPerStatement) txn=\(transactionRows)"
  }

  /// A shell command that prints the script.
  func script(_ data: String, hasShardKey: Bool) -> String {
    var command = "zstd -dcq '\(data)/\(dataSet).csv.zst' | python3 '\(data)/to_sql.py' --table \(dataSet)"
    command += " --rows \(rowsPerStatement)"
    if !key.isEmpty { command += " --key \(key)" }
    if hasShardKey, !shardKey.isEmpty { command += " --shard-key \(shardKey)" }
    if transactionRows > 0 { command += " --txn \(transactionRows)" }
    return command
  }

  private static let keys = [
    ("flights", "event_id", ""), ("flights", "carrier,event_id", "carrier"), ("flights", "", "tailnum"),
    ("flights", "", ""), ("online_retail", "line_id", ""), ("online_retail", "", ""), ("git_touches", "touch_id", ""),
    ("git_touches", "", "author_id"), ("git_touches", "", ""),
  ]

  static let all = keys.flatMap { key in
    [1, 500].flatMap { rows in
      [0, 10_000, 1_000_000].map { transaction in
        Shape(
          dataSet: key.0, key: key.1, shardKey: key.2, rowsPerStatement: rows, transactionRows: transaction)
      }
    }
  }

  /// Each key, statement size and transaction size at least once, each data set in full at least twice.
  static let covering = [
    Shape(dataSet: "flights", key: "event_id", shardKey: "", rowsPerStatement: 1, transactionRows: 0),
    Shape(
      dataSet: "flights", key: "carrier,event_id", shardKey: "carrier", rowsPerStatement: 500, transactionRows: 0),
    Shape(
      dataSet: "flights", key: "carrier,event_id", shardKey: "carrier", rowsPerStatement: 1,
      transactionRows: 1_000_000),
    Shape(dataSet: "flights", key: "", shardKey: "tailnum", rowsPerStatement: 1, transactionRows: 10_000),
    Shape(dataSet: "flights", key: "", shardKey: "", rowsPerStatement: 500, transactionRows: 1_000_000),
    Shape(dataSet: "online_retail", key: "line_id", shardKey: "", rowsPerStatement: 1, transactionRows: 1_000_000),
    Shape(dataSet: "online_retail", key: "", shardKey: "", rowsPerStatement: 500, transactionRows: 0),
    Shape(dataSet: "git_touches", key: "touch_id", shardKey: "", rowsPerStatement: 500, transactionRows: 10_000),
    Shape(dataSet: "git_touches", key: "", shardKey: "", rowsPerStatement: 1, transactionRows: 0),
  ]
}

/// Where the data sets lie: beside the repository.
let dataFolder = packageFolder() + "/../shared/data"
let hasData = FileManager.default.fileExists(atPath: dataFolder + "/flights.csv.zst")

@Suite(.serialized, .enabled(if: hasData, "the data sets are not beside the repository")) struct DataSetTests {
  static let shapes =
    ProcessInfo.processInfo.environment["SLUICE_DATA"] == "all" ? Shape.all : Shape.covering

  /// Row count and sum of the row ids, from the README of the data sets.
  private static let sums = [
    "flights": "336776|56709205476", "online_retail": "525461|138054893991", "git_touches": "210321|22117566681",
  ]

  private func shell(_ command: String) throws -> ProcessResult {
    try runProcess("/bin/bash", ["-c", "set -o pipefail; \(command)"], timeoutSeconds: 300)
  }

  @Test(arguments: shapes) func equalsStockSQLite(shape: Shape) throws {
    let folder = TemporaryFolder()
    let store = folder.file("data.sluice"), stock = folder.file("stock.db")
    let load = try shell("\(shape.script(dataFolder, hasShardKey: true)) | '\(builtProduct("sluice"))' '\(store)'")
    #expect(load.status == 0)
    #expect(load.errorText == "")
    #expect(load.text == "")
    let peer = try shell(
      "(echo 'PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF;'; \(shape.script(dataFolder, hasShardKey: false)))"
        + " | sqlite3 '\(stock)'")
    #expect(peer.status == 0)
    let mirror = store + "/projections.db"
    let id = ["flights": "event_id", "online_retail": "line_id", "git_touches": "touch_id"][shape.dataSet]!
    let sum = try shell("sqlite3 '\(mirror)' 'SELECT count(*), sum(\(id)) FROM \(shape.dataSet)'")
    #expect(sum.text == Self.sums[shape.dataSet]! + "\n")
    let dump = "SELECT * FROM \(shape.dataSet) ORDER BY \(id)"
    let compared = try shell("cmp <(sqlite3 -quote '\(mirror)' '\(dump)') <(sqlite3 -quote '\(stock)' '\(dump)')")
    #expect(compared.status == 0, "\(compared.text)")
  }
}
