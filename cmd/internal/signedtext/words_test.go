package signedtext

import (
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// wordsSum is what the list had when it was made. Printed sheets depend on
// it: a change of the list is a fault, never a reason to change this value.
const wordsSum = "320965b14dfac0acb643ba0d92aa92326629e8228c9fd25606c773b465b19faf"

func TestWordList(t *testing.T) {
	t.Parallel()
	if got := hex.EncodeToString(sum([]byte(wordFile))); got != wordsSum {
		t.Errorf("SHA-256 of words.txt = %s, want %s", got, wordsSum)
	}
	lines := strings.Split(strings.TrimSuffix(wordFile, "\n"), "\n")
	if len(lines) != 1024 || !slices.Equal(lines, wordList) {
		t.Fatalf("%d lines, %d words, want 1024 words, one a line", len(lines), len(wordList))
	}
	if !slices.IsSorted(lines) {
		t.Error("words are not sorted")
	}
	for _, w := range []string{"bukit", "layar", "padi", "enam", "tinta", "rusa"} {
		if _, ok := slices.BinarySearch(lines, w); !ok {
			t.Errorf("%q is missing", w)
		}
	}
	shape := regexp.MustCompile(`^[a-z]{4,8}$`)
	for i, a := range lines {
		if !shape.MatchString(a) {
			t.Fatalf("%q is not of 4 to 8 letters a-z", a)
		}
		for _, b := range lines[i+1:] {
			if len(b) >= 4 && a[:4] == b[:4] {
				t.Errorf("%q and %q begin alike", a, b)
			}
			if n := distance(a, b); n < 2 {
				t.Errorf("%q and %q: distance %d, want at least 2", a, b, n)
			}
		}
	}
}

func sum(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:]
}

// distance is Damerau and Levenshtein's, restricted: the least number of
// insertions, deletions, substitutions and swaps of neighbours.
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			other := 1
			if a[i-1] == b[j-1] {
				other = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+other)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"kuda", "kuda", 0},
		{"kuda", "kudu", 1},
		{"kuda", "kauda", 1},
		{"kuda", "kua", 1},
		{"kuda", "kdua", 1},
		{"kuda", "padi", 3},
		{"padi", "padang", 3},
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// slowWords takes the digest as one number and divides.
func slowWords(digest []byte) (words [6]string) {
	n := new(big.Int).SetBytes(digest)
	n.Rsh(n, uint(len(digest)*8-60))
	base, bits := big.NewInt(1024), new(big.Int)
	for i := 5; i >= 0; i-- {
		n.DivMod(n, base, bits)
		words[i] = wordList[bits.Int64()]
	}
	return words
}

func TestCheckWords(t *testing.T) {
	t.Parallel()
	fingerprint, err := hex.DecodeString(fprSandiman)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		data []byte
		want [6]string
	}{
		{"nothing", nil, [6]string{"teman", "rujak", "hawa", "perahu", "widuri", "kutub"}},
		{"draft", []byte(goldenDraft), [6]string{"kuno", "skor", "jahit", "ekonomi", "runcing", "wacana"}},
		{"fingerprint", fingerprint, [6]string{"loteng", "boneka", "penyu", "magang", "gerobak", "pianika"}},
	} {
		if got := CheckWords(c.data); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if got := slowWords(sum(c.data)); got != c.want {
			t.Errorf("%s: by division %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCheckWordsEdges(t *testing.T) {
	t.Parallel()
	first, last := wordList[0], wordList[1023]
	var none, all, one [32]byte
	for i := range all {
		all[i] = 0xff
	}
	one[7] = 0x10 // bit 60, the last that counts
	for _, c := range []struct {
		sum  [32]byte
		want []string
	}{
		{none, []string{first, first, first, first, first, first}},
		{all, []string{last, last, last, last, last, last}},
		{one, []string{first, first, first, first, first, wordList[1]}},
	} {
		if got, want := CheckWordsOf(c.sum), strings.Join(c.want, " "); got != want {
			t.Errorf("CheckWordsOf(%x) = %q, want %q", c.sum, got, want)
		}
	}
}

func TestCheckWordsProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		digest := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest"))
		want := slowWords(digest[:])
		if got := CheckWordsOf(digest); got != strings.Join(want[:], " ") {
			t.Fatalf("CheckWordsOf(%x) = %q, want %q", digest, got, want)
		}
	})
}
