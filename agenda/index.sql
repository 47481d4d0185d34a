-- index: written by apply alone, dropped and replayed by a rebuild
CREATE TABLE entry (
  id INTEGER PRIMARY KEY, book TEXT NOT NULL, year INTEGER NOT NULL, serial INTEGER NOT NULL,
  class TEXT NOT NULL, urgency TEXT NOT NULL, state TEXT NOT NULL, draft INTEGER NOT NULL, ordered INTEGER NOT NULL,
  once BLOB UNIQUE, registered_at TEXT NOT NULL, released_at TEXT, sent_at TEXT,
  number_year INTEGER, number_seq INTEGER, number TEXT, template TEXT,
  current INTEGER NOT NULL, last INTEGER NOT NULL, received_at TEXT,
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
-- the events of officers, roles, applicants, correspondents and archive keys, by the type that stands in the record
CREATE INDEX person ON event(seq) WHERE substr(record, 56 + length(seq), 4)
  IN (x'6f666669', x'726f6c65', x'6170706c', x'636f7272', x'61726368');
-- what the log itself says where a row of the index could be missing: the letters registered, by the first letter of their
-- book, the numbers given, the tokens of scripts, and what concerns no entry, by its type; the head and the first keys of a
-- record are never longer than that
CREATE INDEX registered ON event(substr(record, instr(substr(record, 1, 600), x'0a626f6f6b20') + 6, 1))
  WHERE substr(record, 56 + length(seq), 10) IN (x'656e7472792e72656769', x'7265706f72742e726567');
CREATE INDEX numbered ON event(seq) WHERE substr(record, 56 + length(seq), 14) = x'656e7472792e72656c6561736564'
  AND instr(substr(record, 1, 600), x'0a6e756d62657220') > 0;
CREATE INDEX once ON event(substr(record, instr(substr(record, 1, 600), x'0a6f6e636520') + 6, 64))
  WHERE substr(record, 56 + length(seq), 10) = x'656e7472792e72656769' AND instr(substr(record, 1, 600), x'0a6f6e636520') > 0;
CREATE INDEX general ON event(substr(record, 56 + length(seq), 4)) WHERE entry IS NULL;
-- the releases, and what ended the way of a released entry
CREATE INDEX released ON event(substr(record, 56 + length(seq), 12)) WHERE substr(record, 56 + length(seq), 14) = x'656e7472792e72656c6561736564'
  OR substr(record, 56 + length(seq), 10) IN (x'636f70792e6163636570', x'636f70792e6576696465', x'636f70792e63616e6365', x'656e7472792e766f6964')
  AND instr(substr(record, 1, 600), x'0a73746174652072656c656173656420') > 0;
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
CREATE TABLE complaint (
  id INTEGER PRIMARY KEY, year INTEGER NOT NULL, serial INTEGER NOT NULL, channel TEXT NOT NULL, service TEXT,
  received_at TEXT NOT NULL, state TEXT NOT NULL, answered_at TEXT, passed_at TEXT, closed_at TEXT, last INTEGER NOT NULL,
  UNIQUE (year, serial)
) STRICT;
CREATE TABLE complaint_step (seq INTEGER PRIMARY KEY, complaint INTEGER NOT NULL) STRICT;
CREATE INDEX complaint_steps ON complaint_step(complaint);
-- what went wrong: copies refused or in doubt, drafts returned, outages
CREATE TABLE trouble (
  seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, at TEXT NOT NULL, until TEXT,
  entry INTEGER NOT NULL, copy INTEGER NOT NULL, outcome TEXT
) STRICT;
CREATE INDEX trouble_at ON trouble(at);
CREATE TABLE explained (seq INTEGER PRIMARY KEY, entry INTEGER NOT NULL) STRICT;
CREATE INDEX explained_entry ON explained(entry);
CREATE TABLE page (seq INTEGER NOT NULL, page INTEGER NOT NULL, code TEXT NOT NULL, PRIMARY KEY (seq, page)) STRICT, WITHOUT ROWID;
CREATE INDEX page_code ON page(code);
CREATE TABLE closed_day (seq INTEGER PRIMARY KEY, date TEXT NOT NULL) STRICT;
CREATE INDEX closed_date ON closed_day(date);
-- what came back about a copy that left; the state of the copy does not change
CREATE TABLE receipt (
  seq INTEGER PRIMARY KEY, entry INTEGER NOT NULL, copy INTEGER NOT NULL, kind TEXT NOT NULL, action TEXT NOT NULL,
  at TEXT NOT NULL, object BLOB NOT NULL
) STRICT;
CREATE INDEX receipt_copy ON receipt(entry, copy);
CREATE INDEX receipt_at ON receipt(at);
-- reports that left by e-mail: what each tells of, and to whom
CREATE TABLE mailed (
  report INTEGER NOT NULL, entry INTEGER NOT NULL, reader TEXT NOT NULL, PRIMARY KEY (report, entry)
) STRICT, WITHOUT ROWID;
CREATE INDEX mailed_entry ON mailed(entry, reader);
