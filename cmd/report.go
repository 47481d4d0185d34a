package cmd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
	"sandi/cmd/internal/vault"
)

func (a *app) reportCommand() *cobra.Command {
	c := a.describe("report", &cobra.Command{Use: "report"})
	c.AddCommand(a.reportResultCommand(), a.reportSummaryCommand(), a.reportQuarterCommand(), a.reportServiceCommand("service"))
	return c
}

// reportFlags say for whom a report is and where it goes.
type reportFlags struct {
	to, out, format string
	force, email    bool
}

func (a *app) reportResultCommand() *cobra.Command {
	var f reportFlags
	c := a.describe("report result", &cobra.Command{Use: "result", Args: cobra.MinimumNArgs(1)})
	c.RunE = func(c *cobra.Command, args []string) error {
		names, err := a.names(args)
		if err != nil {
			return err
		}
		switch f.to {
		case "", desk.ToHead, desk.ToApplicant:
		default:
			return usageError("usage.flag_value", "flag", "--to")
		}
		switch f.format {
		case desk.FormatPDF, desk.FormatText:
		default:
			return usageError("usage.flag_value", "flag", "--format")
		}
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			if f.email {
				return a.mailReports(ctx, c, d, names, f)
			}
			return a.reportResult(ctx, d, names, f)
		})
	}
	c.Flags().StringVar(&f.to, "to", "", a.cat.Text("report.flag.to"))
	c.Flags().StringVarP(&f.out, "output", "o", "", a.cat.Text("report.flag.output"))
	c.Flags().StringVar(&f.format, "format", desk.FormatPDF, a.cat.Text("report.flag.format"))
	c.Flags().BoolVar(&f.force, "force", false, a.cat.Text("report.flag.force"))
	c.Flags().BoolVar(&f.email, "email", false, a.cat.Text("report.flag.email"))
	for _, paper := range []string{"output", "format", "force"} {
		c.MarkFlagsMutuallyExclusive("email", paper)
	}
	return c
}

func (a *app) reportResult(ctx context.Context, d *desk.Desk, names []agenda.Name, f reportFlags) error {
	if err := d.MayReport(ctx, names); err != nil {
		return err
	}
	if st, err := os.Lstat(f.out); err == nil && !st.IsDir() && !f.force {
		// A report enters the book before it is written: what would be refused is refused now.
		return &detailed{vault.ErrExists, []any{"path", f.out}}
	}
	reports, err := d.ReportResult(ctx, names, f.to)
	if err != nil {
		return err
	}
	if a.flags.dryRun {
		a.say("report.dry_run", "names", ranges(names, a.thisYear()))
		return a.wouldDo("sandi.report/1", names...)
	}
	paths := make([]string, len(reports))
	if f.out != "" {
		if paths, err = writeReports(reports, f); err != nil {
			return err
		}
	}
	if a.flags.json {
		for i, r := range reports {
			if err := a.object(a.reportOf(r, paths[i])); err != nil {
				return err
			}
		}
		return nil
	}
	applicants := 0
	for i, r := range reports {
		if f.out == "" {
			if i > 0 {
				fmt.Fprintln(a.out)
			}
			if _, err := a.out.Write(r.Text); err != nil {
				return err
			}
		} else {
			fmt.Fprintln(a.out, paths[i])
		}
		if r.To == desk.ToHead {
			a.say("report.head", "n", len(r.Entries))
		} else {
			applicants++
		}
	}
	if applicants > 0 {
		a.say("report.applicants", "n", applicants)
	}
	if f.out == "" {
		a.say("report.pdf", "names", a.commas(names))
	}
	return nil
}

// writeReports writes one file for each report: under the given name when there is only one, else into that folder.
func writeReports(reports []desk.Report, f reportFlags) ([]string, error) {
	st, err := os.Stat(f.out)
	folder := err == nil && st.IsDir() || len(reports) > 1 || strings.HasSuffix(f.out, string(filepath.Separator))
	if folder {
		if err := vault.MakeFolder(f.out); err != nil {
			return nil, err
		}
	}
	paths := make([]string, len(reports))
	taken := map[string]bool{}
	for i, r := range reports {
		data, ext := r.PDF, ".pdf"
		if f.format == desk.FormatText {
			data, ext = r.Text, ".txt"
		}
		paths[i] = f.out
		if folder {
			paths[i] = freeName(filepath.Join(f.out, reportName(r)), ext, f.force, taken)
		}
		if err := writeOutput(paths[i], data, f.force); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// reportName is what a report's file is called: the entries, then for whom it is.
func reportName(r desk.Report) string {
	names := strings.NewReplacer(", ", "_", "/", "-").Replace(ranges(r.Entries, r.Entries[0].Year))
	if len(names) > 60 {
		names = r.Entries[0].String() + "-dst"
	}
	if r.To == desk.ToHead {
		return names + "-laporan-" + desk.ToHead
	}
	return names + "-pemberitahuan-" + slug(r.Applicant)
}

// freeName is the first name that no file has, so that a report of today never stands in the way of the next one.
func freeName(base, ext string, force bool, taken map[string]bool) string {
	path := base + ext
	for i := 2; ; i++ {
		_, err := os.Lstat(path)
		if !taken[path] && (force || os.IsNotExist(err)) {
			taken[path] = true
			return path
		}
		path = fmt.Sprintf("%s-%d%s", base, i, ext)
	}
}

// slug makes a file name of a text: letters and digits, the rest one hyphen.
func slug(s string) string {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	s = strings.Join(words, "-")
	if len(s) > 60 {
		s = s[:60]
	}
	if s == "" {
		return "pemohon"
	}
	return s
}

func writeOutput(path string, data []byte, force bool) error {
	out, err := vault.NewOutput(path, force)
	if err != nil {
		return err
	}
	defer out.Abort()
	if _, err := out.Write(data); err != nil {
		return err
	}
	return out.Commit()
}

type reportJSON struct {
	Schema    string   `json:"schema"` // sandi.report/1
	Kind      string   `json:"kind"`
	To        string   `json:"to"`
	Applicant *string  `json:"applicant"`
	Entries   []string `json:"entries"`
	Path      *string  `json:"path"`
	Text      string   `json:"text"`
	Mailed    *string  `json:"mailed"`  // L3/2026
	Address   *string  `json:"address"` // of the reader
	State     *string  `json:"state"`   // of its copy
	Before    bool     `json:"before"`  // made by an earlier run
}

func (a *app) reportOf(r desk.Report, path string) reportJSON {
	out := reportJSON{
		Schema: "sandi.report/1", Kind: "result", To: r.To, Applicant: render.Text(r.Applicant), Entries: []string{},
		Path: render.Text(path), Text: string(r.Text),
	}
	for _, n := range r.Entries {
		out.Entries = append(out.Entries, a.entryName(n))
	}
	return out
}
