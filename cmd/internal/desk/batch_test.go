package desk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	smtp "github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"sandi/agenda"
	"sandi/cmd/internal/config"
	"sandi/cmd/internal/oracle"
	"sandi/mail"
	"sandi/mail/loopback"
)

// attached are n ordinary letters that can be sent.
func (f *office) attached(n int, to ...string) []agenda.Name {
	f.t.Helper()
	scan := f.file("pindaian.pdf", []byte("%PDF-1.4\nisi pindaian"))
	names := make([]agenda.Name, n)
	for i := range names {
		names[i] = f.ordinary(to...)
		_, err := f.Attach(f.t.Context(), AttachParams{Name: names[i], Files: []string{scan}})
		f.check(err)
	}
	return names
}

// judged asks the oracle about the gateway that the office has now.
func (f *office) judged() {
	f.t.Helper()
	bad, err := oracle.Witness{
		Book: f.Book, Taken: f.gateway.Messages()[f.since:], Dir: f.Dir, Secrets: []string{right.passphrase, right.password},
		Frozen: func(h agenda.Hash) (io.ReadCloser, error) { return f.Vault.Open(h) },
		Audit: func(ctx context.Context) ([]agenda.Problem, error) {
			a, err := f.Audit(ctx)
			return a.Problems, err
		},
	}.Judge(f.t.Context())
	f.check(err)
	for _, b := range bad {
		f.t.Error(b)
	}
}

func TestSeveralConnectionsShareABatch(t *testing.T) {
	t.Parallel()
	a := &answers{stage: "rcpt", addr: "batang@", reply: &smtp.SMTPError{Code: 550, Message: "unknown user"}}
	f := newOffice(t, loopback.Options{Hook: a.hook})
	f.Config.Gateway.Connections, f.Config.Gateway.PerConnection = 4, 3
	good, bad := f.attached(20, "jateng"), f.attached(3, "batang")
	kriptogram := f.signed("jateng", "batang")
	all := append(append(append([]agenda.Name{}, good...), bad...), kriptogram)
	told := 0
	res, err := f.Send(t.Context(), SendParams{Names: all, Secrets: right, Report: func(Delivery) { told++ }})
	if err != nil || len(res.Deliveries) != 25 || told != 25 || res.Down != nil {
		t.Fatalf("%d deliveries, %d told, down %v, error %v", len(res.Deliveries), told, res.Down, err)
	}
	for _, n := range good {
		if s := f.entry(n).State; s != agenda.StateSent {
			t.Errorf("%s is %s", n, s)
		}
	}
	for _, n := range bad {
		if f.copyStates(n) != "rejected" {
			t.Errorf("%s: %s", n, f.copyStates(n))
		}
	}
	if f.copyStates(kriptogram) != "accepted rejected" || f.entry(kriptogram).Number != "001" {
		t.Errorf("kriptogram: %s, number %q", f.copyStates(kriptogram), f.entry(kriptogram).Number)
	}
	f.judged()
}

// A gateway that goes away in the middle leaves the rest ready, and a second
// run brings exactly the rest.
func TestGatewayGoesAwayInABatch(t *testing.T) {
	t.Parallel()
	var taken atomic.Int32
	f := newOffice(t, loopback.Options{Hook: func(stage, _ string) *smtp.SMTPError {
		if stage == "mail" && taken.Add(1) > 7 {
			return &smtp.SMTPError{Code: 421, Message: "closing"}
		}
		return nil
	}})
	names := f.attached(30, "jateng")
	limit := limitedDial{left: 3}
	f.opts.Dial = limit.dial
	res, err := f.Send(t.Context(), SendParams{Names: names, Secrets: right})
	if err != nil || res.Down == nil || len(res.Waiting) == 0 {
		t.Fatalf("down %v, %d waiting, error %v", res.Down, len(res.Waiting), err)
	}
	for _, x := range res.Waiting {
		e := f.entry(x.Entry)
		if e.State == agenda.StateReleased && e.Copies[0].State != agenda.CopyReady {
			t.Errorf("%s waits as %s", x.Entry, e.Copies[0].State)
		}
		if e.State == agenda.StateReleased && e.Copies[0].Attempts != 0 {
			t.Errorf("%s was not tried and has %d attempts", x.Entry, e.Copies[0].Attempts)
		}
	}
	f.judged()
	taken.Store(-1000)
	f.opts.Dial = nil
	if _, err := f.Send(t.Context(), SendParams{Names: names, Secrets: right}); err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if s := f.entry(n).State; s != agenda.StateSent {
			t.Errorf("%s is %s", n, s)
		}
	}
	f.judged()
}

// limitedDial lets a few connections through and refuses the rest.
type limitedDial struct {
	mu   sync.Mutex
	left int
}

func (l *limitedDial) dial(ctx context.Context, network, address string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left == 0 {
		return nil, errors.New("refused")
	}
	l.left--
	return new(net.Dialer).DialContext(ctx, network, address)
}

// counted counts how often a passphrase is asked for.
type counted struct {
	secrets
	asked int
}

func (c *counted) Passphrase(ctx context.Context, u KeyUse) ([]byte, error) {
	c.asked++
	return c.secrets.Passphrase(ctx, u)
}

func table(t *testing.T, f *office, classified bool, text string) []ImportRow {
	t.Helper()
	rows, err := f.ReadImport(t.Context(), ImportParams{
		Source: strings.NewReader(text), Folder: f.dir, Batch: classified,
		Day:    func(s string) (string, error) { return s, nil },
		Moment: func(s string) (time.Time, error) { return time.Parse(time.RFC3339, s) },
	})
	f.check(err)
	return rows
}

func TestBatchResumes(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	f.file("a.pdf", plainLetter)
	f.file("b.pdf", []byte("%PDF-1.4\nisi pindaian"))
	text := "pemohon;nomor_surat;tgl_surat;perihal;klasifikasi;tujuan;berkas\n" +
		"umum;800/1;2026-11-20;Rencana satu;rahasia;jateng;a.pdf\n" +
		"umum;005/1;2026-11-20;Undangan satu;biasa;jateng;b.pdf\n" +
		"umum;800/2;2026-11-20;Rencana dua;rahasia;jateng,batang;a.pdf\n"
	run := func() []BatchRow {
		made, err := f.Batch(t.Context(), BatchParams{Rows: table(t, f, true, text), Secrets: right})
		f.check(err)
		return made
	}
	states := func(rows []BatchRow) string {
		var s []string
		for _, r := range rows {
			if r.Err != nil {
				s = append(s, coded(r.Err))
				continue
			}
			s = append(s, fmt.Sprintf("%d:%s:%s:%v", r.Line, r.Entry.Name, r.Entry.State, r.Existed))
		}
		return strings.Join(s, " ")
	}
	if got, want := states(run()), "2:K1:drafted:false 3:S1:attached:false 4:K2:drafted:false"; got != want {
		t.Fatalf("first run %q, want %q", got, want)
	}
	text += "umum;005/2;2026-11-20;Undangan dua;biasa;jateng;b.pdf\n"
	if got, want := states(run()), "2:K1:drafted:true 3:S1:attached:true 4:K2:drafted:true 5:S2:attached:false"; got != want {
		t.Fatalf("second run %q, want %q", got, want)
	}
	if d := f.entry(agenda.Name{Book: agenda.Kriptogram, Serial: 1, Year: 2026}).Draft; d != 1 {
		t.Errorf("draft %d of K1 after a second run", d)
	}
	noPlaintext(t, f.Dir)
	f.audited()
}

// A checkpoint that several drafts share covers all that was in the log when
// each of them asked for it.
func TestDraftsShareCheckpoints(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	check, err := f.checkNote(t.Context())
	f.check(err)
	who := f.actor("sandiman")
	before, _, err := f.Book.Head(t.Context())
	f.check(err)
	const drafts, each = 12, 10
	var group, begun sync.WaitGroup
	begun.Add(drafts)
	f.checkpoints.making.Lock() // so that all ask for the first while it waits
	for range drafts {
		group.Go(func() {
			asks := sync.OnceFunc(begun.Done)
			defer asks()
			for range each {
				head, _, err := f.Book.Head(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				asks()
				sum, err := f.draftCheckpoint(t.Context(), who)
				if err != nil {
					t.Error(err)
					return
				}
				o, err := f.Book.Object(t.Context(), sum)
				if err != nil {
					t.Error(err)
					return
				}
				text, err := check(o.Data)
				if err != nil {
					t.Error(err)
					return
				}
				if _, size, _, err := agenda.ParseCheckpoint(text); err != nil || size < head {
					t.Errorf("checkpoint of %d events (%v), asked for at %d", size, err, head)
				}
			}
		})
	}
	begun.Wait()
	f.checkpoints.making.Unlock()
	group.Wait()
	after, _, err := f.Book.Head(t.Context())
	f.check(err)
	if made := after - before; made >= drafts*each {
		t.Errorf("%d checkpoints for %d drafts", made, drafts*each)
	}
	f.audited()
}

// Whoever does not share the cause why a checkpoint was given up makes his own.
func TestSharedCheckpointGivenUp(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	who := f.actor("sandiman")
	given := &sharedCheckpoint{who: who, made: make(chan struct{}), err: context.Canceled}
	close(given.made)
	f.checkpoints.next = given
	if sum, err := f.draftCheckpoint(t.Context(), who); err != nil || sum.IsZero() {
		t.Errorf("%v, %v", sum, err)
	}
	given.err = &Error{code: CodeNoKey}
	if _, err := f.draftCheckpoint(t.Context(), who); coded(err) != CodeNoKey {
		t.Errorf("error %v", err)
	}
	if sum, err := f.draftCheckpoint(t.Context(), f.Nobody()); err != nil || sum.IsZero() {
		t.Errorf("another officer: %v, %v", sum, err)
	}
}

// Nobody anchors a draft in a checkpoint that a panic left unmade.
func TestSharedCheckpointAfterAPanic(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	who, book := f.actor("sandiman"), f.Book
	f.Book = nil
	f.checkpoints.making.Lock()
	begun, over := make(chan struct{}), make(chan any)
	go func() {
		defer func() { over <- recover() }()
		close(begun)
		_, _ = f.draftCheckpoint(t.Context(), who)
	}()
	<-begun
	var shared *sharedCheckpoint
	for shared == nil {
		f.checkpoints.mu.Lock()
		shared = f.checkpoints.next
		f.checkpoints.mu.Unlock()
		runtime.Gosched()
	}
	f.checkpoints.making.Unlock()
	if v := <-over; v == nil {
		t.Fatal("no panic")
	}
	f.Book, f.checkpoints.next = book, shared
	if sum, err := f.draftCheckpoint(t.Context(), who); err != nil || sum.IsZero() {
		t.Errorf("%v, %v", sum, err)
	}
}

// Ctrl-C behind the first row leaves the others undone, and they are told so,
// whatever became of the first.
func TestBatchInterrupted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, first string }{
		"done":    {"a.pdf", ""},
		"refused": {"tidak-ada.pdf", CodeFile},
	} {
		f := newOffice(t, loopback.Options{})
		f.file("a.pdf", plainLetter)
		text := "pemohon;nomor_surat;tgl_surat;perihal;klasifikasi;tujuan;berkas\n"
		for i := range 4 {
			text += fmt.Sprintf("umum;800/%d;2026-11-20;Rencana;rahasia;jateng;a.pdf\n", i)
		}
		rows := table(t, f, true, text)
		rows[0].File = filepath.Join(f.dir, c.file)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		made, err := f.Batch(ctx, BatchParams{Rows: rows, Secrets: right, Report: cancel})
		f.check(err)
		if coded(made[0].Err) != c.first {
			t.Errorf("%s: first row %v", name, made[0].Err)
		}
		for _, r := range made {
			if now := f.entry(r.Entry.Name); r.Err == nil && (r.Entry.State != agenda.StateDrafted || now.State != agenda.StateDrafted) {
				t.Errorf("%s: line %d is %s, told %s without an error", name, r.Line, now.State, r.Entry.State)
			}
		}
		for _, r := range made[1:] {
			if !errors.Is(r.Err, context.Canceled) {
				t.Errorf("%s: line %d: %v", name, r.Line, r.Err)
			}
		}
	}
}

// Who presses Ctrl-C while the gateway has not answered a whole message is told that its answer is awaited; the answer counts.
func TestAwaitsTold(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := make(chan int, 1)
	f := newOffice(t, loopback.Options{Hook: func(stage, _ string) *smtp.SMTPError {
		if stage == "dot" {
			cancel()
			select {
			case n := <-told:
				told <- n
			case <-time.After(time.Minute):
			}
		}
		return nil
	}})
	names := f.attached(2, "jateng")
	res, err := f.Send(ctx, SendParams{Names: names, Secrets: right, Awaits: func(n int) { told <- n }})
	if !errors.Is(err, context.Canceled) || len(res.Deliveries) != 1 || res.Deliveries[0].State != agenda.CopyAccepted {
		t.Errorf("%v, %+v", err, res.Deliveries)
	}
	select {
	case n := <-told:
		if n != 1 {
			t.Errorf("%d copies awaited", n)
		}
	default:
		t.Error("nobody was told")
	}
}

// What cannot be read again has its error in its own place: the others are done.
func TestRereadTellsWhich(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	names := f.attached(2, "jateng")
	entries := []agenda.Entry{{ID: f.entry(names[0]).ID}, {ID: 1 << 40}, {ID: f.entry(names[1]).ID}}
	errs := make([]error, len(entries))
	f.reread(t.Context(), entries, errs)
	if errs[0] != nil || coded(errs[1]) != "agenda.not_found" || errs[2] != nil {
		t.Errorf("errors %v", errs)
	}
	if entries[0].Name != names[0] || entries[2].Name != names[1] {
		t.Errorf("entries %v and %v", entries[0].Name, entries[2].Name)
	}
}

// A wrong passphrase is asked for once, not for every row, also where the first
// row needs no key: an ordinary letter, one that an earlier run brought on, one
// whose file is gone.
func TestBatchStopsAtTheKey(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	f.file("a.pdf", plainLetter)
	f.file("b.pdf", []byte("%PDF-1.4\nisi pindaian"))
	const head = "pemohon;nomor_surat;tgl_surat;perihal;klasifikasi;tujuan;berkas\n"
	before := "umum;800/0;2026-11-20;Rencana;rahasia;jateng;a.pdf\n"
	_, err := f.Batch(t.Context(), BatchParams{Rows: table(t, f, true, head+before), Secrets: right})
	f.check(err)
	clear(f.unlocked) // another run
	text := head + "umum;005/1;2026-11-20;Undangan;biasa;jateng;b.pdf\n" + before + "umum;800/9;2026-11-20;Rencana;rahasia;jateng;a.pdf\n"
	for i := range 4 {
		text += fmt.Sprintf("umum;801/%d;2026-11-20;Rencana;rahasia;jateng;a.pdf\n", i)
	}
	wrong := &counted{secrets: secrets{"bukan frasa", ""}}
	rows := table(t, f, true, text)
	rows[2].File = filepath.Join(f.dir, "hilang.pdf")
	made, err := f.Batch(t.Context(), BatchParams{Rows: rows, Secrets: wrong})
	f.check(err)
	if coded(made[2].Err) != CodeFile {
		t.Errorf("file that is gone: %v", made[2].Err)
	}
	for _, r := range made[3:] {
		if coded(r.Err) != CodePassphrase || f.entry(r.Entry.Name).State != agenda.StateRegistered {
			t.Errorf("line %d: %v, %s", r.Line, r.Err, f.entry(r.Entry.Name).State)
		}
	}
	if wrong.asked != 1 {
		t.Errorf("asked %d times", wrong.asked)
	}
}

func TestSignAndArchiveTogether(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	var names []agenda.Name
	var sign []SignParams
	for range 3 {
		n := f.encrypted("jateng")
		names, sign = append(names, n), append(sign, SignParams{Name: n, Secrets: right})
	}
	sign[1].Manifest = agenda.Hash{1} // he was shown another draft
	_, errs := f.SignAll(ctx, sign)
	if errs[0] != nil || coded(errs[1]) != CodeStale || errs[2] != nil {
		t.Fatalf("signing: %v", errs)
	}
	f.send(names[0], names[2])
	entries, errs := f.ArchiveAll(ctx, names, "lemari 3")
	if errs[0] != nil || coded(errs[1]) != CodeNotSent || errs[2] != nil {
		t.Fatalf("filing: %v", errs)
	}
	if a, b := entries[0].Archived.Copies[0], entries[2].Archived.Copies[0]; b.Offset != a.Offset+a.Length {
		t.Errorf("places %+v %+v", a, b)
	}
	r, err := f.VerifyBoxes(ctx)
	if err != nil || r.Boxes != 1 || r.Messages != 2 || len(r.Problems) != 0 {
		t.Fatalf("archive: %+v %v", r, err)
	}
	f.audited()
}

// Entries are appended while those before are recorded. Whichever recording
// fails, here by a clock that goes back for a moment: what is told as filed is
// filed, nothing lies twice in the box, and the next run files the rest.
func TestFilingBehindAFault(t *testing.T) {
	t.Parallel()
	const n, most = 7, 2
	outcomes := map[string]int{}
	for bad := 1; ; bad++ {
		var calls, wrong atomic.Int64
		at := clock{t: monday}
		server, err := loopback.Start(loopback.Options{TLS: mail.TLSNone})
		if err != nil {
			t.Fatal(err)
		}
		f := officeAt(t, func() time.Time {
			now := at.now()
			if c := calls.Add(1); c == wrong.Load() {
				return now.Add(-time.Hour)
			}
			return now
		}, config.Gateway{Address: server.Addr(), TLS: "none"})
		ctx := t.Context()
		names := f.attached(n, "jateng")
		f.send(names...)
		server.Close()
		entries := make([]agenda.Entry, n)
		for i := range names {
			entries[i] = f.entry(names[i])
		}
		box := boxName(entries[0])

		last := calls.Load() + int64(bad)
		wrong.Store(last)
		errs := f.Desk.file(ctx, box, "", entries, most)
		over := calls.Load() < last
		wrong.Store(0)

		told := ""
		for i, err := range errs {
			filed := f.entry(names[i]).Archived != nil
			if filed != (err == nil) || err != nil && coded(err) != "agenda.clock_behind" {
				t.Errorf("clock reading %d, entry %d: filed %t, told %v", bad, i, filed, err)
			}
			told += map[bool]string{true: "+", false: "-"}[filed]
		}
		outcomes[told]++
		_, errs = f.ArchiveAll(ctx, names, "")
		f.check(errors.Join(errs...))
		r, err := f.VerifyBoxes(ctx)
		if err != nil || r.Messages != n || len(r.Problems) != 0 {
			t.Errorf("clock reading %d: %+v %v", bad, r, err)
		}
		f.boxHoldsOnly(names)
		f.audited()
		if over {
			break
		}
	}
	for _, told := range []string{"-------", "++-----", "++++---", "++++++-", "+++++++"} {
		if outcomes[told] == 0 {
			t.Errorf("no run ended as %s: %v", told, outcomes)
		}
	}
}

// A letter that somebody changes all the time, here by receipts, costs its own
// part and not those behind it, whose messages are put where that part was.
func TestFilingBehindAChange(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	var all []agenda.Name
	hit := false // the change fell between the look at the letter and its recording
	for try := 0; try < 20 && !hit; try++ {
		names := f.attached(7, "jateng")
		all = append(all, names...)
		f.send(names...)
		entries := make([]agenda.Entry, len(names))
		for i := range names {
			entries[i] = f.entry(names[i])
		}
		var notes sync.WaitGroup
		var stop atomic.Bool
		begun := make(chan struct{}, 2)
		for who := range 2 {
			notes.Go(func() {
				for i := 0; !stop.Load(); i++ {
					_, err := f.Book.NoteReceipt(ctx, f.Nobody(), agenda.Receipt{
						Ref: agenda.CopyRef{Entry: entries[2].ID, Copy: 1}, Kind: agenda.ReceiptReply, Action: "answered",
						Matched: agenda.MatchedMessage, Object: agenda.NewObject("text/plain", fmt.Append(nil, try, who, i)), At: monday,
					})
					if i == 0 {
						begun <- struct{}{}
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		<-begun
		<-begun
		errs := f.Desk.file(ctx, boxName(entries[0]), "", entries, 2)
		stop.Store(true)
		notes.Wait()
		told := make([]string, len(names))
		for i, err := range errs {
			told[i] = coded(err)
			if filed := f.entry(names[i]).Archived != nil; filed != (err == nil) {
				t.Errorf("entry %d: filed %t, told %v", i, filed, err)
			}
		}
		hit = slices.Contains(told, "agenda.changed")
		want := make([]string, len(names))
		if hit {
			want[2], want[3] = "agenda.changed", "agenda.changed"
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Error(diff)
		}
	}
	if !hit {
		t.Error("the change never fell in between")
	}
	_, errs := f.ArchiveAll(ctx, all, "")
	f.check(errors.Join(errs...))
	r, err := f.VerifyBoxes(ctx)
	if err != nil || r.Messages != len(all) || len(r.Problems) != 0 {
		t.Errorf("%+v %v", r, err)
	}
	f.boxHoldsOnly(all)
	f.audited()
}

// boxHoldsOnly sees that nothing lies in the box of the letters but their
// recorded messages.
func (f *office) boxHoldsOnly(names []agenda.Name) {
	f.t.Helper()
	filed := int64(0)
	for _, n := range names {
		for _, c := range f.entry(n).Copies {
			filed += c.Length
		}
	}
	box, err := os.Stat(f.path(boxFolder, filepath.FromSlash(boxName(f.entry(names[0])))))
	f.check(err)
	if filed != box.Size() {
		f.t.Errorf("%d octets filed, %d in the box", filed, box.Size())
	}
}

func TestBoxIsCheckedAndRebuilt(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	names := f.attached(3, "jateng")
	f.send(names...)
	_, errs := f.ArchiveAll(ctx, names, "")
	f.check(errors.Join(errs...))
	box := f.path(boxFolder, "2026", "surat.mbox")
	whole, err := os.ReadFile(box)
	f.check(err)
	var shown bytes.Buffer
	if _, err := f.ShowFiled(ctx, &shown, names[1], 0); err != nil || !bytes.Equal(shown.Bytes(), f.frozen(f.entry(names[1]).Copies[0])) {
		t.Fatalf("shown %d octets: %v", shown.Len(), err)
	}
	second := f.entry(names[1]).Copies[0]
	for name, c := range map[string]struct {
		bend func([]byte) []byte
		why  string
	}{
		"missing": {func([]byte) []byte { return nil }, BoxMissing},
		"cut":     {func(b []byte) []byte { return b[:len(b)-10] }, BoxShort},
		"tail":    {func(b []byte) []byte { return append(b, "From x\n\n\n"...) }, BoxTail},
		"flipped": {func(b []byte) []byte { b[second.Offset+second.Length/2] ^= 1; return b }, BoxMessage},
		"dated": {func(b []byte) []byte {
			end := second.Offset + int64(bytes.IndexByte(b[second.Offset:], '\n'))
			copy(b[end-4:], "2025")
			return b
		}, BoxTime},
		"dated_and_moved": {func(b []byte) []byte {
			end := second.Offset + int64(bytes.IndexByte(b[second.Offset:], '\n'))
			copy(b[end-4:], "2025")
			return append([]byte("From x\n\n\n"), b...)
		}, BoxTime + " " + BoxGap},
	} {
		f.check(os.Remove(box))
		if bent := c.bend(bytes.Clone(whole)); bent != nil {
			f.check(os.WriteFile(box, bent, 0o400))
		}
		r, err := f.VerifyBoxes(ctx)
		found := ""
		for _, p := range r.Problems {
			found += p.Why + " "
		}
		if err != nil || !strings.Contains(found, c.why) {
			t.Errorf("%s: found %q (%v)", name, found, err)
		}
		if n, _, err := f.RebuildBox(ctx, "2026/surat.mbox"); err != nil || n != 3 {
			t.Fatalf("%s: rebuilt %d: %v", name, n, err)
		}
		again, err := os.ReadFile(box)
		if err != nil || !bytes.Equal(again, whole) {
			t.Errorf("%s: the box is another one after the rebuild (%v)", name, err)
		}
	}
	filed, err := f.Boxed(ctx, agenda.Filter{})
	f.check(err)
	for _, out := range []string{"keluar", "keluar.mbox"} {
		if n, err := f.ExportFiled(ctx, filed, filepath.Join(f.dir, out)); err != nil || n != 3 {
			t.Errorf("export to %s: %d %v", out, n, err)
		}
		if _, err := f.ExportFiled(ctx, filed, filepath.Join(f.dir, out)); err == nil {
			t.Errorf("export over %s", out)
		}
	}
	eml, err := os.ReadFile(filepath.Join(f.dir, "keluar", "S2-2026-salinan-1.eml"))
	if err != nil || !bytes.Equal(eml, f.frozen(second)) {
		t.Errorf("exported message: %v", err)
	}
}

// A message that somebody put into a box is named with its place, wherever it
// is; the messages that it moved are found behind it.
func TestSlippedMessages(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	names := f.attached(4, "jateng")
	f.send(names...)
	_, errs := f.ArchiveAll(ctx, names[:3], "")
	f.check(errors.Join(errs...))
	const box = "2026/surat.mbox"
	path := f.BoxPath(box)
	whole, err := os.ReadFile(path)
	f.check(err)
	filed, err := f.Boxed(ctx, agenda.Filter{})
	f.check(err)
	var extents []mail.Extent
	for _, x := range filed {
		extents = append(extents, mail.Extent{Offset: x.Copy.Offset, Length: x.Copy.Length})
	}
	second, third, end := extents[1].Offset, extents[2].Offset, int64(len(whole))
	slip := "From palsu@contoh.test Fri Nov 20 02:31:07 2026\nFrom: palsu@contoh.test\nMessage-ID: <" + filed[1].Copy.MessageID + ">\n\nisi\n\n\n"
	n := int64(len(slip))
	gap := func(at int64) BoxProblem {
		return BoxProblem{Box: box, Why: BoxGap, Extent: mail.Extent{Offset: at, Length: n}}
	}
	tail := func(at, length int64) BoxProblem {
		return BoxProblem{Box: box, Why: BoxTail, Extent: mail.Extent{Offset: at, Length: length}}
	}
	message := func(i int) BoxProblem {
		return BoxProblem{Box: box, Entry: names[i], Copy: 1, Why: BoxMessage, Extent: extents[i]}
	}
	a, b, c := string(whole[:second]), string(whole[second:third]), string(whole[third:])
	bent := b[:len(b)/2] + "#" + b[len(b)/2+1:]
	verified := func(name string, want []BoxProblem) {
		t.Helper()
		r, err := f.VerifyBoxes(ctx)
		f.check(err)
		if diff := cmp.Diff(want, r.Problems); diff != "" || r.Unfinished != nil {
			t.Errorf("%s: %s%v", name, diff, r.Unfinished)
		}
	}
	replace := func(content string) {
		t.Helper()
		f.check(errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, []byte(content), 0o600), os.Chmod(path, 0o400)))
	}
	for _, x := range []struct {
		name, box string
		want      []BoxProblem
	}{
		{"nothing", a + b + c, nil},
		{"before the first", slip + a + b + c, []BoxProblem{gap(0)}},
		{"between", a + slip + b + c, []BoxProblem{gap(second)}},
		{"before the last", a + b + slip + c, []BoxProblem{gap(third)}},
		{"behind", a + b + c + slip, []BoxProblem{tail(end, n)}},
		{"everywhere", slip + a + slip + b + slip + c + slip, []BoxProblem{gap(0), gap(second + n), gap(third + 2*n), tail(end+3*n, n)}},
		{"the last once more", a + b + c + c, []BoxProblem{tail(end, int64(len(c)))}},
		{"before a changed one", a + slip + bent + c, []BoxProblem{message(1), gap(third)}},
		{"for another", a + slip + c, []BoxProblem{{Box: box, Why: BoxShort}, message(1)}},
		{"for the place of another", a + c + b, []BoxProblem{message(2), {Box: box, Why: BoxGap, Extent: mail.Extent{Offset: second, Length: int64(len(c))}}}},
	} {
		replace(x.box)
		verified(x.name, x.want)
	}

	// Filing moves aside what lies behind the recorded end, here of the third.
	replace(a + slip + b + c)
	if _, err = f.Archive(ctx, names[3], ""); coded(err) != mail.CodeMbox {
		t.Errorf("filed behind a torn message: %v", err)
	}
	verified("filed behind", []BoxProblem{message(2), gap(second)})
	_, _, err = f.RebuildBox(ctx, box)
	f.check(err)
	_, err = f.Archive(ctx, names[3], "")
	f.check(err)
	verified("rebuilt", nil)

	// A box of its own.
	lone := f.BoxPath("2025/kriptogram.mbox")
	f.check(errors.Join(os.Mkdir(filepath.Dir(lone), 0o700), os.WriteFile(lone, []byte(slip), 0o400)))
	verified("a box of its own", []BoxProblem{{Box: "2025/kriptogram.mbox", Why: BoxUnknown, Extent: mail.Extent{Length: n}}})
}

// What a filing has appended and not recorded is told as that, wherever it
// stopped, and as nothing else when anything is put to it.
func TestUnfinishedFiling(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	names := f.attached(3, "jateng", "batang")
	f.send(names...)
	for first := range 2 { // in a new box, and behind a letter
		e := []agenda.Entry{f.entry(names[first]), f.entry(names[first+1])}
		box := boxName(e[0])
		w, release, err := f.openBox(box, "")
		f.check(err)
		st, err := w.Stat()
		f.check(err)
		end := st.Size()
		_, err = f.fillBox(ctx, w, box, "", e)
		f.check(err)
		whole, err := os.ReadFile(w.Name())
		f.check(err)
		size := int64(len(whole))
		seen := map[string]int{}
		for cut := size; cut > end; cut -= 41 {
			f.check(w.Truncate(cut))
			r, err := f.VerifyBoxes(ctx)
			f.check(err)
			want := []BoxUnfinished{{Box: box, Extent: mail.Extent{Offset: end, Length: cut - end}, Entries: []agenda.Name{e[0].Name, e[1].Name}}}
			if len(r.Unfinished) == 1 && len(r.Unfinished[0].Entries) == 1 {
				want[0].Entries = want[0].Entries[:1]
			}
			if diff := cmp.Diff(want, r.Unfinished); diff != "" || r.Problems != nil {
				t.Fatalf("cut at %d of %d: %s%+v", cut, size, diff, r.Problems)
			}
			seen[fmt.Sprint(r.Unfinished[0].Entries)]++
		}
		if len(seen) != 2 {
			t.Errorf("one letter and both: %v", seen)
		}
		for _, bent := range [][]byte{append(bytes.Clone(whole), "From x\n\nx\n\n"...), append(whole[:size-9:size-9], "x\n\n"...)} {
			_, err = w.WriteAt(bent, 0)
			f.check(errors.Join(err, w.Truncate(int64(len(bent)))))
			r, err := f.VerifyBoxes(ctx)
			f.check(err)
			want := []BoxProblem{{Box: box, Why: BoxTail, Extent: mail.Extent{Offset: end, Length: int64(len(bent)) - end}}}
			if end == 0 {
				want[0].Why = BoxUnknown
			}
			if diff := cmp.Diff(want, r.Problems); diff != "" || r.Unfinished != nil {
				t.Errorf("%s%+v", diff, r.Unfinished)
			}
		}
		f.check(release())
		_, err = f.Archive(ctx, names[first], "")
		f.check(err)
	}
	r, err := f.VerifyBoxes(ctx)
	if err != nil || r.Problems != nil || r.Unfinished != nil {
		t.Errorf("%+v %v", r, err)
	}
}

// A check beside another process that files finds nothing wrong.
func TestVerifyWhileFiling(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	names := f.attached(20, "jateng")
	f.send(names...)
	other, err := Open(ctx, f.Dir, f.options())
	f.check(err)
	defer other.Close()
	filing := make(chan error, 1)
	go func() {
		var errs []error
		for _, n := range names {
			_, err := other.Archive(ctx, n, "")
			errs = append(errs, err)
		}
		filing <- errors.Join(errs...)
	}()
	checks := 0
	for done := false; !done; checks++ {
		select {
		case err := <-filing:
			f.check(err)
			done = true
		default:
		}
		if r, err := f.VerifyBoxes(ctx); err != nil || r.Problems != nil {
			t.Fatalf("check %d: %+v %v", checks, r, err)
		}
	}
	if checks < 3 {
		t.Errorf("%d checks", checks)
	}
}

// Whoever files opens the box for a moment; one that stays writable is told.
func TestVerifyWhileABoxIsOpened(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	names := f.attached(1, "jateng")
	f.send(names...)
	e, err := f.Archive(t.Context(), names[0], "")
	f.check(err)
	path := f.BoxPath(e.Copies[0].Box)
	f.check(os.Chmod(path, 0o600))
	time.AfterFunc(30*time.Millisecond, func() { os.Chmod(path, 0o400) })
	if r, err := f.VerifyBoxes(t.Context()); err != nil || r.Problems != nil {
		t.Errorf("while it is opened: %+v %v", r, err)
	}
	f.check(os.Chmod(path, 0o600))
	if r, err := f.VerifyBoxes(t.Context()); err != nil || len(r.Problems) != 1 || r.Problems[0].Why != BoxMode {
		t.Errorf("left open: %+v %v", r, err)
	}
}

// Messages are kept apart, over all connections.
func TestThrottle(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	f.Config.Gateway.PerMinute = 600 // one in 100 ms
	names := f.attached(8, "jateng")
	began := time.Now()
	f.send(names...)
	if took := time.Since(began); took < 700*time.Millisecond {
		t.Errorf("eight messages in %v", took)
	}
}

// Ctrl-C while copies wait for the throttle gives back what was claimed ahead:
// no attempt counts that was not made.
func TestInterruptedThrottle(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	f.Config.Gateway.PerMinute, f.Config.Gateway.Connections = 1, 3
	names := f.attached(40, "jateng")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	res, err := f.Send(ctx, SendParams{Names: names, Secrets: right, Report: func(Delivery) { cancel() }})
	if !errors.Is(err, context.Canceled) || len(res.Deliveries) != 1 {
		t.Fatalf("%d deliveries, error %v", len(res.Deliveries), err)
	}
	told := map[agenda.Name]int{}
	for _, d := range append(slices.Clone(res.Deliveries), res.Waiting...) {
		told[d.Entry]++
	}
	sent := 0
	for _, n := range names {
		e := f.entry(n)
		c := e.Copies[0]
		switch {
		case e.State == agenda.StateSent:
			sent++
		case e.State == agenda.StateAttached, e.State == agenda.StateReleased && c.State == agenda.CopyReady && c.Attempts == 0:
		default:
			t.Errorf("%s is %s, its copy %s after %d attempts", n, e.State, c.State, c.Attempts)
		}
		if told[n] != 1 {
			t.Errorf("%s was told %d times", n, told[n])
		}
	}
	if sent != 1 {
		t.Errorf("%d sent", sent)
	}
	f.judged()
}

// A gateway that comes back in the meantime is not missed.
func TestSendWaits(t *testing.T) {
	t.Parallel()
	a := &answers{stage: "rcpt", reply: &smtp.SMTPError{Code: 451, Message: "later"}}
	f := newOffice(t, loopback.Options{Hook: a.hook})
	names := f.attached(2, "jateng")
	waits := 0
	// The desk's clock runs five minutes ahead at each wait, so that nobody
	// has to.
	c := &clock{t: monday.Add(time.Hour)}
	f.opts.Now = c.now
	res, err := f.SendWaiting(t.Context(), SendParams{Names: names, Secrets: right}, func(p Pause) {
		waits++
		a.reply = nil
		c.set(p.Until)
		if p.Copies != 2 || p.Due != 2 {
			t.Errorf("pause %+v", p)
		}
	})
	if err != nil || waits != 1 || len(res.Deliveries) != 2 || len(res.Entries) != 2 {
		t.Fatalf("%d waits, %d deliveries, error %v", waits, len(res.Deliveries), err)
	}
	for _, x := range res.Deliveries {
		if x.State != agenda.CopyAccepted || x.Attempt != 2 {
			t.Errorf("delivery %+v", x)
		}
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{MaxSize: 1 << 20})
	p, err := f.Probe(t.Context(), right)
	if err != nil || p.Capabilities.MaxSize != 1<<20 || len(p.Peer.KeySHA256) != 64 || p.Peer.NotAfter.IsZero() {
		t.Fatalf("probe %+v: %v", p, err)
	}
	data, err := os.ReadFile(f.path(probeFile))
	if err != nil || !strings.Contains(string(data), p.Peer.KeySHA256) || strings.Contains(string(data), right.password) {
		t.Errorf("kept %q: %v", data, err)
	}
	// The digest that was shown is one that can be pinned.
	f.Config.Gateway.Pins = []string{strings.Repeat("00", 32), p.Peer.KeySHA256}
	if _, err := f.Probe(t.Context(), right); err != nil {
		t.Errorf("with a planned and the present pin: %v", err)
	}
	f.Config.Gateway.Pins = f.Config.Gateway.Pins[:1]
	if _, err := f.Probe(t.Context(), right); coded(err) != mail.CodeTLS {
		t.Errorf("with another pin: %v", err)
	}
}

// A gateway that takes a few messages a connection and then says goodbye, or
// hangs up, gets the next one over a new connection and not after five minutes.
func TestGatewayEndsConnections(t *testing.T) {
	t.Parallel()
	for name, goodbye := range map[string]bool{"421": true, "silent": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said, dialled atomic.Int32
			var conn atomic.Value
			f := newOffice(t, loopback.Options{Hook: func(stage, _ string) *smtp.SMTPError {
				if stage != "mail" || said.Add(1)%4 != 0 {
					return nil
				}
				if !goodbye {
					conn.Load().(net.Conn).Close()
				}
				return &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 7, 0}, Message: "enough for this connection"}
			}})
			f.Config.Gateway.Connections = 1
			f.opts.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				dialled.Add(1)
				c, err := (&net.Dialer{}).DialContext(ctx, network, address)
				conn.Store(c)
				return c, err
			}
			names := f.attached(8, "jateng")
			res := f.send(names...)
			for _, x := range res.Deliveries {
				if x.State != agenda.CopyAccepted || x.Attempt != 1 {
					t.Errorf("%+v", x)
				}
			}
			if len(res.Deliveries) != len(names) || dialled.Load() != 3 {
				t.Errorf("%d deliveries over %d connections", len(res.Deliveries), dialled.Load())
			}
			f.judged()
		})
	}
}

// A box that is written anew while another process files into it holds what
// that one filed.
func TestRebuildBesideFiling(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	names := f.attached(20, "jateng")
	f.send(names...)
	_, err := f.Archive(ctx, names[0], "")
	f.check(err)
	other, err := Open(ctx, f.Dir, f.options())
	f.check(err)
	defer other.Close()
	filing := make(chan error, 1)
	go func() {
		for _, n := range names[1:] {
			err := error(&Error{code: CodeBoxBusy})
			for coded(err) == CodeBoxBusy {
				_, err = other.Archive(ctx, n, "")
			}
			if err != nil {
				filing <- err
				return
			}
		}
		filing <- nil
	}()
	rebuilt := 0
	for filed := false; !filed; {
		select {
		case err := <-filing:
			f.check(err)
			filed = true
		default:
		}
		switch _, _, err := f.RebuildBox(ctx, "2026/surat.mbox"); coded(err) {
		case "":
			f.check(err)
			rebuilt++
		case CodeBoxBusy:
		default:
			t.Fatal(err)
		}
	}
	r, err := f.VerifyBoxes(ctx)
	f.check(err)
	if len(r.Problems) > 0 || r.Messages != len(names) || rebuilt == 0 {
		t.Errorf("%+v after %d rebuilds", r, rebuilt)
	}
}
