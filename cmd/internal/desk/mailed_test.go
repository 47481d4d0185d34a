package desk

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	smtp "github.com/emersion/go-smtp"

	"sandi/agenda"
	"sandi/mail"
	"sandi/mail/loopback"
)

// withReaders gives the head of the office and the applicant an address.
func (f *office) withReaders() *office {
	f.t.Helper()
	f.Config.Profile.HeadAddress = "kadis@contoh.sanapati.test"
	list, err := f.Book.Applicants(f.t.Context())
	f.check(err)
	list[0].Email = "umum@contoh.sanapati.test"
	f.check(f.Book.ChangeApplicant(f.t.Context(), f.Nobody(), list[0]))
	return f
}

// filed brings an ordinary letter to archived.
func (f *office) filed(to ...string) agenda.Name {
	f.t.Helper()
	n := f.ordinary(to...)
	_, err := f.Attach(f.t.Context(), AttachParams{Name: n, Files: []string{f.file("scan.pdf", []byte("%PDF-1.4\nisi pindaian"))}})
	f.check(err)
	f.send(n)
	_, err = f.Archive(f.t.Context(), n, "")
	f.check(err)
	return n
}

func (f *office) mail(names ...agenda.Name) MailPlan {
	f.t.Helper()
	plan, err := f.MailReports(f.t.Context(), MailParams{Names: names, Reason: "diganti", Secrets: right})
	f.check(err)
	return plan
}

func report(n int) agenda.Name { return agenda.Name{Book: agenda.Laporan, Serial: n, Year: 2026} }

// opened is all that a message says: its lines but for those of base64, its
// parts decoded, and what the sheets say as text.
func (f *office) opened(message []byte) string {
	f.t.Helper()
	var all bytes.Buffer
	for line := range bytes.Lines(message) {
		if bytes.ContainsAny(line, " :=") {
			all.Write(line)
		}
	}
	m, err := mail.Parse(bytes.NewReader(message), int64(len(message)))
	f.check(err)
	all.WriteString(m.Subject)
	all.Write(m.Cover)
	for i := range m.Parts {
		part, err := io.ReadAll(m.Parts[i].Open())
		f.check(err)
		if m.Parts[i].Media != pdfMedia {
			all.Write(part)
		}
		if strings.HasSuffix(m.Parts[i].Name, ".pdf") {
			text, err := exec.Command("pdftotext", "-layout", f.file("lembar.pdf", part), "-").Output()
			f.check(err)
			all.Write(text)
		}
	}
	return all.String()
}

// What is mailed is not enciphered: of a kriptogram it may say the agenda
// number, to how many it went and when, and nothing else.
func TestMailedReportsKeepTheSecrets(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("pdftotext"); err != nil {
		t.Skip("pdftotext is not installed")
	}
	f := newOffice(t, loopback.Options{}).withReaders()
	f.Config.Profile.ApplicantSeesAddressees = true // at the counter; not in a mail
	ctx := t.Context()
	k, s := f.add(agenda.Letter{
		Class: agenda.ClassRahasia, Urgency: agenda.UrgencySegera, Applicant: "umum", Request: "045/112",
		Number: "800/987654", Date: "2026-11-17", Origin: "Sekretariat Pribadi", Subject: "Rencana pengamanan kunjungan",
		To: []string{"jateng", "batang"}, Pages: 3, Enclosures: "denah lokasi", ArchiveClass: "KP.0734", Place: "brankas",
		Note: "tunggu kabar", Excluded: true,
	}), f.filed("batang")
	_, err := f.Encrypt(ctx, EncryptParams{Name: k, Documents: []string{f.file("surat.pdf", plainLetter)}, Secrets: right})
	f.check(err)
	_, err = f.Sign(ctx, SignParams{Name: k, Secrets: right})
	f.check(err)
	f.send(k)
	before := len(f.gateway.Messages())
	if plan := f.mail(k, s); len(plan.New) != 2 || len(plan.Before)+len(plan.Paper) != 0 {
		t.Fatalf("plan %+v", plan)
	}
	f.send(report(1), report(2))
	mails := f.gateway.Messages()[before:]
	if len(mails) != 2 {
		t.Fatalf("%d mails", len(mails))
	}
	e := f.entry(k)
	l := e.Letter
	secret := []string{l.Number, l.Date, "17 November", l.ArchiveClass, "Provinsi", "Jawa", "Tengah", "jateng", string(l.Class), string(l.Urgency)}
	for _, text := range []string{l.Origin, l.Subject, l.Enclosures, l.Place, l.Note} {
		secret = append(secret, strings.Fields(text)...)
	}
	for _, c := range e.Copies {
		secret = append(secret, c.Address, c.MessageID)
	}
	for i, m := range mails {
		said := f.opened(m.Data)
		count := []string{"2 tujuan", "Jumlah tujuan  : 2"}[i]
		for _, want := range []string{"K1", "S1", count, "Batang", "L" + itoa(i+1) + "/2026"} {
			if !strings.Contains(said, want) {
				t.Errorf("mail %d does not say %q", i, want)
			}
		}
		for _, word := range secret {
			if strings.Contains(strings.ToLower(said), strings.ToLower(word)) {
				t.Errorf("mail %d says %q", i, word)
			}
		}
		// The number is three digits, which stand in times too: it is looked
		// for where the sheets would have it.
		for line := range strings.Lines(said) {
			if words := strings.Fields(line); strings.Contains(line, "K1") && len(words) > 1 {
				for _, w := range words {
					if w == e.Number {
						t.Errorf("mail %d gives the number: %s", i, line)
					}
				}
			}
		}
		if !bytes.Contains(m.Data, []byte("multipart/signed")) {
			t.Errorf("mail %d is not signed by an operator with a key", i)
		}
	}
	for _, n := range []agenda.Name{k, s} {
		if e := f.entry(n); len(e.Reports) != 2 {
			t.Errorf("%s has %d reports", n, len(e.Reports))
		}
	}
	f.audited()
}

// Who cannot unlock the key, or says no, makes no report and uses no name.
func TestReportThatIsNotMade(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{}).withReaders()
	n := f.filed("jateng")
	clear(f.unlocked)
	declined := errors.New("declined")
	for name, p := range map[string]MailParams{
		"passphrase": {Secrets: secrets{"salah", right.password}},
		"declined":   {Secrets: right, Confirm: func(MailPlan) error { return declined }},
		"dry run":    {Secrets: right, DryRun: true},
	} {
		p.Names = []agenda.Name{n}
		plan, err := f.MailReports(t.Context(), p)
		if (err == nil) != p.DryRun || len(plan.New) != 2 || plan.New[1].Name != report(2) {
			t.Errorf("%s: %v, plan %+v", name, err, plan)
		}
	}
	if list, err := f.Book.List(t.Context(), agenda.Filter{Book: agenda.Laporan}); err != nil || len(list) != 0 {
		t.Errorf("%d reports (%v)", len(list), err)
	}
	if plan := f.mail(n); len(plan.New) != 2 || plan.New[0].Name != report(1) {
		t.Errorf("plan %+v", plan)
	}
	f.audited()
}

func TestRefusedReportIsMadeAnew(t *testing.T) {
	t.Parallel()
	a := &answers{stage: "rcpt", addr: "kadis@", reply: &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "unknown user"}}
	f := newOffice(t, loopback.Options{Hook: a.hook}).withReaders()
	one, two := f.filed("jateng"), f.filed("jateng")
	f.mail(one, two)
	f.send(report(1), report(2))
	if got := f.copyStates(report(1)) + ", " + f.copyStates(report(2)); got != "rejected, accepted" {
		t.Fatalf("copies %s", got)
	}
	if got := f.Next(f.entry(report(1))); got != NextMail {
		t.Errorf("a refused report waits for %q", got)
	}
	if _, err := f.Readdress(t.Context(), report(1), 1, "x", right); coded(err) != CodeState {
		t.Errorf("readdressed in place: %v", err)
	}
	a.reply = nil
	plan := f.mail(one)
	if len(plan.New) != 1 || len(plan.Before) != 1 || plan.New[0].Name != report(3) || plan.New[0].To != ToHead {
		t.Fatalf("plan %+v", plan)
	}
	if got := f.copyStates(report(1)); got != "cancelled" {
		t.Errorf("the refused one is %s", got)
	}
	f.send(report(3))
	// The other entry of the refused report still wants its own.
	if x, y := f.entry(one), f.entry(two); x.State != agenda.StateReported || y.State != agenda.StateArchived {
		t.Errorf("states %s, %s", x.State, y.State)
	}
	if plan := f.mail(two); len(plan.New) != 1 || plan.New[0].Name != report(4) {
		t.Errorf("plan %+v", plan)
	}
	g, err := f.Glance(t.Context())
	f.check(err)
	if len(g.Tasks) != 1 || g.Tasks[0].Entry.Name != report(4) || g.Tasks[0].Next != NextDue {
		t.Errorf("tasks %+v", g.Tasks)
	}
	f.audited()
}

// A report that the server took and that came back is a task until another one
// stands for all that it told of.
func TestReportThatCameBackIsMadeAnew(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{}).withReaders()
	one := f.filed("jateng")
	f.mail(one)
	f.send(report(1), report(2))
	tasks := func() (out []string) {
		t.Helper()
		g, err := f.Glance(t.Context())
		f.check(err)
		for _, x := range g.Tasks {
			out = append(out, x.Entry.Name.Long()+" "+string(x.Next))
		}
		return out
	}
	if got := tasks(); got != nil {
		t.Fatalf("tasks %q", got)
	}
	_, err := f.Receipts(t.Context(), ReceiptParams{Sources: []string{f.file("dsn.eml", dsn(f.entry(report(1)).Copies[0], "failed", "5.1.1"))}})
	f.check(err)
	if got := tasks(); !slices.Equal(got, []string{"L1/2026 mail"}) {
		t.Errorf("tasks %q", got)
	}
	f.mail(one)
	f.send(report(3))
	if got := tasks(); got != nil {
		t.Errorf("tasks %q, though another report stands for it", got)
	}
	f.audited()
}

func TestReportInDoubtIsResolved(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{}).withReaders()
	n := f.filed("jateng")
	f.mail(n)
	// A process that died between the final dot and the reply.
	ctx := t.Context()
	e := f.entry(report(1))
	ref := agenda.CopyRef{Entry: e.ID, Copy: 1}
	_, err := f.Book.Claim(ctx, []agenda.CopyRef{ref})
	f.check(err)
	f.check(f.Book.Arm(ctx, ref))
	before := len(f.gateway.Messages())
	for range 2 {
		if plan := f.mail(n); len(plan.New) != 0 || len(plan.Before) != 2 {
			t.Fatalf("plan %+v", plan)
		}
		res := f.send(report(1))
		if len(res.Deliveries) != 0 || f.copyStates(report(1)) != "doubt" {
			t.Fatalf("out of doubt: %+v, %s", res.Deliveries, f.copyStates(report(1)))
		}
	}
	f.send(report(2))
	if len(f.gateway.Messages()) != before+1 || f.entry(n).State != agenda.StateArchived {
		t.Errorf("%d messages, state %s", len(f.gateway.Messages())-before, f.entry(n).State)
	}
	_, err = f.Settle(ctx, SettleParams{Name: report(1), To: agenda.CopyEvidenced, Reason: "ajudan, telepon", At: f.now()})
	f.check(err)
	if e := f.entry(n); e.State != agenda.StateReported || e.Reports[1].By != ref.Entry {
		t.Errorf("state %s, reports %+v", e.State, e.Reports)
	}
	f.audited()
}

func TestReportWaitsForTheGateway(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{}).withReaders()
	n := f.filed("jateng")
	f.mail(n)
	f.gateway.Close()
	res := f.send(report(1), report(2))
	if coded(res.Down) != mail.CodeConnect || len(res.Waiting) != 2 || f.copyStates(report(1)) != "ready" {
		t.Errorf("down %v, waiting %d, copy %s", res.Down, len(res.Waiting), f.copyStates(report(1)))
	}
	again, err := loopback.Start(loopback.Options{TLS: mail.TLSNone})
	f.check(err)
	t.Cleanup(func() { again.Close() })
	f.Config.Gateway.Address, f.Config.Gateway.TLS, f.Config.Gateway.Username = again.Addr(), "none", ""
	f.mailPassword = ""
	if _, err := f.Send(t.Context(), SendParams{Due: true}); err != nil || f.entry(n).State != agenda.StateReported {
		t.Errorf("due: %v, state %s", err, f.entry(n).State)
	}
	if len(again.Messages()) != 2 {
		t.Errorf("%d messages", len(again.Messages()))
	}
	f.audited()
}

// A report handed over by hand and cancelled ones go the ways of every copy.
func TestReportByHand(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{}).withReaders()
	ctx := t.Context()
	n := f.filed("jateng")
	f.mail(n)
	dir := f.dir + "/webmail"
	_, folders, err := f.Manual(ctx, ManualParams{Name: report(1), Dir: dir, Secrets: right})
	f.check(err)
	for _, name := range []string{"pesan.eml", "teks.txt", "laporan-L1-2026.pdf", "laporan-L1-2026.txt", "PETUNJUK.txt"} {
		if _, err := os.Stat(folders[0] + "/" + name); err != nil {
			t.Error(err)
		}
	}
	_, err = f.Settle(ctx, SettleParams{Name: report(1), To: agenda.CopyEvidenced, Reason: "webmail", At: f.now(), Evidence: folders[0] + "/pesan.eml"})
	f.check(err)
	_, err = f.Settle(ctx, SettleParams{Name: report(2), To: agenda.CopyCancelled, Reason: "diserahkan langsung"})
	f.check(err)
	e := f.entry(n)
	if e.State != agenda.StateArchived || len(e.Reports) != 1 || e.Reports[0].To != ToHead {
		t.Errorf("state %s, reports %+v", e.State, e.Reports)
	}
	g, err := f.Glance(ctx)
	f.check(err)
	if len(g.Tasks) != 0 {
		t.Errorf("a cancelled report still waits: %+v", g.Tasks)
	}
	if plan := f.mail(n); len(plan.New) != 1 || plan.New[0].Name != report(3) || len(plan.Before) != 1 {
		t.Errorf("plan %+v", plan)
	}
	f.audited()
}
