// Package master keeps a number of workers alive: processes of this same program
// that share its listeners. It starts, replaces, reloads and ends them, and holds
// the worker's end of the line to its master. Python, requests and what a worker
// does with its listeners may not enter.
//
// fleet decides, and scaler how many there should be, without processes or clocks;
// Master does what they say, as a Generation, one reading of the configuration, has it;
// Link is the worker's side.
package master
