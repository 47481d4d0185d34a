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
)

// entryList is the result of list and search.
type entryList struct {
	Schema  string         `json:"schema"` // sandi.list/1
	Entries []render.Entry `json:"entries"`
}

func (a *app) agendaList() *cobra.Command {
	c := a.describe("agenda list", &cobra.Command{Use: "list", RunE: func(c *cobra.Command, _ []string) error {
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error {
			f, err := a.filter(c, d)
			if err != nil {
				return err
			}
			list, err := d.Book.List(ctx, f)
			if err != nil {
				return err
			}
			show, _ := c.Flags().GetBool("show-subject")
			return a.showList(d, list, show)
		})
	}})
	a.filterFlags(c)
	c.Flags().Bool("open", false, a.cat.Text("flag.agenda.open"))
	return c
}

// filterFlags choose entries for list and search.
func (a *app) filterFlags(c *cobra.Command) {
	a.stringFlags(c, "agenda", "book", "month", "state", "class")
	c.Flags().Int("year", 0, a.cat.Text("flag.agenda.year"))
	c.Flags().Int("limit", 0, a.cat.Text("flag.agenda.limit"))
	c.Flags().Bool("show-subject", false, a.cat.Text("flag.agenda.show-subject"))
}

func (a *app) filter(c *cobra.Command, d *desk.Desk) (agenda.Filter, error) {
	var f agenda.Filter
	var err error
	if s := flag(c, "book"); s != "" {
		if strings.EqualFold(s, string(agenda.Laporan)) {
			f.Book = agenda.Laporan
		} else if f.Book, err = parseBook(s); err != nil {
			return f, usageError("usage.list_book", "value", s)
		}
	}
	if s := flag(c, "month"); s != "" {
		if f.From, f.Until, err = parseMonth(s); err != nil {
			return f, err
		}
	}
	if s := flag(c, "class"); s != "" {
		if f.Class, err = agenda.ParseClass(s); err != nil {
			return f, err
		}
	}
	if s := flag(c, "state"); s != "" {
		for word := range strings.SplitSeq(s, ",") {
			state, ok := a.state(strings.TrimSpace(word))
			if !ok {
				return f, usageError("usage.state", "value", word)
			}
			f.States = append(f.States, state)
		}
	}
	f.Year, _ = c.Flags().GetInt("year")
	f.Limit, _ = c.Flags().GetInt("limit")
	if c.Flags().Lookup("open") != nil {
		f.Open, _ = c.Flags().GetBool("open")
	}
	// Some, without saying which: the newest. They are still shown oldest first.
	f.Newest = f.Limit > 0
	if f.Limit < 0 {
		return f, usageError("usage.flag_value", "flag", "--limit")
	}
	return f, nil
}

var allStates = []agenda.State{
	agenda.StateRegistered, agenda.StateAttached, agenda.StateDrafted, agenda.StateSigned, agenda.StateReleased,
	agenda.StateSent, agenda.StateArchived, agenda.StateReported, agenda.StateVoid,
}

// state reads the stored word of a state, or the screen's.
func (a *app) state(word string) (agenda.State, bool) {
	for _, s := range allStates {
		if strings.EqualFold(word, string(s)) || strings.EqualFold(word, a.cat.State(string(s))) {
			return s, true
		}
	}
	return "", false
}

func (a *app) showList(d *desk.Desk, list []agenda.Entry, show bool) error {
	if len(list) > 1 && list[0].ID > list[len(list)-1].ID {
		for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
			list[i], list[j] = list[j], list[i]
		}
	}
	if len(list) > 0 && list[0].Name.Book == agenda.Laporan {
		return a.showReports(d, list)
	}
	v := entryList{"sandi.list/1", make([]render.Entry, 0, len(list))}
	head := "agenda.heads"
	if show {
		head = "agenda.heads_subject"
	}
	table := render.Table{Head: a.heads(head), Fixed: []int{0, 1}}
	for _, e := range list {
		if a.flags.json {
			v.Entries = append(v.Entries, render.EntryOf(e, d.Due(e).At(), masked(e, show)))
			continue
		}
		row := []string{a.entryName(e.Name), a.cat.ShortDate(e.RegisteredAt), e.Letter.Applicant}
		if show {
			row = append(row, e.Letter.Subject)
		} else {
			row = append(row, e.Letter.Number)
		}
		table.Add(append(row, strings.Join(e.Letter.To, ", "), a.stateWords(e))...)
	}
	return a.result(v, func(w io.Writer) { a.writeTable(w, &table, "agenda.none") })
}

// entryName is the short name, with its year where that is not this one.
func (a *app) entryName(n agenda.Name) string { return n.In(a.thisYear()) }

// stateWords says where an entry stands: with several addressees how many have it, and first of all what is uncertain.
func (a *app) stateWords(e agenda.Entry) string {
	word := a.cat.State(string(e.State))
	switch {
	case e.Number != "" && e.State != agenda.StateReleased:
		return word + " (" + e.Number + ")"
	case e.Name.Book == agenda.Kriptogram && e.State == agenda.StateRegistered && e.Draft > 0:
		return a.cat.Text("agenda.state.again", "draft", e.Draft+1)
	case e.State != agenda.StateReleased:
		return word
	}
	sent := 0
	for _, c := range e.Copies {
		switch c.State {
		case agenda.CopyDoubt, agenda.CopyArmed:
			return a.cat.CopyState("doubt")
		case agenda.CopyRejected, agenda.CopyDeferred, agenda.CopyHanded:
			word = a.cat.CopyState(string(c.State))
		case agenda.CopyAccepted, agenda.CopyEvidenced:
			sent++
		case agenda.CopyCancelled:
			if len(e.Copies) == 1 { // nothing is left to be sent
				word = a.cat.CopyState(string(c.State))
			}
		}
	}
	if sent > 0 {
		word = a.cat.Text("agenda.state.partly", "sent", sent, "all", len(e.Copies), "state", word)
	}
	return word
}

func (a *app) agendaSearch() *cobra.Command {
	c := a.describe("agenda search", &cobra.Command{Use: "search", Args: cobra.MinimumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error {
			f, err := a.filter(c, d)
			if err != nil {
				return err
			}
			text := strings.Join(args, " ")
			if !agenda.HasWords(text) {
				return usageError("usage.no_words", "value", text)
			}
			list, err := d.Book.Search(ctx, text, f)
			if err != nil {
				return err
			}
			show, _ := c.Flags().GetBool("show-subject")
			return a.showList(d, list, show)
		})
	}})
	a.filterFlags(c)
	return c
}

func (a *app) agendaShow() *cobra.Command {
	c := a.describe("agenda show", &cobra.Command{Use: "show", Args: cobra.MinimumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error {
			names, err := a.allNames(args)
			if err != nil {
				return err
			}
			show, _ := c.Flags().GetBool("show-subject")
			history, _ := c.Flags().GetBool("history")
			dialogue, _ := c.Flags().GetBool("dialogue")
			return a.each(ctx, names, func(n agenda.Name) error { return a.showEntry(ctx, d, n, show, history, dialogue) })
		})
	}})
	c.Flags().Bool("show-subject", false, a.cat.Text("flag.agenda.show-subject"))
	c.Flags().Bool("history", false, a.cat.Text("flag.agenda.history"))
	c.Flags().Bool("dialogue", false, a.cat.Text("flag.agenda.dialogue"))
	return c
}

// entryView is an entry of show: with --history its events.
type entryView struct {
	render.Entry
	Attachments []attachmentView `json:"attachments"`
	Orders      []orderView      `json:"orders"`
	Next        *string          `json:"next"`
	Mailed      *mailedView      `json:"mailed,omitempty"` // of book laporan
	Refers      *string          `json:"refers"`
	Retracts    *string          `json:"retracts"`     // why it withdraws or corrects what it refers to
	WithdrawnBy []string         `json:"withdrawn_by"` // the entries that withdraw or correct this one
	History     []eventView      `json:"history,omitempty"`
	Dialogues   []dialogueView   `json:"dialogues,omitempty"`
}

// dialogueView is what was said with the gateway about a copy.
type dialogueView struct {
	Copy  int     `json:"copy"`
	At    *string `json:"at"` // null: the fate of the copy is still open
	State string  `json:"state"`
	Text  string  `json:"text"`
}

type attachmentView struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	Pages  int    `json:"pages"`
}

type orderView struct {
	From  string  `json:"from"`
	To    string  `json:"to"`
	At    *string `json:"at"`
	Order *string `json:"order"`
}

type eventView struct {
	Seq    int64             `json:"seq"`
	At     string            `json:"at"`
	Type   string            `json:"type"`
	Actor  string            `json:"actor"`
	From   *string           `json:"from"`
	To     *string           `json:"to"`
	Fields map[string]string `json:"fields"`
}

func (a *app) showEntry(ctx context.Context, d *desk.Desk, n agenda.Name, show, history, dialogue bool) error {
	e, err := d.Book.Entry(ctx, n)
	if err != nil {
		return err
	}
	var x beside
	if history {
		if x.events, err = d.Book.History(ctx, e.ID); err != nil {
			return err
		}
	}
	if dialogue {
		if x.dialogues, err = d.Dialogues(ctx, e.ID); err != nil {
			return err
		}
	}
	if e.Mailed != nil {
		return a.showReport(ctx, d, e, x)
	}
	hide := masked(e, show)
	if x.receipts, err = d.Book.Receipts(ctx, e.ID); err != nil {
		return err
	}
	withdrawn, err := d.Book.Retractions(ctx)
	if err != nil {
		return err
	}
	x.withdrawnBy = withdrawn[e.Name]
	return a.result(a.viewOf(d, e, x, hide), func(w io.Writer) {
		a.printEntry(w, d, e, x, hide)
		a.printBeside(w, x, hide)
	})
}

// beside is what the book says of an entry in other places than its own.
type beside struct {
	events      []agenda.Event  // nil: not asked for
	dialogues   []desk.Dialogue // nil: not asked for
	receipts    []agenda.Receipt
	withdrawnBy []agenda.Entry
}

// printBeside writes what was asked for besides the entry.
func (a *app) printBeside(w io.Writer, x beside, hide bool) {
	if x.events != nil {
		a.printHistory(w, x.events, hide)
	}
	if x.dialogues != nil {
		a.printDialogues(w, x.dialogues)
	}
}

// viewOf is the JSON form of a whole entry.
func (a *app) viewOf(d *desk.Desk, e agenda.Entry, x beside, hide bool) entryView {
	v := entryView{
		Entry: render.EntryOf(e, d.Due(e).At(), hide), Attachments: []attachmentView{}, Orders: []orderView{},
		Next: render.Text(string(d.Next(e))), Refers: render.Text(e.Letter.Refers), Retracts: render.Text(e.Letter.Retracts), WithdrawnBy: []string{},
	}
	for _, r := range x.withdrawnBy {
		v.WithdrawnBy = append(v.WithdrawnBy, r.Name.Long())
	}
	v.WithReceipts(x.receipts)
	for _, s := range e.Attachments {
		v.Attachments = append(v.Attachments, attachmentView{s.Object.SHA256.String(), s.Object.Size, s.Pages})
	}
	for _, o := range e.Orders {
		v.Orders = append(v.Orders, orderView{o.From, o.To, render.Instant(o.At), render.Text(o.Text)})
	}
	for _, ev := range x.events {
		view := eventView{
			Seq: ev.Seq, At: ev.At.UTC().Format(time.RFC3339Nano), Type: ev.Type, Actor: ev.Actor, From: render.Text(string(ev.From)),
			To: render.Text(string(ev.To)), Fields: map[string]string{},
		}
		for _, line := range ev.Fields {
			if !hide || line.Key != "subject" {
				view.Fields[line.Key] = line.Value
			}
		}
		v.History = append(v.History, view)
	}
	for _, x := range x.dialogues {
		v.Dialogues = append(v.Dialogues, dialogueView{x.Copy, render.Instant(x.At), string(x.State), string(x.Text)})
	}
	return v
}

// printEntry writes an entry as a form: a field a line, then the addressees.
func (a *app) printEntry(w io.Writer, d *desk.Desk, e agenda.Entry, x beside, hide bool) {
	l := e.Letter
	var t form
	row := func(id, value string) {
		if value != "" {
			t.add(a.cat.Text("agenda.row."+id), value)
		}
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return a.cat.DateTime(t)
	}
	class := a.cat.Class(string(l.Class))
	if e.Name.Book == agenda.Kriptogram {
		class = strings.ToUpper(class)
	}
	row("entry", e.Name.Long()+", "+a.cat.Book(string(e.Name.Book)))
	row("state", a.stateWords(e))
	row("number", e.Number)
	row("class", class+", "+a.cat.Text("agenda.urgency", "urgency", a.cat.Urgency(string(l.Urgency))))
	row("registered", at(e.RegisteredAt))
	row("received", at(l.Received))
	if e.State != agenda.StateVoid && e.SentAt.IsZero() {
		row("due", at(d.Due(e).At()))
	}
	row("applicant", l.Applicant)
	row("request", joined(l.Request, a.isoDate(l.RequestDate)))
	row("letter", joined(l.Number, a.isoDate(l.Date)))
	row("origin", l.Origin)
	subject := l.Subject
	if hide {
		subject = a.cat.Text("agenda.masked")
	}
	row("subject", subject)
	if l.Pages > 0 {
		row("pages", a.cat.Number(int64(l.Pages)))
	}
	row("enclosures", l.Enclosures)
	row("archive-class", l.ArchiveClass)
	row("place", l.Place)
	if l.Retracts == "" {
		row("refers", l.Refers)
	} else {
		row("retracts", l.Refers+": "+l.Retracts)
	}
	for _, r := range x.withdrawnBy {
		row("retracted", r.Name.Long()+": "+r.Letter.Retracts)
	}
	row("note", l.Note)
	for _, o := range e.Orders {
		row("order", a.cat.Text("agenda.order", "from", a.cat.Role(o.From), "to", a.cat.Role(o.To), "at", a.cat.ShortDate(o.At)+", "+a.cat.Clock(o.At)))
		row("order_text", o.Text)
	}
	for _, s := range e.Attachments {
		row("scan", a.cat.Size(s.Object.Size)+", "+s.Object.SHA256.String()[:16])
	}
	if r := e.Returned; r != nil && e.State == agenda.StateRegistered {
		row("returned", a.cat.Text("agenda.returned", "draft", r.Draft, "at", at(r.At)))
		row("reason", r.Reason)
	}
	row("sent", at(e.SentAt))
	if r := e.Archived; r != nil {
		row("archived", joined(r.Box, r.Place))
	}
	for _, c := range e.Corrections {
		row("corrected", a.cat.DateTime(c.At)+": "+c.Reason)
	}
	if v := e.Voided; v != nil {
		row("voided", v.Reason+"; "+v.Authority)
	}
	t.write(w)
	copies := render.Table{Align: []render.Align{render.Right}, Fixed: []int{0}}
	for _, c := range e.Copies {
		state, when := "", ""
		if c.State != "" {
			state = a.cat.CopyState(string(c.State))
		}
		if c.State == agenda.CopyEvidenced && c.Basis == "claim" {
			state = a.cat.Text("word.copy.evidenced.claim")
		}
		if !c.SettledAt.IsZero() {
			when = a.cat.ShortDate(c.SettledAt) + " " + a.cat.Clock(c.SettledAt)
		}
		kind := a.cat.Text("agenda.kind." + c.Kind)
		copies.Add(fmt.Sprint(c.Copy), kind, c.Handle, state, when)
	}
	_, _ = copies.WriteTo(w)
	a.printReceipts(w, e, x.receipts)
	if next := d.Next(e); next != "" {
		a.say("next."+string(next), "entry", a.entryName(e.Name), "handle", a.cat.Text("default.handle"))
	}
}

// printReceipts writes what came back about each copy that the server took; taken and received stay two things.
func (a *app) printReceipts(w io.Writer, e agenda.Entry, receipts []agenda.Receipt) {
	for _, c := range e.Copies {
		if c.State != agenda.CopyAccepted && c.State != agenda.CopyEvidenced {
			continue
		}
		for _, r := range receipts {
			if r.Ref.Copy == c.Copy {
				fmt.Fprintln(w, " "+a.cat.Text("agenda.receipt", "copy", c.Copy, "what", a.receiptWords(r, r.At)))
			}
		}
		if _, known := desk.Confirmation(receipts, agenda.CopyRef{Entry: e.ID, Copy: c.Copy}); !known {
			fmt.Fprintln(w, " "+a.cat.Text("agenda.receipt", "copy", c.Copy, "what", a.cat.Text("agenda.unconfirmed")))
		}
	}
}

func joined(parts ...string) string {
	var set []string
	for _, p := range parts {
		if p != "" {
			set = append(set, p)
		}
	}
	return strings.Join(set, ", ")
}

// isoDate writes a stored date as in a sentence.
func (a *app) isoDate(iso string) string {
	t, err := time.ParseInLocation(time.DateOnly, iso, agenda.WIB)
	if err != nil {
		return iso
	}
	return a.cat.Date(t)
}

// printDialogues shows what was said with the gateway, as it is kept.
func (a *app) printDialogues(w io.Writer, all []desk.Dialogue) {
	if len(all) == 0 {
		fmt.Fprintln(w, a.cat.Text("agenda.no_dialogue"))
		return
	}
	for _, x := range all {
		at := ""
		if !x.At.IsZero() {
			at = " " + a.cat.ShortDate(x.At) + " " + a.cat.Clock(x.At)
		}
		fmt.Fprintln(w, a.cat.Text("agenda.dialogue", "copy", x.Copy, "state", a.cat.CopyState(string(x.State))+at))
		for line := range strings.Lines(string(x.Text)) {
			fmt.Fprintln(w, "      "+render.Safe(strings.TrimRight(line, "\r\n")))
		}
	}
}

func (a *app) printHistory(w io.Writer, events []agenda.Event, hide bool) {
	fmt.Fprintln(w, a.cat.Text("agenda.history"))
	for _, ev := range events {
		word := ev.Type
		if id := "event." + ev.Type; a.cat.Has(id) {
			word = a.cat.Text(id)
		}
		fmt.Fprintf(w, " %d  %s  %s  %s  %s\n", ev.Seq, a.cat.ShortDate(ev.At), a.cat.Seconds(ev.At), a.actorWord(ev.Actor), word)
		var parts []string
		for _, line := range ev.Fields {
			if !tellingFields[line.Key] || line.Value == "" || hide && line.Key == "subject" {
				continue
			}
			key, value := line.Key, line.Value
			if id := "event.field." + key; a.cat.Has(id) {
				key = a.cat.Text(id)
			}
			if at, err := time.Parse(time.RFC3339, value); err == nil {
				value = a.cat.ShortDate(at) + " " + a.cat.Clock(at)
			}
			parts = append(parts, key+" "+render.Safe(value))
		}
		for _, part := range wrapped(strings.Join(parts, "; "), 72) {
			fmt.Fprintln(w, "      "+part)
		}
	}
}

// actorWord is who recorded an event, on a screen.
func (a *app) actorWord(actor string) string {
	if actor == "-" {
		return a.cat.Text("agenda.nobody")
	}
	return render.Safe(actor)
}

// tellingFields are those that a person wants to see in a history; digests and sizes are in the JSON.
var tellingFields = map[string]bool{
	"reason": true, "authority": true, "from": true, "to": true, "order": true, "at": true, "number": true, "copy": true,
	"draft": true, "reply": true, "route": true, "basis": true, "place": true, "box": true, "kind": true, "subject": true,
}

// auditView is the report of verify.
type auditView struct {
	Schema       string        `json:"schema"` // sandi.verify/1
	Good         bool          `json:"good"`
	Events       int64         `json:"events"`
	Entries      int64         `json:"entries"`
	Root         string        `json:"root"`
	Checkpoints  int           `json:"checkpoints"`
	VaultObjects int           `json:"vault_objects"`
	BoxMessages  int           `json:"box_messages"`
	Books        []bookView    `json:"books"`
	Problems     []problemView `json:"problems"`
}

type bookView struct {
	Book    string `json:"book"`
	Year    int    `json:"year"`
	Entries int    `json:"entries"`
	Numbers int    `json:"numbers"`
}

type problemView struct {
	Kind   string  `json:"kind"`
	Seq    int64   `json:"seq"`
	Entry  *string `json:"entry"`
	Detail string  `json:"detail"`
}

func (a *app) agendaVerify() *cobra.Command {
	c := a.describe("agenda verify", &cobra.Command{Use: "verify", RunE: func(c *cobra.Command, _ []string) error {
		if rebuild, _ := c.Flags().GetBool("rebuild"); !rebuild {
			return a.withUncheckedDesk(c, true, a.audit)
		}
		return a.withUncheckedDesk(c, false, func(ctx context.Context, d *desk.Desk) error {
			if !d.Book.Renewed() {
				if err := d.Book.Rebuild(ctx); err != nil {
					return err
				}
				if !a.flags.dryRun {
					a.warn("agenda.index_rebuilt")
				}
			}
			return a.audit(ctx, d)
		})
	}})
	c.Flags().Bool("rebuild", false, a.cat.Text("flag.agenda.rebuild"))
	return c
}

func (a *app) audit(ctx context.Context, d *desk.Desk) error {
	rep, err := d.Audit(ctx)
	if err != nil {
		return err
	}
	v := auditView{
		Schema: "sandi.verify/1", Good: rep.Good(), Events: rep.Events, Entries: rep.Entries, Root: rep.Root.String(),
		Checkpoints: rep.Checkpoints, VaultObjects: rep.VaultObjects, BoxMessages: rep.BoxMessages,
		Books: []bookView{}, Problems: []problemView{},
	}
	for _, b := range rep.Books {
		v.Books = append(v.Books, bookView{string(b.Book), b.Year, b.Entries, b.Numbers})
	}
	for _, p := range rep.Problems {
		view := problemView{Kind: p.Kind, Seq: p.Seq, Detail: p.Detail}
		if p.Entry.Serial != 0 {
			view.Entry = render.Text(p.Entry.Long())
		}
		v.Problems = append(v.Problems, view)
	}
	var last time.Time
	if _, at, err := d.Book.LatestCheckpoint(ctx); err == nil {
		last = at
	}
	err = a.result(v, func(w io.Writer) {
		if rep.Good() {
			a.printGood(w, v, last)
			return
		}
		for _, p := range v.Problems {
			entry := a.cat.Text("agenda.problem.book")
			if p.Entry != nil {
				entry = *p.Entry
			}
			fmt.Fprintln(w, a.cat.Text("agenda.problem", "entry", entry, "kind", a.problemKind(p.Kind), "detail", p.Detail))
		}
	})
	if err == nil && !rep.Good() {
		a.warn("agenda.broken", "n", len(rep.Problems))
		if !slices.ContainsFunc(rep.Problems, func(p agenda.Problem) bool { return p.Kind != "index" }) {
			a.warn("next.rebuild")
		}
		err = a.told(exitTampered)
	}
	return err
}

func (a *app) problemKind(kind string) string {
	if id := "agenda.problem." + kind; a.cat.Has(id) {
		return a.cat.Text(id)
	}
	return kind
}

func (a *app) printGood(w io.Writer, v auditView, last time.Time) {
	for _, b := range v.Books {
		id := "agenda.whole"
		switch agenda.BookName(b.Book) {
		case agenda.Surat:
			id = "agenda.whole_surat"
		case agenda.Laporan:
			id = "agenda.whole_laporan"
		}
		fmt.Fprintln(w, a.cat.Text(id, "year", b.Year, "entries", a.cat.Number(int64(b.Entries)), "numbers", a.cat.Number(int64(b.Numbers))))
	}
	if len(v.Books) == 0 {
		fmt.Fprintln(w, a.cat.Text("agenda.whole_empty"))
	}
	fmt.Fprintln(w, a.cat.Text("agenda.whole_files", "events", a.cat.Number(v.Events), "files", v.VaultObjects, "messages", v.BoxMessages))
	if !last.IsZero() {
		fmt.Fprintln(w, a.cat.Text("agenda.whole_code", "date", a.cat.ShortDate(last), "time", a.cat.Clock(last)))
	}
}
