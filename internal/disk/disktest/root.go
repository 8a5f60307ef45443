package disktest

import (
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kvsframes/kvsframes/internal/disk"
)

// root is what lies below a folder of a disk.
type root struct {
	disk *Disk
	at   string
	// failure is that of writes to the disk which Sync has not reported.
	failure error
}

func (r *root) path(name string) string { return path.Join(r.at, name) }

// OpenFile implements disk.FS.
func (r *root) OpenFile(name string, flag int, perm fs.FileMode) (disk.File, error) {
	d, at := r.disk, r.path(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cut {
		return nil, ErrPower
	}
	folder, base, n, err := d.find(at)
	switch {
	case err != nil:
		return nil, err
	case n != nil && flag&os.O_EXCL != 0:
		return nil, fs.ErrExist
	case n == nil && flag&os.O_CREATE == 0:
		return nil, fs.ErrNotExist
	case n == nil:
		n = &node{perm: perm, time: time.Now()}
		err = d.do("create", at, func() error { folder.set(base, n); return nil })
	case n.isDir() && flag&(os.O_WRONLY|os.O_RDWR) != 0:
		return nil, syscall.EISDIR
	}
	if err != nil {
		return nil, err
	}
	return &file{disk: d, at: at, node: n, open: true}, nil
}

// MkdirAll implements disk.FS.
func (r *root) MkdirAll(name string, _ fs.FileMode) error {
	d := r.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	at := r.at
	for segment := range strings.SplitSeq(path.Clean(name), "/") {
		at = path.Join(at, segment)
		_, _, n, err := d.find(at)
		switch {
		case err != nil:
			return err
		case n == nil:
			err = d.mkdir(at)
		case !n.isDir():
			err = syscall.ENOTDIR
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Link implements disk.FS.
func (r *root) Link(from, to string) error { return r.give("link", from, to) }

// Rename implements disk.FS.
func (r *root) Rename(from, to string) error { return r.give("rename", from, to) }

// give gives a file another name.
func (r *root) give(op, from, to string) error {
	d := r.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	folder, name, n, err := d.find(r.path(from))
	if err != nil {
		return err
	}
	if n == nil {
		return fs.ErrNotExist
	}
	toFolder, toName, old, err := d.find(r.path(to))
	switch {
	case err != nil:
		return err
	case old != nil && (op == "link" || old.isDir()):
		return fs.ErrExist
	}
	return d.do(op, r.path(to), func() error {
		toFolder.set(toName, n)
		if op == "rename" {
			folder.set(name, nil)
		}
		return nil
	})
}

// Remove implements disk.FS.
func (r *root) Remove(name string) error {
	d := r.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	folder, base, n, err := d.find(r.path(name))
	if err != nil {
		return err
	}
	if n == nil || folder == nil {
		return fs.ErrNotExist
	}
	return d.do("remove", r.path(name), func() error { folder.set(base, nil); return nil })
}

// Lstat implements disk.FS.
func (r *root) Lstat(name string) (fs.FileInfo, error) {
	r.disk.mu.Lock()
	defer r.disk.mu.Unlock()
	_, base, n, err := r.disk.find(r.path(name))
	if err != nil {
		return nil, err
	}
	if n == nil {
		return nil, fs.ErrNotExist
	}
	return infoOf(base, n), nil
}

// Sync implements disk.FS.
func (r *root) Sync() error {
	d := r.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("syncfs", "", func() error { d.top.each((*node).sync); return nil }); err != nil {
		d.top.each((*node).spoil)
		for _, other := range d.roots {
			other.failure = err
		}
	}
	err := r.failure
	r.failure = nil
	return err
}

// Network implements disk.FS.
func (r *root) Network() string { return "" }

// Close implements disk.FS.
func (r *root) Close() error { return nil }

// file is an open file or folder of a disk.
type file struct {
	disk *Disk
	at   string
	node *node
	read int
	open bool
	held *lock // by this opening
}

// Read implements disk.File.
func (f *file) Read(p []byte) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	n := copy(p, f.node.data[min(f.read, len(f.node.data)):])
	f.read += n
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Write implements disk.File: it appends.
func (f *file) Write(p []byte) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	err := f.disk.do("write", f.at, func() error { f.node.data = append(f.node.data, p...); return nil })
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteAt implements disk.File.
func (f *file) WriteAt(p []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	err := f.disk.do("write", f.at, func() error {
		end := min(int(at), len(f.node.data))
		f.node.synced = min(f.node.synced, end)
		replaced := append(slices.Clip(f.node.data[:end]), p...)
		f.node.data = append(replaced, f.node.data[min(len(replaced), len(f.node.data)):]...)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Truncate implements disk.File.
func (f *file) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.disk.do("truncate", f.at, func() error {
		f.node.data = slices.Clone(f.node.data[:size])
		f.node.synced = min(f.node.synced, int(size))
		return nil
	})
}

// Sync implements disk.File.
func (f *file) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	op := "sync"
	if f.node.isDir() {
		op = "syncdir"
	}
	err := f.disk.do(op, f.at, func() error { f.node.sync(); return nil })
	if err != nil {
		f.node.spoil()
	}
	return err
}

// Stat implements disk.File.
func (f *file) Stat() (fs.FileInfo, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return infoOf(path.Base(f.at), f.node), nil
}

// ReadDir implements disk.File. It returns all entries at once.
func (f *file) ReadDir(int) ([]fs.DirEntry, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	var all []fs.DirEntry
	for _, name := range sorted(f.node.names) {
		if n := f.node.get(name); n != nil {
			all = append(all, fs.FileInfoToDirEntry(infoOf(name, n)))
		}
	}
	if f.read > 0 {
		return nil, io.EOF
	}
	f.read++
	return all, nil
}

// lock is a lock of a file, held by one opening.
type lock struct {
	disk *Disk
	node *node
	refs int // the opening and the lock
}

// Lock implements disk.File.
func (f *file) Lock() (io.Closer, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.node.lock != nil {
		return nil, disk.ErrTaken
	}
	f.held = &lock{f.disk, f.node, 2}
	f.node.lock = f.held
	return f.held, nil
}

// Close implements io.Closer.
func (l *lock) Close() error {
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	l.drop()
	return nil
}

func (l *lock) drop() {
	if l.refs--; l.refs == 0 {
		l.node.lock = nil
	}
}

// Close implements disk.File.
func (f *file) Close() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if !f.open {
		return os.ErrClosed
	}
	f.open = false
	if f.held != nil {
		f.held.drop()
	}
	return nil
}

// info is what is known of a node.
type info struct {
	name string
	size int64
	mode fs.FileMode
	time time.Time
}

func infoOf(name string, n *node) info { return info{name, int64(len(n.data)), n.perm, n.time} }

// Name, Size, Mode, ModTime, IsDir and Sys implement fs.FileInfo.
func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.time }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }
