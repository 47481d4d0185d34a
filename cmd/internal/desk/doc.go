// Package desk is the workflow of the cipher office: the steps of the two
// services, where the book, the keys, the messages and the vault meet.
//
// A file stands for a step. Commands that touch the book alone call
// [Desk.Book]; everything that joins two of agenda, crypto, mail and the
// vault is here, and only here the order of durable steps is decided.
//
// # What a crash leaves
//
//	encrypt   an object in the vault without a row: swept later; one checkpoint more
//	sign      nothing; with --wet an object of the scan
//	send      before the release is committed: objects of frozen messages, no number used;
//	          after it: number, digest, Message-ID and `ready` (or `claimed`) exist together;
//	          while claimed: deferred at the next start; while armed: doubt, never resent by itself;
//	          always: a mark that no older copy of the book fits, if anything can have left
//	archive   a tail of the box without event: moved aside by the next run, then appended again
//	report    before the commit nothing; after it the report can be written again from its object
//	officer add, key archive --new
//	          a key without event: the next run takes it over, once its passphrase is shown
//	key move  the archive key at both places: the next run removes the one in the desk
//
// Prompts, cryptography and the network are always outside a transaction.
// Plaintext of a classified letter is read where it lies and written only
// where [Desk.Open] or [Desk.Read] was told to, without a name until
// everything about it is good.
package desk
