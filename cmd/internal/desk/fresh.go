package desk

import (
	"bytes"
	"context"

	"sandi/agenda"
	"sandi/cmd/internal/signedtext"
	"sandi/crypto"
)

// dossier is a draft with everything that belongs to it, checked against the
// entry as it stands today.
type dossier struct {
	entry   agenda.Entry
	draft   signedtext.Draft
	content signedtext.Content
	text    []byte
	paraf   []byte
	clerk   agenda.Officer // who initialled
	head    agenda.Officer // who signs or signed
}

// fresh loads the latest draft of an entry and refuses it when anything has
// changed since it was typed: the file, the entry, the recipients, the roles
// or the certificates. `sign` and `send` both begin here.
func (d *Desk) fresh(ctx context.Context, e agenda.Entry) (dossier, error) {
	s, err := d.load(ctx, e)
	if err != nil {
		return s, err
	}
	if err := d.freshRecipients(ctx, e, s.draft); err != nil {
		return s, err
	}
	return s, d.freshOfficers(ctx, &s)
}

// load reads the latest draft of an entry and sees that draft, content
// record, entry and file still belong together.
func (d *Desk) load(ctx context.Context, e agenda.Entry) (dossier, error) {
	s := dossier{entry: e}
	stale := func(what string) error { return &Error{code: CodeStale, Entry: e.Name, Detail: what} }
	rec := e.Drafted
	if rec == nil {
		return s, refuseEntry(CodeNotDrafted, e.Name)
	}
	s.text, s.paraf = rec.Text.Data, rec.Paraf.Data
	if signedtext.Sum(s.text) != rec.Manifest {
		return s, refuseEntry(CodeDamaged, e.Name)
	}
	var err error
	if s.draft, err = signedtext.ParseDraft(s.text); err != nil {
		return s, refuseEntry(CodeDamaged, e.Name)
	}
	if s.content, err = signedtext.ParseContent([]byte(rec.Content)); err != nil {
		return s, refuseEntry(CodeDamaged, e.Name)
	}
	switch {
	case s.draft.Entry != e.Name.Long() || s.draft.Number != rec.Draft:
		return s, stale("entry")
	case s.draft.Kriptogram != rec.Kriptogram.SHA256 || s.draft.Size != rec.Kriptogram.Size:
		return s, stale("kriptogram")
	case s.content.Sum() != s.draft.Content:
		return s, stale("content")
	case s.content.Class != e.Letter.Class || s.content.Urgency != e.Letter.Urgency:
		return s, stale("class")
	}
	if err := d.Vault.Check(ctx, rec.Kriptogram.SHA256, rec.Kriptogram.Size); err != nil {
		return s, &Error{code: CodeDamaged, Entry: e.Name, Err: err}
	}
	return s, nil
}

func (d *Desk) freshRecipients(ctx context.Context, e agenda.Entry, draft signedtext.Draft) error {
	policy, err := d.policyFor(e)
	if err != nil {
		return err
	}
	rows, _, err := d.preflight(ctx, e, policy)
	if err != nil {
		return err
	}
	same := len(rows) == len(draft.Recipients)
	for i := 0; same && i < len(rows); i++ {
		c, r := rows[i].Correspondent, draft.Recipients[i]
		same = c.Fingerprint == r.Fingerprint && c.Subkey == r.Subkey
	}
	if !same {
		return &Error{code: CodeStale, Entry: e.Name, Detail: "recipients"}
	}
	return nil
}

func (d *Desk) freshOfficers(ctx context.Context, s *dossier) error {
	all, err := d.Book.Officers(ctx, d.Now())
	if err != nil {
		return err
	}
	for _, o := range all {
		if o.Fingerprint == s.draft.Paraf.Fingerprint && holdsAny(o, []agenda.Role{agenda.RoleSandiman}) {
			s.clerk = o
		}
		if holdsAny(o, []agenda.Role{agenda.RoleKepalaSeksi}) && signerNamed(o, s.draft) {
			s.head = o
		}
	}
	if s.clerk.Handle == "" {
		return &Error{code: CodeStale, Entry: s.entry.Name, Detail: "paraf"}
	}
	if s.head.Handle == "" {
		return &Error{code: CodeStale, Entry: s.entry.Name, Detail: "ttd"}
	}
	if err := twoPeople(s.entry.Name, s.clerk, s.head); err != nil {
		return err
	}
	return d.verifyBy(ctx, s.entry.Name, s.clerk, s.text, s.paraf, "paraf")
}

// signerNamed tells whether a draft names the officer as who is to sign it: by his
// key, or, where ink is enough, by his title. There nobody's key stands in it,
// and having none names nobody.
func signerNamed(o agenda.Officer, draft signedtext.Draft) bool {
	if draft.Wet() {
		return title(o, agenda.RoleKepalaSeksi) == draft.Signature.Title
	}
	return o.Fingerprint == draft.Signature.Fingerprint
}

// verifyBy checks a text signature of one of our officers with his pinned
// certificate, which must be fit today.
func (d *Desk) verifyBy(ctx context.Context, n agenda.Name, o agenda.Officer, text, sig []byte, what string) error {
	cert, err := d.fitCertificate(ctx, n, o)
	if err != nil {
		return err
	}
	if _, err := crypto.VerifyText(bytes.NewReader(text), sig, cert, d.Now()); err != nil {
		return &Error{code: CodeSignature, Entry: n, Field: o.Handle, Detail: what, Err: err}
	}
	return nil
}

// fitCertificate reads the pinned certificate of one of our officers, which
// must be neither revoked nor expired today.
func (d *Desk) fitCertificate(ctx context.Context, n agenda.Name, o agenda.Officer) (*crypto.Certificate, error) {
	cert, err := d.CertificateOf(ctx, o.Certificate.SHA256)
	if err != nil {
		return nil, err
	}
	now := d.Now()
	if f := cert.Facts(now); f.Revoked || !f.Expires.IsZero() && !now.Before(f.Expires) {
		return nil, &Error{code: CodeSignature, Entry: n, Field: o.Handle, Detail: unfit(f, now)}
	}
	return cert, nil
}

// checkWords are the six words that people compare for a draft.
func checkWords(text []byte) string { return signedtext.CheckWordsOf(signedtext.Sum(text)) }
