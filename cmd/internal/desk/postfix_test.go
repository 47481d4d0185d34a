package desk

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// postfixGateway is a real Postfix on loopback: submission with STARTTLS, a
// certificate of its own authority, login by SASL, delivery to a Maildir.
type postfixGateway struct {
	addr, ca, maildir, user, password string
}

// postfixMissing says why Postfix cannot be started here, "" when it can.
func postfixMissing() string {
	for _, program := range []string{"postfix", "saslpasswd2"} {
		if _, err := exec.LookPath(program); err != nil {
			return program + " is not installed"
		}
	}
	if os.Geteuid() != 0 {
		return "Postfix starts as root only"
	}
	return ""
}

const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = %[1]s/mail.log
maillog_file_prefixes = %[1]s
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = gateway.test
mydestination =
mynetworks =
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_tls_cert_file = %[1]s/server.pem
smtpd_tls_key_file = %[1]s/server.key
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_path = smtpd
smtpd_sasl_local_domain = gateway.test
cyrus_sasl_config_path = %[1]s/conf/sasl
virtual_mailbox_domains = contoh.sanapati.test
virtual_mailbox_base = %[1]s
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:%[2]s
virtual_gid_maps = static:%[3]s
virtual_minimum_uid = 1
smtputf8_enable = no
message_size_limit = 20480000
`

const postfixMaster = `%s inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
smtp unix - - n - - smtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

// startPostfix runs a Postfix of the test's own, with more settings if there
// are any, and stops it at the end.
func startPostfix(t testing.TB, settings ...string) postfixGateway {
	t.Helper()
	// Postfix lowers its rights: every folder above must be open to search,
	// which the test's own temporary folder need not be.
	dir, err := os.MkdirTemp("", "sandi-postfix-")
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
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		must(os.WriteFile(filepath.Join(dir, name), []byte(text), mode))
		must(os.Chmod(filepath.Join(dir, name), mode))
	}
	must(os.Chmod(dir, 0o755))
	for _, f := range []string{"conf", "conf/sasl", "queue", "data", "sasl", "box"} {
		must(os.Mkdir(filepath.Join(dir, f), 0o755))
	}
	owner, err := user.Lookup("postfix")
	must(err)
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	for _, f := range []string{"data", "box"} {
		must(os.Chown(filepath.Join(dir, f), uid, gid))
	}
	port := freePort(t)
	for _, f := range []string{"postfix-files", "dynamicmaps.cf", "postfix-script", "post-install"} {
		for _, from := range []string{"/etc/postfix", "/usr/share/postfix", "/usr/lib/postfix/sbin"} {
			if data, err := os.ReadFile(filepath.Join(from, f)); err == nil {
				write(filepath.Join("conf", f), string(data), 0o755)
				break
			}
		}
	}
	write("conf/main.cf", fmt.Sprintf(postfixMain, dir, owner.Uid, owner.Gid)+strings.Join(settings, "\n")+"\n", 0o644)
	write("conf/master.cf", fmt.Sprintf(postfixMaster, "127.0.0.1:"+port), 0o644)
	ca, cert, key := testAuthority(t)
	write("ca.pem", ca, 0o644)
	write("server.pem", cert, 0o644)
	write("server.key", key, 0o600)
	g := postfixGateway{
		addr: "127.0.0.1:" + port, ca: filepath.Join(dir, "ca.pem"), maildir: filepath.Join(dir, "box"),
		user: "persandian", password: right.password,
	}
	db := filepath.Join(dir, "sasl", "sasldb2")
	write("conf/sasl/smtpd.conf", "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: "+db+"\n", 0o644)
	sasl := exec.Command("saslpasswd2", "-p", "-c", "-f", db, "-u", "gateway.test", g.user)
	sasl.Stdin = strings.NewReader(g.password)
	if out, err := sasl.CombinedOutput(); err != nil {
		t.Fatalf("saslpasswd2: %v: %s", err, out)
	}
	must(os.Chown(db, uid, gid))

	conf := filepath.Join(dir, "conf")
	if out, err := exec.Command("postfix", "-c", conf, "start").CombinedOutput(); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "mail.log"))
		t.Fatalf("postfix start: %v: %s\n%s", err, out, log)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("postfix", "-c", conf, "stop").CombinedOutput(); err != nil {
			t.Logf("postfix stop: %v: %s", err, out)
		}
	})
	for end := time.Now().Add(20 * time.Second); ; {
		c, err := net.Dial("tcp", g.addr)
		if err == nil {
			c.Close()
			return g
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(dir, "mail.log"))
			t.Fatalf("postfix does not answer: %v\n%s", err, log)
		}
	}
}

// messages waits until the Maildir has n messages that hold mark and returns
// their octets as Postfix stored them.
func (g postfixGateway) messages(t testing.TB, n int, mark string) [][]byte {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; {
		names, err := filepath.Glob(filepath.Join(g.maildir, "new", "*"))
		if err != nil {
			t.Fatal(err)
		}
		var list [][]byte
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(data), mark) {
				list = append(list, data)
			}
		}
		if len(list) >= n {
			return list
		}
		if time.Now().After(end) {
			t.Fatalf("Postfix delivered %d messages with %q, want %d", len(list), mark, n)
		}
		time.Sleep(20 * time.Millisecond) // another program delivers: there is nothing to wait on
	}
}

func freePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// testAuthority makes an authority and a certificate for 127.0.0.1, as PEM.
func testAuthority(t testing.TB) (ca, cert, key string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Otoritas uji"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &caKey.PublicKey, caKey)
	must(err)
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "gateway.test"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &leafKey.PublicKey, caKey)
	must(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	must(err)
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return block("CERTIFICATE", rootDER), block("CERTIFICATE", leafDER), block("PRIVATE KEY", keyDER)
}
