// Package mail builds, reads, sends and archives the messages of the desk.
//
// [Compose] writes one message for one recipient in the skeleton of the desk:
// multipart/signed (RFC 3156) around multipart/mixed, 7-bit, CRLF, with
// protected header copies (RFC 9788). [Parse] takes such a message apart again,
// from CRLF or LF storage. [Connect] opens a submission session (RFC 5321,
// RFC 6409) and [Session.Transmit] delivers one message to one recipient and
// says which of four things is known afterwards: accepted, rejected, deferred
// or doubt. [EachInMailbox] reads a mailbox of an IMAP server and changes
// nothing there; [ParseNotices] says what a message means for one that we sent.
// [AppendMbox] and [CheckMbox] keep the archive box.
//
// Invariants:
//
//   - No octet of a message reaches the wire unless it is 7-bit and stands in a
//     line that ends in CRLF and has at most 998 octets. So one DATA command is
//     one message at every server, however it looks for the end of the data.
//   - The final dot is written in one place only, directly after the caller's
//     arm function returned nil. Every failure before it closes the socket; no
//     command is sent after 354 but the body and the dot.
//   - After the dot nothing but a whole, well-formed 2xx, 4xx or 5xx reply
//     settles the delivery. Anything else is doubt, and doubt is never resent
//     by this package.
//   - A password leaves the process only over TLS with a verified certificate,
//     or to a loopback address.
//
// The package knows nothing of OpenPGP (a [Signer] comes in), of the books or
// of the wording of the cover sheet. It creates and renames no files, prints
// nothing and reads no flags, environment or configuration.
package mail
