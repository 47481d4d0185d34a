package desk

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"sandi/agenda"
	"sandi/crypto"
	"sandi/mail/loopback"
)

func TestKriptogramFromBookToReport(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	n := f.signed("jateng", "batang")
	res := f.send(n)
	if len(res.Deliveries) != 2 || res.Deliveries[0].State != agenda.CopyAccepted || res.Deliveries[1].State != agenda.CopyAccepted {
		t.Fatalf("deliveries: %+v", res.Deliveries)
	}
	e := f.entry(n)
	if e.State != agenda.StateSent || e.Number != "001" {
		t.Fatalf("state %s, number %q", e.State, e.Number)
	}
	taken := f.gateway.Messages()
	if len(taken) != 2 {
		t.Fatalf("gateway took %d messages", len(taken))
	}
	for i, m := range taken {
		if !bytes.Equal(m.Data, f.frozen(e.Copies[i])) {
			t.Errorf("copy %d: what arrived is not what was frozen", i+1)
		}
		if bytes.Contains(m.Data, []byte("rahasia")) || bytes.Contains(m.Data, []byte("Rencana")) {
			t.Errorf("copy %d shows class or subject", i+1)
		}
	}
	if _, err := f.Archive(ctx, n, "Ordner K-11"); err != nil {
		t.Fatal(err)
	}
	reports, err := f.ReportResult(ctx, []agenda.Name{n}, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(reports) != 2 {
		t.Fatalf("%d reports, want one for each reader", len(reports))
	}
	if e = f.entry(n); e.State != agenda.StateReported {
		t.Errorf("state %s after both reports", e.State)
	}
	f.audited()

	// The correspondents, without any desk, with the certificates they were
	// given.
	signers := []SignerFile{
		{Role: agenda.RoleSandiman, File: f.certificate("sandiman")},
		{Role: agenda.RoleKepalaSeksi, File: f.certificate("kasi")},
	}
	for i, handle := range []string{"jateng", "batang"} {
		eml := f.file(handle+".eml", taken[i].Data)
		out := filepath.Join(f.dir, handle+".naskah")
		got, err := Receive(ctx, nil, ReceiveParams{Source: eml, Signers: signers, KeyFile: f.keys[handle], Out: out, Secrets: right}, f.options())
		if err != nil {
			t.Fatalf("%s: %v %v", handle, err, got.Why)
		}
		want := Verdicts{crypto.VerdictGood, crypto.VerdictGood, crypto.VerdictGood}
		if got.Verdicts != want {
			t.Errorf("%s: verdicts %+v", handle, got.Verdicts)
		}
		plain, err := os.ReadFile(out)
		if err != nil || !bytes.Equal(plain, plainLetter) {
			t.Errorf("%s: plaintext differs (%v)", handle, err)
		}
	}
}

func TestOrdinaryLetterFromBookToReport(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	n := f.ordinary("jateng")
	scan := f.file("scan.pdf", append([]byte("%PDF-1.4\n"), bytes.Repeat([]byte("gambar"), 1000)...))
	if _, err := f.Attach(ctx, AttachParams{Name: n, Files: []string{scan}, Pages: 2}); err != nil {
		t.Fatal(err)
	}
	f.send(n)
	e := f.entry(n)
	if e.State != agenda.StateSent || e.Number != "" {
		t.Fatalf("state %s, number %q", e.State, e.Number)
	}
	if _, err := f.ReportResult(ctx, []agenda.Name{n}, ""); coded(err) != CodeNotArchived {
		t.Errorf("report before archive: %v", err)
	}
	if _, err := f.Archive(ctx, n, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReportResult(ctx, []agenda.Name{n}, ToHead); err != nil {
		t.Fatal(err)
	}
	if e = f.entry(n); e.State != agenda.StateArchived {
		t.Errorf("state %s with one of two reports", e.State)
	}
	if _, err := f.ReportResult(ctx, []agenda.Name{n}, ToApplicant); err != nil {
		t.Fatal(err)
	}
	if e = f.entry(n); e.State != agenda.StateReported {
		t.Errorf("state %s with both reports", e.State)
	}
	eml := f.file("s1.eml", f.gateway.Messages()[0].Data)
	got, err := Receive(ctx, nil, ReceiveParams{Source: eml, Signers: []SignerFile{{Role: agenda.RoleOperator, File: f.certificate("operator")}}}, f.options())
	if err != nil || got.Sending != crypto.VerdictGood || !got.Letter {
		t.Errorf("verify: %+v %v", got, err)
	}
	f.audited()
}
