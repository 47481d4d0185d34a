package desk

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
		list, err := f.Overdue(ctx, new(-1))
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

// A Message-ID is known to everybody whom a message was forwarded to. That it
// arrived is believed only of the address that it went to; that it did not, of
// anybody: a warning too many harms nobody.
func TestArrivalIsOfTheAddressee(t *testing.T) {
	t.Parallel()
	mdn := func(c agenda.Copy, reader, what string) []byte {
		return fmt.Appendf(nil, `From: %s
Content-Type: multipart/report; report-type=disposition-notification; boundary=b

--b
Content-Type: message/disposition-notification

Final-Recipient: rfc822; %s
Original-Message-ID: <%s>
Disposition: manual-action/MDN-sent-manually; %s

--b--
`, reader, reader, c.MessageID, what)
	}
	other := func(c agenda.Copy, action string) []byte {
		c.Address = "orang@lain.test"
		return dsn(c, action, "2.0.0")
	}
	cases := map[string]struct {
		notice  func(agenda.Copy) []byte
		strange bool
		noted   int
	}{
		"answer":               {func(c agenda.Copy) []byte { return answer(c.Address, "Re", "DITERIMA", c.MessageID) }, false, 1},
		"answer_in_capitals":   {func(c agenda.Copy) []byte { return answer(strings.ToUpper(c.Address), "Re", "DITERIMA", c.MessageID) }, false, 1},
		"answer_of_a_stranger": {func(c agenda.Copy) []byte { return answer("orang@lain.test", "Re", "DITERIMA", c.MessageID) }, true, 0},
		"answer_of_ourselves": {func(c agenda.Copy) []byte {
			return answer("persandian@contoh.sanapati.test", "Re", "DITERIMA", c.MessageID)
		}, true, 0},
		"answer_of_nobody":      {func(c agenda.Copy) []byte { return answer("", "Re", "DITERIMA", c.MessageID) }, true, 0},
		"read":                  {func(c agenda.Copy) []byte { return mdn(c, c.Address, "displayed") }, false, 1},
		"read_by_a_stranger":    {func(c agenda.Copy) []byte { return mdn(c, "orang@lain.test", "displayed") }, true, 0},
		"deleted_by_a_stranger": {func(c agenda.Copy) []byte { return mdn(c, "orang@lain.test", "deleted") }, false, 1},
		"delivered_elsewhere":   {func(c agenda.Copy) []byte { return other(c, "delivered") }, true, 0},
		"failed_elsewhere":      {func(c agenda.Copy) []byte { return other(c, "failed") }, false, 1},
	}
	f := newOffice(t, loopback.Options{})
	n := f.attached(1, "jateng")[0]
	f.send(n)
	e := f.entry(n)
	for name, c := range cases {
		before, err := f.Book.Receipts(t.Context(), e.ID)
		f.check(err)
		res, err := f.Receipts(t.Context(), ReceiptParams{Sources: []string{f.file(name+".eml", c.notice(e.Copies[0]))}})
		f.check(err)
		after, err := f.Book.Receipts(t.Context(), e.ID)
		f.check(err)
		if len(res.Receipts) != 1 || res.Receipts[0].Strange != c.strange || len(after)-len(before) != c.noted {
			t.Errorf("%s: %+v, %d noted, want %d", name, res.Receipts, len(after)-len(before), c.noted)
		}
	}
	f.audited()
}

// A number comes again every year, and old answers lie in the same mailbox.
func TestNumberOfAnotherLetter(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	first := f.signed("jateng")
	f.send(first)
	e := f.entry(first)
	release, address, number := e.ReleasedAt, e.Copies[0].Address, e.Number
	confirm := "DITERIMA " + number + " salinan 1"
	// message is an answer with a time by its writer and one by our own server.
	message := func(date, received time.Time, text string) []byte {
		var head string
		if !received.IsZero() {
			head += "Received: from mx.lain.test by imap.test; " + received.Format(time.RFC1123Z) + "\n"
		}
		if !date.IsZero() {
			head += "Date: " + date.Format(time.RFC1123Z) + "\n"
		}
		return []byte(head + "From: " + address + "\nSubject: Konfirmasi\n\n" + text + "\n")
	}
	year := 365 * 24 * time.Hour
	never, now, lastYear := time.Time{}, release.Add(10*time.Minute), release.Add(-year)
	cases := []struct {
		name           string
		date, received time.Time
		text           string
		why            string
		at             time.Time // of the record
	}{
		{"dated before", lastYear, never, confirm, StrangeEarly, lastYear},
		{"dated two hours before", release.Add(-2 * time.Hour), never, confirm, StrangeEarly, release.Add(-2 * time.Hour)},
		{"dated behind, taken before", now, lastYear, confirm, StrangeEarly, lastYear},
		{"dated before, taken behind", lastYear, now, confirm, StrangeEarly, lastYear},
		{"no time", never, never, confirm, StrangeUndated, never},
		{"another year in its words", now, now, confirm + ", 20 November 2025, 10.00, operator", StrangeYear, now},
		{"another year as a date", now, now, confirm + ", 20-11-2025, 10.00, operator", StrangeYear, now},
		{"a clock that is slow", release.Add(-30 * time.Minute), now, confirm, "", release.Add(-30 * time.Minute)},
		{"no date, taken behind", never, now, confirm, "", now},
		{"this year", now, never, confirm + ", 23-11-2026, 10.00, operator", "", now},
		{"this year beside that of the letter", now, never, confirm + ", 23-11-2026, surat 30-12-2025", "", now},
		{"a year elsewhere", now, never, "Surat tahun 2025 terlampir.\n" + confirm, "", now},
	}
	for _, c := range cases {
		before, err := f.Book.Receipts(ctx, e.ID)
		f.check(err)
		res, err := f.Receipts(ctx, ReceiptParams{Sources: []string{f.file("jawab.eml", message(c.date, c.received, c.text))}})
		f.check(err)
		after, err := f.Book.Receipts(ctx, e.ID)
		f.check(err)
		if len(res.Receipts) != 1 {
			t.Errorf("%s: %+v", c.name, res)
			continue
		}
		r := res.Receipts[0]
		if r.Entry != first || r.Matched != agenda.MatchedNumber || r.Why != c.why || r.Strange != (c.why != "") || !r.At.Equal(c.at.Truncate(time.Second)) {
			t.Errorf("%s: %s by %s, %q, dated %v, want %q, dated %v", c.name, r.Entry, r.Matched, r.Why, r.At, c.why, c.at)
		}
		if noted := len(after) - len(before); (noted == 1) != (c.why == "") {
			t.Errorf("%s: %d noted", c.name, noted)
		}
	}
	// The Message-ID was known to nobody before the release: a wrong clock harms nothing.
	old := bytes.Replace(answer(address, "Re", confirm, e.Copies[0].MessageID), []byte("23 Nov 2026"), []byte("23 Nov 2016"), 1)
	res, err := f.Receipts(ctx, ReceiptParams{Sources: []string{f.file("balas.eml", old)}})
	f.check(err)
	if len(res.Receipts) != 1 || res.Receipts[0].Strange || !res.Receipts[0].At.IsZero() {
		t.Errorf("answer to the message itself: %+v", res.Receipts)
	}
	// An answer that names two numbers of the same addressee: a person decides.
	second := f.signed("jateng")
	f.send(second)
	both := message(f.entry(second).ReleasedAt.Add(time.Minute), never, "DITERIMA "+number+" dan "+f.entry(second).Number)
	res, err = f.Receipts(ctx, ReceiptParams{Sources: []string{f.file("dua.eml", both)}})
	f.check(err)
	if len(res.Receipts) != 1 || res.Receipts[0].Why != StrangeSeveral {
		t.Errorf("two numbers: %+v", res.Receipts)
	}
	f.audited()
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
	if list, err := f.Overdue(t.Context(), nil); err != nil || len(list) != 0 {
		t.Errorf("overdue within its time: %d (%v)", len(list), err)
	}
	if got := res.Receipts[0].At; !got.Equal(time.Date(2026, 11, 23, 1, 10, 0, 0, time.UTC)) {
		t.Errorf("dated %v", got)
	}
}

// Taken by the server and received stay two things on every sheet and on the
// desk, whatever comes back.
func TestReceiptsOnPaper(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	k, s := f.signed("jateng", "batang"), f.attached(1, "jateng")[0]
	f.send(k, s)
	_, err := f.Archive(ctx, s, "")
	f.check(err)
	dispatch := func() (words []string) {
		sheet, err := f.DispatchSheet(ctx, DispatchParams{From: midnight(monday), Until: midnight(monday).AddDate(0, 0, 1), Period: "23 November 2026"})
		f.check(err)
		for _, row := range sheet.Sections[0].Rows {
			words = append(words, row[5])
		}
		return words
	}
	head := func(of ...agenda.Name) string {
		r, err := f.headReport(ctx, f.entries(of...), false)
		f.check(err)
		return string(r.Text)
	}
	applicant := func(of agenda.Name) string {
		r, err := f.applicantReport(ctx, f.entries(of), false)
		f.check(err)
		return string(r.Text)
	}
	if got := dispatch(); !slices.Equal(got, []string{"", "", ""}) {
		t.Errorf("confirmations before any receipt: %q", got)
	}
	for _, n := range []agenda.Name{k, s} {
		if text := applicant(n); !strings.Contains(text, acceptedRemark) {
			t.Errorf("%s: %s", n, text)
		}
	}
	first, second, letter := f.entry(k).Copies[0], f.entry(k).Copies[1], f.entry(s).Copies[0]
	// A person's answer says more than the report of a server, in either order.
	sources := []string{
		f.file("1.eml", answer(first.Address, "Re: Kiriman", "DITERIMA", first.MessageID)), f.file("2.eml", dsn(first, "delivered", "2.0.0")),
		f.file("3.eml", dsn(second, "delayed", "4.0.0")), f.file("4.eml", dsn(letter, "failed", "5.1.1")),
	}
	_, err = f.Receipts(ctx, ReceiptParams{Sources: sources})
	f.check(err)
	if got, want := dispatch(), []string{"23-11-2026\n08.20\nbalasan", "", "tidak sampai\nlaporan server"}; !slices.Equal(got, want) {
		t.Errorf("dispatch book %q, want %q", got, want)
	}
	if text := head(k, s); !strings.Contains(text, "08.20") || !strings.Contains(text, "S1 salinan 1 tidak sampai menurut laporan server") {
		t.Error(text)
	}
	if text := applicant(k); !strings.Contains(text, "dikonfirmasi 1 dari 2 tujuan") {
		t.Error(text)
	}
	if text := strings.Join(strings.Fields(applicant(s)), " "); !strings.Contains(text, "diterima server; tidak sampai menurut laporan server") {
		t.Error(text)
	}
	g, err := f.Glance(ctx)
	f.check(err)
	if len(g.Tasks) != 1 || g.Tasks[0].Entry.Name != s || g.Tasks[0].Next != NextAgain || g.Tasks[0].Handle != "jateng" || g.Unconfirmed != 0 {
		t.Errorf("glance: %d unconfirmed, tasks %+v", g.Unconfirmed, g.Tasks)
	}
	// Eight service hours later the silent copy is late; seven are its time.
	f.opts.Now = (&clock{t: monday.Add(28 * time.Hour)}).now
	if g, err = f.Glance(ctx); err != nil || g.Unconfirmed != 1 {
		t.Errorf("%d unconfirmed: %v", g.Unconfirmed, err)
	}
	late, err := f.Overdue(ctx, nil)
	if err != nil || len(late) != 2 || late[0].Copy.Handle != "batang" || late[0].Failed || late[1].Entry.Name != s || !late[1].Failed {
		t.Errorf("late: %+v %v", late, err)
	}
	// A notice with an impossible date stands at the time when it was noted.
	old := bytes.Replace(dsn(second, "delivered", "2.0.0"), []byte("23 Nov 2026"), []byte("23 Nov 2016"), 1)
	_, err = f.Receipts(ctx, ReceiptParams{Sources: []string{f.file("5.eml", old)}})
	f.check(err)
	noted, err := f.Book.Receipts(ctx, f.entry(k).ID)
	f.check(err)
	if r, ok := Confirmation(noted, agenda.CopyRef{Entry: f.entry(k).ID, Copy: 2}); !ok || !r.At.Equal(r.NotedAt) {
		t.Errorf("dated %v, noted %v", r.At, r.NotedAt)
	}
	f.audited()
}

func (f *office) entries(names ...agenda.Name) (out []agenda.Entry) {
	for _, n := range names {
		out = append(out, f.entry(n))
	}
	return out
}

// One notice is one notice, wherever it is read first and then: on a server
// (CRLF), in a Maildir (LF), in an mbox (an empty line more), in a desk that
// still kept notices as it read them.
func TestNoticeIsNotedOnce(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	names := f.attached(4, "jateng")
	f.send(names...)
	forms := map[string]func([]byte) []byte{
		"maildir": func(m []byte) []byte { return m },
		"imap":    func(m []byte) []byte { return bytes.ReplaceAll(m, []byte("\n"), []byte("\r\n")) },
		"mbox":    func(m []byte) []byte { return slices.Concat([]byte("From a@b Mon\n"), m, []byte("\n")) },
		"crlf_mbox": func(m []byte) []byte {
			return bytes.ReplaceAll(slices.Concat([]byte("From a@b Mon\n"), m, []byte("\n")), []byte("\n"), []byte("\r\n"))
		},
		"mixed":  func(m []byte) []byte { return bytes.Replace(m, []byte("\n"), []byte("\r\n"), 2) },
		"no_end": func(m []byte) []byte { return bytes.TrimRight(m, "\n") },
	}
	orders := [][]string{
		{"maildir", "imap", "mbox", "crlf_mbox", "mixed", "no_end"}, {"imap", "maildir", "mbox", "mixed"}, {"mbox", "imap", "maildir"}, {"mixed", "mbox", "imap"},
	}
	for i, order := range orders {
		e := f.entry(names[i])
		notice := dsn(e.Copies[0], "delivered", "2.0.0")
		for n, form := range order {
			res, err := f.Receipts(t.Context(), ReceiptParams{Sources: []string{f.file(fmt.Sprint(form, i), forms[form](notice))}})
			f.check(err)
			if len(res.Receipts) != 1 || res.Receipts[0].Known != (n > 0) {
				t.Errorf("%q: %s: %+v", order, form, res.Receipts)
			}
		}
		noted, err := f.Book.Receipts(t.Context(), e.ID)
		f.check(err)
		if want := dataObject(forms["imap"](notice), mailMedia).SHA256; len(noted) != 1 || noted[0].Object.SHA256 != want {
			t.Errorf("%q: %d noted", order, len(noted))
		}
	}
	// Noted by an older program, as it came from there.
	for _, old := range []string{"maildir", "imap", "mbox"} {
		n := f.attached(1, "jateng")[0]
		f.send(n)
		e := f.entry(n)
		notice := dsn(e.Copies[0], "delivered", "2.0.0")
		came := bytes.TrimPrefix(forms[old](notice), []byte("From a@b Mon\n"))
		known, err := f.Book.NoteReceipt(t.Context(), f.Nobody(), agenda.Receipt{
			Ref: agenda.CopyRef{Entry: e.ID, Copy: 1}, Kind: agenda.ReceiptDSN, Action: "delivered", Matched: agenda.MatchedEnvelope,
			Object: dataObject(came, mailMedia),
		})
		if f.check(err); known {
			t.Fatal("known before it was noted")
		}
		for form, of := range forms {
			res, err := f.Receipts(t.Context(), ReceiptParams{Sources: []string{f.file(old+form, of(notice))}})
			f.check(err)
			if len(res.Receipts) != 1 || !res.Receipts[0].Known {
				t.Errorf("noted from %s, then %s: %+v", old, form, res.Receipts)
			}
		}
	}
	f.audited()
}
