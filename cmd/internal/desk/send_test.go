package desk

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	smtp "github.com/emersion/go-smtp"

	"sandi/agenda"
	"sandi/cmd/internal/vault"
	"sandi/crypto"
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
	calls := 0
	f.opts.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		calls++
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	p := SendParams{Names: []agenda.Name{n}, Queue: true, Secrets: secrets{right.passphrase, "salah"}}
	res, err := f.Send(t.Context(), p)
	if err != nil || coded(res.Down) != mail.CodeAuth || f.numbers() != 0 {
		t.Errorf("error %v, down %v, %d numbers", err, res.Down, f.numbers())
	}
	// A timer that goes on trying would lock the account.
	for range 3 {
		f.mailPassword = ""
		if res, err := f.Send(t.Context(), p); err != nil || coded(res.Down) != CodeLoginHeld || f.numbers() != 0 {
			t.Errorf("error %v, down %v, %d numbers", err, res.Down, f.numbers())
		}
	}
	if calls != 1 {
		t.Errorf("%d connections, want one for the one login", calls)
	}
	if since, err := f.Book.Reachable(t.Context(), f.Nobody(), f.now()); err != nil || !since.IsZero() {
		t.Errorf("a refused login is told as an outage since %v, %v", since, err)
	}
	// A person may try again; once a login succeeds, everybody may.
	p.Attended = true
	if res, err := f.Send(t.Context(), p); err != nil || coded(res.Down) != mail.CodeAuth {
		t.Errorf("attended: error %v, down %v", err, res.Down)
	}
	f.mailPassword = ""
	_, err = f.Probe(t.Context(), right)
	f.check(err)
	f.send(n)
	if f.entry(n).State != agenda.StateSent {
		t.Errorf("state %s", f.entry(n).State)
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

// What comes too early after a sending is told which copies hold it up.
func TestNotSentNamesWhatIsLeft(t *testing.T) {
	t.Parallel()
	for want, states := range map[string][]agenda.CopyState{
		"released": {agenda.CopyHanded, agenda.CopyDoubt, agenda.CopyDeferred},
		"handed":   {agenda.CopyAccepted, agenda.CopyHanded, agenda.CopyCancelled},
		"doubt":    {agenda.CopyHanded, agenda.CopyDoubt, agenda.CopyHanded},
	} {
		e := agenda.Entry{State: agenda.StateReleased}
		for _, s := range append(states, agenda.CopyAccepted) {
			e.Copies = append(e.Copies, agenda.Copy{State: s})
		}
		if got := notSent(e); got.Detail != want {
			t.Errorf("%v: %q, want %q", states, got.Detail, want)
		}
	}
	if got := notSent(agenda.Entry{State: agenda.StateVoid, Copies: []agenda.Copy{{State: agenda.CopyHanded}}}); got.Detail != "void" {
		t.Errorf("void: %q", got.Detail)
	}
}

// Where nothing is handed over no folder is left.
func TestManualRouteLeavesNoEmptyFolder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before func(*office, agenda.Name) func(Plan) error
		code   string
	}{
		"releasing": {func(f *office, n agenda.Name) func(Plan) error {
			return func(Plan) error {
				f.spoil(f.entry(n).Attachments[0].Object.SHA256)
				return nil
			}
		}, "vault.damaged"},
		"nobody_acts": {func(f *office, n agenda.Name) func(Plan) error {
			f.queued(n)
			f.opts.As = "siapa"
			return nil
		}, CodeOfficer},
		"all_settled": {func(f *office, n agenda.Name) func(Plan) error {
			f.queued(n)
			_, err := f.Settle(t.Context(), SettleParams{Name: n, Copy: 1, To: agenda.CopyCancelled, Reason: "batal"})
			f.check(err)
			return nil
		}, CodeState},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newOffice(t, loopback.Options{})
			n := f.attached(1, "jateng")[0]
			p := ManualParams{Name: n, Dir: filepath.Join(f.dir, "manual"), Secrets: right}
			p.Confirm = c.before(f, n)
			if _, _, err := f.Manual(t.Context(), p); coded(err) != c.code {
				t.Errorf("error %v, want %s", err, c.code)
			}
			if _, err := os.Stat(p.Dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the folder: %v", err)
			}
		})
	}
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

// The copies of an entry carry the same parts: the message of one is no
// evidence for another.
func TestEvidenceOfAnotherCopy(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.signed("jateng", "batang")
	_, folders, err := f.Manual(t.Context(), ManualParams{Name: n, Dir: filepath.Join(f.dir, "manual"), Secrets: right})
	f.check(err)
	settle := func(copyNo, of int) error {
		_, err := f.Settle(t.Context(), SettleParams{
			Name: n, Copy: copyNo, To: agenda.CopyEvidenced, At: f.now(), Evidence: filepath.Join(folders[of-1], "pesan.eml"), Secrets: right,
		})
		return err
	}
	if err := settle(2, 1); coded(err) != CodeEvidence || f.copyStates(n) != "handed handed" || f.entry(n).Copies[1].Basis != "" {
		t.Errorf("error %v, copies %s, basis %q", err, f.copyStates(n), f.entry(n).Copies[1].Basis)
	}
	// A webmail writes addresses as it likes.
	own := filepath.Join(folders[1], "pesan.eml")
	data, err := os.ReadFile(own)
	f.check(err)
	shouted := strings.Replace(string(data), "To: batang@contoh", "To: \"Diskominfo\" <Batang@Contoh", 1)
	shouted = strings.Replace(shouted, ".sanapati.test\r\n", ".sanapati.test>\r\n", 2)
	shouted = strings.Replace(shouted, ".sanapati.test>", ".sanapati.test", 1) // that of From
	f.check(os.WriteFile(own, []byte(shouted), 0o600))
	if err := settle(2, 2); err != nil || f.copyStates(n) != "handed evidenced" {
		t.Errorf("error %v, copies %s", err, f.copyStates(n))
	}
}

// What leaves by hand is checked before it is written out.
func TestDamagedMessageIsNotHandedOver(t *testing.T) {
	t.Parallel()
	f, n := doubtful(t)
	_, err := f.Settle(t.Context(), SettleParams{Name: n, To: agenda.CopyReady, Reason: "tujuan belum menerima", Secrets: right})
	f.check(err)
	f.damage(f.entry(n).Copies[0].Message)
	dir := filepath.Join(f.dir, "manual")
	_, folders, err := f.Manual(t.Context(), ManualParams{Name: n, Dir: dir, Secrets: right})
	_, left := os.Stat(dir)
	if coded(err) != CodeDamaged || len(folders) != 0 || !errors.Is(left, os.ErrNotExist) || f.copyStates(n) != "ready" {
		t.Errorf("error %v, folders %v, the folder %v, copies %s", err, folders, left, f.copyStates(n))
	}
}

// damage flips a bit of an object in the vault.
func (f *office) damage(sum agenda.Hash) {
	f.t.Helper()
	path := filepath.Join(f.Dir, vault.ObjectPath(sum))
	data, err := os.ReadFile(path)
	f.check(err)
	data[len(data)/2] ^= 1
	f.check(os.Chmod(path, 0o600))
	f.check(os.WriteFile(path, data, 0o600))
}

// refusing is an office whose gateway knows no addressee.
func refusing(t *testing.T) *office {
	t.Helper()
	a := &answers{stage: "rcpt", reply: &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "unknown user"}}
	return newOffice(t, loopback.Options{Hook: a.hook})
}

// What became of other copies, and of the people who signed, is no matter of
// the copy at hand.
func TestReaddressWhateverElseChanged(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*office, agenda.Name) error{
		"other_copy_cancelled": func(f *office, n agenda.Name) error {
			_, err := f.Settle(f.t.Context(), SettleParams{Name: n, Copy: 1, To: agenda.CopyCancelled, Reason: "batal", Secrets: right})
			return err
		},
		"head_gone": func(f *office, _ agenda.Name) error {
			return f.EndRole(f.t.Context(), "kasi", agenda.RoleGrant{Role: agenda.RoleKepalaSeksi})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := refusing(t)
			n := f.signed("jateng", "batang")
			f.send(n)
			was := f.entry(n)
			f.check(change(f, n))
			e, err := f.Readdress(t.Context(), n, 2, "alamat salah", right)
			if err != nil || e.Copies[1].State != agenda.CopyReady || e.Copies[1].MessageID == was.Copies[1].MessageID || e.Number != was.Number {
				t.Errorf("error %v, copies %s, number %q", err, f.copyStates(n), e.Number)
			}
		})
	}
}

func TestReaddressOfADamagedScan(t *testing.T) {
	t.Parallel()
	f := refusing(t)
	n := f.ordinary("jateng")
	_, err := f.Attach(t.Context(), AttachParams{Name: n, Files: []string{f.file("scan.pdf", plainLetter)}})
	f.check(err)
	f.send(n)
	f.damage(f.entry(n).Attachments[0].Object.SHA256)
	if _, err := f.Readdress(t.Context(), n, 1, "alamat salah", right); coded(err) != CodeDamaged || f.copyStates(n) != "rejected" {
		t.Errorf("error %v, copies %s", err, f.copyStates(n))
	}
}

// A copy that was in doubt may be with its recipient, also when it was given
// up: its kriptogram is not void.
func TestNoVoidAfterDoubt(t *testing.T) {
	t.Parallel()
	f, n := doubtful(t)
	_, err := f.Settle(t.Context(), SettleParams{Name: n, To: agenda.CopyCancelled, Reason: "batal", Secrets: right})
	f.check(err)
	e := f.entry(n)
	if err := f.Book.Void(t.Context(), f.Nobody(), e.ID, e.Last, "batal", "nota dinas 1"); coded(err) != "agenda.void_refused" || f.entry(n).State != agenda.StateReleased {
		t.Errorf("error %v, state %s", err, f.entry(n).State)
	}
}

// queued releases entries while the gateway is away.
func (f *office) queued(names ...agenda.Name) {
	f.t.Helper()
	address := f.Config.Gateway.Address
	f.Config.Gateway.Address = "127.0.0.1:1"
	_, err := f.Send(f.t.Context(), SendParams{Names: names, Queue: true, Secrets: right})
	f.check(err)
	f.Config.Gateway.Address = address
}

// `send --due` leaves a copy alone whose time has not come, also when another
// copy of the entry is due.
func TestDueTakesOnlyTheCopiesThatAreDue(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	n := f.signed("jateng", "batang")
	f.queued(n)
	id := f.entry(n).ID
	refs := []agenda.CopyRef{{Entry: id, Copy: 1}, {Entry: id, Copy: 2}}
	_, err := f.Book.Claim(ctx, refs)
	f.check(err)
	f.check(f.Book.Defer(ctx, refs[0], f.now(), "nanti", nil))
	f.check(f.Book.Defer(ctx, refs[1], f.now().Add(8*time.Hour), "nanti", nil))
	res, err := f.Send(ctx, SendParams{Due: true, Secrets: right})
	if err != nil || len(res.Deliveries) != 1 || res.Plan.Copies != 1 || f.copyStates(n) != "accepted deferred" {
		t.Errorf("error %v, %d deliveries of %d, copies %s", err, len(res.Deliveries), res.Plan.Copies, f.copyStates(n))
	}
}

// A message that is gone from the vault stops its own copy, not the queue.
func TestDamagedCopyDoesNotStopTheQueue(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	a, b := f.signed("jateng"), f.signed("batang")
	f.queued(a, b)
	f.check(os.Remove(filepath.Join(f.Dir, vault.ObjectPath(f.entry(a).Copies[0].Message))))
	_, err := f.Send(t.Context(), SendParams{Due: true, Secrets: right})
	if coded(err) != CodeDamaged || f.copyStates(b) != "accepted" || len(f.gateway.Messages()) != 1 {
		t.Errorf("error %v, copies %s, %d messages", err, f.copyStates(b), len(f.gateway.Messages()))
	}
}

// Objects that no record names go a day later, once a day; no other does.
func TestSendSweepsTheVault(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.signed("jateng")
	w, err := f.Vault.NewObject()
	f.check(err)
	_, err = w.Write([]byte("sisa sebuah proses yang mati"))
	f.check(err)
	lost, _, err := w.Commit()
	f.check(err)
	there := func() bool {
		_, err := os.Stat(filepath.Join(f.Dir, vault.ObjectPath(lost)))
		return err == nil
	}
	// Two days lie between the files and the clock: all of them are old.
	f.check(os.Chtimes(filepath.Join(f.Dir, vault.ObjectPath(lost)), f.now().Add(-48*time.Hour), f.now().Add(-48*time.Hour)))
	old := f.entry(n).Drafted.Kriptogram.SHA256
	f.check(os.Chtimes(filepath.Join(f.Dir, vault.ObjectPath(old)), f.now().Add(-48*time.Hour), f.now().Add(-48*time.Hour)))
	lock, err := vault.TryLock(f.path(sendLock))
	f.check(err)
	f.check(lock.Unlock())
	f.check(os.Chtimes(f.path(sendLock), f.now(), f.now()))
	f.send(n)
	if !there() {
		t.Error("swept twice within a day")
	}
	f.check(os.Chtimes(f.path(sendLock), f.now(), f.now().Add(-25*time.Hour)))
	f.send(n)
	if there() {
		t.Error("an object that nobody names is still there")
	}
	if st, err := os.Stat(f.path(sendLock)); err != nil || f.now().Sub(st.ModTime()) > time.Hour {
		t.Errorf("the sweep is not noted: %v", err)
	}
	f.audited()
}

// What was frozen for an address, a key or a correspondent that has changed
// since does not leave by itself, by no route.
func TestQueueIsHeldForAChangedAddressee(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(f *office)
		code   string
		mends  bool // by sending with the name
	}{
		"address": {func(f *office) {
			_, _, err := f.EditCorrespondent(t.Context(), CorrespondentParams{Handle: "jateng", Address: "baru@contoh.sanapati.test"}, "alamat lama bukan milik tujuan")
			f.check(err)
		}, CodeAddressChanged, true},
		"key": {func(f *office) {
			was := f.certs["jateng"]
			secret, err := crypto.GenerateKey(crypto.GenerateParams{
				Name: "Jateng", Email: "jateng@contoh.sanapati.test", Passphrase: []byte(right.passphrase), Now: f.now(), Kind: crypto.KindRSA3072, Cost: cheap,
			})
			f.check(err)
			cert, err := crypto.CertificateOfSecret(secret)
			f.check(err)
			f.check(os.WriteFile(was, cert.Armor(), 0o600))
			_, _, err = f.EditCorrespondent(t.Context(), CorrespondentParams{Handle: "jateng", Certificate: was}, "kunci lama bocor")
			f.check(err)
			f.check(f.ConfirmCorrespondent(t.Context(), "jateng", string(cert.Fingerprint()), "sandiman tujuan", "telepon"))
		}, CodeAddresseeChanged, false},
		"ended": {func(f *office) {
			c, err := f.Book.Correspondent(t.Context(), "jateng")
			f.check(err)
			c.Ended = true
			f.check(f.Book.ChangeCorrespondent(t.Context(), f.Nobody(), c, "tidak dipakai"))
		}, CodeAddresseeChanged, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newOffice(t, loopback.Options{})
			n := f.signed("jateng", "batang")
			f.queued(n)
			c.change(f)
			if _, _, err := f.Manual(t.Context(), ManualParams{Name: n, Dir: filepath.Join(f.dir, "manual"), Secrets: right}); coded(err) != c.code {
				t.Errorf("manual: %v", err)
			}
			res, err := f.Send(t.Context(), SendParams{Due: true, Secrets: right})
			f.check(err)
			if len(res.Skipped) != 1 || res.Skipped[0].Code != c.code || f.copyStates(n) != "ready accepted" {
				t.Errorf("skipped %+v, copies %s", res.Skipped, f.copyStates(n))
			}
			mended, err := f.ReaddressChanged(t.Context(), []agenda.Name{n}, "alamat diperbaiki", right)
			f.check(err)
			f.send(n)
			states := map[bool]string{true: "accepted accepted", false: "ready accepted"}[c.mends]
			if len(mended) == 1 != c.mends || f.copyStates(n) != states {
				t.Errorf("mended %v, copies %s", mended, f.copyStates(n))
			}
			for _, m := range f.gateway.Messages() {
				if strings.HasPrefix(m.To, "jateng@") {
					t.Errorf("a message went to %s", m.To)
				}
			}
			f.audited()
		})
	}
}

// What was refused for another cause than its address goes again by decision:
// a new message under the same number.
func TestRefusedCopyIsSentAgainByDecision(t *testing.T) {
	t.Parallel()
	a := &answers{stage: "dot", reply: &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 2, 2}, Message: "mailbox full"}}
	f := newOffice(t, loopback.Options{Hook: a.hook})
	n := f.signed("jateng")
	f.send(n)
	was := f.entry(n)
	a.reply = nil
	p := SettleParams{Name: n, To: agenda.CopyReady, Reason: "kotak sudah dikosongkan", Secrets: right}
	if _, err := f.Settle(t.Context(), p); coded(err) != CodeNotInDoubt || f.copyStates(n) != "rejected" {
		t.Errorf("taken back: %v, %s", err, f.copyStates(n))
	}
	p.Refused = true
	_, err := f.Settle(t.Context(), p)
	f.check(err)
	f.send(n)
	e := f.entry(n)
	if e.State != agenda.StateSent || e.Number != was.Number || e.Copies[0].MessageID == was.Copies[0].MessageID || f.numbers() != 1 {
		t.Errorf("state %s, number %s, %+v", e.State, e.Number, e.Copies[0])
	}
	f.judged()
}

// The envelope is frozen with the message: what waits keeps its sender when
// the office gets another mailbox.
func TestEnvelopeIsFrozen(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.signed("jateng")
	f.queued(n)
	was := f.Config.Gateway.From
	f.Config.Gateway.From = "sandi.baru@contoh.sanapati.test"
	res, err := f.Send(t.Context(), SendParams{Due: true, Secrets: right})
	f.check(err)
	taken := f.gateway.Messages()
	if len(res.Deliveries) != 1 || len(taken) != 1 || taken[0].From != was {
		t.Errorf("%+v, taken %+v", res.Deliveries, taken)
	}
	f.judged()
}
