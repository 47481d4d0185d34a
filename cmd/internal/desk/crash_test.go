package desk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	smtp "github.com/emersion/go-smtp"

	"sandi/agenda"
	"sandi/mail/loopback"
)

// A child process does one step on a desk, so that it can be killed. It is
// this test binary again; TestMain takes the turn.
const (
	childStep  = "SANDI_TEST_STEP"
	childDesk  = "SANDI_TEST_DESK"
	childEntry = "SANDI_TEST_ENTRY"
	childFile  = "SANDI_TEST_FILE"
)

func TestMain(m *testing.M) {
	if step := os.Getenv(childStep); step != "" {
		if err := child(step); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// later is when the children work: an hour into the Monday.
var later = monday.Add(time.Hour)

func child(step string) error {
	ctx := context.Background()
	d, err := Open(ctx, os.Getenv(childDesk), Options{Now: (&clock{t: later}).now, Cost: cheap})
	if err != nil {
		return err
	}
	defer d.Close()
	name, err := agenda.ParseName(os.Getenv(childEntry), 2026)
	if err != nil {
		return err
	}
	switch step {
	case "add":
		_, err = d.Book.Register(ctx, d.Nobody(), agenda.Registration{Once: "skrip-7", Letter: agenda.Letter{
			Class: agenda.ClassRahasia, Urgency: agenda.UrgencyBiasa, Applicant: "umum",
			Number: "800/9", Date: "2026-11-20", Subject: "Uji", To: []string{"jateng"},
		}})
	case "encrypt":
		_, err = d.Encrypt(ctx, EncryptParams{Name: name, Documents: []string{os.Getenv(childFile)}, Secrets: right})
	case "sign":
		_, err = d.Sign(ctx, SignParams{Name: name, Secrets: right})
	case "return":
		_, err = d.Return(ctx, ReturnParams{Name: name, Reason: "tujuan tidak sesuai", Secrets: right})
	case "attach":
		_, err = d.Attach(ctx, AttachParams{Name: name, Files: []string{os.Getenv(childFile)}})
	case "send":
		var res SendResult
		res, err = d.Send(ctx, SendParams{Names: []agenda.Name{name}, Secrets: right})
		err = errors.Join(err, res.Down)
	case "archive":
		_, err = d.Archive(ctx, name, "")
	case "archive parts":
		var sent []agenda.Entry
		if sent, err = d.Book.List(ctx, agenda.Filter{States: []agenda.State{agenda.StateSent}}); err == nil && len(sent) > 0 {
			err = errors.Join(d.file(ctx, boxName(sent[0]), "", sent, 1)...)
		}
	case "report":
		_, err = d.ReportResult(ctx, []agenda.Name{name}, "")
	case "mail":
		var plan MailPlan
		plan, err = d.MailReports(ctx, MailParams{Names: []agenda.Name{name}, To: ToApplicant, Secrets: right})
		var leaving []agenda.Name
		for _, r := range plan.New {
			leaving = append(leaving, r.Name)
		}
		for _, b := range plan.Before {
			leaving = append(leaving, b.Entry.Name)
		}
		if err == nil {
			var res SendResult
			res, err = d.Send(ctx, SendParams{Names: leaving, Secrets: right})
			err = errors.Join(err, res.Down)
		}
	case "open":
		_, err = Receive(ctx, nil, ReceiveParams{
			Source: os.Getenv(childFile), KeyFile: os.Getenv(childFile) + ".key", Out: filepath.Join(os.Getenv(childDesk), "naskah"), Secrets: right,
			Signers: []SignerFile{
				{Role: agenda.RoleSandiman, File: os.Getenv(childFile) + ".sandiman"}, {Role: agenda.RoleKepalaSeksi, File: os.Getenv(childFile) + ".kasi"},
			},
		}, Options{Now: (&clock{t: later}).now})
	case "officer":
		role := agenda.RoleGrant{Role: agenda.RoleSandiman, Kind: "tetap"}
		out := os.Getenv(childFile)
		if out != "" {
			role.Role = agenda.RoleKepalaBidang
			out = filepath.Join(os.Getenv(childDesk)+out, "baru.key")
		}
		_, err = d.AddOfficer(ctx, OfficerParams{
			Officer: agenda.Officer{Handle: "baru", Name: "Pejabat baru", NIP: "19800109"}, Roles: []agenda.RoleGrant{role},
			NewKey: true, KeyOut: out, Passphrase: pass,
		})
	case "archive-key":
		_, err = d.ChangeArchiveKey(ctx, ArchiveKeyParams{Reason: "uji", Passphrase: pass})
	case "void":
		e, err := d.Book.Entry(ctx, name)
		if err != nil {
			return err
		}
		return d.Book.Void(ctx, d.Nobody(), e.ID, e.Last, "salah ketik", "Kepala Seksi")
	default:
		err = errors.New("unknown step " + step)
	}
	return err
}

// stage is a desk as it stands before a step, to be copied for every kill.
type stage struct {
	f     *office
	step  string
	entry agenda.Name
	file  string
	// left sees what the kill left, before the step is tried again; nil: nobody looks.
	left func(t *testing.T, f *office)
}

func (s stage) copyDesk(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "desk")
	if out, err := exec.Command("cp", "-a", s.f.Dir, dir).CombinedOutput(); err != nil {
		t.Fatalf("copy desk: %v: %s", err, out)
	}
	if err := os.Mkdir(dir+".media", 0o700); err != nil { // a medium of somebody's own
		t.Fatal(err)
	}
	return dir
}

func (s stage) command(t *testing.T, dir string, wrap ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	argv := append(wrap, self)
	c := exec.Command(argv[0], argv[1:]...)
	c.Env = append(os.Environ(), childStep+"="+s.step, childDesk+"="+dir, childEntry+"="+s.entry.String(), childFile+"="+s.file, "GOMAXPROCS=1")
	return c
}

// reopen opens a desk after a crash, as the next command would.
func reopen(t *testing.T, f *office, dir string) *office {
	t.Helper()
	d, err := Open(t.Context(), dir, Options{Now: (&clock{t: later.Add(time.Hour)}).now, Cost: cheap})
	if err != nil {
		t.Fatalf("desk after the crash: %v", err)
	}
	t.Cleanup(func() { d.Close() })
	return &office{Desk: d, t: t, dir: f.dir, now: f.now, gateway: f.gateway, since: f.since, keys: f.keys}
}

// durableCalls are the system calls by which a step becomes durable.
var durableCalls = []string{"fsync", "fdatasync", "pwrite64", "renameat,rename,renameat2", "linkat", "unlinkat,unlink", "ftruncate", "fchmod,fchmodat"}

// sweep kills a step at every durable system call, one after the other, lets
// the step be tried again and hands the desk to check.
func sweep(t *testing.T, s stage, check func(t *testing.T, f *office, again error)) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed")
	}
	if testing.Short() {
		t.Skip("kills at every durable call take minutes")
	}
	kills := 0
	for _, call := range durableCalls {
		for n, survived := 1, 0; survived < 2; n++ {
			dir := s.copyDesk(t)
			s.f.since = len(s.f.gateway.Messages())
			if s.killedAt(t, dir, call, n) {
				kills++
				survived = 0
			} else {
				survived++
			}
			if s.left != nil {
				s.left(t, reopen(t, s.f, dir))
			}
			out, err := s.command(t, dir).CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%w: %s", err, out)
			}
			f := reopen(t, s.f, dir)
			check(t, f, err)
			f.audited()
			if t.Failed() {
				t.Fatalf("after a kill at %s number %d", call, n)
			}
			f.Desk.Close()
			os.RemoveAll(dir)
			os.RemoveAll(dir + ".media")
		}
	}
	if kills < 3 {
		t.Fatalf("only %d kills hit the step", kills)
	}
	t.Logf("%d kills", kills)
}

// killedAt runs the step under strace and kills it at the n-th call; false
// means that the step came to its end before.
func (s stage) killedAt(t *testing.T, dir, call string, n int) bool {
	t.Helper()
	var told bytes.Buffer
	c := s.command(t, dir, "strace", "-f", "-o", "/dev/null", "-e", "trace="+call,
		"-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, n))
	c.Stderr = &told
	err := c.Run()
	if err != nil && !killed(err) {
		t.Fatalf("%s before kill %d: %v: %s", call, n, err, told.String())
	}
	return err != nil
}

func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && (status.Signaled() && status.Signal() == syscall.SIGKILL || status.ExitStatus() == 128+int(syscall.SIGKILL))
}

func TestCrashAdd(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	f.classified("jateng")
	sweep(t, stage{f: f, step: "add", entry: agenda.Name{Book: agenda.Kriptogram, Serial: 1, Year: 2026}}, func(t *testing.T, f *office, again error) {
		if again != nil {
			t.Errorf("again: %v", again)
		}
		list, err := f.Book.List(t.Context(), agenda.Filter{Book: agenda.Kriptogram})
		if err != nil || len(list) != 2 || list[1].Name.Serial != 2 {
			t.Errorf("%d entries (%v), want K1 and K2 alone", len(list), err)
		}
	})
}

func TestCrashEncrypt(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.classified("jateng", "batang")
	doc := f.file("surat.pdf", plainLetter)
	sweep(t, stage{f: f, step: "encrypt", entry: n, file: doc}, func(t *testing.T, f *office, again error) {
		e := f.entry(n)
		if e.State != agenda.StateDrafted || e.Draft != 1 {
			t.Errorf("state %s, draft %d (%v)", e.State, e.Draft, again)
		}
		if _, err := f.Pending(t.Context(), n); err != nil {
			t.Errorf("the draft cannot be signed: %v", err)
		}
		noPlaintext(t, f.Dir)
	})
}

func TestCrashSign(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.encrypted("jateng")
	sweep(t, stage{f: f, step: "sign", entry: n}, func(t *testing.T, f *office, again error) {
		if e := f.entry(n); e.State != agenda.StateSigned {
			t.Errorf("state %s (%v)", e.State, again)
		}
	})
}

func TestCrashReturn(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.encrypted("jateng")
	sweep(t, stage{f: f, step: "return", entry: n}, func(t *testing.T, f *office, again error) {
		if e := f.entry(n); e.State != agenda.StateRegistered || e.Draft != 1 || e.Returned == nil {
			t.Errorf("state %s, draft %d (%v)", e.State, e.Draft, again)
		}
	})
}

func TestCrashSend(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.signed("jateng", "batang")
	seen := map[string]int{}
	sweep(t, stage{f: f, step: "send", entry: n}, func(t *testing.T, f *office, _ error) { afterSend(t, f, n, seen) })
}

// After the kill the copy of the book that was made just before the sending is
// put back. What is in the queue leaves without an event: the log tells nothing.
func TestCrashSendAndOlderBook(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.attached(1, "jateng")[0]
	f.queued(n)
	old := f.bookCopy()
	states := map[string]int{}
	left := func(_ *testing.T, f *office) { f.putBack(old) }
	sweep(t, stage{f: f, step: "send", entry: n, left: left}, func(t *testing.T, f *office, again error) {
		f.judged()
		if n := len(f.gateway.Messages()) - f.since; again != nil || n > 1 {
			t.Errorf("the gateway took it %d times (%v)", n, again)
		}
		states[f.copyStates(n)]++
	})
	if states["doubt"] == 0 || states["accepted"] == 0 || len(states) != 2 {
		t.Errorf("left %v", states)
	}
}

// afterSend asks the oracle and demands that the one number was given, once.
func afterSend(t *testing.T, f *office, n agenda.Name, seen map[string]int) {
	t.Helper()
	f.judged()
	e := f.entry(n)
	if e.Number != "001" || f.numbers() != 1 {
		t.Errorf("%d numbers, entry has %q: want exactly 001", f.numbers(), e.Number)
	}
	if seq, err := f.Book.RestoredSeq(t.Context()); err != nil || seq != 0 {
		t.Errorf("taken for an older book (%d, %v)", seq, err)
	}
	for _, c := range e.Copies {
		seen[string(c.State)]++
	}
}

// boxesAreSound sees that what a filing left is not taken for somebody's hand.
func boxesAreSound(t *testing.T, f *office) {
	t.Helper()
	defer f.Desk.Close()
	r, err := f.VerifyBoxes(t.Context())
	f.check(err)
	for _, p := range r.Problems {
		if p.Why != BoxMode { // of the open, which the next one mends
			t.Errorf("left behind: %+v", p)
		}
	}
}

func TestCrashArchive(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.signed("jateng", "batang")
	f.send(n)
	sweep(t, stage{f: f, step: "archive", entry: n, left: boxesAreSound}, func(t *testing.T, f *office, again error) {
		e := f.entry(n)
		if e.State != agenda.StateArchived || e.Archived == nil || len(e.Archived.Copies) != 2 {
			t.Errorf("state %s (%v)", e.State, again)
			return
		}
		box, err := os.Stat(f.path(boxFolder, e.Archived.Box))
		end, berr := f.Book.BoxEnd(t.Context(), e.Archived.Box)
		if err != nil || berr != nil || box.Size() != end || box.Mode().Perm() != 0o400 {
			t.Errorf("box: %v %v, size %d, recorded %d", box.Mode(), errors.Join(err, berr), box.Size(), end)
		}
	})
}

// Several letters, each recorded while the next is appended.
func TestCrashArchiveInParts(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	names := f.attached(3, "jateng")
	f.send(names...)
	sweep(t, stage{f: f, step: "archive parts", entry: names[0], left: boxesAreSound}, func(t *testing.T, f *office, again error) {
		for _, n := range names {
			if e := f.entry(n); e.State != agenda.StateArchived || e.Archived == nil {
				t.Errorf("%s is %s (%v)", n, e.State, again)
				return
			}
		}
		f.boxHoldsOnly(names)
	})
}

func TestCrashReport(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.signed("jateng")
	f.send(n)
	sweep(t, stage{f: f, step: "report", entry: n}, func(t *testing.T, f *office, again error) {
		if e := f.entry(n); e.State != agenda.StateReported {
			t.Errorf("state %s (%v)", e.State, again)
		}
	})
}

// A crash never leaves a report accepted and not recorded, and the next run
// never mails a second one.
func TestCrashMail(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{}).withReaders()
	n := f.filed("jateng")
	seen := map[string]int{}
	check := func(t *testing.T, f *office, again error) {
		list, err := f.Book.List(t.Context(), agenda.Filter{Book: agenda.Laporan})
		if err != nil || len(list) != 1 {
			t.Errorf("%d reports (%v, %v), want L1 alone", len(list), err, again)
			return
		}
		c := list[0].Copies[0]
		at := 0
		for _, m := range f.gateway.Messages() {
			if id, _, _ := strings.Cut(c.MessageID, "@"); m.EnvelopeID == id {
				at++
			}
		}
		e := f.entry(n)
		switch {
		case at > 1:
			t.Errorf("the server took it %d times", at)
		case c.State == agenda.CopyAccepted && (at != 1 || len(e.Reports) != 1 || e.Reports[0].By != list[0].ID):
			t.Errorf("accepted: %d at the server, reports %+v", at, e.Reports)
		case c.State != agenda.CopyAccepted && c.State != agenda.CopyDoubt, c.State == agenda.CopyDoubt && len(e.Reports) != 0:
			t.Errorf("copy %s, reports %+v (%v)", c.State, e.Reports, again)
		}
		seen[string(c.State)]++
	}
	// strace counts the calls of each thread, so on a busy machine a sweep may
	// end before it has hit between the dot and what is recorded of its reply.
	for try := 0; try < 3 && (seen["accepted"] == 0 || seen["doubt"] == 0); try++ {
		sweep(t, stage{f: f, step: "mail", entry: n}, check)
	}
	if seen["accepted"] == 0 || seen["doubt"] == 0 {
		t.Errorf("states seen: %v", seen)
	}
}

func TestCrashAttach(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.ordinary("jateng")
	scan := f.file("scan.pdf", []byte("%PDF-1.4\nisi pindaian"))
	sweep(t, stage{f: f, step: "attach", entry: n, file: scan}, func(t *testing.T, f *office, again error) {
		if e := f.entry(n); e.State != agenda.StateAttached || len(e.Attachments) != 1 {
			t.Errorf("state %s, %d scans (%v)", e.State, len(e.Attachments), again)
		}
	})
}

func TestCrashVoid(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.encrypted("jateng")
	sweep(t, stage{f: f, step: "void", entry: n}, func(t *testing.T, f *office, _ error) {
		if e := f.entry(n); e.State != agenda.StateVoid {
			t.Errorf("state %s", e.State)
		}
		f.classified("jateng")
		if e := f.entry(agenda.Name{Book: agenda.Kriptogram, Serial: 2, Year: 2026}); e.State != agenda.StateRegistered {
			t.Errorf("the next serial is not 2")
		}
	})
}

// A process that dies between the final dot and the reply leaves doubt,
// whether the server stored the message or not, and is never resent by
// itself.
func TestCrashBetweenDotAndReply(t *testing.T) {
	t.Parallel()
	for _, stored := range []bool{true, false} {
		t.Run(fmt.Sprintf("stored_%v", stored), func(t *testing.T) {
			t.Parallel()
			victim := make(chan *os.Process, 1)
			hook := func(stage, _ string) *smtp.SMTPError {
				if stage != "dot" {
					return nil
				}
				select {
				case p := <-victim:
					p.Kill()
					p.Wait()
				default:
				}
				if stored {
					return nil
				}
				return &smtp.SMTPError{Code: 451, Message: "busy"}
			}
			f := newOffice(t, loopback.Options{Hook: hook})
			n := f.signed("jateng")
			f.Desk.Close()
			s := stage{f: f, step: "send", entry: n}
			c := s.command(t, f.Dir)
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			victim <- c.Process
			c.Wait()
			after := reopen(t, f, f.Dir)
			for range 2 {
				res, err := after.Send(t.Context(), SendParams{Names: []agenda.Name{n}, Secrets: right})
				if err != nil {
					t.Fatal(err)
				}
				if len(res.Deliveries) != 0 {
					t.Errorf("resent out of doubt: %+v", res.Deliveries)
				}
			}
			e := after.entry(n)
			if e.State != agenda.StateReleased || e.Copies[0].State != agenda.CopyDoubt {
				t.Errorf("entry %s, copy %s, want released and doubt", e.State, e.Copies[0].State)
			}
			want := 0
			if stored {
				want = 1
			}
			// The server goes on after its client died: give it time to store.
			got := len(f.gateway.Messages())
			for end := time.Now().Add(10 * time.Second); got < want && time.Now().Before(end); got = len(f.gateway.Messages()) {
				time.Sleep(5 * time.Millisecond)
			}
			if got != want {
				t.Errorf("server has %d messages, want %d", got, want)
			}
			after.judged()
		})
	}
}

// A process that dies while it opens a letter leaves no plaintext: the file
// has no name until everything about it is good.
func TestCrashOpen(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed")
	}
	if testing.Short() {
		t.Skip("kills at every call take minutes")
	}
	f := newOffice(t, loopback.Options{})
	f.send(f.signed("jateng"))
	eml := f.file("x.eml", f.gateway.Messages()[0].Data)
	for name, from := range map[string]string{"key": f.keys["jateng"], "sandiman": f.certificate("sandiman"), "kasi": f.certificate("kasi")} {
		data, err := os.ReadFile(from)
		f.check(err)
		f.file("x.eml."+name, data)
	}
	s := stage{f: f, step: "open", entry: agenda.Name{Book: agenda.Kriptogram, Serial: 1, Year: 2026}, file: eml}
	kills := 0
	for _, call := range []string{"write", "fsync", "linkat,link", "openat", "close"} {
		for n, survived := 1, 0; survived < 2; n++ {
			dir := s.copyDesk(t)
			if s.killedAt(t, dir, call, n) {
				kills++
				survived = 0
			} else {
				survived++
			}
			plain, err := os.ReadFile(filepath.Join(dir, "naskah"))
			if err == nil && !bytes.Equal(plain, plainLetter) {
				t.Fatalf("a part of the plaintext after a kill at %s number %d", call, n)
			}
			if err != nil {
				noPlaintext(t, dir)
			}
			os.RemoveAll(dir)
			os.RemoveAll(dir + ".media")
		}
	}
	if kills < 10 {
		t.Fatalf("only %d kills hit the step", kills)
	}
	t.Logf("%d kills", kills)
}

// noPlaintext searches every file of a desk for the marker of the letter.
func noPlaintext(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(data, []byte("NASKAH TERANG PENANDA")) {
			t.Errorf("plaintext in %s", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
