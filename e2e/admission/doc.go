// Package admission holds the admission policies of manifests/components to a real
// API server: who gets the gate, who may remove it, and what Headroom itself may not
// do to pods. It has tests only.
package admission
