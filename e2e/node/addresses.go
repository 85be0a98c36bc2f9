package node

import (
	"fmt"
	"net/netip"
	"sync"
)

// Addresses gives each pod an address. One that is given back is not used again
// before all others were, so that whoever remembers one is not fooled soon.
type Addresses struct {
	prefix netip.Prefix

	mu   sync.Mutex
	next netip.Addr
	used map[netip.Addr]struct{}
}

// NewAddresses has those of one network of 127.0.0.0/8, as 127.5.0.0/16.
func NewAddresses(network netip.Prefix) (*Addresses, error) {
	network = network.Masked()
	if !network.Addr().Is4() || !network.Addr().IsLoopback() || network.Bits() < 8 || network.Bits() > 30 {
		return nil, fmt.Errorf("addresses of pods: expected a network inside 127.0.0.0/8, found %s", network)
	}
	return &Addresses{prefix: network, next: network.Addr(), used: map[netip.Addr]struct{}{}}, nil
}

// Loopback has those of 127.N.0.0/16, N from 1 to 254.
func Loopback(n int) (*Addresses, error) {
	if n < 1 || n > 254 {
		return nil, fmt.Errorf("addresses of pods: expected 127.N.0.0/16 with N from 1 to 254, found %d", n)
	}
	return NewAddresses(netip.PrefixFrom(netip.AddrFrom4([4]byte{127, byte(n), 0, 0}), 16))
}

// take returns an address that nobody has.
func (a *Addresses) take() (netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for wrapped := false; ; {
		a.next = a.next.Next()
		if !a.prefix.Contains(a.next) {
			if wrapped {
				return netip.Addr{}, fmt.Errorf("addresses of pods: all of %s are in use", a.prefix)
			}
			wrapped, a.next = true, a.prefix.Addr()
			continue
		}
		if _, used := a.used[a.next]; used || isEdge(a.next) {
			continue
		}
		a.used[a.next] = struct{}{}
		return a.next, nil
	}
}

// isEdge leaves out what looks like a network's own or its broadcast address.
func isEdge(a netip.Addr) bool {
	last := a.As4()[3]
	return last == 0 || last == 255
}

func (a *Addresses) giveBack(address netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.used, address)
}
