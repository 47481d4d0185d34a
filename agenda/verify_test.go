package agenda

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// smallBook has an entry of each book and a checkpoint.
func smallBook(t testing.TB) *book {
	t.Helper()
	b := newPeopledBook(t)
	b.at(Kriptogram, StateReported)
	b.at(Surat, StateAttached)
	_, err := b.Checkpoint(t.Context(), clerk, func(text []byte) ([]byte, error) { return append(text, "\n— contoh sig\n"...), nil })
	b.must(err)
	return b
}

// kinds names what Verify finds wrong, each kind once.
func (b *book) kinds() string {
	b.t.Helper()
	r, err := b.Verify(b.t.Context(), nil)
	b.must(err)
	var out []string
	for _, p := range r.Problems {
		if s := " " + strings.Join(out, " ") + " "; !strings.Contains(s, " "+p.Kind+" ") {
			out = append(out, p.Kind)
		}
	}
	return strings.Join(out, " ")
}

// dropGuards removes the triggers and returns the SQL that makes them anew.
func (b *book) dropGuards() (restore string) {
	b.t.Helper()
	rows, err := b.readers.QueryContext(b.t.Context(), "SELECT name, sql FROM sqlite_schema WHERE type='trigger'")
	b.must(err)
	var drops []string
	for rows.Next() {
		var name, text string
		b.must(rows.Scan(&name, &text))
		drops = append(drops, "DROP TRIGGER "+name)
		restore += text + ";\n"
	}
	b.must(rows.Close())
	b.sql(strings.Join(drops, "; "))
	return restore
}

// TestEveryByteFlip flips one bit in every byte of every record, node, secret,
// text and kept object, and Verify finds each.
func TestEveryByteFlip(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("walks through every byte")
	}
	b := newBook(t)
	b.must(b.AddCorrespondent(t.Context(), clerk, Correspondent{
		Handle: "jateng", Unit: "Diskominfo", Address: "jateng@contoh.test", Fingerprint: fingerprint(1), Subkey: fingerprint(2),
		Certificate: data("certificate"), State: Confirmed, ConfirmedBy: "kasi", ConfirmedVia: "telepon",
	}))
	e := b.release(b.attach(b.register(openLetter())))
	b.deliver(CopyRef{e.ID, 2}, CopyDoubt)
	b.sql(b.dropGuards()) // the same triggers, so that the schema is as it was
	b.clean()
	b.dropGuards()
	for _, c := range []struct{ table, key, column string }{
		{"event", "seq", "record"},
		{"event", "seq", "nodes"},
		{"text", "seq", "secret"},
		{"text", "seq", "body"},
		{"object", "id", "data"},
		{"object", "id", "sha256"},
	} {
		for key, value := range b.column(c.table, c.key, c.column) {
			for i := range value {
				flipped := bytes.Clone(value)
				flipped[i] ^= 1 << (i % 8)
				b.set(c.table, c.key, c.column, key, flipped)
				r, err := b.Verify(t.Context(), nil)
				found := err != nil
				for _, p := range r.Problems {
					found = found || p.Kind != "schema"
				}
				if !found {
					t.Errorf("%s.%s of %d: flip at %d not found", c.table, c.column, key, i)
				}
			}
			b.set(c.table, c.key, c.column, key, value)
		}
	}
	if got := b.kinds(); got != "schema" {
		t.Errorf("after all flips were undone: %s", got)
	}
}

func (b *book) column(table, key, column string) map[int64][]byte {
	b.t.Helper()
	rows, err := b.readers.QueryContext(b.t.Context(), "SELECT "+key+", "+column+" FROM "+table+" WHERE "+column+" IS NOT NULL")
	b.must(err)
	defer rows.Close()
	out := map[int64][]byte{}
	for rows.Next() {
		var k int64
		var v []byte
		b.must(rows.Scan(&k, &v))
		out[k] = v
	}
	return out
}

func (b *book) set(table, key, column string, k int64, v []byte) {
	b.t.Helper()
	if _, err := b.conn.ExecContext(b.t.Context(), "UPDATE "+table+" SET "+column+"=$1 WHERE "+key+"=$2", v, k); err != nil {
		b.t.Fatal(err)
	}
}

// TestSQLEdits changes the book behind its back; Verify names what is wrong.
func TestSQLEdits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ edit, want string }{
		{"UPDATE entry SET class='terbatas' WHERE book='kriptogram'", "index"},
		{"UPDATE entry SET state='sent'", "index"},
		{"UPDATE entry SET serial=5 WHERE book='kriptogram'", "index gap"},
		{"UPDATE entry SET number='018/DKI'", "index"},
		{"UPDATE entry SET number_seq=3 WHERE number_seq=1", "index gap"},
		{"UPDATE entry SET last=last+1", "index"},
		{"UPDATE entry SET once=x'00' WHERE book='surat'", "index"},
		{"DELETE FROM entry WHERE book='surat'", "index"},
		{"INSERT INTO entry SELECT id+1000, book, year, serial+1, class, urgency, state, draft, ordered, once, registered_at, released_at, sent_at, NULL, NULL, NULL, NULL, current, last, NULL FROM entry WHERE book='surat'", "index"},
		{"UPDATE copy SET state='cancelled' WHERE copy=2", "index"},
		{"UPDATE copy SET message=x'00' WHERE copy=1", "index"},
		{"UPDATE copy SET offset=offset+1", "index"},
		{"DELETE FROM copy WHERE copy=3", "index"},
		{"UPDATE correspondent SET certificate=(SELECT certificate FROM correspondent WHERE handle='tegal') WHERE handle='jateng'", "index"},
		{"UPDATE correspondent SET fingerprint='00' WHERE handle='jateng'", "index"},
		{"UPDATE correspondent SET state='confirmed', confirmed=NULL", "index"},
		{"UPDATE officer SET fingerprint='00'", "index"},
		{"UPDATE role SET valid_until='2030-01-01T00:00:00.000Z'", "index"},
		{"INSERT INTO role VALUES('operator', 'kepala-seksi', 'plh', '2026-01-01T00:00:00.000Z', NULL, 3)", "index"},
		{"UPDATE applicant SET current=1", "index"},
		{"INSERT INTO opened VALUES(1, x'00', 1)", "index"},
		{"DROP TRIGGER event_delete", "schema"},
		{"DROP INDEX person", "schema"},
		{"DROP INDEX person; CREATE INDEX person ON event(seq) WHERE entry=0", "schema"},
		{"CREATE TABLE more(x)", "schema"},
		{"INSERT INTO meta(name, value) VALUES('destroying', 'x')", "schema"},
		{"INSERT INTO text VALUES(9999, 0, x'00', x'00')", "record"},
		{"INSERT INTO object VALUES(9999, zeroblob(32), 0, '', NULL)", "object"},
		{"INSERT INTO event VALUES(9999, NULL, x'00', x'00')", "tree record"},
		{"DROP TRIGGER event_update; UPDATE event SET entry=NULL WHERE entry IS NOT NULL", "record schema"},
		{"DROP TRIGGER text_delete; DELETE FROM text WHERE seq=(SELECT min(id) FROM entry)", "record index schema"},
		{"DROP TRIGGER object_delete; DELETE FROM object WHERE id=2", "object schema"},
		{"DROP TRIGGER object_update; UPDATE object SET size=size+1 WHERE data IS NULL", "object schema"},
		{"DROP TRIGGER event_delete; DELETE FROM event WHERE seq=3", "tree"},
		{"DROP TRIGGER event_delete; DELETE FROM event WHERE seq=(SELECT max(seq) FROM event)", "record object schema"},
	} {
		b := smallBook(t)
		b.clean()
		b.sql(c.edit)
		got := b.kinds()
		if c.want == "tree" {
			if !strings.HasPrefix(got, "tree") {
				t.Errorf("%s: found %q", c.edit, got)
			}
			continue
		}
		if !sameWords(got, c.want) {
			t.Errorf("%s: found %q, want %q", c.edit, got, c.want)
		}
	}
}

func sameWords(got, want string) bool {
	for w := range strings.FieldsSeq(want) {
		if !strings.Contains(" "+got+" ", " "+w+" ") {
			return false
		}
	}
	return len(strings.Fields(got)) >= len(strings.Fields(want))
}

// TestVerifyNamesEntry checks what a problem of the index tells.
func TestVerifyNamesEntry(t *testing.T) {
	t.Parallel()
	b := smallBook(t)
	e, err := b.Entry(t.Context(), Name{Kriptogram, 1, 2026})
	b.must(err)
	b.sql("UPDATE copy SET state='cancelled' WHERE copy=2 AND state IS NOT NULL")
	r, err := b.Verify(t.Context(), nil)
	b.must(err)
	want := []Problem{{Kind: "index", Seq: e.ID, Entry: e.Name, Detail: fmt.Sprintf("copy %d/2: state", e.ID)}}
	if diff := cmp.Diff(want, r.Problems); diff != "" {
		t.Error(diff)
	}
}

// TestRestoredMark takes from a restored book what tells a sending that it is
// one; Verify names it and a rebuild finds it in the log.
func TestRestoredMark(t *testing.T) {
	t.Parallel()
	never, once := smallBook(t), smallBook(t)
	for range 2 {
		_, err := once.Restored(t.Context(), clerk, "cadangan kemarin")
		once.must(err)
	}
	seq, err := once.RestoredSeq(t.Context())
	once.must(err)
	last, err := once.Last(t.Context())
	once.must(err)
	if at, err := once.RestoredAt(t.Context()); err != nil || !at.Equal(last) {
		t.Errorf("restored at %v, %v, want %v", at, err, last)
	}
	if at, err := never.RestoredAt(t.Context()); err != nil || !at.IsZero() {
		t.Errorf("never restored: %v, %v", at, err)
	}
	for _, c := range []struct {
		book *book
		edit string
		want int64
	}{
		{once, "DELETE FROM meta WHERE name='restored'", seq},
		{once, "UPDATE meta SET value=value-1 WHERE name='restored'", seq},
		{once, "UPDATE meta SET value='x' WHERE name='restored'", seq},
		{never, "INSERT INTO meta(name, value) VALUES('restored', '7')", 0},
	} {
		c.book.clean()
		c.book.sql(c.edit)
		if at, err := c.book.RestoredAt(t.Context()); c.book == never && !errors.Is(err, ErrTampered) {
			t.Errorf("%s: restored at %v, %v", c.edit, at, err)
		}
		r, err := c.book.Verify(t.Context(), nil)
		c.book.must(err)
		if diff := cmp.Diff([]Problem{{Kind: "index", Seq: -1, Detail: "meta restored: value"}}, r.Problems); diff != "" {
			t.Errorf("%s: %s", c.edit, diff)
		}
		c.book.must(c.book.Rebuild(t.Context()))
		if got, err := c.book.RestoredSeq(t.Context()); err != nil || got != c.want {
			t.Errorf("%s: %d after the rebuild, %v, want %d", c.edit, got, err, c.want)
		}
	}
}

// TestSendings counts through a rebuild, since no event tells of them.
func TestSendings(t *testing.T) {
	t.Parallel()
	b := smallBook(t)
	for want := range int64(3) {
		if got, err := b.Sendings(t.Context()); err != nil || got != want {
			t.Errorf("%d sendings, %v, want %d", got, err, want)
		}
		b.must(b.BeginSending(t.Context()))
		b.must(b.Rebuild(t.Context()))
		b.clean()
	}
	b.sql("UPDATE meta SET value='x' WHERE name='sendings'")
	if _, err := b.Sendings(t.Context()); !errors.Is(err, ErrTampered) {
		t.Errorf("spoilt: %v", err)
	}
	if err := b.BeginSending(t.Context()); !errors.Is(err, ErrTampered) {
		t.Errorf("spoilt, and counted: %v", err)
	}
}

// TestRewrittenLog replaces a record and all hashes over it: the tree agrees
// with itself, the checkpoint does not.
func TestRewrittenLog(t *testing.T) {
	t.Parallel()
	b := smallBook(t)
	restore := b.dropGuards()
	var edge tree
	for seq, record := range records(t, b) {
		if seq == 0 {
			record = bytes.Replace(record, []byte("profile pekalongan"), []byte("profile pemalang"), 1)
		}
		nodes := edge.push(leafHash(record))
		b.set("event", "seq", "record", int64(seq), record)
		b.set("event", "seq", "nodes", int64(seq), nodes)
	}
	b.sql(restore)
	if got := b.kinds(); got != "checkpoint" {
		t.Errorf("found %q", got)
	}
}

// dump reads all index tables.
func (b *book) dump() map[string][][]any {
	b.t.Helper()
	out := map[string][][]any{}
	for _, t := range indexTables {
		rows, err := b.readers.QueryContext(b.t.Context(), "SELECT * FROM "+t.name+" ORDER BY 1, 2")
		b.must(err)
		for rows.Next() {
			values := make([]any, len(t.keys)+len(t.cols))
			into := make([]any, len(values))
			for i := range values {
				into[i] = &values[i]
			}
			b.must(rows.Scan(into...))
			out[t.name] = append(out[t.name], values)
		}
		b.must(rows.Close())
	}
	return out
}

func TestRebuild(t *testing.T) {
	t.Parallel()
	b := smallBook(t)
	e := b.at(Kriptogram, StateReleased)
	b.deliver(CopyRef{e.ID, 1}, CopyRejected)
	b.must(b.Readdress(t.Context(), clerk, CopyRef{e.ID, 1}, FrozenCopy{Copy: 1, Message: vaulted("n"), MessageID: "<n@x>", Address: "n@x.test", Addressee: b.addressee(e, 1)}, "x"))
	c, err := b.Correspondent(t.Context(), "tegal")
	b.must(err)
	c.State, c.Subkey = "", fingerprint(77)
	b.must(b.ChangeCorrespondent(t.Context(), clerk, c, "kunci"))
	b.must(b.EndRole(t.Context(), clerk, "operator", RoleGrant{Role: RoleOperator}))
	_, err = b.RecordOpened(t.Context(), clerk, OpenedRecord{Manifest: Hash{1}, Kriptogram: Hash{2}, Copy: 1, Verdicts: "good"})
	b.must(err)
	b.must(b.ConfirmCorrespondent(t.Context(), clerk, "batang", "", "kasi", "telepon", fingerprint(401)))
	b.must(b.ChangeArchiveKey(t.Context(), clerk, 0, fingerprint(10), data("second archive certificate"), "masa berlaku habis"))
	corrected := b.register(secretLetter())
	l := corrected.Letter
	l.To, l.Cc = []string{"batang"}, nil
	_, err = b.Correct(t.Context(), clerk, corrected.ID, corrected.Last, l, "x")
	b.must(err)
	before := b.dump()
	b.sql("UPDATE entry SET state='void'; DELETE FROM copy; UPDATE officer SET fingerprint=NULL; DROP TABLE applicant")
	b.must(b.Rebuild(t.Context()))
	if diff := cmp.Diff(before, b.dump()); diff != "" {
		t.Error(diff)
	}
	b.clean()
	if got, err := b.Search(t.Context(), "undangan", Filter{}); err != nil || len(got) != 1 {
		t.Errorf("search after a rebuild: %d, %v", len(got), err)
	}
	b.register(openLetter())
	b.clean()
}

func TestCheckFile(t *testing.T) {
	t.Parallel()
	b := smallBook(t)
	if found, err := b.CheckFile(t.Context()); err != nil || found != nil {
		t.Errorf("%v %v", found, err)
	}
}

// TestForeignReader lets the sqlite3 program read a book that is not open.
func TestForeignReader(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Skip("no sqlite3 program")
	}
	b := smallBook(t)
	b.must(b.Close())
	for query, want := range map[string]string{
		"PRAGMA integrity_check":                                         "ok\n",
		"SELECT count(*) FROM entry":                                     "2\n",
		"SELECT state FROM entry WHERE book='kriptogram'":                "reported\n",
		"SELECT count(*) = max(seq) + 1 FROM event":                      "1\n",
		"SELECT printf('%x', application_id) FROM pragma_application_id": "73616e64\n",
	} {
		out, err := exec.Command(program, b.path, query).CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("%s: %q, %v", query, out, err)
		}
	}
}

// TestTailCut cuts the newest events and the index rows they made: the book
// agrees with itself, and only a root kept elsewhere tells.
func TestTailCut(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	b.register(openLetter())
	size, root, err := b.Head(t.Context())
	b.must(err)
	e := b.register(openLetter())
	restore := b.dropGuards()
	b.sql(fmt.Sprintf("DELETE FROM event WHERE seq=%[1]d; DELETE FROM text WHERE seq=%[1]d; DELETE FROM entry WHERE id=%[1]d; DELETE FROM copy WHERE entry=%[1]d", e.ID))
	b.sql(restore)
	r := b.clean()
	if r.Events != size || r.Root != root {
		t.Errorf("%d %s, want %d %s", r.Events, r.Root, size, root)
	}
}

func BenchmarkRegister(b *testing.B) {
	k := newPeopledBook(b)
	for b.Loop() {
		if _, err := k.Register(b.Context(), clerk, Registration{Letter: secretLetter()}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRegisterBulk enters 20,000 letters in one transaction; the figure
// of interest is ns/entry.
func BenchmarkRegisterBulk(b *testing.B) {
	const n = 20_000
	regs := make([]Registration, n)
	for i := range regs {
		regs[i].Letter = openLetter()
	}
	for b.Loop() {
		b.StopTimer()
		k := newPeopledBook(b)
		b.StartTimer()
		if _, err := k.Register(b.Context(), clerk, regs...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/entry")
}

func filled(b *testing.B, n int) *book {
	b.Helper()
	k := newPeopledBook(b)
	regs := make([]Registration, n)
	for i := range regs {
		regs[i].Letter = secretLetter()
	}
	_, err := k.Register(b.Context(), clerk, regs...)
	k.must(err)
	return k
}

func BenchmarkList(b *testing.B) {
	k := filled(b, 20_000)
	for b.Loop() {
		if got, err := k.List(b.Context(), Filter{Newest: true, Limit: 20}); err != nil || len(got) != 20 {
			b.Fatal(len(got), err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	k := filled(b, 20_000)
	for b.Loop() {
		r, err := k.Verify(b.Context(), nil)
		if err != nil || len(r.Problems) != 0 {
			b.Fatal(r.Problems, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*20_000), "ns/entry")
}

// A log without the event that holds a node of its tree is tampered with, and
// whoever asks for its root is told so.
func TestRootOfADamagedLog(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	size, _, err := b.Head(t.Context())
	b.must(err)
	rows, _ := edgeRows(size)
	b.dropGuards()
	b.sql(fmt.Sprintf("DELETE FROM event WHERE seq=%d", rows[0]))
	if _, _, err := b.Head(t.Context()); !errors.Is(err, ErrTampered) {
		t.Errorf("head: %v", err)
	}
	if _, err := b.RootAt(t.Context(), size-1); !errors.Is(err, ErrTampered) {
		t.Errorf("root: %v", err)
	}
}
