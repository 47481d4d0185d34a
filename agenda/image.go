package agenda

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// image is what the log says an entry is: its name, its newest letter, and what
// apply makes of the rest of its row and of those of its copies.
type image struct {
	name   Name
	letter Letter
	gone   bool // its text was destroyed
	row    entryRow
	copies []Copy
}

// entryRow are the columns of an entry beside its name and its letter.
type entryRow struct {
	state                      State
	draft                      int
	ordered, corrected         bool
	registered, released, sent time.Time
	number                     string
	numberYear, numberSeq      int
	last                       int64
}

func (e *Entry) row() entryRow {
	return entryRow{
		state: e.State, draft: e.Draft, ordered: e.Ordered, corrected: e.Corrected,
		registered: e.RegisteredAt, released: e.ReleasedAt, sent: e.SentAt,
		number: e.Number, numberYear: e.NumberYear, numberSeq: e.NumberSeq, last: e.Last,
	}
}

// imageOf is the image that an entry was read as.
func imageOf(e Entry) *image {
	return &image{name: e.Name, letter: e.Letter, row: e.row(), copies: slices.Clone(e.Copies)}
}

// take takes an event of the entry into its image.
func (was *image) take(ev *event) {
	row := &was.row
	row.last = ev.seq
	if ev.to != "" {
		if ev.to == StateSent && ev.from != StateSent {
			row.sent = stampOf(settledAt(ev))
		}
		row.state = ev.to
	}
	switch ev.typ.name {
	case "entry.registered", "report.registered":
		was.name = Name{Book: BookName(ev.get("book")), Year: int(ev.getInt("year")), Serial: int(ev.getInt("serial"))}
		row.registered = ev.at
		was.setLetter(ev)
	case "entry.corrected":
		row.corrected = true
		was.setLetter(ev)
	case "entry.ordered":
		row.ordered = true
	case "entry.drafted":
		row.draft = int(ev.getInt("draft"))
	case "entry.released":
		row.released = ev.at
		if n := ev.get("number"); n != "" {
			row.number, row.numberYear, row.numberSeq = n, int(ev.getInt("number-year")), int(ev.getInt("number-seq"))
		}
	}
	was.takeCopies(ev)
}

// setLetter takes a letter with its copies.
func (was *image) setLetter(ev *event) {
	was.letter = ev.letter()
	if ev.typ.name == "report.registered" {
		was.letter.Class, was.letter.Urgency = ClassBiasa, UrgencyBiasa
	}
	was.gone = slices.ContainsFunc(ev.fields, func(f field) bool { return f.hidden })
	was.copies = make([]Copy, len(was.letter.To)+len(was.letter.Cc))
	for i := range was.copies {
		was.copies[i] = Copy{Copy: i + 1, Kind: KindTo}
		if i >= len(was.letter.To) {
			was.copies[i].Kind = KindCc
		}
	}
}

// takeCopies takes what an event says of copies into them.
func (was *image) takeCopies(ev *event) {
	each := func(key string, fn func(c *Copy, value string)) {
		_ = ev.numbered(key, func(n int, value string) error {
			if n <= len(was.copies) {
				fn(&was.copies[n-1], value)
			}
			return nil
		})
	}
	switch name := ev.typ.name; {
	case name == "entry.released":
		each("copy", func(c *Copy, value string) {
			c.State = CopyReady
			c.Message, _, c.MessageID, _ = frozen(value)
		})
		each("address", func(c *Copy, value string) { c.Address = value })
	case name == "entry.archived":
		each("copy", func(c *Copy, value string) {
			offset, length, _ := strings.Cut(value, " ")
			c.Box = ev.get("box")
			c.Offset, _ = parseCount(offset)
			c.Length, _ = parseCount(length)
		})
	case strings.HasPrefix(name, "copy."):
		if n := int(ev.getInt("copy")); n >= 1 && n <= len(was.copies) {
			was.copies[n-1].take(ev)
		}
	}
}

// take takes an event of its own into a copy.
func (c *Copy) take(ev *event) {
	c.State, c.SettledAt, c.DoubtAt = CopyState(ev.get("to")), time.Time{}, time.Time{}
	c.Attempts, c.QueueID, c.LastReply = int(ev.getInt("attempt")), ev.get("queue-id"), ev.get("reply")
	c.Route, c.Basis = ev.get("route"), ev.get("basis")
	switch c.State {
	case CopyReady, CopyHanded:
	case CopyDoubt:
		c.DoubtAt = stampOf(settledAt(ev))
	default:
		c.SettledAt = stampOf(settledAt(ev))
	}
	if ev.typ.name == "copy.readdressed" {
		c.Message, _, c.MessageID, _ = frozen(ev.get("message"))
		c.Address = ev.get("address")
	}
}

// onRecord is a copy as far as the log knows it: not whom the handle means, nor
// what is on its way in the outbox.
func (c Copy) onRecord() Copy {
	c.Correspondent, c.Handle, c.Size, c.NextAt = 0, "", 0, time.Time{}
	if c.State.queued() {
		c.State, c.Attempts, c.LastReply = CopyReady, 0, ""
	}
	return c
}

// queued tells whether a copy of the state may have a row in the outbox.
func (s CopyState) queued() bool {
	return s == CopyReady || s == CopyClaimed || s == CopyArmed || s == CopyDeferred
}

// differs says in what an entry is not what the log says, "" when it is.
func (was *image) differs(e Entry) string {
	sameCopy := func(x, y Copy) bool { return x.onRecord() == y.onRecord() }
	switch {
	case was.row.state != e.State:
		// A step that the log does not know is never followed by the next.
		return "state of an entry"
	case was.name != e.Name, !was.gone && !reflect.DeepEqual(was.letter, e.Letter):
		// Nor does a letter go where an image says that was corrected, or by the
		// rules of another class.
		return "image of an entry"
	case was.row != e.row():
		return "row of an entry"
	case !slices.EqualFunc(was.copies, e.Copies, sameCopy):
		// A copy that did not leave is not told as one that did, nor one that did
		// sent again.
		return "copies of an entry"
	}
	return ""
}
