package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthAsksTheRun(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "in trouble", http.StatusServiceUnavailable)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	_, port, _ := strings.Cut(address, ":")
	for _, c := range []struct {
		name    string
		environ string
		args    []string
		code    int
		said    string
	}{
		{"a run that answers", "", []string{server.URL}, exitDone, ""},
		{"with a slash", "", []string{server.URL + "/"}, exitDone, ""},
		{"not ready", "", []string{server.URL + "/readyz"}, exitFailed, "answers 503 Service Unavailable"},
		{"nobody", "", []string{gone.URL}, exitFailed, "connection refused"},
		{"the address of the environment", "KVSFRAMES_SERVICE_HTTP=" + address, nil, exitDone, ""},
		{"all addresses", "KVSFRAMES_SERVICE_HTTP=:" + port, nil, exitDone, ""},
		{"no URL", "", []string{"here"}, exitUsage, "is not a URL such as"},
		{"no settings", "", nil, exitUsage, "no URL is named, and the settings do not tell it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			p, _, stderr := newProgram(nil, c.environ)
			if code := p.execute(append([]string{"health"}, c.args...)); code != c.code || !strings.Contains(stderr.String(), c.said) || c.said == "" && stderr.Len() > 0 {
				t.Errorf("code %d: %s", code, stderr)
			}
		})
	}
}

func TestHealthFindsTheAddressInTheSettings(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	file := settings(t, "source: {streams: [cam]}\nsinks: [{name: a}]\nservice: {http: '"+strings.TrimPrefix(server.URL, "http://")+"'}\n")
	t.Chdir(strings.TrimSuffix(file, "/pipeline.yaml"))
	p, _, stderr := newProgram(nil)
	if code := p.execute([]string{"health"}); code != exitDone {
		t.Errorf("code %d: %s", code, stderr)
	}
}
