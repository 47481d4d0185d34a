package desk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"sandi/agenda"
	"sandi/cmd/internal/vault"
	"sandi/mail"
)

// Archive files the messages of an entry that left, in the box of its book
// and year, and records where they lie. Filing again changes nothing.
//
// The box is an export: the octets of record are those of the vault.
func (d *Desk) Archive(ctx context.Context, name agenda.Name, place string) (agenda.Entry, error) {
	e, err := d.Book.Entry(ctx, name)
	if err != nil {
		return e, err
	}
	if e.Archived != nil {
		return e, nil
	}
	if err := mayArchive(e); err != nil {
		return e, err
	}
	who, err := d.ActingOr(ctx, Clerk(e.Name.Book))
	if err != nil {
		return e, err
	}
	box := boxName(e)
	if err := os.MkdirAll(filepath.Dir(d.path(boxFolder, box)), 0o700); err != nil {
		return e, err
	}
	f, release, err := vault.OpenBox(d.path(boxFolder, box))
	if err != nil {
		return e, err
	}
	rec := agenda.ArchiveRecord{Box: box, Place: place}
	err = d.fillBox(ctx, f, box, e, &rec)
	if err == nil {
		// The box is on disk before the event names its octets; a crash
		// between leaves a tail that the next run moves aside.
		err = d.Book.Archive(ctx, who, e.ID, e.Last, rec)
	}
	if err = errors.Join(err, release()); err != nil {
		return e, err
	}
	return d.Book.EntryByID(ctx, e.ID)
}

// MayArchive says whether an entry can be filed now, or is filed already.
func (d *Desk) MayArchive(ctx context.Context, name agenda.Name) error {
	e, err := d.Book.Entry(ctx, name)
	if err != nil || e.Archived != nil {
		return err
	}
	return mayArchive(e)
}

func mayArchive(e agenda.Entry) error {
	if !agenda.Allowed(e.Name.Book, agenda.StepArchive, e.State) {
		return &Error{code: CodeNotSent, Entry: e.Name, Detail: string(e.State)}
	}
	return nil
}

func boxName(e agenda.Entry) string {
	return filepath.ToSlash(filepath.Join(strconv.Itoa(e.Name.Year), string(e.Name.Book)+".mbox"))
}

func (d *Desk) fillBox(ctx context.Context, f *os.File, box string, e agenda.Entry, rec *agenda.ArchiveRecord) error {
	end, err := d.Book.BoxEnd(ctx, box)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	switch {
	case st.Size() < end:
		return &Error{code: CodeDamaged, Entry: e.Name, Field: box}
	case st.Size() > end:
		aside := fmt.Sprintf("%s.sisa-%s", f.Name(), d.Now().UTC().Format("20060102T150405.000"))
		if err := vault.MoveAsideTail(f, end, aside); err != nil {
			return err
		}
	}
	from, err := mail.ParseAddress(d.Config.Gateway.From)
	if err != nil {
		return err
	}
	for _, c := range e.Copies {
		if c.State != agenda.CopyAccepted && c.State != agenda.CopyEvidenced {
			continue
		}
		if err := d.Vault.Check(ctx, c.Message, c.Size); err != nil {
			return &Error{code: CodeDamaged, Entry: e.Name, Err: err}
		}
		msg, err := d.Vault.Open(c.Message)
		if err != nil {
			return err
		}
		at := c.SettledAt
		if at.IsZero() {
			at = e.ReleasedAt
		}
		off, n, err := mail.AppendMbox(f, from, at, msg)
		msg.Close()
		if err != nil {
			return err
		}
		rec.Copies = append(rec.Copies, agenda.ArchivedCopy{Copy: c.Copy, Offset: off, Length: n})
	}
	return nil
}

func itoa(n int) string { return strconv.Itoa(n) }
