package desk

import (
	"fmt"
	"strings"
	"time"

	"sandi/agenda"
	"sandi/agenda/extract"
	"sandi/cmd/internal/signedtext"
)

// coverWidth is the width of the words on a cover sheet, in columns.
const coverWidth = 72

// kriptogramCover is the cover sheet of one copy: the signed block, an empty
// line and the words for people. It names no perihal, class or file name.
func (d *Desk) kriptogramCover(block signedtext.Cover, s dossier, unit string) ([]byte, error) {
	b, err := block.Encode()
	if err != nil {
		return nil, err
	}
	var w strings.Builder
	w.Write(b)
	w.WriteString("\nLEMBAR PENGANTAR KRIPTOGRAM\n")
	field(&w, "Nomor Kriptogram", block.Number)
	field(&w, "Tanggal", extract.Date(block.At))
	field(&w, "Dari", d.Config.Office.Name)
	field(&w, "Kepada", unit)
	field(&w, "Salinan", fmt.Sprintf("%d dari %d", block.Copy, block.Of))
	fmt.Fprintf(&w, "%-16s : 1. %-25s %s byte\n", "Isi", signedtext.KriptogramFile, dots(s.draft.Size))
	fmt.Fprintf(&w, "%-18s 2. %-25s (draf yang diparaf)\n", "", signedtext.DraftFile)
	fmt.Fprintf(&w, "%-18s 3. %s\n", "", signedtext.ParafFile)
	if s.draft.Wet() {
		w.WriteString("Tanda tangan basah; tidak dapat diperiksa oleh program.\n")
	} else {
		fmt.Fprintf(&w, "%-18s 4. %s\n", "", signedtext.SignatureFile)
	}
	w.WriteString("\nCara memeriksa dan membuka tanpa program sandi:\n")
	if s.draft.Wet() {
		fmt.Fprintf(&w, "  gpg --verify %s %s\n", signedtext.ParafFile, signedtext.DraftFile)
	} else {
		fmt.Fprintf(&w, "  gpg --verify %s %s\n", signedtext.SignatureFile, signedtext.DraftFile)
	}
	fmt.Fprintf(&w, "  sha256sum -c %s\n", signedtext.DraftFile)
	fmt.Fprintf(&w, "  gpg --output naskah --decrypt %s\n", signedtext.KriptogramFile)
	w.WriteString("  (gpg selesai dengan kode 2 bila kunci Sandiman pengirim belum dimiliki)\n")
	w.WriteString("\nMohon konfirmasi penerimaan dengan membalas email ini:\n")
	fmt.Fprintf(&w, "  DITERIMA %s salinan %d, tanggal, jam, jabatan penerima\n", block.Number, block.Copy)
	if !d.Config.Profile.BSrE {
		w.WriteString("Tanda tangan ini tidak menggunakan sertifikat BSrE.\n")
	}
	return []byte(w.String()), nil
}

// letterCover is the cover sheet of an ordinary letter; block is nil when the
// operator has no key.
func (d *Desk) letterCover(block *signedtext.LetterCover, e agenda.Entry, c agenda.Copy, unit string, at time.Time, pages int) ([]byte, error) {
	var w strings.Builder
	if block != nil {
		b, err := block.Encode()
		if err != nil {
			return nil, err
		}
		w.Write(b)
		w.WriteByte('\n')
	}
	w.WriteString("SURAT PENGANTAR EMAIL SANAPATI\n")
	field(&w, "Nomor Surat", e.Letter.Number)
	field(&w, "Tanggal", extract.Date(at))
	field(&w, "Dari", d.Config.Office.Name)
	field(&w, "Kepada", unit)
	field(&w, "Perihal", e.Letter.Subject)
	if pages > 0 {
		field(&w, "Jumlah halaman", fmt.Sprint(pages))
	}
	fmt.Fprintf(&w, "%-16s : %d dari %d\n", "Salinan", c.Copy, len(e.Copies))
	w.WriteString("\nMohon konfirmasi penerimaan dengan membalas email ini:\n")
	w.WriteString("  DITERIMA, nomor surat, tanggal, jam, jabatan penerima\n")
	return []byte(w.String()), nil
}

// field writes `Name : value`, wrapped under the value.
func field(w *strings.Builder, name, value string) {
	lead := fmt.Sprintf("%-16s : ", name)
	for i, line := range wrap(value, coverWidth-len(lead)) {
		if i > 0 {
			lead = strings.Repeat(" ", len(lead))
		}
		w.WriteString(lead + line + "\n")
	}
}

// wrap breaks a value at blanks into lines of at most width characters; a
// longer word stands alone.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(agenda.EscapeValue(s)) {
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

// dots writes a count the Indonesian way: 1.284.
func dots(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "." + s[i:]
	}
	return s
}
