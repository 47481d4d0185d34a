package desk

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"time"

	"sandi/cmd/internal/config"
	"sandi/cmd/internal/vault"
	"sandi/mail"
)

// connect opens and logs in to the gateway of the settings. What failed on this
// side of the connection is an [*ourFault], without the words of a session
// around it: it must not be told as the gateway's.
func (d *Desk) connect(ctx context.Context, s Secrets) (*mail.Session, error) {
	g, err := d.gateway(s)
	if err != nil {
		return nil, &ourFault{err}
	}
	session, err := mail.Connect(ctx, g)
	if ours := (*ourFault)(nil); errors.As(err, &ours) {
		return nil, ours
	}
	if noted := d.noteLogin(context.WithoutCancel(ctx), err); noted != nil {
		if session != nil {
			session.Close()
		}
		return nil, errors.Join(err, noted)
	}
	return session, err
}

// noteLogin remembers whether the gateway refused the login.
func (d *Desk) noteLogin(ctx context.Context, err error) error {
	refused := (*mail.Error)(nil)
	switch {
	case err == nil:
		return d.Book.AcceptLogin(ctx)
	case errors.As(err, &refused) && refused.Code() == mail.CodeAuth && refused.Reply != nil:
		return d.Book.RefuseLogin(ctx, d.Now())
	}
	return nil
}

// mayLogIn refuses to try a login by itself that the gateway refused before:
// servers lock accounts after a few of them.
func (d *Desk) mayLogIn(ctx context.Context) error {
	if at, err := d.Book.LoginRefused(ctx); err != nil || at.IsZero() {
		return err
	}
	return refuse(CodeLoginHeld)
}

func (d *Desk) gateway(s Secrets) (mail.Gateway, error) {
	c := d.Config.Gateway
	g := mail.Gateway{
		Address: c.Address, TLS: mail.TLSMode(c.TLS), EHLO: c.EHLOName(), Username: c.Username,
		Pins: c.PinDigests(), Now: d.opts.Now, Dial: d.opts.Dial,
	}
	if c.ClientCert != "" {
		cert, err := d.clientCertificate()
		if err != nil {
			return g, err
		}
		g.Certificates = []tls.Certificate{cert}
	}
	if c.Username != "" {
		g.Password = func(ctx context.Context) (string, error) { return d.password(ctx, s) }
	}
	var err error
	g.RootCAs, err = d.authorities("gateway.ca", c.CA)
	return g, err
}

// authorities reads the certificates of a setting; an empty path means those
// of the system.
func (d *Desk) authorities(key, path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := readLimited(config.Resolve(d.Dir, path), maxTextFile)
	if err != nil {
		return nil, &Error{code: CodeGateway, Field: key, Err: err}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, &Error{code: CodeGateway, Field: key}
	}
	return pool, nil
}

// Causes of CodeGateway.
var (
	ErrPasswordCommand = errors.New("password command did not succeed")
	ErrClientPair      = errors.New("certificate and key do not fit")
)

// clientCertificate reads our certificate for the gateway. A key that others
// can read is refused: it would be a password on a public wall.
func (d *Desk) clientCertificate() (tls.Certificate, error) {
	c := d.Config.Gateway
	path := config.Resolve(d.Dir, c.ClientKey)
	if st, err := os.Stat(path); err != nil || vault.OthersCanRead(st) {
		return tls.Certificate{}, &Error{code: CodeGateway, Field: "gateway.client_key", Err: err}
	}
	key, err := readLimited(path, maxKeyFile)
	if err != nil {
		return tls.Certificate{}, &Error{code: CodeGateway, Field: "gateway.client_key", Err: err}
	}
	defer clear(key)
	chain, err := readLimited(config.Resolve(d.Dir, c.ClientCert), maxTextFile)
	if err != nil {
		return tls.Certificate{}, &Error{code: CodeGateway, Field: "gateway.client_cert", Err: err}
	}
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return cert, &Error{code: CodeGateway, Field: "gateway.client_cert", Err: ErrClientPair}
	}
	return cert, nil
}

// Probe is what the gateway offered when it was asked.
type Probe struct {
	At           time.Time
	Gateway      string // as in the settings
	Peer         mail.Peer
	Capabilities mail.Capabilities
}

// probeFile keeps the last probe beside the settings, for people and for
// whoever plans the next pin.
const probeFile = "gateway.json"

// Probe connects, logs in, sends nothing, and keeps what the gateway offers.
func (d *Desk) Probe(ctx context.Context, s Secrets) (Probe, error) {
	session, err := d.connect(ctx, s)
	if err != nil {
		return Probe{}, err
	}
	p := Probe{At: d.Now().UTC(), Gateway: d.Config.Gateway.Address, Peer: session.Peer(), Capabilities: session.Capabilities()}
	if err := session.Close(); err != nil {
		return p, err
	}
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return p, err
	}
	return p, vault.WriteFile(d.path(probeFile), append(data, '\n'), 0o600)
}

// ourFault is a setting that cannot be used or a password that nobody gave:
// trying again later mends nothing, and the gateway was not down.
type ourFault struct{ err error }

func (e *ourFault) Error() string { return e.err.Error() }

func (e *ourFault) Unwrap() error { return e.err }

// password asks for the mailbox password, or runs the command of the settings
// for it: an argument list, no shell, so that nothing is interpreted.
func (d *Desk) password(ctx context.Context, s Secrets) (string, error) {
	d.asking.Lock()
	defer d.asking.Unlock()
	if d.mailPassword != "" {
		return d.mailPassword, nil
	}
	argv := d.Config.Gateway.PasswordCommand
	var err error
	if len(argv) == 0 {
		if d.mailPassword, err = s.MailPassword(ctx, d.Config.Gateway.Username); err != nil {
			err = &ourFault{err}
		}
		return d.mailPassword, err
	}
	var out bytes.Buffer
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Stdout = &out
	if err := c.Run(); err != nil {
		return "", &ourFault{&Error{code: CodeGateway, Field: "gateway.password_command", Err: ErrPasswordCommand}}
	}
	d.mailPassword = strings.TrimRight(out.String(), "\r\n")
	return d.mailPassword, nil
}
