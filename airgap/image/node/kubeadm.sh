#!/bin/sh
# kind runs `kubeadm init` with a configuration that installs CoreDNS and kube-proxy. Their images are not in this node image (Wasm
# workloads on a host process need neither), so those two phases are left out. `preflight` is what kind itself leaves out: a flag
# replaces the list in the configuration.
if [ "$1" = init ] && [ "$2" != phase ]; then
    shift
    exec /usr/libexec/kubeadm init --skip-phases=preflight,addon/coredns,addon/kube-proxy "$@"
fi
exec /usr/libexec/kubeadm "$@"
