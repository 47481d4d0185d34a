package extract

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding"
	"hash/adler32"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"unicode/utf16"

	"codeberg.org/go-pdf/fpdf"
)

// canvas holds the pages of a file. The PDF library makes what is common to
// them, the fonts cut to the characters used and the pictures; the pages
// themselves are written here, each packed as soon as it is full, so that a
// book of ten thousand rows needs the memory of one page.
type canvas struct {
	base     func() (*fpdf.Fpdf, error) // waits until it is ready
	done     []*leaf
	size     [2]float64    // of the page at work, in points
	page     bytes.Buffer  // content of the page at work
	ended    bytes.Buffer  // content of the page that is being packed
	packing  chan struct{} // closed when it is packed; nil: none is
	packed   bytes.Buffer
	packer   *flate.Writer
	used     [len(weightNames)][1 << 16]bool // characters by weight
	pictures []string                        // in the order of their first use
	ready    map[string]readyPicture         // of them, those that the library never sees
	err      error

	// What the content of the page says so far.
	drawn    bool // a page is at work
	open     bool // inside a text object
	at       [2]int
	typeface style
	line     float64
	fill     string
	space    []byte
}

// A readyPicture goes into the file as it came: the entries of its
// dictionary but the length, and its octets.
type readyPicture struct {
	entries string
	data    []byte
}

// A leaf is a packed page that may still be added to: the stream is not
// ended, and the checksum goes on from sum.
type leaf struct {
	size   [2]float64
	packed []byte
	sum    []byte
}

// newCanvas begins a file; make prepares the library, beside the drawing.
func newCanvas(make func() (*fpdf.Fpdf, error)) *canvas {
	base := sync.OnceValues(make)
	go base()
	return &canvas{base: base}
}

// The weights of the type: what the library calls them, and what the pages do.
var (
	weightNames = [...]string{"", "B", "I"}
	weightMarks = [...]string{"R", "B", "M"}
)

const pointsPerMM = 72 / 25.4

// hundredths is a length in hundredths of a point.
func hundredths(mm float64) int { return int(math.Round(mm * pointsPerMM * 100)) }

// number writes hundredths as a decimal, without zeros that say nothing.
func (c *canvas) number(h int) {
	if h < 0 {
		c.page.WriteByte('-')
		h = -h
	}
	b := strconv.AppendInt(c.space[:0], int64(h/100), 10)
	if part := h % 100; part != 0 {
		b = append(b, '.', byte('0'+part/10))
		if part%10 != 0 {
			b = append(b, byte('0'+part%10))
		}
	}
	c.page.Write(append(b, ' '))
	c.space = b
}

func (c *canvas) op(name string) {
	c.page.WriteString(name)
	c.page.WriteByte('\n')
}

// addPage ends the page and begins one of the size, in millimetres.
func (c *canvas) addPage(width, height float64) {
	c.endPage()
	c.size = [2]float64{width * pointsPerMM, height * pointsPerMM}
	c.page.Reset()
	c.open, c.typeface, c.line, c.fill = false, style{}, 0, "0 g"
	c.done = append(c.done, &leaf{size: c.size})
	c.drawn = true
}

// height is that of the page at work, in hundredths of a point: PDF counts
// from the foot.
func (c *canvas) up(y float64) int { return int(math.Round(c.size[1]*100)) - hundredths(y) }

// endPage packs the page at work, on another processor if there is one. Its
// stream is flushed but not ended.
func (c *canvas) endPage() {
	if !c.drawn {
		return
	}
	c.drawn = false
	c.path()
	c.wait()
	c.page, c.ended = c.ended, c.page
	l, ready := c.done[len(c.done)-1], make(chan struct{})
	c.packing = ready
	go func() {
		defer close(ready)
		c.pack(l, c.ended.Bytes(), false)
	}()
}

// wait waits for the page that is being packed.
func (c *canvas) wait() {
	if c.packing != nil {
		<-c.packing
		c.packing = nil
	}
}

// pack adds content to a leaf; last ends its stream.
func (c *canvas) pack(l *leaf, content []byte, last bool) {
	c.packed.Reset()
	if c.packer == nil {
		c.packer, c.err = flate.NewWriter(&c.packed, flate.DefaultCompression)
		if c.err != nil {
			return
		}
	} else {
		c.packer.Reset(&c.packed)
	}
	sum := adler32.New()
	if l.packed == nil {
		c.packed.WriteString("\x78\x9c") // RFC 1950: the usual window
	} else if err := sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(l.sum); err != nil {
		c.err = err
	}
	_, err := c.packer.Write(content)
	sum.Write(content)
	if err == nil && last {
		err = c.packer.Close()
	} else if err == nil {
		err = c.packer.Flush()
	}
	if err != nil {
		c.err = err
	}
	l.packed = append(l.packed, c.packed.Bytes()...)
	if last {
		l.packed = sum.Sum(l.packed)
	} else if l.sum, err = sum.(encoding.BinaryMarshaler).MarshalBinary(); err != nil {
		c.err = err
	}
}

// add goes on with a page that was packed: what draw writes stands above the
// rest of it.
func (c *canvas) add(page int, draw func()) {
	c.endPage()
	c.wait()
	c.page.Reset()
	c.size = c.done[page].size
	// The state that the page ended with is not remembered.
	c.open, c.typeface, c.line, c.fill = false, style{}, 0, ""
	draw()
	c.path()
	c.pack(c.done[page], c.page.Bytes(), false)
	c.page.Reset()
}

// path leaves the text object: lines cannot be drawn in one.
func (c *canvas) path() {
	if c.open {
		c.op("ET")
		c.open = false
	}
}

// colour sets the colour of text and areas, as PDF writes it.
func (c *canvas) colour(fill string) {
	if fill != c.fill {
		c.op(fill)
		c.fill = fill
	}
}

// text draws one line from its left end on the base line, in millimetres.
func (c *canvas) text(x, base float64, text string, st style, fill string) {
	c.colour(fill)
	if !c.open {
		c.op("BT")
		c.open, c.at = true, [2]int{}
	}
	weight := st.weight()
	if st != c.typeface {
		c.page.WriteString("/" + weightMarks[weight] + " ")
		c.number(int(math.Round(st.size * 100)))
		c.op("Tf")
		c.typeface = st
	}
	to := [2]int{hundredths(x), c.up(base)}
	c.number(to[0] - c.at[0])
	c.number(to[1] - c.at[1])
	c.at = to
	c.page.WriteString("Td(")
	for _, r := range text {
		c.used[weight][r&0xFFFF] = true
		for _, b := range [2]byte{byte(r >> 8), byte(r)} {
			switch b {
			case '(', ')', '\\':
				c.page.WriteByte('\\')
			case '\r':
				c.page.WriteString("\\r")
				continue
			}
			c.page.WriteByte(b)
		}
	}
	c.op(")Tj")
}

func (c *canvas) stroke(w float64) {
	if w != c.line {
		c.number(hundredths(w))
		c.op("w")
		c.line = w
	}
}

func (c *canvas) rule(x1, y1, x2, y2, width float64) {
	c.path()
	c.stroke(width)
	c.number(hundredths(x1))
	c.number(c.up(y1))
	c.page.WriteString("m ")
	c.number(hundredths(x2))
	c.number(c.up(y2))
	c.op("l S")
}

// box draws an outline, or with a width of zero an area in the fill colour.
func (c *canvas) box(x, y, w, h, width float64) {
	c.path()
	if width > 0 {
		c.stroke(width)
	}
	c.number(hundredths(x))
	c.number(c.up(y + h))
	c.number(hundredths(w))
	c.number(hundredths(h))
	if width > 0 {
		c.op("re S")
	} else {
		c.op("re f")
	}
}

// dash sets the pattern of lines, in millimetres; 0 draws them whole.
func (c *canvas) dash(mm float64) {
	c.path()
	c.page.WriteByte('[')
	if mm > 0 {
		c.number(hundredths(mm))
		c.number(hundredths(mm))
	}
	c.op("] 0 d")
}

// picture draws a registered picture.
func (c *canvas) picture(name string, x, y, w, h float64) {
	c.path()
	n := slices.Index(c.pictures, name)
	if n < 0 {
		n = len(c.pictures)
		c.pictures = append(c.pictures, name)
	}
	c.page.WriteString("q ")
	c.number(hundredths(w))
	c.page.WriteString("0 0 ")
	c.number(hundredths(h))
	c.number(hundredths(x))
	c.number(c.up(y + h))
	c.op("cm /P" + strconv.Itoa(n) + " Do Q")
}

// write makes the file. The library draws one page that uses every character
// and every picture; its fonts and pictures are kept and its page is left out.
func (c *canvas) write(w io.Writer) error {
	c.endPage()
	c.wait()
	pdf, err := c.base()
	if err != nil {
		return err
	}
	pdf.AddPage()
	var marks []string
	for weight, name := range weightNames {
		var text []rune
		for r, on := range c.used[weight] {
			if on && !utf16.IsSurrogate(rune(r)) {
				text = append(text, rune(r))
			}
		}
		if weight == 2 {
			if len(text) == 0 {
				break // most files have no columns
			}
			pdf.AddUTF8FontFromBytes(fontName, name, mono().data)
		}
		pdf.SetFont(fontName, name, 1)
		pdf.Text(0, 1, string(text))
		marks = append(marks, weightMarks[weight])
	}
	for _, name := range c.pictures {
		if _, ok := c.ready[name]; ok {
			continue
		}
		pdf.ImageOptions(name, 0, 0, 1, 1, false, fpdf.ImageOptions{}, 0, "")
	}
	pdf.Close()
	var base bytes.Buffer
	err = pdf.Output(&base)
	if err == nil {
		err = pdf.Error()
	}
	if err != nil {
		return &Error{code: CodeDrawing, Field: "PDF", Value: err.Error()}
	}
	if c.err != nil {
		return &Error{code: CodeDrawing, Field: "PDF", Value: c.err.Error()}
	}
	out, err := c.assemble(base.Bytes(), marks)
	if err != nil {
		return err
	}
	_, err = w.Write(out)
	return err
}

// The patterns are made when the first document is: most commands print none,
// and every one starts.
var (
	trailerPattern = pattern(`trailer\n<<\n/Size (\d+)\n(/Root \d+ 0 R\n/Info \d+ 0 R\n)>>\nstartxref\n(\d+)\n%%EOF`)
	namePattern    = pattern(`/([FI][0-9a-f]{40}) (?:[0-9.]+ Tf|Do)`)
	placePattern   = pattern(`/([FI][0-9a-f]{40}) (\d+) 0 R`)
	streamPattern  = pattern(`^4 0 obj\n<</Filter /FlateDecode /Length (\d+)>>\nstream\n`)
)

func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// assemble puts our pages into the library's file: objects 1 (the page tree),
// 2 (the resources), 3 and 4 (its page) are written anew, the others kept.
func (c *canvas) assemble(base []byte, marks []string) ([]byte, error) {
	bad := func(what string) error {
		return &Error{code: CodeDrawing, Field: "PDF", Value: what}
	}
	trailer := trailerPattern().FindSubmatch(base)
	if trailer == nil {
		return nil, bad("trailer")
	}
	size, _ := strconv.Atoi(string(trailer[1]))
	table, _ := strconv.Atoi(string(trailer[3]))
	starts := make([]int, size)
	order := make([]int, 0, size)
	for n := 1; n < size; n++ {
		line := table + len("xref\n0 "+strconv.Itoa(size)+"\n") + 20*n
		if line+20 > len(base) {
			return nil, bad("table")
		}
		starts[n], _ = strconv.Atoi(string(base[line : line+10]))
		order = append(order, n)
	}
	slices.SortFunc(order, func(x, y int) int { return starts[x] - starts[y] })
	object := func(n int) []byte {
		end := table
		for _, m := range order {
			if starts[m] > starts[n] && starts[m] < end {
				end = starts[m]
			}
		}
		return base[starts[n]:end]
	}

	// The names of the library's page, in the order in which they were used.
	page := object(4)
	head := streamPattern().FindSubmatch(page)
	if head == nil {
		return nil, bad("page")
	}
	length, _ := strconv.Atoi(string(head[1]))
	if len(head[0])+length > len(page) {
		return nil, bad("page")
	}
	r, err := zlib.NewReader(bytes.NewReader(page[len(head[0]):][:length]))
	if err != nil {
		return nil, bad("page")
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return nil, bad("page")
	}
	place := map[string]string{}
	for _, m := range placePattern().FindAllSubmatch(object(2), -1) {
		place[string(m[1])] = string(m[2])
	}
	var fonts, pictures []string
	for _, m := range namePattern().FindAllSubmatch(content, -1) {
		name := string(m[1])
		list := &fonts
		if name[0] == 'I' {
			list = &pictures
		}
		if !slices.Contains(*list, place[name]) || name[0] == 'I' {
			*list = append(*list, place[name])
		}
	}
	if len(fonts) != len(marks) || len(pictures)+len(c.ready) != len(c.pictures) {
		return nil, bad("fonts and pictures")
	}

	var out bytes.Buffer
	out.Grow(len(base) + 64*len(c.done))
	places := make([]int, size)
	out.Write(base[:starts[order[0]]])
	for _, n := range order {
		if n <= 4 {
			continue
		}
		places[n] = out.Len()
		out.Write(object(n))
	}
	begin := func(n int) {
		for len(places) <= n {
			places = append(places, 0)
		}
		places[n] = out.Len()
		out.WriteString(strconv.Itoa(n) + " 0 obj\n")
	}
	begin(2)
	// Pictures that the library did not write come last of all objects.
	last := size + 2*(len(c.done)-1)
	var ready []readyPicture
	for i, name := range c.pictures {
		if picture, ok := c.ready[name]; ok {
			pictures = slices.Insert(pictures, i, strconv.Itoa(last+len(ready)))
			ready = append(ready, picture)
		}
	}
	out.WriteString("<</ProcSet [/PDF /Text /ImageB /ImageC /ImageI]\n/Font <<")
	for i, mark := range marks {
		if i > 0 {
			out.WriteByte(' ')
		}
		out.WriteString("/" + mark + " " + fonts[i] + " 0 R")
	}
	out.WriteString(">>\n/XObject <<")
	for i, n := range pictures {
		out.WriteString("/P" + strconv.Itoa(i) + " " + n + " 0 R ")
	}
	out.WriteString(">>>>\nendobj\n")
	// Pages have the numbers 3, 5, 7, … after the library's own; the first
	// two take the places that its page left.
	number := func(i int) int {
		if i == 0 {
			return 3
		}
		return size + 2*(i-1)
	}
	box := func(s [2]float64) string {
		return "/MediaBox [0 0 " + strconv.FormatFloat(s[0], 'f', 2, 64) + " " + strconv.FormatFloat(s[1], 'f', 2, 64) + "]"
	}
	begin(1)
	out.WriteString("<</Type /Pages\n/Kids [")
	for i := range c.done {
		out.WriteString(strconv.Itoa(number(i)) + " 0 R ")
	}
	out.WriteString("]\n/Count " + strconv.Itoa(len(c.done)) + "\n/Resources 2 0 R\n" + box(c.done[0].size) + "\n>>\nendobj\n")
	for i, l := range c.done {
		c.pack(l, nil, true)
		n := number(i)
		begin(n)
		out.WriteString("<</Type /Page\n/Parent 1 0 R\n")
		if l.size != c.done[0].size {
			out.WriteString(box(l.size) + "\n")
		}
		out.WriteString("/Contents " + strconv.Itoa(n+1) + " 0 R>>\nendobj\n")
		begin(n + 1)
		out.WriteString("<</Filter /FlateDecode /Length " + strconv.Itoa(len(l.packed)) + ">>\nstream\n")
		out.Write(l.packed)
		out.WriteString("\nendstream\nendobj\n")
		l.packed = nil
	}
	for i, picture := range ready {
		begin(last + i)
		out.WriteString("<</Type /XObject /Subtype /Image " + picture.entries + " /Length " + strconv.Itoa(len(picture.data)) + ">>\nstream\n")
		out.Write(picture.data)
		out.WriteString("\nendstream\nendobj\n")
	}
	if c.err != nil {
		return nil, bad(c.err.Error())
	}
	at := out.Len()
	out.WriteString("xref\n0 " + strconv.Itoa(len(places)) + "\n0000000000 65535 f \n")
	for _, place := range places[1:] {
		digits := strconv.Itoa(place)
		out.WriteString("0000000000"[:10-len(digits)] + digits + " 00000 n \n")
	}
	out.WriteString("trailer\n<<\n/Size " + strconv.Itoa(len(places)) + "\n" + string(trailer[2]) + ">>\nstartxref\n" + strconv.Itoa(at) + "\n%%EOF\n")
	return out.Bytes(), nil
}
