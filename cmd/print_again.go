package cmd

import (
	"context"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
)

// printCoverCommand prints what went out with the copies of an entry.
func (a *app) printCoverCommand() *cobra.Command {
	c := a.describe("print cover", &cobra.Command{Use: "cover", Args: cobra.ExactArgs(1)})
	c.RunE = func(c *cobra.Command, args []string) error {
		copyNo, _ := c.Flags().GetInt("copy")
		if copyNo < 0 || copyNo == 0 && c.Flags().Changed("copy") {
			return usageError("usage.flag_value", "flag", "--copy")
		}
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error {
			file := "lembar-pengantar"
			if copyNo > 0 {
				file += "-salinan-" + strconv.Itoa(copyNo)
			}
			return a.printSheet(ctx, c, d, "cover", file, args,
				func(ctx context.Context, d *desk.Desk, w io.Writer, names []agenda.Name, format, _ string) error {
					return d.PrintCover(ctx, w, names[0], copyNo, format)
				})
		})
	}
	a.outputFlags(c)
	a.stringFlags(c, "print", "format")
	c.Flags().Int("copy", 0, a.cat.Text("flag.print.copy"))
	return c
}

// printResultCommand prints the sheets of reports that were made, as they were recorded.
func (a *app) printResultCommand() *cobra.Command {
	c := a.describe("print result", &cobra.Command{Use: "result", Args: cobra.MinimumNArgs(1)})
	c.RunE = func(c *cobra.Command, args []string) error {
		names, err := a.names(args)
		if err != nil {
			return err
		}
		to := flag(c, "to")
		if to != "" && to != desk.ToHead && to != desk.ToApplicant {
			return usageError("usage.choice", "flag", "--to", "value", desk.ToHead+", "+desk.ToApplicant)
		}
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error {
			reports, err := d.Reported(ctx, names, to)
			if err != nil {
				return err
			}
			return a.printReports(c, reports)
		})
	}
	a.outputFlags(c)
	c.Flags().String("to", "", a.cat.Text("report.flag.to"))
	return c
}

// printReports writes or prints each recorded sheet by itself.
func (a *app) printReports(c *cobra.Command, reports []desk.Report) error {
	path, printer := flag(c, "output"), flag(c, "printer")
	if path == "-" && printer == "" && !a.flags.dryRun {
		if len(reports) > 1 {
			return usageError("usage.one_report", "n", len(reports))
		}
		_, err := a.term.Out().Write(reports[0].PDF)
		return err
	}
	paths := make([]string, len(reports))
	if !a.flags.dryRun && (path != "" || printer == "") {
		f := reportFlags{out: path, format: desk.FormatPDF}
		f.force, _ = c.Flags().GetBool("force")
		if path == "" {
			f.out = "."
		}
		var err error
		if paths, err = writeReports(reports, f); err != nil {
			return err
		}
	}
	for i, r := range reports {
		what := a.cat.Text("print.what.result."+r.To, "names", ranges(r.Entries, a.thisYear()))
		v := printView{Schema: "sandi.print/1", Kind: "result", Entries: []string{}, Codes: []string{}}
		for _, n := range r.Entries {
			v.Entries = append(v.Entries, n.String())
		}
		if a.flags.dryRun {
			a.say("print.dry", "what", what)
			if err := a.result(v, func(io.Writer) {}); err != nil {
				return err
			}
			continue
		}
		if paths[i] != "" {
			v.File = &paths[i]
		}
		if printer != "" {
			if err := a.onPaper(c, &v, printer, reportName(r), desk.FormatPDF, what, r.PDF); err != nil {
				return err
			}
		}
		a.show(c, paths[i])
		if err := a.sheetDone(&v, what); err != nil {
			return err
		}
	}
	return nil
}
