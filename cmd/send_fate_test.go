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
