package cmd

import (
	"bytes"
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"

	"sandi/agenda/hours"
	"sandi/cmd/internal/config"
	"sandi/cmd/internal/desk"
)

// configSet changes one plain setting in place.
func (a *app) configSet() *cobra.Command {
	return a.describe("config set", &cobra.Command{Use: "set", Args: cobra.ExactArgs(2), RunE: func(c *cobra.Command, args []string) error {
		return a.withDesk(c, a.flags.dryRun, func(ctx context.Context, d *desk.Desk) error {
			err := a.editSettings(ctx, d, func(raw []byte) ([]byte, error) { return config.Set(raw, args[0], args[1]) })
			if err != nil {
				return err
			}
			v := struct {
				Schema string `json:"schema"`
				Key    string `json:"key"`
				Value  string `json:"value"`
			}{"sandi.config_value/1", args[0], args[1]}
			return a.result(v, func(io.Writer) {
				if a.flags.dryRun {
					a.say("config.dry_set", "key", args[0])
					return
				}
				a.say("config.set", "key", args[0], "value", args[1])
			})
		})
	}})
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
			if err := a.editSettings(ctx, d, func(raw []byte) ([]byte, error) { return config.AddHolidays(raw, year, list) }); err != nil {
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

// editSettings changes sandi.yaml, or under --dry-run only sees that it could be changed.
func (a *app) editSettings(ctx context.Context, d *desk.Desk, change func([]byte) ([]byte, error)) error {
	if !a.flags.dryRun {
		return d.EditSettings(ctx, change)
	}
	path, _, err := a.loadConfig(nil)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	_, err = change(raw)
	return err
}
