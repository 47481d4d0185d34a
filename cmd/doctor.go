package cmd

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sandi/agenda"
	"sandi/cmd/internal/desk"
	"sandi/cmd/internal/render"
)

type doctorView struct {
	Schema     string          `json:"schema"` // sandi.doctor/1
	Good       bool            `json:"good"`   // nothing is bad; warnings may be there
	Conditions []conditionView `json:"conditions"`
}

type conditionView struct {
	Area    string  `json:"area"`
	Why     string  `json:"why"`
	Level   string  `json:"level"`
	Name    *string `json:"name"`
	Count   int64   `json:"count"`
	Until   *string `json:"until"`
	Entry   *string `json:"entry"`
	Message string  `json:"message"`
}

func (a *app) doctorCommand() *cobra.Command {
	c := a.describe("doctor", &cobra.Command{Use: "doctor", RunE: func(c *cobra.Command, _ []string) error {
		offline, _ := c.Flags().GetBool("offline")
		return a.withDesk(c, true, func(ctx context.Context, d *desk.Desk) error { return a.doctor(ctx, d, offline) })
	}})
	c.Flags().Bool("offline", false, a.cat.Text("flag.doctor.offline"))
	return c
}

func (a *app) doctor(ctx context.Context, d *desk.Desk, offline bool) error {
	found, err := d.Doctor(ctx, desk.DoctorParams{Offline: offline})
	if err != nil {
		return err
	}
	v := doctorView{Schema: "sandi.doctor/1", Good: true, Conditions: make([]conditionView, 0, len(found))}
	var lines []string
	status := exitDone
	for _, c := range found {
		text, command, _ := strings.Cut(a.conditionText(c), "\n")
		v.Conditions = append(v.Conditions, conditionView{
			Area: c.Area, Why: c.Why, Level: string(c.Level), Name: render.Text(c.Name), Count: c.Count, Until: render.Instant(c.Until), Message: text,
			Entry: entryText(c.Entry),
		})
		head := fmt.Sprintf(" %-13s  %-14s  ", a.cat.Text("doctor.area."+c.Area), a.cat.Text("doctor.level."+string(c.Level)))
		for _, part := range wrapped(text, render.Width-len(head)) {
			lines = append(lines, head+part)
			head = strings.Repeat(" ", len(head))
		}
		if command != "" {
			lines = append(lines, command)
		}
		if c.Level == desk.LevelBad {
			v.Good = false
			status = max(status, exitOther)
			if c.Area == "book" {
				status = exitTampered
			}
		}
	}
	err = a.result(v, func(w io.Writer) {
		for _, line := range lines {
			fmt.Fprintln(w, line)
		}
		fmt.Fprintln(w, a.cat.Text("doctor.unseen"))
	})
	if err != nil {
		return err
	}
	return a.told(status)
}

// conditionText is the message of a condition: what is so and, indented below, the next command.
func (a *app) conditionText(c desk.Condition) string {
	until := ""
	if !c.Until.IsZero() {
		until = a.cat.ShortDate(c.Until)
	}
	return a.cat.Text("doctor."+c.Area+"."+c.Why, "name", c.Name, "n", c.Count, "until", until, "size", a.cat.Size(c.Count), "entry", c.Entry)
}

// entryText is the name of an entry, nil when none is concerned.
func entryText(n agenda.Name) *string {
	if n == (agenda.Name{}) {
		return nil
	}
	return render.Text(n.Long())
}
