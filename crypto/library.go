package crypto

import (
	stdcrypto "crypto"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/s2k"
)

// MaxClockSkew is how far in the future a signature may be dated and still
// count: two workstations never agree to the second.
const MaxClockSkew = 5 * time.Minute

// libraryMinRSA is the modulus length in bits below which the library itself
// refuses. The policy's own, higher bound stands in Policy.Check.
const libraryMinRSA = 2048

// maxDecompressed bounds what a compressed packet of a foreign message may
// unfold to, in octets. We never write compressed packets.
const maxDecompressed = 256 << 20

// What every configuration has in common. Nobody changes it: the library reads
// only, and who wants another value puts another one in its place.
var (
	off, on          = false, true
	unfoldingLimit   = int64(maxDecompressed)
	keyStretching    = argon2id(S2KCost{})
	aead             = packet.AEADConfig{DefaultMode: packet.AEADModeGCM, ChunkSize: 64 << 10}
	noNotations      = map[string]bool{}
	refusedPublicKey = map[packet.PublicKeyAlgorithm]bool{packet.PubKeyAlgoElGamal: true, packet.PubKeyAlgoDSA: true}
	refusedCurves    = map[packet.Curve]bool{packet.CurveSecP256k1: true}
	// weakHashes are refused in messages and in certifications alike.
	weakHashes = map[stdcrypto.Hash]bool{
		stdcrypto.MD5:       true,
		stdcrypto.SHA1:      true,
		stdcrypto.RIPEMD160: true,
		stdcrypto.SHA224:    true,
	}
)

// libraryConfig is the only place that configures the OpenPGP library. Every
// field of packet.Config is decided here, also those left at zero: a test
// walks the struct and fails on a field this function does not know.
func libraryConfig(now time.Time) *packet.Config {
	return &packet.Config{
		// Rand stays nil: crypto/rand; Go ignores any other reader.
		DefaultHash:   stdcrypto.SHA512,
		DefaultCipher: packet.CipherAES256, // zero would mean AES-128
		Time:          func() time.Time { return now },
		// Compression leaks lengths and helps bombs; never on writing.
		DefaultCompressionAlgo: packet.CompressionNone,
		// CompressionConfig stays nil: nothing is compressed.
		S2KConfig: keyStretching,
		// S2KCount stays 0: S2KConfig rules.
		RSABits:   3072,
		Algorithm: packet.PubKeyAlgoEdDSA,
		// RSAPrimes stays nil: primes are always fresh.
		Curve: packet.Curve25519,
		// 64 KiB: the library clears a chunk for every letter, and most are shorter.
		AEADConfig:                  &aead,
		V6Keys:                      false,
		MinRSABits:                  libraryMinRSA,
		RejectPublicKeyAlgorithms:   refusedPublicKey,
		RejectHashAlgorithms:        weakHashes,
		RejectMessageHashAlgorithms: weakHashes,
		RejectCurves:                refusedCurves,
		KeyLifetimeSecs:             0, // set by GenerateKey
		SigLifetimeSecs:             0, // our signatures do not expire
		SigningKeyId:                0, // the newest valid signing key
		SigningIdentity:             "",
		// Unauthenticated data (tag 9) is never read.
		InsecureAllowUnauthenticatedMessages:   false,
		InsecureAllowDecryptionWithSigningKeys: false,
		// KnownNotations stays empty: a critical notation is a bad signature.
		KnownNotations:          noNotations,
		SignatureNotations:      nil, // set by Seal alone
		CheckIntendedRecipients: &on,
		CacheSessionKey:         false,
		CheckPacketSequence:     &on,
		// gpg shows the salt notation to people; ours carry none.
		NonDeterministicSignaturesViaNotation:            &off,
		InsecureAllowAllKeyFlagsWhenMissing:              false,
		InsecureGenerateNonCriticalKeyFlags:              false,
		InsecureGenerateNonCriticalSignatureCreationTime: false,
		MaxDecompressedMessageSize:                       &unfoldingLimit,
	}
}

// argon2id is the S2K of keys at rest (RFC 9580 §3.7.1.4). Zero fields of
// cost mean 64 MiB, 3 passes, 4 lanes.
func argon2id(cost S2KCost) *s2k.Config {
	if cost.MemoryExponent == 0 {
		cost.MemoryExponent = 16 // 2^16 KiB
	}
	if cost.Passes == 0 {
		cost.Passes = 3
	}
	if cost.Parallelism == 0 {
		cost.Parallelism = 4
	}
	return &s2k.Config{
		S2KMode: s2k.Argon2S2K,
		Argon2Config: &s2k.Argon2Config{
			NumberOfPasses:      cost.Passes,
			DegreeOfParallelism: cost.Parallelism,
			Memory:              1 << min(cost.MemoryExponent, 31),
		},
	}
}

// iteratedS2K is what gpg 2.2 can read: iterated and salted SHA-256 with the
// largest count the octet can say.
func iteratedS2K() *s2k.Config {
	return &s2k.Config{S2KMode: s2k.IteratedSaltedS2K, Hash: stdcrypto.SHA256, S2KCount: 65011712}
}
