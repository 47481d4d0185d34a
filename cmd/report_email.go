package cmd

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
)

// mailReports sends the reports of result by e-mail: each becomes an entry of book laporan, and `send` delivers it. What an
// earlier run left on its way goes on; a reader without an address is told and does not stop the others.
func (a *app) mailReports(ctx context.Context, c *cobra.Command, d *desk.Desk, names []agenda.Name, f reportFlags) error {
	plan, err := d.MailReports(ctx, desk.MailParams{
		Names: names, To: f.to, Reason: a.cat.Text("report.email_replaced"), DryRun: a.flags.dryRun, Secrets: a.secrets(),
		Confirm: a.confirmMail,
	})
	if err == errDeclined {
		return a.declined("report.email_declined")
	}
	if err != nil {
		return err
	}
	if a.flags.dryRun {
		a.showMail(plan)
	}
	var statuses []int
	var leaving []agenda.Name
	for _, r := range plan.New {
		v := a.reportOf(r.Report, "")
		v.Mailed, v.Address = render.Text(r.Name.Long()), &r.Address
		if a.flags.dryRun {
			statuses = append(statuses, exitDone)
		} else {
			leaving, v.State = append(leaving, r.Name), render.Text(string(agenda.CopyReady))
		}
		if a.flags.json {
			if err := a.object(v); err != nil {
				return err
			}
		}
	}
	for _, b := range plan.Before {
		if b.Unsettled() {
			leaving = append(leaving, b.Entry.Name)
		} else {
			statuses = append(statuses, exitDone)
		}
		if err := a.tellMailed(b); err != nil {
			return err
		}
	}
	for _, r := range plan.Paper {
		statuses = append(statuses, a.fail(a.noAddress(r)))
	}
	if a.flags.dryRun {
		a.say("report.email_dry")
	}
	if a.flags.dryRun || len(leaving) == 0 {
		return a.told(batchStatus(statuses))
	}
	err = a.send(ctx, c, d, leaving, sendFlags{agreed: true, queue: true})
	return a.told(batchStatus(append(statuses, a.fail(err))))
}

// confirmMail shows which reports go where and asks when there is more than one, as for letters.
func (a *app) confirmMail(p desk.MailPlan) error {
	a.showMail(p)
	if len(p.New) < 2 {
		return nil
	}
	yes, err := a.confirm(false, "report.email_confirm", "n", len(p.New))
	if err == nil && !yes {
		err = errDeclined
	}
	return err
}

func (a *app) showMail(p desk.MailPlan) {
	if a.flags.json || a.flags.quiet || len(p.New) == 0 {
		return
	}
	table := render.Table{Fixed: []int{0, 2}}
	for _, r := range p.New {
		table.Add(r.Name.String(), cmp.Or(r.Applicant, a.cat.Role(desk.ToHead)), r.Address, ranges(r.Entries, a.thisYear()))
	}
	_, _ = table.WriteTo(a.talk)
}

// tellMailed tells of a report that is not made again.
func (a *app) tellMailed(b desk.MailedBefore) error {
	c := b.Entry.Copies[0]
	if !a.flags.json {
		word := a.cat.CopyState(string(c.State))
		if !c.SettledAt.IsZero() {
			word += ", " + a.cat.DateTime(c.SettledAt)
		}
		a.say("report.email_before", "entry", b.Entry.Name, "names", ranges(b.Entries, a.thisYear()), "state", word)
		return nil
	}
	v := a.reportOf(desk.Report{To: b.Entry.Mailed.Reader, Applicant: b.Entry.Letter.Applicant, Entries: b.Entries}, "")
	v.Mailed, v.Address, v.State, v.Before = render.Text(b.Entry.Name.Long()), &c.Address, render.Text(string(c.State)), true
	return a.object(v)
}

// noAddress is the refusal of a report whose reader has no address, or nobody knows which.
func (a *app) noAddress(r desk.Unmailable) error {
	args := []any{"entry", a.commas(r.Entries), "name", r.Applicant, "handle", r.Handle}
	switch {
	case r.To == desk.ToHead:
		return &detailed{desk.Refusal(desk.CodeNoHeadAddress), args}
	case r.Several:
		return &detailed{desk.Refusal(desk.CodeSameUnit), args}
	case r.Handle == "":
		args = append(args, "want", "unknown")
	}
	return &detailed{desk.Refusal(desk.CodeNoAddress), args}
}

type mailedView struct {
	Reader  string   `json:"reader"`
	Address string   `json:"address"`
	Entries []string `json:"entries"`
	SHA256  string   `json:"sha256"` // of the sheet
}

// showReport writes an entry of book laporan: whose report it is, what it tells of, what became of it.
func (a *app) showReport(ctx context.Context, d *desk.Desk, e agenda.Entry, x beside) error {
	of, err := d.Book.Brief(ctx, e.Mailed.Of)
	if err != nil {
		return err
	}
	var names []agenda.Name
	for _, x := range of {
		names = append(names, x.Name)
	}
	receipts, err := d.Book.Receipts(ctx, e.ID)
	if err != nil {
		return err
	}
	next := d.Next(e)
	if r, known := desk.Confirmation(receipts, agenda.CopyRef{Entry: e.ID, Copy: 1}); known && r.Failed() {
		// It came back; that comes before the filing, until another one stands for it.
		again, err := d.MailedAgain(ctx, *e.Mailed)
		if err != nil {
			return err
		}
		if !again {
			next = desk.NextMail
		}
	}
	changed, err := d.MailedElsewhere(ctx, e)
	if err != nil {
		return err
	}
	if changed {
		next = desk.NextMail
	}
	x.receipts = receipts
	v := a.viewOf(d, e, x, false)
	v.Next = render.Text(string(next))
	v.Mailed = &mailedView{e.Mailed.Reader, e.Copies[0].Address, []string{}, e.Mailed.Sheet.SHA256.String()}
	for _, n := range names {
		v.Mailed.Entries = append(v.Mailed.Entries, n.Long())
	}
	return a.result(v, func(w io.Writer) {
		a.printReport(w, e, names, receipts, next)
		a.printBeside(w, x, false)
	})
}

func (a *app) printReport(w io.Writer, e agenda.Entry, names []agenda.Name, receipts []agenda.Receipt, next desk.Next) {
	var t form
	row := func(id, value string) {
		if value != "" {
			t.add(a.cat.Text("agenda.row."+id), value)
		}
	}
	c := e.Copies[0]
	row("entry", e.Name.Long()+", "+a.cat.Book(string(e.Name.Book)))
	row("state", a.stateWords(e))
	row("reader", c.Handle)
	row("address", c.Address)
	row("tells_of", ranges(names, a.thisYear()))
	row("registered", a.cat.DateTime(e.RegisteredAt))
	if !e.SentAt.IsZero() {
		row("sent", a.cat.DateTime(e.SentAt))
	}
	if c.State != agenda.CopyAccepted {
		row("reply", a.ended(c.LastReply))
	}
	if r := e.Archived; r != nil {
		row("archived", joined(r.Box, r.Place))
	}
	if v := e.Voided; v != nil {
		row("voided", v.Reason+"; "+v.Authority)
	}
	t.write(w)
	for _, r := range receipts {
		fmt.Fprintln(w, " "+a.cat.Text("agenda.receipt", "copy", r.Ref.Copy, "what", a.receiptWords(r, r.At)))
	}
	switch next {
	case "":
	case desk.NextMail:
		a.say("report.email_mend."+e.Mailed.Reader, "names", a.commas(names))
	default:
		a.say("next."+string(next), "entry", a.entryName(e.Name))
	}
}

// showReports lists entries of book laporan.
func (a *app) showReports(d *desk.Desk, list []agenda.Entry) error {
	v := entryList{"sandi.list/1", make([]render.Entry, 0, len(list))}
	table := render.Table{Head: a.heads("report.email_heads"), Fixed: []int{0, 1}}
	for _, e := range list {
		v.Entries = append(v.Entries, render.EntryOf(e, d.Due(e).At(), false))
		c := e.Copies[0]
		table.Add(a.entryName(e.Name), a.cat.ShortDate(e.RegisteredAt), c.Handle, c.Address, fmt.Sprint(len(e.Mailed.Of)), a.stateWords(e))
	}
	return a.result(v, func(w io.Writer) { a.writeTable(w, &table, "agenda.none") })
}
