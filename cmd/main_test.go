package cmd

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sandi/cmd/internal/term"
)

// TestMain makes the test binary stand in for sandi when a script calls it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sandi": scriptMain, "question": questionMain})
}

// scriptMain is the real program with cheap key derivation and, when a script sets SANDI_TEST_NOW to an RFC 3339 instant, a clock
// that starts there and runs on with real time; with SANDI_TEST_PLACE set it takes copies of a desk for the desk itself. The program itself knows no such variable.
func scriptMain() {
	detach()
	hooks := Hooks{S2K: cheap}
	if os.Getenv("SANDI_TEST_PLACE") != "" {
		hooks.Place = onePlace
	}
	if s := os.Getenv("SANDI_TEST_NOW"); s != "" {
		start, err := time.Parse(time.RFC3339, s)
		if err != nil {
			panic(err)
		}
		began := time.Now()
		hooks.Now = func() time.Time { return start.Add(time.Since(began)) }
	}
	os.Exit(Main(os.Args[1:], term.System(), hooks))
}

// onePlace takes copies of a desk for the desk itself: tests of other things copy it to start from one state again and again.
func onePlace(string) (string, error) { return "here", nil }

// questionMain shows the terminal by itself: it asks for a secret, a line and a yes, and prints what it got.
func questionMain() {
	detach()
	t := term.System()
	fmt.Println("can prompt:", t.CanPrompt())
	secret, err := t.Secret("Frasa sandi:")
	if err != nil {
		fmt.Println("secret:", err)
		os.Exit(exitStatus(err))
	}
	line, err := t.Ask("Tujuan:")
	fmt.Printf("%q %q %v\n", secret, line, err)
	yes, err := t.Confirm("Kirim?", func(s string) (bool, bool) { return s == "y", s == "y" || s == "t" }, false)
	fmt.Println(yes, err)
}
