package desk

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sandi/agenda"
	"sandi/agenda/extract"
	"sandi/crypto"
	"sandi/mail"
)

// Codes of reports that cannot be mailed.
const (
	CodeNoAddress     = "desk.no_address"      // the applicant has no e-mail address
	CodeNoHeadAddress = "desk.no_head_address" // the profile has none of the head of the office
	CodeSameUnit      = "desk.same_unit"       // several applicants of one name, and not one address
)

// MailParams say which results to report by e-mail.
type MailParams struct {
	Names   []agenda.Name
	To      string // ToHead or ToApplicant; "" is both
	Reason  string // on record for a refused report that gives way to a new one
	DryRun  bool
	Secrets Secrets
	// Confirm is shown what will happen before anything does; its error stops
	// the command.
	Confirm func(MailPlan) error
}

// MailPlan is what becomes of each report.
type MailPlan struct {
	New    []MailedReport // to be sent, or released by this run
	Before []MailedBefore // on their way or delivered since an earlier run
	Paper  []Unmailable
}

// Unmailable is a report whose reader has no address.
type Unmailable struct {
	To        string
	Applicant string
	Handle    string // of the applicant; "": entered under no name
	Several   bool   // applicants of this name, with different addresses
	Entries   []agenda.Name
}

// MailedReport is a report by e-mail.
type MailedReport struct {
	Report
	Name    agenda.Name // L3
	Address string
	ids     []int64
}

// MailedBefore is a report that an earlier run released.
type MailedBefore struct {
	Entry   agenda.Entry // of book laporan
	Entries []agenda.Name
}

// Unsettled tells whether somebody or something still has to deliver it.
func (b MailedBefore) Unsettled() bool { return b.Entry.State == agenda.StateReleased }

// MailReports makes the reports of result as e-mails: the sheet for the head of
// the office and one for each applicant, as [Desk.ReportResult] writes them,
// each an entry of book laporan with its message frozen. [Desk.Send] delivers
// them like any other copy; with the acceptance of its copy a report is
// recorded for its entries.
//
// A report of the same entry for the same reader that is on its way or
// delivered stands in Before and is not made again; one that the server
// certainly refused, or that only waits for an address which the reader has no
// more, gives way to the new one. Registration and release are one
// transaction: a crash before leaves messages in the vault that nobody refers
// to, a crash behind it leaves reports that are ready to be sent.
func (d *Desk) MailReports(ctx context.Context, p MailParams) (MailPlan, error) {
	var plan MailPlan
	lock, err := d.senderLock()
	if err != nil {
		return plan, err
	}
	defer lock.Unlock()
	entries, err := d.reportable(ctx, p.Names)
	if err != nil {
		return plan, err
	}
	if err := d.planMail(ctx, p.To, entries, &plan); err != nil || len(plan.New) == 0 {
		return plan, err
	}
	if err := d.number(ctx, plan.New); err != nil || p.DryRun {
		return plan, err
	}
	if p.Confirm != nil {
		if err := p.Confirm(plan); err != nil {
			return plan, err
		}
	}
	sender, role, err := d.reportSender(ctx)
	if err != nil {
		return plan, err
	}
	var key *crypto.Key
	if sender.Fingerprint != "" {
		if key, err = d.unlock(ctx, sender, role, ForMessage, p.Secrets); err != nil {
			return plan, err
		}
	}
	for try := 1; ; try++ {
		err := d.mailOnce(ctx, plan.New, sender, key, p.Reason)
		if coded(err) != "agenda.number_taken" || try == maxProposals {
			return plan, err
		}
		if err := d.number(ctx, plan.New); err != nil {
			return plan, err
		}
	}
}

// planMail sorts the reports of the entries into those to be made, those that
// are, and those that cannot be mailed.
func (d *Desk) planMail(ctx context.Context, to string, entries []agenda.Entry, plan *MailPlan) error {
	if to == "" || to == ToHead {
		fresh, err := d.unmailed(ctx, entries, ToHead, plan)
		if err != nil {
			return err
		}
		if len(fresh) > 0 {
			report := func() (Report, error) { return d.headReport(ctx, fresh, true) }
			if err := plan.add(Unmailable{To: ToHead}, d.Config.Profile.HeadAddress, fresh, report); err != nil {
				return err
			}
		}
	}
	if to == ToHead {
		return nil
	}
	fresh, err := d.unmailed(ctx, entries, ToApplicant, plan)
	if err != nil {
		return err
	}
	for _, group := range byApplicant(fresh) {
		whose := Unmailable{To: ToApplicant, Applicant: group[0].Letter.Applicant}
		r, err := d.applicantReader(ctx, whose.Applicant)
		if err != nil {
			return err
		}
		whose.Handle, whose.Several = r.handle, r.several
		address := r.address
		report := func() (Report, error) { return d.applicantReport(ctx, group, true) }
		if err := plan.add(whose, address, group, report); err != nil {
			return err
		}
	}
	return nil
}

// reader is where the reports of a reader go.
type reader struct {
	handle, address string // of an applicant
	known           bool   // the desk knows whose address it is; it may be empty
	several         bool
}

// applicantReader finds an applicant by the name that stands in his letters.
// Entries keep that and no handle: when applicants of one name have different
// addresses, nobody but a person knows whose letter it was.
func (d *Desk) applicantReader(ctx context.Context, unit string) (reader, error) {
	var r reader
	all, err := d.Book.Applicants(ctx)
	for _, a := range all {
		switch {
		case a.Ended || a.Unit != unit:
		case r.handle == "":
			r.handle, r.address, r.known = a.Handle, a.Email, true
		case a.Email != r.address:
			r.several = true
		}
	}
	if r.several {
		r.address, r.known = "", false
	}
	return r, err
}

// heldReport is held for a report: its reader may have got another address
// since, often because the first one was wrong. It is made anew for that.
func (d *Desk) heldReport(ctx context.Context, e agenda.Entry, c agenda.Copy) (string, error) {
	if e.Mailed == nil || c.State != agenda.CopyReady && c.State != agenda.CopyDeferred {
		return "", nil
	}
	r := reader{address: d.Config.Profile.HeadAddress, known: true}
	if e.Mailed.Reader != ToHead {
		var err error
		if r, err = d.applicantReader(ctx, e.Letter.Applicant); err != nil {
			return "", err
		}
	}
	if r.known && r.address != c.Address {
		return CodeAddressChanged, nil
	}
	return "", nil
}

// MailedElsewhere tells whether a report waits for an address that its reader
// has no more.
func (d *Desk) MailedElsewhere(ctx context.Context, e agenda.Entry) (bool, error) {
	if len(e.Copies) != 1 {
		return false, nil
	}
	why, err := d.heldReport(ctx, e, e.Copies[0])
	return why != "", err
}

func (p *MailPlan) add(whose Unmailable, address string, entries []agenda.Entry, report func() (Report, error)) error {
	var ids []int64
	for _, e := range entries {
		ids, whose.Entries = append(ids, e.ID), append(whose.Entries, e.Name)
	}
	if address == "" {
		p.Paper = append(p.Paper, whose)
		return nil
	}
	if err := CheckAddress(address); err != nil {
		return err
	}
	r, err := report()
	r.Entries = whose.Entries
	p.New = append(p.New, MailedReport{Report: r, Address: address, ids: ids})
	return err
}

// unmailed are the entries of which the reader has no report by e-mail and
// none is on its way; the others go into plan.Before by their reports.
func (d *Desk) unmailed(ctx context.Context, entries []agenda.Entry, reader string, plan *MailPlan) ([]agenda.Entry, error) {
	var fresh []agenda.Entry
	for _, e := range entries {
		id, err := d.Book.MailedFor(ctx, e.ID, reader)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(plan.Before, func(b MailedBefore) bool { return b.Entry.ID == id })
		if id != 0 && i < 0 {
			report, err := d.Book.EntryByID(ctx, id)
			if err != nil {
				return nil, err
			}
			why, err := d.heldReport(ctx, report, report.Copies[0])
			if err != nil {
				return nil, err
			}
			if report.Copies[0].State == agenda.CopyRejected || why != "" {
				id = 0
			} else {
				i = len(plan.Before)
				plan.Before = append(plan.Before, MailedBefore{Entry: report})
			}
		}
		if id == 0 {
			fresh = append(fresh, e)
			continue
		}
		plan.Before[i].Entries = append(plan.Before[i].Entries, e.Name)
	}
	return fresh, nil
}

// number proposes the names that come next.
func (d *Desk) number(ctx context.Context, reports []MailedReport) error {
	n, err := d.Book.NextMailed(ctx)
	for i := range reports {
		reports[i].Name = n
		n.Serial++
	}
	return err
}

// reportSender is who sends reports: the officer named, if he is one of those
// who make them, else the sender of letters.
func (d *Desk) reportSender(ctx context.Context) (agenda.Officer, agenda.Role, error) {
	find := d.letterSender
	if d.opts.As != "" {
		find = func(ctx context.Context) (agenda.Officer, error) { return d.Acting(ctx, clerks(agenda.Laporan)...) }
	}
	o, err := find(ctx)
	if holdsAny(o, []agenda.Role{agenda.RoleOperator}) {
		return o, agenda.RoleOperator, err
	}
	return o, agenda.RoleSandiman, err
}

// mailOnce freezes the messages and commits all together.
func (d *Desk) mailOnce(ctx context.Context, reports []MailedReport, sender agenda.Officer, key *crypto.Key, reason string) error {
	at := d.Now()
	batch := make([]agenda.Mailing, len(reports))
	err := inParallel(ctx, len(reports), func(_ context.Context, i int) (err error) {
		batch[i], err = d.mailing(reports[i], key, at)
		return err
	})
	if err != nil {
		return err
	}
	_, err = d.Book.Mail(ctx, d.actor(sender.Handle), reports[0].Name.Year, batch, reason)
	return err
}

func (d *Desk) mailing(r MailedReport, key *crypto.Key, at time.Time) (agenda.Mailing, error) {
	reader := cmp.Or(r.Applicant, d.Config.Profile.Title(ToHead))
	m, err := d.envelope(r.Address, at)
	if err != nil {
		return agenda.Mailing{}, err
	}
	base := "laporan-" + strings.ReplaceAll(r.Name.Long(), "/", "-")
	m.Parts = []mail.Part{bytesPart(base+".pdf", pdfMedia, r.PDF), bytesPart(base+".txt", textMedia, r.Text)}
	m.Cover = d.reportCover(r, reader, at, m.Parts)
	o, err := d.compose(m, key, r.Name, d.Config.Gateway.MaxSize)
	if err != nil {
		return agenda.Mailing{}, err
	}
	return agenda.Mailing{
		Serial: r.Name.Serial, Reader: r.To, To: reader, Applicant: r.Applicant, Of: r.ids,
		Sheet: dataObject(r.PDF, pdfMedia), Plain: dataObject(r.Text, textMedia),
		Message: agenda.FrozenCopy{Copy: 1, Message: o, MessageID: m.MessageID, Address: r.Address},
	}, nil
}

// reportCover are the words around a report. They name entries and nothing of
// the letters.
func (d *Desk) reportCover(r MailedReport, reader string, at time.Time, parts []mail.Part) []byte {
	var w strings.Builder
	title := "LAPORAN HASIL PENGIRIMAN"
	if r.To == ToApplicant {
		title = "PEMBERITAHUAN HASIL PENGIRIMAN"
	}
	w.WriteString(title + "\n")
	field(&w, "Nomor Agenda", r.Name.Long())
	field(&w, "Tanggal", extract.Date(at))
	field(&w, "Dari", d.Config.Office.Name)
	field(&w, "Kepada", reader)
	field(&w, "Jumlah naskah", fmt.Sprint(len(r.Entries)))
	for i, p := range parts {
		field(&w, fmt.Sprintf("Lampiran %d", i+1), p.Name)
	}
	w.WriteString("\nNaskah dinas yang dikecualikan hanya disebut dengan nomor agendanya.\n")
	return []byte(w.String())
}
