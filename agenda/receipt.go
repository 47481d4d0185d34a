package agenda

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"
)

// Receipt is what came back about a copy after the gateway took it: a delivery
// notice, a reading notice, or an answer of the addressee. It never changes
// the state of the copy: taken by the gateway and received are two things.
type Receipt struct {
	Seq     int64 // filled on reading
	Ref     CopyRef
	Kind    ReceiptKind
	Action  string // dsn: delivered relayed delayed failed expanded; mdn: displayed processed …; reply: answered
	Status  string // RFC 3463, such as 5.1.1
	Matched string // by: envid, message-id, number
	At      time.Time
	Address string // of the addressee, as the notice has it
	Remote  string // who reports
	Object  Object // the notice itself, with its bytes or in the vault
	Also    []Hash // of the notice in other forms, under which it may have been noted; not filled on reading
	NotedAt time.Time
}

// ReceiptKind is the form of a receipt.
type ReceiptKind string

// The kinds of receipt.
const (
	ReceiptDSN   ReceiptKind = "dsn"   // delivery status notification (RFC 3464)
	ReceiptMDN   ReceiptKind = "mdn"   // message disposition notification (RFC 8098)
	ReceiptReply ReceiptKind = "reply" // answer of a person
)

// The ways by which a receipt is matched to a copy, the surest first.
const (
	MatchedEnvelope = "envid"
	MatchedMessage  = "message-id"
	MatchedNumber   = "number"
)

// Arrived tells whether the receipt says that the message is with the
// addressee. A relay says only that it went on.
func (r Receipt) Arrived() bool {
	switch r.Kind {
	case ReceiptDSN:
		return r.Action == "delivered"
	case ReceiptMDN:
		return r.Action != "failed" && r.Action != "deleted"
	}
	return true
}

// arrivedSQL is [Receipt.Arrived] of a row a.
const arrivedSQL = "(a.action='delivered' OR a.kind='reply' OR (a.kind='mdn' AND a.action NOT IN ('failed', 'deleted')))"

// Failed tells whether the receipt says that the message did not arrive.
func (r Receipt) Failed() bool { return r.Kind == ReceiptDSN && r.Action == "failed" }

// NoteReceipt records a receipt once: the same notice about the same copy a
// second time, in whatever form of it, is found to be known and changes nothing.
func (b *Book) NoteReceipt(ctx context.Context, a Actor, r Receipt) (known bool, err error) {
	if !slices.Contains([]ReceiptKind{ReceiptDSN, ReceiptMDN, ReceiptReply}, r.Kind) {
		return false, invalid("kind", string(r.Kind))
	}
	if r.Action == "" || strings.ContainsFunc(r.Action, func(c rune) bool { return c < 'a' || c > 'z' }) {
		return false, invalid("action", r.Action)
	}
	if !slices.Contains([]string{MatchedEnvelope, MatchedMessage, MatchedNumber}, r.Matched) {
		return false, invalid("matched", r.Matched)
	}
	if r.Object.IsZero() {
		return false, missingField("object")
	}
	for key, value := range map[string]string{"address": r.Address, "remote": r.Remote, "status": r.Status} {
		if err := checkText(key, value); err != nil {
			return false, err
		}
	}
	err = b.update(ctx, a, func(u *update) error {
		for _, sum := range append([]Hash{r.Object.SHA256}, r.Also...) {
			if err := u.row("SELECT EXISTS (SELECT 1 FROM receipt WHERE entry=$1 AND copy=$2 AND object=$3)",
				r.Ref.Entry, r.Ref.Copy, sum[:]).Scan(&known); err != nil || known {
				return storage(err)
			}
		}
		var there bool
		if err := u.row("SELECT EXISTS (SELECT 1 FROM copy WHERE entry=$1 AND copy=$2 AND state IS NOT NULL)",
			r.Ref.Entry, r.Ref.Copy).Scan(&there); err != nil {
			return storage(err)
		}
		if !there {
			return &Error{code: "agenda.not_found", Copy: r.Ref.Copy, Field: "copy"}
		}
		if err := u.putObject(r.Object); err != nil {
			return err
		}
		e := newEvent("receipt.noted").on(r.Ref.Entry, "", "").setInt("copy", int64(r.Ref.Copy)).set("kind", string(r.Kind)).
			set("action", r.Action).set("matched", r.Matched).setHash("object", r.Object.SHA256).setTime("at", r.At).
			set("status", r.Status).set("address", r.Address).set("remote", r.Remote)
		_, err := u.append(e)
		return err
	})
	return known, err
}

func applyReceipt(ix index, e *event) error {
	object := e.getHash("object")
	return ix.insert(receiptTable, []any{e.seq}, e.entry, e.getInt("copy"), e.get("kind"), e.get("action"), settledAt(e), object[:])
}

// Receipts returns what came back about the copies of an entry, oldest first.
func (b *Book) Receipts(ctx context.Context, entry int64) ([]Receipt, error) {
	var out []Receipt
	err := b.view(ctx, func(q *reader) (err error) {
		out, err = readReceipts(ctx, q, entry)
		return err
	})
	return out, err
}

// readReceipts reads them from the log: whether a letter arrived is told to
// those who asked for it.
func readReceipts(ctx context.Context, q querier, entry int64) ([]Receipt, error) {
	var out []Receipt
	err := readEvents(ctx, q, "WHERE e.entry=$1 AND "+isReceipt+" ORDER BY e.seq", []any{entry}, func(e *event) error {
		out = append(out, e.receipt())
		return nil
	})
	return out, err
}

// isReceipt spares the reading of the other events of an entry.
const isReceipt = "substr(e.record, 56 + length(e.seq), 7) = x'72656365697074'"

// receipt is what an event says that came back.
func (e *event) receipt() Receipt {
	return Receipt{
		Seq: e.seq, Ref: CopyRef{Entry: e.entry, Copy: int(e.getInt("copy"))}, Kind: ReceiptKind(e.get("kind")), Action: e.get("action"),
		Status: e.get("status"), Matched: e.get("matched"), At: stampOf(settledAt(e)), Address: e.get("address"), Remote: e.get("remote"),
		Object: Object{SHA256: e.getHash("object")}, NotedAt: e.at,
	}
}

// ReceiptsBetween returns the receipts dated in a time, for the delivery book.
func (b *Book) ReceiptsBetween(ctx context.Context, from, until time.Time) ([]Receipt, error) {
	var out []Receipt
	err := b.view(ctx, func(q *reader) error {
		return readEvents(ctx, q, "JOIN receipt r ON r.seq=e.seq WHERE r.at>=$1 AND r.at<$2 ORDER BY r.at, r.seq",
			[]any{formatStamp(from), formatStamp(until)}, func(e *event) error {
				if !e.is("receipt.noted") {
					return tampered("receipt")
				}
				out = append(out, e.receipt())
				return nil
			})
	})
	return out, err
}

// CopyByMessage finds the copy whose message has the Message-ID, or, without a
// domain, the envelope identifier. None is agenda.not_found.
func (b *Book) CopyByMessage(ctx context.Context, id string) (CopyRef, error) {
	var ref CopyRef
	query, args := "SELECT entry, copy FROM copy WHERE message_id=$1", []any{id}
	if !strings.Contains(id, "@") {
		// Every Message-ID with this left part, by the index on it.
		query, args = "SELECT entry, copy FROM copy WHERE message_id>=$1 AND message_id<$2", []any{id + "@", id + "A"}
	}
	err := b.view(ctx, func(q *reader) error {
		err := q.QueryRowContext(ctx, query, args...).Scan(&ref.Entry, &ref.Copy)
		if errors.Is(err, sql.ErrNoRows) {
			return &Error{code: "agenda.not_found", Field: "message"}
		}
		return storage(err)
	})
	return ref, err
}

// Numbered lists the entries of book kriptogram that have the number, newest
// first: a template without the year gives one to several years.
func (b *Book) Numbered(ctx context.Context, number string) ([]int64, error) {
	return b.ids(ctx, "SELECT id FROM entry WHERE book='kriptogram' AND number=$1 ORDER BY id DESC", number)
}

// Outstanding is a copy that left and of which nothing says that it arrived.
type Outstanding struct {
	Ref       CopyRef
	Book      BookName
	SettledAt time.Time
	Failed    bool // a notice says that it did not arrive
}

// Unconfirmed lists the copies that left in [after, before) and of which
// nothing says yet that they arrived, oldest first.
func (b *Book) Unconfirmed(ctx context.Context, after, before time.Time) ([]Outstanding, error) {
	var out []Outstanding
	err := b.view(ctx, func(q *reader) error {
		rows, err := q.QueryContext(ctx, `SELECT c.entry, c.copy, e.book, c.settled_at,
 EXISTS (SELECT 1 FROM receipt r WHERE r.entry=c.entry AND r.copy=c.copy AND r.kind='dsn' AND r.action='failed')
 FROM copy c JOIN entry e ON e.id=c.entry WHERE c.state IN ('accepted', 'evidenced') AND c.settled_at>=$1 AND c.settled_at<$2
 AND NOT EXISTS (SELECT 1 FROM receipt a WHERE a.entry=c.entry AND a.copy=c.copy AND `+arrivedSQL+`)
 ORDER BY c.settled_at, c.entry, c.copy`, formatStamp(after), formatStamp(before))
		if err != nil {
			return storage(err)
		}
		defer rows.Close()
		for rows.Next() {
			var o Outstanding
			var at string
			if err := rows.Scan(&o.Ref.Entry, &o.Ref.Copy, &o.Book, &at, &o.Failed); err != nil {
				return storage(err)
			}
			o.SettledAt = stampOf(at)
			out = append(out, o)
		}
		return storage(rows.Err())
	})
	return out, err
}

func (b *Book) ids(ctx context.Context, query string, args ...any) ([]int64, error) {
	var out []int64
	err := b.view(ctx, func(q *reader) error {
		return eachID(ctx, q, func(id int64) { out = append(out, id) }, query, args...)
	})
	return out, err
}

// eachID calls take with the only column of every row of a query.
func eachID(ctx context.Context, q querier, take func(id int64), query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return storage(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return storage(err)
		}
		take(id)
	}
	return storage(rows.Err())
}
