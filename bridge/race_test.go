//go:build race

package bridge

// underRace: sync.Pool then drops at random what it is given.
const underRace = true
