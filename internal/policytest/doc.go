// Package policytest runs users' own tests of their policies: given these
// readings, that target is expected. It decides as the server does, over a made-up
// time; docs/policy-tests.md describes the files.
package policytest
