package mail

import (
	"bufio"
	"fmt"
	"strings"
)

// Limits of a reply: RFC 5321 §4.5.3.1.5 for the line, our own for the number
// of lines, so that a hostile gateway costs bounded memory.
const (
	maxReplyLine  = 512
	maxReplyLines = 100
)

// Reply is one whole answer of a gateway. Lines holds the text of each line
// after code and separator, printable ASCII and tabs only. Enhanced is the
// status code of RFC 3463 at the start of the first line, if it is there and
// agrees with Code.
type Reply struct {
	Code     int
	Enhanced string
	Lines    []string
}

// String returns code and text in one line.
func (r Reply) String() string {
	if r.Code == 0 {
		return ""
	}
	if len(r.Lines) == 0 || (len(r.Lines) == 1 && r.Lines[0] == "") {
		return fmt.Sprintf("%03d", r.Code)
	}
	return fmt.Sprintf("%03d %s", r.Code, strings.Join(r.Lines, " / "))
}

// class is the first digit of the code.
func (r Reply) class() int { return r.Code / 100 }

// ParseReply reads one reply (RFC 5321 §4.2) and nothing after it. It is
// strict: every line ends in CRLF and has at most 512 octets with it, all lines
// bear the same code, the text is printable ASCII, there are at most 100 lines.
// The error has code mail.protocol; where the stream failed it wraps the
// stream's error, with io.EOF as io.ErrUnexpectedEOF.
func ParseReply(r *bufio.Reader) (Reply, error) {
	var reply Reply
	for {
		line, err := replyLine(r)
		if err != nil {
			return Reply{}, &Error{code: CodeProtocol, Err: err}
		}
		code, last, text, ok := splitReply(line)
		switch {
		case !ok:
			return Reply{}, badReply("reply line without code")
		case reply.Code != 0 && code != reply.Code:
			return Reply{}, badReply("reply with different codes")
		case len(reply.Lines) == maxReplyLines:
			return Reply{}, badReply("reply of too many lines")
		}
		reply.Code = code
		reply.Lines = append(reply.Lines, text)
		if last {
			reply.Enhanced = enhanced(reply.Code, reply.Lines[0])
			return reply, nil
		}
	}
}

func badReply(text string) *Error {
	return &Error{code: CodeProtocol, Err: grammarError(text)}
}

// replyLine returns a line without its CRLF.
func replyLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		c, err := r.ReadByte()
		if err != nil {
			return "", unexpected(err)
		}
		if c == '\n' {
			if n := len(line); n > 0 && line[n-1] == '\r' {
				return string(line[:n-1]), nil
			}
			return "", grammarError("reply line with bare line feed")
		}
		if len(line) > 0 && line[len(line)-1] == '\r' {
			return "", grammarError("reply line with bare carriage return")
		}
		if c != '\r' && c != '\t' && (c < ' ' || c > '~') {
			return "", grammarError("reply with octet that is no text")
		}
		if len(line) == maxReplyLine-1 {
			return "", grammarError("reply line too long")
		}
		line = append(line, c)
	}
}

func splitReply(line string) (code int, last bool, text string, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || line[1] < '0' || line[1] > '5' || line[2] < '0' || line[2] > '9' {
		return 0, false, "", false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if len(line) == 3 {
		return code, true, "", true
	}
	switch line[3] {
	case ' ':
		return code, true, line[4:], true
	case '-':
		return code, false, line[4:], true
	}
	return 0, false, "", false
}

// enhanced returns the status code of RFC 2034 at the start of text when its
// class is that of code.
func enhanced(code int, text string) string {
	if word := statusWord(text); word != "" && int(word[0]-'0') == code/100 {
		return word
	}
	return ""
}

// statusWord returns the first word of text if it has the form of a status code
// of RFC 3463 with class 2, 4 or 5.
func statusWord(text string) string {
	word, _, _ := strings.Cut(text, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 || parts[0] != "2" && parts[0] != "4" && parts[0] != "5" {
		return ""
	}
	for _, p := range parts[1:] {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return ""
		}
	}
	return word
}

// contradicts tells a reply that says taken with one of its codes and not taken
// with the other. RFC 2034 §4 wants their classes to agree.
func contradicts(r Reply) bool {
	for _, line := range r.Lines {
		if word := statusWord(line); word != "" && (word[0] == '2') != (r.class() == 2) {
			return true
		}
	}
	return false
}

// queueID finds the gateway's own name of a message in its last reply: the
// forms of Postfix, Exim and sendmail. It is a help for people, no evidence.
func queueID(r Reply) string {
	for _, line := range r.Lines {
		words := strings.Fields(line)
		for i, w := range words {
			switch {
			case strings.HasPrefix(w, "id=") && len(w) > 3:
				return w[3:]
			case strings.EqualFold(w, "queued") && i+2 < len(words) && strings.EqualFold(words[i+1], "as"):
				return words[i+2]
			case w == "Message" && i > 0 && i+1 < len(words) && words[i+1] == "accepted" && words[i-1] != r.Enhanced:
				return words[i-1]
			}
		}
	}
	return ""
}
