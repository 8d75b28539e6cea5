//go:build !asan

package pyembed

const underASan = false
