// Package chromiumtest opens pages in Chromium, for tests: Debian's package, without a window. It speaks the DevTools protocol over a pipe.
package chromiumtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"
)

// limit is how long a page may take for anything, on a machine under load.
const limit = 60 * time.Second

// Browser is a running Chromium. Its pages may be used by one goroutine each.
type Browser struct {
	to io.Writer

	mu      sync.Mutex
	last    int
	waiting map[int]chan message
	pages   map[string]*Page // by their sessions
	ended   error
}

// message is a command of the protocol, an answer to one, or an event.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// Start starts a browser that ends with the test. The test fails if there is none: otherwise a page would look tested that is not.
func Start(tb testing.TB) *Browser {
	tb.Helper()
	args := []string{
		"--headless=new", "--remote-debugging-pipe", "--user-data-dir=" + tb.TempDir(), "--no-first-run", "--disable-gpu",
		"--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--hide-scrollbars",
		// It opens the tests' own pages only, and cannot lock itself in as root, or in many containers.
		"--no-sandbox",
	}
	command := exec.Command("chromium", args...)
	var logs bytes.Buffer
	command.Stderr = &logs
	read, out, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	in, write, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	command.ExtraFiles = []*os.File{read, write} // 3 and 4
	err = command.Start()
	_ = read.Close()
	_ = write.Close()
	if err != nil {
		tb.Fatalf("Chromium (make setup-test installs it): %v", err)
	}
	b := &Browser{to: out, waiting: map[int]chan message{}, pages: map[string]*Page{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.receive(in)
	}()
	tb.Cleanup(func() {
		_, _ = b.call("", "Browser.close", nil)
		_ = out.Close()
		kill := time.AfterFunc(limit, func() { _ = command.Process.Kill() })
		_ = command.Wait() // its exit code says nothing of the page
		kill.Stop()
		<-done
		_ = in.Close()
		if tb.Failed() {
			tb.Logf("Chromium says: %s", logs.Bytes())
		}
	})
	return b
}

// receive hands on what the browser says, until it ends.
func (b *Browser) receive(from io.Reader) {
	r := bufio.NewReader(from)
	for {
		text, err := r.ReadBytes(0)
		var m struct {
			message
			Params json.RawMessage `json:"params"`
		}
		if err == nil {
			err = json.Unmarshal(text[:len(text)-1], &m)
		}
		b.mu.Lock()
		switch {
		case err != nil:
			b.ended = fmt.Errorf("the browser has ended: %w", err)
			for _, c := range b.waiting {
				close(c)
			}
			b.waiting = nil
		case m.ID != 0:
			b.waiting[m.ID] <- m.message
			delete(b.waiting, m.ID)
		case b.pages[m.Session] != nil:
			b.pages[m.Session].note(m.Method, m.Params)
		}
		b.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// call sends a command and returns its result.
func (b *Browser) call(session, method string, params any) (json.RawMessage, error) {
	answer := make(chan message, 1)
	b.mu.Lock()
	if b.ended != nil {
		defer b.mu.Unlock()
		return nil, b.ended
	}
	b.last++
	id := b.last
	b.waiting[id] = answer
	text, err := json.Marshal(message{ID: id, Session: session, Method: method, Params: params})
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case m, ok := <-answer:
		switch {
		case !ok:
			return nil, fmt.Errorf("%s: the browser has ended", method)
		case m.Error != nil:
			return nil, errors.New(method + ": " + m.Error.Message)
		}
		return m.Result, nil
	case <-time.After(limit):
		return nil, errors.New(method + ": no answer after " + strconv.Itoa(int(limit.Seconds())) + " s")
	}
}
