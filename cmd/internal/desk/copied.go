package desk

import (
	"context"

	"sandi/agenda"
)

// recovered is what a command that sends found when it began.
type recovered struct {
	doubted []agenda.CopyRef // in doubt from now on, for whatever reason
	copied  bool             // the folder is a copy
	older   bool             // the book is not the one that sent last
}

// recover runs before everything that moves copies, under the sender's lock:
// what a dead process left is settled, and a folder that was copied, or a book
// that is not the one that sent last, is treated like a restored one. Of two
// desks with one queue each would send all of it, and an older book sends what
// its successor has sent.
func (d *Desk) recover(ctx context.Context) (recovered, error) {
	var r recovered
	mark, err := d.judgeMark(ctx)
	if err != nil {
		return r, err
	}
	if r.doubted, _, err = d.Book.Recover(ctx, d.Nobody()); err != nil {
		return r, err
	}
	here, known, err := d.places(ctx)
	if err != nil {
		return r, err
	}
	r.copied, r.older = known != "" && here != known, mark != markFits
	if r.copied || r.older {
		reason := "folder kerja disalin"
		if r.older {
			reason = "bukan buku yang terakhir mengirim"
		}
		refs, err := d.Book.Restored(ctx, d.Nobody(), reason)
		if err != nil {
			return r, err
		}
		r.doubted = append(r.doubted, refs...)
	}
	// A crash before these doubts once more what is in doubt already.
	if here != known {
		if err := d.Book.SetPlace(ctx, here); err != nil {
			return r, err
		}
	}
	return r, d.beginSending(ctx)
}

// settleHere remembers the place of a desk that was made here.
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
