package extract_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"iter"
	"strings"
	"time"

	"sandi/agenda/extract"
)

var printedAt = time.Date(2026, 11, 30, 8, 20, 0, 0, time.UTC)

const note = "contoh.sanapati.test/sandi/0123456789abcdef\n164\n3m0n1Jq3Tq0nC0zq8lXl3xk2Y0m0hQwq6H2mXyYf1hQ=\n\n" +
	"— contoh.sanapati.test/sandi/0123456789abcdef 8Z1xg0dE4b1Jq3Tq0nC0zq8lXl3xk2Y0m0hQwq6H2mXyYf1hQ3m0n1Jq3Tq0nC0zq8lXl3xk2Y0m0hQwq6H2mXyYf1hQabcd=\n"

func emblem() []byte {
	const n = 200
	picture := image.NewNRGBA(image.Rect(0, 0, n, n))
	for y := range n {
		for x := range n {
			if dx, dy := x-n/2, y-n/2; dx*dx+dy*dy < n*n/4 {
				picture.Set(x, y, color.NRGBA{0, uint8(60 + x/2), uint8(120 + y/2), 255})
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func page() extract.Page {
	return extract.Page{
		Paper: extract.F4,
		Office: extract.Office{
			Lines:   []string{"PEMERINTAH KOTA PEKALONGAN", "DINAS KOMUNIKASI DAN INFORMATIKA"},
			Address: "Jalan Contoh Nomor 1, Pekalongan 51100",
			Contact: "Telepon (0285) 000000, laman kominfo.contoh.test, email kominfo@contoh.test",
			Emblem:  emblem(),
			City:    "Pekalongan",
		},
		PrintedAt: printedAt, Checkpoint: note, PageCodes: true,
	}
}

func others() extract.Page {
	p := page()
	p.Checkpoint = ""
	return p
}

func cells(pairs ...string) map[string]extract.Cell {
	out := map[string]extract.Cell{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = extract.Cell{Text: pairs[i+1]}
	}
	return out
}

func kriptogramRow(n, addressees int, subject string) extract.Row {
	r := extract.Row{
		Cells: cells("no", fmt.Sprint(n), "waktu", "23-11-2026\n08.29", "asal", "Bagian Umum Sekretariat Daerah",
			"surat", fmt.Sprintf("800/%d\n20-11-2026", n), "perihal", subject, "kelas", "R\nSg", "halaman", "4"),
		Numbers: 1,
	}
	for i := range addressees {
		r.Sub = append(r.Sub, extract.SubRow{Cells: cells(
			"tujuan", fmt.Sprintf("%d. Diskominfo Kabupaten Contoh %d", i+1, i+1), "nomor", fmt.Sprintf("%03d", n),
			"kirim", "23-11-2026\n14.47", "keterangan", fmt.Sprintf("salinan %d/%d", i+1, addressees),
		)})
	}
	return r
}

func rows(list ...extract.Row) iter.Seq2[extract.Row, error] {
	return func(yield func(extract.Row, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func kriptogram(seq iter.Seq2[extract.Row, error]) extract.BookSheet {
	return extract.BookSheet{
		Page: page(),
		Heads: []string{
			"KUTIPAN BUKU AGENDA KRIPTOGRAM KELUAR", "Tahun 2026 · Buku ke-1 · 1–30 November 2026",
			"Saringan: semua agenda; perihal disamarkan",
		},
		Columns: kriptogramColumns(), Rows: seq, Classification: "TERBATAS",
		Carried: extract.Count{Entries: 41, Numbers: 16},
		Left:    extract.Signature{Heading: "Mengetahui,", Title: "Kepala Seksi Persandian dan Keamanan Informasi", Name: "NAMA KEPALA SEKSI, S.Kom.", Rank: "Penata Tingkat I", NIP: "00000000 000000 0 000"},
		Right:   extract.Signature{Heading: "Pekalongan, 30 November 2026", Title: "Sandiman", Name: "NAMA SANDIMAN", Rank: "Pengatur", NIP: "00000000 000000 0 001"},
		Legend:  kriptogramLegend,
	}
}

var sixtyWords = strings.TrimSpace(strings.Repeat("Undangan rapat koordinasi pengamanan informasi daerah ", 10))

func novemberRows() []extract.Row {
	void := kriptogramRow(43, 1, "(disamarkan)")
	void.Void, void.Numbers = true, 0
	void.Cells["keterangan"] = extract.Cell{Text: "Dibatalkan: dicatat dua kali. Dasar: Kepala Seksi, 23-11-2026"}
	corrected := kriptogramRow(44, 2, "(disamarkan)")
	corrected.Cells["surat"] = extract.Cell{Text: "800/31\n20-11-2026", Struck: "800/13"}
	corrected.Sub = append(corrected.Sub, extract.SubRow{
		Cells:  cells("tujuan", "Diskominfo Provinsi Jawa Tengah", "keterangan", "dihapus 23-11-2026"),
		Struck: true,
	})
	return []extract.Row{kriptogramRow(42, 2, "(disamarkan)"), void, corrected, kriptogramRow(45, 1, sixtyWords)}
}

func slips() []extract.Slip {
	one := extract.SlipLine{Destination: "Diskominfo Provinsi Jawa Tengah", SentAt: "23 November 2026, 10.07 WIB", Proof: "4XyZ81"}
	manual := extract.SlipLine{Destination: "Diskominfo Kabupaten Batang", SentAt: "23 November 2026, 11.24 WIB", Proof: "menurut keterangan petugas", Route: "webmail"}
	out := []extract.Slip{
		{Entry: "S208", LetterNumber: "005/1204", LetterDate: "20 November 2026", Sender: "Operator Transmisi Sandi", Lines: []extract.SlipLine{one}},
		{Entry: "S209", LetterNumber: "005/1205", LetterDate: "20 November 2026", Sender: "Operator Transmisi Sandi", Lines: []extract.SlipLine{manual}},
		{Entry: "S210", LetterNumber: "005/1206", LetterDate: "20 November 2026", Sender: "Operator Transmisi Sandi", Lines: []extract.SlipLine{one, manual, one, one}},
	}
	for i := range 9 {
		s := out[0]
		s.Entry = fmt.Sprintf("S%d", 211+i)
		out = append(out, s)
	}
	return out
}

func draft() extract.DraftSheet {
	opening := make([]byte, 300)
	for i := range opening {
		opening[i] = byte(i*i*7 + 131*i)
	}
	return extract.DraftSheet{
		Classification: "RAHASIA", Urgency: "SEGERA", Draft: 2, Replaces: "23-11-2026 pukul 09.12", Entry: "43/2026",
		From: "Dinas Komunikasi dan Informatika Kota Pekalongan",
		To: []extract.DraftRecipient{
			{Copy: 1, Unit: "Diskominfo Kabupaten Batang", KeyWords: "akar bulan cermin dapur ekor fajar"},
			{Copy: 2, Unit: "Diskominfo Kota Tegal", KeyWords: "gajah hujan ikan jalan kebun lampu"},
		},
		LetterNumber: "800/31", LetterDate: "20 November 2026", Applicant: "Bagian Umum Sekretariat Daerah", Pages: 4, Files: 1,
		Cipher: "OpenPGP, AES-256, ukuran 318 KB", CheckWords: "bukit layar padi enam tinta rusa", Opening: opening,
		ParafAt:  "23-11-2026, 14.31 WIB",
		Sandiman: extract.Signature{Title: "Sandiman", Name: "NAMA SANDIMAN", NIP: "00000000 000000 0 001"},
		Head:     extract.Signature{Title: "Plh. Kepala Seksi Persandian dan Keamanan Informasi", Name: "NAMA KEPALA SEKSI, S.Kom.", Rank: "Penata Tingkat I", NIP: "00000000 000000 0 000"},
	}
}

func result() extract.ResultSheet {
	r := extract.ResultSheet{
		Reader: "Kepala Dinas Komunikasi dan Informatika", Date: "Senin, 23 November 2026",
		Counts: extract.ResultCounts{Letters: 14, Copies: 16, Sent: 16},
		Excluded: []extract.ExcludedResult{
			{Entry: "K42", Number: "017", Signed: "14.05", Copies: []extract.ResultCopy{
				{Destination: "Diskominfo Provinsi Jawa Tengah", Sent: "14.47", Confirmed: "15.02"},
				{Destination: "Diskominfo Kabupaten Batang", Sent: "14.47"},
			}},
			{Entry: "K44", Number: "019", Signed: "14.05", Copies: []extract.ResultCopy{{Destination: "Diskominfo Kota Tegal", Sent: "14.47"}}},
		},
		Notes: []string{
			"Server Sanapati tidak terjangkau 10.09–11.11 WIB.", "S213 alamat diperbaiki.",
			"K43 dikembalikan satu kali.",
		},
		Reporter: "Operator Transmisi Sandi / Sandiman",
	}
	for i := range 11 {
		r.Ordinary = append(r.Ordinary, extract.OrdinaryResult{
			Entry: fmt.Sprintf("S%d", 208+i), Applicant: "Kecamatan Pekalongan Utara", LetterNumber: fmt.Sprintf("005/%d", 1204+i), Received: "08.20",
			Copies: []extract.ResultCopy{{Destination: "Diskominfo Provinsi Jawa Tengah", Sent: "10.07"}},
		})
	}
	return r
}

func notices() []extract.Notice {
	item := extract.NoticeItem{
		Entry: "S208", Request: "045/881", LetterNumber: "005/1204", LetterDate: "20 November 2026",
		Copies: []extract.NoticeCopy{{Destination: "Diskominfo Provinsi Jawa Tengah", SentAt: "Senin, 23 November 2026, 10.07 WIB", Remark: "diterima server; belum dikonfirmasi tujuan"}},
	}
	secret := extract.NoticeItem{Entry: "K42", Request: "045/1195", Addressees: 2, SentAt: "Senin, 23 November 2026, 14.47 WIB"}
	return []extract.Notice{
		{Applicant: "Kecamatan Pekalongan Utara", Date: "Senin, 23 November 2026", Officer: "Operator Transmisi Sandi", Items: []extract.NoticeItem{item}},
		{Applicant: "Bagian Umum Sekretariat Daerah", Date: "Senin, 23 November 2026", Officer: "Operator Transmisi Sandi", Items: []extract.NoticeItem{secret, item, item}},
	}
}

func receipt() extract.ReceiptSheet {
	return extract.ReceiptSheet{
		Entry: "S208", Request: "045/881", RequestDate: "20 November 2026", Applicant: "Kecamatan Pekalongan Utara",
		Received: "Jumat, 20 November 2026, 10.50 WIB", Service: "Pengiriman Berita Biasa Email Sanapati",
		Due: "Senin, 23 November 2026, 15.50 WIB", Complaint: "petugas pengaduan Dinas Komunikasi dan Informatika", Officer: "Operator Transmisi Sandi",
	}
}

func waiting() extract.WaitingSheet {
	return extract.WaitingSheet{
		Reader: "Kepala Seksi Persandian dan Keamanan Informasi", Date: "Senin, 23 November 2026, 09.30 WIB",
		Items: []extract.WaitingItem{
			{Entry: "K42", Urgency: "segera", Draft: 1, ParafAt: "09.05", Addressees: 2, Pages: 4, Due: "24-11-2026 08.29", CheckWords: "bukit layar padi enam tinta rusa"},
			{Entry: "K43", Urgency: "sangat segera", Draft: 1, ParafAt: "09.12", Addressees: 3, Pages: 2, Due: "24-11-2026 08.31", CheckWords: "akar bulan cermin dapur ekor fajar"},
		},
		Right: extract.Signature{Heading: "Pekalongan, 23 November 2026", Title: "Sandiman", Name: "NAMA SANDIMAN", NIP: "00000000 000000 0 001"},
	}
}

// covers are those of a kriptogram and of an ordinary letter.
func covers() []extract.Cover {
	return []extract.Cover{
		{Entry: "K42", Copy: 1, Of: 2, Sent: "diterima server 23 November 2026, 14.47 WIB", Text: `sandi-pengantar/1
SHA256 (kriptogram.txt) = ff678106b9adef2e629195e59261c54d80899caa7ee196b17881dd19ce8b8273
nomor 017
waktu 2026-11-23T07:47:00Z
dari persandian@contoh.sanapati.test 0700fa7c1697df4a7ac10018403658432b7f462f
kepada sandi.jateng@contoh.sanapati.test b153a9081a897685f5add00a5295cc3d393c050c722b8c26d49a80b2d4b8b16e
salinan 1/2
id 2a51a8db6fbcd310679cc9ad1d9c8ab5@contoh.sanapati.test

LEMBAR PENGANTAR KRIPTOGRAM
Nomor Kriptogram : 017
Tanggal          : 23 November 2026
Dari             : Dinas Komunikasi dan Informatika Kota Pekalongan
Kepada           : Diskominfo Provinsi Jawa Tengah
Salinan          : 1 dari 2
Isi              : 1. kriptogram.pgp            325.120 byte
                   2. kriptogram.txt            (draf yang diparaf)

Cara memeriksa dan membuka tanpa program sandi:
  gpg --verify kriptogram.txt.ttd.asc kriptogram.txt
  (gpg selesai dengan kode 2 bila kunci Sandiman pengirim belum dimiliki)

Mohon konfirmasi penerimaan dengan membalas email ini:
  DITERIMA 017 salinan 1, tanggal, jam, jabatan penerima
`},
		{Entry: "S208", Copy: 1, Of: 1, Sent: "menurut keterangan petugas, 23 November 2026, 11.24 WIB", Text: `SURAT PENGANTAR EMAIL SANAPATI
Nomor Surat      : 005/1204
Perihal          : Undangan rapat koordinasi
`},
	}
}

// kriptogramColumns are the columns of the Buku Agenda Kriptogram Keluar of an office.
// Classification and urgency
// share the column [extract.KeyClassification], on two lines.
func kriptogramColumns() []extract.Column {
	return []extract.Column{
		extract.BookColumn(extract.KeySerial, "No. Agenda", 11),
		extract.BookColumn(extract.KeyTime, "Tanggal dan Jam Agenda", 21),
		extract.BookColumn(extract.KeyOrigin, "Asal Surat / Pemohon", 33),
		extract.BookColumn(extract.KeyLetter, "Nomor dan Tanggal Surat", 34),
		extract.BookColumn(extract.KeySubject, "Perihal", 34),
		extract.BookColumn(extract.KeyClassification, "Klasifi\u00ADkasi / Derajat", 13),
		extract.BookColumn(extract.KeyDestination, "Alamat Tujuan (salinan\u00A0ke-)", 36),
		extract.BookColumn(extract.KeyNumber, "Nomor Kriptogram", 26),
		extract.BookColumn(extract.KeySent, "Tanggal dan Jam Kirim (WIB)", 23),
		extract.BookColumn(extract.KeyPages, "Jumlah Hala\u00ADman", 10),
		extract.BookColumn(extract.KeyParaf, "Paraf", 13),
		extract.BookColumn(extract.KeyRemark, "Keterangan", 26),
	}
}

// suratColumns are the columns of the Buku Agenda Surat Keluar of an office.
func suratColumns() []extract.Column {
	return []extract.Column{
		extract.BookColumn(extract.KeySerial, "No. Agenda", 12),
		extract.BookColumn(extract.KeyTime, "Tanggal dan Jam Agenda", 22),
		extract.BookColumn(extract.KeyOrigin, "Asal Surat / Pemohon", 40),
		extract.BookColumn(extract.KeyLetter, "Nomor dan Tanggal Surat", 40),
		extract.BookColumn(extract.KeySubject, "Perihal", 56),
		extract.BookColumn(extract.KeyUrgency, "Derajat", 13),
		extract.BookColumn(extract.KeyDestination, "Alamat Tujuan", 42),
		extract.BookColumn(extract.KeySent, "Tanggal dan Jam Kirim (WIB)", 23),
		extract.BookColumn(extract.KeyParaf, "Paraf", 13),
		extract.BookColumn(extract.KeyRemark, "Keterangan", 19),
	}
}

// Legends of the codes in the shipped columns.
const (
	kriptogramLegend = "Klasifikasi: SR sangat rahasia, R rahasia, T terbatas, B biasa. Derajat: SS sangat segera, Sg segera, B biasa."
	suratLegend      = "Derajat: SS sangat segera, Sg segera, B biasa."
)
