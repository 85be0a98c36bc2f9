// Package redact replaces names in what Headroom shows of itself, so that it can be
// given to others: recordings, plans and metrics. Whatever is not a number, a time or a
// word of Headroom's own is replaced, by the same word every time.
package redact
