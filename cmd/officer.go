package cmd

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
	"sandi/cmd/internal/signedtext"
	"sandi/crypto"
)

type officerView struct {
	Schema        string     `json:"schema"` // sandi.officer/1
	Handle        string     `json:"handle"`
	Name          string     `json:"name"`
	NIP           *string    `json:"nip"`
	Qualification *string    `json:"qualification"`
	Title         *string    `json:"title"`
	Fingerprint   *string    `json:"fingerprint"`
	CheckWords    *string    `json:"check_words"`
	Roles         []roleView `json:"roles"`
}

type roleView struct {
	Role  string  `json:"role"`
	Kind  string  `json:"kind"`
	Title *string `json:"title"`
	From  *string `json:"from"`
	Until *string `json:"until"`
	Order *string `json:"order"`
}

func officerOf(o agenda.Officer) officerView {
	v := officerView{
		Schema: "sandi.officer/1", Handle: o.Handle, Name: o.Name, NIP: render.Text(o.NIP), Qualification: render.Text(o.Qualification),
		Title: render.Text(o.Title), Fingerprint: render.Text(o.Fingerprint), Roles: make([]roleView, 0, len(o.Roles)),
	}
	if o.Fingerprint != "" {
		v.CheckWords = render.Text(signedtext.CheckWordsOfKey(o.Fingerprint))
	}
	for _, g := range o.Roles {
		v.Roles = append(v.Roles, roleView{
			Role: string(g.Role), Kind: g.Kind, Title: render.Text(g.Title), From: render.Instant(g.From), Until: render.Instant(g.Until),
			Order: render.Text(g.Order),
		})
	}
	return v
}

func (a *app) officerCommand() *cobra.Command {
	c := a.describe("officer", &cobra.Command{Use: "officer"})
	c.AddCommand(a.officerAdd(), a.officerList(), a.officerRole(), a.officerAct(), a.officerEnd())
	return c
}

func (a *app) officerAdd() *cobra.Command {
	c := a.describe("officer add", &cobra.Command{Use: "add", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error { return a.addOfficer(ctx, c, d, args[0]) })
	}})
	a.stringFlags(c, "officer", "role", "name", "nip", "title", "qualification", "key", "key-out", "kind", "from", "until", "order")
	c.Flags().Bool("new-key", false, a.cat.Text("flag.officer.new-key"))
	c.MarkFlagsMutuallyExclusive("new-key", "key")
	return c
}

// grants reads --role, --kind, --from, --until and --order.
func (a *app) grants(c *cobra.Command, d *desk.Desk) ([]agenda.RoleGrant, error) {
	var roles []agenda.Role
	err := a.needUntil(c, "role", "officer.ask.role", func(s string) error {
		roles = nil
		for word := range strings.SplitSeq(s, ",") {
			role, err := agenda.ParseRole(strings.TrimSpace(word))
			if err != nil {
				return err
			}
			roles = append(roles, role)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	g := agenda.RoleGrant{Kind: strings.ToLower(strings.TrimSuffix(flag(c, "kind"), ".")), Order: flag(c, "order")}
	if g.Kind == "" {
		g.Kind = "tetap"
	}
	if g.From, err = parseMoment("from", flag(c, "from"), d.Now()); err != nil {
		return nil, err
	}
	if g.Until, err = a.untilDay(c, d.Now()); err != nil {
		return nil, err
	}
	var list []agenda.RoleGrant
	for _, g.Role = range roles {
		list = append(list, g)
	}
	return list, nil
}

func (a *app) addOfficer(ctx context.Context, c *cobra.Command, d *desk.Desk, handle string) error {
	grants, err := a.grants(c, d)
	if err != nil {
		return err
	}
	newKey, _ := c.Flags().GetBool("new-key")
	p := desk.OfficerParams{
		Officer: agenda.Officer{Handle: handle, NIP: flag(c, "nip"), Title: flag(c, "title"), Qualification: flag(c, "qualification")},
		Roles:   grants, KeyFile: flag(c, "key"), NewKey: newKey, KeyOut: flag(c, "key-out"),
	}
	if p.KeyOut != "" && (!p.NewKey || !desk.OfHead(grants)) {
		return usageError("usage.key_out")
	}
	if !p.NewKey && p.KeyFile == "" && d.NeedsKey(grants) {
		return usageError("usage.officer_key", "name", handle)
	}
	if p.Officer.Name, err = a.need(c, "name", "officer.ask.name"); err != nil {
		return err
	}
	owner := a.cat.Role(string(grants[0].Role))
	p.Passphrase = a.newPassphrase("officer.passphrase", "officer.passphrase_again", "owner", owner)
	p.Found = a.foundKey
	if a.flags.dryRun {
		a.say("officer.dry", "handle", handle, "role", a.roleWords(grants))
		o := p.Officer
		o.Roles = grants
		return a.result(officerOf(o), func(io.Writer) {})
	}
	if _, err := d.AddOfficer(ctx, p); err != nil {
		return err
	}
	o, err := d.Book.Officer(ctx, handle)
	if err != nil {
		return err
	}
	if role, least := d.BelowMinimum(o, grants); role != "" {
		a.warn("officer.below", "handle", handle, "role", a.cat.Role(string(role)), "least", least)
	}
	return a.result(officerOf(o), func(w io.Writer) {
		fmt.Fprintln(w, a.cat.Text("officer.added", "handle", handle, "role", a.roleWords(grants)))
		if o.Fingerprint == "" {
			fmt.Fprintln(w, a.cat.Text("officer.no_key"))
			return
		}
		a.printFingerprint(w, o.Fingerprint)
		if p.KeyOut != "" {
			fmt.Fprintln(w, a.cat.Text("officer.key_out", "path", p.KeyOut))
		}
	})
}

// printFingerprint writes a fingerprint in groups with its six check words.
func (a *app) printFingerprint(w io.Writer, fingerprint string) {
	for i, line := range fingerprintLines(fingerprint) {
		id := "key.fingerprint"
		if i > 0 {
			id = "key.fingerprint_more"
		}
		fmt.Fprintln(w, a.cat.Text(id, "groups", line))
	}
	fmt.Fprintln(w, a.cat.Text("key.words", "words", signedtext.CheckWordsOfKey(fingerprint)))
}

func (a *app) roleWords(grants []agenda.RoleGrant) string {
	var words []string
	for _, g := range grants {
		words = append(words, a.roleWord(g))
	}
	return strings.Join(words, ", ")
}

func (a *app) roleWord(g agenda.RoleGrant) string {
	word := a.cat.Role(string(g.Role))
	switch g.Kind {
	case "plh":
		word = "Plh. " + word
	case "plt":
		word = "Plt. " + word
	}
	return word
}

func (a *app) officerList() *cobra.Command {
	return a.describe("officer list", &cobra.Command{Use: "list", RunE: func(c *cobra.Command, _ []string) error {
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error {
			list, err := d.Book.Officers(ctx, d.Now())
			if err != nil {
				return err
			}
			v := struct {
				Schema   string        `json:"schema"`
				Officers []officerView `json:"officers"`
			}{"sandi.officers/1", make([]officerView, 0, len(list))}
			table := render.Table{Head: a.heads("officer.heads"), Fixed: []int{0}}
			for _, o := range list {
				v.Officers = append(v.Officers, officerOf(o))
				// A row a role: an acting one has an end of its own.
				handle, name, key := o.Handle, o.Name, keyTail(o.Fingerprint)
				for _, g := range o.Roles {
					until := ""
					if !g.Until.IsZero() {
						until = a.cat.ShortDate(g.Until.Add(-time.Second))
					}
					table.Add(handle, a.roleWord(g), name, key, until)
					handle, name, key = "", "", ""
				}
				if len(o.Roles) == 0 {
					table.Add(handle, "-", name, key, "")
				}
			}
			return a.result(v, func(w io.Writer) { a.writeTable(w, &table, "officer.none") })
		})
	}})
}

// keyTail is the end of a fingerprint in groups, "-" without a key.
func keyTail(fingerprint string) string {
	groups := crypto.Fingerprint(fingerprint).Groups()
	if len(groups) < 4 {
		return "-"
	}
	return strings.Join(groups[len(groups)-4:], " ")
}

// heads are the heads of a table, one message with "|" between them.
func (a *app) heads(id string) []string { return strings.Split(a.cat.Text(id), "|") }

// writeTable writes a table, or the message when it has no rows.
func (a *app) writeTable(w io.Writer, t *render.Table, none string) {
	if t.Len() == 0 {
		fmt.Fprintln(w, a.cat.Text(none))
		return
	}
	_, _ = t.WriteTo(w) // a reader that left makes no difference
}

func (a *app) officerRole() *cobra.Command {
	c := a.describe("officer role", &cobra.Command{Use: "role", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			grants, err := a.grants(c, d)
			if err != nil {
				return err
			}
			o, err := d.Book.Officer(ctx, args[0])
			if err != nil {
				return err
			}
			if a.flags.dryRun {
				a.say("officer.dry_role", "handle", args[0], "role", a.roleWords(grants))
				return a.result(officerOf(o), func(io.Writer) {})
			}
			for _, g := range grants {
				if err := d.GiveRole(ctx, args[0], g); err != nil {
					return err
				}
			}
			if role, least := d.BelowMinimum(o, grants); role != "" {
				a.warn("officer.below", "handle", args[0], "role", a.cat.Role(string(role)), "least", least)
			}
			a.say("officer.role_given", "handle", args[0], "role", a.roleWords(grants))
			return a.officerResult(ctx, d, args[0])
		})
	}})
	a.stringFlags(c, "officer", "role", "kind", "from", "until", "order")
	return c
}

func (a *app) officerResult(ctx context.Context, d *desk.Desk, handle string) error {
	o, err := d.Book.Officer(ctx, handle)
	if err != nil {
		return err
	}
	return a.result(officerOf(o), func(io.Writer) {})
}

func (a *app) officerEnd() *cobra.Command {
	c := a.describe("officer end", &cobra.Command{Use: "end", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			grants, err := a.grants(c, d)
			if err != nil {
				return err
			}
			if _, err := d.Book.Officer(ctx, args[0]); err != nil {
				return err
			}
			if a.flags.dryRun {
				a.say("officer.dry_end", "handle", args[0], "role", a.roleWords(grants))
				return a.officerResult(ctx, d, args[0])
			}
			for _, g := range grants {
				if !c.Flags().Changed("kind") {
					g.Kind = ""
				}
				if err := d.EndRole(ctx, args[0], g); err != nil {
					return err
				}
			}
			a.say("officer.role_ended", "handle", args[0], "role", a.roleWords(grants))
			return a.officerResult(ctx, d, args[0])
		})
	}})
	a.stringFlags(c, "officer", "role", "kind", "until", "order")
	// grants reads all four.
	c.Flags().String("from", "", a.cat.Text("flag.officer.from"))
	return c
}
