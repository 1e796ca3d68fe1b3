// What the tests of projections share: comparing a projection with its SELECT, and a look into projections.db with a
// connection of one's own.
import SluiceSQL
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// Rows as literals, sorted.
func sortedRows(_ rows: [[Value]]) -> [String] {
  rows.map { $0.map(literal).joined(separator: ", ") }.sorted()
}

extension Session {
  /// Every projection that is neither paused nor failed must have the rows of its SELECT, once it holds what this
  /// session wrote. A paused one must be readable. Returns how many were compared.
  @discardableResult
  func compareProjections(_ comment: Comment? = nil) throws -> Int {
    refreshCatalog()
    var count = 0
    let all = catalog.objects.values.filter { $0.kind == .projection }
    for object in all.sorted(by: { $0.name < $1.name }) {
      let definition = try #require(projectionDefinition(object.sql), comment)
      let name = quoted(object.name)
      if definition.isPaused {
        try run("SELECT * FROM \(name)")
        continue
      }
      try run("WAIT FOR \(name)")
      let found = sortedRows(try run("SELECT * FROM \(name)"))
      let expected = sortedRows(try run(definition.select))
      let story: Comment = "\(object.name): \(definition.select); \(comment?.description ?? "")"
      #expect(found == expected, story)
      count += 1
    }
    return count
  }

  /// A projection's rows are those of `select`.
  func expect(
    _ projection: String, equals select: String, _ comment: Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    try run("WAIT FOR \(projection)")
    let found = sortedRows(try run("SELECT * FROM \(projection)"))
    #expect(found == sortedRows(try run(select)), comment, sourceLocation: sourceLocation)
  }

  /// Runs a statement that must be refused with these words in its message.
  func expectRefused(_ sql: String, _ words: String, sourceLocation: SourceLocation = #_sourceLocation) {
    let error = storeError { try run(sql) }
    #expect(
      error?.message.contains(words) == true, "\(sql): \(error.map { "\($0)" } ?? "accepted")",
      sourceLocation: sourceLocation)
  }
}

extension Bench {
  /// Rows of a query on projections.db by a connection of its own.
  func file(_ sql: String) throws -> [[Value]] {
    try Connection(path: projections, mode: .readOnly).prepare(sql).rows()
  }

  /// Rejected rows of a projection: key and number of attempts.
  func rejected(_ projection: String) throws -> [String] {
    sortedRows(try file("SELECT key, attempts FROM sluice_rejected WHERE projection = '\(projection)'"))
  }
}
