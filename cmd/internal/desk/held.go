package desk

import (
	"context"
	"slices"
	"sync"

	"sandi/agenda"
	"sandi/cmd/internal/signedtext"
	"sandi/crypto"
)

// Codes of frozen copies that are held back: the message is whole, but its
// addressee is no longer what it was made for. Nothing of it has left.
const (
	CodeAddressChanged   = "desk.address_changed"   // he has another address now
	CodeAddresseeChanged = "desk.addressee_changed" // he has another key, revoked his, or is a correspondent no more
)

// held says why a frozen copy must not leave by itself although it waits, ""
// when nothing stands against it. A copy for another address is made anew by
// `send` with its name; for another key, or for nobody, only a person decides.
func (d *Desk) held(ctx context.Context, e agenda.Entry, c agenda.Copy, corr agenda.Correspondent) (string, error) {
	switch {
	case c.Correspondent == 0:
		return d.heldReport(ctx, e, c)
	case c.State != agenda.CopyReady && c.State != agenda.CopyDeferred:
		return "", nil
	case corr.Ended:
		return CodeAddresseeChanged, nil
	}
	if e.Name.Book == agenda.Kriptogram {
		if gone, err := d.withdrawn(ctx, corr); err != nil || gone {
			return CodeAddresseeChanged, err
		}
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

// withdrawn tells whether the key of a correspondent is known to be revoked.
// That a key ended meanwhile says nothing against what was enciphered before.
func (d *Desk) withdrawn(ctx context.Context, corr agenda.Correspondent) (bool, error) {
	if corr.Fingerprint == "" {
		return false, nil
	}
	cert, err := d.CertificateOf(ctx, corr.Certificate.SHA256)
	if err != nil {
		return false, err
	}
	to := crypto.Recipient{Certificate: cert, Subkey: crypto.Fingerprint(corr.Subkey)}
	if revoked(crypto.Praktis().Check(to, d.Now())) {
		return true, nil
	}
	return d.revokedElsewhere(ctx, to)
}

func revoked(found []crypto.Finding) bool {
	return slices.ContainsFunc(found, func(f crypto.Finding) bool { return f.Code == crypto.ErrRevoked.Code() })
}

// revokedElsewhere tells whether the revocation of a key came with another
// certificate of it than the one that is pinned: the key that letters to one
// office go to may be that of an officer who signs for another one too.
func (d *Desk) revokedElsewhere(ctx context.Context, to crypto.Recipient) (bool, error) {
	kept, err := d.kept.of(ctx, d)
	if err != nil {
		return false, err
	}
	if all := kept[to.Certificate.Fingerprint()]; len(all) < 2 {
		return false, nil // itself
	}
	if to.Certificate, err = kept.merge(to.Certificate); err != nil {
		return false, err
	}
	return revoked(crypto.Praktis().Check(to, d.Now())), nil
}

// keptLately is what keptCertificates found, until something else is said of
// people: a batch asks for every letter.
type keptLately struct {
	mu   sync.Mutex
	last int64 // [agenda.Book.LastOfPeople]
	all  keptCertificates
}

func (k *keptLately) of(ctx context.Context, d *Desk) (keptCertificates, error) {
	last, err := d.Book.LastOfPeople(ctx)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil || k.last != last {
		all, err := d.keptCertificates(ctx)
		if err != nil {
			return nil, err
		}
		k.all, k.last = all, last
	}
	return k.all, nil
}

// stillTheirs refuses the kriptogram of an entry for a copy whose addressee has
// not, or no longer, the key that it is enciphered to.
func (d *Desk) stillTheirs(ctx context.Context, n agenda.Name, draft signedtext.Draft, copyNo int, corr agenda.Correspondent) error {
	gone, err := d.withdrawn(ctx, corr)
	if err == nil && (gone || corr.Ended || corr.State != agenda.Confirmed || !enciphered(draft, copyNo, corr)) {
		err = &Error{code: CodeStale, Entry: n, Detail: "recipients"}
	}
	return err
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

// heldNow is held for a copy that is about to leave: while those before it
// went, its addressee may have changed.
func (s *sending) heldNow(ctx context.Context, p parcel) (why string, err error) {
	if last, err := s.d.Book.LastOfPeople(ctx); err != nil || last == s.people {
		return "", err
	}
	err = s.d.Book.Within(ctx, func(ctx context.Context) error {
		corr, err := s.d.Book.Addressee(ctx, p.copy)
		if err != nil {
			return err
		}
		c := p.copy
		c.State, c.Address = agenda.CopyReady, p.Address // as it was claimed
		why, err = s.d.held(ctx, p.entry, c, corr)
		return err
	})
	return why, err
}

// noneHeld refuses an entry with a copy that must not be handed out as it is:
// for what the server refused, and what was handed out before, that is the same
// as for what waits.
func (d *Desk) noneHeld(ctx context.Context, e agenda.Entry) error {
	for _, c := range e.Copies {
		handed := c.State == agenda.CopyHanded
		if handed || c.State == agenda.CopyRejected {
			c.State = agenda.CopyReady
		}
		corr, err := d.Book.Addressee(ctx, c)
		if err != nil {
			return err
		}
		if why, err := d.held(ctx, e, c, corr); err != nil {
			return err
		} else if why != "" && !(handed && why == CodeAddressChanged) { // the old address is on the sheet that is out
			return &Error{code: why, Entry: e.Name, Field: c.Handle, Detail: string(e.Name.Book)}
		}
	}
	return nil
}
