// Package arrivals reads how many messages came to a queue and when, as counts of
// intervals, and draws the single messages from them.
package arrivals
