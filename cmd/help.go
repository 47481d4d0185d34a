package cmd

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sandi/cmd/internal/render"
)

// version is set by the linker; a plain `go build` takes the module's.
var version = ""

// topic is a help text that belongs to no command. Its one-line description is the message topic.<name>.short.
type topic struct {
	name  string
	write func(a *app, w io.Writer)
}

// topics is the registry behind `sandi help TOPIC`.
var topics = []topic{
	{"exit-status", (*app).helpExitStatus},
	{"states", (*app).helpStates},
	{"security", helpText("topic.security.text")},
	{"scripting", helpText("topic.scripting.text")},
}

func (a *app) helpExitStatus(w io.Writer) {
	fmt.Fprintln(w, a.cat.Text("topic.exit-status.head"))
	table := render.Table{Align: []render.Align{render.Right}}
	for _, n := range exitStatuses {
		table.Add(fmt.Sprint(n), a.cat.Text(fmt.Sprintf("status.%d", n)))
	}
	_, _ = table.WriteTo(w)
	fmt.Fprintln(w, a.cat.Text("topic.exit-status.batch"))
}

func (a *app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [" + a.cat.Text("default.command_or_topic") + "]",
		Short: a.cat.Text("help.short"),
		Args:  cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				for _, t := range topics {
					if t.name == args[0] {
						t.write(a, a.out)
						return nil
					}
				}
			}
			found, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usageError("usage.unknown_topic", "value", strings.Join(args, " "))
			}
			a.writeHelp(found, a.out)
			return nil
		},
	}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: a.cat.Text("version.short"),
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Schema  string `json:"schema"`
				Version string `json:"version"`
				Go      string `json:"go"`
				OS      string `json:"os"`
				Arch    string `json:"arch"`
			}{"sandi.version/1", versionText(), runtime.Version(), runtime.GOOS, runtime.GOARCH}
			return a.result(v, func(w io.Writer) {
				fmt.Fprintln(w, a.cat.Text("version", "version", v.Version, "system", v.OS+"/"+v.Arch, "go", v.Go))
			})
		},
	}
}

func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "devel"
}

// writeHelp is the whole help of a command, in our words instead of cobra's.
func (a *app) writeHelp(c *cobra.Command, w io.Writer) {
	text := c.Long
	if text == "" {
		text = c.Short
	}
	if text != "" {
		fmt.Fprintf(w, "%s\n\n", strings.TrimSpace(text))
	}
	a.writeUsage(c, w)
}

// writeUsage is how a command is called, its subcommands and flags.
func (a *app) writeUsage(c *cobra.Command, w io.Writer) {
	fmt.Fprintln(w, a.cat.Text("root.usage"))
	line := c.CommandPath()
	if c.HasAvailableSubCommands() {
		line += " " + a.cat.Text("root.subcommand")
	} else if _, args, ok := strings.Cut(c.Use, " "); ok {
		line += " " + args
	}
	fmt.Fprintf(w, "  %s [flag]\n", line)
	if c.Example != "" {
		fmt.Fprintf(w, "\n%s\n%s\n", a.cat.Text("root.examples"), strings.TrimRight(c.Example, "\n"))
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n%s\n", a.cat.Text("root.commands"))
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(w, "  %-*s  %s\n", sub.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	a.writeFlags(w, "root.flags", c.LocalNonPersistentFlags())
	if !c.HasParent() {
		fmt.Fprintf(w, "\n%s\n", a.cat.Text("root.topics"))
		for _, t := range topics {
			fmt.Fprintf(w, "  %-*s  %s\n", c.Commands()[0].NamePadding(), t.name, a.cat.Text("topic."+t.name+".short"))
		}
	}
	a.writeFlags(w, "root.global_flags", c.Root().PersistentFlags())
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n%s\n", a.cat.Text("root.more"))
	} else {
		fmt.Fprintf(w, "\n%s\n", a.cat.Text("root.exit_status"))
	}
}

func (a *app) writeFlags(w io.Writer, head string, flags *pflag.FlagSet) {
	if flags.HasAvailableFlags() {
		fmt.Fprintf(w, "\n%s\n%s", a.cat.Text(head), flags.FlagUsagesWrapped(render.Width))
	}
}
