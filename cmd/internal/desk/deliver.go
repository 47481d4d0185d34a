package desk

import (
	"cmp"
	"context"
	"errors"
	"math"
	"os"
	"slices"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/vault"
	"sandi/mail"
)

// SendParams say what is to leave.
type SendParams struct {
	Names   []agenda.Name // as typed; empty with Due and All
	Due     bool          // whatever is released and due, nothing new
	All     bool          // that, and whatever only waits for `send`; one that may not leave does not hold up the others
	Queue   bool          // number and queue although the gateway is down
	DryRun  bool
	Secrets Secrets
	// Attended tells that a person is there, who may try a login again that
	// the gateway refused.
	Attended bool
	// Confirm is shown what will happen before anything does; its error stops
	// the command.
	Confirm func(Plan) error
	// AskQueue is asked when the gateway is down and entries wait for their
	// release; nil means no.
	AskQueue func(error) bool
	// Report is called with every copy that was tried, as soon as its fate is
	// on disk.
	Report func(Delivery)
	// Awaits is told, when the context ends, that so many copies are whole with
	// the gateway and their answers still to come; nil tells nobody.
	Awaits func(copies int)
	// Answers is told that the gateway is there again, before anything is
	// delivered; nil tells nobody.
	Answers func(Outage)

	// later is a turn of SendWaiting: nobody names the entries any more, and a
	// copy that was put off is left alone until its time.
	later bool
	// waits is the first turn: with Due, what waits for its time is told too.
	waits bool
}

// Outage is a time in which the gateway did not answer.
type Outage struct{ From, Until time.Time }

// Plan is what `send` is about to do.
type Plan struct {
	Release []Planned
	Ready   []Planned // released before
	Copies  int
}

// Planned is one entry of a plan with the number it would get.
type Planned struct {
	Entry  agenda.Entry
	Number string
	Units  []string // by copy
}

// Delivery is the fate of one copy.
type Delivery struct {
	Entry   agenda.Name
	Number  string
	Copy    int
	Of      int
	Handle  string
	Unit    string
	State   agenda.CopyState
	At      time.Time
	Attempt int
	Reply   string
	QueueID string
	NextAt  time.Time
	Code    string // of the failure, from package mail
}

// SendResult is what `send` did.
type SendResult struct {
	Plan       Plan
	Found      // at this start; of a dry run what a sending would find, and no copies
	Released   []agenda.Entry
	Deliveries []Delivery
	Waiting    []Delivery // not tried: the gateway went away
	Skipped    []Delivery // doubt, handed, rejected, may not leave, or void since the plan: not for this command
	Entries    []agenda.Entry
	Down       error   // why the gateway could not be used
	Outage     *Outage // that ended with this sending
}

// Send does step 7 of service A and step 4 of service B: number, freeze,
// deliver. One process per desk sends at a time.
func (d *Desk) Send(ctx context.Context, p SendParams) (SendResult, error) {
	var res SendResult
	lock, err := d.senderLock()
	if err != nil {
		return res, err
	}
	defer lock.Unlock()
	if p.DryRun {
		if err := d.rehearse(ctx, d.Nobody()); err != nil {
			return res, err
		}
		if res.Found, err = d.foresee(ctx); err != nil {
			return res, err
		}
	} else {
		if res.Found, err = d.recover(ctx); err != nil {
			return res, err
		}
		defer d.sweep(ctx)
	}
	hurry(len(p.Names))
	p.Due = p.Due || p.All
	job := sending{d: d, p: p, res: &res}
	if err := job.plan(ctx); err != nil {
		return res, err
	}
	if p.DryRun {
		if err := job.rehearse(); err != nil {
			return res, err
		}
		return res, job.finish(ctx)
	}
	hurry(res.Plan.Copies)
	if res.Plan.Copies == 0 {
		return res, job.finish(ctx)
	}
	if p.Confirm != nil {
		if err := p.Confirm(res.Plan); err != nil {
			return res, err
		}
	}
	for i := range job.release {
		if err := d.unlockSender(ctx, &job.release[i], p.Secrets); err != nil {
			return res, err
		}
	}
	err = job.run(ctx)
	after := context.WithoutCancel(ctx)
	if err == nil {
		err = d.keepMark(after)
	}
	return res, errors.Join(err, d.noteOutage(after, res), job.finish(after))
}

// rehearse sees, without any passphrase, that what is to be released could be
// signed.
func (s *sending) rehearse() error {
	for _, r := range s.release {
		if r.sender.Fingerprint == "" && Clerk(r.entry.Name.Book) == agenda.RoleOperator {
			continue // unsigned
		}
		if err := s.d.mayUse(r.sender); err != nil {
			return err
		}
	}
	return nil
}

// loginRefused tells a gateway that does not take our login from one that is
// away: waiting mends nothing.
func loginRefused(err error) bool {
	return coded(err) == mail.CodeAuth || coded(err) == CodeLoginHeld
}

// noteOutage remembers since when the gateway does not answer.
func (d *Desk) noteOutage(ctx context.Context, res SendResult) error {
	if res.Down != nil && !loginRefused(res.Down) {
		return d.Book.Unreachable(ctx, d.Now())
	}
	return nil
}

// answers brings the outage that the gateway's answer ends into the log: the
// quarterly evaluation asks for it.
func (s *sending) answers(ctx context.Context) error {
	now := s.d.Now()
	since, err := s.d.Book.Reachable(ctx, s.d.Nobody(), now)
	if err != nil || since.IsZero() {
		return err
	}
	s.res.Outage = &Outage{From: since, Until: now}
	if s.p.Answers != nil {
		s.p.Answers(*s.res.Outage)
	}
	return nil
}

// sweepAge is how old an object that no record names must be before it counts
// as left by a crash, and how often `send` looks for such.
const sweepAge = 24 * time.Hour

// sweep removes what crashes left in the vault. The caller holds the sender's
// lock, whose file carries the time of the last sweep. A fault is passed over:
// the letters have left, and the next day sweeps again. What lay there when the
// desk was restored, copied or got an older book stays: the book that sent last
// may name it, and may yet be put back.
func (d *Desk) sweep(ctx context.Context) {
	path, now := d.path(sendLock), d.Now()
	st, err := os.Stat(path)
	if err != nil || now.Sub(st.ModTime()) < sweepAge {
		return
	}
	restored, err := d.Book.RestoredAt(ctx)
	if err != nil {
		return
	}
	_, err = d.Vault.Sweep(now, sweepAge, func(sum [32]byte, since time.Time) (bool, error) {
		if !since.After(restored) {
			return true, nil
		}
		return d.Book.Referenced(ctx, sum)
	})
	if err == nil {
		// At worst the next `send` sweeps again.
		_ = os.Chtimes(path, now, now)
	}
}

func (d *Desk) senderLock() (*vault.Lock, error) {
	l, err := vault.TryLock(d.path(sendLock))
	if coded(err) == "vault.locked" {
		return nil, &Error{code: CodeBusy, Field: d.Dir}
	}
	return l, err
}

// sending is one run of `send`.
type sending struct {
	d       *Desk
	p       SendParams
	res     *SendResult
	release []releasable
	offered int64 // largest message that the gateway takes; 0: not said

	correspondents map[int64]agenda.Correspondent
	people         int64                     // newest event of people when they were read
	held           map[agenda.CopyRef]string // released before, and why they stay
	unnamed        map[int64]bool            // to be released because of All, or in a later turn
	putOff         []parcel                  // that wait for their time; only in the first turn of a wait
}

// plan collects what is to be done and refuses the whole command when one of
// the named entries may not leave: a batch never stops at its third number
// for something that could be seen before the first. One that nobody named is
// left out instead, unless nothing else is to be done; in a later turn also then.
func (s *sending) plan(ctx context.Context) error {
	s.correspondents, s.held = map[int64]agenda.Correspondent{}, map[agenda.CopyRef]string{}
	var err error
	if s.people, err = s.d.Book.LastOfPeople(ctx); err != nil {
		return err
	}
	entries, err := s.chosen(ctx)
	if err != nil {
		return err
	}
	restored, err := s.d.Book.RestoredSeq(ctx)
	if err != nil {
		return err
	}
	if s.wouldStop() {
		restored = math.MaxInt64
	}
	// The checks are independent of each other; the numbers are not.
	found := make([]releasable, len(entries))
	faults := make([]error, len(entries))
	err = inParallel(ctx, len(entries), func(ctx context.Context, i int) error {
		if underway(entries[i].State) || entries[i].State == agenda.StateVoid {
			return nil
		}
		return s.d.Book.Within(ctx, func(ctx context.Context) error {
			found[i], faults[i] = s.d.mayRelease(ctx, entries[i])
			return nil
		})
	})
	if err != nil {
		return err
	}
	next, err := s.d.numberingFor(ctx, found)
	if err != nil {
		return err
	}
	var first error // of an entry that is left out
	for i, e := range entries {
		fault := faults[i]
		if fault == nil && !underway(e.State) && e.State != agenda.StateVoid && readyBefore(e, restored) {
			fault = &Error{code: CodeBeforeRestore, Entry: e.Name, Detail: string(e.Name.Book)}
		}
		if fault != nil && s.unnamed[e.ID] && !keyTrouble(fault) && coded(fault) != "" {
			first = cmp.Or(first, fault)
			if err := s.leaveOut(ctx, e, fault); err != nil {
				return err
			}
			continue
		}
		if fault != nil {
			return fault
		}
		if err := s.planOne(ctx, e, found[i], next); err != nil {
			return err
		}
	}
	if s.res.Plan.Copies == 0 && len(s.putOff) == 0 && !s.p.later {
		return first
	}
	return nil
}

// leaveOut has an entry that may not leave told as skipped.
func (s *sending) leaveOut(ctx context.Context, e agenda.Entry, why error) error {
	for _, c := range e.Copies {
		if _, err := s.unit(ctx, c); err != nil {
			return err
		}
		x := s.fate(e, c)
		x.Code = coded(why)
		s.res.Skipped = append(s.res.Skipped, x)
	}
	return nil
}

// wouldStop tells a dry run that a sending would find its desk to be a copy, or
// with an older book: what waits would be in doubt and stay.
func (s *sending) wouldStop() bool { return s.p.DryRun && s.res.stopped() }

// readyBefore tells whether an entry only waited for `send` when the book was
// restored: the desk that was lost may have sent it. What is scanned or
// enciphered again since, by somebody who looked, goes its way.
func readyBefore(e agenda.Entry, restored int64) bool {
	if e.Signed != nil {
		return e.Signed.Seq < restored
	}
	return len(e.Attachments) > 0 && e.Attachments[0].Seq < restored
}

// underway tells whether an entry was released before.
func underway(state agenda.State) bool {
	switch state {
	case agenda.StateReleased, agenda.StateSent, agenda.StateArchived, agenda.StateReported:
		return true
	}
	return false
}

// chosen reads the entries by name, and behind them those that only wait for
// `send`, those that are due, and those that would be if they did not wait for
// a person: they are skipped aloud.
func (s *sending) chosen(ctx context.Context) ([]agenda.Entry, error) {
	// Entries to be released are needed with their records.
	entries, err := s.d.named(ctx, s.p.Names)
	s.unnamed = map[int64]bool{}
	if s.p.later {
		entries = slices.DeleteFunc(entries, func(e agenda.Entry) bool { return e.State == agenda.StateVoid })
		for _, e := range entries {
			s.unnamed[e.ID] = true
		}
	}
	if err != nil || !s.p.Due {
		return entries, err
	}
	seen := map[int64]bool{}
	for _, e := range entries {
		seen[e.ID] = true
	}
	if s.p.All {
		names, err := s.d.Sendable(ctx)
		if err != nil {
			return nil, err
		}
		all, err := s.d.named(ctx, names)
		if err != nil {
			return nil, err
		}
		for _, e := range all {
			if !seen[e.ID] && e.State != agenda.StateVoid {
				seen[e.ID], s.unnamed[e.ID] = true, true
				entries = append(entries, e)
			}
		}
	}
	refs, err := s.d.Book.Ready(ctx, s.d.Now(), nil, s.wouldStop() || s.p.waits)
	if err != nil {
		return nil, err
	}
	left, err := s.d.Book.Unsettled(ctx)
	if err != nil {
		return nil, err
	}
	var ids []int64
	for _, r := range append(refs, left...) {
		if !seen[r.Entry] {
			seen[r.Entry] = true
			ids = append(ids, r.Entry)
		}
	}
	due, err := s.d.briefly(ctx, ids)
	return append(entries, due...), err
}

func (s *sending) planOne(ctx context.Context, e agenda.Entry, r releasable, next func() agenda.ProposedNumber) error {
	pl := Planned{Entry: e, Number: e.Number}
	for _, c := range e.Copies {
		u, err := s.unit(ctx, c)
		if err != nil {
			return err
		}
		pl.Units = append(pl.Units, u)
	}
	if underway(e.State) {
		if err := s.hold(ctx, e); err != nil {
			return err
		}
		open := 0
		for _, c := range e.Copies {
			if s.wouldStop() && e.State == agenda.StateReleased && doubtable(c.State) {
				c.State = agenda.CopyDoubt
			}
			switch c.State {
			case agenda.CopyReady, agenda.CopyDeferred:
				if s.takes(e, c) {
					open++
				} else if why := s.held[agenda.CopyRef{Entry: e.ID, Copy: c.Copy}]; why != "" {
					x := s.fate(e, c)
					x.Code = why
					s.res.Skipped = append(s.res.Skipped, x)
				} else if s.p.waits {
					s.putOff = append(s.putOff, parcel{entry: e, copy: c})
				}
			case agenda.CopyDoubt, agenda.CopyHanded, agenda.CopyRejected:
				s.res.Skipped = append(s.res.Skipped, s.fate(e, c))
			}
		}
		if open > 0 {
			s.res.Plan.Ready = append(s.res.Plan.Ready, pl)
			s.res.Plan.Copies += open
		}
		return nil
	}
	if e.State == agenda.StateVoid {
		return &Error{code: CodeState, Entry: e.Name, Detail: string(e.State)}
	}
	if e.Name.Book == agenda.Kriptogram {
		pl.Number = next().Text
	}
	s.release = append(s.release, r)
	s.res.Plan.Release = append(s.res.Plan.Release, pl)
	s.res.Plan.Copies += len(e.Copies)
	return nil
}

// doubtable tells whether [agenda.Book.Restored] doubts a copy.
func doubtable(s agenda.CopyState) bool {
	return pending(s) || s == agenda.CopyRejected || s == agenda.CopyHanded
}

// takes tells whether this run tries a copy: never one that is held, and one
// that waits for its time only when the entry is named.
func (s *sending) takes(e agenda.Entry, c agenda.Copy) bool {
	if s.held[agenda.CopyRef{Entry: e.ID, Copy: c.Copy}] != "" {
		return false
	}
	return c.State == agenda.CopyReady ||
		c.State == agenda.CopyDeferred && !((s.p.Due || s.p.later) && c.NextAt.After(s.d.Now()))
}

func (s *sending) unit(ctx context.Context, c agenda.Copy) (string, error) {
	if c.Correspondent == 0 {
		return c.Handle, nil
	}
	corr, err := s.d.Book.Addressee(ctx, c)
	s.correspondents[c.Correspondent] = corr
	return corr.Unit, err
}

func (s *sending) fate(e agenda.Entry, c agenda.Copy) Delivery {
	x := Delivery{Entry: e.Name, Copy: c.Copy, Handle: c.Handle, Unit: s.correspondents[c.Correspondent].Unit}
	return x.as(e, c)
}

// as is the delivery of a copy as the book has it.
func (x Delivery) as(e agenda.Entry, c agenda.Copy) Delivery {
	x.Number, x.Of, x.State, x.At = e.Number, len(e.Copies), c.State, c.SettledAt
	if c.State == agenda.CopyDoubt {
		x.At = c.DoubtAt
	}
	x.Attempt, x.Reply, x.QueueID, x.NextAt = c.Attempts, c.LastReply, c.QueueID, c.NextAt
	return x
}

// run connects first: a number is given only when the gateway is there, or
// when the clerk wants to number and queue.
func (s *sending) run(ctx context.Context) error {
	var session *mail.Session
	var err error
	if !s.p.Attended {
		err = s.d.mayLogIn(ctx)
	}
	if err == nil {
		session, err = s.d.connect(ctx, s.p.Secrets)
	}
	if ours := (*ourFault)(nil); errors.As(err, &ours) {
		return ours.err
	}
	if err != nil && ctx.Err() != nil { // whoever presses Ctrl-C at the question
		return ctx.Err()
	}
	if err != nil {
		s.res.Down = err
		if loginRefused(err) || len(s.release) == 0 || !s.wantsQueue(err) {
			s.allWaiting()
			return nil
		}
	} else {
		s.offered = session.Capabilities().MaxSize
	}
	t := s.open(ctx, session)
	if err = nil; session != nil {
		err = s.answers(ctx)
	}
	if err == nil {
		err = s.feed(t)
	}
	if err != nil && t.ctx.Err() != nil {
		err = context.Cause(t.ctx) // why it stopped says more than that it did
	}
	if home := t.close(); err == nil {
		err = home
	}
	return err
}

// feed brings every open copy on its way: those released before, then the
// others, numbered and frozen a few at a time while the couriers carry.
func (s *sending) feed(t *traffic) error {
	var before []agenda.Entry
	for _, pl := range s.res.Plan.Ready {
		before = append(before, pl.Entry)
	}
	if err := t.deliver(before); err != nil {
		return err
	}
	if len(s.release) == 0 {
		return nil
	}
	var ahead *frozenAhead
	var next func() agenda.ProposedNumber
	defer func() {
		if ahead != nil {
			ahead.drop()
		}
	}()
	freeze := func(rest []releasable) {
		ahead = s.d.freezeAhead(t.ctx, rest[:window(rest)], next, s.limit())
	}
	for rest := s.release; len(rest) > 0; {
		if why := t.down(); why != nil && !s.wantsQueue(why) {
			s.waitAll(rest)
			return nil
		}
		if err := t.ctx.Err(); err != nil {
			s.waitAll(rest)
			return context.Cause(t.ctx)
		}
		if ahead == nil { // the first, or the numbers are others than was thought
			var err error
			if next, err = s.d.numberingFor(t.ctx, rest); err != nil {
				s.waitAll(rest)
				return err
			}
			freeze(rest)
		}
		now := ahead
		n := len(now.all)
		if n < len(rest) {
			freeze(rest[n:])
		}
		released, asFrozen, err := s.releaseWindow(t, now)
		s.res.Released = append(s.res.Released, released...)
		left := func(all []releasable) []releasable {
			return slices.DeleteFunc(slices.Clone(all), func(r releasable) bool {
				return slices.ContainsFunc(released, func(e agenda.Entry) bool { return e.ID == r.entry.ID })
			})
		}
		if err != nil {
			s.waitAll(left(rest))
			return err
		}
		for _, r := range left(now.all) {
			s.overtaken(parcelsOf([]agenda.Entry{r.entry}))
		}
		if !asFrozen {
			ahead.drop()
			ahead = nil
		}
		rest = rest[n:]
	}
	return nil
}

// releaseWindow releases the entries of a window and brings them on their way,
// or queues them when nobody carries any more. It returns those that were
// released, also with an error, and whether they are as they were frozen.
func (s *sending) releaseWindow(t *traffic, f *frozenAhead) ([]agenda.Entry, bool, error) {
	released, claimed, asFrozen, err := s.d.releaseFrozen(t.ctx, f, t.down() == nil, s.limit())
	if claimed != nil {
		return released, asFrozen, t.hand(claimed, parcelsOf(released))
	}
	return released, asFrozen, errors.Join(err, t.deliver(released))
}

// maxWindow bounds how many entries are numbered in one transaction, ahead of
// their delivery. When the gateway goes away in between, they wait with their
// numbers.
const maxWindow = 16

// window is how many of the next entries can be released together: those of
// one sender, with as many copies as are claimed at once.
func window(rest []releasable) int {
	n, copies := 1, len(rest[0].entry.Copies)
	for n < len(rest) && n < maxWindow && rest[n].sender.Handle == rest[0].sender.Handle {
		if copies += len(rest[n].entry.Copies); copies > maxClaim {
			break
		}
		n++
	}
	return n
}

func (s *sending) wantsQueue(why error) bool {
	if !s.p.Queue && s.p.AskQueue != nil {
		s.p.Queue = s.p.AskQueue(why)
		s.p.AskQueue = nil
	}
	return s.p.Queue
}

func (s *sending) limit() int64 {
	limit := s.d.Config.Gateway.MaxSize
	if s.offered > 0 && (limit == 0 || s.offered < limit) {
		limit = s.offered
	}
	return limit
}

func (s *sending) allWaiting() {
	for _, pl := range s.res.Plan.Ready {
		s.wait(pl.Entry)
	}
	s.waitAll(s.release)
}

func (s *sending) waitAll(list []releasable) {
	for _, r := range list {
		s.wait(r.entry)
	}
}

func (s *sending) wait(e agenda.Entry) {
	for _, c := range e.Copies {
		switch c.State {
		case "", agenda.CopyReady, agenda.CopyDeferred:
			if s.held[agenda.CopyRef{Entry: e.ID, Copy: c.Copy}] != "" {
				continue // told as skipped
			}
			s.res.Waiting = append(s.res.Waiting, s.fate(e, c))
		}
	}
}

// overtaken has copies told as skipped that were not there any more when they
// were to be taken: another process voided or changed their entry after the
// plan was made.
func (s *sending) overtaken(gone []parcel) {
	for _, p := range gone {
		x := s.fate(p.entry, p.copy)
		x.Code = agenda.ErrChanged.Code()
		s.res.Skipped = append(s.res.Skipped, x)
	}
}

// strike has what is void by now told as that: it is never sent.
func (r *SendResult) strike() {
	void := map[agenda.Name]bool{}
	for _, e := range r.Entries {
		void[e.Name] = e.State == agenda.StateVoid
	}
	r.Waiting = slices.DeleteFunc(r.Waiting, func(x Delivery) bool {
		if void[x.Entry] {
			r.Skipped = append(r.Skipped, x)
		}
		return void[x.Entry]
	})
	for i, x := range r.Skipped {
		if void[x.Entry] {
			x.State, x.NextAt, x.Code = agenda.CopyCancelled, time.Time{}, CodeState
			r.Skipped[i] = x
		}
	}
}

// finish reads the entries again, so that what is told is what is on disk, and
// puts what the couriers brought back in the order of the plan, before what was
// put off.
func (s *sending) finish(ctx context.Context) error {
	all := append(append([]Planned(nil), s.res.Plan.Ready...), s.res.Plan.Release...)
	ids, place := make([]int64, len(all)), map[agenda.Name]int{}
	for i, pl := range all {
		ids[i], place[pl.Entry.Name] = pl.Entry.ID, i
	}
	for _, p := range s.putOff {
		if _, ok := place[p.entry.Name]; !ok {
			place[p.entry.Name] = len(ids)
			ids = append(ids, p.entry.ID)
		}
		// With a gateway that is away the whole entry waits.
		if !slices.ContainsFunc(s.res.Waiting, func(x Delivery) bool { return x.Entry == p.entry.Name && x.Copy == p.copy.Copy }) {
			s.res.Waiting = append(s.res.Waiting, s.fate(p.entry, p.copy))
		}
	}
	slices.SortStableFunc(s.res.Waiting, func(x, y Delivery) int {
		return cmp.Or(place[x.Entry]-place[y.Entry], x.Copy-y.Copy)
	})
	var err error
	s.res.Entries, err = s.d.briefly(ctx, ids)
	s.res.strike()
	return err
}

const (
	firstRetry = 5 * time.Minute
	lastRetry  = 8 * time.Hour // a working day
)

// retryDelay doubles from five minutes up to a working day.
func retryDelay(attempt int) time.Duration {
	delay := firstRetry
	for i := 1; i < attempt && delay < lastRetry; i++ {
		delay *= 2
	}
	return min(delay, lastRetry)
}
