// Sluice from Swift: open a store, write through a session, read what was written, close.
import Sluice

let path = CommandLine.arguments.count > 1 ? CommandLine.arguments[1] : "quickstart.sluice"
let store = try Store.open(path: path)
let session = try store.makeSession()

_ = try session.execute(
  """
  CREATE TABLE IF NOT EXISTS readings(
    device TEXT, at INTEGER, celsius REAL, PRIMARY KEY (device, at), SHARD KEY (device))
  """)
for minute in 1...3 {
  _ = try session.execute("INSERT OR REPLACE INTO readings VALUES('attic', \(minute), \(20 + minute).5)")
}
try session.settle()  // Durable, and its outcome is known.
for rejection in session.takeRejections() { print("rejected: \(rejection)") }

// A session reads its own writes.
if case .rows(let rows) = try session.execute("SELECT device, count(*), max(celsius) FROM readings GROUP BY device") {
  while try rows.next() {
    print((0..<rows.columnCount).map { String(decoding: rows.text($0), as: UTF8.self) }.joined(separator: " "))
  }
}

// The same store without SQL: raw keys on the same write path, in key spaces that no SQL table shows.
let raw = try store.makeKeyValueSession(space: 0)
for name in ["alpha", "beta", "gamma"] { try raw.put(Array(name.utf8), Array("letter \(name)".utf8)) }
try raw.delete(Array("beta".utf8))
try raw.commit()  // On the disk.
let iterator = try raw.makeIterator(.all, .descending)
while try iterator.next() { print(String(decoding: iterator.value, as: UTF8.self)) }
try store.close()
