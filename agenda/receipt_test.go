package agenda

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReceipts(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	id := b.at(Surat, StateReleased).ID
	ref := CopyRef{Entry: id, Copy: 1}
	ctx := t.Context()
	b.deliver(ref, CopyAccepted)
	before := b.entry(id)
	open, err := b.Unconfirmed(ctx, time.Time{}, time.Now().Add(100*365*24*time.Hour))
	if err != nil || len(open) != 1 || open[0] != (Outstanding{Ref: ref, Book: Surat, SettledAt: before.Copies[0].SettledAt}) {
		t.Fatalf("unconfirmed %v: %v", open, err)
	}
	relay := Receipt{
		Ref: ref, Kind: ReceiptDSN, Action: "relayed", Status: "2.0.0", Matched: MatchedEnvelope,
		At: time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC), Address: "jateng@contoh.test", Remote: "mx.contoh.test",
		Object: NewObject("message/rfc822", []byte("dsn")),
	}
	read := relay
	read.Kind, read.Action, read.Status, read.Matched = ReceiptMDN, "displayed", "", MatchedMessage
	read.Object = NewObject("message/rfc822", []byte("mdn"))
	for i, want := range []bool{false, true} {
		for _, r := range []Receipt{relay, read} {
			known, err := b.NoteReceipt(ctx, clerk, r)
			if err != nil || known != want {
				t.Fatalf("note %d of %s: known %v, %v", i, r.Kind, known, err)
			}
		}
	}
	got, err := b.Receipts(ctx, id)
	if err != nil || len(got) != 2 {
		t.Fatalf("%d receipts: %v", len(got), err)
	}
	for i, want := range []Receipt{relay, read} {
		want.Seq, want.NotedAt, want.Object = got[i].Seq, got[i].NotedAt, Object{SHA256: want.Object.SHA256}
		if diff := cmp.Diff(want, got[i]); diff != "" {
			t.Errorf("receipt %d (-want +got):\n%s", i, diff)
		}
	}
	if got[0].Arrived() || !got[1].Arrived() || got[0].Failed() {
		t.Error("a relay is not an arrival, a reading is")
	}
	if open, err := b.Unconfirmed(ctx, time.Time{}, time.Now().Add(100*365*24*time.Hour)); err != nil || len(open) != 0 {
		t.Errorf("unconfirmed after it was read: %v %v", open, err)
	}
	if day, err := b.ReceiptsBetween(ctx, relay.At, relay.At.Add(time.Second)); err != nil || len(day) != 2 {
		t.Errorf("%d receipts of the day: %v", len(day), err)
	}
	after := b.entry(id)
	if after.State != before.State || after.Copies[0].State != CopyAccepted {
		t.Errorf("a receipt changed %s to %s", before.State, after.State)
	}
	for _, key := range []string{before.Copies[0].MessageID, left(before.Copies[0].MessageID)} {
		if found, err := b.CopyByMessage(ctx, key); err != nil || found != ref {
			t.Errorf("copy by %s: %v %v", key, found, err)
		}
	}
	b.clean()
}

func left(id string) string {
	for i := range id {
		if id[i] == '@' {
			return id[:i]
		}
	}
	return id
}
