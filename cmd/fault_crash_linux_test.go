package cmd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	smtp "github.com/emersion/go-smtp"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/oracle"
	"sandi/mail/loopback"
)

// site is a rig whose program runs as a process of its own, so that it can be killed and its system calls can fail.
type site struct {
	*rig
	gateway  *loopback.Server
	stored   string // the desk as it stands before a run
	at       int64  // the clock then
	clean    int    // what the gateway took before the desk was put back
	unsynced bool   // the run at hand had a sync that failed
}

// newSite makes an office with a gateway on a port of its own; letters come later.
func newSite(t *testing.T, o loopback.Options, set ...string) *site {
	t.Helper()
	r := newRig(t, set...)
	s := &site{rig: r, gateway: r.gateway(o)}
	r.dial = to(s.gateway.Addr())
	r.must("config", "set", "gateway.address", s.gateway.Addr())
	return s
}

// store remembers the desk; restore puts it back.
func (s *site) store() {
	s.Helper()
	s.stored = filepath.Join(s.dir, "semula")
	s.copyTree(s.desk, s.stored)
	s.at = s.clock.Load()
}

func (s *site) restore() {
	s.Helper()
	s.check(os.RemoveAll(s.desk))
	s.copyTree(s.stored, s.desk)
	s.clock.Store(s.at)
	s.clean, s.taken = len(s.gateway.Messages()), nil
}

func (s *site) copyTree(from, to string) {
	s.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		s.Fatalf("copy: %v: %s", err, out)
	}
}

// command is the program in a process of its own, a minute later than the one before.
func (s *site) command(wrap []string, args ...string) *exec.Cmd {
	s.Helper()
	program, err := exec.LookPath("sandi")
	s.check(err)
	argv := append(append(wrap, program, "--lang", "id", "--yes", "--desk", s.desk, "--passphrase-fd", "0"), args...)
	c := exec.CommandContext(s.Context(), argv[0], argv[1:]...)
	c.Dir = s.dir
	c.Stdin = strings.NewReader(strings.Repeat(testPhrase+"\n", 4))
	c.Env = append(os.Environ(), "SANDI_TEST_NOW="+time.Unix(0, s.clock.Add(int64(time.Minute))).Format(time.RFC3339), "SANDI_TEST_PLACE=here", "GOMAXPROCS=1", "SANDI_AS=", "SANDI_LANG=")
	return c
}

// run runs it to its end, or to the end that somebody makes, and says how: exit is -1 for a process that was killed.
func (s *site) run(wrap []string, args ...string) (stdout, stderr string, exit int) {
	s.Helper()
	var out, talk bytes.Buffer
	c := s.command(wrap, args...)
	c.Stdout, c.Stderr = &out, &talk
	exit = exitOf(s, c.Run())
	s.clock.Add(int64(time.Minute)) // whatever the process wrote lies before
	return out.String(), talk.String(), exit
}

// exitOf is the exit status, -1 for a process that was killed.
func exitOf(t testing.TB, err error) int {
	t.Helper()
	var ended *exec.ExitError
	if err == nil {
		return 0
	}
	if !errors.As(err, &ended) {
		t.Fatal(err)
	}
	status, ok := ended.Sys().(syscall.WaitStatus)
	if ended.ExitCode() == 128+int(syscall.SIGKILL) || ok && status.Signaled() {
		return -1
	}
	return ended.ExitCode()
}

// agree asks the oracle about a run that ended; a killed one told nothing that must hold to the end.
func (s *site) agree(stdout, stderr string, exit int) {
	s.Helper()
	s.taken = s.gateway.Messages()[s.clean:]
	var told *oracle.Told
	if exit >= 0 {
		var err error
		told, err = oracle.Hear(stdout, stderr, exit)
		s.check(err)
		told.Unsynced = s.unsynced
	}
	s.judge(told)
}

// injected is strace around the program, with a fault at the n-th of some system calls.
func injected(calls, fault string, n int, log string) []string {
	return []string{"strace", "-f", "--seccomp-bpf", "-y", "-o", log, "-e", "trace=pwrite64," + calls, "-e", fmt.Sprintf("inject=%s:%s:when=%d", calls, fault, n)}
}

func needStrace(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed")
	}
	if testing.Short() {
		t.Skip("a process for every system call")
	}
}

// steps are the numbers of the calls to hit: each with -dense, else about so many of all.
func steps(all, about int) (list []int) {
	step := max(1, all/about)
	if *dense {
		step = 1
	}
	for n := 1; n <= all; n += step {
		list = append(list, n)
	}
	return append(list, all)
}

// count runs once without a fault and counts the calls of the busiest thread: strace counts by thread.
func (s *site) count(calls string, args ...string) int {
	s.Helper()
	log := filepath.Join(s.dir, "panggilan")
	out, talk, exit := s.run([]string{"strace", "-f", "--seccomp-bpf", "-o", log, "-e", "trace=" + calls}, args...)
	if exit != 0 {
		s.Fatalf("%v: status %d\n%s%s", args, exit, out, talk)
	}
	s.agree("", "", -1)
	data, err := os.ReadFile(log)
	s.check(err)
	n, threads := 0, map[string]int{}
	for _, m := range callLine.FindAllSubmatch(data, -1) {
		threads[string(m[1])]++
		n = max(n, threads[string(m[1])])
	}
	if n == 0 {
		s.Fatalf("no call of %s", calls)
	}
	return n
}

var callLine = regexp.MustCompile(`(?m)^(\d+) +\w+\(`)

// once demands that in the end everything was taken exactly once, after a second run and what a person decides on doubts.
func (s *site) once(args ...string) {
	s.Helper()
	s.agree(s.run(nil, args...))
	s.resolve()
	if len(s.open()) > 0 {
		s.agree(s.run(nil, args...))
	}
	took := map[string]int{}
	for _, m := range s.taken {
		took[m.EnvelopeID]++
	}
	copies := 0
	s.entries(func(e agenda.Entry) {
		for _, c := range e.Copies {
			copies++
			id, _, _ := strings.Cut(c.MessageID, "@")
			if c.State != agenda.CopyAccepted && c.State != agenda.CopyEvidenced || took[id] != 1 {
				s.Errorf("%s copy %d is %q, taken %d times", e.Name, c.Copy, c.State, took[id])
			}
		}
	})
	if copies != len(s.taken) || copies == 0 {
		s.Errorf("%d copies, %d taken", copies, len(s.taken))
	}
}

// watched runs the program and kills it as soon as the n-th change of the book or of the vault is seen; n 0 lets it live. It returns
// the number of changes seen.
func (s *site) watched(n int, args ...string) (seen int, stdout, stderr string, exit int) {
	s.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	s.check(err)
	events := os.NewFile(uintptr(fd), "inotify")
	for _, dir := range []string{".", "vault", "vault/tmp"} {
		_, err := syscall.InotifyAddWatch(fd, filepath.Join(s.desk, dir), syscall.IN_MODIFY|syscall.IN_CREATE|syscall.IN_MOVED_TO|syscall.IN_DELETE)
		s.check(err)
	}
	var out, talk bytes.Buffer
	c := s.command(nil, args...)
	c.Stdout, c.Stderr = &out, &talk
	s.check(c.Start())
	counted := make(chan int)
	go func() {
		buf, total := make([]byte, 4096), 0
		for {
			k, err := events.Read(buf)
			if err != nil {
				counted <- total
				return
			}
			for at := 0; at < k; at += syscall.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(buf[at+12:])) {
				if total++; total == n {
					c.Process.Kill()
				}
			}
		}
	}()
	err = c.Wait()
	s.check(events.Close())
	seen = <-counted
	s.clock.Add(int64(time.Minute))
	return seen, out.String(), talk.String(), exitOf(s, err)
}

// TestKilledWithSeveralConnections kills `send` at the changes that it makes to book and vault, while four couriers carry letters
// and a kriptogram.
func TestKilledWithSeveralConnections(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a process for every change")
	}
	s := newSite(t, loopback.Options{}, "gateway.connections", "4", "gateway.per_connection", "2")
	s.enter(12, 9)
	name := s.signed("jateng,batang")
	s.store()
	args := []string{"send", name, "S1-S12"}
	all, out, talk, exit := s.watched(0, args...)
	s.agree(out, talk, exit)
	kills := 0
	for _, n := range steps(all, 16) {
		s.restore()
		_, out, talk, exit := s.watched(n, args...)
		if exit == -1 {
			kills++
		}
		s.agree(out, talk, exit)
		s.once(args...)
		if t.Failed() {
			t.Fatalf("after a kill at change %d of %d", n, all)
		}
	}
	if kills < 3 {
		t.Errorf("only %d kills hit", kills)
	}
	t.Logf("%d kills at %d changes", kills, all)
}

// TestBatchKilledAtItsCommits kills `send --batch` while it writes; the same command again brings every letter once, and no row
// twice into the book.
func TestBatchKilledAtItsCommits(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a process for every change")
	}
	s := newSite(t, loopback.Options{}, "gateway.connections", "2")
	s.check(os.WriteFile(filepath.Join(s.dir, "surat.csv"), []byte("pemohon;nomor_surat;tgl_surat;perihal;klasifikasi;tujuan;berkas\n"+
		"Bagian Umum;005/1;20-11-2026;Undangan;biasa;jateng;pindaian.pdf\n"+
		"Bagian Umum;800/1;20-11-2026;Rencana;rahasia;jateng;surat.pdf\n"+
		"Bagian Umum;005/2;20-11-2026;Undangan;biasa;batang;pindaian.pdf\n"+
		"Bagian Umum;005/3;20-11-2026;Undangan;biasa;jateng,batang;pindaian.pdf\n"), 0o600))
	s.store()
	args := []string{"send", "--batch", "surat.csv"}
	all, _, talk, exit := s.watched(0, args...)
	if exit != 0 {
		t.Fatalf("status %d: %s", exit, talk)
	}
	s.wholeBatch()
	kills := 0
	for _, n := range steps(all, 16) {
		s.restore()
		if _, _, _, exit := s.watched(n, args...); exit == -1 {
			kills++
		}
		s.agree("", "", -1)
		s.run(nil, args...)
		s.agree("", "", -1)
		s.resolve()
		if len(s.open()) > 0 {
			s.run(nil, args...)
		}
		s.wholeBatch()
		s.judge(nil)
		if t.Failed() {
			t.Fatalf("after a kill at change %d of %d", n, all)
		}
	}
	if kills < 3 {
		t.Errorf("only %d kills hit", kills)
	}
	t.Logf("%d kills at %d changes", kills, all)
}

// wholeBatch demands the four rows of the table in the book, the letters sent and taken once, the kriptogram drafted once.
func (s *site) wholeBatch() {
	s.Helper()
	s.taken = s.gateway.Messages()[s.clean:]
	var got []string
	s.entries(func(e agenda.Entry) { got = append(got, fmt.Sprintf("%s %s %d", e.Name, e.State, e.Draft)) })
	if want := "S1 sent 0,K1 drafted 1,S2 sent 0,S3 sent 0"; strings.Join(got, ",") != want {
		s.Errorf("the book holds %q, want %q", got, want)
	}
	took := map[string]int{}
	for _, m := range s.taken {
		took[m.EnvelopeID]++
	}
	if len(took) != 4 || len(s.taken) != 4 {
		s.Errorf("%d messages taken, %d of them different, want 4", len(s.taken), len(took))
	}
}

// TestDiskFaults lets calls of a sending fail: a disk that is full, one that gives errors. The process ends without a further sync
// of the book, tells what is uncertain, and with a good disk the sending goes on.
func TestDiskFaults(t *testing.T) {
	t.Parallel()
	needStrace(t)
	s := newSite(t, loopback.Options{}, "gateway.connections", "2")
	s.enter(3, 9)
	name := s.signed("jateng")
	s.store()
	args := []string{"send", name, "S1-S3"}
	failed := 0
	for _, c := range []struct {
		calls, fault string
		about        int
	}{
		{"fsync,fdatasync", "error=EIO", 6},
		{"pwrite64", "error=ENOSPC", 6},
		{"rename,renameat,renameat2", "error=ENOSPC", 2},
	} {
		s.restore()
		all := s.count(c.calls, args...)
		for _, n := range steps(all, c.about) {
			s.restore()
			log := filepath.Join(s.dir, "panggilan")
			out, talk, exit := s.run(injected(c.calls, c.fault, n, log), args...)
			if exit != 0 {
				failed++
				if exit == 2 || strings.Contains(talk, "goroutine ") {
					t.Errorf("a panic: %s", talk)
				}
			}
			s.unsynced = strings.HasPrefix(c.calls, "fsync")
			s.agree(out, talk, exit)
			if s.unsynced {
				noRetry(t, log)
			}
			s.unsynced = false
			s.once(args...)
			if t.Failed() {
				t.Fatalf("after %s at %s number %d: status %d\n%s%s", c.fault, c.calls, n, exit, out, talk)
			}
		}
	}
	if failed < 4 {
		t.Errorf("only %d runs felt the fault", failed)
	}
	t.Logf("%d runs failed", failed)
}

// noRetry demands that nothing is written into a file any more once its sync has failed. The book is still folded when it is closed:
// what commits before had synced.
func noRetry(t *testing.T, log string) {
	t.Helper()
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	broken := ""
	for line := range strings.Lines(string(data)) {
		_, file, _ := strings.Cut(line, "<")
		file, _, _ = strings.Cut(file, ">")
		switch {
		case strings.Contains(line, "(INJECTED)"):
			broken = file
		case broken != "" && file == broken && strings.Contains(line, "pwrite64("):
			t.Errorf("written again after its sync had failed: %s", line)
		}
	}
}

// TestReadOnlyDesk: a desk that cannot be written sends nothing, and says so.
func TestReadOnlyDesk(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		if _, err := exec.LookPath("setpriv"); err != nil {
			t.Skip("as root nothing is read-only, and setpriv is not installed")
		}
	}
	s := newSite(t, loopback.Options{})
	s.enter(1, 9)
	var wrap []string
	s.check(filepath.WalkDir(s.desk, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := os.FileMode(0o400)
		if e.IsDir() {
			mode = 0o500
		}
		return os.Chmod(path, mode)
	}))
	if os.Getuid() == 0 {
		wrap = []string{"setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-dac_override,-dac_read_search"}
	}
	out, talk, exit := s.run(wrap, "send", "S1")
	if exit == 0 || len(s.gateway.Messages()) != 0 || !strings.Contains(talk, "Gagal") && !strings.Contains(talk, "Ditolak") {
		t.Errorf("status %d, %d taken\n%s%s", exit, len(s.gateway.Messages()), out, talk)
	}
	s.check(filepath.WalkDir(s.desk, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := os.FileMode(0o600)
		if e.IsDir() {
			mode = 0o700
		}
		return os.Chmod(path, mode)
	}))
	s.once("send", "S1")
}

// TestKilledAtTheDot kills the process between the final dot and its reply, with several letters on their way.
func TestKilledAtTheDot(t *testing.T) {
	t.Parallel()
	for _, stored := range []bool{true, false} {
		t.Run(strconv.FormatBool(stored), func(t *testing.T) {
			t.Parallel()
			victim := make(chan *os.Process, 1)
			s := newSite(t, loopback.Options{Hook: func(stage, _ string) *smtp.SMTPError {
				if stage != "dot" {
					return nil
				}
				select {
				case p := <-victim:
					p.Kill()
					if !stored {
						return &smtp.SMTPError{Code: 451, Message: "busy"}
					}
				default:
				}
				return nil
			}}, "gateway.connections", "2")
			s.enter(6, 9)
			c := s.command(nil, "send", "S1-S6")
			s.check(c.Start())
			victim <- c.Process
			c.Wait()
			s.clock.Add(int64(time.Minute))
			s.read(func(d *desk.Desk) {}) // the next command can open it
			out, talk, exit := s.run(nil, "send", "S1-S6")
			if exit != exitDoubt || !strings.Contains(talk, "Belum pasti") || !strings.Contains(talk, "--resolve") {
				t.Errorf("status %d\n%s%s", exit, out, talk)
			}
			s.agree(out, talk, exit)
			s.once("send", "S1-S6")
		})
	}
}
