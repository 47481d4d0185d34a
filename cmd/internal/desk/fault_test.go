//go:build unix

package desk

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	smtp "github.com/emersion/go-smtp"

	"sandi/agenda"
	"sandi/mail"
	"sandi/mail/loopback"
)

// A machine that falls asleep in the middle of a delivery wakes up to one copy
// at the server and one in the book.
func TestAsleepInTheData(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"mail", "data", "dot"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			sleeper := make(chan *os.Process, 1)
			f := newOffice(t, loopback.Options{Hook: func(stage, _ string) *smtp.SMTPError {
				if stage != at {
					return nil
				}
				select {
				case p := <-sleeper:
					p.Signal(syscall.SIGSTOP)
					time.AfterFunc(300*time.Millisecond, func() { p.Signal(syscall.SIGCONT) })
				default:
				}
				return nil
			}})
			n := f.signed("jateng")
			f.Desk.Close()
			c := stage{f: f, step: "send", entry: n}.command(t, f.Dir)
			var told bytes.Buffer
			c.Stderr = &told
			f.check(c.Start())
			sleeper <- c.Process
			if err := c.Wait(); err != nil {
				t.Fatalf("%v: %s", err, told.String())
			}
			after := reopen(t, f, f.Dir)
			if s := after.copyStates(n); s != "accepted" {
				t.Errorf("copy is %s", s)
			}
			after.judged()
		})
	}
}

// A disk that is full at any moment of a sending loses nothing and doubles
// nothing; with room again the sending goes on.
func TestDiskFullInSend(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("sh is not installed")
	}
	f := newOffice(t, loopback.Options{})
	n := f.signed("jateng", "batang")
	seen := map[string]int{}
	s := stage{f: f, step: "send", entry: n}
	// The files of the desk may grow to so many blocks of 512 octets: first the
	// log of the book is refused, then the frozen messages, then nothing.
	failed := 0
	for blocks := 8; blocks <= 4096; blocks = blocks*5/4 + 1 {
		dir := s.copyDesk(t)
		f.since = len(f.gateway.Messages())
		c := s.command(t, dir, "sh", "-c", fmt.Sprintf(`ulimit -f %d; exec "$0"`, blocks))
		if c.Run() != nil {
			failed++
		}
		again := s.command(t, dir)
		if out, err := again.CombinedOutput(); err != nil {
			t.Errorf("with room again: %v: %s", err, out)
		}
		g := reopen(t, f, dir)
		afterSend(t, g, n, seen)
		g.Desk.Close()
		os.RemoveAll(dir)
		if t.Failed() {
			t.Fatalf("after a disk that was full at %d blocks", blocks)
		}
	}
	if failed < 3 || seen[string(agenda.CopyAccepted)] == 0 {
		t.Errorf("%d runs failed, states %v", failed, seen)
	}
}

// Two senders that start together bring every copy once.
func TestTwoSendersAtOnce(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	names := f.attached(8, "jateng")
	f.Config.Gateway.Address = "127.0.0.1:1"
	_, err := f.Send(t.Context(), SendParams{Names: names, Secrets: right, Queue: true})
	f.check(err)
	other, err := Open(t.Context(), f.Dir, f.options())
	f.check(err)
	t.Cleanup(func() { other.Close() })
	var group sync.WaitGroup
	for _, d := range []*Desk{f.Desk, other} {
		d.Config.Gateway = f.Config.Gateway
		d.Config.Gateway.Address, d.Config.Gateway.TLS = f.gateway.Addr(), string(mail.TLSStartTLS)
		group.Go(func() {
			for range 50 {
				_, err := d.Send(t.Context(), SendParams{Due: true, Secrets: right})
				if err == nil {
					return
				}
				if coded(err) != CodeBusy {
					t.Errorf("sender: %v", err)
					return
				}
				time.Sleep(5 * time.Millisecond) // the other one holds the lock
			}
		})
	}
	group.Wait()
	for _, n := range names {
		if s := f.copyStates(n); s != "accepted" {
			t.Errorf("%s is %s", n, s)
		}
	}
	f.judged()
}
