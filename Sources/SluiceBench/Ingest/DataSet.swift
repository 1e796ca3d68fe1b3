// Real tables as SQL: a folder that holds NAME.csv.zst and to_sql.py, expanded by zstd and python3.
import Glibc

enum DataSet: String, CaseIterable {
  case flights
  case onlineRetail = "online_retail"
  case gitTouches = "git_touches"

  /// The column that numbers the rows.
  private var key: String {
    switch self {
    case .flights: "event_id"
    case .onlineRetail: "line_id"
    case .gitTouches: "touch_id"
    }
  }

  /// Writes schema and rows to `path`, in one transaction. Throws when a file or a program is missing.
  func write(to path: String, from folder: String, rowsPerStatement: Int) throws {
    let packed = "\(folder)/\(rawValue).csv.zst"
    for file in [packed, "\(folder)/to_sql.py"] where access(file, R_OK) != 0 {
      throw BenchError(description: "\(file) is not there")
    }
    for program in ["zstd", "python3", "bash"] { _ = try require(program) }
    let command =
      "set -o pipefail; zstd -dcq \"$0\" | python3 \"$1\" --table \(rawValue) --key \(key) "
      + "--rows \(rowsPerStatement) --txn 1000000000"
    _ = try runChecked(
      "bash", ["-c", command, packed, "\(folder)/to_sql.py"], output: path, errors: path + ".errors")
  }
}
