package desk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"sandi/agenda"
	"sandi/cmd/internal/signedtext"
)

// logKey reads the key that signs checkpoints. It lies unlocked: it tells
// strangers from which desk a checkpoint comes and protects nothing against
// whoever can write the desk.
func (d *Desk) logKey() (note.Signer, error) {
	key, err := os.ReadFile(d.path(keysFolder, logKeyFile))
	if err != nil {
		return nil, &Error{code: CodeNoKey, Field: logKeyFile, Detail: "log", Err: err}
	}
	s, err := note.NewSigner(string(key))
	if err != nil {
		return nil, &Error{code: CodeNoKey, Field: logKeyFile, Detail: "log"}
	}
	return s, nil
}

// checkpoints are those of the drafts of a batch. Whoever asks while one is
// being made shares the next: it is of a later log than his question, and one
// anchors them all.
type checkpoints struct {
	making sync.Mutex

	mu   sync.Mutex
	next *sharedCheckpoint // asked for and not begun; nil: none
}

type sharedCheckpoint struct {
	who  agenda.Actor
	made chan struct{} // closed when the rest is said
	sum  agenda.Hash
	err  error
}

// draftCheckpoint is the digest of a checkpoint made after the call: the `buku`
// of a draft.
func (d *Desk) draftCheckpoint(ctx context.Context, who agenda.Actor) (agenda.Hash, error) {
	c := &d.checkpoints
	c.mu.Lock()
	one := c.next
	if one != nil && one.who == who {
		c.mu.Unlock()
		<-one.made
		// Another's Ctrl-C is not ours.
		if one.err == nil || ctx.Err() != nil || !errors.Is(one.err, context.Canceled) {
			return one.sum, one.err
		}
		sum, _, err := d.checkpoint(ctx, who)
		return sum, err
	}
	// Given up, unless it is said otherwise: a panic says nothing.
	one = &sharedCheckpoint{who: who, made: make(chan struct{}), err: context.Canceled}
	c.next = one
	c.mu.Unlock()

	c.making.Lock()
	defer c.making.Unlock()
	c.mu.Lock()
	if c.next == one {
		c.next = nil
	}
	c.mu.Unlock()
	defer close(one.made)
	one.sum, _, one.err = d.checkpoint(ctx, who)
	return one.sum, one.err
}

// checkpoint signs the state of the log, records the note and returns its
// digest.
func (d *Desk) checkpoint(ctx context.Context, who agenda.Actor) (agenda.Hash, []byte, error) {
	signer, err := d.logKey()
	if err != nil {
		return agenda.Hash{}, nil, err
	}
	msg, err := d.Book.Checkpoint(ctx, who, func(text []byte) ([]byte, error) {
		return note.Sign(&note.Note{Text: string(text)}, signer)
	})
	if err != nil {
		return agenda.Hash{}, nil, err
	}
	return signedtext.Sum(msg), msg, nil
}

// checkNote verifies a checkpoint note against the log key that event 0
// names, and returns its text.
func (d *Desk) checkNote(ctx context.Context) (func([]byte) ([]byte, error), error) {
	g, err := d.Book.Genesis(ctx)
	if err != nil {
		return nil, err
	}
	v, err := note.NewVerifier(g.LogKey)
	if err != nil {
		return nil, fmt.Errorf("log key: %w", err)
	}
	return func(msg []byte) ([]byte, error) {
		n, err := note.Open(msg, note.VerifierList(v))
		if err != nil {
			return nil, err
		}
		return []byte(n.Text), nil
	}, nil
}
