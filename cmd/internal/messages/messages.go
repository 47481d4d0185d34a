// Package messages holds every word that sandi says on a screen, in Indonesian and in English.
//
// [For] gives the catalogue of a language, [Catalogue.Text] a message by its id with named placeholders. Command names, flags,
// JSON keys, codes and stored words are never translated; the words of a printed sheet belong to the service profile.
//
// The catalogues are embedded, one file per area (id/agenda.json, en/agenda.json …); a value is a line or a list of lines:
//
//	"agenda.registered": ["Diagendakan: {entry}, {at}.", "  sandi agenda assign {entry}"]
//
// "{name}" is replaced by the argument of that name, "{n?copy|copies}" by the first word when the argument n is 1, else by the
// second. Tests keep both languages in step. A catalogue is not changed after it was read; it is safe for concurrent use.
package messages

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sandi/cmd/internal/render"
)

// Lang is a language of the screen.
type Lang string

// The languages.
const (
	Indonesian Lang = "id"
	English    Lang = "en"
)

// ErrLanguage is the answer to a language that is not there.
var ErrLanguage = errors.New("unknown language")

// ParseLang reads "id" or "en", also as the beginning of a locale's name.
func ParseLang(s string) (Lang, error) {
	switch name, _, _ := strings.Cut(strings.ToLower(s), "_"); name {
	case "id", "in":
		return Indonesian, nil
	case "en":
		return English, nil
	}
	return "", ErrLanguage
}

// Detect finds the language: the flag, SANDI_LANG, then the locale (LC_ALL, LC_MESSAGES, LANG), where an English one means
// English and any other Indonesian. Only a flag or a SANDI_LANG that is not a language is an error.
func Detect(flag string, env func(string) string) (Lang, error) {
	for _, s := range []string{flag, env("SANDI_LANG")} {
		if s != "" {
			return ParseLang(s)
		}
	}
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if s := env(name); s != "" {
			if lang, err := ParseLang(strings.NewReplacer(".", "_", "@", "_", "-", "_").Replace(s)); err == nil {
				return lang, nil
			}
			return Indonesian, nil
		}
	}
	return Indonesian, nil
}

// Catalogue is the messages of one language.
type Catalogue struct {
	lang  Lang
	year  int                        // of the books, see In; 0 = unknown
	texts map[string]json.RawMessage // a line or a list of lines, as in the file
}

//go:embed id/*.json en/*.json
var files embed.FS

var catalogues = map[Lang]func() *Catalogue{
	Indonesian: sync.OnceValue(func() *Catalogue { return mustLoad(files, Indonesian) }),
	English:    sync.OnceValue(func() *Catalogue { return mustLoad(files, English) }),
}

// For returns the catalogue of a language; an unknown one gets the Indonesian.
func For(lang Lang) *Catalogue {
	if load, ok := catalogues[lang]; ok {
		return load()
	}
	return catalogues[Indonesian]()
}

// yearly has a short name within its year and a longer one elsewhere.
type yearly interface{ In(year int) string }

// In returns the catalogue as it is read in a year: a message names an entry so that the next command finds it.
func (c *Catalogue) In(year int) *Catalogue {
	return &Catalogue{lang: c.lang, year: year, texts: c.texts}
}

// mustLoad panics on a faulty catalogue: it is part of the program and the tests read it whole.
func mustLoad(from fs.FS, lang Lang) *Catalogue {
	texts, err := load(from, string(lang))
	if err != nil {
		panic(err)
	}
	return &Catalogue{lang: lang, texts: texts}
}

// load reads every file of a folder. It is a part of the start of every command, which says a few of a thousand texts: an id is
// found where the files have it, at the beginning of a line behind two blanks, and its value is read when it is said. Tests hold
// the files to that, and see that each is whole JSON and no id stands twice.
func load(from fs.FS, folder string) (map[string]json.RawMessage, error) {
	names, err := fs.Glob(from, path.Join(folder, "*.json"))
	if err != nil {
		return nil, err
	}
	all := make(map[string]json.RawMessage, manyTexts)
	for _, name := range names {
		data, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, err
		}
		body, open := bytes.CutPrefix(bytes.TrimSpace(data), []byte("{"))
		body, closed := bytes.CutSuffix(body, []byte("}"))
		if !open || !closed {
			return nil, fmt.Errorf("catalogue %s: not an object", name)
		}
		for i, entry := range bytes.Split(body, []byte("\n  \"")) {
			if i == 0 {
				continue // before the first id
			}
			id, value, ok := bytes.Cut(entry, []byte(`": `))
			if !ok {
				return nil, fmt.Errorf("catalogue %s: an id without a text", name)
			}
			all[string(id)] = bytes.TrimRight(value, ", \n")
		}
	}
	return all, nil
}

// manyTexts is room for a language without growing.
const manyTexts = 2048

// textOf reads a line, or joins a list of them. Of most texts what stands between
// the quotes is what is said; tests read all by both ways.
func textOf(value json.RawMessage) (string, error) {
	if line, ok := plain(value); ok {
		return line, nil
	}
	if len(value) > 0 && value[0] == '[' {
		var lines []string
		err := json.Unmarshal(value, &lines)
		return strings.Join(lines, "\n"), err
	}
	var line string
	err := json.Unmarshal(value, &line)
	return line, err
}

// plain reads a line, or a list of them, without an escape.
func plain(value json.RawMessage) (string, bool) {
	text := string(value)
	if len(text) < 2 || text[0] != '"' && text[0] != '[' || strings.ContainsRune(text, '\\') {
		return "", false
	}
	parts := strings.Split(text, `"`)
	lines := parts[:0]
	for i := 1; i < len(parts); i += 2 {
		lines = append(lines, parts[i])
	}
	return strings.Join(lines, "\n"), len(parts)%2 == 1
}

// IDs returns the ids of all messages, sorted.
func IDs() []string { return slices.Sorted(maps.Keys(For(Indonesian).texts)) }

// text is the message of an id as it stands; false when there is none, or one that is no text.
func (c *Catalogue) text(id string) (string, bool) {
	value, ok := c.texts[id]
	if !ok {
		return "", false
	}
	text, err := textOf(value)
	return text, err == nil
}

// Lang returns the catalogue's language.
func (c *Catalogue) Lang() Lang { return c.lang }

// Has says whether there is a message of that id.
func (c *Catalogue) Has(id string) bool {
	_, ok := c.texts[id]
	return ok
}

// Placeholders returns the names of the arguments of a message, sorted.
func (c *Catalogue) Placeholders(id string) []string {
	names := map[string]bool{}
	text, _ := c.text(id)
	expand(text, func(name, _ string) string {
		names[name] = true
		return ""
	})
	return slices.Sorted(maps.Keys(names))
}

// Text returns the message with the arguments put in: pairs of a name and a value ("entry", "K1"). Values come from anywhere, so
// each is made harmless for a terminal and cannot begin a line of its own. What has no message shows as its id, a missing
// argument as its name in braces.
func (c *Catalogue) Text(id string, args ...any) string {
	text, ok := c.text(id)
	if !ok {
		return id
	}
	if !strings.Contains(text, "{") {
		return text
	}
	values := map[string]string{}
	for i := 0; i+1 < len(args); i += 2 {
		value := args[i+1]
		if y, ok := value.(yearly); ok && c.year != 0 {
			value = y.In(c.year)
		}
		values[fmt.Sprint(args[i])] = render.Safe(fmt.Sprint(value))
	}
	return expand(text, func(name, choice string) string {
		value, ok := values[name]
		switch {
		case !ok:
			return "{" + name + "}"
		case choice == "":
			return value
		}
		one, many, _ := strings.Cut(choice, "|")
		if value == "1" {
			return one
		}
		return many
	})
}

// expand calls put for each "{name}" and "{name?choice}" of a text and returns the text with the answers in their places.
func expand(text string, put func(name, choice string) string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		inside, after, ok := strings.Cut(rest, "}")
		if !ok {
			b.WriteString("{" + rest)
			return b.String()
		}
		name, choice, _ := strings.Cut(inside, "?")
		b.WriteString(put(name, choice))
		text = after
	}
}

// wib is Western Indonesian Time. Asia/Jakarta has stood at UTC+7 without summer time since 1964.
var wib = time.FixedZone("WIB", 7*60*60)

func (c *Catalogue) listed(id string, i int) string {
	text, _ := c.text(id)
	return strings.Split(text, "\n")[i]
}

// Number writes an integer with its thousands apart: 1.284 in Indonesian, 1,284 in English.
func (c *Catalogue) Number(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + c.Text("figure.thousands") + s[i:]
	}
	return sign + s
}

// Size writes a number of octets as people read it: "512 byte", "412 KB", "2,4 MB" (1 KB = 1024 byte).
func (c *Catalogue) Size(octets int64) string {
	const kb, mb, gb = 1 << 10, 1 << 20, 1 << 30
	switch {
	case octets < kb:
		return c.Number(octets) + " " + c.Text("figure.bytes")
	case octets < mb-kb/2: // what rounds to 1024 KB is 1,0 MB
		return c.Number((octets+kb/2)/kb) + " KB"
	case octets < gb-mb/20:
		return c.tenths(octets, mb) + " MB"
	}
	return c.tenths(octets, gb) + " GB"
}

func (c *Catalogue) tenths(n, unit int64) string {
	t := int64(float64(n)/float64(unit)*10 + 0.5)
	return c.Number(t/10) + c.Text("figure.decimal") + strconv.FormatInt(t%10, 10)
}

// Date writes the day in WIB as in a sentence: 23 November 2026.
func (c *Catalogue) Date(t time.Time) string {
	t = t.In(wib)
	return strconv.Itoa(t.Day()) + " " + c.listed("figure.months", int(t.Month())-1) + " " + strconv.Itoa(t.Year())
}

// Day writes the weekday in WIB.
func (c *Catalogue) Day(t time.Time) string { return c.listed("figure.days", int(t.In(wib).Weekday())) }

// ShortDate writes the day in WIB as in a table: 23-11-2026.
func (c *Catalogue) ShortDate(t time.Time) string { return t.In(wib).Format("02-01-2006") }

// Clock writes the time of day: 10.07 WIB.
func (c *Catalogue) Clock(t time.Time) string { return t.In(wib).Format("15.04") + " WIB" }

// Seconds writes the time of day as evidence: 10.09.31 WIB.
func (c *Catalogue) Seconds(t time.Time) string {
	t = t.In(wib)
	return t.Format("15.04") + fmt.Sprintf(".%02d", t.Second()) + " WIB"
}

// DateTime writes day, date and time: Jumat, 20 November 2026, 10.54 WIB.
func (c *Catalogue) DateTime(t time.Time) string {
	return c.Day(t) + ", " + c.Date(t) + ", " + c.Clock(t)
}

// Class, Urgency, State, CopyState, Role and Book turn a stored word into the screen's; an unknown word stays as it is.
func (c *Catalogue) Class(word string) string { return c.word("class", word) }

// Urgency is the screen's word for an urgency.
func (c *Catalogue) Urgency(word string) string { return c.word("urgency", word) }

// State is the screen's word for the state of an entry.
func (c *Catalogue) State(word string) string { return c.word("state", word) }

// CopyState is the screen's word for the state of a copy.
func (c *Catalogue) CopyState(word string) string { return c.word("copy", word) }

// Role is the screen's word for a role.
func (c *Catalogue) Role(word string) string { return c.word("role", word) }

// Book is the screen's word for a book.
func (c *Catalogue) Book(word string) string { return c.word("book", word) }

func (c *Catalogue) word(kind, word string) string {
	if text, ok := c.text("word." + kind + "." + word); ok {
		return text
	}
	return render.Safe(word)
}

// Yes reads the answer to a question: y, ya, t, tidak, and in English also yes, n, no. ok is false for anything else.
func (c *Catalogue) Yes(answer string) (yes, ok bool) {
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "ya":
		return true, true
	case "t", "tidak":
		return false, true
	case "yes":
		return c.lang == English, c.lang == English
	case "n", "no":
		return false, c.lang == English
	}
	return false, false
}
