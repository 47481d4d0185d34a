package desk

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sandi/agenda"
	"sandi/agenda/extract"
	"sandi/cmd/internal/signedtext"
	"sandi/crypto"
)

// DayClosed tells what a closing sheet says.
type DayClosed struct {
	Date              string
	Kriptogram, Surat int
	Numbers           int
	Open              []Task // entries that still ask for something
	Pages             int
	Codes             []string
	Words             string // check words of the book, as on the sheet
}

// Day counts a calendar day without closing it.
func (d *Desk) Day(ctx context.Context, day time.Time) (DayClosed, []agenda.Entry, error) {
	from := midnight(day)
	c := DayClosed{Date: from.Format(time.DateOnly)}
	entries, err := d.Book.List(ctx, agenda.Filter{From: from, Until: from.AddDate(0, 0, 1)})
	if err != nil {
		return c, nil, err
	}
	for _, e := range entries {
		if e.Name.Book == agenda.Kriptogram {
			c.Kriptogram++
		} else {
			c.Surat++
		}
		if e.NumberSeq > 0 {
			c.Numbers++
		}
	}
	g, err := d.Glance(ctx)
	c.Open = slices.DeleteFunc(append(g.Tasks, g.After...), func(t Task) bool { return t.Entry.Name.Book == agenda.Laporan })
	return c, entries, err
}

func midnight(t time.Time) time.Time {
	y, m, day := t.In(agenda.WIB).Date()
	return time.Date(y, m, day, 0, 0, 0, 0, agenda.WIB)
}

// CloseDay writes the Lembar Penutupan Harian: the register of the day, what
// is open and why, the state of the book. The close enters the log; a day may
// be closed again, and a closed day takes further entries.
func (d *Desk) CloseDay(ctx context.Context, w io.Writer, day time.Time, format string) (DayClosed, error) {
	c, entries, err := d.Day(ctx, day)
	if err != nil {
		return c, err
	}
	who, err := d.ActingOr(ctx, agenda.RoleSandiman, agenda.RoleOperator)
	if err != nil {
		return c, err
	}
	_, checkpoint, err := d.checkpoint(ctx, who)
	if err != nil {
		return c, err
	}
	size, root, err := d.Book.Head(ctx)
	if err != nil {
		return c, err
	}
	c.Words = checkWords(checkpoint)
	page := d.page(true)
	page.Checkpoint = string(checkpoint)
	sheet := extract.PlainSheet{
		Page: page, Title: "LEMBAR PENUTUPAN HARIAN", Subtitles: []string{extract.DayDate(midnight(day))},
		Sections: []extract.Section{
			{Fields: [][2]string{
				{"Berita biasa diagendakan", itoa(c.Surat)},
				{"Kriptogram diagendakan", fmt.Sprintf("%d (%d bernomor)", c.Kriptogram, c.Numbers)},
				{"Belum selesai", fmt.Sprintf("%d agenda", len(c.Open))},
				{"Catatan buku", dots(size) + " peristiwa"},
				{"Kata periksa keutuhan buku", c.Words},
			}},
			d.registerSection(entries), openSection(c.Open, d.Now()),
		},
		Signatures: []extract.Signature{
			d.block("Mengetahui,", ctx, agenda.RoleKepalaSeksi),
			d.block(d.placeAndDate(), ctx, agenda.RoleSandiman),
		},
	}
	printed, err := WritePlain(w, sheet, format)
	if err != nil {
		return c, err
	}
	c.Pages, c.Codes = printed.Pages, printed.Codes
	return c, d.Book.CloseDay(ctx, who, agenda.DayRecord{
		Date: c.Date, Kriptogram: c.Kriptogram, Surat: c.Surat, Numbers: c.Numbers, Open: len(c.Open), Size: size, Root: root, Pages: c.Codes,
	})
}

func (d *Desk) registerSection(entries []agenda.Entry) extract.Section {
	s := extract.Section{
		Heading: "A. Agenda hari ini", Remark: "perihal tidak dicantumkan",
		Columns: []extract.Column{
			{Head: "Agenda", Width: 16, Align: "C"},
			{Head: "Jam", Width: 14, Align: "C"},
			{Head: "Pemohon", Width: 52},
			{Head: "Nomor Surat", Width: 36},
			{Head: "Tujuan", Width: 14, Align: "C"},
			{Head: "Keadaan", Width: 28},
		},
	}
	for _, e := range entries {
		state := stateWord(e)
		if e.Number != "" {
			state += ", nomor " + e.Number
		}
		s.Rows = append(s.Rows, []string{
			e.Name.String(), extract.Clock(e.RegisteredAt), e.Letter.Applicant, e.Letter.Number, itoa(len(e.Copies)), state,
		})
	}
	return s
}

func openSection(tasks []Task, now time.Time) extract.Section {
	s := extract.Section{
		Heading: "B. Belum selesai",
		Columns: []extract.Column{
			{Head: "Agenda", Width: 16, Align: "C"}, {Head: "Pemohon", Width: 52}, {Head: "Batas Waktu", Width: 32, Align: "C"}, {Head: "Menunggu", Width: 60},
		},
	}
	for _, t := range tasks {
		due := extract.ShortDateTime(t.Due.At())
		if now.After(t.Due.At()) {
			due += "\nlewat"
		}
		s.Rows = append(s.Rows, []string{t.Entry.Name.String(), t.Entry.Letter.Applicant, due, waitWords[t.Next]})
	}
	return s
}

// waitWords say on paper what an entry waits for.
var waitWords = map[Next]string{
	NextOrder: "perintah", NextEncrypt: "penyandian", NextSign: "tanda tangan Kepala Seksi", NextAttach: "pindaian", NextSend: "pengiriman",
	NextDue: "pengiriman ulang, server belum menjawab", NextResolve: "pemeriksaan: belum pasti terkirim", NextReaddress: "perbaikan alamat, ditolak server",
	NextAgain: "pengiriman baru, tidak sampai di tujuan",
	NextSent:  "bukti kirim melalui webmail", NextArchive: "pengarsipan", NextReport: "laporan hasil",
}

// stateWord is the state of an entry on paper.
func stateWord(e agenda.Entry) string {
	switch e.State {
	case agenda.StateRegistered:
		return "diagendakan"
	case agenda.StateAttached:
		return "dipindai"
	case agenda.StateDrafted:
		return "diparaf"
	case agenda.StateSigned:
		return "ditandatangani"
	case agenda.StateReleased:
		return "siap kirim"
	case agenda.StateVoid:
		return "dibatalkan"
	}
	return "terkirim"
}

// DispatchParams say what stands in a dispatch book.
type DispatchParams struct {
	Book        agenda.BookName // "" = both
	From, Until time.Time
	Names       []agenda.Name
	Period      string
}

// DispatchSheet is the Buku Ekspedisi of what was sent in a period, one line a
// copy, with what came back about it and room for the receiver's name and
// paraf.
func (d *Desk) DispatchSheet(ctx context.Context, p DispatchParams) (extract.PlainSheet, error) {
	page, err := d.bookPage(ctx)
	if err != nil {
		return extract.PlainSheet{}, err
	}
	s := extract.Section{Columns: []extract.Column{
		{Head: "No.", Width: 8, Align: "C"},
		{Head: "Terkirim", Width: 23, Align: "C"},
		{Head: "Nomor Surat / Kriptogram", Width: 27},
		{Head: "Tujuan", Width: 33},
		{Head: "Isi / Lampiran", Width: 23},
		{Head: "Konfirmasi Tujuan", Width: 24},
		{Head: "Nama dan Paraf Penerima", Width: 22},
	}}
	n := 0
	// What was sent in the period may have been registered before it.
	err = d.Book.Each(ctx, agenda.Filter{Book: p.Book, Until: p.Until, Names: p.Names, Held: true}, func(e agenda.Entry) error {
		var receipts []agenda.Receipt // of the entry; read for its first copy
		for _, c := range e.Copies {
			if c.State != agenda.CopyAccepted && c.State != agenda.CopyEvidenced ||
				!p.From.IsZero() && (c.SettledAt.Before(p.From) || !c.SettledAt.Before(p.Until)) {
				continue
			}
			unit, err := d.unitOf(ctx, c)
			if err != nil {
				return err
			}
			if receipts == nil {
				if receipts, err = d.Book.Receipts(ctx, e.ID); err != nil {
					return err
				}
			}
			number := e.Letter.Number
			content := joinWords(pagesWord(e.Letter.Pages), e.Letter.Enclosures)
			if e.Name.Book == agenda.Kriptogram {
				number, content = e.Number, "kriptogram"
			}
			n++
			s.Rows = append(s.Rows, []string{
				itoa(n), extract.ShortDate(c.SettledAt) + "\n" + extract.Clock(c.SettledAt), number, unit, content,
				receivedWords(c, receipts, agenda.CopyRef{Entry: e.ID, Copy: c.Copy}), "",
			})
		}
		return nil
	})
	s.Fields = [][2]string{{"Jumlah kiriman", itoa(n)}}
	return extract.PlainSheet{
		Page: page, Title: "BUKU EKSPEDISI", Subtitles: []string{p.Period}, Sections: []extract.Section{s},
		Signatures: []extract.Signature{
			d.block("Mengetahui,", ctx, agenda.RoleKepalaSeksi),
			d.block(d.placeAndDate(), ctx, agenda.RoleOperator),
		},
	}, err
}

// receivedWords say what is known of the arrival of a copy: nothing when only
// the gateway has spoken.
func receivedWords(c agenda.Copy, receipts []agenda.Receipt, ref agenda.CopyRef) string {
	if r, ok := Confirmation(receipts, ref); ok && r.Failed() {
		return "tidak sampai\n" + receiptWords[r.Kind]
	} else if ok {
		return extract.ShortDate(r.At) + "\n" + extract.Clock(r.At) + "\n" + receiptWords[r.Kind]
	}
	if c.State == agenda.CopyEvidenced {
		return remark(c)
	}
	return ""
}

func (d *Desk) unitOf(ctx context.Context, c agenda.Copy) (string, error) {
	if c.Correspondent == 0 {
		return c.Handle, nil
	}
	corr, err := d.Book.Addressee(ctx, c)
	return corr.Unit, err
}

func pagesWord(n int) string {
	if n == 0 {
		return ""
	}
	return itoa(n) + " halaman"
}

func joinWords(words ...string) string {
	var set []string
	for _, w := range words {
		if w != "" {
			set = append(set, w)
		}
	}
	return strings.Join(set, "; ")
}

// spoken is a fingerprint as it is read aloud and ticked off: in groups, as
// many in every line.
func spoken(f crypto.Fingerprint) string {
	groups := f.Groups()
	size := 5
	if len(groups)%size != 0 {
		size = 4 // 64 digits
	}
	var lines []string
	for line := range slices.Chunk(groups, size) {
		lines = append(lines, strings.Join(line, " "))
	}
	return strings.Join(lines, "\n")
}

// KeySheet is a certificate on paper, to compare by telephone or by hand: the
// fingerprint in groups, the check words, a QR code with the fingerprint.
func (d *Desk) KeySheet(ctx context.Context, handle string) (extract.PlainSheet, error) {
	name, sum, state, err := d.keyOwner(ctx, handle)
	if err != nil {
		return extract.PlainSheet{}, err
	}
	if sum.IsZero() {
		return extract.PlainSheet{}, &Error{code: CodeNoCertificate, Field: handle}
	}
	cert, err := d.CertificateOf(ctx, sum)
	if err != nil {
		return extract.PlainSheet{}, err
	}
	f := cert.Facts(d.Now())
	fingerprint := string(cert.Fingerprint())
	expires := "tanpa batas"
	if !f.Expires.IsZero() {
		expires = "s.d. " + extract.Date(f.Expires)
	}
	return extract.PlainSheet{
		Page: d.page(false), Title: "LEMBAR KUNCI PUBLIK", Subtitles: []string{name},
		Sections: []extract.Section{
			{
				Fields: [][2]string{
					{"Pemilik", name},
					{"Sidik kunci", spoken(cert.Fingerprint())},
					{"Kata periksa", signedtext.CheckWordsOfKey(fingerprint)},
					{"Algoritma", f.Algorithm},
					{"Dibuat", extract.Date(f.Created)},
					{"Berlaku", expires},
					{"Keadaan", state},
				},
				Code: "OPENPGP4FPR:" + strings.ToUpper(hexOnly(fingerprint)),
			},
			{Text: []string{
				"Cocokkan sidik kunci atau kata periksa dengan pemiliknya lewat telepon, pada nomor yang sudah dikenal sebelumnya, bukan nomor dari email pembawa kunci.",
			}},
			{
				Heading: "Pencocokan",
				Columns: []extract.Column{{Head: "Tanggal, Jam", Width: 40}, {Head: "Dengan (jabatan)", Width: 60}, {Head: "Cara", Width: 30}, {Head: "Paraf", Width: 30}},
				Rows:    [][]string{{"\n", "", "", ""}, {"\n", "", "", ""}},
			},
		},
	}, nil
}

func hexOnly(s string) string {
	if _, err := hex.DecodeString(s); err != nil {
		return ""
	}
	return s
}

// keyOwner finds a correspondent, else an officer of the handle.
func (d *Desk) keyOwner(ctx context.Context, handle string) (name string, sum agenda.Hash, state string, err error) {
	c, err := d.Book.Correspondent(ctx, handle)
	if err == nil {
		state = "belum dikonfirmasi"
		if c.State == agenda.Confirmed {
			state = "dikonfirmasi " + extract.Date(c.ConfirmedAt) + ", " + c.ConfirmedBy
		}
		return c.Unit, c.Certificate.SHA256, state, nil
	}
	o, err2 := d.Book.Officer(ctx, handle)
	if err2 != nil {
		return "", sum, "", err
	}
	return o.Name + ", " + d.Config.Office.Name, o.Certificate.SHA256, "kunci kantor sendiri", nil
}

// ServiceSheet is the page about the services for the wall, as the standards
// have it.
func (d *Desk) ServiceSheet(b agenda.BookName) extract.PlainSheet {
	p := d.Config.Profile
	sheet := extract.PlainSheet{Page: d.page(false), Title: "STANDAR PELAYANAN"}
	for _, book := range books {
		if b != "" && b != book {
			continue
		}
		s := p.Service(string(book))
		numbered := func(lines []string) string {
			if len(lines) < 2 {
				return strings.Join(lines, "")
			}
			var out []string
			for i, l := range lines {
				out = append(out, itoa(i+1)+". "+l)
			}
			return strings.Join(out, "\n")
		}
		c := p.Complaints
		indirect := labelled([][2]string{{"Telepon", c.Phone}, {"Email", c.Email}, {"Laman", c.Website}, {"Pejabat pengaduan", c.Officer}})
		rows := [][2]string{
			{"Dasar hukum", numbered(s.LegalBasis)},
			{"Persyaratan", numbered(s.Requirements)},
			{"Prosedur", numbered(s.Procedure)},
			{"Waktu pelayanan", d.hoursWords() + "\nWaktu penyelesaian: " + cmp.Or(s.Completion, "-")},
			{"Biaya pelayanan", s.Fee},
			{"Produk pelayanan", s.Product},
			{"Pengelolaan pengaduan", "a. Pengaduan tidak langsung\n" + cmp.Or(indirect, "..............................") + "\nb. Pengaduan langsung\n" + cmp.Or(numbered(c.Steps), c.Direct)},
			{"Sarana dan prasarana", numbered(s.Facilities)},
			{"Kompetensi pelaksana", numbered(s.Competence)},
			{"Pengawasan internal", p.Title(s.Supervisor)},
			{"Jumlah pelaksana", s.Staff},
			{"Jaminan pelayanan", s.Guarantee},
			{"Jaminan keamanan dan keselamatan pelayanan", numbered(s.Safety)},
			{"Evaluasi kinerja", s.Evaluation},
		}
		section := extract.Section{
			Heading: s.Title, Fresh: len(sheet.Sections) > 0,
			Columns: []extract.Column{{Head: "No.", Width: 10, Align: "C"}, {Head: "Komponen", Width: 42}, {Head: "Uraian", Width: 108}},
		}
		for i, r := range rows {
			section.Rows = append(section.Rows, []string{itoa(i + 1), r[0], cmp.Or(r[1], "-")})
		}
		sheet.Sections = append(sheet.Sections, section)
	}
	return sheet
}

func labelled(pairs [][2]string) string {
	var out []string
	for _, p := range pairs {
		if p[1] != "" {
			out = append(out, p[0]+": "+p[1])
		}
	}
	return strings.Join(out, "\n")
}

// hoursWords are the service hours, days with the same hours together.
func (d *Desk) hoursWords() string {
	var out []string
	days := d.Config.Profile.Hours.Days
	for i := 0; i < len(days); {
		ranges := strings.Join(days[i].Ranges, ", ")
		j := i
		for j+1 < len(days) && strings.Join(days[j+1].Ranges, ", ") == ranges {
			j++
		}
		name := capital(days[i].Day)
		if j > i {
			name += "\u2013" + capital(days[j].Day)
		}
		out = append(out, name+" "+strings.ReplaceAll(ranges, "-", "\u2013")+" WIB")
		i = j + 1
	}
	return strings.Join(out, "\n")
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
