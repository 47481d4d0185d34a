package agenda

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func TestEscapeValue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ plain, escaped string }{
		{"", ""},
		{"biasa", "biasa"},
		{"100%", "100%25"},
		{"a\nb\rc\x00d\x7f", "a%0Ab%0Dc%00d%7F"},
		{"c1 \u009b", "c1 %C2%9B"},
		{"bidi \u202e\u2066\u061c", "bidi %E2%80%AE%E2%81%A6%D8%9C"},
		{"line \u2028\u2029", "line %E2%80%A8%E2%80%A9"},
		{"Cafe\u0301", "Caf\u00e9"},
		{"bad \xff", "bad \ufffd"},
	} {
		if got := EscapeValue(c.plain); got != c.escaped {
			t.Errorf("EscapeValue(%q) = %q, want %q", c.plain, got, c.escaped)
		}
		back, err := UnescapeValue(c.escaped)
		if want := norm.NFC.String(strings.ToValidUTF8(c.plain, "\ufffd")); err != nil || back != want {
			t.Errorf("UnescapeValue(%q) = %q, %v, want %q", c.escaped, back, err, want)
		}
	}
	for _, bad := range []string{"%", "%4", "%41", "%0a", "a\nb", "100%", "Cafe\u0301", "\xff", "%FF", "\u202e", "%E2%80"} {
		if got, err := UnescapeValue(bad); err == nil {
			t.Errorf("UnescapeValue(%q) = %q, want refusal", bad, got)
		}
	}
}

func TestLinesRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Line {
			return Line{
				Key:   rapid.StringMatching(`[a-zA-Z0-9().-]{1,12}`).Draw(t, "key"),
				Value: norm.NFC.String(rapid.String().Draw(t, "value")),
			}
		}), 1, 8).Draw(t, "lines")
		var b []byte
		for _, l := range lines {
			b = AppendLine(b, l.Key, l.Value)
		}
		back, err := ParseLines(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(lines, back); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("to.1 jateng\nsubject 100%25\n"))
	f.Add([]byte("a \n"))
	f.Add([]byte("a b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		lines, err := ParseLines(b)
		if err != nil {
			return
		}
		var back []byte
		for _, l := range lines {
			back = AppendLine(back, l.Key, l.Value)
		}
		if !bytes.Equal(back, b) {
			t.Fatalf("accepted %q, would write %q", b, back)
		}
	})
}

// rewrite writes a parsed record again, commitments as they were.
func rewrite(e *event) []byte {
	b := []byte(recordHead)
	b = AppendLine(b, "seq", strconv.FormatInt(e.seq, 10))
	b = AppendLine(b, "time", formatStamp(e.at))
	b = AppendLine(b, "type", e.typ.name)
	b = AppendLine(b, "actor", e.actor)
	head := false
	for _, f := range e.fields {
		if f.key != "user" && f.key != "host" && !head {
			b, head = e.appendHead(b), true
		}
		if f.committed {
			b = AppendLine(b, f.key, f.commitment.String())
		} else {
			b = AppendLine(b, f.key, f.value)
		}
	}
	if !head {
		b = e.appendHead(b)
	}
	return b
}

func records(t testing.TB, b *book) [][]byte {
	t.Helper()
	rows, err := b.readers.QueryContext(t.Context(), "SELECT record FROM event ORDER BY seq")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out [][]byte
	for rows.Next() {
		var r []byte
		if err := rows.Scan(&r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func FuzzRecord(f *testing.F) {
	b := newPeopledBook(f)
	b.at(Kriptogram, StateReported)
	b.at(Surat, StateAttached)
	for _, r := range records(f, b) {
		f.Add(r)
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		e, err := parseRecord(record)
		if err != nil {
			return
		}
		if back := rewrite(e); !bytes.Equal(back, record) {
			t.Fatalf("accepted\n%s\nwould write\n%s", record, back)
		}
		_ = e.objects(func(Hash, int64) error { return nil })
		_ = apply(newReplay(), e)
	})
}

func TestParseRecordRefuses(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e := b.register(secretLetter())
	record := string(records(t, b)[e.ID])
	if _, err := parseRecord([]byte(record)); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(record, "\n"), "\n")
	lines[len(lines)-1] += "\n"
	refused := func(what string, lines []string) {
		t.Helper()
		if _, err := parseRecord([]byte(strings.Join(lines, ""))); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	optional := map[string]bool{}
	for _, k := range eventTypes["entry.registered"].keys {
		if k.optional {
			optional[k.name] = true
		}
	}
	for i, line := range lines {
		key, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		base, _, _ := strings.Cut(key, ".")
		if !optional[base] && base != "entry" && key != "to.1" && key != "to.2" {
			refused("without "+key, append(append([]string(nil), lines[:i]...), lines[i+1:]...))
		}
		refused("twice "+key, append(append([]string(nil), lines[:i+1]...), lines[i:]...))
		if i+1 < len(lines) {
			swapped := append([]string(nil), lines...)
			swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
			refused("swapped "+key, swapped)
		}
	}
	refused("unknown key", append(append([]string(nil), lines...), "zzz 1\n"))
	refused("no end", append(append([]string(nil), lines[:len(lines)-1]...), strings.TrimSuffix(lines[len(lines)-1], "\n")))
	refused("empty line", append(append([]string(nil), lines...), "\n"))
	refused("neither recipient", slicesWithout(lines, "to."))
}

func slicesWithout(lines []string, prefix string) []string {
	var out []string
	for _, l := range lines {
		if !strings.HasPrefix(l, prefix) {
			out = append(out, l)
		}
	}
	return out
}

func TestCommitment(t *testing.T) {
	t.Parallel()
	secret := bytes.Repeat([]byte{7}, 32)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("to.1"))
	want := sha256.Sum256(append(mac.Sum(nil), "100%25"...))
	e := newEvent("entry.voided").on(3, StateRegistered, StateVoid).set("reason", "100%").set("authority", "nota")
	e.seq, e.actor, e.at = 4, "kasi", time.Date(2026, 11, 20, 2, 10, 0, 5e6, time.UTC)
	if got := newCommitter(secret).commit("to.1", "100%25"); got != want {
		t.Errorf("commitment %s, want %x", got, want)
	}
	record, body, err := e.format(secret)
	if err != nil {
		t.Fatal(err)
	}
	sum := func(key, value string) string {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(key))
		h := sha256.Sum256(append(mac.Sum(nil), value...))
		return hex.EncodeToString(h[:])
	}
	wantRecord := "sandi-event/v1\nseq 4\ntime 2026-11-20T02:10:00.005Z\ntype entry.voided\nactor kasi\nentry 3\nstate registered void\n" +
		"reason " + sum("reason", "100%25") + "\nauthority " + sum("authority", "nota") + "\n"
	if diff := cmp.Diff(wantRecord, string(record)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("reason 100%25\nauthority nota\n", string(body)); diff != "" {
		t.Error(diff)
	}
	for i := range body {
		changed := bytes.Clone(body)
		changed[i] ^= 1
		read, err := parseRecord(record)
		if err != nil {
			t.Fatal(err)
		}
		if read.reveal(secret, changed) == nil {
			t.Errorf("flip at %d of the text accepted", i)
		}
	}
}

func TestSecretsStayOutOfRecords(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	b.at(Kriptogram, StateReported)
	for i, r := range records(t, b) {
		for _, secret := range []string{"Rencana", "jateng", "rahasia", "segera", "Setda", "800/1234", "045/112", "budi", "ws1", "naskah", fingerprint(200), "laksanakan", "TLS1.3", "gw.contoh", "lemari"} {
			if bytes.Contains(r, []byte(secret)) {
				t.Errorf("record %d holds %q:\n%s", i, secret, r)
			}
		}
	}
}

func TestTree(t *testing.T) {
	t.Parallel()
	var edge tree
	var stored []tlog.Hash
	rows := [][]byte{}
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	})
	for n := int64(0); n < 300; n++ {
		record := []byte("record " + strconv.FormatInt(n, 10))
		hashes, err := tlog.StoredHashes(n, record, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		rows = append(rows, edge.push(leafHash(record)))
		root, err := tlog.TreeHash(n+1, reader)
		if err != nil {
			t.Fatal(err)
		}
		if edge.root() != Hash(root) {
			t.Fatalf("root of %d", n+1)
		}
		var peaks []Hash
		at, levels := edgeRows(n + 1)
		for i := range at {
			peak, err := nodeAt(rows[at[i]], levels[i])
			if err != nil {
				t.Fatal(err)
			}
			peaks = append(peaks, peak)
		}
		if diff := cmp.Diff(edge.peaks, peaks); diff != "" {
			t.Fatalf("edge of %d: %s", n+1, diff)
		}
	}
	for i := range stored {
		level, n := tlog.SplitStoredHashIndex(int64(i))
		got, err := nodeAt(rows[(n+1)<<level-1], level)
		if err != nil || got != Hash(stored[i]) {
			t.Fatalf("node %d of level %d: %v", n, level, err)
		}
	}
	if empty, _ := tlog.TreeHash(0, reader); (&tree{}).root() != Hash(empty) {
		t.Error("root of nothing")
	}
}

func TestParseCheckpoint(t *testing.T) {
	t.Parallel()
	good := checkpointText("contoh.test/sandi/01", 12, sha256.Sum256([]byte("x")))
	origin, size, root, err := ParseCheckpoint(good)
	if err != nil || origin != "contoh.test/sandi/01" || size != 12 || root != Hash(sha256.Sum256([]byte("x"))) {
		t.Errorf("%q %d %s %v", origin, size, root, err)
	}
	for _, bad := range []string{
		"", "a\n1\n", string(good) + "x\n", strings.Replace(string(good), "12", "012", 1), strings.Replace(string(good), "12", "-1", 1),
		strings.Replace(string(good), "=", "", 1),
	} {
		if _, _, _, err := ParseCheckpoint([]byte(bad)); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

func TestFormatDocument(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Count(string(doc), "\n| `")
	if rows != len(eventSpecs) {
		t.Errorf("FORMAT.md lists %d events, the code %d", rows, len(eventSpecs))
	}
	for _, s := range eventSpecs {
		if !strings.Contains(string(doc), "| `"+s.name+"` | `"+s.keys+"` |\n") {
			t.Errorf("FORMAT.md differs on %s", s.name)
		}
	}
}
