package desk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

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

// BoxPath is the file of an archive box.
func (d *Desk) BoxPath(box string) string { return d.path(boxFolder, filepath.FromSlash(box)) }

// Words of BoxProblem.Why.
const (
	BoxMissing = "missing" // no such box
	BoxUnknown = "unknown" // a box in which nothing was filed
	BoxShort   = "short"   // shorter than what was filed
	BoxGap     = "gap"     // octets in front of what was filed
	BoxTail    = "tail"    // octets behind what was filed, and not of a letter that is to be
	BoxMode    = "mode"    // writable
	BoxMessage = "message" // not the message that was sent
	BoxTime    = "time"    // the message, behind a separator line of another time
	BoxVault   = "vault"   // the frozen message is missing or damaged
)

// BoxProblem is something wrong with an archive box.
type BoxProblem struct {
	Box    string
	Entry  agenda.Name // zero: the box as a whole
	Copy   int
	Why    string
	Extent mail.Extent // of the octets concerned; zero: the box as a whole
}

// BoxUnfinished is a tail of a box that is as it should be: messages of letters
// that are being filed, or whose filing broke off. The next filing moves aside
// what was left.
type BoxUnfinished struct {
	Box     string
	Extent  mail.Extent
	Entries []agenda.Name
}

// BoxReport is what a check of the archive found.
type BoxReport struct {
	Boxes, Messages int
	Octets          int64
	Problems        []BoxProblem
	Unfinished      []BoxUnfinished
}

// VerifyBoxes compares every filed message with the octets of record, and looks
// for octets of the boxes that no record names.
func (d *Desk) VerifyBoxes(ctx context.Context) (BoxReport, error) {
	var r BoxReport
	// The sizes before the records: of what lies in a box by then the letter is
	// in the book, filed or waiting.
	sizes, err := d.boxSizes()
	if err != nil {
		return r, err
	}
	all, err := d.Boxed(ctx, agenda.Filter{Mailed: true})
	if err != nil {
		return r, err
	}
	filed := map[string][]Filed{}
	for _, x := range all {
		filed[x.Copy.Box] = append(filed[x.Copy.Box], x)
	}
	for box, size := range sizes {
		if size > 0 && filed[box] == nil {
			filed[box] = []Filed{}
		}
	}
	for _, box := range slices.Sorted(maps.Keys(filed)) {
		if err := d.verifyBox(ctx, box, sizes[box], filed[box], &r); err != nil {
			return r, err
		}
	}
	return r, nil
}

// boxSizes are the boxes in the archive folder, also those of nobody.
func (d *Desk) boxSizes() (map[string]int64, error) {
	sizes := map[string]int64{}
	root := d.path(boxFolder)
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !strings.HasSuffix(p, ".mbox") {
			return err
		}
		st, err := os.Stat(p)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !st.Mode().IsRegular() {
			return nil
		}
		if err != nil {
			return err
		}
		box, err := filepath.Rel(root, p)
		sizes[filepath.ToSlash(box)] = st.Size()
		return err
	})
	return sizes, err
}

func (d *Desk) verifyBox(ctx context.Context, box string, size int64, filed []Filed, r *BoxReport) error {
	r.Boxes++
	f, err := os.Open(d.BoxPath(box))
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
	r.Messages += len(filed)
	if n := len(filed); n > 0 && st.Size() < filed[n-1].Copy.Offset+filed[n-1].Copy.Length {
		r.Problems = append(r.Problems, BoxProblem{Box: box, Why: BoxShort})
	}
	if writable, err := leftWritable(ctx, f); err != nil {
		return err
	} else if writable {
		r.Problems = append(r.Problems, BoxProblem{Box: box, Why: BoxMode})
	}
	why := make([]string, len(filed))
	err = inParallel(ctx, len(filed), func(ctx context.Context, i int) (err error) {
		why[i], err = d.verifyFiled(ctx, f, filed[i].Copy)
		return err
	})
	if err != nil {
		return err
	}
	gaps, end, err := d.unnamed(f, size, filed, why)
	if err != nil {
		return err
	}
	for i, w := range why {
		if c := filed[i].Copy; w != "" {
			r.Problems = append(r.Problems, BoxProblem{
				Box: box, Entry: filed[i].Entry.Name, Copy: c.Copy, Why: w, Extent: mail.Extent{Offset: c.Offset, Length: c.Length},
			})
		}
	}
	for _, gap := range gaps {
		r.Problems = append(r.Problems, BoxProblem{Box: box, Why: BoxGap, Extent: gap})
	}
	if size <= end {
		return nil
	}
	tail := mail.Extent{Offset: end, Length: size - end}
	entries, err := d.unfinished(ctx, f, box, tail)
	switch {
	case err != nil:
		return err
	case entries != nil:
		r.Unfinished = append(r.Unfinished, BoxUnfinished{Box: box, Extent: tail, Entries: entries})
	case len(filed) == 0:
		r.Problems = append(r.Problems, BoxProblem{Box: box, Why: BoxUnknown, Extent: tail})
	default:
		r.Problems = append(r.Problems, BoxProblem{Box: box, Why: BoxTail, Extent: tail})
	}
	return nil
}

// leftWritable tells whether a box can be written and stays so: whoever files
// opens it for a moment.
func leftWritable(ctx context.Context, f *os.File) (bool, error) {
	for range 20 {
		st, err := f.Stat()
		if err != nil || st.Mode().Perm()&0o200 == 0 {
			return false, err
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return false, err
		}
	}
	return true, nil
}

// unnamed finds the octets of a box in front of its messages that no record
// names, and where they end. Whatever is put between two messages moves those
// behind it: they are looked for, and one that is whole elsewhere loses its
// word in why. One that is whole gets a word for the time in front of it, which
// is all that the frozen message does not tell. The octets of one that is nowhere count as if they lay behind
// the message before it.
func (d *Desk) unnamed(f io.ReaderAt, size int64, filed []Filed, why []string) (gaps []mail.Extent, end int64, err error) {
	var starts map[string][]int64
	if slices.Contains(why, BoxMessage) {
		if starts, err = mail.FindMbox(io.NewSectionReader(f, 0, size)); err != nil {
			return nil, 0, err
		}
	}
	lost := int64(0) // octets behind end that are of messages that are nowhere
	for i, x := range filed {
		at := x.Copy.Offset
		if why[i] == BoxMessage {
			var found bool
			if at, found, err = d.displaced(f, end, starts[x.Copy.MessageID], x.Copy); err != nil {
				return nil, 0, err
			}
			if found {
				why[i] = ""
			}
		}
		if why[i] != "" {
			lost += x.Copy.Length
			continue
		}
		if end += lost; at > end {
			gaps = append(gaps, mail.Extent{Offset: end, Length: at - end})
		}
		end, lost = at+x.Copy.Length, 0
		if err := mail.CheckMboxTime(f, at, filedAt(x.Entry, x.Copy)); coded(err) == mail.CodeMbox {
			why[i] = BoxTime
		} else if err != nil {
			return nil, 0, err
		}
	}
	return gaps, end + lost, nil
}

// displaced finds a filed message at one of the places behind from.
func (d *Desk) displaced(f io.ReaderAt, from int64, places []int64, c agenda.Copy) (at int64, found bool, err error) {
	for _, at := range places {
		if at < from {
			continue
		}
		frozen, err := d.Vault.Open(c.Message)
		if err != nil {
			return 0, false, err
		}
		err = mail.CheckMbox(f, at, c.Length, frozen)
		frozen.Close()
		if err == nil {
			return at, true, nil
		}
		if coded(err) != mail.CodeMbox {
			return 0, false, err
		}
	}
	return 0, false, nil
}

// unfinished names the letters of which a tail holds the messages, the last
// perhaps in part, as a filing appends them before it records them; none when
// anything else lies there.
func (d *Desk) unfinished(ctx context.Context, f io.ReaderAt, box string, tail mail.Extent) ([]agenda.Name, error) {
	from, err := mail.ParseAddress(d.Config.Gateway.From)
	if err != nil {
		return nil, err
	}
	var waiting []Filed
	err = d.Book.Each(ctx, agenda.Filter{Mailed: true}, func(e agenda.Entry) error {
		for _, c := range filed(e) {
			// Also what was filed since the records were read.
			if boxName(e) == box && (c.Box == "" || c.Offset >= tail.Offset) {
				waiting = append(waiting, Filed{e, c})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var names []agenda.Name
	for left := tail; left.Length > 0; {
		var n int64
		for i, x := range waiting {
			if n, err = d.matchFiled(io.NewSectionReader(f, left.Offset, left.Length), from, x); err != nil {
				return nil, err
			}
			if n > 0 {
				names = append(names, x.Entry.Name)
				waiting = slices.Delete(waiting, i, i+1)
				break
			}
		}
		if n == 0 {
			return nil, nil
		}
		left.Offset, left.Length = left.Offset+n, left.Length-n
	}
	return slices.Compact(names), nil
}

// matchFiled is mail.MatchMbox for the frozen message of a copy.
func (d *Desk) matchFiled(box io.Reader, from mail.Address, x Filed) (int64, error) {
	msg, err := d.Vault.Open(x.Copy.Message)
	if errors.Is(err, vault.ErrMissing) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer msg.Close()
	return mail.MatchMbox(box, from, mail.MboxMessage{At: filedAt(x.Entry, x.Copy), Message: msg})
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
	box, err := os.Open(d.BoxPath(c.Box))
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
	if err := newFolder(out); err != nil {
		return 0, err
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
	if errors.Is(err, vault.ErrExists) { // nothing overwrites a box
		err = &Error{code: CodeOutThere, Field: path}
	}
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
	off, n, err := mail.AppendMbox(f, *from, filedAt(x.Entry, x.Copy), msg)
	return mail.Extent{Offset: off, Length: n}, vault.Storage(f.Name(), err)
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
	path := d.BoxPath(box)
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
		if aside, err = vault.MoveAsideTail(f, 0, aside); err != nil {
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
	path := d.BoxPath(box)
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
