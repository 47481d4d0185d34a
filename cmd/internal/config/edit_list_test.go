package config

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestSetList(t *testing.T) {
	t.Parallel()
	one, two := strings.Repeat("1", 64), strings.Repeat("2", 64)
	item := func(s string) string { return "    - \"" + s + "\"\n" }
	const head = "  # SHA-256 kunci server (SPKI), heksadesimal; kosong = tidak dipatok.\n"
	base := string(fresh())
	for name, tc := range map[string]struct {
		was, want string // the lines of the list
		items     []string
	}{
		"from none":    {"  pins: []\n", "  pins:\n" + item(one) + item(two), []string{one, two}},
		"to none":      {"  pins:\n" + item(one), "  pins: []\n", nil},
		"none to none": {"  pins: [] # kosong\n", "  pins: [] # kosong\n", nil},
		"on one line":  {"  pins: [\"" + one + "\"] # lama\n", "  pins: # lama\n" + item(two), []string{two}},
		"a remark stays": {
			"  pins:\n    - \"" + one + "\" # server A\n", "  pins:\n" + item(two) + "    - \"" + one + "\" # server A\n", []string{two, one},
		},
		"a line of its own stays": {
			"  pins: # dua\n    # sejak 2026\n" + item(one) + "\n    # baru\n" + item(two),
			"  pins: # dua\n    # sejak 2026\n\n    # baru\n" + item(two),
			[]string{two},
		},
		"not deeper than its key": {
			"  pins:\n  - \"" + one + "\"\n", "  pins:\n  - \"" + one + "\"\n  - \"" + two + "\"\n", []string{one, two},
		},
	} {
		raw := strings.Replace(base, "  pins: []\n", tc.was, 1)
		if !strings.Contains(raw, head+tc.was) {
			t.Fatalf("%s: no such list in the settings", name)
		}
		edited, err := SetList([]byte(raw), "gateway.pins", tc.items)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := strings.Replace(base, "  pins: []\n", tc.want, 1); string(edited) != want {
			t.Errorf("%s: got\n%s", name, edited)
		}
		c, err := Parse(edited)
		if err != nil || !slices.Equal(c.Gateway.Pins, tc.items) {
			t.Errorf("%s: %q, %v", name, c.Gateway.Pins, err)
		}
	}
	// What YAML would read as something else.
	odd := []string{"pass", "show", "-n", `a "b" # c: 'd'`, "017", "yes", `\n`}
	edited, err := SetList(fresh(), "gateway.password_command", odd)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := Parse(edited); err != nil || !slices.Equal(c.Gateway.PasswordCommand, odd) {
		t.Errorf("%q, %v", c.Gateway.PasswordCommand, err)
	}
	again, err := SetList(edited, "gateway.password_command", odd)
	if err != nil || string(again) != string(edited) {
		t.Errorf("the same items again changed the file: %v", err)
	}
}

func TestSetListRefuses(t *testing.T) {
	t.Parallel()
	base := string(fresh())
	spread := strings.Replace(base, "  pins: []\n", "  pins: [\n    "+strings.Repeat("1", 64)+"]\n", 1)
	folded := strings.Replace(base, "  pins: []\n", "  pins:\n    - >-\n      "+strings.Repeat("1", 64)+"\n", 1)
	for name, tc := range map[string]struct {
		raw, key string
		item     string
	}{
		"a bad item":         {base, "gateway.pins", "ab"},
		"a plain setting":    {base, "gateway.address", "a"},
		"unknown":            {base, "gateway.nothing", "a"},
		"a list of sections": {base, "profile.books", "a"},
		"a list of numbers":  {base, "profile.hours.holiday_years", "2027"},
		"over several lines": {spread, "gateway.pins", strings.Repeat("2", 64)},
		"a folded item":      {folded, "gateway.pins", strings.Repeat("2", 64)},
	} {
		_, err := SetList([]byte(tc.raw), tc.key, []string{tc.item})
		var refused *Error
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
