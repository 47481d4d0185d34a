package desk

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"sandi/agenda"
	"sandi/cmd/internal/config"
	"sandi/crypto"
	"sandi/mail/loopback"
)

// stranger makes the certificate of a key that no book has seen.
func (f *office) stranger(name string) (secret []byte, cert *crypto.Certificate) {
	f.t.Helper()
	secret, err := crypto.GenerateKey(crypto.GenerateParams{
		Name: name, Email: name + "@contoh.sanapati.test", Passphrase: []byte(right.passphrase), Now: f.now(), Cost: cheap,
	})
	f.check(err)
	cert, err = crypto.CertificateOfSecret(secret)
	f.check(err)
	return secret, cert
}

// What was heard over the telephone was the old key.
func TestAnotherKeyMustBeConfirmedAnew(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	_, cert := f.stranger("baru")
	c, _, err := f.EditCorrespondent(t.Context(), CorrespondentParams{Handle: "jateng", Certificate: f.file("baru.asc", cert.Armor())}, "kunci baru")
	f.check(err)
	if c.State != agenda.Unconfirmed || c.ConfirmedBy != "" || c.ConfirmedVia != "" || c.Fingerprint != string(cert.Fingerprint()) {
		t.Errorf("state %s, by %q, via %q", c.State, c.ConfirmedBy, c.ConfirmedVia)
	}
	_, err = f.Encrypt(t.Context(), EncryptParams{Name: f.classified("jateng"), Documents: []string{f.file("surat.pdf", plainLetter)}, Secrets: right})
	if coded(err) != CodePreflight {
		t.Errorf("enciphered to a key that nobody confirmed: %v", err)
	}
}

func TestAnotherAddressKeepsTheConfirmation(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	want, err := f.Book.Correspondent(t.Context(), "jateng")
	f.check(err)
	got, _, err := f.EditCorrespondent(t.Context(), CorrespondentParams{Handle: "jateng", Address: "baru@contoh.sanapati.test"}, "pindah")
	f.check(err)
	if got.Address != "baru@contoh.sanapati.test" || got.State != agenda.Confirmed || got.ConfirmedBy != want.ConfirmedBy || !got.ConfirmedAt.Equal(want.ConfirmedAt) {
		t.Errorf("%+v", got)
	}
}

// gpgHome makes a key pair with gpg, some days before the clock of the tests,
// valid for a year, and returns its certificate.
func gpgHome(t *testing.T, algorithm, user string) (home string, gpg func(args ...string) []byte, cert []byte) {
	t.Helper()
	needs(t, "gpg", "gpgconf")
	home, err := os.MkdirTemp("", "gpg") // short: the socket of its agent lies there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		run(t, home, "", "gpgconf", "--homedir", filepath.Join(home, "gnupg"), "--kill", "all")
		os.RemoveAll(home)
	})
	if err := os.Mkdir(filepath.Join(home, "gnupg"), 0o700); err != nil {
		t.Fatal(err)
	}
	gpg = func(args ...string) []byte {
		return []byte(run(t, home, "", append([]string{
			"gpg", "--quiet", "--batch", "--faked-system-time", "20261119T000000!", "--pinentry-mode", "loopback", "--passphrase", "",
		}, args...)...))
	}
	params := filepath.Join(home, "params")
	text := "%no-protection\n" + algorithm + "\nName-Real: " + user + "\nExpire-Date: 1y\n%commit\n"
	if err := os.WriteFile(params, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	gpg("--generate-key", params)
	export := filepath.Join(home, "cert.asc")
	gpg("--armor", "--output", export, "--export")
	if cert, err = os.ReadFile(export); err != nil {
		t.Fatal(err)
	}
	return home, gpg, cert
}

// gpgKeyExtended is a certificate, and the same with two years more.
func gpgKeyExtended(t *testing.T, user string) (cert, extended []byte) {
	t.Helper()
	home, gpg, cert := gpgHome(t, gpgCurve, user)
	c, err := crypto.ParseCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := string(c.Fingerprint())
	later := []string{"--faked-system-time", "20261120T000000!", "--quick-set-expire", fingerprint, "3y"}
	gpg(later...)
	gpg(append(later, "*")...)
	again := filepath.Join(home, "extended.asc")
	gpg("--armor", "--output", again, "--export")
	if extended, err = os.ReadFile(again); err != nil {
		t.Fatal(err)
	}
	return cert, extended
}

// gpgKey makes a key pair with gpg and returns its certificate and, when asked
// for, its revocation.
func gpgKey(t *testing.T, algorithm, user string, revoke bool) (cert, revoked []byte) {
	t.Helper()
	home, gpg, cert := gpgHome(t, algorithm, user)
	if !revoke {
		return cert, nil
	}
	made, err := filepath.Glob(filepath.Join(home, "gnupg", "openpgp-revocs.d", "*.rev"))
	if err != nil || len(made) != 1 {
		t.Fatalf("revocations %v, %v", made, err)
	}
	rev, err := os.ReadFile(made[0])
	if err != nil {
		t.Fatal(err)
	}
	// gpg puts a colon before the armor, so that nobody imports it by mistake.
	if err := os.WriteFile(made[0], bytes.Replace(rev, []byte("\n:-----"), []byte("\n-----"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	gpg("--import", made[0])
	again := filepath.Join(home, "revoked.asc")
	gpg("--armor", "--output", again, "--export")
	if revoked, err = os.ReadFile(again); err != nil {
		t.Fatal(err)
	}
	return cert, revoked
}

const (
	gpgRSA2048 = "Key-Type: RSA\nKey-Length: 2048\nKey-Usage: sign\nSubkey-Type: RSA\nSubkey-Length: 2048\nSubkey-Usage: encrypt"
	gpgCurve   = "Key-Type: EDDSA\nKey-Curve: ed25519\nSubkey-Type: ECDH\nSubkey-Curve: cv25519"
)

// The profile names who may keep a short key; nobody else may.
func TestRSA2048NeedsItsRecordedException(t *testing.T) {
	t.Parallel()
	data, _ := gpgKey(t, gpgRSA2048, "Tegal", false)
	f := newOffice(t, loopback.Options{})
	_, rep, err := f.AddCorrespondent(t.Context(), CorrespondentParams{
		Handle: "tegal", Unit: "Diskominfo Kota Tegal", Address: "tegal@contoh.sanapati.test", Certificate: f.file("tegal.asc", data),
	})
	f.check(err)
	f.check(f.ConfirmCorrespondent(t.Context(), "tegal", string(rep.Facts.Fingerprint), "sandiman tujuan", "telepon"))
	n := f.classified("tegal")
	encrypt := func() error {
		_, err := f.Encrypt(t.Context(), EncryptParams{Name: n, Documents: []string{f.file("surat.pdf", plainLetter)}, Secrets: right})
		return err
	}
	if err := encrypt(); coded(err) != CodePreflight {
		t.Errorf("without the exception: %v", err)
	}
	f.Config.Profile.Policy.RSA2048 = []config.RSA2048Exception{{Correspondent: "batang"}}
	if err := encrypt(); coded(err) != CodePreflight {
		t.Errorf("with the exception of another: %v", err)
	}
	f.Config.Profile.Policy.RSA2048 = []config.RSA2048Exception{{Correspondent: "tegal"}}
	if err := encrypt(); err != nil {
		t.Errorf("with the exception: %v", err)
	}
}

// A revocation seen once stays, also when the key goes and comes back without
// it.
func TestRevocationOutlivesAnExchangeOfKeys(t *testing.T) {
	t.Parallel()
	data, revoked := gpgKey(t, gpgCurve, "Tegal", true)
	f := newOffice(t, loopback.Options{})
	first, second := f.file("awal.asc", data), f.file("dicabut.asc", revoked)
	_, cert := f.stranger("lain")
	other := f.file("lain.asc", cert.Armor())
	_, rep, err := f.AddCorrespondent(t.Context(), CorrespondentParams{
		Handle: "tegal", Unit: "Diskominfo Kota Tegal", Address: "tegal@contoh.sanapati.test", Certificate: first,
		Signers: []SignerFile{{Role: agenda.RoleSandiman, File: second}},
	})
	f.check(err)
	if rep.Facts.Revoked {
		t.Fatal("the certificate is revoked before its revocation was seen")
	}
	edit := func(path string) error {
		_, _, err := f.EditCorrespondent(t.Context(), CorrespondentParams{Handle: "tegal", Certificate: path}, "kunci")
		return err
	}
	if err := edit(other); err != nil {
		t.Fatal(err)
	}
	if err := edit(first); coded(err) != CodeCertificate {
		t.Errorf("the revoked key is back: %v", err)
	}
	if c, err := f.Book.Correspondent(t.Context(), "tegal"); err != nil || c.Fingerprint != string(cert.Fingerprint()) {
		t.Errorf("fingerprint %s, %v", c.Fingerprint, err)
	}
}

// What a refused officer would have got is gone; what lay there stays.
func TestRefusedOfficerLeavesNoKey(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	files := func() []string {
		got, err := filepath.Glob(f.path("keys", "*"))
		f.check(err)
		return got
	}
	before := files()
	add := func(o agenda.Officer, role agenda.Role, out string) error {
		_, err := f.AddOfficer(t.Context(), OfficerParams{
			Officer: o, Roles: []agenda.RoleGrant{{Role: role, Kind: "tetap"}}, NewKey: true, KeyOut: out, Passphrase: pass,
		})
		return err
	}
	away := filepath.Join(f.dir, "kabid.key")
	// The number of another officer: the book refuses the second person.
	if err := add(agenda.Officer{Handle: "baru", Name: "Pejabat baru", NIP: "19800101"}, agenda.RoleSandiman, ""); coded(err) != "agenda.same_person" {
		t.Errorf("sandiman: %v", err)
	}
	if err := add(agenda.Officer{Handle: "kabid", Name: "Pejabat kabid", NIP: "19700101"}, agenda.RoleKepalaBidang, away); coded(err) != "agenda.same_person" {
		t.Errorf("head: %v", err)
	}
	if after := files(); !slices.Equal(after, before) {
		t.Errorf("keys %v, before %v", after, before)
	}
	if _, err := os.Lstat(away); !os.IsNotExist(err) {
		t.Errorf("key of the refused head: %v", err)
	}
	kept := []byte("kunci orang lain")
	f.check(os.WriteFile(f.keyFile("baru"), kept, 0o600))
	if err := add(agenda.Officer{Handle: "baru", Name: "Pejabat baru", NIP: "19800109"}, agenda.RoleSandiman, ""); coded(err) != "vault.exists" {
		t.Errorf("over the key of another: %v", err)
	}
	if got, err := os.ReadFile(f.keyFile("baru")); err != nil || !bytes.Equal(got, kept) {
		t.Errorf("the key of another now reads %q, %v", got, err)
	}
	if _, err := f.Book.Officer(t.Context(), "baru"); coded(err) != "agenda.unknown_officer" {
		t.Errorf("officer without a key: %v", err)
	}
}

// A head whose certificate ran out neither signs nor lets anything leave.
func TestExpiredHead(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	f.check(f.EndRole(ctx, "kasi", agenda.RoleGrant{Role: agenda.RoleKepalaSeksi}))
	secret, err := crypto.GenerateKey(crypto.GenerateParams{
		Name: "Kasi baru", Email: "kasi2@contoh.sanapati.test", Passphrase: []byte(right.passphrase), Now: f.now(), Lifetime: time.Hour, Cost: cheap,
	})
	f.check(err)
	_, err = f.AddOfficer(ctx, OfficerParams{
		Officer: agenda.Officer{Handle: "kasi2", Name: "Kasi baru", NIP: "19700102"},
		Roles:   []agenda.RoleGrant{{Role: agenda.RoleKepalaSeksi, Kind: "tetap"}}, KeyFile: f.file("kasi2.key", secret),
	})
	f.check(err)
	signed, drafted := f.signed("jateng"), f.encrypted("jateng")
	pend, err := f.Pending(ctx, drafted)
	f.check(err)
	key, err := crypto.ParseKey(secret)
	f.check(err)
	f.check(key.Unlock([]byte(right.passphrase)))
	sig, _, err := crypto.SignText(key, bytes.NewReader(pend.text), f.now())
	f.check(err)
	file := f.file("ttd.asc", sig)
	f.opts.Now = func() time.Time { return f.now().Add(24 * time.Hour) }
	if _, err := f.mayRelease(ctx, f.entry(signed)); coded(err) != CodeSignature {
		t.Errorf("release: %v", err)
	}
	if _, err := f.Sign(ctx, SignParams{Name: drafted, Attach: file}); coded(err) != CodeSignature {
		t.Errorf("attached signature: %v", err)
	}
	if a, b := f.entry(signed).State, f.entry(drafted).State; a != agenda.StateSigned || b != agenda.StateDrafted {
		t.Errorf("states %s, %s", a, b)
	}
}

// Nothing new goes to an addressee whose approval ended.
func TestEndedCorrespondentGetsNothing(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	k, s := f.signed("jateng"), f.ordinary("jateng")
	_, err := f.Attach(t.Context(), AttachParams{Name: s, Files: []string{f.file("scan.pdf", []byte("%PDF-1.4 undangan"))}})
	f.check(err)
	c, err := f.Book.Correspondent(t.Context(), "jateng")
	f.check(err)
	c.Ended = true
	f.check(f.Book.ChangeCorrespondent(t.Context(), f.Nobody(), c, "dicabut"))
	for _, n := range []agenda.Name{k, s} {
		_, err := f.Send(t.Context(), SendParams{Names: []agenda.Name{n}, Secrets: right})
		if got := coded(err); got != CodeAddressee && got != CodePreflight && got != CodeStale {
			t.Errorf("%s leaves: %v", n, err)
		}
	}
	if f.numbers() != 0 || len(f.gateway.Messages()) != 0 {
		t.Errorf("%d numbers, %d messages", f.numbers(), len(f.gateway.Messages()))
	}
}

// A crash between the key file and the event bars nobody: the next run takes
// the key over, and the officer has the one that his certificate is of.
func TestCrashOfficer(t *testing.T) {
	t.Parallel()
	for name, outside := range map[string]string{"sandiman": "", "head": ".media"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newOffice(t, loopback.Options{})
			s := stage{f: f, step: "officer", entry: agenda.Name{Book: agenda.Kriptogram, Serial: 1, Year: 2026}, file: outside}
			sweep(t, s, func(t *testing.T, f *office, again error) {
				if again != nil && !strings.Contains(again.Error(), CodeDuplicate) {
					t.Errorf("again: %v", again)
				}
				o, err := f.Book.Officer(t.Context(), "baru")
				f.check(err)
				if _, err := f.keyOf(o); err != nil {
					t.Errorf("his key: %v", err)
				}
				found, err := f.seeLeftovers(t.Context())
				f.check(err)
				for _, c := range found {
					if c.Why == "ownerless" {
						t.Errorf("left over: %+v", c)
					}
				}
			})
		})
	}
}

// The key of a run that stopped is told by the doctor, and taken over by who
// knows its passphrase only.
func TestOwnerlessKey(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	p := OfficerParams{
		Officer: agenda.Officer{Handle: "baru", Name: "Pejabat baru", NIP: "19800109"},
		Roles:   []agenda.RoleGrant{{Role: agenda.RoleSandiman, Kind: "tetap", Title: "Sandiman"}}, NewKey: true, Passphrase: pass,
	}
	secret, cert, err := f.newKey(ctx, p.Officer, p)
	f.check(err)
	f.check(os.WriteFile(f.keyFile("baru"), secret, 0o600))
	found, err := f.seeLeftovers(ctx)
	f.check(err)
	if want := (Condition{Area: "leftover", Why: "ownerless", Level: LevelWarn, Name: "baru"}); !slices.Contains(found, want) {
		t.Errorf("doctor: %+v", found)
	}
	told := ""
	p.Found = func(path string) { told = path }
	p.Passphrase = func(context.Context) ([]byte, error) { return []byte("bukan"), nil }
	if _, err := f.AddOfficer(ctx, p); coded(err) != CodePassphrase || told != f.keyFile("baru") {
		t.Errorf("who does not know its passphrase: %v, told %q", err, told)
	}
	if got, err := os.ReadFile(f.keyFile("baru")); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("the key that was left: %v", err)
	}
	p.Passphrase = pass
	o, err := f.AddOfficer(ctx, p)
	f.check(err)
	if o.Fingerprint != string(cert.Fingerprint()) {
		t.Errorf("key %s, want the one that was left, %s", o.Fingerprint, cert.Fingerprint())
	}
}

// A key of which the signing secret lies open would take any passphrase. Its
// file may have become so since it was recorded: nothing is signed with it, and
// nobody is asked.
func TestKeyThatLiesOpen(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.encrypted("jateng")
	path := filepath.Join(f.dir, "kasi.key")
	locked, err := os.ReadFile(path)
	f.check(err)
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(locked))
	f.check(err)
	f.check(ring[0].PrivateKey.Decrypt([]byte(right.passphrase)))
	var half bytes.Buffer
	w, err := armor.Encode(&half, openpgp.PrivateKeyType, nil)
	f.check(err)
	f.check(ring[0].SerializePrivateWithoutSigning(w, nil))
	f.check(w.Close())
	f.check(os.WriteFile(path, half.Bytes(), 0o600))

	asked := &counted{secrets: secrets{"salah sama sekali", ""}}
	if _, err := f.Sign(t.Context(), SignParams{Name: n, Secrets: asked}); coded(err) != CodePassphrase || asked.asked != 0 {
		t.Errorf("signed with an open key: %v, asked %d times", err, asked.asked)
	}
	if e := f.entry(n); e.State != agenda.StateDrafted {
		t.Errorf("state %s", e.State)
	}
	_, err = f.AddOfficer(t.Context(), OfficerParams{
		Officer: agenda.Officer{Handle: "lain", Name: "Lain", NIP: "19900101"},
		Roles:   []agenda.RoleGrant{{Role: agenda.RoleOperator, Kind: "tetap"}}, KeyFile: path,
	})
	if coded(err) != CodePassphrase {
		t.Errorf("an open key recorded: %v", err)
	}
	f.check(os.WriteFile(path, locked, 0o600))
	_, err = f.Sign(t.Context(), SignParams{Name: n, Secrets: right})
	f.check(err)
}
