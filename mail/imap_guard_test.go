package mail

import (
	"bytes"
	"strings"
	"testing"
)

// guardModel reads a whole stream by descent, a response at a time, and says
// where the guard must stop and why. It knows nothing of places and octets.
type guardModel struct {
	text    string
	at      int // octets read
	line    int // of them in this response
	max     int
	flat    bool
	fetch   bool
	section bool
}

// The reading ends by panic: modelStop at an octet that is refused, modelEnd at
// the end of the text.
type (
	modelStop struct{ err error }
	modelEnd  struct{}
)

func (m *guardModel) run() (passed int, err error) {
	defer func() {
		passed = m.at
		switch v := recover().(type) {
		case modelStop:
			err = v.err
		case modelEnd:
		default:
			panic(v)
		}
	}()
	for {
		m.line, m.flat, m.fetch = 0, false, false
		m.response()
	}
}

func (m *guardModel) peek() byte {
	if m.at == len(m.text) {
		panic(modelEnd{})
	}
	if m.line >= m.max {
		panic(modelStop{errLongLine})
	}
	return m.text[m.at]
}

func (m *guardModel) need(ok bool, err error) {
	if !ok {
		panic(modelStop{err})
	}
}

func (m *guardModel) take() byte {
	c := m.peek()
	m.at++
	m.line++
	return c
}

func (m *guardModel) want(c byte) {
	m.need(m.peek() == c, errForm)
	m.take()
}

const modelLetters = "!#$&'+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~"

func (m *guardModel) word() string {
	from := m.at
	for strings.IndexByte(modelLetters, m.peek()) >= 0 {
		m.need(m.at-from < maxWord, errForm)
		m.take()
	}
	return m.text[from:m.at]
}

func (m *guardModel) words() {
	for m.take() != '\n' {
	}
}

func (m *guardModel) response() {
	status, kind := false, ""
	switch m.peek() {
	case '+':
		m.words()
		return
	case '*':
		m.take()
		m.want(' ')
		if kind = m.word(); kind != "" && kind[0] >= '0' && kind[0] <= '9' {
			m.need(strings.Trim(kind, "0123456789") == "", errForm)
			m.want(' ')
			kind = m.word()
		}
	default:
		m.need(m.word() != "", errForm)
		m.want(' ')
		kind, status = m.word(), true
	}
	m.need(kind != "" && strings.IndexByte(" (\r\n", m.peek()) >= 0, errForm)
	kind = strings.ToLower(kind)
	switch kind {
	case "ok", "no", "bad", "bye", "preauth":
		status = true
	}
	if !status {
		m.flat, m.fetch = kind == "capability" || kind == "enabled", kind == "fetch"
		m.list(0)
		return
	}
	if m.peek() == ' ' {
		m.take()
		if m.peek() == '[' {
			from := m.at + 1
			for m.take() != ']' {
				c := m.peek()
				m.need(c != '\n', errForm)
				m.need(c != '(' || !strings.HasPrefix(strings.ToLower(m.text[from:m.at]), "capability"), errForm)
			}
		}
	}
	m.words()
}

// list reads up to what ends a list, or at depth 0 a line.
func (m *guardModel) list(depth int) {
	for {
		// The end of a list closes no name: what stands behind it is no message.
		section := m.section
		m.section = false
		switch c := m.peek(); c {
		case '\n':
			m.need(depth == 0, errForm)
			m.take()
			return
		case ')':
			m.need(depth > 0, errForm)
			m.take()
			return
		case '(':
			m.need(!m.flat, errForm)
			m.need(depth < maxNesting, errNested)
			m.take()
			m.list(depth + 1)
		case '"':
			m.string()
		case '{':
			m.literal(section)
		default:
			m.take()
			m.section = c == ']' || section && (c == ' ' || c == '~')
		}
	}
}

func (m *guardModel) string() {
	m.take()
	for {
		c := m.peek()
		m.need(c != '\r' && c != '\n', errForm)
		m.take()
		switch c {
		case '"':
			return
		case '\\':
			c = m.peek()
			m.need(c != '\r' && c != '\n', errForm)
			m.take()
		}
	}
}

func (m *guardModel) literal(message bool) {
	m.take()
	size, digits := 0, 0
	for c := m.peek(); c >= '0' && c <= '9' && digits < maxDigits; c = m.peek() {
		size, digits = size*10+int(m.take()-'0'), digits+1
	}
	m.need(digits > 0, errForm)
	m.want('}')
	m.want('\r')
	m.need(m.peek() == '\n', errForm)
	if !message || !m.fetch {
		m.need(m.line+1+size <= m.max, errLongLine)
		m.line += size
	}
	m.take()
	m.at += min(size, len(m.text)-m.at)
}

func FuzzResponseGuard(f *testing.F) {
	deep := strings.Repeat("(", maxNesting)
	for _, s := range []string{
		"* OK [CAPABILITY IMAP4rev1] siap\r\n* 1 FETCH (UID 1 BODY[] {5}\r\n((\"{\r)\r\nT1 OK a\r\n",
		"* 1 FETCH " + deep + "\r\n", "* 1 FETCH (" + deep, "* LIST () \"/\" \"a\\\"(\\\\\"\r\n",
		"* LIST () NIL {3}\r\n(((\r\n", "* X {400}\r\n", "* 1 FETCH (BINARY[1] ~{400}\r\n" + strings.Repeat("(", 400) + ")\r\n",
		"* X BODY[] {400}\r\n", "* OK {4}\r\n(\r\n", "T OK [X \"] (\r\n", "* NO [X\r\n", "* OK [CAPABILITY (] \r\n", "* CAPABILITY A(\r\n", "* enabled (",
		"* 7 bye {4}\n", "* 7a OK", "*  OK", "+ {4}\r\n((", "* A \"\\\r\"", "* A {}", "* A {5+}\r\n", "* A {5} \r\n", "* A {99999999999}\r\n",
		"* A {5}\n", "* A ())\r\n", "* A (\n", "* OK(a\r\n", "* OK\"", "* OK[", "* \r\n", "\r\n", strings.Repeat("a", 65), "* " + strings.Repeat("a ", 200),
	} {
		for _, chunk := range []uint8{1, 2, 255} {
			f.Add([]byte(s), chunk)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, chunk uint8) {
		const line = 300
		want, refusal := (&guardModel{text: string(in), max: line}).run()
		var g responseGuard
		var out []byte
		var err error
		size := max(int(chunk), 1)
		for at := 0; at < len(in) && err == nil; at += size {
			part := bytes.Clone(in[at:min(at+size, len(in))])
			var n int
			n, err = g.pass(part, line)
			out = append(out, part[:n]...)
		}
		if err != refusal || !bytes.Equal(out, in[:want]) {
			t.Fatalf("%d octets passed, %v; want %d, %v", len(out), err, want, refusal)
		}
		if n, again := g.pass([]byte("* OK\r\n"), line); err != nil && (n != 0 || again != err) {
			t.Fatalf("after %v: %d octets passed, %v", err, n, again)
		}
	})
}
