package desk

import (
	"os"
	"path/filepath"
	"testing"

	"sandi/agenda"
	"sandi/cmd/internal/signedtext"
	"sandi/crypto"
	"sandi/mail/loopback"
)

// inGPG gives the key of one of our officers to gpg.
func (f *office) inGPG(t *testing.T, handle string) (home, fingerprint string, gpg func(stdin string, args ...string)) {
	t.Helper()
	home, _, _ = gpgHome(t, gpgCurve, "Orang lain")
	o, err := f.Book.Officer(t.Context(), handle)
	f.check(err)
	locked, err := os.ReadFile(f.keyFile(handle))
	f.check(err)
	exported, err := crypto.ExportForGnuPG(locked, []byte(right.passphrase))
	f.check(err)
	gpg = func(stdin string, args ...string) {
		t.Helper()
		run(t, home, stdin, append([]string{
			"gpg", "--quiet", "--no-tty", "--yes", "--faked-system-time", "20261123T010700!", "--pinentry-mode", "loopback", "--passphrase", right.passphrase,
		}, args...)...)
	}
	key := filepath.Join(home, handle+".key")
	f.check(os.WriteFile(key, exported, 0o600))
	gpg("", "--batch", "--import", key)
	return home, o.Fingerprint, gpg
}

// What the desk knows of a revocation counts, on whatever way it learned of it
// and whoever names the signer: an old bundle brings no officer back, nor does
// another office that he signs for as well.
func TestRevocationIsKnownEverywhere(t *testing.T) {
	t.Parallel()
	f, _, eml := sentParts(t)
	source := f.file("asli.eml", eml)
	home, fingerprint, gpg := f.inGPG(t, "sandiman")
	gpg("y\n1\n\ny\n", "--command-fd", "0", "--output", filepath.Join(home, "rev.asc"), "--gen-revoke", fingerprint)
	gpg("", "--batch", "--import", filepath.Join(home, "rev.asc"))
	gpg("", "--batch", "--armor", "--output", filepath.Join(home, "revoked.asc"), "--export", fingerprint)

	r := f.reader()
	r.pinned("kota", true, f.ourSigners()...)
	r.pinned("upt", true, f.ourSigners()...)
	if _, err := r.openAt(f.keys["jateng"], source); err != nil {
		t.Fatalf("before: %v", err)
	}
	_, _, err := r.EditCorrespondent(t.Context(), CorrespondentParams{
		Handle: "upt", Signers: []SignerFile{{Role: agenda.RoleSandiman, File: filepath.Join(home, "revoked.asc")}},
	}, "dicabut")
	r.check(err)
	for name, signers := range map[string][]SignerFile{"other_office": nil, "old_bundle": f.ourSigners()} {
		got, err := Receive(t.Context(), r.Desk, ReceiveParams{Source: source, KeyFile: f.keys["jateng"], Signers: signers}, r.options())
		if coded(err) != CodeNotGood || got.Kriptogram != crypto.VerdictBad || got.Sending != crypto.VerdictBad {
			t.Errorf("%s: verdicts %v, why %v, %v", name, got.Verdicts, got.Why, err)
		}
	}
}

// The signature inside an encryption is over whatever somebody handed in as a
// letter, and its recipients can take it out: over a letter that reads like a
// draft it must not pass for the paraf.
func TestSignatureOverALetterIsNoParaf(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	f.send(f.signed("jateng"))
	p := f.parts(f.gateway.Messages()[0].Data)
	home, _, gpg := f.inGPG(t, "sandiman")
	letter, sig := filepath.Join(home, "surat"), filepath.Join(home, "surat.sig")
	f.check(os.WriteFile(letter, p[signedtext.DraftFile], 0o600))
	o, err := f.Book.Officer(t.Context(), "sandiman")
	f.check(err)
	gpg("", "--batch", "--local-user", o.Fingerprint, "--output", sig, "--detach-sign", letter)
	p[signedtext.ParafFile], err = os.ReadFile(sig)
	f.check(err)
	got, err := f.receive(f.folder(p), f.ourSigners())
	if coded(err) != CodeNotGood || got.Kriptogram != crypto.VerdictBad {
		t.Errorf("verdicts %v, why %v, %v", got.Verdicts, got.Why, err)
	}
}
