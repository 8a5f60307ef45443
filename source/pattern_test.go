package source

import (
	"strings"
	"testing"
)

func TestPatternMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"prod-*", "prod-1", true},
		{"prod-*", "prod-", true},
		{"prod-*", "prod", false},
		{"prod-*", "test-prod-1", false},
		{"*", "anything", true},
		{"*", "", true},
		{"cam-?", "cam-1", true},
		{"cam-?", "cam-10", false},
		{"cam-?", "cam-", false},
		{"*-door-*", "front-door-hd", true},
		{"*-door-*", "front-door", false},
		{"a*b*c", "aXbYbZc", true},
		{"a*b*c", "aXbYbZ", false},
		{"*.hd", "front.door.hd", true},
		{"?*", "", false},
		{"a**", "a", true},
		{strings.Repeat("a*", 100) + "b", strings.Repeat("a", 256), false},
	} {
		if got := Pattern(c.pattern).Match(c.name); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.pattern, c.name, got, c.want)
		}
	}
	if got := Pattern("prod-?-*").Prefix(); got != "prod-" {
		t.Errorf("prefix %q", got)
	}
	if !IsPattern("prod-*") || IsPattern("prod-1") {
		t.Error("patterns are not told from names")
	}
}
