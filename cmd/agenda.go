package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sandi/agenda"
	"sandi/agenda/hours"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
)

func (a *app) agendaCommand() *cobra.Command {
	c := a.describe("agenda", &cobra.Command{Use: "agenda"})
	c.AddCommand(
		a.agendaAdd(), a.agendaAssign(), a.agendaAttach(), a.agendaCorrect(), a.agendaVoid(),
		a.agendaList(), a.agendaShow(), a.agendaSearch(), a.agendaVerify(), a.agendaImport(), a.printBookCommand("print"),
		a.agendaClose(), a.agendaVerifyPage(), a.agendaCause(),
	)
	return c
}

// letterFlags are the fields of a letter that add and correct share.
func (a *app) letterFlags(c *cobra.Command) {
	a.stringFlags(c, "agenda", "class", "urgency", "applicant", "request", "request-date", "received", "letter", "letter-date",
		"origin", "subject", "enclosures", "archive-class", "place", "note", "refers")
	c.Flags().StringSlice("to", nil, a.cat.Text("flag.agenda.to"))
	c.Flags().StringSlice("cc", nil, a.cat.Text("flag.agenda.cc"))
	c.Flags().Int("pages", 0, a.cat.Text("flag.agenda.pages"))
	c.Flags().Bool("excluded", false, a.cat.Text("flag.agenda.excluded"))
}

// letterForm fills a letter from the flags of a command.
type letterForm struct {
	a *app
	c *cobra.Command
	d *desk.Desk
}

func (f letterForm) changed(name string) bool { return f.c.Flags().Changed(name) }

// fill takes over what is typed, but for the subject, which may be secret.
func (f letterForm) fill(l *agenda.Letter) error {
	var err error
	for _, t := range []struct {
		name string
		to   *string
	}{
		{"applicant", &l.Applicant},
		{"request", &l.Request},
		{"letter", &l.Number},
		{"origin", &l.Origin},
		{"enclosures", &l.Enclosures},
		{"archive-class", &l.ArchiveClass},
		{"place", &l.Place},
		{"note", &l.Note},
	} {
		if f.changed(t.name) {
			*t.to = flag(f.c, t.name)
			if err := agenda.CheckText(t.name, *t.to); err != nil {
				return err
			}
		}
	}
	now := f.d.Now()
	for _, t := range []struct {
		name string
		to   *string
	}{{"request-date", &l.RequestDate}, {"letter-date", &l.Date}} {
		if f.changed(t.name) {
			if *t.to, err = f.date(t.name, flag(f.c, t.name)); err != nil {
				return err
			}
		}
	}
	if f.changed("received") {
		if l.Received, err = parseMoment("received", flag(f.c, "received"), now); err != nil {
			return err
		}
		if err := future(l.Received, now, "received"); err != nil {
			return err
		}
	}
	if f.changed("class") {
		if l.Class, err = agenda.ParseClass(flag(f.c, "class")); err != nil {
			return err
		}
	}
	if f.changed("urgency") {
		if l.Urgency, err = agenda.ParseUrgency(flag(f.c, "urgency")); err != nil {
			return err
		}
	}
	if f.changed("refers") {
		n, err := f.a.name(flag(f.c, "refers"))
		if err != nil {
			return err
		}
		if _, err := f.d.Book.Entry(f.c.Context(), n); err != nil {
			return err
		}
		l.Refers = n.Long()
	}
	if f.changed("pages") {
		l.Pages, _ = f.c.Flags().GetInt("pages")
	}
	if f.changed("excluded") {
		l.Excluded, _ = f.c.Flags().GetBool("excluded")
	}
	for _, t := range []struct {
		name string
		to   *[]string
	}{{"to", &l.To}, {"cc", &l.Cc}} {
		if f.changed(t.name) {
			values, _ := f.c.Flags().GetStringSlice(t.name)
			if *t.to, err = f.addressees(values); err != nil {
				return err
			}
		}
	}
	return nil
}

// date reads a date of a letter. One that is odd is most often a slip of the year, but a letter may be dated ahead, or lie long:
// on a terminal it is taken when that is meant, else typed anew.
func (f letterForm) date(name, s string) (string, error) {
	a := f.a
	iso, err := parseDate(name, s, f.d.Now())
	for err == nil && f.questions() {
		odd := oddDate(iso, f.d.Now())
		if odd == "" {
			return iso, nil
		}
		// What an earlier run of a script entered was answered there.
		if _, known, err := f.d.Book.Known(f.c.Context(), flag(f.c, "once")); err != nil || known {
			return iso, err
		}
		yes, err := a.confirm(false, "agenda.ask."+odd, "field", a.cat.Text("agenda.field."+name), "date", a.isoDate(iso))
		if err != nil || yes {
			return iso, err
		}
		if err = f.askDate(name, &iso); err != nil {
			return "", err
		}
	}
	return iso, err
}

// askDate asks for a date until there is one.
func (f letterForm) askDate(name string, iso *string) error {
	return f.a.askUntil("--"+name, f.a.cat.Text("agenda.ask."+name)+":", func(s string) (err error) {
		if *iso, err = parseDate(name, s, f.d.Now()); err == nil && *iso == "" {
			err = usageError("usage.flag_required", "flag", "--"+name)
		}
		return err
	})
}

// questions tells whether what looks odd is asked about; else it is taken and told.
func (f letterForm) questions() bool {
	return f.a.term.CanPrompt() && !f.a.flags.yes && !f.a.flags.dryRun
}

// warnOdd tells of odd dates that are new in the letter of an entry, unless they were asked about.
func (f letterForm) warnOdd(was, is agenda.Letter, n agenda.Name) {
	if f.questions() {
		return
	}
	for _, t := range datesOf(is) {
		odd := oddDate(t.iso, f.d.Now())
		if odd == "" || slices.Contains(datesOf(was), t) {
			continue
		}
		text := f.a.cat.Text("agenda."+odd, "field", f.a.cat.Text("agenda.field."+t.field), "date", f.a.isoDate(t.iso))
		if f.a.flags.dryRun {
			f.a.warnText("agenda."+odd, text)
			continue
		}
		text += "\n" + f.a.cat.Text("agenda.odd_mend", "entry", n, "flag", "--"+t.field)
		f.a.warnText("agenda."+odd, text, "entry", n)
	}
}

type letterDate struct{ field, iso string }

// datesOf are the dates that stand on the papers of a letter.
func datesOf(l agenda.Letter) []letterDate {
	return []letterDate{{"letter-date", l.Date}, {"request-date", l.RequestDate}}
}

// addressees resolves "@group" to its members. Who stands there already is not added again.
func (f letterForm) addressees(values []string) ([]string, error) {
	var list []string
	for _, v := range values {
		v = strings.TrimSpace(v)
		names := []string{v}
		if group, ok := strings.CutPrefix(v, "@"); ok {
			if names, ok = f.d.Members(group); !ok {
				return nil, usageError("usage.unknown_group", "value", v)
			}
		}
		for _, n := range names {
			if n != "" && (!slices.Contains(list, n) || len(names) == 1) {
				list = append(list, n)
			}
		}
	}
	return list, nil
}

// subject reads --subject, see (*app).text. ok is false when the flag is absent.
func (f letterForm) subject(class agenda.Class) (text string, ok bool, err error) {
	if !f.changed("subject") {
		return "", false, nil
	}
	text, typed, err := f.a.text(f.c, "subject")
	if typed && class != agenda.ClassBiasa {
		f.a.warn("agenda.subject_history")
	}
	return text, true, err
}

func (a *app) agendaAdd() *cobra.Command {
	c := a.describe("agenda add", &cobra.Command{Use: "add", RunE: func(c *cobra.Command, _ []string) error {
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			return a.addLetter(ctx, letterForm{a, c, d})
		})
	}})
	a.letterFlags(c)
	a.stringFlags(c, "agenda", "book", "like", "retracts", "once")
	c.MarkFlagsMutuallyExclusive("like", "retracts")
	return c
}

func (a *app) addLetter(ctx context.Context, f letterForm) error {
	r := agenda.Registration{Once: flag(f.c, "once"), Letter: agenda.Letter{Urgency: agenda.UrgencyBiasa}}
	l := &r.Letter
	like, err := f.like(ctx, l)
	if err != nil {
		return err
	}
	if err := f.fill(l); err != nil {
		return f.ended(err, *l)
	}
	if r.Book, err = f.book(l); err != nil {
		return f.ended(err, *l)
	}
	// Nobody answers five questions to hear that somebody else is to enter it.
	who, err := f.d.ActingOr(ctx, desk.Clerk(r.Book))
	if err != nil {
		return err
	}
	if !f.changed("excluded") {
		l.Excluded = r.Book == agenda.Kriptogram
	}
	if l.Received.IsZero() {
		l.Received = f.d.Now().Truncate(time.Minute)
	}
	if err := f.ask(l, like); err != nil {
		return f.ended(err, *l)
	}
	if err := f.d.CheckAddressees(ctx, *l); err != nil {
		return err
	}
	same, err := f.d.SameLetter(ctx, *l, a.thisYear())
	if err != nil {
		return err
	}
	known, err := f.d.KnownApplicant(ctx, l.Applicant)
	if err != nil {
		return err
	}
	made, err := f.d.Book.Register(ctx, who, r)
	if err != nil {
		return err
	}
	if a.flags.dryRun && !made[0].Existed {
		return f.rehearsed(r)
	}
	e, err := f.d.Book.EntryByID(ctx, made[0].ID)
	if err != nil {
		return err
	}
	if made[0].Existed {
		a.say("agenda.existed", "entry", e.Name, "at", a.cat.DateTime(e.RegisteredAt))
	} else {
		a.say("agenda.registered", "entry", e.Name, "at", a.cat.DateTime(e.RegisteredAt))
		a.sayDue(f.d, e)
		if f.changed("retracts") {
			a.say("retracts.registered", "entry", e.Name, "old", like.Name)
		}
		if len(same) > 0 {
			a.warn("agenda.same_letter", "letter", l.Number, "names", ranges(same, a.thisYear()), "entry", e.Name)
		}
		if !known {
			a.hint("agenda.no_applicant", "name", l.Applicant, "entry", e.Name)
		}
		a.warnUnknown(e)
		f.warnClass("", l.Class, e.Name)
		f.warnOdd(agenda.Letter{}, e.Letter, e.Name)
	}
	return a.result(render.EntryOf(e, f.d.Due(e).At(), masked(e, false)), func(w io.Writer) { fmt.Fprintln(w, e.Name) })
}

// warnClass tells at once of a class that encrypt will refuse.
func (f letterForm) warnClass(was, is agenda.Class, n agenda.Name) {
	if was != is && !f.d.Encipherable(is) {
		f.a.warn("agenda.class_waits", "class", f.a.cat.Class(string(is)), "entry", n)
	}
}

// warnUnknown tells of addressees that stand in the entry as typed: a slip, or somebody who is not registered yet.
func (a *app) warnUnknown(e agenda.Entry) {
	for _, c := range e.Copies {
		if c.Correspondent == 0 {
			a.warn("agenda.no_correspondent", "name", render.Safe(c.Handle), "entry", e.Name)
		}
	}
}

// masked tells whether the subject of an entry stays hidden.
func masked(e agenda.Entry, show bool) bool { return e.Name.Book == agenda.Kriptogram && !show }

// like copies what --like says: applicant, origin, class and addressees; never number, dates or files.
func (f letterForm) like(ctx context.Context, l *agenda.Letter) (agenda.Entry, error) {
	from := "like"
	if f.changed("retracts") {
		from = "retracts"
	}
	if !f.changed(from) {
		return agenda.Entry{}, nil
	}
	n, err := f.a.name(flag(f.c, from))
	if err != nil {
		return agenda.Entry{}, err
	}
	e, err := f.d.Book.Entry(ctx, n)
	if err != nil {
		return e, err
	}
	was := e.Letter
	if from == "retracts" {
		// What nobody got is voided; what somebody has can only be withdrawn by a letter of its own.
		if !slices.ContainsFunc(e.Copies, desk.Reached) {
			return e, usageError("usage.retracts", "entry", n)
		}
		l.Refers, l.Retracts = n.Long(), cmp.Or(flag(f.c, "reason"), desk.WrongAddress)
		l.Note = f.a.cat.Text("retracts.note", "entry", n)
	}
	l.Applicant, l.Origin, l.Class, l.Urgency = was.Applicant, was.Origin, was.Class, was.Urgency
	l.To, l.Cc = slices.Clone(was.To), slices.Clone(was.Cc)
	return e, nil
}

// book infers the book from the class and refuses the wrong path before anything is asked.
func (f letterForm) book(l *agenda.Letter) (agenda.BookName, error) {
	var book agenda.BookName
	if f.changed("book") {
		var err error
		if book, err = parseBook(flag(f.c, "book")); err != nil {
			return "", err
		}
	}
	if l.Class == "" && book == agenda.Kriptogram {
		err := f.a.needUntil(f.c, "class", "agenda.ask.class", func(s string) error {
			class, err := agenda.ParseClass(s)
			if err == nil && agenda.BookFor(class) != book {
				err = usageError("usage.class_book", "class", f.a.cat.Class(string(class)))
			}
			l.Class = class
			return err
		})
		if err != nil {
			return "", err
		}
	}
	if l.Class == "" {
		l.Class = agenda.ClassBiasa
	}
	switch right := agenda.BookFor(l.Class); {
	case book == agenda.Surat && right != book:
		return "", usageError("usage.class_path", "class", f.a.cat.Class(string(l.Class)), "value", string(l.Class))
	case book != "" && right != book:
		return "", usageError("usage.class_book", "class", f.a.cat.Class(string(l.Class)))
	default:
		return right, nil
	}
}

// ended is the error of a question that was left, with all that was typed until then as one line to go on from.
func (f letterForm) ended(err error, l agenda.Letter) error {
	if codeOf(err) != codeAnswerEnded {
		return err
	}
	book, _ := parseBook(flag(f.c, "book"))
	secret := book == agenda.Kriptogram || l.Class != "" && agenda.BookFor(l.Class) == agenda.Kriptogram
	words := strings.Fields(f.c.CommandPath())
	given := map[string]bool{"class": !secret}
	f.c.Flags().Visit(func(p *pflag.Flag) {
		value := p.Value.String()
		switch list, err := f.c.Flags().GetStringSlice(p.Name); {
		case p.Name == "subject" && secret && value != "-" && !strings.HasPrefix(value, "@"):
			return // it has no place on a screen
		case err == nil:
			words = append(words, "--"+p.Name, strings.Join(list, ","))
		case p.Value.Type() == "bool":
			words = append(words, "--"+p.Name+"="+value)
		default:
			words = append(words, "--"+p.Name, value)
		}
		given[p.Name] = true
	})
	subject := cmp.Or(l.Subject, f.a.cat.Text("agenda.line.subject"))
	if secret {
		subject = f.a.cat.Text("agenda.line.subject_file")
	}
	for _, t := range []struct{ name, value string }{
		{"class", string(l.Class)},
		{"applicant", l.Applicant},
		{"letter", l.Number},
		{"letter-date", l.Date},
		{"subject", subject},
		{"to", strings.Join(l.To, ",")},
	} {
		if !given[t.name] {
			words = append(words, "--"+t.name, cmp.Or(t.value, f.a.cat.Text("agenda.line."+t.name)))
		}
	}
	return usageError(codeAnswerEnded, "want", "add", "line", shellLine(words))
}

// parseBook accepts the stored words and the letters of the names.
func parseBook(s string) (agenda.BookName, error) {
	switch strings.ToLower(s) {
	case "kriptogram", "k":
		return agenda.Kriptogram, nil
	case "surat", "s":
		return agenda.Surat, nil
	}
	return "", usageError("usage.book", "value", s)
}

// ask asks for what is missing and, with --like on a terminal, for what was copied, with that as the default. A classified
// subject never shows an old value.
func (f letterForm) ask(l *agenda.Letter, like agenda.Entry) error {
	a := f.a
	copied := like.ID != 0 && a.term.CanPrompt() && !a.flags.yes
	field := func(name string, value *string, accept func(string) error) error {
		if *value != "" && (f.changed(name) || !copied) {
			return nil
		}
		prompt := a.cat.Text("agenda.ask." + name)
		was := *value
		if was != "" {
			prompt += " [" + render.Safe(was) + "]"
		}
		return a.askUntil("--"+name, prompt+":", func(answer string) error {
			if answer = cmp.Or(answer, was); answer == "" {
				return usageError("usage.flag_required", "flag", "--"+name)
			}
			if err := accept(answer); err != nil {
				return err
			}
			*value = answer
			return nil
		})
	}
	text := func(name string) func(string) error {
		return func(s string) error { return agenda.CheckText(name, s) }
	}
	// What is typed already is looked at before anything is asked.
	subject, given, err := f.subject(l.Class)
	switch {
	case err != nil:
	case given && subject == "":
		err = emptyText("subject", flag(f.c, "subject"))
	case given:
		l.Subject = subject
		err = agenda.CheckText("subject", subject)
	}
	book := agenda.BookFor(l.Class)
	if err == nil && f.changed("applicant") {
		err = f.d.CheckApplicant(f.c.Context(), book, l.Applicant)
	}
	if err == nil && (f.changed("to") || f.changed("cc") && len(l.To) > 0) {
		err = f.d.CheckAddressees(f.c.Context(), *l)
	}
	if err != nil {
		return err
	}
	err = field("applicant", &l.Applicant, func(s string) error {
		if err := agenda.CheckText("applicant", s); err != nil {
			return err
		}
		return f.d.CheckApplicant(f.c.Context(), book, s)
	})
	if err != nil {
		return err
	}
	if err := field("letter", &l.Number, text("letter")); err != nil {
		return err
	}
	if l.Date == "" {
		var iso string
		err := f.askDate("letter-date", &iso)
		if err == nil {
			iso, err = f.date("letter-date", iso)
		}
		if err != nil {
			return err
		}
		l.Date = iso
	}
	switch {
	case given:
	case l.Class == agenda.ClassBiasa:
		if copied {
			l.Subject = like.Letter.Subject
		}
		err = field("subject", &l.Subject, text("subject"))
	default:
		err = a.askUntil("--subject", a.cat.Text("agenda.ask.secret_subject", "class", a.cat.Class(string(l.Class))), func(s string) error {
			if l.Subject = s; s == "" {
				return usageError("usage.flag_required", "flag", "--subject")
			}
			return agenda.CheckText("subject", s)
		})
	}
	if err != nil {
		return err
	}
	to := strings.Join(l.To, ",")
	return field("to", &to, func(answer string) error {
		with := *l
		if answer != to {
			var err error
			if with.To, err = f.addressees(strings.Split(answer, ",")); err != nil {
				return err
			}
		}
		if err := f.d.CheckAddressees(f.c.Context(), with); err != nil {
			return err
		}
		l.To = with.To
		return nil
	})
}

// rehearsed tells what add would enter; no serial is used.
func (f letterForm) rehearsed(r agenda.Registration) error {
	a := f.a
	a.say("agenda.dry_add", "book", a.cat.Book(string(r.Book)), "class", a.cat.Class(string(r.Letter.Class)),
		"to", strings.Join(r.Letter.To, ", "))
	e := agenda.Entry{Name: agenda.Name{Book: r.Book, Year: a.thisYear()}, Letter: r.Letter, State: agenda.StateRegistered}
	a.sayDue(f.d, e)
	if !f.d.Encipherable(e.Letter.Class) {
		a.warn("agenda.class_refused", "class", a.cat.Class(string(e.Letter.Class)))
	}
	f.warnOdd(agenda.Letter{}, e.Letter, e.Name)
	v := render.EntryOf(e, f.d.Due(e).At(), masked(e, false))
	v.Name = ""
	return a.result(v, func(io.Writer) {})
}

// sayDue tells the deadline with its reckoning.
func (a *app) sayDue(d *desk.Desk, e agenda.Entry) {
	due, now := d.Due(e), d.Now()
	line := a.cat.Text("agenda.due", "at", a.cat.DateTime(due.Deadline.At))
	urgency := a.cat.Urgency(string(e.Letter.Urgency))
	closed := !due.Urgency.IsZero() && due.UrgencyOpen.Before(due.Urgency)
	if !due.Urgency.IsZero() && !closed {
		line += " " + a.cat.Text("agenda.due.urgency", "urgency", urgency, "at", a.cat.Day(due.Urgency)+" "+a.clockOnly(due.Urgency))
	}
	a.sayWrapped(line)
	left, day := a.span(due.RemainingToday), a.cat.Text("agenda.due.received_then")
	if midnight(due.Received).Equal(midnight(now)) {
		day = a.cat.Text("agenda.due.received_today")
	}
	switch due.Rule {
	case hours.ServiceHours:
		a.say("agenda.due.hours", "hours", int(due.Norm.Hours()), "received", a.cat.Clock(due.Received), "left", left, "day", day)
	case hours.NextDayClose:
		a.say("agenda.due.next_day", "received", a.cat.Clock(due.Received), "date", a.cat.ShortDate(due.Received))
	default:
		a.say("agenda.due.same_day", "received", a.cat.Clock(due.Received), "date", a.cat.ShortDate(due.Received))
	}
	if closed {
		open := a.cat.Text("agenda.due.open_then", "date", a.cat.Day(due.UrgencyOpen)+", "+a.cat.Date(due.UrgencyOpen), "at", a.cat.Clock(due.UrgencyOpen))
		if midnight(due.UrgencyOpen).Equal(midnight(now)) {
			open = a.cat.Text("agenda.due.open_today", "at", a.cat.Clock(due.UrgencyOpen))
		}
		a.say("agenda.due.urgency_closed", "urgency", urgency, "at", a.cat.Day(due.Urgency)+" "+a.cat.Clock(due.Urgency), "open", open)
	}
	for _, year := range due.MissingYears {
		a.warn("agenda.no_holidays", "year", year)
	}
}

// span writes a duration in hours and minutes.
func (a *app) span(t time.Duration) string {
	h, m := int(t.Hours()), int(t.Minutes())%60
	switch {
	case h == 0:
		return a.cat.Text("span.minutes", "m", m)
	case m == 0:
		return a.cat.Text("span.hours", "h", h)
	}
	return a.cat.Text("span.both", "h", h, "m", m)
}

func (a *app) agendaAssign() *cobra.Command {
	c := a.describe("agenda assign", &cobra.Command{Use: "assign", Args: cobra.MinimumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error { return a.assign(ctx, c, d, args) })
	}})
	a.stringFlags(c, "agenda", "from", "order", "at")
	c.Flags().String("to", "", a.cat.Text("flag.agenda.to_role"))
	return c
}

// assign records orders that were given on paper: the whole chain of the service, or the one link of --from and --to.
func (a *app) assign(ctx context.Context, c *cobra.Command, d *desk.Desk, args []string) error {
	names, err := a.names(args)
	if err != nil {
		return err
	}
	at, err := parseMoment("at", flag(c, "at"), d.Now())
	if err != nil {
		return err
	}
	if err := future(at, d.Now(), "at"); err != nil {
		return err
	}
	var link []agenda.Order
	if c.Flags().Changed("from") || c.Flags().Changed("to") {
		from, err := roleFlag(c, "from")
		if err != nil {
			return err
		}
		to, err := roleFlag(c, "to")
		if err != nil {
			return err
		}
		if from == to {
			return usageError("usage.order_self", "value", to)
		}
		link = []agenda.Order{{From: string(from), To: string(to)}}
	}
	var done []recorded
	var stand []agenda.Name
	var entries []agenda.Entry
	err = a.each(ctx, names, func(n agenda.Name) error {
		orders := slices.Clone(link)
		if orders == nil {
			orders = d.Orders(n.Book)
		}
		for i := range orders {
			orders[i].At, orders[i].Text = at, flag(c, "order")
		}
		var made, stood []agenda.Order
		e, err := a.step(ctx, d, n, func(e agenda.Entry, who agenda.Actor) (err error) {
			made, stood, err = d.Assign(ctx, who, e, orders)
			return err
		})
		if err != nil {
			return err
		}
		entries = append(entries, e)
		if len(stood) > 0 {
			stand = append(stand, n)
			a.sayStands(d, n, stood)
		}
		i := slices.IndexFunc(done, func(r recorded) bool { return slices.Equal(r.links, made) })
		switch {
		case len(made) == 0:
		case i >= 0:
			done[i].names = append(done[i].names, n)
		default:
			done = append(done, recorded{made, []agenda.Name{n}})
		}
		return nil
	})
	for _, r := range done {
		first := r.links[0]
		id := "agenda.assigned"
		if a.flags.dryRun {
			id = "agenda.dry_assign"
		}
		if len(r.links) == 1 && !a.flags.dryRun {
			a.sayWrapped(a.cat.Text("agenda.assigned_link", "from", a.cat.Role(first.From), "to", a.cat.Role(first.To), "n", len(r.names)))
			continue
		}
		a.sayWrapped(a.cat.Text(id, "names", ranges(r.names, a.thisYear()), "at", a.cat.ShortDate(first.At)+", "+a.cat.Clock(first.At), "roles", a.chain(d, r.links)))
	}
	if len(stand) > 0 {
		a.say("agenda.assign_other", "names", a.commas(stand))
	}
	return a.entriesResult(d, entries, err)
}

// roleFlag reads a role from a flag that has to be there.
func roleFlag(c *cobra.Command, name string) (agenda.Role, error) {
	s := flag(c, name)
	if s == "" {
		return "", usageError("usage.flag_required", "flag", "--"+name)
	}
	return agenda.ParseRole(s)
}

// recorded are the entries for which the same links were recorded.
type recorded struct {
	links []agenda.Order
	names []agenda.Name
}

// sayStands tells of orders that stood before, with who recorded them.
func (a *app) sayStands(d *desk.Desk, n agenda.Name, orders []agenda.Order) {
	last := orders[len(orders)-1]
	a.sayWrapped(a.cat.Text("agenda.assign_stands", "entry", n, "roles", a.chain(d, orders),
		"at", a.cat.ShortDate(last.At)+", "+a.cat.Clock(last.At),
		"recorded", a.cat.ShortDate(last.RecordedAt)+", "+a.cat.Clock(last.RecordedAt), "who", a.actorWord(last.Actor)))
}

// chain writes the titles that an order went through, the first who ordered first.
func (a *app) chain(d *desk.Desk, orders []agenda.Order) string {
	var titles []string
	for i, o := range orders {
		if i == 0 {
			titles = append(titles, d.Config.Profile.Title(o.From))
		}
		titles = append(titles, d.Config.Profile.Title(o.To))
	}
	return strings.Join(titles, ", ")
}

// step takes one step of the book on an entry and returns the entry after. Under --dry-run the book only rehearses.
func (a *app) step(ctx context.Context, d *desk.Desk, n agenda.Name, do func(agenda.Entry, agenda.Actor) error) (agenda.Entry, error) {
	e, err := d.Book.Entry(ctx, n)
	if err != nil {
		return e, err
	}
	who, err := d.ActingOr(ctx, desk.Clerk(n.Book))
	if err != nil {
		return e, err
	}
	if err := do(e, who); err != nil {
		return e, err
	}
	return d.Book.Entry(ctx, n)
}

// entriesResult writes the entries of a batch as JSON lines; the text was told already. err is the batch's.
func (a *app) entriesResult(d *desk.Desk, entries []agenda.Entry, err error) error {
	for _, e := range entries {
		if werr := a.result(render.EntryOf(e, d.Due(e).At(), masked(e, false)), func(io.Writer) {}); werr != nil {
			return werr
		}
	}
	return err
}

func (a *app) agendaAttach() *cobra.Command {
	c := a.describe("agenda attach", &cobra.Command{Use: "attach", Args: cobra.MinimumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error { return a.attach(ctx, c, d, args) })
	}})
	a.stringFlags(c, "agenda", "dir")
	c.Flags().Bool("anyway", false, a.cat.Text("flag.attach.anyway"))
	c.Flags().Int("pages", 0, a.cat.Text("flag.agenda.pages"))
	a.scanFlags(c)
	return c
}

func (a *app) attach(ctx context.Context, c *cobra.Command, d *desk.Desk, args []string) error {
	pages, _ := c.Flags().GetInt("pages")
	anyway, _ := c.Flags().GetBool("anyway")
	dir := flag(c, "dir")
	if dir == "" {
		n, err := a.name(args[0])
		if err != nil {
			return err
		}
		scanned, err := a.scan(ctx, c, d, n)
		if err != nil {
			return err
		}
		if len(args) < 2 && scanned == nil || slices.Contains(args, "") {
			return usageError("usage.file_missing", "entry", n)
		}
		e, fresh, err := a.attachOne(ctx, d, desk.AttachParams{Name: n, Files: args[1:], Scanned: scanned, Pages: pages, Anyway: anyway})
		if err != nil {
			next := fmt.Sprintf("sandi agenda attach %s %s", n, a.cat.Text("default.path"))
			if errors.Is(err, desk.ErrFolder) {
				next = fmt.Sprintf("sandi agenda attach %s --dir %s", n, args[1])
			}
			return documentError(err, next)
		}
		if fresh {
			a.say("agenda.attached", "entry", n, "n", len(args)-1, "size", a.cat.Size(scanSize(e)), "letter", e.Letter.Number, "applicant", e.Letter.Applicant)
			if e.Letter.Pages > 0 {
				a.say("attach.pages_line", "pages", a.pagesOf(e))
			}
			a.sayDueToday(d, e)
		}
		return a.entriesResult(d, []agenda.Entry{e}, nil)
	}
	names, err := a.names(args)
	if err != nil {
		return err
	}
	files := map[agenda.Name][]string{}
	for _, n := range names {
		if files[n], err = scansOf(dir, n); err != nil {
			return err
		}
	}
	return a.attachMany(ctx, d, names, func(n agenda.Name) (agenda.Entry, error) {
		if len(files[n]) == 0 {
			return agenda.Entry{}, usageError("usage.no_scan_in", "entry", n, "path", dir)
		}
		e, _, err := a.attachOne(ctx, d, desk.AttachParams{Name: n, Files: files[n], Pages: pages, Anyway: anyway})
		return e, err
	})
}

// attachMany attaches to each entry, in a table with what tells a wrong scan: pages and the number of the letter.
func (a *app) attachMany(ctx context.Context, d *desk.Desk, names []agenda.Name, attach func(agenda.Name) (agenda.Entry, error)) error {
	var entries []agenda.Entry
	var absent []agenda.Name
	b := a.newBatch()
	table := render.Table{Fixed: []int{0}, Align: []render.Align{render.Left, render.Right, render.Right}}
	for _, n := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := attach(n)
		if err == nil {
			b.tell(n, nil)
			entries = append(entries, e)
			table.Add(n.String(), a.pagesOf(e), a.cat.Size(scanSize(e)), e.Letter.Number, e.Letter.Applicant)
			continue
		}
		absent = append(absent, n)
		if codeOf(err) == "usage.no_scan_in" && len(names) > 1 && !a.flags.json {
			b.note(n, err, exitUsage)
			table.Add(n.String(), a.cat.Text("attach.absent"))
			continue
		}
		b.tell(n, err)
	}
	if !a.flags.quiet && !a.flags.json && len(names) > 1 {
		_, _ = table.WriteTo(a.talk) // a screen that left makes no difference
	}
	switch {
	case len(names) == 1 && len(absent) == 1:
	case len(absent) > 0:
		a.say("attach.some", "done", len(entries), "all", len(names), "names", ranges(absent, a.thisYear()), "entry", absent[0])
	case len(names) > 1:
		a.say("agenda.attached_many", "done", len(entries), "all", len(names))
	}
	return a.entriesResult(d, entries, b.end())
}

// pagesOf is the pages of an entry's scans, with a mark where the letter was said to have another number.
func (a *app) pagesOf(e agenda.Entry) string {
	n := 0
	for _, s := range e.Attachments {
		n += s.Pages
	}
	switch {
	case n == 0:
		return a.cat.Text("attach.pages_unknown")
	case e.Letter.Pages > 0 && e.Letter.Pages != n:
		return a.cat.Text("attach.pages_differ", "n", n, "want", e.Letter.Pages)
	}
	return a.cat.Text("attach.pages", "n", n)
}

func scanSize(e agenda.Entry) int64 {
	var size int64
	for _, s := range e.Attachments {
		size += s.Object.Size
	}
	return size
}

// attachOne attaches to an entry and tells what became of the scans that it had. fresh is false when nothing was recorded.
func (a *app) attachOne(ctx context.Context, d *desk.Desk, p desk.AttachParams) (e agenda.Entry, fresh bool, err error) {
	if a.flags.dryRun {
		e, err := d.May(ctx, p.Name, agenda.StepAttach)
		if err == nil {
			a.say("agenda.dry_attach", "entry", p.Name, "n", len(p.Files))
		}
		return e, false, err
	}
	p.Same = func(file string, others []agenda.Name) {
		a.warn("attach.same", "entry", p.Name, "path", file, "names", ranges(others, a.thisYear()))
	}
	was, err := d.Book.Entry(ctx, p.Name)
	if err != nil {
		return was, false, err
	}
	if e, err = d.Attach(ctx, p); err != nil || len(was.Attachments) == 0 {
		return e, err == nil, err
	}
	old := was.Attachments[0]
	if fresh = e.Last != was.Last; fresh {
		a.warn("attach.replaced", "entry", p.Name, "n", len(was.Attachments))
	} else {
		a.say("attach.stands", "entry", p.Name, "at", a.cat.ShortDate(old.At)+", "+a.cat.Clock(old.At), "who", a.actorWord(old.Actor))
	}
	return e, fresh, nil
}

// scansOf lists the PDF files of a folder whose names begin with that of the entry: never by order, since a wrong scan on the
// right line is the accident that happens.
func scansOf(dir string, n agenda.Name) ([]string, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		if errors.Is(err, syscall.ENOTDIR) {
			return nil, usageError("usage.folder_file", "path", dir, "entry", n)
		}
		return nil, errors.Join(usageError("usage.folder", "path", dir, "entry", n), err)
	}
	var files []string
	for _, f := range list {
		rest, ok := strings.CutPrefix(strings.ToUpper(f.Name()), n.String())
		if ok && !f.IsDir() && strings.HasSuffix(rest, ".PDF") && (rest[0] < '0' || rest[0] > '9') {
			files = append(files, filepath.Join(dir, f.Name()))
		}
	}
	return files, nil
}

func (a *app) agendaCorrect() *cobra.Command {
	c := a.describe("agenda correct", &cobra.Command{Use: "correct", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			return a.correct(ctx, letterForm{a, c, d}, args[0])
		})
	}})
	a.letterFlags(c)
	a.stringFlags(c, "agenda", "reason")
	return c
}

func (a *app) correct(ctx context.Context, f letterForm, arg string) error {
	n, err := a.name(arg)
	if err != nil {
		return err
	}
	e, err := f.d.May(ctx, n, agenda.StepCorrect)
	if err != nil {
		return err
	}
	was, l := e.Letter, e.Letter
	if err := f.fill(&l); err != nil {
		return nothingDone(err)
	}
	if agenda.BookFor(l.Class) != n.Book {
		return usageError("usage.class_stays", "entry", n, "class", a.cat.Class(string(l.Class)))
	}
	subject, given, err := f.subject(l.Class)
	if err != nil {
		return entryError(n, &detailed{err, []any{"command", a.commandPath() + " " + a.entryName(n)}})
	}
	if given {
		l.Subject = subject
	}
	fields, count := a.changedFields(was, l)
	if len(fields) == 0 {
		return usageError("usage.nothing_to_change", "flag", "--to, --subject, --letter ...")
	}
	if err := f.d.CheckAddressees(ctx, l); err != nil {
		return err
	}
	reason, err := a.reason(f.c, "ask.reason")
	if err != nil {
		return err
	}
	what := strings.Join(fields, ", ")
	who, err := f.d.ActingOr(ctx, desk.Clerk(n.Book))
	if err != nil {
		return err
	}
	after, err := f.d.Book.Correct(ctx, who, e.ID, e.Last, l, reason)
	if err != nil {
		return err
	}
	if a.flags.dryRun {
		a.say("agenda.dry_correct", "entry", n, "fields", what+count)
		f.warnOdd(was, l, n)
		return a.entriesResult(f.d, []agenda.Entry{e}, nil)
	}
	if after.State == agenda.StateRegistered && after.Draft > 0 {
		a.say("agenda.corrected_again", "entry", n, "fields", what, "count", count)
	} else {
		a.say("agenda.corrected", "entry", n, "fields", what, "count", count)
	}
	a.warnUnknown(after)
	f.warnClass(was.Class, l.Class, n)
	f.warnOdd(was, l, n)
	return a.entriesResult(f.d, []agenda.Entry{after}, nil)
}

// changedFields names what differs between two images of a letter; count says how many addressees there were and are, when that
// changed.
func (a *app) changedFields(was, is agenda.Letter) (fields []string, count string) {
	for _, p := range []struct {
		name    string
		changed bool
	}{
		{"class", was.Class != is.Class},
		{"urgency", was.Urgency != is.Urgency},
		{"applicant", was.Applicant != is.Applicant},
		{"request", was.Request != is.Request},
		{"request-date", was.RequestDate != is.RequestDate},
		{"received", !was.Received.Equal(is.Received)},
		{"letter", was.Number != is.Number},
		{"letter-date", was.Date != is.Date},
		{"origin", was.Origin != is.Origin},
		{"subject", was.Subject != is.Subject},
		{"pages", was.Pages != is.Pages},
		{"enclosures", was.Enclosures != is.Enclosures},
		{"archive-class", was.ArchiveClass != is.ArchiveClass},
		{"place", was.Place != is.Place},
		{"excluded", was.Excluded != is.Excluded},
		{"note", was.Note != is.Note},
		{"refers", was.Refers != is.Refers},
		{"cc", !slices.Equal(was.Cc, is.Cc)},
	} {
		if p.changed {
			fields = append(fields, a.cat.Text("agenda.field."+p.name))
		}
	}
	if !slices.Equal(was.To, is.To) {
		fields = append(fields, a.cat.Text("agenda.field.to"))
		if len(was.To) != len(is.To) {
			count = a.cat.Text("agenda.field.to_count", "was", strconv.Itoa(len(was.To)), "is", strconv.Itoa(len(is.To)))
		}
	}
	return fields, count
}

func (a *app) agendaVoid() *cobra.Command {
	c := a.describe("agenda void", &cobra.Command{Use: "void", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error { return a.void(ctx, c, d, args[0]) })
	}})
	a.stringFlags(c, "agenda", "reason", "authority")
	return c
}

func (a *app) void(ctx context.Context, c *cobra.Command, d *desk.Desk, arg string) error {
	n, err := a.oneName(arg)
	if err != nil {
		return err
	}
	// Why a letter that was sent is not voided the book knows better.
	if e, err := d.May(ctx, n, agenda.StepVoid); err != nil && (e.ID == 0 || e.State == agenda.StateVoid) {
		return err
	}
	reason, err := a.reason(c, "ask.reason")
	if err != nil {
		return err
	}
	authority, err := a.need(c, "authority", "agenda.ask.authority")
	if err != nil {
		return err
	}
	yes := a.flags.dryRun
	if !yes {
		if yes, err = a.confirm(false, "agenda.ask.void", "entry", n); err != nil {
			return err
		}
	}
	if !yes {
		a.warn("agenda.not_voided", "entry", n)
		return a.told(exitOther)
	}
	e, err := a.step(ctx, d, n, func(e agenda.Entry, who agenda.Actor) error {
		return d.Book.Void(ctx, who, e.ID, e.Last, reason, authority)
	})
	if err != nil {
		return err
	}
	id := "agenda.voided"
	if a.flags.dryRun {
		id = "agenda.dry_void"
	}
	a.say(id, "entry", n)
	return a.entriesResult(d, []agenda.Entry{e}, nil)
}
