package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
	"sandi/mail"
)

type boxProblemJSON struct {
	Box    string  `json:"box"`
	Entry  *string `json:"entry"` // null: the box as a whole
	Copy   int     `json:"copy"`
	Why    string  `json:"why"`
	Offset *int64  `json:"offset"` // null: the box as a whole
	Length *int64  `json:"length"`
}

type boxUnfinishedJSON struct {
	Box     string   `json:"box"`
	Offset  int64    `json:"offset"`
	Length  int64    `json:"length"`
	Entries []string `json:"entries"`
}

type boxReportJSON struct {
	Schema     string              `json:"schema"` // sandi.archive/1
	Boxes      int                 `json:"boxes"`
	Messages   int                 `json:"messages"`
	Octets     int64               `json:"octets"`
	Problems   []boxProblemJSON    `json:"problems"`
	Unfinished []boxUnfinishedJSON `json:"unfinished"` // being filed, or broken off: no problem
}

// archiveVerify compares every filed message with what was sent.
func (a *app) archiveVerify() *cobra.Command {
	c := a.describe("archive verify", &cobra.Command{Use: "verify", Args: cobra.NoArgs})
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error {
			r, err := d.VerifyBoxes(ctx)
			if err != nil {
				return err
			}
			v := boxReportJSON{
				Schema: "sandi.archive/1", Boxes: r.Boxes, Messages: r.Messages, Octets: r.Octets,
				Problems: []boxProblemJSON{}, Unfinished: []boxUnfinishedJSON{},
			}
			for _, p := range r.Problems {
				one := boxProblemJSON{Box: p.Box, Copy: p.Copy, Why: p.Why}
				if p.Entry != (agenda.Name{}) {
					one.Entry = render.Text(p.Entry.Long())
				}
				if p.Extent != (mail.Extent{}) {
					one.Offset, one.Length = &p.Extent.Offset, &p.Extent.Length
				}
				v.Problems = append(v.Problems, one)
			}
			for _, u := range r.Unfinished {
				v.Unfinished = append(v.Unfinished, boxUnfinishedJSON{u.Box, u.Extent.Offset, u.Extent.Length, entryNames(u.Entries)})
			}
			err = a.result(v, func(w io.Writer) {
				for _, p := range r.Problems {
					what := p.Box
					if p.Entry != (agenda.Name{}) {
						what += ", " + p.Entry.String()
					}
					why := a.cat.Text("archive.why."+p.Why, "offset", a.cat.Number(p.Extent.Offset), "length", a.cat.Number(p.Extent.Length))
					fmt.Fprintln(w, a.cat.Text("archive.problem", "what", what, "why", why))
				}
				for _, u := range r.Unfinished {
					fmt.Fprintln(w, a.cat.Text("archive.unfinished", "box", u.Box, "names", compact(ranges(u.Entries, a.thisYear())),
						"offset", a.cat.Number(u.Extent.Offset), "length", a.cat.Number(u.Extent.Length)))
				}
				fmt.Fprintln(w, a.cat.Text("archive.verified", "boxes", r.Boxes, "n", r.Messages, "size", a.cat.Size(r.Octets), "bad", len(r.Problems)))
			})
			if err != nil {
				return err
			}
			for _, u := range r.Unfinished {
				a.say("archive.next_file", "names", compact(ranges(u.Entries, a.thisYear())))
			}
			for _, box := range boxesWith(r, desk.BoxMissing, desk.BoxShort, desk.BoxGap, desk.BoxTail, desk.BoxMessage, desk.BoxTime) {
				a.say("archive.next_rebuild", "box", box)
			}
			for _, box := range boxesWith(r, desk.BoxUnknown) {
				a.say("archive.next_unknown", "path", d.BoxPath(box))
			}
			if len(r.Problems) > 0 {
				err = a.told(exitTampered)
			}
			return err
		})
	}
	return c
}

// boxesWith lists the boxes in which one of these was found, each once.
func boxesWith(r desk.BoxReport, why ...string) []string {
	var boxes []string
	for _, p := range r.Problems {
		if slices.Contains(why, p.Why) && !slices.Contains(boxes, p.Box) {
			boxes = append(boxes, p.Box)
		}
	}
	return boxes
}

type filedJSON struct {
	Schema        string  `json:"schema"` // sandi.filed/1
	Entry         string  `json:"entry"`
	Number        *string `json:"number"`
	Copy          int     `json:"copy"`
	Correspondent string  `json:"correspondent"`
	SentAt        *string `json:"sent_at"`
	Box           string  `json:"box"`
	Offset        int64   `json:"offset"`
	Length        int64   `json:"length"`
}

// chosenBoxed lists filed messages: of the named entries, else of a year.
func (a *app) chosenBoxed(ctx context.Context, d *desk.Desk, args []string, year int) ([]desk.Filed, error) {
	f := agenda.Filter{Year: year, Mailed: true}
	if len(args) > 0 {
		names, err := a.allNames(args)
		if err != nil {
			return nil, err
		}
		f = agenda.Filter{Names: names}
	}
	return d.Boxed(ctx, f)
}

func (a *app) archiveList() *cobra.Command {
	var year int
	c := a.describe("archive list", &cobra.Command{Use: "list", Args: cobra.ArbitraryArgs})
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error {
			filed, err := a.chosenBoxed(ctx, d, args, year)
			if err != nil {
				return err
			}
			table := render.Table{Fixed: []int{0, 1, 2}, Align: []render.Align{render.Left, render.Left, render.Left, render.Left, render.Right}}
			for _, x := range filed {
				if a.flags.json {
					if err := a.object(filedJSON{
						Schema: "sandi.filed/1", Entry: x.Entry.Name.Long(), Number: render.Text(x.Entry.Number), Copy: x.Copy.Copy,
						Correspondent: x.Copy.Handle, SentAt: render.Instant(x.Copy.SettledAt), Box: x.Copy.Box, Offset: x.Copy.Offset, Length: x.Copy.Length,
					}); err != nil {
						return err
					}
					continue
				}
				table.Add(x.Entry.Name.String(), x.Entry.Number, a.cat.DateTime(x.Copy.SettledAt), x.Copy.Handle, a.cat.Size(x.Copy.Length))
			}
			if a.flags.json {
				return nil
			}
			if len(filed) == 0 {
				a.say("archive.empty")
				return nil
			}
			_, err = table.WriteTo(a.out)
			return err
		})
	}
	c.Flags().IntVar(&year, "year", 0, a.cat.Text("archive.flag.year"))
	return c
}

// archiveShow writes the message of one filed copy, octet for octet as it was sent.
func (a *app) archiveShow() *cobra.Command {
	var copyNo int
	c := a.describe("archive show", &cobra.Command{Use: "show", Args: cobra.ExactArgs(1)})
	c.RunE = func(c *cobra.Command, args []string) error {
		n, err := a.oneName(args[0])
		if err != nil {
			return err
		}
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error {
			if !a.term.OutIsTerminal() {
				_, err := d.ShowFiled(ctx, a.term.Out(), n, copyNo)
				return err
			}
			safe := render.NewSafeWriter(a.term.Out())
			_, err := d.ShowFiled(ctx, safe, n, copyNo)
			return errors.Join(err, safe.Flush())
		})
	}
	c.Flags().IntVar(&copyNo, "copy", 0, a.cat.Text("send.flag.copy"))
	return c
}

func (a *app) archiveExport() *cobra.Command {
	var year int
	var out string
	c := a.describe("archive export", &cobra.Command{Use: "export", Args: cobra.ArbitraryArgs})
	c.RunE = func(c *cobra.Command, args []string) error {
		if out == "" {
			return usageError("usage.flag_required", "flag", "--output")
		}
		if len(args) == 0 && year == 0 {
			return usageError("usage.no_entry")
		}
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error {
			filed, err := a.chosenBoxed(ctx, d, args, year)
			if err != nil {
				return err
			}
			if a.flags.dryRun {
				a.say("archive.export_dry", "n", len(filed), "path", out)
				return a.wouldDo("sandi.archive_export/1")
			}
			n, err := d.ExportFiled(ctx, filed, out)
			if err != nil {
				return err
			}
			v := struct {
				Schema   string `json:"schema"`
				Messages int    `json:"messages"`
				Path     string `json:"path"`
			}{"sandi.archive_export/1", n, out}
			return a.result(v, func(io.Writer) { a.say("archive.exported", "n", n, "path", out) })
		})
	}
	c.Flags().IntVar(&year, "year", 0, a.cat.Text("archive.flag.year"))
	c.Flags().StringVarP(&out, "output", "o", "", a.cat.Text("archive.flag.output"))
	return c
}

// archiveRebuild writes a box anew from the octets of record.
func (a *app) archiveRebuild() *cobra.Command {
	c := a.describe("archive rebuild", &cobra.Command{Use: "rebuild", Args: cobra.ExactArgs(1)})
	c.RunE = func(c *cobra.Command, args []string) error {
		box := filepath.ToSlash(args[0])
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			if a.flags.dryRun {
				n, err := d.MayRebuild(ctx, box)
				if err != nil {
					return err
				}
				a.say("archive.rebuild_dry", "box", box, "n", n)
				return a.wouldDo("sandi.archive_rebuild/1")
			}
			n, aside, err := d.RebuildBox(ctx, box)
			if err != nil {
				return err
			}
			v := struct {
				Schema   string  `json:"schema"`
				Box      string  `json:"box"`
				Messages int     `json:"messages"`
				Aside    *string `json:"aside"` // what was there before; null for nothing
			}{"sandi.archive_rebuild/1", box, n, render.Text(aside)}
			return a.result(v, func(io.Writer) {
				a.say("archive.rebuilt", "box", box, "n", n)
				if aside != "" {
					a.say("archive.aside", "path", aside)
				}
			})
		})
	}
	return c
}
