package signedtext

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"strings"
)

//go:embed words.txt
var wordFile string

// wordList has 1,024 words of 4 to 8 letters without near-homophones: no two
// are one typing error apart or begin with the same four letters. It never
// changes once released: printed sheets carry words chosen from it.
var wordList = strings.Fields(wordFile)

// CheckWords are six words for the first 60 bits, big-endian, of the SHA-256
// of data: kriptogram.txt for a draft, the octets of the fingerprint for a key.
func CheckWords(data []byte) [6]string {
	sum := sha256.Sum256(data)
	return wordsOf(sum)
}

// CheckWordsOf are the same six words from a digest already at hand.
func CheckWordsOf(sum [32]byte) string {
	w := wordsOf(sum)
	return strings.Join(w[:], " ")
}

// CheckWordsOfKey are the six words of a fingerprint in hexadecimal digits, ""
// when it is none.
func CheckWordsOfKey(fingerprint string) string {
	raw, err := hex.DecodeString(fingerprint)
	if err != nil || len(raw) == 0 {
		return ""
	}
	return CheckWordsOf(sha256.Sum256(raw))
}

func wordsOf(sum [32]byte) (words [6]string) {
	for i := range words {
		bit := i * 10
		// Ten bits lie within two neighbouring octets.
		pair := uint(sum[bit/8])<<8 | uint(sum[bit/8+1])
		words[i] = wordList[pair>>(6-bit%8)&1023]
	}
	return words
}
