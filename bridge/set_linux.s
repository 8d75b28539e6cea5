// Lets set_linux.go declare functions without a body.
