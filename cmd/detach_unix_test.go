//go:build unix

package cmd

import "golang.org/x/sys/unix"

// detach leaves the session of whoever runs the tests, so that a question can never reach their terminal. A process that a script
// started with ttyin leads a session of its own; there the call fails and the script's terminal stays.
func detach() { _, _ = unix.Setsid() }
