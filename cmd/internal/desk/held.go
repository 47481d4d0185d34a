package desk

import (
	"context"

	"sandi/agenda"
	"sandi/cmd/internal/signedtext"
)

// Codes of frozen copies that are held back: the message is whole, but its
// addressee is no longer what it was made for. Nothing of it has left.
const (
	CodeAddressChanged   = "desk.address_changed"   // he has another address now
	CodeAddresseeChanged = "desk.addressee_changed" // he has another key, or is a correspondent no more
)

// held says why a frozen copy must not leave by itself although it waits, ""
// when nothing stands against it. A copy for another address is made anew by
// `send` with its name; for another key, or for nobody, only a person decides.
func (d *Desk) held(ctx context.Context, e agenda.Entry, c agenda.Copy, corr agenda.Correspondent) (string, error) {
	switch {
	case c.Correspondent == 0 || c.State != agenda.CopyReady && c.State != agenda.CopyDeferred:
		return "", nil
	case corr.Ended:
		return CodeAddresseeChanged, nil
	}
	// A new key has to be confirmed anew, so most drafts need not be read.
	if e.Name.Book == agenda.Kriptogram && (corr.State != agenda.Confirmed || corr.ConfirmedAt.After(e.ReleasedAt)) {
		same, err := d.sameKey(ctx, e, c, corr)
		if err != nil || !same {
			return CodeAddresseeChanged, err
		}
	}
	if corr.Address != c.Address {
		return CodeAddressChanged, nil
	}
	return "", nil
}

// sameKey tells whether the kriptogram of a released entry is enciphered to
// the key that the correspondent has today.
func (d *Desk) sameKey(ctx context.Context, e agenda.Entry, c agenda.Copy, corr agenda.Correspondent) (bool, error) {
	if e.Drafted == nil {
		var err error
		if e, err = d.Book.EntryByID(ctx, e.ID); err != nil {
			return false, err
		}
		if e.Drafted == nil {
			return false, refuseEntry(CodeDamaged, e.Name)
		}
	}
	draft, err := signedtext.ParseDraft(e.Drafted.Text.Data)
	if err != nil {
		return false, &Error{code: CodeDamaged, Entry: e.Name, Err: err}
	}
	return enciphered(draft, c.Copy, corr), nil
}

// enciphered tells whether a draft names a key of the correspondent for a copy.
func enciphered(draft signedtext.Draft, copyNo int, corr agenda.Correspondent) bool {
	if copyNo > len(draft.Recipients) {
		return false
	}
	r := draft.Recipients[copyNo-1]
	return r.Fingerprint == corr.Fingerprint && r.Subkey == corr.Subkey
}

// hold finds the copies of a released entry that this run leaves alone.
func (s *sending) hold(ctx context.Context, e agenda.Entry) error {
	for _, c := range e.Copies {
		if c.Correspondent == 0 {
			continue
		}
		why, err := s.d.held(ctx, e, c, s.correspondents[c.Correspondent])
		if err != nil {
			return err
		}
		if why != "" {
			s.held[agenda.CopyRef{Entry: e.ID, Copy: c.Copy}] = why
		}
	}
	return nil
}

// noneHeld refuses an entry with a copy that must not leave as it is.
func (d *Desk) noneHeld(ctx context.Context, e agenda.Entry) error {
	for _, c := range e.Copies {
		if c.Correspondent == 0 {
			continue
		}
		corr, err := d.Book.CorrespondentByID(ctx, c.Correspondent)
		if err != nil {
			return err
		}
		if why, err := d.held(ctx, e, c, corr); err != nil {
			return err
		} else if why != "" {
			return &Error{code: why, Entry: e.Name, Field: c.Handle}
		}
	}
	return nil
}
