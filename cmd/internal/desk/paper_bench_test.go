//go:build unix

package desk

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sandi/agenda"
	"sandi/cmd/internal/config"
)

// BenchmarkPaper measures the whole program on paper beside the programs that
// an office would use else, in one run: medians of five processes each. It
// prints a line `figure=…` for machines and a table for people. A peer that is
// not installed is named as missing.
func BenchmarkPaper(b *testing.B) {
	if testing.Short() {
		b.Skip("minutes long")
	}
	p := newPaperBench(b)
	p.extract10000()
	p.extractDay()
	p.quarter1m()
	fmt.Printf("\n%-26s %12s  %-24s %12s %9s\n", "", "sandi", "peer", "", "ratio")
	for _, f := range p.table {
		fmt.Printf("%-26s %9.3f %-3s %-24s %9.3f %-3s %9.3f\n", f.name, f.value, f.unit, f.peer, f.theirs, f.unit, f.value/f.theirs)
	}
	for b.Loop() { // the figures are the benchmark
	}
}

type paperBench struct {
	*testing.B
	program string
	dayDesk string
	day     time.Time // a day with entries in dayDesk
	table   []figure
}

const paperRuns = 5

func newPaperBench(b *testing.B) *paperBench {
	b.Helper()
	p := &paperBench{B: b, program: filepath.Join(b.TempDir(), "sandi")}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", p.program, "sandi/cmd/sandi")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return p
}

// figure prints one result; a peer without runs is missing.
func (p *paperBench) figure(name string, value float64, unit, peer string, peerValue float64) {
	var theirs []float64
	if peerValue > 0 {
		theirs = []float64{peerValue}
	}
	p.table = append(p.table, against(name, []float64{value}, unit, peer, theirs)...)
}

// measured is one process: time to its end and the most memory it held.
type measured struct {
	wall time.Duration
	rss  int64 // octets
}

// run runs a command paperRuns times and returns the median time and the
// largest memory.
func (p *paperBench) run(command func() *exec.Cmd) measured {
	p.Helper()
	var all []time.Duration
	var m measured
	for range paperRuns {
		c := command()
		var complaint bytes.Buffer
		c.Stderr = &complaint
		start := time.Now()
		if err := c.Run(); err != nil {
			p.Fatalf("%v: %v\n%s", c.Args, err, complaint.String())
		}
		all = append(all, time.Since(start))
		if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
			unit := int64(1024)
			if runtime.GOOS == "darwin" {
				unit = 1
			}
			m.rss = max(m.rss, u.Maxrss*unit)
		}
	}
	slices.Sort(all)
	m.wall = all[len(all)/2]
	return m
}

func (p *paperBench) sandi(desk string, args ...string) func() *exec.Cmd {
	return func() *exec.Cmd {
		return exec.Command(p.program, append(args, "--desk", desk, "--lang", "id", "--force", "--json", "--clock-ok", "--reason", "ukuran")...)
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// peer runs a foreign program, or says that it is missing.
func (p *paperBench) peer(name string, command func(path string) *exec.Cmd) measured {
	path, err := exec.LookPath(name)
	if err != nil {
		return measured{}
	}
	return p.run(func() *exec.Cmd { return command(path) })
}

const paperRows = 10_000

// rowsOffice is a desk with ten thousand letters over the last year's days.
func (p *paperBench) rowsOffice() (desk string, last time.Time) {
	start := time.Now().AddDate(0, 0, -300)
	step := time.Since(start) / (paperRows + 1000)
	at := start
	f := officeAt(p, func() time.Time { at = at.Add(time.Millisecond); return at }, config.Gateway{Address: "127.0.0.1:9", TLS: "none"})
	var regs []agenda.Registration
	flush := func() {
		_, err := f.Book.Register(p.Context(), f.Nobody(), regs...)
		f.check(err)
		regs = regs[:0]
	}
	for i := range paperRows {
		regs = append(regs, agenda.Registration{Letter: agenda.Letter{
			Class: agenda.ClassBiasa, Urgency: agenda.UrgencyBiasa, Applicant: "Kecamatan Pekalongan Utara", Request: fmt.Sprintf("045/%d", i),
			Number: fmt.Sprintf("005/%d", 1000+i), Date: at.Format(time.DateOnly), Subject: "Undangan rapat koordinasi pengamanan informasi daerah",
			To: []string{"jateng"},
		}})
		if len(regs) == 20 {
			flush()
			at = at.Add(20 * step)
		}
	}
	last = at.Add(-20 * step)
	f.check(f.Desk.Close())
	return filepath.Join(f.dir, "desk"), last
}

func (p *paperBench) extract10000() {
	desk, last := p.rowsOffice()
	dir := p.TempDir()
	pdf := filepath.Join(dir, "buku.pdf")
	first := time.Now().AddDate(0, 0, -300)
	years := []int{first.In(agenda.WIB).Year()}
	if y := last.In(agenda.WIB).Year(); y != years[0] {
		years = append(years, y)
	}
	// The book may lie over a new year; the larger part is printed and the peers get the same rows.
	year, rows := years[0], 0
	for _, y := range years {
		n := countYear(p, desk, y)
		if n > rows {
			year, rows = y, n
		}
	}
	ours := p.run(p.sandi(desk, "print", "book", "--book", "surat", "--year", fmt.Sprint(year), "-o", pdf))
	size := fileSize(p, pdf)
	table := filepath.Join(dir, "buku.tbl")
	csv := filepath.Join(dir, "buku.csv")
	p.check(os.WriteFile(table, groffTable(rows), 0o600))
	p.check(os.WriteFile(csv, csvTable(rows), 0o600))
	groff := p.peer(groffProgram(), func(path string) *exec.Cmd { return exec.Command(path, "-t", "-ms", "-Tpdf", table) })
	office := p.peer(officeProgram(), func(path string) *exec.Cmd {
		return exec.Command(path, "--headless", "--convert-to", "pdf", "--outdir", dir, csv)
	})
	p.figure("extract_10000", ms(ours.wall), "ms", "groff_-t_-ms_-Tpdf", ms(groff.wall))
	p.figure("extract_10000_libreoffice", ms(ours.wall), "ms", "libreoffice_csv_to_pdf", ms(office.wall))
	p.figure("extract_10000_rss", float64(ours.rss)/(1<<20), "MiB", "groff", float64(groff.rss)/(1<<20))
	p.figure("extract_10000_size", float64(size)/1e6, "MB", "bar", 1.5)
	p.day, p.dayDesk = last, desk
}

func (p *paperBench) extractDay() {
	pdf := filepath.Join(p.TempDir(), "hari.pdf")
	m := p.run(p.sandi(p.dayDesk, "print", "book", "--book", "surat", "--day", p.day.In(agenda.WIB).Format(time.DateOnly), "-o", pdf))
	p.figure("extract_day", ms(m.wall), "ms", "bar", 50)
}

func (p *paperBench) check(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// groffProgram is groff with its PDF device; a minimal one lacks it.
func groffProgram() string {
	if err := exec.Command("groff", "-Tpdf", "/dev/null").Run(); err != nil {
		return "groff-with-pdf"
	}
	return "groff"
}

func officeProgram() string {
	for _, name := range []string{"soffice", "libreoffice"} {
		if _, err := exec.LookPath(name); err == nil {
			return name
		}
	}
	return "soffice"
}

func fileSize(tb testing.TB, path string) int64 {
	tb.Helper()
	info, err := os.Stat(path)
	if err != nil {
		tb.Fatal(err)
	}
	return info.Size()
}

func countYear(p *paperBench, desk string, year int) int {
	book, err := agenda.Open(p.Context(), filepath.Join(desk, bookFile), agenda.Options{ReadOnly: true})
	p.check(err)
	defer book.Close()
	n, err := book.Counts(p.Context(), year)
	p.check(err)
	return n[agenda.Surat].Entries
}

// benchCells are the words of one row, as our book prints them.
func benchCells(i int) []string {
	return []string{
		fmt.Sprint(i + 1), "23-11-2026 08.29", "Kecamatan Pekalongan Utara", fmt.Sprintf("005/%d 20-11-2026", 1000+i),
		"Undangan rapat koordinasi pengamanan informasi daerah", "B", "Diskominfo Provinsi Jawa Tengah", "", "", "",
	}
}

// groffTable is the same rows for tbl: heads that repeat, boxed, text blocks
// where the text is long.
func groffTable(rows int) []byte {
	var b bytes.Buffer
	b.WriteString(".nr PS 8\n.nr LL 26c\n.nr PO 2c\n.pl 21.5c\n.LP\n.TS H\nallbox;\nc c c c c c c c c c\nn l lw(4c) lw(4c) lw(5c) c lw(4c) l l l.\n")
	b.WriteString(strings.Join([]string{
		"No. Agenda", "Tanggal dan Jam Agenda", "Asal Surat / Pemohon", "Nomor dan Tanggal Surat", "Perihal",
		"Derajat", "Alamat Tujuan", "Tanggal dan Jam Kirim (WIB)", "Paraf", "Keterangan",
	}, "\t"))
	b.WriteString("\n.TH\n")
	for i := range rows {
		for n, cell := range benchCells(i) {
			if n > 0 {
				b.WriteByte('\t')
			}
			if n >= 2 && n <= 4 || n == 6 {
				b.WriteString("T{\n" + cell + "\nT}")
			} else {
				b.WriteString(cell)
			}
		}
		b.WriteByte('\n')
	}
	b.WriteString(".TE\n")
	return b.Bytes()
}

func csvTable(rows int) []byte {
	var b bytes.Buffer
	for i := range rows {
		b.WriteString(strings.Join(benchCells(i), ",") + "\n")
	}
	return b.Bytes()
}

const quarterEntries = 1_000_000

// The same aggregates as a clerk would ask of the file with sqlite3: counts by
// book, class, urgency, state and month, mean, worst and median times, the
// late ones, addressees, serials. It has no service hours to reckon.
const quarterSQL = `
SELECT book, class, urgency, state, substr(registered_at, 1, 7), count(*) FROM entry WHERE registered_at >= %[1]s AND registered_at < %[2]s GROUP BY 1, 2, 3, 4, 5;
SELECT book, count(sent_at), avg(julianday(sent_at) - julianday(coalesce(received_at, registered_at))), max(julianday(sent_at) - julianday(coalesce(received_at, registered_at))),
 sum(julianday(sent_at) - julianday(coalesce(received_at, registered_at)) <= 1) FROM entry WHERE registered_at >= %[1]s AND registered_at < %[2]s GROUP BY book;
SELECT book, d FROM (SELECT book, julianday(sent_at) - julianday(coalesce(received_at, registered_at)) d,
 row_number() OVER (PARTITION BY book ORDER BY julianday(sent_at) - julianday(coalesce(received_at, registered_at))) n, count(*) OVER (PARTITION BY book) c
 FROM entry WHERE registered_at >= %[1]s AND registered_at < %[2]s AND sent_at IS NOT NULL) WHERE n = (c + 1) / 2;
SELECT book, serial, received_at, sent_at FROM entry WHERE registered_at >= %[1]s AND registered_at < %[2]s
 AND (sent_at IS NULL OR julianday(sent_at) - julianday(coalesce(received_at, registered_at)) > 1) ORDER BY 1, 2;
SELECT c.correspondent, count(*) FROM entry e JOIN copy c ON c.entry = e.id WHERE e.registered_at >= %[1]s AND e.registered_at < %[2]s AND e.state <> 'void' GROUP BY 1 ORDER BY 2 DESC;
SELECT book, year, min(serial), max(serial), count(*), min(number_seq), max(number_seq), count(number_seq) FROM entry WHERE registered_at >= %[1]s AND registered_at < %[2]s GROUP BY 1, 2;
SELECT kind, count(*) FROM trouble WHERE at >= %[1]s AND at < %[2]s GROUP BY 1;
SELECT channel, state, count(*) FROM complaint WHERE received_at >= %[1]s AND received_at < %[2]s GROUP BY 1, 2;
`

// quarter1m has a book with a million entries in its index, a fifth of it
// kriptogram, over the year before the running one; the texts and the log are
// not needed by the report and are left out.
func (p *paperBench) quarter1m() {
	year := time.Now().In(agenda.WIB).Year() - 1
	at := time.Date(year, 1, 1, 0, 0, 0, 0, agenda.WIB)
	f := officeAt(p, func() time.Time { at = at.Add(time.Millisecond); return at }, config.Gateway{Address: "127.0.0.1:9", TLS: "none"})
	desk := filepath.Join(f.dir, "desk")
	jateng, err := f.Book.Correspondent(p.Context(), "jateng")
	p.check(err)
	batang, err := f.Book.Correspondent(p.Context(), "batang")
	p.check(err)
	f.check(f.Desk.Close())
	p.fill(filepath.Join(desk, bookFile), year, jateng.ID, batang.ID)

	pdf := filepath.Join(p.TempDir(), "evaluasi.pdf")
	ours := p.run(func() *exec.Cmd {
		return exec.Command(p.program, "report", "quarter", fmt.Sprintf("4/%d", year), "-o", pdf, "--force", "--desk", desk, "--json=false")
	})
	from, until := Quarter(year, 4)
	script := fmt.Sprintf(quarterSQL, quoted(from), quoted(until))
	peer := p.peer("sqlite3", func(path string) *exec.Cmd {
		c := exec.Command(path, "-readonly", filepath.Join(desk, bookFile))
		c.Stdin = strings.NewReader(script)
		return c
	})
	p.figure("quarter_1m", ms(ours.wall), "ms", "sqlite3", ms(peer.wall))
	p.figure("quarter_1m_rss", float64(ours.rss)/(1<<20), "MiB", "sqlite3", float64(peer.rss)/(1<<20))
}

func quoted(t time.Time) string { return "'" + t.UTC().Format("2006-01-02T15:04:05.000Z") + "'" }

func (p *paperBench) fill(path string, year int, jateng, batang int64) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(OFF)")
	p.check(err)
	defer db.Close()
	ctx := context.Background()
	exec := func(query string, args ...any) {
		p.Helper()
		if _, err := db.ExecContext(ctx, query, args...); err != nil {
			p.Fatal(err)
		}
	}
	// Registered evenly over the year in working time of the clock; received a quarter of an hour before, sent 40 minutes to 17 hours later.
	exec(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1),
 m AS (SELECT i, unixepoch($2) + i * 31500000 / $1 AS t FROM n)
 INSERT INTO entry(id, book, year, serial, class, urgency, state, draft, ordered, registered_at, released_at, sent_at, number_year, number_seq, number, current, last, received_at)
 SELECT 1000000 + 3 * i, iif(i % 5 = 0, 'kriptogram', 'surat'), $3, iif(i % 5 = 0, i / 5 + 1, i - i / 5), iif(i % 5 = 0, iif(i % 3 = 0, 'terbatas', 'rahasia'), 'biasa'),
 iif(i % 7 = 0, 'segera', 'biasa'), iif(i % 400 = 399, 'void', 'archived'), 0, 1, strftime('%Y-%m-%dT%H:%M:%fZ', t, 'unixepoch'), NULL,
 iif(i % 400 = 399, NULL, strftime('%Y-%m-%dT%H:%M:%fZ', t + 2400 + (i * 7919 % 400) * iif(i % 97 = 0, 200, 4), 'unixepoch')),
 iif(i % 5 = 0, $3, NULL), iif(i % 5 = 0, i / 5 + 1, NULL), iif(i % 5 = 0, printf('%03d', i / 5 + 1), NULL), 1000000 + 3 * i, 1000000 + 3 * i,
 strftime('%Y-%m-%dT%H:%M:%fZ', t - 900, 'unixepoch') FROM m`,
		quarterEntries, time.Date(year, 1, 1, 1, 0, 0, 0, time.UTC).Format(time.DateTime), year)
	exec("INSERT INTO copy(entry, copy, kind, correspondent, state) SELECT id, 1, 'to', iif(id % 3 = 0, $1, $2), 'accepted' FROM entry", jateng, batang)
	exec("ANALYZE")
	exec("PRAGMA wal_checkpoint(TRUNCATE)")
}
