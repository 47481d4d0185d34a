package mail

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/emersion/go-mbox"
)

// AppendMbox appends one message to the archive box and syncs it. f is the box,
// open for reading and writing; message is read twice from its current
// position. It returns the extent of what was appended: the separator line, the
// message with LF line ends and the empty lines behind it.
//
// Before anything is written, a message is refused (code mail.content) that an
// mbox cannot keep unchanged: one with a line that begins "From " after any
// number of ">", or that Transmit would not send. A box that does not end in an
// empty line is refused too (mail.mbox).
//
// A crash or an error after that leaves a tail behind the last recorded extent,
// perhaps a whole message; the caller moves it aside before the next call.
// After an error of the sync nothing may be assumed of the file.
func AppendMbox(f *os.File, from Address, at time.Time, message io.ReadSeeker) (offset, length int64, err error) {
	extents, err := AppendMboxAll(f, from, []MboxMessage{{At: at, Message: message}})
	if err != nil {
		return 0, 0, err
	}
	return extents[0].Offset, extents[0].Length, nil
}

// MboxMessage is a message for the archive box.
type MboxMessage struct {
	At      time.Time
	Message io.ReadSeeker
}

// Extent is where a message lies in the archive box, in octets.
type Extent struct{ Offset, Length int64 }

// AppendMboxAll is AppendMbox for several messages with one sync. All are
// checked before the first is written; a crash leaves a part of them.
func AppendMboxAll(f *os.File, from Address, messages []MboxMessage) ([]Extent, error) {
	if from == (Address{}) {
		return nil, fault(CodeAddress, "mbox", "no address")
	}
	buf := buffers.Get().(*mboxBuffers)
	defer buffers.Put(buf)
	for _, m := range messages {
		if m.At.IsZero() {
			return nil, fault(CodeContent, "mbox", "no time")
		}
		start, err := m.Message.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, fmt.Errorf("message for mbox: %w", err)
		}
		if err := guardMbox(m.Message, buf.block); err != nil {
			return nil, err
		}
		if _, err := m.Message.Seek(start, io.SeekStart); err != nil {
			return nil, fmt.Errorf("message for mbox: %w", err)
		}
	}
	offset, err := endOfMbox(f)
	if err != nil {
		return nil, err
	}
	buf.out.Reset(f)
	defer buf.out.Reset(nil)
	out := &counter{out: buf.out, n: offset}
	extents := make([]Extent, len(messages))
	for i, m := range messages {
		extents[i].Offset = out.n
		if err := writeMbox(out, from, m, buf.block[:8<<10]); err != nil {
			return nil, fmt.Errorf("append to mbox: %w", err)
		}
		extents[i].Length = out.n - extents[i].Offset
	}
	if err := out.out.Flush(); err != nil {
		return nil, fmt.Errorf("append to mbox: %w", err)
	}
	if err := syncData(f); err != nil {
		return nil, fmt.Errorf("append to mbox: %w", err)
	}
	return extents, nil
}

// writeMbox writes a message as it stands in a box.
func writeMbox(out io.Writer, from Address, m MboxMessage, piece []byte) error {
	// A writer of its own for every message: it ends one only when it is
	// closed or begins the next.
	box := mbox.NewWriter(out)
	w, err := box.CreateMessage(from.String(), m.At)
	if err == nil {
		// In small pieces, since the writer keeps each until its lines are out;
		// a source that wrote itself would come in one piece.
		_, err = io.CopyBuffer(w, struct{ io.Reader }{m.Message}, piece)
	}
	if err == nil {
		err = box.Close()
	}
	return err
}

// mboxBuffers is the working space of one append. A box is appended to once a
// letter, and clearing new space would cost more than the writing.
type mboxBuffers struct {
	out   *bufio.Writer
	block []byte
}

var buffers = sync.Pool{New: func() any {
	return &mboxBuffers{bufio.NewWriterSize(nil, 64<<10), make([]byte, 64<<10)}
}}

// endOfMbox goes to the end of the box and sees that a message may follow.
func endOfMbox(f *os.File) (int64, error) {
	offset, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, fmt.Errorf("end of mbox: %w", err)
	}
	if offset == 0 {
		return 0, nil
	}
	var tail [2]byte
	if offset < 2 {
		return 0, fault(CodeMbox, "mbox", "box that does not end in an empty line")
	}
	if _, err := f.ReadAt(tail[:], offset-2); err != nil {
		return 0, fmt.Errorf("end of mbox: %w", err)
	}
	if string(tail[:]) != "\n\n" {
		return 0, fault(CodeMbox, "mbox", "box that does not end in an empty line")
	}
	return offset, nil
}

// counter counts what is written.
type counter struct {
	out *bufio.Writer
	n   int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.out.Write(p)
	c.n += int64(n)
	return n, err
}

// guardMbox reads the message and refuses what an mbox would change.
func guardMbox(r io.Reader, buf []byte) error {
	_, err := eachBlock(r, buf, func(block []byte) error {
		// By the blank, which base64 has none of; "F" would be found in every line.
		for at := 0; ; at++ {
			i := bytes.IndexByte(block[at:], ' ')
			if i < 0 {
				return nil
			}
			at += i
			if bytes.HasSuffix(block[:at], []byte("From")) && fromLine(block[bytes.LastIndexByte(block[:at], '\n')+1:]) {
				return fault(CodeContent, "mbox", "line that begins with From")
			}
		}
	})
	return err
}

// CheckMbox checks that the extent of a box holds the frozen message. Both are
// compared in one canonical form: a separator line in front of the box's copy
// removed, every line end CRLF, the line ends at the end trimmed to one. A
// difference, or an extent that is not there, has code mail.mbox.
func CheckMbox(box io.ReaderAt, offset, length int64, frozen io.Reader) error {
	if offset < 0 || length <= 0 {
		return fault(CodeMbox, "mbox", "no extent")
	}
	var last [1]byte
	if _, err := box.ReadAt(last[:], offset+length-1); err == io.EOF {
		return fault(CodeMbox, "mbox", "box shorter than the extent")
	} else if err != nil {
		return fmt.Errorf("mbox: %w", err)
	}
	kept := bufio.NewReaderSize(io.NewSectionReader(box, offset, length), 64<<10)
	separator, err := kept.ReadSlice('\n')
	if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
		return fmt.Errorf("mbox: %w", err)
	}
	if err != nil || !bytes.HasPrefix(separator, []byte("From ")) {
		return fault(CodeMbox, "mbox", "no separator line at the extent")
	}
	same, err := sameText(&crlfReader{r: kept}, &crlfReader{r: bufio.NewReaderSize(frozen, 64<<10)})
	if err != nil {
		return fmt.Errorf("mbox: %w", err)
	}
	if !same {
		return fault(CodeMbox, "mbox", "message not the one that was sent")
	}
	return nil
}

// CheckMboxTime checks that the separator line at the offset of a box ends in
// the time that AppendMbox wrote there, of whatever address it is. A difference
// has code mail.mbox.
func CheckMboxTime(box io.ReaderAt, offset int64, at time.Time) error {
	line, err := bufio.NewReaderSize(io.NewSectionReader(box, offset, maxSeparator), maxSeparator).ReadBytes('\n')
	if err != nil && err != io.EOF {
		return fmt.Errorf("mbox: %w", err)
	}
	if !bytes.HasPrefix(line, []byte("From ")) || !bytes.HasSuffix(line, []byte(" "+at.UTC().Format(time.ANSIC)+"\n")) {
		return fault(CodeMbox, "mbox", "separator line of another time")
	}
	return nil
}

// maxSeparator is longer than any separator line that AppendMbox writes.
const maxSeparator = 512

// MatchMbox tells whether box begins with what AppendMbox writes for a message,
// and returns its length; a box that ends within it matches as far as it goes.
// 0: something else lies there.
func MatchMbox(box io.Reader, from Address, m MboxMessage) (int64, error) {
	match := &mboxMatch{box: bufio.NewReaderSize(box, 64<<10)}
	err := writeMbox(match, from, m, make([]byte, 8<<10))
	switch {
	case match.differs:
		return 0, nil
	case err != nil && !errors.Is(err, io.EOF):
		return 0, fmt.Errorf("mbox: %w", err)
	}
	return match.n, nil
}

// mboxMatch compares what is written with a box; a write fails with io.EOF
// when either ends it.
type mboxMatch struct {
	box     *bufio.Reader
	piece   []byte
	n       int64 // octets that are the same
	differs bool
}

func (m *mboxMatch) Write(p []byte) (int, error) {
	m.piece = append(m.piece[:0], p...)
	n, err := io.ReadFull(m.box, m.piece)
	m.n += int64(n)
	if m.differs = !bytes.Equal(m.piece[:n], p[:n]); m.differs || errors.Is(err, io.ErrUnexpectedEOF) {
		return n, io.EOF
	}
	return n, err
}

// FindMbox returns where the messages of a box may begin, which is at every
// separator line in front of a Message-ID, by that ID without its brackets.
func FindMbox(box io.Reader) (map[string][]int64, error) {
	lines := bufio.NewReaderSize(box, 64<<10)
	found := map[string][]int64{}
	start, at := int64(-1), int64(0)
	folded := false // the ID stands on the next line
	for whole := true; ; {
		line, err := lines.ReadSlice('\n')
		value, ok := bytes.CutPrefix(line, []byte("Message-ID:"))
		if folded {
			value = line
		}
		switch {
		case !whole: // the rest of a long line
		case bytes.HasPrefix(line, []byte("From ")):
			start, folded = at, false
		case start >= 0 && (ok || folded):
			id := bytes.Trim(value, "<> \r\n")
			if folded = len(id) == 0; !folded {
				found[string(id)] = append(found[string(id)], start)
				start = -1
			}
		}
		at += int64(len(line))
		whole = err == nil
		switch {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("mbox: %w", err)
		}
	}
}

// sameText compares two texts up to the line ends at their ends.
func sameText(a, b io.Reader) (bool, error) {
	x, y := make([]byte, 32<<10), make([]byte, 32<<10)
	for {
		n, xerr := io.ReadFull(a, x)
		m, yerr := io.ReadFull(b, y)
		for _, err := range []error{xerr, yerr} {
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return false, err
			}
		}
		if n == m && bytes.Equal(x[:n], y[:m]) {
			if xerr != nil || yerr != nil {
				break
			}
			continue
		}
		k := 0
		for k < n && k < m && x[k] == y[k] {
			k++
		}
		if !lineEnds(x[k:n]) || !lineEnds(y[k:m]) {
			return false, nil
		}
		break
	}
	// At least one text has ended, or only line ends may follow in both.
	for _, r := range []io.Reader{a, b} {
		for {
			n, err := r.Read(x)
			if !lineEnds(x[:n]) {
				return false, nil
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

func lineEnds(p []byte) bool { return len(bytes.Trim(p, "\r\n")) == 0 }
