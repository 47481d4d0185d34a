package cmd

import (
	"context"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/agenda/extract"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
)

// summaryView is a summary as JSON.
type summaryView struct {
	Schema string `json:"schema"` // sandi.summary/1
	Period string `json:"period"`
	desk.Summary
}

// summaryPeriod is a period with its words and the part of the file name.
type summaryPeriod struct {
	from, until        time.Time
	title, words, name string
}

func (a *app) reportSummaryCommand() *cobra.Command {
	c := a.describe("report summary", &cobra.Command{Use: "summary"})
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error {
			p, err := a.anyPeriod(c, d)
			if err != nil {
				return err
			}
			return a.summary(ctx, c, d, p)
		})
	}
	a.sheetFlags(c)
	a.stringFlags(c, "print", "month", "day", "from", "until")
	c.Flags().Int("year", 0, a.cat.Text("flag.print.year"))
	c.MarkFlagsMutuallyExclusive("month", "day", "from", "year")
	c.MarkFlagsMutuallyExclusive("month", "day", "until", "year")
	return c
}

func (a *app) reportQuarterCommand() *cobra.Command {
	c := a.describe("report quarter", &cobra.Command{Use: "quarter", Args: cobra.MaximumNArgs(1)})
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := quarter(args, a.now())
		if err != nil {
			return err
		}
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error { return a.summary(ctx, c, d, p) })
	}
	a.sheetFlags(c)
	return c
}

// sheetFlags are those of a sheet of sections.
func (a *app) sheetFlags(c *cobra.Command) {
	a.outputFlags(c)
	c.Flags().String("format", "", a.cat.Text("flag.report.format"))
}

var quarterPattern = regexp.MustCompile(`^(?i:q|tw|triwulan)? ?(?:([1-4])|(i{1,3}|I{1,3}|iv|IV))(?:[/ -](\d{4}))?$`)

// quarter reads "4", "Q4", "IV", "4/2026"; without one it is the quarter that ended last, on its last days the running one: the
// report is made when the quarter closes.
func quarter(args []string, now time.Time) (summaryPeriod, error) {
	day := now.In(agenda.WIB).AddDate(0, 0, 7)
	n := (int(day.Month())+2)/3 - 1
	year := day.Year()
	if n == 0 {
		n, year = 4, year-1
	}
	if len(args) > 0 {
		text := strings.TrimSpace(args[0])
		// 2026-Q4 as well
		if y, q, ok := strings.Cut(text, "-"); ok && len(y) == 4 {
			text = q + "/" + y
		}
		m := quarterPattern.FindStringSubmatch(text)
		if m == nil {
			return summaryPeriod{}, usageError("usage.quarter", "value", args[0])
		}
		year = now.In(agenda.WIB).Year()
		if m[1] != "" {
			n = int(m[1][0] - '0')
		} else {
			n = map[string]int{"I": 1, "II": 2, "III": 3, "IV": 4}[strings.ToUpper(m[2])]
		}
		if m[3] != "" {
			year, _ = strconv.Atoi(m[3])
		}
	}
	from, until := desk.Quarter(year, n)
	roman := []string{"I", "II", "III", "IV"}[n-1]
	return summaryPeriod{
		from: from, until: until, title: "EVALUASI KINERJA PELAYANAN",
		words: "Triwulan " + roman + " Tahun " + strconv.Itoa(year) + " (" + desk.PeriodWords(from, until) + ")",
		name:  "evaluasi-triwulan-" + strconv.Itoa(n) + "-" + strconv.Itoa(year),
	}, nil
}

// anyPeriod reads the period of a summary: a day, a month, a year or from and until; without any it is the running month.
func (a *app) anyPeriod(c *cobra.Command, d *desk.Desk) (summaryPeriod, error) {
	p := summaryPeriod{title: "RINGKASAN PELAYANAN"}
	day := func(name string) (time.Time, error) {
		t, ok := parseDay(flag(c, name), d.Now())
		if !ok {
			return t, usageError("usage.date", "flag", "--"+name, "value", flag(c, name))
		}
		return t, nil
	}
	year, _ := c.Flags().GetInt("year")
	today := midnight(d.Now())
	var err error
	switch {
	case flag(c, "month") != "":
		p.from, p.until, err = parseMonth(flag(c, "month"))
	case flag(c, "day") != "":
		p.from, err = day("day")
		p.until = p.from.AddDate(0, 0, 1)
	case flag(c, "from") != "":
		if p.from, err = day("from"); err != nil {
			return p, err
		}
		p.until = today
		if flag(c, "until") != "" {
			p.until, err = day("until")
		}
		p.until = p.until.AddDate(0, 0, 1)
	case flag(c, "until") != "":
		return p, usageError("usage.flag_required", "flag", "--from")
	case year != 0:
		p.from = time.Date(year, 1, 1, 0, 0, 0, 0, agenda.WIB)
		p.until = p.from.AddDate(1, 0, 0)
	default:
		p.from = time.Date(today.Year(), today.Month(), 1, 0, 0, 0, 0, agenda.WIB)
		p.until = p.from.AddDate(0, 1, 0)
	}
	if err == nil && !p.from.Before(p.until) {
		err = usageError("usage.flag_value", "flag", "--until")
	}
	p.words = desk.PeriodWords(p.from, p.until)
	p.name = "ringkasan-" + p.from.Format(time.DateOnly) + "-" + p.until.Add(-time.Second).In(agenda.WIB).Format(time.DateOnly)
	return p, err
}

func (a *app) summary(ctx context.Context, c *cobra.Command, d *desk.Desk, p summaryPeriod) error {
	s, err := d.Summarise(ctx, p.from, p.until)
	if err != nil {
		return err
	}
	if a.flags.json || flag(c, "format") == formatJSON {
		v := summaryView{"sandi.summary/1", p.words, s}
		if path := flag(c, "output"); path != "" && path != "-" {
			force, _ := c.Flags().GetBool("force")
			return a.printed(path, force, func(w io.Writer) error { return render.WriteJSON(w, v) })
		}
		return a.object(v)
	}
	format, err := a.plainFormat(c)
	if err != nil {
		return err
	}
	sheet, err := d.EvaluationSheet(ctx, s, p.title, p.words, format == desk.FormatCSV)
	if err != nil {
		return err
	}
	return a.plainOutput(c, "summary", p.name, format, a.cat.Text("print.what.summary", "period", p.words), sheet)
}

// plainFormat is the form of a sheet of sections: text on the screen, PDF into a file or onto a printer.
func (a *app) plainFormat(c *cobra.Command) (string, error) {
	if flag(c, "format") == "" && flag(c, "output") == "" && flag(c, "printer") == "" {
		if show, _ := c.Flags().GetBool("open"); !show {
			return desk.FormatText, nil
		}
	}
	return printFormat(flag(c, "format"), desk.FormatPDF, desk.FormatText, desk.FormatCSV)
}

func (a *app) plainOutput(c *cobra.Command, kind, name, format, what string, sheet extract.PlainSheet) error {
	v := printView{Schema: "sandi.print/1", Kind: kind, Entries: []string{}, Codes: []string{}}
	return a.output(c, &v, name, format, what, func(w io.Writer) error {
		done, err := desk.WritePlain(w, sheet, format)
		v.Pages = done.Pages
		v.Codes = append(v.Codes, done.Codes...)
		return err
	})
}

// reportServiceCommand is `report service` and `print service`: the page about the services for the wall.
func (a *app) reportServiceCommand(use string) *cobra.Command {
	c := a.describe("report service", &cobra.Command{Use: use})
	c.RunE = func(c *cobra.Command, _ []string) error {
		var book agenda.BookName
		if s := flag(c, "book"); s != "" {
			var err error
			if book, err = parseBook(s); err != nil {
				return err
			}
		}
		return a.withDesk(c, true, func(_ context.Context, d *desk.Desk) error {
			format, err := a.plainFormat(c)
			if err != nil {
				return err
			}
			name := "standar-pelayanan"
			if book != "" {
				name += "-" + string(book)
			}
			return a.plainOutput(c, "service", name, format, a.cat.Text("print.what.service"), d.ServiceSheet(book))
		})
	}
	a.sheetFlags(c)
	a.stringFlags(c, "print", "book")
	return c
}

// printDispatchCommand is the Buku Ekspedisi of a period.
func (a *app) printDispatchCommand() *cobra.Command {
	c := a.describe("print dispatch", &cobra.Command{Use: "dispatch", Args: cobra.ArbitraryArgs})
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error {
			var p desk.DispatchParams
			var err error
			if s := flag(c, "book"); s != "" {
				if p.Book, err = parseBook(s); err != nil {
					return err
				}
			}
			name := ""
			if len(args) > 0 {
				if p.Names, err = a.names(args); err != nil {
					return err
				}
				p.Period = ranges(p.Names, a.thisYear())
				name = strings.NewReplacer(", ", "-", "/", "-").Replace(p.Period)
			} else {
				period, err := a.anyPeriod(c, d)
				if err != nil {
					return err
				}
				p.From, p.Until, p.Period = period.from, period.until, period.words
				name = strings.TrimPrefix(period.name, "ringkasan-")
			}
			sheet, err := d.DispatchSheet(ctx, p)
			if err != nil {
				return err
			}
			format, err := printFormat(flag(c, "format"), desk.FormatPDF, desk.FormatText, desk.FormatCSV)
			if err != nil {
				return err
			}
			return a.plainOutput(c, "dispatch", "buku-ekspedisi-"+name, format, a.cat.Text("print.what.dispatch", "period", p.Period), sheet)
		})
	}
	a.sheetFlags(c)
	a.stringFlags(c, "print", "book", "month", "day", "from", "until")
	c.Flags().Int("year", 0, a.cat.Text("flag.print.year"))
	c.MarkFlagsMutuallyExclusive("month", "day", "from", "year")
	c.MarkFlagsMutuallyExclusive("month", "day", "until", "year")
	return c
}

// printKeyCommand is a certificate on paper.
func (a *app) printKeyCommand() *cobra.Command {
	c := a.describe("print key", &cobra.Command{Use: "key", Args: cobra.ExactArgs(1)})
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error {
			sheet, err := d.KeySheet(ctx, args[0])
			if err != nil {
				return err
			}
			format, err := printFormat(flag(c, "format"), desk.FormatPDF, desk.FormatText)
			if err != nil {
				return err
			}
			return a.plainOutput(c, "key", "lembar-kunci-"+slug(args[0]), format, a.cat.Text("print.what.key", "name", args[0]), sheet)
		})
	}
	a.sheetFlags(c)
	return c
}

// agendaClose writes the closing sheet of a day.
func (a *app) agendaClose() *cobra.Command {
	c := a.describe("agenda close", &cobra.Command{Use: "close"})
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			day := d.Now()
			if s := flag(c, "day"); s != "" {
				t, ok := parseDay(s, d.Now())
				if !ok || t.After(d.Now()) {
					return usageError("usage.date", "flag", "--day", "value", s)
				}
				day = t
			}
			format, err := printFormat(flag(c, "format"), desk.FormatPDF, desk.FormatText)
			if err != nil {
				return err
			}
			v := printView{Schema: "sandi.print/1", Kind: "day", Entries: []string{}, Codes: []string{}}
			name := "penutupan-" + midnight(day).Format(time.DateOnly)
			err = a.output(c, &v, name, format, a.cat.Text("print.what.day", "date", a.cat.Date(midnight(day))), func(w io.Writer) error {
				done, err := d.CloseDay(ctx, w, day, format)
				v.Rows, v.Pages = done.Surat+done.Kriptogram, done.Pages
				v.Codes = append(v.Codes, done.Codes...)
				if err == nil {
					a.say("agenda.closed", "surat", done.Surat, "kriptogram", done.Kriptogram, "open", len(done.Open), "words", done.Words)
				}
				return err
			})
			return err
		})
	}
	a.sheetFlags(c)
	a.stringFlags(c, "print", "day")
	return c
}

// pageView is a printed page as JSON.
type pageView struct {
	Schema  string    `json:"schema"` // sandi.page/1
	Code    string    `json:"code"`
	Page    int       `json:"page"`
	Pages   int       `json:"pages"`
	Printed time.Time `json:"printed_at"`
	Officer string    `json:"officer"`
	Kind    string    `json:"kind"`
	Filter  string    `json:"filter"`
	Rows    int       `json:"rows"`
	Kept    bool      `json:"kept"`
}

// agendaVerifyPage looks a page code up: was the page printed here, and does the book still hold all that it held then.
func (a *app) agendaVerifyPage() *cobra.Command {
	c := a.describe("agenda verify-page", &cobra.Command{Use: "verify-page", Args: cobra.MinimumNArgs(1)})
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error {
			p, err := d.Book.Page(ctx, strings.Join(args, ""))
			if err != nil {
				return err
			}
			v := pageView{"sandi.page/1", p.Code, p.Page, p.Pages, p.At, p.Actor, p.Kind, p.Filter, p.Rows, p.Kept}
			err = a.result(v, func(w io.Writer) {
				id := "agenda.page_kept"
				if !p.Kept {
					id = "agenda.page_lost"
				}
				_, _ = io.WriteString(w, a.cat.Text(id, "code", p.Code, "page", p.Page, "pages", p.Pages, "at", a.cat.DateTime(p.At),
					"kind", a.cat.Text("print.kind."+strings.SplitN(p.Kind, "-", 2)[0]), "rows", p.Rows, "filter", p.Filter)+"\n")
			})
			if err != nil {
				return err
			}
			if !p.Kept {
				return a.told(exitTampered)
			}
			return nil
		})
	}
	return c
}

// agendaCause records why an entry was late, for the evaluation.
func (a *app) agendaCause() *cobra.Command {
	c := a.describe("agenda cause", &cobra.Command{Use: "cause", Args: cobra.MinimumNArgs(1)})
	c.RunE = func(c *cobra.Command, args []string) error {
		names, err := a.names(args)
		if err != nil {
			return err
		}
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			reason, err := a.reason(c, "agenda.ask.cause")
			if err != nil {
				return err
			}
			return a.each(ctx, names, func(n agenda.Name) error {
				e, err := d.Book.Entry(ctx, n)
				if err != nil || a.flags.dryRun {
					return err
				}
				if err := explain(ctx, d, e, reason); err != nil {
					return err
				}
				a.say("agenda.cause_noted", "entry", n)
				return nil
			})
		})
	}
	a.stringFlags(c, "agenda", "reason")
	return c
}
