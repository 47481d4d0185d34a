package desk

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"sandi/agenda"
	"sandi/mail"
)

// traffic is the delivering part of one run of `send`: claimed copies go in at
// one end, couriers carry them, each over a connection of its own.
//
// The durable steps of one copy are claim, arm and settle. A crash after claim
// leaves it deferred, after arm in doubt. Steps of several couriers that fall
// together share a commit; the next copy of a courier is armed behind the fate
// of its last one or together with it, so a crash leaves one doubt a connection
// at most.
type traffic struct {
	s    *sending
	ctx  context.Context
	stop context.CancelCauseFunc
	from context.Context // of who sends: at its end it is Ctrl-C, not a fault of ours
	home func()          // ends the watch for that
	jobs chan parcel
	gone chan struct{} // closed when no courier is left
	pace *pace

	mu   sync.Mutex // guards what follows and what the run tells
	left int        // couriers
	why  error      // the gateway could not be reached

	awaited int  // copies whose message is whole with the gateway, which has not answered yet
	stopped bool // by who sends, and that was told

	faults []error  // of single copies
	again  []parcel // taken and not brought to an end: they wait
}

// parcel is a claimed copy on its way.
type parcel struct {
	agenda.Claimed
	entry agenda.Entry
	copy  agenda.Copy
}

func (p parcel) ref() agenda.CopyRef { return agenda.CopyRef{Entry: p.entry.ID, Copy: p.copy.Copy} }

// parcelsOf are all copies of entries.
func parcelsOf(entries []agenda.Entry) []parcel {
	var all []parcel
	for _, e := range entries {
		for _, c := range e.Copies {
			all = append(all, parcel{entry: e, copy: c})
		}
	}
	return all
}

const (
	maxConnections = 4  // when the settings say nothing
	perCourier     = 4  // copies that are worth a connection
	maxClaim       = 16 // copies that are claimed together, and that wait while the next are made ready
)

// open starts the couriers, the first with the session that is there; without
// one nobody carries.
func (s *sending) open(ctx context.Context, session *mail.Session) *traffic {
	t := &traffic{s: s, gone: make(chan struct{}), pace: newPace(s.d.Config.Gateway.PerMinute)}
	t.ctx, t.stop = context.WithCancelCause(ctx)
	t.from, t.home = ctx, t.watch(ctx)
	if session == nil {
		t.why = s.res.Down
		close(t.gone)
		return t
	}
	most := s.d.Config.Gateway.Connections
	if most == 0 {
		most = maxConnections
	}
	t.left = max(1, min(most, (s.res.Plan.Copies+perCourier-1)/perCourier))
	t.jobs = make(chan parcel, maxClaim)
	for i := range t.left {
		c := &courier{t: t, recorded: closed}
		if i == 0 {
			c.session = session
		}
		go c.work()
	}
	return t
}

// watch tells who pressed Ctrl-C that answers are awaited: a message that is
// whole with the gateway is not left in doubt for it, and an answer may be
// minutes away. The returned function ends the watch.
func (t *traffic) watch(ctx context.Context) func() {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		t.await(0, true)
	})
	return func() {
		if !stop() {
			<-done // nothing is told behind the run
		}
	}
}

// await counts copies that wait for their answer; interrupted says that nobody
// wants to wait any more.
func (t *traffic) await(more int, interrupted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.awaited += more
	if t.awaited > 0 && interrupted && !t.stopped && t.s.p.Awaits != nil {
		t.stopped = true
		t.s.p.Awaits(t.awaited)
	}
}

// closed is a fate that needs no waiting for.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// down says why nobody carries any more, nil while somebody does.
func (t *traffic) down() error {
	select {
	case <-t.gone:
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.why
	default:
		return nil
	}
}

// deliver claims the open copies of entries, a few at a time, and hands them
// to the couriers. What nobody takes is given back and waits.
func (t *traffic) deliver(entries []agenda.Entry) error {
	open := slices.DeleteFunc(parcelsOf(entries), func(p parcel) bool { return !t.s.takes(p.entry, p.copy) })
	for len(open) > 0 {
		if t.down() != nil {
			t.waiting(open)
			return nil
		}
		if t.ctx.Err() != nil {
			t.waiting(open)
			return context.Cause(t.ctx)
		}
		n := min(len(open), maxClaim)
		if err := t.claim(open[:n]); err != nil {
			t.waiting(open[n:])
			return err
		}
		open = open[n:]
	}
	return nil
}

func (t *traffic) waiting(open []parcel) {
	for _, p := range open {
		t.s.res.Waiting = append(t.s.res.Waiting, t.s.fate(p.entry, p.copy))
	}
}

func (t *traffic) claim(open []parcel) error {
	refs := make([]agenda.CopyRef, len(open))
	for i, p := range open {
		refs[i] = p.ref()
	}
	claimed, err := t.s.d.Book.Claim(t.ctx, refs)
	if err != nil {
		t.waiting(open)
		return err
	}
	t.s.overtaken(slices.DeleteFunc(slices.Clone(open), func(p parcel) bool {
		return slices.ContainsFunc(claimed, func(c agenda.Claimed) bool { return c.CopyRef == p.ref() })
	}))
	return t.hand(claimed, open)
}

// hand gives claimed copies, which are among open, to the couriers.
func (t *traffic) hand(claimed []agenda.Claimed, open []parcel) error {
	of := map[agenda.CopyRef]parcel{}
	for _, p := range open {
		of[p.ref()] = p
	}
	for i, c := range claimed {
		p := of[c.CopyRef]
		p.Claimed = c
		select {
		case t.jobs <- p:
			continue
		case <-t.gone:
		case <-t.ctx.Done():
		}
		var rest []parcel
		for _, c := range claimed[i:] {
			rest = append(rest, of[c.CopyRef])
		}
		t.waiting(rest)
		return t.giveBack(claimed[i:])
	}
	return nil
}

func (t *traffic) giveBack(claimed []agenda.Claimed) error {
	if len(claimed) == 0 {
		return nil
	}
	refs := make([]agenda.CopyRef, len(claimed))
	for i, c := range claimed {
		refs[i] = c.CopyRef
	}
	return t.s.d.Book.Unclaim(context.WithoutCancel(t.ctx), refs)
}

// close waits until every courier has come home and gives back what was
// claimed and not tried.
func (t *traffic) close() error {
	defer t.stop(nil)
	defer t.home()
	if t.jobs == nil {
		return nil
	}
	close(t.jobs)
	<-t.gone
	var rest []agenda.Claimed
	for p := range t.jobs {
		rest = append(rest, p.Claimed)
		t.waiting([]parcel{p})
	}
	t.waiting(t.again)
	err := errors.Join(append(t.faults, t.giveBack(rest))...)
	if t.ctx.Err() != nil {
		return errors.Join(context.Cause(t.ctx), err)
	}
	if len(t.s.res.Waiting) > 0 && t.s.res.Down == nil {
		t.s.res.Down = t.why
	}
	return err
}

// courier carries copies over one connection at a time. After the first
// connection that fails it goes home: one line, not eleven time-outs.
type courier struct {
	t        *traffic
	session  *mail.Session
	carried  int           // over this session
	recorded chan struct{} // closed when the fate of the last copy is on disk
	whole    []byte        // space for a message that is read at once
}

func (c *courier) work() {
	t := c.t
	defer c.leave()
	for {
		// A copy is taken only by who can carry it.
		if err := c.connected(); err != nil {
			t.mu.Lock()
			t.why = err
			t.mu.Unlock()
			return
		}
		select {
		case <-t.ctx.Done():
			return
		case p, ok := <-t.jobs:
			if !ok {
				return
			}
			if err := c.carry(p); err != nil {
				t.stop(err)
				return
			}
		}
	}
}

func (c *courier) leave() {
	<-c.recorded
	if c.session != nil {
		c.session.Close()
	}
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.t.left--; c.t.left == 0 {
		close(c.t.gone)
	}
}

// connected sees that the session can be used, or opens a new one.
func (c *courier) connected() error {
	most := c.t.s.d.Config.Gateway.PerConnection
	if c.session != nil && c.session.Usable() && (most == 0 || c.carried < most) {
		return nil
	}
	if c.session != nil {
		c.session.Close()
		c.session = nil
	}
	session, err := c.t.s.d.connect(c.t.ctx, c.t.s.p.Secrets)
	if err != nil {
		return err
	}
	c.session, c.carried = session, 0
	return nil
}

// carry makes one attempt at one copy. Its fate is recorded while the next
// one is under way.
func (c *courier) carry(p parcel) error {
	t := c.t
	if err := t.pace.wait(t.ctx); err != nil {
		t.keep(p)
		return errors.Join(err, t.giveBack([]agenda.Claimed{p.Claimed}))
	}
	if why, err := t.s.heldNow(t.ctx, p); err != nil || why != "" {
		t.leaveAside(p, why)
		return errors.Join(err, t.giveBack([]agenda.Claimed{p.Claimed}))
	}
	reused := c.carried > 0
	c.carried++
	peer := c.session.Peer()
	out, armed, err := c.transmit(p)
	if err == nil && reused && c.left(out) && c.connected() == nil {
		c.carried++
		peer = c.session.Peer()
		out, armed, err = c.transmit(p)
	}
	<-c.recorded
	if err != nil && t.ctx.Err() != nil { // Ctrl-C, not the message
		t.keep(p)
		return errors.Join(context.Cause(t.ctx), t.giveBack([]agenda.Claimed{p.Claimed}))
	}
	if err != nil {
		// Nothing left: the frozen message is not what the book says. The
		// others go their way; the run tells it at its end.
		t.mu.Lock()
		t.faults = append(t.faults, err)
		t.mu.Unlock()
		return t.s.d.Book.Defer(context.WithoutCancel(t.ctx), p.CopyRef, t.s.d.Now().Add(retryDelay(p.Attempt)), coded(err), nil)
	}
	f, wait := t.s.record(context.WithoutCancel(t.ctx), p, peer, out)
	recorded := make(chan struct{})
	c.recorded = recorded
	go func() {
		defer close(recorded)
		if err := wait(); err != nil {
			t.unrecorded(p, f, armed, err)
			t.stop(err)
			return
		}
		t.tell(f)
	}()
	return nil
}

// left tells that the gateway ended a connection between two messages, without
// a word or with 421, as many do after some: nothing of this one was said, and
// a new connection carries it.
func (c *courier) left(out mail.Outcome) bool {
	return out.State == mail.OutcomeDeferred && out.Stage == mail.StageMail && !c.session.Usable() && c.t.ctx.Err() == nil
}

// transmit makes the attempt; armed is what the book says of it.
func (c *courier) transmit(p parcel) (out mail.Outcome, armed bool, err error) {
	d := c.t.s.d
	body, err := c.open(p)
	if err != nil {
		return out, false, &Error{code: CodeDamaged, Entry: p.Claimed.Entry, Err: err}
	}
	defer body.Close()
	to, err := mail.ParseAddress(p.Address)
	if err != nil {
		return out, false, err
	}
	from, err := mail.SenderOf(body)
	if err != nil {
		return out, false, err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return out, false, err
	}
	out = c.session.Transmit(c.t.ctx, mail.Delivery{From: from, To: to, MessageID: p.MessageID, Size: p.Size}, body,
		func() error {
			// In the line of the book the fate of the last copy stands before.
			if err := c.t.ctx.Err(); err != nil {
				return err
			}
			err := d.Book.Arm(c.t.ctx, p.CopyRef)
			armed = err == nil
			if armed {
				c.t.await(1, c.t.from.Err() != nil)
			}
			return err
		})
	if armed {
		c.t.await(-1, false)
	}
	if e, ok := body.(*exactly); ok && e.changed { // before the dot, and before it was armed
		return out, false, &Error{code: CodeDamaged, Entry: p.Claimed.Entry, Err: errChangedMeanwhile}
	}
	return out, armed, nil
}

// readWhole is how large a message is held in memory on its way, in octets. All
// but scans of many pages are.
const readWhole = 1 << 20

// open opens the frozen message of a copy. What is read from it is what was held
// against its digest, whatever is written over the file meanwhile.
func (c *courier) open(p parcel) (io.ReadSeekCloser, error) {
	d := c.t.s.d
	if p.Size > readWhole {
		f, err := d.Vault.OpenChecked(c.t.ctx, p.Message, p.Size)
		if err != nil {
			return nil, err
		}
		return &exactly{file: f, want: p.Message, sum: sha256.New()}, nil
	}
	data, err := d.Vault.ReadChecked(p.Message, p.Size, c.whole)
	if err != nil {
		return nil, err
	}
	c.whole = data
	return inMemory{bytes.NewReader(data)}, nil
}

// inMemory is a message that was read at once.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

var errChangedMeanwhile = errors.New("message changed behind its check")

// exactly reads a message whose digest was checked once more, and ends in an
// error unless the octets are still the same: only those may be followed by the
// dot. The file is not embedded: its WriteTo would go past Read.
type exactly struct {
	file    *os.File
	want    agenda.Hash
	sum     hash.Hash
	changed bool
}

func (e *exactly) Read(p []byte) (int, error) {
	n, err := e.file.Read(p)
	e.sum.Write(p[:n])
	if err == io.EOF && agenda.Hash(e.sum.Sum(nil)) != e.want {
		e.changed, err = true, errChangedMeanwhile
	}
	return n, err
}

// Seek begins anew: a message is read from its start only.
func (e *exactly) Seek(offset int64, whence int) (int64, error) {
	e.sum.Reset()
	return e.file.Seek(offset, whence)
}

func (e *exactly) Close() error { return e.file.Close() }

// record puts the fate of a copy into the line of the book, also when the clerk
// has pressed Ctrl-C meanwhile; wait returns when it is on disk.
func (s *sending) record(keep context.Context, p parcel, peer mail.Peer, out mail.Outcome) (f Delivery, wait func() error) {
	f = s.fate(p.entry, p.copy)
	f.Attempt, f.At, f.Code = p.Attempt, s.d.Now(), coded(out.Err)
	f.Reply, f.QueueID = out.Reply.String(), out.QueueID
	if out.State == mail.OutcomeDeferred {
		f.State, f.NextAt = agenda.CopyDeferred, s.d.Now().Add(retryDelay(p.Attempt))
		return f, func() error { return s.d.Book.Defer(keep, p.CopyRef, f.NextAt, cmp.Or(f.Reply, f.Code), out.Dialogue) }
	}
	f.State = agenda.CopyState(out.State)
	return f, s.d.Book.Conclude(keep, s.d.Nobody(), p.CopyRef, agenda.Settlement{
		State: f.State, Attempt: p.Attempt, Route: "smtp", QueueID: f.QueueID,
		TLS: peer.TLSVersion + " " + peer.CipherSuite, Peer: peer.Address + " " + peer.CertificateSHA256,
		Address: p.Address, Reply: f.Reply, Dialogue: dataObject(out.Dialogue, textMedia),
		Reported: s.d.reportedToAll,
	})
}

// unrecorded tells of a copy whose fate the book did not take. What the disk
// says is what the next start finds: armed is in doubt, whatever the gateway
// answered; claimed is tried again.
func (t *traffic) unrecorded(p parcel, f Delivery, armed bool, err error) {
	if armed {
		f.State, f.Code, f.NextAt = agenda.CopyDoubt, coded(err), time.Time{}
		t.tell(f)
		return
	}
	t.keep(p)
}

// keep has a copy told as waiting at the end of the run.
func (t *traffic) keep(p parcel) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.again = append(t.again, p)
}

// leaveAside has a copy told as left out because of its addressee, or as
// waiting when nobody could say why.
func (t *traffic) leaveAside(p parcel, why string) {
	if why == "" {
		t.keep(p)
		return
	}
	x := t.s.fate(p.entry, p.copy)
	x.Code = why
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.res.Skipped = append(t.s.res.Skipped, x)
}

// tell reports a fate.
func (t *traffic) tell(f Delivery) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.res.Deliveries = append(t.s.res.Deliveries, f)
	if t.s.p.Report != nil {
		t.s.p.Report(f)
	}
}

// pace keeps messages apart so that a gateway with a limit a minute is not
// overrun. The zero interval lets everything pass.
type pace struct {
	mu    sync.Mutex
	every time.Duration
	next  time.Time
}

func newPace(perMinute int) *pace {
	p := &pace{}
	if perMinute > 0 {
		p.every = time.Minute / time.Duration(perMinute)
	}
	return p
}

func (p *pace) wait(ctx context.Context) error {
	if p.every == 0 {
		return nil
	}
	p.mu.Lock()
	now := time.Now()
	at := p.next
	if at.Before(now) {
		at = now
	}
	p.next = at.Add(p.every)
	p.mu.Unlock()
	return sleep(ctx, at.Sub(now))
}

// sleep waits, or returns the cause why ctx ended first.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// inParallel runs fn for 0 … n-1 on more goroutines than there are processors:
// most of them wait for a disk, and those that wait together share a sync. It returns the error of the
// lowest index; after an error no new index is begun.
func inParallel(ctx context.Context, n int, fn func(ctx context.Context, i int) error) error {
	if n == 1 {
		return fn(ctx, 0)
	}
	var mu sync.Mutex
	next, failed := 0, error(nil)
	first := n
	take := func() int {
		mu.Lock()
		defer mu.Unlock()
		if failed != nil || next == n || ctx.Err() != nil {
			return -1
		}
		next++
		return next - 1
	}
	var group sync.WaitGroup
	for range min(n, max(24, 4*runtime.GOMAXPROCS(0))) {
		group.Go(func() {
			for i := take(); i >= 0; i = take() {
				if err := fn(ctx, i); err != nil {
					mu.Lock()
					if i < first {
						first, failed = i, err
					}
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	if failed == nil && next < n {
		return context.Cause(ctx)
	}
	return failed
}
