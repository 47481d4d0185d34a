package desk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sandi/agenda"
	"sandi/mail"
)

// ReceiptParams say where notices are read from. Nothing is changed there.
type ReceiptParams struct {
	Sources []string // .eml files, mbox files, Maildirs, folders of .eml files, mailboxes (imaps://user@host/INBOX)
	DryRun  bool     // match only
	Secrets Secrets  // for the password of a mailbox
}

// NotedReceipt is a notice that was matched to a copy.
type NotedReceipt struct {
	agenda.Receipt
	Entry    agenda.Name
	Number   string
	Handle   string
	Unit     string
	State    agenda.CopyState
	Source   string
	Known    bool // noted by an earlier run
	Resolved bool // it proved a copy that was in doubt
	Strange  bool // not noted
	Why      string
}

// Words of NotedReceipt.Why: why a notice is shown and not noted.
const (
	StrangeAddress = "address" // not of the address that the copy went to
	StrangeEarly   = "early"   // a time it carries is before the release of the copy
	StrangeUndated = "undated" // it carries no time
	StrangeYear    = "year"    // it names the number and another year
	StrangeSeveral = "several" // it fits several copies
)

// ReceiptResult is what was found.
type ReceiptResult struct {
	Found    // at this start; nothing in a dry run
	Receipts []NotedReceipt
	Messages int // read
	Foreign  int // messages that say nothing of ours
	Broken   int // that could not be taken apart
}

// Receipts reads notices and notes those about our copies: delivery notices,
// reading notices, answers. A copy is found by the envelope identifier, then
// by the Message-ID, then, for an answer from its addressee, by the number of
// the kriptogram. What the gateway took and what arrived stay two things; only
// a copy in doubt is closed, by a delivery notice that names its envelope:
// nobody but the gateway could have written that before it took the message.
// That a message arrived is believed only of the address that it went to:
// whoever it was forwarded to, our own office among them, knows its Message-ID.
// Anything else of that kind is shown and not noted; so is an answer whose
// number cannot be that of the copy, see [mayBeAbout].
func (d *Desk) Receipts(ctx context.Context, p ReceiptParams) (ReceiptResult, error) {
	var res ReceiptResult
	who, err := d.ActingOr(ctx, agenda.RoleOperator, agenda.RoleSandiman)
	if coded(err) == CodeOfficer || coded(err) == CodeRole {
		who, err = d.Nobody(), nil
	}
	if err != nil {
		return res, err
	}
	lock, err := d.senderLock()
	if err != nil {
		return res, err
	}
	defer lock.Unlock()
	if !p.DryRun {
		if res.Found, err = d.recover(ctx); err != nil {
			return res, err
		}
	}
	m := matcher{d: d}
	for _, source := range p.Sources {
		each := eachMessage
		if isMailbox(source) {
			each = func(source string, fn func(string, []byte) error) error {
				return d.eachInMailbox(ctx, source, p.Secrets, fn)
			}
		}
		err := each(source, func(path string, message []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			res.Messages++
			notices, err := mail.ParseNotices(message)
			if err != nil {
				res.Broken++
				return nil
			}
			ours := false
			for _, n := range notices {
				r, ok, err := m.match(ctx, n)
				if err != nil {
					return err
				}
				if !ok {
					continue
				}
				ours = true
				r.Source = path
				if !p.DryRun && !r.Strange {
					if err := d.note(ctx, who, &r, message); err != nil {
						return err
					}
				}
				res.Receipts = append(res.Receipts, r)
			}
			if !ours {
				res.Foreign++
			}
			return nil
		})
		if err != nil {
			return res, err
		}
	}
	return res, nil
}

// note keeps the notice and records it; a copy in doubt may be proved by it.
func (d *Desk) note(ctx context.Context, who agenda.Actor, r *NotedReceipt, message []byte) error {
	kept, before := mail.NoticeForms(message)
	for _, form := range before {
		r.Also = append(r.Also, sha256.Sum256(form))
	}
	var err error
	if int64(len(kept)) <= agenda.MaxObject {
		r.Object = dataObject(kept, mailMedia)
	} else if r.Object, err = d.keep(bytes.NewReader(kept), mailMedia); err != nil {
		return err
	}
	if r.Known, err = d.Book.NoteReceipt(ctx, who, r.Receipt); err != nil || r.Known {
		return err
	}
	proves := r.Kind == agenda.ReceiptDSN && r.Matched == agenda.MatchedEnvelope && !r.Failed()
	if r.State != agenda.CopyDoubt || !proves {
		return nil
	}
	_, err = d.Book.Resolve(ctx, who, r.Ref, agenda.Resolution{
		Reported: d.reportedToAll,
		To:       agenda.CopyEvidenced, Basis: "file", Route: "smtp", Reason: "dsn " + r.Action, At: r.At, Evidence: r.Object,
	})
	if err == nil {
		r.Resolved, r.State = true, agenda.CopyEvidenced
	}
	return err
}

// matcher finds the copies that notices speak of.
type matcher struct {
	d    *Desk
	open []agenda.Entry // numbered and not long ago; read when first needed
	read bool
}

// answerTime is how long an answer may take that names only a number.
const answerTime = 120 * 24 * time.Hour

func (m *matcher) match(ctx context.Context, n mail.Notice) (NotedReceipt, bool, error) {
	r := agenda.Receipt{
		Kind: agenda.ReceiptKind(n.Kind), Action: n.Action, Status: n.Status, At: n.At,
		Address: clip(n.Recipient), Remote: clip(n.Remote),
	}
	keys := []struct{ by, id string }{{agenda.MatchedEnvelope, n.EnvelopeID}}
	for _, id := range n.MessageIDs {
		keys = append(keys, struct{ by, id string }{agenda.MatchedMessage, id})
	}
	for _, k := range keys {
		if k.id == "" {
			continue
		}
		ref, err := m.d.Book.CopyByMessage(ctx, k.id)
		if coded(err) == "agenda.not_found" {
			continue
		}
		if err != nil {
			return NotedReceipt{}, false, err
		}
		e, err := m.d.Book.EntryByID(ctx, ref.Entry)
		if err != nil {
			return NotedReceipt{}, false, err
		}
		c, err := copyOf(e, ref.Copy)
		if err != nil {
			return NotedReceipt{}, false, err
		}
		r.Ref, r.Matched = ref, k.by
		return m.noted(ctx, r, n, e, c, "")
	}
	if n.Kind != mail.NoticeReply {
		return NotedReceipt{}, false, nil
	}
	return m.byNumber(ctx, r, n)
}

// byNumber finds the copy of an answer that names the number and comes from
// the very address that the copy went to.
func (m *matcher) byNumber(ctx context.Context, r agenda.Receipt, n mail.Notice) (NotedReceipt, bool, error) {
	if !m.read {
		now := m.d.Now()
		err := m.d.Book.Each(ctx, agenda.Filter{Book: agenda.Kriptogram, From: now.Add(-answerTime)}, func(e agenda.Entry) error {
			if e.Number != "" {
				m.open = append(m.open, e)
			}
			return nil
		})
		if err != nil {
			return NotedReceipt{}, false, err
		}
		m.read = true
	}
	var at, unfit agenda.Entry
	var to, unfitTo agenda.Copy
	found, why := 0, ""
	for _, e := range m.open {
		if !names(n.Subject+"\n"+n.Text, e.Number) {
			continue
		}
		for _, c := range e.Copies {
			if c.Address == "" || !strings.EqualFold(c.Address, n.Recipient) {
				continue
			}
			if reason := mayBeAbout(n, e); reason != "" {
				unfit, unfitTo, why = e, c, reason
				continue
			}
			at, to = e, c
			found++
		}
	}
	switch {
	case found == 0 && why == "":
		return NotedReceipt{}, false, nil
	case found == 0:
		at, to = unfit, unfitTo
	case found == 1:
		why = ""
	default: // a person decides
		why = StrangeSeveral
	}
	r.Ref, r.Matched = agenda.CopyRef{Entry: at.ID, Copy: to.Copy}, agenda.MatchedNumber
	return m.noted(ctx, r, n, at, to, why)
}

// clockSlack is how much the clocks of two servers may differ.
const clockSlack = time.Hour

// mayBeAbout says why an answer that names nothing but the number of a
// kriptogram is not about this one, "" when it may be. Numbers come again each
// year and old answers lie in the same mailbox, so nothing that the answer says
// of its time may be before the release: neither the date that its writer gave
// it, nor the time at which the last server took it, which he has no hand in.
// One that carries no time is not taken, and neither is one that names years
// beside the number, but none in which the kriptogram was on its way. A
// Message-ID needs none of this: before the release nobody knew it.
func mayBeAbout(n mail.Notice, e agenda.Entry) string {
	last := time.Time{}
	for _, at := range []time.Time{n.At, n.Received} {
		if !at.IsZero() && at.Before(e.ReleasedAt.Add(-clockSlack)) {
			return StrangeEarly
		}
		if at.After(last) {
			last = at
		}
	}
	if last.IsZero() {
		return StrangeUndated
	}
	named, ours := false, false
	for line := range strings.Lines(n.Subject + "\n" + n.Text) {
		if !names(line, e.Number) {
			continue
		}
		for _, year := range years(strings.ReplaceAll(line, e.Number, " ")) {
			named = true
			ours = ours || e.ReleasedAt.In(agenda.WIB).Year() <= year && year <= last.In(agenda.WIB).Year()
		}
	}
	if named && !ours {
		return StrangeYear
	}
	return ""
}

// years are the numbers of a text that can only be years of these times.
func years(text string) (all []int) {
	for _, word := range strings.FieldsFunc(text, func(c rune) bool { return c < '0' || c > '9' }) {
		if len(word) == 4 && strings.HasPrefix(word, "20") {
			year, _ := strconv.Atoi(word)
			all = append(all, year)
		}
	}
	return all
}

// names tells whether a text names a number as a word of its own.
func names(text, number string) bool {
	part := func(c byte) bool {
		return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '/' || c == '-'
	}
	for rest := text; ; {
		i := strings.Index(rest, number)
		if i < 0 {
			return false
		}
		end := i + len(number)
		if (i == 0 || !part(rest[i-1])) && (end == len(rest) || !part(rest[end])) {
			return true
		}
		rest = rest[i+1:]
	}
}

func (m *matcher) noted(ctx context.Context, r agenda.Receipt, n mail.Notice, e agenda.Entry, c agenda.Copy, why string) (NotedReceipt, bool, error) {
	if why == "" {
		// A time before the message left or in the future says nothing of when;
		// then the time of noting stands.
		r.At = time.Time{}
		for _, at := range []time.Time{n.At, n.Received} {
			if r.At.IsZero() && !at.After(m.d.Now().Add(clockSlack)) && !at.Before(c.SettledAt.Add(-clockSlack)) {
				r.At = at
			}
		}
	}
	if why == "" && r.Arrived() && !strings.EqualFold(r.Address, c.Address) {
		why = StrangeAddress
	}
	if why == StrangeEarly && (r.At.IsZero() || !n.Received.IsZero() && n.Received.Before(r.At)) {
		r.At = n.Received
	}
	noted := NotedReceipt{
		Receipt: r, Entry: e.Name, Number: e.Number, Handle: c.Handle, State: c.State, Strange: why != "", Why: why,
	}
	corr, err := m.d.Book.Addressee(ctx, c)
	if err != nil {
		return noted, false, err
	}
	noted.Unit = corr.Unit
	return noted, true, nil
}

// clip bounds what a stranger wrote.
func clip(s string) string {
	if len(s) > 254 {
		return strings.ToValidUTF8(s[:254], "")
	}
	return strings.ToValidUTF8(s, "")
}

// Overdue is a copy that the gateway took and nobody has confirmed.
type Overdue struct {
	Entry  agenda.Entry
	Copy   agenda.Copy
	Failed bool // a notice says that it did not arrive
}

// Overdue lists the copies that left longer ago than a confirmation may take
// and of which nothing says that they arrived, and those of which a notice
// says that they did not, oldest first. A confirmation may take the service
// hours of the profile, or, when days is not nil, so many working days.
func (d *Desk) Overdue(ctx context.Context, days *int) ([]Overdue, error) {
	late, err := d.overdue(ctx, time.Time{}, days)
	if err != nil {
		return nil, err
	}
	all := make([]Overdue, len(late))
	err = inParallel(ctx, len(late), func(ctx context.Context, i int) error {
		e, err := d.Book.EntryByID(ctx, late[i].Ref.Entry)
		if err != nil {
			return err
		}
		c, err := copyOf(e, late[i].Ref.Copy)
		all[i] = Overdue{Entry: e, Copy: c, Failed: late[i].Failed}
		return err
	})
	return all, err
}

func (d *Desk) overdue(ctx context.Context, after time.Time, days *int) ([]agenda.Outstanding, error) {
	now := d.Now()
	open, err := d.Book.Unconfirmed(ctx, after, now)
	within := d.Config.Profile.ConfirmWithin()
	return slices.DeleteFunc(open, func(o agenda.Outstanding) bool {
		switch {
		case o.Failed:
			return false
		case o.Book == agenda.Laporan: // nobody is asked to confirm a report
			return true
		case days != nil:
			return d.Hours.WorkingDaysBetween(o.SettledAt, now) <= *days
		}
		return d.Hours.Between(o.SettledAt, now) <= within
	}), err
}

// Undelivered lists the copies of the last months of which a notice says that
// they did not arrive, and that no later entry refers to: nobody has looked
// after them yet.
func (d *Desk) Undelivered(ctx context.Context) ([]Overdue, error) {
	since := d.Now().Add(-answerTime)
	open, err := d.Book.Unconfirmed(ctx, since, d.Now())
	open = slices.DeleteFunc(open, func(o agenda.Outstanding) bool { return !o.Failed })
	if err != nil || len(open) == 0 {
		return nil, err
	}
	referred := map[string]bool{}
	err = d.Book.Each(ctx, agenda.Filter{From: since}, func(e agenda.Entry) error {
		if e.Letter.Refers != "" && e.State != agenda.StateVoid {
			referred[e.Letter.Refers] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []Overdue
	for _, o := range open {
		e, err := d.Book.EntryByID(ctx, o.Ref.Entry)
		if err != nil {
			return out, err
		}
		looked := referred[e.Name.Long()]
		if e.Mailed != nil {
			looked, err = d.MailedAgain(ctx, *e.Mailed)
		}
		if err != nil {
			return out, err
		}
		if looked {
			continue
		}
		c, err := copyOf(e, o.Ref.Copy)
		if err != nil {
			return out, err
		}
		out = append(out, Overdue{Entry: e, Copy: c, Failed: true})
	}
	return out, nil
}

// MailedAgain tells whether another report by e-mail stands for everything that
// m told of.
func (d *Desk) MailedAgain(ctx context.Context, m agenda.Mailed) (bool, error) {
	for _, id := range m.Of {
		if report, err := d.Book.MailedFor(ctx, id, m.Reader); err != nil || report == 0 {
			return false, err
		}
	}
	return true, nil
}

// Watched counts the copies whose confirmation is late. An office that never
// read a receipt is not told so every day.
func (d *Desk) Watched(ctx context.Context) (int, error) {
	since := d.Now().Add(-answerTime)
	came, err := d.Book.ReceiptsBetween(ctx, since, d.Now().Add(time.Hour))
	if err != nil || len(came) == 0 {
		return 0, err
	}
	late, err := d.overdue(ctx, since, nil)
	return len(slices.DeleteFunc(late, func(o agenda.Outstanding) bool { return o.Failed })), err
}

// Confirmation is what is known about the arrival of a copy after the gateway
// took it: the receipt that says most. The words of a person count for more
// than the reading notice of a program, and that for more than what a server
// reports; without one, that it did not arrive.
func Confirmation(receipts []agenda.Receipt, ref agenda.CopyRef) (agenda.Receipt, bool) {
	weight := func(r agenda.Receipt) int {
		switch {
		case r.Failed():
			return 1
		case !r.Arrived():
			return 0
		}
		return 2 + slices.Index([]agenda.ReceiptKind{agenda.ReceiptDSN, agenda.ReceiptMDN, agenda.ReceiptReply}, r.Kind)
	}
	var best agenda.Receipt
	for _, r := range receipts {
		if r.Ref == ref && weight(r) > 0 && (best.Kind == "" || weight(r) > weight(best)) {
			best = r
		}
	}
	return best, best.Kind != ""
}

// receiptWords name the kinds of receipt on paper.
var receiptWords = map[agenda.ReceiptKind]string{
	agenda.ReceiptDSN: "laporan server", agenda.ReceiptMDN: "tanda baca", agenda.ReceiptReply: "balasan",
}

// confirmed is the confirmation of a copy as a sheet has it, "" without one.
func confirmed(receipts []agenda.Receipt, ref agenda.CopyRef, today time.Time) string {
	r, ok := Confirmation(receipts, ref)
	switch {
	case !ok:
		return ""
	case r.Failed():
		return "tidak sampai"
	}
	return moment(r.At, today)
}

// eachMessage reads the messages of a source: a Maildir, a folder of .eml
// files, an mbox, or one message. A message larger than any notice is left
// out.
func eachMessage(source string, fn func(path string, message []byte) error) error {
	st, err := os.Stat(source)
	if err != nil {
		return &Error{code: CodeFile, Field: source, Err: err}
	}
	if !st.IsDir() {
		return messagesOf(source, true, fn)
	}
	maildir := false
	for _, sub := range []string{"cur", "new"} {
		dir := filepath.Join(source, sub)
		if st, err := os.Stat(dir); err != nil || !st.IsDir() {
			continue
		}
		maildir = true
		if err := eachFile(dir, "", fn); err != nil {
			return err
		}
	}
	if maildir {
		return nil
	}
	return eachFile(source, ".eml", fn)
}

func eachFile(dir, suffix string, fn func(path string, message []byte) error) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return &Error{code: CodeFile, Field: dir, Err: err}
	}
	for _, f := range list {
		if !f.Type().IsRegular() || strings.HasPrefix(f.Name(), ".") || !strings.HasSuffix(strings.ToLower(f.Name()), suffix) {
			continue
		}
		err := messagesOf(filepath.Join(dir, f.Name()), false, fn)
		if errors.Is(err, os.ErrNotExist) {
			continue // a mail reader moved it between new and cur
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// maxNoticeFile bounds one file with one message.
const maxNoticeFile = 4 << 20

func messagesOf(path string, box bool, fn func(path string, message []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return &Error{code: CodeFile, Field: path, Err: err}
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return &Error{code: CodeFile, Field: path, Err: err}
	}
	var head [5]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return &Error{code: CodeFile, Field: path, Err: err}
	}
	whole := io.MultiReader(bytes.NewReader(head[:n]), f)
	if box && string(head[:n]) == "From " {
		return mail.EachMbox(whole, func(m []byte) error { return fn(path, m) })
	}
	data, err := io.ReadAll(io.LimitReader(whole, maxNoticeFile+1))
	if err != nil {
		return &Error{code: CodeFile, Field: path, Err: err}
	}
	return fn(path, data)
}
