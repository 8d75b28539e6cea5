// Package listen makes the sockets that the server accepts from: addresses bound
// here, unix sockets, and descriptors that were handed to the process. What comes
// in through them may not enter, nor who serves them.
package listen
