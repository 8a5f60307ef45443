package config

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// Patterns for a line that the parser cannot read.
var (
	quoted       = lazily(`"(\\.|[^"\\])*"|'[^']*'|(^|\s)#.*`)
	pathToken    = lazily(`\{[a-z][a-z0-9_]*(:[^}\s]+)?\}`)
	gluedKey     = lazily(`^\s*(?:- +)?([A-Za-z_-]+):([^\s:].*)$`)
	keyWithValue = lazily(`^\s*(?:- +)?([A-Za-z_-]+)(?:\s+(\S.*))?$`)
)

// lazily compiles a pattern when it is first used: most commands use few of them.
func lazily(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// syntaxHint returns what was probably meant by a line that the parser cannot read, to replace the parser's
// message; "" if there is no better message. line counts from 1.
func syntaxHint(data []byte, line, column int, message string) string {
	lines := strings.Split(string(data), "\n")
	if line < 1 || line > len(lines) {
		return ""
	}
	text := strings.TrimRight(lines[line-1], "\r")
	bare := quoted().ReplaceAllString(text, `""`)
	switch {
	case strings.Contains(indentOf(text), "\t"):
		return "a tab indents this line: YAML allows only spaces"
	case strings.Contains(bare, "${"):
		return `quote a value with ${...} here, as in "${VAR}": braces, commas and colons have a special meaning in YAML`
	case pathToken().MatchString(bare):
		return fmt.Sprintf("quote a value with %s, as in \"%[1]s/...\": braces have a special meaning in YAML", pathToken().FindString(bare))
	case strings.Contains(message, "alias") || strings.Contains(message, "scalar value") && strings.Contains(bare, "*"):
		return `quote a value that begins with *, as in "*"`
	case strings.Contains(message, "reserved character") || strings.Contains(message, "directive"):
		return message + ": quote a value that begins with it"
	case strings.Contains(message, "unexpected key name") || strings.Contains(message, "non-map value"):
		return missingColon(text)
	case column == len(indentOf(text))+1 && strings.Contains(message, "not allowed in this context"):
		return "the indentation of this line matches no line above"
	case strings.Contains(message, "mapping value is not allowed"):
		if line < len(lines) && len(indentOf(lines[line])) > len(indentOf(text)) && strings.Contains(lines[line], ":") {
			return fmt.Sprintf("line %d is indented further than this one, which already has a value", line+1)
		}
		return "quote text that contains a colon and a space"
	}
	return ""
}

func indentOf(line string) string { return line[:len(line)-len(strings.TrimLeft(line, " \t"))] }

// missingColon returns what a line lacks to be a key with a value, or "".
func missingColon(line string) string {
	if m := gluedKey().FindStringSubmatch(line); m != nil {
		return fmt.Sprintf("a space is missing after the colon: write `%s: %s`", m[1], m[2])
	}
	if m := keyWithValue().FindStringSubmatch(line); m != nil {
		return fmt.Sprintf("a colon is missing: write `%s`", strings.TrimSpace(m[1]+": "+m[2]))
	}
	return ""
}
