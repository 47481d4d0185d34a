package agenda

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
)

// Conditions on events, by which SQLite finds them in the indexes of index.sql
// on the log: it uses one only for the very same expression. When that is not
// there, or another has taken its name, the whole log is read instead, and the
// answer is the same.
const (
	isRegistration = "substr(e.record, 56 + length(e.seq), 10) IN (x'656e7472792e72656769', x'7265706f72742e726567')"
	bookLetter     = "substr(e.record, instr(substr(e.record, 1, 600), x'0a626f6f6b20') + 6, 1)"
	isNumbered     = "substr(e.record, 56 + length(e.seq), 14) = x'656e7472792e72656c6561736564' AND instr(substr(e.record, 1, 600), x'0a6e756d62657220') > 0"
	hasOnce        = "substr(e.record, 56 + length(e.seq), 10) = x'656e7472792e72656769' AND instr(substr(e.record, 1, 600), x'0a6f6e636520') > 0"
	onceHex        = "substr(e.record, instr(substr(e.record, 1, 600), x'0a6f6e636520') + 6, 64)"
	typeLetters    = "substr(e.record, 56 + length(e.seq), 4)"
	isReleased     = `(substr(e.record, 56 + length(e.seq), 14) = x'656e7472792e72656c6561736564' OR substr(e.record, 56 + length(e.seq), 10) IN (x'636f70792e6163636570', x'636f70792e6576696465', x'636f70792e63616e6365', x'656e7472792e766f6964')
 AND instr(substr(e.record, 1, 600), x'0a73746174652072656c656173656420') > 0)`
	releases = "substr(e.record, 56 + length(e.seq), 12) = x'656e7472792e72656c656173'"
)

// dropLedger drops the indexes on the log; those of tables go with them.
const dropLedger = "DROP INDEX IF EXISTS person; DROP INDEX IF EXISTS registered; DROP INDEX IF EXISTS numbered;" +
	" DROP INDEX IF EXISTS released; DROP INDEX IF EXISTS once; DROP INDEX IF EXISTS general; "

// selectTops reads the newest registration of every book and the newest number
// by the log, each with what the index has as the last of them.
const selectTops = `SELECT b.value, (SELECT e.record FROM event e WHERE ` + isRegistration + ` AND ` + bookLetter + `=CAST(substr(b.value, 1, 1) AS BLOB)
 ORDER BY e.seq DESC LIMIT 1), x.id, x.year, x.serial FROM json_each($1) b
 LEFT JOIN entry x ON x.book=b.value AND x.year=(SELECT max(year) FROM entry WHERE book=b.value)
 AND x.serial=(SELECT max(serial) FROM entry WHERE book=b.value AND year=(SELECT max(year) FROM entry WHERE book=b.value))
UNION ALL SELECT '', (SELECT e.record FROM event e WHERE ` + isNumbered + ` ORDER BY e.seq DESC LIMIT 1), x.id, x.number_year, x.number_seq FROM (SELECT 1)
 LEFT JOIN entry x ON x.book=$2 AND x.number_year=(SELECT max(number_year) FROM entry WHERE book=$2)
 AND x.number_seq=(SELECT max(number_seq) FROM entry WHERE book=$2 AND number_year=(SELECT max(number_year) FROM entry WHERE book=$2))`

// checkTops sees that the index ends where the log does: with the last letter
// gone from it, or its number, the same serial or number would be given again,
// and nobody would miss the letter. It is asked before the first is given, and
// again when another process wrote.
func (u *update) checkTops() error {
	if u.b.topped {
		return nil
	}
	books, err := json.Marshal(allBooks)
	if err != nil {
		return err
	}
	rows, err := u.b.conn.QueryContext(u.ctx, selectTops, string(books), string(Kriptogram))
	if err != nil {
		return storage(err)
	}
	defer rows.Close()
	for rows.Next() {
		var book string
		var record []byte
		var id, year, count sql.NullInt64
		if err := rows.Scan(&book, &record, &id, &year, &count); err != nil {
			return storage(err)
		}
		if record == nil {
			if id.Valid {
				return unsound("last of book " + book)
			}
			continue
		}
		e, err := parseRecord(record)
		if err != nil {
			return err
		}
		prefix, key := "", "serial"
		if book == "" {
			prefix, key = "number-", "number-seq"
		}
		if id.Int64 != e.entry || year.Int64 != e.getInt(prefix+"year") || count.Int64 != e.getInt(key) {
			return unsound("last of book " + book)
		}
	}
	u.b.topped = rows.Err() == nil
	return storage(rows.Err())
}

// unsound is what Open finds wrong with an index that can be read, which
// [Book.Verify] names and [Book.Rebuild] may mend.
func unsound(detail string) error {
	return &Error{code: "agenda.tampered", Field: "index", cause: errors.New(detail)}
}

// Unsound tells whether Open refused an index that can be read all the same; with
// [Options.Unchecked] the book opens.
func Unsound(err error) bool {
	var own *Error
	return errors.As(err, &own) && own.code == "agenda.tampered" && own.Field == "index"
}

// checkCount sees that the index has every entry that the log registered. It
// counts them, which is for a run that sends, not for every command.
func (u *update) checkCount() error {
	var lost bool
	err := u.row("SELECT (SELECT count(*) FROM entry) <> (SELECT count(*) FROM event e WHERE " + isRegistration + ")").Scan(&lost)
	if err == nil && lost {
		return unsound("entries")
	}
	return storage(err)
}

// checkUnderWay sees that no letter is kept here for ever: as many entries stand
// as released as the log released and neither sent nor voided, and one of which
// no copy waits for anything is held against the log.
func (u *update) checkUnderWay() error {
	var lost bool
	err := u.row("SELECT (SELECT count(*) FROM entry WHERE state='released') <>" +
		" 2 * (SELECT count(*) FROM event e WHERE " + isReleased + " AND " + releases + ") - (SELECT count(*) FROM event e WHERE " + isReleased + ")").Scan(&lost)
	if err != nil {
		return storage(err)
	}
	if lost {
		return unsound("released entries")
	}
	idle, err := u.refs(`SELECT e.id, 0 FROM entry e WHERE e.state='released'
 AND NOT EXISTS (SELECT 1 FROM copy c WHERE c.entry=e.id AND c.state IN ('ready', 'doubt', 'rejected', 'handed'))`)
	for _, ref := range idle {
		if err == nil {
			_, err = wholeEntry(u.ctx, u.b.conn, ref.Entry)
		}
	}
	return err
}

// newestGeneral is the newest event that concerns no entry, whose type begins with four
// letters and that is chosen; nil when there is none.
func newestGeneral(ctx context.Context, q querier, letters string, chosen func(*event) bool) (*event, error) {
	var found *event
	enough := errors.New("found")
	err := readEvents(ctx, q, "WHERE e.entry IS NULL AND "+typeLetters+"=CAST($1 AS BLOB) ORDER BY e.seq DESC", []any{letters}, func(e *event) error {
		if !chosen(e) {
			return nil
		}
		found = e
		return enough
	})
	if errors.Is(err, enough) {
		err = nil
	}
	return found, err
}
