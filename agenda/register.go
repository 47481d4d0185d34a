package agenda

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxRecipients is how many addressees one letter may have.
const MaxRecipients = 500

// maxField is the most that one field may hold, in octets.
const maxField = 4000

// checkLetter checks what can be said of a letter alone.
func checkLetter(l Letter) error {
	if _, ok := classWords[string(l.Class)]; !ok || word(string(l.Class)) != string(l.Class) || classWords[string(l.Class)] != l.Class {
		if l.Class == "" {
			return missingField("class")
		}
		return invalid("class", string(l.Class))
	}
	if l.Urgency == "" {
		return missingField("urgency")
	}
	if urgencyWords[string(l.Urgency)] != l.Urgency {
		return invalid("urgency", string(l.Urgency))
	}
	for _, f := range []struct {
		key, value string
		required   bool
	}{
		{"applicant", l.Applicant, true},
		{"request", l.Request, false},
		{"letter", l.Number, true},
		{"letter-date", l.Date, true},
		{"origin", l.Origin, false},
		{"subject", l.Subject, true},
		{"enclosures", l.Enclosures, false},
		{"archive-class", l.ArchiveClass, false},
		{"place", l.Place, false},
		{"note", l.Note, false},
		{"retracts", l.Retracts, false},
	} {
		if err := CheckText(f.key, f.value); err != nil {
			return err
		}
		if f.required && strings.TrimSpace(f.value) == "" {
			return missingField(f.key)
		}
	}
	for key, date := range map[string]string{"letter-date": l.Date, "request-date": l.RequestDate} {
		if date != "" && !dateOK(date) {
			return invalid(key, date)
		}
	}
	if l.Pages < 0 || l.Pages > 1_000_000 {
		return invalid("pages", strconv.Itoa(l.Pages))
	}
	if l.Refers != "" {
		if n, err := ParseName(l.Refers, 0); err != nil || n.Long() != l.Refers {
			return invalid("refers", l.Refers)
		}
	}
	if l.Retracts != "" && l.Refers == "" {
		return missingField("refers")
	}
	return CheckRecipients(l)
}

// CheckText checks a text of a letter alone, as [Book.Register] does.
func CheckText(key, value string) error {
	if slices.Contains(longFields, key) {
		return checkText(key, value)
	}
	return checkLine(key, value, maxField)
}

// longFields are the texts of a letter that may have several lines.
var longFields = []string{"subject", "enclosures", "place", "note", "retracts"}

// maxName bounds a name that stands in a line of a signed text, in octets as
// they are written there: with two fingerprints beside it the line stays within
// what signedtext takes.
const maxName = 200

// OneLine tells whether a text is a line of its own wherever it stands: in a
// cover sheet, a form, a header. Controls and line ends would begin another
// one, bidi marks would show it in another order.
func OneLine(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r != '%' && escapes(r) })
}

// checkLine is checkText for a text of one line of at most so many octets.
func checkLine(key, value string, most int) error {
	if err := checkText(key, value); err != nil {
		return err
	}
	if !OneLine(value) {
		return invalid(key, value)
	}
	if size := len(EscapeValue(value)); most < maxField && size > most {
		return tooLong(key, size, most)
	}
	return nil
}

// checkNames is checkLine for the names of people, offices and posts.
func checkNames(pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if err := checkLine(pairs[i], pairs[i+1], maxName); err != nil {
			return err
		}
	}
	return nil
}

func checkText(key, value string) error {
	if len(value) > maxField {
		return tooLong(key, len(value), maxField)
	}
	if !utf8.ValidString(value) {
		return invalid(key, "")
	}
	return nil
}

func tooLong(key string, size, most int) *Error {
	return &Error{code: "agenda.long_field", Field: key, Size: size, Most: most}
}

// CheckRecipients checks the addressees of a letter alone, as [Book.Register]
// does.
func CheckRecipients(l Letter) error {
	if len(l.To) == 0 {
		return missingField("to")
	}
	if n := len(l.To) + len(l.Cc); n > MaxRecipients {
		return tooLong("recipients", n, MaxRecipients)
	}
	seen := map[string]bool{}
	for i, name := range append(append([]string(nil), l.To...), l.Cc...) {
		key := KindTo
		if i >= len(l.To) {
			key = KindCc
		}
		if strings.TrimSpace(name) == "" {
			return missingField(key)
		}
		if err := checkLine(key, name, maxName); err != nil {
			return err
		}
		if name = normal(name); seen[name] {
			return &Error{code: "agenda.recipient_twice", Field: key, Value: name}
		}
		seen[name] = true
	}
	return nil
}

// settleLetter checks a letter against the people of the book and writes the
// applicant's unit for its handle. was is the applicant that the entry has
// already: the unit may have another name by now.
func (u *update) settleLetter(book BookName, l *Letter, was string) error {
	if err := checkLetter(*l); err != nil {
		return err
	}
	if BookFor(l.Class) != book {
		return &Error{code: "agenda.class_book", Field: "class", Value: string(l.Class)}
	}
	unit, err := u.applicantUnit(l.Applicant)
	if err != nil {
		return err
	}
	if unit != "" {
		l.Applicant = unit
	}
	l.Received = l.Received.UTC()
	if book != Kriptogram {
		return nil
	}
	if unit == "" && l.Applicant != was {
		known, err := u.unitOnRecord(l.Applicant)
		if err != nil {
			return err
		}
		if !known {
			return &Error{code: "agenda.unknown_applicant", Field: "applicant", Value: l.Applicant}
		}
	}
	for _, handle := range append(append([]string(nil), l.To...), l.Cc...) {
		if err := u.approved(handle); err != nil {
			return err
		}
	}
	return nil
}

// approved refuses a handle that is not of a correspondent to whom letters may
// still go.
func (u *update) approved(handle string) error {
	key := "approved " + handle
	if _, ok := u.people[key]; ok {
		return nil
	}
	err := u.known("correspondent", normal(handle), "agenda.unknown_correspondent")
	switch {
	case err == nil:
		u.people[key] = 1
	case errors.Is(err, ErrUnknownCorrespondent):
		return &Error{code: "agenda.unknown_correspondent", Field: "to", Value: handle}
	}
	return err
}

// Register enters letters in the books: all or none. A letter whose Once token
// is already in the log is not entered again; its entry is returned with
// Existed set. With a number that was neither entered nor is its number now it is
// agenda.once_other.
func (b *Book) Register(ctx context.Context, a Actor, regs ...Registration) ([]Registered, error) {
	out := make([]Registered, 0, len(regs))
	err := b.update(ctx, a, func(u *update) error {
		serials := map[BookName]int{}
		for i := range regs {
			r, err := u.register(regs[i], serials)
			if err != nil {
				return err
			}
			out = append(out, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (u *update) register(r Registration, serials map[BookName]int) (Registered, error) {
	var once Hash
	if r.Once != "" {
		once = sha256.Sum256([]byte(r.Once))
		known, err := u.registeredOnce(once)
		if err == nil && known.Existed {
			err = u.sameLetter(known, r.Letter)
		}
		if err != nil || known.Existed {
			return known, err
		}
	}
	l := r.Letter
	book := r.Book
	if book == "" {
		book = BookFor(l.Class)
	}
	if book.Letter() == "" {
		return Registered{}, invalid("book", string(book))
	}
	if err := u.settleLetter(book, &l, ""); err != nil {
		return Registered{}, err
	}
	year := u.stamp.In(WIB).Year()
	if _, ok := serials[book]; !ok {
		// max + 1 inside the write transaction: no number can be lost or doubled.
		top, err := u.topSerial(book, year)
		if err != nil {
			return Registered{}, err
		}
		serials[book] = top
	}
	serials[book]++
	name := Name{Book: book, Year: year, Serial: serials[book]}
	e := newEvent("entry.registered").on(registering, "-", StateRegistered).
		set("book", string(book)).setInt("year", int64(year)).setInt("serial", int64(name.Serial)).
		setHash("once", once).set("class", string(l.Class)).set("urgency", string(l.Urgency)).setLetter(l)
	id, err := u.append(e)
	if err != nil {
		return Registered{}, err
	}
	return Registered{Entry: name, ID: id, At: u.stamp}, nil
}

// topSerial is the highest serial of a book and year, 0 before the first.
func (u *update) topSerial(book BookName, year int) (int, error) {
	if err := u.checkTops(); err != nil {
		return 0, err
	}
	var top sql.NullInt64
	err := u.row("SELECT max(serial) FROM entry WHERE book=$1 AND year=$2", string(book), year).Scan(&top)
	return int(top.Int64), storage(err)
}

func (u *update) registeredOnce(once Hash) (Registered, error) {
	n, e, err := registeredUnder(u.ctx, u.b.conn, once)
	if err != nil || e == nil {
		return Registered{}, err
	}
	return Registered{Entry: n, ID: e.seq, At: e.at, Existed: true}, nil
}

// registeredUnder finds by the log the letter that was entered under a token: a
// row that forgot its token would have it entered, and sent, once more.
func registeredUnder(ctx context.Context, q querier, once Hash) (Name, *event, error) {
	var found *event
	err := readEvents(ctx, q, "WHERE "+hasOnce+" AND "+onceHex+"=CAST($1 AS BLOB) ORDER BY e.seq LIMIT 1", []any{once.String()}, func(e *event) error {
		found = e
		return nil
	})
	if err != nil || found == nil {
		return Name{}, nil, err
	}
	n := Name{Book: BookName(found.get("book")), Year: int(found.getInt("year")), Serial: int(found.getInt("serial"))}
	var known bool
	err = q.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM entry WHERE id=$1 AND once=$2 AND book=$3 AND year=$4 AND serial=$5)",
		found.seq, once[:], string(n.Book), n.Year, n.Serial).Scan(&known)
	if err == nil && !known {
		return n, nil, named(tampered("entry of a token"), n)
	}
	return n, found, storage(err)
}

// sameLetter refuses a token that another letter was entered under: it would
// pass for that one, and be lost.
func (u *update) sameLetter(known Registered, l Letter) error {
	e, err := eventAt(u.ctx, u.b.conn, known.ID)
	if err != nil {
		return err
	}
	if !e.is("entry.registered") {
		return tampered("entry of a token")
	}
	was := e.get("letter")
	if was == "" || was == normal(l.Number) { // "" when its text was destroyed
		return nil
	}
	// A number that was corrected in the book is corrected in the script too.
	now, err := readEntry(u.ctx, u.b.conn, known.ID)
	if err != nil || now.Letter.Number == normal(l.Number) {
		return err
	}
	return &Error{code: "agenda.once_other", Entry: known.Entry, Field: "once", Value: cmp.Or(now.Letter.Number, was)}
}

// Known tells whether a letter with the token was registered already, and as
// which entry.
func (b *Book) Known(ctx context.Context, token string) (Name, bool, error) {
	n, e, err := registeredUnder(ctx, b.readers, sha256.Sum256([]byte(token)))
	return n, e != nil, err
}

// taken is the row of an entry that a step is taken on.
type taken struct {
	id      int64
	name    Name
	class   Class
	state   State
	draft   int
	ordered bool
	current int64
	last    int64
	move    move
}

// anyLast leaves the compare and swap out.
const anyLast = int64(-1)

// take reads the entry, compares last and checks the step.
func (u *update) take(id, last int64, step Step) (taken, error) {
	t := taken{id: id}
	err := u.row("SELECT book, year, serial, class, state, draft, ordered, current, last FROM entry WHERE id=$1", id).
		Scan(&t.name.Book, &t.name.Year, &t.name.Serial, &t.class, &t.state, &t.draft, &t.ordered, &t.current, &t.last)
	if errors.Is(err, sql.ErrNoRows) {
		return t, &Error{code: "agenda.not_found", Field: "entry"}
	}
	if err != nil {
		return t, storage(err)
	}
	if last != anyLast && last != t.last {
		return t, &Error{code: "agenda.changed", Entry: t.name, State: t.state}
	}
	var ok bool
	if t.move, ok = find(t.name.Book, step, t.state); !ok {
		return t, t.refuse(wanted(t.name.Book, step, t.state))
	}
	return t, nil
}

func (t taken) refuse(want Step) error {
	return &Error{code: "agenda.step_order", Entry: t.name, State: t.state, Want: want}
}

// event begins an event of the entry that goes to the state; where it stays,
// no state line is written.
func (t taken) event(name string, to State) *event {
	if to == t.state {
		return newEvent(name).on(t.id, "", "")
	}
	return newEvent(name).on(t.id, t.state, to)
}

// step runs one step on one entry.
func (b *Book) step(ctx context.Context, a Actor, id, last int64, step Step, fn func(u *update, t taken) error) error {
	return b.update(ctx, a, func(u *update) error {
		t, err := u.take(id, last, step)
		if err != nil {
			return err
		}
		return named(fn(u, t), t.name)
	})
}

// Order records the chain of orders as given on paper, an event a link. In
// book kriptogram it has to come before the draft.
func (b *Book) Order(ctx context.Context, a Actor, id, last int64, links []Order) error {
	return b.step(ctx, a, id, last, StepOrder, func(u *update, t taken) error { return u.order(t, links) })
}

// OrderAll records one chain of orders for several entries in one transaction:
// all or none.
func (b *Book) OrderAll(ctx context.Context, a Actor, ids []int64, links []Order) error {
	return b.update(ctx, a, func(u *update) error {
		for _, id := range ids {
			t, err := u.take(id, anyLast, StepOrder)
			if err != nil {
				return err
			}
			if err := u.order(t, links); err != nil {
				return named(err, t.name)
			}
		}
		return nil
	})
}

func (u *update) order(t taken, links []Order) error {
	if len(links) == 0 {
		return missingField("order")
	}
	for _, l := range links {
		for _, role := range []string{l.From, l.To} {
			if strings.TrimSpace(role) == "" {
				return missingField("from")
			}
		}
		if err := checkText("order", l.Text); err != nil {
			return err
		}
		e := t.event("entry.ordered", t.move.to).set("from", l.From).set("to", l.To).setTime("at", l.At).set("order", l.Text)
		if _, err := u.append(e); err != nil {
			return err
		}
	}
	return nil
}

// Attach records the scans of an ordinary letter; they replace earlier ones.
// A classified letter is refused with agenda.closed_letter.
func (b *Book) Attach(ctx context.Context, a Actor, id, last int64, scans []Attachment) error {
	if len(scans) == 0 {
		return missingField("object")
	}
	return b.update(ctx, a, func(u *update) error {
		t, err := u.take(id, last, StepAttach)
		if t.name.Book == Kriptogram {
			return &Error{code: "agenda.closed_letter", Entry: t.name}
		}
		if err != nil {
			return err
		}
		for i, scan := range scans {
			if err := inVault("object", scan.Object); err != nil {
				return named(err, t.name)
			}
			if scan.Pages < 0 {
				return invalid("pages", strconv.Itoa(scan.Pages))
			}
			if err := u.putObject(scan.Object); err != nil {
				return err
			}
			e := newEvent("entry.attached").on(t.id, "", "")
			if i == 0 {
				// The state line, even attached → attached, begins a new set.
				e.on(t.id, t.state, t.move.to)
			}
			e.setHash("object", scan.Object.SHA256).setInt("size", scan.Object.Size).setInt("pages", int64(scan.Pages))
			if _, err := u.append(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// image reads the letter that the entry says now, with its event.
func (u *update) image(t taken) (Letter, *event, error) {
	var l Letter
	var ev *event
	err := readEvents(u.ctx, u.b.conn, "WHERE e.seq=$1", []any{t.current}, func(e *event) error {
		ev, l = e, e.letter()
		return nil
	})
	if err != nil {
		return l, nil, err
	}
	if ev == nil {
		return l, nil, tampered("image of an entry")
	}
	return l, ev, nil
}

// Correct replaces the letter of an entry; the old one stays readable. After
// the draft, a change of what was drafted (class, urgency, number or date of
// the letter, addressees) brings the entry back to registered. The class never
// leaves its book (agenda.class_book).
func (b *Book) Correct(ctx context.Context, a Actor, id, last int64, letter Letter, reason string) (Entry, error) {
	var out Entry
	if strings.TrimSpace(reason) == "" {
		return out, missingField("reason")
	}
	if err := checkText("reason", reason); err != nil {
		return out, err
	}
	err := b.step(ctx, a, id, last, StepCorrect, func(u *update, t taken) error {
		was, ev, err := u.image(t)
		if err != nil {
			return err
		}
		if err := u.settleLetter(t.name.Book, &letter, was.Applicant); err != nil {
			return err
		}
		to := t.move.to
		if t.move.other != "" && substance(was, letter) {
			to = t.move.other
			if err := u.exec("DELETE FROM review WHERE entry=$1", t.id); err != nil {
				return err
			}
		}
		e := t.event("entry.corrected", to).setInt("was", t.current).set("reason", reason).
			set("class", string(letter.Class)).set("urgency", string(letter.Urgency)).
			set("class-was", ev.commitmentOf("class")).set("urgency-was", ev.commitmentOf("urgency")).setLetter(letter)
		if _, err := u.append(e); err != nil {
			return err
		}
		out, err = wholeEntry(u.ctx, u.b.conn, t.id)
		return err
	})
	if err != nil {
		return Entry{}, err
	}
	return out, nil
}

// substance tells whether a draft of the one letter does not hold for the
// other.
func substance(a, b Letter) bool {
	return a.Class != b.Class || a.Urgency != b.Urgency || a.Number != b.Number || a.Date != b.Date ||
		!slices.Equal(a.To, b.To) || !slices.Equal(a.Cc, b.Cc)
}

// Void strikes an entry through; its serial and number stay. It is refused
// with agenda.void_refused once a copy may be with its recipient, or while one
// is being sent.
func (b *Book) Void(ctx context.Context, a Actor, id, last int64, reason, authority string) error {
	if strings.TrimSpace(reason) == "" {
		return missingField("reason")
	}
	if strings.TrimSpace(authority) == "" {
		return missingField("authority")
	}
	for key, value := range map[string]string{"reason": reason, "authority": authority} {
		if err := checkText(key, value); err != nil {
			return err
		}
	}
	return b.update(ctx, a, func(u *update) error {
		t, err := u.take(id, last, StepVoid)
		if err != nil {
			if t.state == StateSent || t.state == StateArchived || t.state == StateReported {
				if !errors.Is(err, ErrChanged) {
					return &Error{code: "agenda.void_refused", Entry: t.name, State: t.state}
				}
			}
			return err
		}
		var held int
		err = u.row(`SELECT coalesce(min(c.copy), 0) FROM copy c LEFT JOIN outbox o ON o.entry=c.entry AND o.copy=c.copy
 WHERE c.entry=$1 AND (c.state IN ('accepted', 'doubt', 'evidenced', 'handed') OR o.state IN ('claimed', 'armed'))`, t.id).Scan(&held)
		if err != nil {
			return storage(err)
		}
		// A copy that was once out of our hands, and was cancelled or reopened
		// since, may be with its recipient all the same.
		err = readEvents(u.ctx, u.b.conn, "WHERE e.entry=$1 ORDER BY e.seq", []any{t.id}, func(e *event) error {
			switch e.typ.name {
			case "copy.accepted", "copy.doubted", "copy.evidenced", "copy.handed":
				held = int(e.getInt("copy"))
			}
			return nil
		})
		if err != nil {
			return err
		}
		if held != 0 {
			return &Error{code: "agenda.void_refused", Entry: t.name, State: t.state, Copy: held}
		}
		for _, work := range []string{"DELETE FROM outbox WHERE entry=$1", "DELETE FROM review WHERE entry=$1"} {
			if err := u.exec(work, t.id); err != nil {
				return err
			}
		}
		_, err = u.append(t.event("entry.voided", t.move.to).set("reason", reason).set("authority", authority))
		return err
	})
}
