package crypto

import (
	stdcrypto "crypto"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"github.com/google/go-cmp/cmp"
)

func TestPolicyCheck(t *testing.T) {
	t.Parallel()
	yesterday := monday.AddDate(0, 0, -1)
	v4 := unlockedKey(t, KindV4, "satu").Certificate()
	sub := v4.Facts(monday).Encryption.Fingerprint
	lifetime := func(d time.Duration) *Certificate {
		return specialKey(t, func(cfg *packet.Config) { cfg.KeyLifetimeSecs = uint32(d / time.Second) }, nil).Certificate()
	}
	rsa2048 := specialKey(t, func(cfg *packet.Config) {
		cfg.Algorithm, cfg.RSABits, cfg.AEADConfig = packet.PubKeyAlgoRSA, 2048, nil
	}, nil).Certificate()
	p256 := specialKey(t, func(cfg *packet.Config) { cfg.Algorithm, cfg.Curve = packet.PubKeyAlgoECDSA, packet.CurveNistP256 }, nil).Certificate()
	p384 := specialKey(t, func(cfg *packet.Config) { cfg.Algorithm, cfg.Curve = packet.PubKeyAlgoECDSA, packet.CurveNistP384 }, nil).Certificate()
	k1 := specialKey(t, func(cfg *packet.Config) { cfg.Algorithm, cfg.Curve = packet.PubKeyAlgoECDSA, packet.CurveSecP256k1 }, nil).Certificate()
	noSubkey := specialKey(t, nil, func(e *openpgp.Entity) { e.Subkeys = nil }).Certificate()
	sha1Bound := specialKey(t, nil, func(e *openpgp.Entity) {
		for _, id := range e.Identities {
			sig := id.SelfCertifications[0].Packet
			sig.Hash = stdcrypto.SHA1
			if err := sig.SignUserId(id.UserId.Id, e.PrimaryKey, e.PrivateKey, libraryConfig(yesterday)); err != nil {
				t.Fatal(err)
			}
		}
	}).Certificate()
	subkeyRevoked := specialKey(t, nil, func(e *openpgp.Entity) {
		if err := e.Subkeys[0].Revoke(packet.KeyRetired, "", libraryConfig(yesterday)); err != nil {
			t.Fatal(err)
		}
	}).Certificate()
	aes128 := specialKey(t, func(cfg *packet.Config) { cfg.DefaultCipher = packet.CipherAES128 }, nil).Certificate()
	rsaException := Praktis()
	rsaException.RSA2048Exception = true
	pqc := unlockedKey(t, KindPQC, "satu").Certificate()

	fit := []Finding{{}}
	refuse := func(code, detail string) []Finding { return []Finding{{Code: code, Refuse: true, Detail: detail}} }
	mdcOnly := Finding{Code: CodeMDCOnly, Detail: "SEIPDv2 is not among the features"}
	for _, test := range []struct {
		name   string
		policy Policy
		r      Recipient
		at     time.Time
		want   []Finding
	}{
		{"fit", Praktis(), Recipient{Certificate: v4, Subkey: sub}, monday, fit},
		{"fit, nothing pinned", Ketat(), Recipient{Certificate: v4}, monday, fit},
		{"MDC warned about", Praktis(), Recipient{Certificate: unlockedKey(t, KindRSA3072, "satu").Certificate()}, monday, []Finding{mdcOnly}},
		{"MDC refused", Ketat(), Recipient{Certificate: unlockedKey(t, KindRSA3072, "satu").Certificate()}, monday, refuse("crypto.no_mdc_allowed", "SEIPDv2 is not among the features")},
		{"subkey changed", Praktis(), Recipient{Certificate: v4, Subkey: v4.Fingerprint()}, monday, refuse("crypto.subkey_changed", "pinned "+string(v4.Fingerprint())+", would use "+string(sub))},
		{
			"expired yesterday", Praktis(),
			Recipient{Certificate: lifetime(time.Hour)},
			monday,
			[]Finding{{Code: "crypto.expired", Refuse: true, Until: yesterday.Add(time.Hour)}},
		},
		{
			"expires in an hour", Praktis(),
			Recipient{Certificate: lifetime(25 * time.Hour)},
			monday,
			[]Finding{{Code: CodeExpiresSoon, Until: monday.Add(time.Hour)}},
		},
		{
			"expires in 30 days", Praktis(),
			Recipient{Certificate: lifetime(31 * 24 * time.Hour)},
			monday,
			[]Finding{{Code: CodeExpiresSoon, Until: monday.AddDate(0, 0, 30)}},
		},
		{"expires in 31 days", Praktis(), Recipient{Certificate: lifetime(32 * 24 * time.Hour)}, monday, fit},
		{"created tomorrow", Praktis(), Recipient{Certificate: v4}, yesterday.AddDate(0, 0, -1), refuse("crypto.not_yet_valid", "created "+yesterday.Format(time.RFC3339))},
		{"revoked", Praktis(), Recipient{Certificate: specialKey(t, nil, revoke(t, yesterday, packet.KeyRetired)).Certificate()}, monday, refuse("crypto.revoked", "")},
		{"compromised later", Praktis(), Recipient{Certificate: specialKey(t, nil, revoke(t, monday.AddDate(0, 0, 1), packet.KeyCompromised)).Certificate()}, monday, refuse("crypto.revoked", "")},
		{"subkey revoked", Praktis(), Recipient{Certificate: subkeyRevoked}, monday, refuse("crypto.revoked", "")},
		{"RSA 2048", Praktis(), Recipient{Certificate: rsa2048}, monday, append(refuse("crypto.weak_key", "RSA 2048"), mdcOnly)},
		{"RSA 2048 by exception", rsaException, Recipient{Certificate: rsa2048}, monday, []Finding{mdcOnly}},
		{"P-256", Praktis(), Recipient{Certificate: p256}, monday, fit},
		{"P-256 for rahasia", KetatRahasia(), Recipient{Certificate: p256}, monday, refuse("crypto.weak_key", "NIST P-256")},
		{"P-384 for rahasia", KetatRahasia(), Recipient{Certificate: p384}, monday, fit},
		{"P-384 for sangat rahasia", KetatSangatRahasia(), Recipient{Certificate: p384}, monday, refuse("crypto.post_quantum_required", "NIST P-384")},
		{"post-quantum for sangat rahasia", KetatSangatRahasia(), Recipient{Certificate: pqc}, monday, fit},
		{"secp256k1", Praktis(), Recipient{Certificate: k1}, monday, refuse("crypto.weak_key", "")},
		{"bound by SHA-1", Praktis(), Recipient{Certificate: sha1Bound}, monday, refuse("crypto.weak_key", "weak size or hash")},
		{"no encryption key", Praktis(), Recipient{Certificate: noSubkey}, monday, refuse("crypto.no_encryption_key", "")},
		{"AES-128 only", Praktis(), Recipient{Certificate: aes128}, monday, refuse("crypto.no_aes256", "AES-256 is not in the preferences")},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, test.policy.Check(test.r, test.at)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPolicyByName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Policy{"praktis": Praktis(), "ketat": Ketat(), "ketat-rahasia": KetatRahasia(), "ketat-sangat-rahasia": KetatSangatRahasia()} {
		if got, err := PolicyByName(name); got != want || err != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := PolicyByName("Praktis"); codeOf(err) != "crypto.policy_unknown" {
		t.Errorf("got %v", err)
	}
}

// The digest enters logs that outlive this version: its text form is fixed.
func TestPolicyDigest(t *testing.T) {
	t.Parallel()
	const praktis = "ea57b386f319ddc6df51e1c28d306a8e3cc43c584051f4ba63bb8cf51a04e9e9"
	if got := Praktis().Digest(); got != praktis {
		t.Errorf("praktis %s", got)
	}
	base := Praktis()
	seen := map[string]string{base.Digest(): "base"}
	for name, change := range map[string]func(*Policy){
		"name": func(p *Policy) { p.Name = "x" }, "mdc": func(p *Policy) { p.AllowMDC = false }, "rsa": func(p *Policy) { p.MinRSA++ },
		"exception": func(p *Policy) { p.RSA2048Exception = true }, "curve": func(p *Policy) { p.MinCurve++ },
		"post-quantum": func(p *Policy) { p.RequirePostQuantum = true }, "hash": func(p *Policy) { p.InnerHash = "SHA-512" },
	} {
		p := base
		change(&p)
		if other, ok := seen[p.Digest()]; ok {
			t.Errorf("%s: the digest of %s", name, other)
		}
		seen[p.Digest()] = name
	}
}
