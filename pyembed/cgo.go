package pyembed

// The rpath is for programs of one file (internal/onefile), where the C library lies
// there; elsewhere there is none to be found.

/*
#cgo CFLAGS: -std=gnu11 -O2 -Wall -Wextra -Werror=implicit-function-declaration
#cgo LDFLAGS: -ldl -lpthread
#cgo linux LDFLAGS: -Wl,-rpath,$ORIGIN/../lib
#cgo noescape gw_start
#cgo nocallback gw_start
#cgo noescape gw_next
#cgo nocallback gw_next
#cgo noescape gw_finish
#cgo nocallback gw_finish
#cgo noescape gw_outbox_take
#cgo nocallback gw_outbox_take
#include "gowsgi.h"
*/
import "C"
