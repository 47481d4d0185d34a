package desk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sandi/agenda"
	"sandi/cmd/internal/vault"
	"sandi/mail/loopback"
)

// bookCopy is a copy of the book as it is now.
func (f *office) bookCopy() []byte {
	f.t.Helper()
	path := f.file("buku.db", nil)
	f.check(f.Book.Snapshot(f.t.Context(), path))
	data, err := os.ReadFile(path)
	f.check(err)
	return data
}

// putBack writes a copy of the book over the present one, as `cat` does: into
// the same file. The desk is closed then.
func (f *office) putBack(book []byte) {
	f.t.Helper()
	f.check(f.Close())
	f.check(os.WriteFile(f.path(bookFile), book, 0o600))
	for _, tail := range []string{"-wal", "-shm"} {
		if err := os.Remove(f.path(bookFile) + tail); !errors.Is(err, os.ErrNotExist) {
			f.check(err)
		}
	}
}

func (f *office) reopened() {
	f.t.Helper()
	d, err := Open(f.t.Context(), f.Dir, f.options())
	f.check(err)
	f.t.Cleanup(func() { d.Close() })
	f.Desk = d
}

// markTold is what doctor, the audit and RestoredSeq say of the book.
type markTold struct {
	Doctor   []Condition
	Audit    []agenda.Problem
	Restored bool
}

func (f *office) markTold() markTold {
	f.t.Helper()
	var told markTold
	conditions, err := f.Doctor(f.t.Context(), DoctorParams{Offline: true})
	f.check(err)
	for _, c := range conditions {
		if c.Area == "book" && c.Level != LevelGood {
			told.Doctor = append(told.Doctor, c)
		}
	}
	audit, err := f.Audit(f.t.Context())
	f.check(err)
	told.Audit = audit.Problems
	seq, err := f.Book.RestoredSeq(f.t.Context())
	f.check(err)
	told.Restored = seq > 0
	return told
}

// alarm is what is told of a book that its mark does not fit.
func alarm(why markState) markTold {
	return markTold{
		Doctor: []Condition{{Area: "book", Why: string(why), Level: LevelBad, Name: sentFile}},
		Audit:  []agenda.Problem{{Kind: "sent", Detail: sentFile + " " + string(why)}},
	}
}

// An older copy of the book, put back over the book, sends nothing again: what
// was in its queue is in doubt, what only waited for `send` is held.
func TestOlderBookSendsNothingAgain(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	f.send(f.signed("jateng"))
	queue := f.attached(2, "jateng", "batang")
	f.queued(queue...)
	waiting := append(f.attached(1, "jateng"), f.signed("batang"))
	old := f.bookCopy()
	f.send(append(slices.Clone(queue), waiting...)...)
	newest := f.bookCopy()
	taken := len(f.gateway.Messages())

	f.putBack(old)
	f.reopened()
	if diff := cmp.Diff(alarm(markBehind), f.markTold()); diff != "" {
		t.Errorf("before the sending: %s", diff)
	}
	res, err := f.Send(t.Context(), SendParams{Due: true, Secrets: right})
	if err != nil || !res.Older || res.Copied || len(res.Doubted) != 4 || len(res.Deliveries) != 0 || len(res.Skipped) != 4 {
		t.Errorf("sending: %+v, %v", res, err)
	}
	for _, n := range waiting {
		_, err := f.Send(t.Context(), SendParams{Names: []agenda.Name{n}, Secrets: right})
		if diff := cmp.Diff(CodeBeforeRestore, coded(err)); diff != "" {
			t.Errorf("%s: %s", n, diff)
		}
	}
	var states []string
	for _, n := range append(slices.Clone(queue), waiting...) {
		states = append(states, f.copyStates(n))
	}
	if diff := cmp.Diff([]string{"doubt doubt", "doubt doubt", "", ""}, states); diff != "" {
		t.Error(diff)
	}
	if n := len(f.gateway.Messages()); n != taken {
		t.Errorf("the gateway took %d messages more", n-taken)
	}
	// Once is enough; and the book that was put away is now the other one.
	if diff := cmp.Diff(markTold{Restored: true}, f.markTold()); diff != "" {
		t.Errorf("after the sending: %s", diff)
	}
	f.putBack(newest)
	f.reopened()
	if diff := cmp.Diff(alarm(markBehind), f.markTold()); diff != "" {
		t.Errorf("the book that was put away: %s", diff)
	}
}

// A copy made in the middle of a sending has its count of sendings; its log
// tells it from the book.
func TestBookOfTheMiddleOfASending(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	names := f.attached(2, "jateng")
	f.queued(names...)
	var middle []byte
	_, err := f.Send(t.Context(), SendParams{Names: names, Secrets: right, Report: func(Delivery) {
		if middle == nil {
			middle = f.bookCopy()
		}
	}})
	f.check(err)
	f.putBack(middle)
	f.reopened()
	if diff := cmp.Diff(alarm(markBehind), f.markTold()); diff != "" {
		t.Error(diff)
	}
}

// A mark that cannot be read counts as one that the book is behind.
func TestSpoiltMark(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.attached(1, "jateng")[0]
	f.queued(n)
	whole, err := os.ReadFile(f.path(sentFile))
	f.check(err)
	for name, text := range map[string][]byte{
		"empty": {}, "cut": whole[:len(whole)-2], "more": append(slices.Clone(whole), "x y\n"...), "negative": []byte("sendings 1\nsize -1\nroot " + agenda.Hash{}.String() + "\n"),
	} {
		f.check(os.WriteFile(f.path(sentFile), text, 0o600))
		if diff := cmp.Diff(alarm(markSpoilt), f.markTold()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	res, err := f.Send(t.Context(), SendParams{Names: []agenda.Name{n}, Secrets: right})
	if err != nil || !res.Older || len(f.gateway.Messages()) != 0 {
		t.Errorf("sending: %+v, %v", res, err)
	}
	if diff := cmp.Diff(markTold{Restored: true}, f.markTold()); diff != "" {
		t.Error(diff)
	}
}

// What a desk goes through raises no alarm: sendings, a rebuilt index, another
// archive key, a mark that was never made, a dry run, a move, a restore.
func TestMarkOfADayIsQuiet(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	quiet := func(what string) {
		t.Helper()
		if diff := cmp.Diff(markTold{}, f.markTold()); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	send := func(what string) {
		t.Helper()
		if res := f.send(f.attached(1, "jateng")...); res.Older || len(res.Deliveries) != 1 {
			t.Errorf("%s: %+v", what, res)
		}
		quiet(what)
	}
	quiet("never sent")
	send("first")
	send("second")
	mark, err := os.ReadFile(f.path(sentFile))
	f.check(err)
	_, err = f.Send(t.Context(), SendParams{Due: true, DryRun: true, Secrets: right})
	f.check(err)
	if now, err := os.ReadFile(f.path(sentFile)); err != nil || string(now) != string(mark) {
		t.Errorf("a dry run wrote %q, %v", now, err)
	}
	f.check(f.Book.Rebuild(t.Context()))
	send("rebuilt")
	_, err = f.ChangeArchiveKey(t.Context(), ArchiveKeyParams{Reason: "uji", Passphrase: pass})
	f.check(err)
	send("another archive key")
	f.check(os.Remove(f.path(sentFile)))
	send("without a mark")
	f.check(f.Book.BeginSending(t.Context())) // and killed before the mark
	send("ahead of the mark")

	key, source := f.archiveKeyOf(), f.backup()
	f.check(f.Close())
	moved := filepath.Join(filepath.Dir(f.Dir), "pindah")
	f.check(os.Rename(f.Dir, moved))
	f.Dir = moved
	f.reopened()
	send("moved")
	f.check(f.Close())
	_, err = f.restore(source, key, moved, func(p *RestoreParams) { p.Older = true })
	f.check(err)
	f.reopened()
	if _, err := os.Stat(f.path(sentFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the restored desk has a mark: %v", err)
	}
	for _, what := range []string{"restored", "restored and sent"} {
		if diff := cmp.Diff(markTold{Restored: true}, f.markTold()); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		if res := f.send(f.attached(1, "jateng")...); res.Older || len(res.Deliveries) != 1 {
			t.Errorf("%s: %+v", what, res)
		}
	}
}

// In a desk whose book is older than its vault, or that is a copy, nothing from
// before is swept: the newer book can be put back, and is whole. What comes to
// nothing later goes as ever.
func TestNothingFromBeforeIsSwept(t *testing.T) {
	t.Parallel()
	c := &clock{t: monday.Add(time.Hour)}
	f := newOffice(t, loopback.Options{})
	f.now, f.opts.Now = c.now, c.now
	f.send(f.attached(1, "jateng")...)
	old := f.bookCopy()
	f.send(f.signed("jateng"))
	newest := f.bookCopy()
	lost := func(text string) string {
		w, err := f.Vault.NewObject()
		f.check(err)
		_, err = w.Write([]byte(text))
		f.check(err)
		sum, _, err := w.Commit()
		f.check(err)
		path := filepath.Join(f.Dir, vault.ObjectPath(sum))
		f.check(os.Chtimes(path, c.now(), c.now()))
		return path
	}
	dated := func() {
		f.check(filepath.WalkDir(f.path("vault"), func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				err = os.Chtimes(path, c.now(), c.now())
			}
			return err
		}))
	}
	sweeps := func() {
		c.set(c.now().Add(25 * time.Hour))
		_, err := f.Send(t.Context(), SendParams{Due: true, Secrets: right})
		f.check(err)
		if st, err := os.Stat(f.path(sendLock)); err != nil || c.now().Sub(st.ModTime()) > time.Hour {
			t.Errorf("not swept: %v", err)
		}
	}
	dated()
	c.set(c.now().Add(25 * time.Hour))
	f.putBack(old)
	f.reopened()
	res, err := f.Send(t.Context(), SendParams{Due: true, Secrets: right})
	if err != nil || !res.Older {
		t.Fatalf("%+v, %v", res, err)
	}
	sweeps()
	later := lost("sisa sesudahnya")
	sweeps()
	if _, err := os.Stat(later); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what came to nothing later: %v", err)
	}
	f.putBack(newest)
	f.reopened()
	audit, err := f.Audit(t.Context())
	f.check(err)
	if diff := cmp.Diff(alarm(markBehind).Audit, audit.Problems); diff != "" {
		t.Errorf("the newer book: %s", diff)
	}
}

// Whichever command is first to see that the book is an older one tells it, and
// takes no decision that was made before.
func TestOlderBookIsToldByWhoeverSeesItFirst(t *testing.T) {
	t.Parallel()
	notice := []byte("From: lain@contoh.test\nSubject: lain\n\nlain\n")
	for name, c := range map[string]struct {
		step func(*office, agenda.Name, func(Found)) error
		code string
	}{
		"cancel": {func(f *office, n agenda.Name, tell func(Found)) error {
			_, err := f.Settle(t.Context(), SettleParams{Name: n, To: agenda.CopyCancelled, Reason: "batal", Found: tell})
			return err
		}, ""},
		"take_back": {func(f *office, n agenda.Name, tell func(Found)) error {
			_, err := f.Settle(t.Context(), SettleParams{Name: n, To: agenda.CopyReady, Reason: "server pulih", Found: tell})
			return err
		}, CodeDoubt},
		"manual": {func(f *office, n agenda.Name, tell func(Found)) error {
			_, _, err := f.Manual(t.Context(), ManualParams{Name: n, Dir: filepath.Join(f.dir, "manual"), Found: tell})
			return err
		}, CodeState},
		"receipts": {func(f *office, _ agenda.Name, tell func(Found)) error {
			res, err := f.Receipts(t.Context(), ReceiptParams{Sources: []string{f.file("lain.eml", notice)}})
			tell(res.Found)
			return err
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newOffice(t, loopback.Options{})
			n := f.attached(1, "jateng")[0]
			if name == "take_back" {
				_, _, err := f.Manual(t.Context(), ManualParams{Name: n, Dir: filepath.Join(f.dir, "webmail"), Secrets: right})
				f.check(err)
			} else {
				f.queued(n)
			}
			old := f.bookCopy()
			f.send(f.attached(1, "jateng")...)
			f.putBack(old)
			f.reopened()
			var found Found
			if err := c.step(f, n, func(x Found) { found = x }); coded(err) != c.code {
				t.Errorf("error %v, want %q", err, c.code)
			}
			want := Found{Doubted: []agenda.CopyRef{{Entry: f.entry(n).ID, Copy: 1}}, Older: true}
			if diff := cmp.Diff(want, found); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			if name == "take_back" && f.copyStates(n) != "doubt" {
				t.Errorf("the copy is %s", f.copyStates(n))
			}
		})
	}
}

// A dry run says what the sending behind it does with an older book, and leaves
// that to it.
func TestDryRunWithAnOlderBook(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	queue := f.attached(2, "jateng", "batang")
	f.queued(queue...)
	waiting := f.attached(1, "jateng")[0]
	old := f.bookCopy()
	f.send(append(slices.Clone(queue), waiting)...)
	f.putBack(old)
	f.reopened()
	size, _, err := f.Book.Head(t.Context())
	f.check(err)
	p := SendParams{Due: true, DryRun: true, Secrets: right}
	dry, err := f.Send(t.Context(), p)
	if err != nil || !dry.Older || dry.Plan.Copies != 0 {
		t.Errorf("dry run: %+v, %v", dry, err)
	}
	_, err = f.Send(t.Context(), SendParams{Names: []agenda.Name{waiting}, DryRun: true, Secrets: right})
	if coded(err) != CodeBeforeRestore {
		t.Errorf("dry run of %s: %v", waiting, err)
	}
	if now, _, err := f.Book.Head(t.Context()); err != nil || now != size {
		t.Errorf("the log grew from %d to %d: %v", size, now, err)
	}
	if diff := cmp.Diff(alarm(markBehind), f.markTold()); diff != "" {
		t.Error(diff)
	}
	p.DryRun = false
	res, err := f.Send(t.Context(), p)
	f.check(err)
	undated := func(list []Delivery) []Delivery {
		list = slices.Clone(list)
		for i := range list {
			list[i].At = time.Time{}
		}
		return list
	}
	if diff := cmp.Diff(undated(res.Skipped), undated(dry.Skipped)); diff != "" {
		t.Errorf("skipped (-sending +dry run):\n%s", diff)
	}
}
