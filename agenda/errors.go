package agenda

import (
	"errors"
	"strings"
)

// Error is every refusal of this package. Fields hold what a message to the
// clerk needs and never a letter's text; only code is always set. Compare
// with [errors.Is] against the Err values, which match by code.
type Error struct {
	code  string
	Entry Name
	State State // of the entry, when a step is out of order
	Want  Step  // the step that has to come first
	Copy  int   // copy concerned, 0 = none
	Field string
	Value string
	Size  int // of a text that is too long, in octets
	Most  int // that it may have
	cause error
}

// The codes, as values for [errors.Is].
var (
	ErrNotFound             = &Error{code: "agenda.not_found"}
	ErrStepOrder            = &Error{code: "agenda.step_order"}
	ErrChanged              = &Error{code: "agenda.changed"} // somebody else changed the entry since it was read
	ErrBusy                 = &Error{code: "agenda.busy"}
	ErrSchema               = &Error{code: "agenda.schema"}
	ErrIndexOld             = &Error{code: "agenda.index_old"} // an older program wrote the index; opening for writing renews it
	ErrForeign              = &Error{code: "agenda.foreign"}
	ErrRecipientTwice       = &Error{code: "agenda.recipient_twice"}
	ErrClockBehind          = &Error{code: "agenda.clock_behind"}
	ErrClockAhead           = &Error{code: "agenda.clock_ahead"}
	ErrUnknownCorrespondent = &Error{code: "agenda.unknown_correspondent"}
	ErrUnknownApplicant     = &Error{code: "agenda.unknown_applicant"}
	ErrClassBook            = &Error{code: "agenda.class_book"}
	ErrMissingField         = &Error{code: "agenda.missing_field"}
	ErrLongField            = &Error{code: "agenda.long_field"}
	ErrInvalidField         = &Error{code: "agenda.invalid_field"}
	ErrNumberTaken          = &Error{code: "agenda.number_taken"}
	ErrTemplateLocked       = &Error{code: "agenda.template_locked"}
	ErrTemplate             = &Error{code: "agenda.template"}
	ErrSamePerson           = &Error{code: "agenda.same_person"}
	ErrDuplicateHandle      = &Error{code: "agenda.duplicate_handle"}
	ErrUnknownOfficer       = &Error{code: "agenda.unknown_officer"}
	ErrNoRole               = &Error{code: "agenda.no_role"}
	ErrTampered             = &Error{code: "agenda.tampered"}
	ErrVoidRefused          = &Error{code: "agenda.void_refused"}
	ErrReadOnly             = &Error{code: "agenda.readonly"}
	ErrStorage              = &Error{code: "agenda.storage"}
	ErrUnconfirmed          = &Error{code: "agenda.unconfirmed"}
	ErrClosedLetter         = &Error{code: "agenda.closed_letter"}
	ErrComplaintClosed      = &Error{code: "agenda.complaint_closed"}
	ErrAlreadyMailed        = &Error{code: "agenda.already_mailed"}
	ErrEnded                = &Error{code: "agenda.ended"}
	ErrCorrespondentChanged = &Error{code: "agenda.correspondent_changed"} // since it was read
	ErrOnceOther            = &Error{code: "agenda.once_other"}
)

var phrases = map[string]string{
	"agenda.not_found":             "not in the book",
	"agenda.step_order":            "step out of order",
	"agenda.changed":               "entry changed meanwhile",
	"agenda.busy":                  "book in use by another process",
	"agenda.schema":                "schema of the book",
	"agenda.index_old":             "index of an older version",
	"agenda.foreign":               "not a book of this program",
	"agenda.recipient_twice":       "recipient named twice",
	"agenda.clock_behind":          "clock behind the book",
	"agenda.clock_ahead":           "clock far ahead of the book",
	"agenda.unknown_correspondent": "unknown correspondent",
	"agenda.unknown_applicant":     "unknown applicant",
	"agenda.class_book":            "class does not belong in this book",
	"agenda.missing_field":         "field missing",
	"agenda.invalid_field":         "field not valid",
	"agenda.long_field":            "field too long",
	"agenda.number_taken":          "number no longer the next",
	"agenda.template_locked":       "template already used this year",
	"agenda.template":              "template not valid",
	"agenda.same_person":           "same person as another officer",
	"agenda.duplicate_handle":      "handle already used",
	"agenda.unknown_officer":       "unknown officer",
	"agenda.no_role":               "role not held",
	"agenda.tampered":              "book does not agree with its log",
	"agenda.void_refused":          "a copy may already be with its recipient",
	"agenda.readonly":              "book opened for reading",
	"agenda.moved":                 "another file has the name of the book",
	"agenda.storage":               "storage of the book",
	"agenda.unconfirmed":           "key of the correspondent not confirmed",
	"agenda.closed_letter":         "classified letter in the open path",
	"agenda.complaint_closed":      "complaint closed",
	"agenda.already_mailed":        "report already on its way",
	"agenda.once_other":            "token of another letter",
	"agenda.ended":                 "ended",
	"agenda.correspondent_changed": "correspondent changed meanwhile",
}

// Code returns the stable code, such as "agenda.step_order".
func (e *Error) Code() string { return e.code }

// Error returns a short phrase. Values typed by people are left out: they may
// be secret.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Entry != (Name{}) {
		b.WriteString(e.Entry.Long() + ": ")
	}
	b.WriteString(phrases[e.code])
	if e.Field != "" {
		b.WriteString(": " + e.Field)
	}
	if e.State != "" {
		b.WriteString(" (" + string(e.State) + ")")
	}
	if e.cause != nil {
		b.WriteString(": " + e.cause.Error())
	}
	return b.String()
}

// Unwrap returns the cause, if any.
func (e *Error) Unwrap() error { return e.cause }

// Is matches errors of the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.code == e.code
}

func invalid(field, value string) *Error {
	return &Error{code: "agenda.invalid_field", Field: field, Value: value}
}

func missingField(field string) *Error {
	return &Error{code: "agenda.missing_field", Field: field}
}

func tampered(detail string) *Error {
	return &Error{code: "agenda.tampered", cause: errors.New(detail)}
}
