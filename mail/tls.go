package mail

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// TLSMode is how a gateway's connection is protected.
type TLSMode string

// The modes. TLSNone is accepted to loopback addresses only.
const (
	TLSImplicit TLSMode = "implicit" // TLS from the first octet (RFC 8314), port 465
	TLSStartTLS TLSMode = "starttls" // RFC 3207; without it nothing is sent
	TLSNone     TLSMode = "none"
)

// Peer is who answered, for the record. Without TLS all but Address is empty.
type Peer struct {
	Address           string // host:port as reached
	TLSVersion        string // "TLS 1.3"
	CipherSuite       string
	CertificateSHA256 string // of the leaf certificate, hexadecimal
	KeySHA256         string // of its SubjectPublicKeyInfo: the digest to pin
	NotAfter          time.Time
}

// tlsConfig is the one configuration of the package: verified name and chain,
// TLS 1.2 with forward secrecy and AEAD at least, and the pins if there are any.
func (g *Gateway) tlsConfig(host string) *tls.Config {
	return &tls.Config{
		ServerName: host,
		RootCAs:    g.RootCAs,
		Time:       g.Now,

		Certificates: g.Certificates,

		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		VerifyConnection: func(cs tls.ConnectionState) error { return checkPins(cs, g.Pins) },
	}
}

// ErrNotPinned is the cause of a CodeTLS error when the gateway is proved to be
// who it says and has none of the keys that the office pinned.
var ErrNotPinned = errors.New("no key of the certificate chain is pinned")

// checkPins wants one certificate of a verified chain to have a pinned key.
func checkPins(cs tls.ConnectionState, pins [][32]byte) error {
	if len(pins) == 0 {
		return nil
	}
	for _, chain := range cs.VerifiedChains {
		for _, c := range chain {
			if slices.Contains(pins, sha256.Sum256(c.RawSubjectPublicKeyInfo)) {
				return nil
			}
		}
	}
	return ErrNotPinned
}

// startTLS runs the handshake on conn within timeout.
func (g *Gateway) startTLS(ctx context.Context, conn net.Conn, host, stage string, timeout time.Duration) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	t := tls.Client(conn, g.tlsConfig(host))
	if err := t.HandshakeContext(ctx); err != nil {
		if e := lost(stage, err); e.code == CodeTimeout || dropped(err) {
			return nil, e
		}
		return nil, &Error{code: CodeTLS, Stage: stage, Err: err}
	}
	return t, nil
}

// dropped tells a connection that ended from a handshake that was refused: the
// first may go better the next time.
func dropped(err error) bool {
	var system syscall.Errno
	return errors.As(err, &system) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func (p *Peer) describe(cs tls.ConnectionState) {
	p.TLSVersion = tls.VersionName(cs.Version)
	p.CipherSuite = tls.CipherSuiteName(cs.CipherSuite)
	if len(cs.PeerCertificates) > 0 {
		sum := sha256.Sum256(cs.PeerCertificates[0].Raw)
		p.CertificateSHA256 = hex.EncodeToString(sum[:])
		key := sha256.Sum256(cs.PeerCertificates[0].RawSubjectPublicKeyInfo)
		p.KeySHA256, p.NotAfter = hex.EncodeToString(key[:]), cs.PeerCertificates[0].NotAfter.UTC()
	}
}

// LoopbackHost reports a host that is this machine by its name alone; no
// resolver is asked. TLSNone is refused to every other one.
func LoopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// loopbackPeer reports a connection that ends on this machine. Connections
// without an IP address (a pipe) never leave it.
func loopbackPeer(c net.Conn) bool {
	a, ok := c.RemoteAddr().(*net.TCPAddr)
	return !ok || a.IP.IsLoopback()
}
