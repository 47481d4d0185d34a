package agenda

import (
	"encoding/hex"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// eventKey is one key of an event type.
type eventKey struct {
	name      string
	committed bool // the record holds a commitment, text.body the value
	numbered  bool // name.1, name.2, …
	optional  bool
}

type eventType struct {
	name string
	keys []eventKey
}

// imageKeys are the fields of a letter, as registered and as corrected.
const imageKeys = "applicant* request*? request-date*? received*? letter* letter-date* origin*? subject* " +
	"to.N* cc.N*? pages*? enclosures*? archive-class*? place*? excluded* note*? refers? retracts*?"

const (
	officerKeys       = "handle fingerprint? certificate? name* nip*? qualification*? title*?"
	roleKeys          = "handle role kind from until? title*? order*?"
	applicantKeys     = "handle* unit* contact*? email*?"
	correspondentKeys = "handle* unit* address* fingerprint*? subkey*? certificate*? signer.N*? reason*? confirmed?"
	copyKeys          = "copy from to attempt? at? route? queue-id? tls*? peer*? address*? reply*? basis? evidence*? " +
		"reason*? dialogue? message?"
)

// eventSpecs lists the types and their keys in order, after the head. A star
// marks a committed key, ".N" a numbered one, "?" one that may be absent. It
// is the same table as in FORMAT.md; a test compares them.
var eventSpecs = []struct{ name, keys string }{
	{"desk.created", "desk-id log-key archive-certificate? office* mail-domain* profile archive-fingerprint? config?"},
	{"desk.restored", "reason*"},
	{"desk.clock-accepted", "reason*"},
	{"config.changed", "object"},
	{"log.checkpoint", "size root note"},
	{"archive.changed", "fingerprint certificate reason*"},
	{"officer.added", officerKeys},
	{"officer.changed", officerKeys},
	{"officer.ended", officerKeys},
	{"role.given", roleKeys},
	{"role.ended", roleKeys},
	{"applicant.added", applicantKeys},
	{"applicant.changed", applicantKeys},
	{"applicant.ended", applicantKeys},
	{"correspondent.added", correspondentKeys},
	{"correspondent.changed", correspondentKeys},
	{"correspondent.ended", correspondentKeys},
	{"correspondent.confirmed", "handle* fingerprint*? by* channel* heard.N*?"},
	{"entry.registered", "book year serial once? class* urgency* " + imageKeys},
	{"entry.ordered", "from to at? order*?"},
	{"entry.corrected", "was reason* class* urgency* class-was urgency-was " + imageKeys},
	{"entry.voided", "reason* authority*"},
	{"entry.attached", "object size pages"},
	{"entry.drafted", "draft manifest kriptogram isi size paraf key policy format reason*? documents*? content* archive-packet*?"},
	{"entry.read", "draft via"},
	{"entry.returned", "draft return-text? signature? reason*"},
	{"entry.signed", "mode manifest signature? scan? key? via? reviewed"},
	{"entry.released", "number? number-seq? number-year? template? copy.N address.N*?"},
	{"copy.accepted", copyKeys},
	{"copy.rejected", copyKeys},
	{"copy.readdressed", copyKeys},
	{"copy.doubted", copyKeys},
	{"copy.evidenced", copyKeys},
	{"copy.reopened", copyKeys},
	{"copy.handed", copyKeys},
	{"copy.cancelled", copyKeys},
	{"entry.archived", "box place*? copy.N?"},
	{"report.made", "kind to object by?"},
	{"report.registered", "book year serial reader of.N object plain applicant*? to.N*"},
	{"extract.printed", "kind filter? rows size root page.N? book? year? last? sheet? volume?"},
	{"kriptogram.opened", "manifest kriptogram copy sender*? number*? verdicts"},
	{"receipt.noted", "copy kind action matched object at? status? address*? remote*?"},
	{"complaint.added", "year serial channel via? service? concerns? received? complainant* contact*? text*"},
	{"complaint.answered", "complaint from to at? text*"},
	{"complaint.passed", "complaint from to at? recipient* reason*"},
	{"complaint.closed", "complaint from to at? solution*"},
	{"entry.explained", "reason*"},
	{"gateway.outage", "from until cause*?"},
	{"day.closed", "date kriptogram surat numbers open size root page.N?"},
}

// headKeys come after the first line, before the keys of the type.
var headKeys = []eventKey{
	{name: "seq"},
	{name: "time"},
	{name: "type"},
	{name: "actor"},
	{name: "user", committed: true, optional: true},
	{name: "host", committed: true, optional: true},
	{name: "entry", optional: true},
	{name: "state", optional: true},
}

var eventTypes = func() map[string]*eventType {
	types := make(map[string]*eventType, len(eventSpecs))
	for _, spec := range eventSpecs {
		t := &eventType{name: spec.name, keys: append([]eventKey(nil), headKeys...)}
		for word := range strings.FieldsSeq(spec.keys) {
			var k eventKey
			word, k.optional = strings.CutSuffix(word, "?")
			word, k.committed = strings.CutSuffix(word, "*")
			k.name, k.numbered = strings.CutSuffix(word, ".N")
			t.keys = append(t.keys, k)
		}
		types[t.name] = t
	}
	return types
}()

// field is one line of an event. Of a committed field the record holds only
// the commitment; value is known when the text is at hand.
type field struct {
	key        string
	value      string // plain
	committed  bool
	commitment Hash
	hidden     bool // committed and not revealed
}

// event is a record of the log, built to be appended or read back.
type event struct {
	seq      int64
	at       time.Time
	typ      *eventType
	actor    string
	entry    int64 // -1: concerns no entry
	from, to State // "" and "": no state line; from "-" at a registration
	fields   []field
}

const (
	recordHead = "sandi-event/v1\n"
	noEntry    = int64(-1)
)

// newEvent begins an event of the named type that concerns no entry.
func newEvent(name string) *event {
	return &event{typ: eventTypes[name], entry: noEntry}
}

// on makes the event one of the entry; from and to may be empty.
func (e *event) on(entry int64, from, to State) *event {
	e.entry, e.from, e.to = entry, from, to
	return e
}

// set adds a field unless its value is empty: an absent field has no line.
func (e *event) set(key, value string) *event {
	if value != "" {
		e.fields = append(e.fields, field{key: key, value: normal(value)})
	}
	return e
}

func (e *event) setInt(key string, n int64) *event {
	return e.set(key, strconv.FormatInt(n, 10))
}

func (e *event) setHash(key string, h Hash) *event {
	if h.IsZero() {
		return e
	}
	return e.set(key, h.String())
}

func (e *event) setTime(key string, t time.Time) *event {
	if t.IsZero() {
		return e
	}
	return e.set(key, formatStamp(t))
}

// get returns the value of a field, "" when absent or hidden.
func (e *event) get(key string) string {
	for i := range e.fields {
		if e.fields[i].key == key {
			return e.fields[i].value
		}
	}
	return ""
}

// has tells whether the record has a field, revealed or not.
func (e *event) has(key string) bool {
	return slices.ContainsFunc(e.fields, func(f field) bool { return f.key == key })
}

func (e *event) getInt(key string) int64 {
	n, _ := strconv.ParseInt(e.get(key), 10, 64)
	return n
}

func (e *event) getHash(key string) Hash {
	h, _ := ParseHash(e.get(key))
	return h
}

// digest is getHash of an event that may not be there.
func (e *event) digest(key string) Hash {
	if e == nil {
		return Hash{}
	}
	return e.getHash(key)
}

func (e *event) getTime(key string) time.Time {
	t, _ := parseStamp(e.get(key))
	return t
}

// commitmentOf returns the commitment of a field as hex, "" when absent.
func (e *event) commitmentOf(key string) string {
	for i := range e.fields {
		if e.fields[i].key == key && e.fields[i].committed {
			return e.fields[i].commitment.String()
		}
	}
	return ""
}

// numbered calls fn for key.1, key.2, … in order.
func (e *event) numbered(key string, fn func(n int, value string) error) error {
	for i := range e.fields {
		base, n, ok := splitNumbered(e.fields[i].key)
		if ok && base == key {
			if err := fn(n, e.fields[i].value); err != nil {
				return err
			}
		}
	}
	return nil
}

// list returns the values of key.1, key.2, …
func (e *event) list(key string) []string {
	var out []string
	_ = e.numbered(key, func(_ int, v string) error {
		out = append(out, v)
		return nil
	})
	return out
}

func splitNumbered(key string) (base string, n int, ok bool) {
	dot := strings.LastIndexByte(key, '.')
	if dot <= 0 {
		return key, 0, false
	}
	n, ok = decimal(key[dot+1:], 999_999)
	if !ok || n == 0 {
		return key, 0, false
	}
	return key[:dot], n, true
}

// format writes the record and the text body. With a secret it computes the
// commitments; the body has a line for each committed field.
func (e *event) format(secret []byte) (record, body []byte, err error) {
	c := newCommitter(secret)
	record = append(make([]byte, 0, 1024), recordHead...)
	record = AppendLine(record, "seq", strconv.FormatInt(e.seq, 10))
	record = AppendLine(record, "time", formatStamp(e.at))
	record = AppendLine(record, "type", e.typ.name)
	record = AppendLine(record, "actor", e.actor)
	keys := e.typ.keys
	place, lastNumber := 4, 0 // seq, time, type and actor are written
	headDone := false
	for i := range e.fields {
		f := &e.fields[i]
		if !headDone && f.key != "user" && f.key != "host" {
			record = e.appendHead(record)
			headDone = true
		}
		k, n := matchKey(keys, place, f.key)
		if k < 0 {
			return nil, nil, tampered("event key " + f.key)
		}
		if name := skipped(keys[place:k], lastNumber); name != "" {
			return nil, nil, missingField(name)
		}
		place, lastNumber = k+1, 0
		if keys[k].numbered {
			place, lastNumber = k, n
		}
		if !keys[k].committed {
			record = AppendLine(record, f.key, f.value)
			continue
		}
		escaped := EscapeValue(f.value)
		f.committed, f.commitment = true, c.commit(f.key, escaped)
		record = append(record, f.key...)
		record = append(record, ' ')
		record = hex.AppendEncode(record, f.commitment[:])
		record = append(record, '\n')
		body = append(body, f.key...)
		body = append(body, ' ')
		body = append(body, escaped...)
		body = append(body, '\n')
	}
	if name := skipped(keys[place:], lastNumber); name != "" {
		return nil, nil, missingField(name)
	}
	if !headDone {
		record = e.appendHead(record)
	}
	return record, body, nil
}

func (e *event) appendHead(record []byte) []byte {
	if e.entry != noEntry {
		record = AppendLine(record, "entry", strconv.FormatInt(e.entry, 10))
	}
	if e.to != "" {
		record = AppendLine(record, "state", string(e.from)+" "+string(e.to))
	}
	return record
}

// skipped names the first key that is passed over although it must be there.
// The first of keys may be a numbered key already met, lastNumber times.
func skipped(keys []eventKey, lastNumber int) string {
	for _, k := range keys {
		if !k.optional && (!k.numbered || lastNumber == 0) {
			return k.name
		}
		lastNumber = 0
	}
	return ""
}

// matchKey finds the key at or after place.
func matchKey(keys []eventKey, place int, name string) (at, n int) {
	for i := place; i < len(keys); i++ {
		if !keys[i].numbered {
			if keys[i].name == name {
				return i, 0
			}
			continue
		}
		if len(name) > len(keys[i].name) && name[len(keys[i].name)] == '.' && name[:len(keys[i].name)] == keys[i].name {
			if _, n, ok := splitNumbered(name); ok {
				return i, n
			}
		}
	}
	return -1, 0
}

// parseRecord reads a record and accepts only what format writes: known type,
// keys in their order, none twice, none missing, numbered keys rising, every
// value in its one form. Committed values stay hidden until reveal.
func parseRecord(record []byte) (*event, error) {
	text, ok := strings.CutPrefix(string(record), recordHead)
	if !ok {
		return nil, tampered("record head")
	}
	e := &event{entry: noEntry, fields: make([]field, 0, strings.Count(text, "\n"))}
	keys, place, lastNumber := headKeys, 0, 0
	for text != "" {
		line, rest, ended := strings.Cut(text, "\n")
		key, escaped, spaced := strings.Cut(line, " ")
		if !ended || !spaced || escaped == "" {
			return nil, tampered("record line")
		}
		text = rest
		k, n := matchKey(keys, place, key)
		if k < 0 {
			return nil, tampered("record key")
		}
		if skipped(keys[place:k], lastNumber) != "" {
			return nil, tampered("record key missing")
		}
		if keys[k].numbered {
			if k > place {
				lastNumber = 0
			}
			if n <= lastNumber {
				return nil, tampered("record key order")
			}
			place, lastNumber = k, n
		} else {
			place, lastNumber = k+1, 0
		}
		f := field{key: key, committed: keys[k].committed}
		var err error
		if f.committed {
			f.hidden = true
			if f.commitment, err = ParseHash(escaped); err != nil {
				return nil, tampered("commitment")
			}
		} else if f.value, err = UnescapeValue(escaped); err != nil {
			return nil, tampered("record value")
		}
		if k >= len(headKeys) || f.committed {
			e.fields = append(e.fields, f)
			continue
		}
		if err := e.readHead(key, f.value); err != nil {
			return nil, err
		}
		if key == "type" {
			keys = e.typ.keys
		}
	}
	if e.typ == nil {
		return nil, tampered("record type")
	}
	if skipped(keys[place:], lastNumber) != "" {
		return nil, tampered("record key missing")
	}
	return e, nil
}

func (e *event) readHead(key, value string) error {
	var err error
	switch key {
	case "seq":
		e.seq, err = parseCount(value)
	case "time":
		e.at, err = parseStamp(value)
	case "type":
		if e.typ = eventTypes[value]; e.typ == nil {
			return tampered("record type")
		}
	case "actor":
		e.actor = value
	case "entry":
		e.entry, err = parseCount(value)
	case "state":
		from, to, ok := strings.Cut(value, " ")
		if !ok || from == "" || to == "" || strings.Contains(to, " ") {
			return tampered("record state")
		}
		e.from, e.to = State(from), State(to)
	}
	if err != nil {
		return tampered("record " + key)
	}
	return nil
}

func parseCount(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, invalid("number", s)
	}
	return n, nil
}

// reveal fills the committed values from the text row and checks each against
// its commitment. The body must name exactly the committed fields, in order.
func (e *event) reveal(secret, body []byte) error {
	if len(secret) != 32 {
		return tampered("secret")
	}
	c := newCommitter(secret)
	text := string(body)
	for i := range e.fields {
		f := &e.fields[i]
		if !f.committed {
			continue
		}
		line, rest, ended := strings.Cut(text, "\n")
		key, escaped, spaced := strings.Cut(line, " ")
		if !ended || !spaced || key != f.key || escaped == "" {
			return tampered("text line")
		}
		if c.commit(key, escaped) != f.commitment {
			return tampered("commitment of " + key)
		}
		value, err := UnescapeValue(escaped)
		if err != nil {
			return tampered("text value")
		}
		f.value, f.hidden = value, false
		text = rest
	}
	if text != "" {
		return tampered("text line")
	}
	return nil
}

// secretive tells whether the event needs a text row.
func (e *event) secretive() bool {
	for i := range e.fields {
		if e.fields[i].committed {
			return true
		}
	}
	return false
}

// objects calls fn for every object that the event refers to, with the size
// that the record states (-1: none).
func (e *event) objects(fn func(h Hash, size int64) error) error {
	for i := range e.fields {
		f := &e.fields[i]
		if f.hidden {
			continue
		}
		base, _, numbered := splitNumbered(f.key)
		size := int64(-1)
		value := ""
		switch {
		case numbered && base == "copy" && e.typ.name == "entry.released", f.key == "message":
			parts := strings.Fields(f.value)
			if len(parts) != 3 {
				return tampered("frozen message")
			}
			n, err := parseCount(parts[1])
			if err != nil {
				return tampered("frozen message")
			}
			value, size = parts[0], n
		case numbered && base == "signer":
			parts := strings.Fields(f.value)
			value = parts[len(parts)-1]
		case f.key == "manifest" && (e.typ.name == "entry.drafted"):
			value = f.value
		case f.key == "kriptogram" && e.typ.name == "entry.drafted", f.key == "object":
			value = f.value
			if n := e.get("size"); n != "" {
				size = e.getInt("size")
			}
		case f.key == "paraf", f.key == "note" && e.typ.name == "log.checkpoint", f.key == "archive-certificate",
			f.key == "config", f.key == "certificate", f.key == "return-text", f.key == "signature",
			f.key == "scan", f.key == "dialogue", f.key == "plain":
			value = f.value
		case f.key == "evidence":
			value = f.value
		}
		if value == "" {
			continue
		}
		h, err := ParseHash(value)
		if err != nil {
			return tampered("object of " + f.key)
		}
		if err := fn(h, size); err != nil {
			return err
		}
	}
	return nil
}

// sortCopies orders frozen copies by their number, as the record wants them.
func sortCopies(c []FrozenCopy) []FrozenCopy {
	out := append([]FrozenCopy(nil), c...)
	sort.Slice(out, func(i, j int) bool { return out[i].Copy < out[j].Copy })
	return out
}
