package desk

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"sandi/agenda"
)

const (
	maxKeyFile  = 1 << 20
	maxTextFile = 1 << 20
	maxPacket   = 64 << 10
)

// ErrNotRegular is the cause of CodeFile where a folder, a FIFO or a device was given.
var ErrNotRegular = errors.New("no regular file")

// ErrFolder is ErrNotRegular for a folder.
var ErrFolder = fmt.Errorf("a folder: %w", ErrNotRegular)

// readLimited reads a small file of somebody else. A regular file only: a
// FIFO or a device would hang or never end.
func readLimited(path string, limit int64) ([]byte, error) {
	if err := regular(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, &Error{code: CodeTooLarge, Field: path}
	}
	return data, nil
}

// regular refuses all but regular files before an open, which would wait at a
// FIFO for somebody to write.
func regular(path string) error {
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		why := ErrNotRegular
		if st.IsDir() {
			why = ErrFolder
		}
		err = &Error{code: CodeFile, Field: path, Err: why}
	}
	return err
}

// document is one file to be enciphered or scanned: opened, regular, not
// empty. It is read where it lies.
type document struct {
	path, base string
	size       int64
	modified   time.Time
	file       *os.File
}

// unaltered refuses documents that were written to since they were opened: a
// passphrase was asked meanwhile, and an editor that saves, a scanner that is
// not done or a copy from a network makes half a letter, or none, of the one
// that was chosen.
func unaltered(n agenda.Name, docs []document) error {
	for _, doc := range docs {
		st, err := doc.file.Stat()
		if err != nil {
			return &Error{code: CodeFile, Field: doc.path, Err: err}
		}
		if st.Size() != doc.size || !st.ModTime().Equal(doc.modified) {
			return &Error{code: CodeFileChanged, Entry: n, Field: doc.path}
		}
	}
	return nil
}

func openDocuments(paths []string) (docs []document, err error) {
	defer func() {
		if err != nil {
			closeDocuments(docs)
			docs = nil
		}
	}()
	seen := map[string]bool{}
	for _, p := range paths {
		if err := regular(p); err != nil {
			return docs, &Error{code: CodeFile, Field: p, Err: err}
		}
		f, err := os.Open(p)
		if err != nil {
			return docs, &Error{code: CodeFile, Field: p, Err: err}
		}
		docs = append(docs, document{path: p, base: safeBase(p), file: f})
		doc := &docs[len(docs)-1]
		st, err := f.Stat()
		switch {
		case err != nil:
			return docs, &Error{code: CodeFile, Field: p, Err: err}
		case !st.Mode().IsRegular():
			return docs, &Error{code: CodeFile, Field: p}
		case st.Size() == 0:
			return docs, &Error{code: CodeEmptyFile, Field: p}
		}
		doc.size, doc.modified = st.Size(), st.ModTime()
		key := strings.ToLower(doc.base)
		if seen[key] {
			return docs, &Error{code: CodeSameName, Field: p}
		}
		seen[key] = true
	}
	return docs, nil
}

// newFolder makes a folder for what is written out. One that is there is not
// used: what it holds would be taken for ours.
func newFolder(dir string) error {
	err := os.Mkdir(dir, 0o700)
	switch {
	case errors.Is(err, fs.ErrExist):
		return &Error{code: CodeOutThere, Field: dir}
	case err != nil:
		return &Error{code: CodeOutMake, Field: dir, Err: err}
	}
	return nil
}

func closeDocuments(docs []document) {
	for _, d := range docs {
		d.file.Close()
	}
}

// literalName is the name inside the encryption: of the one document, or of
// the ZIP of several.
func literalName(docs []document) string {
	if len(docs) == 1 {
		return docs[0].base
	}
	return "naskah.zip"
}

// safeBase is the base name without what a foreign system could trip over,
// at most 100 octets with its extension kept.
func safeBase(path string) string {
	base := norm.NFC.String(filepath.Base(path))
	base = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || strings.ContainsRune(`/\:*?"<>|`, r) || r > 0xffff || (r >= 0x80 && r < 0xa0) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(base, "_"))
	base = strings.TrimLeft(base, ".-")
	if base == "" {
		base = "naskah"
	}
	ext := filepath.Ext(base)
	if len(ext) > 16 {
		ext = ""
	}
	stem := strings.TrimSuffix(base, ext)
	for len(stem)+len(ext) > 100 {
		r := []rune(stem)
		stem = string(r[:len(r)-1])
	}
	return stem + ext
}

// plaintext streams what is enciphered: the octets of the one document as
// they are, or a ZIP of several, stored in the order typed, never on disk.
// The reader must be closed.
func plaintext(ctx context.Context, docs []document) io.ReadCloser {
	if len(docs) == 1 {
		return io.NopCloser(docs[0].file)
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(writeZip(ctx, w, docs)) }()
	return r
}

func writeZip(ctx context.Context, w io.Writer, docs []document) error {
	z := zip.NewWriter(w)
	for _, doc := range docs {
		if err := ctx.Err(); err != nil {
			return err
		}
		h := &zip.FileHeader{Name: doc.base, Method: zip.Store}
		// 1 January 1980 in MS-DOS form.
		//lint:ignore SA1019 Modified would add an extended time field, which tells the clerk's clock.
		h.ModifiedDate = 1<<5 | 1
		part, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := io.Copy(part, doc.file); err != nil {
			return err
		}
	}
	return z.Close()
}
