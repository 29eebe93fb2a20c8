package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// capabilityNames: the position is the number of the capability in the kernel (linux/capability.h).
var capabilityNames = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
	"CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW",
	"CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT",
	"CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD",
	"CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
	"CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
}

// boundingSet reads the capabilities that a process may have at all from the text of its /proc/<pid>/status.
func boundingSet(status string) (map[string]bool, error) {
	for line := range strings.SplitSeq(status, "\n") {
		text, ok := strings.CutPrefix(line, "CapBnd:")
		if !ok {
			continue
		}
		mask, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
		if err != nil {
			return nil, fmt.Errorf("the capability bounding set: %w", err)
		}
		set := map[string]bool{}
		for number, name := range capabilityNames {
			set[name] = mask&(1<<number) != 0
		}
		return set, nil
	}
	return nil, fmt.Errorf("no CapBnd line in the process status")
}

// dropFromFile takes the capabilities that the bounding set lacks from a specification file. A file that needs no change is not written.
func dropFromFile(file spec, bounding map[string]bool) error {
	text, err := os.ReadFile(file.path)
	if err != nil {
		return err
	}
	edited, changed, err := drop(text, file.process, bounding)
	if err != nil {
		return fmt.Errorf("%s: %w", file.path, err)
	}
	if !changed {
		return nil
	}
	info, err := os.Stat(file.path)
	if err != nil {
		return err
	}
	return os.WriteFile(file.path, edited, info.Mode().Perm())
}

// drop edits the text of a specification. All but the lists of capabilities stays as it was, byte for byte within each member.
func drop(text []byte, process bool, bounding map[string]bool) ([]byte, bool, error) {
	if !process {
		return member(text, "process", func(value []byte) ([]byte, bool, error) { return drop(value, true, bounding) })
	}
	return member(text, "capabilities", func(value []byte) ([]byte, bool, error) {
		var sets map[string][]string
		if err := json.Unmarshal(value, &sets); err != nil {
			return nil, false, err
		}
		changed := false
		for set, names := range sets {
			kept := make([]string, 0, len(names))
			for _, name := range names {
				// One that is not in our table is left for runc to judge.
				if has, known := bounding[name]; has || !known {
					kept = append(kept, name)
				}
			}
			changed = changed || len(kept) != len(names)
			sets[set] = kept
		}
		if !changed {
			return value, false, nil
		}
		edited, err := json.Marshal(sets)
		return edited, true, err
	})
}

// member edits one member of a JSON object and keeps the rest. An object without it (or with null) is left unchanged.
func member(text []byte, name string, edit func([]byte) ([]byte, bool, error)) ([]byte, bool, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, false, err
	}
	value, ok := object[name]
	if !ok || string(value) == "null" {
		return text, false, nil
	}
	edited, changed, err := edit(value)
	if err != nil || !changed {
		return text, false, err
	}
	object[name] = edited
	whole, err := json.Marshal(object)
	return whole, true, err
}
