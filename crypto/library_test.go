package crypto

import (
	"reflect"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// A field that this list does not know was added to the library since the
// configuration was last thought through.
func TestLibraryConfigDecidesEveryField(t *testing.T) {
	t.Parallel()
	const set, zero = true, false
	decided := map[string]bool{
		"Rand":                                   zero,
		"DefaultHash":                            set,
		"DefaultCipher":                          set,
		"Time":                                   set,
		"DefaultCompressionAlgo":                 zero,
		"CompressionConfig":                      zero,
		"S2KConfig":                              set,
		"S2KCount":                               zero,
		"RSABits":                                set,
		"Algorithm":                              set,
		"RSAPrimes":                              zero,
		"Curve":                                  set,
		"AEADConfig":                             set,
		"V6Keys":                                 zero,
		"MinRSABits":                             set,
		"RejectPublicKeyAlgorithms":              set,
		"RejectHashAlgorithms":                   set,
		"RejectMessageHashAlgorithms":            set,
		"RejectCurves":                           set,
		"KeyLifetimeSecs":                        zero,
		"SigLifetimeSecs":                        zero,
		"SigningKeyId":                           zero,
		"SigningIdentity":                        zero,
		"InsecureAllowUnauthenticatedMessages":   zero,
		"InsecureAllowDecryptionWithSigningKeys": zero,
		"KnownNotations":                         set,
		"SignatureNotations":                     zero,
		"CheckIntendedRecipients":                set,
		"CacheSessionKey":                        zero,
		"CheckPacketSequence":                    set,
		"NonDeterministicSignaturesViaNotation":  set,
		"InsecureAllowAllKeyFlagsWhenMissing":    zero,
		"InsecureGenerateNonCriticalKeyFlags":    zero,
		"InsecureGenerateNonCriticalSignatureCreationTime": zero,
		"MaxDecompressedMessageSize":                       set,
	}
	cfg := reflect.ValueOf(*libraryConfig(monday))
	for i := range cfg.NumField() {
		name := cfg.Type().Field(i).Name
		want, known := decided[name]
		if !known {
			t.Errorf("packet.Config.%s is new: decide it in libraryConfig", name)
			continue
		}
		if got := !cfg.Field(i).IsZero(); got != want {
			t.Errorf("packet.Config.%s set: %t, want %t", name, got, want)
		}
		delete(decided, name)
	}
	for name := range decided {
		t.Errorf("packet.Config.%s is gone", name)
	}
}

func TestLibraryConfigValues(t *testing.T) {
	t.Parallel()
	cfg := libraryConfig(monday)
	got := map[string]any{
		"cipher": cfg.Cipher(), "now": cfg.Now(), "rsa": cfg.MinimumRSABits(), "intended": cfg.IntendedRecipients(),
		"sequence": cfg.StrictPacketSequence(), "salt": cfg.RandomizeSignaturesViaNotation(), "aead": cfg.AEAD().Mode(),
		"compression": cfg.Compression(), "unauthenticated": cfg.AllowUnauthenticatedMessages(),
	}
	want := map[string]any{
		"cipher": packet.CipherAES256, "now": monday, "rsa": uint16(2048), "intended": true,
		"sequence": true, "salt": false, "aead": packet.AEADModeGCM,
		"compression": packet.CompressionNone, "unauthenticated": false,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}
