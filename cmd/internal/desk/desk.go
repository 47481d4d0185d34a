package desk

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"sandi/agenda"
	"sandi/agenda/hours"
	"sandi/cmd/internal/config"
	"sandi/cmd/internal/vault"
	"sandi/crypto"
)

// Names inside the desk folder.
const (
	configFile   = "sandi.yaml"
	bookFile     = "agenda.db"
	keysFolder   = "keys"
	logKeyFile   = "log.key"
	boxFolder    = "archive"
	awayFolder   = "offline"
	sendLock     = "send.lock"
	settingsLock = "settings.lock"
	archiveKey   = "arsip.key"
	secretMedia  = "application/pgp-keys"
	textMedia    = "text/plain; charset=utf-8"
	sigMedia     = "application/pgp-signature"
	pgpMedia     = "application/pgp-encrypted"
	mailMedia    = "message/rfc822"
	yamlMedia    = "application/yaml"
	pdfMedia     = "application/pdf"
)

// Options say how a desk is opened. The zero value is right for a command
// that writes with the system clock.
type Options struct {
	Now         func() time.Time // nil: time.Now
	Rand        io.Reader        // nil: the system's; for identifiers, never for keys
	Cost        crypto.S2KCost   // of new keys; zero: the library's strong default
	ReadOnly    bool
	Rehearse    bool   // a dry run: every transaction of the book is rolled back
	Unchecked   bool   // opens also a book whose index lacks what its log has, for agenda verify
	AcceptClock string // reason to accept a clock far ahead of the book
	As          string // handle of the acting officer; "": the settings', else the only one who fits

	// Dial reaches the gateway; nil: the system's. Its connections must support deadlines.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Place tells the file of the book from a copy of it ([vault.Place]); nil: copies are not looked for.
	Place func(path string) (string, error)
}

// Desk is an open desk folder. The steps on different entries may run side by
// side, the rest is for one goroutine; several processes may open one desk.
type Desk struct {
	Dir    string
	Config *config.Config
	Book   *agenda.Book
	Vault  *vault.Vault
	Hours  *hours.Calendar

	opts         Options
	user, host   string
	asking       sync.Mutex                         // guards the two below; one question at a time
	unlocked     map[crypto.Fingerprint]*crypto.Key // by passphrase, once per process
	mailPassword string                             // asked once per process
	certificates sync.Map                           // agenda.Hash → *crypto.Certificate, of the book's objects
	checkpoints  checkpoints
	plaintexts   plaintexts
	kept         keptLately
}

// noDesk tells a folder that was never a desk from one that may not be read
// and from one that lost its book.
func noDesk(dir string, err error) error {
	if !errors.Is(err, os.ErrNotExist) {
		return &Error{code: CodeFolderDenied, Field: dir, Err: err}
	}
	if _, err := os.Lstat(filepath.Join(dir, configFile)); err == nil {
		return &Error{code: CodeFolderBook, Field: dir}
	}
	return &Error{code: CodeNone, Field: dir}
}

// Missing refuses a folder that holds no desk, or whose book may not be seen.
func Missing(dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, bookFile)); err != nil {
		return noDesk(dir, err)
	}
	return nil
}

// Open opens the desk in dir. A command that writes brings a changed
// sandi.yaml into the log first, so that every later event stands under the
// settings that were in force.
func Open(ctx context.Context, dir string, o Options) (*Desk, error) {
	if err := Missing(dir); err != nil {
		return nil, err
	}
	if err := vault.CheckFolder(dir); err != nil {
		return nil, err
	}
	c, raw, err := config.Load(filepath.Join(dir, configFile))
	if err != nil {
		return nil, err
	}
	d, err := assemble(ctx, dir, c, o)
	if err != nil {
		return nil, err
	}
	if o.ReadOnly || o.Rehearse {
		return d, nil
	}
	now, err := d.noteConfig(ctx, raw)
	if err != nil {
		d.Close()
		return nil, err
	}
	if !bytes.Equal(now, raw) { // changed by another process since they were read
		d.Close()
		return Open(ctx, dir, o)
	}
	return d, nil
}

func assemble(ctx context.Context, dir string, c *config.Config, o Options) (*Desk, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.As == "" {
		o.As = c.As
	}
	d := &Desk{Dir: dir, Config: c, opts: o, unlocked: map[crypto.Fingerprint]*crypto.Key{}}
	d.user, d.host = whoAndWhere()
	var err error
	if d.Hours, err = calendar(c); err != nil {
		return nil, err
	}
	if d.Vault, err = vault.Open(dir); err != nil {
		return nil, err
	}
	d.Book, err = agenda.Open(ctx, d.path(bookFile), agenda.Options{
		Now: o.Now, Rand: o.Rand, ReadOnly: o.ReadOnly, Rehearse: o.Rehearse, Unchecked: o.Unchecked, AcceptClock: o.AcceptClock,
		TooFarAhead: func(last, now time.Time) bool { return d.Hours.WorkingDaysBetween(last, now) > 3 },
	})
	switch code := coded(err); {
	case agenda.Unsound(err): // agenda verify opens it
		return nil, err
	case code == "agenda.tampered", code == "agenda.foreign":
		// Nothing that reads the book helps any more: agenda verify could not open it either.
		return nil, &Error{code: CodeBookUnreadable, Field: d.path(bookFile), Err: err}
	case err != nil:
		return nil, err
	}
	return d, nil
}

// Close wipes the keys that were unlocked and closes the book.
func (d *Desk) Close() error {
	for _, k := range d.unlocked {
		k.Wipe()
	}
	clear(d.unlocked)
	return d.Book.Close()
}

// Now is the clock of the desk.
func (d *Desk) Now() time.Time { return d.opts.Now() }

func (d *Desk) path(elem ...string) string {
	return filepath.Join(append([]string{d.Dir}, elem...)...)
}

// noteConfig records settings that were changed by hand, and returns them as
// they are now. What another process is just changing it leaves to that one.
func (d *Desk) noteConfig(ctx context.Context, raw []byte) ([]byte, error) {
	known, err := d.Book.ConfigDigest(ctx)
	if err != nil || known == sha256.Sum256(raw) {
		return raw, err
	}
	lock, err := d.lockSettings(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	now, err := d.settings()
	if err != nil || !bytes.Equal(now, raw) {
		return now, err
	}
	return now, d.Book.RecordConfig(ctx, d.Nobody(), dataObject(now, yamlMedia))
}

// dataObject is an object that lies in the database.
func dataObject(data []byte, media string) agenda.Object {
	return agenda.Object{SHA256: sha256.Sum256(data), Size: int64(len(data)), Media: media, Data: data}
}

// Nobody is the actor of an event that no officer claims.
func (d *Desk) Nobody() agenda.Actor { return agenda.Actor{Handle: "-", User: d.user, Host: d.host} }

func (d *Desk) actor(handle string) agenda.Actor {
	return agenda.Actor{Handle: handle, User: d.user, Host: d.host}
}

func whoAndWhere() (name, host string) {
	name, host = "-", "-"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil && h != "" {
		host = h
	}
	return name, host
}

// Acting finds the officer who acts in one of the roles: the one named by
// Options.As, who must hold one of them today, or the only one who does.
func (d *Desk) Acting(ctx context.Context, roles ...agenda.Role) (agenda.Officer, error) {
	all, err := d.Book.Officers(ctx, d.Now())
	if err != nil {
		return agenda.Officer{}, err
	}
	var fit []agenda.Officer
	for _, o := range all {
		if holdsAny(o, roles) {
			fit = append(fit, o)
		}
		if d.opts.As == o.Handle && !holdsAny(o, roles) {
			return agenda.Officer{}, &Error{code: CodeRole, Field: o.Handle, Detail: string(roles[0])}
		}
	}
	if d.opts.As != "" {
		for _, o := range fit {
			if o.Handle == d.opts.As {
				return o, nil
			}
		}
		return agenda.Officer{}, &Error{code: CodeOfficer, Field: d.opts.As}
	}
	if len(fit) != 1 {
		return agenda.Officer{}, &Error{code: CodeOfficer, Detail: string(roles[0])}
	}
	return fit[0], nil
}

// holder finds the officer who holds a role today whatever Options.As says:
// the head signs as the head, whoever sits at the keyboard.
func (d *Desk) holder(ctx context.Context, role agenda.Role) (agenda.Officer, error) {
	fit, err := d.inCharge(ctx, role)
	if err != nil {
		return agenda.Officer{}, err
	}
	if len(fit) == 1 {
		return fit[0], nil
	}
	for _, o := range fit {
		if o.Handle == d.opts.As {
			return o, nil
		}
	}
	return agenda.Officer{}, &Error{code: CodeOfficer, Detail: string(role)}
}

// inCharge lists who exercises a role today: while somebody acts for the
// head, the head is away and nobody but who acts does, though his own role
// goes on.
func (d *Desk) inCharge(ctx context.Context, role agenda.Role) ([]agenda.Officer, error) {
	fit, err := d.Book.Holder(ctx, role, d.Now())
	if err != nil {
		return nil, err
	}
	if acting := slices.DeleteFunc(slices.Clone(fit), func(o agenda.Officer) bool { return !actsAs(o, role) }); len(acting) > 0 {
		fit = acting
	}
	return fit, nil
}

// ActingOr is Acting for steps that need no key: when nobody fits, the event
// is recorded without an officer.
func (d *Desk) ActingOr(ctx context.Context, roles ...agenda.Role) (agenda.Actor, error) {
	o, err := d.Acting(ctx, roles...)
	var refusal *Error
	if errors.As(err, &refusal) && refusal.code == CodeOfficer && d.opts.As == "" {
		return d.Nobody(), nil
	}
	if err != nil {
		return agenda.Actor{}, err
	}
	return d.actor(o.Handle), nil
}

// rehearse sees in a dry run that the officer could record something now;
// otherwise it does nothing.
func (d *Desk) rehearse(ctx context.Context, who agenda.Actor) error {
	if !d.opts.Rehearse {
		return nil
	}
	return d.Book.MayWrite(ctx, who)
}

// Clerk is who works on a book: the sandiman or the operator.
func Clerk(b agenda.BookName) agenda.Role {
	if b == agenda.Kriptogram {
		return agenda.RoleSandiman
	}
	return agenda.RoleOperator
}

// clerks are those who may act on an entry of a book: on a report, whoever
// makes reports.
func clerks(b agenda.BookName) []agenda.Role {
	if b == agenda.Laporan {
		return []agenda.Role{agenda.RoleOperator, agenda.RoleSandiman}
	}
	return []agenda.Role{Clerk(b)}
}

// actsAs tells whether an officer holds a role as Plh. or Plt.
func actsAs(o agenda.Officer, role agenda.Role) bool {
	return slices.ContainsFunc(o.Roles, func(g agenda.RoleGrant) bool { return g.Role == role && g.Kind != "tetap" })
}

func holdsAny(o agenda.Officer, roles []agenda.Role) bool {
	for _, g := range o.Roles {
		for _, r := range roles {
			if g.Role == r {
				return true
			}
		}
	}
	return false
}

// title is the printed title of an officer in a role, "Plh. …" included.
func title(o agenda.Officer, role agenda.Role) string {
	for _, g := range o.Roles {
		if g.Role == role {
			switch g.Kind {
			case "plh":
				return "Plh. " + g.Title
			case "plt":
				return "Plt. " + g.Title
			}
			return g.Title
		}
	}
	return o.Title
}

// CertificateOf reads a certificate that the book keeps.
func (d *Desk) CertificateOf(ctx context.Context, sum agenda.Hash) (*crypto.Certificate, error) {
	if c, ok := d.certificates.Load(sum); ok {
		return c.(*crypto.Certificate), nil
	}
	o, err := d.Book.Object(ctx, sum)
	if err != nil {
		return nil, err
	}
	c, err := crypto.ParseCertificate(o.Data)
	if err != nil {
		return nil, err
	}
	d.certificates.Store(sum, c)
	return c, nil
}
