package pyembed

/*
#include "gowsgi.h"
*/
import "C"

import "os"

// ForgetCode takes the code and constants of this program and of its libraries out of
// its memory; the kernel brings back what is used, from the files as it has them
// cached. For the end of a start: importing an application runs a lot that requests do
// not, and the kernel maps neighbours with it.
func ForgetCode() { C.gw_forget_code(C.size_t(os.Getpagesize())) }
