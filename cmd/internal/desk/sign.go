package desk

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sandi/agenda"
	"sandi/agenda/extract"
	"sandi/cmd/internal/signedtext"
	"sandi/cmd/internal/vault"
	"sandi/crypto"
)

// Pending is a draft that waits for the head of section, as he is shown it.
type Pending struct {
	Entry      agenda.Entry
	Draft      signedtext.Draft
	CheckWords string
	Clerk      agenda.Officer
	Head       agenda.Officer
	Downgraded []string // recipients that keep the letter on SEIPDv1
	Reviewed   bool
	text       []byte
}

// Pending loads the draft of an entry and sees that it can be signed now.
func (d *Desk) Pending(ctx context.Context, name agenda.Name) (p Pending, err error) {
	err = d.Book.Within(ctx, func(ctx context.Context) error {
		p, err = d.pendingNow(ctx, name)
		return err
	})
	return p, err
}

func (d *Desk) pendingNow(ctx context.Context, name agenda.Name) (Pending, error) {
	e, err := d.Book.Entry(ctx, name)
	if err != nil {
		return Pending{}, err
	}
	if !agenda.Allowed(e.Name.Book, agenda.StepSign, e.State) {
		return Pending{Entry: e}, &Error{code: stateCode(e), Entry: e.Name, Detail: string(e.State)}
	}
	s, err := d.fresh(ctx, e)
	if err != nil {
		return Pending{Entry: e}, err
	}
	if err := d.maySign(ctx, s); err != nil {
		return Pending{Entry: e}, err
	}
	return d.pending(ctx, s)
}

// maySign refuses a draft whose signer is not in charge today: the head while
// somebody acts for him, and whoever acted before. What was signed while its
// signer was in charge leaves as long as he holds the role; that is judged by
// fresh.
func (d *Desk) maySign(ctx context.Context, s dossier) error {
	heads, err := d.inCharge(ctx, agenda.RoleKepalaSeksi)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(heads, func(o agenda.Officer) bool { return o.Handle == s.head.Handle }) {
		return &Error{code: CodeStale, Entry: s.entry.Name, Detail: "ttd"}
	}
	return nil
}

func (d *Desk) pending(ctx context.Context, s dossier) (Pending, error) {
	p := Pending{
		Entry: s.entry, Draft: s.draft, CheckWords: checkWords(s.text), Clerk: s.clerk, Head: s.head,
		Reviewed: s.entry.Read != nil && s.entry.Read.Draft == s.draft.Number, text: s.text,
	}
	if !strings.HasPrefix(s.draft.Format, "SEIPDv1") {
		return p, nil
	}
	for _, c := range s.entry.Copies {
		corr, err := d.Book.Correspondent(ctx, c.Handle)
		if err != nil {
			return p, err
		}
		cert, err := d.CertificateOf(ctx, corr.Certificate.SHA256)
		if err != nil {
			return p, err
		}
		if !cert.Facts(d.Now()).SEIPDv2 {
			p.Downgraded = append(p.Downgraded, corr.Handle)
		}
	}
	return p, nil
}

// stateCode names what is missing before a draft can be signed.
func stateCode(e agenda.Entry) string {
	if e.Name.Book == agenda.Kriptogram && e.State == agenda.StateRegistered {
		return CodeNotDrafted
	}
	return CodeState
}

// SignParams say how a draft is signed.
type SignParams struct {
	Name    agenda.Name
	Secrets Secrets
	// Manifest, when set, is the draft that the head was shown: a newer one
	// is refused.
	Manifest agenda.Hash
	// Attach is the file of a signature made elsewhere.
	Attach string
	// Wet is the scan of the sheet signed in ink; Words are its check words,
	// retyped.
	Wet, Words string
}

// signable is the draft with the record of its signature as far as it is known
// before anybody signs.
func (d *Desk) signable(ctx context.Context, p SignParams) (Pending, agenda.SignatureRecord, error) {
	pend, err := d.Pending(ctx, p.Name)
	if err != nil {
		return pend, agenda.SignatureRecord{}, err
	}
	e := pend.Entry
	rec := agenda.SignatureRecord{Manifest: signedtext.Sum(pend.text), Key: pend.Head.Fingerprint, Reviewed: pend.Reviewed}
	if !p.Manifest.IsZero() && p.Manifest != rec.Manifest {
		return pend, rec, &Error{code: CodeStale, Entry: e.Name, Detail: "draft"}
	}
	if d.Config.Profile.ClassPolicy(string(e.Letter.Class)).Review == "required" && !pend.Reviewed {
		return pend, rec, refuseEntry(CodeReviewRequired, e.Name)
	}
	return pend, rec, d.signatureMode(&rec, p, pend)
}

// MaySign sees, without any passphrase, that Sign would find nothing to refuse.
func (d *Desk) MaySign(ctx context.Context, p SignParams) error {
	pend, rec, err := d.signable(ctx, p)
	if err != nil {
		return err
	}
	switch {
	case rec.Mode == "wet":
	case p.Attach != "":
		_, _, err = d.attached(ctx, pend, p.Attach)
	default:
		err = d.mayUse(pend.Head)
	}
	if err == nil {
		err = d.maySheet(ctx, p)
	}
	if err != nil {
		return err
	}
	return d.rehearse(ctx, d.actor(pend.Head.Handle))
}

// maySheet refuses a scan of the sheet signed in ink that cannot be kept.
func (d *Desk) maySheet(ctx context.Context, p SignParams) error {
	if p.Wet == "" {
		return nil
	}
	docs, err := openDocuments([]string{p.Wet})
	if err != nil {
		return err
	}
	defer closeDocuments(docs)
	if err := scanned(p.Name, docs[0]); err != nil {
		return err
	}
	return d.noPlaintext(ctx, p.Name, docs[0])
}

// Sign does step 6 of service A.
func (d *Desk) Sign(ctx context.Context, p SignParams) (agenda.Entry, error) {
	e, err := d.sign(ctx, p)
	if err != nil {
		return e, err
	}
	return d.Book.EntryByID(ctx, e.ID)
}

// sign returns the entry as it was before.
func (d *Desk) sign(ctx context.Context, p SignParams) (agenda.Entry, error) {
	pend, rec, err := d.signable(ctx, p)
	e := pend.Entry
	if err == nil {
		err = d.maySheet(ctx, p)
	}
	if err != nil {
		return e, err
	}
	if rec.Mode != "wet" {
		var sig []byte
		if p.Attach != "" {
			sig, rec.Via, err = d.attached(ctx, pend, p.Attach)
		} else {
			sig, rec.Via, err = d.signHere(ctx, pend, p.Secrets)
		}
		if err != nil {
			return e, err
		}
		rec.Signature = dataObject(sig, sigMedia)
	}
	if p.Wet != "" {
		if rec.Scan, err = d.keepScan(p.Name, p.Wet); err != nil {
			return e, err
		}
		rec.Via = cmp.Or(rec.Via, "desk")
	}
	if rec.Mode == "wet" {
		rec.Key = ""
	}
	return e, d.Book.Sign(ctx, d.actor(pend.Head.Handle), e.ID, e.Last, rec)
}

// signatureMode compares what is offered with the mode of the office.
func (d *Desk) signatureMode(rec *agenda.SignatureRecord, p SignParams, pend Pending) error {
	rec.Mode = d.Config.Profile.Signature
	n := pend.Entry.Name
	if pend.Draft.Wet() != (rec.Mode == "wet") {
		return &Error{code: CodeStale, Entry: n, Detail: "mode"}
	}
	if (rec.Mode == "key") != (p.Wet == "") || rec.Mode == "wet" && p.Attach != "" {
		return &Error{code: CodeMode, Entry: n, Detail: rec.Mode}
	}
	if p.Wet != "" && strings.Join(strings.Fields(strings.ToLower(p.Words)), " ") != pend.CheckWords {
		return refuseEntry(CodeCheckWords, n)
	}
	return nil
}

func (d *Desk) signHere(ctx context.Context, pend Pending, s Secrets) (sig []byte, via string, err error) {
	key, err := d.unlock(ctx, pend.Head, agenda.RoleKepalaSeksi, ForSignature, s)
	if err != nil {
		return nil, "", err
	}
	sig, _, err = crypto.SignText(key, bytes.NewReader(pend.text), d.Now())
	if err != nil {
		return nil, "", err
	}
	return sig, "media", d.verifyBy(ctx, pend.Entry.Name, pend.Head, pend.text, sig, "ttd")
}

// attached takes a signature that the head made in his own account or on his
// own machine. It must be over the octets of this very draft.
func (d *Desk) attached(ctx context.Context, pend Pending, path string) (sig []byte, via string, err error) {
	sig, err = readLimited(path, maxPacket)
	if err != nil {
		return nil, "", &Error{code: CodeFile, Field: path, Err: err}
	}
	cert, err := d.fitCertificate(ctx, pend.Entry.Name, pend.Head)
	if err != nil {
		return nil, "", err
	}
	if _, err := crypto.VerifyForeign(pend.text, sig, cert, d.Now()); err != nil {
		return nil, "", &Error{code: CodeSignature, Entry: pend.Entry.Name, Field: pend.Head.Handle, Detail: "ttd", Err: err}
	}
	return sig, "attached", nil
}

// keepScan keeps the scan of a sheet as attach keeps one: a picture becomes a
// PDF.
func (d *Desk) keepScan(n agenda.Name, path string) (agenda.Object, error) {
	docs, err := openDocuments([]string{path})
	if err != nil {
		return agenda.Object{}, err
	}
	defer closeDocuments(docs)
	file := bufio.NewReader(docs[0].file)
	if head, _ := file.Peek(16); !extract.IsPicture(head) {
		return d.keep(file, pdfMedia)
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return agenda.Object{}, &Error{code: CodeFile, Field: path, Err: err}
	}
	pdfs, err := d.scansOf(n, [][]byte{data})
	if err != nil {
		return agenda.Object{}, err
	}
	return d.keep(bytes.NewReader(pdfs[0].data), pdfMedia)
}

// keepFile copies a file that may be kept as it is (evidence) into the vault.
func (d *Desk) keepFile(path, media string) (agenda.Object, error) {
	docs, err := openDocuments([]string{path})
	if err != nil {
		return agenda.Object{}, err
	}
	defer closeDocuments(docs)
	return d.keep(docs[0].file, media)
}

func (d *Desk) keep(r io.Reader, media string) (agenda.Object, error) {
	w, err := d.Vault.NewObject()
	if err != nil {
		return agenda.Object{}, err
	}
	defer w.Abort()
	if _, err := io.Copy(w, r); err != nil {
		return agenda.Object{}, err
	}
	sum, size, err := w.Commit()
	return agenda.Object{SHA256: sum, Size: size, Media: media}, err
}

// returnable is an entry with a draft to give back, and who may do it.
func (d *Desk) returnable(ctx context.Context, name agenda.Name) (agenda.Entry, agenda.Officer, error) {
	e, err := d.Book.Entry(ctx, name)
	if err != nil {
		return e, agenda.Officer{}, err
	}
	if !agenda.Allowed(e.Name.Book, agenda.StepReturn, e.State) {
		return e, agenda.Officer{}, &Error{code: stateCode(e), Entry: e.Name, Detail: string(e.State)}
	}
	head, err := d.holder(ctx, agenda.RoleKepalaSeksi)
	return e, head, err
}

// MayReturn sees, without any passphrase, that Return would find nothing to
// refuse.
func (d *Desk) MayReturn(ctx context.Context, name agenda.Name) error {
	_, head, err := d.returnable(ctx, name)
	if err == nil && d.Config.Profile.Signature != "wet" {
		err = d.mayUse(head)
	}
	if err != nil {
		return err
	}
	return d.rehearse(ctx, d.actor(head.Handle))
}

// ReturnParams say which draft goes back, and why.
type ReturnParams struct {
	Name   agenda.Name
	Reason string
	// Manifest, when set, is the draft that the head was shown: a newer one is
	// refused, since his reason is not about it.
	Manifest agenda.Hash
	Secrets  Secrets
}

// Return gives a draft, signed or not, back to the sandiman. In the modes
// with a key the head signs the return, so that nobody else can.
func (d *Desk) Return(ctx context.Context, p ReturnParams) (agenda.Entry, error) {
	e, head, err := d.returnable(ctx, p.Name)
	if err != nil {
		return e, err
	}
	if !p.Manifest.IsZero() && p.Manifest != e.Drafted.Manifest {
		return e, &Error{code: CodeStale, Entry: e.Name, Detail: "draft"}
	}
	rec := agenda.ReturnRecord{Draft: e.Draft, Reason: p.Reason}
	if d.Config.Profile.Signature != "wet" {
		text, err := signedtext.Return{
			Draft: e.Drafted.Manifest, Entry: e.Name.Long(), Number: e.Draft, At: d.Now(), Reason: p.Reason,
		}.Encode()
		if err != nil {
			return e, err
		}
		key, err := d.unlock(ctx, head, agenda.RoleKepalaSeksi, ForReturn, p.Secrets)
		if err != nil {
			return e, err
		}
		sig, _, err := crypto.SignText(key, bytes.NewReader(text), d.Now())
		if err != nil {
			return e, err
		}
		if err := d.verifyBy(ctx, e.Name, head, text, sig, "ttd"); err != nil {
			return e, err
		}
		rec.Text, rec.Signature = dataObject(text, textMedia), dataObject(sig, sigMedia)
	}
	if err := d.Book.Return(ctx, d.actor(head.Handle), e.ID, e.Last, rec); err != nil {
		return e, err
	}
	return d.Book.EntryByID(ctx, e.ID)
}

// ReadParams say where the head reads what he is to sign.
type ReadParams struct {
	Name    agenda.Name
	Out     string // file; "" = the session's RAM disk
	Force   bool
	Secrets Secrets
}

// ReadResult is what the head sees beside the plaintext.
type ReadResult struct {
	Pending
	Path string
	Name string // literal name
	Size int64
}

// Read opens the very file that is to be signed, with the head's packet, and
// writes the plaintext for him. The clerk's own file is never the source.
func (d *Desk) Read(ctx context.Context, p ReadParams) (ReadResult, error) {
	pend, err := d.Pending(ctx, p.Name)
	res := ReadResult{Pending: pend}
	if err != nil {
		return res, err
	}
	packet, err := d.reviewPacket(ctx, pend)
	if err != nil {
		return res, err
	}
	key, err := d.unlock(ctx, pend.Head, agenda.RoleKepalaSeksi, ForRead, p.Secrets)
	if err != nil {
		return res, err
	}
	if res.Path, err = readPlace(p.Out, pend.Entry.Name); err != nil {
		return res, err
	}
	out, err := vault.NewOutput(res.Path, p.Force)
	if err != nil {
		return res, err
	}
	defer out.Abort()
	opened, err := d.openOwn(ctx, out, pend.Entry, key, packet)
	if err != nil {
		return res, err
	}
	res.Name, res.Size = opened.FileName, opened.Size
	if err := d.Book.MarkRead(ctx, d.actor(pend.Head.Handle), pend.Entry.ID, pend.Draft.Number, "desk"); err != nil {
		return res, err
	}
	return res, out.Commit()
}

// CodeNoReview refuses a head without a key what only his key could open.
const CodeNoReview = "desk.no_review"

func (d *Desk) reviewPacket(ctx context.Context, p Pending) ([]byte, error) {
	packet, err := d.Book.ReviewPacket(ctx, p.Entry.ID)
	if coded(err) == "agenda.not_found" {
		err = &Error{code: CodeNoReview, Entry: p.Entry.Name, Field: p.Head.Handle}
	}
	return packet, err
}

// openOwn opens a kriptogram of ours with a sidecar and sees that the
// plaintext is the one that the content record names.
func (d *Desk) openOwn(ctx context.Context, w io.Writer, e agenda.Entry, key *crypto.Key, packet []byte) (*crypto.Opened, error) {
	f, err := d.Vault.Open(e.Drafted.Kriptogram.SHA256)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	opened, err := crypto.Open(ctx, w, f, crypto.OpenParams{Key: key, Sidecar: packet, Now: d.Now()})
	if err != nil {
		return nil, err
	}
	content, err := signedtext.ParseContent([]byte(e.Drafted.Content))
	if err != nil || content.Text != opened.SHA256 || content.Sum() != e.Drafted.Isi {
		return nil, refuseEntry(CodeDamaged, e.Name)
	}
	return opened, nil
}

// readPlace is the file for a plaintext: the one asked for, or one on the
// session's RAM disk.
func readPlace(out string, n agenda.Name) (string, error) {
	if out != "" {
		return out, nil
	}
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" || !vault.InRAM(dir) {
		return "", refuseEntry(CodeNotRAM, n)
	}
	return filepath.Join(dir, strings.ReplaceAll(n.Long(), "/", "-")+".naskah"), nil
}

// Request writes the folder that the head signs from on another machine.
func (d *Desk) Request(ctx context.Context, name agenda.Name, dir string) (Pending, error) {
	p, err := d.Pending(ctx, name)
	if err != nil {
		return p, err
	}
	paraf, err := d.Book.Object(ctx, p.Entry.Drafted.Paraf.SHA256)
	if err != nil {
		return p, err
	}
	packet, err := d.reviewPacket(ctx, p)
	if err != nil {
		return p, err
	}
	if err := newFolder(dir); err != nil {
		return p, err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{
		{signedtext.DraftFile, p.text},
		{signedtext.ParafFile, paraf.Data},
		{reviewFile, packet},
		{"BACA.txt", []byte(requestNote)},
	} {
		if err := vault.CreateFile(filepath.Join(dir, f.name), f.data, 0o600); err != nil {
			return p, err
		}
	}
	return p, d.exportObject(p.Entry.Drafted.Kriptogram.SHA256, filepath.Join(dir, signedtext.KriptogramFile))
}

const reviewFile = "kasi.pkesk"

// requestNote is what the head types on a machine that has only gpg.
const requestNote = `Permintaan tanda tangan kriptogram.

Periksa berkas:
  sha256sum -c kriptogram.txt
Baca naskah (kunci Kepala Seksi):
  cat kasi.pkesk kriptogram.pgp | gpg -d > naskah
Tanda tangani draf:
  gpg --textmode --armor --detach-sign kriptogram.txt

Kembalikan berkas kriptogram.txt.asc kepada Sandiman:
  sandi sign NAMA --attach kriptogram.txt.asc
`

// exportObject copies an object of the vault to a file outside.
func (d *Desk) exportObject(sum agenda.Hash, path string) error {
	f, err := d.Vault.Open(sum)
	if err != nil {
		return err
	}
	defer f.Close()
	out, err := vault.NewOutput(path, false)
	if err != nil {
		return err
	}
	defer out.Abort()
	if _, err := io.Copy(out, f); err != nil {
		return err
	}
	return out.Commit()
}

// Waiting lists the drafts that wait for the head of section, oldest first.
func (d *Desk) Waiting(ctx context.Context) ([]agenda.Entry, error) {
	return d.Book.List(ctx, agenda.Filter{Book: agenda.Kriptogram, States: []agenda.State{agenda.StateDrafted}})
}

// signatureOf loads and verifies the signature of a signed draft; in wet mode
// there is none to load.
func (d *Desk) signatureOf(ctx context.Context, s dossier) ([]byte, error) {
	rec := s.entry.Signed
	if rec == nil || rec.Manifest != s.entry.Drafted.Manifest {
		return nil, refuseEntry(CodeNotSigned, s.entry.Name)
	}
	if rec.Mode == "wet" {
		if !s.draft.Wet() {
			return nil, &Error{code: CodeStale, Entry: s.entry.Name, Detail: "mode"}
		}
		return nil, nil
	}
	sig := rec.Signature.Data
	cert, err := d.fitCertificate(ctx, s.entry.Name, s.head)
	if err != nil {
		return nil, err
	}
	// A signature from outside may be of the kind 0x00; what was accepted
	// when it was attached is accepted again.
	if _, err := crypto.VerifyForeign(s.text, sig, cert, d.Now()); err != nil {
		return nil, &Error{code: CodeSignature, Entry: s.entry.Name, Field: s.head.Handle, Detail: "ttd", Err: err}
	}
	return sig, nil
}
