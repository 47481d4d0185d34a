package extract

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"math/bits"

	"golang.org/x/image/tiff"
)

// The tags of TIFF 6.0 that are read here.
const (
	tagWidth       = 0x0100
	tagHeight      = 0x0101
	tagCompression = 0x0103
	tagPhotometric = 0x0106
	tagFillOrder   = 0x010A
	tagStrips      = 0x0111
	tagOrientation = 0x0112
	tagStripSizes  = 0x0117
	tagXResolution = 0x011A
	tagYResolution = 0x011B
	tagT4Options   = 0x0124
	tagTileWidth   = 0x0142
)

// What the tags say that matters to a page of a fax.
const (
	compressionG3 = 3 // ITU-T T.4
	compressionG4 = 4 // ITU-T T.6
	twoDimensions = 1 // T4Options: lines may be packed by the one above
)

// tiffFile finds the pages of a TIFF file and what is noted about each; the
// pixels are the library's to read.
type tiffFile struct {
	data  []byte
	order binary.ByteOrder
	first int
}

var errTIFF = fmt.Errorf("TIFF not readable")

func newTIFF(data []byte) (tiffFile, error) {
	t := tiffFile{data: data, order: binary.LittleEndian}
	if len(data) < 8 {
		return t, errTIFF
	}
	if data[0] == 'M' {
		t.order = binary.BigEndian
	}
	if t.order.Uint16(data[2:]) != 42 {
		return t, errTIFF
	}
	t.first = int(t.order.Uint32(data[4:]))
	return t, nil
}

type tiffTags map[uint16][]int

func (t tiffTags) number(tag uint16, otherwise int) int {
	if v := t[tag]; len(v) > 0 {
		return v[0]
	}
	return otherwise
}

// directory reads the numbers of one directory and where the next one lies, 0
// for none.
func (t tiffFile) directory(at int) (tiffTags, int, error) {
	if at < 8 || at+2 > len(t.data) {
		return nil, 0, errTIFF
	}
	n := int(t.order.Uint16(t.data[at:]))
	if at+2+12*n > len(t.data) {
		return nil, 0, errTIFF
	}
	tags := tiffTags{}
	for i := range n {
		entry := t.data[at+2+12*i:][:12]
		kind, count := t.order.Uint16(entry[2:]), int(t.order.Uint32(entry[4:]))
		size := map[uint16]int{1: 1, 3: 2, 4: 4}[kind]
		if kind == 5 { // a fraction: two numbers
			size, count = 4, 2*count
		}
		if size == 0 || count > 1<<20 {
			continue
		}
		values := entry[8:12]
		if size*count > 4 {
			from := int(t.order.Uint32(entry[8:]))
			if from > len(t.data) || size*count > len(t.data)-from {
				return nil, 0, errTIFF
			}
			values = t.data[from:]
		}
		list := make([]int, count)
		for j := range list {
			switch size {
			case 1:
				list[j] = int(values[j])
			case 2:
				list[j] = int(t.order.Uint16(values[2*j:]))
			default:
				list[j] = int(t.order.Uint32(values[4*j:]))
			}
		}
		tags[t.order.Uint16(entry)] = list
	}
	next := 0
	if end := at + 2 + 12*n; end+4 <= len(t.data) {
		next = int(t.order.Uint32(t.data[end:]))
	}
	return tags, next, nil
}

const maxTIFFPages = 1000

// readTIFF reads every page of a scanner's TIFF. The library reads the first
// directory of a file; each page in turn is made the first.
func readTIFF(data []byte) ([]scan, error) {
	t, err := newTIFF(bytes.Clone(data))
	if err != nil {
		return nil, err
	}
	var out []scan
	for at, n := t.first, 0; at != 0; n++ {
		if n == maxTIFFPages {
			return nil, errTIFF // a ring
		}
		tags, next, err := t.directory(at)
		if err != nil {
			return nil, err
		}
		t.order.PutUint32(t.data[4:], uint32(at))
		page, err := t.page(tags)
		if err != nil {
			return nil, err
		}
		out = append(out, page)
		at = next
	}
	if len(out) == 0 {
		return nil, errTIFF
	}
	return out, nil
}

// page reads the first page of the file. A fax in one strip is kept as it was
// sent, once it is known to be whole; everything else is unpacked.
func (t tiffFile) page(tags tiffTags) (scan, error) {
	width, height := tags.number(tagWidth, 0), tags.number(tagHeight, 0)
	if !fits(width, height) {
		return scan{}, errTIFF
	}
	turn := tags.number(tagOrientation, 1)
	strip := t.onlyStrip(tags)
	kept := scan{width: width, height: height, tall: tags.tall()}
	light := tags.number(tagPhotometric, 0) == 1
	compression, options := tags.number(tagCompression, 1), tags.number(tagT4Options, 0)
	if compression == compressionG3 && strip != nil && turn == 1 {
		if faxLines(strip, height) {
			kept.fax = &fax{data: strip, light: light}
			if options&twoDimensions != 0 {
				kept.fax.k = 4
			}
			return kept, nil
		}
	}
	picture, err := tiff.Decode(bytes.NewReader(t.data))
	switch {
	case err != nil && compression == compressionG3:
		return scan{}, &Error{code: CodeFax, Field: "fax not whole, or in strips of two dimensions"}
	case err != nil:
		return scan{}, errTIFF
	case compression == compressionG4 && strip != nil && turn == 1:
		kept.fax = &fax{strip, -1, light}
		return kept, nil
	}
	page := pixelScan(turned(twoColours(picture), turn))
	if page.tall = tags.tall(); turn >= 5 && page.tall > 0 {
		page.tall = 1 / page.tall
	}
	return page, nil
}

// tall is how much higher than wide a pixel of the page is: a fax has 204 dots
// an inch across and 98 or 196 down. 0 is square.
func (t tiffTags) tall() float64 {
	x, y := t[tagXResolution], t[tagYResolution]
	if len(x) < 2 || len(y) < 2 || x[0] <= 0 || x[1] <= 0 || y[0] <= 0 || y[1] <= 0 {
		return 0
	}
	tall := float64(x[0]) / float64(x[1]) * float64(y[1]) / float64(y[0])
	if tall < 0.2 || tall > 5 { // no scanner's
		return 0
	}
	return tall
}

// onlyStrip is the page's strip, the first bit of a line in the highest place;
// nil when there are several or none.
func (t tiffFile) onlyStrip(tags tiffTags) []byte {
	at, size := tags[tagStrips], tags[tagStripSizes]
	if len(at) != 1 || len(size) != 1 || len(tags[tagTileWidth]) > 0 || at[0] < 8 || size[0] <= 0 || at[0] > len(t.data) || size[0] > len(t.data)-at[0] {
		return nil
	}
	strip := bytes.Clone(t.data[at[0]:][:size[0]])
	if tags.number(tagFillOrder, 1) == 2 {
		for i, b := range strip {
			strip[i] = bits.Reverse8(b)
		}
	}
	return strip
}

// faxLines tells whether a strip of T.4 has so many lines, by their ends:
// eleven zeros or more, then a one (ITU-T T.4 §4.1.2), which no runs of pixels
// make. The library reads neither the second dimension nor the zeros that a
// sender fills a line up with, so this is what shows a page to be whole.
func faxLines(strip []byte, height int) bool {
	lines, since, zeros := 0, 0, 0
	for _, b := range strip {
		for i := 7; i >= 0; i-- {
			since++
			if b>>i&1 == 0 {
				zeros++
				continue
			}
			// The end alone is twelve bits and the tag of the line before it.
			if zeros >= 11 {
				if since > 13 {
					lines++
				}
				since = 0
			}
			zeros = 0
		}
	}
	// An end stands before the first line; after the last one it may be missing.
	return lines == height || lines == height-1 && since > 1
}

// twoColours is a picture of black and white alone as one of two colours,
// which packs eight times smaller.
func twoColours(picture image.Image) image.Image {
	gray, ok := picture.(*image.Gray)
	if !ok {
		return picture
	}
	for _, v := range gray.Pix {
		if v != 0 && v != 0xFF {
			return picture
		}
	}
	out := image.NewPaletted(gray.Bounds(), color.Palette{color.Black, color.White})
	for y := range gray.Rect.Dy() {
		for x, v := range gray.Pix[y*gray.Stride:][:gray.Rect.Dx()] {
			out.Pix[y*out.Stride+x] = v & 1
		}
	}
	return out
}
