package desk

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/config"
)

// packagesFolder names a folder with the packages of mail servers that exclude
// each other and so cannot be installed beside Postfix. Tests alone read it.
const packagesFolder = "SANDI_TEST_PACKAGES"

// jail is a folder that is the whole machine to a server in it: unpacked
// packages, the libraries that they need, and users of its own. Nothing of the
// machine outside is changed.
type jail struct {
	root string
	ca   string // of the certificate in /etc/server.pem
	port string
}

// newJail unpacks packages, or skips the test and says why.
func newJail(t *testing.T, users []string, packages ...string) jail {
	t.Helper()
	from := os.Getenv(packagesFolder)
	if from == "" {
		t.Skip(packagesFolder + " names no folder with the packages of " + strings.Join(packages, ", "))
	}
	if os.Geteuid() != 0 {
		t.Skip("only root may give a server a folder as its whole machine")
	}
	needs(t, "dpkg", "ldd", "chroot")
	root, err := os.MkdirTemp("", "sandi-gateway-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range packages {
		files, err := filepath.Glob(filepath.Join(from, p+"_*.deb"))
		must(err)
		if len(files) != 1 {
			t.Skipf("%s holds %d packages %s", from, len(files), p)
		}
		run(t, root, "", "dpkg", "-x", files[0], root)
	}
	j := jail{root: root, port: freePort(t)}
	for _, dir := range []string{"", "etc", "dev", "tmp", "bin", "box", "var", "var/empty", "var/spool", "run", "var/run"} {
		must(os.MkdirAll(j.path(dir), 0o755))
		must(os.Chmod(j.path(dir), 0o755))
	}
	for name, minor := range map[string]int{"null": 3, "zero": 5, "urandom": 9, "random": 8} {
		old := syscall.Umask(0)
		err := syscall.Mknod(j.path("dev/"+name), syscall.S_IFCHR|0o666, 1<<8|minor)
		syscall.Umask(old)
		if err != nil {
			t.Skipf("no devices may be made here: %v", err)
		}
	}
	programs := []string{"/bin/sh"} // OpenSMTPD delivers by it
	must(filepath.Walk(j.path("usr"), func(path string, st os.FileInfo, err error) error {
		if err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 && !strings.Contains(path, "/share/") {
			programs = append(programs, path)
		}
		return err
	}))
	data, err := os.ReadFile("/bin/sh")
	must(err)
	must(os.WriteFile(j.path("bin/sh"), data, 0o755))
	library := regexp.MustCompile(`(?m)(/[^ :]+) \(0x`)
	for _, p := range programs {
		out, _ := exec.Command("ldd", p).CombinedOutput() // a script has no libraries
		if bytes.Contains(out, []byte("not found")) {
			t.Skipf("a library of %s is not installed: %s", filepath.Base(p), out)
		}
		for _, m := range library.FindAllStringSubmatch(string(out), -1) {
			data, err := os.ReadFile(m[1])
			must(err)
			must(os.MkdirAll(filepath.Dir(j.path(m[1])), 0o755))
			must(os.WriteFile(j.path(m[1]), data, 0o755))
		}
	}
	passwd, group := "root:x:0:0::/:/bin/sh\n", "root:x:0:\n"
	for i, name := range users {
		passwd += fmt.Sprintf("%s:x:%d:%d::/var/empty:/bin/sh\n", name, 70001+i, 70001+i)
		group += fmt.Sprintf("%s:x:%d:\n", name, 70001+i)
	}
	ca, cert, key := testAuthority(t)
	j.write(t, "etc/passwd", passwd, 0o644)
	j.write(t, "etc/group", group, 0o644)
	j.write(t, "etc/hosts", "127.0.0.1 localhost gateway.test\n", 0o644)
	j.write(t, "etc/server.pem", cert, 0o644)
	j.write(t, "etc/server.key", key, 0o600)
	j.ca = filepath.Join(t.TempDir(), "ca.pem")
	must(os.WriteFile(j.ca, []byte(ca), 0o600))
	must(os.Chown(j.path("box"), 70001, 70001))
	return j
}

func (j jail) path(name string) string { return filepath.Join(j.root, name) }

func (j jail) write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(j.path(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(j.path(name), []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(j.path(name), mode); err != nil {
		t.Fatal(err)
	}
}

// start runs a server in the foreground until the test ends.
func (j jail) start(t *testing.T, argv ...string) {
	t.Helper()
	c := exec.Command("chroot", append([]string{j.root}, argv...)...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
			<-ended
		}
		if t.Failed() {
			t.Logf("%s: %s", argv[0], out.String())
		}
	})
	for end := time.Now().Add(20 * time.Second); ; {
		conn, err := net.Dial("tcp", j.addr())
		if err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v", argv[0], err)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not answer: %v", argv[0], err)
		}
		time.Sleep(20 * time.Millisecond) // another program starts: there is nothing to wait on
	}
}

func (j jail) addr() string { return "127.0.0.1:" + j.port }

const eximConf = `primary_hostname = gateway.test
local_interfaces = 127.0.0.1
daemon_smtp_ports = %s
tls_advertise_hosts = *
tls_certificate = /etc/server.pem
tls_privatekey = /etc/server.key
auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}
dsn_advertise_hosts = *
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  accept authenticated = *
  deny
begin routers
box:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  directory = /box
  maildir_format
  user = Debian-exim
  group = Debian-exim
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${if and{{eq{$auth2}{%s}}{eq{$auth3}{%s}}}}
  server_set_id = $auth2
`

func TestThroughExim(t *testing.T) {
	j := newJail(t, []string{"Debian-exim"}, "exim4-base", "exim4-daemon-light")
	j.write(t, "etc/exim4/exim4.conf", fmt.Sprintf(eximConf, j.port, "persandian", right.password), 0o640)
	for _, dir := range []string{"var/spool/exim4", "var/log/exim4"} {
		if err := os.MkdirAll(j.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"var/spool/exim4", "var/log/exim4", "etc/server.key"} { // read after it gave up being root
		if err := os.Chown(j.path(name), 70001, 70001); err != nil {
			t.Fatal(err)
		}
	}
	j.start(t, "/usr/sbin/exim4", "-bdf", "-q1h")
	j.takesBoth(t, config.Gateway{TLS: "starttls", Username: "persandian", CA: j.ca}, regexp.MustCompile(`^[0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4}$`))
}

const smtpdConf = `listen on 127.0.0.1 port %s hostname gateway.test
action "box" maildir "/box" virtual { "@" = "box" }
match from any for any action "box"
`

// OpenSMTPD 6.8, which Debian 12 has, cannot do TLS with OpenSSL 3 (its
// separate key process loses the key), and does no login without TLS. So it is
// spoken to as only a gateway on this machine may be: without either.
func TestThroughOpenSMTPD(t *testing.T) {
	j := newJail(t, []string{"box", "opensmtpd", "opensmtpq"}, "opensmtpd")
	j.write(t, "etc/mailname", "gateway.test\n", 0o644)
	j.write(t, "etc/smtpd.conf", fmt.Sprintf(smtpdConf, j.port), 0o644)
	j.start(t, "/usr/sbin/smtpd", "-d")
	j.takesBoth(t, config.Gateway{TLS: "none"}, regexp.MustCompile(`^[0-9a-f]{8}$`))
}

// takesBoth sends both services through the server in the jail: the server's
// own name of each message is on record, and the Maildir holds the octets that
// were frozen.
func (j jail) takesBoth(t *testing.T, g config.Gateway, queueID *regexp.Regexp) {
	t.Helper()
	g.Address = j.addr()
	f := officeAt(t, time.Now, g)
	k, s := f.signed("jateng", "batang"), f.attached(1, "jateng")[0]
	res := f.send(k, s)
	if len(res.Deliveries) != 3 || res.Down != nil {
		t.Fatalf("deliveries %+v, down %v", res.Deliveries, res.Down)
	}
	for _, d := range res.Deliveries {
		if d.State != agenda.CopyAccepted || !queueID.MatchString(d.QueueID) {
			t.Errorf("%s: %s, queue id %q, reply %q", d.Entry, d.State, d.QueueID, d.Reply)
		}
	}
	// By a part of them: a notice about one has its header too.
	stored := postfixGateway{maildir: j.path("box")}.messages(t, 3, "\nContent-Disposition: attachment")
	for _, n := range []agenda.Name{k, s} {
		for _, c := range f.entry(n).Copies {
			if !containsStored(stored, f.frozen(c)) {
				t.Errorf("%s copy %d: no stored message holds the frozen octets", n, c.Copy)
			}
		}
	}
	f.audited()
}
