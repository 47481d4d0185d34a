package desk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/signedtext"
	"sandi/cmd/internal/vault"
	"sandi/mail"
)

// SettleParams close a copy by hand, or open it again.
type SettleParams struct {
	Name agenda.Name
	Copy int // 0: the only copy that can be meant
	// To is what the copy becomes: evidenced, ready, cancelled or handed.
	To       agenda.CopyState
	Reason   string    // who said it, how, when
	At       time.Time // when it was sent or received; zero: not said
	Evidence string    // file of the message from the folder of sent mail
	Secrets  Secrets   // for a decision that the head must take
	// Refused lets ready mean also a copy that the server certainly refused:
	// its message is made anew, for the address that the correspondent has.
	Refused bool
	// Found is told what was found, before the copy is settled; nil tells nobody.
	Found func(Found)
}

// Settle closes a copy in doubt or handed over, by evidence or by decision,
// or takes one out of the queue.
func (d *Desk) Settle(ctx context.Context, p SettleParams) (agenda.Entry, error) {
	lock, err := d.senderLock()
	if err != nil {
		return agenda.Entry{}, err
	}
	defer lock.Unlock()
	found, err := d.begin(ctx, p.Found)
	if err != nil {
		return agenda.Entry{}, err
	}
	e, err := d.Book.Entry(ctx, p.Name)
	if err != nil {
		return e, err
	}
	c, err := settled(e, p)
	if err != nil {
		return e, err
	}
	// Who decided did not know that the book is an older one.
	if p.To == agenda.CopyReady && found.stopped() && slices.Contains(found.Doubted, agenda.CopyRef{Entry: e.ID, Copy: c.Copy}) {
		return e, refuseEntry(CodeDoubt, e.Name)
	}
	if p.Refused && c.State == agenda.CopyRejected {
		return d.readdress(ctx, e, c, p.Reason, p.Secrets)
	}
	who, err := d.decides(ctx, e, c, p)
	if err != nil {
		return e, err
	}
	r := agenda.Resolution{To: p.To, Reason: p.Reason, At: p.At, Basis: "claim", Reported: d.reportedToAll}
	if c.State == agenda.CopyHanded || p.To == agenda.CopyHanded {
		r.Route = "manual"
	}
	if p.Evidence != "" {
		if err := d.sameMessage(c, p.Evidence); err != nil {
			return e, &Error{code: CodeEvidence, Entry: e.Name, Field: p.Evidence, Err: err}
		}
		if r.Evidence, err = d.keepFile(p.Evidence, mailMedia); err != nil {
			return e, err
		}
		r.Basis = "file"
	}
	// Clerks write times without seconds.
	if p.To == agenda.CopyEvidenced && !p.At.IsZero() && p.At.Before(e.ReleasedAt.Truncate(time.Minute)) {
		return e, &Error{code: CodeSentBefore, Entry: e.Name}
	}
	return d.Book.Resolve(ctx, who, agenda.CopyRef{Entry: e.ID, Copy: c.Copy}, r)
}

// settled finds the copy that is meant: the named one, or the only one in a
// state that the wanted one can follow.
func settled(e agenda.Entry, p SettleParams) (agenda.Copy, error) {
	if p.Copy != 0 {
		return copyOf(e, p.Copy)
	}
	var fit []agenda.Copy
	for _, c := range e.Copies {
		open := c.State == agenda.CopyDoubt || c.State == agenda.CopyHanded
		if p.To == agenda.CopyCancelled || p.To == agenda.CopyHanded {
			open = open || c.State == agenda.CopyReady || c.State == agenda.CopyDeferred || c.State == agenda.CopyRejected
		}
		if open {
			fit = append(fit, c)
		}
	}
	if p.Refused && len(fit) == 0 {
		for _, c := range e.Copies {
			if c.State == agenda.CopyRejected {
				fit = append(fit, c)
			}
		}
	}
	if len(fit) == 1 {
		return fit[0], nil
	}
	if len(fit) == 0 {
		return agenda.Copy{}, refuseEntry(CodeNotInDoubt, e.Name)
	}
	return agenda.Copy{}, &Error{code: CodeNothing, Entry: e.Name, Field: "--copy"}
}

// decides is who answers for the decision. Sending a classified letter again
// out of doubt may double a kriptogram, so from rahasia up the head of
// section decides, with his passphrase.
func (d *Desk) decides(ctx context.Context, e agenda.Entry, c agenda.Copy, p SettleParams) (agenda.Actor, error) {
	again := c.State == agenda.CopyDoubt && p.To == agenda.CopyReady
	if !again || e.Letter.Class == agenda.ClassBiasa || e.Letter.Class == agenda.ClassTerbatas {
		return d.ActingOr(ctx, clerks(e.Name.Book)...)
	}
	head, err := d.holder(ctx, agenda.RoleKepalaSeksi)
	if err != nil {
		return agenda.Actor{}, err
	}
	if head.Fingerprint != "" {
		if _, err := d.unlock(ctx, head, agenda.RoleKepalaSeksi, ForResend, p.Secrets); err != nil {
			return agenda.Actor{}, err
		}
	}
	return d.actor(head.Handle), nil
}

// Causes of CodeEvidence.
var (
	ErrOtherAddressee = errors.New("message to another address")
	ErrOtherParts     = errors.New("file does not hold the parts of the frozen message")
)

// sameMessage compares a message from the folder of sent mail with the frozen
// one: the same octets but for line ends, or every part the same.
func (d *Desk) sameMessage(c agenda.Copy, path string) error {
	if err := regular(path); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	got, err := mail.Parse(f, st.Size())
	if err != nil {
		return err
	}
	frozen, err := d.Vault.Open(c.Message)
	if err != nil {
		return err
	}
	defer frozen.Close()
	want, err := mail.Parse(frozen, c.Size)
	if err != nil {
		return err
	}
	// All copies of an entry carry the same parts: only the addressee tells
	// which of them this message was. Mail programs write addresses in other
	// letters than were typed.
	if !strings.EqualFold(got.To, want.To) {
		return ErrOtherAddressee
	}
	if len(want.Parts) == 0 {
		return ErrOtherParts
	}
	for i := range want.Parts {
		w := &want.Parts[i]
		g := got.Part(w.Name)
		if g == nil {
			return ErrOtherParts
		}
		given, err := digest(g.Open())
		if err != nil {
			return err
		}
		kept, err := digest(w.Open())
		if err != nil {
			return err
		}
		if given != kept {
			return ErrOtherParts
		}
	}
	return nil
}

func digest(r io.Reader) (agenda.Hash, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return agenda.Hash{}, err
	}
	return agenda.Hash(h.Sum(nil)), nil
}

// ManualParams hand copies over to the clerk for the webmail.
type ManualParams struct {
	Name    agenda.Name
	Dir     string
	Secrets Secrets
	Confirm func(Plan) error
	Found   func(Found) // as in [SettleParams]
}

// Manual writes every open copy of an entry into a folder: the message as it
// is, its loose parts, the text to paste and an instruction sheet. The copies
// leave the automatic queue. An entry not yet released is numbered first.
func (d *Desk) Manual(ctx context.Context, p ManualParams) (agenda.Entry, []string, error) {
	lock, err := d.senderLock()
	if err != nil {
		return agenda.Entry{}, nil, err
	}
	defer lock.Unlock()
	if _, err := d.begin(ctx, p.Found); err != nil {
		return agenda.Entry{}, nil, err
	}
	e, err := d.Book.Entry(ctx, p.Name)
	if err != nil {
		return e, nil, err
	}
	if err := newFolder(p.Dir); err != nil {
		return e, nil, err
	}
	// Only an empty one goes: then nothing was handed over.
	defer os.Remove(p.Dir)
	if e.State != agenda.StateReleased {
		var res SendResult
		job := sending{d: d, p: SendParams{Names: []agenda.Name{p.Name}, Secrets: p.Secrets}, res: &res}
		if err := job.plan(ctx); err != nil {
			return e, nil, err
		}
		if len(job.release) == 0 {
			return e, nil, &Error{code: CodeState, Entry: e.Name, Detail: string(e.State)}
		}
		if p.Confirm != nil {
			if err := p.Confirm(res.Plan); err != nil {
				return e, nil, err
			}
		}
		if err := d.unlockSender(ctx, &job.release[0], p.Secrets); err != nil {
			return e, nil, err
		}
		if e, err = d.release(ctx, job.release[0], d.Config.Gateway.MaxSize); err != nil {
			return e, nil, err
		}
	}
	if err := d.noneHeld(ctx, e); err != nil {
		return e, nil, err
	}
	who, err := d.ActingOr(ctx, clerks(e.Name.Book)...)
	if err != nil {
		return e, nil, err
	}
	var folders []string
	for _, c := range e.Copies {
		switch c.State {
		case agenda.CopyReady, agenda.CopyDeferred, agenda.CopyRejected, agenda.CopyHanded:
		default:
			continue
		}
		folder := filepath.Join(p.Dir, strings.ReplaceAll(e.Name.Long(), "/", "-")+"-salinan-"+itoa(c.Copy))
		// The files come before the state: a crash between leaves a folder
		// more, never a copy that is said to be handed over and is not there.
		if err := d.writeManual(ctx, folder, e, c); err != nil {
			return e, folders, err
		}
		folders = append(folders, folder)
		if c.State != agenda.CopyHanded {
			r := agenda.Resolution{To: agenda.CopyHanded, Route: "manual", Reason: "manual"}
			if e, err = d.Book.Resolve(ctx, who, agenda.CopyRef{Entry: e.ID, Copy: c.Copy}, r); err != nil {
				return e, folders, err
			}
		}
	}
	if len(folders) == 0 { // all are settled, or in doubt
		return e, nil, &Error{code: CodeState, Entry: e.Name, Detail: string(e.State)}
	}
	return e, folders, nil
}

func (d *Desk) writeManual(ctx context.Context, folder string, e agenda.Entry, c agenda.Copy) error {
	// What leaves by hand passes no check on its way.
	if err := d.Vault.Check(ctx, c.Message, c.Size); err != nil {
		return &Error{code: CodeDamaged, Entry: e.Name, Err: err}
	}
	if err := newFolder(folder); err != nil {
		return err
	}
	if err := d.exportObject(c.Message, filepath.Join(folder, "pesan.eml")); err != nil {
		return err
	}
	f, err := d.Vault.Open(c.Message)
	if err != nil {
		return err
	}
	defer f.Close()
	m, err := mail.Parse(f, c.Size)
	if err != nil {
		return err
	}
	if err := vault.CreateFile(filepath.Join(folder, "teks.txt"), m.Cover, 0o600); err != nil {
		return err
	}
	var names []string
	for i := range m.Parts {
		if err := copyPart(&m.Parts[i], filepath.Join(folder, m.Parts[i].Name)); err != nil {
			return err
		}
		names = append(names, m.Parts[i].Name)
	}
	return vault.CreateFile(filepath.Join(folder, "PETUNJUK.txt"), manualNote(e, c, m.Subject, names), 0o600)
}

func copyPart(p *mail.ParsedPart, path string) error {
	out, err := vault.NewOutput(path, false)
	if err != nil {
		return err
	}
	defer out.Abort()
	if _, err := io.Copy(out, p.Open()); err != nil {
		return err
	}
	return out.Commit()
}

func manualNote(e agenda.Entry, c agenda.Copy, subject string, names []string) []byte {
	var b bytes.Buffer
	w := func(s string) { b.WriteString(s + "\n") }
	w("PETUNJUK PENGIRIMAN MELALUI WEBMAIL")
	w("")
	w("Nomor agenda : " + e.Name.Long() + ", salinan " + itoa(c.Copy))
	if e.Number != "" {
		w("Nomor kriptogram : " + e.Number)
	}
	w("")
	w("1. Buka webmail Sanapati dan tulis email baru.")
	w("2. Kepada : " + c.Address)
	w("3. Subjek : " + subject)
	w("4. Tempelkan seluruh isi teks.txt sebagai isi email, tanpa diubah.")
	w("5. Lampirkan berkas berikut, dengan nama yang sama:")
	for _, n := range names {
		w("     " + n)
	}
	w("6. Kirim satu kali, lalu simpan email itu dari kotak Terkirim (.eml).")
	w("7. Catat waktu kirim:")
	w("     sandi send " + e.Name.Long() + " --sent --copy " + itoa(c.Copy) + " --at JJ.MM --evidence BERKAS")
	w("")
	w("Bila webmail dapat mengirim berkas .eml tanpa diubah, pesan.eml sudah lengkap.")
	if e.Name.Book == agenda.Kriptogram {
		w("Berkas " + signedtext.KriptogramFile + " sudah disandikan; naskah terang tidak ada di folder ini.")
	}
	return b.Bytes()
}
