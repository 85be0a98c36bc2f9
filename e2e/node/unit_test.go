package node

import (
	"net/netip"
	"slices"
	"testing"
)

func TestAddressesComeBackLast(t *testing.T) {
	a, err := NewAddresses(netip.MustParsePrefix("127.9.0.0/29"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	take := func() netip.Addr {
		t.Helper()
		address, err := a.take()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, address.String())
		return address
	}
	first := take()
	second := take()
	a.giveBack(first)
	for range 5 { // 127.9.0.3 to .7
		take()
	}
	a.giveBack(second)
	take()
	take()
	want := []string{"127.9.0.1", "127.9.0.2", "127.9.0.3", "127.9.0.4", "127.9.0.5", "127.9.0.6", "127.9.0.7", "127.9.0.1", "127.9.0.2"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if address, err := a.take(); err == nil {
		t.Errorf("all are in use, and it gave %v", address)
	}

	wide, err := NewAddresses(netip.MustParsePrefix("127.9.0.0/23"))
	if err != nil {
		t.Fatal(err)
	}
	for range 508 {
		address, err := wide.take()
		if err != nil {
			t.Fatal(err)
		}
		if last := address.As4()[3]; last == 0 || last == 255 {
			t.Errorf("it gave %v", address)
		}
	}
	if address, err := wide.take(); err == nil {
		t.Errorf("all are in use, and it gave %v", address)
	}
	for _, wrong := range []string{"10.0.0.0/16", "127.0.0.0/31", "::1/128"} {
		if _, err := NewAddresses(netip.MustParsePrefix(wrong)); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
	if _, err := Loopback(255); err == nil {
		t.Error("127.255.0.0/16 was taken")
	}
}

func TestImageNames(t *testing.T) {
	for image, want := range map[string]string{
		"worker":                                 "worker",
		"worker:1.2":                             "worker",
		"ghcr.io/keda-headroom/headroom:v1":      "ghcr.io/keda-headroom/headroom",
		"localhost:5000/worker":                  "localhost:5000/worker",
		"localhost:5000/worker:1@sha256:0123abc": "localhost:5000/worker",
	} {
		if got := imageName(image); got != want {
			t.Errorf("%s: %s, want %s", image, got, want)
		}
	}
}

func TestExpand(t *testing.T) {
	env := environment{{"A", "old"}, {"B", "$(A)"}, {"A", "1"}}
	for text, want := range map[string]string{
		"":                 "",
		"plain":            "plain",
		"$(A)-$(A)":        "1-1",
		"$(B)":             "$(A)",
		"$$(A) $(C) $A $":  "$(A) $(C) $A $",
		"$(A":              "$(A",
		"--address=$(A):6": "--address=1:6",
	} {
		if got := expand(text, env.get); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestPathsInMounts(t *testing.T) {
	m := mounts{{"/etc/headroom", "/tmp/p/config"}, {"/etc/headroom/tls", "/tmp/p/tls"}, {"/data", "/tmp/p/data"}}
	for text, want := range map[string]string{
		"/etc/headroom":                        "/tmp/p/config",
		"--policy=/etc/headroom/policy.yaml":   "--policy=/tmp/p/config/policy.yaml",
		"--cert=/etc/headroom/tls/tls.crt":     "--cert=/tmp/p/tls/tls.crt",
		"/etc/headroom-other /my/data /data.x": "/etc/headroom-other /my/data /data.x",
		"/data:/data,x":                        "/tmp/p/data:/tmp/p/data,x",
		"nothing":                              "nothing",
	} {
		if got := m.rewrite(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestListensOnThePodsAddress(t *testing.T) {
	flags := map[string]string{"--grpc-address": ":6000", "--http-address": ":8080"}
	for _, c := range []struct{ args, want []string }{
		{nil, []string{"--grpc-address=127.9.0.1:6000", "--http-address=127.9.0.1:8080"}},
		{[]string{"serve", "--grpc-address=:7000", "--http-address", "0.0.0.0:80", "-v"}, []string{"serve", "--grpc-address=127.9.0.1:7000", "--http-address", "127.9.0.1:80", "-v"}},
		{[]string{"--grpc-address=[::]:1", "--http-address=127.0.0.1:2"}, []string{"--grpc-address=127.9.0.1:1", "--http-address=127.0.0.1:2"}},
	} {
		if got := listenOn(c.args, flags, "127.9.0.1"); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.args, got, c.want)
		}
	}
}
