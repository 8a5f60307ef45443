// Package disktest has a file system in memory that forgets what was not synced when its power is cut, and whose operations
// can be made to fail. Tests mount it in place of the machine's (package disk).
package disktest

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/disk"
)

// ErrPower is the error of each operation after the power was cut.
var ErrPower = errors.New("the power was cut")

// Op is an operation that changes a disk, or what a power cut leaves of it.
type Op struct {
	// N counts the operations from 1.
	N int
	// Name is mkdir, create, write, truncate, link, rename, remove, sync (of a file), syncdir or syncfs.
	Name string
	// Path is what it is done to.
	Path string
}

// Disk is a file system in memory. It is a disk.System. Several goroutines may use it.
type Disk struct {
	// Before, if it is not nil, is called before each operation, one at a time. If it returns an error, this is the error of the
	// operation, which is not done. After is called when the operation is done, and its error is then that of the operation.
	Before, After func(Op) error

	at  string // the path at which it is mounted
	mu  sync.Mutex
	top *node
	// roots are all that were opened: each is told of a write that failed.
	roots []*root
	ops   int
	cut   bool
}

var _ disk.System = (*Disk)(nil)

// node is a file or folder.
type node struct {
	perm fs.FileMode
	time time.Time
	// names are, of a folder, what each name stood for since the folder was synced: the last one is in force. A nil node is
	// none.
	names map[string][]*node
	// data is the content of a file. The first synced bytes outlive a power cut. The others will not, whatever is synced, if they
	// are spoilt: after a write to the disk that failed, the kernel takes them for written.
	data   []byte
	synced int
	spoilt bool
	lock   *lock
}

// New returns an empty disk, which is mounted at a path until the end of the test.
func New(tb testing.TB, at string) *Disk {
	d := &Disk{at: at, top: newFolder()}
	d.mount(tb)
	return d
}

func (d *Disk) mount(tb testing.TB) {
	tb.Helper()
	tb.Cleanup(disk.Mount(d.at, d))
}

func newFolder() *node {
	return &node{perm: fs.ModeDir | 0o755, time: time.Now(), names: map[string][]*node{}}
}

func (n *node) isDir() bool { return n.names != nil }

// get returns what a name in a folder stands for, nil for nothing.
func (n *node) get(name string) *node {
	values := n.names[name]
	if len(values) == 0 {
		return nil
	}
	return values[len(values)-1]
}

// set makes a name stand for something else.
func (n *node) set(name string, to *node) {
	if len(n.names[name]) == 0 {
		n.names[name] = []*node{nil}
	}
	n.names[name] = append(n.names[name], to)
}

// sync makes the present content of a file or folder outlive a power cut.
func (n *node) sync() {
	if !n.spoilt {
		n.synced = len(n.data)
	}
	for name, values := range n.names {
		if last := values[len(values)-1]; last == nil {
			delete(n.names, name)
		} else {
			n.names[name] = []*node{last}
		}
	}
}

// spoil makes the bytes of a file that were not synced be lost.
func (n *node) spoil() { n.spoilt = n.synced < len(n.data) }

// each calls f for a file or folder, and for what is below it.
func (n *node) each(f func(*node)) {
	f(n)
	for name := range n.names {
		if below := n.get(name); below != nil {
			below.each(f)
		}
	}
}

// Ops returns the number of operations so far.
func (d *Disk) Ops() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops
}

// do counts an operation, and does it unless it is to fail or the power was cut. The caller holds the lock.
func (d *Disk) do(name, path string, f func() error) error {
	if d.cut {
		return ErrPower
	}
	d.ops++
	op := Op{d.ops, name, path}
	if d.Before != nil {
		if err := d.Before(op); err != nil {
			return err
		}
	}
	if err := f(); err != nil {
		return err
	}
	if d.After != nil {
		return d.After(op)
	}
	return nil
}

// Forget removes a file as another process might, which may hold its lock on. Before and After may call it.
func (d *Disk) Forget(at string, locked bool) {
	folder, name, n, err := d.find(at)
	if err != nil || n == nil {
		return
	}
	folder.set(name, nil)
	if locked {
		n.lock = &lock{d, n, 1}
	}
}

// Unlock makes all locks end, as those of a process that died.
func (d *Disk) Unlock() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.top.each(func(n *node) { n.lock = nil })
}

// CutAt makes the power fail before operation n: Before, which it sets.
func (d *Disk) CutAt(n int) {
	d.Before = func(op Op) error {
		if op.N >= n {
			d.cut = true
			return ErrPower
		}
		return nil
	}
}

// Cut cuts the power, and mounts what is left in place of the disk. Each name may stand for all that it stood for since its folder
// was synced, and bytes that were not synced may be missing or wrong. In half of the cases all that was not synced is lost.
func (d *Disk) Cut(tb testing.TB, rng *rand.Rand) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cut = true
	c := cutter{rng: rng, harsh: rng.IntN(2) == 0, left: map[*node]*node{}}
	left := &Disk{at: d.at, top: c.leave(d.top)}
	left.mount(tb)
	return left
}

// cutter copies what a power cut leaves.
type cutter struct {
	rng   *rand.Rand
	harsh bool
	left  map[*node]*node // a file may have several names
}

func (c *cutter) leave(n *node) *node {
	if copied, ok := c.left[n]; ok {
		return copied
	}
	left := &node{perm: n.perm, time: n.time}
	c.left[n] = left
	if !n.isDir() {
		left.data = c.leaveData(n)
		left.synced = len(left.data)
		return left
	}
	left.names = map[string][]*node{}
	for _, name := range sorted(n.names) {
		values := n.names[name]
		was := values[0]
		if !c.harsh {
			was = values[c.rng.IntN(len(values))]
		}
		if was != nil {
			left.names[name] = []*node{c.leave(was)}
		}
	}
	return left
}

// leaveData returns what is left of a file: what was synced, and as much of the rest as chance decides, perhaps garbage.
func (c *cutter) leaveData(n *node) []byte {
	data := slices.Clone(n.data)
	if n.synced == len(data) {
		return data
	}
	kind := 0
	if !c.harsh {
		kind = c.rng.IntN(4)
	}
	switch rest := data[n.synced:]; kind {
	case 0:
		data = data[:n.synced]
	case 1:
		data = data[:n.synced+c.rng.IntN(len(rest)+1)]
	case 2:
		for i := range rest {
			rest[i] = byte(c.rng.Uint32())
		}
	}
	return data
}

// Files returns the content of all files, by their paths below the mount.
func (d *Disk) Files() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[string]string{}
	var walk func(n *node, at string)
	walk = func(n *node, at string) {
		if !n.isDir() {
			all[at] = string(n.data)
			return
		}
		for name := range n.names {
			if below := n.get(name); below != nil {
				walk(below, path.Join(at, name))
			}
		}
	}
	walk(d.top, "")
	return all
}

// find returns what a path below the mount stands for, and the folder that has its name.
func (d *Disk) find(at string) (folder *node, name string, n *node, err error) {
	folder, name, n = nil, ".", d.top
	for segment := range strings.SplitSeq(path.Clean("/" + at)[1:], "/") {
		switch {
		case segment == "":
			continue
		case n == nil:
			return nil, "", nil, fs.ErrNotExist
		case !n.isDir():
			return nil, "", nil, syscall.ENOTDIR
		}
		folder, name, n = n, segment, n.get(segment)
	}
	return folder, name, n, nil
}

// below returns a path relative to the mount.
func (d *Disk) below(at string) (string, error) {
	rest, err := filepath.Rel(d.at, at)
	if err == nil && rest != "." && !filepath.IsLocal(rest) {
		err = fs.ErrNotExist // above the mount
	}
	return filepath.ToSlash(rest), err
}

// Mkdir implements disk.System.
func (d *Disk) Mkdir(at string) error {
	rest, err := d.below(at)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mkdir(rest)
}

func (d *Disk) mkdir(at string) error {
	folder, name, n, err := d.find(at)
	switch {
	case err != nil:
		return err
	case n != nil:
		return fs.ErrExist
	}
	return d.do("mkdir", at, func() error { folder.set(name, newFolder()); return nil })
}

// OpenRoot implements disk.System.
func (d *Disk) OpenRoot(at string) (disk.FS, error) {
	rest, err := d.below(at)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, _, n, err := d.find(rest)
	switch {
	case err != nil:
		return nil, err
	case n == nil:
		return nil, fs.ErrNotExist
	case !n.isDir():
		return nil, syscall.ENOTDIR
	}
	r := &root{disk: d, at: rest}
	d.roots = append(d.roots, r)
	return r, nil
}

func sorted(names map[string][]*node) []string {
	all := make([]string, 0, len(names))
	for name := range names {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
