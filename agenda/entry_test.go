package agenda

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func codeOf(err error) string {
	var coded interface{ Code() string }
	if errors.As(err, &coded) {
		return coded.Code()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func TestParseName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want Name
	}{
		{"K12", Name{Kriptogram, 12, 2026}},
		{"k1", Name{Kriptogram, 1, 2026}},
		{" s7/2025 ", Name{Surat, 7, 2025}},
		{"S7/25", Name{}},
		{"K0", Name{}},
		{"K01", Name{}},
		{"K", Name{}},
		{"12", Name{}},
		{"K-1", Name{}},
		{"K1/", Name{}},
		{"K1/02025", Name{}},
		{"X1", Name{}},
		{"K99999999", Name{}},
		{"", Name{}},
	} {
		got, err := ParseName(c.in, 2026)
		if got != c.want && err == nil || (c.want == Name{}) != (err != nil) {
			t.Errorf("ParseName(%q) = %v, %v", c.in, got, err)
		}
	}
}

func TestParseNames(t *testing.T) {
	t.Parallel()
	long := func(in ...string) string {
		names, err := ParseNames(in, 2026)
		if err != nil {
			return codeOf(err)
		}
		var out []string
		for _, n := range names {
			out = append(out, n.Long())
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		in   []string
		want string
	}{
		{nil, ""},
		{[]string{"K3,K5-K7"}, "K3/2026 K5/2026 K6/2026 K7/2026"},
		{[]string{"K3-5"}, "K3/2026 K4/2026 K5/2026"},
		{[]string{"k5", "K4-k5", "s1"}, "K5/2026 K4/2026 S1/2026"},
		{[]string{"K1-K2/2025"}, "K1/2025 K2/2025"},
		{[]string{"K1/2025-2"}, "K1/2025 K2/2025"},
		{[]string{"K5-K3"}, "agenda.invalid_field"},
		{[]string{"K1-S3"}, "agenda.invalid_field"},
		{[]string{"K1/2024-K3/2025"}, "agenda.invalid_field"},
		{[]string{"K1,"}, "agenda.invalid_field"},
		{[]string{"K1-"}, "agenda.invalid_field"},
		{[]string{"K1-9999999"}, "agenda.invalid_field"},
		{[]string{"K1-60000", "S1-60000"}, "agenda.invalid_field"},
	} {
		if got := long(c.in...); got != c.want {
			t.Errorf("ParseNames(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add("K3,K5-K9")
	f.Add("s1-3,K1/2025")
	f.Fuzz(func(t *testing.T, s string) {
		names, err := ParseNames([]string{s}, 2026)
		if err != nil {
			return
		}
		if len(names) == 0 || len(names) > maxNames {
			t.Fatalf("%d names", len(names))
		}
		seen := map[Name]bool{}
		for _, n := range names {
			back, err := ParseName(n.Long(), 1999)
			if err != nil || back != n || seen[n] {
				t.Fatalf("%v: %v, %v, twice %v", n, back, err, seen[n])
			}
			seen[n] = true
		}
	})
}

func TestWords(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Class{
		"SR": ClassSangatRahasia, "Sangat Rahasia": ClassSangatRahasia, "SRhs": ClassSangatRahasia, "R": ClassRahasia, "RHS": ClassRahasia,
		"rh": ClassRahasia, "T": ClassTerbatas, "konfidensial": ClassTerbatas, "B": ClassBiasa, "biasa": ClassBiasa, "penting": "", "": "",
	} {
		if got, err := ParseClass(in); got != want || (err == nil) != (want != "") {
			t.Errorf("ParseClass(%q) = %q, %v", in, got, err)
		}
	}
	for in, want := range map[string]Urgency{
		"kilat": UrgencySangatSegera, "Amat Segera": UrgencySangatSegera, "segera": UrgencySegera, "BIASA": UrgencyBiasa, "besok": "",
	} {
		if got, err := ParseUrgency(in); got != want || (err == nil) != (want != "") {
			t.Errorf("ParseUrgency(%q) = %q, %v", in, got, err)
		}
	}
	for in, want := range map[string]Role{"Kepala Seksi": RoleKepalaSeksi, "sandiman": RoleSandiman, "kasi": ""} {
		if got, err := ParseRole(in); got != want || (err == nil) != (want != "") {
			t.Errorf("ParseRole(%q) = %q, %v", in, got, err)
		}
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	n := NumberFields{Seq: 17, Year: 2026, Month: 11, Unit: "DKI", Archive: "KP.07"}
	for _, c := range []struct{ template, want string }{
		{"{seq:03}/{unit}/{roman}/{year}", "017/DKI/XI/2026"},
		{"{archive}/{seq}/{month:02}", "KP.07/17/11"},
		{"R-{seq:01}", "R-17"},
	} {
		p, err := ParseTemplate(c.template)
		if err != nil || p.Format(n) != c.want {
			t.Errorf("%s: %q, %v", c.template, p.Format(n), err)
		}
	}
	for _, bad := range []string{"", "{year}", "{class}{seq}", "{seq", "seq}", "{seq:3}", "{seq:00}", "{unit:02}{seq}", "{seq}\n", "{}", "{{seq}}"} {
		if _, err := ParseTemplate(bad); codeOf(err) != "agenda.template" {
			t.Errorf("%q: %v", bad, err)
		}
		if got := Template(bad).Format(n); got != "" {
			t.Errorf("%q gives %q", bad, got)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add("{seq:03}/{unit}/{roman}/{year}", 17)
	f.Add("{class}", 1)
	f.Fuzz(func(t *testing.T, s string, seq int) {
		p, err := ParseTemplate(s)
		if err != nil {
			return
		}
		if seq < 1 || seq > maxSerial {
			return
		}
		n := NumberFields{Seq: seq, Year: 2026, Month: 12}
		one := p.Format(n)
		n.Seq++
		if two := p.Format(n); one == two || one != EscapeValue(one) {
			t.Fatalf("%q: %q then %q", s, one, two)
		}
	})
}

func TestHash(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
		back, err := ParseHash(h.String())
		if err != nil || back != h {
			t.Fatal(back, err)
		}
	})
	for _, bad := range []string{"", strings.Repeat("A", 64), strings.Repeat("g", 64), strings.Repeat("a", 63)} {
		if _, err := ParseHash(bad); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for code, phrase := range phrases {
		if phrase == "" || strings.ToLower(phrase[:1]) != phrase[:1] || strings.HasSuffix(phrase, ".") {
			t.Errorf("%s: %q", code, phrase)
		}
		seen[code] = true
	}
	for _, e := range []*Error{ErrNotFound, ErrStepOrder, ErrChanged, ErrBusy, ErrClosedLetter, ErrUnconfirmed} {
		if !seen[e.Code()] {
			t.Errorf("%s has no phrase", e.Code())
		}
	}
	e := &Error{code: "agenda.step_order", Entry: Name{Kriptogram, 1, 2026}, State: StateDrafted, Value: "secret"}
	if diff := cmp.Diff("K1/2026: step out of order (drafted)", e.Error()); diff != "" {
		t.Error(diff)
	}
	if !errors.Is(e, ErrStepOrder) || errors.Is(e, ErrChanged) {
		t.Error("errors.Is by code")
	}
}
