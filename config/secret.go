package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A value that came from ${VAR} may be a secret: messages and Print show the reference instead. This file finds such
// values in messages from other code.

// secret is text that a message must not contain, and the text to show instead.
type secret struct{ text, shown string }

// secrets are sorted longest first, so that a value is replaced before a part of it.
type secrets []secret

// add records a value in each form in which messages quote it.
func (s *secrets) add(text, shown string) {
	for _, form := range []string{text, shorten(text, 60), shorten(text, 140), shorten(text, 300)} {
		inner := strconv.Quote(form)
		for _, f := range []string{form, inner[1 : len(inner)-1]} {
			if f != "" && !slices.ContainsFunc(*s, func(have secret) bool { return have.text == f }) {
				*s = append(*s, secret{f, shown})
			}
		}
	}
	slices.SortStableFunc(*s, func(a, b secret) int { return cmp.Compare(len(b.text), len(a.text)) })
}

func shorten(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most])
	}
	return text
}

// wholeWord is the length in bytes below which a value is replaced only as a whole word: a single letter or digit
// occurs in too many words.
const wholeWord = 8

// hide replaces the values by their references.
func (s secrets) hide(message string) string {
	if len(s) == 0 {
		return message
	}
	var out strings.Builder
	for i := 0; i < len(message); {
		if at := slices.IndexFunc(s, func(one secret) bool { return one.at(message, i) }); at >= 0 {
			out.WriteString(s[at].shown)
			i += len(s[at].text)
			continue
		}
		_, size := utf8.DecodeRuneInString(message[i:])
		out.WriteString(message[i : i+size])
		i += size
	}
	return out.String()
}

func (one secret) at(message string, i int) bool {
	if !strings.HasPrefix(message[i:], one.text) {
		return false
	}
	if len(one.text) >= wholeWord {
		return true
	}
	before, _ := utf8.DecodeLastRuneInString(message[:i])
	after, _ := utf8.DecodeRuneInString(message[i+len(one.text):])
	first, _ := utf8.DecodeRuneInString(one.text)
	last, _ := utf8.DecodeLastRuneInString(one.text)
	return !(isWord(before) && isWord(first)) && !(isWord(last) && isWord(after))
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// hide removes the values of ${VAR} from a message about the key at path: those of the key itself and of the key that
// decides its meaning, and all that are free text.
func (l *loader) hide(path, message string) string {
	hidden := slices.Clone(l.secrets)
	for _, p := range append(l.selectorsOf(path), path) {
		s, ok := l.find(p)
		if !ok || s.shown == "" {
			continue
		}
		k, _ := l.keyAt(p)
		for _, form := range k.forms(s.value) {
			hidden.add(form, s.shown)
		}
	}
	return hidden.hide(message)
}

// forms returns the forms of a value of the key, or of one entry of its list, in messages: as written, and as the
// decoded value formats itself.
func (k *key) forms(value any) []string {
	if _, list := value.([]any); list || value == nil {
		return nil
	}
	return []string{fmt.Sprint(value), fmt.Sprint(k.standard(value))}
}

// Redact replaces the values that came from ${VAR} by their references, in a message about the use of the settings.
func (c *Config) Redact(message string) string { return c.secrets.hide(message) }
