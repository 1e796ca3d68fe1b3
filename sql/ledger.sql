-- Double-entry bookings: accounts, and entries that must not be lost or doubled.
CREATE TABLE accounts (
  id INTEGER PRIMARY KEY,
  name NVARCHAR(160) NOT NULL COLLATE NOCASE,
  currency CHAR(3) NOT NULL DEFAULT 'EUR' CHECK (length(currency) = 3),
  opened TEXT DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE entries (
  account_id INTEGER NOT NULL REFERENCES accounts (id) ON DELETE RESTRICT,
  entry_id INTEGER NOT NULL,
  cents INTEGER NOT NULL,
  memo TEXT,
  PRIMARY KEY (account_id, entry_id),
  SHARD KEY (account_id),
  CONSTRAINT booked CHECK (cents <> 0)
);
