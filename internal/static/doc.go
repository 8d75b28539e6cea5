// Package static answers requests with files, as uWSGI's static-map and check-static
// do. Applications may not enter.
package static
