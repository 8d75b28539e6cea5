package uwsgiconf

import (
	"strconv"
	"strings"
)

// parseYAML calls option for each option of a section, a mapping of names to texts
// or to lists of texts, which is what uWSGI understands of YAML. The rest of YAML is
// refused.
func parseYAML(lines []line, section string, option func(name, value string, number int) error, fail func(int, string) error) error {
	inside, indent, list, listIndent := false, 0, "", 0
	for _, l := range lines {
		text := strings.TrimRight(withoutComment(l.text), blank)
		body := strings.TrimLeft(text, " ")
		depth := len(text) - len(body)
		switch {
		case body == "" || body == "---" || body == "...":
			continue
		case body[0] == '\t':
			return fail(l.number, "YAML is indented by spaces")
		case depth == 0 && !strings.HasPrefix(body, "-"):
			name, value, ok := cutKey(body)
			inside, indent, list = ok && name == section, 0, ""
			if inside && value != "" {
				return fail(l.number, "the section "+section+" must be a mapping, one option a line")
			}
			continue
		case !inside:
			continue
		}
		if item, ok := strings.CutPrefix(body, "-"); ok && list != "" && (item == "" || item[0] == ' ') &&
			(listIndent == 0 || depth == listIndent) && depth >= indent {
			listIndent = depth
			value, why := scalar(strings.TrimLeft(item, " "))
			if why != "" {
				return fail(l.number, why)
			}
			if err := option(list, value, l.number); err != nil {
				return err
			}
			continue
		}
		if indent == 0 {
			indent = depth
		}
		name, value, ok := cutKey(body)
		if !ok || depth != indent {
			return fail(l.number, "only NAME: VALUE and lists of values are read here")
		}
		if list, listIndent = "", 0; value == "" {
			list = name
			continue
		}
		values, why := flow(value)
		for _, one := range values {
			if err := option(name, one, l.number); err != nil {
				return err
			}
		}
		if why != "" {
			return fail(l.number, why)
		}
	}
	return nil
}

// withoutComment cuts a "#" that begins a word, outside of quotes.
func withoutComment(text string) string {
	quote := byte(0)
	for i := range len(text) {
		c := text[i]
		switch {
		case quote != 0:
			if c == quote && !(quote == '"' && text[i-1] == '\\') {
				quote = 0
			}
		case c == '#' && (i == 0 || text[i-1] == ' ' || text[i-1] == '\t'):
			return text[:i]
		case (c == '"' || c == '\'') && i > 0 && strings.IndexByte(" [,-:", text[i-1]) >= 0:
			quote = c
		}
	}
	return text
}

// cutKey splits "name: value" and "name:".
func cutKey(body string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(body, ": ")
	if !ok {
		name, ok = strings.CutSuffix(body, ":")
	}
	name = strings.TrimRight(name, " ")
	if n := len(name); n > 1 && (name[0] == '"' || name[0] == '\'') && name[n-1] == name[0] {
		name = name[1 : n-1]
	}
	return name, strings.Trim(value, blank), ok && name != ""
}

// flow reads a value: a text, or a list in brackets.
func flow(value string) (all []string, why string) {
	inner, isList := strings.CutPrefix(value, "[")
	if !isList {
		one, why := scalar(value)
		return []string{one}, why
	}
	inner, ok := strings.CutSuffix(inner, "]")
	if !ok {
		return nil, "a list in brackets must be on one line"
	}
	for part := range strings.SplitSeq(inner, ",") {
		if part = strings.Trim(part, blank); part == "" {
			continue
		}
		one, why := scalar(part)
		if why != "" {
			return all, why
		}
		all = append(all, one)
	}
	return all, ""
}

// scalar reads one text, quoted or not; why says what it is instead.
func scalar(text string) (value, why string) {
	if text == "" {
		return "", ""
	}
	switch c := text[0]; c {
	case '\'', '"':
		if len(text) < 2 || text[len(text)-1] != c {
			return "", "a quoted text must end on its line"
		}
		if c == '\'' {
			return strings.ReplaceAll(text[1:len(text)-1], "''", "'"), ""
		}
		unquoted, err := strconv.Unquote(text)
		if err != nil {
			return "", "a text in double quotes with an escape that is not known here"
		}
		return unquoted, ""
	case '{', '[', '&', '*', '!', '|', '>', '@', '`':
		return "", "only NAME: VALUE and lists of values are read here"
	}
	return text, ""
}
