package desk

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sandi/agenda/extract"
)

// printServer is a real CUPS scheduler of this test alone, with one printer,
// kantor, whose output lands in the file it returns.
func printServer(t *testing.T) (printed string) {
	t.Helper()
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin")
	for _, name := range []string{"cupsd", "lp", "lpadmin"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(name + " is not installed")
		}
	}
	if os.Getuid() != 0 {
		t.Skip("a scheduler of its own needs root")
	}
	// Not t.TempDir(): the path of a socket is short.
	dir, err := os.MkdirTemp("", "cups")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		must(os.WriteFile(filepath.Join(dir, name), []byte(text), mode))
	}
	for _, sub := range []string{"spool", "cache", "run", "tmp", "bin/backend"} {
		must(os.MkdirAll(filepath.Join(dir, sub), 0o755))
	}
	for _, sub := range []string{"cgi-bin", "daemon", "driver", "filter", "monitor", "notifier"} {
		must(os.Symlink("/usr/lib/cups/"+sub, filepath.Join(dir, "bin", sub)))
	}
	printed = filepath.Join(dir, "printed")
	socket := filepath.Join(dir, "sock")
	// A backend that only root may run is run by root.
	write("bin/backend/save", "#!/bin/sh\n[ $# = 0 ] && { echo 'direct save \"Unknown\" \"file\"'; exit 0; }\ncat ${6:+\"$6\"} > "+printed+".new && mv "+printed+".new "+printed+"\n", 0o500)
	write("cupsd.conf", "LogLevel warn\nListen "+socket+"\nBrowsing Off\nDefaultAuthType None\nWebInterface No\n<Location />\nOrder allow,deny\nAllow all\n</Location>\n"+
		"<Policy default>\nJobPrivateAccess default\nJobPrivateValues default\nSubscriptionPrivateAccess default\nSubscriptionPrivateValues default\n<Limit All>\nOrder allow,deny\nAllow all\n</Limit>\n</Policy>\n", 0o644)
	write("cups-files.conf", fmt.Sprintf("RequestRoot %[1]s/spool\nCacheDir %[1]s/cache\nStateDir %[1]s/run\nTempDir %[1]s/tmp\nServerRoot %[1]s\nServerBin %[1]s/bin\nErrorLog %[1]s/error.log\n"+
		"AccessLog %[1]s/access.log\nPageLog %[1]s/page.log\nSystemGroup root\n", dir), 0o644)
	server := exec.Command("cupsd", "-f", "-c", filepath.Join(dir, "cupsd.conf"), "-s", filepath.Join(dir, "cups-files.conf"))
	must(server.Start())
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	t.Setenv("CUPS_SERVER", socket)
	var out []byte
	for wait := 50 * time.Millisecond; wait < 5*time.Second; wait *= 2 {
		if out, err = exec.Command("lpadmin", "-p", "kantor", "-v", "save:/x", "-m", "raw", "-E").CombinedOutput(); err == nil {
			return printed
		}
		time.Sleep(wait) // the scheduler is starting
	}
	t.Fatalf("lpadmin: %v\n%s", err, out)
	return ""
}

func TestSheetsReachThePrinter(t *testing.T) {
	printed := printServer(t)
	var sheet bytes.Buffer
	if err := extract.Slips(&sheet, extract.Page{}, []extract.Slip{{Entry: "S1", LetterNumber: "005/1"}}); err != nil {
		t.Fatal(err)
	}
	job, err := PrintOn(t.Context(), "kantor", "Lembar belakang S1", sheet.Bytes())
	if err != nil || !strings.Contains(job, "kantor-1") {
		t.Fatalf("%q %v", job, err)
	}
	var got []byte
	for wait := 50 * time.Millisecond; wait < 10*time.Second; wait *= 2 {
		if got, err = os.ReadFile(printed); err == nil {
			break
		}
		time.Sleep(wait) // the job is on its way
	}
	if !bytes.Equal(got, sheet.Bytes()) {
		t.Errorf("the printer got %d octets of %d", len(got), sheet.Len())
	}
	var refusal *Error
	if _, err := PrintOn(t.Context(), "tidak-ada", "x", sheet.Bytes()); !errors.As(err, &refusal) || refusal.Code() != CodePrinter {
		t.Errorf("a printer that is not there: %v", err)
	}
}

// The test backend of SANE stands for a scanner with a feeder of ten sheets
// and a flatbed.
func TestPagesComeFromTheScanner(t *testing.T) {
	if _, err := exec.LookPath("scanimage"); err != nil {
		t.Skip("scanimage is not installed")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "dll.conf"), []byte("test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SANE_CONFIG_DIR", dir)
	if out, err := exec.Command("scanimage", "-L").Output(); err != nil || !bytes.Contains(out, []byte("test:0")) {
		t.Skip("the test backend of SANE is not installed")
	}
	before := tempFiles(t)
	flatbed := ScanParams{Device: "test:0", Resolution: 50}
	for name, tt := range map[string]struct {
		change func(*ScanParams)
		pages  int
	}{
		"flatbed":     {func(*ScanParams) {}, 1},
		"two asked":   {func(p *ScanParams) { p.Next = func(n int) (bool, error) { return n <= 2, nil } }, 2},
		"colour":      {func(p *ScanParams) { p.Mode = "Color" }, 1},
		"feeder":      {func(p *ScanParams) { p.Source = "Automatic Document Feeder" }, 10},
		"three of it": {func(p *ScanParams) { p.Source, p.Pages = "Automatic Document Feeder", 3 }, 3},
	} {
		p := flatbed
		tt.change(&p)
		pages, err := Scan(t.Context(), p)
		if err != nil || len(pages) != tt.pages {
			t.Errorf("%s: %d pages, %v", name, len(pages), err)
			continue
		}
		var pdf bytes.Buffer
		if n, err := extract.Pictures(&pdf, extract.Page{}, pages); err != nil || n != tt.pages {
			t.Errorf("%s: %d pages of PDF, %v", name, n, err)
		}
	}
	var refusal *Error
	for _, p := range []ScanParams{{Device: "tidak-ada"}, {Device: "test:0", Mode: "Hologram"}} {
		if _, err := Scan(t.Context(), p); !errors.As(err, &refusal) || refusal.Code() != CodeScanner || refusal.Detail == "" {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if after := tempFiles(t); after != before {
		t.Errorf("left in the temporary folder: %s", after)
	}
}

func tempFiles(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(os.TempDir(), "sandi-scan*"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(found, " ")
}

func TestNoPrinterNoScanner(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var refusal *Error
	if _, err := PrintOn(t.Context(), "", "x", []byte("x")); !errors.As(err, &refusal) || refusal.Code() != CodeProgram || refusal.Field != "lp" {
		t.Error(err)
	}
	if _, err := Scan(t.Context(), ScanParams{}); !errors.As(err, &refusal) || refusal.Code() != CodeProgram || refusal.Field != "scanimage" {
		t.Error(err)
	}
	if err := OpenFile(t.Context(), "x.pdf"); !errors.As(err, &refusal) || refusal.Code() != CodeProgram {
		t.Error(err)
	}
}
