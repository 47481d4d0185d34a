package agenda

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Role is the stored word of an office role; printed titles come from the
// dated role.
type Role string

// The roles of the service standards.
const (
	RoleKepalaDinas  Role = "kepala-dinas"
	RoleKepalaBidang Role = "kepala-bidang"
	RoleKepalaSeksi  Role = "kepala-seksi"
	RoleSandiman     Role = "sandiman"
	RoleOperator     Role = "operator"
)

// ParseRole accepts the stored word in any case, with spaces or hyphens.
func ParseRole(s string) (Role, error) {
	switch r := Role(word(s)); r {
	case RoleKepalaDinas, RoleKepalaBidang, RoleKepalaSeksi, RoleSandiman, RoleOperator:
		return r, nil
	}
	return "", invalid("role", s)
}

// Actor is who acts: the officer's handle ("-" when nobody) and, beside it,
// the account and the machine. User and Host enter the log committed.
type Actor struct{ Handle, User, Host string }

// RoleGrant gives a role for a time. Kind is tetap, plh or plt.
type RoleGrant struct {
	Role        Role
	Kind        string
	From, Until time.Time // Until zero: open
	Title       string    // printed title
	Order       string    // the order that appoints
}

// covers tells whether the grant is valid at the instant.
func (g RoleGrant) covers(at time.Time) bool {
	return !at.Before(g.From) && (g.Until.IsZero() || at.Before(g.Until))
}

// Officer is a person of the desk. Title is the title to print when no role
// gives one.
type Officer struct {
	ID            int64
	Handle        string
	Name          string
	NIP           string
	Qualification string
	Title         string
	Certificate   Object // zero: no key (wet mode, operator)
	Fingerprint   string
	Roles         []RoleGrant // on reading
	Ended         bool
}

// Applicant is a unit that asks for letters to be sent.
type Applicant struct {
	ID      int64
	Handle  string
	Unit    string
	Contact string
	Email   string // for reports by e-mail; "": they get theirs on paper
	Ended   bool
}

// Signer is a pinned certificate of a correspondent's officer.
type Signer struct {
	Role        Role
	Fingerprint string
	Certificate Object
	Heard       bool // on reading: the fingerprint was compared with its owner
}

// Confirmation states of a correspondent.
const (
	Unconfirmed = "unconfirmed"
	Confirmed   = "confirmed"
)

// Correspondent is an approved addressee. Without a certificate it receives
// letters of class biasa only.
type Correspondent struct {
	ID           int64
	Handle       string
	Unit         string
	Address      string
	Fingerprint  string // primary key
	Subkey       string // encryption key
	Certificate  Object
	Signers      []Signer
	State        string // unconfirmed, confirmed
	ConfirmedBy  string
	ConfirmedVia string
	ConfirmedAt  time.Time
	Ended        bool
	Last         int64 // seq of the event that it is read from
}

// fingerprintOK tells whether s is a v4 or v6 fingerprint as stored.
func fingerprintOK(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && (s[i] < 'a' || s[i] > 'f') {
			return false
		}
	}
	return true
}

func checkTexts(pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if err := checkText(pairs[i], pairs[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (o Officer) event(name string) *event {
	return newEvent(name).set("handle", o.Handle).set("fingerprint", o.Fingerprint).
		setHash("certificate", o.Certificate.SHA256).set("name", o.Name).set("nip", o.NIP).
		set("qualification", o.Qualification).set("title", o.Title)
}

func (g RoleGrant) event(name, handle string) *event {
	return newEvent(name).set("handle", handle).set("role", string(g.Role)).set("kind", g.Kind).
		setTime("from", g.From).setTime("until", g.Until).set("title", g.Title).set("order", g.Order)
}

func (o Officer) check() error {
	if err := checkHandle("handle", o.Handle); err != nil {
		return err
	}
	if strings.TrimSpace(o.Name) == "" {
		return missingField("name")
	}
	if o.Certificate.IsZero() != (o.Fingerprint == "") {
		return missingField("certificate")
	}
	if o.Fingerprint != "" {
		if !fingerprintOK(o.Fingerprint) {
			return invalid("fingerprint", o.Fingerprint)
		}
		if err := inBook("certificate", o.Certificate); err != nil {
			return err
		}
	}
	return checkNames("name", o.Name, "nip", o.NIP, "qualification", o.Qualification, "title", o.Title)
}

func (g *RoleGrant) check(now time.Time) error {
	if r, err := ParseRole(string(g.Role)); err != nil || r != g.Role {
		return invalid("role", string(g.Role))
	}
	if g.Kind == "" {
		g.Kind = "tetap"
	}
	if g.Kind != "tetap" && g.Kind != "plh" && g.Kind != "plt" {
		return invalid("kind", g.Kind)
	}
	if g.From.IsZero() {
		g.From = now
	}
	g.From = g.From.UTC().Truncate(time.Millisecond)
	if !g.Until.IsZero() {
		g.Until = g.Until.UTC().Truncate(time.Millisecond)
		if !g.Until.After(g.From) {
			return invalid("until", formatStamp(g.Until))
		}
	}
	if err := checkNames("title", g.Title); err != nil {
		return err
	}
	return checkTexts("order", g.Order)
}

// AddOfficer adds a person with the roles given at once. The same NIP or
// fingerprint as another officer's is agenda.same_person: one person has one
// handle and any number of roles.
func (b *Book) AddOfficer(ctx context.Context, a Actor, o Officer, roles []RoleGrant) error {
	if err := o.check(); err != nil {
		return err
	}
	return b.update(ctx, a, func(u *update) error {
		if err := u.distinct(o); err != nil {
			return err
		}
		if err := u.free("officer", o.Handle); err != nil {
			return err
		}
		if err := u.putObject(o.Certificate); err != nil {
			return err
		}
		if _, err := u.append(o.event("officer.added")); err != nil {
			return err
		}
		for _, g := range roles {
			if err := u.giveRole(o.Handle, g); err != nil {
				return err
			}
		}
		return nil
	})
}

// ChangeOfficer replaces what the book says of an officer, such as a new
// certificate; roles stay.
func (b *Book) ChangeOfficer(ctx context.Context, a Actor, o Officer) error {
	if err := o.check(); err != nil {
		return err
	}
	return b.update(ctx, a, func(u *update) error {
		if err := u.known("officer", o.Handle, "agenda.unknown_officer"); err != nil {
			return err
		}
		if err := u.distinct(o); err != nil {
			return err
		}
		if err := u.putObject(o.Certificate); err != nil {
			return err
		}
		_, err := u.append(o.event("officer.changed"))
		return err
	})
}

// distinct refuses the NIP or the fingerprint of another officer.
func (u *update) distinct(o Officer) error {
	said, err := readWords(u.ctx, u.b.conn)
	if err != nil {
		return err
	}
	others, err := readOfficers(u.ctx, u.b.conn, said)
	if err != nil {
		return err
	}
	for _, other := range others {
		if other.Handle == o.Handle {
			continue
		}
		if (o.NIP != "" && squeeze(other.NIP) == squeeze(o.NIP)) || (o.Fingerprint != "" && other.Fingerprint == o.Fingerprint) {
			return &Error{code: "agenda.same_person", Field: "officer", Value: other.Handle}
		}
	}
	return nil
}

// squeeze drops blanks: a NIP is written with and without them.
func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

// free refuses a handle that the table knows already.
func (u *update) free(table, handle string) error {
	err := u.known(table, handle, "")
	if err == nil || errors.Is(err, ErrEnded) {
		return &Error{code: "agenda.duplicate_handle", Field: "handle", Value: handle}
	}
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// known tells whether the table has the handle; code is of the refusal. Whoever
// has ended is agenda.ended.
func (u *update) known(table, handle, code string) error {
	var over bool
	err := u.row("SELECT ended FROM "+table+" WHERE handle=$1", handle).Scan(&over)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return &Error{code: cmp.Or(code, "agenda.not_found"), Field: table, Value: handle}
	case err == nil && over:
		return ended(table, handle)
	}
	return storage(err)
}

// ended refuses a handle that was given up: its letters keep it, so nobody else
// gets it.
func ended(table, handle string) error {
	return &Error{code: "agenda.ended", Field: table, Value: handle}
}

// GiveRole gives an officer a role. From zero means now; Kind "" means tetap.
func (b *Book) GiveRole(ctx context.Context, a Actor, handle string, g RoleGrant) error {
	return b.update(ctx, a, func(u *update) error {
		if err := u.known("officer", handle, "agenda.unknown_officer"); err != nil {
			return err
		}
		return u.giveRole(handle, g)
	})
}

func (u *update) giveRole(handle string, g RoleGrant) error {
	if err := g.check(u.stamp); err != nil {
		return err
	}
	var held bool
	err := u.row("SELECT EXISTS (SELECT 1 FROM role WHERE officer=$1 AND role=$2 AND kind=$3 AND valid_from=$4)",
		handle, string(g.Role), g.Kind, formatStamp(g.From)).Scan(&held)
	if err != nil {
		return storage(err)
	}
	if held {
		return invalid("from", formatStamp(g.From))
	}
	_, err = u.append(g.event("role.given", handle))
	return err
}

// EndRole ends a role that the officer holds, at g.Until (zero: now). With
// g.Kind or g.From set, only that grant. Nothing to end is agenda.no_role.
func (b *Book) EndRole(ctx context.Context, a Actor, handle string, g RoleGrant) error {
	return b.update(ctx, a, func(u *update) error {
		if err := u.known("officer", handle, "agenda.unknown_officer"); err != nil {
			return err
		}
		until := g.Until
		if until.IsZero() {
			until = u.stamp
		}
		said, err := readWords(u.ctx, u.b.conn)
		if err != nil {
			return err
		}
		grants, err := readRoles(u.ctx, u.b.conn, said)
		if err != nil {
			return err
		}
		ended := false
		for _, held := range grants[handle] {
			if held.Role != g.Role || (g.Kind != "" && held.Kind != g.Kind) || (!g.From.IsZero() && !held.From.Equal(g.From)) ||
				(!held.Until.IsZero() && !held.Until.After(until)) {
				continue
			}
			held.Until, held.Order = until.UTC().Truncate(time.Millisecond), g.Order
			if held.Until.Before(held.From) {
				held.Until = held.From
			}
			if _, err := u.append(held.event("role.ended", handle)); err != nil {
				return err
			}
			ended = true
		}
		if !ended {
			return &Error{code: "agenda.no_role", Field: string(g.Role), Value: handle}
		}
		return nil
	})
}

// readRoles reads all grants by officer, ended ones too.
func readRoles(ctx context.Context, q querier, said words) (map[string][]RoleGrant, error) {
	rows, err := q.QueryContext(ctx, `SELECT officer, role, kind, valid_from, coalesce(valid_until, ''), current
 FROM role ORDER BY valid_from, role, kind`)
	if err != nil {
		return nil, storage(err)
	}
	defer rows.Close()
	type grant struct {
		RoleGrant
		officer string
		current int64
	}
	var grants []grant
	for rows.Next() {
		var g grant
		var from, until string
		if err := rows.Scan(&g.officer, &g.Role, &g.Kind, &from, &until, &g.current); err != nil {
			return nil, storage(err)
		}
		g.From, g.Until = stampOf(from), stampOf(until)
		grants = append(grants, g)
	}
	if err := rows.Err(); err != nil {
		return nil, storage(err)
	}
	rows.Close()
	out := map[string][]RoleGrant{}
	for _, g := range grants {
		e := said.last(g.event("role.given", g.officer).about(), g.current)
		if e == nil || !e.getTime("until").Equal(g.Until) {
			return nil, tampered("role of " + g.officer)
		}
		g.Title, g.Order = e.get("title"), e.get("order")
		out[g.officer] = append(out[g.officer], g.RoleGrant)
	}
	return out, nil
}

// selectWords chooses what the log says of people and their keys: by the first
// letters of the type, whose place in a record only the length of seq shifts. It
// is the expression of the index person: when that is not there, or another has
// taken its name, SQLite reads the whole log, and the answer is the same.
const selectWords = `WHERE substr(e.record, 56 + length(e.seq), 4)
 IN (x'6f666669', x'726f6c65', x'6170706c', x'636f7272', x'61726368')`

// words are the events of people by what each is about, in the order of the log.
// What the index says of people and their keys is worth no more than them: a key
// that somebody put there himself, or put back, is never used, nor written on
// from there.
type words map[string][]*event

func readWords(ctx context.Context, q querier) (words, error) {
	said := words{}
	err := readEvents(ctx, q, selectWords+" ORDER BY e.seq", nil, func(e *event) error {
		about := e.about()
		said[about] = append(said[about], e)
		return nil
	})
	return said, err
}

// last is the newest event about something, if it is the one of the seq.
func (w words) last(about string, seq int64) *event {
	if list := w[about]; len(list) > 0 && list[len(list)-1].seq == seq {
		return list[len(list)-1]
	}
	return nil
}

// person is the newest event about somebody, if the row of the index names it,
// and the one that added him as its id.
func (w words) person(about string, id, current int64) *event {
	if list := w[about]; len(list) == 0 || list[0].seq != id {
		return nil
	}
	return w.last(about, current)
}

// about names the row of the index that an event of people writes; the
// confirmation of a key is a thing of its own beside its correspondent.
func (e *event) about() string {
	switch kind, _, _ := strings.Cut(e.typ.name, "."); {
	case kind == "role":
		return strings.Join([]string{kind, e.get("handle"), e.get("role"), e.get("kind"), e.get("from")}, " ")
	case e.typ.name == "correspondent.confirmed" && e.get("fingerprint") == "":
		return "heard " + e.get("handle")
	case e.typ.name == "correspondent.confirmed":
		return "confirmation " + e.get("handle")
	default:
		return kind + " " + e.get("handle")
	}
}

// LastOfPeople is the seq of the newest event of people, for whoever has read
// somebody before and asks whether he may have changed since: before each letter
// that leaves, so the question is prepared once.
func (b *Book) LastOfPeople(ctx context.Context) (int64, error) {
	q, err := b.lastOfPeople()
	if err != nil {
		return 0, storage(err)
	}
	var last int64
	err = q.QueryRowContext(ctx).Scan(&last)
	return last, storage(err)
}

// is tells whether the event is there and of one of the types.
func (e *event) is(types ...string) bool { return e != nil && slices.Contains(types, e.typ.name) }

// readOfficers reads all officers with all grants.
func readOfficers(ctx context.Context, q querier, said words) ([]Officer, error) {
	rows, err := q.QueryContext(ctx, `SELECT o.id, o.handle, coalesce(o.fingerprint, ''), o.ended, o.certificate, b.size, b.media, b.data, o.current
 FROM officer o LEFT JOIN object b ON b.sha256=o.certificate ORDER BY o.id`)
	if err != nil {
		return nil, storage(err)
	}
	defer rows.Close()
	var out []Officer
	var current []int64
	for rows.Next() {
		var o Officer
		var certificate nullObject
		var last int64
		if err := rows.Scan(&o.ID, &o.Handle, &o.Fingerprint, &o.Ended,
			&certificate.sum, &certificate.size, &certificate.media, &certificate.data, &last); err != nil {
			return nil, storage(err)
		}
		if o.Certificate, err = certificate.object(); err != nil {
			return nil, err
		}
		out, current = append(out, o), append(current, last)
	}
	if err := rows.Err(); err != nil {
		return nil, storage(err)
	}
	rows.Close()
	roles, err := readRoles(ctx, q, said)
	if err != nil {
		return nil, err
	}
	for i := range out {
		o := &out[i]
		e := said.person("officer "+o.Handle, o.ID, current[i])
		if e == nil || e.get("fingerprint") != o.Fingerprint || e.getHash("certificate") != o.Certificate.SHA256 ||
			!o.Ended && e.is("officer.ended") {
			return nil, tampered("officer " + o.Handle)
		}
		o.Name, o.NIP = e.get("name"), e.get("nip")
		o.Qualification, o.Title = e.get("qualification"), e.get("title")
		o.Roles = roles[o.Handle]
	}
	return out, nil
}

// nullObject scans an object that may be absent.
type nullObject struct {
	sum, data []byte
	size      sql.NullInt64
	media     sql.NullString
}

func (n nullObject) object() (Object, error) {
	if n.sum == nil {
		return Object{}, nil
	}
	if len(n.sum) != 32 || !n.size.Valid {
		return Object{}, tampered("certificate")
	}
	o := Object{SHA256: Hash(n.sum), Size: n.size.Int64, Media: n.media.String, Data: n.data}
	return o, o.sound()
}

// officers lists all with all grants.
func (b *Book) officers(ctx context.Context) ([]Officer, error) {
	all, err := recallPeople(ctx, b, "officers", func(q querier, said words) ([]Officer, error) { return readOfficers(ctx, q, said) })
	return slices.Clone(all), err
}

// Officers lists the officers with the roles that they hold at the instant.
func (b *Book) Officers(ctx context.Context, at time.Time) ([]Officer, error) {
	out, err := b.officers(ctx)
	for i := range out {
		var held []RoleGrant
		for _, g := range out[i].Roles {
			if g.covers(at) {
				held = append(held, g)
			}
		}
		out[i].Roles = held
	}
	return out, err
}

// Officer reads one officer with all grants, ended ones too.
func (b *Book) Officer(ctx context.Context, handle string) (Officer, error) {
	all, err := b.officers(ctx)
	if err != nil {
		return Officer{}, err
	}
	i := slices.IndexFunc(all, func(o Officer) bool { return o.Handle == handle })
	if i < 0 {
		return Officer{}, &Error{code: "agenda.unknown_officer", Field: "officer", Value: handle}
	}
	return all[i], nil
}

// Holder lists who holds the role at the instant; acting officials (plh, plt)
// come first.
func (b *Book) Holder(ctx context.Context, role Role, at time.Time) ([]Officer, error) {
	all, err := b.Officers(ctx, at)
	if err != nil {
		return nil, err
	}
	var acting, permanent []Officer
	for _, o := range all {
		for _, g := range o.Roles {
			if g.Role != role || o.Ended {
				continue
			}
			if g.Kind == "tetap" {
				permanent = append(permanent, o)
			} else {
				acting = append(acting, o)
			}
			break
		}
	}
	return append(acting, permanent...), nil
}

func (p Applicant) event(name string) *event {
	return newEvent(name).set("handle", p.Handle).set("unit", p.Unit).set("contact", p.Contact).set("email", p.Email)
}

func (p Applicant) check() error {
	if err := checkHandle("handle", p.Handle); err != nil {
		return err
	}
	if strings.TrimSpace(p.Unit) == "" {
		return missingField("unit")
	}
	if p.Email != "" && !addressOK(p.Email) {
		return invalid("email", p.Email)
	}
	return checkNames("unit", p.Unit, "contact", p.Contact)
}

// AddApplicant adds a unit that asks for letters to be sent.
func (b *Book) AddApplicant(ctx context.Context, a Actor, p Applicant) error {
	if err := p.check(); err != nil {
		return err
	}
	return b.update(ctx, a, func(u *update) error {
		if err := u.free("applicant", p.Handle); err != nil {
			return err
		}
		_, err := u.append(p.event("applicant.added"))
		u.people = map[string]int64{}
		return err
	})
}

// ChangeApplicant replaces what the book says of an applicant; entries keep
// the unit as it was valid then. With Ended set the handle is no longer
// resolved, for ever: one that has ended is agenda.ended.
func (b *Book) ChangeApplicant(ctx context.Context, a Actor, p Applicant) error {
	if err := p.check(); err != nil {
		return err
	}
	return b.update(ctx, a, func(u *update) error {
		if err := u.known("applicant", p.Handle, ""); err != nil {
			return err
		}
		name := "applicant.changed"
		if p.Ended {
			name = "applicant.ended"
		}
		_, err := u.append(p.event(name))
		u.people = map[string]int64{}
		return err
	})
}

// Applicants lists the applicants in the order they were added.
func (b *Book) Applicants(ctx context.Context) ([]Applicant, error) {
	all, err := recallPeople(ctx, b, "applicants", func(q querier, said words) ([]Applicant, error) { return readApplicants(ctx, q, said) })
	return slices.Clone(all), err
}

func readApplicants(ctx context.Context, q querier, said words) ([]Applicant, error) {
	rows, err := q.QueryContext(ctx, "SELECT id, handle, ended, current FROM applicant ORDER BY id")
	if err != nil {
		return nil, storage(err)
	}
	defer rows.Close()
	var out []Applicant
	var current []int64
	for rows.Next() {
		var p Applicant
		var last int64
		if err := rows.Scan(&p.ID, &p.Handle, &p.Ended, &last); err != nil {
			return nil, storage(err)
		}
		out, current = append(out, p), append(current, last)
	}
	if err := rows.Err(); err != nil {
		return nil, storage(err)
	}
	rows.Close()
	for i := range out {
		// Reports go to the address, so the index is not believed.
		p := &out[i]
		e := said.person("applicant "+p.Handle, p.ID, current[i])
		if e == nil || p.Ended != e.is("applicant.ended") {
			return nil, tampered("applicant " + p.Handle)
		}
		p.Unit, p.Contact, p.Email = e.get("unit"), e.get("contact"), e.get("email")
	}
	return out, nil
}

func (c Correspondent) event(name string) *event {
	e := newEvent(name).set("handle", c.Handle).set("unit", c.Unit).set("address", c.Address).
		set("fingerprint", c.Fingerprint).set("subkey", c.Subkey).setHash("certificate", c.Certificate.SHA256)
	for i, s := range c.Signers {
		e.set("signer."+strconv.Itoa(i+1), string(s.Role)+" "+s.Fingerprint+" "+s.Certificate.SHA256.String())
	}
	return e
}

// addressOK tells whether s is a bare e-mail address as it is stored.
func addressOK(s string) bool {
	p, err := mail.ParseAddress(s)
	return err == nil && p.Address == s && p.Name == "" && EscapeValue(s) == s
}

func (c Correspondent) check() error {
	if err := checkHandle("handle", c.Handle); err != nil {
		return err
	}
	if strings.TrimSpace(c.Unit) == "" {
		return missingField("unit")
	}
	if c.Address == "" {
		return missingField("address")
	}
	if !addressOK(c.Address) {
		return invalid("address", c.Address)
	}
	if c.Certificate.IsZero() {
		if c.Fingerprint != "" || c.Subkey != "" || c.State == Confirmed {
			return missingField("certificate")
		}
	} else {
		if err := inBook("certificate", c.Certificate); err != nil {
			return err
		}
		if !fingerprintOK(c.Fingerprint) {
			return invalid("fingerprint", c.Fingerprint)
		}
		if !fingerprintOK(c.Subkey) {
			return invalid("subkey", c.Subkey)
		}
	}
	for _, s := range c.Signers {
		if r, err := ParseRole(string(s.Role)); err != nil || r != s.Role {
			return invalid("signer", string(s.Role))
		}
		if !fingerprintOK(s.Fingerprint) {
			return invalid("signer", s.Fingerprint)
		}
		if err := inBook("signer", s.Certificate); err != nil {
			return err
		}
	}
	if c.State != "" && c.State != Confirmed && c.State != Unconfirmed {
		return invalid("state", c.State)
	}
	return checkNames("unit", c.Unit)
}

func (u *update) putCertificates(c Correspondent) error {
	if err := u.putObject(c.Certificate); err != nil {
		return err
	}
	for _, s := range c.Signers {
		if err := u.putObject(s.Certificate); err != nil {
			return err
		}
	}
	return nil
}

// AddCorrespondent adds an approved addressee. With State confirmed the
// confirmation is recorded in the same transaction.
func (b *Book) AddCorrespondent(ctx context.Context, a Actor, c Correspondent) error {
	if err := c.check(); err != nil {
		return err
	}
	return b.update(ctx, a, func(u *update) error {
		if err := u.free("correspondent", c.Handle); err != nil {
			return err
		}
		if err := u.putCertificates(c); err != nil {
			return err
		}
		if _, err := u.append(c.event("correspondent.added")); err != nil {
			return err
		}
		if c.State != Confirmed {
			return nil
		}
		return u.confirm(c.Handle, c.Fingerprint, c.ConfirmedBy, c.ConfirmedVia)
	})
}

// Active refuses a correspondent that has ended: agenda.ended.
func (c Correspondent) Active() error {
	if c.Ended {
		return ended("correspondent", c.Handle)
	}
	return nil
}

// ChangeCorrespondent replaces what the book says of a correspondent as it was
// read at c.Last; one that was changed since is agenda.correspondent_changed,
// for what was recorded meanwhile, such as a revocation, would be lost. A new
// primary or encryption key resets the confirmation, unless c.State is
// confirmed: then it is confirmed anew, by c.ConfirmedBy. With Ended set nothing
// new may go there, for ever: one that has ended is agenda.ended.
func (b *Book) ChangeCorrespondent(ctx context.Context, a Actor, c Correspondent, reason string) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := checkText("reason", reason); err != nil {
		return err
	}
	return b.update(ctx, a, func(u *update) error {
		was, err := u.correspondentNow(c.Handle)
		if err != nil {
			return err
		}
		if err := was.Active(); err != nil {
			return err
		}
		if was.Last != c.Last {
			return &Error{code: "agenda.correspondent_changed", Field: "correspondent", Value: c.Handle}
		}
		if err := u.putCertificates(c); err != nil {
			return err
		}
		e, again := c.event("correspondent.changed"), false
		if c.Ended {
			e = c.event("correspondent.ended")
		} else {
			sameKey := was.Fingerprint == c.Fingerprint && was.Subkey == c.Subkey
			again = c.State == Confirmed && !(sameKey && was.State == Confirmed)
		}
		e.set("reason", reason)
		if !c.Ended && was.State == Confirmed && was.Fingerprint == c.Fingerprint && was.Subkey == c.Subkey {
			e.set("confirmed", "yes")
		}
		if _, err := u.append(e); err != nil {
			return err
		}
		u.people = map[string]int64{}
		if again {
			return u.confirm(c.Handle, c.Fingerprint, c.ConfirmedBy, c.ConfirmedVia)
		}
		return nil
	})
}

// ConfirmCorrespondent records that by heard fingerprints over a channel known
// to be the correspondent's: that of the pinned key, unless empty, and those
// of signers. A pinned key with another fingerprint, such as one that was
// replaced meanwhile, is agenda.fingerprint_changed.
func (b *Book) ConfirmCorrespondent(ctx context.Context, a Actor, handle, fingerprint, by, channel string, signers ...string) error {
	return b.update(ctx, a, func(u *update) error {
		c, err := u.correspondentNow(handle)
		if err != nil {
			return err
		}
		if fingerprint == "" && len(signers) == 0 || fingerprint != "" && c.Certificate.IsZero() {
			return missingField("certificate")
		}
		if fingerprint != "" && c.Fingerprint != fingerprint {
			return &Error{code: "agenda.fingerprint_changed", Field: "fingerprint", Value: handle}
		}
		var fresh []string
		for _, f := range signers {
			i := slices.IndexFunc(c.Signers, func(s Signer) bool { return s.Fingerprint == f })
			if i < 0 {
				return &Error{code: "agenda.fingerprint_changed", Field: "signer", Value: handle}
			}
			if !c.Signers[i].Heard && !slices.Contains(fresh, f) {
				fresh = append(fresh, f)
			}
		}
		if fingerprint == "" && len(fresh) == 0 {
			return nil // all were heard before
		}
		return u.confirm(handle, fingerprint, by, channel, fresh...)
	})
}

func (u *update) confirm(handle, fingerprint, by, channel string, signers ...string) error {
	if by == "" {
		return missingField("by")
	}
	if channel == "" {
		return missingField("channel")
	}
	e := newEvent("correspondent.confirmed").set("handle", handle).set("fingerprint", fingerprint).set("by", by).set("channel", channel)
	for i, f := range signers {
		e.set("heard."+strconv.Itoa(i+1), f)
	}
	_, err := u.append(e)
	return err
}

// readCorrespondents reads those that the condition chooses, oldest first.
func readCorrespondents(ctx context.Context, q querier, said words, where string, args ...any) ([]Correspondent, error) {
	rows, err := q.QueryContext(ctx, `SELECT p.id, p.handle, coalesce(p.fingerprint, ''), coalesce(p.subkey, ''), p.state, p.ended,
 p.certificate, b.size, b.media, b.data, p.current, coalesce(p.confirmed, -1)
 FROM correspondent p LEFT JOIN object b ON b.sha256=p.certificate
 WHERE `+where+" ORDER BY p.id", args...)
	if err != nil {
		return nil, storage(err)
	}
	defer rows.Close()
	var out []Correspondent
	var confirmed []int64
	for rows.Next() {
		var c Correspondent
		var certificate nullObject
		var heard int64
		err := rows.Scan(&c.ID, &c.Handle, &c.Fingerprint, &c.Subkey, &c.State, &c.Ended,
			&certificate.sum, &certificate.size, &certificate.media, &certificate.data, &c.Last, &heard)
		if err != nil {
			return nil, storage(err)
		}
		if c.Certificate, err = certificate.object(); err != nil {
			return nil, err
		}
		out, confirmed = append(out, c), append(confirmed, heard)
	}
	if err := rows.Err(); err != nil {
		return nil, storage(err)
	}
	rows.Close()
	for i := range out {
		c := &out[i]
		if err := c.fill(said.person("correspondent "+c.Handle, c.ID, c.Last), said.last("confirmation "+c.Handle, confirmed[i])); err != nil {
			return nil, err
		}
		if err := c.readSigners(ctx, q, said); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// fill takes the rest from the newest event of a correspondent and from that of
// his confirmation, which must say of his key what the index does.
func (c *Correspondent) fill(e, confirmed *event) error {
	known := e != nil && e.get("fingerprint") == c.Fingerprint && e.get("subkey") == c.Subkey &&
		e.getHash("certificate") == c.Certificate.SHA256 && c.Ended == e.is("correspondent.ended")
	if known && c.State == Confirmed {
		known = confirmed != nil && confirmed.get("fingerprint") == c.Fingerprint &&
			(confirmed.seq > e.seq || e.get("confirmed") == "yes" || c.Ended)
	}
	if !known {
		return tampered("correspondent " + c.Handle)
	}
	c.Unit, c.Address = e.get("unit"), e.get("address")
	if confirmed != nil {
		c.ConfirmedBy, c.ConfirmedVia, c.ConfirmedAt = confirmed.get("by"), confirmed.get("channel"), confirmed.at
	}
	return e.numbered("signer", func(_ int, value string) error {
		parts := strings.Split(value, " ")
		if len(parts) != 3 {
			return tampered("signer")
		}
		sum, err := ParseHash(parts[2])
		if err != nil {
			return tampered("signer")
		}
		c.Signers = append(c.Signers, Signer{Role: Role(parts[0]), Fingerprint: parts[1], Certificate: Object{SHA256: sum}})
		return nil
	})
}

// readSigners reads the certificates of the signers, and whether their
// fingerprints were heard.
func (c *Correspondent) readSigners(ctx context.Context, q querier, said words) error {
	for i := range c.Signers {
		s := &c.Signers[i]
		var err error
		if s.Certificate, err = readObject(ctx, q, s.Certificate.SHA256); err != nil {
			return err
		}
		s.Heard = said.heard(c.Handle, s.Fingerprint)
	}
	return nil
}

// heard tells whether the log says that the fingerprint of a signer of the
// correspondent was compared with its owner.
func (w words) heard(handle, fingerprint string) bool {
	for _, e := range slices.Concat(w["confirmation "+handle], w["heard "+handle]) {
		if slices.Contains(e.list("heard"), fingerprint) {
			return true
		}
	}
	return false
}

func oneCorrespondent(ctx context.Context, q querier, said words, where string, arg any) (Correspondent, error) {
	found, err := readCorrespondents(ctx, q, said, where, arg)
	if err != nil {
		return Correspondent{}, err
	}
	if len(found) == 0 {
		e := &Error{code: "agenda.unknown_correspondent", Field: "correspondent"}
		if handle, ok := arg.(string); ok {
			e.Value = handle
		}
		return Correspondent{}, e
	}
	return found[0], nil
}

// correspondentNow is Correspondent as this transaction sees it.
func (u *update) correspondentNow(handle string) (Correspondent, error) {
	said, err := readWords(u.ctx, u.b.conn)
	if err != nil {
		return Correspondent{}, err
	}
	return oneCorrespondent(u.ctx, u.b.conn, said, "p.handle=$1", handle)
}

// Correspondent reads the correspondent of a handle; unknown is
// agenda.unknown_correspondent.
func (b *Book) Correspondent(ctx context.Context, handle string) (Correspondent, error) {
	return recallPeople(ctx, b, "correspondent "+handle, func(q querier, said words) (Correspondent, error) {
		return oneCorrespondent(ctx, q, said, "p.handle=$1", handle)
	})
}

// CorrespondentByID reads the correspondent of an id.
func (b *Book) CorrespondentByID(ctx context.Context, id int64) (Correspondent, error) {
	return recallPeople(ctx, b, id, func(q querier, said words) (Correspondent, error) {
		return oneCorrespondent(ctx, q, said, "p.id=$1", id)
	})
}

// Addressee is the correspondent of a copy as it was read, zero when it has none.
// One that is not whom the letter names is agenda.tampered.
func (b *Book) Addressee(ctx context.Context, c Copy) (Correspondent, error) {
	if c.Correspondent == 0 {
		return Correspondent{}, nil
	}
	corr, err := b.CorrespondentByID(ctx, c.Correspondent)
	if err == nil && corr.Handle != c.Handle {
		return Correspondent{}, tampered("addressee " + c.Handle)
	}
	return corr, err
}

// Correspondents lists all in the order they were added.
func (b *Book) Correspondents(ctx context.Context) ([]Correspondent, error) {
	all, err := recallPeople(ctx, b, "correspondents", func(q querier, said words) ([]Correspondent, error) {
		return readCorrespondents(ctx, q, said, "$1", 1)
	})
	return slices.Clone(all), err
}
