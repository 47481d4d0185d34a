package render

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sandi/agenda"
)

func TestSafe(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Undangan rapat, 5 °C — é": "Undangan rapat, 5 °C — é",
		"a\x1b[2Jb":                `a\x1b[2Jb`,
		"a\nb\tc\rd\x00":           `a\x0ab\x09c\x0dd\x00`,
		"\x7f\u009b":               `\x7f\x9b`,
		"gdp.\u202efdp.exe":        `gdp.\u202efdp.exe`,
		"a\u200bb\ufeff\u00ad":     `a\u200bb\ufeff\xad`,
		"a\u2028b":                 `a\u2028b`,
		"a\xffb\xc3":               `a\xffb\xc3`,
		"\U000e0041":               `\U000e0041`,
		"\u3164x":                  `\u3164x`,
		"\ufffd":                   "\ufffd",
		"":                         "",
	} {
		if got := Safe(in); got != want {
			t.Errorf("Safe(%q) = %q, want %q", in, got, want)
		}
	}
}

// harmless says whether a terminal shows the text and obeys none of it.
func harmless(s, keep string) bool {
	for _, r := range s {
		if (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) && !strings.ContainsRune(keep, r) {
			return false
		}
	}
	return utf8.ValidString(s)
}

func FuzzSafe(f *testing.F) {
	f.Add([]byte("a\x1b[2J\xff\u202e"), 3)
	f.Add([]byte("\xe2\x80"), 1)
	f.Fuzz(func(t *testing.T, data []byte, at int) {
		s := Safe(string(data))
		if !harmless(s, "") || Safe(s) != s {
			t.Errorf("Safe(%q) = %q", data, s)
		}
		// A writer that gets the octets in two pieces shows what it would show of the whole.
		var whole, parts bytes.Buffer
		w := NewSafeWriter(&whole)
		w.Write(data)
		w.Flush()
		at = max(0, min(at, len(data)))
		w = NewSafeWriter(&parts)
		w.Write(data[:at])
		w.Write(data[at:])
		w.Flush()
		if !harmless(whole.String(), "\n\t") || whole.String() != parts.String() {
			t.Errorf("%q whole, %q in parts", whole.String(), parts.String())
		}
	})
}

func TestSafeWriter(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := NewSafeWriter(&b)
	for _, part := range []string{"baris\n\tdua \xe2", "\x80", "\xae\x1b", "\xe2\x80"} {
		if n, err := w.Write([]byte(part)); err != nil || n != len(part) {
			t.Errorf("Write = %d, %v", n, err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Error(err)
	}
	if want := "baris\n\tdua " + `\u202e\x1b\xe2\x80`; b.String() != want {
		t.Errorf("wrote %q, want %q", b.String(), want)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	table := Table{Head: []string{"Agenda", "Tujuan", "Ukuran"}, Align: []Align{Left, Left, Right}, Fixed: []int{0}}
	table.Add("S208", "Diskominfo Prov. Jawa Tengah", "412 KB")
	table.Add("S209", "Semarang\x1b\u0301", "2,4 MB")
	table.Add("S210", strings.Repeat("panjang ", 12), "1 KB")
	var b bytes.Buffer
	if n, err := table.WriteTo(&b); err != nil || n != int64(b.Len()) {
		t.Errorf("WriteTo = %d, %v", n, err)
	}
	want := ` Agenda  Tujuan                                                           Ukuran
 S208    Diskominfo Prov. Jawa Tengah                                     412 KB
 S209    Semarang\x1b` + "\u0301" + `                                                     2,4 MB
 S210    panjang panjang panjang panjang panjang panjang panjang panja..    1 KB
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// TestTableFits: columns stand under each other and a table of few columns is never wider than a screen.
func TestTableFits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(1, 6).Draw(t, "columns")
		var table Table
		for range rapid.IntRange(1, 5).Draw(t, "rows") {
			table.Add(rapid.SliceOfN(rapid.String(), columns, columns).Draw(t, "row")...)
		}
		var b bytes.Buffer
		if _, err := table.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(b.String(), "\n"); lines != table.Len() {
			t.Fatalf("%d lines for %d rows", lines, table.Len())
		}
		for line := range strings.Lines(b.String()) {
			if n := Columns(strings.TrimSuffix(line, "\n")); n > Width {
				t.Fatalf("%d columns: %q", n, line)
			}
		}
	})
}

func TestWriteJSON(t *testing.T) {
	t.Parallel()
	in := map[string]any{"a": "x\u202e\U000e0041\u007f\n<é>", "b": []string{}}
	var b bytes.Buffer
	if err := WriteJSON(&b, in); err != nil {
		t.Fatal(err)
	}
	if want := `{"a":"x\u202e\udb40\udc41\u007f\n\u003cé\u003e","b":[]}` + "\n"; b.String() != want {
		t.Errorf("got %s want %s", b.String(), want)
	}
	var back map[string]any
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back["a"] != in["a"] {
		t.Errorf("read back %q, %v", back, err)
	}
	if err := WriteJSON(&b, func() {}); err == nil {
		t.Error("a function became JSON")
	}
}

func TestEntryOf(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 8, 31, 0, 0, time.FixedZone("WIB", 7*3600))
	e := agenda.Entry{
		Name:  agenda.Name{Book: agenda.Kriptogram, Serial: 43, Year: 2026},
		State: agenda.StateSent,
		Draft: 2,
		Letter: agenda.Letter{
			Class: "rahasia", Urgency: "segera", Applicant: "Bagian Umum Setda", Number: "800/31", Date: "2026-11-20",
			Request: "045/1195", Subject: "perihal",
		},
		Number:       "018",
		RegisteredAt: at,
		Copies: []agenda.Copy{
			{Copy: 1, Kind: "to", Handle: "batang", State: "accepted", MessageID: "a@b", Attempts: 1, LastReply: "250 ok", SettledAt: at},
			{Copy: 2, Kind: "cc", Handle: "tegal"},
		},
	}
	for name, tc := range map[string]struct {
		e      agenda.Entry
		due    time.Time
		masked bool
		want   string
	}{
		"whole":            {e, at.Add(time.Hour), false, `{"schema":"sandi.entry/1","name":"K43","book":"kriptogram","year":2026,"serial":43,"number":"018","state":"sent","draft":2,"subject":"perihal","classification":"rahasia","urgency":"segera","applicant":"Bagian Umum Setda","request":"045/1195","request_date":null,"letter":"800/31","letter_date":"2026-11-20","origin":null,"registered_at":"2026-11-23T01:31:00Z","received_at":null,"due_at":"2026-11-23T02:31:00Z","released_at":null,"sent_at":null,"copies":[{"copy":1,"kind":"to","correspondent":"batang","state":"accepted","message_id":"a@b","attempts":1,"last_reply":"250 ok","settled_at":"2026-11-23T01:31:00Z"},{"copy":2,"kind":"cc","correspondent":"tegal","state":null,"message_id":null,"attempts":0,"last_reply":null,"settled_at":null}]}`},
		"masked and empty": {agenda.Entry{Letter: agenda.Letter{Subject: "x"}}, time.Time{}, true, `{"schema":"sandi.entry/1","name":"0","book":"","year":0,"serial":0,"number":null,"state":"","draft":0,"subject":null,"classification":"","urgency":"","applicant":"","request":null,"request_date":null,"letter":null,"letter_date":null,"origin":null,"registered_at":null,"received_at":null,"due_at":null,"released_at":null,"sent_at":null,"copies":[]}`},
	} {
		var b bytes.Buffer
		if err := WriteJSON(&b, EntryOf(tc.e, tc.due, tc.masked)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want+"\n", b.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNewError(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	for _, e := range []Error{NewError("agenda.busy", "x", "later", "K1"), NewError("unknown", "y", "no", "")} {
		if err := WriteJSON(&b, e); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"schema":"sandi.error/1","code":"agenda.busy","message":"x","retry":"later","entry":"K1"}
{"schema":"sandi.error/1","code":"unknown","message":"y","retry":"no","entry":null}
`
	if b.String() != want {
		t.Errorf("got %s want %s", b.String(), want)
	}
}
