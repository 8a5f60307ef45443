package config

import (
	"fmt"
	"strings"
)

var reference = lazily(`^([A-Za-z_][A-Za-z0-9_]*)(?::([-?])(.*))?$`)

// interpolate replaces ${VAR}, ${VAR:-default} and ${VAR:?message} in one scalar value. As in a shell, the forms with
// a colon treat an empty variable like an undefined one. "$${" is a literal "${"; any other dollar sign is literal.
// changed reports whether text contained a reference.
func interpolate(text string, env func(string) (string, bool)) (out string, changed bool, err error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return b.String(), changed, nil
		}
		if strings.HasSuffix(before, "$") {
			b.WriteString("{") // the dollar sign is already written
			text = after
			continue
		}
		body, rest, closed := strings.Cut(after, "}")
		if !closed {
			return "", true, fmt.Errorf("${ without a closing } (write $${ for the two characters themselves)")
		}
		value, err := lookUp(body, env)
		if err != nil {
			return "", true, err
		}
		b.WriteString(value)
		text, changed = rest, true
	}
}

func lookUp(body string, env func(string) (string, bool)) (string, error) {
	m := reference().FindStringSubmatch(body)
	if m == nil {
		return "", fmt.Errorf("${%s} is not a reference: write ${VAR}, ${VAR:-default} or ${VAR:?message}", body)
	}
	name, operator, operand := m[1], m[2], m[3]
	value, defined := env(name)
	switch {
	case operator == "-" && value == "":
		value = operand
	case operator == "?" && value == "":
		return "", fmt.Errorf("environment variable %s is required: %s", name, operand)
	case !defined && operator == "":
		return "", fmt.Errorf("environment variable %s is not defined (write ${%s:-default} to allow that)", name, name)
	}
	if strings.ContainsAny(value, "\n\r") {
		return "", fmt.Errorf("the value of environment variable %s holds a newline", name)
	}
	return value, nil
}
