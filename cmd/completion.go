package cmd

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
)

// maxCompleted is how many entries a shell is offered: the newest.
const maxCompleted = 50

// completer offers words to the shell. Without a desk, or when anything fails, it offers none: a TAB is no place for errors.
type completer func(ctx context.Context, d *desk.Desk) ([]cobra.Completion, error)

// completedCommands are what the arguments of commands are, by path.
func (a *app) completedCommands() map[string]completer {
	entries := map[string][]agenda.State{
		"agenda assign": {agenda.StateRegistered}, "agenda attach": {agenda.StateRegistered, agenda.StateAttached},
		"agenda correct": nil, "agenda void": nil, "agenda show": nil,
		"encrypt": {agenda.StateRegistered, agenda.StateDrafted, agenda.StateSigned}, "sign": {agenda.StateDrafted, agenda.StateSigned},
		"send":    {agenda.StateSigned, agenda.StateAttached, agenda.StateReleased},
		"archive": {agenda.StateSent, agenda.StateReported}, "report result": {agenda.StateSent, agenda.StateArchived},
		"print slip": nil, "print draft": nil, "print receipt": nil, "open": nil,
		"print cover":  {agenda.StateReleased, agenda.StateSent, agenda.StateArchived, agenda.StateReported},
		"print result": {agenda.StateSent, agenda.StateArchived, agenda.StateReported},
	}
	all := map[string]completer{}
	for path, states := range entries {
		all[path] = a.completeEntries(states, slices.Contains([]string{"agenda show", "agenda void", "send", "archive"}, path))
	}
	for _, path := range []string{"correspondent edit", "correspondent end", "correspondent show", "correspondent confirm", "correspondent check"} {
		all[path] = completeCorrespondents
	}
	for _, path := range []string{"officer role", "officer act", "officer end", "key export"} {
		all[path] = completeOfficers
	}
	all["applicant edit"], all["applicant end"] = completeApplicants, completeApplicants
	return all
}

// words offers what does not depend on the desk.
func words(list ...string) completer {
	return func(context.Context, *desk.Desk) ([]cobra.Completion, error) { return list, nil }
}

// completedFlags are what the values of flags are, by name; those of roles are roles.
func (a *app) completedFlags() map[string]completer {
	return map[string]completer{
		"to": completeCorrespondents, "cc": completeCorrespondents, "applicant": completeApplicants, "as": completeOfficers,
		"person": completeOfficers, "like": a.completeEntries(nil, false), "refers": a.completeEntries(nil, false), "retracts": a.completeEntries(nil, false),
		"class":   words(string(agenda.ClassBiasa), string(agenda.ClassTerbatas), string(agenda.ClassRahasia), string(agenda.ClassSangatRahasia)),
		"urgency": words(string(agenda.UrgencyBiasa), string(agenda.UrgencySegera), string(agenda.UrgencySangatSegera)),
		"book":    words(string(agenda.Kriptogram), string(agenda.Surat)),
		"role":    words(string(agenda.RoleSandiman), string(agenda.RoleOperator), string(agenda.RoleKepalaSeksi), string(agenda.RoleKepalaBidang), string(agenda.RoleKepalaDinas)),
		"kind":    words("tetap", "plh", "plt"), "tls": words("implicit", "starttls", "none"), "lang": words("id", "en"),
	}
}

// completions gives the whole tree its completions.
func (a *app) completions(root *cobra.Command) {
	commands, flags := a.completedCommands(), a.completedFlags()
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		path := strings.TrimPrefix(c.CommandPath(), "sandi ")
		if of := commands[path]; of != nil {
			c.ValidArgsFunction = a.offer(of, fileAfterName[path])
		}
		for name, of := range flags {
			local := c.Flags().Lookup(name) // cobra merges those of the parents only when it parses
			if c == root {
				local = c.PersistentFlags().Lookup(name)
			}
			if local == nil || of == nil {
				continue
			}
			switch {
			case name != "to":
			case path == "agenda assign":
				of = flags["role"]
			case path == "report result", path == "print result":
				of = words(desk.ToHead, desk.ToApplicant)
			}
			// A flag is completed once: the tree is built once.
			_ = c.RegisterFlagCompletionFunc(name, a.offer(of, false))
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

// fileAfterName are the commands whose later arguments are files.
var fileAfterName = map[string]bool{"agenda attach": true, "encrypt": true, "open": true}

// offer turns a completer into what cobra asks for.
func (a *app) offer(of completer, filesAfter bool) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if filesAfter && len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		ctx := c.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		c.SetContext(ctx)
		d, err := a.openDesk(c, true)
		if err != nil {
			d = nil
		} else {
			defer d.Close()
		}
		words, err := of(ctx, d)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		// In a list the last word is being typed.
		prefix := ""
		if i := strings.LastIndexByte(typed, ','); i >= 0 {
			prefix = typed[:i+1]
		}
		var list []cobra.Completion
		for _, w := range words {
			if strings.HasPrefix(strings.ToLower(prefix+w), strings.ToLower(typed)) {
				list = append(list, prefix+w)
			}
		}
		directive := cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		if c.CommandPath() == "sandi open" {
			directive = cobra.ShellCompDirectiveDefault
		}
		return list, directive
	}
}

var errNoWords = errors.New("nothing to offer")

// completeEntries offers the newest entries in one of the states, with the applicant and the state; never a subject. mailed offers
// reports by e-mail too.
func (a *app) completeEntries(states []agenda.State, mailed bool) completer {
	return func(ctx context.Context, d *desk.Desk) ([]cobra.Completion, error) {
		if d == nil {
			return nil, errNoWords
		}
		list, err := d.Book.List(ctx, agenda.Filter{States: states, Newest: true, Limit: maxCompleted, Mailed: mailed})
		var words []cobra.Completion
		for _, e := range list {
			who, state := e.Letter.Applicant, a.cat.State(string(e.State))
			if e.Mailed != nil {
				who, state = e.Copies[0].Handle, a.stateWords(e)
			}
			words = append(words, cobra.CompletionWithDesc(a.entryName(e.Name), who+", "+state))
		}
		return words, err
	}
}

func completeCorrespondents(ctx context.Context, d *desk.Desk) ([]cobra.Completion, error) {
	if d == nil {
		return nil, errNoWords
	}
	list, err := d.Book.Correspondents(ctx)
	var words []cobra.Completion
	for _, c := range list {
		if !c.Ended {
			words = append(words, cobra.CompletionWithDesc(c.Handle, c.Unit))
		}
	}
	for _, g := range d.Config.Groups {
		words = append(words, cobra.CompletionWithDesc("@"+g.Name, strings.Join(g.Members, ", ")))
	}
	return words, err
}

func completeOfficers(ctx context.Context, d *desk.Desk) ([]cobra.Completion, error) {
	if d == nil {
		return nil, errNoWords
	}
	list, err := d.Book.Officers(ctx, d.Now())
	var words []cobra.Completion
	for _, o := range list {
		words = append(words, cobra.CompletionWithDesc(o.Handle, o.Title))
	}
	return words, err
}

func completeApplicants(ctx context.Context, d *desk.Desk) ([]cobra.Completion, error) {
	if d == nil {
		return nil, errNoWords
	}
	list, err := d.Book.Applicants(ctx)
	var words []cobra.Completion
	for _, p := range list {
		if !p.Ended {
			words = append(words, cobra.CompletionWithDesc(p.Handle, p.Unit))
		}
	}
	return words, err
}
