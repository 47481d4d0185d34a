package desk

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sandi/agenda"
	"sandi/agenda/extract"
	"sandi/mail/loopback"
)

// paperOffice has a day behind it: a kriptogram sent, a letter sent late, one
// that waits, one voided, a draft returned, complaints.
func paperOffice(t *testing.T) (*office, []agenda.Name) {
	t.Helper()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	k := f.signed("jateng", "batang")
	f.send(k)
	scan := f.file("scan.pdf", []byte("%PDF-1.4\npindaian"))
	late := f.ordinary("jateng", "Kantor Luar Daftar")
	var err error
	// The book refuses a name without an address at release: send to jateng alone.
	e := f.entry(late)
	l := e.Letter
	l.To, l.Received = []string{"jateng"}, monday.Add(-4*24*time.Hour)
	_, err = f.Book.Correct(ctx, f.Nobody(), e.ID, e.Last, l, "tujuan keliru")
	f.check(err)
	_, err = f.Attach(ctx, AttachParams{Name: late, Files: []string{scan}})
	f.check(err)
	f.send(late)
	open := f.ordinary("batang")
	void := f.ordinary("batang")
	v := f.entry(void)
	f.check(f.Book.Void(ctx, f.Nobody(), v.ID, v.Last, "dicatat dua kali", "Kepala Seksi"))
	back := f.encrypted("batang")
	_, err = f.Return(ctx, ReturnParams{Name: back, Reason: "tujuan", Secrets: right})
	f.check(err)
	p, err := f.Book.AddComplaint(ctx, f.Nobody(), agenda.Complaint{Channel: agenda.ComplaintIndirect, Via: "telepon", Complainant: "Kecamatan Utara", Text: "terlambat"})
	f.check(err)
	f.check(f.Book.CloseComplaint(ctx, f.Nobody(), p.ID, time.Time{}, "dijelaskan"))
	_, err = f.Book.AddComplaint(ctx, f.Nobody(), agenda.Complaint{Channel: agenda.ComplaintDirect, Complainant: "Bagian Umum", Text: "loket tutup"})
	f.check(err)
	f.check(f.Book.RecordOutage(ctx, f.Nobody(), monday, monday.Add(62*time.Minute), "tidak menjawab"))
	f.check(f.Book.Explain(ctx, f.Nobody(), e.ID, "server Sanapati terputus"))
	return f, []agenda.Name{k, late, open, void, back}
}

func TestSummaryOfAQuarter(t *testing.T) {
	t.Parallel()
	f, names := paperOffice(t)
	ctx := t.Context()
	from, until := Quarter(2026, 4)
	s, err := f.Summarise(ctx, from, until)
	f.check(err)
	for i := range s.Services { // the clock of the test runs on with every look at it
		if x := &s.Services[i]; x.Book == "kriptogram" {
			if x.Median <= 0 || x.Median > 600 || x.Mean != x.Median || x.Worst != x.Median {
				t.Errorf("times %+v", x)
			}
			x.Mean, x.Median, x.Worst = 0, 0, 0
		} else {
			// Received on Thursday 08.05, sent on Monday after 08.05: 11 hours of service.
			if h := x.Worst / 3600; h != 10 {
				t.Errorf("worst %d h", h)
			}
			x.Mean, x.Median, x.Worst = 0, 0, 0
		}
	}
	want := []ServiceSummary{
		{Book: "surat", Title: "Pelayanan Pengiriman Berita Biasa Email Sanapati", Entries: 3, Voided: 1, Sent: 1, Late: 1, Open: 1},
		{Book: "kriptogram", Title: "Pelayanan Pengiriman Naskah Dinas Yang Dikecualikan", Entries: 2, Sent: 1, OnTime: 1, Open: 1, OnTimeShare: 1},
	}
	if diff := cmp.Diff(want, s.Services); diff != "" {
		t.Error(diff)
	}
	wantVolume := []VolumeRow{{"2026-11", "surat", "biasa", "biasa", 3}, {"2026-11", "kriptogram", "rahasia", "segera", 2}}
	if diff := cmp.Diff(wantVolume, s.Volume); diff != "" {
		t.Error(diff)
	}
	if len(s.Months) != 6 || len(s.Late) != 1 || s.Late[0].Entry != names[1].String() || s.Late[0].Cause != "server Sanapati terputus" || s.Late[0].Late <= 0 {
		t.Errorf("months %d, late %+v", len(s.Months), s.Late)
	}
	if diff := cmp.Diff(TroubleSummary{Outages: 1, OutageSeconds: 3720, Withdrawn: []WithdrawnEntry{}, Returned: 1}, s.Trouble); diff != "" {
		t.Error(diff)
	}
	wantUnits := []DestinationCount{{"Diskominfo Kabupaten Batang", 3}, {"Diskominfo Provinsi Jawa Tengah", 2}}
	if diff := cmp.Diff(wantUnits, s.Destinations); diff != "" {
		t.Error(diff)
	}
	x := s.Complaints
	if x.Direct != 1 || x.Indirect != 1 || x.Closed != 1 || x.Open != 1 || x.SettleLate != 0 || x.AnswerNorm != 3 || x.SettleNorm != 5 || x.Outstanding[0].Complaint != "P2" {
		t.Errorf("complaints %+v", x)
	}
	wantBooks := []BookIntegrity{
		{Book: "kriptogram", Year: 2026, First: 1, Last: 2, Entries: 2, FirstNumber: 1, LastNumber: 1, Numbers: 1, Whole: true},
		{Book: "surat", Year: 2026, First: 1, Last: 3, Entries: 3, Whole: true},
	}
	if diff := cmp.Diff(wantBooks, s.Books); diff != "" {
		t.Error(diff)
	}
	empty, err := f.Summarise(ctx, from.AddDate(-1, 0, 0), until.AddDate(-1, 0, 0))
	f.check(err)
	if len(empty.Volume) != 0 || len(empty.MissingYears) != 1 || empty.Services[0].Entries != 0 {
		t.Errorf("an empty quarter: %+v", empty)
	}
	for name, s := range map[string]Summary{"evaluasi": s, "kosong": empty} {
		sheet, err := f.EvaluationSheet(ctx, s, "EVALUASI KINERJA PELAYANAN", PeriodWords(from, until), false)
		f.check(err)
		f.drawn(name, sheet)
	}
	f.audited()
}

// drawn writes a sheet in all its forms; with SANDI_TEST_PAPER set to a folder
// the PDF is left there to look at.
func (f *office) drawn(name string, sheet extract.PlainSheet) string {
	f.t.Helper()
	var pdf, text, table bytes.Buffer
	printed, err := WritePlain(&pdf, sheet, FormatPDF)
	f.check(err)
	_, err = WritePlain(&text, sheet, FormatText)
	f.check(err)
	_, err = WritePlain(&table, sheet, FormatCSV)
	f.check(err)
	if printed.Pages < 1 || !bytes.HasPrefix(pdf.Bytes(), []byte("%PDF-")) || !strings.HasPrefix(table.String(), "\uFEFF") {
		f.t.Errorf("%s: %d pages", name, printed.Pages)
	}
	for i, line := range strings.Split(text.String(), "\n") {
		if n := len([]rune(line)); n > 80 {
			f.t.Errorf("%s: line %d has %d columns: %s", name, i+1, n, line)
		}
	}
	if strings.Contains(text.String(), "Rencana pengamanan") {
		f.t.Errorf("%s shows a classified subject", name)
	}
	if dir := os.Getenv("SANDI_TEST_PAPER"); dir != "" {
		f.check(os.WriteFile(filepath.Join(dir, name+".pdf"), pdf.Bytes(), 0o600))
	}
	return text.String()
}

// The shipped profile is what the office prints with: its columns are aligned
// by what they hold, and narrow heads may be divided.
func TestShippedColumns(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	f.encrypted("jateng", "batang")
	var res BookPrinted
	sheet, err := f.bookSheet(t.Context(), BookParams{Book: agenda.Kriptogram, Year: 2026, Period: "2026"}, agenda.Printed{}, nil, &res)
	f.check(err)
	centred := map[string]bool{}
	heads := map[string]string{}
	for _, c := range sheet.Columns {
		heads[c.Key] = c.Head
		if c.Align == "C" {
			centred[c.Key] = true
		}
	}
	if diff := cmp.Diff(map[string]bool{"no": true, "waktu": true, "kelas": true, "kirim": true, "halaman": true}, centred); diff != "" {
		t.Error("centred columns (-want +got):\n" + diff)
	}
	for key, head := range map[string]string{"kelas": "Klasifi\u00ADkasi / Derajat", "tujuan": "Alamat Tujuan (salinan\u00A0ke-)", "halaman": "Jumlah Hala\u00ADman"} {
		if heads[key] != head {
			t.Errorf("%s: %q, want %q", key, heads[key], head)
		}
	}
}

func TestSheetsOfTheOffice(t *testing.T) {
	t.Parallel()
	f, names := paperOffice(t)
	ctx := t.Context()
	dispatch, err := f.DispatchSheet(ctx, DispatchParams{From: midnight(monday), Until: midnight(monday).AddDate(0, 0, 1), Period: "23 November 2026"})
	f.check(err)
	if text := f.drawn("ekspedisi", dispatch); strings.Count(text, "Diskominfo") < 3 || !strings.Contains(text, "005/1204") || !strings.Contains(text, "kriptogram") {
		t.Error(text)
	}
	for handle, word := range map[string]string{"jateng": "dikonfirmasi", "kasi": "kunci kantor sendiri"} {
		sheet, err := f.KeySheet(ctx, handle)
		f.check(err)
		if text := f.drawn("kunci-"+handle, sheet); !strings.Contains(text, word) || !strings.Contains(text, "Kata periksa") {
			t.Error(text)
		}
	}
	sheet, err := f.KeySheet(ctx, "kasi")
	f.check(err)
	if lines := strings.Split(sheet.Sections[0].Fields[1][1], "\n"); len(lines) != 2 || len(strings.Fields(lines[0])) != 5 || len(strings.Fields(lines[1])) != 5 {
		t.Errorf("fingerprint in %q: two lines of five groups are read aloud", lines)
	}
	if _, err := f.KeySheet(ctx, "nobody"); err == nil {
		t.Error("key sheet of nobody")
	}
	service := f.drawn("standar", f.ServiceSheet(""))
	for _, typo := range []string{"pemerima", "medilui", "menyelesaiakan"} {
		if strings.Contains(service, typo) {
			t.Errorf("typing error of the source: %s", typo)
		}
	}
	if strings.Count(service, "Dasar hukum") != 2 || !strings.Contains(service, "Jumat 08.00") {
		t.Error(service)
	}

	var pdf bytes.Buffer
	day, err := f.CloseDay(ctx, &pdf, monday, FormatPDF)
	f.check(err)
	if day.Surat != 3 || day.Kriptogram != 2 || day.Numbers != 1 || len(day.Codes) != day.Pages || len(strings.Fields(day.Words)) != 6 {
		t.Errorf("%+v", day)
	}
	if dir := os.Getenv("SANDI_TEST_PAPER"); dir != "" {
		f.check(os.WriteFile(filepath.Join(dir, "penutupan.pdf"), pdf.Bytes(), 0o600))
	}
	closed, err := f.Book.ClosedDay(ctx, "2026-11-23")
	f.check(err)
	page, err := f.Book.Page(ctx, day.Codes[0])
	f.check(err)
	if closed.Surat != 3 || closed.Open != len(day.Open) || !page.Kept || page.Kind != "day" {
		t.Errorf("%+v %+v", closed, page)
	}
	_ = names
	f.audited()
}

// A bound book goes on where it ended: new lines once, changed ones again, and
// the totals and sheet numbers carried.
func TestBoundSheetsGoOn(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	scan := f.file("scan.pdf", []byte("%PDF-1.4\npindaian"))
	for range 3 {
		f.ordinary("jateng")
	}
	printBook := func() (BookPrinted, string) {
		t.Helper()
		var pdf bytes.Buffer
		done, err := f.PrintBook(ctx, &pdf, BookParams{Book: agenda.Surat, Year: 2026, Continue: true})
		f.check(err)
		if dir := os.Getenv("SANDI_TEST_PAPER"); dir != "" {
			f.check(os.WriteFile(filepath.Join(dir, "lanjutan.pdf"), pdf.Bytes(), 0o600))
		}
		return done, pdf.String()
	}
	got, _ := printBook()
	if got.Rows != 3 || got.Again != 0 || got.Sheet != 1 || got.Volume != 1 {
		t.Errorf("first: %+v", got)
	}
	n := agenda.Name{Book: agenda.Surat, Serial: 2, Year: 2026}
	_, err := f.Attach(ctx, AttachParams{Name: n, Files: []string{scan}})
	f.check(err)
	f.send(n)
	f.ordinary("batang")
	got, _ = printBook()
	if got.Rows != 2 || got.Again != 1 || got.Sheet != 2 {
		t.Errorf("second: %+v", got)
	}
	_, err = f.Archive(ctx, n, "Ordner")
	f.check(err)
	if got, _ = printBook(); got.Rows != 0 || got.Sheet != 3 {
		t.Errorf("nothing changed on paper: %+v", got)
	}
	last, err := f.Book.LastPrinted(ctx, agenda.Surat, 2026)
	f.check(err)
	if last.Last != 4 || last.Sheet != 3 {
		t.Errorf("%+v", last)
	}
	for _, code := range got.Codes {
		if p, err := f.Book.Page(ctx, code); err != nil || !p.Kept || p.Filter != "buku surat tahun 2026 lanjutan perihal terbuka" {
			t.Errorf("%+v %v", p, err)
		}
	}
	f.audited()
}
