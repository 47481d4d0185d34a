package desk

import (
	"bytes"
	"context"
	"io"

	"sandi/agenda"
)

// AttachParams say which scans belong to an ordinary letter.
type AttachParams struct {
	Name  agenda.Name
	Files []string // PDF, kept octet for octet, in the order typed
	Pages int      // of all files together; 0 = not said
}

// Attach does the scanning half of step 4 of service B. A classified letter
// never takes this path: its plaintext would lie in the vault.
func (d *Desk) Attach(ctx context.Context, p AttachParams) (agenda.Entry, error) {
	e, err := d.Book.Entry(ctx, p.Name)
	if err != nil {
		return e, err
	}
	if e.Name.Book != agenda.Surat || e.Letter.Class != agenda.ClassBiasa {
		return e, &Error{code: CodeClassScan, Entry: e.Name, Detail: string(e.Letter.Class)}
	}
	if !agenda.Allowed(e.Name.Book, agenda.StepAttach, e.State) {
		return e, &Error{code: CodeState, Entry: e.Name, Detail: string(e.State)}
	}
	docs, err := openDocuments(p.Files)
	if err != nil {
		return e, err
	}
	defer closeDocuments(docs)
	var total int64
	for _, doc := range docs {
		head := make([]byte, 1024)
		n, err := io.ReadFull(doc.file, head)
		if n == 0 {
			return e, &Error{code: CodeFile, Field: doc.path, Err: err}
		}
		if !bytes.Contains(head[:n], []byte("%PDF-")) {
			return e, &Error{code: CodeNotPDF, Entry: e.Name, Field: doc.path}
		}
		if _, err := doc.file.Seek(0, io.SeekStart); err != nil {
			return e, &Error{code: CodeFile, Field: doc.path, Err: err}
		}
		total += doc.size
	}
	if err := d.fitsGateway(e.Name, total); err != nil {
		return e, err
	}
	who, err := d.ActingOr(ctx, agenda.RoleOperator)
	if err != nil {
		return e, err
	}
	var scans []agenda.Attachment
	for i, doc := range docs {
		o, err := d.keep(doc.file, pdfMedia)
		if err != nil {
			return e, err
		}
		a := agenda.Attachment{Object: o}
		if i == 0 {
			a.Pages = p.Pages
		}
		scans = append(scans, a)
	}
	if err := d.Book.Attach(ctx, who, e.ID, e.Last, scans); err != nil {
		return e, err
	}
	return d.Book.EntryByID(ctx, e.ID)
}

// Orders are the links of the whole chain of a service as the profile has it.
func (d *Desk) Orders(b agenda.BookName) []agenda.Order {
	var chain []agenda.Order
	for _, l := range d.Config.Profile.Chain(string(b)) {
		chain = append(chain, agenda.Order{From: l.From, To: l.To})
	}
	return chain
}
