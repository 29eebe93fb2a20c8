#!/bin/bash
# Makes a kind node of a plain Debian root file system. Runs in a container of it, once, when the image is made:
#   /run/in/kind    the files of kind's own base image (from kind's Go module)
#   /run/in/node    the folder that holds this script
#   /run/in/kubernetes, /run/in/kubectl  the programs
#   /run/in/images  the control plane's images, one archive
#   /run/preload a volume, for containerd's overlayfs snapshotter does not work on a container's own file system
# Usage: prepare.sh <Kubernetes version, v1.2.3>
set -o errexit -o nounset -o pipefail
version=$1

# kind's entry point, units and containerd configuration, as its base image has them.
cp -r /run/in/kind/etc/. /etc/
cp -r /run/in/kind/kind /
install -m 0755 /run/in/kind/usr/local/bin/entrypoint /usr/local/bin/entrypoint
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
systemctl --quiet set-default multi-user.target

# The runtime specification that every container starts from: no resource limits, which a restricted host could not raise. kind
# also fakes the machine's identity in it; for a single node that makes no difference.
ctr oci spec | perl -0pe 's/,\s*"rlimits": \[.*?\]//s' >/etc/containerd/cri-base.json
! grep rlimits /etc/containerd/cri-base.json

# Kubernetes.
install -m 0755 /run/in/kubernetes/{kubelet,kubeadm} /run/in/kubectl/kubectl /usr/bin/
mkdir -p /etc/kubernetes/manifests /kind/manifests /etc/cni/net.d
echo -n "$version" >/kind/version
install -m 0644 /run/in/node/default-cni.yaml /run/in/node/default-storage.yaml /kind/manifests/
install -m 0644 /run/in/node/pod-network.conflist /etc/cni/net.d/10-pod-network.conflist
install -m 0755 /run/in/node/cni-plugin.sh /usr/lib/cni/pod-network
install -m 0755 /run/in/node/pod-network.sh /usr/libexec/pod-network
sandbox=$(sed -n 's/^ *sandbox_image = "\(.*\)"/\1/p' /etc/containerd/config.toml)
sed -i "s|SANDBOX_IMAGE|$sandbox|" /kind/manifests/default-cni.yaml

# The control plane's images, unpacked, so that the first boot does not have to; the archives themselves are not kept.
containerd --root /run/preload --state /run/containerd-preload --address /run/preload.sock --log-level fatal &
trap 'kill %1 2>/dev/null || true' EXIT
containerd_client() { ctr --address /run/preload.sock --namespace k8s.io "$@"; }
for _ in $(seq 100); do
    containerd_client version >/dev/null 2>&1 && break
    sleep 0.1
done
containerd_client images import --local --snapshotter overlayfs --discard-unpacked-layers /run/in/images/images.tar
# Collects the garbage now rather than at some time.
containerd_client content prune references
kill %1
wait %1 || true
trap - EXIT
mkdir -p /var/lib/containerd
cp -a /run/preload/. /var/lib/containerd/
rm -rf /var/cache/* /var/lib/apt/lists/* /var/log/* /tmp/*
: >/etc/machine-id
# Tells systemd that what it does at the first boot after a change of /usr (ldconfig, the journal's catalog) has been done.
ldconfig
touch /etc/.updated /var/.updated
