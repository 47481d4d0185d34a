package desk

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/config"
	"sandi/crypto"
	"sandi/mail"
	"sandi/mail/loopback"
)

// cheap is the least cost of a passphrase: tests make many keys.
var cheap = crypto.S2KCost{MemoryExponent: 10, Passes: 1, Parallelism: 1}

// secrets answers every prompt of a test.
type secrets struct{ passphrase, password string }

func (s secrets) Passphrase(context.Context, KeyUse) ([]byte, error) {
	return []byte(s.passphrase), nil
}

func (s secrets) MailPassword(context.Context, string) (string, error) {
	return s.password, nil
}
func (s secrets) Tries() int { return 1 }

var right = secrets{"frasa sandi uji", "kata sandi uji"}

// clock goes on by itself, a second each time it is read.
type clock struct {
	t  time.Time
	mu sync.Mutex
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(time.Second)
	return c.t
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

// office is a whole desk with its people, correspondents and gateway.
type office struct {
	*Desk
	t       testing.TB
	dir     string
	now     func() time.Time
	gateway *loopback.Server
	since   int               // what the gateway took before is of other copies of this desk
	keys    map[string]string // private keys of the correspondents
	certs   map[string]string
	cost    crypto.S2KCost // of the passphrases
}

// monday is Monday, 23 November 2026, 08.05 WIB.
var monday = time.Date(2026, 11, 23, 1, 5, 0, 0, time.UTC)

func newOffice(t testing.TB, o loopback.Options) *office {
	t.Helper()
	o.Username, o.Password = "persandian", right.password
	if o.TLS == "" {
		o.TLS = mail.TLSStartTLS
	}
	server, err := loopback.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, server.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	f := officeAt(t, (&clock{t: monday}).now, config.Gateway{Address: server.Addr(), TLS: string(o.TLS), Username: "persandian", CA: ca})
	f.gateway = server
	return f
}

// officeAt makes an office that sends through the given gateway.
func officeAt(t testing.TB, now func() time.Time, g config.Gateway) *office {
	t.Helper()
	return officeCosting(t, now, g, cheap)
}

func officeCosting(t testing.TB, now func() time.Time, g config.Gateway, cost crypto.S2KCost) *office {
	t.Helper()
	f := &office{t: t, dir: t.TempDir(), now: now, keys: map[string]string{}, certs: map[string]string{}, cost: cost}
	var err error
	f.Desk, _, err = Init(t.Context(), InitParams{
		Dir: filepath.Join(f.dir, "desk"), Office: "Dinas Komunikasi dan Informatika Kota Pekalongan",
		From: "persandian@contoh.sanapati.test", Gateway: g, Passphrase: pass,
	}, f.options())
	f.check(err)
	t.Cleanup(func() { f.Desk.Close() })
	f.officer("sandiman", agenda.RoleSandiman, "19800101", "")
	f.officer("operator", agenda.RoleOperator, "19800102", "")
	f.officer("kasi", agenda.RoleKepalaSeksi, "19700101", filepath.Join(f.dir, "kasi.key"))
	f.check(f.Book.AddApplicant(t.Context(), f.Nobody(), agenda.Applicant{Handle: "umum", Unit: "Bagian Umum Setda"}))
	f.correspondent("jateng", "Diskominfo Provinsi Jawa Tengah", crypto.KindRSA3072)
	f.correspondent("batang", "Diskominfo Kabupaten Batang", crypto.KindV6)
	return f
}

func pass(context.Context) ([]byte, error) { return []byte(right.passphrase), nil }

func (f *office) options() Options { return Options{Now: f.now, Cost: f.cost} }

func (f *office) check(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *office) file(name string, data []byte) string {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	f.check(os.WriteFile(path, data, 0o600))
	return path
}

func (f *office) officer(handle string, role agenda.Role, nip, keyOut string) {
	f.t.Helper()
	_, err := f.AddOfficer(f.t.Context(), OfficerParams{
		Officer: agenda.Officer{Handle: handle, Name: "Pejabat " + handle, NIP: nip, Qualification: "Ahli Sandi Tingkat II"},
		Roles:   []agenda.RoleGrant{{Role: role, Kind: "tetap"}}, NewKey: true, KeyOut: keyOut, Passphrase: pass,
	})
	f.check(err)
}

func (f *office) correspondent(handle, unit string, kind crypto.KeyKind) {
	f.t.Helper()
	secret, err := crypto.GenerateKey(crypto.GenerateParams{
		Name: unit, Email: handle + "@contoh.sanapati.test", Passphrase: []byte(right.passphrase), Now: f.now(), Kind: kind, Cost: f.cost,
	})
	f.check(err)
	cert, err := crypto.CertificateOfSecret(secret)
	f.check(err)
	f.keys[handle] = f.file(handle+".key", secret)
	f.certs[handle] = f.file(handle+".asc", cert.Armor())
	_, _, err = f.AddCorrespondent(f.t.Context(), CorrespondentParams{
		Handle: handle, Unit: unit, Address: handle + "@contoh.sanapati.test", Certificate: f.certs[handle],
	})
	f.check(err)
	f.check(f.ConfirmCorrespondent(f.t.Context(), handle, string(cert.Fingerprint()), "sandiman tujuan", "telepon"))
}

// certificate writes the certificate of one of our officers to a file.
func (f *office) certificate(handle string) string {
	f.t.Helper()
	o, err := f.Book.Officer(f.t.Context(), handle)
	f.check(err)
	cert, err := f.CertificateOf(f.t.Context(), o.Certificate.SHA256)
	f.check(err)
	return f.file(handle+".pub", cert.Armor())
}

// classified registers a rahasia letter with its order on record.
func (f *office) classified(to ...string) agenda.Name {
	f.t.Helper()
	return f.add(agenda.Letter{
		Class: agenda.ClassRahasia, Urgency: agenda.UrgencySegera, Applicant: "umum", Request: "045/112",
		Number: "800/1234", Date: "2026-11-20", Subject: "Rencana pengamanan kunjungan", To: to, Pages: 3, Excluded: true,
	})
}

func (f *office) ordinary(to ...string) agenda.Name {
	f.t.Helper()
	return f.add(agenda.Letter{
		Class: agenda.ClassBiasa, Urgency: agenda.UrgencyBiasa, Applicant: "umum", Request: "045/881",
		Number: "005/1204", Date: "2026-11-20", Subject: "Undangan rapat", To: to,
	})
}

func (f *office) add(l agenda.Letter) agenda.Name {
	f.t.Helper()
	got, err := f.Book.Register(f.t.Context(), f.Nobody(), agenda.Registration{Letter: l})
	f.check(err)
	orders := f.Orders(got[0].Entry.Book)
	for i := range orders {
		orders[i].At = f.now()
	}
	f.check(f.Book.Order(f.t.Context(), f.Nobody(), got[0].ID, got[0].ID, orders))
	return got[0].Entry
}

var plainLetter = append([]byte("%PDF-1.4\nNASKAH TERANG PENANDA\n"), bytes.Repeat([]byte("isi surat rahasia "), 4000)...)

// encrypted brings a classified letter to drafted.
func (f *office) encrypted(to ...string) agenda.Name {
	f.t.Helper()
	n := f.classified(to...)
	doc := f.file("surat.pdf", plainLetter)
	_, err := f.Encrypt(f.t.Context(), EncryptParams{Name: n, Documents: []string{doc}, Secrets: right})
	f.check(err)
	return n
}

func (f *office) signed(to ...string) agenda.Name {
	f.t.Helper()
	n := f.encrypted(to...)
	_, err := f.Sign(f.t.Context(), SignParams{Name: n, Secrets: right})
	f.check(err)
	return n
}

func (f *office) send(names ...agenda.Name) SendResult {
	f.t.Helper()
	res, err := f.Send(f.t.Context(), SendParams{Names: names, Secrets: right})
	f.check(err)
	return res
}

func (f *office) entry(n agenda.Name) agenda.Entry {
	f.t.Helper()
	e, err := f.Book.Entry(f.t.Context(), n)
	f.check(err)
	return e
}

// audited is the oracle: whatever happened, the desk must be whole.
func (f *office) audited() {
	f.t.Helper()
	a, err := f.Audit(f.t.Context())
	f.check(err)
	for _, p := range a.Problems {
		f.t.Errorf("audit: %+v", p)
	}
}

// frozen returns the octets of the message of a copy.
func (f *office) frozen(c agenda.Copy) []byte {
	f.t.Helper()
	r, err := f.Vault.Open(c.Message)
	f.check(err)
	defer r.Close()
	data, err := io.ReadAll(r)
	f.check(err)
	return data
}
