package agenda

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Destroyed stands in [Event.Fields] for a committed value whose text is gone.
const Destroyed = "(dimusnahkan)"

// Filter chooses entries. Zero fields choose all.
type Filter struct {
	Book        BookName
	Year        int
	From, Until time.Time // registered at or after From, before Until
	States      []State
	Open        bool // still asks for something
	Class       Class
	Text        string // every word begins a word of the entry
	Names       []Name // in this order; a name not in the book is agenda.not_found
	After       int    // serials above it
	Limit       int
	Newest      bool // newest first
	// Held has the entries held against the log, and their records filled without
	// the objects: for what is signed, or goes out of the house.
	Held bool
	// Mailed chooses the reports of book laporan too; without it they are
	// found by that book or by name only.
	Mailed bool
}

// Event is a record of the log as shown to people: what is committed is
// revealed where its text is still kept.
type Event struct {
	Seq    int64
	At     time.Time
	Type   string
	Actor  string
	Entry  int64 // -1: concerns no entry
	From   State
	To     State
	Fields []Line
}

// YearCount counts the entries and the numbers of a book in a year.
type YearCount struct{ Entries, Numbers int }

// Within runs fn on one snapshot of the book: the entries, people and objects
// that fn reads with the context it is given are of one instant, and cost one
// snapshot; the lists of work and of paper ([Book.Ready], [Book.LastPrinted]) are
// always the newest. fn is one goroutine, it does not write, it does not keep
// the context, and others wait while it lasts.
func (b *Book) Within(ctx context.Context, fn func(ctx context.Context) error) error {
	return b.view(ctx, func(r *reader) error { return fn(context.WithValue(ctx, inView{b}, r)) })
}

// inView is the key of the reader in the context of [Book.Within].
type inView struct{ b *Book }

// view runs fn on one snapshot of the book that was taken after the call, or on
// that of the context. Views that wait together share one: it costs more to take
// than most of them take to read.
func (b *Book) view(ctx context.Context, fn func(r *reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r, ok := ctx.Value(inView{b}).(*reader); ok {
		return fn(r)
	}
	v := &view{ctx: ctx, fn: fn, turn: make(chan *reader, 1)}
	r := b.waiting.enter(v)
	if r == nil {
		r = <-v.turn
	}
	if r != nil {
		b.look(r, v)
	}
	return v.err
}

// view is one that waits for a reader.
type view struct {
	ctx  context.Context
	fn   func(r *reader) error
	err  error
	turn chan *reader // to look with; nil: another did
}

// views are those that wait, and the readers that nobody uses.
type views struct {
	mu    sync.Mutex
	queue []*view
	idle  []*reader
	made  int
}

// enter returns a reader for v, or puts v into the queue.
func (w *views) enter(v *view) *reader {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.idle); n > 0 {
		r := w.idle[n-1]
		w.idle = w.idle[:n-1]
		return r
	}
	if w.made < maxReaders {
		w.made++
		return &reader{stmts: map[string]*sql.Stmt{}}
	}
	w.queue = append(w.queue, v)
	return nil
}

// take returns all that wait.
func (w *views) take() []*view {
	w.mu.Lock()
	defer w.mu.Unlock()
	group := w.queue
	w.queue = nil
	return group
}

// leave hands the reader to the next that waits.
func (w *views) leave(r *reader) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) > 0 {
		w.queue[0].turn <- r
		w.queue = w.queue[1:]
		return
	}
	w.idle = append(w.idle, r)
}

func (w *views) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for _, r := range w.idle {
		errs = append(errs, r.close())
	}
	w.idle, w.made = nil, w.made-len(w.idle)
	return errors.Join(errs...)
}

// look runs v and all that wait, in one snapshot. A view that panics leaves the
// reader to the next, and those behind it unread.
func (b *Book) look(r *reader, v *view) {
	others := b.waiting.take()
	err := r.begin(b.readers)
	group := append([]*view{v}, others...)
	for _, v := range group {
		if v.err = err; err == nil {
			v.err = errNotRead
		}
	}
	defer func() {
		r.end(err == nil)
		b.waiting.leave(r)
		for _, v := range others {
			v.turn <- nil
		}
	}()
	if err != nil {
		return
	}
	for _, v := range group {
		if v.err = v.ctx.Err(); v.err == nil {
			v.err = errNotRead
			v.err = v.fn(r)
		}
	}
}

// errNotRead is what a view has that was not run to its end.
var errNotRead = &Error{code: "agenda.storage", Field: "snapshot"}

// reader is a connection for reading, with statements that are prepared once:
// parsing one costs more than most of them take to run. It serves one view at
// a time.
type reader struct {
	conn  *sql.Conn // nil: not connected
	stmts map[string]*sql.Stmt
	at    edition // of the snapshot; the zero edition: not read yet
}

// begin takes a snapshot.
func (r *reader) begin(readers *sql.DB) error {
	r.at = edition{}
	var err error
	if r.conn == nil {
		if r.conn, err = readers.Conn(context.Background()); err != nil {
			r.conn = nil
			return storage(err)
		}
	}
	if _, err = r.conn.ExecContext(context.Background(), "BEGIN"); err != nil {
		return storage(err)
	}
	return nil
}

// end gives the snapshot back. A connection whose state nobody knows is closed;
// the next begin opens another.
func (r *reader) end(begun bool) {
	if begun {
		if _, err := r.conn.ExecContext(context.Background(), "ROLLBACK"); err == nil {
			return
		}
	}
	_ = r.close()
}

const (
	maxReaders  = 2  // snapshots side by side; one may be a long one
	maxPrepared = 64 // statements a reader keeps; a filter makes many forms
)

func (r *reader) close() error {
	if r.conn == nil {
		return nil
	}
	var errs []error
	for _, s := range r.stmts {
		errs = append(errs, s.Close())
	}
	errs = append(errs, r.conn.Close())
	r.conn, r.stmts = nil, map[string]*sql.Stmt{}
	return errors.Join(errs...)
}

// statement returns the prepared form of a query, nil where there is none: the
// query itself then tells why.
func (r *reader) statement(ctx context.Context, query string) *sql.Stmt {
	s := r.stmts[query]
	if s != nil || len(r.stmts) == maxPrepared {
		return s
	}
	s, err := r.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil
	}
	r.stmts[query] = s
	return s
}

// QueryContext runs a query of the snapshot.
func (r *reader) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if s := r.statement(ctx, query); s != nil {
		return s.QueryContext(ctx, args...)
	}
	return r.conn.QueryContext(ctx, query, args...)
}

// QueryRowContext runs a query of the snapshot that gives one row.
func (r *reader) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if s := r.statement(ctx, query); s != nil {
		return s.QueryRowContext(ctx, args...)
	}
	return r.conn.QueryRowContext(ctx, query, args...)
}

const selectEntry = `SELECT e.id, e.book, e.year, e.serial, e.class, e.urgency, e.state, e.draft, e.ordered,
 e.registered_at, e.released_at, e.sent_at, e.number_year, e.number_seq, e.number, e.last, e.current, c.record, t.body
 FROM entry e LEFT JOIN event c ON c.seq = e.current LEFT JOIN text t ON t.seq = e.current `

// Entries of a JSON list of ids, or of names as [book, year, serial]. SQLite
// would look up (book, year, serial) IN (...) by the book alone.
const (
	idIn    = "e.id IN (SELECT value FROM json_each($1))"
	namedIn = `e.id IN (SELECT n.id FROM json_each($1) k
 CROSS JOIN entry n ON n.book=k.value->>0 AND n.year=k.value->>1 AND n.serial=k.value->>2)`
)

type scanner interface{ Scan(dest ...any) error }

func scanEntry(s scanner) (Entry, error) {
	var e Entry
	var registered string
	var released, sent, number sql.NullString
	var year, seq sql.NullInt64
	var current int64
	var record, body []byte
	err := s.Scan(&e.ID, &e.Name.Book, &e.Name.Year, &e.Name.Serial, &e.Letter.Class, &e.Letter.Urgency, &e.State, &e.Draft, &e.Ordered,
		&registered, &released, &sent, &year, &seq, &number, &e.Last, &current, &record, &body)
	if err != nil {
		return Entry{}, err
	}
	e.Corrected = current != e.ID
	e.Number, e.NumberYear, e.NumberSeq = number.String, int(year.Int64), int(seq.Int64)
	e.RegisteredAt, e.ReleasedAt, e.SentAt = stampOf(registered), stampOf(released.String), stampOf(sent.String)
	class, urgency := e.Letter.Class, e.Letter.Urgency
	if body != nil {
		lines, err := ParseLines(body)
		if err != nil {
			return Entry{}, tampered("text of an entry")
		}
		e.Letter = letterOf(lines)
	}
	e.Letter.Class, e.Letter.Urgency = class, urgency
	if e.Name.Book == Laporan {
		ev, err := parseRecord(record)
		if err != nil {
			return Entry{}, err
		}
		e.Mailed = ev.mailed()
	}
	if _, tail, ok := bytes.Cut(record, []byte("\nrefers ")); ok {
		value, _, _ := bytes.Cut(tail, []byte("\n"))
		e.Letter.Refers = string(value)
	}
	return e, nil
}

func stampOf(s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	t, _ := parseStamp(s)
	return t
}

// letterOf reads the image of a letter from revealed lines.
func letterOf(lines []Line) Letter {
	var l Letter
	for _, line := range lines {
		switch line.Key {
		case "class":
			l.Class = Class(line.Value)
		case "urgency":
			l.Urgency = Urgency(line.Value)
		case "applicant":
			l.Applicant = line.Value
		case "request":
			l.Request = line.Value
		case "request-date":
			l.RequestDate = line.Value
		case "received":
			l.Received = stampOf(line.Value)
		case "letter":
			l.Number = line.Value
		case "letter-date":
			l.Date = line.Value
		case "origin":
			l.Origin = line.Value
		case "subject":
			l.Subject = line.Value
		case "pages":
			l.Pages, _ = strconv.Atoi(line.Value)
		case "enclosures":
			l.Enclosures = line.Value
		case "archive-class":
			l.ArchiveClass = line.Value
		case "place":
			l.Place = line.Value
		case "excluded":
			l.Excluded = line.Value == "yes"
		case "note":
			l.Note = line.Value
		case "refers":
			l.Refers = line.Value
		case "retracts":
			l.Retracts = line.Value
		default:
			switch {
			case strings.HasPrefix(line.Key, "to."):
				l.To = append(l.To, line.Value)
			case strings.HasPrefix(line.Key, "cc."):
				l.Cc = append(l.Cc, line.Value)
			}
		}
	}
	return l
}

// setLetter adds the fields of imageKeys in their order.
func (e *event) setLetter(l Letter) *event {
	e.set("applicant", l.Applicant).set("request", l.Request).set("request-date", l.RequestDate).
		setTime("received", l.Received).set("letter", l.Number).set("letter-date", l.Date).
		set("origin", l.Origin).set("subject", l.Subject)
	for i, h := range l.To {
		e.set("to."+strconv.Itoa(i+1), h)
	}
	for i, h := range l.Cc {
		e.set("cc."+strconv.Itoa(i+1), h)
	}
	if l.Pages > 0 {
		e.setInt("pages", int64(l.Pages))
	}
	return e.set("enclosures", l.Enclosures).set("archive-class", l.ArchiveClass).set("place", l.Place).
		set("excluded", yesNo(l.Excluded)).set("note", l.Note).set("refers", l.Refers).set("retracts", l.Retracts)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

const selectCopies = `SELECT c.entry, c.copy, c.kind, c.correspondent, c.state, c.message, c.message_id, c.settled_at,
 c.box, c.offset, c.length, o.state, o.attempt, o.next_at, o.note, b.size, le.record, lt.body, ft.body
 FROM copy c LEFT JOIN outbox o ON o.entry = c.entry AND o.copy = c.copy
 LEFT JOIN object b ON b.sha256 = c.message
 LEFT JOIN event le ON le.seq = c.last LEFT JOIN text lt ON lt.seq = c.last LEFT JOIN text ft ON ft.seq = c.frozen
 WHERE c.entry BETWEEN $1 AND $2 ORDER BY c.entry, c.copy`

// readCopies fills the copies of an entry whose letter is known.
func readCopies(ctx context.Context, q querier, e *Entry) error {
	return readCopiesOf(ctx, q, e.ID, e.ID, func(int64) *Entry { return e })
}

// readCopiesOf fills the copies of the entries from first to last that of
// returns; for the others it returns nil.
func readCopiesOf(ctx context.Context, q querier, first, last int64, of func(id int64) *Entry) error {
	rows, err := q.QueryContext(ctx, selectCopies, first, last)
	if err != nil {
		return storage(err)
	}
	defer rows.Close()
	for rows.Next() {
		var c Copy
		var entry int64
		var state, id, settled, box, outState, next, note sql.NullString
		var offset, length, attempt, size sql.NullInt64
		var message, record, lastBody, frozenBody []byte
		err := rows.Scan(&entry, &c.Copy, &c.Kind, &c.Correspondent, &state, &message, &id, &settled,
			&box, &offset, &length, &outState, &attempt, &next, &note, &size, &record, &lastBody, &frozenBody)
		if err != nil {
			return storage(err)
		}
		e := of(entry)
		if e == nil {
			continue
		}
		switch to := len(e.Letter.To); {
		case c.Copy >= 1 && c.Copy <= to:
			c.Handle = e.Letter.To[c.Copy-1]
		case c.Copy > to && c.Copy <= to+len(e.Letter.Cc):
			c.Handle = e.Letter.Cc[c.Copy-to-1]
		}
		c.State, c.MessageID, c.SettledAt = CopyState(state.String), id.String, stampOf(settled.String)
		c.Box, c.Offset, c.Length, c.Size = box.String, offset.Int64, length.Int64, size.Int64
		if len(message) == 32 {
			c.Message = Hash(message)
		}
		if record != nil {
			last, err := parseRecord(record)
			if err != nil {
				return err
			}
			c.Attempts, c.QueueID = int(last.getInt("attempt")), last.get("queue-id")
			c.Route, c.Basis = last.get("route"), last.get("basis")
			c.LastReply = valueOf(lastBody, "reply")
			if c.State == CopyDoubt {
				c.DoubtAt = stampOf(settledAt(last))
			}
		}
		if outState.Valid {
			if c.State != CopyReady || !CopyState(outState.String).queued() {
				return named(tampered("outbox"), e.Name)
			}
			c.State, c.Attempts, c.NextAt = CopyState(outState.String), int(attempt.Int64), stampOf(next.String)
			if note.String != "" {
				c.LastReply, _, _ = strings.Cut(note.String, "\n")
			}
		}
		if c.Address = valueOf(frozenBody, "address."+strconv.Itoa(c.Copy)); c.Address == "" {
			c.Address = valueOf(frozenBody, "address")
		}
		e.Copies = append(e.Copies, c)
	}
	return storage(rows.Err())
}

// valueOf picks one value out of a text body, "" when absent.
func valueOf(body []byte, key string) string {
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		if k, v, ok := bytes.Cut(line, []byte(" ")); ok && string(k) == key {
			value, _ := UnescapeValue(string(v))
			return value
		}
	}
	return ""
}

// readEntry reads one entry with its copies, without its records.
func readEntry(ctx context.Context, q querier, id int64) (Entry, error) {
	e, err := scanEntry(q.QueryRowContext(ctx, selectEntry+"WHERE e.id=$1", id))
	if errors.Is(err, sql.ErrNoRows) {
		return Entry{}, &Error{code: "agenda.not_found", Field: "entry"}
	}
	if err != nil {
		return Entry{}, storage(err)
	}
	return e, readCopies(ctx, q, &e)
}

// Entry reads the entry of a name whole, with its records.
func (b *Book) Entry(ctx context.Context, n Name) (Entry, error) {
	list, err := b.Named(ctx, []Name{n})
	if err != nil {
		return Entry{}, err
	}
	return list[0], nil
}

// Named reads the entries of names whole, with their records, in the order of
// the names.
func (b *Book) Named(ctx context.Context, names []Name) ([]Entry, error) {
	return b.byName(ctx, names, readRecords)
}

// NamedBriefly reads the entries of names with their copies and without their
// records, in the order of the names.
func (b *Book) NamedBriefly(ctx context.Context, names []Name) ([]Entry, error) {
	return b.byName(ctx, names, nil)
}

func (b *Book) byName(ctx context.Context, names []Name, more func(context.Context, querier, []Entry) error) ([]Entry, error) {
	keys := make([][3]any, len(names))
	for i, n := range names {
		keys[i] = [3]any{n.Book, n.Year, n.Serial}
	}
	list, err := b.batchOf(ctx, namedIn, keys, more)
	if err != nil && len(names) == 1 {
		return nil, named(err, names[0])
	}
	if err != nil { // of which one, is asked for again
		for _, n := range names {
			if _, err := b.byName(ctx, []Name{n}, more); err != nil {
				return nil, err
			}
		}
		return nil, err
	}
	return arranged(list, names, func(e Entry) Name { return e.Name },
		func(n Name) error { return &Error{code: "agenda.not_found", Field: "entry", Entry: n} })
}

// named puts the entry's name on an error of this package that has none.
func named(err error, n Name) error {
	var own *Error
	if errors.As(err, &own) && own.Entry == (Name{}) {
		own.Entry = n
	}
	return err
}

// EntryByID reads the entry whole, with its records.
func (b *Book) EntryByID(ctx context.Context, id int64) (Entry, error) {
	var e Entry
	err := b.view(ctx, func(q *reader) error {
		var err error
		e, err = wholeEntry(ctx, q, id)
		return err
	})
	if err != nil {
		return Entry{}, err
	}
	return e, nil
}

// Entries reads entries whole, with their records, in the order of ids.
func (b *Book) Entries(ctx context.Context, ids []int64) ([]Entry, error) {
	return b.entries(ctx, ids, readRecords)
}

// Brief reads entries with their copies and without their records, in the
// order of ids.
func (b *Book) Brief(ctx context.Context, ids []int64) ([]Entry, error) {
	return b.entries(ctx, ids, nil)
}

// entries reads entries with their copies in the order of ids, and what more
// adds to them.
func (b *Book) entries(ctx context.Context, ids []int64, more func(context.Context, querier, []Entry) error) ([]Entry, error) {
	list, err := b.batchOf(ctx, idIn, ids, more)
	if err != nil {
		return nil, err
	}
	return arranged(list, ids, func(e Entry) int64 { return e.ID },
		func(int64) error { return &Error{code: "agenda.not_found", Field: "entry"} })
}

// batchOf is batch for the entries whose keys, a JSON list, are in where.
func (b *Book) batchOf(ctx context.Context, where string, keys any, more func(context.Context, querier, []Entry) error) ([]Entry, error) {
	wanted, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	return b.batch(ctx, "WHERE "+where+" ORDER BY e.id", []any{string(wanted)}, more)
}

// arranged puts entries into the order of the keys that they were asked by.
func arranged[K comparable](list []Entry, keys []K, key func(Entry) K, missing func(K) error) ([]Entry, error) {
	place := make(map[K]int, len(list))
	for i, e := range list {
		place[key(e)] = i
	}
	out := make([]Entry, len(keys))
	for i, k := range keys {
		at, ok := place[k]
		if !ok {
			return nil, missing(k)
		}
		out[i] = list[at]
	}
	return out, nil
}

func wholeEntry(ctx context.Context, q querier, id int64) (Entry, error) {
	e, err := readEntry(ctx, q, id)
	if err != nil {
		return Entry{}, err
	}
	list := []Entry{e}
	err = readRecords(ctx, q, list)
	return list[0], err
}

const selectEvents = `SELECT e.record, t.secret, t.body FROM event e LEFT JOIN text t ON t.seq = e.seq `

// readEvents calls fn for each chosen event, revealed where its text is kept.
func readEvents(ctx context.Context, q querier, where string, args []any, fn func(e *event) error) error {
	rows, err := q.QueryContext(ctx, selectEvents+where, args...)
	if err != nil {
		return storage(err)
	}
	defer rows.Close()
	for rows.Next() {
		var record, secret, body sql.RawBytes // an event keeps nothing of them
		if err := rows.Scan(&record, &secret, &body); err != nil {
			return storage(err)
		}
		e, err := parseRecord(record)
		if err != nil {
			return err
		}
		if body != nil {
			if err := e.reveal(secret, body); err != nil {
				return err
			}
		}
		if err := fn(e); err != nil {
			return err
		}
	}
	return storage(rows.Err())
}

// eventAt reads a single event, nil when there is none.
func eventAt(ctx context.Context, q querier, seq int64) (*event, error) {
	var at *event
	err := readEvents(ctx, q, "WHERE e.seq=$1", []any{seq}, func(e *event) error {
		at = e
		return nil
	})
	return at, err
}

// readRecords fills the records of entries from their events.
func readRecords(ctx context.Context, q querier, list []Entry) error {
	if err := foldAll(ctx, q, list); err != nil {
		return err
	}
	return fillObjects(ctx, q, list)
}

// foldAll is readRecords without the objects.
func foldAll(ctx context.Context, q querier, list []Entry) error {
	if len(list) == 0 {
		return nil
	}
	ids := make([]int64, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	err := foldRecords(ctx, q, list, "WHERE e.entry IN (SELECT value FROM json_each($1)) ORDER BY e.entry, e.seq", ids, map[int64]*image{})
	if errors.Is(err, errImage) { // all were read: it does not exist
		return tampered("image of a correction")
	}
	return err
}

// errImage is a correction of an image that was not read before it.
var errImage = errors.New("image of a correction")

// foldRecords folds the chosen events of entries into them; wanted is the JSON
// that chooses. said is what the log says of them before those events.
func foldRecords(ctx context.Context, q querier, list []Entry, where string, wanted any, said map[int64]*image) error {
	chosen, err := json.Marshal(wanted)
	if err != nil {
		return err
	}
	places := make(map[int64][]*Entry, len(list)) // a list may name an entry twice
	for i := range list {
		places[list[i].ID] = append(places[list[i].ID], &list[i])
	}
	images := map[int64]Letter{}
	err = readEvents(ctx, q, where, []any{string(chosen)}, func(ev *event) error {
		if ev.typ.name == "entry.corrected" {
			if _, read := images[ev.getInt("was")]; !read {
				return errImage
			}
		}
		if said[ev.entry] == nil {
			said[ev.entry] = &image{}
		}
		said[ev.entry].take(ev)
		for _, e := range places[ev.entry] {
			e.fold(ev, images)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, e := range list {
		is := said[e.ID]
		if is == nil {
			is = &image{} // no event names it
		}
		if what := is.differs(e); what != "" {
			return named(tampered(what), e.Name)
		}
	}
	return nil
}

// Refresh brings entries up to date that were read before, in their order. To
// the records that they had, those of what happened since are added: a whole
// entry is whole again, for the price of what is new.
func (b *Book) Refresh(ctx context.Context, known []Entry) ([]Entry, error) {
	ids, before := make([]int64, len(known)), make(map[int64]Entry, len(known))
	for i, e := range known {
		ids[i], before[e.ID] = e.ID, e
	}
	return b.entries(ctx, ids, func(ctx context.Context, q querier, list []Entry) error {
		now, since := slices.Clone(list), make([][2]int64, len(list))
		said := make(map[int64]*image, len(list))
		for i := range list {
			old := before[list[i].ID]
			said[old.ID] = imageOf(old)
			list[i].keepRecords(old)
			since[i] = [2]int64{old.ID, old.Last}
		}
		err := foldRecords(ctx, q, list, `WHERE e.seq IN (
 SELECT n.seq FROM json_each($1) k CROSS JOIN event n ON n.entry=k.value->>0 AND n.seq>k.value->>1) ORDER BY e.entry, e.seq`, since, said)
		if errors.Is(err, errImage) { // it was read before: all once more
			copy(list, now)
			return readRecords(ctx, q, list)
		}
		if err != nil {
			return err
		}
		return fillObjects(ctx, q, list)
	})
}

// keepRecords takes the records of what e was before.
func (e *Entry) keepRecords(old Entry) {
	e.RegisteredBy, e.Drafted, e.Signed, e.Returned, e.Read = old.RegisteredBy, old.Drafted, old.Signed, old.Returned, old.Read
	e.Archived, e.Voided = old.Archived, old.Voided
	e.Attachments, e.Reports = slices.Clone(old.Attachments), slices.Clone(old.Reports)
	e.Orders, e.Corrections = slices.Clone(old.Orders), slices.Clone(old.Corrections)
}

func (e *event) letter() Letter {
	lines := make([]Line, 0, len(e.fields))
	for _, f := range e.fields {
		lines = append(lines, Line{Key: f.key, Value: f.value})
	}
	return letterOf(lines)
}

// fold adds what an event says to the records of the entry.
func (e *Entry) fold(ev *event, images map[int64]Letter) {
	switch ev.typ.name {
	case "report.registered":
		e.RegisteredBy = ev.actor
	case "entry.registered":
		e.RegisteredBy = ev.actor
		images[ev.seq] = ev.letter()
	case "entry.corrected":
		images[ev.seq] = ev.letter()
		e.Corrections = append(e.Corrections, Correction{
			Was: images[ev.getInt("was")], At: ev.at, Reason: ev.get("reason"), Actor: ev.actor, Seq: ev.seq,
		})
		if ev.to == StateRegistered && ev.from != StateRegistered {
			e.Signed, e.Read = nil, nil
		}
	case "entry.ordered":
		e.Orders = append(e.Orders, Order{
			From: ev.get("from"), To: ev.get("to"), At: ev.getTime("at"), Text: ev.get("order"),
			RecordedAt: ev.at, Actor: ev.actor, Seq: ev.seq,
		})
	case "entry.voided":
		e.Voided = &VoidRecord{
			Reason: ev.get("reason"), Authority: ev.get("authority"), From: ev.from,
			At: ev.at, Actor: ev.actor, Seq: ev.seq,
		}
	case "entry.attached":
		if ev.to != "" {
			e.Attachments = nil // a state line begins a new set of scans
		}
		e.Attachments = append(e.Attachments, Attachment{
			Object: Object{SHA256: ev.getHash("object"), Size: ev.getInt("size")}, Pages: int(ev.getInt("pages")),
			At: ev.at, Actor: ev.actor, Seq: ev.seq,
		})
	case "entry.drafted":
		policy, digest, _ := strings.Cut(ev.get("policy"), " ")
		packet, _ := base64.StdEncoding.DecodeString(ev.get("archive-packet"))
		if len(packet) == 0 {
			packet = nil
		}
		e.Drafted = &DraftRecord{
			Draft: int(ev.getInt("draft")), Manifest: ev.getHash("manifest"),
			Text: Object{SHA256: ev.getHash("manifest")}, Paraf: Object{SHA256: ev.getHash("paraf")},
			Kriptogram: Object{SHA256: ev.getHash("kriptogram"), Size: ev.getInt("size")},
			Isi:        ev.getHash("isi"), ParafKey: ev.get("key"), Policy: policy, PolicyDigest: digest,
			Format: ev.get("format"), Reason: ev.get("reason"), Documents: ev.get("documents"),
			Content: ev.get("content"), ArchivePacket: packet,
			At: ev.at, Actor: ev.actor, Seq: ev.seq,
		}
		e.Signed, e.Returned, e.Read = nil, nil, nil
	case "entry.read":
		e.Read = &ReadRecord{Draft: int(ev.getInt("draft")), Via: ev.get("via"), At: ev.at, Actor: ev.actor, Seq: ev.seq}
	case "entry.returned":
		e.Returned = &ReturnRecord{
			Draft: int(ev.getInt("draft")), Text: Object{SHA256: ev.getHash("return-text")},
			Signature: Object{SHA256: ev.getHash("signature")}, Reason: ev.get("reason"),
			At: ev.at, Actor: ev.actor, Seq: ev.seq,
		}
		e.Signed = nil
	case "entry.signed":
		e.Signed = &SignatureRecord{
			Mode: ev.get("mode"), Manifest: ev.getHash("manifest"),
			Signature: Object{SHA256: ev.getHash("signature")}, Scan: Object{SHA256: ev.getHash("scan")},
			Key: ev.get("key"), Via: ev.get("via"), Reviewed: ev.get("reviewed") == "yes",
			At: ev.at, Actor: ev.actor, Seq: ev.seq,
		}
	case "entry.archived":
		a := &ArchiveRecord{Box: ev.get("box"), Place: ev.get("place"), At: ev.at, Actor: ev.actor, Seq: ev.seq}
		_ = ev.numbered("copy", func(n int, value string) error {
			offset, length, _ := strings.Cut(value, " ")
			o, _ := parseCount(offset)
			l, _ := parseCount(length)
			a.Copies = append(a.Copies, ArchivedCopy{Copy: n, Offset: o, Length: l})
			return nil
		})
		e.Archived = a
	case "report.made":
		e.Reports = append(e.Reports, ReportRecord{
			Kind: ev.get("kind"), To: ev.get("to"), Object: Object{SHA256: ev.getHash("object")},
			By: ev.getInt("by"), At: ev.at, Actor: ev.actor, Seq: ev.seq,
		})
	}
}

// fillObjects adds size, media and kept bytes to the objects of the records.
func fillObjects(ctx context.Context, q querier, list []Entry) error {
	all := map[string][]*Object{}
	for i := range list {
		for _, o := range list[i].objects() {
			if !o.IsZero() && o.Media == "" { // not filled before
				all[o.SHA256.String()] = append(all[o.SHA256.String()], o)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	wanted, err := json.Marshal(slices.Collect(maps.Keys(all)))
	if err != nil {
		return err
	}
	rows, err := q.QueryContext(ctx, `SELECT sha256, size, media, data FROM object
 WHERE sha256 IN (SELECT unhex(value) FROM json_each($1))`, string(wanted))
	if err != nil {
		return storage(err)
	}
	defer rows.Close()
	for rows.Next() {
		var n nullObject
		if err := rows.Scan(&n.sum, &n.size, &n.media, &n.data); err != nil {
			return storage(err)
		}
		full, err := n.object()
		if err != nil {
			return err
		}
		for _, o := range all[full.SHA256.String()] {
			*o = full
		}
		delete(all, full.SHA256.String())
	}
	if err := rows.Err(); err != nil {
		return storage(err)
	}
	for sum := range all {
		return &Error{code: "agenda.not_found", Field: "object", Value: sum}
	}
	return nil
}

// objects are those that the records of an entry name.
func (e *Entry) objects() []*Object {
	var all []*Object
	for i := range e.Attachments {
		all = append(all, &e.Attachments[i].Object)
	}
	for i := range e.Reports {
		all = append(all, &e.Reports[i].Object)
	}
	if m := e.Mailed; m != nil {
		all = append(all, &m.Sheet, &m.Plain)
	}
	if d := e.Drafted; d != nil {
		all = append(all, &d.Text, &d.Paraf, &d.Kriptogram)
	}
	if r := e.Returned; r != nil {
		all = append(all, &r.Text, &r.Signature)
	}
	if s := e.Signed; s != nil {
		all = append(all, &s.Signature, &s.Scan)
	}
	return all
}

func readObject(ctx context.Context, q querier, h Hash) (Object, error) {
	o := Object{SHA256: h}
	err := q.QueryRowContext(ctx, "SELECT size, media, data FROM object WHERE sha256=$1", h[:]).Scan(&o.Size, &o.Media, &o.Data)
	if errors.Is(err, sql.ErrNoRows) {
		return Object{}, &Error{code: "agenda.not_found", Field: "object", Value: h.String()}
	}
	if err != nil {
		return o, storage(err)
	}
	return o, o.sound()
}

// Object reads an object; Data is nil when its bytes lie in the vault.
func (b *Book) Object(ctx context.Context, h Hash) (Object, error) {
	var o Object
	err := b.view(ctx, func(q *reader) error {
		var err error
		o, err = readObject(ctx, q, h)
		return err
	})
	return o, err
}

// Objects reads the objects of a media type that lie in the book itself.
func (b *Book) Objects(ctx context.Context, media string) ([]Object, error) {
	rows, err := b.readers.QueryContext(ctx, "SELECT sha256, size, media, data FROM object WHERE media=$1 AND data IS NOT NULL ORDER BY id", media)
	if err != nil {
		return nil, storage(err)
	}
	defer rows.Close()
	var all []Object
	for rows.Next() {
		var n nullObject
		if err := rows.Scan(&n.sum, &n.size, &n.media, &n.data); err != nil {
			return nil, storage(err)
		}
		o, err := n.object()
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, storage(rows.Err())
}

// Referenced tells whether the book knows the object, so that the vault must
// keep its bytes.
func (b *Book) Referenced(ctx context.Context, h Hash) (bool, error) {
	var known bool
	err := b.readers.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM object WHERE sha256=$1)", h[:]).Scan(&known)
	return known, storage(err)
}

// VaultObjects calls fn for each object whose bytes lie in the vault.
func (b *Book) VaultObjects(ctx context.Context, fn func(Object) error) error {
	var after int64
	for {
		batch, last, err := b.vaultBatch(ctx, after)
		if err != nil || len(batch) == 0 {
			return err
		}
		after = last
		for _, o := range batch {
			if err := fn(o); err != nil {
				return err
			}
		}
	}
}

func (b *Book) vaultBatch(ctx context.Context, after int64) (batch []Object, last int64, err error) {
	rows, err := b.readers.QueryContext(ctx,
		"SELECT id, sha256, size, media FROM object WHERE data IS NULL AND id > $1 ORDER BY id LIMIT 500", after)
	if err != nil {
		return nil, 0, storage(err)
	}
	defer rows.Close()
	for rows.Next() {
		var o Object
		var sum []byte
		if err := rows.Scan(&last, &sum, &o.Size, &o.Media); err != nil {
			return nil, 0, storage(err)
		}
		if len(sum) != 32 {
			return nil, 0, tampered("digest of an object")
		}
		o.SHA256 = Hash(sum)
		batch = append(batch, o)
	}
	return batch, last, storage(rows.Err())
}

// History reads all events of an entry, oldest first.
func (b *Book) History(ctx context.Context, id int64) ([]Event, error) {
	var out []Event
	err := readEvents(ctx, b.readers, "WHERE e.entry=$1 ORDER BY e.seq", []any{id}, func(e *event) error {
		out = append(out, e.shown())
		return nil
	})
	return out, err
}

func (e *event) shown() Event {
	out := Event{
		Seq: e.seq, At: e.at, Type: e.typ.name, Actor: e.actor, Entry: e.entry, From: e.from, To: e.to,
		Fields: make([]Line, 0, len(e.fields)),
	}
	for _, f := range e.fields {
		value := f.value
		if f.hidden {
			value = Destroyed
		}
		out.Fields = append(out.Fields, Line{Key: f.key, Value: value})
	}
	return out
}

// conditions writes the filter as SQL without names, text and limit.
func (f Filter) conditions() (string, []any) {
	var parts []string
	var args []any
	add := func(condition string, value any) {
		args = append(args, value)
		parts = append(parts, condition+"$"+strconv.Itoa(len(args)))
	}
	// The plus keeps SQLite on the ids, which give the order; by the index of
	// the serials it would sort the rest of the book for every batch.
	if f.Book != "" {
		add("+e.book=", string(f.Book))
	} else if !f.Mailed && len(f.Names) == 0 {
		add("+e.book<>", string(Laporan))
	}
	if f.Year != 0 {
		add("+e.year=", f.Year)
	}
	if f.After > 0 {
		add("e.serial>", f.After)
	}
	if !f.From.IsZero() {
		add("e.registered_at>=", formatStamp(f.From))
	}
	if !f.Until.IsZero() {
		add("e.registered_at<", formatStamp(f.Until))
	}
	if f.Class != "" {
		add("e.class=", string(f.Class))
	}
	if len(f.States) > 0 {
		places := make([]string, len(f.States))
		for i, s := range f.States {
			args = append(args, string(s))
			places[i] = "$" + strconv.Itoa(len(args))
		}
		parts = append(parts, "e.state IN ("+strings.Join(places, ", ")+")")
	}
	if f.Open {
		// Written out: only so does SQLite use the partial index.
		words := make([]string, len(openStates))
		for i, s := range openStates {
			words[i] = "'" + string(s) + "'"
		}
		parts = append(parts, "e.state IN ("+strings.Join(words, ", ")+")")
	}
	return strings.Join(parts, " AND "), args
}

const batchSize = 256

// Each calls fn for each chosen entry, oldest first unless f.Newest, or in the
// order of f.Names. Letter and Copies are filled, the records only with f.Held. The
// book may grow meanwhile; each batch is one snapshot.
func (b *Book) Each(ctx context.Context, f Filter, fn func(Entry) error) error {
	words := tokens(f.Text)
	left := f.Limit
	give := func(e Entry) (bool, error) {
		if !matches(words, searchable(e)) {
			return true, nil
		}
		if err := fn(e); err != nil {
			return false, err
		}
		left--
		return left != 0, nil
	}
	conditions, args := f.conditions()
	var more func(context.Context, querier, []Entry) error
	if f.Held {
		more = foldAll
	}
	if len(f.Names) > 0 {
		return b.eachName(ctx, f.Names, conditions, args, more, give)
	}
	from, until := f.From, f.Until
	if f.Year != 0 && from.IsZero() && until.IsZero() {
		from = time.Date(f.Year, 1, 1, 0, 0, 0, 0, WIB)
		until = from.AddDate(1, 0, 0)
	}
	period := Span{After: 1 << 62}
	if !from.IsZero() || !until.IsZero() {
		// Ids are found by halving; a day of a long book is not searched for.
		var err error
		if period, err = b.Span(ctx, from, until); err != nil {
			return err
		}
	}
	order, beyond, key := "ASC", ">", period.First-1
	other, bound := "<", period.After
	if f.Newest {
		order, beyond, key = "DESC", "<", period.After
		other, bound = ">=", period.First
	}
	args = append(args, bound)
	if conditions != "" {
		conditions += " AND "
	}
	conditions += "e.id" + other + "$" + strconv.Itoa(len(args))
	if conditions != "" {
		conditions += " AND "
	}
	size := batchSize
	if f.Limit > 0 && len(words) == 0 {
		size = min(size, f.Limit)
	}
	where := "WHERE " + conditions + "e.id" + beyond + "$" + strconv.Itoa(len(args)+1) +
		" ORDER BY e.id " + order + " LIMIT " + strconv.Itoa(size)
	// What is held against the log takes as long to read as to print: the next
	// batch is read meanwhile, unless the caller's snapshot is read by him.
	var reading sync.WaitGroup
	defer reading.Wait()
	ahead := more != nil && ctx.Value(inView{b}) == nil
	read := func(key int64) func() ([]Entry, error) {
		next := func() ([]Entry, error) {
			return b.batch(ctx, where, append(args[:len(args):len(args)], key), more)
		}
		if ahead {
			next = sync.OnceValues(next)
			reading.Go(func() { _, _ = next() })
		}
		return next
	}
	for next := read(key); ; {
		batch, err := next()
		if err != nil {
			return err
		}
		full := len(batch) == size
		if full {
			next = read(batch[size-1].ID)
		}
		for _, e := range batch {
			if on, err := give(e); err != nil || !on {
				return err
			}
		}
		if !full {
			return nil
		}
	}
}

func (b *Book) eachName(ctx context.Context, names []Name, conditions string, args []any,
	more func(context.Context, querier, []Entry) error, give func(Entry) (bool, error),
) error {
	n := len(args)
	where := "WHERE e.book=$" + strconv.Itoa(n+1) + " AND e.year=$" + strconv.Itoa(n+2) + " AND e.serial=$" + strconv.Itoa(n+3)
	if conditions != "" {
		where += " AND " + conditions
	}
	for _, name := range names {
		var batch []Entry
		// In one snapshot: a name that is registered meanwhile is in the book
		// for both questions or for none.
		err := b.Within(ctx, func(ctx context.Context) (err error) {
			batch, err = b.batch(ctx, where, append(args[:n:n], string(name.Book), name.Year, name.Serial), more)
			if err == nil && len(batch) == 0 {
				_, err = b.idOf(ctx, name)
			}
			return err
		})
		if err != nil {
			return err
		}
		if len(batch) == 0 {
			continue // in the book, but not chosen
		}
		if on, err := give(batch[0]); err != nil || !on {
			return err
		}
	}
	return nil
}

// idOf finds the entry of a name.
func (b *Book) idOf(ctx context.Context, n Name) (int64, error) {
	var id int64
	err := b.view(ctx, func(r *reader) error {
		err := r.QueryRowContext(ctx, "SELECT id FROM entry WHERE book=$1 AND year=$2 AND serial=$3",
			string(n.Book), n.Year, n.Serial).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return &Error{code: "agenda.not_found", Entry: n}
		}
		return storage(err)
	})
	return id, err
}

// batch reads entries with their copies, and what more adds to them, in one
// snapshot.
func (b *Book) batch(ctx context.Context, where string, args []any, more func(context.Context, querier, []Entry) error) ([]Entry, error) {
	var out []Entry
	err := b.view(ctx, func(q *reader) error {
		rows, err := q.QueryContext(ctx, selectEntry+where, args...)
		if err != nil {
			return storage(err)
		}
		defer rows.Close()
		for rows.Next() {
			e, err := scanEntry(rows)
			if err != nil {
				return storage(err)
			}
			out = append(out, e)
		}
		if err := rows.Err(); err != nil {
			return storage(err)
		}
		rows.Close()
		if err := readBatch(ctx, q, out); err != nil || more == nil {
			return err
		}
		return more(ctx, q, out)
	})
	return out, err
}

// readBatch fills the copies of entries in the order of their ids, rising or
// falling: neighbours in one query, scattered ones one by one.
func readBatch(ctx context.Context, q querier, list []Entry) error {
	if len(list) == 0 {
		return nil
	}
	first, last := list[0].ID, list[len(list)-1].ID
	if first > last {
		first, last = last, first
	}
	if last-first > 32*int64(len(list)) {
		for i := range list {
			if err := readCopies(ctx, q, &list[i]); err != nil {
				return err
			}
		}
		return nil
	}
	place := make(map[int64]*Entry, len(list))
	for i := range list {
		place[list[i].ID] = &list[i]
	}
	return readCopiesOf(ctx, q, first, last, func(id int64) *Entry { return place[id] })
}

// List collects what [Book.Each] gives.
func (b *Book) List(ctx context.Context, f Filter) ([]Entry, error) {
	var out []Entry
	err := b.Each(ctx, f, func(e Entry) error {
		out = append(out, e)
		return nil
	})
	return out, err
}

// Counts counts both books of a year (of numbering for Numbers).
func (b *Book) Counts(ctx context.Context, year int) (map[BookName]YearCount, error) {
	out := map[BookName]YearCount{}
	err := b.view(ctx, func(q *reader) error {
		for _, book := range []BookName{Kriptogram, Surat} {
			var c YearCount
			err := q.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM entry WHERE book=$1 AND year=$2),
 (SELECT count(*) FROM entry WHERE book=$1 AND number_year=$2)`, string(book), year).Scan(&c.Entries, &c.Numbers)
			if err != nil {
				return storage(err)
			}
			out[book] = c
		}
		return nil
	})
	return out, err
}

// AttachedTo lists the entries that have the object among their scans now:
// where a scan already lies when it is to be attached to another letter.
func (b *Book) AttachedTo(ctx context.Context, h Hash) ([]Name, error) {
	var names []Name
	err := b.view(ctx, func(q *reader) error {
		var known bool
		// Almost always the object is new, and the log need not be searched.
		err := q.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM object WHERE sha256=$1)", h[:]).Scan(&known)
		if err != nil || !known {
			return storage(err)
		}
		rows, err := q.QueryContext(ctx, `SELECT DISTINCT entry FROM event
 WHERE entry IS NOT NULL AND instr(record, $1) > 0 AND instr(record, $2) > 0 ORDER BY entry`, []byte(h.String()), []byte("entry.attached"))
		if err != nil {
			return storage(err)
		}
		defer rows.Close()
		var ids []int64
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				return storage(err)
			}
			ids = append(ids, id)
		}
		if err := rows.Err(); err != nil {
			return storage(err)
		}
		for _, id := range ids {
			// In this snapshot: to ask for another one while holding one may
			// wait for ever.
			e, err := wholeEntry(ctx, q, id)
			if err != nil {
				return err
			}
			for _, s := range e.Attachments {
				if s.Object.SHA256 == h && e.State != StateVoid {
					names = append(names, e.Name)
					break
				}
			}
		}
		return nil
	})
	return names, err
}
