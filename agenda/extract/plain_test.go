package extract_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sandi/agenda/extract"
)

func plain() extract.PlainSheet {
	s := extract.PlainSheet{
		Page: page(), Title: "EVALUASI KINERJA PELAYANAN", Subtitles: []string{"Triwulan IV Tahun 2026 (1 Oktober–31 Desember 2026)"},
		Reader: "Kepala Dinas Komunikasi dan Informatika",
		Sections: []extract.Section{
			{Heading: "1. Ringkasan", Text: []string{"Pengiriman berita biasa: 1.284 naskah, tepat waktu 98,5%, terlambat 19, dibatalkan 2. " + sixtyWords}},
			{
				Heading: "2. Volume", Columns: []extract.Column{{Head: "Bulan", Width: 40}, {Head: "Klasifi\u00ADkasi rahasia", Width: 20, Align: "R"}, {Head: "Jumlah", Width: 20, Align: "R"}},
				Rows: [][]string{{"Oktober 2026", "12", "412"}, {"=November 2026", "9", "430"}, {"Jumlah\u202E", "21", "842"}},
				Bars: []extract.Bar{{Label: "Oktober 2026", Value: 412, Part: 400, Note: "400 dari 412"}, {Label: "November 2026", Value: 430, Part: 0, Note: "0 dari 430"}, {Label: "Desember 2026", Note: "0 dari 0"}},
			},
			{Heading: "3. Naskah terlambat (0)", Remark: "waktu layanan", Columns: []extract.Column{{Head: "Agenda", Width: 20}, {Head: "Sebab", Width: 100}}},
			{Heading: "4. Kunci", Fields: [][2]string{{"Sidik kunci", "3F2A 90B1 7C44 E5D8 1A6B 02C9 D7E3 4418 BB0F 91C4"}, {"Kata periksa", "bukit layar padi enam tinta rusa"}}, Code: "OPENPGP4FPR:3F2A90B17C44E5D81A6B02C9D7E34418BB0F91C4"},
			{Heading: "8. Tindak lanjut", Room: 34},
		},
		Signatures: []extract.Signature{
			{Heading: "Mengetahui,", Title: "Kepala Bidang Aplikasi dan Persandian", Name: "NAMA KEPALA BIDANG"},
			{Heading: "Pekalongan, 30 Desember 2026", Title: "Kepala Seksi Persandian dan Keamanan Informasi", Name: "NAMA KEPALA SEKSI", NIP: "00000000 000000 0 000"},
			{Title: "Kepala Dinas Komunikasi dan Informatika", Name: "NAMA KEPALA DINAS"},
		},
	}
	for i := range 60 {
		s.Sections[2].Rows = append(s.Sections[2].Rows, []string{fmt.Sprintf("S%d", i+1), "server Sanapati terputus"})
	}
	return s
}

func TestPlainSheet(t *testing.T) {
	t.Parallel()
	pdf := func(w io.Writer) error { _, err := extract.Plain(w, plain()); return err }
	golden(t, "plain.pdf.txt", strings.Join(pdfText(t, write(t, pdf)), "\f\n"))
	golden(t, "plain.txt", string(write(t, func(w io.Writer) error { return extract.PlainText(w, plain()) })))
	golden(t, "plain.csv", string(write(t, func(w io.Writer) error { return extract.PlainCSV(w, plain()) })))
	if !bytes.Equal(write(t, pdf), write(t, pdf)) {
		t.Error("two runs differ")
	}
	broken := errors.New("broken")
	if _, err := extract.Plain(full{broken}, plain()); !errors.Is(err, broken) {
		t.Error(err)
	}
	if err := extract.PlainCSV(full{broken}, plain()); !errors.Is(err, broken) {
		t.Error(err)
	}
	pages := pdfText(t, write(t, pdf))
	for i, p := range pages {
		if strings.Contains(p, "NAMA KEPALA DINAS") && !strings.Contains(p, "NAMA KEPALA SEKSI") {
			t.Errorf("page %d has a signature alone", i+1)
		}
	}
}

// Sheets that are bound say which sheet they are, and a row printed again does
// not count.
func TestBoundBook(t *testing.T) {
	t.Parallel()
	list := novemberRows()
	list[0].Again = true
	s := kriptogram(rows(list...))
	s.FirstSheet = 12
	text := strings.Join(pdfText(t, write(t, func(w io.Writer) error { _, err := extract.Book(w, s); return err })), "")
	for _, want := range []string{"Lembar ke-12", "Jumlah halaman ini: 3 agenda, 2 nomor", "Jumlah dipindahkan: 44 agenda, 18 nomor"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// picture is upright: a white page with one black corner.
func picture(w, h int) *image.Gray {
	p := image.NewGray(image.Rect(0, 0, w, h))
	for i := range p.Pix {
		p.Pix[i] = 255
	}
	for y := range h / 4 {
		for x := range w / 4 {
			p.SetGray(x, y, color.Gray{})
		}
	}
	return p
}

func encoded(t *testing.T, f func(w io.Writer) error) []byte {
	t.Helper()
	return write(t, f)
}

// exif puts an orientation before the picture of a JPEG.
func exif(data []byte, how byte) []byte {
	tiff := append([]byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00"), how, 0, 0, 0, 0, 0, 0)
	body := append([]byte("Exif\x00\x00"), tiff...)
	segment := binary.BigEndian.AppendUint16([]byte{0xFF, 0xE1}, uint16(len(body)+2))
	return append(append(append([]byte{}, data[:2]...), append(segment, body...)...), data[2:]...)
}

// tiff writes a little TIFF of pages with the given compression.
func tiff(compression int, pack func([]byte) []byte, pages ...*image.Gray) []byte {
	out := []byte("II*\x00\x00\x00\x00\x00")
	link := 4
	for _, p := range pages {
		data := pack(p.Pix)
		at := len(out)
		out = append(out, data...)
		if len(out)%2 == 1 {
			out = append(out, 0)
		}
		binary.LittleEndian.PutUint32(out[link:], uint32(len(out)))
		tags := [][4]int{
			{256, 4, 1, p.Rect.Dx()},
			{257, 4, 1, p.Rect.Dy()},
			{258, 3, 1, 8},
			{259, 3, 1, compression},
			{262, 3, 1, 1},
			{273, 4, 1, at},
			{277, 3, 1, 1},
			{279, 4, 1, len(data)},
		}
		out = binary.LittleEndian.AppendUint16(out, uint16(len(tags)))
		for _, tag := range tags {
			out = binary.LittleEndian.AppendUint16(out, uint16(tag[0]))
			out = binary.LittleEndian.AppendUint16(out, uint16(tag[1]))
			out = binary.LittleEndian.AppendUint32(out, uint32(tag[2]))
			out = binary.LittleEndian.AppendUint32(out, uint32(tag[3]))
		}
		link = len(out)
		out = append(out, 0, 0, 0, 0)
	}
	return out
}

func packBits(data []byte) []byte {
	var out []byte
	for len(data) > 0 {
		n := 1
		for n < len(data) && n < 128 && data[n] == data[0] {
			n++
		}
		if n > 1 {
			out = append(out, byte(1-n), data[0])
		} else {
			out = append(out, 0, data[0])
		}
		data = data[n:]
	}
	return append(out, 0x80)
}

func deflated(data []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(data)
	_ = w.Close()
	return b.Bytes()
}

func stored(data []byte) []byte { return data }

func pnm(p *image.Gray) []byte {
	return append([]byte(fmt.Sprintf("P5\n# scanner\n%d %d\n255\n", p.Rect.Dx(), p.Rect.Dy())), p.Pix...)
}

func TestPicturesBecomePages(t *testing.T) {
	t.Parallel()
	upright, across := picture(120, 160), picture(160, 120)
	photo := encoded(t, func(w io.Writer) error { return jpeg.Encode(w, across, nil) })
	files := map[string]struct {
		data  []byte
		pages int
	}{
		"png":           {encoded(t, func(w io.Writer) error { return png.Encode(w, upright) }), 1},
		"jpeg":          {photo, 1},
		"jpeg turned":   {exif(photo, 6), 1},
		"tiff":          {tiff(1, stored, upright, across), 2},
		"tiff packbits": {tiff(32773, packBits, upright), 1},
		"tiff deflate":  {tiff(8, deflated, upright, across, upright), 3},
		"pnm grey":      {pnm(upright), 1},
		"pnm bitmap":    {append([]byte("P4\n16 4\n"), 0xFF, 0x00, 0x0F, 0xF0, 0, 0, 0xAA, 0x55), 1},
		"pnm colour":    {append([]byte("P6 2 2 255\n"), make([]byte, 12)...), 1},
	}
	for name, f := range files {
		if !extract.IsPicture(f.data) {
			t.Errorf("%s: not known as a picture", name)
		}
		var pdf bytes.Buffer
		pages, err := extract.Pictures(&pdf, others(), [][]byte{f.data})
		if err != nil || pages != f.pages {
			t.Errorf("%s: %d pages, %v", name, pages, err)
			continue
		}
		checked(t, name, pdf.Bytes(), f.pages)
	}
	var all bytes.Buffer
	n, err := extract.Pictures(&all, others(), [][]byte{files["png"].data, files["jpeg"].data, files["tiff"].data})
	if err != nil || n != 4 {
		t.Fatal(n, err)
	}
	checked(t, "together", all.Bytes(), 4)
	if !bytes.Contains(all.Bytes(), photo[len(photo)-200:]) {
		t.Error("the octets of the JPEG are not in the file")
	}
}

func checked(t *testing.T, name string, pdf []byte, pages int) {
	t.Helper()
	if _, err := exec.LookPath("qpdf"); err != nil {
		return
	}
	path := filepath.Join(t.TempDir(), "scan.pdf")
	if err := os.WriteFile(path, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("qpdf", "--check", path).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", name, err, out)
	}
	out, err := exec.Command("qpdf", "--show-npages", path).Output()
	if got := strings.TrimSpace(string(out)); err != nil || got != fmt.Sprint(pages) {
		t.Errorf("%s: %s pages, %v", name, got, err)
	}
}

// Every orientation of a camera ends with the black corner where it was seen.
func TestPhotographsAreTurned(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("pdftoppm"); err != nil {
		t.Skip("pdftoppm is not installed")
	}
	photo := encoded(t, func(w io.Writer) error { return jpeg.Encode(w, picture(160, 120), nil) })
	// Where the corner of the stored picture is on the page: left or right, top or bottom.
	want := map[byte]string{1: "left top", 2: "right top", 3: "right bottom", 4: "left bottom", 5: "left top", 6: "right top", 7: "right bottom", 8: "left bottom"}
	got := map[byte]string{}
	for how := range want {
		var pdf bytes.Buffer
		if _, err := extract.Pictures(&pdf, others(), [][]byte{exif(photo, how)}); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "photo.pdf")
		if err := os.WriteFile(path, pdf.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("pdftoppm", "-png", "-r", "20", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		shown, err := png.Decode(bytes.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		b := shown.Bounds()
		var x, y, n int
		for py := range b.Dy() {
			for px := range b.Dx() {
				if r, _, _, _ := shown.At(px, py).RGBA(); r < 0x4000 {
					x, y, n = x+px, y+py, n+1
				}
			}
		}
		if n == 0 {
			t.Fatalf("orientation %d: nothing black", how)
		}
		place := "left"
		if x/n > b.Dx()/2 {
			place = "right"
		}
		if y/n > b.Dy()/2 {
			place += " bottom"
		} else {
			place += " top"
		}
		got[how] = place
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPicturesRefused(t *testing.T) {
	t.Parallel()
	ring := tiff(1, stored, picture(8, 8))
	binary.LittleEndian.PutUint32(ring[len(ring)-4:], binary.LittleEndian.Uint32(ring[4:]))
	for name, data := range map[string][]byte{
		"nothing":       {},
		"text":          []byte("halo"),
		"png cut":       []byte("\x89PNG\r\n\x1a\n"),
		"huge pnm":      []byte("P5 9999999 9999999 255\n"),
		"short pnm":     []byte("P5 100 100 255\nxx"),
		"fax tiff":      tiff(4, stored, picture(8, 8)),
		"short tiff":    tiff(1, stored, picture(8, 8))[:40],
		"ring of tiff":  ring,
		"tiff, no page": tiff(1, stored),
	} {
		var coded *extract.Error
		if _, err := extract.Pictures(io.Discard, others(), [][]byte{data}); !errors.As(err, &coded) || coded.Code() != extract.CodePicture {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := extract.Pictures(io.Discard, others(), nil); err == nil {
		t.Error("no picture became pages")
	}
}

func FuzzPictures(f *testing.F) {
	f.Add(tiff(1, stored, picture(8, 6)))
	f.Add(tiff(32773, packBits, picture(8, 6)))
	f.Add(tiff(5, stored, picture(8, 6)))
	f.Add(pnm(picture(4, 4)))
	f.Add(tiff(1, stored))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		var coded *extract.Error
		if _, err := extract.Pictures(io.Discard, others(), [][]byte{data}); err != nil && !errors.As(err, &coded) {
			t.Errorf("an error without a code: %v", err)
		}
	})
}
