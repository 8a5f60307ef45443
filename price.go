package kvsframes

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/pick"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/sink/s3"
	"github.com/kvsframes/kvsframes/source/kvs"
)

// Prices are list prices in US dollars, without taxes, discounts and free tiers.
type Prices struct {
	Region string `json:"region" doc:"the region of the prices"`
	// Read is what GetMedia and GetMediaForFragmentList cost. The price for media in the warm tier is not known.
	Read    float64 `json:"read_per_gb_usd" doc:"reading 10^9 bytes from the hot tier of KVS"`
	KVSDate string  `json:"kvs_date" doc:"when the price of KVS was looked up"`
	KVSPage string  `json:"kvs_page" doc:"the page of the price of KVS"`
	Put     float64 `json:"put_per_1000_usd" doc:"1000 PUT requests to S3 Standard"`
	Storage float64 `json:"storage_per_gb_month_usd" doc:"storing 10^9 bytes in S3 Standard for a month"`
	S3Date  string  `json:"s3_date" doc:"the day of the price of storage; that of PUT requests is not known"`
	S3Page  string  `json:"s3_page" doc:"the page of the prices of S3"`
}

// ListPrices returns the prices by which Plan estimates.
func ListPrices() Prices {
	return Prices{
		Region: "us-east-1",
		// The examples of the page have it; the copy that was read has no date.
		Read: 0.0085, KVSDate: "2026-11-28", KVSPage: "https://aws.amazon.com/kinesis/video-streams/pricing/",
		// As others have published them: storage, which is that of the first 50 TB, with this date, and PUT requests without one.
		Put: 0.005, Storage: 0.023, S3Date: "2025-10-28", S3Page: "https://aws.amazon.com/s3/pricing/",
	}
}

// The limits of GetImages (API Reference, GetImages), and the points a second of one stream that it shares with other calls
// (Developer Guide, Quotas).
const (
	imageDistance  = 200 * time.Millisecond // the shortest sampling interval
	imageRange     = 300 * time.Second      // the longest time range of a call
	imagesPerCall  = 100
	imagePoints    = 500 // of media, one for each image
	metadataPoints = 10_000
	callPoints     = 400 // of metadata for each call, and one more for each image
)

// GetImagesPlan is what GetImages of KVS would need for the images of a sink.
type GetImagesPlan struct {
	Cannot string `json:"cannot,omitempty" doc:"why it cannot make them; absent if it can"`
	// Images are the images that AWS would bill.
	Images  *int64   `json:"images" doc:"the images that AWS would bill; null when unknown, or where it cannot make them"`
	Calls   *int64   `json:"calls" doc:"the smallest number of calls; null likewise"`
	Seconds *float64 `json:"at_least_s" doc:"the shortest time that the quotas of a stream allow, in seconds, for totals that of the slowest stream; null likewise"`
}

// getImagesFor returns the plan for a sink before anything is counted.
func getImagesFor(s config.Sink) *GetImagesPlan {
	g := &GetImagesPlan{}
	rule := s.Sample.Rule
	interval, isInterval := rule.(plan.Interval)
	_, isTimes := rule.(plan.Timestamps)
	_, isImage := s.Form.(decode.ImageForm)
	switch {
	case !isInterval && !isTimes:
		g.Cannot = "it samples by interval alone"
	case isInterval && distanceOf(interval) < imageDistance:
		g.Cannot = "it makes at most 5 images a second"
	case pick.NeedsOf(s.Sample, s.Filters).Any():
		g.Cannot = "it does not look at pixels"
	case !isImage:
		g.Cannot = "it makes only JPEG and PNG"
	}
	return g
}

// distanceOf returns the distance of the points of a grid, rounded up.
func distanceOf(rule plan.Interval) time.Duration {
	if r := rule.Rate; r != (plan.Rate{}) {
		return time.Duration((int64(time.Second)*r.Den + r.Num - 1) / r.Num)
	}
	return rule.Every
}

// count sets the numbers for so many images of media of this length.
func (g *GetImagesPlan) count(images *int64, length time.Duration, single bool) {
	if g.Cannot != "" || images == nil {
		return
	}
	calls := *images
	if !single {
		calls = max((calls+imagesPerCall-1)/imagesPerCall, int64((length+imageRange-1)/imageRange))
	}
	n, points := float64(*images), float64(calls*callPoints+*images)
	seconds := max(n/imagePoints, points/metadataPoints)
	images = new(*images)
	g.Images, g.Calls, g.Seconds = images, &calls, &seconds
}

// sum adds the plan of a stream to that of all.
func (g *GetImagesPlan) sum(other *GetImagesPlan) *GetImagesPlan {
	if g == nil || other.Images == nil {
		return other
	}
	if g.Images == nil {
		return g
	}
	images, calls, seconds := *g.Images+*other.Images, *g.Calls+*other.Calls, max(*g.Seconds, *other.Seconds)
	return &GetImagesPlan{Images: &images, Calls: &calls, Seconds: &seconds}
}

// price sets the prices of a stream whose fragments and images are counted. A nil perGB is the list price.
func (sp *StreamPlan) price(perGB *float64, c *config.Config) {
	if perGB == nil && (sp.Tier == nil || *sp.Tier != tierWarm) {
		perGB = new(ListPrices().Read)
	}
	if perGB != nil {
		sp.Cost = amount(float64(sp.Bytes) / 1e9 * *perGB)
	}
	for _, s := range c.Sinks {
		_, single := s.Sample.Rule.(plan.Timestamps)
		g := getImagesFor(s)
		g.count(sp.Sinks[s.Name].Images, sp.media, single)
		sp.Sinks[s.Name].GetImages = g
	}
}

// amount rounds an amount, so that JSON does not show the errors of floating point.
func amount(usd float64) *float64 { return new(math.Round(usd*1e9) / 1e9) }

// pricePuts sets the prices of what is written to S3.
func (sp *StreamPlan) pricePuts(c *config.Config) {
	for _, s := range c.Sinks {
		if n := sp.Sinks[s.Name].Objects; n != nil && standard(s) {
			sp.Sinks[s.Name].Put = amount(float64(*n) * ListPrices().Put / 1000)
		}
	}
}

// standard reports whether a sink writes to S3 Standard.
func standard(s config.Sink) bool {
	to, ok := s.Destination.Location.(s3.Config)
	return ok && (to.StorageClass == "" || to.StorageClass == "STANDARD")
}

const tierWarm = "WARM"

// askTier asks for the storage tier of a stream, which stays unknown if KVS does not tell.
func (sp *StreamPlan) askTier(ctx context.Context, cfg kvs.Config) {
	if tier, err := kvs.StorageTier(ctx, cfg); err == nil && tier != "" {
		sp.Tier = &tier
	}
}

// priceNotes returns what must be known about the prices of a plan.
func priceNotes(c *config.Config, plans []*StreamPlan) (notes []string) {
	p := ListPrices()
	_, isKVS := c.Source.KVS()
	inS3 := false
	for _, s := range c.Sinks {
		inS3 = inS3 || standard(s)
	}
	if isKVS || inS3 {
		notes = append(notes, "prices are US$ list prices of "+p.Region+": KVS "+p.KVSDate+", S3 "+p.S3Date)
	}
	if inS3 {
		notes = append(notes, fmt.Sprintf("S3 storage costs %v US$ a GB and month; the size of images is unknown", p.Storage))
	}
	if !isKVS {
		return notes
	}
	notes = append(
		notes,
		"KVS bills bytes, not calls: ListFragments has no price of its own",
		"GetImages is billed by the image and its size; that price is unknown",
	)
	unknown, warm := false, false
	for _, sp := range plans {
		unknown = unknown || sp.Tier == nil
		warm = warm || sp.Cost == nil
	}
	if unknown {
		notes = append(notes, "where the storage tier is unknown, the price of reading is the hot one")
	}
	if warm {
		notes = append(notes, "the price of reading the warm tier is unknown: give --price-per-gb")
	}
	return notes
}
