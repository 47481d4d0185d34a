package extract

import (
	"fmt"
	"io"
)

// Notices writes a PEMBERITAHUAN HASIL PENGIRIMAN for each applicant, half a
// sheet each, going on over further halves when the letters are many.
func Notices(w io.Writer, p Page, notices []Notice) error {
	f, err := p.half("Pemberitahuan hasil pengiriman")
	if err != nil {
		return err
	}
	s, err := newSheet(p, f)
	if err != nil {
		return err
	}
	if len(notices) == 0 {
		s.addPage()
		s.letterhead(0.75)
		s.title(noticeTitle, 12)
		s.para(s.left, s.textWidth(), "C", "Nihil", style{size: 10})
	}
	for _, n := range notices {
		s.running = joined(", ", noticeTitle, n.Applicant)
		s.opens = true
		s.addPage()
		s.letterhead(0.75)
		s.title(noticeTitle, 12)
		st := style{size: 10}
		s.para(s.left, s.textWidth(), "C", n.Date, st)
		s.y += 2
		s.para(s.left, s.textWidth(), "L", "Yth. "+n.Applicant, st)
		s.y += 2
		for i, item := range n.Items {
			if i > 0 {
				s.rule(s.left, s.y, s.left+s.textWidth(), s.y, 0.1)
				s.y += 1.2
			}
			fields := item.fields()
			// A short item stays in one piece.
			if height := float64(len(fields)+1) * (st.lead() + 0.8); height < 40 {
				s.need(height)
			}
			for _, field := range fields {
				s.field(field[0], field[1], 34, st)
			}
		}
		s.hands(n.Officer, "Tanda terima pemohon (tanggal, tanda tangan)")
	}
	_, err = s.finish(w)
	return err
}

const (
	noticeTitle  = "PEMBERITAHUAN HASIL PENGIRIMAN"
	receiptTitle = "TANDA TERIMA PERMOHONAN"
)

// hands draws the two boxes at the foot of a half sheet: the paraf of the
// officer and the signature of the applicant.
func (s *sheet) hands(officer, applicant string) {
	const height = 21.0
	s.need(height + 3)
	s.y += 3
	st := style{size: 9}
	width := s.textWidth()/2 - 4
	top := s.y
	for i, head := range []string{titled(officer, "Petugas") + " (paraf)", applicant} {
		x := s.left + float64(i)*(width+8)
		s.box(x, top, width, height)
		s.y = top + 0.8
		s.para(x+2, width-4, "L", head, st)
	}
	s.y = top + height
}

// fields are what a notice says about one letter. Without the names of the
// addressees it says how many they are.
func (n NoticeItem) fields() [][2]string {
	out := [][2]string{{"Nomor agenda", joined("     ", n.Entry, prefixed("Surat permohonan ", n.Request))}}
	if text := joined(", ", n.LetterNumber, n.LetterDate); text != "" {
		out = append(out, [2]string{"Naskah", text})
	}
	if len(n.Copies) == 0 {
		out = append(out, [2]string{"Jumlah tujuan", fmt.Sprint(n.Addressees)})
	}
	for i, c := range n.Copies {
		destination := c.Destination
		if len(n.Copies) > 1 {
			destination = fmt.Sprintf("%d. %s", i+1, destination)
		}
		out = append(out, [2]string{"Tujuan", destination}, [2]string{"Terkirim", c.SentAt})
		if c.Remark != "" {
			out = append(out, [2]string{"Keterangan", c.Remark})
		}
	}
	if n.SentAt != "" {
		out = append(out, [2]string{"Terkirim", n.SentAt})
	}
	if n.Remark != "" {
		out = append(out, [2]string{"Keterangan", n.Remark})
	}
	return out
}

// Receipt writes the TANDA TERIMA PERMOHONAN, half a sheet.
func Receipt(w io.Writer, p Page, r ReceiptSheet) error {
	f, err := p.half("Tanda terima permohonan " + r.Entry)
	if err != nil {
		return err
	}
	f.running = joined(", ", receiptTitle, r.Entry)
	s, err := newSheet(p, f)
	if err != nil {
		return err
	}
	s.addPage()
	s.letterhead(0.75)
	s.title(receiptTitle, 12)
	s.y += 3
	st := style{size: 10}
	for _, field := range r.fields() {
		s.field(field[0], field[1], 42, st)
	}
	s.hands(r.Officer, "Pemohon (tanda tangan)")
	_, err = s.finish(w)
	return err
}

func (r ReceiptSheet) fields() [][2]string {
	out := [][2]string{
		{"Nomor agenda", r.Entry},
		{"Pemohon", r.Applicant},
		{"Surat permohonan", joined(", ", r.Request, r.RequestDate)},
		{"Diterima", r.Received},
		{"Layanan", r.Service},
		{"Paling lambat selesai", r.Due},
		{"Biaya", titled(r.Cost, "Gratis")},
	}
	if r.Complaint != "" {
		out = append(out, [2]string{"Pengaduan", r.Complaint})
	}
	return out
}
