// Package tcpforward stands between a client and a server as a name does: it
// keeps one address, and a test decides which server is behind it, or that
// nobody is, or that nothing gets through.
package tcpforward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/keda-headroom/headroom/internal/steadyport"
)

// Forwarder forwards TCP connections from one loopback port to a target. A
// connection keeps the target it began with. Its methods may be called from
// several goroutines.
type Forwarder struct {
	addr  string
	ctx   context.Context // ends with Close
	close context.CancelFunc
	work  sync.WaitGroup

	mu       sync.Mutex
	target   string
	hanging  chan struct{} // not nil while hanging; closed when that ends
	listener net.Listener  // nil while refusing
	open     map[net.Conn]struct{}
}

// dialTimeout bounds the attempt to reach a target, which is a loopback
// address of a live server in all sensible uses.
const dialTimeout = 30 * time.Second

// Listen opens a free port on 127.0.0.1 that forwards to target, a host:port.
func Listen(target string) (*Forwarder, error) {
	l, err := steadyport.Listen()
	if err != nil {
		return nil, err
	}
	f := &Forwarder{addr: l.Addr().String(), target: target, open: map[net.Conn]struct{}{}}
	f.ctx, f.close = context.WithCancel(context.Background())
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accept(l)
	return f, nil
}

// Addr is the forwarder's own host:port. It never changes.
func (f *Forwarder) Addr() string { return f.addr }

// SetTarget forwards new connections to target, and ends Refuse and Hang.
// What was held back by Hang flows on: connections made before it to their
// old target, those made during it to this one.
func (f *Forwarder) SetTarget(target string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.target = target
	f.flow()
	return f.listen()
}

// Refuse makes the port refuse new connections, as that of a machine where no
// server runs. Open connections stay: see DropConnections. It ends Hang.
func (f *Forwarder) Refuse() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flow()
	return f.deafen()
}

// Hang accepts new connections but lets not a byte through, in them and in
// those already open, as a network that loses every packet. It ends Refuse.
func (f *Forwarder) Hang() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hanging == nil {
		f.hanging = make(chan struct{})
	}
	return f.listen()
}

// DropConnections resets all open connections, on both sides.
func (f *Forwarder) DropConnections() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.open {
		reset(c)
	}
}

// Close refuses and drops all connections, and returns when nothing runs any
// more.
func (f *Forwarder) Close() error {
	f.mu.Lock()
	f.close()
	f.flow()
	err := f.deafen()
	for c := range f.open {
		reset(c)
	}
	f.mu.Unlock()
	f.work.Wait()
	return err
}

// flow ends hanging. The caller holds mu.
func (f *Forwarder) flow() {
	if f.hanging != nil {
		close(f.hanging)
		f.hanging = nil
	}
}

// deafen closes the port. The caller holds mu.
func (f *Forwarder) deafen() error {
	if f.listener == nil {
		return nil
	}
	err := f.listener.Close()
	f.listener = nil
	return err
}

// listen opens the port again after deafen. The caller holds mu.
func (f *Forwarder) listen() error {
	if f.ctx.Err() != nil {
		return errors.New("the forwarder is closed")
	}
	if f.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", f.addr)
	if err != nil {
		return fmt.Errorf("listen again where connections were refused: %w", err)
	}
	f.accept(l)
	return nil
}

// accept serves a listener until it is closed. The caller holds mu.
func (f *Forwarder) accept(l net.Listener) {
	f.listener = l
	f.work.Go(func() {
		for {
			client, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				// This one client has gone, or files have run out for a moment.
				select {
				case <-f.ctx.Done():
					return
				case <-time.After(10 * time.Millisecond):
					continue
				}
			}
			f.work.Go(func() { f.serve(client) })
		}
	})
}

// serve carries one connection from its beginning to its end.
func (f *Forwarder) serve(client net.Conn) {
	if !f.track(client) {
		return
	}
	defer f.untrack(client)
	target, ok := f.awaitTarget()
	if !ok {
		return
	}
	server, err := f.dial(target, client)
	if err != nil {
		reset(client) // as close to a refusal as an accepted connection can get
		return
	}
	if !f.track(server) {
		return
	}
	defer f.untrack(server)

	var both sync.WaitGroup
	both.Go(func() { f.carry(server, client) })
	both.Go(func() { f.carry(client, server) })
	both.Wait()
}

// track remembers an open connection, so that it can be dropped. It refuses,
// and closes the connection, when the forwarder is closed.
func (f *Forwarder) track(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ctx.Err() != nil {
		reset(c)
		return false
	}
	f.open[c] = struct{}{}
	return true
}

func (f *Forwarder) untrack(c net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, c)
	_ = c.Close() // it is over either way
}

// awaitTarget waits until nothing hangs, and returns the target then. It
// returns false when the forwarder is closed.
func (f *Forwarder) awaitTarget() (string, bool) {
	for {
		f.mu.Lock()
		target, hanging := f.target, f.hanging
		f.mu.Unlock()
		if f.ctx.Err() != nil {
			return "", false
		}
		if hanging == nil {
			return target, true
		}
		<-hanging // Close ends hanging too
	}
}

// dial reaches the target from the client's own address where that is one of
// this machine's loopback addresses, so that the server can tell clients
// apart as if there were no forwarder.
func (f *Forwarder) dial(target string, client net.Conn) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(f.ctx, dialTimeout)
	defer cancel()
	var d net.Dialer
	to, err := netip.ParseAddrPort(target)
	if from, ok := client.RemoteAddr().(*net.TCPAddr); ok && err == nil && to.Addr().IsLoopback() && to.Addr().Is4() {
		d.LocalAddr = &net.TCPAddr{IP: from.IP}
	}
	return d.DialContext(ctx, "tcp", target)
}

// carry copies from src to dst until src ends, and then tells dst.
func (f *Forwarder) carry(dst, src net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := src.Read(buffer)
		if _, ok := f.awaitTarget(); !ok {
			return
		}
		if n > 0 {
			if _, err := dst.Write(buffer[:n]); err != nil {
				reset(src)
				return
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			if half, ok := dst.(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite() // fails if dst is gone, which its reader finds out
			}
			return
		default:
			reset(dst)
			return
		}
	}
}

// reset ends a connection without farewell: the peer sees ECONNRESET.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // fails only on a closed connection
	}
	_ = c.Close()
}
