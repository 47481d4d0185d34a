package agenda

import (
	"context"
	"database/sql"
	"sort"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The search index is work: contentless FTS5 behind a watermark (meta
// 'search', the next event to fold in). It is never written inside the
// transaction of a step, since it would double its cost; what lies beyond the
// watermark is scanned. It holds words of letters in plain: it is to be
// dropped on the day when texts are sealed at rest.

const (
	foldWaits = 256 // events that may wait beyond the watermark
	foldTakes = 512 // events that are folded in behind a write, before the next
)

// tokens splits text as FTS5's unicode61 with remove_diacritics does.
func tokens(s string) []string {
	var b strings.Builder
	for _, r := range norm.NFD.String(s) {
		if unicode.Is(unicode.Mn, r) {
			continue
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.FieldsFunc(b.String(), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && r != 0x2019 && !unicode.Is(unicode.Co, r)
	})
}

// HasWords tells whether there is anything in a text to search for: a letter
// or a figure.
func HasWords(text string) bool { return len(tokens(text)) > 0 }

// searchable is the text of an entry that a search looks through.
func searchable(e Entry) string {
	l := e.Letter
	parts := []string{
		e.Name.String(), e.Number, l.Number, l.Request, l.Applicant, l.Origin, l.Subject, l.Enclosures, l.ArchiveClass, l.Place, l.Note,
	}
	parts = append(append(parts, l.To...), l.Cc...)
	return strings.Join(parts, " ")
}

// matches tells whether every word begins a word of the text.
func matches(words []string, text string) bool {
	if len(words) == 0 {
		return true
	}
	have := tokens(text)
next:
	for _, w := range words {
		for _, h := range have {
			if strings.HasPrefix(h, w) {
				continue next
			}
		}
		return false
	}
	return true
}

// Search finds entries in which every word of text begins a word, newest
// first; the other conditions of the filter hold too.
func (b *Book) Search(ctx context.Context, text string, f Filter) ([]Entry, error) {
	words := tokens(text)
	if len(words) == 0 {
		f.Newest = true
		return b.List(ctx, f)
	}
	ids, err := b.candidates(ctx, words)
	if err != nil {
		return nil, err
	}
	conditions, args := f.conditions()
	where := "WHERE e.id=$" + strconv.Itoa(len(args)+1)
	if conditions != "" {
		where += " AND " + conditions
	}
	more := tokens(f.Text)
	names := map[Name]bool{}
	for _, n := range f.Names {
		names[n] = true
	}
	var out []Entry
	for _, id := range ids {
		batch, err := b.batch(ctx, where, append(args[:len(args):len(args)], id), nil)
		if err != nil {
			return nil, err
		}
		for _, e := range batch {
			// The index may lag behind a correction: the entry itself decides.
			if text := searchable(e); !matches(words, text) || !matches(more, text) || (len(names) > 0 && !names[e.Name]) {
				continue
			}
			out = append(out, e)
		}
		if f.Limit > 0 && len(out) >= f.Limit {
			break
		}
	}
	return out, nil
}

// candidates are the ids that the index names, and all entries touched beyond
// the watermark, newest first.
func (b *Book) candidates(ctx context.Context, words []string) ([]int64, error) {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = `"` + strings.ReplaceAll(w, `"`, `""`) + `"*`
	}
	seen := map[int64]bool{}
	err := b.view(ctx, func(q *reader) error {
		mark, err := watermark(ctx, q)
		if err != nil {
			return err
		}
		for _, query := range []struct {
			sql string
			arg any
		}{
			{"SELECT rowid FROM search WHERE search MATCH $1", strings.Join(quoted, " ")},
			{"SELECT DISTINCT entry FROM event WHERE seq >= $1 AND entry IS NOT NULL", mark},
		} {
			if err := eachID(ctx, q, func(id int64) { seen[id] = true }, query.sql, query.arg); err != nil {
				return err
			}
		}
		return nil
	})
	ids := make([]int64, 0, len(seen))
	for id := range seen {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] > ids[j] })
	return ids, err
}

// watermark is the first event that the search index does not know.
func watermark(ctx context.Context, q querier) (int64, error) {
	return countMeta(ctx, q, "search")
}

// foldDue tells whether events wait for the search index since the last
// commit of this process, as far as it knows what others folded in.
func (b *Book) foldDue() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	fresh := b.fresh
	b.fresh = false
	return fresh && (b.folded < 0 || b.edge.size-b.folded >= foldWaits)
}

// fold takes waiting events into the search index after a commit, in a
// transaction of its own, for who has the pen. Its failure is not the writer's:
// the step is on disk, and the tail is scanned until a later fold succeeds.
func (b *Book) fold(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	mark, err := watermark(ctx, b.conn)
	if err != nil {
		return
	}
	if b.folded = mark; b.edge.size-mark < foldWaits {
		return
	}
	end := min(b.edge.size, mark+foldTakes)
	if _, err := b.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return
	}
	if err := foldRange(ctx, b.conn, mark, end); err != nil {
		_, _ = b.conn.ExecContext(ctx, "ROLLBACK")
		return
	}
	if _, err := b.conn.ExecContext(ctx, "COMMIT"); err != nil {
		b.broken = storage(err) // the disk may fail the next step as well
		return
	}
	b.folded = end
}

// selectNewWords finds the entries whose searchable text an event made: their
// letter or their number. Most events say nothing new of it, and no value in a
// record holds a line end.
const selectNewWords = `SELECT DISTINCT entry FROM event WHERE seq >= $1 AND seq < $2 AND entry IS NOT NULL
 AND (instr(record, CAST(char(10) || 'type entry.registered' || char(10) AS BLOB))
 OR instr(record, CAST(char(10) || 'type entry.corrected' || char(10) AS BLOB))
 OR instr(record, CAST(char(10) || 'type report.registered' || char(10) AS BLOB))
 OR instr(record, CAST(char(10) || 'number ' AS BLOB)))`

func foldRange(ctx context.Context, conn *sql.Conn, from, end int64) error {
	touched := map[int64]bool{}
	err := eachID(ctx, conn, func(id int64) { touched[id] = true }, selectNewWords, from, end)
	if err != nil {
		return err
	}
	var stmts [3]*sql.Stmt
	for i, query := range []string{
		selectEntry + "WHERE e.id=$1", "DELETE FROM search WHERE rowid=$1", "INSERT INTO search(rowid, body) VALUES($1, $2)",
	} {
		if stmts[i], err = conn.PrepareContext(ctx, query); err != nil {
			return storage(err)
		}
		defer stmts[i].Close()
	}
	for id := range touched {
		e, err := scanEntry(stmts[0].QueryRowContext(ctx, id))
		if err != nil {
			return storage(err)
		}
		if _, err := stmts[1].ExecContext(ctx, id); err != nil {
			return storage(err)
		}
		if _, err := stmts[2].ExecContext(ctx, id, searchable(e)); err != nil {
			return storage(err)
		}
	}
	_, err = conn.ExecContext(ctx, "INSERT INTO meta(name, value) VALUES('search', $1) ON CONFLICT(name) DO UPDATE SET value=excluded.value",
		strconv.FormatInt(end, 10))
	return storage(err)
}
