// Package bypass names every way past a target that manifests leave open.
//
// In mode Target Headroom tells KEDA a number of replicas that the databases
// carry. Between that number and the pods stand a ScaledObject, an HPA and a
// Deployment (or a ScaledJob), and each can be written so that there come to be
// more pods than the number says, or so that there stay more. [Find] says which
// do, in words, and what would close each way. Mode Observe has no target to get
// past.
//
// Mode Gate closes them all, where the pods carry the gate: what is above the
// budget waits. Then [Find] says where pods don't wait, or would wait for ever, and
// what else has to be right for them to be let through, rolled out and shed.
//
// It works on what the objects say and does no I/O: a file, an API server and an
// informer's cache are the same to it.
package bypass
