package extract

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"hash"
	"image"
	"image/color"
	"image/draw"
	_ "image/jpeg" // emblems
	"image/png"
	"io"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"github.com/boombuler/barcode/qr"
)

// A style is a type size in points and a weight.
type style struct {
	size float64
	bold bool
	mono bool // letters of equal width
}

func (st style) face() *face {
	switch st.weight() {
	case 1:
		return bold()
	case 2:
		return mono()
	}
	return regular()
}

// weight is the place of the face among those of a file.
func (st style) weight() int {
	switch {
	case st.mono:
		return 2
	case st.bold:
		return 1
	}
	return 0
}

func (st style) measure(s string) float64 { return st.face().measure(s, st.size) }

// lead is the distance of two lines in millimetres.
func (st style) lead() float64 { return st.size * 1.22 * mmPerPoint }

// rise is the distance from the top of a line to its base line.
func (st style) rise() float64 { return st.size * 0.98 * mmPerPoint }

// form is the shape of a kind of sheet, in millimetres.
type form struct {
	title                    string // of the file
	width, height            float64
	left, right, top, bottom float64
	classification, urgency  string
	running                  string // short head after the first page
	plain                    bool   // no foot: slips
}

// portrait and landscape give the shape of a whole sheet, half that of half a
// sheet turned on its side.
func (p Page) portrait(title string) (form, error) {
	f := form{title: title, width: 215, height: 330, left: 30, right: 25, top: 25, bottom: 30}
	switch p.Paper {
	case F4, "":
	case A4:
		f.width, f.height = 210, 297
	default:
		return form{}, &Error{code: CodePaper, Field: "paper size", Value: string(p.Paper)}
	}
	return f, nil
}

func (p Page) landscape(title string) (form, error) {
	f, err := p.portrait(title)
	f.width, f.height = f.height, f.width
	f.left, f.right, f.top, f.bottom = 30, 20, 20, 20
	return f, err
}

func (p Page) half(title string) (form, error) {
	f, err := p.portrait(title)
	f.height /= 2
	f.left, f.right, f.top, f.bottom = 25, 20, 12, 14
	return f, err
}

// sheet draws on pages from top to bottom; y is the place of the next line.
type sheet struct {
	form
	page Page
	*canvas
	y      float64
	taken  float64 // of the width at the right, by a picture on this page
	ink    string  // colour of the text
	emblem float64 // width by height
	digest hash.Hash
	codes  []string
	note   bool  // a QR code of the checkpoint note is on the foot
	opens  bool  // the next page begins a sheet of its own
	starts []int // first pages of the sheets
}

const (
	fontName = "f"
	black    = "0 g"
)

func newSheet(p Page, f form) (*sheet, error) {
	s := &sheet{form: f, page: p, ink: black, note: p.Checkpoint != "" && !f.plain, opens: true}
	if len(p.Office.Emblem) > 0 {
		shape, _, err := image.DecodeConfig(bytes.NewReader(p.Office.Emblem))
		if err != nil || shape.Width < 1 || shape.Height < 1 {
			return nil, errEmblem
		}
		s.emblem = float64(shape.Width) / float64(shape.Height)
	}
	s.canvas = newCanvas(func() (*fpdf.Fpdf, error) { return library(p, f, s.note) })
	return s, nil
}

// library prepares what the pages have in common: fonts, emblem, QR code. It
// takes longer than drawing the page of a day and runs beside it.
func library(p Page, f form, note bool) (*fpdf.Fpdf, error) {
	type drawn struct {
		code image.Image
		err  error
	}
	encoded := make(chan drawn, 1)
	if note {
		go func() { // as long as the fonts take
			code, err := qr.Encode(p.Checkpoint, qr.L, qr.Unicode)
			if err != nil {
				encoded <- drawn{err: err}
				return
			}
			encoded <- drawn{code: quiet(code)}
		}()
	}
	pdf := fpdf.NewCustom(&fpdf.InitType{
		OrientationStr: "P", UnitStr: "mm",
		Size: fpdf.SizeType{Wd: f.width, Ht: f.height},
	})
	pdf.SetAutoPageBreak(false, 0)
	pdf.SetMargins(0, 0, 0)
	pdf.SetCatalogSort(true)
	// The library writes dates without a zone; UTC is what readers assume.
	at := p.PrintedAt.UTC().Truncate(time.Second)
	pdf.SetCreationDate(at)
	pdf.SetModificationDate(at)
	pdf.SetProducer("sandi", true)
	pdf.SetTitle(visible(f.title), true)
	if n := len(p.Office.Lines); n > 0 {
		pdf.SetAuthor(visible(p.Office.Lines[n-1]), true)
	}
	pdf.SetLang("id-ID")
	pdf.AddUTF8FontFromBytes(fontName, weightNames[0], regular().data)
	pdf.AddUTF8FontFromBytes(fontName, weightNames[1], bold().data)
	if note {
		d := <-encoded
		if d.err != nil {
			return nil, &Error{code: CodeNote, Field: "checkpoint note too long"}
		}
		if err := register(pdf, "qr", d.code); err != nil {
			return nil, err
		}
	}
	if len(p.Office.Emblem) > 0 {
		picture, err := decodeEmblem(p.Office.Emblem)
		if err != nil {
			return nil, err
		}
		if err := register(pdf, "emblem", picture); err != nil {
			return nil, err
		}
	}
	return pdf, pdf.Error()
}

// register makes a picture known under a name, always as a plain PNG: the PDF
// library knows few kinds.
func register(pdf *fpdf.Fpdf, name string, picture image.Image) error {
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		return &Error{code: CodeDrawing, Field: "picture " + name}
	}
	pdf.RegisterImageOptionsReader(name, fpdf.ImageOptions{ImageType: "PNG"}, &b)
	if err := pdf.Error(); err != nil {
		return &Error{code: CodeDrawing, Field: "picture " + name}
	}
	return nil
}

// maxEmblem bounds an emblem, in pixels a side, before it is unpacked.
const maxEmblem = 4096

var errEmblem = &Error{code: CodeEmblem, Field: "emblem not readable"}

func decodeEmblem(data []byte) (image.Image, error) {
	config, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil || config.Width > maxEmblem || config.Height > maxEmblem || config.Width < 1 || config.Height < 1 {
		return nil, errEmblem
	}
	picture, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, errEmblem
	}
	out := image.NewNRGBA(image.Rect(0, 0, config.Width, config.Height))
	draw.Draw(out, out.Bounds(), picture, picture.Bounds().Min, draw.Src)
	return out, nil
}

// quiet turns a QR code into a two-colour picture with its quiet zone.
func quiet(code image.Image) image.Image {
	const zone = 4
	b := code.Bounds()
	out := image.NewPaletted(image.Rect(0, 0, b.Dx()+2*zone, b.Dy()+2*zone), color.Palette{color.White, color.Black})
	for y := range b.Dy() {
		for x := range b.Dx() {
			if r, _, _, _ := code.At(b.Min.X+x, b.Min.Y+y).RGBA(); r == 0 {
				out.SetColorIndex(x+zone, y+zone, 1)
			}
		}
	}
	return out
}

func (s *sheet) textWidth() float64 { return s.width - s.left - s.right }

// limit is the lowest y that the text may reach.
func (s *sheet) limit() float64 { return s.height - s.bottom }

func (s *sheet) pages() int { return len(s.done) }

// addPage ends the page and begins the next one below its marks.
func (s *sheet) addPage() {
	s.foot()
	s.canvas.addPage(s.width, s.height)
	s.digest = sha256.New()
	io.WriteString(s.digest, "sandi-halaman/1\n")
	first := s.opens
	if first {
		s.starts = append(s.starts, s.pages())
		s.opens = false
	}
	if s.classification != "" {
		s.red(isRed(s.classification))
		s.text(s.left, s.top-8, s.classification, style{size: 11, bold: true})
		s.red(false)
	}
	if s.urgency != "" {
		s.text(s.left, s.top-3.5, s.urgency, style{size: 10, bold: true})
	}
	if !first && s.running != "" {
		marks := max(style{size: 11, bold: true}.measure(drawable(s.classification)), style{size: 10, bold: true}.measure(drawable(s.urgency)))
		line, small := shortened(drawable(s.running), s.textWidth()-marks-5, style{size: 8})
		s.align(s.left, s.textWidth(), s.top-4, "R", line, small)
	}
	s.y, s.taken = s.top, 0
}

// shortened makes a line fit in a width: in smaller letters, down to six
// points, then without its end, which dots stand for.
func shortened(line string, width float64, st style) (string, style) {
	line = oneLine.Replace(line)
	for st.size > 6 && st.measure(line) > width {
		st.size -= 0.5
	}
	if st.measure(line) > width {
		line = wrap(line, width-st.measure(" ..."), st.measure)[0] + " ..."
	}
	return line, st
}

// isRed tells which words are stamped in red: secret and top secret.
func isRed(classification string) bool {
	return strings.Contains(strings.ToUpper(classification), "RAHASIA")
}

func (s *sheet) red(on bool) {
	s.ink = black
	if on {
		s.ink = ".75 0 0 rg"
	}
}

// foot draws the foot, except the page number, which needs the total.
func (s *sheet) foot() {
	if s.pages() == 0 {
		return
	}
	code := pageCode(s.digest)
	if s.page.PageCodes {
		s.codes = append(s.codes, code)
	}
	// What follows is not part of the page's digest.
	s.digest = nil
	if s.plain {
		return
	}
	small := style{size: 7}
	y := s.limit() + 5.5
	step := small.lead()
	if s.note {
		sum := sha256.Sum256([]byte(s.page.Checkpoint))
		s.text(s.left, y, "Kode keutuhan buku: "+groups(hex.EncodeToString(sum[:8])), small)
		y += step
		side := s.codeSide()
		s.picture("qr", s.width-s.right-side, s.limit()+1.2, side, side)
	}
	if s.page.PageCodes {
		s.text(s.left, y, "Kode halaman: "+groups(code), small)
		y += step
	}
	if !s.page.PrintedAt.IsZero() {
		s.text(s.left, y, "Dicetak "+DateTime(s.page.PrintedAt), small)
	}
	if s.classification != "" {
		s.red(isRed(s.classification))
		s.align(s.left, s.textWidth(), s.limit()+7, "C", s.classification, style{size: 10, bold: true})
		s.red(false)
	}
}

func (s *sheet) codeSide() float64 { return min(s.bottom-5, 22) }

// pageCode is the code of a page from the digest of what it shows.
func pageCode(digest hash.Hash) string {
	return base32.StdEncoding.EncodeToString(digest.Sum(nil)[:10])
}

// groups writes a code in groups of four.
func groups(code string) string {
	var parts []string
	for len(code) > 4 {
		parts, code = append(parts, code[:4]), code[4:]
	}
	return strings.Join(append(parts, code), " ")
}

// finish numbers the pages and writes the file. Nothing reaches w before the
// file is whole.
func (s *sheet) finish(w io.Writer) (Printed, error) {
	s.foot()
	n := s.pages()
	if !s.plain {
		x, width := s.left, s.textWidth()
		if s.note {
			width -= s.codeSide() + 1
		}
		small := style{size: 7}
		for i, start := range s.starts {
			end := n + 1
			if i+1 < len(s.starts) {
				end = s.starts[i+1]
			}
			for at := start; at < end; at++ {
				s.add(at-1, func() {
					s.align(x, width, s.limit()+5.5, "R", fmt.Sprintf("Halaman %d dari %d", at-start+1, end-start), small)
					if s.page.FirstSheet > 0 {
						s.align(x, width, s.limit()+5.5+small.lead(), "R", fmt.Sprintf("Lembar ke-%d", s.page.FirstSheet+at-1), small)
					}
				})
			}
		}
	}
	if err := s.write(w); err != nil {
		return Printed{}, err
	}
	printed := Printed{Pages: n, Codes: s.codes}
	if s.page.Done != nil {
		s.page.Done(printed)
	}
	return printed, nil
}

// record takes a piece into the digest of the page.
func (s *sheet) record(kind, text string) {
	if s.digest != nil {
		io.WriteString(s.digest, kind)
		io.WriteString(s.digest, text)
		io.WriteString(s.digest, "\n")
	}
}

// text draws one line at a base line.
func (s *sheet) text(x, base float64, text string, st style) {
	s.draw("text ", x, base, text, st)
}

func (s *sheet) draw(kind string, x, base float64, text string, st style) {
	if text == "" {
		return
	}
	text = drawable(text)
	s.canvas.text(x, base, text, st, s.ink)
	s.record(kind, text)
}

// struck draws one line with a stroke through it.
func (s *sheet) struck(x, base float64, text string, st style) {
	if text == "" {
		return
	}
	s.draw("struck ", x, base, text, st)
	y := base - st.size*0.28*mmPerPoint
	s.rule(x, y, x+st.measure(drawable(text)), y, 0.2)
}

// align draws one line in a width: "L", "C" or "R".
func (s *sheet) align(x, width, base float64, align, text string, st style) {
	s.text(x+indent(align, width, st.measure(drawable(text))), base, text, st)
}

func indent(align string, width, used float64) float64 {
	switch align {
	case "C":
		return (width - used) / 2
	case "R":
		return width - used
	}
	return 0
}

// para draws wrapped text from y on and moves y below it.
func (s *sheet) para(x, width float64, align, text string, st style) {
	for _, line := range wrap(drawable(text), width, st.measure) {
		s.align(x, width, s.y+st.rise(), align, line, st)
		s.y += st.lead()
	}
}

func (s *sheet) rule(x1, y1, x2, y2, width float64) {
	s.canvas.rule(x1, y1, x2, y2, width)
}

func (s *sheet) box(x, y, w, h float64) {
	s.canvas.box(x, y, w, h, 0.25)
}

// letterhead draws the kop with its double rule. scale shrinks it for half
// sheets.
func (s *sheet) letterhead(scale float64) {
	o := s.page.Office
	if len(o.Lines) == 0 && o.Address == "" && o.Contact == "" && len(o.Emblem) == 0 {
		return
	}
	top := s.y
	x, width := s.left, s.textWidth()
	side := 20 * scale
	if len(o.Emblem) > 0 {
		w, h := side, side
		if ratio := s.emblem; ratio > 1 {
			h = side / ratio
		} else {
			w = side * ratio
		}
		s.picture("emblem", s.left+(side-w)/2, top+(side-h)/2, w, h)
		// The words stay in the middle of the sheet: room on both sides.
		x, width = x+side+2, width-2*(side+2)
	}
	for i, line := range o.Lines {
		st := style{size: 13 * scale, bold: true}
		if i == len(o.Lines)-1 {
			st.size = 16 * scale
		}
		// A title that only just does not fit is set smaller, down to the
		// size of the other lines, before it is broken.
		for st.size > 11*scale && st.measure(drawable(line)) > width {
			st.size -= 0.5
		}
		s.para(x, width, "C", line, st)
	}
	small := style{size: 9 * scale}
	if o.Address != "" {
		s.para(x, width, "C", o.Address, small)
	}
	if o.Contact != "" {
		s.para(x, width, "C", o.Contact, small)
	}
	if len(o.Emblem) > 0 {
		s.y = max(s.y, top+side)
	}
	s.y += 1.5
	s.rule(s.left, s.y, s.left+s.textWidth(), s.y, 0.9)
	s.rule(s.left, s.y+1, s.left+s.textWidth(), s.y+1, 0.25)
	s.y += 5 * scale
}

// signatureSpace is the height of the blocks.
func (s *sheet) signatureSpace(st style, blocks ...Signature) float64 {
	head, foot := 0, 0
	for _, b := range blocks {
		head = max(head, len(signatureHead(b, s.signatureWidth(), st)))
		foot = max(foot, len(signatureFoot(b, s.signatureWidth(), st)))
	}
	if foot == 0 {
		return 0
	}
	return float64(head+signatureBlank+foot)*st.lead() + 2
}

const signatureBlank = 4 // empty lines for the signature

func (s *sheet) signatureWidth() float64 { return min(s.textWidth()*0.45, 90) }

func signatureHead(b Signature, width float64, st style) []string {
	var lines []string
	if b.Heading != "" {
		lines = append(lines, wrap(drawable(b.Heading), width, st.measure)...)
	}
	if b.Title != "" {
		title := strings.TrimSuffix(drawable(b.Title), ",") + ","
		lines = append(lines, wrap(title, width, st.measure)...)
	}
	return lines
}

func signatureFoot(b Signature, width float64, st style) []string {
	if b == (Signature{}) {
		return nil
	}
	name := b.Name
	if name == "" {
		name = strings.Repeat(".", 40)
	}
	lines := wrap(drawable(name), width, style{size: st.size, bold: true}.measure)
	if b.Rank != "" {
		lines = append(lines, wrap(drawable(b.Rank), width, st.measure)...)
	}
	if b.NIP != "" {
		lines = append(lines, wrap("NIP "+drawable(b.NIP), width, st.measure)...)
	}
	return lines
}

// signatures draws a block at the left and one at the right, titles and names
// at equal heights.
func (s *sheet) signatures(left, right Signature, st style) {
	s.signaturesAt(st, []float64{s.left, s.left + s.textWidth() - s.signatureWidth()}, left, right)
}

// signaturesAt draws blocks side by side at the given left edges.
func (s *sheet) signaturesAt(st style, xs []float64, blocks ...Signature) {
	width := s.signatureWidth()
	top := s.y
	heads := 0
	for _, b := range blocks {
		heads = max(heads, len(signatureHead(b, width, st)))
	}
	for i, b := range blocks {
		head, foot := signatureHead(b, width, st), signatureFoot(b, width, st)
		for n, line := range head {
			s.text(xs[i], top+float64(n)*st.lead()+st.rise(), line, st)
		}
		named := len(foot)
		if b.Rank != "" {
			named -= len(wrap(drawable(b.Rank), width, st.measure))
		}
		if b.NIP != "" {
			named -= len(wrap("NIP "+drawable(b.NIP), width, st.measure))
		}
		for n, line := range foot {
			weight := style{size: st.size, bold: n < named && b.Name != ""}
			s.text(xs[i], top+float64(heads+signatureBlank+n)*st.lead()+st.rise(), line, weight)
		}
	}
	s.y = top + s.signatureSpace(st, blocks...)
}
