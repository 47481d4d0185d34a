// Package loopback is the practice gateway: a submission server on 127.0.0.1
// with a certificate of its own, for `sandi demo` and for tests. It delivers
// nothing; it keeps what it accepts in memory and, if asked, as files. It must
// never be offered as a real gateway.
//
// [Start] runs it, [Server.Messages] shows what it took.
package loopback

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"sandi/mail"
)

// Options of a server; the zero value is an open server without TLS or login on
// a free port. Addr must be of the loopback network.
// Dir, if set, is an existing folder in which every accepted message is written
// as NNNN.eml, never over a file that is there. MaxSize is offered as SIZE. Hook
// may refuse: it is asked at the stages "mail" and "rcpt" (with the address),
// "data" (before the body is read) and "dot" (after it); the answers to the
// last two both go out after the dot. Now is the clock of the certificates, nil
// means time.Now.
type Options struct {
	Addr               string
	Dir                string
	Username, Password string
	TLS                mail.TLSMode
	MaxSize            int64
	Hook               func(stage, arg string) *smtp.SMTPError
	Now                func() time.Time
}

// Accepted is a message that the server answered with 250. Size, Return and
// Notify are what the envelope said.
type Accepted struct {
	From, To   string
	EnvelopeID string
	Size       int64
	Return     string
	Notify     []string
	QueueID    string
	Data       []byte
}

// Server is a running practice gateway. It is safe for concurrent use.
type Server struct {
	options Options
	addr    string
	ca      []byte
	close   func() error

	mu       sync.Mutex
	accepted []Accepted
	next     int
	closed   bool
}

// Start runs a server until Close.
func Start(o Options) (*Server, error) {
	switch o.TLS {
	case mail.TLSImplicit, mail.TLSStartTLS, mail.TLSNone, "":
	default:
		return nil, errors.New("practice gateway: TLS mode not known")
	}
	now := time.Now
	if o.Now != nil {
		now = o.Now
	}
	s := &Server{options: o}
	ca, cert, err := certificates(now())
	if err != nil {
		return nil, fmt.Errorf("certificate of practice gateway: %w", err)
	}
	s.ca = ca
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, Time: o.Now}

	b := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		if o.Username != "" {
			return &login{session{server: s}}, nil
		}
		return &session{server: s, trusted: true}, nil
	}))
	b.Domain = "localhost"
	b.EnableDSN = true
	b.MaxMessageBytes = o.MaxSize
	b.ReadTimeout, b.WriteTimeout = time.Minute, time.Minute
	b.ErrorLog = log.New(io.Discard, "", 0)

	addr := o.Addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	if host, _, err := net.SplitHostPort(addr); err != nil || !net.ParseIP(host).IsLoopback() {
		return nil, errors.New("practice gateway: not a loopback address")
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("practice gateway: %w", err)
	}
	s.addr = l.Addr().String()
	switch o.TLS {
	case mail.TLSImplicit:
		l = tls.NewListener(l, config)
	case mail.TLSStartTLS:
		b.TLSConfig = config
	default:
		b.AllowInsecureAuth = true
	}
	done := make(chan error, 1)
	go func() { done <- b.Serve(l) }()
	s.close = sync.OnceValue(func() error {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		// The server closes only listeners that Serve has come to see.
		b.Close()
		l.Close()
		if err := <-done; !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return s, nil
}

// Addr returns host:port.
func (s *Server) Addr() string { return s.addr }

// CAPEM returns the certificate of the server's own authority.
func (s *Server) CAPEM() []byte { return slices.Clone(s.ca) }

// Messages returns what was accepted so far, oldest first.
func (s *Server) Messages() []Accepted {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.accepted)
}

// Close stops the server and drops its connections. It takes nothing more, also
// not what was under way: Messages tells all of it from then on.
func (s *Server) Close() error { return s.close() }

func (s *Server) hook(stage, arg string) error {
	if s.options.Hook == nil {
		return nil
	}
	if e := s.options.Hook(stage, arg); e != nil {
		return e
	}
	return nil
}

// keep stores a message and gives it its queue id.
func (s *Server) keep(a Accepted) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return "", smtp.ErrServerClosed
	}
	for {
		s.next++
		a.QueueID = fmt.Sprintf("%04d", s.next)
		if s.options.Dir == "" {
			break
		}
		err := write(filepath.Join(s.options.Dir, a.QueueID+".eml"), a.Data)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	s.accepted = append(s.accepted, a)
	return a.QueueID, nil
}

func write(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// session is one connection's conversation.
type session struct {
	server  *Server
	trusted bool
	current Accepted
}

// login is a session that asks for a password first.
type login struct{ session }

func (l *login) AuthMechanisms() []string { return []string{sasl.Plain, sasl.Login} }

func (l *login) Auth(mech string) (sasl.Server, error) {
	check := func(username, password string) error {
		o := &l.server.options
		if subtle.ConstantTimeCompare([]byte(username), []byte(o.Username)) != 1 ||
			subtle.ConstantTimeCompare([]byte(password), []byte(o.Password)) != 1 {
			return smtp.ErrAuthFailed
		}
		l.trusted = true
		return nil
	}
	switch mech {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, username, password string) error { return check(username, password) }), nil
	case sasl.Login:
		return &loginServer{check: check}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

// loginServer is the server side of AUTH LOGIN, which go-sasl leaves out.
type loginServer struct {
	check    func(username, password string) error
	username *string
	asked    bool
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case response == nil && !l.asked:
		l.asked = true
		return []byte("Username:"), false, nil
	case l.username == nil:
		l.asked = true
		name := string(response)
		l.username = &name
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(*l.username, string(response))
}

func (s *session) Mail(from string, o *smtp.MailOptions) error {
	if !s.trusted {
		return smtp.ErrAuthRequired
	}
	if err := s.server.hook("mail", from); err != nil {
		return err
	}
	s.current = Accepted{From: from, EnvelopeID: o.EnvelopeID, Size: o.Size, Return: string(o.Return)}
	return nil
}

func (s *session) Rcpt(to string, o *smtp.RcptOptions) error {
	if err := s.server.hook("rcpt", to); err != nil {
		return err
	}
	if s.current.To != "" {
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 5, 3}, Message: "one recipient a message"}
	}
	s.current.To = to
	for _, n := range o.Notify {
		s.current.Notify = append(s.current.Notify, string(n))
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	if err := s.server.hook("data", ""); err != nil {
		return err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.server.hook("dot", ""); err != nil {
		return err
	}
	a := s.current
	a.Data = data
	id, err := s.server.keep(a)
	if err != nil {
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "message not stored"}
	}
	// The library answers nil with a fixed text; an "error" of 250 carries ours.
	return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: "OK: queued as " + id}
}

func (s *session) Reset() { s.current = Accepted{} }

func (s *session) Logout() error { return nil }

// certificates makes an authority and a certificate for this machine, both good
// from an hour before now for a year.
func certificates(now time.Time) (caPEM []byte, cert tls.Certificate, err error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, cert, err
	}
	ca := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "sandi practice authority"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.AddDate(1, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, cert, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, cert, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "sandi practice gateway"},
		NotBefore:    ca.NotBefore,
		NotAfter:     ca.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return nil, cert, err
	}
	cert = tls.Certificate{Certificate: [][]byte{der, caDER}, PrivateKey: key}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), cert, nil
}
