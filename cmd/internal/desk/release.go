package desk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/signedtext"
	"sandi/crypto"
	"sandi/mail"
)

// releasable is an entry that was found fit to leave: what `send` checks
// before it connects, numbers or asks anything.
type releasable struct {
	dossier          // kriptogram only
	signature []byte // nil in wet mode
	sender    agenda.Officer
	key       *crypto.Key // nil: an ordinary letter of an operator without key
}

// mayRelease checks an entry for its release. It asks nothing and writes
// nothing.
func (d *Desk) mayRelease(ctx context.Context, e agenda.Entry) (releasable, error) {
	r := releasable{dossier: dossier{entry: e}}
	var err error
	if e.Name.Book == agenda.Surat {
		return d.mayReleaseLetter(ctx, r)
	}
	if e.State != agenda.StateSigned {
		return r, &Error{code: CodeNotSigned, Entry: e.Name, Detail: string(e.State)}
	}
	if r.dossier, err = d.fresh(ctx, e); err != nil {
		return r, err
	}
	if r.signature, err = d.signatureOf(ctx, r.dossier); err != nil {
		return r, err
	}
	if r.sender, err = d.Acting(ctx, agenda.RoleSandiman); err != nil {
		return r, err
	}
	if err := twoPeople(e.Name, r.sender, r.head); err != nil {
		return r, err
	}
	return r, d.fitsGateway(e.Name, r.draft.Size)
}

func (d *Desk) mayReleaseLetter(ctx context.Context, r releasable) (releasable, error) {
	e := r.entry
	if e.State != agenda.StateAttached {
		return r, &Error{code: CodeNoScan, Entry: e.Name, Detail: string(e.State)}
	}
	if e.Letter.Class != agenda.ClassBiasa {
		return r, &Error{code: CodeClassScan, Entry: e.Name, Field: string(e.Letter.Class)}
	}
	if !e.Ordered && d.Config.Profile.OrderRequired(string(e.Name.Book)) {
		return r, refuseEntry(CodeNotOrdered, e.Name)
	}
	if err := d.checkScans(ctx, e); err != nil {
		return r, err
	}
	var total int64
	for _, a := range e.Attachments {
		total += a.Object.Size
	}
	for _, c := range e.Copies {
		if c.Correspondent == 0 {
			return r, &Error{code: CodeAddressee, Entry: e.Name, Field: c.Handle}
		}
		if corr, err := d.Book.Addressee(ctx, c); err != nil {
			return r, err
		} else if corr.Ended {
			return r, &Error{code: CodeAddressee, Entry: e.Name, Field: c.Handle}
		}
	}
	var err error
	if r.sender, err = d.letterSender(ctx); err != nil {
		return r, err
	}
	return r, d.fitsGateway(e.Name, total)
}

// letterSender is the operator; in an office that has none, its sandiman.
func (d *Desk) letterSender(ctx context.Context) (agenda.Officer, error) {
	operators, err := d.Book.Holder(ctx, agenda.RoleOperator, d.Now())
	if err != nil {
		return agenda.Officer{}, err
	}
	if len(operators) == 0 {
		return d.Acting(ctx, agenda.RoleSandiman)
	}
	return d.Acting(ctx, agenda.RoleOperator)
}

func (d *Desk) checkScans(ctx context.Context, e agenda.Entry) error {
	for _, a := range e.Attachments {
		if err := d.Vault.Check(ctx, a.Object.SHA256, a.Object.Size); err != nil {
			return &Error{code: CodeDamaged, Entry: e.Name, Err: err}
		}
	}
	return nil
}

// unlockSender asks for the sender's passphrase where the message is to be
// signed; an operator without a key sends unsigned.
func (d *Desk) unlockSender(ctx context.Context, r *releasable, s Secrets) error {
	role := Clerk(r.entry.Name.Book)
	if r.sender.Fingerprint == "" && role == agenda.RoleOperator {
		return nil
	}
	var err error
	r.key, err = d.unlock(ctx, r.sender, role, ForMessage, s)
	return err
}

// maxProposals bounds how often a number is proposed again. The sender's lock
// makes the second try rare: only midnight or another program moves it.
const maxProposals = 5

// release gives the number of one entry, freezes the message of every copy and
// commits all together.
func (d *Desk) release(ctx context.Context, r releasable, limit int64) (agenda.Entry, error) {
	if err := d.releaseTogether(ctx, []releasable{r}, limit); err != nil {
		return r.entry, err
	}
	return d.Book.EntryByID(context.WithoutCancel(ctx), r.entry.ID) // it is released
}

// releaseAll is release for several entries of one sender. An entry that
// another process changed meanwhile is left out. When another one cannot be
// released, those before it are; the error is that of the first that was not.
func (d *Desk) releaseAll(ctx context.Context, all []releasable, limit int64) ([]agenda.Entry, error) {
	err := d.releaseTogether(ctx, all, limit)
	switch {
	case err == nil:
		return d.briefly(context.WithoutCancel(ctx), idsOf(all)) // they are released
	case len(all) == 1 && errors.Is(err, agenda.ErrChanged):
		return nil, nil
	case len(all) == 1 || ctx.Err() != nil:
		return nil, err
	}
	var entries []agenda.Entry
	for i := range all {
		one, err := d.releaseAll(ctx, all[i:i+1], limit)
		if err != nil {
			return entries, err
		}
		entries = append(entries, one...)
	}
	return entries, nil
}

// releaseTogether releases all entries or none. Until the commit nothing is
// used up: a crash leaves objects in the vault that nobody refers to.
func (d *Desk) releaseTogether(ctx context.Context, all []releasable, limit int64) error {
	for try := 1; ; try++ {
		err := d.releaseOnce(ctx, all, limit)
		// Both are seen in the commit only, and are other when it is tried anew.
		moved := coded(err) == "agenda.number_taken" || coded(err) == "agenda.correspondent_changed"
		if !moved || try == maxProposals {
			return err
		}
	}
}

// releaseOnce proposes numbers, freezes and commits.
func (d *Desk) releaseOnce(ctx context.Context, all []releasable, limit int64) error {
	next, err := d.numberingFor(ctx, all)
	if err != nil {
		return err
	}
	batch, err := d.freezeAll(ctx, all, numbersOf(all, next), limit)
	if err != nil {
		return err
	}
	return d.Book.ReleaseAll(ctx, d.actor(all[0].sender.Handle), batch)
}

// freshFor is how long ahead a message may be frozen: its date is that of the
// freezing.
const freshFor = 5 * time.Minute

// stale tells whether messages that were frozen ahead would have another date
// now.
func (d *Desk) stale(f *frozenAhead) bool {
	now := d.Now()
	return now.Sub(f.at) > freshFor || now.In(agenda.WIB).Format(time.DateOnly) != f.at.In(agenda.WIB).Format(time.DateOnly)
}

// releaseFrozen is releaseAll for entries whose messages were frozen ahead. To
// send them, it claims their copies in the same transaction. When the freezing
// failed, what was frozen is stale, or the numbers went elsewhere or an addressee
// changed meanwhile, it begins anew: then nothing is as frozen, and the copies are still to be
// claimed.
func (d *Desk) releaseFrozen(ctx context.Context, f *frozenAhead, send bool, limit int64) (entries []agenda.Entry, claimed []agenda.Claimed, asFrozen bool, err error) {
	batch, err := f.wait()
	stale := d.stale(f)
	who := d.actor(f.all[0].sender.Handle)
	switch {
	case err != nil || stale:
	case send:
		claimed, err = d.Book.ReleaseToSend(ctx, who, batch)
	default:
		err = d.Book.ReleaseAll(ctx, who, batch)
	}
	if err != nil || stale {
		entries, err = d.releaseAll(ctx, f.all, limit)
		return entries, nil, false, err
	}
	entries = make([]agenda.Entry, len(f.all))
	for i := range f.all {
		entries[i] = released(f.all[i].entry, batch[i].Release)
	}
	return entries, claimed, true, nil
}

// released is the entry as its release left it, as far as a delivery asks.
func released(e agenda.Entry, r agenda.Release) agenda.Entry {
	e.State, e.Copies = agenda.StateReleased, slices.Clone(e.Copies)
	if r.Number != nil {
		e.Number = r.Number.Text
	}
	for i := range e.Copies {
		e.Copies[i].State = agenda.CopyReady
	}
	return e
}

// frozenAhead are entries whose messages are being frozen.
type frozenAhead struct {
	all   []releasable
	at    time.Time
	stop  context.CancelFunc
	done  chan struct{}
	batch []agenda.Releasing
	err   error
}

// freezeAhead freezes entries under the numbers that come next unless somebody
// else takes them, while those before are on their way. Like every frozen
// message these are nothing until they are released.
func (d *Desk) freezeAhead(ctx context.Context, all []releasable, next func() agenda.ProposedNumber, limit int64) *frozenAhead {
	f := &frozenAhead{all: all, at: d.Now(), done: make(chan struct{})}
	ctx, f.stop = context.WithCancel(ctx)
	numbers := numbersOf(all, next)
	go func() {
		defer close(f.done)
		f.batch, f.err = d.freezeAll(ctx, all, numbers, limit)
	}()
	return f
}

func (f *frozenAhead) wait() ([]agenda.Releasing, error) {
	<-f.done
	f.stop()
	return f.batch, f.err
}

// drop gives up what is not needed. Its messages are swept some day.
func (f *frozenAhead) drop() {
	f.stop()
	<-f.done
}

func idsOf(all []releasable) []int64 {
	ids := make([]int64, len(all))
	for i := range all {
		ids[i] = all[i].entry.ID
	}
	return ids
}

// freezeAll builds the messages of all copies side by side. When one fails none
// is kept: each is a letter with its scans, and a disk that is full would be
// filled further by every `send` that is tried again.
func (d *Desk) freezeAll(ctx context.Context, all []releasable, numbers []*agenda.ProposedNumber, limit int64) ([]agenda.Releasing, error) {
	at := d.Now()
	batch := make([]agenda.Releasing, len(all))
	err := inParallel(ctx, len(all), func(ctx context.Context, i int) error {
		e := all[i].entry
		batch[i] = agenda.Releasing{ID: e.ID, Last: e.Last, Release: agenda.Release{Number: numbers[i]}}
		for _, c := range e.Copies {
			f, err := d.freeze(ctx, all[i], c, numbers[i], at, limit)
			if err != nil {
				return err
			}
			batch[i].Release.Copies = append(batch[i].Release.Copies, f)
		}
		return nil
	})
	if err == nil {
		return batch, nil
	}
	for i := range batch {
		for _, c := range batch[i].Release.Copies {
			d.Vault.Discard(c.Message.SHA256)
		}
	}
	return nil, err
}

func takesNumber(r releasable) bool { return r.entry.Name.Book == agenda.Kriptogram }

// numberingFor is numbering; nil when none of the entries takes a number.
func (d *Desk) numberingFor(ctx context.Context, all []releasable) (func() agenda.ProposedNumber, error) {
	if !slices.ContainsFunc(all, takesNumber) {
		return nil, nil
	}
	return d.numbering(ctx)
}

// numbersOf proposes the numbers that come next, in the order of the entries;
// nil for a letter.
func numbersOf(all []releasable, next func() agenda.ProposedNumber) []*agenda.ProposedNumber {
	numbers := make([]*agenda.ProposedNumber, len(all))
	for i := range all {
		if takesNumber(all[i]) {
			n := next()
			numbers[i] = &n
		}
	}
	return numbers
}

// numbering returns a function that gives one number after the other, from
// the one that would come next today.
func (d *Desk) numbering(ctx context.Context) (func() agenda.ProposedNumber, error) {
	n, err := d.proposeNumber(ctx)
	if err != nil {
		return nil, err
	}
	t, err := agenda.ParseTemplate(n.Template)
	if err != nil {
		return nil, err
	}
	day, err := time.Parse(time.DateOnly, n.Day)
	if err != nil {
		return nil, err
	}
	f := agenda.NumberFields{Seq: n.Seq, Year: n.Year, Month: int(day.Month()), Unit: d.Config.Profile.Number.Unit, Archive: d.Config.Profile.Number.Archive}
	return func() agenda.ProposedNumber {
		n.Seq, n.Text = f.Seq, t.Format(f)
		f.Seq++
		return n
	}, nil
}

func (d *Desk) proposeNumber(ctx context.Context) (agenda.ProposedNumber, error) {
	p := d.Config.Profile.Number
	t, err := agenda.ParseTemplate(p.Template)
	if err != nil {
		return agenda.ProposedNumber{}, err
	}
	return d.Book.ProposeNumber(ctx, t, agenda.NumberFields{Unit: p.Unit, Archive: p.Archive})
}

// freeze builds the message of one copy and keeps its octets in the vault.
func (d *Desk) freeze(ctx context.Context, r releasable, c agenda.Copy, n *agenda.ProposedNumber, at time.Time, limit int64) (agenda.FrozenCopy, error) {
	corr, err := d.Book.Addressee(ctx, c)
	if err != nil {
		return agenda.FrozenCopy{}, err
	}
	// Since the plan somebody may have been asked, and hours may have passed.
	if corr.Ended {
		return agenda.FrozenCopy{}, &Error{code: CodeAddressee, Entry: r.entry.Name, Field: c.Handle}
	}
	if r.entry.Name.Book == agenda.Kriptogram {
		if err := d.stillTheirs(ctx, r.entry.Name, r.draft, c.Copy, corr); err != nil {
			return agenda.FrozenCopy{}, err
		}
	}
	m, err := d.envelope(corr.Address, at)
	if err != nil {
		return agenda.FrozenCopy{}, err
	}
	if r.entry.Name.Book == agenda.Kriptogram {
		err = d.kriptogramParts(ctx, &m, r, c, corr, n.Text)
	} else {
		err = d.letterParts(ctx, &m, r, c, corr)
	}
	if err != nil {
		return agenda.FrozenCopy{}, err
	}
	o, err := d.compose(m, r.key, r.entry.Name, limit)
	if err != nil {
		return agenda.FrozenCopy{}, err
	}
	return agenda.FrozenCopy{Copy: c.Copy, MessageID: m.MessageID, Address: corr.Address, Message: o, Addressee: corr.Last}, nil
}

// envelope begins a message from the desk.
func (d *Desk) envelope(address string, at time.Time) (mail.Message, error) {
	from, err := mail.ParseAddress(d.Config.Gateway.From)
	if err != nil {
		return mail.Message{}, err
	}
	to, err := mail.ParseAddress(address)
	if err != nil {
		return mail.Message{}, err
	}
	m := mail.Message{From: from, To: to, Subject: d.Config.Profile.Subject, Date: at}
	m.MessageID, err = mail.NewMessageID(d.opts.Rand, from.Domain())
	return m, err
}

// compose writes a message into the vault, signed when there is a key.
func (d *Desk) compose(m mail.Message, key *crypto.Key, n agenda.Name, limit int64) (agenda.Object, error) {
	var sign mail.Signer
	if key != nil {
		text, err := crypto.NewTextSigner(key, m.Date)
		if err != nil {
			return agenda.Object{}, err
		}
		sign = text
	}
	w, err := d.Vault.NewObject()
	if err != nil {
		return agenda.Object{}, err
	}
	defer w.Abort()
	if err := mail.Compose(w, m, sign, d.opts.Rand); err != nil {
		return agenda.Object{}, err
	}
	sum, size, err := w.Commit()
	if err != nil {
		return agenda.Object{}, err
	}
	if limit > 0 && size > limit {
		return agenda.Object{}, &Error{code: CodeTooLarge, Entry: n, Detail: fmt.Sprintf("%d %d", size, limit)}
	}
	return agenda.Object{SHA256: sum, Size: size, Media: mailMedia}, nil
}

func (d *Desk) kriptogramParts(ctx context.Context, m *mail.Message, r releasable, c agenda.Copy, corr agenda.Correspondent, number string) error {
	var err error
	m.Cover, err = d.kriptogramCover(signedtext.Cover{
		Draft: signedtext.Sum(r.text), Number: number, At: m.Date,
		From: signedtext.Party{Address: m.From.String(), Fingerprint: r.sender.Fingerprint},
		To:   signedtext.Party{Address: m.To.String(), Fingerprint: corr.Fingerprint},
		Copy: c.Copy, Of: len(r.entry.Copies), MessageID: m.MessageID,
	}, r.dossier, corr.Unit)
	if err != nil {
		return err
	}
	m.Parts = []mail.Part{
		{Name: signedtext.KriptogramFile, Media: "application/octet-stream", Open: func() (io.ReadCloser, error) {
			return d.Vault.OpenChecked(ctx, r.draft.Kriptogram, r.draft.Size)
		}},
		bytesPart(signedtext.DraftFile, textMedia, r.text),
		bytesPart(signedtext.ParafFile, "application/octet-stream", r.paraf),
	}
	if r.signature != nil {
		m.Parts = append(m.Parts, bytesPart(signedtext.SignatureFile, "application/octet-stream", r.signature))
	}
	return nil
}

func (d *Desk) letterParts(ctx context.Context, m *mail.Message, r releasable, c agenda.Copy, corr agenda.Correspondent) error {
	e := r.entry
	var scans []signedtext.Scan
	pages := e.Letter.Pages
	for i, a := range e.Attachments {
		name := scanName(e.Name, i)
		scans = append(scans, signedtext.Scan{Name: name, Sum: a.Object.SHA256})
		m.Parts = append(m.Parts, mail.Part{Name: name, Media: pdfMedia, Open: func() (io.ReadCloser, error) {
			return d.Vault.OpenChecked(ctx, a.Object.SHA256, a.Object.Size)
		}})
		if e.Letter.Pages == 0 {
			pages += a.Pages
		}
	}
	var block *signedtext.LetterCover
	if r.key != nil {
		block = &signedtext.LetterCover{
			Scans: scans, Entry: e.Name.Long(), At: m.Date,
			From: signedtext.Party{Address: m.From.String(), Fingerprint: r.sender.Fingerprint},
			To:   signedtext.Party{Address: m.To.String(), Fingerprint: corr.Fingerprint},
			Copy: c.Copy, Of: len(e.Copies), MessageID: m.MessageID,
		}
	}
	var err error
	m.Cover, err = d.letterCover(block, e, c, corr.Unit, m.Date, pages)
	return err
}

// scanName is the name under which a scan travels: S1-2026.pdf, S1-2026-2.pdf.
func scanName(n agenda.Name, i int) string {
	base := strings.ReplaceAll(n.Long(), "/", "-")
	if i > 0 {
		base = fmt.Sprintf("%s-%d", base, i+1)
	}
	return base + ".pdf"
}

func bytesPart(name, media string, data []byte) mail.Part {
	return mail.Part{Name: name, Media: media, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	}}
}

// Readdress builds a new message for a copy that the server certainly has not
// taken: the same correspondent, kriptogram and number, the address that
// the correspondent has today.
func (d *Desk) Readdress(ctx context.Context, name agenda.Name, copyNo int, reason string, s Secrets) (agenda.Entry, error) {
	lock, err := d.senderLock()
	if err != nil {
		return agenda.Entry{}, err
	}
	defer lock.Unlock()
	e, err := d.Book.Entry(ctx, name)
	if err != nil {
		return e, err
	}
	c, err := copyOf(e, copyNo)
	if err != nil {
		return e, err
	}
	return d.readdress(ctx, e, c, reason, s)
}

// readdress is Readdress under the sender's lock.
func (d *Desk) readdress(ctx context.Context, e agenda.Entry, c agenda.Copy, reason string, s Secrets) (agenda.Entry, error) {
	waits := c.State == agenda.CopyReady || c.State == agenda.CopyDeferred
	if c.State != agenda.CopyRejected && !waits || e.Name.Book == agenda.Laporan { // a refused report is made anew
		return e, &Error{code: CodeState, Entry: e.Name, Detail: string(c.State)}
	}
	corr, err := d.Book.Addressee(ctx, c)
	if err != nil {
		return e, err
	}
	if corr.Ended {
		return e, &Error{code: CodeAddresseeChanged, Entry: e.Name, Field: c.Handle}
	}
	r := releasable{dossier: dossier{entry: e}}
	if e.Name.Book == agenda.Kriptogram {
		if err := d.loadReleased(ctx, &r, c); err != nil {
			return e, err
		}
	} else if err := d.checkScans(ctx, e); err != nil {
		return e, err
	}
	if e.Name.Book == agenda.Surat {
		r.sender, err = d.letterSender(ctx)
	} else {
		r.sender, err = d.Acting(ctx, agenda.RoleSandiman)
	}
	if err != nil {
		return e, err
	}
	if r.sender.Fingerprint != "" && r.sender.Fingerprint == r.draft.Signature.Fingerprint {
		return e, refuseEntry(CodeSamePerson, e.Name)
	}
	if err := d.unlockSender(ctx, &r, s); err != nil {
		return e, err
	}
	number := agenda.ProposedNumber{Text: e.Number}
	f, err := d.freeze(ctx, r, c, &number, d.Now(), d.Config.Gateway.MaxSize)
	if err != nil {
		return e, err
	}
	ref := agenda.CopyRef{Entry: e.ID, Copy: c.Copy}
	if err := d.Book.Readdress(ctx, d.actor(r.sender.Handle), ref, f, reason); err != nil {
		return e, err
	}
	return d.Book.EntryByID(ctx, e.ID)
}

// loadReleased reads what a released kriptogram consists of. It was fresh when
// it got its number; what may have changed since with other copies, or with
// the people who signed, is no matter of this copy. Only its addressee must
// still hold the key that the draft names.
func (d *Desk) loadReleased(ctx context.Context, r *releasable, c agenda.Copy) error {
	var err error
	if r.dossier, err = d.load(ctx, r.entry); err != nil {
		return err
	}
	corr, err := d.Book.Addressee(ctx, c)
	if err != nil {
		return err
	}
	if err := d.stillTheirs(ctx, r.entry.Name, r.draft, c.Copy, corr); err != nil {
		return err
	}
	if r.entry.Signed == nil || r.entry.Signed.Signature.IsZero() {
		return nil
	}
	o, err := d.Book.Object(ctx, r.entry.Signed.Signature.SHA256)
	r.signature = o.Data
	return err
}

// copyOf finds a copy of an entry by its number; 0 is the only copy.
func copyOf(e agenda.Entry, n int) (agenda.Copy, error) {
	if n == 0 && len(e.Copies) == 1 {
		return e.Copies[0], nil
	}
	for _, c := range e.Copies {
		if c.Copy == n {
			return c, nil
		}
	}
	return agenda.Copy{}, &Error{code: CodeNothing, Entry: e.Name, Field: "--copy", Detail: fmt.Sprint(len(e.Copies))}
}

// ReaddressChanged readdresses every copy of the entries that waits, or that
// the server certainly refused, and whose correspondent has another address by
// now. It returns the entries that it mended; the others are left as they are.
// names holds each name once.
func (d *Desk) ReaddressChanged(ctx context.Context, names []agenda.Name, reason string, s Secrets) ([]agenda.Name, error) {
	entries, err := d.namedBriefly(ctx, names)
	if err != nil {
		return nil, err
	}
	var mended []agenda.Name
	for _, e := range entries {
		if e.State != agenda.StateReleased {
			continue
		}
		for _, c := range e.Copies {
			switch c.State {
			case agenda.CopyRejected, agenda.CopyReady, agenda.CopyDeferred:
			default:
				continue
			}
			if c.Correspondent == 0 {
				continue
			}
			corr, err := d.Book.Addressee(ctx, c)
			if err != nil {
				return mended, err
			}
			if corr.Address == c.Address {
				continue
			}
			if why, err := d.held(ctx, e, c, corr); err != nil {
				return mended, err
			} else if why == CodeAddresseeChanged {
				continue // told by the sending
			}
			if _, err := d.Readdress(ctx, e.Name, c.Copy, reason, s); err != nil {
				return mended, err
			}
			mended = append(mended, e.Name)
		}
	}
	return mended, nil
}

// Sendable lists the entries that only wait for `send`: signed kriptograms
// and letters with their scan, oldest first.
func (d *Desk) Sendable(ctx context.Context) ([]agenda.Name, error) {
	list, err := d.Book.List(ctx, agenda.Filter{States: []agenda.State{agenda.StateSigned, agenda.StateAttached}})
	var names []agenda.Name
	for _, e := range list {
		names = append(names, e.Name)
	}
	return names, err
}
