package desk

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"sandi/agenda"
	"sandi/cmd/internal/config"
	"sandi/cmd/internal/vault"
	"sandi/crypto"
)

// InitParams describe a new desk.
type InitParams struct {
	Dir    string
	Office string
	From   string
	// Gateway as it stands in sandi.yaml; its CA file is copied into the desk.
	Gateway config.Gateway
	// ArchiveCertificate is the file of an existing archive certificate. When
	// empty, a key pair is made: its private half goes to ArchiveKeyOut, or to
	// offline/ inside the desk until it is moved away.
	ArchiveCertificate string
	ArchiveKeyOut      string
	// Passphrase locks the new archive key.
	Passphrase func(context.Context) ([]byte, error)
}

// InitResult tells what was made.
type InitResult struct {
	DeskID             string
	ArchiveFingerprint crypto.Fingerprint
	ArchiveKey         string // where the private archive key lies; "" when only a certificate was given
	Inside             bool   // it lies inside the desk and is to be moved away
}

// Init makes a desk. It is built beside its final place and renamed, so that
// a crash leaves no half desk under the wanted name.
func Init(ctx context.Context, p InitParams, o Options) (*Desk, InitResult, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	var res InitResult
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return nil, res, err
	}
	p.Dir = dir
	if err := Vacant(dir); err != nil {
		return nil, res, err
	}
	if p.ArchiveKeyOut != "" && inside(p.ArchiveKeyOut, dir) {
		return nil, res, &Error{code: CodeInsideDesk, Field: p.ArchiveKeyOut}
	}
	raw, err := p.settings()
	if err != nil {
		return nil, res, err
	}
	c, err := config.Parse(raw)
	if err != nil {
		return nil, res, err
	}
	var archive *crypto.Certificate
	var secret []byte // nil when it lies elsewhere already
	if p.ArchiveCertificate != "" {
		archive, err = readArchiveCertificate(p.ArchiveCertificate, o.Now())
	} else {
		secret, archive, err = newArchiveKey(ctx, c, p.Passphrase, o)
	}
	if err != nil {
		return nil, res, err
	}
	id := make([]byte, 8)
	if _, err := o.Rand.Read(id); err != nil {
		return nil, res, err
	}
	res.DeskID = hex.EncodeToString(id)
	res.ArchiveFingerprint = archive.Fingerprint()

	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, res, &Error{code: CodeFile, Field: dir, Err: err}
	}
	build, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".baru-")
	if err != nil {
		return nil, res, &Error{code: CodeFile, Field: dir, Err: err}
	}
	defer os.RemoveAll(build)
	if err := p.fill(ctx, build, raw, c, archive, res.DeskID, o); err != nil {
		return nil, res, err
	}
	if secret != nil {
		res.ArchiveKey, res.Inside = p.ArchiveKeyOut, p.ArchiveKeyOut == ""
		if res.Inside {
			res.ArchiveKey = filepath.Join(dir, awayFolder, archiveKey)
			err = vault.CreateFile(filepath.Join(build, awayFolder, archiveKey), secret, 0o600)
		} else {
			err = vault.CreateFile(p.ArchiveKeyOut, secret, 0o600)
		}
		if err != nil {
			return nil, res, err
		}
	}
	if err := publish(build, dir); err != nil {
		return nil, res, err
	}
	d, err := Open(ctx, dir, o)
	if err == nil {
		err = d.settleHere(ctx)
	}
	return d, res, err
}

// Vacant refuses a place where something lies already.
func Vacant(dir string) error {
	names, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && len(names) == 0:
		return nil
	case err != nil:
		return &Error{code: CodeFile, Field: dir, Err: err}
	}
	return &Error{code: CodeExists, Field: dir}
}

// publish gives the finished desk its name. An empty folder there is
// replaced; anything else stops the rename.
func publish(build, dir string) error {
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return &Error{code: CodeExists, Field: dir, Err: err}
	}
	if err := os.Rename(build, dir); err != nil {
		return &Error{code: CodeExists, Field: dir, Err: err}
	}
	return vault.SyncFolder(filepath.Dir(dir))
}

func (p InitParams) settings() ([]byte, error) {
	g := p.Gateway
	if g.CA != "" {
		g.CA = caFile
	}
	g.From = p.From
	return config.Render(p.Office, p.From, g), nil
}

// caFile is the copy of the gateway's authority inside the desk: the file
// given to init may lie on a medium that goes away.
const caFile = "gateway-ca.pem"

func (p InitParams) fill(ctx context.Context, build string, raw []byte, c *config.Config, archive *crypto.Certificate, id string, o Options) error {
	for _, f := range []string{keysFolder, boxFolder, awayFolder} {
		if err := os.Mkdir(filepath.Join(build, f), 0o700); err != nil {
			return err
		}
	}
	if _, err := vault.Create(build); err != nil {
		return err
	}
	if p.Gateway.CA != "" {
		pem, err := readLimited(p.Gateway.CA, maxTextFile)
		if err != nil {
			return &Error{code: CodeFile, Field: p.Gateway.CA, Err: err}
		}
		if err := vault.CreateFile(filepath.Join(build, caFile), pem, 0o600); err != nil {
			return err
		}
	}
	domain := c.Gateway.MailDomain()
	secret, public, err := note.GenerateKey(rand.Reader, domain+"/sandi/"+id)
	if err != nil {
		return err
	}
	if err := vault.CreateFile(filepath.Join(build, keysFolder, logKeyFile), []byte(secret), 0o600); err != nil {
		return err
	}
	if err := vault.CreateFile(filepath.Join(build, configFile), raw, 0o600); err != nil {
		return err
	}
	who := agenda.Actor{Handle: "-"}
	who.User, who.Host = whoAndWhere()
	b, err := agenda.Create(ctx, filepath.Join(build, bookFile), who, agenda.Genesis{
		DeskID: id, LogKey: public, Office: c.Office.Name, MailDomain: domain, Profile: c.Profile.Name,
		ArchiveCertificate: dataObject(archive.Bytes(), secretMedia), ArchiveFingerprint: string(archive.Fingerprint()),
		Config: agenda.Object{SHA256: sha256.Sum256(raw), Size: int64(len(raw)), Media: yamlMedia, Data: raw},
	}, agenda.Options{Now: o.Now, Rand: o.Rand})
	if err != nil {
		return err
	}
	d := &Desk{Dir: build, Book: b}
	_, _, err = d.checkpoint(ctx, who)
	return errors.Join(err, b.Close())
}

// inside reports whether path lies in dir, links resolved as far as they go.
func inside(path, dir string) bool {
	abs, err := filepath.Abs(path)
	if err != nil {
		return true
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		abs = filepath.Join(real, filepath.Base(abs))
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	rel, err := filepath.Rel(dir, abs)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
