package agenda

import (
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var (
	//go:embed schema.sql
	schemaSQL string
	//go:embed index.sql
	indexSQL string
)

const (
	applicationID = 0x73616e64 // "sand"
	// schemaVersion is raised with every change of index.sql or of what apply
	// writes, and with every new key of an event.
	schemaVersion = 3
	firstVersion  = 1
	// Every SQLite before it may corrupt a WAL book when two processes write.
	minSQLite   = "3.51.3"
	busyTimeout = 30 * time.Second
)

// Options set what a book takes from outside. The zero value is for use.
type Options struct {
	Now      func() time.Time // nil: time.Now
	Rand     io.Reader        // nil: crypto/rand
	ReadOnly bool
	// Rehearse rolls every transaction back at its end: whatever would be
	// refused is refused, and nothing is recorded.
	Rehearse bool
	// Unchecked opens also a book whose index has gaps: for [Book.Verify] and
	// [Book.Rebuild].
	Unchecked bool
	// AcceptClock is the officer's reason to go on although the clock is far
	// ahead of the book; "" refuses with agenda.clock_ahead. It is recorded.
	AcceptClock string
	// TooFarAhead judges the gap between the last event and the clock. nil:
	// more than three days, Monday to Friday.
	TooFarAhead func(last, now time.Time) bool
}

// Book is an open agenda book. Its methods may be called by several
// goroutines; writes wait for each other.
type Book struct {
	path    string
	file    fs.FileInfo // of the book that was opened; nil when read-only
	options Options
	readers *sql.DB
	writers *sql.DB

	lastOfPeople func() (*sql.Stmt, error) // prepared when it is first asked

	waiting views
	known   known
	renewed bool // by Open

	folding sync.WaitGroup // what is folded into the search index beside the steps

	line    sync.Mutex // guards the two below
	queue   []*member  // transactions that wait for the writer
	writing bool

	mu     sync.Mutex // guards all below and the writer connection
	conn   *sql.Conn  // nil when read-only
	stmts  map[string]*sql.Stmt
	edge   tree
	last   time.Time
	people map[string]int64 // correspondents' ids, of edge.size
	topped bool             // the index ends where the log does, see checkTops
	broken error            // a commit failed: its outcome is unknown
	folded int64            // watermark of search
	fresh  bool             // committed, and not looked at for the search index
}

// Genesis is what event 0 says of the desk.
type Genesis struct {
	DeskID             string // 16 hex digits
	LogKey             string // verifier key line of the log
	ArchiveCertificate Object
	ArchiveFingerprint string
	Office             string
	MailDomain         string
	Profile            string
	Config             Object
}

// Create makes a new book at path, which must not exist, and writes event 0.
// A crash before it returns leaves a file that Open refuses; remove it.
func Create(ctx context.Context, path string, a Actor, g Genesis, o Options) (*Book, error) {
	if len(g.DeskID) != 16 {
		return nil, invalid("desk-id", g.DeskID)
	}
	if err := checkObject(g.ArchiveCertificate); err != nil {
		return nil, err
	}
	if err := checkObject(g.Config); err != nil {
		return nil, err
	}
	// The driver would create the file with the usual umask; the WAL follows
	// the mode of the book.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, storage(err)
	}
	if err := f.Close(); err != nil {
		return nil, storage(err)
	}
	b, err := connect(ctx, path, o)
	if err != nil {
		return nil, err
	}
	err = b.create(ctx, a, g)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *Book) create(ctx context.Context, a Actor, g Genesis) error {
	script := fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d;\n", applicationID, schemaVersion) + schemaSQL + indexSQL
	return b.update(ctx, a, func(u *update) error {
		if err := u.exec(script); err != nil {
			return err
		}
		for _, o := range []Object{g.ArchiveCertificate, g.Config} {
			if err := u.putObject(o); err != nil {
				return err
			}
		}
		e := newEvent("desk.created").set("desk-id", g.DeskID).set("log-key", g.LogKey).
			setHash("archive-certificate", g.ArchiveCertificate.SHA256).set("office", g.Office).
			set("mail-domain", g.MailDomain).set("profile", g.Profile).
			set("archive-fingerprint", g.ArchiveFingerprint).setHash("config", g.Config.SHA256)
		_, err := u.append(e)
		return err
	})
}

// Open opens an existing book. It refuses a file of another program
// (agenda.foreign), a newer schema (agenda.schema), a SQLite or settings that
// would lose a commit (agenda.storage), and a gap in the serials or in the
// numbers of this year (agenda.tampered). A book whose index an older program
// wrote gets it made anew, see [Book.Renewed]; reading only or rehearsing, Open
// refuses it (agenda.index_old).
func Open(ctx context.Context, path string, o Options) (*Book, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, storage(err)
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{code: "agenda.storage", Field: "file", cause: errors.New("not a regular file")}
	}
	if err := sniff(path); err != nil {
		return nil, err
	}
	b, err := connect(ctx, path, o)
	if err != nil {
		return nil, err
	}
	if err := b.check(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// sniff reads application id and schema version from the header, so that a
// foreign or newer file is refused before SQLite touches it. A header that is
// still in the WAL shows as zeros; check reads it again through SQLite.
func sniff(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return storage(err)
	}
	defer f.Close()
	var head [100]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return &Error{code: "agenda.foreign"}
	}
	if string(head[:16]) != "SQLite format 3\x00" {
		return &Error{code: "agenda.foreign"}
	}
	number := func(at int) int64 {
		return int64(head[at])<<24 | int64(head[at+1])<<16 | int64(head[at+2])<<8 | int64(head[at+3])
	}
	version, id := number(60), number(68)
	if _, err := os.Stat(path + "-wal"); err == nil && id == 0 && version == 0 {
		return nil
	}
	return checkIdentity(id, version)
}

func checkIdentity(id, version int64) error {
	if id != applicationID {
		return &Error{code: "agenda.foreign"}
	}
	if version < firstVersion || version > schemaVersion {
		return &Error{code: "agenda.schema", Value: strconv.FormatInt(version, 10)}
	}
	return nil
}

func dsn(path string, readOnly bool) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", storage(err)
	}
	absolute = filepath.ToSlash(absolute)
	if !strings.HasPrefix(absolute, "/") {
		absolute = "/" + absolute
	}
	u := url.URL{Scheme: "file", Path: absolute}
	pragmas := fmt.Sprintf("?_pragma=busy_timeout(%d)", busyTimeout.Milliseconds())
	if readOnly {
		// Several readers at once, each with a cache of its own: a smaller one
		// than SQLite's default keeps a long book within a small memory.
		pragmas += "&mode=ro&_pragma=query_only(1)&_pragma=cache_size(-1000)"
	} else {
		pragmas += "&mode=rw&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=secure_delete(1)"
	}
	return u.String() + pragmas + "&_pragma=trusted_schema(0)&_dqs=0&_defensive=1", nil
}

// connect opens the connections; it looks at nothing in the book.
func connect(ctx context.Context, path string, o Options) (*Book, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.TooFarAhead == nil {
		o.TooFarAhead = tooFarAhead
	}
	b := &Book{path: path, options: o, stmts: map[string]*sql.Stmt{}, folded: -1}
	if !o.ReadOnly {
		name, err := dsn(path, false)
		if err != nil {
			return nil, err
		}
		if b.writers, err = sql.Open("sqlite", name); err != nil {
			return nil, storage(err)
		}
		b.writers.SetMaxOpenConns(1)
		if b.conn, err = b.writers.Conn(ctx); err != nil {
			return nil, errors.Join(storage(err), b.Close())
		}
		// Behind the opening: a file that is held open keeps its number also
		// where numbers are given for as long as somebody needs them.
		if b.file, err = os.Stat(path); err != nil {
			return nil, errors.Join(storage(err), b.Close())
		}
	}
	name, err := dsn(path, true)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	if b.readers, err = sql.Open("sqlite", name); err != nil {
		return nil, errors.Join(storage(err), b.Close())
	}
	b.lastOfPeople = sync.OnceValues(func() (*sql.Stmt, error) {
		return b.readers.PrepareContext(context.WithoutCancel(ctx), "SELECT coalesce(max(e.seq), 0) FROM event e "+selectWords)
	})
	b.readers.SetMaxOpenConns(2 * maxReaders)
	b.readers.SetMaxIdleConns(maxReaders)
	return b, nil
}

// moved refuses to write when another file, or none, has the name of the book:
// a backup took its place. What is written to the one that was set aside
// nobody would find, and its serials are given again in the other.
func (b *Book) moved() error {
	if now, err := os.Stat(b.path); err != nil || !os.SameFile(b.file, now) {
		return &Error{code: "agenda.moved", cause: err}
	}
	return nil
}

// check asserts what Open promises.
func (b *Book) check(ctx context.Context) error {
	var id, version int64
	var library string
	err := b.readers.QueryRowContext(ctx,
		"SELECT application_id, user_version, sqlite_version() FROM pragma_application_id, pragma_user_version").
		Scan(&id, &version, &library)
	if err != nil {
		return storage(err)
	}
	if err := checkIdentity(id, version); err != nil {
		return err
	}
	if !atLeast(library, minSQLite) {
		return &Error{code: "agenda.storage", Field: "sqlite", Value: library, cause: errors.New("SQLite too old")}
	}
	if b.conn != nil {
		var journal string
		var synchronous int
		if err := b.conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&journal); err != nil {
			return storage(err)
		}
		if err := b.conn.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous); err != nil {
			return storage(err)
		}
		if journal != "wal" || synchronous != 2 {
			return &Error{code: "agenda.storage", Field: "journal", Value: journal, cause: errors.New("commits would not last")}
		}
	}
	if version < schemaVersion {
		if b.options.ReadOnly || b.options.Rehearse {
			return &Error{code: "agenda.index_old", Value: strconv.FormatInt(version, 10)}
		}
		if b.renewed, err = b.rebuild(ctx, true); err != nil {
			return err
		}
	}
	if b.options.Unchecked {
		return nil
	}
	return b.checkGaps(ctx, b.options.Now().In(WIB).Year())
}

// Renewed tells whether Open made the index anew, because an older program
// had written it.
func (b *Book) Renewed() bool { return b.renewed }

// selectGaps counts the entries, and sums up the highest serials of every book
// and year, which the index finds by its ends; then the same of this year's
// numbers. A whole table is counted by its pages, rows of a year one by one.
const selectGaps = `WITH RECURSIVE years(book, year) AS (
 SELECT value, (SELECT max(year) FROM entry WHERE book=value) FROM json_each($1)
 UNION ALL
 SELECT book, (SELECT max(year) FROM entry e WHERE e.book=years.book AND e.year<years.year) FROM years WHERE year IS NOT NULL
)
SELECT (SELECT count(*) FROM entry),
 (SELECT coalesce(sum((SELECT max(serial) FROM entry e WHERE e.book=years.book AND e.year=years.year)), 0) FROM years WHERE year IS NOT NULL),
 (SELECT count(*) FROM entry WHERE book=$2 AND number_year=$3),
 (SELECT coalesce(max(number_seq), 0) FROM entry WHERE book=$2 AND number_year=$3)`

// checkGaps sees that the serials of every book and year, and the numbers of
// this year, run from 1 without a gap: each stands once, so that there are as
// many as the highest says.
func (b *Book) checkGaps(ctx context.Context, year int) error {
	books, err := json.Marshal(allBooks)
	if err != nil {
		return err
	}
	var entries, highest, numbers, top int64
	err = b.readers.QueryRowContext(ctx, selectGaps, string(books), string(Kriptogram), year).Scan(&entries, &highest, &numbers, &top)
	switch {
	case err != nil:
		return storage(err)
	case entries != highest:
		return unsound("gap in the serials")
	case numbers != top:
		return unsound("gap in the numbers of " + strconv.Itoa(year))
	}
	return nil
}

func atLeast(version, least string) bool {
	have, want := strings.Split(version, "."), strings.Split(least, ".")
	for i := range want {
		if i >= len(have) {
			return false
		}
		h, err := strconv.Atoi(have[i])
		w, err2 := strconv.Atoi(want[i])
		if err != nil || err2 != nil {
			return false
		}
		if h != w {
			return h > w
		}
	}
	return true
}

// Close closes the book; the last one to close it folds the WAL into the file.
//
// Also after a commit that failed: what is folded was synced by the commits
// before it, and the frames of the failed one go with the WAL. Left lying there
// they would be read back by the next process as if a sync had kept them.
func (b *Book) Close() error {
	b.folding.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for _, s := range b.stmts {
		errs = append(errs, s.Close())
	}
	b.stmts = map[string]*sql.Stmt{}
	errs = append(errs, b.waiting.close())
	if b.readers != nil {
		errs = append(errs, b.readers.Close())
	}
	if b.conn != nil {
		errs = append(errs, b.conn.Close())
	}
	if b.writers != nil {
		errs = append(errs, b.writers.Close())
	}
	if err := errors.Join(errs...); err != nil && !errors.Is(err, sql.ErrConnDone) {
		return storage(err)
	}
	return nil
}

// storage wraps an error of the driver or the system: busy, read-only or the
// storage itself.
func storage(err error) error {
	if err == nil {
		return nil
	}
	var own *Error
	if errors.As(err, &own) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	code := "agenda.storage"
	var driver *sqlite.Error
	if errors.As(err, &driver) {
		switch driver.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			code = "agenda.busy"
		case sqlite3.SQLITE_READONLY:
			code = "agenda.readonly"
		case sqlite3.SQLITE_CORRUPT:
			code = "agenda.tampered"
		case sqlite3.SQLITE_NOTADB:
			code = "agenda.foreign"
		case sqlite3.SQLITE_FULL:
			err = noSpace(err)
		}
		if driver.Code() == sqlite3.SQLITE_IOERR_SHMSIZE { // the index of the log beside the book could not grow
			err = noSpace(err)
		}
	}
	return &Error{code: code, cause: err}
}

// noSpace gives an error of the driver, which hides it, the cause that the
// system gave.
func noSpace(err error) error { return fmt.Errorf("%w (%w)", syscall.ENOSPC, err) }

// tooFarAhead is the default of [Options.TooFarAhead].
func tooFarAhead(last, now time.Time) bool {
	last, now = last.In(WIB), now.In(WIB)
	if now.Sub(last) > 30*24*time.Hour {
		return true
	}
	days := 0
	for d := last.AddDate(0, 0, 1); !d.After(now); d = d.AddDate(0, 0, 1) {
		if w := d.Weekday(); w != time.Saturday && w != time.Sunday {
			days++
		}
	}
	return days > 3
}
