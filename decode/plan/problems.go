package plan

import (
	"fmt"
	"strings"

	"github.com/kvsframes/kvsframes/media"
)

// problems collects what is wrong under one key path.
type problems []error

func (p *problems) add(path, format string, args ...any) {
	*p = append(*p, &media.FieldError{Path: path, Problem: fmt.Sprintf(format, args...)})
}

// oneOf notes a value that is none of the allowed ones.
func oneOf[T ~string](p *problems, path string, value T, allowed ...T) {
	names := make([]string, len(allowed))
	for i, a := range allowed {
		if value == a {
			return
		}
		names[i] = string(a)
	}
	p.add(path, "%q is not one of %s", string(value), strings.Join(names, ", "))
}
