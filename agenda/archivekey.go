package agenda

import (
	"context"
	"strings"
	"time"
)

// ArchiveKey is a certificate that the archive had from an event on: what is
// enciphered for the archive is enciphered to the newest.
type ArchiveKey struct {
	Seq         int64 // of the event; 0 is the certificate that the desk began with
	Fingerprint string
	Certificate Object
	Since       time.Time
	Reason      string // "" of event 0
}

// ArchiveKeys lists the certificates of the archive, oldest first. Two that
// follow each other may be of one key, when its certificate was added to.
func (b *Book) ArchiveKeys(ctx context.Context) ([]ArchiveKey, error) {
	return recallPeople(ctx, b, "archive keys", func(q querier, said words) ([]ArchiveKey, error) { return readArchiveKeys(ctx, q, said) })
}

func readArchiveKeys(ctx context.Context, q querier, said words) ([]ArchiveKey, error) {
	created, err := eventAt(ctx, q, 0)
	if err != nil {
		return nil, err
	}
	if !created.is("desk.created") {
		return nil, tampered("event 0")
	}
	var keys []ArchiveKey
	if sum := created.getHash("archive-certificate"); sum != (Hash{}) {
		keys = append(keys, ArchiveKey{
			Fingerprint: created.get("archive-fingerprint"), Certificate: Object{SHA256: sum}, Since: created.at,
		})
	}
	for _, e := range said["archive "] {
		keys = append(keys, ArchiveKey{
			Seq: e.seq, Fingerprint: e.get("fingerprint"), Certificate: Object{SHA256: e.getHash("certificate")},
			Since: e.at, Reason: e.get("reason"),
		})
	}
	for i := range keys {
		if keys[i].Certificate, err = readObject(ctx, q, keys[i].Certificate.SHA256); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// ChangeArchiveKey gives the archive another certificate: of a new key, or of
// the same one with a later end. last is the Seq of the newest certificate
// that the caller has seen; when there is a newer one by now, it is
// agenda.changed, since what was merged with the old one would lose that.
func (b *Book) ChangeArchiveKey(ctx context.Context, a Actor, last int64, fingerprint string, certificate Object, reason string) error {
	if strings.TrimSpace(reason) == "" {
		return missingField("reason")
	}
	if err := checkText("reason", reason); err != nil {
		return err
	}
	if !fingerprintOK(fingerprint) {
		return invalid("fingerprint", fingerprint)
	}
	if err := inBook("certificate", certificate); err != nil {
		return err
	}
	return b.update(ctx, a, func(u *update) error {
		said, err := readWords(u.ctx, u.b.conn)
		if err != nil {
			return err
		}
		keys, err := readArchiveKeys(u.ctx, u.b.conn, said)
		if err != nil {
			return err
		}
		if len(keys) == 0 || keys[len(keys)-1].Seq != last {
			return &Error{code: "agenda.changed", Field: "certificate"}
		}
		if err := u.putObject(certificate); err != nil {
			return err
		}
		e := newEvent("archive.changed").set("fingerprint", fingerprint).setHash("certificate", certificate.SHA256).set("reason", reason)
		_, err = u.append(e)
		return err
	})
}
