package cmd

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sandi/cmd/internal/desk"
)

func (a *app) officerAct() *cobra.Command {
	c := a.describe("officer act", &cobra.Command{Use: "act", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error { return a.act(ctx, c, d, args[0]) })
	}})
	a.stringFlags(c, "officer", "kind", "from", "until", "order")
	c.Flags().String("person", "", a.cat.Text("flag.officer.person"))
	return c
}

func (a *app) act(ctx context.Context, c *cobra.Command, d *desk.Desk, of string) error {
	p := desk.ActParams{Of: of, Kind: strings.ToLower(strings.TrimSuffix(flag(c, "kind"), "."))}
	if p.Kind == "" {
		p.Kind = "plh"
	}
	var err error
	if p.Person, err = a.need(c, "person", "officer.ask.person"); err != nil {
		return err
	}
	if p.From, err = parseMoment("from", flag(c, "from"), d.Now()); err != nil {
		return err
	}
	if p.Until, err = a.untilDay(c, d.Now()); err != nil {
		return err
	}
	if p.Order, err = a.need(c, "order", "officer.ask.order"); err != nil {
		return err
	}
	do, id := d.Act, "officer.acts"
	if a.flags.dryRun {
		do, id = d.MayAct, "officer.dry_acts"
	}
	grants, err := do(ctx, p)
	if err != nil {
		return err
	}
	if p.Until.IsZero() {
		id += "_open"
	}
	a.say(id, "handle", p.Person, "role", a.roleWords(grants), "from", a.cat.ShortDate(grants[0].From),
		"until", a.cat.ShortDate(p.Until.Add(-time.Second)))
	if a.flags.dryRun {
		return a.officerResult(ctx, d, p.Person)
	}
	o, err := d.Book.Officer(ctx, p.Person)
	if err != nil {
		return err
	}
	if role, least := d.BelowMinimum(o, grants); role != "" {
		a.warn("officer.below", "handle", p.Person, "role", a.cat.Role(string(role)), "least", least)
	}
	// A draft names who is to sign it; those that wait need a new one.
	waiting, err := d.Waiting(ctx)
	if err != nil {
		return err
	}
	if len(waiting) > 0 && !grants[0].From.After(d.Now()) {
		a.warn("officer.drafts_wait", "n", len(waiting), "entry", waiting[0].Name)
	}
	return a.result(officerOf(o), func(io.Writer) {})
}

// untilDay reads --until; a day without a time is included.
func (a *app) untilDay(c *cobra.Command, now time.Time) (time.Time, error) {
	text := flag(c, "until")
	at, err := parseMoment("until", text, now)
	if err != nil {
		return at, err
	}
	if _, isDay := parseDay(text, now); isDay {
		at = at.AddDate(0, 0, 1)
	}
	return at, nil
}
