// Package awscall is what the readers of AWS services share: how a request that
// failed is classed, and told so that a person knows what to do; how requests are
// counted; how credentials are kept out of every text; and how an SDK client is
// pointed at an endpoint.
package awscall
