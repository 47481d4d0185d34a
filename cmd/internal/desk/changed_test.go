package desk

import (
	"path/filepath"
	"sync"
	"testing"

	smtp "github.com/emersion/go-smtp"

	"sandi/agenda"
	"sandi/mail/loopback"
)

// changes are what may become of an addressee between two steps of a letter.
var changes = map[string]func(*office, string) error{
	"address": func(f *office, handle string) error {
		_, _, err := f.EditCorrespondent(f.t.Context(), CorrespondentParams{Handle: handle, Address: "pindah@contoh.sanapati.test"}, "pindah")
		return err
	},
	"key": func(f *office, handle string) error {
		_, cert := f.stranger("baru")
		path := f.file("baru.asc", cert.Armor())
		if _, _, err := f.EditCorrespondent(f.t.Context(), CorrespondentParams{Handle: handle, Certificate: path}, "kunci bocor"); err != nil {
			return err
		}
		return f.ConfirmCorrespondent(f.t.Context(), handle, string(cert.Fingerprint()), "sandiman tujuan", "telepon")
	},
	"end": func(f *office, handle string) error {
		c, err := f.Book.Correspondent(f.t.Context(), handle)
		if err != nil {
			return err
		}
		c.Ended = true
		return f.Book.ChangeCorrespondent(f.t.Context(), f.Nobody(), c, "dicabut")
	},
}

// scanned is an ordinary letter that only waits for `send`.
func (f *office) scanned(to ...string) agenda.Name {
	f.t.Helper()
	n := f.ordinary(to...)
	_, err := f.Attach(f.t.Context(), AttachParams{Name: n, Files: []string{f.file("pindai.pdf", plainLetter)}})
	f.check(err)
	return n
}

// A question may stand on the screen for hours, and somebody else works on.
func TestAddresseeChangedAtTheQuestion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, change, code string
		letter             func(*office) agenda.Name
	}{
		{"kriptogram_key", "key", CodeStale, func(f *office) agenda.Name { return f.signed("jateng") }},
		{"kriptogram_end", "end", CodeAddressee, func(f *office) agenda.Name { return f.signed("jateng") }},
		{"letter_end", "end", CodeAddressee, func(f *office) agenda.Name { return f.scanned("jateng") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newOffice(t, loopback.Options{})
			n := c.letter(f)
			before := f.entry(n).State
			_, err := f.Send(t.Context(), SendParams{Names: []agenda.Name{n}, Secrets: right, Confirm: func(Plan) error { return changes[c.change](f, "jateng") }})
			if coded(err) != c.code || f.entry(n).State != before || f.numbers() != 0 || len(f.gateway.Messages()) != 0 {
				t.Errorf("error %v, state %s, %d numbers, %d messages", err, f.entry(n).State, f.numbers(), len(f.gateway.Messages()))
			}
			f.audited()
		})
	}
}

// A queue may be on its way for hours.
func TestAddresseeChangedWhileTheQueueGoes(t *testing.T) {
	t.Parallel()
	for change, code := range map[string]string{"address": CodeAddressChanged, "key": CodeAddresseeChanged, "end": CodeAddresseeChanged} {
		t.Run(change, func(t *testing.T) {
			t.Parallel()
			var f *office
			var once sync.Once
			later := &smtp.SMTPError{Code: 451, Message: "later"}
			reply, act := later, func() error { return nil }
			f = newOffice(t, loopback.Options{Hook: func(stage, _ string) *smtp.SMTPError {
				if stage != "rcpt" {
					return nil
				}
				if reply == nil {
					once.Do(func() { f.check(act()) })
				}
				return reply
			}})
			first, second := f.signed("jateng"), f.signed("batang")
			f.send(first)
			f.send(second)
			reply, act = nil, func() error { return changes[change](f, "batang") }
			res := f.send(first, second)
			if f.copyStates(first) != "accepted" || f.copyStates(second) != "ready" || len(f.gateway.Messages()) != 1 {
				t.Errorf("copies %s and %s, %d messages", f.copyStates(first), f.copyStates(second), len(f.gateway.Messages()))
			}
			if len(res.Skipped) != 1 || res.Skipped[0].Entry != second || res.Skipped[0].Code != code {
				t.Errorf("skipped %+v", res.Skipped)
			}
			f.audited()
		})
	}
}

// What the server refused is handed out as little as what waits.
func TestRefusedCopyIsNotHandedOutAsItWas(t *testing.T) {
	t.Parallel()
	for change, code := range map[string]string{"address": CodeAddressChanged, "key": CodeAddresseeChanged, "end": CodeAddresseeChanged} {
		t.Run(change, func(t *testing.T) {
			t.Parallel()
			f := refusing(t)
			n := f.signed("jateng")
			f.send(n)
			f.check(changes[change](f, "jateng"))
			dir := filepath.Join(f.dir, "manual")
			_, folders, err := f.Manual(t.Context(), ManualParams{Name: n, Dir: dir, Secrets: right})
			if coded(err) != code || len(folders) != 0 || f.copyStates(n) != "rejected" {
				t.Errorf("error %v, folders %v, copies %s", err, folders, f.copyStates(n))
			}
		})
	}
}

// That a key is revoked is kept although no other is there to take its place,
// and stops the next letter, and those that wait.
func TestRevokedKeyStopsLetters(t *testing.T) {
	t.Parallel()
	data, revoked := gpgKey(t, gpgCurve, "Tegal", true)
	a := &answers{stage: "rcpt", addr: "tegal@", reply: &smtp.SMTPError{Code: 451, Message: "later"}}
	f := newOffice(t, loopback.Options{Hook: a.hook})
	ctx := t.Context()
	_, rep, err := f.AddCorrespondent(ctx, CorrespondentParams{
		Handle: "tegal", Unit: "Diskominfo Kota Tegal", Address: "tegal@contoh.sanapati.test", Certificate: f.file("tegal.asc", data),
	})
	f.check(err)
	f.check(f.ConfirmCorrespondent(ctx, "tegal", string(rep.Facts.Fingerprint), "sandiman tujuan", "telepon"))
	waits, signed, fresh := f.signed("tegal"), f.signed("tegal"), f.classified("tegal")
	f.send(waits)
	edit := CorrespondentParams{Handle: "tegal", Certificate: f.file("dicabut.asc", revoked)}
	if _, rep, err := f.PreviewEdit(ctx, edit); err != nil || !rep.Facts.Revoked {
		t.Errorf("preview: %v, %+v", err, rep)
	}
	c, rep, err := f.EditCorrespondent(ctx, edit, "dicabut")
	if err != nil || !rep.Facts.Revoked || len(rep.Findings) == 0 || !rep.Findings[0].Refuse || c.Fingerprint != string(rep.Facts.Fingerprint) {
		t.Fatalf("revocation: %v, %+v, pinned %s", err, rep, c.Fingerprint)
	}
	_, err = f.Encrypt(ctx, EncryptParams{Name: fresh, Documents: []string{f.file("surat.pdf", plainLetter)}, Secrets: right})
	if coded(err) != CodePreflight {
		t.Errorf("encrypt: %v", err)
	}
	a.reply = nil
	if _, err = f.Send(ctx, SendParams{Names: []agenda.Name{signed}, Secrets: right}); coded(err) != CodePreflight {
		t.Errorf("send: %v", err)
	}
	if res := f.send(waits); len(res.Skipped) != 1 || res.Skipped[0].Code != CodeAddresseeChanged || len(f.gateway.Messages()) != 0 {
		t.Errorf("skipped %+v, %d messages", res.Skipped, len(f.gateway.Messages()))
	}
	// One that never was anybody's is refused as before.
	if _, _, err := f.AddCorrespondent(ctx, CorrespondentParams{Handle: "lain", Unit: "Lain", Address: "lain@contoh.sanapati.test", Certificate: edit.Certificate}); coded(err) != CodeCertificate {
		t.Errorf("add: %v", err)
	}
	f.audited()
}

// The key that letters go to is often that of the officer who signs there:
// wherever its revocation is entered, it counts for both.
func TestRevocationCountsForEveryUse(t *testing.T) {
	t.Parallel()
	data, revoked := gpgKey(t, gpgCurve, "Tegal", true)
	for name, edit := range map[string]func(path string) CorrespondentParams{
		"as_key": func(path string) CorrespondentParams { return CorrespondentParams{Handle: "tegal", Certificate: path} },
		"as_signer": func(path string) CorrespondentParams {
			return CorrespondentParams{Handle: "tegal", Signers: []SignerFile{{Role: agenda.RoleSandiman, File: path}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newOffice(t, loopback.Options{})
			path := f.file("tegal.asc", data)
			_, rep, err := f.AddCorrespondent(t.Context(), CorrespondentParams{
				Handle: "tegal", Unit: "Diskominfo Kota Tegal", Address: "tegal@contoh.sanapati.test", Certificate: path,
				Signers: []SignerFile{{Role: agenda.RoleSandiman, File: path}, {Role: agenda.RoleOperator, File: path}},
			})
			f.check(err)
			f.check(f.ConfirmCorrespondent(t.Context(), "tegal", string(rep.Facts.Fingerprint), "sandiman tujuan", "telepon"))
			c, _, err := f.EditCorrespondent(t.Context(), edit(f.file("dicabut.asc", revoked)), "dicabut")
			f.check(err)
			all := []agenda.Object{c.Certificate}
			for _, s := range c.Signers {
				all = append(all, s.Certificate)
			}
			for i, o := range all {
				cert, err := f.CertificateOf(t.Context(), o.SHA256)
				f.check(err)
				if !cert.Facts(f.now()).Revoked {
					t.Errorf("use %d: not revoked", i)
				}
			}
			if gone, err := f.withdrawn(t.Context(), c); err != nil || !gone {
				t.Errorf("letters still go there: %v", err)
			}
			f.audited()
		})
	}
}

// An officer may sign for two offices with the key that letters to one of them
// go to. Its revocation comes with one of them and counts for both.
func TestRevocationFromAnotherOffice(t *testing.T) {
	t.Parallel()
	data, revoked := gpgKey(t, gpgCurve, "Tegal", true)
	a := &answers{stage: "rcpt", addr: "tegal@", reply: &smtp.SMTPError{Code: 451, Message: "later"}}
	f := newOffice(t, loopback.Options{Hook: a.hook})
	path, ctx := f.file("tegal.asc", data), t.Context()
	_, rep, err := f.AddCorrespondent(ctx, CorrespondentParams{
		Handle: "tegal", Unit: "Diskominfo Kota Tegal", Address: "tegal@contoh.sanapati.test", Certificate: path,
	})
	f.check(err)
	f.check(f.ConfirmCorrespondent(ctx, "tegal", string(rep.Facts.Fingerprint), "sandiman tujuan", "telepon"))
	f.pinned("upt", true, SignerFile{Role: agenda.RoleSandiman, File: path})
	waits, signed, fresh := f.signed("tegal"), f.signed("tegal"), f.classified("tegal")
	f.send(waits)
	_, _, err = f.EditCorrespondent(ctx, CorrespondentParams{
		Handle: "upt", Signers: []SignerFile{{Role: agenda.RoleSandiman, File: f.file("dicabut.asc", revoked)}},
	}, "dicabut")
	f.check(err)
	a.reply = nil
	_, err = f.Encrypt(ctx, EncryptParams{Name: fresh, Documents: []string{f.file("surat.pdf", plainLetter)}, Secrets: right})
	if coded(err) != CodePreflight {
		t.Errorf("encrypt: %v", err)
	}
	if _, err = f.Send(ctx, SendParams{Names: []agenda.Name{signed}, Secrets: right}); coded(err) != CodePreflight {
		t.Errorf("send: %v", err)
	}
	if res, err := f.Send(ctx, SendParams{Names: []agenda.Name{waits}, Secrets: right}); err != nil || len(res.Skipped) != 1 || len(f.gateway.Messages()) != 0 {
		t.Errorf("skipped %+v, %d messages, %v", res.Skipped, len(f.gateway.Messages()), err)
	}
	f.audited()
}

// While the head goes through his queue, the sandiman may encipher anew.
func TestReturnOfTheDraftThatWasShown(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.encrypted("jateng")
	shown := f.entry(n).Drafted.Manifest
	_, err := f.Encrypt(t.Context(), EncryptParams{Name: n, Documents: []string{f.file("surat.pdf", plainLetter)}, Again: true, Reason: "lampiran", Secrets: right})
	f.check(err)
	_, err = f.Return(t.Context(), ReturnParams{Name: n, Manifest: shown, Reason: "lampiran kurang", Secrets: right})
	if e := f.entry(n); coded(err) != CodeStale || e.State != agenda.StateDrafted || e.Returned != nil {
		t.Errorf("error %v, state %s, returned %v", err, e.State, e.Returned)
	}
	_, err = f.Return(t.Context(), ReturnParams{Name: n, Manifest: f.entry(n).Drafted.Manifest, Reason: "lampiran kurang", Secrets: right})
	f.check(err)
}
