package agenda

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func namesOf(entries []Entry) string {
	var out []string
	for _, e := range entries {
		out = append(out, e.Name.String())
	}
	return strings.Join(out, " ")
}

func TestList(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	start := b.clock.Now()
	b.at(Surat, StateReported)   // S1
	b.at(Kriptogram, StateVoid)  // K1
	b.clock.add(24 * time.Hour)  //
	b.at(Surat, StateAttached)   // S2
	b.register(secretLetter())   // K2
	third := secretLetter()      //
	third.Class = ClassTerbatas  //
	third.Subject = "Café tutup" //
	b.register(third)            // K3
	for _, c := range []struct {
		name   string
		filter Filter
		want   string
	}{
		{"all", Filter{}, "S1 K1 S2 K2 K3"},
		{"newest", Filter{Newest: true, Limit: 2}, "K3 K2"},
		{"book", Filter{Book: Surat}, "S1 S2"},
		{"year", Filter{Year: 2025}, ""},
		{"open", Filter{Open: true}, "S2 K2 K3"},
		{"states", Filter{States: []State{StateVoid, StateReported}}, "S1 K1"},
		{"class", Filter{Class: ClassTerbatas}, "K3"},
		{"from", Filter{From: start.Add(time.Hour)}, "S2 K2 K3"},
		{"until", Filter{Until: start.Add(24 * time.Hour)}, "S1 K1"},
		{"text", Filter{Text: "cafe TUT"}, "K3"},
		{"text and limit", Filter{Text: "rapat", Limit: 1}, "S1"},
		{"names", Filter{Names: []Name{{Kriptogram, 2, 2026}, {Surat, 1, 2026}}}, "K2 S1"},
		{"names and book", Filter{Book: Surat, Names: []Name{{Kriptogram, 2, 2026}, {Surat, 1, 2026}}}, "S1"},
	} {
		got, err := b.List(t.Context(), c.filter)
		if err != nil || namesOf(got) != c.want {
			t.Errorf("%s: %q, %v, want %q", c.name, namesOf(got), err, c.want)
		}
	}
	if _, err := b.List(t.Context(), Filter{Names: []Name{{Kriptogram, 9, 2026}}}); codeOf(err) != "agenda.not_found" {
		t.Errorf("absent name: %v", err)
	}
	one, err := b.List(t.Context(), Filter{Names: []Name{{Kriptogram, 1, 2026}}})
	b.must(err)
	whole, err := b.Entry(t.Context(), Name{Kriptogram, 1, 2026})
	b.must(err)
	if diff := cmp.Diff(whole.Letter, one[0].Letter) + cmp.Diff(whole.Copies, one[0].Copies); diff != "" {
		t.Error(diff)
	}
	counts, err := b.Counts(t.Context(), 2026)
	if diff := cmp.Diff(map[BookName]YearCount{Kriptogram: {3, 0}, Surat: {2, 0}}, counts); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := b.Entry(t.Context(), Name{Surat, 99, 2026}); codeOf(err) != "agenda.not_found" {
		t.Error(err)
	}
}

// TestEachAcrossBatches lists more entries than one batch holds, both ways.
func TestEachAcrossBatches(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	const n = 2*batchSize + 3
	regs := make([]Registration, n)
	for i := range regs {
		regs[i].Letter = openLetter()
		regs[i].Letter.Subject = fmt.Sprintf("surat ke%d", i+1)
	}
	_, err := b.Register(t.Context(), clerk, regs...)
	b.must(err)
	for _, newest := range []bool{false, true} {
		var got []int
		b.must(b.Each(t.Context(), Filter{Newest: newest}, func(e Entry) error { got = append(got, e.Name.Serial); return nil }))
		for i := range got {
			want := i + 1
			if newest {
				want = n - i
			}
			if got[i] != want {
				t.Fatalf("newest %v: place %d is %d", newest, i, got[i])
			}
		}
		if len(got) != n {
			t.Errorf("%d entries", len(got))
		}
	}
}

// TestSearch compares the search with a scan of all entries, with part of them
// in the index, part beyond the watermark, and some corrected after they were
// folded in.
func TestSearch(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	words := []string{"undangan", "rapat", "Café", "anggaran", "2026", "rahasia", "batas", "wilayah"}
	var regs []Registration
	for i := range 3 * foldWaits / 2 {
		l := openLetter()
		l.Subject = words[i%len(words)] + " " + words[(i/3)%len(words)]
		regs = append(regs, Registration{Letter: l})
	}
	registered, err := b.Register(t.Context(), clerk, regs...)
	b.must(err)
	b.folding.Wait()
	mark, err := watermark(t.Context(), b.readers)
	if err != nil || mark == 0 {
		t.Fatalf("nothing folded in: %d, %v", mark, err)
	}
	for i := range 20 {
		e := b.entry(registered[i].ID)
		l := e.Letter
		l.Subject = "pembetulan " + words[i%3]
		_, err := b.Correct(t.Context(), clerk, e.ID, e.Last, l, "x")
		b.must(err)
	}
	all, err := b.List(t.Context(), Filter{Newest: true})
	b.must(err)
	rapid.Check(t, func(rt *rapid.T) {
		query := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
			"und", "RAPAT", "cafe", "angg", "2026", "wil", "pembetulan", "\"", "ra*", "a:b", "-", "tidakada",
		}), 1, 3).Draw(rt, "words"), " ")
		var want []Entry
		for _, e := range all {
			if matches(tokens(query), searchable(e)) {
				want = append(want, e)
			}
		}
		got, err := b.Search(t.Context(), query, Filter{})
		if err != nil || namesOf(got) != namesOf(want) {
			rt.Fatalf("%q: %d found, want %d, %v", query, len(got), len(want), err)
		}
	})
	got, err := b.Search(t.Context(), "rapat", Filter{Limit: 2, Book: Kriptogram})
	if err != nil || len(got) != 0 {
		t.Errorf("%v %v", namesOf(got), err)
	}
	b.clean()
}

// TestIndexKnowsNumbers looks past the scan of the tail: the index itself must
// know an entry by the number that it got and the letter that it was corrected
// to, though most events are not folded in.
func TestIndexKnowsNumbers(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	fold := func() {
		regs := make([]Registration, foldWaits)
		for i := range regs {
			regs[i].Letter = openLetter()
		}
		_, err := b.Register(t.Context(), clerk, regs...)
		b.must(err)
	}
	e, o := b.at(Kriptogram, StateSigned), b.at(Surat, StateAttached)
	fold()
	e = b.release(e)
	l := o.Letter
	l.Subject = "pembetulan"
	_, err := b.Correct(t.Context(), clerk, o.ID, o.Last, l, "x")
	b.must(err)
	fold()
	b.folding.Wait()
	mark, err := watermark(t.Context(), b.readers)
	b.must(err)
	if last := max(b.entry(e.ID).Last, b.entry(o.ID).Last); mark <= last {
		t.Fatalf("folded up to %d, the entries end at %d", mark, last)
	}
	for _, c := range []struct {
		words string
		id    int64
	}{{e.Number, e.ID}, {"pembetulan", o.ID}} {
		var got []int64
		err := eachID(t.Context(), b.readers, func(id int64) { got = append(got, id) },
			"SELECT rowid FROM search WHERE search MATCH $1", `"`+strings.Join(tokens(c.words), " ")+`"`)
		if err != nil || !slices.Equal(got, []int64{c.id}) {
			t.Errorf("%q: %v, %v", c.words, got, err)
		}
	}
}

// Views that follow each other use one connection: each new one would read the
// schema and prepare its statements again.
func TestViewsShareAConnection(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	b.at(Surat, StateReported)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(b.Close())
	again, err := Open(t.Context(), b.path, Options{Now: b.clock.Now, ReadOnly: true})
	must(err)
	defer again.Close()
	for range 2 * maxReaders {
		_, err := again.List(t.Context(), Filter{})
		must(err)
		_, err = again.Officers(t.Context(), b.clock.Now())
		must(err)
	}
	if n := again.readers.Stats().OpenConnections; n != 1 {
		t.Errorf("%d connections", n)
	}
}

// What stands before a moment is counted by the book and its numbers.
func TestCountBefore(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	b.at(Kriptogram, StateSent)
	b.at(Surat, StateSent)
	b.at(Kriptogram, StateVoid)
	b.clock.add(24 * time.Hour)
	moment := b.clock.Now()
	b.at(Kriptogram, StateSent)
	b.at(Surat, StateSent)
	for book, want := range map[BookName]YearCount{Kriptogram: {Entries: 2, Numbers: 1}, Surat: {Entries: 1}} {
		if got, err := b.CountBefore(t.Context(), book, 2026, moment); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", book, got, err, want)
		}
		if got, err := b.CountBefore(t.Context(), book, 2027, moment); err != nil || got != (YearCount{}) {
			t.Errorf("%s of another year: %+v, %v", book, got, err)
		}
	}
}

// A letter that is registered while it is looked for by name is found or is not
// in the book: never neither.
func TestNamedWhileRegistered(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	const letters = 200
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		for range letters {
			if _, err := b.Register(t.Context(), clerk, Registration{Letter: openLetter()}); err != nil {
				failed <- err
				return
			}
		}
	}()
	year := b.clock.Now().In(WIB).Year()
	for serial := 1; serial <= letters; {
		list, err := b.List(t.Context(), Filter{Names: []Name{{Book: Surat, Year: year, Serial: serial}}})
		switch {
		case err == nil && len(list) == 1:
			serial++
		case !errors.Is(err, ErrNotFound):
			t.Fatalf("S%d: %d entries, %v", serial, len(list), err)
		}
	}
	b.must(<-failed)
}

// Many entries at once are the same as one by one, in the order asked for.
func TestWholeEntriesTogether(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	var want []Entry
	for _, s := range []State{StateRegistered, StateDrafted, StateSigned, StateReleased, StateSent, StateArchived, StateReported} {
		want = append(want, b.at(Kriptogram, s))
	}
	for _, s := range []State{StateRegistered, StateAttached, StateSent, StateVoid, StateArchived} {
		want = append(want, b.at(Surat, s))
	}
	l := want[0].Letter
	l.Subject = "pembetulan"
	_, err := b.Correct(t.Context(), clerk, want[0].ID, want[0].Last, l, "x")
	b.must(err)
	b.sql("INSERT INTO meta(name, value) VALUES('destroying', 'x'); DELETE FROM text WHERE seq=" + fmt.Sprint(want[8].ID) + "; DELETE FROM meta WHERE name='destroying'")
	for i := range want {
		want[i] = b.entry(want[i].ID)
	}
	want = append(want, want[3], want[3])
	slices.Reverse(want)
	var names []Name
	var ids []int64
	for _, e := range want {
		names, ids = append(names, e.Name), append(ids, e.ID)
	}
	byName, err := b.Named(t.Context(), names)
	if err != nil || !reflect.DeepEqual(byName, want) {
		t.Errorf("by name: %v, %+v", err, byName)
	}
	byID, err := b.Entries(t.Context(), ids)
	if err != nil || !reflect.DeepEqual(byID, want) {
		t.Errorf("by id: %v, %+v", err, byID)
	}
	brief, err := b.NamedBriefly(t.Context(), names)
	b.must(err)
	if byID, err := b.Brief(t.Context(), ids); err != nil || !reflect.DeepEqual(brief, byID) {
		t.Errorf("briefly: %v, %+v, %+v", err, brief, byID)
	}
	lost := Name{Book: Surat, Year: want[0].Name.Year, Serial: 999}
	var e *Error
	if list, err := b.Named(t.Context(), append(names, lost)); list != nil || !errors.As(err, &e) || e.code != "agenda.not_found" || e.Entry != lost {
		t.Errorf("%d entries, %v", len(list), err)
	}
	for _, none := range [][]Name{nil, {}} {
		if list, err := b.Named(t.Context(), none); len(list) != 0 || err != nil {
			t.Errorf("nobody: %v, %v", list, err)
		}
	}
}

// Whoever asks for a few entries does not read the whole book.
func TestEntriesAreLookedUp(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	for where, want := range map[string]string{idIn: "SEARCH e ", namedIn: "(book=? AND year=? AND serial=?)"} {
		rows, err := b.readers.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+selectEntry+"WHERE "+where+" ORDER BY e.id", "[]")
		b.must(err)
		var plan strings.Builder
		for rows.Next() {
			var id, parent, unused int
			var step string
			b.must(rows.Scan(&id, &parent, &unused, &step))
			plan.WriteString(step + "\n")
		}
		b.must(rows.Err())
		if strings.Contains(plan.String(), "SCAN e") || !strings.Contains(plan.String(), want) {
			t.Errorf("%s:\n%s", where, &plan)
		}
	}
}

// A view that panics takes no reader along, and who waited with it is not told
// that he has read.
func TestViewThatPanics(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	within := make(chan struct{})
	release := make(chan struct{})
	var group sync.WaitGroup
	for range maxReaders {
		group.Go(func() {
			_ = b.Within(t.Context(), func(context.Context) error {
				within <- struct{}{}
				<-release
				return nil
			})
		})
	}
	for range maxReaders {
		<-within
	}
	// All readers are taken: these two wait, and share the next.
	panics := &view{ctx: t.Context(), fn: func(*reader) error { panic("lost") }, turn: make(chan *reader, 1)}
	ran := false
	waits := &view{ctx: t.Context(), fn: func(*reader) error { ran = true; return nil }, turn: make(chan *reader, 1)}
	for _, v := range []*view{panics, waits} {
		if b.waiting.enter(v) != nil {
			t.Fatal("a reader is free")
		}
	}
	close(release)
	r := <-panics.turn
	func() {
		defer func() {
			if v := recover(); v != "lost" {
				t.Errorf("panic %v", v)
			}
		}()
		b.look(r, panics)
	}()
	if r := <-waits.turn; r != nil {
		b.look(r, waits)
	}
	if panics.err == nil || ran != (waits.err == nil) {
		t.Errorf("errors %v and %v; the second ran: %v", panics.err, waits.err, ran)
	}
	group.Wait()
	for range 2 * maxReaders {
		if _, _, err := b.Head(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := len(b.waiting.idle); n != maxReaders {
		t.Errorf("%d readers are left", n)
	}
}

// TestRefresh brings entries up to date from every state that they were read
// in, whole and in brief, corrected and not, and compares with reading them anew.
func TestRefresh(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	var known, brief []Entry
	remember := func(e Entry) Entry {
		short, err := b.Brief(t.Context(), []int64{e.ID})
		b.must(err)
		known, brief = append(known, e), append(brief, short...)
		return e
	}
	correct := func(e Entry) Entry {
		l := e.Letter
		l.Subject += " (ralat)"
		_, err := b.Correct(t.Context(), clerk, e.ID, e.Last, l, "salah ketik")
		b.must(err)
		return remember(b.entry(e.ID))
	}
	steps := []func(Entry) Entry{b.order, b.draft, b.sign, b.release, b.send, b.archive, func(e Entry) Entry { return b.report(e, true) }}
	for _, corrected := range []bool{false, true} {
		e := remember(b.register(secretLetter()))
		for i, step := range steps {
			if corrected && i < 2 {
				e = correct(e)
			}
			e = remember(step(e))
		}
	}
	e := remember(b.register(openLetter()))
	for _, step := range []func(Entry) Entry{b.attach, b.attach, b.release} {
		e = remember(step(e))
	}
	for i, was := range known {
		want := []Entry{b.entry(was.ID)}
		got, err := b.Refresh(t.Context(), known[i:i+1])
		b.must(err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s read when it was %s: %s", was.Name, was.State, diff)
		}
		got, err = b.Refresh(t.Context(), brief[i:i+1])
		b.must(err)
		if got[0].Last != want[0].Last || !cmp.Equal(got[0].Copies, want[0].Copies) ||
			got[0].Archived != nil && !cmp.Equal(got[0].Archived, want[0].Archived) || (got[0].Archived == nil) != (want[0].Archived == nil || was.Archived != nil) {
			t.Errorf("%s read in brief when it was %s: %+v", was.Name, was.State, got[0])
		}
	}
	same := []Entry{known[len(known)-1], known[0], known[9]} // many at once, in their order
	got, err := b.Refresh(t.Context(), same)
	b.must(err)
	for i := range same {
		if diff := cmp.Diff(b.entry(same[i].ID), got[i]); diff != "" {
			t.Error(diff)
		}
	}
	if _, err := b.Refresh(t.Context(), []Entry{{ID: 1 << 40}}); codeOf(err) != "agenda.not_found" {
		t.Errorf("an unknown entry: %v", err)
	}
}
