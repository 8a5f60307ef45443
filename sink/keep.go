package sink

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
)

// Keep states how much of what a sink has written stays in a directory: the objects whose manifest parts are older than Age are removed, and the
// oldest until the rest has Size. 0 is no limit.
type Keep struct {
	Age  time.Duration `key:"age" range:"0s.." doc:"How long objects stay after they were written; 0s is no limit; it needs a manifest without {run_id} in its path." example:"720h"`
	Size media.Size    `key:"size" range:"0B.." doc:"How many bytes of objects stay, the newest; 0B is no limit; it needs the same manifest." example:"100GiB"`
}

// keep returns what the settings of the destination say.
func (c Config) keep() Keep {
	d, _ := c.Destination.Location.(Directory)
	return d.Keep
}

// checkKeep adds what contradicts the removal of old objects: they are found by their records.
func (c Config) checkKeep(p *setting.Problems) {
	if c.keep() == (Keep{}) {
		return
	}
	const why = "removes what the manifest names"
	if c.Manifest.Format == ManifestNone {
		p.Add("destination.keep", "%s: it needs manifest.format jsonl", why)
	}
	if strings.Contains(c.Manifest.Path, "{"+string(tokenRunID)+"}") {
		p.Add("destination.keep", "%s, whose path must not have {run_id}", why)
	}
	if c.Destination.IfExists == IfExistsSkip {
		p.Add("destination.keep", "%s, and with if_exists: skip that may be somebody else's", why)
	}
}

// keeper removes old objects of a sink. Several goroutines may use it.
type keeper struct {
	mu sync.Mutex
	// busy are the fragments that are being written, which are not touched.
	busy map[fragmentKey]bool
	// parts are those that the last sweep found, by their keys.
	parts map[string]keptPart
}

// keptPart is a manifest part, with what it names.
type keptPart struct {
	key     string
	written time.Time
	size    int64 // of the part and its images
}

// fragmentKey names a fragment.
type fragmentKey struct{ stream, number string }

// begin notes that a fragment is being written, until end.
func (k *keeper) begin(stream, number string) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.busy[fragmentKey{stream, number}] = true
}

func (k *keeper) end(stream, number string) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.busy, fragmentKey{stream, number})
}

// Keeps reports whether the sink removes old objects.
func (s *Sink) Keeps() bool { return s.keeper != nil }

// Sweep removes the objects of the sink that destination.keep does not keep: those that records in its manifest parts name, and then the parts.
// It touches nothing else. One goroutine at a time calls it.
func (s *Sink) Sweep(ctx context.Context, now time.Time) error {
	if s.keeper == nil {
		return nil
	}
	d, _ := s.config.Destination.Location.(Directory) // as keep has found
	root, err := os.OpenRoot(d.Path)
	if err != nil {
		return fmt.Errorf("remove old objects: %w", err)
	}
	err = s.sweep(ctx, root, now)
	if err = errors.Join(err, root.Close()); err != nil {
		return fmt.Errorf("remove old objects: %w", err)
	}
	return nil
}

func (s *Sink) sweep(ctx context.Context, root *os.Root, now time.Time) error {
	parts, err := s.findParts(ctx, root)
	if err != nil {
		return err
	}
	slices.SortFunc(parts, func(a, b keptPart) int {
		if c := a.written.Compare(b.written); c != 0 {
			return c
		}
		return strings.Compare(a.key, b.key)
	})
	var total int64
	for _, p := range parts {
		total += p.size
	}
	keep, removed := s.config.keep(), 0
	var names map[string]int
	for i, p := range parts {
		old := keep.Age > 0 && now.Sub(p.written) > keep.Age
		if !old && (keep.Size == 0 || total <= int64(keep.Size)) {
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if i == 0 { // only now, since it reads all parts
			if names, err = s.namers(root, parts); err != nil {
				return err
			}
		}
		done, err := s.removePart(root, p, names)
		if err != nil {
			return err
		}
		if done {
			removed++
			total -= p.size
		}
	}
	if removed > 0 {
		s.log.InfoContext(ctx, "removed what destination.keep does not keep", "parts", removed)
	}
	return nil
}

// findParts returns the sink's manifest parts in the directory.
func (s *Sink) findParts(ctx context.Context, root *os.Root) (parts []keptPart, err error) {
	found := map[string]keptPart{}
	err = fs.WalkDir(root.FS(), ".", func(key string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil || !entry.Type().IsRegular() || path.Ext(key) != path.Ext(s.manifest.String()) {
			return ignoreGone(err)
		}
		info, err := entry.Info()
		if err != nil {
			return ignoreGone(err)
		}
		p, known := s.keeper.parts[key]
		if !known || !p.written.Equal(info.ModTime()) {
			records, err := s.recordsOf(root, key)
			if err != nil || len(records) == 0 {
				return ignoreGone(err)
			}
			p = keptPart{key: key, written: info.ModTime(), size: info.Size()}
			for _, r := range records {
				p.size += r.Bytes
			}
		}
		found[key] = p
		parts = append(parts, p)
		return nil
	})
	s.keeper.parts = found
	return parts, err
}

// ignoreGone returns nil for an error that states that a file has gone meanwhile.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// maxPart bounds the size of a manifest part that is read.
const maxPart = 64 << 20

// recordsOf returns the records of a manifest part of the sink; none if the file is something else: its name must be the one that the sink gives
// to the part of its first fragment, and each record one of this stream and sink, and of this fragment unless parts have several (Manifest.Every).
func (s *Sink) recordsOf(root *os.Root, key string) ([]ManifestRecord, error) {
	file, err := root.Open(key)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	in := bufio.NewReader(io.LimitReader(file, maxPart))
	var records []ManifestRecord
	for {
		line, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var r ManifestRecord
			if json.Unmarshal(line, &r) != nil || r.Sink != s.config.Name || r.SHA256 == "" || CheckKey(r.Key) != nil {
				return nil, nil
			}
			if records = append(records, r); r.Stream != records[0].Stream || r.FragmentNumber != records[0].FragmentNumber && s.config.Manifest.Every == 0 {
				return nil, nil
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if len(records) == 0 || s.manifest.Part(fragmentOf(records[0]), s.config.Name, "") != key {
		return nil, nil
	}
	return records, nil
}

// fragmentOf returns the fragment of a record.
func fragmentOf(r ManifestRecord) *media.Fragment {
	f := &media.Fragment{Stream: r.Stream, Number: r.FragmentNumber, Tags: r.Tags}
	for text, to := range map[*string]*time.Time{&r.ProducerTimestamp: &f.ProducerTime, &r.ServerTimestamp: &f.ServerTime} {
		if at, err := time.Parse(time.RFC3339, *text); err == nil {
			*to = at.Add(-time.Duration(r.PTSMillis) * time.Millisecond)
		}
	}
	return f
}

// namers counts the parts that name each object, where several may name one; nil where each object has one part.
func (s *Sink) namers(root *os.Root, parts []keptPart) (map[string]int, error) {
	if s.config.Groups == nil && s.path.Distinguishes().Frames {
		return nil, nil
	}
	names := map[string]int{}
	for _, p := range parts {
		records, err := s.recordsOf(root, p.key)
		if ignoreGone(err) != nil {
			return nil, err
		}
		for _, key := range objectsOf(records) {
			names[key]++
		}
	}
	return names, nil
}

// objectsOf returns the keys of the objects of records, each once.
func objectsOf(records []ManifestRecord) (keys []string) {
	for _, r := range records {
		keys = append(keys, r.Key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// removePart removes the objects of a part that no other part names, and then the part. It returns false if a fragment is being written, or the part was
// written again.
func (s *Sink) removePart(root *os.Root, p keptPart, names map[string]int) (bool, error) {
	s.keeper.mu.Lock()
	defer s.keeper.mu.Unlock()
	info, err := root.Lstat(p.key)
	if err != nil || !info.ModTime().Equal(p.written) {
		return false, ignoreGone(err)
	}
	records, err := s.recordsOf(root, p.key)
	writing := func(r ManifestRecord) bool { return s.keeper.busy[fragmentKey{r.Stream, r.FragmentNumber}] }
	if err != nil || len(records) == 0 || slices.ContainsFunc(records, writing) {
		return false, ignoreGone(err)
	}
	for _, key := range objectsOf(records) {
		if names != nil {
			if names[key]--; names[key] > 0 {
				continue
			}
		}
		if s.config.Groups != nil {
			for _, ext := range s.config.Groups.Layout.Beside() {
				if err := removeFile(root, s.config.Groups.beside(key, ext)); err != nil {
					return false, err
				}
			}
		}
		if err := removeFile(root, key); err != nil {
			return false, err
		}
	}
	delete(s.keeper.parts, p.key)
	return true, removeFile(root, p.key)
}

// removeFile removes a file, if there is one and it is a plain file.
func removeFile(root *os.Root, key string) error {
	info, err := root.Lstat(key)
	if err != nil || !info.Mode().IsRegular() {
		return ignoreGone(err)
	}
	return ignoreGone(root.Remove(key))
}
