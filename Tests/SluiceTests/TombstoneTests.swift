// Deleted rows cost nothing once nobody writes: their tombstones leave memory and are merged with the rows, without
// that the store is left.
import SluiceLSM
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct TombstoneTests {
  @Test func aStoreAtRestForgetsDeletedRows() throws {
    let bench = Bench()
    let store = try bench.open {
      $0.threaded = true
      $0.clock = SystemClock()
      $0.memtableBudgetBytes = 64 << 20
    }
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    let count = 12_000
    try session.run("INSERT INTO t VALUES" + (1...count).map { "(\($0))" }.joined(separator: ","))
    try session.settle()
    // The rows are in tables, where the tombstones are not.
    try store.flush()
    try session.run("DELETE FROM t WHERE id <= \(count - 9)")
    let engines = store.core.pipeline.engines
    #expect(engines.reduce(0) { $0 + $1.memtableTombstones } == count - 9)
    for _ in 0..<200 {
      let statistics = engines.map { $0.statistics() }
      // The table's own entry of the catalog is there too.
      let entries = statistics.reduce(0) { $0 + Int($1.tableEntries) + $1.memtableEntries + $1.frozenEntries }
      if entries < 20, statistics.allSatisfy({ $0.tombstones == 0 }) { break }
      Thread.sleep(nanoseconds: 50_000_000)
    }
    let left = engines.reduce(0) { $0 + Int($1.statistics().tableEntries) + $1.statistics().memtableEntries }
    #expect(left < 20)
    #expect(try session.run("SELECT count(*), min(id) FROM t") == [[.integer(9), .integer(Int64(count) - 8)]])
    try store.close()
    withExtendedLifetime(bench) {}
  }
}
