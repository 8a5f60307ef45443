package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/source"
)

// emulation holds the settings of the emulate command.
type emulation struct {
	listen, accessKey, secretKey, pace string
	recordings                         []recording
	// streams are NAME or NAME=HOURS, faults are in the syntax of kvstest.ParseFault.
	streams, faults []string
	serviceQuotas   bool
	link            kvstest.Link
	jitter          time.Duration
	// times is a file of record --times, "" for none.
	times string
}

// recording is a file and the name of the stream that serves it.
type recording struct{ stream, path string }

func (p *program) newEmulateCommand() *cobra.Command {
	e := emulation{}
	cmd := &cobra.Command{
		Use:   "emulate [NAME=]FILE...",
		Short: "Serves recordings as Kinesis Video Streams on loopback",
		Long: `Serves recordings as streams over the protocol of Amazon Kinesis Video Streams,
to any AWS SDK, until it is interrupted. A recording is a saved GetMedia payload
or a plain MKV file; without NAME its stream has the file's base name
without extension. The first line on standard output is the endpoint's URL.

With --times a recording is played once, in the rhythm in which it arrived when
record --times saved it.

With --stream there are streams without a recording, to which producers write
with PutMedia; a producer can also make its own with CreateStream.

With --fault the emulator fails on purpose, once or every time:
  --fault cut:op=GetMedia,bytes=1-200000,every=2,seed=7
  --fault throttle:stream=cam,count=3 --fault missing:p=0.1,tries=2
` + kvstest.FaultHelp(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && len(e.streams) == 0 {
				return usage(errors.New("name a recording, or a stream with --stream"))
			}
			for _, arg := range args {
				e.recordings = append(e.recordings, parseRecording(arg))
			}
			return p.runEmulate(cmd.Context(), e)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&e.listen, "listen", "127.0.0.1:0", "address to listen on; port 0 is a free one")
	flags.StringVar(&e.accessKey, "access-key", kvstest.DefaultKey, "access key that requests must be signed with")
	flags.StringVar(&e.secretKey, "secret-key", kvstest.DefaultKey, "secret key that requests must be signed with")
	flags.StringVar(&e.pace, "pace", "max", "max: everything is available from the start; realtime: as fast as it was recorded, frame by frame")
	flags.DurationVar(&e.jitter, "jitter", 0, "with --pace realtime: delay each frame by up to this time, at random")
	flags.StringVar(&e.times, "times", "", "the `FILE` of times that record wrote with the recording")
	flags.StringArrayVar(&e.streams, "stream", nil, "NAME or NAME=HOURS: a stream without a recording, and its retention (24 hours); may be repeated")
	flags.StringArrayVar(&e.faults, "fault", nil, "KIND:KEY=VALUE,...: a fault, see above; may be repeated")
	flags.BoolVar(&e.serviceQuotas, "service-quotas", false, "enforce every quota of the service, not only those of calls and connections")
	flags.Int64Var(&e.link.BytesPerSecond, "bandwidth", 0, "largest rate of one answer in bytes a second; 0 is no limit")
	flags.DurationVar(&e.link.Latency, "latency", 0, "time from a request to its answer")
	return cmd
}

// parseRecording reads [NAME=]FILE. A "=" after text that is not a stream name belongs to the file.
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
	paces := map[string]kvstest.Pace{"max": kvstest.PaceMax, "realtime": kvstest.PaceRealtime}
	pace, ok := paces[e.pace]
	if !ok {
		return usage(fmt.Errorf("--pace %q is neither max nor realtime", e.pace))
	}
	if e.jitter < 0 || e.jitter > 0 && pace != kvstest.PaceRealtime {
		return usage(errors.New("--jitter must be a positive time, with --pace realtime"))
	}
	if e.times != "" && (len(e.recordings) != 1 || pace != kvstest.PaceMax) {
		return usage(errors.New("--times needs one recording, and has a pace of its own"))
	}
	log := slog.New(slog.NewTextHandler(p.stderr, nil))
	options := kvstest.Options{AccessKey: e.accessKey, SecretKey: e.secretKey, Pace: pace, Jitter: e.jitter, Link: e.link, Log: log}
	if e.serviceQuotas {
		options.Quotas = kvstest.ServiceQuotas()
	}
	server := kvstest.NewServer(options)
	if err := e.fill(server, log); err != nil {
		return err
	}
	if !onLoopback(e.listen) {
		log.Warn("the emulator listens beyond loopback: it is meant for tests, not for an open network", "listen", e.listen)
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

// fill adds the streams and faults to a server.
func (e emulation) fill(server *kvstest.Server, log *slog.Logger) error {
	faults := make([]kvstest.Fault, 0, len(e.faults))
	for _, text := range e.faults {
		f, err := kvstest.ParseFault(text)
		if err != nil {
			return usage(fmt.Errorf("--fault: %w", err))
		}
		faults = append(faults, f)
	}
	if e.link.BytesPerSecond < 0 || e.link.Latency < 0 {
		return usage(errors.New("--bandwidth and --latency cannot be negative"))
	}
	for _, arg := range e.streams {
		name, retention, err := parseStream(arg)
		if err != nil {
			return usage(err)
		}
		if err := server.CreateStream(name, retention); err != nil {
			return err
		}
		log.Info("stream created", "stream", name, "retention", retention)
	}
	for _, r := range e.recordings {
		if err := e.add(server, r); err != nil {
			return err
		}
		log.Info("stream added", "stream", r.stream, "file", r.path)
	}
	return server.SetFaults(faults)
}

// add adds the stream of a recording to a server.
func (e emulation) add(server *kvstest.Server, r recording) error {
	if e.times == "" {
		return server.AddFile(r.stream, r.path)
	}
	f, err := os.Open(e.times)
	if err != nil {
		return fmt.Errorf("read times: %w", err)
	}
	defer f.Close() // only read
	arrivals, err := kvstest.ReadArrivals(f)
	if err != nil {
		return fmt.Errorf("read times in %s: %w", e.times, err)
	}
	return server.AddTimedFile(r.stream, r.path, arrivals)
}

// parseStream reads NAME or NAME=HOURS.
func parseStream(arg string) (name string, retention time.Duration, err error) {
	name, text, given := strings.Cut(arg, "=")
	if !given {
		return name, 24 * time.Hour, nil
	}
	hours, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("--stream %s: the retention must be a whole number of hours", arg)
	}
	return name, time.Duration(hours) * time.Hour, nil
}

// onLoopback reports whether an address can be reached only from this machine.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
