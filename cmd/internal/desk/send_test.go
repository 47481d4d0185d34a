package desk

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	smtp "github.com/emersion/go-smtp"

	"sandi/agenda"
	"sandi/cmd/internal/vault"
	"sandi/mail"
	"sandi/mail/loopback"
)

// answers is a gateway hook that refuses a stage for an address until it is
// told otherwise.
type answers struct {
	stage, addr string
	reply       *smtp.SMTPError
}

func (a *answers) hook(stage, arg string) *smtp.SMTPError {
	if a.reply != nil && stage == a.stage && (a.addr == "" || strings.Contains(arg, a.addr)) {
		return a.reply
	}
	return nil
}

func (f *office) numbers() int {
	f.t.Helper()
	counts, err := f.Book.Counts(f.t.Context(), 2026)
	f.check(err)
	return counts[agenda.Kriptogram].Numbers
}

// copyStates are the states of an entry's copies in order.
func (f *office) copyStates(n agenda.Name) string {
	f.t.Helper()
	var s []string
	for _, c := range f.entry(n).Copies {
		s = append(s, string(c.State))
	}
	return strings.Join(s, " ")
}

func TestGatewayDownGivesNoNumber(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.signed("jateng")
	f.gateway.Close()
	res := f.send(n)
	if coded(res.Down) != mail.CodeConnect || len(res.Released) != 0 || len(res.Waiting) != 1 {
		t.Errorf("down %v, released %d, waiting %d", res.Down, len(res.Released), len(res.Waiting))
	}
	if f.numbers() != 0 || f.entry(n).State != agenda.StateSigned {
		t.Errorf("%d numbers, state %s", f.numbers(), f.entry(n).State)
	}
	// The clerk may number and queue; a retry then needs no passphrase.
	asked := 0
	queued, err := f.Send(t.Context(), SendParams{Names: []agenda.Name{n}, Secrets: right, AskQueue: func(error) bool { asked++; return true }})
	if err != nil || asked != 1 || len(queued.Released) != 1 {
		t.Fatalf("queue: %v, asked %d, released %d", err, asked, len(queued.Released))
	}
	if f.numbers() != 1 || f.copyStates(n) != "ready" {
		t.Errorf("%d numbers, copies %s", f.numbers(), f.copyStates(n))
	}
	again, err := loopback.Start(loopback.Options{TLS: mail.TLSNone})
	f.check(err)
	t.Cleanup(func() { again.Close() })
	f.Config.Gateway.Address, f.Config.Gateway.TLS, f.Config.Gateway.Username = again.Addr(), "none", ""
	f.mailPassword = ""
	res, err = f.Send(t.Context(), SendParams{Due: true})
	if err != nil || f.entry(n).State != agenda.StateSent || f.numbers() != 1 {
		t.Errorf("due: %v %+v, state %s, %d numbers", err, res.Deliveries, f.entry(n).State, f.numbers())
	}
	f.audited()
}

func TestWrongMailPasswordStopsTheQueue(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.signed("jateng")
	res, err := f.Send(t.Context(), SendParams{Names: []agenda.Name{n}, Queue: true, Secrets: secrets{right.passphrase, "salah"}})
	if err != nil || coded(res.Down) != mail.CodeAuth || f.numbers() != 0 {
		t.Errorf("error %v, down %v, %d numbers", err, res.Down, f.numbers())
	}
}

func TestRejectedCopyIsReaddressed(t *testing.T) {
	t.Parallel()
	a := &answers{stage: "rcpt", addr: "batang@", reply: &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "unknown user"}}
	f := newOffice(t, loopback.Options{Hook: a.hook})
	ctx := t.Context()
	n := f.signed("jateng", "batang")
	res := f.send(n)
	if f.copyStates(n) != "accepted rejected" || len(res.Deliveries) != 2 {
		t.Fatalf("copies %s", f.copyStates(n))
	}
	first := f.entry(n)
	if first.State != agenda.StateReleased {
		t.Errorf("state %s with one copy refused", first.State)
	}
	if err := f.Book.Void(ctx, f.Nobody(), first.ID, first.Last, "x", "y"); coded(err) != "agenda.void_refused" {
		t.Errorf("void after an accepted copy: %v", err)
	}
	if res := f.send(n); len(res.Deliveries) != 0 {
		t.Errorf("a rejected copy was sent again by itself: %+v", res.Deliveries)
	}
	_, _, err := f.EditCorrespondent(ctx, CorrespondentParams{Handle: "batang", Address: "diskominfo_batang@contoh.sanapati.test"}, "salah ketik")
	f.check(err)
	a.reply = nil
	if _, err := f.Readdress(ctx, n, 2, "salah ketik", right); err != nil {
		t.Fatal(err)
	}
	f.send(n)
	e := f.entry(n)
	if e.State != agenda.StateSent || e.Number != first.Number || e.Copies[1].MessageID == first.Copies[1].MessageID {
		t.Errorf("state %s, number %s, id %s", e.State, e.Number, e.Copies[1].MessageID)
	}
	if f.numbers() != 1 {
		t.Errorf("%d numbers", f.numbers())
	}
	taken := f.gateway.Messages()
	if len(taken) != 2 || taken[1].To != "diskominfo_batang@contoh.sanapati.test" {
		t.Errorf("gateway took %d messages", len(taken))
	}
	f.audited()
}

func TestDeferredCopyWaitsForItsTime(t *testing.T) {
	t.Parallel()
	a := &answers{stage: "rcpt", reply: &smtp.SMTPError{Code: 451, Message: "later"}}
	f := newOffice(t, loopback.Options{Hook: a.hook})
	n := f.signed("jateng")
	res := f.send(n)
	if len(res.Deliveries) != 1 || res.Deliveries[0].State != agenda.CopyDeferred || !res.Deliveries[0].NextAt.After(f.now()) {
		t.Fatalf("deliveries %+v", res.Deliveries)
	}
	if res, err := f.Send(t.Context(), SendParams{Due: true, Secrets: right}); err != nil || len(res.Deliveries) != 0 {
		t.Errorf("tried before its time: %+v %v", res.Deliveries, err)
	}
	a.reply = nil
	f.send(n) // by name: at once
	if f.entry(n).State != agenda.StateSent {
		t.Errorf("state %s", f.entry(n).State)
	}
}

func TestOneSenderPerDesk(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.signed("jateng")
	lock, err := vault.TryLock(f.path(sendLock))
	f.check(err)
	if _, err := f.Send(t.Context(), SendParams{Names: []agenda.Name{n}, Secrets: right}); coded(err) != CodeBusy {
		t.Errorf("second sender: %v", err)
	}
	f.check(lock.Unlock())
	f.send(n)
	if got := len(f.gateway.Messages()); got != 1 {
		t.Errorf("%d messages", got)
	}
}

// One unsigned entry in a batch stops the whole before the first number.
func TestBatchIsRefusedBeforeItsFirstNumber(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ready, draft := f.signed("jateng"), f.encrypted("jateng")
	_, err := f.Send(t.Context(), SendParams{Names: []agenda.Name{ready, draft}, Secrets: right})
	if coded(err) != CodeNotSigned || f.numbers() != 0 || len(f.gateway.Messages()) != 0 {
		t.Errorf("error %v, %d numbers, %d messages", err, f.numbers(), len(f.gateway.Messages()))
	}
}

// doubtful leaves one copy in doubt: armed on disk by a process that died.
func doubtful(t *testing.T) (*office, agenda.Name) {
	t.Helper()
	f := newOffice(t, loopback.Options{})
	n := f.signed("jateng")
	f.gateway.Close()
	if _, err := f.Send(t.Context(), SendParams{Names: []agenda.Name{n}, Queue: true, Secrets: right}); err != nil {
		t.Fatal(err)
	}
	ref := agenda.CopyRef{Entry: f.entry(n).ID, Copy: 1}
	if _, err := f.Book.Claim(t.Context(), []agenda.CopyRef{ref}); err != nil {
		t.Fatal(err)
	}
	f.check(f.Book.Arm(t.Context(), ref))
	return f, n
}

func TestDoubtIsClosedByEvidenceOrDecision(t *testing.T) {
	t.Parallel()
	evidence := func(f *office, n agenda.Name, bend bool) string {
		data := f.frozen(f.entry(n).Copies[0])
		if bend {
			data[len(data)/2] ^= 1
		}
		return f.file("terkirim.eml", data)
	}
	cases := map[string]struct {
		params func(*office, agenda.Name) SettleParams
		code   string
		copies string
		state  agenda.State
	}{
		"word_of_the_addressee": {func(*office, agenda.Name) SettleParams {
			return SettleParams{To: agenda.CopyEvidenced, Reason: "operator penerima, telepon, 11.20"}
		}, "", "evidenced", agenda.StateSent},
		"file_of_sent_mail": {func(f *office, n agenda.Name) SettleParams {
			return SettleParams{To: agenda.CopyEvidenced, Evidence: evidence(f, n, false)}
		}, "", "evidenced", agenda.StateSent},
		"other_file": {func(f *office, n agenda.Name) SettleParams {
			return SettleParams{To: agenda.CopyEvidenced, Evidence: evidence(f, n, true)}
		}, CodeEvidence, "doubt", agenda.StateReleased},
		"resend_by_the_head": {func(*office, agenda.Name) SettleParams {
			return SettleParams{To: agenda.CopyReady, Reason: "tujuan belum menerima"}
		}, "", "ready", agenda.StateReleased},
		"resend_without_the_head": {func(*office, agenda.Name) SettleParams {
			return SettleParams{To: agenda.CopyReady, Reason: "tujuan belum menerima", Secrets: secrets{"bukan frasa", ""}}
		}, CodePassphrase, "doubt", agenda.StateReleased},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, n := doubtful(t)
			for _, k := range f.unlocked {
				k.Wipe()
			}
			clear(f.unlocked)
			p := c.params(f, n)
			p.Name = n
			if p.Secrets == nil {
				p.Secrets = right
			}
			_, err := f.Settle(t.Context(), p)
			if coded(err) != c.code || f.copyStates(n) != c.copies || f.entry(n).State != c.state {
				t.Errorf("error %v, copies %s, state %s", err, f.copyStates(n), f.entry(n).State)
			}
			f.audited()
		})
	}
}

func TestManualRoute(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	n := f.signed("jateng")
	dir := filepath.Join(f.dir, "manual")
	e, folders, err := f.Manual(ctx, ManualParams{Name: n, Dir: dir, Secrets: right})
	if err != nil || len(folders) != 1 || e.Number != "001" {
		t.Fatalf("manual: %v, folders %v, number %q", err, folders, e.Number)
	}
	for _, name := range []string{"pesan.eml", "teks.txt", "PETUNJUK.txt", "kriptogram.pgp", "kriptogram.txt", "kriptogram.txt.paraf.asc", "kriptogram.txt.ttd.asc"} {
		if st, err := os.Stat(filepath.Join(folders[0], name)); err != nil || st.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := f.receive(folders[0], f.ourSigners()); err != nil {
		t.Errorf("loose parts: %v %v", got.Why, err)
	}
	if res := f.send(n); len(res.Deliveries) != 0 || f.copyStates(n) != "handed" {
		t.Errorf("a handed copy was sent: %+v", res.Deliveries)
	}
	if _, err := f.Settle(ctx, SettleParams{Name: n, To: agenda.CopyEvidenced, At: f.now(), Evidence: filepath.Join(folders[0], "pesan.eml"), Secrets: right}); err != nil {
		t.Fatal(err)
	}
	if e := f.entry(n); e.State != agenda.StateSent || e.Copies[0].Basis != "file" {
		t.Errorf("state %s, basis %q", e.State, e.Copies[0].Basis)
	}
	if _, _, err := f.Manual(ctx, ManualParams{Name: n, Dir: dir, Secrets: right}); err == nil {
		t.Error("a folder that exists is written into")
	}
	f.audited()
}

func TestDeclinedPlanChangesNothing(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.signed("jateng")
	no := errors.New("tidak")
	_, err := f.Send(t.Context(), SendParams{Names: []agenda.Name{n}, Secrets: right, Confirm: func(p Plan) error {
		if len(p.Release) != 1 || p.Release[0].Number != "001" || p.Copies != 1 {
			t.Errorf("plan %+v", p)
		}
		return no
	}})
	if !errors.Is(err, no) || f.numbers() != 0 || len(f.gateway.Messages()) != 0 {
		t.Errorf("error %v, %d numbers", err, f.numbers())
	}
}
