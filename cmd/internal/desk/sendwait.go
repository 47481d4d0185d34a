package desk

import (
	"context"
	"time"

	"sandi/agenda"
)

const (
	firstWait = time.Minute // for a gateway that is not there
	lastWait  = 15 * time.Minute
	busyWait  = 5 * time.Second // for another sender of this desk
)

// SendWaiting is Send, and then waits and tries again what was put off, until
// nothing is left that time can mend. between is told before each wait. The
// desk is free for others while it waits. What needs a person (a wrong
// password, a refusal, a doubt) is not waited for.
func (d *Desk) SendWaiting(ctx context.Context, p SendParams, between func(until time.Time, copies int)) (SendResult, error) {
	total, err := d.Send(ctx, p)
	patience := firstWait
	for {
		names, next := total.putOff()
		if err != nil || len(names) == 0 || loginRefused(total.Down) {
			return total, err
		}
		if next.IsZero() {
			next = d.Now().Add(patience)
			patience = min(2*patience, lastWait)
		} else {
			patience = firstWait
		}
		if between != nil {
			between(next, total.left())
		}
		if err := sleep(ctx, next.Sub(d.Now())); err != nil {
			return total, err
		}
		again := p
		again.Names, again.Due, again.All, again.Confirm, again.AskQueue = names, false, false, nil, nil
		var res SendResult
		res, err = d.Send(ctx, again)
		for coded(err) == CodeBusy {
			if err := sleep(ctx, busyWait); err != nil {
				return total, err
			}
			res, err = d.Send(ctx, again)
		}
		total.merge(res)
	}
}

// putOff are the entries with copies that time alone can bring on, and when
// the first of them is due; a zero time when only the gateway is waited for.
func (r *SendResult) putOff() (names []agenda.Name, next time.Time) {
	seen := map[agenda.Name]bool{}
	add := func(n agenda.Name) {
		if !seen[n] {
			seen[n] = true
			names = append(names, n)
		}
	}
	for _, x := range r.Deliveries {
		if x.State == agenda.CopyDeferred {
			add(x.Entry)
			if next.IsZero() || x.NextAt.Before(next) {
				next = x.NextAt
			}
		}
	}
	for _, x := range r.Waiting {
		add(x.Entry)
	}
	if len(r.Waiting) > 0 {
		next = time.Time{}
	}
	return names, next
}

func (r *SendResult) left() int {
	n := len(r.Waiting)
	for _, x := range r.Deliveries {
		if x.State == agenda.CopyDeferred {
			n++
		}
	}
	return n
}

// merge takes over a later run: the newest word on every copy and entry.
func (r *SendResult) merge(later SendResult) {
	type key struct {
		entry agenda.Name
		copy  int
	}
	at := map[key]int{}
	for i, x := range r.Deliveries {
		at[key{x.Entry, x.Copy}] = i
	}
	for _, x := range later.Deliveries {
		if i, ok := at[key{x.Entry, x.Copy}]; ok {
			r.Deliveries[i] = x
		} else {
			r.Deliveries = append(r.Deliveries, x)
		}
	}
	entries := map[int64]int{}
	for i, e := range r.Entries {
		entries[e.ID] = i
	}
	for _, e := range later.Entries {
		if i, ok := entries[e.ID]; ok {
			r.Entries[i] = e
		} else {
			r.Entries = append(r.Entries, e)
		}
	}
	r.Released = append(r.Released, later.Released...)
	r.Doubted = append(r.Doubted, later.Doubted...)
	r.Waiting, r.Down = later.Waiting, later.Down
	r.Skipped = append(r.Skipped, later.Skipped...)
}
