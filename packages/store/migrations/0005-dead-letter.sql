-- Dead letters, by the row of the journal that each came with; its text and all its faults are there.
CREATE TABLE dead_letter (
  seq     INTEGER PRIMARY KEY,
  role    TEXT NOT NULL,
  name    TEXT NOT NULL,
  subject TEXT NOT NULL,
  code    TEXT NOT NULL,
  fault   TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  status  TEXT NOT NULL,
  retries INTEGER NOT NULL,
  counted INTEGER NOT NULL
) STRICT;
CREATE INDEX dead_letter_open ON dead_letter (role, name, seq) WHERE status = 'open';

INSERT INTO dead_letter
SELECT seq, actor_role, actor_name, json_extract(body, '$.subject'), json_extract(body, '$.code'),
  coalesce(json_extract(body, '$.faults[0]'), ''), time_ms, 'open', 0, 0
FROM journal WHERE type = 'message.dead';
