package cmd

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
)

type applicantView struct {
	Schema  string  `json:"schema"` // sandi.applicant/1
	Handle  string  `json:"handle"`
	Unit    string  `json:"unit"`
	Contact *string `json:"contact"`
	Email   *string `json:"email"`
	Ended   bool    `json:"ended"`
}

func applicantOf(p agenda.Applicant) applicantView {
	return applicantView{"sandi.applicant/1", p.Handle, p.Unit, render.Text(p.Contact), render.Text(p.Email), p.Ended}
}

func (a *app) applicantCommand() *cobra.Command {
	c := a.describe("applicant", &cobra.Command{Use: "applicant"})
	add := a.describe("applicant add", &cobra.Command{Use: "add", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			unit, err := a.need(c, "unit", "applicant.ask.unit")
			if err != nil {
				return err
			}
			return a.saveApplicant(ctx, d, agenda.Applicant{Handle: args[0], Unit: unit, Contact: flag(c, "contact"), Email: flag(c, "email")}, "applicant.added", d.Book.AddApplicant)
		})
	}})
	edit := a.describe("applicant edit", &cobra.Command{Use: "edit", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error { return a.editApplicant(ctx, c, d, args[0]) })
	}})
	for _, sub := range []*cobra.Command{add, edit} {
		a.stringFlags(sub, "applicant", "unit", "contact", "email")
	}
	end := a.describe("applicant end", &cobra.Command{Use: "end", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error { return a.endApplicant(ctx, d, args[0]) })
	}})
	list := a.describe("applicant list", &cobra.Command{Use: "list", RunE: func(c *cobra.Command, _ []string) error {
		return a.withDesk(c, true, a.listApplicants)
	}})
	c.AddCommand(add, edit, end, list)
	return c
}

func (a *app) editApplicant(ctx context.Context, c *cobra.Command, d *desk.Desk, handle string) error {
	if !c.Flags().Changed("unit") && !c.Flags().Changed("contact") && !c.Flags().Changed("email") {
		return usageError("usage.flag_required", "flag", "--unit")
	}
	p, err := a.applicant(ctx, d, handle)
	if err != nil {
		return err
	}
	if c.Flags().Changed("unit") {
		p.Unit = flag(c, "unit")
	}
	if c.Flags().Changed("contact") {
		p.Contact = flag(c, "contact")
	}
	if c.Flags().Changed("email") {
		p.Email = flag(c, "email")
	}
	return a.saveApplicant(ctx, d, p, "applicant.edited", d.Book.ChangeApplicant)
}

func (a *app) endApplicant(ctx context.Context, d *desk.Desk, handle string) error {
	p, err := a.applicant(ctx, d, handle)
	if err != nil {
		return err
	}
	yes := a.flags.dryRun
	if !yes {
		if yes, err = a.confirm(false, "applicant.ask.end", "handle", handle, "unit", p.Unit); err != nil {
			return err
		}
	}
	if !yes {
		return a.declined("applicant.not_ended")
	}
	if a.flags.dryRun {
		a.say("applicant.dry_end", "handle", handle)
		return a.result(applicantOf(p), func(io.Writer) {})
	}
	p.Ended = true
	return a.saveApplicant(ctx, d, p, "applicant.ended", d.Book.ChangeApplicant)
}

// applicant finds an applicant that has not ended.
func (a *app) applicant(ctx context.Context, d *desk.Desk, handle string) (agenda.Applicant, error) {
	list, err := d.Book.Applicants(ctx)
	if err != nil {
		return agenda.Applicant{}, err
	}
	for _, p := range list {
		if p.Handle == handle && !p.Ended {
			return p, nil
		}
	}
	return agenda.Applicant{}, usageError("usage.unknown_applicant", "value", handle)
}

func (a *app) saveApplicant(ctx context.Context, d *desk.Desk, p agenda.Applicant, id string, save func(context.Context, agenda.Actor, agenda.Applicant) error) error {
	if p.Email != "" {
		if err := desk.CheckAddress(p.Email); err != nil {
			return err
		}
	}
	if a.flags.dryRun {
		a.say("applicant.dry", "handle", p.Handle, "unit", p.Unit)
		return a.result(applicantOf(p), func(io.Writer) {})
	}
	who, err := d.ActingOr(ctx, agenda.RoleOperator, agenda.RoleSandiman)
	if err != nil {
		return err
	}
	if err := save(ctx, who, p); err != nil {
		return err
	}
	a.say(id, "handle", p.Handle, "unit", p.Unit)
	return a.result(applicantOf(p), func(io.Writer) {})
}

func (a *app) listApplicants(ctx context.Context, d *desk.Desk) error {
	list, err := d.Book.Applicants(ctx)
	if err != nil {
		return err
	}
	v := struct {
		Schema     string          `json:"schema"`
		Applicants []applicantView `json:"applicants"`
	}{"sandi.applicants/1", []applicantView{}}
	table := render.Table{Head: a.heads("applicant.heads"), Fixed: []int{0}}
	for _, p := range list {
		if !p.Ended {
			v.Applicants = append(v.Applicants, applicantOf(p))
			table.Add(p.Handle, p.Unit, p.Contact, p.Email)
		}
	}
	return a.result(v, func(w io.Writer) { a.writeTable(w, &table, "applicant.none") })
}
