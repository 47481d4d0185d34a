package desk

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"strings"
	"testing"
)

func TestPDFPages(t *testing.T) {
	t.Parallel()
	packed := func(objects string) string {
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		if _, err := z.Write([]byte(objects)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("5 0 obj\n<< /Type /ObjStm /N 2 /First 10 /Filter /FlateDecode /Length %d >>\nstream\r\n%s\nendstream\nendobj\n", b.Len(), b.String())
	}
	root := func(n int) string {
		return fmt.Sprintf("1 0 obj\n<< /Type /Pages /Kids [ 3 0 R ] /Count %d /Resources << /Font << /F1 9 0 R >> >> >>\nendobj\n", n)
	}
	for name, tc := range map[string]struct {
		data string
		want int
	}{
		"plain":               {"%PDF-1.4\n" + root(3), 3},
		"tight":               {"%PDF-1.4\n1 0 obj<</Count 12/Kids[3 0 R]/Type/Pages>>endobj", 12},
		"inner nodes":         {root(7) + "2 0 obj\n<< /Type /Pages /Parent 1 0 R /Count 4 >>\nendobj\n", 7},
		"saved again":         {root(7) + root(8), 8},
		"object stream":       {"%PDF-1.5\n" + packed("1 0 2 20 << /Type /Pages /Count 5 /Kids [3 0 R] >> << /Type /Page >>"), 5},
		"no pages":            {"%PDF-1.4\n<< /Type /Page >>", 0},
		"not closed":          {"%PDF-1.4\n<< /Type /Pages /Count 3 ", 0},
		"not opened":          {"/Type /Pages /Count 3 >>", 0},
		"stream not inflated": {"<< /Type /ObjStm >>\nstream\nnot zlib", 0},
		"empty":               {"", 0},
		"deep":                {strings.Repeat("<<", 1000) + "/Type /Pages /Count 3" + strings.Repeat(">>", 1000), 3},
	} {
		if got := pdfPages([]byte(tc.data)); got != tc.want {
			t.Errorf("%s: %d pages, want %d", name, got, tc.want)
		}
	}
}

// FuzzPDFPages: whatever the octets, counting ends and gives no negative number.
func FuzzPDFPages(f *testing.F) {
	f.Add([]byte("%PDF-1.4\n1 0 obj<</Count 12/Kids[3 0 R]/Type/Pages>>endobj"))
	f.Add([]byte("<< /Type /ObjStm >>\nstream\nx"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if n := pdfPages(data); n < 0 || n > 999_999 {
			t.Errorf("%d pages", n)
		}
	})
}
