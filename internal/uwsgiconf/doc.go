// Package uwsgiconf reads uWSGI's configuration files, ini and YAML, as uWSGI does,
// and says what each option comes to in this server's settings. What the settings do
// may not enter, nor a Python.
//
// Read yields the options with their places, Convert the settings and a verdict on
// each option.
package uwsgiconf
