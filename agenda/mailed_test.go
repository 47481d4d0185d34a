package agenda

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// both is the rule that the head of the office and the applicant get a report.
func both(e Entry) bool {
	got := map[string]bool{}
	for _, r := range e.Reports {
		got[r.To] = true
	}
	return got["kepala-dinas"] && got["pemohon"]
}

func mailingOf(serial int, reader string, of ...int64) Mailing {
	seed := fmt.Sprint(serial, reader, of)
	return Mailing{
		Serial: serial, Reader: reader, To: "Kepala Dinas", Of: of,
		Sheet: data("sheet " + seed), Plain: data("plain " + seed),
		Message: FrozenCopy{
			Copy: 1, Message: vaulted("mail " + seed), MessageID: fmt.Sprintf("lap.%d@contoh.test", serial), Address: "kadis@contoh.test",
		},
	}
}

func (b *book) mail(all ...Mailing) []Entry {
	b.t.Helper()
	ids, err := b.Mail(b.t.Context(), operator, 2026, all, "diganti")
	b.must(err)
	var out []Entry
	for _, id := range ids {
		out = append(out, b.entry(id))
	}
	return out
}

// deliverReport brings the copy of a report through an attempt.
func (b *book) deliverReport(e Entry, to CopyState) {
	b.t.Helper()
	ref := CopyRef{e.ID, 1}
	b.claimArm(ref)
	b.must(b.Conclude(b.t.Context(), clerk, ref, Settlement{State: to, Route: "smtp", Reply: "250 ok", Reported: both})())
}

func TestMailedReportIsAnEntryOfItsOwn(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	ctx := t.Context()
	k, s := b.at(Kriptogram, StateSent), b.at(Surat, StateArchived)
	whole, err := b.Span(ctx, time.Time{}, time.Time{})
	b.must(err)
	statistics := func() []any {
		t.Helper()
		var timings []Timing
		b.must(b.Timings(ctx, whole, func(x Timing) error {
			timings = append(timings, x)
			return nil
		}))
		places, err := b.Destinations(ctx, whole)
		b.must(err)
		spans, err := b.BookSpans(ctx, whole)
		b.must(err)
		troubles, err := b.Troubles(ctx, time.Time{}, b.clock.Now().Add(time.Hour))
		b.must(err)
		counts, err := b.Counts(ctx, 2026)
		b.must(err)
		list, err := b.List(ctx, Filter{})
		b.must(err)
		var names []Name
		for _, e := range list {
			names = append(names, e.Name)
		}
		return []any{len(timings), places, spans, troubles, counts, names}
	}
	before := statistics()

	m := mailingOf(1, "pemohon", k.ID, s.ID)
	m.Applicant, m.To = "Bagian Umum Setda", "Bagian Umum Setda"
	made := b.mail(mailingOf(1, "kepala-dinas", k.ID, s.ID), func() Mailing { m.Serial = 2; m.Message.MessageID = "lap.2@contoh.test"; return m }())
	if made[0].Name.Long() != "L1/2026" || made[1].Name.Long() != "L2/2026" {
		t.Fatalf("made %v and %v", made[0].Name, made[1].Name)
	}
	want := Entry{
		ID: made[1].ID, Name: Name{Laporan, 2, 2026}, State: StateReleased, RegisteredBy: "operator",
		Letter:       Letter{Class: ClassBiasa, Urgency: UrgencyBiasa, Applicant: "Bagian Umum Setda", To: []string{"Bagian Umum Setda"}},
		Mailed:       &Mailed{Reader: "pemohon", Of: []int64{k.ID, s.ID}, Sheet: m.Sheet, Plain: m.Plain},
		RegisteredAt: made[1].RegisteredAt, ReleasedAt: made[1].RegisteredAt, Last: made[1].ID + 1,
		Copies: []Copy{{
			Copy: 1, Kind: KindTo, Handle: "Bagian Umum Setda", State: CopyReady, Message: m.Message.Message.SHA256,
			Size: m.Message.Message.Size, MessageID: "lap.2@contoh.test", Address: "kadis@contoh.test",
		}},
	}
	if diff := cmp.Diff(want, made[1]); diff != "" {
		t.Error(diff)
	}
	if got := b.entry(k.ID); got.State != StateSent || len(got.Reports) != 0 {
		t.Errorf("reported before anybody has it: %s, %d", got.State, len(got.Reports))
	}

	// The head's report comes into doubt and turns out to have arrived; only
	// with the second one the entries are reported.
	b.deliverReport(made[0], CopyDoubt)
	if got := b.entry(k.ID); len(got.Reports) != 0 {
		t.Error("a doubt counts as a report")
	}
	_, err = b.Resolve(ctx, operator, CopyRef{made[0].ID, 1}, Resolution{To: CopyEvidenced, Basis: "claim", Reason: "dibalas", Reported: both})
	b.must(err)
	if got := b.entry(k.ID); got.State != StateSent || len(got.Reports) != 1 || got.Reports[0].By != made[0].ID || got.Reports[0].To != "kepala-dinas" {
		t.Errorf("after the first: %s %+v", got.State, got.Reports)
	}
	b.deliverReport(made[1], CopyAccepted)
	for _, id := range []int64{k.ID, s.ID} {
		if got := b.entry(id); got.State != StateReported || len(got.Reports) != 2 || got.Reports[1].Object.SHA256 != m.Sheet.SHA256 {
			t.Errorf("%s after both: %s %+v", got.Name, got.State, got.Reports)
		}
	}
	if got := b.entry(made[1].ID); got.State != StateSent {
		t.Errorf("the report is %s", got.State)
	}
	b.archive(b.entry(made[1].ID))

	// The statistics of the two books know nothing of it.
	if diff := cmp.Diff(before, statistics()); diff != "" {
		t.Error(diff)
	}
	if open, err := b.List(ctx, Filter{Open: true}); err != nil || len(open) != 0 {
		t.Errorf("%d entries still ask for something (%v)", len(open), err)
	}
	list, err := b.List(ctx, Filter{Book: Laporan})
	b.must(err)
	all, err := b.List(ctx, Filter{Mailed: true})
	b.must(err)
	named, err := b.List(ctx, Filter{Names: []Name{{Laporan, 2, 2026}}})
	b.must(err)
	if len(list) != 2 || len(all) != 4 || len(named) != 1 {
		t.Errorf("%d of the book, %d of all, %d by name", len(list), len(all), len(named))
	}
	r := b.clean()
	if diff := cmp.Diff([]BookCheck{{Kriptogram, 2026, 1, 1}, {Laporan, 2026, 2, 0}, {Surat, 2026, 1, 0}}, r.Books); diff != "" {
		t.Error(diff)
	}
	was := b.entry(made[1].ID)
	b.must(b.Rebuild(ctx))
	b.clean()
	if diff := cmp.Diff(was, b.entry(made[1].ID)); diff != "" {
		t.Errorf("rebuilt: %s", diff)
	}
}

func TestNoSheetIsMailedTwice(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	ctx := t.Context()
	one, two := b.at(Surat, StateArchived), b.at(Surat, StateArchived)
	first := b.mail(mailingOf(1, "kepala-dinas", one.ID, two.ID))[0]
	again := func(serial int) error {
		_, err := b.Mail(ctx, operator, 2026, []Mailing{mailingOf(serial, "kepala-dinas", two.ID)}, "diganti")
		return err
	}
	if err := again(1); !errors.Is(err, ErrNumberTaken) {
		t.Errorf("serial used: %v", err)
	}
	if err := again(3); !errors.Is(err, ErrNumberTaken) {
		t.Errorf("serial skipped: %v", err)
	}
	_, err := b.Mail(ctx, operator, 2025, []Mailing{mailingOf(1, "kepala-dinas", two.ID)}, "")
	if !errors.Is(err, ErrNumberTaken) {
		t.Errorf("serial of last year: %v", err)
	}
	if err := again(2); !errors.Is(err, ErrAlreadyMailed) {
		t.Errorf("ready: %v", err)
	}
	b.deliverReport(first, CopyDoubt)
	if err := again(2); !errors.Is(err, ErrAlreadyMailed) {
		t.Errorf("in doubt: %v", err)
	}
	_, err = b.Resolve(ctx, operator, CopyRef{first.ID, 1}, Resolution{To: CopyReady, Reason: "tidak sampai"})
	b.must(err)
	b.deliverReport(first, CopyRejected)

	// A refused one makes room, for all that it told of.
	second := b.mail(mailingOf(2, "kepala-dinas", two.ID))[0]
	if c := b.entry(first.ID).Copies[0]; c.State != CopyCancelled {
		t.Errorf("the refused one is %s", c.State)
	}
	if id, err := b.MailedFor(ctx, one.ID, "kepala-dinas"); err != nil || id != 0 {
		t.Errorf("the other entry still has %d (%v)", id, err)
	}
	if id, err := b.MailedFor(ctx, two.ID, "kepala-dinas"); err != nil || id != second.ID {
		t.Errorf("the entry has %d (%v), want %d", id, err, second.ID)
	}
	if id, err := b.MailedFor(ctx, two.ID, "pemohon"); err != nil || id != 0 {
		t.Errorf("another reader has %d (%v)", id, err)
	}
	if _, err := b.Readdressed(first); err == nil {
		t.Error("a superseded report was readdressed")
	}
	b.deliverReport(second, CopyAccepted)
	if err := again(3); !errors.Is(err, ErrAlreadyMailed) {
		t.Errorf("delivered: %v", err)
	}
	third := b.mail(mailingOf(3, "kepala-dinas", one.ID))[0]
	b.must(b.Void(ctx, operator, third.ID, third.Last, "salah", "nota"))
	b.mail(mailingOf(4, "kepala-dinas", one.ID))

	// A notice that the accepted one came back makes room as well.
	notice := func(action string) {
		t.Helper()
		_, err := b.NoteReceipt(ctx, operator, Receipt{
			Ref: CopyRef{second.ID, 1}, Kind: ReceiptDSN, Action: action, Matched: MatchedEnvelope, Object: data(action),
		})
		b.must(err)
	}
	notice("delayed")
	if err := again(5); !errors.Is(err, ErrAlreadyMailed) {
		t.Errorf("delayed: %v", err)
	}
	notice("failed")
	fifth := b.mail(mailingOf(5, "kepala-dinas", two.ID))[0]
	b.deliverReport(fifth, CopyAccepted)
	if got := b.entry(two.ID); len(got.Reports) != 2 || got.Reports[1].By != fifth.ID {
		t.Errorf("reports %+v", got.Reports)
	}
	b.clean()
}

// Readdressed tries to give a refused report another address in place.
func (b *book) Readdressed(e Entry) (Entry, error) {
	m := mailingOf(99, "x", e.ID).Message
	return e, b.Readdress(b.t.Context(), operator, CopyRef{e.ID, 1}, m, "alamat")
}

func TestMailRefused(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	sent, early := b.at(Kriptogram, StateSent), b.at(Surat, StateSent)
	whole := func() Mailing { return mailingOf(1, "kepala-dinas", sent.ID) }
	for name, c := range map[string]struct {
		change func(*Mailing)
		want   error
	}{
		"no reader":     {func(m *Mailing) { m.Reader = "" }, ErrMissingField},
		"no entry":      {func(m *Mailing) { m.Of = nil }, ErrMissingField},
		"no name":       {func(m *Mailing) { m.To = " " }, ErrMissingField},
		"no address":    {func(m *Mailing) { m.Message.Address = "" }, ErrMissingField},
		"no sheet":      {func(m *Mailing) { m.Sheet = Object{} }, ErrMissingField},
		"sheet outside": {func(m *Mailing) { m.Plain = vaulted("x") }, ErrInvalidField},
		"not filed":     {func(m *Mailing) { m.Of = []int64{early.ID} }, ErrStepOrder},
	} {
		m := whole()
		c.change(&m)
		if _, err := b.Mail(t.Context(), operator, 2026, []Mailing{m}, ""); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := mailingOf(2, "kepala-dinas", b.mail(mailingOf(1, "pemohon", sent.ID))[0].ID)
	if _, err := b.Mail(t.Context(), operator, 2026, []Mailing{m}, ""); !errors.Is(err, ErrStepOrder) {
		t.Errorf("of a report: %v", err)
	}
	if _, err := b.Register(t.Context(), operator, Registration{Book: Laporan, Letter: openLetter()}); !errors.Is(err, ErrClassBook) {
		t.Errorf("a letter in book laporan: %v", err)
	}
	b.clean()
}

// Wherever an entry can be reported, every step leaves it so: a report that is
// accepted later can always be recorded.
func TestReportableStaysReportable(t *testing.T) {
	t.Parallel()
	checked := 0
	for book, table := range steps {
		for _, m := range table[StepReport] {
			for _, moves := range table {
				for _, next := range moves {
					if next.from != m.from {
						continue
					}
					for _, to := range []State{next.to, next.other} {
						if to != "" {
							checked++
							if !Allowed(book, StepReport, to) {
								t.Errorf("%s: %s → %s cannot be reported", book, m.from, to)
							}
						}
					}
				}
			}
		}
	}
	if checked < 8 {
		t.Errorf("only %d moves checked", checked)
	}
}

func TestApplicantHasAnAddress(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	ctx := t.Context()
	p := Applicant{Handle: "utara", Unit: "Kecamatan Utara", Contact: "ext. 3", Email: "utara@contoh.test"}
	b.must(b.AddApplicant(ctx, operator, p))
	for _, bad := range []string{"utara", "Utara <utara@contoh.test>", "utara@contoh.test\nBcc: x@y.test"} {
		p.Email = bad
		if err := b.ChangeApplicant(ctx, operator, p); !errors.Is(err, ErrInvalidField) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	p.Email = "kec.utara@contoh.test"
	b.must(b.ChangeApplicant(ctx, operator, p))
	list, err := b.Applicants(ctx)
	b.must(err)
	p.ID = list[1].ID
	want := []Applicant{{ID: list[0].ID, Handle: "umum", Unit: "Bagian Umum Setda", Contact: "ext. 12"}, p}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Error(diff)
	}
	b.clean()
}

func TestGapAmongReportsIsFound(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e := b.at(Surat, StateArchived)
	b.mail(mailingOf(1, "kepala-dinas", e.ID), mailingOf(2, "pemohon", e.ID))
	b.sql("DELETE FROM entry WHERE book='laporan' AND serial=1")
	r, err := b.Verify(t.Context(), nil)
	b.must(err)
	kinds := map[string]bool{}
	for _, p := range r.Problems {
		kinds[p.Kind] = true
	}
	if !kinds["gap"] || !kinds["index"] {
		t.Errorf("problems %+v", r.Problems)
	}
	other, err := Open(t.Context(), b.path, Options{Now: b.clock.Now, ReadOnly: true})
	if !errors.Is(err, ErrTampered) {
		t.Errorf("opened: %v", err)
	}
	if other != nil {
		b.must(other.Close())
	}
	b.must(b.Rebuild(t.Context()))
	b.clean()
}

// A report that is mailed waits in the outbox like a letter.
func TestMailedWaitsInTheOutbox(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e := b.mail(mailingOf(1, "kepala-dinas", b.at(Kriptogram, StateSent).ID))[0]
	var state CopyState
	b.must(b.readers.QueryRowContext(t.Context(), "SELECT state FROM outbox WHERE entry=$1 AND copy=1", e.ID).Scan(&state))
	if state != CopyReady {
		t.Errorf("the outbox says %s", state)
	}
}
