// Command oci-runtime runs containers by runc on a host whose own capabilities are restricted.
//
// `docker run --privileged`, which kind needs, asks for every capability that Docker knows. On a host whose capability bounding set
// lacks one of them (a sandbox, a nested container) runc refuses: "unable to apply caps". This program, registered as Docker's
// default OCI runtime, takes from the container's specification the capabilities that the host lacks, and then becomes runc with
// the same arguments. A container never gets more by it than it asked for.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintf(os.Stderr, "oci-runtime: %v\n", err)
		os.Exit(1)
	}
}

// run edits the specification that the arguments name, if they name one, and replaces this process by runc. It returns only on error.
func run(argv []string) error {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return fmt.Errorf("runc, which runs the containers, is not there: %w", err)
	}
	if spec, ok := findSpec(argv[1:]); ok {
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			return err
		}
		bounding, err := boundingSet(string(status))
		if err != nil {
			return err
		}
		if err := dropFromFile(spec, bounding); err != nil {
			return err
		}
	}
	return syscall.Exec(runc, append([]string{runc}, argv[1:]...), os.Environ())
}
