import { integer, matching, number } from "./vocabulary";

// Bounds, each said once. Those of the node agent's flags and annotations are its own: a test compares them.

export const port = integer(1, 65535);

/** A time that something may take. */
export const seconds = integer(1, 3600);

/** How long a node may take to be drained: 0, not at all. */
export const drainSeconds = integer(0, 3600);

/** Life of a certificate in seconds: a signer gives no less than ten minutes, and a node needs no more than a year. */
export const certificateSeconds = integer(600, 31_622_400);

/** When a certificate is renewed, in percent of its life. */
export const renewalPercent = integer(1, 95);

/** Kubernetes' own limits for a bootstrap token: it is cleaned up when it ends, so a short one is fine. */
export const tokenSeconds = integer(60, 24 * 3600);

/** A choice of ours, to catch slips: the agent itself takes up to 65535. */
export const maxPods = integer(1, 1000);

/** HTTP requests that a program has under way at a time. */
export const concurrentRequests = integer(1, 1000);

/** A share of all there are: 0 is none, 1 all. */
export const share = number(0, 1);

/** Id of a process, as Linux gives them out. */
export const processId = integer(1, 4_194_304);

/** A quantity of processors. */
export const processors = matching(
    /^(\d+(\.\d*)?|\.\d+)(m|[eE][+-]?\d+)?$/,
    'a quantity of processors (for example "250m", a quarter of one)',
);

/** A quantity of bytes. Kubernetes would take thousandths of one, too: "64m" is a slip of "64M". */
export const bytes = matching(
    /^(\d+(\.\d*)?|\.\d+)([kMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$/,
    'a quantity of bytes (for example "64Mi")',
);
