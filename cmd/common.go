package cmd

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
)

// thisYear is the calendar year of the books: a name without a year is of it.
func (a *app) thisYear() int { return a.now().In(agenda.WIB).Year() }

// name reads the name of one entry of the two books.
func (a *app) name(arg string) (agenda.Name, error) {
	n, err := a.oneName(arg)
	if err == nil {
		err = letterOnly(n)
	}
	return n, err
}

// oneName is name, of a report by e-mail too.
func (a *app) oneName(arg string) (agenda.Name, error) {
	n, err := agenda.ParseName(arg, a.thisYear())
	if list, _ := agenda.ParseNames([]string{arg}, a.thisYear()); len(list) > 1 {
		err = usageError("usage.one_entry", "value", arg)
	}
	return n, err
}

// letterOnly refuses a report by e-mail where only a letter can be meant.
func letterOnly(n agenda.Name) error {
	if n.Book == agenda.Laporan {
		return usageError("usage.report_name", "entry", n)
	}
	return nil
}

// names reads names of the two books, lists and ranges; "-" takes them from standard input. None is an error.
func (a *app) names(args []string) ([]agenda.Name, error) {
	list, err := a.allNames(args)
	for _, n := range list {
		if err == nil {
			err = letterOnly(n)
		}
	}
	return list, err
}

// allNames is names, of reports by e-mail too.
func (a *app) allNames(args []string) ([]agenda.Name, error) {
	var words []string
	for _, arg := range args {
		if arg != "-" {
			words = append(words, arg)
			continue
		}
		lines := bufio.NewScanner(a.term.In())
		for lines.Scan() {
			words = append(words, strings.Fields(lines.Text())...)
		}
		if err := lines.Err(); err != nil {
			return nil, err
		}
	}
	list, err := agenda.ParseNames(words, a.thisYear())
	if err == nil && len(list) == 0 {
		err = usageError("usage.no_entry")
	}
	return list, err
}

// each runs a step for every entry. One that is refused is told and does not stop the others; the exit status is that of the
// batch. A single entry's error is the command's.
func (a *app) each(ctx context.Context, names []agenda.Name, step func(agenda.Name) error) error {
	if len(names) == 1 {
		return entryError(names[0], step(names[0]))
	}
	b := a.newBatch()
	for _, n := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		b.tell(n, step(n))
	}
	return b.end()
}

// batch collects what became of each entry of a command.
type batch struct {
	a        *app
	statuses []int
	refused  []refusedJSON
}

// refusedJSON is an entry in the summary of a batch.
type refusedJSON struct {
	Entry  string `json:"entry"`
	Code   string `json:"code"`
	Status int    `json:"exit_status"` // that the entry alone would have given
	Retry  string `json:"retry"`
}

type refusalsJSON struct {
	Schema  string        `json:"schema"` // sandi.refused/1
	Entries int           `json:"entries"`
	Done    int           `json:"done"`
	Status  int           `json:"exit_status"`
	Refused []refusedJSON `json:"refused"`
}

func (a *app) newBatch() *batch { return &batch{a: a} }

// tell takes the outcome of an entry and tells its error.
func (b *batch) tell(n agenda.Name, err error) {
	b.note(n, err, b.a.fail(entryError(n, err)))
}

// note takes the outcome of an entry whose error is told in another way; under --json there is none.
func (b *batch) note(n agenda.Name, err error, status int) {
	b.statuses = append(b.statuses, status)
	if err != nil {
		code, _ := b.a.explain(err)
		b.refused = append(b.refused, refusedJSON{n.String(), code, status, retryOf(code)})
	}
}

// end closes the batch with its exit status. Under --json the last line of standard error sums up what was refused and why.
func (b *batch) end() error {
	status := batchStatus(b.statuses)
	if b.a.flags.json && len(b.refused) > 0 {
		// Nothing is left to tell an error of stderr to.
		_ = render.WriteJSON(b.a.term.Err(), refusalsJSON{
			"sandi.refused/1", len(b.statuses), len(b.statuses) - len(b.refused), status, b.refused,
		})
	}
	return b.a.told(status)
}

// ofEntry is an error of a step for an entry, whoever refused it.
type ofEntry struct {
	name agenda.Name
	err  error
}

func entryError(n agenda.Name, err error) error {
	if err == nil {
		return nil
	}
	return &ofEntry{n, err}
}

func (e *ofEntry) Error() string { return e.err.Error() }

func (e *ofEntry) Unwrap() error { return e.err }

// Args returns the pairs for the error's message.
func (e *ofEntry) Args() []any { return []any{"entry", e.name} }

// wouldDo is the result under --json of steps that were only checked. schema is that of the step done.
func (a *app) wouldDo(schema string, names ...agenda.Name) error {
	v := struct {
		Schema  string   `json:"schema"`
		DryRun  bool     `json:"dry_run"`
		Entries []string `json:"entries"`
	}{schema, true, make([]string, 0, len(names))}
	for _, n := range names {
		v.Entries = append(v.Entries, n.String())
	}
	return a.result(v, func(io.Writer) {})
}

// ranges writes names as people do: "K42-K44, S1". A year is written where it is not the given one.
func ranges(names []agenda.Name, year int) string {
	names = slices.Clone(names)
	slices.SortFunc(names, byName)
	var parts []string
	for i := 0; i < len(names); {
		j := i
		for j+1 < len(names) && follows(names[j], names[j+1]) {
			j++
		}
		s := names[i].String()
		if j > i {
			s += "-" + names[j].String()
		}
		if names[i].Year != year {
			s += "/" + strconv.Itoa(names[i].Year)
		}
		parts = append(parts, s)
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

// byName orders names by book, year and serial.
func byName(x, y agenda.Name) int {
	return cmp.Or(cmp.Compare(x.Book, y.Book), cmp.Compare(x.Year, y.Year), cmp.Compare(x.Serial, y.Serial))
}

// follows tells whether y is the entry after x in its book.
func follows(x, y agenda.Name) bool {
	return y.Book == x.Book && y.Year == x.Year && y.Serial == x.Serial+1
}

// describe fills in the texts of a command from the messages <id>.short, .long and .example; the words after its name come from
// <id>.args. The id is the command's path with points for the blanks.
func (a *app) describe(path string, c *cobra.Command) *cobra.Command {
	id := strings.ReplaceAll(path, " ", ".")
	if a.cat.Has(id + ".args") {
		c.Use += " " + a.cat.Text(id+".args")
	}
	c.Short = a.cat.Text(id + ".short")
	if a.cat.Has(id + ".long") {
		c.Long = a.cat.Text(id + ".long")
	}
	if a.cat.Has(id + ".example") {
		c.Example = a.cat.Text(id + ".example")
	}
	return c
}

// stringFlags adds text flags with the usage messages flag.<area>.<name>.
func (a *app) stringFlags(c *cobra.Command, area string, names ...string) {
	for _, name := range names {
		c.Flags().String(name, "", a.cat.Text("flag."+area+"."+name))
	}
}

// flag is the value of a text flag of the command.
func flag(c *cobra.Command, name string) string {
	s, _ := c.Flags().GetString(name)
	return strings.TrimSpace(s)
}

// maxText bounds what is read of a text from a file or from standard input, in octets. How long a text may be the book knows.
const maxText = 1 << 20

// text is the value of a text flag as one line: the words themselves (typed, and so in the shell's history), "-" for standard
// input, "@FILE" for a file.
func (a *app) text(c *cobra.Command, name string) (text string, typed bool, err error) {
	value := flag(c, name)
	path, isFile := strings.CutPrefix(value, "@")
	var data []byte
	switch {
	case value == "-":
		data, err = io.ReadAll(io.LimitReader(a.term.In(), maxText+1))
	case isFile:
		data, err = readSmall(path, maxText+1)
	default:
		return value, true, nil
	}
	if len(data) > maxText {
		return "", false, usageError("usage.text_long", "flag", "--"+name, "value", value, "most", a.cat.Size(maxText))
	}
	if err != nil {
		return "", false, errors.Join(usageError("usage.text_file", "flag", "--"+name, "value", value), err)
	}
	if !utf8.Valid(data) {
		return "", false, usageError("usage.text_file", "flag", "--"+name, "value", value, "detail", a.cat.Text("import.why.encoding"))
	}
	return strings.Join(strings.Fields(strings.TrimPrefix(string(data), "\ufeff")), " "), false, nil
}

func readSmall(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, limit))
}

// needText is need for a flag that text reads; a text without a word is none.
func (a *app) needText(c *cobra.Command, name, id string) (string, error) {
	if flag(c, name) == "" {
		return a.need(c, name, id)
	}
	s, _, err := a.text(c, name)
	if err == nil && s == "" {
		err = emptyText(name, flag(c, name))
	}
	return s, err
}

// emptyText is the error of a text flag that holds no word, or whose file holds none.
func emptyText(name, value string) error {
	if value == "-" || strings.HasPrefix(value, "@") {
		return usageError("usage.text_empty", "flag", "--"+name, "value", value)
	}
	return usageError("usage.flag_required", "flag", "--"+name)
}

// given refuses flags that are there without a value, most often from a variable of a script that was empty: the command would do
// what it does without them.
func given(c *cobra.Command, names ...string) error {
	for _, name := range names {
		if c.Flags().Changed(name) && strings.TrimSpace(c.Flag(name).Value.String()) == "" {
			return usageError("usage.flag_needs_value", "flag", "--"+name)
		}
	}
	return nil
}

// need returns the value of a text flag, asked with the message id when it is missing.
func (a *app) need(c *cobra.Command, name, id string, args ...any) (string, error) {
	var value string
	err := a.needUntil(c, name, id, func(s string) error {
		value = s
		return nil
	}, args...)
	return value, err
}

// needUntil is need for a flag that is not just any text: an answer that accept refuses is asked for again.
func (a *app) needUntil(c *cobra.Command, name, id string, accept func(string) error, args ...any) error {
	if s := flag(c, name); s != "" {
		return accept(s)
	}
	err := a.askUntil("--"+name, a.cat.Text(id, args...), func(s string) error {
		if s == "" {
			return usageError("usage.flag_required", "flag", "--"+name)
		}
		return accept(s)
	})
	return nothingDone(err) // needs are asked for before anything is done
}

// newPassphrase returns the passphrase for a new key: asked twice, or one line of --passphrase-fd. The message ids name owner and
// purpose; both have the same arguments.
func (a *app) newPassphrase(id, again string, args ...any) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) {
		if a.flags.passphraseFD >= 0 {
			return a.passphrase(id, args...)
		}
		for range 3 {
			first, err := a.passphrase(id, args...)
			if err != nil {
				return nil, err
			}
			second, err := a.passphrase(again, args...)
			if err != nil {
				clear(first)
				return nil, err
			}
			same := len(first) > 0 && slices.Equal(first, second)
			clear(second)
			if same {
				return first, nil
			}
			clear(first)
			a.warn("people.passphrase.again")
		}
		return nil, usageError("usage.passphrases_differ")
	}
}

// wrapped breaks a text at blanks into lines of at most the given columns.
func wrapped(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// errNoDesk tells whether there is no desk at all.
func errNoDesk(err error) bool { return errors.Is(err, desk.Refusal(desk.CodeNone)) }

// future refuses an instant that has not come yet; a minute is granted, since clerks type whole minutes.
func future(t, now time.Time, name string) error {
	if t.After(now.Add(time.Minute)) {
		return usageError("usage.future", "flag", "--"+name)
	}
	return nil
}

// reason is the command's --reason, asked with the message id when it is missing.
func (a *app) reason(c *cobra.Command, id string) (string, error) { return a.need(c, "reason", id) }

// form is a list of names and values under each other; long values go on below.
type form struct{ rows [][2]string }

func (f *form) add(name, value string) {
	f.rows = append(f.rows, [2]string{name, render.Safe(value)})
}

func (f *form) write(w io.Writer) {
	width := 0
	for _, r := range f.rows {
		width = max(width, render.Columns(r[0]))
	}
	for _, r := range f.rows {
		name := r[0]
		lines := []string{r[1]}
		if room := render.Width - width - 3; render.Columns(r[1]) > room {
			lines = wrapped(r[1], room)
		}
		for _, line := range lines {
			fmt.Fprintf(w, " %-*s  %s\n", width, name, line)
			name = ""
		}
	}
}
