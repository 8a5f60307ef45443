package config

import (
	"cmp"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/setting"
)

// WriteReference writes a description of all keys of pipeline.yaml in Markdown, from their declarations: sections of level 3. The
// variants are those of Options; nil is BuiltIn.
func WriteReference(w io.Writer, variants setting.Variants) error {
	s := schemaOf(variants)
	var out strings.Builder
	at := slices.IndexFunc(s.file.keys, afterSinks)
	s.file.describe(&out, s.file.keys[:at], "")
	out.WriteString("\n### sinks\n\nA list of sinks. Each frame is decoded once for all of them.\n")
	s.sink.describe(&out, s.sink.keys, "sinks[].")
	s.file.describe(&out, s.file.keys[at:], "")
	out.WriteString("\n### Reserved keys\n\nThese are for later versions, and errors in this one:")
	separator := " "
	for _, one := range []struct {
		prefix string
		keys   []*key
	}{{"", s.file.keys}, {"sinks[].", s.sink.keys}} {
		for _, k := range one.keys {
			if k.Reserved() {
				fmt.Fprintf(&out, "%s`%s%s`", separator, one.prefix, k.Path)
				separator = ", "
			}
		}
	}
	out.WriteString(".\n")
	_, err := io.WriteString(w, out.String())
	return err
}

// afterSinks reports whether a key of the file is the first one behind the sinks.
func afterSinks(k *key) bool { return strings.HasPrefix(k.Path, "checkpoint.") }

// describe writes the keys, each below the heading of its part.
func (p *part) describe(out *strings.Builder, keys []*key, prefix string) {
	declared := p.variants.Declarations(p.defaults)
	section := ""
	for _, k := range keys {
		if k.Reserved() {
			continue
		}
		if top, _, below := strings.Cut(k.Path, "."); prefix == "" && below && top != section {
			section = top
			fmt.Fprintf(out, "\n### %s\n", section)
		}
		fmt.Fprintf(out, "\n#### `%s%s`\n\n", prefix, k.Path)
		for i, d := range distinct(declared, k.Path) {
			if i > 0 {
				out.WriteString("\n")
			}
			(&key{d, p}).describe(out)
		}
	}
}

// distinct returns the declarations of a key, with those that differ in their conditions alone as one.
func distinct(declared []setting.Key, path string) (list []setting.Key) {
	for _, d := range declared {
		if d.Path != path || d.Reserved() {
			continue
		}
		same := func(have setting.Key) bool {
			return have.Doc == d.Doc && have.Range == d.Range && slices.Equal(have.Values, d.Values) && reflect.DeepEqual(plain(have.Default), plain(d.Default))
		}
		if i := slices.IndexFunc(list, same); i >= 0 {
			list[i].Join(d)
			continue
		}
		list = append(list, d)
	}
	return list
}

// describe writes one declaration of a key.
func (k *key) describe(out *strings.Builder) {
	fmt.Fprintf(out, "%s\n\n- Value: %s%s%s\n", k.Doc, k.wants(), k.pairs(), k.bounds())
	fmt.Fprintf(out, "- Default: %s\n", k.standsFor())
	if needs := k.needs(); needs != "" {
		fmt.Fprintf(out, "- Only with: %s\n", needs)
	}
	if k.Unless != "" {
		fmt.Fprintf(out, "- Instead of it: `%s`; only one of the two may be set\n", k.Unless)
	}
	fmt.Fprintf(out, "- Example: `%s: %s`\n", k.Path[strings.LastIndexByte(k.Path, '.')+1:], k.example())
}

// needs returns which values of other keys the key needs, or "".
func (k *key) needs() string {
	var conditions []string
	for _, c := range k.Conditions {
		conditions = append(conditions, fmt.Sprintf("`%s` %s", c.Path, c.Alternatives()))
	}
	return strings.Join(conditions, "; ")
}

// example returns a value of the key as it is written in the file.
func (k *key) example() string { return cmp.Or(k.Example, k.written()) }

// written returns the default as it is written in the file: a duration without units that are 0.
func (k *key) written() string {
	value := plain(k.Default)
	switch text, isText := value.(string); {
	case isText && bareNumber().MatchString(text):
		return text
	case isText && k.Type == reflect.TypeFor[time.Duration]():
		if short, ok := strings.CutSuffix(text, "m0s"); ok {
			text = short + "m"
		}
		if short, ok := strings.CutSuffix(text, "h0m"); ok {
			text = short + "h"
		}
		return text
	}
	return (&printer{}).value(k.Path, value)
}

// pairs returns the form of the entries of a list that may be written as a mapping, for the end of a sentence, or "".
func (k *key) pairs() string {
	if k.Pairs {
		return " NAME=VALUE, or a mapping {NAME: VALUE}"
	}
	return ""
}

// bounds returns the range of the value, for the end of a sentence, or "".
func (k *key) bounds() string {
	low, high, bounded := strings.Cut(k.Range, "..")
	switch {
	case !bounded:
		return ""
	case high == "":
		return ", " + low + " or more"
	case low == "":
		return ", " + high + " or less"
	}
	return ", " + low + " to " + high
}

// standsFor returns what the value is where the key is not written.
func (k *key) standsFor() string {
	unset := k.Default.IsZero() || k.isList() && k.Default.Len() == 0
	switch {
	case k.Implied == setting.Required:
		return fmt.Sprintf("none; it must be written where `%s` is", parent(k.Path))
	case k.Implied != "":
		return fmt.Sprintf("none; %s where `%s` is written without it", k.Implied, parent(k.Path))
	case unset && k.Needed:
		return "none; it must be written"
	case unset && (k.Optional || k.isList()):
		return "none"
	}
	return "`" + k.written() + "`"
}
