// Package crypto enciphers, signs, opens and verifies kriptograms. It wraps
// the OpenPGP library whole: no other package of this module imports it.
//
// The entry points are [Seal] with [Sealed.CheckEnvelope] for the sandiman,
// [Open] for the recipient, [SignText] and [VerifyText] for drafts and
// messages, and [ParseCertificate], [ParseKey] and [GenerateKey] for keys.
//
// Invariants:
//
//   - A kriptogram is AES-256 or it is not written: the session key is 32
//     random octets of our own, so that a recipient who lists only AES-128
//     stops the encryption instead of weakening it for everybody.
//   - AEAD (SEIPDv2, RFC 9580 §5.13.2) is used when every recipient can read
//     it, SEIPDv1 with MDC otherwise and only where the [Policy] allows it.
//   - An error is never a verdict and a verdict is never implied: the zero
//     [Verdict] means that nothing was verified.
//   - Identity is a [Fingerprint] of a primary key; user identifiers are for
//     people to read.
//   - Octets from outside are parsed under a size limit; a panic of a parser
//     becomes an [Error] with the code crypto.malformed.
//
// The package reads no flags and no environment, prints nothing and creates
// no files. The instant of every decision is a parameter.
package crypto
