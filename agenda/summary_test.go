package agenda

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func direct(text string) Complaint {
	return Complaint{Channel: ComplaintDirect, Complainant: "Kecamatan Utara", Text: text}
}

func TestComplaintsGoTheirWay(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	ctx := t.Context()
	e := b.register(openLetter())
	start := b.clock.Now()
	first := Complaint{
		Channel: ComplaintIndirect, Via: "telepon", Service: Surat, Concerns: "s1", Received: start.Add(-time.Hour),
		Complainant: "Bagian Umum", Contact: "ext. 12", Text: "surat belum\nsampai",
	}
	p1, err := b.AddComplaint(ctx, operator, first)
	b.must(err)
	p2, err := b.AddComplaint(ctx, operator, direct("loket tutup"))
	b.must(err)
	if p1.Name() != "P1" || p2.Name() != "P2" || p1.Concerns != e.Name.Long() {
		t.Errorf("got %s, %s, %q", p1.Name(), p2.Name(), p1.Concerns)
	}
	b.clock.add(time.Hour)
	b.must(b.AnswerComplaint(ctx, operator, p1.ID, time.Time{}, "sedang dicari"))
	b.clock.add(time.Hour)
	b.must(b.PassComplaint(ctx, operator, p1.ID, start.Add(90*time.Minute), "Kepala Bidang", "bukan wewenang petugas"))
	b.must(b.AnswerComplaint(ctx, operator, p1.ID, time.Time{}, "diteruskan"))
	b.must(b.CloseComplaint(ctx, operator, p1.ID, time.Time{}, "dikirim kembali"))

	got, err := b.Complaint(ctx, 2026, 1)
	b.must(err)
	end := start.Add(2 * time.Hour)
	want := first
	want.ID, want.Year, want.Serial, want.Concerns, want.State = p1.ID, 2026, 1, "S1/2026", ComplaintClosed
	want.AnsweredAt, want.PassedAt, want.ClosedAt = start.Add(time.Hour), start.Add(90*time.Minute), end
	want.RegisteredAt, want.RegisteredBy = start, "operator"
	want.Steps = []ComplaintStep{
		{To: ComplaintAnswered, Kind: ComplaintAnswered, At: start.Add(time.Hour), Text: "sedang dicari", RecordedAt: start.Add(time.Hour), Actor: "operator"},
		{To: ComplaintPassed, Kind: ComplaintPassed, At: start.Add(90 * time.Minute), Text: "bukan wewenang petugas", Recipient: "Kepala Bidang", RecordedAt: end, Actor: "operator"},
		{To: ComplaintPassed, Kind: ComplaintAnswered, At: end, Text: "diteruskan", RecordedAt: end, Actor: "operator"},
		{To: ComplaintClosed, Kind: ComplaintClosed, At: end, Text: "dikirim kembali", RecordedAt: end, Actor: "operator"},
	}
	for i := range got.Steps {
		got.Steps[i].Seq = 0
	}
	want.Last = got.Last
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name, err := range map[string]error{
		"answer": b.AnswerComplaint(ctx, operator, p1.ID, time.Time{}, "x"),
		"close":  b.CloseComplaint(ctx, operator, p1.ID, time.Time{}, "x"),
		"pass":   b.PassComplaint(ctx, operator, p1.ID, time.Time{}, "x", "x"),
	} {
		if !errors.Is(err, ErrComplaintClosed) {
			t.Errorf("%s after the close: %v", name, err)
		}
	}
	open, err := b.Complaints(ctx, ComplaintFilter{Year: 2026, Open: true})
	b.must(err)
	all, err := b.Complaints(ctx, ComplaintFilter{From: start.Add(-2 * time.Hour), Until: start.Add(time.Minute)})
	b.must(err)
	if len(open) != 1 || open[0].Name() != "P2" || len(all) != 2 || open[0].Text != "loket tutup" {
		t.Errorf("open %+v, all %d", open, len(all))
	}
	b.whole()
}

func TestComplaintsRefused(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	ctx := t.Context()
	p, err := b.AddComplaint(ctx, operator, direct("x"))
	b.must(err)
	add := func(change func(*Complaint)) error {
		c := direct("x")
		change(&c)
		_, err := b.AddComplaint(ctx, operator, c)
		return err
	}
	_, none := b.Complaint(ctx, 2026, 9)
	for name, tt := range map[string]struct{ got, want error }{
		"channel":     {add(func(c *Complaint) { c.Channel = "surat" }), ErrInvalidField},
		"service":     {add(func(c *Complaint) { c.Service = "x" }), ErrInvalidField},
		"nobody":      {add(func(c *Complaint) { c.Complainant = " " }), ErrMissingField},
		"nothing":     {add(func(c *Complaint) { c.Text = "" }), ErrMissingField},
		"no such":     {add(func(c *Complaint) { c.Concerns = "S9" }), ErrNotFound},
		"bad name":    {add(func(c *Complaint) { c.Concerns = "X9" }), ErrInvalidField},
		"tomorrow":    {add(func(c *Complaint) { c.Received = b.clock.Now().Add(time.Hour) }), ErrInvalidField},
		"unknown":     {none, ErrNotFound},
		"unknown id":  {b.CloseComplaint(ctx, operator, 9999, time.Time{}, "x"), ErrNotFound},
		"no answer":   {b.AnswerComplaint(ctx, operator, p.ID, time.Time{}, " "), ErrMissingField},
		"to nobody":   {b.PassComplaint(ctx, operator, p.ID, time.Time{}, "", "x"), ErrMissingField},
		"too early":   {b.CloseComplaint(ctx, operator, p.ID, b.clock.Now().Add(-time.Hour), "x"), ErrInvalidField},
		"in future":   {b.CloseComplaint(ctx, operator, p.ID, b.clock.Now().Add(time.Hour), "x"), ErrInvalidField},
		"no solution": {b.CloseComplaint(ctx, operator, p.ID, time.Time{}, ""), ErrMissingField},
	} {
		if !errors.Is(tt.got, tt.want) {
			t.Errorf("%s: %v, want %v", name, tt.got, tt.want)
		}
	}
	for _, s := range []string{"", "P", "P0", "K1", "P01", "P1/20", "P-1"} {
		if n, _, err := ParseComplaint(s, 2026); err == nil {
			t.Errorf("%q is %d", s, n)
		}
	}
	if n, year, err := ParseComplaint(" p12/2025 ", 2026); n != 12 || year != 2025 || err != nil {
		t.Error(n, year, err)
	}
	list, err := b.Complaints(ctx, ComplaintFilter{})
	if b.must(err); len(list) != 1 {
		t.Errorf("%d complaints after refusals", len(list))
	}
}

// whole verifies the book: the index agrees with the log, and so does a
// rebuilt one.
func (b *book) whole() {
	b.t.Helper()
	if got := b.kinds(); got != "" {
		b.t.Errorf("verify found %q", got)
	}
	before := b.dump()
	b.must(b.Rebuild(b.t.Context()))
	if diff := cmp.Diff(before, b.dump()); diff != "" {
		b.t.Error(diff)
	}
}

func TestTimingsOfAPeriod(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	ctx := t.Context()
	var want []Timing
	start := b.clock.Now()
	var moments []time.Time
	for i := range 40 {
		l := openLetter()
		if i%3 == 0 {
			l = secretLetter()
		}
		b.clock.add(time.Duration(i%5) * 7 * time.Hour)
		e := b.register(l)
		w := Timing{ID: e.ID, Name: e.Name, Class: l.Class, Urgency: l.Urgency, State: e.State, Received: l.Received, Registered: e.RegisteredAt}
		if w.Received.IsZero() {
			w.Received = e.RegisteredAt
		}
		want, moments = append(want, w), append(moments, e.RegisteredAt)
	}
	sent := b.at(Surat, StateSent)
	want = append(want, Timing{ID: sent.ID, Name: sent.Name, Class: ClassBiasa, Urgency: UrgencyBiasa, State: StateSent, Registered: sent.RegisteredAt, Received: sent.RegisteredAt, Sent: sent.SentAt})
	moments = append(moments, sent.RegisteredAt)
	for _, p := range [][2]time.Time{
		{}, {start, time.Time{}}, {{}, start}, {start.Add(100 * time.Hour), start.Add(300 * time.Hour)}, {start.Add(14 * time.Hour), start.Add(14 * time.Hour)},
	} {
		s, err := b.Span(ctx, p[0], p[1])
		b.must(err)
		var got, expected []Timing
		b.must(b.Timings(ctx, s, func(x Timing) error { got = append(got, x); return nil }))
		for i, w := range want {
			if !moments[i].Before(p[0]) && (p[1].IsZero() || moments[i].Before(p[1])) {
				expected = append(expected, w)
			}
		}
		if diff := cmp.Diff(expected, got); diff != "" {
			t.Errorf("%v: %s", p, diff)
		}
		listed, err := b.List(ctx, Filter{From: p[0], Until: p[1]})
		b.must(err)
		if len(listed) != len(expected) {
			t.Errorf("%v: list of %d, want %d", p, len(listed), len(expected))
		}
		spans, err := b.BookSpans(ctx, s)
		b.must(err)
		n := 0
		for _, x := range spans {
			n += x.Entries
			if !x.Whole() {
				t.Errorf("%+v", x)
			}
		}
		if n != len(expected) {
			t.Errorf("%v: %d in spans", p, n)
		}
	}
	before, err := b.CountBefore(ctx, Kriptogram, 2026, moments[9])
	b.must(err)
	if before != (YearCount{Entries: 3}) {
		t.Errorf("before the tenth: %+v", before)
	}
	dest, err := b.Destinations(ctx, Span{After: 1 << 62})
	b.must(err)
	total := 0
	for _, d := range dest {
		total += d.Copies
	}
	if dest[0].Copies < dest[len(dest)-1].Copies || total != 14*3+26*2+len(sent.Copies) {
		t.Errorf("destinations %+v", dest)
	}
}

func TestTroubles(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	ctx := t.Context()
	start := b.clock.Now()
	e := b.at(Kriptogram, StateReleased)
	b.deliver(CopyRef{e.ID, 1}, CopyRejected)
	b.deliver(CopyRef{e.ID, 2}, CopyDoubt)
	_, err := b.Resolve(ctx, clerk, CopyRef{e.ID, 2}, Resolution{To: CopyReady, Reason: "belum ada"})
	b.must(err)
	d := b.at(Kriptogram, StateDrafted)
	b.must(b.Return(ctx, headman, d.ID, d.Last, ReturnRecord{Draft: 1, Text: data("return"), Signature: data("sig"), Reason: "tujuan"}))
	b.must(b.RecordOutage(ctx, operator, start.Add(-time.Hour), start, "tidak menjawab"))
	b.must(b.Explain(ctx, clerk, e.ID, "server terputus"))
	b.must(b.Explain(ctx, clerk, e.ID, "server Sanapati terputus"))
	if err := b.Explain(ctx, clerk, 99999, "x"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if err := b.RecordOutage(ctx, operator, start, start.Add(-1), ""); !errors.Is(err, ErrInvalidField) {
		t.Error(err)
	}
	got, err := b.Troubles(ctx, start.Add(-2*time.Hour), start.Add(time.Hour))
	b.must(err)
	for i := range got {
		got[i].Seq, got[i].At = 0, time.Time{}
	}
	want := []Trouble{
		{Kind: TroubleRejected, Entry: e.ID, Copy: 1},
		{Kind: TroubleDoubted, Entry: e.ID, Copy: 2},
		{Kind: TroubleResolved, Entry: e.ID, Copy: 2, Outcome: "ready"},
		{Kind: TroubleReturned, Entry: d.ID},
		{Kind: TroubleOutage, Entry: -1, Until: start},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	back := func(at, want time.Time) {
		t.Helper()
		since, err := b.Reachable(ctx, operator, at)
		b.must(err)
		if !since.Equal(want) {
			t.Errorf("unreachable since %v, want %v", since, want)
		}
	}
	back(start, time.Time{}) // nothing was remembered
	b.must(b.Unreachable(ctx, start.Add(time.Minute)))
	b.must(b.Unreachable(ctx, start.Add(2*time.Minute)))
	back(start.Add(10*time.Minute), start.Add(time.Minute))
	back(start.Add(20*time.Minute), time.Time{})
	outages, err := b.Troubles(ctx, start.Add(time.Minute), start.Add(time.Hour))
	b.must(err)
	if len(outages) != 1 || !outages[0].At.Equal(start.Add(time.Minute)) || !outages[0].Until.Equal(start.Add(10*time.Minute)) {
		t.Errorf("outages %+v", outages)
	}
	withdraw := func(by Letter) Entry {
		by.Refers, by.Retracts = e.Name.Long(), "salah alamat"
		return b.register(by)
	}
	withdrawn, voided := withdraw(secretLetter()), withdraw(secretLetter())
	b.must(b.Void(ctx, clerk, voided.ID, voided.Last, "keliru", "Kepala Seksi"))
	only := secretLetter()
	only.Refers, only.Retracts = e.Name.Long(), ""
	b.register(only)
	retractions, err := b.Retractions(ctx)
	b.must(err)
	brief, err := b.Brief(ctx, []int64{withdrawn.ID})
	b.must(err)
	if diff := cmp.Diff(map[Name][]Entry{e.Name: brief}, retractions); diff != "" {
		t.Error(diff)
	}
	if l := retractions[e.Name][0].Letter; l.Retracts != "salah alamat" {
		t.Errorf("withdrawn because of %q", l.Retracts)
	}
	b.must(b.Rebuild(ctx))
	if again, err := b.Retractions(ctx); err != nil || len(again[e.Name]) != 1 {
		t.Errorf("after a rebuild: %v, %v", again, err)
	}
	causes, err := b.Explanations(ctx, Span{After: 1 << 62})
	b.must(err)
	if diff := cmp.Diff(map[int64]string{e.ID: "server Sanapati terputus"}, causes); diff != "" {
		t.Error(diff)
	}
	b.whole()
}

func TestPrintedPagesAndBoundSheets(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	ctx := t.Context()
	b.register(openLetter())
	size, root, err := b.Head(ctx)
	b.must(err)
	none, err := b.LastPrinted(ctx, Surat, 2026)
	if b.must(err); none != (Printed{}) {
		t.Errorf("%+v", none)
	}
	b.must(b.RecordPrint(ctx, operator, PrintRecord{
		Kind: "book-pdf", Filter: "buku surat", Rows: 1, Size: size, Root: root, Pages: []string{"AAAABBBBCCCCDDDD", "EEEEFFFFGGGGHHHH"},
		Book: Surat, Year: 2026, Last: 1, Sheet: 2, Volume: 1,
	}))
	b.must(b.RecordPrint(ctx, operator, PrintRecord{Kind: "book-csv", Rows: 1, Size: size, Root: root}))
	b.must(b.CloseDay(ctx, operator, DayRecord{Date: "2026-11-20", Surat: 1, Open: 1, Size: size, Root: root, Pages: []string{"IIIIJJJJKKKKLLLL"}}))
	p, err := b.Page(ctx, "eeee ffff gggg hhhh")
	b.must(err)
	want := PrintedPage{
		Code: "EEEEFFFFGGGGHHHH", Page: 2, Pages: 2, At: b.clock.Now(), Actor: "operator", Kind: "book-pdf", Filter: "buku surat",
		Rows: 1, Size: size, Root: root, Kept: true,
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	if _, err := b.Page(ctx, "EEEEFFFFGGGGHHHI"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if p, err := b.Page(ctx, "IIIIJJJJKKKKLLLL"); err != nil || p.Kind != "day" || p.Filter != "2026-11-20" {
		t.Errorf("%+v %v", p, err)
	}
	last, err := b.LastPrinted(ctx, Surat, 2026)
	b.must(err)
	if last != (Printed{Last: 1, Sheet: 2, Volume: 1, Size: size}) {
		t.Errorf("%+v", last)
	}
	b.register(openLetter())
	changed, err := b.ChangedSince(ctx, Surat, 2026, 1, size)
	b.must(err)
	if len(changed) != 0 {
		t.Errorf("changed %v", changed)
	}
	e, err := b.Entry(ctx, Name{Surat, 1, 2026})
	b.must(err)
	b.must(b.Void(ctx, operator, e.ID, e.Last, "dua kali", "Kepala Seksi"))
	if changed, err = b.ChangedSince(ctx, Surat, 2026, 1, size); err != nil || len(changed) != 1 {
		t.Errorf("changed %v %v", changed, err)
	}
	day, err := b.ClosedDay(ctx, "2026-11-20")
	b.must(err)
	if day.Surat != 1 || day.Open != 1 || day.Root != root {
		t.Errorf("%+v", day)
	}
	if _, err := b.ClosedDay(ctx, "2026-11-21"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	b.whole()
}
