package desk

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/signedtext"
	"sandi/crypto"
)

// EncryptParams say what to encipher.
type EncryptParams struct {
	Name      agenda.Name
	Documents []string // paths; read where they lie, never copied
	Again     bool     // make a new draft in place of one that waits or is signed
	Reason    string   // needed with Again
	Secrets   Secrets
	// Show is called with the table of recipients before anything is asked.
	Show func([]PreflightRow)
	// DryRun stops after the table.
	DryRun bool
	// Progress wraps the plaintext as it is read; nil: none. Total is in octets.
	Progress func(total int64, r io.Reader) io.Reader
}

// PreflightRow is what is known of one recipient before the encryption.
type PreflightRow struct {
	Copy          int
	Correspondent agenda.Correspondent
	Facts         crypto.Facts
	Findings      []crypto.Finding // refusals first
}

// Encrypted tells what `encrypt` made.
type Encrypted struct {
	Entry      agenda.Entry
	Recipients []PreflightRow
	Draft      signedtext.Draft
	Text       []byte // kriptogram.txt
	By         agenda.Officer
	At         time.Time
}

// Encrypt does step 5 of service A: it checks every recipient, enciphers,
// checks the written file, types the draft, puts the paraf under it and
// submits it. Whatever refuses leaves the entry as it was.
func (d *Desk) Encrypt(ctx context.Context, p EncryptParams) (Encrypted, error) {
	res, err := d.encrypt(ctx, p)
	if err != nil {
		return res, err
	}
	res.Entry, err = d.Book.EntryByID(ctx, res.Entry.ID)
	return res, err
}

// encipherment is what is known of an encryption before anybody is asked.
type encipherment struct {
	entry      agenda.Entry
	policy     crypto.Policy
	clerk      agenda.Officer
	head       signer
	archive    packetKey
	docs       []document
	total      int64 // octets of the documents
	rows       []PreflightRow
	recipients []crypto.Recipient
	refusal    error // of a recipient
}

// encipherable reads what an encryption needs and refuses what can be refused
// without a passphrase. The caller closes the documents, also after an error.
func (d *Desk) encipherable(ctx context.Context, p EncryptParams) (s encipherment, err error) {
	if s.entry, err = d.brief(ctx, p.Name); err != nil {
		return s, err
	}
	if err := d.mayEncrypt(s.entry, p); err != nil {
		return s, err
	}
	if s.policy, err = d.policyFor(s.entry); err != nil {
		return s, err
	}
	if s.clerk, err = d.Acting(ctx, agenda.RoleSandiman); err != nil {
		return s, err
	}
	if s.head, err = d.signerOf(ctx, s.entry, s.clerk); err != nil {
		return s, err
	}
	if s.archive, err = d.archiveCertificate(ctx); err != nil {
		return s, err
	}
	if s.docs, err = openDocuments(p.Documents); err != nil {
		return s, err
	}
	for _, doc := range s.docs {
		s.total += doc.size
	}
	if err := d.fitsGateway(s.entry.Name, s.total); err != nil {
		return s, err
	}
	s.rows, s.recipients, s.refusal = d.preflight(ctx, s.entry, s.policy)
	if s.rows == nil {
		return s, s.refusal
	}
	return s, nil
}

// encrypt returns the entry as it was before, without its records.
func (d *Desk) encrypt(ctx context.Context, p EncryptParams) (Encrypted, error) {
	var res Encrypted
	var s encipherment
	err := d.Book.Within(ctx, func(ctx context.Context) (err error) {
		s, err = d.encipherable(ctx, p)
		return err
	})
	defer closeDocuments(s.docs)
	res.Entry, res.Recipients = s.entry, s.rows
	if err != nil {
		return res, err
	}
	if p.Show != nil {
		p.Show(s.rows)
	}
	if s.refusal != nil {
		return res, s.refusal
	}
	e, policy, clerk, head, archive, docs, total := s.entry, s.policy, s.clerk, s.head, s.archive, s.docs, s.total
	for _, k := range []*packetKey{&archive, head.review} {
		if k == nil {
			continue
		}
		if err := policy.CheckSidecar(k.cert, k.sub, d.Now()); err != nil {
			return res, err
		}
	}
	if p.DryRun {
		if err := d.mayUse(clerk); err != nil {
			return res, err
		}
		if _, err := d.logKey(); err != nil {
			return res, err
		}
		return res, d.rehearse(ctx, d.actor(clerk.Handle))
	}
	key, err := d.unlock(ctx, clerk, agenda.RoleSandiman, ForParaf, p.Secrets)
	if err != nil {
		return res, err
	}

	content := signedtext.Content{Class: e.Letter.Class, Urgency: e.Letter.Urgency}
	if _, err := io.ReadFull(d.opts.Rand, content.Salt[:]); err != nil {
		return res, err
	}
	out, err := d.Vault.NewObject()
	if err != nil {
		return res, err
	}
	defer out.Abort()
	src := plaintext(ctx, docs)
	defer src.Close()
	var plain io.Reader = src
	if p.Progress != nil {
		plain = p.Progress(total, src)
	}
	domain := d.Config.Gateway.MailDomain()
	sealed, err := crypto.Seal(ctx, out, plain, crypto.SealParams{
		Recipients: s.recipients, Signer: key, Policy: policy, Now: d.Now(), FileName: literalName(docs),
		Notations: []crypto.Notation{
			{Name: signedtext.NotationClass + "@" + domain, Value: string(content.Class)},
			{Name: signedtext.NotationUrgency + "@" + domain, Value: string(content.Urgency)},
			{Name: signedtext.NotationSalt + "@" + domain, Value: fmt.Sprintf("%x", content.Salt)},
		},
	})
	if err != nil {
		return res, err
	}
	defer sealed.Wipe()
	if err := unaltered(e.Name, docs); err != nil {
		return res, err
	}
	written, err := out.Reader()
	if err != nil {
		return res, err
	}
	if err := sealed.CheckEnvelope(ctx, written); err != nil {
		return res, err
	}
	rec := agenda.DraftRecord{
		Draft: e.Draft + 1, ParafKey: clerk.Fingerprint, Policy: policy.Name, PolicyDigest: policy.Digest(),
		Format: sealed.Format, Reason: p.Reason, Documents: describe(docs, e.Letter.Pages),
	}
	if rec.ArchivePacket, err = sealed.Sidecar(archive.cert, archive.sub); err != nil {
		return res, err
	}
	if head.review != nil {
		if rec.Review, err = sealed.Sidecar(head.review.cert, head.review.sub); err != nil {
			return res, err
		}
	}
	content.Text = sealed.PlainSHA256
	rec.Content, rec.Isi = string(content.Encode()), content.Sum()

	who := d.actor(clerk.Handle)
	book, err := d.draftCheckpoint(ctx, who)
	if err != nil {
		return res, err
	}
	res.At = d.Now()
	draft := signedtext.Draft{
		Kriptogram: sealed.SHA256, Size: sealed.Size, Format: sealed.Format, Office: d.Config.Office.Name,
		Entry: e.Name.Long(), Number: rec.Draft, At: res.At,
		Paraf:     signedtext.Signer{Fingerprint: clerk.Fingerprint, Title: title(clerk, agenda.RoleSandiman)},
		Signature: signedtext.Signer{Fingerprint: head.fingerprint, Title: title(head.officer, agenda.RoleKepalaSeksi)},
		Content:   rec.Isi, Book: book,
	}
	for _, r := range s.rows {
		draft.Recipients = append(draft.Recipients, signedtext.Recipient{
			Fingerprint: r.Correspondent.Fingerprint, Subkey: r.Correspondent.Subkey, Unit: r.Correspondent.Unit,
		})
	}
	text, err := draft.Encode()
	if err != nil {
		return res, err
	}
	paraf, _, err := crypto.SignText(key, bytes.NewReader(text), d.Now())
	if err != nil {
		return res, err
	}
	if _, err := crypto.VerifyText(bytes.NewReader(text), paraf, key.Certificate(), d.Now()); err != nil {
		return res, err
	}
	rec.Manifest = signedtext.Sum(text)
	rec.Text, rec.Paraf = dataObject(text, textMedia), dataObject(paraf, sigMedia)

	sum, size, err := out.Commit()
	if err != nil {
		return res, err
	}
	if sum != sealed.SHA256 || size != sealed.Size {
		return res, refuseEntry(CodeDamaged, e.Name)
	}
	rec.Kriptogram = agenda.Object{SHA256: sum, Size: size, Media: pgpMedia}
	if err := d.Book.Draft(ctx, who, e.ID, e.Last, rec); err != nil {
		return res, err
	}
	res.Draft, res.Text, res.By = draft, text, clerk
	return res, nil
}

// mayEncrypt refuses a step out of order before anybody is asked anything.
func (d *Desk) mayEncrypt(e agenda.Entry, p EncryptParams) error {
	if e.Name.Book != agenda.Kriptogram || !agenda.Allowed(e.Name.Book, agenda.StepDraft, e.State) {
		return &Error{code: CodeState, Entry: e.Name, Detail: string(e.State)}
	}
	if e.State != agenda.StateRegistered && !p.Again {
		return &Error{code: CodeState, Entry: e.Name, Field: "--again", Detail: string(e.State)}
	}
	if p.Again && strings.TrimSpace(p.Reason) == "" {
		return &Error{code: CodeState, Entry: e.Name, Field: "--reason", Detail: string(e.State)}
	}
	if !e.Ordered && d.Config.Profile.OrderRequired(string(e.Name.Book)) {
		return refuseEntry(CodeNotOrdered, e.Name)
	}
	return nil
}

// Encipherable tells whether the office allows letters of a class to be
// enciphered. Its book takes them all the same: the entry is there before it is
// known what becomes of the letter, and the office may allow the class later.
func (d *Desk) Encipherable(class agenda.Class) bool {
	return agenda.BookFor(class) != agenda.Kriptogram || d.Config.Profile.ClassPolicy(string(class)).Policy != "refuse"
}

// policyFor is the policy of the entry's class; a class that the office does
// not allow is refused here and nowhere else.
func (d *Desk) policyFor(e agenda.Entry) (crypto.Policy, error) {
	cp := d.Config.Profile.ClassPolicy(string(e.Letter.Class))
	if cp.Policy == "refuse" {
		return crypto.Policy{}, &Error{code: CodePolicy, Entry: e.Name, Field: string(e.Letter.Class)}
	}
	return crypto.PolicyByName(cp.Policy)
}

// packetKey is a certificate with the encryption key that a key packet is for.
type packetKey struct {
	cert *crypto.Certificate
	sub  crypto.Fingerprint
}

// signer is the head of section as the draft will name him.
type signer struct {
	officer     agenda.Officer
	fingerprint string     // "" in wet mode
	review      *packetKey // nil: he has no encryption key, or signs in ink without a certificate
}

// signerOf finds who is to sign the entry and sees that he is another person
// with another key than the clerk.
func (d *Desk) signerOf(ctx context.Context, e agenda.Entry, clerk agenda.Officer) (signer, error) {
	head, err := d.holder(ctx, agenda.RoleKepalaSeksi)
	if err != nil {
		return signer{}, err
	}
	s := signer{officer: head}
	if err := twoPeople(e.Name, clerk, head); err != nil {
		return s, err
	}
	if head.Fingerprint == "" {
		if d.Config.Profile.Signature == "wet" {
			return s, nil
		}
		return s, &Error{code: CodeNoKey, Field: head.Handle}
	}
	cert, err := d.CertificateOf(ctx, head.Certificate.SHA256)
	if err != nil {
		return s, err
	}
	mine, err := d.CertificateOf(ctx, clerk.Certificate.SHA256)
	if err != nil {
		return s, err
	}
	if cert.SameKeyMaterial(mine) {
		return s, refuseEntry(CodeSamePerson, e.Name)
	}
	if sub := cert.Facts(d.Now()).Encryption; sub != nil {
		s.review = &packetKey{cert, sub.Fingerprint}
	}
	if d.Config.Profile.Signature != "wet" {
		s.fingerprint = head.Fingerprint
	}
	return s, nil
}

// twoPeople holds the rule that sandiman and signer of one entry are two
// people with two keys.
func twoPeople(n agenda.Name, clerk, head agenda.Officer) error {
	same := clerk.Handle == head.Handle ||
		clerk.NIP != "" && clerk.NIP == head.NIP ||
		clerk.Fingerprint != "" && clerk.Fingerprint == head.Fingerprint
	if same {
		return refuseEntry(CodeSamePerson, n)
	}
	return nil
}

// fitsGateway refuses a letter that would not pass the gateway, before any
// number: base64 makes 4 octets of 3 and a line end of every 76.
func (d *Desk) fitsGateway(n agenda.Name, plain int64) error {
	if limit := d.Config.Gateway.MaxSize; limit > 0 && mailSize(plain) > limit {
		return &Error{code: CodeTooLarge, Entry: n, Detail: fmt.Sprintf("%d %d", mailSize(plain), limit)}
	}
	return nil
}

// mailSize bounds the octets of a message that carries n octets.
func mailSize(n int64) int64 {
	const rest = 32 << 10 // headers, cover, draft, three signatures
	return (n+2)/3*4*78/76 + rest
}

// preflight checks every recipient and returns the whole table, with the
// first refusal as error. It is called again before the release.
func (d *Desk) preflight(ctx context.Context, e agenda.Entry, policy crypto.Policy) ([]PreflightRow, []crypto.Recipient, error) {
	var rows []PreflightRow
	var recipients []crypto.Recipient
	var refusal error
	for _, c := range e.Copies {
		if c.State == agenda.CopyCancelled {
			continue
		}
		corr, err := d.Book.Correspondent(ctx, c.Handle)
		if err != nil {
			return nil, nil, err
		}
		row := PreflightRow{Copy: c.Copy, Correspondent: corr}
		if corr.Fingerprint == "" {
			row.Findings = []crypto.Finding{{Code: CodeNoCertificate, Refuse: true}}
		} else {
			cert, err := d.CertificateOf(ctx, corr.Certificate.SHA256)
			if err != nil {
				return nil, nil, err
			}
			r := crypto.Recipient{
				Certificate: cert, Subkey: crypto.Fingerprint(corr.Subkey), RSA2048Exception: d.Config.Profile.RSA2048(corr.Handle),
			}
			row.Facts, row.Findings = cert.Facts(d.Now()), policy.Check(r, d.Now())
			recipients = append(recipients, r)
			if gone, err := d.revokedElsewhere(ctx, r); err != nil {
				return nil, nil, err
			} else if gone && !revoked(row.Findings) {
				row.Findings = append([]crypto.Finding{{Code: crypto.ErrRevoked.Code(), Refuse: true}}, row.Findings...)
			}
			if corr.Ended {
				row.Findings = append([]crypto.Finding{{Code: CodeCorrespondent, Refuse: true}}, row.Findings...)
			}
			if corr.State != agenda.Confirmed {
				row.Findings = append([]crypto.Finding{{Code: CodeUnconfirmed, Refuse: true}}, row.Findings...)
			}
		}
		for _, f := range row.Findings {
			if f.Refuse && refusal == nil {
				refusal = &Error{code: CodePreflight, Entry: e.Name, Field: corr.Handle, Detail: f.Code}
			}
		}
		rows = append(rows, row)
	}
	return rows, recipients, refusal
}

// describe counts what was enciphered, without any name.
func describe(docs []document, pages int) string {
	sizes := make([]string, len(docs))
	for i, doc := range docs {
		sizes[i] = fmt.Sprint(doc.size)
	}
	return fmt.Sprintf("berkas %d halaman %d ukuran %s", len(docs), pages, strings.Join(sizes, ","))
}
