package config

import (
	"reflect"
	"strings"
)

// CompleteSet returns what the text of a --set flag may become: a key and "=", or after that the values of a key that has only some. sinks
// are the names of the sinks in the settings, which may be unknown.
func CompleteSet(text string, sinks []string) (candidates []string) {
	s := builtIn()
	candidates = s.file.complete("", text)
	for _, name := range sinks {
		candidates = append(candidates, s.sink.complete("sinks."+name+".", text)...)
	}
	return candidates
}

// CompleteSink does the same for the text of a --sink flag, of which it completes the last pair. Keys are whole paths.
func CompleteSink(text string) (candidates []string) {
	before := text[:strings.LastIndexByte(text, ',')+1]
	for _, c := range builtIn().sink.complete("", text[len(before):]) {
		if c != "name=" {
			candidates = append(candidates, before+c)
		}
	}
	return candidates
}

// complete returns the keys, or pairs of a key and a value, that begin with text. Keys begin with prefix.
func (p *part) complete(prefix, text string) (candidates []string) {
	name, _, hasValue := strings.Cut(text, "=")
	for _, k := range p.keys {
		full := prefix + k.Path
		switch {
		case k.Reserved():
		case !hasValue && strings.HasPrefix(full, text):
			candidates = append(candidates, full+"=")
		case hasValue && full == name:
			for _, v := range k.choices() {
				if pair := full + "=" + v; strings.HasPrefix(pair, text) {
					candidates = append(candidates, pair)
				}
			}
		}
	}
	return candidates
}

// choices returns the values of a key that has only some.
func (k *key) choices() []string {
	if len(k.Values) == 0 && k.Type.Kind() == reflect.Bool {
		return []string{"true", "false"}
	}
	return k.Values
}
