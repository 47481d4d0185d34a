package messages

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode"
)

// textFor is a message, which must be a text.
func textFor(t *testing.T, c *Catalogue, id string) string {
	t.Helper()
	text, ok := c.text(id)
	if !ok {
		t.Errorf("%s: %s is no text", c.Lang(), id)
	}
	return text
}

// TestCatalogues holds every message of both languages against the style guide.
func TestCatalogues(t *testing.T) {
	t.Parallel()
	id, en := For(Indonesian), For(English)
	for _, key := range IDs() {
		if !en.Has(key) {
			t.Errorf("%s: no English text", key)
			continue
		}
		if a, b := id.Placeholders(key), en.Placeholders(key); !slices.Equal(a, b) {
			t.Errorf("%s: placeholders %v in Indonesian, %v in English", key, a, b)
		}
		if a, b := len(steps(textFor(t, id, key))), len(steps(textFor(t, en, key))); a != b {
			t.Errorf("%s: %d next commands in Indonesian, %d in English", key, a, b)
		}
	}
	for key := range en.texts {
		if !id.Has(key) {
			t.Errorf("%s: no Indonesian text", key)
		}
	}
	for _, c := range []*Catalogue{id, en} {
		for key := range c.texts {
			text := textFor(t, c, key)
			for _, fault := range styleFaults(c.lang, key, text) {
				t.Errorf("%s %s: %s", c.lang, key, fault)
			}
		}
	}
}

// steps are the lines with a next command.
func steps(text string) []string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "  ") {
			out = append(out, line)
		}
	}
	return out
}

var (
	firstWords = map[Lang][]string{
		Indonesian: {"Perhatian:", "Ditolak:", "Gagal:", "Belum pasti:", "Periksa:"},
		English:    {"Warning:", "Refused:", "Failed:", "Uncertain:", "Check:"},
	}
	misspelt = regexp.MustCompile(`(?i)\b(silahkan|kadaluarsa|kadaluwarsa|merubah|antri|jum'at|nopember|pebruari|ijin|resiko|praktek|analisa|dimana|sekedar|kwitansi|legalisir|di kirim|e-mail|surel|jatuh tempo|tenggat|ragu|anda|kamu|kami|mohon maaf)\b`)
	// "tandatangan" alone is the noun, written apart; the verbs ditandatangani and menandatangani are one word.
	noun     = regexp.MustCompile(`(?i)\b(tandatangan|di tanda ?tangani)\b`)
	clock    = regexp.MustCompile(`\d\d:\d\d`)
	menuKey  = regexp.MustCompile(`\[([a-z])\]`) // [t]anda tangani
	onlyName = regexp.MustCompile(`\{([a-z_]+)(\?[^}]*)?\}`)
)

func styleFaults(lang Lang, key, text string) []string {
	var faults []string
	for line := range strings.SplitSeq(text, "\n") {
		shown := onlyName.ReplaceAllString(line, "$1")
		if len(shown) > 78 {
			faults = append(faults, "longer than 78 columns: "+line)
		}
		if strings.TrimSpace(line) == "" {
			faults = append(faults, "empty line")
		}
		if strings.HasSuffix(line, " ") {
			faults = append(faults, "blank at the end: "+line)
		}
	}
	for _, r := range text {
		if r > unicode.MaxASCII || r < 0x20 && r != '\n' {
			faults = append(faults, "not plain ASCII")
			break
		}
	}
	if strings.Contains(text, "!") {
		faults = append(faults, "exclamation mark")
	}
	if clock.MatchString(text) {
		faults = append(faults, "colon between hour and minute")
	}
	text = menuKey.ReplaceAllString(text, "$1")
	if lang == Indonesian {
		if m := misspelt.FindString(text); m != "" {
			faults = append(faults, "spelling: "+m)
		}
		if m := noun.FindString(text); m != "" {
			faults = append(faults, "spelling: "+m)
		}
	}
	if strings.HasPrefix(key, "error.") {
		first, _, _ := strings.Cut(text, "\n")
		ok := strings.HasPrefix(first, "Dihentikan.") || strings.HasPrefix(first, "Interrupted.") ||
			strings.HasPrefix(first, "Tidak ada yang perlu") || strings.HasPrefix(first, "There is nothing for")
		for _, w := range firstWords[lang] {
			ok = ok || strings.HasPrefix(first, w+" ")
		}
		if !ok {
			faults = append(faults, "does not begin with one of the first words")
		}
	}
	return faults
}

func TestStyleFaultsFindsThem(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"spelling":    "Ditolak: silahkan coba lagi.",
		"noun":        "Ditolak: tandatangan belum ada.",
		"exclamation": "Ditolak: berhenti!",
		"long":        "Ditolak: " + strings.Repeat("x", 80),
		"first word":  "Maaf, tidak bisa.",
		"clock":       "Ditolak: sejak 10:07 WIB.",
		"ascii":       "Ditolak: 08.00\u201316.00 WIB.",
		"address":     "Ditolak: berkas Anda salah.",
	} {
		if len(styleFaults(Indonesian, "error.x", text)) == 0 {
			t.Errorf("%s: nothing found in %q", name, text)
		}
	}
	if f := styleFaults(Indonesian, "error.x", "Ditolak: {entry} belum ditandatangani; tanda tangan diminta.\n  sandi sign {entry}"); len(f) > 0 {
		t.Errorf("good text: %v", f)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	c := &Catalogue{lang: English, texts: map[string]json.RawMessage{
		"a": json.RawMessage(`"{entry}: {n} {n?copy|copies} to {to}."`),
		"b": json.RawMessage(`"no end {x"`),
	}}
	for _, tc := range []struct {
		id   string
		args []any
		want string
	}{
		{"a", []any{"entry", "K1", "n", 1, "to", "x"}, "K1: 1 copy to x."},
		{"a", []any{"entry", "K1", "n", 2, "to", "x"}, "K1: 2 copies to x."},
		{"a", []any{"entry", "K1", "n", 0}, "K1: 0 copies to {to}."},
		{"a", []any{"entry", "{to}", "n", 3, "to", "a\nSent.\x1b[2J"}, `{to}: 3 copies to a\x0aSent.\x1b[2J.`},
		{"b", nil, "no end {x"},
		{"none", []any{"a", 1}, "none"},
	} {
		if got := c.Text(tc.id, tc.args...); got != tc.want {
			t.Errorf("Text(%q, %v) = %q, want %q", tc.id, tc.args, got, tc.want)
		}
	}
}

func TestDetect(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		flag string
		env  map[string]string
		want Lang
		bad  bool
	}{
		{want: Indonesian},
		{flag: "en", env: map[string]string{"SANDI_LANG": "id"}, want: English},
		{env: map[string]string{"SANDI_LANG": "id", "LANG": "en_US.UTF-8"}, want: Indonesian},
		{env: map[string]string{"LANG": "en_US.UTF-8"}, want: English},
		{env: map[string]string{"LC_ALL": "C.UTF-8", "LANG": "en_US.UTF-8"}, want: Indonesian},
		{env: map[string]string{"LC_MESSAGES": "en.UTF-8"}, want: English},
		{env: map[string]string{"LANG": "de_DE"}, want: Indonesian},
		{flag: "de", bad: true},
		{env: map[string]string{"SANDI_LANG": "xx"}, bad: true},
	} {
		got, err := Detect(tc.flag, func(name string) string { return tc.env[name] })
		if got != tc.want || (err != nil) != tc.bad {
			t.Errorf("Detect(%q, %v) = %q, %v, want %q", tc.flag, tc.env, got, err, tc.want)
		}
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	id, en := For(Indonesian), For(English)
	at := time.Date(2026, 11, 20, 3, 54, 31, 0, time.UTC)
	got := []string{
		id.Number(1284), en.Number(1284), id.Number(-1234567), id.Number(0), id.Number(999),
		id.Size(512), id.Size(325120), id.Size(2516582), en.Size(2516582), id.Size(1<<20 - 1), id.Size(3 << 30),
		id.Date(at), en.Date(at), id.Day(at), en.Day(at), id.ShortDate(at), id.Clock(at), id.Seconds(at), id.DateTime(at), en.DateTime(at),
		id.Date(time.Date(2026, 12, 31, 17, 0, 0, 0, time.UTC)),
		id.Class("sangat-rahasia"), id.State("void"), id.CopyState("doubt"), en.Role("pemohon"), id.Urgency("x\x1b"),
	}
	want := []string{
		"1.284", "1,284", "-1.234.567", "0", "999",
		"512 byte", "318 KB", "2,4 MB", "2.4 MB", "1,0 MB", "3,0 GB",
		"20 November 2026", "20 November 2026", "Jumat", "Friday", "20-11-2026", "10.54 WIB", "10.54.31 WIB",
		"Jumat, 20 November 2026, 10.54 WIB", "Friday, 20 November 2026, 10.54 WIB",
		"1 Januari 2027",
		"sangat rahasia", "dibatalkan", "belum pasti", "applicant", `x\x1b`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestYes(t *testing.T) {
	t.Parallel()
	type answer struct{ yes, ok bool }
	for text, want := range map[string][2]answer{
		"y":     {{true, true}, {true, true}},
		" YA ":  {{true, true}, {true, true}},
		"t":     {{false, true}, {false, true}},
		"tidak": {{false, true}, {false, true}},
		"yes":   {{}, {true, true}},
		"no":    {{}, {false, true}},
		"n":     {{}, {false, true}},
		"maybe": {{}, {}},
	} {
		for i, lang := range []Lang{Indonesian, English} {
			yes, ok := For(lang).Yes(text)
			if got := (answer{yes, ok}); got != want[i] {
				t.Errorf("%s: Yes(%q) = %v, want %v", lang, text, got, want[i])
			}
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"no object": {"id/a.json": `["x"]`},
		"broken":    {"id/a.json": `{"x"`},
	} {
		fsys := fstest.MapFS{}
		for file, text := range files {
			fsys[file] = &fstest.MapFile{Data: []byte(text)}
		}
		if _, err := load(fsys, "id"); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The loader looks for ids by the layout of the files; a decoder reads the same.
func TestLoadReadsWhatTheFilesSay(t *testing.T) {
	t.Parallel()
	for lang := range catalogues {
		want := map[string]any{}
		names, err := fs.Glob(files, string(lang)+"/*.json")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			data, err := files.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(data, &want); err != nil {
				t.Fatal(name, err)
			}
		}
		raw, err := load(files, string(lang))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]any{}
		for id, value := range raw {
			var v any
			if err := json.Unmarshal(value, &v); err != nil {
				t.Errorf("%s: %s: %v", lang, id, err)
			}
			got[id] = v
			said, err := textOf(value)
			if list, ok := v.([]any); ok {
				var lines []string
				for _, line := range list {
					lines = append(lines, fmt.Sprint(line))
				}
				v = strings.Join(lines, "\n")
			}
			if err != nil || said != v {
				t.Errorf("%s: %s reads %q, the file has %q, %v", lang, id, said, v, err)
			}
		}
		if !reflect.DeepEqual(got, want) || len(got) < 1000 {
			t.Errorf("%s: %d texts loaded, the files have %d", lang, len(got), len(want))
		}
	}
}

// The decoder would take the last of two equal keys without a word.
func TestNoIDTwice(t *testing.T) {
	t.Parallel()
	read := 0
	for lang := range catalogues {
		names, err := fs.Glob(files, string(lang)+"/*.json")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			data, err := files.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			dec := json.NewDecoder(bytes.NewReader(data))
			if _, err := dec.Token(); err != nil {
				t.Fatal(name, err)
			}
			for dec.More() {
				id, err := dec.Token()
				if err != nil {
					t.Fatal(name, err)
				}
				if seen[id.(string)] {
					t.Errorf("%s: %s stands twice", name, id)
				}
				seen[id.(string)] = true
				if err := dec.Decode(new(any)); err != nil {
					t.Fatal(name, err)
				}
			}
			read += len(seen)
		}
	}
	if want := 2 * len(IDs()); read != want {
		t.Errorf("%d ids read, the catalogues have %d", read, want)
	}
}

// named is an entry that is called otherwise out of its year.
type named int

func (n named) In(year int) string {
	if int(n) == year {
		return "K1"
	}
	return fmt.Sprintf("K1/%d", int(n))
}

func (n named) String() string { return "K1" }

func TestTextNamesEntriesByTheYear(t *testing.T) {
	t.Parallel()
	for year, want := range map[int]string{0: "  sandi sign K1", 2026: "  sandi sign K1", 2027: "  sandi sign K1/2026"} {
		if got := For(English).In(year).Text("next.sign", "entry", named(2026)); got != want {
			t.Errorf("in %d: %q, want %q", year, got, want)
		}
	}
}
