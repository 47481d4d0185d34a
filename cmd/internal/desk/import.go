package desk

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"sandi/agenda"
)

// Import enters many letters from a table: CSV as spreadsheets write it, or
// JSON lines. It is read whole before anything is written, all its letters are
// entered in one transaction, and each has a token made of what its own fields
// mean, so that the same table a second time adds nothing.

// ImportFields are the columns in the order of the template, by the flag of
// `agenda add` that means the same; the head of the template is the first
// word.
var importFields = []struct {
	flag  string
	heads []string
}{
	{"applicant", []string{"pemohon"}},
	{"request", []string{"permohonan", "nomor_permohonan", "no_permohonan"}},
	{"request-date", []string{"tgl_permohonan", "tanggal_permohonan"}},
	{"received", []string{"diterima", "tgl_diterima", "tanggal_diterima"}},
	{"letter", []string{"nomor_surat", "no_surat", "surat", "number"}},
	{"letter-date", []string{"tgl_surat", "tanggal_surat", "date"}},
	{"subject", []string{"perihal", "hal"}},
	{"class", []string{"klasifikasi", "classification"}},
	{"urgency", []string{"derajat"}},
	{"to", []string{"tujuan"}},
	{"cc", []string{"tembusan"}},
	{"origin", []string{"asal", "asal_surat"}},
	{"pages", []string{"halaman", "jumlah_halaman"}},
	{"enclosures", []string{"lampiran"}},
	{"archive-class", []string{"kode_arsip", "kode_klasifikasi"}},
	{"place", []string{"lokasi", "lokasi_simpan"}},
	{"note", []string{"catatan", "keterangan"}},
	{"file", []string{"berkas"}},
	{"once", []string{"tanda", "token"}},
}

// importTemplate are the columns of an ordinary week; the others may be added.
var importTemplate = []string{"applicant", "request", "request-date", "received", "letter", "letter-date", "subject", "urgency", "to", "file"}

// ImportHeads are the heads of the template, in the words of the office.
func ImportHeads() []string {
	var heads []string
	for _, f := range importFields {
		if slices.Contains(importTemplate, f.flag) {
			heads = append(heads, f.heads[0])
		}
	}
	return heads
}

// importFlag finds the field that a head means, however it is written.
func importFlag(head string) (string, bool) {
	word := strings.ToLower(strings.Join(strings.FieldsFunc(head, func(r rune) bool {
		return r == ' ' || r == '_' || r == '-' || r == '.' || r == '\u00a0'
	}), "_"))
	for _, f := range importFields {
		if strings.ReplaceAll(f.flag, "-", "_") == word || slices.Contains(f.heads, word) {
			return f.flag, true
		}
	}
	return "", false
}

// ImportParams say what is imported.
type ImportParams struct {
	Source io.Reader
	Folder string // where scans that are named without a folder lie
	// Day reads a date as people type it and returns it as ISO, Moment an
	// instant.
	Day    func(string) (string, error)
	Moment func(string) (time.Time, error)
	// Batch is set when the letters are to be sent and enciphered at once. The
	// file of a classified letter is taken too: it is only looked for, to be
	// enciphered where it lies. And what would stop a row on that way stops the
	// table: an addressee that is not entered, a class that the office does not
	// allow.
	Batch bool
}

// ImportRow is one letter of a table.
type ImportRow struct {
	Line         int
	Registration agenda.Registration
	File         string        // its scan; "" for none
	Same         []agenda.Name // entries with the same number and date of letter
	Name         agenda.Name   // that it has or would get; filled by [Desk.WouldBe]
	Known        bool          // it is entered already
}

// Words of ImportProblem.Why.
const (
	WhyEncoding  = "encoding"  // not UTF-8
	WhyEmpty     = "empty"     // no head or no row
	WhyHead      = "head"      // a head that means nothing here
	WhyHeadTwice = "headtwice" // two columns for one field
	WhyNoColumn  = "nocolumn"  // a field that every letter needs has no column
	WhyQuotes    = "quotes"    // quotation marks that do not close
	WhyJSON      = "json"      // not an object of texts
	WhyWidth     = "width"     // more cells than heads
	WhyMissing   = "missing"   // a needed cell is empty
	WhyDate      = "date"
	WhyMoment    = "moment"
	WhyFuture    = "future"
	WhyClass     = "class"
	WhyUrgency   = "urgency"
	WhyNumber    = "number" // pages
	WhyGroup     = "group"
	WhyAddressee = "addressee" // of a classified letter or in a batch, and not entered
	WhyPolicy    = "policy"    // a class that the settings do not allow, in a batch
	WhyTwice     = "twice"     // an addressee twice
	WhyRowTwice  = "rowtwice"  // the same letter as in the line Value
	WhyLong      = "long"
	WhyApplicant = "applicant" // not on record, in book kriptogram
	WhyText      = "text"      // a control character or a bidi mark
	WhyFile      = "file"      // the scan is not there or no PDF
	WhyClassScan = "classscan" // a scan beside a classified letter
)

// ImportProblem is one thing in a table that cannot be entered.
type ImportProblem struct {
	Line   int
	Column int // number of the cell, from 1; 0 when it is not about a cell
	Field  string
	Why    string
	Value  string // what stands there, never a subject
}

// ImportError is all that is wrong with a table.
type ImportError struct{ Problems []ImportProblem }

// CodeImport is the code of ImportError.
const CodeImport = "desk.import"

// Code returns the stable code.
func (e *ImportError) Code() string { return CodeImport }

func (e *ImportError) Error() string {
	p := e.Problems[0]
	return fmt.Sprintf("%s: line %d column %d %s: %s, %d in all", CodeImport, p.Line, p.Column, p.Field, p.Why, len(e.Problems))
}

const (
	maxImport     = 64 << 20
	maxImportRows = 100_000
)

// ReadImport reads a table and checks all of it. Every problem is found, not
// the first one only.
func (d *Desk) ReadImport(ctx context.Context, p ImportParams) ([]ImportRow, error) {
	data, err := io.ReadAll(io.LimitReader(p.Source, maxImport+1))
	if err != nil {
		return nil, &Error{code: CodeFile, Err: err}
	}
	if len(data) > maxImport {
		return nil, &Error{code: CodeTooLarge}
	}
	// Spreadsheets write UTF-8 with or without a mark, or UTF-16 with one.
	data, _, err = transform.Bytes(unicode.BOMOverride(unicode.UTF8.NewDecoder().Transformer), data)
	t := &importTable{}
	if err != nil || !utf8.Valid(data) || bytes.ContainsRune(data, utf8.RuneError) {
		line := 1 + bytes.Count(data[:max(0, bytes.IndexRune(data, utf8.RuneError))], []byte("\n"))
		t.found(line, 0, "", WhyEncoding, "")
		return nil, &ImportError{t.problems}
	}
	if first := bytes.TrimSpace(data); len(first) > 0 && first[0] == '{' {
		t.readJSON(data)
	} else {
		t.readCSV(data)
	}
	if len(t.problems) == 0 && len(t.rows) == 0 {
		t.found(1, 0, "", WhyEmpty, "")
	}
	rows, err := d.importRows(ctx, t, p)
	if err != nil {
		return nil, err
	}
	if len(t.problems) > 0 {
		slices.SortStableFunc(t.problems, func(x, y ImportProblem) int { return x.Line - y.Line })
		return nil, &ImportError{t.problems}
	}
	return rows, nil
}

// maxShownCell is how much of a cell is told.
const maxShownCell = 60

// importTable is a table as cells by field.
type importTable struct {
	rows     []importCells
	problems []ImportProblem
}

type importCells struct {
	line    int
	values  map[string]string
	columns map[string]int
}

func (t *importTable) found(line, column int, field, why, value string) {
	if field == "subject" {
		value = ""
	}
	if r := []rune(value); len(r) > maxShownCell {
		value = string(r[:maxShownCell]) + ".."
	}
	t.problems = append(t.problems, ImportProblem{line, column, field, why, value})
}

func (t *importTable) readCSV(data []byte) {
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma = delimiter(data)
	r.FieldsPerRecord = -1
	var fields []string
	columns := map[string]int{}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			var p *csv.ParseError
			line := 1
			if errors.As(err, &p) {
				line = p.StartLine
			}
			t.found(line, 0, "", WhyQuotes, "")
			return
		}
		line, _ := r.FieldPos(0)
		if fields == nil {
			for i, head := range record {
				field, ok := importFlag(head)
				switch {
				case !ok && strings.TrimSpace(head) != "":
					t.found(line, i+1, head, WhyHead, head)
				case ok && columns[field] > 0:
					t.found(line, i+1, field, WhyHeadTwice, head)
				case ok:
					columns[field] = i + 1
				}
				fields = append(fields, field)
			}
			t.needColumns(line, columns)
			continue
		}
		if strings.TrimSpace(strings.Join(record, "")) == "" {
			continue // spreadsheets end with rows of empty cells
		}
		row := importCells{line: line, values: map[string]string{}, columns: columns}
		for i, cell := range record {
			cell = strings.TrimSpace(cell)
			switch {
			case i >= len(fields) && cell != "":
				t.found(line, i+1, "", WhyWidth, "")
			case i < len(fields) && fields[i] != "":
				row.values[fields[i]] = cell
			}
		}
		t.rows = append(t.rows, row)
	}
}

// needColumns tells which columns a table cannot do without.
func (t *importTable) needColumns(line int, columns map[string]int) {
	for _, field := range neededFields {
		if columns[field] == 0 {
			t.found(line, 0, field, WhyNoColumn, "")
		}
	}
}

var neededFields = []string{"applicant", "letter", "letter-date", "subject", "to"}

// delimiter is the one of ";", "," and TAB that stands most often in the head.
func delimiter(data []byte) rune {
	head, _, _ := bytes.Cut(data, []byte("\n"))
	best, count := ';', 0
	for _, c := range ";,\t" {
		if n := bytes.Count(head, []byte(string(c))); n > count {
			best, count = c, n
		}
	}
	return best
}

func (t *importTable) readJSON(data []byte) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxImport+1)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var object map[string]any
		if err := json.Unmarshal(lines.Bytes(), &object); err != nil {
			column := 0
			var syntax *json.SyntaxError
			if errors.As(err, &syntax) {
				column = int(syntax.Offset)
			}
			t.found(n, column, "", WhyJSON, "")
			continue
		}
		row := importCells{line: n, values: map[string]string{}, columns: map[string]int{}}
		for _, key := range slices.Sorted(maps.Keys(object)) {
			v := object[key]
			field, ok := importFlag(key)
			text, fits := cellText(v)
			switch {
			case !ok:
				t.found(n, 0, key, WhyHead, key)
			case row.columns[field] > 0:
				t.found(n, 0, field, WhyHeadTwice, key)
			case !fits:
				t.found(n, 0, field, WhyJSON, "")
			default:
				row.values[field] = strings.TrimSpace(text)
			}
			if ok {
				row.columns[field] = 1
			}
		}
		clear(row.columns) // a line of JSON has no columns to tell
		t.rows = append(t.rows, row)
	}
}

// cellText is a JSON value as the cell of a table: a text, a whole number, or
// a list of texts.
func cellText(v any) (string, bool) {
	switch x := v.(type) {
	case nil:
		return "", true
	case string:
		return x, true
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64), true
	case []any:
		var list []string
		for _, item := range x {
			s, ok := item.(string)
			if !ok {
				return "", false
			}
			list = append(list, s)
		}
		return strings.Join(list, ","), true
	}
	return "", false
}

// importRows turns cells into letters.
func (d *Desk) importRows(ctx context.Context, t *importTable, p ImportParams) ([]ImportRow, error) {
	if len(t.rows) > maxImportRows {
		return nil, &Error{code: CodeTooLarge}
	}
	same, err := d.letterNumbers(ctx)
	if err != nil {
		return nil, err
	}
	people, err := d.handles(ctx)
	if err != nil {
		return nil, err
	}
	list, err := d.Book.Applicants(ctx)
	if err != nil {
		return nil, err
	}
	applicants := map[string]bool{}
	for _, a := range list {
		if !a.Ended {
			applicants[a.Handle], applicants[a.Unit] = true, true
		}
	}
	var rows []ImportRow
	lines := map[string]int{}
	for _, cells := range t.rows {
		r := importReader{t: t, d: d, p: p, cells: cells, people: people, applicants: applicants}
		row := r.row()
		if cells.values["once"] == "" {
			if _, known, err := d.Book.Known(ctx, r.typed()); err != nil {
				return nil, err
			} else if known {
				row.Registration.Once = r.typed()
			}
		}
		if first, twice := lines[row.Registration.Once]; twice {
			t.found(cells.line, 0, "", WhyRowTwice, strconv.Itoa(first))
		}
		lines[row.Registration.Once] = cells.line
		row.Same = same[letterKey(row.Registration.Letter)]
		rows = append(rows, row)
	}
	return rows, nil
}

func letterKey(l agenda.Letter) string { return l.Date + " " + l.Number }

// letterNumbers are the entries of this year by number and date of letter.
func (d *Desk) letterNumbers(ctx context.Context) (map[string][]agenda.Name, error) {
	found := map[string][]agenda.Name{}
	err := d.Book.Each(ctx, agenda.Filter{Year: d.Now().In(agenda.WIB).Year()}, func(e agenda.Entry) error {
		if e.State != agenda.StateVoid {
			found[letterKey(e.Letter)] = append(found[letterKey(e.Letter)], e.Name)
		}
		return nil
	})
	return found, err
}

func (d *Desk) handles(ctx context.Context) (map[string]bool, error) {
	all, err := d.Book.Correspondents(ctx)
	known := map[string]bool{}
	for _, c := range all {
		known[c.Handle] = !c.Ended
	}
	return known, err
}

// importReader reads the cells of one row.
type importReader struct {
	t      *importTable
	d      *Desk
	p      ImportParams
	cells  importCells
	people map[string]bool
	// applicants are the handles and units on record.
	applicants map[string]bool
}

func (r *importReader) found(field, why string) { r.foundIn(field, why, r.cells.values[field]) }

// foundIn tells a part of a cell.
func (r *importReader) foundIn(field, why, value string) {
	r.t.found(r.cells.line, r.cells.columns[field], field, why, value)
}

// maxCell is the longest text that the book takes.
const maxCell = 4000

func (r *importReader) text(field string) string {
	s := strings.Join(strings.Fields(r.cells.values[field]), " ")
	if len(s) > maxCell {
		r.found(field, WhyLong)
	}
	if !agenda.OneLine(s) {
		r.found(field, WhyText)
	}
	return s
}

func (r *importReader) row() ImportRow {
	for _, field := range neededFields {
		if r.cells.values[field] == "" {
			r.found(field, WhyMissing)
		}
	}
	l := agenda.Letter{
		Class: agenda.ClassBiasa, Urgency: agenda.UrgencyBiasa,
		Applicant: r.text("applicant"), Request: r.text("request"), RequestDate: r.day("request-date"), Received: r.moment("received"),
		Number: r.text("letter"), Date: r.day("letter-date"), Origin: r.text("origin"), Subject: r.text("subject"),
		Enclosures: r.text("enclosures"), ArchiveClass: r.text("archive-class"), Place: r.text("place"), Note: r.text("note"),
	}
	if s := r.cells.values["class"]; s != "" {
		class, err := agenda.ParseClass(s)
		if err != nil {
			r.found("class", WhyClass)
		} else {
			l.Class = class
		}
	}
	if s := r.cells.values["urgency"]; s != "" {
		urgency, err := agenda.ParseUrgency(s)
		if err != nil {
			r.found("urgency", WhyUrgency)
		} else {
			l.Urgency = urgency
		}
	}
	if s := r.cells.values["pages"]; s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > 1_000_000 {
			r.found("pages", WhyNumber)
		}
		l.Pages = n
	}
	book := agenda.BookFor(l.Class)
	l.Excluded = book == agenda.Kriptogram
	if book == agenda.Kriptogram && l.Applicant != "" && !r.applicants[l.Applicant] {
		r.foundIn("applicant", WhyApplicant, l.Applicant)
	}
	seen := map[string]bool{}
	l.To = r.addressees("to", book, seen)
	l.Cc = r.addressees("cc", book, seen)
	if len(l.To)+len(l.Cc) > agenda.MaxRecipients {
		r.found("to", WhyLong)
	}
	if r.p.Batch && book == agenda.Kriptogram {
		if _, err := r.d.policyFor(agenda.Entry{Letter: l}); err != nil {
			r.found("class", WhyPolicy)
		}
	}
	row := ImportRow{Line: r.cells.line, Registration: agenda.Registration{Book: book, Letter: l, Once: r.token(l)}}
	if s := r.cells.values["file"]; s != "" {
		row.File = r.scan(s, l.Class)
	}
	return row
}

func (r *importReader) day(field string) string {
	s := r.cells.values[field]
	if s == "" {
		return ""
	}
	iso, err := r.p.Day(s)
	if err != nil {
		r.found(field, WhyDate)
	}
	return iso
}

func (r *importReader) moment(field string) time.Time {
	s := r.cells.values[field]
	if s == "" {
		return r.d.Now().Truncate(time.Minute)
	}
	at, err := r.p.Moment(s)
	switch {
	case err != nil:
		r.found(field, WhyMoment)
	case at.After(r.d.Now().Add(time.Minute)):
		r.found(field, WhyFuture)
	}
	return at
}

func (r *importReader) addressees(field string, book agenda.BookName, seen map[string]bool) []string {
	var list []string
	for _, word := range strings.FieldsFunc(r.cells.values[field], separates) {
		word = strings.TrimSpace(word)
		names := []string{word}
		if group, ok := strings.CutPrefix(word, "@"); ok {
			if names, ok = r.d.Members(group); !ok {
				r.found(field, WhyGroup)
				continue
			}
		}
		for _, name := range names {
			switch {
			case name == "":
			case seen[name] && len(names) > 1: // a group may name who stands there already
			case seen[name]:
				r.found(field, WhyTwice)
			case !agenda.OneLine(name):
				r.found(field, WhyText)
			case (book == agenda.Kriptogram || r.p.Batch) && !r.people[name]:
				r.foundIn(field, WhyAddressee, name)
			default:
				seen[name] = true
				list = append(list, name)
			}
		}
	}
	return list
}

// scan checks the file of a row: there, a PDF, and of an ordinary letter.
func (r *importReader) scan(name string, class agenda.Class) string {
	classified := class != agenda.ClassBiasa
	if classified && !r.p.Batch {
		r.found("file", WhyClassScan)
		return ""
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(r.p.Folder, filepath.FromSlash(name))
	}
	if classified {
		if st, err := os.Stat(name); err != nil || !st.Mode().IsRegular() || st.Size() == 0 {
			r.found("file", WhyFile)
		}
		return name
	}
	f, err := os.Open(name)
	if err != nil {
		r.found("file", WhyFile)
		return ""
	}
	defer f.Close()
	head := make([]byte, 1024)
	n, _ := io.ReadFull(f, head) // what could be read decides
	if !bytes.Contains(head[:n], []byte("%PDF-")) {
		r.found("file", WhyFile)
	}
	return name
}

// ownNotes are the fields that an office writes for itself, often after the
// letter left: they make no other letter of it.
var ownNotes = []string{"file", "note", "place", "archive-class"}

// token is made of what the row means, so that the same row is the same letter
// whenever it is imported, however a spreadsheet wrote it again: with its dates
// in another form, a column more, other blanks.
func (r *importReader) token(l agenda.Letter) string {
	if s := r.cells.values["once"]; s != "" {
		return s
	}
	meant := map[string]string{
		"request-date": r.fixed("request-date", l.RequestDate), "letter-date": r.fixed("letter-date", l.Date),
		"received": r.fixed("received", l.Received.UTC().Format(time.RFC3339)),
		"class":    string(l.Class), "urgency": string(l.Urgency), "pages": strconv.Itoa(l.Pages),
		"to": r.words("to"), "cc": r.words("cc"),
	}
	sum := sha256.New()
	for _, f := range importFields {
		if slices.Contains(ownNotes, f.flag) || f.flag == "once" {
			continue
		}
		value, ok := meant[f.flag]
		if !ok {
			value = strings.Join(strings.Fields(r.cells.values[f.flag]), " ")
		}
		fmt.Fprintf(sum, "%s=%q\n", f.flag, value)
	}
	return fmt.Sprintf("import2-%x", sum.Sum(nil))
}

// typed is the token that rows had when it was made of the cells as they were
// typed: what was entered under it stays known.
func (r *importReader) typed() string {
	sum := sha256.New()
	for _, f := range importFields {
		if f.flag != "file" {
			fmt.Fprintf(sum, "%s=%q\n", f.flag, r.cells.values[f.flag])
		}
	}
	return fmt.Sprintf("import-%x", sum.Sum(nil))
}

// fixed is the meaning of a cell that names its year. Any other, such as
// "kemarin" or a bare time, means something else another day.
func (r *importReader) fixed(field, meaning string) string {
	cell := strings.ToLower(strings.Join(strings.Fields(r.cells.values[field]), " "))
	if fourDigits.MatchString(cell) {
		return meaning
	}
	return cell
}

var fourDigits = regexp.MustCompile(`\d{4}`)

// words are the addressees of a cell as they stand there, groups by their name:
// who belongs to one may change.
func (r *importReader) words(field string) string {
	var list []string
	for _, word := range strings.FieldsFunc(r.cells.values[field], separates) {
		if word = strings.TrimSpace(word); word != "" {
			list = append(list, word)
		}
	}
	return strings.Join(list, ",")
}

// separates tells what stands between addressees.
func separates(c rune) bool { return strings.ContainsRune(",;|", c) }

// Imported is an entry that an import made, or found made.
type Imported struct {
	Entry   agenda.Entry
	Existed bool
}

// Import enters the rows: all or none. Scans are attached afterwards, each
// by itself; a letter whose scan could not be attached waits for it like any other.
func (d *Desk) Import(ctx context.Context, rows []ImportRow) ([]Imported, error) {
	list, err := d.enter(ctx, rows, d.whole)
	if err != nil {
		return nil, err
	}
	unscanned := make([]error, len(list))
	d.each(ctx, unscanned, func(ctx context.Context, i int) error {
		if rows[i].File == "" || list[i].Entry.State != agenda.StateRegistered {
			return nil
		}
		e, err := d.Attach(ctx, AttachParams{Name: list[i].Entry.Name, Files: []string{rows[i].File}})
		if err == nil {
			list[i].Entry = e
		}
		return err
	})
	return list, errors.Join(unscanned...)
}

// enter registers the letters of the rows and reads them.
func (d *Desk) enter(ctx context.Context, rows []ImportRow, read func(context.Context, []int64) ([]agenda.Entry, error)) ([]Imported, error) {
	roles := map[agenda.Role]bool{}
	var regs []agenda.Registration
	for _, r := range rows {
		roles[Clerk(r.Registration.Book)] = true
		regs = append(regs, r.Registration)
	}
	want := []agenda.Role{agenda.RoleOperator, agenda.RoleSandiman}
	if len(roles) == 1 && roles[agenda.RoleSandiman] {
		want = want[1:]
	}
	who, err := d.ActingOr(ctx, want...)
	if err != nil {
		return nil, err
	}
	made, err := d.Book.Register(ctx, who, regs...)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(made))
	for i, m := range made {
		ids[i] = m.ID
	}
	entries, err := read(ctx, ids)
	if err != nil {
		return nil, err
	}
	list := make([]Imported, len(made))
	for i, m := range made {
		list[i] = Imported{Entry: entries[i], Existed: m.Existed}
	}
	return list, nil
}

// WouldBe fills in the name that each row would get now; rows that are entered
// already keep theirs. fresh are the new ones.
func (d *Desk) WouldBe(ctx context.Context, rows []ImportRow) (fresh []agenda.Name, err error) {
	year := d.Now().In(agenda.WIB).Year()
	counts, err := d.Book.Counts(ctx, year)
	if err != nil {
		return nil, err
	}
	next := map[agenda.BookName]int{}
	for _, b := range []agenda.BookName{agenda.Kriptogram, agenda.Surat} {
		next[b] = counts[b].Entries
	}
	for i := range rows {
		r := &rows[i]
		if r.Name, r.Known, err = d.Book.Known(ctx, r.Registration.Once); err != nil {
			return nil, err
		}
		if !r.Known {
			next[r.Registration.Book]++
			r.Name = agenda.Name{Book: r.Registration.Book, Serial: next[r.Registration.Book], Year: year}
			fresh = append(fresh, r.Name)
		}
	}
	return fresh, nil
}
