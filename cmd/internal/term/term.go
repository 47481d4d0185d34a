// Package term is where sandi meets its surroundings: standard streams, questions on the controlling terminal, secrets from file
// descriptors, progress.
//
// [System] is the real thing, [New] puts other parts in its place. Questions go to the controlling terminal even when the standard
// streams are pipes, so that `sandi … | less` still asks and a script is never asked through its own input. Without a terminal a
// question fails with [ErrNoTerminal], and the caller names the flag that would have answered it.
package term

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Error is every error of this package.
type Error struct {
	Err  error
	code string
}

// Code returns the stable code of the error.
func (e *Error) Code() string { return e.code }

func (e *Error) Error() string {
	if e.Err != nil {
		return e.code + ": " + e.Err.Error()
	}
	return e.code
}

func (e *Error) Unwrap() error { return e.Err }

// Is compares codes.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.code == e.code
}

// Sentinels for errors.Is.
var (
	// ErrNoTerminal: nobody can be asked.
	ErrNoTerminal = &Error{code: "term.no_terminal"}
	// ErrEnded: the input of the terminal was ended (Ctrl-D) instead of an answer.
	ErrEnded = &Error{code: "term.ended"}
	// ErrInterrupted: the question was broken off with Ctrl-C or a signal.
	ErrInterrupted = &Error{code: "term.interrupted"}
	// ErrNoSecret: the descriptor holds no further line, or an empty one, or cannot be read.
	ErrNoSecret = &Error{code: "term.no_secret"}
	// ErrNoAnswer: three answers in a row were none.
	ErrNoAnswer = &Error{code: "term.no_answer"}
)

// Console asks one question. Implementations give ErrNoTerminal, ErrEnded and ErrInterrupted.
type Console interface {
	// Available says whether a question could be asked.
	Available() bool
	// Ask writes the prompt and reads a line, without its line end. With echo off the line is not shown.
	Ask(prompt string, echo bool) ([]byte, error)
}

// Term is the surroundings of one run. It is not safe for concurrent use, except for Out and Err as far as their writers are.
type Term struct {
	in       io.Reader
	out, err io.Writer
	console  Console
	progress bool

	mu      sync.Mutex
	secrets map[int]*Lines
}

// System returns the process's own streams and controlling terminal.
func System() *Term { return New(os.Stdin, os.Stdout, os.Stderr, systemConsole{}) }

// New puts given parts together; a nil console means that nobody can be asked.
func New(in io.Reader, out, err io.Writer, console Console) *Term {
	return &Term{in: in, out: out, err: err, console: console, progress: true, secrets: map[int]*Lines{}}
}

// In is standard input.
func (t *Term) In() io.Reader { return t.in }

// Out is standard output: results.
func (t *Term) Out() io.Writer { return t.out }

// Err is standard error: talk.
func (t *Term) Err() io.Writer { return t.err }

// OutIsTerminal says whether results are read by a person right away.
func (t *Term) OutIsTerminal() bool { return isTerminal(t.out) }

// ErrIsTerminal says whether talk is read by a person right away.
func (t *Term) ErrIsTerminal() bool { return isTerminal(t.err) }

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// CanPrompt says whether Ask, Secret and Confirm can reach a person.
func (t *Term) CanPrompt() bool { return t.console != nil && t.console.Available() }

// Ask asks for a line of text and returns it without surrounding blanks.
func (t *Term) Ask(prompt string) (string, error) {
	line, err := t.ask(prompt, true)
	return strings.TrimSpace(string(line)), err
}

// Secret asks with the echo off. The answer is returned as typed; the caller zeroes it after use.
func (t *Term) Secret(prompt string) ([]byte, error) { return t.ask(prompt, false) }

func (t *Term) ask(prompt string, echo bool) ([]byte, error) {
	if t.console == nil {
		return nil, ErrNoTerminal
	}
	return t.console.Ask(prompt, echo)
}

// Confirm asks until yes understands the answer; an empty one means def. After three that it does not understand it gives up
// with ErrNoAnswer.
func (t *Term) Confirm(prompt string, yes func(string) (answer, ok bool), def bool) (bool, error) {
	for range 3 {
		line, err := t.Ask(prompt)
		if err != nil {
			return false, err
		}
		if line == "" {
			return def, nil
		}
		if answer, ok := yes(line); ok {
			return answer, nil
		}
	}
	return false, ErrNoAnswer
}

// Lines are secrets from a file descriptor, one a line, in the order of use.
type Lines struct {
	r  *bufio.Reader
	fd int
}

// maxSecret bounds a line of secrets in octets.
const maxSecret = 4096

// SecretsFromFD returns the secrets of a descriptor that the caller's caller opened. The same descriptor gives the same Lines, so
// that two kinds of secrets may share one. Standard output and error are refused.
func (t *Term) SecretsFromFD(fd int) (*Lines, error) {
	if fd < 0 || fd == 1 || fd == 2 {
		return nil, &Error{code: ErrNoSecret.code, Err: fmt.Errorf("descriptor %d", fd)}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if lines, ok := t.secrets[fd]; ok {
		return lines, nil
	}
	r := t.in
	if fd != 0 {
		f := os.NewFile(uintptr(fd), fmt.Sprintf("descriptor %d", fd))
		if _, err := f.Stat(); err != nil {
			return nil, &Error{code: ErrNoSecret.code, Err: err}
		}
		r = f
	}
	lines := &Lines{r: bufio.NewReaderSize(r, maxSecret+2), fd: fd}
	t.secrets[fd] = lines
	return lines, nil
}

// Next returns the next line without its final LF or CRLF; nothing else is changed. ErrNoSecret when there is none or it is empty
// or longer than 4096 octets. The caller zeroes it after use.
func (l *Lines) Next() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
	defer clear(line)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, &Error{code: ErrNoSecret.code, Err: fmt.Errorf("descriptor %d: %w", l.fd, err)}
	}
	end := len(line)
	if end > 0 && line[end-1] == '\n' {
		end--
		if end > 0 && line[end-1] == '\r' {
			end--
		}
	}
	if end == 0 {
		return nil, &Error{code: ErrNoSecret.code, Err: fmt.Errorf("descriptor %d: no further line", l.fd)}
	}
	return append([]byte(nil), line[:end]...), nil
}

// Progress shows how far a long step has come.
type Progress interface {
	// Write counts len(p) octets, so that a Progress can stand in an io.MultiWriter or io.TeeReader.
	io.Writer
	// Add counts n.
	Add(n int64)
	// Done removes the bar. Call it before anything else is printed.
	Done()
}

// HideProgress turns progress off, for --json and --quiet.
func (t *Term) HideProgress() { t.progress = false }

// Progress shows a bar on standard error when that is a terminal; otherwise it counts in silence. total in octets or pieces.
func (t *Term) Progress(label string, total int64) Progress { return t.bar(label, total) }

// Pieces is Progress for pieces: it shows how many are done and how many a second, named by unit, besides the time left.
func (t *Term) Pieces(label, unit string, total int64) Progress {
	return t.bar(label, total, progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(unit))
}

func (t *Term) bar(label string, total int64, more ...progressbar.Option) Progress {
	if !t.progress || !t.ErrIsTerminal() || total <= 0 {
		return silent{}
	}
	return bar{progressbar.NewOptions64(total, append([]progressbar.Option{
		progressbar.OptionSetWriter(t.err),
		progressbar.OptionSetDescription(label),
		progressbar.OptionSetTheme(progressbar.Theme{Saucer: "=", SaucerHead: ">", SaucerPadding: " ", BarStart: "[", BarEnd: "]"}),
		progressbar.OptionSetWidth(30),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetPredictTime(true),
	}, more...)...)}
}

type silent struct{}

func (silent) Write(p []byte) (int, error) { return len(p), nil }
func (silent) Add(int64)                   {}
func (silent) Done()                       {}

// bar drops the errors of a progress display: it decides nothing.
type bar struct{ bar *progressbar.ProgressBar }

func (b bar) Write(p []byte) (int, error) {
	b.Add(int64(len(p)))
	return len(p), nil
}
func (b bar) Add(n int64) { _ = b.bar.Add64(n) }
func (b bar) Done()       { _ = b.bar.Finish() }
