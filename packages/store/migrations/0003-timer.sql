-- Operational rows: neither projected from the journal nor replayed.
CREATE TABLE timer (
  id        TEXT PRIMARY KEY,
  kind      TEXT NOT NULL,
  subject   TEXT NOT NULL,
  due_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX timer_by_due ON timer (due_at_ms, id);

-- How far a reader of the journal has come.
CREATE TABLE cursor (
  name TEXT PRIMARY KEY,
  seq  INTEGER NOT NULL
) STRICT;
