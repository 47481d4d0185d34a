-- index: written by apply alone, dropped and replayed by a rebuild
CREATE TABLE entry (
  id INTEGER PRIMARY KEY, book TEXT NOT NULL, year INTEGER NOT NULL, serial INTEGER NOT NULL,
  class TEXT NOT NULL, urgency TEXT NOT NULL, state TEXT NOT NULL, draft INTEGER NOT NULL, ordered INTEGER NOT NULL,
  once BLOB UNIQUE, registered_at TEXT NOT NULL, released_at TEXT, sent_at TEXT,
  number_year INTEGER, number_seq INTEGER, number TEXT, template TEXT,
  current INTEGER NOT NULL, last INTEGER NOT NULL,
  UNIQUE (book, year, serial), UNIQUE (book, number_year, number_seq)
) STRICT;
CREATE INDEX entry_open ON entry(state, id)
  WHERE state IN ('registered', 'attached', 'drafted', 'signed', 'released', 'sent', 'archived');
CREATE TABLE copy (
  entry INTEGER NOT NULL, copy INTEGER NOT NULL, kind TEXT NOT NULL, correspondent INTEGER NOT NULL,
  state TEXT, message BLOB, message_id TEXT UNIQUE, frozen INTEGER, settled_at TEXT,
  box TEXT, offset INTEGER, length INTEGER, last INTEGER,
  PRIMARY KEY (entry, copy)
) STRICT, WITHOUT ROWID;
CREATE TABLE officer (
  handle TEXT PRIMARY KEY, id INTEGER UNIQUE NOT NULL, fingerprint TEXT, certificate BLOB,
  current INTEGER NOT NULL, ended INTEGER NOT NULL
) STRICT;
CREATE TABLE role (
  officer TEXT NOT NULL, role TEXT NOT NULL, kind TEXT NOT NULL, valid_from TEXT NOT NULL,
  valid_until TEXT, current INTEGER NOT NULL,
  PRIMARY KEY (officer, role, kind, valid_from)
) STRICT;
CREATE TABLE correspondent (
  handle TEXT PRIMARY KEY, id INTEGER UNIQUE NOT NULL, fingerprint TEXT, subkey TEXT, certificate BLOB,
  state TEXT NOT NULL, confirmed INTEGER, current INTEGER NOT NULL, ended INTEGER NOT NULL
) STRICT;
CREATE TABLE applicant (
  handle TEXT PRIMARY KEY, id INTEGER UNIQUE NOT NULL, current INTEGER NOT NULL, ended INTEGER NOT NULL
) STRICT;
CREATE TABLE opened (
  seq INTEGER PRIMARY KEY, manifest BLOB NOT NULL, copy INTEGER NOT NULL
) STRICT;
CREATE INDEX opened_manifest ON opened(manifest, copy);
-- the newest event of its kind: config, checkpoint
CREATE TABLE newest (name TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT;
