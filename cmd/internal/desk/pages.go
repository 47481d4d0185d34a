package desk

import (
	"bytes"
	"compress/zlib"
	"io"
	"regexp"
	"strconv"
)

// The pages of a PDF are counted without reading the document: the root of the
// page tree says how many there are (ISO 32000-1 §7.7.3.2). It stands in the
// open, or in an object stream that only has to be inflated (§7.5.7).

var (
	pagesType  = regexp.MustCompile(`/Type\s*/Pages\b`)
	pagesCount = regexp.MustCompile(`/Count\s+(\d{1,6})\b`)
	parentKey  = regexp.MustCompile(`/Parent\b`)
	objStream  = regexp.MustCompile(`/Type\s*/ObjStm\b`)
	streamWord = regexp.MustCompile(`stream\r?\n`)
)

const (
	maxObjStream  = 16 << 20
	maxObjStreams = 10_000
	maxDictionary = 1 << 20
)

// pdfPages is the number of pages of a PDF, 0 when it cannot be told, as of an
// encrypted one.
func pdfPages(data []byte) int {
	if n := rootCount(data); n > 0 {
		return n
	}
	n := 0
	for i, at := range objStream.FindAllIndex(data, maxObjStreams) {
		if i == maxObjStreams {
			break
		}
		start := streamWord.FindIndex(data[at[1]:])
		if start == nil {
			break
		}
		z, err := zlib.NewReader(bytes.NewReader(data[at[1]+start[1]:]))
		if err != nil {
			continue
		}
		inflated, _ := io.ReadAll(io.LimitReader(z, maxObjStream)) // what could be inflated is searched
		z.Close()
		if found := rootCount(inflated); found > 0 {
			n = found // a later one replaces an earlier one: the file was saved again
		}
	}
	return n
}

// rootCount finds the last page tree node without a parent.
func rootCount(data []byte) int {
	n := 0
	for _, at := range pagesType.FindAllIndex(data, -1) {
		dict := dictionary(data, at[0])
		if parentKey.Match(dict) {
			continue
		}
		if m := pagesCount.FindSubmatch(dict); m != nil {
			n, _ = strconv.Atoi(string(m[1])) // six digits at most
		}
	}
	return n
}

// dictionary is the "<<...>>" around an offset, nil when it does not close.
func dictionary(data []byte, at int) []byte {
	start, depth := -1, 0
	for i := at - 1; i > 0 && at-i < maxDictionary; i-- {
		switch string(data[i-1 : i+1]) {
		case ">>":
			depth++
			i--
		case "<<":
			if depth == 0 {
				start = i - 1
			}
			depth--
			i--
		}
		if start >= 0 {
			break
		}
	}
	if start < 0 {
		return nil
	}
	depth = 0
	for i := start; i+1 < len(data) && i-start < maxDictionary; i++ {
		switch string(data[i : i+2]) {
		case "<<":
			depth++
			i++
		case ">>":
			depth--
			i++
		}
		if depth == 0 {
			return data[start : i+1]
		}
	}
	return nil
}
