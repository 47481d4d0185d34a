package extract

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/image/tiff"
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
		size, err := tiff.DecodeConfig(bytes.NewReader(t.data))
		if err != nil || !fits(size.Width, size.Height) {
			return nil, errTIFF
		}
		picture, err := tiff.Decode(bytes.NewReader(t.data))
		if err != nil {
			return nil, errTIFF
		}
		out = append(out, pixelScan(turned(picture, tags.number(0x0112, 1))))
		at = next
	}
	return out, nil
}
