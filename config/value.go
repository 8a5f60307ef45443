package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/setting"
)

var bareNumber = lazily(`^[+-]?[0-9]+([.][0-9]*)?$`)

// read checks a scalar or list against the key and returns it in the representation of the layers: text, int64,
// bool or a list of text. Values with a unit stay text until the merged layers are decoded.
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
	number, boolean := k.isNumber(), k.Type.Kind() == reflect.Bool
	switch {
	case !loose && (number && n.shape != shapeNumber || boolean && n.shape != shapeBool):
		return nil, fmt.Errorf("want %s, not %s (%q)", k.wants(), n.shape, setting.Short(n.text))
	case number:
		return readInt(n.text)
	case boolean:
		return readBool(n.text)
	case n.shape == shapeBool && !loose:
		return nil, fmt.Errorf("want %s, not true or false (quote it if it is text)", k.wants())
	}
	return k.readText(n.text)
}

func (k *key) wants() string {
	syntax, ok := reflect.Zero(k.Type).Interface().(interface{ Syntax() string })
	switch {
	case ok:
		return syntax.Syntax()
	case len(k.Values) > 0:
		return "one of " + setting.List(k.Values)
	case k.isList():
		if entry, ok := reflect.Zero(k.Type.Elem()).Interface().(interface{ Syntax() string }); ok {
			return "a list, each entry " + entry.Syntax()
		}
		return "a list of text"
	case k.Type == reflect.TypeFor[time.Duration]():
		return "a duration such as 10s"
	case k.Type == reflect.TypeFor[time.Time]():
		return "a time such as 2026-11-01T00:00:00Z, now-24h or yesterday"
	case k.isNumber():
		return "a whole number"
	case k.Type.Kind() == reflect.Bool:
		return "true or false"
	}
	return "text"
}

func readInt(text string) (any, error) {
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is not a whole number", setting.Short(text))
	}
	return v, nil
}

func readBool(text string) (any, error) {
	switch strings.ToLower(text) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return nil, fmt.Errorf("%q is neither true nor false", setting.Short(text))
}

// readText checks the types whose values stay text. An optional key may be set to its zero value by empty text.
func (k *key) readText(text string) (any, error) {
	if text == "" && k.Optional {
		return text, nil
	}
	var err error
	if k.Type == reflect.TypeFor[time.Time]() {
		if _, ok, err := relativeTime(text, time.Time{}); ok {
			return text, err
		}
	}
	if len(k.Values) > 0 {
		err = k.checkValue(text)
	} else {
		err = parse(reflect.New(k.Type).Elem(), text)
	}
	if err != nil && k.Hint != "" {
		err = fmt.Errorf("%w (%s)", err, k.Hint)
	}
	return text, err
}

func (k *key) checkValue(text string) error {
	err := setting.CheckValue(text, k.Values, k.Later)
	if _, near := setting.Nearest(text, slices.Concat(k.Values, k.Later)); err != nil && !near {
		err = fmt.Errorf("%w%s", err, k.elsewhere(text))
	}
	return err
}

// standard returns a value in the form of the defaults: 60s is 1m0s.
func (k *key) standard(value any) any {
	decoded := reflect.New(k.Type).Elem()
	if assign(decoded, value) != nil {
		return value
	}
	return plain(decoded)
}

// isList reports whether the value is a list, whose entries are text.
func (k *key) isList() bool { return k.Type.Kind() == reflect.Slice }

// isNumber reports whether the value is a whole number.
func (k *key) isNumber() bool {
	return k.Type == reflect.TypeFor[int]() || k.Type == reflect.TypeFor[int64]()
}

// isFree reports whether the key accepts any text.
func (k *key) isFree() bool {
	return k.isList() || k.Type.Kind() == reflect.String && len(k.Values) == 0
}

// entryError is a problem with one entry of a list.
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
		if err := parse(reflect.New(k.Type.Elem()).Elem(), item.text); err != nil {
			return nil, &entryError{i, err}
		}
		texts = append(texts, item.text)
	}
	return texts, nil
}

// splitList splits a,b, the form of a list in the environment and the flags.
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
		return 0, fmt.Errorf("%q is not a duration: write a number with a unit, such as 10s or 500ms", setting.Short(text))
	}
	if d < 0 {
		return 0, fmt.Errorf("%s is below 0", text)
	}
	return d, nil
}

func parseTime(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time: write RFC 3339, such as 2026-11-01T00:00:00Z, or now-24h, today, yesterday", setting.Short(text))
	}
	return t.UTC(), nil
}
