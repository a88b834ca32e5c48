-- Memories, by the row of the journal that each came with; one that was forgotten is in the journal alone.
CREATE TABLE memory (
  seq       INTEGER PRIMARY KEY,
  kind      TEXT NOT NULL,
  project   TEXT,
  quest     TEXT,
  role      TEXT NOT NULL,
  name      TEXT NOT NULL,
  text      TEXT NOT NULL,
  tags      TEXT NOT NULL,
  about     TEXT,
  suspected TEXT NOT NULL,
  kept_ms   INTEGER NOT NULL,
  uses      INTEGER NOT NULL,
  successes INTEGER NOT NULL
) STRICT;
CREATE INDEX memory_by_project ON memory (project, role);
CREATE INDEX memory_by_quest ON memory (quest, role) WHERE quest IS NOT NULL;

-- The words of the memories. It follows the table, and is no projection of its own.
CREATE VIRTUAL TABLE memory_text USING fts5(
  text, tags, content = 'memory', content_rowid = 'seq', tokenize = 'porter unicode61'
);
CREATE TRIGGER memory_kept AFTER INSERT ON memory BEGIN
  INSERT INTO memory_text (rowid, text, tags) VALUES (new.seq, new.text, new.tags);
END;
CREATE TRIGGER memory_forgotten AFTER DELETE ON memory BEGIN
  INSERT INTO memory_text (memory_text, rowid, text, tags) VALUES ('delete', old.seq, old.text, old.tags);
END;
