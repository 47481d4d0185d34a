package extract

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	_ "image/png" // scans
	"io"
	"strconv"

	"codeberg.org/go-pdf/fpdf"
)

// maxSide bounds a scanned picture, in pixels a side, before it is unpacked:
// A3 at 600 dots per inch has 9,921.
const (
	maxSide   = 20_000
	maxPixels = 100_000_000
)

func fits(width, height int) bool {
	return width > 0 && height > 0 && width <= maxSide && height <= maxSide && width*height <= maxPixels
}

// Pictures makes a PDF of scanned pictures, one a page that it fills in its own
// proportions: upright pictures upright, the others across. JPEG is kept as it
// is, so that nothing of a scan is lost twice; PNG, TIFF and PNM are unpacked. A
// photograph is turned as its camera was held. It returns the pages.
func Pictures(w io.Writer, p Page, files [][]byte) (int, error) {
	if len(files) == 0 {
		return 0, &Error{code: CodePicture, Field: "no picture"}
	}
	f, err := p.portrait("Pindaian")
	if err != nil {
		return 0, err
	}
	f.plain = true
	p.Office.Emblem, p.Checkpoint, p.PageCodes = nil, "", false
	s, err := newSheet(p, f)
	if err != nil {
		return 0, err
	}
	pages := 0
	for i, data := range files {
		pictures, err := unpack(data)
		var refusal *Error
		if errors.As(err, &refusal) {
			return 0, refusal
		}
		if err != nil {
			return 0, &Error{code: CodePicture, Field: "picture not readable", Value: strconv.Itoa(i + 1)}
		}
		for _, picture := range pictures {
			pages++
			if err := s.scanned(picture); err != nil {
				return 0, err
			}
		}
	}
	return pages, s.write(w)
}

// A scan is one page of pixels: as the octets of a JPEG or a fax, or unpacked.
type scan struct {
	jpeg          []byte
	fax           *fax
	pixels        image.Image
	width, height int
	tall          float64 // height of a pixel by its width; 0: square
}

// A fax is a page as ITU-T T.4 or T.6 pack it, ready for PDF (ISO 32000-1
// §7.4.6).
type fax struct {
	data  []byte
	k     int  // -1: T.6; 0: T.4; 4: T.4 of two dimensions
	light bool // what T.4 calls black is white
}

func (f fax) picture(width, height int) readyPicture {
	return readyPicture{fmt.Sprintf("/Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 1 /Filter /CCITTFaxDecode "+
		"/DecodeParms <</K %d /Columns %d /Rows %d /EndOfLine %t /EndOfBlock false /BlackIs1 %t>>", width, height, f.k, width, height, f.k >= 0, f.light), f.data}
}

// name is one for the same pixels: the PDF library writes a picture known
// under two names twice over, with one key.
func (c scan) name() string {
	sum := sha256.New()
	fmt.Fprintln(sum, c.width, c.height)
	switch p := c.pixels.(type) {
	case *image.Gray:
		sum.Write(p.Pix)
	case *image.Paletted:
		sum.Write(p.Pix)
	case *image.RGBA:
		sum.Write(p.Pix)
	default:
		sum.Write(c.jpeg)
		if c.fax != nil {
			fmt.Fprintln(sum, c.fax.k, c.fax.light)
			sum.Write(c.fax.data)
		}
	}
	return "scan" + hex.EncodeToString(sum.Sum(nil))
}

func (s *sheet) scanned(c scan) error {
	name := c.name()
	pdf, err := s.base()
	if err != nil {
		return err
	}
	switch {
	case pdf.GetImageInfo(name) != nil:
	case c.fax != nil:
		if s.ready == nil {
			s.ready = map[string]readyPicture{}
		}
		s.ready[name] = c.fax.picture(c.width, c.height)
	case c.jpeg != nil:
		pdf.RegisterImageOptionsReader(name, fpdf.ImageOptions{ImageType: "JPG"}, bytes.NewReader(c.jpeg))
		if pdf.Error() != nil {
			return &Error{code: CodePicture, Field: "picture not readable"}
		}
	default:
		if err := register(pdf, name, c.pixels); err != nil {
			return err
		}
	}
	wide, high := s.width, s.height
	w, h := float64(c.width), float64(c.height)
	if c.tall > 0 {
		h *= c.tall
	}
	if w > h {
		wide, high = high, wide
	}
	s.canvas.addPage(wide, high)
	scale := min(wide/w, high/h)
	w, h = w*scale, h*scale
	s.picture(name, (wide-w)/2, (high-h)/2, w, h)
	return nil
}

// IsPicture tells whether a file begins like a picture that [Pictures] takes.
func IsPicture(head []byte) bool {
	for _, kind := range []string{"\x89PNG\r\n\x1a\n", "\xFF\xD8\xFF", "II*\x00", "MM\x00*", "P4", "P5", "P6"} {
		if bytes.HasPrefix(head, []byte(kind)) {
			return true
		}
	}
	return false
}

// unpack reads the pages of a picture file: a TIFF may have several.
func unpack(data []byte) ([]scan, error) {
	switch {
	case bytes.HasPrefix(data, []byte("II*\x00")), bytes.HasPrefix(data, []byte("MM\x00*")):
		return readTIFF(data)
	case len(data) > 2 && data[0] == 'P' && data[1] >= '4' && data[1] <= '6':
		picture, err := readPNM(data)
		if err != nil {
			return nil, err
		}
		return []scan{pixelScan(picture)}, nil
	}
	config, kind, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if !fits(config.Width, config.Height) {
		return nil, fmt.Errorf("picture of %d by %d", config.Width, config.Height)
	}
	turn := 1
	if kind == "jpeg" {
		turn = orientation(data)
		// The PDF library takes grey and colour; others are unpacked.
		if m := config.ColorModel; turn == 1 && (m == color.GrayModel || m == color.YCbCrModel) {
			return []scan{{jpeg: data, width: config.Width, height: config.Height}}, nil
		}
	}
	picture, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return []scan{pixelScan(turned(picture, turn))}, nil
}

// pixelScan keeps grey as grey; the rest becomes opaque colour on white paper.
func pixelScan(picture image.Image) scan {
	b := picture.Bounds()
	c := scan{pixels: picture, width: b.Dx(), height: b.Dy()}
	switch picture.(type) {
	case *image.Gray, *image.Paletted:
	default:
		out := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
		draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src)
		draw.Draw(out, out.Bounds(), picture, b.Min, draw.Over)
		c.pixels = out
	}
	return c
}

// readPNM reads what scanners write plainest: P4 bitmaps, P5 grey, P6 colour,
// eight bits a sample.
func readPNM(data []byte) (image.Image, error) {
	bad := fmt.Errorf("not a portable picture")
	kind := data[1]
	at := 2
	number := func() (int, bool) {
		for at < len(data) {
			switch c := data[at]; {
			case c == '#':
				for at < len(data) && data[at] != '\n' {
					at++
				}
			case c == ' ', c == '\t', c == '\r', c == '\n':
				at++
			default:
				n, digits := 0, 0
				for at < len(data) && data[at] >= '0' && data[at] <= '9' && digits < 7 {
					n, digits, at = n*10+int(data[at]-'0'), digits+1, at+1
				}
				return n, digits > 0
			}
		}
		return 0, false
	}
	width, ok := number()
	height, ok2 := number()
	most := 1
	ok3 := true
	if kind != '4' {
		most, ok3 = number()
	}
	if !ok || !ok2 || !ok3 || !fits(width, height) || most < 1 || most > 255 || at >= len(data) {
		return nil, bad
	}
	pixels := data[at+1:] // one blank ends the head
	box := image.Rect(0, 0, width, height)
	switch kind {
	case '4':
		stride := (width + 7) / 8
		if len(pixels) < stride*height {
			return nil, bad
		}
		return bitmap(pixels, stride, box, true), nil
	case '5':
		if len(pixels) < width*height {
			return nil, bad
		}
		out := image.NewGray(box)
		for i := range out.Pix {
			out.Pix[i] = byte(min(int(pixels[i])*255/most, 255))
		}
		return out, nil
	}
	if len(pixels) < 3*width*height {
		return nil, bad
	}
	return colours(pixels, 3, box, most), nil
}

// bitmap makes a two-colour picture of packed bits; black tells whether a set
// bit is black.
func bitmap(bits []byte, stride int, box image.Rectangle, black bool) image.Image {
	palette := color.Palette{color.Black, color.White}
	if black {
		palette = color.Palette{color.White, color.Black}
	}
	out := image.NewPaletted(box, palette)
	for y := range box.Dy() {
		row := bits[y*stride:]
		for x := range box.Dx() {
			out.Pix[y*out.Stride+x] = row[x/8] >> (7 - x%8) & 1
		}
	}
	return out
}

func colours(samples []byte, step int, box image.Rectangle, most int) image.Image {
	out := image.NewRGBA(box)
	for i := range box.Dx() * box.Dy() {
		for c := range 3 {
			out.Pix[4*i+c] = byte(min(int(samples[step*i+c])*255/most, 255))
		}
		out.Pix[4*i+3] = 255
	}
	return out
}

// orientation is the Exif tag 0x0112 of a JPEG: how the camera was held, 1 to 8.
func orientation(data []byte) int {
	for at := 2; at+4 < len(data) && data[at] == 0xFF; {
		size := int(binary.BigEndian.Uint16(data[at+2:]))
		if data[at+1] == 0xDA || size < 2 || at+2+size > len(data) {
			break
		}
		segment := data[at+4 : at+2+size]
		if data[at+1] == 0xE1 && bytes.HasPrefix(segment, []byte("Exif\x00\x00")) {
			t, err := newTIFF(segment[6:])
			if err != nil {
				return 1
			}
			tags, _, err := t.directory(t.first)
			if n := tags.number(tagOrientation, 1); err == nil && n >= 1 && n <= 8 {
				return n
			}
			return 1
		}
		at += 2 + size
	}
	return 1
}

// turned undoes an Exif orientation.
func turned(picture image.Image, how int) image.Image {
	if how <= 1 {
		return picture
	}
	b := picture.Bounds()
	w, h := b.Dx(), b.Dy()
	box := image.Rect(0, 0, w, h)
	if how >= 5 {
		box = image.Rect(0, 0, h, w)
	}
	out := image.NewRGBA(box)
	for y := range h {
		for x := range w {
			tx, ty := x, y
			switch how {
			case 2:
				tx = w - 1 - x
			case 3:
				tx, ty = w-1-x, h-1-y
			case 4:
				ty = h - 1 - y
			case 5:
				tx, ty = y, x
			case 6:
				tx, ty = h-1-y, x
			case 7:
				tx, ty = h-1-y, w-1-x
			case 8:
				tx, ty = y, w-1-x
			}
			out.Set(tx, ty, picture.At(b.Min.X+x, b.Min.Y+y))
		}
	}
	return out
}
