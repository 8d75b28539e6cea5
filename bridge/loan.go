package bridge

// LendFrom is the smallest piece of a body, in bytes, that is worth lending: a smaller
// one is copied. It is not less than what an exchange holds of a body anyway, so that
// an executor need not wait for a piece that was lent longer than for a copy.
const LendFrom = highWater

// Loan is somebody else's memory, in which bytes of an answer lie.
type Loan interface {
	// Return is called once, on any goroutine, when nobody reads the bytes any more.
	Return()
}

// borrow takes the place of the last loan, whose bytes nobody reads any more, with the
// one whose bytes are read from now on; nil for none. x.mu is held.
func (x *Exchange) borrow(l Loan) {
	last := x.borrowed
	x.borrowed = l
	if last != nil {
		last.Return()
	}
}

// lend keeps a piece of the body for the front to take; x.mu is held.
func (x *Exchange) lend(p []byte, l Loan) { x.lent, x.loan = p, l }

// unlend drops the piece that the front has not taken, if there is one; x.mu is held.
func (x *Exchange) unlend() {
	last := x.loan
	x.lent, x.loan = nil, nil
	if last != nil {
		last.Return()
	}
}

// giveBack returns a loan that nobody has read.
func giveBack(l Loan) {
	if l != nil {
		l.Return()
	}
}
