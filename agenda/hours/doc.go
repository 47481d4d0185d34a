// Package hours reckons with the working time of an office: when the service
// is open, when a deadline falls, how many service minutes lie between two
// moments.
//
// Entry points: [New] makes a [Calendar] from plain data, [Calendar.Due]
// gives the deadline of a request and [Calendar.UrgencyDue] the limit of an
// urgency in clock hours. Opening hours, breaks, special weeks (Ramadan) and
// holidays are data of the caller; only the holiday list of one year is
// shipped, as [Shipped].
//
// Invariants: a range is half open, so the office is open at 08.00 and closed
// at 16.00; a deadline may still fall on the closing minute itself. Service
// time never runs while the office is closed. A [Calendar] never changes
// after [New] and is safe for concurrent use.
package hours
