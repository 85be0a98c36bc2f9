// Package kubeflags is how commands are told which cluster they speak to: the
// flags that kubectl has, by the names that it gives them.
package kubeflags
