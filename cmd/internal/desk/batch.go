package desk

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"

	"sandi/agenda"
)

// A batch takes many entries through one step. The entries are independent of
// each other, so their steps run side by side and share the syncs of the book;
// each is durable by itself, and a batch that died is resumed by running it
// again.

// many is from how many entries on a process is tuned for them.
const many = 32

// heapLimit is the memory, in octets, up to which a tuned process may put off
// collecting: the stretching of a passphrase alone takes 64 MiB.
const heapLimit = 192 << 20

var tuned sync.Once

// hurry tunes the process for a step of n entries. Most of its goroutines wait
// for a disk, in a call that holds a processor of Go's until that is noticed:
// with twice as many none of the machine's rests. And nearly all memory is that
// of one letter and soon free: it is collected less often, but before it grows
// beyond heapLimit. What the environment says goes before.
func hurry(n int) {
	if n < many {
		return
	}
	tuned.Do(func() {
		if os.Getenv("GOMAXPROCS") == "" {
			runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0))
		}
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(400)
			if os.Getenv("GOMEMLIMIT") == "" {
				debug.SetMemoryLimit(heapLimit)
			}
		}
	})
}

// PendingAll is Pending for several drafts; an error stands in the place of
// its entry.
func (d *Desk) PendingAll(ctx context.Context, names []agenda.Name) ([]Pending, []error) {
	hurry(len(names))
	pend, errs := make([]Pending, len(names)), make([]error, len(names))
	d.each(ctx, errs, func(ctx context.Context, i int) (err error) {
		pend[i], err = d.Pending(ctx, names[i])
		return err
	})
	return pend, errs
}

// SignAll is Sign for several drafts. Until one is signed they go one by one: what is
// wrong with the key or its passphrase shows there, and then no other is tried.
func (d *Desk) SignAll(ctx context.Context, all []SignParams) ([]agenda.Entry, []error) {
	hurry(len(all))
	entries, errs := make([]agenda.Entry, len(all)), make([]error, len(all))
	leads := make([]int, len(all))
	for i := range all {
		leads[i] = i
	}
	d.first(ctx, errs, leads, func(ctx context.Context, i int) (err error) {
		entries[i], err = d.sign(ctx, all[i])
		return err
	})
	d.reread(ctx, entries, errs)
	return entries, errs
}

// reread brings the entries without an error up to date, also after Ctrl-C, so
// that what is told is what the book says. One that cannot be read has the
// error in its own place: the others are done.
func (d *Desk) reread(ctx context.Context, entries []agenda.Entry, errs []error) {
	var places []int
	var known []agenda.Entry
	for i, err := range errs {
		if err == nil {
			places, known = append(places, i), append(known, entries[i])
		}
	}
	ctx = context.WithoutCancel(ctx)
	found, err := inChunks(ctx, known, d.Book.Refresh)
	for k, i := range places {
		if err == nil {
			entries[i] = found[k]
		} else if e, err := d.Book.EntryByID(ctx, known[k].ID); err == nil {
			entries[i] = e
		} else {
			errs[i] = err
		}
	}
}

// maxRead bounds how many entries are read in one snapshot.
const maxRead = 64

// whole reads many entries with their records.
func (d *Desk) whole(ctx context.Context, ids []int64) ([]agenda.Entry, error) {
	return inChunks(ctx, ids, d.Book.Entries)
}

// brief reads an entry with its copies and without its records.
func (d *Desk) brief(ctx context.Context, n agenda.Name) (agenda.Entry, error) {
	found, err := d.Book.NamedBriefly(ctx, []agenda.Name{n})
	if err != nil {
		return agenda.Entry{}, err
	}
	return found[0], nil
}

// briefly reads many entries with their copies and without their records.
func (d *Desk) briefly(ctx context.Context, ids []int64) ([]agenda.Entry, error) {
	return inChunks(ctx, ids, d.Book.Brief)
}

// named reads many entries with their records.
func (d *Desk) named(ctx context.Context, names []agenda.Name) ([]agenda.Entry, error) {
	return inChunks(ctx, names, d.Book.Named)
}

// namedBriefly reads many entries with their copies and without their records.
func (d *Desk) namedBriefly(ctx context.Context, names []agenda.Name) ([]agenda.Entry, error) {
	return inChunks(ctx, names, d.Book.NamedBriefly)
}

func inChunks[T any](ctx context.Context, keys []T, read func(context.Context, []T) ([]agenda.Entry, error)) ([]agenda.Entry, error) {
	chunks := slices.Collect(slices.Chunk(keys, maxRead))
	parts := make([][]agenda.Entry, len(chunks))
	err := inParallel(ctx, len(chunks), func(ctx context.Context, i int) (err error) {
		parts[i], err = read(ctx, chunks[i])
		return err
	})
	return slices.Concat(parts...), err
}

// first runs fn for one of leads after the other until it is known whether the
// key can be used, and for all other places side by side if it can.
func (d *Desk) first(ctx context.Context, errs []error, leads []int, fn func(ctx context.Context, i int) error) {
	run := make([]bool, len(errs))
	for _, i := range leads {
		if ctx.Err() != nil {
			break
		}
		errs[i], run[i] = fn(ctx, i), true
		if keyTrouble(errs[i]) {
			for k := range errs {
				if !run[k] {
					errs[k] = errs[i]
				}
			}
			return
		}
		if errs[i] == nil {
			break
		}
	}
	var places []int
	for i := range errs {
		if !run[i] {
			places = append(places, i)
		}
	}
	rest := make([]error, len(places))
	d.each(ctx, rest, func(ctx context.Context, k int) error { return fn(ctx, places[k]) })
	for k, i := range places {
		errs[i] = rest[k]
	}
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
	case CodePassphrase, CodeNoKey, CodeKeyMedium, CodeOfficer, CodeRole, "agenda.moved", "agenda.storage", "agenda.clock_behind", "agenda.clock_ahead":
		return true
	}
	return false
}

// BatchParams say what to do with the rows of a table.
type BatchParams struct {
	Rows    []ImportRow
	Secrets Secrets
	// Report is called whenever the preparation of a row is over, from several
	// goroutines, one at a time.
	Report func()
}

// BatchAction is what a batch does with a row.
type BatchAction string

// The actions of a batch.
const (
	BatchDraft BatchAction = "draft" // ordered, enciphered and initialled
	BatchSend  BatchAction = "send"  // ordered, its scan attached, and sent
	BatchWait  BatchAction = "wait"  // entered only: its row names no file
	BatchNone  BatchAction = "none"  // nothing is left to do
	// A copy was refused, is in doubt or was handed out: `send` says which.
	BatchPerson BatchAction = "person"
)

// batchAction is what a batch does with an entry as it stands in the book.
func batchAction(e agenda.Entry, file string) BatchAction {
	// What a process that died left claimed or armed is found out by `send`.
	open := slices.ContainsFunc(e.Copies, func(c agenda.Copy) bool {
		switch c.State {
		case agenda.CopyReady, agenda.CopyDeferred, agenda.CopyClaimed, agenda.CopyArmed:
			return true
		}
		return false
	})
	switch {
	case e.State == agenda.StateRegistered && file == "":
		return BatchWait
	case e.State == agenda.StateRegistered && e.Name.Book == agenda.Kriptogram:
		return BatchDraft
	case e.Name.Book == agenda.Kriptogram:
		return BatchNone
	case e.State == agenda.StateRegistered, e.State == agenda.StateAttached, e.State == agenda.StateReleased && open:
		return BatchSend
	case e.State == agenda.StateReleased:
		return BatchPerson
	}
	return BatchNone
}

// PlanBatch tells what Batch would do with each row, and fills in its name as
// [Desk.WouldBe] does.
func (d *Desk) PlanBatch(ctx context.Context, rows []ImportRow) (fresh []agenda.Name, plan []BatchAction, err error) {
	if fresh, err = d.WouldBe(ctx, rows); err != nil {
		return nil, nil, err
	}
	for _, r := range rows {
		e := agenda.Entry{Name: r.Name, State: agenda.StateRegistered}
		if r.Known {
			if e, err = d.Book.Entry(ctx, r.Name); err != nil {
				return nil, nil, err
			}
		}
		plan = append(plan, batchAction(e, r.File))
	}
	return fresh, plan, nil
}

// BatchRow is what became of a row before the sending.
type BatchRow struct {
	Line    int
	Entry   agenda.Entry // with the records that this run made
	Existed bool         // entered by an earlier run
	Action  BatchAction
	Err     error
}

// Batch enters the rows that are new and takes every row as far as the clerk
// alone can: classified letters are ordered, enciphered and initialled, and
// wait for the head of section; ordinary letters are ordered, get their scan
// and can be sent. Rows that an earlier run brought further are left as they
// are. The table of the office is the paper order for all its letters.
func (d *Desk) Batch(ctx context.Context, p BatchParams) ([]BatchRow, error) {
	hurry(len(p.Rows))
	made, err := d.enter(ctx, p.Rows, d.briefly)
	if err != nil {
		return nil, err
	}
	d.orderAll(ctx, p.Rows, made)
	entries, errs := make([]agenda.Entry, len(made)), make([]error, len(made))
	tell := make(chan struct{}, 1)
	var leads []int // the rows that ask for the key
	for i, m := range made {
		if e := m.Entry; e.Name.Book == agenda.Kriptogram && e.State == agenda.StateRegistered && p.Rows[i].File != "" {
			leads = append(leads, i)
		}
	}
	d.first(ctx, errs, leads, func(ctx context.Context, i int) error {
		err := d.prepare(ctx, made[i].Entry, p.Rows[i].File, p.Secrets)
		if p.Report != nil {
			tell <- struct{}{}
			defer func() { <-tell }()
			p.Report()
		}
		return err
	})
	for i := range made {
		entries[i] = made[i].Entry
	}
	d.reread(ctx, entries, errs)
	rows := make([]BatchRow, len(made))
	for i := range made {
		rows[i] = BatchRow{
			Line: p.Rows[i].Line, Entry: entries[i], Existed: made[i].Existed, Err: errs[i], Action: batchAction(made[i].Entry, p.Rows[i].File),
		}
	}
	return rows, nil
}

// orderAll records the order for all entries of a book together. What could not
// be ordered so is ordered by prepare, which tells why not.
func (d *Desk) orderAll(ctx context.Context, rows []ImportRow, made []Imported) {
	for _, book := range []agenda.BookName{agenda.Kriptogram, agenda.Surat} {
		var ids []int64
		var places []int
		for i, m := range made {
			if e := m.Entry; e.Name.Book == book && e.State == agenda.StateRegistered && !e.Ordered && rows[i].File != "" {
				ids, places = append(ids, e.ID), append(places, i)
			}
		}
		if len(ids) == 0 || d.order(ctx, book, ids...) != nil {
			continue
		}
		for _, i := range places {
			made[i].Entry.Ordered = true
		}
	}
}

// order records the order of the office for entries of a book: its table is the
// paper, and it is given now.
func (d *Desk) order(ctx context.Context, book agenda.BookName, ids ...int64) error {
	who, err := d.ActingOr(ctx, Clerk(book))
	if err != nil {
		return err
	}
	orders := d.Orders(book)
	for i := range orders {
		orders[i].At = d.Now()
	}
	return d.Book.OrderAll(ctx, who, ids, orders)
}

// prepare brings a registered entry to the end of the clerk's own steps.
func (d *Desk) prepare(ctx context.Context, e agenda.Entry, file string, s Secrets) error {
	if e.State != agenda.StateRegistered || file == "" {
		return nil
	}
	if !e.Ordered {
		if err := d.order(ctx, e.Name.Book, e.ID); err != nil {
			return err
		}
	}
	if e.Name.Book == agenda.Kriptogram {
		_, err := d.encrypt(ctx, EncryptParams{Name: e.Name, Documents: []string{file}, Secrets: s})
		return err
	}
	_, err := d.attach(ctx, AttachParams{Name: e.Name, Files: []string{file}})
	return err
}
