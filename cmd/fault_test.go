package cmd

import (
	"cmp"
	"context"
	stdflag "flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/oracle"
	"sandi/cmd/internal/term"
	"sandi/mail"
	"sandi/mail/loopback"
)

// dense makes the sweeps step through every octet and every call; without it they thin out where nothing changes from one to the
// next.
var dense = stdflag.Bool("dense", false, "fault sweeps at every octet and every system call")

// monday is Monday, 23 November 2026, 08.05 WIB.
var monday = time.Date(2026, 11, 23, 1, 5, 0, 0, time.UTC)

// rig is an office whose whole program runs in this process, while its gateway, its network and its clock misbehave.
type rig struct {
	testing.TB
	dir, desk string
	clock     atomic.Int64 // nanoseconds; goes on by 10 ms each time it is read
	dial      func(ctx context.Context, network, address string) (net.Conn, error)
	tls       mail.TLSMode
	letters   int
	taken     []loopback.Accepted // by every gateway so far
	seen      map[agenda.CopyState]int
}

// newRig makes an office that sends without TLS and login; set are settings, key and value.
func newRig(t testing.TB, set ...string) *rig {
	t.Helper()
	return newRigTLS(t, mail.TLSNone, set...)
}

func newRigTLS(t testing.TB, mode mail.TLSMode, set ...string) *rig {
	t.Helper()
	r := &rig{TB: t, dir: t.TempDir(), tls: mode, seen: map[agenda.CopyState]int{}}
	r.desk = filepath.Join(r.dir, "meja")
	r.clock.Store(monday.UnixNano())
	gateway := []string{"--gateway", "localhost:2525", "--tls", string(mode), "--gateway-user", "", "--ca", ""}
	if mode != mail.TLSNone {
		gateway[5], gateway[7] = "persandian", filepath.Join(r.dir, "ca.pem")
		r.check(os.WriteFile(gateway[7], nil, 0o600))
	}
	makeOffice(t, r.dir, r.desk, gateway, monday)
	for i := 0; i < len(set); i += 2 {
		r.must("config", "set", set[i], set[i+1])
	}
	return r
}

func (r *rig) now() time.Time { return time.Unix(0, r.clock.Add(int64(10*time.Millisecond))) }

func (r *rig) check(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// sandi runs the program as at a terminal where the passphrases are known.
func (r *rig) sandi(args ...string) (stdout, stderr string, exit int) {
	r.Helper()
	var out, talk strings.Builder
	console := &scripted{out: io.Discard, answers: []string{testPhrase, testPhrase, testPhrase, testPhrase}}
	if r.tls != mail.TLSNone && args[0] == "send" {
		console.answers[len(r.keys(args))] = testPassword
	}
	hooks := Hooks{S2K: cheap, Now: r.now, Place: onePlace, folder: r.desk, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		return r.dial(ctx, network, address)
	}}
	exit = Main(append([]string{"--lang", "id", "--yes"}, args...), term.New(strings.NewReader(""), &out, &talk, console), hooks)
	return out.String(), talk.String(), exit
}

// ca is the authority that the desk trusts.
func (r *rig) ca() string { return filepath.Join(r.desk, "gateway-ca.pem") }

// keys are the keys that a sending asks for before the password: the sandiman's, once.
func (r *rig) keys(args []string) (asked []string) {
	for _, a := range args {
		if strings.HasPrefix(a, "K") && len(asked) == 0 {
			asked = append(asked, "sandiman")
		}
	}
	return asked
}

func (r *rig) must(args ...string) string {
	r.Helper()
	out, talk, exit := r.sandi(args...)
	if exit != 0 {
		r.Fatalf("%v: status %d\n%s%s", args, exit, out, talk)
	}
	return out
}

// enter puts n ordinary letters with a scan of about so many octets into the book.
func (r *rig) enter(n, size int) {
	r.Helper()
	scan := fmt.Sprintf("pindaian%d.pdf", size)
	r.check(os.WriteFile(filepath.Join(r.dir, scan), []byte("%PDF-1.4\n"+strings.Repeat("pindaian\n", size/9)), 0o600))
	table := "pemohon;nomor_surat;tgl_surat;perihal;tujuan;berkas\n"
	for range n {
		r.letters++
		table += fmt.Sprintf("Bagian Umum;005/%d;20-11-2026;Undangan;jateng;%s\n", r.letters, scan)
	}
	path := filepath.Join(r.dir, "surat.csv")
	r.check(os.WriteFile(path, []byte(table), 0o600))
	r.must("agenda", "import", path)
}

// signed brings a classified letter to its signature.
func (r *rig) signed(to string) string {
	r.Helper()
	name := strings.TrimSpace(r.must("agenda", "add", "--class", "rahasia", "--urgency", "segera", "--applicant", "umum", "--letter", "800/1",
		"--letter-date", "2026-11-20", "--to", to, "--subject", "@"+filepath.Join(r.dir, "perihal.txt")))
	r.must("agenda", "assign", name)
	r.must("encrypt", name, filepath.Join(r.dir, "surat.pdf"))
	r.must("sign", name)
	return name
}

// send runs `send` and compares what it told with the book and with what the gateway took meanwhile. The names are those of the
// open letters when none are given.
func (r *rig) send(gateway interface{ Messages() []loopback.Accepted }, args ...string) *oracle.Told {
	r.Helper()
	if len(args) == 0 {
		args = r.open()
	}
	if len(args) == 0 {
		r.Fatal("no letter is left to send")
	}
	out, talk, exit := r.sandi(append([]string{"send"}, args...)...)
	if c, ok := gateway.(io.Closer); ok {
		r.check(c.Close())
	}
	if gateway != nil {
		r.taken = append(r.taken, gateway.Messages()...)
	}
	told, err := oracle.Hear(out, talk, exit)
	r.check(err)
	r.judge(told)
	if r.Failed() {
		r.Fatalf("status %d\n%s%s", exit, out, talk)
	}
	return told
}

func (r *rig) read(fn func(*desk.Desk)) {
	r.Helper()
	d, err := desk.Open(context.Background(), r.desk, desk.Options{Now: r.now, ReadOnly: true})
	r.check(err)
	defer d.Close()
	fn(d)
}

// open names the letters that have a copy to send.
func (r *rig) open() (names []string) {
	r.Helper()
	r.entries(func(e agenda.Entry) {
		for _, c := range e.Copies {
			switch c.State {
			case agenda.CopyReady, agenda.CopyDeferred:
			case "":
				if e.State != agenda.StateAttached && e.State != agenda.StateSigned {
					continue
				}
			default:
				continue
			}
			names = append(names, e.Name.String())
			return
		}
	})
	return names
}

func (r *rig) entries(fn func(agenda.Entry)) {
	r.Helper()
	r.read(func(d *desk.Desk) {
		r.check(d.Book.Each(context.Background(), agenda.Filter{}, func(e agenda.Entry) error { fn(e); return nil }))
	})
}

// copies are the states of an entry's copies in order.
func (r *rig) copies(name string) string {
	r.Helper()
	var s []string
	r.entries(func(e agenda.Entry) {
		if e.Name.String() == name {
			for _, c := range e.Copies {
				s = append(s, cmp.Or(string(c.State), string(e.State)))
			}
		}
	})
	return strings.Join(s, " ")
}

// judge asks the oracle; told may be nil.
func (r *rig) judge(told *oracle.Told) {
	r.Helper()
	r.read(func(d *desk.Desk) {
		bad, err := witness(d, r.taken, told).Judge(context.Background())
		r.check(err)
		for _, b := range bad {
			r.Error(b)
		}
	})
	if told != nil {
		for _, f := range told.Fates {
			r.seen[f.State]++
		}
	}
}

func witness(d *desk.Desk, taken []loopback.Accepted, told *oracle.Told) oracle.Witness {
	return oracle.Witness{
		Book: d.Book, Taken: taken, Told: told, Dir: d.Dir, Secrets: []string{testPhrase, testPassword},
		Frozen: func(h agenda.Hash) (io.ReadCloser, error) { return d.Vault.Open(h) },
		Audit: func(ctx context.Context) ([]agenda.Problem, error) {
			a, err := d.Audit(ctx)
			return a.Problems, err
		},
	}
}

// resolve closes every doubt as a clerk who has asked the addressee: what the gateway took has arrived, what it has not goes
// again.
func (r *rig) resolve() {
	r.Helper()
	has := map[string]bool{}
	for _, m := range r.taken {
		has[m.EnvelopeID] = true
	}
	type doubt struct {
		name agenda.Name
		copy agenda.Copy
	}
	var doubts []doubt
	r.entries(func(e agenda.Entry) {
		for _, c := range e.Copies {
			if c.State == agenda.CopyDoubt {
				doubts = append(doubts, doubt{e.Name, c})
			}
		}
	})
	if len(doubts) == 0 {
		return
	}
	d, err := desk.Open(context.Background(), r.desk, desk.Options{Now: r.now})
	r.check(err)
	defer d.Close()
	for _, x := range doubts {
		id, _, _ := strings.Cut(x.copy.MessageID, "@")
		p := desk.SettleParams{Name: x.name, Copy: x.copy.Copy, To: agenda.CopyReady, Reason: "tujuan belum menerima", Secrets: theHead{}}
		if has[id] {
			p.To, p.At, p.Reason = agenda.CopyEvidenced, r.now(), "tujuan sudah menerima"
		}
		_, err := d.Settle(context.Background(), p)
		r.check(err)
	}
}

// finish brings everything to its end over a whole connection: no copy is left open, each was taken exactly once.
func (r *rig) finish() {
	r.Helper()
	r.resolve()
	if len(r.open()) > 0 {
		s := r.gateway(loopback.Options{})
		r.dial = to(s.Addr())
		r.send(s)
	}
	r.entries(func(e agenda.Entry) {
		if len(e.Copies) == 0 || e.State == agenda.StateSent {
			return
		}
		for _, c := range e.Copies {
			if c.State != agenda.CopyRejected {
				r.Errorf("%s ended %s, copy %d %s", e.Name, e.State, c.Copy, c.State)
			}
		}
	})
	took := map[string]int{}
	for _, m := range r.taken {
		if took[m.EnvelopeID]++; took[m.EnvelopeID] > 1 {
			r.Errorf("%s was taken %d times", m.EnvelopeID, took[m.EnvelopeID])
		}
	}
}

// theHead decides on the kriptograms that go again.
type theHead struct{}

func (theHead) Passphrase(context.Context, desk.KeyUse) ([]byte, error) {
	return []byte(testPhrase), nil
}
func (theHead) MailPassword(context.Context, string) (string, error) { return testPassword, nil }
func (theHead) Tries() int                                           { return 1 }

func (r *rig) gateway(o loopback.Options) *loopback.Server {
	r.Helper()
	if r.tls != mail.TLSNone {
		o.TLS, o.Username, o.Password, o.Now = r.tls, "persandian", testPassword, r.now
	}
	s, err := loopback.Start(o)
	r.check(err)
	if r.tls != mail.TLSNone {
		r.check(os.WriteFile(r.ca(), s.CAPEM(), 0o600))
	}
	r.Cleanup(func() { s.Close() })
	return s
}

// to is a network that leads to an address, whatever the settings say.
func to(address string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

// hasty is a connection that waits for nothing longer than patience, whatever deadline it is given.
type hasty struct {
	*net.TCPConn
	patience time.Duration
}

func (h hasty) sooner(t time.Time) time.Time {
	if end := time.Now().Add(h.patience); t.After(end) {
		return end
	}
	return t
}

func (h hasty) SetDeadline(t time.Time) error      { return h.TCPConn.SetDeadline(h.sooner(t)) }
func (h hasty) SetReadDeadline(t time.Time) error  { return h.TCPConn.SetReadDeadline(h.sooner(t)) }
func (h hasty) SetWriteDeadline(t time.Time) error { return h.TCPConn.SetWriteDeadline(h.sooner(t)) }

func impatient(patience time.Duration, dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return hasty{c.(*net.TCPConn), patience}, nil
	}
}

// How a connection can end before its time.
const (
	fin   = "fin"   // in order, as when a process ends
	rst   = "rst"   // by reset
	stall = "stall" // not at all: nothing passes any more
)

// cut ends a connection after so many octets to the gateway (up) or from it.
type cut struct {
	up  bool
	at  int64
	how string
}

func (c cut) String() string {
	side := "from the gateway"
	if c.up {
		side = "to the gateway"
	}
	return fmt.Sprintf("%s after %d octets %s", c.how, c.at, side)
}

var whole = cut{at: 1 << 40, how: fin}

// proxy stands between desk and gateway. Its connections are cut by its plan, one after the other; those behind the plan stay
// whole.
type proxy struct {
	net.Listener
	to string

	mu       sync.Mutex
	plan     []cut
	up, down int64 // octets of the longest connection so far
	pumps    sync.WaitGroup
}

func (r *rig) proxy(address string, plan ...cut) *proxy {
	r.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	r.check(err)
	p := &proxy{Listener: l, to: address, plan: plan}
	p.pumps.Go(p.serve)
	r.dial = to(l.Addr().String())
	return p
}

// end waits for the last octet and returns what is left of the plan.
func (p *proxy) end() []cut {
	p.Close()
	p.pumps.Wait()
	return p.plan
}

func (p *proxy) serve() {
	for {
		c, err := p.Accept()
		if err != nil {
			return
		}
		next := whole
		p.mu.Lock()
		if len(p.plan) > 0 {
			next, p.plan = p.plan[0], p.plan[1:]
		}
		p.mu.Unlock()
		p.pumps.Go(func() { p.carry(c.(*net.TCPConn), next) })
	}
}

func (p *proxy) carry(client *net.TCPConn, c cut) {
	defer client.Close()
	out, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	server := out.(*net.TCPConn)
	defer server.Close()
	pump := func(dst, src *net.TCPConn, limit, longest *int64) func() {
		return func() {
			most := int64(1 << 62)
			if limit != nil {
				most = *limit
			}
			n, err := io.CopyN(dst, src, most)
			if err == nil {
				switch c.how {
				case rst:
					client.SetLinger(0)
					server.SetLinger(0)
					client.Close()
					server.Close()
				case fin:
					client.CloseWrite()
					server.CloseWrite()
				}
				// What is still on its way gets lost.
				io.Copy(io.Discard, src)
			}
			p.mu.Lock()
			*longest = max(*longest, n)
			p.mu.Unlock()
			// The other side learns that this one has gone.
			if c.how != stall || limit == nil || c.up {
				dst.CloseWrite()
			}
		}
	}
	var up, down *int64
	if c.up {
		up = &c.at
	} else {
		down = &c.at
	}
	var both sync.WaitGroup
	both.Go(pump(server, client, up, &p.up))
	both.Go(pump(client, server, down, &p.down))
	both.Wait()
}
