package cmd

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
	"sandi/crypto"
)

// receiveFlags are those of open and verify.
type receiveFlags struct {
	p       desk.ReceiveParams
	signers []string
	bundle  string
}

func (a *app) openCommand() *cobra.Command {
	var f receiveFlags
	c := a.describe("open", &cobra.Command{Use: "open", Args: cobra.ExactArgs(1)})
	c.RunE = func(c *cobra.Command, args []string) error {
		if f.p.Out == "" {
			return usageError("usage.flag_required", "flag", "--output")
		}
		return a.receive(c, args[0], f)
	}
	p := c.Flags()
	p.StringVarP(&f.p.Out, "output", "o", "", a.cat.Text("open.flag.output"))
	p.StringVar(&f.p.KeyFile, "key", "", a.cat.Text("open.flag.key"))
	p.BoolVar(&f.p.Force, "force", false, a.cat.Text("open.flag.force"))
	p.BoolVar(&f.p.Unverified, "unverified", false, a.cat.Text("open.flag.unverified"))
	p.StringArrayVar(&f.signers, "signer", nil, a.cat.Text("open.flag.signer"))
	p.StringVar(&f.bundle, "bundle", "", a.cat.Text("flag.bundle"))
	return c
}

func (a *app) verifyCommand() *cobra.Command {
	var f receiveFlags
	c := a.describe("verify", &cobra.Command{Use: "verify", Args: cobra.ExactArgs(1)})
	c.RunE = func(c *cobra.Command, args []string) error { return a.receive(c, args[0], f) }
	c.Flags().StringVar(&f.p.KeyFile, "key", "", a.cat.Text("verify.flag.key"))
	c.Flags().StringArrayVar(&f.signers, "signer", nil, a.cat.Text("open.flag.signer"))
	c.Flags().StringVar(&f.bundle, "bundle", "", a.cat.Text("flag.bundle"))
	return c
}

// receive verifies a message and, when there is a place for the plaintext, opens it. It works without any desk.
func (a *app) receive(c *cobra.Command, source string, f receiveFlags) error {
	ctx := c.Context()
	f.p.Source, f.p.Secrets = source, a.secrets()
	for _, s := range f.signers {
		role, file, ok := strings.Cut(s, "=")
		r, err := agenda.ParseRole(role)
		if err != nil || !ok || file == "" {
			return usageError("usage.signer", "value", s)
		}
		f.p.Signers = append(f.p.Signers, desk.SignerFile{Role: r, File: file})
	}
	if f.bundle != "" {
		_, keys, err := desk.ReadBundle(f.bundle)
		if err != nil {
			return err
		}
		f.p.Signers = append(f.p.Signers, desk.SignersOf(keys)...)
	}
	d, err := a.deskOrNone(c, f.p.Out == "" || a.flags.dryRun)
	if err != nil {
		return err
	}
	options := desk.Options{Now: a.hooks.Now}
	if d != nil {
		defer d.Close()
	}
	if a.flags.dryRun {
		f.p.Out = ""
	}
	if name, err := a.name(source); err == nil && name.Book == agenda.Kriptogram {
		if _, err := os.Stat(source); err != nil {
			return a.openOwn(ctx, d, name, f)
		}
	}
	res, err := desk.Receive(ctx, d, f.p, options)
	if err != nil && codeOf(err) != desk.CodeNotGood {
		return err
	}
	out := verdictOf(res)
	if err != nil && (!f.p.Unverified || f.p.Out == "") {
		out.Out = nil
	}
	if werr := a.result(out, func(w io.Writer) { a.showReceived(w, res, err == nil && f.p.Out != "" && !res.Letter) }); werr != nil {
		return werr
	}
	switch {
	case err == nil && res.Letter && f.p.Out != "":
		return usageError("usage.open_letter", "path", source)
	case err == nil:
		return nil
	case f.p.Unverified && res.Out != "":
		a.warn("open.unverified", "path", res.Out)
		return a.told(exitSignature)
	}
	id := "written"
	if f.p.Out == "" {
		id = "verify"
	}
	return &detailed{err, []any{"want", id}}
}

// deskOrNone opens the desk if there is one. A desk that was asked for by --desk must be there.
func (a *app) deskOrNone(c *cobra.Command, readOnly bool) (*desk.Desk, error) {
	d, err := a.openDesk(c, readOnly)
	if errNoDesk(err) && a.flags.desk == "" {
		return nil, nil
	}
	return d, err
}

// openOwn opens a kriptogram of our own with the archive key.
func (a *app) openOwn(ctx context.Context, d *desk.Desk, n agenda.Name, f receiveFlags) error {
	if d == nil {
		path, err := a.deskPath()
		if err != nil {
			return err
		}
		return &detailed{desk.Refusal(desk.CodeNone), []any{"field", path}}
	}
	if f.p.Out == "" {
		return usageError("usage.flag_required", "flag", "--output")
	}
	res, err := d.OpenOwn(ctx, n, f.p)
	if err != nil {
		return err
	}
	return a.result(verdictOf(res), func(w io.Writer) {
		fmt.Fprintln(w, a.cat.Text("open.verdict.content", "verdict", a.verdict(res.Content)))
		a.showWritten(w, res)
	})
}

func (a *app) verdict(v crypto.Verdict) string {
	if v == "" {
		v = crypto.VerdictUnchecked
	}
	return a.cat.Text("open.word." + string(v))
}

// showReceived prints the three verdicts, never one for all, and what stands behind them.
func (a *app) showReceived(w io.Writer, res desk.Received, written bool) {
	if res.Letter {
		fmt.Fprintln(w, a.cat.Text("open.verdict.sending", "verdict", a.verdict(res.Sending)))
	} else {
		fmt.Fprintln(w, a.cat.Text("open.verdict.kriptogram", "verdict", a.verdict(res.Kriptogram)))
		fmt.Fprintln(w, a.cat.Text("open.verdict.sending", "verdict", a.verdict(res.Sending)))
		fmt.Fprintln(w, a.cat.Text("open.verdict.content", "verdict", a.verdict(res.Content)))
	}
	seen := map[string]bool{}
	for _, word := range res.Why {
		if !seen[word] {
			seen[word] = true
			fmt.Fprintln(w, a.cat.Text("open.because", "why", a.why(word)))
		}
	}
	a.showFacts(w, res)
	for _, u := range unknownOnce(res.Unknown) {
		fmt.Fprintln(w, a.cat.Text("open.unknown", "role", a.cat.Role(string(u.Role))))
		for _, line := range fingerprintLines(u.Fingerprint) {
			fmt.Fprintln(w, "  "+line)
		}
		fmt.Fprintln(w, a.cat.Text("open.pin", "role", u.Role))
	}
	if res.NoDesk && res.Kriptogram == crypto.VerdictGood {
		fmt.Fprintln(w, a.cat.Text("open.no_desk"))
	}
	if res.Duplicate {
		fmt.Fprintln(w, a.cat.Text("open.duplicate"))
	}
	if written {
		a.showWritten(w, res)
	}
}

func (a *app) why(word string) string {
	if id := "open.why." + word; a.cat.Has(id) {
		return a.cat.Text(id)
	}
	return word
}

func (a *app) showFacts(w io.Writer, res desk.Received) {
	fact := func(id, value string) {
		if value != "" {
			fmt.Fprintln(w, a.cat.Text("open.fact."+id, "value", value))
		}
	}
	fact("sender", res.Sender)
	if res.Draft != nil {
		fact("office", res.Draft.Office)
		fact("entry", res.Draft.Entry)
		for _, r := range res.Draft.Recipients {
			fact("recipient", r.Unit)
		}
	}
	if res.Cover != nil {
		fact("number", res.Cover.Number)
		fact("copy", a.cat.Text("send.copy", "copy", res.Cover.Copy, "of", res.Cover.Of))
		fact("time", a.cat.DateTime(res.Cover.At))
	}
	if res.Dispatch != nil {
		fact("entry", res.Dispatch.Entry)
		fact("time", a.cat.DateTime(res.Dispatch.At))
		for _, s := range res.Scans {
			fact("scan", s)
		}
	}
	if res.Class != "" {
		fact("class", a.cat.Class(string(res.Class)))
		fact("urgency", a.cat.Urgency(string(res.Urgency)))
	}
}

func (a *app) showWritten(w io.Writer, res desk.Received) {
	fmt.Fprintln(w, a.cat.Text("open.written", "path", res.Out, "size", a.cat.Size(res.Size)))
	if res.FileName != "" {
		fmt.Fprintln(w, a.cat.Text("open.name", "name", res.FileName))
	}
	if res.Zip {
		fmt.Fprintln(w, a.cat.Text("open.zip"))
	}
}

func unknownOnce(list []desk.Unknown) []desk.Unknown {
	var out []desk.Unknown
	seen := map[desk.Unknown]bool{}
	for _, u := range list {
		if !seen[u] {
			seen[u] = true
			out = append(out, u)
		}
	}
	return out
}

type verdictJSON struct {
	Schema         string        `json:"schema"` // sandi.verdict/1
	Kriptogram     string        `json:"kriptogram"`
	Sending        string        `json:"sending"`
	Content        string        `json:"content"`
	Why            []string      `json:"why"`
	Letter         bool          `json:"letter"`
	Sender         *string       `json:"sender"`
	Office         *string       `json:"office"`
	Entry          *string       `json:"entry"`
	Number         *string       `json:"number"`
	Copy           *int          `json:"copy"`
	Of             *int          `json:"of"`
	SentAt         *string       `json:"sent_at"`
	Classification *string       `json:"classification"`
	Urgency        *string       `json:"urgency"`
	FileName       *string       `json:"file_name"`
	Size           *int64        `json:"size"`
	Out            *string       `json:"out"`
	Zip            bool          `json:"zip"`
	Duplicate      bool          `json:"duplicate"`
	Desk           bool          `json:"desk"`
	Unknown        []unknownJSON `json:"unknown_signers"`
	Scans          []string      `json:"scans"`
}

type unknownJSON struct {
	Role        string `json:"role"`
	Fingerprint string `json:"fingerprint"`
}

func verdictOf(res desk.Received) verdictJSON {
	word := func(v crypto.Verdict) string { return cmp.Or(string(v), string(crypto.VerdictUnchecked)) }
	out := verdictJSON{
		Schema: "sandi.verdict/1", Kriptogram: word(res.Kriptogram), Sending: word(res.Sending), Content: word(res.Content),
		Why: []string{}, Letter: res.Letter, Sender: render.Text(res.Sender), Classification: render.Text(string(res.Class)),
		Urgency: render.Text(string(res.Urgency)), FileName: render.Text(res.FileName), Out: render.Text(res.Out), Zip: res.Zip,
		Duplicate: res.Duplicate, Desk: !res.NoDesk, Unknown: []unknownJSON{}, Scans: []string{},
	}
	out.Why = append(out.Why, res.Why...)
	out.Scans = append(out.Scans, res.Scans...)
	if res.Draft != nil {
		out.Office, out.Entry = render.Text(res.Draft.Office), render.Text(res.Draft.Entry)
	}
	if res.Cover != nil {
		out.Number, out.Copy, out.Of, out.SentAt = render.Text(res.Cover.Number), &res.Cover.Copy, &res.Cover.Of, render.Instant(res.Cover.At)
	}
	if res.Dispatch != nil {
		out.Entry, out.SentAt = render.Text(res.Dispatch.Entry), render.Instant(res.Dispatch.At)
	}
	if res.Out != "" {
		out.Size = &res.Size
	}
	for _, u := range unknownOnce(res.Unknown) {
		out.Unknown = append(out.Unknown, unknownJSON{string(u.Role), u.Fingerprint})
	}
	return out
}
