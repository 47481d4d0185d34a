package desk

import (
	"context"
	"slices"

	"sandi/agenda"
)

// May reads an entry and refuses a step that its state does not allow. It is
// what a rehearsal can know; the step itself is checked again by the book.
func (d *Desk) May(ctx context.Context, n agenda.Name, step agenda.Step) (agenda.Entry, error) {
	e, err := d.Book.Entry(ctx, n)
	if err == nil && !agenda.Allowed(e.Name.Book, step, e.State) {
		err = &Error{code: CodeState, Entry: e.Name, Detail: string(e.State)}
	}
	return e, err
}

// CheckAddressees refuses addressees that no letter can have, and those of a
// classified letter that are not entered.
func (d *Desk) CheckAddressees(ctx context.Context, l agenda.Letter) error {
	if err := agenda.CheckRecipients(l); err != nil {
		return err
	}
	if agenda.BookFor(l.Class) != agenda.Kriptogram {
		return nil
	}
	for _, h := range slices.Concat(l.To, l.Cc) {
		if _, err := d.Book.Correspondent(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// SameLetter lists the entries of the year that carry the same number and
// date of letter: most often one letter entered twice.
func (d *Desk) SameLetter(ctx context.Context, l agenda.Letter, year int) ([]agenda.Name, error) {
	if l.Number == "" {
		return nil, nil
	}
	found, err := d.Book.Search(ctx, l.Number, agenda.Filter{Year: year})
	var same []agenda.Name
	for _, e := range found {
		if e.State != agenda.StateVoid && e.Letter.Number == l.Number && e.Letter.Date == l.Date {
			same = append(same, e.Name)
		}
	}
	return same, err
}

// KnownApplicant tells whether a word is the handle or the unit of an applicant
// on record.
func (d *Desk) KnownApplicant(ctx context.Context, word string) (bool, error) {
	all, err := d.Book.Applicants(ctx)
	return slices.ContainsFunc(all, func(p agenda.Applicant) bool {
		return !p.Ended && (p.Handle == word || p.Unit == word)
	}), err
}

// CheckApplicant refuses an applicant that the book does not take: book
// kriptogram holds those on record only.
func (d *Desk) CheckApplicant(ctx context.Context, book agenda.BookName, word string) error {
	if book != agenda.Kriptogram {
		return nil
	}
	known, err := d.KnownApplicant(ctx, word)
	if err != nil || known {
		return err
	}
	refused := *agenda.ErrUnknownApplicant
	refused.Field, refused.Value = "applicant", word
	return &refused
}

// BelowMinimum returns the first of the roles whose least qualification, by
// the profile, lies above the officer's, and that qualification. The profile
// cannot place a qualification that is not on its ladder: it counts as below.
func (d *Desk) BelowMinimum(o agenda.Officer, roles []agenda.RoleGrant) (agenda.Role, string) {
	p := d.Config.Profile
	for _, g := range roles {
		for _, m := range p.MinQualifications {
			if m.Role == string(g.Role) && p.QualificationRank(o.Qualification) < p.QualificationRank(m.AtLeast) {
				return g.Role, m.AtLeast
			}
		}
	}
	return "", ""
}

// Members are the correspondents of a group of the settings.
func (d *Desk) Members(group string) ([]string, bool) {
	for _, g := range d.Config.Groups {
		if g.Name == group {
			return g.Members, true
		}
	}
	return nil, false
}
