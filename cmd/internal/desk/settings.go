package desk

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/config"
	"sandi/cmd/internal/vault"
)

// EditSettings changes sandi.yaml and brings the change into the log at once.
// The file is written before its event: a crash between leaves a changed file,
// which the next command that writes finds and records. A dry run refuses what
// the change would be refused for, and writes nothing.
func (d *Desk) EditSettings(ctx context.Context, change func([]byte) ([]byte, error)) error {
	if !d.opts.Rehearse {
		lock, err := d.lockSettings(ctx)
		if err != nil {
			return err
		}
		defer lock.Unlock()
	}
	raw, err := d.settings()
	if err != nil {
		return err
	}
	// Another process may have changed them since the desk was opened.
	was, err := config.Parse(raw)
	if err != nil {
		return err
	}
	d.Config = was
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
	if err := d.knows(ctx, c.As); err != nil {
		return err
	}
	if err := d.numbers(ctx, c.Profile.Number); err != nil {
		return err
	}
	who, err := d.ActingOr(ctx, agenda.RoleSandiman, agenda.RoleOperator)
	if err != nil && d.opts.As == d.Config.As && c.As != d.Config.As {
		// The settings named somebody who may not act any more: who follows changes them.
		d.opts.As = c.As
		who, err = d.ActingOr(ctx, agenda.RoleSandiman, agenda.RoleOperator)
	}
	if err != nil {
		return err
	}
	if d.opts.Rehearse {
		return d.rehearse(ctx, who)
	}
	if err := vault.WriteFile(d.path(configFile), edited, 0o600); err != nil {
		return err
	}
	d.Config, d.Hours = c, hours
	return d.Book.RecordConfig(ctx, who, dataObject(edited, yamlMedia))
}

// settingsWait is how long one change of the settings waits for another.
const settingsWait = 30 * time.Second

// lockSettings keeps the reading and the writing of a change together: of two
// at the same time the later one is made to what the earlier one left.
func (d *Desk) lockSettings(ctx context.Context) (*vault.Lock, error) {
	return vault.WaitLock(ctx, d.path(settingsLock), settingsWait)
}

// settings is sandi.yaml as it is now.
func (d *Desk) settings() ([]byte, error) {
	raw, err := readLimited(d.path(configFile), maxTextFile)
	if err != nil {
		return nil, &Error{code: CodeFile, Field: configFile, Err: err}
	}
	return raw, nil
}

// numbers refuses a form of numbers in the settings under which no kriptogram
// could leave any more: one that cannot be read, or another one within a year.
func (d *Desk) numbers(ctx context.Context, n config.Number) error {
	if n.Template == d.Config.Profile.Number.Template {
		return nil
	}
	t, err := agenda.ParseTemplate(n.Template)
	if err == nil {
		_, err = d.Book.ProposeNumber(ctx, t, agenda.NumberFields{Unit: n.Unit, Archive: n.Archive})
	}
	return err
}

// knows refuses a name in the settings that is no officer of the desk: nobody
// could work under it, not even to take it out again.
func (d *Desk) knows(ctx context.Context, as string) error {
	if as == "" || as == d.Config.As {
		return nil
	}
	all, err := d.Book.Officers(ctx, d.Now())
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(o agenda.Officer) bool { return o.Handle == as }) {
		return &Error{code: CodeOfficer, Field: as}
	}
	return nil
}
