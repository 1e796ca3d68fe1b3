// The sides that are servers: started in a folder of their own, on a Unix socket and no network, with their default
// settings, and ended by their process id, or by the kernel when this program is gone. What is timed is the client,
// from start to exit; the processor time of the server is added to its own.
// Unsafe by nature (the system's list of users): named in the tidy test.
import Glibc

/// A server that runs while it is measured.
private struct Server {
  let process: ChildProcess

  /// Waits until `isReady` does not throw. Throws when the server ends first, or after 30 seconds.
  func wait(_ name: String, log: String, until isReady: () throws -> Void) throws {
    while true {
      do { return try isReady() } catch {
        if process.hasEnded || process.age > 30 {
          let said = try lines(of: log).last ?? ""
          throw BenchError(description: "\(name) does not start: \(said.prefix(300))")
        }
      }
      usleep(100_000)
    }
  }

  /// `body`'s cost with the server's processor time while it ran, and the server's peak.
  func measured(_ body: () throws -> RunCost) throws -> RunCost {
    let before = processorSeconds(of: process.id)
    var cost = try body()
    // A session of the server ends a little after its client.
    usleep(200_000)
    cost.cpuSeconds += processorSeconds(of: process.id) - before
    cost.writtenBytes = 0
    cost.peakKiB = residentPeakKiB(of: process.id)
    return cost
  }

  func stop(_ signal: Int32) {
    process.signal(signal)
    _ = process.wait()
  }
}

/// PostgreSQL, as initdb sets it up.
final class PostgreSQLSide: IngestSide {
  let name = "postgresql"
  private let place: IngestPlace
  private var server: Server?
  private var client: [String] { ["-h", place.folder, "-U", "postgres", "-d", "postgres", "-q", "-X"] }

  init(folder: String) throws { place = try IngestPlace(folder, "postgresql") }

  /// The folder of the newest version's programs.
  private func programs() throws -> String {
    let root = "/usr/lib/postgresql"
    let versions = names(in: root).compactMap(Int.init).sorted()
    guard let version = versions.last else { throw BenchError(description: "PostgreSQL is not installed") }
    return "\(root)/\(version)/bin"
  }

  func start() throws {
    let folder = try programs()
    _ = try require("psql")
    // It refuses to run as root.
    var how = ["--pdeathsig", "INT"]
    if getuid() == 0 {
      guard let user = getpwnam("postgres") else { throw BenchError(description: "there is no user postgres") }
      how += ["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
      chown(place.folder, user.pointee.pw_uid, user.pointee.pw_gid)
    }
    let data = place.file("data")
    _ = try place.run("setpriv", how + ["\(folder)/initdb", "-D", data, "-A", "trust", "-U", "postgres"])
    let log = place.file("log")
    let process = try ChildProcess(
      "setpriv", how + ["\(folder)/postgres", "-D", data, "-k", place.folder, "-c", "listen_addresses="], errors: log)
    let server = Server(process: process)
    self.server = server
    try server.wait(name, log: log) { _ = try place.answer("psql", client + ["-tAc", "SELECT 1"]) }
  }

  func stop() {
    server?.stop(SIGINT)
    server = nil
  }

  func prepare(_ input: IngestInput) throws {
    let make = input.form == .csv ? input.schema : ""
    let sql = "DROP TABLE IF EXISTS \(input.table); CHECKPOINT; \(make)"
    _ = try place.run("psql", client + ["-c", sql])
  }

  func load(_ input: IngestInput) throws -> RunCost {
    guard let server else { throw BenchError(description: "\(name) is not running") }
    let arguments =
      input.form == .csv
      ? ["-c", "\\copy \(input.table) FROM '\(input.path)' csv"] : ["-v", "ON_ERROR_STOP=1", "-f", input.path]
    return try server.measured { try place.run("psql", client + arguments) }
  }

  func count(_ input: IngestInput) throws -> Int { try place.number("psql", client + ["-tAc", countQuery(input)]) }

  func clear() {}
}

/// MariaDB with its RocksDB engine.
final class MyRocksSide: IngestSide {
  let name = "myrocks"
  private let place: IngestPlace
  private var server: Server?
  private var socket: String { place.file("socket") }
  private var client: [String] { ["--no-defaults", "-S", socket, "-u", "root"] }

  init(folder: String) throws { place = try IngestPlace(folder, "myrocks") }

  func start() throws {
    let program = try require("mariadbd")
    _ = try require("mariadb")
    let user = getpwuid(getuid()).map { String(cString: $0.pointee.pw_name) } ?? "root"
    let data = place.file("data")
    _ = try place.run(
      try require("mariadb-install-db"),
      [
        "--no-defaults", "--user=\(user)", "--datadir=\(data)", "--auth-root-authentication-method=normal",
        "--skip-test-db",
      ])
    let log = place.file("log")
    let process = try ChildProcess(
      "setpriv",
      [
        "--pdeathsig", "TERM", program, "--no-defaults", "--user=\(user)", "--datadir=\(data)", "--socket=\(socket)",
        "--skip-networking",
        "--plugin-maturity=unknown", "--plugin-load-add=ha_rocksdb.so", "--local-infile=1", "--skip-log-bin",
        "--default-storage-engine=rocksdb", "--default-tmp-storage-engine=InnoDB",
      ], errors: log)
    let server = Server(process: process)
    self.server = server
    try server.wait(name, log: log) {
      // A transaction of a million rows locks them all.
      _ = try place.answer(
        "mariadb",
        client + ["-e", "SET GLOBAL rocksdb_max_row_locks = 1073741824; CREATE DATABASE IF NOT EXISTS bench"])
    }
  }

  func stop() {
    server?.stop(SIGTERM)
    server = nil
  }

  func prepare(_ input: IngestInput) throws {
    let make = input.form == .csv ? input.schema : ""
    _ = try place.run("mariadb", client + ["bench", "-e", "DROP TABLE IF EXISTS \(input.table); \(make)"])
  }

  func load(_ input: IngestInput) throws -> RunCost {
    guard let server else { throw BenchError(description: "\(name) is not running") }
    return try server.measured {
      guard input.form == .csv else { return try place.run("mariadb", client + ["bench"], input: input.path) }
      let sql = "LOAD DATA LOCAL INFILE '\(input.path)' INTO TABLE \(input.table) FIELDS TERMINATED BY ','"
      return try place.run("mariadb", client + ["bench", "--local-infile=1", "-e", sql])
    }
  }

  func count(_ input: IngestInput) throws -> Int {
    try place.number("mariadb", client + ["bench", "-N", "-e", countQuery(input)])
  }

  func clear() {}
}
