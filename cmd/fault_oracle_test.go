package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/oracle"
	"sandi/cmd/internal/vault"
	"sandi/mail"
	"sandi/mail/loopback"
)

// TestOracle bends what one of the three says; an oracle that misses it would let every other fault test pass.
func TestOracle(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.enter(3, 9)
	s := r.gateway(loopback.Options{})
	r.dial = to(s.Addr())
	told := r.send(s, "S1", "S2")
	if len(r.taken) != 2 || len(told.Fates) != 2 {
		t.Fatalf("%d taken, told %+v", len(r.taken), told)
	}
	secret := filepath.Join(r.desk, "vault", "tmp", "sisa")
	s1 := told.Fates[0].Entry
	for name, c := range map[string]struct {
		bend func(*oracle.Witness)
		want string
	}{
		"nothing":    {func(*oracle.Witness) {}, ""},
		"not_there":  {func(w *oracle.Witness) { w.Taken = w.Taken[1:] }, "O5"},
		"twice":      {func(w *oracle.Witness) { w.Taken = append(w.Taken, w.Taken[0]) }, "O4"},
		"a_stranger": {func(w *oracle.Witness) { w.Taken = append(w.Taken, loopback.Accepted{EnvelopeID: "asing"}) }, "O3"},
		"cut_short":  {func(w *oracle.Witness) { w.Taken[0].Data = w.Taken[0].Data[1:] }, "O3"},
		"bent":       {func(w *oracle.Witness) { w.Taken[0].Data[9] ^= 1 }, "O3"},
		"told_doubt": {func(w *oracle.Witness) { w.Told.Fates[0].State = agenda.CopyDoubt }, "O7 O8"},
		"failed":     {func(w *oracle.Witness) { w.Told.Fates[0].State, w.Told.Failed = agenda.CopyDoubt, true }, "O7 O8"},
		"failed_sync": {func(w *oracle.Witness) {
			w.Told.Fates[0].State, w.Told.Failed, w.Told.Unsynced = agenda.CopyDoubt, true, true
		}, "O8"},
		"told_wrong":  {func(w *oracle.Witness) { w.Told.Fates[0].Copy = 2 }, "O7"},
		"exit":        {func(w *oracle.Witness) { w.Told.Exit = exitDeferred }, "O8"},
		"summary":     {func(w *oracle.Witness) { w.Told.Summary[0] = 1 }, "O8"},
		"plain_text":  {func(w *oracle.Witness) { r.check(os.WriteFile(secret, []byte("x "+testPassword), 0o600)) }, "O6"},
		"untold_wait": {func(w *oracle.Witness) { w.Told.Waiting = 1 }, "O8"},
	} {
		r.read(func(d *desk.Desk) {
			again := *told
			again.Fates = slices.Clone(told.Fates)
			w := witness(d, slices.Clone(r.taken), &again)
			for i := range w.Taken {
				w.Taken[i].Data = bytes.Clone(w.Taken[i].Data)
			}
			c.bend(&w)
			bad, err := w.Judge(t.Context())
			r.check(err)
			var rules []string
			for _, b := range bad {
				rule, _, _ := strings.Cut(b, ":")
				rules = append(rules, rule)
			}
			if got := strings.Join(slices.Compact(rules), " "); got != c.want {
				t.Errorf("%s: %v, want %q", name, bad, c.want)
			}
		})
		os.Remove(secret)
	}
	// A copy that lies open here and is at the gateway.
	r.dial = to("127.0.0.1:1")
	if _, talk, exit := r.sandi("send", "S3", "--queue"); exit != exitDeferred || r.copies("S3") != "ready" {
		t.Fatalf("queued: status %d, %s\n%s", exit, r.copies("S3"), talk)
	}
	r.read(func(d *desk.Desk) {
		e, err := d.Book.Entry(t.Context(), agenda.Name{Book: agenda.Surat, Year: 2026, Serial: 3})
		r.check(err)
		data, err := os.ReadFile(filepath.Join(r.desk, vault.ObjectPath(e.Copies[0].Message)))
		r.check(err)
		w := witness(d, append(slices.Clone(r.taken), loopback.Accepted{EnvelopeID: mail.EnvelopeID(e.Copies[0].MessageID), Data: data}), nil)
		bad, err := w.Judge(t.Context())
		r.check(err)
		if len(bad) != 1 || !strings.HasPrefix(bad[0], "O3") {
			t.Errorf("ready here and at the gateway: %v", bad)
		}
	})
	// A vault with a hole.
	r.read(func(d *desk.Desk) {
		e, err := d.Book.Entry(t.Context(), s1)
		r.check(err)
		path := filepath.Join(r.desk, vault.ObjectPath(e.Copies[0].Message))
		r.check(os.Rename(path, path+".weg"))
		w := witness(d, nil, nil)
		bad, err := w.Judge(t.Context())
		r.check(err)
		if len(bad) < 2 || !strings.HasPrefix(bad[0], "O2") {
			t.Errorf("a hole in the vault: %v", bad)
		}
		r.check(os.Rename(path+".weg", path))
	})
}
