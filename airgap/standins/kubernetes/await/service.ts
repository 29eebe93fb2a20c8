// A service is ready when it has its address (LoadBalancer) and, if it selects pods, none of the pods it found is unready
// and ten seconds passed without a change of them.
import { isProps, listAt, textAt } from "../../lib/values";
import { namespaceOf, objectName } from "../metadata";
import type { AwaitContext, Awaiter } from "./awaiter";
import { watchSelf } from "./awaiter";

const settleMs = 10_000;

export async function serviceAwaiter(context: AwaitContext): Promise<Awaiter> {
    let service = context.object;
    const type = textAt(service, "spec", "type") || "ClusterIP";
    const selector = isProps(service.spec) ? service.spec.selector : undefined;
    const selectsPods =
        type !== "ExternalName" &&
        textAt(service, "spec", "clusterIP") !== "None" &&
        isProps(selector) &&
        Object.keys(selector).length > 0;
    let exists = false;
    let endpointsReady = false;
    let endpointsPending = false;
    let changedAt: number | undefined;
    let settled = false;

    const self = await watchSelf(context, (event) => {
        exists = event.type !== "DELETED";
        if (exists) {
            service = event.object;
        }
    });
    const endpoints = {
        collection: await context.client.path("v1", "Endpoints", namespaceOf(service)),
        fieldSelector: `metadata.name=${objectName(service)}`,
        on: ({ type: change, object }: Parameters<typeof self.on>[0]): void => {
            changedAt = Date.now();
            const subsets = change === "DELETED" ? [] : listAt(object, "subsets");
            endpointsReady = subsets.some((subset) => listAt(subset, "addresses").length > 0);
            endpointsPending = subsets.some((subset) => listAt(subset, "notReadyAddresses").length > 0);
        },
    };
    const hasAddress = (): boolean =>
        exists &&
        (type !== "LoadBalancer" || listAt(service, "status", "loadBalancer", "ingress").length > 0);
    const endpointsSettled = (): boolean =>
        settled || (changedAt !== undefined && Date.now() - changedAt >= settleMs);
    if (selectsPods) {
        context.status("info", "[1/3] Finding Pods to direct traffic to");
    }
    return {
        watches: selectsPods ? [self, endpoints] : [self],
        settle: () => {
            settled = true;
        },
        ready: () =>
            hasAddress() && (!selectsPods || (endpointsSettled() && !endpointsPending)) ? service : undefined,
        latest: () => service,
        problems: () => [
            ...(selectsPods && !endpointsReady
                ? [
                      "Service does not target any Pods. Selected Pods may not be ready, or field '.spec.selector' " +
                          "may not match labels on any Pods",
                  ]
                : []),
            ...(type === "LoadBalancer" && !hasAddress()
                ? ["Service was not allocated an IP address; does your cloud provider support this?"]
                : []),
        ],
    };
}
