package cmd

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
	"sandi/cmd/internal/term"
)

// bookStateView is how far a book has come.
type bookStateView struct {
	DeskID string  `json:"desk_id"`
	Office string  `json:"office"`
	Events int64   `json:"events"`
	Root   string  `json:"root"`
	Words  string  `json:"check_words"`
	At     *string `json:"at"` // of the newest event
}

func bookStateOf(s desk.BookState) bookStateView {
	return bookStateView{s.DeskID, s.Office, s.Size, s.Root.String(), s.Words(), render.Instant(s.At)}
}

type backupView struct {
	Schema  string        `json:"schema"` // sandi.backup/1
	Path    string        `json:"path"`
	Size    int64         `json:"size"`
	Objects int           `json:"objects"`
	Book    bookStateView `json:"book"`
	Missing []string      `json:"missing"`
}

func (a *app) backupCommand() *cobra.Command {
	c := a.describe("backup", &cobra.Command{Use: "backup", Args: cobra.MaximumNArgs(1)})
	c.RunE = func(c *cobra.Command, args []string) error {
		force, _ := c.Flags().GetBool("force")
		out := flag(c, "out")
		switch {
		case len(args) == 1 && out != "":
			return usageError("usage.arguments")
		case len(args) == 1:
			out = args[0]
		case out == "":
			out = "sandi-" + a.now().In(agenda.WIB).Format("20060102-1504") + ".cadangan"
		}
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error { return a.backup(ctx, d, out, force) })
	}
	c.Flags().StringP("out", "o", "", a.cat.Text("flag.backup.out"))
	c.Flags().Bool("force", false, a.cat.Text("flag.backup.force"))
	return c
}

func (a *app) backup(ctx context.Context, d *desk.Desk, out string, force bool) error {
	if a.flags.dryRun {
		a.say("backup.dry", "path", out)
		return a.wouldDo("sandi.backup/1")
	}
	var bar term.Progress
	res, err := d.Backup(ctx, desk.BackupParams{Out: out, Force: force, Progress: a.progress("backup.progress", &bar)})
	endBar(bar)
	if err != nil {
		return err
	}
	v := backupView{"sandi.backup/1", res.Path, res.Size, res.Objects, bookStateOf(res.State), hashes(res.Missing)}
	err = a.result(v, func(w io.Writer) {
		fmt.Fprintln(w, a.cat.Text("backup.made", "path", res.Path, "size", a.cat.Size(res.Size), "n", res.Objects))
		a.printBookState(w, "backup.state", res.State)
	})
	if err == nil && len(res.Missing) > 0 {
		a.warn("backup.missing", "n", len(res.Missing))
		return a.told(exitTampered)
	}
	return err
}

// progress wraps a stream with a bar that carries the message; the caller ends it with endBar.
func (a *app) progress(id string, bar *term.Progress) func(int64, io.Reader) io.Reader {
	return func(total int64, r io.Reader) io.Reader {
		*bar = a.term.Progress(a.cat.Text(id), total)
		return io.TeeReader(r, *bar)
	}
}

// endBar ends a bar, if one was begun.
func endBar(bar term.Progress) {
	if bar != nil {
		bar.Done()
	}
}

func (a *app) printBookState(w io.Writer, id string, s desk.BookState) {
	fmt.Fprintln(w, a.cat.Text(id, "n", s.Size, "at", a.cat.DateTime(s.At)))
	fmt.Fprintln(w, a.cat.Text("backup.words", "words", s.Words()))
}

func hashes(list []agenda.Hash) []string {
	out := make([]string, 0, len(list))
	for _, h := range list {
		out = append(out, h.String())
	}
	return out
}

type restoreView struct {
	Schema  string         `json:"schema"` // sandi.restore/1
	Path    string         `json:"path"`
	Done    bool           `json:"done"` // false: only checked
	Backup  bookStateView  `json:"backup"`
	Present *bookStateView `json:"present"`
	Doubted []string       `json:"doubted"`
	Held    []string       `json:"held"` // only waited to be sent when the backup was made
	Missing []string       `json:"missing"`
	Aside   *string        `json:"aside"`
}

func (a *app) restoreCommand() *cobra.Command {
	c := a.describe("restore", &cobra.Command{Use: "restore", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.restore(c, args[0])
	}})
	a.stringFlags(c, "restore", "key", "reason")
	c.Flags().Bool("older", false, a.cat.Text("flag.restore.older"))
	c.Flags().Bool("foreign", false, a.cat.Text("flag.restore.foreign"))
	return c
}

func (a *app) restore(c *cobra.Command, source string) error {
	dir, err := a.deskPath()
	if err != nil {
		return err
	}
	p := desk.RestoreParams{Source: source, Dir: dir, Check: a.flags.dryRun, Secrets: a.secrets()}
	p.Older, _ = c.Flags().GetBool("older")
	p.Foreign, _ = c.Flags().GetBool("foreign")
	if p.KeyFile, err = a.need(c, "key", "restore.ask.key"); err != nil {
		return err
	}
	if !p.Check {
		if p.Reason, err = a.reason(c, "ask.reason"); err != nil {
			return err
		}
	}
	var bar term.Progress
	p.Progress = a.progress("restore.progress", &bar)
	p.Show = func(r desk.Restored) error {
		endBar(bar)
		bar = nil
		return a.showRestore(r, p)
	}
	res, err := desk.Restore(c.Context(), p, desk.Options{Now: a.hooks.Now, Cost: a.hooks.S2K, Place: a.place})
	endBar(bar)
	if err != nil {
		return err
	}
	v := restoreView{
		Schema: "sandi.restore/1", Path: res.Dir, Done: !p.Check, Backup: bookStateOf(res.Backup), Doubted: entryNames(res.Doubted), Held: entryNames(res.Held),
		Missing: hashes(res.Missing), Aside: render.Text(res.Aside),
	}
	if res.Present != nil {
		s := bookStateOf(*res.Present)
		v.Present = &s
	}
	err = a.result(v, func(w io.Writer) {
		if p.Check {
			fmt.Fprintln(w, a.cat.Text("restore.checked", "path", source))
			return
		}
		fmt.Fprintln(w, a.cat.Text("restore.made", "path", res.Dir))
		if res.Aside != "" {
			fmt.Fprintln(w, a.cat.Text("restore.aside", "path", res.Aside))
		}
	})
	if err != nil {
		return err
	}
	if len(res.Doubted) > 0 {
		a.warn("restore.doubted", "names", compact(ranges(res.Doubted, a.thisYear())), "n", len(res.Doubted))
	}
	if len(res.Held) > 0 {
		a.warn("restore.held", "names", compact(ranges(res.Held, a.thisYear())), "n", len(res.Held))
	}
	if len(res.Missing) > 0 {
		a.warn("backup.missing", "n", len(res.Missing))
		return a.told(exitTampered)
	}
	return nil
}

// showRestore tells what would take the place of what, and asks unless only a check is wanted.
func (a *app) showRestore(r desk.Restored, p desk.RestoreParams) error {
	if !a.flags.quiet && !a.flags.json {
		a.say("restore.office", "office", r.Backup.Office, "id", r.Backup.DeskID)
		a.printBookState(a.talk, "restore.backup", r.Backup)
		switch {
		case r.Present != nil:
			if r.Present.DeskID != r.Backup.DeskID {
				a.say("restore.other_office", "office", r.Present.Office, "id", r.Present.DeskID)
			}
			a.printBookState(a.talk, "restore.present", *r.Present)
		case r.Spoilt:
			a.say("restore.spoilt")
		default:
			a.say("restore.nothing_there")
		}
	}
	if p.Check || r.Present == nil && !r.Spoilt || !p.Older && !p.Foreign {
		return nil // nothing is lost, or the desk itself refuses what would be
	}
	yes, err := a.confirm(false, "restore.ask", "path", r.Dir)
	if err == nil && !yes {
		a.say("restore.declined")
		return a.told(exitOther)
	}
	return err
}

func entryNames(list []agenda.Name) []string {
	out := make([]string, 0, len(list))
	for _, n := range list {
		out = append(out, n.Long())
	}
	return out
}
