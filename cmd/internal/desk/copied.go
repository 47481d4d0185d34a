package desk

import (
	"context"

	"sandi/agenda"
)

// recover runs before everything that moves copies, under the sender's lock:
// what a dead process left is settled, and a folder that was copied is treated
// like a restored one. Of two desks with one queue each would send all of it.
// Doubted are the copies that are in doubt for either reason.
func (d *Desk) recover(ctx context.Context) (doubted []agenda.CopyRef, copied bool, err error) {
	if doubted, _, err = d.Book.Recover(ctx, d.Nobody()); err != nil {
		return doubted, false, err
	}
	here, known, err := d.places(ctx)
	if err != nil || here == known {
		return doubted, false, err
	}
	if known != "" {
		refs, err := d.Book.Restored(ctx, d.Nobody(), "folder kerja disalin")
		if err != nil {
			return doubted, true, err
		}
		doubted = append(doubted, refs...)
	}
	// A crash before this doubts once more what is in doubt already.
	return doubted, known != "", d.Book.SetPlace(ctx, here)
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
