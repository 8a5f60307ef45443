package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/manifest"
	"github.com/kvsframes/kvsframes/view"
)

// viewFlags are the flags of the view command.
type viewFlags struct {
	out    string
	serve  bool
	server kvsframes.Server
}

func (p *program) newViewCommand() *cobra.Command {
	flags := viewFlags{}
	cmd := &cobra.Command{
		Use:   "view DIR|s3://BUCKET/PREFIX",
		Short: "Makes a page of all frames and gaps, on a time line",
		Long: `Makes a page that shows what runs have written below a folder, or below a prefix
of a bucket: all frames and gaps on a time line, with their pictures and records.

Of a folder it writes one file, DIR/view.html, and prints its name. A browser
opens it from there, without a server: the pictures stay where they are.

Of a bucket, or with --serve, it serves the page on a free port of 127.0.0.1,
prints its URL, and reads pictures from the bucket when the page shows them,
until it is interrupted.`,
		Args: checkArgs(cobra.ExactArgs(1)),
	}
	f := cmd.Flags()
	f.StringVarP(&flags.out, "output", "o", "", "the file to write, whole or not at all; view.html in the folder without it")
	f.BoolVar(&flags.serve, "serve", false, "serve the page of a folder, too, and write no file")
	addServerFlags(cmd, &flags.server)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.runView(cmd.Context(), args[0], flags)
	}
	return cmd
}

func (p *program) runView(ctx context.Context, where string, flags viewFlags) error {
	serve := flags.serve || strings.HasPrefix(where, "s3://")
	if serve && flags.out != "" {
		return usage(errors.New("-o is for the page of a folder: that of a bucket, or with --serve, is served and not written"))
	}
	from, err := kvsframes.OpenObjects(ctx, where, flags.server)
	if err != nil {
		return err
	}
	title := where
	if whole, err := filepath.Abs(where); !strings.HasPrefix(where, "s3://") && err == nil {
		title = filepath.Base(whole)
	}
	page, err := view.Read(ctx, from, view.Options{Title: title})
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	records, gaps := page.Counts()
	fmt.Fprintf(p.stderr, "%d frames, %d gaps\n", records, gaps)
	if serve {
		return p.serveView(ctx, page, from)
	}
	out := flags.out
	if out == "" {
		out = filepath.Join(where, "view.html")
	}
	images, err := relativeURL(filepath.Dir(out), where)
	if err != nil {
		return err
	}
	err = p.toFile(ctx, out, func(to io.Writer) error { return page.WriteFile(to, images) })
	if err == nil {
		_, err = fmt.Fprintln(p.stdout, out)
	}
	return err
}

// relativeURL returns the URL of a folder for a page in another one: "" if they are the same, or else with a slash at the end.
func relativeURL(page, folder string) (string, error) {
	page, err := filepath.Abs(page)
	if err != nil {
		return "", err
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return "", err
	}
	name, err := filepath.Rel(page, folder)
	if err != nil || name == "." {
		return "", err
	}
	return (&url.URL{Path: filepath.ToSlash(name) + "/"}).String(), nil
}

// serveView serves a page until the first signal.
func (p *program) serveView(ctx context.Context, page *view.Page, from manifest.Objects) error {
	handler, err := page.Handler(from)
	if err != nil {
		return err
	}
	ctx, draining, stop := p.watch(ctx)
	defer stop()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	_, err = fmt.Fprintf(p.stdout, "http://%s/\n", listener.Addr())
	if err == nil {
		select {
		case <-draining.Done():
		case err = <-ended:
			return err
		}
	}
	err = errors.Join(err, server.Close()) // a page that is being loaded has nobody left to see it
	<-ended
	return err
}
