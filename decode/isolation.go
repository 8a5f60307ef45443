//go:build cgo

package decode

import (
	"errors"
	"log/slog"
	"strings"

	"github.com/kvsframes/kvsframes/internal/sandbox"
)

// Layers states what separates a pool's decoders from the program.
type Layers struct {
	// Process reports whether they run in processes of their own, Landlock and Seccomp whether these restrict the processes.
	Process, Landlock, Seccomp bool
}

// String names the layers, or is "none".
func (l Layers) String() string {
	var names []string
	for _, layer := range []struct {
		name string
		on   bool
	}{{"process", l.Process}, {"landlock", l.Landlock}, {"seccomp", l.Seccomp}} {
		if layer.on {
			names = append(names, layer.name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func layersOf(l sandbox.Layers) Layers {
	return Layers{Process: true, Landlock: l.Landlock > 0, Seccomp: l.Seccomp}
}

// IsolationHere returns what separates decoders from the program on this system.
func IsolationHere() (Layers, error) {
	l := sandbox.NewLauncher()
	defer l.Close()
	p, err := startProcess(l, childMark, 0)
	if err != nil {
		return Layers{}, err
	}
	p.kill()
	return layersOf(p.layers), nil
}

// Isolation returns what separates the pool's decoders from the program.
func (p *Pool) Isolation() Layers {
	if p.processes == nil {
		return Layers{}
	}
	return layersOf(p.processes.layers)
}

// errNoFilter is the error where a child process could do more than decode.
var errNoFilter = errors.New("this system does not let a process filter its system calls (seccomp)")

// isolate starts the first child process if the settings ask for it.
func (p *Pool) isolate(mark string) error {
	if p.config.Isolation == IsolationNone {
		return nil
	}
	ps, err := newProcesses(mark, p.config.Workers, p.config.MaxPixels, &p.memory, p.log)
	if err == nil && p.config.Isolation == IsolationProcess && !ps.layers.Seccomp {
		ps.close()
		err = errNoFilter
	}
	switch {
	case err == nil:
		p.processes, ps.idle = ps, p.idle
		p.log.Info("decoders are isolated", "by", p.Isolation().String())
	case p.config.Isolation == IsolationProcess:
		return err
	default:
		p.log.Warn("decoders are not isolated: they run in this process", slog.Any("error", err))
	}
	return nil
}
