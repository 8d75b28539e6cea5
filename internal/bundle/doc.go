// Package bundle reads and writes programs of one file: a launcher with an archive
// behind it, and unpacks such an archive to a folder, once.
//
// What may enter: the archive's format and the folder. What may not: what is in an
// archive and how it was found, which is package onefile's.
//
// The format: the launcher's bytes; frames; the index; the trailer, which is at the
// file's end. Frames are zstd, each for itself, so that they are packed and unpacked
// side by side; one after another they hold the files' bytes without gaps, in the
// index's order. The index is JSON, packed too. The trailer has the sizes and the
// index's SHA-256, the index the frames': whoever knows the trailer can check all.
// That hash is also the name of the archive's content.
package bundle
