-- A store through stock sqlite3, read and written as if its tables were SQLite's own:
--   sqlite3 -cmd '.load PATH/libsluice0' < examples/extension.sql
-- The first line makes the store when it is missing; without 'create' a wrong path is an error.
SELECT sluice_attach('notes.sluice', '', 'create') > 0 AS known;
SELECT sluice_execute('CREATE TABLE IF NOT EXISTS notes(id INTEGER PRIMARY KEY, at TEXT DEFAULT ''today'', text TEXT NOT NULL)');

-- Rows of any other table of sqlite3 go in by INSERT … SELECT; one transaction is one durable write.
CREATE TABLE inbox(text);
INSERT INTO inbox VALUES ('call Ada'), ('buy paper'), ('water the plants');
BEGIN;
INSERT INTO notes(text) SELECT text FROM inbox;
SAVEPOINT s;
DELETE FROM notes;
ROLLBACK TO s;
UPDATE notes SET text = text || '!' WHERE text LIKE 'call%';
COMMIT;

SELECT text, at FROM notes ORDER BY id DESC LIMIT 3;
-- Other programs see it in notes.sluice/projections.db from here on.
SELECT sluice_wait('projected') = sluice_position() AS projected;
-- Lets go of the store; closing the connection does so too.
DROP TABLE sluice_tables;
