package config

import (
	"encoding/json"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/setting"
)

// schemaDialect is the dialect of JSON Schema that WriteSchema writes.
const schemaDialect = "https://json-schema.org/draft/2020-12/schema"

// object is a JSON object.
type object = map[string]any

// WriteSchema writes a JSON Schema (draft 2020-12) of pipeline.yaml, from the declarations of its keys. It states which keys there are,
// the types and the texts of their values, and not which keys need or exclude each other. The variants are those of Options; nil is
// BuiltIn.
func WriteSchema(w io.Writer, variants setting.Variants) error {
	s := schemaOf(variants)
	root := s.file.object("")
	sink := s.sink.object("")
	sink["type"] = "object"
	root["properties"].(object)["sinks"] = object{
		"description": "Each frame is decoded once for all sinks.", "type": "array", "minItems": 1, "items": sink,
	}
	root["type"], root["required"] = "object", []string{"sinks"}
	root["$schema"], root["title"] = schemaDialect, "The settings of kvsframes: pipeline.yaml"
	root["$defs"] = object{"variable": object{"description": "${VAR}, ${VAR:-default} or ${VAR:?message}", "type": "string", "pattern": `\$\{`}}
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(root)
}

// object returns the schema of the mapping at path, which is null where all its keys are in comments.
func (p *part) object(path string) object {
	properties := object{}
	for _, name := range p.children(path) {
		at := join(path, name)
		switch k := p.byPath[at]; {
		case p.mappings[at] && k == nil:
			if inner := p.object(at); len(inner["properties"].(object)) > 0 {
				properties[name] = inner
			}
		case !k.Reserved():
			properties[name] = k.schema()
		}
	}
	return object{"type": []string{"object", "null"}, "properties": properties, "additionalProperties": false}
}

// schema returns the schema of a key.
func (k *key) schema() object {
	out := object{}
	declared := distinct(k.part.variants.Declarations(k.part.defaults), k.Path)
	docs := make([]string, len(declared))
	for i, d := range declared {
		if docs[i] = d.Doc; len(d.Conditions) > 0 {
			docs[i] += " Only with " + (&key{d, k.part}).needs() + "."
		}
	}
	out["description"] = strings.Join(docs, "\n")
	if len(declared) == 1 && !(k.Default.IsZero() && (k.Optional || k.isList())) {
		out["default"] = plain(k.Default)
	}
	if ways := k.ways(); len(ways) == 1 {
		maps.Copy(out, ways[0].(object))
	} else {
		out["anyOf"] = ways
	}
	return out
}

// ways returns the schemas of the ways in which the value may be written.
func (k *key) ways() []any {
	if !k.isList() {
		return k.scalars(k.Type)
	}
	one := k.scalars(k.Type.Elem())
	entries := slices.Clone(one)
	if k.Entry[0] != "" {
		texts := object{k.Entry[0]: object{"type": scalarTypes}, k.Entry[1]: object{"type": scalarTypes}}
		entries = append(entries, object{"type": "object", "properties": texts, "required": k.Entry[:], "additionalProperties": false})
	}
	forms := append(slices.Clone(one), object{"type": "array", "items": object{"anyOf": entries}})
	if k.Pairs {
		forms = append(forms, object{"type": "object", "additionalProperties": object{"type": scalarTypes}})
	}
	return forms
}

// textTypes are the types of a value that is read as text, scalarTypes those of one in a mapping that is.
var (
	textTypes   = []string{"string", "number"}
	scalarTypes = []string{"string", "number", "boolean"}
)

// scalars returns the schemas of one value of type t.
func (k *key) scalars(t reflect.Type) []any {
	variable := object{"$ref": "#/$defs/variable"}
	switch {
	case k.isNumber():
		return []any{k.bounded(object{"type": "integer"}), variable}
	case t.Kind() == reflect.Bool:
		return []any{object{"type": "boolean"}, variable}
	case len(k.Values) > 0:
		values := k.Values
		if k.Optional {
			values = append(slices.Clone(values), "")
		}
		return []any{object{"enum": values}, variable}
	}
	pattern := patternOf(t)
	if pattern == "" {
		return []any{object{"type": textTypes}}
	}
	forms := []any{object{"type": "string", "pattern": pattern}, variable}
	switch text := regexp.MustCompile(pattern); { // without quotes a number of YAML is a number
	case text.MatchString("1"):
		forms = append(forms, object{"type": "number"})
	case text.MatchString("0"):
		forms = append(forms, object{"const": 0})
	}
	if k.Optional && !k.isList() {
		forms = append(forms, object{"const": ""})
	}
	return forms
}

// patternOf returns the pattern of the texts of a type, "" if it has any text.
func patternOf(t reflect.Type) string {
	type patterned interface{ Pattern() string }
	switch p, ok := reflect.Zero(t).Interface().(patterned); {
	case ok:
		return p.Pattern()
	case t == reflect.TypeFor[time.Duration]():
		return "^" + setting.DurationPattern + "$"
	case t == reflect.TypeFor[time.Time]():
		return "^(" + setting.TimePattern + "|" + relativePattern + ")$"
	}
	return ""
}

// bounded adds the bounds of a whole number to its schema.
func (k *key) bounded(schema object) object {
	low, high, _ := strings.Cut(k.Range, "..")
	for name, text := range map[string]string{"minimum": low, "maximum": high} {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			schema[name] = n
		}
	}
	return schema
}
