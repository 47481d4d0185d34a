package hours

import (
	"bufio"
	"bytes"
	_ "embed" // the shipped holiday list
	"io"
	"strconv"
	"strings"
	"time"
)

// Kinds of [Holiday]. The service is closed on both.
const (
	National   = "nasional"
	Collective = "cuti-bersama"
)

// Holiday is one closed day. Date is ISO ("2026-08-17"), in the zone of the
// calendar.
type Holiday struct {
	Date string
	Name string
	Kind string // National or Collective
}

const isoDate = "2006-01-02"

//go:embed holidays_2026.csv
var shipped []byte

// Shipped returns the holiday list that comes with the package. The joint
// decree of a later year is imported by the office; it is never guessed.
func Shipped() (holidays []Holiday, year int, decree string, err error) {
	return ParseHolidays(bytes.NewReader(shipped))
}

// maxHolidayFile bounds a holiday list, in octets: a year has few lines.
const maxHolidayFile = 64 << 10

// ParseHolidays reads the holiday list of one year. The text is UTF-8, one
// item a line, fields separated by semicolons; a byte order mark, CRLF, empty
// lines and lines that begin with # are accepted:
//
//	tahun;2026
//	dasar;Keputusan Bersama Tiga Menteri Nomor …
//	2026-08-17;nasional;Proklamasi Kemerdekaan
//	2026-12-24;cuti-bersama;Natal
//
// tahun and dasar (the decree) stand before the first day and are required, so
// that a list without its source is refused. A day outside the year, named
// twice or of an unknown kind is an [*Error] with [CodeHoliday] and the line.
func ParseHolidays(r io.Reader) (holidays []Holiday, year int, decree string, err error) {
	text, err := io.ReadAll(io.LimitReader(r, maxHolidayFile+1))
	if err != nil {
		return nil, 0, "", err
	}
	number := 0
	bad := func(field, value string) ([]Holiday, int, string, error) {
		return nil, 0, "", &Error{code: CodeHoliday, Field: field, Value: value, Line: number}
	}
	if len(text) > maxHolidayFile {
		return bad("holiday list size", strconv.Itoa(maxHolidayFile)+"+")
	}
	seen := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(text, []byte("\xEF\xBB\xBF"))))
	for lines.Scan() {
		number++
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, rest, _ := strings.Cut(line, ";")
		key, rest = strings.TrimSpace(key), strings.TrimSpace(rest)
		switch {
		case key == "tahun":
			y, err := strconv.Atoi(rest)
			if err != nil || y < 1900 || y > 9999 || year != 0 {
				return bad("holiday year", rest)
			}
			year = y
		case key == "dasar":
			if rest == "" || decree != "" {
				return bad("holiday decree", rest)
			}
			decree = rest
		default:
			kind, name, ok := strings.Cut(rest, ";")
			kind, name = strings.TrimSpace(kind), strings.TrimSpace(name)
			date, err := time.Parse(isoDate, key)
			switch {
			case year == 0 || decree == "":
				return bad("holiday before year and decree", key)
			case err != nil || date.Year() != year || seen[key]:
				return bad("holiday date", key)
			case !ok || kind != National && kind != Collective:
				return bad("holiday kind", kind)
			case name == "":
				return bad("holiday name", key)
			}
			seen[key] = true
			holidays = append(holidays, Holiday{Date: key, Name: name, Kind: kind})
		}
	}
	if err := lines.Err(); err != nil {
		return bad("holiday list", err.Error())
	}
	if year == 0 || decree == "" {
		return bad("holiday year and decree", "")
	}
	return holidays, year, decree, nil
}
