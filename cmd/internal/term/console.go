package term

import (
	"errors"
	"io"
	"os"
	"os/signal"

	"golang.org/x/term"
)

// systemConsole is the controlling terminal, opened anew for each question: it may come and go.
type systemConsole struct{}

func (systemConsole) Available() bool {
	in, out, err := openConsole()
	if err != nil {
		return false
	}
	closeConsole(in, out)
	return true
}

func closeConsole(in, out *os.File) {
	in.Close()
	if out != in {
		out.Close()
	}
}

func (systemConsole) Ask(prompt string, echo bool) ([]byte, error) {
	in, out, err := openConsole()
	if err != nil {
		return nil, &Error{code: ErrNoTerminal.code, Err: err}
	}
	fd := int(in.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		closeConsole(in, out)
		return nil, &Error{code: ErrNoTerminal.code, Err: err}
	}
	// The signal must find somebody before the echo goes off: a terminal left without echo is worse than none.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, endSignals...)
	defer signal.Stop(stop)
	if _, err := io.WriteString(out, prompt+" "); err != nil {
		closeConsole(in, out)
		return nil, &Error{code: ErrNoTerminal.code, Err: err}
	}
	type answer struct {
		line []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		var a answer
		if echo {
			a.line, a.err = readLine(in)
		} else {
			a.line, a.err = term.ReadPassword(fd)
		}
		answers <- a
	}()
	select {
	case <-stop:
		// The read goes on in its goroutine and ends with the process, which is about to; closing the terminal under it would block.
		_ = term.Restore(fd, state)
		_, _ = io.WriteString(out, "\n")
		return nil, ErrInterrupted
	case a := <-answers:
		if !echo {
			_, _ = io.WriteString(out, "\n")
		}
		ended := errors.Is(a.err, io.EOF)
		if ended && echo {
			_, _ = io.WriteString(out, "\n")
		}
		closeConsole(in, out)
		if ended {
			return nil, ErrEnded
		}
		if a.err != nil {
			return nil, &Error{code: ErrNoTerminal.code, Err: a.err}
		}
		return a.line, nil
	}
}

// maxAnswer bounds an answer in octets.
const maxAnswer = 4096

// readLine reads an octet at a time: what is typed ahead belongs to the next question.
func readLine(r io.Reader) ([]byte, error) {
	var line []byte
	var b [1]byte
	for {
		n, err := r.Read(b[:])
		switch {
		case n == 1 && b[0] == '\n':
			if len(line) > 0 && line[len(line)-1] == '\r' {
				line = line[:len(line)-1]
			}
			return line, nil
		case n == 1:
			if len(line) == maxAnswer {
				return nil, errors.New("answer too long")
			}
			line = append(line, b[0])
		}
		if err != nil {
			if errors.Is(err, io.EOF) && len(line) > 0 {
				return line, nil
			}
			return nil, err
		}
	}
}
