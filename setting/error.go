package setting

import (
	"errors"
	"fmt"
	"strings"
)

// Error is one problem of one key.
type Error struct {
	// Path is the path of the key, relative to the Config whose Validate method returns the error, such as
	// start_selector.timestamp or paths[2].
	Path string
	// Problem completes the sentence that begins with the key: "is empty".
	Problem string
}

// Error implements error: "path: problem".
func (e *Error) Error() string { return e.Path + ": " + e.Problem }

// Problems collects the problems of a Config, each an *Error. The zero value is empty.
type Problems []error

// Add adds a problem of the key at path.
func (p *Problems) Add(path, format string, args ...any) {
	*p = append(*p, &Error{Path: path, Problem: fmt.Sprintf(format, args...)})
}

// AddBelow adds the problems that the Validate method of a part returned; path is the path of the part. Nil is no
// problem.
func (p *Problems) AddBelow(path string, err error) {
	var one *Error
	switch several, ok := err.(interface{ Unwrap() []error }); {
	case err == nil:
	case ok:
		for _, e := range several.Unwrap() {
			p.AddBelow(path, e)
		}
	case errors.As(err, &one):
		*p = append(*p, &Error{Path: Join(path, one.Path), Problem: one.Problem})
	default:
		p.Add(path, "%v", err)
	}
}

// Err returns the problems as one error, joined, or nil when there are none.
func (p Problems) Err() error { return errors.Join(p...) }

// Join joins two key paths, either of which may be empty. The second may be the index of a list: [2].
func Join(path, name string) string {
	if path == "" || name == "" || strings.HasPrefix(name, "[") {
		return path + name
	}
	return path + "." + name
}
