package desk

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"sandi/agenda"
	"sandi/mail"
	"sandi/mail/loopback"
)

// selfSigned makes a certificate for this machine with its key, both PEM.
func selfSigned(t *testing.T, now time.Time) (cert, key []byte) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, secret.Public(), secret)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// knownClients is a gateway that lets in who shows the one certificate, and
// keeps the commands that it was given.
func knownClients(t *testing.T, cert, key, client []byte) (address string, commands func() string) {
	t.Helper()
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	known := x509.NewCertPool()
	known.AppendCertsFromPEM(client)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert,
		VerifyConnection: func(cs tls.ConnectionState) error {
			_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{
				Roots: known, CurrentTime: monday, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
			})
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var mu sync.Mutex
	var seen []string
	serve := func(c net.Conn) {
		defer c.Close()
		fmt.Fprint(c, "220 gateway\r\n")
		for in, data := bufio.NewScanner(c), false; in.Scan(); {
			line, reply := in.Text(), "250 2.0.0 ok: queued as 7\r\n"
			verb, _, _ := strings.Cut(line, " ")
			switch {
			case data && line != ".":
				continue
			case data:
				data = false
			case verb == "EHLO":
				reply = "250-gateway\r\n250 AUTH PLAIN EXTERNAL\r\n"
			case verb == "AUTH":
				reply = "235 2.7.0 ok\r\n"
			case verb == "DATA":
				data, reply = true, "354 go\r\n"
			}
			mu.Lock()
			seen = append(seen, verb)
			if verb == "AUTH" {
				seen = append(seen, line)
			}
			mu.Unlock()
			fmt.Fprint(c, reply)
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return l.Addr().String(), func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(seen, ", ")
	}
}

// The certificate of the settings is the login: no password is asked for. A key
// that others can read, or that does not fit, is refused before anything.
func TestClientCertificateOfTheSettings(t *testing.T) {
	t.Parallel()
	f := newOffice(t, loopback.Options{})
	cert, key := selfSigned(t, monday)
	ours, ourKey := selfSigned(t, monday)
	_, otherKey := selfSigned(t, monday)
	address, commands := knownClients(t, cert, key, ours)
	g := &f.Config.Gateway
	g.Address, g.TLS, g.Username, g.CA = address, string(mail.TLSImplicit), "", f.file("server.pem", cert)
	n := f.attached(1, "jateng")[0]

	if res := f.send(n); coded(res.Down) == "" || f.entry(n).State != agenda.StateAttached {
		t.Errorf("without a certificate: %v", res.Down)
	}
	g.ClientCert, g.ClientKey = f.file("kita.pem", ours), f.file("kita.key", otherKey)
	none := secrets{right.passphrase, "must not be asked for"}
	send := func() error {
		_, err := f.Send(t.Context(), SendParams{Names: []agenda.Name{n}, Secrets: none})
		return err
	}
	if err := send(); coded(err) != CodeGateway {
		t.Errorf("with another key: %v", err)
	}
	f.file("kita.key", ourKey)
	f.check(os.Chmod(g.ClientKey, 0o644))
	if err := send(); coded(err) != CodeGateway {
		t.Errorf("with a key that others can read: %v", err)
	}
	f.check(os.Chmod(g.ClientKey, 0o600))
	f.check(send())
	if s := f.entry(n); s.State != agenda.StateSent || s.Copies[0].QueueID != "7" {
		t.Errorf("%s %+v", s.State, s.Copies)
	}
	if got, want := commands(), "EHLO, AUTH, AUTH EXTERNAL =, MAIL, RCPT, DATA, ., QUIT"; got != want {
		t.Errorf("commands %s, want %s", got, want)
	}
	f.audited()
}
