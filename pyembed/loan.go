package pyembed

/*
#include "gowsgi.h"
*/
import "C"

import (
	"time"
	"unsafe"

	"github.com/gowsgi/gowsgi/bridge"
)

// A larger one would break what bridge.LendFrom promises.
var _ = [1]struct{}{}[bridge.LendFrom-C.GW_LEND]

// loanRest is how long an object that was lent is kept at most when it is needed no
// more: executors release it if they serve something meanwhile.
const loanRest = 100 * time.Millisecond

// loan is a bytes object that an exchange owns. As an interface's value it is no
// allocation, which it would be with a pointer to a C type.
type loan struct{ object unsafe.Pointer }

// Return implements bridge.Loan.
func (l loan) Return() {
	if C.gw_return((*C.PyObject)(l.object)) {
		time.AfterFunc(loanRest, func() { C.gw_reap() })
	}
}
