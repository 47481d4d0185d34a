package agenda

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Timing is one entry as far as counting and punctuality are concerned.
type Timing struct {
	ID         int64
	Name       Name
	Class      Class
	Urgency    Urgency
	State      State
	Registered time.Time
	Received   time.Time // receipt of the letter, else its registration
	Sent       time.Time // zero: not sent
}

// Span is a period of the book as a range of entry ids: [First, After).
// Registration and id rise together, so a period needs no index of its own.
type Span struct{ First, After int64 }

// Span finds the entries registered at or after from and before until. A zero
// from or until is open.
func (b *Book) Span(ctx context.Context, from, until time.Time) (Span, error) {
	var s Span
	err := b.view(ctx, func(q *reader) error {
		var err error
		s, err = span(ctx, q, from, until)
		return err
	})
	return s, err
}

func span(ctx context.Context, q querier, from, until time.Time) (Span, error) {
	s := Span{After: 1 << 62}
	var err error
	if !from.IsZero() {
		if s.First, err = firstSince(ctx, q, from); err != nil {
			return s, err
		}
	}
	if !until.IsZero() {
		s.After, err = firstSince(ctx, q, until)
	}
	return s, err
}

// firstSince is an id at which the entries registered at or after t begin,
// found by halving: the stamps of the log never fall.
func firstSince(ctx context.Context, q querier, t time.Time) (int64, error) {
	var low, high sql.NullInt64
	// Asked for both at once, SQLite would read the whole table.
	if err := q.QueryRowContext(ctx, "SELECT (SELECT min(id) FROM entry), (SELECT max(id) FROM entry)").Scan(&low, &high); err != nil {
		return 0, storage(err)
	}
	if !low.Valid { // no entry yet
		return 0, nil
	}
	want := formatStamp(t)
	lo, hi := low.Int64, high.Int64+1
	for lo < hi {
		mid := lo + (hi-lo)/2
		var id int64
		var at string
		err := q.QueryRowContext(ctx, "SELECT id, registered_at FROM entry WHERE id>=$1 ORDER BY id LIMIT 1", mid).Scan(&id, &at)
		if err != nil {
			return 0, storage(err)
		}
		if at < want {
			lo = id + 1
		} else {
			hi = mid
		}
	}
	return lo, nil
}

// Timings calls fn for each entry of the period, oldest first. It reads the
// index alone: a period of a million entries is one pass over one table.
func (b *Book) Timings(ctx context.Context, s Span, fn func(Timing) error) error {
	return b.view(ctx, func(q *reader) error {
		// One text a row: the driver hands over a row's columns one by one, and
		// each costs as much as the reading itself.
		rows, err := q.QueryContext(ctx, `SELECT id, registered_at || coalesce(received_at, registered_at) || coalesce(sent_at, '------------------------') || year || ' ' ||
 serial || ' ' || book || ' ' || class || ' ' || urgency || ' ' || state FROM entry WHERE id>=$1 AND id<$2 AND book<>'laporan' ORDER BY id`, s.First, s.After)
		if err != nil {
			return storage(err)
		}
		defer rows.Close()
		var stamps stampReader
		words := interner{}
		for rows.Next() {
			var t Timing
			var line sql.RawBytes
			if err := rows.Scan(&t.ID, &line); err != nil {
				return storage(err)
			}
			if len(line) < 3*stampLength {
				return tampered("index of entries")
			}
			for i, into := range []*time.Time{&t.Registered, &t.Received, &t.Sent} {
				stamp := line[i*stampLength:][:stampLength]
				if stamp[0] == '-' {
					continue
				}
				if *into, err = stamps.read(stamp); err != nil {
					return err
				}
			}
			var parts [6]string
			rest := line[3*stampLength:]
			for i := range parts {
				n := len(rest)
				for j, c := range rest {
					if c == ' ' {
						n = j
						break
					}
				}
				if i == 1 { // a serial repeats only with the years
					t.Name.Serial = atoi(rest[:n])
				} else {
					parts[i] = words.of(rest[:n])
				}
				rest = rest[min(n+1, len(rest)):]
			}
			t.Name.Year = atoi([]byte(parts[0]))
			t.Name.Book, t.Class, t.Urgency, t.State = BookName(parts[2]), Class(parts[3]), Urgency(parts[4]), State(parts[5])
			if err := fn(t); err != nil {
				return err
			}
		}
		return storage(rows.Err())
	})
}

const stampLength = len(stampLayout)

// interner keeps one string of each of a few words.
type interner map[string]string

func (in interner) of(b []byte) string {
	if s, ok := in[string(b)]; ok {
		return s
	}
	s := string(b)
	in[s] = s
	return s
}

func atoi(b []byte) int {
	n := 0
	for _, c := range b {
		n = n*10 + int(c-'0')
	}
	return n
}

// stampReader reads the stamps of the index; the day before is remembered,
// since neighbours mostly share it.
type stampReader struct {
	day   [10]byte
	begin int64
}

func (r *stampReader) read(b []byte) (time.Time, error) {
	if len(b) != stampLength {
		return time.Time{}, tampered("instant in the index")
	}
	if [10]byte(b[:10]) != r.day {
		t, err := time.Parse(time.DateOnly, string(b[:10]))
		if err != nil {
			return time.Time{}, tampered("instant in the index")
		}
		r.day, r.begin = [10]byte(b[:10]), t.UnixMilli()
	}
	ms := int64(atoi(b[11:13]))*3_600_000 + int64(atoi(b[14:16]))*60_000 + int64(atoi(b[17:19]))*1000 + int64(atoi(b[20:23]))
	return time.UnixMilli(r.begin + ms).UTC(), nil
}

// Destination is how often the entries of a period went to one addressee.
type Destination struct {
	Correspondent int64 // 0: all names that are no correspondents, together
	Copies        int
}

// Destinations counts the copies of a period by addressee, the most frequent
// first. Entries that were voided do not count.
func (b *Book) Destinations(ctx context.Context, s Span) ([]Destination, error) {
	rows, err := b.readers.QueryContext(ctx, `SELECT c.correspondent, count(*) FROM copy c
 WHERE c.entry>=$1 AND c.entry<$2 AND c.entry NOT IN (SELECT id FROM entry WHERE (state='void' OR book='laporan') AND id>=$1 AND id<$2)
 GROUP BY c.correspondent ORDER BY 2 DESC, 1`, s.First, s.After)
	if err != nil {
		return nil, storage(err)
	}
	defer rows.Close()
	var out []Destination
	for rows.Next() {
		var d Destination
		if err := rows.Scan(&d.Correspondent, &d.Copies); err != nil {
			return nil, storage(err)
		}
		out = append(out, d)
	}
	return out, storage(rows.Err())
}

// Kinds of trouble.
const (
	TroubleRejected = "rejected" // a copy was certainly refused
	TroubleDoubted  = "doubted"  // a copy came into doubt
	TroubleResolved = "resolved" // a copy in doubt was settled; Outcome says how
	TroubleReturned = "returned" // a draft was sent back
	TroubleOutage   = "outage"   // the gateway could not be reached
	TroubleRetracts = "retracts" // an entry withdraws another; Outcome names that one
)

// Trouble is one disturbance of the service.
type Trouble struct {
	Seq     int64
	Kind    string
	At      time.Time
	Until   time.Time // of an outage
	Entry   int64     // -1: none
	Copy    int
	Outcome string // state that a doubt was settled to; long name of an entry withdrawn
}

// Troubles lists what went wrong with the services in [from, until), oldest
// first; what befell a report by e-mail is none of it.
func (b *Book) Troubles(ctx context.Context, from, until time.Time) ([]Trouble, error) {
	rows, err := b.readers.QueryContext(ctx, `SELECT seq, kind, at, until, entry, copy, outcome FROM trouble t WHERE at>=$1 AND at<$2
 AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.id=t.entry AND e.book='laporan') ORDER BY seq`,
		formatStamp(from), formatStamp(until))
	if err != nil {
		return nil, storage(err)
	}
	defer rows.Close()
	var out []Trouble
	for rows.Next() {
		var t Trouble
		var at string
		var ended, outcome sql.NullString
		if err := rows.Scan(&t.Seq, &t.Kind, &at, &ended, &t.Entry, &t.Copy, &outcome); err != nil {
			return nil, storage(err)
		}
		t.At, t.Until, t.Outcome = stampOf(at), stampOf(ended.String), outcome.String
		out = append(out, t)
	}
	return out, storage(rows.Err())
}

// applyTrouble writes a row for an event that tells of a disturbance.
func applyTrouble(ix index, e *event) error {
	add := func(kind string, outcome any) error {
		return ix.insert(troubleTable, []any{e.seq}, kind, formatStamp(e.at), nil, e.entry, e.getInt("copy"), outcome)
	}
	switch e.typ.name {
	case "copy.rejected":
		return add(TroubleRejected, nil)
	case "copy.doubted":
		return add(TroubleDoubted, nil)
	case "copy.evidenced", "copy.reopened", "copy.cancelled":
		if e.get("from") == string(CopyDoubt) {
			return add(TroubleResolved, e.get("to"))
		}
	case "entry.returned":
		return add(TroubleReturned, nil)
	case "entry.registered":
		if e.has("retracts") {
			return ix.insert(troubleTable, []any{e.seq}, TroubleRetracts, formatStamp(e.at), nil, e.seq, int64(0), e.get("refers"))
		}
	case "gateway.outage":
		return ix.insert(troubleTable, []any{e.seq}, TroubleOutage, e.get("from"), e.get("until"), noEntry, int64(0), nil)
	}
	return nil
}

// Retractions lists by the entry withdrawn the entries that withdraw or
// correct it, oldest first, without those that were voided themselves.
func (b *Book) Retractions(ctx context.Context) (map[Name][]Entry, error) {
	ids, err := b.ids(ctx, "SELECT entry FROM trouble WHERE kind=$1 ORDER BY seq", TroubleRetracts)
	if err != nil {
		return nil, err
	}
	entries, err := b.Brief(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := map[Name][]Entry{}
	for _, e := range entries {
		if e.State == StateVoid || e.Letter.Refers == "" {
			continue
		}
		was, err := ParseName(e.Letter.Refers, 0)
		if err != nil {
			return nil, tampered("refers")
		}
		out[was] = append(out[was], e)
	}
	return out, nil
}

// RecordOutage records that the gateway could not be reached from one moment
// until another, once it answers again.
func (b *Book) RecordOutage(ctx context.Context, a Actor, from, until time.Time, cause string) error {
	if from.IsZero() || until.Before(from) {
		return invalid("until", formatStamp(until))
	}
	return b.update(ctx, a, func(u *update) error {
		_, err := u.append(newEvent("gateway.outage").setTime("from", from).setTime("until", until).set("cause", cause))
		return err
	})
}

const unreachable = "unreachable" // in meta: since when the gateway does not answer

// Unreachable remembers the first moment at which the gateway did not answer.
// It is no event: an outage enters the log when it is over.
func (b *Book) Unreachable(ctx context.Context, at time.Time) error {
	return b.remember(ctx, unreachable, at)
}

const loginRefused = "login-refused" // in meta: since when the gateway does not take the login

// RefuseLogin remembers the first moment at which the gateway refused the
// login: whoever tries the same password again by itself locks the account.
func (b *Book) RefuseLogin(ctx context.Context, at time.Time) error {
	return b.remember(ctx, loginRefused, at)
}

// AcceptLogin forgets RefuseLogin.
func (b *Book) AcceptLogin(ctx context.Context) error {
	if at, err := b.LoginRefused(ctx); err != nil || at.IsZero() {
		return err
	}
	return b.update(ctx, Actor{Handle: "-"}, func(u *update) error {
		return u.exec("DELETE FROM meta WHERE name=$1", loginRefused)
	})
}

// LoginRefused is the moment that RefuseLogin remembers, zero when the last
// login succeeded.
func (b *Book) LoginRefused(ctx context.Context) (time.Time, error) {
	return b.remembered(ctx, loginRefused)
}

// remember keeps the first of several moments until it is deleted.
func (b *Book) remember(ctx context.Context, name string, at time.Time) error {
	return b.update(ctx, Actor{Handle: "-"}, func(u *update) error {
		return u.exec("INSERT INTO meta(name, value) VALUES($1, $2) ON CONFLICT(name) DO NOTHING", name, formatStamp(at))
	})
}

func (b *Book) remembered(ctx context.Context, name string) (time.Time, error) {
	stamp, found, err := readMeta(ctx, b.readers, name)
	if !found {
		return time.Time{}, err
	}
	at, err := parseStamp(stamp)
	if err != nil {
		return time.Time{}, tampered("meta " + name)
	}
	return at, nil
}

// Reachable records the outage that ends now, if the gateway was remembered as
// unreachable, and returns when it began; the zero time when there was none.
func (b *Book) Reachable(ctx context.Context, a Actor, at time.Time) (since time.Time, err error) {
	from, err := b.remembered(ctx, unreachable)
	if err != nil || from.IsZero() {
		return time.Time{}, err
	}
	if at.Before(from) {
		at = from
	}
	err = b.update(ctx, a, func(u *update) error {
		since = time.Time{} // an update may run again
		gone, err := u.changed("DELETE FROM meta WHERE name=$1 AND value=$2", unreachable, formatStamp(from))
		if err != nil || !gone {
			return err
		}
		since = from
		_, err = u.append(newEvent("gateway.outage").setTime("from", from).setTime("until", at))
		return err
	})
	return since, err
}

// Explain records why an entry was late. The newest explanation counts.
func (b *Book) Explain(ctx context.Context, a Actor, id int64, reason string) error {
	if err := required("reason", reason); err != nil {
		return err
	}
	return b.update(ctx, a, func(u *update) error {
		var known bool
		if err := u.row("SELECT EXISTS (SELECT 1 FROM entry WHERE id=$1)", id).Scan(&known); err != nil {
			return storage(err)
		}
		if !known {
			return &Error{code: "agenda.not_found", Field: "entry"}
		}
		_, err := u.append(newEvent("entry.explained").on(id, "", "").set("reason", reason))
		return err
	})
}

// Explanations returns the recorded causes of lateness of a period, by entry.
func (b *Book) Explanations(ctx context.Context, s Span) (map[int64]string, error) {
	out := map[int64]string{}
	err := readEvents(ctx, b.readers, "JOIN explained x ON x.seq = e.seq WHERE x.entry>=$1 AND x.entry<$2 ORDER BY e.seq",
		[]any{s.First, s.After}, func(e *event) error {
			out[e.entry] = e.get("reason")
			return nil
		})
	return out, err
}

// BookSpan is what stands in one book in a period.
type BookSpan struct {
	Book                    BookName
	Year                    int
	First, Last             int // serials; 0: none
	Entries                 int
	FirstNumber, LastNumber int // kriptogram numbers given to these entries
	Numbers                 int
}

// Whole tells whether no serial between the first and the last is missing.
func (s BookSpan) Whole() bool { return s.Entries == 0 || s.Last-s.First+1 == s.Entries }

// BookSpans counts the entries of a period by book and year.
func (b *Book) BookSpans(ctx context.Context, s Span) ([]BookSpan, error) {
	rows, err := b.readers.QueryContext(ctx, `SELECT book, year, min(serial), max(serial), count(*),
 coalesce(min(number_seq), 0), coalesce(max(number_seq), 0), count(number_seq)
 FROM entry WHERE id>=$1 AND id<$2 AND book<>'laporan' GROUP BY book, year ORDER BY book, year`, s.First, s.After)
	if err != nil {
		return nil, storage(err)
	}
	defer rows.Close()
	var out []BookSpan
	for rows.Next() {
		var x BookSpan
		if err := rows.Scan(&x.Book, &x.Year, &x.First, &x.Last, &x.Entries, &x.FirstNumber, &x.LastNumber, &x.Numbers); err != nil {
			return nil, storage(err)
		}
		out = append(out, x)
	}
	return out, storage(rows.Err())
}

// CountUpTo counts what stands in a book of a year up to a serial.
func (b *Book) CountUpTo(ctx context.Context, book BookName, year, serial int) (YearCount, error) {
	c := YearCount{Entries: serial}
	err := b.readers.QueryRowContext(ctx, "SELECT count(number_seq) FROM entry WHERE book=$1 AND year=$2 AND serial<=$3",
		string(book), year, serial).Scan(&c.Numbers)
	return c, storage(err)
}

// CountBefore counts what stands in a book of a year before the moment.
func (b *Book) CountBefore(ctx context.Context, book BookName, year int, before time.Time) (YearCount, error) {
	var c YearCount
	err := b.view(ctx, func(q *reader) error {
		s, err := span(ctx, q, time.Time{}, before)
		if err != nil {
			return err
		}
		var top sql.NullInt64
		// Serials have no gap: the highest is the count. The index knows it.
		err = q.QueryRowContext(ctx, "SELECT max(serial) FROM entry WHERE book=$1 AND year=$2 AND id<$3", string(book), year, s.After).Scan(&top)
		c.Entries = int(top.Int64)
		if err != nil || book == Surat { // an ordinary letter has no number of ours
			return storage(err)
		}
		return storage(q.QueryRowContext(ctx, "SELECT count(number_seq) FROM entry WHERE book=$1 AND year=$2 AND serial<=$3",
			string(book), year, c.Entries).Scan(&c.Numbers))
	})
	return c, err
}

// PrintedPage is where a page code was printed.
type PrintedPage struct {
	Code        string
	Page, Pages int
	At          time.Time
	Actor       string
	Kind        string
	Filter      string
	Rows        int
	Size        int64 // of the log when it was printed
	Root        Hash
	Kept        bool // the log still begins with what it was then
}

// Page finds a printed page by its code, in any case and with or without
// blanks. A code that was never printed is agenda.not_found.
func (b *Book) Page(ctx context.Context, code string) (PrintedPage, error) {
	code = strings.ToUpper(squeeze(code))
	var p PrintedPage
	err := b.view(ctx, func(q *reader) error {
		var seq int64
		err := q.QueryRowContext(ctx, "SELECT seq, page FROM page WHERE code=$1 ORDER BY seq DESC LIMIT 1", code).Scan(&seq, &p.Page)
		if errors.Is(err, sql.ErrNoRows) {
			return notPrinted(ctx, q, code)
		}
		if err != nil {
			return storage(err)
		}
		err = readEvents(ctx, q, "WHERE e.seq=$1", []any{seq}, func(e *event) error {
			p.At, p.Actor, p.Kind, p.Filter = e.at, e.actor, e.get("kind"), e.get("filter")
			if e.typ.name == "day.closed" {
				p.Kind, p.Filter = "day", e.get("date")
			}
			p.Rows, p.Size, p.Root = int(e.getInt("rows")), e.getInt("size"), e.getHash("root")
			p.Pages = len(e.list("page"))
			if e.get("page."+strconv.Itoa(p.Page)) != code {
				return tampered("page code")
			}
			return nil
		})
		if err != nil {
			return err
		}
		p.Code = code
		var size int64
		if err := q.QueryRowContext(ctx, "SELECT coalesce(max(seq) + 1, 0) FROM event").Scan(&size); err != nil {
			return storage(err)
		}
		if p.Size > size {
			return nil // the log is shorter than it was
		}
		edge, err := readEdge(ctx, q, p.Size)
		if err != nil {
			return err
		}
		p.Kept = edge.root() == p.Root
		return nil
	})
	return p, err
}

// notPrinted refuses a code of which the index knows no page. A genuine sheet is
// not called false because its row is gone.
func notPrinted(ctx context.Context, q querier, code string) error {
	for _, letters := range []string{"extr", "day."} {
		e, err := newestGeneral(ctx, q, letters, func(e *event) bool { return slices.Contains(e.list("page"), code) })
		if err != nil {
			return err
		}
		if e != nil {
			return tampered("page code")
		}
	}
	return &Error{code: "agenda.not_found", Field: "page", Value: code}
}

// Printed is how far the bound sheets of a book have come.
type Printed struct {
	Last   int   // highest serial on them; 0: nothing printed yet
	Sheet  int   // last sheet
	Volume int   // Buku ke-
	Size   int64 // of the log at the last print
}

// LastPrinted tells how far a book of a year was printed by continuation: by the
// log, since the next sheet is bound behind the last.
func (b *Book) LastPrinted(ctx context.Context, book BookName, year int) (Printed, error) {
	e, err := newestGeneral(ctx, b.readers, "extr", func(e *event) bool {
		return e.has("sheet") && e.get("book") == string(book) && int(e.getInt("year")) == year
	})
	if err != nil || e == nil {
		return Printed{}, err
	}
	return Printed{
		Last: int(e.getInt("last")), Sheet: int(e.getInt("sheet")), Volume: int(e.getInt("volume")), Size: e.getInt("size"),
	}, nil
}

// ChangedSince lists the entries of a book, up to a serial, of which a printed
// line would read otherwise since the log had the size.
func (b *Book) ChangedSince(ctx context.Context, book BookName, year, last int, size int64) ([]Name, error) {
	rows, err := b.readers.QueryContext(ctx, `SELECT e.serial, v.record FROM entry e JOIN event v ON v.entry=e.id
 WHERE e.book=$1 AND e.year=$2 AND e.serial<=$3 AND e.last>=$4 AND v.seq>=$4 ORDER BY e.serial, v.seq`, string(book), year, last, size)
	if err != nil {
		return nil, storage(err)
	}
	defer rows.Close()
	var out []Name
	for rows.Next() {
		n := Name{Book: book, Year: year}
		var record []byte
		if err := rows.Scan(&n.Serial, &record); err != nil {
			return nil, storage(err)
		}
		e, err := parseRecord(record)
		if err != nil {
			return nil, err
		}
		if e.printed() && (len(out) == 0 || out[len(out)-1] != n) {
			out = append(out, n)
		}
	}
	return out, storage(rows.Err())
}

// printed tells whether the event changes the line of its entry on paper.
func (e *event) printed() bool {
	switch e.typ.name {
	case "entry.corrected", "entry.voided", "entry.released":
		return true
	}
	return strings.HasPrefix(e.typ.name, "copy.")
}

func applyPages(ix index, e *event) error {
	return e.numbered("page", func(n int, code string) error {
		return ix.insert(pageTable, []any{e.seq, int64(n)}, code)
	})
}

// DayRecord is the close of a day: the counts of its closing sheet.
type DayRecord struct {
	Date              string // ISO, WIB
	Kriptogram, Surat int    // entries registered on the day
	Numbers           int
	Open              int // entries that still ask for something
	Size              int64
	Root              Hash
	Pages             []string
	At                time.Time // on reading
	Actor             string    // on reading
}

// CloseDay records the closing sheet of a day. A day may be closed again; the
// newest counts.
func (b *Book) CloseDay(ctx context.Context, a Actor, r DayRecord) error {
	if _, err := time.Parse(time.DateOnly, r.Date); err != nil {
		return invalid("date", r.Date)
	}
	return b.update(ctx, a, func(u *update) error {
		e := newEvent("day.closed").set("date", r.Date).setInt("kriptogram", int64(r.Kriptogram)).setInt("surat", int64(r.Surat)).
			setInt("numbers", int64(r.Numbers)).setInt("open", int64(r.Open)).setInt("size", r.Size).set("root", r.Root.String())
		for i, code := range r.Pages {
			e.set("page."+strconv.Itoa(i+1), code)
		}
		_, err := u.append(e)
		return err
	})
}

// ClosedDay returns the newest close of a day; a day never closed is
// agenda.not_found.
func (b *Book) ClosedDay(ctx context.Context, date string) (DayRecord, error) {
	r := DayRecord{}
	err := readEvents(ctx, b.readers, "JOIN closed_day d ON d.seq = e.seq WHERE d.date=$1 ORDER BY e.seq", []any{date}, func(e *event) error {
		r = DayRecord{
			Date: e.get("date"), Kriptogram: int(e.getInt("kriptogram")), Surat: int(e.getInt("surat")), Numbers: int(e.getInt("numbers")),
			Open: int(e.getInt("open")), Size: e.getInt("size"), Root: e.getHash("root"), Pages: e.list("page"), At: e.at, Actor: e.actor,
		}
		return nil
	})
	if err == nil && r.Date == "" {
		err = &Error{code: "agenda.not_found", Field: "day", Value: date}
	}
	return r, err
}
