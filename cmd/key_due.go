package cmd

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/config"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
	"sandi/cmd/internal/signedtext"
)

// dueDays is how far ahead `key due` looks when not told.
const dueDays = 30

// keyBundle writes the certificates of those who sign here, for other offices.
func (a *app) keyBundle() *cobra.Command {
	c := a.describe("key bundle", &cobra.Command{Use: "bundle", RunE: func(c *cobra.Command, _ []string) error {
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error { return a.bundle(ctx, c, d) })
	}})
	c.Flags().StringP("output", "o", "", a.cat.Text("flag.print.output"))
	c.Flags().Bool("force", false, a.cat.Text("flag.print.force"))
	return c
}

type bundleView struct {
	Schema string          `json:"schema"` // sandi.bundle/1
	Path   *string         `json:"path"`
	Keys   []bundleKeyView `json:"keys"`
	Text   string          `json:"text"`
}

type bundleKeyView struct {
	Role        string `json:"role"`
	Title       string `json:"title"`
	Fingerprint string `json:"fingerprint"`
	CheckWords  string `json:"check_words"`
}

func (a *app) bundle(ctx context.Context, c *cobra.Command, d *desk.Desk) error {
	text, keys, err := d.Bundle(ctx)
	if err != nil {
		return err
	}
	v := bundleView{Schema: "sandi.bundle/1", Keys: []bundleKeyView{}, Text: string(text)}
	for _, k := range keys {
		v.Keys = append(v.Keys, bundleKeyView{string(k.Role), k.Title, k.Fingerprint, signedtext.CheckWordsOfKey(k.Fingerprint)})
	}
	path := flag(c, "output")
	if path == "" || path == "-" || a.flags.dryRun {
		return a.result(v, func(w io.Writer) { fmt.Fprint(w, v.Text) })
	}
	force, _ := c.Flags().GetBool("force")
	if err := a.printed(path, force, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}); err != nil {
		return err
	}
	v.Path = &path
	return a.result(v, func(io.Writer) {
		a.say("key.bundled", "path", path, "n", len(keys))
		for _, k := range v.Keys {
			a.say("key.bundled_one", "role", a.cat.Role(k.Role), "words", k.CheckWords)
		}
	})
}

type dueView struct {
	Schema string       `json:"schema"` // sandi.keys_due/1
	Keys   []dueKeyView `json:"keys"`
}

type dueKeyView struct {
	Name  string  `json:"name"`
	Own   bool    `json:"own"`
	Why   string  `json:"why"`
	Until *string `json:"until"`
}

// keyDue lists the keys that end soon, or writes the letter that asks an office for a new one.
func (a *app) keyDue() *cobra.Command {
	c := a.describe("key due", &cobra.Command{Use: "due", RunE: func(c *cobra.Command, _ []string) error {
		days, _ := c.Flags().GetInt("days")
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error {
			if handle := flag(c, "letter"); handle != "" {
				return a.dueLetter(ctx, c, d, handle)
			}
			found, err := d.KeysDue(ctx, time.Duration(days)*24*time.Hour)
			if err != nil {
				return err
			}
			v := dueView{Schema: "sandi.keys_due/1", Keys: []dueKeyView{}}
			for _, k := range found {
				v.Keys = append(v.Keys, dueKeyView{k.Name, k.Area != "addressee", k.Why, render.Instant(k.Until)})
			}
			return a.result(v, func(w io.Writer) {
				for _, k := range found {
					fmt.Fprintln(w, a.conditionText(k))
				}
				if len(found) == 0 {
					fmt.Fprintln(w, a.cat.Text("key.none_due", "n", days))
				}
			})
		})
	}})
	c.Flags().String("letter", "", a.cat.Text("flag.key.letter"))
	c.Flags().Int("days", dueDays, a.cat.Text("flag.key.days"))
	c.Flags().StringP("output", "o", "", a.cat.Text("flag.print.output"))
	c.Flags().Bool("force", false, a.cat.Text("flag.print.force"))
	return c
}

// dueLetter writes the body of a letter that asks an office for a new key. It goes by the usual way, on paper or by mail: nothing
// in it is secret.
func (a *app) dueLetter(ctx context.Context, c *cobra.Command, d *desk.Desk, handle string) error {
	corr, err := d.Book.Correspondent(ctx, handle)
	if err != nil {
		return err
	}
	if corr.Fingerprint == "" {
		return desk.CheckFingerprint(corr, "")
	}
	rep, err := d.KeyOf(ctx, corr)
	if err != nil {
		return err
	}
	until := a.cat.Text("correspondent.forever")
	if !rep.Facts.Expires.IsZero() {
		until = a.cat.Date(rep.Facts.Expires)
	}
	text := a.cat.Text("key.letter", "unit", corr.Unit, "office", d.Config.Office.Name, "city", d.Config.Office.City,
		"date", a.cat.Date(d.Now()), "until", until, "groups", keyTail(corr.Fingerprint), "address", d.Config.Gateway.From) + "\n"
	v := struct {
		Schema string `json:"schema"`
		Handle string `json:"handle"`
		Text   string `json:"text"`
	}{"sandi.key_letter/1", handle, text}
	path := flag(c, "output")
	if path == "" || path == "-" || a.flags.dryRun {
		return a.result(v, func(w io.Writer) { fmt.Fprint(w, text) })
	}
	force, _ := c.Flags().GetBool("force")
	if err := a.printed(path, force, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}); err != nil {
		return err
	}
	return a.result(v, func(io.Writer) { a.say("key.letter_written", "path", path) })
}

// correspondentCheck looks over the keys of the addressees as `encrypt` would today.
func (a *app) correspondentCheck() *cobra.Command {
	return a.describe("correspondent check", &cobra.Command{Use: "check", Args: cobra.ArbitraryArgs, RunE: func(c *cobra.Command, args []string) error {
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error { return a.checkCorrespondents(ctx, d, args) })
	}})
}

type checkView struct {
	Schema         string              `json:"schema"` // sandi.correspondents_check/1
	Good           bool                `json:"good"`
	Correspondents []correspondentView `json:"correspondents"`
}

func (a *app) checkCorrespondents(ctx context.Context, d *desk.Desk, handles []string) error {
	var list []agenda.Correspondent
	if len(handles) == 0 {
		all, err := d.Book.Correspondents(ctx)
		if err != nil {
			return err
		}
		list = all
	}
	for _, h := range handles {
		c, err := d.Book.Correspondent(ctx, h)
		if err != nil {
			return err
		}
		list = append(list, c)
	}
	v := checkView{Schema: "sandi.correspondents_check/1", Good: true, Correspondents: []correspondentView{}}
	table := render.Table{Head: a.heads("correspondent.check_heads"), Fixed: []int{0}}
	for _, c := range list {
		if c.Ended || c.Fingerprint == "" {
			continue
		}
		rep, err := d.KeyOf(ctx, c)
		if err != nil {
			return err
		}
		v.Correspondents = append(v.Correspondents, correspondentOf(c, rep))
		fit := c.State == agenda.Confirmed
		for _, f := range rep.Findings {
			fit = fit && !f.Refuse
		}
		v.Good = v.Good && fit
		until := a.cat.Text("correspondent.forever")
		if !rep.Facts.Expires.IsZero() {
			until = a.cat.ShortDate(rep.Facts.Expires)
		}
		finding := a.cat.Text("correspondent.state." + c.State)
		if c.State == agenda.Confirmed {
			finding = a.finding(d, desk.PreflightRow{Correspondent: c, Facts: rep.Facts, Findings: rep.Findings})
		}
		table.Add(c.Handle, c.Unit, rep.Facts.Algorithm, until, finding)
	}
	if err := a.result(v, func(w io.Writer) { a.writeTable(w, &table, "correspondent.none") }); err != nil {
		return err
	}
	if !v.Good {
		return a.told(exitKey)
	}
	return nil
}

// correspondentGroup lists the groups of the settings, or gives one its members.
func (a *app) correspondentGroup() *cobra.Command {
	c := a.describe("correspondent group", &cobra.Command{Use: "group", Args: cobra.MaximumNArgs(2), RunE: func(c *cobra.Command, args []string) error {
		remove, _ := c.Flags().GetBool("remove")
		if remove && len(args) != 1 {
			return usageError("usage.arguments")
		}
		change := remove || len(args) == 2
		return a.withDesk(c, !change || a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			if change {
				return a.setGroup(ctx, d, args)
			}
			return a.listGroups(ctx, d, args)
		})
	}})
	c.Flags().Bool("remove", false, a.cat.Text("flag.correspondent.remove"))
	return c
}

// setGroup gives a group its members; without any it is removed.
func (a *app) setGroup(ctx context.Context, d *desk.Desk, args []string) error {
	name := strings.TrimPrefix(args[0], "@")
	var members []string
	if len(args) == 2 {
		for m := range strings.SplitSeq(args[1], ",") {
			m = strings.TrimSpace(m)
			if _, err := d.Book.Correspondent(ctx, m); err != nil {
				return err
			}
			members = append(members, m)
		}
	}
	if err := d.EditSettings(ctx, func(raw []byte) ([]byte, error) { return config.SetGroup(raw, name, members) }); err != nil {
		return err
	}
	v := struct {
		Schema string    `json:"schema"`
		Group  groupView `json:"group"`
	}{"sandi.group/1", groupView{Name: name, Members: append([]string{}, members...), Unknown: []string{}}}
	return a.result(v, func(io.Writer) {
		switch {
		case a.flags.dryRun:
			a.say("correspondent.dry_group", "name", "@"+name)
		case len(members) == 0:
			a.say("correspondent.group_removed", "name", "@"+name)
		default:
			a.say("correspondent.group_set", "name", "@"+name, "names", strings.Join(members, ", "))
		}
	})
}

type groupView struct {
	Name    string   `json:"name"`
	Members []string `json:"members"`
	Unknown []string `json:"unknown"` // members that are no correspondents
}

func (a *app) listGroups(ctx context.Context, d *desk.Desk, only []string) error {
	v := struct {
		Schema string      `json:"schema"`
		Groups []groupView `json:"groups"`
	}{"sandi.groups/1", []groupView{}}
	table := render.Table{Head: a.heads("correspondent.group_heads"), Fixed: []int{0}}
	for _, g := range d.Config.Groups {
		if len(only) == 1 && strings.TrimPrefix(only[0], "@") != g.Name {
			continue
		}
		row := groupView{Name: g.Name, Members: g.Members, Unknown: []string{}}
		for _, m := range g.Members {
			if _, err := d.Book.Correspondent(ctx, m); err != nil {
				row.Unknown = append(row.Unknown, m)
			}
		}
		v.Groups = append(v.Groups, row)
		table.Add("@"+g.Name, strings.Join(g.Members, ", "), strings.Join(row.Unknown, ", "))
	}
	if len(only) == 1 && len(v.Groups) == 0 {
		return usageError("usage.unknown_group", "value", only[0])
	}
	return a.result(v, func(w io.Writer) { a.writeTable(w, &table, "correspondent.no_groups") })
}
