package agenda

import (
	"strconv"
	"strings"
)

// table is an index table: the key columns first, then the others.
type table struct {
	name        string
	keys        []string
	cols        []string
	insertQuery string
}

func newTable(name, keys, cols string) *table {
	t := &table{name: name, keys: strings.Fields(keys), cols: strings.Fields(cols)}
	t.insertQuery = t.insertSQL()
	return t
}

var (
	entryTable = newTable("entry", "id",
		"book year serial class urgency state draft ordered once registered_at released_at sent_at "+
			"number_year number_seq number template current last received_at")
	copyTable = newTable("copy", "entry copy",
		"kind correspondent state message message_id frozen settled_at box offset length last")
	officerTable       = newTable("officer", "handle", "id fingerprint certificate current ended")
	roleTable          = newTable("role", "officer role kind valid_from", "valid_until current")
	correspondentTable = newTable("correspondent", "handle",
		"id fingerprint subkey certificate state confirmed current ended")
	applicantTable = newTable("applicant", "handle", "id current ended")
	openedTable    = newTable("opened", "seq", "manifest copy")

	complaintTable = newTable("complaint", "id",
		"year serial channel service received_at state answered_at passed_at closed_at last")
	complaintStepTable = newTable("complaint_step", "seq", "complaint")
	troubleTable       = newTable("trouble", "seq", "kind at until entry copy outcome")
	explainedTable     = newTable("explained", "seq", "entry")
	pageTable          = newTable("page", "seq page", "code")
	closedDayTable     = newTable("closed_day", "seq", "date")
	receiptTable       = newTable("receipt", "seq", "entry copy kind action at object")
	mailedTable        = newTable("mailed", "report entry", "reader")

	indexTables = []*table{
		entryTable, copyTable, officerTable, roleTable, correspondentTable, applicantTable, openedTable,
		complaintTable, complaintStepTable, troubleTable, explainedTable, pageTable, closedDayTable,
		receiptTable, mailedTable,
	}
)

// index is what apply writes to: the tables of the book, or the replay of
// [Book.Verify]. Values are int64, string, []byte or nil.
type index interface {
	insert(t *table, key []any, values ...any) error
	update(t *table, key []any, columns string, values ...any) error
	dropCopies(entry int64) error
	correspondent(handle string) (int64, error) // 0: unknown
}

// apply is the only writer of the index: the writer of a transaction calls it
// for each event it appends, a rebuild and Verify for each event of the log.
// The event must be revealed.
func apply(ix index, e *event) error {
	if e.entry != noEntry && !e.registers() {
		if err := applyEntry(ix, e); err != nil {
			return err
		}
	}
	switch e.typ.name {
	case "entry.registered":
		once, err := optionalHash(e.get("once"))
		if err != nil {
			return err
		}
		err = ix.insert(entryTable, []any{e.seq},
			e.get("book"), e.getInt("year"), e.getInt("serial"), e.get("class"), e.get("urgency"), string(e.to), int64(0), int64(0),
			once, formatStamp(e.at), nil, nil, nil, nil, nil, nil, e.seq, e.seq, optional(e.get("received")))
		if err != nil {
			return err
		}
		if err := applyTrouble(ix, e); err != nil {
			return err
		}
		return applyRecipients(ix, e, e.seq)
	case "report.registered":
		return applyMailed(ix, e)
	case "entry.corrected":
		if err := ix.dropCopies(e.entry); err != nil {
			return err
		}
		return applyRecipients(ix, e, e.entry)
	case "entry.released":
		return applyRelease(ix, e)
	case "entry.archived":
		return e.numbered("copy", func(n int, value string) error {
			offset, length, ok := strings.Cut(value, " ")
			o, err := parseCount(offset)
			l, err2 := parseCount(length)
			if !ok || err != nil || err2 != nil {
				return tampered("place in the box")
			}
			return ix.update(copyTable, []any{e.entry, int64(n)}, "box offset length", e.get("box"), o, l)
		})
	case "officer.added", "officer.changed", "officer.ended":
		return applyOfficer(ix, e)
	case "role.given":
		return ix.insert(roleTable, roleKey(e), optional(e.get("until")), e.seq)
	case "role.ended":
		return ix.update(roleTable, roleKey(e), "valid_until current", optional(e.get("until")), e.seq)
	case "correspondent.added", "correspondent.changed", "correspondent.ended":
		return applyCorrespondent(ix, e)
	case "correspondent.confirmed":
		return applyConfirmed(ix, e)
	case "applicant.added":
		return ix.insert(applicantTable, []any{e.get("handle")}, e.seq, e.seq, int64(0))
	case "applicant.changed":
		return ix.update(applicantTable, []any{e.get("handle")}, "current", e.seq)
	case "applicant.ended":
		return ix.update(applicantTable, []any{e.get("handle")}, "current ended", e.seq, int64(1))
	case "kriptogram.opened":
		manifest, err := optionalHash(e.get("manifest"))
		if err != nil {
			return err
		}
		return ix.insert(openedTable, []any{e.seq}, manifest, e.getInt("copy"))
	case "complaint.added", "complaint.answered", "complaint.passed", "complaint.closed":
		return applyComplaint(ix, e)
	case "receipt.noted":
		return applyReceipt(ix, e)
	case "entry.explained":
		return ix.insert(explainedTable, []any{e.seq}, e.entry)
	case "extract.printed":
		return applyPages(ix, e)
	case "day.closed":
		if err := ix.insert(closedDayTable, []any{e.seq}, e.get("date")); err != nil {
			return err
		}
		return applyPages(ix, e)
	}
	if err := applyTrouble(ix, e); err != nil {
		return err
	}
	if strings.HasPrefix(e.typ.name, "copy.") {
		return applyCopy(ix, e)
	}
	return nil
}

// registers tells whether the event brings its entry into the book.
func (e *event) registers() bool {
	return e.typ.name == "entry.registered" || e.typ.name == "report.registered"
}

// applyEntry writes what an event changes in the row of its entry.
func applyEntry(ix index, e *event) error {
	columns, values := "last", []any{e.seq}
	if e.to != "" {
		columns, values = columns+" state", append(values, string(e.to))
	}
	switch e.typ.name {
	case "entry.ordered":
		columns, values = columns+" ordered", append(values, int64(1))
	case "entry.corrected":
		columns += " class urgency current received_at"
		values = append(values, e.get("class"), e.get("urgency"), e.seq, optional(e.get("received")))
	case "entry.drafted":
		columns, values = columns+" draft", append(values, e.getInt("draft"))
	case "entry.released":
		columns, values = columns+" released_at", append(values, formatStamp(e.at))
		if number := e.get("number"); number != "" {
			columns += " number number_seq number_year template"
			values = append(values, number, e.getInt("number-seq"), e.getInt("number-year"), e.get("template"))
		}
	}
	if e.to == StateSent && e.from != StateSent {
		columns, values = columns+" sent_at", append(values, settledAt(e))
	}
	return ix.update(entryTable, []any{e.entry}, columns, values...)
}

// settledAt is when the copy was settled: the time that was said for what
// happened outside, else the stamp.
func settledAt(e *event) string {
	if at := e.get("at"); at != "" {
		return at
	}
	return formatStamp(e.at)
}

// applyRecipients writes the copy rows of an image: to before cc.
func applyRecipients(ix index, e *event, entry int64) error {
	number := int64(0)
	for _, kind := range []string{KindTo, KindCc} {
		for _, handle := range e.list(kind) {
			number++
			id, err := ix.correspondent(handle)
			if err != nil {
				return err
			}
			err = ix.insert(copyTable, []any{entry, number}, kind, id, nil, nil, nil, nil, nil, nil, nil, nil, nil)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// frozen reads "sha256 size message-id".
func frozen(value string) (message Hash, size int64, id string, err error) {
	parts := strings.Split(value, " ")
	if len(parts) != 3 {
		return Hash{}, 0, "", tampered("frozen message")
	}
	if message, err = ParseHash(parts[0]); err != nil {
		return Hash{}, 0, "", tampered("frozen message")
	}
	if size, err = parseCount(parts[1]); err != nil {
		return Hash{}, 0, "", tampered("frozen message")
	}
	return message, size, parts[2], nil
}

func frozenValue(c FrozenCopy) string {
	return c.Message.SHA256.String() + " " + strconv.FormatInt(c.Message.Size, 10) + " " + c.MessageID
}

func applyRelease(ix index, e *event) error {
	return e.numbered("copy", func(n int, value string) error {
		message, _, id, err := frozen(value)
		if err != nil {
			return err
		}
		return ix.update(copyTable, []any{e.entry, int64(n)}, "state message message_id frozen",
			string(CopyReady), message[:], id, e.seq)
	})
}

func applyCopy(ix index, e *event) error {
	key := []any{e.entry, e.getInt("copy")}
	to := CopyState(e.get("to"))
	if e.typ.name == "copy.readdressed" {
		message, _, id, err := frozen(e.get("message"))
		if err != nil {
			return err
		}
		return ix.update(copyTable, key, "state settled_at last message message_id frozen",
			string(to), nil, e.seq, message[:], id, e.seq)
	}
	var settled any
	if to != CopyReady && to != CopyHanded && to != CopyDoubt {
		settled = settledAt(e)
	}
	return ix.update(copyTable, key, "state settled_at last", string(to), settled, e.seq)
}

func applyOfficer(ix index, e *event) error {
	certificate, err := optionalHash(e.get("certificate"))
	if err != nil {
		return err
	}
	key, fingerprint := []any{e.get("handle")}, optional(e.get("fingerprint"))
	switch e.typ.name {
	case "officer.added":
		return ix.insert(officerTable, key, e.seq, fingerprint, certificate, e.seq, int64(0))
	case "officer.ended":
		return ix.update(officerTable, key, "fingerprint certificate current ended", fingerprint, certificate, e.seq, int64(1))
	}
	return ix.update(officerTable, key, "fingerprint certificate current", fingerprint, certificate, e.seq)
}

func roleKey(e *event) []any {
	return []any{e.get("handle"), e.get("role"), e.get("kind"), e.get("from")}
}

func applyCorrespondent(ix index, e *event) error {
	certificate, err := optionalHash(e.get("certificate"))
	if err != nil {
		return err
	}
	key := []any{e.get("handle")}
	fingerprint, subkey := optional(e.get("fingerprint")), optional(e.get("subkey"))
	switch e.typ.name {
	case "correspondent.added":
		return ix.insert(correspondentTable, key, e.seq, fingerprint, subkey, certificate, Unconfirmed, nil, e.seq, int64(0))
	case "correspondent.ended":
		return ix.update(correspondentTable, key, "fingerprint subkey certificate current ended",
			fingerprint, subkey, certificate, e.seq, int64(1))
	}
	if e.get("confirmed") == "yes" {
		return ix.update(correspondentTable, key, "fingerprint subkey certificate current",
			fingerprint, subkey, certificate, e.seq)
	}
	return ix.update(correspondentTable, key, "fingerprint subkey certificate current state confirmed",
		fingerprint, subkey, certificate, e.seq, Unconfirmed, nil)
}

func applyConfirmed(ix index, e *event) error {
	if e.get("fingerprint") == "" { // of signers alone
		return nil
	}
	return ix.update(correspondentTable, []any{e.get("handle")}, "state confirmed", Confirmed, e.seq)
}

func optional(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func optionalHash(s string) (any, error) {
	if s == "" {
		return nil, nil
	}
	h, err := ParseHash(s)
	if err != nil {
		return nil, tampered("digest")
	}
	return h[:], nil
}
