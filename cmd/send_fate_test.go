package cmd

import (
	"strings"
	"testing"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/messages"
)

// TestFate: what ended an attempt is told in words, and an answer that could not be read is no lost connection.
func TestFate(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 3, 9, 0, 0, time.UTC)
	for _, c := range []struct {
		state       agenda.CopyState
		reply, code string
		id, en      string
	}{
		{agenda.CopyDoubt, "", "mail.connect", "BELUM PASTI: sambungan putus 10.09 WIB", "UNCERTAIN: connection lost 10.09 WIB"},
		{agenda.CopyDoubt, "", "", "BELUM PASTI: sambungan putus 10.09 WIB", "UNCERTAIN: connection lost 10.09 WIB"},
		{agenda.CopyDoubt, "", "mail.timeout", "BELUM PASTI: server tidak menjawab 10.09 WIB", "UNCERTAIN: no answer from the server 10.09 WIB"},
		{agenda.CopyDoubt, "", "mail.protocol", "BELUM PASTI: jawaban server tidak jelas 10.09 WIB", "UNCERTAIN: answer of the server not clear 10.09 WIB"},
		{agenda.CopyDeferred, "", "mail.connect", "tertunda, dicoba lagi mulai 10.09 WIB: sambungan putus", "deferred, to be tried again from 10.09 WIB: connection lost"},
		{agenda.CopyDeferred, "", "mail.protocol", "tertunda, dicoba lagi mulai 10.09 WIB: jawaban server tidak jelas", "deferred, to be tried again from 10.09 WIB: answer of the server not clear"},
		{agenda.CopyDeferred, "451 busy", "mail.deferred", "tertunda, dicoba lagi mulai 10.09 WIB: 451 busy", "deferred, to be tried again from 10.09 WIB: 451 busy"},
	} {
		x := desk.Delivery{State: c.state, Reply: c.reply, Code: c.code, At: at, NextAt: at}
		for lang, want := range map[messages.Lang]string{messages.Indonesian: c.id, messages.English: c.en} {
			a, _, _ := run(t, lang)
			if got := a.fate(x); !strings.HasPrefix(got, want) {
				t.Errorf("%s %s: %q, want %q", c.state, c.code, got, want)
			}
		}
	}
}

// TestUntried: an entry of which a copy was sent is not called untried as a whole.
func TestUntried(t *testing.T) {
	t.Parallel()
	name := func(n int) agenda.Name { return agenda.Name{Book: agenda.Surat, Year: time.Now().Year(), Serial: n} }
	a, _, _ := run(t, messages.Indonesian)
	got := a.untried([]desk.Delivery{
		{Entry: name(1), Copy: 3, Of: 3},
		{Entry: name(1), Copy: 2, Of: 3},
		{Entry: name(2), Copy: 1, Of: 2},
		{Entry: name(3), Copy: 1, Of: 1},
		{Entry: name(2), Copy: 2, Of: 2},
	})
	if want := "S1 (salinan 2, 3), S2-S3"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
