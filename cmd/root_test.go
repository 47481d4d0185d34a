package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sandi/agenda"
	"sandi/cmd/internal/messages"
	"sandi/cmd/internal/render"
	"sandi/cmd/internal/term"
	"sandi/cmd/internal/vault"
)

// run is an app whose streams are buffers and whose terminal is nobody's.
func run(t *testing.T, lang messages.Lang) (a *app, out, talk *bytes.Buffer) {
	t.Helper()
	out, talk = &bytes.Buffer{}, &bytes.Buffer{}
	tm := term.New(strings.NewReader(""), out, talk, nil)
	return &app{
		term: tm, lang: lang, cat: messages.For(lang), flags: flags{passphraseFD: -1, passwordFD: -1},
		out: render.NewSafeWriter(out), talk: render.NewSafeWriter(talk), running: true, command: "sandi send",
	}, out, talk
}

// stepError is an agenda error as the book makes it.
func stepError(t *testing.T) error {
	t.Helper()
	_, err := agenda.ParseName("\x1b[2Jbukan", 2026)
	if err == nil {
		t.Fatal("name accepted")
	}
	return fmt.Errorf("send: %w", err)
}

func TestFail(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err    error
		json   bool
		status int
		talk   string
	}{
		"nothing":         {nil, false, 0, ""},
		"told":            {status(22), false, 22, ""},
		"no_code":         {errors.New("x\x1b[2J\ny"), false, 1, "Failed: x\\x1b[2J; y.\n"},
		"several":         {&vault.Fatal{Err: errors.Join(errors.New("disk"), errors.New("disk"), errors.New("gone"))}, false, 1, "Failed: the disk does not confirm what was written (disk; gone).\nThe program stops. Check the disk before further work.\n  sandi doctor\n"},
		"code":            {stepError(t), false, 64, "Refused: entry name cannot be read: \\x1b[2Jbukan\nNothing was recorded. Examples: S7, K12/2025, S3-S9.\n"},
		"unknown_code":    {codeError("desk.never_heard"), false, 1, "Failed: x.\n"},
		"joined":          {errors.Join(errors.New("y"), vault.ErrLocked), false, 11, "Refused: the desk is in use by another process. Safe to try again.\n"},
		"defaults":        {codeError("agenda.step_order"), false, 15, "Refused: this step does not apply to ENTRY (state: unknown).\nNothing was changed.\n  sandi agenda show ENTRY\n"},
		"interrupted":     {term.ErrInterrupted, false, 130, "Interrupted. Steps already recorded stand.\n"},
		"usage":           {usageError("usage.flag_required", "flag", "--to"), false, 64, "Refused: the flag --to is missing.\n  sandi send --help\n"},
		"json":            {vault.ErrLocked, true, 11, `{"schema":"sandi.error/1","code":"vault.locked","message":"Refused: the desk is in use by another process. Safe to try again.","retry":"later","entry":null}` + "\n"},
		"json_interrupts": {term.ErrInterrupted, true, 130, `{"schema":"sandi.error/1","code":"interrupted","message":"Interrupted. Steps already recorded stand.","retry":"ask","entry":null}` + "\n"},
	} {
		a, out, talk := run(t, messages.English)
		a.flags.json = tc.json
		if got := a.fail(tc.err); got != tc.status {
			t.Errorf("%s: status %d, want %d", name, got, tc.status)
		}
		if diff := cmp.Diff(tc.talk, talk.String()); diff != "" || out.Len() > 0 {
			t.Errorf("%s: stdout %q, stderr (-want +got):\n%s", name, out, diff)
		}
	}
}

func TestTalkAndResult(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		quiet, json bool
		out, talk   string
	}{
		"plain": {false, false, "Usage:\ntext\n", "Commands:\nFlags:\n"},
		"quiet": {true, false, "Usage:\ntext\n", "Flags:\n"},
		"json":  {false, true, `{"a":1,"warnings":[{"code":"root.flags","message":"Flags:","entry":null}]}` + "\n", ""},
	} {
		a, out, talk := run(t, messages.English)
		a.flags.quiet, a.flags.json = tc.quiet, tc.json
		a.say("root.commands")
		a.warn("root.flags")
		a.print("root.usage")
		if err := a.result(map[string]int{"a": 1}, func(w io.Writer) { fmt.Fprintln(w, "text") }); err != nil {
			t.Error(err)
		}
		if out.String() != tc.out || talk.String() != tc.talk {
			t.Errorf("%s: stdout %q stderr %q", name, out, talk)
		}
	}
}

func TestQuestionsOffTerminalNameTheFlag(t *testing.T) {
	t.Parallel()
	a, _, _ := run(t, messages.Indonesian)
	_, askErr := a.ask("--to", "root.usage")
	_, confirmErr := a.confirm(true, "root.usage")
	_, passErr := a.passphrase("root.usage")
	_, wordErr := a.password("root.usage")
	for flag, err := range map[string]error{"--to": askErr, "--yes": confirmErr, "--passphrase-fd": passErr, "--password-fd": wordErr} {
		want := "Ditolak: jawaban tidak dapat ditanyakan tanpa terminal.\nIsi dengan flag " + flag + "."
		if code, text := a.explain(err); code != "usage.answer_missing" || text != want {
			t.Errorf("%s: %s %q", flag, code, text)
		}
	}
	a.flags.yes = true
	if yes, err := a.confirm(false, "root.usage"); !yes || err != nil {
		t.Errorf("--yes: %v, %v", yes, err)
	}
}

func TestDataFolder(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		system string
		env    map[string]string
		want   string
	}{
		{"linux", map[string]string{"HOME": "/home/a"}, "/home/a/.local/share"},
		{"linux", map[string]string{"HOME": "/home/a", "XDG_DATA_HOME": "/data"}, "/data"},
		{"linux", map[string]string{"HOME": "/home/a", "XDG_DATA_HOME": "data"}, "/home/a/.local/share"},
		{"linux", nil, ""},
		{"darwin", map[string]string{"HOME": "/Users/a"}, "/Users/a/Library/Application Support"},
		{"windows", map[string]string{"LOCALAPPDATA": `C:\Users\a\AppData\Local`}, `C:\Users\a\AppData\Local`},
	} {
		if got := dataFolder(tc.system, func(name string) string { return tc.env[name] }); got != tc.want {
			t.Errorf("%s %v: %q, want %q", tc.system, tc.env, got, tc.want)
		}
	}
}

func TestLangFlag(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"en": {"agenda", "--lang", "en"},
		"id": {"--bahasa=id", "version"},
		"":   {"agenda", "--", "--lang=en"},
	} {
		if got := langFlag(args); got != want {
			t.Errorf("langFlag(%q) = %q, want %q", args, got, want)
		}
	}
}
