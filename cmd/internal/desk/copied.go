package desk

import (
	"context"

	"sandi/agenda"
)

// Found is what a command that moves copies found when it began.
type Found struct {
	Doubted []agenda.CopyRef // in doubt from now on, for whatever reason
	Copied  bool             // the folder is a copy
	Older   bool             // the book is not the one that sent last
}

// stopped tells whether nothing may leave by itself that waited before.
func (f Found) stopped() bool { return f.Copied || f.Older }

// recover runs before everything that moves copies, under the sender's lock:
// what a dead process left is settled, and a folder that was copied, or a book
// that is not the one that sent last, is treated like a restored one. Of two
// desks with one queue each would send all of it, and an older book sends what
// its successor has sent.
func (d *Desk) recover(ctx context.Context) (Found, error) {
	r, err := d.foresee(ctx)
	if err != nil {
		return Found{}, err
	}
	if r.Doubted, _, err = d.Book.Recover(ctx, d.Nobody()); err != nil {
		return Found{}, err
	}
	if r.stopped() {
		reason := "folder kerja disalin"
		if r.Older {
			reason = "bukan buku yang terakhir mengirim"
		}
		refs, err := d.Book.Restored(ctx, d.Nobody(), reason)
		if err != nil {
			return r, err
		}
		r.Doubted = append(r.Doubted, refs...)
	}
	// A crash before this doubts once more what is in doubt already.
	if err := d.settleHere(ctx); err != nil {
		return r, err
	}
	return r, d.beginSending(ctx)
}

// begin is recover for a command that sends nothing itself, and tells what it
// found also when it failed.
func (d *Desk) begin(ctx context.Context, tell func(Found)) (Found, error) {
	f, err := d.recover(ctx)
	if tell != nil {
		tell(f)
	}
	return f, err
}

// foresee is what recover will find, but for the copies. It changes nothing.
func (d *Desk) foresee(ctx context.Context) (Found, error) {
	mark, err := d.judgeMark(ctx)
	if err != nil {
		return Found{}, err
	}
	here, known, err := d.places(ctx)
	return Found{Copied: known != "" && here != known, Older: mark != markFits}, err
}

// settleHere remembers the place of the desk: where it was made, or sends from
// now on.
func (d *Desk) settleHere(ctx context.Context) error {
	here, known, err := d.places(ctx)
	if err != nil || here == known {
		return err
	}
	return d.Book.SetPlace(ctx, here)
}

// places are where the book lies and where it lay; both "" when nobody asks.
func (d *Desk) places(ctx context.Context) (here, known string, err error) {
	if d.opts.Place == nil {
		return "", "", nil
	}
	if here, err = d.opts.Place(d.path(bookFile)); err != nil || here == "" {
		return "", "", err
	}
	known, err = d.Book.Place(ctx)
	return here, known, err
}
