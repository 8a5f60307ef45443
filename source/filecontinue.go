package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/kvsframes/kvsframes/media"
)

// identityOf describes plain files so that changed ones have another description: by name, size and time of change. It
// returns "" if one of them cannot be read again.
func identityOf(paths []filePath) string {
	all := make([]string, len(paths))
	for i, p := range paths {
		info, err := os.Stat(p.path)
		if p.path == StandardInput || err != nil || !info.Mode().IsRegular() {
			return ""
		}
		all[i] = fmt.Sprintf("%s of %d bytes, changed at %s", filepath.Base(p.path), info.Size(), media.Timestamp(info.ModTime()))
	}
	return strings.Join(all, "; ")
}

// after returns a Source of what follows a fragment of s, which is read from its beginning: neither the fragments up to that one nor
// the gaps between them. It is an error if the fragment is not there, and if the numbers of fragments do not grow.
func after(s Source, number string) Source {
	return &following{Source: s, after: number, passed: number == ""}
}

// following is a Source without its first fragments.
type following struct {
	Source
	after  string
	passed bool
	last   string
}

// Next implements Source.
func (s *following) Next(ctx context.Context) (*media.Fragment, error) {
	for {
		f, err := s.Source.Next(ctx)
		switch gap := (*media.GapError)(nil); {
		case err == nil:
		case s.passed:
			return nil, err
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("fragment %s, after which the last run ended, is not in the file any more", s.after)
		case errors.As(err, &gap):
			continue
		default:
			return nil, err
		}
		if s.last != "" && media.CompareNumbers(f.Number, s.last) <= 0 {
			return nil, fmt.Errorf("fragment %s follows fragment %s: a run with a checkpoint needs numbers that grow (checkpoint.type: none does without)", f.Number, s.last)
		}
		s.last = f.Number
		if s.passed {
			return f, nil
		}
		s.passed = f.Number == s.after
		if f.Recycle != nil {
			f.Recycle()
		}
	}
}
