package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/gowsgi/gowsgi/internal/settings"
)

// printConfig prints every setting's value, one a line.
func printConfig(w io.Writer, v *settings.Values) error {
	all := v.Complete()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		text := shown(all[name])
		if settings.Lookup(name).Kind == settings.Hook {
			text = map[any]string{true: "<" + name + "()>", false: "None"}[all[name]]
		}
		if _, err := fmt.Fprintf(w, "%-34s = %s\n", name, text); err != nil {
			return err
		}
	}
	return nil
}

// shown writes a value as the configuration file would have it.
func shown(value any) string {
	switch value := value.(type) {
	case string:
		return fmt.Sprintf("%q", value)
	case bool:
		return map[bool]string{true: "True", false: "False"}[value]
	case []string:
		text := "["
		for i, one := range value {
			if i > 0 {
				text += ", "
			}
			text += fmt.Sprintf("%q", one)
		}
		return text + "]"
	case map[string]any:
		text := "{"
		for i, key := range slices.Sorted(maps.Keys(value)) {
			if i > 0 {
				text += ", "
			}
			text += fmt.Sprintf("%q: %s", key, shown(value[key]))
		}
		return text + "}"
	}
	return fmt.Sprint(value)
}

// setProcessName is what ps -C and top show of this process, its first 15 bytes
// (proc(5), comm). Where the system has no such file the name stays.
func setProcessName(name string) {
	_ = os.WriteFile("/proc/self/comm", []byte(name), 0)
}
