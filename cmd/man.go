package cmd

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sandi/cmd/internal/vault"
)

// manCommand writes the manual pages: one of section 1 for each command, one of section 7 for each topic, in the language of this
// run. Packagers call it; help does not show it.
func (a *app) manCommand() *cobra.Command {
	return a.describe("man-pages", &cobra.Command{
		Use: "man-pages", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			pages := a.manPages(c.Root())
			for _, p := range pages {
				if a.flags.dryRun {
					continue
				}
				if err := vault.WriteFile(filepath.Join(args[0], p.name), p.text, 0o644); err != nil {
					return err
				}
			}
			v := struct {
				Schema string `json:"schema"`
				Path   string `json:"path"`
				Pages  int    `json:"pages"`
			}{"sandi.man/1", args[0], len(pages)}
			return a.result(v, func(io.Writer) { a.say("man.written", "n", len(pages), "path", args[0]) })
		},
	})
}

type manPage struct {
	name string
	text []byte
}

func (a *app) manPages(root *cobra.Command) []manPage {
	var pages []manPage
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		pages = append(pages, manPage{strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1", a.manOf(c)})
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				walk(sub)
			}
		}
	}
	walk(root)
	for _, t := range topics {
		var body bytes.Buffer
		t.write(a, &body)
		var p bytes.Buffer
		a.manHead(&p, "sandi-"+t.name, 7, a.cat.Text("topic."+t.name+".short"))
		section(&p, a.cat.Text("man.description"))
		verbatim(&p, body.String())
		pages = append(pages, manPage{"sandi-" + t.name + ".7", p.Bytes()})
	}
	return pages
}

func (a *app) manOf(c *cobra.Command) []byte {
	var p bytes.Buffer
	a.manHead(&p, strings.ReplaceAll(c.CommandPath(), " ", "-"), 1, c.Short)
	section(&p, a.cat.Text("man.synopsis"))
	line := c.CommandPath()
	if c.HasAvailableSubCommands() {
		line += " " + a.cat.Text("root.subcommand")
	} else if _, args, ok := strings.Cut(c.Use, " "); ok {
		line += " " + args
	}
	fmt.Fprintf(&p, ".B %s\n", roff(line+" [flag]"))
	text := c.Long
	if text == "" {
		text = c.Short
	}
	section(&p, a.cat.Text("man.description"))
	fmt.Fprintln(&p, roff(text))
	if c.HasAvailableSubCommands() {
		section(&p, a.cat.Text("man.commands"))
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&p, ".TP\n.B %s\n%s\n", roff(sub.Name()), roff(sub.Short))
			}
		}
	}
	manFlags(&p, a.cat.Text("man.options"), c.LocalNonPersistentFlags())
	manFlags(&p, a.cat.Text("man.global"), c.Root().PersistentFlags())
	if c.Example != "" {
		section(&p, a.cat.Text("man.examples"))
		verbatim(&p, c.Example)
	}
	section(&p, a.cat.Text("man.exit"))
	var exit bytes.Buffer
	a.helpExitStatus(&exit)
	verbatim(&p, exit.String())
	section(&p, a.cat.Text("man.see"))
	var see []string
	if c.HasParent() {
		see = append(see, roff(strings.ReplaceAll(c.Parent().CommandPath(), " ", "-"))+"(1)")
	}
	for _, t := range topics {
		see = append(see, roff("sandi-"+t.name)+"(7)")
	}
	fmt.Fprintf(&p, ".BR %s\n", strings.Join(see, ", "))
	return p.Bytes()
}

func (a *app) manHead(p *bytes.Buffer, name string, chapter int, short string) {
	// No date: the same program writes the same pages.
	fmt.Fprintf(p, ".TH %q %d \"\" %q %q\n", strings.ToUpper(name), chapter, "sandi "+versionText(), a.cat.Text("man.title"))
	section(p, a.cat.Text("man.name"))
	fmt.Fprintf(p, "%s \\- %s\n", roff(name), roff(short))
}

func section(p *bytes.Buffer, name string) { fmt.Fprintf(p, ".SH %s\n", roff(name)) }

// verbatim is text whose lines stand as they are.
func verbatim(p *bytes.Buffer, text string) {
	fmt.Fprintf(p, ".nf\n%s\n.fi\n", roff(strings.TrimRight(text, "\n")))
}

func manFlags(p *bytes.Buffer, head string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	section(p, head)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		fmt.Fprintf(p, ".TP\n.B %s\n%s\n", roff(strings.TrimSpace(name+" "+value)), roff(usage))
	})
}

// roff escapes text for man(7): the backslash, hyphens that are to stay hyphens, and what a line may not begin with.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
