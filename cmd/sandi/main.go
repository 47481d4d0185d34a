// Command sandi is the workstation tool of a cipher clerk.
package main

import (
	"os"

	"sandi/cmd"
	"sandi/cmd/internal/term"
)

func main() {
	os.Exit(cmd.Main(os.Args[1:], term.System(), cmd.Hooks{}))
}
