package desk

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	smtp "github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"sandi/agenda"
	"sandi/mail/loopback"
)

// toldOnce demands that a sending told every copy of the entries once, and as
// the book has it.
func (f *office) toldOnce(names []agenda.Name, res SendResult) {
	f.t.Helper()
	told := map[agenda.CopyRef]int{}
	for _, x := range res.Deliveries {
		told[agenda.CopyRef{Entry: f.entry(x.Entry).ID, Copy: x.Copy}]++
	}
	for _, x := range res.Waiting {
		e := f.entry(x.Entry)
		told[agenda.CopyRef{Entry: e.ID, Copy: x.Copy}]++
		if e.State == agenda.StateSent || e.State == agenda.StateReleased && (e.Number != x.Number || e.Copies[x.Copy-1].State != agenda.CopyReady) {
			f.t.Errorf("%s copy %d is told to wait with number %q: %+v", x.Entry, x.Copy, x.Number, e)
		}
	}
	released := map[int64]int{}
	for _, e := range res.Released {
		released[e.ID]++
	}
	for _, n := range names {
		e := f.entry(n)
		want := 0
		if e.State == agenda.StateReleased || e.State == agenda.StateSent {
			want = 1
		}
		if released[e.ID] != want {
			f.t.Errorf("%s is %s and was told as released %d times", n, e.State, released[e.ID])
		}
		for _, c := range e.Copies {
			if k := told[agenda.CopyRef{Entry: e.ID, Copy: c.Copy}]; k != 1 {
				f.t.Errorf("%s copy %d was told %d times: %s, %s, %q", n, c.Copy, k, e.State, c.State, c.LastReply)
			}
		}
	}
}

// spoil changes an octet of an object in the vault.
func (f *office) spoil(sum agenda.Hash) {
	f.t.Helper()
	f.check(filepath.WalkDir(f.Dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != sum.String() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		data[len(data)/2] ^= 1
		return os.WriteFile(path, data, 0o600)
	}))
}

// Windows of letters are frozen, released and carried at the same time: whatever
// ends the sending, every copy is told once and as the book has it, and the next
// sending brings the rest.
func TestEveryCopyIsToldOnce(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"down", "ctrl-c", "damaged", "no_gateway", "down_and_queued"} {
		for _, at := range []int32{1, 17, 30} {
			t.Run(fmt.Sprint(what, at), func(t *testing.T) {
				t.Parallel()
				var begun atomic.Int32
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				f := newOffice(t, loopback.Options{Hook: func(stage, _ string) *smtp.SMTPError {
					if stage != "mail" {
						return nil
					}
					switch n := begun.Add(1); {
					case what == "ctrl-c" && n == at:
						cancel()
					case strings.HasPrefix(what, "down") && n > at:
						return &smtp.SMTPError{Code: 421, Message: "tutup"}
					}
					return nil
				}})
				var names []agenda.Name
				for i := range 38 {
					if i%3 == 0 {
						names = append(names, f.attached(1, "jateng", "batang")...)
					} else {
						names = append(names, f.signed("jateng", "batang"))
					}
				}
				p := SendParams{Names: names, Secrets: right, Queue: what == "no_gateway" || what == "down_and_queued"}
				limit := limitedDial{left: 3}
				switch what {
				case "down", "down_and_queued":
					f.opts.Dial = limit.dial
				case "no_gateway":
					limit.left = 0
					f.opts.Dial = limit.dial
				case "damaged":
					e := f.entry(names[at])
					p.Confirm = func(Plan) error {
						if e.Drafted != nil {
							f.spoil(e.Drafted.Kriptogram.SHA256)
						}
						for _, a := range e.Attachments {
							f.spoil(a.Object.SHA256)
						}
						return nil
					}
				}
				res, err := f.Send(ctx, p)
				if (err != nil) != (what == "ctrl-c" || what == "damaged") {
					t.Errorf("sending: %v", err)
				}
				f.toldOnce(names, res)
				if what == "damaged" {
					return
				}
				begun.Store(-1000)
				f.opts.Dial = nil
				_, err = f.Send(t.Context(), SendParams{Names: names, Secrets: right})
				f.check(err)
				for _, n := range names {
					if s := f.entry(n).State; s != agenda.StateSent {
						t.Errorf("%s is %s", n, s)
					}
				}
				f.judged()
			})
		}
	}
}

// A correspondent moves while the letters before his are on their way: his own
// goes to the new address, though it was frozen by then.
func TestFrozenAheadOfAMove(t *testing.T) {
	t.Parallel()
	var f *office
	var once sync.Once
	f = newOffice(t, loopback.Options{Hook: func(stage, _ string) *smtp.SMTPError {
		if stage == "mail" {
			once.Do(func() {
				_, _, err := f.EditCorrespondent(context.Background(), CorrespondentParams{Handle: "batang", Address: "baru@contoh.sanapati.test"}, "pindah")
				f.check(err)
			})
		}
		return nil
	}})
	f.Config.Gateway.Connections = 1
	names := append(f.attached(34, "jateng"), f.attached(1, "batang")...)
	res := f.send(names...)
	if len(res.Deliveries) != len(names) {
		t.Fatalf("%d deliveries", len(res.Deliveries))
	}
	c := f.entry(names[34]).Copies[0]
	if want := "baru@contoh.sanapati.test"; c.Address != want || !strings.Contains(string(f.frozen(c)), "<"+want+">") && !strings.Contains(string(f.frozen(c)), "To: "+want) {
		t.Errorf("sent to %s, want %s", c.Address, want)
	}
	f.judged()
}

// void strikes an entry through as another process would, beside a sending.
func (f *office) void(n agenda.Name) {
	f.t.Helper()
	e := f.entry(n)
	f.check(f.Book.Void(f.t.Context(), f.Nobody(), e.ID, e.Last, "salah tujuan", "nota dinas 1"))
}

// What another process voids or changes after the plan was made is told as
// skipped, and the others leave.
func TestOvertakenIsTold(t *testing.T) {
	t.Parallel()
	void := Delivery{State: agenda.CopyCancelled, Code: CodeState}
	changed := Delivery{Code: agenda.ErrChanged.Code()}
	moved := func(f *office, n agenda.Name) {
		_, err := f.Attach(f.t.Context(), AttachParams{Name: n, Files: []string{f.file("lain.pdf", plainLetter)}})
		f.check(err)
	}
	for name, c := range map[string]struct {
		entries func(*office) []agenda.Name
		before  func(*office, ...agenda.Name)
		change  func(*office, agenda.Name)
		want    Delivery
	}{
		"released_before": {letters, (*office).queued, (*office).void, void},
		"letters":         {letters, nil, (*office).void, void},
		"kriptograms":     {kriptograms, nil, (*office).void, void},
		"down":            {letters, (*office).queued, func(f *office, n agenda.Name) { f.gateway.Close(); f.void(n) }, void},
		"another_scan":    {letters, nil, moved, changed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newOffice(t, loopback.Options{})
			names := c.entries(f)
			if c.before != nil {
				c.before(f, names...)
			}
			res, err := f.Send(t.Context(), SendParams{Names: names, Secrets: right, Confirm: func(Plan) error {
				c.change(f, names[1])
				return nil
			}})
			f.check(err)
			e := f.entry(names[1])
			var want []Delivery
			for i, who := range []string{"jateng", "batang"} {
				x := c.want
				x.Entry, x.Number, x.Copy, x.Of, x.Handle = e.Name, e.Number, i+1, 2, who
				x.Unit = map[string]string{"jateng": "Diskominfo Provinsi Jawa Tengah", "batang": "Diskominfo Kabupaten Batang"}[who]
				want = append(want, x)
			}
			if diff := cmp.Diff(want, res.Skipped); diff != "" {
				t.Errorf("skipped (-want +got):\n%s", diff)
			}
			tried, waiting := 4, 0
			if name == "down" {
				tried, waiting = 0, 4
			}
			if len(res.Deliveries) != tried || len(res.Waiting) != waiting {
				t.Errorf("%d tried, %d waiting", len(res.Deliveries), len(res.Waiting))
			}
			if name == "kriptograms" && (f.numbers() != 2 || f.entry(names[2]).Number != "002") {
				t.Errorf("%d numbers, the last %q", f.numbers(), f.entry(names[2]).Number)
			}
			f.judged()
		})
	}
}

func letters(f *office) []agenda.Name { return f.attached(3, "jateng", "batang") }

func kriptograms(f *office) []agenda.Name {
	return []agenda.Name{f.signed("jateng", "batang"), f.signed("jateng", "batang"), f.signed("jateng", "batang")}
}
