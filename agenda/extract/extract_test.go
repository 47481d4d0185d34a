package extract_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"sandi/agenda/extract"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// a sheet in every form it has; pdf is never nil.
type form struct {
	pdf, text func(io.Writer) error
}

func forms() map[string]form {
	november := func() extract.BookSheet { return kriptogram(rows(novemberRows()...)) }
	surat := func() extract.BookSheet {
		s := november()
		s.Columns, s.Legend, s.Classification, s.Carried = suratColumns(), suratLegend, "", extract.Count{Entries: 207}
		s.Heads = []string{"KUTIPAN BUKU AGENDA SURAT KELUAR", "Tahun 2026 · 1–30 November 2026"}
		return s
	}
	book := func(s func() extract.BookSheet) form {
		return form{
			func(w io.Writer) error { _, err := extract.Book(w, s()); return err },
			func(w io.Writer) error { return extract.BookText(w, s()) },
		}
	}
	return map[string]form{
		"book":       book(november),
		"book_surat": book(surat),
		"book_nihil": book(func() extract.BookSheet { return kriptogram(rows()) }),
		"book_a4":    book(func() extract.BookSheet { s := november(); s.Paper = extract.A4; return s }),
		"slips": {
			func(w io.Writer) error { return extract.Slips(w, others(), slips()) },
			func(w io.Writer) error { return extract.SlipsText(w, slips()) },
		},
		"draft": {
			func(w io.Writer) error { return extract.Draft(w, page(), draft()) },
			func(w io.Writer) error { return extract.DraftText(w, draft()) },
		},
		"result": {
			func(w io.Writer) error { return extract.Result(w, page(), result()) },
			func(w io.Writer) error { return extract.ResultText(w, result()) },
		},
		"notices": {
			func(w io.Writer) error { return extract.Notices(w, others(), notices()) },
			func(w io.Writer) error { return extract.NoticesText(w, notices()) },
		},
		"receipt": {
			func(w io.Writer) error { return extract.Receipt(w, others(), receipt()) },
			func(w io.Writer) error { return extract.ReceiptText(w, receipt()) },
		},
		"cover": {
			func(w io.Writer) error { return extract.Covers(w, others(), covers()) },
			func(w io.Writer) error { return extract.CoversText(w, covers()) },
		},
		"waiting": {
			func(w io.Writer) error { return extract.Waiting(w, page(), waiting()) },
			func(w io.Writer) error { return extract.WaitingText(w, waiting()) },
		},
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

// pdfText extracts the text of every page as a reader sees it.
func pdfText(t testing.TB, pdf []byte) []string {
	t.Helper()
	if _, err := exec.LookPath("pdftotext"); err != nil {
		t.Skip("pdftotext is not installed")
	}
	path := filepath.Join(t.TempDir(), "sheet.pdf")
	if err := os.WriteFile(path, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("pdftotext", "-layout", path, "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\f"), "\f")
}

func write(t testing.TB, f func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSheetsReadAsGolden(t *testing.T) {
	t.Parallel()
	for name, f := range forms() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden(t, name+".pdf.txt", strings.Join(pdfText(t, write(t, f.pdf)), "\f\n"))
		})
	}
}

func TestTextFormsAsGolden(t *testing.T) {
	t.Parallel()
	for name, f := range forms() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := string(write(t, f.text))
			for i, line := range strings.Split(got, "\n") {
				// A cover is in the columns of the message that was sent.
				if n := len([]rune(line)); n > 80 && name != "cover" {
					t.Errorf("line %d has %d columns", i+1, n)
				}
			}
			golden(t, name+".txt", got)
		})
	}
}

func TestSheetsAreTheSameOctetsTwice(t *testing.T) {
	t.Parallel()
	for name, f := range forms() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !bytes.Equal(write(t, f.pdf), write(t, f.pdf)) {
				t.Error("two runs differ")
			}
		})
	}
}

// The octets of every sheet are those that were looked at: a change of the
// drawing, the fonts or the PDF library shows here first.
func TestSheetsAreTheGoldenOctets(t *testing.T) {
	t.Parallel()
	all := forms()
	all["plain"] = form{pdf: func(w io.Writer) error { _, err := extract.Plain(w, plain()); return err }}
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	var digests strings.Builder
	for _, name := range names {
		fmt.Fprintf(&digests, "%x  %s.pdf\n", sha256.Sum256(write(t, all[name].pdf)), name)
	}
	golden(t, "SHA256SUMS", digests.String())
}

func TestSheetsPassQpdf(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("qpdf"); err != nil {
		t.Skip("qpdf is not installed")
	}
	all := forms()
	for name, f := range extremes() {
		all[name] = f
	}
	for name, f := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "sheet.pdf")
			if err := os.WriteFile(path, write(t, f.pdf), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("qpdf", "--check", path).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// A word without end loses nothing and is cut over as many pages as it needs.
func TestEndlessWord(t *testing.T) {
	t.Parallel()
	sheet := func() extract.BookSheet { return kriptogram(rows(kriptogramRow(1, 1, strings.Repeat("ß", 20_000)))) }
	text := string(write(t, func(w io.Writer) error { return extract.BookText(w, sheet()) }))
	if got := strings.Count(text, "ß"); got != 20_000 {
		t.Errorf("%d of 20000 letters in the text form", got)
	}
	pages := pdfText(t, write(t, func(w io.Writer) error { _, err := extract.Book(w, sheet()); return err }))
	if got := strings.Count(strings.Join(pages, ""), "ß"); got != 20_000 || len(pages) < 20 {
		t.Errorf("%d of 20000 letters on %d pages", got, len(pages))
	}
}

func TestPaperSizes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		paper extract.Paper
		draw  func(extract.Page) func(io.Writer) error
		box   string // points, width and height
	}{
		"F4_across":  {extract.F4, bookOn, "935.43 609.45"},
		"A4_across":  {extract.A4, bookOn, "841.89 595.28"},
		"empty_F4":   {"", receiptOn, "609.45 467.72"},
		"half_A4":    {extract.A4, receiptOn, "595.28 420.94"},
		"label_slip": {extract.Label, slipsOn, "269.29 170.08"},
		"slips_F4":   {extract.F4, slipsOn, "609.45 935.43"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := others()
			p.Paper = tt.paper
			pdf := write(t, tt.draw(p))
			if !bytes.Contains(pdf, []byte("/MediaBox [0 0 "+tt.box+"]")) {
				t.Errorf("no page of %s points: %s", tt.box, regexp.MustCompile(`/MediaBox.*`).FindAll(pdf, 2))
			}
		})
	}
}

func bookOn(p extract.Page) func(io.Writer) error {
	return func(w io.Writer) error {
		s := kriptogram(rows(novemberRows()...))
		s.Page = p
		_, err := extract.Book(w, s)
		return err
	}
}

func receiptOn(p extract.Page) func(io.Writer) error {
	return func(w io.Writer) error { return extract.Receipt(w, p, receipt()) }
}

func slipsOn(p extract.Page) func(io.Writer) error {
	return func(w io.Writer) error { return extract.Slips(w, p, slips()) }
}

var serial = regexp.MustCompile(`(?m)^ *(\d{4}) `)

// Every row stands whole on one page, every page carries its totals on, and
// the signatures stand on the page of the last row, however the rows fall; one
// of the counts fills a page to the last line.
func TestBookPagination(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	full := false
	for n := 1; n <= 30; n++ {
		var list []extract.Row
		for i := range n {
			r := kriptogramRow(1001+i, 1, "(disamarkan)")
			if n > 22 { // rows of many heights
				r = kriptogramRow(1001+i, 1+random.IntN(9), strings.Repeat("kata ", random.IntN(60)))
			}
			list = append(list, r)
		}
		var b bytes.Buffer
		s := kriptogram(rows(list...))
		s.Carried = extract.Count{}
		printed, err := extract.Book(&b, s)
		if err != nil {
			t.Fatal(err)
		}
		pages := pdfText(t, b.Bytes())
		if len(pages) != printed.Pages || len(printed.Codes) != printed.Pages {
			t.Fatalf("%d rows: %d pages, reported %+v", n, len(pages), printed)
		}
		next, before := 1001, 0
		for i, p := range pages {
			found := serial.FindAllStringSubmatch(p, -1)
			for _, m := range found {
				if m[1] != fmt.Sprint(next) {
					t.Fatalf("%d rows, page %d: row %s where %d was due", n, i+1, m[1], next)
				}
				next++
			}
			for _, want := range []string{
				fmt.Sprintf("Jumlah pindahan: %d agenda, %d nomor", before, before),
				fmt.Sprintf("Jumlah halaman ini: %d agenda", len(found)),
				fmt.Sprintf("Jumlah dipindahkan: %d agenda", before+len(found)),
				fmt.Sprintf("Halaman %d dari %d", i+1, len(pages)),
				"(12)", "Keterangan",
			} {
				if !strings.Contains(p, want) {
					t.Errorf("%d rows, page %d: no %q in\n%s", n, i+1, want, p)
				}
			}
			before += len(found)
			if signed := strings.Contains(p, "NAMA SANDIMAN"); signed != (i == len(pages)-1) {
				t.Errorf("%d rows, page %d of %d: signed %v", n, i+1, len(pages), signed)
			}
			if strings.Contains(p, "NAMA SANDIMAN") && len(found) == 0 {
				t.Errorf("%d rows: signatures alone on page %d", n, i+1)
			}
			if i == 0 && len(pages) > 1 && len(found) == n-1 && n <= 22 {
				full = true
			}
		}
		if next != 1001+n {
			t.Errorf("%d rows: %d drawn", n, next-1001)
		}
	}
	if !full {
		t.Error("no count filled a page so that one row followed with the signatures")
	}
}

func TestBookNihilIsSigned(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	printed, err := extract.Book(&b, kriptogram(rows()))
	if err != nil || printed.Pages != 1 {
		t.Fatal(printed, err)
	}
	text := pdfText(t, b.Bytes())[0]
	for _, want := range []string{"Nihil", "NAMA KEPALA SEKSI", "Jumlah halaman ini: 0 agenda, 0 nomor", "Jumlah dipindahkan: 41 agenda, 16 nomor"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// A row higher than a page is cut, loses nothing and is named again.
func TestBookCutsARowHigherThanAPage(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	printed, err := extract.Book(&b, kriptogram(rows(kriptogramRow(7, 1, "x"), kriptogramRow(42, 60, sixtyWords))))
	if err != nil {
		t.Fatal(err)
	}
	pages := pdfText(t, b.Bytes())
	all := strings.Join(pages, "\n")
	for i := 1; i <= 60; i++ {
		if got := strings.Count(all, fmt.Sprintf("salinan %d/60", i)); got != 1 {
			t.Errorf("copy %d stands %d times", i, got)
		}
	}
	if got := strings.Count(all, "lanj."); got != printed.Pages-1 {
		t.Errorf("%d pages, continued on %d", printed.Pages, got)
	}
	if !strings.Contains(pages[len(pages)-1], "salinan 60/60") || !strings.Contains(pages[len(pages)-1], "NAMA SANDIMAN") {
		t.Error("the end of the row and the signatures are not on one page")
	}
}

func TestHostileTextIsShown(t *testing.T) {
	t.Parallel()
	const hostile = "\x1b[31m \u202E \u200B \t \u0000 \xff 漢 {nb}"
	row := kriptogramRow(1, 1, hostile)
	text := strings.Join(pdfText(t, write(t, func(w io.Writer) error {
		_, err := extract.Book(w, kriptogram(rows(row)))
		return err
	})), "")
	flat := strings.Join(strings.Fields(text), "")
	for _, want := range []string{"<U+001B>", "<U+202E>", "<U+200B>", "<U+0009>", "<U+0000>", "□", "{nb}"} {
		if !strings.Contains(flat, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	plain := string(write(t, func(w io.Writer) error { return extract.BookText(w, kriptogram(rows(row))) }))
	for _, r := range plain {
		if r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf) {
			t.Errorf("text form lets %U through", r)
		}
	}
	if !strings.Contains(plain, "漢") {
		t.Error("the text form has no font to lack a character")
	}
}

func TestPageCodes(t *testing.T) {
	t.Parallel()
	codes := func(change func(*extract.BookSheet)) []string {
		s := kriptogram(rows(novemberRows()...))
		if change != nil {
			change(&s)
		}
		printed, err := extract.Book(io.Discard, s)
		if err != nil {
			t.Fatal(err)
		}
		return printed.Codes
	}
	first := codes(nil)
	for _, c := range first {
		if !regexp.MustCompile(`^[A-Z2-7]{16}$`).MatchString(c) {
			t.Errorf("code %q is not 80 bits of base32", c)
		}
	}
	same := codes(func(s *extract.BookSheet) {
		s.PrintedAt = s.PrintedAt.Add(time.Hour)
		s.Checkpoint = ""
	})
	if diff := cmp.Diff(first, same); diff != "" {
		t.Errorf("the foot changes the code: %s", diff)
	}
	if got := codes(func(s *extract.BookSheet) { s.PageCodes = false }); got != nil {
		t.Errorf("codes without page codes: %v", got)
	}
	changes := map[string]func(*extract.BookSheet){
		"a_cell": func(s *extract.BookSheet) {
			list := novemberRows()
			list[0].Cells["surat"] = extract.Cell{Text: "800/99\n20-11-2026"}
			s.Rows = rows(list...)
		},
		"a_void": func(s *extract.BookSheet) {
			list := novemberRows()
			list[0].Void = true
			s.Rows = rows(list...)
		},
		"a_total":     func(s *extract.BookSheet) { s.Carried.Numbers++ },
		"a_signature": func(s *extract.BookSheet) { s.Right.Name = "ORANG LAIN" },
		"the_filter":  func(s *extract.BookSheet) { s.Heads[2] = "Saringan: lain" },
	}
	for name, change := range changes {
		if cmp.Equal(first, codes(change)) {
			t.Errorf("%s changed and no page code did", name)
		}
	}
	text := strings.Join(pdfText(t, write(t, func(w io.Writer) error {
		_, err := extract.Book(w, kriptogram(rows(novemberRows()...)))
		return err
	})), "")
	for _, c := range first {
		if !strings.Contains(text, c[:4]+" "+c[4:8]+" "+c[8:12]+" "+c[12:]) {
			t.Errorf("code %s is not printed", c)
		}
	}
}

// What leaves the office says nothing about the log.
func TestSheetsForOthersShowNoCheckpoint(t *testing.T) {
	t.Parallel()
	with := string(write(t, func(w io.Writer) error { return extract.Receipt(w, page(), receipt()) }))
	without := write(t, func(w io.Writer) error { return extract.Receipt(w, others(), receipt()) })
	if strings.Count(with, "/Subtype /Image") <= strings.Count(string(without), "/Subtype /Image") {
		t.Error("no QR code with a checkpoint")
	}
	if text := pdfText(t, without)[0]; strings.Contains(text, "keutuhan") {
		t.Error("the state of the book is on a sheet for others")
	}
}

func TestDoneTellsPagesAndCodes(t *testing.T) {
	t.Parallel()
	var got extract.Printed
	p := others()
	p.Done = func(printed extract.Printed) { got = printed }
	write(t, func(w io.Writer) error { return extract.Notices(w, p, notices()) })
	if got.Pages != 2 || len(got.Codes) != 2 || got.Codes[0] == got.Codes[1] {
		t.Errorf("got %+v", got)
	}
}

// Each applicant's notice is numbered alone: it must not tell how many others
// there are.
func TestNoticesAreNumberedApart(t *testing.T) {
	t.Parallel()
	list := notices()
	for range 8 {
		list[1].Items = append(list[1].Items, list[0].Items[0])
	}
	pages := pdfText(t, write(t, func(w io.Writer) error { return extract.Notices(w, others(), list) }))
	var got []string
	for _, p := range pages {
		got = append(got, regexp.MustCompile(`Halaman \d+ dari \d+`).FindString(p))
	}
	if diff := cmp.Diff([]string{"Halaman 1 dari 1", "Halaman 1 dari 3", "Halaman 2 dari 3", "Halaman 3 dari 3"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestKriptogramNoticeNamesNoAddressee(t *testing.T) {
	t.Parallel()
	n := notices()[1]
	n.Items = n.Items[:1]
	text := string(write(t, func(w io.Writer) error { return extract.NoticesText(w, []extract.Notice{n}) }))
	if strings.Contains(text, "Diskominfo") || !strings.Contains(text, "Jumlah tujuan  : 2") {
		t.Error(text)
	}
}

func TestSlipsLoseNothing(t *testing.T) {
	t.Parallel()
	s := slips()[0]
	s.LetterNumber = strings.TrimSpace(strings.Repeat("005/1204 ", 12))
	s.Lines = nil
	for i := range 40 {
		s.Lines = append(s.Lines, extract.SlipLine{Destination: fmt.Sprintf("Tujuan-%02d", i), SentAt: "23 November 2026, 10.07 WIB", Proof: fmt.Sprintf("bukti-%02d", i)})
	}
	s.Lines[7].Proof += strings.Repeat(" panjang", 120)
	text := strings.Join(pdfText(t, write(t, func(w io.Writer) error { return extract.Slips(w, others(), []extract.Slip{s}) })), "\n")
	for i := range 40 {
		for _, want := range []string{fmt.Sprintf("Tujuan-%02d", i), fmt.Sprintf("bukti-%02d", i)} {
			if strings.Count(text, want) != 1 {
				t.Errorf("%s stands %d times", want, strings.Count(text, want))
			}
		}
	}
	if got := strings.Count(text, "panjang"); got != 120 {
		t.Errorf("%d of 120 words of a long proof", got)
	}
	if got := strings.Count(text, "005/1204"); got != 12 {
		t.Errorf("%d of 12 parts of a long number", got)
	}
}

func TestDraftWithManyRecipientsGoesOn(t *testing.T) {
	t.Parallel()
	d := draft()
	d.To = nil
	for i := range 40 {
		d.To = append(d.To, extract.DraftRecipient{Copy: i + 1, Unit: fmt.Sprintf("Unit-%02d", i+1), KeyWords: "akar bulan cermin dapur ekor fajar"})
	}
	pages := pdfText(t, write(t, func(w io.Writer) error { return extract.Draft(w, page(), d) }))
	all := strings.Join(pages, "\n")
	for i := range 40 {
		if strings.Count(all, fmt.Sprintf("Unit-%02d", i+1)) != 1 {
			t.Errorf("recipient %d is missing", i+1)
		}
	}
	for i, p := range pages {
		if strings.Count(p, "RAHASIA") < 2 {
			t.Errorf("page %d does not carry the classification at head and foot", i+1)
		}
	}
	if last := pages[len(pages)-1]; !strings.Contains(last, "Paraf Sandiman") || !strings.Contains(last, "disetujui") {
		t.Error("the decision is not in one piece on the last page")
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	if got := extract.Groups(nil); got != nil {
		t.Errorf("of nothing: %v", got)
	}
	if diff := cmp.Diff([][]string{{"MZXW6", "YTBOI"}}, extract.Groups([]byte("foobar"))); diff != "" {
		t.Error(diff) // the last test vector of RFC 4648 §10 without its padding
	}
	lines := extract.Groups(make([]byte, 4096))
	if len(lines) != 6 || len(lines[5]) != 10 || lines[5][9] != "AAAAA" {
		t.Errorf("got %v", lines)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*extract.BookSheet)
		code   string
	}{
		"unknown_paper":     {func(s *extract.BookSheet) { s.Paper = "A3" }, extract.CodePaper},
		"label_for_a_book":  {func(s *extract.BookSheet) { s.Paper = extract.Label }, extract.CodePaper},
		"no_columns":        {func(s *extract.BookSheet) { s.Columns = nil }, extract.CodeColumns},
		"column_of_nothing": {func(s *extract.BookSheet) { s.Columns[3].Width = 0 }, extract.CodeColumns},
		"emblem_of_text":    {func(s *extract.BookSheet) { s.Office.Emblem = []byte("lambang") }, extract.CodeEmblem},
		"emblem_cut_short":  {func(s *extract.BookSheet) { s.Office.Emblem = emblem()[:200] }, extract.CodeEmblem},
		"endless_note":      {func(s *extract.BookSheet) { s.Checkpoint = strings.Repeat("x", 4000) }, extract.CodeNote},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := kriptogram(rows(novemberRows()...))
			tt.change(&s)
			var b bytes.Buffer
			_, err := extract.Book(&b, s)
			var coded *extract.Error
			if !errors.As(err, &coded) || coded.Code() != tt.code || b.Len() != 0 {
				t.Errorf("got %v and %d octets, want %s and none", err, b.Len(), tt.code)
			}
		})
	}
}

func TestErrorsOfRowsAndWriterComeThrough(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	failing := func(yield func(extract.Row, error) bool) {
		if yield(kriptogramRow(1, 1, "x"), nil) {
			yield(extract.Row{}, broken)
		}
	}
	var b bytes.Buffer
	if _, err := extract.Book(&b, kriptogram(failing)); !errors.Is(err, broken) || b.Len() != 0 {
		t.Errorf("got %v and %d octets", err, b.Len())
	}
	for name, f := range map[string]func(io.Writer, extract.BookSheet) error{"text": extract.BookText, "csv": extract.BookCSV} {
		if err := f(io.Discard, kriptogram(failing)); !errors.Is(err, broken) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, f := range forms() {
		if err := f.pdf(full{broken}); !errors.Is(err, broken) {
			t.Errorf("%s.pdf: got %v", name, err)
		}
		if err := f.text(full{broken}); !errors.Is(err, broken) {
			t.Errorf("%s.txt: got %v", name, err)
		}
	}
	if err := extract.BookCSV(full{broken}, kriptogram(rows(novemberRows()...))); !errors.Is(err, broken) {
		t.Errorf("csv: got %v", err)
	}
}

// full is a disk without room.
type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }

func TestBookCSV(t *testing.T) {
	t.Parallel()
	list := novemberRows()
	list[0].Cells["perihal"] = extract.Cell{Text: "=HYPERLINK(\"http://x\";\"y\")"}
	list[0].Cells["asal"] = extract.Cell{Text: "Bagian \"Umum\"; Setda\r\nlantai 2"}
	got := write(t, func(w io.Writer) error { return extract.BookCSV(w, kriptogram(rows(list...))) })
	if !bytes.HasPrefix(got, []byte("\xEF\xBB\xBFNo. Agenda;")) || bytes.Count(got, []byte("\n")) != bytes.Count(got, []byte("\r\n")) {
		t.Errorf("no byte order mark, or a bare LF: %q", got[:40])
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(got, []byte("\xEF\xBB\xBF"))))
	r.Comma = ';'
	records, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"42", "23-11-2026 08.29", "Bagian \"Umum\"; Setda lantai 2", "800/42 20-11-2026", "'=HYPERLINK(\"http://x\";\"y\")", "R Sg", "1. Diskominfo Kabupaten Contoh 1", "042", "23-11-2026 14.47", "4", "", "salinan 1/2", ""}
	if diff := cmp.Diff(want, records[1]); diff != "" {
		t.Error(diff)
	}
	if n := len(records); n != 8 { // heads, 2 + 1 + 3 + 1 addressees
		t.Errorf("%d records", n)
	}
	if got := records[3]; got[12] != "ya" || !strings.Contains(got[11], "Dibatalkan") {
		t.Errorf("void row: %q", got)
	}
	if got := records[4][3]; got != "800/31 20-11-2026 (semula: 800/13)" {
		t.Errorf("corrected cell: %q", got)
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	// The last second of the Indonesian year, still morning in UTC.
	at := time.Date(2026, 12, 31, 16, 59, 31, 0, time.UTC)
	got := []string{
		extract.Date(at), extract.Day(at), extract.Month(at), extract.DayDate(at), extract.ShortDate(at), extract.Clock(at),
		extract.ClockTime(at), extract.ClockSeconds(at), extract.DateTime(at), extract.DayDateTime(at), extract.ShortDateTime(at),
		extract.DayDate(at.Add(time.Minute)),
	}
	want := []string{
		"31 Desember 2026", "Kamis", "Desember 2026", "Kamis, 31 Desember 2026", "31-12-2026", "23.59",
		"23.59 WIB", "23.59.31 WIB", "31 Desember 2026, 23.59 WIB", "Kamis, 31 Desember 2026, 23.59 WIB", "31-12-2026 23.59",
		"Jumat, 1 Januari 2027",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzSafeCell(f *testing.F) {
	for _, s := range []string{"=1+1", " =1", "\t=1", "＝1", "-5", "@SUM(A1)", "\r\n+1", "biasa", "\u202E=1", "\u00A0+1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := extract.SafeCell(s)
		trimmed := strings.TrimLeft(out, " \u00A0\u3000")
		if trimmed != "" && strings.ContainsRune("=+-@＝＋－＠", []rune(trimmed)[0]) {
			t.Errorf("%q begins a formula", out)
		}
		for _, r := range out {
			if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
				t.Errorf("%q holds %U", out, r)
			}
		}
	})
}

func endless(n int) iter.Seq2[extract.Row, error] {
	return func(yield func(extract.Row, error) bool) {
		for i := range n {
			if !yield(kriptogramRow(i+1, 1, "Undangan rapat koordinasi"), nil) {
				return
			}
		}
	}
}

func BenchmarkBook10000(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := extract.Book(io.Discard, kriptogram(endless(10000))); err != nil {
			b.Fatal(err)
		}
	}
}
