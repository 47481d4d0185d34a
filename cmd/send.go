package cmd

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
	"sandi/mail"
)

// sendFlags are the flags of send; at most one of them says what to do instead of sending.
type sendFlags struct {
	due, all, queue                         bool
	resolve, received, resend, cancel, back bool
	sent                                    bool
	to, at, manual, evidence                string
	copyNo                                  int

	wait, probe, unconfirmed bool
	batch                    string
	receipts                 []string
	days                     int
	agreed                   bool // to the plan, before
}

// other tells that the command is about no named entry.
func (f sendFlags) other() bool {
	return f.probe || f.unconfirmed || f.batch != "" || len(f.receipts) > 0
}

func (a *app) sendCommand() *cobra.Command {
	var f sendFlags
	c := a.describe("send", &cobra.Command{Use: "send", Args: cobra.ArbitraryArgs})
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := given(c, "manual", "batch", "evidence", "at", "to"); err != nil {
			return err
		}
		if slices.Contains(f.receipts, "") {
			return usageError("usage.flag_needs_value", "flag", "--receipts")
		}
		var names []agenda.Name
		if len(args) > 0 {
			var err error
			if names, err = a.allNames(args); err != nil {
				return err
			}
		}
		alone := f.resolve || f.received || f.resend || f.cancel || f.back || f.sent || f.manual != ""
		switch {
		case f.other() && (len(names) > 0 || alone || f.due || f.all):
			return usageError("usage.arguments")
		case f.other():
			return a.withDesk(c, a.flags.dryRun || f.unconfirmed, func(ctx context.Context, d *desk.Desk) error {
				return a.sendOther(ctx, c, d, f)
			})
		case alone && len(names) != 1:
			return usageError("usage.arguments")
		case !alone && len(names) == 0 && !f.due && !f.all:
			return usageError("usage.send_names")
		}
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			switch {
			case f.manual != "":
				return a.sendManual(ctx, d, names[0], f)
			case alone:
				return a.settle(ctx, c, d, names[0], f)
			}
			return a.send(ctx, c, d, names, f)
		})
	}
	p := c.Flags()
	bools := []struct {
		name string
		at   *bool
	}{
		{"due", &f.due},
		{"all", &f.all},
		{"queue", &f.queue},
		{"resolve", &f.resolve},
		{"as-received", &f.received},
		{"resend", &f.resend},
		{"cancel", &f.cancel},
		{"take-back", &f.back},
		{"sent", &f.sent},
		{"wait", &f.wait},
		{"probe", &f.probe},
		{"unconfirmed", &f.unconfirmed},
	}
	for _, b := range bools {
		p.BoolVar(b.at, b.name, false, a.cat.Text("send.flag."+b.name))
	}
	p.StringVar(&f.to, "to", "", a.cat.Text("send.flag.to"))
	p.StringVar(&f.at, "at", "", a.cat.Text("send.flag.at"))
	p.StringVar(&f.manual, "manual", "", a.cat.Text("send.flag.manual"))
	p.StringVar(&f.evidence, "evidence", "", a.cat.Text("send.flag.evidence"))
	p.IntVar(&f.copyNo, "copy", 0, a.cat.Text("send.flag.copy"))
	p.StringVar(&f.batch, "batch", "", a.cat.Text("send.flag.batch"))
	p.StringArrayVar(&f.receipts, "receipts", nil, a.cat.Text("send.flag.receipts"))
	p.IntVar(&f.days, "days", 0, a.cat.Text("send.flag.days"))
	c.MarkFlagsMutuallyExclusive("batch", "receipts", "probe", "unconfirmed")
	c.MarkFlagsMutuallyExclusive("due", "all", "cancel", "take-back", "sent", "manual", "as-received", "resend")
	return c
}

func (a *app) send(ctx context.Context, c *cobra.Command, d *desk.Desk, names []agenda.Name, f sendFlags) error {
	mended := map[agenda.Name]bool{}
	if len(names) > 0 && !a.flags.dryRun && !f.due {
		refs, err := d.ReaddressChanged(ctx, names, cmp.Or(flag(c, "reason"), a.cat.Text("send.address_mended")), a.secrets())
		if err != nil {
			return err
		}
		for _, n := range refs {
			mended[n] = true
		}
	}
	width, downTold := 0, false
	bar := a.term.Progress("", 0)
	// Of a queue the lines stand together at the end; --json has every copy as soon as its fate is on disk.
	together := (f.due || f.all) && !a.flags.json
	var untold []desk.Delivery
	numbered := map[agenda.Name]bool{} // by this run: their lines tell the number
	tellQueue := func() {
		bar.Done()
		a.tellTogether(untold, width, mended, numbered)
		untold = nil
	}
	p := desk.SendParams{
		Names: names, Due: f.due, All: f.all, Queue: f.queue, DryRun: a.flags.dryRun, Secrets: a.secrets(), Attended: a.term.CanPrompt(),
		Confirm: func(p desk.Plan) error {
			width = unitWidth(p)
			for _, x := range p.Release {
				numbered[x.Entry.Name] = x.Entry.Name.Book == agenda.Kriptogram
			}
			if together || !a.term.OutIsTerminal() { // there the lines themselves show how far it is
				bar = a.term.Pieces(a.cat.Text("send.progress"), a.cat.Text("send.progress_unit"), int64(p.Copies))
			}
			if f.agreed {
				return nil
			}
			return a.confirmPlan(p)
		},
		Report: func(x desk.Delivery) {
			if together {
				width = max(width, render.Columns(render.Safe(x.Unit))) // what was put off is in no plan
				untold = append(untold, x)
			} else {
				a.tellDelivery(x, width, again(mended, x))
			}
			bar.Add(1)
		},
		Awaits: func(n int) {
			if !a.flags.json {
				a.warn("send.awaits", "n", n)
			}
		},
		Answers: func(o desk.Outage) {
			a.tellOutage(o)
		},
	}
	if a.term.CanPrompt() && !a.flags.yes {
		p.AskQueue = func(why error) bool {
			a.tellDown(d, why)
			downTold = true
			yes, err := a.confirm(false, "send.ask_queue")
			return yes && err == nil
		}
	}
	send := d.Send
	if f.wait && !a.flags.dryRun {
		send = func(ctx context.Context, p desk.SendParams) (desk.SendResult, error) {
			return d.SendWaiting(ctx, p, func(p desk.Pause) {
				tellQueue()
				id := "send.waiting"
				if p.Due < p.Copies {
					id = "send.waiting_some"
				}
				a.say(id, "n", p.Copies, "due", p.Due, "time", a.cat.Clock(p.Until))
			})
		}
	}
	began := time.Now()
	res, err := send(ctx, p)
	tellQueue()
	a.tellFound(ctx, d, res.Found)
	if err == errDeclined {
		return a.declined("send.declined")
	}
	if err != nil && len(res.Deliveries)+len(res.Released)+len(res.Waiting) == 0 {
		return err
	}
	if a.flags.dryRun {
		a.showPlan(res.Plan)
		a.tellSkipped(res.Skipped)
		a.say("send.dry_run")
		return a.sendSummary(d, res, 0)
	}
	all := sendStatuses(res, names)
	if err != nil {
		// What waits does so because of the error: that is the one cause.
		untold := res
		untold.Waiting = nil
		all = append(sendStatuses(untold, names), a.fail(err))
	}
	n := batchStatus(all)
	if a.flags.json {
		a.tellOverdue(d, res)
		if err := a.tellLate(ctx, d, res.Entries); err != nil {
			return err
		}
		if err := a.sendSummary(d, res, n); err != nil {
			return err
		}
		return a.told(n)
	}
	if res.Down != nil && !downTold && (len(res.Deliveries) == 0 && alone(res) == (agenda.Name{}) || !unreachable(res.Down)) {
		a.tellDown(d, res.Down)
	}
	a.tellSent(res)
	a.tellOverdue(d, res)
	if err := a.tellLate(ctx, d, res.Entries); err != nil {
		return err // what was sent is told; only the question was not answered
	}
	if sent := len(res.Deliveries); sent >= manyCopies {
		took := time.Since(began).Seconds()
		a.say("send.rate", "n", sent, "seconds", fmt.Sprintf("%.1f", took), "rate", int(float64(sent)/took))
	}
	return a.told(n)
}

// tellFound warns of a desk that is not the one that sent last, and of every copy that is in doubt since the command began. It
// returns the exit status for those that still are.
func (a *app) tellFound(ctx context.Context, d *desk.Desk, f desk.Found) int {
	dry := ""
	if a.flags.dryRun {
		dry = "_dry"
	}
	if f.Copied {
		a.warn("send.copied" + dry)
	}
	if f.Older {
		a.warn("send.older" + dry)
	}
	n := exitDone
	for _, ref := range f.Doubted {
		e, err := d.Book.EntryByID(ctx, ref.Entry)
		if err != nil {
			continue
		}
		for _, x := range e.Copies {
			if x.Copy == ref.Copy && x.State == agenda.CopyDoubt {
				n = exitDoubt
				a.warnDoubt(e.Name, x.Copy, len(e.Copies), x.Attempts, x.DoubtAt)
			}
		}
	}
	return n
}

// tellOverdue warns of the oldest doubt that was left alone for too long.
func (a *app) tellOverdue(d *desk.Desk, res desk.SendResult) {
	since := time.Time{}
	for _, x := range res.Skipped {
		if x.State == agenda.CopyDoubt && d.DoubtOverdue(x.At) && (since.IsZero() || x.At.Before(since)) {
			since = x.At
		}
	}
	if !since.IsZero() {
		a.warn("glance.doubt_overdue", "since", a.cat.ShortDate(since)+" "+a.cat.Clock(since))
	}
}

// tellOutage says from when until when the gateway was away, in whole minutes as the clock shows them.
func (a *app) tellOutage(o desk.Outage) {
	from, until := o.From.Truncate(time.Minute), o.Until.Truncate(time.Minute)
	began := a.clockOnly(from)
	if !midnight(from).Equal(midnight(until)) {
		began = a.cat.ShortDate(from) + " " + began
	}
	a.say("send.answers", "from", began, "until", a.cat.Clock(until), "span", a.span(until.Sub(from)))
}

// manyCopies are so many that their rate is told.
const manyCopies = 20

// tellDown says in one line why the gateway cannot be used. What was not sent and what to type next come with the summary.
func (a *app) tellDown(d *desk.Desk, why error) {
	if unreachable(why) {
		a.warn("send.down", "address", d.Config.Gateway.Address)
		return
	}
	_, text := a.explain(why)
	line, _, _ := strings.Cut(text, "\n")
	for _, part := range wrapped(line, 78) {
		a.warnLine(part)
	}
}

// unreachable tells a gateway that is not there from one that does not want us.
func unreachable(why error) bool {
	return slices.Contains([]string{"mail.connect", "mail.timeout"}, codeOf(why))
}

// alone is the one entry that the gateway was not there for, when nothing else was to be sent and no number depends on it.
func alone(res desk.SendResult) agenda.Name {
	names := entriesOf(res.Waiting, "")
	if len(names) != 1 || len(res.Deliveries)+len(res.Skipped) > 0 || !unreachable(res.Down) {
		return agenda.Name{}
	}
	if names[0].Book == agenda.Kriptogram && res.Waiting[0].Number == "" {
		return agenda.Name{}
	}
	return names[0]
}

// warnDoubt says that a copy may or may not be with the server, and that it is left alone.
func (a *app) warnDoubt(n agenda.Name, copyNo, of, attempt int, at time.Time) {
	name := a.entryName(n)
	if of > 1 {
		name += " " + a.cat.Text("send.copy", "copy", copyNo, "of", of)
	}
	a.warn("send.doubted", "entry", name, "n", attempt, "time", a.cat.Seconds(at))
}

// tellOne closes the sending of a single copy that did not leave: the words take the place of the counts.
func (a *app) tellOne(x desk.Delivery) {
	code, rest, _ := strings.Cut(x.Reply, " ")
	switch x.State {
	case agenda.CopyDoubt:
		a.warnDoubt(x.Entry, x.Copy, x.Of, x.Attempt, x.At)
	case agenda.CopyRejected:
		id := "send.refused_one"
		if strings.HasPrefix(rest, "5.1.") {
			id = "send.rejected_one"
		}
		a.warn(id, "name", x.Handle, "code", cmp.Or(code, x.Code), "entry", a.entryName(x.Entry))
	}
}

// errDeclined stops a sending that the clerk did not want.
var errDeclined = usageError("send.declined")

// confirmPlan shows what will leave with the numbers that will be given, and asks: always for kriptograms, for letters when there
// is more than one, never for what only goes on.
func (a *app) confirmPlan(p desk.Plan) error {
	a.showPlan(p)
	kriptograms := 0
	for _, x := range p.Release {
		if x.Entry.Name.Book == agenda.Kriptogram {
			kriptograms++
		}
	}
	entries := len(p.Release) + len(p.Ready)
	id := "send.confirm"
	switch {
	case kriptograms > 0:
		id = "send.confirm_number"
	case entries < 2, len(p.Release) == 0: // what was released before was confirmed then
		return nil
	}
	yes, err := a.confirm(false, id, "entries", entries, "n", p.Copies)
	if err == nil && !yes {
		err = errDeclined
	}
	return err
}

func (a *app) showPlan(p desk.Plan) {
	if a.flags.json || a.flags.quiet || p.Copies == 0 {
		return
	}
	table := render.Table{Fixed: []int{0, 1, 3, 4}, Align: []render.Align{render.Left, render.Left, render.Left, render.Right, render.Right}}
	var numbers []string
	lists := [][]desk.Planned{p.Release}
	if a.flags.dryRun { // else what was released before was shown then
		lists = append(lists, p.Ready)
	}
	for _, list := range lists {
		for _, x := range list {
			e := x.Entry
			number, pages, octets, size := e.Letter.Number, "", "", int64(0)
			if e.Name.Book == agenda.Kriptogram {
				number = x.Number
				if e.Drafted != nil {
					size = e.Drafted.Kriptogram.Size
				}
			}
			for _, s := range e.Attachments {
				size += s.Object.Size
			}
			if e.Mailed != nil {
				size = e.Copies[0].Size
			}
			switch {
			case len(e.Attachments) > 0:
				pages = a.pagesOf(e)
			case e.Letter.Pages > 0:
				pages = a.cat.Text("send.pages", "n", e.Letter.Pages)
			}
			if size > 0 {
				octets = a.cat.Size(size)
			}
			table.Add(a.entryName(e.Name), number, strings.Join(x.Units, "; "), pages, octets)
		}
	}
	for _, x := range p.Release {
		if x.Entry.Name.Book == agenda.Kriptogram {
			numbers = append(numbers, a.entryName(x.Entry.Name)+" "+x.Number)
		}
	}
	_, _ = table.WriteTo(a.talk)
	if len(numbers) > 0 {
		for _, line := range wrapped(a.cat.Text("send.numbers", "numbers", strings.Join(numbers, ", ")), 78) {
			fmt.Fprintln(a.talk, line)
		}
	}
}

// shortened cuts a text to a number of characters, ending in "..".
func shortened(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-2]) + ".."
	}
	return s
}

// unitWidth is the column of the widest unit of a plan, so that the fates stand below each other.
func unitWidth(p desk.Plan) int {
	width := 0
	for _, list := range [][]desk.Planned{p.Ready, p.Release} {
		for _, x := range list {
			for _, u := range x.Units {
				width = max(width, render.Columns(render.Safe(u)))
			}
		}
	}
	return width
}

// tellDelivery tells the fate of one copy as soon as it is on disk.
func (a *app) tellDelivery(x desk.Delivery, width int, again bool) {
	if a.flags.json {
		// The reader of a pipe that is gone does not stop the sending.
		_ = render.WriteJSON(a.term.Out(), a.deliveryOf(x))
		return
	}
	name := fmt.Sprintf("%-4s", a.entryName(x.Entry))
	if x.Number != "" {
		name += "  " + x.Number
		if x.Of > 1 {
			name += "  " + a.cat.Text("send.copy", "copy", x.Copy, "of", x.Of)
		}
	}
	fate := a.fateOf(x, again)
	unit := render.Safe(cmp.Or(x.Unit, x.Handle))
	room := min(width, render.Width-render.Columns(name)-render.Columns(fate)-5)
	unit = shortened(unit, max(room, 16))
	fmt.Fprintf(a.out, " %s  %s%s  %s\n", name, unit, strings.Repeat(" ", max(0, room-render.Columns(unit))), fate)
}

func (a *app) fate(x desk.Delivery) string {
	switch x.State {
	case agenda.CopyAccepted:
		return a.cat.Text("send.accepted", "time", a.cat.Clock(x.At))
	case agenda.CopyRejected:
		return a.cat.Text("send.rejected", "reply", a.refusal(x))
	case agenda.CopyDoubt:
		if strings.HasPrefix(x.Code, "agenda.") {
			return a.cat.Text("send.unrecorded", "time", a.cat.Seconds(x.At))
		}
		return a.cat.Text("send.doubt", "why", a.ended(cmp.Or(x.Code, mail.CodeConnect)), "time", a.cat.Clock(x.At))
	case agenda.CopyDeferred:
		return a.cat.Text("send.deferred", "time", a.cat.Clock(x.NextAt), "reply", a.ended(cmp.Or(x.Reply, x.Code)))
	}
	return a.cat.CopyState(string(x.State))
}

// aboutAddress tells whether a refusal may be one of the address. A status code (RFC 3463) of another subject says that it is not.
func aboutAddress(reply string) bool {
	_, rest, _ := strings.Cut(reply, " ")
	status, _, _ := strings.Cut(rest, " ")
	parts := strings.Split(status, ".")
	return len(parts) != 3 || parts[0] != "5" || parts[1] == "0" || parts[1] == "1"
}

// refusal says why a server did not take a copy: in our words where its enhanced status code (RFC 3463) has a meaning that the
// clerk can act on, else in its own. The book keeps the reply itself.
func (a *app) refusal(x desk.Delivery) string {
	code, rest, _ := strings.Cut(x.Reply, " ")
	status, _, _ := strings.Cut(rest, " ")
	if parts := strings.Split(status, "."); len(parts) == 3 && parts[0] == "5" {
		for _, id := range []string{"send.refused." + status, "send.refused." + parts[0] + "." + parts[1]} {
			if a.cat.Has(id) {
				return a.cat.Text(id, "code", code)
			}
		}
	}
	return a.ended(cmp.Or(x.Reply, x.Code))
}

// ended is what ended an attempt: the reply of the server, or words for the code that stands where none could be read. The book
// keeps the code in that place too.
func (a *app) ended(reply string) string {
	if id := "send.why." + reply; a.cat.Has(id) {
		return a.cat.Text(id)
	}
	return reply
}

// sendStatuses is an exit status for every copy that the command was about: what --due and --all leave alone for a person was
// not asked for.
func sendStatuses(res desk.SendResult, named []agenda.Name) []int {
	var all []int
	down := exitDeferred
	if res.Down != nil {
		down = exitStatus(res.Down)
	}
	for range res.Doubted {
		all = append(all, exitDoubt)
	}
	for _, x := range res.Deliveries {
		all = append(all, copyStatus(x.State))
	}
	for range res.Waiting {
		all = append(all, down)
	}
	for _, x := range res.Skipped {
		if slices.Contains(named, x.Entry) {
			all = append(all, skippedStatus(x))
		}
	}
	return all
}

// skippedStatus is that of a copy, or why its entry was not there any more.
func skippedStatus(x desk.Delivery) int {
	if x.Code == desk.CodeState || changed(x) {
		return codeStatus(x.Code)
	}
	return copyStatus(x.State)
}

// changed tells that another process changed an entry before it was released.
func changed(x desk.Delivery) bool { return x.State == "" && x.Code == agenda.ErrChanged.Code() }

func copyStatus(s agenda.CopyState) int {
	switch s {
	case agenda.CopyRejected:
		return exitRefused
	case agenda.CopyDoubt:
		return exitDoubt
	case agenda.CopyReady, agenda.CopyDeferred, agenda.CopyHanded:
		return exitDeferred
	}
	return exitDone
}

// tellSent closes a sending: what became of what, the line for the back of the originals, and what to type next.
func (a *app) tellSent(res desk.SendResult) {
	names := entriesOf(res.Waiting, "")
	switch only := alone(res); {
	case only != agenda.Name{}:
		a.warn("send.away", "entry", a.entryName(only))
	case len(names) > 0:
		id := "send.untried"
		for _, x := range res.Waiting {
			if x.Entry.Book == agenda.Kriptogram && x.Number == "" {
				id = "send.untried_number"
			}
		}
		text := a.cat.Text(id, "names", a.untried(res.Waiting))
		if len(res.Deliveries) > 0 && unreachable(res.Down) {
			text = a.cat.Text("send.down_rest") + " " + text
		}
		for _, line := range wrapped(text, maxColumns) {
			a.warnLine(line)
		}
	}
	a.tellSkipped(res.Skipped)
	type numbered struct {
		entry    agenda.Entry
		accepted int
		settled  time.Time
	}
	var kriptograms []numbered
	for _, e := range res.Entries {
		accepted, settled := 0, time.Time{}
		for _, c := range e.Copies {
			if c.State == agenda.CopyAccepted || c.State == agenda.CopyEvidenced {
				accepted++
				settled = c.SettledAt
			}
		}
		if e.Name.Book == agenda.Surat {
			continue
		}
		if e.Number != "" && accepted > 0 {
			kriptograms = append(kriptograms, numbered{e, accepted, settled})
		}
	}
	switch len(kriptograms) {
	case 0:
	case 1:
		k := kriptograms[0]
		a.print("send.number_given", "entry", k.entry.Name, "number", k.entry.Number, "done", k.accepted, "n", len(k.entry.Copies),
			"time", a.cat.Clock(k.settled))
		a.print("send.not_confirmed")
	default:
		done, all := 0, 0
		for _, k := range kriptograms {
			done, all = done+k.accepted, all+len(k.entry.Copies)
		}
		a.print("send.numbered_many", "entries", len(kriptograms), "done", done, "n", all)
		a.print("send.not_confirmed")
	}
	counts := map[agenda.CopyState]int{}
	for _, list := range [][]desk.Delivery{res.Deliveries, res.Skipped} {
		for _, x := range list {
			counts[x.State]++
		}
	}
	if len(res.Deliveries)+len(res.Waiting)+len(res.Skipped) == 0 {
		a.warn("send.nothing")
		return
	}
	if one := len(res.Deliveries) == 1 && len(res.Waiting)+len(res.Skipped) == 0 || alone(res) != (agenda.Name{}); !one {
		a.say("send.summary", "sent", counts[agenda.CopyAccepted], "bad", counts[agenda.CopyRejected],
			"doubt", counts[agenda.CopyDoubt], "rest", len(res.Waiting)+counts[agenda.CopyDeferred])
	} else if len(res.Deliveries) == 1 {
		a.tellOne(res.Deliveries[0])
	}
	a.tellBack(res.Entries)
	a.tellNext(res)
}

// untried names what waits: entries, and single copies of those of which others were tried.
func (a *app) untried(list []desk.Delivery) string {
	copies := map[agenda.Name][]string{}
	for _, x := range list {
		copies[x.Entry] = append(copies[x.Entry], strconv.Itoa(x.Copy))
	}
	var whole []agenda.Name
	var parts []string
	for _, x := range list {
		some, ok := copies[x.Entry]
		delete(copies, x.Entry)
		switch {
		case !ok:
		case len(some) < x.Of:
			slices.Sort(some)
			parts = append(parts, a.cat.Text("send.part", "entry", a.entryName(x.Entry), "copies", strings.Join(some, ", ")))
		default:
			whole = append(whole, x.Entry)
		}
	}
	if len(whole) > 0 {
		parts = append(parts, ranges(whole, a.thisYear()))
	}
	return strings.Join(parts, ", ")
}

// tellSkipped names what was left alone, and why.
func (a *app) tellSkipped(list []desk.Delivery) {
	if len(list) == 0 {
		return
	}
	// An entry that was not released, or is void, is left alone with all its copies.
	whole := func(x desk.Delivery) bool { return x.Of == 1 || x.State == "" || x.Code == desk.CodeState }
	list = slices.CompactFunc(slices.Clone(list), func(x, y desk.Delivery) bool { return x.Entry == y.Entry && whole(x) })
	var words []string
	for len(list) > 0 {
		x, n := list[0], 1
		names := []agenda.Name{x.Entry}
		for whole(x) && n < len(list) && whole(list[n]) && a.skippedWhy(list[n]) == a.skippedWhy(x) && follows(list[n-1].Entry, list[n].Entry) {
			names, n = append(names, list[n].Entry), n+1
		}
		id := "send.skipped_one"
		if !whole(x) {
			id = "send.skipped_copy"
		}
		words = append(words, a.cat.Text(id, "entry", ranges(names, a.thisYear()), "copy", x.Copy, "state", a.skippedWhy(x)))
		list = list[n:]
	}
	for _, line := range wrapped(a.cat.Text("send.skipped", "names", strings.Join(words, ", ")), 78) {
		a.warnLine(line)
	}
}

// tellBack gives the times to be written on the back of the ordinary letters that are sent.
func (a *app) tellBack(entries []agenda.Entry) {
	var letters []string
	for _, e := range entries {
		if e.Name.Book == agenda.Surat && e.State == agenda.StateSent {
			letters = append(letters, a.entryName(e.Name)+" "+a.clockOnly(e.SentAt))
		}
	}
	if len(letters) > 0 {
		for _, line := range wrapped(a.cat.Text("send.back", "names", strings.Join(letters, ", ")), 78) {
			fmt.Fprintln(a.out, line)
		}
	}
}

// tellNext gives the command for everything that did not leave.
func (a *app) tellNext(res desk.SendResult) {
	told := map[string]bool{}
	tell := func(text string) {
		if !told[text] {
			told[text] = true
			a.warnLine(text)
		}
	}
	next := func(id string, args ...any) { tell(a.cat.Text(id, args...)) }
	waiting := len(res.Waiting) > 0
	for _, list := range [][]desk.Delivery{res.Skipped, res.Deliveries} {
		for _, x := range list {
			if command := a.unsettledCommand(x); command != "" {
				tell("  " + command)
			}
			waiting = waiting || x.State == agenda.CopyDeferred
		}
	}
	if waiting {
		queued := true
		for _, x := range res.Waiting {
			queued = queued && x.State != ""
		}
		if queued {
			next("send.next_due")
		} else {
			next("send.next_again", "names", a.commas(entriesOf(res.Waiting, "")))
		}
	}
	sent := false
	var done []agenda.Name
	for _, e := range res.Entries {
		if e.State == agenda.StateSent {
			sent = true
			done = append(done, e.Name)
		}
	}
	if sent {
		a.say("send.next_archive", "names", a.commas(done))
	}
}

// skippedWhy says why a copy was left alone.
func (a *app) skippedWhy(x desk.Delivery) string {
	switch {
	case changed(x):
		return a.cat.Text("send.changed")
	case x.State == "": // not released
		return a.cat.Text("send.held")
	case x.Code == desk.CodeState:
		return a.cat.State(string(agenda.StateVoid))
	case x.Code == desk.CodeAddressChanged, x.Code == desk.CodeAddresseeChanged:
		return a.cat.Text("send.held."+x.Code, "name", x.Handle)
	}
	return a.cat.CopyState(string(x.State))
}

// unsettledCommand brings a copy on that only a person can settle; "" for any other.
func (a *app) unsettledCommand(x desk.Delivery) string {
	if x.State == "" { // named alone, it is refused with what is wrong and how to mend it
		return a.cat.Text("next.command.send", "entry", a.entryName(x.Entry))
	}
	switch x.Code {
	case desk.CodeAddressChanged:
		if x.Entry.Book == agenda.Laporan { // it is made anew by `report`; of which letters, the entry says
			return a.cat.Text("next.command.mail", "entry", a.entryName(x.Entry))
		}
		return a.cat.Text("next.command.send", "entry", a.entryName(x.Entry))
	case desk.CodeAddresseeChanged:
		return a.cat.Text("next.command.cancel", "entry", a.entryName(x.Entry), "handle", x.Handle)
	case desk.CodeState:
		return a.cat.Text("next.command.show", "entry", a.entryName(x.Entry))
	}
	if x.State == agenda.CopyRejected && x.Entry.Book != agenda.Laporan && !aboutAddress(x.Reply) {
		return a.cat.Text("next.command.resend", "entry", a.entryName(x.Entry), "copy", x.Copy)
	}
	next, ok := map[agenda.CopyState]desk.Next{
		agenda.CopyDoubt: desk.NextResolve, agenda.CopyRejected: desk.NextReaddress, agenda.CopyHanded: desk.NextSent,
	}[x.State]
	switch {
	case !ok && x.Code == agenda.ErrChanged.Code():
		return a.cat.Text("next.command.show", "entry", a.entryName(x.Entry))
	case !ok:
		return ""
	}
	if next == desk.NextReaddress && x.Entry.Book == agenda.Laporan {
		next = desk.NextMail
	}
	return a.cat.Text("next.command."+string(next), "entry", a.entryName(x.Entry), "handle", x.Handle)
}

func (a *app) warnLine(line string) { fmt.Fprintln(a.talk, line) }

// clockOnly is the time as it is written by hand: 10.07.
func (a *app) clockOnly(t time.Time) string { return strings.TrimSuffix(a.cat.Clock(t), " WIB") }

// entriesOf are the entries of the deliveries in one state, each once; "" takes all.
func entriesOf(list []desk.Delivery, state agenda.CopyState) []agenda.Name {
	var names []agenda.Name
	seen := map[agenda.Name]bool{}
	for _, x := range list {
		if (state == "" || x.State == state) && !seen[x.Entry] {
			seen[x.Entry] = true
			names = append(names, x.Entry)
		}
	}
	return names
}

// settle closes a copy by hand: what was found out about a doubt, a message sent by webmail, a copy that is not to be sent.
func (a *app) settle(ctx context.Context, c *cobra.Command, d *desk.Desk, n agenda.Name, f sendFlags) error {
	e, err := d.Book.Entry(ctx, n)
	if err != nil {
		return err
	}
	p := desk.SettleParams{Name: n, Copy: f.copyNo, Reason: flag(c, "reason"), Evidence: f.evidence, Refused: f.resend, Secrets: a.secrets()}
	if f.to != "" {
		if p.Copy, err = copyTo(e, f.to); err != nil {
			return err
		}
	}
	if p.At, err = parseMoment("at", f.at, d.Now()); err != nil {
		return err
	}
	if err := future(p.At, d.Now(), "at"); err != nil {
		return err
	}
	found := "" // the answer to what is known of a copy in doubt
	switch {
	case f.received, f.sent:
		p.To = agenda.CopyEvidenced
		if f.sent && p.Reason == "" {
			p.Reason = a.cat.Text("send.by_webmail")
		}
	case f.resend, f.back:
		p.To = agenda.CopyReady
	case f.cancel:
		p.To = agenda.CopyCancelled
	default:
		var stop bool
		if found, stop, err = a.askResolution(ctx, d, e, &p); err != nil || stop {
			return err
		}
	}
	if p.To == agenda.CopyEvidenced && p.At.IsZero() {
		if f.sent {
			return usageError("usage.flag_required", "flag", "--at")
		}
		p.At = attemptTime(e, p.Copy)
	}
	if p.Reason == "" {
		if p.Reason, err = a.need(c, "reason", "send.ask_how"); err != nil {
			return err
		}
	}
	if a.flags.dryRun {
		a.say("send.settle_dry", "entry", n, "state", a.cat.CopyState(string(p.To)))
		return a.wouldDo("sandi.settled/1", n)
	}
	var begin desk.Found
	p.Found = func(f desk.Found) { begin = f }
	e, err = d.Settle(ctx, p)
	left := a.tellFound(ctx, d, begin)
	if err != nil {
		return err
	}
	err = a.result(render.EntryOf(e, d.Due(e).At(), n.Book == agenda.Kriptogram), func(w io.Writer) {
		switch p.To {
		case agenda.CopyEvidenced:
			of := ""
			if found != "" {
				of = a.cat.Text("send.evidenced." + found)
			}
			id := "send.evidenced"
			if p.Evidence != "" {
				id = "send.evidenced_file"
			}
			fmt.Fprintln(w, a.cat.Text(id, "entry", n, "time", a.cat.Clock(p.At), "of", of))
			a.tellBack([]agenda.Entry{e})
		case agenda.CopyReady:
			fmt.Fprintln(w, a.cat.Text("send.ready_again", "entry", n))
		case agenda.CopyCancelled:
			whose := e.Copies[max(0, p.Copy-1)]
			fmt.Fprintln(w, a.cat.Text("send.cancelled", "entry", n, "name", whose.Handle))
		}
	})
	return cmp.Or(err, a.told(left))
}

// copyTo finds the copy of a correspondent.
func copyTo(e agenda.Entry, handle string) (int, error) {
	for _, c := range e.Copies {
		if strings.EqualFold(c.Handle, handle) {
			return c.Copy, nil
		}
	}
	return 0, usageError("usage.no_copy", "entry", e.Name, "value", handle)
}

// attemptTime is when the copy that is in doubt was last tried.
func attemptTime(e agenda.Entry, copyNo int) time.Time {
	for _, c := range e.Copies {
		if c.State == agenda.CopyDoubt && (copyNo == 0 || copyNo == c.Copy) {
			return c.DoubtAt
		}
	}
	return time.Time{}
}

// askResolution asks on a terminal what is known of a copy in doubt.
func (a *app) askResolution(ctx context.Context, d *desk.Desk, e agenda.Entry, p *desk.SettleParams) (found string, stop bool, err error) {
	if !a.term.CanPrompt() {
		return "", true, usageError("usage.resolve", "entry", e.Name)
	}
	var doubt *agenda.Copy
	for i, c := range e.Copies {
		if c.State == agenda.CopyDoubt && (p.Copy == 0 || p.Copy == c.Copy) {
			doubt = &e.Copies[i]
			break
		}
	}
	if doubt == nil {
		return "", true, &detailed{desk.Refusal(desk.CodeNotInDoubt), []any{"entry", e.Name}}
	}
	p.Copy = doubt.Copy
	fmt.Fprintln(a.talk, a.cat.Text("send.resolve", "entry", e.Name, "name", unitOf(ctx, d, *doubt), "n", doubt.Attempts, "time", a.cat.Seconds(doubt.DoubtAt)))
	answer, err := a.ask("--as-received", "send.ask_resolve")
	if err != nil {
		return "", true, err
	}
	switch answer {
	case "1", "2":
		p.To, p.At = agenda.CopyEvidenced, doubt.DoubtAt
		found = answer
	case "3":
		p.To = agenda.CopyReady
	default:
		a.warn("send.unresolved", "entry", e.Name)
		return "", true, a.told(exitDoubt)
	}
	p.Reason, err = a.ask("--reason", "send.ask_how")
	if p.Reason != "" {
		p.Reason = a.cat.Text("send.found."+answer) + ": " + p.Reason
	}
	return found, false, err
}

// unitOf is the unit of an addressee, or its name in the book when it is no correspondent.
func unitOf(ctx context.Context, d *desk.Desk, c agenda.Copy) string {
	if c.Correspondent != 0 {
		if corr, err := d.Book.Addressee(ctx, c); err == nil {
			return corr.Unit
		}
	}
	return c.Handle
}

func (a *app) sendManual(ctx context.Context, d *desk.Desk, n agenda.Name, f sendFlags) error {
	if a.flags.dryRun {
		a.say("send.manual_dry", "entry", n, "path", f.manual)
		return a.wouldDo("sandi.manual/1", n)
	}
	var begin desk.Found
	e, folders, err := d.Manual(ctx, desk.ManualParams{
		Name: n, Dir: f.manual, Secrets: a.secrets(), Confirm: a.confirmPlan, Found: func(f desk.Found) { begin = f },
	})
	left := a.tellFound(ctx, d, begin)
	if err == errDeclined {
		return a.declined("send.declined")
	}
	if err != nil {
		return err
	}
	v := struct {
		Schema  string   `json:"schema"`
		Entry   string   `json:"entry"`
		Number  *string  `json:"number"`
		State   string   `json:"state"`
		Folders []string `json:"folders"`
	}{"sandi.manual/1", a.entryName(n), render.Text(e.Number), string(e.State), folders}
	if v.Folders == nil {
		v.Folders = []string{}
	}
	err = a.result(v, func(w io.Writer) {
		for _, folder := range folders {
			fmt.Fprintln(w, render.Safe(folder))
		}
		a.say("send.handed", "entry", a.entryName(n), "n", len(folders))
	})
	return cmp.Or(err, a.told(left))
}

type deliveryJSON struct {
	Schema        string  `json:"schema"` // sandi.delivery/1
	Entry         string  `json:"entry"`
	Number        *string `json:"number"`
	Copy          int     `json:"copy"`
	Of            int     `json:"of"`
	Correspondent string  `json:"correspondent"`
	Unit          *string `json:"unit"`
	State         *string `json:"state"`
	Attempt       int     `json:"attempt"`
	At            *string `json:"at"`
	Reply         *string `json:"reply"`
	QueueID       *string `json:"queue_id"`
	NextAt        *string `json:"next_at"`
	Code          *string `json:"code"`
	Retry         string  `json:"retry"`
}

func (a *app) deliveryOf(x desk.Delivery) deliveryJSON {
	retry := "no"
	switch x.State {
	case agenda.CopyDeferred, agenda.CopyReady, "":
		retry = "later"
	case agenda.CopyDoubt, agenda.CopyHanded:
		retry = "ask"
	}
	return deliveryJSON{
		Schema: "sandi.delivery/1", Entry: a.entryName(x.Entry), Number: render.Text(x.Number), Copy: x.Copy, Of: x.Of,
		Correspondent: x.Handle, Unit: render.Text(x.Unit), State: render.Text(string(x.State)), Attempt: x.Attempt,
		At: render.Instant(x.At), Reply: render.Text(x.Reply), QueueID: render.Text(x.QueueID), NextAt: render.Instant(x.NextAt),
		Code: render.Text(x.Code), Retry: retry,
	}
}

type sendJSON struct {
	Schema   string         `json:"schema"` // sandi.send/1
	Status   int            `json:"exit_status"`
	DryRun   bool           `json:"dry_run"`
	Copies   int            `json:"copies"`
	Numbers  []numberJSON   `json:"numbers"`
	Entries  []render.Entry `json:"entries"`
	Waiting  []deliveryJSON `json:"waiting"`
	Skipped  []skippedJSON  `json:"skipped"`
	Outage   *outageJSON    `json:"outage"` // that ended with this sending
	Down     *string        `json:"gateway_error"`
	DownText *string        `json:"gateway_detail"`
}

// skippedJSON is a copy that waits for a person: why, in the screen's words, and with which command.
type skippedJSON struct {
	deliveryJSON
	Reason  string `json:"reason"`
	Command string `json:"command"`
}

type outageJSON struct {
	From    *string `json:"from"`
	Until   *string `json:"until"`
	Seconds int64   `json:"seconds"`
}

type numberJSON struct {
	Entry  string `json:"entry"`
	Number string `json:"number"`
}

// sendSummary is the last line of a sending under --json.
func (a *app) sendSummary(d *desk.Desk, res desk.SendResult, n int) error {
	if !a.flags.json {
		return nil
	}
	out := sendJSON{
		Schema: "sandi.send/1", Status: n, DryRun: a.flags.dryRun, Copies: res.Plan.Copies, Numbers: []numberJSON{},
		Entries: []render.Entry{}, Waiting: []deliveryJSON{}, Skipped: []skippedJSON{},
	}
	number := func(n agenda.Name, number string) {
		if number != "" {
			out.Numbers = append(out.Numbers, numberJSON{a.entryName(n), number})
		}
	}
	if a.flags.dryRun {
		for _, x := range res.Plan.Release {
			number(x.Entry.Name, x.Number)
		}
	}
	for _, e := range res.Released {
		number(e.Name, e.Number)
	}
	for _, e := range res.Entries {
		out.Entries = append(out.Entries, render.EntryOf(e, d.Due(e).At(), e.Name.Book == agenda.Kriptogram))
	}
	for _, x := range res.Waiting {
		out.Waiting = append(out.Waiting, a.deliveryOf(x))
	}
	for _, x := range res.Skipped {
		out.Skipped = append(out.Skipped, skippedJSON{a.deliveryOf(x), a.skippedWhy(x), a.unsettledCommand(x)})
	}
	if o := res.Outage; o != nil {
		out.Outage = &outageJSON{render.Instant(o.From), render.Instant(o.Until), int64(o.Until.Sub(o.From) / time.Second)}
	}
	if res.Down != nil {
		out.Down, out.DownText = render.Text(codeOf(res.Down)), render.Text(res.Down.Error())
	}
	return a.object(out)
}
