package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/kvstest"
)

// tunnel is a proxy on loopback that passes on what it is asked to CONNECT to, if it knows the host.
type tunnel struct {
	url string
	// to are the addresses of hosts, each with its port.
	to map[string]string
	mu sync.Mutex
	// asked are the hosts of all requests.
	asked map[string]bool
}

func newTunnel(t *testing.T) *tunnel {
	t.Helper()
	p := &tunnel{to: map[string]string{}, asked: map[string]bool{}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// ServeHTTP implements http.Handler.
func (p *tunnel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked[r.Host] = true
	address := p.to[r.Host]
	p.mu.Unlock()
	if r.Method != http.MethodConnect || address == "" {
		http.Error(w, "not from here", http.StatusForbidden)
		return
	}
	server, err := net.Dial("tcp", address)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer server.Close()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	fmt.Fprint(client, "HTTP/1.1 200 OK\r\n\r\n")
	var both sync.WaitGroup
	pass := func(to net.Conn, from io.Reader) {
		_, _ = io.Copy(to, from) // ends when either side closes
		_ = to.(*net.TCPConn).CloseWrite()
	}
	both.Go(func() { pass(server, buffered) })
	both.Go(func() { pass(client, server) })
	both.Wait()
}

// hosts returns the hosts that the proxy was asked for, sorted, and forgets them.
func (p *tunnel) hosts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for host := range p.asked {
		all = append(all, host)
	}
	clear(p.asked)
	slices.Sort(all)
	return all
}

// private are servers with a certificate that nobody knows but who has the bundle.
type private struct {
	certificate tls.Certificate
	bundle      string
}

// newPrivate makes a certificate for hosts below kvsframes.test, and for 0.0.0.0: an address of this machine that clients do not take for
// loopback, where they would use no proxy.
func newPrivate(t *testing.T) *private {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		DNSNames: []string{"*.kvsframes.test"}, IPAddresses: []net.IP{net.IPv4zero},
	}
	der, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	p := &private{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, filepath.Join(t.TempDir(), "ca.pem")}
	if err := os.WriteFile(p.bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// serve serves over TLS, and returns the address.
func (p *private) serve(t *testing.T, h http.Handler) (address string) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{p.certificate}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients without the bundle
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// TestRunsGoThroughAProxy reads a stream and writes to a bucket whose servers are behind a proxy, with a certificate of their own. The
// credentials come from STS, by the same way.
func TestRunsGoThroughAProxy(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	emulator := kvstest.NewServer(kvstest.Options{AccessKey: server.AccessKey, SecretKey: server.SecretKey})
	if err := emulator.AddFile("cam", demo); err != nil {
		t.Fatal(err)
	}
	of, proxy := newPrivate(t), newTunnel(t)
	bucketAt := strings.Replace(of.serve(t, server.Forward(t)), "127.0.0.1", "0.0.0.0", 1)
	proxy.to["kvs.kvsframes.test:443"] = of.serve(t, emulator.Handler())
	proxy.to["sts.kvsframes.test:443"] = of.serve(t, newSTS(t, server.AccessKey, server.SecretKey, time.Hour))
	proxy.to[bucketAt] = strings.Replace(bucketAt, "0.0.0.0", "127.0.0.1", 1)
	for _, test := range []struct {
		name    string
		mode    string
		environ []string
		code    int
		asked   []string
		says    string
	}{
		{"live", "live", []string{"AWS_CA_BUNDLE=" + of.bundle}, exitDone, []string{bucketAt, "kvs.kvsframes.test:443", "sts.kvsframes.test:443"}, "7 images"},
		{"an archive", "archive", []string{"AWS_CA_BUNDLE=" + of.bundle}, exitDone, []string{bucketAt, "kvs.kvsframes.test:443", "sts.kvsframes.test:443"}, "7 images"},
		{"a bucket beside the proxy", "live", []string{"AWS_CA_BUNDLE=" + of.bundle, "NO_PROXY=0.0.0.0"}, exitDone, []string{"kvs.kvsframes.test:443", "sts.kvsframes.test:443"}, "7 images"},
		{"no bundle", "live", nil, exitFailed, []string{"sts.kvsframes.test:443"}, "certificate signed by unknown authority"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := settings(t, fmt.Sprintf(`
source: {streams: [cam], mode: %s, start_selector: {type: EARLIEST}, end: {fragments: 7}, endpoint_url: "https://kvs.kvsframes.test", role_arn: %sreader}
sinks: [{name: a, sample: {type: keyframes}, resize: {width: 64}, destination: {type: s3, bucket: %s, force_path_style: true, endpoint_url: "https://%s", role_arn: %[2]swriter}}]
`, test.mode, roleARN, server.Bucket(t), bucketAt))
			cmd := exec.CommandContext(t.Context(), os.Args[0], "run", file)
			cmd.Env = append(server.Environ(), asProgram+"=1", "HTTPS_PROXY="+proxy.url, "NO_PROXY=", "no_proxy=", "AWS_ENDPOINT_URL_STS=https://sts.kvsframes.test")
			cmd.Env = append(cmd.Env, test.environ...)
			said, _ := cmd.CombinedOutput() // the code says it
			if code := cmd.ProcessState.ExitCode(); code != test.code || !strings.Contains(string(said), test.says) {
				t.Errorf("code %d, said\n%s", code, said)
			}
			if asked := proxy.hosts(); !slices.Equal(asked, test.asked) {
				t.Errorf("the proxy was asked for %q, want %q", asked, test.asked)
			}
		})
	}
}

// TestEndpointsOfTheSDKsSettings has the program ask for endpoints of AWS through a proxy that refuses them.
func TestEndpointsOfTheSDKsSettings(t *testing.T) {
	t.Parallel()
	file := settings(t, fmt.Sprintf(`
source: {streams: [cam], region: eu-west-1}
sinks: [{name: a, destination: {type: s3, bucket: my-frames, region: eu-west-1}}]
checkpoint: {type: s3, bucket: my-places, region: us-west-2, role_arn: %skeeper}
`, roleARN))
	proxy := newTunnel(t)
	for _, test := range []struct {
		name    string
		environ []string
		want    []string // the stream, the bucket and STS
	}{
		{"the usual ones", nil, []string{"kinesisvideo.eu-west-1.amazonaws.com:443", "my-frames.s3.eu-west-1.amazonaws.com:443", "sts.us-west-2.amazonaws.com:443"}},
		{"FIPS", []string{"AWS_USE_FIPS_ENDPOINT=true"}, []string{"kinesisvideo-fips.eu-west-1.amazonaws.com:443", "my-frames.s3-fips.eu-west-1.amazonaws.com:443", "sts-fips.us-west-2.amazonaws.com:443"}},
		{"dual-stack", []string{"AWS_USE_DUALSTACK_ENDPOINT=true"}, []string{"kinesisvideo.eu-west-1.api.aws:443", "my-frames.s3.dualstack.eu-west-1.amazonaws.com:443", "sts.us-west-2.api.aws:443"}},
		{
			"VPC endpoints, which precede the others",
			[]string{
				"AWS_ENDPOINT_URL_KINESIS_VIDEO=https://vpce-1.kinesisvideo.eu-west-1.vpce.amazonaws.com", "AWS_ENDPOINT_URL_S3=https://bucket.vpce-2.s3.eu-west-1.vpce.amazonaws.com",
				"AWS_ENDPOINT_URL_STS=https://vpce-3.sts.us-west-2.vpce.amazonaws.com", "AWS_USE_FIPS_ENDPOINT=true", "AWS_USE_DUALSTACK_ENDPOINT=true",
			},
			[]string{"my-frames.bucket.vpce-2.s3.eu-west-1.vpce.amazonaws.com:443", "vpce-1.kinesisvideo.eu-west-1.vpce.amazonaws.com:443", "vpce-3.sts.us-west-2.vpce.amazonaws.com:443"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "validate", "--connect", file)
			cmd.Env = append(os.Environ(), asProgram+"=1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_MAX_ATTEMPTS=1", "AWS_CONFIG_FILE="+os.DevNull,
				"AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_PROFILE=", "HTTPS_PROXY="+proxy.url, "NO_PROXY=", "no_proxy=")
			cmd.Env = append(cmd.Env, test.environ...)
			said, _ := cmd.CombinedOutput() // the code says it
			if code := cmd.ProcessState.ExitCode(); code != exitConfig {
				t.Errorf("code %d", code)
			}
			if asked := proxy.hosts(); !slices.Equal(asked, test.want) {
				t.Errorf("asked for %q, want %q; said\n%s", asked, test.want, said)
			}
		})
	}
}
