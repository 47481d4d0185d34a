package cmd

import (
	"testing"
	"time"

	"sandi/agenda"
	"sandi/mail"
	"sandi/mail/loopback"
)

// measure sends one letter over a whole connection and returns the octets of both directions.
func (r *rig) measure() (up, down int64) {
	r.Helper()
	s := r.gateway(loopback.Options{})
	p := r.proxy(s.Addr())
	r.send(s, r.open()[0])
	p.end()
	return p.up, p.down
}

// cutAll has every cut happen to one connection each, a copy on each connection, and has the oracle look after every run.
func (r *rig) cutAll(plan []cut, letters, size int, patience time.Duration) {
	r.Helper()
	for runs := 0; len(plan) > 0; runs++ {
		r.resolve()
		if len(r.open()) < letters/2 {
			r.enter(letters, size)
		}
		n := min(len(plan), letters)
		s := r.gateway(loopback.Options{})
		// The first connection is whole, so that the couriers set out and meet the others side by side.
		p := r.proxy(s.Addr(), append([]cut{whole}, plan[:n]...)...)
		r.dial = impatient(patience, r.dial)
		args := r.open()
		if runs%2 == 1 {
			args = append(args, "--json")
		}
		told := r.send(s, args...)
		left := p.end()
		if len(left) == n+1 {
			r.Fatalf("no connection was made for %v: %+v", plan[:n], told)
		}
		if r.Failed() {
			r.Fatalf("cuts %v", plan[:n-len(left)])
		}
		plan = plan[n-len(left):]
	}
	r.finish()
}

// offsets are the cuts of one direction: all from the first to the last where the step is 1, else every step and all of the first
// head and the last tail octets.
func offsets(up bool, how string, last, step, head, tail int64) (plan []cut) {
	for at := int64(0); at <= last; at++ {
		if at%step == 0 || at < head || at > last-tail {
			plan = append(plan, cut{up, at, how})
		}
	}
	return plan
}

// TestConnectionCutAnywhere ends a connection after every octet of a small letter, in either direction and in every way: never
// lost, never doubled, and what nobody can know is in doubt.
func TestConnectionCutAnywhere(t *testing.T) {
	t.Parallel()
	const letters, size = 64, 9
	for _, how := range []string{fin, rst, stall} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "gateway.connections", "16", "gateway.per_connection", "1")
			r.enter(letters, size)
			up, down := r.measure()
			var plan []cut
			switch {
			case testing.Short():
				plan = append(offsets(true, how, up, 53, 0, 9), offsets(false, how, down, 53, 0, 9)...)
			case *dense || how != stall:
				plan = append(offsets(true, how, up, 1, 0, 0), offsets(false, how, down, 1, 0, 0)...)
			default:
				// Waiting takes its time, and the body is the same all the way.
				plan = append(offsets(true, how, up, 37, 260, 40), offsets(false, how, down, 3, 0, 60)...)
			}
			r.cutAll(plan, letters, size, patienceOf(how))
			r.sawAll(len(plan))
		})
	}
}

// patienceOf is how long a reply is awaited: nobody wants to sit before a connection on which nothing comes any more.
func patienceOf(how string) time.Duration {
	if how == stall {
		return 40 * time.Millisecond
	}
	return time.Minute
}

// sawAll demands that the cuts met all that can happen.
func (r *rig) sawAll(cuts int) {
	r.Helper()
	r.Logf("%d cuts: %v", cuts, r.seen)
	for _, s := range []agenda.CopyState{agenda.CopyAccepted, agenda.CopyDeferred, agenda.CopyDoubt} {
		if r.seen[s] == 0 && !testing.Short() {
			r.Errorf("no copy was ever %s: %v", s, r.seen)
		}
	}
}

// TestConnectionCutInALongLetter cuts where buffers, packets and commands end, with several letters on a connection.
func TestConnectionCutInALongLetter(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("megabytes for every cut")
	}
	const letters, size = 16, 200_000
	for _, how := range []string{fin, rst, stall} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "gateway.connections", "4")
			r.enter(letters, size)
			up, down := r.measure()
			var plan []cut
			for at := int64(1 << 14); at < up; at += 1 << 14 {
				plan = append(plan, cut{true, at, how}, cut{true, at + 1, how})
			}
			for i := int64(-12); i <= 12; i += 2 {
				// Around the final dot and its reply, and the same in the second letter of a connection.
				plan = append(plan, cut{true, up + i, how}, cut{true, 2*up - 180 + 10*i, how})
				plan = append(plan, cut{false, down + i, how}, cut{false, 2*down - 250 + 10*i, how})
			}
			r.cutAll(plan, letters, size, patienceOf(how))
			r.sawAll(len(plan))
		})
	}
}

// TestConnectionCutUnderTLS cuts handshake, login and records.
func TestConnectionCutUnderTLS(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a handshake for every cut")
	}
	const letters, size = 24, 9
	for _, how := range []string{fin, rst, stall} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			r := newRigTLS(t, mail.TLSStartTLS, "gateway.connections", "8", "gateway.per_connection", "1")
			r.enter(letters, size)
			up, down := r.measure()
			plan := append(offsets(true, how, up, 83, 0, 8), offsets(false, how, down, 83, 0, 8)...)
			patience := patienceOf(how)
			if how == stall {
				patience = 150 * time.Millisecond // a handshake is work
			}
			r.cutAll(plan, letters, size, patience)
			r.Logf("%d cuts in %d and %d octets: %v", len(plan), up, down, r.seen)
		})
	}
}

// TestNoNumberBeforeTheGateway cuts the one connection that a kriptogram waits for: until the gateway has let us in, no number is
// used.
func TestNoNumberBeforeTheGateway(t *testing.T) {
	t.Parallel()
	r := newRigTLS(t, mail.TLSStartTLS)
	name := r.signed("jateng")
	tried := 0
	for _, c := range []cut{{true, 0, fin}, {false, 0, rst}, {false, 10, fin}, {true, 9, rst}, {false, 60, stall}, {true, 120, fin}, {false, 700, rst}, {true, 500, stall}} {
		s := r.gateway(loopback.Options{})
		p := r.proxy(s.Addr(), c)
		r.dial = impatient(150*time.Millisecond, r.dial)
		told := r.send(s, name, "--json")
		if left := p.end(); len(left) > 0 {
			t.Fatalf("%v: no connection", c)
		}
		if told.Exit != exitDeferred || r.copies(name) != "signed" || told.Waiting != 1 {
			t.Errorf("%v: status %d, %s, %+v", c, told.Exit, r.copies(name), told)
		}
		tried++
	}
	if tried == 0 {
		t.Error("nothing tried")
	}
	r.finish()
	if r.copies(name) != "accepted" {
		t.Errorf("at the end: %s", r.copies(name))
	}
}
