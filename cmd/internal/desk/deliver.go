package desk

import (
	"context"
	"errors"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/vault"
	"sandi/mail"
)

// SendParams say what is to leave.
type SendParams struct {
	Names   []agenda.Name // as typed; empty with Due
	Due     bool          // whatever is released and due, nothing new
	Queue   bool          // number and queue although the gateway is down
	DryRun  bool
	Secrets Secrets
	// Confirm is shown what will happen before anything does; its error stops
	// the command.
	Confirm func(Plan) error
	// AskQueue is asked when the gateway is down and entries wait for their
	// release; nil means no.
	AskQueue func(error) bool
	// Report is called with every copy that was tried, as soon as its fate is
	// on disk.
	Report func(Delivery)
}

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
	Doubted    []agenda.CopyRef // armed by a process that died: found at this start
	Released   []agenda.Entry
	Deliveries []Delivery
	Waiting    []Delivery // not tried: the gateway went away
	Skipped    []Delivery // doubt, handed, rejected: not for this command
	Entries    []agenda.Entry
	Down       error // why the gateway could not be used
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
	if !p.DryRun {
		if res.Doubted, _, err = d.Book.Recover(ctx, d.Nobody()); err != nil {
			return res, err
		}
	}
	job := sending{d: d, p: p, res: &res}
	if err := job.plan(ctx); err != nil {
		return res, err
	}
	if p.DryRun || res.Plan.Copies == 0 {
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
	if job.session != nil {
		job.session.Close()
	}
	return res, errors.Join(err, job.finish(context.WithoutCancel(ctx)))
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
	units   map[int64]string // correspondent → unit
	session *mail.Session
}

// plan collects what is to be done and refuses the whole command when one of
// the named entries may not leave: a batch never stops at its third number
// for something that could be seen before the first.
func (s *sending) plan(ctx context.Context) error {
	s.units = map[int64]string{}
	names := s.p.Names
	if s.p.Due {
		refs, err := s.d.Book.Ready(ctx, s.d.Now(), nil, false)
		if err != nil {
			return err
		}
		seen := map[int64]bool{}
		for _, r := range refs {
			if seen[r.Entry] {
				continue
			}
			seen[r.Entry] = true
			e, err := s.d.Book.EntryByID(ctx, r.Entry)
			if err != nil {
				return err
			}
			names = append(names, e.Name)
		}
	}
	next, err := s.firstNumber(ctx)
	if err != nil {
		return err
	}
	for _, n := range names {
		e, err := s.d.Book.Entry(ctx, n)
		if err != nil {
			return err
		}
		if err := s.planOne(ctx, e, next); err != nil {
			return err
		}
	}
	return nil
}

// firstNumber returns a function that gives the numbers that would come next.
func (s *sending) firstNumber(ctx context.Context) (func() (string, error), error) {
	n, err := s.d.proposeNumber(ctx)
	if err != nil {
		return nil, err
	}
	t, err := agenda.ParseTemplate(s.d.Config.Profile.Number.Template)
	if err != nil {
		return nil, err
	}
	f := s.d.Config.Profile.Number
	month := int(s.d.Now().In(agenda.WIB).Month())
	return func() (string, error) {
		text := t.Format(agenda.NumberFields{Seq: n.Seq, Year: n.Year, Month: month, Unit: f.Unit, Archive: f.Archive})
		n.Seq++
		return text, nil
	}, nil
}

func (s *sending) planOne(ctx context.Context, e agenda.Entry, next func() (string, error)) error {
	pl := Planned{Entry: e, Number: e.Number}
	for _, c := range e.Copies {
		u, err := s.unit(ctx, c)
		if err != nil {
			return err
		}
		pl.Units = append(pl.Units, u)
	}
	switch e.State {
	case agenda.StateReleased, agenda.StateSent, agenda.StateArchived, agenda.StateReported:
		open := 0
		for _, c := range e.Copies {
			switch c.State {
			case agenda.CopyReady, agenda.CopyDeferred:
				open++
			case agenda.CopyDoubt, agenda.CopyHanded, agenda.CopyRejected:
				s.res.Skipped = append(s.res.Skipped, s.fate(e, c))
			}
		}
		if open > 0 {
			s.res.Plan.Ready = append(s.res.Plan.Ready, pl)
			s.res.Plan.Copies += open
		}
		return nil
	case agenda.StateVoid:
		return &Error{code: CodeState, Entry: e.Name, Detail: string(e.State)}
	}
	r, err := s.d.mayRelease(ctx, e)
	if err != nil {
		return err
	}
	if e.Name.Book == agenda.Kriptogram {
		if pl.Number, err = next(); err != nil {
			return err
		}
	}
	s.release = append(s.release, r)
	s.res.Plan.Release = append(s.res.Plan.Release, pl)
	s.res.Plan.Copies += len(e.Copies)
	return nil
}

func (s *sending) unit(ctx context.Context, c agenda.Copy) (string, error) {
	if c.Correspondent == 0 {
		return c.Handle, nil
	}
	if u, ok := s.units[c.Correspondent]; ok {
		return u, nil
	}
	corr, err := s.d.Book.CorrespondentByID(ctx, c.Correspondent)
	if err != nil {
		return "", err
	}
	s.units[c.Correspondent] = corr.Unit
	return corr.Unit, nil
}

func (s *sending) fate(e agenda.Entry, c agenda.Copy) Delivery {
	return Delivery{
		Entry: e.Name, Number: e.Number, Copy: c.Copy, Of: len(e.Copies), Handle: c.Handle, Unit: s.units[c.Correspondent],
		State: c.State, At: c.SettledAt, Attempt: c.Attempts, Reply: c.LastReply, QueueID: c.QueueID, NextAt: c.NextAt,
	}
}

// run connects first: a number is given only when the gateway is there, or
// when the clerk wants to number and queue.
func (s *sending) run(ctx context.Context) error {
	if err := s.reconnect(ctx); err != nil {
		s.res.Down = err
		if coded(err) == "mail.auth" || len(s.release) == 0 || !s.wantsQueue(err) {
			return s.allWaiting(ctx)
		}
	}
	for _, pl := range s.res.Plan.Ready {
		if err := s.deliverEntry(ctx, pl.Entry); err != nil {
			return err
		}
	}
	for i := range s.release {
		if s.res.Down != nil && !s.wantsQueue(s.res.Down) {
			s.wait(s.release[i].entry)
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := s.d.release(ctx, s.release[i], s.limit())
		if err != nil {
			return err
		}
		s.res.Released = append(s.res.Released, e)
		if err := s.deliverEntry(ctx, e); err != nil {
			return err
		}
	}
	return nil
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
	if s.session != nil {
		if m := s.session.Capabilities().MaxSize; m > 0 && (limit == 0 || m < limit) {
			limit = m
		}
	}
	return limit
}

func (s *sending) reconnect(ctx context.Context) error {
	if s.session != nil {
		s.session.Close()
		s.session = nil
	}
	session, err := s.d.connect(ctx, s.p.Secrets)
	if err == nil {
		s.session = session
	}
	return err
}

func (s *sending) allWaiting(context.Context) error {
	for _, pl := range s.res.Plan.Ready {
		s.wait(pl.Entry)
	}
	for _, r := range s.release {
		s.wait(r.entry)
	}
	return nil
}

func (s *sending) wait(e agenda.Entry) {
	for _, c := range e.Copies {
		switch c.State {
		case "", agenda.CopyReady, agenda.CopyDeferred:
			s.res.Waiting = append(s.res.Waiting, s.fate(e, c))
		}
	}
}

// deliverEntry tries every open copy of a released entry. After the first
// failed connection it stops trying: one line, not eleven time-outs.
func (s *sending) deliverEntry(ctx context.Context, e agenda.Entry) error {
	for _, c := range e.Copies {
		if c.State != agenda.CopyReady && c.State != agenda.CopyDeferred {
			continue
		}
		if s.res.Down == nil && !s.session.Usable() {
			s.res.Down = s.reconnect(ctx)
		}
		if s.res.Down != nil {
			s.res.Waiting = append(s.res.Waiting, s.fate(e, c))
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.deliver(ctx, e, c); err != nil {
			return err
		}
	}
	return nil
}

// deliver makes one attempt at one copy. The three durable steps are claim,
// arm and settle; a crash after claim leaves deferred, after arm doubt.
func (s *sending) deliver(ctx context.Context, e agenda.Entry, c agenda.Copy) error {
	ref := agenda.CopyRef{Entry: e.ID, Copy: c.Copy}
	claimed, err := s.d.Book.Claim(ctx, []agenda.CopyRef{ref})
	if err != nil {
		return err
	}
	if len(claimed) == 0 {
		return nil
	}
	job := claimed[0]
	out, err := s.transmit(ctx, job, ref)
	if err != nil {
		// Nothing left: the frozen message is not what the book says.
		return errors.Join(err, s.d.Book.Defer(context.WithoutCancel(ctx), ref, s.d.Now(), coded(err)))
	}
	// The fate is written even when the clerk has pressed Ctrl-C meanwhile.
	keep := context.WithoutCancel(ctx)
	f := s.fate(e, c)
	f.Attempt, f.At, f.Code = job.Attempt, s.d.Now(), coded(out.Err)
	f.Reply, f.QueueID = out.Reply.String(), out.QueueID
	if out.State == mail.OutcomeDeferred {
		f.State, f.NextAt = agenda.CopyDeferred, s.d.Now().Add(retryDelay(job.Attempt))
		err = s.d.Book.Defer(keep, ref, f.NextAt, orElse(f.Reply, f.Code))
	} else {
		f.State = agenda.CopyState(out.State)
		_, err = s.d.Book.Settle(keep, s.d.Nobody(), ref, s.settlement(f, job, out))
	}
	if err != nil {
		return err
	}
	s.res.Deliveries = append(s.res.Deliveries, f)
	if s.p.Report != nil {
		s.p.Report(f)
	}
	return nil
}

func (s *sending) transmit(ctx context.Context, job agenda.Claimed, ref agenda.CopyRef) (mail.Outcome, error) {
	if err := s.d.Vault.Check(ctx, job.Message, job.Size); err != nil {
		return mail.Outcome{}, &Error{code: CodeDamaged, Entry: job.Entry, Err: err}
	}
	from, err := mail.ParseAddress(s.d.Config.Gateway.From)
	if err != nil {
		return mail.Outcome{}, err
	}
	to, err := mail.ParseAddress(job.Address)
	if err != nil {
		return mail.Outcome{}, err
	}
	f, err := s.d.Vault.Open(job.Message)
	if err != nil {
		return mail.Outcome{}, err
	}
	defer f.Close()
	return s.session.Transmit(ctx, mail.Delivery{From: from, To: to, MessageID: job.MessageID, Size: job.Size}, f,
		func() error { return s.d.Book.Arm(ctx, ref) }), nil
}

func (s *sending) settlement(f Delivery, job agenda.Claimed, out mail.Outcome) agenda.Settlement {
	peer := s.session.Peer()
	return agenda.Settlement{
		State: f.State, Attempt: job.Attempt, Route: "smtp", QueueID: f.QueueID,
		TLS: peer.TLSVersion + " " + peer.CipherSuite, Peer: peer.Address + " " + peer.CertificateSHA256,
		Address: job.Address, Reply: f.Reply, Dialogue: dataObject(out.Dialogue, textMedia),
	}
}

// finish reads the entries again, so that what is told is what is on disk.
func (s *sending) finish(ctx context.Context) error {
	for _, list := range [][]Planned{s.res.Plan.Ready, s.res.Plan.Release} {
		for _, pl := range list {
			e, err := s.d.Book.EntryByID(ctx, pl.Entry.ID)
			if err != nil {
				return err
			}
			s.res.Entries = append(s.res.Entries, e)
		}
	}
	return nil
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
