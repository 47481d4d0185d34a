package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sandi/cmd/internal/config"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/signedtext"
	"sandi/cmd/internal/vault"
	"sandi/crypto"
)

// deskMade is the result of init.
type deskMade struct {
	Schema             string  `json:"schema"` // sandi.desk/1
	Desk               string  `json:"desk"`
	ID                 string  `json:"id"`
	Office             string  `json:"office"`
	ArchiveFingerprint string  `json:"archive_fingerprint"`
	ArchiveCheckWords  string  `json:"archive_check_words"`
	ArchiveKey         *string `json:"archive_key"` // null when only a certificate was given
	ArchiveKeyInside   bool    `json:"archive_key_inside_desk"`
}

func (a *app) initCommand() *cobra.Command {
	c := a.describe("init", &cobra.Command{Use: "init", RunE: a.runInit})
	a.stringFlags(c, "init", "office", "from", "gateway", "tls", "gateway-user", "ca", "archive-cert", "archive-key-out")
	return c
}

func (a *app) runInit(c *cobra.Command, _ []string) error {
	dir, err := a.deskPath()
	if err != nil {
		return err
	}
	// Nobody answers six questions to hear that the folder is taken.
	if err := desk.Vacant(dir); err != nil {
		return err
	}
	p := desk.InitParams{
		Dir: dir, ArchiveCertificate: flag(c, "archive-cert"), ArchiveKeyOut: flag(c, "archive-key-out"),
		Passphrase: a.newPassphrase("init.passphrase", "init.passphrase_again"),
	}
	err = a.needUntil(c, "office", "init.ask.office", func(s string) error {
		p.Office = s
		return a.initAnswer("--office", s, "", config.Gateway{})
	})
	if err != nil {
		return err
	}
	err = a.needUntil(c, "from", "init.ask.from", func(s string) error {
		p.From = s
		return a.initAnswer("--from", "", s, config.Gateway{})
	})
	if err != nil {
		return err
	}
	if p.Gateway, err = a.initGateway(c); err != nil {
		return err
	}
	p.Gateway.From = p.From
	if a.flags.dryRun {
		if _, err := config.Parse(config.Render(p.Office, p.From, p.Gateway)); err != nil {
			return err
		}
		a.say("init.dry", "path", dir)
		return a.result(deskMade{Schema: "sandi.desk/1", Desk: dir, Office: p.Office}, func(io.Writer) {})
	}
	options, err := a.deskOptions(c, false)
	if err != nil {
		return err
	}
	d, made, err := desk.Init(c.Context(), p, options)
	if err != nil {
		return err
	}
	if err := d.Close(); err != nil {
		return err
	}
	v := deskMade{
		Schema: "sandi.desk/1", Desk: dir, ID: made.DeskID, Office: p.Office, ArchiveFingerprint: string(made.ArchiveFingerprint),
		ArchiveCheckWords: signedtext.CheckWordsOfKey(string(made.ArchiveFingerprint)), ArchiveKeyInside: made.Inside,
	}
	if made.ArchiveKey != "" {
		v.ArchiveKey = &made.ArchiveKey
	}
	return a.result(v, func(w io.Writer) {
		fmt.Fprintln(w, a.cat.Text("init.made", "path", dir))
		for _, line := range fingerprintLines(v.ArchiveFingerprint) {
			fmt.Fprintln(w, a.cat.Text("init.fingerprint", "groups", line))
		}
		fmt.Fprintln(w, a.cat.Text("init.words", "words", v.ArchiveCheckWords))
		switch {
		case made.Inside:
			fmt.Fprintln(w, a.cat.Text("init.key.inside", "path", made.ArchiveKey))
		case made.ArchiveKey != "":
			fmt.Fprintln(w, a.cat.Text("init.key.outside", "path", made.ArchiveKey))
		}
	})
}

// initGateway collects the gateway. On a terminal whatever is missing is asked; elsewhere only what no sensible guess exists for
// is demanded: without --gateway-user there is no login, without --ca the system's authorities count.
func (a *app) initGateway(c *cobra.Command) (config.Gateway, error) {
	g := config.Gateway{TLS: flag(c, "tls"), Username: flag(c, "gateway-user"), CA: flag(c, "ca")}
	err := a.needUntil(c, "gateway", "init.ask.gateway", func(s string) error {
		g.Address = s
		return a.initAnswer("--gateway", "", "", config.Gateway{Address: s})
	})
	if err != nil {
		return g, err
	}
	if g.TLS != "" {
		if err := a.initAnswer("--tls", "", "", config.Gateway{Address: g.Address, TLS: g.TLS}); err != nil {
			return g, err
		}
	} else {
		guess := "starttls"
		if _, port, err := net.SplitHostPort(g.Address); err == nil && port == "465" {
			guess = "implicit"
		}
		err := a.askUntil("--tls", a.cat.Text("init.ask.tls", "default", guess), func(s string) error {
			g.TLS = cmp.Or(strings.ToLower(s), guess)
			return a.initAnswer("--tls", "", "", config.Gateway{Address: g.Address, TLS: g.TLS})
		})
		if err != nil {
			return g, nothingDone(err)
		}
	}
	if !c.Flags().Changed("gateway-user") && a.term.CanPrompt() && !a.flags.yes {
		if g.Username, err = a.ask("--gateway-user", "init.ask.user"); err != nil {
			return g, nothingDone(err)
		}
	}
	if !c.Flags().Changed("ca") && g.TLS != "none" && a.term.CanPrompt() && !a.flags.yes {
		err := a.askUntil("--ca", a.cat.Text("init.ask.ca"), func(s string) error {
			g.CA = s
			return a.initCA(s)
		})
		if err != nil {
			return g, nothingDone(err)
		}
	}
	return g, nil
}

// initAnswer holds one answer against the rules of the settings; what is not known yet stands for anything.
func (a *app) initAnswer(flag, office, from string, g config.Gateway) error {
	g.Address, g.TLS = cmp.Or(g.Address, "localhost:25"), cmp.Or(g.TLS, "starttls")
	_, err := config.Parse(config.Render(cmp.Or(office, "Kantor"), cmp.Or(from, "kantor@localhost.test"), g))
	var bad *config.Error
	if errors.As(err, &bad) {
		return usageError("usage.init_answer", "flag", flag, "detail", a.configDetail(bad.Detail))
	}
	return err
}

// initCA refuses a file of authorities that is not there; none is the system's own.
func (a *app) initCA(path string) error {
	if path == "" {
		return nil
	}
	detail := "detail.not_exist"
	switch info, err := os.Stat(path); {
	case err == nil && info.Mode().IsRegular():
		return nil
	case err == nil:
		detail = "detail.not_regular"
	}
	return usageError("usage.init_answer", "flag", "--ca", "detail", a.cat.Text(detail))
}

// fingerprintLines are the groups of a fingerprint as people read them aloud, five to a half line and ten to a line.
func fingerprintLines(fingerprint string) []string {
	var lines []string
	groups := crypto.Fingerprint(fingerprint).Groups()
	for len(groups) > 0 {
		n := min(10, len(groups))
		half := min(5, n)
		line := strings.Join(groups[:half], " ")
		if n > half {
			line += "  " + strings.Join(groups[half:n], " ")
		}
		lines = append(lines, line)
		groups = groups[n:]
	}
	return lines
}

// printed opens the file that a sheet goes to.
func (a *app) printed(path string, force bool, write func(io.Writer) error) error {
	out, err := vault.NewOutput(path, force)
	if err != nil {
		return err
	}
	if err := write(out); err != nil {
		out.Abort()
		return err
	}
	return out.Commit()
}
