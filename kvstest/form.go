package kvstest

import (
	"fmt"
	"regexp"
	"sync"
)

// form describes a string field of the API Reference: its maximum length in bytes and its pattern.
type form struct {
	maxLength int
	pattern   func() *regexp.Regexp
	text      string
}

func newForm(maxLength int, pattern string) form {
	return form{
		maxLength: maxLength,
		pattern:   sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("^(?:" + pattern + ")$") }),
		text:      fmt.Sprintf("1 to %d characters that match %s", maxLength, pattern),
	}
}

func (f form) valid(s string) bool { return len(s) <= f.maxLength && f.pattern().MatchString(s) }

// The forms of the fields of GetMedia (API Reference, GetMedia and StartSelector).
var (
	streamNameForm     = newForm(256, `[a-zA-Z0-9_.-]+`)
	streamARNForm      = newForm(1024, `arn:[a-z\d-]+:kinesisvideo:[a-z0-9-]+:[0-9]+:[a-z]+/[a-zA-Z0-9_.-]+/[0-9]+`)
	fragmentNumberForm = newForm(128, `[0-9]+`)
	tokenForm          = newForm(128, `[a-zA-Z0-9_.-]+`)
)
