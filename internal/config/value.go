package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
)

var bareNumber = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[+-]?[0-9]+([.][0-9]*)?$`) })

// read checks a scalar or list against the key and returns it in the form that the
// layers keep: text, int64, bool or a list of text. Values with a unit stay text,
// and become durations, sizes and the like when the merged layers are decoded.
func (k *key) read(n *node, loose bool) (any, error) {
	if n.shape == shapeNull {
		return nil, errors.New("is empty: write a value or leave the key out")
	}
	if k.isList() {
		return k.readList(n, loose)
	}
	if n.shape == shapeMapping && len(n.fields) == 1 && n.fields[0].value.shape == shapeNull {
		return nil, fmt.Errorf("want %s, not a mapping (quote text that begins with {, as in \"{%s}\")", k.wants(), n.fields[0].key)
	}
	if n.shape == shapeList || n.shape == shapeMapping {
		return nil, fmt.Errorf("want %s, not %s", k.wants(), n.shape)
	}
	switch k.kind {
	case kindInt:
		return readInt(n, loose)
	case kindBool:
		return readBool(n, loose)
	}
	if n.shape == shapeBool && !loose {
		return nil, fmt.Errorf("want %s, not true or false (quote it if it is text)", k.wants())
	}
	return k.readText(n.text)
}

func (k *key) wants() string {
	switch k.kind {
	case kindChoice:
		return "one of " + list(k.values)
	case kindInt:
		return "a whole number"
	case kindBool:
		return "true or false"
	case kindDuration:
		return "a duration such as 10s"
	case kindSize:
		return "a size such as 64MiB"
	case kindTime:
		return "a time such as 2026-11-01T00:00:00Z"
	case kindRate:
		return "frames per second"
	case kindColor:
		return "a colour such as \"#000000\""
	case kindTrack:
		return "auto or a track number"
	case kindStart:
		return "auto or a time such as 2026-11-01T00:00:00Z"
	case kindTexts:
		return "a list of text"
	default:
		return "text"
	}
}

func readInt(n *node, loose bool) (any, error) {
	if n.shape != shapeNumber && !loose {
		return nil, fmt.Errorf("want a whole number, not %s (%q)", n.shape, short(n.text))
	}
	v, err := strconv.ParseInt(n.text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is not a whole number", short(n.text))
	}
	return v, nil
}

func readBool(n *node, loose bool) (any, error) {
	if n.shape != shapeBool && !loose {
		return nil, fmt.Errorf("want true or false, not %s (%q)", n.shape, short(n.text))
	}
	switch strings.ToLower(n.text) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return nil, fmt.Errorf("%q is neither true nor false", short(n.text))
}

// readText checks the kinds that stay text. The zero value of an optional key may
// be written as empty text.
func (k *key) readText(text string) (any, error) {
	if text == "" && k.optional {
		return text, nil
	}
	var err error
	switch k.kind {
	case kindChoice:
		err = k.readChoice(text)
	case kindDuration:
		if _, err = parseDuration(text); err != nil && k.path == "sample.interval" {
			err = fmt.Errorf("%w (frames per second are written as fps: 5)", err)
		}
	case kindSize:
		if bareNumber().MatchString(text) {
			return nil, fmt.Errorf("%s has no unit: write a size such as 64MiB", text)
		}
		var s media.Size
		err = s.UnmarshalText([]byte(text))
	case kindTime:
		_, err = parseTime(text)
	case kindTrack:
		var t source.Track
		err = t.UnmarshalText([]byte(text))
	case kindStart:
		var t source.StartTime
		err = t.UnmarshalText([]byte(text))
	case kindRate:
		if _, err := parseDuration(text); err == nil && !bareNumber().MatchString(text) {
			return nil, fmt.Errorf("%s is a duration: write interval: %[1]s, or frames per second here", text)
		}
		var r plan.Rate
		err = r.UnmarshalText([]byte(text))
	case kindColor:
		var c decode.RGB
		err = c.UnmarshalText([]byte(text))
	}
	return text, err
}

func (k *key) readChoice(text string) error {
	if slices.Contains(k.values, text) {
		return nil
	}
	if slices.Contains(k.later, text) {
		return fmt.Errorf("%q is not available in this version: want %s", text, list(k.values))
	}
	hint := didYouMean(text, slices.Concat(k.values, k.later))
	if hint == "" {
		hint = k.elsewhere(text)
	}
	return fmt.Errorf("%q is not one of %s%s", short(text), list(k.values), hint)
}

// isList reports whether the value is a list, whose entries are text.
func (k *key) isList() bool { return k.kind == kindTexts }

// entryError is what is wrong with one entry of a list.
type entryError struct {
	index int
	err   error
}

func (e *entryError) Error() string { return fmt.Sprintf("entry %d: %v", e.index, e.err) }

func (k *key) readList(n *node, loose bool) (any, error) {
	items := n.items
	switch {
	case n.shape == shapeText && loose:
		items = splitList(n)
	case n.shape == shapeText || n.shape == shapeNumber: // one entry needs no brackets
		items = []*node{n}
	case n.shape != shapeList:
		return nil, fmt.Errorf("want %s, not %s", k.wants(), n.shape)
	}
	texts := []any{}
	for i, item := range items {
		if item.shape != shapeText && item.shape != shapeNumber {
			return nil, &entryError{i, fmt.Errorf("want text, not %s", item.shape)}
		}
		texts = append(texts, item.text)
	}
	return texts, nil
}

// splitList reads a,b as the environment and the flags write a list.
func splitList(n *node) []*node {
	var items []*node
	for item := range strings.SplitSeq(n.text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, &node{at: n.at, shape: shapeText, text: item})
		}
	}
	return items
}

func parseDuration(text string) (time.Duration, error) {
	if bareNumber().MatchString(text) {
		return 0, fmt.Errorf("%s has no unit: write a duration such as 10s or 500ms", text)
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration: write a number with a unit, such as 10s or 500ms", short(text))
	}
	if d < 0 {
		return 0, fmt.Errorf("%s is below 0", text)
	}
	return d, nil
}

func parseTime(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time: write RFC 3339, such as 2026-11-01T00:00:00Z", short(text))
	}
	return t.UTC(), nil
}

// list joins values for a message; the empty value is shown as "".
func list(values []string) string {
	shown := make([]string, len(values))
	for i, v := range values {
		if shown[i] = v; v == "" {
			shown[i] = `""`
		}
	}
	return strings.Join(shown, ", ")
}

// short cuts text for a message.
func short(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}
