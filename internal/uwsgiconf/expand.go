package uwsgiconf

import (
	"os"
	"strconv"
	"strings"
)

// maxExpanded bounds a value, in bytes, and maxSteps how often something is put into
// it: uWSGI goes on for ever where a value refers to itself.
const (
	maxExpanded = 1 << 20
	maxSteps    = 1000
)

// expand replaces SYMBOL(NAME) in an option's value. As in uWSGI an inner one goes
// first, what comes in is looked at again from its second byte on, and a name that
// is not there stays as it is.
func expand(o *Option, symbol byte, value func(name string) (string, bool, error)) error {
	if o.settled {
		return nil
	}
	const (
		outside = iota // no symbol
		after          // the symbol was there
		within         // in the brackets
	)
	state, begin, depth, steps := outside, 0, 0, 0
	for i := 0; i < len(o.Value); i++ {
		switch c := o.Value[i]; {
		case c == symbol:
			state = after
		case c == '(' && state == after:
			state, begin, depth = within, i+1, 0
		case state != within:
			state = outside
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == ')':
			state = outside
			if i == begin {
				continue
			}
			got, ok, err := value(o.Value[begin:i])
			if err != nil {
				return &Error{o.Place, o.Name, err.Error()}
			}
			if !ok {
				continue
			}
			o.brackets = o.brackets || strings.ContainsRune(o.Value[begin:i], '(')
			o.Value = o.Value[:begin-2] + got + o.Value[i+1:]
			if steps++; steps > maxSteps || len(o.Value) > maxExpanded {
				return &Error{o.Place, o.Name, "its value refers to itself"}
			}
			i = 0 // and on from 1
		}
	}
	return nil
}

// variable is $(NAME): a variable of the environment. $(NAME:-DEFAULT) and
// $(NAME-DEFAULT) are those of uWSGI 2.1.
func (r *reader) variable(name string) (string, bool, error) {
	if v, ok := r.env[name]; ok {
		return v, true, nil
	}
	if plain, def, ok := strings.Cut(name, ":-"); ok {
		if v := r.env[plain]; v != "" {
			return v, true, nil
		}
		return def, true, nil
	}
	if plain, def, ok := strings.Cut(name, "-"); ok {
		if v, ok := r.env[plain]; ok {
			return v, true, nil
		}
		return def, true, nil
	}
	return "", false, nil
}

// contents is @(FILE).
func (r *reader) contents(file string) (string, bool, error) {
	if strings.Contains(file, "://") {
		return "", false, &os.PathError{Op: "open", Path: file, Err: os.ErrInvalid}
	}
	text, err := r.read(file)
	if n := len(text); n > 0 && (text[n-1] == '\n' || text[n-1] == '\r') {
		text = text[:n-1]
	}
	return text, true, err
}

// reference is %(NAME): another option's value, or a sum.
func (r *reader) reference(key string) (string, bool, error) {
	if !strings.Contains(key, " ") {
		o := r.find(key)
		if o == nil {
			return "", false, nil
		}
		o.used = true
		return o.Value, true, nil
	}
	return r.calculate(key), true, nil
}

// calculate goes through words from left to right: what follows a sign is added and
// so on, anything else is put behind what there is. It knows no brackets, and a
// name that is not there is nothing.
func (r *reader) calculate(text string) string {
	result, sign := "", ""
	for word := range strings.FieldsFuncSeq(text, func(c rune) bool { return c == ' ' }) {
		switch word {
		case "+", "-", "*", "/":
			sign = word
			continue
		case "++", "--":
			n, _ := leadingNumber(result)
			result = strconv.Itoa(n + map[string]int{"++": 1, "--": -1}[word])
			sign = ""
			continue
		}
		value := word
		if strings.Trim(word, "0123456789") != "" {
			value = ""
			if o := r.find(word); o != nil {
				o.used = true
				value = o.Value
			}
		}
		a, _ := leadingNumber(result)
		b, _ := leadingNumber(value)
		switch sign {
		case "+":
			result = strconv.Itoa(a + b)
		case "-":
			result = strconv.Itoa(a - b)
		case "*":
			result = strconv.Itoa(a * b)
		case "/":
			if b == 0 {
				result = "0"
			} else {
				result = strconv.Itoa(a / b)
			}
		default:
			result += value
		}
		sign = ""
	}
	return result
}

// leadingNumber is C's strtol: the number that a text begins with, 0 without one,
// and the rest.
func leadingNumber(text string) (n int, rest string) {
	trimmed := strings.TrimLeft(text, " \t\n\v\f\r")
	end := 0
	if end < len(trimmed) && (trimmed[end] == '-' || trimmed[end] == '+') {
		end++
	}
	digits := end
	for end < len(trimmed) && trimmed[end] >= '0' && trimmed[end] <= '9' {
		end++
	}
	if end == digits {
		return 0, text
	}
	n, _ = strconv.Atoi(trimmed[:end]) // the nearest one there is
	return n, trimmed[end:]
}
