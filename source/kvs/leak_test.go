package kvs

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain sees, after all tests, that none has left a goroutine of this package or a
// connection behind. Those in a bubble of testing/synctest see to it by themselves.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := leaks(); left != "" {
		fmt.Fprintf(os.Stderr, "goroutines are left after the tests:\n%s\n", left)
		code = max(code, 1)
	}
	os.Exit(code)
}

// leaks returns the goroutines that are left when they have had time to end.
func leaks() string {
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	patience := time.After(5 * time.Second)
	for again := time.Tick(5 * time.Millisecond); ; {
		buf := make([]byte, 1<<20)
		var left []string
		for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			ours := strings.Contains(g, "/source") || strings.Contains(g, "net/http.") || strings.Contains(g, "kvstest")
			if ours && !strings.Contains(g, "kvs.TestMain(") {
				left = append(left, g)
			}
		}
		if len(left) == 0 {
			return ""
		}
		select {
		case <-again:
		case <-patience:
			return strings.Join(left, "\n\n")
		}
	}
}
