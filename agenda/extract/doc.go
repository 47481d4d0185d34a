// Package extract writes the papers of a cipher office: extracts of the books,
// slips, drafts, reports and receipts, as PDF, as text of 80 columns and as
// CSV. It is Indonesian by nature; columns, titles, letterhead and names come
// from the caller as finished words.
//
// Entry points: [Book], [BookText] and [BookCSV] write a book from a stream of
// rows; [Slips], [Draft], [Result], [Notices], [Receipt], [Waiting], [Covers]
// and [Plain] write the other sheets, [Pictures] a PDF of scans. [Date] and its neighbours write dates and times.
//
// Invariants: the same values give the same octets, since the only clock is
// [Page.PrintedAt]. A row is never split over two pages unless it is higher
// than a page. Nothing is dropped unseen: a character without a glyph becomes
// a box, controls and bidirectional marks become <U+202E>. A sheet says
// nothing the caller did not pass, so masking is the caller's.
//
// A page code is the base32 of the first 80 bits of the SHA-256 of what the
// page shows, in the order of drawing: the line "sandi-halaman/1", then one
// line "text TEXT" or "struck TEXT" for each piece. The foot is left out.
//
// All functions are safe for concurrent use on different writers. A PDF reaches
// the writer whole or not at all; text and CSV are streamed, and an error leaves
// what was written before it.
package extract
