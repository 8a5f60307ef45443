// Package s3test starts a real S3 server for tests: versitygw, on loopback, with a temporary folder for its
// data. It checks signatures and checksums as S3 does.
//
// The server's program is the one named by KVSFRAMES_VERSITYGW, or else the tool of the module in tools/, which
// `go tool` builds on first use.
package s3test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	binaryVariable = "KVSFRAMES_VERSITYGW"
	healthPath     = "/healthz"
	// startLimit is far above the usual start time (about 50 ms), for machines under load.
	startLimit = 30 * time.Second
)

// Server is a running S3 server.
type Server struct {
	// Endpoint is the server's URL. Buckets are part of the path, not of the host.
	Endpoint string
	// AccessKey and SecretKey are its only credentials.
	AccessKey, SecretKey string
	Region               string

	process *process
}

// process is the server's program, which may be stopped and started again.
type process struct {
	binary, address, root string
	logs                  bytes.Buffer
	stop                  func() error // nil while it is stopped
}

// Start starts a server that ends with the test. If there is no program to start, the test fails: otherwise an
// untested destination would look tested.
func Start(tb testing.TB) Server {
	tb.Helper()
	binary, err := findBinary()
	if err != nil {
		tb.Fatalf("no S3 server to test with (run `make test`, which gets one): %v", err)
	}
	s := Server{AccessKey: "kvsframes-test", SecretKey: secretKey(), Region: "us-east-1"}
	// A free port may be taken before the server opens it.
	for range 3 {
		if err = s.start(tb, binary); err == nil {
			return s
		}
	}
	tb.Fatalf("start S3 server (`make test` gets one that works): %v", err)
	return Server{}
}

// secretKey is that of all servers of a process, whose tests share an environment.
var secretKey = sync.OnceValue(rand.Text)

// findBinary returns the server's program. It searches once per process.
var findBinary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(binaryVariable); path != "" {
		return path, nil
	}
	tools, err := toolsFolder()
	if err != nil {
		return "", err
	}
	var stderr bytes.Buffer
	command := exec.Command("go", "-C", tools, "tool", "-n", "versitygw")
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", command, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
})

// toolsFolder finds tools/go.mod in the folders above the test's.
func toolsFolder() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		tools := filepath.Join(folder, "tools")
		if _, err := os.Stat(filepath.Join(tools, "go.mod")); err == nil {
			return tools, nil
		}
		if folder == filepath.Dir(folder) {
			return "", errors.New("no folder above the test's has a tools/go.mod")
		}
		folder = filepath.Dir(folder)
	}
}

func (s *Server) start(tb testing.TB, binary string) error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	// The server changes its working directory: all its paths are absolute.
	root, err := filepath.Abs(tb.TempDir())
	if err != nil {
		return err
	}
	s.Endpoint, s.process = "http://"+address, &process{binary: binary, address: address, root: root}
	if err := s.run(); err != nil {
		return err
	}
	tb.Cleanup(func() {
		s.Stop(tb)
		if tb.Failed() {
			tb.Logf("S3 server's output: %s", s.process.logs.Bytes())
		}
	})
	return nil
}

// run starts the server's program and waits until it is ready.
func (s Server) run() error {
	p := s.process
	command := exec.Command(p.binary, "--port", p.address, "--access", s.AccessKey, "--secret", s.SecretKey, "--region", s.Region,
		"--quiet", "--keep-alive", "--health", healthPath, "posix", p.root)
	command.Stdout, command.Stderr = &p.logs, &p.logs
	if err := command.Start(); err != nil {
		return err
	}
	exited := make(chan error, 1)
	go func() { exited <- command.Wait() }()
	// The server would wait for idle connections, which clients keep for minutes, so it is killed.
	stop := func() error {
		err := command.Process.Kill()
		exited <- <-exited
		if errors.Is(err, os.ErrProcessDone) {
			return nil
		}
		return err
	}
	if err := waitReady(s.Endpoint+healthPath, exited); err != nil {
		return fmt.Errorf("%w; its output: %s", errors.Join(err, stop()), p.logs.Bytes())
	}
	p.stop = stop
	return nil
}

// Stop kills the server and keeps its objects; Restart starts it again. One goroutine at a time calls the two methods.
func (s Server) Stop(tb testing.TB) {
	tb.Helper()
	if s.process.stop == nil {
		return
	}
	if err := s.process.stop(); err != nil {
		tb.Error(err)
	}
	s.process.stop = nil
}

// Restart starts the server again at its address.
func (s Server) Restart(tb testing.TB) {
	tb.Helper()
	if err := s.run(); err != nil {
		tb.Errorf("start S3 server again: %v", err)
	}
}

// Destroy removes a bucket with all of its objects while the server is stopped.
func (s Server) Destroy(tb testing.TB, bucket string) {
	tb.Helper()
	if err := os.RemoveAll(filepath.Join(s.process.root, bucket)); err != nil {
		tb.Error(err)
	}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// waitReady polls the server's health until it is good or the server has exited.
func waitReady(url string, exited chan error) error {
	late := time.After(startLimit)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	client := &http.Client{Timeout: startLimit, Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		select {
		case err := <-exited:
			exited <- err
			return fmt.Errorf("server exited before it was ready: %v", err)
		case <-late:
			return fmt.Errorf("server is not ready after %s", startLimit)
		case <-tick.C:
		}
		resp, err := client.Get(url)
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
}

// Setenv sets the server's credentials as those of the AWS chain for the duration of the test, and keeps the
// chain from using other ones.
func (s Server) Setenv(tb testing.TB) {
	tb.Helper()
	for name, value := range s.variables() {
		tb.Setenv(name, value)
	}
}

// Environ returns the environment of the process with what Setenv sets, for programs that tests start.
func (s Server) Environ() []string {
	environ := os.Environ()
	for name, value := range s.variables() {
		environ = append(environ, name+"="+value)
	}
	return environ
}

func (s Server) variables() map[string]string {
	return map[string]string{
		"AWS_ACCESS_KEY_ID":           s.AccessKey,
		"AWS_SECRET_ACCESS_KEY":       s.SecretKey,
		"AWS_SESSION_TOKEN":           "",
		"AWS_REGION":                  s.Region,
		"AWS_PROFILE":                 "",
		"AWS_CONFIG_FILE":             os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_EC2_METADATA_DISABLED":   "true",
	}
}
