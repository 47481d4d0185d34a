package desk

import (
	"context"
	"slices"
	"time"

	"sandi/agenda"
)

// ActParams say who acts for a head who is away.
type ActParams struct {
	Of     string // the head
	Person string // who acts
	Kind   string // "plh", while he is away for days; "plt", while the post is vacant
	From   time.Time
	Until  time.Time // exclusive; zero only for plt
	Order  string    // number of the letter that orders it
}

// Codes of acting officials.
const (
	CodeActKind  = "desk.act_kind"  // neither plh nor plt
	CodeActUntil = "desk.act_until" // a Plh. without an end, or one before the beginning
	CodeActOrder = "desk.act_order" // no letter that orders it
	CodeActSelf  = "desk.act_self"  // for oneself
)

// headRoles are the roles that somebody else can act in.
var headRoles = []agenda.Role{agenda.RoleKepalaDinas, agenda.RoleKepalaBidang, agenda.RoleKepalaSeksi}

// Act gives the head roles of one officer to another for a time, with the
// order. Sheets then print "Plh." or "Plt." before the title, and the acting
// official signs with his own key. The sandiman of a letter can never be its
// signer, so that the only sandiman of a desk cannot act for his head of
// section.
func (d *Desk) Act(ctx context.Context, p ActParams) ([]agenda.RoleGrant, error) {
	grants, err := d.actGrants(ctx, p)
	if err != nil {
		return nil, err
	}
	for _, g := range grants {
		if err := d.GiveRole(ctx, p.Person, g); err != nil {
			return nil, err
		}
	}
	return grants, nil
}

// MayAct is what Act would give, without giving it.
func (d *Desk) MayAct(ctx context.Context, p ActParams) ([]agenda.RoleGrant, error) {
	return d.actGrants(ctx, p)
}

func (d *Desk) actGrants(ctx context.Context, p ActParams) ([]agenda.RoleGrant, error) {
	if p.From.IsZero() {
		p.From = d.Now().Truncate(time.Minute)
	}
	switch {
	case p.Kind != "plh" && p.Kind != "plt":
		return nil, &Error{code: CodeActKind, Field: p.Kind}
	case p.Of == p.Person:
		return nil, &Error{code: CodeActSelf, Field: p.Person}
	case p.Until.IsZero() && p.Kind == "plh", !p.Until.IsZero() && !p.Until.After(p.From):
		return nil, &Error{code: CodeActUntil, Field: p.Person}
	case p.Order == "":
		return nil, &Error{code: CodeActOrder, Field: p.Person}
	}
	of, err := d.Book.Officer(ctx, p.Of)
	if err != nil {
		return nil, err
	}
	person, err := d.Book.Officer(ctx, p.Person)
	if err != nil {
		return nil, err
	}
	var grants []agenda.RoleGrant
	for _, g := range of.Roles {
		if !slices.Contains(headRoles, g.Role) || g.Kind != "tetap" || !g.Until.IsZero() && !g.Until.After(p.From) {
			continue
		}
		// An order names days. On the day on which the head begins, the acting begins with him.
		from := p.From
		if g.From.After(from) {
			from = g.From
		}
		if from.Sub(p.From) >= 24*time.Hour || !p.Until.IsZero() && !p.Until.After(from) {
			continue
		}
		grants = append(grants, agenda.RoleGrant{
			Role: g.Role, Kind: p.Kind, From: from, Until: p.Until, Title: g.Title, Order: p.Order,
		})
	}
	if len(grants) == 0 {
		return nil, &Error{code: CodeRole, Field: p.Of, Detail: string(agenda.RoleKepalaSeksi)}
	}
	for _, g := range grants {
		if g.Role != agenda.RoleKepalaSeksi {
			continue
		}
		if person.Fingerprint == "" && d.Config.Profile.Signature != "wet" {
			return nil, &Error{code: CodeNoKey, Field: p.Person}
		}
		others, err := d.Book.Holder(ctx, agenda.RoleSandiman, d.Now())
		if err != nil {
			return nil, err
		}
		if len(others) == 1 && others[0].Handle == p.Person {
			return nil, &Error{code: CodeSamePerson, Field: p.Person, Detail: p.Of}
		}
	}
	return grants, nil
}
