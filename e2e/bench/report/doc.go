// Package report writes what was measured as tables and charts for people.
package report
