package crypto

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Foreign programs judge by the system clock, so these keys are made an hour
// before the test.
func freshKey(t *testing.T, kind KeyKind, name string) (*Key, []byte) {
	t.Helper()
	locked, err := GenerateKey(GenerateParams{Name: name, Email: name + "@contoh.test", Passphrase: passphrase, Now: time.Now().Add(-time.Hour), Kind: kind, Cost: cheap})
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParseKey(locked)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Unlock(passphrase); err != nil {
		t.Fatal(err)
	}
	return k, locked
}

// gnupg is a gpg with a home of its own.
type gnupg struct {
	t    *testing.T
	home string
}

func newGnuPG(t *testing.T) *gnupg {
	t.Helper()
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("gpg is not installed")
	}
	// The agent's socket needs a short path.
	home, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("gpgconf", "--homedir", home, "--kill", "all").CombinedOutput(); err != nil {
			t.Logf("gpgconf: %v %s", err, out)
		}
		os.RemoveAll(home)
	})
	return &gnupg{t: t, home: home}
}

func (g *gnupg) run(stdin []byte, args ...string) (stdout, status string, err error) {
	g.t.Helper()
	args = append([]string{"--homedir", g.home, "--batch", "--no-tty", "--status-fd", "2", "--trust-model", "always", "--pinentry-mode", "loopback", "--passphrase", string(passphrase)}, args...)
	cmd := exec.Command("gpg", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

func (g *gnupg) must(stdin []byte, args ...string) (stdout, status string) {
	g.t.Helper()
	out, status, err := g.run(stdin, args...)
	if err != nil {
		g.t.Fatalf("gpg %v: %v\n%s", args, err, status)
	}
	return out, status
}

func (g *gnupg) file(name string, data []byte) string {
	g.t.Helper()
	path := filepath.Join(g.home, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		g.t.Fatal(err)
	}
	return path
}

func (g *gnupg) importSecret(locked []byte) {
	g.t.Helper()
	exported, err := ExportForGnuPG(locked, passphrase)
	if err != nil {
		g.t.Fatal(err)
	}
	g.must(exported, "--import")
}

// A recipient and an archive with gpg 2.2 read what we write; the archive
// through a sidecar before the file.
func TestGnuPGReadsKriptogram(t *testing.T) {
	t.Parallel()
	g := newGnuPG(t)
	sandiman, _ := freshKey(t, KindV4, "sandiman")
	older, olderLocked := freshKey(t, KindRSA3072, "tujuan")
	archive, archiveLocked := freshKey(t, KindV4, "arsip")
	modern, _ := freshKey(t, KindV6, "enam")
	now := time.Now()
	letter := bytes.Repeat([]byte("Naskah dinas.\r\n"), 20_000)
	var file bytes.Buffer
	s, err := Seal(t.Context(), &file, bytes.NewReader(letter), SealParams{
		Recipients: []Recipient{{Certificate: older.Certificate()}, {Certificate: modern.Certificate()}},
		Signer:     sandiman, Policy: Praktis(), Now: now, FileName: "naskah.pdf", Notations: letterNotations,
	})
	if err != nil {
		t.Fatal(err)
	}
	side, err := s.Sidecar(archive.Certificate(), "")
	if err != nil {
		t.Fatal(err)
	}
	g.importSecret(archiveLocked)
	g.must(sandiman.Certificate().Armor(), "--import")
	read := func(what string, data []byte) {
		t.Helper()
		out, status := g.must(data, "--decrypt")
		if out != string(letter) {
			t.Errorf("%s: another letter", what)
		}
		for _, want := range []string{"GOODMDC", "VALIDSIG " + strings.ToUpper(string(sandiman.Certificate().Fingerprint()))} {
			if !strings.Contains(status, want) {
				t.Errorf("%s: no %s in\n%s", what, want, status)
			}
		}
	}
	read("archive", append(bytes.Clone(side), file.Bytes()...))
	g.importSecret(olderLocked)
	read("recipient", file.Bytes())
}

// A key that gpg made by its defaults works as recipient and as signer of a
// draft, in both kinds of signature and over both line ends.
func TestGnuPGKeys(t *testing.T) {
	t.Parallel()
	g := newGnuPG(t)
	for _, algorithm := range []string{"default", "future-default"} {
		t.Run(algorithm, func(t *testing.T) {
			g := &gnupg{t: t, home: g.home}
			id := algorithm + "@contoh.test"
			g.must(nil, "--quick-generate-key", id, algorithm, "default", "2y")
			armored, _ := g.must(nil, "--armor", "--export", id)
			c, err := ParseCertificate([]byte(armored))
			if err != nil {
				t.Fatal(err)
			}
			now := time.Now().Add(time.Second)
			if diff := cmp.Diff([]Finding{{Code: CodeMDCOnly, Detail: "SEIPDv2 is not among the features"}}, Praktis().Check(Recipient{Certificate: c}, now)); diff != "" {
				t.Fatal(diff)
			}
			var file bytes.Buffer
			s, err := Seal(t.Context(), &file, strings.NewReader("naskah"), SealParams{Recipients: []Recipient{{Certificate: c}}, Policy: Praktis(), Now: now})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.CheckEnvelope(t.Context(), bytes.NewReader(file.Bytes())); err != nil {
				t.Fatal(err)
			}
			if out, _ := g.must(file.Bytes(), "--decrypt"); out != "naskah" {
				t.Errorf("read %q", out)
			}
			for _, text := range []string{draft, crlf(draft)} {
				for _, args := range [][]string{{"--textmode", "--armor"}, {"--armor"}, {}} {
					sig, _ := g.must([]byte(text), append(args, "--local-user", id, "--detach-sign")...)
					got, err := VerifyForeign([]byte(draft), []byte(sig), c, now)
					if err != nil || got.Signer != c.Fingerprint() {
						t.Errorf("%v: %+v, %v", args, got, err)
					}
				}
			}
			secret, _ := g.must(nil, "--armor", "--export-secret-keys", id)
			k, err := ParseKey([]byte(secret))
			if err != nil {
				t.Fatal(err)
			}
			if err := k.Unlock(passphrase); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"--encrypt"}, {"--encrypt", "--sign", "--local-user", id}, {"--encrypt", "-z", "0"}} {
				message, _ := g.must([]byte(draft), append(args, "--recipient", id)...)
				var plain bytes.Buffer
				if _, err := Open(t.Context(), &plain, strings.NewReader(message), OpenParams{Key: k, Now: now}); err != nil || plain.String() != draft {
					t.Errorf("%v: %q, %v", args, plain.String(), err)
				}
			}
		})
	}
}

func TestGnuPGVerifiesDraft(t *testing.T) {
	t.Parallel()
	g := newGnuPG(t)
	for _, kind := range []KeyKind{KindV4, KindRSA3072} {
		k, _ := freshKey(t, kind, "kasi")
		sig, _, err := SignText(k, strings.NewReader(draft), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		g.must(k.Certificate().Armor(), "--import")
		path := g.file("kriptogram.txt.ttd.asc", sig)
		for _, test := range []struct {
			text string
			good bool
		}{{draft, true}, {crlf(draft), true}, {draft + "penerima 2/2\n", false}} {
			_, status, err := g.run([]byte(test.text), "--verify", path, "-")
			valid := err == nil && strings.Contains(status, "VALIDSIG "+strings.ToUpper(string(k.Certificate().Fingerprint())))
			if valid != test.good || strings.Contains(status, "NOTATION") {
				t.Errorf("%s %q: %v\n%s", kind, test.text, err, status)
			}
		}
	}
}

// Sequoia reads and writes the same, by the Stateless OpenPGP interface.
func TestSequoia(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sqop"); err != nil {
		t.Skip("sqop is not installed")
	}
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sqop := func(stdin []byte, args ...string) ([]byte, error) {
		cmd := exec.Command("sqop", args...)
		cmd.Stdin = bytes.NewReader(stdin)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Logf("sqop %v: %v %s", args, err, errs.Bytes())
		}
		return out, err
	}
	must := func(out []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	theirKey := must(sqop(nil, "generate-key", "Tujuan <tujuan@contoh.test>"))
	theirs, err := ParseCertificate(must(sqop(theirKey, "extract-cert")))
	if err != nil {
		t.Fatal(err)
	}
	ours, _ := freshKey(t, KindV4, "sandiman")
	now := time.Now().Add(time.Second)
	var kriptogram bytes.Buffer
	if _, err := Seal(t.Context(), &kriptogram, strings.NewReader(draft), SealParams{
		Recipients: []Recipient{{Certificate: theirs}}, Signer: ours, Policy: Praktis(), Now: time.Now(), Notations: letterNotations,
	}); err != nil {
		t.Fatal(err)
	}
	ourFile := file("ours.asc", ours.Certificate().Armor())
	if out := must(sqop(kriptogram.Bytes(), "decrypt", "--verify-with", ourFile, "--verifications-out", filepath.Join(dir, "verifications"), file("their.key", theirKey))); string(out) != draft {
		t.Errorf("sqop read %q", out)
	}
	if found, err := os.ReadFile(filepath.Join(dir, "verifications")); err != nil || !strings.Contains(strings.ToLower(string(found)), string(ours.Certificate().Fingerprint())) {
		t.Errorf("sqop found no inner signature: %q, %v", found, err)
	}
	sig, _, err := SignText(ours, strings.NewReader(draft), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	sigFile := file("draft.asc", sig)
	for text, good := range map[string]bool{draft: true, crlf(draft): true, draft + "x": false} {
		if _, err := sqop([]byte(text), "verify", sigFile, ourFile); (err == nil) != good {
			t.Errorf("sqop verify %q: %v", text, err)
		}
	}
	for _, as := range []string{"--as=text", "--as=binary"} {
		theirSig := must(sqop([]byte(draft), "sign", as, filepath.Join(dir, "their.key")))
		if got, err := VerifyForeign([]byte(crlf(draft)), theirSig, theirs, now); err != nil || got.Signer != theirs.Fingerprint() {
			t.Errorf("%s: %+v, %v", as, got, err)
		}
	}
	// sqop armors by default; a kriptogram is binary.
	message := must(sqop([]byte(draft), "encrypt", "--no-armor", ourFile))
	var plain bytes.Buffer
	if _, err := Open(t.Context(), &plain, bytes.NewReader(message), OpenParams{Key: ours, Now: now}); err != nil || plain.String() != draft {
		t.Errorf("from sqop: %q, %v", plain.String(), err)
	}
	if _, err := ReadEnvelope(io.MultiReader(bytes.NewReader(message), strings.NewReader("x"))); codeOf(err) != "crypto.envelope" {
		t.Errorf("octet behind: %v", err)
	}
}
