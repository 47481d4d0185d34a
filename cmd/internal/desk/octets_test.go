package desk

import (
	"bytes"
	"database/sql"
	"slices"
	"testing"

	"sandi/agenda"
	"sandi/crypto"
	"sandi/mail/loopback"
)

// exchange puts other octets in the place of those of an object, as whoever
// writes into the book can.
func (f *office) exchange(sum agenda.Hash, data []byte) {
	f.t.Helper()
	db, err := sql.Open("sqlite", "file:"+f.path(bookFile))
	f.check(err)
	defer db.Close()
	var trigger string
	f.check(db.QueryRow("SELECT sql FROM sqlite_schema WHERE name='object_update'").Scan(&trigger))
	for _, s := range []string{"DROP TRIGGER object_update", "", trigger} {
		if s == "" {
			_, err = db.Exec("UPDATE object SET data=$1, size=$2 WHERE sha256=$3", data, len(data), sum[:])
		} else {
			_, err = db.Exec(s)
		}
		f.check(err)
	}
	f.check(f.Desk.Close())
	f.Desk, err = Open(f.t.Context(), f.Dir, f.options())
	f.check(err)
}

// Octets that are not those of the digest in the log are no certificate: not
// the archive's, to which each letter is enciphered once more, and not the
// head's, whose signature lets it leave.
func TestExchangedOctetsAreRefused(t *testing.T) {
	t.Parallel()
	t.Run("archive", func(t *testing.T) {
		t.Parallel()
		f := newOffice(t, loopback.Options{})
		_, cert := f.stranger("musuh")
		newest, _, err := f.newestArchiveKey(t.Context())
		f.check(err)
		n := f.classified("jateng")
		f.exchange(newest.Certificate.SHA256, cert.Bytes())
		_, err = f.Encrypt(t.Context(), EncryptParams{Name: n, Documents: []string{f.file("surat.pdf", plainLetter)}, Secrets: right})
		if coded(err) != "agenda.tampered" || f.entry(n).Drafted != nil {
			t.Errorf("enciphered to the key of a stranger: %v", err)
		}
		if _, err := f.Backup(t.Context(), BackupParams{Out: f.path("..", "cadangan.pgp")}); coded(err) != "agenda.tampered" {
			t.Errorf("backup: %v", err)
		}
		f.namesObject(newest.Certificate.SHA256)
	})
	t.Run("head", func(t *testing.T) {
		t.Parallel()
		f := newOffice(t, loopback.Options{})
		secret, cert := f.stranger("musuh")
		n := f.encrypted("jateng")
		pend, err := f.Pending(t.Context(), n)
		f.check(err)
		key, err := crypto.ParseKey(secret)
		f.check(err)
		f.check(key.Unlock([]byte(right.passphrase)))
		sig, _, err := crypto.SignText(key, bytes.NewReader(pend.text), f.now())
		f.check(err)
		f.exchange(pend.Head.Certificate.SHA256, cert.Bytes())
		if _, err := f.Sign(t.Context(), SignParams{Name: n, Attach: f.file("ttd.asc", sig)}); coded(err) != "agenda.tampered" {
			t.Errorf("signed by a stranger: %v", err)
		}
		f.namesObject(pend.Head.Certificate.SHA256)
	})
}

// namesObject sees that the audit still tells which object it is.
func (f *office) namesObject(sum agenda.Hash) {
	f.t.Helper()
	audit, err := f.Audit(f.t.Context())
	f.check(err)
	if !slices.ContainsFunc(audit.Problems, func(p agenda.Problem) bool { return p.Kind == "object" && p.Detail == sum.String()+": bytes" }) {
		f.t.Errorf("audit: %+v", audit.Problems)
	}
}
