package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/vault"
	"sandi/mail"
)

// Archive files the messages of an entry that left, in the box of its book
// and year, and records where they lie. Filing again changes nothing.
//
// The box is an export: the octets of record are those of the vault.
func (d *Desk) Archive(ctx context.Context, name agenda.Name, place string) (agenda.Entry, error) {
	entries, errs := d.ArchiveAll(ctx, []agenda.Name{name}, place)
	return entries[0], errs[0]
}

// maxFiling bounds how many entries are filed with one sync, so that a crash
// leaves little to be filed again.
const maxFiling = 64

// ArchiveAll is Archive for several entries; an error stands in the place of
// its entry. Those of one box are appended together and recorded together.
func (d *Desk) ArchiveAll(ctx context.Context, names []agenda.Name, place string) ([]agenda.Entry, []error) {
	hurry(len(names))
	entries, errs := make([]agenda.Entry, len(names)), make([]error, len(names))
	d.each(ctx, errs, func(ctx context.Context, i int) (err error) {
		if entries[i], err = d.brief(ctx, names[i]); err != nil {
			return err
		}
		if boxed(entries[i]) { // since when is told
			entries[i], err = d.Book.EntryByID(ctx, entries[i].ID)
			return err
		}
		if err := mayArchive(entries[i]); err != nil {
			return err
		}
		return d.wholeMessages(ctx, entries[i])
	})
	open := map[string][]int{}
	var boxes []string
	for i, e := range entries {
		if errs[i] != nil || boxed(e) {
			continue
		}
		box := boxName(e)
		if open[box] == nil {
			boxes = append(boxes, box)
		}
		open[box] = append(open[box], i)
	}
	for _, box := range boxes {
		all := make([]agenda.Entry, len(open[box]))
		for k, i := range open[box] {
			all[k] = entries[i]
		}
		for k, err := range d.file(ctx, box, place, all, maxFiling) {
			errs[open[box][k]] = err
		}
	}
	d.reread(ctx, entries, errs)
	return entries, errs
}

// wholeMessages sees that the vault holds what will be filed.
func (d *Desk) wholeMessages(ctx context.Context, e agenda.Entry) error {
	for _, c := range filed(e) {
		if err := d.Vault.Check(ctx, c.Message, c.Size); err != nil {
			return &Error{code: CodeDamaged, Entry: e.Name, Err: err}
		}
	}
	return nil
}

// boxed tells whether an entry was filed.
func boxed(e agenda.Entry) bool {
	return slices.ContainsFunc(e.Copies, func(c agenda.Copy) bool { return c.Box != "" })
}

// filed are the copies of an entry that belong into the box.
func filed(e agenda.Entry) []agenda.Copy {
	var copies []agenda.Copy
	for _, c := range e.Copies {
		if c.State == agenda.CopyAccepted || c.State == agenda.CopyEvidenced {
			copies = append(copies, c)
		}
	}
	return copies
}

// file appends the messages of entries to their box and records them, at most
// so many entries together: while a part is recorded the next one is appended.
// It returns the error of each entry.
func (d *Desk) file(ctx context.Context, box, place string, entries []agenda.Entry, most int) []error {
	errs := make([]error, len(entries))
	fail := func(part []error, err error) {
		for i := range part {
			part[i] = err
		}
	}
	who, err := d.ActingOr(ctx, clerks(entries[0].Name.Book)...)
	if err != nil {
		fail(errs, err)
		return errs
	}
	f, release, err := d.openBox(box, "")
	if err != nil {
		fail(errs, err)
		return errs
	}
	var recording sync.WaitGroup
	var fault error // of the recording
	sound := false  // behind the recorded messages lie only those that are being recorded
	for from := 0; from < len(entries); from += most {
		to := min(from+most, len(entries))
		records, err := d.fillPart(ctx, f, box, place, entries[from:to], sound)
		recording.Wait()
		if keyTrouble(fault) {
			fail(errs[from:], fault) // the book takes nothing: it would meet every part
			break
		}
		if fault != nil {
			// What was appended lies behind messages that nothing names: once more.
			fault = nil
			records, err = d.fillPart(ctx, f, box, place, entries[from:to], false)
		}
		if sound = err == nil; !sound {
			fail(errs[from:to], err)
			continue
		}
		if len(records) == 0 {
			continue // others filed them
		}
		recording.Go(func() {
			// The box is on disk before the event names its octets; a crash
			// between leaves a tail that the next run moves aside. Ctrl-C comes
			// too late for what is in the box.
			if fault = d.Book.ArchiveAll(context.WithoutCancel(ctx), who, records); fault != nil {
				fail(errs[from:to], fault)
			}
		})
	}
	recording.Wait()
	if err := release(); err != nil {
		for i := range errs {
			errs[i] = errors.Join(errs[i], err)
		}
	}
	return errs
}

// fillPart puts the messages of the entries that nobody else filed behind the
// others of the box, and first sees that no tail lies there unless that is
// known.
func (d *Desk) fillPart(ctx context.Context, f *os.File, box, place string, entries []agenda.Entry, sound bool) ([]agenda.Archiving, error) {
	if !sound {
		if err := d.asideTail(ctx, f, box); err != nil {
			return nil, err
		}
	}
	entries, err := d.unfiled(ctx, entries)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	return d.fillBox(ctx, f, box, place, entries)
}

// unfiled leaves out what another process filed before this one had the lock
// of the box; who changed anything else of an entry has its word.
func (d *Desk) unfiled(ctx context.Context, entries []agenda.Entry) ([]agenda.Entry, error) {
	ids := make([]int64, len(entries))
	for i, e := range entries {
		ids[i] = e.ID
	}
	now, err := d.Book.Brief(ctx, ids)
	if err != nil {
		return nil, err
	}
	var open []agenda.Entry
	for i, e := range entries {
		if now[i].Last == e.Last {
			open = append(open, e)
			continue
		}
		if e, err = d.Book.EntryByID(ctx, e.ID); err != nil {
			return nil, err
		}
		if e.Archived != nil {
			continue
		}
		if err := mayArchive(e); err != nil {
			return nil, err
		}
		open = append(open, e)
	}
	return open, nil
}

// MayArchive says whether an entry can be filed now, or is filed already.
func (d *Desk) MayArchive(ctx context.Context, name agenda.Name) error {
	e, err := d.Book.Entry(ctx, name)
	if err != nil || e.Archived != nil {
		return err
	}
	if err := mayArchive(e); err != nil {
		return err
	}
	if err := d.wholeMessages(ctx, e); err != nil {
		return err
	}
	who, err := d.ActingOr(ctx, Clerk(e.Name.Book))
	if err != nil {
		return err
	}
	return d.rehearse(ctx, who)
}

func mayArchive(e agenda.Entry) error {
	if !agenda.Allowed(e.Name.Book, agenda.StepArchive, e.State) {
		return notSent(e)
	}
	return nil
}

// notSent refuses what comes after the sending. Its detail is the state of the
// entry or, when no copy is left that `send` could bring on, that of those which
// a person has to settle: doubt or handed.
func notSent(e agenda.Entry) *Error {
	var left agenda.CopyState
	for _, c := range e.Copies {
		switch {
		case e.State != agenda.StateReleased:
		case pending(c.State), c.State == agenda.CopyRejected:
			return &Error{code: CodeNotSent, Entry: e.Name, Detail: string(e.State)}
		case c.State == agenda.CopyDoubt, c.State == agenda.CopyHanded && left == "":
			left = c.State
		}
	}
	return &Error{code: CodeNotSent, Entry: e.Name, Detail: cmp.Or(string(left), string(e.State))}
}

func boxName(e agenda.Entry) string {
	return filepath.ToSlash(filepath.Join(strconv.Itoa(e.Name.Year), string(e.Name.Book)+".mbox"))
}

// asideTail moves away what a process left behind the recorded messages.
func (d *Desk) asideTail(ctx context.Context, f *os.File, box string) error {
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
		return &Error{code: CodeDamaged, Field: box, Detail: BoxShort}
	case st.Size() > end:
		if err := d.Book.CheckBoxEnd(ctx, box, end); err != nil {
			return err
		}
		aside := fmt.Sprintf("%s.sisa-%s", f.Name(), d.Now().UTC().Format("20060102T150405.000"))
		_, err := vault.MoveAsideTail(f, end, aside)
		return err
	}
	return nil
}

// filedAt is the time in front of a message in its box.
func filedAt(e agenda.Entry, c agenda.Copy) time.Time {
	if c.SettledAt.IsZero() {
		return e.ReleasedAt
	}
	return c.SettledAt
}

func (d *Desk) fillBox(ctx context.Context, f *os.File, box, place string, entries []agenda.Entry) ([]agenda.Archiving, error) {
	var messages []mail.MboxMessage
	defer func() {
		for _, m := range messages {
			m.Message.(io.Closer).Close()
		}
	}()
	for _, e := range entries {
		for _, c := range filed(e) {
			msg, err := d.Vault.Open(c.Message)
			if err != nil {
				return nil, err
			}
			messages = append(messages, mail.MboxMessage{At: filedAt(e, c), Message: msg})
		}
	}
	from, err := mail.ParseAddress(d.Config.Gateway.From)
	if err != nil {
		return nil, err
	}
	extents, err := mail.AppendMboxAll(f, from, messages)
	err = vault.Storage(f.Name(), err)
	if err != nil {
		return nil, err
	}
	records := make([]agenda.Archiving, len(entries))
	for i, e := range entries {
		r := agenda.ArchiveRecord{Box: box, Place: place}
		for _, c := range filed(e) {
			r.Copies = append(r.Copies, agenda.ArchivedCopy{Copy: c.Copy, Offset: extents[0].Offset, Length: extents[0].Length})
			extents = extents[1:]
		}
		records[i] = agenda.Archiving{ID: e.ID, Last: e.Last, Record: r}
	}
	return records, nil
}

func itoa(n int) string { return strconv.Itoa(n) }
