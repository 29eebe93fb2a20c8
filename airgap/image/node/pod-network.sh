#!/bin/bash
# The network of pods, as kind's own plugin has it: this node's pods get addresses of its spec.podCIDR, and to every other node's podCIDR
# there is a route by way of that node's InternalIP. Runs in a pod on the host's network, one a node (default-cni.yaml):
#   NODE_NAME               this node
#   POD_SUBNET              the range of all pods
#   CONTROL_PLANE_ENDPOINT  the API server; its ClusterIP needs kube-proxy, which may not be there yet
# IPv4 alone.
set -o nounset
export HOME=/tmp KUBECONFIG=/tmp/kubeconfig
# For the CNI plugin (cni-plugin.sh).
OWN=/run/pod-network/podCIDR
# Tells the routes that are made here from all others.
PROTOCOL=110

# With a limit of time kubectl does not look for a pod's own credentials.
write_kubeconfig() {
    local secrets=/var/run/secrets/kubernetes.io/serviceaccount
    cat >$KUBECONFIG <<-END
	apiVersion: v1
	kind: Config
	clusters:
	- { name: own, cluster: { server: "https://$CONTROL_PLANE_ENDPOINT", certificate-authority: $secrets/ca.crt } }
	users:
	- { name: own, user: { tokenFile: $secrets/token } }
	contexts:
	- { name: own, context: { cluster: own, user: own } }
	current-context: own
	END
}

# A pod that starts meanwhile must not read half of it.
write_own() { # podCIDR
    if [[ -e $OWN && $(<$OWN) == "$1" ]]; then return; fi
    echo "$1" >$OWN.new && mv $OWN.new $OWN && echo "pods of this node: $1"
}

# Packets to what is no pod leave with the node's address; pods see each other's own.
masquerade() {
    nft -f - <<-END
	table ip pod-network
	delete table ip pod-network
	table ip pod-network {
	    chain postrouting {
	        type nat hook postrouting priority srcnat
	        ip saddr $POD_SUBNET ip daddr != $POD_SUBNET fib daddr type != local masquerade
	    }
	}
	END
}

# Makes everything what the API server says now. A node that has no podCIDR yet, or an address that no route can lead to, holds up no other.
synchronize() {
    local nodes name cidr addresses address wanted=" "
    nodes=$(kubectl get nodes --request-timeout=10s -o 'jsonpath={range .items[*]}{.metadata.name}|{.spec.podCIDR}|{.status.addresses[?(@.type=="InternalIP")].address}{"\n"}{end}') || return
    while IFS='|' read -r name cidr addresses; do
        address=
        for address in $addresses; do
            if [[ $address != *:* ]]; then break; fi
        done
        if [[ ! $cidr ]]; then
            continue
        elif [[ $name == "$NODE_NAME" ]]; then
            write_own "$cidr"
        elif [[ $address ]] && ip route replace "$cidr" via "$address" proto $PROTOCOL; then
            wanted+="$cidr "
        fi
    done <<<"$nodes"
    for cidr in $(ip route show proto $PROTOCOL | cut -d ' ' -f 1); do
        [[ $wanted == *" $cidr "* ]] || ip route del "$cidr" proto $PROTOCOL
    done
}

# Says that something changed; ends now and then, and when the API server does.
changes() {
    kubectl get nodes --watch --output-watch-events --request-timeout=10m -o 'jsonpath={.type}|{.object.metadata.name}|{.object.spec.podCIDR}|{.object.status.addresses[?(@.type=="InternalIP")].address}{"\n"}'
}

follow() {
    local event status name facts changed=
    local -A known=()
    while :; do
        # Of several changes at once the last one counts.
        read -r ${changed:+-t 0.2} event
        status=$?
        if ((status > 128)); then
            if synchronize; then changed=; else sleep 1; fi
        elif ((status != 0)); then
            return
        else
            # Most changes of a node are of its conditions.
            IFS='|' read -r event name facts <<<"$event"
            [[ $event == MODIFIED && ${known[$name]-} == "$facts" ]] && continue
            known[$name]=$facts
            changed=yes
        fi
    done
}

write_kubeconfig
until masquerade; do sleep 1; done
while :; do
    synchronize
    changes | follow
    sleep 1
done
