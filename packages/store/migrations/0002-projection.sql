-- Projections: what the journal amounts to. A replay of the journal gives the same rows.
CREATE TABLE quest (
  id         TEXT PRIMARY KEY,
  status     TEXT NOT NULL,
  title      TEXT NOT NULL,
  digest     TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  state      TEXT NOT NULL
) STRICT;
CREATE INDEX quest_by_age ON quest (created_ms, id);
CREATE INDEX quest_by_digest ON quest (digest);

CREATE TABLE assignment (
  id     TEXT PRIMARY KEY,
  quest  TEXT NOT NULL REFERENCES quest (id) DEFERRABLE INITIALLY DEFERRED,
  role   TEXT NOT NULL,
  status TEXT NOT NULL,
  phase  TEXT,
  task   TEXT,
  pass   INTEGER NOT NULL,
  epoch  INTEGER NOT NULL,
  holder TEXT
) STRICT;
CREATE INDEX assignment_by_quest ON assignment (quest);
CREATE INDEX assignment_by_role ON assignment (role, status);

CREATE TABLE escalation (
  id        TEXT PRIMARY KEY,
  quest     TEXT NOT NULL REFERENCES quest (id) DEFERRABLE INITIALLY DEFERRED,
  reason    TEXT NOT NULL,
  status    TEXT NOT NULL,
  opened_ms INTEGER NOT NULL,
  ruling    TEXT
) STRICT;
CREATE INDEX escalation_by_status ON escalation (status, opened_ms);

CREATE TABLE evidence (
  sha256     TEXT NOT NULL,
  quest      TEXT NOT NULL REFERENCES quest (id) DEFERRABLE INITIALLY DEFERRED,
  kind       TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  seq        INTEGER NOT NULL,
  PRIMARY KEY (sha256, quest, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX evidence_by_quest ON evidence (quest, seq);

CREATE TABLE agent (
  role        TEXT NOT NULL,
  name        TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  pid         INTEGER NOT NULL,
  joined_ms   INTEGER NOT NULL,
  seq         INTEGER NOT NULL,
  PRIMARY KEY (role, name)
) STRICT, WITHOUT ROWID;
