package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
)

// setting is one value of a layer and where it was written.
type setting struct {
	value any
	at    position
	// items are the places of a list's entries.
	items []position
	// shown is the value as the file has it, "" when it holds no reference; itemsShown are
	// those of a list's entries, nil when none does.
	shown      string
	itemsShown []string
}

// layer holds what one of the file, the environment or the flags says of one
// part, by key path.
type layer map[string]setting

// drop forgets path and everything below it.
func (l layer) drop(path string) {
	for k := range l {
		if within(k, path) {
			delete(l, k)
		}
	}
}

// within reports whether path is root or lies below it.
func within(path, root string) bool {
	rest, ok := strings.CutPrefix(path, root)
	return ok && (rest == "" || root == "" || rest[0] == '.' || rest[0] == '[')
}

// layers are the file, the environment and the flags, later ones winning.
type layers [3]layer

const (
	layerFile = iota
	layerEnvironment
	layerFlags
)

func newLayers() layers { return layers{{}, {}, {}} }

// effective returns what the highest layer says of path.
func (ls layers) effective(path string) (setting, bool) {
	if i, ok := ls.from(path); ok {
		return ls[i][path], true
	}
	return setting{}, false
}

// from returns the highest layer that says anything of path.
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

// merge puts the layers on top of the defaults and decodes the result.
//
// Viper is given values and never looks for any itself: its own lookup of the
// environment passes over keys that have no default, and it splits map keys at
// dots and lower-cases them, which is harmless only because every key comes from
// the schema.
func merge(defaults map[string]any, ls layers, into any) error {
	v := viper.New()
	for path, value := range defaults {
		v.SetDefault(path, value)
	}
	for _, l := range ls[:layerFlags] {
		if err := v.MergeConfigMap(nest(l)); err != nil {
			return fmt.Errorf("merge settings: %w", err)
		}
	}
	for path, s := range ls[layerFlags] {
		v.Set(path, s.value)
	}
	if err := v.UnmarshalExact(into, strictly); err != nil {
		return fmt.Errorf("decode settings: %w", err)
	}
	return nil
}

// nest turns key paths into nested maps.
func nest(l layer) map[string]any {
	root := map[string]any{}
	for path, s := range l {
		names := strings.Split(path, ".")
		m := root
		for _, name := range names[:len(names)-1] {
			child, ok := m[name].(map[string]any)
			if !ok {
				child = map[string]any{}
				m[name] = child
			}
			m = child
		}
		m[names[len(names)-1]] = s.value
	}
	return root
}

// strictly takes away what viper and mapstructure convert of their own accord.
func strictly(c *mapstructure.DecoderConfig) {
	c.WeaklyTypedInput = false
	c.DecodeHook = mapstructure.ComposeDecodeHookFunc(
		mapstructure.DecodeHookFuncType(decodeDuration),
		mapstructure.DecodeHookFuncType(decodeEmpty),
		mapstructure.TextUnmarshallerHookFunc(),
	)
}

// decodeDuration reads durations, and refuses bare numbers: an int64 would
// otherwise become that many nanoseconds.
func decodeDuration(_, to reflect.Type, data any) (any, error) {
	if to != reflect.TypeFor[time.Duration]() {
		return data, nil
	}
	switch data := data.(type) {
	case time.Duration:
		return data, nil
	case string:
		if data == "" {
			return time.Duration(0), nil
		}
		return parseDuration(data)
	}
	return nil, fmt.Errorf("%v is not a duration with a unit", data)
}

// decodeEmpty turns empty text into the zero value of a type that reads itself
// from text, and times into UTC.
func decodeEmpty(_, to reflect.Type, data any) (any, error) {
	text, ok := data.(string)
	if !ok || !reflect.PointerTo(to).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return data, nil
	}
	if text == "" {
		return reflect.Zero(to).Interface(), nil
	}
	if to == reflect.TypeFor[time.Time]() {
		return parseTime(text)
	}
	return data, nil
}

// flatten turns a struct into values by key path, in the form of the layers. Keys
// that are optional and not set are left out.
func flatten(p *part, from any) map[string]any {
	out := map[string]any{}
	flattenInto(p, reflect.ValueOf(from), "", out)
	return out
}

func flattenInto(p *part, v reflect.Value, path string, out map[string]any) {
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("mapstructure")
		if name == "-" || name == "" {
			continue
		}
		child, at := v.Field(i), join(path, name)
		k := p.byPath[at]
		switch {
		case p.mappings[at]:
			flattenInto(p, child, at, out)
		case k == nil:
			panic("config: no key " + at + " in the schema") // held by a test over both
		case k.unavailable || k.optional && child.IsZero():
		default:
			out[at] = plain(child)
		}
	}
}

func plain(v reflect.Value) any {
	switch value := v.Interface().(type) {
	case time.Duration:
		return value.String()
	case encoding.TextMarshaler:
		text, err := value.MarshalText()
		if err != nil {
			panic("config: " + err.Error()) // none of the types that a Config holds can
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
			texts[i] = v.Index(i).String()
		}
		return texts
	}
	return v.String()
}
