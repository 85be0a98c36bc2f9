package tcpforward_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/tcpforward"
)

const patience = time.Minute

// greeter is a server that says its name and the client's IP address to
// everybody, and then repeats every line.
func greeter(t *testing.T, name string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = fmt.Fprintf(c, "%s sees %s\n", name, c.RemoteAddr().(*net.TCPAddr).IP)
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func listen(t *testing.T, target string) *tcpforward.Forwarder {
	t.Helper()
	f, err := tcpforward.Listen(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return f
}

type client struct {
	*testing.T
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, f *tcpforward.Forwarder, from string) client {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", f.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return client{t, c, bufio.NewReader(c)}
}

func (c client) hear(want string) {
	c.Helper()
	if got, err := c.lines.ReadString('\n'); got != want+"\n" {
		c.Errorf("heard %q (%v), want %q", got, err, want)
	}
}

func (c client) say(line string) {
	c.Helper()
	if _, err := fmt.Fprintln(c, line); err != nil {
		c.Error(err)
	}
}

// silent checks that nothing arrives, for as long as a loopback connection
// could possibly need.
func (c client) silent() {
	c.Helper()
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if got, err := c.lines.ReadString('\n'); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.Errorf("heard %q (%v), want nothing", got, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
}

func (c client) cut() {
	c.Helper()
	if got, err := c.lines.ReadString('\n'); !errors.Is(err, syscall.ECONNRESET) {
		c.Errorf("heard %q (%v), want a reset", got, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The name moves to another server: new connections go there, old ones stay
// until they are dropped.
func TestAnotherServer(t *testing.T) {
	t.Parallel()
	f := listen(t, greeter(t, "old"))
	before := dial(t, f, "127.1.2.3")
	before.hear("old sees 127.1.2.3")

	must(t, f.SetTarget(greeter(t, "new")))
	after := dial(t, f, "127.4.5.6")
	after.hear("new sees 127.4.5.6")
	before.say("still here?")
	before.hear("still here?")

	f.DropConnections()
	before.cut()
	after.cut()
	dial(t, f, "127.0.0.1").hear("new sees 127.0.0.1")
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	target := greeter(t, "server")
	f := listen(t, target)
	before := dial(t, f, "127.0.0.1")
	before.hear("server sees 127.0.0.1")

	must(t, f.Refuse())
	must(t, f.Refuse())
	if c, err := net.Dial("tcp", f.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connected to %v (%v), want ECONNREFUSED", c, err)
	}
	before.say("I am in already")
	before.hear("I am in already")

	must(t, f.SetTarget(target))
	dial(t, f, "127.0.0.1").hear("server sees 127.0.0.1")
}

// Nothing gets through while hanging, and nothing is lost by it.
func TestHang(t *testing.T) {
	t.Parallel()
	f := listen(t, greeter(t, "old"))
	before := dial(t, f, "127.0.0.1")
	before.hear("old sees 127.0.0.1")

	must(t, f.Hang())
	during := dial(t, f, "127.0.0.1")
	before.say("anybody there?")
	during.say("hello?")
	before.silent()
	during.silent()

	must(t, f.SetTarget(greeter(t, "new")))
	before.hear("anybody there?")
	during.hear("new sees 127.0.0.1")
	during.hear("hello?")

	// From hanging to refusing: what was held goes on.
	must(t, f.Hang())
	before.say("again?")
	before.silent()
	must(t, f.Refuse())
	before.hear("again?")
	must(t, f.Hang())
	dial(t, f, "127.0.0.1").silent()
}

// A target that nobody listens on resets the client, while it connects or
// soon after.
func TestNobodyBehind(t *testing.T) {
	t.Parallel()
	f := listen(t, "127.0.0.1:1") // tcpmux, a service that no machine has
	c, err := net.Dial("tcp", f.Addr())
	if err == nil {
		_ = c.SetDeadline(time.Now().Add(patience))
		_, err = c.Read(make([]byte, 1))
		_ = c.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

// The end of one direction is passed on, and the other still works.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	c := dial(t, listen(t, greeter(t, "server")), "127.0.0.1")
	c.hear("server sees 127.0.0.1")
	c.say("last words")
	must(t, c.Conn.(*net.TCPConn).CloseWrite())
	c.hear("last words")
	if got, err := c.lines.ReadString('\n'); err != io.EOF {
		t.Errorf("heard %q (%v), want the end", got, err)
	}
}

// Close ends held connections too, and the forwarder stays closed.
func TestClose(t *testing.T) {
	t.Parallel()
	f := listen(t, greeter(t, "server"))
	open := dial(t, f, "127.0.0.1")
	open.hear("server sees 127.0.0.1")
	must(t, f.Hang())
	held := dial(t, f, "127.0.0.1")
	must(t, f.Close())
	open.cut()
	held.cut()
	if f.SetTarget("127.0.0.1:1") == nil || f.Hang() == nil {
		t.Error("a closed forwarder opened again")
	}
	must(t, f.Refuse())
}
