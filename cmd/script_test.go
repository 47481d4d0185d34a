package cmd

import (
	"errors"
	stdflag "flag"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = stdflag.Bool("update", false, "rewrite the expected texts of the scripts")

// TestScripts runs the whole program as its users do. Each script says in its first line what it shows.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "../testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"addressee": cmdAddressee,
			"alike":     cmdAlike,
			"clerk":     cmdClerk,
			"effort":    cmdEffort,
			"fill":      cmdFill,
			"gateway":   cmdGateway,
			"heard":     cmdHeard,
			"json":      cmdJSON,
			"notice":    cmdNotice,
			"answer":    cmdAnswer,
			"office":    cmdOffice,
			"pick":      cmdPick,
			"status":    cmdStatus,
			"typed":     cmdTyped,
		},
		Setup: func(env *testscript.Env) error {
			// Scripts start alike on every machine: no locale, no desk, no officer of the person who runs them.
			for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG", "SANDI_LANG", "SANDI_DESK", "SANDI_AS", "SANDI_TEST_NOW", "SANDI_TEST_PLACE", "XDG_DATA_HOME"} {
				env.Setenv(name, "")
			}
			withGateway(env)
			withEffort(env)
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("GNUPGHOME", env.WorkDir+"/.gnupg")
			return nil
		},
	})
}

// cmdFill writes a text of so many octets: `fill 4001 long.txt`.
func cmdFill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fill OCTETS FILE")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(strings.Repeat("x", n)), 0o600))
}

// cmdStatus runs a program and demands an exact exit status: `status 15 sandi send K1`. Output goes to stdout and stderr as with
// exec.
func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	if err != nil {
		ts.Fatalf("status: %q is no number", args[0])
	}
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("status: %v", err)
	}
	if got != want {
		ts.Fatalf("status %d, want %d", got, want)
	}
}
