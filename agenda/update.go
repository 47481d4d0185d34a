package agenda

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// clockSlack is how far the book may be ahead of the clock: less is jitter,
// and the last stamp is used again.
const clockSlack = 5 * time.Minute

// querier reads; a *sql.Conn inside the transaction or a reader.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// update is one transaction: one stamp, events appended in order, all or
// nothing. Statements run to their end whatever the caller's context does; a
// transaction is short, and an interrupted one would only be rolled back.
type update struct {
	b      *Book
	ctx    context.Context
	actor  Actor
	stamp  time.Time
	edge   tree
	people map[string]int64
	before int64 // size of the log at the begin
	told   bool  // an event says something of people
}

// update runs fn between BEGIN IMMEDIATE and COMMIT. An error of fn, or a
// crash before COMMIT, leaves nothing. When COMMIT itself fails nobody can say
// what the disk holds: the book then refuses every further write.
//
// Transactions that wait while another one is written share the next COMMIT:
// one sync serves them all. Each still stands for itself behind a savepoint,
// and none returns before the sync.
func (b *Book) update(ctx context.Context, a Actor, fn func(u *update) error) error {
	return b.submit(ctx, a, fn)()
}

// MayWrite refuses what every transaction of the actor would be refused for: a
// clock that cannot be, a book that cannot be written.
func (b *Book) MayWrite(ctx context.Context, a Actor) error {
	return b.update(ctx, a, func(*update) error { return nil })
}

// submit puts a transaction into the line and returns how to wait for it. One
// that is submitted later is never written before it.
func (b *Book) submit(ctx context.Context, a Actor, fn func(u *update) error) (wait func() error) {
	return b.enqueue(&member{ctx: ctx, actor: a, fn: fn})
}

// submitPatient is submit for a transaction that nobody needs at once: for a
// moment it leaves the sync to one that comes behind it, and is written with it.
func (b *Book) submitPatient(ctx context.Context, a Actor, fn func(u *update) error) (wait func() error) {
	return b.enqueue(&member{ctx: ctx, actor: a, fn: fn, patient: true})
}

// patience is longer than a sync takes and shorter than a person sees.
const patience = 2 * time.Millisecond

func (b *Book) enqueue(m *member) (wait func() error) {
	m.turn = make(chan bool, 1)
	if m.err = checkActor(m.actor); m.err != nil {
		return func() error { return m.err }
	}
	b.line.Lock()
	b.queue = append(b.queue, m)
	if !b.writing && !m.patient {
		b.writing = true
		m.turn <- true
	}
	b.line.Unlock()
	return func() error {
		if m.patient {
			timer := time.NewTimer(patience)
			defer timer.Stop()
			select {
			case <-m.turn: // written: who is patient is given no pen
				return m.err
			case <-timer.C:
				b.hurry(m)
			}
		}
		for <-m.turn {
			if b.serve(m); m.done {
				break
			}
		}
		return m.err
	}
}

// hurry lets a patient member write itself unless it was written, or is about
// to be.
func (b *Book) hurry(m *member) {
	b.line.Lock()
	defer b.line.Unlock()
	m.patient = false
	if !m.done && !b.writing {
		b.writing = true
		m.turn <- true
	}
}

// member is a transaction that waits for the writer.
type member struct {
	ctx   context.Context
	actor Actor
	fn    func(u *update) error
	err   error
	turn  chan bool // true: write for all who wait; false: written

	rebuild bool // appends nothing: neither the clock nor the index must be right

	patient, done bool // guarded by Book.line
}

// maxGroup bounds what one COMMIT carries, so that a crash leaves little
// undone and nobody waits long.
const maxGroup = 64

// serve writes those who wait longest, for the member that has the pen, and
// hands the pen on.
func (b *Book) serve(self *member) {
	b.line.Lock()
	group := b.queue[:min(len(b.queue), maxGroup)]
	b.queue = b.queue[len(group):]
	b.line.Unlock()

	b.write(group)

	b.line.Lock()
	for _, m := range group {
		m.done = true
	}
	b.line.Unlock()
	due := b.foldDue()
	if due { // before anybody is told, and closes the book
		b.folding.Add(1)
	}
	for _, m := range group {
		if m != self {
			m.turn <- false
		}
	}
	if !due {
		b.handOn()
		return
	}
	// Nobody who was written waits for the search index; who writes next does.
	go func() {
		defer b.folding.Done()
		b.fold(context.Background())
		b.handOn()
	}()
}

// handOn gives the pen to who waits longest.
func (b *Book) handOn() {
	b.line.Lock()
	defer b.line.Unlock()
	b.writing = false
	for _, m := range b.queue {
		if !m.patient {
			b.writing = true
			m.turn <- true
			return
		}
	}
}

// write makes one transaction of the group. What each is told stands in its
// member.
func (b *Book) write(group []*member) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.writable(group); err != nil {
		for _, m := range group {
			m.err = err
		}
		return
	}
	done, told := 0, false
	var before int64
	for _, m := range group {
		if m.err = m.ctx.Err(); m.err != nil {
			continue
		}
		var u *update
		if u, m.err = b.enter(m, len(group) > 1, done > 0); m.err == nil {
			if done == 0 {
				before = u.before
			}
			done, told = done+1, told || u.told
		}
		if b.broken != nil {
			break
		}
	}
	ctx := context.WithoutCancel(group[0].ctx)
	var err error
	if b.options.Rehearse {
		// What follows must not build on what was only rehearsed.
		b.edge, b.last, b.people = tree{}, time.Time{}, nil
	} else if done > 0 && b.broken == nil {
		if _, err = b.conn.ExecContext(ctx, "COMMIT"); err == nil {
			if !told {
				b.known.advance(before, b.edge.size)
			}
			b.fresh = true
			return
		}
		b.broken = storage(err)
	}
	if _, undo := b.conn.ExecContext(ctx, "ROLLBACK"); undo != nil && b.broken == nil {
		b.broken = storage(undo)
	}
	for _, m := range group {
		if b.broken != nil && m.err == nil {
			m.err = b.broken
		}
	}
}

// writable begins the transaction. The wait for another process is the only
// part worth interrupting.
func (b *Book) writable(group []*member) error {
	if b.options.ReadOnly || b.conn == nil {
		return &Error{code: "agenda.readonly"}
	}
	if b.broken != nil {
		return b.broken
	}
	ctx := group[0].ctx
	if len(group) > 1 {
		ctx = context.WithoutCancel(ctx)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := b.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		if ctx.Err() != nil {
			// The cancel may have come after the lock: let it go either way.
			_, _ = b.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		}
		return storage(err)
	}
	if err := b.moved(); err != nil {
		_, _ = b.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return err
	}
	return nil
}

// enter runs one member, alone in its transaction or not, behind another or
// not. Its edge, stamp and people become the book's at once, since the next
// member builds on them; only a failed COMMIT would make them wrong, and then
// the book writes no more.
func (b *Book) enter(m *member, shared, behind bool) (*update, error) {
	u := &update{b: b, ctx: context.WithoutCancel(m.ctx), actor: m.actor}
	if shared {
		if err := u.run("SAVEPOINT member"); err != nil {
			b.broken = err
			return nil, err
		}
	}
	err := u.begin(m.rebuild, behind)
	if err == nil {
		err = m.fn(u)
	}
	if err == nil {
		b.edge, b.last, b.people = u.edge, u.stamp, u.people
	} else {
		b.people = nil // it may name people of this member
	}
	if shared {
		if err != nil {
			b.broken = u.run("ROLLBACK TO member")
		}
		if b.broken == nil {
			b.broken = u.run("RELEASE member")
		}
	}
	return u, err
}

func checkActor(a Actor) error {
	if a.Handle == "-" {
		return nil
	}
	return checkHandle("actor", a.Handle)
}

// ValidHandle tells whether the book takes s as the handle of an officer, an
// applicant or a correspondent.
func ValidHandle(s string) bool { return checkHandle("handle", s) == nil }

// checkHandle allows lower-case letters, digits, ".", "_" and "-", not at the
// front.
func checkHandle(key, handle string) error {
	if handle == "" {
		return missingField(key)
	}
	if len(handle) > 64 {
		return invalid(key, handle)
	}
	for i := range len(handle) {
		switch c := handle[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case i > 0 && (c == '-' || c == '.' || c == '_'):
		default:
			return invalid(key, handle)
		}
	}
	return nil
}

// begin takes this transaction's stamp at the edge of the tree. The index must
// be of our version, since a newer program may have made it anew while this one
// ran; a rebuild needs neither that nor the clock. Behind another member of the
// same transaction all of it is known: nobody else writes meanwhile.
func (u *update) begin(rebuild, behind bool) error {
	now := u.b.options.Now().UTC().Truncate(time.Millisecond)
	if !behind {
		empty, err := u.catchUp()
		if err != nil {
			return err
		}
		if empty { // Create: there is nothing to begin from
			u.stamp = now
			return nil
		}
	}
	u.before, u.edge, u.people = u.b.edge.size, u.b.edge.clone(), u.b.people
	if u.people == nil {
		u.people = map[string]int64{}
	}
	last := u.b.last
	if rebuild {
		u.stamp = last
		return nil
	}
	if !behind {
		if version, err := u.indexVersion(); err != nil {
			return err
		} else if version != schemaVersion {
			return &Error{code: "agenda.schema", Value: strconv.FormatInt(version, 10)}
		}
	}
	u.stamp = now
	if last.After(now) {
		if last.Sub(now) > clockSlack {
			return &Error{code: "agenda.clock_behind", Value: formatStamp(last)}
		}
		u.stamp = last
	}
	if u.b.options.TooFarAhead(last, now) {
		if u.b.options.AcceptClock == "" {
			return &Error{code: "agenda.clock_ahead", Value: formatStamp(last)}
		}
		_, err := u.append(newEvent("desk.clock-accepted").set("reason", u.b.options.AcceptClock))
		return err
	}
	return nil
}

// catchUp brings the book's edge and last stamp to what is on disk: other
// processes write too. It tells whether the file holds no book yet.
func (u *update) catchUp() (empty bool, err error) {
	b := u.b
	if b.edge.size == 0 {
		if err := u.row("SELECT count(*) = 0 FROM sqlite_schema").Scan(&empty); err != nil || empty {
			return empty, storage(err)
		}
	}
	var top sql.NullInt64
	if err := u.row("SELECT max(seq) FROM event").Scan(&top); err != nil {
		return false, storage(err)
	}
	if !top.Valid {
		return false, tampered("book without event 0")
	}
	size := top.Int64 + 1
	if b.edge.size == size {
		return false, nil
	}
	edge, err := readEdge(u.ctx, b.conn, size)
	if err != nil {
		return false, err
	}
	last, err := readLast(u.ctx, b.conn)
	if err != nil {
		return false, err
	}
	b.edge, b.last, b.people, b.topped = edge, last, nil, false
	return false, nil
}

// indexVersion reads the version of the index as this transaction sees it.
func (u *update) indexVersion() (version int64, err error) {
	err = u.row("PRAGMA user_version").Scan(&version)
	return version, storage(err)
}

// readEdge loads the peaks of a tree of the size.
func readEdge(ctx context.Context, q querier, size int64) (tree, error) {
	t := tree{size: size}
	rows, levels := edgeRows(size)
	for i, seq := range rows {
		var nodes []byte
		if err := q.QueryRowContext(ctx, "SELECT nodes FROM event WHERE seq=$1", seq).Scan(&nodes); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				return t, tampered("event missing")
			}
			return t, storage(err)
		}
		peak, err := nodeAt(nodes, levels[i])
		if err != nil {
			return t, err
		}
		t.peaks = append(t.peaks, peak)
	}
	return t, nil
}

// readLast returns the stamp of the newest event.
func readLast(ctx context.Context, q querier) (time.Time, error) {
	var record []byte
	err := q.QueryRowContext(ctx, "SELECT record FROM event ORDER BY seq DESC LIMIT 1").Scan(&record)
	if err != nil {
		return time.Time{}, storage(err)
	}
	e, err := parseRecord(record)
	if err != nil {
		return time.Time{}, err
	}
	return e.at, nil
}

func (u *update) statement(query string) (*sql.Stmt, error) {
	if s := u.b.stmts[query]; s != nil {
		return s, nil
	}
	s, err := u.b.conn.PrepareContext(u.ctx, query)
	if err != nil {
		return nil, storage(err)
	}
	u.b.stmts[query] = s
	return s, nil
}

// run runs a statement without arguments and keeps it.
func (u *update) run(query string) error {
	s, err := u.statement(query)
	if err != nil {
		return err
	}
	_, err = s.ExecContext(u.ctx)
	return storage(err)
}

// exec runs a statement; without arguments it may be a script and is not kept.
func (u *update) exec(query string, args ...any) error {
	if len(args) == 0 {
		_, err := u.b.conn.ExecContext(u.ctx, query)
		return storage(err)
	}
	s, err := u.statement(query)
	if err != nil {
		return err
	}
	_, err = s.ExecContext(u.ctx, args...)
	return storage(err)
}

// changed runs a statement and tells whether it changed a row.
func (u *update) changed(query string, args ...any) (bool, error) {
	s, err := u.statement(query)
	if err != nil {
		return false, err
	}
	result, err := s.ExecContext(u.ctx, args...)
	if err != nil {
		return false, storage(err)
	}
	n, err := result.RowsAffected()
	return n > 0, storage(err)
}

func (u *update) row(query string, args ...any) *sql.Row {
	s, err := u.statement(query)
	if err != nil {
		// The row carries the error of the same query.
		return u.b.conn.QueryRowContext(u.ctx, query, args...)
	}
	return s.QueryRowContext(u.ctx, args...)
}

// append writes the event, its text and its tree nodes, applies it to the
// index and returns its sequence.
func (u *update) append(e *event) (int64, error) {
	e.seq, e.at, e.actor = u.edge.size, u.stamp, u.actor.Handle
	if e.entry == registering {
		e.entry = e.seq
	}
	var head []field
	if u.actor.User != "" {
		head = append(head, field{key: "user", value: normal(u.actor.User)})
	}
	if u.actor.Host != "" {
		head = append(head, field{key: "host", value: normal(u.actor.Host)})
	}
	e.fields = append(head, e.fields...)
	secret := make([]byte, 32)
	if _, err := io.ReadFull(u.b.options.Rand, secret); err != nil {
		return 0, storage(err)
	}
	record, body, err := e.format(secret)
	if err != nil {
		return 0, err
	}
	var entry any
	if e.entry != noEntry {
		entry = e.entry
	}
	u.told = u.told || e.ofPeople()
	nodes := u.edge.push(leafHash(record))
	if err := u.exec("INSERT INTO event(seq, entry, record, nodes) VALUES($1, $2, $3, $4)", e.seq, entry, record, nodes); err != nil {
		return 0, err
	}
	if body != nil {
		if err := u.exec("INSERT INTO text(seq, form, secret, body) VALUES($1, 0, $2, $3)", e.seq, secret, body); err != nil {
			return 0, err
		}
	}
	return e.seq, apply(u, e)
}

// registering stands for "the entry is this event".
const registering = int64(-2)

// putObject keeps an object once; a zero object is none.
func (u *update) putObject(o Object) error {
	if o.IsZero() {
		return nil
	}
	if err := checkObject(o); err != nil {
		return err
	}
	var data any
	if o.Data != nil {
		data = o.Data
	}
	return u.exec("INSERT INTO object(sha256, size, media, data) VALUES($1, $2, $3, $4) ON CONFLICT(sha256) DO NOTHING",
		o.SHA256[:], o.Size, o.Media, data)
}

// NewObject names data that the book is to keep.
func NewObject(media string, data []byte) Object {
	return Object{SHA256: sha256.Sum256(data), Size: int64(len(data)), Media: media, Data: data}
}

func checkObject(o Object) error {
	if o.IsZero() {
		if o.Data != nil || o.Size != 0 {
			return missingField("object")
		}
		return nil
	}
	if o.Size < 0 || o.Media != EscapeValue(o.Media) {
		return invalid("object", o.SHA256.String())
	}
	if o.Data != nil && (int64(len(o.Data)) != o.Size || o.Size > MaxObject || sha256.Sum256(o.Data) != [32]byte(o.SHA256)) {
		return invalid("object", o.SHA256.String())
	}
	return nil
}

// inVault tells whether the object is there and its bytes lie in the vault.
func inVault(key string, o Object) error {
	if o.IsZero() {
		return missingField(key)
	}
	if o.Data != nil {
		return invalid(key, o.SHA256.String())
	}
	return nil
}

// inBook tells whether the object is there with its bytes.
func inBook(key string, o Object) error {
	if o.IsZero() {
		return missingField(key)
	}
	if o.Data == nil {
		return invalid(key, o.SHA256.String())
	}
	return nil
}

// insert, update, dropCopies and correspondent make update the index that
// apply writes to.

func (u *update) insert(t *table, key []any, values ...any) error {
	return u.exec(t.insertQuery, append(append(make([]any, 0, len(key)+len(values)), key...), values...)...)
}

func (u *update) update(t *table, key []any, columns string, values ...any) error {
	found, err := u.changed(t.updateSQL(columns), append(append(make([]any, 0, len(key)+len(values)), values...), key...)...)
	if err != nil {
		return err
	}
	if !found {
		return tampered("row of " + t.name)
	}
	return nil
}

func (u *update) dropCopies(entry int64) error {
	return u.exec("DELETE FROM copy WHERE entry=$1", entry)
}

func (u *update) correspondent(handle string) (int64, error) {
	if id, ok := u.people[handle]; ok {
		return id, nil
	}
	var id int64
	err := u.row("SELECT id FROM correspondent WHERE handle=$1", handle).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, storage(err)
	}
	u.people[handle] = id
	return id, nil
}

func (t *table) insertSQL() string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + t.name + "(" + strings.Join(t.keys, ", ") + ", " + strings.Join(t.cols, ", ") + ") VALUES(")
	for i := range len(t.keys) + len(t.cols) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(i+1))
	}
	return b.String() + ")"
}

func (t *table) updateSQL(columns string) string {
	var b strings.Builder
	b.WriteString("UPDATE " + t.name + " SET ")
	n := 0
	for column := range strings.FieldsSeq(columns) {
		if n > 0 {
			b.WriteString(", ")
		}
		n++
		b.WriteString(column + "=$" + strconv.Itoa(n))
	}
	for i, key := range t.keys {
		b.WriteString([]string{" WHERE ", " AND "}[min(i, 1)])
		n++
		b.WriteString(key + "=$" + strconv.Itoa(n))
	}
	return b.String()
}
