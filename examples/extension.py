# The loadable extension from Python: python3 extension.py PATH/libsluice0.so
# For now it answers sluice_version(); reading and writing stores through it is not there yet.
import sqlite3
import sys

connection = sqlite3.connect(":memory:")
connection.enable_load_extension(True)
connection.load_extension(sys.argv[1])
print("sluice", connection.execute("SELECT sluice_version()").fetchone()[0])
