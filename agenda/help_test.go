package agenda

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a settable clock for books under test.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock {
	return &clock{t: time.Date(2026, 11, 20, 2, 10, 0, 0, time.UTC)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

var (
	clerk    = Actor{Handle: "sandiman", User: "budi", Host: "ws1"}
	headman  = Actor{Handle: "kasi", User: "budi", Host: "ws1"}
	operator = Actor{Handle: "operator", User: "budi", Host: "ws1"}
)

func data(s string) Object { return NewObject("text/plain", []byte(s)) }

// vaulted names bytes that lie in the vault.
func vaulted(s string) Object {
	return Object{SHA256: sha256.Sum256([]byte(s)), Size: int64(len(s)), Media: "application/octet-stream"}
}

func fingerprint(n int) string { return fmt.Sprintf("%040x", n) }

func testGenesis() Genesis {
	return Genesis{
		DeskID: "0123456789abcdef", LogKey: "contoh+00000000+abc", ArchiveCertificate: data("archive certificate"),
		ArchiveFingerprint: fingerprint(9), Office: "Dinas Komunikasi", MailDomain: "contoh.test", Profile: "pekalongan",
		Config: data("office: contoh\n"),
	}
}

// book is a book under test with its people: officers, an applicant, three
// confirmed correspondents.
type book struct {
	*Book
	t     testing.TB
	clock *clock
	path  string
}

func newBook(t testing.TB) *book {
	t.Helper()
	c := newClock()
	path := filepath.Join(t.TempDir(), "agenda.db")
	b, err := Create(t.Context(), path, clerk, testGenesis(), Options{Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return &book{Book: b, t: t, clock: c, path: path}
}

func newPeopledBook(t testing.TB) *book {
	t.Helper()
	b := newBook(t)
	for i, o := range []struct {
		handle string
		role   Role
	}{{"sandiman", RoleSandiman}, {"kasi", RoleKepalaSeksi}, {"operator", RoleOperator}} {
		b.must(b.AddOfficer(t.Context(), clerk, Officer{
			Handle: o.handle, Name: "Nama " + o.handle, NIP: fmt.Sprint(1000 + i), Title: "Jabatan " + o.handle,
			Certificate: data("certificate of " + o.handle), Fingerprint: fingerprint(100 + i),
		}, []RoleGrant{{Role: o.role, Title: "Jabatan " + o.handle}}))
	}
	b.must(b.AddApplicant(t.Context(), clerk, Applicant{Handle: "umum", Unit: "Bagian Umum Setda", Contact: "ext. 12"}))
	for i, handle := range []string{"jateng", "batang", "tegal"} {
		b.must(b.AddCorrespondent(t.Context(), clerk, Correspondent{
			Handle: handle, Unit: "Diskominfo " + handle, Address: handle + "@contoh.test",
			Fingerprint: fingerprint(200 + i), Subkey: fingerprint(300 + i), Certificate: data("certificate of " + handle),
			Signers: []Signer{{Role: RoleSandiman, Fingerprint: fingerprint(400 + i), Certificate: data("signer of " + handle)}},
			State:   Confirmed, ConfirmedBy: "sandiman", ConfirmedVia: "telepon",
		}))
	}
	return b
}

func (b *book) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func secretLetter() Letter {
	return Letter{
		Class: ClassRahasia, Urgency: UrgencySegera, Applicant: "umum", Request: "045/112", RequestDate: "2026-11-19",
		Received: time.Date(2026, 11, 20, 1, 5, 0, 0, time.UTC), Number: "800/1234", Date: "2026-11-20",
		Origin: "Sekretariat Daerah", Subject: "Rencana\npengamanan 100%", To: []string{"jateng", "batang"}, Cc: []string{"tegal"},
		Pages: 3, Enclosures: "satu berkas", ArchiveClass: "KP.07", Place: "lemari 2", Excluded: true, Note: "segera",
		Refers: "K1/2025",
	}
}

func openLetter() Letter {
	return Letter{
		Class: ClassBiasa, Urgency: UrgencyBiasa, Applicant: "Kecamatan Utara", Number: "005/1204", Date: "2026-11-20",
		Subject: "Undangan rapat", To: []string{"jateng", "Kantor yang belum terdaftar"},
	}
}

func (b *book) register(l Letter) Entry {
	b.t.Helper()
	r, err := b.Register(b.t.Context(), clerk, Registration{Letter: l})
	b.must(err)
	return b.entry(r[0].ID)
}

func (b *book) entry(id int64) Entry {
	b.t.Helper()
	e, err := b.EntryByID(b.t.Context(), id)
	b.must(err)
	return e
}

func (b *book) order(e Entry) Entry {
	b.t.Helper()
	b.must(b.Order(b.t.Context(), clerk, e.ID, e.Last, []Order{
		{From: "kepala-dinas", To: "kepala-bidang", At: time.Date(2026, 11, 20, 1, 0, 0, 0, time.UTC), Text: "laksanakan"},
		{From: "kepala-bidang", To: "kepala-seksi"},
	}))
	return b.entry(e.ID)
}

func draftOf(e Entry) DraftRecord {
	seed := fmt.Sprint(e.Name, e.Draft)
	content := "sandi-isi/1\nkelas rahasia\ngaram " + seed + "\n"
	text := data("sandi-kriptogram/1\n" + seed + "\n")
	return DraftRecord{
		Draft: e.Draft + 1, Manifest: text.SHA256, Text: text, Paraf: data("paraf " + seed), Kriptogram: vaulted("kriptogram " + seed),
		Isi: sha256.Sum256([]byte(content)), ParafKey: fingerprint(100), Policy: "praktis", PolicyDigest: "abc123",
		Format: "SEIPDv1 AES-256 MDC", Reason: "naskah baru", Documents: "1 naskah, 3 halaman", Content: content,
		ArchivePacket: []byte("archive packet"), Review: []byte("review packet " + seed),
	}
}

func (b *book) draft(e Entry) Entry {
	b.t.Helper()
	b.must(b.Draft(b.t.Context(), clerk, e.ID, e.Last, draftOf(e)))
	return b.entry(e.ID)
}

func signatureOf(e Entry) SignatureRecord {
	return SignatureRecord{
		Mode: "key", Manifest: e.Drafted.Manifest, Signature: data("signature " + e.Name.Long()), Key: fingerprint(101),
		Via: "desk", Reviewed: true,
	}
}

func (b *book) sign(e Entry) Entry {
	b.t.Helper()
	b.must(b.Sign(b.t.Context(), headman, e.ID, e.Last, signatureOf(e)))
	return b.entry(e.ID)
}

const testTemplate = Template("{seq:03}/{unit}/{roman}/{year}")

func (b *book) frozenOf(e Entry) []FrozenCopy {
	var out []FrozenCopy
	for _, c := range e.Copies {
		out = append(out, FrozenCopy{
			Copy: c.Copy, Message: vaulted(fmt.Sprintf("message %s %d", e.Name.Long(), c.Copy)),
			MessageID: fmt.Sprintf("<%s.%d@contoh.test>", e.Name, c.Copy), Address: strings.Fields(c.Handle)[0] + "@contoh.test",
			Addressee: b.addressee(e, c.Copy),
		})
	}
	return out
}

// addressee is Last of the correspondent of a copy as he is now.
func (b *book) addressee(e Entry, copyNo int) int64 {
	b.t.Helper()
	c, err := b.CorrespondentByID(b.t.Context(), e.Copies[copyNo-1].Correspondent)
	if errors.Is(err, ErrUnknownCorrespondent) {
		return 0
	}
	b.must(err)
	return c.Last
}

func (b *book) propose() *ProposedNumber {
	b.t.Helper()
	p, err := b.ProposeNumber(b.t.Context(), testTemplate, NumberFields{Unit: "DKI"})
	b.must(err)
	return &p
}

func (b *book) release(e Entry) Entry {
	b.t.Helper()
	r := Release{Copies: b.frozenOf(e)}
	if e.Name.Book == Kriptogram {
		r.Number = b.propose()
	}
	b.must(b.Release(b.t.Context(), clerk, e.ID, e.Last, r))
	return b.entry(e.ID)
}

func (b *book) attach(e Entry) Entry {
	b.t.Helper()
	b.must(b.Attach(b.t.Context(), operator, e.ID, e.Last, []Attachment{{Object: vaulted("scan " + e.Name.Long()), Pages: 2}}))
	return b.entry(e.ID)
}

// deliver brings one copy through an attempt to a state.
func (b *book) deliver(ref CopyRef, to CopyState) Entry {
	b.t.Helper()
	b.claimArm(ref)
	e, err := b.Settle(b.t.Context(), clerk, ref, Settlement{
		State: to, Route: "smtp", QueueID: "4XyZ", TLS: "TLS1.3", Peer: "gw.contoh.test", Address: "a@contoh.test",
		Reply: "250 2.0.0 OK", Dialogue: data(fmt.Sprint("dialogue ", ref, to)),
	})
	b.must(err)
	return e
}

func (b *book) claimArm(ref CopyRef) {
	b.t.Helper()
	claimed, err := b.Claim(b.t.Context(), []CopyRef{ref})
	b.must(err)
	if len(claimed) != 1 {
		b.t.Fatalf("claimed %d copies of %v", len(claimed), ref)
	}
	b.must(b.Arm(b.t.Context(), ref))
}

func (b *book) send(e Entry) Entry {
	b.t.Helper()
	for _, c := range e.Copies {
		b.deliver(CopyRef{e.ID, c.Copy}, CopyAccepted)
	}
	return b.entry(e.ID)
}

func (b *book) archive(e Entry) Entry {
	b.t.Helper()
	r := ArchiveRecord{Box: "2026/kriptogram.mbox", Place: "server"}
	for _, c := range e.Copies {
		r.Copies = append(r.Copies, ArchivedCopy{Copy: c.Copy, Offset: int64(c.Copy) * 1000, Length: 900})
	}
	b.must(b.Archive(b.t.Context(), clerk, e.ID, e.Last, r))
	return b.entry(e.ID)
}

func (b *book) report(e Entry, complete bool) Entry {
	b.t.Helper()
	b.must(b.Report(b.t.Context(), clerk, []int64{e.ID}, ReportRecord{Kind: "result", To: "kepala-dinas", Object: data("report of " + e.Name.Long())},
		func(Entry) bool { return complete }))
	return b.entry(e.ID)
}

// at brings a new entry of the book to the state.
func (b *book) at(name BookName, s State) Entry {
	b.t.Helper()
	if name == Kriptogram {
		e := b.order(b.register(secretLetter()))
		for _, step := range []struct {
			state State
			take  func(Entry) Entry
		}{
			{StateDrafted, b.draft},
			{StateSigned, b.sign},
			{StateReleased, b.release},
			{StateSent, b.send},
			{StateArchived, b.archive},
			{StateReported, func(e Entry) Entry { return b.report(e, true) }},
		} {
			if e.State == s {
				return e
			}
			if s == StateVoid {
				b.must(b.Void(b.t.Context(), clerk, e.ID, e.Last, "dibatalkan", "nota 1"))
				return b.entry(e.ID)
			}
			if e = step.take(e); e.State != step.state {
				b.t.Fatalf("entry is %s, want %s", e.State, step.state)
			}
		}
		return e
	}
	e := b.register(openLetter())
	for _, step := range []func(Entry) Entry{
		b.attach, b.release, b.send, b.archive, func(e Entry) Entry { return b.report(e, true) },
	} {
		if e.State == s {
			return e
		}
		if s == StateVoid {
			b.must(b.Void(b.t.Context(), clerk, e.ID, e.Last, "dibatalkan", "nota 1"))
			return b.entry(e.ID)
		}
		e = step(e)
	}
	return e
}

// clean asserts that the whole book verifies.
func (b *book) clean() VerifyReport {
	b.t.Helper()
	r, err := b.Verify(context.Background(), nil)
	b.must(err)
	for _, p := range r.Problems {
		b.t.Errorf("problem: %+v", p)
	}
	return r
}
