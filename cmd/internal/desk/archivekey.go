package desk

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/config"
	"sandi/cmd/internal/vault"
	"sandi/crypto"
)

// The archive has a key of its own, to which every kriptogram is enciphered
// once more, beside the letter, and every backup. The desk holds its
// certificate only; the private half lies in offline/ until somebody takes it
// away. The certificate ends after a year and is renewed: the book keeps all
// that there were, and the newest counts. An older one is never fallen back
// on, since the newest may have been made because the older was lost.

// archiveLife is how long an archive key may be used for new letters: a year
// and the turn of the year.
const archiveLife = 400 * 24 * time.Hour

// ArchiveOwner stands for the archive where a key's owner is named.
const ArchiveOwner = "arsip"

// Codes of the archive key.
const (
	CodeArchiveKey     = "desk.archive_key"      // its certificate is not fit today
	CodeArchiveKeyGone = "desk.archive_key_gone" // no private key in offline/
	CodeArchiveUnnoted = "desk.archive_unnoted"  // a private key in offline/ that the book does not know
	CodeArchiveSame    = "desk.archive_same"     // nothing in the certificate that the book does not have
	CodeArchiveOther   = "desk.archive_other"    // the kriptogram opens with another key of the archive
	CodeArchivePrivate = "desk.archive_private"  // the key of an officer or a correspondent cannot be the archive's
)

// newArchiveKey makes a key pair for the archive of an office.
func newArchiveKey(ctx context.Context, c *config.Config, passphrase func(context.Context) ([]byte, error), o Options) ([]byte, *crypto.Certificate, error) {
	pass, err := passphrase(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer clear(pass)
	secret, err := crypto.GenerateKey(crypto.GenerateParams{
		Name: "Arsip " + c.Office.Name, Email: c.Gateway.From, Passphrase: pass, Now: o.Now(), Lifetime: archiveLife, Cost: o.Cost,
	})
	if err != nil {
		return nil, nil, err
	}
	cert, err := crypto.CertificateOfSecret(secret)
	return secret, cert, err
}

// readArchiveCertificate reads a certificate that was made elsewhere.
func readArchiveCertificate(path string, now time.Time) (*crypto.Certificate, error) {
	cert, err := readCertificate(path)
	if err != nil {
		return nil, err
	}
	return cert, archiveFit(cert, path, now)
}

// archiveFit refuses a certificate that no backup could be enciphered to.
func archiveFit(cert *crypto.Certificate, path string, now time.Time) error {
	sub := cert.Facts(now).Encryption
	if sub == nil {
		return &Error{code: CodeCertificate, Field: path, Detail: unfit(cert.Facts(now), now)}
	}
	for _, f := range crypto.Praktis().Check(crypto.Recipient{Certificate: cert, Subkey: sub.Fingerprint}, now) {
		if f.Refuse {
			return &Error{code: CodeCertificate, Field: path, Detail: f.Code}
		}
	}
	return nil
}

// newestArchiveKey is the certificate that counts, and all that there were.
func (d *Desk) newestArchiveKey(ctx context.Context) (agenda.ArchiveKey, []agenda.ArchiveKey, error) {
	keys, err := d.Book.ArchiveKeys(ctx)
	if err != nil {
		return agenda.ArchiveKey{}, nil, err
	}
	if len(keys) == 0 {
		return agenda.ArchiveKey{}, nil, &Error{code: CodeArchiveKey, Field: ArchiveOwner, Detail: "crypto.no_encryption_key"}
	}
	return keys[len(keys)-1], keys, nil
}

// archiveCertificate is what new letters and backups are enciphered to: the
// newest certificate, if it is fit today.
func (d *Desk) archiveCertificate(ctx context.Context) (packetKey, error) {
	newest, _, err := d.newestArchiveKey(ctx)
	if err != nil {
		return packetKey{}, err
	}
	cert, err := d.CertificateOf(ctx, newest.Certificate.SHA256)
	if err != nil {
		return packetKey{}, err
	}
	f := cert.Facts(d.Now())
	if f.Encryption == nil {
		return packetKey{}, &Error{code: CodeArchiveKey, Field: ArchiveOwner, Detail: unfit(f, d.Now())}
	}
	return packetKey{cert, f.Encryption.Fingerprint}, nil
}

// ArchiveKeyState is a certificate of the archive as it stands today.
type ArchiveKeyState struct {
	agenda.ArchiveKey
	Facts crypto.Facts
	Until time.Time // when nothing more can be enciphered to it; zero: never
}

// ArchiveKeys lists the certificates that the archive had, oldest first.
func (d *Desk) ArchiveKeys(ctx context.Context) ([]ArchiveKeyState, error) {
	_, keys, err := d.newestArchiveKey(ctx)
	if err != nil {
		return nil, err
	}
	var all []ArchiveKeyState
	for _, k := range keys {
		cert, err := d.CertificateOf(ctx, k.Certificate.SHA256)
		if err != nil {
			return nil, err
		}
		all = append(all, ArchiveKeyState{k, cert.Facts(d.Now()), usableUntil(cert.Facts(d.Now()))})
	}
	return all, nil
}

// usableUntil is when a certificate ends, or its encryption key if that is
// earlier; zero means never.
func usableUntil(f crypto.Facts) time.Time {
	if s := f.Encryption; s != nil && !s.Expires.IsZero() && (f.Expires.IsZero() || s.Expires.Before(f.Expires)) {
		return s.Expires
	}
	return f.Expires
}

// ArchiveKeyParams say how the archive gets another certificate.
type ArchiveKeyParams struct {
	// Certificate is the file of one made elsewhere: of another key, or of the
	// same with more in it. When empty, a key pair is made: its private half
	// goes to KeyOut, or to offline/ until it is moved away.
	Certificate string
	KeyOut      string
	Reason      string
	// Passphrase locks the new key.
	Passphrase func(context.Context) ([]byte, error)
	// Found is called with the file of a key that a run left which stopped,
	// before its passphrase is asked; nil: nobody is told.
	Found func(path string)
	// Check stops before anything is made or recorded.
	Check bool
}

// ArchiveKeyChange tells what was changed.
type ArchiveKeyChange struct {
	Was, Key   ArchiveKeyState // Key is zero under Check when a key would be made
	Extended   bool            // the same key, its certificate added to
	PrivateKey string          // where the new private key lies, "" when only a certificate was given
	Inside     bool            // in the desk, to be moved away
	TakenOver  bool            // it is the key of a run that stopped before its event
}

// ChangeArchiveKey gives the archive another certificate. The file of a new
// private key is durable before the event names its certificate: a crash
// between leaves a private key that nobody uses, and the next run takes that
// over instead of making one more, once its passphrase is shown.
func (d *Desk) ChangeArchiveKey(ctx context.Context, p ArchiveKeyParams) (ArchiveKeyChange, error) {
	var res ArchiveKeyChange
	states, err := d.ArchiveKeys(ctx)
	if err != nil {
		return res, err
	}
	res.Was = states[len(states)-1]
	if p.KeyOut != "" && inside(p.KeyOut, d.Dir) {
		return res, &Error{code: CodeInsideDesk, Field: p.KeyOut}
	}
	who, err := d.ActingOr(ctx, agenda.RoleSandiman, agenda.RoleOperator)
	if err != nil {
		return res, err
	}
	var cert *crypto.Certificate
	made := "" // a file to be taken back if the event is refused
	if p.Certificate != "" {
		if cert, err = d.givenArchiveCertificate(ctx, p.Certificate, &res); err != nil || p.Check {
			return res, err
		}
	} else {
		if res.PrivateKey, cert, err = d.unnotedArchiveKey(ctx, p.KeyOut); err != nil || p.Check {
			res.TakenOver = cert != nil
			return res, err
		}
		res.Inside = p.KeyOut == ""
		if res.TakenOver = cert != nil; res.TakenOver {
			if p.Found != nil {
				p.Found(res.PrivateKey)
			}
			if err := unlockFile(ctx, res.PrivateKey, p.Passphrase); err != nil {
				return res, err
			}
		} else {
			var secret []byte
			if secret, cert, err = newArchiveKey(ctx, d.Config, p.Passphrase, d.opts); err != nil {
				return res, err
			}
			defer clear(secret)
			if res.PrivateKey = p.KeyOut; res.Inside {
				res.PrivateKey = d.path(awayFolder, archiveKeyName(cert.Fingerprint()))
				if err := vault.MakeFolder(d.path(awayFolder)); err != nil {
					return res, err
				}
			}
			if err := vault.CreateFile(res.PrivateKey, secret, 0o600); err != nil {
				return res, err
			}
			made = res.PrivateKey
		}
	}
	err = d.Book.ChangeArchiveKey(ctx, who, res.Was.Seq, string(cert.Fingerprint()), dataObject(cert.Bytes(), secretMedia), p.Reason)
	if coded(err) == "agenda.changed" {
		err = &Error{code: CodeArchiveSame, Field: ArchiveOwner, Detail: "meanwhile", Err: err}
	}
	after, lost := d.ArchiveKeys(context.WithoutCancel(ctx))
	if lost == nil {
		res.Key = after[len(after)-1]
	}
	if err != nil && made != "" && lost == nil && res.Key.Fingerprint != string(cert.Fingerprint()) {
		// Nothing was ever enciphered to it. But a commit whose answer was lost
		// is one, and its key stays.
		err = errors.Join(err, os.Remove(made))
	}
	return res, errors.Join(err, lost)
}

// givenArchiveCertificate reads a certificate and merges it with what the book
// keeps of the same key, so that no revocation is lost.
func (d *Desk) givenArchiveCertificate(ctx context.Context, path string, res *ArchiveKeyChange) (*crypto.Certificate, error) {
	cert, err := readCertificate(path)
	if err != nil {
		return nil, err
	}
	if cert, err = d.asKnown(ctx, cert); err != nil {
		return nil, err
	}
	if err := archiveFit(cert, path, d.Now()); err != nil {
		return nil, err
	}
	if sha256.Sum256(cert.Bytes()) == res.Was.Certificate.SHA256 {
		return nil, &Error{code: CodeArchiveSame, Field: path}
	}
	owner, err := d.ownerOf(ctx, cert)
	if err == nil && owner == "" {
		owner, err = d.correspondentOf(ctx, cert)
	}
	if err == nil && owner != "" {
		err = &Error{code: CodeArchivePrivate, Field: owner}
	}
	if err != nil {
		return nil, err
	}
	res.Extended = string(cert.Fingerprint()) == res.Was.Fingerprint
	facts := cert.Facts(d.Now())
	res.Key = ArchiveKeyState{
		ArchiveKey: agenda.ArchiveKey{Fingerprint: string(cert.Fingerprint())}, Facts: facts, Until: usableUntil(facts),
	}
	return cert, nil
}

// unnotedArchiveKey finds the private key that a run left which stopped
// before its event: at out, or in offline/. Without one, path and cert are
// zero; then out must be free.
func (d *Desk) unnotedArchiveKey(ctx context.Context, out string) (path string, cert *crypto.Certificate, err error) {
	_, noted, err := d.newestArchiveKey(ctx)
	if err != nil {
		return "", nil, err
	}
	if out != "" {
		if _, err := os.Lstat(out); err == nil {
			if known, cert, err := notedKey(out, noted); err == nil && !known {
				return out, cert, nil
			}
		}
		place, err := vault.NewOutput(out, false)
		if err != nil {
			return "", nil, err
		}
		place.Abort()
		return "", nil, nil
	}
	for _, f := range d.ArchiveKeysWaiting() {
		if known, cert, err := notedKey(f, noted); err != nil || !known {
			return f, cert, err
		}
	}
	return "", nil, nil
}

// notedKey tells whether the book knows the archive key in a file.
func notedKey(path string, noted []agenda.ArchiveKey) (known bool, cert *crypto.Certificate, err error) {
	data, err := readLimited(path, maxKeyFile)
	if err != nil {
		return false, nil, &Error{code: CodeFile, Field: path, Err: err}
	}
	defer clear(data)
	if cert, err = crypto.CertificateOfSecret(data); err != nil {
		return false, nil, &Error{code: CodeFile, Field: path, Err: err}
	}
	for _, k := range noted {
		known = known || k.Fingerprint == string(cert.Fingerprint())
	}
	return known, cert, nil
}

// unlockFile sees that whoever is asked knows the passphrase of a key file.
func unlockFile(ctx context.Context, path string, passphrase func(context.Context) ([]byte, error)) error {
	data, err := readLimited(path, maxKeyFile)
	if err != nil {
		return &Error{code: CodeFile, Field: path, Err: err}
	}
	k, err := crypto.ParseKey(data)
	clear(data)
	if err != nil {
		return err
	}
	defer k.Wipe()
	pass, err := passphrase(ctx)
	if err != nil {
		return err
	}
	defer clear(pass)
	if err := k.Unlock(pass); err != nil {
		return &Error{code: CodePassphrase, Field: path, Detail: "file", Err: err}
	}
	return nil
}

// archiveKeyName is the file of a renewed archive key. The end of the
// fingerprint tells the keys apart that lie beside each other in a safe.
func archiveKeyName(f crypto.Fingerprint) string {
	return "arsip-" + strings.ToUpper(string(f[len(f)-8:])) + ".key"
}

// archiveKeyOfPacket is the certificate of the archive that a kriptogram of ours
// opens with.
func (d *Desk) archiveKeyOfPacket(ctx context.Context, packet []byte) (agenda.ArchiveKey, error) {
	_, keys, err := d.newestArchiveKey(ctx)
	if err != nil {
		return agenda.ArchiveKey{}, err
	}
	for _, k := range keys {
		cert, err := d.CertificateOf(ctx, k.Certificate.SHA256)
		if err != nil {
			return agenda.ArchiveKey{}, err
		}
		if cert.OpensSidecar(packet) {
			return k, nil
		}
	}
	return agenda.ArchiveKey{}, &Error{code: CodeArchiveKey, Field: ArchiveOwner, Detail: "crypto.not_recipient"}
}

// ArchiveKeysWaiting are the paths of private archive keys that still lie in
// the desk, none when they were moved away as they should.
func (d *Desk) ArchiveKeysWaiting() []string { return keyFiles(d.path(awayFolder)) }

// keyFiles are the paths of the private keys in a folder, by their names.
func keyFiles(folder string) []string {
	list, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	var paths []string
	for _, e := range list {
		if strings.HasSuffix(e.Name(), ".key") && !strings.HasPrefix(e.Name(), ".") {
			paths = append(paths, filepath.Join(folder, e.Name()))
		}
	}
	return paths
}

// ArchiveKeyWaits is the first of ArchiveKeysWaiting, "" when there is none.
func (d *Desk) ArchiveKeyWaits() string {
	if all := d.ArchiveKeysWaiting(); len(all) > 0 {
		return all[0]
	}
	return ""
}

// MoveArchiveKey takes a private archive key out of the desk. The copy is
// durable and read back before the original goes; a crash between leaves
// both, and the next run removes the original.
func (d *Desk) MoveArchiveKey(ctx context.Context, to string) (string, error) {
	_, noted, err := d.newestArchiveKey(ctx)
	if err != nil {
		return "", err
	}
	from, unnoted := "", ""
	for _, path := range d.ArchiveKeysWaiting() {
		known, _, err := notedKey(path, noted)
		switch {
		case err != nil:
			return "", err
		case known && from == "":
			from = path
		case !known:
			unnoted = path
		}
	}
	switch {
	case from == "" && unnoted != "":
		return "", &Error{code: CodeArchiveUnnoted, Field: unnoted}
	case from == "":
		return "", &Error{code: CodeArchiveKeyGone}
	}
	if st, err := os.Stat(to); err == nil && st.IsDir() {
		to = filepath.Join(to, filepath.Base(from))
	} else if filepath.Ext(to) != ".key" {
		// The folder of a medium that is not there would become a file on this disk.
		return "", &Error{code: CodeFile, Field: to, Err: cmp.Or(err, fs.ErrExist)}
	}
	if inside(to, d.Dir) {
		return "", &Error{code: CodeInsideDesk, Field: to}
	}
	data, err := readLimited(from, maxKeyFile)
	if err != nil {
		return "", err
	}
	defer clear(data)
	err = vault.CreateFile(to, data, 0o600)
	if err != nil && coded(err) != "vault.exists" {
		return "", err
	}
	again, rerr := readLimited(to, maxKeyFile)
	defer clear(again)
	if rerr != nil || sha256.Sum256(again) != sha256.Sum256(data) {
		if err != nil {
			return "", err // something else has that name
		}
		return "", &Error{code: CodeDamaged, Field: to, Err: rerr}
	}
	if err := os.Remove(from); err != nil {
		return "", &Error{code: CodeFile, Field: from, Err: err}
	}
	return to, vault.SyncFolder(d.path(awayFolder))
}
