package main

import (
	"path/filepath"
	"strings"
)

// spec is a file that holds the capabilities of a process to be started.
type spec struct {
	path string
	// process: the file is a bare process object (of `exec --process`), not a whole config.json with a member of that name.
	process bool
}

// globalFlagsWithValue are runc's flags before the command that take their value as a further argument.
var globalFlagsWithValue = map[string]bool{"log": true, "log-format": true, "root": true, "criu": true, "rootless": true}

// findSpec tells from runc's arguments (without the program's name) which file describes the process that will be started.
// Commands that start none (state, kill, delete, …) have no such file, nor has an exec that is given its command in the arguments.
func findSpec(args []string) (spec, bool) {
	command, rest := splitCommand(args)
	switch command {
	case "create", "run", "restore":
		bundle, ok := flagValue(rest, "bundle", "b")
		if !ok {
			bundle = "."
		}
		return spec{path: filepath.Join(bundle, "config.json")}, true
	case "exec":
		if file, ok := flagValue(rest, "process", "p"); ok {
			return spec{path: file, process: true}, true
		}
	}
	return spec{}, false
}

// splitCommand finds the command behind runc's global flags, and what follows it.
func splitCommand(args []string) (string, []string) {
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "-")
		if !isFlag {
			return args[i], args[i+1:]
		}
		// `--root=x` brings its value along; `--root x` does not.
		if globalFlagsWithValue[strings.TrimPrefix(name, "-")] {
			i++
		}
	}
	return "", nil
}

// flagValue returns the value of the first of a command's flags that has one of the names: --name value, --name=value, one dash or two.
func flagValue(args []string, names ...string) (string, bool) {
	for i, arg := range args {
		if !strings.HasPrefix(arg, "-") {
			continue
		}
		name, value, inline := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		for _, wanted := range names {
			if name != wanted {
				continue
			}
			if inline {
				return value, true
			}
			if i+1 < len(args) {
				return args[i+1], true
			}
		}
	}
	return "", false
}
