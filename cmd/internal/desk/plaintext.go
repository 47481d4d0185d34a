package desk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"sandi/agenda"
	"sandi/cmd/internal/signedtext"
)

// leftFile is a file that lies where a clerk works, and what is known of it.
type leftFile struct {
	path string
	size int64
	sum  agenda.Hash
	read bool // sum is known
}

// seePlaintext looks for what should lie nowhere: the plaintext of a letter
// that was enciphered here, known by the size and the digest of its content
// record, and copies of the book or of a backup that are not enciphered. It
// looks into the desk folder and, one level, into the folder that it lies in,
// and names files, never what is in them.
func (d *Desk) seePlaintext(ctx context.Context) ([]Condition, error) {
	files, err := d.leftFiles()
	if err != nil {
		return nil, err
	}
	var found []Condition
	bySize, zips := map[int64][]*leftFile{}, []*leftFile{}
	for i := range files {
		f := &files[i]
		bySize[f.size] = append(bySize[f.size], f)
		if strings.EqualFold(filepath.Ext(f.path), ".zip") {
			zips = append(zips, f)
		}
		if bare(f.path) {
			found = append(found, Condition{Area: "leftover", Why: "bare", Level: LevelWarn, Name: f.path})
		}
	}
	if len(files) == 0 {
		return found, nil
	}
	type naskah struct {
		entry int64
		path  string
	}
	var plain []naskah
	err = d.Book.EachContent(ctx, func(entry int64, record, documents string) error {
		content, err := signedtext.ParseContent([]byte(record))
		if err != nil {
			return nil // the audit tells of it
		}
		// Of several documents only the digest of their ZIP is known.
		candidates := zips
		var count, pages int
		var size int64
		if n, _ := fmt.Sscanf(documents, "berkas %d halaman %d ukuran %d", &count, &pages, &size); n == 3 && count == 1 {
			candidates = bySize[size]
		}
		for _, f := range candidates {
			sum, err := f.digest(ctx)
			if err != nil {
				return err
			}
			if sum == content.Text && !slices.Contains(plain, naskah{entry, f.path}) {
				plain = append(plain, naskah{entry, f.path})
			}
		}
		return nil
	})
	if err != nil {
		return found, err
	}
	for _, p := range plain {
		e, err := d.Book.EntryByID(ctx, p.entry)
		if err != nil {
			return found, err
		}
		found = append(found, Condition{Area: "plaintext", Why: "left", Level: LevelWarn, Name: p.path, Entry: e.Name})
	}
	if len(plain) == 0 {
		found = append(found, Condition{Area: "plaintext", Why: "good", Level: LevelGood})
	}
	return found, nil
}

// digest is the SHA-256 of the file, zero when it went away or may not be
// read: another program works here too.
func (f *leftFile) digest(ctx context.Context) (agenda.Hash, error) {
	if f.read {
		return f.sum, ctx.Err()
	}
	f.read = true
	r, err := os.Open(f.path)
	if err != nil {
		return f.sum, nil
	}
	defer r.Close()
	if sum, err := digest(contextReader{ctx, r}); err == nil {
		f.sum = sum
	}
	return f.sum, ctx.Err()
}

// contextReader ends with its context: a large file takes its time.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// leftFiles lists the regular files of the desk folder but for its own, and
// those of the folder beside.
func (d *Desk) leftFiles() ([]leftFile, error) {
	var files []leftFile
	add := func(path string, e fs.DirEntry) {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
			files = append(files, leftFile{path: path, size: info.Size()})
		}
	}
	err := filepath.WalkDir(d.Dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(d.Dir, p)
		if err != nil {
			return err
		}
		switch {
		case e.IsDir() && rel == "vault":
			return fs.SkipDir // enciphered, scans that may be kept, messages
		case !e.IsDir() && (strings.ContainsRune(rel, filepath.Separator) || !ours(rel)):
			add(p, e)
		}
		return nil
	})
	if err != nil {
		return nil, &Error{code: CodeFile, Field: d.Dir, Err: err}
	}
	beside := filepath.Dir(d.Dir)
	list, err := os.ReadDir(beside)
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, &Error{code: CodeFile, Field: beside, Err: err}
	}
	for _, e := range list {
		add(filepath.Join(beside, e.Name()), e)
	}
	return files, nil
}

// bare reports whether a file is a book, or a backup that somebody deciphered
// and left: its first octets tell.
func bare(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 512)
	n, _ := io.ReadFull(f, head)
	head = head[:n]
	book := bytes.HasPrefix(head, []byte("SQLite format 3\x00")) && n >= 72 && bytes.Equal(head[68:72], []byte("sand"))
	backup := n == 512 && bytes.Equal(head[257:262], []byte("ustar")) &&
		(bytes.HasPrefix(head, []byte(backupNote+"\x00")) || bytes.HasPrefix(head, []byte("PaxHeaders.0/"+backupNote+"\x00")))
	return book || backup
}

// CodePlaintext refuses a file that is the plaintext of a kriptogram of this
// desk: it would lie in the vault, and leave as ordinary news.
const CodePlaintext = "desk.plaintext"

// plaintexts are the letters of a single document that were enciphered here
// lately, by digest.
type plaintexts struct {
	mu   sync.Mutex
	next int64 // seq of the first record that was not looked at
	of   map[agenda.Hash]int64
}

// entry finds the newest entry that an enciphered document is of, 0 for none.
func (p *plaintexts) entry(ctx context.Context, book *agenda.Book, sum agenda.Hash) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil {
		p.of = map[agenda.Hash]int64{}
	}
	next, err := book.ContentsSince(ctx, p.next, func(entry int64, record string) error {
		if content, err := signedtext.ParseContent([]byte(record)); err == nil { // one that cannot be read is told by the audit
			p.of[content.Text] = entry
		}
		return nil
	})
	if err == nil {
		p.next = next
	}
	return p.of[sum], err
}

// noPlaintext refuses a document that was enciphered here, by itself, for some
// letter. It is left at its beginning.
func (d *Desk) noPlaintext(ctx context.Context, n agenda.Name, doc document) error {
	sum, err := digest(doc.file)
	if err == nil {
		_, err = doc.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return &Error{code: CodeFile, Field: doc.path, Err: err}
	}
	of, err := d.plaintexts.entry(ctx, d.Book, sum)
	if err != nil || of == 0 {
		return err
	}
	e, err := d.Book.EntryByID(ctx, of)
	if err != nil {
		return err
	}
	return &Error{code: CodePlaintext, Entry: n, Field: doc.path, Detail: e.Name.Long()}
}
