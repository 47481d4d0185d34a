package desk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/config"
	"sandi/crypto"
	"sandi/mail"
)

// BenchmarkFigures measures sending beside what one would script today, in one
// run: a line for each figure, medians, ratio = ours / theirs. `make bench
// BENCH=send` runs it.
func BenchmarkFigures(b *testing.B) {
	if testing.Short() {
		b.Skip("minutes long")
	}
	var table []figure
	for _, m := range []struct {
		name    string
		measure func(testing.TB) []figure
	}{{"batch", figureBatch}, {"send", figureSend}, {"append", figureArchive}, {"show", figureShow}} {
		b.Run(m.name, func(one *testing.B) {
			for one.Loop() {
				table = append(table, m.measure(keeping{one, b})...)
			}
		})
	}
	fmt.Printf("\n%-18s %12s  %-22s %12s %9s\n", "", "sandi", "peer", "", "ratio")
	for _, f := range table {
		fmt.Printf("%-18s %9.3f %-2s  %-22s %9.3f %-2s %9.3f\n", f.name, f.value, f.unit, f.peer, f.theirs, f.unit, f.value/f.theirs)
	}
}

// keeping leaves the folders of one figure lying until all are measured: ext4
// looks long for room for a new file when thousands were just removed, as no
// office does.
type keeping struct {
	testing.TB
	all *testing.B
}

func (k keeping) TempDir() string { return k.all.TempDir() }

type figure struct {
	name          string
	value, theirs float64
	unit, peer    string
}

// against prints a figure, or names the peer that is missing.
func against(name string, ours []float64, unit, peer string, theirs []float64) []figure {
	if len(theirs) == 0 {
		fmt.Printf("figure=%s value=%.4f unit=%s peer=%s peer_value=missing ratio=missing\n", name, median(ours), unit, peer)
		return nil
	}
	f := figure{name, median(ours), median(theirs), unit, peer}
	fmt.Printf("figure=%s value=%.4f unit=%s peer=%s peer_value=%.4f ratio=%.4f\n", name, f.value, unit, peer, f.theirs, f.value/f.theirs)
	return []figure{f}
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

func timed(fn func()) float64 {
	began := time.Now()
	fn()
	return time.Since(began).Seconds()
}

const rounds = 5

// sink is a server that takes everything, the same for all.
func sink(b testing.TB) string {
	b.Helper()
	if _, err := exec.LookPath("smtp-sink"); err != nil {
		b.Skip("smtp-sink is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	c := exec.Command("smtp-sink", "-c", addr, "256")
	if os.Geteuid() == 0 {
		c = exec.Command("smtp-sink", "-u", "nobody", "-c", addr, "256")
	}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	for range 100 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return addr
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.Fatal("smtp-sink does not answer")
	return ""
}

func officeOf(b testing.TB, addr string) *office {
	f := officeCosting(b, time.Now, config.Gateway{Address: addr, TLS: "none", Connections: 4}, crypto.S2KCost{})
	f.correspondent("kurva", "Penerima dengan kunci Curve25519", crypto.KindV4)
	return f
}

func (f *office) many(n int, l agenda.Letter) []agenda.Name {
	regs := make([]agenda.Registration, n)
	for i := range regs {
		regs[i].Letter = l
	}
	made, err := f.Book.Register(f.t.Context(), f.Nobody(), regs...)
	f.check(err)
	names := make([]agenda.Name, n)
	for i, m := range made {
		names[i] = m.Entry
	}
	return names
}

var (
	letterOf50K = append([]byte("%PDF-1.4\n"), bytes.Repeat([]byte("0123456789abcdef"), 3200)...)
	// As base64 in a message it is 50 KiB.
	scanOf37K = append([]byte("%PDF-1.4\n"), bytes.Repeat([]byte("0123456789abcdef"), 2340)...)
)

// figureSend sends 2,000 frozen messages of 50 KiB over four connections,
// every state durable.
func figureSend(b testing.TB) []figure {
	const n = 2000
	addr := sink(b)
	f := officeOf(b, addr)
	ctx := b.Context()
	scan := f.file("scan.pdf", scanOf37K)
	var ours, source, msmtp []float64
	for range rounds {
		names := f.many(n, agenda.Letter{
			Class: agenda.ClassBiasa, Urgency: agenda.UrgencyBiasa, Applicant: "umum", Number: "005/1", Date: "2026-11-20", Subject: "Undangan", To: []string{"jateng"},
		})
		f.check(inParallel(ctx, n, func(ctx context.Context, i int) error {
			_, err := f.Attach(ctx, AttachParams{Name: names[i], Files: []string{scan}})
			return err
		}))
		f.Config.Gateway.Address = "127.0.0.1:1" // nobody there: numbered and queued
		_, err := f.Send(ctx, SendParams{Names: names, Secrets: right, Queue: true})
		f.check(err)
		f.Config.Gateway.Address = addr
		ours = append(ours, timed(func() {
			res, err := f.Send(ctx, SendParams{Due: true, Secrets: right})
			f.check(err)
			if len(res.Deliveries) != n || res.Down != nil {
				b.Fatalf("%d deliveries, down %v", len(res.Deliveries), res.Down)
			}
		}))
		if _, err := exec.LookPath("smtp-source"); err == nil {
			source = append(source, timed(func() {
				f.check(exec.Command("smtp-source", "-d", "-s", "4", "-m", fmt.Sprint(n), "-l", "51200", addr).Run())
			}))
		}
	}
	if _, err := exec.LookPath("msmtp"); err == nil {
		message := f.frozen(f.entry(agenda.Name{Book: agenda.Surat, Serial: 1, Year: time.Now().In(agenda.WIB).Year()}).Copies[0])
		host, port, _ := net.SplitHostPort(addr)
		const few = 40
		for range rounds {
			msmtp = append(msmtp, timed(func() {
				for range few {
					c := exec.Command("msmtp", "--host="+host, "--port="+port, "-f", "a@contoh.test", "b@contoh.test")
					c.Stdin = bytes.NewReader(message)
					f.check(c.Run())
				}
			})/few)
		}
	}
	each := make([]float64, len(ours))
	for i := range ours {
		each[i] = ours[i] / n
	}
	return append(against("send_2000", ours, "s", "smtp-source-s4", source), against("send_message", each, "s", "msmtp", msmtp)...)
}

// figureBatch takes 200 letters of 50 KiB through the whole of service A,
// beside the script that does the same with gpg, sqlite3 and msmtp. It is
// measured twice: as one program would do it, and by the commands as typed, a
// process each, which stretch the passphrases of two people three times. The
// keys of the script have none.
func figureBatch(b testing.TB) []figure {
	const n = 200
	addr := sink(b)
	f := officeOf(b, addr)
	ctx := b.Context()
	doc := f.file("surat.pdf", letterOf50K)
	var ours, script []float64
	run := f.script(n, addr, doc)
	for round := range rounds {
		ours = append(ours, timed(func() {
			var rows []ImportRow
			for i := range n {
				rows = append(rows, ImportRow{Line: i + 2, File: doc, Registration: agenda.Registration{
					Once: fmt.Sprintf("batch-%d-%d", round, i), Letter: agenda.Letter{
						Class: agenda.ClassRahasia, Urgency: agenda.UrgencySegera, Applicant: "umum", Number: "800/1", Date: "2026-11-20",
						Subject: "Rencana", To: []string{"kurva"}, Pages: 3, Excluded: true,
					},
				}})
			}
			made, err := f.Batch(ctx, BatchParams{Rows: rows, Secrets: right})
			f.check(err)
			var sign []SignParams
			var names []agenda.Name
			for _, r := range made {
				f.check(r.Err)
				names = append(names, r.Entry.Name)
				sign = append(sign, SignParams{Name: r.Entry.Name, Manifest: r.Entry.Drafted.Manifest, Secrets: right})
			}
			_, errs := f.SignAll(ctx, sign)
			for _, err := range errs {
				f.check(err)
			}
			if res := f.send(names...); len(res.Deliveries) != n {
				b.Fatalf("%d deliveries", len(res.Deliveries))
			}
			_, errs = f.ArchiveAll(ctx, names, "")
			for _, err := range errs {
				f.check(err)
			}
		}))
	}
	f.audited()
	commands := f.batchCommands(n, doc)
	// The script comes last: it removes what it writes, and after that ext4
	// looks long for room for every new file.
	for range rounds {
		if run != nil {
			script = append(script, timed(run))
		}
	}
	return append(against("batch_whole_path", ours, "s", f.scriptName(), script),
		against("batch_commands", commands, "s", f.scriptName(), script)...)
}

// batchCommands takes n letters through service A by the commands.
func (f *office) batchCommands(n int, doc string) []float64 {
	f.t.Helper()
	f.check(f.Desk.Close())
	program := f.program()
	run := func(args ...string) {
		c := exec.Command(program, append(args, "--yes", "--json", "--passphrase-fd", "0")...)
		c.Env = append(os.Environ(), "SANDI_DESK="+f.Dir)
		c.Stdin = strings.NewReader(right.passphrase + "\n")
		if out, err := c.Output(); err != nil {
			f.t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	var took []float64
	for round := range rounds {
		first, last := (rounds+round)*n+1, (rounds+round+1)*n
		var table strings.Builder
		table.WriteString("applicant,letter,letter-date,subject,class,urgency,to,pages,file\n")
		for i := range n {
			fmt.Fprintf(&table, "umum,800/%d,2026-11-20,Rencana,rahasia,segera,kurva,3,%s\n", first+i, doc)
		}
		path := f.file("tabel.csv", []byte(table.String()))
		names := fmt.Sprintf("K%d-K%d", first, last)
		took = append(took, timed(func() {
			run("send", "--batch", path)
			run("sign", names)
			run("send", names)
			run("archive", names)
		}))
	}
	again, err := Open(f.t.Context(), f.Dir, f.options())
	f.check(err)
	f.Desk = again
	f.audited()
	return took
}

// program builds sandi as it is shipped.
func (f *office) program() string {
	f.t.Helper()
	path := filepath.Join(f.dir, "sandi")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "sandi/cmd/sandi")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		f.t.Fatalf("build: %v: %s", err, out)
	}
	return path
}

func (f *office) scriptName() string {
	if _, err := exec.LookPath("msmtp"); err == nil {
		return "gpg+sqlite3+msmtp"
	}
	return "gpg+sqlite3+swaks"
}

// script is what an office would write in shell today. nil: a program of it is
// missing.
func (f *office) script(n int, addr, doc string) func() {
	f.t.Helper()
	for _, name := range []string{"gpg", "sqlite3", "sha256sum", "sh"} {
		if _, err := exec.LookPath(name); err != nil {
			fmt.Printf("peer missing: %s\n", name)
			return nil
		}
	}
	host, port, _ := net.SplitHostPort(addr)
	post := fmt.Sprintf("msmtp --host=%s --port=%s -f a@contoh.test b@contoh.test", host, port)
	if _, err := exec.LookPath("msmtp"); err != nil {
		fmt.Println("peer missing: msmtp (swaks takes its place)")
		if _, err := exec.LookPath("swaks"); err != nil {
			return nil
		}
		post = fmt.Sprintf("swaks --server %s --port %s -f a@contoh.test -t b@contoh.test --data - >/dev/null", host, port)
	}
	dir := filepath.Join(f.dir, "script")
	f.check(os.Mkdir(dir, 0o700))
	env := append(os.Environ(), "GNUPGHOME="+dir)
	shell := func(text string) {
		c := exec.Command("sh", "-ec", text)
		c.Env, c.Dir = env, dir
		if out, err := c.CombinedOutput(); err != nil {
			f.t.Fatalf("script: %v: %s", err, out)
		}
	}
	f.t.Cleanup(func() {
		c := exec.Command("gpgconf", "--kill", "gpg-agent")
		c.Env = env
		_ = c.Run()
	})
	shell(`gpg -q --batch --passphrase '' --quick-gen-key a@contoh.test ed25519 sign never
gpg -q --batch --passphrase '' --quick-gen-key b@contoh.test default default never
sqlite3 book 'PRAGMA journal_mode=WAL; CREATE TABLE log(id INTEGER PRIMARY KEY, name TEXT, sha TEXT, sig BLOB)'`)
	text := fmt.Sprintf(`i=0
while [ $i -lt %d ]; do
 i=$((i+1))
 gpg -q --batch --yes --trust-model always -a -r b@contoh.test -o x.asc -e '%s'
 gpg -q --batch --yes -u a@contoh.test -o x.sig --detach-sign x.asc
 sha=$(sha256sum x.asc)
 sqlite3 book "PRAGMA synchronous=FULL; INSERT INTO log(name, sha, sig) VALUES('K$i', '$sha', readfile('x.sig'))"
 (printf 'From: a@contoh.test\nTo: b@contoh.test\nSubject: Kiriman\n\n'; cat x.asc) | %s
done`, n, doc, post)
	return func() { shell(text) }
}

// figureArchive appends messages to a box, each durable by itself.
func figureArchive(b testing.TB) []figure {
	const n = 200
	dir := b.TempDir()
	from, err := mail.ParseAddress("a@contoh.test")
	if err != nil {
		b.Fatal(err)
	}
	message := []byte("Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("0123456789abcde", 5)+"\r\n", 51200/77))
	open := func(name string) *os.File {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			b.Fatal(err)
		}
		return f
	}
	var ours, raw []float64
	for round := range rounds {
		// Where ext4 puts a file decides how long its syncs take: new files for
		// every round, and each first by turns.
		first, second := open(fmt.Sprint("first", round)), open(fmt.Sprint("second", round))
		box, plain := first, second
		if round%2 == 1 {
			box, plain = second, first
		}
		pair := []func(){
			func() {
				ours = append(ours, 1e6*timed(func() {
					if _, _, err := mail.AppendMbox(box, from, time.Now(), bytes.NewReader(message)); err != nil {
						b.Fatal(err)
					}
				}))
			},
			func() {
				raw = append(raw, 1e6*timed(func() {
					if _, err := plain.Write(message); err != nil {
						b.Fatal(err)
					}
					if err := fdatasync(plain); err != nil {
						b.Fatal(err)
					}
				}))
			},
		}
		for i := range n {
			pair[i%2]()
			pair[1-i%2]()
		}
		first.Close()
		second.Close()
	}
	return against("archive_append", ours, "us", "write+fdatasync", raw)
}

// figureShow is one letter of 10,000 in the archive, as a whole process.
func figureShow(b testing.TB) []figure {
	const n = 10000
	f := officeOf(b, sink(b))
	ctx := b.Context()
	scan := f.file("scan.pdf", []byte("%PDF-1.4\nisi"))
	names := f.many(n, agenda.Letter{
		Class: agenda.ClassBiasa, Urgency: agenda.UrgencyBiasa, Applicant: "umum", Number: "005/1", Date: "2026-11-20", Subject: "Undangan", To: []string{"jateng"},
	})
	f.check(inParallel(ctx, n, func(ctx context.Context, i int) error {
		_, err := f.Attach(ctx, AttachParams{Name: names[i], Files: []string{scan}})
		return err
	}))
	f.send(names...)
	_, errs := f.ArchiveAll(ctx, names, "")
	for _, err := range errs {
		f.check(err)
	}
	want := sha256.Sum256(f.frozen(f.entry(names[n/2]).Copies[0]))
	f.check(f.Desk.Close())
	program := f.program()
	process := func(args ...string) (float64, []byte) {
		var out []byte
		took := timed(func() {
			c := exec.Command(program, args...)
			c.Env = append(os.Environ(), "SANDI_DESK="+f.Dir)
			var err error
			if out, err = c.Output(); err != nil {
				b.Fatalf("%v: %v", args, err)
			}
		})
		return took * 1e3, out
	}
	var show, bare []float64
	for range 25 {
		took, out := process("archive", "show", names[n/2].String())
		if sha256.Sum256(out) != want {
			b.Fatal("another message")
		}
		show = append(show, took)
		took, _ = process("version")
		bare = append(bare, took)
	}
	return against("archive_show", show, "ms", "sandi-version", bare)
}
