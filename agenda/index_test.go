package agenda

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What somebody put into the index is refused by whoever would act on it, and
// nothing is written on from there.
func TestChangedIndexIsRefused(t *testing.T) {
	t.Parallel()
	correspondents := func(b *Book) error { _, err := b.Correspondents(t.Context()); return err }
	correspondent := func(b *Book) error { _, err := b.Correspondent(t.Context(), "batang"); return err }
	change := func(b *Book) error {
		return b.ChangeCorrespondent(t.Context(), clerk, Correspondent{
			Handle: "batang", Unit: "Lain", Address: "batang@contoh.test", Fingerprint: fingerprint(200), Subkey: fingerprint(300),
			Certificate: data("certificate of jateng"), State: Confirmed,
		}, "pindah")
	}
	confirm := func(b *Book) error {
		return b.ConfirmCorrespondent(t.Context(), clerk, "batang", fingerprint(200), "sandiman", "telepon")
	}
	officers := func(b *Book) error { _, err := b.Officers(t.Context(), newClock().Now()); return err }
	archiveKeys := func(b *Book) error { _, err := b.ArchiveKeys(t.Context()); return err }
	applicants := func(b *Book) error { _, err := b.Applicants(t.Context()); return err }
	whole := func(b *Book) error { _, err := b.EntryByID(t.Context(), entryID(t, b)); return err }
	addressee := func(b *Book) error {
		e, err := b.EntryByID(t.Context(), entryID(t, b))
		if err == nil {
			_, err = b.Addressee(t.Context(), e.Copies[0])
		}
		return err
	}
	claim := func(b *Book) error { _, err := b.Claim(t.Context(), []CopyRef{{entryID(t, b), 1}}); return err }
	octets := func(of string) string {
		return "DROP TRIGGER object_update; UPDATE object SET data=CAST('certificate of musuh' AS BLOB), size=20 WHERE sha256=(SELECT certificate FROM " + of + ")"
	}
	for name, c := range map[string]struct {
		state State
		edit  string
		acts  []func(*Book) error
	}{
		"key": {
			StateReleased, `UPDATE correspondent SET fingerprint=o.fingerprint, subkey=o.subkey, certificate=o.certificate
 FROM (SELECT * FROM correspondent WHERE handle='jateng') o WHERE correspondent.handle='batang'`,
			[]func(*Book) error{correspondents, correspondent, change, confirm},
		},
		"subkey":        {StateReleased, "UPDATE correspondent SET subkey='" + fingerprint(300) + "' WHERE handle='batang'", []func(*Book) error{correspondent}},
		"other_event":   {StateReleased, "UPDATE correspondent SET current=(SELECT current FROM correspondent WHERE handle='jateng') WHERE handle='batang'", []func(*Book) error{correspondent}},
		"confirmation":  {StateReleased, "UPDATE correspondent SET confirmed=(SELECT confirmed FROM correspondent WHERE handle='jateng') WHERE handle='batang'", []func(*Book) error{correspondent}},
		"unconfirmed":   {StateReleased, "UPDATE correspondent SET confirmed=current WHERE handle='batang'", []func(*Book) error{correspondent}},
		"officer":       {StateReleased, "UPDATE officer SET fingerprint='" + fingerprint(9) + "' WHERE handle='kasi'", []func(*Book) error{officers}},
		"certificate":   {StateReleased, "UPDATE officer SET certificate=(SELECT certificate FROM officer WHERE handle='operator') WHERE handle='kasi'", []func(*Book) error{officers}},
		"role":          {StateReleased, "INSERT INTO role(officer, role, kind, valid_from, current) SELECT 'operator', role, kind, valid_from, current FROM role WHERE officer='kasi'", []func(*Book) error{officers}},
		"role_again":    {StateReleased, "UPDATE role SET valid_until='2020-01-01T00:00:00.000Z' WHERE officer='kasi'", []func(*Book) error{officers}},
		"sent_again":    {StateArchived, "UPDATE copy SET state='ready'; UPDATE entry SET state='released'; INSERT INTO outbox(entry, copy, state, attempt, since, note) SELECT entry, copy, 'ready', 0, '', '' FROM copy", []func(*Book) error{whole, claim}},
		"other_message": {StateReleased, "UPDATE copy SET message=(SELECT message FROM copy WHERE copy=2) WHERE copy=1", []func(*Book) error{claim}},
		"other_id":      {StateReleased, "UPDATE copy SET message_id='x@contoh.test' WHERE copy=1", []func(*Book) error{claim}},
		"address":       {StateReleased, "DROP TRIGGER text_update; UPDATE text SET body=CAST(replace(CAST(body AS TEXT), 'jateng@', 'musuh@') AS BLOB) WHERE seq=(SELECT frozen FROM copy WHERE copy=1)", []func(*Book) error{claim}},
		"ids": {StateReleased, `UPDATE correspondent SET id=-1 WHERE handle='batang';
 UPDATE correspondent SET id=(SELECT current FROM correspondent WHERE handle='batang') WHERE handle='jateng'`, []func(*Book) error{correspondents}},
		"addressee":      {StateReleased, "UPDATE copy SET correspondent=(SELECT id FROM correspondent WHERE handle='batang') WHERE copy=1", []func(*Book) error{addressee}},
		"class":          {StateReleased, "UPDATE entry SET class='terbatas'", []func(*Book) error{whole}},
		"urgency":        {StateReleased, "UPDATE entry SET urgency='segera'", []func(*Book) error{whole}},
		"step":           {StateSent, "UPDATE entry SET state='attached'", []func(*Book) error{whole}},
		"octets":         {StateReleased, octets("correspondent WHERE handle='batang'"), []func(*Book) error{correspondents, correspondent, change, confirm}},
		"officer_octets": {StateReleased, octets("officer WHERE handle='kasi'"), []func(*Book) error{officers}},
		"ended":          {StateReleased, "UPDATE correspondent SET ended=1 WHERE handle='batang'", []func(*Book) error{correspondents, correspondent, change}},
		"applicant":      {StateReleased, "UPDATE applicant SET current=(SELECT current FROM correspondent WHERE handle='batang')", []func(*Book) error{applicants}},
		"applicant_end":  {StateReleased, "UPDATE applicant SET ended=1", []func(*Book) error{applicants}},
		"applicant_text": {StateReleased, "DROP TRIGGER text_update; UPDATE text SET body=CAST(replace(CAST(body AS TEXT), 'Umum', 'Musuh') AS BLOB) WHERE seq=(SELECT current FROM applicant)", []func(*Book) error{applicants}},
		"archive_octets": {StateReleased, octets("(SELECT sha256 AS certificate FROM object WHERE data=CAST('archive certificate' AS BLOB))"), []func(*Book) error{archiveKeys}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, act := range c.acts {
				b := newPeopledBook(t)
				b.at(Surat, c.state)
				b.clean()
				b.sql(c.edit)
				b.must(b.Close())
				again, err := Open(t.Context(), b.path, Options{Now: b.clock.Now})
				b.must(err)
				events := eventsIn(t, again)
				if err := act(again); !errors.Is(err, ErrTampered) {
					t.Errorf("act %d: %v", i, err)
				}
				if n := eventsIn(t, again); n != events {
					t.Errorf("act %d: %d events more", i, n-events)
				}
				if r, err := again.Verify(t.Context(), nil); err != nil || len(r.Problems) == 0 {
					t.Errorf("verify: %v, %+v", err, r)
				}
				b.must(again.Close())
			}
		})
	}
}

// A row of the index that once was right is refused like one that never was.
func TestIndexSetBackIsRefused(t *testing.T) {
	t.Parallel()
	batang := func(b *book) Correspondent {
		c, err := b.Correspondent(t.Context(), "batang")
		b.must(err)
		return c
	}
	correspondent := func(b *Book) error { _, err := b.Correspondent(t.Context(), "batang"); return err }
	officers := func(b *Book) error { _, err := b.Officers(t.Context(), newClock().Now()); return err }
	applicants := func(b *Book) error { _, err := b.Applicants(t.Context()); return err }
	whole := func(b *Book) error { _, err := b.EntryByID(t.Context(), entryID(t, b)); return err }
	for name, c := range map[string]struct {
		table  string
		change func(*book) error
		act    func(*Book) error
	}{
		"key": {"correspondent", func(b *book) error {
			c := batang(b)
			c.Fingerprint, c.Subkey, c.Certificate = fingerprint(500), fingerprint(501), data("newer certificate")
			return b.ChangeCorrespondent(t.Context(), clerk, c, "kunci baru")
		}, correspondent},
		"address": {"correspondent", func(b *book) error {
			c := batang(b)
			c.Address = "baru@contoh.test"
			return b.ChangeCorrespondent(t.Context(), clerk, c, "pindah")
		}, correspondent},
		"end": {"correspondent", func(b *book) error {
			c := batang(b)
			c.Ended = true
			return b.ChangeCorrespondent(t.Context(), clerk, c, "bubar")
		}, correspondent},
		"certificate of an officer": {"officer", func(b *book) error {
			return b.ChangeOfficer(t.Context(), clerk, Officer{
				Handle: "kasi", Name: "Nama kasi", Certificate: data("newer certificate"), Fingerprint: fingerprint(500),
			})
		}, officers},
		"role": {"role", func(b *book) error {
			return b.EndRole(t.Context(), clerk, "kasi", RoleGrant{Role: RoleKepalaSeksi, Until: b.clock.Now().Add(time.Hour)})
		}, officers},
		"applicant": {"applicant", func(b *book) error {
			return b.ChangeApplicant(t.Context(), clerk, Applicant{Handle: "umum", Unit: "Bagian Umum Setda", Email: "baru@contoh.test"})
		}, applicants},
		"letter": {"entry", func(b *book) error {
			e := b.entry(entryID(t, b.Book))
			l := openLetter()
			l.To = []string{"tegal"}
			_, err := b.Correct(t.Context(), clerk, e.ID, e.Last, l, "salah alamat")
			return err
		}, whole},
	} {
		for _, index := range []string{"", "DROP INDEX person", "DROP INDEX person; CREATE INDEX person ON event(seq) WHERE entry=0"} {
			t.Run(name+" "+index, func(t *testing.T) {
				t.Parallel()
				b := newPeopledBook(t)
				b.register(openLetter())
				b.sql("CREATE TABLE was AS SELECT * FROM " + c.table)
				b.must(c.change(b))
				b.must(c.act(b.Book))
				b.sql(fmt.Sprintf("DELETE FROM %[1]s; INSERT INTO %[1]s SELECT * FROM was; DROP TABLE was; ", c.table) + index)
				again, err := Open(t.Context(), b.path, Options{Now: b.clock.Now})
				b.must(err)
				defer again.Close()
				if err := c.act(again); !errors.Is(err, ErrTampered) {
					t.Error(err)
				}
			})
		}
	}
}

// That a signer of his was called says nothing about the key of a correspondent.
func TestConfirmationOfASignerIsNoneOfTheKey(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	c, err := b.Correspondent(t.Context(), "batang")
	b.must(err)
	c.Fingerprint, c.Subkey, c.Certificate, c.State = fingerprint(500), fingerprint(501), data("newer certificate"), Unconfirmed
	b.must(b.ChangeCorrespondent(t.Context(), clerk, c, "kunci baru"))
	b.must(b.ConfirmCorrespondent(t.Context(), clerk, "batang", "", "sandiman", "telepon", c.Signers[0].Fingerprint))
	b.sql("UPDATE correspondent SET state='confirmed', confirmed=(SELECT max(seq) FROM event) WHERE handle='batang'")
	b.must(b.Close())
	again, err := Open(t.Context(), b.path, Options{Now: b.clock.Now})
	b.must(err)
	defer again.Close()
	if _, err := again.Correspondent(t.Context(), "batang"); !errors.Is(err, ErrTampered) {
		t.Error(err)
	}
}

func eventsIn(t *testing.T, b *Book) (n int) {
	if err := b.readers.QueryRowContext(t.Context(), "SELECT count(*) FROM event").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// entryID is the only entry.
func entryID(t *testing.T, b *Book) int64 {
	list, err := b.List(context.Background(), Filter{})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d entries, %v", len(list), err)
	}
	return list[0].ID
}

// An event that builds on an index that was changed makes it look right again.
// The log itself then says what it does not agree with.
func TestVerifyFindsContradictions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		event func(*book, Entry) *event
		want  string
	}{
		"accepted_twice": {func(b *book, e Entry) *event {
			return newEvent("copy.accepted").on(e.ID, "", "").setInt("copy", 1).set("from", "ready").set("to", "accepted").
				setInt("attempt", 2).set("route", "smtp")
		}, "copy %d/1: state before it"},
		"archived_twice": {func(b *book, e Entry) *event {
			return newEvent("entry.archived").on(e.ID, StateSent, StateArchived).set("box", "x").set("place", "x")
		}, "entry %d: state before it"},
		"another_key": {func(b *book, _ Entry) *event {
			c, err := b.Correspondent(b.t.Context(), "batang")
			b.must(err)
			c.Fingerprint = fingerprint(200)
			return c.event("correspondent.changed").set("reason", "pindah").set("confirmed", "yes")
		}, "correspondent batang: fingerprint before it"},
		"confirmed_another": {func(b *book, _ Entry) *event {
			return newEvent("correspondent.confirmed").set("handle", "batang").set("fingerprint", fingerprint(200)).set("by", "x").set("channel", "x")
		}, "correspondent batang: fingerprint before it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newPeopledBook(t)
			e := b.at(Surat, StateReported)
			b.clean()
			added := c.event(b, e)
			b.must(b.update(t.Context(), clerk, func(u *update) error {
				_, err := u.append(added)
				return err
			}))
			want := c.want
			p := Problem{Kind: "contradiction", Seq: b.edge.size - 1, Detail: want}
			if added.entry == e.ID {
				p.Entry, p.Detail = e.Name, fmt.Sprintf(want, e.ID)
			}
			r, err := b.Verify(t.Context(), nil)
			b.must(err)
			if diff := cmp.Diff([]Problem{p}, r.Problems); diff != "" {
				t.Error(diff)
			}
		})
	}
}
