package desk

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sandi/agenda"
	"sandi/cmd/internal/config"
	"sandi/cmd/internal/signedtext"
	"sandi/crypto"
	"sandi/mail"
	"sandi/mail/loopback"
)

// reader is an office with its own desk that sends nothing.
func (f *office) reader() *office {
	f.t.Helper()
	return officeAt(f.t, f.now, config.Gateway{Address: "127.0.0.1:1", TLS: "starttls"})
}

// pinned enters a correspondent with the officers who may sign there, and
// confirms it when wanted.
func (f *office) pinned(handle string, confirmed bool, signers ...SignerFile) {
	f.t.Helper()
	_, cert := f.stranger(handle)
	_, _, err := f.AddCorrespondent(f.t.Context(), CorrespondentParams{
		Handle: handle, Unit: "Unit " + handle, Address: handle + "@contoh.sanapati.test",
		Certificate: f.file(handle+".asc", cert.Armor()), Signers: signers,
	})
	f.check(err)
	if confirmed {
		f.hear(handle)
	}
}

// hear confirms a correspondent with all its signers, as after a telephone
// call in which each fingerprint was read.
func (f *office) hear(handle string) {
	f.t.Helper()
	c, err := f.Book.Correspondent(f.t.Context(), handle)
	f.check(err)
	var read []string
	if c.Fingerprint != "" {
		read = append(read, c.Fingerprint)
	}
	for _, s := range c.Signers {
		read = append(read, s.Fingerprint)
	}
	f.check(f.ConfirmCorrespondent(f.t.Context(), handle, strings.Join(read, ","), "sandiman tujuan", "telepon"))
}

// envelope puts the parts of a kriptogram into a message of its own, with its
// own number, dispatched and signed by the operator of this office.
func (f *office) envelope(p parts) []byte {
	f.t.Helper()
	draft, err := signedtext.ParseDraft(p[signedtext.DraftFile])
	f.check(err)
	operator, err := f.Book.Officer(f.t.Context(), "operator")
	f.check(err)
	key, err := f.unlock(f.t.Context(), operator, agenda.RoleOperator, ForMessage, right)
	f.check(err)
	from, err := mail.ParseAddress("operator@lain.test")
	f.check(err)
	to, err := mail.ParseAddress("jateng@contoh.sanapati.test")
	f.check(err)
	m := mail.Message{From: from, To: to, Subject: "Kiriman persandian", Date: f.now(), MessageID: "00112233445566778899aabbccddeeff@lain.test"}
	block, err := signedtext.Cover{
		Draft: signedtext.Sum(p[signedtext.DraftFile]), Number: "666", At: m.Date,
		From: signedtext.Party{Address: from.String(), Fingerprint: operator.Fingerprint},
		To:   signedtext.Party{Address: to.String(), Fingerprint: draft.Recipients[0].Fingerprint},
		Copy: 1, Of: 1, MessageID: m.MessageID,
	}.Encode()
	f.check(err)
	m.Cover = append(block, "\nLEMBAR PENGANTAR\n"...)
	for _, name := range []string{signedtext.KriptogramFile, signedtext.DraftFile, signedtext.ParafFile, signedtext.SignatureFile} {
		m.Parts = append(m.Parts, bytesPart(name, "application/octet-stream", p[name]))
	}
	var b bytes.Buffer
	sign, err := crypto.NewTextSigner(key, m.Date)
	f.check(err)
	f.check(mail.Compose(&b, m, sign, f.opts.Rand))
	return b.Bytes()
}

// openAt opens a source on the desk of f with the key of jateng.
func (f *office) openAt(key, source string) (Received, error) {
	f.t.Helper()
	return Receive(f.t.Context(), f.Desk, ReceiveParams{
		Source: source, KeyFile: key, Out: filepath.Join(f.t.TempDir(), "naskah"), Secrets: right,
	}, f.options())
}

// The place in the draft that the head signed makes the copy, not the way on
// which it came.
func TestLoosePartsAreTheSameCopy(t *testing.T) {
	t.Parallel()
	f, p, eml := sentParts(t)
	r := f.reader()
	r.pinned("kota", true, f.ourSigners()...)
	for i, source := range []string{f.file("asli.eml", eml), f.folder(p), f.file("asli2.eml", eml)} {
		got, err := r.openAt(f.keys["jateng"], source)
		if err != nil || got.Duplicate != (i > 0) || got.Sender != "Unit kota" {
			t.Errorf("opening %d: duplicate %v, sender %q, %v", i+1, got.Duplicate, got.Sender, err)
		}
	}
}

// Another office takes a kriptogram off the wire and dispatches it with a
// number of its own. Whether the reader knows that office or not, its number
// and its sending do not become the kriptogram's.
func TestEnvelopeOfAnotherOffice(t *testing.T) {
	t.Parallel()
	f, p, _ := sentParts(t)
	other := newOffice(t, loopback.Options{})
	source := f.file("lain.eml", other.envelope(p))
	theirs := []SignerFile{{Role: agenda.RoleOperator, File: other.certificate("operator")}}
	for name, c := range map[string]struct {
		named, pins []SignerFile // by a bundle; of kotab
		sender      string
	}{
		"unknown": {nil, nil, "Unit kotaa"},
		"known":   {nil, theirs, "Unit kotaa"},
		"bundle":  {f.ourSigners(), theirs, ""},
	} {
		r := f.reader()
		if c.named == nil {
			r.pinned("kotaa", true, f.ourSigners()...)
		}
		r.pinned("kotab", true, c.pins...)
		got, err := Receive(t.Context(), r.Desk, ReceiveParams{
			Source: source, Signers: c.named, KeyFile: f.keys["jateng"], Out: filepath.Join(t.TempDir(), "naskah"), Secrets: right,
		}, r.options())
		want := Verdicts{crypto.VerdictGood, crypto.VerdictUnchecked, crypto.VerdictGood}
		if err != nil || got.Verdicts != want || got.Cover != nil || got.Sender != c.sender || !slices.Equal(got.Why, []string{"sender-unknown"}) {
			t.Errorf("%s: verdicts %v, why %v, cover %v, sender %q, %v", name, got.Verdicts, got.Why, got.Cover, got.Sender, err)
		}
	}
}

// Paraf and signature are of one office.
func TestParafAndSignatureOfTwoOffices(t *testing.T) {
	t.Parallel()
	f, p, _ := sentParts(t)
	other := newOffice(t, loopback.Options{})
	draft, err := signedtext.ParseDraft(p[signedtext.DraftFile])
	f.check(err)
	head, err := other.Book.Officer(t.Context(), "kasi")
	f.check(err)
	draft.Signature.Fingerprint = head.Fingerprint
	text, err := draft.Encode()
	f.check(err)
	p[signedtext.DraftFile] = text
	for file, by := range map[string]struct {
		*office
		handle string
		role   agenda.Role
	}{
		signedtext.ParafFile:     {f, "sandiman", agenda.RoleSandiman},
		signedtext.SignatureFile: {other, "kasi", agenda.RoleKepalaSeksi},
	} {
		o, err := by.Book.Officer(t.Context(), by.handle)
		f.check(err)
		key, err := by.unlock(t.Context(), o, by.role, ForSignature, right)
		f.check(err)
		p[file], _, err = crypto.SignText(key, bytes.NewReader(text), f.now())
		f.check(err)
	}
	r := f.reader()
	r.pinned("kotaa", true, f.ourSigners()...)
	r.pinned("kotab", true, other.ourSigners()...)
	got, err := r.openAt(f.keys["jateng"], f.folder(p))
	want := Verdicts{crypto.VerdictUnchecked, crypto.VerdictAbsent, crypto.VerdictUnchecked}
	if coded(err) != CodeNotGood || got.Verdicts != want || !slices.Equal(got.Why, []string{"ttd-unknown"}) {
		t.Errorf("verdicts %v, why %v, %v", got.Verdicts, got.Why, err)
	}
}

// Officers of a correspondent count when somebody heard that it is the office.
func TestOfficersOfAnUnconfirmedCorrespondent(t *testing.T) {
	t.Parallel()
	f, _, eml := sentParts(t)
	source := f.file("asli.eml", eml)
	r := f.reader()
	r.pinned("kota", false, f.ourSigners()...)
	got, err := r.openAt(f.keys["jateng"], source)
	want := Verdicts{crypto.VerdictUnchecked, crypto.VerdictUnchecked, crypto.VerdictUnchecked}
	if coded(err) != CodeNotGood || got.Verdicts != want || !slices.Contains(got.Why, "pin-unconfirmed") {
		t.Errorf("before: verdicts %v, why %v, %v", got.Verdicts, got.Why, err)
	}
	// The key was heard, its officers were not.
	c, err := r.Book.Correspondent(t.Context(), "kota")
	r.check(err)
	r.check(r.ConfirmCorrespondent(t.Context(), "kota", c.Fingerprint, "sandiman kota", "telepon"))
	if got, err = r.openAt(f.keys["jateng"], source); coded(err) != CodeNotGood || got.Verdicts != want {
		t.Errorf("key alone: verdicts %v, why %v, %v", got.Verdicts, got.Why, err)
	}
	r.hear("kota")
	got, err = r.openAt(f.keys["jateng"], source)
	if want := (Verdicts{crypto.VerdictGood, crypto.VerdictGood, crypto.VerdictGood}); err != nil || got.Verdicts != want || len(got.Why) != 0 {
		t.Errorf("after: verdicts %v, why %v, %v", got.Verdicts, got.Why, err)
	}
}

// Somebody edits officers of his own into a confirmed correspondent. They do
// not count, not even after the office's key was compared once more; only their
// own fingerprints, heard from the office, would make them count.
func TestForeignSignerEditedIn(t *testing.T) {
	t.Parallel()
	f, _, eml := sentParts(t) // what the stranger signed and sent
	source := f.file("asli.eml", eml)
	r := f.reader()
	r.pinned("kota", true)
	c, _, err := r.EditCorrespondent(t.Context(), CorrespondentParams{Handle: "kota", Signers: f.ourSigners()}, "pejabat baru")
	r.check(err)
	if c.State != agenda.Confirmed {
		t.Errorf("the key that was heard is %s", c.State)
	}
	refused := func(when string, sending crypto.Verdict) {
		t.Helper()
		got, err := r.openAt(f.keys["jateng"], source)
		want := Verdicts{crypto.VerdictUnchecked, sending, crypto.VerdictUnchecked}
		if coded(err) != CodeNotGood || got.Verdicts != want || !slices.Contains(got.Why, "pin-unconfirmed") {
			t.Errorf("%s: verdicts %v, why %v, %v", when, got.Verdicts, got.Why, err)
		}
		found, err := r.seeKeys(t.Context())
		r.check(err)
		if !slices.Contains(found, Condition{Area: "addressee", Why: "signer", Level: LevelWarn, Name: "kota"}) {
			t.Errorf("%s: doctor %+v", when, found)
		}
	}
	refused("edited in", crypto.VerdictUnchecked)
	r.check(r.ConfirmCorrespondent(t.Context(), "kota", c.Fingerprint, "sandiman kota", "telepon"))
	refused("key compared again", crypto.VerdictUnchecked)
	// Groups of another key among those typed confirm nothing at all.
	signer := c.Signers[0].Fingerprint
	for _, typed := range []string{signer + ",0000 0000 0000 0000", signer + ",", signer[:len(signer)-1], signer[len(signer)-12:]} {
		if err := r.ConfirmCorrespondent(t.Context(), "kota", typed, "sandiman kota", "telepon"); coded(err) != CodeFingerprint {
			t.Errorf("%q: %v", typed, err)
		}
	}
	refused("wrong groups", crypto.VerdictUnchecked)
	// Of the two, the sandiman was heard.
	r.check(r.ConfirmCorrespondent(t.Context(), "kota", signer[len(signer)-16:], "sandiman kota", "telepon"))
	refused("one of two", crypto.VerdictGood)
	r.hear("kota")
	if _, err := r.openAt(f.keys["jateng"], source); err != nil {
		t.Errorf("heard: %v", err)
	}
	r.audited()
}

// An office without a key of its own, from which only letters come.
func TestSignersWithoutCertificate(t *testing.T) {
	t.Parallel()
	f, _, eml := sentParts(t)
	source := f.file("asli.eml", eml)
	r := f.reader()
	_, _, err := r.AddCorrespondent(t.Context(), CorrespondentParams{
		Handle: "kota", Unit: "Unit kota", Address: "kota@contoh.sanapati.test", Signers: f.ourSigners(),
	})
	r.check(err)
	r.hear("kota")
	if _, err := r.openAt(f.keys["jateng"], source); err != nil {
		t.Errorf("heard: %v", err)
	}
	// That says nothing of a key that it gets later.
	_, cert := r.stranger("kota")
	c, _, err := r.EditCorrespondent(t.Context(), CorrespondentParams{Handle: "kota", Certificate: r.file("kota.asc", cert.Armor())}, "kunci")
	r.check(err)
	if c.State != agenda.Unconfirmed {
		t.Errorf("a key that nobody heard is %s", c.State)
	}
	r.audited()
}

// Whether a copy is for us is known by our key only.
func TestSendingIsForOurKey(t *testing.T) {
	t.Parallel()
	f, _, eml := sentParts(t)
	source := f.file("asli.eml", eml)
	third := f.reader()
	for name, c := range map[string]struct {
		desk *Desk
		key  string
		want crypto.Verdict
		why  []string
	}{
		"no_key":             {nil, "", crypto.VerdictUnchecked, []string{"recipient-unchecked"}},
		"our_key":            {nil, f.keys["jateng"], crypto.VerdictGood, nil},
		"key_of_another":     {nil, f.keys["batang"], crypto.VerdictBad, []string{"not-for-us"}},
		"desk_of_a_stranger": {third.Desk, "", crypto.VerdictBad, []string{"not-for-us"}},
	} {
		got, err := Receive(t.Context(), c.desk, ReceiveParams{Source: source, Signers: f.ourSigners(), KeyFile: c.key}, f.options())
		if got.Sending != c.want || !slices.Equal(got.Why, c.why) || (err == nil) != (c.want != crypto.VerdictBad) {
			t.Errorf("%s: verdicts %v, why %v, %v", name, got.Verdicts, got.Why, err)
		}
	}
}

// sentLetter is the message of an ordinary letter to jateng.
func sentLetter(t *testing.T) (*office, []byte) {
	t.Helper()
	f := newOffice(t, loopback.Options{})
	n := f.ordinary("jateng")
	_, err := f.Attach(t.Context(), AttachParams{Name: n, Files: []string{f.file("scan.pdf", plainLetter)}})
	f.check(err)
	f.send(n)
	return f, f.gateway.Messages()[0].Data
}

// An ordinary letter passed on to another desk is not for that desk.
func TestLetterForAnotherDesk(t *testing.T) {
	t.Parallel()
	f, eml := sentLetter(t)
	p := ReceiveParams{Source: f.file("s.eml", eml), Signers: []SignerFile{{Role: agenda.RoleOperator, File: f.certificate("operator")}}}
	for address, want := range map[string]crypto.Verdict{
		"persandian@contoh.sanapati.test": crypto.VerdictBad,
		"jateng@contoh.sanapati.test":     crypto.VerdictGood,
	} {
		f.Config.Gateway.From = address
		got, err := Receive(t.Context(), f.Desk, p, f.options())
		if got.Sending != want || (err == nil) != (want == crypto.VerdictGood) {
			t.Errorf("%s: verdicts %v, why %v, %v", address, got.Verdicts, got.Why, err)
		}
	}
}

// beside puts a part beside the signed entity of a message, as a relay can.
func beside(t *testing.T, eml []byte, part string) []byte {
	t.Helper()
	at := bytes.Index(eml, []byte("Content-Type: multipart/signed"))
	if at < 0 {
		t.Fatal("the message is not signed")
	}
	return slices.Concat(eml[:at], []byte("Content-Type: multipart/mixed; boundary=\"X\"\r\n\r\n--X\r\n"+part+"\r\n--X\r\n"), eml[at:], []byte("\r\n--X--\r\n"))
}

// What somebody may put beside a signed message, and what is told of it.
var besides = map[string]struct {
	part string
	why  []string
}{
	"file":   {"Content-Type: application/pdf; name=\"S1-2026-2.pdf\"\r\nContent-Disposition: attachment; filename=\"S1-2026-2.pdf\"\r\n\r\n%PDF-palsu", []string{"extra-part"}},
	"page":   {"Content-Type: text/html; name=\"Lampiran.html\"\r\nContent-Disposition: attachment; filename=\"Lampiran.html\"\r\n\r\n<p>palsu</p>", []string{"extra-part"}},
	"footer": {"Content-Type: text/plain\r\n\r\nDiperiksa oleh gerbang.", nil},
}

// A file that somebody put beside the signed letter is told; the signed one
// stays good.
func TestFileBesideTheSignedLetter(t *testing.T) {
	t.Parallel()
	f, eml := sentLetter(t)
	for name, c := range besides {
		source := f.file(name+".eml", beside(t, eml, c.part))
		got, err := Receive(t.Context(), nil, ReceiveParams{Source: source, Signers: []SignerFile{{Role: agenda.RoleOperator, File: f.certificate("operator")}}}, f.options())
		if err != nil || got.Sending != crypto.VerdictGood || !slices.Equal(got.Why, c.why) || !slices.Equal(got.Scans, []string{"S1-2026.pdf"}) {
			t.Errorf("%s: verdicts %v, why %v, scans %v, %v", name, got.Verdicts, got.Why, got.Scans, err)
		}
	}
}

// So is one beside a kriptogram: three good verdicts say nothing of it.
func TestFileBesideTheSignedKriptogram(t *testing.T) {
	t.Parallel()
	f, _, eml := sentParts(t)
	for name, c := range besides {
		got, err := f.receive(f.file(name+".eml", beside(t, eml, c.part)), f.ourSigners())
		want := Verdicts{crypto.VerdictGood, crypto.VerdictGood, crypto.VerdictGood}
		if err != nil || got.Verdicts != want || !slices.Equal(got.Why, c.why) {
			t.Errorf("%s: verdicts %v, why %v, %v", name, got.Verdicts, got.Why, err)
		}
	}
}
