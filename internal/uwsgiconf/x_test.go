package uwsgiconf

import (
	"fmt"
	"os"
	"testing"
)

func TestRuleNames(t *testing.T) {
	for name := range rules {
		if _, ok := known[name]; !ok {
			t.Errorf("no option %s", name)
		}
	}
}
func TestShow(t *testing.T) {
	f := os.Getenv("F")
	if f == "" {
		t.Skip()
	}
	all, err := Read(f, INI, os.Environ(), "")
	if err != nil {
		t.Fatal(err)
	}
	c := Convert(all)
	fmt.Println("APP", c.App, "ERR", c.Err())
	for _, n := range c.Notes {
		fmt.Println([]string{"kept", "needless", "LOST", "REFUSED"}[n.Fate], n.Place, n.Name, "=", n.Value, "|", n.Text)
	}
	text, _ := c.Values.MarshalJSON()
	fmt.Println(string(text))
}
