package config

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func fresh() []byte {
	return Render("Dinas Contoh", "persandian@contoh.test", Gateway{Address: "smtp.contoh.test:587", TLS: "starttls", Username: "persandian"})
}

func TestSet(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		key, value string
		read       func(*Config) string
	}{
		{"gateway.address", "lain.contoh.test:465", func(c *Config) string { return c.Gateway.Address }},
		{"gateway.tls", "implicit", func(c *Config) string { return c.Gateway.TLS }},
		{"office.name", `Dinas "Baru" # satu`, func(c *Config) string { return c.Office.Name }},
		{"profile.deadline.rule", "same-day", func(c *Config) string { return c.Profile.Deadline.Rule }},
		{"profile.signature", "wet", func(c *Config) string { return c.Profile.Signature }},
		{"as", "operator", func(c *Config) string { return c.As }},
	} {
		raw := fresh()
		edited, err := Set(raw, tc.key, tc.value)
		if err != nil {
			t.Errorf("%s: %v", tc.key, err)
			continue
		}
		c, err := Parse(edited)
		if err != nil {
			t.Errorf("%s: %v", tc.key, err)
			continue
		}
		if got := tc.read(c); got != tc.value {
			t.Errorf("%s is %q, want %q", tc.key, got, tc.value)
		}
		before, after := strings.Split(string(raw), "\n"), strings.Split(string(edited), "\n")
		changed := 0
		for i := range before {
			if before[i] != after[i] {
				changed++
			}
		}
		if len(before) != len(after) || changed != 1 {
			t.Errorf("%s: %d lines changed", tc.key, changed)
		}
		// The remark behind a value stays.
		if strings.HasSuffix(tc.key, "rule") && !bytes.Contains(edited, []byte("rule: same-day # usulan")) {
			t.Errorf("%s: the remark is gone", tc.key)
		}
	}
}

func TestSetRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string][2]string{
		"unknown key":   {"gateway.nothing", "1"},
		"a list":        {"gateway.pins", "ab"},
		"a section":     {"gateway", "x"},
		"inside a list": {"profile.books.title", "x"},
		"bad value":     {"gateway.tls", "ssl"},
	} {
		_, err := Set(fresh(), tc[0], tc[1])
		var refused *Error
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAddHolidays(t *testing.T) {
	t.Parallel()
	days := []Holiday{{Date: "2027-01-01", Name: "Tahun Baru", Kind: "nasional"}, {Date: "2027-03-10", Name: "Idulfitri: \"1448\" H", Kind: "cuti-bersama"}}
	raw, err := AddHolidays(fresh(), 2027, days)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := AddHolidays(raw, 2027, days); err == nil {
		t.Error("the same year a second time is taken")
	}
	raw, err = AddHolidays(raw, 2028, []Holiday{{Date: "2028-01-01", Name: "Tahun Baru", Kind: "nasional"}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	h := c.Profile.Hours
	if len(h.Holidays) != 3 || h.Holidays[1] != days[1] || h.Holidays[2].Date != "2028-01-01" || len(h.HolidayYears) != 2 || h.HolidayYears[1] != 2028 {
		t.Errorf("holidays %+v, years %v", h.Holidays, h.HolidayYears)
	}
}

func TestSetGroup(t *testing.T) {
	t.Parallel()
	raw := fresh()
	for _, tc := range []struct {
		name    string
		members []string
		want    string // groups after
		bad     bool
	}{
		{"kecamatan", []string{"utara", "barat"}, "kecamatan=utara,barat", false},
		{"dinas", []string{"jateng"}, "kecamatan=utara,barat dinas=jateng", false},
		{"kecamatan", []string{"timur"}, "kecamatan=timur dinas=jateng", false},
		{"tidak-ada", nil, "kecamatan=timur dinas=jateng", true},
		{"kecamatan", nil, "dinas=jateng", false},
		{"dinas", nil, "", false},
		{"lagi", []string{"batang"}, "lagi=batang", false},
	} {
		edited, err := SetGroup(raw, tc.name, tc.members)
		if (err != nil) != tc.bad {
			t.Fatalf("%s %v: %v", tc.name, tc.members, err)
		}
		if err == nil {
			raw = edited
		}
		c, err := Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, g := range c.Groups {
			got = append(got, g.Name+"="+strings.Join(g.Members, ","))
		}
		if s := strings.Join(got, " "); s != tc.want {
			t.Errorf("after %s %v: %q, want %q", tc.name, tc.members, s, tc.want)
		}
	}
}
