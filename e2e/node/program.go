package node

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Program is what runs for an image. The container's own args follow Args; of
// its command the first word is Path here, the others come before its args.
type Program struct {
	// Path of the executable.
	Path string
	// Args that the image would have.
	Args []string
	// Env that the image would have, NAME=value. The container's own overrule it.
	// Nothing is inherited from the test's environment.
	Env []string
	// Listen are flags that name an address to listen on, with what the program
	// takes without the flag, as "--grpc-address": ":6000". The host becomes the
	// pod's address where it is none in particular.
	Listen map[string]string
	// ServiceAccount gives it KUBECONFIG, a file with a token of its pod's
	// ServiceAccount, instead of what a pod finds in /var/run/secrets.
	ServiceAccount bool
	// ReportsReady is true of a program that writes {"kind":"ready"} as a line to
	// its standard output. It is ready then, and when its readinessProbe says so.
	ReportsReady bool
	// Prepare may change a command before it runs; nil changes nothing.
	Prepare func(pod *corev1.Pod, c *Command)
	// Line gets every line of its standard output, one at a time for each pod, and
	// must not block for long. nil puts them into the container's log, where its
	// standard error goes too.
	Line func(pod *corev1.Pod, line []byte)
}

// Command is a process about to run.
type Command struct {
	Path string
	Args []string
	Env  []string // NAME=value
	// Address is the pod's, where it may listen and connect from.
	Address string
	// Dir is an empty directory of its own, its working directory.
	Dir string
}

// imageName is an image without tag and digest.
func imageName(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if colon := strings.LastIndexByte(image, ':'); colon > strings.LastIndexByte(image, '/') {
		image = image[:colon]
	}
	return image
}
