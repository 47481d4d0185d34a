package desk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sandi/agenda"
	"sandi/cmd/internal/vault"
	"sandi/mail"
)

// Filed is a message in an archive box.
type Filed struct {
	Entry agenda.Entry
	Copy  agenda.Copy
}

// Boxed lists the messages of the archive, by box and place in it.
func (d *Desk) Boxed(ctx context.Context, f agenda.Filter) ([]Filed, error) {
	var all []Filed
	err := d.Book.Each(ctx, f, func(e agenda.Entry) error {
		for _, c := range e.Copies {
			if c.Box != "" {
				all = append(all, Filed{e, c})
			}
		}
		return nil
	})
	slices.SortFunc(all, func(x, y Filed) int {
		if n := strings.Compare(x.Copy.Box, y.Copy.Box); n != 0 {
			return n
		}
		return int(min(max(x.Copy.Offset-y.Copy.Offset, -1), 1))
	})
	return all, err
}

// Words of BoxProblem.Why.
const (
	BoxMissing = "missing" // no such box
	BoxShort   = "short"   // shorter than what was filed
	BoxTail    = "tail"    // octets behind what was filed
	BoxMode    = "mode"    // writable
	BoxMessage = "message" // not the message that was sent
	BoxVault   = "vault"   // the frozen message is missing or damaged
)

// BoxProblem is something wrong with an archive box.
type BoxProblem struct {
	Box   string
	Entry agenda.Name // zero: the box as a whole
	Copy  int
	Why   string
}

// BoxReport is what a check of the archive found.
type BoxReport struct {
	Boxes, Messages int
	Octets          int64
	Problems        []BoxProblem
}

// VerifyBoxes compares every filed message with the octets of record.
func (d *Desk) VerifyBoxes(ctx context.Context) (BoxReport, error) {
	var r BoxReport
	all, err := d.Boxed(ctx, agenda.Filter{Mailed: true})
	if err != nil {
		return r, err
	}
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Copy.Box == all[0].Copy.Box {
			n++
		}
		if err := d.verifyBox(ctx, all[:n], &r); err != nil {
			return r, err
		}
		all = all[n:]
	}
	return r, nil
}

func (d *Desk) verifyBox(ctx context.Context, filed []Filed, r *BoxReport) error {
	box := filed[0].Copy.Box
	r.Boxes++
	f, err := os.Open(d.path(boxFolder, filepath.FromSlash(box)))
	if errors.Is(err, os.ErrNotExist) {
		r.Problems = append(r.Problems, BoxProblem{Box: box, Why: BoxMissing})
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	r.Octets += st.Size()
	last := filed[len(filed)-1].Copy
	switch end := last.Offset + last.Length; {
	case st.Size() < end:
		r.Problems = append(r.Problems, BoxProblem{Box: box, Why: BoxShort})
	case st.Size() > end:
		r.Problems = append(r.Problems, BoxProblem{Box: box, Why: BoxTail})
	}
	if st.Mode().Perm()&0o200 != 0 {
		r.Problems = append(r.Problems, BoxProblem{Box: box, Why: BoxMode})
	}
	why := make([]string, len(filed))
	err = inParallel(ctx, len(filed), func(ctx context.Context, i int) (err error) {
		why[i], err = d.verifyFiled(ctx, f, filed[i].Copy)
		return err
	})
	for i, w := range why {
		r.Messages++
		if w != "" {
			r.Problems = append(r.Problems, BoxProblem{Box: box, Entry: filed[i].Entry.Name, Copy: filed[i].Copy.Copy, Why: w})
		}
	}
	return err
}

func (d *Desk) verifyFiled(ctx context.Context, box io.ReaderAt, c agenda.Copy) (why string, err error) {
	frozen, err := d.Vault.OpenChecked(ctx, c.Message, c.Size)
	switch {
	case errors.Is(err, vault.ErrMissing), errors.Is(err, vault.ErrDamaged):
		return BoxVault, nil
	case err != nil:
		return "", err
	}
	defer frozen.Close()
	if err := mail.CheckMbox(box, c.Offset, c.Length, frozen); coded(err) == mail.CodeMbox {
		return BoxMessage, nil
	} else if err != nil {
		return "", err
	}
	return "", nil
}

// ShowFiled writes the message of a filed copy: read in one piece from its
// place in the box, compared with the octets of record, and written as those.
func (d *Desk) ShowFiled(ctx context.Context, w io.Writer, name agenda.Name, copyNo int) (Filed, error) {
	e, err := d.Book.Entry(ctx, name)
	if err != nil {
		return Filed{}, err
	}
	if in := filed(e); copyNo == 0 && len(in) == 1 { // of the others nothing was filed
		copyNo = in[0].Copy
	}
	c, err := copyOf(e, copyNo)
	if err != nil {
		return Filed{Entry: e}, err
	}
	if c.Box == "" {
		return Filed{e, c}, refuseEntry(CodeNotArchived, name)
	}
	box, err := os.Open(d.path(boxFolder, filepath.FromSlash(c.Box)))
	if err != nil {
		return Filed{e, c}, &Error{code: CodeDamaged, Entry: name, Field: c.Box, Err: err}
	}
	defer box.Close()
	why, err := d.verifyFiled(ctx, box, c)
	if err != nil {
		return Filed{e, c}, err
	}
	if why != "" {
		return Filed{e, c}, &Error{code: CodeDamaged, Entry: name, Field: c.Box, Detail: why}
	}
	frozen, err := d.Vault.Open(c.Message)
	if err != nil {
		return Filed{e, c}, err
	}
	defer frozen.Close()
	_, err = io.Copy(w, frozen)
	return Filed{e, c}, err
}

// ExportFiled copies filed messages out: into a new mbox when out ends in
// .mbox, else into a new folder, a .eml file each. It returns how many.
func (d *Desk) ExportFiled(ctx context.Context, filed []Filed, out string) (int, error) {
	for _, x := range filed {
		if err := d.wholeMessages(ctx, x.Entry); err != nil {
			return 0, err
		}
	}
	if strings.HasSuffix(out, ".mbox") {
		return d.exportMbox(filed, out)
	}
	if err := os.Mkdir(out, 0o700); err != nil {
		return 0, &Error{code: CodeFile, Field: out, Err: err}
	}
	for i, x := range filed {
		name := strings.ReplaceAll(x.Entry.Name.Long(), "/", "-") + "-salinan-" + itoa(x.Copy.Copy) + ".eml"
		if err := d.exportObject(x.Copy.Message, filepath.Join(out, name)); err != nil {
			return i, err
		}
	}
	return len(filed), nil
}

func (d *Desk) exportMbox(filed []Filed, path string) (int, error) {
	out, err := vault.NewOutput(path, false)
	if err != nil {
		return 0, err
	}
	defer out.Abort()
	if _, err := d.appendFiled(out.File(), filed, nil); err != nil {
		return 0, err
	}
	return len(filed), out.Commit()
}

// appendFiled appends messages as they were filed. from gives the address of
// the separator line; nil takes the one in the message.
func (d *Desk) appendFiled(f *os.File, filed []Filed, from *mail.Address) ([]mail.Extent, error) {
	var extents []mail.Extent
	for _, x := range filed {
		one, err := d.appendOne(f, x, from)
		if err != nil {
			return extents, err
		}
		extents = append(extents, one)
	}
	return extents, nil
}

func (d *Desk) appendOne(f *os.File, x Filed, from *mail.Address) (mail.Extent, error) {
	msg, err := d.Vault.Open(x.Copy.Message)
	if err != nil {
		return mail.Extent{}, err
	}
	defer msg.Close()
	if from == nil {
		parsed, err := mail.Parse(msg, x.Copy.Size)
		if err != nil {
			return mail.Extent{}, err
		}
		sender, err := mail.ParseAddress(parsed.From)
		if err != nil {
			return mail.Extent{}, err
		}
		from = &sender
	}
	at := x.Copy.SettledAt
	if at.IsZero() {
		at = x.Entry.ReleasedAt
	}
	off, n, err := mail.AppendMbox(f, *from, at, msg)
	return mail.Extent{Offset: off, Length: n}, err
}

// RebuildBox writes a box anew from the octets of record. The places of its
// messages are on record, so the new box must have them at the same places;
// else nothing is changed. What was there before is kept aside, in the file
// that it names; "" when there was nothing.
func (d *Desk) RebuildBox(ctx context.Context, box string) (n int, aside string, err error) {
	// Only a box of the book is ever opened.
	if _, err := d.wholeBox(ctx, box); err != nil {
		return 0, "", err
	}
	path := d.path(boxFolder, filepath.FromSlash(box))
	f, release, err := d.openBox(box, "rebuild")
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, release()) }()
	// Another process may have filed before this one had the lock.
	filed, err := d.wholeBox(ctx, box)
	if err != nil {
		return 0, "", err
	}
	from, err := d.trySeparators(path, filed)
	if err != nil {
		return 0, "", err
	}
	st, err := f.Stat()
	if err != nil {
		return 0, "", err
	}
	if st.Size() > 0 {
		// A crash from here on leaves a box that is too short, which the next
		// rebuild mends.
		aside = fmt.Sprintf("%s.lama-%s", path, d.Now().UTC().Format("20060102T150405.000"))
		if err := vault.MoveAsideTail(f, 0, aside); err != nil {
			return 0, "", err
		}
	}
	_, err = d.appendFiled(f, filed, from)
	return len(filed), aside, err
}

// MayRebuild tells how many messages a box would be written anew with.
func (d *Desk) MayRebuild(ctx context.Context, box string) (int, error) {
	filed, err := d.wholeBox(ctx, box)
	return len(filed), err
}

// wholeBox are the messages of one box by their places, all of them whole.
func (d *Desk) wholeBox(ctx context.Context, box string) ([]Filed, error) {
	all, err := d.Boxed(ctx, agenda.Filter{Mailed: true})
	if err != nil {
		return nil, err
	}
	filed := slices.DeleteFunc(all, func(x Filed) bool { return x.Copy.Box != box })
	if len(filed) == 0 {
		return nil, &Error{code: CodeNothing, Field: box, Detail: "box"}
	}
	for _, x := range filed {
		if err := d.Vault.Check(ctx, x.Copy.Message, x.Copy.Size); err != nil {
			return nil, &Error{code: CodeDamaged, Entry: x.Entry.Name, Err: err}
		}
	}
	return filed, nil
}

// openBox opens a box to be written, makes its folders and takes its lock; what
// tells a rebuild from a filing to who is turned away.
func (d *Desk) openBox(box, what string) (*os.File, func() error, error) {
	path := d.path(boxFolder, filepath.FromSlash(box))
	for _, folder := range []string{d.path(boxFolder), filepath.Dir(path)} {
		if err := vault.MakeFolder(folder); err != nil {
			return nil, nil, err
		}
	}
	f, release, err := vault.OpenBox(path)
	if coded(err) == vault.CodeLocked {
		err = &Error{code: CodeBoxBusy, Field: box, Detail: what}
	}
	return f, release, err
}

// trySeparators writes the box to a file without a name and finds which
// separator lines put the messages where they were.
func (d *Desk) trySeparators(path string, filed []Filed) (*mail.Address, error) {
	ours, err := mail.ParseAddress(d.Config.Gateway.From)
	if err != nil {
		return nil, err
	}
	for _, from := range []*mail.Address{&ours, nil} {
		trial, err := vault.NewOutput(path+".coba", false)
		if err != nil {
			return nil, err
		}
		extents, err := d.appendFiled(trial.File(), filed, from)
		trial.Abort()
		if err != nil {
			return nil, err
		}
		same := true
		for i, x := range filed {
			same = same && extents[i] == mail.Extent{Offset: x.Copy.Offset, Length: x.Copy.Length}
		}
		if same {
			return from, nil
		}
	}
	return nil, &Error{code: CodeDamaged, Field: filed[0].Copy.Box, Detail: "places"}
}
