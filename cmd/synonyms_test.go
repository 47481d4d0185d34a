package cmd

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sandi/cmd/internal/messages"
)

// sameWord are the words that Indonesian and English share, and what belongs to a standard or to a shell.
var sameWord = []string{
	"agenda", "completion", "completion bash", "completion fish", "completion powershell", "completion zsh", "print slip",
	"batch", "ca", "format", "json", "manual", "mode", "nip", "no-descriptions", "printer", "tls", "unit",
}

// commandTree lists the commands below root by path.
func commandTree(root *cobra.Command) map[string]*cobra.Command {
	all := map[string]*cobra.Command{}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			all[strings.TrimPrefix(sub.CommandPath(), root.Name()+" ")] = sub
			walk(sub)
		}
	}
	walk(root)
	return all
}

// TestCommandSynonyms: every command has an Indonesian name or is one word in both languages, every synonym leads to its command,
// and none hides another command beside it.
func TestCommandSynonyms(t *testing.T) {
	t.Parallel()
	a, _, _ := run(t, messages.Indonesian)
	root := a.rootCommand()
	tree := commandTree(root)
	for path, c := range tree {
		if has := len(commandSynonyms[path]) > 0; has == slices.Contains(sameWord, path) {
			t.Errorf("%s: synonyms %v, and one word in both languages is %v", path, commandSynonyms[path], !has)
		}
		names := map[string]bool{}
		for _, sub := range c.Commands() {
			for _, name := range append([]string{sub.Name()}, sub.Aliases...) {
				if names[name] {
					t.Errorf("%s: two commands are called %s", path, name)
				}
				names[name] = true
			}
		}
	}
	for path, synonyms := range commandSynonyms {
		if tree[path] == nil {
			t.Errorf("there is no %s", path)
			continue
		}
		parent := strings.TrimSuffix(path, tree[path].Name())
		for _, s := range synonyms {
			found, _, err := root.Find(append(strings.Fields(parent), s))
			if err != nil || found != tree[path] {
				t.Errorf("%s %s leads to %s, not to %s: %v", parent, s, found.CommandPath(), path, err)
			}
		}
	}
}

// TestFlagSynonyms: every flag of the tree has an Indonesian name or is one word in both languages; every synonym is the flag it
// stands for, on each command that has it.
func TestFlagSynonyms(t *testing.T) {
	t.Parallel()
	a, _, _ := run(t, messages.Indonesian)
	root := a.rootCommand()
	commands := commandTree(root)
	commands[""] = root
	flags := map[string]bool{}
	for path, c := range commands {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			flags[f.Name] = true
			for synonym, name := range flagSynonyms {
				if name == f.Name && c.Flag(synonym) != c.Flag(name) {
					t.Errorf("%s --%s is not --%s", path, synonym, name)
				}
			}
		})
	}
	translated := slices.Collect(maps.Values(flagSynonyms))
	for name := range flags {
		if has := slices.Contains(translated, name); has == slices.Contains(sameWord, name) {
			t.Errorf("--%s: has a synonym %v, and one word in both languages is %v", name, has, !has)
		}
	}
	for synonym, name := range flagSynonyms {
		if !flags[name] || flags[synonym] {
			t.Errorf("--%s stands for --%s: a flag %v; is a flag itself %v", synonym, name, flags[name], flags[synonym])
		}
	}
	for _, fixed := range strings.Fields("pemohon permohonan diterima surat tgl-surat perihal klasifikasi derajat tujuan tembusan alasan sebagai seperti") {
		if flagSynonyms[fixed] == "" {
			t.Errorf("--%s is promised", fixed)
		}
	}
}
