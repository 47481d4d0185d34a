package cmd

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
	"sandi/cmd/internal/signedtext"
	"sandi/crypto"
)

type ownKeyView struct {
	Owner       string  `json:"owner"` // handle of the officer, "arsip" for the archive
	Title       string  `json:"title"`
	Fingerprint string  `json:"fingerprint"`
	CheckWords  string  `json:"check_words"`
	Algorithm   string  `json:"algorithm"`
	Expires     *string `json:"expires"`
	Revoked     bool    `json:"revoked"`
}

func (a *app) keyCommand() *cobra.Command {
	c := a.describe("key", &cobra.Command{Use: "key"})
	list := a.describe("key list", &cobra.Command{Use: "list", RunE: func(c *cobra.Command, _ []string) error {
		return a.withDesk(c, true, a.listKeys)
	}})
	move := a.describe("key move", &cobra.Command{
		Use: "move",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("usage.key_unnamed")
			}
			return cobra.ExactArgs(1)(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] != desk.ArchiveOwner {
				return usageError("usage.key_name", "value", args[0])
			}
			to, err := a.need(c, "to", "key.ask.to")
			if err != nil {
				return err
			}
			return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error { return a.moveArchiveKey(ctx, d, to) })
		},
	})
	a.stringFlags(move, "key", "to")
	export := a.describe("key export", &cobra.Command{Use: "export", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error { return a.exportKey(ctx, c, d, args[0]) })
	}})
	a.outputFlags(export)
	c.AddCommand(list, a.keyArchive(), move, export, a.keyBundle(), a.keyDue())
	return c
}

// exportKey writes the certificate of one of our officers, for correspondents to pin.
func (a *app) exportKey(ctx context.Context, c *cobra.Command, d *desk.Desk, handle string) error {
	cert, err := d.OwnCertificate(ctx, handle)
	if err != nil {
		return err
	}
	v := struct {
		Schema      string `json:"schema"`
		Owner       string `json:"owner"`
		Fingerprint string `json:"fingerprint"`
		CheckWords  string `json:"check_words"`
		Certificate string `json:"certificate"`
		Path        string `json:"path"`
	}{"sandi.certificate/1", handle, string(cert.Fingerprint()), signedtext.CheckWordsOfKey(string(cert.Fingerprint())), string(cert.Armor()), flag(c, "output")}
	if v.Path != "" && v.Path != "-" && !a.flags.dryRun {
		force, _ := c.Flags().GetBool("force")
		if err := a.printed(v.Path, force, func(w io.Writer) error {
			_, err := w.Write(cert.Armor())
			return err
		}); err != nil {
			return err
		}
		return a.result(v, func(io.Writer) { a.say("key.exported", "path", v.Path, "words", v.CheckWords) })
	}
	return a.result(v, func(w io.Writer) { fmt.Fprint(w, v.Certificate) })
}

func (a *app) moveArchiveKey(ctx context.Context, d *desk.Desk, to string) error {
	v := struct {
		Schema string `json:"schema"`
		Path   string `json:"path"`
	}{"sandi.key_moved/1", to}
	if a.flags.dryRun {
		a.say("key.dry_move", "path", to)
		return a.result(v, func(io.Writer) {})
	}
	path, err := d.MoveArchiveKey(ctx, to)
	if err != nil {
		return err
	}
	v.Path = path
	a.say("key.moved", "path", path)
	if next := d.ArchiveKeyWaits(); next != "" {
		a.warn("glance.archive_key", "path", next)
	}
	return a.result(v, func(io.Writer) {})
}

func (a *app) listKeys(ctx context.Context, d *desk.Desk) error {
	v := struct {
		Schema string       `json:"schema"`
		Keys   []ownKeyView `json:"keys"`
	}{"sandi.keys/1", []ownKeyView{}}
	table := render.Table{Head: a.heads("key.heads"), Fixed: []int{0}}
	add := func(owner, title string, cert *crypto.Certificate) {
		f := cert.Facts(d.Now())
		v.Keys = append(v.Keys, ownKeyView{
			Owner: owner, Title: title, Fingerprint: string(f.Fingerprint), CheckWords: signedtext.CheckWordsOfKey(string(f.Fingerprint)),
			Algorithm: f.Algorithm, Expires: render.Instant(f.Expires), Revoked: f.Revoked,
		})
		until := a.cat.Text("correspondent.forever")
		if !f.Expires.IsZero() {
			until = a.cat.ShortDate(f.Expires)
		}
		table.Add(owner, title, f.Algorithm, keyTail(string(f.Fingerprint)), until)
	}
	officers, err := d.Book.Officers(ctx, d.Now())
	if err != nil {
		return err
	}
	for _, o := range officers {
		if o.Fingerprint == "" {
			continue
		}
		cert, err := d.CertificateOf(ctx, o.Certificate.SHA256)
		if err != nil {
			return err
		}
		add(o.Handle, a.roleWords(o.Roles), cert)
	}
	cert, err := d.OwnCertificate(ctx, desk.ArchiveOwner)
	if err != nil {
		return err
	}
	add(desk.ArchiveOwner, a.cat.Text("key.archive"), cert)
	if err := a.result(v, func(w io.Writer) { a.writeTable(w, &table, "key.none") }); err != nil {
		return err
	}
	if path := d.ArchiveKeyWaits(); path != "" {
		a.warn("glance.archive_key", "path", path)
	}
	return nil
}
