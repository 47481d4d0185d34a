package mail

import (
	"io"
	netmail "net/mail"
)

// maxTopHeader is more than the top header of a message of [Compose] needs.
const maxTopHeader = 16 << 10

// SenderOf reads who a message of [Compose] is from. The envelope of a frozen
// message is frozen with it: the settings may name another mailbox by now.
func SenderOf(r io.Reader) (Address, error) {
	m, err := netmail.ReadMessage(io.LimitReader(r, maxTopHeader))
	if err != nil {
		return Address{}, &Error{code: CodeContent, Err: err}
	}
	return ParseAddress(m.Header.Get("From"))
}
