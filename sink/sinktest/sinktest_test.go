package sinktest_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/sinktest"
	"github.com/kvsframes/kvsframes/sink/storetest"
)

// tarSink writes the images of three fragments after the other into one tar archive.
type tarSink struct {
	store sink.Store

	open      sink.ObjectWriter // the archive that is not complete; nil for none
	images    int               // of the fragment that has not ended
	fragments int               // that ended since the last archive
	waiting   []func()          // the reports of fragments that the open archive holds back
}

func (s *tarSink) Name() string     { return "archive" }
func (s *tarSink) MaxInFlight() int { return 1 }

func (s *tarSink) Write(ctx context.Context, img media.Image) (err error) {
	id := sinktest.ID(img.FrameInfo)
	if s.open == nil {
		if s.open, err = s.store.Create(ctx, id+".tar", sink.PutOptions{ContentType: "application/x-tar"}); err != nil {
			return err
		}
	}
	var member bytes.Buffer
	t := tar.NewWriter(&member)
	err = errors.Join(t.WriteHeader(&tar.Header{Name: id, Mode: 0o644, Size: int64(len(img.Data))}), second(t.Write(img.Data)), t.Flush())
	if err != nil {
		return err
	}
	s.images++
	return s.open.Write(ctx, member.Bytes())
}

func second(_ int, err error) error { return err }

func (s *tarSink) EndFragment(ctx context.Context, _ *media.Fragment, durable func(media.Receipt)) error {
	receipt := media.Receipt{Written: s.images}
	s.waiting = append(s.waiting, func() { durable(receipt) })
	s.images = 0
	if s.fragments++; s.fragments == 3 || s.open == nil {
		return s.complete(ctx)
	}
	return nil
}

// complete makes the open archive visible, and reports the fragments that it holds.
func (s *tarSink) complete(ctx context.Context) error {
	if s.open != nil {
		if err := s.open.Write(ctx, make([]byte, 1024)); err != nil { // the end of a tar archive
			return err
		}
		if err := s.open.Commit(ctx); err != nil {
			return err
		}
	}
	for _, report := range s.waiting {
		report()
	}
	s.open, s.waiting, s.fragments = nil, nil, s.fragments%3
	return nil
}

func (s *tarSink) Finish(ctx context.Context) error { return s.complete(ctx) }

func (s *tarSink) Abandon() error {
	if s.open == nil {
		return nil
	}
	return s.open.Abandon()
}

// members returns what the archives among objects hold.
func members(objects map[string][]byte) (map[string][]byte, error) {
	all := map[string][]byte{}
	for _, archive := range objects {
		for t := tar.NewReader(bytes.NewReader(archive)); ; {
			header, err := t.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
			if all[header.Name], err = io.ReadAll(t); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

func TestASinkOfManyFragmentsAnObjectConforms(t *testing.T) {
	sinktest.Run(t, func(tb testing.TB) sinktest.Harness {
		h, trouble := folder(tb), &sinktest.Trouble{}
		objects := func(ctx context.Context) (map[string][]byte, error) { return sinktest.Objects(ctx, h) }
		return sinktest.Harness{
			Open:    func(string) pipeline.Sink { return &tarSink{store: sinktest.Store(h.Store, trouble)} },
			Objects: objects,
			Images: func(ctx context.Context) (map[string][]byte, error) {
				all, err := objects(ctx)
				if err != nil {
					return nil, err
				}
				return members(all)
			},
			Unfinished: h.Unfinished,
			Trouble:    trouble,
		}
	})
}

// folder is a store in a folder.
func folder(tb testing.TB) storetest.Harness {
	root := tb.TempDir()
	dir, err := sink.OpenDir(root, false)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := dir.Close(); err != nil {
			tb.Error(err)
		}
	})
	list := func(unfinished bool) func(context.Context) ([]string, error) {
		return func(context.Context) (names []string, err error) {
			err = filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
				name, relErr := filepath.Rel(root, path)
				if err == nil && relErr == nil && !entry.IsDir() && strings.HasPrefix(entry.Name(), ".") == unfinished {
					names = append(names, filepath.ToSlash(name))
				}
				return errors.Join(err, relErr)
			})
			return names, err
		}
	}
	return storetest.Harness{
		Store:      dir,
		Get:        func(_ context.Context, key string) ([]byte, error) { return os.ReadFile(filepath.Join(root, key)) },
		List:       list(false),
		Unfinished: list(true),
	}
}

func TestAFuncSinkConforms(t *testing.T) {
	for _, maxInFlight := range []int{1, 8} {
		sinktest.Run(t, func(testing.TB) sinktest.Harness {
			var mu sync.Mutex
			got, trouble := map[string][]byte{}, &sinktest.Trouble{}
			read := func(context.Context) (map[string][]byte, error) {
				mu.Lock()
				defer mu.Unlock()
				return maps.Clone(got), nil
			}
			write := func(ctx context.Context, img media.Image) error {
				if err := trouble.Pass(ctx); err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				got[sinktest.ID(img.FrameInfo)] = img.Data
				return nil
			}
			return sinktest.Harness{
				Open:    func(string) pipeline.Sink { return pipeline.NewFuncSink("frames", maxInFlight, write) },
				Objects: read, Images: read, Trouble: trouble,
			}
		})
	}
}
