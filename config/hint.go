package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kvsframes/kvsframes/setting"
)

// unknownKey returns the problem of a key that does not exist, with the key that was probably meant.
func unknownKey(s scope, path, name string) string {
	if isCredential(name) {
		return credentialsElsewhere
	}
	if c, ok := setting.Nearest(name, siblings(s, path)); ok {
		return "unknown key (did you mean " + c + "?)"
	}
	places := placesOf(s, name)
	if len(places) == 0 {
		return "unknown key"
	}
	under := make([]string, 0, len(places))
	for _, p := range places {
		where := "under " + parent(p)
		if parent(p) == "" {
			where = "at the top of the file"
		}
		if !slices.Contains(under, where) {
			under = append(under, where)
		}
	}
	return "does not belong here: it belongs " + strings.Join(under, " or ") + " (check the indentation)"
}

// placesOf returns up to three places where a key or mapping of that name belongs.
func placesOf(s scope, name string) []string {
	if name == "sinks" {
		return []string{name}
	}
	var places []string
	for _, where := range []scope{s, {part: s.part.schema.file}, {part: s.part.schema.sink, prefix: "sinks[]"}} {
		for _, p := range where.part.places(name) {
			if full := join(where.prefix, p); len(places) < 3 && !containsPlace(places, full) {
				places = append(places, full)
			}
		}
	}
	return places
}

// siblings returns the keys that may appear next to the one at path.
func siblings(s scope, path string) []string {
	names := s.part.children(path)
	if s.part == s.part.schema.file && path == "" {
		names = append(names, "sinks")
	}
	return names
}

// places returns the paths of all available keys and mappings with that name.
func (p *part) places(name string) []string {
	var out []string
	for _, k := range p.keys {
		if !k.Reserved() && (k.Path == name || strings.HasSuffix(k.Path, "."+name)) {
			out = append(out, k.Path)
		}
		if i := strings.Index("."+k.Path+".", "."+name+"."); i >= 0 && p.mappings[k.Path[:min(len(k.Path), i+len(name))]] {
			if m := k.Path[:i+len(name)]; !containsPlace(out, m) {
				out = append(out, m)
			}
		}
	}
	return out
}

// containsPlace reports whether the list contains path, under the pattern sinks[] or under a particular sink.
func containsPlace(list []string, path string) bool {
	_, tail, isSink := strings.Cut(path, "].")
	for _, p := range list {
		_, other, ok := strings.Cut(p, "].")
		if p == path || ok && isSink && other == tail {
			return true
		}
	}
	return false
}

const credentialsElsewhere = "credentials do not belong here: they come from the AWS chain " +
	"(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile named by AWS_PROFILE, or a role)"

// isCredential reports whether AWS SDKs use a key of this name for credentials.
func isCredential(name string) bool {
	switch plain := setting.Plain(name); strings.TrimPrefix(plain, "aws") {
	case "profile", "rolearn": // are keys, unless they are named like the variable
		return strings.HasPrefix(plain, "aws")
	case "accesskey", "accesskeyid", "secretkey", "secretaccesskey", "sessiontoken", "securitytoken", "credentials":
		return true
	}
	return false
}

// mappingHint returns what was probably meant by a value in place of a mapping, as the end of a message, or "".
func mappingHint(p *part, path string, n *node) string {
	if n.shape == shapeText {
		for _, m := range [][]string{gluedKey().FindStringSubmatch(n.text), keyWithValue().FindStringSubmatch(n.text)} {
			if m != nil && m[2] != "" && slices.Contains(p.children(path), m[1]) {
				return ": " + missingColon(n.text)
			}
		}
	}
	k := p.byPath[join(path, "type")]
	switch {
	case k == nil:
		return ""
	case slices.Contains(k.Values, n.text):
		return fmt.Sprintf(": write {type: %s}", n.text)
	}
	return fmt.Sprintf(": write, for example, {type: %s}", k.Values[0])
}

// elsewhere returns the other key that accepts a value that this one rejects, or "".
func (k *key) elsewhere(text string) string {
	for _, other := range k.part.keys {
		if other != k && slices.Contains(other.Values, text) {
			return fmt.Sprintf(" (%s is a value of %s)", text, other.Path)
		}
	}
	return ""
}

// alike returns the key whose name differs from k's only by a final s, and that has a meaning where k has
// none, or "".
func (k *key) alike(selected string) string {
	for _, path := range []string{k.Path + "s", strings.TrimSuffix(k.Path, "s")} {
		other := k.part.byPath[path]
		if other == nil || other == k {
			continue
		}
		for _, c := range other.Conditions {
			if c.Path == k.Conditions[0].Path && c.Met(selected) {
				return " (did you mean " + path[strings.LastIndexByte(path, '.')+1:] + "?)"
			}
		}
	}
	return ""
}
