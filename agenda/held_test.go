package agenda

import (
	"errors"
	"testing"
	"time"
)

// What the index says of the copies of a letter, and of the letter itself beside
// its text, is held against the log by whoever acts on it or reports it: nothing
// is lost, sent again or told otherwise.
func TestChangedCopiesAreRefused(t *testing.T) {
	t.Parallel()
	whole := func(b *Book, id int64) error { _, err := b.EntryByID(t.Context(), id); return err }
	resolve := func(r Resolution) func(*Book, int64) error {
		return func(b *Book, id int64) error { _, err := b.Resolve(t.Context(), clerk, CopyRef{id, 1}, r); return err }
	}
	reopen := resolve(Resolution{To: CopyReady, Reason: "dicoba lagi"})
	cancel := resolve(Resolution{To: CopyCancelled, Reason: "tidak jadi"})
	readdress := func(b *Book, id int64) error {
		return b.Readdress(t.Context(), clerk, CopyRef{id, 1}, FrozenCopy{
			Copy: 1, Message: vaulted("again"), MessageID: "again@contoh.test", Address: "lain@contoh.test", Addressee: 13,
		}, "alamat lain")
	}
	recover := func(b *Book, id int64) error { _, _, err := b.Recover(t.Context(), clerk); return err }
	restore := func(b *Book, id int64) error { _, err := b.Restored(t.Context(), clerk, "disalin"); return err }
	last := func(b *Book, id int64) error { // the other copy, which brings the entry to its end
		ref := CopyRef{id, 2}
		if _, err := b.Claim(t.Context(), []CopyRef{ref}); err != nil {
			return err
		}
		if err := b.Arm(t.Context(), ref); err != nil {
			return err
		}
		return b.Conclude(t.Context(), clerk, ref, Settlement{State: CopyAccepted, Route: "smtp", Reply: "250 ok"})()
	}
	queued := func(state string) string {
		return "INSERT INTO outbox(entry, copy, state, attempt, since, note) SELECT entry, copy, '" + state + "', 1, '', '' FROM copy WHERE copy=1"
	}
	for name, c := range map[string]struct {
		first CopyState // of the first copy; "": all are sent and filed
		edit  string
		acts  []func(*Book, int64) error
	}{
		"settled unsent":    {CopyReady, "UPDATE copy SET state='accepted', settled_at='2026-11-20T02:10:00.000Z' WHERE copy=1; DELETE FROM outbox WHERE copy=1", []func(*Book, int64) error{whole, last}},
		"cancelled unsent":  {CopyReady, "UPDATE copy SET state='cancelled' WHERE copy=1; DELETE FROM outbox WHERE copy=1", []func(*Book, int64) error{whole, last}},
		"copy gone":         {CopyReady, "DELETE FROM copy WHERE copy=1; DELETE FROM outbox WHERE copy=1", []func(*Book, int64) error{whole, last}},
		"in doubt again":    {CopyAccepted, "UPDATE copy SET state='doubt' WHERE copy=1", []func(*Book, int64) error{whole, reopen, cancel}},
		"handed":            {CopyAccepted, "UPDATE copy SET state='handed' WHERE copy=1", []func(*Book, int64) error{whole, reopen, cancel, restore}},
		"refused":           {CopyAccepted, "UPDATE copy SET state='rejected' WHERE copy=1", []func(*Book, int64) error{whole, cancel, readdress, restore}},
		"ready again":       {CopyAccepted, "UPDATE copy SET state='ready' WHERE copy=1", []func(*Book, int64) error{whole, cancel, restore}},
		"queued as doubt":   {CopyAccepted, queued("doubt"), []func(*Book, int64) error{whole, reopen, cancel, recover}},
		"queued as refused": {CopyAccepted, queued("rejected"), []func(*Book, int64) error{whole, cancel, readdress}},
		"queued as armed":   {CopyAccepted, queued("armed"), []func(*Book, int64) error{whole, recover}},
		"queued":            {CopyAccepted, queued("deferred"), []func(*Book, int64) error{whole, cancel}},
		"doubt of a queue":  {CopyReady, "UPDATE outbox SET state='doubt' WHERE copy=1", []func(*Book, int64) error{whole, reopen, recover}},
		"settled earlier":   {CopyAccepted, "UPDATE copy SET settled_at='2026-01-20T02:10:00.000Z' WHERE copy=1", []func(*Book, int64) error{whole}},
		"answer of another": {CopyAccepted, "UPDATE copy SET last=(SELECT max(seq) FROM event WHERE CAST(record AS TEXT) LIKE '%type copy.accepted%copy 2%') WHERE copy=1", []func(*Book, int64) error{whole}},
		"other message":     {"", "UPDATE copy SET message=(SELECT message FROM copy WHERE copy=2) WHERE copy=1", []func(*Book, int64) error{whole}},
		"other id":          {"", "UPDATE copy SET message_id='x@contoh.test' WHERE copy=1", []func(*Book, int64) error{whole}},
		"other kind":        {"", "UPDATE copy SET kind='cc' WHERE copy=1", []func(*Book, int64) error{whole}},
		"other place":       {"", "UPDATE copy SET offset=offset+1 WHERE copy=1", []func(*Book, int64) error{whole}},
		"other box":         {"", "UPDATE copy SET box='2025/surat.mbox' WHERE copy=1", []func(*Book, int64) error{whole}},
		"sent earlier":      {"", "UPDATE entry SET sent_at='2026-01-20T02:10:00.000Z'", []func(*Book, int64) error{whole}},
		"released earlier":  {"", "UPDATE entry SET released_at='2026-01-20T02:10:00.000Z'", []func(*Book, int64) error{whole}},
		"number":            {"", "UPDATE entry SET number='002/DKI/XI/2026'", []func(*Book, int64) error{whole}},
		"ordered":           {"", "UPDATE entry SET ordered=1", []func(*Book, int64) error{whole}},
		"draft":             {"", "UPDATE entry SET draft=3", []func(*Book, int64) error{whole}},
		"registered":        {"", "UPDATE entry SET registered_at='2026-01-20T02:10:00.000Z'", []func(*Book, int64) error{whole}},
		"last":              {"", "UPDATE entry SET last=last-1", []func(*Book, int64) error{whole}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, act := range c.acts {
				b := newPeopledBook(t)
				var e Entry
				if c.first == "" {
					e = b.at(Surat, StateArchived)
				} else {
					e = b.at(Surat, StateReleased)
					if c.first != CopyReady {
						b.deliver(CopyRef{e.ID, 1}, c.first)
					}
				}
				b.clock.add(time.Second)
				b.sql(c.edit)
				again := b.second()
				events := eventsIn(t, again)
				if err := act(again, e.ID); !errors.Is(err, ErrTampered) {
					t.Errorf("act %d: %v", i, err)
				}
				if n := eventsIn(t, again); n > events {
					t.Errorf("act %d: %d events more", i, n-events)
				}
			}
		})
	}
}
