package desk

import (
	"bytes"
	"cmp"
	"context"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

const (
	printLimit = time.Minute
	openLimit  = 10 * time.Second
)

// PrintOn hands a finished sheet to a printer of CUPS through lp; "" is the
// system's default printer. It returns what lp said, the request's id.
func PrintOn(ctx context.Context, printer, title string, sheet []byte) (string, error) {
	path, err := exec.LookPath("lp")
	if err != nil {
		return "", &Error{code: CodeProgram, Field: "lp", Err: err}
	}
	args := []string{"-t", title}
	if printer != "" {
		args = append(args, "-d", printer)
	}
	ctx, stop := context.WithTimeout(ctx, printLimit)
	defer stop()
	// The sheet goes through a pipe: no name of it lies in a spool of ours.
	c := exec.CommandContext(ctx, path, append(args, "--", "-")...)
	c.Stdin = bytes.NewReader(sheet)
	var said, complaint bytes.Buffer
	c.Stdout, c.Stderr = &said, &complaint
	if err := c.Run(); err != nil {
		return "", &Error{code: CodePrinter, Field: cmp.Or(printer, "lp"), Detail: firstLine(complaint.String()), Err: err}
	}
	return firstLine(said.String()), nil
}

// OpenFile shows a written sheet in the system's viewer.
func OpenFile(ctx context.Context, path string) error {
	viewer := opener()
	program, err := exec.LookPath(viewer[0])
	if err != nil {
		return &Error{code: CodeProgram, Field: viewer[0], Err: err}
	}
	ctx, stop := context.WithTimeout(ctx, openLimit)
	defer stop()
	if err := exec.CommandContext(ctx, program, append(viewer[1:], path)...).Run(); err != nil {
		return &Error{code: CodeProgram, Field: viewer[0], Err: err}
	}
	return nil
}

// opener is the command that shows a file on this system.
func opener() []string {
	switch runtime.GOOS {
	case "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler"}
	case "darwin":
		return []string{"open"}
	}
	return []string{"xdg-open"}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}
