package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kvsframes/kvsframes/setting"
)

// envPrefix is the prefix of every environment variable that is a setting.
const envPrefix = "KVSFRAMES_"

// reserved are the variables with the prefix that are not settings: the build and the tests of the project use them.
var reserved = []string{"KVSFRAMES_CACHE", "KVSFRAMES_LIBAV", "KVSFRAMES_VERSITYGW"}

// serviceLink matches the variables that Kubernetes sets in every container for a Service named kvsframes (Kubernetes
// documentation, Service, environment variables). They are not settings, and no key has such a name.
var serviceLink = lazily(`^KVSFRAMES_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_.+)?)$`)

// envName returns the name of the variable for a key path, without the prefix.
func envName(path string) string {
	return strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// scope returns the scope of the keys of a sink, or of the whole file for an index of -1.
func (l *loader) scope(index int) scope {
	if index < 0 {
		return scope{part: l.schema.file}
	}
	return scope{part: l.schema.sink, prefix: sinkPath(index)}
}

// readEnvironment distributes the variables with the prefix to the layers.
func (l *loader) readEnvironment(environ []string) {
	for _, name := range slices.Sorted(maps.Keys(environment(environ))) { // a mapping before its keys
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(reserved, name) || serviceLink().MatchString(name) {
			continue
		}
		at := position{file: "environment " + name}
		index, path, problem := l.findEnv(strings.TrimPrefix(name, envPrefix))
		if problem != "" {
			l.add(at, "", "%s", problem)
			continue
		}
		l.override(index, path, layerEnvironment, l.env[name], at)
	}
}

// findEnv returns the key or mapping of a variable, with the index for scope, or the problem with its name.
func (l *loader) findEnv(name string) (index int, path, problem string) {
	index, rest := -1, name
	if after, ok := strings.CutPrefix(name, "SINKS_"); ok {
		number, tail, _ := strings.Cut(after, "_")
		i, err := strconv.Atoi(number)
		if err != nil || i < 0 {
			return 0, "", "a sink is addressed by its index, such as KVSFRAMES_SINKS_0_QUALITY"
		}
		if i >= len(l.sinks) {
			return 0, "", noSink(i, len(l.sinks))
		}
		index, rest = i, tail
	}
	byName := l.scope(index).part.envNames()
	if path, ok := byName[rest]; ok {
		return index, path, ""
	}
	prefix := envPrefix + strings.TrimSuffix(name, rest)
	if c, ok := setting.Nearest(rest, slices.Sorted(maps.Keys(byName))); ok {
		return 0, "", fmt.Sprintf("no key has this variable (did you mean %s%s?)", prefix, c)
	}
	return 0, "", "no key has this variable"
}

func noSink(i, have int) string {
	return fmt.Sprintf("there is no sinks[%d]: the file has %d", i, have)
}

// envNames returns the key paths by the names of their variables.
func (p *part) envNames() map[string]string {
	names := map[string]string{}
	for m := range p.mappings {
		names[envName(m)] = m
	}
	for _, k := range p.keys {
		names[envName(k.Path)] = k.Path
	}
	return names
}

// readFlags distributes the --set flags to the layers.
func (l *loader) readFlags(flags []string) {
	for _, flag := range flags {
		name, value, ok := strings.Cut(flag, "=")
		at := position{file: "--set " + name}
		if !ok {
			l.add(at, "", "write KEY=VALUE, such as source.region=eu-west-1")
			continue
		}
		index, path, problem := l.findFlag(name)
		if problem != "" {
			l.add(at, "", "%s", l.hide("", problem))
			continue
		}
		l.override(index, path, layerFlags, value, at)
	}
}

// findFlag returns the key or mapping that a flag names, with the index for scope, or the problem with the name.
func (l *loader) findFlag(name string) (index int, path, problem string) {
	index, path = -1, name
	if rest, ok := strings.CutPrefix(name, "sinks"); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
		if index, path, problem = l.findSink(rest); problem != "" {
			return 0, "", problem
		}
	}
	return index, path, l.checkKey(l.scope(index), path)
}

// checkKey returns the problem of a flag's key, or "".
func (l *loader) checkKey(s scope, path string) string {
	if s.part.byPath[path] != nil || s.part.mappings[path] {
		return ""
	}
	var all []string
	for _, k := range s.part.keys {
		all = append(all, k.Path)
	}
	if c, ok := setting.Nearest(path, all); ok {
		return "unknown key (did you mean " + join(s.prefix, c) + "?)"
	}
	name := path[strings.LastIndexByte(path, '.')+1:]
	if places := placesOf(s, name); len(places) > 0 && !isCredential(name) {
		return "does not belong here (did you mean " + strings.Join(places, " or ") + "?)"
	}
	return unknownKey(s, strings.TrimSuffix(strings.TrimSuffix(path, name), "."), name)
}

// findSink reads the index or name in ".0.quality", ".thumbs.quality" or "[0].quality".
func (l *loader) findSink(rest string) (index int, tail, problem string) {
	const how = "name a sink and its key, such as sinks.0.quality or sinks.thumbs.quality"
	if number, after, ok := strings.Cut(strings.TrimPrefix(rest, "["), "]."); ok && rest[0] == '[' {
		rest = "." + number + "." + after
	}
	rest = strings.TrimPrefix(rest, ".")
	first, tail, ok := strings.Cut(rest, ".")
	if !ok {
		return 0, "", how
	}
	var names []string
	best := ""
	for _, s := range l.sinks {
		name := s.text("name", "")
		names = append(names, name)
		if len(name) > len(best) && strings.HasPrefix(rest, name+".") { // names may contain dots
			best = name
		}
	}
	i, err := strconv.Atoi(first)
	switch number := err == nil && i >= 0; {
	case number && i < len(l.sinks):
		return i, tail, ""
	case number && !slices.Contains(names, first):
		return 0, "", noSink(i, len(l.sinks))
	case best == "":
		return 0, "", fmt.Sprintf("there is no sink %q%s", setting.Short(first), setting.DidYouMean(first, names))
	}
	return slices.Index(names, best), rest[len(best)+1:], ""
}

// override writes one value of the environment or of a flag to its layer: the value of a key or mapping, with the
// index for scope.
func (l *loader) override(index int, path string, in int, value string, at position) {
	ls, s := l.file, l.scope(index)
	if index >= 0 {
		ls = l.sinks[index].layers
	}
	s.to = ls[in]
	if k := s.part.byPath[path]; k != nil {
		l.overrideKey(s, k, value, at)
		return
	}
	full := join(s.prefix, path)
	root, ok := l.literal(value, at, full)
	if !ok {
		return
	}
	if root.shape != shapeMapping {
		l.add(at, full, "want a mapping such as {key: value}, not %s", root.shape)
		return
	}
	for _, lower := range ls[:in+1] {
		lower.drop(path)
	}
	l.mapping(s, root, path)
}

func (l *loader) overrideKey(s scope, k *key, value string, at position) {
	full := join(s.prefix, k.Path)
	n := &node{at: at, shape: shapeText, text: value}
	if k.Reserved() {
		l.leaf(s, k, n)
		return
	}
	if k.isList() && strings.HasPrefix(strings.TrimSpace(value), "[") {
		flow, ok := l.literal(value, at, full)
		if !ok {
			return
		}
		n = flow
	}
	v, err := k.read(n, true)
	if err != nil {
		l.refuse(n, full, err)
		return
	}
	s.to[k.Path] = newWritten(v, n)
}

// literal reads the value of a variable or flag as YAML. Its place is the variable or flag, without a line.
func (l *loader) literal(value string, at position, full string) (*node, bool) {
	root, problems := parseYAML(at.file, []byte(value))
	for _, p := range problems {
		l.add(at, full, "%s", p.Message)
	}
	if root == nil || len(problems) > 0 {
		return nil, false
	}
	root.relocate(at)
	return root, true
}

func (n *node) relocate(at position) {
	n.at = at
	for _, item := range n.items {
		item.relocate(at)
	}
	for i := range n.fields {
		n.fields[i].at = at
		n.fields[i].value.relocate(at)
	}
}
