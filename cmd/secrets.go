package cmd

import (
	"context"
	"path/filepath"
	"strings"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
)

// secrets asks people for what only they know. Lines of --passphrase-fd and --password-fd are taken in the order of use.
type secrets struct{ a *app }

func (a *app) secrets() desk.Secrets { return secrets{a} }

// Passphrase asks for the passphrase of a key. The question names its owner and what it is for.
func (s secrets) Passphrase(ctx context.Context, use desk.KeyUse) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if use.Left > 0 {
		s.a.warn("secret.wrong", "n", use.Left)
	}
	owner := use.Title
	if use.Officer.Handle == "" { // a key file that is nobody's here
		owner = filepath.Base(use.Title)
	} else if word := s.a.shortOwner(use); word != "" {
		owner = word
	}
	return s.a.passphrase("secret."+string(use.Purpose), "owner", owner)
}

// shortOwner is the role of a key's owner, since the full titles of the standard do not fit a line.
func (a *app) shortOwner(use desk.KeyUse) string {
	role := agenda.RoleSandiman
	switch use.Purpose {
	case desk.ForSignature, desk.ForReturn, desk.ForRead, desk.ForResend:
		role = agenda.RoleKepalaSeksi
	case desk.ForMessage:
		if !holds(use.Officer, role) {
			role = agenda.RoleOperator
		}
	}
	for _, acting := range []string{"Plh. ", "Plt. "} {
		if strings.HasPrefix(use.Title, acting) {
			return acting + a.cat.Role(string(role))
		}
	}
	return a.cat.Role(string(role))
}

func holds(o agenda.Officer, role agenda.Role) bool {
	for _, g := range o.Roles {
		if g.Role == role {
			return true
		}
	}
	return false
}

// MailPassword asks for the password of the mailbox.
func (s secrets) MailPassword(ctx context.Context, account string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	word, err := s.a.password("prompt.password", "name", account)
	defer clear(word)
	return string(word), err
}

// Tries is how often a wrong passphrase may be mended.
func (s secrets) Tries() int {
	if s.a.flags.passphraseFD < 0 && s.a.term.CanPrompt() {
		return 3
	}
	return 1
}
