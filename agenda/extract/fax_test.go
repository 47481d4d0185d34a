package extract_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sandi/agenda/extract"
)

// bitmap is a page of marks as a portable bitmap, one bit a pixel.
func bitmap(width, height int, seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 0))
	stride := (width + 7) / 8
	bits := make([]byte, stride*height)
	for range 300 {
		left, top := random.IntN(width-60), random.IntN(height-20)
		right, bottom := left+2+random.IntN(50), top+2+random.IntN(18)
		for y := top; y < bottom; y++ {
			for x := left; x < right; x++ {
				bits[y*stride+x/8] |= 0x80 >> (x % 8)
			}
		}
	}
	return append(fmt.Appendf(nil, "P4\n%d %d\n", width, height), bits...)
}

// tool runs a foreign program in a folder, or skips the test when it is not there.
func tool(t testing.TB, dir, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip(name + " is not installed")
	}
	c := exec.Command(name, args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

func put(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func get(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Faxes of two pages as libtiff writes them keep every pixel, in the packing
// they came in where that can be.
func TestFaxesKeepEveryPixel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pages := [][]byte{bitmap(1728, 1100, 1), bitmap(1001, 517, 2)}
	for i, page := range pages {
		name := fmt.Sprintf("%d", i)
		put(t, dir, name+".pbm", page)
		tool(t, dir, "ppm2tiff", name+".pbm", name+".tif")
	}
	const kept, unpacked = "/CCITTFaxDecode", "/FlateDecode"
	for name, tt := range map[string]struct {
		options string
		want    string
	}{
		"g4":              {"-c g4", kept},
		"g4 in strips":    {"-c g4 -r 32", unpacked},
		"g4 in tiles":     {"-c g4 -t -w 256 -l 256", unpacked},
		"g4 lowest first": {"-c g4 -f lsb2msb", kept},
		"g4 big endian":   {"-c g4 -B", kept},
		"g3":              {"-c g3:1d -r 5000", kept},
		"g3 filled":       {"-c g3:1d:fill -r 5000", kept},
		"g3 filled lsb":   {"-c g3:1d:fill -f lsb2msb -r 5000", kept},
		"g3 in strips":    {"-c g3:1d -r 100", unpacked},
		"g3 two ways":     {"-c g3:2d -r 5000", kept},
		"g3 two ways lsb": {"-c g3:2d -f lsb2msb -r 5000", kept},
		"g3 both":         {"-c g3:2d:fill -r 5000", kept},
		"lzw":             {"-c lzw", unpacked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := strings.ReplaceAll(name, " ", "-")
			tool(t, dir, "tiffcp", append(strings.Fields(tt.options), "0.tif", "1.tif", file+".tif")...)
			data := get(t, filepath.Join(dir, file+".tif"))
			var pdf bytes.Buffer
			n, err := extract.Pictures(&pdf, others(), [][]byte{data})
			if err != nil || n != 2 {
				t.Fatalf("%d pages, %v", n, err)
			}
			if !bytes.Contains(pdf.Bytes(), []byte(tt.want)) || bytes.Contains(pdf.Bytes(), []byte(kept)) != (tt.want == kept) {
				t.Errorf("not packed as %s", tt.want)
			}
			if tt.want == kept && pdf.Len() > len(data)+15_000 { // two fonts without a character
				t.Errorf("%d octets of %d", pdf.Len(), len(data))
			}
			path := put(t, dir, file+".pdf", pdf.Bytes())
			tool(t, dir, "qpdf", "--check", path)
			tool(t, dir, "pdfimages", path, file)
			for i, page := range pages {
				got := get(t, filepath.Join(dir, fmt.Sprintf("%s-%03d.pbm", file, i)))
				if !bytes.Equal(pixels(t, got), pixels(t, page)) {
					t.Errorf("page %d has other pixels", i+1)
				}
			}
		})
	}
}

// pixels are the rows of a portable bitmap, with white at the ends of the rows.
func pixels(t testing.TB, pbm []byte) []byte {
	t.Helper()
	var width, height int
	if n, err := fmt.Sscanf(string(pbm[:min(len(pbm), 40)]), "P4\n%d %d\n", &width, &height); n != 2 {
		t.Fatal(err)
	}
	stride := (width + 7) / 8
	rows := slices.Clone(pbm[len(pbm)-stride*height:])
	if width%8 != 0 {
		for y := range height {
			rows[y*stride+stride-1] &= 0xFF << (8 - width%8)
		}
	}
	return rows
}

// A fax of standard resolution has pixels twice as high as wide; the page has
// the proportions of the paper.
func TestFaxKeepsItsProportions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, "a.pbm", bitmap(1728, 1078, 3)) // A4 at 204 by 98
	tool(t, dir, "ppm2tiff", "a.pbm", "a.tif")
	tool(t, dir, "tiffcp", "-c", "g4", "a.tif", "fax.tif")
	tool(t, dir, "tiffset", "-s", "282", "204.0", "fax.tif")
	tool(t, dir, "tiffset", "-s", "283", "98.0", "fax.tif")
	var pdf bytes.Buffer
	if _, err := extract.Pictures(&pdf, others(), [][]byte{get(t, filepath.Join(dir, "fax.tif"))}); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "fax.pdf", pdf.Bytes())
	tool(t, dir, "qpdf", "--qdf", "--object-streams=disable", "fax.pdf", "plain.pdf")
	plain := string(get(t, filepath.Join(dir, "plain.pdf")))
	// F4 is 609.45 points wide; 1728 x 1078 at 204 x 98 is 8.47 by 11 inches.
	if !strings.Contains(plain, "q 609.45 0 0 791.44 0 71.99 cm") {
		i := strings.Index(plain, " cm /P0")
		t.Errorf("the picture stands as %q", plain[max(0, i-60):max(0, i)+10])
	}
}

// What cannot be read whole is refused by its own name.
func TestFaxesRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, "a.pbm", bitmap(1728, 400, 4))
	tool(t, dir, "ppm2tiff", "a.pbm", "a.tif")
	tool(t, dir, "tiffcp", "-c", "g3:2d", "-r", "100", "a.tif", "strips.tif")
	tool(t, dir, "tiffcp", "-c", "g3:2d", "-r", "5000", "a.tif", "cut.tif")
	tool(t, dir, "tiffcp", "-c", "g4", "-r", "5000", "a.tif", "broken.tif")
	cut := get(t, filepath.Join(dir, "cut.tif"))
	clear(cut[200:400])
	broken := get(t, filepath.Join(dir, "broken.tif"))
	clear(broken[100:300])
	for name, tt := range map[string]struct {
		data []byte
		code string
	}{
		"two ways in strips": {get(t, filepath.Join(dir, "strips.tif")), extract.CodeFax},
		"two ways, a hole":   {cut, extract.CodeFax},
		"g4, a hole":         {broken, extract.CodePicture},
	} {
		var refusal *extract.Error
		if _, err := extract.Pictures(io.Discard, others(), [][]byte{tt.data}); !errors.As(err, &refusal) || refusal.Code() != tt.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}
