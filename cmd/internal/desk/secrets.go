package desk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"sandi/agenda"
	"sandi/crypto"
)

// KeyUse tells the owner of a key what it is wanted for.
type KeyUse struct {
	Officer agenda.Officer
	Title   string // printed title, "Sandiman"
	Purpose Purpose
	Left    int // tries left when the last passphrase was wrong; 0 at the first
}

// Purpose is why a passphrase is asked.
type Purpose string

// The purposes.
const (
	ForParaf     Purpose = "paraf"
	ForSignature Purpose = "signature"
	ForReturn    Purpose = "return"
	ForRead      Purpose = "read"
	ForMessage   Purpose = "message"
	ForOpen      Purpose = "open"
	ForResend    Purpose = "resend"
	ForRestore   Purpose = "restore"
)

// Secrets asks people for what only they know.
type Secrets interface {
	// Passphrase returns the passphrase of a key. The desk wipes the slice.
	Passphrase(context.Context, KeyUse) ([]byte, error)
	// MailPassword returns the password of the mailbox.
	MailPassword(ctx context.Context, account string) (string, error)
	// Tries is how often a wrong passphrase may be mended: three on a
	// terminal, one elsewhere.
	Tries() int
}

func (d *Desk) keyFile(handle string) string  { return d.path(keysFolder, handle+".key") }
func (d *Desk) pathFile(handle string) string { return d.path(keysFolder, handle+".path") }

// keyOf reads the locked key of an officer: from keys/, or from the medium
// that the desk only remembers the path of.
func (d *Desk) keyOf(o agenda.Officer) (*crypto.Key, error) {
	if o.Fingerprint == "" {
		return nil, &Error{code: CodeNoKey, Field: o.Handle}
	}
	file := d.keyFile(o.Handle)
	data, err := readLimited(file, maxKeyFile)
	if errors.Is(err, os.ErrNotExist) {
		where, perr := os.ReadFile(d.pathFile(o.Handle))
		if perr != nil {
			return nil, &Error{code: CodeNoKey, Field: o.Handle}
		}
		file = strings.TrimSpace(string(where))
		if data, err = readLimited(file, maxKeyFile); err != nil {
			return nil, &Error{code: CodeKeyMedium, Field: o.Handle, Detail: file}
		}
	}
	if err != nil {
		return nil, &Error{code: CodeNoKey, Field: o.Handle, Err: err}
	}
	k, err := crypto.ParseKey(data)
	clear(data)
	if err != nil {
		return nil, err
	}
	if string(k.Certificate().Fingerprint()) != o.Fingerprint {
		return nil, &Error{code: CodeNoKey, Field: o.Handle, Detail: filepath.Base(file)}
	}
	return k, protected(k, file)
}

// protected refuses a key file of which any secret lies open: whoever has the
// file could use it, and every passphrase would be right.
func protected(k *crypto.Key, path string) error {
	if !k.Protected() {
		return &Error{code: CodePassphrase, Field: path, Detail: "unlocked"}
	}
	return nil
}

// signs tells whether a signature is wanted, for which a part of the key is
// enough.
func (p Purpose) signs() bool {
	switch p {
	case ForParaf, ForSignature, ForReturn, ForMessage:
		return true
	}
	return false
}

// unlock returns the officer's key, open as far as the purpose needs. A process
// asks once to sign and once more to read. For a signature it sees first that
// the key can sign today.
func (d *Desk) unlock(ctx context.Context, o agenda.Officer, role agenda.Role, why Purpose, s Secrets) (*crypto.Key, error) {
	d.asking.Lock()
	defer d.asking.Unlock()
	use := KeyUse{Officer: o, Title: title(o, role), Purpose: why}
	k, now := d.unlocked[crypto.Fingerprint(o.Fingerprint)], d.Now()
	if k != nil && why.signs() {
		if err := k.CanSign(now); err != nil {
			return nil, err
		}
		return k, nil
	}
	if k == nil {
		var err error
		if k, err = d.keyOf(o); err != nil {
			return nil, err
		}
	}
	var err error
	if why.signs() {
		if err = k.CanSign(now); err == nil {
			err = askFor(ctx, func(pass []byte) error { return k.UnlockToSign(pass, now) }, use, s)
		}
	} else {
		err = unlockKey(ctx, k, use, s)
	}
	if err != nil {
		return nil, err
	}
	d.unlocked[k.Certificate().Fingerprint()] = k
	return k, nil
}

// mayUse sees, without any passphrase, that the key of an officer is there and
// could sign today.
func (d *Desk) mayUse(o agenda.Officer) error {
	k, err := d.keyOf(o)
	if err != nil {
		return err
	}
	return k.CanSign(d.Now())
}

// unlockKey opens a key whole.
func unlockKey(ctx context.Context, k *crypto.Key, use KeyUse, s Secrets) error {
	if !k.Locked() {
		return nil
	}
	return askFor(ctx, k.Unlock, use, s)
}

// askFor asks until the passphrase fits or the tries are used up.
func askFor(ctx context.Context, open func(passphrase []byte) error, use KeyUse, s Secrets) error {
	for try := 1; ; try++ {
		pass, err := s.Passphrase(ctx, use)
		if err != nil {
			return err
		}
		err = open(pass)
		clear(pass)
		if err == nil {
			return nil
		}
		if coded(err) != "crypto.passphrase" {
			return err
		}
		if use.Left = s.Tries() - try; use.Left <= 0 {
			return &Error{code: CodePassphrase, Field: use.Officer.Handle}
		}
	}
}

// coded is the stable code of an error, "" when it has none.
func coded(err error) string {
	var c interface{ Code() string }
	if errors.As(err, &c) {
		return c.Code()
	}
	return ""
}
