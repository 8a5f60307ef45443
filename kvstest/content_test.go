package kvstest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// held is a recording in memory.
func held(data []byte) *recording {
	return &recording{in: bytes.NewReader(data), size: int64(len(data)), data: data, rest: inMemory{}}
}

func bytesOf(t *testing.T, c *chunk) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := c.data.writeTo(&b, 0, c.data.len()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bigRecording is a payload of n chunks of about size bytes each.
func bigRecording(n, size int) []byte {
	var payload []byte
	for i := range n {
		at := epoch.Add(time.Duration(i) * time.Second)
		payload = AppendChunk(payload, Chunk{
			FragmentNumber: fragmentNumber(i), ProducerTime: at, ServerTime: at, ContinuationToken: fragmentNumber(i),
			Tracks: []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: "V_TEST"}},
			Blocks: []Block{{Track: 1, Key: true, Data: bytes.Repeat([]byte{byte(i)}, size)}},
		})
	}
	return payload
}

func writeRecording(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "recording.mkv")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// recordingKinds are recordings of every kind that is served in its own way.
func recordingKinds() map[string][]byte {
	_, payload := synthetic(3)
	big := bigRecording(5, 3<<20/2) // more than one window, and chunks across their ends
	return map[string][]byte{
		"payload": payload, "big payload": big, "cut payload": big[:len(big)-100],
		"payload that ends in a header": append(slices.Clone(payload), 0x1A, 0x45),
		"damaged payload":               slices.Concat(payload, []byte("\x00\x00 no Matroska"), payload),
		"plain": plainFile(1_000_000,
			plainCluster(0, simpleBlock(0, keyFlag, strings.Repeat("a", 2<<20))), plainCluster(900, simpleBlock(0, 0, "b")),
			plainCluster(2000, simpleBlock(0, keyFlag, "c"))),
	}
}

func TestAFileIsServedAsARecordingInMemoryIs(t *testing.T) {
	for name, data := range recordingKinds() {
		t.Run(name, func(t *testing.T) {
			e := serve(t, Options{})
			e.add(t, "memory", data)
			if err := e.AddFile("file", writeRecording(t, data)); err != nil {
				t.Fatal(err)
			}
			want, got := e.streams["memory"].chunks, e.streams["file"].chunks
			if len(got) != len(want) || len(want) < 2 {
				t.Fatalf("%d chunks, want %d", len(got), len(want))
			}
			for i, c := range got {
				w := want[i]
				if c.data.file == nil || c.data.bytes != nil {
					t.Errorf("chunk %d is held in memory", i)
				}
				if !bytes.Equal(bytesOf(t, c), bytesOf(t, w)) {
					t.Errorf("chunk %d has other bytes", i)
				}
				var stored, wanted bytes.Buffer
				if err := errors.Join(c.writeArchived(&stored), w.writeArchived(&wanted)); err != nil || !bytes.Equal(stored.Bytes(), wanted.Bytes()) {
					t.Errorf("chunk %d has other bytes in the archive, %v", i, err)
				}
				if stored.Len() != c.archivedSize() {
					t.Errorf("chunk %d has %d bytes in the archive, told are %d", i, stored.Len(), c.archivedSize())
				}
				if c.number != w.number || c.token != w.token || !c.producer.Equal(w.producer) || !c.server.Equal(w.server) ||
					c.length != w.length || c.tail != w.tail || c.cut != w.cut || c.closing != w.closing {
					t.Errorf("chunk %d is %+v, want %+v", i, c, w)
				}
			}
		})
	}
}

func TestRecordingsStayOnDisk(t *testing.T) {
	const chunks, size = 64, 1 << 20
	blocks := make([][]byte, chunks)
	for i := range blocks {
		blocks[i] = plainCluster(uint64(1000*i), simpleBlock(0, keyFlag, strings.Repeat("x", size)))
	}
	for name, data := range map[string][]byte{"payload": bigRecording(chunks, size), "plain": plainFile(1_000_000, blocks...)} {
		t.Run(name, func(t *testing.T) {
			path := writeRecording(t, data)
			s := NewServer(Options{})
			before := heap()
			if err := s.AddFile("cam", path); err != nil {
				t.Fatal(err)
			}
			if grown := heap() - before; grown > chunks*size/16 {
				t.Errorf("%d bytes stay in memory of a recording of %d", grown, chunks*size)
			}
			if n := len(s.lookup("cam").chunks); n != chunks {
				t.Errorf("%d chunks, want %d", n, chunks)
			}
		})
	}
}

// heap is how many bytes are reachable.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestAFileThatChangedIsNotServed(t *testing.T) {
	_, payload := synthetic(2)
	later := time.Now().Add(time.Hour)
	for name, change := range map[string]func(path string) error{
		"another time": func(path string) error { return os.Chtimes(path, later, later) },
		"shorter":      func(path string) error { return os.Truncate(path, 100) },
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, Options{})
			path := writeRecording(t, payload)
			if err := e.AddFile("cam", path); err != nil {
				t.Fatal(err)
			}
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			if err := e.streams["cam"].chunks[0].writeArchived(io.Discard); !errors.Is(err, errChanged) {
				t.Errorf("error is %v", err)
			}
			resp := getMedia(fromEarliest).send(t, e.url)
			if body, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("%d bytes came, and the answer ended cleanly", len(body))
			}
		})
	}
}

func TestAPlainFileMayChangeOnceItIsAdded(t *testing.T) {
	data := recordingKinds()["plain"]
	e := serve(t, Options{})
	e.add(t, "memory", data)
	path := writeRecording(t, data)
	if err := e.AddFile("file", path); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	want := bytesOf(t, e.streams["memory"].chunks[0])
	if got := bytesOf(t, e.streams["file"].chunks[0]); !bytes.Equal(got, want) {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
}
