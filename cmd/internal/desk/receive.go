package desk

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/signedtext"
	"sandi/cmd/internal/vault"
	"sandi/crypto"
	"sandi/mail"
)

// ReceiveParams say what is to be verified or opened.
type ReceiveParams struct {
	// Source is a message (.eml), or a folder with the loose parts of one.
	Source string
	// Signers are the certificates of the sender's officers. On a desk those
	// pinned for its correspondents count as well. Keys inside a message
	// never do.
	Signers []SignerFile
	// KeyFile is our private key; "" = that of the acting sandiman.
	KeyFile string
	// Out is where the plaintext goes; "" = verify only.
	Out        string
	Force      bool
	Unverified bool // open foreign mail although nothing vouches for it
	Secrets    Secrets
}

// Verdicts are never summed up into one.
type Verdicts struct {
	Kriptogram crypto.Verdict // signature, paraf and digest, by pinned officers in their roles
	Sending    crypto.Verdict // outer signature, sender, recipient, Message-ID
	Content    crypto.Verdict // plaintext, inner signature, intended recipient
}

// String is how the book records them.
func (v Verdicts) String() string {
	return "kriptogram " + string(v.Kriptogram) + ", pengiriman " + string(v.Sending) + ", isi " + string(v.Content)
}

// Received is what was found in a message.
type Received struct {
	Verdicts
	Why       []string // stable words for what was not good, for the screen to translate
	Letter    bool     // an ordinary letter, not a kriptogram
	Draft     *signedtext.Draft
	Cover     *signedtext.Cover
	Dispatch  *signedtext.LetterCover
	Sender    string // unit of the correspondent, "" without a desk
	Class     agenda.Class
	Urgency   agenda.Urgency
	FileName  string // as the sender named it; never used as a path
	Size      int64
	Out       string
	Zip       bool
	Duplicate bool // this draft and copy were opened here before
	Unknown   []Unknown
	NoDesk    bool // number and duplicates could not be checked
	Scans     []string
}

// Unknown is a fingerprint that signs in a role and is pinned nowhere.
type Unknown struct {
	Role        agenda.Role
	Fingerprint string
}

// receiver verifies one message.
type receiver struct {
	d     *Desk // nil: without any desk
	now   time.Time
	p     ReceiveParams
	res   Received
	src   *source
	pins  []pin
	text  []byte // kriptogram.txt
	ours  crypto.Fingerprint
	clerk *crypto.Certificate // who initialled, when pinned
	from  string              // correspondent whose officers initialled or signed, "" when not of the desk
	apart bool                // they are known by a flag only: no correspondent's officers are of their office

	unheard []string // fingerprints of officers whose correspondent is not confirmed
}

// pin is a certificate that may sign in a role for a correspondent.
type pin struct {
	role agenda.Role
	from string // handle of the correspondent; "" = named by a flag
	unit string
	cert *crypto.Certificate
}

// source gives the parts of a message, from the message or from a folder.
type source struct {
	parsed *mail.Parsed // nil: loose parts
	open   func(name string) (io.ReadCloser, error)
	names  []string
	close  func() error
}

// Receive verifies a message and, when p.Out is set, opens it. The plaintext
// gets a name only when every required verdict is good. d may be nil.
//
// When a required verdict is not good the result is returned together with
// an error of code desk.not_good.
func Receive(ctx context.Context, d *Desk, p ReceiveParams, o Options) (Received, error) {
	r := &receiver{d: d, p: p}
	if o.Now == nil {
		o.Now = time.Now
	}
	r.now = o.Now()
	r.res.Verdicts = Verdicts{crypto.VerdictUnchecked, crypto.VerdictUnchecked, crypto.VerdictUnchecked}
	r.res.NoDesk = d == nil
	var err error
	if r.src, err = openSource(p.Source); err != nil {
		return r.res, err
	}
	defer r.src.close()
	if err := r.loadPins(ctx); err != nil {
		return r.res, err
	}
	var key *crypto.Key
	if key, err = r.ourKey(ctx); err != nil {
		return r.res, err
	}
	if key != nil {
		r.ours = key.Certificate().Fingerprint()
	}
	if letter, any := signedtext.IsLetterCover(r.cover()); any && letter {
		return r.res, r.letter()
	}
	if err := r.kriptogram(); err != nil {
		return r.res, err
	}
	r.sending()
	if p.Out == "" {
		return r.res, r.sum(false)
	}
	return r.res, r.open(ctx, key)
}

func openSource(path string) (*source, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, &Error{code: CodeFile, Field: path, Err: err}
	}
	if st.IsDir() {
		return looseSource(path)
	}
	if !st.Mode().IsRegular() {
		return nil, &Error{code: CodeFile, Field: path}
	}
	if st.Size() == 0 {
		return nil, &Error{code: CodeEmptyFile, Field: path}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &Error{code: CodeFile, Field: path, Err: err}
	}
	m, err := mail.Parse(f, st.Size())
	if err != nil {
		f.Close()
		return nil, err
	}
	s := &source{parsed: m, close: f.Close, open: func(name string) (io.ReadCloser, error) {
		part := m.Part(name)
		if part == nil {
			return nil, os.ErrNotExist
		}
		return io.NopCloser(part.Open()), nil
	}}
	for i := range m.Parts {
		s.names = append(s.names, m.Parts[i].Name)
	}
	return s, nil
}

func looseSource(dir string) (*source, error) {
	s := &source{close: func() error { return nil }, open: func(name string) (io.ReadCloser, error) {
		path := filepath.Join(dir, name)
		if err := regular(path); err != nil {
			return nil, err
		}
		return os.Open(path)
	}}
	for _, n := range []string{signedtext.KriptogramFile, signedtext.DraftFile, signedtext.ParafFile, signedtext.SignatureFile} {
		if _, err := os.Stat(filepath.Join(dir, n)); err == nil {
			s.names = append(s.names, n)
		}
	}
	if len(s.names) == 0 {
		return nil, &Error{code: CodeFile, Field: dir}
	}
	return s, nil
}

func (s *source) small(name string) []byte {
	f, err := s.open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTextFile+1))
	if err != nil || len(data) > maxTextFile {
		return nil
	}
	return data
}

func (r *receiver) cover() []byte {
	if r.src.parsed == nil {
		return nil
	}
	return r.src.parsed.Cover
}

// loadPins collects who may sign: the desk first, which knows of which office
// somebody is, then the flags.
func (r *receiver) loadPins(ctx context.Context) error {
	if r.d != nil {
		if err := r.loadKnown(ctx); err != nil {
			return err
		}
	}
	for _, s := range r.p.Signers {
		cert, err := s.certificate()
		if err != nil {
			return err
		}
		r.pins = append(r.pins, pin{role: s.Role, cert: cert})
	}
	if r.d == nil {
		return nil
	}
	kept, err := r.d.keptCertificates(ctx)
	if err != nil {
		return err
	}
	// A revocation that the book has seen once stays, whoever names the key.
	for i := range r.pins {
		p := &r.pins[i]
		if p.cert, err = kept.merge(p.cert); err != nil {
			return err
		}
	}
	return nil
}

// loadKnown collects who may sign at the correspondents of the desk.
func (r *receiver) loadKnown(ctx context.Context) error {
	all, err := r.d.Book.Correspondents(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.Ended {
			continue
		}
		for _, s := range c.Signers {
			if !s.Heard {
				// Nobody has heard yet that this is an officer of that office: he
				// is pinned like its key, by voice.
				r.unheard = append(r.unheard, s.Fingerprint)
				continue
			}
			cert, err := r.d.CertificateOf(ctx, s.Certificate.SHA256)
			if err != nil {
				return err
			}
			r.pins = append(r.pins, pin{role: s.Role, from: c.Handle, unit: c.Unit, cert: cert})
		}
	}
	return nil
}

func (r *receiver) pinned(fingerprint string, roles ...agenda.Role) *pin {
	for i := range r.pins {
		p := &r.pins[i]
		for _, role := range roles {
			// Paraf, signature and envelope of one letter are of one office.
			other := p.from != "" && (r.apart || r.from != "" && p.from != r.from)
			if p.role == role && !other && string(p.cert.Fingerprint()) == fingerprint {
				return p
			}
		}
	}
	if slices.Contains(r.unheard, fingerprint) {
		r.why("pin-unconfirmed")
	}
	if fingerprint != "" {
		r.res.Unknown = append(r.res.Unknown, Unknown{roles[0], fingerprint})
	}
	return nil
}

// ourKey reads the key that opens, still locked; nil when only verifying
// without a desk.
func (r *receiver) ourKey(ctx context.Context) (*crypto.Key, error) {
	if r.p.KeyFile != "" {
		data, err := readLimited(r.p.KeyFile, maxKeyFile)
		if err != nil {
			return nil, &Error{code: CodeFile, Field: r.p.KeyFile, Err: err}
		}
		defer clear(data)
		return crypto.ParseKey(data)
	}
	if r.d == nil {
		if r.p.Out != "" {
			return nil, &Error{code: CodeNoKey, Field: "--key"}
		}
		return nil, nil
	}
	o, err := r.d.Acting(ctx, agenda.RoleSandiman)
	if err != nil {
		if r.p.Out == "" {
			return nil, nil
		}
		return nil, err
	}
	return r.d.keyOf(o)
}

func (r *receiver) why(word string) {
	if !slices.Contains(r.res.Why, word) {
		r.res.Why = append(r.res.Why, word)
	}
}

// kriptogram judges the draft, its signatures and the file that it names.
func (r *receiver) kriptogram() error {
	bad := func(word string) error {
		r.why(word)
		r.res.Verdicts.Kriptogram = crypto.VerdictBad
		return nil
	}
	r.text = r.src.small(signedtext.DraftFile)
	if r.text == nil {
		r.why("no-draft")
		r.res.Verdicts.Kriptogram = crypto.VerdictAbsent
		return nil
	}
	// A mail client may have saved the text with other line ends; the
	// signature is over the text, its digest over the LF form.
	r.text = bytes.ReplaceAll(r.text, []byte("\r\n"), []byte("\n"))
	draft, err := signedtext.ParseDraft(r.text)
	if err != nil {
		return bad("draft-form")
	}
	r.res.Draft = &draft
	f, err := r.src.open(signedtext.KriptogramFile)
	if err != nil {
		return bad("no-kriptogram")
	}
	defer f.Close()
	sum, n, err := digestSize(f)
	if err != nil && coded(err) != mail.CodeParse {
		return &Error{code: CodeFile, Field: r.p.Source, Err: err}
	}
	if err != nil || sum != draft.Kriptogram || n != draft.Size {
		return bad("digest")
	}
	if draft.Paraf.Fingerprint == draft.Signature.Fingerprint {
		return bad("one-person")
	}
	paraf := r.judge("paraf", draft.Paraf.Fingerprint, signedtext.ParafFile, agenda.RoleSandiman)
	if p := r.pinnedQuiet(draft.Paraf.Fingerprint, agenda.RoleSandiman); p != nil {
		r.clerk, r.from, r.res.Sender = p.cert, p.from, p.unit
		defer func() { r.apart = r.from == "" }()
	}
	if draft.Wet() {
		r.why("wet")
		if paraf == crypto.VerdictGood && r.d != nil && r.d.Config.Profile.Wet == "accept" {
			r.res.Verdicts.Kriptogram = crypto.VerdictGood
		} else if paraf == crypto.VerdictBad {
			r.res.Verdicts.Kriptogram = crypto.VerdictBad
		}
		return nil
	}
	ttd := r.judge("ttd", draft.Signature.Fingerprint, signedtext.SignatureFile, agenda.RoleKepalaSeksi)
	r.res.Verdicts.Kriptogram = worst(paraf, ttd)
	if p := r.pinnedQuiet(draft.Signature.Fingerprint, agenda.RoleKepalaSeksi); p != nil && ttd == crypto.VerdictGood && r.from == "" {
		r.from, r.res.Sender = p.from, cmp.Or(r.res.Sender, p.unit)
	}
	return nil
}

func (r *receiver) pinnedQuiet(fingerprint string, roles ...agenda.Role) *pin {
	known := len(r.res.Unknown)
	p := r.pinned(fingerprint, roles...)
	r.res.Unknown = r.res.Unknown[:known]
	return p
}

// judge verifies one signature over the draft.
func (r *receiver) judge(what, fingerprint, file string, role agenda.Role) crypto.Verdict {
	p := r.pinned(fingerprint, role)
	if p == nil {
		r.why(what + "-unknown")
		return crypto.VerdictUnchecked
	}
	sig := r.src.small(file)
	if sig == nil {
		r.why(what + "-missing")
		return crypto.VerdictBad
	}
	if f := p.cert.Facts(r.now); f.Revoked {
		r.why(what + "-revoked")
		return crypto.VerdictBad
	}
	verify := crypto.VerifyForeign
	if role == agenda.RoleSandiman {
		// The sandiman also signs, as octets, whatever is handed in as a letter,
		// inside the encryption. His paraf is never of that kind.
		verify = func(text, sig []byte, by *crypto.Certificate, at time.Time) (crypto.Signature, error) {
			return crypto.VerifyText(bytes.NewReader(text), sig, by, at)
		}
	}
	if _, err := verify(r.text, sig, p.cert, r.now); err != nil {
		r.why(what + "-bad")
		return crypto.VerdictBad
	}
	return crypto.VerdictGood
}

// worst of two verdicts: bad before unchecked before good.
func worst(a, b crypto.Verdict) crypto.Verdict {
	switch {
	case a == crypto.VerdictBad || b == crypto.VerdictBad:
		return crypto.VerdictBad
	case a == crypto.VerdictGood && b == crypto.VerdictGood:
		return crypto.VerdictGood
	}
	return crypto.VerdictUnchecked
}

// sending judges the message around the draft: who dispatched it, to whom.
func (r *receiver) sending() {
	v := &r.res.Verdicts.Sending
	m := r.src.parsed
	if m == nil || !m.Signed {
		*v = crypto.VerdictAbsent
		return
	}
	bad := func(word string) {
		r.why(word)
		*v = crypto.VerdictBad
	}
	c, err := signedtext.ParseCover(m.Cover)
	if err != nil {
		bad("cover-form")
		return
	}
	if v2 := r.outer(c.From.Fingerprint); v2 != crypto.VerdictGood {
		*v = v2
		return
	}
	// Only now: number, copy and time of a stranger's cover say nothing.
	r.res.Cover = &c
	r.unsigned()
	switch {
	case !r.headersFit(c.From.Address, c.To.Address, c.MessageID):
		bad("headers")
	case c.Draft != signedtext.Sum(r.text):
		bad("cover-draft")
	case r.res.Draft == nil || c.Of != len(r.res.Draft.Recipients) || c.Copy > c.Of ||
		r.res.Draft.Recipients[c.Copy-1].Fingerprint != c.To.Fingerprint:
		bad("cover-recipient")
	case r.ours == "":
		r.why("recipient-unchecked")
		*v = crypto.VerdictUnchecked
	case string(r.ours) != c.To.Fingerprint:
		bad("not-for-us")
	default:
		*v = crypto.VerdictGood
	}
}

// outer verifies the signature around the message by a pinned sandiman or
// operator who is the one that the cover names.
func (r *receiver) outer(fingerprint string) crypto.Verdict {
	p := r.pinned(fingerprint, agenda.RoleSandiman, agenda.RoleOperator)
	if p == nil {
		r.why("sender-unknown")
		return crypto.VerdictUnchecked
	}
	r.res.Sender = cmp.Or(r.res.Sender, p.unit)
	m := r.src.parsed
	if p.cert.Facts(r.now).Revoked {
		r.why("sender-revoked")
		return crypto.VerdictBad
	}
	if _, err := crypto.VerifyText(m.SignedText(), m.Signature(), p.cert, r.now); err != nil {
		r.why("outer-bad")
		return crypto.VerdictBad
	}
	return crypto.VerdictGood
}

// headersFit compares the cover with the header copies under the signature.
func (r *receiver) headersFit(from, to, id string) bool {
	h := r.src.parsed.ProtectedHeader
	return r.src.parsed.Protected && h["From"] == from && h["To"] == to && h["Message-ID"] == id
}

// forUs tells whether an ordinary letter is addressed to us, by the key or the
// address of the desk. Without either nobody can say, and it passes.
func (r *receiver) forUs(to signedtext.Party) bool {
	if r.ours != "" && to.Fingerprint == string(r.ours) {
		return true
	}
	if r.d != nil {
		ours, err := mail.ParseAddress(r.d.Config.Gateway.From)
		return err == nil && ours.String() == to.Address
	}
	return r.ours == "" || to.Fingerprint == ""
}

// letter judges an ordinary letter: it has the one verdict of its sending.
func (r *receiver) letter() error {
	r.res.Letter = true
	v := &r.res.Verdicts.Sending
	m := r.src.parsed
	if !m.Signed {
		*v = crypto.VerdictAbsent
		return r.sum(false)
	}
	c, err := signedtext.ParseLetterCover(m.Cover)
	if err != nil {
		r.why("cover-form")
		*v = crypto.VerdictBad
		return r.sum(false)
	}
	r.res.Dispatch = &c
	if *v = r.outer(c.From.Fingerprint); *v != crypto.VerdictGood {
		return r.sum(false)
	}
	if !r.headersFit(c.From.Address, c.To.Address, c.MessageID) {
		r.why("headers")
		*v = crypto.VerdictBad
	}
	if !r.forUs(c.To) {
		r.why("not-for-us")
		*v = crypto.VerdictBad
	}
	for _, s := range c.Scans {
		r.res.Scans = append(r.res.Scans, s.Name)
		f, err := r.src.open(s.Name)
		if err != nil {
			r.why("no-scan")
			*v = crypto.VerdictBad
			continue
		}
		sum, _, err := digestSize(f)
		f.Close()
		if err != nil && coded(err) != mail.CodeParse {
			return &Error{code: CodeFile, Field: r.p.Source, Err: err}
		}
		if err != nil || sum != s.Sum {
			r.why("digest")
			*v = crypto.VerdictBad
		}
	}
	r.unsigned()
	return r.sum(false)
}

// unsigned tells of files in the message that lie outside of what its signature
// covers. Gateways add footers, which are text without a name; a file that
// nobody signed is somebody's.
func (r *receiver) unsigned() {
	for i := range r.src.parsed.Parts {
		if p := &r.src.parsed.Parts[i]; !p.Signed && (p.Name != "" || !strings.HasPrefix(p.Media, "text/")) {
			r.why("extra-part")
		}
	}
}

// sum says whether what is required is good. opened: the content counts too.
func (r *receiver) sum(opened bool) error {
	v := r.res.Verdicts
	strict := r.d == nil || r.d.Config.Profile.Delivery != "warn"
	good := v.Sending != crypto.VerdictBad || !strict && !r.res.Letter
	if r.res.Letter {
		good = v.Sending == crypto.VerdictGood
	} else {
		good = good && v.Kriptogram == crypto.VerdictGood
	}
	if opened {
		good = good && v.Content == crypto.VerdictGood
	}
	if !good {
		return &Error{code: CodeNotGood, Detail: strings.Join(r.res.Why, " ")}
	}
	return nil
}

// open deciphers into a file without a name and gives it one only when all
// that is required is good.
func (r *receiver) open(ctx context.Context, key *crypto.Key) error {
	before := r.sum(false)
	if before != nil && !r.p.Unverified {
		return before
	}
	use := KeyUse{Title: r.p.KeyFile, Purpose: ForOpen}
	if err := unlockKey(ctx, key, use, r.p.Secrets); err != nil {
		return err
	}
	defer key.Wipe()
	out, err := vault.NewOutput(r.p.Out, r.p.Force)
	if err != nil {
		return err
	}
	defer out.Abort()
	f, err := r.src.open(signedtext.KriptogramFile)
	if err != nil {
		if f, err = r.foreign(); err != nil {
			return before
		}
	}
	defer f.Close()
	params := crypto.OpenParams{Key: key, Now: r.now}
	if r.clerk != nil {
		params.Signers = []*crypto.Certificate{r.clerk}
	}
	opened, err := crypto.Open(ctx, out, f, params)
	if err != nil {
		return err
	}
	r.res.FileName, r.res.Size, r.res.Out = opened.FileName, opened.Size, r.p.Out
	r.res.Zip = opened.FileName == "naskah.zip"
	r.content(opened)
	verdict := r.sum(true)
	if verdict != nil && !r.p.Unverified {
		r.res.Out = ""
		return verdict
	}
	if err := r.record(ctx); err != nil {
		return err
	}
	if err := out.Commit(); err != nil {
		return err
	}
	return verdict
}

// foreign finds the only enciphered part of a message that is not of our
// form.
func (r *receiver) foreign() (io.ReadCloser, error) {
	if r.src.parsed == nil {
		return nil, os.ErrNotExist
	}
	for i := range r.src.parsed.Parts {
		part := &r.src.parsed.Parts[i]
		for _, ext := range []string{".pgp", ".gpg", ".asc"} {
			if strings.HasSuffix(strings.ToLower(part.Name), ext) && part.Media != sigMedia {
				return io.NopCloser(part.Open()), nil
			}
		}
	}
	return nil, os.ErrNotExist
}

// content rebuilds the content record from the plaintext and the notations of
// the inner signature, and compares it with the one under the head's
// signature.
func (r *receiver) content(o *crypto.Opened) {
	v := &r.res.Verdicts.Content
	bad := func(word string) {
		r.why(word)
		*v = crypto.VerdictBad
	}
	if r.res.Draft == nil {
		return
	}
	switch o.Inner.Verdict {
	case crypto.VerdictGood:
	case crypto.VerdictUnchecked:
		r.why("inner-unknown")
		return
	default:
		bad("inner-bad")
		return
	}
	c := signedtext.Content{Text: o.SHA256}
	var count int
	for _, n := range o.Inner.Notations {
		name, _, _ := strings.Cut(n.Name, "@")
		switch name {
		case signedtext.NotationClass:
			c.Class = agenda.Class(n.Value)
		case signedtext.NotationUrgency:
			c.Urgency = agenda.Urgency(n.Value)
		case signedtext.NotationSalt:
			salt, err := agenda.ParseHash(n.Value)
			if err != nil {
				bad("content-record")
				return
			}
			c.Salt = salt
		default:
			continue
		}
		count++
	}
	if count != 3 || c.Class == "" || c.Urgency == "" || c.Sum() != r.res.Draft.Content {
		bad("content-record")
		return
	}
	r.res.Class, r.res.Urgency = c.Class, c.Urgency
	*v = crypto.VerdictGood
}

// record notes the opening in the book of the desk and learns whether the
// same draft and copy were opened before.
func (r *receiver) record(ctx context.Context) error {
	if r.d == nil || r.d.opts.ReadOnly || r.d.opts.Rehearse || r.res.Draft == nil {
		return nil
	}
	o := agenda.OpenedRecord{
		Manifest: signedtext.Sum(r.text), Kriptogram: r.res.Draft.Kriptogram,
		Sender: cmp.Or(r.res.Sender, r.res.Draft.Office), Verdicts: r.res.Verdicts.String(),
	}
	// The copy is our place in the draft that the head signed: loose parts and
	// a strange envelope cannot make the same copy look new.
	for i, to := range r.res.Draft.Recipients {
		if to.Fingerprint == string(r.ours) {
			o.Copy = i + 1
		}
	}
	if r.res.Cover != nil && r.res.Verdicts.Sending == crypto.VerdictGood {
		o.Number = r.res.Cover.Number
	}
	who, err := r.d.ActingOr(ctx, agenda.RoleSandiman)
	if err != nil {
		return err
	}
	r.res.Duplicate, err = r.d.Book.RecordOpened(ctx, who, o)
	return err
}

func digestSize(f io.Reader) (agenda.Hash, int64, error) {
	w := &counter{}
	sum, err := digest(io.TeeReader(f, w))
	return sum, w.n, err
}

type counter struct{ n int64 }

func (c *counter) Write(b []byte) (int, error) {
	c.n += int64(len(b))
	return len(b), nil
}

// OpenOwn opens a kriptogram of this desk with the archive key and the
// sidecar that the book keeps.
func (d *Desk) OpenOwn(ctx context.Context, name agenda.Name, p ReceiveParams) (Received, error) {
	var res Received
	e, err := d.Book.Entry(ctx, name)
	if err != nil {
		return res, err
	}
	if e.Drafted == nil {
		return res, refuseEntry(CodeNotDrafted, name)
	}
	if p.KeyFile == "" {
		return res, &Error{code: CodeNoKey, Entry: name, Field: "--key"}
	}
	data, err := readLimited(p.KeyFile, maxKeyFile)
	if err != nil {
		return res, &Error{code: CodeFile, Field: p.KeyFile, Err: err}
	}
	key, err := crypto.ParseKey(data)
	clear(data)
	if err != nil {
		return res, err
	}
	if err := unlockKey(ctx, key, KeyUse{Title: p.KeyFile, Purpose: ForOpen}, p.Secrets); err != nil {
		return res, err
	}
	defer key.Wipe()
	out, err := vault.NewOutput(p.Out, p.Force)
	if err != nil {
		return res, err
	}
	defer out.Abort()
	opened, err := d.openOwn(ctx, out, e, key, e.Drafted.ArchivePacket)
	if coded(err) == "crypto.not_recipient" {
		if wanted, werr := d.archiveKeyOfPacket(ctx, e.Drafted.ArchivePacket); werr == nil {
			err = &Error{code: CodeArchiveOther, Entry: name, Field: strings.Join(crypto.Fingerprint(wanted.Fingerprint).Groups(), " "), Err: err}
		}
	}
	if err != nil {
		return res, err
	}
	res = Received{
		Verdicts: Verdicts{Kriptogram: crypto.VerdictUnchecked, Sending: crypto.VerdictAbsent, Content: crypto.VerdictGood},
		Class:    e.Letter.Class, Urgency: e.Letter.Urgency, FileName: opened.FileName, Size: opened.Size,
		Out: p.Out, Zip: opened.FileName == "naskah.zip",
	}
	return res, out.Commit()
}
