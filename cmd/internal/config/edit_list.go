package config

import (
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// List returns the items of a setting that is a list of texts, such as
// "gateway.pins"; ok is false for every other key.
func (c *Config) List(key string) (items []string, ok bool) {
	v := reflect.ValueOf(*c)
	for part := range strings.SplitSeq(key, ".") {
		if v.Kind() != reflect.Struct {
			return nil, false
		}
		i := slices.IndexFunc(reflect.VisibleFields(v.Type()), func(f reflect.StructField) bool { return f.Tag.Get("mapstructure") == part })
		if i < 0 {
			return nil, false
		}
		v = v.Field(i)
	}
	items, ok = v.Interface().([]string)
	return items, ok
}

var itemLine = regexp.MustCompile(`^ *- +(.*?)\r?\n?$`)

// SetList gives a list of texts new items, in place: the line of an item that
// stays is kept with its remark, remarks of their own stay, and so does every
// line outside the list. The result is checked as a whole before it is
// returned.
func SetList(raw []byte, key string, items []string) ([]byte, error) {
	c, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	if _, ok := c.List(key); !ok {
		return nil, &Error{code: CodeUnknownKey, Key: key}
	}
	byHand := &Error{code: CodeInvalid, Key: key, Detail: "must be changed in sandi.yaml itself"}
	lines := strings.SplitAfter(string(raw), "\n")
	at, indent, rest := find(lines, key)
	if at < 0 {
		return nil, &Error{code: CodeUnknownKey, Key: key}
	}
	value, remark := cutRemark(rest)
	if value != "" && (value[0] != '[' || value[len(value)-1] != ']') {
		return nil, byHand
	}
	end := ending(lines[at])
	if end == "" {
		end = "\n"
	}
	// The lines of the list, and what stands on its own between them.
	last := at
	kept, remarks, margin := map[string]string{}, []string{}, indent+"  "
	if value == "" {
		var pending []string
		for i := at + 1; i < len(lines); i++ {
			text := strings.TrimSpace(lines[i])
			if text == "" || strings.HasPrefix(text, "#") {
				pending = append(pending, lines[i])
				continue
			}
			deeper := len(lines[i])-len(strings.TrimLeft(lines[i], " ")) > len(indent)
			m := itemLine.FindStringSubmatch(lines[i])
			if m == nil && !deeper || m != nil && len(lines[i])-len(strings.TrimLeft(lines[i], " ")) < len(indent) {
				break // the next key
			}
			item, ok := "", false
			if m != nil {
				item, ok = plainItem(m[1])
			}
			if !ok {
				return nil, byHand
			}
			if last == at {
				margin = lines[i][:strings.IndexByte(lines[i], '-')]
			}
			kept[item] = strings.TrimRight(lines[i], "\r\n") + end
			remarks, pending, last = append(remarks, pending...), nil, i
		}
	}
	name := key[strings.LastIndexByte(key, '.')+1:]
	fresh := []string{indent + name + ":" + remark + end}
	if len(items) == 0 {
		fresh[0] = indent + name + ": []" + remark + end
	}
	fresh = append(fresh, remarks...)
	for _, item := range items {
		line, ok := kept[item]
		if !ok {
			line = margin + "- " + quote(item) + end
		}
		delete(kept, item)
		fresh = append(fresh, line)
	}
	edited := []byte(strings.Join(slices.Replace(lines, at, last+1, fresh...), ""))
	after, err := Parse(edited)
	if err != nil {
		return nil, err
	}
	if got, _ := after.List(key); !slices.Equal(got, items) {
		return nil, byHand
	}
	return edited, nil
}

// plainItem reads the text of an item that stands on one line.
func plainItem(s string) (item string, ok bool) {
	value, _ := cutRemark(s)
	switch {
	case value == "":
		return "", false
	case value[0] == '"':
		item, err := strconv.Unquote(value)
		return item, err == nil
	case strings.ContainsAny(value[:1], "'[{|>&*!%@`-?"):
		return "", false
	}
	return value, !strings.Contains(value, ": ")
}
