// Package node stands in for a kubelet. It registers a Node, runs the pods that
// the scheduler binds to it, one process of this machine for each, and reports
// them as a kubelet does: waiting, running, ready, crashed, terminated, deleted.
//
// Each pod has an address of its own from 127.0.0.0/8, so that servers can tell
// pods apart by where they connect from. Containers are not isolated in any
// other way. A [Program] says what runs for an image.
//
// Annotations of a pod say what happens to it: see [StartDelay] and its
// neighbors. A whole node can be lost: see [Node.Lose].
//
// The file list is the architecture:
//
//	options.go    what a node is told             annotations.go what a pod is told
//	program.go    what runs for an image          addresses.go   where it runs
//	node.go       a node's life, its pods         register.go    the Node object, heartbeats
//	pod.go        a pod's life                    container.go   its process, again and again
//	status.go     what is known of a pod          publish.go     how the API learns it
//	command.go    a container's process           environment.go its environment
//	volume.go     its files                       mount.go       where it finds them
//	kubeconfig.go its ServiceAccount              probe.go       whether it is alive and ready
package node
