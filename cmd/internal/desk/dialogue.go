package desk

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"sandi/agenda"
)

// Dialogue is what was said with the gateway in the attempts at a copy, up to
// an event that decided on it. Secrets were never in it.
type Dialogue struct {
	Copy  int
	At    time.Time        // zero: not decided yet
	State agenda.CopyState // that the copy came to; deferred: not decided yet
	Text  []byte
}

// Dialogues reads what is kept as evidence of every attempt at the copies of an
// entry, oldest first.
func (d *Desk) Dialogues(ctx context.Context, entry int64) ([]Dialogue, error) {
	all := []Dialogue{}
	err := d.Book.Within(ctx, func(ctx context.Context) error {
		events, err := d.Book.History(ctx, entry)
		if err != nil {
			return err
		}
		for _, ev := range events {
			x := Dialogue{At: ev.At}
			for _, f := range ev.Fields {
				switch f.Key {
				case "copy":
					x.Copy, _ = strconv.Atoi(f.Value)
				case "to":
					x.State = agenda.CopyState(f.Value)
				case "dialogue":
					sum, err := agenda.ParseHash(f.Value)
					if err != nil {
						return err
					}
					o, err := d.Book.Object(ctx, sum)
					if err != nil {
						return err
					}
					x.Text = o.Data
				}
			}
			if x.Text != nil {
				all = append(all, x)
			}
		}
		open, err := d.Book.Attempted(ctx, entry)
		for _, n := range slices.Sorted(maps.Keys(open)) {
			all = append(all, Dialogue{Copy: n, State: agenda.CopyDeferred, Text: open[n]})
		}
		return err
	})
	return all, err
}
