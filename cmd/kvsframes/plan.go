package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/decode/plan"
)

// planFlags are the flags of the plan command.
type planFlags struct {
	set   []string
	json  bool
	price float64
	// priced is the price if it was given.
	priced *float64
	rate   rateFlag
}

// rateFlag is a flag for a frame rate.
type rateFlag struct{ plan.Rate }

func (f *rateFlag) Set(text string) error { return f.UnmarshalText([]byte(text)) }
func (f *rateFlag) Type() string          { return "RATE" }

// String returns "" for no rate.
func (f *rateFlag) String() string {
	if f.Rate == (plan.Rate{}) {
		return ""
	}
	return f.Rate.String()
}

func (p *program) newPlanCommand() *cobra.Command {
	flags := planFlags{}
	cmd := &cobra.Command{
		Use:   "plan [pipeline.yaml]",
		Short: "Shows what a run would read and write",
		Long: `Shows what a run with these settings would read and write: fragments, hours of
media, bytes, images and objects. It writes nothing and opens no sink.

For streams (source.mode archive, or auto up to now) the fragments are listed
and no media is read, so that numbers of images are estimates: intervals and
requested times are counted from the times of the fragments, each fragment is
assumed to have one key frame, and the other samplers need --fps-of-source.

Prices are also estimates, from list prices of us-east-1 in US dollars: of
reading the bytes of the fragments, 10^9 bytes a GB, and of the PUT requests of
S3 for images and parts of the manifest, not for the ledger. KVS is asked for
the storage tier, if kinesisvideo:DescribeStreamStorageConfiguration permits it.
GetImages is what that call of KVS would need for the same images: calls, and
the time that the quotas of a stream allow at least.

Files are read and planned as a run plans them, without decoding: the numbers
are those of a run in which every picture can be decoded. Live streams have no
end to plan for. The limits of source.end apply, except idle_timeout.`,
		Args: checkArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !(flags.price >= 0) {
				return usage(errors.New("--price-per-gb must not be negative"))
			}
			if cmd.Flags().Changed("price-per-gb") {
				flags.priced = &flags.price
			}
			return p.runPlan(cmd.Context(), fileOf(args), flags)
		},
	}
	addSet(cmd, &flags.set)
	f := cmd.Flags()
	f.BoolVar(&flags.json, "json", false, "print one JSON document")
	f.Float64Var(&flags.price, "price-per-gb", kvsframes.ListPrices().Read, "price per GB read from KVS, in US dollars")
	f.Var(&flags.rate, "fps-of-source", "frames per second of the archived video, such as 25 or 30000/1001")
	return cmd
}

func (p *program) runPlan(ctx context.Context, file string, flags planFlags) error {
	pipe, err := p.load(ctx, kvsframes.LoadOptions{Path: file, Set: flags.set})
	if err != nil {
		return err
	}
	_, draining, stop := p.watch(ctx)
	defer stop()
	doc, err := pipe.Plan(draining, kvsframes.PlanOptions{PricePerGB: flags.priced, Rate: flags.rate.Rate, Log: p.toolLogger(slog.LevelWarn)})
	switch {
	case errors.Is(err, kvsframes.ErrLive):
		return usage(err)
	case err != nil && interrupted(draining):
		return &exitError{code: exitInterrupted, err: errDraining}
	case err != nil:
		return err
	}
	if flags.json {
		err = p.printJSON(doc)
	} else {
		err = printPlan(cleanWriter{p.stdout}, doc)
	}
	if err != nil {
		return fmt.Errorf("print plan: %w", err)
	}
	return nil
}

// printPlan writes the plan as a table.
func printPlan(w io.Writer, d *kvsframes.Plan) error {
	var out strings.Builder
	// Each stream of KVS has a price or a tier, and files have neither.
	ofKVS := slices.ContainsFunc(d.Order, func(name string) bool { return d.Streams[name].Cost != nil || d.Streams[name].Tier != nil })
	for _, name := range d.Order {
		tier := ""
		if ofKVS {
			tier = tierOf(d.Streams[name].Tier)
		}
		printStreamPlan(&out, name, d.Streams[name], d.SinkOrder, ofKVS, tier)
	}
	if len(d.Order) != 1 {
		printStreamPlan(&out, "total", d.Totals, d.SinkOrder, ofKVS, "")
	}
	for _, note := range d.Notes {
		fmt.Fprintf(&out, "note: %s\n", note)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// printStreamPlan writes a table. A tier of "" is none, as in a total.
func printStreamPlan(out *strings.Builder, name string, sp *kvsframes.StreamPlan, sinks []string, ofKVS bool, tier string) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\n", inLine(name))
	fmt.Fprintf(t, "  fragments\t%d\n", sp.Fragments)
	if sp.First != nil {
		fmt.Fprintf(t, "  producer time\t%s to %s\n", clock(sp.First), clock(sp.Last))
	}
	length := sp.Media()
	fmt.Fprintf(t, "  media\t%s (%.2f hours)\n", length.Round(time.Millisecond), length.Hours())
	fmt.Fprintf(t, "  bytes\t%d (%s)\n", sp.Bytes, byteCount(sp.Bytes))
	fmt.Fprintf(t, "  frames\t%s\n", count(sp.Frames, sp.Estimate))
	if sp.Gaps > 0 {
		fmt.Fprintf(t, "  gaps\t%d\n", sp.Gaps)
	}
	if tier != "" {
		fmt.Fprintf(t, "  storage tier\t%s\n", tier)
	}
	if ofKVS {
		fmt.Fprintf(t, "  price of reading\t%s\n", dollars(sp.Cost))
	}
	for _, name := range sinks {
		s := sp.Sinks[name]
		fmt.Fprintf(t, "  sink %s\t%s images, %s objects\n", name, count(s.Images, s.Estimate), count(s.Objects, s.Estimate))
		if s.Put != nil {
			fmt.Fprintf(t, "    S3 PUT\t%s\n", dollars(s.Put))
		}
		if s.GetImages != nil {
			fmt.Fprintf(t, "    GetImages\t%s\n", getImages(s.GetImages, s.Estimate))
		}
	}
	t.Flush() // a strings.Builder returns no error
}

func tierOf(tier *string) string {
	if tier == nil {
		return "unknown"
	}
	return inLine(*tier)
}

// dollars formats an amount, which may be unknown.
func dollars(usd *float64) string {
	switch {
	case usd == nil:
		return "unknown"
	case *usd > 0 && *usd < 0.01:
		return "less than 0.01 US$"
	}
	return fmt.Sprintf("about %.2f US$", *usd)
}

// getImages describes what GetImages would need.
func getImages(g *kvsframes.GetImagesPlan, estimate bool) string {
	switch {
	case g.Cannot != "":
		return "cannot: " + g.Cannot
	case g.Images == nil:
		return "unknown"
	}
	return fmt.Sprintf("%s images in at least %d calls, %s", count(g.Images, estimate), *g.Calls, atLeast(*g.Seconds))
}

// atLeast formats a shortest time.
func atLeast(s float64) string {
	if s < 1 {
		return "less than 1s"
	}
	return "at least " + time.Duration(s*float64(time.Second)).Round(time.Second).String()
}

// count formats a number that may be unknown or an estimate.
func count(n *int64, estimate bool) string {
	switch {
	case n == nil:
		return "unknown"
	case estimate:
		return fmt.Sprintf("about %d", *n)
	}
	return fmt.Sprint(*n)
}
