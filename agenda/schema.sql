-- truth
CREATE TABLE event (
  seq    INTEGER PRIMARY KEY,
  entry  INTEGER,
  record BLOB NOT NULL,
  nodes  BLOB NOT NULL
) STRICT;
CREATE INDEX event_entry ON event(entry) WHERE entry IS NOT NULL;
CREATE TABLE text (
  seq    INTEGER PRIMARY KEY,
  form   INTEGER NOT NULL,
  secret BLOB NOT NULL,
  body   BLOB NOT NULL
) STRICT;
CREATE TABLE object (
  id     INTEGER PRIMARY KEY,
  sha256 BLOB UNIQUE NOT NULL,
  size   INTEGER NOT NULL,
  media  TEXT NOT NULL,
  data   BLOB
) STRICT;
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT) STRICT;
CREATE TRIGGER event_update BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'event is written once'); END;
CREATE TRIGGER event_delete BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'event is never deleted'); END;
CREATE TRIGGER text_update BEFORE UPDATE ON text BEGIN SELECT RAISE(ABORT, 'text is written once'); END;
CREATE TRIGGER text_delete BEFORE DELETE ON text
  WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'destroying')
  BEGIN SELECT RAISE(ABORT, 'text is deleted by a destruction only'); END;
CREATE TRIGGER object_update BEFORE UPDATE ON object BEGIN SELECT RAISE(ABORT, 'object is written once'); END;
CREATE TRIGGER object_delete BEFORE DELETE ON object
  WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'destroying')
  BEGIN SELECT RAISE(ABORT, 'object is deleted by a destruction only'); END;
-- work: not compared by verify
CREATE TABLE review (entry INTEGER PRIMARY KEY, packet BLOB NOT NULL) STRICT;
CREATE TABLE outbox (
  entry INTEGER NOT NULL, copy INTEGER NOT NULL,
  state TEXT NOT NULL, attempt INTEGER NOT NULL, next_at TEXT, since TEXT NOT NULL, note TEXT NOT NULL,
  PRIMARY KEY (entry, copy)
) STRICT;
CREATE VIRTUAL TABLE search USING fts5(body, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2');
