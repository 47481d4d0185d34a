package mail_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-mbox"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sandi/mail"
)

var friday = time.Date(2026, 11, 20, 2, 31, 7, 0, time.UTC)

func box(t testing.TB) *os.File {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "kriptogram.mbox"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestMbox(t *testing.T) {
	t.Parallel()
	f := box(t)
	from := address(t, "persandian@contoh.test")
	messages := []string{composed(t), "Subject: a\r\n\r\nFromage\r\n>Fromage\r\nx From y\r\n", "Subject: b\r\n\r\nend\r\n\r\n\r\n"}
	type extent struct{ offset, length int64 }
	var extents []extent
	for _, m := range messages {
		o, l, err := mail.AppendMbox(f, from, friday, strings.NewReader(m))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(extents); n > 0 && o != extents[n-1].offset+extents[n-1].length {
			t.Errorf("extent at %d, not behind %+v", o, extents[n-1])
		}
		extents = append(extents, extent{o, l})
	}
	end, _ := f.Seek(0, io.SeekEnd)
	if last := extents[2]; last.offset+last.length != end {
		t.Errorf("box of %d octets, last extent %+v", end, last)
	}
	whole, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if want := "From persandian@contoh.test Fri Nov 20 02:31:07 2026\nFrom: persandian@"; !strings.HasPrefix(string(whole), want) || bytes.Contains(whole, []byte("\r")) {
		t.Errorf("box begins %.100q", whole)
	}
	for i, e := range extents {
		for j, m := range messages {
			if err := mail.CheckMbox(f, e.offset, e.length, strings.NewReader(m)); (i == j) != (err == nil) || err != nil && code(err) != mail.CodeMbox {
				t.Errorf("extent %d against message %d: %v", i, j, err)
			}
		}
		for name, bad := range map[string]extent{
			"before": {e.offset - 1, e.length}, "after": {e.offset + 1, e.length}, "long": {e.offset, e.length + 10}, "short": {e.offset, e.length - 7}, "none": {e.offset, 0},
		} {
			if err := mail.CheckMbox(f, bad.offset, bad.length, strings.NewReader(messages[i])); code(err) != mail.CodeMbox {
				t.Errorf("extent %d %s: %v", i, name, err)
			}
		}
	}
	// Another program reads the same messages.
	r := mbox.NewReader(bytes.NewReader(whole))
	for i, want := range messages {
		m, err := r.NextMessage()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(m)
		if err != nil || strings.TrimRight(string(got), "\r\n") != strings.TrimRight(want, "\r\n") {
			t.Errorf("message %d reads %.80q, %v", i, got, err)
		}
	}
	// One octet changed anywhere in an extent is found, but in the separator
	// line and the line ends behind the message, which are not the message's.
	e := extents[1]
	text := whole[e.offset : e.offset+e.length]
	start := bytes.IndexByte(text, '\n') + 1
	for i := start; i < len(bytes.TrimRight(text, "\n")); i++ {
		changed := bytes.Clone(whole)
		changed[e.offset+int64(i)] ^= 1
		if err := mail.CheckMbox(bytes.NewReader(changed), e.offset, e.length, strings.NewReader(messages[1])); code(err) != mail.CodeMbox {
			t.Errorf("octet %d changed: %v", i, err)
		}
	}
}

func TestAppendMboxGuard(t *testing.T) {
	t.Parallel()
	from := address(t, "persandian@contoh.test")
	bad := map[string]string{
		"from":          "Subject: x\r\n\r\nFrom here\r\n",
		"from_first":    "From here\r\nSubject: x\r\n\r\n",
		"quoted":        "Subject: x\r\n\r\n>From here\r\n",
		"quoted_twice":  "Subject: x\r\n\r\n>>From here\r\n",
		"far_away":      "Subject: x\r\n\r\n" + strings.Repeat("x From y\r\n", 20000) + "From here\r\n",
		"bare_cr":       "Subject: x\r\n\r\na\rFrom here\r\n",
		"bare_lf":       "Subject: x\n\nhello\n",
		"nul":           "Subject: x\r\n\r\n\x00\r\n",
		"no_line_end":   "Subject: x\r\n\r\nx",
		"nothing":       "",
		"eight_bit":     "Subject: x\r\n\r\n\xe9\r\n",
		"line_too_long": "Subject: " + strings.Repeat("x", 1000) + "\r\n\r\n",
	}
	for name, m := range bad {
		f := box(t)
		if _, _, err := mail.AppendMbox(f, from, friday, strings.NewReader(m)); code(err) != mail.CodeContent {
			t.Errorf("%s: %v", name, err)
		}
		if st, err := f.Stat(); err != nil || st.Size() != 0 {
			t.Errorf("%s: box of %d octets, %v", name, st.Size(), err)
		}
	}
	f, good := box(t), "Subject: x\r\n\r\nx\r\n"
	if _, _, err := mail.AppendMbox(f, mail.Address{}, friday, strings.NewReader(good)); code(err) != mail.CodeAddress {
		t.Errorf("no address: %v", err)
	}
	if _, _, err := mail.AppendMbox(f, from, time.Time{}, strings.NewReader(good)); code(err) != mail.CodeContent {
		t.Errorf("no time: %v", err)
	}
	// Read from where the reader stands, not from its beginning.
	r := strings.NewReader("skip" + good)
	r.Seek(4, io.SeekStart)
	o, l, err := mail.AppendMbox(f, from, friday, r)
	if err != nil || mail.CheckMbox(f, o, l, strings.NewReader(good)) != nil {
		t.Errorf("offset reader: %v", err)
	}
	ro, err := os.Open(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer ro.Close()
	if _, _, err := mail.AppendMbox(ro, from, friday, strings.NewReader(good)); err == nil {
		t.Errorf("box open for reading only: %v", err)
	}
}

// TestAppendMboxCrashTail: a crash may leave any beginning of the next message.
// The extents before it stay good, and unless the tail ends like a box the next
// append is refused; the caller moves the tail aside by the recorded length.
func TestAppendMboxCrashTail(t *testing.T) {
	t.Parallel()
	from, m := address(t, "persandian@contoh.test"), "Subject: x\r\n\r\nhello\r\n"
	f := box(t)
	o, l, err := mail.AppendMbox(f, from, friday, strings.NewReader(m))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := mail.AppendMbox(f, from, friday, strings.NewReader(m)); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	for cut := int64(len(whole)) - 1; cut > l; cut-- {
		if err := f.Truncate(cut); err != nil {
			t.Fatal(err)
		}
		if err := mail.CheckMbox(f, o, l, strings.NewReader(m)); err != nil {
			t.Fatalf("first message after a cut at %d: %v", cut, err)
		}
		if err := mail.CheckMbox(f, l, int64(len(whole))-l, strings.NewReader(m)); code(err) != mail.CodeMbox {
			t.Fatalf("cut message passes at %d: %v", cut, err)
		}
		if bytes.HasSuffix(whole[:cut], []byte("\n\n")) {
			continue
		}
		if _, _, err := mail.AppendMbox(f, from, friday, strings.NewReader(m)); code(err) != mail.CodeMbox {
			t.Fatalf("appended behind a torn tail at %d: %v", cut, err)
		}
	}
	if err := f.Truncate(l); err != nil {
		t.Fatal(err)
	}
	if o2, l2, err := mail.AppendMbox(f, from, friday, strings.NewReader(m)); err != nil || o2 != l || mail.CheckMbox(f, o2, l2, strings.NewReader(m)) != nil {
		t.Errorf("after the tail was moved aside: %d %d %v", o2, l2, err)
	}
}

// Whatever a crash leaves of a message is known as the beginning of it, and
// nothing else is.
func TestMatchMbox(t *testing.T) {
	t.Parallel()
	from, other := address(t, "persandian@contoh.test"), address(t, "lain@contoh.test")
	m, f := composed(t), box(t)
	for range 2 { // a box may go on behind it
		if _, _, err := mail.AppendMbox(f, from, friday, strings.NewReader(m)); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	length := int64(len(whole) / 2)
	match := func(box []byte, from mail.Address, m string) int64 {
		t.Helper()
		n, err := mail.MatchMbox(bytes.NewReader(box), from, mail.MboxMessage{At: friday, Message: strings.NewReader(m)})
		if err != nil {
			t.Error(err)
		}
		return n
	}
	for cut := range int64(len(whole)) + 1 {
		if n := match(whole[:cut], from, m); n != min(cut, length) {
			t.Fatalf("cut at %d: %d octets of %d", cut, n, length)
		}
	}
	for i := range length {
		bent := bytes.Clone(whole)
		bent[i] ^= 1
		if n := match(bent, from, m); n != 0 {
			t.Fatalf("octet %d changed: %d octets the same", i, n)
		}
	}
	if n := match(whole, other, m); n != 0 {
		t.Errorf("another sender: %d", n)
	}
	if n := match(whole, from, m+"x\r\n"); n != 0 {
		t.Errorf("another message: %d", n)
	}
}

func TestCheckMboxTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 3, 9, 5, 7, 999e6, time.FixedZone("WIB", 7*3600))
	f := box(t)
	var offset int64
	for _, from := range []string{"persandian@contoh.sanapati.test", "lain@contoh.test"} { // the address is not compared
		var err error
		if offset, _, err = mail.AppendMbox(f, address(t, from), at, strings.NewReader("Subject: s\r\n\r\nisi\r\n")); err != nil {
			t.Fatal(err)
		}
		if err := mail.CheckMboxTime(f, offset, at.UTC()); err != nil {
			t.Errorf("%s: %v", from, err)
		}
	}
	for name, c := range map[string]struct {
		offset int64
		at     time.Time
	}{
		"later": {offset, at.Add(time.Second)}, "elsewhere": {offset + 1, at}, "behind": {offset + 1<<20, at},
	} {
		if err := mail.CheckMboxTime(f, c.offset, c.at); code(err) != mail.CodeMbox {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFindMbox(t *testing.T) {
	t.Parallel()
	parts := []string{
		"before\nMessage-ID: <none@x.test>\n\n",
		"From a@x.test\nMessage-ID: <a@x.test>\n\nMessage-ID: <body@x.test>\n\n",
		"From a@x.test\n\nno ID\n\n",
		"From " + strings.Repeat("long From x", 10_000) + "\nSubject: x\nMessage-ID:\n <folded@x.test>\n\n\n",
		"From a@x.test\r\nMessage-ID:  <a@x.test>\r\n\r\nx",
	}
	at := make([]int64, len(parts))
	for i := range parts[1:] {
		at[i+1] = at[i] + int64(len(parts[i]))
	}
	got, err := mail.FindMbox(strings.NewReader(strings.Join(parts, "")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string][]int64{"a@x.test": {at[1], at[4]}, "folded@x.test": {at[3]}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestMboxProperty(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, n := address(t, "a@b.test"), 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(n)), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		line := rapid.OneOf(rapid.SampledFrom([]string{"", "", "From", "From:", "x From ", " From ", ">From", "From x", ">From x", "."}), rapid.StringMatching(`[ -~]{0,100}`))
		for _, ls := range rapid.SliceOfN(rapid.SliceOfN(line, 1, 20), 1, 4).Draw(t, "messages") {
			m := strings.Join(ls, "\r\n") + "\r\n"
			refuse := false
			for _, l := range ls {
				refuse = refuse || strings.HasPrefix(strings.TrimLeft(l, ">"), "From ")
			}
			o, l, err := mail.AppendMbox(f, from, friday, strings.NewReader(m))
			if refuse != (code(err) == mail.CodeContent) || !refuse && err != nil {
				t.Fatalf("%q: %v", m, err)
			}
			if err == nil {
				if err := mail.CheckMbox(f, o, l, strings.NewReader(m)); err != nil {
					t.Fatalf("%q: %v", m, err)
				}
			}
		}
	})
}
