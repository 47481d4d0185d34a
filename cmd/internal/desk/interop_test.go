package desk

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/config"
	"sandi/cmd/internal/signedtext"
	"sandi/crypto"
	"sandi/mail"
)

func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip(p + " is not installed")
		}
	}
}

// run runs a program that we did not write; its failure is the test's.
func run(t *testing.T, dir, stdin string, argv ...string) string {
	t.Helper()
	c := exec.Command(argv[0], argv[1:]...)
	c.Dir = dir
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "GNUPGHOME="+filepath.Join(dir, "gnupg"))
	c.Stdin = strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

// Both services through a real Postfix: STARTTLS under a private authority,
// SASL, delivery to a Maildir. What arrived is what was frozen, and gpg, sqop
// and sha256sum agree with our verdicts.
func TestThroughPostfix(t *testing.T) {
	if why := postfixMissing(); why != "" {
		t.Skip(why)
	}
	needs(t, "gpg", "sqop", "sha256sum")
	g := startPostfix(t)
	// Foreign programs have the real clock.
	f := officeAt(t, time.Now, config.Gateway{Address: g.addr, TLS: "starttls", Username: g.user, CA: g.ca})
	k := f.signed("jateng")
	s := f.ordinary("jateng")
	scan := f.file("scan.pdf", append([]byte("%PDF-1.4\n"), bytes.Repeat([]byte("gambar"), 1000)...))
	if _, err := f.Attach(t.Context(), AttachParams{Name: s, Files: []string{scan}}); err != nil {
		t.Fatal(err)
	}
	res := f.send(k, s)
	if len(res.Deliveries) != 2 || res.Down != nil {
		t.Fatalf("deliveries %+v, down %v", res.Deliveries, res.Down)
	}
	for _, d := range res.Deliveries {
		if d.State != agenda.CopyAccepted || d.QueueID == "" {
			t.Errorf("%s: %s, queue id %q, reply %q", d.Entry, d.State, d.QueueID, d.Reply)
		}
	}
	stored := g.messages(t, 2, "\nDelivered-To: jateng@")
	// The server was asked for a notice of delivery, under our own token.
	for _, notice := range g.messages(t, 2, "\nContent-Type: multipart/report") {
		if !bytes.Contains(notice, []byte("Original-Envelope-Id: "+mail.EnvelopeID(f.entry(k).Copies[0].MessageID))) &&
			!bytes.Contains(notice, []byte("Original-Envelope-Id: "+mail.EnvelopeID(f.entry(s).Copies[0].MessageID))) {
			t.Errorf("notice without our envelope id:\n%s", notice)
		}
	}
	// Read from the Maildir, the notices say that both arrived.
	came, err := f.Receipts(t.Context(), ReceiptParams{Sources: []string{g.maildir}})
	f.check(err)
	for _, r := range came.Receipts {
		if r.Kind != agenda.ReceiptDSN || r.Action != "delivered" || r.Matched != agenda.MatchedEnvelope {
			t.Errorf("receipt %+v", r)
		}
	}
	if open, err := f.Overdue(t.Context(), new(-1)); err != nil || len(came.Receipts) != 2 || len(open) != 0 {
		t.Errorf("%d receipts, %d unconfirmed: %v", len(came.Receipts), len(open), err)
	}
	for _, n := range []agenda.Name{k, s} {
		frozen := f.frozen(f.entry(n).Copies[0])
		if !containsStored(stored, frozen) {
			t.Errorf("%s: no stored message holds the frozen octets", n)
		}
	}
	for _, m := range stored {
		if bytes.Contains(m, []byte(signedtext.KriptogramFile)) {
			foreignCheck(t, f, m)
		}
		source := f.file("tersimpan.eml", m)
		signers := append(f.ourSigners(), SignerFile{Role: agenda.RoleOperator, File: f.certificate("operator")})
		got, err := Receive(t.Context(), nil, ReceiveParams{Source: source, Signers: signers, KeyFile: f.keys["jateng"]}, f.options())
		if err != nil || got.Sending != crypto.VerdictGood {
			t.Errorf("stored message: verdicts %v, why %v: %v", got.Verdicts, got.Why, err)
		}
	}
	f.audited()
}

// containsStored finds a stored message that is the frozen one with headers
// put before it and the line ends of a Maildir.
func containsStored(stored [][]byte, frozen []byte) bool {
	lf := bytes.ReplaceAll(frozen, []byte("\r\n"), []byte("\n"))
	for _, m := range stored {
		if bytes.HasSuffix(m, lf) || bytes.HasSuffix(m, frozen) {
			return true
		}
	}
	return false
}

func foreignCheck(t *testing.T, f *office, eml []byte) {
	t.Helper()
	dir := t.TempDir()
	m, err := mail.Parse(bytes.NewReader(eml), int64(len(eml)))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := io.ReadAll(m.SignedText())
	if err != nil {
		t.Fatal(err)
	}
	files := f.parts(eml)
	files["pesan"], files["pesan.asc"] = signed, m.Signature()
	for _, o := range []string{"sandiman", "kasi"} {
		files[o+".asc"], err = os.ReadFile(f.certificate(o))
		if err != nil {
			t.Fatal(err)
		}
	}
	secret, err := os.ReadFile(f.keys["jateng"])
	if err != nil {
		t.Fatal(err)
	}
	if files["jateng.key"], err = crypto.ExportForGnuPG(secret, []byte(right.passphrase)); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "gnupg"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { exec.Command("gpgconf", "--homedir", filepath.Join(dir, "gnupg"), "--kill", "all").Run() })
	gpg := func(stdin string, args ...string) string {
		return run(t, dir, stdin, append([]string{"gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", right.passphrase}, args...)...)
	}
	gpg("", "--import", "sandiman.asc", "kasi.asc", "jateng.key")
	for sig, text := range map[string]string{
		"pesan.asc": "pesan", signedtext.ParafFile: signedtext.DraftFile, signedtext.SignatureFile: signedtext.DraftFile,
	} {
		if out := gpg("", "--verify", sig, text); !strings.Contains(out, "Good signature") {
			t.Errorf("gpg --verify %s: %s", sig, out)
		}
	}
	if out := run(t, dir, "", "sha256sum", "-c", signedtext.DraftFile); !strings.Contains(out, signedtext.KriptogramFile+": OK") {
		t.Errorf("sha256sum: %s", out)
	}
	gpg("", "--output", "naskah", "--decrypt", signedtext.KriptogramFile)
	if plain, err := os.ReadFile(filepath.Join(dir, "naskah")); err != nil || !bytes.Equal(plain, plainLetter) {
		t.Errorf("gpg deciphers something else (%v)", err)
	}
	// Sequoia: the head's signature over the draft, and the letter.
	run(t, dir, string(files[signedtext.DraftFile]), "sqop", "verify", signedtext.SignatureFile, "kasi.asc")
	if err := os.WriteFile(filepath.Join(dir, "frasa"), []byte(right.passphrase), 0o600); err != nil {
		t.Fatal(err)
	}
	out := run(t, dir, string(files[signedtext.KriptogramFile]), "sqop", "decrypt", "--with-key-password", "frasa", "jateng.key")
	if out != string(plainLetter) {
		t.Error("sqop deciphers something else")
	}
}

// The head signs on another machine with nothing but gpg.
func TestHeadSignsWithGPG(t *testing.T) {
	needs(t, "gpg", "sha256sum")
	f := officeAt(t, time.Now, config.Gateway{Address: "127.0.0.1:1", TLS: "none"})
	n := f.encrypted("jateng")
	dir := t.TempDir()
	folder := filepath.Join(dir, "permintaan")
	if _, err := f.Request(t.Context(), n, folder); err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile(filepath.Join(f.dir, "kasi.key"))
	f.check(err)
	key, err := crypto.ExportForGnuPG(secret, []byte(right.passphrase))
	f.check(err)
	f.check(os.WriteFile(filepath.Join(dir, "kasi.key"), key, 0o600))
	f.check(os.Mkdir(filepath.Join(dir, "gnupg"), 0o700))
	t.Cleanup(func() { exec.Command("gpgconf", "--homedir", filepath.Join(dir, "gnupg"), "--kill", "all").Run() })
	sh := func(script string) string { return run(t, dir, "", "sh", "-ec", script) }
	const gpg = "gpg --batch --pinentry-mode loopback --passphrase 'frasa sandi uji' "
	sh(gpg + "--import kasi.key")
	sh("cd permintaan && sha256sum -c kriptogram.txt")
	sh("cd permintaan && cat kasi.pkesk kriptogram.pgp | " + gpg + "--output ../naskah --decrypt || test $? = 2")
	if plain, err := os.ReadFile(filepath.Join(dir, "naskah")); err != nil || !bytes.Equal(plain, plainLetter) {
		t.Errorf("the head reads something else (%v)", err)
	}
	sh("cd permintaan && " + gpg + "--textmode --armor --detach-sign kriptogram.txt")
	e, err := f.Sign(t.Context(), SignParams{Name: n, Attach: filepath.Join(folder, "kriptogram.txt.asc")})
	if err != nil {
		t.Fatal(err)
	}
	if e.State != agenda.StateSigned || e.Signed.Via != "attached" {
		t.Errorf("state %s, via %q", e.State, e.Signed.Via)
	}
	// A good signature over another draft of the same entry is none.
	if _, err := f.Encrypt(t.Context(), EncryptParams{
		Name: n, Documents: []string{f.file("b.pdf", plainLetter)}, Again: true, Reason: "lampiran kurang", Secrets: right,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Sign(t.Context(), SignParams{Name: n, Attach: filepath.Join(folder, "kriptogram.txt.asc")}); coded(err) != CodeSignature {
		t.Errorf("signature over draft 1 for draft 2: %v", err)
	}
}
