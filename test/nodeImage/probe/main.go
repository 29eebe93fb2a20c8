// Command probe is the program of the test's pods: `probe serve` answers on port 8080 with who asked whom, `probe get <url>` asks, and
// `probe lookup <name>` prints a name's addresses.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func serve(w http.ResponseWriter, r *http.Request) {
	name, _ := os.Hostname()
	from, _, _ := net.SplitHostPort(r.RemoteAddr)
	to, _, _ := net.SplitHostPort(r.Context().Value(http.LocalAddrContextKey).(net.Addr).String())
	fmt.Fprintf(w, "%s %s %s", name, from, to)
}

func run(args []string) error {
	switch args[0] {
	case "serve":
		return http.ListenAndServe(":8080", http.HandlerFunc(serve))
	case "get":
		client := http.Client{Timeout: 5 * time.Second}
		response, err := client.Get(args[1])
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, err = io.Copy(os.Stdout, response.Body)
		return err
	default:
		addresses, err := net.LookupHost(args[1])
		fmt.Println(strings.Join(addresses, " "))
		return err
	}
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}
