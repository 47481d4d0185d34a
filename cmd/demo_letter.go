package cmd

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"

	"codeberg.org/go-pdf/fpdf"

	"sandi/cmd/internal/vault"
)

// demoPDF writes an innocent letter of several pages for the practice.
func demoPDF(path string, pages int) error {
	pdf := fpdf.New("P", "mm", "A4", "")
	for i := 1; i <= pages; i++ {
		pdf.AddPage()
		pdf.SetFont("Times", "B", 14)
		pdf.CellFormat(0, 8, "PEMERINTAH KOTA PEKALONGAN", "", 1, "C", false, 0, "")
		pdf.CellFormat(0, 8, "SEKRETARIAT DAERAH", "B", 1, "C", false, 0, "")
		pdf.Ln(8)
		pdf.SetFont("Times", "", 12)
		pdf.CellFormat(0, 7, "Nomor    : 800/1234", "", 1, "", false, 0, "")
		pdf.CellFormat(0, 7, "Perihal  : Undangan rapat koordinasi", "", 1, "", false, 0, "")
		pdf.Ln(6)
		for j := range 12 {
			pdf.MultiCell(0, 7, fmt.Sprintf("%d. Surat latihan untuk mencoba program; isinya tidak berarti apa-apa. Halaman %d dari %d.", j+1, i, pages), "", "", false)
		}
	}
	var b bytes.Buffer
	if err := pdf.Output(&b); err != nil {
		return err
	}
	return vault.CreateFile(path, b.Bytes(), 0o600)
}

// demoScan writes a page as a scanner gives it: one grey picture with the grain of paper and lines where writing would be.
func demoScan(path string, seed int) error {
	const width, height = 620, 877 // A4 at 75 dots an inch
	grain := rand.New(rand.NewPCG(uint64(seed), 1))
	picture := image.NewGray(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			shade := uint8(235 + grain.IntN(20))
			if written := y > 90 && y < 700 && y%22 < 7 && x > 70 && x < 550; written && grain.IntN(3) > 0 {
				shade = uint8(40 + grain.IntN(60))
			}
			picture.SetGray(x, y, color.Gray{Y: shade})
		}
	}
	var b, out bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		return err
	}
	pdf := fpdf.New("P", "mm", "A4", "")
	pdf.AddPage()
	pdf.RegisterImageOptionsReader("scan", fpdf.ImageOptions{ImageType: "PNG"}, &b)
	pdf.ImageOptions("scan", 0, 0, 210, 297, false, fpdf.ImageOptions{ImageType: "PNG"}, 0, "")
	if err := pdf.Output(&out); err != nil {
		return err
	}
	return vault.CreateFile(path, out.Bytes(), 0o600)
}
