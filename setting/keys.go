package setting

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Key describes one key, as declared by the tags of its field.
type Key struct {
	// Path is the path of the key, relative to the Config.
	Path string
	// Type is the type of the value, nil for a reserved key.
	Type reflect.Type
	// Default is the value in the defaults, not valid where Type is nil.
	Default reflect.Value
	// Values are all values that the key accepts, Later those of a later version. Both are empty where the type
	// decides.
	Values, Later []string
	// Optional reports whether the zero value means that the key is not set.
	Optional bool
	// Pairs reports whether the list may be written as a mapping whose entries are NAME=VALUE.
	Pairs bool
	// Entry holds the names of the two values of an entry, in a list whose entries may be mappings: the entry
	// {0: x, 1: y} is the text y=x.
	Entry [2]string
	// Conditions state when the key has a meaning, the outermost first.
	Conditions []Condition
	// Variant reports whether the key chooses a variant.
	Variant bool
	// Unless is the path of the key that disables this key's default, or "".
	Unless string
	// Hint is the end of messages about a value that cannot be read, or "".
	Hint string
	// Implied is the value of a key that is not written although the mapping around it is; "" leaves it unset, and Required is an error.
	Implied string
	// Instead is the alternative to a reserved key, or "".
	Instead string
	// Doc describes the key in a sentence, and Example is a value of it, or "": the default then shows one.
	Doc, Example string
	// Range holds inclusive bounds, as 1..10, of which one may be left out; "" is none.
	Range string
	// Needed reports whether the key must be set where it has a meaning.
	Needed bool
}

// Required is the Implied of a key that must be written where the mapping around it is.
const Required = "required"

// Reserved reports whether the key is reserved for a later version.
func (k *Key) Reserved() bool { return k.Type == nil }

// Condition requires that another key has one of some values.
type Condition struct {
	// Path is the path of the other key.
	Path  string
	Needs []string
}

// Met reports whether the condition holds for a value of the other key.
func (c Condition) Met(value string) bool { return slices.Contains(c.Needs, value) }

// Unmet returns the problem of a key that is set although the other key's value makes it meaningless.
func (c Condition) Unmet(value string) string {
	return fmt.Sprintf("belongs to %s %s, and the %[1]s is %[3]s", c.name(), c.Alternatives(), value)
}

// Alternatives returns the values as text: "a", "a or b" or "a, b or c".
func (c Condition) Alternatives() string {
	last := len(c.Needs) - 1
	if last < 1 {
		return strings.Join(c.Needs, "")
	}
	return strings.Join(c.Needs[:last], ", ") + " or " + c.Needs[last]
}

func (c Condition) name() string { return c.Path[strings.LastIndexByte(c.Path, '.')+1:] }

// Variants holds the Configs that a field of an interface type may have, by that type: the types of source, sink,
// sampler and destination of a program. They are collected by the program, since the package that declares the
// interface does not import its implementations.
type Variants map[reflect.Type][]variant

// variant is one of the Configs of an interface type.
type variant struct {
	name string
	// config is the Config with its defaults, not valid where the name is reserved.
	config reflect.Value
}

// Add adds a variant of the interface type T: the value of the key that chooses it, and its Config, a struct with the
// defaults of its fields. Each variant must have a different type.
func Add[T any](v Variants, name string, defaults T) {
	t := reflect.TypeFor[T]()
	v[t] = append(v[t], variant{name, reflect.ValueOf(defaults)})
}

// Reserve adds names of variants of T that are reserved for a later version.
func Reserve[T any](v Variants, names ...string) {
	for _, name := range names {
		t := reflect.TypeFor[T]()
		v[t] = append(v[t], variant{name: name})
	}
}

// names returns the names of the variants of t, and the reserved ones.
func (v Variants) names(t reflect.Type) (now, reserved []string) {
	for _, one := range v[t] {
		if one.config.IsValid() {
			now = append(now, one.name)
		} else {
			reserved = append(reserved, one.name)
		}
	}
	return now, reserved
}

// nameOf returns the name of the variant in the interface value, or "".
func (v Variants) nameOf(value reflect.Value) string {
	for _, one := range v[value.Type()] {
		if one.config.IsValid() && !value.IsNil() && one.config.Type() == value.Elem().Type() {
			return one.name
		}
	}
	return ""
}

// Keys returns the keys of a Config, which holds their defaults, in the order of its fields. It lists a key of
// several variants once.
func (v Variants) Keys(config any) []Key {
	var l keyList
	for _, k := range v.Declarations(config) {
		l.put(k)
	}
	return l
}

// Declarations returns what Keys returns, with a key of several variants for each of them: its default and its
// description may differ.
func (v Variants) Declarations(config any) []Key {
	var l keyList
	l.add(v, reflect.ValueOf(config), "", nil)
	return l
}

// keyList is a list of keys under construction.
type keyList []Key

// add adds the keys of the struct at path, which have a meaning where the conditions hold.
func (l *keyList) add(v Variants, config reflect.Value, path string, within []Condition) {
	for _, f := range fields(config, path) {
		switch f.kind {
		case mapping:
			l.add(v, f.value, f.path, within)
		case later:
			for reserved := range strings.FieldsSeq(f.tag.Get("later")) {
				*l = append(*l, Key{Path: Join(path, reserved), Instead: f.tag.Get("instead")})
			}
		case chooser:
			k := Key{Path: f.path, Type: reflect.TypeFor[string](), Default: reflect.ValueOf(v.nameOf(f.value)), Variant: true, Conditions: slices.Clone(within), Doc: f.tag.Get("doc"), Example: f.tag.Get("example")}
			k.Values, k.Later = v.names(f.value.Type())
			*l = append(*l, k)
		case block:
			for _, one := range v[f.value.Type()] {
				if one.config.IsValid() {
					l.add(v, one.config, path, append(slices.Clip(within), Condition{f.path, []string{one.name}}))
				}
			}
		case leaf:
			*l = append(*l, newKey(f, within))
		}
	}
}

func newKey(f field, within []Condition) Key {
	k := Key{
		Path: f.path, Type: f.value.Type(), Default: f.value,
		Optional: f.has("optional"), Pairs: f.has("pairs"), Hint: f.tag.Get("hint"), Implied: f.tag.Get("implied"),
		Doc: f.tag.Get("doc"), Example: f.tag.Get("example"), Range: f.tag.Get("range"), Needed: f.has("required"),
	}
	k.Values, k.Later = valuesOf(k.Type, f.tag.Get("only"))
	k.Conditions = slices.Clone(within)
	if c, ok := f.condition(); ok {
		k.Conditions = append(k.Conditions, c)
	}
	if other := f.tag.Get("unless"); other != "" {
		k.Unless = f.beside(other)
	}
	if names := strings.Fields(f.tag.Get("entry")); len(names) == len(k.Entry) {
		k.Entry = [2]string(names)
	}
	return k
}

// put adds a key, or merges it with the same key of another variant.
func (l *keyList) put(k Key) {
	at := slices.IndexFunc(*l, func(have Key) bool { return have.Path == k.Path })
	if at < 0 {
		*l = append(*l, k)
		return
	}
	(*l)[at].Join(k)
}

// Join adds the values and conditions of another declaration of the key.
func (k *Key) Join(other Key) {
	union := func(to *[]string, from []string) {
		for _, v := range from {
			if !slices.Contains(*to, v) {
				*to = append(slices.Clip(*to), v)
			}
		}
	}
	union(&k.Values, other.Values)
	union(&k.Later, other.Later)
	for i := range min(len(k.Conditions), len(other.Conditions)) {
		if k.Conditions[i].Path == other.Conditions[i].Path {
			union(&k.Conditions[i].Needs, other.Conditions[i].Needs)
		}
	}
}

// Each calls visit for each key that has a value in config, in the order of the fields.
// The value of a key that chooses a variant is a string.
func (v Variants) Each(config any, visit func(path string, value reflect.Value)) {
	v.each(reflect.ValueOf(config), "", visit)
}

func (v Variants) each(config reflect.Value, path string, visit func(string, reflect.Value)) {
	for _, f := range fields(config, path) {
		switch f.kind {
		case mapping:
			v.each(f.value, f.path, visit)
		case chooser:
			visit(f.path, reflect.ValueOf(v.nameOf(f.value)))
		case block:
			if !f.value.IsNil() {
				v.each(f.value.Elem(), path, visit)
			}
		case leaf:
			visit(f.path, f.value)
		}
	}
}

// Fill calls set for each field of the struct that config points to, in order, to change its value. For a
// block, it first calls choose with the path of the key that chooses the variant. If choose returns another
// variant than that of the block, the block gets the defaults of that variant. An unknown name leaves the block
// unchanged.
func (v Variants) Fill(config any, choose func(path string) string, set func(path string, field reflect.Value) error) error {
	return v.fill(reflect.ValueOf(config).Elem(), "", choose, set)
}

func (v Variants) fill(config reflect.Value, path string, choose func(string) string, set func(string, reflect.Value) error) error {
	for _, f := range fields(config, path) {
		var err error
		switch f.kind {
		case mapping:
			err = v.fill(f.value, f.path, choose, set)
		case block:
			err = v.fillBlock(f, path, choose, set)
		case leaf:
			err = set(f.path, f.value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (v Variants) fillBlock(f field, path string, choose func(string) string, set func(string, reflect.Value) error) error {
	from := f.value.Elem()
	if name := choose(f.path); name != v.nameOf(f.value) {
		for _, one := range v[f.value.Type()] {
			if one.name == name && one.config.IsValid() {
				from = one.config
			}
		}
	}
	if !from.IsValid() {
		return nil
	}
	changed := reflect.New(from.Type()).Elem()
	changed.Set(from)
	err := v.fill(changed, path, choose, set)
	f.value.Set(changed)
	return err
}
