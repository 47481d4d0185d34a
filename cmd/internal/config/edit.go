package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Set gives a plain setting a new value, in place: every other line, and every
// remark, stays as the office wrote it. key is a path such as
// "gateway.address"; what stands in a list is edited by hand. The result is
// checked as a whole before it is returned.
func Set(raw []byte, key, value string) ([]byte, error) {
	lines := strings.SplitAfter(string(raw), "\n")
	at, indent, old := find(lines, key)
	if at < 0 {
		return nil, &Error{code: CodeUnknownKey, Key: key}
	}
	bare, remark := cutRemark(old)
	if bare == "" || strings.HasPrefix(bare, "[") || strings.HasPrefix(bare, "{") {
		return nil, &Error{code: CodeInvalid, Key: key, Detail: "must be changed in sandi.yaml itself"}
	}
	if bare[0] == '"' || !plainScalar.MatchString(value) || !plainScalar.MatchString(bare) {
		value = quote(value)
	}
	name := key[strings.LastIndexByte(key, '.')+1:]
	lines[at] = indent + name + ": " + value + remark + ending(lines[at])
	edited := []byte(strings.Join(lines, ""))
	if _, err := Parse(edited); err != nil {
		return nil, err
	}
	return edited, nil
}

// AddHolidays adds the holidays of a year to the settings. A year that is
// there already is refused.
func AddHolidays(raw []byte, year int, days []Holiday) ([]byte, error) {
	c, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	const holidays, years = "profile.hours.holidays", "profile.hours.holiday_years"
	if slices.Contains(c.Profile.Hours.HolidayYears, year) {
		return nil, &Error{code: CodeInvalid, Key: years, Detail: strconv.Itoa(year) + " is there already"}
	}
	lines := strings.SplitAfter(string(raw), "\n")
	var items []string
	for _, d := range days {
		items = append(items, fmt.Sprintf("- {date: %s, name: %s, kind: %s}", quote(d.Date), quote(d.Name), d.Kind))
	}
	if lines, err = appendItems(lines, holidays, items); err != nil {
		return nil, err
	}
	if lines, err = appendItems(lines, years, []string{"- " + strconv.Itoa(year)}); err != nil {
		return nil, err
	}
	edited := []byte(strings.Join(lines, ""))
	if _, err := Parse(edited); err != nil {
		return nil, err
	}
	return edited, nil
}

var (
	keyLine     = regexp.MustCompile(`^( *)(- +)?([a-z_0-9]+):(.*?)\r?\n?$`)
	plainScalar = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)
)

// find returns the line of a key, its indent and what stands behind the colon.
func find(lines []string, key string) (at int, indent, rest string) {
	type level struct {
		indent int
		name   string
	}
	var stack []level
	for i, line := range lines {
		m := keyLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		depth := len(m[1]) + len(m[2])
		for len(stack) > 0 && stack[len(stack)-1].indent >= len(m[1]) {
			stack = stack[:len(stack)-1]
		}
		name := m[3]
		if m[2] != "" {
			stack = append(stack, level{len(m[1]), "[]"}) // inside a list nothing is found
		}
		stack = append(stack, level{depth, name})
		path := make([]string, 0, len(stack))
		for _, l := range stack {
			path = append(path, l.name)
		}
		if strings.Join(path, ".") == key {
			return i, m[1], strings.TrimSpace(m[4])
		}
	}
	return -1, "", ""
}

// cutRemark splits a value from the remark behind it.
func cutRemark(s string) (value, remark string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '#' && !quoted && (i == 0 || s[i-1] == ' '):
			return strings.TrimSpace(s[:i]), " " + s[i:]
		}
	}
	return strings.TrimSpace(s), ""
}

func ending(line string) string { return line[len(strings.TrimRight(line, "\r\n")):] }

// appendItems adds items to the end of a list.
func appendItems(lines []string, key string, items []string) ([]string, error) {
	at, indent, rest := find(lines, key)
	if at < 0 {
		return nil, &Error{code: CodeUnknownKey, Key: key}
	}
	end := ending(lines[at])
	if end == "" {
		end = "\n"
	}
	var added []string
	for _, item := range items {
		added = append(added, indent+"  "+item+end)
	}
	value, remark := cutRemark(rest)
	switch value {
	case "[]":
		name := key[strings.LastIndexByte(key, '.')+1:]
		lines[at] = indent + name + ":" + remark + end
		return slices.Insert(lines, at+1, added...), nil
	case "":
	default:
		return nil, &Error{code: CodeInvalid, Key: key, Detail: "must be changed in sandi.yaml itself"}
	}
	last := at
	for i := at + 1; i < len(lines); i++ {
		text := strings.TrimSpace(lines[i])
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if len(lines[i])-len(strings.TrimLeft(lines[i], " ")) <= len(indent) && !strings.HasPrefix(text, "- ") {
			break
		}
		last = i
	}
	return slices.Insert(lines, last+1, added...), nil
}

// SetGroup gives a group of addressees its members; none removes the group. A
// group that is not written on one line is edited by hand.
func SetGroup(raw []byte, name string, members []string) ([]byte, error) {
	lines := strings.SplitAfter(string(raw), "\n")
	c, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	quoted := make([]string, 0, len(members))
	for _, m := range members {
		quoted = append(quoted, quote(m))
	}
	item := "- {name: " + quote(name) + ", members: [" + strings.Join(quoted, ", ") + "]}"
	mine := regexp.MustCompile(`^ *- \{name: "?` + regexp.QuoteMeta(name) + `"?, members: \[[^\]]*\]\}\s*$`)
	at := slices.IndexFunc(lines, mine.MatchString)
	known := slices.ContainsFunc(c.Groups, func(g Group) bool { return g.Name == name })
	switch {
	case known && at < 0:
		return nil, &Error{code: CodeInvalid, Key: "groups", Detail: "must be changed in sandi.yaml itself"}
	case known && len(members) > 0:
		line := lines[at]
		lines[at] = line[:len(line)-len(strings.TrimLeft(line, " "))] + item + ending(line)
	case known:
		lines = slices.Delete(lines, at, at+1)
		if len(c.Groups) == 1 {
			head, indent, _ := find(lines, "groups")
			lines[head] = indent + "groups: []" + ending(lines[head])
		}
	case len(members) == 0:
		return nil, &Error{code: CodeUnknownKey, Key: "groups", Detail: name}
	default:
		if lines, err = appendItems(lines, "groups", []string{item}); err != nil {
			return nil, err
		}
	}
	edited := []byte(strings.Join(lines, ""))
	if _, err := Parse(edited); err != nil {
		return nil, err
	}
	return edited, nil
}
