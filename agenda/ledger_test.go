package agenda

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What is gone from the end of the index would be given once more. Without the
// indexes of the log that is found as well.
func TestWhatIsGoneFromTheIndexIsMissed(t *testing.T) {
	t.Parallel()
	last := "(SELECT max(id) FROM entry)"
	for name, edit := range map[string]string{
		"letter":           "DELETE FROM copy WHERE entry=" + last + "; DELETE FROM outbox WHERE entry=" + last + "; DELETE FROM entry WHERE id=" + last,
		"year of a letter": "UPDATE entry SET year=2025, serial=1 WHERE id=" + last,
		"order of letters": "UPDATE entry SET serial=99 WHERE book='surat' AND serial=1; UPDATE entry SET serial=1 WHERE book='surat' AND serial=2; UPDATE entry SET serial=2 WHERE book='surat' AND serial=99",
		"number":           "UPDATE entry SET number=NULL, number_seq=NULL, number_year=NULL WHERE number_seq=2",
		"year of a number": "UPDATE entry SET number_seq=1, number_year=2027 WHERE number_seq=2",
		"order of numbers": "UPDATE entry SET number_seq=99 WHERE number_seq=1; UPDATE entry SET number_seq=1 WHERE number_seq=2; UPDATE entry SET number_seq=2 WHERE number_seq=99",
	} {
		for _, index := range []string{
			"", dropLedger,
			dropLedger + "CREATE INDEX registered ON event(seq) WHERE entry=0; CREATE INDEX numbered ON event(seq) WHERE entry=0",
		} {
			t.Run(name+" "+index, func(t *testing.T) {
				t.Parallel()
				b := newPeopledBook(t)
				for range 2 {
					b.at(Kriptogram, StateReleased)
				}
				b.at(Surat, StateReleased)
				b.at(Surat, StateSent)
				b.clean()
				b.sql(index)
				again := b.second()
				b.must(again.Close())
				b.sql(edit)
				again, err := Open(t.Context(), b.path, b.options)
				if err == nil {
					_, err = again.Register(t.Context(), clerk, Registration{Letter: openLetter()})
					_, _, sending := again.Recover(t.Context(), clerk)
					if !errors.Is(sending, ErrTampered) {
						t.Errorf("sending: %v", sending)
					}
					b.must(again.Close())
				}
				if !errors.Is(err, ErrTampered) {
					t.Error(err)
				}
				check, err := Open(t.Context(), b.path, Options{Now: b.clock.Now, Unchecked: true, ReadOnly: true})
				b.must(err)
				defer check.Close()
				if r, err := check.Verify(t.Context(), nil); err != nil || len(r.Problems) == 0 {
					t.Errorf("verify: %v", err)
				}
			})
		}
	}
}

// A letter of a year before is not the last of its book; a sending counts.
func TestEntryOfAnotherYearIsMissed(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	for range 2 {
		b.at(Surat, StateReleased)
	}
	b.clock.add(60 * 24 * time.Hour)
	b.options.AcceptClock = "libur"
	b.register(openLetter())
	b.sql("DELETE FROM copy WHERE entry=(SELECT id FROM entry WHERE year=2026 AND serial=2); DELETE FROM outbox WHERE entry=(SELECT id FROM entry WHERE year=2026 AND serial=2);" +
		" DELETE FROM entry WHERE year=2026 AND serial=2")
	if _, _, err := b.second().Recover(t.Context(), clerk); !errors.Is(err, ErrTampered) {
		t.Error(err)
	}
}

// A row that forgot its token does not have the letter entered again.
func TestForgottenTokenIsRefused(t *testing.T) {
	t.Parallel()
	for _, edit := range []string{"UPDATE entry SET once=NULL", "UPDATE entry SET once=x'00'", "UPDATE entry SET year=2025"} {
		b := newPeopledBook(t)
		l := Registration{Letter: openLetter(), Once: "surat-7"}
		_, err := b.Register(t.Context(), clerk, l)
		b.must(err)
		b.sql(edit)
		if r, err := b.Register(t.Context(), clerk, l); !errors.Is(err, ErrTampered) {
			t.Errorf("%s: %+v, %v", edit, r, err)
		}
		if _, known, err := b.Known(t.Context(), l.Once); !errors.Is(err, ErrTampered) {
			t.Errorf("%s: known %v, %v", edit, known, err)
		}
	}
}

// What a restore left in meta is what the log says, or nothing is sent by it.
func TestForgottenRestoreIsRefused(t *testing.T) {
	t.Parallel()
	for _, edit := range []string{
		"DELETE FROM meta WHERE name='restored'", "UPDATE meta SET value=value-2 WHERE name='restored'", "UPDATE meta SET value='0' WHERE name='restored'",
	} {
		b := newPeopledBook(t)
		for i := range 2 {
			_, err := b.Restored(t.Context(), clerk, fmt.Sprint("cadangan ", i))
			b.must(err)
		}
		b.sql(edit)
		if n, err := b.RestoredSeq(t.Context()); !errors.Is(err, ErrTampered) {
			t.Errorf("%s: %d, %v", edit, n, err)
		}
	}
}

// The next bound sheet continues behind the last one, whatever is put into the
// index, and the settings in force are those of the log.
func TestNewestIsOfTheLog(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	ctx := t.Context()
	for i := range 3 {
		b.must(b.RecordPrint(ctx, clerk, PrintRecord{
			Kind: "book-pdf", Book: Surat, Year: 2026, Last: 10 * (i + 1), Sheet: i + 1, Volume: 1, Pages: []string{fmt.Sprintf("AAAA%d", i)},
		}))
		b.must(b.RecordPrint(ctx, clerk, PrintRecord{Kind: "book-csv"}))
		b.must(b.RecordConfig(ctx, clerk, data(fmt.Sprint("settings ", i))))
	}
	if p, err := b.LastPrinted(ctx, Surat, 2026); err != nil || p.Last != 30 || p.Sheet != 3 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, other := range []BookName{Kriptogram, Surat} {
		if p, err := b.LastPrinted(ctx, other, 2025); err != nil || p != (Printed{}) {
			t.Errorf("%s of another year: %+v, %v", other, p, err)
		}
	}
	if h, err := b.ConfigDigest(ctx); err != nil || h != data("settings 2").SHA256 {
		t.Errorf("%v, %v", h, err)
	}
}

// A report is mailed once: what the index says of the one before is held against
// the log.
func TestForgottenReportIsRefused(t *testing.T) {
	t.Parallel()
	for _, edit := range []string{
		"DELETE FROM mailed", "UPDATE mailed SET reader='pemohon'", "UPDATE mailed SET entry=0",
		"UPDATE copy SET state='cancelled' WHERE entry=(SELECT max(report) FROM mailed)",
		"UPDATE copy SET state='rejected' WHERE entry=(SELECT max(report) FROM mailed); UPDATE entry SET state='released' WHERE book='laporan'",
		"UPDATE entry SET state='void' WHERE book='laporan'",
		"INSERT INTO receipt(seq, entry, copy, kind, action, at, object) SELECT 1, max(report), 1, 'dsn', 'failed', '', x'00' FROM mailed",
	} {
		b := newPeopledBook(t)
		e := b.at(Surat, StateArchived)
		b.deliverReport(b.mail(mailingOf(1, "kepala-dinas", e.ID))[0], CopyAccepted)
		b.sql(edit)
		if _, err := b.Mail(t.Context(), operator, 2026, []Mailing{mailingOf(2, "kepala-dinas", e.ID)}, "diganti"); !errors.Is(err, ErrTampered) {
			t.Errorf("%s: %v", edit, err)
		}
	}
}

// What came back is told as the log has it.
func TestReceiptsAreOfTheLog(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e := b.at(Surat, StateSent)
	_, err := b.NoteReceipt(t.Context(), clerk, Receipt{
		Ref: CopyRef{e.ID, 1}, Kind: ReceiptDSN, Action: "failed", Status: "5.1.1", Matched: MatchedEnvelope, At: b.clock.Now(),
		Address: "jateng@contoh.test", Remote: "gw", Object: data("notice"),
	})
	b.must(err)
	want, err := b.Receipts(t.Context(), e.ID)
	b.must(err)
	for _, edit := range []string{"UPDATE receipt SET action='delivered', copy=2", "DELETE FROM receipt"} {
		b.sql(edit)
		got, err := b.Receipts(t.Context(), e.ID)
		b.must(err)
		if len(got) != 1 || !got[0].Failed() {
			t.Errorf("%s: %+v", edit, got)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", edit, diff)
		}
	}
}

// What is printed of a book is what the log says, or nothing is.
func TestChangedRowsAreNotPrinted(t *testing.T) {
	t.Parallel()
	for _, edit := range []string{
		"UPDATE copy SET settled_at='2026-01-20T02:10:00.000Z' WHERE copy=1", "UPDATE entry SET state='void'", "UPDATE entry SET number='9'",
		"UPDATE entry SET registered_at='2026-11-20T01:00:00.000Z'", "DELETE FROM copy WHERE copy=2", "UPDATE entry SET class='terbatas'",
		"DROP TRIGGER text_update; UPDATE text SET body=CAST(replace(CAST(body AS TEXT), 'Undangan', 'Pelantikan') AS BLOB)",
	} {
		for _, f := range []Filter{{Book: Surat, Held: true}, {Names: []Name{{Book: Surat, Year: 2026, Serial: 1}}, Held: true}} {
			b := newPeopledBook(t)
			b.at(Surat, StateSent)
			if list, err := b.List(t.Context(), f); err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
			b.sql(edit)
			if _, err := b.List(t.Context(), f); !errors.Is(err, ErrTampered) {
				t.Errorf("%s: %v", edit, err)
			}
		}
	}
}

// A released letter that is not among what is to be sent any more is missed by
// the next sending.
func TestKeptLetterIsMissed(t *testing.T) {
	t.Parallel()
	for _, edit := range []string{
		"UPDATE entry SET state='void'", "UPDATE entry SET state='archived'",
		"UPDATE copy SET state='accepted', settled_at='2026-11-20T02:10:00.000Z'", "UPDATE copy SET state='cancelled'",
		"UPDATE copy SET state=NULL", "UPDATE copy SET state='sent'", "UPDATE copy SET entry=entry+1",
	} {
		for _, index := range []string{"", dropLedger} {
			b := newPeopledBook(t)
			b.at(Surat, StateReleased)
			b.at(Surat, StateSent)
			b.at(Surat, StateVoid)
			_, _, err := b.Recover(t.Context(), clerk)
			b.must(err)
			b.clean()
			where := " WHERE state='released'"
			if edit[7:11] == "copy" {
				where = " WHERE entry=(SELECT id FROM entry WHERE state='released')"
			}
			b.sql(index + "DELETE FROM outbox; " + strings.ReplaceAll(edit+";", ";", where+";"))
			if _, _, err := b.Recover(t.Context(), clerk); !errors.Is(err, ErrTampered) {
				t.Errorf("%s: %v", edit, err)
			}
		}
	}
}

// A printed page is not called false because its row is gone.
func TestForgottenPageIsRefused(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	b.must(b.RecordPrint(t.Context(), clerk, PrintRecord{Kind: "book-pdf", Pages: []string{"AAAA1"}}))
	b.must(b.CloseDay(t.Context(), clerk, DayRecord{Date: "2026-11-20", Pages: []string{"BBBB1"}}))
	b.sql("DELETE FROM page")
	for code, want := range map[string]error{"AAAA1": ErrTampered, "bbbb1": ErrTampered, "CCCC1": ErrNotFound} {
		if _, err := b.Page(t.Context(), code); !errors.Is(err, want) {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// What was filed is not moved out of its box as a rest of what was not.
func TestEndOfABoxIsOfTheLog(t *testing.T) {
	t.Parallel()
	b := newPeopledBook(t)
	e := b.at(Surat, StateArchived)
	box := e.Copies[0].Box
	end, err := b.BoxEnd(t.Context(), box)
	b.must(err)
	b.must(b.CheckBoxEnd(t.Context(), box, end))
	b.must(b.CheckBoxEnd(t.Context(), "2026/lain.mbox", 0))
	b.sql("UPDATE copy SET offset=0, length=1")
	end, err = b.BoxEnd(t.Context(), box)
	b.must(err)
	if err := b.CheckBoxEnd(t.Context(), box, end); !errors.Is(err, ErrTampered) {
		t.Error(err)
	}
}
