package config

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sandi/agenda"
)

const office = "Dinas Komunikasi dan Informatika Kota Pekalongan"

var gateway = Gateway{Address: "smtp.contoh.sanapati.test:587", TLS: "starttls", Username: "persandian", CA: "ca.pem"}

const from = "persandian@contoh.sanapati.test"

func TestDefault(t *testing.T) {
	t.Parallel()
	c, err := Default(office, from, gateway)
	if err != nil {
		t.Fatal(err)
	}
	want := gateway
	want.From, want.Pins, want.PasswordCommand, want.IMAPPins = from, []string{}, []string{}, []string{}
	if !reflect.DeepEqual(c.Gateway, want) {
		t.Errorf("gateway %+v, want %+v", c.Gateway, want)
	}
	if want := (Office{
		Name: office, City: "Pekalongan", Contact: []string{},
		Letterhead: []string{"PEMERINTAH KOTA PEKALONGAN", "DINAS KOMUNIKASI DAN INFORMATIKA"},
	}); !reflect.DeepEqual(c.Office, want) {
		t.Errorf("office %+v, want %+v", c.Office, want)
	}
	if got := c.Gateway.EHLOName(); got != "contoh.sanapati.test" {
		t.Errorf("EHLO %q", got)
	}
	p := &c.Profile
	got := []any{
		p.Book("kriptogram").Acknowledge, p.Book("surat").Acknowledge, p.Book("kriptogram").Prepared, p.Book("surat").Prepared,
		p.Service("surat").Supervisor, len(p.Service("kriptogram").LegalBasis), len(p.Service("surat").LegalBasis),
		p.Chain("kriptogram"), p.Chain("surat"), p.OrderRequired("kriptogram"), p.OrderRequired("surat"),
		p.ReportTo("surat"), p.Title("kepala-seksi"), p.ClassPolicy("rahasia"), p.ClassPolicy("sangat-rahasia").Policy,
		p.ClassPolicy("biasa").Policy, p.Class("sangat-rahasia"), p.Urgency("segera").Code, p.UrgencyLimit("segera"),
		p.UrgencyLimit("biasa"), p.Deadline.Rule, p.Deadline.ServiceHours, p.Signature, p.Subject,
		p.QualificationRank("Ahli Sandi Tingkat II") > p.QualificationRank("Kualifikasi Sandi"), p.RSA2048("jateng"),
	}
	if want := []any{
		"kepala-seksi", "kepala-bidang", "sandiman", "operator",
		"kepala-bidang", 4, 3,
		[]Link{{"kepala-dinas", "kepala-bidang"}, {"kepala-bidang", "kepala-seksi"}, {"kepala-seksi", "sandiman"}},
		[]Link{{"kepala-seksi", "operator"}},
		true, false,
		[]string{"kepala-dinas", "pemohon"},
		"Kepala Seksi Persandian dan Keamanan Informasi",
		ClassPolicy{"rahasia", "praktis", "offered"},
		"refuse",
		"refuse",
		Word{"sangat-rahasia", "SANGAT RAHASIA", "SR", true},
		"Sg", 48,
		0, "earlier", 7, "key", "Kiriman persandian",
		true, false,
	}; !reflect.DeepEqual(got, want) {
		t.Errorf("profile\n%v, want\n%v", got, want)
	}
	for _, b := range p.Books {
		width := 0
		for _, c := range b.Columns {
			width += c.Width
		}
		if width != 280 {
			t.Errorf("columns of %s are %d mm wide", b.Book, width)
		}
	}
}

func TestRenderIsStable(t *testing.T) {
	t.Parallel()
	a, b := Render(office, from, gateway), Render(office, from, gateway)
	if !bytes.Equal(a, b) {
		t.Error("two renderings differ")
	}
	for line := range strings.Lines(string(a)) {
		if strings.TrimRight(line, " \n") != strings.TrimSuffix(line, "\n") {
			t.Errorf("blank at the end of %q", line)
		}
	}
}

// TestWordsAreThoseOfTheBooks holds the lists here against the ones that decide.
func TestWordsAreThoseOfTheBooks(t *testing.T) {
	t.Parallel()
	for _, w := range classWords {
		if c, err := agenda.ParseClass(w); err != nil || string(c) != w {
			t.Errorf("class %s: %v, %v", w, c, err)
		}
	}
	for _, w := range urgencyWords {
		if u, err := agenda.ParseUrgency(w); err != nil || string(u) != w {
			t.Errorf("urgency %s: %v, %v", w, u, err)
		}
	}
	for _, w := range bookWords {
		if agenda.BookName(w).Letter() == "" {
			t.Errorf("book %s", w)
		}
	}
	for i, w := range dayWords {
		if d, ok := Weekday(w); !ok || d != time.Weekday(i) {
			t.Errorf("day %s: %v", w, d)
		}
	}
	if _, ok := Weekday("ahad"); ok {
		t.Error("unknown day accepted")
	}
}

// TestRefusals changes one line of the shipped file at a time and demands the code and the key.
func TestRefusals(t *testing.T) {
	t.Parallel()
	good := string(Render(office, from, gateway))
	if _, err := Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, old, fresh, code, key string }{
		{"unknown key at the top", "language:", "bahasa: id\nlanguage:", CodeUnknownKey, "bahasa"},
		{"unknown key in a section", "  tls:", "  tsl: x\n  tls:", CodeUnknownKey, "gateway.tsl"},
		{"unknown key in a list", `- {key: "no", head: "No. Agenda", width: 11}`, `- {key: "no", head: "No. Agenda", wide: 11}`, CodeUnknownKey, "profile.books[0].columns[0].wide"},
		{"unknown column", `{key: "perihal", head: "Perihal", width: 34}`, `{key: "isi", head: "Perihal", width: 34}`, CodeInvalid, "profile.books[0].columns[4].key"},
		{"too wide", `{key: "perihal", head: "Perihal", width: 34}`, `{key: "perihal", head: "Perihal", width: 35}`, CodeInvalid, "profile.books[0].columns"},
		{"tls word", `tls: "starttls"`, `tls: "ssl"`, CodeInvalid, "gateway.tls"},
		{"address without port", `address: "smtp.contoh.sanapati.test:587"`, `address: "smtp.contoh.sanapati.test"`, CodeInvalid, "gateway.address"},
		{"from", `from: "persandian@contoh.sanapati.test"`, `from: "persandian"`, CodeInvalid, "gateway.from"},
		{"pin", "pins: []", `pins: ["00"]`, CodeInvalid, "gateway.pins[0]"},
		{"number as text", "max_size: 0", `max_size: "0"`, CodeInvalid, "gateway.max_size"},
		{"bare number where text belongs", `unit: ""`, "unit: 017", CodeInvalid, "profile.number.unit"},
		{"text where a list belongs", "password_command: []", "password_command: pass show", CodeInvalid, "gateway.password_command"},
		{"truth value as text", "bsre: false", `bsre: "false"`, CodeInvalid, "profile.bsre"},
		{"language", `language: ""`, `language: de`, CodeInvalid, "language"},
		{"office without name", `name: "` + office + `"`, `name: " "`, CodeInvalid, "office.name"},
		{"blank at the end of the office", `name: "` + office + `"`, `name: "Dinas "`, CodeInvalid, "office.name"},
		{"office longer than a line", `name: "` + office + `"`, `name: "` + strings.Repeat("x", 201) + `"`, CodeInvalid, "office.name"},
		{"office turned around", `name: "` + office + `"`, `name: "Dinas \u202eX"`, CodeInvalid, "office.name"},
		{"line break in the office", `name: "` + office + `"`, `name: "Dinas\nX"`, CodeInvalid, "office.name"},
		{"role missing", `    - {role: operator, title: "Operator Transmisi Sandi"}` + "\n", "", CodeInvalid, "profile.roles"},
		{"role twice", `{role: operator, title:`, `{role: sandiman, title:`, CodeInvalid, "profile.roles[4]"},
		{"broken chain", "{from: kepala-bidang, to: kepala-seksi}", "{from: kepala-dinas, to: kepala-seksi}", CodeInvalid, "profile.chains[0].links[1].from"},
		{"hours", `"13.00-16.00"`, `"13:00-16:00"`, CodeInvalid, "profile.hours.days[0].ranges[1]"},
		{"hours overlap", `"13.00-16.00"`, `"11.00-16.00"`, CodeInvalid, "profile.hours.days[0].ranges[1]"},
		{"day twice", "{day: selasa,", "{day: senin,", CodeInvalid, "profile.hours.days[1]"},
		{"policy of biasa", "{class: terbatas, policy:", "{class: biasa, policy:", CodeInvalid, "profile.policy.classes[0].class"},
		{"sangat rahasia without letter", "policy: refuse, review: required", "policy: ketat, review: required", CodeInvalid, "profile.policy.letter"},
		{"holiday", "holidays: []", `holidays: [{date: 2026-13-01, name: "x", kind: nasional}]`, CodeInvalid, "profile.hours.holidays[0].date"},
		{"group", "groups: []", `groups: [{name: kecamatan, members: []}]`, CodeInvalid, "groups[0].members"},
		{"same key twice", "language:", "language: id\nlanguage:", CodeSyntax, ""},
		{"broken", "profile:", "profile", CodeSyntax, ""},
		{"second document", "profile:", "---\nprofile:", CodeInvalid, ""},
	} {
		text := strings.Replace(good, tc.old, tc.fresh, 1)
		if text == good {
			t.Errorf("%s: nothing to replace", tc.name)
			continue
		}
		_, err := Parse([]byte(text))
		var e *Error
		if !errors.As(err, &e) || e.Code() != tc.code || e.Key != tc.key {
			t.Errorf("%s: %v, want %s of %q", tc.name, err, tc.code, tc.key)
		}
	}
	if _, err := Parse(bytes.Repeat([]byte("#\n"), maxSize)); err == nil {
		t.Error("huge file accepted")
	}
	if _, err := Parse(nil); err == nil {
		t.Error("empty file accepted")
	}
}

func TestUnquotedDatesStayAsWritten(t *testing.T) {
	t.Parallel()
	text := strings.Replace(string(Render(office, from, gateway)), "holidays: []", `holidays: [{date: 2026-12-25, name: "Natal", kind: nasional}]`, 1)
	c, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if want := []Holiday{{"2026-12-25", "Natal", "nasional"}}; !reflect.DeepEqual(c.Profile.Hours.Holidays, want) {
		t.Errorf("holidays %v, want %v", c.Profile.Hours.Holidays, want)
	}
}

func TestAllowingTheHighestClassNeedsTheLetter(t *testing.T) {
	t.Parallel()
	text := string(Render(office, from, gateway))
	for _, r := range [][2]string{
		{"policy: refuse, review: required", "policy: ketat, review: required"},
		{`decided_by: ""`, `decided_by: "Kepala Dinas"`},
		{`letter: ""`, `letter: "800/1, 2 Januari 2026"`},
	} {
		text = strings.Replace(text, r[0], r[1], 1)
	}
	c, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Profile.ClassPolicy("sangat-rahasia").Policy; got != "ketat" {
		t.Errorf("policy %q", got)
	}
}

// TestRenderedValuesComeBack: whatever is typed at init is read back as typed, or refused.
func TestRenderedValuesComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "office")
		g := gateway
		g.Username = rapid.String().Draw(t, "username")
		g.PasswordCommand = rapid.SliceOfN(rapid.StringN(1, 20, -1), 1, 4).Draw(t, "command")
		c, err := Default(name, from, g)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Code() == CodeUnknownKey {
				t.Fatal(err)
			}
			return
		}
		if c.Office.Name != name || c.Gateway.Username != g.Username || !reflect.DeepEqual(c.Gateway.PasswordCommand, g.PasswordCommand) {
			t.Fatalf("came back as %q %q %q", c.Office.Name, c.Gateway.Username, c.Gateway.PasswordCommand)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(Render(office, from, gateway))
	f.Add([]byte("office: {name: x}\n"))
	f.Add([]byte("groups: [{name: a, members: [b]}]\n---\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		var e *Error
		if (err == nil) == (c == nil) || err != nil && !errors.As(err, &e) {
			t.Errorf("Parse = %v, %v", c, err)
		}
	})
}
