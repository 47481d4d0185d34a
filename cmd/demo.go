package cmd

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sandi/cmd/internal/render"
	"sandi/cmd/internal/term"
	"sandi/cmd/internal/vault"
	"sandi/crypto"
	"sandi/mail"
	"sandi/mail/loopback"
)

func (a *app) demoCommand() *cobra.Command {
	var keep string
	c := a.describe("demo", &cobra.Command{Use: "demo"})
	c.RunE = func(c *cobra.Command, _ []string) error { return a.demo(c.Context(), keep) }
	c.Flags().StringVar(&keep, "keep", "", a.cat.Text("demo.flag.keep"))
	c.AddCommand(a.demoGatewayCommand())
	return c
}

// demo is one run of the practice: a desk, a practice gateway and two correspondents in one folder.
type demo struct {
	a       *app
	dir     string
	desk    string
	out     io.Writer
	console *scripted
	server  *loopback.Server
	word    string // password of the mailbox
	count   int    // commands typed
	gpg     bool
}

// Passphrases of the practice. They protect keys that are thrown away.
const (
	demoArchivePass  = "latihan arsip"
	demoClerkPass    = "latihan sandiman"
	demoHeadPass     = "latihan kepala seksi"
	demoReceiverPass = "latihan penerima"
	demoMailbox      = "persandian"
)

func (a *app) demo(ctx context.Context, keep string) (err error) {
	began := time.Now()
	m := &demo{a: a, out: a.out, console: &scripted{}}
	if a.flags.json || a.flags.quiet {
		m.out = io.Discard
	}
	m.console.out = m.out
	if m.dir, err = demoFolder(keep); err != nil {
		return err
	}
	back, err := os.Getwd()
	if err != nil {
		return err
	}
	defer func() {
		// The folder cannot go while we stand in it; when it must stay, it says so itself.
		err = errors.Join(err, os.Chdir(back))
		if keep == "" {
			err = errors.Join(err, os.RemoveAll(m.dir))
		}
	}()
	if err := os.Chdir(m.dir); err != nil {
		return err
	}
	m.desk = filepath.Join(m.dir, "meja")
	if err := m.prepare(); err != nil {
		return err
	}
	defer m.server.Close()
	for _, part := range []func(context.Context) error{
		m.setUp, m.kriptogram, m.letter, m.batch, m.receivers, m.books, m.foreign,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	v := struct {
		Schema   string  `json:"schema"` // sandi.demo/1
		Folder   *string `json:"folder"` // null when it was removed
		Commands int     `json:"commands"`
		Messages int     `json:"messages"`
		GnuPG    bool    `json:"gnupg"`
		Seconds  float64 `json:"seconds"`
	}{"sandi.demo/1", render.Text(keep), m.count, len(m.server.Messages()), m.gpg, time.Since(began).Seconds()}
	if keep != "" {
		v.Folder = &m.dir
	}
	return a.result(v, func(w io.Writer) {
		fmt.Fprintln(w, "\n"+a.cat.Text("demo.done", "n", m.count, "messages", v.Messages, "seconds", int(v.Seconds+0.5)))
		if keep == "" {
			fmt.Fprintln(w, a.cat.Text("demo.removed", "path", m.dir))
			return
		}
		fmt.Fprintln(w, a.cat.Text("demo.kept", "path", m.dir))
	})
}

// demoFolder makes the folder of the practice: the named one, which must be new or empty, or a temporary one.
func demoFolder(keep string) (string, error) {
	if keep == "" {
		return os.MkdirTemp("", "sandi-latihan-")
	}
	dir, err := filepath.Abs(keep)
	if err != nil {
		return "", err
	}
	if list, err := os.ReadDir(dir); err == nil && len(list) > 0 {
		return "", usageError("usage.demo_folder", "path", dir)
	}
	return dir, vault.MakeFolder(dir)
}

// prepare makes what a real office finds: a gateway, the keys of two correspondents, letters on the table.
func (m *demo) prepare() error {
	m.head("prepare")
	random := make([]byte, 8)
	if _, err := rand.Read(random); err != nil {
		return err
	}
	m.word = hex.EncodeToString(random)
	for _, folder := range []string{"server", "pindai", "bagian"} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			return err
		}
	}
	var err error
	m.server, err = loopback.Start(loopback.Options{Dir: "server", Username: demoMailbox, Password: m.word, TLS: mail.TLSStartTLS})
	if err != nil {
		return err
	}
	if err := vault.CreateFile("ca.pem", m.server.CAPEM(), 0o600); err != nil {
		return err
	}
	m.tell("gateway", "address", m.server.Addr())
	for _, k := range []struct {
		handle, unit string
		kind         crypto.KeyKind
	}{
		{"jateng", "Diskominfo Provinsi Jawa Tengah", crypto.KindRSA3072},
		{"batang", "Diskominfo Kabupaten Batang", crypto.KindV6},
	} {
		secret, err := crypto.GenerateKey(crypto.GenerateParams{
			Name: k.unit, Email: k.handle + "@contoh.sanapati.test", Passphrase: []byte(demoReceiverPass), Kind: k.kind, Cost: m.a.hooks.S2K,
			Now: m.a.now(), Lifetime: 365 * 24 * time.Hour,
		})
		if err != nil {
			return err
		}
		if err := vault.CreateFile(k.handle+".key", secret, 0o600); err != nil {
			return err
		}
		if err := m.certificate(k.handle+".key", k.handle+".asc"); err != nil {
			return err
		}
		m.tell("key", "name", k.handle, "unit", k.unit, "kind", string(k.kind))
	}
	if err := demoPDF("surat.pdf", 3); err != nil {
		return err
	}
	if err := demoScan("pindaian.pdf", 1); err != nil {
		return err
	}
	for i := 2; i <= 11; i++ {
		if err := demoScan(fmt.Sprintf("pindai/S%d.pdf", i), i); err != nil {
			return err
		}
	}
	m.tell("files")
	return vault.CreateFile("perihal.txt", []byte("Undangan rapat koordinasi pengamanan informasi\n"), 0o600)
}

// certificate writes the public half of a key file.
func (m *demo) certificate(key, file string) error {
	data, err := os.ReadFile(key)
	if err != nil {
		return err
	}
	cert, err := crypto.CertificateOfSecret(data)
	if err != nil {
		return err
	}
	return vault.CreateFile(file, cert.Armor(), 0o600)
}

func (m *demo) setUp(ctx context.Context) error {
	m.head("desk")
	typed := func(word string) []string { return []string{word, word} }
	err := m.all(ctx,
		m.step(typed(demoArchivePass), "init", "--office", "Dinas Komunikasi dan Informatika Kota Pekalongan", "--from", "persandian@contoh.sanapati.test",
			"--gateway", m.server.Addr(), "--tls", "starttls", "--gateway-user", demoMailbox, "--ca", "ca.pem", "--archive-key-out", "arsip.key"),
		m.step(typed(demoClerkPass), "officer", "add", "sandiman", "--role", "sandiman", "--name", "Sandiman Latihan", "--title", "Sandiman",
			"--qualification", "Ahli Sandi Tingkat II", "--new-key"),
		m.step(typed(demoHeadPass), "officer", "add", "kasi", "--role", "kepala-seksi", "--name", "Kepala Seksi Latihan",
			"--title", "Kepala Seksi Persandian dan Keamanan Informasi", "--new-key", "--key-out", "kasi.key"),
		m.step(nil, "officer", "add", "operator", "--role", "operator", "--name", "Operator Latihan", "--title", "Operator Transmisi Sandi"),
		m.step(nil, "applicant", "add", "umum", "--unit", "Bagian Umum Setda"),
		m.step(nil, "correspondent", "add", "jateng", "--unit", "Diskominfo Provinsi Jawa Tengah", "--address", "sandi.jateng@contoh.sanapati.test", "--cert", "jateng.asc"),
		m.step(nil, "correspondent", "add", "batang", "--unit", "Diskominfo Kabupaten Batang", "--address", "sandi.batang@contoh.sanapati.test", "--cert", "batang.asc"),
	)
	if err != nil {
		return err
	}
	for _, handle := range []string{"jateng", "batang"} {
		groups, err := m.lastGroups(handle + ".asc")
		if err != nil {
			return err
		}
		if err := m.run(ctx, []string{groups, "operator penerima, telepon"}, "correspondent", "confirm", handle); err != nil {
			return err
		}
	}
	if err := m.certificate(filepath.Join(m.desk, "keys", "sandiman.key"), "sandiman.asc"); err != nil {
		return err
	}
	return m.certificate("kasi.key", "kasi.asc")
}

// lastGroups are the four groups that a correspondent reads out.
func (m *demo) lastGroups(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	cert, err := crypto.ParseCertificate(data)
	if err != nil {
		return "", err
	}
	groups := cert.Fingerprint().Groups()
	return strings.Join(groups[len(groups)-4:], " "), nil
}

func (m *demo) kriptogram(ctx context.Context) error {
	m.head("kriptogram")
	return m.all(ctx,
		m.step(nil, "agenda", "add", "--class", "rahasia", "--urgency", "segera", "--applicant", "umum", "--request", "045/112",
			"--letter", "800/1234", "--letter-date", "kemarin", "--to", "jateng,batang", "--subject", "@perihal.txt", "--pages", "3"),
		m.step(nil, "agenda", "assign", "K1"),
		m.step([]string{demoClerkPass}, "encrypt", "K1", "surat.pdf"),
		m.step([]string{"y", demoHeadPass}, "sign", "K1"),
		m.step([]string{"y", demoClerkPass, m.word}, "send", "K1"),
		m.step(nil, "archive", "K1"),
		m.step(nil, "report", "result", "K1", "-o", "laporan"),
	)
}

func (m *demo) letter(ctx context.Context) error {
	m.head("letter")
	return m.all(ctx,
		m.step(nil, "agenda", "add", "--applicant", "Kecamatan Pekalongan Utara", "--request", "045/881", "--letter", "005/1204",
			"--letter-date", "kemarin", "--subject", "Undangan rapat", "--to", "jateng", "--pages", "1"),
		m.step(nil, "agenda", "assign", "S1"),
		m.step(nil, "agenda", "attach", "S1", "pindaian.pdf"),
		m.step([]string{m.word}, "send", "S1"),
		m.step(nil, "print", "slip", "S1", "-o", "slip.pdf"),
		m.step(nil, "archive", "S1"),
		m.step(nil, "report", "result", "S1"),
	)
}

func (m *demo) batch(ctx context.Context) error {
	m.head("batch")
	for i := 2; i <= 11; i++ {
		args := []string{
			"agenda", "add", "--like", "S1", "--request", fmt.Sprintf("045/%d", 880+i), "--letter", fmt.Sprintf("005/%d", 1203+i),
			"--letter-date", "hari ini", "--subject", "Undangan rapat", "--to", []string{"jateng", "batang"}[i%2], "--yes",
		}
		if i > 2 {
			args = append(args, "--quiet")
		}
		if err := m.run(ctx, nil, args...); err != nil {
			return err
		}
	}
	return m.all(ctx,
		m.step(nil, "agenda", "assign", "S2-S11"),
		m.step(nil, "agenda", "attach", "S2-S11", "--dir", "pindai"),
		m.step([]string{"y", m.word}, "send", "S2-S11"),
		m.step(nil, "archive", "S2-S11", "--place", "Ordner S-11"),
		m.step(nil, "report", "result", "S2-S11", "-o", "laporan"),
	)
}

// receivers opens the kriptogram at the desks of both correspondents, which have no desk folder of ours.
func (m *demo) receivers(ctx context.Context) error {
	m.head("receivers")
	original, err := os.ReadFile("surat.pdf")
	if err != nil {
		return err
	}
	desk := m.desk
	defer func() { m.desk = desk }()
	m.desk = filepath.Join(m.dir, "tanpa-meja")
	for _, handle := range []string{"jateng", "batang"} {
		file := m.messageTo("sandi." + handle + "@contoh.sanapati.test")
		plain := "naskah-" + handle + ".pdf"
		err := m.run(ctx, []string{demoReceiverPass}, "open", file, "-o", plain, "--key", handle+".key",
			"--signer", "sandiman=sandiman.asc", "--signer", "kepala-seksi=kasi.asc")
		if err != nil {
			return err
		}
		got, err := os.ReadFile(plain)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, original) {
			return &demoError{"desk.damaged", plain, 1}
		}
		m.tell("same", "path", plain)
	}
	return nil
}

// messageTo is the file of the first message that the gateway took for an address.
func (m *demo) messageTo(address string) string {
	for _, x := range m.server.Messages() {
		if x.To == address {
			return filepath.Join("server", x.QueueID+".eml")
		}
	}
	return "server"
}

func (m *demo) books(ctx context.Context) error {
	m.head("books")
	if err := m.all(ctx,
		m.step(nil, "agenda", "list", "--book", "kriptogram"),
		m.step(nil, "agenda", "list", "--book", "surat"),
		m.step(nil, "agenda", "verify"),
		m.step(nil, "print", "book", "--book", "kriptogram", "-o", "buku-kriptogram.pdf"),
		m.step(nil, "print", "book", "--book", "surat", "-o", "buku-surat.pdf"),
	); err != nil {
		return err
	}
	m.tell("papers", "path", m.dir)
	return nil
}

// foreign shows that what was sent needs no sandi: gpg verifies it and opens it.
func (m *demo) foreign(ctx context.Context) error {
	m.head("foreign")
	program, err := exec.LookPath("gpg")
	if err != nil {
		m.tell("no_gpg")
		return nil
	}
	m.gpg = true
	if err := m.parts(m.messageTo("sandi.jateng@contoh.sanapati.test")); err != nil {
		return err
	}
	secret, err := os.ReadFile("jateng.key")
	if err != nil {
		return err
	}
	if secret, err = crypto.ExportForGnuPG(secret, []byte(demoReceiverPass)); err != nil {
		return err
	}
	// The path of the agent's socket is bounded; the folder of the practice may lie deep.
	home, err := os.MkdirTemp("", "sandi-gpg-")
	if err != nil {
		return err
	}
	g := foreign{m: m, program: program, home: home}
	defer func() {
		g.stop()
		// What is left of it are keys of the practice.
		_ = os.RemoveAll(home)
	}()
	if err := vault.CreateFile("jateng-gpg.key", secret, 0o600); err != nil {
		return err
	}
	steps := [][]string{
		{"gpg", "--import", "sandiman.asc", "kasi.asc"},
		{"gpg", "--import", "jateng-gpg.key"},
		{"gpg", "--verify", "bagian/kriptogram.txt.ttd.asc", "bagian/kriptogram.txt"},
		{"sha256sum", "-c", "kriptogram.txt"},
		{"gpg", "--output", "naskah-gpg.pdf", "--decrypt", "bagian/kriptogram.pgp"},
	}
	for _, args := range steps {
		if err := g.run(ctx, args); err != nil {
			return err
		}
	}
	got, err := os.ReadFile("naskah-gpg.pdf")
	if err != nil {
		return err
	}
	original, err := os.ReadFile("surat.pdf")
	if err != nil {
		return err
	}
	if !bytes.Equal(got, original) {
		return &demoError{"desk.damaged", "naskah-gpg.pdf", 1}
	}
	m.tell("same", "path", "naskah-gpg.pdf")
	return nil
}

// parts takes the attachments out of a message, as a mail program would save them.
func (m *demo) parts(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	parsed, err := mail.Parse(f, st.Size())
	if err != nil {
		return err
	}
	for i := range parsed.Parts {
		data, err := io.ReadAll(parsed.Parts[i].Open())
		if err != nil {
			return err
		}
		if err := vault.CreateFile(filepath.Join("bagian", filepath.Base(parsed.Parts[i].Name)), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// foreign runs programs that are not ours, in a keyring of their own.
type foreign struct {
	m             *demo
	program, home string
}

func (g foreign) run(ctx context.Context, args []string) error {
	fmt.Fprintf(g.m.out, "\n$ %s\n", shellLine(args))
	g.m.count++
	dir := ""
	if args[0] == "gpg" {
		args = append([]string{g.program, "--batch", "--pinentry-mode", "loopback", "--passphrase-fd", "0"}, args[1:]...)
	} else {
		dir = "bagian"
	}
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GNUPGHOME="+g.home)
	c.Stdin = strings.NewReader(demoReceiverPass + "\n")
	said, err := c.CombinedOutput()
	_, _ = g.m.out.Write(said)
	if err != nil {
		return &demoError{"demo.failed", shellLine(args), c.ProcessState.ExitCode()}
	}
	return nil
}

// stop ends the agent that gpg started for this keyring.
func (g foreign) stop() {
	c := exec.Command("gpgconf", "--kill", "all")
	c.Env = append(os.Environ(), "GNUPGHOME="+g.home)
	// An agent that is gone already is no trouble.
	_ = c.Run()
}

// demoError is a step that did not end as the practice wants it.
type demoError struct {
	code    string
	command string
	status  int
}

func (e *demoError) Error() string {
	return fmt.Sprintf("%s: %s: status %d", e.code, e.command, e.status)
}

// Code returns the stable code of the error.
func (e *demoError) Code() string { return e.code }

// Args returns the pairs for the error's message.
func (e *demoError) Args() []any {
	return []any{"value", e.command, "detail", fmt.Sprint(e.status), "entry", e.command}
}

// step is a command with the answers to its questions.
type step struct {
	answers, args []string
}

func (m *demo) step(answers []string, args ...string) step { return step{answers, args} }

func (m *demo) all(ctx context.Context, steps ...step) error {
	for _, s := range steps {
		if err := m.run(ctx, s.answers, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// run shows a command as one would type it and runs the real one. Every answer must be asked for and no other question come up.
func (m *demo) run(ctx context.Context, answers []string, args ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	line := "sandi " + shellLine(args)
	fmt.Fprintf(m.out, "\n$ %s\n", line)
	m.count++
	m.console.answers = answers
	hooks := m.a.hooks
	hooks.folder = m.desk
	n := Main(append([]string{"--lang", string(m.a.lang)}, args...), term.New(strings.NewReader(""), m.out, m.out, m.console), hooks)
	if n == exitInterrupted {
		return context.Canceled
	}
	if n != exitDone || len(m.console.answers) > 0 {
		return &demoError{"demo.failed", line, n}
	}
	return nil
}

func (m *demo) head(id string) {
	fmt.Fprintln(m.out, "\n"+m.a.cat.Text("demo.head."+id))
}

func (m *demo) tell(id string, args ...any) { fmt.Fprintln(m.out, m.a.cat.Text("demo."+id, args...)) }

// shellLine writes arguments as one would type them.
func shellLine(args []string) string {
	words := make([]string, len(args))
	for i, w := range args {
		if w == "" || strings.ContainsAny(w, " \t'\"$&;()<>|*?#`\\") {
			w = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(w) + `"`
		}
		words[i] = w
	}
	return strings.Join(words, " ")
}

// scripted answers the questions of a command in order, and shows them as a terminal would.
type scripted struct {
	out     io.Writer
	answers []string
}

// Available is always true: the practice sits at the terminal.
func (*scripted) Available() bool { return true }

// Ask gives the next answer; a question too many finds nobody.
func (s *scripted) Ask(prompt string, echo bool) ([]byte, error) {
	if len(s.answers) == 0 {
		fmt.Fprintln(s.out, prompt)
		return nil, term.ErrNoTerminal
	}
	answer := s.answers[0]
	s.answers = s.answers[1:]
	shown := answer
	if !echo {
		shown = strings.Repeat("*", 8)
	}
	fmt.Fprintln(s.out, prompt+" "+shown)
	return []byte(answer), nil
}

func (a *app) demoGatewayCommand() *cobra.Command {
	var listen, dir, mode string
	c := a.describe("demo gateway", &cobra.Command{Use: "gateway"})
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.demoGateway(c.Context(), listen, dir, mail.TLSMode(mode))
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:2525", a.cat.Text("demo.flag.listen"))
	c.Flags().StringVar(&dir, "dir", "", a.cat.Text("demo.flag.dir"))
	c.Flags().StringVar(&mode, "tls", string(mail.TLSStartTLS), a.cat.Text("demo.flag.tls"))
	return c
}

// demoGateway runs the practice gateway until Ctrl-C.
func (a *app) demoGateway(ctx context.Context, listen, dir string, mode mail.TLSMode) error {
	switch mode {
	case mail.TLSImplicit, mail.TLSStartTLS, mail.TLSNone:
	default:
		return usageError("usage.flag_value", "flag", "--tls")
	}
	if dir == "" {
		return usageError("usage.flag_required", "flag", "--dir")
	}
	if err := vault.MakeFolder(dir); err != nil {
		return err
	}
	random := make([]byte, 8)
	if _, err := rand.Read(random); err != nil {
		return err
	}
	o := loopback.Options{Addr: listen, Dir: dir, Username: demoMailbox, Password: hex.EncodeToString(random), TLS: mode, Now: a.hooks.Now}
	s, err := loopback.Start(o)
	if err != nil {
		return usageError("usage.demo_listen", "value", listen, "detail", err)
	}
	defer s.Close()
	ca := filepath.Join(dir, "ca.pem")
	if err := vault.WriteFile(ca, s.CAPEM(), 0o600); err != nil {
		return err
	}
	v := struct {
		Schema   string `json:"schema"` // sandi.practice_gateway/1
		Address  string `json:"address"`
		TLS      string `json:"tls"`
		CA       string `json:"ca"`
		Username string `json:"username"`
		Password string `json:"password"`
		Folder   string `json:"folder"`
	}{"sandi.practice_gateway/1", s.Addr(), string(mode), ca, o.Username, o.Password, dir}
	err = a.result(v, func(w io.Writer) {
		fmt.Fprintln(w, a.cat.Text("demo.listening", "address", v.Address, "tls", v.TLS, "ca", ca, "user", v.Username, "password", v.Password, "path", dir))
		a.say("demo.stop")
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
