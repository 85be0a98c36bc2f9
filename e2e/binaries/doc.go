// Package binaries builds the programs that end-to-end tests run, and keeps what
// takes long to build: the control plane and KEDA, from the modules e2e/controlplane
// and e2e/keda.
//
// They are kept in $XDG_CACHE_HOME/headroom/e2e (~/.cache/headroom/e2e where that is
// not set), in a directory for each version of a module and of Go, so that clones
// share them and a new version never meets an old one. Headroom's own programs are
// always built; Go's build cache makes that quick.
package binaries
