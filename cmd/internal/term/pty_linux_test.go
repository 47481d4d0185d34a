package term

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openPTY returns both ends of a new terminal.
func openPTY(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number int
	if cerr := raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// session is a child process that asks for a secret on a terminal of its own; its standard streams are pipes.
type session struct {
	t             *testing.T
	master, slave *os.File
	seen          bytes.Buffer
	cmd           *exec.Cmd
	out           bytes.Buffer
}

func startSession(t *testing.T) *session {
	t.Helper()
	s := &session{t: t}
	s.master, s.slave = openPTY(t)
	s.cmd = exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAskingChild$")
	s.cmd.Env = append(os.Environ(), "SANDI_TEST_ASK=1")
	s.cmd.Stdout = &s.out
	s.cmd.ExtraFiles = []*os.File{s.slave}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

// until reads the terminal until it shows text.
func (s *session) until(text string) {
	s.t.Helper()
	if err := s.master.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	buf := make([]byte, 1024)
	for !strings.Contains(s.seen.String(), text) {
		n, err := s.master.Read(buf)
		s.seen.Write(buf[:n])
		if err != nil {
			s.t.Fatalf("terminal shows %q, want %q: %v", s.seen.String(), text, err)
		}
	}
}

// untilEcho waits until the echo of the terminal is on or off.
func (s *session) untilEcho(on bool) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		state, err := unix.IoctlGetTermios(int(s.slave.Fd()), unix.TCGETS)
		if err != nil {
			s.t.Fatal(err)
		}
		if (state.Lflag&unix.ECHO != 0) == on {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("echo is not %v", on)
		}
	}
}

func (s *session) write(text string) {
	s.t.Helper()
	if _, err := s.master.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// TestAskingChild is the other side of the tests below.
func TestAskingChild(t *testing.T) {
	if os.Getenv("SANDI_TEST_ASK") == "" {
		t.Skip("runs as the child of other tests only")
	}
	secret, err := System().Secret("Frasa sandi:")
	if errors.Is(err, ErrInterrupted) {
		os.Exit(130)
	}
	line, lineErr := System().Ask("Tujuan:")
	fmt.Printf("%q %q %v %v\n", secret, line, err, lineErr)
	os.Exit(0)
}

func TestSecretIsNotShown(t *testing.T) {
	t.Parallel()
	s := startSession(t)
	s.until("Frasa sandi: ")
	s.untilEcho(false)
	s.write("pisang kuda\n")
	s.until("Tujuan: ")
	s.untilEcho(true)
	s.write("jateng\n")
	s.until("jateng")
	if err := s.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if want := `"pisang kuda" "jateng" <nil> <nil>` + "\n"; s.out.String() != want {
		t.Errorf("child got %q, want %q", s.out.String(), want)
	}
	if strings.Contains(s.seen.String(), "pisang") {
		t.Errorf("terminal shows the secret: %q", s.seen.String())
	}
}

// TestPiecesTellRateAndTime: a long sending shows how much is done, how fast it goes and how long it still takes.
func TestPiecesTellRateAndTime(t *testing.T) {
	t.Parallel()
	s := &session{t: t}
	s.master, s.slave = openPTY(t)
	p := New(nil, nil, s.slave, nil).Pieces("Mengirim", "kiriman", 4)
	p.Add(1)
	p.Add(1)
	s.until("2/4")
	p.Done()
	shown := regexp.MustCompile(`Mengirim +50% \[=+> +\] \(2/4, \d+ kiriman/(s|min|hr)\) \[\d+s:\d+s\]`)
	s.until("]")
	s.until("s]")
	if !shown.MatchString(s.seen.String()) {
		t.Errorf("terminal shows %q", s.seen.String())
	}
}

// TestInterruptRestoresEcho: Ctrl-C and a signal both give the terminal back as it was.
func TestInterruptRestoresEcho(t *testing.T) {
	t.Parallel()
	for name, interrupt := range map[string]func(*session){
		"ctrl_c":  func(s *session) { s.write("\x03") },
		"sigterm": func(s *session) { _ = s.cmd.Process.Signal(syscall.SIGTERM) },
		"sighup":  func(s *session) { _ = s.cmd.Process.Signal(syscall.SIGHUP) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSession(t)
			s.until("Frasa sandi: ")
			s.untilEcho(false)
			s.write("setengah")
			interrupt(s)
			err := s.cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 130 {
				t.Errorf("child ended with %v", err)
			}
			s.untilEcho(true)
		})
	}
}
