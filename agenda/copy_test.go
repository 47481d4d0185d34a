package agenda

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var allCopyStates = []CopyState{
	CopyReady, CopyClaimed, CopyArmed, CopyDeferred, CopyAccepted, CopyRejected, CopyDoubt, CopyEvidenced, CopyHanded, CopyCancelled,
}

// put brings the second of three copies into a state.
func (b *book) put(s CopyState) (Entry, CopyRef) {
	b.t.Helper()
	e := b.at(Kriptogram, StateReleased)
	ref := CopyRef{e.ID, 2}
	resolve := func(r Resolution) {
		b.t.Helper()
		_, err := b.Resolve(b.t.Context(), clerk, ref, r)
		b.must(err)
	}
	switch s {
	case CopyClaimed:
		_, err := b.Claim(b.t.Context(), []CopyRef{ref})
		b.must(err)
	case CopyArmed:
		b.claimArm(ref)
	case CopyDeferred:
		b.claimArm(ref)
		b.must(b.Defer(b.t.Context(), ref, b.clock.Now().Add(time.Hour), "451 nanti", []byte("C: RCPT\nS: 451 nanti\n")))
	case CopyAccepted, CopyRejected, CopyDoubt:
		b.deliver(ref, s)
	case CopyEvidenced:
		b.deliver(ref, CopyDoubt)
		resolve(Resolution{To: CopyEvidenced, Basis: "file", Evidence: data("sent list"), At: b.clock.Now().Add(-time.Hour)})
	case CopyHanded:
		resolve(Resolution{To: CopyHanded, Route: "manual"})
	case CopyCancelled:
		resolve(Resolution{To: CopyCancelled, Reason: "tidak jadi"})
	}
	return b.entry(e.ID), ref
}

// TestCopyMoves tries every decision and every result in every state of a
// copy against the table, written here a second time on purpose.
func TestCopyMoves(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	resolved := map[CopyState][]CopyState{
		CopyDoubt:    {CopyEvidenced, CopyReady, CopyCancelled},
		CopyHanded:   {CopyEvidenced, CopyReady, CopyCancelled},
		CopyReady:    {CopyHanded, CopyCancelled},
		CopyDeferred: {CopyHanded, CopyCancelled},
		CopyRejected: {CopyCancelled, CopyHanded},
	}
	settled := map[CopyState][]CopyState{
		CopyClaimed: {CopyRejected},
		CopyArmed:   {CopyAccepted, CopyRejected, CopyDoubt},
	}
	check := func(what string, from, to CopyState, table map[CopyState][]CopyState, err error, e Entry) {
		t.Helper()
		if slices.Contains(table[from], to) {
			if err != nil {
				t.Errorf("%s %s → %s: %v", what, from, to, err)
			} else if got := e.Copies[1].State; got != to {
				t.Errorf("%s %s → %s: state %s", what, from, to, got)
			}
		} else if codeOf(err) != "agenda.step_order" {
			t.Errorf("%s %s → %s: %v", what, from, to, err)
		}
	}
	for _, from := range allCopyStates {
		for _, to := range allCopyStates {
			e, ref := b.put(from)
			if got := e.Copies[1].State; got != from {
				t.Fatalf("copy is %s, want %s", got, from)
			}
			e, err := b.Resolve(t.Context(), clerk, ref, Resolution{To: to, Basis: "claim", Reason: "alasan"})
			check("resolve", from, to, resolved, err, e)
			_, ref = b.put(from)
			e, err = b.Settle(t.Context(), clerk, ref, Settlement{State: to, Route: "smtp", Reply: "x"})
			check("settle", from, to, settled, err, e)
		}
	}
	b.clean()
}

func TestDeliveryRetries(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e, ref := b.put(CopyDeferred)
	now := b.clock.Now()
	ready := func(at time.Time, names []Name, all bool) []int {
		t.Helper()
		refs, err := b.Ready(t.Context(), at, names, all)
		b.must(err)
		var out []int
		for _, r := range refs {
			out = append(out, r.Copy)
		}
		return out
	}
	if diff := cmp.Diff([]int{1, 3}, ready(now, nil, false)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1, 2, 3}, ready(now, []Name{e.Name}, true)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1, 2, 3}, ready(now.Add(time.Hour), nil, false)); diff != "" {
		t.Error(diff)
	}
	if _, err := b.Ready(t.Context(), now, []Name{{Kriptogram, 99, 2026}}, true); codeOf(err) != "agenda.not_found" {
		t.Error(err)
	}
	c := e.Copies[1]
	if c.Attempts != 1 || c.LastReply != "451 nanti" || !c.NextAt.Equal(now.Add(time.Hour)) {
		t.Errorf("%+v", c)
	}
	claimed, err := b.Claim(t.Context(), []CopyRef{ref, ref})
	b.must(err)
	want := []Claimed{{
		CopyRef: ref, Attempt: 2, Entry: e.Name, Number: e.Number, Message: c.Message, Size: c.Size, MessageID: c.MessageID,
		Address: "batang@contoh.test",
	}}
	if diff := cmp.Diff(want, claimed); diff != "" {
		t.Error(diff)
	}
	if err := b.Arm(t.Context(), CopyRef{e.ID, 1}); codeOf(err) != "agenda.changed" {
		t.Errorf("armed without a claim: %v", err)
	}
	b.must(b.Arm(t.Context(), ref))
	if _, err := b.Settle(t.Context(), clerk, ref, Settlement{State: CopyAccepted, Attempt: 1}); codeOf(err) != "agenda.changed" {
		t.Errorf("result of another attempt: %v", err)
	}
	e, err = b.Settle(t.Context(), clerk, ref, Settlement{State: CopyRejected, Attempt: 2, Reply: "550 tidak ada"})
	b.must(err)
	if e.State != StateReleased || e.Copies[1].Attempts != 2 {
		t.Errorf("%s %+v", e.State, e.Copies[1])
	}
	frozen := FrozenCopy{Copy: 2, Message: vaulted("new message"), MessageID: "<new@contoh.test>", Address: "baru@contoh.test", Addressee: b.addressee(e, 2)}
	b.must(b.Readdress(t.Context(), clerk, ref, frozen, "alamat baru"))
	e = b.entry(e.ID)
	if c := e.Copies[1]; c.State != CopyReady || c.Address != "baru@contoh.test" || c.Message != frozen.Message.SHA256 || c.MessageID != frozen.MessageID || c.Attempts != 2 {
		t.Errorf("%+v", c)
	}
	if err := b.Readdress(t.Context(), clerk, ref, frozen, "lagi"); codeOf(err) != "agenda.step_order" {
		t.Errorf("readdressed while ready: %v", err)
	}
	b.clean()
}

func TestRecover(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e := b.at(Kriptogram, StateReleased)
	b.claimArm(CopyRef{e.ID, 1})
	_, err := b.Claim(t.Context(), []CopyRef{{e.ID, 2}})
	b.must(err)
	doubted, deferred, err := b.Recover(t.Context(), clerk)
	b.must(err)
	if diff := cmp.Diff([][]CopyRef{{{e.ID, 1}}, {{e.ID, 2}}}, [][]CopyRef{doubted, deferred}); diff != "" {
		t.Error(diff)
	}
	e = b.entry(e.ID)
	states := []CopyState{e.Copies[0].State, e.Copies[1].State, e.Copies[2].State}
	if diff := cmp.Diff([]CopyState{CopyDoubt, CopyDeferred, CopyReady}, states); diff != "" {
		t.Error(diff)
	}
	refs, err := b.Ready(t.Context(), b.clock.Now(), nil, false)
	b.must(err)
	if diff := cmp.Diff([]CopyRef{{e.ID, 2}, {e.ID, 3}}, refs); diff != "" {
		t.Error(diff)
	}
	doubted, deferred, err = b.Recover(t.Context(), clerk)
	if err != nil || doubted != nil || deferred != nil {
		t.Errorf("again: %v %v %v", doubted, deferred, err)
	}
	b.clean()
}

func TestRestoredDoubtsAll(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e, _ := b.put(CopyDeferred)
	b.claimArm(CopyRef{e.ID, 1})
	doubted, err := b.Restored(t.Context(), clerk, "cadangan kemarin")
	b.must(err)
	if diff := cmp.Diff([]CopyRef{{e.ID, 1}, {e.ID, 2}, {e.ID, 3}}, doubted); diff != "" {
		t.Error(diff)
	}
	if refs, err := b.Ready(t.Context(), b.clock.Now(), nil, true); err != nil || len(refs) != 0 {
		t.Errorf("ready after a restore: %v, %v", refs, err)
	}
	b.clean()
}

// TestSentWithLastCopy covers when an entry counts as sent.
func TestSentWithLastCopy(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	at := b.clock.Now().Add(-30 * time.Minute)
	cancel := Resolution{To: CopyCancelled, Reason: "tidak jadi"}
	e := b.at(Kriptogram, StateReleased)
	var err error
	for copy := 1; copy <= 3; copy++ {
		e, err = b.Resolve(t.Context(), clerk, CopyRef{e.ID, copy}, cancel)
		b.must(err)
	}
	if e.State != StateReleased {
		t.Errorf("all cancelled: %s", e.State)
	}
	e = b.at(Kriptogram, StateReleased)
	b.deliver(CopyRef{e.ID, 1}, CopyDoubt)
	b.deliver(CopyRef{e.ID, 2}, CopyAccepted)
	e, err = b.Resolve(t.Context(), clerk, CopyRef{e.ID, 3}, cancel)
	b.must(err)
	if e.State != StateReleased {
		t.Errorf("one in doubt: %s", e.State)
	}
	e, err = b.Resolve(t.Context(), clerk, CopyRef{e.ID, 1}, Resolution{To: CopyEvidenced, Basis: "claim", At: at})
	b.must(err)
	if e.State != StateSent || !e.SentAt.Equal(at) || !e.Copies[0].SettledAt.Equal(at) || e.Copies[0].Basis != "claim" {
		t.Errorf("%s %s %+v", e.State, e.SentAt, e.Copies[0])
	}
	if _, err := b.Resolve(t.Context(), clerk, CopyRef{e.ID, 1}, Resolution{To: CopyReady, Reason: "x"}); codeOf(err) != "agenda.step_order" {
		t.Errorf("reopened after sent: %v", err)
	}
	if _, err := b.Claim(t.Context(), []CopyRef{{e.ID, 9}}); err != nil {
		t.Errorf("claim of a sent entry: %v", err)
	}
	b.clean()
}

// The record of every attempt at a copy goes into the book with its fate, also
// of those that were put off.
func TestEveryAttemptIsOnRecord(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		end  func(*book, CopyRef)
		last string
	}{
		"accepted": {func(b *book, ref CopyRef) {
			b.claimArm(ref)
			_, err := b.Settle(b.t.Context(), clerk, ref, Settlement{State: CopyAccepted, Dialogue: data("S: 250 ok\n")})
			b.must(err)
		}, "S: 250 ok\n"},
		"died": {func(b *book, ref CopyRef) {
			b.claimArm(ref)
			_, _, err := b.Recover(b.t.Context(), clerk)
			b.must(err)
		}, ""},
		"handed": {func(b *book, ref CopyRef) {
			_, err := b.Resolve(b.t.Context(), clerk, ref, Resolution{To: CopyHanded, Route: "manual"})
			b.must(err)
		}, ""},
		"readdressed": {func(b *book, ref CopyRef) {
			b.must(b.Readdress(b.t.Context(), clerk, ref, FrozenCopy{
				Copy: ref.Copy, Message: vaulted("new message"), MessageID: "<new@contoh.test>", Address: "lain@contoh.test",
				Addressee: b.addressee(b.entry(ref.Entry), ref.Copy),
			}, "alamat baru"))
		}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newPeopledBook(t)
			e := b.at(Kriptogram, StateReleased)
			ref := CopyRef{e.ID, 2}
			for _, said := range []string{"S: 421 pertama\n", "S: 451 kedua\n"} {
				b.claimArm(ref)
				b.must(b.Defer(t.Context(), ref, b.clock.Now(), "451 kedua\nlagi", []byte(said)))
			}
			if got := b.entry(e.ID).Copies[1].LastReply; got != "451 kedua lagi" {
				t.Errorf("shown %q", got)
			}
			c.end(b, ref)
			var got []byte
			b.must(readEvents(t.Context(), b.readers, "WHERE e.entry=$1 ORDER BY e.seq DESC LIMIT 1", []any{e.ID}, func(ev *event) error {
				o, err := b.Object(t.Context(), ev.getHash("dialogue"))
				got = o.Data
				return err
			}))
			if want := "S: 421 pertama\nS: 451 kedua\n" + c.last; string(got) != want {
				t.Errorf("on record %q, want %q", got, want)
			}
			b.clean()
		})
	}
}

// TestReleaseToSend compares it with a release and a claim, one after the other.
func TestReleaseToSend(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	for _, name := range []BookName{Kriptogram, Surat} {
		ready := StateSigned
		if name == Surat {
			ready = StateAttached
		}
		one, two := b.at(name, ready), b.at(name, ready)
		releasing := func(e Entry) Releasing {
			r := Releasing{ID: e.ID, Last: e.Last, Release: Release{Copies: b.frozenOf(e)}}
			if name == Kriptogram {
				r.Release.Number = b.propose()
			}
			return r
		}
		b.must(b.ReleaseAll(t.Context(), clerk, []Releasing{releasing(one)}))
		var refs []CopyRef
		for _, c := range one.Copies {
			refs = append(refs, CopyRef{one.ID, c.Copy})
		}
		want, err := b.Claim(t.Context(), refs)
		b.must(err)

		r := releasing(two)
		slices.Reverse(r.Release.Copies)
		wrong := r
		wrong.ID, wrong.Last = b.at(name, ready).ID, two.Last
		if got, err := b.ReleaseToSend(t.Context(), clerk, []Releasing{r, wrong}); err == nil || got != nil {
			t.Fatalf("%s: a wrong entry among them: %v, %v", name, got, err)
		}
		got, err := b.ReleaseToSend(t.Context(), clerk, []Releasing{r})
		b.must(err)
		after := b.entry(two.ID)
		for i := range want { // what differs by nature
			c := after.Copies[i]
			want[i].CopyRef, want[i].Entry, want[i].Number = CopyRef{two.ID, c.Copy}, two.Name, after.Number
			want[i].Message, want[i].MessageID = c.Message, c.MessageID
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		for _, e := range []Entry{b.entry(one.ID), after} {
			for _, c := range e.Copies {
				if c.State != CopyClaimed || c.Attempts != 1 {
					t.Errorf("%s copy %d: %s, attempt %d", e.Name, c.Copy, c.State, c.Attempts)
				}
			}
		}
	}
	doubted, deferred, err := b.Recover(t.Context(), clerk)
	if err != nil || len(doubted) != 0 || len(deferred) != 10 {
		t.Errorf("doubted %v, deferred %v, %v", doubted, deferred, err)
	}
	b.clean()
}

// What was frozen for an addressee as he was before a change is not released,
// and takes no number; frozen anew it is.
func TestReleaseForChangedAddressee(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Correspondent){
		"address": func(c *Correspondent) { c.Address = "baru@contoh.test" },
		"key":     func(c *Correspondent) { c.Subkey, c.State = fingerprint(999), "" },
		"end":     func(c *Correspondent) { c.Ended = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newPeopledBook(t)
			e := b.at(Kriptogram, StateSigned)
			frozen, number := b.frozenOf(e), b.propose()
			c, err := b.CorrespondentByID(t.Context(), e.Copies[1].Correspondent)
			b.must(err)
			change(&c)
			b.must(b.ChangeCorrespondent(t.Context(), clerk, c, "berubah"))
			_, err = b.ReleaseToSend(t.Context(), clerk, []Releasing{{ID: e.ID, Last: e.Last, Release: Release{Number: number, Copies: frozen}}})
			if codeOf(err) != "agenda.correspondent_changed" || b.entry(e.ID).State != StateSigned || *b.propose() != *number {
				t.Errorf("released: %v, %s", err, b.entry(e.ID).State)
			}
			b.must(b.Release(t.Context(), clerk, e.ID, e.Last, Release{Number: number, Copies: b.frozenOf(e)}))
			b.clean()
		})
	}
}
