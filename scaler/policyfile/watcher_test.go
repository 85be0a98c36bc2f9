package policyfile

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/scaler/policies"
)

// watch returns a watcher with a keeper of its own.
func watch(options policies.Options, interval time.Duration, paths ...string) *Watcher {
	return New(Options{Paths: paths, Interval: interval, Origin: policies.NewKeeper(options).Origin("files", true)})
}

// document is a policy of one database and one workload on it.
func document(name string, connectionsPerPod any) string {
	return fmt.Sprintf(`apiVersion: keda-headroom.github.io/v1alpha1
kind: Policy
metadata: {namespace: shop, name: %[1]s}
databases:
- name: %[1]s-db
  postgresql: {dsn: {env: DSN}}
workloads:
- name: %[1]s-workers
  databaseRefs: [{name: %[1]s-db, user: worker, connectionsPerPod: %[2]v}]
  sqs: {queueName: %[1]s, messagesPerPod: 20}
`, name, connectionsPerPod)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// describe is a result in one line: workloads with their connections per pod, and
// documents.
func describe(r policies.Result) string {
	var parts []string
	for _, w := range r.Set.Workloads {
		parts = append(parts, fmt.Sprintf("%s=%d", w.ID.Name, w.Databases[0].ConnectionsPerPod))
	}
	for _, d := range r.Documents {
		mark := "-"
		if d.Valid {
			mark = "+"
		}
		parts = append(parts, mark+strings.TrimPrefix(d.Namespace+"/"+d.Name, "/"))
	}
	if !r.InForce {
		parts = append(parts, "nothing in force")
	}
	if !r.Valid {
		parts = append(parts, "invalid")
	}
	return strings.Join(parts, " ")
}

func TestAFilesEditsOneByOne(t *testing.T) {
	directory := t.TempDir()
	orders, invoices := filepath.Join(directory, "orders.yaml"), filepath.Join(directory, "invoices.yaml")
	var log bytes.Buffer
	w := watch(policies.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, 0, directory)
	step := func(what, want string) {
		t.Helper()
		if got := describe(w.Load()); got != want {
			t.Errorf("%s:\n got %s\nwant %s", what, got, want)
		}
	}

	step("an empty directory is a policy that governs nothing", "")
	write(t, orders, document("orders", 5))
	step("a file appears", "orders-workers=5 +shop/orders")
	write(t, invoices, document("invoices", 3))
	step("another appears", "invoices-workers=3 orders-workers=5 +shop/invoices +shop/orders")

	write(t, orders, document("orders", `"many"`))
	step("a bad edit: the last good version stays", "invoices-workers=3 orders-workers=5 +shop/invoices -shop/orders invalid")
	if !strings.Contains(log.String(), "connectionsPerPod") || !strings.Contains(log.String(), orders) {
		t.Errorf("the log does not say what is wrong, and where:\n%s", &log)
	}
	write(t, invoices, document("invoices", 4))
	step("the other file can still be edited", "invoices-workers=4 orders-workers=5 +shop/invoices -shop/orders invalid")
	write(t, orders, "")
	step("an empty file is a bad edit too", "invoices-workers=4 orders-workers=5 +shop/invoices -shop/orders invalid")
	write(t, orders, document("orders", 6))
	step("the edit is mended", "invoices-workers=4 orders-workers=6 +shop/invoices +shop/orders")

	write(t, invoices, document("orders", 9))
	step("a file claims what another has: nothing changes", "invoices-workers=4 orders-workers=6 -shop/orders invalid")
	write(t, orders, document("orders", 7))
	step("nor does anything else until that is settled", "invoices-workers=4 orders-workers=6 -shop/orders invalid")
	write(t, invoices, document("invoices", 4))
	step("it is settled", "invoices-workers=4 orders-workers=7 +shop/invoices +shop/orders")

	if err := os.Remove(invoices); err != nil {
		t.Fatal(err)
	}
	step("a file is removed", "orders-workers=7 +shop/orders")
	moved := directory + "-moved"
	if err := os.Rename(directory, moved); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(moved) })
	step("the directory can't be read: what was in it stays", "orders-workers=7 -shop/orders invalid")
}

func TestWhatIsRightAtTheStartIsInForce(t *testing.T) {
	directory := t.TempDir()
	good, bad := filepath.Join(directory, "good.yaml"), filepath.Join(directory, "bad.yaml")
	write(t, good, document("orders", 5))
	write(t, bad, "kind: Policy\n")
	if got, want := describe(watch(policies.Options{}, 0, good, bad).Load()), "orders-workers=5 -bad.yaml +shop/orders invalid"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := describe(watch(policies.Options{}, 0, bad).Load()), "-bad.yaml nothing in force invalid"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	missing := filepath.Join(directory, "missing.yaml")
	if got, want := describe(watch(policies.Options{}, 0, missing).Load()), "nothing in force invalid"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	write(t, filepath.Join(directory, "other.yaml"), document("orders", 6))
	w := watch(policies.Options{}, 0, good, filepath.Join(directory, "other.yaml"))
	if got, want := describe(w.Load()), "orders-workers=5 -shop/orders invalid"; got != want {
		t.Errorf("two claims from the start: got %s, want %s", got, want)
	}
}

func TestADirectoryAsKubernetesMountsIt(t *testing.T) {
	directory := t.TempDir()
	version := filepath.Join(directory, "..2026_01_01")
	if err := os.Mkdir(version, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(version, "orders.yaml"), document("orders", 5))
	for link, to := range map[string]string{"..data": "..2026_01_01", "orders.yaml": "..data/orders.yaml"} {
		if err := os.Symlink(to, filepath.Join(directory, link)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(directory, "README.md"), "not a policy")
	if got, want := describe(watch(policies.Options{}, 0, directory).Load()), "orders-workers=5 +shop/orders"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWhatIsNoFileIsNotWaitedFor(t *testing.T) {
	if got, want := describe(watch(policies.Options{}, 0, os.DevNull).Load()), "-null nothing in force invalid"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRunSeesEditsAndRemarksEachOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.yaml")
	write(t, path, document("orders", 5))
	results := make(chan policies.Result, 100)
	w := watch(policies.Options{Loaded: func(r policies.Result) { results <- r }}, time.Millisecond, path)
	ctx, cancel := context.WithCancel(t.Context())
	w.Load()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx)
	}()
	next := func(want string) {
		t.Helper()
		select {
		case r := <-results:
			if got := describe(r); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("nothing was loaded, want %s", want)
		}
	}
	next("orders-workers=5 +shop/orders")
	replace := func(text string) {
		t.Helper()
		write(t, path+".new", text)
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	replace(document("orders", -1))
	next("orders-workers=5 -shop/orders invalid")
	replace(document("orders", 8))
	next("orders-workers=8 +shop/orders")
	cancel()
	<-done
	if len(results) > 0 {
		t.Errorf("loaded once more than there were edits: %s", describe(<-results))
	}
}
