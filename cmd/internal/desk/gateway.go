package desk

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"os/exec"
	"strings"

	"sandi/cmd/internal/config"
	"sandi/mail"
)

// connect opens and logs in to the gateway of the settings.
func (d *Desk) connect(ctx context.Context, s Secrets) (*mail.Session, error) {
	g, err := d.gateway(s)
	if err != nil {
		return nil, err
	}
	return mail.Connect(ctx, g)
}

func (d *Desk) gateway(s Secrets) (mail.Gateway, error) {
	c := d.Config.Gateway
	g := mail.Gateway{
		Address: c.Address, TLS: mail.TLSMode(c.TLS), EHLO: c.EHLOName(), Username: c.Username,
		Pins: c.PinDigests(), Now: d.opts.Now,
	}
	if c.Username != "" {
		g.Password = func(ctx context.Context) (string, error) { return d.password(ctx, s) }
	}
	if c.CA != "" {
		pem, err := readLimited(config.Resolve(d.Dir, c.CA), maxTextFile)
		if err != nil {
			return g, &Error{code: CodeGateway, Field: "gateway.ca", Err: err}
		}
		g.RootCAs = x509.NewCertPool()
		if !g.RootCAs.AppendCertsFromPEM(pem) {
			return g, &Error{code: CodeGateway, Field: "gateway.ca"}
		}
	}
	return g, nil
}

// password asks for the mailbox password, or runs the command of the settings
// for it: an argument list, no shell, so that nothing is interpreted.
func (d *Desk) password(ctx context.Context, s Secrets) (string, error) {
	if d.mailPassword != "" {
		return d.mailPassword, nil
	}
	argv := d.Config.Gateway.PasswordCommand
	var err error
	if len(argv) == 0 {
		d.mailPassword, err = s.MailPassword(ctx, d.Config.Gateway.Username)
		return d.mailPassword, err
	}
	var out bytes.Buffer
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Stdout = &out
	if err := c.Run(); err != nil {
		return "", &Error{code: CodeGateway, Field: "gateway.password_command", Err: errors.New("command did not succeed")}
	}
	d.mailPassword = strings.TrimRight(out.String(), "\r\n")
	return d.mailPassword, nil
}
