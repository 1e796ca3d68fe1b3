-- PRAGMA, SHOW, SET.
PRAGMA foreign_keys=OFF;
PRAGMA main.journal_mode = wal;
PRAGMA table_info(orders);
PRAGMA table_info('my table');
PRAGMA cache_size = -2000;
PRAGMA synchronous = ON;
PRAGMA user_version;
SHOW SHARDS;
show queue;
SHOW PROJECTIONS;
SHOW TABLES;
SHOW ack;
SET ack = applied;
SET ack TO 'durable';
SET drain_rate = 50000;
SET ratio = -0.5;
SET timer = on;
