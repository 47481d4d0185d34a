package desk

import (
	"context"
	"slices"
	"time"

	"sandi/agenda"
	"sandi/agenda/extract"
)

// Summary is what the service did in a period: what the quarterly evaluation
// counts. Lists are never nil.
type Summary struct {
	From         time.Time          `json:"from"`
	Until        time.Time          `json:"until"` // exclusive
	Services     []ServiceSummary   `json:"services"`
	Volume       []VolumeRow        `json:"volume"`
	Months       []MonthRow         `json:"months"`
	Late         []LateEntry        `json:"late"`
	Trouble      TroubleSummary     `json:"trouble"`
	Destinations []DestinationCount `json:"destinations"`
	Complaints   ComplaintSummary   `json:"complaints"`
	Books        []BookIntegrity    `json:"books"`
	LogSize      int64              `json:"log_size"`
	LogRoot      string             `json:"log_root"`
	MissingYears []int              `json:"missing_holiday_years"` // reckoned without holidays
	classes      []agenda.Class     // in the order of the profile
	urgencies    []agenda.Urgency   // likewise
	durations    map[agenda.BookName][]int64
}

// ServiceSummary is one service in a period. Times are service time in
// seconds, from the receipt to the last copy.
type ServiceSummary struct {
	Book        string  `json:"book"`
	Title       string  `json:"title"`
	Entries     int     `json:"entries"`
	Voided      int     `json:"voided"`
	Sent        int     `json:"sent"`
	OnTime      int     `json:"on_time"`
	Late        int     `json:"late"`    // sent too late
	Overdue     int     `json:"overdue"` // not sent, and the time is over
	Open        int     `json:"open"`    // not sent, and there is time
	OnTimeShare float64 `json:"on_time_share"`
	Mean        int64   `json:"mean_seconds"`
	Median      int64   `json:"median_seconds"`
	Worst       int64   `json:"worst_seconds"`
}

// VolumeRow counts the entries of a month by service, class and urgency.
type VolumeRow struct {
	Month   string `json:"month"` // 2026-11
	Book    string `json:"book"`
	Class   string `json:"classification"`
	Urgency string `json:"urgency"`
	Entries int    `json:"entries"`
}

// MonthRow is one service in one month.
type MonthRow struct {
	Month   string `json:"month"`
	Book    string `json:"book"`
	Entries int    `json:"entries"`
	OnTime  int    `json:"on_time"`
}

// LateEntry is an entry that was sent too late, or is not sent and should be.
type LateEntry struct {
	Entry    string     `json:"entry"`
	Received time.Time  `json:"received_at"`
	Due      time.Time  `json:"due_at"`
	Sent     *time.Time `json:"sent_at"`
	Late     int64      `json:"late_seconds"` // service time
	Cause    string     `json:"cause"`        // "" = not recorded
	id       int64
}

// TroubleSummary counts what disturbed the service.
type TroubleSummary struct {
	Outages       int   `json:"outages"`
	OutageSeconds int64 `json:"outage_seconds"`
	Rejected      int   `json:"rejected"`
	Doubted       int   `json:"doubted"`
	Evidenced     int   `json:"doubt_evidenced"`
	Reopened      int   `json:"doubt_sent_again"`
	Cancelled     int   `json:"doubt_cancelled"`
	Returned      int   `json:"returned"`
	// Withdrawn are the entries of which a ralat or pencabutan was registered
	// in the period.
	Withdrawn []WithdrawnEntry `json:"withdrawn"`
}

// WithdrawnEntry is an entry that another one withdraws or corrects.
type WithdrawnEntry struct {
	Entry  string `json:"entry"`
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// DestinationCount is how many copies went to one addressee.
type DestinationCount struct {
	Unit   string `json:"unit"`
	Copies int    `json:"copies"`
}

// ComplaintSummary counts the complaints received in the period.
type ComplaintSummary struct {
	Direct      int     `json:"direct"`
	Indirect    int     `json:"indirect"`
	Closed      int     `json:"closed"`
	Passed      int     `json:"passed"`
	Open        int     `json:"open"`
	AnswerLate  int     `json:"answer_late"`
	SettleLate  int     `json:"settle_late"`
	MeanDays    float64 `json:"mean_days"` // working days until closed
	WorstDays   int     `json:"worst_days"`
	AnswerNorm  int     `json:"answer_norm_days"`
	SettleNorm  int     `json:"settle_norm_days"`
	Outstanding []Owed  `json:"outstanding"`
}

// Owed is a complaint that is not closed.
type Owed struct {
	Complaint string    `json:"complaint"`
	Received  time.Time `json:"received_at"`
	State     string    `json:"state"`
	Overdue   bool      `json:"overdue"`
}

// BookIntegrity is what stands in a book for the period, and whether a serial
// is missing.
type BookIntegrity struct {
	Book        string `json:"book"`
	Year        int    `json:"year"`
	First       int    `json:"first"`
	Last        int    `json:"last"`
	Entries     int    `json:"entries"`
	FirstNumber int    `json:"first_number"`
	LastNumber  int    `json:"last_number"`
	Numbers     int    `json:"numbers"`
	Whole       bool   `json:"whole"`
}

// books in the order in which sheets name them.
var books = []agenda.BookName{agenda.Surat, agenda.Kriptogram}

// Summarise counts a period [from, until). It reads the index; the log is not
// verified.
func (d *Desk) Summarise(ctx context.Context, from, until time.Time) (Summary, error) {
	s := Summary{
		From: from.UTC(), Until: until.UTC(),
		Services: []ServiceSummary{}, Volume: []VolumeRow{}, Months: []MonthRow{}, Late: []LateEntry{},
		Destinations: []DestinationCount{}, Books: []BookIntegrity{}, MissingYears: []int{},
		durations: map[agenda.BookName][]int64{},
	}
	s.Complaints.Outstanding, s.Trouble.Withdrawn = []Owed{}, []WithdrawnEntry{}
	for _, w := range d.Config.Profile.Classes {
		s.classes = append(s.classes, agenda.Class(w.Word))
	}
	for _, w := range d.Config.Profile.Urgencies {
		s.urgencies = append(s.urgencies, agenda.Urgency(w.Word))
	}
	for y := from.In(agenda.WIB).Year(); y <= until.Add(-1).In(agenda.WIB).Year(); y++ {
		if !d.Hours.CoversYear(y) {
			s.MissingYears = append(s.MissingYears, y)
		}
	}
	span, err := d.Book.Span(ctx, from, until)
	if err != nil {
		return s, err
	}
	if err := d.countEntries(ctx, span, &s); err != nil {
		return s, err
	}
	if err := d.countDestinations(ctx, span, &s); err != nil {
		return s, err
	}
	if err := d.countTrouble(ctx, &s); err != nil {
		return s, err
	}
	if err := d.countComplaints(ctx, &s); err != nil {
		return s, err
	}
	spans, err := d.Book.BookSpans(ctx, span)
	if err != nil {
		return s, err
	}
	for _, x := range spans {
		s.Books = append(s.Books, BookIntegrity{
			Book: string(x.Book), Year: x.Year, First: x.First, Last: x.Last, Entries: x.Entries,
			FirstNumber: x.FirstNumber, LastNumber: x.LastNumber, Numbers: x.Numbers, Whole: x.Whole(),
		})
	}
	size, root, err := d.Book.Head(ctx)
	s.LogSize, s.LogRoot = size, root.String()
	return s, err
}

// tally is the key of a volume row, its month as months since year 0.
type tally struct {
	month   int
	book    agenda.BookName
	class   agenda.Class
	urgency agenda.Urgency
}

func (d *Desk) countEntries(ctx context.Context, span agenda.Span, s *Summary) error {
	now := d.Now()
	volume := map[tally]int{}
	onTime := map[tally]int{} // by month and book alone
	services := map[agenda.BookName]*ServiceSummary{}
	for _, b := range books {
		services[b] = &ServiceSummary{Book: string(b), Title: d.Config.Profile.Service(string(b)).Title}
	}
	var late []LateEntry
	judge := d.judge()
	zone := agenda.WIB
	err := d.Book.Timings(ctx, span, func(t agenda.Timing) error {
		x := services[t.Name.Book]
		y, m, _ := t.Registered.In(zone).Date()
		k := tally{y*12 + int(m) - 1, t.Name.Book, t.Class, t.Urgency}
		volume[k]++
		x.Entries++
		if t.State == agenda.StateVoid {
			x.Voided++
			return nil
		}
		due := judge.due(t.Received, t.Urgency)
		if t.Sent.IsZero() {
			if now.After(due) {
				x.Overdue++
				late = append(late, LateEntry{Entry: t.Name.String(), Received: t.Received, Due: due.UTC(), Late: seconds(judge.between(due, now)), id: t.ID})
			} else {
				x.Open++
			}
			return nil
		}
		x.Sent++
		s.durations[t.Name.Book] = append(s.durations[t.Name.Book], seconds(judge.between(t.Received, t.Sent)))
		if !t.Sent.After(due) {
			x.OnTime++
			onTime[tally{month: k.month, book: k.book}]++
			return nil
		}
		x.Late++
		sent := t.Sent
		late = append(late, LateEntry{Entry: t.Name.String(), Received: t.Received, Due: due.UTC(), Sent: &sent, Late: seconds(judge.between(due, sent)), id: t.ID})
		return nil
	})
	if err != nil {
		return err
	}
	if len(late) > 0 {
		causes, err := d.Book.Explanations(ctx, span)
		if err != nil {
			return err
		}
		for i := range late {
			late[i].Cause = causes[late[i].id]
		}
		s.Late = late
	}
	for _, b := range books {
		x := services[b]
		list := s.durations[b]
		if n := len(list); n > 0 {
			slices.Sort(list)
			sum := int64(0)
			for _, v := range list {
				sum += v
			}
			x.Mean, x.Worst = sum/int64(n), list[n-1]
			x.Median = (list[(n-1)/2] + list[n/2]) / 2
		}
		if done := x.Sent + x.Overdue; done > 0 {
			x.OnTimeShare = float64(x.OnTime) / float64(done)
		}
		s.Services = append(s.Services, *x)
	}
	s.table(volume, onTime)
	return nil
}

// table puts the counts into rows: every month of the period, whatever fell
// into it.
func (s *Summary) table(volume, onTime map[tally]int) {
	y, m, _ := s.From.In(agenda.WIB).Date()
	ly, lm, _ := s.Until.Add(-1).In(agenda.WIB).Date()
	for month := y*12 + int(m) - 1; month <= ly*12+int(lm)-1; month++ {
		name := time.Date(month/12, time.Month(month%12+1), 1, 0, 0, 0, 0, agenda.WIB).Format("2006-01")
		for _, b := range books {
			row := MonthRow{Month: name, Book: string(b), OnTime: onTime[tally{month: month, book: b}]}
			for _, c := range s.classes {
				for _, u := range s.urgencies {
					n := volume[tally{month, b, c, u}]
					row.Entries += n
					if n > 0 {
						s.Volume = append(s.Volume, VolumeRow{Month: name, Book: string(b), Class: string(c), Urgency: string(u), Entries: n})
					}
				}
			}
			s.Months = append(s.Months, row)
		}
	}
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

const otherUnits = "Tujuan di luar daftar"

func (d *Desk) countDestinations(ctx context.Context, span agenda.Span, s *Summary) error {
	list, err := d.Book.Destinations(ctx, span)
	if err != nil {
		return err
	}
	for _, x := range list {
		unit := otherUnits
		if x.Correspondent != 0 {
			c, err := d.Book.CorrespondentByID(ctx, x.Correspondent)
			if err != nil {
				return err
			}
			unit = c.Unit
		}
		s.Destinations = append(s.Destinations, DestinationCount{Unit: unit, Copies: x.Copies})
	}
	return nil
}

func (d *Desk) countTrouble(ctx context.Context, s *Summary) error {
	list, err := d.Book.Troubles(ctx, s.From, s.Until)
	if err != nil {
		return err
	}
	t := &s.Trouble
	for _, x := range list {
		switch x.Kind {
		case agenda.TroubleOutage:
			t.Outages++
			t.OutageSeconds += seconds(x.Until.Sub(x.At))
		case agenda.TroubleRejected:
			t.Rejected++
		case agenda.TroubleDoubted:
			t.Doubted++
		case agenda.TroubleReturned:
			t.Returned++
		case agenda.TroubleResolved:
			switch agenda.CopyState(x.Outcome) {
			case agenda.CopyEvidenced:
				t.Evidenced++
			case agenda.CopyReady:
				t.Reopened++
			default:
				t.Cancelled++
			}
		}
	}
	return d.listWithdrawn(ctx, s)
}

func (d *Desk) listWithdrawn(ctx context.Context, s *Summary) error {
	all, err := d.withdrawals(ctx)
	if err != nil {
		return err
	}
	var by []agenda.Entry
	for _, list := range all {
		for _, e := range list {
			if !e.RegisteredAt.Before(s.From) && e.RegisteredAt.Before(s.Until) {
				by = append(by, e)
			}
		}
	}
	slices.SortFunc(by, func(x, y agenda.Entry) int { return int(x.ID - y.ID) })
	for _, e := range by {
		s.Trouble.Withdrawn = append(s.Trouble.Withdrawn, WithdrawnEntry{
			Entry: shortName(e.Letter.Refers, e.Name.Year), By: e.Name.String(), Reason: e.Letter.Retracts,
		})
	}
	return nil
}

func (d *Desk) countComplaints(ctx context.Context, s *Summary) error {
	list, err := d.Book.Complaints(ctx, agenda.ComplaintFilter{From: s.From, Until: s.Until})
	if err != nil {
		return err
	}
	x := &s.Complaints
	x.AnswerNorm, x.SettleNorm = d.Config.Profile.Complaints.Norms()
	days := 0
	for _, c := range list {
		if c.Channel == agenda.ComplaintDirect {
			x.Direct++
		} else {
			x.Indirect++
		}
		if !c.PassedAt.IsZero() {
			x.Passed++
		}
		n := d.ComplaintNorm(c)
		if n.AnswerLate {
			x.AnswerLate++
		}
		if n.SettleLate {
			x.SettleLate++
		}
		if c.State != agenda.ComplaintClosed {
			x.Open++
			x.Outstanding = append(x.Outstanding, Owed{Complaint: c.Name(), Received: c.Received, State: string(c.State), Overdue: n.SettleLate})
			continue
		}
		x.Closed++
		days += n.Days
		x.WorstDays = max(x.WorstDays, n.Days)
	}
	if x.Closed > 0 {
		x.MeanDays = float64(days) / float64(x.Closed)
	}
	return nil
}

// Norm is how a complaint stands against the norm days of the profile, in
// working days.
type Norm struct {
	Days       int // from the receipt to the close, or to now
	AnswerDue  time.Time
	SettleDue  time.Time
	AnswerLate bool
	SettleLate bool
}

// ComplaintNorm judges a complaint. An answer is also its passing on or close.
func (d *Desk) ComplaintNorm(c agenda.Complaint) Norm {
	answer, settle := d.Config.Profile.Complaints.Norms()
	now := d.Now()
	end := now
	if !c.ClosedAt.IsZero() {
		end = c.ClosedAt
	}
	answered := now
	for _, t := range []time.Time{c.AnsweredAt, c.PassedAt, c.ClosedAt} {
		if !t.IsZero() && t.Before(answered) {
			answered = t
		}
	}
	n := Norm{Days: d.Hours.WorkingDaysBetween(c.Received, end)}
	n.AnswerDue, n.SettleDue = d.workingDay(c.Received, answer), d.workingDay(c.Received, settle)
	n.AnswerLate = answered.After(n.AnswerDue)
	n.SettleLate = end.After(n.SettleDue)
	return n
}

// workingDay is the closing of the n-th working day after the day of t.
func (d *Desk) workingDay(t time.Time, n int) time.Time {
	day := t.In(agenda.WIB)
	for n > 0 {
		day = day.AddDate(0, 0, 1)
		if _, open := d.Hours.Closing(day); open {
			n--
		}
	}
	if at, open := d.Hours.Closing(day); open {
		return at
	}
	y, m, date := day.Date()
	return time.Date(y, m, date+1, 0, 0, 0, 0, agenda.WIB)
}

// Quarter is the calendar quarter of a moment, as its first day and the first
// day after it.
func Quarter(year, quarter int) (from, until time.Time) {
	from = time.Date(year, time.Month(3*quarter-2), 1, 0, 0, 0, 0, agenda.WIB)
	return from, from.AddDate(0, 3, 0)
}

// PeriodWords writes a period for a heading: "1 Oktober-31 Desember 2026".
func PeriodWords(from, until time.Time) string {
	last := until.Add(-time.Second)
	switch {
	case extract.Date(from) == extract.Date(last):
		return extract.Date(from)
	case extract.Month(from) == extract.Month(last):
		return itoa(from.In(agenda.WIB).Day()) + "\u2013" + extract.Date(last)
	case from.In(agenda.WIB).Year() == last.In(agenda.WIB).Year():
		return itoa(from.In(agenda.WIB).Day()) + " " + extract.MonthName(from) + "\u2013" + extract.Date(last)
	}
	return extract.Date(from) + "\u2013" + extract.Date(last)
}

// judge reckons limits and service time as [Desk.Due] does.
type judge struct{ d *Desk }

func (d *Desk) judge() judge { return judge{d} }

func (j judge) due(received time.Time, u agenda.Urgency) time.Time { return j.d.due(received, u).At() }

func (j judge) between(a, b time.Time) time.Duration { return j.d.Hours.Between(a, b) }
