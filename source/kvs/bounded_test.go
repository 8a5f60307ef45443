package kvs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvsframes/kvsframes/kvstest"
)

// endless answers one path with what does not end by itself; sent counts the bytes of it.
type endless struct {
	next   http.Handler
	path   string
	status int
	head   string
	sent   atomic.Int64
}

func (h *endless) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != h.path {
		h.next.ServeHTTP(w, r)
		return
	}
	w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
	w.WriteHeader(h.status)
	_, err := io.WriteString(w, h.head)
	for row := bytes.Repeat([]byte(` x\u001b[2J`), 1000); err == nil && h.sent.Load() < 1<<30; h.sent.Add(int64(len(row))) {
		_, err = w.Write(row)
	}
}

func TestAnswersWithoutAnEndAreCut(t *testing.T) {
	for _, c := range []struct {
		path   string
		status int
		head   string
		most   int64
		want   string
	}{
		{"/listFragments", http.StatusForbidden, `{"Message": "`, 8 << 20, "StatusCode: 403"},
		{"/listFragments", http.StatusOK, `{"Fragments": [], "NextToken": "`, maxAnswer + 8<<20, "the answer is larger than 33554432 bytes"},
		{"/getDataEndpoint", http.StatusForbidden, `{"Message": "`, 8 << 20, "StatusCode: 403"},
		{"/getMediaForFragmentList", http.StatusForbidden, `{"Message": "`, 8 << 20, "StatusCode: 403"},
	} {
		t.Run(fmt.Sprint(c.path, " ", c.status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := store(3, ago(3))
				e := kvstest.NewServer(kvstest.Options{})
				if err := e.AddRecording("cam", bytes.NewReader(s.recording)); err != nil {
					t.Fatal(err)
				}
				h := &endless{next: e.Handler(), path: c.path, status: c.status, head: c.head}
				a := (&bubble{e, serveMemory(t, h)}).archive(t, archiveConfig{Range: extent{Start: s.begin}})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				_, _, err := a.api.listFragments(ctx, page{clock: "producer", from: s.begin, to: s.begin})
				if c.path == "/getMediaForFragmentList" {
					_, _, err = a.api.getMedia(ctx, []string{number(0)}, func(int) {})
				}
				if err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 2000 {
					t.Fatalf("got %.3000v", err)
				}
				if i := strings.IndexFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
					t.Errorf("%q", err)
				}
				if sent := h.sent.Load(); sent > c.most {
					t.Errorf("%d bytes were read", sent)
				}
			})
		})
	}
}

func TestARefusalIsOneLine(t *testing.T) {
	text := strings.Repeat("é\x1b\n", 1000)
	if got, want := printable(text, 4), "é  é..."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := printable("plain", maxCode); got != "plain" {
		t.Errorf("got %q", got)
	}
}

func TestNamesThatAreNoneAreNotListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := serveMemory(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"StreamInfoList": [{"StreamName": "cam-1"}, {"StreamName": "cam-/../x"}, {"StreamName": "cam-\u001b[2J"}, {"StreamName": "cam-=x"}, {"StreamName": "`+"cam-"+strings.Repeat("x", 300)+`"}]}`)
		}))
		names, err := ListStreams(t.Context(), net.aws(), memoryURL, "cam-*")
		if err != nil || !slices.Equal(names, []string{"cam-1"}) {
			t.Errorf("got %q, %v", names, err)
		}
	})
}

func TestAClientOfOnesOwnIsBoundedToo(t *testing.T) {
	broken := errors.New("broken")
	client := bounded(doer(func(*http.Request) (*http.Response, error) { return nil, broken }))
	if _, err := client.Do(&http.Request{}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	_ = aws.HTTPClient(client)
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

// TestAnAnswerThatDoesNotEndIsAnError hangs at each place of an answer that is not media, on a virtual clock.
func TestAnAnswerThatDoesNotEndIsAnError(t *testing.T) {
	for name, hang := range map[string]func(w http.ResponseWriter){
		"before it begins": func(http.ResponseWriter) {},
		"inside it":        func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"StreamInfoList": [`) },
		"inside a refusal": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "{")
		},
		"behind its header": func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadRequest) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := serveMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.EqualFold(r.URL.Path, "/getDataEndpoint") {
						_, _ = io.WriteString(w, `{"DataEndpoint": "`+memoryURL+`"}`)
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					hang(w)
					if name != "before it begins" {
						_ = http.NewResponseController(w).Flush()
					}
					<-r.Context().Done()
				}))
				begin := time.Now()
				if _, err := ListStreams(t.Context(), net.aws(), memoryURL, "cam-*"); err == nil || time.Since(begin) > 10*answerTime {
					t.Errorf("the list of streams: %v after %v", err, time.Since(begin))
				}
				if name == "inside it" {
					return // media may pause
				}
				begin = time.Now()
				d, err := newDialer(Config{AWS: net.aws(), Stream: "cam", EndpointURL: memoryURL, Start: earliest}.withDefaults())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := d.Dial(t.Context(), earliest, false); err == nil || time.Since(begin) > 2*answerTime {
					t.Errorf("a refused call: %v after %v", err, time.Since(begin))
				}
			})
		})
	}
}
