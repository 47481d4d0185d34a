package cmd

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
	"sandi/cmd/internal/term"
	"sandi/crypto"
)

func (a *app) encryptCommand() *cobra.Command {
	var again bool
	c := a.describe("encrypt", &cobra.Command{
		Use:  "encrypt",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
				p := desk.EncryptParams{Documents: args[1:], Again: again, DryRun: a.flags.dryRun, Secrets: a.secrets()}
				var err error
				if p.Name, err = a.name(args[0]); err != nil {
					return err
				}
				next := fmt.Sprintf("sandi encrypt %s %s", p.Name, a.cat.Text("default.path"))
				if len(args) < 2 || slices.Contains(args, "") {
					return usageError("usage.document_missing", "entry", p.Name, "next", next)
				}
				if again {
					if p.Reason, err = a.need(c, "reason", "encrypt.ask_reason"); err != nil {
						return err
					}
				}
				return documentError(a.encrypt(ctx, d, p), next)
			})
		},
	})
	c.Flags().BoolVar(&again, "again", false, a.cat.Text("encrypt.flag.again"))
	return c
}

func (a *app) encrypt(ctx context.Context, d *desk.Desk, p desk.EncryptParams) error {
	e, err := d.Book.Entry(ctx, p.Name)
	if err != nil {
		return err
	}
	p.Show = func(rows []desk.PreflightRow) { a.showPreflight(d, e, rows) }
	var bar term.Progress
	p.Progress = func(total int64, r io.Reader) io.Reader {
		bar = a.term.Progress(a.cat.Text("encrypt.progress"), total)
		return io.TeeReader(r, bar)
	}
	res, err := d.Encrypt(ctx, p)
	if bar != nil {
		bar.Done()
	}
	switch {
	case codeOf(err) == desk.CodeState && p.Name.Book == agenda.Surat:
		return &detailed{err, []any{"want", "surat"}}
	case err != nil:
		return a.preflightError(err, res.Recipients)
	}
	if p.DryRun {
		a.say("encrypt.dry_run", "entry", p.Name)
		return a.result(encryptedOf(res, true), func(io.Writer) {})
	}
	a.sayDueToday(d, res.Entry)
	return a.result(encryptedOf(res, false), func(w io.Writer) {
		fmt.Fprintln(w, a.cat.Text("encrypt.done", "entry", p.Name, "n", len(res.Recipients)))
		fmt.Fprintln(w, a.cat.Text("encrypt.initialled", "time", a.cat.Clock(res.At), "draft", res.Draft.Number))
		for _, path := range p.Documents {
			fmt.Fprintln(w, a.cat.Text("encrypt.plain", "path", path))
		}
		fmt.Fprintln(w, a.cat.Text("encrypt.next", "entry", p.Name))
	})
}

// showPreflight shows what is known of every recipient before anything is asked.
func (a *app) showPreflight(d *desk.Desk, e agenda.Entry, rows []desk.PreflightRow) {
	if a.flags.json || a.flags.quiet {
		return
	}
	fmt.Fprintln(a.talk, a.cat.Text("encrypt.preflight", "entry", e.Name, "class", a.cat.Class(string(e.Letter.Class))))
	table := render.Table{Align: []render.Align{render.Right}, Fixed: []int{0, 1, 3, 4, 5}}
	var old []string
	var soon []desk.PreflightRow
	for _, r := range rows {
		algorithm, until := "-", "-"
		if r.Facts.Encryption != nil {
			algorithm = r.Facts.Encryption.Algorithm
		} else if r.Facts.Algorithm != "" {
			algorithm = r.Facts.Algorithm
		}
		if at := r.Facts.Expires; !at.IsZero() {
			until = a.cat.Text("encrypt.until", "date", a.cat.ShortDate(at))
		}
		table.Add(fmt.Sprint(r.Copy), r.Correspondent.Handle, r.Correspondent.Unit, algorithm, until, a.finding(d, r))
		for _, f := range r.Findings {
			switch f.Code {
			case crypto.CodeMDCOnly:
				old = append(old, r.Correspondent.Handle)
			case crypto.CodeExpiresSoon:
				soon = append(soon, r)
			}
		}
	}
	_, _ = table.WriteTo(a.talk)
	for _, r := range soon {
		for _, f := range r.Findings {
			if f.Code == crypto.CodeExpiresSoon {
				a.warn("encrypt.expires_soon", "name", r.Correspondent.Handle, "n", daysLeft(d, f), "date", a.cat.Date(f.Until))
			}
		}
	}
	if len(old) > 0 {
		a.warn("encrypt.mdc", "names", strings.Join(old, ", "))
	}
}

func daysLeft(d *desk.Desk, f crypto.Finding) int { return int(f.Until.Sub(d.Now()).Hours() / 24) }

// finding is the last column of the table: the gravest thing that can be said of a recipient.
func (a *app) finding(d *desk.Desk, r desk.PreflightRow) string {
	for _, f := range r.Findings {
		switch f.Code {
		case "", crypto.CodeMDCOnly:
			continue
		case crypto.CodeExpiresSoon:
			return a.cat.Text("finding.soon", "n", daysLeft(d, f))
		}
		if id := "finding." + f.Code; a.cat.Has(id) {
			return a.cat.Text(id)
		}
		return f.Code
	}
	return a.cat.Text("finding.good")
}

// preflightError adds to a refusal by preflight the instant that its message names.
func (a *app) preflightError(err error, rows []desk.PreflightRow) error {
	if codeOf(err) != desk.CodePreflight {
		return err
	}
	for _, r := range rows {
		for _, f := range r.Findings {
			if f.Refuse {
				pairs := []any{"name", r.Correspondent.Handle, "want", f.Code}
				if !f.Until.IsZero() {
					pairs = append(pairs, "until", a.cat.Date(f.Until))
				}
				return &detailed{err, pairs}
			}
		}
	}
	return err
}

// detailed adds pairs for the message to an error that a command knows more about than who made it.
type detailed struct {
	err   error
	pairs []any
}

func (e *detailed) Error() string { return e.err.Error() }
func (e *detailed) Unwrap() error { return e.err }

// Args returns the pairs for the error's message.
func (e *detailed) Args() []any { return e.pairs }

// documentError gives the error about a file that was named the command to type it anew.
func documentError(err error, next string) error {
	if slices.Contains([]string{desk.CodeFile, desk.CodeEmptyFile, desk.CodeFileChanged, desk.CodeNotPDF, desk.CodeSameName}, codeOf(err)) {
		return &detailed{err, []any{"want", "document", "next", next}}
	}
	return err
}

type encryptedJSON struct {
	Schema     string          `json:"schema"` // sandi.encrypted/1
	Entry      string          `json:"entry"`
	State      string          `json:"state"`
	DryRun     bool            `json:"dry_run"`
	Draft      *int            `json:"draft"`
	Format     *string         `json:"format"`
	SHA256     *string         `json:"sha256"` // of kriptogram.pgp
	Size       *int64          `json:"size"`
	Manifest   *string         `json:"manifest"` // of kriptogram.txt
	At         *string         `json:"at"`
	Officer    *string         `json:"officer"`
	Recipients []recipientJSON `json:"recipients"`
}

type recipientJSON struct {
	Copy          int      `json:"copy"`
	Correspondent string   `json:"correspondent"`
	Unit          string   `json:"unit"`
	Fingerprint   *string  `json:"fingerprint"`
	Algorithm     *string  `json:"algorithm"`
	Expires       *string  `json:"expires_at"`
	Findings      []string `json:"findings"`
}

func encryptedOf(res desk.Encrypted, dry bool) encryptedJSON {
	out := encryptedJSON{
		Schema: "sandi.encrypted/1", Entry: res.Entry.Name.String(), State: string(res.Entry.State), DryRun: dry,
		Recipients: []recipientJSON{},
	}
	if !dry {
		sum := agenda.Hash(res.Draft.Kriptogram).String()
		out.Draft, out.Format, out.Size = &res.Draft.Number, render.Text(res.Draft.Format), &res.Draft.Size
		out.SHA256, out.At, out.Officer = &sum, render.Instant(res.At), render.Text(res.By.Handle)
		if res.Entry.Drafted != nil {
			out.Manifest = render.Text(res.Entry.Drafted.Manifest.String())
		}
	}
	for _, r := range res.Recipients {
		one := recipientJSON{
			Copy: r.Copy, Correspondent: r.Correspondent.Handle, Unit: r.Correspondent.Unit,
			Fingerprint: render.Text(r.Correspondent.Fingerprint), Expires: render.Instant(r.Facts.Expires), Findings: []string{},
		}
		if r.Facts.Encryption != nil {
			one.Algorithm = render.Text(r.Facts.Encryption.Algorithm)
		}
		for _, f := range r.Findings {
			if f.Code != "" {
				one.Findings = append(one.Findings, f.Code)
			}
		}
		out.Recipients = append(out.Recipients, one)
	}
	return out
}
