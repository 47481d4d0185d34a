package agenda

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Channels of a complaint, as the service standards name them.
const (
	ComplaintDirect   = "langsung"       // to the officer, face to face
	ComplaintIndirect = "tidak-langsung" // by telephone, e-mail, website
)

// ComplaintState is where a complaint stands.
type ComplaintState string

// The states of a complaint. One that was passed on stays passed until it is
// closed: what the officer answers meanwhile does not take it back.
const (
	ComplaintOpen     ComplaintState = "open"
	ComplaintAnswered ComplaintState = "answered"
	ComplaintPassed   ComplaintState = "passed"
	ComplaintClosed   ComplaintState = "closed"
)

// Complaint is one complaint about the service, named P1, P2, … a year.
type Complaint struct {
	ID           int64
	Year, Serial int
	Channel      string   // ComplaintDirect or ComplaintIndirect
	Via          string   // "telepon", "email"; may be empty
	Service      BookName // "" when it is about neither service or both
	Concerns     string   // name of an entry, "S208/2026"; may be empty
	Received     time.Time
	Complainant  string
	Contact      string
	Text         string
	State        ComplaintState
	AnsweredAt   time.Time // first answer
	PassedAt     time.Time // first passing on
	ClosedAt     time.Time
	Last         int64
	RegisteredAt time.Time       // on reading
	RegisteredBy string          // on reading
	Steps        []ComplaintStep // on reading one, oldest first
}

// ComplaintStep is what was done about a complaint.
type ComplaintStep struct {
	To         ComplaintState
	Kind       ComplaintState // what was done: answered, passed or closed
	At         time.Time      // when it was done
	Text       string         // the answer, the reason, the solution
	Recipient  string         // of a complaint passed on: the official
	RecordedAt time.Time
	Actor      string
	Seq        int64
}

// Name is "P3".
func (c Complaint) Name() string { return "P" + strconv.Itoa(c.Serial) }

// ParseComplaint reads "P3", "p3" or "P3/2025"; without a year it is of the
// given one.
func ParseComplaint(s string, year int) (serial, of int, err error) {
	rest, tail, dated := strings.Cut(strings.TrimSpace(s), "/")
	if len(rest) < 2 || (rest[0] != 'P' && rest[0] != 'p') {
		return 0, 0, invalid("complaint", s)
	}
	serial, ok := decimal(rest[1:], maxSerial)
	if !ok || serial == 0 {
		return 0, 0, invalid("complaint", s)
	}
	if dated {
		if year, ok = decimal(tail, 9999); !ok || year < 1000 {
			return 0, 0, invalid("complaint", s)
		}
	}
	return serial, year, nil
}

func (c *Complaint) check() error {
	if c.Channel != ComplaintDirect && c.Channel != ComplaintIndirect {
		return invalid("channel", c.Channel)
	}
	if c.Service != "" && c.Service != Kriptogram && c.Service != Surat {
		return invalid("service", string(c.Service))
	}
	if strings.TrimSpace(c.Complainant) == "" {
		return missingField("complainant")
	}
	if strings.TrimSpace(c.Text) == "" {
		return missingField("text")
	}
	return checkTexts("via", c.Via, "concerns", c.Concerns, "complainant", c.Complainant, "contact", c.Contact, "text", c.Text)
}

// AddComplaint records a complaint under the next serial of the year. Received
// zero means now. An entry it concerns must be in the book.
func (b *Book) AddComplaint(ctx context.Context, a Actor, c Complaint) (Complaint, error) {
	if err := c.check(); err != nil {
		return Complaint{}, err
	}
	err := b.update(ctx, a, func(u *update) error {
		c.Year = u.stamp.In(WIB).Year()
		if c.Concerns != "" {
			n, err := ParseName(c.Concerns, c.Year)
			if err != nil {
				return err
			}
			var known bool
			err = u.row("SELECT EXISTS (SELECT 1 FROM entry WHERE book=$1 AND year=$2 AND serial=$3)", string(n.Book), n.Year, n.Serial).Scan(&known)
			if err != nil {
				return storage(err)
			}
			if !known {
				return &Error{code: "agenda.not_found", Entry: n}
			}
			c.Concerns = n.Long()
		}
		if err := u.row("SELECT coalesce(max(serial), 0) + 1 FROM complaint WHERE year=$1", c.Year).Scan(&c.Serial); err != nil {
			return storage(err)
		}
		if c.Received.After(u.stamp) {
			return invalid("received", formatStamp(c.Received))
		}
		e := newEvent("complaint.added").setInt("year", int64(c.Year)).setInt("serial", int64(c.Serial)).set("channel", c.Channel).
			set("via", c.Via).set("service", string(c.Service)).set("concerns", c.Concerns).setTime("received", c.Received).
			set("complainant", c.Complainant).set("contact", c.Contact).set("text", c.Text)
		id, err := u.append(e)
		c.ID, c.Last, c.RegisteredAt, c.RegisteredBy, c.State = id, id, u.stamp, a.Handle, ComplaintOpen
		return err
	})
	if err != nil {
		return Complaint{}, err
	}
	if c.Received.IsZero() {
		c.Received = c.RegisteredAt
	}
	return c, nil
}

// AnswerComplaint records an answer to the complainant. at zero means now.
func (b *Book) AnswerComplaint(ctx context.Context, a Actor, id int64, at time.Time, text string) error {
	return b.complaintStep(ctx, a, id, at, "complaint.answered", ComplaintAnswered, func(e *event) error {
		e.set("text", text)
		return required("text", text)
	})
}

// PassComplaint records that the complaint went on to an official, since the
// officer could not settle it.
func (b *Book) PassComplaint(ctx context.Context, a Actor, id int64, at time.Time, recipient, reason string) error {
	return b.complaintStep(ctx, a, id, at, "complaint.passed", ComplaintPassed, func(e *event) error {
		e.set("recipient", recipient).set("reason", reason)
		if err := required("recipient", recipient); err != nil {
			return err
		}
		return required("reason", reason)
	})
}

// CloseComplaint records the solution; nothing follows it.
func (b *Book) CloseComplaint(ctx context.Context, a Actor, id int64, at time.Time, solution string) error {
	return b.complaintStep(ctx, a, id, at, "complaint.closed", ComplaintClosed, func(e *event) error {
		e.set("solution", solution)
		return required("solution", solution)
	})
}

func required(key, value string) error {
	if strings.TrimSpace(value) == "" {
		return missingField(key)
	}
	return checkText(key, value)
}

func (b *Book) complaintStep(ctx context.Context, a Actor, id int64, at time.Time, name string, to ComplaintState, fill func(*event) error) error {
	return b.update(ctx, a, func(u *update) error {
		var from ComplaintState
		var received string
		err := u.row("SELECT state, received_at FROM complaint WHERE id=$1", id).Scan(&from, &received)
		if errors.Is(err, sql.ErrNoRows) {
			return &Error{code: "agenda.not_found", Field: "complaint"}
		}
		if err != nil {
			return storage(err)
		}
		if from == ComplaintClosed {
			return &Error{code: "agenda.complaint_closed"}
		}
		if from == ComplaintPassed && to == ComplaintAnswered {
			to = ComplaintPassed
		}
		if !at.IsZero() && (at.After(u.stamp) || at.Before(stampOf(received))) {
			return invalid("at", formatStamp(at))
		}
		e := newEvent(name).setInt("complaint", id).set("from", string(from)).set("to", string(to)).setTime("at", at)
		if err := fill(e); err != nil {
			return err
		}
		_, err = u.append(e)
		return err
	})
}

// applyComplaint writes the index row of a complaint. answered_at and
// passed_at are of the first time: a record says so by its FROM.
func applyComplaint(ix index, e *event) error {
	if e.typ.name == "complaint.added" {
		received := e.get("received")
		if received == "" {
			received = formatStamp(e.at)
		}
		return ix.insert(complaintTable, []any{e.seq}, e.getInt("year"), e.getInt("serial"), e.get("channel"),
			optional(e.get("service")), received, string(ComplaintOpen), nil, nil, nil, e.seq)
	}
	if err := ix.insert(complaintStepTable, []any{e.seq}, e.getInt("complaint")); err != nil {
		return err
	}
	columns, values := "state last", []any{e.get("to"), e.seq}
	switch {
	case e.typ.name == "complaint.answered" && e.get("from") == string(ComplaintOpen):
		columns, values = columns+" answered_at", append(values, settledAt(e))
	case e.typ.name == "complaint.passed" && e.get("from") != string(ComplaintPassed):
		columns, values = columns+" passed_at", append(values, settledAt(e))
	case e.typ.name == "complaint.closed":
		columns, values = columns+" closed_at", append(values, settledAt(e))
	}
	return ix.update(complaintTable, []any{e.getInt("complaint")}, columns, values...)
}

// ComplaintFilter chooses complaints; zero fields choose all. From and Until
// bound the receipt.
type ComplaintFilter struct {
	Year        int
	From, Until time.Time
	Open        bool // not closed
}

// Complaints lists complaints, oldest first, without their steps.
func (b *Book) Complaints(ctx context.Context, f ComplaintFilter) ([]Complaint, error) {
	var parts []string
	var args []any
	add := func(condition string, value any) {
		args = append(args, value)
		parts = append(parts, condition+"$"+strconv.Itoa(len(args)))
	}
	if f.Year != 0 {
		add("year=", f.Year)
	}
	if !f.From.IsZero() {
		add("received_at>=", formatStamp(f.From))
	}
	if !f.Until.IsZero() {
		add("received_at<", formatStamp(f.Until))
	}
	if f.Open {
		add("state<>", string(ComplaintClosed))
	}
	where := ""
	if len(parts) > 0 {
		where = "WHERE " + strings.Join(parts, " AND ") + " "
	}
	var out []Complaint
	err := b.view(ctx, func(q *reader) error {
		var err error
		out, err = readComplaints(ctx, q, where+"ORDER BY id", args...)
		return err
	})
	return out, err
}

// Complaint reads one complaint of a year with what was done about it.
func (b *Book) Complaint(ctx context.Context, year, serial int) (Complaint, error) {
	var c Complaint
	err := b.view(ctx, func(q *reader) error {
		list, err := readComplaints(ctx, q, "WHERE year=$1 AND serial=$2", year, serial)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return &Error{code: "agenda.not_found", Field: "complaint", Value: Complaint{Serial: serial}.Name()}
		}
		c = list[0]
		return readEvents(ctx, q, "JOIN complaint_step s ON s.seq = e.seq WHERE s.complaint=$1 ORDER BY e.seq", []any{c.ID}, func(e *event) error {
			kind := ComplaintState(strings.TrimPrefix(e.typ.name, "complaint."))
			at := e.getTime("at")
			if at.IsZero() {
				at = e.at
			}
			text := e.get("text") + e.get("reason") + e.get("solution") // a record has one of them
			c.Steps = append(c.Steps, ComplaintStep{
				To: ComplaintState(e.get("to")), Kind: kind, At: at, Text: text, Recipient: e.get("recipient"),
				RecordedAt: e.at, Actor: e.actor, Seq: e.seq,
			})
			return nil
		})
	})
	if err != nil {
		return Complaint{}, err
	}
	return c, nil
}

func readComplaints(ctx context.Context, q querier, where string, args ...any) ([]Complaint, error) {
	rows, err := q.QueryContext(ctx, "SELECT id, received_at, state, answered_at, passed_at, closed_at, last FROM complaint "+where, args...)
	if err != nil {
		return nil, storage(err)
	}
	defer rows.Close()
	var out []Complaint
	for rows.Next() {
		var c Complaint
		var received string
		var answered, passed, closed sql.NullString
		if err := rows.Scan(&c.ID, &received, &c.State, &answered, &passed, &closed, &c.Last); err != nil {
			return nil, storage(err)
		}
		c.Received, c.AnsweredAt, c.PassedAt, c.ClosedAt = stampOf(received), stampOf(answered.String), stampOf(passed.String), stampOf(closed.String)
		out = append(out, c)
	}
	if err := rows.Err(); err != nil {
		return nil, storage(err)
	}
	rows.Close()
	for i := range out {
		c := &out[i]
		err := readEvents(ctx, q, "WHERE e.seq=$1", []any{c.ID}, func(e *event) error {
			c.Year, c.Serial = int(e.getInt("year")), int(e.getInt("serial"))
			c.Channel, c.Via, c.Service, c.Concerns = e.get("channel"), e.get("via"), BookName(e.get("service")), e.get("concerns")
			c.Complainant, c.Contact, c.Text = e.get("complainant"), e.get("contact"), e.get("text")
			c.RegisteredAt, c.RegisteredBy = e.at, e.actor
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
