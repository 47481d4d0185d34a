package agenda

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// TestFullDisk: a full disk is told as one, whatever the driver calls it.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	if _, err := b.conn.ExecContext(t.Context(), "PRAGMA max_page_count=1"); err != nil {
		t.Fatal(err)
	}
	var err error
	for i := range 200 { // until the pages that are there are full
		err = b.AddApplicant(t.Context(), clerk, Applicant{Handle: fmt.Sprintf("a%d", i), Unit: strings.Repeat("y", 200)})
		if err != nil {
			break
		}
	}
	if !errors.Is(err, &Error{code: "agenda.storage"}) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v", err)
	}
}
