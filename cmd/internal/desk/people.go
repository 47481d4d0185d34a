package desk

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/vault"
	"sandi/crypto"
	"sandi/mail"
)

// officerLife is the validity of an officer's own key.
const officerLife = 3 * 365 * 24 * time.Hour

// OfficerParams describe a new officer.
type OfficerParams struct {
	Officer agenda.Officer
	Roles   []agenda.RoleGrant
	// KeyFile is the officer's key. For a head of section it stays where it
	// is: the desk keeps the certificate and the path.
	KeyFile string
	// NewKey makes a key; for a head it is written to KeyOut, outside the desk.
	NewKey bool
	KeyOut string
	// Passphrase locks a new key.
	Passphrase func(context.Context) ([]byte, error)
	// Found is called with the file of a key that a run left which stopped
	// before its event, before its passphrase is asked; nil: nobody is told.
	Found func(path string)
}

// NeedsKey says whether an officer in these roles can do nothing without a
// key: a paraf is always made with one, a signature unless the office signs in
// ink.
func (d *Desk) NeedsKey(roles []agenda.RoleGrant) bool {
	for _, g := range roles {
		if g.Role == agenda.RoleSandiman || g.Role == agenda.RoleKepalaSeksi && d.Config.Profile.Signature != "wet" {
			return true
		}
	}
	return false
}

// AddOfficer enters an officer with his certificate. The secret key of a
// sandiman or operator is kept locked in keys/, that of a head of section
// never enters the desk.
func (d *Desk) AddOfficer(ctx context.Context, p OfficerParams) (agenda.Officer, error) {
	o := p.Officer
	// The handle becomes a file name, and a file of that name is another
	// officer's key: both are settled before anything is written.
	if !agenda.ValidHandle(o.Handle) {
		return o, &Error{code: CodeHandle, Field: o.Handle}
	}
	if _, err := d.Book.Officer(ctx, o.Handle); err == nil {
		return o, &Error{code: CodeDuplicate, Field: o.Handle}
	} else if !errors.Is(err, agenda.ErrUnknownOfficer) {
		return o, err
	}
	head := OfHead(p.Roles)
	for i, g := range p.Roles {
		if g.Title == "" {
			p.Roles[i].Title = cmp.Or(o.Title, d.Config.Profile.Title(string(g.Role)))
		}
	}
	if p.NewKey && head && (p.KeyOut == "" || inside(p.KeyOut, d.Dir)) {
		return o, &Error{code: CodeInsideDesk, Field: o.Handle}
	}
	var secret []byte
	var cert *crypto.Certificate
	var err error
	switch {
	case p.NewKey:
		place := d.keyFile(o.Handle)
		if head {
			place = p.KeyOut
		}
		if secret, cert, err = leftKey(ctx, place, p.Found, p.Passphrase); err == nil && cert == nil {
			secret, cert, err = d.newKey(ctx, o, p)
		}
	case p.KeyFile != "":
		secret, cert, err = importKey(p.KeyFile, head)
	}
	if err != nil {
		return o, err
	}
	defer clear(secret)
	if cert != nil {
		if err := d.otherPerson(ctx, o, cert); err != nil {
			return o, err
		}
		o.Certificate, o.Fingerprint = dataObject(cert.Bytes(), secretMedia), string(cert.Fingerprint())
	}
	who, err := d.ActingOr(ctx, agenda.RoleSandiman, agenda.RoleOperator)
	if err != nil {
		return o, err
	}
	made, err := d.keepKey(o, p, head, secret)
	if err == nil {
		err = d.Book.AddOfficer(ctx, who, o, p.Roles)
	}
	if err != nil && len(made) > 0 {
		// A key that stayed would bar the handle; but a commit whose answer was
		// lost is one, and its officer keeps his key.
		if _, lost := d.Book.Officer(context.WithoutCancel(ctx), o.Handle); errors.Is(lost, agenda.ErrUnknownOfficer) {
			for _, path := range made {
				err = errors.Join(err, os.Remove(path))
			}
		}
	}
	return o, err
}

// OfHead tells whether roles are those of a head, whose secret key never lies
// in the desk.
func OfHead(roles []agenda.RoleGrant) bool {
	return slices.ContainsFunc(roles, func(g agenda.RoleGrant) bool {
		return g.Role == agenda.RoleKepalaSeksi || g.Role == agenda.RoleKepalaBidang || g.Role == agenda.RoleKepalaDinas
	})
}

func (d *Desk) newKey(ctx context.Context, o agenda.Officer, p OfficerParams) ([]byte, *crypto.Certificate, error) {
	pass, err := p.Passphrase(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer clear(pass)
	// The title, not the person, is the user id: personal names do not leave
	// the office with every signature.
	secret, err := crypto.GenerateKey(crypto.GenerateParams{
		Name: cmp.Or(p.Roles[0].Title, o.Handle) + ", " + d.Config.Office.Name, Email: d.Config.Gateway.From,
		Passphrase: pass, Now: d.Now(), Lifetime: officerLife, Cost: d.opts.Cost,
	})
	if err != nil {
		return nil, nil, err
	}
	cert, err := crypto.CertificateOfSecret(secret)
	return secret, cert, err
}

// leftKey takes over the key that a run left at path which stopped before its
// event, once its passphrase is shown. cert is nil when the place is free;
// anything else there is refused.
func leftKey(ctx context.Context, path string, found func(string), passphrase func(context.Context) ([]byte, error)) (secret []byte, cert *crypto.Certificate, err error) {
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	secret, cert, err = importKey(path, false)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, vault.ErrExists)
	}
	if found != nil {
		found(path)
	}
	if err := unlockFile(ctx, path, passphrase); err != nil {
		clear(secret)
		return nil, nil, err
	}
	return secret, cert, nil
}

// importKey reads a key file. A head may hand in a bare certificate; then he
// signs elsewhere.
func importKey(path string, head bool) (secret []byte, cert *crypto.Certificate, err error) {
	data, err := readLimited(path, maxKeyFile)
	if err != nil {
		return nil, nil, &Error{code: CodeFile, Field: path, Err: err}
	}
	k, err := crypto.ParseKey(data)
	if coded(err) == "crypto.no_secret_key" && head {
		cert, bare := crypto.ParseCertificate(data)
		if coded(bare) == "crypto.secret_key_in_certificate" {
			return nil, nil, err // a secret key whose secrets were left out
		}
		return nil, cert, bare
	}
	if err != nil {
		return nil, nil, err
	}
	return data, k.Certificate(), protected(k, path)
}

// otherPerson refuses a key that another officer already has, also inside
// another certificate.
func (d *Desk) otherPerson(ctx context.Context, o agenda.Officer, cert *crypto.Certificate) error {
	other, err := d.ownerOf(ctx, cert)
	if err == nil && other != "" {
		err = &Error{code: CodeSamePerson, Field: o.Handle, Detail: other}
	}
	return err
}

// ownerOf is the officer who has a key of the certificate, "" when nobody has.
func (d *Desk) ownerOf(ctx context.Context, cert *crypto.Certificate) (string, error) {
	all, err := d.Book.Officers(ctx, d.Now())
	if err != nil {
		return "", err
	}
	for _, other := range all {
		if other.Fingerprint == "" {
			continue
		}
		c, err := d.CertificateOf(ctx, other.Certificate.SHA256)
		if err != nil {
			return "", err
		}
		if c.SameKeyMaterial(cert) {
			return other.Handle, nil
		}
	}
	return "", nil
}

// correspondentOf is the correspondent whose key, or whose signer's key, the
// certificate has, "" when it is nobody's. Who was a correspondent counts too.
func (d *Desk) correspondentOf(ctx context.Context, cert *crypto.Certificate) (string, error) {
	all, err := d.Book.Correspondents(ctx)
	if err != nil {
		return "", err
	}
	for _, c := range all {
		keys := []agenda.Object{c.Certificate}
		for _, s := range c.Signers {
			keys = append(keys, s.Certificate)
		}
		for _, k := range keys {
			if k.SHA256 == (agenda.Hash{}) {
				continue
			}
			theirs, err := d.CertificateOf(ctx, k.SHA256)
			if err != nil {
				return "", err
			}
			if theirs.SameKeyMaterial(cert) {
				return c.Handle, nil
			}
		}
	}
	return "", nil
}

// keepKey writes the locked key, or the path of a head's key, before the
// event: a committed officer always has his file. It replaces nothing: a file
// of that name with other octets is of somebody who is being entered at the
// same time, or of a run that stopped. made are the files it wrote.
func (d *Desk) keepKey(o agenda.Officer, p OfficerParams, head bool, secret []byte) (made []string, err error) {
	create := func(path string, data []byte) error {
		err := vault.CreateFile(path, data, 0o600)
		switch {
		case err == nil:
			made = append(made, path)
		case errors.Is(err, vault.ErrExists):
			// The same octets are what a run left that stopped before its event.
			if there, rerr := readLimited(path, maxKeyFile); rerr == nil && bytes.Equal(there, data) {
				return nil
			}
		}
		return err
	}
	switch {
	case secret == nil:
		return nil, nil
	case !head:
		err = create(d.keyFile(o.Handle), secret)
		return made, err
	}
	path := p.KeyFile
	if p.NewKey {
		path = p.KeyOut
		if err := create(path, secret); err != nil {
			return made, err
		}
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return made, err
	}
	err = create(d.pathFile(o.Handle), []byte(abs+"\n"))
	return made, err
}

// CorrespondentParams describe an approved addressee, or a change to one.
type CorrespondentParams struct {
	Handle, Unit, Address string
	Certificate           string       // file; "" = none, class biasa only
	Signers               []SignerFile // who may sign there
}

// SignerFile is the certificate of an officer of a correspondent.
type SignerFile struct {
	Role agenda.Role
	File string
	Data []byte // the certificate itself, in place of File
}

// KeyReport is what preflight and the import of a key show about it.
type KeyReport struct {
	Facts    crypto.Facts
	Findings []crypto.Finding
}

// AddCorrespondent enters an addressee and pins his certificate with the
// encryption key that is to be used. The key is not confirmed by that.
func (d *Desk) AddCorrespondent(ctx context.Context, p CorrespondentParams) (agenda.Correspondent, KeyReport, error) {
	c := agenda.Correspondent{Handle: p.Handle, Unit: p.Unit, Address: p.Address}
	rep, err := d.fillCorrespondent(ctx, &c, p)
	if err != nil {
		return c, rep, err
	}
	who, err := d.ActingOr(ctx, agenda.RoleSandiman, agenda.RoleOperator)
	if err != nil {
		return c, rep, err
	}
	if err := d.Book.AddCorrespondent(ctx, who, c); err != nil {
		return c, rep, err
	}
	c, err = d.Book.Correspondent(ctx, p.Handle)
	return c, rep, err
}

// PreviewCorrespondent is what AddCorrespondent would enter, without
// entering it.
func (d *Desk) PreviewCorrespondent(ctx context.Context, p CorrespondentParams) (agenda.Correspondent, KeyReport, error) {
	c := agenda.Correspondent{Handle: p.Handle, Unit: p.Unit, Address: p.Address}
	rep, err := d.fillCorrespondent(ctx, &c, p)
	return c, rep, err
}

// OwnCertificate is the certificate of one of our officers, or of the archive
// under the name `arsip`: what correspondents are given.
func (d *Desk) OwnCertificate(ctx context.Context, handle string) (*crypto.Certificate, error) {
	if handle == ArchiveOwner {
		newest, _, err := d.newestArchiveKey(ctx)
		if err != nil {
			return nil, err
		}
		return d.CertificateOf(ctx, newest.Certificate.SHA256)
	}
	o, err := d.Book.Officer(ctx, handle)
	if err != nil {
		return nil, err
	}
	if o.Fingerprint == "" {
		return nil, &Error{code: CodeNoKey, Field: handle}
	}
	return d.CertificateOf(ctx, o.Certificate.SHA256)
}

// KeyOf reports on the pinned key of an addressee as it stands today.
func (d *Desk) KeyOf(ctx context.Context, c agenda.Correspondent) (KeyReport, error) {
	var rep KeyReport
	if c.Fingerprint == "" {
		return rep, nil
	}
	cert, err := d.CertificateOf(ctx, c.Certificate.SHA256)
	if err != nil {
		return rep, err
	}
	rep.Facts = cert.Facts(d.Now())
	rep.Findings = crypto.Praktis().Check(crypto.Recipient{Certificate: cert, Subkey: crypto.Fingerprint(c.Subkey)}, d.Now())
	return rep, nil
}

// Compared is what a comparison by voice confirms.
type Compared struct {
	Key     string   // fingerprint of the encryption key, "" when it was not among what was heard
	Signers []string // fingerprints of signers
}

// Compare finds what was typed among the fingerprints of an addressee: of the
// key and of the signers. Each is the last four groups or more; several are
// parted by commas. One that belongs to nobody refuses all.
func Compare(c agenda.Correspondent, typed string) (Compared, error) {
	var found Compared
	if c.Fingerprint == "" && len(c.Signers) == 0 {
		return found, &Error{code: CodeNoCertificate, Field: c.Handle}
	}
	for one := range strings.SplitSeq(typed, ",") {
		got := strings.ToLower(strings.Join(strings.Fields(one), ""))
		fits := func(fingerprint string) bool { return len(got) >= 16 && strings.HasSuffix(fingerprint, got) }
		known := false
		if fits(c.Fingerprint) {
			found.Key, known = c.Fingerprint, true
		}
		for _, s := range c.Signers {
			if fits(s.Fingerprint) {
				known = true
				if !slices.Contains(found.Signers, s.Fingerprint) {
					found.Signers = append(found.Signers, s.Fingerprint)
				}
			}
		}
		if !known {
			return Compared{}, &Error{code: CodeFingerprint, Field: c.Handle}
		}
	}
	return found, nil
}

// CheckFingerprint refuses what was typed unless [Compare] finds it.
func CheckFingerprint(c agenda.Correspondent, typed string) error {
	_, err := Compare(c, typed)
	return err
}

// EditCorrespondent changes what p fills in. A certificate is merged with what
// was kept of the same key before, so that a revocation seen once stays; a
// changed encryption key must be confirmed again.
func (d *Desk) EditCorrespondent(ctx context.Context, p CorrespondentParams, reason string) (agenda.Correspondent, KeyReport, error) {
	c, rep, err := d.PreviewEdit(ctx, p)
	if err != nil {
		return c, rep, err
	}
	who, err := d.ActingOr(ctx, agenda.RoleSandiman, agenda.RoleOperator)
	if err != nil {
		return c, rep, err
	}
	if err := d.Book.ChangeCorrespondent(ctx, who, c, reason); err != nil {
		return c, rep, err
	}
	c, err = d.Book.Correspondent(ctx, p.Handle)
	return c, rep, err
}

// PreviewEdit is what EditCorrespondent would record, without recording it.
func (d *Desk) PreviewEdit(ctx context.Context, p CorrespondentParams) (agenda.Correspondent, KeyReport, error) {
	c, err := d.Book.Correspondent(ctx, p.Handle)
	if err == nil {
		err = c.Active()
	}
	if err != nil {
		return c, KeyReport{}, err
	}
	was := c
	c.Unit, c.Address = cmp.Or(p.Unit, c.Unit), cmp.Or(p.Address, c.Address)
	rep, err := d.fillCorrespondent(ctx, &c, p)
	if err == nil && (c.Fingerprint != was.Fingerprint || c.Subkey != was.Subkey) {
		// What was heard was the old key; the book would take it for the new one.
		c.State, c.ConfirmedBy, c.ConfirmedVia = agenda.Unconfirmed, "", ""
	}
	return c, rep, err
}

// EndCorrespondent records that nothing more may go to a correspondent, for ever:
// what is frozen for him is held from now on.
func (d *Desk) EndCorrespondent(ctx context.Context, handle, reason string) (agenda.Correspondent, error) {
	c, err := d.Book.Correspondent(ctx, handle)
	if err != nil {
		return c, err
	}
	who, err := d.ActingOr(ctx, agenda.RoleSandiman, agenda.RoleOperator)
	if err != nil {
		return c, err
	}
	c.Ended = true
	return c, d.Book.ChangeCorrespondent(ctx, who, c, reason)
}

// CheckAddress refuses what the desk cannot write to.
func CheckAddress(address string) error {
	if _, err := mail.ParseAddress(address); err != nil {
		return &Error{code: CodeAddress, Field: address, Err: err}
	}
	return nil
}

func (d *Desk) fillCorrespondent(ctx context.Context, c *agenda.Correspondent, p CorrespondentParams) (KeyReport, error) {
	var rep KeyReport
	if err := CheckAddress(c.Address); err != nil {
		return rep, err
	}
	if p.Certificate != "" {
		cert, err := readCertificate(p.Certificate)
		if err != nil {
			return rep, err
		}
		if cert, err = d.asKnown(ctx, cert); err != nil {
			return rep, err
		}
		rep.Facts = cert.Facts(d.Now())
		subkey := crypto.Fingerprint(c.Subkey)
		switch sub := rep.Facts.Encryption; {
		case sub != nil:
			subkey = sub.Fingerprint
			if err := d.uniqueKeyID(ctx, c.Handle, sub.KeyID); err != nil {
				return rep, err
			}
		case c.Fingerprint != string(cert.Fingerprint()):
			return rep, &Error{code: CodeCertificate, Field: c.Handle, Detail: unfit(rep.Facts, d.Now())}
		default:
			// The pinned key itself, revoked: that is kept, so that it stops the
			// next letter. The key stays pinned until there is another.
		}
		rep.Findings = crypto.Praktis().Check(crypto.Recipient{Certificate: cert, Subkey: subkey}, d.Now())
		c.Certificate = dataObject(cert.Bytes(), secretMedia)
		c.Fingerprint, c.Subkey = string(cert.Fingerprint()), string(subkey)
		newerOfSame(c, cert)
	}
	for _, s := range p.Signers {
		cert, err := s.certificate()
		if err != nil {
			return rep, err
		}
		if cert, err = d.asKnown(ctx, cert); err != nil {
			return rep, err
		}
		c.Signers = replaceSigner(c.Signers, agenda.Signer{
			Role: s.Role, Fingerprint: string(cert.Fingerprint()), Certificate: dataObject(cert.Bytes(), secretMedia),
		})
		newerOfSame(c, cert)
	}
	return rep, nil
}

// newerOfSame lets a correspondent's other uses of a key know what came with
// its certificate: who enciphers to an office and who checks its signatures
// often have the same key before them, and its revocation comes but once.
func newerOfSame(c *agenda.Correspondent, cert *crypto.Certificate) {
	fingerprint, kept := string(cert.Fingerprint()), dataObject(cert.Bytes(), secretMedia)
	if c.Fingerprint == fingerprint {
		c.Certificate = kept
	}
	c.Signers = slices.Clone(c.Signers) // they may be shared
	for i := range c.Signers {
		if c.Signers[i].Fingerprint == fingerprint {
			c.Signers[i].Certificate = kept
		}
	}
}

// asKnown merges a certificate with all that the book ever kept of the same
// key: a revocation seen once stays, also when the key was exchanged for
// another and comes back without it.
func (d *Desk) asKnown(ctx context.Context, cert *crypto.Certificate) (*crypto.Certificate, error) {
	kept, err := d.keptCertificates(ctx)
	if err != nil {
		return nil, err
	}
	return kept.merge(cert)
}

// keptCertificates is all that the book ever kept of each key.
type keptCertificates map[crypto.Fingerprint][]*crypto.Certificate

func (d *Desk) keptCertificates(ctx context.Context) (keptCertificates, error) {
	objects, err := d.Book.Objects(ctx, secretMedia)
	if err != nil {
		return nil, err
	}
	kept := keptCertificates{}
	for _, o := range objects {
		cert, err := d.CertificateOf(ctx, o.SHA256)
		if err != nil {
			return nil, err
		}
		kept[cert.Fingerprint()] = append(kept[cert.Fingerprint()], cert)
	}
	return kept, nil
}

// merge adds to a certificate what is known besides it.
func (k keptCertificates) merge(cert *crypto.Certificate) (_ *crypto.Certificate, err error) {
	for _, old := range k[cert.Fingerprint()] {
		if cert, err = crypto.Merge(old, cert); err != nil {
			return nil, err
		}
	}
	return cert, nil
}

// unfit names why a certificate has no usable encryption key.
func unfit(f crypto.Facts, now time.Time) string {
	switch {
	case f.Revoked:
		return "crypto.revoked"
	case !f.Expires.IsZero() && !now.Before(f.Expires):
		return "crypto.expired"
	}
	return "crypto.no_encryption_key"
}

func replaceSigner(list []agenda.Signer, s agenda.Signer) []agenda.Signer {
	for i := range list {
		if list[i].Role == s.Role && list[i].Fingerprint == s.Fingerprint {
			list[i] = s
			return list
		}
	}
	return append(list, s)
}

func readCertificate(path string) (*crypto.Certificate, error) {
	data, err := readLimited(path, maxKeyFile)
	if err != nil {
		return nil, &Error{code: CodeFile, Field: path, Err: err}
	}
	cert, err := crypto.ParseCertificate(data)
	if coded(err) == "crypto.secret_key_in_certificate" {
		return nil, &Error{code: CodeSecretGiven, Field: path, Err: err}
	}
	return cert, err
}

// uniqueKeyID refuses a second encryption key with the same 64-bit id: the
// packets of SEIPDv1 know a recipient by nothing else.
func (d *Desk) uniqueKeyID(ctx context.Context, handle string, id uint64) error {
	all, err := d.Book.Correspondents(ctx)
	if err != nil {
		return err
	}
	for _, other := range all {
		if other.Handle == handle || other.Fingerprint == "" {
			continue
		}
		cert, err := d.CertificateOf(ctx, other.Certificate.SHA256)
		if err != nil {
			return err
		}
		if sub := cert.Facts(d.Now()).Encryption; sub != nil && sub.KeyID == id {
			return &Error{code: CodeSameKeyID, Field: handle, Detail: other.Handle}
		}
	}
	return nil
}

// ConfirmCorrespondent records that fingerprints were compared by voice: typed
// is what the addressee read, as in [Compare]. Only what was read counts from
// then on: the key for letters, each signer for what comes from there.
func (d *Desk) ConfirmCorrespondent(ctx context.Context, handle, typed, by, channel string) error {
	c, err := d.Book.Correspondent(ctx, handle)
	if err != nil {
		return err
	}
	found, err := Compare(c, typed)
	if err != nil {
		return err
	}
	who, err := d.ActingOr(ctx, agenda.RoleSandiman, agenda.RoleOperator)
	if err != nil {
		return err
	}
	err = d.Book.ConfirmCorrespondent(ctx, who, handle, found.Key, by, channel, found.Signers...)
	if coded(err) == "agenda.fingerprint_changed" {
		return &Error{code: CodeFingerprint, Field: handle, Err: err}
	}
	return err
}

// GiveRole gives an officer a role with the title of the profile where none
// is said.
func (d *Desk) GiveRole(ctx context.Context, handle string, g agenda.RoleGrant) error {
	o, err := d.Book.Officer(ctx, handle)
	if err != nil {
		return err
	}
	g.Title = cmp.Or(g.Title, d.Config.Profile.Title(string(g.Role)))
	who, err := d.ActingOr(ctx, agenda.RoleSandiman, agenda.RoleOperator)
	if err != nil {
		return err
	}
	return d.Book.GiveRole(ctx, who, o.Handle, g)
}

// EndRole ends a role of an officer.
func (d *Desk) EndRole(ctx context.Context, handle string, g agenda.RoleGrant) error {
	who, err := d.ActingOr(ctx, agenda.RoleSandiman, agenda.RoleOperator)
	if err != nil {
		return err
	}
	return d.Book.EndRole(ctx, who, handle, g)
}
