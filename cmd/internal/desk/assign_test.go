package desk

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sandi/agenda"
	"sandi/mail/loopback"
)

// Whoever read the entry before another one recorded the order adds no second line.
func TestAssignRecordsAnOrderOnce(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	got, err := f.Book.Register(t.Context(), f.Nobody(), agenda.Registration{Letter: f.entry(f.ordinary("jateng")).Letter})
	f.check(err)
	early := f.entry(got[0].Entry)
	now := f.now().Truncate(time.Minute)
	order := agenda.Order{From: "kepala-seksi", To: "operator"}
	given := order
	given.At = now
	made, stood, err := f.Assign(t.Context(), f.Nobody(), early, []agenda.Order{order})
	f.check(err)
	ignore := cmpopts.IgnoreFields(agenda.Order{}, "RecordedAt", "Actor", "Seq")
	if diff := cmp.Diff([]agenda.Order{given}, made); diff != "" || stood != nil {
		t.Errorf("made (-want +got):\n%s stood %v", diff, stood)
	}
	if _, _, err = f.Assign(t.Context(), f.Nobody(), early, []agenda.Order{order}); coded(err) != "agenda.changed" {
		t.Errorf("on the entry as it was: %v", err)
	}
	another := given
	another.At, another.Text = now.Add(-time.Hour), "segera"
	for _, c := range []struct {
		name  string
		order agenda.Order
		stood bool
	}{
		{"nothing said", order, true},
		{"the same time", given, true},
		{"another time and words", another, false},
		{"the same words", agenda.Order{From: order.From, To: order.To, Text: "segera"}, true},
		{"another link", agenda.Order{From: "kepala-dinas", To: "kepala-seksi"}, false},
	} {
		made, stood, err := f.Assign(t.Context(), f.Nobody(), f.entry(early.Name), []agenda.Order{c.order})
		f.check(err)
		if (len(stood) == 1) != c.stood || len(made)+len(stood) != 1 {
			t.Errorf("%s: made %v, stood %v", c.name, made, stood)
		}
	}
	want := []agenda.Order{given, another, {From: "kepala-dinas", To: "kepala-seksi", At: now}}
	if diff := cmp.Diff(want, f.entry(early.Name).Orders, ignore); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
	f.audited()
}
