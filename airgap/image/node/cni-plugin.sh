#!/bin/sh
# CNI plugin pod-network: ptp in this node's podCIDR, which pod-network.sh writes down once the API server tells it. So the configuration
# can be there from the start, and the node is Ready before that pod runs, which every `kind create cluster` would wait for. The first
# pods wait here, for what fails is tried again only ten seconds later.
file=/run/pod-network/podCIDR
tries=600
while [ "$CNI_COMMAND" = ADD ] && ! [ -s $file ]; do
    tries=$((tries - 1))
    if [ $tries = 0 ]; then
        echo '{ "cniVersion": "1.0.0", "code": 11, "msg": "the node has no podCIDR yet" }'
        exit 1
    fi
    sleep 0.1
done
# What is removed after a restart of the node has no address in it any more: any range will do.
range=$(cat $file 2>/dev/null || echo 192.0.2.0/24)
sed "s|\"NODE_MTU\"|$(cat /sys/class/net/eth0/mtu)|; s|POD_CIDR|$range|" | /usr/lib/cni/ptp
