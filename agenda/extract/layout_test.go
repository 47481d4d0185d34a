package extract_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sandi/agenda/extract"
)

// Sheets are looked at as a reader sees them: poppler says where each word
// stands and draws the page, qpdf lays the rules open. Nothing here knows how
// the sheets are made.

// A rect is a place on a page in points, from the top left corner.
type rect struct{ x1, y1, x2, y2 float64 }

func (r rect) shrunk(by float64) rect { return rect{r.x1 + by, r.y1 + by, r.x2 - by, r.y2 - by} }

func (r rect) meets(o rect) bool { return r.x1 < o.x2 && o.x1 < r.x2 && r.y1 < o.y2 && o.y1 < r.y2 }

func (r rect) String() string {
	return fmt.Sprintf("%.0f-%.0f x %.0f-%.0f mm", r.x1/mm, r.x2/mm, r.y1/mm, r.y2/mm)
}

const mm = 72 / 25.4

type word struct {
	rect
	text string
}

// A view is one page.
type view struct {
	width, height float64
	words         []word
	rules         []rect // of no width in one direction
	pictures      []rect
	ink           []byte // darkness of each pixel, one a point
	across, down  int    // pixels
}

// views takes a PDF apart.
func views(t testing.TB, pdf []byte) []view {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, "sheet.pdf", pdf)
	tool(t, dir, "pdftotext", "-bbox-layout", "sheet.pdf", "words.html")
	tool(t, dir, "qpdf", "--qdf", "--object-streams=disable", "--no-original-object-ids", "sheet.pdf", "open.pdf")
	tool(t, dir, "pdftoppm", "-gray", "-r", "72", "sheet.pdf", "page")
	pages := wordsOf(t, get(t, filepath.Join(dir, "words.html")))
	contents := regexp.MustCompile(`(?s)%% Contents for page (\d+)\n.*?stream\n(.*?)endstream`).FindAllSubmatch(get(t, filepath.Join(dir, "open.pdf")), -1)
	pictures, err := filepath.Glob(filepath.Join(dir, "page-*.pgm"))
	if err != nil || len(contents) != len(pages) || len(pictures) != len(pages) {
		t.Fatalf("%d pages, %d contents, %d pictures, %v", len(pages), len(contents), len(pictures), err)
	}
	slices.Sort(pictures)
	for i := range pages {
		p := &pages[i]
		p.draw(t, string(contents[i][2]))
		data := get(t, pictures[i])
		if n, err := fmt.Sscanf(string(data[:min(len(data), 30)]), "P5\n%d %d\n255\n", &p.across, &p.down); n != 2 {
			t.Fatal(err)
		}
		p.ink = data[len(data)-p.across*p.down:]
		for k, v := range p.ink {
			p.ink[k] = 255 - v
		}
	}
	return pages
}

func wordsOf(t testing.TB, html []byte) []view {
	t.Helper()
	var pages []view
	d := xml.NewDecoder(bytes.NewReader(html))
	d.Strict = false
	number := func(e xml.StartElement, name string) float64 {
		for _, a := range e.Attr {
			if a.Name.Local == name {
				f, err := strconv.ParseFloat(a.Value, 64)
				if err != nil {
					t.Fatal(err)
				}
				return f
			}
		}
		t.Fatalf("no %s in %v", name, e)
		return 0
	}
	for {
		token, err := d.Token()
		if err == io.EOF {
			return pages
		}
		if err != nil {
			t.Fatal(err)
		}
		e, ok := token.(xml.StartElement)
		switch {
		case ok && e.Name.Local == "page":
			pages = append(pages, view{width: number(e, "width"), height: number(e, "height")})
		case ok && e.Name.Local == "word":
			w := word{rect: rect{number(e, "xMin"), number(e, "yMin"), number(e, "xMax"), number(e, "yMax")}}
			if err := d.DecodeElement(&w.text, &e); err != nil {
				t.Fatal(err)
			}
			last := &pages[len(pages)-1]
			last.words = append(last.words, w)
		}
	}
}

var drawing = regexp.MustCompile(`(?m)^(?:([-.\d]+) ([-.\d]+) m ([-.\d]+) ([-.\d]+) l S|([-.\d]+) ([-.\d]+) ([-.\d]+) ([-.\d]+) re ([Sf])|q ([-.\d]+) 0 0 ([-.\d]+) ([-.\d]+) ([-.\d]+) cm /P\d+ Do Q)$`)

// draw finds the rules, boxes and pictures of a page.
func (p *view) draw(t testing.TB, content string) {
	t.Helper()
	for _, m := range drawing.FindAllStringSubmatch(content, -1) {
		n := func(i int) float64 {
			f, err := strconv.ParseFloat(m[i], 64)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		switch {
		case m[1] != "":
			x1, y1, x2, y2 := n(1), p.height-n(2), n(3), p.height-n(4)
			p.rules = append(p.rules, rect{min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)})
		case m[9] == "S":
			l, b, r := n(5), p.height-n(6), n(5)+n(7)
			top := b - n(8)
			p.rules = append(p.rules, rect{l, top, r, top}, rect{l, b, r, b}, rect{l, top, l, b}, rect{r, top, r, b})
		case m[10] != "":
			p.pictures = append(p.pictures, rect{n(12), p.height - n(13) - n(11), n(12) + n(10), p.height - n(13)})
		}
	}
}

// inked counts the dark points of a place.
func (p *view) inked(r rect) (dark, all int) {
	for y := max(0, int(math.Floor(r.y1))); y < min(p.down, int(math.Ceil(r.y2))); y++ {
		for x := max(0, int(math.Floor(r.x1))); x < min(p.across, int(math.Ceil(r.x2))); x++ {
			all++
			if p.ink[y*p.across+x] > 60 {
				dark++
			}
		}
	}
	return dark, all
}

// A frame is where the text of a kind of sheet may stand, in mm: margins as
// the paper rules have them. Above and below, marks and the foot stand within
// the margin, but never nearer to the edge than a printer reaches.
type frame struct{ left, right float64 }

const unprintable = 4.2 * mm

// faults lists what a clerk would send back to the printer.
func (p *view) faults(f frame) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if len(p.words) == 0 {
		say("no word on the page")
	}
	field := rect{f.left * mm, unprintable, p.width - f.right*mm, p.height - unprintable}
	for i, w := range p.words {
		if w.x1 < field.x1-1 || w.x2 > field.x2+1 || w.y1 < field.y1 || w.y2 > field.y2 {
			say("%q at %v stands in the margin", w.text, w.rect)
		}
		inner := w.shrunk(0.4)
		for _, o := range p.words[i+1:] {
			if inner.meets(o.shrunk(0.4)) {
				say("%q and %q at %v lie over each other", w.text, o.text, w.rect)
			}
		}
		for _, r := range p.pictures {
			if inner.meets(r) {
				say("%q at %v lies over a picture", w.text, w.rect)
			}
		}
		for _, r := range p.rules {
			across := r.y1 == r.y2
			if p.strikes(r) {
				continue
			}
			// The box of a word is as high as the font, its letters are not.
			high := w.y2 - w.y1
			letters := rect{w.x1 + 0.3, w.y1 + 0.22*high, w.x2 - 0.3, w.y2 - 0.24*high}
			if across && r.y1 > letters.y1 && r.y1 < letters.y2 && r.x1 < letters.x2 && r.x2 > letters.x1 ||
				!across && r.x1 > letters.x1 && r.x1 < letters.x2 && r.y1 < letters.y2 && r.y2 > letters.y1 {
				say("%q at %v is cut by a rule", w.text, w.rect)
			}
		}
		if dark, _ := p.inked(w.rect); dark == 0 && strings.Trim(w.text, ".,-:'\u00A0") != "" {
			say("%q at %v is not to be seen", w.text, w.rect)
		}
	}
	for _, r := range p.rules {
		if r.x1 < unprintable-1 && p.width > 110*mm || r.x2 > p.width+1 || r.y2 > p.height+1 || r.y1 < 0 {
			say("a rule at %v leaves the page", r)
		}
	}
	edges := []rect{{0, 0, p.width, 4 * mm}, {0, p.height - 4*mm, p.width, p.height}, {0, 0, 4 * mm, p.height}, {p.width - 4*mm, 0, p.width, p.height}}
	for _, edge := range edges {
		if dark, _ := p.inked(edge); dark > 0 && !p.cutLines() {
			say("ink at the edge of the paper, %v", edge)
		}
	}
	return out
}

// strikes tells whether a rule strikes words through: it begins where one of
// them does, at the height of its letters.
func (p *view) strikes(r rect) bool {
	return r.y1 == r.y2 && slices.ContainsFunc(p.words, func(w word) bool {
		return math.Abs(w.x1-r.x1) < 0.6 && r.y1 > w.y1 && r.y1 < w.y2
	})
}

// cutLines tells whether the page is to be cut into slips, whose lines go to
// its edges.
func (p *view) cutLines() bool {
	return slices.ContainsFunc(p.words, func(w word) bool { return w.text == "DIKIRIM" })
}

// uprights are the places of the upright rules that are long enough to be
// those of a table, in mm from the left margin, each once.
func (p *view) uprights(left float64) []float64 {
	var out []float64
	for _, r := range p.rules {
		x := math.Round((r.x1/mm-left)*10) / 10
		if r.x1 == r.x2 && r.y2-r.y1 > 4*mm && !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	slices.Sort(out)
	return out
}

// frameOf is the margins of a kind of sheet (portrait 30 and 25, across 30 and
// 20, half sheets 25 and 20, slips 4).
func frameOf(name string, p view) frame {
	switch {
	case strings.HasPrefix(name, "slip"):
		return frame{4, 4}
	case strings.HasPrefix(name, "book"):
		return frame{30, 20}
	case p.height < 170*mm && p.width > p.height:
		return frame{25, 20}
	}
	return frame{30, 25}
}

func TestSheetsHaveNoLayoutFaults(t *testing.T) {
	t.Parallel()
	all := forms()
	for name, f := range extremes() {
		all[name] = f
	}
	for name, f := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pages := views(t, write(t, f.pdf))
			for i := range pages {
				for _, fault := range pages[i].faults(frameOf(name, pages[i])) {
					t.Errorf("page %d: %s", i+1, fault)
				}
			}
			first := &pages[0]
			if strings.HasPrefix(name, "slip") {
				return
			}
			// The kop: the emblem, the office beside it, the double rule below.
			if len(first.pictures) == 0 {
				t.Fatal("no emblem")
			}
			kop := first.pictures[0]
			if dark, all := first.inked(kop); dark*3 < all {
				t.Errorf("the emblem at %v is pale: %d of %d", kop, dark, all)
			}
			var double []rect
			for _, r := range first.rules {
				if r.y1 == r.y2 && r.x2-r.x1 > first.width-60*mm && r.y1 < kop.y2+12*mm {
					double = append(double, r)
				}
			}
			if len(double) < 2 || math.Abs(double[1].y1-double[0].y1-mm) > 0.3 {
				t.Fatalf("the double rule is %v", double)
			}
			if dark, _ := first.inked(rect{double[0].x1 + 5, double[0].y1 - 1, double[0].x2 - 5, double[0].y1 + 1}); float64(dark) < double[0].x2-double[0].x1-20 {
				t.Errorf("the double rule has %d dark points", dark)
			}
		})
	}
}

// The columns stand where the paper rules say, on every page.
func TestColumnsStandAtTheirMillimetres(t *testing.T) {
	t.Parallel()
	all := forms()
	for name, widths := range map[string][]float64{
		"book":       {11, 21, 33, 34, 34, 13, 36, 26, 23, 10, 13, 26},
		"book_surat": {12, 22, 40, 40, 56, 13, 42, 23, 13, 19},
		"book_nihil": {11, 21, 33, 34, 34, 13, 36, 26, 23, 10, 13, 26},
	} {
		want := []float64{0}
		for _, w := range widths {
			want = append(want, want[len(want)-1]+w)
		}
		if want[len(want)-1] != 280 {
			t.Fatalf("%s: the columns are %v mm wide", name, want[len(want)-1])
		}
		for i, p := range views(t, write(t, all[name].pdf)) {
			if got := p.uprights(30); !slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) <= 0.15 }) {
				t.Errorf("%s, page %d: rules at %v, want %v", name, i+1, got, want)
			}
			for _, x := range want { // and they are drawn
				at := (30 + x) * mm
				longest := rect{}
				for _, r := range p.rules {
					if r.x1 == r.x2 && math.Abs(r.x1-at) < 1 && r.y2-r.y1 > longest.y2-longest.y1 {
						longest = r
					}
				}
				if dark, _ := p.inked(rect{at - 1, longest.y1 + 2, at + 1, longest.y2 - 2}); float64(dark) < (longest.y2-longest.y1)*0.8 {
					t.Errorf("%s, page %d: the rule at %v mm has %d dark points of %.0f", name, i+1, x, dark, longest.y2-longest.y1)
				}
			}
		}
	}
	for _, tt := range []struct {
		name  string
		edges []float64
	}{
		{"result", []float64{0, 8, 22, 62, 90, 128, 144, 160}},
		{"result", []float64{0, 8, 22, 56, 112, 128, 144, 160}},
		{"waiting", []float64{0, 9, 25, 43, 54, 72, 86, 101, 125, 160}},
	} {
		p := views(t, write(t, all[tt.name].pdf))[0]
		got := p.uprights(30)
		for _, x := range tt.edges {
			if !slices.ContainsFunc(got, func(g float64) bool { return math.Abs(g-x) <= 0.15 }) {
				t.Errorf("%s: no rule at %v mm in %v", tt.name, x, got)
			}
		}
	}
}

// Signatures never stand alone: on their page there is a row of the table or a
// line of the text above them, however the rows fall.
func TestSignaturesNeverStandAlone(t *testing.T) {
	t.Parallel()
	for n := range 60 {
		list := waiting()
		item := list.Items[0]
		list.Items = nil
		for i := range n {
			item.Entry = fmt.Sprintf("K%d", 100+i)
			list.Items = append(list.Items, item)
		}
		sheet := plain()
		sheet.Sections = []extract.Section{{Heading: "1. Daftar", Columns: []extract.Column{{Head: "Agenda", Width: 40}, {Head: "Sebab", Width: 120}}}}
		for i := range n {
			sheet.Sections[0].Rows = append(sheet.Sections[0].Rows, []string{fmt.Sprintf("K%d", 100+i), "server"})
		}
		for name, pdf := range map[string][]byte{
			"waiting": write(t, func(w io.Writer) error { return extract.Waiting(w, page(), list) }),
			"plain":   write(t, func(w io.Writer) error { _, err := extract.Plain(w, sheet); return err }),
		} {
			pages := pdfText(t, pdf)
			last := pages[len(pages)-1]
			if !strings.Contains(last, "NIP") {
				t.Errorf("%s, %d rows: not signed on the last page", name, n)
			}
			if rows := strings.Count(last, "K1"); n > 0 && rows == 0 {
				t.Errorf("%s, %d rows: signatures alone on page %d\n%s", name, n, len(pages), last)
			}
			if got := strings.Count(strings.Join(pages, ""), "K1"); got != n {
				t.Errorf("%s: %d of %d rows", name, got, n)
			}
		}
	}
}

// What stands above the last table moves it by parts of a line: the room under
// the table counts too, and a table without rows is no exception.
func TestSignaturesStandWithTheLastTable(t *testing.T) {
	t.Parallel()
	columns := []extract.Column{{Head: "Agenda", Width: 40}, {Head: "Menunggu", Width: 120}}
	for _, rows := range [][][]string{nil, {{"K1", "pengarsipan"}}, {{"K1", "a"}, {"K2", "b\nc\nd\ne\nf\ng"}}} {
		for n := range 90 {
			sheet := plain()
			first := extract.Section{Heading: "A. Agenda hari ini", Columns: columns}
			for range n / 3 {
				first.Rows = append(first.Rows, []string{"S", "terkirim"})
			}
			sheet.Subtitles = slices.Repeat([]string{"anak judul"}, n%3)
			sheet.Sections = []extract.Section{first, {Heading: "B. Belum selesai", Columns: columns, Rows: rows}}
			pages := pdfText(t, write(t, func(w io.Writer) error { _, err := extract.Plain(w, sheet); return err }))
			last, want := pages[len(pages)-1], "Nihil"
			if len(rows) > 0 {
				want = rows[len(rows)-1][0]
			}
			if !strings.Contains(last, want) || !strings.Contains(last, "NIP") {
				t.Errorf("%d rows above %d: signatures without their table\n%s", n/3, len(rows), last)
			}
			if len(rows) < 2 && !strings.Contains(last, "B. Belum selesai") {
				t.Errorf("%d rows above %d: heading left behind\n%s", n/3, len(rows), last)
			}
		}
	}
}

// A remark on an entry with one addressee begins on the entry's first line,
// not below the lines of the address.
func TestRemarkOfOneAddresseeBeginsAtTheTop(t *testing.T) {
	t.Parallel()
	row := kriptogramRow(42, 1, "(disamarkan)")
	row.Sub[0].Cells["keterangan"] = extract.Cell{}
	row.Cells["keterangan"] = extract.Cell{Text: "Ralat"}
	pages := views(t, write(t, func(w io.Writer) error { _, err := extract.Book(w, kriptogram(rows(row))); return err }))
	at := map[string]float64{}
	for _, w := range pages[0].words {
		at[w.text] = w.y1
	}
	if at["Ralat"] == 0 || at["Ralat"] != at["(disamarkan)"] {
		t.Errorf("remark at %.2f, the row's first line at %.2f", at["Ralat"], at["(disamarkan)"])
	}
}

// The checks see what they are there for: a sheet that was spoilt in its
// content is found out.
func TestLayoutFaultsAreSeen(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"qpdf", "fix-qdf"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(name + " is not installed")
		}
	}
	dir := t.TempDir()
	put(t, dir, "sheet.pdf", write(t, forms()["book"].pdf))
	tool(t, dir, "qpdf", "--qdf", "--object-streams=disable", "--stream-data=uncompress", "sheet.pdf", "open.pdf")
	sound := string(get(t, filepath.Join(dir, "open.pdf")))
	see := func(pdf string) string {
		put(t, dir, "spoilt.qdf", []byte(pdf))
		out, err := exec.Command("fix-qdf", filepath.Join(dir, "spoilt.qdf")).Output()
		if err != nil {
			t.Fatal(err)
		}
		var faults []string
		for _, p := range views(t, out) {
			faults = append(faults, p.faults(frame{30, 20})...)
		}
		return strings.Join(faults, "\n")
	}
	if got := see(sound); got != "" {
		t.Fatalf("the sound sheet: %s", got)
	}
	for name, tt := range map[string]struct{ pattern, with, want string }{
		"text too wide for its column": {`/R 8\.5 Tf`, "/R 12.5 Tf", "is cut by a rule"},
		"text over text":               {`/R 8\.5 Tf`, "/R 17 Tf", "lie over each other"},
		"text in the margin":           {`(?m)^BT$`, "BT 1 0 0 1 -50 0 Tm", "stands in the margin"},
		"invisible text":               {`(?m)^BT$`, "BT 3 Tr", "is not to be seen"},
		"a rule off the page":          {`(?m)^([-.\d]+) ([-.\d]+) m ([-.\d]+) ([-.\d]+) l S$`, "1 $2 m 1200 $4 l S", "leaves the page"},
	} {
		spoilt := regexp.MustCompile(tt.pattern).ReplaceAllString(sound, tt.with)
		if got := see(spoilt); spoilt == sound || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q is not among the faults\n%.600s", name, tt.want, got)
		}
	}
}
