package cmd

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
)

// complaintView is a complaint as JSON.
type complaintView struct {
	Schema      string          `json:"schema,omitempty"` // sandi.complaint/1
	Name        string          `json:"name"`
	Year        int             `json:"year"`
	Serial      int             `json:"serial"`
	Channel     string          `json:"channel"`
	Via         string          `json:"via"`
	Service     *string         `json:"service"`
	Concerns    *string         `json:"concerns"`
	Complainant string          `json:"complainant"`
	Contact     string          `json:"contact"`
	Text        string          `json:"text"`
	State       string          `json:"state"`
	Received    time.Time       `json:"received_at"`
	AnswerDue   time.Time       `json:"answer_due_at"`
	SettleDue   time.Time       `json:"settle_due_at"`
	Answered    *time.Time      `json:"answered_at"`
	Passed      *time.Time      `json:"passed_at"`
	Closed      *time.Time      `json:"closed_at"`
	AnswerLate  bool            `json:"answer_late"`
	SettleLate  bool            `json:"settle_late"`
	Steps       []complaintStep `json:"steps"`
}

type complaintStep struct {
	Kind      string    `json:"kind"`
	At        time.Time `json:"at"`
	Text      string    `json:"text"`
	Recipient string    `json:"recipient"`
	Officer   string    `json:"officer"`
}

type complaintList struct {
	Schema     string          `json:"schema"` // sandi.complaints/1
	Complaints []complaintView `json:"complaints"`
}

func complaintOf(d *desk.Desk, c agenda.Complaint) complaintView {
	n := d.ComplaintNorm(c)
	v := complaintView{
		Name: c.Name(), Year: c.Year, Serial: c.Serial, Channel: c.Channel, Via: c.Via, Complainant: c.Complainant, Contact: c.Contact,
		Text: c.Text, State: string(c.State), Received: c.Received, AnswerDue: n.AnswerDue.UTC(), SettleDue: n.SettleDue.UTC(),
		AnswerLate: n.AnswerLate, SettleLate: n.SettleLate, Steps: []complaintStep{},
	}
	if c.Service != "" {
		s := string(c.Service)
		v.Service = &s
	}
	if c.Concerns != "" {
		v.Concerns = &c.Concerns
	}
	for _, t := range []struct {
		at   time.Time
		into **time.Time
	}{{c.AnsweredAt, &v.Answered}, {c.PassedAt, &v.Passed}, {c.ClosedAt, &v.Closed}} {
		if !t.at.IsZero() {
			*t.into = &t.at
		}
	}
	for _, s := range c.Steps {
		v.Steps = append(v.Steps, complaintStep{Kind: string(s.Kind), At: s.At, Text: s.Text, Recipient: s.Recipient, Officer: s.Actor})
	}
	return v
}

func (a *app) complaintCommand() *cobra.Command {
	c := a.describe("complaint", &cobra.Command{Use: "complaint"})
	c.AddCommand(a.complaintAdd(), a.complaintStepCommand("answer"), a.complaintStepCommand("pass"), a.complaintStepCommand("close"),
		a.complaintListCommand(), a.complaintShow())
	return c
}

func (a *app) complaintAdd() *cobra.Command {
	c := a.describe("complaint add", &cobra.Command{Use: "add"})
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			k := agenda.Complaint{Channel: agenda.ComplaintDirect, Via: flag(c, "via"), Contact: flag(c, "contact"), Concerns: flag(c, "concerns")}
			if indirect, _ := c.Flags().GetBool("indirect"); indirect || k.Via != "" {
				k.Channel = agenda.ComplaintIndirect
			}
			var err error
			if s := flag(c, "book"); s != "" {
				if k.Service, err = parseBook(s); err != nil {
					return err
				}
			}
			if k.Received, err = parseMoment("received", flag(c, "received"), d.Now()); err != nil {
				return err
			}
			if err := future(k.Received, d.Now(), "received"); err != nil {
				return err
			}
			if k.Complainant, err = a.need(c, "from", "complaint.ask.from"); err != nil {
				return err
			}
			if k.Text, err = a.needText(c, "text", "complaint.ask.text"); err != nil {
				return err
			}
			if a.flags.dryRun {
				a.say("complaint.dry")
				return a.wouldDo("sandi.complaint/1")
			}
			who, err := d.ActingOr(ctx, agenda.RoleOperator, agenda.RoleSandiman)
			if err != nil {
				return err
			}
			if k, err = d.Book.AddComplaint(ctx, who, k); err != nil {
				return err
			}
			n := d.ComplaintNorm(k)
			a.say("complaint.added", "name", k.Name(), "at", a.cat.DateTime(k.Received))
			a.say("complaint.norm", "answer", a.cat.DateTime(n.AnswerDue), "settle", a.cat.DateTime(n.SettleDue))
			v := complaintOf(d, k)
			v.Schema = "sandi.complaint/1"
			return a.result(v, func(w io.Writer) { _, _ = io.WriteString(w, k.Name()+"\n") })
		})
	}
	a.stringFlags(c, "complaint", "from", "contact", "via", "book", "concerns", "received", "text")
	c.Flags().Bool("indirect", false, a.cat.Text("flag.complaint.indirect"))
	return c
}

// complaintOfArg finds the complaint that an argument names.
func (a *app) complaintOfArg(ctx context.Context, d *desk.Desk, arg string) (agenda.Complaint, error) {
	serial, year, err := agenda.ParseComplaint(arg, a.thisYear())
	if err != nil {
		return agenda.Complaint{}, usageError("usage.complaint", "value", arg)
	}
	return d.Book.Complaint(ctx, year, serial)
}

// complaintStepCommand is answer, pass or close.
func (a *app) complaintStepCommand(step string) *cobra.Command {
	c := a.describe("complaint "+step, &cobra.Command{Use: step, Args: cobra.ExactArgs(1)})
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			k, err := a.complaintOfArg(ctx, d, args[0])
			if err != nil {
				return err
			}
			if k.State == agenda.ComplaintClosed {
				return &detailed{agenda.ErrComplaintClosed, []any{"name", k.Name()}}
			}
			at, err := parseMoment("at", flag(c, "at"), d.Now())
			if err != nil {
				return err
			}
			if err := future(at, d.Now(), "at"); err != nil {
				return err
			}
			text, err := a.needText(c, "text", "complaint.ask."+step)
			if err != nil {
				return err
			}
			to := ""
			if step == "pass" {
				if to = flag(c, "to"); to == "" {
					to = d.Config.Profile.Title(string(agenda.RoleKepalaBidang))
				} else if role, err := agenda.ParseRole(to); err == nil {
					to = d.Config.Profile.Title(string(role))
				}
			}
			if a.flags.dryRun {
				a.say("complaint.dry")
				return a.wouldDo("sandi.complaint/1")
			}
			who, err := d.ActingOr(ctx, agenda.RoleOperator, agenda.RoleSandiman)
			if err != nil {
				return err
			}
			switch step {
			case "answer":
				err = d.Book.AnswerComplaint(ctx, who, k.ID, at, text)
			case "pass":
				err = d.Book.PassComplaint(ctx, who, k.ID, at, to, text)
			default:
				err = d.Book.CloseComplaint(ctx, who, k.ID, at, text)
			}
			if err != nil {
				return &detailed{err, []any{"name", k.Name()}}
			}
			if k, err = d.Book.Complaint(ctx, k.Year, k.Serial); err != nil {
				return err
			}
			v := complaintOf(d, k)
			v.Schema = "sandi.complaint/1"
			return a.result(v, func(w io.Writer) {
				_, _ = io.WriteString(w, a.cat.Text("complaint.did."+step, "name", k.Name(), "to", to)+"\n")
			})
		})
	}
	a.stringFlags(c, "complaint", "text", "at")
	if step == "pass" {
		a.stringFlags(c, "complaint", "to")
	}
	return c
}

func (a *app) complaintListCommand() *cobra.Command {
	c := a.describe("complaint list", &cobra.Command{Use: "list"})
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error {
			var f agenda.ComplaintFilter
			f.Open, _ = c.Flags().GetBool("open")
			f.Year, _ = c.Flags().GetInt("year")
			list, err := d.Book.Complaints(ctx, f)
			if err != nil {
				return err
			}
			v := complaintList{"sandi.complaints/1", []complaintView{}}
			table := render.Table{Fixed: []int{0}}
			for _, k := range list {
				x := complaintOf(d, k)
				v.Complaints = append(v.Complaints, x)
				state := a.cat.Text("word.complaint." + x.State)
				if x.SettleLate {
					state += ", " + a.cat.Text("complaint.late")
				}
				table.Add(k.Name(), a.cat.ShortDate(k.Received), a.cat.Text("word.channel."+k.Channel), k.Complainant, state)
			}
			return a.result(v, func(w io.Writer) {
				if len(list) == 0 {
					_, _ = io.WriteString(w, a.cat.Text("complaint.none")+"\n")
				}
				_, _ = table.WriteTo(w)
			})
		})
	}
	c.Flags().Bool("open", false, a.cat.Text("flag.complaint.open"))
	c.Flags().Int("year", 0, a.cat.Text("flag.complaint.year"))
	return c
}

func (a *app) complaintShow() *cobra.Command {
	c := a.describe("complaint show", &cobra.Command{Use: "show", Args: cobra.ExactArgs(1)})
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error {
			k, err := a.complaintOfArg(ctx, d, args[0])
			if err != nil {
				return err
			}
			v := complaintOf(d, k)
			v.Schema = "sandi.complaint/1"
			return a.result(v, func(w io.Writer) { a.showComplaint(w, v) })
		})
	}
	return c
}

func (a *app) showComplaint(w io.Writer, v complaintView) {
	put := func(id string, args ...any) { _, _ = io.WriteString(w, a.cat.Text(id, args...)+"\n") }
	late := ""
	if v.SettleLate {
		late = ", " + a.cat.Text("complaint.late")
	}
	put("complaint.show.head", "name", v.Name, "state", a.cat.Text("word.complaint."+v.State)+late)
	put("complaint.show.received", "at", a.cat.DateTime(v.Received), "channel", strings.TrimSuffix(a.cat.Text("word.channel."+v.Channel)+", "+v.Via, ", "))
	put("complaint.show.from", "from", strings.TrimSuffix(v.Complainant+", "+v.Contact, ", "))
	if v.Concerns != nil {
		put("complaint.show.concerns", "entry", *v.Concerns)
	}
	for _, line := range wrapped(v.Text, 70) {
		put("complaint.show.line", "text", line)
	}
	put("complaint.norm", "answer", a.cat.DateTime(v.AnswerDue), "settle", a.cat.DateTime(v.SettleDue))
	for _, s := range v.Steps {
		put("complaint.show.step", "at", a.cat.DateTime(s.At), "what", strings.TrimSpace(a.cat.Text("word.complaint."+s.Kind)+" "+s.Recipient))
		for _, line := range wrapped(s.Text, 70) {
			put("complaint.show.line", "text", line)
		}
	}
}
