package desk

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	smtp "github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"sandi/agenda"
	"sandi/crypto"
	"sandi/mail/loopback"
)

// archiveKeyOf is the private archive key of an office, moved out of the desk.
func (f *office) archiveKeyOf() string {
	f.t.Helper()
	path, err := f.MoveArchiveKey(f.t.Context(), filepath.Join(f.dir, "arsip.key"))
	f.check(err)
	return path
}

func (f *office) backup() string {
	f.t.Helper()
	path := filepath.Join(f.t.TempDir(), "meja.sandi")
	_, err := f.Backup(f.t.Context(), BackupParams{Out: path})
	f.check(err)
	return path
}

func (f *office) restore(source, key, dir string, change func(*RestoreParams)) (Restored, error) {
	f.t.Helper()
	p := RestoreParams{Source: source, KeyFile: key, Dir: dir, Reason: "uji", Secrets: right}
	if change != nil {
		change(&p)
	}
	return Restore(f.t.Context(), p, f.options())
}

// worked is an office with a sent kriptogram, one ready and not sent, and an
// ordinary letter with its scan.
func worked(t *testing.T) (*office, agenda.Name, agenda.Name) {
	t.Helper()
	f := newOffice(t, loopback.Options{})
	sent := f.signed("jateng")
	f.send(sent)
	_, err := f.Archive(t.Context(), sent, "")
	f.check(err)
	f.gateway.Close()
	queued := f.signed("batang")
	if _, err := f.Send(t.Context(), SendParams{Names: []agenda.Name{queued}, Queue: true, Secrets: right}); err != nil {
		t.Log(err) // deferred: the gateway is down
	}
	letter := f.ordinary("jateng")
	_, err = f.Attach(t.Context(), AttachParams{Name: letter, Files: []string{f.file("p.pdf", []byte("%PDF-1.4 pindaian"))}})
	f.check(err)
	return f, sent, queued
}

func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	f, sent, queued := worked(t)
	key := f.archiveKeyOf()
	source := f.backup()
	if at, where := f.LastBackup(); at.IsZero() || where != source {
		t.Errorf("last backup %v at %q", at, where)
	}
	before, err := stateOf(t.Context(), f.Book)
	f.check(err)

	dir := filepath.Join(t.TempDir(), "baru")
	res, err := f.restore(source, key, dir, nil)
	f.check(err)
	if res.Backup != before || res.Present != nil || !slices.Equal(res.Doubted, []agenda.Name{queued}) || len(res.Missing) > 0 {
		t.Errorf("restored %+v, want state %+v and %v in doubt", res, before, queued)
	}
	d, err := Open(t.Context(), dir, f.options())
	f.check(err)
	defer d.Close()
	audit, err := d.Audit(t.Context())
	f.check(err)
	if !audit.Good() || audit.VaultObjects == 0 || audit.BoxMessages != 1 {
		t.Errorf("restored desk: %+v", audit)
	}
	e, err := d.Book.Entry(t.Context(), queued)
	f.check(err)
	if e.Copies[0].State != agenda.CopyDoubt {
		t.Errorf("%v is %s after the restore", queued, e.Copies[0].State)
	}
	if e, err = d.Book.Entry(t.Context(), sent); err != nil || e.State != agenda.StateArchived {
		t.Errorf("%v is %s, %v", sent, e.State, err)
	}
	if d.ArchiveKeyWaits() != "" {
		t.Error("the private archive key was in the backup")
	}
	// Its keys work: the sandiman signs there with the same passphrase.
	o, err := d.Book.Officer(t.Context(), "sandiman")
	f.check(err)
	if _, err := d.unlock(t.Context(), o, agenda.RoleSandiman, ForParaf, right); err != nil {
		t.Error(err)
	}
}

// TestRestoreOverNewerBook refuses to turn a book back unless told, and shows
// both states before.
func TestRestoreOverNewerBook(t *testing.T) {
	t.Parallel()
	f, _, _ := worked(t)
	key := f.archiveKeyOf()
	source := f.backup()
	f.ordinary("batang")
	dir := f.Dir
	f.check(f.Close())
	var shown Restored
	show := func(p *RestoreParams) {
		p.Show = func(r Restored) error {
			shown = r
			return nil
		}
	}
	_, err := f.restore(source, key, dir, show)
	if !errors.Is(err, Refusal(CodeBackupOlder)) {
		t.Fatalf("over a newer book: %v", err)
	}
	if shown.Present == nil || shown.Present.Size <= shown.Backup.Size || shown.Present.DeskID != shown.Backup.DeskID {
		t.Errorf("shown %+v", shown)
	}
	present := *shown.Present
	res, err := f.restore(source, key, dir, func(p *RestoreParams) { p.Older = true })
	f.check(err)
	aside, err := Open(t.Context(), res.Aside, f.options())
	f.check(err)
	defer aside.Close()
	if s, err := stateOf(t.Context(), aside.Book); err != nil || s != present {
		t.Errorf("set aside %+v, %v, want %+v", s, err, present)
	}
	// The same backup again is older than the book that it made.
	if _, err := f.restore(source, key, dir, nil); !errors.Is(err, Refusal(CodeBackupOlder)) {
		t.Errorf("a second time: %v", err)
	}
	// Told to, it sets that book aside too, and twice within one second under two names.
	o := f.options()
	at := o.Now()
	o.Now = func() time.Time { return at }
	var kept []string
	for range 2 {
		res, err := Restore(t.Context(), RestoreParams{Source: source, KeyFile: key, Dir: dir, Reason: "uji", Secrets: right, Older: true}, o)
		f.check(err)
		kept = append(kept, res.Aside)
	}
	if kept[1] != kept[0]+"-2" {
		t.Errorf("set aside as %q", kept)
	}
}

// What the book records after it was compared and shown is not set aside with
// it: nobody was asked about that.
func TestRestoreOverBookThatWentOn(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	key := f.archiveKeyOf()
	source := f.backup()
	var sent agenda.Name
	_, err := f.restore(source, key, f.Dir, func(p *RestoreParams) {
		p.Show = func(Restored) error {
			sent = f.ordinary("jateng")
			_, err := f.Attach(t.Context(), AttachParams{Name: sent, Files: []string{f.file("pindai.pdf", plainLetter)}})
			f.check(err)
			f.send(sent)
			return nil
		}
	})
	if !errors.Is(err, Refusal(CodeBackupOlder)) {
		t.Errorf("over a book that went on: %v", err)
	}
	d, err := Open(t.Context(), f.Dir, f.options())
	f.check(err)
	defer d.Close()
	if e, err := d.Book.Entry(t.Context(), sent); err != nil || e.State != agenda.StateSent {
		t.Errorf("the letter that was sent meanwhile: %s, %v", e.State, err)
	}
}

func TestRestoreRefusesForeign(t *testing.T) {
	t.Parallel()
	f, other := newOffice(t, loopback.Options{}), newOffice(t, loopback.Options{})
	key, source := f.archiveKeyOf(), f.backup()
	refused := func(what string, source, key, dir, code string) {
		t.Helper()
		before, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), "*"))
		if _, err := f.restore(source, key, dir, nil); coded(err) != code {
			t.Errorf("%s: %v, want %s", what, err, code)
		}
		if after, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), "*")); !slices.Equal(before, after) {
			t.Errorf("%s: left %v, had %v", what, after, before)
		}
	}
	refused("over another desk", source, key, other.Dir, CodeBackupForeign)
	empty := filepath.Join(t.TempDir(), "kosong")
	refused("with a key of another desk", source, other.archiveKeyOf(), empty, CodeBackupKey)
	refused("no backup", f.file("bukan", []byte("bukan cadangan")), key, empty, CodeBackupForm)
	data, err := os.ReadFile(source)
	f.check(err)
	refused("cut off", f.file("putus", data[:len(data)*2/3]), key, empty, CodeBackupForm)
	flipped := slices.Clone(data)
	flipped[len(flipped)/2] ^= 1
	refused("one bit changed", f.file("ubah", flipped), key, empty, "crypto.decrypt")

	// The same desk with another past: a copy that went its own way.
	twin := filepath.Join(t.TempDir(), "kembar")
	_, err = f.restore(source, key, twin, nil)
	f.check(err)
	f.ordinary("jateng")
	f.ordinary("batang")
	later := f.backup()
	refused("another past", later, key, twin, CodeBackupForeign)
	if _, err := f.restore(later, key, twin, func(p *RestoreParams) { p.Foreign = true }); err != nil {
		t.Error(err)
	}
}

// TestRestoreNamesItsKey tells whoever brings another key which one opens the
// backup, before a passphrase is asked: by a key file near, by the book there,
// else as the backup itself does.
func TestRestoreNamesItsKey(t *testing.T) {
	t.Parallel()
	f, other := newOffice(t, loopback.Options{}), newOffice(t, loopback.Options{})
	key, source, wrong := f.archiveKeyOf(), f.backup(), other.archiveKeyOf()
	data, err := os.ReadFile(key)
	f.check(err)
	cert, err := crypto.CertificateOfSecret(data)
	f.check(err)
	here := filepath.Join(f.Dir, awayFolder, "arsip.key")
	together := t.TempDir()
	stick := filepath.Join(together, "arsip.key")
	locked, err := os.ReadFile(wrong)
	f.check(err)
	f.check(errors.Join(os.WriteFile(filepath.Join(together, "arsip-lain.key"), locked, 0o600), os.WriteFile(stick, data, 0o600)))
	empty := filepath.Join(t.TempDir(), "kosong")
	packet := cert.Facts(f.Now()).Encryption.Fingerprint
	for _, c := range []struct {
		name, key, dir string
		want           BackupKeyError
		before         func()
	}{
		{name: "a new machine", key: wrong, dir: empty, want: BackupKeyError{}},
		{name: "beside it", key: filepath.Join(together, "arsip-lain.key"), dir: empty, want: BackupKeyError{Key: cert.Fingerprint(), File: stick}},
		{name: "the book knows it", key: wrong, dir: f.Dir, want: BackupKeyError{Key: cert.Fingerprint()}},
		{
			name: "it waits in the desk", key: wrong, dir: f.Dir, want: BackupKeyError{Key: cert.Fingerprint(), File: here},
			before: func() { f.check(os.WriteFile(here, data, 0o600)) },
		},
	} {
		if c.before != nil {
			c.before()
		}
		c.want.Source, c.want.Check, c.want.Packet = source, true, packet
		_, err := f.restore(source, c.key, c.dir, func(p *RestoreParams) { p.Check, p.Secrets = true, nil })
		var got *BackupKeyError
		if !errors.As(err, &got) {
			t.Errorf("%s: %v", c.name, err)
		} else if diff := cmp.Diff(c.want, *got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// TestBackupOfDamagedDesk saves what is there and names what is not.
func TestBackupOfDamagedDesk(t *testing.T) {
	t.Parallel()
	f, _, _ := worked(t)
	key := f.archiveKeyOf()
	files, err := filepath.Glob(filepath.Join(f.Dir, "vault", "*", "*"))
	f.check(err)
	lost := files[0]
	f.check(os.Remove(lost))
	path := filepath.Join(t.TempDir(), "meja.sandi")
	made, err := f.Backup(t.Context(), BackupParams{Out: path})
	f.check(err)
	if len(made.Missing) != 1 || made.Missing[0].String() != filepath.Base(lost) {
		t.Fatalf("missing %v, want %s", made.Missing, filepath.Base(lost))
	}
	res, err := f.restore(path, key, filepath.Join(t.TempDir(), "baru"), nil)
	f.check(err)
	if !slices.Equal(res.Missing, made.Missing) {
		t.Errorf("missing after the restore %v", res.Missing)
	}
}

// TestRestoreDrill checks a backup and leaves nothing behind.
func TestRestoreDrill(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	key, source := f.archiveKeyOf(), f.backup()
	parent := t.TempDir()
	res, err := f.restore(source, key, filepath.Join(parent, "baru"), func(p *RestoreParams) { p.Check = true })
	f.check(err)
	if res.Backup.Size == 0 {
		t.Errorf("drill found %+v", res)
	}
	if left, _ := os.ReadDir(parent); len(left) > 0 {
		t.Errorf("drill left %v", left)
	}
}

// TestBackupNeedsLivingArchiveKey does not encipher to a key that expired.
func TestBackupNeedsLivingArchiveKey(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	late := f.options()
	late.Now = func() time.Time { return monday.Add(archiveLife + 24*time.Hour) }
	late.AcceptClock = "uji"
	dir := f.Dir
	f.check(f.Close())
	d, err := Open(t.Context(), dir, late)
	f.check(err)
	defer d.Close()
	path := filepath.Join(t.TempDir(), "meja.sandi")
	if _, err := d.Backup(t.Context(), BackupParams{Out: path}); coded(err) != CodeArchiveKey {
		t.Errorf("backup to an expired key: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file is there: %v", err)
	}
}

// A restored desk sends nothing that the desk it replaces may have sent since
// the backup: neither what was refused or handed out then, nor what only
// waited for its number.
func TestRestoredDeskSendsNothingAgain(t *testing.T) {
	t.Parallel()
	a := &answers{stage: "rcpt", addr: "batang@", reply: &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "unknown user"}}
	f := newOffice(t, loopback.Options{Hook: a.hook})
	refused := f.signed("batang")
	f.send(refused)
	handed := f.signed("jateng")
	_, _, err := f.Manual(t.Context(), ManualParams{Name: handed, Dir: filepath.Join(f.dir, "manual"), Secrets: right})
	f.check(err)
	waiting, letter := f.signed("jateng"), f.ordinary("jateng")
	scan := f.file("p.pdf", []byte("%PDF-1.4 pindaian"))
	_, err = f.Attach(t.Context(), AttachParams{Name: letter, Files: []string{scan}})
	f.check(err)
	key := f.archiveKeyOf()
	source := f.backup()

	// The desk goes on and brings all of them to their addressees.
	a.reply = nil
	_, _, err = f.EditCorrespondent(t.Context(), CorrespondentParams{Handle: "batang", Address: "batang.baru@contoh.sanapati.test"}, "salah ketik")
	f.check(err)
	_, err = f.ReaddressChanged(t.Context(), []agenda.Name{refused}, "salah ketik", right)
	f.check(err)
	_, err = f.Settle(t.Context(), SettleParams{Name: handed, To: agenda.CopyReady, Reason: "server pulih", Secrets: right})
	f.check(err)
	f.send(refused, handed, waiting, letter)
	if got := len(f.gateway.Messages()); got != 4 {
		t.Fatalf("the desk sent %d messages, want 4", got)
	}

	res, err := f.restore(source, key, filepath.Join(t.TempDir(), "baru"), nil)
	f.check(err)
	if !slices.Equal(res.Doubted, []agenda.Name{refused, handed}) || !slices.Equal(res.Held, []agenda.Name{waiting, letter}) {
		t.Errorf("in doubt %v, held %v", res.Doubted, res.Held)
	}
	d, err := Open(t.Context(), res.Dir, f.options())
	f.check(err)
	defer d.Close()
	all := []agenda.Name{refused, handed}
	for _, p := range []SendParams{{Names: all, Secrets: right}, {Due: true, Secrets: right}} {
		if res, err := d.Send(t.Context(), p); err != nil || len(res.Deliveries) > 0 {
			t.Errorf("%+v %v", res.Deliveries, err)
		}
	}
	for _, n := range []agenda.Name{waiting, letter} {
		if _, err := d.Send(t.Context(), SendParams{Names: []agenda.Name{n}, Secrets: right}); coded(err) != CodeBeforeRestore {
			t.Errorf("%v: %v", n, err)
		}
		if _, _, err := d.Manual(t.Context(), ManualParams{Name: n, Dir: filepath.Join(f.dir, "lagi"), Secrets: right}); coded(err) != CodeBeforeRestore {
			t.Errorf("%v by hand: %v", n, err)
		}
	}
	if got := len(f.gateway.Messages()); got != 4 {
		t.Fatalf("%d messages after the restore, want 4", got)
	}
	// Somebody looked: the letter did not leave. Its scan is taken again.
	_, err = d.Attach(t.Context(), AttachParams{Name: letter, Files: []string{scan}})
	f.check(err)
	if _, err := d.Send(t.Context(), SendParams{Names: []agenda.Name{letter}, Secrets: right}); err != nil {
		t.Error(err)
	}
}

// A command that waits for an answer while the desk under it is replaced by a
// backup records nothing: its book is the one that was set aside, and nobody
// would look for the letter there.
func TestRestoreUnderARunningCommand(t *testing.T) {
	t.Parallel()
	f, _, _ := worked(t)
	key := f.archiveKeyOf()
	source := f.backup()
	n := f.classified("jateng")
	doc := f.file("surat.pdf", plainLetter)
	f.unlocked = map[crypto.Fingerprint]*crypto.Key{}
	_, err := f.Encrypt(t.Context(), EncryptParams{Name: n, Documents: []string{doc}, Secrets: meanwhile{right, func() {
		_, err := f.restore(source, key, f.Dir, func(p *RestoreParams) { p.Older = true })
		f.check(err)
	}}})
	if coded(err) != "agenda.moved" {
		t.Errorf("enciphered in a desk that was set aside: %v", err)
	}
	d, err := Open(t.Context(), f.Dir, f.options())
	f.check(err)
	defer d.Close()
	(&office{Desk: d, t: t, now: f.now}).ordinary("jateng")
}
