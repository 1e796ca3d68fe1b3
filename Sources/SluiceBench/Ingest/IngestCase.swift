// The cases of `sluice-bench ingest`: what is loaded, how far ours must come, beside whom, and what has to be reached.

struct IngestCase {
  enum Source {
    case script(rowsPerStatement: Int)
    /// Each line a transaction.
    case autocommit
    case csv
    case data(DataSet, rowsPerStatement: Int)
  }

  /// For `--cases`.
  let id: String
  let name: String
  let source: Source
  let isMirrored: Bool
  /// In the order in which they are measured.
  let peers: [(peer: IngestPeer, goal: Goal?)]

  /// What the processor may take, in µs a row; rows that are synced one by one have no such limit.
  var processorLimit: Double? {
    if case .autocommit = source { nil } else { isMirrored ? 1.5 : 0.7 }
  }

  static let all: [IngestCase] = orders + DataSet.allCases.flatMap(data)

  private static let orders = [
    IngestCase(
      id: "single", name: "one INSERT a line, until durable", source: .script(rowsPerStatement: 1), isMirrored: false,
      peers: [(.sqlite3, .ratio(12)), (.bare, .ratio(1.0 / 3))]),
    IngestCase(
      id: "single-mirrored", name: "one INSERT a line, until mirrored", source: .script(rowsPerStatement: 1),
      isMirrored: true, peers: [(.sqlite3, .ratio(5))]),
    IngestCase(
      id: "multi", name: "500 rows an INSERT, until durable", source: .script(rowsPerStatement: 500),
      isMirrored: false,
      peers: [
        (.sqlite3, .ratio(8)), (.bare, nil), (.duckdb, .ratio(20)), (.postgresql, .ratio(20)), (.myrocks, .ratio(20)),
      ]),
    IngestCase(
      id: "multi-mirrored", name: "500 rows an INSERT, until mirrored", source: .script(rowsPerStatement: 500),
      isMirrored: true, peers: [(.sqlite3, .ratio(2.5))]),
    IngestCase(
      id: "csv", name: "CSV by .import, until durable", source: .csv, isMirrored: false,
      peers: [(.sqlite3, .ratio(5))]),
    IngestCase(
      id: "csv-mirrored", name: "CSV by .import, until mirrored", source: .csv, isMirrored: true,
      peers: [(.sqlite3, .ratio(1.5))]),
    IngestCase(
      id: "autocommit", name: "autocommitted lines, until durable", source: .autocommit, isMirrored: false,
      peers: [(.sqlite3, .ratio(100))]),
  ]

  private static func data(_ set: DataSet) -> [IngestCase] {
    [
      IngestCase(
        id: set.rawValue, name: "\(set.rawValue), one INSERT a line", source: .data(set, rowsPerStatement: 1),
        isMirrored: false, peers: [(.sqlite3, nil)]),
      IngestCase(
        id: set.rawValue + "-multi", name: "\(set.rawValue), 500 rows an INSERT",
        source: .data(set, rowsPerStatement: 500), isMirrored: false, peers: [(.sqlite3, nil)]),
    ]
  }
}

/// The peers of a load.
enum IngestPeer: String, CaseIterable {
  case sqlite3, bare, duckdb, postgresql, myrocks

  /// Whether it keeps up with a million rows; else it gets fewer, and rates are compared.
  var isQuick: Bool { self == .sqlite3 || self == .bare }
}

/// The elements of `text`, separated by commas, of those that `all` names.
func choices(_ text: String, of all: [String], what: String) throws -> [String] {
  try text.split(separator: ",").map { name in
    guard all.contains(String(name)) else {
      throw BenchError(description: "unknown \(what) '\(name)'; there are \(all.joined(separator: ", "))")
    }
    return String(name)
  }
}
