package desk

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sandi/agenda"
	"sandi/agenda/extract"
)

// A scanned PDF is ready to be kept: octets and pages.
type scannedPDF struct {
	data  []byte
	pages int
}

// scansOf turns what belongs to a letter into PDF files: a PDF stays octet for
// octet, pictures that follow each other become the pages of one.
func (d *Desk) scansOf(n agenda.Name, files [][]byte) ([]scannedPDF, error) {
	var out []scannedPDF
	var pictures [][]byte
	flush := func() error {
		if len(pictures) == 0 {
			return nil
		}
		var pdf bytes.Buffer
		pages, err := extract.Pictures(&pdf, d.page(false), pictures)
		if err != nil {
			return &Error{code: CodePictures, Entry: n, Detail: coded(err), Err: err}
		}
		out, pictures = append(out, scannedPDF{pdf.Bytes(), pages}), nil
		return nil
	}
	for _, data := range files {
		if extract.IsPicture(data) {
			pictures = append(pictures, data)
			continue
		}
		if err := flush(); err != nil {
			return nil, err
		}
		out = append(out, scannedPDF{data, pdfPages(data)})
	}
	return out, flush()
}

// MayAttach tells whether scans can be attached to the entry now.
func (d *Desk) MayAttach(ctx context.Context, n agenda.Name) error {
	_, err := d.attachable(ctx, n)
	return err
}

// attachable is the entry, if scans can be attached to it now.
func (d *Desk) attachable(ctx context.Context, n agenda.Name) (agenda.Entry, error) {
	e, err := d.Book.Entry(ctx, n)
	if err != nil {
		return e, err
	}
	if e.Name.Book != agenda.Surat || e.Letter.Class != agenda.ClassBiasa {
		return e, &Error{code: CodeClassScan, Entry: e.Name, Field: string(e.Letter.Class)}
	}
	if !agenda.Allowed(e.Name.Book, agenda.StepAttach, e.State) {
		return e, &Error{code: CodeState, Entry: e.Name, Detail: string(e.State)}
	}
	return e, nil
}

// ScanParams say how pages are scanned.
type ScanParams struct {
	Device     string // of SANE; "" = its default
	Resolution int    // dots per inch; 0: 300
	Mode       string // "Gray", "Color", "Lineart"; "" = Gray
	Source     string // "Flatbed", "ADF"; "" = the device's
	Pages      int    // stop after so many; 0: until the feeder is empty
	// Next is asked before every page after the first of a flatbed; false ends.
	Next func(page int) (bool, error)
}

const (
	scanLimit    = 10 * time.Minute
	maxScanPages = 500
	maxScanBytes = 512 << 20
)

// Scan drives scanimage of SANE and returns the pages as pictures.
func Scan(ctx context.Context, p ScanParams) ([][]byte, error) {
	path, err := exec.LookPath("scanimage")
	if err != nil {
		return nil, &Error{code: CodeProgram, Field: "scanimage", Err: err}
	}
	if p.Resolution == 0 {
		p.Resolution = 300
	}
	args := []string{"--format=pnm", "--resolution", itoa(p.Resolution), "--mode", cmp.Or(p.Mode, "Gray")}
	if p.Device != "" {
		args = append(args, "--device-name", p.Device)
	}
	if p.Source != "" {
		args = append(args, "--source", p.Source)
	}
	if FeedsItself(p.Source) {
		return scanFeeder(ctx, path, args, p.Pages)
	}
	var pages [][]byte
	for total := 0; p.Pages == 0 || len(pages) < p.Pages; {
		if len(pages) > 0 {
			if p.Next == nil && p.Pages == 0 {
				break // a flatbed has one page, and nobody to ask
			}
			if p.Next != nil {
				if more, err := p.Next(len(pages) + 1); err != nil || !more {
					return pages, err
				}
			}
		}
		page, err := scanPage(ctx, path, args)
		if err != nil {
			return nil, err
		}
		pages = append(pages, page)
		if total += len(page); total > maxScanBytes || len(pages) > maxScanPages {
			return nil, &Error{code: CodeScanner, Detail: "too many pages"}
		}
	}
	return pages, nil
}

// scanFeeder lets scanimage take sheet after sheet. It writes only to named
// files; they lie in a folder of ours alone and go with it.
func scanFeeder(ctx context.Context, path string, args []string, count int) (pages [][]byte, err error) {
	dir, err := os.MkdirTemp("", "sandi-scan")
	if err != nil {
		return nil, &Error{code: CodeScanner, Err: err}
	}
	defer func() {
		if gone := os.RemoveAll(dir); err == nil && gone != nil {
			err = &Error{code: CodeScanner, Err: gone}
		}
	}()
	if count == 0 {
		count = maxScanPages
	}
	args = append(args, "--batch="+filepath.Join(dir, "%04d.pnm"), "--batch-count", itoa(count))
	ctx, stop := context.WithTimeout(ctx, scanLimit)
	defer stop()
	c := exec.CommandContext(ctx, path, args...)
	var complaint bytes.Buffer
	c.Stderr = &complaint
	ended := c.Run()
	names, err := filepath.Glob(filepath.Join(dir, "*.pnm"))
	if err != nil {
		return nil, &Error{code: CodeScanner, Err: err}
	}
	// An empty feeder ends a batch; with any sheet before it, it is no failure.
	if len(names) == 0 || ended != nil && !emptyFeeder(complaint.String()) {
		return nil, &Error{code: CodeScanner, Detail: firstLine(complaint.String()), Err: ended}
	}
	total := 0
	for _, name := range names {
		page, err := os.ReadFile(name)
		if err != nil {
			return nil, &Error{code: CodeScanner, Err: err}
		}
		if total += len(page); total > maxScanBytes {
			return nil, &Error{code: CodeScanner, Detail: "too many pages"}
		}
		pages = append(pages, page)
	}
	return pages, nil
}

func emptyFeeder(said string) bool {
	said = strings.ToLower(said)
	return strings.Contains(said, "out of documents") || strings.Contains(said, "feeder is empty")
}

// FeedsItself tells whether a source of SANE takes sheet after sheet.
func FeedsItself(source string) bool {
	s := strings.ToLower(source)
	return strings.HasPrefix(s, "adf") || strings.Contains(s, "feeder")
}

func scanPage(ctx context.Context, path string, args []string) ([]byte, error) {
	ctx, stop := context.WithTimeout(ctx, scanLimit)
	defer stop()
	c := exec.CommandContext(ctx, path, args...)
	var complaint bytes.Buffer
	c.Stderr = &complaint
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, &Error{code: CodeScanner, Err: err}
	}
	if err := c.Start(); err != nil {
		return nil, &Error{code: CodeScanner, Err: err}
	}
	page, readErr := io.ReadAll(io.LimitReader(out, maxScanBytes+1))
	if len(page) > maxScanBytes {
		stop()
	}
	if err := c.Wait(); err != nil || readErr != nil || len(page) == 0 || len(page) > maxScanBytes {
		return nil, &Error{code: CodeScanner, Detail: firstLine(complaint.String()), Err: err}
	}
	return page, nil
}
