package agenda

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Template is the form of the nomor kriptogram, such as
// "{seq:03}/{unit}/{roman}/{year}". Placeholders: {seq} (with a zero-padded
// width as {seq:03}), {unit}, {archive}, {month} ({month:02}), {roman},
// {year}. {class} is refused: the number travels outside the encryption.
type Template string

// NumberFields are the values of a number. Month is 1 to 12.
type NumberFields struct {
	Seq, Year, Month int
	Unit, Archive    string
}

// ProposedNumber is the next number of book kriptogram as read at Day (ISO
// date in [WIB]); nothing is used until [Book.Release] takes it.
type ProposedNumber struct {
	Year, Seq      int
	Text, Template string
	Day            string
}

var roman = [...]string{"", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"}

// piece is literal text, or a placeholder with the width of its zero padding.
type piece struct {
	literal, name string
	width         int
}

// parse splits a template; the error carries the offending part.
func (t Template) parse() ([]piece, error) {
	refuse := func(part string) ([]piece, error) {
		return nil, &Error{code: "agenda.template", Field: "template", Value: part}
	}
	if len(t) == 0 || len(t) > 200 {
		return refuse(string(t))
	}
	var out []piece
	seq := false
	for rest := string(t); rest != ""; {
		open := strings.IndexAny(rest, "{}")
		if open < 0 {
			open = len(rest)
		}
		if open > 0 {
			if EscapeValue(rest[:open]) != rest[:open] {
				return refuse(rest[:open])
			}
			out = append(out, piece{literal: rest[:open]})
			rest = rest[open:]
			continue
		}
		end := strings.IndexByte(rest, '}')
		if rest[0] == '}' || end < 0 {
			return refuse(rest)
		}
		name, format, padded := strings.Cut(rest[1:end], ":")
		p := piece{name: name}
		switch name {
		case "seq", "month":
			if padded {
				if len(format) != 2 || format[0] != '0' || format[1] < '1' || format[1] > '9' {
					return refuse(rest[:end+1])
				}
				p.width = int(format[1] - '0')
			}
		case "unit", "archive", "roman", "year":
			if padded {
				return refuse(rest[:end+1])
			}
		default:
			return refuse(rest[:end+1])
		}
		seq = seq || name == "seq"
		out = append(out, p)
		rest = rest[end+1:]
	}
	if !seq {
		return refuse("{seq}")
	}
	return out, nil
}

// ParseTemplate checks a template. Its error has code agenda.template and the
// part that is wrong as Value.
func ParseTemplate(s string) (Template, error) {
	t := Template(s)
	if _, err := t.parse(); err != nil {
		return "", err
	}
	return t, nil
}

// Format writes the number. A template that [ParseTemplate] would refuse
// gives "".
func (t Template) Format(n NumberFields) string {
	pieces, err := t.parse()
	if err != nil {
		return ""
	}
	var b strings.Builder
	for _, p := range pieces {
		switch p.name {
		case "":
			b.WriteString(p.literal)
		case "seq":
			fmt.Fprintf(&b, "%0*d", p.width, n.Seq)
		case "month":
			fmt.Fprintf(&b, "%0*d", p.width, n.Month)
		case "roman":
			if n.Month >= 1 && n.Month <= 12 {
				b.WriteString(roman[n.Month])
			}
		case "year":
			b.WriteString(strconv.Itoa(n.Year))
		case "unit":
			b.WriteString(n.Unit)
		case "archive":
			b.WriteString(n.Archive)
		}
	}
	return b.String()
}

// ProposeNumber reads the next number of book kriptogram for today in [WIB].
// Year and Month of n are set here; Seq too. A template other than the year's
// is agenda.template_locked.
func (b *Book) ProposeNumber(ctx context.Context, t Template, n NumberFields) (ProposedNumber, error) {
	if _, err := t.parse(); err != nil {
		return ProposedNumber{}, err
	}
	// The stamp of the release is never earlier than the last event.
	last, err := b.Last(ctx)
	if err != nil {
		return ProposedNumber{}, err
	}
	now := b.options.Now()
	if last.After(now) {
		now = last
	}
	now = now.In(WIB)
	n.Year, n.Month = now.Year(), int(now.Month())
	top, used, err := numbering(b.readers.QueryRowContext(ctx, selectNumbering, n.Year))
	if err != nil {
		return ProposedNumber{}, err
	}
	if used != "" && used != string(t) {
		return ProposedNumber{}, &Error{code: "agenda.template_locked", Field: "template", Value: used}
	}
	n.Seq = top + 1
	return ProposedNumber{
		Year: n.Year, Seq: n.Seq, Text: t.Format(n), Template: string(t), Day: now.Format(time.DateOnly),
	}, nil
}

// The template is locked for a year, so the newest number tells it.
const selectNumbering = `SELECT number_seq, template FROM entry
 WHERE book='kriptogram' AND number_year=$1 ORDER BY number_seq DESC LIMIT 1`

func numbering(row scanner) (top int, template string, err error) {
	err = row.Scan(&top, &template)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, "", nil
	}
	return top, template, storage(err)
}

// checkNumber tells whether the proposal is still the next number of today.
func (u *update) checkNumber(t taken, p *ProposedNumber) error {
	if t.name.Book != Kriptogram {
		if p != nil {
			return invalid("number", p.Text)
		}
		return nil
	}
	if p == nil || p.Text == "" {
		return missingField("number")
	}
	if _, err := Template(p.Template).parse(); err != nil {
		return err
	}
	if err := u.checkTops(); err != nil {
		return err
	}
	today := u.stamp.In(WIB)
	top, used, err := numbering(u.row(selectNumbering, today.Year()))
	if err != nil {
		return err
	}
	if used != "" && used != p.Template {
		return &Error{code: "agenda.template_locked", Field: "template", Value: used}
	}
	if p.Year != today.Year() || p.Day != today.Format(time.DateOnly) || p.Seq != top+1 {
		return &Error{code: "agenda.number_taken", Field: "number", Value: p.Text}
	}
	return nil
}

// Release numbers the entry (book kriptogram), freezes all its copies and
// makes them ready, in one transaction: after a crash the number, the digests,
// the Message-IDs and the outbox exist together or not at all. A proposal that
// is no longer the next number of today is agenda.number_taken; nothing is
// used then. The same holds for a message whose addressee was changed since.
func (b *Book) Release(ctx context.Context, a Actor, id, last int64, r Release) error {
	return b.ReleaseAll(ctx, a, []Releasing{{ID: id, Last: last, Release: r}})
}

// Releasing is one of several entries that are released together.
type Releasing struct {
	ID, Last int64
	Release  Release
}

// ReleaseAll releases entries in their order in one transaction: all or none.
// Their numbers follow each other from the next one on.
func (b *Book) ReleaseAll(ctx context.Context, a Actor, all []Releasing) error {
	_, err := b.releaseAll(ctx, a, all, CopyReady)
	return err
}

// ReleaseToSend is ReleaseAll for a process that delivers at once: in the same
// transaction it takes all copies, as [Book.Claim] would, and returns them in
// the order of the entries and their copies. A crash leaves them to
// [Book.Recover].
func (b *Book) ReleaseToSend(ctx context.Context, a Actor, all []Releasing) ([]Claimed, error) {
	return b.releaseAll(ctx, a, all, CopyClaimed)
}

// releaseAll releases entries and puts their copies into the outbox, ready or
// claimed.
func (b *Book) releaseAll(ctx context.Context, a Actor, all []Releasing, to CopyState) ([]Claimed, error) {
	var out []Claimed
	err := b.update(ctx, a, func(u *update) error {
		for _, r := range all {
			t, err := u.take(r.ID, r.Last, StepRelease)
			if err != nil {
				return err
			}
			claimed, err := u.release(t, r.Release, to)
			if err != nil {
				return named(err, t.name)
			}
			out = append(out, claimed...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// release releases an entry whose copies are then ready, or claimed: those it
// returns.
func (u *update) release(t taken, r Release, to CopyState) ([]Claimed, error) {
	if err := u.checkNumber(t, r.Number); err != nil {
		return nil, err
	}
	var recipients int
	if err := u.row("SELECT count(*) FROM copy WHERE entry=$1", t.id).Scan(&recipients); err != nil {
		return nil, storage(err)
	}
	copies := sortCopies(r.Copies)
	if len(copies) != recipients {
		return nil, invalid("copy", strconv.Itoa(len(copies)))
	}
	e := t.event("entry.released", t.move.to)
	if p := r.Number; p != nil {
		e.set("number", p.Text).setInt("number-seq", int64(p.Seq)).setInt("number-year", int64(p.Year)).
			set("template", p.Template)
	}
	for i, c := range copies {
		if c.Copy != i+1 {
			return nil, invalid("copy", strconv.Itoa(c.Copy))
		}
		if err := u.freeze(t.id, c); err != nil {
			return nil, err
		}
		e.set("copy."+strconv.Itoa(c.Copy), frozenValue(c))
	}
	for _, c := range copies {
		e.set("address."+strconv.Itoa(c.Copy), c.Address)
	}
	if _, err := u.append(e); err != nil {
		return nil, err
	}
	var claimed []Claimed
	for _, c := range copies {
		one := Claimed{
			CopyRef: CopyRef{Entry: t.id, Copy: c.Copy}, Entry: t.name, Number: e.get("number"),
			Message: c.Message.SHA256, Size: c.Message.Size, MessageID: c.MessageID, Address: c.Address,
		}
		if to == CopyClaimed {
			one.Attempt = 1
			claimed = append(claimed, one)
		}
		if err := u.putOutbox(one.CopyRef, to, one.Attempt); err != nil {
			return nil, err
		}
	}
	return claimed, nil
}

// freeze checks a message for a copy of an entry and keeps its digest.
func (u *update) freeze(entry int64, c FrozenCopy) error {
	if err := inVault("message", c.Message); err != nil {
		return err
	}
	if c.MessageID == "" {
		return missingField("message-id")
	}
	if strings.ContainsAny(c.MessageID, " \t\r\n") || EscapeValue(c.MessageID) != c.MessageID {
		return invalid("message-id", c.MessageID)
	}
	var used bool
	var addressee int64
	var handle string
	err := u.row(`SELECT EXISTS (SELECT 1 FROM copy WHERE message_id=$1), coalesce(p.current, 0), coalesce(p.handle, '')
 FROM copy c LEFT JOIN correspondent p ON p.id=c.correspondent WHERE c.entry=$2 AND c.copy=$3`, c.MessageID, entry, c.Copy).Scan(&used, &addressee, &handle)
	if err != nil {
		return storage(err)
	}
	if used {
		return invalid("message-id", c.MessageID)
	}
	if addressee != c.Addressee {
		return &Error{code: "agenda.correspondent_changed", Field: "correspondent", Value: handle}
	}
	return u.putObject(c.Message)
}
