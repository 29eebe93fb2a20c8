package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestFindSpec(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		spec spec
		ok   bool
	}{
		"create": {
			[]string{"--root", "/run/r", "--log", "/b/log.json", "--log-format", "json", "create", "--bundle", "/b", "--pid-file", "/b/pid", "id"},
			spec{path: "/b/config.json"}, true,
		},
		"a global flag with its value inline": {[]string{"--root=/run/r", "--systemd-cgroup", "run", "-b=/c", "id"}, spec{path: "/c/config.json"}, true},
		"no bundle: the working directory":    {[]string{"create", "id"}, spec{path: "config.json"}, true},
		"exec with a process file": {
			[]string{"--root", "exec", "exec", "--process", "/tmp/p1", "--detach", "id"},
			spec{path: "/tmp/p1", process: true}, true,
		},
		"exec by arguments":   {[]string{"exec", "id", "sh"}, spec{}, false},
		"a command with none": {[]string{"--root", "/r", "delete", "--force", "create"}, spec{}, false},
		"no command":          {[]string{"--version"}, spec{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := findSpec(test.args)
			if got != test.spec || ok != test.ok {
				t.Errorf("got %+v, %v; want %+v, %v", got, ok, test.spec, test.ok)
			}
		})
	}
}

func TestBoundingSet(t *testing.T) {
	// All but number 24, and none past 40.
	set, err := boundingSet("Name:\tx\nCapEff:\t0000000000000000\nCapBnd:\t000001fffeffffff\nCapAmb:\t0\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(set) != 41 {
		t.Errorf("%d capabilities, want 41", len(set))
	}
	for name, has := range set {
		if has != (name != "CAP_SYS_RESOURCE") {
			t.Errorf("%s: %v", name, has)
		}
	}
	for _, bad := range []string{"", "CapBnd:\tnone"} {
		if _, err := boundingSet(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

var withoutResource = map[string]bool{"CAP_SYS_RESOURCE": false, "CAP_KILL": true}

func TestDropFromConfig(t *testing.T) {
	text := `{"ociVersion":"1.0.2","process":{"args":["sh"],"capabilities":{"bounding":["CAP_KILL","CAP_SYS_RESOURCE"],` +
		`"effective":["CAP_SYS_RESOURCE"],"permitted":["CAP_FUTURE"]},"oomScoreAdj":9007199254740993},"root":null}`
	want := `{"ociVersion":"1.0.2","process":{"args":["sh"],"capabilities":{"bounding":["CAP_KILL"],` +
		`"effective":[],"permitted":["CAP_FUTURE"]},"oomScoreAdj":9007199254740993},"root":null}`
	got, changed, err := drop([]byte(text), false, withoutResource)
	if err != nil || !changed || string(got) != want {
		t.Errorf("changed %v, error %v:\n%s\nwant\n%s", changed, err, got, want)
	}
}

func TestDropLeavesTheRestAlone(t *testing.T) {
	for _, test := range []struct {
		text    string
		process bool
	}{
		{`{ "process": { "capabilities": { "bounding": ["CAP_KILL"] } } }`, false},
		{`{ "capabilities": null }`, true},
		{`{ "args": [] }`, true},
		{`{ "capabilities": { "bounding": ["CAP_SYS_RESOURCE"] } }`, false},
	} {
		got, changed, err := drop([]byte(test.text), test.process, withoutResource)
		if err != nil || changed || string(got) != test.text {
			t.Errorf("%s: changed %v, error %v: %s", test.text, changed, err, got)
		}
	}
	if _, _, err := drop([]byte(`[]`), false, withoutResource); err == nil {
		t.Error("a specification that is no object was accepted")
	}
}

func TestDropFromFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "process")
	if err := os.WriteFile(path, []byte(`{"capabilities":{"ambient":["CAP_SYS_RESOURCE","CAP_KILL"]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := dropFromFile(spec{path: path, process: true}, withoutResource); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Capabilities map[string][]string }
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if want := map[string][]string{"ambient": {"CAP_KILL"}}; !reflect.DeepEqual(got.Capabilities, want) {
		t.Errorf("got %v, want %v", got.Capabilities, want)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	if err := dropFromFile(spec{path: path + "-not-there"}, withoutResource); err == nil {
		t.Error("a file that is not there was accepted")
	}
}
