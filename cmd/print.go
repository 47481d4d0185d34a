package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/agenda/extract"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/messages"
	"sandi/cmd/internal/render"
)

// printView is the result of a print.
type printView struct {
	Schema  string   `json:"schema"` // sandi.print/1
	Kind    string   `json:"kind"`
	File    *string  `json:"file"` // null: standard output
	Entries []string `json:"entries"`
	Rows    int      `json:"rows"`
	Pages   int      `json:"pages"`
	Codes   []string `json:"codes"`
	Again   int      `json:"again"`   // rows printed before and changed since
	Sheet   int      `json:"sheet"`   // last bound sheet; 0: not to be bound
	Volume  int      `json:"volume"`  // Buku ke-
	Printer *string  `json:"printer"` // null: not handed to a printer
	Job     string   `json:"job"`     // what lp called it
}

func (a *app) printCommand() *cobra.Command {
	c := a.describe("print", &cobra.Command{Use: "print"})
	c.AddCommand(a.printBookCommand("book"))
	for _, s := range []struct {
		kind, file string
		run        func(ctx context.Context, d *desk.Desk, w io.Writer, names []agenda.Name, format, paper string) error
	}{
		{"slip", "lembar-belakang", func(ctx context.Context, d *desk.Desk, w io.Writer, names []agenda.Name, format, paper string) error {
			return d.PrintSlips(ctx, w, names, format, paper)
		}},
		{"draft", "draf", func(ctx context.Context, d *desk.Desk, w io.Writer, names []agenda.Name, format, _ string) error {
			return d.PrintDraft(ctx, w, names[0], format)
		}},
		{"receipt", "tanda-terima", func(ctx context.Context, d *desk.Desk, w io.Writer, names []agenda.Name, format, _ string) error {
			return d.PrintReceipt(ctx, w, names[0], format)
		}},
		{"waiting", "", func(ctx context.Context, d *desk.Desk, w io.Writer, _ []agenda.Name, format, _ string) error {
			return d.PrintWaiting(ctx, w, format)
		}},
	} {
		sub := a.describe("print "+s.kind, &cobra.Command{Use: s.kind})
		switch s.kind {
		case "slip":
			sub.Args = cobra.MinimumNArgs(1)
		case "waiting":
			sub.Args = cobra.NoArgs
		default:
			sub.Args = cobra.ExactArgs(1)
		}
		sub.RunE = func(c *cobra.Command, args []string) error {
			return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
				return a.printSheet(ctx, c, d, s.kind, s.file, args, s.run)
			})
		}
		a.outputFlags(sub)
		a.stringFlags(sub, "print", "format")
		if s.kind == "slip" {
			a.stringFlags(sub, "print", "paper")
		}
		c.AddCommand(sub)
	}
	c.AddCommand(a.printCoverCommand(), a.printResultCommand(), a.printDispatchCommand(), a.printKeyCommand(), a.reportServiceCommand("service"))
	return c
}

// outputFlags say where a sheet goes.
func (a *app) outputFlags(c *cobra.Command) {
	c.Flags().StringP("output", "o", "", a.cat.Text("flag.print.output"))
	c.Flags().Bool("force", false, a.cat.Text("flag.print.force"))
	c.Flags().String("printer", "", a.cat.Text("flag.print.printer"))
	c.Flags().Bool("open", false, a.cat.Text("flag.print.open"))
}

func (a *app) printSheet(ctx context.Context, c *cobra.Command, d *desk.Desk, kind, file string, args []string,
	run func(ctx context.Context, d *desk.Desk, w io.Writer, names []agenda.Name, format, paper string) error,
) error {
	v := printView{Schema: "sandi.print/1", Kind: kind, Entries: []string{}, Codes: []string{}}
	var names []agenda.Name
	if len(args) > 0 {
		var err error
		if names, err = a.names(args); err != nil {
			return err
		}
	}
	if len(names) > 1 && kind != "slip" {
		return usageError("usage.one_entry", "value", a.commas(names))
	}
	for _, n := range names {
		v.Entries = append(v.Entries, n.String())
	}
	format, err := printFormat(flag(c, "format"), desk.FormatPDF, desk.FormatText)
	if err != nil {
		return err
	}
	paper := ""
	if kind == "slip" {
		if paper, err = printPaper(flag(c, "paper"), extract.F4, extract.A4, extract.Label); err != nil {
			return err
		}
	}
	what := strings.ReplaceAll(ranges(names, a.thisYear()), ", ", "-")
	name := strings.ReplaceAll(what, "/", "-") + "-" + file
	if kind == "waiting" {
		what, name = a.cat.Text("print.waiting.name"), "menunggu-tanda-tangan-"+midnight(d.Now()).Format(time.DateOnly)
	}
	return a.output(c, &v, name, format, a.cat.Text("print.what."+kind, "names", what), func(w io.Writer) error {
		return run(ctx, d, w, names, format, paper)
	})
}

// output writes a sheet to -o, to standard output for "-" (and for text without -o), else to a file with a telling name in the
// current folder, and tells which.
func (a *app) output(c *cobra.Command, v *printView, name, format, what string, write func(io.Writer) error) error {
	path := flag(c, "output")
	printer := flag(c, "printer")
	if printer != "" && format != desk.FormatPDF && format != desk.FormatText {
		return usageError("usage.choice", "flag", "--format", "value", desk.FormatPDF+", "+desk.FormatText)
	}
	if path == "" && printer == "" && format == desk.FormatText {
		path = "-"
	}
	if path == "" && printer == "" {
		path = name + "." + format
	}
	if a.flags.dryRun {
		a.say("print.dry", "what", what)
		return a.result(v, func(io.Writer) {})
	}
	if path == "-" {
		var w io.Writer = a.out
		if format != desk.FormatText {
			w = a.term.Out() // octets, not words
		}
		return write(w)
	}
	force, _ := c.Flags().GetBool("force")
	var sheet bytes.Buffer
	if printer != "" {
		if err := write(&sheet); err != nil {
			return err
		}
		write = func(w io.Writer) error {
			_, err := w.Write(sheet.Bytes())
			return err
		}
	}
	if path != "" {
		if err := a.printed(path, force, write); err != nil {
			return err
		}
		v.File = &path
	}
	if printer != "" {
		if err := a.onPaper(c, v, printer, name, format, what, sheet.Bytes()); err != nil {
			return err
		}
	}
	a.show(c, path)
	return a.sheetDone(v, what)
}

// show opens a written sheet where --open asks for it.
func (a *app) show(c *cobra.Command, path string) {
	if wanted, _ := c.Flags().GetBool("open"); wanted && path != "" {
		if err := desk.OpenFile(c.Context(), path); err != nil {
			a.warn("print.not_opened", "path", path)
		}
	}
}

// sheetDone tells where a sheet went. A period has an en dash on paper, and a
// hyphen on the screen.
func (a *app) sheetDone(v *printView, what string) error {
	what = strings.ReplaceAll(what, "\u2013", "-")
	return a.result(v, func(w io.Writer) {
		if v.Printer != nil {
			fmt.Fprintln(w, a.cat.Text("print.done_printer", "what", what, "printer", *v.Printer, "job", v.Job))
		}
		if v.File != nil {
			fmt.Fprintln(w, a.cat.Text("print.done", "what", what, "path", *v.File))
		}
	})
}

// defaultPrinter is the word for the system's own printer.
const defaultPrinter = "default"

// onPaper hands a sheet to a printer. A print that is on record must not be lost with the printer: it is kept as a file then.
func (a *app) onPaper(c *cobra.Command, v *printView, printer, name, format, what string, sheet []byte) error {
	chosen := printer
	if chosen == defaultPrinter {
		chosen = ""
	}
	job, err := desk.PrintOn(c.Context(), chosen, what, sheet)
	if err != nil {
		if v.File != nil {
			return err
		}
		kept := freeName(name, "."+format, false, map[string]bool{})
		if failed := writeOutput(kept, sheet, false); failed != nil {
			return errors.Join(err, failed)
		}
		return &detailed{err, []any{"path", kept, "want", "kept"}}
	}
	v.Printer, v.Job = &printer, job
	return nil
}

func printFormat(s string, allowed ...string) (string, error) {
	if s == "" {
		return allowed[0], nil
	}
	for _, f := range allowed {
		if strings.EqualFold(s, f) || f == desk.FormatText && strings.EqualFold(s, "txt") {
			return f, nil
		}
	}
	return "", usageError("usage.choice", "flag", "--format", "value", strings.Join(allowed, ", "))
}

func printPaper(s string, allowed ...extract.Paper) (string, error) {
	if s == "" {
		return "", nil
	}
	var words []string
	for _, p := range allowed {
		if strings.EqualFold(s, string(p)) {
			return string(p), nil
		}
		words = append(words, string(p))
	}
	return "", usageError("usage.choice", "flag", "--paper", "value", strings.Join(words, ", "))
}

// The garbage, in percent of what is in use, that printing puts up with: a whole book is long and has to fit into a small memory,
// the sheets of some days are done before collecting would be worth its time.
const (
	lean   = 50
	lavish = 400

	fewDays = 7 * 24 * time.Hour
)

// formatJSON is the rows of a book as entries.
const formatJSON = "json"

// printBookCommand is `print book` and `agenda print`.
func (a *app) printBookCommand(use string) *cobra.Command {
	c := a.describe("print book", &cobra.Command{Use: use, Args: cobra.ArbitraryArgs, RunE: func(c *cobra.Command, args []string) error {
		readOnly := a.flags.dryRun || strings.EqualFold(flag(c, "format"), formatJSON)
		return a.withDesk(c, readOnly, func(ctx context.Context, d *desk.Desk) error { return a.printBook(ctx, c, d, args) })
	}})
	a.outputFlags(c)
	a.stringFlags(c, "print", "book", "month", "day", "from", "until", "format", "paper", "state", "class", "text")
	c.Flags().Bool("continue", false, a.cat.Text("flag.print.continue"))
	c.Flags().Int("volume", 0, a.cat.Text("flag.print.volume"))
	c.Flags().Int("year", 0, a.cat.Text("flag.print.year"))
	c.Flags().Bool("show-subject", false, a.cat.Text("flag.print.show-subject"))
	c.MarkFlagsMutuallyExclusive("month", "day", "from")
	c.MarkFlagsMutuallyExclusive("month", "day", "until")
	return c
}

func (a *app) printBook(ctx context.Context, c *cobra.Command, d *desk.Desk, args []string) error {
	p := desk.BookParams{}
	if err := a.chosenRows(c, d, &p, args); err != nil {
		return err
	}
	if p.Book == "" {
		err := a.needUntil(c, "book", "print.ask.book", func(s string) (err error) {
			p.Book, err = parseBook(s)
			return err
		})
		if err != nil {
			return err
		}
	}
	var err error
	p.ShowSubject, _ = c.Flags().GetBool("show-subject")
	if p.Format, err = printFormat(flag(c, "format"), desk.FormatPDF, desk.FormatText, desk.FormatCSV, formatJSON); err != nil {
		return err
	}
	if p.Paper, err = printPaper(flag(c, "paper"), extract.F4, extract.A4); err != nil {
		return err
	}
	name, err := a.period(c, d, &p)
	if err != nil {
		return err
	}
	name = "buku-" + string(p.Book) + "-" + name
	if p.Continue {
		if len(p.Names) > 0 || p.States != nil || p.Class != "" || p.Text != "" || !p.From.IsZero() || p.Format != desk.FormatPDF {
			return usageError("usage.continue_whole")
		}
		name += "-lanjutan-" + midnight(d.Now()).Format(time.DateOnly)
		if flag(c, "output") == "" && flag(c, "printer") == "" {
			name = freeName(name, ".pdf", false, map[string]bool{})
			name = strings.TrimSuffix(name, ".pdf")
		}
	}
	what := a.cat.Text("print.what.book", "book", a.cat.Book(string(p.Book)), "period", p.Period)
	v := printView{Schema: "sandi.print/1", Kind: "book", Entries: []string{}, Codes: []string{}}
	if p.Format == formatJSON {
		list, err := d.Book.List(ctx, agenda.Filter{
			Book: p.Book, Year: p.Year, From: p.From, Until: p.Until, States: p.States, Class: p.Class, Text: p.Text, Names: p.Names,
		})
		if err != nil {
			return err
		}
		rows := entryList{"sandi.list/1", make([]render.Entry, 0, len(list))}
		for _, e := range list {
			rows.Entries = append(rows.Entries, render.EntryOf(e, d.Due(e).At(), masked(e, p.ShowSubject)))
		}
		if path := flag(c, "output"); path == "" || path == "-" {
			return render.WriteJSON(a.term.Out(), rows)
		}
		v.Rows = len(list)
		return a.output(c, &v, name, formatJSON, what, func(w io.Writer) error { return render.WriteJSON(w, rows) })
	}
	garbage := lean
	if !p.From.IsZero() && p.Until.Sub(p.From) <= fewDays {
		garbage = lavish
	}
	defer debug.SetGCPercent(debug.SetGCPercent(garbage))
	return a.output(c, &v, name, p.Format, what, func(w io.Writer) error {
		done, err := d.PrintBook(ctx, w, p)
		v.Rows, v.Pages, v.Again, v.Sheet, v.Volume = done.Rows, done.Pages, done.Again, done.Sheet, done.Volume
		v.Codes = append(v.Codes, done.Codes...)
		return err
	})
}

// chosenRows reads what chooses among the rows of a period, and puts it into words for the heading.
func (a *app) chosenRows(c *cobra.Command, d *desk.Desk, p *desk.BookParams, args []string) error {
	f, err := a.filter(c, d)
	if err != nil {
		return err
	}
	p.Book, p.States, p.Class, p.Text = f.Book, f.States, f.Class, flag(c, "text")
	p.Continue, _ = c.Flags().GetBool("continue")
	p.Volume, _ = c.Flags().GetInt("volume")
	if p.Volume < 0 {
		return usageError("usage.flag_value", "flag", "--volume")
	}
	var words []string
	if len(args) > 0 {
		if p.Names, err = a.names(args); err != nil {
			return err
		}
		if p.Book == "" {
			p.Book = p.Names[0].Book
		}
		for _, n := range p.Names {
			if n.Book != p.Book || n.Year != p.Names[0].Year {
				return usageError("usage.one_book")
			}
		}
		words = append(words, "agenda "+ranges(p.Names, p.Names[0].Year))
	}
	if len(p.States) > 0 {
		var states []string
		for _, s := range p.States {
			states = append(states, messages.For("id").State(string(s)))
		}
		words = append(words, "keadaan "+strings.Join(states, ", "))
	}
	if p.Class != "" {
		words = append(words, "klasifikasi "+strings.ToLower(d.Config.Profile.Class(string(p.Class)).Printed))
	}
	if p.Text != "" {
		words = append(words, "memuat \""+p.Text+"\"")
	}
	p.Saying = strings.Join(words, "; ")
	return nil
}

// period reads --month, --day, --year, --from and --until; without any it is the running year. It returns the part of the file's
// name.
func (a *app) period(c *cobra.Command, d *desk.Desk, p *desk.BookParams) (string, error) {
	p.Year, _ = c.Flags().GetInt("year")
	day := func(name string) (time.Time, error) {
		t, ok := parseDay(flag(c, name), d.Now())
		if !ok {
			return t, usageError("usage.date", "flag", "--"+name, "value", flag(c, name))
		}
		return t, nil
	}
	var name string
	var err error
	switch {
	case flag(c, "month") != "":
		if p.From, p.Until, err = parseMonth(flag(c, "month")); err != nil {
			return "", err
		}
		name = p.From.Format("2006-01")
	case flag(c, "day") != "":
		if p.From, err = day("day"); err != nil {
			return "", err
		}
		p.Until, name = p.From.AddDate(0, 0, 1), p.From.Format(time.DateOnly)
	case flag(c, "from") != "" || flag(c, "until") != "":
		if p.Until, err = midnight(d.Now()), nil; flag(c, "until") != "" {
			p.Until, err = day("until")
		}
		if err != nil {
			return "", err
		}
		if p.From = time.Date(p.Until.Year(), 1, 1, 0, 0, 0, 0, agenda.WIB); flag(c, "from") != "" {
			if p.From, err = day("from"); err != nil {
				return "", err
			}
		}
		name = p.From.Format(time.DateOnly) + "-" + p.Until.Format(time.DateOnly)
		p.Until = p.Until.AddDate(0, 0, 1)
		if !p.From.Before(p.Until) {
			return "", usageError("usage.flag_value", "flag", "--until")
		}
	default:
		if p.Year == 0 {
			p.Year = a.thisYear()
			if len(p.Names) > 0 {
				p.Year = p.Names[0].Year
			}
		}
		first := time.Date(p.Year, 1, 1, 0, 0, 0, 0, agenda.WIB)
		p.Period = desk.PeriodWords(first, first.AddDate(1, 0, 0))
		return strconv.Itoa(p.Year), nil
	}
	last := p.Until.AddDate(0, 0, -1)
	if p.Year == 0 {
		p.Year = p.From.Year()
	}
	if p.From.Year() != p.Year || last.Year() != p.Year {
		return "", usageError("usage.one_year")
	}
	p.Period = desk.PeriodWords(p.From, p.Until)
	return name, nil
}
