package cmd

import (
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
)

// tellLate tells which of the entries that just became sent did so too late, in minutes of service time, and asks for the cause by
// naming its command.
func (a *app) tellLate(d *desk.Desk, entries []agenda.Entry) {
	for _, e := range entries {
		if e.State != agenda.StateSent || e.SentAt.IsZero() || e.Name.Book == agenda.Laporan {
			continue
		}
		late := d.Hours.Between(d.Due(e).At(), e.SentAt)
		if late < time.Minute {
			continue
		}
		a.warn("late.sent", "entry", a.entryName(e.Name), "at", a.cat.Clock(e.SentAt), "span", a.span(late))
	}
}
