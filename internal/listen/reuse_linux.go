package listen

const soReusePort = 15 // asm-generic/socket.h; package syscall lacks it on this system
