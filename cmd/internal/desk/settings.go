package desk

import (
	"context"
	"crypto/sha256"

	"sandi/agenda"
	"sandi/cmd/internal/config"
	"sandi/cmd/internal/vault"
)

// EditSettings changes sandi.yaml and brings the change into the log at once.
// The file is written before its event: a crash between leaves a changed file,
// which the next command that writes finds and records.
func (d *Desk) EditSettings(ctx context.Context, change func([]byte) ([]byte, error)) error {
	raw, err := readLimited(d.path(configFile), maxTextFile)
	if err != nil {
		return &Error{code: CodeFile, Field: configFile, Err: err}
	}
	edited, err := change(raw)
	if err != nil {
		return err
	}
	c, err := config.Parse(edited)
	if err != nil {
		return err
	}
	if sha256.Sum256(edited) == sha256.Sum256(raw) {
		return nil
	}
	hours, err := calendar(c)
	if err != nil {
		return err
	}
	who, err := d.ActingOr(ctx, agenda.RoleSandiman, agenda.RoleOperator)
	if err != nil {
		return err
	}
	if err := vault.WriteFile(d.path(configFile), edited, 0o600); err != nil {
		return err
	}
	d.Config, d.Hours = c, hours
	return d.Book.RecordConfig(ctx, who, dataObject(edited, yamlMedia))
}
