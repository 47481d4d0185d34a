package desk

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	smtp "github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"sandi/agenda"
	"sandi/crypto"
	"sandi/mail"
	"sandi/mail/loopback"
)

// greylist is a gateway hook that puts off some addressees and notes whom it
// was asked for.
type greylist struct {
	mu    sync.Mutex
	off   []string
	asked []string
	delay func() // before a copy is put off
}

func (g *greylist) hook(stage, arg string) *smtp.SMTPError {
	if stage != "rcpt" {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	who, _, _ := strings.Cut(arg, "@")
	g.asked = append(g.asked, who)
	if !slices.Contains(g.off, who) {
		return nil
	}
	if g.delay != nil {
		g.delay()
	}
	return &smtp.SMTPError{Code: 451, Message: "later"}
}

// turn ends a turn: whom it asked for, and who is put off in the next one.
func (g *greylist) turn(off ...string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	asked := g.asked
	g.off, g.asked, g.delay = off, nil, nil
	return asked
}

// Each copy is tried again when its own time has come, and what is told before
// a wait is true.
func TestSendWaitsForEachCopy(t *testing.T) {
	t.Parallel()
	c := &clock{t: monday.Add(time.Hour)}
	g := &greylist{off: []string{"jateng", "batang"}, delay: func() { c.set(c.now().Add(90 * time.Second)) }}
	f := newOffice(t, loopback.Options{Hook: g.hook})
	f.Config.Gateway.Connections = 1
	f.opts.Now = c.now
	n := f.attached(1, "jateng", "batang")[0]
	var next []time.Time
	var pauses []Pause
	var asked [][]string
	off := [][]string{{"jateng"}, nil, nil}
	res, err := f.SendWaiting(t.Context(), SendParams{Names: []agenda.Name{n}, Secrets: right, Report: func(x Delivery) { next = append(next, x.NextAt) }},
		func(p Pause) {
			asked = append(asked, g.turn(off[len(pauses)]...))
			pauses = append(pauses, p)
			c.set(p.Until)
		})
	f.check(err)
	asked = append(asked, g.turn())
	if diff := cmp.Diff([][]string{{"jateng", "batang"}, {"jateng"}, {"batang"}, {"jateng"}}, asked); diff != "" {
		t.Errorf("tried (-want +got):\n%s", diff)
	}
	want := []Pause{{next[0], 2, 1}, {next[1], 2, 1}, {next[2], 1, 1}}
	if diff := cmp.Diff(want, pauses); diff != "" {
		t.Errorf("pauses (-want +got):\n%s", diff)
	}
	if f.copyStates(n) != "accepted accepted" || len(res.Deliveries) != 2 || f.entry(n).Copies[0].Attempts != 3 {
		t.Errorf("copies %s, %d deliveries", f.copyStates(n), len(res.Deliveries))
	}
	f.judged()
}

// What another process voids or settles while `send` waits is told and waited
// for no more; what was told before is told once, and the others go on.
func TestSendWaitsWhileOthersWork(t *testing.T) {
	t.Parallel()
	c := &clock{t: monday.Add(time.Hour)}
	g := &greylist{off: []string{"jateng", "tegal"}}
	f := newOffice(t, loopback.Options{Hook: func(stage, arg string) *smtp.SMTPError {
		if stage == "rcpt" && strings.HasPrefix(arg, "batang@") {
			return &smtp.SMTPError{Code: 550, Message: "unknown user"}
		}
		return g.hook(stage, arg)
	}})
	f.correspondent("tegal", "Diskominfo Kota Tegal", crypto.KindV6)
	f.opts.Now = func() time.Time { // all at once
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.t
	}
	names := slices.Concat(f.attached(4, "jateng"), f.attached(1, "tegal"), f.attached(1, "jateng", "batang"))
	void, cancelled, handed, sent, held, last := names[0], names[1], names[2], names[3], names[4], names[5]
	var pauses []Pause
	res, err := f.SendWaiting(t.Context(), SendParams{Names: names, Secrets: right}, func(p Pause) {
		pauses = append(pauses, p)
		g.turn()
		f.void(void)
		_, err := f.Settle(t.Context(), SettleParams{Name: cancelled, To: agenda.CopyCancelled, Reason: "batal", Secrets: right})
		f.check(err)
		_, _, err = f.Manual(t.Context(), ManualParams{Name: handed, Dir: filepath.Join(f.dir, "manual"), Secrets: right})
		f.check(err)
		f.send(sent)
		_, _, err = f.EditCorrespondent(t.Context(), CorrespondentParams{Handle: "tegal", Address: "baru@contoh.sanapati.test"}, "pindah")
		f.check(err)
		c.set(p.Until)
	})
	f.check(err)
	if diff := cmp.Diff([]Pause{{monday.Add(time.Hour + firstRetry), 6, 6}}, pauses); diff != "" {
		t.Errorf("pauses (-want +got):\n%s", diff)
	}
	brief := func(list []Delivery) []Delivery {
		var out []Delivery
		for _, x := range list {
			out = append(out, Delivery{Entry: x.Entry, Copy: x.Copy, State: x.State, Code: x.Code})
		}
		return out
	}
	changed := agenda.ErrChanged.Code()
	want := SendResult{
		Deliveries: []Delivery{{Entry: last, Copy: 2, State: agenda.CopyRejected, Code: mail.CodeRefused}, {Entry: last, Copy: 1, State: agenda.CopyAccepted}},
		Skipped: []Delivery{
			{Entry: handed, Copy: 1, State: agenda.CopyHanded},
			{Entry: held, Copy: 1, State: agenda.CopyDeferred, Code: CodeAddressChanged},
			{Entry: void, Copy: 1, State: agenda.CopyCancelled, Code: CodeState},
			{Entry: cancelled, Copy: 1, State: agenda.CopyCancelled, Code: changed},
			{Entry: sent, Copy: 1, State: agenda.CopyAccepted, Code: changed},
		},
	}
	// Which of the connections was first decides the order of the pause.
	slices.SortFunc(want.Skipped, bySerial)
	slices.SortFunc(res.Skipped, bySerial)
	got := SendResult{Deliveries: brief(res.Deliveries), Skipped: brief(res.Skipped), Waiting: brief(res.Waiting), Down: res.Down}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	states := map[agenda.Name]agenda.State{}
	for _, e := range res.Entries {
		states[e.Name] = e.State
	}
	if diff := cmp.Diff(map[agenda.Name]agenda.State{
		void: agenda.StateVoid, cancelled: agenda.StateReleased, handed: agenda.StateReleased,
		sent: agenda.StateSent, held: agenda.StateReleased, last: agenda.StateReleased,
	}, states); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	f.judged()
}

func bySerial(a, b Delivery) int { return a.Entry.Serial - b.Entry.Serial }

// What an earlier sending put off is waited for too, alone or beside what is
// due; what needs a person is told.
func TestSendDueWaitsForWhatWasPutOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		p      SendParams
		before func(*office) // what else is there
		asked  [][]string
		pause  int // copies that wait
		told   []string
	}{
		"alone":     {SendParams{Due: true}, nil, [][]string{nil, {"jateng"}}, 1, []string{"accepted"}},
		"all":       {SendParams{All: true}, nil, [][]string{nil, {"jateng"}}, 1, []string{"accepted"}},
		"some_due":  {SendParams{Due: true}, queuedFor("batang"), [][]string{{"batang"}, {"jateng"}}, 1, []string{"accepted", "accepted"}},
		"held_also": {SendParams{All: true}, heldFor("batang"), [][]string{nil, {"jateng"}}, 1, []string{"", "accepted"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := &clock{t: monday.Add(time.Hour)}
			g := &greylist{off: []string{"jateng"}}
			f := newOffice(t, loopback.Options{Hook: g.hook})
			f.opts.Now = now.now
			n := f.attached(1, "jateng")[0]
			next := f.send(n).Deliveries[0].NextAt
			if c.before != nil {
				c.before(f)
			}
			g.turn()
			var pauses []Pause
			var asked [][]string
			c.p.Secrets = right
			res, err := f.SendWaiting(t.Context(), c.p, func(p Pause) {
				pauses = append(pauses, p)
				asked = append(asked, g.turn())
				now.set(p.Until)
			})
			f.check(err)
			asked = append(asked, g.turn())
			if diff := cmp.Diff([]Pause{{next, c.pause, 1}}, pauses); diff != "" {
				t.Errorf("pauses (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.asked, asked); diff != "" {
				t.Errorf("tried (-want +got):\n%s", diff)
			}
			var told []string
			for _, x := range slices.Concat(res.Skipped, res.Deliveries, res.Waiting) {
				told = append(told, string(x.State))
			}
			if diff := cmp.Diff(c.told, told); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			f.judged()
		})
	}
}

func queuedFor(handle string) func(*office) {
	return func(f *office) { f.queued(f.attached(1, handle)...) }
}

// heldFor leaves a letter that may not leave: its addressee is struck off.
func heldFor(handle string) func(*office) {
	return func(f *office) {
		f.attached(1, handle)
		c, err := f.Book.Correspondent(f.t.Context(), handle)
		f.check(err)
		c.Ended = true
		f.check(f.Book.ChangeCorrespondent(f.t.Context(), f.Nobody(), c, "bubar"))
	}
}

// With nothing in the queue there is nothing to wait for.
func TestSendDueWithNothingToWaitFor(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	f.send(f.attached(1, "jateng")...)
	res, err := f.SendWaiting(t.Context(), SendParams{Due: true, Secrets: right}, func(p Pause) { t.Errorf("pause %+v", p) })
	if err != nil || len(res.Deliveries)+len(res.Waiting)+len(res.Skipped) != 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

// A gateway that is gone when a copy is due is asked again minutes later.
func TestSendWaitsForTheGateway(t *testing.T) {
	t.Parallel()
	c := &clock{t: monday.Add(time.Hour)}
	g := &greylist{off: []string{"jateng"}}
	f := newOffice(t, loopback.Options{Hook: g.hook})
	f.opts.Now = c.now
	n := f.attached(1, "jateng")[0]
	var pauses []Pause
	var at []time.Time
	res, err := f.SendWaiting(t.Context(), SendParams{Names: []agenda.Name{n}, Secrets: right}, func(p Pause) {
		at = append(at, c.now())
		pauses = append(pauses, p)
		g.turn()
		f.opts.Dial = nil
		if len(pauses) < 3 {
			f.opts.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }
		}
		c.set(p.Until)
	})
	f.check(err)
	var lasted []time.Duration
	for i, p := range pauses {
		lasted = append(lasted, p.Until.Sub(at[i]).Round(time.Minute))
		if p.Copies != 1 || p.Due != 1 {
			t.Errorf("pause %+v", p)
		}
	}
	if diff := cmp.Diff([]time.Duration{firstRetry, firstWait, 2 * firstWait}, lasted); diff != "" {
		t.Errorf("pauses (-want +got):\n%s", diff)
	}
	if f.copyStates(n) != "accepted" || res.Outage == nil || res.Down != nil || len(res.Deliveries) != 1 || len(res.Waiting) != 0 {
		t.Errorf("copies %s, %+v", f.copyStates(n), res)
	}
}

func TestPauseFor(t *testing.T) {
	t.Parallel()
	in := func(d time.Duration) Delivery { return Delivery{State: agenda.CopyDeferred, NextAt: monday.Add(d)} }
	ready := Delivery{State: agenda.CopyReady}
	for name, c := range map[string]struct {
		list []Delivery
		want Pause
	}{
		"gateway":       {[]Delivery{ready, {}}, Pause{monday.Add(2 * time.Minute), 2, 2}},
		"overdue":       {[]Delivery{in(-time.Hour), in(time.Hour)}, Pause{monday.Add(2 * time.Minute), 2, 1}},
		"first":         {[]Delivery{in(time.Hour), in(5 * time.Minute), in(6*time.Minute + time.Second)}, Pause{monday.Add(5 * time.Minute), 3, 1}},
		"soon_after":    {[]Delivery{in(5 * time.Minute), in(6 * time.Minute), in(7 * time.Minute)}, Pause{monday.Add(6 * time.Minute), 3, 2}},
		"due_before_it": {[]Delivery{ready, in(30 * time.Second)}, Pause{monday.Add(30 * time.Second), 2, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, pauseFor(c.list, monday, 2*time.Minute)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
