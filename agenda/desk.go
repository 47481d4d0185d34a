package agenda

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Archive records where the frozen messages of an entry lie in the box. The
// box holds them before; a crash between leaves a tail without an event.
func (b *Book) Archive(ctx context.Context, a Actor, id, last int64, r ArchiveRecord) error {
	return b.ArchiveAll(ctx, a, []Archiving{{ID: id, Last: last, Record: r}})
}

// Archiving is one of several entries that are filed together.
type Archiving struct {
	ID, Last int64
	Record   ArchiveRecord
}

// ArchiveAll records the filing of entries in one transaction: all or none.
func (b *Book) ArchiveAll(ctx context.Context, a Actor, all []Archiving) error {
	return b.update(ctx, a, func(u *update) error {
		for _, r := range all {
			t, err := u.take(r.ID, r.Last, StepArchive)
			if err != nil {
				return err
			}
			if err := u.archive(t, r.Record); err != nil {
				return named(err, t.name)
			}
		}
		return nil
	})
}

func (u *update) archive(t taken, r ArchiveRecord) error {
	if r.Box == "" {
		return missingField("box")
	}
	var recorded bool
	if err := u.row("SELECT EXISTS (SELECT 1 FROM copy WHERE entry=$1 AND box IS NOT NULL)", t.id).Scan(&recorded); err != nil {
		return storage(err)
	}
	if recorded {
		return t.refuse("")
	}
	copies := slices.Clone(r.Copies)
	slices.SortFunc(copies, func(x, y ArchivedCopy) int { return x.Copy - y.Copy })
	e := t.event("entry.archived", t.move.to).set("box", r.Box).set("place", r.Place)
	for i, c := range copies {
		if c.Offset < 0 || c.Length <= 0 || c.Copy < 1 || (i > 0 && copies[i-1].Copy == c.Copy) {
			return invalid("copy", strconv.Itoa(c.Copy))
		}
		var known bool
		if err := u.row("SELECT EXISTS (SELECT 1 FROM copy WHERE entry=$1 AND copy=$2)", t.id, c.Copy).Scan(&known); err != nil {
			return storage(err)
		}
		if !known {
			return invalid("copy", strconv.Itoa(c.Copy))
		}
		e.set("copy."+strconv.Itoa(c.Copy), strconv.FormatInt(c.Offset, 10)+" "+strconv.FormatInt(c.Length, 10))
	}
	_, err := u.append(e)
	return err
}

// BoxEnd is where the recorded messages of a box end, in octets: what lies
// behind it was appended by a process that died before its event.
func (b *Book) BoxEnd(ctx context.Context, box string) (int64, error) {
	var end int64
	err := b.view(ctx, func(q *reader) error {
		return storage(q.QueryRowContext(ctx, "SELECT coalesce(max(offset + length), 0) FROM copy WHERE box=$1", box).Scan(&end))
	})
	return end, err
}

// CheckBoxEnd holds the end of a box against the log, for whoever is about to
// move away what lies behind it: with rows that say less those would be letters
// that were filed. It reads the whole log.
func (b *Book) CheckBoxEnd(ctx context.Context, box string, end int64) error {
	var known int64
	err := b.view(ctx, func(q *reader) error {
		return readEvents(ctx, q, "WHERE substr(e.record, 56 + length(e.seq), 14)=x'656e7472792e6172636869766564'", nil, func(e *event) error {
			if e.get("box") != box {
				return nil
			}
			return e.numbered("copy", func(_ int, value string) error {
				offset, length, _ := strings.Cut(value, " ")
				from, err := parseCount(offset)
				size, err2 := parseCount(length)
				known = max(known, from+size)
				return errors.Join(err, err2)
			})
		})
	})
	if err == nil && known != end {
		return tampered("end of a box")
	}
	return err
}

// Report records one report over entries: all or none. complete is asked,
// with the report included, whether everybody who is to have one has it; the
// entry is reported then. nil never completes.
func (b *Book) Report(ctx context.Context, a Actor, ids []int64, r ReportRecord, complete func(Entry) bool) error {
	if err := inBook("object", r.Object); err != nil {
		return err
	}
	if len(ids) == 0 {
		return missingField("entry")
	}
	return b.update(ctx, a, func(u *update) error {
		if err := u.putObject(r.Object); err != nil {
			return err
		}
		for _, id := range ids {
			if err := u.report(id, r, complete); err != nil {
				return err
			}
		}
		return nil
	})
}

// report records one report of one entry; its object is in the book.
func (u *update) report(id int64, r ReportRecord, complete func(Entry) bool) error {
	t, err := u.take(id, anyLast, StepReport)
	if err != nil {
		return err
	}
	e, err := wholeEntry(u.ctx, u.b.conn, id)
	if err != nil {
		return err
	}
	r.At, r.Actor, r.Seq = u.stamp, u.actor.Handle, u.edge.size
	e.Reports = append(e.Reports, r)
	to := t.move.to
	if t.move.other != "" && complete != nil && complete(e) {
		to = t.move.other
	}
	ev := t.event("report.made", to).set("kind", r.Kind).set("to", r.To).setHash("object", r.Object.SHA256)
	if r.By != 0 {
		ev.setInt("by", r.By)
	}
	_, err = u.append(ev)
	return named(err, t.name)
}

// RecordPrint records a printed extract.
func (b *Book) RecordPrint(ctx context.Context, a Actor, p PrintRecord) error {
	return b.update(ctx, a, func(u *update) error {
		e := newEvent("extract.printed").set("kind", p.Kind).set("filter", p.Filter).setInt("rows", int64(p.Rows)).
			setInt("size", p.Size).set("root", p.Root.String())
		for i, code := range p.Pages {
			e.set("page."+strconv.Itoa(i+1), code)
		}
		if p.Sheet > 0 {
			e.set("book", string(p.Book)).setInt("year", int64(p.Year)).setInt("last", int64(p.Last)).
				setInt("sheet", int64(p.Sheet)).setInt("volume", int64(p.Volume))
		}
		_, err := u.append(e)
		return err
	})
}

// RecordOpened records a received kriptogram. duplicate tells that the same
// draft and copy was opened here before.
func (b *Book) RecordOpened(ctx context.Context, a Actor, o OpenedRecord) (duplicate bool, err error) {
	err = b.update(ctx, a, func(u *update) error {
		if o.Manifest.IsZero() {
			return missingField("manifest")
		}
		err := u.row("SELECT EXISTS (SELECT 1 FROM opened WHERE manifest=$1 AND copy=$2)", o.Manifest[:], o.Copy).Scan(&duplicate)
		if err != nil {
			return storage(err)
		}
		e := newEvent("kriptogram.opened").setHash("manifest", o.Manifest).setHash("kriptogram", o.Kriptogram).
			setInt("copy", int64(o.Copy)).set("sender", o.Sender).set("number", o.Number).set("verdicts", o.Verdicts)
		_, err = u.append(e)
		return err
	})
	return duplicate && err == nil, err
}

// RecordConfig records that the configuration of the desk changed; the digest
// of the newest one again is no event.
func (b *Book) RecordConfig(ctx context.Context, a Actor, config Object) error {
	if err := inBook("object", config); err != nil {
		return err
	}
	return b.update(ctx, a, func(u *update) error {
		have, err := configDigest(u.ctx, u.b.conn)
		if err != nil || have == config.SHA256 {
			return err
		}
		if err := u.putObject(config); err != nil {
			return err
		}
		_, err = u.append(newEvent("config.changed").setHash("object", config.SHA256))
		return err
	})
}

// ConfigDigest returns the digest of the newest recorded configuration, zero
// when none was recorded.
func (b *Book) ConfigDigest(ctx context.Context) (Hash, error) {
	return configDigest(ctx, b.readers)
}

func configDigest(ctx context.Context, q querier) (Hash, error) {
	e, err := newestGeneral(ctx, q, "conf", func(e *event) bool { return e.is("config.changed") })
	if err != nil || e != nil {
		return e.digest("object"), err
	}
	g, err := eventAt(ctx, q, 0)
	return g.digest("config"), err
}

// Checkpoint signs the state of the log and records the note. The tree is
// signed as it is before the event of the checkpoint itself. sign runs inside
// the transaction: it must need no person.
func (b *Book) Checkpoint(ctx context.Context, a Actor, sign func(text []byte) (note []byte, err error)) ([]byte, error) {
	var note []byte
	err := b.update(ctx, a, func(u *update) error {
		g, err := readGenesis(u.ctx, u.b.conn)
		if err != nil {
			return err
		}
		size, root := u.edge.size, u.edge.root()
		if note, err = sign(checkpointText(g.origin(), size, root)); err != nil {
			return &Error{code: "agenda.storage", Field: "checkpoint", cause: err}
		}
		o := NewObject("text/plain", note)
		if err := u.putObject(o); err != nil {
			return err
		}
		_, err = u.append(newEvent("log.checkpoint").setInt("size", size).set("root", root.String()).setHash("note", o.SHA256))
		return err
	})
	if err != nil {
		return nil, err
	}
	return note, nil
}

// origin names the log: "<mail domain>/sandi/<desk id>".
func (g Genesis) origin() string { return g.MailDomain + "/sandi/" + g.DeskID }

// LatestCheckpoint returns the newest note and when it was made; before the
// first it is agenda.not_found.
func (b *Book) LatestCheckpoint(ctx context.Context) (note []byte, at time.Time, err error) {
	err = b.view(ctx, func(q *reader) error {
		e, err := newestGeneral(ctx, q, "log.", func(e *event) bool { return e.is("log.checkpoint") })
		if err != nil {
			return err
		}
		if e == nil {
			return &Error{code: "agenda.not_found", Field: "checkpoint"}
		}
		o, err := readObject(ctx, q, e.getHash("note"))
		note, at = o.Data, e.at
		return err
	})
	return note, at, err
}

// Genesis returns what event 0 says.
func (b *Book) Genesis(ctx context.Context) (Genesis, error) {
	return recall(ctx, b, "genesis", func(q *reader) (Genesis, error) { return readGenesis(ctx, q) })
}

func readGenesis(ctx context.Context, q querier) (Genesis, error) {
	var g Genesis
	found := false
	err := readEvents(ctx, q, "WHERE e.seq=0", nil, func(e *event) error {
		found = e.typ.name == "desk.created"
		g = Genesis{
			DeskID: e.get("desk-id"), LogKey: e.get("log-key"), ArchiveFingerprint: e.get("archive-fingerprint"),
			Office: e.get("office"), MailDomain: e.get("mail-domain"), Profile: e.get("profile"),
			ArchiveCertificate: Object{SHA256: e.getHash("archive-certificate")}, Config: Object{SHA256: e.getHash("config")},
		}
		return nil
	})
	if err == nil && !found {
		err = tampered("event 0")
	}
	for _, o := range []*Object{&g.ArchiveCertificate, &g.Config} {
		if err == nil && !o.IsZero() {
			*o, err = readObject(ctx, q, o.SHA256)
		}
	}
	return g, err
}

// Head returns size and root of the log.
func (b *Book) Head(ctx context.Context) (size int64, root Hash, err error) {
	err = b.view(ctx, func(q *reader) error {
		var top sql.NullInt64
		if err := q.QueryRowContext(ctx, "SELECT max(seq) FROM event").Scan(&top); err != nil {
			return storage(err)
		}
		if top.Valid {
			size = top.Int64 + 1
		}
		edge, err := readEdge(ctx, q, size)
		if err != nil {
			return err
		}
		root = edge.root()
		return nil
	})
	return size, root, err
}

// Last returns the time of the newest event.
func (b *Book) Last(ctx context.Context) (time.Time, error) {
	return readLast(ctx, b.readers)
}

// restored names in meta the event with which the book last came from a backup: work, beside
// the event that is the truth.
const restored = "restored"

// Restored records that the book comes from a backup: every copy that was not
// settled is in doubt, also one that was refused or given out by hand, since
// the book cannot know what was sent after the backup was made. It returns
// them.
func (b *Book) Restored(ctx context.Context, a Actor, reason string) ([]CopyRef, error) {
	if strings.TrimSpace(reason) == "" {
		return nil, missingField("reason")
	}
	var doubted []CopyRef
	err := b.update(ctx, a, func(u *update) error {
		seq, err := u.append(newEvent("desk.restored").set("reason", reason))
		if err != nil {
			return err
		}
		if err := u.markRestored(seq); err != nil {
			return err
		}
		doubted, err = u.refs(`SELECT c.entry, c.copy FROM entry e JOIN copy c ON c.entry=e.id
 WHERE e.state='released' AND c.state IN ('ready', 'rejected', 'handed') ORDER BY c.entry, c.copy`)
		if err != nil {
			return err
		}
		whole := map[int64]bool{}
		for _, ref := range doubted {
			d, t, err := u.delivery(ref)
			if err == nil && !whole[ref.Entry] {
				whole[ref.Entry] = true
				_, err = wholeEntry(u.ctx, u.b.conn, ref.Entry)
			}
			if err != nil {
				return err
			}
			if _, err := u.append(u.copyEvent(t, d, CopyDoubt, t.state).set("reason", reason)); err != nil {
				return err
			}
			if err := u.unqueue(ref); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return doubted, nil
}

func (u *update) markRestored(seq int64) error {
	return u.setMeta(restored, strconv.FormatInt(seq, 10))
}

func (u *update) setMeta(name, value string) error {
	return u.exec("INSERT INTO meta(name, value) VALUES($1, $2) ON CONFLICT(name) DO UPDATE SET value=excluded.value", name, value)
}

const place = "place" // in meta: where the book lay when it last sent

// Place is where the book lay when it last sent, as [Book.SetPlace] wrote it.
func (b *Book) Place(ctx context.Context) (string, error) {
	value, _, err := readMeta(ctx, b.readers, place)
	return value, err
}

// SetPlace remembers where the book lies. A book that finds itself elsewhere is
// a copy, and nobody knows what the other one has sent.
func (b *Book) SetPlace(ctx context.Context, where string) error {
	return b.update(ctx, Actor{Handle: "-"}, func(u *update) error {
		return u.setMeta(place, where)
	})
}

// RestoredSeq is the event since which the book goes on from a backup, 0 if it
// never came from one.
func (b *Book) RestoredSeq(ctx context.Context) (int64, error) {
	e, err := b.restored(ctx)
	if err != nil || e == nil {
		return 0, err
	}
	return e.seq, nil
}

// RestoredAt is when that event was recorded, zero if there is none.
func (b *Book) RestoredAt(ctx context.Context) (time.Time, error) {
	e, err := b.restored(ctx)
	if err != nil || e == nil {
		return time.Time{}, err
	}
	return e.at, nil
}

// restored is the newest desk.restored of the log, nil if there is none. What
// meta says of it must agree: without it what the lost desk may have sent would
// be sent again.
func (b *Book) restored(ctx context.Context) (e *event, err error) {
	err = b.view(ctx, func(q *reader) error {
		seq, err := countMeta(ctx, q, restored)
		if err != nil {
			return err
		}
		e, err = newestGeneral(ctx, q, "desk", func(e *event) bool { return e.is("desk.restored") })
		if err == nil && (e == nil && seq != 0 || e != nil && e.seq != seq) {
			return tampered("meta " + restored)
		}
		return err
	})
	return e, err
}

const sendings = "sendings" // in meta: how often the book was about to send

// Sendings is how often [Book.BeginSending] was called.
func (b *Book) Sendings(ctx context.Context) (int64, error) {
	return countMeta(ctx, b.readers, sendings)
}

// BeginSending counts one more time that something is about to leave. It is no
// event, and no event need follow: what is in the queue is armed without one.
// So a copy of the book made a moment before has the same log, and only a
// smaller count.
func (b *Book) BeginSending(ctx context.Context) error {
	return b.update(ctx, Actor{Handle: "-"}, func(u *update) error {
		n, err := countMeta(u.ctx, u.b.conn, sendings)
		if err != nil {
			return err
		}
		return u.setMeta(sendings, strconv.FormatInt(n+1, 10))
	})
}

func readMeta(ctx context.Context, q querier, name string) (value string, found bool, err error) {
	err = q.QueryRowContext(ctx, "SELECT value FROM meta WHERE name=$1", name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return value, err == nil, storage(err)
}

// countMeta is a count in meta, 0 when it is not there.
func countMeta(ctx context.Context, q querier, name string) (int64, error) {
	value, found, err := readMeta(ctx, q, name)
	if !found {
		return 0, err
	}
	n, err := parseCount(value)
	if err != nil {
		return 0, tampered("meta " + name)
	}
	return n, nil
}

// Rebuild drops the index and replays the log into it, and so finds the newest
// restore again. The log, the texts and the objects are only read; a crash
// leaves the old index.
func (b *Book) Rebuild(ctx context.Context) error {
	_, err := b.rebuild(ctx, false)
	return err
}

// rebuild is Rebuild; onlyOlder leaves an index alone that another process has
// brought to our version meanwhile. The version changes with the index, in one
// transaction, which records nothing and so does not ask for the clock.
func (b *Book) rebuild(ctx context.Context, onlyOlder bool) (done bool, err error) {
	wait := b.enqueue(&member{ctx: ctx, actor: Actor{Handle: "-"}, rebuild: true, fn: func(u *update) error {
		version, err := u.indexVersion()
		switch {
		case err != nil:
			return err
		case version > schemaVersion:
			return &Error{code: "agenda.schema", Value: strconv.FormatInt(version, 10)}
		case onlyOlder && version == schemaVersion:
			return nil
		}
		// Statements on the old tables would keep them locked.
		for query, s := range u.b.stmts {
			if err := s.Close(); err != nil {
				return storage(err)
			}
			delete(u.b.stmts, query)
		}
		former := []string{"heard", "archive_key", "newest", "printed"} // of earlier versions
		for _, t := range indexTables {
			former = append(former, t.name)
		}
		for _, name := range former {
			if err := u.exec("DROP TABLE IF EXISTS " + name); err != nil {
				return err
			}
		}
		if err := u.exec(dropLedger + indexSQL); err != nil {
			return err
		}
		u.people = map[string]int64{}
		if err := u.exec("DELETE FROM meta WHERE name=$1", restored); err != nil {
			return err
		}
		for next := int64(0); next < u.edge.size; {
			var batch []*event
			err := readEvents(u.ctx, u.b.conn, "WHERE e.seq >= $1 ORDER BY e.seq LIMIT 1000", []any{next}, func(e *event) error {
				batch = append(batch, e)
				return nil
			})
			if err != nil {
				return err
			}
			if len(batch) == 0 {
				return tampered("event missing")
			}
			for _, e := range batch {
				if e.seq != next {
					return tampered("event missing")
				}
				if err := apply(u, e); err != nil {
					return err
				}
				if e.typ.name == "desk.restored" {
					if err := u.markRestored(e.seq); err != nil {
						return err
					}
				}
				next++
			}
		}
		done = true
		return u.exec(fmt.Sprintf("DELETE FROM meta WHERE name='search'; DELETE FROM search; PRAGMA user_version=%d", schemaVersion))
	}})
	err = wait()
	b.known.forget()
	return done && err == nil, err
}

// applicantUnit resolves an applicant's handle to the unit as valid now, ""
// when the text is no handle.
func (u *update) applicantUnit(handle string) (string, error) {
	if id, ok := u.people["applicant "+handle]; ok && id == 0 {
		return "", nil
	}
	var body []byte
	err := u.row("SELECT t.body FROM applicant a JOIN text t ON t.seq=a.current WHERE a.handle=$1 AND a.ended=0", handle).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		u.people["applicant "+handle] = 0
		return "", nil
	}
	return valueOf(body, "unit"), storage(err)
}

// unitOnRecord tells whether the text is the unit of an applicant that has not
// ended.
func (u *update) unitOnRecord(unit string) (bool, error) {
	key := "unit " + unit
	if _, ok := u.people[key]; ok {
		return true, nil
	}
	rows, err := u.b.conn.QueryContext(u.ctx, "SELECT t.body FROM applicant a JOIN text t ON t.seq=a.current WHERE a.ended=0")
	if err != nil {
		return false, storage(err)
	}
	defer rows.Close()
	for rows.Next() {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return false, storage(err)
		}
		if valueOf(body, "unit") == unit {
			u.people[key] = 1
			return true, nil
		}
	}
	return false, storage(rows.Err())
}
