package cmd

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
)

func (a *app) signCommand() *cobra.Command {
	var giveBack, read, force bool
	var out, request, attach, wet, words string
	c := a.describe("sign", &cobra.Command{
		Use:  "sign",
		Args: cobra.ArbitraryArgs,
	})
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 && !a.term.CanPrompt() || len(args) == 0 && a.flags.json {
			return usageError("usage.sign_names")
		}
		if err := given(c, "attach", "wet", "words", "request"); err != nil {
			return err
		}
		names, err := a.names(args)
		if len(args) > 0 && err != nil {
			return err
		}
		one := giveBack || read || request != "" || attach != "" || wet != ""
		if one && len(names) != 1 {
			return usageError("usage.arguments")
		}
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			switch {
			case len(args) == 0:
				return a.review(ctx, d)
			case giveBack:
				reason, err := a.need(c, "reason", "sign.ask_reason")
				if err != nil {
					return err
				}
				return a.giveBack(ctx, d, names[0], reason)
			case read:
				return a.readDraft(ctx, d, desk.ReadParams{Name: names[0], Out: out, Force: force, Secrets: a.secrets()})
			case request != "":
				return a.requestSignature(ctx, d, names[0], request)
			}
			return a.sign(ctx, d, names, desk.SignParams{Attach: attach, Wet: wet, Words: words, Secrets: a.secrets()})
		})
	}
	f := c.Flags()
	f.BoolVar(&giveBack, "return", false, a.cat.Text("sign.flag.return"))
	f.BoolVar(&read, "read", false, a.cat.Text("sign.flag.read"))
	f.StringVarP(&out, "output", "o", "", a.cat.Text("sign.flag.output"))
	f.BoolVar(&force, "force", false, a.cat.Text("sign.flag.force"))
	f.StringVar(&request, "request", "", a.cat.Text("sign.flag.request"))
	f.StringVar(&attach, "attach", "", a.cat.Text("sign.flag.attach"))
	f.StringVar(&wet, "wet", "", a.cat.Text("sign.flag.wet"))
	f.StringVar(&words, "words", "", a.cat.Text("sign.flag.words"))
	c.MarkFlagsMutuallyExclusive("return", "read", "request", "attach", "wet")
	return c
}

// sign shows everything that is about to be signed and signs it with one passphrase.
func (a *app) sign(ctx context.Context, d *desk.Desk, names []agenda.Name, p desk.SignParams) error {
	all, errs := d.PendingAll(ctx, names)
	if err := cmp.Or(errs...); err != nil {
		return err
	}
	a.say("sign.head", "n", len(all))
	for i, pend := range all {
		if p.Wet != "" {
			// They are to be read from the sheet that bears the ink: from the screen they would fit any sheet.
			pend.CheckWords = ""
		}
		a.showPending(d, pend, i+1, len(all))
	}
	if p.Wet != "" && p.Words == "" {
		typed, err := a.ask("--words", "sign.ask_words")
		if err != nil {
			return err
		}
		p.Words = typed
	}
	if a.flags.dryRun {
		for _, pend := range all {
			one := p
			one.Name = pend.Entry.Name
			if err := d.MaySign(ctx, one); err != nil {
				return a.sheetError(one, err)
			}
		}
		a.say("sign.dry_run")
		return a.signedAs(all, func(pend desk.Pending) signatureJSON { return signatureOf(pend.Entry, pend, true) })
	}
	if p.Attach == "" && p.Wet == "" {
		yes, err := a.confirm(false, "sign.confirm", "n", len(all))
		if err != nil {
			return err
		}
		if !yes {
			return a.declined("sign.declined")
		}
	}
	var done []agenda.Name
	batch := make([]desk.SignParams, len(names))
	for i, n := range names {
		batch[i] = p
		batch[i].Name, batch[i].Manifest = n, all[i].Entry.Drafted.Manifest
	}
	entries, errs := d.SignAll(ctx, batch)
	at := -1
	err := a.each(ctx, names, func(n agenda.Name) error {
		at++
		e, pend := entries[at], all[at]
		if errs[at] != nil {
			return a.sheetError(batch[at], errs[at])
		}
		done = append(done, n)
		if a.flags.json {
			return a.object(signatureOf(e, pend, false))
		}
		return nil
	})
	if len(done) > 0 {
		a.print("sign.done", "names", a.listed(done), "n", len(done), "time", a.cat.Clock(d.Now()))
		if p.Wet != "" {
			a.print("sign.wet")
		}
		a.say("sign.next", "names", a.commas(done))
	}
	return err
}

// sheetError gives the error about the scan of a sheet the command to name it anew.
func (a *app) sheetError(p desk.SignParams, err error) error {
	if p.Wet == "" {
		return err
	}
	return documentError(err, fmt.Sprintf("sandi sign %s --wet %s", a.entryName(p.Name), a.cat.Text("default.path")))
}

// signedAs writes an object for every draft under --json.
func (a *app) signedAs(all []desk.Pending, of func(desk.Pending) signatureJSON) error {
	if !a.flags.json {
		return nil
	}
	for _, pend := range all {
		if err := a.object(of(pend)); err != nil {
			return err
		}
	}
	return nil
}

// declined ends a command whose question was answered with no.
func (a *app) declined(id string) error {
	a.warn(id)
	return a.told(exitOther)
}

// commas writes names for a command line: K1,K5-K7.
func (a *app) commas(names []agenda.Name) string { return compact(ranges(names, a.thisYear())) }

// showPending shows a draft as the head of section needs it: nothing secret, but all that he puts his name to.
func (a *app) showPending(d *desk.Desk, p desk.Pending, i, of int) {
	if a.flags.json {
		return
	}
	e := p.Entry
	at := a.cat.Clock(p.Draft.At)
	if !midnight(p.Draft.At).Equal(midnight(d.Now())) {
		at = a.cat.ShortDate(p.Draft.At) + " " + at
	}
	head := a.cat.Text("sign.entry", "i", i, "of", of, "entry", e.Name, "class", strings.ToUpper(a.cat.Class(string(e.Letter.Class))),
		"urgency", strings.ToUpper(a.cat.Urgency(string(e.Letter.Urgency))), "draft", a.cat.Text("sign.draft", "n", p.Draft.Number, "time", at))
	letter := a.cat.Text("sign.letter", "letter", e.Letter.Number, "date", a.isoDate(e.Letter.Date))
	if e.Letter.Pages > 0 {
		letter += a.cat.Text("sign.pages", "n", e.Letter.Pages)
	}
	lines := sideBySide([]string{head}, "      ", a.cat.Text("sign.applicant", "applicant", e.Letter.Applicant), letter)
	to := a.cat.Text("sign.to")
	var units []string
	for j, r := range p.Draft.Recipients {
		units = append(units, strconv.Itoa(j+1)+" "+render.Safe(r.Unit))
	}
	if len(units) > 0 {
		units[0] = to + "   " + units[0]
		lines = sideBySide(lines, "   ", units...)
	}
	lines = append(lines, a.cat.Text("sign.format", "format", p.Draft.Format))
	if len(p.Downgraded) > 0 {
		lines = append(lines, a.cat.Text("sign.downgraded", "names", strings.Join(p.Downgraded, ", ")))
	}
	if p.CheckWords != "" {
		lines = append(lines, a.cat.Text("sign.words", "words", p.CheckWords))
	}
	if !p.Reviewed && d.Config.Profile.ClassPolicy(string(e.Letter.Class)).Review != "none" {
		lines = append(lines, a.cat.Text("sign.unread", "entry", e.Name))
	}
	for _, l := range lines {
		fmt.Fprintln(a.talk, l)
	}
}

// sideBySide adds parts to lines, as many in a line as fit; what does not goes on below the first part's words.
func sideBySide(lines []string, gap string, parts ...string) []string {
	line, indent := parts[0], len(parts[0])-len(strings.TrimLeft(parts[0], " "))
	for _, part := range parts[1:] {
		if render.Columns(line)+len(gap)+render.Columns(part) > maxColumns {
			lines, line = append(lines, line), strings.Repeat(" ", indent)+part
			continue
		}
		line += gap + part
	}
	return append(lines, line)
}

func (a *app) giveBack(ctx context.Context, d *desk.Desk, n agenda.Name, reason string) error {
	if a.flags.dryRun {
		if err := d.MayReturn(ctx, n); err != nil {
			return err
		}
		a.say("sign.return_dry", "entry", n)
		return a.wouldDo("sandi.signature/1", n)
	}
	e, err := d.Return(ctx, desk.ReturnParams{Name: n, Reason: reason, Secrets: a.secrets()})
	if err != nil {
		return err
	}
	return a.result(signatureOf(e, desk.Pending{Entry: e}, false), func(w io.Writer) {
		fmt.Fprintln(w, a.cat.Text("sign.returned", "entry", n, "time", a.cat.Clock(d.Now()), "n", e.Draft))
	})
}

func (a *app) readDraft(ctx context.Context, d *desk.Desk, p desk.ReadParams) error {
	if a.flags.dryRun {
		if _, err := d.Pending(ctx, p.Name); err != nil {
			return err
		}
		return a.wouldDo("sandi.read/1", p.Name)
	}
	res, err := d.Read(ctx, p)
	if err != nil {
		return err
	}
	v := struct {
		Schema string `json:"schema"`
		Entry  string `json:"entry"`
		Path   string `json:"path"`
		Name   string `json:"file_name"`
		Size   int64  `json:"size"`
	}{"sandi.read/1", p.Name.String(), res.Path, res.Name, res.Size}
	return a.result(v, func(w io.Writer) {
		fmt.Fprintln(w, a.cat.Text("sign.read", "entry", p.Name, "path", res.Path, "size", a.cat.Size(res.Size)))
		fmt.Fprintln(w, a.cat.Text("sign.read_name", "name", res.Name))
		fmt.Fprintln(w, a.cat.Text("sign.read_next", "entry", p.Name))
	})
}

func (a *app) requestSignature(ctx context.Context, d *desk.Desk, n agenda.Name, dir string) error {
	if a.flags.dryRun {
		if _, err := d.Pending(ctx, n); err != nil {
			return err
		}
		return a.wouldDo("sandi.signature_request/1", n)
	}
	pend, err := d.Request(ctx, n, dir)
	if err != nil {
		return err
	}
	v := struct {
		Schema string `json:"schema"`
		Entry  string `json:"entry"`
		Folder string `json:"folder"`
		Words  string `json:"check_words"`
	}{"sandi.signature_request/1", n.String(), dir, pend.CheckWords}
	return a.result(v, func(w io.Writer) {
		fmt.Fprintln(w, a.cat.Text("sign.requested", "entry", n, "path", dir, "words", pend.CheckWords))
	})
}

// review is `sandi sign` alone: the queue of the head of section, one screen each, one passphrase at the end.
func (a *app) review(ctx context.Context, d *desk.Desk) error {
	waiting, err := d.Waiting(ctx)
	if err != nil {
		return err
	}
	if len(waiting) == 0 {
		a.print("sign.none")
		return nil
	}
	line, at := a.cat.Text("sign.waiting", "n", len(waiting)), a.cat.Date(d.Now())+", "+a.cat.Clock(d.Now())
	fmt.Fprintln(a.talk, line+strings.Repeat(" ", max(2, maxColumns-len(line)-len(at)))+at)
	var accept []desk.Pending
	var back []returned
	for i, w := range waiting {
		pend, err := d.Pending(ctx, w.Name)
		if err != nil {
			a.fail(err)
			continue
		}
		a.showPending(d, pend, i+1, len(waiting))
		choice, reason, err := a.choose(pend)
		if err != nil {
			return err
		}
		switch choice {
		case "t":
			accept = append(accept, pend)
		case "k":
			back = append(back, returned{w.Name, pend.Entry.Drafted.Manifest, reason})
		}
		if choice == "s" {
			break
		}
	}
	if len(accept)+len(back) == 0 {
		return a.declined("sign.declined")
	}
	var chosen []string
	if len(accept) > 0 {
		chosen = append(chosen, a.cat.Text("sign.chosen", "names", namesOf(accept)))
	}
	if len(back) > 0 {
		var names []agenda.Name
		for _, r := range back {
			names = append(names, r.name)
		}
		chosen = append(chosen, a.cat.Text("sign.to_return", "names", ranges(names, a.thisYear())))
	}
	yes, err := a.confirmText(false, strings.Join(append(chosen, a.cat.Text("sign.go_on")), " "))
	if err != nil {
		return err
	}
	if !yes || a.flags.dryRun {
		return a.declined("sign.declined")
	}
	return a.decide(ctx, d, accept, back)
}

// listed writes names as a sentence does: "K42 and K44".
func (a *app) listed(names []agenda.Name) string {
	parts := strings.Split(ranges(names, a.thisYear()), ", ")
	if n := len(parts); n > 1 {
		parts = append(parts[:n-2], parts[n-2]+" "+a.cat.Text("list.and")+" "+parts[n-1])
	}
	return strings.Join(parts, ", ")
}

type returned struct {
	name     agenda.Name
	manifest agenda.Hash // of the draft that was shown
	reason   string
}

// decide signs and returns what was chosen. What fails is told and does not stop the rest.
func (a *app) decide(ctx context.Context, d *desk.Desk, accept []desk.Pending, back []returned) error {
	var all []int
	var done []agenda.Name
	for _, pend := range accept {
		_, err := d.Sign(ctx, desk.SignParams{Name: pend.Entry.Name, Manifest: pend.Entry.Drafted.Manifest, Secrets: a.secrets()})
		if err == nil {
			done = append(done, pend.Entry.Name)
		}
		if hopeless(err) {
			return err
		}
		all = append(all, a.fail(err))
	}
	if len(done) > 0 {
		a.print("sign.done", "names", a.listed(done), "n", len(done), "time", a.cat.Clock(d.Now()))
	}
	for _, r := range back {
		e, err := d.Return(ctx, desk.ReturnParams{Name: r.name, Manifest: r.manifest, Reason: r.reason, Secrets: a.secrets()})
		if hopeless(err) {
			return err
		}
		if err == nil {
			a.print("sign.returned", "entry", r.name, "time", a.cat.Clock(d.Now()), "n", e.Draft)
		}
		all = append(all, a.fail(err))
	}
	if len(done) > 0 {
		a.say("sign.next", "names", a.commas(done))
	}
	return a.told(batchStatus(all))
}

// hopeless says that the next entry would end the same way: nobody answers, the passphrase is not known.
func hopeless(err error) bool {
	return interrupted(err) || codeOf(err) == desk.CodePassphrase || codeOf(err) == desk.CodeKeyMedium
}

func namesOf(all []desk.Pending) string {
	var names []agenda.Name
	for _, p := range all {
		names = append(names, p.Entry.Name)
	}
	if len(names) == 0 {
		return ""
	}
	return ranges(names, names[0].Year)
}

// choose asks what is to become of one draft. [p] shows the subject until the next answer.
func (a *app) choose(p desk.Pending) (choice, reason string, err error) {
	for {
		answer, err := a.ask("--yes", "sign.choice")
		if err != nil {
			return "", "", err
		}
		switch strings.ToLower(answer) {
		case "t", "l", "s":
			return strings.ToLower(answer), "", nil
		case "k":
			for reason == "" {
				if reason, err = a.ask("--reason", "sign.ask_reason"); err != nil {
					return "", "", err
				}
			}
			return "k", reason, nil
		case "p":
			if _, err := a.ask("--yes", "sign.subject", "subject", p.Entry.Letter.Subject); err != nil {
				return "", "", err
			}
			a.eraseLine()
		}
	}
}

// eraseLine takes the line above off the screen, where there is one.
func (a *app) eraseLine() {
	if a.term.ErrIsTerminal() {
		// A screen that does not obey keeps the line; nothing depends on it.
		_, _ = io.WriteString(a.term.Err(), "\x1b[1A\r\x1b[2K")
	}
}

type signatureJSON struct {
	Schema     string  `json:"schema"` // sandi.signature/1
	Entry      string  `json:"entry"`
	State      string  `json:"state"`
	DryRun     bool    `json:"dry_run"`
	Draft      int     `json:"draft"`
	Manifest   *string `json:"manifest"`
	Mode       *string `json:"mode"` // key, wet, both; null when not signed
	Key        *string `json:"key"`
	Via        *string `json:"via"`
	SignedAt   *string `json:"signed_at"`
	ReturnedAt *string `json:"returned_at"`
	CheckWords *string `json:"check_words"`
	Reviewed   bool    `json:"reviewed"`
}

func signatureOf(e agenda.Entry, p desk.Pending, dry bool) signatureJSON {
	out := signatureJSON{
		Schema: "sandi.signature/1", Entry: e.Name.String(), State: string(e.State), DryRun: dry, Draft: e.Draft,
		CheckWords: render.Text(p.CheckWords), Reviewed: p.Reviewed,
	}
	if e.Drafted != nil {
		out.Manifest = render.Text(e.Drafted.Manifest.String())
	}
	if s := e.Signed; s != nil {
		out.Mode, out.Key, out.Via, out.SignedAt = render.Text(s.Mode), render.Text(s.Key), render.Text(s.Via), render.Instant(s.At)
	}
	if r := e.Returned; r != nil {
		out.ReturnedAt = render.Instant(r.At)
	}
	return out
}
