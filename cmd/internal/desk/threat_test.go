package desk

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sandi/agenda"
	"sandi/cmd/internal/signedtext"
	"sandi/crypto"
	"sandi/mail"
	"sandi/mail/loopback"
)

// parts are the loose parts of a sent kriptogram, as a thief on the way has
// them.
type parts map[string][]byte

func (f *office) parts(eml []byte) parts {
	f.t.Helper()
	m, err := mail.Parse(bytes.NewReader(eml), int64(len(eml)))
	f.check(err)
	p := parts{}
	for i := range m.Parts {
		data, err := io.ReadAll(m.Parts[i].Open())
		f.check(err)
		p[m.Parts[i].Name] = data
	}
	return p
}

func (f *office) folder(p parts) string {
	f.t.Helper()
	dir := f.t.TempDir()
	for name, data := range p {
		f.check(os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	return dir
}

func (f *office) ourSigners() []SignerFile {
	return []SignerFile{
		{Role: agenda.RoleSandiman, File: f.certificate("sandiman")},
		{Role: agenda.RoleKepalaSeksi, File: f.certificate("kasi")},
	}
}

// receive opens a source as jateng and returns what was found; nothing may be
// written unless err is nil.
func (f *office) receive(source string, signers []SignerFile) (Received, error) {
	f.t.Helper()
	out := filepath.Join(f.t.TempDir(), "naskah")
	got, err := Receive(f.t.Context(), nil, ReceiveParams{
		Source: source, Signers: signers, KeyFile: f.keys["jateng"], Out: out, Secrets: right,
	}, f.options())
	_, serr := os.Stat(out)
	if (serr == nil) != (err == nil) {
		f.t.Errorf("plaintext there: %v, error: %v", serr == nil, err)
	}
	return got, err
}

func sentParts(t *testing.T) (*office, parts, []byte) {
	t.Helper()
	f := newOffice(t, loopback.Options{})
	f.send(f.signed("jateng"))
	eml := f.gateway.Messages()[0].Data
	return f, f.parts(eml), eml
}

func TestLoosePartsOpen(t *testing.T) {
	t.Parallel()
	f, p, _ := sentParts(t)
	got, err := f.receive(f.folder(p), f.ourSigners())
	want := Verdicts{crypto.VerdictGood, crypto.VerdictAbsent, crypto.VerdictGood}
	if err != nil || got.Verdicts != want {
		t.Errorf("verdicts %v (%v), want %v", got.Verdicts, err, want)
	}
}

func TestTextWithOtherLineEndsOpens(t *testing.T) {
	t.Parallel()
	f, p, _ := sentParts(t)
	p[signedtext.DraftFile] = bytes.ReplaceAll(p[signedtext.DraftFile], []byte("\n"), []byte("\r\n"))
	if got, err := f.receive(f.folder(p), f.ourSigners()); err != nil {
		t.Errorf("verdicts %v: %v", got.Verdicts, err)
	}
}

func TestTamperedPartsAreRefused(t *testing.T) {
	t.Parallel()
	f, p, _ := sentParts(t)
	flip := func(name string, at int) func(parts) {
		return func(p parts) {
			data := bytes.Clone(p[name])
			if at < 0 {
				at += len(data)
			}
			data[at] ^= 1
			p[name] = data
		}
	}
	text := func(old, fresh string) func(parts) {
		return func(p parts) {
			if !bytes.Contains(p[signedtext.DraftFile], []byte(old)) {
				t.Errorf("draft has no %q", old)
			}
			p[signedtext.DraftFile] = bytes.Replace(p[signedtext.DraftFile], []byte(old), []byte(fresh), 1)
		}
	}
	cases := []struct {
		name string
		bend func(parts)
		want crypto.Verdict
	}{
		{"kriptogram_flipped", flip(signedtext.KriptogramFile, -1), crypto.VerdictBad},
		{"kriptogram_with_a_trailing_octet", func(p parts) {
			p[signedtext.KriptogramFile] = append(bytes.Clone(p[signedtext.KriptogramFile]), 0)
		}, crypto.VerdictBad},
		{"key_packet_put_before", func(p parts) {
			p[signedtext.KriptogramFile] = append([]byte{0xc1, 1, 3}, p[signedtext.KriptogramFile]...)
		}, crypto.VerdictBad},
		{"draft_number_changed", text("konsep 1\n", "konsep 2\n"), crypto.VerdictBad},
		{"draft_with_an_extra_line", text("makna ", "catatan sah\nmakna "), crypto.VerdictBad},
		{"draft_with_a_trailing_blank", text("konsep 1\n", "konsep 1 \n"), crypto.VerdictBad},
		{"paraf_offered_as_signature", func(p parts) {
			p[signedtext.SignatureFile] = p[signedtext.ParafFile]
		}, crypto.VerdictBad},
		{"signature_offered_as_paraf", func(p parts) {
			p[signedtext.ParafFile] = p[signedtext.SignatureFile]
		}, crypto.VerdictBad},
		{"no_signature", func(p parts) { delete(p, signedtext.SignatureFile) }, crypto.VerdictBad},
		{"no_kriptogram", func(p parts) { delete(p, signedtext.KriptogramFile) }, crypto.VerdictBad},
		{"no_draft", func(p parts) { delete(p, signedtext.DraftFile) }, crypto.VerdictAbsent},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bent := parts{}
			for k, v := range p {
				bent[k] = v
			}
			c.bend(bent)
			got, err := f.receive(f.folder(bent), f.ourSigners())
			if coded(err) != CodeNotGood || got.Verdicts.Kriptogram != c.want {
				t.Errorf("verdict %q, error %v", got.Verdicts.Kriptogram, err)
			}
		})
	}
}

func TestUnknownSignersAreUnchecked(t *testing.T) {
	t.Parallel()
	f, _, eml := sentParts(t)
	source := f.file("x.eml", eml)
	for name, signers := range map[string][]SignerFile{
		"none":          nil,
		"sandiman_only": f.ourSigners()[:1],
		"head_only":     f.ourSigners()[1:],
		"roles_swapped": {{Role: agenda.RoleKepalaSeksi, File: f.certificate("sandiman")}, {Role: agenda.RoleSandiman, File: f.certificate("kasi")}},
	} {
		got, err := f.receive(source, signers)
		if coded(err) != CodeNotGood || got.Verdicts.Kriptogram != crypto.VerdictUnchecked || len(got.Unknown) == 0 {
			t.Errorf("%s: verdicts %v, unknown %v, error %v", name, got.Verdicts, got.Unknown, err)
		}
	}
}

// A third office takes the kriptogram off the wire and puts its own draft,
// paraf and signature around it. The recipient knows that office too.
func TestResignedByAnotherOffice(t *testing.T) {
	t.Parallel()
	f, p, _ := sentParts(t)
	other := newOffice(t, loopback.Options{})
	draft, err := signedtext.ParseDraft(p[signedtext.DraftFile])
	f.check(err)
	clerk, err := other.Book.Officer(t.Context(), "sandiman")
	f.check(err)
	head, err := other.Book.Officer(t.Context(), "kasi")
	f.check(err)
	draft.Paraf.Fingerprint, draft.Signature.Fingerprint = clerk.Fingerprint, head.Fingerprint
	text, err := draft.Encode()
	f.check(err)
	p[signedtext.DraftFile] = text
	for file, o := range map[string]agenda.Officer{signedtext.ParafFile: clerk, signedtext.SignatureFile: head} {
		role := agenda.RoleSandiman
		if o.Handle == "kasi" {
			role = agenda.RoleKepalaSeksi
		}
		key, err := other.unlock(t.Context(), o, role, ForSignature, right)
		f.check(err)
		p[file], _, err = crypto.SignText(key, bytes.NewReader(text), other.now())
		f.check(err)
	}
	f.now = other.now
	got, err := f.receive(f.folder(p), append(f.ourSigners(), other.ourSigners()...))
	if coded(err) != CodeNotGood || got.Verdicts.Kriptogram != crypto.VerdictGood || got.Verdicts.Content == crypto.VerdictGood {
		t.Errorf("verdicts %v, error %v: the letter must not pass for the other office's", got.Verdicts, err)
	}
}

// A co-recipient who knows the session key puts a packet for a third office
// before the same octets.
func TestForwardedWithAnAddedPacket(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	third, err := crypto.GenerateKey(crypto.GenerateParams{Name: "Ketiga", Passphrase: []byte(right.passphrase), Now: f.now(), Kind: crypto.KindRSA3072, Cost: cheap})
	f.check(err)
	n := f.encrypted("jateng")
	e := f.entry(n)
	_, err = f.Sign(t.Context(), SignParams{Name: n, Secrets: right})
	f.check(err)
	f.send(n)
	p := f.parts(f.gateway.Messages()[0].Data)
	// The archive packet opens the same letter: it stands for any packet that
	// somebody who knows the session key can write.
	p[signedtext.KriptogramFile] = append(bytes.Clone(e.Drafted.ArchivePacket), p[signedtext.KriptogramFile]...)
	got, err := f.receive(f.folder(p), f.ourSigners())
	if coded(err) != CodeNotGood || got.Verdicts.Kriptogram != crypto.VerdictBad {
		t.Errorf("verdicts %v, error %v", got.Verdicts, err)
	}
	f.keys["jateng"] = f.file("ketiga.key", third)
	if _, err := f.receive(f.folder(f.parts(f.gateway.Messages()[0].Data)), f.ourSigners()); coded(err) != "crypto.not_recipient" {
		t.Errorf("third office opens: %v", err)
	}
}

func TestTamperedMessage(t *testing.T) {
	t.Parallel()
	f, _, eml := sentParts(t)
	cases := []struct {
		name, old, fresh string
		want             crypto.Verdict
	}{
		{"added_top_header", "From: ", "X-Gateway: lewat sini\r\nFrom: ", crypto.VerdictGood},
		{"top_subject_changed", "Subject: Kiriman persandian", "Subject: lain", crypto.VerdictGood},
		{"cover_number_changed", "nomor 001", "nomor 002", crypto.VerdictBad},
		{"signed_header_changed", "protected-headers=\"v1\"", "protected-headers=\"v2\"", crypto.VerdictBad},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if !bytes.Contains(eml, []byte(c.old)) {
				t.Fatalf("message has no %q", c.old)
			}
			bent := bytes.Replace(eml, []byte(c.old), []byte(c.fresh), 1)
			got, err := f.receive(f.file(c.name+".eml", bent), f.ourSigners())
			if got.Sending != c.want || (err == nil) != (c.want == crypto.VerdictGood) {
				t.Errorf("verdicts %v, why %v, error %v", got.Verdicts, got.Why, err)
			}
		})
	}
}

// Nothing of class, subject, plaintext or its digest stands outside the
// encryption.
func TestNothingSecretOutside(t *testing.T) {
	t.Parallel()
	f, p, eml := sentParts(t)
	e := f.entry(agenda.Name{Book: agenda.Kriptogram, Serial: 1, Year: 2026})
	content, err := signedtext.ParseContent([]byte(e.Drafted.Content))
	f.check(err)
	texts := map[string][]byte{"message": eml}
	for name, data := range p {
		texts[name] = data
	}
	for _, secret := range []string{
		"rahasia", "RAHASIA", "Rencana pengamanan", "kunjungan", "800/1234", "surat.pdf", "NASKAH TERANG PENANDA",
		"sandi-kelas", "sandi-garam", content.Text.String(), "Pejabat ",
	} {
		for name, data := range texts {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s shows %q", name, secret)
			}
		}
	}
	if _, err := agenda.ParseTemplate("{seq}/{class}"); err == nil {
		t.Error("a number template with the class is accepted")
	}
}

// Whatever refuses between signature and sending uses no number.
func TestRefusedSendUsesNoNumber(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		bend func(*office) SendParams
		code string
	}{
		"wrong_passphrase": {func(f *office) SendParams {
			return SendParams{Secrets: secrets{"salah", right.password}}
		}, CodePassphrase},
		"size_lowered": {func(f *office) SendParams {
			f.Config.Gateway.MaxSize = 1000
			return SendParams{Secrets: right}
		}, CodeTooLarge},
		"kriptogram_damaged": {func(f *office) SendParams {
			e := f.entry(agenda.Name{Book: agenda.Kriptogram, Serial: 1, Year: 2026})
			hex := e.Drafted.Kriptogram.SHA256.String()
			path := filepath.Join(f.Dir, "vault", hex[:2], hex)
			f.check(os.Chmod(path, 0o600))
			data, err := os.ReadFile(path)
			f.check(err)
			data[len(data)/2] ^= 1
			f.check(os.WriteFile(path, data, 0o600))
			return SendParams{Secrets: right}
		}, CodeDamaged},
		"officer_lost_the_role": {func(f *office) SendParams {
			o, err := f.Book.Officer(f.t.Context(), "kasi")
			f.check(err)
			g := o.Roles[0]
			g.Until = f.now()
			f.check(f.Book.EndRole(f.t.Context(), f.Nobody(), "kasi", g))
			return SendParams{Secrets: right}
		}, CodeStale},
		"certificate_replaced": {func(f *office) SendParams {
			secret, err := crypto.GenerateKey(crypto.GenerateParams{Name: "Baru", Passphrase: []byte("x"), Now: f.now(), Cost: cheap})
			f.check(err)
			cert, err := crypto.CertificateOfSecret(secret)
			f.check(err)
			_, _, err = f.EditCorrespondent(f.t.Context(), CorrespondentParams{Handle: "jateng", Certificate: f.file("baru.asc", cert.Armor())}, "kunci baru")
			f.check(err)
			f.check(f.ConfirmCorrespondent(f.t.Context(), "jateng", string(cert.Fingerprint()), "sandiman", "telepon"))
			return SendParams{Secrets: right}
		}, CodeStale},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newOffice(t, loopback.Options{})
			n := f.signed("jateng")
			for _, k := range f.unlocked {
				k.Wipe()
			}
			clear(f.unlocked)
			p := c.bend(f)
			p.Names = []agenda.Name{n}
			_, err := f.Send(t.Context(), p)
			if coded(err) != c.code {
				t.Errorf("error %v, want %s", err, c.code)
			}
			counts, err := f.Book.Counts(t.Context(), 2026)
			if err != nil || counts[agenda.Kriptogram].Numbers != 0 || f.entry(n).State != agenda.StateSigned {
				t.Errorf("numbers used: %+v, state %s (%v)", counts, f.entry(n).State, err)
			}
			if got := len(f.gateway.Messages()); got != 0 {
				t.Errorf("%d messages left", got)
			}
		})
	}
}

// After a whole letter no secret key of the head and no plaintext lies in the
// desk, and the private archive key only until it is moved away.
func TestNoForeignSecretInTheDesk(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.signed("jateng", "batang")
	f.send(n)
	head, err := os.ReadFile(filepath.Join(f.dir, "kasi.key"))
	f.check(err)
	away := filepath.Join(f.dir, "arsip.key")
	if f.ArchiveKeyWaits() == "" {
		t.Error("the new archive key is not announced")
	}
	if _, err := f.MoveArchiveKey(t.Context(), filepath.Join(f.Dir, "keys", "arsip.key")); coded(err) != CodeInsideDesk {
		t.Errorf("moved inside the desk: %v", err)
	}
	if _, err := f.MoveArchiveKey(t.Context(), away); err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile(away)
	f.check(err)
	noPlaintext(t, f.Dir)
	lines := func(armored []byte) []string { return strings.Split(string(armored), "\n")[3:8] }
	f.check(filepath.WalkDir(f.Dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, l := range append(lines(head), lines(archive)...) {
			if bytes.Contains(data, []byte(l)) {
				t.Errorf("a secret key in %s", path)
			}
		}
		return nil
	}))
	// The archive key and the sidecar open our own letter.
	out := filepath.Join(f.dir, "arsip.naskah")
	if _, err := f.OpenOwn(t.Context(), n, ReceiveParams{KeyFile: away, Out: out, Secrets: right}); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(out); !bytes.Equal(got, plainLetter) {
		t.Error("the archive key opens something else")
	}
}

func TestTwoPeople(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	add := func(o agenda.Officer, role agenda.Role, key string) error {
		_, err := f.AddOfficer(ctx, OfficerParams{Officer: o, Roles: []agenda.RoleGrant{{Role: role, Kind: "tetap"}}, KeyFile: key})
		return err
	}
	kasi := filepath.Join(f.dir, "kasi.key")
	if err := add(agenda.Officer{Handle: "lain", Name: "Lain", NIP: "1"}, agenda.RoleSandiman, kasi); coded(err) != CodeSamePerson {
		t.Errorf("the head's key for a second officer: %v", err)
	}
	if err := f.Book.GiveRole(ctx, f.Nobody(), "sandiman", agenda.RoleGrant{Role: agenda.RoleKepalaSeksi, Kind: "plh", From: f.now(), Title: "Kepala Seksi"}); err != nil {
		t.Fatal(err)
	}
	n := f.classified("jateng")
	f.opts.As = "sandiman"
	_, err := f.Encrypt(ctx, EncryptParams{Name: n, Documents: []string{f.file("a.pdf", plainLetter)}, Secrets: right})
	if coded(err) != CodeSamePerson {
		t.Errorf("one person for both: %v", err)
	}
}

// A FIFO that nobody writes to would keep the clerk waiting for good.
func TestPipesAreRefused(t *testing.T) {
	t.Parallel()
	needs(t, "mkfifo")
	dir := t.TempDir()
	pipe := filepath.Join(dir, "surat.pdf")
	run(t, dir, "", "mkfifo", pipe)
	for name, read := range map[string]func() error{
		"documents": func() error { _, err := openDocuments([]string{pipe}); return err },
		"key":       func() error { _, err := readLimited(pipe, maxKeyFile); return err },
		"message":   func() error { _, err := openSource(pipe); return err },
	} {
		if err := read(); coded(err) != CodeFile {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// rewritten changes the book as somebody does who may write its file.
func (f *office) rewritten(script string) {
	f.t.Helper()
	f.check(f.Desk.Close())
	db, err := sql.Open("sqlite", "file:"+filepath.Join(f.Dir, bookFile))
	f.check(err)
	_, err = db.ExecContext(f.t.Context(), script)
	f.check(errors.Join(err, db.Close()))
	again, err := Open(f.t.Context(), f.Dir, f.options())
	f.check(err)
	f.Desk = again
}

// What left is not sent again because the index says that it waits, nor to
// another address, nor is anything enciphered to a key that the index alone
// knows.
func TestRewrittenIndex(t *testing.T) {
	t.Parallel()
	const waits = `UPDATE copy SET state='ready'; UPDATE entry SET state='released' WHERE state='sent';
INSERT INTO outbox(entry, copy, state, attempt, since, note) SELECT entry, copy, 'ready', 0, '2026-11-23T01:00:00Z', '' FROM copy`
	for name, c := range map[string]struct {
		before func(*office) agenda.Name
		script string
		step   func(*office, agenda.Name) error
	}{
		"sent_again": {func(f *office) agenda.Name {
			n := f.attached(1, "jateng")[0]
			f.send(n)
			return n
		}, waits, func(f *office, _ agenda.Name) error {
			_, err := f.Send(t.Context(), SendParams{Due: true, Secrets: right})
			return err
		}},
		"sent_again_by_name": {func(f *office) agenda.Name {
			n := f.attached(1, "jateng")[0]
			f.send(n)
			return n
		}, waits, func(f *office, n agenda.Name) error {
			_, err := f.Send(t.Context(), SendParams{Names: []agenda.Name{n}, Secrets: right})
			return err
		}},
		"elsewhere": {func(f *office) agenda.Name {
			n := f.attached(1, "jateng")[0]
			f.queued(n)
			return n
		}, `DROP TRIGGER text_update; UPDATE text SET body=CAST(replace(CAST(body AS TEXT), 'jateng@', 'musuh@') AS BLOB)`, func(f *office, _ agenda.Name) error {
			_, err := f.Send(t.Context(), SendParams{Due: true, Secrets: right})
			return err
		}},
		"kept_back": {func(f *office) agenda.Name {
			n := f.attached(1, "jateng")[0]
			f.queued(n)
			return n
		}, `UPDATE copy SET state='accepted', settled_at='2026-11-23T01:00:00.000Z'; DELETE FROM outbox`, func(f *office, _ agenda.Name) error {
			_, err := f.Send(t.Context(), SendParams{Due: true, Secrets: right})
			return err
		}},
		"printed": {func(f *office) agenda.Name {
			n := f.attached(1, "jateng")[0]
			f.send(n)
			return n
		}, `UPDATE copy SET settled_at='2026-01-23T01:00:00.000Z'`, func(f *office, _ agenda.Name) error {
			_, err := f.PrintBook(t.Context(), io.Discard, BookParams{Book: agenda.Surat, Year: 2026, Format: FormatText})
			return err
		}},
		"printed_addressee": {func(f *office) agenda.Name {
			f.attached(1, "jateng")
			return f.attached(1, "batang")[0]
		}, `UPDATE copy SET correspondent=(SELECT id FROM correspondent WHERE handle='jateng')`, func(f *office, _ agenda.Name) error {
			_, err := f.PrintBook(t.Context(), io.Discard, BookParams{Book: agenda.Surat, Year: 2026, Format: FormatText})
			return err
		}},
		"another_key": {
			func(f *office) agenda.Name { return f.classified("batang") },
			`UPDATE correspondent SET fingerprint=o.fingerprint, subkey=o.subkey, certificate=o.certificate
FROM (SELECT * FROM correspondent WHERE handle='jateng') o WHERE correspondent.handle='batang'`,
			func(f *office, n agenda.Name) error {
				_, err := f.Encrypt(t.Context(), EncryptParams{Name: n, Documents: []string{f.file("surat.pdf", plainLetter)}, Secrets: right})
				return err
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newOffice(t, loopback.Options{})
			n := c.before(f)
			taken := len(f.gateway.Messages())
			f.rewritten(c.script)
			if err := c.step(f, n); !errors.Is(err, agenda.ErrTampered) {
				t.Errorf("not refused: %v", err)
			}
			if got := len(f.gateway.Messages()); got != taken {
				t.Errorf("the gateway took %d messages, then %d", taken, got)
			}
			if a, err := f.Audit(t.Context()); err == nil && a.Good() {
				t.Error("nothing found")
			}
		})
	}
}

// A rewritten index is one finding of the doctor, who looks at everything else.
func TestDoctorOfARewrittenIndex(t *testing.T) {
	t.Parallel()
	const swapped = `UPDATE %s SET fingerprint=o.fingerprint, certificate=o.certificate
FROM (SELECT * FROM %[1]s WHERE handle='%[2]s') o WHERE %[1]s.handle='%[3]s'`
	for name, c := range map[string]struct {
		script string
		unseen []string // areas of which nothing good can be said
	}{
		"correspondent": {fmt.Sprintf(swapped, "correspondent", "jateng", "batang"), []string{"addressee"}},
		"officer":       {fmt.Sprintf(swapped, "officer", "sandiman", "operator"), []string{"own"}},
		"role":          {"UPDATE role SET kind='plt'", []string{"own"}},
		"both": {
			fmt.Sprintf(swapped, "correspondent", "jateng", "batang") + ";" + fmt.Sprintf(swapped, "officer", "sandiman", "operator"),
			[]string{"own", "addressee"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newOffice(t, loopback.Options{})
			f.file("desk/lain.txt", []byte("x"))
			looked := func() (all []string) {
				found, err := f.Doctor(t.Context(), DoctorParams{})
				f.check(err)
				for _, c := range found {
					all = append(all, c.Area+" "+c.Why)
				}
				return all
			}
			var want []string
			for _, line := range looked() {
				area, _, _ := strings.Cut(line, " ")
				switch {
				case line == "book good":
					want = append(want, "book rewritten")
				case !slices.Contains(c.unseen, area):
					want = append(want, line)
				}
			}
			f.rewritten(c.script)
			if diff := cmp.Diff(want, looked()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A book that lost a letter is opened by whoever says so and mends it, and by
// nobody else; one that lost its last letter enters no other in its place.
func TestLostLetterIsNamedAndMended(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	first, last := f.ordinary("jateng"), f.ordinary("jateng")
	dir, options := f.Dir, f.options()
	unchecked := options
	unchecked.Unchecked = true
	for _, lost := range []agenda.Name{last, first} {
		f.check(f.Desk.Close())
		db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, bookFile))
		f.check(err)
		_, err = db.ExecContext(t.Context(), "DELETE FROM copy WHERE entry=(SELECT id FROM entry WHERE serial=$1); DELETE FROM entry WHERE serial=$1", lost.Serial)
		f.check(errors.Join(err, db.Close()))
		f.Desk, err = Open(t.Context(), dir, options)
		if lost == last {
			f.check(err)
			_, err = f.Book.Register(t.Context(), f.actor("operator"), agenda.Registration{Letter: agenda.Letter{
				Class: agenda.ClassBiasa, Urgency: agenda.UrgencyBiasa, Applicant: "umum", Number: "005/9", Date: "2026-11-20", Subject: "Undangan", To: []string{"jateng"},
			}})
			f.check(f.Desk.Close())
		}
		if !errors.Is(err, agenda.ErrTampered) || coded(err) == CodeBookUnreadable {
			t.Errorf("without %v: %v", lost, err)
		}
		f.Desk, err = Open(t.Context(), dir, unchecked)
		f.check(err)
		if a, err := f.Audit(t.Context()); err != nil || a.Good() {
			t.Errorf("without %v nothing found: %v", lost, err)
		}
		f.check(f.Book.Rebuild(t.Context()))
		f.check(f.Desk.Close())
		f.Desk, err = Open(t.Context(), dir, options)
		f.check(err)
		f.entry(lost)
	}
}
