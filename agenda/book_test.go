package agenda

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
)

// crashPath names the variable by which TestKilled tells its child the book.
const crashPath = "SANDI_AGENDA_CRASH_TEST"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashPath); path != "" {
		registerForever(path)
		return
	}
	os.Exit(m.Run())
}

// registerForever is the child that TestKilled kills.
func registerForever(path string) {
	b, err := Open(context.Background(), path, Options{Now: newClock().Now})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for {
		r, err := b.Register(context.Background(), clerk, Registration{Letter: openLetter()})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(r[0].Entry.Long())
	}
}

// TestKilled kills a writing process again and again. What it printed is in
// the book, and the book verifies without a gap.
func TestKilled(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	printed := map[string]bool{}
	for round := range 8 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashPath+"="+b.path)
		out, err := child.StdoutPipe()
		b.must(err)
		b.must(child.Start())
		lines := bufio.NewScanner(out)
		for n := 0; n < 3+7*round && lines.Scan(); n++ {
			if _, err := ParseName(lines.Text(), 0); err != nil {
				t.Errorf("child says %q", lines.Text())
			}
			printed[lines.Text()] = true
		}
		b.must(child.Process.Kill())
		for lines.Scan() {
			printed[lines.Text()] = true
		}
		_ = child.Wait() // killed
		again, err := Open(t.Context(), b.path, Options{Now: b.clock.Now})
		b.must(err)
		b.must(again.Close())
	}
	for name := range printed {
		n, err := ParseName(name, 0)
		if err != nil {
			continue // a line cut by the kill
		}
		if _, err := b.Entry(t.Context(), n); err != nil && strings.Contains(name, "/2026") {
			t.Errorf("%s was printed: %v", name, err)
		}
	}
	r := b.clean()
	if int(r.Entries) < len(printed) {
		t.Errorf("%d entries, %d printed", r.Entries, len(printed))
	}
}

// TestNumbersUnderRace numbers entries from 8 goroutines over 4 handles: no
// gap, no double, every loser told.
func TestNumbersUnderRace(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	const each = 6
	handles := []*Book{b.Book}
	for range 3 {
		h, err := Open(t.Context(), b.path, Options{Now: b.clock.Now})
		b.must(err)
		defer h.Close()
		handles = append(handles, h)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			h := &book{Book: handles[g%len(handles)], t: t, clock: b.clock}
			for range each {
				if err := numberOne(h); err != nil {
					t.Errorf("goroutine %d: %v", g, err)
					return
				}
			}
		})
	}
	wg.Wait()
	entries, err := b.List(t.Context(), Filter{Book: Kriptogram})
	b.must(err)
	var serials, numbers []int
	for _, e := range entries {
		serials, numbers = append(serials, e.Name.Serial), append(numbers, e.NumberSeq)
	}
	sort.Ints(numbers)
	for i := range 8 * each {
		if i >= len(serials) || serials[i] != i+1 || numbers[i] != i+1 {
			t.Fatalf("serials %v numbers %v", serials, numbers)
		}
	}
	b.clean()
}

// numberOne brings one entry to release and proposes again when it loses.
func numberOne(b *book) error {
	ctx := b.t.Context()
	r, err := b.Register(ctx, clerk, Registration{Letter: secretLetter()})
	if err != nil {
		return err
	}
	id := r[0].ID
	e, err := b.EntryByID(ctx, id)
	if err != nil {
		return err
	}
	if err := b.Order(ctx, clerk, id, id, []Order{{From: "kasi", To: "sandiman"}}); err != nil {
		return err
	}
	if e, err = b.EntryByID(ctx, id); err != nil {
		return err
	}
	if err := b.Book.Draft(ctx, clerk, id, e.Last, draftOf(e)); err != nil {
		return err
	}
	if e, err = b.EntryByID(ctx, id); err != nil {
		return err
	}
	if err := b.Sign(ctx, headman, id, e.Last, signatureOf(e)); err != nil {
		return err
	}
	if e, err = b.EntryByID(ctx, id); err != nil {
		return err
	}
	for {
		p, err := b.ProposeNumber(ctx, testTemplate, NumberFields{Unit: "DKI"})
		if err != nil {
			return err
		}
		err = b.Release(ctx, clerk, id, e.Last, Release{Number: &p, Copies: b.frozenOf(e)})
		if err == nil || !errors.Is(err, ErrNumberTaken) {
			return err
		}
	}
}

func TestNumberRules(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e := b.at(Kriptogram, StateSigned)
	p := *b.propose()
	want := ProposedNumber{Year: 2026, Seq: 1, Text: "001/DKI/XI/2026", Template: string(testTemplate), Day: "2026-11-20"}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	release := func(p *ProposedNumber) string {
		t.Helper()
		return codeOf(b.Release(t.Context(), clerk, e.ID, e.Last, Release{Number: p, Copies: b.frozenOf(e)}))
	}
	skipped, yesterday := p, p
	skipped.Seq, yesterday.Day = 2, "2026-11-19"
	for _, c := range []struct {
		number *ProposedNumber
		code   string
	}{
		{nil, "agenda.missing_field"},
		{&skipped, "agenda.number_taken"},
		{&yesterday, "agenda.number_taken"},
	} {
		if got := release(c.number); got != c.code {
			t.Errorf("%+v: %s", c.number, got)
		}
	}
	b.clock.add(15 * time.Hour) // past midnight in WIB, same day in UTC + 15h
	if got := release(&p); got != "agenda.number_taken" {
		t.Errorf("number of yesterday: %s", got)
	}
	if got := release(b.propose()); got != "" {
		t.Errorf("number of today: %s", got)
	}
	if _, err := b.ProposeNumber(t.Context(), "{seq}", NumberFields{}); codeOf(err) != "agenda.template_locked" {
		t.Errorf("other template: %v", err)
	}
	second := b.at(Kriptogram, StateSigned)
	other := *b.propose()
	other.Template = "{seq}"
	err := b.Release(t.Context(), clerk, second.ID, second.Last, Release{Number: &other, Copies: b.frozenOf(second)})
	if codeOf(err) != "agenda.template_locked" {
		t.Errorf("release with other template: %v", err)
	}
	b.clean()
}

func TestYearTurnsInWIB(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	b.options.TooFarAhead = func(time.Time, time.Time) bool { return false }
	last := b.at(Kriptogram, StateSigned)
	b.clock.add(time.Date(2026, 12, 31, 16, 59, 59, 0, time.UTC).Sub(b.clock.Now()))
	old := b.register(openLetter())
	b.clock.add(time.Second)
	fresh := b.register(openLetter())
	if old.Name != (Name{Surat, 1, 2026}) || fresh.Name != (Name{Surat, 1, 2027}) {
		t.Errorf("%v %v", old.Name, fresh.Name)
	}
	// An entry of 2026 is numbered by the day of numbering; the template is free in the new year.
	p, err := b.ProposeNumber(t.Context(), "{seq}/{year}", NumberFields{})
	b.must(err)
	b.must(b.Release(t.Context(), clerk, last.ID, last.Last, Release{Number: &p, Copies: b.frozenOf(last)}))
	if e := b.entry(last.ID); e.Number != "1/2027" || e.NumberYear != 2027 {
		t.Errorf("%q %d", e.Number, e.NumberYear)
	}
	r := b.clean()
	want := []BookCheck{{Kriptogram, 2026, 1, 0}, {Surat, 2026, 1, 0}, {Kriptogram, 2027, 0, 1}, {Surat, 2027, 1, 0}}
	if diff := cmp.Diff(want, r.Books); diff != "" {
		t.Error(diff)
	}
}

func TestReleaseRefuses(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	b.at(Kriptogram, StateReleased)
	e := b.at(Kriptogram, StateSigned)
	for name, change := range map[string]func(r *Release){
		"copy missing":    func(r *Release) { r.Copies = r.Copies[:2] },
		"copy twice":      func(r *Release) { r.Copies[1].Copy = 1 },
		"no message":      func(r *Release) { r.Copies[0].Message = Object{} },
		"message in book": func(r *Release) { r.Copies[0].Message = data("x") },
		"no id":           func(r *Release) { r.Copies[0].MessageID = "" },
		"id with blank":   func(r *Release) { r.Copies[0].MessageID = "a b" },
		"id used":         func(r *Release) { r.Copies[0].MessageID = "<K1.1@contoh.test>" },
	} {
		r := Release{Number: b.propose(), Copies: b.frozenOf(e)}
		change(&r)
		if err := b.Release(t.Context(), clerk, e.ID, e.Last, r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if p := b.propose(); p.Seq != 2 {
		t.Errorf("a refusal used a number: next is %d", p.Seq)
	}
	b.clean()
}

func TestClock(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	register := func() (Registered, string) {
		r, err := b.Register(t.Context(), clerk, Registration{Letter: openLetter()})
		if err != nil {
			return Registered{}, codeOf(err)
		}
		return r[0], ""
	}
	start := b.clock.Now()
	b.clock.add(-4 * time.Minute)
	if r, code := register(); code != "" || !r.At.Equal(start) {
		t.Errorf("clock 4 minutes behind: %s %s", r.At, code)
	}
	b.clock.add(-2 * time.Minute)
	if _, code := register(); code != "agenda.clock_behind" {
		t.Errorf("clock 6 minutes behind: %s", code)
	}
	b.clock.add(6*time.Minute + 5*24*time.Hour) // Friday → Wednesday: 3 working days
	if _, code := register(); code != "" {
		t.Errorf("3 working days ahead: %s", code)
	}
	b.clock.add(6 * 24 * time.Hour) // Wednesday → Tuesday: 4
	if _, code := register(); code != "agenda.clock_ahead" {
		t.Errorf("4 working days ahead: %s", code)
	}
	accepting, err := Open(t.Context(), b.path, Options{Now: b.clock.Now, AcceptClock: "libur panjang"})
	b.must(err)
	defer accepting.Close()
	r, err := accepting.Register(t.Context(), clerk, Registration{Letter: openLetter()})
	b.must(err)
	if !r[0].At.Equal(b.clock.Now()) {
		t.Errorf("stamp %s", r[0].At)
	}
	if _, code := register(); code != "" {
		t.Errorf("after the accepted clock: %s", code)
	}
	last, err := b.Last(t.Context())
	if err != nil || !last.Equal(b.clock.Now()) {
		t.Errorf("last %s, %v", last, err)
	}
	b.clean()
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	b.must(b.Close())
	original, err := os.ReadFile(b.path)
	b.must(err)
	set := func(at int, value byte) []byte {
		c := append([]byte(nil), original...)
		c[at] = value
		return c
	}
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		file []byte
		code string
	}{
		{"newer schema", set(63, schemaVersion+1), "agenda.schema"},
		{"foreign application", set(71, 'x'), "agenda.foreign"},
		{"not a database", []byte(strings.Repeat("surat\n", 100)), "agenda.foreign"},
		{"empty", nil, "agenda.foreign"},
	} {
		path := filepath.Join(dir, strings.ReplaceAll(c.name, " ", "-")+".db")
		b.must(os.WriteFile(path, c.file, 0o600))
		if _, err := Open(t.Context(), path, Options{}); codeOf(err) != c.code {
			t.Errorf("%s: %v", c.name, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != string(c.file) {
			t.Errorf("%s: file touched, %v", c.name, err)
		}
	}
	if _, err := Open(t.Context(), filepath.Join(dir, "absent.db"), Options{}); codeOf(err) != "agenda.storage" {
		t.Errorf("absent: %v", err)
	}
	link := filepath.Join(dir, "link.db")
	if err := os.Symlink(b.path, link); err == nil {
		if _, err := Open(t.Context(), link, Options{}); codeOf(err) != "agenda.storage" {
			t.Errorf("symbolic link: %v", err)
		}
	}
	if _, err := Create(t.Context(), b.path, clerk, testGenesis(), Options{}); codeOf(err) != "agenda.storage" {
		t.Errorf("created over a book: %v", err)
	}
	info, err := os.Stat(b.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	again, err := Open(t.Context(), b.path, Options{Now: b.clock.Now})
	b.must(err)
	b.must(again.Close())
}

func TestOddPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a?b#c%41 d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Skip("file system without such names")
	}
	path := filepath.Join(dir, "agenda.db")
	b, err := Create(t.Context(), path, clerk, testGenesis(), Options{Now: newClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "agenda.db" {
		t.Errorf("%v %v", entries, err)
	}
}

func TestOpenFindsGap(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"serial moved":   "UPDATE entry SET serial=7 WHERE id=%d",
		"entry gone":     "DELETE FROM entry WHERE id<%d AND id>(SELECT min(id) FROM entry)",
		"another year":   "UPDATE entry SET year=2020, serial=2 WHERE id=%d",
		"unknown book":   "UPDATE entry SET book='x' WHERE id=%d",
		"number skipped": "UPDATE entry SET number_seq=2, number='002' WHERE number_seq IS NOT NULL AND id<%d",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newPeopledBook(t)
			b.at(Kriptogram, StateSent)
			b.register(openLetter())
			e := b.register(openLetter())
			open := func() error {
				o, err := Open(t.Context(), b.path, Options{Now: b.clock.Now})
				if err == nil {
					o.Close()
				}
				return err
			}
			b.must(open())
			b.sql(fmt.Sprintf(change, e.ID))
			if err := open(); codeOf(err) != "agenda.tampered" {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e := b.register(openLetter())
	r, err := Open(t.Context(), b.path, Options{Now: b.clock.Now, ReadOnly: true})
	b.must(err)
	defer r.Close()
	if _, err := r.EntryByID(t.Context(), e.ID); err != nil {
		t.Error(err)
	}
	if _, err := r.Register(t.Context(), clerk, Registration{Letter: openLetter()}); codeOf(err) != "agenda.readonly" {
		t.Errorf("%v", err)
	}
	if _, err := r.readers.ExecContext(t.Context(), "DELETE FROM meta"); err == nil {
		t.Error("a reader wrote")
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	other, err := Open(t.Context(), b.path, Options{Now: b.clock.Now})
	b.must(err)
	defer other.Close()
	if _, err := other.conn.ExecContext(t.Context(), "PRAGMA busy_timeout=0"); err != nil {
		t.Fatal(err)
	}
	b.sql("BEGIN IMMEDIATE")
	if _, err := other.Register(t.Context(), clerk, Registration{Letter: openLetter()}); codeOf(err) != "agenda.busy" {
		t.Errorf("%v", err)
	}
	b.sql("ROLLBACK")
	if _, err := other.Register(t.Context(), clerk, Registration{Letter: openLetter()}); err != nil {
		t.Errorf("%v", err)
	}
}

func TestTriggers(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	b.at(Kriptogram, StateReleased)
	for _, statement := range []string{
		"UPDATE event SET record=x'00' WHERE seq=1", "DELETE FROM event WHERE seq=1",
		"UPDATE text SET body=x'00' WHERE seq=1", "DELETE FROM text WHERE seq=1",
		"UPDATE object SET size=1", "DELETE FROM object",
	} {
		if _, err := b.conn.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s: done", statement)
		}
	}
	b.clean()
}

func TestGenesisAndConfig(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	g, err := b.Genesis(t.Context())
	if diff := cmp.Diff(testGenesis(), g); diff != "" || err != nil {
		t.Error(diff, err)
	}
	digest := func() Hash {
		h, err := b.ConfigDigest(t.Context())
		b.must(err)
		return h
	}
	if digest() != testGenesis().Config.SHA256 {
		t.Error("digest of the first configuration")
	}
	size, _, err := b.Head(t.Context())
	b.must(err)
	b.must(b.RecordConfig(t.Context(), clerk, testGenesis().Config))
	if again, _, _ := b.Head(t.Context()); again != size {
		t.Error("the same configuration made an event")
	}
	b.must(b.RecordConfig(t.Context(), clerk, data("office: lain\n")))
	if digest() != data("office: lain\n").SHA256 {
		t.Error("digest of the second configuration")
	}
	b.clean()
}

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	skey, vkey, err := note.GenerateKey(nil, "contoh.test")
	b.must(err)
	signer, err := note.NewSigner(skey)
	b.must(err)
	verifier, err := note.NewVerifier(vkey)
	b.must(err)
	sign := func(text []byte) ([]byte, error) { return note.Sign(&note.Note{Text: string(text)}, signer) }
	check := func(signed []byte) ([]byte, error) {
		n, err := note.Open(signed, note.VerifierList(verifier))
		if err != nil {
			return nil, err
		}
		return []byte(n.Text), nil
	}
	if _, _, err := b.LatestCheckpoint(t.Context()); codeOf(err) != "agenda.not_found" {
		t.Errorf("before the first: %v", err)
	}
	for range 3 {
		size, root, err := b.Head(t.Context())
		b.must(err)
		signed, err := b.Checkpoint(t.Context(), clerk, sign)
		b.must(err)
		latest, at, err := b.LatestCheckpoint(t.Context())
		if err != nil || string(latest) != string(signed) || !at.Equal(b.clock.Now()) {
			t.Errorf("%q %s %v", latest, at, err)
		}
		text, err := check(signed)
		b.must(err)
		origin, n, r, err := ParseCheckpoint(text)
		if err != nil || origin != "contoh.test/sandi/0123456789abcdef" || n != size || r != root {
			t.Errorf("%s %d %s %v", origin, n, r, err)
		}
		b.register(openLetter())
	}
	if _, err := b.Checkpoint(t.Context(), clerk, func([]byte) ([]byte, error) { return nil, errors.New("no key") }); err == nil {
		t.Error("unsigned checkpoint recorded")
	}
	r, err := b.Verify(t.Context(), check)
	if err != nil || len(r.Problems) != 0 || r.Checkpoints != 3 {
		t.Errorf("%+v %v", r, err)
	}
	b.clean()
	r, err = b.Verify(t.Context(), func([]byte) ([]byte, error) { return nil, errors.New("unknown key") })
	if err != nil || len(r.Problems) != 3 || r.Problems[0].Kind != "checkpoint" {
		t.Errorf("%+v %v", r, err)
	}
}

func TestPrintAndOpened(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	b.must(b.RecordPrint(t.Context(), clerk, PrintRecord{Kind: "book", Filter: "book kriptogram", Rows: 0, Size: 3, Pages: []string{"AAAA", "BBBB"}}))
	o := OpenedRecord{Manifest: Hash{1}, Kriptogram: Hash{2}, Copy: 1, Sender: "jateng", Number: "017/X", Verdicts: "good good good"}
	for i, want := range []bool{false, true} {
		if got, err := b.RecordOpened(t.Context(), clerk, o); err != nil || got != want {
			t.Errorf("%d: duplicate %v, %v", i, got, err)
		}
	}
	o.Copy = 2
	if got, err := b.RecordOpened(t.Context(), clerk, o); err != nil || got {
		t.Errorf("other copy: duplicate %v, %v", got, err)
	}
	b.clean()
}

func TestPeople(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	ctx, now := t.Context(), b.clock.Now()
	one := Officer{Handle: "baru", Name: "Orang Baru", NIP: "1 0 0 0"}
	if err := b.AddOfficer(ctx, clerk, one, nil); codeOf(err) != "agenda.same_person" {
		t.Errorf("same NIP: %v", err)
	}
	one = Officer{Handle: "baru", Name: "Orang Baru", NIP: "7", Certificate: data("certificate of kasi"), Fingerprint: fingerprint(101)}
	if err := b.AddOfficer(ctx, clerk, one, nil); codeOf(err) != "agenda.same_person" {
		t.Errorf("same key: %v", err)
	}
	one.Certificate, one.Fingerprint = Object{}, ""
	taken := one
	taken.Handle = "kasi"
	if err := b.AddOfficer(ctx, clerk, taken, nil); codeOf(err) != "agenda.duplicate_handle" {
		t.Errorf("same handle: %v", err)
	}
	b.must(b.AddOfficer(ctx, clerk, one, nil))
	acting := RoleGrant{Role: RoleKepalaSeksi, Kind: "plh", From: now.Add(time.Hour), Until: now.Add(3 * time.Hour), Title: "Plh. Kepala Seksi", Order: "SPT 4"}
	b.must(b.GiveRole(ctx, clerk, "baru", acting))
	holders := func(role Role, at time.Time) string {
		t.Helper()
		found, err := b.Holder(ctx, role, at)
		b.must(err)
		var out []string
		for _, o := range found {
			out = append(out, o.Handle)
		}
		return strings.Join(out, " ")
	}
	for at, want := range map[time.Duration]string{0: "kasi", time.Hour: "baru kasi", 3 * time.Hour: "kasi", -time.Second: ""} {
		if got := holders(RoleKepalaSeksi, now.Add(at)); got != want {
			t.Errorf("holder at %s: %q, want %q", at, got, want)
		}
	}
	b.must(b.EndRole(ctx, clerk, "kasi", RoleGrant{Role: RoleKepalaSeksi, Until: now.Add(2 * time.Hour)}))
	if got := holders(RoleKepalaSeksi, now.Add(4*time.Hour)); got != "" {
		t.Errorf("after the end: %q", got)
	}
	if err := b.EndRole(ctx, clerk, "kasi", RoleGrant{Role: RoleOperator}); codeOf(err) != "agenda.no_role" {
		t.Errorf("role not held: %v", err)
	}
	if err := b.GiveRole(ctx, clerk, "siapa", acting); codeOf(err) != "agenda.unknown_officer" {
		t.Errorf("unknown officer: %v", err)
	}
	got, err := b.Officer(ctx, "baru")
	b.must(err)
	want := one
	want.ID, want.Roles = got.ID, []RoleGrant{acting}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	b.must(b.ChangeApplicant(ctx, clerk, Applicant{Handle: "umum", Unit: "Bagian Umum", Contact: "x"}))
	if e := b.register(secretLetter()); e.Letter.Applicant != "Bagian Umum" {
		t.Errorf("applicant %q", e.Letter.Applicant)
	}
	applicants, err := b.Applicants(ctx)
	if err != nil || len(applicants) != 1 || applicants[0].Unit != "Bagian Umum" {
		t.Errorf("%+v %v", applicants, err)
	}
	b.clean()
}

func TestCorrespondents(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	ctx := t.Context()
	c, err := b.Correspondent(ctx, "jateng")
	b.must(err)
	want := Correspondent{
		ID: c.ID, Handle: "jateng", Unit: "Diskominfo jateng", Address: "jateng@contoh.test", Fingerprint: fingerprint(200),
		Subkey: fingerprint(300), Certificate: data("certificate of jateng"),
		Signers: []Signer{{Role: RoleSandiman, Fingerprint: fingerprint(400), Certificate: data("signer of jateng")}},
		State:   Confirmed, ConfirmedBy: "sandiman", ConfirmedVia: "telepon", ConfirmedAt: b.clock.Now(), Last: c.Last,
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
	byID, err := b.CorrespondentByID(ctx, c.ID)
	if diff := cmp.Diff(want, byID); diff != "" || err != nil {
		t.Error(diff, err)
	}
	// A new address keeps the confirmation, a new key does not.
	c.Address, c.State = "sandi@contoh.test", ""
	b.must(b.ChangeCorrespondent(ctx, clerk, c, "alamat baru"))
	if c, err = b.Correspondent(ctx, "jateng"); err != nil || c.State != Confirmed || c.Address != "sandi@contoh.test" {
		t.Errorf("%+v %v", c, err)
	}
	older := c
	c.Subkey, c.State = fingerprint(999), ""
	b.must(b.ChangeCorrespondent(ctx, clerk, c, "kunci baru"))
	if err := b.ChangeCorrespondent(ctx, clerk, older, "dari yang lama"); codeOf(err) != "agenda.correspondent_changed" {
		t.Errorf("a newer key is written over: %v", err)
	}
	if c, err = b.Correspondent(ctx, "jateng"); err != nil || c.State != Unconfirmed || c.ConfirmedBy != "" {
		t.Errorf("%+v %v", c, err)
	}
	if err := b.ConfirmCorrespondent(ctx, clerk, "jateng", fingerprint(998), "kasi", "tatap muka"); codeOf(err) != "agenda.fingerprint_changed" {
		t.Errorf("another key is confirmed: %v", err)
	}
	b.must(b.ConfirmCorrespondent(ctx, clerk, "jateng", c.Fingerprint, "kasi", "tatap muka"))
	if c, err = b.Correspondent(ctx, "jateng"); err != nil || c.State != Confirmed || c.ConfirmedVia != "tatap muka" {
		t.Errorf("%+v %v", c, err)
	}
	c.Ended = true
	b.must(b.ChangeCorrespondent(ctx, clerk, c, "bubar"))
	if _, err := b.Register(ctx, clerk, Registration{Letter: secretLetter()}); codeOf(err) != "agenda.ended" {
		t.Errorf("letter to an ended correspondent: %v", err)
	}
	if err := b.ChangeCorrespondent(ctx, clerk, c, "kembali"); codeOf(err) != "agenda.ended" {
		t.Errorf("an ended correspondent comes back: %v", err)
	}
	if err := b.AddCorrespondent(ctx, clerk, c); codeOf(err) != "agenda.duplicate_handle" {
		t.Errorf("an ended correspondent's handle: %v", err)
	}
	if _, err := b.Correspondent(ctx, "siapa"); codeOf(err) != "agenda.unknown_correspondent" {
		t.Errorf("%v", err)
	}
	for name, bad := range map[string]Correspondent{
		"header": {Handle: "x", Unit: "x", Address: "a@b.test\r\nBcc: c@d.test"},
		"name":   {Handle: "x", Unit: "x", Address: "X <a@b.test>"},
		"handle": {Handle: "X Y", Unit: "x", Address: "a@b.test"},
		"key":    {Handle: "x", Unit: "x", Address: "a@b.test", Fingerprint: fingerprint(1)},
	} {
		if err := b.AddCorrespondent(ctx, clerk, bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	all, err := b.Correspondents(ctx)
	if err != nil || len(all) != 3 {
		t.Errorf("%d %v", len(all), err)
	}
	b.clean()
}

func TestObjects(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e := b.at(Kriptogram, StateDrafted)
	for h, want := range map[Hash]bool{e.Drafted.Kriptogram.SHA256: true, e.Drafted.Manifest: true, {1}: false} {
		if got, err := b.Referenced(t.Context(), h); err != nil || got != want {
			t.Errorf("%s: %v, %v", h, got, err)
		}
	}
	o, err := b.Object(t.Context(), e.Drafted.Manifest)
	if diff := cmp.Diff(draftOf(Entry{Name: e.Name}).Text, o); diff != "" || err != nil {
		t.Error(diff, err)
	}
	var vault []Object
	b.must(b.VaultObjects(t.Context(), func(o Object) error { vault = append(vault, o); return nil }))
	if diff := cmp.Diff([]Object{e.Drafted.Kriptogram}, vault); diff != "" {
		t.Error(diff)
	}
	wrong := data("x")
	wrong.Data = []byte("y")
	if err := b.Report(t.Context(), clerk, []int64{e.ID}, ReportRecord{Kind: "x", To: "y", Object: wrong}, nil); err == nil {
		t.Error("bytes that are not of their digest")
	}
}

// A rehearsal refuses what would be refused and records nothing.
func TestRehearse(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	first := b.register(openLetter())
	size, root, err := b.Head(t.Context())
	b.must(err)
	r, err := Open(t.Context(), b.path, Options{Now: b.clock.Now, Rehearse: true})
	b.must(err)
	defer r.Close()
	for range 2 {
		made, err := r.Register(t.Context(), clerk, Registration{Letter: secretLetter()})
		if err != nil || made[0].Entry != (Name{Kriptogram, 1, 2026}) {
			t.Errorf("registered %v, %v", made, err)
		}
	}
	bad := secretLetter()
	bad.Date = "2026-02-31"
	if _, err := r.Register(t.Context(), clerk, Registration{Letter: bad}); codeOf(err) != "agenda.invalid_field" {
		t.Errorf("a day that is not: %v", err)
	}
	b.must(r.Void(t.Context(), clerk, first.ID, first.Last, "x", "kasi"))
	if err := r.Void(t.Context(), clerk, first.ID, first.Last+1, "x", "kasi"); codeOf(err) != "agenda.changed" {
		t.Errorf("an entry that went on: %v", err)
	}
	b.clock.add(-time.Hour)
	if err := r.Void(t.Context(), clerk, first.ID, first.Last, "x", "kasi"); codeOf(err) != "agenda.clock_behind" {
		t.Errorf("with a clock that is behind: %v", err)
	}
	b.clock.add(time.Hour)
	if s, h, err := b.Head(t.Context()); err != nil || s != size || h != root {
		t.Errorf("%d events, had %d (%v)", s, size, err)
	}
	if e := b.entry(first.ID); e.State != StateRegistered {
		t.Errorf("state %s", e.State)
	}
	b.clean()
	if made := b.register(secretLetter()); made.Name != (Name{Kriptogram, 1, 2026}) {
		t.Errorf("the serial after a rehearsal is of %v", made.Name)
	}
}
