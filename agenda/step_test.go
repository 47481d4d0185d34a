package agenda

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var allStates = []State{
	StateRegistered, StateAttached, StateDrafted, StateSigned, StateReleased, StateSent, StateArchived, StateReported, StateVoid,
}

var allSteps = []Step{
	StepOrder, StepAttach, StepCorrect, StepVoid, StepDraft, StepRead, StepReturn, StepSign, StepRelease, StepSend, StepArchive, StepReport,
}

// try takes a step with arguments that are good for it.
func (b *book) try(step Step, e Entry) error {
	ctx := b.t.Context()
	switch step {
	case StepOrder:
		return b.Order(ctx, clerk, e.ID, e.Last, []Order{{From: "kepala-seksi", To: "sandiman"}})
	case StepAttach:
		return b.Attach(ctx, operator, e.ID, e.Last, []Attachment{{Object: vaulted("again"), Pages: 1}})
	case StepCorrect:
		l := e.Letter
		l.Note = "dibetulkan"
		_, err := b.Correct(ctx, clerk, e.ID, e.Last, l, "salah ketik")
		return err
	case StepVoid:
		return b.Void(ctx, clerk, e.ID, e.Last, "dibatalkan", "nota dinas 3")
	case StepDraft:
		return b.Draft(ctx, clerk, e.ID, e.Last, draftOf(e))
	case StepRead:
		return b.MarkRead(ctx, headman, e.ID, e.Draft, "desk")
	case StepReturn:
		return b.Return(ctx, headman, e.ID, e.Last, ReturnRecord{Draft: e.Draft, Text: data("return"), Signature: data("sig"), Reason: "tujuan salah"})
	case StepSign:
		s := SignatureRecord{Mode: "wet", Scan: vaulted("wet"), Via: "desk"}
		if e.Drafted != nil {
			s.Manifest = e.Drafted.Manifest
		}
		return b.Sign(ctx, headman, e.ID, e.Last, s)
	case StepRelease:
		r := Release{Copies: b.frozenOf(e)}
		if e.Name.Book == Kriptogram {
			r.Number = b.propose()
		}
		return b.Release(ctx, clerk, e.ID, e.Last, r)
	case StepSend:
		_, err := b.Resolve(ctx, clerk, CopyRef{e.ID, 1}, Resolution{To: CopyHanded, Route: "manual"})
		return err
	case StepArchive:
		return b.Archive(ctx, clerk, e.ID, e.Last, ArchiveRecord{Box: "2026/x.mbox"})
	case StepReport:
		return b.Report(ctx, clerk, []int64{e.ID}, ReportRecord{Kind: "result", To: "x", Object: data("r")}, nil)
	}
	return fmt.Errorf("no step %s", step)
}

// TestStepTable tries every step in every state of both books against the
// order of the standards, written here a second time on purpose.
func TestStepTable(t *testing.T) {
	t.Parallel()
	type table map[Step][]State
	want := map[BookName]table{
		Kriptogram: {
			StepOrder:   {StateRegistered},
			StepCorrect: {StateRegistered, StateDrafted, StateSigned},
			StepVoid:    {StateRegistered, StateDrafted, StateSigned, StateReleased},
			StepDraft:   {StateRegistered, StateDrafted, StateSigned},
			StepRead:    {StateDrafted},
			StepReturn:  {StateDrafted, StateSigned},
			StepSign:    {StateDrafted},
			StepRelease: {StateSigned},
			StepSend:    {StateReleased},
			StepArchive: {StateSent, StateReported},
			StepReport:  {StateSent, StateArchived, StateReported},
		},
		Surat: {
			StepOrder:   {StateRegistered, StateAttached, StateReleased, StateSent, StateArchived, StateReported},
			StepAttach:  {StateRegistered, StateAttached},
			StepCorrect: {StateRegistered, StateAttached},
			StepVoid:    {StateRegistered, StateAttached, StateReleased},
			StepRelease: {StateAttached},
			StepSend:    {StateReleased},
			StepArchive: {StateSent},
			StepReport:  {StateArchived, StateReported},
		},
	}
	b := newPeopledBook(t)
	for name, rows := range want {
		for _, state := range allStates {
			if (state == StateAttached && name == Kriptogram) || ((state == StateDrafted || state == StateSigned) && name == Surat) {
				continue
			}
			for _, step := range allSteps {
				e := b.at(name, state)
				if name == Kriptogram && state == StateReported && step == StepArchive {
					e = b.report(b.at(Kriptogram, StateSent), true)
				}
				if e.State != state {
					t.Fatalf("entry is %s, want %s", e.State, state)
				}
				err := b.try(step, e)
				if slices.Contains(rows[step], state) {
					if err != nil {
						t.Errorf("%s %s in %s: %v", name, step, state, err)
					}
					continue
				}
				code := "agenda.step_order"
				if step == StepAttach && name == Kriptogram {
					code = "agenda.closed_letter"
				}
				if step == StepVoid && slices.Contains([]State{StateSent, StateArchived, StateReported}, state) {
					code = "agenda.void_refused"
				}
				if codeOf(err) != code {
					t.Errorf("%s %s in %s: %v, want %s", name, step, state, err, code)
				}
				if after := b.entry(e.ID); after.Last != e.Last || after.State != e.State {
					t.Errorf("%s %s in %s: refused, but the entry changed", name, step, state)
				}
			}
		}
	}
	b.clean()
}

func TestWantedStep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		book BookName
		step Step
		from State
		want Step
	}{
		{Kriptogram, StepSign, StateRegistered, StepDraft},
		{Kriptogram, StepRelease, StateDrafted, StepSign},
		{Kriptogram, StepArchive, StateReleased, StepSend},
		{Kriptogram, StepReport, StateRegistered, StepDraft},
		{Kriptogram, StepSign, StateSent, ""},
		{Kriptogram, StepDraft, StateVoid, ""},
		{Surat, StepRelease, StateRegistered, StepAttach},
		{Surat, StepReport, StateSent, StepArchive},
		{Surat, StepAttach, StateSent, ""},
	} {
		if got := wanted(c.book, c.step, c.from); got != c.want {
			t.Errorf("%s %s from %s: %q, want %q", c.book, c.step, c.from, got, c.want)
		}
	}
}

func TestDraftNeedsOrder(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e := b.register(secretLetter())
	err := b.Draft(t.Context(), clerk, e.ID, e.Last, draftOf(e))
	var own *Error
	if !errors.As(err, &own) || own.Code() != "agenda.step_order" || own.Want != StepOrder || own.Entry != e.Name {
		t.Errorf("%+v", err)
	}
}

// TestCompareAndSwap lets somebody else change the entry between reading and
// writing, for every step that takes last.
func TestCompareAndSwap(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	for _, c := range []struct {
		book  BookName
		step  Step
		state State
	}{
		{Kriptogram, StepCorrect, StateRegistered},
		{Kriptogram, StepVoid, StateRegistered},
		{Kriptogram, StepDraft, StateRegistered},
		{Kriptogram, StepReturn, StateDrafted},
		{Kriptogram, StepSign, StateDrafted},
		{Kriptogram, StepRelease, StateSigned},
		{Kriptogram, StepArchive, StateSent},
		{Surat, StepAttach, StateRegistered},
	} {
		e := b.at(c.book, c.state)
		stale := e
		stale.Last = e.Last - 1
		if err := b.try(c.step, stale); codeOf(err) != "agenda.changed" {
			t.Errorf("%s: %v", c.step, err)
		}
		if err := b.try(c.step, e); err != nil {
			t.Errorf("%s: %v", c.step, err)
		}
	}
	b.clean()
}

func TestRecordsAreReadBack(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	at := b.clock.Now()
	e := b.order(b.register(secretLetter()))
	letter := secretLetter()
	letter.Applicant = "Bagian Umum Setda"
	if diff := cmp.Diff(letter, e.Letter); diff != "" {
		t.Errorf("letter: %s", diff)
	}
	b.must(b.Draft(t.Context(), clerk, e.ID, e.Last, draftOf(e)))
	packet, err := b.ReviewPacket(t.Context(), e.ID)
	if err != nil || string(packet) != string(draftOf(e).Review) {
		t.Errorf("review packet %q, %v", packet, err)
	}
	b.must(b.MarkRead(t.Context(), headman, e.ID, 1, "media"))
	want := e
	want.State, want.Draft = StateDrafted, 1
	draft := draftOf(e)
	draft.Review, draft.At, draft.Actor, draft.Seq = nil, at, "sandiman", e.Last+1
	want.Drafted, want.Last = &draft, e.Last+2
	want.Read = &ReadRecord{Draft: 1, Via: "media", At: at, Actor: "kasi", Seq: e.Last + 2}
	e = b.entry(e.ID)
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("drafted: %s", diff)
	}
	e = b.sign(e)
	signature := signatureOf(e)
	signature.At, signature.Actor, signature.Seq = at, "kasi", e.Last
	if diff := cmp.Diff(&signature, e.Signed); diff != "" {
		t.Errorf("signed: %s", diff)
	}
	if _, err := b.ReviewPacket(t.Context(), e.ID); codeOf(err) != "agenda.not_found" {
		t.Errorf("review packet after the signature: %v", err)
	}
	back := ReturnRecord{Draft: 1, Text: data("kembali"), Signature: data("tanda"), Reason: "tujuan salah"}
	b.must(b.Return(t.Context(), headman, e.ID, e.Last, back))
	e = b.entry(e.ID)
	back.At, back.Actor, back.Seq = at, "kasi", e.Last
	if diff := cmp.Diff(&back, e.Returned); diff != "" || e.Signed != nil || e.State != StateRegistered {
		t.Errorf("returned: %s %v %s", diff, e.Signed, e.State)
	}
	e = b.release(b.sign(b.draft(e)))
	if e.Draft != 2 || e.Returned != nil {
		t.Errorf("draft %d, returned %v", e.Draft, e.Returned)
	}
	e = b.archive(b.send(e))
	wantCopy := Copy{
		Copy: 3, Kind: KindCc, Correspondent: e.Copies[2].Correspondent, Handle: "tegal", State: CopyAccepted,
		Message: vaulted("message K1/2026 3").SHA256, Size: vaulted("message K1/2026 3").Size, MessageID: "<K1.3@contoh.test>",
		Address: "tegal@contoh.test", SettledAt: at, Attempts: 1, LastReply: "250 2.0.0 OK", QueueID: "4XyZ", Route: "smtp",
		Box: "2026/kriptogram.mbox", Offset: 3000, Length: 900,
	}
	if diff := cmp.Diff(wantCopy, e.Copies[2]); diff != "" {
		t.Errorf("copy: %s", diff)
	}
	e = b.report(e, false)
	if e.State != StateArchived || len(e.Reports) != 1 || e.Reports[0].To != "kepala-dinas" || string(e.Reports[0].Object.Data) != "report of K1/2026" {
		t.Errorf("report: %s %+v", e.State, e.Reports)
	}
	if e.RegisteredBy != "sandiman" || len(e.Orders) != 2 || e.Orders[0].Text != "laksanakan" || e.Archived.Copies[1] != (ArchivedCopy{2, 2000, 900}) {
		t.Errorf("records: %q %+v %+v", e.RegisteredBy, e.Orders, e.Archived)
	}
	b.clean()
}

func TestSignRefusesOnePerson(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e := b.at(Kriptogram, StateDrafted)
	s := signatureOf(e)
	if err := b.Sign(t.Context(), clerk, e.ID, e.Last, s); codeOf(err) != "agenda.same_person" {
		t.Errorf("same officer: %v", err)
	}
	s.Key = fingerprint(100)
	if err := b.Sign(t.Context(), headman, e.ID, e.Last, s); codeOf(err) != "agenda.same_person" {
		t.Errorf("same key: %v", err)
	}
	s = signatureOf(e)
	s.Manifest[0] ^= 1
	if err := b.Sign(t.Context(), headman, e.ID, e.Last, s); codeOf(err) != "agenda.changed" {
		t.Errorf("other draft: %v", err)
	}
	s = SignatureRecord{Mode: "wet", Manifest: e.Drafted.Manifest}
	if err := b.Sign(t.Context(), clerk, e.ID, e.Last, s); codeOf(err) != "agenda.missing_field" {
		t.Errorf("wet without scan: %v", err)
	}
	s.Scan = vaulted("scan")
	if err := b.Sign(t.Context(), clerk, e.ID, e.Last, s); err != nil {
		t.Errorf("wet, recorded by the clerk: %v", err)
	}
}

func TestDraftNeedsConfirmedKeys(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	c, err := b.Correspondent(t.Context(), "batang")
	b.must(err)
	c.Subkey, c.State = fingerprint(999), ""
	b.must(b.ChangeCorrespondent(t.Context(), clerk, c, "kunci baru"))
	e := b.order(b.register(secretLetter()))
	err = b.Draft(t.Context(), clerk, e.ID, e.Last, draftOf(e))
	var own *Error
	if !errors.As(err, &own) || own.Code() != "agenda.unconfirmed" || own.Value != "batang" {
		t.Errorf("%+v", err)
	}
	b.must(b.ConfirmCorrespondent(t.Context(), clerk, "batang", c.Fingerprint, "kasi", "telepon"))
	b.draft(e)
	b.clean()
}

func TestCorrect(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e := b.at(Kriptogram, StateSigned)
	was := e.Letter
	light := was
	light.Subject = "Perihal yang dibetulkan"
	got, err := b.Correct(t.Context(), clerk, e.ID, e.Last, light, "salah ketik")
	b.must(err)
	if diff := cmp.Diff(light, got.Letter); diff != "" || got.State != StateSigned || got.Signed == nil {
		t.Errorf("light correction: %s %s", got.State, diff)
	}
	heavy := light
	heavy.To, heavy.Cc, heavy.Class = []string{"tegal"}, nil, ClassTerbatas
	got, err = b.Correct(t.Context(), clerk, e.ID, got.Last, heavy, "tujuan salah")
	b.must(err)
	if diff := cmp.Diff(heavy, got.Letter); diff != "" || got.State != StateRegistered || got.Signed != nil || len(got.Copies) != 1 {
		t.Errorf("heavy correction: %s %d %s", got.State, len(got.Copies), diff)
	}
	wantOld := []Letter{was, light}
	for i, c := range got.Corrections {
		if diff := cmp.Diff(wantOld[i], c.Was); diff != "" {
			t.Errorf("correction %d: %s", i, diff)
		}
	}
	if got.Corrections[1].Reason != "tujuan salah" {
		t.Errorf("reason %q", got.Corrections[1].Reason)
	}
	crossed := heavy
	crossed.Class = ClassBiasa
	if _, err := b.Correct(t.Context(), clerk, e.ID, got.Last, crossed, "turun"); codeOf(err) != "agenda.class_book" {
		t.Errorf("class across the books: %v", err)
	}
	unknown := heavy
	unknown.To = []string{"siapa"}
	if _, err := b.Correct(t.Context(), clerk, e.ID, got.Last, unknown, "x"); codeOf(err) != "agenda.unknown_correspondent" {
		t.Errorf("unknown addressee: %v", err)
	}
	b.clean()
}

func TestVoidRefusedOnceOut(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	for _, c := range []struct {
		name string
		put  func(CopyRef)
		code string
	}{
		{"ready", func(CopyRef) {}, ""},
		{"claimed", func(r CopyRef) { _, err := b.Claim(t.Context(), []CopyRef{r}); b.must(err) }, "agenda.void_refused"},
		{"armed", b.claimArm, "agenda.void_refused"},
		{"deferred", func(r CopyRef) { b.claimArm(r); b.must(b.Defer(t.Context(), r, b.clock.Now(), "451", nil)) }, ""},
		{"rejected", func(r CopyRef) { b.deliver(r, CopyRejected) }, ""},
		{"accepted", func(r CopyRef) { b.deliver(r, CopyAccepted) }, "agenda.void_refused"},
		{"doubt", func(r CopyRef) { b.deliver(r, CopyDoubt) }, "agenda.void_refused"},
		{"handed", func(r CopyRef) {
			_, err := b.Resolve(t.Context(), clerk, r, Resolution{To: CopyHanded})
			b.must(err)
		}, "agenda.void_refused"},
	} {
		e := b.at(Kriptogram, StateReleased)
		c.put(CopyRef{e.ID, 2})
		e = b.entry(e.ID)
		if err := b.Void(t.Context(), clerk, e.ID, e.Last, "batal", "nota"); codeOf(err) != c.code {
			t.Errorf("%s: %v, want %q", c.name, err, c.code)
		}
		if c.code == "" {
			if ready, err := b.Ready(t.Context(), b.clock.Now(), []Name{e.Name}, true); err != nil || len(ready) != 0 {
				t.Errorf("%s: void, but ready %v, %v", c.name, ready, err)
			}
		}
	}
	b.clean()
}

func TestArchiveAndReportInEitherOrder(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e := b.archive(b.report(b.at(Kriptogram, StateSent), true))
	if e.State != StateReported || e.Archived == nil {
		t.Errorf("%s %v", e.State, e.Archived)
	}
	if err := b.try(StepArchive, e); codeOf(err) != "agenda.step_order" {
		t.Errorf("archived twice: %v", err)
	}
	e = b.report(b.report(b.at(Kriptogram, StateArchived), false), true)
	if e.State != StateReported || len(e.Reports) != 2 {
		t.Errorf("%s %d", e.State, len(e.Reports))
	}
	b.clean()
}

func TestAttachReplaces(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e := b.attach(b.register(openLetter()))
	b.must(b.Attach(t.Context(), operator, e.ID, e.Last, []Attachment{
		{Object: vaulted("page 1"), Pages: 1}, {Object: vaulted("page 2"), Pages: 4},
	}))
	e = b.entry(e.ID)
	if len(e.Attachments) != 2 || e.Attachments[0].Object.SHA256 != vaulted("page 1").SHA256 || e.Attachments[1].Pages != 4 {
		t.Errorf("%+v", e.Attachments)
	}
	b.clean()
}

func TestHistory(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e := b.at(Kriptogram, StateSigned)
	events, err := b.History(t.Context(), e.ID)
	b.must(err)
	var types []string
	for _, ev := range events {
		types = append(types, ev.Type)
	}
	want := []string{"entry.registered", "entry.ordered", "entry.ordered", "entry.drafted", "entry.signed"}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Error(diff)
	}
	first := events[0].Fields[:6]
	wantFirst := []Line{{"user", "budi"}, {"host", "ws1"}, {"book", "kriptogram"}, {"year", "2026"}, {"serial", "1"}, {"class", "rahasia"}}
	if diff := cmp.Diff(wantFirst, first); diff != "" {
		t.Error(diff)
	}
	// The text of a destroyed event shows as such, and the log still hashes.
	b.sql("INSERT INTO meta(name, value) VALUES('destroying', 'x'); DELETE FROM text WHERE seq=" + fmt.Sprint(e.ID) + "; DELETE FROM meta WHERE name='destroying'")
	events, err = b.History(t.Context(), e.ID)
	b.must(err)
	if got := events[0].Fields[5]; got != (Line{"class", Destroyed}) {
		t.Errorf("destroyed field %v", got)
	}
}

// sql runs statements as somebody with the file would.
func (b *book) sql(script string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.conn.ExecContext(b.t.Context(), script); err != nil {
		b.t.Fatal(err)
	}
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	for _, c := range []struct {
		name   string
		book   BookName
		change func(*Letter)
		code   string
		field  string
	}{
		{"no class", "", func(l *Letter) { l.Class = "" }, "agenda.missing_field", "class"},
		{"odd class", "", func(l *Letter) { l.Class = "SR" }, "agenda.invalid_field", "class"},
		{"no urgency", "", func(l *Letter) { l.Urgency = "" }, "agenda.missing_field", "urgency"},
		{"other book", Surat, func(*Letter) {}, "agenda.class_book", "class"},
		{"odd book", "lain", func(*Letter) {}, "agenda.invalid_field", "book"},
		{"no subject", "", func(l *Letter) { l.Subject = " " }, "agenda.missing_field", "subject"},
		{"no applicant", "", func(l *Letter) { l.Applicant = "" }, "agenda.missing_field", "applicant"},
		{"no number", "", func(l *Letter) { l.Number = "" }, "agenda.missing_field", "letter"},
		{"no date", "", func(l *Letter) { l.Date = "" }, "agenda.missing_field", "letter-date"},
		{"odd date", "", func(l *Letter) { l.Date = "2026-02-30" }, "agenda.invalid_field", "letter-date"},
		{"nobody", "", func(l *Letter) { l.To = nil }, "agenda.missing_field", "to"},
		{"twice", "", func(l *Letter) { l.Cc = []string{"jateng"} }, "agenda.recipient_twice", "cc"},
		{"unknown", "", func(l *Letter) { l.To = []string{"siapa"} }, "agenda.unknown_correspondent", "to"},
		{"unknown applicant", "", func(l *Letter) { l.Applicant = "siapa" }, "agenda.unknown_applicant", "applicant"},
		{"retraction of nothing", "", func(l *Letter) { l.Refers, l.Retracts = "", "salah alamat" }, "agenda.missing_field", "refers"},
		{"odd reference", "", func(l *Letter) { l.Refers = "K1" }, "agenda.invalid_field", "refers"},
		{"too long", "", func(l *Letter) { l.Note = string(make([]byte, maxField+1)) }, "agenda.long_field", "note"},
	} {
		l := secretLetter()
		c.change(&l)
		good := Registration{Letter: secretLetter()}
		_, err := b.Register(t.Context(), clerk, good, Registration{Book: c.book, Letter: l})
		var own *Error
		if !errors.As(err, &own) || own.Code() != c.code || own.Field != c.field {
			t.Errorf("%s: %+v", c.name, err)
		}
	}
	if entries, err := b.List(t.Context(), Filter{}); err != nil || len(entries) != 0 {
		t.Errorf("refused, but %d entries, %v", len(entries), err)
	}
	if _, err := b.Register(t.Context(), Actor{Handle: "Bukan Petugas"}, Registration{Letter: secretLetter()}); codeOf(err) != "agenda.invalid_field" {
		t.Errorf("actor: %v", err)
	}
	b.clean()
}

func TestOnce(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	reg := Registration{Letter: secretLetter(), Once: "token-1"}
	first, err := b.Register(t.Context(), clerk, reg)
	b.must(err)
	b.clock.add(time.Hour)
	again, err := b.Register(t.Context(), clerk, reg, Registration{Letter: openLetter(), Once: "token-2"}, Registration{Letter: openLetter(), Once: "token-2"})
	b.must(err)
	want := first[0]
	want.Existed = true
	if diff := cmp.Diff(want, again[0]); diff != "" {
		t.Error(diff)
	}
	if again[1].Existed || !again[2].Existed || again[1].ID != again[2].ID {
		t.Errorf("%+v", again)
	}
	// Another letter under the token would pass for the first, and be lost.
	other := reg
	other.Letter.Number = "800/9999"
	if _, err := b.Register(t.Context(), clerk, other); !errors.Is(err, ErrOnceOther) {
		t.Errorf("another letter: %v", err)
	}
	b.clean()
}
