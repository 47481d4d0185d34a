package mail

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// Address is a mailbox that the desk can write to: local@domain in ASCII
// (RFC 5321 §4.1.2 without quoted strings, address literals and SMTPUTF8).
// Only [ParseAddress] makes one, so a non-zero Address holds no octet that
// could end a command, a header or a line. It is comparable; the domain is kept
// in lower case. The zero value means no address.
type Address struct{ local, domain string }

// ParseAddress reads an address as typed, without display name and angle
// brackets. Besides letters and digits the local part may hold the characters
// of an atom that have no meaning to routes and shells (so no "%", "!", "|",
// "`", "{", "}"). The error has code mail.address.
func ParseAddress(s string) (Address, error) {
	if len(s) > 254 {
		return Address{}, fault(CodeAddress, "", "address longer than 254 octets")
	}
	at := strings.IndexByte(s, '@')
	if at < 0 {
		return Address{}, fault(CodeAddress, "", "address without @")
	}
	local, domain := s[:at], s[at+1:]
	if !validLocal(local) {
		return Address{}, fault(CodeAddress, "", "part before @ not a plain name")
	}
	domain = strings.ToLower(domain)
	if !validDomain(domain) {
		return Address{}, fault(CodeAddress, "", "part after @ not a domain name")
	}
	return Address{local: local, domain: domain}, nil
}

// String returns local@domain, or nothing for the zero Address.
func (a Address) String() string {
	if a == (Address{}) {
		return ""
	}
	return a.local + "@" + a.domain
}

// Domain returns the part after @ in lower case.
func (a Address) Domain() string { return a.domain }

func validLocal(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '-' || s[0] == '.' || s[len(s)-1] == '.' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case alnum(c):
		case c == '.':
			if s[i-1] == '.' {
				return false
			}
		case strings.IndexByte("+-_=&'#$*/?^~", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// validDomain accepts letter-digit-hyphen labels (RFC 1123 §2.1).
func validDomain(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !alnum(c) && c != '-' {
				return false
			}
		}
	}
	return true
}

func alnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// NewMessageID returns a Message-ID without angle brackets: 128 bits of rand as
// 32 hexadecimal digits, at domain. It says nothing of the machine or the time.
func NewMessageID(rand io.Reader, domain string) (string, error) {
	domain = strings.ToLower(domain)
	if !validDomain(domain) {
		return "", fault(CodeAddress, "Message-ID", "not a domain name")
	}
	var b [16]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fmt.Errorf("random octets for Message-ID: %w", err)
	}
	return hex.EncodeToString(b[:]) + "@" + domain, nil
}

// EnvelopeID returns the left part of a Message-ID, which is sent as ENVID
// (RFC 3461 §4.4), so that a delivery notice can be matched to its copy.
func EnvelopeID(messageID string) string {
	left, _, _ := strings.Cut(messageID, "@")
	return left
}

// validMessageID accepts left@domain with an atom on the left, at most 250
// octets, so that it can stand in a header line, a cover block and an ENVID.
func validMessageID(s string) bool {
	left, domain, ok := strings.Cut(s, "@")
	return ok && len(s) <= 250 && validLocal(left) && validDomain(domain)
}
