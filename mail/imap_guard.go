package mail

import "strings"

// maxNesting is how deep lists in a response may lie in each other. Answers to
// what we ask need two, FETCH (FLAGS (...)). Nobody asks here for the one
// answer that nests by nature, BODYSTRUCTURE, and even there mail of this world
// stays below ten. Servers stop at a hundred; a parser that recurses without
// end dies at about a million.
const maxNesting = 64

// What is beyond the bounds of a response, and what has a form of which the
// library might see other limits than the guard does.
var (
	errNested   error = grammarError("answer nested too deeply")
	errLongLine error = grammarError("answer with a line too long")
	errForm     error = grammarError("answer that IMAP does not allow here")
)

// A responseGuard follows what an IMAP server says, octet by octet, and refuses
// what would cost a parser that recurses more than it has: lists nested beyond
// maxNesting, and lines beyond a length. Parentheses count where the grammar
// has them, not in quoted strings, literals and words for people. The octets of
// a literal count for the line, unless it is a message.
//
// It is no use where it reads other limits of strings and lines than the
// library behind it: what one takes for the inside of a literal would be a list
// to the other. So it reads the head of a response to know whether words follow
// or data, as the library does, and refuses as errForm what RFC 9051 does not
// allow and the library might read in its own way: a line end in a quoted
// string, in a code or in a list, and braces around no size. A list among the
// capabilities it refuses too: the library would look for its end for ever.
type responseGuard struct {
	response
	word    []byte // tag, type, number or code so far
	line    int64  // octets of the response
	literal int64  // octets of a literal that are still to come
	refused error  // nothing passes any more
}

// response is what is known about the response that is being read.
type response struct {
	place    guardPlace
	tagged   bool
	numbered bool // a number stood before the type
	flat     bool // no list may come
	fetch    bool // a message may come,
	section  bool // now: its name has just ended, "BODY[] "
	depth    int
	size     int64 // of the literal that is announced
	digits   int
}

// guardPlace is a place in a response.
type guardPlace uint8

const (
	guardStart   guardPlace = iota // before the first octet
	guardTag                       // in a tag
	guardStar                      // behind the star of an untagged response
	guardType                      // in the type of a response, or in a number before it
	guardStatus                    // behind the type of a status: a code in brackets may come
	guardCode                      // in a code, up to its bracket
	guardText                      // in words for people, up to the end of the line
	guardData                      // in anything else
	guardQuoted                    // in a quoted string
	guardEscaped                   // behind a backslash in a quoted string
	guardSize                      // in the braces of a literal
	guardSizeCR                    // behind them
	guardSizeLF                    // behind their carriage return
)

const (
	maxWord    = 64 // of a tag or a type
	maxDigits  = 10 // of the size of a literal
	capability = "CAPABILITY"
)

// pass follows p and returns how many octets of it may be handed on: all of
// them, or those before the one that is refused.
func (g *responseGuard) pass(p []byte, maxLine int64) (int, error) {
	for i := 0; i < len(p) && g.refused == nil; i++ {
		if g.literal > 0 {
			n := min(g.literal, int64(len(p)-i))
			g.literal -= n
			i += int(n) - 1
			continue
		}
		switch {
		case g.line >= maxLine:
			g.refused = errLongLine
		default:
			g.line++
			g.refused = g.octet(p[i])
		}
		if g.refused == nil && g.line > maxLine { // with the literal that it announced
			g.refused = errLongLine
		}
		if g.refused != nil {
			return i, g.refused
		}
	}
	if g.refused != nil {
		return 0, g.refused
	}
	return len(p), nil
}

func (g *responseGuard) octet(c byte) error {
	switch g.place {
	case guardStart:
		return g.start(c)
	case guardTag:
		if c != ' ' {
			return g.letter(c)
		}
		g.place, g.word = guardType, g.word[:0]
	case guardStar:
		if c != ' ' {
			return errForm
		}
		g.place = guardType
	case guardType:
		if wordOctet(c) {
			return g.letter(c)
		}
		return g.typed(c)
	case guardStatus:
		if c != '[' {
			return g.text(c)
		}
		g.place, g.word = guardCode, g.word[:0]
	case guardCode:
		return g.code(c)
	case guardText:
		return g.text(c)
	case guardData:
		return g.data(c)
	case guardQuoted, guardEscaped:
		return g.quoted(c)
	default:
		return g.sized(c)
	}
	return nil
}

func (g *responseGuard) start(c byte) error {
	g.response, g.word = response{}, g.word[:0]
	switch c {
	case '+':
		g.place = guardText
	case '*':
		g.place = guardStar
	default:
		g.place, g.tagged = guardTag, true
		return g.letter(c)
	}
	return nil
}

// wordOctet tells the octets of tags and types: those that can mean nothing
// else.
func wordOctet(c byte) bool {
	return c > ' ' && c <= '~' && strings.IndexByte(`(){}[]"\*%`, c) < 0
}

func (g *responseGuard) letter(c byte) error {
	if !wordOctet(c) || len(g.word) == maxWord {
		return errForm
	}
	g.word = append(g.word, c)
	return nil
}

// typed ends a number, or the type of a response, with the octet behind it.
func (g *responseGuard) typed(c byte) error {
	word := string(g.word)
	switch {
	case word == "", c != ' ' && c != '\r' && c != '\n' && c != '(':
		return errForm
	case !g.tagged && !g.numbered && word[0] >= '0' && word[0] <= '9':
		if c != ' ' || strings.Trim(word, "0123456789") != "" {
			return errForm
		}
		g.numbered, g.word = true, g.word[:0]
		return nil
	}
	status := g.tagged
	switch strings.ToUpper(word) {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
		status = true
	case capability, "ENABLED":
		g.flat = true
	case "FETCH":
		g.fetch = true
	}
	switch {
	case !status:
		g.place = guardData
		return g.data(c)
	case c == ' ':
		g.place = guardStatus
		return nil
	}
	return g.text(c)
}

func (g *responseGuard) code(c byte) error {
	switch {
	case c == ']':
		g.place = guardText
	case c == '\n', c == '(' && strings.EqualFold(string(g.word), capability):
		return errForm
	case len(g.word) < len(capability):
		g.word = append(g.word, c)
	}
	return nil
}

func (g *responseGuard) text(c byte) error {
	g.place = guardText
	if c == '\n' {
		g.end()
	}
	return nil
}

func (g *responseGuard) data(c byte) error {
	section := g.section
	g.section = c == ']' || section && (c == ' ' || c == '~')
	switch c {
	case '"':
		g.place = guardQuoted
	case '{':
		g.place, g.section = guardSize, section
	case '(':
		if g.flat {
			return errForm
		}
		if g.depth == maxNesting {
			return errNested
		}
		g.depth++
	case ')':
		if g.depth == 0 {
			return errForm
		}
		g.depth--
	case '\n':
		if g.depth > 0 {
			return errForm
		}
		g.end()
	}
	return nil
}

func (g *responseGuard) quoted(c byte) error {
	switch {
	case c == '\r' || c == '\n':
		return errForm
	case g.place == guardEscaped:
		g.place = guardQuoted
	case c == '\\':
		g.place = guardEscaped
	case c == '"':
		g.place = guardData
	}
	return nil
}

// sized reads the announcement of a literal: "{5}" and a line end, behind which
// its octets begin.
func (g *responseGuard) sized(c byte) error {
	switch {
	case g.place == guardSize && c >= '0' && c <= '9' && g.digits < maxDigits:
		g.size, g.digits = g.size*10+int64(c-'0'), g.digits+1
	case g.place == guardSize && c == '}' && g.digits > 0:
		g.place = guardSizeCR
	case g.place == guardSizeCR && c == '\r':
		g.place = guardSizeLF
	case g.place == guardSizeLF && c == '\n':
		if !g.fetch || !g.section {
			g.line += g.size
		}
		g.literal = g.size
		g.place, g.section, g.size, g.digits = guardData, false, 0, 0
	default:
		return errForm
	}
	return nil
}

func (g *responseGuard) end() { g.place, g.line = guardStart, 0 }
