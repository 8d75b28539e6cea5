// Package onefile makes a program of one file: it collects a CPython, an application, its
// packages and the libraries that all of them need, and has them packed behind a
// launcher.
//
// What may enter: finding files, changing them so that they find each other, asking
// pip and the go command. What may not: cgo, the command line, the archive's format.
//
// In the archive everything lies as an installation of Python does, with the C library
// in its folder lib: an rpath of $ORIGIN/../lib leads the program there, as it does the
// python of python-build-standalone, and objects whose own rpath ends the search
// (DT_RUNPATH) get the older kind, which does not. The path of the dynamic linker,
// which the kernel wants whole, is written in when the folder is known.
package onefile
