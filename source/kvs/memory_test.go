package kvs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// memory is a network within the process. In a bubble of testing/synctest the time of
// what goes over it is virtual, and whatever is left over at the end fails the test.
type memory struct {
	arrivals chan net.Conn
	closed   chan struct{}
	once     sync.Once
	// open counts the ends that clients hold.
	open atomic.Int64
}

// memoryURL is where the server of a memory is.
const memoryURL = "http://kvs.test"

// serveMemory serves h until the test ends, and then sees that no client holds a
// connection any more. It is for tests in a bubble.
func serveMemory(t *testing.T, h http.Handler) *memory {
	t.Helper()
	m := &memory{arrivals: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{Handler: h}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := srv.Serve(m); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		// A connection whose answer was not read to its end is closed after the call returns.
		synctest.Wait()
		if n := m.open.Load(); n != 0 {
			t.Errorf("%d connections are left open", n)
		}
		_ = srv.Close()
		serving.Wait()
	})
	return m
}

// aws returns a configuration whose calls go over the network.
func (m *memory) aws() aws.Config {
	cfg := awsConfig()
	cfg.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.DialContext = m.dial
	})
	return cfg
}

func (m *memory) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	if addr != "kvs.test:80" {
		return nil, fmt.Errorf("dial %s: no such host", addr)
	}
	client, server := net.Pipe()
	select {
	case m.arrivals <- server:
		m.open.Add(1)
		return &memoryConn{Conn: client, gone: sync.OnceFunc(func() { m.open.Add(-1) })}, nil
	case <-m.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept, Close and Addr implement net.Listener.
func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.arrivals:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

func (m *memory) Addr() net.Addr { return &net.IPAddr{} }

// memoryConn is a client's end.
type memoryConn struct {
	net.Conn
	gone func()
}

func (c *memoryConn) Close() error {
	c.gone()
	return c.Conn.Close()
}
