package desk

import (
	"context"
	"slices"

	"sandi/agenda"
)

// A batch takes many entries through one step. The entries are independent of
// each other, so their steps run side by side and share the syncs of the book;
// each is durable by itself, and a batch that died is resumed by running it
// again.

// PendingAll is Pending for several drafts; an error stands in the place of
// its entry.
func (d *Desk) PendingAll(ctx context.Context, names []agenda.Name) ([]Pending, []error) {
	pend, errs := make([]Pending, len(names)), make([]error, len(names))
	d.each(ctx, errs, func(ctx context.Context, i int) (err error) {
		pend[i], err = d.Pending(ctx, names[i])
		return err
	})
	return pend, errs
}

// SignAll is Sign for several drafts. The first is signed alone: whatever is
// wrong with the key or its passphrase shows there, and then no other is tried.
func (d *Desk) SignAll(ctx context.Context, all []SignParams) ([]agenda.Entry, []error) {
	entries, errs := make([]agenda.Entry, len(all)), make([]error, len(all))
	sign := func(ctx context.Context, i int) (err error) {
		entries[i], err = d.Sign(ctx, all[i])
		return err
	}
	d.first(ctx, errs, sign)
	return entries, errs
}

// first runs fn for the first place, and for the others side by side unless
// the first one showed that the key cannot be used.
func (d *Desk) first(ctx context.Context, errs []error, fn func(ctx context.Context, i int) error) {
	if len(errs) == 0 {
		return
	}
	errs[0] = fn(ctx, 0)
	if keyTrouble(errs[0]) || ctx.Err() != nil {
		for i := range errs[1:] {
			errs[i+1] = errs[0]
		}
		return
	}
	d.each(ctx, errs[1:], func(ctx context.Context, i int) error { return fn(ctx, i+1) })
}

// each runs fn for every place of errs side by side and keeps each error in
// its place; when ctx ends, what was not begun has its cause.
func (d *Desk) each(ctx context.Context, errs []error, fn func(ctx context.Context, i int) error) {
	begun := make([]bool, len(errs))
	if err := inParallel(ctx, len(errs), func(ctx context.Context, i int) error {
		begun[i] = true
		errs[i] = fn(ctx, i)
		return nil
	}); err != nil {
		for i := range errs {
			if !begun[i] {
				errs[i] = err
			}
		}
	}
}

// keyTrouble tells an error that every other entry would meet too.
func keyTrouble(err error) bool {
	switch coded(err) {
	case CodePassphrase, CodeNoKey, CodeKeyMedium, CodeOfficer, CodeRole, "agenda.storage", "agenda.clock_behind", "agenda.clock_ahead":
		return true
	}
	return false
}

// BatchParams say what to do with the rows of a table.
type BatchParams struct {
	Rows    []ImportRow
	Secrets Secrets
	// Report is called for every row when its preparation is over, from
	// several goroutines, one at a time.
	Report func(BatchRow)
}

// BatchRow is what became of a row before the sending.
type BatchRow struct {
	Line    int
	Entry   agenda.Entry
	Existed bool // entered by an earlier run
	Err     error
}

// Batch enters the rows that are new and takes every row as far as the clerk
// alone can: classified letters are ordered, enciphered and initialled, and
// wait for the head of section; ordinary letters are ordered, get their scan
// and can be sent. Rows that an earlier run brought further are left as they
// are. The table of the office is the paper order for all its letters.
func (d *Desk) Batch(ctx context.Context, p BatchParams) ([]BatchRow, error) {
	// Import would take the file of a classified letter for a scan.
	plain := slices.Clone(p.Rows)
	for i := range plain {
		plain[i].File = ""
	}
	made, err := d.Import(ctx, plain)
	if err != nil {
		return nil, err
	}
	rows, errs := make([]BatchRow, len(made)), make([]error, len(made))
	tell := make(chan struct{}, 1)
	d.first(ctx, errs, func(ctx context.Context, i int) error {
		r := BatchRow{Line: p.Rows[i].Line, Entry: made[i].Entry, Existed: made[i].Existed}
		e, err := d.prepare(ctx, r.Entry, p.Rows[i].File, p.Secrets)
		if err == nil {
			r.Entry = e
		}
		r.Err = err
		rows[i] = r
		if p.Report != nil {
			tell <- struct{}{}
			defer func() { <-tell }()
			p.Report(r)
		}
		return err
	})
	for i := range rows {
		if rows[i].Line == 0 { // not begun
			rows[i] = BatchRow{Line: p.Rows[i].Line, Entry: made[i].Entry, Existed: made[i].Existed, Err: errs[i]}
		}
	}
	return rows, nil
}

// prepare brings a registered entry to the end of the clerk's own steps.
func (d *Desk) prepare(ctx context.Context, e agenda.Entry, file string, s Secrets) (agenda.Entry, error) {
	if e.State != agenda.StateRegistered || file == "" {
		return e, nil
	}
	if !e.Ordered {
		who, err := d.ActingOr(ctx, Clerk(e.Name.Book))
		if err != nil {
			return e, err
		}
		orders := d.Orders(e.Name.Book)
		for i := range orders {
			orders[i].At = d.Now()
		}
		if err := d.Book.Order(ctx, who, e.ID, orders); err != nil {
			return e, err
		}
	}
	if e.Name.Book == agenda.Kriptogram {
		done, err := d.Encrypt(ctx, EncryptParams{Name: e.Name, Documents: []string{file}, Secrets: s})
		return done.Entry, err
	}
	return d.Attach(ctx, AttachParams{Name: e.Name, Files: []string{file}})
}
