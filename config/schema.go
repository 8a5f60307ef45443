package config

import (
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/kvsframes/kvsframes/setting"
)

// key is one key of pipeline.yaml.
type key struct {
	setting.Key
	part *part
}

// schema holds all keys of pipeline.yaml, in the order of Print.
type schema struct{ file, sink *part }

// part is a set of keys with one root.
type part struct {
	schema   *schema
	variants setting.Variants
	// defaults is a Config or a Sink.
	defaults any
	keys     []*key
	byPath   map[string]*key
	mappings map[string]bool
}

// builtIn is the schema of BuiltIn.
var builtIn = sync.OnceValue(func() *schema { return newSchema(BuiltIn()) })

// schemaOf returns the schema of variants; nil is that of BuiltIn.
func schemaOf(v setting.Variants) *schema {
	if v == nil {
		return builtIn()
	}
	return newSchema(v)
}

func newSchema(v setting.Variants) *schema {
	s := &schema{}
	s.file, s.sink = s.newPart(v, Default()), s.newPart(v, defaultSink())
	return s
}

func (s *schema) newPart(v setting.Variants, defaults any) *part {
	p := &part{schema: s, variants: v, defaults: defaults, byPath: map[string]*key{}, mappings: map[string]bool{}}
	for _, declared := range v.Keys(defaults) {
		k := &key{declared, p}
		p.keys = append(p.keys, k)
		p.byPath[k.Path] = k
		for at := parent(k.Path); at != ""; at = parent(at) {
			p.mappings[at] = true
		}
	}
	return p
}

// children returns the names directly below path ("" is the root), in order.
func (p *part) children(path string) []string {
	var names []string
	for _, k := range p.keys {
		below := strings.TrimPrefix(strings.TrimPrefix(k.Path, path), ".")
		name, _, _ := strings.Cut(below, ".")
		if within(k.Path, path) && name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// flatten returns the values of a Config or a Sink by key path, in the representation of the layers. Optional keys
// that are not set are left out.
func (p *part) flatten(of any) map[string]any {
	out := map[string]any{}
	p.variants.Each(of, func(path string, v reflect.Value) {
		if k := p.byPath[path]; !k.Optional || !v.IsZero() {
			out[path] = plain(v)
		}
	})
	return out
}

// standing returns the values that unset keys have next to the given values, in the representation of the layers: the
// defaults of the chosen variants, and those of keys without a meaning, which may also be written.
func (p *part) standing(values map[string]any) map[string]any {
	chosen := reflect.New(reflect.TypeOf(p.defaults))
	chosen.Elem().Set(reflect.ValueOf(p.defaults))
	choose := func(path string) string { name, _ := values[path].(string); return name }
	keep := func(string, reflect.Value) error { return nil }
	if err := p.variants.Fill(chosen.Interface(), choose, keep); err != nil {
		panic("config: " + err.Error()) // cannot happen: keep returns no error
	}
	out := p.flatten(chosen.Elem().Interface())
	for _, k := range p.keys {
		_, there := out[k.Path]
		switch {
		case k.Reserved():
		case k.Variant, !there && !k.Optional:
			out[k.Path] = plain(k.Default)
		}
	}
	return out
}

// means reports whether the key has a meaning, given the values of the other keys, or their defaults.
func (k *key) means(values, defaults map[string]any) bool {
	_, ok := k.unmet(func(path string) string {
		if text, ok := values[path].(string); ok {
			return text
		}
		text, _ := defaults[path].(string)
		return text
	})
	return !ok
}

// unmet returns the problem of a key that has no meaning, given the texts of other keys by path, and false if it has
// a meaning.
func (k *key) unmet(text func(path string) string) (problem string, ok bool) {
	for _, c := range k.Conditions {
		if value := text(c.Path); !c.Met(value) {
			return c.Unmet(value) + k.alike(value), true
		}
	}
	return "", false
}
