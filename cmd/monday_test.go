package cmd

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sandi/cmd/internal/term"
	"sandi/crypto"
)

// effort is what a person did in a script: commands, and characters typed in them and in the answers.
type effort struct{ commands, characters int }

type effortKey struct{}

// withEffort gives a script its count.
func withEffort(env *testscript.Env) { env.Values[effortKey{}] = &effort{} }

// cmdClerk runs a command as `status N` does and counts it: `clerk 0 sandi send S1`. An argument with a blank counts its quotes.
func cmdClerk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: clerk N program [args...]")
	}
	e := ts.Value(effortKey{}).(*effort)
	e.commands++
	for _, arg := range args[1:] {
		e.characters += len(arg) + 1 // the blank, or Enter
		if strings.ContainsAny(arg, " \t") {
			e.characters += 2
		}
	}
	cmdStatus(ts, false, args)
}

// cmdTyped counts a file of answers that the next ttyin types: `typed answers.txt`.
func cmdTyped(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: typed FILE")
	}
	ts.Value(effortKey{}).(*effort).characters += len(ts.ReadFile(args[0]))
}

// cmdEffort prints the counts and bounds them: `effort 25 1500`.
func cmdEffort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: effort COMMANDS CHARACTERS")
	}
	e := ts.Value(effortKey{}).(*effort)
	ts.Logf("typed: %d commands, %d characters", e.commands, e.characters)
	for i, got := range []int{e.commands, e.characters} {
		most, err := strconv.Atoi(args[i])
		ts.Check(err)
		if got > most {
			ts.Fatalf("%d commands and %d characters, at most %s and %s", e.commands, e.characters, args[0], args[1])
		}
	}
}

// cmdAddressee enters a confirmed addressee after `office`: `addressee tegal 240h` with a key of that life, `addressee tegal` with
// one of a year.
func cmdAddressee(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: addressee HANDLE [LIFE]")
	}
	life, now := 365*24*time.Hour, time.Now()
	if len(args) == 2 {
		var err error
		life, err = time.ParseDuration(args[1])
		ts.Check(err)
	}
	if s := ts.Getenv("SANDI_TEST_NOW"); s != "" {
		var err error
		now, err = time.Parse(time.RFC3339, s)
		ts.Check(err)
	}
	secret, err := crypto.GenerateKey(crypto.GenerateParams{
		Name: args[0], Email: args[0] + "@contoh.test", Passphrase: []byte(testPhrase), Cost: cheap, Now: now.Add(-time.Hour), Lifetime: life,
	})
	ts.Check(err)
	cert, err := crypto.CertificateOfSecret(secret)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".key"), secret, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".asc"), cert.Armor(), 0o600))
	hooks := Hooks{S2K: cheap, Now: func() time.Time { return now }, folder: ts.Getenv("SANDI_DESK")}
	for _, line := range [][]string{
		{"correspondent", "add", args[0], "--unit", "Diskominfo " + args[0], "--address", "sandi." + args[0] + "@contoh.test", "--cert", ts.MkAbs(args[0] + ".asc")},
		{"correspondent", "confirm", args[0], "--fingerprint", string(cert.Fingerprint()), "--by", "operator", "--channel", "telepon"},
	} {
		var out strings.Builder
		if n := Main(append([]string{"--lang", "en"}, line...), term.New(strings.NewReader(""), &out, &out, nil), hooks); n != 0 {
			ts.Fatalf("addressee: %v: status %d\n%s", line, n, out.String())
		}
	}
}

// cmdHeard confirms an addressee with all its signers, as after a telephone call in which each fingerprint was read: `heard jateng`.
func cmdHeard(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: heard HANDLE")
	}
	ts.Check(ts.Exec("sandi", "correspondent", "show", args[0], "--json"))
	var c struct {
		Fingerprint string
		Signers     []struct{ Fingerprint string }
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &c))
	read := []string{c.Fingerprint}
	for _, s := range c.Signers {
		read = append(read, s.Fingerprint)
	}
	typed := strings.Trim(strings.Join(read, ","), ",")
	ts.Check(ts.Exec("sandi", "correspondent", "confirm", args[0], "--fingerprint", typed, "--by", "operator", "--channel", "telepon"))
}
