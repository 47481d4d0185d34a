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

// A real spreadsheet opens the CSV of a book whose letters try to be formulas:
// none comes alive and no text is lost.
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
	dir := t.TempDir()
	path := filepath.Join(dir, "buku.csv")
	data := write(t, func(w io.Writer) error { return extract.BookCSV(w, kriptogram(rows(list...))) })
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	// Semicolons, UTF-8, formulas evaluated if there are any: the setting of an office in a hurry.
	c := exec.Command(soffice, "-env:UserInstallation=file://"+dir+"/profile", "--headless", "--infilter=CSV:59,34,76,1,,0,false,true,false,false,false,-1,true",
		"--convert-to", "fods", "--outdir", dir, path)
	c.Env = append(os.Environ(), "HOME="+dir)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	opened, err := os.ReadFile(filepath.Join(dir, "buku.fods"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(opened)
	if n := strings.Count(text, "table:formula"); n != 0 {
		t.Errorf("%d formulas came alive", n)
	}
	if n := strings.Count(text, "1+1") + strings.Count(text, "SUM(1;1)"); n < 2*12 {
		t.Errorf("the text of the traps is there %d times", n)
	}
}
