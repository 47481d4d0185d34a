package extract

import (
	"cmp"
	"encoding/base32"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// need begins a new page when less than height is left on this one.
func (s *sheet) need(height float64) {
	if s.y+height > s.limit() {
		s.addPage()
	}
}

// flow is para that goes on over the end of a page.
func (s *sheet) flow(x, width float64, align, text string, st style) {
	for _, line := range wrap(drawable(text), width, st.measure) {
		s.need(st.lead())
		s.align(x, width, s.y+st.rise(), align, line, st)
		s.y += st.lead()
	}
}

// field draws "label : value"; a value of several lines stays in its column.
func (s *sheet) field(label, value string, labelWidth float64, st style) {
	labels := wrap(drawable(label), labelWidth-1, st.measure)
	s.need(float64(len(labels)) * st.lead())
	page, below := s.pages(), s.y+float64(len(labels))*st.lead()
	for i, line := range labels {
		s.text(s.left, s.y+float64(i)*st.lead()+st.rise(), line, st)
	}
	s.text(s.left+labelWidth, s.y+st.rise(), ":", st)
	x := s.left + labelWidth + 3
	s.flow(x, s.left+s.textWidth()-s.taken-x, "L", value, st)
	if s.pages() == page {
		s.y = max(s.y, below)
	}
	s.y += 0.8
}

func (s *sheet) title(text string, size float64) {
	s.para(s.left, s.textWidth(), "C", text, style{size: size, bold: true})
}

const dots = "................................"

// orDots leaves room to write by hand where nothing is known.
func orDots(s string) string { return cmp.Or(s, dots) }

// joined puts the parts that are not empty side by side.
func joined(sep string, parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, sep)
}

const (
	openingLines  = 6
	openingGroups = 10 // a line
	groupLetters  = 5
)

// OpeningOctets of a kriptogram fill the six lines of a draft sheet.
const OpeningOctets = (openingLines*openingGroups*groupLetters*5 + 7) / 8

// Groups writes the first octets of a kriptogram as base32 in groups of five
// letters, at most six lines of ten: enough to recognise it, not to retype it.
func Groups(opening []byte) [][]string {
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(opening[:min(len(opening), OpeningOctets)])
	text = text[:min(len(text), openingLines*openingGroups*groupLetters)]
	var lines [][]string
	for n := 0; text != ""; n++ {
		if n%openingGroups == 0 {
			lines = append(lines, nil)
		}
		g := text[:min(len(text), groupLetters)]
		lines[len(lines)-1] = append(lines[len(lines)-1], g)
		text = text[len(g):]
	}
	return lines
}

// state words the place of a draft in the row of drafts.
func (d DraftSheet) state() string {
	if d.Replaces == "" {
		return fmt.Sprintf("(draf ke-%d)", d.Draft)
	}
	return fmt.Sprintf("(draf ke-%d, pengganti draf %s)", d.Draft, d.Replaces)
}

func (d DraftSheet) fields() [][2]string {
	out := [][2]string{
		{"Nomor Agenda", d.Entry},
		{"Nomor Kriptogram", dots + " (diisi setelah ditandatangani)"},
		{"Dari", d.From},
	}
	for i, to := range d.To {
		label := ""
		if i == 0 {
			label = "Alamat Tujuan"
		}
		text := fmt.Sprintf("%d. %s (salinan %d)", i+1, to.Unit, to.Copy)
		if to.KeyWords != "" {
			text += "\nkata periksa kunci: " + to.KeyWords
		}
		out = append(out, [2]string{label, text})
	}
	return append(out,
		[2]string{"Surat", joined(", ", prefixed("nomor ", d.LetterNumber), prefixed("tanggal ", d.LetterDate), prefixed("pemohon ", d.Applicant))},
		[2]string{"Jumlah halaman / berkas", fmt.Sprintf("%d / %d", d.Pages, d.Files)},
		[2]string{"Penyandian", d.Cipher},
		[2]string{"Kata periksa kriptogram", d.CheckWords})
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// Draft writes the draft of a kriptogram, which the sandiman initials and the
// head of section signs or returns.
func Draft(w io.Writer, p Page, d DraftSheet) error {
	f, err := p.portrait("Draf kriptogram " + d.Entry)
	if err != nil {
		return err
	}
	f.classification, f.urgency = d.Classification, d.Urgency
	f.running = fmt.Sprintf("DRAF KRIPTOGRAM %s %s", d.Entry, d.state())
	s, err := newSheet(p, f)
	if err != nil {
		return err
	}
	s.addPage()
	s.letterhead(1)
	s.title("DRAF KRIPTOGRAM", 14)
	s.para(s.left, s.textWidth(), "C", d.state(), style{size: 10.5})
	s.y += 4
	st := style{size: 10.5}
	for _, field := range d.fields() {
		if field[0] == "" {
			x := s.left + 49
			s.flow(x, s.left+s.textWidth()-x, "L", field[1], st)
			s.y += 0.8
			continue
		}
		weight := st
		weight.bold = field[0] == "Kata periksa kriptogram"
		s.field(field[0], field[1], 46, weight)
	}
	s.y += 2

	lines := Groups(d.Opening)
	height := float64(len(lines)+1)*st.lead() + 5
	s.need(height + st.lead())
	s.para(s.left, s.textWidth(), "L", "Teks sandi (awal)", st)
	s.y += 1
	s.box(s.left, s.y, s.textWidth(), height)
	s.y += 2
	step := (s.textWidth() - 6) / openingGroups
	for _, line := range lines {
		for i, g := range line {
			s.align(s.left+3+float64(i)*step, step, s.y+st.rise(), "C", g, st)
		}
		s.y += st.lead()
	}
	s.align(s.left, s.textWidth()-3, s.y+st.rise()+0.5, "R", "... selengkapnya dalam berkas elektronik", style{size: 9})
	s.y += st.lead() + 6

	s.draftBoxes(d)
	_, err = s.finish(w)
	return err
}

// draftBoxes draws the place of the paraf and of the decision, side by side.
func (s *sheet) draftBoxes(d DraftSheet) {
	const height = 70.0
	s.need(height)
	st := style{size: 10}
	left := s.textWidth() * 0.36
	x, top := s.left, s.y
	s.box(x, top, left, height)
	s.box(x+left, top, s.textWidth()-left, height)

	s.y = top + 2
	s.para(x+2, left-4, "L", "Paraf "+titled(d.Sandiman.Title, "Sandiman"), style{size: 10, bold: true})
	s.signer(x+2, left-4, top+height, d.Sandiman, "Tanggal, jam: "+orDots(d.ParafAt))

	x, width := x+left+2, s.textWidth()-left-4
	s.y = top + 2
	s.para(x, width, "L", titled(d.Head.Title, "Kepala Seksi"), style{size: 10, bold: true})
	s.y += 1.5
	for _, choice := range []string{"disetujui, tanda tangani dan kirim", "dikembalikan, alasan: " + dots} {
		s.box(x, s.y+0.6, 3.2, 3.2)
		s.text(x+5.5, s.y+st.rise(), choice, st)
		s.y += st.lead() + 2
	}
	s.text(x+5.5, s.y+st.rise(), strings.Repeat(".", 62), st)
	s.signer(x, width, top+height, d.Head, "Tanggal, jam: "+dots)
	s.y = top + height
}

// signer draws who signs at the foot of a box.
func (s *sheet) signer(x, width, bottom float64, b Signature, at string) {
	name, small := style{size: 10, bold: b.Name != ""}, style{size: 9}
	height := float64(len(wrap(drawable(orDots(b.Name)), width, name.measure))) * name.lead()
	var rest []string
	for _, text := range []string{b.Rank, prefixed("NIP ", b.NIP), at} {
		if text != "" {
			rest = append(rest, text)
			height += float64(len(wrap(drawable(text), width, small.measure))) * small.lead()
		}
	}
	s.y = bottom - height - 2
	s.para(x, width, "L", orDots(b.Name), name)
	for _, text := range rest {
		s.para(x, width, "L", text, small)
	}
}

func titled(title, otherwise string) string {
	if title == "" {
		return otherwise
	}
	return title
}

// section draws the heading of a table, with room for the heads and a row.
func (s *sheet) section(heading, remark string) {
	st, small := style{size: 10.5, bold: true}, style{size: 9}
	width := s.textWidth()
	if remark != "" {
		width -= small.measure(drawable(remark)) + 4
	}
	lines := wrap(drawable(heading), width, st.measure)
	s.need(float64(len(lines))*st.lead() + 28)
	s.y += 3
	for i, line := range lines {
		s.text(s.left, s.y+st.rise(), line, st)
		if i == 0 {
			s.align(s.left, s.textWidth(), s.y+st.rise(), "R", remark, small)
		}
		s.y += st.lead()
	}
	s.y += 1
}

func (r ResultSheet) summary() string {
	c := r.Counts
	text := fmt.Sprintf("Seluruhnya %d naskah, %d kiriman: terkirim %d, belum terkirim %d, terlambat %d, belum pasti %d",
		c.Letters, c.Copies, c.Sent, c.Unsent, c.Late, c.Uncertain)
	if c.Withdrawn > 0 {
		text += fmt.Sprintf(", diralat atau ditarik %d", c.Withdrawn)
	}
	return text + "."
}

func (r ResultSheet) initials() []string {
	if r.Initials == nil {
		return []string{"Kepala Bidang", "Kepala Seksi"}
	}
	return r.Initials
}

const (
	ordinaryHeading = "A. Berita biasa melalui email Sanapati (%d)"
	excludedHeading = "B. Naskah dinas yang dikecualikan (%d)"
	excludedRemark  = "perihal tidak dicantumkan"
)

// Result writes the Laporan Hasil Pengiriman for the head of the office.
func Result(w io.Writer, p Page, r ResultSheet) error {
	f, err := p.portrait("Laporan Hasil Pengiriman")
	if err != nil {
		return err
	}
	f.classification = r.Classification
	f.running = joined(", ", "LAPORAN HASIL PENGIRIMAN", r.Date)
	s, err := newSheet(p, f)
	if err != nil {
		return err
	}
	s.addPage()
	s.letterhead(1)
	s.title("LAPORAN HASIL PENGIRIMAN", 14)
	st := style{size: 11}
	s.para(s.left, s.textWidth(), "C", r.Date, st)
	s.y += 4
	s.para(s.left, s.textWidth(), "L", "Yth. "+r.Reader, st)
	s.y += 1.5
	s.para(s.left, s.textWidth(), "L", r.summary(), style{size: 11, bold: true})

	s.section(fmt.Sprintf(ordinaryHeading, len(r.Ordinary)), "")
	t, err := newTable(s, []Column{
		{Head: "No. Urut", Width: 8, Align: "C"},
		{Head: "Agenda", Width: 14, Align: "C"},
		{Head: "Pemohon", Width: 40},
		{Head: "Nomor Surat", Width: 28},
		{Head: "Tujuan", Width: 38},
		{Head: "Diterima", Width: 16, Align: "C"},
		{Head: "Terkirim", Width: 16, Align: "C"},
	}, 8.5)
	if err != nil {
		return err
	}
	t.ruled[4], t.ruled[6] = true, true
	t.list(len(r.Ordinary), 0, func(i int) block {
		o := r.Ordinary[i]
		var subs [][]string
		for _, c := range o.Copies {
			subs = append(subs, []string{c.Destination, "", c.Sent})
		}
		return t.nested([]string{strconv.Itoa(i + 1), o.Entry, o.Applicant, o.LetterNumber, "", o.Received}, 4, subs)
	})

	s.section(fmt.Sprintf(excludedHeading, len(r.Excluded)), excludedRemark)
	t, err = newTable(s, []Column{
		{Head: "No. Urut", Width: 8, Align: "C"},
		{Head: "Agenda", Width: 14, Align: "C"},
		{Head: "Nomor Kriptogram", Width: 34},
		{Head: "Tujuan", Width: 56},
		{Head: "Ditanda\u00ADtangani", Width: 16, Align: "C"},
		{Head: "Terkirim", Width: 16, Align: "C"},
		{Head: "Konfir\u00ADmasi", Width: 16, Align: "C"},
	}, 8.5)
	if err != nil {
		return err
	}
	t.ruled[3], t.ruled[5], t.ruled[6] = true, true, true
	t.list(len(r.Excluded), 0, func(i int) block {
		e := r.Excluded[i]
		var subs [][]string
		for _, c := range e.Copies {
			subs = append(subs, []string{c.Destination, "", c.Sent, c.Confirmed})
		}
		return t.nested([]string{strconv.Itoa(i + 1), e.Entry, e.Number, "", e.Signed}, 3, subs)
	})

	s.section("C. Catatan", "")
	body := style{size: 10}
	if len(r.Notes) == 0 {
		s.flow(s.left, s.textWidth(), "L", "Nihil", body)
	}
	for _, n := range r.Notes {
		s.flow(s.left, s.textWidth(), "L", n, body)
	}

	s.y += 5
	s.initials(r.initials(), r.Reporter, body)
	_, err = s.finish(w)
	return err
}

// initials draws a box for the paraf of each title, and who reports beside
// them, all on one page.
func (s *sheet) initials(titles []string, reporter string, st style) {
	width := s.textWidth()/2 - 3
	total := 0.0
	heights := make([]float64, len(titles))
	for i, title := range titles {
		heights[i] = max(9, float64(len(wrap(drawable(title), width-33, st.measure)))*st.lead()+1)
		total += heights[i]
	}
	total = max(total, float64(1+len(wrap(drawable(reporter), width, st.measure)))*st.lead())
	s.need(total)
	top := s.y
	s.text(s.left, top+st.rise(), "Paraf:", st)
	for i, title := range titles {
		y := s.y
		s.para(s.left+13, width-33, "L", title, st)
		s.box(s.left+width-18, y, 18, heights[i])
		s.y = y + heights[i]
	}
	s.y = top
	s.para(s.left+width+6, width, "L", "Pelapor:", st)
	s.para(s.left+width+6, width, "L", reporter, st)
	s.y = top + total
}

// list draws n rows under the heads, or Nihil. The last row keeps room for
// tail millimetres on its page.
func (t *table) list(n int, tail float64, row func(int) block) {
	t.onBreak = t.s.addPage
	t.begin()
	if n == 0 {
		t.nothing()
		return
	}
	for i := range n - 1 {
		t.row(row(i), 0)
	}
	t.row(row(n-1), tail)
	t.close()
}

// Waiting writes the Daftar Kriptogram Menunggu Tanda Tangan, to leave on the
// table of the head of section.
func Waiting(w io.Writer, p Page, l WaitingSheet) error {
	f, err := p.portrait("Daftar Kriptogram Menunggu Tanda Tangan")
	if err != nil {
		return err
	}
	f.running = "DAFTAR KRIPTOGRAM MENUNGGU TANDA TANGAN"
	s, err := newSheet(p, f)
	if err != nil {
		return err
	}
	s.addPage()
	s.letterhead(1)
	s.title("DAFTAR KRIPTOGRAM MENUNGGU TANDA TANGAN", 13)
	st := style{size: 11}
	s.para(s.left, s.textWidth(), "C", l.Date, st)
	s.y += 4
	s.para(s.left, s.textWidth(), "L", "Yth. "+l.Reader, st)
	s.y += 2
	t, err := newTable(s, []Column{
		{Head: "No. Urut", Width: 9, Align: "C"},
		{Head: "Agenda", Width: 16, Align: "C"},
		{Head: "Derajat", Width: 18, Align: "C"},
		{Head: "Draf ke-", Width: 11, Align: "C"},
		{Head: "Paraf Sandiman", Width: 18, Align: "C"},
		{Head: "Jumlah Tujuan", Width: 14, Align: "C"},
		{Head: "Jumlah Halaman", Width: 15, Align: "C"},
		{Head: "Batas Waktu", Width: 24, Align: "C"},
		{Head: "Kata Periksa", Width: 35},
	}, 8.5)
	if err != nil {
		return err
	}
	space := s.signatureSpace(st, l.Right)
	t.list(len(l.Items), space+16, func(i int) block {
		k := l.Items[i]
		return t.plainRow(strconv.Itoa(i+1), k.Entry, k.Urgency, strconv.Itoa(k.Draft), k.ParafAt,
			strconv.Itoa(k.Addressees), strconv.Itoa(k.Pages), k.Due, k.CheckWords)
	})
	s.y += 2
	s.flow(s.left, s.textWidth(), "L", l.count(), style{size: 10})
	if space > 0 {
		s.need(space + 6)
		s.y += 6
		s.signatures(Signature{}, l.Right, st)
	}
	_, err = s.finish(w)
	return err
}

func (l WaitingSheet) count() string {
	return fmt.Sprintf("Menunggu tanda tangan: %d kriptogram.", len(l.Items))
}
