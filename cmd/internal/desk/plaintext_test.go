package desk

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sandi/agenda"
	"sandi/mail/loopback"
)

// What was enciphered is known again by size and digest, whatever it is called:
// one document, the ZIP of several, an older draft; and so is what is left of a
// backup that somebody deciphered.
func TestPlaintextIsFound(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	ctx := t.Context()
	look := func() []Condition {
		t.Helper()
		found, err := f.seePlaintext(ctx)
		f.check(err)
		return found
	}
	good := []Condition{{Area: "plaintext", Why: "good", Level: LevelGood}}
	if got := look(); !slices.Equal(got, good) {
		t.Fatalf("before: %+v", got)
	}
	one, several := f.encrypted("jateng"), f.classified("jateng")
	a, b := f.file("a.pdf", plainLetter[:2000]), f.file("b.pdf", plainLetter[:3000])
	_, err := f.Encrypt(ctx, EncryptParams{Name: several, Documents: []string{a, b}, Secrets: right})
	f.check(err)
	_, err = f.Encrypt(ctx, EncryptParams{Name: one, Documents: []string{a}, Again: true, Reason: "keliru", Secrets: right})
	f.check(err)
	docs, err := openDocuments([]string{a, b})
	f.check(err)
	var zipped bytes.Buffer
	_, err = io.Copy(&zipped, plaintext(ctx, docs))
	closeDocuments(docs)
	f.check(err)
	old := filepath.Join(f.dir, "surat.pdf") // of the first draft
	zip := f.file("naskah.zip", zipped.Bytes())
	inside := f.path("archive", "foto.jpg")
	f.check(os.Rename(b, filepath.Join(f.dir, "sama-besar.pdf"))) // of a ZIP only: not known by itself
	f.check(os.Rename(a, inside))
	// As large as a letter, and something else.
	f.file("lain.pdf", bytes.Repeat([]byte("x"), len(plainLetter)))

	// A backup as the archive key opens it.
	copied, err := f.snapshot(ctx)
	f.check(err)
	bare := filepath.Join(f.dir, "sandi.tar")
	out, err := os.Create(bare)
	f.check(err)
	f.check((&backupWriter{d: f.Desk, copied: copied, note: []byte("catatan\n")}).write(ctx, out))
	f.check(out.Close())
	copied.remove()
	want := []Condition{
		{Area: "leftover", Why: "bare", Level: LevelWarn, Name: bare},
		{Area: "plaintext", Why: "left", Level: LevelWarn, Name: old, Entry: one},
		{Area: "plaintext", Why: "left", Level: LevelWarn, Name: zip, Entry: several},
		{Area: "plaintext", Why: "left", Level: LevelWarn, Name: inside, Entry: one},
	}
	if got := look(); !slices.Equal(got, want) {
		t.Errorf("found\n%+v\nwant\n%+v", got, want)
	}
	for _, path := range []string{bare, old, zip, inside} {
		f.check(os.Remove(path))
	}
	// An enciphered backup may lie anywhere.
	_, err = f.Backup(ctx, BackupParams{Out: filepath.Join(f.dir, "meja.cadangan")})
	f.check(err)
	if got := look(); !slices.Equal(got, good) {
		t.Errorf("after: %+v", got)
	}
}

// What is enciphered while the desk is open counts too, and of several letters
// the newest is named.
func TestPlaintextIsNoScan(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	file := f.file("naskah.pdf", []byte("%PDF-1.4 naskah rahasia"))
	attach := func() (agenda.Name, error) {
		n := f.ordinary("jateng")
		_, err := f.Attach(t.Context(), AttachParams{Name: n, Files: []string{file}})
		return n, err
	}
	if _, err := attach(); err != nil {
		t.Fatalf("nothing is enciphered yet: %v", err)
	}
	for range 2 {
		k := f.classified("jateng")
		_, err := f.Encrypt(t.Context(), EncryptParams{Name: k, Documents: []string{file}, Secrets: right})
		f.check(err)
		n, err := attach()
		var e *Error
		if !errors.As(err, &e) || e.Code() != CodePlaintext || e.Detail != k.Long() || f.entry(n).State != agenda.StateRegistered {
			t.Errorf("attached: %v, want %s named", err, k.Long())
		}
	}
}
