package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes/internal/kvsemu"
	"github.com/kvsframes/kvsframes/source"
)

// emulation is the settings of the emulate command.
type emulation struct {
	listen, accessKey, secretKey, pace string
	recordings                         []recording
}

// recording is one file and the name of the stream that serves it.
type recording struct{ stream, path string }

func (p *program) newEmulateCommand() *cobra.Command {
	e := emulation{}
	cmd := &cobra.Command{
		Use:   "emulate [NAME=]FILE...",
		Short: "Serves recordings as Kinesis Video Streams on loopback",
		Long: `Serves recordings as streams over the protocol of Amazon Kinesis Video Streams,
to any AWS SDK, until it is interrupted. A recording is a saved GetMedia payload
or a plain MKV file; without NAME its stream is called by the file's base name
without the extension. The first line on standard output is the endpoint's URL.`,
		Args: checkArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, arg := range args {
				e.recordings = append(e.recordings, parseRecording(arg))
			}
			return p.runEmulate(cmd.Context(), e)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&e.listen, "listen", "127.0.0.1:0", "address to listen on; port 0 is a free one")
	flags.StringVar(&e.accessKey, "access-key", kvsemu.DefaultKey, "access key that requests must be signed with")
	flags.StringVar(&e.secretKey, "secret-key", kvsemu.DefaultKey, "secret key that requests must be signed with")
	flags.StringVar(&e.pace, "pace", "max", "max: everything is there from the start; realtime: as fast as it was recorded")
	return cmd
}

// parseRecording reads [NAME=]FILE. A "=" behind something that is no stream name
// belongs to the file.
func parseRecording(arg string) recording {
	if name, path, ok := strings.Cut(arg, "="); ok {
		if plain, ok := source.StreamName(name); ok && plain == name {
			return recording{stream: name, path: path}
		}
	}
	base := filepath.Base(arg)
	return recording{stream: strings.TrimSuffix(base, filepath.Ext(base)), path: arg}
}

func (p *program) runEmulate(ctx context.Context, e emulation) error {
	paces := map[string]kvsemu.Pace{"max": kvsemu.PaceMax, "realtime": kvsemu.PaceRealtime}
	pace, ok := paces[e.pace]
	if !ok {
		return usage(fmt.Errorf("--pace %q is neither max nor realtime", e.pace))
	}
	log := slog.New(slog.NewTextHandler(p.stderr, nil))
	server := kvsemu.New(kvsemu.Options{AccessKey: e.accessKey, SecretKey: e.secretKey, Pace: pace, Log: log})
	for _, r := range e.recordings {
		if err := server.AddFile(r.stream, r.path); err != nil {
			return err
		}
		log.Info("stream added", "stream", r.stream, "file", r.path)
	}
	if !onLoopback(e.listen) {
		log.Warn("the emulator listens beyond loopback: it is made for tests, not for an open network", "listen", e.listen)
	}
	_, draining, stop := p.watch(ctx)
	defer stop()
	url, wait, err := server.Start(draining, e.listen)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(p.stdout, url); err != nil {
		stop()
		_ = wait() // ended by stop
		return fmt.Errorf("print URL: %w", err)
	}
	return wait()
}

// onLoopback says whether an address can be reached from this machine alone.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
