package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
)

// scanFlags say how `agenda attach --scan` drives the scanner.
func (a *app) scanFlags(c *cobra.Command) {
	c.Flags().Bool("scan", false, a.cat.Text("flag.attach.scan"))
	a.stringFlags(c, "attach", "device", "mode", "source")
	c.Flags().Int("resolution", 0, a.cat.Text("flag.attach.resolution"))
	c.Flags().Int("sheets", 0, a.cat.Text("flag.attach.sheets"))
}

// scan scans the pages for an entry, nil without --scan. On a terminal a flatbed is asked for its next sheet; off a terminal it
// gives one, unless --sheets says how many.
func (a *app) scan(ctx context.Context, c *cobra.Command, d *desk.Desk, n agenda.Name) ([][]byte, error) {
	if on, _ := c.Flags().GetBool("scan"); !on {
		return nil, nil
	}
	// A page that cannot be attached is not scanned.
	if err := d.MayAttach(ctx, n); err != nil || a.flags.dryRun {
		return [][]byte{}, err
	}
	p := desk.ScanParams{Device: flag(c, "device"), Mode: flag(c, "mode"), Source: flag(c, "source")}
	p.Resolution, _ = c.Flags().GetInt("resolution")
	p.Pages, _ = c.Flags().GetInt("sheets")
	if p.Resolution < 0 || p.Pages < 0 {
		return nil, usageError("usage.flag_value", "flag", "--resolution")
	}
	if p.Pages == 0 && a.term.CanPrompt() && !a.flags.yes && !desk.FeedsItself(p.Source) {
		p.Next = func(page int) (bool, error) { return a.confirm(false, "attach.next_page", "n", page) }
	}
	pages, err := desk.Scan(ctx, p)
	if err != nil {
		return nil, err
	}
	a.say("attach.scanned", "n", len(pages))
	return pages, nil
}
