//go:build !linux

package vault

import (
	"errors"
	"os"
)

func openUnnamed(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func linkUnnamed(*os.File, string) error { return errors.ErrUnsupported }

// InRAM is false where the system cannot be asked.
func InRAM(string) bool { return false }
