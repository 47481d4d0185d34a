package cmd

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"sandi/agenda"
)

// Dates are read day first, as people here write them, or as ISO; an instant without a date is today's, in WIB.

var monthWords = map[string]time.Month{
	"januari": 1, "jan": 1, "january": 1, "februari": 2, "feb": 2, "february": 2, "maret": 3, "mar": 3, "march": 3,
	"april": 4, "apr": 4, "mei": 5, "may": 5, "juni": 6, "jun": 6, "june": 6, "juli": 7, "jul": 7, "july": 7,
	"agustus": 8, "agu": 8, "agt": 8, "august": 8, "aug": 8, "september": 9, "sep": 9, "sept": 9,
	"oktober": 10, "okt": 10, "october": 10, "oct": 10, "november": 11, "nov": 11, "desember": 12, "des": 12, "december": 12, "dec": 12,
}

var dayWords = map[string]int{
	"hari ini": 0, "hari-ini": 0, "today": 0, "kemarin": -1, "yesterday": -1, "besok": 1, "tomorrow": 1,
}

var (
	isoDate   = regexp.MustCompile(`^(\d{4})-(\d{1,2})-(\d{1,2})$`)
	dayFirst  = regexp.MustCompile(`^(\d{1,2})[-/](\d{1,2})[-/](\d{4})$`)
	wordDate  = regexp.MustCompile(`^(\d{1,2})[ -]([a-z]+)\.?[ -](\d{4})$`)
	timeOfDay = regexp.MustCompile(`^(.*?)(?:^|[ ,T]|\bpukul )\s*(\d{1,2})[.:](\d{2})(?:[.:](\d{2}))?$`)
	isoMonth  = regexp.MustCompile(`^(\d{4})-(\d{1,2})$`)
	dayMonth  = regexp.MustCompile(`^(\d{1,2})[-/](\d{4})$`)
	wordMonth = regexp.MustCompile(`^([a-z]+) (\d{4})$`)
)

// parseDay reads a date and returns its midnight in WIB.
func parseDay(s string, now time.Time) (time.Time, bool) {
	s = strings.ToLower(strings.Join(strings.Fields(s), " "))
	today := midnight(now)
	if n, ok := dayWords[s]; ok {
		return today.AddDate(0, 0, n), true
	}
	number := func(s string) int {
		n, _ := strconv.Atoi(s)
		return n
	}
	switch {
	case isoDate.MatchString(s):
		m := isoDate.FindStringSubmatch(s)
		return calendarDay(number(m[1]), number(m[2]), number(m[3]))
	case dayFirst.MatchString(s):
		m := dayFirst.FindStringSubmatch(s)
		return calendarDay(number(m[3]), number(m[2]), number(m[1]))
	case wordDate.MatchString(s):
		m := wordDate.FindStringSubmatch(s)
		return calendarDay(number(m[3]), int(monthWords[m[2]]), number(m[1]))
	}
	return time.Time{}, false
}

// calendarDay refuses what time.Date would carry over into the next month.
func calendarDay(year, month, day int) (time.Time, bool) {
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, agenda.WIB)
	return t, year >= 1900 && t.Year() == year && int(t.Month()) == month && t.Day() == day
}

func midnight(t time.Time) time.Time {
	y, m, d := t.In(agenda.WIB).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, agenda.WIB)
}

// parseDate reads a date for the flag of that name and returns it as ISO; empty stays empty.
func parseDate(name, s string, now time.Time) (string, error) {
	if s == "" {
		return "", nil
	}
	t, ok := parseDay(s, now)
	if !ok {
		return "", usageError("usage.date", "flag", "--"+name, "value", s)
	}
	return t.Format(time.DateOnly), nil
}

// oddDate tells what is odd about the date of a letter, as it is stored: "ahead" when it has not come yet, "old" when it lies more
// than a year back. Both are most often a slip of the year.
func oddDate(iso string, now time.Time) string {
	today := midnight(now)
	switch {
	case iso == "":
		return ""
	case iso > today.Format(time.DateOnly):
		return "ahead"
	case iso < today.AddDate(-1, 0, 0).Format(time.DateOnly):
		return "old"
	}
	return ""
}

// parseMoment reads an instant for the flag of that name: a time, a date, both, or RFC 3339; empty is the zero time.
func parseMoment(name, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	bad := usageError("usage.moment", "flag", "--"+name, "value", s)
	text := strings.TrimSpace(strings.TrimSuffix(strings.ToUpper(s), "WIB"))
	text = s[:len(text)+(len(s)-len(strings.TrimLeft(s, " ")))]
	m := timeOfDay.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		t, ok := parseDay(text, now)
		if !ok {
			return time.Time{}, bad
		}
		return t, nil
	}
	day := midnight(now)
	if date := strings.Trim(m[1], " ,T"); date != "" {
		var ok bool
		if day, ok = parseDay(date, now); !ok {
			return time.Time{}, bad
		}
	}
	var clock [3]int
	for i, part := range m[2:] {
		clock[i], _ = strconv.Atoi(part)
	}
	if clock[0] > 23 || clock[1] > 59 || clock[2] > 59 {
		return time.Time{}, bad
	}
	return day.Add(time.Duration(clock[0])*time.Hour + time.Duration(clock[1])*time.Minute + time.Duration(clock[2])*time.Second), nil
}

// parseMonth reads a month and returns its first day and the first of the next.
func parseMonth(s string) (from, until time.Time, err error) {
	text := strings.ToLower(strings.Join(strings.Fields(s), " "))
	year, month := 0, 0
	if m := isoMonth.FindStringSubmatch(text); m != nil {
		year, _ = strconv.Atoi(m[1])
		month, _ = strconv.Atoi(m[2])
	} else if m := dayMonth.FindStringSubmatch(text); m != nil {
		month, _ = strconv.Atoi(m[1])
		year, _ = strconv.Atoi(m[2])
	} else if m := wordMonth.FindStringSubmatch(text); m != nil {
		month = int(monthWords[m[1]])
		year, _ = strconv.Atoi(m[2])
	}
	from, ok := calendarDay(year, month, 1)
	if !ok {
		return from, from, usageError("usage.month", "value", s)
	}
	return from, from.AddDate(0, 1, 0), nil
}
