// What people open projections.db with while a store writes: stock sqlite3, Python, Datasette. At full speed, without a
// busy timeout where the tool has none: no error, and nobody sees rows go away.
import Foundation
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// Whether a program is on PATH.
private func isInstalled(_ program: String) -> Bool {
  do { return try runProcess("/bin/sh", ["-c", "command -v \(program)"]).status == 0 } catch { return false }
}

@Suite(.serialized) struct ReaderToolTests {
  private static let rowCount = 300_000

  /// Counts with a connection that is kept and with a new one each time, until all rows are there.
  private static let python = """
    import sqlite3, sys
    kept, last, reads = sqlite3.connect(sys.argv[1], timeout=0), 0, 0
    while last < int(sys.argv[2]):
      new = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True, timeout=0)
      for connection in (kept, new):
        count, top = connection.execute('SELECT count(*), max(id) + 1 FROM t').fetchone()
        if count != top or count < last: sys.exit('%d rows up to %d, behind %d' % (count, top, last))
        last, reads = count, reads + 1
      new.close()
    print(reads)
    """

  private static let shell = """
    last=0
    while [ $last -lt $2 ]; do
      count=$(sqlite3 -batch "$1" 'SELECT count(*) FROM t') || exit 1
      [ $count -ge $last ] || { echo "$count rows, behind $last" >&2; exit 1; }
      last=$count
    done
    echo $last
    """

  /// Pages and JSON over a socket, until all rows are there.
  private static let datasette = """
    cd "$3"; datasette serve --uds ds.sock --setting sql_time_limit_ms 20000 --setting facet_time_limit_ms 20000 \
      "$1" > ds.log 2>&1 & server=$!
    trap 'kill -9 $server; wait' EXIT
    get() { curl -sSf --unix-socket ds.sock "http://localhost$1"; }
    for i in $(seq 100); do get / > /dev/null 2>&1 && break; sleep 0.1; done
    last=0
    while [ $last -lt $2 ]; do
      for page in / /projections /projections/t '/projections/t?_facet=v'; do get "$page" > page || exit 1; done
      count=$(get '/projections.json?sql=select+count(*)+as+n+from+t&_shape=array' | tr -dc 0-9) || exit 1
      [ -n "$count" ] && [ $count -ge $last ] || { echo "$count rows, behind $last" >&2; exit 1; }
      get '/projections/t.json?_size=1&_shape=array' | grep -q '"id": 0' || { echo "no first row" >&2; exit 1; }
      last=$count
    done
    echo $last
    """

  private func read(_ readers: [(program: String, arguments: [String])], rowCount: Int) throws {
    let bench = WalBench()
    let store = try bench.open()
    var session: Session? = try store.makeSession()
    try session?.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session?.pour(0..<1, size: 100)
    try session?.wait(for: .projected)
    let outcomes = Monitor<[String]>([])
    let watch = try SizeWatch(bench.projections + "-wal")
    let threads = try readers.map { program, arguments in
      let all = arguments + [bench.projections, "\(rowCount)", bench.scratch.path]
      return try SluiceSystem.Thread(name: "reader") {
        do throws(SystemError) {
          let result = try runProcess(program, all, environment: ["HOME": "/nonexistent"], timeoutSeconds: 120)
          if result.status != 0 { outcomes.withLock { $0.append("\(program): \(result.errorText)") } }
        } catch { outcomes.withLock { $0.append("\(error)") } }
      }
    }
    try session?.pour(1..<rowCount, size: 100)
    try session?.wait(for: .projected)
    for thread in threads { thread.join() }
    watch.end()
    #expect(outcomes.withLock { $0 } == [])
    #expect(watch.largest > 1 << 20 && watch.largest < WalBench.capBytes, "\(watch.largest)")
    session = nil
    try store.close()
    #expect(try bench.stock("SELECT count(*) FROM t; PRAGMA integrity_check") == "\(rowCount)\nok\n")
  }

  @Test func atFullSpeed() throws {
    let python = ("/usr/bin/python3", ["-c", Self.python])
    try read([python, python, ("/bin/bash", ["-c", Self.shell, "reader"])], rowCount: Self.rowCount)
  }

  @Test(.enabled(if: isInstalled("datasette") && isInstalled("curl"), "needs datasette and curl on PATH"))
  func datasetteWhileRowsArrive() throws {
    try read([("/bin/bash", ["-c", Self.datasette, "reader"])], rowCount: Self.rowCount)
  }

  /// A session that outlives its store closes the file behind it.
  @Test(arguments: ["SELECT v FROM projections.t", "PRAGMA page_count"])
  func closingBeforeTheSession(query: String) throws {
    let bench = WalBench()
    let store = try bench.open()
    var session: Session? = try store.makeSession()
    try session?.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session?.pour(0..<1_000, size: 100)
    try session?.wait(for: .projected)
    // Each on a connection of its own.
    #expect(try session?.run(query).isEmpty == false)
    try store.close()
    #expect(try bench.files().count == 3)
    #expect(try session?.run("SHOW ack").count == 1)
    session = nil
    #expect(try bench.files() == ["projections.db"])
  }

  /// A process that reads in the moment of closing: nothing is lost, and it goes on.
  @Test func closingUnderAReader() throws {
    let bench = WalBench()
    var store = try bench.open()
    var session: Session? = try store.makeSession()
    try session?.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session?.pour(0..<1_000, size: 100)
    try session?.wait(for: .projected)
    let reader = try StockShell(bench.projections)
    #expect(try reader.run("BEGIN; SELECT count(*) FROM t;") == "1000")
    try session?.pour(1_000..<2_000, size: 100)
    try session?.wait(for: .durable)
    session = nil
    try store.close()
    #expect(try bench.files() == ["projections.db", "projections.db-shm", "projections.db-wal"])
    #expect(try reader.run("SELECT count(*) FROM t;") == "1000")
    #expect(try bench.stock("SELECT count(*) FROM t") == "2000\n")
    store = try bench.open()
    session = try store.makeSession()
    try session?.pour(2_000..<3_000, size: 100)
    try session?.wait(for: .projected)
    #expect(try reader.run("COMMIT; SELECT count(*) FROM t;") == "3000")
    try reader.end()
    session = nil
    try store.close()
    #expect(try bench.files() == ["projections.db"])
    #expect(try bench.stock("SELECT count(*) FROM t; PRAGMA integrity_check") == "3000\nok\n")
  }
}
