// Package setting declares the keys of pipeline.yaml where they are used: as tags on the fields of Config
// structs. From these tags, package config derives the keys of the file, the names of environment variables,
// messages and the output of `validate --print`. Problems.Check validates a Config by the same tags, also when
// a program fills it in without a file.
//
//	type Config struct {
//		Mode    Mode          `key:"mode"`
//		Rate    int           `key:"rate,optional" with:"mode=fast|exact" range:"1..1000"`
//		Timeout time.Duration `key:"timeout"`
//		_       struct{}      `later:"retries"`
//	}
//
// The keys of an embedded struct are next to those of the struct around it. The tags are:
//
//	key:"name"           names the key. A struct type without UnmarshalText is a mapping, and
//	                     its fields are keys below it. Options follow the name after commas:
//	                       optional  the zero value means that the key is not set
//	                       required  the zero value is an error where the key has a meaning
//	                       pairs     a list of NAME=VALUE that may be written as a mapping
//	with:"mode=a|b"      the key has a meaning only while the key `mode` next to it has one
//	                     of these values
//	unless:"other"       the default does not apply while the key `other` next to it is set,
//	                     and the two exclude each other
//	range:"1..10"        inclusive bounds of a number, size or duration; one may be left out
//	only:"a|b"           the field accepts only these values of its type
//	implied:"98"         the value of a key that is not written although the mapping around it is;
//	                     implied:"required" is an error then
//	doc:"Sentence."      describes the key in the reference and in the JSON Schema
//	example:"10s"        a value for the reference, where the default shows none
//	hint:"text"          is appended to messages about a value that cannot be read
//	entry:"stream as"    an entry of the list may be written {stream: x, as: y} for y=x
//	block:"type"         on a field of an interface type: its value is the Config of a variant
//	                     (see Variants), chosen by the key `type`. The keys of the variant are
//	                     next to `type` in the file. The key is at the blank field with
//	                     key:"type", or else directly before the keys of the variant.
//	later:"a b.c"        on a blank field: keys that are reserved for a later version
//	instead:"text"       with `later`: the alternative to these keys
//
// If the type of a key has a method Values() []string, the key accepts the values that it returns; those of a
// method Later() []string are reserved for a later version. A type with UnmarshalText may have a method
// Syntax() string, which returns the description of a valid value for messages: "a size such as 64MiB".
package setting

import (
	"encoding"
	"reflect"
	"slices"
	"strings"
	"time"
)

// kind is the kind of declaration on a field of a Config.
type kind uint8

const (
	leaf    kind = iota // a key with a value
	mapping             // keys below a key
	chooser             // the key that chooses a variant
	block               // the keys of the variant
	later               // keys that are reserved
)

// field is one field of a Config as its tags describe it.
type field struct {
	kind kind
	// path is the path of the key, or for a block that of the key that chooses it.
	path    string
	options string
	tag     reflect.StructTag
	// value is the value of the field, or for a chooser that of its block.
	value reflect.Value
}

func (f field) has(option string) bool { return slices.Contains(strings.Split(f.options, ","), option) }

// beside returns the path of a key in the same mapping.
func (f field) beside(name string) string {
	return Join(f.path[:max(0, strings.LastIndexByte(f.path, '.'))], name)
}

// condition returns the condition in the tag `with`, and false without one.
func (f field) condition() (c Condition, ok bool) {
	name, values, ok := strings.Cut(f.tag.Get("with"), "=")
	return Condition{f.beside(name), strings.Split(values, "|")}, ok
}

// unset reports whether the field has its zero value.
func (f field) unset() bool {
	return f.value.IsZero() || f.value.Kind() == reflect.Slice && f.value.Len() == 0
}

// fields returns the declarations of the fields of the struct v, whose mapping is at path.
func fields(v reflect.Value, path string) []field {
	t := v.Type()
	blocks, placed := map[string]reflect.Value{}, map[string]bool{}
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("block"); name != "" {
			blocks[name] = v.Field(i)
		}
	}
	var list []field
	for i := range t.NumField() {
		if t.Field(i).Anonymous && t.Field(i).Type.Kind() == reflect.Struct {
			list = append(list, fields(v.Field(i), path)...)
			continue
		}
		tag := t.Field(i).Tag
		name, options, _ := strings.Cut(tag.Get("key"), ",")
		f := field{path: Join(path, name), options: options, tag: tag, value: v.Field(i)}
		switch chosen := tag.Get("block"); {
		case tag.Get("later") != "":
			f.kind = later
		case chosen != "":
			f.kind, f.path = block, Join(path, chosen)
			if !placed[chosen] {
				list = append(list, field{kind: chooser, path: f.path, tag: tag, value: f.value})
			}
		case name == "":
			continue
		case t.Field(i).Name == "_":
			f.kind, f.value, placed[name] = chooser, blocks[name], true
		case isMapping(t.Field(i).Type):
			f.kind = mapping
		}
		list = append(list, f)
	}
	return list
}

// isMapping reports whether values of type t are mappings of keys: structs without UnmarshalText.
func isMapping(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]() &&
		!reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// valuesOf returns the values of type t, and the reserved ones.
func valuesOf(t reflect.Type, only string) (now, reserved []string) {
	zero := reflect.Zero(t).Interface()
	if enum, ok := zero.(interface{ Values() []string }); ok {
		now = enum.Values()
	}
	if enum, ok := zero.(interface{ Later() []string }); ok {
		reserved = enum.Later()
	}
	if only != "" {
		now = strings.Split(only, "|")
	}
	return now, reserved
}

// Texts returns values of an enum as text, for the methods Values and Later.
func Texts[T ~string](values ...T) []string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = string(v)
	}
	return texts
}

// List joins values for a message; the empty value is shown as "".
func List(values []string) string {
	shown := make([]string, len(values))
	for i, v := range values {
		if shown[i] = v; v == "" {
			shown[i] = `""`
		}
	}
	return strings.Join(shown, ", ")
}

// Short returns text for a message, cut after 60 characters.
func Short(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}
