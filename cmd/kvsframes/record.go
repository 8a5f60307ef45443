package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/payload"
)

// standardOutput is the file name that means standard output.
const standardOutput = "-"

func (p *program) newRecordCommand() *cobra.Command {
	var out, times string
	var force, remux bool
	cmd := &cobra.Command{
		Use:   "record STREAM -o FILE",
		Short: "Saves a live stream as it arrives",
		Long: `Saves the fragments of a live stream, by name or ARN, as Kinesis Video Streams
sends them: the file replays byte for byte, with emulate or as a source of type
file. It grows by whole fragments and can be read while it is recorded.

Recording continues until a limit is reached or an interrupt arrives, over as
many sessions as necessary. Each fragment is saved once. A fragment that cannot
be received whole is left out and counted as a gap.

With --times a second file tells when the bytes arrived: a JSON object a line,
{"bytes":N,"ns":T}, states that the first N bytes of the recording had arrived T
nanoseconds after its first frame. There is a line when a frame has arrived, and
when a fragment has. emulate --times replays the recording in this rhythm.

With --remux the file is one Matroska document with continuous times, which
players can play. It has no fragment numbers, clocks or tags. Where the codec or
the size of the picture changes, recording ends with an error that names the
fragment.`,
		Args: checkArgs(cobra.ExactArgs(1)),
	}
	live := addLive(cmd, source.End{})
	cmd.Flags().StringVarP(&out, "output", "o", "", "the `FILE` to write; - is standard output")
	cmd.Flags().StringVar(&times, "times", "", "the `FILE` to write the times of arrival to")
	cmd.Flags().BoolVar(&force, "force", false, "replace existing files, once the first fragment has arrived")
	cmd.Flags().BoolVar(&remux, "remux", false, "write one Matroska file for players, instead of the payload")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if out == "" {
			return usage(errors.New("name the file to write with --output"))
		}
		if remux && times != "" {
			return usage(errors.New("--times tells of the payload as it arrived, which --remux does not write"))
		}
		c, err := live.settings(args[0])
		if err != nil {
			return err
		}
		t := &tape{payload: &reel{out: p.stdout}, log: p.toolLogger(slog.LevelInfo)}
		if remux {
			t.remux = &payload.Remuxer{}
		}
		return p.runRecord(cmd.Context(), c, t, out, times, force)
	}
	return cmd
}

func (p *program) runRecord(ctx context.Context, c source.Config, t *tape, out, times string, force bool) error {
	ctx, draining, stop := p.watch(ctx)
	defer stop()
	if err := t.create(out, times, force); err != nil {
		return fmt.Errorf("record: %w", errors.Join(err, t.close()))
	}
	err := errors.Join(t.record(ctx, draining, c), t.close())
	if err != nil {
		err = fmt.Errorf("record: %w", err)
	}
	from, _ := c.KVS()
	name, _ := source.StreamName(from.Streams[0])
	fmt.Fprintf(p.stderr, "%s: %d fragments, %d bytes, %d gaps\n", name, t.fragments, t.payload.bytes, t.gaps)
	switch {
	case err != nil && !(interrupted(draining) && errors.Is(err, context.Canceled)):
		return err
	case interrupted(draining):
		return &exitError{code: exitInterrupted}
	case t.gaps > 0:
		return &exitError{code: exitGaps}
	}
	return nil
}

// tape is a recording.
type tape struct {
	payload *reel
	times   *stopwatch // nil if the times of arrival are not recorded
	log     *slog.Logger
	// remux combines the fragments into one document; nil keeps them unchanged.
	remux *payload.Remuxer

	fragments, gaps int
}

// create opens the files of the recording.
func (t *tape) create(out, times string, force bool) error {
	if out != standardOutput {
		file, err := createReel(out, force)
		if err != nil {
			return err
		}
		t.payload = file
	}
	if times != "" {
		file, err := createReel(times, force)
		if err != nil {
			return err
		}
		t.times = &stopwatch{reel: file}
	}
	return nil
}

// record writes the stream until it ends or draining is done.
func (t *tape) record(ctx, draining context.Context, c source.Config) error {
	src, err := openLive(draining, c, t.log)
	if err != nil {
		return err
	}
	if t.times != nil {
		ctx = media.WithArrivals(ctx, t.times.arrived)
	}
	err = source.Each(func() (*media.Fragment, error) { return src.Next(ctx) }, t.write, func(g media.Gap) { t.lose(g.FragmentNumber, g.Detail) })
	return cmp.Or(err, src.Close())
}

func (t *tape) lose(number, reason string) {
	t.gaps++
	t.log.Warn("gap", "fragment", number, "reason", reason)
}

// write adds a fragment.
func (t *tape) write(f *media.Fragment) error {
	if f.Cut {
		// An element that is cut short would swallow the next one.
		t.lose(f.Number, "the fragment was cut on every attempt")
		return nil
	}
	data := f.MKV
	if t.remux != nil {
		var err error
		if data, err = t.remux.Append(nil, f); err != nil {
			return err
		}
	}
	if err := t.payload.add(data); err != nil {
		return fmt.Errorf("write fragment %s: %w", f.Number, err)
	}
	if t.times != nil {
		if err := t.times.add(f); err != nil {
			return fmt.Errorf("write times of fragment %s: %w", f.Number, err)
		}
	}
	t.fragments++
	if t.fragments == 1 {
		t.log.Info("first fragment saved", "fragment", f.Number, "producer_time", f.ProducerTime)
	}
	return nil
}

// close closes the files.
func (t *tape) close() error {
	if t.times == nil {
		return t.payload.close()
	}
	return errors.Join(t.payload.close(), t.times.reel.close())
}
