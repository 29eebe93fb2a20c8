#!/bin/bash
# Makes a kind node of a plain Debian root file system. Runs in a container of it, once, when the image is made:
#   /in/kind    the files of kind's own base image (from kind's Go module)
#   /in/node    the folder that holds this script
#   /in/bin     kubelet, kubeadm, kubectl
#   /in/images  the control plane's images, one archive
#   /preload    a volume, for containerd's overlayfs snapshotter does not work on a container's own file system
# Usage: prepare.sh <Kubernetes version, v1.2.3>
set -o errexit -o nounset -o pipefail
version=$1

# kind's entry point, units and containerd configuration, as its base image has them.
cp -r /in/kind/etc/. /etc/
cp -r /in/kind/kind /
install -m 0755 /in/kind/usr/local/bin/entrypoint /usr/local/bin/entrypoint
chmod 0755 /kind /kind/bin /kind/bin/*
# kind compiles containerd into /usr/local/bin; here it is Debian's.
ln -s /usr/bin/containerd /usr/local/bin/containerd
mkdir -p /opt/cni
ln -sfn /usr/lib/cni /opt/cni/bin

# What a container must not start: kind's base image leaves the same things out.
find /usr/lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
rm -f /usr/lib/systemd/system/{multi-user,local-fs,basic}.target.wants/* /etc/systemd/system/*.wants/*
rm -f /usr/lib/systemd/system/sockets.target.wants/*{udev,initctl}*
echo "ReadKMsg=no" >>/etc/systemd/journald.conf
ln -sf /usr/lib/systemd/systemd /sbin/init
systemctl --quiet enable kubelet.service containerd.service undo-mount-hacks.service
systemctl --quiet mask systemd-binfmt.service

# The runtime specification that every container starts from: no resource limits, which a restricted host could not raise. kind
# also fakes the machine's identity in it; for a single node that makes no difference.
ctr oci spec | perl -0pe 's/,\s*"rlimits": \[.*?\]//s' >/etc/containerd/cri-base.json
! grep rlimits /etc/containerd/cri-base.json

# Kubernetes.
install -m 0755 /in/bin/kubelet /in/bin/kubectl /usr/bin/
install -D -m 0755 /in/bin/kubeadm /usr/libexec/kubeadm
install -m 0755 /in/node/kubeadm.sh /usr/bin/kubeadm
mkdir -p /etc/kubernetes/manifests /kind/manifests /etc/cni/net.d
echo -n "$version" >/kind/version
install -m 0644 /in/node/default-cni.yaml /in/node/default-storage.yaml /kind/manifests/
install -m 0644 /in/node/bridge.conflist /etc/cni/net.d/10-bridge.conflist

# The control plane's images, unpacked, so that the first boot does not have to.
containerd --root /preload --state /run/preload --address /run/preload.sock --log-level error &
trap 'kill %1 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    ctr --address /run/preload.sock version >/dev/null 2>&1 && break
    sleep 0.1
done
ctr --address /run/preload.sock --namespace k8s.io images import --all-platforms --digests --snapshotter overlayfs /in/images/images.tar
kill %1
wait %1 || true
trap - EXIT
mkdir -p /var/lib/containerd
cp -a /preload/. /var/lib/containerd/
rm -rf /run/preload* /var/cache/* /var/lib/apt/lists/* /var/log/* /tmp/*
: >/etc/machine-id
