package kvs

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/logtest"
	"github.com/kvsframes/kvsframes/kvstest"
)

// index is the place that a text tells.
func index(place string) int {
	n, err := strconv.Atoi(place)
	if err != nil {
		panic(err) // the test's own text
	}
	return n
}

// fragmentsOf are the numbers that a call of GetMediaForFragmentList asks for.
func fragmentsOf(r *http.Request) []string {
	var in struct{ Fragments []string }
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &in) != nil {
		return nil
	}
	return in.Fragments
}

// lines is a log that can be looked into.
type lines struct{ logtest.Buffer }

func newLines() (*slog.Logger, *lines) {
	l := &lines{}
	return slog.New(slog.NewTextHandler(l, nil)), l
}

func (l *lines) has(text string) bool { return strings.Contains(l.String(), text) }

// benchmarkArchive reads all of cam and returns how long that took.
func benchmarkArchive(b *testing.B, e *kvstest.Server, s *stored) time.Duration {
	b.Helper()
	srv := httptest.NewServer(e.Handler())
	defer srv.Close()
	a, err := openArchive(awsConfig(), archiveConfig{Stream: "cam", EndpointURL: srv.URL, Range: extent{Start: s.begin}}, quiet)
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	before := time.Now()
	for i := 0; ; i++ {
		_, err := a.Next(b.Context())
		if errors.Is(err, io.EOF) && i == len(s.archived) {
			return time.Since(before)
		}
		if err != nil {
			b.Fatalf("after %d fragments: %v", i, err)
		}
	}
}
