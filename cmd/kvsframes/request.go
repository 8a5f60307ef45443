package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/kvs"
)

func (p *program) newRequestCommand() *cobra.Command {
	var asCurl bool
	cmd := &cobra.Command{
		Use:   "request STREAM",
		Short: "Prints a signed GetMedia call for another program",
		Long: `Finds the data endpoint of a live stream, by name or ARN, and prints a signed
GetMedia call as JSON: method, url, headers and body. Another program that sends
exactly these gets the payload, without an AWS SDK. With --curl it is a command
line for a shell:

  kvsframes request cam --curl | sh | ffmpeg -i - ...

Kinesis Video Streams accepts the call for 5 minutes; the answer may last longer,
up to about 45 minutes. Whoever has it can read the stream: the headers hold a
signature, and with temporary credentials their session token, but never the
secret key.`,
		Args: checkArgs(cobra.ExactArgs(1)),
	}
	live := addStream(cmd)
	cmd.Flags().BoolVar(&asCurl, "curl", false, "print a command line of curl")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := live.settings(args[0])
		if err != nil {
			return err
		}
		if err := p.runRequest(cmd.Context(), c, asCurl); err != nil {
			return fmt.Errorf("request: %w", err)
		}
		return nil
	}
	return cmd
}

// signedRequest is the output of the request command.
type signedRequest struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

func (p *program) runRequest(ctx context.Context, c source.Config, asCurl bool) error {
	cfg, err := liveConfig(ctx, c, p.toolLogger(slog.LevelWarn))
	if err != nil {
		return err
	}
	req, err := kvs.SignGetMedia(ctx, cfg)
	if err != nil {
		return err
	}
	signed, err := describeRequest(req)
	if err != nil {
		return err
	}
	if !asCurl {
		return p.printJSON(signed)
	}
	_, err = fmt.Fprintln(p.stdout, signed.curl())
	return err
}

// describeRequest reads a request, which then has no body any more. None of its headers has several values.
func describeRequest(req *http.Request) (signedRequest, error) {
	body, err := io.ReadAll(req.Body)
	s := signedRequest{Method: req.Method, URL: req.URL.String(), Headers: map[string]string{}, Body: string(body)}
	for name := range req.Header {
		s.Headers[name] = req.Header.Get(name)
	}
	return s, err
}

// curl returns the command line that sends the request. It writes what arrives at once, and fails if the service refuses.
func (s signedRequest) curl() string {
	args := []string{"curl", "--silent", "--show-error", "--fail-with-body", "--no-buffer", "--request", s.Method, shellQuote(s.URL)}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		args = append(args, "--header", shellQuote(name+": "+s.Headers[name]))
	}
	return strings.Join(append(args, "--data-raw", shellQuote(s.Body)), " ")
}

// shellQuote quotes a word for a POSIX shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
