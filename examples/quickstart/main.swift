// Sluice from Swift: open a store, write through a client, read what was written, close.
import Sluice

let path = CommandLine.arguments.count > 1 ? CommandLine.arguments[1] : "quickstart.sluice"
try await tour(path)

func tour(_ path: String) async throws {
  let store = try await Store.open(path: path)
  let client = try await store.makeClient()

  try await client.execute(
    """
    CREATE TABLE IF NOT EXISTS readings(
      device TEXT, at INTEGER, celsius REAL, PRIMARY KEY (device, at), SHARD KEY (device))
    """)
  try await client.execute("DELETE FROM readings")

  // Rows in batches, without any text.
  let insert = try await client.prepareInsert(into: "readings")
  try await insert.insert((1...1_000).map { ["attic", .integer(Int64($0)), .real(20 + Double($0 % 7))] })
  try await client.execute("INSERT INTO readings VALUES(?, ?, ?)", ["cellar", 1, 12.5])  // On the disk.

  do {
    try await client.execute("INSERT INTO readings VALUES('cellar', 1, 99)")  // The key is taken.
  } catch let error as StoreError where error.kind == .conflict {
    print("rejected: \(error)")
  }

  // A client reads its own writes; rows are computed as they are read.
  for try await row in client.query("SELECT device, count(*) AS n, max(celsius) FROM readings GROUP BY device") {
    print(try row.get("device", as: String.self), try row.get("n", as: Int.self), try row.get(2, as: Double.self))
  }

  // All or nothing. Another session may be faster (`conflict`, sqliteCode 5): then it is run again.
  while true {
    do {
      try await client.transaction {
        let warmest: Double = try await client.query("SELECT max(celsius) FROM readings").all()[0].get(0)
        try await client.execute("UPDATE readings SET celsius = ? WHERE device = 'cellar'", [.real(warmest + 1)])
      }
      break
    } catch let error as StoreError where error.kind == .conflict && error.sqliteCode == 5 {}
  }
  print(try await client.query("SELECT celsius FROM readings WHERE device = 'cellar'").all()[0].get(0, as: Double.self))
  try await client.wait(for: .projected)  // sqlite3 sees it in projections.db.
  try await client.close()

  // The same store without SQL: raw keys on the same write path, in key spaces that no SQL table shows. A session's
  // calls may wait for the disk: in a program with more than one task it wants a thread of its own.
  let raw = try store.makeKeyValueSession(space: 0)
  for name in ["alpha", "beta", "gamma"] { try raw.put(Array(name.utf8), Array("letter \(name)".utf8)) }
  try raw.delete(Array("beta".utf8))
  try raw.commit()  // On the disk.
  let iterator = try raw.makeIterator(.all, .descending)
  while try iterator.next() { print(String(decoding: iterator.value, as: UTF8.self)) }
  try await store.close()
}
