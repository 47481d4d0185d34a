package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/vault"
)

// deskOptions are the options of this run: clock, cost of new keys, who acts.
func (a *app) deskOptions(c *cobra.Command, readOnly bool) (desk.Options, error) {
	reason, err := a.clockReason(c)
	return desk.Options{
		Now: a.hooks.Now, Cost: a.hooks.S2K, ReadOnly: readOnly && !a.flags.dryRun, Rehearse: a.flags.dryRun, AcceptClock: reason,
		As: a.actor(nil), Dial: a.hooks.Dial, Place: a.place,
	}, err
}

// place tells the book of a desk from a copy of it.
func (a *app) place(path string) (string, error) {
	if a.hooks.Place != nil {
		return a.hooks.Place(path)
	}
	return vault.Place(path)
}

// openDesk opens the desk of this run and takes over its language. The caller closes it.
func (a *app) openDesk(c *cobra.Command, readOnly bool) (*desk.Desk, error) {
	options, err := a.deskOptions(c, readOnly)
	if err != nil {
		return nil, err
	}
	return a.openDeskWith(c, options)
}

func (a *app) openDeskWith(c *cobra.Command, options desk.Options) (*desk.Desk, error) {
	dir, err := a.deskPath()
	if err != nil {
		return nil, err
	}
	d, err := desk.Open(c.Context(), dir, options)
	if err != nil {
		return nil, err
	}
	a.useConfig(d.Config)
	if d.Book.Renewed() {
		a.warn("agenda.index_renewed")
	}
	return d, nil
}

// withDesk opens the desk and closes it after run.
func (a *app) withDesk(c *cobra.Command, readOnly bool, run func(ctx context.Context, d *desk.Desk) error) error {
	d, err := a.openDesk(c, readOnly)
	if err != nil {
		return err
	}
	return runAndClose(c, d, run)
}

// withUncheckedDesk is withDesk for the command that says what is wrong with a
// book that no other opens.
func (a *app) withUncheckedDesk(c *cobra.Command, readOnly bool, run func(ctx context.Context, d *desk.Desk) error) error {
	options, err := a.deskOptions(c, readOnly)
	if err != nil {
		return err
	}
	options.Unchecked = true
	d, err := a.openDeskWith(c, options)
	if err != nil {
		return err
	}
	return runAndClose(c, d, run)
}

func runAndClose(c *cobra.Command, d *desk.Desk, run func(ctx context.Context, d *desk.Desk) error) error {
	err := run(c.Context(), d)
	if closing := d.Close(); err == nil {
		err = closing
	}
	return err
}
