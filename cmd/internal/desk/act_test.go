package desk

import (
	"path/filepath"
	"testing"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/config"
)

// Only the key that the draft names may sign it, and only while its owner is
// in charge. What was signed so leaves while the signer holds his role.
func TestWhoMaySignWhileSomebodyActs(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		acts       bool          // somebody acts for the head,
		from, till time.Duration // from and until, counted from the draft
		also       bool          // the acting one holds the role of his own too
		signed     time.Duration
		sign       string // code, "" when it is signed
		sent       time.Duration
		send       string
	}{
		"nobody acts":                          {signed: day, sent: 2 * day},
		"begins between signature and sending": {acts: true, from: 2 * day, till: 9 * day, signed: day, sent: 3 * day},
		"begins after the draft":               {acts: true, from: day, till: 9 * day, signed: 2 * day, sign: CodeStale},
		"begins at the signature":              {acts: true, from: day, till: 9 * day, signed: day, sign: CodeStale},
		"began and ended between":              {acts: true, from: day, till: 2 * day, signed: 3 * day, sent: 4 * day},
		"drafted for who acts":                 {acts: true, from: -time.Hour, till: 9 * day, signed: day, sent: 2 * day},
		"ends before the signature":            {acts: true, from: -time.Hour, till: day, signed: 2 * day, sign: CodeStale},
		"ends at the signature":                {acts: true, from: -time.Hour, till: day, signed: day, sign: CodeStale},
		"ends between signature and sending":   {acts: true, from: -time.Hour, till: 2 * day, signed: day, sent: 3 * day, send: CodeStale},
		"acts and is head himself later":       {acts: true, from: -time.Hour, till: day, also: true, signed: 2 * day, sent: 3 * day},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			watch := &clock{t: monday}
			f := officeAt(t, watch.now, config.Gateway{Address: "127.0.0.1:1", TLS: "none"})
			ctx := t.Context()
			f.officer("kabid", agenda.RoleKepalaBidang, "19700105", filepath.Join(f.dir, "kabid.key"))
			drafted := monday.Add(3 * time.Hour)
			if c.acts {
				_, err := f.Act(ctx, ActParams{
					Of: "kasi", Person: "kabid", Kind: "plh", From: drafted.Add(c.from), Until: drafted.Add(c.till), Order: "SP-1",
				})
				f.check(err)
			}
			if c.also {
				f.check(f.GiveRole(ctx, "kabid", agenda.RoleGrant{Role: agenda.RoleKepalaSeksi, Kind: "tetap", From: drafted.Add(c.till)}))
			}
			// Three working days ahead would be asked about; here time flies.
			at := func(after time.Duration) {
				watch.mu.Lock()
				defer watch.mu.Unlock()
				watch.t = drafted.Add(after)
			}
			at(0)
			n := f.encrypted("jateng")
			at(c.signed)
			_, err := f.Sign(ctx, SignParams{Name: n, Secrets: right})
			if coded(err) != c.sign {
				t.Fatalf("signature: %v, want %q", err, c.sign)
			}
			if c.sign != "" {
				if e := f.entry(n); e.State != agenda.StateDrafted {
					t.Errorf("state %s", e.State)
				}
				// The way out: a draft for who is in charge.
				_, err := f.Encrypt(ctx, EncryptParams{
					Name: n, Documents: []string{f.file("surat.pdf", plainLetter)}, Again: true, Reason: "Plh.", Secrets: right,
				})
				f.check(err)
				_, err = f.Sign(ctx, SignParams{Name: n, Secrets: right})
				f.check(err)
				return
			}
			at(c.sent)
			if _, err := f.mayRelease(ctx, f.entry(n)); coded(err) != c.send {
				t.Errorf("release: %v, want %q", err, c.send)
			}
		})
	}
}

// With two heads the draft names one, and the other cannot sign it.
func TestDraftNamesOneOfTwoHeads(t *testing.T) {
	t.Parallel()
	f := officeAt(t, (&clock{t: monday}).now, config.Gateway{Address: "127.0.0.1:1", TLS: "none"})
	ctx := t.Context()
	f.officer("kasi2", agenda.RoleKepalaSeksi, "19700105", filepath.Join(f.dir, "kasi2.key"))
	n := f.classified("jateng")
	doc := []string{f.file("surat.pdf", plainLetter)}
	if _, err := f.Encrypt(ctx, EncryptParams{Name: n, Documents: doc, Secrets: right}); coded(err) != CodeOfficer {
		t.Fatalf("for nobody in particular: %v", err)
	}
	f.check(f.EndRole(ctx, "kasi2", agenda.RoleGrant{Role: agenda.RoleKepalaSeksi}))
	_, err := f.Encrypt(ctx, EncryptParams{Name: n, Documents: doc, Secrets: right})
	f.check(err)
	f.check(f.GiveRole(ctx, "kasi2", agenda.RoleGrant{Role: agenda.RoleKepalaSeksi, Kind: "tetap", From: f.now()}))
	pend, err := f.Pending(ctx, n)
	f.check(err)
	if pend.Head.Handle != "kasi" {
		t.Errorf("signer %s, the draft names kasi", pend.Head.Handle)
	}
	e, err := f.Sign(ctx, SignParams{Name: n, Secrets: right})
	f.check(err)
	if e.Signed.Key != pend.Draft.Signature.Fingerprint {
		t.Errorf("signed by %s, the draft names %s", e.Signed.Key, pend.Draft.Signature.Fingerprint)
	}
}
