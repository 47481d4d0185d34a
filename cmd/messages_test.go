package cmd

import (
	"regexp"
	"strings"
	"testing"

	"sandi/cmd/internal/messages"
)

var (
	commandLine = regexp.MustCompile(`(?m)^ *sandi +(.*)$`)
	commandWord = regexp.MustCompile(`^[a-z][a-z-]*$`)
	commandFlag = regexp.MustCompile(`^--([a-z][a-z0-9-]*)`)
)

// TestCommandsToTypeNext: every line that tells what to type names a command that there is, with flags that it has.
func TestCommandsToTypeNext(t *testing.T) {
	t.Parallel()
	for _, lang := range []messages.Lang{messages.Indonesian, messages.English} {
		a, _, _ := run(t, lang)
		root := a.rootCommand()
		told := 0
		for _, id := range messages.IDs() {
			for _, line := range commandLine.FindAllStringSubmatch(a.cat.Text(id), -1) {
				words := strings.Fields(line[1])
				c, rest, err := root.Find(words)
				if err != nil {
					t.Errorf("%s, %s: %s: %v", lang, id, line[0], err)
					continue
				}
				told++
				if c.HasSubCommands() && c != root && len(rest) > 0 && commandWord.MatchString(rest[0]) {
					t.Errorf("%s, %s: %s: there is no %s %s", lang, id, line[0], c.CommandPath(), rest[0])
				}
				for _, word := range rest {
					if f := commandFlag.FindStringSubmatch(word); f != nil && c.Flag(f[1]) == nil && f[1] != "help" {
						t.Errorf("%s, %s: %s: %s has no --%s", lang, id, line[0], c.CommandPath(), f[1])
					}
				}
			}
		}
		if told < 100 {
			t.Errorf("%s: only %d lines", lang, told)
		}
	}
}
