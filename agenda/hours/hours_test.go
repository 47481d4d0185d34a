package hours_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sandi/agenda/hours"
)

// wib reads "2026-11-20 10.50" as a moment in Asia/Jakarta.
func wib(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15.04", s, hours.Zone())
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func standard(t testing.TB) *hours.Calendar {
	t.Helper()
	holidays, year, _, err := hours.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	c, err := hours.New(hours.Config{Days: hours.StandardDays(), Holidays: holidays, HolidayYears: []int{year}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDue(t *testing.T) {
	t.Parallel()
	c := standard(t)
	const norm = 7 * time.Hour
	tests := map[string]struct {
		received, at string
		rule         hours.Rule
		decided      hours.Rule
		starts       string
		remaining    time.Duration
		missing      []int
	}{
		"friday_service_hours":      {"2026-11-20 10.50", "2026-11-23 15.50", hours.ServiceHours, hours.ServiceHours, "2026-11-20 10.50", 10 * time.Minute, nil},
		"friday_next_day":           {"2026-11-20 10.50", "2026-11-23 16.00", hours.NextDayClose, hours.NextDayClose, "2026-11-20 10.50", 10 * time.Minute, nil},
		"friday_earlier":            {"2026-11-20 10.50", "2026-11-23 15.50", hours.Earlier, hours.ServiceHours, "2026-11-20 10.50", 10 * time.Minute, nil},
		"friday_same_day":           {"2026-11-20 10.50", "2026-11-20 11.00", hours.SameDay, hours.SameDay, "2026-11-20 10.50", 10 * time.Minute, nil},
		"thursday_service_hours":    {"2026-11-19 14.00", "2026-11-23 10.00", hours.ServiceHours, hours.ServiceHours, "2026-11-19 14.00", 2 * time.Hour, nil},
		"thursday_next_day":         {"2026-11-19 14.00", "2026-11-20 11.00", hours.NextDayClose, hours.NextDayClose, "2026-11-19 14.00", 2 * time.Hour, nil},
		"thursday_earlier":          {"2026-11-19 14.00", "2026-11-20 11.00", hours.Earlier, hours.NextDayClose, "2026-11-19 14.00", 2 * time.Hour, nil},
		"monday_earlier":            {"2026-11-23 08.20", "2026-11-24 08.20", hours.Earlier, hours.ServiceHours, "2026-11-23 08.20", 6*time.Hour + 40*time.Minute, nil},
		"monday_kriptogram":         {"2026-11-23 08.31", "2026-11-24 08.31", hours.Earlier, hours.ServiceHours, "2026-11-23 08.31", 6*time.Hour + 29*time.Minute, nil},
		"friday_after_closing":      {"2026-11-20 11.05", "2026-11-23 16.00", hours.Earlier, hours.ServiceHours, "2026-11-23 08.00", 0, nil},
		"same_day_after_closing":    {"2026-11-20 11.05", "2026-11-23 16.00", hours.SameDay, hours.SameDay, "2026-11-23 08.00", 0, nil},
		"in_the_break":              {"2026-11-23 12.30", "2026-11-24 12.00", hours.ServiceHours, hours.ServiceHours, "2026-11-23 13.00", 3 * time.Hour, nil},
		"over_two_holidays":         {"2026-12-23 15.00", "2026-12-28 15.00", hours.Earlier, hours.ServiceHours, "2026-12-23 15.00", time.Hour, nil},
		"year_without_holiday_list": {"2026-12-31 15.00", "2027-01-01 11.00", hours.Earlier, hours.NextDayClose, "2026-12-31 15.00", time.Hour, []int{2027}},
		"zero_rule_is_earlier":      {"2026-11-19 14.00", "2026-11-20 11.00", "", hours.NextDayClose, "2026-11-19 14.00", 2 * time.Hour, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := hours.Deadline{
				At: wib(t, tt.at), Rule: tt.decided, Received: wib(t, tt.received), Starts: wib(t, tt.starts),
				Norm: norm, RemainingToday: tt.remaining, MissingYears: tt.missing,
			}
			// Received in UTC: the zone of the caller must not matter.
			if diff := cmp.Diff(want, c.Due(wib(t, tt.received).UTC(), tt.rule, norm)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUrgencyDue(t *testing.T) {
	t.Parallel()
	c := standard(t)
	tests := map[string]struct {
		received     string
		hours        int
		at, lastOpen string
		outside      bool
	}{
		"weekend_falls_back_to_friday": {"2026-11-20 10.50", 48, "2026-11-22 10.50", "2026-11-20 11.00", true},
		"inside_the_hours":             {"2026-11-23 08.31", 48, "2026-11-25 08.31", "2026-11-25 08.31", false},
		"on_the_closing_minute":        {"2026-11-24 16.00", 24, "2026-11-25 16.00", "2026-11-25 16.00", false},
		"in_the_break":                 {"2026-11-23 12.30", 24, "2026-11-24 12.30", "2026-11-24 12.00", true},
		"before_the_receipt":           {"2026-11-20 11.05", 24, "2026-11-21 11.05", "2026-11-20 11.00", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, lastOpen, outside := c.UrgencyDue(wib(t, tt.received), tt.hours)
			if !at.Equal(wib(t, tt.at)) || !lastOpen.Equal(wib(t, tt.lastOpen)) || outside != tt.outside {
				t.Errorf("got %v, %v, %v; want %+v", at, lastOpen, outside, tt)
			}
		})
	}
}

func TestWorkingDaysBetween(t *testing.T) {
	t.Parallel()
	c := standard(t)
	tests := map[string]struct {
		a, b string
		want int
	}{
		"same_day":         {"2026-11-20 08.00", "2026-11-20 23.00", 0},
		"friday_to_monday": {"2026-11-20 08.00", "2026-11-23 07.00", 1},
		"into_the_weekend": {"2026-11-20 08.00", "2026-11-22 07.00", 0},
		"over_holidays":    {"2026-12-23 08.00", "2026-12-29 08.00", 2},
		"backwards":        {"2026-11-23 08.00", "2026-11-20 08.00", -1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.WorkingDaysBetween(wib(t, tt.a), wib(t, tt.b)); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestSpecialWeekReplacesTheOrdinaryOne(t *testing.T) {
	t.Parallel()
	ramadan, err := hours.ParseWeek(map[string][]string{"senin-kamis": {"08.00-12.00", "12.30-15.00"}, "Jumat": {"08.00-10.30"}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := hours.New(hours.Config{
		Days:    hours.StandardDays(),
		Special: []hours.Period{{From: "2026-02-18", Until: "2026-03-19", Days: ramadan}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]bool{
		"2026-02-17 15.30": true, "2026-02-18 15.30": false, "2026-02-18 12.45": true,
		"2026-03-19 12.45": true, "2026-03-20 10.45": true, "2026-03-13 10.45": false,
	} {
		if got := c.Open(wib(t, s)); got != want {
			t.Errorf("Open(%s) = %v, want %v", s, got, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	day := func(ranges ...hours.Range) map[time.Weekday][]hours.Range {
		return map[time.Weekday][]hours.Range{time.Monday: ranges}
	}
	h := time.Hour
	tests := map[string]struct {
		config hours.Config
		code   string
	}{
		"no_open_minute":     {hours.Config{}, hours.CodeClosed},
		"overlapping_ranges": {hours.Config{Days: day(hours.Range{From: 8 * h, Until: 12 * h}, hours.Range{From: 11 * h, Until: 13 * h})}, hours.CodeOverlap},
		"past_midnight":      {hours.Config{Days: day(hours.Range{From: 8 * h, Until: 25 * h})}, hours.CodeRange},
		"no_such_weekday":    {hours.Config{Days: map[time.Weekday][]hours.Range{7: nil}}, hours.CodeDay},
		"period_backwards":   {hours.Config{Days: hours.StandardDays(), Special: []hours.Period{{From: "2026-03-02", Until: "2026-03-01"}}}, hours.CodePeriod},
		"period_not_a_date":  {hours.Config{Days: hours.StandardDays(), Special: []hours.Period{{From: "2026-02-30", Until: "2026-03-01"}}}, hours.CodePeriod},
		"periods_overlap": {hours.Config{Days: hours.StandardDays(), Special: []hours.Period{
			{From: "2026-03-01", Until: "2026-03-05"}, {From: "2026-03-05", Until: "2026-03-09"},
		}}, hours.CodeOverlap},
		"holiday_not_a_date": {hours.Config{Days: hours.StandardDays(), Holidays: []hours.Holiday{{Date: "1 Januari"}}}, hours.CodeHoliday},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := hours.New(tt.config)
			if got := code(err); got != tt.code {
				t.Errorf("got %v (%s), want %s", err, got, tt.code)
			}
		})
	}
}

func code(err error) string {
	var coded interface{ Code() string }
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return ""
}

func TestParseRange(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ in, want, code string }{
		"full_stop":      {"08.00-12.00", "08.00-12.00", ""},
		"colon_and_dash": {" 8:00 – 16:30 ", "08.00-16.30", ""},
		"whole_day":      {"00.00-24.00", "00.00-24.00", ""},
		"backwards":      {"12.00-08.00", "", hours.CodeRange},
		"empty_range":    {"08.00-08.00", "", hours.CodeRange},
		"minute_sixty":   {"08.60-12.00", "", hours.CodeRange},
		"past_midnight":  {"08.00-24.01", "", hours.CodeRange},
		"one_time":       {"08.00", "", hours.CodeRange},
		"signed":         {"+8.00-12.00", "", hours.CodeRange},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := hours.ParseRange(tt.in)
			if code(err) != tt.code || err == nil && r.String() != tt.want {
				t.Errorf("got %v, %v", r, err)
			}
		})
	}
}

func TestShippedHolidays(t *testing.T) {
	t.Parallel()
	holidays, year, decree, err := hours.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, h := range holidays {
		kinds[h.Kind]++
	}
	if diff := cmp.Diff(map[string]int{hours.National: 17, hours.Collective: 8}, kinds); diff != "" {
		t.Error(diff)
	}
	if year != 2026 || !strings.Contains(decree, "1497 Tahun 2025") {
		t.Errorf("year %d, decree %q", year, decree)
	}
	c := standard(t)
	if !c.CoversYear(2026) || c.CoversYear(2027) {
		t.Error("the imported year is not the covered one")
	}
	if h, ok := c.Holiday(wib(t, "2026-08-17 10.00")); !ok || h.Kind != hours.National || c.Open(wib(t, "2026-08-17 10.00")) {
		t.Errorf("17 August: %+v, %v", h, ok)
	}
}

func TestParseHolidaysRefuses(t *testing.T) {
	t.Parallel()
	const head = "tahun;2026\ndasar;SKB\n"
	tests := map[string]struct {
		in   string
		line int
	}{
		"empty":         {"", 0},
		"without_dasar": {"tahun;2026\n2026-01-01;nasional;Tahun Baru\n", 2},
		"other_year":    {head + "2027-01-01;nasional;Tahun Baru\n", 3},
		"no_such_day":   {head + "2026-02-30;nasional;Hari\n", 3},
		"named_twice":   {head + "2026-01-01;nasional;A\n2026-01-01;nasional;B\n", 4},
		"unknown_kind":  {head + "2026-01-01;libur;A\n", 3},
		"no_name":       {head + "2026-01-01;nasional; \n", 3},
		"two_years":     {"tahun;2026\ntahun;2027\n", 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, _, err := hours.ParseHolidays(strings.NewReader(tt.in))
			var e *hours.Error
			if !errors.As(err, &e) || e.Code() != hours.CodeHoliday || e.Line != tt.line {
				t.Errorf("got %v, want line %d", err, tt.line)
			}
		})
	}
}

// model is the slow reading of a calendar: it asks Open for every minute.
type model struct{ c *hours.Calendar }

func (m model) add(t time.Time, minutes int) time.Time {
	for minutes > 0 {
		if m.c.Open(t) {
			minutes--
		}
		t = t.Add(time.Minute)
	}
	return t
}

func (m model) between(a, b time.Time) (n time.Duration) {
	for t := a; t.Before(b); t = t.Add(time.Minute) {
		if m.c.Open(t) {
			n += time.Minute
		}
	}
	return n
}

func (m model) nextOpen(t time.Time) time.Time {
	for !m.c.Open(t) {
		t = t.Add(time.Minute)
	}
	return t
}

func (m model) lastOpen(t time.Time) time.Time {
	for !m.c.Open(t) && !m.c.Open(t.Add(-time.Minute)) {
		t = t.Add(-time.Minute)
	}
	return t
}

func genCalendar(t *rapid.T) *hours.Calendar {
	week := func(label string, mayBeClosed bool) map[time.Weekday][]hours.Range {
		out := map[time.Weekday][]hours.Range{}
		for day := time.Sunday; day <= time.Saturday; day++ {
			var ranges []hours.Range
			at := 0
			for range rapid.IntRange(0, 2).Draw(t, label) {
				from := at + rapid.IntRange(0, 300).Draw(t, "gap")
				until := from + rapid.IntRange(1, 400).Draw(t, "length")
				ranges = append(ranges, hours.Range{From: time.Duration(from) * time.Minute, Until: time.Duration(until) * time.Minute})
				at = until
			}
			out[day] = ranges
		}
		if !mayBeClosed && len(out[time.Wednesday]) == 0 {
			out[time.Wednesday] = []hours.Range{{From: 8 * time.Hour, Until: 9 * time.Hour}}
		}
		return out
	}
	config := hours.Config{Days: week("ranges", false)}
	if rapid.Bool().Draw(t, "special") {
		config.Special = []hours.Period{{From: "2026-03-03", Until: "2026-03-09", Days: week("special ranges", true)}}
	}
	for range rapid.IntRange(0, 4).Draw(t, "holidays") {
		config.Holidays = append(config.Holidays, hours.Holiday{Date: fmt.Sprintf("2026-03-%02d", rapid.IntRange(1, 20).Draw(t, "holiday"))})
	}
	c, err := hours.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAgainstMinuteModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := genCalendar(t)
		m := model{c}
		base := time.Date(2026, 3, 1, 0, 0, 0, 0, hours.Zone())
		at := base.Add(time.Duration(rapid.IntRange(0, 14*24*60).Draw(t, "at")) * time.Minute)
		minutes := rapid.IntRange(0, 900).Draw(t, "minutes")
		if got, want := c.Add(at, time.Duration(minutes)*time.Minute), m.add(at, minutes); !got.Equal(want) {
			t.Fatalf("Add = %v, minute by minute %v", got, want)
		}
		if got, want := c.NextOpen(at), m.nextOpen(at); !got.Equal(want) {
			t.Fatalf("NextOpen = %v, minute by minute %v", got, want)
		}
		if got, want := c.LastOpenBefore(at), m.lastOpen(at); !got.Equal(want) {
			t.Fatalf("LastOpenBefore = %v, minute by minute %v", got, want)
		}
		other := base.Add(time.Duration(rapid.IntRange(0, 14*24*60).Draw(t, "other")) * time.Minute)
		want := m.between(at, other)
		if other.Before(at) {
			want = -m.between(other, at)
		}
		if got := c.Between(at, other); got != want {
			t.Fatalf("Between = %v, minute by minute %v", got, want)
		}
	})
}

// Lateness and deadline agree: the service time up to a deadline by service
// hours is the norm, whatever the moment, down to the nanosecond.
func TestDeadlineSpendsTheNorm(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := genCalendar(t)
		at := time.Date(2026, 3, 1, 0, 0, 0, 0, hours.Zone()).Add(time.Duration(rapid.Int64Range(0, int64(14*24*time.Hour)).Draw(t, "at")))
		norm := time.Duration(rapid.Int64Range(1, int64(20*time.Hour)).Draw(t, "norm"))
		d := c.Due(at, hours.ServiceHours, norm)
		if got := c.Between(at, d.At); got != norm {
			t.Fatalf("%v of service until the deadline, norm %v", got, norm)
		}
		if got := c.Between(at, d.At.Add(-time.Nanosecond)); got >= norm {
			t.Fatalf("norm %v was spent before the deadline", norm)
		}
		earlier := c.Due(at, hours.Earlier, norm)
		if earlier.At.After(d.At) || earlier.At.After(c.Due(at, hours.NextDayClose, norm).At) {
			t.Fatalf("earlier rule gave %v, the later reading", earlier.At)
		}
	})
}

func FuzzParseHolidays(f *testing.F) {
	f.Add("tahun;2026\ndasar;SKB\n2026-01-01;nasional;Tahun Baru\n")
	f.Add("\xEF\xBB\xBF# x\r\ntahun;2026\r\ndasar;SKB\r\n2026-12-24;cuti-bersama;Natal\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		holidays, year, decree, err := hours.ParseHolidays(strings.NewReader(in))
		if err != nil {
			return
		}
		// What was accepted can be written out and read back the same.
		var out strings.Builder
		fmt.Fprintf(&out, "tahun;%d\ndasar;%s\n", year, decree)
		for _, h := range holidays {
			fmt.Fprintf(&out, "%s;%s;%s\n", h.Date, h.Kind, h.Name)
		}
		again, year2, decree2, err := hours.ParseHolidays(strings.NewReader(out.String()))
		if err != nil || year2 != year || decree2 != decree || !cmp.Equal(holidays, again) {
			t.Errorf("read back %v %d %q %v", again, year2, decree2, err)
		}
		if _, err := hours.New(hours.Config{Days: hours.StandardDays(), Holidays: holidays}); err != nil {
			t.Errorf("accepted list refused by New: %v", err)
		}
	})
}
