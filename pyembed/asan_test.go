//go:build asan

package pyembed

// underASan: a child of a fork deadlocks if another thread held a lock of the
// sanitizer's allocator, which older ones do not release there.
const underASan = true
