//go:build !race

package pyembed

const underRace = false
