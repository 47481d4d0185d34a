package desk

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	netmail "net/mail"
	"slices"
	"strings"
	"testing"
	"unicode"

	smtp "github.com/emersion/go-smtp"

	"sandi/agenda"
	"sandi/cmd/internal/config"
	"sandi/mail"
	"sandi/mail/loopback"
)

// hostile are texts that would be something else than a text if a line, a
// header, a command or a terminal took them as they are.
var hostile = map[string]string{
	"header":       "Bagian\r\nBcc: musuh@lain.test\r\n\r\nisi palsu",
	"bare":         "Bagian\nBcc: musuh@lain.test\rX-Palsu: ya",
	"dot":          "Bagian\r\n.\r\nMAIL FROM:<musuh@lain.test>\r\nRCPT TO:<musuh@lain.test>\r\nDATA",
	"bare_dot":     "Bagian\n.\nQUIT\r.\r",
	"nul":          "Bagian\x00 Umum\x1b[2J\x07\x7f",
	"separators":   "Bagian\u2028Umum\u2029Setda\u0085akhir",
	"bidi":         "Bagian \u202egnatab\u202c \u2066x\u2069 \u200fy \u061c",
	"invisible":    "Ba\u200bgi\u00adan\ufeff Um\u2060um",
	"encoded_word": "=?utf-8?B?QmNjOiBtdXN1aEBsYWluLnRlc3Q=?= =?utf-8?q?=0D=0ABcc:_x?=",
	"boundary":     "--=-sandi-\r\nContent-Type: text/html\r\n\r\n<script>",
	"from_line":    "From persandian@lain.test Mon Nov 23 08:05:00 2026\n>From lain",
	"block":        "Bagian\n\nsandi-pengantar/1\nnomor 999\n",
	"quoting":      `"Bagian", <musuh@lain.test>; \"=?x (a) %0D%0A`,
	"long":         strings.Repeat("panjang", 500),
	"long_words":   strings.Repeat("kata yang panjang ", 200),
	"wide":         strings.Repeat("県庁", 100) + " e\u0301\u0301\u0301",
}

// wholesome complains of everything in a message that is no plain text of
// ASCII lines with the header fields that were meant, and in the texts that a
// person reads of anything that a screen would obey.
func (f *office) wholesome(what string, got loopback.Accepted) {
	f.t.Helper()
	data := got.Data
	head, _, _ := bytes.Cut(data, []byte("\r\n\r\n"))
	var fields []string
	for line := range strings.SplitSeq(string(head), "\r\n") {
		if name, _, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, " ") {
			fields = append(fields, name)
		}
	}
	want := []string{"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"}
	if !slices.Equal(fields, want) {
		f.t.Errorf("%s: header fields %q", what, fields)
	}
	for line := range bytes.Lines(data) {
		text, ended := bytes.CutSuffix(line, []byte("\r\n"))
		if !ended || len(text) > 78 || bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r > '~' }) || bytes.HasPrefix(text, []byte("From ")) {
			f.t.Errorf("%s: line %q", what, line)
		}
	}
	m, err := netmail.ReadMessage(bytes.NewReader(data))
	f.check(err)
	for _, name := range []string{"From", "To"} {
		list, err := m.Header.AddressList(name)
		if err != nil || len(list) != 1 || list[0].Name != "" || name == "To" && list[0].Address != got.To || name == "From" && list[0].Address != got.From {
			f.t.Errorf("%s: %s %v for the envelope %s, %s (%v)", what, name, list, got.From, got.To, err)
		}
	}
	parsed, err := mail.Parse(bytes.NewReader(data), int64(len(data)))
	f.check(err)
	harmless := func(part string, text []byte) {
		for _, r := range string(text) {
			if unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\f' || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
				f.t.Errorf("%s: %s holds %U", what, part, r)
				return
			}
		}
		for _, line := range []string{"Bcc: ", "X-Palsu: ", "MAIL FROM", "sandi-pengantar/1\nnomor 999", "Content-Type"} {
			if bytes.Contains(text, []byte("\n"+line)) {
				f.t.Errorf("%s: %s has a line that begins %q", what, part, line)
			}
		}
	}
	harmless("subject", []byte(parsed.Subject))
	harmless("cover", parsed.Cover)
	for i := range parsed.Parts {
		p := &parsed.Parts[i]
		text, err := io.ReadAll(p.Open())
		f.check(err)
		if strings.HasPrefix(p.Media, "text/") || strings.HasSuffix(p.Name, ".txt") {
			harmless(p.Name, text)
		}
	}
}

// setting tells what the settings say of a name of the office.
func setting(name string) error {
	_, err := config.Parse(config.Render(name, "persandian@contoh.sanapati.test", config.Gateway{Address: "gw.test:587", TLS: "starttls"}))
	return err
}

// Whatever stands in the texts of the office, a message has the lines, the
// header and the recipient that were meant, readdressed and reported too; what
// a line cannot hold is refused where it is entered.
func TestHostileTextsInMail(t *testing.T) {
	t.Parallel()
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &answers{stage: "rcpt", addr: "batang@", reply: &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "unknown user"}}
			f := newOffice(t, loopback.Options{Hook: a.hook}).withReaders()
			ctx := t.Context()
			corr, err := f.Book.Correspondent(ctx, "batang")
			f.check(err)
			corr.Unit = text
			unit := f.Book.ChangeCorrespondent(ctx, f.Nobody(), corr, "contoh")
			applicant := f.Book.AddApplicant(ctx, f.Nobody(), agenda.Applicant{Handle: "lain", Unit: text, Email: "lain@contoh.sanapati.test"})
			title := f.Book.GiveRole(ctx, f.Nobody(), "operator", agenda.RoleGrant{Role: agenda.RoleOperator, Title: text})
			settings := setting(text)
			l := agenda.Letter{
				Class: agenda.ClassBiasa, Urgency: agenda.UrgencyBiasa, Applicant: text, Request: text, Origin: text,
				Number: text, Date: "2026-11-20", Subject: text, To: []string{"batang"}, Enclosures: text, Note: text, Place: text,
			}
			_, letter := f.Book.Register(ctx, f.Nobody(), agenda.Registration{Letter: l})
			refused := map[string]string{
				"unit": coded(unit), "applicant": coded(applicant), "title": coded(title), "letter": coded(letter), "settings": coded(settings),
			}
			long := len(agenda.EscapeValue(text)) > 200
			lines := !agenda.OneLine(text)
			want := map[string]string{"unit": "", "applicant": "", "title": "", "letter": "", "settings": ""}
			switch {
			case lines:
				for field := range want {
					want[field] = "agenda.invalid_field"
				}
			case long:
				for _, field := range []string{"unit", "applicant", "title"} {
					want[field] = "agenda.long_field"
				}
			}
			if lines || long {
				want["settings"] = config.CodeInvalid
			}
			if !maps.Equal(refused, want) {
				t.Errorf("refused: %v, want %v", refused, want)
			}
			// What one line cannot hold stands where several may.
			if lines || long {
				l.Applicant, l.Request, l.Origin, l.Number = "lain", "1", "", "2"
				f.check(f.Book.AddApplicant(ctx, f.Nobody(), agenda.Applicant{Handle: "lain", Unit: "lain", Email: "lain@contoh.sanapati.test"}))
			} else {
				f.Config.Office.Name = text
				for i := range f.Config.Profile.Roles {
					f.Config.Profile.Roles[i].Title = text
				}
			}
			s := f.add(l)
			l.Class, l.Excluded = agenda.ClassRahasia, true
			k := f.add(l)
			scan := f.file("pindaian "+strings.Map(func(r rune) rune {
				if r == '/' || r == 0 {
					return -1
				}
				return r
			}, text)[:min(len(text)-5, 60)]+".pdf", []byte("%PDF-1.4\nisi pindaian"))
			_, err = f.Attach(ctx, AttachParams{Name: s, Files: []string{scan}})
			f.check(err)
			_, err = f.Encrypt(ctx, EncryptParams{Name: k, Documents: []string{scan}, Secrets: right})
			f.check(err)
			_, err = f.Sign(ctx, SignParams{Name: k, Secrets: right})
			f.check(err)
			f.send(s, k)
			if len(f.gateway.Messages()) > 0 {
				t.Fatal("the wrong address was taken")
			}
			_, _, err = f.EditCorrespondent(ctx, CorrespondentParams{Handle: "batang", Address: "tujuan@contoh.sanapati.test"}, text)
			f.check(err)
			for _, n := range []agenda.Name{s, k} {
				_, err := f.Readdress(ctx, n, 1, text, right)
				f.check(err)
			}
			f.send(s, k)
			for _, n := range []agenda.Name{s, k} {
				_, err := f.Archive(ctx, n, text)
				f.check(err)
			}
			plan := f.mail(s, k)
			var reports []agenda.Name
			for _, r := range plan.New {
				reports = append(reports, r.Name)
			}
			f.send(reports...)
			all := f.gateway.Messages()
			if len(all) != 4 { // both letters, the head's sheet and the applicant's
				t.Errorf("%d messages", len(all))
			}
			for i, m := range all {
				f.wholesome(fmt.Sprintf("message %d to %s", i+1, m.To), m)
			}
			f.audited()
		})
	}
}

// What is no plain address never gets as far as a message.
func TestHostileAddresses(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{}).withReaders()
	ctx := t.Context()
	n := f.filed("jateng")
	sent := len(f.gateway.Messages())
	bad := []string{
		"a@b.test\r\nBcc: c@d.test", "a@b.test\nRCPT TO:<c@d.test>", "a@b.test\x00", "<a@b.test>", "A <a@b.test>", "a@b.test, c@d.test",
		"a@b.test>\r\nDATA", "a b@c.test", "\"a b\"@c.test", "\u00e4@b.test", "a@b\u00e9.test", "a@[127.0.0.1]", "a\u202e@b.test",
		"a@b.test SIZE=1", "=?utf-8?q?a?=@b.test\r", "@b.test", "a@", "a@b..test", strings.Repeat("a", 65) + "@b.test", "-a@b.test",
	}
	for _, address := range bad {
		if _, _, err := f.EditCorrespondent(ctx, CorrespondentParams{Handle: "batang", Address: address}, "contoh"); coded(err) != CodeAddress {
			t.Errorf("%q was taken for a correspondent", address)
		}
		list, err := f.Book.Applicants(ctx)
		f.check(err)
		list[0].Email = address
		if err := f.Book.ChangeApplicant(ctx, f.Nobody(), list[0]); err != nil {
			continue // refused by the book
		}
		plan, err := f.MailReports(ctx, MailParams{Names: []agenda.Name{n}, To: ToApplicant, Secrets: right})
		if err == nil {
			t.Errorf("%q: a report was made: %+v", address, plan)
		}
	}
	if now := len(f.gateway.Messages()); now != sent {
		t.Errorf("%d messages more", now-sent)
	}
	f.audited()
}
