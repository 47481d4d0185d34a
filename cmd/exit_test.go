package cmd

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"sandi/cmd/internal/term"
	"sandi/cmd/internal/vault"
)

func TestBatchStatus(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		each []int
		want int
	}{
		"nothing":                        {nil, 0},
		"all_done":                       {[]int{0, 0}, 0},
		"doubt_before_everything":        {[]int{0, 12, 13, 14, 22, 130}, 22},
		"tampered_before_signature":      {[]int{13, 14, 12}, 14},
		"signature_before_key":           {[]int{12, 13, 0}, 13},
		"key_before_part":                {[]int{0, 12}, 12},
		"part":                           {[]int{0, 15}, 3},
		"part_with_several_causes":       {[]int{0, 15, 20}, 3},
		"part_of_one_entry":              {[]int{3}, 3},
		"one_cause":                      {[]int{21, 21}, 21},
		"several_causes_and_none_done":   {[]int{15, 21}, 1},
		"part_of_one_entry_and_a_cause":  {[]int{15, 3}, 3},
		"interrupted_before_anything":    {[]int{130}, 130},
		"interrupted_after_part_is_part": {[]int{0, 130}, 3},
	} {
		if got := batchStatus(tc.each); got != tc.want {
			t.Errorf("%s: batchStatus(%v) = %d, want %d", name, tc.each, got, tc.want)
		}
	}
}

type codeError string

func (e codeError) Error() string { return "x" }
func (e codeError) Code() string  { return string(e) }

func TestExitStatus(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err   error
		want  int
		retry string
	}{
		{nil, 0, "no"},
		{errors.New("x"), 1, "no"},
		{status(3), 3, "no"},
		{fmt.Errorf("send: %w", context.Canceled), 130, "no"},
		{term.ErrInterrupted, 130, "ask"},
		{codeError("agenda.step_order"), 15, "no"},
		{fmt.Errorf("send: %w", codeError("agenda.busy")), 11, "later"},
		{codeError("agenda.tampered"), 14, "ask"},
		{codeError("agenda.unknown_correspondent"), 64, "no"},
		{codeError("agenda.unknown_officer"), 64, "no"},
		{codeError("agenda.clock_ahead"), 1, "ask"},
		{codeError("crypto.expired"), 12, "no"},
		{codeError("crypto.signature_bad"), 13, "no"},
		{codeError("crypto.too_large"), 1, "no"},
		{codeError("desk.folder_mode"), 10, "no"},
		{codeError("desk.none"), 10, "no"},
		{codeError("mail.auth"), 20, "ask"},
		{codeError("mail.timeout"), 21, "later"},
		{codeError("desk.doubt"), 22, "ask"},
		{codeError("usage.unknown_flag"), 64, "no"},
		{codeError("usage"), 1, "no"},
		{vault.ErrLocked, 11, "later"},
		{&vault.Fatal{Err: errors.New("x")}, 1, "ask"},
		// What wraps a coded error decides.
		{outer{codeError("desk.doubt"), codeError("mail.timeout")}, 22, "ask"},
	} {
		if got := exitStatus(tc.err); got != tc.want {
			t.Errorf("exitStatus(%v) = %d, want %d", tc.err, got, tc.want)
		}
		if got := retryOf(codeOf(tc.err)); got != tc.retry {
			t.Errorf("retryOf(%v) = %q, want %q", tc.err, got, tc.retry)
		}
	}
}

type outer struct {
	codeError
	inner error
}

func (w outer) Unwrap() error { return w.inner }

// TestExitStatusesAreListed keeps the table for people whole.
func TestExitStatusesAreListed(t *testing.T) {
	t.Parallel()
	listed := map[int]bool{}
	for _, n := range exitStatuses {
		listed[n] = true
	}
	for code, n := range statusOfCode {
		if !listed[n] {
			t.Errorf("%s ends with %d, which no list names", code, n)
		}
	}
}
