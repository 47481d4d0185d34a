package desk

import (
	"context"
	"slices"
	"time"

	"sandi/agenda"
)

// Next is what an entry waits for, as the word of the command that does it.
type Next string

// What an entry can wait for.
const (
	NextOrder     Next = "order"
	NextEncrypt   Next = "encrypt"
	NextSign      Next = "sign"
	NextAttach    Next = "attach"
	NextSend      Next = "send"
	NextDue       Next = "due"       // released: delivered with whatever else is due
	NextResolve   Next = "resolve"   // in doubt
	NextReaddress Next = "readdress" // refused by the server
	NextAgain     Next = "again"     // taken by the server, and did not arrive: sent again as a new entry
	NextSent      Next = "sent"      // given out for the manual route
	NextArchive   Next = "archive"
	NextReport    Next = "report"
	NextMail      Next = "mail" // a report that was refused or did not arrive: made anew
)

// Task is an open entry with what it waits for.
type Task struct {
	Entry    agenda.Entry
	Next     Next
	Handle   string // addressee concerned, of NextReaddress and NextAgain
	Due      Deadline
	Returned bool // the head sent the latest draft back
}

// Glance is the desk in one look.
type Glance struct {
	Acting                    string    // printed title of who works, "" when unknown
	Tasks                     []Task    // doubt first, then what is to be mended, then by deadline
	After                     []Task    // sent: to be filed or reported
	Ready, Deferred, Doubtful int       // copies
	DoubtSince                time.Time // of the oldest doubt that is overdue; zero: there is none
	Waiting                   int       // drafts that wait for the head of section
	Unconfirmed               int       // copies that nobody confirmed in time
	ArchiveKey                string    // private archive key still inside the desk
	ArchiveUntil              time.Time // when the archive certificate ends, if that is soon or past; else zero
}

// Glance reads what waits for whom.
func (d *Desk) Glance(ctx context.Context) (Glance, error) {
	g := Glance{ArchiveKey: d.ArchiveKeyWaits()}
	if o, err := d.Acting(ctx, agenda.RoleSandiman, agenda.RoleOperator); err == nil {
		g.Acting = title(o, agenda.RoleOperator)
		if holdsAny(o, []agenda.Role{agenda.RoleSandiman}) {
			g.Acting = title(o, agenda.RoleSandiman)
		}
	}
	newest, err := d.ArchiveKeys(ctx)
	if err != nil {
		return g, err
	}
	if until := newest[len(newest)-1].Until; !until.IsZero() && until.Sub(d.Now()) < keyWarning {
		g.ArchiveUntil = until
	}
	entries, err := d.Book.List(ctx, agenda.Filter{Open: true})
	if err != nil {
		return g, err
	}
	mailed, err := d.Book.List(ctx, agenda.Filter{Book: agenda.Laporan, States: []agenda.State{agenda.StateReleased, agenda.StateSent}})
	if err != nil {
		return g, err
	}
	entries = append(entries, mailed...)
	for _, e := range entries {
		t := Task{Entry: e, Due: d.Due(e)}
		t.Next, t.Handle = d.next(e)
		if t.Next == NextDue {
			// Held back: with its name `send` mends it, or says what does.
			if err := d.noneHeld(ctx, e); coded(err) == CodeAddressChanged || coded(err) == CodeAddresseeChanged {
				t.Next = NextSend
			} else if err != nil {
				return g, err
			}
		}
		for _, c := range e.Copies {
			switch c.State {
			case agenda.CopyReady:
				g.Ready++
			case agenda.CopyDeferred:
				g.Deferred++
			case agenda.CopyDoubt, agenda.CopyArmed:
				g.Doubtful++
				if c.State == agenda.CopyDoubt && d.DoubtOverdue(c.DoubtAt) && (g.DoubtSince.IsZero() || c.DoubtAt.Before(g.DoubtSince)) {
					g.DoubtSince = c.DoubtAt
				}
			}
		}
		if e.State == agenda.StateDrafted {
			g.Waiting++
		}
		if e.Name.Book == agenda.Kriptogram && e.State == agenda.StateRegistered && e.Draft > 0 {
			full, err := d.Book.EntryByID(ctx, e.ID)
			if err != nil {
				return g, err
			}
			t.Entry, t.Returned = full, full.Returned != nil
		}
		switch {
		case t.Next == "":
		case t.Next == NextArchive || t.Next == NextReport:
			// Filing and reporting a kriptogram is no duty of its standard.
			if e.Name.Book != agenda.Kriptogram {
				g.After = append(g.After, t)
			}
		default:
			g.Tasks = append(g.Tasks, t)
		}
	}
	undelivered, err := d.Undelivered(ctx)
	if err != nil {
		return g, err
	}
	for _, o := range undelivered {
		next := NextAgain
		if o.Entry.Name.Book == agenda.Laporan {
			next = NextMail
		}
		g.Tasks = append(g.Tasks, Task{Entry: o.Entry, Next: next, Handle: o.Copy.Handle, Due: d.Due(o.Entry)})
	}
	if g.Unconfirmed, err = d.Watched(ctx); err != nil {
		return g, err
	}
	slices.SortStableFunc(g.Tasks, func(x, y Task) int {
		if r := rank(x) - rank(y); r != 0 {
			return r
		}
		return x.Due.At().Compare(y.Due.At())
	})
	return g, nil
}

// maxDoubt is how long a copy may be in doubt, in time of service: the standard
// gives one working day for the whole sending.
const maxDoubt = 30 * time.Minute

// DoubtOverdue tells whether somebody should have looked into a doubt by now.
func (d *Desk) DoubtOverdue(since time.Time) bool {
	return !since.IsZero() && d.Hours.Between(since, d.Now()) > maxDoubt
}

func rank(t Task) int {
	switch {
	case t.Next == NextResolve:
		return 0
	case t.Next == NextReaddress, t.Next == NextMail, t.Next == NextAgain, t.Returned:
		return 1
	case t.Entry.Name.Book == agenda.Laporan: // no deadline
		return 3
	}
	return 2
}

// next is what an entry waits for; handle is the addressee whose copy was refused.
func (d *Desk) next(e agenda.Entry) (n Next, handle string) {
	switch agenda.Next(e.Name.Book, e.State) {
	case agenda.StepDraft:
		if !e.Ordered && d.Config.Profile.OrderRequired(string(e.Name.Book)) {
			return NextOrder, ""
		}
		return NextEncrypt, ""
	case agenda.StepSign:
		return NextSign, ""
	case agenda.StepAttach:
		return NextAttach, ""
	case agenda.StepRelease:
		return NextSend, ""
	case agenda.StepSend:
		if e.Name.Book == agenda.Laporan {
			return mailWaits(e), ""
		}
		return waits(e)
	case agenda.StepArchive:
		return NextArchive, ""
	case agenda.StepReport:
		return NextReport, ""
	}
	return "", ""
}

// waits is what the gravest unsettled copy of a released entry waits for.
func waits(e agenda.Entry) (n Next, handle string) {
	n = NextDue
	for _, c := range e.Copies {
		switch c.State {
		case agenda.CopyDoubt, agenda.CopyArmed:
			return NextResolve, ""
		case agenda.CopyRejected:
			n, handle = NextReaddress, c.Handle
		case agenda.CopyHanded:
			if n == NextDue {
				n = NextSent
			}
		}
	}
	return n, handle
}

// mailWaits is what a report by e-mail waits for: nothing once it is cancelled.
func mailWaits(e agenda.Entry) Next {
	n, _ := waits(e)
	switch {
	case n == NextReaddress:
		return NextMail
	case n == NextDue && len(e.Copies) == 1 && e.Copies[0].State == agenda.CopyCancelled:
		return ""
	}
	return n
}

// Next is what an entry waits for.
func (d *Desk) Next(e agenda.Entry) Next {
	n, _ := d.next(e)
	return n
}
