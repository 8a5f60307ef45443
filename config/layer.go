package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/viper"
)

// written is one value of a layer with its place.
type written struct {
	value any
	at    position
	// items are the places of the entries of a list.
	items []position
	// shown is the value as in the file, or "" when it contains no reference; itemsShown are those of a list's
	// entries, nil when no entry contains one.
	shown      string
	itemsShown []string
}

// layer holds the values of the file, the environment or the flags for one part, by key path.
type layer map[string]written

// drop removes path and everything below it.
func (l layer) drop(path string) {
	for k := range l {
		if within(k, path) {
			delete(l, k)
		}
	}
}

// within reports whether path is root or below it.
func within(path, root string) bool {
	rest, ok := strings.CutPrefix(path, root)
	return ok && (rest == "" || root == "" || rest[0] == '.' || rest[0] == '[')
}

// layers are the file, the environment and the flags; later ones override earlier ones.
type layers [3]layer

const (
	layerFile = iota
	layerEnvironment
	layerFlags
)

func newLayers() layers { return layers{{}, {}, {}} }

// effective returns the value of path in the highest layer that has one.
func (ls layers) effective(path string) (written, bool) {
	if i, ok := ls.from(path); ok {
		return ls[i][path], true
	}
	return written{}, false
}

// from returns the highest layer that has a value of path.
func (ls layers) from(path string) (layer int, ok bool) {
	for i := len(ls) - 1; i >= 0; i-- {
		if _, ok := ls[i][path]; ok {
			return i, true
		}
	}
	return 0, false
}

// text returns the effective text of path, or fallback.
func (ls layers) text(path, fallback string) string {
	if s, ok := ls.effective(path); ok {
		if text, ok := s.value.(string); ok {
			return text
		}
	}
	return fallback
}

// fill sets the fields of into, a pointer to defaults, to the values of the layers.
//
// Viper receives all values and looks up none: its own lookup of the environment ignores keys without a default. It
// also splits map keys at dots and lower-cases them, which is harmless only because every key comes from the schema.
func (p *part) fill(ls layers, into any) error {
	v := viper.New()
	for _, l := range ls {
		for path, s := range l {
			if p.byPath[path] == nil {
				return fmt.Errorf("merge settings: no struct has the key %s", path)
			}
			v.Set(path, s.value) // replaces the value of a lower layer
		}
	}
	return p.variants.Fill(into, v.GetString, func(path string, field reflect.Value) error {
		unless := p.byPath[path].Unless
		switch value := v.Get(path); {
		case value != nil:
			if err := assign(field, value); err != nil {
				return fmt.Errorf("decode settings: %s: %w", path, err)
			}
		case unless != "" && v.IsSet(unless): // its default does not apply
			field.SetZero()
		}
		return nil
	})
}

// assign sets a field to a value of a layer. It converts no types: an int64 would otherwise become that many
// nanoseconds.
func assign(field reflect.Value, value any) error {
	if reflect.TypeOf(value) != reflect.TypeOf(plain(field)) {
		return fmt.Errorf("%v is not of type %s", value, field.Type())
	}
	switch value := value.(type) {
	case string:
		if value != "" {
			return parse(field, value)
		}
		field.SetZero()
	case []any:
		list := reflect.MakeSlice(field.Type(), len(value), len(value))
		for i, item := range value {
			if err := parse(list.Index(i), fmt.Sprint(item)); err != nil {
				return &entryError{i, err}
			}
		}
		field.Set(list)
	default:
		field.Set(reflect.ValueOf(value).Convert(field.Type()))
	}
	return nil
}

// parse sets a field whose value is text in the layers.
func parse(field reflect.Value, text string) (err error) {
	switch into := field.Addr().Interface().(type) {
	case *time.Duration:
		*into, err = parseDuration(text)
	case *time.Time:
		*into, err = parseTime(text)
	case encoding.TextUnmarshaler:
		err = into.UnmarshalText([]byte(text))
	default:
		field.SetString(text)
	}
	return err
}

// plain returns a value in the representation of the layers.
func plain(v reflect.Value) any {
	switch value := v.Interface().(type) {
	case time.Duration:
		return value.String()
	case encoding.TextMarshaler:
		text, err := value.MarshalText()
		if err != nil {
			panic("config: " + err.Error()) // cannot happen: every type in a Config can be encoded
		}
		return string(text)
	}
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int64:
		return v.Int()
	case reflect.Slice:
		texts := make([]any, v.Len())
		for i := range texts {
			texts[i] = plain(v.Index(i))
		}
		return texts
	}
	return v.String()
}
