package agenda

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
)

// committer makes the commitments of one event. Its secret is 32 random
// octets, so a salt gives away nothing of the other salts.
type committer struct {
	mac hash.Hash
	sum hash.Hash
	buf [sha256.Size]byte // a salt, then a commitment
}

func newCommitter(secret []byte) *committer {
	return &committer{mac: hmac.New(sha256.New, secret), sum: sha256.New()}
}

// salt is HMAC-SHA256(secret, field name as in the record). It is valid until
// the next call.
func (c *committer) salt(field string) []byte {
	c.mac.Reset()
	c.mac.Write([]byte(field))
	return c.mac.Sum(c.buf[:0])
}

// commit is SHA-256(salt ‖ value); value as it stands in text.body.
func (c *committer) commit(field, escaped string) Hash {
	c.sum.Reset()
	c.sum.Write(c.salt(field))
	c.sum.Write([]byte(escaped))
	c.sum.Sum(c.buf[:0])
	return c.buf
}
