package hours

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Error says which part of the working time could not be used. Field names
// the part, Value is what stood there.
type Error struct {
	code  string
	Field string
	Value string
	Line  int // of a holiday list; 0 elsewhere
}

// Stable codes of [Error].
const (
	CodeRange   = "hours.range"   // not a range of clock times
	CodeOverlap = "hours.overlap" // two ranges or two periods cover the same time
	CodeDay     = "hours.day"     // not the name of a weekday
	CodePeriod  = "hours.period"  // a period that ends before it begins, or a bad date
	CodeHoliday = "hours.holiday" // a holiday list that cannot be read
	CodeClosed  = "hours.closed"  // a week without a single open minute
	CodeRule    = "hours.rule"    // not the name of a deadline rule
)

// Code returns the stable code of the error.
func (e *Error) Code() string { return e.code }

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s in line %d: %q", e.Field, e.Line, e.Value)
	}
	return fmt.Sprintf("%s: %q", e.Field, e.Value)
}

// Range is an open stretch of one day, as times since local midnight, with
// From < Until <= 24 hours. Until itself is closed.
type Range struct{ From, Until time.Duration }

// String writes the range as "08.00-12.00".
func (r Range) String() string { return clock(r.From) + "-" + clock(r.Until) }

func clock(d time.Duration) string {
	m := int(d / time.Minute)
	return fmt.Sprintf("%02d.%02d", m/60, m%60)
}

// ParseRange reads "08.00-12.00"; a colon instead of the full stop and an en
// dash instead of the hyphen are accepted. The error is an [*Error] with
// [CodeRange].
func ParseRange(s string) (Range, error) {
	bad := &Error{code: CodeRange, Field: "clock range", Value: s}
	from, until, ok := strings.Cut(strings.ReplaceAll(s, "–", "-"), "-")
	if !ok {
		return Range{}, bad
	}
	a, okA := parseClock(from)
	b, okB := parseClock(until)
	if !okA || !okB || a >= b {
		return Range{}, bad
	}
	return Range{a, b}, nil
}

func parseClock(s string) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	hour, minute, ok := strings.Cut(strings.ReplaceAll(s, ":", "."), ".")
	if !ok || len(hour) == 0 || len(hour) > 2 || len(minute) != 2 {
		return 0, false
	}
	h, errH := strconv.ParseUint(hour, 10, 8)
	m, errM := strconv.ParseUint(minute, 10, 8)
	if errH != nil || errM != nil || m > 59 || h*60+m > 24*60 {
		return 0, false
	}
	return time.Duration(h*60+m) * time.Minute, true
}

// Week holds the open ranges of each weekday; a weekday that is absent is
// closed.
type Week map[time.Weekday][]Range

var weekdays = map[string]time.Weekday{
	"minggu": time.Sunday, "senin": time.Monday, "selasa": time.Tuesday, "rabu": time.Wednesday,
	"kamis": time.Thursday, "jumat": time.Friday, "sabtu": time.Saturday,
	"sunday": time.Sunday, "monday": time.Monday, "tuesday": time.Tuesday, "wednesday": time.Wednesday,
	"thursday": time.Thursday, "friday": time.Friday, "saturday": time.Saturday,
}

// ParseWeek reads a week from words: the keys are Indonesian or English
// weekdays or a stretch of them ("senin-kamis"), the values ranges for
// [ParseRange]. No weekday may be named twice.
func ParseWeek(days map[string][]string) (Week, error) {
	week := Week{}
	keys := make([]string, 0, len(days))
	for key := range days {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		first, last, stretch := strings.Cut(strings.ToLower(key), "-")
		from, okFrom := weekdays[strings.TrimSpace(first)]
		until, okUntil := from, okFrom
		if stretch {
			until, okUntil = weekdays[strings.TrimSpace(last)]
		}
		if !okFrom || !okUntil {
			return nil, &Error{code: CodeDay, Field: "weekday", Value: key}
		}
		var ranges []Range
		for _, s := range days[key] {
			r, err := ParseRange(s)
			if err != nil {
				return nil, err
			}
			ranges = append(ranges, r)
		}
		for day := from; ; day = (day + 1) % 7 {
			if _, twice := week[day]; twice {
				return nil, &Error{code: CodeOverlap, Field: "weekday named twice", Value: key}
			}
			week[day] = slices.Clone(ranges)
			if day == until {
				break
			}
		}
	}
	return week, nil
}

// days is a week made fit for reckoning: indexed, sorted, without overlap.
type days [7][]Range

func newDays(week map[time.Weekday][]Range) (days, error) {
	var out days
	for day, ranges := range week {
		if day < time.Sunday || day > time.Saturday {
			return days{}, &Error{code: CodeDay, Field: "weekday", Value: strconv.Itoa(int(day))}
		}
		sorted := slices.Clone(ranges)
		slices.SortFunc(sorted, func(a, b Range) int { return int(a.From - b.From) })
		for i, r := range sorted {
			if r.From < 0 || r.From >= r.Until || r.Until > 24*time.Hour ||
				r.From%time.Minute != 0 || r.Until%time.Minute != 0 {
				return days{}, &Error{code: CodeRange, Field: "clock range of " + day.String(), Value: r.String()}
			}
			if i > 0 && r.From < sorted[i-1].Until {
				return days{}, &Error{code: CodeOverlap, Field: "clock range of " + day.String(), Value: r.String()}
			}
		}
		out[day] = sorted
	}
	return out, nil
}

func (d days) open() bool {
	for _, ranges := range d {
		if len(ranges) > 0 {
			return true
		}
	}
	return false
}
