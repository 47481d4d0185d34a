package config

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

//go:embed pekalongan.yaml
var pekalongan string

// Render writes the sandi.yaml of a new desk: the office and the gateway as given, then the shipped profile of Pekalongan with
// its remarks. The same input gives the same bytes. A from that is not empty takes the place of gateway.From.
func Render(office, from string, gateway Gateway) []byte {
	if from != "" {
		gateway.From = from
	}
	head, city := letterhead(office)
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Pengaturan sandi. Kunci yang tidak dikenal ditolak; setiap perubahan dicatat di buku.")
	line(`# "# usulan" menandai isi yang belum ditetapkan kantor.`)
	line("")
	line(`# Bahasa layar: id atau en; kosong = menurut komputer.`)
	line(`language: ""`)
	line(`# Petugas di depan komputer ini bila --as dan SANDI_AS tidak dipakai.`)
	line(`as: ""`)
	line("")
	line("office:")
	line("  name: %s", quote(office))
	line("  # Nama tempat di depan tanggal pada lembar cetak.")
	line("  city: %s", quote(city))
	line("  # Baris kop; baris terakhir dicetak lebih besar.")
	list(&b, "  ", "letterhead", head)
	line("  # Alamat, telepon, situs web, email di bawah kop.")
	list(&b, "  ", "contact", nil)
	line("  # Berkas gambar lambang (PNG atau JPEG), relatif terhadap folder kerja.")
	line(`  emblem: ""`)
	line("")
	line("# Server email Sanapati.")
	line("gateway:")
	line("  address: %s", quote(gateway.Address))
	line("  # implicit, starttls, atau none (hanya ke komputer ini sendiri).")
	line("  tls: %s", quote(gateway.TLS))
	line("  username: %s", quote(gateway.Username))
	line("  # Berkas sertifikat CA (PEM); kosong = milik sistem.")
	line("  ca: %s", quote(gateway.CA))
	line("  # SHA-256 kunci server (SPKI), heksadesimal; kosong = tidak dipatok.")
	list(&b, "  ", "pins", gateway.Pins)
	line("  from: %s", quote(gateway.From))
	line("  ehlo: %s", quote(gateway.EHLO))
	line("  # Perintah yang mencetak kata sandi kotak surat, satu kata per baris; kosong = ditanyakan.")
	list(&b, "  ", "password_command", gateway.PasswordCommand)
	line("  # Ukuran terbesar satu pesan dalam byte; 0 = menurut server.")
	line("  max_size: %s", strconv.FormatInt(gateway.MaxSize, 10))
	line("  # Berkas sertifikat dan kunci kita (PEM) bila server memintanya; kosong = tidak ada.")
	line("  client_cert: %s", quote(gateway.ClientCert))
	line("  client_key: %s", quote(gateway.ClientKey))
	line("  # Sambungan serentak paling banyak (0 = 4), pesan per menit dan per sambungan (0 = tanpa batas).")
	line("  connections: %s", strconv.Itoa(gateway.Connections))
	line("  per_minute: %s", strconv.Itoa(gateway.PerMinute))
	line("  per_connection: %s", strconv.Itoa(gateway.PerConnection))
	line("  # Server kotak surat (IMAP) untuk send --receipts: CA dan pin sendiri; kosong = seperti di atas.")
	line("  imap_ca: %s", quote(gateway.IMAPCA))
	list(&b, "  ", "imap_pins", gateway.IMAPPins)
	line("")
	line("# Kelompok tujuan untuk --to @nama.")
	line("groups: []")
	line("")
	b.WriteString(pekalongan)
	return []byte(b.String())
}

// Default is the configuration of a new desk, the parsed form of [Render]. A faulty office or gateway gives an [*Error].
func Default(office, from string, gateway Gateway) (*Config, error) {
	return Parse(Render(office, from, gateway))
}

func list(b *strings.Builder, indent, key string, values []string) {
	if len(values) == 0 {
		fmt.Fprintf(b, "%s%s: []\n", indent, key)
		return
	}
	fmt.Fprintf(b, "%s%s:\n", indent, key)
	for _, v := range values {
		fmt.Fprintf(b, "%s  - %s\n", indent, quote(v))
	}
}

// quote writes a double-quoted YAML scalar; the escapes used are those that YAML shares with Go.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x2028 && r <= 0x2029:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// letterhead splits an office's name as the kop has it: the region's government above, the office below.
func letterhead(office string) (lines []string, city string) {
	for _, kind := range []string{" Kota ", " Kabupaten ", " Provinsi "} {
		if unit, region, ok := strings.Cut(office, kind); ok {
			return []string{
				strings.ToUpper("Pemerintah" + kind + region),
				strings.ToUpper(unit),
			}, region
		}
	}
	if office == "" {
		return nil, ""
	}
	return []string{strings.ToUpper(office)}, ""
}
