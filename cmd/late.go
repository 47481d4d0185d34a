package cmd

import (
	"context"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
)

// tellLate tells which of the entries that just became sent did so too late, in minutes of service time. On a terminal it asks
// for the cause, which may be left for later; elsewhere it names the command.
func (a *app) tellLate(ctx context.Context, d *desk.Desk, entries []agenda.Entry) error {
	for _, e := range entries {
		if e.State != agenda.StateSent || e.SentAt.IsZero() || e.Name.Book == agenda.Laporan {
			continue
		}
		late := d.Hours.Between(d.Due(e).At(), e.SentAt)
		if late < time.Minute {
			continue
		}
		a.warn("late.sent", "entry", a.entryName(e.Name), "at", a.cat.Clock(e.SentAt), "span", a.span(late))
		cause := ""
		if a.term.CanPrompt() && !a.flags.yes && !a.flags.quiet && !a.flags.json {
			var err error
			if cause, err = a.ask("--reason", "late.ask"); err != nil && codeOf(err) != codeAnswerEnded {
				return err
			}
		}
		if cause == "" {
			a.warn("late.next", "entry", a.entryName(e.Name))
			continue
		}
		if err := explain(ctx, d, e, cause); err != nil {
			return err
		}
		a.say("agenda.cause_noted", "entry", e.Name)
	}
	return nil
}

// explain records why an entry was late.
func explain(ctx context.Context, d *desk.Desk, e agenda.Entry, cause string) error {
	who, err := d.ActingOr(ctx, desk.Clerk(e.Name.Book))
	if err != nil {
		return err
	}
	return d.Book.Explain(ctx, who, e.ID, cause)
}

// sayDueToday reminds of an entry whose time ends today and that is not sent yet.
func (a *app) sayDueToday(d *desk.Desk, e agenda.Entry) {
	at, now := d.Due(e).At(), d.Now()
	if midnight(at).Equal(midnight(now)) && now.Before(at) {
		a.say("due.today", "entry", a.entryName(e.Name), "at", a.cat.Clock(at), "left", a.span(d.Hours.Between(now.Truncate(time.Minute), at)))
	}
}
