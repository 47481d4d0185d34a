package cmd

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
	"sandi/cmd/internal/signedtext"
	"sandi/crypto"
)

type correspondentView struct {
	Schema       string        `json:"schema"` // sandi.correspondent/1
	Handle       string        `json:"handle"`
	Unit         string        `json:"unit"`
	Address      string        `json:"address"`
	State        string        `json:"state"` // unconfirmed, confirmed
	Ended        bool          `json:"ended"`
	Fingerprint  *string       `json:"fingerprint"`
	CheckWords   *string       `json:"check_words"`
	Subkey       *string       `json:"subkey"`
	ConfirmedBy  *string       `json:"confirmed_by"`
	ConfirmedVia *string       `json:"confirmed_via"`
	ConfirmedAt  *string       `json:"confirmed_at"`
	Key          *keyView      `json:"key"`
	Signers      []signerView  `json:"signers"`
	Findings     []findingView `json:"findings"`
}

type keyView struct {
	Algorithm           string  `json:"algorithm"`
	Created             *string `json:"created"`
	Expires             *string `json:"expires"` // null: never
	EncryptionAlgorithm *string `json:"encryption_algorithm"`
	EncryptionExpires   *string `json:"encryption_expires"`
	AEAD                bool    `json:"aead"`
	AES256              bool    `json:"aes256"`
	Revoked             bool    `json:"revoked"`
}

type signerView struct {
	Role        string `json:"role"`
	Fingerprint string `json:"fingerprint"`
	CheckWords  string `json:"check_words"`
	Confirmed   bool   `json:"confirmed"`
}

type findingView struct {
	Code   string  `json:"code"`
	Refuse bool    `json:"refuse"`
	Until  *string `json:"until"`
}

func correspondentOf(c agenda.Correspondent, rep desk.KeyReport) correspondentView {
	v := correspondentView{
		Schema: "sandi.correspondent/1", Handle: c.Handle, Unit: c.Unit, Address: c.Address, State: c.State, Ended: c.Ended,
		Fingerprint: render.Text(c.Fingerprint), Subkey: render.Text(c.Subkey), ConfirmedBy: render.Text(c.ConfirmedBy),
		ConfirmedVia: render.Text(c.ConfirmedVia), ConfirmedAt: render.Instant(c.ConfirmedAt),
		Signers: make([]signerView, 0, len(c.Signers)), Findings: []findingView{},
	}
	if v.State == "" {
		v.State = agenda.Unconfirmed
	}
	if c.Fingerprint != "" {
		v.CheckWords = render.Text(signedtext.CheckWordsOfKey(c.Fingerprint))
	}
	for _, s := range c.Signers {
		v.Signers = append(v.Signers, signerView{string(s.Role), s.Fingerprint, signedtext.CheckWordsOfKey(s.Fingerprint), s.Heard})
	}
	if f := rep.Facts; f.Algorithm != "" {
		v.Key = &keyView{
			Algorithm: f.Algorithm, Created: render.Instant(f.Created), Expires: render.Instant(f.Expires), AEAD: f.SEIPDv2,
			AES256: f.ListsAES256, Revoked: f.Revoked,
		}
		if s := f.Encryption; s != nil {
			v.Key.EncryptionAlgorithm, v.Key.EncryptionExpires = render.Text(s.Algorithm), render.Instant(s.Expires)
		}
	}
	for _, f := range rep.Findings {
		if f.Code != "" {
			v.Findings = append(v.Findings, findingView{f.Code, f.Refuse, render.Instant(f.Until)})
		}
	}
	return v
}

func (a *app) correspondentCommand() *cobra.Command {
	c := a.describe("correspondent", &cobra.Command{Use: "correspondent"})
	sub := func(id string, readOnly bool, run func(context.Context, *cobra.Command, *desk.Desk, string) error) *cobra.Command {
		return a.describe("correspondent "+id, &cobra.Command{Use: id, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
			return a.withDesk(c, readOnly || a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error { return run(ctx, c, d, args[0]) })
		}})
	}
	add, edit := sub("add", false, a.addCorrespondent), sub("edit", false, a.editCorrespondent)
	show, confirm := sub("show", true, a.showCorrespondent), sub("confirm", false, a.confirmCorrespondent)
	end := sub("end", false, a.endCorrespondent)
	for _, s := range []*cobra.Command{add, edit} {
		a.stringFlags(s, "correspondent", "unit", "address", "cert")
		s.Flags().String("bundle", "", a.cat.Text("flag.bundle"))
		s.Flags().StringArray("signer", nil, a.cat.Text("flag.correspondent.signer"))
	}
	for _, s := range []*cobra.Command{edit, end} {
		a.stringFlags(s, "correspondent", "reason")
	}
	for _, s := range []*cobra.Command{add, confirm} {
		a.stringFlags(s, "correspondent", "fingerprint", "by", "channel")
	}
	list := a.describe("correspondent list", &cobra.Command{Use: "list", RunE: func(c *cobra.Command, _ []string) error {
		return a.withDesk(c, true, a.listCorrespondents)
	}})
	c.AddCommand(add, edit, end, list, show, confirm, a.correspondentCheck(), a.correspondentGroup())
	return c
}

// signerFiles reads --signer ROLE=FILE.
func (a *app) signerFiles(c *cobra.Command) ([]desk.SignerFile, error) {
	values, _ := c.Flags().GetStringArray("signer")
	var list []desk.SignerFile
	for _, v := range values {
		word, file, ok := strings.Cut(v, "=")
		if !ok || file == "" {
			return nil, usageError("usage.flag_value", "flag", "--signer")
		}
		role, err := agenda.ParseRole(word)
		if err != nil {
			return nil, err
		}
		list = append(list, desk.SignerFile{Role: role, File: file})
	}
	if bundle := flag(c, "bundle"); bundle != "" {
		_, keys, err := desk.ReadBundle(bundle)
		if err != nil {
			return nil, err
		}
		list = append(list, desk.SignersOf(keys)...)
	}
	return list, nil
}

func (a *app) addCorrespondent(ctx context.Context, c *cobra.Command, d *desk.Desk, handle string) error {
	p := desk.CorrespondentParams{Handle: handle, Certificate: flag(c, "cert")}
	var err error
	if p.Signers, err = a.signerFiles(c); err != nil {
		return err
	}
	if p.Unit, err = a.need(c, "unit", "correspondent.ask.unit"); err != nil {
		return err
	}
	if p.Address, err = a.need(c, "address", "correspondent.ask.address"); err != nil {
		return err
	}
	seen, rep, err := d.PreviewCorrespondent(ctx, p)
	if err != nil {
		return err
	}
	fingerprint, by, channel := flag(c, "fingerprint"), "", ""
	if fingerprint != "" {
		// Whatever can go wrong with the confirmation is found before the addressee is entered.
		if err := desk.CheckFingerprint(seen, fingerprint); err != nil {
			return err
		}
		if by, err = a.need(c, "by", "correspondent.ask.by"); err != nil {
			return err
		}
		if channel, err = a.need(c, "channel", "correspondent.ask.channel"); err != nil {
			return err
		}
	}
	if a.flags.dryRun {
		a.say("correspondent.dry", "handle", handle)
		return a.result(correspondentOf(seen, rep), func(w io.Writer) { a.printCorrespondent(w, seen, rep) })
	}
	got, rep, err := d.AddCorrespondent(ctx, p)
	if err != nil {
		return err
	}
	if fingerprint != "" {
		if err := d.ConfirmCorrespondent(ctx, handle, fingerprint, by, channel); err != nil {
			return err
		}
		if got, err = d.Book.Correspondent(ctx, handle); err != nil {
			return err
		}
	}
	return a.result(correspondentOf(got, rep), func(w io.Writer) {
		fmt.Fprintln(w, a.cat.Text("correspondent.added", "handle", handle, "unit", p.Unit))
		a.printCorrespondent(w, got, rep)
		a.tellFindings(handle, d, rep)
		a.nextConfirm(got)
	})
}

// nextConfirm names the step that a new key, or a new signer, still lacks.
func (a *app) nextConfirm(c agenda.Correspondent) {
	switch {
	case c.Fingerprint != "" && c.State != agenda.Confirmed:
		a.say("correspondent.confirm_next", "handle", c.Handle)
	case slices.ContainsFunc(c.Signers, func(s agenda.Signer) bool { return !s.Heard }):
		a.say("correspondent.confirm_signers", "handle", c.Handle)
	}
}

// tellFindings warns of what speaks against a key, each with the command that mends it.
func (a *app) tellFindings(handle string, d *desk.Desk, rep desk.KeyReport) {
	for _, f := range rep.Findings {
		switch {
		case f.Code == "":
		case f.Code == crypto.CodeExpiresSoon:
			days := int(f.Until.Sub(d.Now()).Hours() / 24)
			a.warn("correspondent.finding.soon", "name", handle, "days", days, "date", a.cat.Date(f.Until))
		case f.Refuse:
			id := "correspondent.finding." + f.Code
			if !a.cat.Has(id) {
				id = "correspondent.finding.other"
			}
			a.warn(id, "name", handle, "detail", f.Code)
		default:
			id := "correspondent.finding." + f.Code
			if a.cat.Has(id) {
				a.warn(id, "name", handle, "detail", f.Code)
			}
		}
	}
}

// printCorrespondent writes what is known of an addressee and of the pinned key.
func (a *app) printCorrespondent(w io.Writer, c agenda.Correspondent, rep desk.KeyReport) {
	var t form
	row := func(id, value string) {
		if value != "" {
			t.add(a.cat.Text("correspondent.row."+id), value)
		}
	}
	row("unit", c.Unit)
	row("address", c.Address)
	if c.Ended {
		row("ended", a.cat.Text("correspondent.over"))
	}
	if c.Fingerprint == "" {
		row("key", a.cat.Text("correspondent.no_key"))
		a.addSigners(&t, c)
		t.write(w)
		return
	}
	f := rep.Facts
	row("key", a.keyLine(f.Algorithm, f))
	if s := f.Encryption; s != nil {
		row("subkey", s.Algorithm+", "+a.until(s.Expires))
	}
	row("format", a.cat.Text("correspondent.format", "aead", a.yesNo(f.SEIPDv2), "aes", a.yesNo(f.ListsAES256)))
	for i, line := range fingerprintLines(c.Fingerprint) {
		if i == 0 {
			row("fingerprint", line)
		} else {
			t.add("", line)
		}
	}
	row("words", signedtext.CheckWordsOfKey(c.Fingerprint))
	a.addSigners(&t, c)
	if c.State == agenda.Confirmed {
		row("state", a.cat.Text("correspondent.confirmed", "by", c.ConfirmedBy, "channel", c.ConfirmedVia, "date", a.cat.ShortDate(c.ConfirmedAt)))
	} else {
		row("state", a.cat.Text("correspondent.unconfirmed"))
	}
	t.write(w)
}

// addSigners adds who may sign there, with whole fingerprints: they are read out together with the key's.
func (a *app) addSigners(t *form, c agenda.Correspondent) {
	for _, s := range c.Signers {
		state := "correspondent.state.unconfirmed"
		if s.Heard {
			state = "correspondent.state.confirmed"
		}
		t.add(a.cat.Text("correspondent.row.signer"), a.cat.Role(string(s.Role))+", "+a.cat.Text(state))
		for _, line := range fingerprintLines(s.Fingerprint) {
			t.add("", line)
		}
	}
}

func (a *app) keyLine(algorithm string, f crypto.Facts) string {
	return a.cat.Text("correspondent.key", "algorithm", algorithm, "created", a.cat.ShortDate(f.Created), "until", a.until(f.Expires))
}

// until is how long a key is valid: "s.d. 02-12-2026".
func (a *app) until(t time.Time) string {
	if t.IsZero() {
		return a.cat.Text("correspondent.forever")
	}
	return a.cat.Text("correspondent.until", "date", a.cat.ShortDate(t))
}

func (a *app) yesNo(b bool) string {
	if b {
		return a.cat.Text("correspondent.yes")
	}
	return a.cat.Text("correspondent.no")
}

func (a *app) editCorrespondent(ctx context.Context, c *cobra.Command, d *desk.Desk, handle string) error {
	p := desk.CorrespondentParams{Handle: handle, Unit: flag(c, "unit"), Address: flag(c, "address"), Certificate: flag(c, "cert")}
	var err error
	if p.Signers, err = a.signerFiles(c); err != nil {
		return err
	}
	if p.Unit == "" && p.Address == "" && p.Certificate == "" && len(p.Signers) == 0 {
		return usageError("usage.nothing_to_change", "flag", "--address, --unit, --cert, --signer")
	}
	before, err := d.Book.Correspondent(ctx, handle)
	if err != nil {
		return err
	}
	reason, err := a.reason(c, "ask.reason")
	if err != nil {
		return err
	}
	if a.flags.dryRun {
		seen, rep, err := d.PreviewEdit(ctx, p)
		if err != nil {
			return err
		}
		a.say("correspondent.dry", "handle", handle)
		return a.result(correspondentOf(seen, rep), func(w io.Writer) { a.printCorrespondent(w, seen, rep) })
	}
	got, rep, err := d.EditCorrespondent(ctx, p, reason)
	if err != nil {
		return err
	}
	a.tellFindings(handle, d, rep)
	if rep.Facts.Algorithm == "" {
		if rep, err = d.KeyOf(ctx, got); err != nil {
			return err
		}
	}
	return a.result(correspondentOf(got, rep), func(io.Writer) {
		a.say("correspondent.edited", "handle", handle)
		if before.State == agenda.Confirmed && got.State != agenda.Confirmed {
			a.warn("correspondent.reset", "handle", handle)
			return
		}
		if p.Certificate != "" || len(p.Signers) > 0 {
			a.nextConfirm(got)
		}
	})
}

func (a *app) endCorrespondent(ctx context.Context, c *cobra.Command, d *desk.Desk, handle string) error {
	was, err := d.Book.Correspondent(ctx, handle)
	if err == nil {
		err = was.Active()
	}
	if err != nil {
		return err
	}
	reason, err := a.reason(c, "ask.reason")
	if err != nil {
		return err
	}
	yes := a.flags.dryRun
	if !yes {
		if yes, err = a.confirm(false, "correspondent.ask.end", "handle", handle, "unit", was.Unit); err != nil {
			return err
		}
	}
	if !yes {
		return a.declined("correspondent.not_ended")
	}
	if a.flags.dryRun {
		a.say("correspondent.dry_end", "handle", handle)
	} else if was, err = d.EndCorrespondent(ctx, handle, reason); err != nil {
		return err
	}
	rep, err := d.KeyOf(ctx, was)
	if err != nil {
		return err
	}
	return a.result(correspondentOf(was, rep), func(io.Writer) {
		if was.Ended {
			a.say("correspondent.ended", "handle", handle)
		}
	})
}

func (a *app) listCorrespondents(ctx context.Context, d *desk.Desk) error {
	list, err := d.Book.Correspondents(ctx)
	if err != nil {
		return err
	}
	v := struct {
		Schema         string              `json:"schema"`
		Correspondents []correspondentView `json:"correspondents"`
	}{"sandi.correspondents/1", []correspondentView{}}
	table := render.Table{Head: a.heads("correspondent.heads"), Fixed: []int{0}}
	for _, c := range list {
		if c.Ended {
			continue
		}
		rep, err := d.KeyOf(ctx, c)
		if err != nil {
			return err
		}
		v.Correspondents = append(v.Correspondents, correspondentOf(c, rep))
		key, until, state := "-", "-", a.cat.Text("correspondent.state.none")
		if c.Fingerprint != "" {
			key, until, state = rep.Facts.Algorithm, "-", a.cat.Text("correspondent.state."+c.State)
			if !rep.Facts.Expires.IsZero() {
				until = a.cat.ShortDate(rep.Facts.Expires)
			}
		}
		table.Add(c.Handle, c.Unit, c.Address, key, until, state)
	}
	return a.result(v, func(w io.Writer) { a.writeTable(w, &table, "correspondent.none") })
}

func (a *app) showCorrespondent(ctx context.Context, _ *cobra.Command, d *desk.Desk, handle string) error {
	c, err := d.Book.Correspondent(ctx, handle)
	if err != nil {
		return err
	}
	rep, err := d.KeyOf(ctx, c)
	if err != nil {
		return err
	}
	return a.result(correspondentOf(c, rep), func(w io.Writer) {
		fmt.Fprintln(w, a.cat.Text("correspondent.title", "handle", handle))
		a.printCorrespondent(w, c, rep)
		if c.Ended {
			return
		}
		a.tellFindings(handle, d, rep)
		a.nextConfirm(c)
	})
}

// hear asks for the groups of the key and of each signer that nobody has heard yet, as the addressee reads them; of all of them
// when all were heard. What is put off is left out.
func (a *app) hear(c agenda.Correspondent) (string, error) {
	type voice struct {
		owner, fingerprint string
		heard              bool
	}
	var all []voice
	if c.Fingerprint != "" {
		all = append(all, voice{a.cat.Text("correspondent.row.key"), c.Fingerprint, c.State == agenda.Confirmed})
	}
	for _, s := range c.Signers {
		if !slices.ContainsFunc(all, func(v voice) bool { return v.fingerprint == s.Fingerprint }) {
			all = append(all, voice{a.cat.Role(string(s.Role)), s.Fingerprint, s.Heard})
		}
	}
	if wanted := slices.DeleteFunc(slices.Clone(all), func(v voice) bool { return v.heard }); len(wanted) > 0 {
		all = wanted
	}
	if a.term.CanPrompt() {
		a.warn("correspondent.check")
	}
	var heard []string
	for _, v := range all {
		if a.term.CanPrompt() {
			if len(c.Signers) > 0 {
				a.warn("correspondent.owner", "owner", v.owner)
			}
			for _, line := range fingerprintLines(v.fingerprint) {
				a.warn("correspondent.groups", "groups", line)
			}
		}
		typed, err := a.ask("--fingerprint", "correspondent.ask.groups")
		if err != nil {
			return "", err
		}
		if typed == "" {
			continue
		}
		// The groups of another key on the list are not those of this one.
		if err := desk.CheckFingerprint(agenda.Correspondent{Handle: c.Handle, Fingerprint: v.fingerprint}, typed); err != nil {
			return "", err
		}
		heard = append(heard, typed)
	}
	return strings.Join(heard, ","), nil
}

// confirmCorrespondent is the comparison by telephone: the addressee reads, the clerk types what is heard.
func (a *app) confirmCorrespondent(ctx context.Context, cmd *cobra.Command, d *desk.Desk, handle string) error {
	c, err := d.Book.Correspondent(ctx, handle)
	if err != nil {
		return err
	}
	if c.Fingerprint == "" && len(c.Signers) == 0 {
		return desk.CheckFingerprint(c, "")
	}
	typed := flag(cmd, "fingerprint")
	if typed == "" {
		if typed, err = a.hear(c); err != nil {
			return err
		}
		if typed == "" {
			a.say("correspondent.later", "handle", handle)
			return nil
		}
	}
	if err := desk.CheckFingerprint(c, typed); err != nil {
		return err
	}
	by, err := a.need(cmd, "by", "correspondent.ask.by")
	if err != nil {
		return err
	}
	channel := flag(cmd, "channel")
	if channel == "" {
		if flag(cmd, "fingerprint") != "" {
			if channel, err = a.need(cmd, "channel", "correspondent.ask.channel"); err != nil {
				return err
			}
		} else {
			channel = "telepon" // what the question asked for
		}
	}
	if a.flags.dryRun {
		a.say("correspondent.dry_confirm", "handle", handle)
		rep, err := d.KeyOf(ctx, c)
		if err != nil {
			return err
		}
		return a.result(correspondentOf(c, rep), func(io.Writer) {})
	}
	if err := d.ConfirmCorrespondent(ctx, handle, typed, by, channel); err != nil {
		return err
	}
	if c, err = d.Book.Correspondent(ctx, handle); err != nil {
		return err
	}
	rep, err := d.KeyOf(ctx, c)
	if err != nil {
		return err
	}
	return a.result(correspondentOf(c, rep), func(io.Writer) {
		a.say("correspondent.match", "handle", handle, "time", a.cat.Clock(d.Now()))
		a.nextConfirm(c)
	})
}
