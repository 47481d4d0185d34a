package desk

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sandi/agenda"
	"sandi/mail"
	"sandi/mail/loopback"
)

// dsn is a delivery notice about a copy.
func dsn(c agenda.Copy, action, status string) []byte {
	return fmt.Appendf(nil, `From: MAILER-DAEMON@mx.test
Date: Mon, 23 Nov 2026 08:10:00 +0700
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.test
Original-Envelope-Id: %s

Final-Recipient: rfc822; %s
Action: %s
Status: %s

--b--
`, mail.EnvelopeID(c.MessageID), c.Address, action, status)
}

func answer(from, subject, text, inReplyTo string) []byte {
	return fmt.Appendf(nil, "From: %s\nDate: Mon, 23 Nov 2026 08:20:00 +0700\nSubject: %s\nIn-Reply-To: <%s>\n\n%s\n", from, subject, inReplyTo, text)
}

func TestReceiptsFindTheirCopies(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	k, s := f.signed("jateng", "batang"), f.attached(1, "jateng")[0]
	f.send(k, s)
	number := f.entry(k).Number
	first, second, letter := f.entry(k).Copies[0], f.entry(k).Copies[1], f.entry(s).Copies[0]

	box := filepath.Join(f.dir, "Maildir")
	for _, sub := range []string{"new", "cur", "tmp"} {
		f.check(os.MkdirAll(filepath.Join(box, sub), 0o700))
	}
	put := func(name string, data []byte) { f.check(os.WriteFile(filepath.Join(box, name), data, 0o600)) }
	put("new/1.x", dsn(first, "delivered", "2.0.0"))
	put("cur/2.x:2,S", answer("batang@contoh.sanapati.test", "Kriptogram", "Nomor "+number+" sudah diterima.", ""))
	put("cur/3.x:2,S", answer("orang@lain.test", "Kriptogram", "Nomor "+number+" sudah diterima.", "")) // not the addressee
	put("cur/4.x:2,S", answer("batang@contoh.sanapati.test", "Lain", "Nomor 9"+number+" sudah diterima.", ""))
	put("cur/5.x:2,S", []byte("bukan email"))
	put("tmp/6.x", dsn(second, "delivered", "2.0.0")) // still being written
	mbox := f.file("kotak.mbox", append(append([]byte("From a@b Mon\n"), dsn(letter, "failed", "5.1.1")...), '\n'))

	overdue := func() string {
		list, err := f.Overdue(ctx, -1)
		f.check(err)
		var out string
		for _, o := range list {
			out += fmt.Sprintf("%s/%d/%v ", o.Entry.Name, o.Copy.Copy, o.Failed)
		}
		return out
	}
	if got, want := overdue(), "K1/1/false K1/2/false S1/1/false "; got != want {
		t.Errorf("unconfirmed %q, want %q", got, want)
	}
	for run, known := range []bool{false, true} {
		res, err := f.Receipts(ctx, ReceiptParams{Sources: []string{box, mbox}})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, r := range res.Receipts {
			if r.Known != known {
				t.Errorf("run %d: %s known %v", run, r.Entry, r.Known)
			}
			got[fmt.Sprintf("%s/%d", r.Entry, r.Ref.Copy)] = fmt.Sprintf("%s %s %s", r.Kind, r.Action, r.Matched)
		}
		want := map[string]string{"K1/1": "dsn delivered envid", "K1/2": "reply answered number", "S1/1": "dsn failed envid"}
		if fmt.Sprint(got) != fmt.Sprint(want) || res.Messages != 6 || res.Foreign != 2 || res.Broken != 1 {
			t.Errorf("run %d: %v, want %v; %d messages, %d foreign, %d broken", run, got, want, res.Messages, res.Foreign, res.Broken)
		}
	}
	if got, want := overdue(), "S1/1/true "; got != want {
		t.Errorf("unconfirmed %q, want %q", got, want)
	}
	if f.copyStates(s) != "accepted" || f.entry(s).State != agenda.StateSent {
		t.Errorf("a failed notice made the copy %s", f.copyStates(s))
	}
	f.audited()
}

// A delivery notice proves a copy in doubt; nothing less does.
func TestNoticeProvesDoubt(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		notice func(agenda.Copy) []byte
		state  agenda.CopyState
	}{
		"delivered": {func(c agenda.Copy) []byte { return dsn(c, "delivered", "2.0.0") }, agenda.CopyEvidenced},
		"relayed":   {func(c agenda.Copy) []byte { return dsn(c, "relayed", "2.0.0") }, agenda.CopyEvidenced},
		"failed":    {func(c agenda.Copy) []byte { return dsn(c, "failed", "5.0.0") }, agenda.CopyDoubt},
		"other_envelope": {func(c agenda.Copy) []byte {
			c.MessageID = "00000000000000000000000000000000@contoh.sanapati.test"
			return dsn(c, "delivered", "2.0.0")
		}, agenda.CopyDoubt},
		"answer": {func(c agenda.Copy) []byte {
			return answer(c.Address, "Re: Kiriman", "sudah diterima", c.MessageID)
		}, agenda.CopyDoubt},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, n := doubtful(t)
			path := f.file("notis.eml", c.notice(f.entry(n).Copies[0]))
			// Armed by a process that died: the command recovers it first.
			res, err := f.Receipts(t.Context(), ReceiptParams{Sources: []string{path}})
			if err != nil {
				t.Fatal(err)
			}
			e := f.entry(n)
			if e.Copies[0].State != c.state {
				t.Errorf("copy is %s, want %s (%+v)", e.Copies[0].State, c.state, res)
			}
			if sent := e.State == agenda.StateSent; sent != (c.state == agenda.CopyEvidenced) {
				t.Errorf("entry is %s", e.State)
			}
			f.audited()
		})
	}
}

func TestNumberAsAWord(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"001": true, "nomor 001.": true, "nomor: 001": true, "1001": false, "001/2026": false, "a001": false, "002 001, 003": true, "": false, "x0011 001": true,
	} {
		if got := names(text, "001"); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestReceiptsDryRun(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	n := f.attached(1, "jateng")[0]
	f.send(n)
	path := f.file("notis.eml", dsn(f.entry(n).Copies[0], "delivered", "2.0.0"))
	res, err := f.Receipts(t.Context(), ReceiptParams{Sources: []string{path}, DryRun: true})
	noted, rerr := f.Book.Receipts(t.Context(), f.entry(n).ID)
	if err != nil || rerr != nil || len(res.Receipts) != 1 || len(noted) != 0 {
		t.Errorf("%d found, %d noted, %v %v", len(res.Receipts), len(noted), err, rerr)
	}
	if list, err := f.Overdue(t.Context(), 5); err != nil || len(list) != 0 {
		t.Errorf("overdue within its time: %d (%v)", len(list), err)
	}
	if got := res.Receipts[0].At; !got.Equal(time.Date(2026, 11, 23, 1, 10, 0, 0, time.UTC)) {
		t.Errorf("dated %v", got)
	}
}
