package desk

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/config"
	"sandi/mail"
)

// dovecotServer is a real Dovecot on loopback that serves a Maildir: TLS from
// the first octet on one port, STARTTLS on another.
type dovecotServer struct {
	imaps, imap, ca string
}

// dovecotMissing says why Dovecot cannot be started here, "" when it can.
func dovecotMissing() string {
	if _, err := exec.LookPath("dovecot"); err != nil {
		return "dovecot is not installed"
	}
	if os.Geteuid() != 0 {
		return "Dovecot starts as root only"
	}
	return ""
}

const dovecotConf = `base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <%[1]s/server.pem
ssl_key = <%[1]s/server.key
disable_plaintext_auth = yes
auth_mechanisms = plain login
mail_location = maildir:%[4]s
maildir_stat_dirs = yes
default_internal_user = %[5]s
default_internal_group = %[6]s
default_login_user = %[5]s
mail_uid = %[5]s
mail_gid = %[6]s
first_valid_uid = 1
first_valid_gid = 1
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%%u %[1]s/users
}
userdb {
  driver = static
  args = uid=%[5]s gid=%[6]s home=%[1]s/home
}
service imap-login {
  chroot =
  inet_listener imap {
    port = %[2]s
  }
  inet_listener imaps {
    port = %[3]s
    ssl = yes
  }
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
`

// startDovecot serves the Maildir of a user of this machine to an account of
// its own and stops at the end of the test.
func startDovecot(t testing.TB, maildir, name, account, password string) dovecotServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "sandi-dovecot-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Chmod(dir, 0o755))
	for _, f := range []string{"run", "state", "home"} {
		must(os.Mkdir(filepath.Join(dir, f), 0o755))
	}
	owner, err := user.Lookup(name)
	must(err)
	group, err := user.LookupGroupId(owner.Gid)
	must(err)
	ca, cert, key := testAuthority(t)
	port, ports := freePort(t), freePort(t)
	for file, text := range map[string]string{
		"ca.pem": ca, "server.pem": cert, "server.key": key, "users": account + ":{PLAIN}" + password + "\n",
		"dovecot.conf": fmt.Sprintf(dovecotConf, dir, port, ports, maildir, name, group.Name),
	} {
		must(os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644))
		must(os.Chmod(filepath.Join(dir, file), 0o644))
	}
	log := func() string {
		text, _ := os.ReadFile(filepath.Join(dir, "log"))
		return string(text)
	}
	c := exec.Command("dovecot", "-F", "-c", filepath.Join(dir, "dovecot.conf"))
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	must(c.Start())
	t.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt)
		_ = c.Wait()
		if t.Failed() {
			t.Logf("dovecot: %s", log())
		}
	})
	s := dovecotServer{imaps: "127.0.0.1:" + ports, imap: "127.0.0.1:" + port, ca: filepath.Join(dir, "ca.pem")}
	for end := time.Now().Add(20 * time.Second); ; {
		conn, err := net.Dial("tcp", s.imaps)
		if err == nil {
			conn.Close()
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("dovecot does not answer: %v\n%s%s", err, out.String(), log())
		}
		time.Sleep(20 * time.Millisecond) // another program starts: there is nothing to wait on
	}
}

// flagged lists the messages of a Maildir with their flags: reading must not
// change it.
func flagged(t *testing.T, maildir string) []string {
	t.Helper()
	var all []string
	for _, sub := range []string{"new", "cur"} {
		list, err := os.ReadDir(filepath.Join(maildir, sub))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			base, flags, _ := strings.Cut(f.Name(), ":2,")
			base, _, _ = strings.Cut(base, ",") // Dovecot may note the size
			all = append(all, base+" "+flags)
		}
	}
	slices.Sort(all)
	return all
}

// mdn is a reading notice about a copy.
func mdn(c agenda.Copy) []byte {
	return fmt.Appendf(nil, `From: %[1]s
Date: %[3]s
Subject: Dibaca
Content-Type: multipart/report; report-type=disposition-notification; boundary=b

--b
Content-Type: text/plain

Pesan ditampilkan.
--b
Content-Type: message/disposition-notification

Final-Recipient: rfc822; %[1]s
Original-Message-ID: <%[2]s>
Disposition: manual-action/MDN-sent-manually; displayed

--b--
`, c.Address, c.MessageID, time.Now().Format(time.RFC1123Z))
}

// The whole circle with real servers: Postfix takes and delivers, Dovecot
// serves what came back, and every kind of receipt finds its copy.
func TestReceiptsThroughDovecot(t *testing.T) {
	for _, why := range []string{postfixMissing(), dovecotMissing()} {
		if why != "" {
			t.Skip(why)
		}
	}
	g := startPostfix(t)
	f := officeAt(t, time.Now, config.Gateway{Address: g.addr, TLS: "starttls", Username: g.user, CA: g.ca})
	k, s := f.signed("jateng", "batang"), f.attached(1, "jateng")[0]
	f.send(k, s)
	g.messages(t, 3, "\nContent-Type: multipart/report") // all delivered, all reported
	for i, text := range [][]byte{
		mdn(f.entry(k).Copies[0]),
		fmt.Appendf(nil, "From: batang@contoh.sanapati.test\nTo: persandian@contoh.sanapati.test\nDate: %s\nSubject: Konfirmasi\n\nDITERIMA %s salinan 2, 23 November 2026, 15.02, Sandiman\n",
			time.Now().Format(time.RFC1123Z), f.entry(k).Number),
	} {
		f.check(os.WriteFile(filepath.Join(g.maildir, "new", fmt.Sprintf("%d.tanda.uji", i)), text, 0o644))
	}
	d := startDovecot(t, g.maildir, "postfix", g.user, g.password)
	before := flagged(t, g.maildir)

	// Its certificate is of another authority than the gateway's.
	read := func(source string) (ReceiptResult, error) {
		return f.Receipts(t.Context(), ReceiptParams{Sources: []string{source}, Secrets: right})
	}
	if _, err := read("imaps://" + d.imaps); coded(err) != CodeMailboxTLS {
		t.Errorf("another authority: %v", err)
	}
	f.Config.Gateway.IMAPCA = d.ca
	f.Config.Gateway.Pins = []string{strings.Repeat("00", 32)}
	if _, err := read("imaps://" + d.imaps); coded(err) != CodeMailboxTLS {
		t.Errorf("another pin: %v", err)
	}
	f.Config.Gateway.Pins = nil
	f.mailPassword = "salah"
	if _, err := read("imaps://" + d.imaps); coded(err) != CodeMailboxLogin || strings.Contains(err.Error(), "salah") {
		t.Errorf("wrong password: %v", err)
	}
	f.mailPassword = ""
	if _, err := read("imaps://" + g.user + "@" + d.imaps + "/Lain"); coded(err) != CodeMailboxRefused {
		t.Errorf("no such mailbox: %v", err)
	}
	if noted, err := f.Book.Receipts(t.Context(), f.entry(k).ID); err != nil || len(noted) != 0 {
		t.Fatalf("%d receipts noted before anything was read: %v", len(noted), err)
	}

	want := []string{
		"K1/1 dsn delivered envid", "K1/1 mdn displayed message-id", "K1/2 dsn delivered envid", "K1/2 reply answered number",
		"S1/1 dsn delivered envid",
	}
	// Known to the server's mailbox is known to the Maildir behind it.
	for i, source := range []string{"imaps://" + d.imaps, "imap://" + g.user + "@" + d.imap + "/INBOX", g.maildir} {
		res, err := read(source)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range res.Receipts {
			got = append(got, fmt.Sprintf("%s/%d %s %s %s", r.Entry, r.Ref.Copy, r.Kind, r.Action, r.Matched))
			at := strings.HasPrefix(r.Source, "imap") && strings.Contains(r.Source, "/INBOX/;UID=")
			if r.Known != (i > 0) || at == (source == g.maildir) {
				t.Errorf("%s: known %v, source %q", source, r.Known, r.Source)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) || res.Messages != 8 || res.Foreign != 3 || res.Broken != 0 {
			t.Errorf("%s: %q, want %q; %d messages, %d foreign, %d broken", source, got, want, res.Messages, res.Foreign, res.Broken)
		}
	}
	if after := flagged(t, g.maildir); !slices.Equal(before, after) {
		t.Errorf("reading changed the mailbox:\n%q\n%q", before, after)
	}
	if open, err := f.Overdue(t.Context(), new(-1)); err != nil || len(open) != 0 {
		t.Errorf("%d unconfirmed: %v", len(open), err)
	}
	f.audited()
}

// A server that answers beyond all bounds is told apart from one that cannot be
// reached: to try again is no advice then.
func TestMailboxBeyondBounds(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(c, "* OK siap\r\n* 1 FETCH (BODYSTRUCTURE "+strings.Repeat("(", 1000))
		_, _ = c.Read(make([]byte, 1)) // the desk hangs up
	}()
	f := officeAt(t, (&clock{t: monday}).now, config.Gateway{Address: l.Addr().String(), TLS: "none", Username: "persandian"})
	_, err = f.Receipts(t.Context(), ReceiptParams{Sources: []string{"imap://" + l.Addr().String()}, Secrets: right})
	if coded(err) != CodeMailboxBounds || !strings.Contains(err.Error(), "nested") {
		t.Errorf("%v (code %q)", err, coded(err))
	}
}

// A mailbox on a server is not asked about times long gone, and its address
// holds no password.
func TestMailboxAddress(t *testing.T) {
	t.Parallel()
	f := officeAt(t, (&clock{t: monday}).now, config.Gateway{Address: "mail.test:587", TLS: "starttls", Username: "persandian"})
	type server struct {
		address, user, name string
		tls                 mail.TLSMode
	}
	for source, want := range map[string]server{
		"imaps://imap.test":                          {"imap.test:993", "persandian", "INBOX", mail.TLSImplicit},
		"imaps://arsip@imap.test:1993/Surat%20Masuk": {"imap.test:1993", "arsip", "Surat Masuk", mail.TLSImplicit},
		"IMAP://a@b.test@imap.test/INBOX":            {"imap.test:143", "a@b.test", "INBOX", mail.TLSStartTLS},
		"imap://127.0.0.1:143":                       {"127.0.0.1:143", "persandian", "INBOX", mail.TLSStartTLS},
	} {
		m, err := f.mailbox(source, right)
		if got := (server{m.Server.Address, m.Server.Username, m.Name, m.Server.TLS}); err != nil || got != want || !isMailbox(source) {
			t.Errorf("%s: %+v, want %+v: %v", source, got, want, err)
		}
	}
	for source, detail := range map[string]string{
		"imaps://": "form", "imaps://persandian:rahasia@imap.test/INBOX": "password", "imaps://u@imap.test/INBOX?x=rahasia": "form",
	} {
		_, err := f.mailbox(source, right)
		if coded(err) != CodeMailboxAddress || err.(*Error).Detail != detail || detail == "password" && strings.Contains(err.Error(), "rahasia") {
			t.Errorf("%s: %v", source, err)
		}
	}
	for _, path := range []string{"imaps", "kotak.mbox", "/var/mail/imap", "file://a"} {
		if isMailbox(path) {
			t.Errorf("%s is taken for a mailbox", path)
		}
	}
	since, err := f.noticesSince(t.Context())
	if want := monday.Add(-settledTime - 24*time.Hour); err != nil || since.Sub(want).Abs() > time.Minute {
		t.Errorf("since %v, want %v: %v", since, want, err)
	}
}
