# A store through Python's own sqlite3: python3 extension.py PATH/libsluice0.so [STORE]
# Its tables are read and written as if they were SQLite's; everything committed is durable in the store.
import sqlite3
import sys

connection = sqlite3.connect(":memory:", isolation_level=None)
connection.enable_load_extension(True)
connection.load_extension(sys.argv[1])
print("sluice", connection.execute("SELECT sluice_version()").fetchone()[0])
if len(sys.argv) < 3:
    sys.exit()

# Made when it is missing; without 'create' a wrong path is an error.
connection.execute("SELECT sluice_attach(?, '', 'create')", (sys.argv[2],))
connection.execute(
    "SELECT sluice_execute('CREATE TABLE IF NOT EXISTS visits("
    "user_id INT, id INT, page TEXT, ms REAL DEFAULT 0.0, PRIMARY KEY (user_id, id), SHARD KEY (user_id))')"
)

connection.execute("BEGIN")
connection.executemany(
    "INSERT OR REPLACE INTO visits(user_id, id, page) VALUES (?, ?, ?)",
    [(n % 100, n, "/page/%d" % (n % 7)) for n in range(1000)],
)
connection.execute("UPDATE visits SET ms = 1.5 WHERE user_id = 7")
connection.execute("COMMIT")

try:
    connection.execute("INSERT INTO visits VALUES (7, 7, '/again', 0)")
except sqlite3.IntegrityError as error:
    print(error)
for row in connection.execute("SELECT page, count(*), sum(ms) FROM visits WHERE user_id < 10 GROUP BY page ORDER BY page LIMIT 3"):
    print(*row)

# From here on any program sees it in STORE/projections.db.
connection.execute("SELECT sluice_wait('projected')")
connection.close()
