package desk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"pgregory.net/rapid"

	"sandi/agenda"
	"sandi/mail/loopback"
)

func (f *office) table(ctx context.Context, text string) ([]ImportRow, error) {
	return f.ReadImport(ctx, ImportParams{
		Source: strings.NewReader(text), Folder: f.dir, Day: isoDay, Moment: func(s string) (time.Time, error) { return time.Parse(time.RFC3339, s) },
	})
}

func isoDay(s string) (string, error) {
	_, err := time.Parse(time.DateOnly, s)
	return s, err
}

const importHead = "pemohon;nomor_surat;tgl_surat;perihal;tujuan\n"

// TestImportForms reads the same letter from every form that spreadsheets and programs write.
func TestImportForms(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	utf16le := func(s string) string {
		b := []byte{0xff, 0xfe}
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, byte(u), byte(u>>8))
		}
		return string(b)
	}
	plain := importHead + "umum;005/1;2026-11-20;Undangan;jateng,batang\n"
	var want []ImportRow
	for name, text := range map[string]string{
		"semicolons": plain,
		"mark":       "\ufeff" + plain,
		"utf-16":     utf16le(plain),
		"crlf":       strings.ReplaceAll(plain, "\n", "\r\n"),
		"commas":     "Pemohon,Nomor Surat,Tgl-Surat,PERIHAL,Tujuan\numum,005/1,2026-11-20,Undangan,\"jateng;batang\"\n",
		"tabs":       "applicant\tletter\tletter_date\tsubject\tto\numum\t005/1\t2026-11-20\tUndangan\tjateng|batang\n",
		"quoted":     importHead + "\"umum\";\"005/1\";2026-11-20;\" Undangan \";\"jateng, batang\"\n;;;;\n",
		"json":       `{"applicant":"umum","letter":"005/1","letter_date":"2026-11-20","subject":"Undangan","to":["jateng","batang"]}`,
	} {
		rows, err := f.table(t.Context(), text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(rows) != 1 {
			t.Errorf("%s: %d rows", name, len(rows))
			continue
		}
		l := rows[0].Registration.Letter
		l.Received = time.Time{}
		rows[0].Registration.Letter, rows[0].Line = l, 0 // and the same token: it is the same letter
		if want == nil {
			want = rows
		}
		if got := fmt.Sprintf("%+v", rows); got != fmt.Sprintf("%+v", want) {
			t.Errorf("%s: %s, want %+v", name, got, want)
		}
	}
}

// TestImportKnowsOldTokens keeps known what was entered when a row was known by its cells as they were typed.
func TestImportKnowsOldTokens(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	text := importHead + "umum;005/1;2026-11-20; Undangan  rapat;jateng, batang\n"
	rows, err := f.table(t.Context(), text)
	f.check(err)
	cells := map[string]string{"applicant": "umum", "letter": "005/1", "letter-date": "2026-11-20", "subject": "Undangan  rapat", "to": "jateng, batang"}
	before := (&importReader{cells: importCells{values: cells}}).typed()
	if rows[0].Registration.Once == before {
		t.Fatal("known before it was entered")
	}
	rows[0].Registration.Once = before
	made, err := f.Import(t.Context(), rows)
	f.check(err)
	again, err := f.table(t.Context(), text)
	f.check(err)
	fresh, err := f.WouldBe(t.Context(), again)
	if err != nil || len(fresh) != 0 || again[0].Name != made[0].Entry.Name {
		t.Errorf("new %v, %v, name %s", fresh, err, again[0].Name)
	}
}

// TestImportProblems finds every problem of a table at once, at its line and cell, and enters nothing.
func TestImportProblems(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	head := "pemohon;nomor_surat;tgl_surat;perihal;klasifikasi;derajat;tujuan;halaman;diterima;berkas\n"
	for name, tc := range map[string]struct {
		text string
		want ImportProblem
	}{
		"empty":         {"", ImportProblem{1, 0, "", WhyEmpty, ""}},
		"head only":     {importHead, ImportProblem{1, 0, "", WhyEmpty, ""}},
		"not utf-8":     {importHead + "umum;005/1;2026-11-20;Undangan\xff;jateng\n", ImportProblem{2, 0, "", WhyEncoding, ""}},
		"unknown head":  {"pemohon;nomor_surat;tgl_surat;perihal;tujuan;sifat\n", ImportProblem{1, 6, "sifat", WhyHead, "sifat"}},
		"head twice":    {"pemohon;applicant;nomor_surat;tgl_surat;perihal;tujuan\n", ImportProblem{1, 2, "applicant", WhyHeadTwice, "applicant"}},
		"no column":     {"pemohon;nomor_surat;tgl_surat;perihal\n", ImportProblem{1, 0, "to", WhyNoColumn, ""}},
		"quotes":        {importHead + "umum;\"005/1;2026-11-20;Undangan;jateng\n", ImportProblem{2, 0, "", WhyQuotes, ""}},
		"width":         {importHead + "umum;005/1;2026-11-20;Undangan;jateng;lebih\n", ImportProblem{2, 6, "", WhyWidth, ""}},
		"missing":       {importHead + "umum;;2026-11-20;Undangan;jateng\n", ImportProblem{2, 2, "letter", WhyMissing, ""}},
		"date":          {importHead + "umum;005/1;2026-02-31;Undangan;jateng\n", ImportProblem{2, 3, "letter-date", WhyDate, "2026-02-31"}},
		"class":         {head + "umum;005/1;2026-11-20;U;penting;;jateng;;;\n", ImportProblem{2, 5, "class", WhyClass, "penting"}},
		"urgency":       {head + "umum;005/1;2026-11-20;U;;cepat;jateng;;;\n", ImportProblem{2, 6, "urgency", WhyUrgency, "cepat"}},
		"addressee":     {head + "umum;005/1;2026-11-20;U;rahasia;;entah;;;\n", ImportProblem{2, 7, "to", WhyAddressee, "entah"}},
		"twice":         {head + "umum;005/1;2026-11-20;U;;;jateng,jateng;;;\n", ImportProblem{2, 7, "to", WhyTwice, "jateng,jateng"}},
		"group":         {head + "umum;005/1;2026-11-20;U;;;@entah;;;\n", ImportProblem{2, 7, "to", WhyGroup, "@entah"}},
		"pages":         {head + "umum;005/1;2026-11-20;U;;;jateng;dua;;\n", ImportProblem{2, 8, "pages", WhyNumber, "dua"}},
		"moment":        {head + "umum;005/1;2026-11-20;U;;;jateng;;tadi;\n", ImportProblem{2, 9, "received", WhyMoment, "tadi"}},
		"future":        {head + "umum;005/1;2026-11-20;U;;;jateng;;2036-01-01T00:00:00Z;\n", ImportProblem{2, 9, "received", WhyFuture, "2036-01-01T00:00:00Z"}},
		"no scan":       {head + "umum;005/1;2026-11-20;U;;;jateng;;;tidak-ada.pdf\n", ImportProblem{2, 10, "file", WhyFile, "tidak-ada.pdf"}},
		"class scan":    {head + "umum;005/1;2026-11-20;U;rahasia;;jateng;;;x.pdf\n", ImportProblem{2, 10, "file", WhyClassScan, "x.pdf"}},
		"long subject":  {importHead + "umum;005/1;2026-11-20;" + strings.Repeat("x", 5000) + ";jateng\n", ImportProblem{2, 4, "subject", WhyLong, ""}},
		"control":       {importHead + "umum\x1b[2J;005/1;2026-11-20;U;jateng\n", ImportProblem{2, 1, "applicant", WhyText, "umum\x1b[2J"}},
		"bidi subject":  {importHead + "umum;005/1;2026-11-20;U\u202e;jateng\n", ImportProblem{2, 4, "subject", WhyText, ""}},
		"addressee nul": {importHead + "umum;005/1;2026-11-20;U;ja\x00teng\n", ImportProblem{2, 5, "to", WhyText, "ja\x00teng"}},
		"same row": {
			importHead + "umum;005/1;2026-11-20;U;jateng\n\numum;005/1;2026-11-20;U;jateng\n", ImportProblem{4, 0, "", WhyRowTwice, "2"},
		},
		"json syntax": {`{"applicant":"umum",` + "\n", ImportProblem{1, 20, "", WhyJSON, ""}},
		"json value":  {`{"applicant":{"a":1},"letter":"1","letter_date":"2026-11-20","subject":"U","to":"jateng"}`, ImportProblem{1, 0, "applicant", WhyJSON, ""}},
	} {
		_, err := f.table(t.Context(), tc.text)
		var bad *ImportError
		if !errors.As(err, &bad) || !slices.Contains(bad.Problems, tc.want) {
			t.Errorf("%s: %+v, want %+v", name, bad, tc.want)
		}
	}
	if list, err := f.Book.List(t.Context(), agenda.Filter{}); err != nil || len(list) > 0 {
		t.Errorf("entered: %v, %v", list, err)
	}
}

// TestImportTwice: whatever the letters, in whatever part a table is imported and imported again, each letter is entered once.
func TestImportTwice(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		n := rapid.IntRange(1, 6).Draw(rt, "letters")
		part := rapid.IntRange(0, n).Draw(rt, "first part")
		lines := make([]string, n)
		for i := range lines {
			lines[i] = fmt.Sprintf("umum;%d/%d;2026-11-20;Undangan;%s\n", run, i, rapid.SampledFrom([]string{"jateng", "batang", "jateng,batang"}).Draw(rt, "to"))
		}
		entered := map[agenda.Name]bool{}
		for _, table := range []string{strings.Join(lines[:part], ""), strings.Join(lines, ""), strings.Join(lines, "")} {
			if table == "" {
				continue
			}
			rows, err := f.table(t.Context(), importHead+table)
			if err != nil {
				rt.Fatal(err)
			}
			fresh, err := f.WouldBe(t.Context(), rows)
			if err != nil {
				rt.Fatal(err)
			}
			made, err := f.Import(t.Context(), rows)
			if err != nil {
				rt.Fatal(err)
			}
			for i, m := range made {
				if m.Entry.Name != rows[i].Name || m.Existed == slices.Contains(fresh, m.Entry.Name) || m.Existed != entered[m.Entry.Name] {
					rt.Fatalf("row %d became %v (existed %v), foretold %v", i, m.Entry.Name, m.Existed, rows[i].Name)
				}
				entered[m.Entry.Name] = true
			}
		}
		if len(entered) != n {
			rt.Fatalf("%d entries for %d letters", len(entered), n)
		}
	})
}

// FuzzImport: any octets are read or refused with at least one problem, and what is read has all that a letter needs.
func FuzzImport(f *testing.F) {
	o := newOffice(f, loopback.Options{})
	f.Add(importHead + "umum;005/1;2026-11-20;Undangan;jateng\n")
	f.Add(`{"applicant":"umum","letter":"1","letter_date":"2026-11-20","subject":"U","to":["jateng"]}`)
	f.Add("\ufeffpemohon,\"nomor")
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := o.table(t.Context(), text)
		var bad *ImportError
		if errors.As(err, &bad) {
			if len(bad.Problems) == 0 || bad.Error() == "" {
				t.Error("refused without a problem")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			l := r.Registration.Letter
			if l.Applicant == "" || l.Number == "" || l.Date == "" || l.Subject == "" || len(l.To) == 0 || r.Registration.Once == "" {
				t.Errorf("incomplete letter %+v", l)
			}
		}
	})
}
