package desk

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"sandi/agenda"
	"sandi/agenda/extract"
	"sandi/cmd/internal/config"
)

// Readers of a report of result.
const (
	ToHead      = "kepala-dinas"
	ToApplicant = "pemohon"
)

// Report is one finished report.
type Report struct {
	To        string // ToHead or ToApplicant
	Applicant string // of a report for an applicant
	Entries   []agenda.Name
	Text      []byte
	PDF       []byte
}

// ReportResult makes the reports of result for the entries: one sheet for the
// head of the office and one for each applicant, or only one of the two
// kinds. Each is recorded with its octets before it is returned, so that it
// can be written again.
func (d *Desk) ReportResult(ctx context.Context, names []agenda.Name, to string) ([]Report, error) {
	entries, err := d.reportable(ctx, names)
	if err != nil {
		return nil, err
	}
	who, err := d.ActingOr(ctx, agenda.RoleOperator, agenda.RoleSandiman)
	if err != nil {
		return nil, err
	}
	var reports []Report
	var groups [][]agenda.Entry
	if to == "" || to == ToHead {
		r, err := d.headReport(ctx, entries, false)
		if err != nil {
			return nil, err
		}
		reports, groups = append(reports, r), append(groups, entries)
	}
	if to == "" || to == ToApplicant {
		for _, group := range byApplicant(entries) {
			r, err := d.applicantReport(ctx, group, false)
			if err != nil {
				return nil, err
			}
			reports, groups = append(reports, r), append(groups, group)
		}
	}
	for i := range reports {
		var ids []int64
		for _, e := range groups[i] {
			ids = append(ids, e.ID)
			reports[i].Entries = append(reports[i].Entries, e.Name)
		}
		rec := agenda.ReportRecord{Kind: "result", To: reports[i].To, Object: dataObject(reports[i].PDF, pdfMedia)}
		if err := d.Book.Report(ctx, who, ids, rec, d.reportedToAll); err != nil {
			return nil, err
		}
	}
	return reports, nil
}

// MayReport says whether the result of the entries can be reported now.
func (d *Desk) MayReport(ctx context.Context, names []agenda.Name) error {
	_, err := d.reportable(ctx, names)
	return err
}

func (d *Desk) reportable(ctx context.Context, names []agenda.Name) ([]agenda.Entry, error) {
	var entries []agenda.Entry
	for _, n := range names {
		e, err := d.Book.Entry(ctx, n)
		if err != nil {
			return nil, err
		}
		if n.Book == agenda.Laporan {
			return nil, &Error{code: CodeState, Entry: n, Detail: string(e.State)}
		}
		if !agenda.Allowed(e.Name.Book, agenda.StepReport, e.State) {
			if e.State == agenda.StateSent {
				// Book surat: what was sent is filed first.
				return nil, refuseEntry(CodeNotArchived, e.Name)
			}
			return nil, notSent(e)
		}
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		return nil, refuse(CodeNothing)
	}
	return entries, nil
}

// reportedToAll says whether everybody whom the profile asks for has his
// report.
func (d *Desk) reportedToAll(e agenda.Entry) bool {
	for _, to := range d.Config.Profile.ReportTo(string(e.Name.Book)) {
		if !slices.ContainsFunc(e.Reports, func(r agenda.ReportRecord) bool { return r.Kind == "result" && r.To == to }) {
			return false
		}
	}
	return true
}

func byApplicant(entries []agenda.Entry) [][]agenda.Entry {
	var groups [][]agenda.Entry
	place := map[string]int{}
	for _, e := range entries {
		i, ok := place[e.Letter.Applicant]
		if !ok {
			i = len(groups)
			place[e.Letter.Applicant] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], e)
	}
	return groups
}

// WrongAddress is why an entry is withdrawn when nobody says otherwise.
const WrongAddress = "salah alamat"

// withdrawals are the entries that withdraw or correct others, by the other.
type withdrawals map[agenda.Name][]agenda.Entry

func (d *Desk) withdrawals(ctx context.Context) (withdrawals, error) {
	return d.Book.Retractions(ctx)
}

// of are those that went, or are to go, to the addressee of a copy which has
// or may have what is withdrawn.
func (w withdrawals) of(e agenda.Entry, c agenda.Copy) []agenda.Entry {
	if !Reached(c) {
		return nil
	}
	var out []agenda.Entry
	for _, by := range w[e.Name] {
		if slices.Contains(by.Letter.To, c.Handle) || slices.Contains(by.Letter.Cc, c.Handle) {
			out = append(out, by)
		}
	}
	return out
}

// words say it of a copy: why and with which entry; "" when it stands.
func (w withdrawals) words(e agenda.Entry, c agenda.Copy) string {
	var parts []string
	for _, by := range w.of(e, c) {
		parts = append(parts, by.Letter.Retracts+"; diralat atau ditarik dengan "+by.Name.In(e.Name.Year))
	}
	return strings.Join(parts, "; ")
}

// Reached tells whether a copy is, or may be, with its addressee.
func Reached(c agenda.Copy) bool {
	switch c.State {
	case agenda.CopyAccepted, agenda.CopyEvidenced, agenda.CopyDoubt, agenda.CopyHanded:
		return true
	}
	return false
}

// headReport makes the sheet for the head of the office. One that is mailed
// says of a kriptogram neither number nor addressees: it is not enciphered.
func (d *Desk) headReport(ctx context.Context, entries []agenda.Entry, mailed bool) (Report, error) {
	now := d.Now()
	withdrawn, err := d.withdrawals(ctx)
	if err != nil {
		return Report{}, err
	}
	s := extract.ResultSheet{
		Reader:   d.Config.Profile.Title(ToHead),
		Date:     extract.DayDate(now),
		Initials: []string{d.shortTitle(agenda.RoleKepalaBidang), d.shortTitle(agenda.RoleKepalaSeksi)},
	}
	s.Counts.Letters = len(entries)
	clerks := map[agenda.Role]bool{}
	for _, e := range entries {
		clerks[Clerk(e.Name.Book)] = true
		receipts, err := d.Book.Receipts(ctx, e.ID)
		if err != nil {
			return Report{}, err
		}
		var copies []extract.ResultCopy
		for _, c := range e.Copies {
			rc := extract.ResultCopy{
				Destination: c.Handle, Sent: when(c, now), Confirmed: confirmed(receipts, agenda.CopyRef{Entry: e.ID, Copy: c.Copy}, now),
			}
			if r, ok := Confirmation(receipts, agenda.CopyRef{Entry: e.ID, Copy: c.Copy}); ok && r.Failed() {
				s.Notes = append(s.Notes, fmt.Sprintf("%s salinan %d tidak sampai menurut laporan server, %s.", d.entryName(e.Name), c.Copy, shortMoment(r.At)))
			}
			if c.Correspondent != 0 {
				corr, err := d.Book.Addressee(ctx, c)
				if err != nil {
					return Report{}, err
				}
				rc.Destination = corr.Unit
			}
			s.Counts.Copies++
			switch c.State {
			case agenda.CopyAccepted, agenda.CopyEvidenced:
				s.Counts.Sent++
			case agenda.CopyDoubt:
				s.Counts.Uncertain++
			case agenda.CopyCancelled:
				rc.Sent = "dibatalkan"
			default:
				s.Counts.Unsent++
			}
			if words := withdrawn.words(e, c); words != "" {
				s.Counts.Withdrawn++
				s.Notes = append(s.Notes, fmt.Sprintf("%s kepada %s: %s.", d.entryName(e.Name), rc.Destination, words))
			}
			copies = append(copies, rc)
		}
		if e.Letter.Retracts != "" {
			s.Notes = append(s.Notes, fmt.Sprintf("%s meralat atau menarik %s: %s.", d.entryName(e.Name), shortName(e.Letter.Refers, now.In(agenda.WIB).Year()), e.Letter.Retracts))
		}
		if due := d.Due(e).At(); e.SentAt.After(due) {
			s.Counts.Late++
			s.Notes = append(s.Notes, fmt.Sprintf("%s terkirim %s, batas waktu %s.", d.entryName(e.Name), shortMoment(e.SentAt), shortMoment(due)))
		}
		if n := len(e.Corrections); n > 0 {
			s.Notes = append(s.Notes, fmt.Sprintf("%s diperbaiki %d kali sebelum dikirim.", d.entryName(e.Name), n))
		}
		if e.Name.Book == agenda.Surat {
			s.Ordinary = append(s.Ordinary, extract.OrdinaryResult{
				Entry: d.entryName(e.Name), Applicant: e.Letter.Applicant, LetterNumber: e.Letter.Number,
				Received: moment(received(e), now), Copies: copies,
			})
			continue
		}
		x := extract.ExcludedResult{Entry: d.entryName(e.Name), Number: e.Number, Copies: copies}
		if mailed {
			x.Number, x.Copies = "-", []extract.ResultCopy{{Destination: countedWords(e), Sent: moment(e.SentAt, now)}}
		}
		if e.Signed != nil {
			x.Signed = moment(e.Signed.At, now)
		}
		s.Excluded = append(s.Excluded, x)
	}
	if mailed && len(s.Excluded) > 0 {
		s.Notes = append(s.Notes, "Nomor dan tujuan naskah dinas yang dikecualikan tidak dicantumkan dalam email.")
	}
	var reporters []string
	for _, r := range []agenda.Role{agenda.RoleOperator, agenda.RoleSandiman} {
		if clerks[r] {
			reporters = append(reporters, d.Config.Profile.Title(string(r)))
		}
	}
	s.Reporter = strings.Join(reporters, " / ")
	var text, pdf bytes.Buffer
	if err := extract.ResultText(&text, s); err != nil {
		return Report{}, err
	}
	if err := extract.Result(&pdf, d.page(false), s); err != nil {
		return Report{}, err
	}
	return Report{To: ToHead, Text: text.Bytes(), PDF: pdf.Bytes()}, nil
}

// entryName is a name as a sheet of today has it: serials begin anew each year,
// so that one of another year is named with it.
func (d *Desk) entryName(n agenda.Name) string { return n.In(d.Now().In(agenda.WIB).Year()) }

// shortName leaves the year out where it is that of the entry beside it.
func shortName(long string, year int) string {
	n, err := agenda.ParseName(long, year)
	if err != nil || n.Year != year {
		return long
	}
	return n.String()
}

// countedWords say to how many an entry went, without saying to whom.
func countedWords(e agenda.Entry) string {
	cancelled := 0
	for _, c := range e.Copies {
		if c.State == agenda.CopyCancelled {
			cancelled++
		}
	}
	words := fmt.Sprintf("%d tujuan", len(e.Copies))
	if cancelled > 0 {
		words += fmt.Sprintf(" (%d dibatalkan)", cancelled)
	}
	return words
}

// applicantReport makes the half-sheet for an applicant. One that is mailed
// never names the addressees of a kriptogram, whatever the office lets its
// counter say.
func (d *Desk) applicantReport(ctx context.Context, entries []agenda.Entry, mailed bool) (Report, error) {
	now := d.Now()
	withdrawn, err := d.withdrawals(ctx)
	if err != nil {
		return Report{}, err
	}
	n := extract.Notice{
		Applicant: entries[0].Letter.Applicant,
		Date:      extract.DayDate(now),
		Officer:   d.Config.Profile.Title(string(Clerk(entries[0].Name.Book))),
	}
	for _, e := range entries {
		item := extract.NoticeItem{
			Entry: d.entryName(e.Name), Request: e.Letter.Request, LetterNumber: e.Letter.Number,
			LetterDate: letterDate(e.Letter.Date), Addressees: len(e.Copies),
		}
		if !e.SentAt.IsZero() {
			item.SentAt = extract.DateTime(e.SentAt)
		}
		receipts, err := d.Book.Receipts(ctx, e.ID)
		if err != nil {
			return Report{}, err
		}
		if e.Name.Book == agenda.Surat || d.Config.Profile.ApplicantSeesAddressees && !mailed {
			for _, c := range e.Copies {
				nc := extract.NoticeCopy{Destination: c.Handle, Remark: cmp.Or(withdrawn.words(e, c), told(remark(c), receipts, agenda.CopyRef{Entry: e.ID, Copy: c.Copy}))}
				if c.Correspondent != 0 {
					corr, err := d.Book.Addressee(ctx, c)
					if err != nil {
						return Report{}, err
					}
					nc.Destination = corr.Unit
				}
				if !c.SettledAt.IsZero() && c.State != agenda.CopyCancelled {
					nc.SentAt = extract.DateTime(c.SettledAt)
				}
				item.Copies = append(item.Copies, nc)
			}
		} else {
			item.Remark = acceptedRemark
			n := 0
			for _, c := range e.Copies {
				if r, ok := Confirmation(receipts, agenda.CopyRef{Entry: e.ID, Copy: c.Copy}); ok && r.Arrived() {
					n++
				}
			}
			if n > 0 {
				item.Remark = fmt.Sprintf("diterima server; dikonfirmasi %d dari %d tujuan", n, len(e.Copies))
			}
			for _, c := range e.Copies {
				item.Remark = cmp.Or(withdrawn.words(e, c), item.Remark)
			}
		}
		if e.Name.Book == agenda.Kriptogram {
			// The applicant's sheet lies on a counter: nothing of the letter.
			item.LetterNumber, item.LetterDate = "", ""
		}
		n.Items = append(n.Items, item)
	}
	var text, pdf bytes.Buffer
	if err := extract.NoticesText(&text, []extract.Notice{n}); err != nil {
		return Report{}, err
	}
	if err := extract.Notices(&pdf, d.page(false), []extract.Notice{n}); err != nil {
		return Report{}, err
	}
	return Report{To: ToApplicant, Applicant: n.Applicant, Text: text.Bytes(), PDF: pdf.Bytes()}, nil
}

// page is what every sheet of this office has in common.
func (d *Desk) page(codes bool) extract.Page {
	o := d.Config.Office
	office := extract.Office{Lines: o.Letterhead, City: o.City}
	if len(o.Contact) > 0 {
		office.Address = o.Contact[0]
		office.Contact = strings.Join(o.Contact[1:], "  ")
	}
	if o.Emblem != "" {
		// A sheet without emblem is better than no sheet.
		office.Emblem, _ = os.ReadFile(config.Resolve(d.Dir, o.Emblem))
	}
	return extract.Page{Paper: extract.Paper(d.Config.Profile.Paper), Office: office, PrintedAt: d.Now(), PageCodes: codes}
}

// shortTitle is a title up to what it is head of: a box for a paraf is small.
func (d *Desk) shortTitle(r agenda.Role) string {
	w := strings.Fields(d.Config.Profile.Title(string(r)))
	return strings.Join(w[:min(2, len(w))], " ")
}

func received(e agenda.Entry) time.Time {
	if e.Letter.Received.IsZero() {
		return e.RegisteredAt
	}
	return e.Letter.Received
}

// moment is a time on a sheet of the day: the clock, with the date when it is
// another day.
func moment(t, today time.Time) string {
	if t.IsZero() {
		return ""
	}
	if extract.ShortDate(t) == extract.ShortDate(today) {
		return extract.Clock(t)
	}
	return extract.ShortDateTime(t)
}

func shortMoment(t time.Time) string { return extract.ShortDate(t) + " pukul " + extract.ClockTime(t) }

func when(c agenda.Copy, today time.Time) string {
	switch c.State {
	case agenda.CopyAccepted, agenda.CopyEvidenced:
		return moment(c.SettledAt, today)
	case agenda.CopyDoubt:
		return "belum pasti"
	}
	return "belum"
}

// acceptedRemark keeps the two things apart: what the gateway took, and what
// the addressee has.
const acceptedRemark = "diterima server; belum dikonfirmasi tujuan"

// told is a remark with what came back about the copy.
func told(remark string, receipts []agenda.Receipt, ref agenda.CopyRef) string {
	r, ok := Confirmation(receipts, ref)
	if !ok {
		return remark
	}
	said := "dikonfirmasi tujuan " + extract.DateTime(r.At)
	if r.Kind == agenda.ReceiptDSN {
		said = "sampai menurut laporan server " + extract.DateTime(r.At)
	}
	if r.Failed() {
		said = "tidak sampai menurut laporan server"
	}
	before, _, _ := strings.Cut(remark, "; belum")
	return before + "; " + said
}

func remark(c agenda.Copy) string {
	switch c.State {
	case agenda.CopyAccepted:
		return acceptedRemark
	case agenda.CopyEvidenced:
		switch {
		case c.Basis == "file" && c.Route == "manual":
			return "dikirim melalui webmail; bukti berkas"
		case c.Basis == "file":
			return "menurut bukti berkas"
		}
		return "menurut keterangan petugas"
	case agenda.CopyDoubt:
		return "belum pasti"
	case agenda.CopyCancelled:
		return "dibatalkan"
	}
	return "belum terkirim"
}

// letterDate turns a stored ISO date into the words of a sheet.
func letterDate(iso string) string {
	t, err := time.Parse(time.DateOnly, iso)
	if err != nil {
		return iso
	}
	return extract.Date(t)
}
