package main

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// This file cleans foreign text (names, tags, keys, errors of SDKs) for the terminal.

// cleaned returns text without characters that control a terminal: control characters except newlines and tabs,
// those that change the direction of text, and bytes that are not valid UTF-8. They are escaped as in JSON, so
// that JSON stays valid.
func cleaned(text string) string { return escaped(text, commands) }

// inLine returns text cleaned for use within a line: newlines and tabs are escaped too, so that a name cannot
// add lines or cells.
func inLine(text string) string {
	return escaped(text, func(r rune) bool { return r == '\n' || r == '\t' || commands(r) })
}

// escaped returns text with these characters and invalid bytes escaped as in JSON.
func escaped(text string, these func(rune) bool) string {
	if !strings.ContainsFunc(text, these) {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\ufffd`)
		case these(r):
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.WriteRune(r)
		}
		i += size
	}
	return out.String()
}

// commands reports whether a character controls the terminal.
func commands(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || r == utf8.RuneError || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}

// cleanWriter cleans text that is written to a terminal, whole characters at a time.
type cleanWriter struct{ to io.Writer }

// Write implements io.Writer.
func (w cleanWriter) Write(text []byte) (int, error) {
	if _, err := w.to.Write([]byte(cleaned(string(text)))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// printJSON writes a document to standard output.
func (p *program) printJSON(document any) error {
	e := json.NewEncoder(cleanWriter{p.stdout})
	e.SetIndent("", "  ")
	return e.Encode(document)
}

// lockedWriter lets several loggers write to one writer.
type lockedWriter struct {
	mu sync.Mutex
	to io.Writer
}

// Write implements io.Writer.
func (w *lockedWriter) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(text)
}

// The parts that the AWS SDK wraps around the cause of an error.
var (
	sdkStatus   = regexp.MustCompile(`https? response error StatusCode: (\d+), (RequestID: [^,]*, ?)?(HostID: [^,]*, ?)?`)
	sdkWrapping = regexp.MustCompile(`operation error [^:,]+: [^:,]+, |exceeded maximum number of attempts, \d+, |request send failed, |` +
		`[A-Z][a-z]+ "https?://[^"]*": |failed to refresh cached credentials, |canceled, `)
	sdkSigning = regexp.MustCompile(`get identity: get credentials: `)
)

// sdkCause removes what the AWS SDK wraps around the cause of an error. It does not change other text.
func sdkCause(text string) string {
	if !strings.Contains(text, "operation error ") && !strings.Contains(text, "get credentials: ") && !strings.Contains(text, "cached credentials, ") {
		return text
	}
	text = sdkStatus.ReplaceAllStringFunc(text, func(found string) string {
		if status := sdkStatus.FindStringSubmatch(found)[1]; status != "0" {
			return "HTTP " + status + ", "
		}
		return ""
	})
	text = sdkSigning.ReplaceAllString(text, "no AWS credentials: ")
	return sdkWrapping.ReplaceAllString(text, "")
}

// errorLines returns the text of an error, one line for each of the joined errors.
func errorLines(err error) []string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && strings.Contains(err.Error(), "\n") {
		var lines []string
		for _, e := range joined.Unwrap() {
			lines = append(lines, errorLines(e)...)
		}
		return lines
	}
	return []string{oneLine(sdkCause(err.Error()))}
}

// oneLine joins the lines of a text.
func oneLine(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Join(lines, "; ")
}

// columns returns the number of columns of a character on a terminal: two for the wide ones of East Asia and for
// pictures (Unicode Standard Annex 11), none for marks.
func columns(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Yi),
		r >= 0x3000 && r <= 0x303e, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6,
		r >= 0x1f300 && r <= 0x1faff, r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}

// columnsOf returns the number of columns of a text.
func columnsOf(text string) (n int) {
	for _, r := range text {
		n += columns(r)
	}
	return n
}

// cut shortens text to a number of columns, and marks the cut.
func cut(text string, width int) string {
	used, end := 0, 0
	for i, r := range text {
		used += columns(r)
		if used > width {
			return text[:end] + "…"
		}
		if used < width {
			end = i + utf8.RuneLen(r)
		}
	}
	return text
}
