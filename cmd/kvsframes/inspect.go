package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/payload"
)

// inspectLimits end the inspection of a live stream.
var inspectLimits = source.End{Fragments: 10, IdleTimeout: 10 * time.Second}

func (p *program) newInspectCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect FILE|STREAM...",
		Short: "Shows the fragments of a recording or a stream",
		Long: `Shows the fragments of recordings (saved GetMedia payloads and plain MKV files;
- is standard input) and of live streams, by name or ARN: numbers, clocks,
codec, size, frames, tags and gaps, and how far a live stream lags behind its
newest fragment. Nothing is decoded. An argument is a stream when there is no
file of that name.

A stream is read until --fragments, --duration, --idle-timeout or an interrupt
ends it. These flags, and --start, --region and --endpoint-url, apply only to
streams.`,
		Args: checkArgs(cobra.MinimumNArgs(1)),
	}
	live := addLive(cmd, inspectLimits)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.runInspect(cmd.Context(), args, live, asJSON)
	}
	return cmd
}

// sizeFlag is a flag for a size with a unit.
type sizeFlag struct{ *source.Size }

func (f sizeFlag) Set(text string) error { return f.UnmarshalText([]byte(text)) }
func (f sizeFlag) Type() string          { return "SIZE" }

func (p *program) runInspect(ctx context.Context, args []string, live *liveFlags, asJSON bool) error {
	wanted, err := inspections(args, live)
	if err != nil {
		return err
	}
	ctx, draining, stop := p.watch(ctx)
	defer stop()
	reports := map[string][]*kvsframes.Report{}
	var failed []error
	for _, i := range wanted {
		kind, inspect := "files", p.inspectFile
		if i.stream {
			kind, inspect = "streams", p.inspectStream
		}
		r, err := inspect(ctx, draining, i)
		if err != nil && !(interrupted(draining) && errors.Is(err, context.Canceled)) {
			failed = append(failed, err)
		}
		if r == nil {
			continue
		}
		if reports[kind] = append(reports[kind], r); asJSON {
			continue
		}
		width := 0
		if p.outWidth != nil {
			width = p.outWidth()
		}
		if err := printReport(cleanWriter{p.stdout}, r, width); err != nil {
			return fmt.Errorf("print report: %w", err)
		}
	}
	if asJSON {
		if err := p.printJSON(reports); err != nil {
			return fmt.Errorf("print report: %w", err)
		}
	}
	if err := errors.Join(failed...); err != nil || !interrupted(draining) {
		return err
	}
	return &exitError{code: exitInterrupted}
}

// inspection is one argument of inspect. source holds the settings of a stream, or for files the size of the
// largest fragment.
type inspection struct {
	name   string
	stream bool
	source source.Config
}

// inspections sorts the arguments into files and streams.
func inspections(args []string, live *liveFlags) ([]inspection, error) {
	var all []inspection
	streams := 0
	for _, arg := range args {
		i := inspection{name: arg, source: live.source}
		if !source.IsFile(arg) {
			c, err := live.settings(arg)
			if err != nil {
				return nil, err
			}
			i.stream, i.source = true, c
			streams++
		}
		all = append(all, i)
	}
	if flag, ok := live.given(); ok && streams == 0 {
		return nil, usage(fmt.Errorf("--%s applies to streams, but all arguments are files", flag))
	}
	return all, nil
}

// inspectStream reports on a stream up to the first error. It returns no report if the stream cannot be opened.
func (p *program) inspectStream(ctx, draining context.Context, i inspection) (*kvsframes.Report, error) {
	var r *kvsframes.Report
	src, err := openLive(draining, i.source, p.toolLogger(slog.LevelWarn))
	if err == nil {
		r = kvsframes.NewReport("", i.name)
		err = r.Read(func() (*media.Fragment, error) { return src.Next(ctx) })
		r.Totals.Bytes = src.Stats().BytesRead
		err = cmp.Or(err, src.Close())
	}
	if err != nil {
		return r, fmt.Errorf("inspect stream %s (there is no file of that name): %w", i.name, err)
	}
	return r, nil
}

// inspectFile does the same for the part of a recording that is read before draining is done.
func (p *program) inspectFile(_, draining context.Context, i inspection) (*kvsframes.Report, error) {
	path, in := i.name, p.stdin
	if path != source.StandardInput {
		f, err := within(draining, func() (*os.File, error) { return os.Open(path) })
		if err != nil {
			return nil, fmt.Errorf("inspect: %w", err)
		}
		defer f.Close() // only read
		in = f
	}
	r := kvsframes.NewReport(path, "")
	s := payload.NewSplitter(in, payload.Config{Stream: parseRecording(path).stream, MaxFragmentSize: i.source.MaxFragmentSize})
	err := r.Read(func() (*media.Fragment, error) {
		return within(draining, func() (*media.Fragment, error) { return past(s.Next()) })
	})
	if draining.Err() == nil { // otherwise the splitter may still be reading
		r.Totals.Bytes = s.BytesRead()
	} else {
		for _, f := range r.Fragments {
			r.Totals.Bytes += int64(f.Bytes)
		}
	}
	if err != nil {
		return r, fmt.Errorf("inspect %s: %w", path, err)
	}
	return r, nil
}

// past turns an error tag within a recording into a gap, after which reading continues.
func past(f *media.Fragment, err error) (*media.Fragment, error) {
	if tag, ok := errors.AsType[*payload.ErrorTag](err); ok {
		err = &media.GapError{Gap: media.Gap{FragmentNumber: tag.FragmentNumber, FrameIndex: media.WholeFragment, Reason: media.GapSource, Detail: tag.Error()}, Err: tag}
	}
	return f, err
}
