package cmd

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
)

// sendOther does the ways of send that are about no named entry: a table, notices that came back, the gateway itself.
func (a *app) sendOther(ctx context.Context, c *cobra.Command, d *desk.Desk, f sendFlags) error {
	switch {
	case f.probe:
		return a.probe(ctx, d)
	case len(f.receipts) > 0:
		return a.receipts(ctx, d, f.receipts)
	case f.unconfirmed:
		var days *int
		if c.Flags().Changed("days") {
			days = &f.days
		}
		return a.unconfirmed(ctx, d, days)
	}
	return a.sendBatch(ctx, c, d, f)
}

type batchRowJSON struct {
	Schema  string `json:"schema"` // sandi.batch_row/1
	Batch   string `json:"batch"`
	Line    int    `json:"line"`
	Entry   string `json:"entry"`
	State   string `json:"state"`
	Existed bool   `json:"existed"`
	Action  string `json:"action"` // of this run: draft, send, wait for its file, person, none
	// Same are entries with the same number and date of letter that were there before a new one.
	Same []string `json:"same"`
	Code *string  `json:"code"`
}

type batchJSON struct {
	Schema  string   `json:"schema"` // sandi.batch/1
	Batch   string   `json:"batch"`
	Rows    int      `json:"rows"`
	New     int      `json:"new"`
	Entries []string `json:"entries"` // of each row, in its order
	Actions []string `json:"actions"` // as sandi.batch_row/1 would have them
	DryRun  bool     `json:"dry_run"`
}

// sendBatch takes every row of a table as far as it goes: ordinary letters are sent, classified ones wait for the signature. The
// same table again goes on where the last run ended.
func (a *app) sendBatch(ctx context.Context, c *cobra.Command, d *desk.Desk, f sendFlags) error {
	rows, id, err := a.batchTable(ctx, d, f.batch)
	if err != nil {
		return err
	}
	fresh, plan, err := d.PlanBatch(ctx, rows)
	if err != nil {
		return err
	}
	if !a.flags.json {
		a.previewImport(d, rows)
	}
	counts := map[desk.BatchAction]int{}
	for _, action := range plan {
		counts[action]++
	}
	a.say("send.batch_plan", "batch", id, "n", len(rows), "fresh", len(fresh), "drafts", counts[desk.BatchDraft], "letters", counts[desk.BatchSend])
	if n := counts[desk.BatchWait]; n > 0 {
		a.say("send.batch_wait", "n", n)
	}
	if n := counts[desk.BatchPerson]; n > 0 {
		a.say("send.batch_person", "n", n)
	}
	if n := counts[desk.BatchNone]; n > 0 {
		a.say("send.batch_none", "n", n)
	}
	if a.flags.dryRun {
		v := batchJSON{Schema: "sandi.batch/1", Batch: id, Rows: len(rows), New: len(fresh), Entries: []string{}, Actions: []string{}, DryRun: true}
		for i, r := range rows {
			v.Entries, v.Actions = append(v.Entries, r.Name.Long()), append(v.Actions, string(plan[i]))
		}
		return a.result(v, func(io.Writer) { a.say("send.dry_run") })
	}
	yes, err := a.confirm(false, "send.batch_ask", "n", len(rows))
	if err != nil {
		return err
	}
	if !yes {
		return a.declined("send.declined")
	}
	bar := a.term.Pieces(a.cat.Text("send.batch_progress"), a.cat.Text("send.batch_unit"), int64(len(rows)))
	done, err := d.Batch(ctx, desk.BatchParams{Rows: rows, Secrets: a.secrets(), Report: func() { bar.Add(1) }})
	bar.Done()
	if err != nil {
		return err
	}
	var all []int
	var names, drafted []agenda.Name
	for i, r := range done {
		if err := a.tellBatchRow(id, r, rows[i].Same); err != nil {
			return err
		}
		if interrupted(r.Err) {
			continue // told once, below
		}
		if r.Err != nil {
			if !a.flags.json {
				a.warn("send.batch_stopped", "line", r.Line, "entry", r.Entry.Name)
			}
			all = append(all, a.fail(entryError(r.Entry.Name, r.Err)))
			continue
		}
		all = append(all, exitDone)
		switch {
		case r.Action == desk.BatchSend, r.Action == desk.BatchPerson:
			names = append(names, r.Entry.Name)
		case r.Entry.State == agenda.StateDrafted:
			drafted = append(drafted, r.Entry.Name)
		}
	}
	if ctx.Err() != nil { // the same command goes on from here
		a.fail(context.Cause(ctx))
		a.warn("send.batch_resume", "path", f.batch)
		return a.told(exitInterrupted)
	}
	if len(drafted) > 0 {
		a.say("send.batch_sign", "names", ranges(drafted, a.thisYear()))
	}
	if len(names) == 0 {
		return a.told(batchStatus(all))
	}
	f.agreed = true
	err = a.send(ctx, c, d, names, f)
	return a.told(batchStatus(append(all, a.fail(err))))
}

func (a *app) tellBatchRow(id string, r desk.BatchRow, same []agenda.Name) error {
	if a.flags.json {
		if r.Existed {
			same = nil // itself
		}
		v := batchRowJSON{Schema: "sandi.batch_row/1", Batch: id, Line: r.Line, Entry: r.Entry.Name.Long(), State: string(r.Entry.State), Existed: r.Existed, Action: string(r.Action), Same: entryNames(same)}
		if r.Err != nil {
			v.Code = render.Text(codeOf(r.Err))
		}
		return a.object(v)
	}
	word := a.cat.State(string(r.Entry.State))
	if r.Existed {
		word = a.cat.Text("send.batch_known", "state", word)
	}
	fmt.Fprintf(a.out, " %4d  %-6s %s\n", r.Line, r.Entry.Name, word)
	return nil
}

// batchTable reads the table and names the batch by its octets.
func (a *app) batchTable(ctx context.Context, d *desk.Desk, path string) ([]desk.ImportRow, string, error) {
	var source io.Reader = a.term.In()
	folder := "."
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, "", usageError("usage.batch_unreadable", "path", path)
		}
		if st, err := f.Stat(); err != nil || st.IsDir() {
			f.Close()
			return nil, "", usageError("usage.batch_unreadable", "path", path)
		}
		defer f.Close()
		source, folder = f, filepath.Dir(path)
	}
	now := d.Now()
	sum := sha256.New()
	rows, err := d.ReadImport(ctx, desk.ImportParams{
		Source: io.TeeReader(source, sum), Folder: folder, Batch: true,
		Day:    func(s string) (string, error) { return parseDate("letter-date", s, now) },
		Moment: func(s string) (time.Time, error) { return parseMoment("received", s, now) },
	})
	var bad *desk.ImportError
	if errors.As(err, &bad) {
		err = a.tellProblems(bad)
	}
	return rows, fmt.Sprintf("%.6x", sum.Sum(nil)), err
}

type probeJSON struct {
	Schema      string   `json:"schema"` // sandi.gateway/1
	At          *string  `json:"at"`
	Gateway     string   `json:"gateway"`
	Address     string   `json:"address"`
	TLS         *string  `json:"tls"`
	Cipher      *string  `json:"cipher"`
	Certificate *string  `json:"certificate_sha256"`
	Key         *string  `json:"key_sha256"`
	Expires     *string  `json:"certificate_expires"`
	MaxSize     int64    `json:"max_size"`
	DSN         bool     `json:"dsn"`
	Pipelining  bool     `json:"pipelining"`
	Auth        []string `json:"auth"`
	Extensions  []string `json:"extensions"`
}

func (a *app) probe(ctx context.Context, d *desk.Desk) error {
	if a.flags.dryRun {
		a.say("send.probe_dry", "address", d.Config.Gateway.Address)
		return nil
	}
	p, err := d.Probe(ctx, a.secrets())
	if err != nil {
		return err
	}
	v := probeJSON{
		Schema: "sandi.gateway/1", At: render.Instant(p.At), Gateway: p.Gateway, Address: p.Peer.Address, TLS: render.Text(p.Peer.TLSVersion),
		Cipher: render.Text(p.Peer.CipherSuite), Certificate: render.Text(p.Peer.CertificateSHA256), Key: render.Text(p.Peer.KeySHA256),
		Expires: render.Instant(p.Peer.NotAfter), MaxSize: p.Capabilities.MaxSize, DSN: p.Capabilities.DSN, Pipelining: p.Capabilities.Pipelining,
		Auth: append([]string{}, p.Capabilities.Auth...), Extensions: append([]string{}, p.Capabilities.Extensions...),
	}
	return a.result(v, func(w io.Writer) {
		line := func(id, value string) {
			if value != "" {
				fmt.Fprintf(w, "%-14s %s\n", a.cat.Text("send.probe."+id), render.Safe(value))
			}
		}
		line("gateway", p.Gateway+" ("+p.Peer.Address+")")
		line("tls", strings.TrimSpace(p.Peer.TLSVersion+" "+p.Peer.CipherSuite))
		line("pin", p.Peer.KeySHA256)
		if !p.Peer.NotAfter.IsZero() {
			line("expires", a.cat.Date(p.Peer.NotAfter))
		}
		if p.Capabilities.MaxSize > 0 {
			line("size", a.cat.Size(p.Capabilities.MaxSize))
		}
		offered := a.cat.Text("send.probe.no")
		if p.Capabilities.DSN {
			offered = a.cat.Text("send.probe.yes")
		}
		line("dsn", offered)
		line("offers", strings.Join(p.Capabilities.Extensions, "; "))
	})
}

type receiptJSON struct {
	Schema        string  `json:"schema"` // sandi.receipt/1
	Entry         string  `json:"entry"`
	Number        *string `json:"number"`
	Copy          int     `json:"copy"`
	Correspondent string  `json:"correspondent"`
	Kind          string  `json:"kind"`
	Action        string  `json:"action"`
	Status        *string `json:"status"`
	Matched       string  `json:"matched"`
	At            *string `json:"at"`
	State         string  `json:"state"`
	Known         bool    `json:"known"`
	Resolved      bool    `json:"resolved"`
	Strange       bool    `json:"strange"` // not recorded
	Why           *string `json:"why"`     // it is strange: address, early, undated, year, several
	Address       *string `json:"address"` // that the notice speaks of, or its sender
	Source        string  `json:"source"`
}

// receiptsJSON is the last line of reading under --json: a source without a receipt is told too.
type receiptsJSON struct {
	Schema   string `json:"schema"` // sandi.receipts/1
	DryRun   bool   `json:"dry_run"`
	Messages int    `json:"messages"`
	New      int    `json:"new"`
	Known    int    `json:"known"`
	Strange  int    `json:"strange"` // not recorded
	Foreign  int    `json:"foreign"` // about nothing of this desk
	Broken   int    `json:"broken"`  // cannot be read
}

// receipts notes what came back about what was sent.
func (a *app) receipts(ctx context.Context, d *desk.Desk, sources []string) error {
	res, err := d.Receipts(ctx, desk.ReceiptParams{Sources: sources, DryRun: a.flags.dryRun, Secrets: a.secrets()})
	left := a.tellFound(ctx, d, res.Found)
	for _, r := range res.Receipts {
		if a.flags.json {
			if err := a.object(receiptJSON{
				Schema: "sandi.receipt/1", Entry: r.Entry.Long(), Number: render.Text(r.Number), Copy: r.Ref.Copy, Correspondent: r.Handle,
				Kind: string(r.Kind), Action: r.Action, Status: render.Text(r.Status), Matched: r.Matched, At: render.Instant(r.At),
				State: string(r.State), Known: r.Known, Resolved: r.Resolved, Strange: r.Strange, Why: render.Text(r.Why), Address: render.Text(r.Address), Source: r.Source,
			}); err != nil {
				return err
			}
			continue
		}
		if r.Known {
			continue
		}
		at := r.At
		if at.IsZero() {
			at = d.Now()
		}
		words := a.receiptWords(r.Receipt, at)
		if r.Strange {
			words = a.cat.Text("send.receipt_strange."+r.Why, "how", a.cat.Text("send.receipt_kind."+string(r.Kind)),
				"address", render.Safe(cmp.Or(r.Address, "-")), "number", r.Number, "time", a.cat.ShortDate(r.At)+" "+a.cat.Clock(r.At))
		}
		fmt.Fprintf(a.out, " %-5s %s  %s\n", a.entryName(r.Entry), render.Safe(cmp.Or(r.Unit, r.Handle)), words)
		if r.Resolved {
			a.print("send.receipt_resolved", "entry", a.entryName(r.Entry), "copy", r.Ref.Copy)
		}
	}
	if err != nil && res.Messages == 0 {
		return err
	}
	fresh, known, strange, asked := 0, 0, 0, false
	for _, r := range res.Receipts {
		switch {
		case r.Known:
			known++
		case r.Strange:
			strange++
			asked = asked || r.Matched == agenda.MatchedNumber
		default:
			fresh++
		}
	}
	if a.flags.json {
		if told := a.object(receiptsJSON{
			Schema: "sandi.receipts/1", DryRun: a.flags.dryRun, Messages: res.Messages, New: fresh, Known: known, Strange: strange,
			Foreign: res.Foreign, Broken: res.Broken,
		}); told != nil {
			return told
		}
	}
	a.say("send.receipts_done", "n", res.Messages, "fresh", fresh, "known", known, "strange", strange, "foreign", res.Foreign, "broken", res.Broken)
	if asked {
		a.say("send.receipts_ask")
	}
	if a.flags.dryRun {
		a.say("send.receipts_dry")
		return err
	}
	return cmp.Or(errors.Join(err, a.tellOutstanding(ctx, d)), a.told(left))
}

// tellOutstanding tells after reading what is still missing: what did not arrive, with the way to send it again, and how much
// nobody confirmed in time.
func (a *app) tellOutstanding(ctx context.Context, d *desk.Desk) error {
	failed, err := d.Undelivered(ctx)
	if err != nil {
		return err
	}
	for _, o := range failed {
		if o.Entry.Mailed != nil {
			a.warn("send.undelivered_report", "entry", a.entryName(o.Entry.Name))
			continue
		}
		a.warn("send.undelivered", "entry", a.entryName(o.Entry.Name), "copy", o.Copy.Copy, "handle", o.Copy.Handle)
	}
	n, err := d.Watched(ctx)
	if n > 0 {
		a.say("glance.unconfirmed", "n", n)
	}
	return err
}

// receiptWords is a receipt in a line.
func (a *app) receiptWords(r agenda.Receipt, at time.Time) string {
	id := "send.receipt_other"
	switch {
	case r.Failed():
		id = "send.receipt_failed"
	case r.Arrived():
		id = "send.receipt_arrived"
	}
	return a.cat.Text(id, "time", a.cat.DateTime(at), "how", a.cat.Text("send.receipt_kind."+string(r.Kind)), "status", cmp.Or(r.Status, r.Action))
}

type unconfirmedJSON struct {
	Schema        string  `json:"schema"` // sandi.unconfirmed/1
	Entry         string  `json:"entry"`
	Number        *string `json:"number"`
	Copy          int     `json:"copy"`
	Correspondent string  `json:"correspondent"`
	SentAt        *string `json:"sent_at"`
	Failed        bool    `json:"failed"`
}

// unconfirmed lists what left and nobody has confirmed.
func (a *app) unconfirmed(ctx context.Context, d *desk.Desk, days *int) error {
	list, err := d.Overdue(ctx, days)
	if err != nil {
		return err
	}
	for _, o := range list {
		if a.flags.json {
			if err := a.object(unconfirmedJSON{
				Schema: "sandi.unconfirmed/1", Entry: o.Entry.Name.Long(), Number: render.Text(o.Entry.Number), Copy: o.Copy.Copy,
				Correspondent: o.Copy.Handle, SentAt: render.Instant(o.Copy.SettledAt), Failed: o.Failed,
			}); err != nil {
				return err
			}
			continue
		}
		id := "send.unconfirmed_one"
		if o.Failed {
			id = "send.unconfirmed_failed"
		}
		fmt.Fprintf(a.out, " %-5s %s  %s\n", o.Entry.Name, render.Safe(o.Copy.Handle), a.cat.Text(id, "time", a.cat.DateTime(o.Copy.SettledAt)))
		if o.Failed {
			next := desk.NextAgain
			if o.Entry.Mailed != nil {
				next = desk.NextMail
			}
			fmt.Fprintln(a.out, "       "+a.nextCommand(desk.Task{Entry: o.Entry, Next: next, Handle: o.Copy.Handle}))
		}
	}
	if len(list) == 0 {
		a.say("send.unconfirmed_none")
	}
	return nil
}
