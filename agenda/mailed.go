package agenda

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// A report of result that goes out by e-mail is an entry of the book laporan:
// L1, L2, ... of a year. It is registered and released in one transaction, has
// one copy, and from then on goes the way of every copy. That the entries it
// tells of are reported is recorded with the acceptance of that copy, in the
// same transaction: neither stands in the book without the other.

// Mailed is what an entry of book laporan is: the report of one reader.
type Mailed struct {
	Reader string  // as [ReportRecord.To]
	Of     []int64 // the entries it tells of
	Sheet  Object  // the sheet as PDF
	Plain  Object  // the sheet as text
}

// Mailing asks for one report to be mailed.
type Mailing struct {
	Serial    int // proposed; see [Book.NextMailed]
	Reader    string
	To        string // the reader as written: an applicant's unit, a title
	Applicant string // of a report for an applicant
	Of        []int64
	Sheet     Object
	Plain     Object
	Message   FrozenCopy
}

// NextMailed is the serial that the next report by e-mail would get today.
func (b *Book) NextMailed(ctx context.Context) (Name, error) {
	n := Name{Book: Laporan, Year: b.options.Now().In(WIB).Year()}
	var top sql.NullInt64
	err := b.readers.QueryRowContext(ctx, "SELECT max(serial) FROM entry WHERE book=$1 AND year=$2", string(Laporan), n.Year).Scan(&top)
	n.Serial = int(top.Int64) + 1
	return n, storage(err)
}

// Mail registers reports and makes them ready to be delivered: all or none.
// Year is that of the proposed serials; a serial that is not the next one any
// more is agenda.number_taken. A report that the server certainly refused, or
// that only waits for another address, is cancelled for the one that takes its
// place, with the reason; any other one under way or delivered for the same
// entry and reader is agenda.already_mailed, so that no sheet leaves twice; but
// one of which a delivery notice says that it failed stands in no way.
func (b *Book) Mail(ctx context.Context, a Actor, year int, all []Mailing, reason string) ([]int64, error) {
	var ids []int64
	err := b.update(ctx, a, func(u *update) error {
		ids = nil
		if err := u.checkMailed(all); err != nil {
			return err
		}
		for _, m := range all {
			id, err := u.mail(year, m, reason)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	return ids, err
}

func (u *update) mail(year int, m Mailing, reason string) (int64, error) {
	if err := m.check(); err != nil {
		return 0, err
	}
	name := Name{Book: Laporan, Year: year, Serial: m.Serial}
	top, err := u.topSerial(Laporan, year)
	if err != nil {
		return 0, err
	}
	if year != u.stamp.In(WIB).Year() || m.Serial != top+1 {
		return 0, &Error{code: "agenda.number_taken", Entry: name}
	}
	for _, id := range m.Of {
		if _, err := u.take(id, anyLast, StepReport); err != nil {
			return 0, err
		}
		if err := u.supersede(id, m.Reader, m.Message.Address, reason); err != nil {
			return 0, err
		}
	}
	for _, o := range []Object{m.Sheet, m.Plain} {
		if err := u.putObject(o); err != nil {
			return 0, err
		}
	}
	e := newEvent("report.registered").on(registering, "-", StateRegistered).
		set("book", string(Laporan)).setInt("year", int64(year)).setInt("serial", int64(m.Serial)).set("reader", m.Reader)
	for i, id := range m.Of {
		e.setInt("of."+strconv.Itoa(i+1), id)
	}
	e.setHash("object", m.Sheet.SHA256).setHash("plain", m.Plain.SHA256).set("applicant", m.Applicant).set("to.1", m.To)
	id, err := u.append(e)
	if err != nil {
		return 0, named(err, name)
	}
	t, err := u.take(id, anyLast, StepRelease)
	if err != nil {
		return 0, err
	}
	_, err = u.release(t, Release{Copies: []FrozenCopy{m.Message}}, CopyReady)
	return id, named(err, name)
}

func (m Mailing) check() error {
	if m.Reader == "" {
		return missingField("reader")
	}
	if len(m.Of) == 0 {
		return missingField("entry")
	}
	if len(m.Of) > maxNames {
		return invalid("entry", "")
	}
	if strings.TrimSpace(m.To) == "" {
		return missingField("to")
	}
	if m.Message.Address == "" {
		return missingField("address")
	}
	for key, o := range map[string]Object{"object": m.Sheet, "plain": m.Plain} {
		if err := inBook(key, o); err != nil {
			return err
		}
	}
	return checkTexts("applicant", m.Applicant, "to", m.To)
}

// selectMailed finds what stands for an entry and a reader: not voided, not
// cancelled, and nothing came back that says it did not arrive. What arrived in
// one mailbox of the reader did, whatever another one says.
const selectMailed = `SELECT e.id, e.year, e.serial, c.state FROM mailed m JOIN entry e ON e.id=m.report JOIN copy c ON c.entry=e.id
 WHERE m.entry=$1 AND m.reader=$2 AND e.state<>'void' AND c.state<>'cancelled'
 AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.entry=e.id AND r.kind='dsn' AND r.action='failed'
 AND NOT EXISTS (SELECT 1 FROM receipt a WHERE a.entry=e.id AND ` + arrivedSQL + `)) ORDER BY e.id DESC LIMIT 1`

func scanMailed(row *sql.Row) (id int64, n Name, s CopyState, err error) {
	n.Book = Laporan
	err = row.Scan(&id, &n.Year, &n.Serial, &s)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, Name{}, "", nil
	}
	return id, n, s, storage(err)
}

// supersede cancels a report for the entry that was refused, or that waits for
// another address than the new one, and refuses any other.
func (u *update) supersede(entry int64, reader, address, reason string) error {
	id, name, _, err := scanMailed(u.row(selectMailed, entry, reader))
	if err != nil || id == 0 {
		return err
	}
	ref := CopyRef{Entry: id, Copy: 1}
	d, t, err := u.delivery(ref)
	if err != nil {
		if errors.Is(err, ErrStepOrder) { // delivered
			err = &Error{code: "agenda.already_mailed", Entry: name}
		}
		return err
	}
	gives := d.state == CopyRejected
	if d.state == CopyReady || d.state == CopyDeferred {
		c := []Claimed{{CopyRef: ref, Entry: name}}
		if err := u.claimed(c); err != nil {
			return err
		}
		gives = c[0].Address != address
	}
	switch {
	case !gives:
		return &Error{code: "agenda.already_mailed", Entry: name}
	case reason == "":
		return missingField("reason")
	}
	said := d.dialogue(Object{}) // of attempts before
	if err := u.putObject(said); err != nil {
		return err
	}
	if _, err = u.append(u.copyEvent(t, d, CopyCancelled, t.state).set("reason", reason).setHash("dialogue", said.SHA256)); err != nil {
		return named(err, name)
	}
	return u.unqueue(ref)
}

// checkMailed holds what the index says of earlier reports of the same entries
// for the same readers against the log: with a row that is gone, or that says
// that nothing arrived, a sheet would leave twice.
func (u *update) checkMailed(all []Mailing) error {
	type about struct {
		entry  int64
		reader string
	}
	asked, first := map[about]bool{}, int64(1<<62)
	for _, m := range all {
		for _, id := range m.Of {
			asked[about{id, m.Reader}] = true
			first = min(first, id)
		}
	}
	var earlier []about // report and reader
	err := readEvents(u.ctx, u.b.conn, "WHERE "+isRegistration+" AND "+bookLetter+"=x'6c' AND e.seq>$1 ORDER BY e.seq", []any{first}, func(e *event) error {
		m := e.mailed()
		if slices.ContainsFunc(m.Of, func(id int64) bool { return asked[about{id, m.Reader}] }) {
			earlier = append(earlier, about{e.seq, m.Reader})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range earlier {
		if err := u.checkReport(r.entry, r.reader); err != nil {
			return err
		}
	}
	return nil
}

// checkReport holds one report by e-mail against the log, with what came back.
func (u *update) checkReport(id int64, reader string) error {
	e, err := wholeEntry(u.ctx, u.b.conn, id)
	if err != nil {
		return err
	}
	noted, err := readReceipts(u.ctx, u.b.conn, id)
	if err != nil {
		return err
	}
	for _, of := range e.Mailed.Of {
		var known bool
		err := u.row("SELECT EXISTS (SELECT 1 FROM mailed WHERE report=$1 AND entry=$2 AND reader=$3)", id, of, reader).Scan(&known)
		if err != nil {
			return storage(err)
		}
		if !known {
			return named(tampered("mailed"), e.Name)
		}
	}
	rows, err := u.b.conn.QueryContext(u.ctx, "SELECT seq, kind, action FROM receipt WHERE entry=$1 ORDER BY seq", id)
	if err != nil {
		return storage(err)
	}
	defer rows.Close()
	var said []Receipt
	for rows.Next() {
		var r Receipt
		if err := rows.Scan(&r.Seq, &r.Kind, &r.Action); err != nil {
			return storage(err)
		}
		said = append(said, r)
	}
	same := func(x, y Receipt) bool { return x.Seq == y.Seq && x.Kind == y.Kind && x.Action == y.Action }
	if err := rows.Err(); err != nil || slices.EqualFunc(said, noted, same) {
		return storage(err)
	}
	return named(tampered("receipt"), e.Name)
}

// MailedFor finds the report by e-mail that stands for an entry and a reader,
// under way, delivered or refused; a zero id is none.
func (b *Book) MailedFor(ctx context.Context, entry int64, reader string) (int64, error) {
	id, _, _, err := scanMailed(b.readers.QueryRowContext(ctx, selectMailed, entry, reader))
	return id, err
}

// delivered records, when the copy of a report has reached its reader, that
// the entries it tells of are reported to him.
func (u *update) delivered(t taken, to CopyState, complete func(Entry) bool) error {
	if t.name.Book != Laporan || to != CopyAccepted && to != CopyEvidenced {
		return nil
	}
	e, err := readEntry(u.ctx, u.b.conn, t.id)
	if err != nil {
		return err
	}
	if e.Mailed == nil {
		return tampered("report of an entry")
	}
	r := ReportRecord{Kind: "result", To: e.Mailed.Reader, Object: e.Mailed.Sheet, By: t.id}
	for _, id := range e.Mailed.Of {
		if err := u.report(id, r, complete); err != nil {
			return err
		}
	}
	return nil
}

// mailed reads what an entry of book laporan is from its own event.
func (e *event) mailed() *Mailed {
	m := &Mailed{
		Reader: e.get("reader"), Sheet: Object{SHA256: e.getHash("object")}, Plain: Object{SHA256: e.getHash("plain")},
	}
	for _, value := range e.list("of") {
		id, _ := parseCount(value)
		m.Of = append(m.Of, id)
	}
	return m
}

// applyMailed writes the rows of a report: its entry, its one copy, and what
// it tells of. Its reader is no correspondent.
func applyMailed(ix index, e *event) error {
	err := ix.insert(entryTable, []any{e.seq},
		e.get("book"), e.getInt("year"), e.getInt("serial"), string(ClassBiasa), string(UrgencyBiasa), string(e.to), int64(0), int64(0),
		nil, formatStamp(e.at), nil, nil, nil, nil, nil, nil, e.seq, e.seq, nil)
	if err != nil {
		return err
	}
	if err := ix.insert(copyTable, []any{e.seq, int64(1)}, KindTo, int64(0), nil, nil, nil, nil, nil, nil, nil, nil, nil); err != nil {
		return err
	}
	return e.numbered("of", func(_ int, value string) error {
		id, err := parseCount(value)
		if err != nil {
			return tampered("entry of a report")
		}
		return ix.insert(mailedTable, []any{e.seq, id}, e.get("reader"))
	})
}
