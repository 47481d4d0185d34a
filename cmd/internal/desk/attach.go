package desk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"sandi/agenda"
	"sandi/agenda/extract"
)

// AttachParams say which scans belong to an ordinary letter.
type AttachParams struct {
	Name  agenda.Name
	Files []string // PDF, kept octet for octet, or pictures, in the order typed
	// Scanned are pictures straight from a scanner, after the files.
	Scanned [][]byte
	Pages   int // of all files together; 0 = counted
	// Anyway attaches also a file that is named after another entry.
	Anyway bool
	// Same is told of a file whose octets are a scan of other entries: rarely
	// meant, most often the wrong sheet on the glass. nil: nobody is told.
	Same func(file string, others []agenda.Name)
}

// Attach does the scanning half of step 4 of service B. A classified letter
// never takes this path: its plaintext would lie in the vault.
func (d *Desk) Attach(ctx context.Context, p AttachParams) (agenda.Entry, error) {
	e, err := d.attach(ctx, p)
	if err != nil {
		return e, err
	}
	return d.Book.EntryByID(ctx, e.ID)
}

// attach returns the entry as it was before.
func (d *Desk) attach(ctx context.Context, p AttachParams) (agenda.Entry, error) {
	e, err := d.attachable(ctx, p.Name)
	if err != nil {
		return e, err
	}
	docs, err := openDocuments(p.Files)
	if err != nil {
		return e, err
	}
	defer closeDocuments(docs)
	var total int64
	for _, doc := range docs {
		if err := scanned(e.Name, doc); err != nil {
			return e, err
		}
		total += doc.size
		if err := d.rightScan(ctx, doc, p); err != nil {
			return e, err
		}
	}
	if err := d.fitsGateway(e.Name, total); err != nil {
		return e, err
	}
	who, err := d.ActingOr(ctx, agenda.RoleOperator)
	if err != nil {
		return e, err
	}
	files := make([][]byte, len(docs), len(docs)+len(p.Scanned))
	for i, doc := range docs {
		if files[i], err = io.ReadAll(doc.file); err != nil {
			return e, &Error{code: CodeFile, Field: doc.path, Err: err}
		}
	}
	pdfs, err := d.scansOf(e.Name, append(files, p.Scanned...))
	if err != nil {
		return e, err
	}
	total = 0
	for _, pdf := range pdfs {
		total += int64(len(pdf.data))
	}
	if err := d.fitsGateway(e.Name, total); err != nil {
		return e, err
	}
	var scans []agenda.Attachment
	for i, pdf := range pdfs {
		o, err := d.keep(bytes.NewReader(pdf.data), pdfMedia)
		if err != nil {
			return e, err
		}
		a := agenda.Attachment{Object: o}
		switch {
		case p.Pages == 0:
			a.Pages = pdf.pages
		case i == 0:
			a.Pages = p.Pages
		}
		scans = append(scans, a)
	}
	same := func(x, y agenda.Attachment) bool { return x.Object.SHA256 == y.Object.SHA256 && x.Pages == y.Pages }
	if slices.EqualFunc(scans, e.Attachments, same) {
		// They stand already. Taken again after a restore they say that somebody looked.
		if restored, err := d.Book.RestoredSeq(ctx); err != nil || !readyBefore(e, restored) {
			return e, err
		}
	}
	return e, d.Book.Attach(ctx, who, e.ID, e.Last, scans)
}

// scanned refuses a file that is no scan: neither PDF nor a picture.
func scanned(n agenda.Name, doc document) error {
	head := make([]byte, 1024)
	read, err := io.ReadFull(doc.file, head)
	if read == 0 {
		return &Error{code: CodeFile, Field: doc.path, Err: err}
	}
	if !bytes.Contains(head[:read], []byte("%PDF-")) && !extract.IsPicture(head[:read]) {
		return &Error{code: CodeNotPDF, Entry: n, Field: doc.path}
	}
	if _, err := doc.file.Seek(0, io.SeekStart); err != nil {
		return &Error{code: CodeFile, Field: doc.path, Err: err}
	}
	return nil
}

// entryLike is a file name that begins with the name of an entry: "S208.pdf",
// "s208-2.pdf".
var entryLike = regexp.MustCompile(`^([KkSs][1-9][0-9]{0,6})(?:[^0-9].*)?$`)

// rightScan watches for the commonest accident of the service, the wrong scan
// on the right line: a file that is named after another entry is refused, and
// one that is the plaintext of a kriptogram; one whose octets are the scan of
// another entry is told.
func (d *Desk) rightScan(ctx context.Context, doc document, p AttachParams) error {
	if m := entryLike.FindStringSubmatch(doc.base); m != nil && !p.Anyway && !strings.EqualFold(m[1], p.Name.String()) {
		return &Error{code: CodeScanName, Entry: p.Name, Field: doc.path}
	}
	if err := d.noPlaintext(ctx, p.Name, doc); err != nil {
		return err
	}
	if p.Same == nil {
		return nil
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, doc.file); err != nil {
		return &Error{code: CodeFile, Field: doc.path, Err: err}
	}
	if _, err := doc.file.Seek(0, io.SeekStart); err != nil {
		return &Error{code: CodeFile, Field: doc.path, Err: err}
	}
	others, err := d.Book.AttachedTo(ctx, agenda.Hash(sum.Sum(nil)))
	if err != nil {
		return err
	}
	others = slices.DeleteFunc(others, func(n agenda.Name) bool { return n == p.Name })
	if len(others) > 0 {
		p.Same(doc.path, others)
	}
	return nil
}

// Orders are the links of the whole chain of a service as the profile has it.
func (d *Desk) Orders(b agenda.BookName) []agenda.Order {
	var chain []agenda.Order
	for _, l := range d.Config.Profile.Chain(string(b)) {
		chain = append(chain, agenda.Order{From: l.From, To: l.To})
	}
	return chain
}

// Assign records orders for an entry as they were given on paper, one without a
// time as given now. A link that stands already is recorded again only when the
// time or the words that are said of it are others.
func (d *Desk) Assign(ctx context.Context, who agenda.Actor, e agenda.Entry, orders []agenda.Order) (made, stood []agenda.Order, err error) {
	for _, o := range orders {
		i := slices.IndexFunc(e.Orders, func(was agenda.Order) bool {
			return was.From == o.From && was.To == o.To && (o.At.IsZero() || o.At.Equal(was.At)) && (o.Text == "" || o.Text == was.Text)
		})
		if i >= 0 {
			stood = append(stood, e.Orders[i])
			continue
		}
		if o.At.IsZero() {
			o.At = d.Now().Truncate(time.Minute)
		}
		made = append(made, o)
	}
	// The book says why a voided entry takes no order.
	if len(made) == 0 && e.State != agenda.StateVoid {
		return nil, stood, nil
	}
	return made, stood, d.Book.Order(ctx, who, e.ID, e.Last, made)
}
