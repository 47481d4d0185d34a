package cmd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type template = x509.Certificate

var clientsOnly = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}

// authority issues certificates of gateways, good and bad ones.
type authority struct {
	cert *x509.Certificate
	der  []byte
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, now time.Time) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	a.cert = &template{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "otoritas uji " + hex.EncodeToString(sum(a.key)[:4])},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.der = a.sign(t, a.cert, &a.key.PublicKey, a)
	return a
}

// under is an authority between a and a gateway.
func (a *authority) under(t testing.TB) *authority {
	t.Helper()
	m := &authority{key: newKey(t)}
	m.cert = &template{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "otoritas antara"}, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	m.der = m.sign(t, m.cert, &m.key.PublicKey, a)
	return m
}

func (a *authority) sign(t testing.TB, c *template, key *ecdsa.PublicKey, by *authority) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, by.cert, key, by.key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if by == a {
		a.cert = parsed
	}
	return der
}

// issue makes a certificate for this machine; spoil may change what it says.
func (a *authority) issue(t testing.TB, spoil func(*template)) tls.Certificate {
	t.Helper()
	key := newKey(t)
	c := &template{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "server uji"}, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if spoil != nil {
		spoil(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func selfSigned(t testing.TB, now time.Time) tls.Certificate {
	t.Helper()
	a := newAuthority(t, now)
	c := *a.cert
	c.DNSNames, c.IsCA, c.KeyUsage = []string{"localhost"}, false, x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}
}

// weaklySigned signs a good certificate again with SHA-1, which the library no longer does.
func (a *authority) weaklySigned(t testing.TB) tls.Certificate {
	t.Helper()
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	good := a.issue(t, nil)
	withSHA1 := asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}
	algorithm, err := asn1.Marshal(pkix.AlgorithmIdentifier{Algorithm: withSHA1})
	check(err)
	var fields []asn1.RawValue
	_, err = asn1.Unmarshal(good.Leaf.RawTBSCertificate, &fields)
	check(err)
	fields[2] = asn1.RawValue{FullBytes: algorithm} // version, serial number, algorithm
	tbs, err := asn1.Marshal(fields)
	check(err)
	digest := sha1.Sum(tbs)
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, digest[:])
	check(err)
	der, err := asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, asn1.RawValue{FullBytes: algorithm}, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	check(err)
	leaf, err := x509.ParseCertificate(der)
	check(err)
	if leaf.SignatureAlgorithm != x509.ECDSAWithSHA1 || a.cert.CheckSignatureFrom(a.cert) != nil {
		t.Fatalf("signed with %v", leaf.SignatureAlgorithm)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: good.PrivateKey}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sum(k *ecdsa.PrivateKey) []byte {
	d := sha256.Sum256(k.X.Bytes())
	return d[:]
}

func pinOf(c *x509.Certificate) string {
	d := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(d[:])
}

// trust makes an authority the one that the desk knows.
func (r *rig) trust(a *authority) {
	r.Helper()
	r.check(os.WriteFile(r.ca(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.der}), 0o600))
}

// pin writes the pins into the settings; none removes them.
func (r *rig) pin(pins ...string) {
	r.Helper()
	path := filepath.Join(r.desk, "sandi.yaml")
	raw, err := os.ReadFile(path)
	r.check(err)
	var lines []string
	skip := false
	for _, line := range strings.Split(string(raw), "\n") {
		if strings.HasPrefix(line, "  pins:") {
			lines = append(lines, `  pins: ["`+strings.Join(pins, `", "`)+`"]`)
			if len(pins) == 0 {
				lines[len(lines)-1] = "  pins: []"
			}
			skip = true
			continue
		}
		if skip && strings.HasPrefix(line, "    - ") {
			continue
		}
		skip = false
		lines = append(lines, line)
	}
	r.check(os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600))
}
