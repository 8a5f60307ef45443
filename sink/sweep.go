package sink

import (
	"context"
	"os"
	"path"
	"regexp"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/internal/lock"
)

const (
	// sweepAge is the age from which an unlocked unfinished file counts as a leftover.
	sweepAge = time.Hour
	// maxSweptFolders is the number of folders that a store sweeps, to bound memory and work: the first ones
	// that it writes to. Leftovers of earlier runs are in those.
	maxSweptFolders = 4096
	// maxSweptEntries is the number of entries of one folder that a sweep reads.
	maxSweptEntries = 100_000
)

// tempName is the name of an unfinished file: tempPrefix and a rand.Text.
var tempName = regexp.MustCompile(`^` + regexp.QuoteMeta(tempPrefix) + `[A-Z2-7]{26,}$`)

// sweeper records the folders that have been swept.
type sweeper struct {
	mu    sync.Mutex
	known map[string]bool
}

// claim reports whether the caller must sweep a folder.
func (s *sweeper) claim(folder string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[folder] || len(s.known) >= maxSweptFolders {
		return false
	}
	if s.known == nil {
		s.known = map[string]bool{}
	}
	s.known[folder] = true
	return true
}

// sweep removes the unfinished files that earlier runs left in a folder, on the first write to it. fresh is
// a file just created there: its time is that of the file system, which may be another machine's. A file that
// cannot be removed stays, and does no harm.
func (d *Dir) sweep(ctx context.Context, folder string, fresh *os.File) {
	if !d.swept.claim(folder) {
		return
	}
	made, err := fresh.Stat()
	if err != nil {
		return
	}
	dir, err := d.root.Open(folder)
	if err != nil {
		return
	}
	defer dir.Close() // only read
	for seen := 0; seen < maxSweptEntries && ctx.Err() == nil; {
		entries, err := dir.ReadDir(1024)
		if err != nil {
			return // also at the end of the folder
		}
		seen += len(entries)
		for _, e := range entries {
			if !tempName.MatchString(e.Name()) {
				continue
			}
			name := path.Join(folder, e.Name())
			if info, err := d.root.Lstat(name); err == nil && info.Mode().IsRegular() && made.ModTime().Sub(info.ModTime()) > sweepAge {
				d.removeLeftover(name)
			}
		}
	}
}

// removeLeftover removes an unfinished file unless another process has locked it.
func (d *Dir) removeLeftover(name string) {
	file, err := d.root.Open(name)
	if err != nil {
		return
	}
	defer file.Close() // only read
	if taken, _ := lock.Try(file); !taken {
		_ = d.root.Remove(name)
	}
}
