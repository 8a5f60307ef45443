package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/payload"
)

// standardOutput is the file name that means standard output.
const standardOutput = "-"

func (p *program) newRecordCommand() *cobra.Command {
	var out string
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

With --remux the file is one Matroska document with continuous times, which
players can play. It has no fragment numbers, clocks or tags. Where the codec or
the size of the picture changes, recording ends with an error that names the
fragment.`,
		Args: checkArgs(cobra.ExactArgs(1)),
	}
	live := addLive(cmd, source.End{})
	cmd.Flags().StringVarP(&out, "output", "o", "", "the `FILE` to write; - is standard output")
	cmd.Flags().BoolVar(&force, "force", false, "replace an existing file, once the first fragment has arrived")
	cmd.Flags().BoolVar(&remux, "remux", false, "write one Matroska file for players, instead of the payload")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if out == "" {
			return usage(errors.New("name the file to write with --output"))
		}
		c, err := live.settings(args[0])
		if err != nil {
			return err
		}
		t := &tape{out: p.stdout, log: p.toolLogger(slog.LevelInfo)}
		if remux {
			t.remux = &payload.Remuxer{}
		}
		return p.runRecord(cmd.Context(), c, t, out, force)
	}
	return cmd
}

func (p *program) runRecord(ctx context.Context, c source.Config, t *tape, out string, force bool) error {
	ctx, draining, stop := p.watch(ctx)
	defer stop()
	if out != standardOutput {
		var err error
		if t.file, t.fresh, err = createTape(out, force); err != nil {
			return err
		}
		t.out = t.file
	}
	err := t.record(ctx, draining, c)
	if closeErr := t.close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("record: %w", closeErr))
	}
	from, _ := c.KVS()
	name, _ := source.StreamName(from.Streams[0])
	fmt.Fprintf(p.stderr, "%s: %d fragments, %d bytes, %d gaps\n", name, t.fragments, t.bytes, t.gaps)
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

// createTape opens the file of a recording. fresh reports whether the file is new. An existing file is not changed
// until there is a fragment to replace it.
func createTape(path string, force bool) (f *os.File, fresh bool, err error) {
	f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	switch {
	case err == nil:
		return f, true, nil
	case errors.Is(err, fs.ErrExist) && !force:
		return nil, false, fmt.Errorf("record: %s exists already; --force replaces it", path)
	case errors.Is(err, fs.ErrExist):
		f, err = os.OpenFile(path, os.O_WRONLY, 0)
	}
	if err != nil {
		return nil, false, fmt.Errorf("record: %w", err)
	}
	return f, false, nil
}

// tape is the output of a recording.
type tape struct {
	out io.Writer
	// file is out, or nil if that is standard output. fresh: see createTape.
	file  *os.File
	fresh bool
	log   *slog.Logger
	// remux combines the fragments into one document; nil keeps them unchanged.
	remux *payload.Remuxer

	fragments, gaps int
	bytes           int64
}

// record writes the stream until it ends or draining is done.
func (t *tape) record(ctx, draining context.Context, c source.Config) error {
	src, err := openLive(draining, c, t.log)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	err = source.Each(func() (*media.Fragment, error) { return src.Next(ctx) }, t.write, func(g media.Gap) { t.lose(g.FragmentNumber, g.Detail) })
	if err = cmp.Or(err, src.Close()); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

func (t *tape) lose(number, reason string) {
	t.gaps++
	t.log.Warn("gap", "fragment", number, "reason", reason)
}

// write adds a fragment. If writing fails, the part that was written is removed where possible.
func (t *tape) write(f *media.Fragment) error {
	if f.Cut {
		// An element that is cut short would swallow the next one.
		t.lose(f.Number, "the fragment was cut on every attempt")
		return nil
	}
	if t.fragments == 0 {
		if err := t.truncate(); err != nil {
			return err
		}
	}
	data := f.MKV
	if t.remux != nil {
		var err error
		if data, err = t.remux.Append(nil, f); err != nil {
			return err
		}
	}
	if _, err := t.out.Write(data); err != nil {
		return errors.Join(fmt.Errorf("write fragment %s: %w", f.Number, err), t.truncate())
	}
	t.fragments++
	t.bytes += int64(len(data))
	if t.fragments == 1 {
		t.log.Info("first fragment saved", "fragment", f.Number, "producer_time", f.ProducerTime)
	}
	return nil
}

// truncate shortens the file to the recorded fragments.
func (t *tape) truncate() error {
	if t.file == nil {
		return nil
	}
	info, err := t.file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	return t.file.Truncate(t.bytes)
}

// close closes the file. It removes a new file that is empty.
func (t *tape) close() error {
	if t.file == nil {
		return nil
	}
	err := t.file.Close()
	if t.fresh && t.fragments == 0 {
		err = errors.Join(err, os.Remove(t.file.Name()))
	}
	return err
}
