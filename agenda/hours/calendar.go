package hours

import (
	"slices"
	"time"
	_ "time/tzdata" // Asia/Jakarta must be known on every machine
)

// Period is a stretch of days, both ends included and ISO, that has a week of
// its own, such as Ramadan. A weekday absent from Days is closed.
type Period struct {
	From, Until string
	Days        map[time.Weekday][]Range
}

// Config is the working time of an office as plain data.
type Config struct {
	Zone         *time.Location // nil: Asia/Jakarta
	Days         map[time.Weekday][]Range
	Special      []Period // must not overlap
	Holidays     []Holiday
	HolidayYears []int // years whose holiday list was imported
}

// Calendar reckons with working time. The zero value is not usable.
type Calendar struct {
	zone     *time.Location
	week     days
	special  []special
	holidays map[int]Holiday
	years    map[int]bool
}

type special struct {
	from, until int // day numbers, both included
	week        days
}

// Zone returns Asia/Jakarta from the embedded zone data: the zone whose
// calendar day and year the books follow.
func Zone() *time.Location { return jakarta }

var jakarta = func() *time.Location {
	zone, err := time.LoadLocation("Asia/Jakarta")
	if err != nil {
		// The data is embedded; without it the fixed offset in force since
		// 1964 gives the same clock.
		return time.FixedZone("WIB", 7*60*60)
	}
	return zone
}()

// StandardDays returns the opening hours of the two service standards: Monday
// to Thursday 08.00-16.00 with a break at noon, Friday 08.00-11.00.
func StandardDays() Week {
	long := []Range{{8 * time.Hour, 12 * time.Hour}, {13 * time.Hour, 16 * time.Hour}}
	return Week{
		time.Monday: long, time.Tuesday: slices.Clone(long), time.Wednesday: slices.Clone(long),
		time.Thursday: slices.Clone(long), time.Friday: {{8 * time.Hour, 11 * time.Hour}},
	}
}

// New makes a calendar. It refuses ranges and periods that overlap or cannot
// be, and an ordinary week without a single open minute, in which no deadline
// could ever be reached. Errors are [*Error].
func New(config Config) (*Calendar, error) {
	c := &Calendar{zone: config.Zone, holidays: map[int]Holiday{}, years: map[int]bool{}}
	if c.zone == nil {
		c.zone = jakarta
	}
	var err error
	if c.week, err = newDays(config.Days); err != nil {
		return nil, err
	}
	if !c.week.open() {
		return nil, &Error{code: CodeClosed, Field: "ordinary week", Value: "no open range"}
	}
	for _, p := range config.Special {
		from, errFrom := parseDay(p.From)
		until, errUntil := parseDay(p.Until)
		if errFrom != nil || errUntil != nil || from > until {
			return nil, &Error{code: CodePeriod, Field: "period", Value: p.From + " " + p.Until}
		}
		week, err := newDays(p.Days)
		if err != nil {
			return nil, err
		}
		for _, other := range c.special {
			if from <= other.until && other.from <= until {
				return nil, &Error{code: CodeOverlap, Field: "period", Value: p.From + " " + p.Until}
			}
		}
		c.special = append(c.special, special{from, until, week})
	}
	for _, h := range config.Holidays {
		day, err := parseDay(h.Date)
		if err != nil {
			return nil, &Error{code: CodeHoliday, Field: "holiday date", Value: h.Date}
		}
		c.holidays[day] = h
	}
	for _, year := range config.HolidayYears {
		c.years[year] = true
	}
	return c, nil
}

// A day number counts civil days since 1970-01-01, whatever the zone.

const daySeconds = 24 * 60 * 60

func parseDay(iso string) (int, error) {
	t, err := time.Parse(isoDate, iso)
	return int(t.Unix() / daySeconds), err
}

func (c *Calendar) dayOf(t time.Time) int {
	y, m, d := t.In(c.zone).Date()
	s := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix()
	return int((s - (s%daySeconds+daySeconds)%daySeconds) / daySeconds)
}

// at is the moment a time of day is reached. Hour and minute are set as the
// wall shows them, so a zone with summer time is reckoned right.
func (c *Calendar) at(day int, since time.Duration) time.Time {
	y, m, d := time.Unix(int64(day)*daySeconds, 0).UTC().Date()
	return time.Date(y, m, d, 0, int(since/time.Minute), 0, 0, c.zone)
}

func (c *Calendar) ranges(day int) []Range {
	if _, closed := c.holidays[day]; closed {
		return nil
	}
	weekday := ((day+4)%7 + 7) % 7 // day 0 was a Thursday
	for _, s := range c.special {
		if s.from <= day && day <= s.until {
			return s.week[weekday]
		}
	}
	return c.week[weekday]
}

// Location returns the zone of the calendar.
func (c *Calendar) Location() *time.Location { return c.zone }

// Holiday returns the holiday on the calendar day of t.
func (c *Calendar) Holiday(t time.Time) (Holiday, bool) {
	h, ok := c.holidays[c.dayOf(t)]
	return h, ok
}

// CoversYear tells whether the holiday list of the year was imported.
// Deadlines in another year are reckoned without holidays.
func (c *Calendar) CoversYear(year int) bool { return c.years[year] }

// Open tells whether the service is open at t.
func (c *Calendar) Open(t time.Time) bool {
	day := c.dayOf(t)
	for _, r := range c.ranges(day) {
		if !t.Before(c.at(day, r.From)) && t.Before(c.at(day, r.Until)) {
			return true
		}
	}
	return false
}

// NextOpen returns t itself when the service is open, else the next opening.
func (c *Calendar) NextOpen(t time.Time) time.Time {
	// Ends: the ordinary week has an open day, and periods and holidays are
	// finite.
	for day := c.dayOf(t); ; day++ {
		for _, r := range c.ranges(day) {
			if from := c.at(day, r.From); t.Before(from) {
				return from
			}
			if t.Before(c.at(day, r.Until)) {
				return t.In(c.zone)
			}
		}
	}
}

// LastOpenBefore returns t itself when the service is open or just closing,
// else the last closing before t.
func (c *Calendar) LastOpenBefore(t time.Time) time.Time {
	for day := c.dayOf(t); ; day-- {
		ranges := c.ranges(day)
		for i := len(ranges) - 1; i >= 0; i-- {
			if t.Before(c.at(day, ranges[i].From)) {
				continue
			}
			if until := c.at(day, ranges[i].Until); until.Before(t) {
				return until
			}
			return t.In(c.zone)
		}
	}
}

// Closing returns the last closing of the calendar day of t, and false when
// the service is closed all day.
func (c *Calendar) Closing(t time.Time) (time.Time, bool) {
	return c.closing(c.dayOf(t))
}

func (c *Calendar) closing(day int) (time.Time, bool) {
	ranges := c.ranges(day)
	if len(ranges) == 0 {
		return time.Time{}, false
	}
	return c.at(day, ranges[len(ranges)-1].Until), true
}

// Add returns the earliest moment at which the service time d has passed since
// t: never later than the closing that completes it. A d of zero or less gives
// t.
func (c *Calendar) Add(t time.Time, d time.Duration) time.Time {
	if d <= 0 {
		return t.In(c.zone)
	}
	for day := c.dayOf(t); ; day++ {
		for _, r := range c.ranges(day) {
			from, until := c.at(day, r.From), c.at(day, r.Until)
			if from.Before(t) {
				from = t
			}
			left := until.Sub(from)
			if left <= 0 {
				continue
			}
			if d <= left {
				return from.Add(d).In(c.zone)
			}
			d -= left
		}
	}
}

// Between returns the service time from a to b, negative when b is before a.
func (c *Calendar) Between(a, b time.Time) time.Duration {
	if b.Before(a) {
		return -c.Between(b, a)
	}
	var sum time.Duration
	for day, last := c.dayOf(a), c.dayOf(b); day <= last; day++ {
		for _, r := range c.ranges(day) {
			from, until := c.at(day, r.From), c.at(day, r.Until)
			if from.Before(a) {
				from = a
			}
			if b.Before(until) {
				until = b
			}
			if d := until.Sub(from); d > 0 {
				sum += d
			}
		}
	}
	return sum
}

// WorkingDaysBetween counts the days with any open minute after the calendar
// day of a up to and including that of b: Friday to Monday is 1. It is
// negative when b lies on an earlier day.
func (c *Calendar) WorkingDaysBetween(a, b time.Time) int {
	from, until := c.dayOf(a), c.dayOf(b)
	if until < from {
		return -c.WorkingDaysBetween(b, a)
	}
	n := 0
	for day := from + 1; day <= until; day++ {
		if len(c.ranges(day)) > 0 {
			n++
		}
	}
	return n
}

// Rule names how a deadline is reckoned from the norm of one working day.
type Rule string

// The deadline rules.
const (
	ServiceHours Rule = "service-hours"  // the norm in service time from the receipt
	NextDayClose Rule = "next-day-close" // closing of the next working day
	SameDay      Rule = "same-day"       // closing of the day on which the clock starts
	Earlier      Rule = "earlier"        // the earlier of service-hours and next-day-close
)

// ParseRule reads the name of a rule; empty means [Earlier]. The error is an
// [*Error] with [CodeRule].
func ParseRule(s string) (Rule, error) {
	switch r := Rule(s); r {
	case "":
		return Earlier, nil
	case ServiceHours, NextDayClose, SameDay, Earlier:
		return r, nil
	}
	return "", &Error{code: CodeRule, Field: "deadline rule", Value: s}
}

// Deadline is a limit together with the figures that explain it.
type Deadline struct {
	At             time.Time
	Rule           Rule // the rule that decided, never Earlier
	Received       time.Time
	Starts         time.Time     // the first open moment from the receipt on
	Norm           time.Duration // service time that was granted
	RemainingToday time.Duration // service time left on the day of the receipt
	MissingYears   []int         // touched years without a holiday list
}

// Due returns the deadline of a request that came in at received. The zero
// rule, and any unknown one, counts as [Earlier]; when both readings fall
// together it is put down to the service hours.
func (c *Calendar) Due(received time.Time, rule Rule, norm time.Duration) Deadline {
	day := c.dayOf(received)
	d := Deadline{
		Received:       received.In(c.zone),
		Starts:         c.NextOpen(received),
		Norm:           norm,
		RemainingToday: c.Between(received, c.at(day+1, 0)),
	}
	service := func() (time.Time, Rule) { return c.Add(received, norm), ServiceHours }
	nextDay := func() (time.Time, Rule) {
		for next := day + 1; ; next++ {
			if t, ok := c.closing(next); ok {
				return t, NextDayClose
			}
		}
	}
	switch rule {
	case ServiceHours:
		d.At, d.Rule = service()
	case NextDayClose:
		d.At, d.Rule = nextDay()
	case SameDay:
		d.At, _ = c.Closing(d.Starts)
		d.Rule = SameDay
	default:
		d.At, d.Rule = service()
		if t, r := nextDay(); t.Before(d.At) {
			d.At, d.Rule = t, r
		}
	}
	for year := d.Received.Year(); year <= d.At.Year(); year++ {
		if !c.years[year] {
			d.MissingYears = append(d.MissingYears, year)
		}
	}
	return d
}

// UrgencyDue returns the limit of an urgency, reckoned in clock hours. When it
// falls outside the service hours, outside is true and lastOpen is the last
// closing before it, else lastOpen is the limit itself. lastOpen lies before
// received when the service does not open in between.
func (c *Calendar) UrgencyDue(received time.Time, hours int) (at, lastOpen time.Time, outside bool) {
	at = received.Add(time.Duration(hours) * time.Hour).In(c.zone)
	lastOpen = c.LastOpenBefore(at)
	return at, lastOpen, !lastOpen.Equal(at)
}
