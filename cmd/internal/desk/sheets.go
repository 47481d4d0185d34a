package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"sandi/agenda"
	"sandi/agenda/extract"
	"sandi/cmd/internal/signedtext"
)

// Formats of an extract.
const (
	FormatPDF  = "pdf"
	FormatText = "text"
	FormatCSV  = "csv"
)

// BookParams say which part of a book is printed.
type BookParams struct {
	Book        agenda.BookName
	From, Until time.Time // registered in [From, Until); zero: the year
	Year        int
	Period      string // words for the heading: "1-30 November 2026"
	ShowSubject bool
	Format      string
	Paper       string // "" = the profile's

	// What follows chooses among the entries of the period; the heading says so
	// and nothing is carried over.
	States []agenda.State
	Class  agenda.Class
	Text   string
	Names  []agenda.Name
	Saying string // the choice in words, for the heading

	// Continue prints sheets to be bound: the lines since the last ones, and
	// again those that changed meanwhile. The period is then the year.
	Continue bool
	Volume   int // Buku ke-; 0: the one of the last sheets, at first 1
}

// BookPrinted tells what was printed.
type BookPrinted struct {
	Rows   int
	Again  int // of them printed before and changed since
	Pages  int
	Codes  []string
	Sheet  int // last bound sheet; 0: not a print to be bound
	Volume int
	last   int // highest serial printed or carried
}

// PrintBook writes an extract of a book. The print itself enters the log with
// a fresh checkpoint, which the PDF carries; text and CSV are for the screen
// and for other programs and are recorded the same way.
func (d *Desk) PrintBook(ctx context.Context, w io.Writer, p BookParams) (BookPrinted, error) {
	var res BookPrinted
	who, err := d.ActingOr(ctx, Clerk(p.Book))
	if err != nil {
		return res, err
	}
	_, checkpoint, err := d.checkpoint(ctx, who)
	if err != nil {
		return res, err
	}
	size, root, err := d.Book.Head(ctx)
	if err != nil {
		return res, err
	}
	before := agenda.Printed{}
	if p.Continue {
		if before, err = d.Book.LastPrinted(ctx, p.Book, p.Year); err != nil {
			return res, err
		}
	}
	sheet, err := d.bookSheet(ctx, p, before, checkpoint, &res)
	if err != nil {
		return res, err
	}
	switch p.Format {
	case FormatText:
		err = extract.BookText(w, sheet)
	case FormatCSV:
		err = extract.BookCSV(w, sheet)
	default:
		var printed extract.Printed
		printed, err = extract.Book(w, sheet)
		res.Pages, res.Codes = printed.Pages, printed.Codes
	}
	if err != nil {
		return res, err
	}
	record := agenda.PrintRecord{
		Kind: "book-" + cmp.Or(p.Format, FormatPDF), Filter: sheetFilter(p), Rows: res.Rows, Size: size, Root: root, Pages: res.Codes,
	}
	if p.Continue && record.Kind == "book-"+FormatPDF {
		res.Sheet = max(before.Sheet, 0) + res.Pages
		record.Book, record.Year, record.Last, record.Sheet, record.Volume = p.Book, p.Year, res.last, res.Sheet, res.Volume
	}
	return res, d.Book.RecordPrint(ctx, who, record)
}

// sheetFilter is what the log says about the choice of rows.
func sheetFilter(p BookParams) string {
	parts := []string{"buku " + string(p.Book), "tahun " + itoa(p.Year)}
	if !p.From.IsZero() {
		parts = append(parts, "sejak "+p.From.Format(time.DateOnly)+" sebelum "+p.Until.Format(time.DateOnly))
	}
	if p.Continue {
		parts = append(parts, "lanjutan")
	}
	for _, s := range p.States {
		parts = append(parts, "keadaan "+string(s))
	}
	if p.Class != "" {
		parts = append(parts, "klasifikasi "+string(p.Class))
	}
	if p.Text != "" {
		parts = append(parts, "kata") // the words themselves may be secret
	}
	if len(p.Names) > 0 {
		parts = append(parts, itoa(len(p.Names))+" agenda disebut")
	}
	return strings.Join(append(parts, "perihal "+masking(p)), " ")
}

func (p BookParams) chosen() bool {
	return len(p.States) > 0 || p.Class != "" || p.Text != "" || len(p.Names) > 0
}

func masking(p BookParams) string {
	if p.Book == agenda.Surat || p.ShowSubject {
		return "terbuka"
	}
	return "disamarkan"
}

func (d *Desk) bookSheet(ctx context.Context, p BookParams, before agenda.Printed, checkpoint []byte, res *BookPrinted) (extract.BookSheet, error) {
	prof := d.Config.Profile.Book(string(p.Book))
	page := d.page(true)
	page.Checkpoint = string(checkpoint)
	if p.Paper != "" {
		page.Paper = extract.Paper(p.Paper)
	}
	res.Volume = max(p.Volume, before.Volume, 1)
	period := p.Period
	if p.Continue {
		page.FirstSheet = before.Sheet + 1
		period = "s.d. " + extract.Date(d.Now())
	}
	s := extract.BookSheet{
		Page: page,
		Heads: []string{
			"KUTIPAN " + prof.Title,
			fmt.Sprintf("Tahun %d · Buku ke-%d · %s", p.Year, res.Volume, period),
			"Saringan: " + cmp.Or(p.Saying, "semua agenda") + "; perihal " + masking(p) + "; dicetak " + extract.DateTime(d.Now()),
		},
		Legend: d.legend(p.Book),
		Words:  countWords(p.Book),
		Left:   d.block("Mengetahui,", ctx, agenda.Role(prof.Acknowledge)),
		Right: d.block(d.placeAndDate(), ctx,
			agenda.Role(prof.Prepared)),
	}
	for _, c := range prof.Columns {
		s.Columns = append(s.Columns, extract.BookColumn(c.Key, c.Head, float64(c.Width)))
	}
	filter := agenda.Filter{
		Book: p.Book, Year: p.Year, From: p.From, Until: p.Until, States: p.States, Class: p.Class, Text: p.Text, Names: p.Names,
	}
	switch {
	case p.chosen():
	case p.Continue:
		res.last = before.Last
		filter.From, filter.Until = time.Time{}, time.Time{}
	case !p.From.IsZero():
		n, err := d.Book.CountBefore(ctx, p.Book, p.Year, p.From)
		if err != nil {
			return s, err
		}
		s.Carried = extract.Count{Entries: n.Entries, Numbers: n.Numbers}
	}
	if p.Book == agenda.Kriptogram && p.ShowSubject {
		class, err := d.highestClass(ctx, filter)
		if err != nil {
			return s, err
		}
		s.Classification = class
	}
	var again []agenda.Name
	if p.Continue {
		carried, err := d.Book.CountUpTo(ctx, p.Book, p.Year, before.Last)
		if err != nil {
			return s, err
		}
		s.Carried = extract.Count{Entries: carried.Entries, Numbers: carried.Numbers}
		if again, err = d.Book.ChangedSince(ctx, p.Book, p.Year, before.Last, before.Size); err != nil {
			return s, err
		}
	}
	s.Rows = d.rows(ctx, filter, p, again, before.Last, res)
	return s, nil
}

func countWords(b agenda.BookName) func(extract.Count) string {
	return func(c extract.Count) string {
		if b == agenda.Surat {
			return fmt.Sprintf("%d agenda", c.Entries)
		}
		return fmt.Sprintf("%d agenda, %d nomor", c.Entries, c.Numbers)
	}
}

// highestClass is the printed word of the highest class among the rows.
func (d *Desk) highestClass(ctx context.Context, f agenda.Filter) (string, error) {
	order := []agenda.Class{agenda.ClassBiasa, agenda.ClassTerbatas, agenda.ClassRahasia, agenda.ClassSangatRahasia}
	high := 0
	err := d.Book.Each(ctx, f, func(e agenda.Entry) error {
		for i, c := range order {
			if c == e.Letter.Class {
				high = max(high, i)
			}
		}
		return nil
	})
	if high == 0 {
		return "", err
	}
	return d.Config.Profile.Class(string(order[high])).Printed, err
}

// legend explains the codes of class and urgency once.
func (d *Desk) legend(b agenda.BookName) string {
	var parts []string
	if b == agenda.Kriptogram {
		for _, w := range d.Config.Profile.Classes {
			if w.Word != string(agenda.ClassBiasa) {
				parts = append(parts, w.Code+" = "+strings.ToLower(w.Printed))
			}
		}
	}
	for _, w := range d.Config.Profile.Urgencies {
		parts = append(parts, w.Code+" = "+strings.ToLower(w.Printed))
	}
	return strings.Join(parts, "; ")
}

// placeAndDate stands over a signature: "Pekalongan, 30 November 2026".
func (d *Desk) placeAndDate() string {
	if d.Config.Office.City == "" {
		return extract.Date(d.Now())
	}
	return d.Config.Office.City + ", " + extract.Date(d.Now())
}

// block is the signature block of a role: the holder's name where there is
// one, else the title alone.
func (d *Desk) block(heading string, ctx context.Context, role agenda.Role) extract.Signature {
	s := extract.Signature{Heading: heading, Title: d.Config.Profile.Title(string(role))}
	if o, err := d.holder(ctx, role); err == nil {
		s.Title, s.Name, s.Rank, s.NIP = title(o, role), o.Name, o.Qualification, o.NIP
	}
	return s
}

// addressee is whom a copy is for, by the index and by the letter: the unit of
// the one is printed only when it is that of the other.
type addressee struct {
	id     int64
	handle string
}

func addresseeOf(c agenda.Copy) addressee { return addressee{c.Correspondent, c.Handle} }

// rows streams the entries of a book as rows of a sheet: first again, what
// was printed before and changed, then those after the serial.
func (d *Desk) rows(ctx context.Context, f agenda.Filter, p BookParams, again []agenda.Name, after int, res *BookPrinted) iter.Seq2[extract.Row, error] {
	stop := errors.New("sheet ended")
	return func(yield func(extract.Row, error) bool) {
		units := map[addressee]string{}
		withdrawn, err := d.withdrawals(ctx)
		if err != nil {
			yield(extract.Row{}, err)
			return
		}
		put := func(e agenda.Entry, repeated bool) error {
			for _, c := range e.Copies {
				if _, ok := units[addresseeOf(c)]; ok || c.Correspondent == 0 {
					continue
				}
				corr, err := d.Book.Addressee(ctx, c)
				if err != nil {
					return err
				}
				units[addresseeOf(c)] = corr.Unit
			}
			res.Rows++
			res.last = max(res.last, e.Name.Serial)
			row := d.row(e, p, units, withdrawn)
			if repeated {
				res.Again++
				row.Again = true
				remark := row.Cells["keterangan"]
				remark.Text = strings.TrimSuffix("susulan; "+remark.Text, "; ")
				row.Cells["keterangan"] = remark
			}
			if !yield(row, nil) {
				return stop
			}
			return nil
		}
		if len(again) > 0 {
			err = d.Book.Each(ctx, agenda.Filter{Names: again, Held: true}, func(e agenda.Entry) error { return put(e, true) })
		}
		if err == nil {
			f.After, f.Held = after, true
			err = d.Book.Each(ctx, f, func(e agenda.Entry) error { return put(e, false) })
		}
		if err != nil && err != stop {
			yield(extract.Row{}, err)
		}
	}
}

func (d *Desk) row(e agenda.Entry, p BookParams, units map[addressee]string, withdrawn withdrawals) extract.Row {
	l := e.Letter
	at := e.RegisteredAt
	text := func(s string) extract.Cell { return extract.Cell{Text: s} }
	row := extract.Row{Void: e.State == agenda.StateVoid, Cells: map[string]extract.Cell{
		"no":      text(itoa(e.Name.Serial)),
		"waktu":   text(extract.ShortDate(at) + "\n" + extract.Clock(at)),
		"asal":    text(origin(l)),
		"surat":   text(l.Number + "\n" + isoToShort(l.Date)),
		"perihal": text(l.Subject),
		"kelas":   text(d.Config.Profile.Class(string(l.Class)).Code + "\n" + d.Config.Profile.Urgency(string(l.Urgency)).Code),
		"derajat": text(d.Config.Profile.Urgency(string(l.Urgency)).Code),
		"nomor":   text(e.Number),
	}}
	if l.Pages > 0 {
		row.Cells["halaman"] = text(itoa(l.Pages))
	}
	if e.NumberSeq > 0 {
		row.Numbers = 1
	}
	if len(e.Corrections) > 0 {
		strike(&row, e.Corrections[0].Was, l, d)
	}
	if e.Name.Book == agenda.Kriptogram && !p.ShowSubject {
		row.Cells["perihal"] = text("(disamarkan)")
	}
	if v := e.Voided; v != nil {
		row.Cells["keterangan"] = text("Dibatalkan: " + v.Reason + "; dasar: " + v.Authority)
	} else if l.Note != "" {
		row.Cells["keterangan"] = text(l.Note)
	}
	for _, c := range e.Copies {
		unit := c.Handle
		if u, ok := units[addresseeOf(c)]; ok {
			unit = u
		}
		sub := map[string]extract.Cell{"tujuan": text(unit)}
		if len(e.Copies) > 1 {
			sub["tujuan"] = text(fmt.Sprintf("%d. %s", c.Copy, unit))
		}
		if c.State == agenda.CopyAccepted || c.State == agenda.CopyEvidenced {
			sent := c.SettledAt
			sub["kirim"] = text(extract.ShortDate(sent) + "\n" + extract.Clock(sent))
		}
		sub["keterangan"] = text(joinWords(copyNote(e, c), withdrawn.words(e, c)))
		row.Sub = append(row.Sub, extract.SubRow{Cells: sub, Struck: c.State == agenda.CopyCancelled})
	}
	return row
}

func copyNote(e agenda.Entry, c agenda.Copy) string {
	var parts []string
	if e.Name.Book == agenda.Kriptogram && len(e.Copies) > 1 {
		parts = append(parts, fmt.Sprintf("salinan %d/%d", c.Copy, len(e.Copies)))
	}
	if c.Kind == agenda.KindCc {
		parts = append(parts, "tembusan")
	}
	switch c.State {
	case agenda.CopyDoubt:
		parts = append(parts, "belum pasti")
	case agenda.CopyRejected:
		parts = append(parts, "ditolak server")
	case agenda.CopyCancelled:
		parts = append(parts, "dibatalkan")
	case agenda.CopyEvidenced:
		parts = append(parts, remark(c))
	}
	return strings.Join(parts, "; ")
}

// strike keeps what an entry said at its registration readable above what it
// says now.
func strike(row *extract.Row, was, is agenda.Letter, d *Desk) {
	set := func(key, old, now string) {
		if old != now {
			c := row.Cells[key]
			c.Struck = old
			row.Cells[key] = c
		}
	}
	set("asal", origin(was), origin(is))
	set("surat", was.Number+"\n"+isoToShort(was.Date), is.Number+"\n"+isoToShort(is.Date))
	set("perihal", was.Subject, is.Subject)
	set("kelas", d.Config.Profile.Class(string(was.Class)).Code+"\n"+d.Config.Profile.Urgency(string(was.Urgency)).Code,
		d.Config.Profile.Class(string(is.Class)).Code+"\n"+d.Config.Profile.Urgency(string(is.Urgency)).Code)
	set("derajat", d.Config.Profile.Urgency(string(was.Urgency)).Code, d.Config.Profile.Urgency(string(is.Urgency)).Code)
	if was, is := strings.Join(append(was.To, was.Cc...), ", "), strings.Join(append(is.To, is.Cc...), ", "); was != is && len(row.Sub) == 0 {
		row.Cells["tujuan"] = extract.Cell{Struck: was}
	}
}

func origin(l agenda.Letter) string {
	if l.Origin != "" && l.Origin != l.Applicant {
		return l.Origin + " / " + l.Applicant
	}
	return l.Applicant
}

func isoToShort(iso string) string {
	t, err := time.Parse(time.DateOnly, iso)
	if err != nil {
		return iso
	}
	return extract.ShortDate(t)
}

// PrintSlips writes the strips for the backs of letters that were sent.
func (d *Desk) PrintSlips(ctx context.Context, w io.Writer, names []agenda.Name, format, paper string) error {
	var slips []extract.Slip
	for _, n := range names {
		e, err := d.Book.Entry(ctx, n)
		if err != nil {
			return err
		}
		s := extract.Slip{
			Entry: d.entryName(e.Name), LetterNumber: e.Letter.Number, LetterDate: letterDate(e.Letter.Date),
			Sender: d.Config.Profile.Title(string(Clerk(e.Name.Book))),
		}
		for _, c := range e.Copies {
			if c.State != agenda.CopyAccepted && c.State != agenda.CopyEvidenced {
				continue
			}
			l := extract.SlipLine{Destination: c.Handle, SentAt: extract.DateTime(c.SettledAt), Proof: c.QueueID}
			if c.Correspondent != 0 {
				corr, err := d.Book.Addressee(ctx, c)
				if err != nil {
					return err
				}
				l.Destination = corr.Unit
			}
			if c.State == agenda.CopyEvidenced {
				l.Proof = remark(c)
			}
			if c.Route == "manual" {
				l.Route = "webmail"
			}
			s.Lines = append(s.Lines, l)
		}
		if len(s.Lines) == 0 {
			return notSent(e)
		}
		slips = append(slips, s)
	}
	if format == FormatText {
		return extract.SlipsText(w, slips)
	}
	page := d.page(false)
	if paper != "" {
		page.Paper = extract.Paper(paper)
	}
	return extract.Slips(w, page, slips)
}

// PrintDraft writes the sheet of a draft for the head of section.
func (d *Desk) PrintDraft(ctx context.Context, w io.Writer, name agenda.Name, format string) error {
	e, err := d.Book.Entry(ctx, name)
	if err != nil {
		return err
	}
	if e.Drafted == nil || e.State == agenda.StateRegistered {
		return &Error{code: stateCode(e), Entry: name, Detail: string(e.State)}
	}
	s, err := d.fresh(ctx, e)
	if err != nil {
		return err
	}
	f, err := d.Vault.Open(e.Drafted.Kriptogram.SHA256)
	if err != nil {
		return err
	}
	defer f.Close()
	opening := make([]byte, 188)
	n, err := io.ReadFull(f, opening)
	if err != nil && n == 0 {
		return err
	}
	files := 1
	fmt.Sscanf(e.Drafted.Documents, "berkas %d", &files)
	sheet := extract.DraftSheet{
		Classification: d.Config.Profile.Class(string(e.Letter.Class)).Printed,
		Urgency:        d.Config.Profile.Urgency(string(e.Letter.Urgency)).Printed,
		Draft:          s.draft.Number, Entry: fmt.Sprintf("%d/%d", e.Name.Serial, e.Name.Year), From: d.Config.Office.Name,
		LetterNumber: e.Letter.Number, LetterDate: letterDate(e.Letter.Date), Applicant: e.Letter.Applicant,
		Pages: e.Letter.Pages, Files: files,
		Cipher:     "OpenPGP, " + s.draft.Format + ", ukuran " + dots(s.draft.Size) + " byte",
		CheckWords: checkWords(s.text), Opening: opening[:n],
		ParafAt:  shortMoment(s.draft.At),
		Sandiman: d.block("", ctx, agenda.RoleSandiman), Head: d.block("", ctx, agenda.RoleKepalaSeksi),
	}
	for i, r := range s.draft.Recipients {
		sheet.To = append(sheet.To, extract.DraftRecipient{Copy: i + 1, Unit: r.Unit, KeyWords: signedtext.CheckWordsOfKey(r.Fingerprint)})
	}
	if format == FormatText {
		return extract.DraftText(w, sheet)
	}
	return extract.Draft(w, d.page(false), sheet)
}

// PrintWaiting writes the list of drafts that wait for a signature.
func (d *Desk) PrintWaiting(ctx context.Context, w io.Writer, format string) error {
	list, err := d.Waiting(ctx)
	if err != nil {
		return err
	}
	now := d.Now()
	s := extract.WaitingSheet{
		Reader: d.Config.Profile.Title(string(agenda.RoleKepalaSeksi)),
		Date:   extract.DayDateTime(now),
		Right:  d.block(d.placeAndDate(), ctx, agenda.RoleSandiman),
	}
	for _, short := range list {
		e, err := d.Book.EntryByID(ctx, short.ID)
		if err != nil {
			return err
		}
		text, err := d.Book.Object(ctx, e.Drafted.Text.SHA256)
		if err != nil {
			return err
		}
		s.Items = append(s.Items, extract.WaitingItem{
			Entry: e.Name.String(), Urgency: d.Config.Profile.Urgency(string(e.Letter.Urgency)).Printed, Draft: e.Draft,
			ParafAt: moment(e.Drafted.At, now), Addressees: len(e.Copies), Pages: e.Letter.Pages,
			Due: moment(d.Due(e).At(), now), CheckWords: signedtext.CheckWordsOf(signedtext.Sum(text.Data)),
		})
	}
	if format == FormatText {
		return extract.WaitingText(w, s)
	}
	return extract.Waiting(w, d.page(false), s)
}

// PrintReceipt writes the receipt for a request, for the applicant.
func (d *Desk) PrintReceipt(ctx context.Context, w io.Writer, name agenda.Name, format string) error {
	e, err := d.Book.Entry(ctx, name)
	if err != nil {
		return err
	}
	if e.State == agenda.StateVoid {
		return &Error{code: CodeState, Entry: name, Detail: string(e.State)}
	}
	p := d.Config.Profile
	service := p.Service(string(e.Name.Book))
	at, due := received(e), d.Due(e).At()
	sheet := extract.ReceiptSheet{
		Entry: e.Name.String(), Request: e.Letter.Request, RequestDate: letterDate(e.Letter.RequestDate), Applicant: e.Letter.Applicant,
		Received: extract.DayDateTime(at), Service: service.Title,
		Due: extract.DayDateTime(due), Cost: service.Fee,
		Complaint: complaintLine(p.Complaints.Phone, p.Complaints.Email, p.Complaints.Website),
		Officer:   p.Title(string(Clerk(e.Name.Book))),
	}
	if format == FormatText {
		return extract.ReceiptText(w, sheet)
	}
	return extract.Receipt(w, d.page(false), sheet)
}

func complaintLine(parts ...string) string {
	var set []string
	for _, s := range parts {
		if s != "" {
			set = append(set, s)
		}
	}
	return strings.Join(set, ", ")
}
