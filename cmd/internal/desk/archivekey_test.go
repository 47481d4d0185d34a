package desk

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sandi/agenda"
	"sandi/crypto"
	"sandi/mail/loopback"
)

func (f *office) archiveFingerprints() []string {
	f.t.Helper()
	keys, err := f.Book.ArchiveKeys(f.t.Context())
	f.check(err)
	var all []string
	for _, k := range keys {
		all = append(all, k.Fingerprint)
	}
	return all
}

// A crash between the private key and its event leaves a key that the next
// run takes over: one key is made, however often it takes.
func TestCrashArchiveKey(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	f.archiveKeyOf()
	sweep(t, stage{f: f, step: "archive-key", entry: agenda.Name{Book: agenda.Kriptogram, Serial: 1, Year: 2026}},
		func(t *testing.T, f *office, again error) {
			if again != nil {
				t.Errorf("again: %v", again)
			}
			fingerprints, files := f.archiveFingerprints(), f.ArchiveKeysWaiting()
			// Killed after the commit, the second run makes the key after next.
			if n := len(fingerprints); n < 2 || n > 3 || len(files) != n-1 {
				t.Fatalf("%d certificates, private keys %v", n, files)
			}
			for _, path := range files {
				data, err := os.ReadFile(path)
				f.check(err)
				cert, err := crypto.CertificateOfSecret(data)
				f.check(err)
				if !slices.Contains(fingerprints, string(cert.Fingerprint())) {
					t.Errorf("%s is in no event", path)
				}
			}
			if _, err := f.archiveCertificate(t.Context()); err != nil {
				t.Error(err)
			}
		})
}

// What a run left that stopped before its event is told by the doctor, never
// moved away as the archive's key, and taken over with its passphrase only.
func TestUnnotedArchiveKey(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	f.archiveKeyOf()
	secret, cert, err := newArchiveKey(ctx, f.Config, pass, f.opts)
	f.check(err)
	left := f.path(awayFolder, archiveKeyName(cert.Fingerprint()))
	f.check(os.WriteFile(left, secret, 0o600))
	found, err := f.seeKeys(ctx)
	f.check(err)
	if !slices.Contains(found, Condition{Area: "offline", Why: "unnoted", Level: LevelWarn, Name: left}) {
		t.Errorf("doctor: %+v", found)
	}
	if _, err := f.MoveArchiveKey(ctx, t.TempDir()); coded(err) != CodeArchiveUnnoted {
		t.Errorf("moved away: %v", err)
	}
	wrong := func(context.Context) ([]byte, error) { return []byte("bukan"), nil }
	if _, err := f.ChangeArchiveKey(ctx, ArchiveKeyParams{Reason: "uji", Passphrase: wrong}); coded(err) != CodePassphrase {
		t.Errorf("taken over by who does not know its passphrase: %v", err)
	}
	res, err := f.ChangeArchiveKey(ctx, ArchiveKeyParams{Reason: "uji", Passphrase: pass})
	f.check(err)
	if !res.TakenOver || res.PrivateKey != left || res.Key.Fingerprint != string(cert.Fingerprint()) {
		t.Errorf("%+v", res)
	}
	if files := f.ArchiveKeysWaiting(); !slices.Equal(files, []string{left}) {
		t.Errorf("private keys %v", files)
	}
	// The same at a place outside; what is there besides is left alone.
	other, cert, err := newArchiveKey(ctx, f.Config, pass, f.opts)
	f.check(err)
	out := f.file("baru.key", other)
	if res, err = f.ChangeArchiveKey(ctx, ArchiveKeyParams{Reason: "uji", KeyOut: out, Passphrase: pass}); err != nil || !res.TakenOver || res.Inside {
		t.Errorf("%+v, %v", res, err)
	}
	if got := f.archiveFingerprints(); got[len(got)-1] != string(cert.Fingerprint()) {
		t.Errorf("%v", got)
	}
	before := f.archiveFingerprints()
	for _, taken := range []string{out, f.file("surat.pdf", plainLetter), f.certificate("kasi")} {
		want, err := os.ReadFile(taken)
		f.check(err)
		for _, check := range []bool{true, false} {
			if _, err := f.ChangeArchiveKey(ctx, ArchiveKeyParams{Reason: "uji", KeyOut: taken, Passphrase: pass, Check: check}); coded(err) != "vault.exists" {
				t.Errorf("over %s: %v", filepath.Base(taken), err)
			}
		}
		if got, err := os.ReadFile(taken); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s changed: %v", filepath.Base(taken), err)
		}
	}
	if got := f.archiveFingerprints(); !slices.Equal(got, before) {
		t.Errorf("certificates %v, want %v", got, before)
	}
	f.audited()
}

// A refused change takes back the private key that it made.
func TestRefusedArchiveKeyLeavesNoKey(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	f.archiveKeyOf()
	if _, err := f.ChangeArchiveKey(t.Context(), ArchiveKeyParams{Passphrase: pass}); coded(err) != "agenda.missing_field" {
		t.Errorf("without a reason: %v", err)
	}
	if files := f.ArchiveKeysWaiting(); len(files) != 0 || len(f.archiveFingerprints()) != 1 {
		t.Errorf("private keys %v", files)
	}
}

// The certificate of the same key with a later end is merged with what the
// book has, and the key goes on; the private key is the one that was.
func TestArchiveKeyExtended(t *testing.T) {
	t.Parallel()
	cert, longer := gpgKeyExtended(t, "Arsip Dinas Uji")
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	change := func(data []byte) (ArchiveKeyChange, error) {
		return f.ChangeArchiveKey(ctx, ArchiveKeyParams{Certificate: f.file("arsip.asc", data), Reason: "uji"})
	}
	first, err := change(cert)
	f.check(err)
	if first.Extended || first.Inside || first.PrivateKey != "" {
		t.Errorf("another key: %+v", first)
	}
	if _, err := change(cert); coded(err) != CodeArchiveSame {
		t.Errorf("the same certificate again: %v", err)
	}
	second, err := change(longer)
	f.check(err)
	if !second.Extended || second.Key.Fingerprint != first.Key.Fingerprint || !second.Key.Until.After(first.Key.Until.Add(300*24*time.Hour)) {
		t.Errorf("first until %v, extended %+v", first.Key.Until, second)
	}
	// Nothing is lost by going back to the shorter one.
	if _, err := change(cert); coded(err) != CodeArchiveSame {
		t.Errorf("the shorter certificate again: %v", err)
	}
	f.opts.Now = func() time.Time { return first.Key.Until.Add(24 * time.Hour) }
	if k, err := f.archiveCertificate(ctx); err != nil || string(k.cert.Fingerprint()) != first.Key.Fingerprint {
		t.Errorf("after the first end: %v", err)
	}
	f.opts.Now = f.now
	// What is enciphered now says for which key of the archive it is.
	n := f.encrypted("jateng")
	k, err := f.archiveKeyOfEntry(n)
	if err != nil || k.Fingerprint != first.Key.Fingerprint {
		t.Errorf("archive packet for %s: %v", k.Fingerprint, err)
	}
	f.audited()
}

func (f *office) archiveKeyOfEntry(n agenda.Name) (agenda.ArchiveKey, error) {
	f.t.Helper()
	return f.Desk.archiveKeyOfPacket(f.t.Context(), f.entry(n).Drafted.ArchivePacket)
}

// Each kriptogram opens with the key of its time, and the book says which.
func TestArchivePacketNamesItsKey(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	old, v2 := f.encrypted("jateng"), f.encrypted("batang")
	_, err := f.ChangeArchiveKey(t.Context(), ArchiveKeyParams{Reason: "uji", KeyOut: filepath.Join(f.dir, "baru.key"), Passphrase: pass})
	f.check(err)
	fresh := f.encrypted("jateng")
	keys := f.archiveFingerprints()
	var got []string
	for _, n := range []agenda.Name{old, v2, fresh} {
		k, err := f.archiveKeyOfEntry(n)
		f.check(err)
		got = append(got, k.Fingerprint)
	}
	if want := []string{keys[0], keys[0], keys[1]}; !slices.Equal(got, want) {
		t.Errorf("packets for %v, want %v", got, want)
	}
	_, err = f.OpenOwn(t.Context(), old, ReceiveParams{KeyFile: filepath.Join(f.dir, "baru.key"), Out: filepath.Join(f.dir, "naskah"), Secrets: right})
	var refused *Error
	if coded(err) != CodeArchiveOther || !errors.As(err, &refused) || refused.Field != strings.Join(crypto.Fingerprint(keys[0]).Groups(), " ") {
		t.Errorf("old kriptogram with the new key: %v", err)
	}
}

// A crash in a move leaves the key at both places; the next run ends it.
func TestMoveArchiveKeyAgain(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	data, err := os.ReadFile(f.ArchiveKeyWaits())
	f.check(err)
	there := f.file("arsip.key", data)
	if _, err := f.MoveArchiveKey(t.Context(), f.file("lain.key", []byte("lain"))); coded(err) != "vault.exists" {
		t.Errorf("over another file: %v", err)
	}
	if got, err := f.MoveArchiveKey(t.Context(), there); err != nil || got != there || f.ArchiveKeyWaits() != "" {
		t.Errorf("%s, %v, waits %s", got, err, f.ArchiveKeyWaits())
	}
	if kept, err := os.ReadFile(there); err != nil || !bytes.Equal(kept, data) {
		t.Errorf("moved key: %v", err)
	}
}
