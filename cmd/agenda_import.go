package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
)

// maxShownProblems is how many problems of a table are told; the rest is counted.
const maxShownProblems = 20

type importView struct {
	Schema  string   `json:"schema"` // sandi.import/1
	Rows    int      `json:"rows"`
	New     int      `json:"new"`
	Entries []string `json:"entries"` // of each row, in its order
	Done    bool     `json:"done"`
}

type importProblemView struct {
	Schema string `json:"schema"` // sandi.import_problem/1
	Line   int    `json:"line"`
	Column int    `json:"column"` // 0: not about one cell
	Field  string `json:"field"`
	Why    string `json:"why"`
	Value  string `json:"value"`
}

func (a *app) agendaImport() *cobra.Command {
	c := a.describe("agenda import", &cobra.Command{Use: "import", Args: cobra.MaximumNArgs(1)})
	c.Flags().Bool("template", false, a.cat.Text("flag.import.template"))
	c.RunE = func(c *cobra.Command, args []string) error {
		if template, _ := c.Flags().GetBool("template"); template {
			return a.importTemplate()
		}
		if len(args) == 0 {
			return usageError("usage.import_file")
		}
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error { return a.importTable(ctx, d, args[0]) })
	}
	return c
}

// importTemplate writes an empty table with one line to show how.
func (a *app) importTemplate() error {
	fmt.Fprintln(a.out, strings.Join(desk.ImportHeads(), ";"))
	fmt.Fprintln(a.out, a.cat.Text("import.example"))
	return nil
}

func (a *app) importTable(ctx context.Context, d *desk.Desk, path string) error {
	now := d.Now()
	p := desk.ImportParams{
		Source: a.term.In(), Folder: ".",
		Day:    func(s string) (string, error) { return parseDate("letter-date", s, now) },
		Moment: func(s string) (time.Time, error) { return parseMoment("received", s, now) },
	}
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return usageError("usage.import_unreadable", "path", path)
		}
		defer f.Close()
		p.Source, p.Folder = f, filepath.Dir(path)
	}
	rows, err := d.ReadImport(ctx, p)
	var bad *desk.ImportError
	if errors.As(err, &bad) {
		return a.tellProblems(bad)
	}
	if err != nil {
		return err
	}
	fresh, err := d.WouldBe(ctx, rows)
	if err != nil {
		return err
	}
	v := importView{Schema: "sandi.import/1", Rows: len(rows), New: len(fresh), Entries: make([]string, 0, len(rows))}
	for _, r := range rows {
		v.Entries = append(v.Entries, r.Name.Long())
	}
	if len(fresh) == 0 {
		v.Done = true
		return a.result(v, func(io.Writer) { a.say("import.nothing_new", "n", len(rows)) })
	}
	a.previewImport(d, rows)
	become := ranges(fresh, a.thisYear())
	if a.flags.dryRun {
		return a.result(v, func(io.Writer) { a.say("import.dry", "n", len(rows), "names", become) })
	}
	yes, err := a.confirm(false, "import.ask", "n", len(rows), "names", become)
	if err != nil {
		return err
	}
	if !yes {
		a.say("import.declined")
		return a.told(exitOther)
	}
	made, err := d.Import(ctx, rows)
	if len(made) == 0 {
		return err
	}
	var entered []agenda.Name
	v.Entries = v.Entries[:0]
	for _, m := range made {
		v.Entries = append(v.Entries, m.Entry.Name.Long())
		if !m.Existed {
			entered = append(entered, m.Entry.Name)
		}
	}
	v.New, v.Done = len(entered), true
	a.say("import.registered", "names", ranges(entered, a.thisYear()))
	a.sayFirstDue(d, made)
	if werr := a.result(v, func(w io.Writer) { fmt.Fprintln(w, compact(ranges(entered, a.thisYear()))) }); werr != nil {
		return werr
	}
	if err != nil {
		a.fail(err)
		return a.told(exitPartly) // the letters are entered, a scan is not
	}
	return nil
}

// previewImport shows what would be entered: the first rows, and what looks entered already.
func (a *app) previewImport(d *desk.Desk, rows []desk.ImportRow) {
	known, odds := 0, 0
	table := render.Table{Fixed: []int{0, 1}}
	for i, r := range rows {
		if r.Known {
			known++
		}
		if i >= maxTasks {
			continue
		}
		l := r.Registration.Letter
		subject := l.Subject
		if r.Registration.Book == agenda.Kriptogram {
			subject = a.cat.Text("import.masked")
		}
		table.Add(r.Name.String(), l.Number, l.Applicant, subject, strings.Join(l.To, ","))
	}
	if !a.flags.quiet && !a.flags.json {
		_, _ = table.WriteTo(a.talk) // a screen that left makes no difference
	}
	if n := len(rows) - maxTasks; n > 0 {
		a.say("import.more", "n", n)
	}
	for _, r := range rows {
		if r.Known {
			continue
		}
		l := r.Registration.Letter
		if len(r.Same) > 0 {
			a.warn("import.same", "line", r.Line, "letter", l.Number, "names", ranges(r.Same, a.thisYear()))
		}
		if !d.Encipherable(l.Class) {
			a.warn("import.class_refused", "line", r.Line, "class", a.cat.Class(string(l.Class)))
		}
		for _, t := range datesOf(l) {
			odd := oddDate(t.iso, a.now())
			if odd == "" {
				continue
			}
			if odds++; odds <= maxShownProblems {
				a.warn("import."+odd, "line", r.Line, "field", a.importField(t.field), "date", a.isoDate(t.iso))
			}
		}
	}
	if n := odds - maxShownProblems; n > 0 {
		a.warn("import.odd_more", "n", n)
	}
	if known > 0 {
		a.say("import.known", "n", known)
	}
}

// sayFirstDue tells the earliest deadline of what was entered.
func (a *app) sayFirstDue(d *desk.Desk, made []desk.Imported) {
	var first time.Time
	for _, m := range made {
		if at := d.Due(m.Entry).At(); !m.Existed && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if !first.IsZero() {
		a.say("import.first_due", "at", a.cat.DateTime(first))
	}
}

// tellProblems tells what is wrong with a table, with line and column.
func (a *app) tellProblems(bad *desk.ImportError) error {
	for i, p := range bad.Problems {
		if a.flags.json {
			v := importProblemView{"sandi.import_problem/1", p.Line, p.Column, p.Field, p.Why, p.Value}
			if err := render.WriteJSON(a.term.Out(), v); err != nil {
				return err
			}
			continue
		}
		if i == maxShownProblems {
			a.warn("import.problems_more", "n", len(bad.Problems)-i)
			break
		}
		at := a.cat.Text("import.at_line", "line", p.Line)
		switch field := a.importField(p.Field); {
		case p.Column > 0 && field != "":
			at = a.cat.Text("import.at_cell", "line", p.Line, "column", p.Column, "field", field)
		case p.Column > 0:
			at = a.cat.Text("import.at_column", "line", p.Line, "column", p.Column)
		case field != "":
			at = a.cat.Text("import.at_field", "line", p.Line, "field", field)
		}
		a.warn("import.problem", "at", at, "why", a.cat.Text("import.why."+p.Why, "value", p.Value))
	}
	return usageError("desk.import", "n", len(bad.Problems))
}

// importField is the screen's word for a column.
func (a *app) importField(field string) string {
	for _, id := range []string{"agenda.field." + field, "import.field." + field} {
		if a.cat.Has(id) {
			return a.cat.Text(id)
		}
	}
	return field
}
