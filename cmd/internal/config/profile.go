package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Profile is the service profile: everything in which one office may differ from another. Words in lists are the stored words
// of the books (kriptogram, rahasia, sangat-segera, kepala-seksi …), never the printed ones.
type Profile struct {
	Name     string    `mapstructure:"name"`
	Services []Service `mapstructure:"services"`
	Books    []Book    `mapstructure:"books"`
	Chains   []Chain   `mapstructure:"chains"`
	Orders   []Order   `mapstructure:"order"`
	Reports  []Report  `mapstructure:"reports"`
	Roles    []Role    `mapstructure:"roles"`
	// Qualifications is the ladder from the lowest rank up; MinQualifications are rungs on it. Below: a recorded warning.
	Qualifications    []string           `mapstructure:"qualifications"`
	MinQualifications []MinQualification `mapstructure:"min_qualifications"`
	Number            Number             `mapstructure:"number"`
	Hours             Hours              `mapstructure:"hours"`
	Deadline          Deadline           `mapstructure:"deadline"`
	Signature         string             `mapstructure:"signature"` // "key", "wet", "both"
	Policy            Policy             `mapstructure:"policy"`
	Subject           string             `mapstructure:"subject"`  // of every message that leaves; neutral
	Delivery          string             `mapstructure:"delivery"` // "strict", "warn": a broken outer signature of a received message
	Wet               string             `mapstructure:"wet"`      // "refuse", "accept": received drafts with a wet signature
	BSrE              bool               `mapstructure:"bsre"`     // true: our certificates are from BSrE, the cover sheet omits its remark
	Paper             string             `mapstructure:"paper"`    // "F4", "A4"
	// ApplicantSeesAddressees lets the applicant's sheets of book kriptogram name the addressees.
	ApplicantSeesAddressees bool `mapstructure:"applicant_sees_addressees"`
	// HeadAddress is where reports by e-mail to the head of the office go; empty: on paper only.
	HeadAddress string     `mapstructure:"head_address"`
	Classes     []Word     `mapstructure:"classes"`
	Urgencies   []Word     `mapstructure:"urgencies"`
	Complaints  Complaints `mapstructure:"complaints"`
}

// Service is one service standard.
type Service struct {
	Book       string   `mapstructure:"book"`
	Title      string   `mapstructure:"title"`      // "Pelayanan Pengiriman Naskah Dinas Yang Dikecualikan"
	Product    string   `mapstructure:"product"`    // "produk pelayanan"
	Supervisor string   `mapstructure:"supervisor"` // role of the internal supervisor
	Fee        string   `mapstructure:"fee"`
	LegalBasis []string `mapstructure:"legal_basis"` // printed as written
	// The rest is the page about the service for the wall, as the standard has it.
	Requirements []string `mapstructure:"requirements"`
	Procedure    []string `mapstructure:"procedure"`
	Completion   string   `mapstructure:"completion"` // "1 (satu) hari kerja"
	Facilities   []string `mapstructure:"facilities"`
	Competence   []string `mapstructure:"competence"`
	Staff        string   `mapstructure:"staff"`
	Guarantee    string   `mapstructure:"guarantee"`
	Safety       []string `mapstructure:"safety"`
	Evaluation   string   `mapstructure:"evaluation"`
}

// Book is how one agenda book looks in print and who signs below it.
type Book struct {
	Book        string   `mapstructure:"book"`
	Title       string   `mapstructure:"title"`
	Acknowledge string   `mapstructure:"acknowledge"` // role under "Mengetahui"
	Prepared    string   `mapstructure:"prepared"`    // role that signs as keeper
	Columns     []Column `mapstructure:"columns"`
}

// Column is one column of a book; Key names the value, Width is in millimetres.
type Column struct {
	Key   string `mapstructure:"key"`
	Head  string `mapstructure:"head"`
	Width int    `mapstructure:"width"`
}

// Chain is the way of the order in one service, from the first who orders to the one who carries it out.
type Chain struct {
	Book  string `mapstructure:"book"`
	Links []Link `mapstructure:"links"`
}

// Link is one order: role to role.
type Link struct {
	From string `mapstructure:"from"`
	To   string `mapstructure:"to"`
}

// Order says whether a book's entry needs its order on record before it may go on.
type Order struct {
	Book string `mapstructure:"book"`
	Rule string `mapstructure:"rule"` // "required", "optional"
}

// Report says who gets the report of result of a book; an entry is reported when all of them have theirs.
type Report struct {
	Book string   `mapstructure:"book"`
	To   []string `mapstructure:"to"` // "kepala-dinas", "pemohon"
}

// Role is the printed title of a role when the officer's own dated title is not set.
type Role struct {
	Role  string `mapstructure:"role"`
	Title string `mapstructure:"title"`
}

// MinQualification is the least qualification of a role.
type MinQualification struct {
	Role    string `mapstructure:"role"`
	AtLeast string `mapstructure:"at_least"`
}

// Number is the form of the kriptogram number; the template is read by the agenda package.
type Number struct {
	Template string `mapstructure:"template"`
	Unit     string `mapstructure:"unit"`
	Archive  string `mapstructure:"archive"`
}

// Hours are the service hours.
type Hours struct {
	Days    []Day    `mapstructure:"days"`
	Special []Period `mapstructure:"special"` // Ramadan and the like
	// Holidays add to the shipped list of the year; HolidayYears names the years that they cover whole.
	Holidays     []Holiday `mapstructure:"holidays"`
	HolidayYears []int     `mapstructure:"holiday_years"`
}

// Day is a weekday with its open ranges, "08.00-12.00". A day that is not listed is closed.
type Day struct {
	Day    string   `mapstructure:"day"` // senin … minggu
	Ranges []string `mapstructure:"ranges"`
}

// Period replaces the week from one date to another, both included.
type Period struct {
	Name  string `mapstructure:"name"`
	From  string `mapstructure:"from"` // 2026-02-18
	Until string `mapstructure:"until"`
	Days  []Day  `mapstructure:"days"`
}

// Holiday is one closed day.
type Holiday struct {
	Date string `mapstructure:"date"`
	Name string `mapstructure:"name"`
	Kind string `mapstructure:"kind"` // "nasional", "cuti-bersama"
}

// Deadline is how the norm of the standard is reckoned.
type Deadline struct {
	Rule         string         `mapstructure:"rule"` // "service-hours", "next-day-close", "same-day", "earlier"
	ServiceHours int            `mapstructure:"service_hours"`
	UrgencyHours []UrgencyHours `mapstructure:"urgency_hours"`
	// ConfirmHours is how many service hours an addressee may take to confirm; 0: one service day of seven.
	ConfirmHours int `mapstructure:"confirm_hours"`
}

// ConfirmWithin is the service time that an addressee may take to confirm.
func (p *Profile) ConfirmWithin() time.Duration {
	if p.Deadline.ConfirmHours == 0 {
		return 7 * time.Hour
	}
	return time.Duration(p.Deadline.ConfirmHours) * time.Hour
}

// UrgencyHours is the limit of an urgency in clock hours.
type UrgencyHours struct {
	Urgency string `mapstructure:"urgency"`
	Hours   int    `mapstructure:"hours"`
}

// Policy says which classes may be enciphered here, by which rules, and who decided it.
type Policy struct {
	DecidedBy string             `mapstructure:"decided_by"` // title of who decided, never a name
	Letter    string             `mapstructure:"letter"`     // number and date of the letter
	Classes   []ClassPolicy      `mapstructure:"classes"`
	RSA2048   []RSA2048Exception `mapstructure:"rsa2048"`
}

// ClassPolicy is the policy of one class.
type ClassPolicy struct {
	Class  string `mapstructure:"class"`
	Policy string `mapstructure:"policy"` // "praktis", "ketat", "refuse"
	Review string `mapstructure:"review"` // may the head read before signing: "required", "offered", "none"
}

// RSA2048Exception lets one correspondent keep an RSA key of 2048 bits under the policy praktis.
type RSA2048Exception struct {
	Correspondent string `mapstructure:"correspondent"`
	Letter        string `mapstructure:"letter"`
}

// Word is the printed word and the code of a class or an urgency.
type Word struct {
	Word    string `mapstructure:"word"`    // stored
	Printed string `mapstructure:"printed"` // "RAHASIA"
	Code    string `mapstructure:"code"`    // "R"
	Red     bool   `mapstructure:"red"`
}

// Complaints is the contact for complaints as the applicant's sheets print it; telephone numbers and names are the office's to fill.
type Complaints struct {
	Phone   string `mapstructure:"phone"`
	Email   string `mapstructure:"email"`
	Website string `mapstructure:"website"`
	Officer string `mapstructure:"officer"`
	Direct  string `mapstructure:"direct"`
	// Norms in working days: the first answer, and the settlement. 0 stands for 3 and 5.
	AnswerDays int `mapstructure:"answer_days"`
	SettleDays int `mapstructure:"settle_days"`
	// Steps of a complaint made face to face, for the page about the service.
	Steps []string `mapstructure:"steps"`
}

// Norms are the working days for the first answer to a complaint and for its settlement.
func (c Complaints) Norms() (answer, settle int) {
	answer, settle = c.AnswerDays, c.SettleDays
	if answer == 0 {
		answer = 3
	}
	if settle == 0 {
		settle = 5
	}
	return answer, settle
}

// Book returns the profile of a book; Parse sees to it that both exist.
func (p *Profile) Book(book string) Book {
	i := slices.IndexFunc(p.Books, func(b Book) bool { return b.Book == book })
	if i < 0 {
		return Book{Book: book}
	}
	return p.Books[i]
}

// Service returns the service standard behind a book.
func (p *Profile) Service(book string) Service {
	i := slices.IndexFunc(p.Services, func(s Service) bool { return s.Book == book })
	if i < 0 {
		return Service{Book: book}
	}
	return p.Services[i]
}

// Chain returns the links of the order in a book's service.
func (p *Profile) Chain(book string) []Link {
	i := slices.IndexFunc(p.Chains, func(c Chain) bool { return c.Book == book })
	if i < 0 {
		return nil
	}
	return p.Chains[i].Links
}

// OrderRequired says whether entries of the book need their order on record.
func (p *Profile) OrderRequired(book string) bool {
	return slices.ContainsFunc(p.Orders, func(o Order) bool { return o.Book == book && o.Rule == "required" })
}

// ReportTo returns who gets the report of result of a book.
func (p *Profile) ReportTo(book string) []string {
	i := slices.IndexFunc(p.Reports, func(r Report) bool { return r.Book == book })
	if i < 0 {
		return nil
	}
	return p.Reports[i].To
}

// Title returns the printed title of a role.
func (p *Profile) Title(role string) string {
	i := slices.IndexFunc(p.Roles, func(r Role) bool { return r.Role == role })
	if i < 0 {
		return role
	}
	return p.Roles[i].Title
}

// ClassPolicy returns the policy of a class; a class that is not listed is refused.
func (p *Profile) ClassPolicy(class string) ClassPolicy {
	i := slices.IndexFunc(p.Policy.Classes, func(c ClassPolicy) bool { return c.Class == class })
	if i < 0 {
		return ClassPolicy{Class: class, Policy: "refuse", Review: "none"}
	}
	return p.Policy.Classes[i]
}

// RSA2048 says whether the correspondent has the recorded exception.
func (p *Profile) RSA2048(correspondent string) bool {
	return slices.ContainsFunc(p.Policy.RSA2048, func(e RSA2048Exception) bool { return e.Correspondent == correspondent })
}

// Class returns the printed word of a class, Urgency that of an urgency.
func (p *Profile) Class(class string) Word { return word(p.Classes, class) }

// Urgency returns the printed word of an urgency.
func (p *Profile) Urgency(urgency string) Word { return word(p.Urgencies, urgency) }

func word(words []Word, stored string) Word {
	i := slices.IndexFunc(words, func(w Word) bool { return w.Word == stored })
	if i < 0 {
		return Word{Word: stored, Printed: strings.ToUpper(stored), Code: stored}
	}
	return words[i]
}

// UrgencyLimit returns the clock hours of an urgency; 0: none.
func (p *Profile) UrgencyLimit(urgency string) int {
	i := slices.IndexFunc(p.Deadline.UrgencyHours, func(u UrgencyHours) bool { return u.Urgency == urgency })
	if i < 0 {
		return 0
	}
	return p.Deadline.UrgencyHours[i].Hours
}

// QualificationRank returns the rung of a qualification on the profile's ladder, -1 when it is not on it.
func (p *Profile) QualificationRank(qualification string) int {
	return slices.Index(p.Qualifications, qualification)
}

// Weekday turns the profile's day word into the weekday; ok is false for another word.
func Weekday(day string) (weekday time.Weekday, ok bool) {
	i := slices.Index(dayWords, day)
	return time.Weekday(max(i, 0)), i >= 0
}

// Words of the profile's lists. A test holds them against those of the books.
var (
	dayWords     = []string{"minggu", "senin", "selasa", "rabu", "kamis", "jumat", "sabtu"}
	bookWords    = []string{"kriptogram", "surat"}
	classWords   = []string{"biasa", "terbatas", "rahasia", "sangat-rahasia"}
	urgencyWords = []string{"biasa", "segera", "sangat-segera"}
	roleWords    = []string{"kepala-dinas", "kepala-bidang", "kepala-seksi", "sandiman", "operator"}
	columnWords  = []string{"no", "waktu", "asal", "surat", "perihal", "kelas", "derajat", "tujuan", "nomor", "kirim", "halaman", "paraf", "keterangan"}
)

var rangePattern = regexp.MustCompile(`^([01]\d|2[0-3])\.[0-5]\d-([01]\d|2[0-4])\.[0-5]\d$`)

func (p *Profile) validate(k *checker) {
	k.text("profile.name", p.Name)
	p.validateBooks(k)
	for i, r := range p.Roles {
		key := at("profile.roles", i)
		k.word(key+".role", r.Role, roleWords)
		k.name(key+".title", r.Title)
	}
	all(k, "profile.roles", roleWords, p.Roles, func(r Role) string { return r.Role })
	for i, s := range p.Qualifications {
		k.text(at("profile.qualifications", i), s)
	}
	for i, m := range p.MinQualifications {
		key := at("profile.min_qualifications", i)
		k.word(key+".role", m.Role, roleWords)
		if p.QualificationRank(m.AtLeast) < 0 {
			k.fail(key+".at_least", "is not one of profile.qualifications")
		}
	}
	k.text("profile.number.template", p.Number.Template)
	k.line("profile.number.unit", p.Number.Unit)
	k.line("profile.number.archive", p.Number.Archive)
	p.Hours.validate(k)
	k.word("profile.deadline.rule", p.Deadline.Rule, []string{"service-hours", "next-day-close", "same-day", "earlier"})
	k.number("profile.deadline.service_hours", int64(p.Deadline.ServiceHours), 1, 1000)
	k.number("profile.deadline.confirm_hours", int64(p.Deadline.ConfirmHours), 0, 1000)
	for i, u := range p.Deadline.UrgencyHours {
		key := at("profile.deadline.urgency_hours", i)
		k.word(key+".urgency", u.Urgency, urgencyWords)
		k.number(key+".hours", int64(u.Hours), 1, 1000)
	}
	k.word("profile.signature", p.Signature, []string{"key", "wet", "both"})
	p.validatePolicy(k)
	k.text("profile.subject", p.Subject)
	k.word("profile.delivery", p.Delivery, []string{"strict", "warn"})
	k.word("profile.wet", p.Wet, []string{"refuse", "accept"})
	k.word("profile.paper", p.Paper, []string{"F4", "A4"})
	k.line("profile.head_address", p.HeadAddress)
	if p.HeadAddress != "" && !addressPattern.MatchString(p.HeadAddress) {
		k.fail("profile.head_address", "is not an address")
	}
	for i, w := range p.Classes {
		w.validate(k, at("profile.classes", i), classWords)
	}
	all(k, "profile.classes", classWords, p.Classes, func(w Word) string { return w.Word })
	for i, w := range p.Urgencies {
		w.validate(k, at("profile.urgencies", i), urgencyWords)
	}
	all(k, "profile.urgencies", urgencyWords, p.Urgencies, func(w Word) string { return w.Word })
	for _, f := range [][2]string{
		{"phone", p.Complaints.Phone},
		{"email", p.Complaints.Email},
		{"website", p.Complaints.Website},
		{"officer", p.Complaints.Officer},
		{"direct", p.Complaints.Direct},
	} {
		k.line("profile.complaints."+f[0], f[1])
	}
	k.number("profile.complaints.answer_days", int64(p.Complaints.AnswerDays), 0, 365)
	k.number("profile.complaints.settle_days", int64(p.Complaints.SettleDays), 0, 365)
	for i, line := range p.Complaints.Steps {
		k.text(at("profile.complaints.steps", i), line)
	}
}

func (p *Profile) validateBooks(k *checker) {
	for i, s := range p.Services {
		key := at("profile.services", i)
		k.word(key+".book", s.Book, bookWords)
		k.text(key+".title", s.Title)
		k.word(key+".supervisor", s.Supervisor, roleWords)
		for name, list := range map[string][]string{
			"requirements": s.Requirements, "procedure": s.Procedure, "facilities": s.Facilities,
			"competence": s.Competence, "safety": s.Safety,
		} {
			for j, line := range list {
				k.text(at(key+"."+name, j), line)
			}
		}
		for name, line := range map[string]string{
			"completion": s.Completion, "staff": s.Staff, "guarantee": s.Guarantee, "evaluation": s.Evaluation,
		} {
			k.line(key+"."+name, line)
		}
	}
	all(k, "profile.services", bookWords, p.Services, func(s Service) string { return s.Book })
	for i, b := range p.Books {
		key := at("profile.books", i)
		k.word(key+".book", b.Book, bookWords)
		k.text(key+".title", b.Title)
		k.word(key+".acknowledge", b.Acknowledge, roleWords)
		k.word(key+".prepared", b.Prepared, roleWords)
		width := 0
		for j, c := range b.Columns {
			ckey := at(key+".columns", j)
			k.word(ckey+".key", c.Key, columnWords)
			k.text(ckey+".head", c.Head)
			k.number(ckey+".width", int64(c.Width), 5, 200)
			width += c.Width
		}
		all(k, key+".columns", nil, b.Columns, func(c Column) string { return c.Key })
		if width < 1 || width > 280 {
			k.fail(key+".columns", "must be 1 to 280 mm wide together, is "+strconv.Itoa(width))
		}
	}
	all(k, "profile.books", bookWords, p.Books, func(b Book) string { return b.Book })
	for i, c := range p.Chains {
		key := at("profile.chains", i)
		k.word(key+".book", c.Book, bookWords)
		if len(c.Links) == 0 {
			k.fail(key+".links", "is missing")
		}
		for j, l := range c.Links {
			lkey := at(key+".links", j)
			k.word(lkey+".from", l.From, roleWords)
			k.word(lkey+".to", l.To, roleWords)
			if j > 0 && l.From != c.Links[j-1].To {
				k.fail(lkey+".from", "must be the role before it")
			}
		}
	}
	all(k, "profile.chains", bookWords, p.Chains, func(c Chain) string { return c.Book })
	for i, o := range p.Orders {
		key := at("profile.order", i)
		k.word(key+".book", o.Book, bookWords)
		k.word(key+".rule", o.Rule, []string{"required", "optional"})
	}
	all(k, "profile.order", bookWords, p.Orders, func(o Order) string { return o.Book })
	for i, r := range p.Reports {
		key := at("profile.reports", i)
		k.word(key+".book", r.Book, bookWords)
		for j, to := range r.To {
			k.word(at(key+".to", j), to, []string{"kepala-dinas", "pemohon"})
		}
		all(k, key+".to", nil, r.To, func(s string) string { return s })
	}
	all(k, "profile.reports", bookWords, p.Reports, func(r Report) string { return r.Book })
}

func (p *Profile) validatePolicy(k *checker) {
	k.line("profile.policy.decided_by", p.Policy.DecidedBy)
	k.line("profile.policy.letter", p.Policy.Letter)
	for i, c := range p.Policy.Classes {
		key := at("profile.policy.classes", i)
		k.word(key+".class", c.Class, classWords)
		k.word(key+".policy", c.Policy, []string{"praktis", "ketat", "refuse"})
		k.word(key+".review", c.Review, []string{"required", "offered", "none"})
		if c.Class == "biasa" {
			k.fail(key+".class", "the class biasa is not enciphered")
		}
		// Nobody allows the highest class by editing one word: the letter that decided it stands beside it.
		if c.Class == "sangat-rahasia" && c.Policy != "refuse" && (p.Policy.DecidedBy == "" || p.Policy.Letter == "") {
			k.fail("profile.policy.letter", "is needed to allow sangat-rahasia, and decided_by too")
		}
	}
	all(k, "profile.policy.classes", classWords[1:], p.Policy.Classes, func(c ClassPolicy) string { return c.Class })
	for i, e := range p.Policy.RSA2048 {
		key := at("profile.policy.rsa2048", i)
		if !handlePattern.MatchString(e.Correspondent) {
			k.fail(key+".correspondent", "is not a handle")
		}
		k.text(key+".letter", e.Letter)
	}
}

func (h Hours) validate(k *checker) {
	days(k, "profile.hours.days", h.Days)
	if len(h.Days) == 0 {
		k.fail("profile.hours.days", "is missing")
	}
	for i, s := range h.Special {
		key := at("profile.hours.special", i)
		k.text(key+".name", s.Name)
		date(k, key+".from", s.From)
		date(k, key+".until", s.Until)
		if s.Until < s.From {
			k.fail(key+".until", "is before from")
		}
		days(k, key+".days", s.Days)
	}
	for i, d := range h.Holidays {
		key := at("profile.hours.holidays", i)
		date(k, key+".date", d.Date)
		k.text(key+".name", d.Name)
		k.word(key+".kind", d.Kind, []string{"nasional", "cuti-bersama"})
	}
	for i, y := range h.HolidayYears {
		k.number(at("profile.hours.holiday_years", i), int64(y), 2000, 2200)
	}
}

func (w Word) validate(k *checker, key string, words []string) {
	k.word(key+".word", w.Word, words)
	k.text(key+".printed", w.Printed)
	k.text(key+".code", w.Code)
}

func date(k *checker, key, value string) {
	if _, err := time.Parse(time.DateOnly, value); err != nil {
		k.fail(key, "must be a date such as 2026-11-23")
	}
}

func days(k *checker, key string, list []Day) {
	for i, d := range list {
		dkey := at(key, i)
		k.word(dkey+".day", d.Day, dayWords)
		last := ""
		for j, r := range d.Ranges {
			from, until, _ := strings.Cut(r, "-")
			if !rangePattern.MatchString(r) || until <= from || until > "24.00" || from < last {
				k.fail(at(dkey+".ranges", j), "must be a range such as 08.00-12.00, later than the one before it")
			}
			last = until
		}
	}
	all(k, key, nil, list, func(d Day) string { return d.Day })
}

// all demands each of words once, and nothing twice.
func all[T any](k *checker, key string, words []string, list []T, name func(T) string) {
	seen := map[string]bool{}
	for i, v := range list {
		if seen[name(v)] {
			k.fail(at(key, i), name(v)+" stands twice")
		}
		seen[name(v)] = true
	}
	for _, w := range words {
		if !seen[w] {
			k.fail(key, w+" is missing")
		}
	}
}
