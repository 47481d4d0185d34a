package cmd

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sandi/agenda/hours"
	"sandi/cmd/internal/config"
	"sandi/cmd/internal/desk"
)

// configSet changes one setting in place: a plain one, or a list of texts.
func (a *app) configSet() *cobra.Command {
	c := a.describe("config set", &cobra.Command{Use: "set", Args: cobra.MinimumNArgs(2)})
	c.RunE = func(c *cobra.Command, args []string) error {
		key, values := args[0], args[1:]
		more, _ := c.Flags().GetBool("append")
		less, _ := c.Flags().GetBool("remove")
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			_, list := d.Config.List(key)
			if !list && (more || less || len(values) > 1) {
				return usageError("usage.no_list", "value", key)
			}
			var items []string
			err := d.EditSettings(ctx, func(raw []byte) ([]byte, error) {
				if !list {
					return config.Set(raw, key, values[0])
				}
				now, err := config.Parse(raw) // it may have grown since the desk was opened
				if err != nil {
					return nil, err
				}
				items, _ = now.List(key)
				if items, err = listed(items, values, more, less); err != nil {
					return nil, err
				}
				return config.SetList(raw, key, items)
			})
			if err != nil {
				return notTaken(err)
			}
			v := struct {
				Schema string `json:"schema"`
				Key    string `json:"key"`
				Value  any    `json:"value"`
			}{"sandi.config_value/1", key, values[0]}
			text := values[0]
			if list {
				v.Value, text = items, strings.Join(items, ", ")
			}
			return a.result(v, func(io.Writer) {
				switch {
				case a.flags.dryRun:
					a.say("config.dry_set", "key", key)
				case text == "":
					a.say("config.emptied", "key", key)
				default:
					a.say("config.set", "key", key, "value", text)
				}
			})
		})
	}
	c.Flags().Bool("append", false, a.cat.Text("flag.config.append"))
	c.Flags().Bool("remove", false, a.cat.Text("flag.config.remove"))
	c.MarkFlagsMutuallyExclusive("append", "remove")
	return c
}

// notTaken tells of a value that was refused: the file was right, and is as it was.
func notTaken(err error) error {
	switch codeOf(err) {
	case "config.invalid":
		return &settingRefused{"config.refused_value", err}
	case "config.unknown_key":
		return &settingRefused{"config.refused_key", err}
	}
	return err
}

type settingRefused struct {
	code string
	err  error
}

func (e *settingRefused) Error() string { return e.err.Error() }

// Code returns the stable code of the error.
func (e *settingRefused) Code() string { return e.code }

func (e *settingRefused) Unwrap() error { return e.err }

// listed is a list after the change: one value is parted at its commas, several are an item each; an empty value is no item.
// Items that are added or taken away are each as they are typed.
func listed(items, values []string, more, less bool) ([]string, error) {
	switch {
	case more:
		for _, v := range values {
			if !slices.Contains(items, v) {
				items = append(slices.Clone(items), v)
			}
		}
		return items, nil
	case less:
		for _, v := range values {
			if !slices.Contains(items, v) {
				return nil, usageError("usage.not_listed", "value", v)
			}
		}
		return append([]string{}, slices.DeleteFunc(slices.Clone(items), func(s string) bool { return slices.Contains(values, s) })...), nil
	}
	if len(values) == 1 {
		values = strings.Split(values[0], ",")
	}
	out := []string{}
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out, nil
}

// configHolidays takes over the holiday list of a year.
func (a *app) configHolidays() *cobra.Command {
	return a.describe("config holidays", &cobra.Command{Use: "holidays", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		data, err := readSmall(args[0], maxHolidays)
		if err != nil {
			return usageError("usage.holidays", "path", args[0])
		}
		days, year, decree, err := hours.ParseHolidays(bytes.NewReader(data))
		if err != nil {
			return err
		}
		list := make([]config.Holiday, 0, len(days))
		for _, h := range days {
			list = append(list, config.Holiday{Date: h.Date, Name: h.Name, Kind: h.Kind})
		}
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			if d.Hours.CoversYear(year) {
				return usageError("usage.holidays_there", "year", year)
			}
			if err := d.EditSettings(ctx, func(raw []byte) ([]byte, error) { return config.AddHolidays(raw, year, list) }); err != nil {
				return err
			}
			v := struct {
				Schema string `json:"schema"`
				Year   int    `json:"year"`
				Days   int    `json:"days"`
				Decree string `json:"decree"`
			}{"sandi.holidays/1", year, len(list), decree}
			return a.result(v, func(io.Writer) {
				id := "config.holidays"
				if a.flags.dryRun {
					id = "config.dry_holidays"
				}
				a.say(id, "year", year, "n", len(list), "decree", decree)
			})
		})
	}})
}

// maxHolidays bounds a holiday file in octets.
const maxHolidays = 64 << 10
