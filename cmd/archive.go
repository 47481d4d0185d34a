package cmd

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
)

func (a *app) archiveCommand() *cobra.Command {
	var place string
	c := a.describe("archive", &cobra.Command{Use: "archive", Args: cobra.MinimumNArgs(1)})
	c.RunE = func(c *cobra.Command, args []string) error {
		names, err := a.allNames(args)
		if err != nil {
			return err
		}
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			if a.flags.dryRun {
				return a.each(ctx, names, func(n agenda.Name) error {
					if err := d.MayArchive(ctx, n); err != nil {
						return err
					}
					a.say("archive.dry_run", "entry", n)
					return a.wouldDo("sandi.archived/1", n)
				})
			}
			began := d.Now()
			entries, errs := d.ArchiveAll(ctx, names, place)
			var done []agenda.Name
			at := 0
			err := a.each(ctx, names, func(n agenda.Name) error {
				e, err := entries[at], errs[at]
				at++
				if err == nil && agenda.Next(n.Book, e.State) == agenda.StepReport {
					done = append(done, n)
				}
				if err != nil {
					return err
				}
				return a.archived(e, began)
			})
			if len(done) > 0 {
				a.say("archive.next", "names", a.commas(done))
			}
			return err
		})
	}
	c.Flags().StringVar(&place, "place", "", a.cat.Text("archive.flag.place"))
	c.AddCommand(a.archiveVerify(), a.archiveList(), a.archiveShow(), a.archiveExport(), a.archiveRebuild())
	return c
}

// archived tells that an entry is filed, now or since an earlier time.
func (a *app) archived(e agenda.Entry, began time.Time) error {
	return a.result(a.archivedOf(e), func(w io.Writer) {
		if e.Archived.At.Before(began.Truncate(time.Millisecond)) {
			fmt.Fprintln(w, a.cat.Text("archive.already", "entry", e.Name, "time", a.cat.DateTime(e.Archived.At)))
			return
		}
		fmt.Fprintln(w, a.cat.Text("archive.done", "entry", e.Name, "n", len(e.Archived.Copies), "box", "archive/"+e.Archived.Box))
	})
}

type archivedJSON struct {
	Schema     string             `json:"schema"` // sandi.archived/1
	Entry      string             `json:"entry"`
	State      string             `json:"state"`
	Box        string             `json:"box"`
	Place      *string            `json:"place"`
	ArchivedAt *string            `json:"archived_at"`
	Copies     []archivedCopyJSON `json:"copies"`
}

type archivedCopyJSON struct {
	Copy   int   `json:"copy"`
	Offset int64 `json:"offset"` // in octets of the box
	Length int64 `json:"length"`
}

func (a *app) archivedOf(e agenda.Entry) archivedJSON {
	out := archivedJSON{
		Schema: "sandi.archived/1", Entry: a.entryName(e.Name), State: string(e.State), Box: e.Archived.Box,
		Place: render.Text(e.Archived.Place), ArchivedAt: render.Instant(e.Archived.At), Copies: []archivedCopyJSON{},
	}
	for _, c := range e.Archived.Copies {
		out.Copies = append(out.Copies, archivedCopyJSON{c.Copy, c.Offset, c.Length})
	}
	return out
}
