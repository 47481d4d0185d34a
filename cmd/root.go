// Package cmd is the command line of sandi: the cobra tree, a command or a noun per file.
//
// [Main] is the only entry. A command parses its flags, calls one method of the desk (or of the book, where that is enough) and
// renders what comes back; rules live elsewhere. Standard output carries results, standard error talk, questions go to the
// controlling terminal. Every error ends in (*app).fail, which finds its words and its exit status by its code.
package cmd

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sandi/agenda"
	"sandi/cmd/internal/config"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/messages"
	"sandi/cmd/internal/render"
	"sandi/cmd/internal/term"
	"sandi/cmd/internal/vault"
	"sandi/crypto"
	"sandi/mail"
)

// Hooks are what tests put in place of the machine. No flag and no variable sets them.
type Hooks struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// S2K is the cost of locking a new key; zero is the real one.
	S2K crypto.S2KCost
	// Dial reaches the gateway; nil means the network of the machine.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Place tells a file from its copies; nil means by the file system.
	Place func(path string) (string, error)

	folder string // the desk of the practice, when no flag names another
}

// app is one run of the program.
type app struct {
	term  *term.Term
	hooks Hooks
	lang  messages.Lang
	cat   *messages.Catalogue
	flags flags

	out, talk *render.SafeWriter // Out and Err of term, made safe
	running   bool               // a command's own code has begun: errors are no longer about usage
	command   string             // path of the command found, for messages
	warned    []render.Warning   // under --json, until an object takes them
}

// flags are those that every command has.
type flags struct {
	desk         string
	as           string
	json         bool
	dryRun       bool
	yes          bool
	quiet        bool
	lang         string
	passphraseFD int
	passwordFD   int
	clockOK      bool
}

// Main runs the program with the arguments after its name and returns the exit status. It never calls os.Exit.
func Main(args []string, t *term.Term, hooks Hooks) int {
	vault.Harden()
	lang, err := messages.Detect(langFlag(args), os.Getenv)
	a := &app{
		term:  t,
		hooks: hooks,
		lang:  lang,
		cat:   messages.For(lang),
		out:   render.NewSafeWriter(t.Out()),
		talk:  render.NewSafeWriter(t.Err()),
	}
	// What still waits for the rest of a character goes out escaped; a reader that left makes no difference now.
	defer func() { _ = errors.Join(a.out.Flush(), a.talk.Flush()) }()
	json := jsonFlag(args)
	a.cat = a.cat.In(a.thisYear())
	a.flags.json = json
	if err != nil {
		return a.fail(usageError("usage.language", "value", langOrEnv(args)))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first Ctrl-C asks the command to end between two durable steps, the second one ends the process.
	context.AfterFunc(ctx, stop)
	root := a.rootCommand()
	root.SetArgs(args)
	a.flags.json = json // for errors that come before the flag is read
	found, err := root.ExecuteContextC(ctx)
	if found != nil {
		a.command = found.CommandPath()
	}
	n := a.fail(err)
	if left := a.warningsOf(""); len(left) > 0 {
		// Nothing is left to tell an error of stderr to.
		_ = render.WriteJSON(a.term.Err(), render.Warnings{Schema: "sandi.warnings/1", Warnings: left})
	}
	return n
}

// jsonFlag finds --json before the flags are parsed: a flag before it may be wrong.
func jsonFlag(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.Contains(args, "--json")
}

// langFlag finds --lang before the flags are parsed: the words of the tree depend on it.
func langFlag(args []string) string {
	for i, arg := range args {
		if arg == "--" {
			return ""
		}
		name, ok := strings.CutPrefix(arg, "--")
		name, value, given := strings.Cut(name, "=")
		switch {
		case !ok || flagSynonym(nil, name) != "lang":
		case given:
			return value
		case i+1 < len(args):
			return args[i+1]
		}
	}
	return ""
}

func langOrEnv(args []string) string {
	if s := langFlag(args); s != "" {
		return s
	}
	return os.Getenv("SANDI_LANG")
}

// commands are the constructors of the tree's first level.
func (a *app) commands() []func() *cobra.Command {
	return []func() *cobra.Command{
		a.initCommand,
		a.officerCommand,
		a.applicantCommand,
		a.correspondentCommand,
		a.keyCommand,
		a.agendaCommand,
		a.printCommand,
		a.configCommand,
		a.helpCommand,
		a.versionCommand,
		a.encryptCommand,
		a.signCommand,
		a.sendCommand,
		a.archiveCommand,
		a.reportCommand,
		a.complaintCommand,
		a.openCommand,
		a.verifyCommand,
		a.demoCommand,
		a.doctorCommand,
		a.backupCommand,
		a.restoreCommand,
		a.manCommand,
	}
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "sandi",
		Short:         a.cat.Text("root.short"),
		RunE:          a.runGlance,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(a.term.In())
	root.SetOut(a.out)
	root.SetErr(a.talk)
	p := root.PersistentFlags()
	usage := func(name string) string { return a.cat.Text("root.flag." + name) }
	p.StringVar(&a.flags.desk, "desk", "", usage("desk"))
	p.StringVar(&a.flags.as, "as", "", usage("as"))
	p.BoolVar(&a.flags.json, "json", false, usage("json"))
	p.BoolVar(&a.flags.dryRun, "dry-run", false, usage("dry-run"))
	p.BoolVarP(&a.flags.yes, "yes", "y", false, usage("yes"))
	p.BoolVarP(&a.flags.quiet, "quiet", "q", false, usage("quiet"))
	p.StringVar(&a.flags.lang, "lang", "", usage("lang"))
	p.IntVar(&a.flags.passphraseFD, "passphrase-fd", -1, usage("passphrase-fd"))
	p.IntVar(&a.flags.passwordFD, "password-fd", -1, usage("password-fd"))
	p.BoolVar(&a.flags.clockOK, "clock-ok", false, usage("clock-ok"))
	// Commands with a --reason of their own shadow this one.
	p.String("reason", "", usage("reason"))
	p.BoolP("help", "h", false, usage("help"))
	for _, name := range []string{"passphrase-fd", "password-fd"} {
		p.Lookup(name).DefValue = "0" // not shown
	}
	root.SetGlobalNormalizationFunc(flagSynonym)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { a.writeHelp(c, a.out) })
	root.SetUsageFunc(func(c *cobra.Command) error {
		a.writeUsage(c, a.talk)
		return nil
	})
	for _, command := range a.commands() {
		c := command()
		if c.Name() == "help" {
			root.SetHelpCommand(c)
		}
		root.AddCommand(c)
	}
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Short, c.Hidden = a.cat.Text("completion.short"), true
		}
	}
	a.completions(root)
	a.prepare(root)
	return root
}

// prepare gives every command of the tree our own errors, the synonyms and a mark of where its code begins.
func (a *app) prepare(c *cobra.Command) {
	path := strings.TrimPrefix(c.CommandPath(), "sandi ")
	c.Aliases = append(c.Aliases, commandSynonyms[path]...)
	check := c.Args
	switch {
	case c.HasSubCommands() && check == nil:
		// A group takes its subcommands only; alone it shows its help, but for one that runs by itself.
		c.Args = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError("usage.unknown_command", "value", args[0], "command", c.CommandPath())
			}
			return nil
		}
	case check == nil:
		check = cobra.NoArgs
		fallthrough
	default:
		c.Args = func(c *cobra.Command, args []string) error {
			err := check(c, args)
			if err != nil && codeOf(err) == "" {
				return usageError("usage.arguments")
			}
			return err
		}
	}
	run, old := c.RunE, c.Run
	if old != nil && run == nil {
		run = func(c *cobra.Command, args []string) error {
			old(c, args)
			return nil
		}
		c.Run = nil
	}
	if run == nil {
		run = func(c *cobra.Command, _ []string) error {
			a.writeHelp(c, a.out)
			return nil
		}
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		a.running, a.command = true, c.CommandPath()
		if a.flags.json || a.flags.quiet {
			a.term.HideProgress()
		}
		return run(c, args)
	}
	for _, sub := range c.Commands() {
		a.prepare(sub)
	}
}

// messageError is an error of the command line itself. args are the pairs for its message.
type messageError struct {
	code string
	args []any
}

func (e *messageError) Error() string { return e.code }

// Code returns the stable code of the error.
func (e *messageError) Code() string { return e.code }

// Args returns the pairs for the error's message.
func (e *messageError) Args() []any { return e.args }

// usageError makes an error of code usage.… with the pairs for its message.
func usageError(code string, args ...any) error { return &messageError{code: code, args: args} }

// flagError turns what the flag parser says into our words.
func flagError(err error) error {
	var (
		unknown *pflag.NotExistError
		value   *pflag.InvalidValueError
		needs   *pflag.ValueRequiredError
		syntax  *pflag.InvalidSyntaxError
	)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return err
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			return usageError("usage.unknown_flag", "flag", "-"+name)
		}
		return usageError("usage.unknown_flag", "flag", "--"+name)
	case errors.As(err, &value):
		return usageError("usage.flag_value", "flag", "--"+value.GetFlag().Name)
	case errors.As(err, &needs):
		return usageError("usage.flag_needs_value", "flag", "--"+needs.GetFlag().Name)
	case errors.As(err, &syntax):
		return usageError("usage.unknown_flag", "flag", syntax.GetSpecifiedFlag())
	}
	return usageError("usage.other", "detail", err.Error())
}

var (
	requiredPattern  = regexp.MustCompile(`^required flag\(s\) "([^"]+)"`)
	exclusivePattern = regexp.MustCompile(`; \[([^]]+)\] were all set$`)
)

// fail tells an error and returns its exit status. It is the one place where an error becomes words.
func (a *app) fail(err error) int {
	if err != nil && !a.running && codeOf(err) == "" && !interrupted(err) {
		// Cobra's own: it has no types for these.
		if m := requiredPattern.FindStringSubmatch(err.Error()); m != nil {
			err = usageError("usage.flag_required", "flag", "--"+m[1])
		} else if m := exclusivePattern.FindStringSubmatch(err.Error()); m != nil {
			err = usageError("usage.flags_exclude", "value", "--"+strings.ReplaceAll(m[1], " ", ", --"))
		} else {
			err = usageError("usage.other", "detail", err.Error())
		}
	}
	n := exitStatus(err)
	var told status
	if err == nil || errors.As(err, &told) {
		return n
	}
	code, text := a.explain(err)
	if a.flags.json {
		// Nothing is left to tell an error of stderr to.
		object := render.NewError(code, text, retryOf(code), entryOf(err))
		object.Warnings = a.warningsOf(entryOf(err))
		_ = render.WriteJSON(a.term.Err(), object)
		return n
	}
	fmt.Fprintln(a.talk, text)
	return n
}

// explain returns the code of an error and its message.
func (a *app) explain(err error) (code, text string) {
	code = codeOf(err)
	switch {
	case interrupted(err):
		return "interrupted", a.cat.Text("interrupted")
	case code == "":
		return "unknown", a.cat.Text("error.unknown", "detail", errorText(err))
	}
	args := a.messageArgs(err)
	id := "error." + code
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] == "want" && a.cat.Has(id+"."+fmt.Sprint(args[i+1])) {
			id += "." + fmt.Sprint(args[i+1])
			break
		}
	}
	if !a.cat.Has(id) {
		return code, a.cat.Text("error.unknown", "detail", errorText(err))
	}
	return code, a.cat.Text(id, args...)
}

// maxShown is how much of a value a message repeats, in characters.
const maxShown = 300

// messageArgs collects the pairs for an error's message from the errors in its chain, the outermost first. What nobody says is
// filled with a word that stands for it, so that a next command reads like a pattern ("sandi sign AGENDA").
func (a *app) messageArgs(err error) []any {
	var pairs []any
	add := func(name, value string) {
		if value != "" {
			pairs = append(pairs, name, shortened(value, maxShown))
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		add("detail", a.cat.Text("detail.not_exist"))
	case errors.Is(err, fs.ErrPermission):
		add("detail", a.cat.Text("detail.permission"))
	case errors.Is(err, syscall.ENOSPC):
		add("detail", a.cat.Text("detail.full"))
	case errors.Is(err, syscall.ECONNREFUSED):
		add("detail", a.cat.Text("detail.no_connection"))
	case errors.Is(err, syscall.EROFS):
		add("detail", a.cat.Text("detail.read_only"))
	case errors.Is(err, desk.ErrFolder), errors.Is(err, syscall.EISDIR):
		add("detail", a.cat.Text("detail.folder"))
	case errors.Is(err, desk.ErrNotRegular):
		add("detail", a.cat.Text("detail.not_regular"))
	case errors.Is(err, desk.ErrPasswordCommand):
		add("detail", a.cat.Text("detail.password_command"))
	case errors.Is(err, desk.ErrClientPair):
		add("detail", a.cat.Text("detail.client_pair"))
	case errors.Is(err, desk.ErrOtherAddressee):
		add("detail", a.cat.Text("detail.other_addressee"))
	case errors.Is(err, desk.ErrOtherParts):
		add("detail", a.cat.Text("detail.other_parts"))
	case certificateDetail(err) != "":
		add("detail", a.cat.Text(certificateDetail(err)))
	}
	for _, e := range chain(err) {
		if own, ok := e.(interface{ Args() []any }); ok {
			pairs = append(pairs, own.Args()...)
		}
		switch e := e.(type) {
		case *agenda.Error:
			if e.Entry != (agenda.Name{}) {
				add("entry", a.entryName(e.Entry))
			}
			if e.State != "" {
				word := a.cat.State
				if e.Copy != 0 && e.Code() == "agenda.step_order" {
					word = a.cat.CopyState
				}
				add("state", word(string(e.State)))
			}
			add("want", string(e.Want))
			if errors.Is(e, agenda.ErrNotFound) || errors.Is(e, agenda.ErrInvalidField) || errors.Is(e, agenda.ErrLongField) {
				add("want", e.Field) // not every thing of the book is an entry, and some fields have choices
			}
			add("field", a.field(e.Field))
			add("value", e.Value)
			if e.Most > 0 {
				add("size", a.cat.Number(int64(e.Size)))
				add("most", a.cat.Number(int64(e.Most)))
			}
			add("detail", errorText(errors.Unwrap(e)))
		case *crypto.Error:
			add("name", shortFingerprint(string(e.Fingerprint)))
			add("detail", e.Detail)
			add("detail", errorText(e.Err))
		case *mail.Error:
			add("stage", e.Stage)
			if e.Reply != nil {
				add("detail", fmt.Sprint(e.Reply.Code)+" "+strings.Join(e.Reply.Lines, " "))
			}
			add("detail", errorText(e.Err))
			add("detail", e.Stage)
		case *vault.Error:
			add("path", e.Path)
			add("detail", e.Detail)
			add("detail", errorText(e.Err))
		case *vault.Fatal:
			add("detail", errorText(e.Err))
		case *desk.Error:
			if e.Entry != (agenda.Name{}) {
				add("entry", a.entryName(e.Entry))
			}
			if code := e.Code(); code == desk.CodePolicy || code == desk.CodeClassScan {
				add("field", a.cat.Class(e.Field))
			}
			for _, word := range []string{"word.state.", "word.copy."} {
				if a.cat.Has(word + e.Detail) {
					add("state", a.cat.Text(word+e.Detail))
				}
			}
			// want tells the cases of one code apart: the flag that is missing, else the detail.
			if flag, ok := strings.CutPrefix(e.Field, "--"); ok {
				add("want", flag)
			} else {
				add("want", e.Detail)
				add("name", e.Field)
				add("value", e.Field)
				add("path", e.Field)
			}
			add("field", e.Field)
			add("detail", e.Detail)
			add("detail", errorText(e.Err))
		case *desk.BackupKeyError:
			if e.Key == "" {
				add("want", "packet")
			}
			add("value", strings.Join(cmp.Or(e.Key, e.Packet).Groups(), " "))
			add("path", e.Source)
			add("key", e.File)
			if e.Check {
				add("how", "--dry-run")
			}
		case *config.Error:
			add("field", e.Key)
			add("detail", a.configDetail(e.Detail))
			add("detail", errorText(e.Err))
		}
	}
	for _, name := range []string{"entry", "field", "value", "name", "step", "until", "path", "detail", "stage", "flag", "state", "class", "key", "how", "size", "most", "line", "next"} {
		add(name, a.cat.Text("default."+name))
	}
	add("command", a.commandPath())
	return firstOfEach(pairs)
}

// certificateDetail is the message that says what is wrong with the certificate of the gateway, "" for any other error.
func certificateDetail(err error) string {
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.Is(err, mail.ErrNotPinned):
		return "detail.certificate_pin"
	case errors.As(err, &name):
		return "detail.certificate_name"
	case errors.As(err, &authority):
		return "detail.certificate_authority"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "detail.certificate_time"
	case errors.As(err, &invalid):
		return "detail.certificate_use"
	}
	return ""
}

// chain lists an error and all that it wraps, in the order of errors.As.
func chain(err error) []error {
	all := []error{err}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			all = append(all, chain(inner)...)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			all = append(all, chain(inner)...)
		}
	}
	return all
}

// firstOfEach keeps the first value of every name.
func firstOfEach(pairs []any) []any {
	var out []any
	seen := map[any]bool{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if !seen[pairs[i]] {
			seen[pairs[i]] = true
			out = append(out, pairs[i], pairs[i+1])
		}
	}
	return out
}

// errorText is an error in one line: of several that were joined each once.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	var parts []string
	for part := range strings.SplitSeq(err.Error(), "\n") {
		if part = strings.TrimSpace(part); part != "" && !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "; ")
}

// shortFingerprint is the end of a fingerprint, enough to find a key among a few.
func shortFingerprint(s string) string {
	if len(s) > 16 {
		s = s[len(s)-16:]
	}
	return strings.ToUpper(s)
}

// field is the screen's word for a field of the book.
func (a *app) field(name string) string {
	if id := "word.field." + name; a.cat.Has(id) {
		return a.cat.Text(id)
	}
	return name
}

func (a *app) commandPath() string {
	if a.command == "" {
		return "sandi"
	}
	return a.command
}

// entryOf is the name of the entry that an error is about, "" for none.
func entryOf(err error) string {
	var told *ofEntry
	if errors.As(err, &told) {
		return told.name.String()
	}
	var step *desk.Error
	if errors.As(err, &step) && step.Entry != (agenda.Name{}) {
		return step.Entry.String()
	}
	var book *agenda.Error
	if errors.As(err, &book) && book.Entry != (agenda.Name{}) {
		return book.Entry.String()
	}
	return ""
}

// now is the clock of this run.
func (a *app) now() time.Time {
	if a.hooks.Now != nil {
		return a.hooks.Now()
	}
	return time.Now()
}

// say talks on standard error. --quiet and --json silence it.
func (a *app) say(id string, args ...any) {
	if !a.flags.quiet && !a.flags.json {
		fmt.Fprintln(a.talk, a.cat.Text(id, args...))
	}
}

// sayWrapped says a line that may be longer than a screen is wide.
func (a *app) sayWrapped(text string) {
	if !a.flags.quiet && !a.flags.json {
		for _, line := range wrapped(text, maxColumns) {
			fmt.Fprintln(a.talk, line)
		}
	}
}

// maxColumns is how wide a line of words may be.
const maxColumns = 78

// warn talks on standard error also under --quiet. Under --json a warning stands in the object of the result, or of the error.
func (a *app) warn(id string, args ...any) { a.warnText(id, a.cat.Text(id, args...), args...) }

// warnText is warn with the words written out; of the arguments it is told which entry it is about.
func (a *app) warnText(code, text string, args ...any) {
	if !a.flags.json {
		fmt.Fprintln(a.talk, text)
		return
	}
	w := render.Warning{Code: code, Message: text}
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] == "entry" {
			w.Entry = render.Text(fmt.Sprint(args[i+1]))
		}
	}
	a.warned = append(a.warned, w)
}

// hint is warn for what --quiet silences.
func (a *app) hint(id string, args ...any) {
	if a.flags.json || !a.flags.quiet {
		a.warn(id, args...)
	}
}

// warningsOf takes the warnings about an entry, and those about none; all of them when no entry is named.
func (a *app) warningsOf(entry string) []render.Warning {
	var taken, left []render.Warning
	for _, w := range a.warned {
		if entry == "" || w.Entry == nil || *w.Entry == entry {
			taken = append(taken, w)
		} else {
			left = append(left, w)
		}
	}
	a.warned = left
	return taken
}

// print writes a line of the result on standard output. Under --json the result is an object, see (*app).result.
func (a *app) print(id string, args ...any) {
	if !a.flags.json {
		fmt.Fprintln(a.out, a.cat.Text(id, args...))
	}
}

// result writes the result on standard output: v as one line of JSON under --json, else what text writes.
func (a *app) result(v any, text func(w io.Writer)) error {
	if a.flags.json {
		return a.object(v)
	}
	text(a.out)
	return nil
}

// object writes a result as one line of JSON with the warnings about it.
func (a *app) object(v any) error {
	name := ""
	if e, ok := v.(render.Entry); ok {
		name = e.Name
	}
	return render.WriteResult(a.term.Out(), v, a.warningsOf(name))
}

// told ends a command whose errors have been told, with an exit status.
func (a *app) told(n int) error {
	if n == exitDone {
		return nil
	}
	return status(n)
}

// ask asks for a line. Off a terminal it is an error that names the flag to use instead.
func (a *app) ask(flag, id string, args ...any) (string, error) {
	s, err := a.term.Ask(a.cat.Text(id, args...))
	return s, a.unasked(err, flag)
}

// maxAsked is how often one question is asked.
const maxAsked = 5

// askUntil asks until accept takes the answer. Why it does not is told above the question that comes again; after the last time it
// is the command's error. What accept refuses for another reason than the answer is so at once.
func (a *app) askUntil(flag, prompt string, accept func(answer string) error) error {
	question := prompt
	for n := 1; ; n++ {
		answer, err := a.term.Ask(question)
		if err != nil {
			return a.unasked(err, flag)
		}
		if err = accept(answer); err == nil || n == maxAsked || exitStatus(err) != exitUsage {
			return err
		}
		_, why := a.explain(err)
		if codeOf(err) == "usage.flag_required" {
			why = a.cat.Text("prompt.required")
		}
		why = strings.TrimSuffix(why, "\n  "+a.commandPath()+" --help") // who is asked is past that
		question = why + "\n" + prompt
	}
}

// confirm asks a question that yes or no answers; --yes answers it. def is what Enter means.
func (a *app) confirm(def bool, id string, args ...any) (bool, error) {
	return a.confirmText(def, a.cat.Text(id, args...))
}

// confirmText is confirm with the question written out.
func (a *app) confirmText(def bool, question string) (bool, error) {
	if a.flags.yes {
		return true, nil
	}
	hint := "prompt.no_default"
	if def {
		hint = "prompt.yes_default"
	}
	yes, err := a.term.Confirm(question+" "+a.cat.Text(hint), a.cat.Yes, def)
	return yes, a.unasked(err, "--yes")
}

// passphrase returns the next passphrase: from --passphrase-fd, else asked with the message id, which names owner and purpose.
// The caller zeroes it.
func (a *app) passphrase(id string, args ...any) ([]byte, error) {
	return a.secret(a.flags.passphraseFD, "--passphrase-fd", id, args)
}

// password returns the mailbox password likewise, from --password-fd or asked.
func (a *app) password(id string, args ...any) ([]byte, error) {
	return a.secret(a.flags.passwordFD, "--password-fd", id, args)
}

func (a *app) secret(fd int, flag, id string, args []any) ([]byte, error) {
	if fd >= 0 {
		lines, err := a.term.SecretsFromFD(fd)
		if err != nil {
			return nil, err
		}
		return lines.Next()
	}
	secret, err := a.term.Secret(a.cat.Text(id, args...))
	return secret, a.unasked(err, flag)
}

// codeAnswerEnded is the code of a question that was left with Ctrl-D.
const codeAnswerEnded = "usage.answer_ended"

// unasked gives an error of the terminal the name of the flag that would have answered.
func (a *app) unasked(err error, flag string) error {
	switch {
	case errors.Is(err, term.ErrNoTerminal):
		return usageError("usage.answer_missing", "flag", flag)
	case errors.Is(err, term.ErrEnded):
		return usageError(codeAnswerEnded, "flag", flag)
	}
	return err
}

// nothingDone lets the error of a question that was left say that nothing was recorded.
func nothingDone(err error) error {
	var ended *messageError
	if errors.As(err, &ended) && ended.code == codeAnswerEnded {
		return usageError(codeAnswerEnded, append([]any{"want", "nothing"}, ended.args...)...)
	}
	return err
}

// deskPath is the desk folder: --desk, SANDI_DESK, else the user's data folder.
func (a *app) deskPath() (string, error) {
	for _, path := range []string{a.flags.desk, a.hooks.folder, os.Getenv("SANDI_DESK")} {
		if path != "" {
			return filepath.Abs(path)
		}
	}
	if data := dataFolder(runtime.GOOS, os.Getenv); data != "" {
		return filepath.Join(data, "sandi"), nil
	}
	return "", usageError("usage.no_home")
}

// dataFolder is where a system keeps the data of a user's programs.
func dataFolder(system string, env func(string) string) string {
	join := func(home string, elem ...string) string {
		if home == "" {
			return ""
		}
		return filepath.Join(append([]string{home}, elem...)...)
	}
	switch system {
	case "windows":
		return env("LOCALAPPDATA")
	case "darwin":
		return join(env("HOME"), "Library", "Application Support")
	}
	// A relative XDG_DATA_HOME is to be ignored (XDG Base Directory Specification).
	if data := env("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return data
	}
	return join(env("HOME"), ".local", "share")
}

// actor is the handle of the officer at work: --as, SANDI_AS, else the configuration's; "" leaves the choice to the desk.
func (a *app) actor(c *config.Config) string {
	for _, handle := range []string{a.flags.as, os.Getenv("SANDI_AS")} {
		if handle != "" {
			return handle
		}
	}
	if c != nil {
		return c.As
	}
	return ""
}

// useConfig takes the office's language when neither --lang nor SANDI_LANG asks for one. An office that sets it means its own
// screens, whatever locale the machine was installed with.
func (a *app) useConfig(c *config.Config) {
	if c.Language != "" && a.flags.lang == "" && os.Getenv("SANDI_LANG") == "" {
		a.lang = messages.Lang(c.Language)
		a.cat = messages.For(a.lang).In(a.thisYear())
	}
}

// clockReason is the reason with which a clock far ahead of the book is accepted; "" when it is not. --clock-ok needs --reason.
func (a *app) clockReason(c *cobra.Command) (string, error) {
	if !a.flags.clockOK {
		return "", nil
	}
	reason, err := c.Flags().GetString("reason")
	if err != nil || strings.TrimSpace(reason) == "" {
		return "", usageError("usage.flag_required", "flag", "--reason")
	}
	return reason, nil
}
