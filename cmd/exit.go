package cmd

import (
	"context"
	"errors"
	"slices"
	"strings"

	"sandi/cmd/internal/term"
)

// Exit statuses. 2 is left free: a Go program that panics ends with it.
const (
	exitDone        = 0
	exitOther       = 1
	exitPartly      = 3
	exitNoDesk      = 10
	exitBusy        = 11
	exitKey         = 12
	exitSignature   = 13
	exitTampered    = 14
	exitStep        = 15
	exitRefused     = 20
	exitDeferred    = 21
	exitDoubt       = 22
	exitUsage       = 64
	exitInterrupted = 130
)

// exitStatuses is the order in which the statuses are listed for people.
var exitStatuses = []int{
	exitDone, exitOther, exitPartly, exitNoDesk, exitBusy, exitKey, exitSignature, exitTampered, exitStep,
	exitRefused, exitDeferred, exitDoubt, exitUsage, exitInterrupted,
}

// statusOfCode is the exit status of an error code; the longest prefix that fits decides, and what fits none is 1.
var statusOfCode = map[string]int{
	"agenda.already_mailed": exitStep,
	"agenda.busy":           exitBusy,
	"agenda.class_book":     exitUsage,
	"agenda.closed_letter":  exitStep,
	"agenda.complaint_":     exitStep,
	"agenda.invalid_field":  exitUsage,
	"agenda.long_field":     exitUsage,
	"agenda.missing_field":  exitUsage,
	"agenda.not_found":      exitUsage,
	"agenda.number_taken":   exitBusy,
	"agenda.changed":        exitBusy,
	"agenda.moved":          exitTampered,
	"agenda.correspondent_": exitBusy,
	"agenda.ended":          exitUsage,
	"agenda.once_other":     exitUsage,
	"agenda.recipient_":     exitUsage,
	"agenda.same_person":    exitKey,
	"agenda.step_order":     exitStep,
	"agenda.tampered":       exitTampered,
	"agenda.unconfirmed":    exitKey,
	"agenda.unknown_":       exitUsage,
	"agenda.void_refused":   exitStep,
	"crypto.":               exitKey,
	"crypto.decrypt":        exitSignature,
	"crypto.envelope":       exitOther,
	"crypto.signature_":     exitSignature,
	"crypto.signer_unknown": exitSignature,
	"crypto.too_large":      exitOther,
	"desk.act_":             exitUsage,
	"desk.archive_key":      exitKey,
	"desk.archive_key_gone": exitKey,
	"desk.archive_other":    exitKey,
	"desk.archive_private":  exitKey,
	"desk.archive_same":     exitKey,
	"desk.archive_unnoted":  exitKey,
	"desk.backup_key":       exitKey,
	"desk.before_restore":   exitStep,
	"desk.book_unreadable":  exitTampered,
	"desk.box_busy":         exitBusy,
	"desk.busy":             exitBusy,
	"desk.certificate":      exitKey,
	"desk.check_words":      exitSignature,
	"desk.class_scan":       exitStep,
	"desk.correspondent":    exitUsage,
	"desk.duplicate":        exitUsage,
	"desk.address":          exitUsage,
	"desk.address_changed":  exitStep,
	"desk.addressee":        exitStep,
	"desk.damaged":          exitTampered,
	"desk.doubt":            exitDoubt,
	"desk.evidence":         exitSignature,
	"desk.file_changed":     exitBusy,
	"desk.fingerprint":      exitKey,
	"desk.folder_":          exitNoDesk,
	"desk.handle":           exitUsage,
	"desk.import":           exitUsage,
	"desk.key_medium":       exitKey,
	"desk.no_address":       exitUsage,
	"desk.login_held":       exitRefused,
	"desk.mailbox":          exitDeferred,
	"desk.mailbox_address":  exitUsage,
	"desk.mailbox_bounds":   exitRefused,
	"desk.mailbox_login":    exitRefused,
	"desk.mailbox_refused":  exitRefused,
	"desk.mailbox_tls":      exitRefused,
	"desk.no_certificate":   exitKey,
	"desk.no_head_address":  exitUsage,
	"desk.no_key":           exitKey,
	"desk.no_review":        exitKey,
	"desk.no_scan":          exitStep,
	"desk.none":             exitNoDesk,
	"desk.plaintext":        exitStep,
	"desk.same_unit":        exitUsage,
	"desk.not_archived":     exitStep,
	"desk.not_drafted":      exitStep,
	"desk.not_good":         exitSignature,
	"desk.not_in_doubt":     exitStep,
	"desk.not_ordered":      exitStep,
	"desk.not_reported":     exitStep,
	"desk.not_sent":         exitStep,
	"desk.sent_before":      exitUsage,
	"desk.not_signed":       exitStep,
	"desk.passphrase":       exitKey,
	"desk.preflight":        exitKey,
	"desk.review_required":  exitStep,
	"desk.same_key_id":      exitKey,
	"desk.same_person":      exitKey,
	"desk.secret_given":     exitKey,
	"desk.signature":        exitSignature,
	"desk.stale":            exitStep,
	"desk.state":            exitStep,
	"desk.unconfirmed":      exitKey,
	"interrupted":           exitInterrupted,
	"mail.address":          exitUsage,
	"mail.auth":             exitRefused,
	"mail.connect":          exitDeferred,
	"mail.deferred":         exitDeferred,
	"mail.doubt":            exitDoubt,
	"mail.mbox":             exitTampered,
	"mail.no_starttls":      exitRefused,
	"mail.protocol":         exitDeferred,
	"mail.refused":          exitRefused,
	"mail.timeout":          exitDeferred,
	"mail.tls":              exitRefused,
	"mail.too_large":        exitRefused,
	"mail.unbounded":        exitRefused,
	"term.ended":            exitUsage,
	"term.interrupted":      exitInterrupted,
	"term.no_answer":        exitUsage,
	"term.no_secret":        exitKey,
	"term.no_terminal":      exitUsage,
	"usage.":                exitUsage,
	"vault.damaged":         exitTampered,
	"vault.locked":          exitBusy,
}

// status is an error that has been told already: it only carries the exit status.
type status int

func (status) Error() string { return "exit status" }

// codeOf returns the code of an error, "" when it has none. The outermost code decides: whoever wrapped an error knew more.
func codeOf(err error) string {
	var coded interface{ Code() string }
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return ""
}

// exitStatus is the exit status of an error; nil is 0.
func exitStatus(err error) int {
	var told status
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &told):
		return int(told)
	case interrupted(err):
		return exitInterrupted
	}
	return codeStatus(codeOf(err))
}

func interrupted(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, term.ErrInterrupted)
}

func codeStatus(code string) int {
	best, result := -1, exitOther
	for prefix, n := range statusOfCode {
		whole := code == prefix
		open := strings.HasSuffix(prefix, ".") || strings.HasSuffix(prefix, "_")
		if (whole || open && strings.HasPrefix(code, prefix)) && len(prefix) > best {
			best, result = len(prefix), n
		}
	}
	return result
}

// retryOf says whether the same command may help: "later" by itself, "ask" a person first, "no".
func retryOf(code string) string {
	switch codeStatus(code) {
	case exitBusy, exitDeferred:
		return "later"
	case exitDoubt, exitTampered, exitInterrupted:
		return "ask"
	}
	switch code {
	case "agenda.clock_ahead", "agenda.clock_behind", "desk.login_held", "desk.mailbox_bounds", "desk.mailbox_login", "desk.mailbox_tls", "mail.auth", "mail.no_starttls", "mail.tls", "mail.unbounded", "vault.fatal":
		return "ask"
	}
	return "no"
}

// batchStatus is the exit status of several entries from the status of each: 22 if any is in doubt, else 14, 13, 12, else 3 if
// part was done, else the one cause, else 1.
func batchStatus(each []int) int {
	for _, n := range []int{exitDoubt, exitTampered, exitSignature, exitKey} {
		if slices.Contains(each, n) {
			return n
		}
	}
	done := false
	var causes []int
	for _, n := range each {
		switch {
		case n == exitDone:
			done = true
		case !slices.Contains(causes, n):
			causes = append(causes, n)
		}
	}
	switch {
	case len(causes) == 0:
		return exitDone
	case done || slices.Contains(causes, exitPartly):
		return exitPartly
	case len(causes) == 1:
		return causes[0]
	}
	return exitOther
}
