package desk

import (
	"context"
	"errors"
	"os"

	"sandi/agenda"
	"sandi/mail"
)

// Audit is what `agenda verify` found. It is the oracle of the tests too.
type Audit struct {
	agenda.VerifyReport
	VaultObjects int
	BoxMessages  int
}

// Good reports whether nothing was found.
func (a Audit) Good() bool { return len(a.Problems) == 0 }

// Audit checks the whole desk: the log, the index, the numbers, every stored
// object, every file of the vault, every message of the boxes and the mark of
// the last sending. Where the book cannot be read on, what was found is told,
// and that it ends there.
func (d *Desk) Audit(ctx context.Context) (Audit, error) {
	check, unread := d.checkNote(ctx)
	if unread != nil && !errors.Is(unread, agenda.ErrTampered) {
		return Audit{}, unread
	}
	var a Audit
	var err error
	if a.VerifyReport, err = d.Book.Verify(ctx, check); err != nil {
		return a, err
	}
	if unread != nil && a.Good() { // else what spoils the beginning of the book is told by name
		return a, unread
	}
	err = d.Book.VaultObjects(ctx, func(o agenda.Object) error {
		a.VaultObjects++
		if err := d.Vault.Check(ctx, o.SHA256, o.Size); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			a.found("vault", agenda.Name{}, o.SHA256.String()+" "+coded(err))
		}
		return nil
	})
	if err == nil {
		err = d.auditMark(ctx, &a)
	}
	if err == nil {
		err = d.auditBoxes(ctx, &a)
	}
	if errors.Is(err, agenda.ErrTampered) && !a.Good() {
		a.found("ended", agenda.Name{}, err.Error())
		return a, nil
	}
	return a, err
}

// auditMark sees that the book is not behind what it was when it last sent.
func (d *Desk) auditMark(ctx context.Context, a *Audit) error {
	mark, err := d.judgeMark(ctx)
	if err == nil && mark != markFits {
		a.found("sent", agenda.Name{}, sentFile+" "+string(mark))
	}
	return err
}

func (a *Audit) found(kind string, n agenda.Name, detail string) {
	a.Problems = append(a.Problems, agenda.Problem{Kind: kind, Entry: n, Detail: detail})
}

func (d *Desk) auditBoxes(ctx context.Context, a *Audit) error {
	boxes := map[string]*os.File{}
	defer func() {
		for _, f := range boxes {
			f.Close()
		}
	}()
	return d.Book.Each(ctx, agenda.Filter{Mailed: true}, func(e agenda.Entry) error {
		for _, c := range e.Copies {
			if c.Box == "" {
				continue
			}
			a.BoxMessages++
			f, ok := boxes[c.Box]
			if !ok {
				var err error
				if f, err = os.Open(d.path(boxFolder, c.Box)); err != nil && !errors.Is(err, os.ErrNotExist) {
					return err
				}
				boxes[c.Box] = f
			}
			if f == nil {
				a.found("box", e.Name, c.Box)
				continue
			}
			frozen, err := d.Vault.Open(c.Message)
			if err != nil {
				continue // told above, with the vault
			}
			err = mail.CheckMbox(f, c.Offset, c.Length, frozen)
			frozen.Close()
			if err != nil {
				a.found("box", e.Name, c.Box)
			}
		}
		return nil
	})
}
