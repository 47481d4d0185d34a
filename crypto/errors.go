package crypto

import "fmt"

// Error is the leaf error of this package. Code is stable and meant for exit
// status, JSON and translation; the text is for logs. An Error never holds
// plaintext, passphrases or key material.
type Error struct {
	code string
	// Op is the noun of what was done, such as "certificate".
	Op string
	// Fingerprint names the certificate at fault, when one is known.
	Fingerprint Fingerprint
	// Detail says what was found, in a few English words.
	Detail string
	// Err is the cause in the library below, or nil.
	Err error
}

// Sentinels for [errors.Is]: an [Error] matches the sentinel of its code.
var (
	ErrMalformed         = &Error{code: "crypto.malformed"}
	ErrNoEncryptionKey   = &Error{code: "crypto.no_encryption_key"}
	ErrExpired           = &Error{code: "crypto.expired"}
	ErrNotYetValid       = &Error{code: "crypto.not_yet_valid"}
	ErrRevoked           = &Error{code: "crypto.revoked"}
	ErrNoAES256          = &Error{code: "crypto.no_aes256"}
	ErrWeakKey           = &Error{code: "crypto.weak_key"}
	ErrSubkeyChanged     = &Error{code: "crypto.subkey_changed"}
	ErrNoMDCAllowed      = &Error{code: "crypto.no_mdc_allowed"}
	ErrSameKeyID         = &Error{code: "crypto.same_key_id"}
	ErrPassphrase        = &Error{code: "crypto.passphrase"}
	ErrNoSecretKey       = &Error{code: "crypto.no_secret_key"}
	ErrSecretKey         = &Error{code: "crypto.secret_key_in_certificate"}
	ErrSignatureBad      = &Error{code: "crypto.signature_bad"}
	ErrSignatureType     = &Error{code: "crypto.signature_type"}
	ErrSignerUnknown     = &Error{code: "crypto.signer_unknown"}
	ErrEnvelope          = &Error{code: "crypto.envelope"}
	ErrNotRecipient      = &Error{code: "crypto.not_recipient"}
	ErrDecrypt           = &Error{code: "crypto.decrypt"}
	ErrTooLarge          = &Error{code: "crypto.too_large"}
	ErrV4Required        = &Error{code: "crypto.v4_required"}
	ErrKindUnknown       = &Error{code: "crypto.key_kind"}
	ErrPolicyUnknown     = &Error{code: "crypto.policy_unknown"}
	ErrDifferentKey      = &Error{code: "crypto.different_key"}
	ErrPostQuantumNeeded = &Error{code: "crypto.post_quantum_required"}
)

// Code returns the stable code, such as crypto.expired.
func (e *Error) Code() string { return e.code }

func (e *Error) Error() string {
	text := e.code
	if e.Op != "" {
		text = e.Op + ": " + text
	}
	if e.Fingerprint != "" {
		text += " " + string(e.Fingerprint)
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the sentinel of the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.code == e.code
}

// fault builds an Error of a sentinel's code.
func fault(kind *Error, op, detail string, cause error) *Error {
	return &Error{code: kind.code, Op: op, Detail: detail, Err: cause}
}

// of adds the certificate at fault.
func (e *Error) of(fpr Fingerprint) *Error {
	e.Fingerprint = fpr
	return e
}

// guard turns a panic of the library into crypto.malformed. It stands, by
// defer, at every place where octets from outside reach a parser.
func guard(op string, err *error) {
	if r := recover(); r != nil {
		*err = fault(ErrMalformed, op, fmt.Sprintf("parser panic of type %T", r), nil)
	}
}
