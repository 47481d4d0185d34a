package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sandi/cmd/internal/config"
	"sandi/cmd/internal/desk"
)

func (a *app) configCommand() *cobra.Command {
	c := a.describe("config", &cobra.Command{Use: "config"})
	check := a.describe("config check", &cobra.Command{Use: "check", Args: cobra.MaximumNArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		path, conf, err := a.loadConfig(args)
		if err != nil {
			return err
		}
		v := struct {
			Schema  string `json:"schema"`
			Path    string `json:"path"`
			Office  string `json:"office"`
			Profile string `json:"profile"`
		}{"sandi.config/1", path, conf.Office.Name, conf.Profile.Name}
		return a.result(v, func(w io.Writer) {
			fmt.Fprintln(w, a.cat.Text("config.good", "path", path, "office", v.Office, "profile", v.Profile))
		})
	}})
	get := a.describe("config get", &cobra.Command{Use: "get", Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		_, conf, err := a.loadConfig(nil)
		if err != nil {
			return err
		}
		value, ok := configValue(reflect.ValueOf(*conf), args[0])
		if !ok {
			return usageError("usage.config_key", "value", args[0])
		}
		plain := plainValue(value)
		v := struct {
			Schema string `json:"schema"`
			Key    string `json:"key"`
			Value  any    `json:"value"`
		}{"sandi.config_value/1", args[0], plain}
		text := fmt.Sprint(plain)
		items, list := conf.List(args[0])
		switch plain.(type) {
		case map[string]any, []any:
			if list {
				text = strings.Join(items, "\n")
				break
			}
			data, err := json.MarshalIndent(plain, "", "  ")
			if err != nil {
				return err
			}
			text = string(data)
		}
		return a.result(v, func(w io.Writer) {
			if !list || len(items) > 0 {
				fmt.Fprintln(w, text)
			}
		})
	}})
	c.AddCommand(check, get, a.configSet(), a.configHolidays())
	return c
}

// loadConfig reads the settings of the desk, or the file that is named.
func (a *app) loadConfig(args []string) (string, *config.Config, error) {
	var path string
	if len(args) > 0 {
		path = args[0]
	} else {
		dir, err := a.deskPath()
		if err != nil {
			return "", nil, err
		}
		path = filepath.Join(dir, "sandi.yaml")
	}
	conf, _, err := config.Load(path)
	if len(args) == 0 && errors.Is(err, os.ErrNotExist) {
		if refusal := desk.Missing(filepath.Dir(path)); refusal != nil {
			return path, nil, refusal
		}
	}
	return path, conf, err
}

// configValue follows a path such as "profile.books[1].title" by the names of the file.
func configValue(v reflect.Value, path string) (reflect.Value, bool) {
	for part := range strings.SplitSeq(path, ".") {
		name, index, indexed := strings.Cut(part, "[")
		if v.Kind() != reflect.Struct {
			return v, false
		}
		found := false
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("mapstructure") == name {
				v, found = v.Field(i), true
				break
			}
		}
		if !found {
			return v, false
		}
		if indexed {
			n, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
			if err != nil || v.Kind() != reflect.Slice || n < 0 || n >= v.Len() {
				return v, false
			}
			v = v.Index(n)
		}
	}
	return v, true
}

// plainValue turns a setting into maps, lists and plain values with the names of the file.
func plainValue(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			out[v.Type().Field(i).Tag.Get("mapstructure")] = plainValue(v.Field(i))
		}
		return out
	case reflect.Slice:
		out := make([]any, 0, v.Len())
		for i := range v.Len() {
			out = append(out, plainValue(v.Index(i)))
		}
		return out
	}
	return v.Interface()
}
