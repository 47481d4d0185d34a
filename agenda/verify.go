package agenda

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// Problem is one thing that does not agree. Kind is hash, record, contradiction,
// index, gap, object, checkpoint, tree or schema.
type Problem struct {
	Kind   string
	Seq    int64 // event concerned, -1 = none
	Entry  Name  // entry concerned, if known
	Detail string
}

// BookCheck is the count of a book and year.
type BookCheck struct {
	Book             BookName
	Year             int
	Entries, Numbers int
}

// VerifyReport is the result of [Book.Verify]. The book is good when there are
// no Problems.
type VerifyReport struct {
	Events, Entries int64
	Root            Hash
	Books           []BookCheck
	Checkpoints     int
	Problems        []Problem
}

// maxProblems bounds the report of a book that is wrong throughout.
const maxProblems = 1000

// Verify checks the whole book on one snapshot: leaf hashes and tree nodes,
// the grammar of every record, every text against its commitments, kept
// objects against their digests, the index against what apply makes of the
// log, the mark of the newest restore, gaps, and every checkpoint's root
// against the tree. checkNote verifies the signature of a note and returns its
// text; nil takes the text unverified. The bytes in the vault are the caller's
// to check ([Book.VaultObjects]).
//
// The replay keeps a fingerprint of each index column in memory, about half a
// kilobyte an entry. An error means that the check could not be made.
func (b *Book) Verify(ctx context.Context, checkNote func(note []byte) (text []byte, err error)) (VerifyReport, error) {
	v := &verifier{
		ctx: ctx, checkNote: checkNote, replay: newReplay(), objects: map[Hash]int64{},
	}
	err := b.view(ctx, func(q *reader) error {
		v.q = q
		for _, check := range []func() error{v.log, v.texts, v.index, v.mark, v.files, v.notes, v.gaps, v.schema} {
			if err := check(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return VerifyReport{}, err
	}
	return v.report, nil
}

type verifier struct {
	ctx       context.Context
	q         querier
	checkNote func([]byte) ([]byte, error)
	report    VerifyReport
	replay    *replay
	edge      tree
	broken    bool           // an event is missing
	objects   map[Hash]int64 // referenced objects and their stated size, -1: not stated
	marks     []checkpoint
	restored  int64 // the newest desk.restored, 0: none
	origin    string
}

// checkpoint is a log.checkpoint event with the root the tree had before it.
type checkpoint struct {
	seq, size  int64
	root, tree Hash
	note       Hash
}

func (v *verifier) problem(kind string, seq int64, format string, args ...any) {
	if len(v.report.Problems) < maxProblems {
		v.report.Problems = append(v.report.Problems, Problem{Kind: kind, Seq: seq, Detail: fmt.Sprintf(format, args...)})
	}
}

// logRow is an event row on its way through the workers.
type logRow struct {
	seq                         int64
	entry                       sql.NullInt64
	record, nodes, secret, body []byte
	form                        sql.NullInt64

	leaf   Hash
	event  *event
	failed error
}

type logBatch struct {
	rows []logRow
	done chan struct{}
}

// check hashes, parses and reveals one row; it looks at nothing else.
func (r *logRow) check() {
	r.leaf = leafHash(r.record)
	if r.event, r.failed = parseRecord(r.record); r.failed != nil {
		return
	}
	switch {
	case r.event.seq != r.seq:
		r.failed = tampered("sequence")
	case r.entry.Valid != (r.event.entry != noEntry) || (r.entry.Valid && r.entry.Int64 != r.event.entry):
		r.failed = tampered("entry of the event")
	case r.event.secretive() && !r.form.Valid:
		r.failed = tampered("text missing")
	case !r.event.secretive() && r.form.Valid:
		r.failed = tampered("text without commitments")
	case r.form.Valid && r.form.Int64 != 0:
		r.failed = tampered("form of the text")
	case r.form.Valid:
		r.failed = r.event.reveal(r.secret, r.body)
	}
}

// log reads all events in order. Rows are hashed and parsed by workers; what
// depends on order is done here.
func (v *verifier) log() error {
	ctx, stop := context.WithCancel(v.ctx)
	defer stop()
	work := make(chan *logBatch, 8)
	ordered := make(chan *logBatch, 8)
	failed := make(chan error, 1)
	for range runtime.GOMAXPROCS(0) {
		go func() {
			for batch := range work {
				for i := range batch.rows {
					batch.rows[i].check()
				}
				close(batch.done)
			}
		}()
	}
	go func() {
		defer close(ordered)
		defer close(work)
		failed <- v.readLog(ctx, func(batch *logBatch) {
			work <- batch
			ordered <- batch
		})
	}()
	for batch := range ordered {
		<-batch.done
		for i := range batch.rows {
			v.row(&batch.rows[i])
		}
	}
	if v.report.Events = v.edge.size; !v.broken {
		v.report.Root = v.edge.root()
	}
	v.report.Entries = int64(len(v.replay.rows[entryTable]))
	return <-failed
}

func (v *verifier) readLog(ctx context.Context, give func(*logBatch)) error {
	rows, err := v.q.QueryContext(ctx, `SELECT e.seq, e.entry, e.record, e.nodes, t.form, t.secret, t.body
 FROM event e LEFT JOIN text t ON t.seq=e.seq ORDER BY e.seq`)
	if err != nil {
		return storage(err)
	}
	defer rows.Close()
	const size = 512
	batch := &logBatch{rows: make([]logRow, 0, size), done: make(chan struct{})}
	for rows.Next() {
		var r logRow
		if err := rows.Scan(&r.seq, &r.entry, &r.record, &r.nodes, &r.form, &r.secret, &r.body); err != nil {
			return storage(err)
		}
		if batch.rows = append(batch.rows, r); len(batch.rows) == size {
			give(batch)
			batch = &logBatch{rows: make([]logRow, 0, size), done: make(chan struct{})}
		}
	}
	if len(batch.rows) > 0 {
		give(batch)
	}
	return storage(rows.Err())
}

// row does what depends on the order of the events.
func (v *verifier) row(r *logRow) {
	if r.seq != v.edge.size {
		v.problem("tree", v.edge.size, "event missing before %d", r.seq)
		v.broken = true
	}
	if v.broken {
		// Without every leaf there is no tree to compare with.
		v.edge.size = r.seq + 1
		v.apply(r, Hash{})
		return
	}
	var before Hash
	if r.event != nil && r.event.typ.name == "log.checkpoint" {
		before = v.edge.root()
	}
	if nodes := v.edge.push(r.leaf); !bytes.Equal(nodes, r.nodes) {
		v.problem("hash", r.seq, "record and tree do not agree")
	}
	v.apply(r, before)
}

// apply replays the event; before is the root of the tree without it.
func (v *verifier) apply(r *logRow, before Hash) {
	defer v.nameEntry(r, len(v.report.Problems))
	if r.failed != nil {
		v.problem("record", r.seq, "%v", r.failed)
	}
	if r.event == nil {
		return
	}
	e := r.event
	if detail := v.replay.contradicts(e); detail != "" {
		v.problem("contradiction", r.seq, "%s", detail)
	}
	if err := apply(v.replay, e); err != nil {
		v.problem("record", r.seq, "%v", err)
	}
	err := e.objects(func(h Hash, size int64) error {
		if known, ok := v.objects[h]; ok && known >= 0 && size >= 0 && known != size {
			return tampered("size of an object")
		} else if !ok || known < 0 {
			v.objects[h] = size
		}
		return nil
	})
	if err != nil {
		v.problem("object", r.seq, "%v", err)
	}
	switch e.typ.name {
	case "desk.created":
		v.origin = Genesis{DeskID: e.get("desk-id"), MailDomain: e.get("mail-domain")}.origin()
		if e.seq != 0 {
			v.problem("record", e.seq, "desk created twice")
		}
	case "desk.restored":
		v.restored = e.seq
	case "log.checkpoint":
		v.report.Checkpoints++
		v.marks = append(v.marks, checkpoint{
			seq: e.seq, size: e.getInt("size"), root: e.getHash("root"), tree: before, note: e.getHash("note"),
		})
	}
}

// nameEntry puts the entry of a row on the problems that were found with it.
func (v *verifier) nameEntry(r *logRow, from int) {
	id := r.seq // of the event that registers it
	if r.entry.Valid {
		id = r.entry.Int64
	}
	for i := range v.report.Problems[from:] {
		v.report.Problems[from+i].Entry = v.replay.names[id]
	}
}

// texts finds text rows without an event.
func (v *verifier) texts() error {
	rows, err := v.q.QueryContext(v.ctx, "SELECT t.seq FROM text t LEFT JOIN event e ON e.seq=t.seq WHERE e.seq IS NULL")
	if err != nil {
		return storage(err)
	}
	defer rows.Close()
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			return storage(err)
		}
		v.problem("record", seq, "text without event")
	}
	return storage(rows.Err())
}

// index compares the tables, row by row and column by column, with the replay.
func (v *verifier) index() error {
	for _, t := range indexTables {
		if err := v.compare(t); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) compare(t *table) error {
	rows, err := v.q.QueryContext(v.ctx, "SELECT "+strings.Join(t.keys, ", ")+", "+strings.Join(t.cols, ", ")+" FROM "+t.name)
	if err != nil {
		return storage(err)
	}
	defer rows.Close()
	values := make([]any, len(t.keys)+len(t.cols))
	into := make([]any, len(values))
	for i := range values {
		into[i] = &values[i]
	}
	want := v.replay.rows[t]
	seen := 0
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return storage(err)
		}
		key := keyOf(values[:len(t.keys)])
		row, ok := want[key]
		if !ok {
			v.differs(t, key, "row not in the log")
			continue
		}
		seen++
		for i, column := range t.cols {
			if v.replay.fingerprint(values[len(t.keys)+i]) != row[i] {
				v.differs(t, key, column)
			}
		}
	}
	if err := rows.Err(); err != nil {
		return storage(err)
	}
	if seen < len(want) {
		return v.missing(t)
	}
	return nil
}

// missing names the rows that the log makes and the table lacks.
func (v *verifier) missing(t *table) error {
	rows, err := v.q.QueryContext(v.ctx, "SELECT "+strings.Join(t.keys, ", ")+" FROM "+t.name)
	if err != nil {
		return storage(err)
	}
	defer rows.Close()
	have := map[rowKey]bool{}
	values := make([]any, len(t.keys))
	into := make([]any, len(values))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return storage(err)
		}
		have[keyOf(values)] = true
	}
	for key := range v.replay.rows[t] {
		if !have[key] {
			v.differs(t, key, "row missing")
		}
	}
	return storage(rows.Err())
}

// mark compares the event since which a sending holds back what was ready
// before: without the right one a restored book sends again.
func (v *verifier) mark() error {
	seq, err := countMeta(v.ctx, v.q, restored)
	if err != nil && !errors.Is(err, ErrTampered) {
		return err
	}
	if err != nil || seq != v.restored {
		v.problem("index", -1, "meta %s: value", restored)
	}
	return nil
}

func (v *verifier) differs(t *table, key rowKey, detail string) {
	p := Problem{Kind: "index", Seq: -1, Detail: t.name + " " + key.String() + ": " + detail}
	if t == entryTable || t == copyTable {
		p.Seq, p.Entry = key.a, v.replay.names[key.a]
	}
	if len(v.report.Problems) < maxProblems {
		v.report.Problems = append(v.report.Problems, p)
	}
}

// files checks kept objects against their digests, and that the objects are
// those that the log refers to.
func (v *verifier) files() error {
	rows, err := v.q.QueryContext(v.ctx, "SELECT sha256, size, data FROM object")
	if err != nil {
		return storage(err)
	}
	defer rows.Close()
	for rows.Next() {
		var sum, data []byte
		var size int64
		if err := rows.Scan(&sum, &size, &data); err != nil {
			return storage(err)
		}
		if len(sum) != 32 {
			v.problem("object", -1, "digest of %d octets", len(sum))
			continue
		}
		h := Hash(sum)
		stated, ok := v.objects[h]
		switch {
		case !ok:
			v.problem("object", -1, "%s: not in the log", h)
		case stated >= 0 && stated != size:
			v.problem("object", -1, "%s: size", h)
		case data != nil && (int64(len(data)) != size || sha256.Sum256(data) != h):
			v.problem("object", -1, "%s: bytes", h)
		}
		delete(v.objects, h)
	}
	for h := range v.objects {
		v.problem("object", -1, "%s: missing", h)
	}
	return storage(rows.Err())
}

// notes checks every checkpoint against the tree.
func (v *verifier) notes() error {
	for _, m := range v.marks {
		o, err := readObject(v.ctx, v.q, m.note)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrTampered) {
			continue // reported as an object
		}
		if err != nil {
			return err
		}
		text, _, ok := bytes.Cut(o.Data, []byte("\n\n"))
		text = append(bytes.Clone(text), '\n')
		if v.checkNote != nil {
			if text, err = v.checkNote(o.Data); err != nil {
				v.problem("checkpoint", m.seq, "signature of the note")
				continue
			}
		} else if !ok {
			v.problem("checkpoint", m.seq, "form of the note")
			continue
		}
		origin, size, root, err := ParseCheckpoint(text)
		switch {
		case err != nil:
			v.problem("checkpoint", m.seq, "form of the note")
		case origin != v.origin:
			v.problem("checkpoint", m.seq, "origin")
		case size != m.size || size != m.seq:
			v.problem("checkpoint", m.seq, "size")
		case root != m.root || root != m.tree:
			v.problem("checkpoint", m.seq, "root")
		}
	}
	return nil
}

// gaps counts serials and numbers.
func (v *verifier) gaps() error {
	checks := map[string]*BookCheck{}
	at := func(book BookName, year int) *BookCheck {
		key := string(book) + strconv.Itoa(year)
		if checks[key] == nil {
			checks[key] = &BookCheck{Book: book, Year: year}
		}
		return checks[key]
	}
	for _, column := range []string{"serial", "number_seq"} {
		year := map[string]string{"serial": "year", "number_seq": "number_year"}[column]
		rows, err := v.q.QueryContext(v.ctx, "SELECT book, "+year+", count(*), max("+column+"), min("+column+") FROM entry WHERE "+
			year+" IS NOT NULL GROUP BY book, "+year)
		if err != nil {
			return storage(err)
		}
		for rows.Next() {
			var book BookName
			var y, count int
			var top, low sql.NullInt64
			if err := rows.Scan(&book, &y, &count, &top, &low); err != nil {
				return errors.Join(storage(err), rows.Close())
			}
			if int64(count) != top.Int64 || low.Int64 != 1 {
				v.problem("gap", -1, "%s of book %s %d: %d of %d", column, book, y, count, top.Int64)
			}
			if column == "serial" {
				at(book, y).Entries = count
			} else {
				at(book, y).Numbers = count
			}
		}
		if err := errors.Join(storage(rows.Err()), storage(rows.Close())); err != nil {
			return err
		}
	}
	for _, c := range checks {
		v.report.Books = append(v.report.Books, *c)
	}
	sort.Slice(v.report.Books, func(i, j int) bool {
		x, y := v.report.Books[i], v.report.Books[j]
		return x.Year < y.Year || (x.Year == y.Year && x.Book < y.Book)
	})
	return nil
}

// freshSchema reads the schema of a new book.
var freshSchema = sync.OnceValues(func() (map[string]string, error) {
	fresh, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, storage(err)
	}
	defer fresh.Close()
	fresh.SetMaxOpenConns(1)
	if _, err := fresh.Exec(schemaSQL + indexSQL); err != nil {
		return nil, storage(err)
	}
	return readSchema(context.Background(), fresh)
})

// schema compares tables, indexes and triggers with those of a new book.
func (v *verifier) schema() error {
	want, err := freshSchema()
	if err != nil {
		return err
	}
	have, err := readSchema(v.ctx, v.q)
	if err != nil {
		return err
	}
	for name, text := range want {
		if have[name] != text {
			v.problem("schema", -1, "%s", name)
		}
	}
	for name := range have {
		if _, ok := want[name]; !ok {
			v.problem("schema", -1, "%s", name)
		}
	}
	// The mark lifts the guards against deleting; it lives within one
	// transaction only.
	var open bool
	if err := v.q.QueryRowContext(v.ctx, "SELECT EXISTS (SELECT 1 FROM meta WHERE name='destroying')").Scan(&open); err != nil {
		return storage(err)
	}
	if open {
		v.problem("schema", -1, "mark of a destruction")
	}
	return nil
}

func readSchema(ctx context.Context, q querier) (map[string]string, error) {
	// sqlite_… are SQLite's own, such as the statistics of ANALYZE.
	rows, err := q.QueryContext(ctx, "SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!'")
	if err != nil {
		return nil, storage(err)
	}
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, storage(err)
		}
		out[name] = text
	}
	return out, storage(rows.Err())
}

// CheckFile runs SQLite's own check of the file, which sees what Verify does
// not read: free pages and the inner form of its indexes. nil means good.
func (b *Book) CheckFile(ctx context.Context) ([]string, error) {
	rows, err := b.readers.QueryContext(ctx, "PRAGMA integrity_check(100)")
	if err != nil {
		return nil, storage(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return nil, storage(err)
		}
		if line != "ok" {
			out = append(out, line)
		}
	}
	return out, storage(rows.Err())
}

// rowKey is the key of an index row: numbers in a and b, words in s.
type rowKey struct {
	a, b int64
	s    string
}

func (k rowKey) String() string {
	if k.s != "" {
		return k.s
	}
	if k.b != 0 {
		return fmt.Sprintf("%d/%d", k.a, k.b)
	}
	return strconv.FormatInt(k.a, 10)
}

func keyOf(key []any) rowKey {
	var k rowKey
	for i, part := range key {
		switch part := part.(type) {
		case int64:
			if i == 0 {
				k.a = part
			} else {
				k.b = part
			}
		case string:
			if k.s != "" {
				k.s += " "
			}
			k.s += part
		}
	}
	return k
}

// replay is the index in memory: of each column only a fingerprint, keyed by
// a seed of this run, so that no book can be made to collide.
type replay struct {
	seed    maphash.Seed
	rows    map[*table]map[rowKey][]uint64
	columns map[columnsKey][]int
	people  map[string]int64
	names   map[int64]Name
}

type columnsKey struct {
	table   *table
	columns string
}

func newReplay() *replay {
	r := &replay{
		seed: maphash.MakeSeed(), rows: map[*table]map[rowKey][]uint64{},
		columns: map[columnsKey][]int{}, people: map[string]int64{}, names: map[int64]Name{},
	}
	for _, t := range indexTables {
		r.rows[t] = map[rowKey][]uint64{}
	}
	return r
}

func (r *replay) fingerprint(value any) uint64 {
	switch value := value.(type) {
	case nil:
		return 0
	case int64:
		return maphash.Comparable(r.seed, value)
	case string:
		return maphash.String(r.seed, value)
	case []byte:
		return ^maphash.Bytes(r.seed, value)
	}
	return 1
}

func (r *replay) insert(t *table, key []any, values ...any) error {
	k := keyOf(key)
	if _, ok := r.rows[t][k]; ok {
		return tampered("row of " + t.name + " twice")
	}
	row := make([]uint64, len(values))
	for i, value := range values {
		row[i] = r.fingerprint(value)
	}
	r.rows[t][k] = row
	switch t {
	case correspondentTable:
		r.people[k.s] = values[0].(int64)
	case entryTable:
		r.names[k.a] = Name{Book: BookName(values[0].(string)), Year: int(values[1].(int64)), Serial: int(values[2].(int64))}
	}
	return nil
}

// holds tells whether a column has the value; a row that is not there is told
// by who writes it.
func (r *replay) holds(t *table, key []any, column string, value any) bool {
	row, ok := r.rows[t][keyOf(key)]
	return !ok || row[slices.Index(t.cols, column)] == r.fingerprint(value)
}

// contradicts names the column of which an event says that it was something
// else than what the events before made it: it was appended on an index that
// somebody had changed. "" means that all agrees.
func (r *replay) contradicts(e *event) string {
	var said []string
	saw := func(t *table, key []any, column string, value any) {
		if !r.holds(t, key, column, value) {
			said = append(said, t.name+" "+keyOf(key).String()+": "+column+" before it")
		}
	}
	if e.entry != noEntry && !e.registers() && e.to != "" {
		saw(entryTable, []any{e.entry}, "state", string(e.from))
	}
	who := []any{e.get("handle")}
	switch name := e.typ.name; {
	case strings.HasPrefix(name, "copy."):
		saw(copyTable, []any{e.entry, e.getInt("copy")}, "state", optional(e.get("from")))
	case name == "correspondent.confirmed" && e.get("fingerprint") != "":
		saw(correspondentTable, who, "fingerprint", e.get("fingerprint"))
	case name == "correspondent.changed" && e.get("confirmed") == "yes":
		saw(correspondentTable, who, "state", Confirmed)
		saw(correspondentTable, who, "fingerprint", optional(e.get("fingerprint")))
		saw(correspondentTable, who, "subkey", optional(e.get("subkey")))
	case strings.HasPrefix(name, "complaint.") && e.get("complaint") != "":
		saw(complaintTable, []any{e.getInt("complaint")}, "state", e.get("from"))
	}
	return strings.Join(said, ", ")
}

func (r *replay) update(t *table, key []any, columns string, values ...any) error {
	row, ok := r.rows[t][keyOf(key)]
	if !ok {
		return tampered("row of " + t.name)
	}
	places, ok := r.columns[columnsKey{t, columns}]
	if !ok {
		for column := range strings.FieldsSeq(columns) {
			for i, name := range t.cols {
				if name == column {
					places = append(places, i)
				}
			}
		}
		r.columns[columnsKey{t, columns}] = places
	}
	for i, place := range places {
		row[place] = r.fingerprint(values[i])
	}
	return nil
}

func (r *replay) dropCopies(entry int64) error {
	for n := int64(1); ; n++ {
		key := rowKey{a: entry, b: n}
		if _, ok := r.rows[copyTable][key]; !ok {
			return nil
		}
		delete(r.rows[copyTable], key)
	}
}

func (r *replay) correspondent(handle string) (int64, error) { return r.people[handle], nil }
