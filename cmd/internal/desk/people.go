package desk

import (
	"context"
	"errors"
	"path/filepath"
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
}

// AddOfficer enters an officer with his certificate. The secret key of a
// sandiman or operator is kept locked in keys/, that of a head of section
// never enters the desk.
func (d *Desk) AddOfficer(ctx context.Context, p OfficerParams) (agenda.Officer, error) {
	o := p.Officer
	// The handle becomes a file name, and a file of that name is another
	// officer's key: both are settled before anything is written.
	if !handleOK(o.Handle) {
		return o, &Error{code: CodeHandle, Field: o.Handle}
	}
	if _, err := d.Book.Officer(ctx, o.Handle); err == nil {
		return o, &Error{code: CodeDuplicate, Field: o.Handle}
	} else if !errors.Is(err, agenda.ErrUnknownOfficer) {
		return o, err
	}
	head := false
	for i, g := range p.Roles {
		switch g.Role {
		case agenda.RoleKepalaSeksi, agenda.RoleKepalaBidang, agenda.RoleKepalaDinas:
			head = true
		}
		if g.Title == "" {
			p.Roles[i].Title = orElse(o.Title, d.Config.Profile.Title(string(g.Role)))
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
		secret, cert, err = d.newKey(ctx, o, p)
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
	if err := d.keepKey(o, p, head, secret); err != nil {
		return o, err
	}
	who, err := d.ActingOr(ctx, agenda.RoleSandiman, agenda.RoleOperator)
	if err != nil {
		return o, err
	}
	return o, d.Book.AddOfficer(ctx, who, o, p.Roles)
}

// handleOK is the form of a handle: a small letter or digit, then also "-",
// "." and "_".
func handleOK(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case i > 0 && (c == '-' || c == '.' || c == '_'):
		default:
			return false
		}
	}
	return s != "" && len(s) <= 64
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
		Name: orElse(p.Roles[0].Title, o.Handle) + ", " + d.Config.Office.Name, Email: d.Config.Gateway.From,
		Passphrase: pass, Now: d.Now(), Lifetime: officerLife, Cost: d.opts.Cost,
	})
	if err != nil {
		return nil, nil, err
	}
	cert, err := crypto.CertificateOfSecret(secret)
	return secret, cert, err
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
		cert, err = crypto.ParseCertificate(data)
		return nil, cert, err
	}
	if err != nil {
		return nil, nil, err
	}
	if !k.Locked() {
		return nil, nil, &Error{code: CodePassphrase, Field: path, Detail: "unlocked"}
	}
	return data, k.Certificate(), nil
}

// otherPerson refuses a key that another officer already has, also inside
// another certificate.
func (d *Desk) otherPerson(ctx context.Context, o agenda.Officer, cert *crypto.Certificate) error {
	all, err := d.Book.Officers(ctx, d.Now())
	if err != nil {
		return err
	}
	for _, other := range all {
		if other.Fingerprint == "" {
			continue
		}
		c, err := d.CertificateOf(ctx, other.Certificate.SHA256)
		if err != nil {
			return err
		}
		if c.SameKeyMaterial(cert) {
			return &Error{code: CodeSamePerson, Field: o.Handle, Detail: other.Handle}
		}
	}
	return nil
}

// keepKey writes the locked key, or the path of a head's key, before the
// event: a committed officer always has his file.
func (d *Desk) keepKey(o agenda.Officer, p OfficerParams, head bool, secret []byte) error {
	switch {
	case secret == nil:
		return nil
	case !head:
		return vault.WriteFile(d.keyFile(o.Handle), secret, 0o600)
	}
	path := p.KeyFile
	if p.NewKey {
		path = p.KeyOut
		if err := vault.CreateFile(path, secret, 0o600); err != nil {
			return err
		}
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	return vault.WriteFile(d.pathFile(o.Handle), []byte(abs+"\n"), 0o600)
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

// MatchesFingerprint tells whether what was typed is the fingerprint, or its
// last four groups or more.
func MatchesFingerprint(fingerprint, typed string) bool {
	got := strings.ToLower(strings.Join(strings.Fields(typed), ""))
	return len(got) >= 16 && strings.HasSuffix(fingerprint, got)
}

// EditCorrespondent changes what p fills in. A certificate with the same
// fingerprint is merged, so that a revocation seen once stays; a changed
// encryption key must be confirmed again.
func (d *Desk) EditCorrespondent(ctx context.Context, p CorrespondentParams, reason string) (agenda.Correspondent, KeyReport, error) {
	c, err := d.Book.Correspondent(ctx, p.Handle)
	if err != nil {
		return c, KeyReport{}, err
	}
	c.Unit, c.Address = orElse(p.Unit, c.Unit), orElse(p.Address, c.Address)
	rep, err := d.fillCorrespondent(ctx, &c, p)
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

func (d *Desk) fillCorrespondent(ctx context.Context, c *agenda.Correspondent, p CorrespondentParams) (KeyReport, error) {
	var rep KeyReport
	if _, err := mail.ParseAddress(c.Address); err != nil {
		return rep, err
	}
	if p.Certificate != "" {
		cert, err := readCertificate(p.Certificate)
		if err != nil {
			return rep, err
		}
		if c.Fingerprint == string(cert.Fingerprint()) {
			old, err := d.CertificateOf(ctx, c.Certificate.SHA256)
			if err != nil {
				return rep, err
			}
			if cert, err = crypto.Merge(old, cert); err != nil {
				return rep, err
			}
		}
		rep.Facts = cert.Facts(d.Now())
		if rep.Facts.Encryption == nil {
			return rep, &Error{code: CodePreflight, Field: c.Handle, Detail: unfit(rep.Facts, d.Now())}
		}
		sub := rep.Facts.Encryption
		rep.Findings = crypto.Praktis().Check(crypto.Recipient{Certificate: cert, Subkey: sub.Fingerprint}, d.Now())
		if err := d.uniqueKeyID(ctx, c.Handle, sub.KeyID); err != nil {
			return rep, err
		}
		c.Certificate = dataObject(cert.Bytes(), secretMedia)
		c.Fingerprint, c.Subkey = string(cert.Fingerprint()), string(sub.Fingerprint)
	}
	for _, s := range p.Signers {
		cert, err := readCertificate(s.File)
		if err != nil {
			return rep, err
		}
		c.Signers = replaceSigner(c.Signers, agenda.Signer{
			Role: s.Role, Fingerprint: string(cert.Fingerprint()), Certificate: dataObject(cert.Bytes(), secretMedia),
		})
	}
	return rep, nil
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

// ConfirmCorrespondent records that the fingerprint was compared by voice:
// typed are the last four groups as the addressee read them, or the whole
// fingerprint.
func (d *Desk) ConfirmCorrespondent(ctx context.Context, handle, typed, by, channel string) error {
	c, err := d.Book.Correspondent(ctx, handle)
	if err != nil {
		return err
	}
	if c.Fingerprint == "" {
		return &Error{code: CodeNoCertificate, Field: handle}
	}
	if !MatchesFingerprint(c.Fingerprint, typed) {
		return &Error{code: CodeFingerprint, Field: handle}
	}
	who, err := d.ActingOr(ctx, agenda.RoleSandiman, agenda.RoleOperator)
	if err != nil {
		return err
	}
	return d.Book.ConfirmCorrespondent(ctx, who, handle, by, channel)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// GiveRole gives an officer a role with the title of the profile where none
// is said.
func (d *Desk) GiveRole(ctx context.Context, handle string, g agenda.RoleGrant) error {
	o, err := d.Book.Officer(ctx, handle)
	if err != nil {
		return err
	}
	g.Title = orElse(g.Title, d.Config.Profile.Title(string(g.Role)))
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
