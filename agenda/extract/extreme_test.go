package extract_test

import (
	"fmt"
	"io"
	"strings"

	"sandi/agenda/extract"
)

const (
	longUnit     = "Dinas Perpustakaan dan Kearsipan, Pemberdayaan Perempuan, Perlindungan Anak, Pengendalian Penduduk dan Keluarga Berencana Kabupaten Administrasi Kepulauan Seribu"
	longName     = "Prof. Dr. Ir. Raden Mas Haji MUHAMMAD ABDURRAHMAN WAHYUNINGRATKUSUMODININGRAT SASTROPAWIROATMODJO, S.H., S.Kom., M.M., M.Si., Ph.D."
	longTerm     = "Plh. Kepala Subbidang Pengelolaan Persandian, Keamanan Informasi dan Pos Telekomunikasi pada Bidang Aplikasi dan Persandian"
	oneWord      = "NOMORTANPASPASI/KEAMANANINFORMASI-PERSANDIAN.DAERAH_TANPA/ISTIRAHAT@SEKALIPUN"
	hostileWords = "\x1b[31m\u202Eterbalik\u202C \u200Bsembunyi שלום عربي 漢字 \t\u0000 e\u0301"
)

var longBlock = extract.Signature{
	Heading: "Kabupaten Administrasi Kepulauan Seribu, 30 November 2026", Title: longTerm, Name: longName,
	Rank: "Pembina Utama Madya (IV/d), Sandiman Ahli Utama", NIP: "00000000 000000 0 000",
}

// extremes are sheets of what real offices have too: long names, many
// addressees, nothing at all, and what somebody typed who meant harm.
func extremes() map[string]form {
	everything := strings.Join([]string{longUnit, oneWord, hostileWords, sixtyWords}, " ")
	book := func(change func(*extract.BookSheet), list ...extract.Row) form {
		return form{pdf: func(w io.Writer) error {
			s := kriptogram(rows(list...))
			if change != nil {
				change(&s)
			}
			_, err := extract.Book(w, s)
			return err
		}}
	}
	wild := kriptogramRow(1001, 3, everything)
	for key := range wild.Cells {
		if key != "no" && key != "waktu" {
			wild.Cells[key] = extract.Cell{Text: everything, Struck: everything}
		}
	}
	for i := range wild.Sub {
		wild.Sub[i].Cells["tujuan"] = extract.Cell{Text: everything, Struck: longUnit}
		wild.Sub[i].Cells["keterangan"] = extract.Cell{Text: hostileWords}
		wild.Sub[i].Struck = i == 1
	}
	wild.Void = true
	high := kriptogramRow(999999, 40, sixtyWords)
	var full []extract.Row
	for i := range 40 {
		full = append(full, kriptogramRow(99_000+i, 1+i%3, strings.Repeat("kata ", i)))
	}
	all := map[string]form{
		"book_wild":       book(nil, wild),
		"book_wild_first": book(nil, wild, kriptogramRow(2, 1, "x")),
		"book_forty":      book(nil, kriptogramRow(1, 1, "x"), high),
		"book_full":       book(nil, full...),
		"book_long_words": book(func(s *extract.BookSheet) {
			s.Left, s.Right = longBlock, longBlock
			s.Office.Lines = []string{"PEMERINTAH KABUPATEN ADMINISTRASI KEPULAUAN SERIBU", strings.ToUpper(longUnit)}
			s.Heads = append(s.Heads, "Saringan: "+sixtyWords)
			s.Classification = "SANGAT RAHASIA"
			s.FirstSheet = 12345
			s.Carried = extract.Count{Entries: 999_999, Numbers: 999_999}
		}, novemberRows()...),
		"book_long_nihil": book(func(s *extract.BookSheet) { s.Left, s.Right = longBlock, longBlock }),
	}
	all["slips_wild"] = form{pdf: func(w io.Writer) error {
		list := slips()
		list[0].LetterNumber, list[0].Sender, list[0].Lines[0].Destination = oneWord, longTerm, longUnit
		list[1].LetterDate, list[1].Lines = hostileWords, nil
		for range 40 {
			list[1].Lines = append(list[1].Lines, extract.SlipLine{Destination: longUnit, SentAt: "23 November 2026, 10.07 WIB", Proof: oneWord})
		}
		return extract.Slips(w, others(), list)
	}}
	for _, n := range []int{9, 10, 11} {
		all[fmt.Sprintf("slips_%d", n)] = form{pdf: func(w io.Writer) error { return extract.Slips(w, others(), slips()[:n]) }}
	}
	all["draft_wild"] = form{pdf: func(w io.Writer) error {
		d := draft()
		d.Urgency, d.Replaces, d.From, d.LetterNumber, d.Applicant, d.Cipher = "SANGAT SEGERA", sixtyWords, longUnit, oneWord, everything, hostileWords
		d.Classification = "SANGAT RAHASIA"
		d.Sandiman, d.Head = longBlock, longBlock
		d.To = nil
		for i := range 40 {
			d.To = append(d.To, extract.DraftRecipient{Copy: i + 1, Unit: longUnit, KeyWords: "akar bulan cermin dapur ekor fajar"})
		}
		return extract.Draft(w, page(), d)
	}}
	all["draft_bare"] = form{pdf: func(w io.Writer) error { return extract.Draft(w, page(), extract.DraftSheet{Draft: 1}) }}
	all["result_wild"] = form{pdf: func(w io.Writer) error {
		r := result()
		r.Classification, r.Reader, r.Reporter, r.Initials = "RAHASIA", longTerm, longTerm+" / "+longTerm, []string{longTerm, longTerm}
		r.Notes = append(r.Notes, everything, sixtyWords)
		r.Ordinary[3].Applicant, r.Ordinary[3].LetterNumber, r.Ordinary[3].Received = longUnit, oneWord, "23-11-2026 08.20"
		for range 40 {
			r.Ordinary[4].Copies = append(r.Ordinary[4].Copies, extract.ResultCopy{Destination: longUnit, Sent: "belum pasti"})
			r.Excluded[0].Copies = append(r.Excluded[0].Copies, extract.ResultCopy{Destination: hostileWords, Sent: "23-11-2026 14.47", Confirmed: "23-11-2026 15.02"})
		}
		r.Excluded[1].Number, r.Excluded[1].Signed = oneWord, "23-11-2026 14.05"
		return extract.Result(w, page(), r)
	}}
	all["result_nihil"] = form{pdf: func(w io.Writer) error {
		return extract.Result(w, page(), extract.ResultSheet{Reader: "Kepala Dinas", Date: "Senin, 23 November 2026"})
	}}
	all["notices_wild"] = form{pdf: func(w io.Writer) error {
		list := notices()
		list[0].Applicant, list[0].Officer = longUnit, longTerm
		list[0].Items[0].LetterNumber, list[0].Items[0].Request = oneWord, everything
		for range 40 {
			list[0].Items[0].Copies = append(list[0].Items[0].Copies, extract.NoticeCopy{Destination: longUnit, SentAt: "Senin, 23 November 2026, 10.07 WIB", Remark: hostileWords})
		}
		for range 12 {
			list[1].Items = append(list[1].Items, list[1].Items[0])
		}
		return extract.Notices(w, others(), list)
	}}
	all["notices_nihil"] = form{pdf: func(w io.Writer) error { return extract.Notices(w, others(), nil) }}
	all["receipt_wild"] = form{pdf: func(w io.Writer) error {
		r := receipt()
		r.Applicant, r.Request, r.Service, r.Complaint, r.Officer = everything, oneWord, longUnit, sixtyWords, longTerm
		return extract.Receipt(w, others(), r)
	}}
	all["waiting_wild"] = form{pdf: func(w io.Writer) error {
		l := waiting()
		l.Reader, l.Right = longTerm, longBlock
		for i := range 60 {
			k := l.Items[i%2]
			k.Entry, k.Urgency, k.Due = fmt.Sprintf("K%d/2025", 99_000+i), "SANGAT SEGERA", "24-11-2026 08.29"
			k.CheckWords = "singgahsana cemerlang kehormatan perlindungan kesejahteraan kemerdekaan"
			k.Addressees, k.Pages, k.Draft, k.ParafAt = 100, 10_000, 12, "20-11-2026 09.05"
			l.Items = append(l.Items, k)
		}
		return extract.Waiting(w, page(), l)
	}}
	all["waiting_nihil"] = form{pdf: func(w io.Writer) error {
		l := waiting()
		l.Items = nil
		return extract.Waiting(w, page(), l)
	}}
	all["cover_wild"] = form{pdf: func(w io.Writer) error {
		return extract.Covers(w, others(), []extract.Cover{{
			Entry: "K999999", Copy: 40, Of: 40, Sent: everything,
			Text: strings.Repeat("  "+everything+"\n"+strings.Repeat("x", 400)+"\n\n", 12),
		}})
	}}
	all["plain"] = form{pdf: func(w io.Writer) error { _, err := extract.Plain(w, plain()); return err }}
	all["plain_wild"] = form{pdf: func(w io.Writer) error {
		p := plain()
		p.Title, p.Subtitles, p.Reader, p.Signatures = strings.ToUpper(longUnit), []string{sixtyWords}, longTerm, []extract.Signature{longBlock, longBlock, longBlock}
		for i := range p.Sections {
			s := &p.Sections[i]
			s.Heading += " " + longUnit
			s.Remark = "perihal tidak dicantumkan"
			s.Text = append(s.Text, everything)
			for k := range s.Fields {
				s.Fields[k] = [2]string{longUnit, everything}
			}
			for _, row := range s.Rows {
				row[0] = oneWord
				row[len(row)-1] = everything
			}
			for k := range s.Bars {
				s.Bars[k].Label, s.Bars[k].Note = longUnit, "1.284 dari 1.290 tepat waktu (99,5%)"
			}
		}
		_, err := extract.Plain(w, p)
		return err
	}}
	return all
}
