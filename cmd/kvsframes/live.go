package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/kvs"
)

// liveFlags are the flags of commands that take one live stream without a settings file.
type liveFlags struct {
	start   string
	source  source.Config
	kvs     source.KVSConfig
	command *cobra.Command
}

// liveFlagNames are the flags that have no meaning for a file.
var liveFlagNames = []string{"region", "endpoint-url", "start", "fragments", "duration", "idle-timeout"}

// addStream adds the flags that state where a stream is, and where reading starts, to a command.
func addStream(cmd *cobra.Command) *liveFlags {
	l := &liveFlags{source: source.DefaultConfig(), kvs: source.DefaultKVSConfig(), command: cmd}
	f := cmd.Flags()
	f.StringVar(&l.kvs.Region, "region", "", "the stream's region; the default is that of the AWS environment or profile")
	f.StringVar(&l.kvs.EndpointURL, "endpoint-url", "", "the control plane's endpoint, for the emulator and VPC endpoints")
	f.StringVar(&l.start, "start", "NOW", "NOW, EARLIEST or a producer time in RFC 3339")
	return l
}

// addLive adds the flags of a command that reads a stream. limits are the defaults of the limits.
func addLive(cmd *cobra.Command, limits source.End) *liveFlags {
	l := addStream(cmd)
	l.source.End = limits
	f := cmd.Flags()
	f.IntVar(&l.source.End.Fragments, "fragments", limits.Fragments, "end after this number of fragments; 0 is no limit")
	f.DurationVar(&l.source.End.Duration, "duration", limits.Duration, "end after this duration of media; 0 is no limit")
	f.DurationVar(&l.source.End.IdleTimeout, "idle-timeout", limits.IdleTimeout, "end when no fragment arrived for this time; 0 waits forever")
	f.Var(sizeFlag{&l.source.MaxFragmentSize}, "max-fragment-size", "the largest fragment that is read into memory")
	return l
}

// given returns the first flag on the command line that applies only to live streams.
func (l *liveFlags) given() (name string, ok bool) {
	for _, name := range liveFlagNames {
		if l.command.Flags().Changed(name) {
			return name, true
		}
	}
	return "", false
}

// settings returns the settings for reading a stream, or an error of the command line.
func (l *liveFlags) settings(nameOrARN string) (source.Config, error) {
	c, from := l.source, l.kvs
	if _, ok := source.StreamName(nameOrARN); !ok {
		return c, usage(fmt.Errorf("%.300q is neither the name nor the ARN of a stream", nameOrARN))
	}
	from.Streams = []string{nameOrARN}
	switch start := source.StartType(strings.ToUpper(l.start)); start {
	case source.StartNow, source.StartEarliest:
		from.StartSelector.Type = start
	default:
		at, err := time.Parse(time.RFC3339, l.start)
		if err != nil {
			return c, usage(fmt.Errorf("--start %q is not NOW, EARLIEST or a time such as 2026-01-31T12:00:00Z", l.start))
		}
		from.StartSelector = source.StartSelector{Type: source.StartProducerTimestamp, Timestamp: at}
	}
	c.Origin = from
	if err := c.Validate(); err != nil {
		return c, usage(err)
	}
	return c, nil
}

// liveConfig returns the configuration of the stream of the settings, with credentials.
func liveConfig(ctx context.Context, c source.Config, log *slog.Logger) (kvs.Config, error) {
	from, _ := c.KVS()
	cfg, err := kvs.LoadAWS(ctx, from.Region)
	if err == nil {
		err = kvs.CheckCredentials(ctx, cfg)
	}
	if err != nil {
		return kvs.Config{}, err
	}
	return kvs.ConfigOf(cfg, c, from.Streams[0], log), nil
}

// openLive opens the stream of the settings. The stream ends cleanly once draining is done. The caller closes it.
func openLive(draining context.Context, c source.Config, log *slog.Logger) (source.Source, error) {
	cfg, err := liveConfig(draining, c, log)
	if err != nil {
		return nil, err
	}
	src, err := kvs.Open(draining, cfg)
	if err != nil {
		return nil, err
	}
	return source.Until(draining, src), nil
}

// toolLogger returns the logger of commands without a settings file.
func (p *program) toolLogger(level slog.Level) *slog.Logger {
	return newLogger(p.stderr, config.Log{Level: config.LogLevel(level.String()), Format: config.LogText}, p.terminal)
}
