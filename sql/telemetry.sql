-- Measurements as an event stream: no key, so rows are only appended.
CREATE TABLE telemetry (
  device TEXT,
  at REAL NOT NULL,
  metric TEXT NOT NULL,
  value DOUBLE PRECISION,
  payload BLOB,
  SHARD KEY (device)
);
