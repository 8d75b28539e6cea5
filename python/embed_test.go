package python

import (
	"regexp"
	"strings"
	"testing"
)

func TestSourcesHoldTheModulesTheServerCalls(t *testing.T) {
	sources := Sources()
	for _, module := range []string{"gowsgi", "gowsgi.apps", "gowsgi.embed", "gowsgi.zygote", "gowsgi._version"} {
		if _, ok := sources[module]; !ok {
			t.Errorf("module %q is not embedded", module)
		}
	}
	if _, ok := sources["gowsgi._bootstrap"]; ok {
		t.Error("the bootstrap is listed as a module")
	}
	if !strings.Contains(Bootstrap(), "sys.meta_path.insert(0") {
		t.Error("the bootstrap installs no finder")
	}
}

func TestVersionIsReadFromThePythonSide(t *testing.T) {
	if v := Version(); !regexp.MustCompile(`^\d+\.\d+\.\d+`).MatchString(v) {
		t.Errorf("Version() = %q", v)
	}
}
