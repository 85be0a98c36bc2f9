package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/internal/lines"
)

// command makes the container's process, ready to start, and calls reported when
// it writes that it is ready. closeLog is to be called when it has ended.
func (p *pod) command(program Program, reported func()) (cmd *exec.Cmd, closeLog func(), err error) {
	object := p.current()
	container := object.Spec.Containers[0]
	work := filepath.Join(p.dir, "work")
	if err := os.MkdirAll(work, 0o700); err != nil {
		return nil, nil, err
	}
	mounts, err := p.mount(program)
	if err != nil {
		return nil, nil, err
	}
	env, err := p.environment()
	if err != nil {
		return nil, nil, err
	}
	expand := func(text string) string { return mounts.rewrite(expand(text, env.get)) }

	p.mu.Lock()
	address := p.state.address
	p.mu.Unlock()
	c := Command{Path: program.Path, Args: slices.Clone(program.Args), Address: address, Dir: work}
	c.Env = append(c.Env, "PATH="+os.Getenv("PATH"), "HOME="+work, "TMPDIR="+work, "HOSTNAME="+object.Name)
	c.Env = append(c.Env, program.Env...)
	if program.ServiceAccount {
		path, err := p.kubeconfig()
		if err != nil {
			return nil, nil, err
		}
		c.Env = append(c.Env, "KUBECONFIG="+path)
	}
	for _, e := range env {
		c.Env = append(c.Env, e.name+"="+mounts.rewrite(e.value))
	}
	if len(container.Command) > 0 {
		for _, arg := range container.Command[1:] {
			c.Args = append(c.Args, expand(arg))
		}
	}
	for _, arg := range container.Args {
		c.Args = append(c.Args, expand(arg))
	}
	c.Args = listenOn(c.Args, program.Listen, address)
	if program.Prepare != nil {
		program.Prepare(object, &c)
	}

	log, err := os.OpenFile(filepath.Join(p.node.Logs(), object.Namespace+"_"+object.Name+".log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	cmd = exec.Command(c.Path, c.Args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = c.Env, c.Dir, log, log, time.Second
	if program.Line != nil || program.ReportsReady {
		cmd.Stdout = &lines.Writer{Line: func(line []byte) {
			if program.ReportsReady && isReady(line) {
				reported()
			}
			if program.Line != nil {
				program.Line(p.current(), line)
				return
			}
			_, _ = log.Write(append(line, '\n')) // a log that can't be written is seen soon enough
		}}
	}
	return cmd, func() { _ = log.Close() }, nil
}

// isReady is true of {"kind":"ready"}, with whatever else it has.
func isReady(line []byte) bool {
	var event struct {
		Kind string `json:"kind"`
	}
	return bytes.Contains(line, []byte("ready")) && json.Unmarshal(line, &event) == nil && event.Kind == "ready"
}

// listenOn gives flags that name an address to listen on the pod's own.
func listenOn(args []string, flags map[string]string, address string) []string {
	args = slices.Clone(args)
	given := map[string]bool{}
	for i := range args {
		name, value, joined := strings.Cut(args[i], "=")
		if _, ok := flags[name]; !ok {
			continue
		}
		given[name] = true
		switch {
		case joined:
			args[i] = name + "=" + bind(value, address)
		case i+1 < len(args):
			args[i+1] = bind(args[i+1], address)
		}
	}
	for _, name := range sortedKeys(flags) {
		if !given[name] {
			args = append(args, name+"="+bind(flags[name], address))
		}
	}
	return args
}

// bind puts the pod's address in the place of a host that is none in particular.
func bind(listen, address string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err != nil || host != "" && (ip == nil || !ip.IsUnspecified()) {
		return listen
	}
	return net.JoinHostPort(address, port)
}

// expand replaces $(NAME) where there is such a variable, and $$ by $, as a
// kubelet does.
func expand(text string, get func(string) (string, bool)) string {
	var out strings.Builder
	for {
		before, after, ok := strings.Cut(text, "$")
		out.WriteString(before)
		switch {
		case !ok:
			return out.String()
		case strings.HasPrefix(after, "$"):
			out.WriteByte('$')
			text = after[1:]
		case strings.HasPrefix(after, "("):
			name, rest, closed := strings.Cut(after[1:], ")")
			if value, known := get(name); closed && known {
				out.WriteString(value)
				text = rest
				continue
			}
			fallthrough
		default:
			out.WriteByte('$')
			text = after
		}
	}
}

// describe names a reference in an error.
func describe(kind, namespace, name, key string) string {
	return fmt.Sprintf("%s %s/%s, key %s", kind, namespace, name, key)
}
