package agenda

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// CopyState is the state of one copy (recipient, delivery) of an entry.
type CopyState string

// The delivery states. The index knows ready, accepted, rejected, doubt,
// evidenced, handed and cancelled; claimed, armed and deferred live in the
// outbox only and count as ready in the index.
const (
	CopyReady     CopyState = "ready"
	CopyClaimed   CopyState = "claimed"
	CopyArmed     CopyState = "armed"
	CopyDeferred  CopyState = "deferred"
	CopyAccepted  CopyState = "accepted"
	CopyRejected  CopyState = "rejected"
	CopyDoubt     CopyState = "doubt"
	CopyEvidenced CopyState = "evidenced"
	CopyHanded    CopyState = "handed"
	CopyCancelled CopyState = "cancelled"
)

// The kinds of recipient.
const (
	KindTo = "to"
	KindCc = "cc"
)

// Copy is one addressee of an entry and the delivery to it. Its number is the
// nomor salinan: the place of the addressee, to before cc, as typed.
type Copy struct {
	Copy           int
	Kind           string    // to, cc
	Correspondent  int64     // 0: a name as typed
	Handle         string    // or the typed name
	State          CopyState // of the outbox where a row exists, else of the index; "" before release
	Message        Hash      // frozen bytes
	Size           int64
	MessageID      string
	Address        string // at release or readdress
	SettledAt      time.Time
	DoubtAt        time.Time // of a copy in doubt: when its answer was lost
	Attempts       int
	LastReply      string
	QueueID        string
	NextAt         time.Time
	Route, Basis   string
	Box            string
	Offset, Length int64
}

// CopyRef names a copy.
type CopyRef struct {
	Entry int64
	Copy  int
}

// FrozenCopy is a message ready for its recipient; its bytes are in the vault.
type FrozenCopy struct {
	Copy      int
	Message   Object
	MessageID string
	Address   string
	// Addressee is Last of the correspondent that it was made for, 0 for an
	// address that is no correspondent's. One that was changed since is
	// agenda.correspondent_changed: he may have another address or key.
	Addressee int64
}

// Release numbers an entry (book kriptogram only) and freezes all its copies.
type Release struct {
	Number *ProposedNumber
	Copies []FrozenCopy
}

// Claimed is a copy that this process has taken to deliver.
type Claimed struct {
	CopyRef
	Attempt   int
	Entry     Name
	Number    string
	Message   Hash
	Size      int64
	MessageID string
	Address   string
}

// Settlement is the end of an attempt: accepted, rejected or doubt.
type Settlement struct {
	State    CopyState
	Attempt  int
	Route    string // smtp
	QueueID  string
	TLS      string
	Peer     string
	Address  string
	Reply    string
	Dialogue Object
	// Reported tells whether everybody has his report of an entry; it is asked
	// when the copy is that of a report.
	Reported func(Entry) bool
}

// Resolution is an officer's decision on a copy: evidenced, ready (reopened),
// cancelled or handed.
type Resolution struct {
	To       CopyState
	Route    string
	Basis    string // file: byte check; claim: an officer's word
	Reason   string
	At       time.Time // when it happened outside; zero: not said
	Evidence Object
	Reported func(Entry) bool // as in [Settlement]
}

// settles tells whether s needs nothing more of the desk.
func (s CopyState) settles() bool {
	return s == CopyAccepted || s == CopyEvidenced || s == CopyCancelled
}

// resolutions is the table of decisions: from (outbox state where a row
// exists) → to. Claimed and armed are absent on purpose: a live process works
// on them, or [Book.Recover] has not run yet.
var resolutions = map[CopyState][]CopyState{
	CopyDoubt:    {CopyEvidenced, CopyReady, CopyCancelled},
	CopyHanded:   {CopyEvidenced, CopyReady, CopyCancelled},
	CopyReady:    {CopyHanded, CopyCancelled},
	CopyDeferred: {CopyHanded, CopyCancelled},
	CopyRejected: {CopyCancelled, CopyHanded},
}

// settlements is the table of results: from → to. Rejected and doubt need the
// attempt to be open; a server may refuse before the body.
var settlements = map[CopyState][]CopyState{
	CopyClaimed: {CopyRejected},
	CopyArmed:   {CopyAccepted, CopyRejected, CopyDoubt},
}

func allows(table map[CopyState][]CopyState, from, to CopyState) bool {
	for _, s := range table[from] {
		if s == to {
			return true
		}
	}
	return false
}

// eventFor returns the type of the event that brings a copy to state s.
func (s CopyState) eventFor() string {
	switch s {
	case CopyReady:
		return "copy.reopened"
	case CopyDoubt:
		return "copy.doubted"
	}
	return "copy." + string(s)
}

// queue puts a copy into the outbox as ready.
func (u *update) queue(ref CopyRef, attempt int) error {
	return u.putOutbox(ref, CopyReady, attempt)
}

func (u *update) putOutbox(ref CopyRef, state CopyState, attempt int) error {
	return u.exec(`INSERT INTO outbox(entry, copy, state, attempt, next_at, since, note) VALUES($1, $2, $3, $4, NULL, $5, '')
 ON CONFLICT(entry, copy) DO UPDATE SET state=excluded.state, attempt=excluded.attempt, next_at=NULL, since=excluded.since, note=''`,
		ref.Entry, ref.Copy, string(state), attempt, formatStamp(u.stamp))
}

func (u *update) unqueue(ref CopyRef) error {
	return u.exec("DELETE FROM outbox WHERE entry=$1 AND copy=$2", ref.Entry, ref.Copy)
}

// delivery is a copy as the outbox and the index see it.
type delivery struct {
	ref     CopyRef
	index   CopyState // state in the index
	state   CopyState // of the outbox where a row exists
	attempt int
	note    string // of the outbox row
}

// delivery reads a copy of a released entry and checks that its entry takes
// part in the sending.
func (u *update) delivery(ref CopyRef) (delivery, taken, error) {
	t, err := u.take(ref.Entry, anyLast, StepSend)
	if err != nil {
		return delivery{}, t, err
	}
	d := delivery{ref: ref}
	var index, state, note sql.NullString
	var attempt sql.NullInt64
	err = u.row(`SELECT c.state, o.state, o.attempt, o.note FROM copy c LEFT JOIN outbox o ON o.entry=c.entry AND o.copy=c.copy
 WHERE c.entry=$1 AND c.copy=$2`, ref.Entry, ref.Copy).Scan(&index, &state, &attempt, &note)
	if errors.Is(err, sql.ErrNoRows) {
		return d, t, &Error{code: "agenda.not_found", Entry: t.name, Copy: ref.Copy, Field: "copy"}
	}
	if err != nil {
		return d, t, storage(err)
	}
	d.index, d.state, d.attempt = CopyState(index.String), CopyState(index.String), int(attempt.Int64)
	d.note = note.String
	if state.Valid {
		// A row of the outbox beside a copy that was settled would have it
		// settled again.
		if d.state = CopyState(state.String); d.index != CopyReady || !d.state.queued() {
			return d, t, named(tampered("outbox"), t.name)
		}
	} else {
		// Settled before: the attempts went on record with it.
		if d.attempt, err = u.attempts(ref); err != nil {
			return d, t, err
		}
	}
	return d, t, nil
}

func (u *update) attempts(ref CopyRef) (int, error) {
	var record []byte
	err := u.row("SELECT e.record FROM copy c JOIN event e ON e.seq=c.last WHERE c.entry=$1 AND c.copy=$2", ref.Entry, ref.Copy).Scan(&record)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, storage(err)
	}
	e, err := parseRecord(record)
	if err != nil {
		return 0, err
	}
	return int(e.getInt("attempt")), nil
}

// copyEvent begins the event that brings the copy to a state.
func (u *update) copyEvent(t taken, d delivery, to CopyState, entryState State) *event {
	e := t.event(to.eventFor(), entryState).setInt("copy", int64(d.ref.Copy)).
		set("from", string(d.index)).set("to", string(to))
	if d.attempt > 0 {
		e.setInt("attempt", int64(d.attempt))
	}
	return e
}

// after is the state of the entry once the copy has the state: sent when every
// copy is accepted, proved or cancelled, and at least one is not cancelled.
func (u *update) after(t taken, ref CopyRef, to CopyState) (State, error) {
	if !to.settles() {
		return t.state, nil
	}
	var open, gone int
	err := u.row(`SELECT coalesce(sum(state NOT IN ('accepted', 'evidenced', 'cancelled')), 0), coalesce(sum(state <> 'cancelled'), 0)
 FROM copy WHERE entry=$1 AND copy<>$2`, ref.Entry, ref.Copy).Scan(&open, &gone)
	if err != nil {
		return "", storage(err)
	}
	if open == 0 && (gone > 0 || to != CopyCancelled) {
		return t.move.other, nil
	}
	return t.state, nil
}

// Recover runs before a send, under the desk's send lock: what a dead process
// had armed is in doubt from now on (an event each), what it had only claimed
// is deferred and may be tried again at once.
func (b *Book) Recover(ctx context.Context, a Actor) (doubted, deferred []CopyRef, err error) {
	err = b.update(ctx, a, func(u *update) error {
		for _, check := range []func() error{u.checkTops, u.checkCount, u.checkUnderWay, u.checkOutbox} {
			if err := check(); err != nil {
				return err
			}
		}
		armed, err := u.refs("SELECT entry, copy FROM outbox WHERE state=$1 ORDER BY entry, copy", string(CopyArmed))
		if err != nil {
			return err
		}
		for _, ref := range armed {
			d, t, err := u.delivery(ref)
			if err != nil {
				return err
			}
			if _, err := wholeEntry(u.ctx, u.b.conn, t.id); err != nil {
				return err
			}
			said := d.dialogue(Object{}) // of the attempts before
			if err := u.putObject(said); err != nil {
				return err
			}
			if _, err := u.append(u.copyEvent(t, d, CopyDoubt, t.state).setHash("dialogue", said.SHA256)); err != nil {
				return err
			}
			if err := u.unqueue(ref); err != nil {
				return err
			}
		}
		claimed, err := u.refs("SELECT entry, copy FROM outbox WHERE state=$1 ORDER BY entry, copy", string(CopyClaimed))
		if err != nil {
			return err
		}
		for _, ref := range claimed {
			if err := u.exec("UPDATE outbox SET state='deferred', next_at=NULL, since=$1 WHERE entry=$2 AND copy=$3",
				formatStamp(u.stamp), ref.Entry, ref.Copy); err != nil {
				return err
			}
		}
		doubted, deferred = armed, claimed
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return doubted, deferred, nil
}

// checkOutbox refuses a row that no copy to be delivered can have: it would keep
// a letter here for ever, or have one that left taken for one that did not.
func (u *update) checkOutbox() error {
	var wrong bool
	err := u.row(`SELECT EXISTS (SELECT 1 FROM outbox o LEFT JOIN copy c ON c.entry=o.entry AND c.copy=o.copy LEFT JOIN entry e ON e.id=o.entry
 WHERE o.state NOT IN ('ready', 'claimed', 'armed', 'deferred') OR c.state IS NOT 'ready' OR e.state IS NOT 'released')`).Scan(&wrong)
	if err == nil && wrong {
		return tampered("outbox")
	}
	return storage(err)
}

func (u *update) refs(query string, args ...any) ([]CopyRef, error) {
	return readRefs(u.ctx, u.b.conn, query, args...)
}

func readRefs(ctx context.Context, q querier, query string, args ...any) ([]CopyRef, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, storage(err)
	}
	defer rows.Close()
	var out []CopyRef
	for rows.Next() {
		var r CopyRef
		if err := rows.Scan(&r.Entry, &r.Copy); err != nil {
			return nil, storage(err)
		}
		out = append(out, r)
	}
	return out, storage(rows.Err())
}

// selectReady also finds a ready copy whose outbox row is lost: the outbox is
// work, the index decides.
const selectReady = `SELECT c.entry, c.copy FROM entry e JOIN copy c ON c.entry=e.id
 LEFT JOIN outbox o ON o.entry=c.entry AND o.copy=c.copy
 WHERE e.state='released' AND c.state='ready' AND (o.state IS NULL OR o.state='ready'
 OR (o.state='deferred' AND ($1 OR o.next_at IS NULL OR o.next_at<=$2)))`

// Ready lists the copies to deliver, oldest entry first, or by names in their
// order. Deferred copies wait for their time unless all is set.
func (b *Book) Ready(ctx context.Context, now time.Time, names []Name, all bool) ([]CopyRef, error) {
	if names == nil {
		return readRefs(ctx, b.readers, selectReady+" ORDER BY c.entry, c.copy", all, formatStamp(now))
	}
	var out []CopyRef
	for _, n := range names {
		id, err := b.idOf(ctx, n)
		if err != nil {
			return nil, err
		}
		refs, err := readRefs(ctx, b.readers, selectReady+" AND e.id=$3 ORDER BY c.copy", all, formatStamp(now), id)
		if err != nil {
			return nil, err
		}
		out = append(out, refs...)
	}
	return out, nil
}

// Unsettled lists the copies of released entries that only a person can bring
// on: in doubt, refused by the server, given out for the manual route. Oldest
// entry first.
func (b *Book) Unsettled(ctx context.Context) ([]CopyRef, error) {
	return readRefs(ctx, b.readers, `SELECT c.entry, c.copy FROM entry e JOIN copy c ON c.entry=e.id
 WHERE e.state='released' AND c.state IN ('doubt', 'rejected', 'handed') ORDER BY c.entry, c.copy`)
}

// Claim takes copies for this process and counts an attempt for each. A copy
// that is not ready or deferred any more is left out. A crash leaves claimed
// copies to [Book.Recover].
func (b *Book) Claim(ctx context.Context, refs []CopyRef) ([]Claimed, error) {
	var out []Claimed
	err := b.update(ctx, Actor{Handle: "-"}, func(u *update) error {
		for _, ref := range refs {
			d, t, err := u.delivery(ref)
			if errors.Is(err, ErrStepOrder) {
				continue
			}
			if err != nil {
				return err
			}
			if d.index != CopyReady || (d.state != CopyReady && d.state != CopyDeferred) {
				continue
			}
			d.attempt++
			// The note stays: it has the dialogues of the attempts before.
			if err := u.exec(`INSERT INTO outbox(entry, copy, state, attempt, next_at, since, note) VALUES($1, $2, 'claimed', $3, NULL, $4, '')
 ON CONFLICT(entry, copy) DO UPDATE SET state='claimed', attempt=excluded.attempt, next_at=NULL, since=excluded.since`,
				ref.Entry, ref.Copy, d.attempt, formatStamp(u.stamp)); err != nil {
				return err
			}
			out = append(out, Claimed{CopyRef: ref, Attempt: d.attempt, Entry: t.name})
		}
		return u.claimed(out)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// selectClaimed reads a copy, and how many its entry has and has settled, unless
// that was asked with another copy of the entry.
const selectClaimed = `SELECT e.state, coalesce(e.number, ''), coalesce(c.state, ''), c.message, coalesce(c.message_id, ''), c.frozen,
 CASE WHEN $3 THEN 0 ELSE (SELECT count(*) FROM copy o WHERE o.entry=c.entry) END,
 CASE WHEN $3 THEN 0 ELSE (SELECT count(*) FROM copy o WHERE o.entry=c.entry AND o.state IN ('accepted', 'evidenced', 'cancelled')) END
 FROM copy c JOIN entry e ON e.id=c.entry WHERE c.entry=$1 AND c.copy=$2`

// claimed reads what is to be sent as the log has it: the rows of the index, by
// which the copies were found, only say where they stand there. Whoever changed
// them sends nothing, neither again nor elsewhere.
func (u *update) claimed(all []Claimed) error {
	type known struct {
		entry   State
		copy    CopyState
		message Hash
		id      string
	}
	rows, log, since := make([]known, len(all)), make([]known, len(all)), make([][2]int64, len(all))
	places, sizes := map[int64][]int{}, map[int64]int{}
	for i := range all {
		c, row := &all[i], &rows[i]
		var message []byte
		var frozen sql.NullInt64
		var size, settled int
		_, seen := sizes[c.CopyRef.Entry]
		if err := u.row(selectClaimed, c.CopyRef.Entry, c.Copy, seen).
			Scan(&row.entry, &c.Number, &row.copy, &message, &row.id, &frozen, &size, &settled); err != nil {
			return storage(err)
		}
		if !seen {
			sizes[c.CopyRef.Entry] = size
		}
		if settled > 0 {
			// With the last copy the entry is sent: the others must be settled.
			if _, err := wholeEntry(u.ctx, u.b.conn, c.CopyRef.Entry); err != nil {
				return err
			}
		}
		if len(message) != len(row.message) || !frozen.Valid {
			return named(tampered("copy of an entry"), c.Entry)
		}
		row.message, log[i].entry = Hash(message), row.entry
		since[i] = [2]int64{c.CopyRef.Entry, frozen.Int64}
		places[c.CopyRef.Entry] = append(places[c.CopyRef.Entry], i)
	}
	chosen, err := json.Marshal(since)
	if err != nil {
		return err
	}
	err = readEvents(u.ctx, u.b.conn, `WHERE e.seq IN (
 SELECT n.seq FROM json_each($1) k CROSS JOIN event n ON n.entry=k.value->>0 AND n.seq>=k.value->>1) ORDER BY e.seq`,
		[]any{string(chosen)}, func(e *event) (err error) {
			for _, i := range places[e.entry] {
				c, is, n := &all[i], &log[i], strconv.Itoa(all[i].Copy)
				if e.typ.name == "entry.released" && len(e.list("copy")) != sizes[e.entry] {
					err = named(tampered("copies of an entry"), c.Entry)
				}
				if e.to != "" {
					is.entry = e.to
				}
				switch {
				case err != nil || e.seq < since[i][1]:
				case e.typ.name == "entry.released":
					is.copy = CopyReady
					is.message, c.Size, is.id, err = frozen(e.get("copy." + n))
					c.Address = e.get("address." + n)
				case strings.HasPrefix(e.typ.name, "copy.") && e.get("copy") == n:
					is.copy = CopyState(e.get("to"))
					if e.typ.name == "copy.readdressed" {
						is.message, c.Size, is.id, err = frozen(e.get("message"))
						c.Address = e.get("address")
					}
				}
			}
			return err
		})
	if err != nil {
		return err
	}
	for i := range all {
		if rows[i] != log[i] {
			return named(tampered("copy of an entry"), all[i].Entry)
		}
		all[i].Message, all[i].MessageID = log[i].message, log[i].id
	}
	return nil
}

// Unclaim gives back copies that were claimed and not tried: the attempt does
// not count.
func (b *Book) Unclaim(ctx context.Context, refs []CopyRef) error {
	return b.update(ctx, Actor{Handle: "-"}, func(u *update) error {
		for _, ref := range refs {
			if err := u.exec("UPDATE outbox SET state='ready', attempt=attempt-1, next_at=NULL, since=$1 WHERE entry=$2 AND copy=$3 AND state='claimed'",
				formatStamp(u.stamp), ref.Entry, ref.Copy); err != nil {
				return err
			}
		}
		return nil
	})
}

// Arm puts "the whole body is out, the final dot is not" on disk before it
// returns: from now on only a reply or a person settles the copy. A copy that
// is not claimed is agenda.changed.
func (b *Book) Arm(ctx context.Context, ref CopyRef) error {
	return b.update(ctx, Actor{Handle: "-"}, func(u *update) error {
		return u.moveOutbox("UPDATE outbox SET state='armed', since=$1 WHERE entry=$2 AND copy=$3 AND state='claimed'",
			ref, formatStamp(u.stamp), ref.Entry, ref.Copy)
	})
}

// maxAttempts bounds what is kept of attempts that failed, in octets.
const maxAttempts = 64 << 10

// noted is the note of a deferred copy: what is shown, in one line, and behind
// it the dialogues of all attempts so far, of which the oldest lines give way.
func (d *delivery) noted(shown string, dialogue []byte) string {
	_, past, _ := strings.Cut(d.note, "\n")
	past += string(dialogue)
	if extra := len(past) - maxAttempts; extra > 0 {
		past = past[extra:]
		_, past, _ = strings.Cut(past, "\n")
	}
	return strings.ReplaceAll(normal(shown), "\n", " ") + "\n" + normal(past)
}

// dialogue is the record of every attempt at a copy, the last one behind those
// that were put off. Without any of those it is the last one as it came.
func (d *delivery) dialogue(last Object) Object {
	_, past, _ := strings.Cut(d.note, "\n")
	if past == "" {
		return last
	}
	return NewObject(cmp.Or(last.Media, "text/plain; charset=utf-8"), append([]byte(past), last.Data...))
}

// Attempted returns what was said in attempts at copies of an entry whose fate
// is still open, by copy; the others have it on record.
func (b *Book) Attempted(ctx context.Context, entry int64) (map[int][]byte, error) {
	said := map[int][]byte{}
	err := b.view(ctx, func(q *reader) error {
		rows, err := q.QueryContext(ctx, "SELECT copy, note FROM outbox WHERE entry=$1", entry)
		if err != nil {
			return storage(err)
		}
		defer rows.Close()
		for rows.Next() {
			var n int
			var note string
			if err := rows.Scan(&n, &note); err != nil {
				return storage(err)
			}
			if _, past, _ := strings.Cut(note, "\n"); past != "" {
				said[n] = []byte(past)
			}
		}
		return storage(rows.Err())
	})
	return said, err
}

// Defer records that the attempt certainly failed and may be made again at
// next; note is shown, dialogue goes on record when the copy is settled. It is
// work, not an event; a zero next means at once.
func (b *Book) Defer(ctx context.Context, ref CopyRef, next time.Time, note string, dialogue []byte) error {
	return b.update(ctx, Actor{Handle: "-"}, func(u *update) error {
		d, _, err := u.delivery(ref)
		if err != nil {
			return err
		}
		var at any
		if !next.IsZero() {
			at = formatStamp(next)
		}
		return u.moveOutbox("UPDATE outbox SET state='deferred', next_at=$1, note=$2, since=$3 WHERE entry=$4 AND copy=$5 AND state IN ('claimed', 'armed')",
			ref, at, d.noted(note, dialogue), formatStamp(u.stamp), ref.Entry, ref.Copy)
	})
}

func (u *update) moveOutbox(query string, ref CopyRef, args ...any) error {
	found, err := u.changed(query, args...)
	if err != nil {
		return err
	}
	if !found {
		return &Error{code: "agenda.changed", Copy: ref.Copy, Field: "copy"}
	}
	return nil
}

// Settle is [Book.Conclude], on disk at once, and reads the entry again.
func (b *Book) Settle(ctx context.Context, a Actor, ref CopyRef, s Settlement) (Entry, error) {
	if err := b.submit(ctx, a, conclusion(ref, s))(); err != nil {
		return Entry{}, err
	}
	return b.EntryByID(ctx, ref.Entry)
}

// Conclude records the end of an attempt: accepted, rejected or doubt. The
// entry is sent with its last copy. It returns before that is on disk; wait,
// which must be called, returns when it is. Whatever the caller records after
// Conclude has returned, such as an [Book.Arm], comes behind it or with it: for
// a moment the conclusion waits to share its sync.
func (b *Book) Conclude(ctx context.Context, a Actor, ref CopyRef, s Settlement) (wait func() error) {
	return b.submitPatient(ctx, a, conclusion(ref, s))
}

func conclusion(ref CopyRef, s Settlement) func(u *update) error {
	return onCopy(ref, func(u *update, t taken, d delivery) error {
		if !allows(settlements, d.state, s.State) {
			return &Error{code: "agenda.step_order", Entry: t.name, Copy: ref.Copy, State: State(d.state), Value: string(s.State)}
		}
		if s.Attempt != 0 && s.Attempt != d.attempt {
			return &Error{code: "agenda.changed", Entry: t.name, Copy: ref.Copy, Field: "attempt"}
		}
		said := d.dialogue(s.Dialogue)
		if err := u.putObject(said); err != nil {
			return err
		}
		state, err := u.after(t, ref, s.State)
		if err != nil {
			return err
		}
		e := u.copyEvent(t, d, s.State, state).set("route", s.Route).set("queue-id", s.QueueID).set("tls", s.TLS).
			set("peer", s.Peer).set("address", s.Address).set("reply", s.Reply).setHash("dialogue", said.SHA256)
		if _, err := u.append(e); err != nil {
			return err
		}
		if err := u.unqueue(ref); err != nil {
			return err
		}
		return u.delivered(t, s.State, s.Reported)
	})
}

// onWhole is onCopy for what a person decides, which holds the entry against the
// log first: what he decides on is what happened.
func onWhole(ref CopyRef, fn func(u *update, t taken, d delivery) error) func(u *update) error {
	return onCopy(ref, func(u *update, t taken, d delivery) error {
		if _, err := wholeEntry(u.ctx, u.b.conn, t.id); err != nil {
			return err
		}
		return fn(u, t, d)
	})
}

func onCopy(ref CopyRef, fn func(u *update, t taken, d delivery) error) func(u *update) error {
	return func(u *update) error {
		d, t, err := u.delivery(ref)
		if err != nil {
			return err
		}
		return named(fn(u, t, d), t.name)
	}
}

// Resolve records an officer's decision on a copy. What may follow what:
// doubt and handed → evidenced, ready, cancelled; ready and deferred → handed,
// cancelled; rejected → cancelled, handed.
func (b *Book) Resolve(ctx context.Context, a Actor, ref CopyRef, r Resolution) (Entry, error) {
	for key, value := range map[string]string{"reason": r.Reason, "route": r.Route} {
		if err := checkText(key, value); err != nil {
			return Entry{}, err
		}
	}
	err := b.update(ctx, a, onWhole(ref, func(u *update, t taken, d delivery) error {
		if !allows(resolutions, d.state, r.To) {
			return &Error{code: "agenda.step_order", Entry: t.name, Copy: ref.Copy, State: State(d.state), Value: string(r.To)}
		}
		if r.To == CopyEvidenced {
			switch {
			case r.Basis == "":
				return missingField("basis")
			case r.Basis != "file" && r.Basis != "claim":
				return invalid("basis", r.Basis)
			case r.Basis == "file" && r.Evidence.IsZero():
				return missingField("evidence")
			}
		}
		if (r.To == CopyCancelled || r.To == CopyReady) && r.Reason == "" {
			return missingField("reason")
		}
		if err := u.putObject(r.Evidence); err != nil {
			return err
		}
		said := d.dialogue(Object{}) // of attempts before the decision
		if err := u.putObject(said); err != nil {
			return err
		}
		state, err := u.after(t, ref, r.To)
		if err != nil {
			return err
		}
		e := u.copyEvent(t, d, r.To, state).setTime("at", r.At).set("route", r.Route).set("basis", r.Basis).
			setHash("evidence", r.Evidence.SHA256).set("reason", r.Reason).setHash("dialogue", said.SHA256)
		if _, err := u.append(e); err != nil {
			return err
		}
		if r.To == CopyReady {
			return u.queue(ref, d.attempt)
		}
		if err := u.unqueue(ref); err != nil {
			return err
		}
		return u.delivered(t, r.To, r.Reported)
	}))
	if err != nil {
		return Entry{}, err
	}
	return b.EntryByID(ctx, ref.Entry)
}

// Readdress gives a copy that the server certainly has not taken a new address
// and a new frozen message: same correspondent, same kriptogram and number. One
// that only waits is made anew for another address, never for its own.
func (b *Book) Readdress(ctx context.Context, a Actor, ref CopyRef, to FrozenCopy, reason string) error {
	return b.update(ctx, a, onWhole(ref, func(u *update, t taken, d delivery) error {
		waits := d.state == CopyReady || d.state == CopyDeferred
		if waits {
			c := []Claimed{{CopyRef: ref, Entry: t.name}}
			if err := u.claimed(c); err != nil {
				return err
			}
			waits = c[0].Address != to.Address
		}
		if d.state != CopyRejected && !waits {
			return &Error{code: "agenda.step_order", Entry: t.name, Copy: ref.Copy, State: State(d.state), Value: string(CopyReady)}
		}
		if to.Copy != ref.Copy {
			return invalid("copy", strconv.Itoa(to.Copy))
		}
		if reason == "" {
			return missingField("reason")
		}
		if to.Address == "" {
			return missingField("address")
		}
		if err := u.freeze(t.id, to); err != nil {
			return err
		}
		said := d.dialogue(Object{})
		if err := u.putObject(said); err != nil {
			return err
		}
		e := t.event("copy.readdressed", t.state).setInt("copy", int64(ref.Copy)).
			set("from", string(d.index)).set("to", string(CopyReady))
		if d.attempt > 0 {
			e.setInt("attempt", int64(d.attempt))
		}
		e.set("address", to.Address).set("reason", reason).setHash("dialogue", said.SHA256).set("message", frozenValue(to))
		if _, err := u.append(e); err != nil {
			return err
		}
		return u.queue(ref, d.attempt)
	}))
}
