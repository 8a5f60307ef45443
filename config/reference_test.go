package config

import (
	"reflect"
	"strings"
	"testing"
)

// TestEachKeyDescribesItself holds what the reference and the schema take from the declarations.
func TestEachKeyDescribesItself(t *testing.T) {
	for _, p := range []*part{builtIn().file, builtIn().sink} {
		for _, d := range p.variants.Declarations(p.defaults) {
			if d.Reserved() {
				continue
			}
			k := &key{d, p}
			if !strings.HasSuffix(d.Doc, ".") || strings.Contains(d.Doc, ". ") || d.Doc[0] < 'A' || d.Doc[0] > 'Z' {
				t.Errorf("%s: the description is %q, want one sentence in the tag doc", d.Path, d.Doc)
			}
			root, problems := parseYAML("example", []byte("key: "+k.example()))
			if len(problems) > 0 || len(root.fields) != 1 {
				t.Errorf("%s: the example %s is no YAML: %v", d.Path, k.example(), problems)
				continue
			}
			if value, err := k.read(k.simple(root.fields[0].value), false); err != nil || value == "" && d.Path != "destination.server_side_encryption.type" {
				t.Errorf("%s: the example %s is read as %v, %v", d.Path, k.example(), value, err)
			}
		}
	}
}

// TestPatternsMatchWhatIsRead compares the pattern of each type with the texts that it reads.
func TestPatternsMatchWhatIsRead(t *testing.T) {
	schema := compiled(t)
	types := map[reflect.Type]string{}
	for _, k := range builtIn().file.keys {
		if !k.Reserved() {
			types[k.Type] = k.Path
		}
	}
	sinkTypes := map[reflect.Type]string{}
	for _, k := range builtIn().sink.keys {
		if !k.Reserved() {
			sinkTypes[k.Type] = k.Path
		}
	}
	texts := []string{
		"1", "0", "-1", "7.5", "1e3", ".5", "5.", "auto", "none", "10s", "1h30m", "1.5h", "-10s", "10", "10 s", "64MiB", "64 MiB", "1.5MiB", "64mib", "0B", "1kB", "2KiB", "3MB", "4GB", "5GiB", "30000/1001",
		"2026-11-01T00:00:00Z", "2026-11-01T00:00:00.25+02:00", "2026-11-01", "#0a0B0c", "#0a0b", "yesterday", "now-24h", "today+8h", "now-1d", "now+", "tomorrow", "arn:aws:iam::123456789012:role/a/b", "arn:aws:iam::1234:role/a", "true", "jpeg", "STANDARD", "s3",
	}
	check := func(k *key, wrap func(value any) any) {
		for _, text := range texts {
			_, err := k.read(&node{shape: shapeText, text: text}, false)
			if valid := schema.Validate(wrap(nested(k.Path, text))) == nil; valid != (err == nil) {
				t.Errorf("%s: %q: the schema accepts it: %t, reading gives %v", k.Path, text, valid, err)
			}
		}
	}
	sinks := []any{map[string]any{"name": "a"}}
	for _, path := range types {
		check(builtIn().file.byPath[path], func(v any) any { v.(map[string]any)["sinks"] = sinks; return v })
	}
	for _, path := range sinkTypes {
		check(builtIn().sink.byPath[path], func(v any) any { return map[string]any{"sinks": []any{v}} })
	}
}

// nested returns the mappings around a value.
func nested(path string, value any) any {
	name, rest, below := strings.Cut(path, ".")
	if below {
		value = nested(rest, value)
	}
	return map[string]any{name: value}
}
