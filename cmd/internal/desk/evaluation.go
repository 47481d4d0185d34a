package desk

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"sandi/agenda"
	"sandi/agenda/extract"
)

// lateShown is how many late entries a sheet lists; CSV and JSON list all.
const lateShown = 25

// destinationsShown is how many addressees a sheet lists.
const destinationsShown = 10

// EvaluationSheet sets a summary as the sheet that the leader signs. title is
// over the period's words; all lists every late entry and every addressee.
func (d *Desk) EvaluationSheet(ctx context.Context, s Summary, title, period string, all bool) (extract.PlainSheet, error) {
	page, err := d.bookPage(ctx)
	if err != nil {
		return extract.PlainSheet{}, err
	}
	sheet := extract.PlainSheet{
		Page: page, Title: title, Subtitles: []string{period},
		Sections: []extract.Section{
			d.resumeSection(s), d.volumeSection(s), d.punctualitySection(s), d.lateSection(s, all),
			troubleSection(s), destinationSection(s, all), complaintSection(s), d.integritySection(s, page.Checkpoint),
			{Heading: "8. Tindak lanjut", Room: 34},
		},
	}
	head := d.block(d.placeAndDate(), ctx, agenda.RoleKepalaSeksi)
	head.Title = "Disiapkan oleh " + head.Title
	sheet.Signatures = []extract.Signature{
		d.block("Mengetahui,", ctx, agenda.RoleKepalaBidang), head, d.block("", ctx, agenda.RoleKepalaDinas),
	}
	return sheet, nil
}

// bookPage is the page of a sheet that stays in the office: it carries the
// newest checkpoint.
func (d *Desk) bookPage(ctx context.Context) (extract.Page, error) {
	page := d.page(true)
	note, _, err := d.Book.LatestCheckpoint(ctx)
	page.Checkpoint = string(note)
	return page, err
}

func (d *Desk) resumeSection(s Summary) extract.Section {
	c := extract.Section{Heading: "1. Ringkasan"}
	for _, x := range s.Services {
		text := fmt.Sprintf("%s: %s naskah diagendakan, %s terkirim, tepat waktu %s, terlambat %s, lewat batas dan belum terkirim %s, dibatalkan %s.",
			x.Title, number(x.Entries), number(x.Sent), percent(x.OnTimeShare, x.Sent+x.Overdue), number(x.Late), number(x.Overdue), number(x.Voided))
		c.Text = append(c.Text, text)
	}
	for _, y := range s.MissingYears {
		c.Text = append(c.Text, fmt.Sprintf("Daftar hari libur %d belum ada; batas waktu tahun itu dihitung tanpa hari libur.", y))
	}
	return c
}

// volumeSection is months by service, with a column for each class and
// urgency that any entry has, and the one chart of the sheet below.
func (d *Desk) volumeSection(s Summary) extract.Section {
	c := extract.Section{Heading: "2. Volume", Remark: "batang penuh: tepat waktu; garis tepi: seluruhnya"}
	type column struct{ kind, word, head string }
	var cols []column
	used := func(get func(VolumeRow) string, word string) bool {
		return slices.ContainsFunc(s.Volume, func(v VolumeRow) bool { return get(v) == word })
	}
	class := func(v VolumeRow) string { return v.Class }
	urgency := func(v VolumeRow) string { return v.Urgency }
	for _, w := range s.classes {
		if used(class, string(w)) {
			cols = append(cols, column{"class", string(w), "Klasifikasi " + strings.ToLower(d.Config.Profile.Class(string(w)).Printed)})
		}
	}
	for _, w := range s.urgencies {
		if used(urgency, string(w)) {
			cols = append(cols, column{"urgency", string(w), "Derajat " + strings.ToLower(d.Config.Profile.Urgency(string(w)).Printed)})
		}
	}
	c.Columns = []extract.Column{{Head: "Bulan", Width: 24}, {Head: "Layanan", Width: 22}}
	for _, col := range cols {
		c.Columns = append(c.Columns, extract.Column{Head: col.head, Width: 18, Align: "R"})
	}
	c.Columns = append(c.Columns, extract.Column{Head: "Jumlah", Width: 18, Align: "R"}, extract.Column{Head: "Tepat Waktu", Width: 18, Align: "R"})
	row := func(month, label string, book string) {
		cells := []string{label, serviceWord(book)}
		total := 0
		for _, v := range s.Volume {
			if (month == "" || v.Month == month) && (book == "" || v.Book == book) {
				total += v.Entries
			}
		}
		for _, col := range cols {
			n := 0
			for _, v := range s.Volume {
				if (month == "" || v.Month == month) && (book == "" || v.Book == book) &&
					(col.kind == "class" && v.Class == col.word || col.kind == "urgency" && v.Urgency == col.word) {
					n += v.Entries
				}
			}
			cells = append(cells, number(n))
		}
		onTime := 0
		for _, m := range s.Months {
			if (month == "" || m.Month == month) && (book == "" || m.Book == book) {
				onTime += m.OnTime
			}
		}
		c.Rows = append(c.Rows, append(cells, number(total), number(onTime)))
	}
	for _, m := range s.Months {
		row(m.Month, monthWords(m.Month), m.Book)
		c.Bars = append(c.Bars, extract.Bar{
			Label: monthWords(m.Month) + ", " + strings.ToLower(serviceWord(m.Book)), Value: m.Entries, Part: m.OnTime,
			Note: number(m.OnTime) + " dari " + number(m.Entries),
		})
	}
	for _, b := range books {
		row("", "Jumlah", string(b))
	}
	row("", "Jumlah", "")
	return c
}

func (d *Desk) punctualitySection(s Summary) extract.Section {
	c := extract.Section{
		Heading: "3. Ketepatan waktu", Remark: "waktu layanan sejak diterima sampai terkirim",
		Columns: []extract.Column{
			{Head: "Layanan", Width: 34},
			{Head: "Terkirim", Width: 18, Align: "R"},
			{Head: "Tepat Waktu", Width: 18, Align: "R"},
			{Head: "Tepat Waktu (%)", Width: 18, Align: "R"},
			{Head: "Rata-rata", Width: 24, Align: "R"},
			{Head: "Median", Width: 24, Align: "R"},
			{Head: "Terlama", Width: 24, Align: "R"},
		},
	}
	for _, x := range s.Services {
		c.Rows = append(c.Rows, []string{
			serviceWord(x.Book), number(x.Sent), number(x.OnTime), percent(x.OnTimeShare, x.Sent+x.Overdue),
			clockTime(x.Mean), clockTime(x.Median), clockTime(x.Worst),
		})
	}
	return c
}

func (d *Desk) lateSection(s Summary, all bool) extract.Section {
	c := extract.Section{
		Heading: "Naskah terlambat (" + number(len(s.Late)) + ")",
		Columns: []extract.Column{
			{Head: "Agenda", Width: 16, Align: "C"},
			{Head: "Diterima", Width: 26, Align: "C"},
			{Head: "Batas Waktu", Width: 26, Align: "C"},
			{Head: "Selesai", Width: 26, Align: "C"},
			{Head: "Terlambat", Width: 22, Align: "R"},
			{Head: "Sebab", Width: 44},
		},
	}
	list := slices.Clone(s.Late)
	if !all {
		// The worst ones are what a leader asks about.
		slices.SortStableFunc(list, func(x, y LateEntry) int { return int(min(max(y.Late-x.Late, -1), 1)) })
		if len(list) > lateShown {
			c.Text = []string{fmt.Sprintf("Ditampilkan %d yang paling lama terlambat; daftar lengkap dalam bentuk CSV.", lateShown)}
			list = list[:lateShown]
		}
	}
	for _, x := range list {
		done := "belum"
		if x.Sent != nil {
			done = extract.ShortDateTime(*x.Sent)
		}
		c.Rows = append(c.Rows, []string{
			x.Entry, extract.ShortDateTime(x.Received), extract.ShortDateTime(x.Due), done, clockTime(x.Late), cmp.Or(x.Cause, "belum dicatat"),
		})
	}
	return c
}

func troubleSection(s Summary) extract.Section {
	t := s.Trouble
	c := extract.Section{Heading: "4. Gangguan", Columns: []extract.Column{{Head: "Gangguan", Width: 100}, {Head: "Jumlah", Width: 60, Align: "R"}}, Rows: [][]string{
		{"Server Sanapati tidak terjangkau", number(t.Outages) + " kali, " + clockTime(t.OutageSeconds)},
		{"Kiriman ditolak server", number(t.Rejected)},
		{"Kiriman belum pasti", number(t.Doubted)},
		{"   diselesaikan dengan bukti atau keterangan", number(t.Evidenced)},
		{"   dikirim ulang", number(t.Reopened)},
		{"   dibatalkan", number(t.Cancelled)},
		{"Draf dikembalikan", number(t.Returned)},
		{"Naskah terkirim yang diralat atau ditarik", number(len(t.Withdrawn))},
	}}
	for _, x := range t.Withdrawn {
		c.Rows = append(c.Rows, []string{"   " + x.Entry + ": " + x.Reason, "dengan " + x.By})
	}
	return c
}

func destinationSection(s Summary, all bool) extract.Section {
	c := extract.Section{
		Heading: "5. Tujuan terbanyak",
		Columns: []extract.Column{{Head: "No. Urut", Width: 16, Align: "C"}, {Head: "Tujuan", Width: 110}, {Head: "Salinan", Width: 34, Align: "R"}},
	}
	list := s.Destinations
	if !all {
		list = list[:min(len(list), destinationsShown)]
	}
	for i, x := range list {
		c.Rows = append(c.Rows, []string{itoa(i + 1), x.Unit, number(x.Copies)})
	}
	return c
}

func complaintSection(s Summary) extract.Section {
	x := s.Complaints
	c := extract.Section{
		Heading: "6. Pengaduan", Remark: fmt.Sprintf("norma: dijawab %d, selesai %d hari kerja", x.AnswerNorm, x.SettleNorm),
		Columns: []extract.Column{{Head: "Pengaduan", Width: 100}, {Head: "Jumlah", Width: 60, Align: "R"}},
		Rows: [][]string{
			{"Langsung", number(x.Direct)},
			{"Tidak langsung", number(x.Indirect)},
			{"Selesai", number(x.Closed)},
			{"Diteruskan kepada pejabat", number(x.Passed)},
			{"Belum selesai", number(x.Open)},
			{"Terlambat dijawab", number(x.AnswerLate)},
			{"Terlambat diselesaikan", number(x.SettleLate)},
			{"Lama penyelesaian, rata-rata", decimal1(x.MeanDays) + " hari kerja"},
			{"Lama penyelesaian, terlama", number(x.WorstDays) + " hari kerja"},
		},
	}
	return c
}

func (d *Desk) integritySection(s Summary, checkpoint string) extract.Section {
	c := extract.Section{Heading: "7. Keutuhan buku", Columns: []extract.Column{
		{Head: "Buku", Width: 46}, {Head: "Nomor Agenda", Width: 38}, {Head: "Nomor Kriptogram", Width: 40}, {Head: "Celah", Width: 36},
	}}
	for _, x := range s.Books {
		numbers := "-"
		if x.Numbers > 0 {
			numbers = fmt.Sprintf("%d\u2013%d (%s)", x.FirstNumber, x.LastNumber, number(x.Numbers))
		}
		gap := "tanpa celah"
		if !x.Whole {
			gap = "ADA CELAH"
		}
		c.Rows = append(c.Rows, []string{
			serviceWord(x.Book) + " " + itoa(x.Year), fmt.Sprintf("%d\u2013%d (%s)", x.First, x.Last, number(x.Entries)), numbers, gap,
		})
	}
	c.Text = []string{"Catatan buku: " + number(int(s.LogSize)) + " peristiwa; kata periksa keutuhan: " + checkWords([]byte(checkpoint)) + "."}
	return c
}

func serviceWord(book string) string {
	switch agenda.BookName(book) {
	case agenda.Kriptogram:
		return "Kriptogram"
	case agenda.Surat:
		return "Berita biasa"
	}
	return "Seluruhnya"
}

func monthWords(iso string) string {
	t, err := time.ParseInLocation("2006-01", iso, agenda.WIB)
	if err != nil {
		return iso
	}
	return extract.Month(t)
}

// number writes 1.284, as papers do.
func number(n int) string { return dots(int64(n)) }

// percent writes 98,5%, and a dash where there is nothing to divide.
func percent(share float64, of int) string {
	if of == 0 {
		return "-"
	}
	return decimal1(100*share) + "%"
}

func decimal1(x float64) string {
	return strings.Replace(strconv.FormatFloat(x, 'f', 1, 64), ".", ",", 1)
}

func clockTime(seconds int64) string {
	minutes := (seconds + 30) / 60
	if minutes < 60 {
		return fmt.Sprintf("%d menit", minutes)
	}
	return fmt.Sprintf("%s jam %d menit", dots(minutes/60), minutes%60)
}

// WritePlain writes a sheet in one of the formats.
func WritePlain(w io.Writer, s extract.PlainSheet, format string) (extract.Printed, error) {
	switch format {
	case FormatText:
		return extract.Printed{}, extract.PlainText(w, s)
	case FormatCSV:
		return extract.Printed{}, extract.PlainCSV(w, s)
	}
	return extract.Plain(w, s)
}
