package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
)

func (p *program) newInspectCommand() *cobra.Command {
	var asJSON bool
	maxSize := source.DefaultConfig().MaxFragmentSize
	cmd := &cobra.Command{
		Use:   "inspect FILE...",
		Short: "Shows the fragments of a recording",
		Long: `Shows the fragments of recordings (saved GetMedia payloads and plain MKV files; -
is standard input): numbers, clocks, codec, size, frames, tags and gaps. Nothing is
decoded. Inspecting a live stream is not available in this version.`,
		Args: checkArgs(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.runInspect(args, source.SplitConfig{MaxFragmentSize: maxSize}, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	cmd.Flags().Var(sizeFlag{&maxSize}, "max-fragment-size", "the largest fragment that is taken into memory")
	return cmd
}

// sizeFlag is a size with a unit as a flag.
type sizeFlag struct{ *source.Size }

func (f sizeFlag) Set(text string) error { return f.UnmarshalText([]byte(text)) }
func (f sizeFlag) Type() string          { return "SIZE" }

func (p *program) runInspect(paths []string, cfg source.SplitConfig, asJSON bool) error {
	var reports []report
	var failed []error
	for _, path := range paths {
		r, err := p.inspectFile(path, cfg)
		if err != nil {
			failed = append(failed, err)
		}
		if r == nil {
			continue
		}
		if reports = append(reports, *r); asJSON {
			continue
		}
		if err := r.print(p.stdout); err != nil {
			return fmt.Errorf("print report: %w", err)
		}
	}
	if asJSON {
		e := json.NewEncoder(p.stdout)
		e.SetIndent("", "  ")
		if err := e.Encode(map[string]any{"files": reports}); err != nil {
			return fmt.Errorf("print report: %w", err)
		}
	}
	return errors.Join(failed...)
}

// inspectFile reports a recording as far as it can be read. Without a report the
// file cannot even be opened.
func (p *program) inspectFile(path string, cfg source.SplitConfig) (*report, error) {
	cfg.Stream = parseRecording(path).stream
	in := p.stdin
	if path != source.StandardInput {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			if _, ok := source.StreamName(path); ok {
				return nil, fmt.Errorf("inspect %s: there is no such file, and inspecting a live stream is not available in this version", path)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("inspect: %w", err)
		}
		defer f.Close() // only read
		in = f
	}
	r := &report{File: path, Fragments: []fragmentReport{}, Gaps: []gapReport{}}
	if err := r.read(source.NewSplitter(in, cfg)); err != nil {
		return r, fmt.Errorf("inspect %s: %w", path, err)
	}
	return r, nil
}

// read takes all fragments from the splitter. Its error is what ended the
// recording before its end.
func (r *report) read(s *source.Splitter) error {
	defer func() { r.Totals.Bytes = s.BytesRead() }()
	for {
		f, err := s.Next()
		var gap *media.GapError
		var tag *source.ErrorTag
		switch {
		case err == nil:
			r.add(f)
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &gap):
			r.addGap(gapReport{FragmentNumber: gap.Gap.FragmentNumber, Reason: gap.Gap.Reason})
		case errors.As(err, &tag):
			r.addGap(gapReport{FragmentNumber: tag.FragmentNumber, Reason: tag.Error()})
		default:
			return err
		}
	}
}
