package main

import (
	"encoding/xml"
	"fmt"
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

// keyOf returns the access key with which a request is signed, "" without one.
func keyOf(r *http.Request) string {
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(credential, "/")
	return key
}

// stsServer answers AssumeRole on loopback. What it issues is signed with key and secret, and has a session token of its own each time:
// ROLE-1, ROLE-2 and so on.
type stsServer struct {
	url, key, secret string
	// lasts is for how long what it issues is valid.
	lasts time.Duration

	mu sync.Mutex
	// assumed are the access keys that have asked, by the role's ARN.
	assumed map[string][]string
	// refuses returns the status and code with which the nth call for a role is refused, 0 if it is not.
	refuses func(role string, nth int) (status int, code string)
}

func newSTS(t *testing.T, key, secret string, lasts time.Duration) *stsServer {
	t.Helper()
	s := &stsServer{key: key, secret: secret, lasts: lasts, assumed: map[string][]string{}, refuses: func(string, int) (int, string) { return 0, "" }}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// refuse sets refuses.
func (s *stsServer) refuse(refuses func(role string, nth int) (status int, code string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuses = refuses
}

// issued is the answer to AssumeRole (AWS STS API Reference).
type issued struct {
	XMLName         xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleResponse"`
	AccessKeyID     string   `xml:"AssumeRoleResult>Credentials>AccessKeyId"`
	SecretAccessKey string   `xml:"AssumeRoleResult>Credentials>SecretAccessKey"`
	SessionToken    string   `xml:"AssumeRoleResult>Credentials>SessionToken"`
	Expiration      string   `xml:"AssumeRoleResult>Credentials>Expiration"`
	ARN             string   `xml:"AssumeRoleResult>AssumedRoleUser>Arn"`
}

// ServeHTTP implements http.Handler.
func (s *stsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	role := r.FormValue("RoleArn")
	s.mu.Lock()
	s.assumed[role] = append(s.assumed[role], keyOf(r))
	nth := len(s.assumed[role])
	status, code := s.refuses(role, nth)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/xml")
	if r.FormValue("Action") != "AssumeRole" || r.FormValue("RoleSessionName") != "kvsframes" {
		status, code = http.StatusBadRequest, "InvalidAction"
	}
	if status != 0 {
		w.WriteHeader(status)
		fmt.Fprintf(w, "<ErrorResponse><Error><Code>%s</Code><Message>not for you</Message></Error></ErrorResponse>", code)
		return
	}
	_, name, _ := strings.Cut(role, "role/")
	text, err := xml.Marshal(issued{
		AccessKeyID: s.key, SecretAccessKey: s.secret, SessionToken: fmt.Sprintf("%s-%d", name, nth),
		Expiration: time.Now().Add(s.lasts).UTC().Format(time.RFC3339), ARN: role,
	})
	if err == nil {
		_, err = w.Write(text)
	}
	if err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
}

// doorman notes who passes on the way to a server.
type doorman struct {
	to http.Handler
	mu sync.Mutex
	// callers are the access key and the session token of each request, in order.
	callers []string
	// uses is how many requests may have one token until it has expired; 0 is no limit.
	uses int
}

// limit sets uses.
func (d *doorman) limit(uses int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.uses = uses
}

func newDoorman(t *testing.T, to http.Handler) (g *doorman, url string) {
	t.Helper()
	g = &doorman{to: to}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	return g, server.URL
}

// ServeHTTP implements http.Handler.
func (g *doorman) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	caller := keyOf(r) + " " + r.Header.Get("X-Amz-Security-Token")
	g.mu.Lock()
	expired := g.uses > 0 && len(slices.DeleteFunc(slices.Clone(g.callers), func(c string) bool { return c != caller })) >= g.uses
	g.callers = append(g.callers, caller)
	g.mu.Unlock()
	if expired {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>")
		return
	}
	g.to.ServeHTTP(w, r)
}

// seen returns the different callers.
func (g *doorman) seen() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := slices.Clone(g.callers)
	slices.Sort(all)
	return slices.Compact(all)
}

// ends are the servers of a run whose ends have identities of their own: the stream, two buckets, and that of checkpoints.
type ends struct {
	sts                                *stsServer
	emulator                           *kvstest.Server
	stream, plain, written, checkpoint *doorman
	file                               string
	environ                            []string
}

const roleARN = "arn:aws:iam::123456789012:role/"

// newEnds prepares a run. lasts is for how long the credentials of roles are valid. No server knows the credentials of the environment.
func newEnds(t *testing.T, lasts time.Duration) *ends {
	t.Helper()
	server := s3test.Start(t)
	e := &ends{sts: newSTS(t, server.AccessKey, server.SecretKey, lasts)}
	e.emulator = kvstest.NewServer(kvstest.Options{AccessKey: server.AccessKey, SecretKey: server.SecretKey})
	if err := e.emulator.AddFile("cam", demo); err != nil {
		t.Fatal(err)
	}
	stream, plain, written, checkpoint := "", "", "", ""
	e.stream, stream = newDoorman(t, e.emulator.Handler())
	e.plain, plain = newDoorman(t, server.Forward(t))
	e.written, written = newDoorman(t, server.Forward(t))
	e.checkpoint, checkpoint = newDoorman(t, server.Forward(t))
	bucket := "bucket: " + server.Bucket(t) + ", force_path_style: true"
	e.file = settings(t, fmt.Sprintf(`
source: {streams: [cam], mode: archive, start_selector: {type: EARLIEST}, endpoint_url: %q, profile: camera, role_arn: %sreader}
sinks:
  - {name: plain, sample: {type: keyframes}, path: "plain/{fragment_number}_{frame_index}.jpg", resize: {width: 64}, destination: {type: s3, %s, endpoint_url: %q, profile: bucket}}
  - {name: written, sample: {type: keyframes}, path: "{fragment_number}_{frame_index}.jpg", resize: {width: 64}, destination: {type: s3, %[3]s, endpoint_url: %[5]q, role_arn: %[2]swriter}}
checkpoint: {type: s3, %[3]s, prefix: places, endpoint_url: %[6]q, profile: camera, role_arn: %[2]skeeper}
`, stream, roleARN, bucket, plain, written, checkpoint))
	shared := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf("[profile camera]\naws_access_key_id = CAMERA\naws_secret_access_key = x\n[profile bucket]\naws_access_key_id = %s\naws_secret_access_key = %s\n", server.AccessKey, server.SecretKey)
	if err := os.WriteFile(shared, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	e.environ = append(server.Environ(), asProgram+"=1", "AWS_CONFIG_FILE="+shared, "AWS_ACCESS_KEY_ID=CHAIN", "AWS_SECRET_ACCESS_KEY=x", "AWS_ENDPOINT_URL_STS="+e.sts.url, "NO_PROXY=127.0.0.1")
	return e
}

// run runs the program to its end, and returns its exit code and what it says.
func (e *ends) run(t *testing.T, args ...string) (code int, said string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"run", e.file}, args...)...)
	cmd.Env = e.environ
	out, _ := cmd.CombinedOutput() // the code says it
	return cmd.ProcessState.ExitCode(), string(out)
}

func TestEachEndHasItsIdentity(t *testing.T) {
	t.Parallel()
	e := newEnds(t, time.Hour)
	if code, said := e.run(t); code != exitDone {
		t.Fatalf("code %d: %s", code, said)
	}
	for _, end := range []struct {
		name string
		at   *doorman
		want string
	}{
		{"the stream", e.stream, e.sts.key + " reader-1"},
		{"the bucket with a profile", e.plain, e.sts.key + " "},
		{"the bucket with a role", e.written, e.sts.key + " writer-1"},
		{"the checkpoint", e.checkpoint, e.sts.key + " keeper-1"},
	} {
		if got := end.at.seen(); !slices.Equal(got, []string{end.want}) {
			t.Errorf("%s is asked by %q, want %q", end.name, got, end.want)
		}
	}
	for role, want := range map[string]string{"reader": "CAMERA", "writer": "CHAIN", "keeper": "CAMERA"} {
		if got := e.sts.assumed[roleARN+role]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s is assumed by %q, want %q", role, got, want)
		}
	}
}

// TestCredentialsOfRolesAreRenewed has STS issue credentials that are about to expire, so that each request renews them, and then such as
// expire before they should.
func TestCredentialsOfRolesAreRenewed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		lasts time.Duration
		uses  int
	}{{"about to expire", time.Minute, 0}, {"expired early", time.Hour, 4}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := newEnds(t, test.lasts)
			e.written.limit(test.uses)
			if test.uses > 0 {
				if err := e.emulator.SetFaults([]kvstest.Fault{{Kind: kvstest.FaultToken, Op: "GetMediaForFragmentList", Code: "ExpiredTokenException"}}); err != nil {
					t.Fatal(err)
				}
			}
			// STS itself fails now and then.
			e.sts.refuse(func(_ string, nth int) (int, string) {
				if nth == 2 {
					return http.StatusServiceUnavailable, "ServiceUnavailable"
				}
				return 0, ""
			})
			if code, said := e.run(t); code != exitDone {
				t.Fatalf("code %d: %s", code, said)
			}
			for name, at := range map[string]*doorman{"stream": e.stream, "bucket": e.written} {
				if seen := at.seen(); len(seen) < 2 {
					t.Errorf("the %s is asked by %q alone", name, seen)
				}
			}
		})
	}
}

// TestARoleThatIsRefusedIsTold has STS refuse each role in turn: the run ends before it reads anything.
func TestARoleThatIsRefusedIsTold(t *testing.T) {
	t.Parallel()
	e := newEnds(t, time.Hour)
	for role, begins := range map[string]string{"reader": "kvsframes: assume role ", "writer": "kvsframes: open sink written: ", "keeper": "kvsframes: checkpoint: "} {
		e.sts.refuse(func(arn string, _ int) (int, string) {
			if strings.HasSuffix(arn, "/"+role) {
				return http.StatusForbidden, "AccessDenied"
			}
			return 0, ""
		})
		code, said := e.run(t)
		if want := "assume role " + roleARN + role; code != exitFailed || !strings.HasPrefix(said, begins) || !strings.Contains(said, want) || !strings.Contains(said, "AccessDenied: not for you") || strings.Contains(said, "operation error") {
			t.Errorf("%s: code %d, said %s", role, code, said)
		}
	}
}

func TestAProfileThatIsNotThereIsAWrongSetting(t *testing.T) {
	t.Parallel()
	e := newEnds(t, time.Hour)
	for key, want := range map[string]string{
		"source.profile": "source.profile", "sinks.plain.destination.profile": "sinks[0].destination.profile", "checkpoint.profile": "checkpoint.profile",
	} {
		if code, said := e.run(t, "--set", key+"=nobody"); code != exitConfig || !strings.HasPrefix(said, "--set "+key+": "+want+": load AWS configuration: ") || !strings.Contains(said, "nobody") {
			t.Errorf("%s: code %d, said %s", key, code, said)
		}
	}
}
