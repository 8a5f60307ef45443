package disk

import (
	"context"
	"errors"
	"os"
	"path"
	"regexp"
	"sync"
	"syscall"
	"time"
)

const (
	// sweepAge is the age from which an unfinished file counts as a leftover where locks tell nothing.
	sweepAge = time.Hour
	// maxSweptFolders is the number of folders that are swept, to bound memory and work: the first ones that are
	// written to. Leftovers of earlier runs are in those.
	maxSweptFolders = 4096
	// maxSweptEntries is the number of entries of one folder that a sweep reads.
	maxSweptEntries = 100_000
)

// tempName is the name of an unfinished file: TempPrefix and a rand.Text.
var tempName = regexp.MustCompile(`^` + regexp.QuoteMeta(TempPrefix) + `[A-Z2-7]{26,}$`)

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

// sweep removes the unfinished files that killed processes left in a folder, on the first write to it. now is the time of
// the file system, which may be another machine's. A file that cannot be removed stays, and does no harm.
func (f *Folder) sweep(ctx context.Context, folder string, now time.Time) {
	if !f.swept.claim(folder) {
		return
	}
	dir, err := f.OpenFile(folder, os.O_RDONLY, 0)
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
			if info, err := f.Lstat(name); err == nil && info.Mode().IsRegular() {
				f.removeLeftover(name, now.Sub(info.ModTime()) > sweepAge)
			}
		}
	}
}

// removeLeftover removes an unfinished file if nobody has locked it. Where locks of other machines may not be seen, or
// there are none, it must be old as well.
func (f *Folder) removeLeftover(name string, old bool) {
	file, err := f.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return
	}
	defer file.Close() // only read
	held, err := file.Lock()
	if err == nil {
		defer held.Close()
	}
	if err == nil && f.Network() == "" || old && !errors.Is(err, ErrTaken) {
		_ = f.Remove(name)
	}
}

// lacksLocks reports whether an error of Lock is that of a file system without locks.
func lacksLocks(err error) bool {
	for _, lacking := range []error{errors.ErrUnsupported, syscall.ENOLCK, syscall.EINVAL, syscall.EBADF} {
		if errors.Is(err, lacking) {
			return true
		}
	}
	return false
}

// timeOf returns the time of a file that was just made.
func timeOf(file File) time.Time {
	info, err := file.Stat()
	if err != nil {
		return time.Now()
	}
	return info.ModTime()
}
