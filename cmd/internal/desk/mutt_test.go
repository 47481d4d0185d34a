package desk

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sandi/agenda"
	"sandi/mail/loopback"
)

// mutt opens a box read-only on a terminal of its own, finds a letter by its
// Message-ID, and pipes the raw message and its parts to files.
func mutt(t *testing.T, box, messageID string, parts ...string) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	var keys strings.Builder
	press := func(s string) { keys.WriteString(s) }
	press("<limit>~i " + messageID + "<enter><first-entry><pipe-message>cat>" + dir + "/pesan<enter><view-attachments>")
	for _, p := range parts {
		press("<first-entry><search>\\Cu=" + p + ";<enter><pipe-entry>cat>" + dir + "/" + p + "<enter>")
	}
	press("<exit><exit><exit>")
	rc := filepath.Join(dir, "muttrc")
	err := os.WriteFile(rc, fmt.Appendf(nil, `set folder="%[1]s" spoolfile="%[1]s/none" record="" header_cache="" tmpdir="%[1]s"
set wait_key=no pipe_decode=no crypt_use_gpgme=no crypt_verify_sig=no quit=yes wrap_search=yes beep=no
set attach_format="=%%F;"
push "%[2]s"
`, dir, keys.String()), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	// script gives it the terminal that it will not do without.
	c := exec.Command("timeout", "60", "script", "-qec", "stty cols 200 rows 50; mutt -n -R -F "+rc+" -f "+box, "/dev/null")
	c.Env = append(os.Environ(), "TERM=xterm", "HOME="+dir, "LC_ALL=C.UTF-8")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("mutt: %v\n%q", err, out)
	}
	got := map[string][]byte{}
	for _, name := range append([]string{"pesan"}, parts...) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("mutt did not write %s: %q", name, out)
		}
		got[name] = data
	}
	return got
}

// A mail program that everybody has opens the archive box and the exported
// one: each letter is there, and each of its parts octet by octet.
func TestArchiveOpensInMutt(t *testing.T) {
	t.Parallel()
	needs(t, "mutt", "script", "timeout")
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	k, s := f.signed("jateng", "batang"), f.attached(1, "jateng")[0]
	f.send(k, s)
	for _, n := range []agenda.Name{k, s} {
		_, err := f.Archive(ctx, n, "")
		f.check(err)
	}
	filed, err := f.Boxed(ctx, agenda.Filter{})
	f.check(err)
	if len(filed) != 3 {
		t.Fatalf("%d messages filed", len(filed))
	}
	export := filepath.Join(f.dir, "salinan.mbox")
	if n, err := f.ExportFiled(ctx, filed, export); err != nil || n != 3 {
		t.Fatalf("%d exported: %v", n, err)
	}
	for _, x := range filed {
		box := filepath.Join(f.Dir, boxFolder, filepath.FromSlash(x.Copy.Box))
		before, err := os.Stat(box)
		f.check(err)
		frozen := f.frozen(x.Copy)
		want := f.parts(frozen)
		if len(want) == 0 {
			t.Fatalf("%s has no parts", x.Entry.Name)
		}
		want["pesan"] = trimmed(frozen)
		for _, file := range []string{box, export} {
			got := mutt(t, file, x.Copy.MessageID, slices.Sorted(maps.Keys(f.parts(frozen)))...)
			separator, message, _ := bytes.Cut(got["pesan"], []byte("\n"))
			if !bytes.HasPrefix(separator, []byte("From "+f.Config.Gateway.From+" ")) {
				t.Errorf("separator line %q", separator)
			}
			got["pesan"] = trimmed(message)
			for name, data := range want {
				if !bytes.Equal(got[name], data) {
					t.Errorf("%s copy %d, %s in %s: %d octets, want %d", x.Entry.Name, x.Copy.Copy, name, filepath.Base(file), len(got[name]), len(data))
				}
			}
		}
		if after, err := os.Stat(box); err != nil || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
			t.Errorf("mutt changed %s: %v", box, err)
		}
	}
}

// trimmed is a message as an mbox keeps it: LF, without the empty lines behind.
func trimmed(message []byte) []byte {
	return bytes.TrimRight(bytes.ReplaceAll(message, []byte("\r\n"), []byte("\n")), "\n")
}
