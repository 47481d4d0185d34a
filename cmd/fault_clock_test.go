package cmd

import (
	"strings"
	"testing"
	"time"

	smtp "github.com/emersion/go-smtp"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/oracle"
	"sandi/mail/loopback"
)

// TestClockMoved sets the clock before and in the middle of a sending: stamps never go back, a clock that cannot be right is refused
// in words, and no letter is lost or doubled by it.
func TestClockMoved(t *testing.T) {
	t.Parallel()
	const hour, day = time.Hour, 24 * time.Hour
	for label, c := range map[string]struct {
		at     string // stage of the first message; "" before the command
		by     time.Duration
		states string // of the two letters after the run
		words  string // "" when the sending takes no notice
	}{
		"before_back_3min":   {"", -3 * time.Minute, "accepted accepted", ""},
		"before_back_1h":     {"", -hour, "attached attached", "jam komputer"},
		"before_ahead_1day":  {"", day, "accepted accepted", ""},
		"before_ahead_week":  {"", 7 * day, "attached attached", "jam komputer"},
		"in_mail_back_3min":  {"mail", -3 * time.Minute, "accepted accepted", ""},
		"in_mail_back_1h":    {"mail", -hour, "claimed claimed", "jam komputer"},
		"in_mail_ahead_1day": {"mail", day, "accepted accepted", ""},
		"in_mail_ahead_week": {"mail", 7 * day, "claimed claimed", "jam komputer"},
		"at_dot_back_1h":     {"dot", -hour, "armed claimed", "jam komputer"},
		"at_dot_ahead_1day":  {"dot", day, "accepted accepted", ""},
		"at_dot_ahead_week":  {"dot", 7 * day, "armed claimed", "jam komputer"},
	} {
		t.Run(label, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "gateway.connections", "1")
			r.clock.Add(int64(hour)) // the officers are in office for a while
			r.enter(2, 9)
			moved := false
			move := func() {
				if !moved {
					moved = true
					r.clock.Add(int64(c.by))
				}
			}
			s := r.gateway(loopback.Options{Hook: func(stage, _ string) *smtp.SMTPError {
				if stage == c.at {
					move()
				}
				return nil
			}})
			r.dial = to(s.Addr())
			if c.at == "" {
				move()
			}
			out, talk, exit := r.sandi("send", "S1", "S2")
			r.check(s.Close())
			r.taken = append(r.taken, s.Messages()...)
			told, err := oracle.Hear(out, talk, exit)
			r.check(err)
			r.judge(told)
			if !moved {
				t.Fatal("the clock was not moved")
			}
			if (exit == 0) != (c.words == "") || !strings.Contains(talk, c.words) {
				t.Errorf("status %d, want words %q\n%s%s", exit, c.words, out, talk)
			}
			if told := strings.Count(out+talk, "S2"); c.words != "" && c.at != "" && told < 2 {
				t.Errorf("S2 is not told to wait\n%s%s", out, talk)
			}
			if strings.HasPrefix(c.states, "armed") && (exit != exitDoubt || !strings.Contains(out, "BELUM PASTI: jawaban server tidak tercatat")) {
				t.Errorf("the doubt was not told: status %d\n%s%s", exit, out, talk)
			}
			if c.words != "" {
				r.clock.Add(-int64(c.by)) // somebody sets it right
			}
			if got := r.copies("S1") + " " + r.copies("S2"); got != c.states {
				t.Errorf("left %q, want %q", got, c.states)
			}
			r.monotone()
			for range 2 { // the first finds what the other run left
				if names := r.unsettled(); len(names) > 0 {
					again := r.gateway(loopback.Options{})
					r.dial = to(again.Addr())
					r.send(again, names...)
				}
			}
			r.finish()
			r.monotone()
		})
	}
}

// unsettled names the letters that have a copy not accepted.
func (r *rig) unsettled() (names []string) {
	r.Helper()
	r.entries(func(e agenda.Entry) {
		if e.State == agenda.StateAttached || e.State == agenda.StateReleased {
			names = append(names, e.Name.String())
		}
	})
	return names
}

// monotone demands that no event of an entry is older than the one before it.
func (r *rig) monotone() {
	r.Helper()
	events := 0
	var last time.Time
	var ids []int64
	r.entries(func(e agenda.Entry) { ids = append(ids, e.ID) })
	r.read(func(d *desk.Desk) {
		bySeq := map[int64]time.Time{}
		most := int64(0)
		for _, id := range ids {
			history, err := d.Book.History(r.Context(), id)
			r.check(err)
			for _, e := range history {
				bySeq[e.Seq] = e.At
				most = max(most, e.Seq)
				events++
			}
		}
		for seq := range most + 1 {
			if at, ok := bySeq[seq]; ok {
				if at.Before(last) {
					r.Errorf("event %d is of %v, an earlier one of %v", seq, at, last)
				}
				last = at
			}
		}
	})
	if events == 0 {
		r.Error("no events")
	}
}
