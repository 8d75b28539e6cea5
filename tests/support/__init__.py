"""What the tests share: interpreters, server processes, raw HTTP, /proc."""
