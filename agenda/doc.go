// Package agenda keeps the two agenda books of a cipher office: book
// kriptogram (outgoing classified letters) and book surat (outgoing ordinary
// letters), with their entries, steps, numbers, deliveries and people, in one
// SQLite file.
//
// [Create] and [Open] give a [Book]; its methods are the steps of the service
// standards, each one transaction. FORMAT.md beside this file is the stored
// form.
//
// What holds at every instant, also after a crash:
//
//   - What happened is in the log: append-only records, hashed as they are
//     stored, in a Merkle tree (RFC 6962). Everything else in the book but the
//     texts and objects they commit to is an index that only apply writes and
//     that [Book.Rebuild] can make anew.
//   - A serial or a number is given in the transaction of the event that uses
//     it: none is lost, doubled or skipped by a failure.
//   - The order of the steps is one table, in step.go; a step out of order is
//     refused with agenda.step_order.
//   - A copy between "armed" and its settlement becomes "doubt" and is never
//     sent again by itself.
//   - Letters' fields enter the records as commitments only.
//
// The package knows no OpenPGP and no network, prints nothing, reads no flags
// and no environment, and writes no file but the database. A Book may be used
// by several goroutines, and a file by several processes.
package agenda
