package signedtext

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sandi/agenda"
)

const (
	fprSandiman = "1111111111111111111111111111111111111111"
	fprHead     = "2222222222222222222222222222222222222222"
	fprJateng   = "3333333333333333333333333333333333333333"
	subJateng   = "4444444444444444444444444444444444444444"
	// A v6 key that enciphers by its primary key.
	fprTegal = "abababababababababababababababababababababababababababababababab"

	hex5c = "5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c"
	hex77 = "7777777777777777777777777777777777777777777777777777777777777777"
	hexfe = "fefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefe"
)

func digest(b byte) (h agenda.Hash) {
	copy(h[:], bytes.Repeat([]byte{b}, len(h)))
	return h
}

var instant = time.Date(2026, 11, 20, 2, 10, 0, 0, time.UTC)

var sampleDraft = Draft{
	Kriptogram: digest(0x5c),
	Size:       216000,
	Format:     "SEIPDv1 AES-256 MDC",
	Office:     "Dinas Komunikasi dan Informatika Kota Pekalongan",
	Entry:      "K1/2026",
	Number:     1,
	At:         instant,
	Recipients: []Recipient{
		{fprJateng, subJateng, "Diskominfo Provinsi Jawa Tengah"},
		{fprTegal, fprTegal, "Diskominfo Kota Tegal"},
	},
	Paraf:     Signer{fprSandiman, "Sandiman"},
	Signature: Signer{fprHead, "Kepala Seksi Persandian dan Keamanan Informasi"},
	Content:   digest(0x77),
	Book:      digest(0xfe),
}

const goldenDraft = "sandi-kriptogram/1\n" +
	"SHA256 (kriptogram.pgp) = " + hex5c + "\n" +
	"ukuran 216000\n" +
	"format SEIPDv1 AES-256 MDC\n" +
	"kantor Dinas Komunikasi dan Informatika Kota Pekalongan\n" +
	"entri K1/2026\n" +
	"konsep 1\n" +
	"waktu 2026-11-20T02:10:00Z\n" +
	"penerima 1/2 " + fprJateng + " " + subJateng + " Diskominfo Provinsi Jawa Tengah\n" +
	"penerima 2/2 " + fprTegal + " " + fprTegal + " Diskominfo Kota Tegal\n" +
	"paraf " + fprSandiman + " Sandiman\n" +
	"ttd " + fprHead + " Kepala Seksi Persandian dan Keamanan Informasi\n" +
	"isi " + hex77 + "\n" +
	"buku " + hexfe + "\n" +
	"makna paraf: telah disandikan; ttd: diperintahkan dikirim kepada penerima di atas\n"

func wetDraft() Draft {
	d := sampleDraft
	d.Format = "SEIPDv2 AES-256 OCB"
	d.Number = 12
	d.Recipients = sampleDraft.Recipients[:1]
	d.Signature = Signer{"", "Plh. Kepala Seksi"}
	return d
}

const goldenWet = "sandi-kriptogram/1\n" +
	"SHA256 (kriptogram.pgp) = " + hex5c + "\n" +
	"ukuran 216000\n" +
	"format SEIPDv2 AES-256 OCB\n" +
	"kantor Dinas Komunikasi dan Informatika Kota Pekalongan\n" +
	"entri K1/2026\n" +
	"konsep 12\n" +
	"waktu 2026-11-20T02:10:00Z\n" +
	"penerima 1/1 " + fprJateng + " " + subJateng + " Diskominfo Provinsi Jawa Tengah\n" +
	"paraf " + fprSandiman + " Sandiman\n" +
	"ttd basah Plh. Kepala Seksi\n" +
	"isi " + hex77 + "\n" +
	"buku " + hexfe + "\n" +
	"makna paraf: telah disandikan; ttd: diperintahkan dikirim kepada penerima di atas\n"

var sampleReturn = Return{
	Draft:  digest(0x5c),
	Entry:  "K43/2026",
	Number: 1,
	At:     time.Date(2026, 11, 23, 7, 5, 0, 0, time.UTC),
	Reason: "tujuan ke-3 tidak sesuai disposisi",
}

const goldenReturn = "sandi-kembali/1\n" +
	"SHA256 (kriptogram.txt) = " + hex5c + "\n" +
	"entri K43/2026\n" +
	"konsep 1\n" +
	"waktu 2026-11-23T07:05:00Z\n" +
	"alasan tujuan ke-3 tidak sesuai disposisi\n"

var sampleContent = Content{
	Class:   agenda.ClassSangatRahasia,
	Urgency: agenda.UrgencySegera,
	Text:    digest(0x5c),
	Salt:    digest(0xfe),
}

const goldenContent = "sandi-isi/1\n" +
	"kelas sangat-rahasia\n" +
	"derajat segera\n" +
	"SHA256 (naskah) = " + hex5c + "\n" +
	"garam " + hexfe + "\n"

var sampleCover = Cover{
	Draft:     digest(0x5c),
	Number:    "017/DKI/XI/2026",
	At:        instant,
	From:      Party{"persandian@pekalongan.example", fprSandiman},
	To:        Party{"sandi.jateng@jateng.example", fprJateng},
	Copy:      1,
	Of:        2,
	MessageID: "0123456789abcdef0123456789abcdef@pekalongan.example",
}

const goldenCover = "sandi-pengantar/1\n" +
	"SHA256 (kriptogram.txt) = " + hex5c + "\n" +
	"nomor 017/DKI/XI/2026\n" +
	"waktu 2026-11-20T02:10:00Z\n" +
	"dari persandian@pekalongan.example " + fprSandiman + "\n" +
	"kepada sandi.jateng@jateng.example " + fprJateng + "\n" +
	"salinan 1/2\n" +
	"id 0123456789abcdef0123456789abcdef@pekalongan.example\n"

var sampleLetterCover = LetterCover{
	Scans:     []Scan{{"S1-2026.pdf", digest(0x5c)}},
	Entry:     "S1/2026",
	At:        instant,
	From:      Party{"persandian@pekalongan.example", fprSandiman},
	To:        Party{Address: "arsip@jateng.example"},
	Copy:      1,
	Of:        1,
	MessageID: "0123456789abcdef0123456789abcdef@pekalongan.example",
}

const goldenLetterCover = "sandi-pengantar-surat/1\n" +
	"SHA256 (S1-2026.pdf) = " + hex5c + "\n" +
	"entri S1/2026\n" +
	"waktu 2026-11-20T02:10:00Z\n" +
	"dari persandian@pekalongan.example " + fprSandiman + "\n" +
	"kepada arsip@jateng.example\n" +
	"salinan 1/1\n" +
	"id 0123456789abcdef0123456789abcdef@pekalongan.example\n"

func manyScans() LetterCover {
	c := sampleLetterCover
	c.Scans = []Scan{{"S1-2026.pdf", digest(0x5c)}, {"S1-2026-2.pdf", digest(0x77)}}
	c.To.Fingerprint = fprTegal
	return c
}

const goldenScans = "sandi-pengantar-surat/1\n" +
	"SHA256 (S1-2026.pdf) = " + hex5c + "\n" +
	"SHA256 (S1-2026-2.pdf) = " + hex77 + "\n" +
	"entri S1/2026\n" +
	"waktu 2026-11-20T02:10:00Z\n" +
	"dari persandian@pekalongan.example " + fprSandiman + "\n" +
	"kepada arsip@jateng.example " + fprTegal + "\n" +
	"salinan 1/1\n" +
	"id 0123456789abcdef0123456789abcdef@pekalongan.example\n"

// encoded is any of the five texts as a value.
type encoded interface{ Encode() ([]byte, error) }

// contentText gives Content, whose writer cannot fail, the same form.
type contentText struct{ Content }

func (c contentText) Encode() ([]byte, error) { return c.Content.Encode(), nil }

func parserOf[T encoded](parse func([]byte) (T, error)) func([]byte) (encoded, error) {
	return func(b []byte) (encoded, error) {
		v, err := parse(b)
		return v, err
	}
}

var (
	parseDraft       = parserOf(ParseDraft)
	parseReturn      = parserOf(ParseReturn)
	parseCover       = parserOf(ParseCover)
	parseLetterCover = parserOf(ParseLetterCover)
	parseContent     = func(b []byte) (encoded, error) {
		c, err := ParseContent(b)
		return contentText{c}, err
	}
)

type kind struct {
	name  string
	value encoded
	text  string
	parse func([]byte) (encoded, error)
	// free is a word of the text that may be any other; empty when every
	// value has a closed grammar.
	free string
}

// single has one text of each sort, with one scan and so no two lines whose
// order or number is free.
func single() []kind {
	return []kind{
		{"draft", sampleDraft, goldenDraft, parseDraft, "Pekalongan"},
		{"wet draft", wetDraft(), goldenWet, parseDraft, "Plh."},
		{"return", sampleReturn, goldenReturn, parseReturn, "disposisi"},
		{"content", contentText{sampleContent}, goldenContent, parseContent, ""},
		{"cover", sampleCover, goldenCover, parseCover, "DKI"},
		{"letter cover", sampleLetterCover, goldenLetterCover, parseLetterCover, "S1/2026"},
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	all := append(single(), kind{"letter cover with two scans", manyScans(), goldenScans, parseLetterCover, ""})
	for _, k := range all {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			text, err := k.value.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(k.text, string(text)); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			back, err := k.parse([]byte(k.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(k.value, back); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
		})
	}
}

// sha256sum finds its line in a draft, in the file as written and in a copy
// with the line ends of another system, and notices another kriptogram.
func TestDraftIsCheckedByCoreutils(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Skip("sha256sum is not installed")
	}
	body := []byte("kriptogram")
	d := sampleDraft
	d.Kriptogram = Sum(body)
	text, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	check := func(body, text []byte) error {
		dir := t.TempDir()
		for name, data := range map[string][]byte{KriptogramFile: body, DraftFile: text} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(tool, "-c", DraftFile)
		cmd.Dir = dir
		return cmd.Run()
	}
	if err := check(body, text); err != nil {
		t.Errorf("LF: %v", err)
	}
	if err := check(body, bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))); err != nil {
		t.Errorf("CRLF: %v", err)
	}
	if err := check([]byte("kriptogram lain"), text); err == nil {
		t.Error("another kriptogram passes")
	}
}

func TestWet(t *testing.T) {
	t.Parallel()
	if sampleDraft.Wet() || !wetDraft().Wet() {
		t.Errorf("Wet: key %v, ink %v", sampleDraft.Wet(), wetDraft().Wet())
	}
}

func TestStampIsUTCInWholeSeconds(t *testing.T) {
	t.Parallel()
	wib := time.FixedZone("WIB", 7*3600)
	at := time.Date(2026, 11, 20, 9, 10, 0, 999_999_999, wib)
	if got := Stamp(at); got != "2026-11-20T02:10:00Z" {
		t.Errorf("Stamp = %q", got)
	}
}

func TestContentSum(t *testing.T) {
	t.Parallel()
	if got := sampleContent.Sum(); got != agenda.Hash(sum([]byte(goldenContent))) {
		t.Errorf("Sum = %s", got)
	}
}

func TestIsLetterCover(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text           string
		letter, anyOne bool
	}{
		{goldenCover, false, true},
		{goldenLetterCover, true, true},
		{goldenDraft, false, false},
		{"sandi-pengantar/2\n", false, false},
		{"Dengan hormat,\n\n" + goldenCover, false, false},
		{"", false, false},
	} {
		if letter, anyOne := IsLetterCover([]byte(c.text)); letter != c.letter || anyOne != c.anyOne {
			t.Errorf("IsLetterCover(%.20q) = %v, %v, want %v, %v", c.text, letter, anyOne, c.letter, c.anyOne)
		}
	}
}

// The block ends at the first empty line; what follows is for people.
func TestCoverBlockEnds(t *testing.T) {
	t.Parallel()
	words := "\nKepada Yth.\n\nsandi-pengantar/1\nnomor 1\n"
	c, err := ParseCover([]byte(goldenCover + words))
	if diff := cmp.Diff(sampleCover, c); err != nil || diff != "" {
		t.Errorf("cover: %v %s", err, diff)
	}
	l, err := ParseLetterCover([]byte(goldenLetterCover + words))
	if diff := cmp.Diff(sampleLetterCover, l); err != nil || diff != "" {
		t.Errorf("letter cover: %v %s", err, diff)
	}
}

func refuse(t *testing.T, parse func([]byte) (encoded, error), what, text string) {
	t.Helper()
	if _, err := parse([]byte(text)); !errors.Is(err, ErrMalformed) {
		t.Errorf("%s: err = %v, want %v\n%s", what, err, ErrMalformed, text)
	}
}

// Every change of form is refused, at every line of every text.
func TestRefusesForm(t *testing.T) {
	t.Parallel()
	for _, k := range single() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			cover := strings.Contains(k.name, "cover")
			lines := strings.SplitAfter(k.text, "\n")
			lines = lines[:len(lines)-1]
			join := func(parts ...[]string) string { return strings.Join(slices.Concat(parts...), "") }

			refuse(t, k.parse, "nothing", "")
			refuse(t, k.parse, "CRLF", strings.ReplaceAll(k.text, "\n", "\r\n"))
			refuse(t, k.parse, "CR", strings.ReplaceAll(k.text, "\n", "\r"))
			refuse(t, k.parse, "no LF at the end", strings.TrimSuffix(k.text, "\n"))
			refuse(t, k.parse, "byte order mark", "\ufeff"+k.text)
			refuse(t, k.parse, "twice", k.text+k.text)
			refuse(t, k.parse, "NUL at the end", k.text+"\x00")
			for i, line := range lines {
				at := func(s string) string { return fmt.Sprintf("%s at line %d", s, i+1) }
				bare := strings.TrimSuffix(line, "\n")
				change := func(s string) string { return join(lines[:i], []string{s}, lines[i+1:]) }
				refuse(t, k.parse, at("missing line"), join(lines[:i], lines[i+1:]))
				refuse(t, k.parse, at("doubled line"), join(lines[:i+1], lines[i:]))
				refuse(t, k.parse, at("extra line before"), join(lines[:i], []string{"catatan x\n"}, lines[i:]))
				refuse(t, k.parse, at("extra line after"), join(lines[:i+1], []string{"catatan x\n"}, lines[i+1:]))
				refuse(t, k.parse, at("empty line before"), join(lines[:i], []string{"\n"}, lines[i:]))
				refuse(t, k.parse, at("trailing blank"), change(bare+" \n"))
				refuse(t, k.parse, at("trailing tab"), change(bare+"\t\n"))
				refuse(t, k.parse, at("trailing no-break space"), change(bare+"\u00a0\n"))
				refuse(t, k.parse, at("leading blank"), change(" "+line))
				refuse(t, k.parse, at("one CRLF"), change(bare+"\r\n"))
				refuse(t, k.parse, at("control"), change(bare+"\x1b\n"))
				refuse(t, k.parse, at("bidi"), change(bare+"\u202e\n"))
				refuse(t, k.parse, at("invalid UTF-8"), change(bare+"\xff\n"))
				refuse(t, k.parse, at("lower-case escape"), change(bare+"%1b\n"))
				refuse(t, k.parse, at("needless escape"), change(bare+"%41\n"))
				refuse(t, k.parse, at("line over 400"), change(bare+strings.Repeat("x", 401-len(bare))+"\n"))
				if key, value, ok := strings.Cut(bare, " "); ok {
					refuse(t, k.parse, at("two blanks after the key"), change(key+"  "+value+"\n"))
					refuse(t, k.parse, at("empty value"), change(key+" \n"))
					refuse(t, k.parse, at("no value"), change(key+"\n"))
					refuse(t, k.parse, at("capital key"), change(strings.ToUpper(key[:1])+strings.ToLower(key[1:])+" "+value+"\n"))
				}
				if i > 0 {
					refuse(t, k.parse, at("wrong order"), join(lines[:i-1], []string{line, lines[i-1]}, lines[i+1:]))
				}
			}
			if !cover {
				refuse(t, k.parse, "empty line at the end", k.text+"\n")
			}
			for _, other := range []string{"sandi-kriptogram/2\n", "sandi-isi/2\n", "Sandi-kriptogram/1\n", "\n", "x\n"} {
				refuse(t, k.parse, "unknown first line", join([]string{other}, lines[1:]))
			}
			for _, other := range single() {
				if head, _, _ := strings.Cut(other.text, "\n"); head+"\n" != lines[0] {
					refuse(t, k.parse, "first line of another text", join([]string{head + "\n"}, lines[1:]))
					refuse(t, k.parse, other.name, other.text)
				}
			}
		})
	}
}

// A free value may hold any letter, but only in the composed form, and a line
// may be as long as 400 octets.
func TestFreeValues(t *testing.T) {
	t.Parallel()
	for _, k := range single() {
		if k.free == "" {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			with := func(s string) string { return strings.Replace(k.text, k.free, s, 1) }
			for _, s := range []string{"Caf\u00e9", "100%25", "a%0Ab", "a%E2%80%AEb", "\u6570"} {
				if _, err := k.parse([]byte(with(s))); err != nil {
					t.Errorf("%q: %v", s, err)
				}
			}
			refuse(t, k.parse, "NFD", with("Cafe\u0301"))
			refuse(t, k.parse, "bare percent sign", with("100%"))

			i := strings.Index(k.text, k.free)
			begin := strings.LastIndex(k.text[:i], "\n") + 1
			length := strings.Index(k.text[begin:], "\n")
			if _, err := k.parse([]byte(with(k.free + strings.Repeat("x", 400-length)))); err != nil {
				t.Errorf("line of 400: %v", err)
			}
			refuse(t, k.parse, "line of 401", with(k.free+strings.Repeat("x", 401-length)))
		})
	}
}

func TestRefusesValues(t *testing.T) {
	t.Parallel()
	upper := strings.ToUpper
	type change struct{ old, new string }
	numbers := func(key, good string) (c []change) {
		for _, bad := range []string{"-1", "-0", "+1", "01", "00", "1.0", "0x1", "1e0", "1_0", "\u0661", "x", "9223372036854775808"} {
			c = append(c, change{key + " " + good + "\n", key + " " + bad + "\n"})
		}
		return c
	}
	stamps := func(good string) (c []change) {
		for _, bad := range []string{
			"2026-11-20T02:10:00.000Z", "2026-11-20T02:10:00,5Z", "2026-11-20T02:10:00+00:00", "2026-11-20T09:10:00+07:00",
			"2026-11-20 02:10:00Z", "2026-11-20T02:10Z", "2026-11-20T2:10:00Z", "2026-11-31T02:10:00Z", "2026-11-20T24:00:00Z", "2026-11-20T02:10:60Z",
			"2026-11-20t02:10:00z", "2026-11-20",
		} {
			c = append(c, change{"waktu " + good, "waktu " + bad})
		}
		return c
	}
	copies := func(good string) (c []change) {
		for _, bad := range []string{"0/2", "3/2", "1/0", "-1/2", "01/2", "1/02", "1", "1/", "/2", "1/2/2", "1 /2", "1/ 2", "x/2"} {
			c = append(c, change{"salinan " + good, "salinan " + bad})
		}
		return c
	}
	for _, c := range []struct {
		name    string
		text    string
		parse   func([]byte) (encoded, error)
		changes [][]change
	}{
		{"draft", goldenDraft, parseDraft, [][]change{
			numbers("ukuran", "216000"), numbers("konsep", "1"), stamps("2026-11-20T02:10:00Z"),
			{
				{"konsep 1\n", "konsep 0\n"},
				{hex5c, upper(hex5c)},
				{hex5c, hex5c[2:]},
				{hex5c, hex5c + "5c"},
				{"kriptogram.pgp", "kriptogram.txt"},
				{"SHA256 (", "SHA512 ("},
				{") = ", ")="},
				{"isi 77", "isi 7G"},
				{"buku " + hexfe, "buku " + upper(hexfe)},
				{"buku " + hexfe, "buku " + hexfe[1:]},
				{"buku " + hexfe, "buku -"},
				{"penerima 1/2", "penerima 2/2"},
				{"penerima 2/2", "penerima 1/2"},
				{"penerima 2/2", "penerima 2/3"},
				{"penerima 1/2", "penerima 1/3"},
				{"penerima 1/2", "penerima 1/1"},
				{"penerima 2/2", "penerima 3/2"},
				{"penerima 2/2", "penerima 3/3"},
				{"penerima 1/2", "penerima 01/2"},
				{"penerima 1/2", "penerima 1/02"},
				{"penerima 1/2", "penerima 0/2"},
				{"penerima 1/2", "penerima -1/2"},
				{"penerima 1/2", "penerima 1/-2"},
				{"penerima 1/2", "penerima +1/2"},
				{"penerima 1/2", "penerima 1"},
				{"penerima 1/2", "penerima 1/2/2"},
				{fprTegal, upper(fprTegal)},
				{fprTegal, fprTegal[:62]},
				{fprJateng, fprJateng[:39]},
				{fprJateng, fprJateng + "3"},
				{fprJateng + " ", fprJateng + "  "},
				{subJateng + " ", subJateng + "  "},
				{" " + subJateng, ""},
				{subJateng + " Diskominfo Provinsi Jawa Tengah", subJateng},
				{"paraf " + fprSandiman, "paraf basah"},
				{"paraf " + fprSandiman, "paraf 0x11111111"},
				{"paraf " + fprSandiman + " Sandiman", "paraf " + fprSandiman},
				{"paraf " + fprSandiman, "paraf " + fprSandiman + " "},
				{"ttd " + fprHead, "ttd Basah"},
				{"ttd " + fprHead, "ttd kering"},
				{"ttd " + fprHead, "ttd " + strings.Repeat("g", 40)},
				{"ttd " + fprHead + " Kepala Seksi Persandian dan Keamanan Informasi", "ttd basah"},
				{"diperintahkan", "disetujui"},
			},
		}},
		{"return", goldenReturn, parseReturn, [][]change{
			numbers("konsep", "1"), stamps("2026-11-23T07:05:00Z"),
			{
				{"konsep 1\n", "konsep 0\n"},
				{hex5c, upper(hex5c)},
				{"kriptogram.txt", "kriptogram.pgp"},
			},
		}},
		{"content", goldenContent, parseContent, [][]change{{
			{hex5c, upper(hex5c)},
			{hexfe, upper(hexfe)},
			{hexfe, hexfe[2:]},
			{"naskah", "kriptogram.pgp"},
			{"sangat-rahasia", "Sangat-Rahasia"},
			{"sangat-rahasia", "sangat rahasia"},
			{"sangat-rahasia", "sr"},
			{"sangat-rahasia", "lain"},
			{"derajat segera", "derajat kilat"},
			{"derajat segera", "derajat lain"},
		}}},
		{"cover", goldenCover, parseCover, [][]change{
			copies("1/2"), stamps("2026-11-20T02:10:00Z"),
			{
				{hex5c, upper(hex5c)},
				{"kriptogram.txt", "kriptogram.pgp"},
				{fprSandiman, fprSandiman[1:]},
				{" " + fprSandiman, ""},
				{" " + fprJateng, ""},
				{fprJateng, upper(fprTegal)},
				{fprJateng, fprJateng + " " + fprJateng},
				{"sandi.jateng@jateng.example", "sandi jateng@jateng.example"},
				{"persandian@pekalongan.example", "Sandi persandian@pekalongan.example"},
			},
		}},
		{"letter cover", goldenScans, parseLetterCover, [][]change{
			copies("1/1"), stamps("2026-11-20T02:10:00Z"),
			{
				{hex5c, upper(hex5c)},
				{"S1-2026-2.pdf", "S1-2026.pdf"},
				{" " + fprSandiman, ""},
				{fprTegal, upper(fprTegal)},
				{fprTegal, "kepada yang lain"},
				{"S1-2026-2.pdf", ""},
				{"S1-2026-2.pdf", " "},
				{"S1-2026-2.pdf", "S1-2026-2.pdf "},
				{"S1-2026-2.pdf", "a\tb.pdf"},
				{"S1-2026-2.pdf", "a\rb.pdf"},
				{"S1-2026-2.pdf", "a\u202eb.pdf"},
				{"S1-2026-2.pdf", "cafe\u0301.pdf"},
				{"S1-2026-2.pdf", "a%09b.pdf"},
				{"S1-2026-2.pdf", "a\xffb.pdf"},
				{"S1-2026-2.pdf", "../S1.pdf"},
				{"S1-2026-2.pdf", `a\b.pdf`},
				{"S1-2026-2.pdf", "a)b.pdf"},
				{"S1-2026-2.pdf", strings.Repeat("a", 340) + ".pdf"},
				{"SHA256 (S1-2026.pdf)", "SHA512 (S1-2026.pdf)"},
			},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, ch := range slices.Concat(c.changes...) {
				bad := strings.Replace(c.text, ch.old, ch.new, 1)
				if bad == c.text {
					t.Fatalf("%q is not in the text", ch.old)
				}
				refuse(t, c.parse, fmt.Sprintf("%q for %q", ch.new, ch.old), bad)
			}
		})
	}
}

// A draft without recipients and a letter without scans say nothing.
func TestRefusesNobody(t *testing.T) {
	t.Parallel()
	var kept []string
	for line := range strings.Lines(goldenDraft) {
		if !strings.HasPrefix(line, "penerima ") {
			kept = append(kept, line)
		}
	}
	refuse(t, parseDraft, "no recipient", strings.Join(kept, ""))
	refuse(t, parseLetterCover, "no scan", strings.Replace(goldenLetterCover, "SHA256 (S1-2026.pdf) = "+hex5c+"\n", "", 1))
}

// The parsers read no more than their limit, and the writers stay below it.
func TestLimits(t *testing.T) {
	t.Parallel()
	d := sampleDraft
	d.Recipients = slices.Repeat(d.Recipients[:1], 1<<20/100)
	l := sampleLetterCover
	l.Scans = nil
	for i := range 1 << 16 / 80 {
		l.Scans = append(l.Scans, Scan{fmt.Sprintf("S1-2026-%d.pdf", i+1), digest(0x5c)})
	}
	for name, v := range map[string]encoded{"draft": d, "letter cover": l} {
		if _, err := v.Encode(); !errors.Is(err, ErrValue) {
			t.Errorf("%s: err = %v, want %v", name, err, ErrValue)
		}
	}
	d.Recipients = d.Recipients[:5000]
	text, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseDraft(text)
	if diff := cmp.Diff(d, back); err != nil || diff != "" {
		t.Errorf("5000 recipients: %v %s", err, diff)
	}
}

// What no parser would read is not written.
func TestWritersRefuse(t *testing.T) {
	t.Parallel()
	draft := func(change func(*Draft)) encoded {
		d := sampleDraft
		d.Recipients = slices.Clone(d.Recipients)
		change(&d)
		return d
	}
	ret := func(change func(*Return)) encoded {
		r := sampleReturn
		change(&r)
		return r
	}
	cover := func(change func(*Cover)) encoded {
		c := sampleCover
		change(&c)
		return c
	}
	letter := func(change func(*LetterCover)) encoded {
		c := manyScans()
		change(&c)
		return c
	}
	far := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	long := strings.Repeat("x", 400)
	for name, v := range map[string]encoded{
		"draft: nothing":            Draft{},
		"draft: no office":          draft(func(d *Draft) { d.Office = "" }),
		"draft: blank at the end":   draft(func(d *Draft) { d.Office = "Dinas " }),
		"draft: blank at the start": draft(func(d *Draft) { d.Format = " SEIPDv1" }),
		"draft: long office":        draft(func(d *Draft) { d.Office = long }),
		"draft: long when escaped":  draft(func(d *Draft) { d.Office = strings.Repeat("%", 150) }),
		"draft: no entry":           draft(func(d *Draft) { d.Entry = "" }),
		"draft: number 0":           draft(func(d *Draft) { d.Number = 0 }),
		"draft: negative size":      draft(func(d *Draft) { d.Size = -1 }),
		"draft: year 10000":         draft(func(d *Draft) { d.At = far }),
		"draft: year before 0":      draft(func(d *Draft) { d.At = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) }),
		"draft: no recipient":       draft(func(d *Draft) { d.Recipients = nil }),
		"draft: no subkey":          draft(func(d *Draft) { d.Recipients[0].Subkey = "" }),
		"draft: two in a subkey":    draft(func(d *Draft) { d.Recipients[0].Subkey = subJateng + " " + subJateng }),
		"draft: capital subkey":     draft(func(d *Draft) { d.Recipients[1].Subkey = strings.ToUpper(fprTegal) }),
		"draft: no unit":            draft(func(d *Draft) { d.Recipients[0].Unit = "" }),
		"draft: blank unit":         draft(func(d *Draft) { d.Recipients[0].Unit = " x" }),
		"draft: no paraf":           draft(func(d *Draft) { d.Paraf.Fingerprint = "" }),
		"draft: paraf in ink":       draft(func(d *Draft) { d.Paraf.Fingerprint = "basah" }),
		"draft: ttd not a key":      draft(func(d *Draft) { d.Signature.Fingerprint = "basah" }),
		"draft: no title":           draft(func(d *Draft) { d.Signature.Title = "" }),
		"return: number 0":          ret(func(r *Return) { r.Number = 0 }),
		"return: no reason":         ret(func(r *Return) { r.Reason = "" }),
		"return: long reason":       ret(func(r *Return) { r.Reason = long }),
		"return: year 10000":        ret(func(r *Return) { r.At = far }),
		"cover: no number":          cover(func(c *Cover) { c.Number = "" }),
		"cover: year 10000":         cover(func(c *Cover) { c.At = far }),
		"cover: from no key":        cover(func(c *Cover) { c.From.Fingerprint = "" }),
		"cover: to no key":          cover(func(c *Cover) { c.To.Fingerprint = "" }),
		"cover: blank in address":   cover(func(c *Cover) { c.To.Address = "a b@c" }),
		"cover: no address":         cover(func(c *Cover) { c.From.Address = "" }),
		"cover: copy 0":             cover(func(c *Cover) { c.Copy = 0 }),
		"cover: copy beyond":        cover(func(c *Cover) { c.Copy = 3 }),
		"cover: no id":              cover(func(c *Cover) { c.MessageID = "" }),
		"letter: no scan":           letter(func(c *LetterCover) { c.Scans = nil }),
		"letter: line in a name":    letter(func(c *LetterCover) { c.Scans[0].Name = "a) = " + hex77 + "\nSHA256 (b" }),
		"letter: parenthesis":       letter(func(c *LetterCover) { c.Scans[0].Name = "a)b.pdf" }),
		"letter: NFD name":          letter(func(c *LetterCover) { c.Scans[0].Name = "cafe\u0301.pdf" }),
		"letter: one name twice":    letter(func(c *LetterCover) { c.Scans[1].Name = c.Scans[0].Name }),
		"letter: no name":           letter(func(c *LetterCover) { c.Scans[0].Name = "" }),
		"letter: from no key":       letter(func(c *LetterCover) { c.From.Fingerprint = "" }),
		"letter: to a bad key":      letter(func(c *LetterCover) { c.To.Fingerprint = "x" }),
		"letter: copy beyond":       letter(func(c *LetterCover) { c.Copy = 2 }),
		"letter: year 10000":        letter(func(c *LetterCover) { c.At = far }),
	} {
		if text, err := v.Encode(); !errors.Is(err, ErrValue) || text != nil {
			t.Errorf("%s: %q, err = %v, want %v", name, text, err, ErrValue)
		}
	}
}

// A value with line ends, in the decomposed form or with broken octets stays
// in its line and comes back in the one form that the codec keeps.
func TestWritersNormalise(t *testing.T) {
	t.Parallel()
	r := sampleReturn
	r.Reason = "cafe\u0301\nkonsep 9\r\x1b[0m 100% \u202e\xff."
	text, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(goldenReturn, "tujuan ke-3 tidak sesuai disposisi", "caf\u00e9%0Akonsep 9%0D%1B[0m 100%25 %E2%80%AE\ufffd.", 1)
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Fatalf("text (-want +got):\n%s", diff)
	}
	back, err := ParseReturn(text)
	if err != nil {
		t.Fatal(err)
	}
	r.Reason = "caf\u00e9\nkonsep 9\r\x1b[0m 100% \u202e\ufffd."
	if diff := cmp.Diff(r, back); diff != "" {
		t.Errorf("value (-want +got):\n%s", diff)
	}
}
