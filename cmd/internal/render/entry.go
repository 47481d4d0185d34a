package render

import (
	"time"

	"sandi/agenda"
)

// Entry is one line of a book.
type Entry struct {
	Schema         string  `json:"schema"` // sandi.entry/1
	Name           string  `json:"name"`   // K12
	Book           string  `json:"book"`
	Year           int     `json:"year"`
	Serial         int     `json:"serial"`
	Number         *string `json:"number"` // null before release and in book surat
	State          string  `json:"state"`
	Draft          int     `json:"draft"`
	Subject        *string `json:"subject"` // null when masked, and of a report
	Classification string  `json:"classification"`
	Urgency        string  `json:"urgency"`
	Applicant      string  `json:"applicant"`
	Request        *string `json:"request"`
	RequestDate    *string `json:"request_date"`
	Letter         *string `json:"letter"`
	LetterDate     *string `json:"letter_date"`
	Origin         *string `json:"origin"`
	RegisteredAt   *string `json:"registered_at"`
	ReceivedAt     *string `json:"received_at"`
	DueAt          *string `json:"due_at"`
	ReleasedAt     *string `json:"released_at"`
	SentAt         *string `json:"sent_at"`
	Reader         *string `json:"reader,omitempty"` // of book laporan
	Copies         []Copy  `json:"copies"`
}

// Copy is one addressee of an entry and what became of the message to them.
type Copy struct {
	Copy          int     `json:"copy"`
	Kind          string  `json:"kind"` // to, cc
	Correspondent string  `json:"correspondent"`
	State         *string `json:"state"` // null before release
	MessageID     *string `json:"message_id"`
	Attempts      int     `json:"attempts"`
	LastReply     *string `json:"last_reply"`
	SettledAt     *string `json:"settled_at"`
	// Receipts is what came back about it, oldest first; absent where receipts were not read.
	Receipts []Receipt `json:"receipts,omitzero"`
}

// Receipt is what came back about a copy after the server took it: a notice of a server, a reading notice, an answer.
type Receipt struct {
	Kind    string  `json:"kind"`   // dsn, mdn, reply
	Action  string  `json:"action"` // delivered relayed delayed failed expanded; displayed …; answered
	Status  *string `json:"status"`
	Arrived bool    `json:"arrived"`
	Failed  bool    `json:"failed"`
	At      *string `json:"at"`
	NotedAt *string `json:"noted_at"`
	Matched string  `json:"matched"` // envid, message-id, number: what ties it to this copy
	Source  *string `json:"source"`  // who reports, as the notice has it
	SHA256  string  `json:"sha256"`  // of the notice as it was kept
}

// WithReceipts puts what came back to the copies of the entry.
func (e *Entry) WithReceipts(receipts []agenda.Receipt) {
	for i := range e.Copies {
		e.Copies[i].Receipts = []Receipt{}
		for _, r := range receipts {
			if r.Ref.Copy == e.Copies[i].Copy {
				e.Copies[i].Receipts = append(e.Copies[i].Receipts, Receipt{
					Kind: string(r.Kind), Action: r.Action, Status: Text(r.Status), Arrived: r.Arrived(), Failed: r.Failed(),
					At: Instant(r.At), NotedAt: Instant(r.NotedAt), Matched: r.Matched, Source: Text(r.Remote), SHA256: r.Object.SHA256.String(),
				})
			}
		}
	}
}

// EntryOf turns an entry of the book into its JSON form. A zero due time becomes null; masked hides the subject.
func EntryOf(e agenda.Entry, due time.Time, masked bool) Entry {
	out := Entry{
		Schema:         "sandi.entry/1",
		Name:           e.Name.String(),
		Book:           string(e.Name.Book),
		Year:           e.Name.Year,
		Serial:         e.Name.Serial,
		Number:         Text(e.Number),
		State:          string(e.State),
		Draft:          e.Draft,
		Classification: string(e.Letter.Class),
		Urgency:        string(e.Letter.Urgency),
		Applicant:      e.Letter.Applicant,
		Request:        Text(e.Letter.Request),
		RequestDate:    Text(e.Letter.RequestDate),
		Letter:         Text(e.Letter.Number),
		LetterDate:     Text(e.Letter.Date),
		Origin:         Text(e.Letter.Origin),
		RegisteredAt:   Instant(e.RegisteredAt),
		ReceivedAt:     Instant(e.Letter.Received),
		DueAt:          Instant(due),
		ReleasedAt:     Instant(e.ReleasedAt),
		SentAt:         Instant(e.SentAt),
		Copies:         make([]Copy, 0, len(e.Copies)),
	}
	if !masked && e.Mailed == nil { // a report has none
		out.Subject = &e.Letter.Subject
	}
	if e.Mailed != nil {
		out.Reader = &e.Mailed.Reader
	}
	for _, c := range e.Copies {
		out.Copies = append(out.Copies, Copy{
			Copy:          c.Copy,
			Kind:          c.Kind,
			Correspondent: c.Handle,
			State:         Text(string(c.State)),
			MessageID:     Text(c.MessageID),
			Attempts:      c.Attempts,
			LastReply:     Text(c.LastReply),
			SettledAt:     Instant(c.SettledAt),
		})
	}
	return out
}
