package extract_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sandi/agenda/extract"
)

// A real spreadsheet opens the CSV of a book, and of a sheet of sections, whose
// texts try to be formulas: none comes alive and no text is lost.
func TestSpreadsheetKeepsTextAsText(t *testing.T) {
	soffice, err := exec.LookPath("soffice")
	if err != nil {
		t.Skip("soffice is not installed")
	}
	traps := []string{
		`=1+1`, `+1+1`, `-1+1`, `@SUM(1;1)`, ` =1+1`, "\t=1+1", "\r\n=1+1", `＝1+1`, `=HYPERLINK("http://x.test";"y")`, `=cmd|'/c calc'!A1`,
		`"=1+1"`, `a;=1+1`, "baris satu\n=1+1", "\u00A0=1+1", "\u202E=1+1",
	}
	var list []extract.Row
	for i, trap := range traps {
		r := kriptogramRow(i+1, 1, trap)
		r.Cells["asal"] = extract.Cell{Text: trap, Struck: trap}
		list = append(list, r)
	}
	sheet := extract.PlainSheet{Title: traps[0], Subtitles: traps[1:2], Sections: []extract.Section{{
		Heading: traps[0], Text: traps, Columns: []extract.Column{{Head: traps[2]}, {Head: "Sebab"}},
	}}}
	for _, trap := range traps {
		s := &sheet.Sections[0]
		s.Fields = append(s.Fields, [2]string{trap, "isi"})
		s.Rows = append(s.Rows, []string{trap, "isi"})
	}
	dir := t.TempDir()
	put(t, dir, "buku.csv", write(t, func(w io.Writer) error { return extract.BookCSV(w, kriptogram(rows(list...))) }))
	put(t, dir, "lembar.csv", write(t, func(w io.Writer) error { return extract.PlainCSV(w, sheet) }))
	// Semicolons, UTF-8, formulas evaluated if there are any: the setting of an office in a hurry.
	c := exec.Command(soffice, "-env:UserInstallation=file://"+dir+"/profile", "--headless", "--infilter=CSV:59,34,76,1,,0,false,true,false,false,false,-1,true",
		"--convert-to", "fods", "--outdir", dir, filepath.Join(dir, "buku.csv"), filepath.Join(dir, "lembar.csv"))
	c.Env = append(os.Environ(), "HOME="+dir)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// LibreOffice writes equal neighbours once.
	for name, least := range map[string]int{"buku.fods": 2 * 12, "lembar.fods": 3 * 13} {
		text := string(get(t, filepath.Join(dir, name)))
		if n := strings.Count(text, "table:formula"); n != 0 {
			t.Errorf("%s: %d formulas came alive", name, n)
		}
		if n := strings.Count(text, "1+1") + strings.Count(text, "SUM(1;1)"); n < least {
			t.Errorf("%s: the text of the traps is there %d times", name, n)
		}
	}
}
