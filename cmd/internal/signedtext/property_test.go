package signedtext

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"sandi/agenda"
)

var (
	anyHash = rapid.Custom(func(t *rapid.T) agenda.Hash {
		return agenda.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest"))
	})
	anyFingerprint = rapid.OneOf(rapid.StringMatching(`[0-9a-f]{40}`), rapid.StringMatching(`[0-9a-f]{64}`))
	// anyText has all that the codec escapes, and what only looks like a
	// syntax of the texts.
	anyText = rapid.Custom(func(t *rapid.T) string {
		return norm.NFC.String(rapid.StringOfN(rapid.OneOf(
			rapid.RuneFrom([]rune(" %/()=\n\r\t\x00\x7f\u0085\u00a0\u061c\u200e\u2028\u202e\u2066\u0301e")),
			rapid.Rune(),
		), 1, 25, -1).Draw(t, "text"))
	}).Filter(isText)
	anyAddress = rapid.StringMatching(`[a-z0-9.%+-]{1,20}@[a-z0-9.-]{1,20}`)
	anyName    = rapid.OneOf(rapid.StringMatching(`S[1-9][0-9]{0,4}-20[0-9]{2}(-[2-9])?\.pdf`), rapid.StringMatching(`[A-Za-z0-9_. -]{1,20}`)).
			Filter(isText)
	anyTime = rapid.Custom(func(t *rapid.T) time.Time {
		last := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
		return time.Unix(rapid.Int64Range(0, last).Draw(t, "seconds"), 0).UTC()
	})
	anySigner = rapid.Custom(func(t *rapid.T) Signer {
		return Signer{anyFingerprint.Draw(t, "fingerprint"), anyText.Draw(t, "title")}
	})
)

func anyCopy(t *rapid.T) (n, of int) {
	of = rapid.IntRange(1, 1_000_000).Draw(t, "of")
	return rapid.IntRange(1, of).Draw(t, "copy"), of
}

// roundTrip checks Parse∘Encode. A value that is too long for its line once
// escaped is the only excuse.
func roundTrip(t *rapid.T, v encoded, parse func([]byte) (encoded, error)) {
	text, err := v.Encode()
	if errors.Is(err, ErrValue) {
		t.Skip("line too long")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range bytes.Split(text, []byte("\n")) {
		if len(line) > 400 || bytes.HasSuffix(line, []byte(" ")) {
			t.Fatalf("line %q", line)
		}
	}
	back, err := parse(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if diff := cmp.Diff(v, back); diff != "" {
		t.Fatalf("value (-want +got):\n%s", diff)
	}
}

func TestDraftRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := Draft{
			Kriptogram: anyHash.Draw(t, "kriptogram"),
			Size:       rapid.Int64Min(0).Draw(t, "size"),
			Format:     anyText.Draw(t, "format"),
			Office:     anyText.Draw(t, "office"),
			Entry:      anyText.Draw(t, "entry"),
			Number:     rapid.IntMin(1).Draw(t, "number"),
			At:         anyTime.Draw(t, "at"),
			Paraf:      anySigner.Draw(t, "paraf"),
			Signature:  anySigner.Draw(t, "signature"),
			Content:    anyHash.Draw(t, "content"),
			Book:       anyHash.Draw(t, "book"),
		}
		if rapid.Bool().Draw(t, "wet") {
			d.Signature.Fingerprint = ""
		}
		for range rapid.IntRange(1, 12).Draw(t, "recipients") {
			d.Recipients = append(d.Recipients, Recipient{
				anyFingerprint.Draw(t, "fingerprint"), anyFingerprint.Draw(t, "subkey"), anyText.Draw(t, "unit"),
			})
		}
		roundTrip(t, d, parseDraft)
	})
}

func TestReturnRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		roundTrip(t, Return{
			Draft:  anyHash.Draw(t, "draft"),
			Entry:  anyText.Draw(t, "entry"),
			Number: rapid.IntMin(1).Draw(t, "number"),
			At:     anyTime.Draw(t, "at"),
			Reason: anyText.Draw(t, "reason"),
		}, parseReturn)
	})
}

func TestContentRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		roundTrip(t, contentText{Content{
			Class: rapid.SampledFrom([]agenda.Class{
				agenda.ClassBiasa, agenda.ClassTerbatas, agenda.ClassRahasia, agenda.ClassSangatRahasia,
			}).Draw(t, "class"),
			Urgency: rapid.SampledFrom([]agenda.Urgency{
				agenda.UrgencyBiasa, agenda.UrgencySegera, agenda.UrgencySangatSegera,
			}).Draw(t, "urgency"),
			Text: anyHash.Draw(t, "text"),
			Salt: anyHash.Draw(t, "salt"),
		}}, parseContent)
	})
}

func TestCoverRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n, of := anyCopy(t)
		roundTrip(t, Cover{
			Draft:     anyHash.Draw(t, "draft"),
			Number:    anyText.Draw(t, "number"),
			At:        anyTime.Draw(t, "at"),
			From:      Party{anyAddress.Draw(t, "from"), anyFingerprint.Draw(t, "from key")},
			To:        Party{anyAddress.Draw(t, "to"), anyFingerprint.Draw(t, "to key")},
			Copy:      n,
			Of:        of,
			MessageID: anyAddress.Draw(t, "id"),
		}, parseCover)
	})
}

func TestLetterCoverRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n, of := anyCopy(t)
		c := LetterCover{
			Entry:     anyText.Draw(t, "entry"),
			At:        anyTime.Draw(t, "at"),
			From:      Party{anyAddress.Draw(t, "from"), anyFingerprint.Draw(t, "from key")},
			To:        Party{Address: anyAddress.Draw(t, "to")},
			Copy:      n,
			Of:        of,
			MessageID: anyAddress.Draw(t, "id"),
		}
		if rapid.Bool().Draw(t, "with key") {
			c.To.Fingerprint = anyFingerprint.Draw(t, "to key")
		}
		for range rapid.IntRange(1, 8).Draw(t, "scans") {
			c.Scans = append(c.Scans, Scan{anyName.Draw(t, "name"), anyHash.Draw(t, "sum")})
		}
		roundTrip(t, c, parseLetterCover)
	})
}

// fuzz checks that a parser accepts only what its writer writes. For a cover
// this is the block: the text up to the first empty line.
func fuzz(f *testing.F, parse func([]byte) (encoded, error), block func([]byte) []byte, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := parse(text)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("err = %v, want %v", err, ErrMalformed)
			}
			return
		}
		again, err := v.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if want := block(text); !bytes.Equal(again, want) {
			t.Fatalf("read\n%q\nwritten\n%q", want, again)
		}
	})
}

func whole(b []byte) []byte { return b }

// untilEmptyLine does what the parsers of the covers do, in other words.
func untilEmptyLine(b []byte) []byte {
	head, _, found := bytes.Cut(b, []byte("\n\n"))
	if found {
		return append(bytes.Clone(head), '\n')
	}
	return b
}

func FuzzDraft(f *testing.F) { fuzz(f, parseDraft, whole, goldenDraft, goldenWet, goldenReturn, "") }

func FuzzReturn(f *testing.F) { fuzz(f, parseReturn, whole, goldenReturn, goldenDraft, "") }

func FuzzContent(f *testing.F) { fuzz(f, parseContent, whole, goldenContent, goldenDraft, "") }

func FuzzCover(f *testing.F) {
	fuzz(f, parseCover, untilEmptyLine, goldenCover, goldenCover+"\nKepada Yth.\n", goldenLetterCover, "")
}

func FuzzLetterCover(f *testing.F) {
	fuzz(f, parseLetterCover, untilEmptyLine, goldenLetterCover, goldenScans, goldenScans+"\nKepada Yth.\n", goldenCover, "")
}
