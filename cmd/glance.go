package cmd

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
)

// glanceView is the desk at a glance.
type glanceView struct {
	Schema     string     `json:"schema"` // sandi.glance/1
	At         *string    `json:"at"`
	Acting     *string    `json:"acting"`
	Tasks      []taskView `json:"tasks"`
	After      []taskView `json:"after"`
	Ready      int        `json:"ready"`
	Deferred   int        `json:"deferred"`
	Doubt      int        `json:"doubt"`
	DoubtSince *string    `json:"doubt_overdue_since"` // the oldest doubt that nobody looked into in time
	Waiting    int        `json:"waiting"`
	Overdue    int        `json:"unconfirmed"` // copies that nobody confirmed in time
	ArchiveKey *string    `json:"archive_key"` // private archive key still inside the desk
	ArchiveDue *string    `json:"archive_due"` // end of the archive certificate, null unless soon or past
}

type taskView struct {
	Entry   string  `json:"entry"`
	State   string  `json:"state"`
	Next    string  `json:"next"`
	Command string  `json:"command"`
	DueAt   *string `json:"due_at"`
	Late    bool    `json:"late"`
}

// maxTasks is how many rows fit a screen; the rest is in the list.
const maxTasks = 15

// runGlance is the bare `sandi`: what waits for whom, each with its next command.
func (a *app) runGlance(c *cobra.Command, _ []string) error {
	err := a.withDesk(c, true, a.glance)
	if errNoDesk(err) && !a.flags.json {
		path, _ := a.deskPath()
		fmt.Fprintln(a.talk, a.cat.Text("glance.begin", "path", path))
		return a.told(exitNoDesk)
	}
	return err
}

func (a *app) glance(ctx context.Context, d *desk.Desk) error {
	g, err := d.Glance(ctx)
	if err != nil {
		return err
	}
	now := d.Now()
	v := glanceView{
		Schema: "sandi.glance/1", At: render.Instant(now), Acting: render.Text(g.Acting), Tasks: []taskView{}, After: []taskView{},
		Ready: g.Ready, Deferred: g.Deferred, Doubt: g.Doubtful, DoubtSince: render.Instant(g.DoubtSince), Waiting: g.Waiting, Overdue: g.Unconfirmed, ArchiveKey: render.Text(g.ArchiveKey),
		ArchiveDue: render.Instant(g.ArchiveUntil),
	}
	view := func(t desk.Task) taskView {
		return taskView{
			Entry: t.Entry.Name.Long(), State: string(t.Entry.State), Next: string(t.Next), Command: a.nextCommand(t),
			DueAt: render.Instant(t.Due.At()), Late: !t.Due.At().IsZero() && now.After(t.Due.At()),
		}
	}
	for _, t := range g.Tasks {
		v.Tasks = append(v.Tasks, view(t))
	}
	for _, t := range g.After {
		v.After = append(v.After, view(t))
	}
	return a.result(v, func(w io.Writer) { a.printGlance(w, d, g) })
}

// nextCommand is the command line that an entry waits for.
func (a *app) nextCommand(t desk.Task) string {
	handle := t.Handle
	if handle == "" {
		handle = a.cat.Text("default.handle")
	}
	return a.cat.Text("next.command."+string(t.Next), "entry", a.entryName(t.Entry.Name), "handle", handle)
}

func (a *app) printGlance(w io.Writer, d *desk.Desk, g desk.Glance) {
	now := d.Now()
	head := a.cat.DateTime(now)
	if g.Acting != "" {
		head += "    " + g.Acting
	}
	if closing, ok := d.Hours.Closing(now); ok && now.Before(closing) {
		head += "    " + a.cat.Text("glance.until", "at", a.cat.Clock(closing))
	} else {
		head += "    " + a.cat.Text("glance.closed")
	}
	fmt.Fprintln(w, render.Safe(head))
	table := render.Table{Fixed: []int{0, 1}}
	shown := g.Tasks[:min(len(g.Tasks), maxTasks)]
	for _, t := range shown {
		e := t.Entry
		what := a.cat.Text("glance.next." + string(t.Next))
		if t.Next == desk.NextMail && e.Copies[0].State != agenda.CopyRejected {
			what = a.cat.Text("glance.next." + string(desk.NextAgain))
		}
		if t.Returned {
			what = a.cat.Text("glance.returned", "draft", e.Returned.Draft, "at", a.cat.Clock(e.Returned.At))
		}
		due, who := "", e.Letter.Applicant
		if e.Mailed == nil {
			due = a.dueWords(t, d)
		} else {
			who = strings.Join(e.Letter.To, ", ")
		}
		table.Add(a.entryName(e.Name), due, who, what)
	}
	a.withCommands(w, &table, shown)
	if n := len(g.Tasks) - len(shown); n > 0 {
		fmt.Fprintln(w, a.cat.Text("glance.more", "n", n))
	}
	if len(g.Tasks) == 0 {
		fmt.Fprintln(w, a.cat.Text("glance.nothing"))
	}
	if !g.DoubtSince.IsZero() {
		fmt.Fprintln(w, a.cat.Text("glance.doubt_overdue", "since", a.cat.ShortDate(g.DoubtSince)+" "+a.cat.Clock(g.DoubtSince)))
	}
	fmt.Fprintln(w, a.cat.Text("glance.counts", "ready", g.Ready, "deferred", g.Deferred, "doubt", g.Doubtful)+"    "+
		a.cat.Text("glance.waiting", "waiting", g.Waiting))
	if g.Unconfirmed > 0 {
		fmt.Fprintln(w, a.cat.Text("glance.unconfirmed", "n", g.Unconfirmed))
	}
	var file, report []agenda.Name
	for _, t := range g.After {
		if t.Next == desk.NextArchive {
			file = append(file, t.Entry.Name)
		} else {
			report = append(report, t.Entry.Name)
		}
	}
	if len(file) > 0 {
		fmt.Fprintln(w, a.cat.Text("glance.archive", "n", len(file), "names", compact(ranges(file, a.thisYear()))))
	}
	if len(report) > 0 {
		fmt.Fprintln(w, a.cat.Text("glance.report", "n", len(report), "names", compact(ranges(report, a.thisYear()))))
	}
	switch until := g.ArchiveUntil; {
	case until.IsZero():
	case now.Before(until):
		fmt.Fprintln(w, a.cat.Text("glance.archive_due", "until", a.cat.ShortDate(until)))
	default:
		fmt.Fprintln(w, a.cat.Text("glance.archive_ended", "until", a.cat.ShortDate(until)))
	}
	if g.ArchiveKey != "" {
		fmt.Fprintln(w, a.cat.Text("glance.archive_key", "path", g.ArchiveKey))
	}
}

// compact makes ranges one argument of a command.
func compact(s string) string {
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		if s[i] != ' ' {
			out = append(out, s[i])
		}
	}
	return string(out)
}

// withCommands writes each row of the table with its next command below.
func (a *app) withCommands(w io.Writer, table *render.Table, tasks []desk.Task) {
	lines := tableLines(table)
	for i, t := range tasks {
		fmt.Fprintln(w, lines[i])
		fmt.Fprintln(w, "       "+a.nextCommand(t))
	}
}

// dueWords is the deadline as short as a row allows.
func (a *app) dueWords(t desk.Task, d *desk.Desk) string {
	at, now := t.Due.At(), d.Now()
	clock := a.cat.Clock(at)
	switch {
	case now.After(at):
		return a.cat.Text("glance.late", "date", a.cat.ShortDate(at), "at", clock)
	case midnight(at).Equal(midnight(now)):
		return a.cat.Text("glance.today", "at", clock)
	}
	return a.cat.Text("glance.due", "date", a.cat.ShortDate(at), "at", clock)
}

func tableLines(t *render.Table) []string {
	var b strings.Builder
	_, _ = t.WriteTo(&b) // a Builder takes everything
	return strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
}
