-- Asks: questions outside any quest. `seq` is the row of the journal that each came with, so that they lie in order.
CREATE TABLE ask (
  seq      INTEGER PRIMARY KEY,
  id       TEXT NOT NULL UNIQUE,
  role     TEXT NOT NULL,
  phases   TEXT NOT NULL,
  text     TEXT NOT NULL,
  data     TEXT NOT NULL,
  author   TEXT NOT NULL,
  asked_ms INTEGER NOT NULL,
  status   TEXT NOT NULL,
  epoch    INTEGER NOT NULL,
  offers   INTEGER NOT NULL,
  agent    TEXT,
  results  TEXT NOT NULL,
  fault    TEXT,
  ended_ms INTEGER
) STRICT;
-- The lease's due time is no column: a restart gives every holder a whole lease, so that nobody would read it.
CREATE INDEX ask_open ON ask (seq) WHERE ended_ms IS NULL;
