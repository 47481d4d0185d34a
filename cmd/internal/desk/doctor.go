package desk

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"sandi/agenda"
	"sandi/cmd/internal/vault"
	"sandi/crypto"
	"sandi/mail"
)

// Level is how grave a finding of Doctor is.
type Level string

// The levels. Unknown says that this program cannot see it, which is no
// all-clear.
const (
	LevelGood    Level = "good"
	LevelWarn    Level = "warn"
	LevelBad     Level = "bad"
	LevelUnknown Level = "unknown"
)

// Condition is one finding of Doctor: the stable words Area and Why, and the
// values that belong to them.
type Condition struct {
	Area  string // clock, book, backup, keys, ...
	Why   string
	Level Level
	Name  string // what is concerned: a handle, a path, a program
	Count int64  // of the things, or octets, or minutes
	Until time.Time
	Entry agenda.Name // zero when none is concerned
}

// Limits of Doctor.
const (
	backupAge   = 7 * 24 * time.Hour
	keyWarning  = 30 * 24 * time.Hour
	leftoverAge = 24 * time.Hour
	spaceWarn   = 2 << 30
	spaceBad    = 200 << 20
	probeLimit  = 10 * time.Second
)

// DoctorParams say what is looked at.
type DoctorParams struct {
	Offline bool // do not connect to the gateway
}

// Doctor looks over the desk and the machine it stands on. It changes nothing
// and stops at nothing: what it cannot see it says so. A book that does not
// agree with its log is a finding too, and what does not need the rows concerned
// is looked at.
func (d *Desk) Doctor(ctx context.Context, p DoctorParams) ([]Condition, error) {
	var all []Condition
	rewritten := false
	for _, look := range []func(context.Context) ([]Condition, error){
		d.seeClock, d.seeBook, d.seeLogKey, d.seeBackup, d.seeKeys, d.seeHolidays, d.seePrinter, d.seeSpace, d.seeDisk, d.seeLeftovers, d.seePlaintext,
	} {
		found, err := look(ctx)
		all = append(all, found...)
		if errors.Is(err, agenda.ErrTampered) {
			rewritten = true
		} else if err != nil {
			return all, err
		}
	}
	if rewritten { // worse than what seeBook can see, unless it saw worse itself
		c := Condition{Area: "book", Why: "rewritten", Level: LevelBad}
		if i := slices.IndexFunc(all, func(x Condition) bool { return x.Area == "book" && x.Level == LevelGood }); i >= 0 {
			all[i] = c
		} else {
			all = append(all, c)
		}
	}
	if !p.Offline {
		all = append(all, d.seeGateway(ctx))
	}
	return all, ctx.Err()
}

func (d *Desk) seeClock(ctx context.Context) ([]Condition, error) {
	last, err := d.Book.Last(ctx)
	if err != nil {
		return nil, err
	}
	now := d.Now()
	c := Condition{Area: "clock", Why: "good", Level: LevelGood, Until: last}
	switch ahead := last.Sub(now); {
	case ahead > 5*time.Minute:
		return []Condition{{Area: "clock", Why: "behind", Level: LevelBad, Count: int64(ahead.Minutes()), Until: last}}, nil
	case d.Hours.WorkingDaysBetween(last, now) > 3:
		c.Why, c.Level = "ahead", LevelWarn
		return []Condition{c}, nil
	}
	switch synced, known := vault.ClockSynced(); {
	case !known:
		c.Why, c.Level = "unknown", LevelUnknown
	case !synced:
		c.Why, c.Level = "unsynced", LevelWarn
	}
	return []Condition{c}, nil
}

func (d *Desk) seeBook(ctx context.Context) ([]Condition, error) {
	faults, err := d.Book.CheckFile(ctx)
	if err != nil {
		return nil, err
	}
	size, _, err := d.Book.Head(ctx)
	if err != nil {
		return nil, err
	}
	if len(faults) > 0 {
		return []Condition{{Area: "book", Why: "damaged", Level: LevelBad, Name: faults[0], Count: int64(len(faults))}}, nil
	}
	mark, err := d.judgeMark(ctx)
	if err != nil {
		return nil, err
	}
	if mark != markFits {
		return []Condition{{Area: "book", Why: string(mark), Level: LevelBad, Name: sentFile}}, nil
	}
	return []Condition{{Area: "book", Why: "good", Level: LevelGood, Count: size}}, nil
}

// seeLogKey compares keys/log.key with the verifier key of event 0. Without it,
// or with that of another desk, nothing can be enciphered, printed or backed up
// whose checkpoint anybody would believe.
func (d *Desk) seeLogKey(ctx context.Context) ([]Condition, error) {
	c := Condition{Area: "log", Why: "good", Level: LevelGood}
	check, err := d.checkNote(ctx)
	if err != nil {
		return nil, err
	}
	signer, err := d.logKey()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.Why, c.Level = "missing", LevelBad
	case err != nil:
		c.Why, c.Level = "damaged", LevelBad
	default:
		msg, err := note.Sign(&note.Note{Text: "percobaan\n"}, signer)
		if err == nil {
			_, err = check(msg)
		}
		if err != nil {
			c.Why, c.Level = "foreign", LevelBad
		}
	}
	return []Condition{c}, nil
}

func (d *Desk) seeBackup(context.Context) ([]Condition, error) {
	at, where := d.LastBackup()
	switch {
	case at.IsZero():
		return []Condition{{Area: "backup", Why: "never", Level: LevelWarn}}, nil
	case d.Now().Sub(at) > backupAge:
		return []Condition{{Area: "backup", Why: "old", Level: LevelWarn, Name: where, Until: at, Count: int64(d.Now().Sub(at) / (24 * time.Hour))}}, nil
	}
	return []Condition{{Area: "backup", Why: "good", Level: LevelGood, Name: where, Until: at}}, nil
}

// KeysDue are the keys of the office and of its addressees that are revoked,
// or end within the time.
func (d *Desk) KeysDue(ctx context.Context, within time.Duration) ([]Condition, error) {
	all, err := d.keyConditions(ctx, within)
	return slices.DeleteFunc(all, func(c Condition) bool {
		return c.Level == LevelGood || !slices.Contains([]string{"archive", "own", "addressee"}, c.Area) || c.Why == "unconfirmed" || c.Why == "signer"
	}), err
}

func (d *Desk) seeKeys(ctx context.Context) ([]Condition, error) {
	return d.keyConditions(ctx, keyWarning)
}

// keyConditions looks at the keys of the office and at those of the
// addressees. What it found stands also with an error: neither needs the other.
func (d *Desk) keyConditions(ctx context.Context, within time.Duration) ([]Condition, error) {
	found, err := d.officeKeys(ctx, within)
	more, err2 := d.addresseeKeys(ctx, within)
	return append(found, more...), errors.Join(err, err2)
}

// officeKeys looks at the keys of the archive and of the officers.
func (d *Desk) officeKeys(ctx context.Context, within time.Duration) ([]Condition, error) {
	var found []Condition
	_, noted, err := d.newestArchiveKey(ctx)
	if err != nil {
		return nil, err
	}
	for _, path := range d.ArchiveKeysWaiting() {
		c := Condition{Area: "offline", Why: "inside", Level: LevelBad, Name: path}
		if known, _, err := notedKey(path, noted); err != nil || !known {
			c.Why, c.Level = "unnoted", LevelWarn
		}
		found = append(found, c)
	}
	cert, err := d.CertificateOf(ctx, noted[len(noted)-1].Certificate.SHA256)
	if err != nil {
		return found, err
	}
	faults, count := d.judgeKey("archive", ArchiveOwner, cert, within), int64(1)
	officers, err := d.Book.Officers(ctx, d.Now())
	if err != nil {
		return append(found, faults...), err
	}
	for _, o := range officers {
		if o.Fingerprint == "" || o.Ended || len(o.Roles) == 0 {
			continue
		}
		if cert, err = d.CertificateOf(ctx, o.Certificate.SHA256); err != nil {
			return append(found, faults...), err
		}
		faults, count = append(faults, d.judgeKey("own", o.Handle, cert, within)...), count+1
	}
	if len(faults) == 0 {
		found = append(found, Condition{Area: "own", Why: "good", Level: LevelGood, Count: count})
	}
	return append(found, faults...), nil
}

// addresseeKeys looks at the keys of the correspondents.
func (d *Desk) addresseeKeys(ctx context.Context, within time.Duration) ([]Condition, error) {
	people, err := d.Book.Correspondents(ctx)
	if err != nil {
		return nil, err
	}
	var found []Condition
	count := int64(0)
	for _, c := range people {
		if !c.Ended && slices.ContainsFunc(c.Signers, func(s agenda.Signer) bool { return !s.Heard }) {
			found = append(found, Condition{Area: "addressee", Why: "signer", Level: LevelWarn, Name: c.Handle})
		}
		if c.Ended || c.Fingerprint == "" {
			continue
		}
		cert, err := d.CertificateOf(ctx, c.Certificate.SHA256)
		if err != nil {
			return found, err
		}
		found, count = append(found, d.judgeKey("addressee", c.Handle, cert, within)...), count+1
		if c.State != agenda.Confirmed {
			found = append(found, Condition{Area: "addressee", Why: "unconfirmed", Level: LevelWarn, Name: c.Handle})
		}
	}
	if len(found) == 0 {
		found = append(found, Condition{Area: "addressee", Why: "good", Level: LevelGood, Count: count})
	}
	return found, nil
}

// judgeKey finds what is wrong with a key that is to be usable for some time.
func (d *Desk) judgeKey(area, name string, cert *crypto.Certificate, within time.Duration) []Condition {
	f := cert.Facts(d.Now())
	c := Condition{Area: area, Name: name, Until: usableUntil(f)}
	switch {
	case f.Revoked:
		c.Why, c.Level = "revoked", LevelBad
	case !c.Until.IsZero() && !d.Now().Before(c.Until):
		c.Why, c.Level = "expired", LevelBad
	case !c.Until.IsZero() && c.Until.Sub(d.Now()) < within:
		c.Why, c.Level = "due", LevelWarn
	default:
		return nil
	}
	return []Condition{c}
}

// seeHolidays asks for the list of this year, and from October on of the next.
func (d *Desk) seeHolidays(context.Context) ([]Condition, error) {
	now := d.Now().In(agenda.WIB)
	years := []int{now.Year()}
	if now.Month() >= time.October {
		years = append(years, now.Year()+1)
	}
	var found []Condition
	for _, y := range years {
		c := Condition{Area: "holidays", Why: "good", Level: LevelGood, Count: int64(y), Name: strconv.Itoa(y)}
		if !d.Hours.CoversYear(y) {
			c.Why, c.Level = "missing", LevelWarn
		}
		found = append(found, c)
	}
	return found, nil
}

func (d *Desk) seePrinter(ctx context.Context) ([]Condition, error) {
	c := Condition{Area: "printer", Why: "none", Level: LevelUnknown}
	path, err := exec.LookPath("lpstat")
	if err != nil {
		return []Condition{c}, nil
	}
	ctx, stop := context.WithTimeout(ctx, probeLimit)
	defer stop()
	out, err := exec.CommandContext(ctx, path, "-d").Output()
	if name := firstLine(string(out)); err == nil && strings.Contains(name, ":") {
		_, name, _ = strings.Cut(name, ":")
		c = Condition{Area: "printer", Why: "good", Level: LevelGood, Name: strings.TrimSpace(name)}
	} else {
		c.Why, c.Level = "default", LevelWarn
	}
	return []Condition{c}, nil
}

func (d *Desk) seeSpace(context.Context) ([]Condition, error) {
	free, ok := vault.FreeSpace(d.Dir)
	c := Condition{Area: "space", Why: "good", Level: LevelGood, Count: free}
	switch {
	case !ok:
		c.Why, c.Level = "unknown", LevelUnknown
	case free < spaceBad:
		c.Why, c.Level = "full", LevelBad
	case free < spaceWarn:
		c.Why, c.Level = "low", LevelWarn
	}
	return []Condition{c}, nil
}

// seeDisk asks whether the disk and the swap are enciphered: the book is not.
func (d *Desk) seeDisk(context.Context) ([]Condition, error) {
	judge := func(area string, s vault.Secrecy) Condition {
		c := Condition{Area: area, Why: string(s), Level: LevelUnknown}
		switch s {
		case vault.SecrecyEncrypted, vault.SecrecyNone:
			c.Level = LevelGood
		case vault.SecrecyPlain:
			c.Level = LevelWarn
		}
		return c
	}
	return []Condition{judge("disk", vault.DiskSecrecy(d.Dir)), judge("swap", vault.SwapSecrecy())}, nil
}

// seeLeftovers looks for what crashes and people left: temporary files,
// half-made folders beside the desk, files that are none of the desk's, and
// files that others can read.
func (d *Desk) seeLeftovers(ctx context.Context) ([]Condition, error) {
	found, unread := d.seeOwnerless(ctx)
	if unread != nil && !errors.Is(unread, agenda.ErrTampered) {
		return nil, unread
	}
	old := func(e fs.DirEntry) bool {
		info, err := e.Info()
		return err == nil && d.Now().Sub(info.ModTime()) > leftoverAge
	}
	temps := int64(0)
	if list, err := os.ReadDir(d.path("vault", "tmp")); err == nil {
		for _, e := range list {
			if old(e) {
				temps++
			}
		}
	}
	open := int64(0)
	err := filepath.WalkDir(d.Dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(d.Dir, p)
		if err != nil {
			return err
		}
		if strings.HasPrefix(e.Name(), ".sandi-") && strings.HasSuffix(e.Name(), ".tmp") && old(e) {
			temps++
			return nil
		}
		// Windows has no such bits; its folders follow the user's profile.
		if info, err := e.Info(); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			open++
		}
		if !strings.Contains(rel, string(filepath.Separator)) && !ours(rel) && !slices.Contains(d.namedFiles(), rel) {
			found = append(found, Condition{Area: "leftover", Why: "foreign", Level: LevelWarn, Name: p})
		}
		if e.IsDir() && rel == "vault" {
			return fs.SkipDir // its files are checked by the audit
		}
		return nil
	})
	if err != nil {
		return nil, &Error{code: CodeFile, Field: d.Dir, Err: err}
	}
	beside, err := filepath.Glob(filepath.Join(filepath.Dir(d.Dir), filepath.Base(d.Dir)+".*-*"))
	if err != nil {
		return nil, err
	}
	for _, p := range beside {
		rest := strings.TrimPrefix(filepath.Base(p), filepath.Base(d.Dir)+".")
		word, _, _ := strings.Cut(rest, "-")
		switch word {
		case "baru", "pulih":
			found = append(found, Condition{Area: "leftover", Why: "half", Level: LevelWarn, Name: p})
		case "sebelum":
			found = append(found, Condition{Area: "leftover", Why: "aside", Level: LevelWarn, Name: p})
		}
	}
	if temps > 0 {
		found = append(found, Condition{Area: "leftover", Why: "temporary", Level: LevelWarn, Count: temps})
	}
	if open > 0 {
		found = append(found, Condition{Area: "leftover", Why: "open", Level: LevelBad, Count: open, Name: d.Dir})
	}
	if len(found) == 0 && unread == nil {
		found = append(found, Condition{Area: "leftover", Why: "good", Level: LevelGood})
	}
	return found, unread
}

// seeOwnerless looks for keys in keys/ that are of no officer: a run stopped
// between the key and the event.
func (d *Desk) seeOwnerless(ctx context.Context) ([]Condition, error) {
	list, err := os.ReadDir(d.path(keysFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // what is missing shows elsewhere
	}
	if err != nil {
		return nil, &Error{code: CodeFile, Field: keysFolder, Err: err}
	}
	var found []Condition
	for _, e := range list {
		handle, ext, _ := strings.Cut(e.Name(), ".")
		if e.Name() == logKeyFile || ext != "key" && ext != "path" {
			continue
		}
		_, err := d.Book.Officer(ctx, handle)
		switch {
		case errors.Is(err, agenda.ErrUnknownOfficer):
			found = append(found, Condition{Area: "leftover", Why: "ownerless", Level: LevelWarn, Name: handle})
		case err != nil:
			return found, err
		}
	}
	return found, nil
}

// ours are the names at the top of a desk folder.
func ours(name string) bool {
	return slices.Contains([]string{
		".", configFile, bookFile, bookFile + "-wal", bookFile + "-shm", bookFile + "-journal", keysFolder, "vault", boxFolder,
		awayFolder, sendLock, settingsLock, sentFile, caFile, backupState, probeFile,
	}, name)
}

// seeGateway connects without logging in: reachability and certificate, no
// password.
func (d *Desk) seeGateway(ctx context.Context) Condition {
	c := Condition{Area: "gateway", Why: "good", Level: LevelGood, Name: d.Config.Gateway.Address}
	if c.Name == "" {
		c.Why, c.Level = "none", LevelWarn
		return c
	}
	g, err := d.gateway(nil)
	g.Username, g.Password = "", nil
	if err == nil {
		ctx, stop := context.WithTimeout(ctx, probeLimit)
		defer stop()
		var s *mail.Session
		if s, err = mail.Connect(ctx, g); err == nil {
			err = s.Close()
		}
	}
	if err != nil {
		c.Why, c.Level = "unreachable", LevelWarn
		var refused *mail.Error
		if errors.As(err, &refused) && (refused.Code() == "mail.tls" || refused.Code() == "mail.no_starttls") {
			c.Why, c.Level = "tls", LevelBad
		}
	}
	return c
}
