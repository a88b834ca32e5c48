-- The record: who this installation is, what was committed, and what was answered.
CREATE TABLE migration (
  version    INTEGER PRIMARY KEY,
  name       TEXT NOT NULL,
  checksum   TEXT NOT NULL,
  applied_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE installation (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  id  TEXT NOT NULL
) STRICT;

CREATE TABLE journal (
  seq        INTEGER PRIMARY KEY,
  id         TEXT NOT NULL UNIQUE,
  time_ms    INTEGER NOT NULL,
  type       TEXT NOT NULL,
  quest      TEXT,
  actor_role TEXT NOT NULL,
  actor_name TEXT NOT NULL,
  command    TEXT,
  body       TEXT NOT NULL,
  hash       TEXT NOT NULL
) STRICT;
CREATE INDEX journal_by_quest ON journal (quest, seq) WHERE quest IS NOT NULL;

-- Written with every append, so that the removal of the last rows is seen.
CREATE TABLE head (
  one  INTEGER PRIMARY KEY CHECK (one = 1),
  seq  INTEGER NOT NULL,
  hash TEXT NOT NULL
) STRICT;

-- Answers by command id: a command that comes again is answered, not carried out.
CREATE TABLE command (
  id     TEXT PRIMARY KEY,
  actor  TEXT NOT NULL,
  answer TEXT NOT NULL,
  seq    INTEGER NOT NULL
) STRICT;
CREATE INDEX command_by_seq ON command (seq);
