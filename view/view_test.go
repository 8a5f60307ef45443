package view_test

import (
	"bytes"
	"context"
	"errors"
	"image/color"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/manifest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/s3"
	"github.com/kvsframes/kvsframes/view"
)

func TestAFolderWithoutPartsHasNoPage(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "other.jsonl"), []byte("{}\n"))
	if _, err := view.Read(t.Context(), manifest.Folder(dir), view.Options{}); !errors.Is(err, manifest.ErrNoParts) {
		t.Errorf("it is %v", err)
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

var errFull = errors.New("no space left")

func TestErrorsOfTheOutputAreReported(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, nil, lane{"cam", "thumbs", 3, time.Second})
	page, err := view.Read(t.Context(), manifest.Folder(dir), view.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := page.WriteFile(full{}, ""); !errors.Is(err, errFull) {
		t.Errorf("it is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := view.Read(ctx, manifest.Folder(dir), view.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancellation it is %v", err)
	}
}

// TestPagesAreSmall keeps the records of a regular stream at few bytes each: a page is read as a whole before it shows anything.
func TestPagesAreSmall(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, nil, lane{"cam", "thumbs", 20_000, time.Second})
	page, err := view.Read(t.Context(), manifest.Folder(dir), view.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := page.WriteFile(&b, ""); err != nil {
		t.Fatal(err)
	}
	// Of these 43 are the checksum.
	if most := 40_000 + 20_000*80; b.Len() > most {
		t.Errorf("the page has %d bytes, more than %d", b.Len(), most)
	}
}

// TestABucketIsServed serves a bucket of a real S3 server: what its records name, to this machine, and nothing else.
func TestABucketIsServed(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	c := s3.DefaultConfig()
	c.Bucket, c.Prefix, c.Region, c.EndpointURL, c.ForcePathStyle = server.Bucket(t), "in", server.Region, server.Endpoint, true
	store, err := s3.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string, body []byte) {
		t.Helper()
		if err := store.Put(t.Context(), key, body, sink.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	l, arrays := lane{"cam/1 #?", "thumbs", 3, time.Second}, lane{"cam/1 #?", "arrays", 1, time.Second}
	red := picture(t, color.RGBA{200, 0, 0, 255})
	dir := t.TempDir()
	write(t, dir, []media.Gap{gap("cam", "thumbs", start, time.Time{}, media.GapCut)}, l, arrays)
	if err := manifest.Folder(dir).List(t.Context(), func(key string) error {
		in, err := manifest.Folder(dir).Open(t.Context(), key)
		if err != nil {
			return err
		}
		defer in.Close()
		body, err := io.ReadAll(in)
		put(key, body)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	put(l.record(0).Key, red)
	put(arrays.record(0).Key, []byte("<script>alert(1)</script>"))
	put("secret.jpg", red)

	page, err := view.Read(t.Context(), store, view.Options{Title: "bucket"})
	if err != nil {
		t.Fatal(err)
	}
	if records, gaps := page.Counts(); records != 4 || gaps != 1 {
		t.Errorf("it counts %d records and %d gaps", records, gaps)
	}
	handler, err := page.Handler(store)
	if err != nil {
		t.Fatal(err)
	}
	path := func(key string) string {
		return "/images/" + strings.NewReplacer("%", "%25", " ", "%20", "#", "%23", "?", "%3F").Replace(key)
	}
	for _, test := range []struct {
		name, method, path, host string
		code                     int
		kind, body               string
	}{
		{"the page", "GET", "/", "127.0.0.1:1", 200, "text/html; charset=utf-8", ""},
		{"the page by name", "GET", "/", "localhost", 200, "text/html; charset=utf-8", ""},
		{"the page in IPv6", "GET", "/", "[::1]:80", 200, "text/html; charset=utf-8", ""},
		{"a picture", "GET", path(l.record(0).Key), "127.0.0.1:1", 200, "image/jpeg", string(red)},
		{"its header", "HEAD", path(l.record(0).Key), "127.0.0.1:1", 200, "image/jpeg", ""},
		{"an array", "GET", path(arrays.record(0).Key), "127.0.0.1:1", 200, "application/octet-stream", "<script>alert(1)</script>"},
		{"an object that is gone", "GET", path(l.record(1).Key), "127.0.0.1:1", 404, "", ""},
		{"an object without a record", "GET", "/images/secret.jpg", "127.0.0.1:1", 404, "", ""},
		{"a part of a manifest", "GET", "/images/manifest/0-000000000.jsonl", "127.0.0.1:1", 404, "", ""},
		{"a path that climbs", "GET", "/images/..%2fin%2fsecret.jpg", "127.0.0.1:1", 404, "", ""},
		{"another page", "GET", "/other", "127.0.0.1:1", 404, "", ""},
		{"a write", "PUT", path(l.record(0).Key), "127.0.0.1:1", 405, "", ""},
		{"a page of the web", "GET", "/", "attacker.example", 421, "", ""},
		{"a picture for the web", "GET", path(l.record(0).Key), "127.0.0.1.attacker.example:80", 421, "", ""},
		{"no host", "GET", "/", "", 421, "", ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), test.method, test.path, http.NoBody)
		r.Host = test.host
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != test.code || test.kind != "" && w.Header().Get("Content-Type") != test.kind || test.body != "" && w.Body.String() != test.body {
			t.Errorf("%s: %d, %s, %.100q", test.name, w.Code, w.Header(), w.Body)
		}
		if w.Code == 200 && w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: the browser may guess its type", test.name)
		}
		if test.kind == "application/octet-stream" && w.Header().Get("Content-Disposition") != "attachment" {
			t.Errorf("%s is not saved: %s", test.name, w.Header())
		}
	}
	server.Stop(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path(l.record(2).Key), http.NoBody)
	r.Host = "127.0.0.1"
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	w := httptest.NewRecorder()
	if handler.ServeHTTP(w, r.WithContext(ctx)); w.Code != http.StatusBadGateway {
		t.Errorf("without a server: %d, %s", w.Code, w.Body)
	}
}
