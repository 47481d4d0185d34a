package desk

import (
	"errors"

	"sandi/agenda"
)

// Error is a refusal of the workflow. Its code is stable; what a person reads
// is made from it elsewhere.
type Error struct {
	code   string
	Entry  agenda.Name // zero when no entry is concerned
	Field  string      // what is concerned: a handle, a flag, a path, a role
	Detail string
	Err    error
}

// Code returns the stable code, such as `desk.not_ordered`.
func (e *Error) Code() string { return e.code }

func (e *Error) Error() string {
	s := e.code
	if e.Entry.Serial != 0 {
		s += " " + e.Entry.String()
	}
	if e.Field != "" {
		s += " " + e.Field
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Is makes two errors with the same code equal, so that a caller can compare
// with one made by [Refusal].
func (e *Error) Is(target error) bool {
	var o *Error
	return errors.As(target, &o) && o.code == e.code && o.Err == nil && o.Entry.Serial == 0
}

// Codes of the refusals that this package decides itself.
const (
	CodeNone           = "desk.none"            // no desk folder there
	CodeExists         = "desk.exists"          // init on an existing desk
	CodeBusy           = "desk.busy"            // another sender holds the lock
	CodeOutThere       = "desk.out_there"       // to be made, and something has its name
	CodeOutMake        = "desk.out_make"        // cannot be made
	CodeBoxBusy        = "desk.box_busy"        // another process writes to the archive box
	CodeOfficer        = "desk.officer"         // no officer, or more than one, fits
	CodeRole           = "desk.role"            // the acting officer does not hold the role
	CodeSamePerson     = "desk.same_person"     // sandiman and signer are one person
	CodeNotOrdered     = "desk.not_ordered"     // the paper order is not on record
	CodeNotSigned      = "desk.not_signed"      // send before the signature
	CodeNotDrafted     = "desk.not_drafted"     // sign before encrypt
	CodeNoScan         = "desk.no_scan"         // send before attach
	CodeState          = "desk.state"           // the entry is not where this step begins
	CodePolicy         = "desk.policy"          // the class is not allowed, or a policy is unknown
	CodePreflight      = "desk.preflight"       // an addressee's key is not fit
	CodeUnconfirmed    = "desk.unconfirmed"     // fingerprint not confirmed
	CodeNoCertificate  = "desk.no_certificate"  // addressee without certificate
	CodeSentBefore     = "desk.sent_before"     // said to have left before its message was made
	CodeBeforeRestore  = "desk.before_restore"  // ready before the backup was restored: perhaps sent since
	CodeLoginHeld      = "desk.login_held"      // the login was refused before: only a person tries it again
	CodeStale          = "desk.stale"           // draft no longer fits the entry
	CodeDamaged        = "desk.damaged"         // a stored file is not what the book says
	CodeNoKey          = "desk.no_key"          // own key not found
	CodeKeyMedium      = "desk.key_medium"      // the head's key medium is not there
	CodePassphrase     = "desk.passphrase"      // wrong passphrase, tries used up
	CodeSecretGiven    = "desk.secret_given"    // a secret key where only a certificate may come
	CodeFile           = "desk.file"            // a document cannot be read
	CodeEmptyFile      = "desk.empty_file"      // a document is empty
	CodeFileChanged    = "desk.file_changed"    // a document was written to while it was enciphered
	CodeNotPDF         = "desk.not_pdf"         // a scan that is neither PDF nor a picture
	CodeScanName       = "desk.scan_name"       // a scan named after another entry
	CodeSameName       = "desk.same_name"       // two documents with one base name
	CodeTooLarge       = "desk.too_large"       // larger than the gateway takes
	CodeClassScan      = "desk.class_scan"      // a classified letter on the ordinary path
	CodeReviewRequired = "desk.review_required" // sign before --read where the policy wants it
	CodeMode           = "desk.mode"            // this signature mode is not the office's
	CodeCheckWords     = "desk.check_words"     // retyped check words differ
	CodeSignature      = "desk.signature"       // a signature that is not good
	CodeNotGood        = "desk.not_good"        // a received message is not good
	CodeMailbox        = "desk.mailbox"         // the mailbox server does not answer, or not as it should
	CodeMailboxAddress = "desk.mailbox_address" // not the address of a mailbox
	CodeMailboxBounds  = "desk.mailbox_bounds"  // the mailbox server answers more, or deeper, than any needs
	CodeMailboxLogin   = "desk.mailbox_login"   // the mailbox server refused account or password
	CodeMailboxRefused = "desk.mailbox_refused" // the mailbox server does not open the mailbox
	CodeMailboxTLS     = "desk.mailbox_tls"     // no protected connection to the mailbox server
	CodeGateway        = "desk.gateway"         // a setting of the gateway cannot be used
	CodeFingerprint    = "desk.fingerprint"     // typed groups differ
	CodeSameKeyID      = "desk.same_key_id"     // two encryption keys with one 64-bit id
	CodeInsideDesk     = "desk.inside_desk"     // a private key may not be written inside the desk
	CodeNothing        = "desk.nothing_to_do"   // nothing fits the command
	CodeNotRAM         = "desk.not_ram"         // plaintext without -o only to a RAM disk
	CodeDoubt          = "desk.doubt"           // a copy is in doubt since the command began
	CodeNotInDoubt     = "desk.not_in_doubt"    // nothing to resolve
	CodeEvidence       = "desk.evidence"        // evidence does not hold the frozen message
	CodeNotSent        = "desk.not_sent"        // a sheet or the archive before sending
	CodeNotReported    = "desk.not_reported"    // the report sheets before the report was made
	CodeNotArchived    = "desk.not_archived"    // the report of a letter before it is filed
	CodeCorrespondent  = "desk.correspondent"   // a correspondent's data cannot stand
	CodeAddressee      = "desk.addressee"       // an addressee that is no correspondent, or none any more
	CodeAddress        = "desk.address"         // a mail address that cannot stand
	CodeCertificate    = "desk.certificate"     // a certificate that nobody can encipher for
	CodeFolderDenied   = "desk.folder_denied"   // the desk folder may not be read
	CodeFolderBook     = "desk.folder_book"     // a desk folder without its book
	CodeBookUnreadable = "desk.book_unreadable" // a book that cannot be opened: cut off, changed or another file
	CodeHandle         = "desk.handle"          // a handle that cannot stand
	CodeDuplicate      = "desk.duplicate"       // an officer of that handle is there
	CodeProgram        = "desk.program"         // a program of the system is not there, or failed
	CodePrinter        = "desk.printer"         // the printer refused
	CodeScanner        = "desk.scanner"         // the scanner refused
	CodePictures       = "desk.pictures"        // a picture that cannot become a page
)

func refuse(code string) *Error { return &Error{code: code} }

func refuseEntry(code string, n agenda.Name) *Error { return &Error{code: code, Entry: n} }

// Refusal is an error to compare with: errors.Is(err, desk.Refusal(code)).
func Refusal(code string) error { return refuse(code) }
