package desk

import (
	"time"

	"sandi/agenda"
	"sandi/agenda/hours"
	"sandi/cmd/internal/config"
)

// calendar makes the working time of the office from its settings and the
// shipped holiday lists.
func calendar(c *config.Config) (*hours.Calendar, error) {
	shipped, year, _, err := hours.Shipped()
	if err != nil {
		return nil, err
	}
	h := hours.Config{Holidays: shipped, HolidayYears: append([]int{year}, c.Profile.Hours.HolidayYears...)}
	known := map[string]bool{}
	for _, d := range shipped {
		known[d.Date] = true
	}
	for _, d := range c.Profile.Hours.Holidays {
		if !known[d.Date] {
			h.Holidays = append(h.Holidays, hours.Holiday{Date: d.Date, Name: d.Name, Kind: d.Kind})
		}
	}
	if h.Days, err = week(c.Profile.Hours.Days); err != nil {
		return nil, err
	}
	for _, s := range c.Profile.Hours.Special {
		days, err := week(s.Days)
		if err != nil {
			return nil, err
		}
		h.Special = append(h.Special, hours.Period{From: s.From, Until: s.Until, Days: days})
	}
	return hours.New(h)
}

func week(days []config.Day) (hours.Week, error) {
	w := make(map[string][]string, len(days))
	for _, d := range days {
		w[d.Day] = d.Ranges
	}
	return hours.ParseWeek(w)
}

// Deadline is when an entry must be done: by the norm of the service and, if
// the letter is urgent, by its urgency in clock hours.
type Deadline struct {
	hours.Deadline
	Urgency      time.Time // zero: no limit of urgency
	UrgencyOpen  time.Time // last service minute before it
	UrgencyLimit int       // clock hours
}

// At is the moment that the entry is sorted and warned by.
func (l Deadline) At() time.Time {
	if !l.Urgency.IsZero() && l.UrgencyOpen.After(l.Received) && l.UrgencyOpen.Before(l.Deadline.At) {
		return l.UrgencyOpen
	}
	return l.Deadline.At
}

// Due reckons the deadline of an entry from the time of its receipt. A report
// has none.
func (d *Desk) Due(e agenda.Entry) Deadline {
	if e.Name.Book == agenda.Laporan {
		return Deadline{}
	}
	received := e.Letter.Received
	if received.IsZero() {
		received = e.RegisteredAt
	}
	return d.due(received, e.Letter.Urgency)
}

func (d *Desk) due(received time.Time, urgency agenda.Urgency) Deadline {
	p := d.Config.Profile.Deadline
	l := Deadline{Deadline: d.Hours.Due(received, hours.Rule(p.Rule), time.Duration(p.ServiceHours)*time.Hour)}
	if n := d.Config.Profile.UrgencyLimit(string(urgency)); n > 0 {
		l.UrgencyLimit = n
		l.Urgency, l.UrgencyOpen, _ = d.Hours.UrgencyDue(received, n)
	}
	return l
}
