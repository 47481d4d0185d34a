// Package oracle compares the three who know what became of a sending: the
// gateway that took messages or did not, the book, and the clerk who was told.
// Whatever fault came between them, they must agree; where nobody can know, the
// book must say so. Only tests import it.
package oracle

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sandi/agenda"
	"sandi/mail"
	"sandi/mail/loopback"
)

// Witness is what the three say after a run.
type Witness struct {
	Book   *agenda.Book
	Frozen func(agenda.Hash) (io.ReadCloser, error) // of the vault
	Audit  func(context.Context) ([]agenda.Problem, error)

	Taken []loopback.Accepted // by every gateway that ever saw this desk
	Told  *Told               // nil: the run did not live to tell

	Dir     string   // of the desk
	Secrets []string // that must not lie in it
}

// Told is what a run of `send` printed and how it ended.
type Told struct {
	Exit    int
	Fates   []Fate
	Waiting int // copies that were not tried
	Skipped []Fate
	Refused bool // the gateway cannot be used until somebody acts: wrong certificate, wrong password
	Failed  bool // the run broke off with an error of its own
	// Unsynced tells that a sync of the book was made to fail in this run:
	// nobody can know then whether the last fate reached the disk.
	Unsynced bool
	Summary  [4]int
	Summed   bool // Summary was printed: accepted, rejected, doubt, to be sent
	Resolve  []string
}

// Fate is one copy as it was told.
type Fate struct {
	Entry agenda.Name
	Copy  int
	State agenda.CopyState
}

// Judge returns everything that does not agree; O1 to O8 are the rules that it
// goes by.
//
//	O1 the numbers are 1 to n, each once
//	O2 the log, the index and the vault are whole
//	O3 what the gateway took are the frozen octets of a copy that is accepted, proved or in doubt
//	O4 it took a copy once, and once more for each time a person let it go again
//	O5 a copy that it has not is not accepted
//	O6 no secret lies in the desk
//	O7 what was told is what the book says
//	O8 so do the exit status and the summary
func (w Witness) Judge(ctx context.Context) ([]string, error) {
	var bad []string
	say := func(rule, format string, args ...any) { bad = append(bad, rule+": "+fmt.Sprintf(format, args...)) }

	problems, err := w.Audit(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range problems {
		say("O2", "%+v", p)
	}

	took := map[string][]loopback.Accepted{}
	for _, m := range w.Taken {
		took[m.EnvelopeID] = append(took[m.EnvelopeID], m)
	}
	states := map[Fate]agenda.CopyState{}
	var numbers []string
	err = w.Book.Each(ctx, agenda.Filter{}, func(e agenda.Entry) error {
		if e.Number != "" {
			numbers = append(numbers, e.Number)
		}
		for _, c := range e.Copies {
			states[Fate{Entry: e.Name, Copy: c.Copy}] = c.State
			if c.MessageID == "" {
				continue
			}
			id := mail.EnvelopeID(c.MessageID)
			if err := w.judgeCopy(ctx, e, c, took[id], say); err != nil {
				return err
			}
			delete(took, id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for id, m := range took {
		say("O3", "the gateway has %d times %q, which the book does not know", len(m), id)
	}
	slices.Sort(numbers)
	for i, n := range numbers {
		if k, err := strconv.Atoi(n); err != nil || k != i+1 {
			say("O1", "the numbers are %v", numbers)
			break
		}
	}
	if err := w.judgeFiles(say); err != nil {
		return nil, err
	}
	if w.Told != nil {
		w.Told.judge(states, say)
	}
	return bad, nil
}

func (w Witness) judgeCopy(ctx context.Context, e agenda.Entry, c agenda.Copy, took []loopback.Accepted, say func(rule, format string, args ...any)) error {
	name := fmt.Sprintf("%s copy %d (%s)", e.Name, c.Copy, c.State)
	// Armed is what a run leaves that could not write any more; the next start makes it doubt.
	known := c.State == agenda.CopyAccepted || c.State == agenda.CopyEvidenced || c.State == agenda.CopyDoubt || c.State == agenda.CopyArmed
	if len(took) == 0 {
		if c.State == agenda.CopyAccepted {
			say("O5", "%s: the gateway has it not", name)
		}
		return nil
	}
	if len(took) > 1 || !known {
		again, doubted, err := w.decisions(ctx, e.ID, c.Copy)
		if err != nil {
			return err
		}
		if len(took) > 1+again {
			say("O4", "%s: taken %d times, let go again %d times", name, len(took), again)
		}
		if !known && !doubted {
			say("O3", "%s: the gateway has it", name)
		}
	}
	f, err := w.Frozen(c.Message)
	if err != nil {
		return err
	}
	defer f.Close()
	frozen, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	for _, m := range took {
		if !bytes.Equal(m.Data, frozen) {
			say("O3", "%s: %d other octets arrived instead of %d", name, len(m.Data), len(frozen))
		}
	}
	return nil
}

// decisions counts how often a person let a copy go again, and tells whether it
// ever was in doubt.
func (w Witness) decisions(ctx context.Context, entry int64, copyNo int) (again int, doubted bool, err error) {
	history, err := w.Book.History(ctx, entry)
	for _, e := range history {
		if !slices.Contains(e.Fields, agenda.Line{Key: "copy", Value: strconv.Itoa(copyNo)}) {
			continue
		}
		switch e.Type {
		case "copy.reopened":
			again++
		case "copy.doubted":
			doubted = true
		}
	}
	return again, doubted, err
}

func (w Witness) judgeFiles(say func(rule, format string, args ...any)) error {
	if len(w.Secrets) == 0 {
		return nil
	}
	return filepath.WalkDir(w.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, s := range w.Secrets {
			if bytes.Contains(data, []byte(s)) {
				say("O6", "%s holds %q", path, s)
			}
		}
		return nil
	})
}

func (t *Told) judge(states map[Fate]agenda.CopyState, say func(rule, format string, args ...any)) {
	counts := map[agenda.CopyState]int{}
	for _, list := range [][]Fate{t.Fates, t.Skipped} {
		for _, f := range list {
			counts[f.State]++
			s := states[Fate{Entry: f.Entry, Copy: f.Copy}]
			switch {
			case t.Failed && s == agenda.CopyArmed:
				s = agenda.CopyDoubt // so the next start will find it
			case t.Failed && t.Unsynced && f.State == agenda.CopyDoubt && (s == agenda.CopyAccepted || s == agenda.CopyRejected):
				s = agenda.CopyDoubt // the fate reached the disk although its sync failed
			}
			if s != f.State {
				say("O7", "%s copy %d was told as %s and is %s", f.Entry, f.Copy, f.State, s)
			}
			if f.State == agenda.CopyDoubt && t.Summed && !slices.Contains(t.Resolve, f.Entry.String()) {
				say("O8", "%s is in doubt and the clerk was not told how to resolve it", f.Entry)
			}
		}
	}
	if want := t.exit(counts); t.Exit != want && !(t.Failed && t.Exit != 0) {
		say("O8", "exit status %d, want %d for %v and %d waiting", t.Exit, want, counts, t.Waiting)
	}
	want := [4]int{counts[agenda.CopyAccepted], counts[agenda.CopyRejected], counts[agenda.CopyDoubt], t.Waiting + counts[agenda.CopyDeferred]}
	if t.Summed && t.Summary != want {
		say("O8", "summary %v, want %v", t.Summary, want)
	}
}

// exit is the rule of the manual: 22 with any doubt, 3 when a part was done,
// else the one cause, or 1 for several.
func (t *Told) exit(counts map[agenda.CopyState]int) int {
	if counts[agenda.CopyDoubt] > 0 {
		return 22
	}
	refused, later := counts[agenda.CopyRejected], counts[agenda.CopyDeferred]+counts[agenda.CopyHanded]
	if t.Refused {
		refused += t.Waiting
	} else {
		later += t.Waiting
	}
	switch {
	case refused+later == 0:
		return 0
	case counts[agenda.CopyAccepted] > 0:
		return 3
	case later == 0:
		return 20
	case refused == 0:
		return 21
	}
	return 1
}

// Hear reads what `send` printed: JSON lines, or the Indonesian words on
// standard output and the talk on standard error.
func Hear(stdout, stderr string, exit int) (*Told, error) {
	t := &Told{Exit: exit}
	if strings.HasPrefix(stdout, "{") || strings.HasPrefix(stderr, "{") {
		return t, t.json(stdout, stderr)
	}
	return t, t.words(stdout, stderr)
}

func (t *Told) json(stdout, stderr string) error {
	t.Failed = strings.Contains(stderr, `"code"`)
	for line := range strings.Lines(stdout) {
		type delivery struct {
			Entry string
			Copy  int
			State agenda.CopyState
		}
		var v struct {
			Schema string
			delivery
			Status  int `json:"exit_status"`
			Waiting []delivery
			Skipped []delivery
			Down    string `json:"gateway_error"`
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			return fmt.Errorf("%w in %q", err, line)
		}
		read := func(d delivery) (Fate, error) {
			n, err := agenda.ParseName(d.Entry, thisYear)
			return Fate{n, d.Copy, d.State}, err
		}
		switch v.Schema {
		case "sandi.delivery/1":
			f, err := read(v.delivery)
			if err != nil {
				return err
			}
			t.Fates = append(t.Fates, f)
		case "sandi.send/1":
			t.Waiting, t.Refused = len(v.Waiting), refusals[v.Down]
			for _, d := range v.Skipped {
				f, err := read(d)
				if err != nil {
					return err
				}
				t.Skipped = append(t.Skipped, f)
			}
			if v.Status != t.Exit {
				return fmt.Errorf("exit status %d, told %d", t.Exit, v.Status)
			}
		}
	}
	return nil
}

// thisYear is the year of every test office.
const thisYear = 2026

// refusals are the faults of a gateway that a retry does not mend.
var refusals = map[string]bool{"mail.tls": true, "mail.no_starttls": true, "mail.auth": true, "mail.refused": true}

var (
	fateLine    = regexp.MustCompile(`^ ([KS]\d+(?:-[KS]\d+)?) (?:.* )? (diterima server|DITOLAK SERVER|BELUM PASTI|tertunda)`)
	severalOf   = regexp.MustCompile(`  \d+ salinan  `)
	copyOf      = regexp.MustCompile(`salinan (\d+)/\d+`)
	summaryLine = regexp.MustCompile(`^Terkirim (\d+), ditolak server (\d+), belum pasti (\d+), siap kirim (\d+)\.`)
	resolveLine = regexp.MustCompile(`^  sandi send --resolve ([KS]\d+)`)
	errorLine   = regexp.MustCompile(`(?m)^(Gagal|Ditolak|Periksa): |^Dihentikan`)
	skippedOne  = regexp.MustCompile(`([KS]\d+(?:-[KS]\d+)?)(?: salinan (\d+))? \(([^)]+)\)`)
)

var fateWords = map[string]agenda.CopyState{
	"diterima server": agenda.CopyAccepted, "DITOLAK SERVER": agenda.CopyRejected, "BELUM PASTI": agenda.CopyDoubt, "tertunda": agenda.CopyDeferred,
}

var skippedWords = map[string]agenda.CopyState{
	"belum pasti": agenda.CopyDoubt, "ditolak server": agenda.CopyRejected, "diserahkan": agenda.CopyHanded,
}

func (t *Told) words(stdout, stderr string) error {
	for line := range strings.Lines(stdout) {
		m := fateLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if severalOf.MatchString(line) {
			return fmt.Errorf("which copies left is not in %q", line)
		}
		names, err := agenda.ParseNames(m[1:2], thisYear)
		if err != nil {
			return err
		}
		for _, n := range names {
			f := Fate{Entry: n, Copy: 1, State: fateWords[m[2]]}
			if c := copyOf.FindStringSubmatch(line); c != nil {
				f.Copy, _ = strconv.Atoi(c[1])
			}
			t.Fates = append(t.Fates, f)
		}
	}
	joined := strings.ReplaceAll(stderr, "\n", " ")
	if _, list, ok := strings.Cut(joined, "Dilewati: "); ok {
		for _, m := range skippedOne.FindAllStringSubmatch(list, -1) {
			names, err := agenda.ParseNames(m[1:2], thisYear)
			if err != nil {
				return err
			}
			c := 1
			if m[2] != "" {
				c, _ = strconv.Atoi(m[2])
			}
			for _, n := range names {
				t.Skipped = append(t.Skipped, Fate{n, c, skippedWords[m[3]]})
			}
		}
	}
	for line := range strings.Lines(stderr) {
		if m := resolveLine.FindStringSubmatch(line); m != nil {
			t.Resolve = append(t.Resolve, m[1])
		}
		if m := summaryLine.FindStringSubmatch(line); m != nil {
			t.Summed = true
			for i := range t.Summary {
				t.Summary[i], _ = strconv.Atoi(m[i+1])
			}
		}
	}
	t.Failed = !t.Summed || errorLine.MatchString(stderr)
	if t.Summed {
		deferred := 0
		for _, f := range t.Fates {
			if f.State == agenda.CopyDeferred {
				deferred++
			}
		}
		t.Waiting = t.Summary[3] - deferred
	}
	return nil
}
