package kvsframes

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// dashboard is the part of deploy/grafana.json that queries.
type dashboard struct {
	Panels []struct {
		Title   string
		Targets []struct{ Expr string }
	}
}

// queries returns the expressions of the dashboard, for all instances.
func queries(t *testing.T) (all []string) {
	t.Helper()
	data, err := os.ReadFile("deploy/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all = append(all, strings.ReplaceAll(target.Expr, "$instance", ".*"))
		}
	}
	if len(all) < 15 {
		t.Fatalf("%d queries", len(all))
	}
	return all
}

// prometheus starts a real Prometheus that scrapes an address with the alerts of deploy/, and returns its URL.
func prometheus(t *testing.T, scrape string) (address string) {
	t.Helper()
	rules, err := filepath.Abs("deploy/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	settings := filepath.Join(folder, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 200ms, evaluation_interval: 200ms}\nrule_files: [%q]\nscrape_configs: [{job_name: kvsframes, static_configs: [{targets: [%q]}]}]\n", rules, scrape)
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "promtool", "check", "config", settings).CombinedOutput(); err != nil {
		t.Fatalf("promtool: %v\n%s", err, out)
	}
	free := httptest.NewServer(nil)
	address = free.Listener.Addr().String()
	free.Close()
	cmd := exec.CommandContext(t.Context(), "prometheus", "--config.file="+settings, "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+address)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Log(said.String())
		}
	})
	return "http://" + address
}

// ask asks the Prometheus for the number of series of a query; ok is false while it does not answer.
func ask(t *testing.T, server, query string) (series int, ok bool) {
	t.Helper()
	resp, err := http.Get(server + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return 0, false
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return 0, false
	}
	if answer.Error != "" {
		t.Fatalf("%s: %s", query, answer.Error)
	}
	return len(answer.Data.Result), answer.Status == "success"
}

// A real Prometheus scrapes a run, loads the alerts, and answers each query of the dashboard.
func TestPrometheusReadsTheMetrics(t *testing.T) {
	text := "source: {type: file, paths: [testdata/demo.mkv]}\ncheckpoint: {type: file, path: '" + t.TempDir() + "/{stream}.json'}\n" +
		"sinks: [{name: thumbs, sample: {type: keyframes}, filters: {black: {amount: 98}}, destination: {directory: " + t.TempDir() + "}}]\n"
	p := loadText(t, text)
	run, err := p.NewRun(RunOptions{Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, page := get(t, run.Handler(), "/metrics")
	served := httptest.NewServer(run.Handler())
	defer served.Close()
	server := prometheus(t, served.Listener.Addr().String())
	for series := 0; series == 0; time.Sleep(50 * time.Millisecond) {
		series, _ = ask(t, server, `rate(kvsframes_source_bytes_total[1m])`) // after two scrapes
	}
	// These have a value only while a stream is read, or with a sink that is in trouble.
	onlyWhile := []string{"kvsframes_source_lag_seconds", "kvsframes_source_outage_seconds", "kvsframes_checkpoint_age_seconds", "kvsframes_queue_bytes"}
	for _, query := range queries(t) {
		series, ok := ask(t, server, query)
		name := regexp.MustCompile(`kvsframes_\w+`).FindString(query)
		if !ok || series == 0 && !slices.Contains(onlyWhile, name) {
			t.Errorf("no answer to %s", query)
		}
	}
	rules, err := os.ReadFile("deploy/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`kvsframes_\w+`).FindAllString(string(rules)+strings.Join(queries(t), "\n"), -1) {
		if !strings.Contains(page, "# TYPE "+regexp.MustCompile(`_(sum|bucket)$`).ReplaceAllString(name, "")+" ") {
			t.Errorf("there is no metric %s", name)
		}
	}
	if firing, ok := ask(t, server, `ALERTS{alertstate="firing"}`); !ok || firing != 0 {
		t.Errorf("%d alerts of a run without trouble", firing)
	}
	if out, err := exec.CommandContext(t.Context(), "promtool", "test", "rules", "testdata/alerts_test.yaml").CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
	lint := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	lint.Stdin = strings.NewReader(page)
	if out, err := lint.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

func TestProfilesAreServedOnRequestAlone(t *testing.T) {
	for pprof, want := range map[string]int{"false": http.StatusNotFound, "true": http.StatusOK} {
		text := "source: {type: file, paths: [testdata/demo.mkv]}\nservice: {pprof: " + pprof + "}\nsinks: [{name: thumbs, destination: {directory: " + t.TempDir() + "}}]\n"
		p := loadText(t, text)
		run, err := p.NewRun(RunOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1"} {
			if code, _ := get(t, run.Handler(), path); code != want {
				t.Errorf("pprof %s: %s gives %d", pprof, path, code)
			}
		}
	}
}

func TestGapsAreCountedByReason(t *testing.T) {
	whole, err := os.ReadFile("testdata/demo.mkv")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	cut := filepath.Join(folder, "cut.mkv")
	if err := os.WriteFile(cut, whole[:len(whole)-1000], 0o600); err != nil {
		t.Fatal(err)
	}
	text := "source: {type: file, paths: [" + cut + "]}\nsinks: [{name: all, sample: {type: all}, resize: {width: 64}, destination: {directory: " + t.TempDir() + "}}]\n"
	p := loadText(t, text)
	run, err := p.NewRun(RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, page := get(t, run.Handler(), "/metrics")
	total := 0.0
	for _, m := range metricsOf(t, page)["kvsframes_gaps_total"].GetMetric() {
		total += m.GetCounter().GetValue()
	}
	if n := value(t, metricsOf(t, page), "kvsframes_gaps_total", "stream", "cut", "reason", "cut"); n < 1 || total != float64(run.Summary().Streams["cut"].Gaps) {
		t.Errorf("%v gaps of cut fragments, %v of all:\n%s", n, total, page)
	}
}
