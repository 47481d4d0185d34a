package mail_test

import (
	"crypto/tls"
	"fmt"
	"testing"

	"sandi/mail"
)

// Our certificate is the login where the gateway takes it for one; no password
// leaves then, and none is asked for.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	cert, pool := testCertificate(t)
	cases := map[string]struct {
		offers  string
		user    string
		none    bool // no certificate of ours
		code    string
		command string // the last one
	}{
		"external":            {"AUTH EXTERNAL PLAIN", "", false, "", "AUTH EXTERNAL ="},
		"external_for_one_of": {"AUTH PLAIN EXTERNAL", "persandian", false, "", "AUTH EXTERNAL cGVyc2FuZGlhbg=="},
		"certificate_alone":   {"AUTH PLAIN", "", false, "", "EHLO desk.contoh.test"},
		"beside_a_password":   {"AUTH PLAIN", "u", false, "", "AUTH PLAIN AHUAc2VjcmV0"},
		"missing":             {"AUTH EXTERNAL", "", true, mail.CodeConnect, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := gateway{caps: []string{"STARTTLS"}, tlsCaps: []string{c.offers}, tls: &tls.Config{
				Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert,
			}}
			to := g.client()
			to.Dial, to.TLS, to.RootCAs, to.Username, to.Password = g.dialTCP, mail.TLSStartTLS, pool, c.user, password("secret")
			if !c.none {
				to.Certificates = []tls.Certificate{cert}
			}
			_, err := mail.Connect(t.Context(), to)
			if c.none {
				if err == nil {
					t.Fatal("connected without a certificate")
				}
				return
			}
			_, commands := g.seen()
			if code(err) != c.code || commands[len(commands)-1] != c.command {
				t.Errorf("error %v, commands %q, want the last %q", err, commands, c.command)
			}
		})
	}
}

// Without TLS there is no certificate, whatever the gateway offers.
func TestExternalNeedsTLS(t *testing.T) {
	t.Parallel()
	cert, _ := testCertificate(t)
	g := gateway{caps: []string{"AUTH EXTERNAL PLAIN"}}
	c := g.client()
	c.Certificates = []tls.Certificate{cert}
	connect(t, c)
	if _, commands := g.seen(); fmt.Sprint(commands) != "[EHLO desk.contoh.test]" {
		t.Errorf("commands %q", commands)
	}
}
