package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes/config"
)

// healthTimeout is how long an answer may take.
const healthTimeout = 5 * time.Second

func (p *program) newHealthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "health [URL]",
		Short: "Asks a run on this machine whether it is healthy",
		Long: `Exits with 0 if a run answers, and with 1 otherwise: for the health checks of
containers. Without a URL it asks /healthz at the service.http of the environment
(KVSFRAMES_SERVICE_HTTP), or of pipeline.yaml. A URL such as
http://127.0.0.1:9090/readyz asks whether the run reads and writes.`,
		Args: checkArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := p.healthURL(args)
			if err != nil {
				return usage(err)
			}
			return askHealth(cmd.Context(), target)
		},
	}
}

// healthURL returns the URL to ask.
func (p *program) healthURL(args []string) (string, error) {
	if len(args) > 0 {
		u, err := url.Parse(args[0])
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return "", fmt.Errorf("%q is not a URL such as http://127.0.0.1:9090", args[0])
		}
		if strings.Trim(u.Path, "/") == "" {
			u.Path = "/healthz"
		}
		return u.String(), nil
	}
	address := p.variable("KVSFRAMES_SERVICE_HTTP")
	if address == "" {
		c, err := config.Load(config.Options{Path: defaultFile, Environ: p.environ})
		if err != nil {
			return "", fmt.Errorf("no URL is named, and the settings do not tell it: %w", err)
		}
		address = c.Service.HTTP
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", errors.New("no URL is named, and the settings have no service.http")
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() { // it listens on all addresses
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port) + "/healthz", nil
}

// askHealth returns an error unless the answer is 200.
func askHealth(ctx context.Context, target string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask for health: %w", err)
	}
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask for health: %w", err)
	}
	defer resp.Body.Close() // only its status is read
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask for health: %s answers %s", target, resp.Status)
	}
	return nil
}
