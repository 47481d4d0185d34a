package extract

import (
	"fmt"
	"time"
	_ "time/tzdata" // Asia/Jakarta must be known on every machine
)

var wib = func() *time.Location {
	zone, err := time.LoadLocation("Asia/Jakarta")
	if err != nil {
		// The data is embedded; without it the fixed offset in force since
		// 1964 gives the same clock.
		return time.FixedZone("WIB", 7*60*60)
	}
	return zone
}()

var months = [...]string{
	"Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli",
	"Agustus", "September", "Oktober", "November", "Desember",
}

var dayNames = [...]string{"Minggu", "Senin", "Selasa", "Rabu", "Kamis", "Jumat", "Sabtu"}

// The functions below write a moment as Indonesian papers do, always in
// Asia/Jakarta (WIB) whatever the zone of t.

// Date writes "23 November 2026".
func Date(t time.Time) string {
	y, m, d := t.In(wib).Date()
	return fmt.Sprintf("%d %s %d", d, months[m-1], y)
}

// Day writes the weekday, "Senin".
func Day(t time.Time) string { return dayNames[t.In(wib).Weekday()] }

// Month writes "November 2026".
func Month(t time.Time) string {
	y, m, _ := t.In(wib).Date()
	return fmt.Sprintf("%s %d", months[m-1], y)
}

// MonthName writes "November".
func MonthName(t time.Time) string { return months[t.In(wib).Month()-1] }

// DayDate writes "Senin, 23 November 2026".
func DayDate(t time.Time) string { return Day(t) + ", " + Date(t) }

// ShortDate writes "23-11-2026", for tables.
func ShortDate(t time.Time) string { return t.In(wib).Format("02-01-2006") }

// Clock writes "10.07", for tables.
func Clock(t time.Time) string { return t.In(wib).Format("15.04") }

// ClockTime writes "10.07 WIB".
func ClockTime(t time.Time) string { return Clock(t) + " WIB" }

// ClockSeconds writes "10.09.31 WIB", where the second is evidence.
func ClockSeconds(t time.Time) string { return t.In(wib).Format("15.04.05") + " WIB" }

// DateTime writes "23 November 2026, 10.07 WIB".
func DateTime(t time.Time) string { return Date(t) + ", " + ClockTime(t) }

// DayDateTime writes "Senin, 23 November 2026, 10.07 WIB".
func DayDateTime(t time.Time) string { return Day(t) + ", " + DateTime(t) }

// ShortDateTime writes "23-11-2026 10.07", for tables.
func ShortDateTime(t time.Time) string { return ShortDate(t) + " " + Clock(t) }
