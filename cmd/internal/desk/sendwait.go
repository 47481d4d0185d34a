package desk

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"sandi/agenda"
)

const (
	firstWait = time.Minute // for a gateway that is not there
	lastWait  = 15 * time.Minute
	busyWait  = 5 * time.Second // for another sender of this desk
	together  = time.Minute     // copies that are due so soon after the first one go with it
)

// Pause is a wait between two turns of a sending.
type Pause struct {
	Until  time.Time
	Copies int // that wait
	Due    int // of those, tried at the end of the pause
}

// SendWaiting is Send, and then waits and tries again what was put off, now or,
// with Due, before, each copy when its time has come, until nothing is left that
// time can mend.
// between is told before each wait. The desk is free for others while it waits.
// What needs a person (a wrong password, a refusal, a doubt) is not waited for,
// and what another process voids or settles meanwhile is no more.
func (d *Desk) SendWaiting(ctx context.Context, p SendParams, between func(Pause)) (SendResult, error) {
	first := p
	first.waits = true
	total, err := d.Send(ctx, first)
	patience := firstWait
	for {
		list := total.putOff()
		if err != nil || len(list) == 0 || loginRefused(total.Down) {
			return total, err
		}
		now := d.Now()
		pause := pauseFor(list, now, patience)
		if slices.ContainsFunc(list, func(x Delivery) bool { return !x.NextAt.After(now) }) {
			patience = min(2*patience, lastWait)
		} else {
			patience = firstWait
		}
		if between != nil {
			between(pause)
		}
		if err := sleep(ctx, pause.Until.Sub(d.Now())); err != nil {
			return total, err
		}
		again := p
		again.Names, again.later, again.Due, again.All, again.Confirm, again.AskQueue = namesOf(list), true, false, false, nil, nil
		var res SendResult
		res, err = d.Send(ctx, again)
		for coded(err) == CodeBusy {
			if err := sleep(ctx, busyWait); err != nil {
				return total, err
			}
			res, err = d.Send(ctx, again)
		}
		total.merge(res)
		err = errors.Join(err, d.review(context.WithoutCancel(ctx), &total))
	}
}

// pauseFor is the pause until the first copies are due. Those whose time has
// come wait for the gateway alone.
func pauseFor(list []Delivery, now time.Time, patience time.Duration) Pause {
	due := make([]time.Time, len(list))
	for i, x := range list {
		due[i] = now.Add(patience)
		if x.NextAt.After(now) {
			due[i] = x.NextAt
		}
	}
	p := Pause{Copies: len(list)}
	last := slices.MinFunc(due, time.Time.Compare).Add(together)
	for _, at := range due {
		if !at.After(last) && at.After(p.Until) {
			p.Until = at
		}
	}
	for _, x := range list {
		if !x.NextAt.After(p.Until) {
			p.Due++
		}
	}
	return p
}

// pending tells whether a copy is still to be tried, by this process or by
// another one that is at it.
func pending(s agenda.CopyState) bool {
	switch s {
	case "", agenda.CopyReady, agenda.CopyDeferred, agenda.CopyClaimed, agenda.CopyArmed:
		return true
	}
	return false
}

// putOff are the copies that time alone can bring on.
func (r *SendResult) putOff() []Delivery {
	return slices.DeleteFunc(slices.Concat(r.Deliveries, r.Waiting), func(x Delivery) bool { return !pending(x.State) })
}

// namesOf are the entries of copies, each once.
func namesOf(list []Delivery) []agenda.Name {
	var names []agenda.Name
	for _, x := range list {
		if !slices.Contains(names, x.Entry) {
			names = append(names, x.Entry)
		}
	}
	return names
}

// merge takes over a later turn: the newest word on every copy.
func (r *SendResult) merge(later SendResult) {
	type key struct {
		entry agenda.Name
		copy  int
	}
	tried := map[key]agenda.CopyState{}
	for _, x := range r.Deliveries {
		tried[key{x.Entry, x.Copy}] = x.State
	}
	// What an earlier turn brought to a person is told as tried, not as skipped.
	skipped := slices.DeleteFunc(later.Skipped, func(x Delivery) bool {
		return x.Code == "" && tried[key{x.Entry, x.Copy}] == x.State
	})
	told := map[key]bool{}
	for _, x := range slices.Concat(later.Deliveries, later.Waiting, skipped) {
		told[key{x.Entry, x.Copy}] = true
	}
	newest := func(was, now []Delivery) []Delivery {
		return append(slices.DeleteFunc(was, func(x Delivery) bool { return told[key{x.Entry, x.Copy}] }), now...)
	}
	r.Deliveries = newest(r.Deliveries, later.Deliveries)
	r.Waiting = newest(r.Waiting, later.Waiting)
	r.Skipped = newest(r.Skipped, skipped)
	r.Released = append(r.Released, later.Released...)
	r.Doubted = append(r.Doubted, later.Doubted...)
	r.Copied, r.Older = r.Copied || later.Copied, r.Older || later.Older
	r.Down, r.Outage = later.Down, cmp.Or(later.Outage, r.Outage)
}

// review reads again what was put off: until when a copy waits the book says,
// and one that another process voided or settled meanwhile waits no more and is
// told as skipped.
func (d *Desk) review(ctx context.Context, r *SendResult) error {
	ids, now := make([]int64, len(r.Entries)), map[agenda.Name]agenda.Entry{}
	for i, e := range r.Entries {
		ids[i] = e.ID
	}
	var err error
	if r.Entries, err = d.briefly(ctx, ids); err != nil {
		return err
	}
	for _, e := range r.Entries {
		now[e.Name] = e
	}
	newest := func(list []Delivery) (kept []Delivery) {
		for _, x := range list {
			if pending(x.State) {
				e := now[x.Entry]
				c, err := copyOf(e, x.Copy)
				if err == nil {
					x = x.as(e, c)
				}
				if err != nil || !pending(x.State) || e.State == agenda.StateVoid {
					x.Code = agenda.ErrChanged.Code()
					r.Skipped = append(r.Skipped, x)
					continue
				}
			}
			kept = append(kept, x)
		}
		return kept
	}
	r.Deliveries, r.Waiting = newest(r.Deliveries), newest(r.Waiting)
	r.strike()
	return nil
}
