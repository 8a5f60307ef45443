package view

import (
	"bytes"
	"errors"
	"hash/maphash"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/manifest"
)

// imagesPath is where a Handler has the images.
const imagesPath = "/images/"

// Handler serves the page, and the objects that its records name. It changes nothing, and answers only requests for a
// loopback address by its number, or for localhost: a page of the web, whose name may lead to any address, gets nothing.
func (p *Page) Handler(from manifest.Objects) (http.Handler, error) {
	var page bytes.Buffer
	if err := p.write(&page, strings.TrimPrefix(imagesPath, "/"), "'self'"); err != nil {
		return nil, err
	}
	made := time.Now()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		http.ServeContent(w, r, "", made, bytes.NewReader(page.Bytes()))
	})
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET "+imagesPath+"{key...}", func(w http.ResponseWriter, r *http.Request) {
		p.serveObject(w, r, from)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocal(r.Host) {
			http.Error(w, "this server is for its own machine", http.StatusMisdirectedRequest)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Content-Security-Policy", "frame-ancestors 'none'")
		mux.ServeHTTP(w, r)
	}), nil
}

// isLocal reports whether a Host header names this machine. The port may be another one, of a tunnel.
func isLocal(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	ip := net.ParseIP(strings.Trim(name, "[]"))
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

// types are the media types of what a browser shows. Everything else is saved.
var types = map[string]string{".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}

func (p *Page) serveObject(w http.ResponseWriter, r *http.Request, from manifest.Objects) {
	key := r.PathValue("key")
	if _, ok := p.keys[maphash.String(p.seed, key)]; !ok {
		http.NotFound(w, r)
		return
	}
	in, err := from.Open(r.Context(), key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		http.NotFound(w, r)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer in.Close()
	kind := types[strings.ToLower(path.Ext(key))]
	if kind == "" {
		kind = "application/octet-stream"
		w.Header().Set("Content-Disposition", "attachment")
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "private, max-age=3600")
	if r.Method == http.MethodHead {
		return
	}
	if _, err := io.Copy(w, in); err != nil {
		panic(http.ErrAbortHandler) // so that the browser does not take what it got for whole
	}
}
