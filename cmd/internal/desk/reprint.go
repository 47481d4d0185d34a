package desk

import (
	"context"
	"crypto/sha256"
	"io"
	"slices"

	"sandi/agenda"
	"sandi/agenda/extract"
	"sandi/mail"
)

// What was sent or reported once is printed again from what was kept then,
// never made anew: profile, names and addresses may have changed since.

// PrintCover writes the cover sheets of an entry from its frozen messages: the
// text that each copy went out with. copyNo chooses one copy, 0 is all.
func (d *Desk) PrintCover(ctx context.Context, w io.Writer, name agenda.Name, copyNo int, format string) error {
	e, err := d.Book.Entry(ctx, name)
	if err != nil {
		return err
	}
	copies := e.Copies
	if copyNo != 0 {
		c, err := copyOf(e, copyNo)
		if err != nil {
			return err
		}
		copies = []agenda.Copy{c}
	}
	var covers []extract.Cover
	for _, c := range copies {
		if c.Message == (agenda.Hash{}) || c.State == agenda.CopyCancelled && copyNo == 0 {
			continue
		}
		text, err := d.coverOf(ctx, e.Name, c)
		if err != nil {
			return err
		}
		covers = append(covers, extract.Cover{Entry: e.Name.String(), Copy: c.Copy, Of: len(e.Copies), Sent: sentWords(c), Text: string(text)})
	}
	if len(covers) == 0 {
		return &Error{code: CodeNotSent, Entry: e.Name, Detail: string(e.State)}
	}
	if format == FormatText {
		return extract.CoversText(w, covers)
	}
	return extract.Covers(w, d.page(false), covers)
}

// coverOf reads the cover of a copy out of its frozen message, which is what
// the book says or is not used.
func (d *Desk) coverOf(ctx context.Context, n agenda.Name, c agenda.Copy) ([]byte, error) {
	message, err := d.Vault.OpenChecked(ctx, c.Message, c.Size)
	if err != nil {
		return nil, &Error{code: CodeDamaged, Entry: n, Err: err}
	}
	defer message.Close()
	m, err := mail.Parse(message, c.Size)
	if err != nil {
		return nil, &Error{code: CodeDamaged, Entry: n, Err: err}
	}
	return m.Cover, nil
}

// sentWords say what became of a copy.
func sentWords(c agenda.Copy) string {
	switch c.State {
	case agenda.CopyAccepted:
		return "diterima server " + extract.DateTime(c.SettledAt)
	case agenda.CopyEvidenced:
		return remark(c) + ", " + extract.DateTime(c.SettledAt)
	}
	return remark(c)
}

// Reported returns the sheets of the last reports on the entries as they were
// recorded: one for the head of the office and one for each applicant, or only
// one of the two kinds. A sheet that covers several entries comes once. Text
// was not kept and is nil.
func (d *Desk) Reported(ctx context.Context, names []agenda.Name, to string) ([]Report, error) {
	var reports []Report
	place := map[agenda.Hash]int{}
	for _, n := range names {
		e, err := d.Book.Entry(ctx, n)
		if err != nil {
			return nil, err
		}
		found := false
		for _, reader := range []string{ToHead, ToApplicant} {
			r, ok := lastReport(e, reader)
			if !ok || to != "" && to != reader {
				continue
			}
			found = true
			i, known := place[r.Object.SHA256]
			if !known {
				if agenda.Hash(sha256.Sum256(r.Object.Data)) != r.Object.SHA256 {
					return nil, &Error{code: CodeDamaged, Entry: e.Name}
				}
				i = len(reports)
				place[r.Object.SHA256] = i
				reports = append(reports, Report{To: reader, PDF: r.Object.Data})
				if reader == ToApplicant {
					reports[i].Applicant = e.Letter.Applicant
				}
			}
			reports[i].Entries = append(reports[i].Entries, e.Name)
		}
		if !found {
			if err := d.MayReport(ctx, []agenda.Name{n}); err != nil {
				return nil, err
			}
			return nil, refuseEntry(CodeNotReported, e.Name)
		}
	}
	slices.SortStableFunc(reports, func(x, y Report) int {
		switch {
		case x.To == y.To:
			return 0
		case x.To == ToHead:
			return -1
		}
		return 1
	})
	return reports, nil
}

// lastReport is the newest report of result for a reader.
func lastReport(e agenda.Entry, to string) (agenda.ReportRecord, bool) {
	for _, r := range slices.Backward(e.Reports) {
		if r.Kind == "result" && r.To == to {
			return r, true
		}
	}
	return agenda.ReportRecord{}, false
}
