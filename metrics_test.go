package kvsframes

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/source"
)

// get returns the status and the text of a page.
func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

// metricsOf reads metrics as Prometheus does.
func metricsOf(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return families
}

// value returns the value of the sample with these labels.
func value(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	for _, m := range families[name].GetMetric() {
		var have []string
		for _, l := range m.GetLabel() {
			have = append(have, l.GetName(), l.GetValue())
		}
		if strings.Join(have, "|") == strings.Join(labels, "|") {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Errorf("there is no %s with %q", name, labels)
	return -1
}

// checkDescriptions compares what is served of a run with sinks and streams with the table of metrics.
func checkDescriptions(t *testing.T, families map[string]*dto.MetricFamily) {
	t.Helper()
	for name := range families {
		if !slices.ContainsFunc(metrics, func(m metric) bool { return "kvsframes_"+m.name == name }) {
			t.Errorf("%s is served and not described", name)
		}
	}
	for _, described := range metrics {
		family := families["kvsframes_"+described.name]
		if family == nil {
			t.Errorf("%s is described and not served", described.name)
			continue
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName())
			}
			if m.GetHistogram() != nil { // whose only label is that of its buckets
				labels = append(labels, "le")
			}
			if got := strings.Join(labels, ", "); got != described.labels || !strings.EqualFold(family.GetType().String(), described.kind) {
				t.Errorf("%s is a %s with the labels %q, and described as a %s with %q", described.name, family.GetType(), got, described.kind, described.labels)
			}
		}
	}
}

// TestARunServesMetricsHealthAndReadiness runs the demo's stream, and asks over HTTP while it waits for more.
func TestARunServesMetricsHealthAndReadiness(t *testing.T) {
	server := kvstest.New(t, kvstest.Options{})
	if err := server.AddFile("cam", "testdata/demo.mkv"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_REGION", "us-east-1")
	free := httptest.NewServer(nil)
	address := free.Listener.Addr().String()
	free.Close()
	text := "source: {streams: [cam], start_selector: {type: EARLIEST}, endpoint_url: " + server.URL() + "}\nservice: {http: " + address + "}\n" +
		"checkpoint: {type: file, path: '" + t.TempDir() + "/{stream}.json'}\n" +
		"sinks: [{name: thumbs, sample: {type: keyframes}, filters: {black: {amount: 98}}, destination: {directory: " + t.TempDir() + "}}]\n"
	p := loadText(t, text)
	drain := make(chan struct{})
	run, err := p.NewRun(RunOptions{Drain: drain, Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	if code, why := get(t, run.Handler(), "/readyz"); code != http.StatusServiceUnavailable || why != "no stream is open yet\n" {
		t.Errorf("before the start: %d %q", code, why)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := run.Do(t.Context())
		ended <- err
	}()
	for run.Meter().Fragments.Load() < 7 {
		time.Sleep(time.Millisecond) // until all of it is delivered
	}
	page := func(path string) (int, string) {
		resp, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, said := page(path); code != http.StatusOK || said != "ok\n" {
			t.Errorf("%s: %d %q", path, code, said)
		}
	}
	if code, _ := page("/secret"); code != http.StatusNotFound {
		t.Errorf("another path gives %d", code)
	}
	code, body := page("/metrics")
	m := metricsOf(t, body)
	checkDescriptions(t, m)
	if n := value(t, m, "kvsframes_goroutines"); n < 5 {
		t.Errorf("%v goroutines", n)
	}
	if n := value(t, m, "kvsframes_decode_objects"); n < 0 {
		t.Errorf("%v objects of libav", n)
	}
	for name, want := range map[string]float64{
		"kvsframes_source_fragments_total": 7, "kvsframes_decode_frames_total": 7, "kvsframes_source_outage_seconds": 0, "kvsframes_source_lag_seconds": 0,
	} {
		if got := value(t, m, name, "stream", "cam"); got != want || code != http.StatusOK {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if got := value(t, m, "kvsframes_sink_frames_total", "stream", "cam", "sink", "thumbs", "result", "written"); got != 7 {
		t.Errorf("%v images", got)
	}
	if n := value(t, m, "kvsframes_gaps_total", "stream", "cam", "reason", "damaged"); n != 0 {
		t.Errorf("%v gaps", n)
	}
	if n := value(t, m, "kvsframes_decode_restarts_total", "reason", "fragment"); n != 0 {
		t.Errorf("%v restarts", n)
	}
	for _, stage := range []string{"decode", "sink"} {
		used, limit := value(t, m, "kvsframes_queue_bytes", "stream", "cam", "stage", stage), value(t, m, "kvsframes_queue_limit_bytes", "stream", "cam", "stage", stage)
		if used != 0 || limit < 1<<20 {
			t.Errorf("%v of %v bytes are in the queue before %s, of a stream of which all is delivered", used, limit, stage)
		}
	}
	if n := value(t, m, "kvsframes_decode_memory_limit_bytes"); n != 1<<30 {
		t.Errorf("%v bytes for decoders", n)
	}
	if age := value(t, m, "kvsframes_checkpoint_age_seconds", "stream", "cam"); age < 0 || age > 60 {
		t.Errorf("the checkpoint is %v s old", age)
	}
	if value(t, m, "kvsframes_decode_isolation", "layer", "process") != one(runtime.GOOS == "linux") {
		t.Error("the decoders are not isolated")
	}
	if value(t, m, "kvsframes_sink_objects_total", "sink", "thumbs") != 14 || value(t, m, "kvsframes_build_info", "version", "v1") != 1 || value(t, m, "kvsframes_source_bytes_total", "stream", "cam") < 1000 {
		t.Errorf("metrics:\n%s", body)
	}
	close(drain)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := http.Get("http://" + address + "/healthz"); err == nil {
		t.Error("it is served after the end")
	}
}

// Each filter that is on has a counter from the start, and the time of each image that a sink wrote is in one bucket.
func TestWhatFiltersLeaveOutAndHowLongWritesTakeIsCounted(t *testing.T) {
	text := "source: {type: file, paths: [testdata/demo.mkv]}\nsinks:\n"
	for name, filters := range map[string]string{"all": "{}", "dark": "{black: {amount: 0}, blur: {max: 0}}", "one": "{duplicate: {distance: 64}, blur: {max: 1000}}"} {
		text += "- {name: " + name + ", sample: {type: keyframes}, resize: {width: 32}, filters: " + filters + ", destination: {directory: " + t.TempDir() + "}}\n"
	}
	run, err := loadText(t, text).NewRun(RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, page := get(t, run.Handler(), "/metrics")
	m := metricsOf(t, page)
	for of, want := range map[[2]string]float64{{"dark", "black"}: 7, {"dark", "blur"}: 0, {"one", "duplicate"}: 6, {"one", "blur"}: 0} {
		if got := value(t, m, "kvsframes_filtered_frames_total", "sink", of[0], "filter", of[1]); got != want {
			t.Errorf("%v: %v left out, want %v", of, got, want)
		}
	}
	if n := len(m["kvsframes_filtered_frames_total"].GetMetric()); n != 4 {
		t.Errorf("%d counters of filters", n)
	}
	writes := map[string]uint64{}
	for _, h := range m["kvsframes_sink_write_seconds"].GetMetric() {
		writes[h.GetLabel()[0].GetValue()] = h.GetHistogram().GetSampleCount()
		if b := h.GetHistogram().GetBucket(); len(b) != len(writeBounds)+1 || (h.GetHistogram().GetSampleSum() > 0) != (b[len(b)-1].GetCumulativeCount() > 0) {
			t.Errorf("%v", h)
		}
	}
	if want := map[string]uint64{"all": 7, "dark": 0, "one": 1}; !maps.Equal(writes, want) {
		t.Errorf("%v writes, want %v", writes, want)
	}
}

func TestARunInTroubleIsNotReady(t *testing.T) {
	run := &Run{journal: &journal{end: Summary{Status: pipeline.StatusRunning}, streams: map[string]*pipeline.Account{"a\"b\\\n\xff": pipeline.NewAccount("thumbs")}}}
	if code, why := get(t, run.Handler(), "/readyz"); code != http.StatusOK {
		t.Errorf("%d %q", code, why)
	}
	since := time.Now().Add(-time.Minute)
	done := run.outages.watch("a\"b\\\n\xff", &unreachable{reach: source.Reach{Since: since, Err: errors.New("no route")}})
	if code, why := get(t, run.Handler(), "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(why, "out of reach for 1m0s: no route") {
		t.Errorf("%d %q", code, why)
	}
	_, text := get(t, run.Handler(), "/metrics")
	if got := value(t, metricsOf(t, text), "kvsframes_source_outage_seconds", "stream", "a\"b\\\n?"); got < 60 || got > 120 {
		t.Errorf("the outage lasts for %v s", got)
	}
	done()
	run.journal.streams["a\"b\\\n\xff"].End(pipeline.StatusFailed, errors.New("broken"))
	if code, why := get(t, run.Handler(), "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(why, "failed: broken") {
		t.Errorf("%d %q", code, why)
	}
}

func TestAnAddressThatIsTakenEndsTheRun(t *testing.T) {
	taken := httptest.NewServer(nil)
	defer taken.Close()
	text := "source: {type: file, paths: [" + filepath.Join(workingDirectory(t), "testdata/demo.mkv") + "]}\nservice: {http: " + taken.Listener.Addr().String() + "}\n" +
		"sinks: [{name: a, destination: {directory: " + t.TempDir() + "}}]\n"
	p := loadText(t, text)
	if s, err := p.Run(t.Context(), RunOptions{}); err == nil || !strings.HasPrefix(err.Error(), "service.http: listen tcp") || s.ExitCode != 1 {
		t.Errorf("error %v, summary %+v", err, s)
	}
}

func workingDirectory(t *testing.T) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return folder
}
