package mail

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const ourID = "0123456789abcdef0123456789abcdef@contoh.sanapati.test"

// A notice as Postfix writes it for NOTIFY=SUCCESS.
var postfixDSN = strings.ReplaceAll(`From: MAILER-DAEMON@contoh.sanapati.test (Mail Delivery System)
To: persandian@contoh.sanapati.test
Subject: Successful Mail Delivery Report
Date: Mon, 23 Nov 2026 09:10:11 +0700 (WIB)
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="9F8.1/mx"

This is a MIME-encapsulated message.

--9F8.1/mx
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

Your message was successfully delivered.

--9F8.1/mx
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.contoh.sanapati.test
Original-Envelope-Id: 0123456789abcdef0123456789abcdef
X-Postfix-Queue-ID: 9F8
Arrival-Date: Mon, 23 Nov 2026 09:10:10 +0700 (WIB)

Final-Recipient: rfc822; jateng@contoh.sanapati.test
Original-Recipient: rfc822;jateng+2Bx@contoh.sanapati.test
Action: delivered
Status: 2.0.0
Remote-MTA: dns; imap.contoh.sanapati.test
Diagnostic-Code: smtp; 250 2.0.0 Saved

Final-Recipient: rfc822; batang@contoh.sanapati.test
Action: failed (permanently)
Status: 5.1.1 (unknown)

--9F8.1/mx
Content-Description: Message Headers
Content-Type: text/rfc822-headers

Return-Path: <persandian@contoh.sanapati.test>
Message-ID: <`+ourID+`>
Subject: Kiriman persandian

--9F8.1/mx--
`, "\n", "\r\n")

const mdn = `From: "Operator" <jateng@contoh.sanapati.test>
Date: Mon, 23 Nov 2026 10:00:00 +0700
Subject: =?utf-8?q?Dibaca=3A_Kiriman?=
Content-Type: multipart/report; report-type=disposition-notification; boundary=b

--b
Content-Type: text/plain

Pesan telah dibuka.
--b
Content-Type: message/disposition-notification

Reporting-UA: mua.contoh.test; Thunderbird
Final-Recipient: rfc822;jateng@contoh.sanapati.test
Original-Message-ID: <` + ourID + `>
Disposition: manual-action/MDN-sent-manually; displayed/warning

--b--
`

const reply = `From: jateng@contoh.sanapati.test
Date: Mon, 23 Nov 2026 10:30:00 +0700
Subject: Re: Kiriman persandian
In-Reply-To: <` + ourID + `>
References: <a@b.test> <` + ourID + `>
Content-Transfer-Encoding: quoted-printable

Sudah diterima, nomor 001/SANDI=20
`

func TestParseNotices(t *testing.T) {
	t.Parallel()
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	dsn := Notice{
		Kind: NoticeDSN, EnvelopeID: EnvelopeID(ourID), MessageIDs: []string{ourID}, Remote: "mx.contoh.sanapati.test",
		At: at("2026-11-23T02:10:11Z"), Subject: "Successful Mail Delivery Report", Text: "Your message was successfully delivered.\r\n",
	}
	delivered, failed := dsn, dsn
	delivered.Recipient, delivered.Action, delivered.Status = "jateng+x@contoh.sanapati.test", "delivered", "2.0.0"
	failed.Recipient, failed.Action, failed.Status = "batang@contoh.sanapati.test", "failed", "5.1.1"
	cases := map[string]struct {
		message string
		want    []Notice
	}{
		"dsn_crlf": {postfixDSN, []Notice{delivered, failed}},
		"dsn_lf": {strings.ReplaceAll(postfixDSN, "\r\n", "\n"), func() []Notice {
			a, b := delivered, failed
			a.Text, b.Text = "Your message was successfully delivered.\n", "Your message was successfully delivered.\n"
			return []Notice{a, b}
		}()},
		"mdn": {mdn, []Notice{{
			Kind: NoticeMDN, MessageIDs: []string{ourID}, Recipient: "jateng@contoh.sanapati.test", Remote: "jateng@contoh.sanapati.test",
			Action: "displayed", At: at("2026-11-23T03:00:00Z"), Subject: "Dibaca: Kiriman", Text: "Pesan telah dibuka.",
		}}},
		"reply": {reply, []Notice{{
			Kind: NoticeReply, MessageIDs: []string{ourID, "a@b.test", ourID}, Recipient: "jateng@contoh.sanapati.test",
			Remote: "jateng@contoh.sanapati.test", Action: "answered", At: at("2026-11-23T03:30:00Z"),
			Subject: "Re: Kiriman persandian", Text: "Sudah diterima, nomor 001/SANDI \n",
		}}},
		"times_of_the_way": {
			"Received: from mx.test by imap.test (Postfix; x) with LMTP;\n Mon, 23 Nov 2026 11:00:00 +0700 (WIB)\n" +
				"Received: from a by mx.test; Mon, 23 Nov 2025 11:00:00 +0700\nFrom: a@b.test\nDate: Mon, 23 Nov 2020 10:30:00 +0700\n\nisi\n",
			[]Notice{{
				Kind: NoticeReply, Recipient: "a@b.test", Remote: "a@b.test", Action: "answered", At: at("2020-11-23T03:30:00Z"),
				Received: at("2026-11-23T04:00:00Z"), Text: "isi\n",
			}},
		},
		"odd_times": {
			"Received: from mx.test\nFrom: a@b.test\nDate: kemarin\n\nisi\n",
			[]Notice{{Kind: NoticeReply, Recipient: "a@b.test", Remote: "a@b.test", Action: "answered", Text: "isi\n"}},
		},
		"out_of_office":                {"From: jateng@contoh.sanapati.test\nAuto-Submitted: auto-replied\nIn-Reply-To: <" + ourID + ">\n\ncuti\n", nil},
		"out_of_office_of_old_servers": {"From: jateng@contoh.sanapati.test\nPrecedence: Bulk\nIn-Reply-To: <" + ourID + ">\n\ncuti\n", nil},
		"out_of_office_marked":         {"From: jateng@contoh.sanapati.test\nX-Autoreply: yes\nIn-Reply-To: <" + ourID + ">\n\ncuti\n", nil},
		"out_of_office_of_a_panel":     {"From: jateng@contoh.sanapati.test\nX-Autorespond: cuti\nIn-Reply-To: <" + ourID + ">\n\ncuti\n", nil},
		"report_of_another_kind": {
			"From: jateng@contoh.sanapati.test\nContent-Type: multipart/report; boundary=b\nIn-Reply-To: <" + ourID + ">\n\n--b\n\ntidak sampai\n--b--\n", nil,
		},
		"bounce_in_words": {"Return-Path: <>\nFrom: jateng@contoh.sanapati.test\nIn-Reply-To: <" + ourID + ">\n\ntidak sampai\n", nil},
		"report_without_recipients": {
			"From: a@b.test\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n--b--\n", nil,
		},
		"odd_words": {
			"From: a@b.test\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n" +
				"Final-Recipient: rfc822; c@d.test\nAction: del\x1bivered\nStatus: 2.0\n\n--b--\n", nil,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseNotices([]byte(c.message))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("notices (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseNoticesRefuses(t *testing.T) {
	t.Parallel()
	for name, message := range map[string][]byte{
		"empty": nil, "no_header": []byte("halo"), "large": make([]byte, maxNotice+1),
	} {
		var e *Error
		if got, err := ParseNotices(message); !errors.As(err, &e) || e.Code() != CodeParse || got != nil {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

func TestEachMbox(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200_000) + "\n"
	for name, c := range map[string]struct {
		box  string
		want []string
	}{
		"two":            {"From a@b Mon\nA: 1\n\nisi\n\nFrom c@d Tue\nB: 2\n\nlain\n", []string{"A: 1\n\nisi\n\n", "B: 2\n\nlain\n"}},
		"crlf":           {"From a@b\r\nA: 1\r\n\r\nFrom c@d\r\nB: 2\r\n", []string{"A: 1\r\n\r\n", "B: 2\r\n"}},
		"from_in_text":   {"From a@b\nA: 1\n\nkata\nFrom sini\n", []string{"A: 1\n\nkata\nFrom sini\n"}},
		"long_line":      {"From a@b\nA: 1\n\n" + long, []string{"A: 1\n\n" + long}},
		"no_separator":   {"A: 1\n\nisi\n", nil},
		"empty":          {"", nil},
		"long_separator": {"From " + long + "A: 1\n", []string{"A: 1\n"}},
	} {
		var got []string
		if err := EachMbox(strings.NewReader(c.box), func(m []byte) error {
			got = append(got, string(m))
			return nil
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func FuzzParseNotices(f *testing.F) {
	for _, s := range []string{postfixDSN, mdn, reply} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		got, err := ParseNotices(message)
		if err != nil && got != nil {
			t.Fatal("notices beside an error")
		}
		for _, n := range got {
			if n.Action == "" || n.Action != word(n.Action) || n.Status != status(n.Status) || len(n.Text) > maxNoticeText {
				t.Errorf("notice %+v", n)
			}
			for _, id := range n.MessageIDs {
				if !validMessageID(id) {
					t.Errorf("identifier %q", id)
				}
			}
		}
	})
}

// A notice has one form to keep, whatever line ends it came with; what it was
// kept as before is among the others.
func TestNoticeForms(t *testing.T) {
	t.Parallel()
	const kept = "A: 1\r\n\r\nisi \rx\r\n"
	for _, came := range []string{
		kept, "A: 1\n\nisi \rx\n", "A: 1\n\r\nisi \rx\n", "A: 1\n\nisi \rx", "A: 1\n\nisi \rx\n\n", kept + "\r\n", kept + "\n\r\n\r\n",
	} {
		got, before := NoticeForms([]byte(came))
		if string(got) != kept {
			t.Errorf("%q is kept as %q", came, got)
		}
		for _, form := range append(before, got) {
			if again, _ := NoticeForms(form); string(again) != kept {
				t.Errorf("%q: form %q would be kept as %q", came, form, again)
			}
		}
		if !slices.ContainsFunc(append(before, got), func(form []byte) bool { return string(form) == came }) {
			t.Errorf("%q would be noted again: %q", came, before)
		}
	}
}
