package desk

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/config"
	"sandi/cmd/internal/signedtext"
	"sandi/cmd/internal/vault"
	"sandi/crypto"
)

// A backup is a tar file enciphered to the archive certificate. Its first
// member is the newest checkpoint, its last SHA256SUMS in the form of
// sha256sum(1), so that with the archive key any OpenPGP program, tar and
// sha256sum can check it without this one. Between them lie the book, the
// settings, the locked keys, the archive boxes and the objects of the vault at
// their places in the folder. Never in it: offline/, and what only this
// machine knows (the send lock, the mark of the last sending, what a crash left).
const (
	backupNote    = "checkpoint"
	backupSums    = "SHA256SUMS"
	backupMissing = "MISSING" // objects that were not whole when the backup was made
	backupName    = "sandi.tar"
	backupState   = "backup.txt" // when and where the last backup was made
)

// BackupParams say where a backup goes.
type BackupParams struct {
	Out   string
	Force bool
	// Progress wraps the stream before it is enciphered; nil: none. Total is
	// in octets.
	Progress func(total int64, r io.Reader) io.Reader
}

// BackedUp tells what a backup holds.
type BackedUp struct {
	Path    string
	Size    int64 // of the file
	Objects int   // of the vault
	State   BookState
	Missing []agenda.Hash // objects that the book names and the vault has not, or has damaged
}

// BookState is how far a book has come: what two copies of one are told apart
// by.
type BookState struct {
	DeskID string
	Office string
	Size   int64 // events
	Root   agenda.Hash
	At     time.Time // of the newest event
}

// Words are six check words of the state, for people to compare.
func (s BookState) Words() string { return signedtext.CheckWordsOf(s.Root) }

func stateOf(ctx context.Context, b *agenda.Book) (BookState, error) {
	g, err := b.Genesis(ctx)
	if err != nil {
		return BookState{}, err
	}
	s := BookState{DeskID: g.DeskID, Office: g.Office}
	if s.Size, s.Root, err = b.Head(ctx); err != nil {
		return s, err
	}
	s.At, err = b.Last(ctx)
	return s, err
}

// Backup writes the desk into one file, enciphered to the archive certificate,
// while the desk goes on working. The written file is read back and compared
// before it gets its name. Objects that are missing or damaged do not stop it:
// a desk that lost one scan is the one that needs a backup most.
func (d *Desk) Backup(ctx context.Context, p BackupParams) (BackedUp, error) {
	var res BackedUp
	archive, err := d.archiveCertificate(ctx)
	if err != nil {
		return res, err
	}
	out, err := vault.NewOutput(p.Out, p.Force)
	if err != nil {
		return res, err
	}
	defer out.Abort()
	who, err := d.ActingOr(ctx, agenda.RoleSandiman, agenda.RoleOperator)
	if err != nil {
		return res, err
	}
	_, msg, err := d.checkpoint(ctx, who)
	if err != nil {
		return res, err
	}
	copied, err := d.snapshot(ctx)
	if err != nil {
		return res, err
	}
	defer copied.remove()
	if res.State, err = stateOf(ctx, copied.book); err != nil {
		return res, err
	}
	w := &backupWriter{d: d, copied: copied, note: msg}
	total, err := w.total(ctx)
	if err != nil {
		return res, err
	}
	r, pipe := io.Pipe()
	defer r.Close()
	go func() { pipe.CloseWithError(w.write(ctx, pipe)) }()
	var src io.Reader = r
	if p.Progress != nil {
		src = p.Progress(total, r)
	}
	sealed, err := crypto.Seal(ctx, out, src, crypto.SealParams{
		Recipients: []crypto.Recipient{{Certificate: archive.cert, Subkey: archive.sub}}, Policy: crypto.Praktis(), Now: d.Now(), FileName: backupName,
	})
	if err != nil {
		return res, err
	}
	defer sealed.Wipe()
	if _, err := out.File().Seek(0, io.SeekStart); err != nil {
		return res, &Error{code: CodeFile, Field: p.Out, Err: err}
	}
	if err := sealed.CheckEnvelope(ctx, out.File()); err != nil {
		return res, err
	}
	if err := out.Commit(); err != nil {
		return res, err
	}
	res.Path, res.Size, res.Objects, res.Missing = out.Path(), sealed.Size, w.objects, w.missing
	abs, err := filepath.Abs(res.Path)
	if err != nil {
		return res, err
	}
	// Work, not truth: only `doctor` reads it, to say how old the last backup is.
	state := agenda.AppendLine(nil, "at", d.Now().UTC().Format(time.RFC3339))
	state = agenda.AppendLine(state, "path", abs)
	return res, vault.WriteFile(d.path(backupState), state, 0o600)
}

// LastBackup is when and where the last backup of this folder was made, zero
// when none is known.
func (d *Desk) LastBackup() (at time.Time, where string) {
	data, err := readLimited(d.path(backupState), maxTextFile)
	if err != nil {
		return time.Time{}, ""
	}
	lines, err := agenda.ParseLines(data)
	if err != nil {
		return time.Time{}, ""
	}
	for _, l := range lines {
		switch l.Key {
		case "at":
			at, _ = time.Parse(time.RFC3339, l.Value) // a spoilt line is no backup
		case "path":
			where = l.Value
		}
	}
	return at, where
}

// copiedBook is a copy of the book at one instant, in vault/tmp: a crash
// leaves it there, for the next sweep.
type copiedBook struct {
	path string
	book *agenda.Book
}

func (d *Desk) snapshot(ctx context.Context) (*copiedBook, error) {
	f, err := os.CreateTemp(d.path("vault", "tmp"), "salinan-*.db") // 0600 by itself
	if err != nil {
		return nil, &Error{code: CodeFile, Field: d.Dir, Err: err}
	}
	c := &copiedBook{path: f.Name()}
	if err = f.Close(); err == nil {
		err = d.Book.Snapshot(ctx, c.path)
	}
	if err == nil {
		c.book, err = agenda.Open(ctx, c.path, agenda.Options{Now: d.opts.Now, ReadOnly: true})
	}
	if err != nil {
		c.remove()
		return nil, err
	}
	return c, nil
}

func (c *copiedBook) remove() {
	if c.book != nil {
		c.book.Close()
	}
	for _, tail := range []string{"", "-wal", "-shm", "-journal"} {
		os.Remove(c.path + tail)
	}
}

// backupWriter writes the tar file.
type backupWriter struct {
	d       *Desk
	copied  *copiedBook
	note    []byte
	tar     *tar.Writer
	sums    bytes.Buffer
	objects int
	missing []agenda.Hash
}

// total is about how many octets write will make, for the progress.
func (w *backupWriter) total(ctx context.Context) (int64, error) {
	st, err := os.Stat(w.copied.path)
	if err != nil {
		return 0, err
	}
	n := st.Size()
	err = w.copied.book.VaultObjects(ctx, func(o agenda.Object) error {
		n += o.Size + 1024
		return nil
	})
	return n, err
}

func (w *backupWriter) write(ctx context.Context, dst io.Writer) error {
	w.tar = tar.NewWriter(dst)
	if err := w.bytes(backupNote, w.note); err != nil {
		return err
	}
	if err := w.file(w.copied.path, bookFile, -1); err != nil {
		return err
	}
	names, err := w.d.backupFiles()
	if err != nil {
		return err
	}
	for _, name := range names {
		end := int64(-1)
		if box, ok := strings.CutPrefix(name, boxFolder+"/"); ok {
			// What lies behind the recorded end has no event in the copied book.
			if n, err := w.copied.book.BoxEnd(ctx, box); err != nil {
				return err
			} else if n > 0 {
				end = n
			}
		}
		if err := w.file(w.d.path(filepath.FromSlash(name)), name, end); err != nil {
			return err
		}
	}
	err = w.copied.book.VaultObjects(ctx, func(o agenda.Object) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.d.Vault.Check(ctx, o.SHA256, o.Size); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			w.missing = append(w.missing, o.SHA256)
			return nil
		}
		w.objects++
		name := filepath.ToSlash(vault.ObjectPath(o.SHA256))
		return w.file(w.d.path(filepath.FromSlash(name)), name, -1)
	})
	if err != nil {
		return err
	}
	if len(w.missing) > 0 {
		var list bytes.Buffer
		for _, h := range w.missing {
			fmt.Fprintln(&list, h)
		}
		if err := w.bytes(backupMissing, list.Bytes()); err != nil {
			return err
		}
	}
	if err := w.bytes(backupSums, bytes.Clone(w.sums.Bytes())); err != nil {
		return err
	}
	return w.tar.Close()
}

// backupFiles are the small files of the desk and its boxes, by slashed path.
func (d *Desk) backupFiles() ([]string, error) {
	names := []string{configFile}
	for _, name := range d.namedFiles() {
		if st, err := os.Stat(d.path(name)); err == nil && st.Mode().IsRegular() {
			names = append(names, filepath.ToSlash(name))
		}
	}
	for _, folder := range []string{keysFolder, boxFolder} {
		err := filepath.WalkDir(d.path(folder), func(p string, e fs.DirEntry, err error) error {
			if errors.Is(err, os.ErrNotExist) {
				return nil
			}
			if err != nil || !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
				return err
			}
			rel, err := filepath.Rel(d.Dir, p)
			names = append(names, filepath.ToSlash(rel))
			return err
		})
		if err != nil {
			return nil, &Error{code: CodeFile, Field: folder, Err: err}
		}
	}
	return names, nil
}

// namedFiles are the files at the top of the folder that the settings name.
func (d *Desk) namedFiles() []string {
	var names []string
	for _, f := range []string{d.Config.Gateway.CA, d.Config.Gateway.ClientCert, d.Config.Gateway.ClientKey, d.Config.Office.Emblem} {
		if f != "" && filepath.IsLocal(f) && filepath.Base(f) == filepath.Clean(f) && !slices.Contains(names, f) {
			names = append(names, f)
		}
	}
	return names
}

func (w *backupWriter) bytes(name string, data []byte) error {
	return w.member(name, int64(len(data)), bytes.NewReader(data))
}

// file writes the first n octets of a file, all of it for -1.
func (w *backupWriter) file(path, name string, n int64) error {
	f, err := os.Open(path)
	if err != nil {
		return &Error{code: CodeFile, Field: path, Err: err}
	}
	defer f.Close()
	if n < 0 {
		st, err := f.Stat()
		if err != nil {
			return &Error{code: CodeFile, Field: path, Err: err}
		}
		n = st.Size()
	}
	return w.member(name, n, f)
}

func (w *backupWriter) member(name string, size int64, r io.Reader) error {
	// One instant for all members: times of files say nothing that the book
	// does not say better.
	h := &tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: w.d.Now().Truncate(time.Second), Format: tar.FormatPAX}
	if err := w.tar.WriteHeader(h); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.CopyN(io.MultiWriter(w.tar, sum), r, size)
	if errors.Is(err, io.EOF) {
		return &Error{code: CodeDamaged, Field: name, Detail: fmt.Sprintf("%d of %d octets", n, size)}
	}
	if err != nil {
		return err
	}
	if name != backupSums {
		fmt.Fprintf(&w.sums, "%x  %s\n", sum.Sum(nil), name)
	}
	return nil
}

// RestoreParams say what is restored and over what.
type RestoreParams struct {
	Source  string
	KeyFile string // private archive key
	Dir     string // desk folder
	Older   bool   // also over a book that is further on, or that cannot be read
	Foreign bool   // also over the book of another desk, or of another past
	Reason  string // recorded with the restore
	Check   bool   // only decipher and check: the yearly drill
	Secrets Secrets
	// Show is called with both states before anything is refused or
	// replaced; an error stops the restore.
	Show func(Restored) error
	// Progress wraps the enciphered file as it is read; nil: none.
	Progress func(total int64, r io.Reader) io.Reader
}

// Restored tells what a restore found and did.
type Restored struct {
	Backup  BookState
	Noted   int64      // events under the checkpoint that the backup carries
	Present *BookState // nil: no desk there
	Spoilt  bool       // there is a desk, and its book cannot be read
	Missing []agenda.Hash
	Doubted []agenda.Name // entries with copies that are in doubt now
	Held    []agenda.Name // entries that only waited for `send`
	Aside   string        // where the replaced folder lies
	Dir     string
}

// Codes of restore.
const (
	CodeBackupOlder   = "desk.backup_older"   // the present book is further on
	CodeBackupForeign = "desk.backup_foreign" // of another desk, or of another past
	CodeBackupForm    = "desk.backup_form"    // not a backup, or not whole
	CodeBackupKey     = "desk.backup_key"     // enciphered to another key
)

// BackupKeyError refuses a private key that a backup is not enciphered to, and
// names one that it is.
type BackupKeyError struct {
	Source string // the backup
	Check  bool   // it was only to be checked
	// Key is the archive key; zero when nothing here knows it.
	Key crypto.Fingerprint
	// Packet is what the backup itself says: the fingerprint of the encryption
	// key, or its 64 bits.
	Packet crypto.Fingerprint
	File   string // where the private key lies, "" when it is not at hand
}

// Code returns the stable code.
func (*BackupKeyError) Code() string { return CodeBackupKey }

func (e *BackupKeyError) Error() string {
	return fmt.Sprintf("%s: %s opens with %s", CodeBackupKey, e.Source, cmp.Or(e.Key, e.Packet))
}

// Restore makes a desk of a backup. It is unpacked and checked beside the
// wanted folder; only then the present folder, if there is one, is renamed
// aside, never removed, and the new one takes its name. A crash before that
// leaves the present desk and a folder to throw away, a crash between the two
// renames both desks under their other names.
//
// Every copy that was not settled when the backup was made is in doubt
// afterwards: nobody can know what was sent since.
func Restore(ctx context.Context, p RestoreParams, o Options) (Restored, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return Restored{}, err
	}
	res := Restored{Dir: dir}
	if err := res.lookAt(ctx, o); err != nil {
		return res, err
	}
	key, err := restoreKey(ctx, p, o)
	if err != nil {
		return res, err
	}
	defer key.Wipe()
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return res, &Error{code: CodeFile, Field: dir, Err: err}
	}
	build, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".pulih-")
	if err != nil {
		return res, &Error{code: CodeFile, Field: dir, Err: err}
	}
	defer os.RemoveAll(build)
	unpacked, err := unpack(ctx, p, build, key, o.Now())
	if err != nil {
		return res, err
	}
	o.As, o.ReadOnly = "", false
	o.AcceptClock = cmp.Or(p.Reason, "pemulihan")
	d, err := assembleAt(ctx, build, o)
	if err != nil {
		return res, err
	}
	defer d.Close()
	if err := res.judge(ctx, d, unpacked); err != nil {
		return res, err
	}
	refusal := res.compare(ctx, d, o, p)
	if p.Show != nil {
		if err := p.Show(res); err != nil {
			return res, err
		}
	}
	if p.Check {
		return res, nil
	}
	if refusal != nil {
		return res, refusal
	}
	if res.Doubted, err = d.doubtUnsettled(ctx, p.Reason); err != nil {
		return res, err
	}
	if err := d.settleHere(ctx); err != nil {
		return res, err
	}
	if res.Held, err = d.Sendable(ctx); err != nil {
		return res, err
	}
	if err := d.Close(); err != nil {
		return res, err
	}
	return res, res.replace(ctx, build, o)
}

// lookAt reads what stands in the wanted folder.
func (res *Restored) lookAt(ctx context.Context, o Options) error {
	if _, err := os.Lstat(filepath.Join(res.Dir, bookFile)); errors.Is(err, os.ErrNotExist) {
		return Vacant(res.Dir)
	}
	b, err := agenda.Open(ctx, filepath.Join(res.Dir, bookFile), agenda.Options{Now: o.Now, ReadOnly: true})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, agenda.ErrIndexOld) {
			return err // whole, but its lists cannot be compared yet
		}
		res.Spoilt = true
		return nil
	}
	defer b.Close()
	s, err := stateOf(ctx, b)
	if err != nil {
		res.Spoilt = true
		return ctx.Err()
	}
	res.Present = &s
	return nil
}

// restoreKey reads the private key. That it is another one than the backup
// wants is told before its passphrase is asked.
func restoreKey(ctx context.Context, p RestoreParams, o Options) (*crypto.Key, error) {
	data, err := readLimited(p.KeyFile, maxKeyFile)
	if err != nil {
		return nil, &Error{code: CodeFile, Field: p.KeyFile, Err: err}
	}
	key, err := crypto.ParseKey(data)
	clear(data)
	if err != nil {
		return nil, err
	}
	f, err := openBackup(p.Source)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	wanted, err := crypto.ReadRecipients(f)
	if err != nil {
		return nil, backupFault(p.Source, err)
	}
	if !slices.ContainsFunc(wanted, key.Opens) {
		return nil, otherKey(ctx, p, o, wanted)
	}
	return key, unlockKey(ctx, key, KeyUse{Title: p.KeyFile, Purpose: ForRestore}, p.Secrets)
}

// otherKey names a key that opens the backup: by a private key beside the given
// one or in the desk, else by a certificate that the book there keeps, else as
// the backup does. What cannot be read only gives no name.
func otherKey(ctx context.Context, p RestoreParams, o Options, wanted []crypto.PacketRecipient) error {
	e := &BackupKeyError{Source: p.Source, Check: p.Check, Packet: wanted[0].Fingerprint}
	if e.Packet == "" {
		e.Packet = crypto.Fingerprint(fmt.Sprintf("%016x", wanted[0].KeyID))
	}
	for _, folder := range []string{filepath.Dir(p.KeyFile), filepath.Join(p.Dir, awayFolder)} {
		for _, path := range keyFiles(folder) {
			data, err := readLimited(path, maxKeyFile)
			if err != nil {
				continue
			}
			key, err := crypto.ParseKey(data)
			clear(data)
			if err == nil && slices.ContainsFunc(wanted, key.Opens) {
				e.Key, e.File = key.Certificate().Fingerprint(), path
				return e
			}
		}
	}
	b, err := agenda.Open(ctx, filepath.Join(p.Dir, bookFile), agenda.Options{Now: o.Now, ReadOnly: true})
	if err != nil {
		return e
	}
	defer b.Close()
	known, err := b.ArchiveKeys(ctx)
	if err != nil {
		return e
	}
	for _, k := range known {
		if cert, err := crypto.ParseCertificate(k.Certificate.Data); err == nil && slices.ContainsFunc(wanted, cert.Opens) {
			e.Key = cert.Fingerprint()
		}
	}
	return e
}

func openBackup(path string) (*os.File, error) {
	err := regular(path)
	if err == nil {
		var f *os.File
		if f, err = os.Open(path); err == nil {
			return f, nil
		}
	}
	return nil, &Error{code: CodeFile, Field: path, Err: err}
}

// backupFault tells a file that is no backup from one that does not open.
func backupFault(path string, err error) error {
	if code := coded(err); code == "crypto.malformed" || code == "crypto.envelope" {
		return &Error{code: CodeBackupForm, Field: path, Err: err}
	}
	return err
}

// unpacked is what a backup held beside its files.
type unpacked struct {
	note    []byte
	missing map[string]bool
}

// unpack deciphers a backup into the folder build. What it wrote is worth
// nothing unless it returns without an error.
func unpack(ctx context.Context, p RestoreParams, build string, key *crypto.Key, now time.Time) (unpacked, error) {
	f, err := openBackup(p.Source)
	if err != nil {
		return unpacked{}, err
	}
	defer f.Close()
	var src io.Reader = f
	if st, err := f.Stat(); err == nil && p.Progress != nil {
		src = p.Progress(st.Size(), f)
	}
	r, w := io.Pipe()
	u := &unpacker{dir: build, sums: map[string][32]byte{}}
	done := make(chan error, 1)
	go func() {
		err := u.read(r)
		r.CloseWithError(err)
		done <- err
	}()
	_, opening := crypto.Open(ctx, w, src, crypto.OpenParams{Key: key, Now: now, MaxPlaintext: 1 << 50})
	opening = backupFault(p.Source, opening)
	w.CloseWithError(opening)
	reading := <-done
	switch {
	case ctx.Err() != nil:
		return unpacked{}, ctx.Err()
	case opening != nil && coded(opening) != "" && !errors.Is(opening, reading):
		return unpacked{}, opening
	case reading != nil && coded(reading) != "":
		return unpacked{}, reading
	case reading != nil:
		return unpacked{}, &Error{code: CodeBackupForm, Field: p.Source, Err: reading}
	}
	return u.unpacked, opening
}

// unpacker writes the members of a backup and checks them by their list.
type unpacker struct {
	dir  string
	sums map[string][32]byte
	list []byte
	unpacked
}

// maxBackupText bounds the members that are read into memory: a list of a
// million objects takes half of it.
const maxBackupText = 256 << 20

func (u *unpacker) read(r io.Reader) error {
	v, err := vault.Create(u.dir)
	if err != nil {
		return err
	}
	defer v.Close()
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			// The padding of the tar file belongs to the stream, whose end the
			// integrity check waits for.
			if _, err := io.Copy(io.Discard, r); err != nil {
				return err
			}
			return u.compare()
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg || u.list != nil {
			return errors.New("member " + h.Name)
		}
		sum, err := u.member(v, h, t)
		if err != nil {
			return err
		}
		if _, twice := u.sums[h.Name]; twice {
			return errors.New("member twice")
		}
		u.sums[h.Name] = sum
	}
}

func (u *unpacker) member(v *vault.Vault, h *tar.Header, r io.Reader) ([32]byte, error) {
	name := h.Name
	folder, base := path.Split(name)
	switch {
	case name == backupNote, name == backupSums, name == backupMissing:
		data, err := io.ReadAll(io.LimitReader(r, maxBackupText))
		if err != nil {
			return [32]byte{}, err
		}
		switch name {
		case backupNote:
			u.note = data
		case backupSums:
			u.list = data
		default:
			u.missing = map[string]bool{}
			for _, s := range strings.Fields(string(data)) {
				u.missing[s] = true
			}
		}
		return sha256.Sum256(data), nil
	case strings.HasPrefix(name, "vault/"):
		w, err := v.NewObject()
		if err != nil {
			return [32]byte{}, err
		}
		defer w.Abort()
		if _, err := io.Copy(w, r); err != nil {
			return [32]byte{}, err
		}
		sum, _, err := w.Commit()
		if err == nil && filepath.ToSlash(vault.ObjectPath(sum)) != name {
			err = errors.New("object under another name")
		}
		return sum, err
	case name == bookFile, folder == "" && filepath.IsLocal(base), folder == keysFolder+"/", strings.HasPrefix(folder, boxFolder+"/"):
		// Nothing else may lie anywhere, and nothing outside the folder.
		if path.Clean(name) != name || !filepath.IsLocal(filepath.FromSlash(name)) || strings.HasPrefix(base, ".") {
			return [32]byte{}, errors.New("member " + name)
		}
		return u.plain(name, r)
	}
	return [32]byte{}, errors.New("member " + name)
}

// plain writes one file durably.
func (u *unpacker) plain(name string, r io.Reader) ([32]byte, error) {
	target := filepath.Join(u.dir, filepath.FromSlash(name))
	at := u.dir
	for part := range strings.SplitSeq(path.Dir(name), "/") {
		if part == "." {
			break
		}
		at = filepath.Join(at, part)
		if err := vault.MakeFolder(at); err != nil {
			return [32]byte{}, err
		}
	}
	out, err := vault.NewOutput(target, false)
	if err != nil {
		return [32]byte{}, err
	}
	defer out.Abort()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(out, sum), r); err != nil {
		return [32]byte{}, err
	}
	if err := out.Commit(); err != nil {
		return [32]byte{}, err
	}
	if strings.HasPrefix(name, boxFolder+"/") {
		if err := os.Chmod(target, 0o400); err != nil {
			return [32]byte{}, err
		}
	}
	return [32]byte(sum.Sum(nil)), nil
}

// compare holds what was unpacked against the list at the end.
func (u *unpacker) compare() error {
	if u.list == nil || u.note == nil {
		return errors.New("not a backup, or not whole")
	}
	listed := 0
	for line := range strings.Lines(string(u.list)) {
		digest, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		got, there := u.sums[name]
		if !ok || !there || hex.EncodeToString(got[:]) != digest {
			return errors.New("differs from its list: " + name)
		}
		listed++
	}
	if listed != len(u.sums)-1 { // the list does not name itself
		return errors.New("holds what its list does not name")
	}
	return nil
}

// assembleAt opens the desk that was unpacked into a folder of another name.
func assembleAt(ctx context.Context, dir string, o Options) (*Desk, error) {
	for _, f := range []string{keysFolder, boxFolder, awayFolder} {
		if err := vault.MakeFolder(filepath.Join(dir, f)); err != nil {
			return nil, err
		}
	}
	c, _, err := config.Load(filepath.Join(dir, configFile))
	if err != nil {
		return nil, err
	}
	return assemble(ctx, dir, c, o)
}

// judge audits the unpacked desk: whatever is not whole, but for what the
// backup itself called missing, refuses it.
func (res *Restored) judge(ctx context.Context, d *Desk, u unpacked) error {
	audit, err := d.Audit(ctx)
	if err != nil {
		return err
	}
	for _, p := range audit.Problems {
		sum, _, _ := strings.Cut(p.Detail, " ")
		if p.Kind == "vault" && u.missing[sum] {
			h, err := agenda.ParseHash(sum)
			if err != nil {
				return err
			}
			res.Missing = append(res.Missing, h)
			continue
		}
		return &Error{code: CodeDamaged, Entry: p.Entry, Field: p.Kind, Detail: p.Detail}
	}
	check, err := d.checkNote(ctx)
	if err != nil {
		return err
	}
	text, err := check(u.note)
	if err != nil {
		return &Error{code: CodeBackupForm, Field: backupNote, Err: err}
	}
	_, size, root, err := agenda.ParseCheckpoint(text)
	if err != nil {
		return &Error{code: CodeBackupForm, Field: backupNote, Err: err}
	}
	if got, err := d.Book.RootAt(ctx, size); err != nil || got != root {
		return &Error{code: CodeBackupForm, Field: backupNote}
	}
	res.Noted = size
	res.Backup, err = stateOf(ctx, d.Book)
	return err
}

// compare says whether the backup may take the place of the present book. Two
// books of one desk share the shorter one's whole past, or one of them is not
// what it claims.
func (res *Restored) compare(ctx context.Context, d *Desk, o Options, p RestoreParams) error {
	switch {
	case res.Spoilt && !p.Older:
		return &Error{code: CodeBackupOlder, Field: res.Dir, Detail: "spoilt"}
	case res.Present == nil:
		return nil
	case res.Present.DeskID != res.Backup.DeskID:
		if p.Foreign {
			return nil
		}
		return &Error{code: CodeBackupForeign, Field: res.Backup.Office}
	}
	long, short := d.Book, *res.Present
	if res.Present.Size > res.Backup.Size {
		present, err := agenda.Open(ctx, filepath.Join(res.Dir, bookFile), agenda.Options{Now: o.Now, ReadOnly: true})
		if err != nil {
			return err
		}
		defer present.Close()
		long, short = present, res.Backup
	}
	root, err := long.RootAt(ctx, short.Size)
	if err != nil {
		return err
	}
	if root != short.Root && !p.Foreign {
		return &Error{code: CodeBackupForeign, Field: res.Backup.Office, Detail: "forked"}
	}
	if res.Present.Size > res.Backup.Size && !p.Older {
		return &Error{code: CodeBackupOlder, Field: res.Dir}
	}
	return nil
}

// doubtUnsettled records the restore in the restored book.
func (d *Desk) doubtUnsettled(ctx context.Context, reason string) ([]agenda.Name, error) {
	refs, err := d.Book.Restored(ctx, d.Nobody(), reason)
	if err != nil {
		return nil, err
	}
	var names []agenda.Name
	for _, ref := range refs {
		e, err := d.Book.EntryByID(ctx, ref.Entry)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(names, e.Name) {
			names = append(names, e.Name)
		}
	}
	return names, nil
}

// unchanged refuses to take the place of a book that went on since it was
// compared and shown: a question may stand on the screen for hours. The caller
// holds the sender's lock.
func (res *Restored) unchanged(ctx context.Context, o Options) error {
	if res.Spoilt {
		return nil
	}
	now := Restored{Dir: res.Dir}
	if err := now.lookAt(ctx, o); err != nil {
		return err
	}
	if res.Present == nil || now.Present == nil || now.Present.Size != res.Present.Size || now.Present.Root != res.Present.Root {
		return &Error{code: CodeBackupOlder, Field: res.Dir}
	}
	return nil
}

// replace gives the checked folder the desk's name.
func (res *Restored) replace(ctx context.Context, build string, o Options) error {
	if _, err := os.Lstat(filepath.Join(res.Dir, bookFile)); err == nil {
		lock, err := vault.TryLock(filepath.Join(res.Dir, sendLock))
		if err != nil {
			return &Error{code: CodeBusy, Field: res.Dir, Err: err}
		}
		defer lock.Unlock()
		if err := res.unchanged(ctx, o); err != nil {
			return err
		}
		aside, err := vault.FreeName(res.Dir + ".sebelum-" + o.Now().UTC().Format("20060102T150405Z"))
		if err != nil {
			return &Error{code: CodeFile, Field: res.Dir, Err: err}
		}
		res.Aside = aside
		if err := os.Rename(res.Dir, res.Aside); err != nil {
			return &Error{code: CodeFile, Field: res.Dir, Err: err}
		}
	}
	return publish(build, res.Dir)
}
