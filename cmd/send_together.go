package cmd

import (
	"cmp"
	"fmt"
	"slices"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
)

// tellTogether tells the fates of a queue, shorter than those of letters that were named: consecutive entries of which every copy
// had the same fate, and which leave the clerk the same command, are one line. An entry of lone keeps its lines.
func (a *app) tellTogether(list []desk.Delivery, width int, mended, lone map[agenda.Name]bool) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(x, y desk.Delivery) int {
		return cmp.Or(byName(x.Entry, y.Entry), cmp.Compare(x.Copy, y.Copy))
	})
	type entry struct {
		copies  []desk.Delivery
		fate    string
		command string
		lone    bool
	}
	var entries []entry
	for _, x := range list {
		fate, command := a.fateOf(x, again(mended, x)), a.unsettledCommand(x)
		last := len(entries) - 1
		if last < 0 || entries[last].copies[0].Entry != x.Entry {
			entries = append(entries, entry{[]desk.Delivery{x}, fate, command, lone[x.Entry]})
			continue
		}
		e := &entries[last]
		e.copies, e.lone = append(e.copies, x), e.lone || e.fate != fate || e.command != command
	}
	for len(entries) > 0 {
		first, n := entries[0], 1
		for !first.lone && n < len(entries) && !entries[n].lone && entries[n].fate == first.fate && entries[n].command == first.command &&
			follows(entries[n-1].copies[0].Entry, entries[n].copies[0].Entry) {
			n++
		}
		if n == 1 {
			for _, x := range first.copies {
				a.tellDelivery(x, width, again(mended, x))
			}
		} else {
			var names []agenda.Name
			copies := 0
			for _, e := range entries[:n] {
				names, copies = append(names, e.copies[0].Entry), copies+len(e.copies)
			}
			fate := first.fate
			if copies > n {
				fate = a.cat.Text("send.copies", "n", copies) + "  " + fate
			}
			fmt.Fprintf(a.out, " %s  %s\n", ranges(names, a.thisYear()), fate)
		}
		entries = entries[n:]
	}
}

// again tells whether a copy was made anew by this run and had been tried before.
func again(mended map[agenda.Name]bool, x desk.Delivery) bool {
	return mended[x.Entry] && x.Attempt > 1
}

// fateOf is the fate of a copy as its line has it.
func (a *app) fateOf(x desk.Delivery, again bool) string {
	fate := a.fate(x)
	if again {
		fate += " " + a.cat.Text("send.again")
	}
	return fate
}
