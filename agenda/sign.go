package agenda

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"strings"
)

// Draft records an encryption and the draft kriptogram made with it. It needs
// the order on record, confirmed certificates of all addressees
// (agenda.unconfirmed), and d.Draft one above the latest draft
// (agenda.changed). Before the commit the files in the vault are orphans.
func (b *Book) Draft(ctx context.Context, a Actor, id, last int64, d DraftRecord) error {
	return b.step(ctx, a, id, last, StepDraft, func(u *update, t taken) error {
		if !t.ordered {
			return t.refuse(StepOrder)
		}
		if d.Draft != t.draft+1 {
			return &Error{code: "agenda.changed", State: t.state, Field: "draft"}
		}
		if err := d.check(); err != nil {
			return err
		}
		if t.state != StateRegistered && strings.TrimSpace(d.Reason) == "" {
			return missingField("reason")
		}
		if err := u.confirmed(t.id); err != nil {
			return err
		}
		for _, o := range []Object{d.Text, d.Paraf, d.Kriptogram} {
			if err := u.putObject(o); err != nil {
				return err
			}
		}
		if err := u.exec("DELETE FROM review WHERE entry=$1", t.id); err != nil {
			return err
		}
		if len(d.Review) > 0 {
			if err := u.exec("INSERT INTO review(entry, packet) VALUES($1, $2)", t.id, d.Review); err != nil {
				return err
			}
		}
		policy := d.Policy
		if d.PolicyDigest != "" {
			policy += " " + d.PolicyDigest
		}
		e := newEvent("entry.drafted").on(t.id, t.state, t.move.to).
			setInt("draft", int64(d.Draft)).setHash("manifest", d.Manifest).setHash("kriptogram", d.Kriptogram.SHA256).
			setHash("isi", d.Isi).setInt("size", d.Kriptogram.Size).setHash("paraf", d.Paraf.SHA256).
			set("key", d.ParafKey).set("policy", policy).set("format", d.Format).set("reason", d.Reason).
			set("documents", d.Documents).set("content", d.Content).
			set("archive-packet", base64.StdEncoding.EncodeToString(d.ArchivePacket))
		_, err := u.append(e)
		return err
	})
}

func (d DraftRecord) check() error {
	if err := inBook("manifest", d.Text); err != nil {
		return err
	}
	if d.Manifest != d.Text.SHA256 {
		return invalid("manifest", d.Manifest.String())
	}
	if err := inBook("paraf", d.Paraf); err != nil {
		return err
	}
	if err := inVault("kriptogram", d.Kriptogram); err != nil {
		return err
	}
	if d.Content == "" {
		return missingField("content")
	}
	if Hash(sha256.Sum256([]byte(d.Content))) != d.Isi {
		return invalid("isi", d.Isi.String())
	}
	if strings.Contains(d.Policy, " ") || strings.Contains(d.PolicyDigest, " ") {
		return invalid("policy", d.Policy)
	}
	if d.Policy == "" {
		return missingField("policy")
	}
	if d.ParafKey == "" {
		return missingField("key")
	}
	return checkText("reason", d.Reason)
}

// confirmed checks that every addressee has a certificate whose fingerprint an
// officer has confirmed.
func (u *update) confirmed(entry int64) error {
	var handle string
	err := u.row(`SELECT coalesce(p.handle, '') FROM copy c LEFT JOIN correspondent p ON p.id=c.correspondent
 WHERE c.entry=$1 AND (p.state IS NULL OR p.state<>'confirmed' OR p.certificate IS NULL OR p.ended<>0)
 ORDER BY c.copy LIMIT 1`, entry).Scan(&handle)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return storage(err)
	}
	return &Error{code: "agenda.unconfirmed", Field: "correspondent", Value: handle}
}

// ReviewPacket returns the head's key packet of the pending draft; none is
// agenda.not_found. It is gone after the signature or the return.
func (b *Book) ReviewPacket(ctx context.Context, id int64) ([]byte, error) {
	var packet []byte
	err := b.readers.QueryRowContext(ctx, "SELECT packet FROM review WHERE entry=$1", id).Scan(&packet)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, &Error{code: "agenda.not_found", Field: "review"}
	}
	return packet, storage(err)
}

// MarkRead records that the head read the plaintext of the pending draft.
func (b *Book) MarkRead(ctx context.Context, a Actor, id int64, draft int, via string) error {
	return b.step(ctx, a, id, anyLast, StepRead, func(u *update, t taken) error {
		if draft != t.draft {
			return &Error{code: "agenda.changed", State: t.state, Field: "draft"}
		}
		_, err := u.append(t.event("entry.read", t.move.to).setInt("draft", int64(draft)).set("via", via))
		return err
	})
}

// Return records that the head sent the pending draft back; the entry is
// registered again.
func (b *Book) Return(ctx context.Context, a Actor, id, last int64, r ReturnRecord) error {
	if err := checkText("reason", r.Reason); err != nil {
		return err
	}
	return b.step(ctx, a, id, last, StepReturn, func(u *update, t taken) error {
		if r.Draft != t.draft {
			return &Error{code: "agenda.changed", State: t.state, Field: "draft"}
		}
		for _, o := range []Object{r.Text, r.Signature} {
			if err := u.putObject(o); err != nil {
				return err
			}
		}
		if err := u.exec("DELETE FROM review WHERE entry=$1", t.id); err != nil {
			return err
		}
		e := t.event("entry.returned", t.move.to).setInt("draft", int64(r.Draft)).
			setHash("return-text", r.Text.SHA256).setHash("signature", r.Signature.SHA256).set("reason", r.Reason)
		_, err := u.append(e)
		return err
	})
}

// Sign records the head's signature on the pending draft. In modes key and
// both, the signer may be neither the person nor the key of the paraf
// (agenda.same_person); in wet mode the scan is needed and the actor may be
// whoever records it.
func (b *Book) Sign(ctx context.Context, a Actor, id, last int64, s SignatureRecord) error {
	return b.step(ctx, a, id, last, StepSign, func(u *update, t taken) error {
		draft, err := u.draftOf(t.id)
		if err != nil {
			return err
		}
		if s.Manifest != draft.getHash("manifest") {
			return &Error{code: "agenda.changed", State: t.state, Field: "manifest"}
		}
		if err := s.check(); err != nil {
			return err
		}
		if s.Mode != "wet" && (a.Handle == draft.actor && a.Handle != "-" || s.Key == draft.get("key")) {
			return &Error{code: "agenda.same_person", Value: a.Handle}
		}
		for _, o := range []Object{s.Signature, s.Scan} {
			if err := u.putObject(o); err != nil {
				return err
			}
		}
		if err := u.exec("DELETE FROM review WHERE entry=$1", t.id); err != nil {
			return err
		}
		e := t.event("entry.signed", t.move.to).set("mode", s.Mode).setHash("manifest", s.Manifest).
			setHash("signature", s.Signature.SHA256).setHash("scan", s.Scan.SHA256).set("key", s.Key).
			set("via", s.Via).set("reviewed", yesNo(s.Reviewed))
		_, err = u.append(e)
		return err
	})
}

func (s SignatureRecord) check() error {
	keyed, scanned := s.Mode == "key" || s.Mode == "both", s.Mode == "wet" || s.Mode == "both"
	if !keyed && !scanned {
		return invalid("mode", s.Mode)
	}
	if keyed {
		if err := inBook("signature", s.Signature); err != nil {
			return err
		}
		if s.Key == "" {
			return missingField("key")
		}
	} else if !s.Signature.IsZero() || s.Key != "" {
		return invalid("signature", "")
	}
	if scanned {
		return inVault("scan", s.Scan)
	}
	if !s.Scan.IsZero() {
		return invalid("scan", "")
	}
	return nil
}

// draftOf reads the latest entry.drafted of the entry.
func (u *update) draftOf(id int64) (*event, error) {
	var draft *event
	err := readEvents(u.ctx, u.b.conn, "WHERE e.entry=$1 ORDER BY e.seq", []any{id}, func(e *event) error {
		if e.typ.name == "entry.drafted" {
			draft = e
		}
		return nil
	})
	if err == nil && draft == nil {
		err = tampered("draft of an entry")
	}
	return draft, err
}

// EachContent calls fn with the content record of every draft that was ever
// made, older ones included, and what the clerk enciphered: number and sizes
// of the documents.
func (b *Book) EachContent(ctx context.Context, fn func(entry int64, content, documents string) error) error {
	return b.view(ctx, func(q *reader) error {
		// The records have no column for their type; the text has the key.
		const where = "WHERE e.seq IN (SELECT seq FROM text WHERE instr(body, CAST('content ' AS BLOB)) > 0) ORDER BY e.seq"
		return readEvents(ctx, q, where, nil, func(e *event) error {
			if e.typ.name != "entry.drafted" {
				return nil
			}
			return fn(e.entry, e.get("content"), e.get("documents"))
		})
	})
}

// recentRecords is how far back [Book.ContentsSince] looks at most. Every command
// that takes a scan asks for it, however long the book is.
const recentRecords = 20_000

// ContentsSince calls fn with the content records of the drafts among the records
// from the seq on, or among the newest ones when those are too many. It returns
// the seq to go on from.
func (b *Book) ContentsSince(ctx context.Context, seq int64, fn func(entry int64, content string) error) (next int64, err error) {
	err = b.view(ctx, func(q *reader) error {
		if err := q.QueryRowContext(ctx, "SELECT coalesce(max(seq), -1)+1 FROM event").Scan(&next); err != nil {
			return storage(err)
		}
		// As in EachContent the text has the key.
		const where = "WHERE e.seq IN (SELECT seq FROM text WHERE seq>=$1 AND instr(body, CAST('content ' AS BLOB)) > 0) ORDER BY e.seq"
		return readEvents(ctx, q, where, []any{max(seq, next-recentRecords)}, func(e *event) error {
			if e.typ.name != "entry.drafted" {
				return nil
			}
			return fn(e.entry, e.get("content"))
		})
	})
	return next, err
}
