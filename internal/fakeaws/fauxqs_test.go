package fakeaws

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// fauxqsVersion is the last that runs on Node 20; 2.x needs Node 22.
const fauxqsVersion = "1.9.2"

// fauxqsProgram serves on a free loopback port, prints its URL, and ends with
// its standard input: when the test ends, however it ends. (The package's own
// command listens on every address.)
const fauxqsProgram = `
import { buildApp } from "fauxqs";
process.stdin.on("end", () => process.exit(0)).resume();
console.log(await buildApp({ logger: false }).listen({ port: 0, host: "127.0.0.1" }));
`

// startFauxqs runs the independent emulator until the test ends. Where Node or
// npm is missing the test is skipped, but in CI (CI set) it fails.
func startFauxqs(t *testing.T) *sqs.Client {
	t.Helper()
	node := needTool(t, "node")
	directory := installFauxqs(t)

	// Not the test's context: a process that ends with its input needs no signal.
	command := exec.Command(node, "--input-type=module", "--eval", fauxqsProgram)
	command.Dir = directory
	command.Stderr = t.Output()
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("fauxqs: %v", err)
	}
	t.Cleanup(func() {
		stdin.Close()
		late := time.AfterFunc(time.Minute, func() { _ = command.Process.Kill() })
		defer late.Stop()
		if err := command.Wait(); err != nil {
			t.Errorf("fauxqs: %v", err)
		}
	})
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("fauxqs: expected its URL, found %q: %v", url, err)
	}
	return sqs.NewFromConfig(aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(strings.TrimSpace(url)),
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
}

// needTool finds a program on the path.
func needTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("fauxqs: %v; in CI the suite must run against fauxqs, so Node 20 with npm has to be installed", err)
	}
	t.Skipf("fauxqs: %v; install Node 20 with npm to run the suite against fauxqs, as CI does", err)
	return ""
}

// installFauxqs returns a directory whose node_modules holds fauxqs: that of
// HEADROOM_FAUXQS_DIR, or one in the user's cache that the first run fills.
func installFauxqs(t *testing.T) string {
	t.Helper()
	directory := os.Getenv("HEADROOM_FAUXQS_DIR")
	if directory == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatalf("fauxqs: %v; HEADROOM_FAUXQS_DIR can name a directory for it", err)
		}
		directory = filepath.Join(cache, "headroom", "fauxqs-"+fauxqsVersion)
	}
	if _, err := os.Stat(filepath.Join(directory, "node_modules", "fauxqs", "package.json")); err == nil {
		return directory
	}
	npm := needTool(t, "npm")
	if err := os.MkdirAll(filepath.Dir(directory), 0o755); err != nil {
		t.Fatalf("fauxqs: %v", err)
	}
	// Into a directory aside and then renamed: a test that is cut short, or two
	// at once, leave nothing half installed.
	aside, err := os.MkdirTemp(filepath.Dir(directory), "fauxqs-installing-")
	if err != nil {
		t.Fatalf("fauxqs: %v", err)
	}
	defer func() { _ = os.RemoveAll(aside) }()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, npm, "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts",
		"--prefix", aside, "fauxqs@"+fauxqsVersion)
	install.Dir = aside
	if output, err := install.CombinedOutput(); err != nil {
		t.Fatalf("fauxqs: npm install: %v\n%s", err, output)
	}
	if err := os.Rename(aside, directory); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatalf("fauxqs: %v", err)
	}
	return directory
}
