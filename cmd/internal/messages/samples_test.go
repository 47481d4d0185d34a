package messages

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSamples holds the words of the style guide's samples: what is printed from one or more messages, in both languages.
func TestSamples(t *testing.T) {
	t.Parallel()
	type part struct {
		id   string
		args []any
	}
	for _, tc := range []struct {
		name   string
		parts  []part
		id, en []string
	}{
		{
			"registered",
			[]part{{"agenda.registered", []any{"entry", "K43", "at", "@"}}},
			[]string{"Diagendakan: K43, @."},
			[]string{"Registered: K43, @."},
		},
		{
			"enciphered",
			[]part{{"encrypt.done", []any{"entry", "K43", "n", 3}}},
			[]string{"K43 disandikan untuk 3 tujuan dan arsip. Pemeriksaan amplop: sesuai."},
			[]string{"K43 enciphered for 3 recipients and the archive. Envelope check: as approved."},
		},
		{
			"number given",
			[]part{
				{"send.number_given", []any{"entry", "K42", "number", "017", "done", 2, "n", 2, "time", "14.47 WIB"}},
				{"send.not_confirmed", nil},
			},
			[]string{"K42: nomor 017 diberikan; 2 dari 2 salinan diterima server, 14.47 WIB.", "Penerimaan oleh tujuan belum dikonfirmasi."},
			[]string{"K42: number 017 given; 2 of 2 copies accepted by the server, 14.47 WIB.", "Receipt by the addressees is not yet confirmed."},
		},
		{
			"not signed",
			[]part{{"error.desk.not_signed", []any{"entry", "K43"}}},
			[]string{"Ditolak: K43 belum ditandatangani Kepala Seksi.", "Nomor tidak diberikan, tidak ada yang dikirim.", "  sandi sign K43"},
			[]string{"Refused: K43 is not yet signed by the Kepala Seksi.", "No number was given, nothing was sent.", "  sandi sign K43"},
		},
		{
			"no scan",
			[]part{{"error.desk.no_scan", []any{"entry", "S216", "path", "BERKAS"}}},
			[]string{"Ditolak: pindaian S216 belum ada. Tidak ada yang dikirim.", "  sandi agenda attach S216 BERKAS"},
			[]string{"Refused: S216 has no scan yet. Nothing sent.", "  sandi agenda attach S216 BERKAS"},
		},
		{
			"wrong path",
			[]part{{"error.usage.class_path", []any{"class", "rahasia", "value", "rahasia"}}},
			[]string{"Ditolak: surat berklasifikasi rahasia tidak dikirim sebagai berita biasa.", "  sandi agenda add --class rahasia"},
			[]string{"Refused: a letter classified rahasia cannot go as ordinary news.", "  sandi agenda add --class rahasia"},
		},
		{
			"two persons",
			[]part{{"error.desk.same_person", []any{"entry", "K43"}}},
			[]string{"Ditolak: paraf dan tanda tangan K43 harus oleh dua orang yang berbeda.", "Tidak ada yang dicatat."},
			[]string{"Refused: paraf and signature of K43 must come from two different persons.", "Nothing was recorded."},
		},
		{
			"policy",
			[]part{{"error.desk.policy", []any{"field", "sangat rahasia"}}},
			[]string{"Ditolak: klasifikasi sangat rahasia tidak diizinkan pengaturan kantor ini.", "Tidak ada yang disandikan, untuk tujuan mana pun.", "  sandi config get profile.policy"},
			[]string{"Refused: this office's settings do not allow the class sangat rahasia.", "Nothing was enciphered, for any addressee.", "  sandi config get profile.policy"},
		},
		{
			"key expired",
			[]part{{"error.desk.preflight.crypto.expired", []any{"name", "tegal", "until", "20 November 2026"}}},
			[]string{"Ditolak: kunci tujuan tegal kedaluwarsa sejak 20 November 2026.", "Tidak ada yang disandikan, untuk tujuan mana pun.", "  sandi key due --letter tegal"},
			[]string{"Refused: the key of tegal expired on 20 November 2026.", "Nothing was enciphered, for any addressee.", "  sandi key due --letter tegal"},
		},
		{
			"key expires soon",
			[]part{{"encrypt.expires_soon", []any{"name", "tegal", "n", 9, "date", "2 Desember 2026"}}},
			[]string{"Perhatian: kunci tujuan tegal berlaku 9 hari lagi (s.d. 2 Desember 2026)."},
			[]string{"Warning: the key of tegal is valid for 9 more days (until 2 Desember 2026)."},
		},
		{
			"no holidays",
			[]part{{"agenda.no_holidays", []any{"year", 2027}}},
			[]string{"Perhatian: daftar hari libur 2027 belum ada.", "Batas waktu dihitung tanpa hari libur.", "  sandi config holidays BERKAS"},
			[]string{"Warning: there is no holiday list for 2027 yet.", "Deadlines are reckoned without holidays.", "  sandi config holidays FILE"},
		},
		{
			"returned",
			[]part{{"sign.returned", []any{"entry", "K43", "time", "14.05 WIB", "n", 1}}},
			[]string{"K43 dikembalikan kepada Sandiman, 14.05 WIB (draf ke-1). Alasan tercatat.", "  sandi encrypt K43 BERKAS"},
			[]string{"K43 returned to the Sandiman, 14.05 WIB (draft 1). Reason recorded.", "  sandi encrypt K43 FILE"},
		},
		{
			"deferred",
			[]part{{"send.away", []any{"entry", "S215"}}, {"send.next_due", nil}},
			[]string{"S215: belum terkirim, server Sanapati tidak menjawab. Aman dicoba lagi.", "  sandi send --due"},
			[]string{"S215: not sent yet, the Sanapati server does not answer. Safe to try again.", "  sandi send --due"},
		},
		{
			"rejected",
			[]part{{"send.rejected_one", []any{"name", "batang", "code", 550, "entry", "S213"}}, {"next.readdress", []any{"handle", "batang"}}},
			[]string{"Gagal: server menolak alamat tujuan batang (550). S213 tidak terkirim.", "  sandi correspondent edit batang --address ALAMAT --reason ALASAN"},
			[]string{"Failed: the server refused the address of batang (550). S213 was not sent.", "  sandi correspondent edit batang --address ADDRESS --reason REASON"},
		},
		{
			"doubt",
			[]part{{"send.doubted", []any{"entry", "S214", "n", 1, "time", "10.09.31 WIB"}}, {"next.resolve", []any{"entry", "S214"}}},
			[]string{"Belum pasti: S214 mungkin sudah diterima server (percobaan 1, 10.09.31 WIB).", "Tidak akan dikirim ulang sebelum diperiksa.", "  sandi send --resolve S214"},
			[]string{"Uncertain: the server may have taken S214 (attempt 1, 10.09.31 WIB).", "It will not be sent again before it is checked.", "  sandi send --resolve S214"},
		},
		{
			"deadline",
			[]part{{"due.today", []any{"entry", "S208", "at", "15.50 WIB", "left", "@"}}},
			[]string{"Perhatian: batas waktu S208 hari ini pukul 15.50 WIB (sisa @)."},
			[]string{"Warning: S208 is due today at 15.50 WIB (@ left)."},
		},
		{
			"spans",
			[]part{{"span.both", []any{"h", 1, "m", 5}}, {"span.minutes", []any{"m", 8}}},
			[]string{"1 jam 5 menit", "8 menit"},
			[]string{"1 h 5 min", "8 minutes"},
		},
		{
			"late",
			[]part{{"late.sent", []any{"entry", "S208", "at", "15.58 WIB", "span", "@"}}, {"late.ask", nil}},
			[]string{"S208 terkirim 15.58 WIB, terlambat @ waktu layanan.", "Sebab keterlambatan:"},
			[]string{"S208 sent 15.58 WIB, late by @ of service time.", "Cause:"},
		},
		{
			"secrets",
			[]part{{"secret.signature", []any{"owner", "Kepala Seksi"}}, {"secret.wrong", []any{"n", 2}}, {"prompt.password", []any{"name", "persandian"}}},
			[]string{"Frasa sandi kunci Kepala Seksi (diketik sendiri oleh pemilik kunci):", "Frasa sandi tidak cocok. Sisa 2 percobaan.", "Kata sandi email Sanapati (akun persandian):"},
			[]string{"Passphrase of the Kepala Seksi's key (typed by its owner):", "Passphrase does not match. 2 tries left.", "Sanapati mailbox password (account persandian):"},
		},
		{
			"fingerprint",
			[]part{
				{"correspondent.check", nil},
				{"correspondent.ask.groups", nil},
				{"correspondent.match", []any{"handle", "tegal", "time", "09.40 WIB"}},
				{"correspondent.ask.by", nil},
			},
			[]string{
				"Periksa: cocokkan lewat telepon, pada nomor yang sudah dikenal sebelumnya,", "bukan nomor dari email pembawa kunci.",
				"Ketik 4 kelompok terakhir yang dibacakan tujuan (Enter = tunda):", "Cocok. Kunci tegal dikonfirmasi, 09.40 WIB.", "Dikonfirmasi kepada (jabatan):",
			},
			[]string{
				"Check: compare by telephone, on a number known before,", "not one from the mail that brought the key.",
				"Type the last 4 groups as the addressee reads them (Enter = later):", "Match. Key of tegal confirmed, 09.40 WIB.", "Confirmed with (position):",
			},
		},
		{
			"book",
			[]part{{"agenda.whole", []any{"year", 2026, "entries", 44, "numbers", 19}}},
			[]string{"Buku kriptogram 2026 utuh: 44 agenda, 19 nomor, tanpa celah."},
			[]string{"Kriptogram book 2026 is whole: 44 entries, 19 numbers, no gap."},
		},
	} {
		for _, lang := range []struct {
			cat  *Catalogue
			want []string
		}{{For(Indonesian), tc.id}, {For(English), tc.en}} {
			var got []string
			for _, p := range tc.parts {
				got = append(got, strings.Split(lang.cat.Text(p.id, p.args...), "\n")...)
			}
			if diff := cmp.Diff(lang.want, got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", tc.name, lang.cat.Lang(), diff)
			}
		}
	}
}
