package desk

import (
	"context"
	"fmt"
	"os"

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

// checkpoint signs the state of the log, records the note and returns its
// digest: the `buku` of a draft.
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
