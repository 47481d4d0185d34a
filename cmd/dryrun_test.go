package cmd

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sandi/cmd/internal/term"
	"sandi/crypto"
)

// cmdAlike runs a step twice, as a dry run and in earnest, and demands that both refuse with the code:
// `alike desk.not_sent archive S1`. Passphrases are answered, and the password of the mailbox.
func cmdAlike(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: alike CODE args...")
	}
	now := time.Now()
	if s := ts.Getenv("SANDI_TEST_NOW"); s != "" {
		var err error
		now, err = time.Parse(time.RFC3339, s)
		ts.Check(err)
	}
	hooks := Hooks{
		S2K: crypto.S2KCost{MemoryExponent: 10, Passes: 1, Parallelism: 1}, Now: func() time.Time { return now }, folder: ts.Getenv("SANDI_DESK"),
	}
	for _, flags := range [][]string{{"--dry-run"}, nil} {
		line := append([]string{"--lang", "en", "--json", "--yes"}, append(flags, args[1:]...)...)
		for i := range line {
			line[i] = strings.ReplaceAll(line[i], "@WORK", ts.MkAbs("."))
		}
		var out, told strings.Builder
		console := &scripted{out: &out, answers: []string{testPhrase, testPassword}}
		status := Main(line, term.New(strings.NewReader(""), &out, &told, console), hooks)
		got := ""
		for text := range strings.Lines(told.String()) {
			var e struct{ Code string }
			if json.Unmarshal([]byte(text), &e) == nil && e.Code != "" {
				got = e.Code
			}
		}
		if got != args[0] || status == 0 {
			ts.Fatalf("alike: %v: status %d, code %q, want %q\n%s%s", line, status, got, args[0], out.String(), told.String())
		}
	}
}
