package cmd

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
	"sandi/cmd/internal/signedtext"
)

type archiveKeyView struct {
	Fingerprint string  `json:"fingerprint"`
	CheckWords  string  `json:"check_words"`
	Algorithm   string  `json:"algorithm"`
	Since       *string `json:"since"`
	Until       *string `json:"until"` // null: never
	Reason      *string `json:"reason"`
	Current     bool    `json:"current"`
}

type archiveKeysView struct {
	Schema     string           `json:"schema"`  // sandi.archive_key/1
	Keys       []archiveKeyView `json:"keys"`    // oldest first
	Waiting    []string         `json:"waiting"` // private keys still inside the desk
	DryRun     bool             `json:"dry_run"`
	Extended   bool             `json:"extended"`   // the same key, its certificate added to
	TakenOver  bool             `json:"taken_over"` // the key that a run left which stopped
	PrivateKey *string          `json:"private_key"`
}

// keyArchive shows the certificates of the archive, or gives it another one.
func (a *app) keyArchive() *cobra.Command {
	c := a.describe("key archive", &cobra.Command{Use: "archive"})
	c.RunE = func(c *cobra.Command, _ []string) error {
		fresh, _ := c.Flags().GetBool("new")
		p := desk.ArchiveKeyParams{Certificate: flag(c, "cert"), KeyOut: flag(c, "key-out"), Check: a.flags.dryRun}
		change := fresh || p.Certificate != ""
		if p.KeyOut != "" && !fresh {
			return usageError("usage.flag_required", "flag", "--new")
		}
		return a.withDesk(c, !change || a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			if !change {
				return a.showArchiveKeys(ctx, d, archiveKeysView{}, func(io.Writer) {})
			}
			var err error
			if p.Reason, err = a.reason(c, "ask.reason"); err != nil {
				return err
			}
			p.Passphrase = a.newPassphrase("init.passphrase", "init.passphrase_again")
			p.Found = a.foundKey
			return a.changeArchiveKey(ctx, d, p)
		})
	}
	c.Flags().Bool("new", false, a.cat.Text("flag.key.new"))
	a.stringFlags(c, "key", "cert", "key-out", "reason")
	c.MarkFlagsMutuallyExclusive("new", "cert")
	return c
}

// foundKey tells that a key is there already, whose passphrase is asked next.
func (a *app) foundKey(path string) { a.say("key.found", "path", path) }

func (a *app) changeArchiveKey(ctx context.Context, d *desk.Desk, p desk.ArchiveKeyParams) error {
	res, err := d.ChangeArchiveKey(ctx, p)
	if err != nil {
		return err
	}
	v := archiveKeysView{DryRun: p.Check, Extended: res.Extended, TakenOver: res.TakenOver, PrivateKey: render.Text(res.PrivateKey)}
	return a.showArchiveKeys(ctx, d, v, func(w io.Writer) {
		switch {
		case p.Check && p.Certificate == "":
			fmt.Fprintln(w, a.cat.Text("key.archive.dry_new"))
			return
		case p.Check:
			fmt.Fprintln(w, a.cat.Text("key.archive.dry_cert", "until", a.until(res.Key.Until)))
			return
		case res.Extended:
			fmt.Fprintln(w, a.cat.Text("key.archive.extended", "until", a.until(res.Key.Until)))
			return
		}
		fmt.Fprintln(w, a.cat.Text("key.archive.changed", "until", a.until(res.Key.Until)))
		fmt.Fprintln(w, a.cat.Text("key.archive.keep_old", "groups", keyTail(res.Was.Fingerprint)))
		switch {
		case res.Inside:
			fmt.Fprintln(w, a.cat.Text("init.key.inside", "path", res.PrivateKey))
		case res.PrivateKey != "":
			fmt.Fprintln(w, a.cat.Text("init.key.outside", "path", res.PrivateKey))
		}
	})
}

// showArchiveKeys writes what the change tells, if there was one, the certificates of the archive and, in full, the one that counts.
func (a *app) showArchiveKeys(ctx context.Context, d *desk.Desk, v archiveKeysView, change func(io.Writer)) error {
	keys, err := d.ArchiveKeys(ctx)
	if err != nil {
		return err
	}
	v.Schema, v.Keys, v.Waiting = "sandi.archive_key/1", []archiveKeyView{}, append([]string{}, d.ArchiveKeysWaiting()...)
	table := render.Table{Head: a.heads("key.archive.heads"), Fixed: []int{0, 1}}
	for i, k := range keys {
		current := i == len(keys)-1
		v.Keys = append(v.Keys, archiveKeyView{
			Fingerprint: k.Fingerprint, CheckWords: signedtext.CheckWordsOfKey(k.Fingerprint), Algorithm: k.Facts.Algorithm,
			Since: render.Instant(k.Since), Until: render.Instant(k.Until), Reason: render.Text(k.Reason), Current: current,
		})
		state := ""
		if current {
			state = a.cat.Text("key.archive.current")
		}
		table.Add(a.cat.ShortDate(k.Since), keyTail(k.Fingerprint), a.until(k.Until), state, k.Reason)
	}
	err = a.result(v, func(w io.Writer) {
		change(w)
		a.writeTable(w, &table, "key.none")
		a.printFingerprint(w, keys[len(keys)-1].Fingerprint)
	})
	if err == nil && len(v.Waiting) > 0 && v.PrivateKey == nil {
		a.warn("glance.archive_key", "path", v.Waiting[0])
	}
	return err
}
