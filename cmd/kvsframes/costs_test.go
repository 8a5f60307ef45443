package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/kvstest"
)

// pricedSinks are sinks of which GetImages can replace the first two.
const pricedSinks = `sinks:
  - {name: second, sample: {type: interval, interval: 1s}, destination: {type: s3, bucket: images}}
  - {name: stamps, sample: {type: timestamps, at: [2026-01-01T12:00:02Z, 2026-01-01T12:00:04.5Z]}, path: "s/{stream}/{fragment_number}_{frame_index}.{ext}", manifest: {format: none}, destination: {type: s3, bucket: images, storage_class: STANDARD_IA}}
  - {name: keys, sample: {type: keyframes}, path: "k/{stream}/{fragment_number}_{frame_index}.{ext}", manifest: {format: none}, destination: {type: s3, bucket: images}}
  - {name: fast, sample: {type: interval, fps: 6}, path: "f/{stream}/{fragment_number}_{frame_index}.{ext}", manifest: {format: none}, destination: {directory: out}}
  - {name: sharp, sample: {type: interval, interval: 1s}, filters: {blur: {max: 6}}, path: "b/{stream}/{fragment_number}_{frame_index}.{ext}", manifest: {format: none}, destination: {directory: out}}
  - {name: raws, type: raw, sample: {type: interval, interval: 1s}, path: "r/{stream}/{fragment_number}_{frame_index}.{ext}", manifest: {format: none}, destination: {directory: out}}
`

// pricedPlan runs plan on the demo in a stream of a tier; "" denies the question for it.
func pricedPlan(t *testing.T, tier string, args ...string) string {
	t.Helper()
	awsEnvironment(t)
	e := kvstest.New(t, kvstest.Options{})
	if err := e.AddFile("cam", demo); err != nil {
		t.Fatal(err)
	}
	var err error
	if tier == "" {
		err = e.SetFaults([]kvstest.Fault{{Kind: kvstest.FaultHTTP, Op: "DescribeStreamStorageConfiguration", Status: http.StatusForbidden, Code: "AccessDeniedException", Every: 1}})
	} else {
		err = e.SetStorageTier("cam", tier)
	}
	if err != nil {
		t.Fatal(err)
	}
	file := settings(t, "source: {streams: [cam], mode: archive, start_selector: {type: EARLIEST}}\n"+pricedSinks)
	p, stdout, stderr := newProgram(nil)
	if code := p.execute(append([]string{"plan", file, "--set", "source.endpoint_url=" + e.URL()}, args...)); code != exitDone {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
	return stdout.String()
}

// jsonOf returns a value as JSON.
func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPlanPricesAStream(t *testing.T) {
	hot := 0.00000418 // 491,783 bytes at 0.0085 US$ a GB
	for _, test := range []struct {
		name, tier string
		args       []string
		told       string
		cost       *float64
		notes      int
	}{
		{name: "hot", tier: "HOT", told: `"HOT"`, cost: &hot, notes: 5},
		{name: "warm", tier: "WARM", told: `"WARM"`, notes: 6},
		{name: "warm with a price", tier: "WARM", args: []string{"--price-per-gb", "0"}, told: `"WARM"`, cost: new(0.0), notes: 5},
		{name: "denied", told: "null", cost: &hot, notes: 6},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got kvsframes.Plan
			if err := json.Unmarshal([]byte(pricedPlan(t, test.tier, append(test.args, "--json")...)), &got); err != nil {
				t.Fatal(err)
			}
			for name, sp := range map[string]*kvsframes.StreamPlan{"cam": got.Streams["cam"], "total": got.Totals} {
				if name == "cam" && jsonOf(t, sp.Tier) != test.told {
					t.Errorf("tier %s, want %s", jsonOf(t, sp.Tier), test.told)
				}
				if (sp.Cost == nil) != (test.cost == nil) || sp.Cost != nil && math.Abs(*sp.Cost-*test.cost) > 1e-12 {
					t.Errorf("%s costs %s, want %s", name, jsonOf(t, sp.Cost), jsonOf(t, test.cost))
				}
				for sink, want := range map[string]string{
					"second": `0.000105 {"images":14,"calls":1,"at_least_s":0.0414}`, // 14 images and 7 parts; 414 points of 10,000 a second
					"stamps": `null {"images":2,"calls":2,"at_least_s":0.0802}`,
					"keys":   `0.000035 {"cannot":"it samples by interval alone","images":null,"calls":null,"at_least_s":null}`,
					"fast":   `null {"cannot":"it makes at most 5 images a second","images":null,"calls":null,"at_least_s":null}`,
					"sharp":  `null {"cannot":"it does not look at pixels","images":null,"calls":null,"at_least_s":null}`,
					"raws":   `null {"cannot":"it makes only JPEG and PNG","images":null,"calls":null,"at_least_s":null}`,
				} {
					if s := sp.Sinks[sink]; jsonOf(t, s.Put)+" "+jsonOf(t, s.GetImages) != want {
						t.Errorf("%s: sink %s: got  %s %s\nwant %s", name, sink, jsonOf(t, s.Put), jsonOf(t, s.GetImages), want)
					}
				}
			}
			if got.Prices != kvsframes.ListPrices() || len(got.Notes) != test.notes {
				t.Errorf("prices %+v, notes %q; want %d notes", got.Prices, got.Notes, test.notes)
			}
		})
	}
}

func TestPlanOfPricesFitsATerminal(t *testing.T) {
	for tier, wants := range map[string][]string{
		"HOT": {
			"  storage tier      HOT\n", "  price of reading  less than 0.01 US$\n", "    S3 PUT          less than 0.01 US$\n",
			"    GetImages       about 14 images in at least 1 calls, less than 1s\n", "    GetImages       cannot: it samples by interval alone\n",
			"note: prices are US$ list prices of us-east-1: KVS 2026-11-28, S3 2025-10-28\n",
		},
		"WARM": {"  storage tier      WARM\n", "  price of reading  unknown\n", "note: the price of reading the warm tier is unknown: give --price-per-gb\n"},
		"":     {"  storage tier      unknown\n", "note: where the storage tier is unknown, the price of reading is the hot one\n"},
	} {
		text := pricedPlan(t, tier)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("tier %q: lacks %q:\n%s", tier, want, text)
			}
		}
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
	}
}

func TestTheTotalLacksNoStream(t *testing.T) {
	awsEnvironment(t)
	e := kvstest.New(t, kvstest.Options{})
	for _, name := range []string{"cold", "hot"} {
		if err := e.AddFile(name, demo); err != nil {
			t.Fatal(err)
		}
	}
	file := settings(t, "source: {streams: [cold, hot], mode: archive, start_selector: {type: EARLIEST}}\n"+pricedSinks)
	total := func() string {
		t.Helper()
		p, stdout, stderr := newProgram(nil)
		if code := p.execute([]string{"plan", file, "--set", "source.endpoint_url=" + e.URL()}); code != exitDone {
			t.Fatalf("code %d:\n%s", code, stderr)
		}
		_, text, _ := strings.Cut(stdout.String(), "\ntotal\n")
		return text
	}
	if text := total(); !strings.Contains(text, "  price of reading  less than 0.01 US$\n") || !strings.Contains(text, "about 28 images in at least 2 calls, less than 1s\n") {
		t.Errorf("two hot streams:\n%s", text)
	}
	if err := e.SetStorageTier("cold", "WARM"); err != nil {
		t.Fatal(err)
	}
	if text := total(); !strings.Contains(text, "  price of reading  unknown\n") {
		t.Errorf("a warm and a hot stream:\n%s", text)
	}
}

// TestTheExamplesOfCosts computes the figures of docs/costs.md.
func TestTheExamplesOfCosts(t *testing.T) {
	data, err := os.ReadFile("../../docs/costs.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	p := kvsframes.ListPrices()
	const day = 86_400.0
	gb := 2e6 / 8 * day / 1e9 // a camera of 2 Mbit/s for a day
	images := day             // one a second
	parts := day / 2          // one for each fragment of 2 s
	calls := max(day/300, images/100)
	for _, want := range []string{
		fmt.Sprintf("| Reading from the hot tier of KVS | %v a GB | [KVS](%s) | %s |\n", p.Read, p.KVSPage, p.KVSDate),
		fmt.Sprintf("| PUT requests to S3 Standard | %v for 1000 | [S3](%s) | %s |\n", p.Put, p.S3Page, p.S3Date),
		fmt.Sprintf("| Storing in S3 Standard | %v a GB and month | [S3](%s) | %s |\n", p.Storage, p.S3Page, p.S3Date),
		fmt.Sprintf("| Reading | %.1f GB | %.2f |\n", gb, gb*p.Read),
		fmt.Sprintf("| PUT, a part of the manifest for each fragment | %.0f | %.2f |\n", images+parts, (images+parts)/1000*p.Put),
		fmt.Sprintf("| PUT, `manifest.format: none` | %.0f | %.2f |\n", images, images/1000*p.Put),
		fmt.Sprintf("| A month of S3, if an image has 50 kB | %.2f GB | %.2f |\n", images*50e3/1e9, images*50e3/1e9*p.Storage),
		fmt.Sprintf("GetImages needs %.0f calls for the same images, and %.0f s or more", calls, max(images/500, (calls*400+images)/10_000)),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q", want)
		}
	}
}
