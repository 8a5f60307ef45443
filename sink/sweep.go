package sink

import (
	"context"
	"os"
	"path"
	"regexp"
	"sync"
	"time"
)

const (
	// sweepAge is how old an unfinished file must be to be taken for a leftover, if it is not locked.
	sweepAge = time.Hour
	// maxSweptFolders is the number of folders that a store sweeps: the first ones that it
	// writes to. Leftovers of earlier runs lie there, and memory and work are bounded.
	maxSweptFolders = 4096
	// maxSweptEntries is the number of entries of one folder that are looked at.
	maxSweptEntries = 100_000
)

// tempName is the name of an unfinished file: tempPrefix and a rand.Text.
var tempName = regexp.MustCompile(`^` + regexp.QuoteMeta(tempPrefix) + `[A-Z2-7]{26,}$`)

// sweeper knows the folders in which leftovers were looked for.
type sweeper struct {
	mu    sync.Mutex
	known map[string]bool
}

// claim reports whether the caller is to sweep a folder.
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

// sweep removes the unfinished files that earlier runs left in a folder, when it is written to for
// the first time. fresh is a file that was just made there: its time is that of the file system, which may
// be another machine's. What cannot be removed stays, and does no harm.
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
			return // at the end, too
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

// removeLeftover removes an unfinished file unless somebody has locked it.
func (d *Dir) removeLeftover(name string) {
	file, err := d.root.Open(name)
	if err != nil {
		return
	}
	defer file.Close() // only read
	if taken, _ := lock(file); !taken {
		_ = d.root.Remove(name)
	}
}
