package pyembed

/*
#include "gowsgi.h"
*/
import "C"

import (
	"time"

	"github.com/gowsgi/gowsgi/bridge"
)

// A larger one would break what bridge.LendFrom promises.
var _ = [1]struct{}{}[bridge.LendFrom-C.GW_LEND]

// loanRest is how long an object that was lent is kept at most when it is needed no
// more: executors release it if they serve something meanwhile.
const loanRest = 100 * time.Millisecond

// loan is a bytes object that an exchange owns.
type loan struct{ object *C.PyObject }

// Return implements bridge.Loan.
func (l loan) Return() {
	if C.gw_return(l.object) {
		time.AfterFunc(loanRest, func() { C.gw_reap() })
	}
}
